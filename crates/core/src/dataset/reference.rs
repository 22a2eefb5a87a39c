//! A genome with regions in it: each BED interval becomes a window of one length, centred on its summit or its middle,
//! and belongs to the split that the genome's chromosomes say.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::dataset::examples::Place;
use crate::dataset::genomes::{chromosome_names, report_deal, source_name};
use crate::dataset::split;
use crate::dataset::split::{Assignment, Interval, Split};
use crate::format::thousands;
use crate::formats::bed;
use crate::genome::{Chromosome, Genome};
use crate::progress::Progress;

/// A genome and the part of it that each split may use.
pub struct Reference {
    pub genome: Genome,
    pub source: Arc<str>,
    pub chromosomes: Vec<Arc<str>>,
    index: HashMap<String, usize>,
    pub parts: [Vec<Interval>; 3],
    pub length: usize,
}

/// What to do about a chromosome that a genome does not have by that name.
pub fn other_name(chromosomes: &[Chromosome], name: &str) -> String {
    match chromosomes.iter().find(|chromosome| split::is_same_name(&chromosome.name, name)) {
        Some(other) => format!("it is called '{}' there, so rename it in one of the files", other.name),
        None => "is it made for another genome?".into(),
    }
}

/// A window around a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionWindow {
    pub split: Split,
    pub interval: Interval,
    pub reverse: bool,
    pub name: Option<String>,
}

/// What a BED file comes to in one genome.
pub struct Found {
    /// In order of place.
    pub windows: Vec<RegionWindow>,
    /// What the regions and their windows cover.
    pub covered: Vec<Interval>,
    /// Regions in the file.
    pub all: usize,
    /// Regions whose window runs off the end of a chromosome.
    pub off_the_end: usize,
    /// Regions whose window lies in no split, or across the edge of two.
    pub in_no_split: usize,
}

impl Found {
    /// Says what was left out.
    ///
    /// # Errors
    /// Everything was.
    pub fn report(&self, path: &Path, length: usize, progress: &Progress) -> Result<()> {
        if self.windows.is_empty() {
            bail!(
                "{}: none of {} regions gives a window of {length} bp inside the chromosomes of a split ({} run off the end of a chromosome), expected some; name other chromosomes or a smaller --length",
                path.display(),
                self.all,
                self.off_the_end
            );
        }
        let mut text = format!("{}: {} regions", path.display(), thousands(self.all));
        if self.off_the_end > 0 {
            let n = thousands(self.off_the_end);
            text.push_str(&format!("; {n} run off the end of a chromosome and are skipped"));
        }
        if self.in_no_split > 0 {
            let n = thousands(self.in_no_split);
            text.push_str(&format!("; {n} lie in no split or across the edge of two and are skipped"));
        }
        progress.say(&text);
        Ok(())
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
    /// Reads regions; the genome is read from disk window by window, so that its size does not matter.
    ///
    /// # Errors
    /// A file is missing or malformed, or no region gives a window.
    pub fn open(reference: &Path, regions: &Path, length: usize) -> Result<Self> {
        let genome = Genome::open(reference, 0, &|_| true)?;
        let reference = Reference::new(genome, &Assignment::TestOnAll, &[Split::Test], length, &Progress::quiet())?;
        let Found { windows, all, off_the_end, .. } = reference.find(regions)?;
        if windows.is_empty() {
            bail!(
                "{}: none of {all} regions has room for a window of {length} bp, the network's length; give others",
                regions.display()
            );
        }
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
    pub fn new(
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
            let hint = other_name(&self.genome.chromosomes, &region.chromosome);
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

    /// The windows around the regions of a file.
    pub fn find(&self, path: &Path) -> Result<Found> {
        let regions = bed::read(path)?;
        let mut found =
            Found { windows: Vec::new(), covered: Vec::new(), all: regions.len(), off_the_end: 0, in_no_split: 0 };
        for region in regions {
            let interval = self.interval(path, &region)?;
            let length = self.genome.chromosomes[interval.chromosome].length;
            let start = region.centre().checked_sub(self.length / 2);
            let Some(start) = start.filter(|start| start + self.length <= length) else {
                found.off_the_end += 1;
                found.covered.push(interval);
                continue;
            };
            let range = start..start + self.length;
            let all = interval.range.start.min(range.start)..interval.range.end.max(range.end);
            found.covered.push(Interval { range: all, ..interval });
            match split::split_holding(&self.parts, interval.chromosome, &range) {
                Some(split) => found.windows.push(RegionWindow {
                    split,
                    interval: Interval { chromosome: interval.chromosome, range },
                    reverse: region.reverse,
                    name: region.name.filter(|name| name != "."),
                }),
                None => found.in_no_split += 1,
            }
        }
        found.windows.sort_by_key(|window| (window.interval.chromosome, window.interval.range.start));
        Ok(found)
    }

    /// Puts the codes of a window, with case and as its strand reads, into `codes`.
    pub fn codes(&self, window: &RegionWindow, codes: &mut Vec<u8>) -> Result<()> {
        codes.clear();
        let Interval { chromosome, range } = &window.interval;
        self.genome.read_strand(*chromosome, range.clone(), window.reverse, codes)
    }

    pub fn place(&self, interval: &Interval, reverse: bool) -> Place {
        Place { chromosome: self.chromosomes[interval.chromosome].clone(), range: interval.range.clone(), reverse }
    }
}
