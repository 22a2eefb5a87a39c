//! A genome whose chromosomes are found by name: each BED interval becomes a window of one length, centred on its
//! summit or its middle. The split of a window is decided elsewhere.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::formats::bed;
use crate::genome::Genome;
use crate::genome::interval::{Interval, Place};
use crate::genome::names::{NameIndex, list_names, other_name};

/// A genome, and its chromosomes by name.
pub struct Reference {
    /// The genome that the positions refer to.
    pub genome: Genome,
    /// Absolute path of the genome's file, as examples and messages name it.
    pub source: Arc<str>,
    /// Names of the chromosomes, shared by all windows.
    pub chromosomes: Vec<Arc<str>>,
    index: NameIndex,
}

/// A window around a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionWindow {
    /// Position of the window, 0-based and half-open.
    pub interval: Interval,
    /// Whether the region lies on the minus strand, so that the window is reverse-complemented.
    pub reverse: bool,
    /// Name of the region, if it has one.
    pub name: Option<String>,
}

/// The regions of a BED file in one genome.
pub struct Regions {
    /// Windows sorted by chromosome and start.
    pub windows: Vec<RegionWindow>,
    /// The smallest interval around each region and its window, in file order.
    pub covered: Vec<Interval>,
    /// Number of regions in the file.
    pub all: usize,
    /// Number of regions whose window runs off the end of a chromosome.
    pub off_the_end: usize,
}

impl Reference {
    /// Indexes the chromosomes of a genome by name.
    pub fn new(genome: Genome) -> Self {
        let index = NameIndex::new(genome.chromosomes.iter().map(|c| c.name.as_str()));
        let (source, chromosomes) = (genome.source_name(), genome.chromosome_names());
        Self { genome, source, chromosomes, index }
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
        let Some(chromosome) = self.index.find(&region.chromosome) else {
            let hint = other_name(&self.genome.chromosomes, &region.chromosome);
            bail!(
                "{file}: line {line}: {} has no chromosome '{}', expected names such as {}; {hint}",
                self.source,
                region.chromosome,
                list_names(self.genome.chromosomes.iter().take(4).map(|c| c.name.as_str()))
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

    /// Windows of `length` bp around the regions of a BED file.
    ///
    /// # Errors
    /// As [`Reference::intervals`].
    pub fn windows(&self, path: &Path, length: usize) -> Result<Regions> {
        let regions = bed::read(path)?;
        let mut found = Regions { windows: Vec::new(), covered: Vec::new(), all: regions.len(), off_the_end: 0 };
        for region in regions {
            let interval = self.interval(path, &region)?;
            let bases = self.genome.chromosomes[interval.chromosome].length;
            let start = region.centre().checked_sub(length / 2);
            let Some(start) = start.filter(|start| start + length <= bases) else {
                found.off_the_end += 1;
                found.covered.push(interval);
                continue;
            };
            let range = start..start + length;
            let all = interval.range.start.min(range.start)..interval.range.end.max(range.end);
            found.covered.push(Interval { range: all, ..interval });
            found.windows.push(RegionWindow {
                interval: Interval { chromosome: interval.chromosome, range },
                reverse: region.reverse,
                name: region.name.filter(|name| name != "."),
            });
        }
        found.windows.sort_by_key(|window| (window.interval.chromosome, window.interval.range.start));
        Ok(found)
    }

    /// Replaces `codes` by the codes of a window, with case, on the strand of its region.
    ///
    /// # Errors
    /// The genome cannot be read.
    pub fn codes(&self, window: &RegionWindow, codes: &mut Vec<u8>) -> Result<()> {
        codes.clear();
        let Interval { chromosome, range } = &window.interval;
        self.genome.read_strand(*chromosome, range.clone(), window.reverse, codes)
    }

    /// Converts an interval of this genome into a place, which names the chromosome.
    pub fn place(&self, interval: &Interval, reverse: bool) -> Place {
        Place { chromosome: self.chromosomes[interval.chromosome].clone(), range: interval.range.clone(), reverse }
    }
}

/// Windows around the regions of a BED file, for scoring.
pub struct RegionWindows {
    reference: Reference,
    /// The windows that fit on their chromosome, sorted by chromosome and start.
    pub windows: Vec<RegionWindow>,
    /// Number of regions in the file.
    pub all: usize,
    /// Number of regions whose window runs off the end of a chromosome.
    pub off_the_end: usize,
}

impl RegionWindows {
    /// Opens a genome and reads regions; the genome is read from disk on demand, so that its size does not matter.
    ///
    /// # Errors
    /// A file is missing or malformed, or no region gives a window.
    pub fn open(reference: &Path, regions: &Path, length: usize) -> Result<Self> {
        let reference = Reference::new(Genome::open(reference, 0, &|_| true)?);
        let Regions { windows, all, off_the_end, .. } = reference.windows(regions, length)?;
        if windows.is_empty() {
            bail!(
                "{}: none of {all} regions has room for a window of {length} bp, the network's length; give others",
                regions.display()
            );
        }
        Ok(Self { reference, windows, all, off_the_end })
    }

    /// Replaces `codes` by the codes of a window, with case, on the strand of its region.
    ///
    /// # Errors
    /// The genome cannot be read.
    pub fn codes(&self, window: &RegionWindow, codes: &mut Vec<u8>) -> Result<()> {
        self.reference.codes(window, codes)
    }

    /// Name of the chromosome that a window lies on.
    pub fn chromosome(&self, window: &RegionWindow) -> Arc<str> {
        self.reference.chromosomes[window.interval.chromosome].clone()
    }
}
