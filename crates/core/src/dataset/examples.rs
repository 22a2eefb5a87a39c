//! Labelled sequences of one length, ready for a network, and where each came from.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;

use crate::dataset::store::{Store, StoreWriter};
use crate::genome::interval::Place;
use crate::sequence::alphabet;
use crate::sequence::bins::Bins;
use crate::sequence::profile::ProfileShape;

/// Labelled sequences of one length.
#[derive(Clone, Debug, Default)]
pub struct Examples {
    /// Length of every sequence, in bp.
    pub length: usize,
    /// Labels an example has: one for yes/no questions and classes, one a column for several labels or values.
    pub width: usize,
    /// `[n, width]`: the index of a class, 0 or 1 for a label, or a value.
    pub labels: Vec<f32>,
    /// Values of bins along each sequence, of which labels are the means; none where an example has one value a column.
    pub bins: Option<BinnedValues>,
    /// Profiles along each sequence, of which labels are the log counts.
    pub profiles: Option<Profiles>,
    /// Where each came from, `[n]`.
    pub origins: Vec<Origin>,
    /// Codes with case, `[n, length]`.
    codes: Store,
}

/// Values of bins along the middle of sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct BinnedValues {
    /// The bins of a sequence.
    pub of_each: Bins,
    /// `[n, width, bins]`
    pub values: Vec<f32>,
}

/// Signal base by base along the middle of sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct Profiles {
    /// The tracks of a sequence.
    pub shape: ProfileShape,
    /// `[n, row]`: the counts of each base of each track, those of the control, and at the end 1 for a peak and 0 for background.
    pub rows: Vec<f32>,
}

impl Profiles {
    /// The counts of example `i`, `[tracks, length]`.
    pub fn counts_of(&self, i: usize) -> &[f32] {
        &self.row(i)[..self.shape.values()]
    }

    /// The counts of the control of example `i`, `[control, control_length]`.
    pub fn control_of(&self, i: usize) -> &[f32] {
        let row = self.row(i);
        &row[self.shape.values()..row.len() - 1]
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        self.rows.len() / self.shape.row()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether example `i` is a peak, not background.
    pub fn is_peak(&self, i: usize) -> bool {
        self.row(i).last() == Some(&1.0)
    }

    /// All of example `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        let width = self.shape.row();
        &self.rows[i * width..(i + 1) * width]
    }
}

/// The log of 1 + the counts of each group of a profile `[tracks, length]`.
pub fn log_counts(shape: &ProfileShape, counts: &[f32]) -> Vec<f32> {
    let of_group = |range: Range<usize>| counts[range].iter().map(|&count| f64::from(count)).sum::<f64>().ln_1p();
    shape.of_groups().map(|range| of_group(range) as f32).collect()
}

/// Where an example came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The file, or what simulated it.
    pub source: Arc<str>,
    /// Record name, table line, or its coordinates in a genome.
    pub name: Name,
    /// Coordinates and strand, where they are known.
    pub place: Option<Place>,
    /// Whether the source is a genome that holds the sequence at the place, so that it need not be written again.
    pub in_genome: bool,
    /// Bases it had before it was cropped or padded.
    pub bases: usize,
    /// Share of its bases that are soft-masked.
    pub masked: f32,
}

/// What an example is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A window of a genome: class and place say it all.
    Place,
    /// A line of a table.
    Line(u64),
    /// Name of a FASTA or FASTQ record, a region, or a row of a listing.
    Text(Box<str>),
}

/// A record or line as a message names it.
pub fn describe(source: &str, name: &Name) -> String {
    match name {
        Name::Text(name) => format!("{source}: record '{name}'"),
        Name::Line(line) => format!("{source}: line {line}"),
        Name::Place => source.to_owned(),
    }
}

impl Origin {
    /// The example as a message names it.
    pub fn describe(&self) -> String {
        describe(&self.source, &self.name)
    }

    /// Chromosome, start, end and strand as tables write them; empty where there is no place.
    pub fn columns(&self) -> [String; 4] {
        match &self.place {
            Some(Place { chromosome, range, reverse }) => {
                let strand = if *reverse { "-" } else { "+" };
                [chromosome.to_string(), range.start.to_string(), range.end.to_string(), strand.into()]
            }
            None => Default::default(),
        }
    }

    /// The example's name; windows of genomes are told apart by their class, if they have one.
    pub fn name(&self, class: &str) -> String {
        match (&self.name, &self.place) {
            (Name::Text(name), _) => name.to_string(),
            (Name::Line(line), _) => {
                let table = std::path::Path::new(&*self.source).file_name();
                format!("{}:{line}", table.map_or("table".into(), |name| name.to_string_lossy()))
            }
            (Name::Place, Some(Place { chromosome, range, .. })) => {
                let class = if class.is_empty() { String::new() } else { format!("{class}:") };
                format!("{class}{chromosome}:{}-{}", range.start, range.end)
            }
            (Name::Place, None) if class.is_empty() => "example".into(),
            (Name::Place, None) => class.to_owned(),
        }
    }
}

impl Examples {
    /// Number of examples, `n`.
    pub fn len(&self) -> usize {
        self.origins.len()
    }

    /// Whether there are no examples.
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    /// Appends the codes of the examples in `range` to `out`.
    ///
    /// # Errors
    /// The temporary file of sequences cannot be read.
    pub fn read(&self, range: Range<usize>, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        self.read_with_case(range, out)?;
        alphabet::without_case(&mut out[start..]);
        Ok(())
    }

    /// Appends the codes, with case, of the examples in `range` to `out`.
    ///
    /// # Errors
    /// The temporary file of sequences cannot be read.
    pub fn read_with_case(&self, range: Range<usize>, out: &mut Vec<u8>) -> Result<()> {
        let length = self.length as u64;
        self.codes.read(range.start as u64 * length..range.end as u64 * length, out)
    }

    /// Hands all codes to `each`, at most `size` examples at a time, with the index of the first.
    ///
    /// # Errors
    /// The temporary file of sequences cannot be read, or `each` fails.
    pub fn for_each_batch(&self, size: usize, mut each: impl FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
        let mut codes = Vec::new();
        for first in (0..self.len()).step_by(size.max(1)) {
            codes.clear();
            self.read(first..(first + size.max(1)).min(self.len()), &mut codes)?;
            each(first, &codes)?;
        }
        Ok(())
    }

    /// All codes, `[n, length]`, in memory.
    ///
    /// # Errors
    /// The temporary file of sequences cannot be read.
    pub fn all_codes(&self) -> Result<Vec<u8>> {
        let mut codes = Vec::new();
        self.read(0..self.len(), &mut codes)?;
        Ok(codes)
    }

    /// One number for each sequence, computed from its codes, `[n]`.
    ///
    /// # Errors
    /// The temporary file of sequences cannot be read.
    pub fn measure(&self, of: impl Fn(&[u8]) -> f64) -> Result<Vec<f64>> {
        let mut values = Vec::with_capacity(self.len());
        self.for_each_batch(1024, |_, codes| {
            values.extend(codes.chunks(self.length).map(&of));
            Ok(())
        })?;
        Ok(values)
    }

    /// The share of G and C in each sequence, `[n]`.
    ///
    /// # Errors
    /// The temporary file of sequences cannot be read.
    pub fn gc_shares(&self) -> Result<Vec<f64>> {
        self.measure(alphabet::gc_share)
    }

    /// The number of unknown bases in each sequence, without those that pad it, `[n]`.
    ///
    /// # Errors
    /// The temporary file of sequences cannot be read.
    pub fn unknown_bases(&self) -> Result<Vec<usize>> {
        let mut counts = Vec::with_capacity(self.len());
        self.for_each_batch(1024, |first, codes| {
            for (codes, origin) in codes.chunks(self.length).zip(&self.origins[first..]) {
                let unknown = codes.iter().filter(|&&code| alphabet::is_unknown(code)).count();
                counts.push(unknown.saturating_sub(self.length.saturating_sub(origin.bases)));
            }
            Ok(())
        })?;
        Ok(counts)
    }

    /// The labels of example `i`, `[width]`.
    pub fn labels_of(&self, i: usize) -> &[f32] {
        &self.labels[i * self.width..(i + 1) * self.width]
    }

    /// What a network learns of example `i`: its labels, the values of its bins, `[width, bins]`, or its profile as [`Profiles::row`] has it.
    pub fn targets_of(&self, i: usize) -> &[f32] {
        match (&self.profiles, &self.bins) {
            (Some(profiles), _) => profiles.row(i),
            (None, Some(bins)) => {
                let of_each = self.width * bins.of_each.count;
                &bins.values[i * of_each..(i + 1) * of_each]
            }
            (None, None) => self.labels_of(i),
        }
    }

    /// What a network learns of all examples, as [`Examples::targets_of`] has it of each.
    pub fn targets(&self) -> &[f32] {
        match (&self.profiles, &self.bins) {
            (Some(profiles), _) => &profiles.rows,
            (None, Some(bins)) => &bins.values,
            (None, None) => &self.labels,
        }
    }

    /// Values of each column that an example has along its sequence: 1, or as many as bins.
    pub fn values_along(&self) -> usize {
        self.bins.as_ref().map_or(1, |bins| bins.of_each.count)
    }

    /// Lengths of the stretches at the beginning of what a network learns of an example that run the other way on the other strand.
    pub fn mirrored_targets(&self) -> Vec<usize> {
        match (&self.profiles, &self.bins) {
            (Some(profiles), _) => profiles.shape.stretches_of_row(),
            (None, Some(bins)) => vec![bins.of_each.count; self.width],
            (None, None) => Vec::new(),
        }
    }

    /// The class of example `i`, where labels are classes.
    pub fn class_of(&self, i: usize) -> usize {
        self.labels[i * self.width] as usize
    }

    /// The classes, `[n]`, where labels are classes.
    pub fn classes(&self) -> Vec<usize> {
        (0..self.len()).map(|i| self.class_of(i)).collect()
    }

    /// Some of the examples without their sequences, bins and profiles, for measuring predictions of them.
    pub fn labels_at(&self, chosen: &[usize]) -> Self {
        Self {
            labels: chosen.iter().flat_map(|&i| self.labels_of(i)).copied().collect(),
            origins: chosen.iter().map(|&i| self.origins[i].clone()).collect(),
            length: 0,
            width: self.width,
            bins: None,
            profiles: None,
            codes: Store::default(),
        }
    }

    /// Whether the sequences are held in memory.
    pub fn is_in_memory(&self) -> bool {
        self.codes.is_in_memory()
    }
}

/// Puts examples together, one by one.
pub struct ExamplesWriter {
    examples: Examples,
    codes: StoreWriter,
}

impl ExamplesWriter {
    /// Examples of `length` bp with `width` labels each; up to `memory` bytes of sequence are held in memory.
    pub fn new(length: usize, width: usize, memory: u64) -> Self {
        Self { examples: Examples { length, width, ..Examples::default() }, codes: StoreWriter::new(memory) }
    }

    /// The same with values of bins, which [`ExamplesWriter::push_bins`] takes for each example.
    pub fn with_bins(mut self, of_each: Option<Bins>) -> Self {
        self.examples.bins = of_each.map(|of_each| BinnedValues { of_each, values: Vec::new() });
        self
    }

    /// Adds the values of the bins of an example, `[width, bins]`.
    pub fn push_bins(&mut self, values: &[f32]) {
        if let Some(bins) = &mut self.examples.bins {
            debug_assert_eq!(values.len(), self.examples.width * bins.of_each.count);
            bins.values.extend_from_slice(values);
        }
    }

    /// The same with profiles, which [`ExamplesWriter::push_profile`] takes for each example.
    pub fn with_profiles(mut self, shape: Option<ProfileShape>) -> Self {
        self.examples.profiles = shape.map(|shape| Profiles { shape, rows: Vec::new() });
        self
    }

    /// Adds the counts of the profile of an example, `[tracks, length]` and behind them those of its control, and whether it is a peak.
    pub fn push_profile(&mut self, counts: &[f32], is_peak: bool) {
        if let Some(profiles) = &mut self.examples.profiles {
            debug_assert_eq!(counts.len() + 1, profiles.shape.row());
            profiles.rows.extend_from_slice(counts);
            profiles.rows.push(f32::from(u8::from(is_peak)));
        }
    }

    /// Adds an example: codes `[length]` with case, labels `[width]`.
    ///
    /// # Errors
    /// The temporary file of sequences cannot be written.
    pub fn push(&mut self, codes: &[u8], labels: &[f32], origin: Origin) -> Result<()> {
        debug_assert_eq!((codes.len(), labels.len()), (self.examples.length, self.examples.width));
        self.codes.push(codes)?;
        self.examples.labels.extend_from_slice(labels);
        self.examples.origins.push(origin);
        Ok(())
    }

    /// The examples pushed, in order.
    ///
    /// # Errors
    /// The temporary file of sequences cannot be written.
    pub fn finish(self) -> Result<Examples> {
        Ok(Examples { codes: self.codes.finish()?, ..self.examples })
    }
}

impl Examples {
    /// Examples in memory of which nothing is known but codes `[n, length]` and labels `[n, width]`.
    ///
    /// # Panics
    /// Codes and labels do not come to the same number of examples.
    pub fn from_codes(codes: &[u8], length: usize, labels: &[f32]) -> Self {
        let width = labels.len() * length / codes.len().max(1);
        let mut writer = ExamplesWriter::new(length, width, u64::MAX);
        for (codes, labels) in codes.chunks(length).zip(labels.chunks(width)) {
            let origin = Origin {
                source: "memory".into(),
                name: Name::Line(0),
                place: None,
                in_genome: false,
                bases: length,
                masked: 0.0,
            };
            writer.push(codes, labels, origin).unwrap();
        }
        writer.finish().unwrap()
    }
}
