//! Sequences to explain: records of a file, padded or cropped to the length of a network, with their coordinates.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::dataset::sequences;
use crate::format::thousands;
use crate::formats::record_names::{self, Coordinates};
use crate::formats::records::Records;
use crate::genome::interval::Place;
use crate::predict::unknown_limit::UnknownLimit;
use crate::sequence::alphabet;

/// What to do with records whose length is not the network's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fitting {
    /// Pad shorter records with unknown bases at both ends.
    pub pad_short: bool,
    /// Crop longer records to their middle.
    pub crop_long: bool,
}

/// A sequence of the network's length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// The name of the record.
    pub name: String,
    /// Index of the record in the file, from 0.
    pub index: usize,
    /// Codes without case, `[length]`.
    pub codes: Vec<u8>,
    /// Range of the codes that comes from the record; the rest is padding.
    pub own: Range<usize>,
    /// Position in the record of the first base of `own`, 0-based.
    pub first: usize,
    /// Coordinates of the whole record, if its name holds them.
    pub place: Option<Place>,
}

impl Sequence {
    /// Converts a position in `own` into a position in the record.
    pub fn position(&self, at: usize) -> usize {
        at - self.own.start + self.first
    }

    /// Converts a position in `own` into a position in the chromosome, 0-based.
    pub fn coordinate(&self, at: usize) -> Option<usize> {
        let place = self.place.as_ref()?;
        let position = self.position(at);
        Some(if place.reverse { place.range.end - 1 - position } else { place.range.start + position })
    }

    /// Coordinates of the bases of `own`, if the record's name holds them.
    pub fn own_place(&self) -> Option<Place> {
        let Place { chromosome, reverse, .. } = self.place.clone()?;
        let (one, other) = (self.coordinate(self.own.start)?, self.coordinate(self.own.end - 1)?);
        Some(Place { chromosome, range: one.min(other)..one.max(other) + 1, reverse })
    }
}

/// One pass over the records of a FASTA or FASTQ file.
pub struct Sequences {
    path: PathBuf,
    records: Records,
    length: usize,
    fitting: Fitting,
    read: usize,
    /// Records whose coordinates span another length than the sequence, and the name of the first.
    misfits: Option<(usize, String)>,
    /// Unknown bases that a record may hold, padding aside.
    limit: UnknownLimit,
    /// Names of the records that hold more.
    pub unknown: Vec<String>,
}

impl Sequences {
    /// Opens a file for a network of `length` bp.
    ///
    /// # Errors
    /// The file cannot be read, or is neither FASTA nor FASTQ.
    pub fn open(path: &Path, length: usize, fitting: Fitting) -> Result<Self> {
        let (records, limit) = (Records::open(path)?, UnknownLimit::NONE);
        Ok(Self { path: path.into(), records, length, fitting, read: 0, misfits: None, limit, unknown: Vec::new() })
    }

    /// Leaves out records that hold more unknown bases than the limit.
    pub fn with_limit(self, limit: UnknownLimit) -> Self {
        Self { limit, ..self }
    }

    /// The next sequence within the limit of unknown bases.
    ///
    /// # Errors
    /// The file is damaged, or a record has another length and neither padding nor cropping was requested.
    pub fn next_sequence(&mut self) -> Result<Option<Sequence>> {
        while let Some(sequence) = self.next_record()? {
            if !self.limit.is_exceeded_by(&sequence.codes[sequence.own.clone()]) {
                return Ok(Some(sequence));
            }
            self.unknown.push(sequence.name);
        }
        Ok(None)
    }

    fn next_record(&mut self) -> Result<Option<Sequence>> {
        let Some(name) = self.records.next_record()? else { return Ok(None) };
        let (mut whole, mut bases) = (Vec::new(), 0);
        while let Some(piece) = self.records.next_piece()? {
            bases += piece.len();
            // Bases that are only counted for a message are not kept.
            if self.fitting.crop_long || whole.len() <= self.length {
                whole.extend_from_slice(piece);
            }
        }
        self.check(&name, bases)?;
        let coordinates = record_names::parse(&name, self.records.description(), bases);
        if matches!(coordinates, Coordinates::Misfit(_)) {
            self.misfits.get_or_insert_with(|| (0, name.clone())).0 += 1;
        }
        let place = coordinates.place();
        alphabet::without_case(&mut whole);
        let mut codes = Vec::with_capacity(self.length);
        let before = sequences::fit(&whole, self.length, &mut codes);
        let (own, first) = if bases < self.length { (before..before + bases, 0) } else { (0..self.length, before) };
        let index = self.read;
        self.read += 1;
        Ok(Some(Sequence { name, index, codes, own, first, place }))
    }

    /// What there is to say of names whose coordinates span another length than the sequence, which are not used.
    pub fn warning(&self) -> Option<String> {
        let (count, first) = self.misfits.as_ref()?;
        Some(format!(
            "{}: the coordinates in {} names span another length than the sequence, and are not used; the first is '{first}'",
            self.path.display(),
            thousands(*count)
        ))
    }

    fn check(&self, name: &str, bases: usize) -> Result<()> {
        let (file, length) = (self.path.display(), self.length);
        if bases == 0 {
            bail!("{file}: record '{name}' has no bases, expected {length}; remove it");
        }
        if bases < length && !self.fitting.pad_short {
            bail!(
                "{file}: record '{name}' has {bases} bases, expected {length}, the network's length; lengthen it or add --pad-short"
            );
        }
        if bases > length && !self.fitting.crop_long {
            bail!(
                "{file}: record '{name}' has {bases} bases, expected {length}, the network's --length; cut it to the part to explain, or add --crop-long for its middle"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, fitting: Fitting) -> Result<Vec<Sequence>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.fa");
        std::fs::write(&path, text).unwrap();
        let mut sequences = Sequences::open(&path, 6, fitting)?;
        let mut all = Vec::new();
        while let Some(sequence) = sequences.next_sequence()? {
            all.push(sequence);
        }
        Ok(all)
    }

    #[test]
    fn places_are_known_on_either_strand_and_after_fitting() {
        let all = read(
            ">chr1:10-16\nACGTAC\n>chr2:10-16(-)\nACGTAC\n>chr1:20-22\nAC\n>chr1:30-40\nAAACGTACCC\n>x\nACGTAc\n",
            Fitting { pad_short: true, crop_long: true },
        )
        .unwrap();
        let ends = |i: usize| {
            let Range { start, end } = all[i].own.clone();
            [start, end - 1].map(|at| (all[i].position(at), all[i].coordinate(at)))
        };
        assert_eq!(ends(0), [(0, Some(10)), (5, Some(15))]);
        assert_eq!(ends(1), [(0, Some(15)), (5, Some(10))]);
        assert_eq!((all[2].codes.as_slice(), ends(2)), (&[4, 4, 0, 1, 4, 4][..], [(0, Some(20)), (1, Some(21))]));
        assert_eq!(ends(3), [(2, Some(32)), (7, Some(37))]);
        assert_eq!((all[4].codes.as_slice(), ends(4)), (&[0, 1, 2, 3, 0, 1][..], [(0, None), (5, None)]));
    }

    #[test]
    fn other_lengths_are_refused_unless_it_is_said_what_to_do() {
        let error = |text: &str| read(text, Fitting::default()).unwrap_err().to_string();
        assert!(error(">a\nACG\n").contains("'a' has 3 bases, expected 6, the network's length"));
        let long = error(">a\nACGACGACGACG\nACG\n");
        assert!(long.contains("'a' has 15 bases, expected 6, the network's --length; cut it"), "{long}");
        assert!(error(">a\n>b\nACGTAC\n").contains("'a' has no bases"));
    }

    #[test]
    fn names_that_span_another_length_are_counted_and_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.fa");
        std::fs::write(&path, ">chr1:1-3\nACGTAC\n>chr1:10-16\nACGTAC\n>chr1-100-900\nACGTAC\n").unwrap();
        let mut sequences = Sequences::open(&path, 6, Fitting::default()).unwrap();
        let places: Vec<bool> = std::iter::from_fn(|| sequences.next_sequence().unwrap())
            .map(|sequence| sequence.place.is_some())
            .collect();
        assert_eq!(places, [false, true, false]);
        let warning = sequences.warning().unwrap();
        assert!(warning.contains("in 2 names span another length") && warning.ends_with("'chr1:1-3'"), "{warning}");
    }
}
