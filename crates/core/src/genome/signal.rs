//! Signal tracks along a genome: values of a bigWig file at the positions of the genome's chromosomes. Where a file has no value it is 0.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

use crate::format::{counted, list_first, thousands};
use crate::formats::bigwig::BigWig;
use crate::genome::Genome;
use crate::genome::names::NameIndex;

/// Chromosomes that a message names.
const MOST_NAMES: usize = 3;

/// Bytes that a stretch of one value takes in memory.
const BYTES: u64 = 12;

/// The values of one file, by the chromosomes of a genome.
#[derive(Debug)]
pub struct Signal {
    path: PathBuf,
    /// Names in the file, by chromosome of the genome; none where the file has no such chromosome.
    names: Vec<Option<String>>,
    storage: Storage,
    /// Chromosomes of the genome without any value but 0.
    silent: Vec<usize>,
    signs: Signs,
    /// Values are counts drawn downwards.
    negated: bool,
    /// What is worth saying of the file, a sentence each.
    pub notices: Vec<String>,
}

#[derive(Debug)]
enum Storage {
    /// By chromosome of the genome.
    Memory(Vec<Stretches>),
    /// Read again when asked for.
    Disk(Box<Mutex<BigWig>>),
}

/// Stretches of one value, in order and apart from each other.
#[derive(Clone, Debug, Default)]
struct Stretches {
    starts: Vec<u32>,
    ends: Vec<u32>,
    values: Vec<f32>,
}

/// Values above and below zero.
#[derive(Clone, Debug, Default)]
struct Signs {
    above: u64,
    below: u64,
    /// Chromosome and position, 0-based, of the first above zero and of the first below.
    first_above: Option<(String, usize)>,
    first_below: Option<(String, usize)>,
}

impl Signs {
    fn add(&mut self, chromosome: &str, start: usize, value: f32) {
        let here = || (chromosome.to_owned(), start);
        if value > 0.0 {
            self.above += 1;
            self.first_above.get_or_insert_with(here);
        } else if value < 0.0 {
            self.below += 1;
            self.first_below.get_or_insert_with(here);
        }
    }
}

impl Signal {
    /// Reads a file for the chromosomes of a genome, of which 1 and chr1 are the same. Up to `memory` bytes are held in memory; of a
    /// larger file the values are read again when they are asked for.
    ///
    /// Chromosomes that the file lacks, or has no values for, have none; those that the genome lacks are passed over.
    ///
    /// # Errors
    /// The file is missing, damaged or no bigWig, shares no chromosome with the genome, or has another length for one.
    pub fn open(path: &Path, genome: &Genome, memory: u64) -> Result<Self> {
        let mut file = BigWig::open(path)?;
        let names = matched(&file, genome)?;
        let (mut signs, mut kept, mut bytes) = (Signs::default(), Some(Vec::new()), 0);
        let mut silent = Vec::new();
        for (i, (chromosome, name)) in genome.chromosomes.iter().zip(&names).enumerate() {
            let mut stretches = Stretches::default();
            let mut any = false;
            if let Some(name) = name {
                let holds = kept.is_some();
                file.values(name, 0..chromosome.length, |range, value| {
                    any |= value != 0.0;
                    signs.add(name, range.start, value);
                    if holds && bytes <= memory {
                        bytes += BYTES;
                        stretches.push(range, value);
                    }
                    Ok(())
                })?;
            }
            if !any {
                silent.push(i);
            }
            match &mut kept {
                _ if bytes > memory => kept = None,
                Some(all) => all.push(stretches),
                None => {}
            }
        }
        if signs.above + signs.below == 0 {
            bail!(
                "{}: has no value but 0 on the chromosomes of {}; check the file",
                path.display(),
                genome.path.display()
            );
        }
        let mut notices = Vec::new();
        if !silent.is_empty() {
            let silent_names: Vec<String> = silent.iter().map(|&i| genome.chromosomes[i].name.clone()).collect();
            notices.push(format!(
                "{}: has no signal on {} of {} ({}), which is taken as 0",
                path.display(),
                thousands(silent.len()),
                counted(genome.chromosomes.len() as u64, "chromosome"),
                list_first(&silent_names, MOST_NAMES)
            ));
        }
        let known: HashSet<&str> = names.iter().flatten().map(String::as_str).collect();
        let foreign: Vec<String> =
            file.chromosomes().iter().map(|c| c.name.clone()).filter(|name| !known.contains(name.as_str())).collect();
        if !foreign.is_empty() {
            notices.push(format!(
                "{}: {} that {} does not have ({}) are passed over",
                path.display(),
                counted(foreign.len() as u64, "chromosome"),
                genome.path.display(),
                list_first(&foreign, MOST_NAMES)
            ));
        }
        let storage = match kept {
            Some(all) => Storage::Memory(all),
            None => Storage::Disk(Box::new(Mutex::new(file))),
        };
        Ok(Self { path: path.into(), names, storage, silent, signs, negated: false, notices })
    }

    /// The same as counts: where no value is above zero they are drawn downwards, as the minus strand often is for browsers, and their
    /// absolute values are taken.
    ///
    /// # Errors
    /// Some values are above zero and some below.
    pub fn as_counts(mut self) -> Result<Self> {
        let Signs { above, below, first_above, first_below } = &self.signs;
        let path = self.path.display();
        if *below == 0 {
            return Ok(self);
        }
        if *above > 0 {
            bail!(
                "{path}: {} of {} values are above zero, the first at {} (0-based), and the others below, the first at {}, expected counts, which have one sign; name a file for each strand",
                thousands(*above as usize),
                thousands((above + below) as usize),
                shown(first_above),
                shown(first_below)
            );
        }
        self.notices.push(format!("{path}: has no value above zero, so it is taken as counts drawn downwards"));
        self.negated = true;
        Ok(self)
    }

    /// Refuses values below zero.
    ///
    /// # Errors
    /// There are some; the message ends with `why`.
    pub fn refuse_negative(&self, why: &str) -> Result<()> {
        let Signs { above, below, first_below, .. } = &self.signs;
        if *below == 0 || self.negated {
            return Ok(());
        }
        bail!(
            "{}: {} of {} values are below zero, the first at {} (0-based), and {why}",
            self.path.display(),
            thousands(*below as usize),
            thousands((above + below) as usize),
            shown(first_below)
        );
    }

    /// Chromosomes of the genome, by index, on which the file has no value but 0.
    pub fn silent(&self) -> &[usize] {
        &self.silent
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the values are held in memory.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.storage, Storage::Memory(_))
    }

    /// Passes on the values of a part of a chromosome of the genome, in order: stretches of one value, none where it is 0 for lack of one.
    ///
    /// # Errors
    /// The file cannot be read again.
    pub fn stretches(
        &self,
        chromosome: usize,
        part: Range<usize>,
        mut each: impl FnMut(Range<usize>, f32),
    ) -> Result<()> {
        let sign = if self.negated { -1.0 } else { 1.0 };
        match (&self.storage, &self.names[chromosome]) {
            (_, None) => {}
            (Storage::Memory(all), _) => all[chromosome].within(part, |range, value| each(range, sign * value)),
            (Storage::Disk(file), Some(name)) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.values(name, part, |range, value| {
                    each(range, sign * value);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// Puts the value of each base of a part of a chromosome into `out`, which is as long as the part.
    ///
    /// # Errors
    /// The file cannot be read again.
    pub fn values(&self, chromosome: usize, part: Range<usize>, out: &mut [f32]) -> Result<()> {
        out.fill(0.0);
        let first = part.start;
        self.stretches(chromosome, part, |range, value| out[range.start - first..range.end - first].fill(value))
    }

    /// The same, where the values add up to a number.
    ///
    /// # Errors
    /// They do not, or the file cannot be read again.
    pub fn finite_values(&self, chromosome: usize, part: Range<usize>, out: &mut [f32]) -> Result<()> {
        let (start, length) = (part.start, part.len());
        self.values(chromosome, part, out)?;
        if !out.iter().sum::<f32>().is_finite() {
            let file = self.path.display();
            bail!(
                "{file}: the signal in the {length} bp from {start} is beyond the range of a number of 32 bits; scale it"
            );
        }
        Ok(())
    }

    /// The sum over the bases of a part of a chromosome.
    ///
    /// # Errors
    /// The file cannot be read again.
    pub fn sum(&self, chromosome: usize, part: Range<usize>) -> Result<f64> {
        let mut sum = 0.0;
        self.stretches(chromosome, part, |range, value| sum += f64::from(value) * range.len() as f64)?;
        Ok(sum)
    }

    /// The largest value of a base of a part of a chromosome; bases without a value have 0.
    ///
    /// # Errors
    /// The file cannot be read again.
    pub fn max(&self, chromosome: usize, part: Range<usize>) -> Result<f64> {
        let (mut max, mut covered, length) = (f64::NEG_INFINITY, 0, part.len());
        self.stretches(chromosome, part, |range, value| {
            covered += range.len();
            max = max.max(f64::from(value));
        })?;
        Ok(if covered < length { max.max(0.0) } else { max })
    }
}

impl Stretches {
    fn push(&mut self, range: Range<usize>, value: f32) {
        self.starts.push(range.start as u32);
        self.ends.push(range.end as u32);
        self.values.push(value);
    }

    fn within(&self, part: Range<usize>, mut each: impl FnMut(Range<usize>, f32)) {
        let first = self.ends.partition_point(|&end| end as usize <= part.start);
        for i in first..self.starts.len() {
            let range = (self.starts[i] as usize).max(part.start)..(self.ends[i] as usize).min(part.end);
            if range.is_empty() {
                break;
            }
            each(range, self.values[i]);
        }
    }
}

/// A position as messages name it.
fn shown(position: &Option<(String, usize)>) -> String {
    position.as_ref().map_or_else(String::new, |(chromosome, at)| format!("{chromosome}:{at}"))
}

/// The name that a file has for each chromosome of a genome, if it has it.
fn matched(file: &BigWig, genome: &Genome) -> Result<Vec<Option<String>>> {
    let (path, theirs) = (file.path().display(), file.chromosomes());
    let index = NameIndex::new(theirs.iter().map(|chromosome| chromosome.name.as_str()));
    let mut names = Vec::new();
    for chromosome in &genome.chromosomes {
        let found = index.find(&chromosome.name).map(|i| &theirs[i]);
        if let Some(found) = found
            && found.length != chromosome.length
        {
            bail!(
                "{path}: {} has {} bp and {} in {}, so the file is of another assembly; make it for this genome",
                found.name,
                thousands(found.length),
                thousands(chromosome.length),
                genome.path.display()
            );
        }
        names.push(found.map(|found| found.name.clone()));
    }
    if names.iter().all(Option::is_none) {
        let first = |names: Option<&str>| names.map_or_else(|| "none".to_owned(), |name| format!("'{name}'"));
        bail!(
            "{path}: has no chromosome of {}: its first is {} and the genome's {}; make it for this genome",
            genome.path.display(),
            first(theirs.first().map(|chromosome| chromosome.name.as_str())),
            first(genome.chromosomes.first().map(|chromosome| chromosome.name.as_str()))
        );
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::bigwig::Writer;
    use crate::genome::Chromosome;
    use std::io::Cursor;

    fn genome() -> Genome {
        let chromosomes = [("chr1", 100), ("chr2", 60), ("chr3", 40)];
        let codes = chromosomes.map(|(name, length)| (name.to_owned(), vec![0; length]));
        Genome::from_codes(Path::new("genome.fa"), codes.to_vec())
    }

    /// Saves values, and reads them with much memory and with none.
    fn opened(chromosomes: &[(&str, usize)], values: &[(&str, Range<usize>, f32)]) -> Result<[Signal; 2]> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signal.bw");
        let infos: Vec<Chromosome> =
            chromosomes.iter().map(|(name, length)| Chromosome { name: (*name).into(), length: *length }).collect();
        let mut writer = Writer::new(Cursor::new(Vec::new()), &infos, folder.path()).unwrap();
        values.iter().for_each(|(chromosome, range, value)| writer.push(chromosome, range.clone(), *value).unwrap());
        std::fs::write(&path, writer.finish().unwrap().into_inner()).unwrap();
        let [memory, disk] = [1 << 20, 0].map(|memory| Signal::open(&path, &genome(), memory));
        let (memory, disk) = (memory?, disk?);
        assert!(memory.is_in_memory() && !disk.is_in_memory());
        Ok([memory, disk])
    }

    const VALUES: [(&str, Range<usize>, f32); 4] =
        [("1", 10..12, 2.0), ("1", 20..30, 0.5), ("3", 0..40, -1.0), ("X", 0..5, 9.0)];
    const CHROMOSOMES: [(&str, usize); 3] = [("1", 100), ("3", 40), ("X", 5)];

    #[test]
    fn values_totals_and_maxima_are_exact_in_memory_and_on_disk() {
        for signal in opened(&CHROMOSOMES, &VALUES).unwrap() {
            let mut out = [7.0; 12];
            signal.values(0, 9..21, &mut out).unwrap();
            assert_eq!(out, [0.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]);
            assert_eq!((signal.sum(0, 0..100).unwrap(), signal.sum(0, 11..22).unwrap()), (9.0, 3.0));
            assert_eq!((signal.max(0, 0..100).unwrap(), signal.max(0, 13..19).unwrap()), (2.0, 0.0));
            assert_eq!((signal.max(2, 3..9).unwrap(), signal.sum(2, 0..40).unwrap()), (-1.0, -40.0));
            assert_eq!((signal.sum(1, 0..60).unwrap(), signal.max(1, 0..60).unwrap()), (0.0, 0.0));
            assert!(
                signal
                    .refuse_negative("x")
                    .unwrap_err()
                    .to_string()
                    .contains("1 of 3 values are below zero, the first at 3:0")
            );
            assert!(
                signal.notices[0].contains("has no signal on 1 of 3 chromosomes (chr2), which is taken as 0"),
                "{:?}",
                signal.notices
            );
            assert!(
                signal.notices[1].contains("1 chromosome that genome.fa does not have (X)"),
                "{:?}",
                signal.notices
            );
        }
    }

    #[test]
    fn counts_have_one_sign() {
        let below = [("1", 10..12, -2.0), ("3", 0..40, -1.0)];
        for signal in opened(&CHROMOSOMES, &below).unwrap() {
            let signal = signal.as_counts().unwrap();
            assert_eq!((signal.sum(0, 0..100).unwrap(), signal.max(2, 0..40).unwrap()), (4.0, 1.0));
            signal.refuse_negative("").unwrap();
            assert!(
                signal
                    .notices
                    .last()
                    .unwrap()
                    .ends_with("has no value above zero, so it is taken as counts drawn downwards")
            );
        }
        let [mixed, _] = opened(&CHROMOSOMES, &VALUES).unwrap();
        let error = mixed.as_counts().unwrap_err().to_string();
        assert!(error.contains("2 of 3 values are above zero, the first at 1:10 (0-based)"), "{error}");
    }

    #[test]
    fn a_file_of_another_genome_is_one_sentence() {
        let error = opened(&[("chr1", 101)], &[("chr1", 0..1, 1.0)]).unwrap_err().to_string();
        assert!(error.contains("chr1 has 101 bp and 100 in genome.fa"), "{error}");
        let error = opened(&[("I", 100), ("II", 5)], &[("I", 0..1, 1.0)]).unwrap_err().to_string();
        assert!(error.contains("has no chromosome of genome.fa: its first is 'I' and the genome's 'chr1'"), "{error}");
        let error = opened(&[("chr1", 100)], &[("chr1", 0..1, 0.0)]).unwrap_err().to_string();
        assert!(error.contains("has no value but 0"), "{error}");
    }
}
