//! Examples from regions of a genome: each BED interval is centred and resized to one length. A single set of regions is
//! told from negatives, which `negatives` makes.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};

use super::bed;
use super::examples::{Name, Place};
use super::fasta::{Chromosome, Genome};
use super::genomes::{chromosome_names, open_genome, report_deal, source_name};
use super::negatives;
use super::sequences::{Read, Sequences};
use super::split::{self, Assignment, Interval, Split};
use super::{Scope, half_of_free_memory};
use crate::config::{DataConfig, NEGATIVE, NamedPath, Negatives};
use crate::progress::Progress;
use crate::progress::thousands;

/// Length of a window where the user does not say, in bp: the width of most peaks' core.
const DEFAULT_LENGTH: usize = 200;

/// A genome and the part of it that each split may use.
pub struct Reference {
    pub genome: Genome,
    pub source: Arc<str>,
    pub chromosomes: Vec<Arc<str>>,
    index: HashMap<String, usize>,
    pub parts: [Vec<Interval>; 3],
    pub length: usize,
}

/// A window around a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionWindow {
    pub split: Split,
    pub interval: Interval,
    pub reverse: bool,
    pub name: Option<String>,
}

/// Reads regions, and makes negatives where they are a single set, into `sequences`. Only examples of the splits in
/// `scope` are made.
///
/// # Errors
/// A file is missing or malformed, a region lies outside its chromosome, or there are not enough negatives.
pub fn read(config: &DataConfig, scope: &Scope, sequences: &mut Sequences, progress: &Progress) -> Result<()> {
    let Scope { assignment, splits, seed, memory, question } = *scope;
    let length = question.map(|question| question.length).or(config.length).unwrap_or(DEFAULT_LENGTH);
    let Some(path) = &config.reference else { bail!("--regions needs --reference, the genome they lie in") };
    let wanted = |name: &str| assignment.split_of(name).is_some_and(|split| splits.contains(&split));
    let genome = open_genome(path, memory, &wanted, progress)?;
    let reference = Reference::new(genome, assignment, splits, length, progress)?;

    let mut covered = Vec::new();
    let mut windows_of = |name: &str, path: &Path| -> Result<Vec<RegionWindow>> {
        let (windows, regions) = reference.windows(name, path, progress)?;
        covered.extend(regions);
        Ok(windows)
    };
    let mut classes: Vec<(String, Vec<RegionWindow>)> = Vec::new();
    for NamedPath { name, path } in &config.regions {
        let windows = windows_of(name, path)?;
        match classes.iter_mut().find(|(other, _)| other == name) {
            Some((_, all)) => all.extend(windows),
            None => classes.push((name.clone(), windows)),
        }
    }
    let single = classes.len() == 1;
    if single && let Some(Negatives::Bed(path)) = &config.negatives {
        let windows = windows_of(NEGATIVE, path)?;
        classes.push((NEGATIVE.into(), windows));
    }
    for (name, windows) in &mut classes {
        let before = windows.len();
        let mut seen = HashSet::new();
        windows.retain(|window| {
            splits.contains(&window.split) && seen.insert((window.interval.chromosome, window.interval.range.start))
        });
        if windows.is_empty() {
            bail!(
                "class '{name}' has no region left for {}, of {before} that fit; name other chromosomes or check the files",
                splits.iter().map(|split| split.name()).collect::<Vec<_>>().join(", ")
            );
        }
        reference.add(name, windows, sequences, progress)?;
    }
    if !single {
        return Ok(());
    }
    for path in &config.exclude {
        covered.extend(reference.intervals(path)?);
    }
    covered.sort_by_key(|interval| (interval.chromosome, interval.range.start));
    let positives = &classes[0].1;
    let wanted = negatives::Wanted { per_positive: config.negatives_per_positive, max_n: config.max_n, seed };
    match config.negatives.as_ref().unwrap_or(&Negatives::GcMatched) {
        Negatives::Bed(_) => Ok(()),
        Negatives::Shuffle => negatives::shuffled(&reference, positives, wanted, sequences, progress),
        Negatives::GcMatched => negatives::drawn(&reference, positives, &covered, wanted, true, sequences, progress),
        Negatives::Random => negatives::drawn(&reference, positives, &covered, wanted, false, sequences, progress),
    }
}

/// Windows around the regions of a BED file, for scoring: all that lie on a chromosome, whatever the split.
pub struct RegionWindows {
    reference: Reference,
    pub windows: Vec<RegionWindow>,
    /// Regions in the file.
    pub all: usize,
    /// Regions whose window runs off the end of a chromosome.
    pub off_the_end: usize,
}

impl RegionWindows {
    /// Opens a genome and reads regions in it; nothing but the windows is held in memory of the genome.
    pub fn open(reference: &Path, regions: &Path, length: usize, progress: &Progress) -> Result<Self> {
        let chromosomes: HashSet<String> = bed::read(regions)?.into_iter().map(|region| region.chromosome).collect();
        let genome = open_genome(reference, half_of_free_memory(), &|name| chromosomes.contains(name), progress)?;
        let reference = Reference::new(genome, &Assignment::TestOnAll, &[Split::Test], length, &Progress::quiet())?;
        let all = bed::read(regions)?.len();
        let (windows, _) = reference.windows("regions", regions, &Progress::quiet())?;
        let off_the_end = all - windows.len();
        Ok(Self { reference, windows, all, off_the_end })
    }

    /// Puts the codes of a window, with case and as its strand reads, into `codes`.
    pub fn codes(&self, window: &RegionWindow, codes: &mut Vec<u8>) -> Result<()> {
        self.reference.codes(window, codes)
    }

    /// The chromosome that a window lies on.
    pub fn chromosome(&self, window: &RegionWindow) -> Arc<str> {
        self.reference.chromosomes[window.interval.chromosome].clone()
    }
}

impl Reference {
    fn new(
        genome: Genome,
        assignment: &Assignment,
        splits: &[Split],
        length: usize,
        progress: &Progress,
    ) -> Result<Self> {
        let known: Vec<&str> = genome.chromosomes.iter().map(|c| c.name.as_str()).collect();
        assignment.check(&known)?;
        report_deal("reference", &genome.chromosomes, assignment, splits, progress);
        let index = genome.chromosomes.iter().enumerate().map(|(i, c)| (c.name.clone(), i)).collect();
        let parts = split::intervals(&genome.chromosomes, assignment, length);
        let (source, chromosomes) = (source_name(&genome), chromosome_names(&genome));
        Ok(Self { genome, source, chromosomes, index, parts, length })
    }

    /// The regions of a BED file as intervals of this genome.
    ///
    /// # Errors
    /// A chromosome is unknown or a region ends beyond it; the message names the line.
    pub fn intervals(&self, path: &Path) -> Result<Vec<Interval>> {
        let regions = bed::read(path)?;
        regions.iter().map(|region| self.interval(path, region)).collect()
    }

    fn interval(&self, path: &Path, region: &bed::Region) -> Result<Interval> {
        let (file, line) = (path.display(), region.line);
        let Some(&chromosome) = self.index.get(&region.chromosome) else {
            let same = |c: &&Chromosome| split::same_name(&c.name) == split::same_name(&region.chromosome);
            let hint = match self.genome.chromosomes.iter().find(same) {
                Some(c) => format!("it is called '{}' there, so rename it in one of the files", c.name),
                None => "is it made for another genome?".into(),
            };
            bail!(
                "{file}: line {line}: {} has no chromosome '{}', expected names such as {}; {hint}",
                self.source,
                region.chromosome,
                split::list_names(self.genome.chromosomes.iter().take(4).map(|c| c.name.as_str()))
            );
        };
        let length = self.genome.chromosomes[chromosome].length;
        if region.end > length {
            bail!(
                "{file}: line {line}: the region ends at {}, beyond the {length} bp of chromosome '{}' in {}; is it made for another assembly?",
                region.end,
                region.chromosome,
                self.source
            );
        }
        Ok(Interval { chromosome, range: region.start..region.end })
    }

    /// The windows around the regions of a file that lie in a split, in order of place, and all that the regions and
    /// their windows cover.
    fn windows(&self, name: &str, path: &Path, progress: &Progress) -> Result<(Vec<RegionWindow>, Vec<Interval>)> {
        let regions = bed::read(path)?;
        let (mut windows, mut covered) = (Vec::with_capacity(regions.len()), Vec::with_capacity(regions.len()));
        let (mut off_the_end, mut in_no_split) = (0, 0);
        for region in &regions {
            let interval = self.interval(path, region)?;
            let length = self.genome.chromosomes[interval.chromosome].length;
            let start = region.centre().checked_sub(self.length / 2);
            let Some(start) = start.filter(|start| start + self.length <= length) else {
                off_the_end += 1;
                covered.push(interval);
                continue;
            };
            let range = start..start + self.length;
            let all = interval.range.start.min(range.start)..interval.range.end.max(range.end);
            covered.push(Interval { range: all, ..interval });
            match split::split_holding(&self.parts, interval.chromosome, &range) {
                Some(split) => windows.push(RegionWindow {
                    split,
                    interval: Interval { chromosome: interval.chromosome, range },
                    reverse: region.reverse,
                    name: region.name.clone().filter(|name| name != "."),
                }),
                None => in_no_split += 1,
            }
        }
        if windows.is_empty() {
            bail!(
                "{}: none of {} regions gives a window of {} bp inside the chromosomes of a split ({off_the_end} run off the end of a chromosome), expected some for class '{name}'; name other chromosomes or a smaller --length",
                path.display(),
                regions.len(),
                self.length
            );
        }
        windows.sort_by(|a, b| {
            let key = |window: &RegionWindow| (window.interval.chromosome, window.interval.range.start);
            key(a).cmp(&key(b))
        });
        let mut notes = Vec::new();
        if off_the_end > 0 {
            notes.push(format!("{} run off the end of a chromosome and are skipped", thousands(off_the_end)));
        }
        if in_no_split > 0 {
            notes.push(format!("{} lie in no split or across the edge of two and are skipped", thousands(in_no_split)));
        }
        let notes = if notes.is_empty() { String::new() } else { format!("; {}", notes.join(", ")) };
        progress.say(&format!("{}: {} regions{notes}", path.display(), thousands(regions.len())));
        Ok((windows, covered))
    }

    /// Adds the sequences of windows; those without a known base are skipped and counted.
    fn add(
        &self,
        class: &str,
        windows: &mut Vec<RegionWindow>,
        sequences: &mut Sequences,
        progress: &Progress,
    ) -> Result<()> {
        let label = sequences.class(class);
        let (mut codes, mut unknown) = (Vec::new(), Vec::new());
        for (i, window) in windows.iter().enumerate() {
            self.codes(window, &mut codes)?;
            if codes.iter().all(|&code| super::alphabet::is_unknown(code)) {
                unknown.push(i);
                continue;
            }
            let place = self.place(&window.interval, window.reverse);
            let name = match &window.name {
                Some(name) => Name::Text(name.as_str().into()),
                None => Name::Place,
            };
            let read = Read { source: &self.source, name, place: Some(place), in_genome: true };
            sequences.push(&codes, label.clone(), Some(window.split), read)?;
        }
        if !unknown.is_empty() {
            let n = unknown.len();
            progress.say(&format!("{} regions of class '{class}' hold no known base and are skipped", thousands(n)));
            if n == windows.len() {
                bail!("class '{class}' has no region with a known base; is --reference masked with N?");
            }
            let mut i = 0;
            windows.retain(|_| {
                i += 1;
                unknown.binary_search(&(i - 1)).is_err()
            });
        }
        Ok(())
    }

    /// Puts the codes of a window, with case and as its strand reads, into `codes`.
    pub fn codes(&self, window: &RegionWindow, codes: &mut Vec<u8>) -> Result<()> {
        codes.clear();
        self.genome.read(window.interval.chromosome, window.interval.range.clone(), codes)?;
        if window.reverse {
            super::alphabet::reverse_complement(codes);
        }
        Ok(())
    }

    pub fn place(&self, interval: &Interval, reverse: bool) -> Place {
        Place { chromosome: self.chromosomes[interval.chromosome].clone(), range: interval.range.clone(), reverse }
    }
}
