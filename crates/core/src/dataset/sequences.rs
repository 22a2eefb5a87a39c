//! Labelled sequences as files give them: of any length, with or without a split. Decides on classes, splits and length,
//! and makes examples of them.

mod assignment;
mod folds;
mod labels;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::config::{Fit, TaskKind};
use crate::dataset::examples::{Examples, ExamplesWriter, Name, Origin, describe};
use crate::dataset::split::Split;
use crate::dataset::store::StoreWriter;
use crate::dataset::{Classes, LoadRequest};
use crate::formats::record_names::Coordinates;
use crate::genome::interval::Place;
use crate::sequence::alphabet;
pub use crate::sequence::alphabet::fit;
use crate::sequence::bins::Bins;
use crate::sequence::profile::ProfileShape;

pub use crate::dataset::sequences::folds::survey;

/// Class or values of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum Label {
    /// Name of the class.
    Class(Arc<str>),
    /// One for each column, `NaN` where it is missing.
    Values(Box<[f32]>),
    /// Values of bins, `[columns, bins]`, none of them missing.
    Bins(Box<[f32]>),
    /// Counts base by base.
    Profile {
        /// `[tracks, length]`
        counts: Box<[f32]>,
        /// Whether it is a peak, not background.
        is_peak: bool,
    },
}

#[derive(Clone, Debug)]
struct Entry {
    label: Label,
    /// Where the file says it.
    split: Option<Split>,
    origin: Origin,
    /// Where its name says that it comes from, if it does not lie just there.
    from: Option<From>,
    /// The part of the folds that a column of its table names.
    part: Option<Arc<str>>,
}

/// Where a sequence comes from.
#[derive(Clone, Debug)]
enum From {
    /// It was made from what lies there.
    Derived(Place),
    /// It lies there or thereabouts, on a stretch of another length.
    Misfit(Place),
}

impl Entry {
    /// The chromosome, and the positions that nothing in another split may share.
    fn locus(&self) -> Option<(&Arc<str>, Range<usize>)> {
        match (&self.origin.place, &self.from) {
            (Some(Place { chromosome, range, .. }), _) => {
                // A table's sequence may be longer than the stretch that it names.
                let beyond = self.origin.bases.saturating_sub(range.len());
                Some((chromosome, range.start.saturating_sub(beyond)..range.end + beyond))
            }
            (None, Some(From::Derived(place))) => Some((&place.chromosome, place.range.clone())),
            (None, Some(From::Misfit(Place { chromosome, range, .. }))) => {
                let around = range.start.saturating_sub(self.origin.bases)..range.end + self.origin.bases;
                Some((chromosome, around))
            }
            (None, None) => None,
        }
    }
}

/// Sequences in the order they were read.
pub struct Sequences {
    codes: StoreWriter,
    ends: Vec<u64>,
    entries: Vec<Entry>,
    classes: HashMap<String, Arc<str>>,
    /// Names of the columns that hold labels or values; empty where labels are classes.
    pub columns: Vec<String>,
    /// The bins of every sequence, where labels are values of bins.
    pub bins: Option<Bins>,
    /// The tracks of every sequence, where labels are profiles.
    pub profile: Option<ProfileShape>,
}

/// Where a sequence was read.
pub struct Read<'a> {
    /// Path of the file, or what simulated the sequence.
    pub source: &'a Arc<str>,
    /// Record name, table line, or its coordinates in a genome.
    pub name: Name,
    /// Coordinates and strand, where they are known.
    pub place: Option<Place>,
    /// Whether the source is a genome that holds the sequence at `place`.
    pub in_genome: bool,
}

impl Sequences {
    /// Up to `memory` bytes of sequence are held in memory.
    pub fn new(memory: u64) -> Self {
        Self {
            codes: StoreWriter::new(memory),
            ends: Vec::new(),
            entries: Vec::new(),
            classes: HashMap::new(),
            columns: Vec::new(),
            bins: None,
            profile: None,
        }
    }

    /// Number of sequences added.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no sequence was added.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The class of this name, shared by all its sequences.
    pub fn class(&mut self, name: &str) -> Label {
        if let Some(class) = self.classes.get(name) {
            return Label::Class(class.clone());
        }
        let class: Arc<str> = name.into();
        self.classes.insert(name.to_owned(), class.clone());
        Label::Class(class)
    }

    /// Adds a sequence, given as codes with case.
    ///
    /// # Errors
    /// It is empty or holds no known base.
    pub fn push(&mut self, codes: &[u8], label: Label, split: Option<Split>, read: Read) -> Result<()> {
        if codes.is_empty() {
            bail!("{}: the sequence is empty, expected bases; remove it", describe(read.source, &read.name));
        }
        if codes.iter().all(|&code| alphabet::is_unknown(code)) {
            bail!(
                "{}: all {} bases are unknown (N), expected some of A, C, G and T; remove it",
                describe(read.source, &read.name),
                codes.len()
            );
        }
        self.codes.push(codes)?;
        self.ends.push(self.codes.len());
        let Read { source, name, place, in_genome } = read;
        let masked = alphabet::masked_share(codes);
        let origin = Origin { source: source.clone(), name, place, in_genome, bases: codes.len(), masked };
        self.entries.push(Entry { label, split, origin, from: None, part: None });
        Ok(())
    }

    /// Says which part of the folds the sequence added last belongs to.
    pub fn set_part(&mut self, name: &str) {
        if let Some(entry) = self.entries.last_mut() {
            entry.part = Some(name.into());
        }
    }

    /// Adds a sequence with the coordinates that its record gives.
    ///
    /// # Errors
    /// As [`Sequences::push`].
    pub fn push_record(
        &mut self,
        codes: &[u8],
        label: Label,
        split: Option<Split>,
        read: Read,
        coordinates: Coordinates,
    ) -> Result<()> {
        let (place, from) = match coordinates {
            Coordinates::Absent => (None, None),
            Coordinates::Exact(place) => (Some(place), None),
            Coordinates::Derived(place) => (None, Some(From::Derived(place))),
            Coordinates::Misfit(place) => (None, Some(From::Misfit(place))),
        };
        self.push(codes, label, split, Read { place, ..read })?;
        if let Some(entry) = self.entries.last_mut() {
            entry.from = from;
        }
        Ok(())
    }
}

/// Examples of every split, and what they are examples of.
pub struct Assembled {
    /// Training, validation and test.
    pub splits: [Examples; 3],
    /// Kind of prediction that the labels ask for.
    pub kind: TaskKind,
    /// Names of the classes, or of the label columns.
    pub classes: Classes,
}

/// Decides on splits, classes and length, and makes examples of one length.
///
/// # Errors
/// Labels, lengths or chromosomes do not fit together; the message names the first record that does not.
pub fn assemble(sequences: Sequences, request: &LoadRequest) -> Result<Assembled> {
    let Sequences { codes, ends, mut entries, columns, bins, profile, .. } = sequences;
    let codes = codes.finish()?;
    assignment::report_misfits(&mut entries, request.progress);
    assignment::divide(&mut entries, &codes, &ends, request)?;
    labels::leave_out_unlabelled(&mut entries, &columns, request)?;
    let (kind, classes) = labels::task_and_classes(&entries, columns, request)?;
    let length = common_length(entries.iter().filter(|entry| entry.split.is_some()), request)?;
    let labels = labels::number_labels(&entries, (kind, profile.as_ref()), &classes, request)?;
    let width = labels.len() / entries.len().max(1);

    let mut totals = [0u64; 3];
    for entry in &entries {
        if let Some(split) = entry.split {
            totals[split as usize] += length as u64;
        }
    }
    let limit = if totals.iter().sum::<u64>() > request.memory / 2 { 0 } else { u64::MAX };
    let writer = |()| ExamplesWriter::new(length, width, limit).with_bins(bins).with_profiles(profile.clone());
    let mut writers = [(); 3].map(writer);
    let (mut whole, mut fitted) = (Vec::new(), Vec::new());
    for (i, entry) in entries.into_iter().enumerate() {
        let Some(split) = entry.split else { continue };
        whole.clear();
        codes.read(if i == 0 { 0 } else { ends[i - 1] }..ends[i], &mut whole)?;
        fit(&whole, length, &mut fitted);
        let writer = &mut writers[split as usize];
        writer.push(&fitted, &labels[i * width..(i + 1) * width], entry.origin)?;
        match &entry.label {
            Label::Bins(values) => writer.push_bins(values),
            Label::Profile { counts, is_peak } => writer.push_profile(counts, *is_peak),
            Label::Class(_) | Label::Values(_) => {}
        }
    }
    let [train, valid, test] = writers;
    Ok(Assembled { splits: [train.finish()?, valid.finish()?, test.finish()?], kind, classes })
}

/// The one length that all sequences get.
fn common_length<'a>(entries: impl Iterator<Item = &'a Entry> + Clone, request: &LoadRequest) -> Result<usize> {
    let config = request.config;
    let used = || entries.clone().map(|entry| &entry.origin);
    let Some(first) = used().next() else { bail!("no sequence is left for any split; name other chromosomes") };
    let named = request.length.map(|length| (length, "the network's length".to_owned()));
    let wanted = named.or(config.length.map(|length| (length, "--length".to_owned())));
    let (length, origin) = match (wanted, config.fit) {
        (Some(wanted), _) => wanted,
        (None, Some(Fit::CenterCrop)) => (used().map(|o| o.bases).min().unwrap_or(0), String::new()),
        (None, Some(Fit::Pad)) => (used().map(|o| o.bases).max().unwrap_or(0), String::new()),
        (None, _) => (first.bases, format!("{} has", first.describe())),
    };
    for origin_of in used() {
        let (bases, advice) = (origin_of.bases, "--fit center-crop, pad or crop-or-pad");
        let fits = match config.fit {
            Some(Fit::CropOrPad) => true,
            Some(Fit::CenterCrop) => bases >= length,
            Some(Fit::Pad) => bases <= length,
            None => bases == length,
        };
        if !fits {
            let expected = match config.fit {
                Some(Fit::CenterCrop) => format!("{length} or more for --fit center-crop"),
                Some(Fit::Pad) => format!("{length} or less for --fit pad"),
                _ if origin.starts_with("--") || origin.starts_with("the network") => format!("{length} ({origin})"),
                _ => format!("{length} as {origin}"),
            };
            bail!(
                "{}: the sequence has {bases} bases, expected {expected}; cut or remove it, or add {advice}",
                origin_of.describe()
            );
        }
    }
    Ok(length)
}

#[cfg(test)]
impl Sequences {
    /// Everything that was added: codes, label, split and origin.
    pub fn into_parts(self) -> Vec<(Vec<u8>, Label, Option<Split>, Origin)> {
        let codes = self.codes.finish().unwrap();
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ranges: Vec<_> = starts.zip(self.ends.iter().copied()).collect();
        let parts = self.entries.into_iter().zip(ranges).map(|(entry, (start, end))| {
            let mut sequence = Vec::new();
            codes.read(start..end, &mut sequence).unwrap();
            (sequence, entry.label, entry.split, entry.origin)
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DataConfig;
    use crate::dataset::split;
    use crate::formats::record_names;
    use crate::genome::names::same_name;
    use crate::progress::Progress;
    use crate::random;
    use proptest::prelude::*;
    use rand::RngExt;

    /// Records of 64 bases under these names, of two classes in turn, assembled under settings: the name, split and
    /// place of each that is used.
    fn assembled(names: &[String], config: &DataConfig) -> Result<Vec<(String, Split, bool)>> {
        let progress = Progress::quiet();
        let mut sequences = Sequences::new(u64::MAX);
        let source: Arc<str> = "x.fa".into();
        for (i, name) in names.iter().enumerate() {
            let mut random = random::generator(1, random::Purpose::Shuffle, i as u64, 0);
            let codes: Vec<u8> = (0..64).map(|_| random.random_range(0..4)).collect();
            let label = sequences.class(["a", "b"][i % 2]);
            let coordinates = record_names::parse(name, "", codes.len());
            let read = Read { source: &source, name: Name::Text(name.as_str().into()), place: None, in_genome: false };
            sequences.push_record(&codes, label, None, read, coordinates)?;
        }
        let Assembled { splits, .. } = assemble(sequences, &LoadRequest::new(config, 1, &progress))?;
        let of = |(split, examples): (Split, &Examples)| -> Vec<_> {
            examples.origins.iter().map(|origin| (origin.name(""), split, origin.place.is_some())).collect()
        };
        Ok(Split::ALL.into_iter().zip(&splits).flat_map(of).collect())
    }

    fn locus(name: &str) -> Option<Place> {
        match record_names::parse(name, "", 64) {
            Coordinates::Exact(place) | Coordinates::Derived(place) => Some(place),
            _ => None,
        }
    }

    #[test]
    fn one_sequence_without_coordinates_leaves_the_others_with_their_chromosomes() {
        let mut names: Vec<String> =
            (0..400).map(|i| format!("chr{}:{}-{}", i % 20 + 1, i / 20 * 10, i / 20 * 10 + 64)).collect();
        let all = assembled(&names, &DataConfig::default()).unwrap();
        names.push("lonely".into());
        let beside = assembled(&names, &DataConfig::default()).unwrap();
        assert_eq!(all.len() + 1, beside.len());
        assert!(all.iter().all(|row| beside.contains(row)));
        // And under flags that name chromosomes, which need coordinates of some only.
        let config =
            DataConfig { test_chroms: vec!["chr3".into()], valid_chroms: vec!["4".into()], ..DataConfig::default() };
        for (name, split, _) in assembled(&names, &config).unwrap() {
            match name.split(':').next() {
                Some("chr3") => assert_eq!(split, Split::Test),
                Some("chr4") => assert_eq!(split, Split::Valid),
                Some("lonely") => {}
                _ => assert_eq!(split, Split::Train, "{name}"),
            }
        }
        let unplaced: Vec<String> = (0..40).map(|i| format!("read{i}")).collect();
        assert!(assembled(&unplaced, &config).unwrap_err().to_string().contains("holds no coordinates"));
    }

    #[test]
    fn what_is_derived_and_what_spans_another_length_goes_with_the_chromosome() {
        let mut names = Vec::new();
        for i in 0..400 {
            let (chromosome, start) = (i % 20 + 1, i / 20 * 100);
            names.push(format!("chr{chromosome}:{start}-{}", start + 64));
            names.push(match i % 8 {
                0 => format!("chr{chromosome}:{start}-{}_shuf_1", start + 64),
                1 => format!("{chromosome}:{}-{}/rc", start + 1, start + 64),
                2 => format!("chr{chromosome}_{start}_{}", start + 64),
                3 => format!("chr{chromosome}-{start}-{}_shuffled", start + 64),
                4 => format!("neg_chr{chromosome}:{start}-{}", start + 64),
                5 => format!("chr{chromosome}:{start}-{}", start + 900),
                6 => format!("chr{chromosome}-{start}-{}", start + 900),
                _ => format!("x::chr{chromosome}:{start}-{}(-)", start + 64),
            });
        }
        let rows = assembled(&names, &DataConfig::default()).unwrap();
        assert_eq!(rows.len(), 800);
        for (name, split, is_placed) in rows {
            let number = name.trim_start_matches("neg_").trim_start_matches("x::").trim_start_matches("chr");
            let number: String = number.chars().take_while(char::is_ascii_digit).collect();
            assert_eq!(split, split::deal(&number), "{name}");
            let is_plain = locus(&name).is_some() && !name.contains("shuf") && !name.starts_with("neg");
            assert_eq!(is_placed, is_plain, "{name}");
        }
    }

    #[test]
    fn coordinates_that_are_none_are_not_used_for_the_split() {
        let names: Vec<String> = (0..300).map(|i| format!("sample{}:{i}-{}", i % 3, i + 20)).collect();
        let rows = assembled(&names, &DataConfig::default()).unwrap();
        let of = |split| rows.iter().filter(|row| row.1 == split).count();
        assert!(rows.len() == 300 && of(Split::Test) > 10 && of(Split::Valid) > 10);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn windows_of_two_splits_share_no_base_however_they_are_named(
            chromosomes in 1usize..8, step in 5usize..100, n in 30usize..300, flags in 0usize..5, hidden in 0usize..30,
        ) {
            let names: Vec<String> = (0..n).map(|i| {
                let (number, start) = (i % chromosomes + 1, i / chromosomes * step);
                let end = start + 64;
                match (i * 7 + hidden) % 11 {
                    0 => format!("chr{number}:{start}-{end}_shuf_{i}"),
                    1 => format!("chr{number}:{}-{end}", start + 1),
                    2 => format!("{number}:{start}-{end}(-)"),
                    3 => format!("chr{number}_{start}_{end}"),
                    4 => format!("p{i}::chr{number}:{start}-{end}"),
                    5 => format!("read{i}"),
                    _ => format!("chr{number}:{start}-{end}"),
                }
            }).collect();
            let mut config = DataConfig::default();
            match flags {
                1 => config.test_chroms = vec!["1".into()],
                2 => config.test_fraction = Some(0.2),
                3 => config.valid_fraction = Some(0.3),
                4 => { config.train_chroms = vec!["chr1".into()]; }
                _ => {}
            }
            let Ok(rows) = assembled(&names, &config) else {
                prop_assert!(chromosomes == 1 && (flags == 1 || flags == 4));
                return Ok(());
            };
            let placed: Vec<(Place, Split)> =
                rows.iter().filter_map(|(name, split, _)| Some((locus(name)?, *split))).collect();
            for (i, (a, split)) in placed.iter().enumerate() {
                for (b, other) in &placed[i + 1..] {
                    let overlap = same_name(&a.chromosome) == same_name(&b.chromosome)
                        && a.range.start < b.range.end && b.range.start < a.range.end;
                    prop_assert!(!overlap || split == other, "{a:?} {b:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn cropping_and_padding_treat_both_strands_alike(codes in prop::collection::vec(0u8..5, 1..60), length in 1usize..60) {
            let (mut fitted, mut other) = (Vec::new(), codes.clone());
            fit(&codes, length, &mut fitted);
            alphabet::reverse_complement(&mut other);
            prop_assume!(other != codes); // a palindrome is one sequence, wherever it is cut
            let mut of_other = Vec::new();
            fit(&other, length, &mut of_other);
            alphabet::reverse_complement(&mut of_other);
            prop_assert_eq!(&fitted, &of_other);
            prop_assert_eq!(fitted.len(), length);
            let (short, long) = if length < codes.len() { (&fitted, &codes) } else { (&codes, &fitted) };
            let middle = (long.len() - short.len()) / 2;
            prop_assert!((middle..=middle + 1).any(|start| long.get(start..start + short.len()) == Some(&short[..])));
        }
    }
}
