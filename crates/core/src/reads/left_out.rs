//! Which reads are not counted, and why: filters with their defaults, and a count for each reason.

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

use crate::format::thousands;
use crate::formats::alignment::{Alignment, Flags};
use crate::reads::intervals::Intervals;

/// Reads of a lower mapping quality are left out by default, as in ENCODE's pipelines: aligners give it where a second place fits as
/// well or nearly so.
pub const MIN_MAPPING_QUALITY: u8 = 30;

/// Which reads are counted.
#[derive(Clone, Debug)]
pub struct Filters {
    /// Lowest mapping quality.
    pub min_mapping_quality: u8,
    /// Whether reads that are marked as duplicates count.
    pub keep_duplicates: bool,
    /// Lengths of fragments, in bp.
    pub fragment_length: Option<RangeInclusive<usize>>,
    /// Reads and fragments that touch any of these do not count.
    pub excluded: Intervals,
}

impl Default for Filters {
    fn default() -> Self {
        Self {
            min_mapping_quality: MIN_MAPPING_QUALITY,
            keep_duplicates: false,
            fragment_length: None,
            excluded: Intervals::default(),
        }
    }
}

/// Why a read is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A line or record that is none.
    Unreadable,
    /// Not aligned.
    Unmapped,
    /// Another place that a read fits.
    Secondary,
    /// Another part of a read that is aligned in parts.
    Supplementary,
    /// Failed the checks of the instrument.
    Failed,
    /// Marked as a duplicate.
    Duplicate,
    /// Below the lowest mapping quality.
    MappingQuality,
    /// The mate that does not count.
    OtherMate,
    /// On a chromosome that the reference lacks.
    Absent,
    /// On the mitochondrion, which insertions leave out.
    Mitochondrion,
    /// On a chromosome that is not asked for.
    OtherChromosome,
    /// Beyond the end of its chromosome.
    Beyond,
    /// In a fragment of another length.
    FragmentLength,
    /// Where reads are to be left out.
    Excluded,
    /// Without a barcode.
    NoBarcode,
    /// With a barcode that is not in the table.
    OtherBarcode,
}

impl Reason {
    /// All, in the order in which they are looked at and said, with their keys and what is said of them.
    pub const ALL: [(Self, &'static str, &'static str); 16] = [
        (Self::Unreadable, "unreadable", "unreadable"),
        (Self::Unmapped, "unmapped", "not aligned"),
        (Self::Secondary, "secondary", "secondary"),
        (Self::Supplementary, "supplementary", "supplementary"),
        (Self::Failed, "failed", "failed in the instrument"),
        (Self::Duplicate, "duplicate", "marked as duplicates"),
        (Self::MappingQuality, "mapping_quality", "below the mapping quality"),
        (Self::OtherMate, "other_mate", "of the other mate"),
        (Self::Absent, "absent_chromosome", "on chromosomes that the reference lacks"),
        (Self::Mitochondrion, "mitochondrion", "on the mitochondrion"),
        (Self::OtherChromosome, "other_chromosome", "on chromosomes not asked for"),
        (Self::Beyond, "beyond_end", "beyond the end of their chromosome"),
        (Self::FragmentLength, "fragment_length", "of another fragment length"),
        (Self::Excluded, "excluded", "touching --exclude"),
        (Self::NoBarcode, "no_barcode", "without a barcode"),
        (Self::OtherBarcode, "other_barcode", "with another barcode"),
    ];
}

/// How many reads are left out for which reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    counts: [u64; Reason::ALL.len()],
    /// The first of what should not be in a file, in words: lines that are none, chromosomes that are absent, reads beyond an end.
    pub first: Vec<(&'static str, String)>,
}

impl LeftOut {
    /// Counts one.
    pub fn add(&mut self, reason: Reason) {
        self.counts[reason as usize] += 1;
    }

    /// Counts one that should not be there, and keeps what the first of its kind is.
    pub fn add_odd(&mut self, reason: Reason, what: impl FnOnce() -> String) {
        if self.counts[reason as usize] == 0 {
            self.first.push((Reason::ALL[reason as usize].1, what()));
        }
        self.add(reason);
    }

    /// How many are left out for a reason.
    pub fn of(&self, reason: Reason) -> u64 {
        self.counts[reason as usize]
    }

    /// How many are left out.
    pub fn all(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The reasons with their counts, in words; nothing where none is left out.
    pub fn describe(&self) -> String {
        let found = Reason::ALL.iter().zip(&self.counts).filter(|(_, count)| **count > 0);
        let described = found.map(|((_, key, words), &count)| {
            let first = self.first.iter().find(|(of, _)| of == key);
            let first = first.map_or_else(String::new, |(_, first)| format!(" (the first: {first})"));
            format!("{} {words}{first}", thousands(count as usize))
        });
        described.collect::<Vec<_>>().join(", ")
    }

    /// The counts by their keys.
    pub fn json(&self) -> Value {
        let counts = Reason::ALL.iter().zip(&self.counts).map(|((_, key, _), count)| ((*key).to_owned(), json!(count)));
        Value::Object(counts.collect::<Map<_, _>>())
    }
}

impl Filters {
    /// Why an alignment, with a reference or without, does not count, from what it says of itself.
    pub fn of_alignment(&self, alignment: &Alignment, has_reference: bool) -> Option<Reason> {
        let has = |flag| alignment.flags.has(flag);
        // 255 is a quality that is not known.
        match () {
            () if has(Flags::UNMAPPED) || !has_reference => Some(Reason::Unmapped),
            () if has(Flags::SECONDARY) => Some(Reason::Secondary),
            () if has(Flags::SUPPLEMENTARY) => Some(Reason::Supplementary),
            () if has(Flags::FAILED) => Some(Reason::Failed),
            () if has(Flags::DUPLICATE) && !self.keep_duplicates => Some(Reason::Duplicate),
            () if alignment.mapping_quality < self.min_mapping_quality => Some(Reason::MappingQuality),
            () => None,
        }
    }
}
