//! A genome whose chromosomes are found by name: each region of a file becomes a window of one length, centred on its
//! summit or its middle. The split of a window is decided elsewhere.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::config::Center;
use crate::format::{counted, thousands};
use crate::formats::bed::{self, Region, RegionFile};
use crate::genome::interval::{Interval, Place};
use crate::genome::left_out::LeftOut;
use crate::genome::names::{NameIndex, list_names};
use crate::genome::{Chromosome, Genome};

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
    /// Index of the region in its file.
    pub region: usize,
}

/// The regions of a file in one genome.
pub struct Regions {
    /// The file, in its own order.
    pub file: RegionFile,
    /// Windows sorted by chromosome and start.
    pub windows: Vec<RegionWindow>,
    /// The smallest interval around each region that lies in the genome and its window, in file order.
    pub covered: Vec<Interval>,
    /// Regions that give no window.
    pub left_out: LeftOut,
}

/// Where a region lies in a genome.
enum Placed {
    /// On a chromosome, whole.
    Inside(Interval),
    /// On a chromosome, and beyond its end; the interval is what lies inside.
    Beyond(Interval),
    /// On a chromosome that the genome lacks.
    Absent,
}

impl Reference {
    /// Indexes the chromosomes of a genome by name.
    pub fn new(genome: Genome) -> Self {
        let index = NameIndex::new(genome.chromosomes.iter().map(|c| c.name.as_str()));
        let (source, chromosomes) = (genome.source_name(), genome.chromosome_names());
        Self { genome, source, chromosomes, index }
    }

    /// Index of a chromosome, by any spelling of its name: `1` and `chr1` are the same where the genome does not have both.
    pub fn chromosome(&self, name: &str) -> Option<usize> {
        self.index.find(name)
    }

    fn place_region(&self, region: &Region) -> Placed {
        let Some(chromosome) = self.chromosome(&region.chromosome) else { return Placed::Absent };
        let length = self.genome.chromosomes[chromosome].length;
        let interval = Interval { chromosome, range: region.start.min(length)..region.end.min(length) };
        if region.end > length { Placed::Beyond(interval) } else { Placed::Inside(interval) }
    }

    /// What regions of a file cover of this genome, and what there is to say of those that lie outside it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn covered(&self, path: &Path) -> Result<(Vec<Interval>, Option<String>)> {
        let file = bed::read(path, Some(Center::Middle))?;
        let mut left_out = LeftOut::of(&file);
        let mut intervals = Vec::new();
        for region in &file.regions {
            match self.place_region(region) {
                Placed::Inside(interval) => intervals.push(interval),
                Placed::Beyond(interval) => {
                    left_out.add_beyond(region, self.genome.chromosomes[interval.chromosome].length);
                    intervals.extend(Some(interval).filter(|interval| !interval.range.is_empty()));
                }
                Placed::Absent => left_out.add_absent(region),
            }
        }
        let note = (left_out.all() > 0).then(|| {
            let outside = if intervals.is_empty() {
                "no region lies in the genome, so nothing is excluded"
            } else {
                "what lies outside the genome excludes nothing"
            };
            format!(
                "{}: {outside}: of {}, {}",
                path.display(),
                counted(file.all() as u64, "region"),
                left_out.reasons()
            )
        });
        Ok((intervals, note))
    }

    /// Windows of `length` bp around the regions of a file, centred as [`bed::read`] says.
    ///
    /// # Errors
    /// The file cannot be read, or most of its regions do not lie in this genome.
    pub fn windows(&self, path: &Path, length: usize, center: Option<Center>) -> Result<Regions> {
        let file = bed::read(path, center)?;
        let left_out = LeftOut::of(&file);
        let mut found = Regions { file, windows: Vec::new(), covered: Vec::new(), left_out };
        for (at, region) in found.file.regions.iter().enumerate() {
            let interval = match self.place_region(region) {
                Placed::Inside(interval) => interval,
                Placed::Beyond(interval) => {
                    found.left_out.add_beyond(region, self.genome.chromosomes[interval.chromosome].length);
                    found.covered.extend(Some(interval).filter(|interval| !interval.range.is_empty()));
                    continue;
                }
                Placed::Absent => {
                    found.left_out.add_absent(region);
                    continue;
                }
            };
            let bases = self.genome.chromosomes[interval.chromosome].length;
            let start = region.centre().checked_sub(length / 2);
            let Some(start) = start.filter(|start| start + length <= bases) else {
                found.left_out.off_the_end += 1;
                found.covered.push(interval);
                continue;
            };
            let range = start..start + length;
            let all = interval.range.start.min(range.start)..interval.range.end.max(range.end);
            found.covered.push(Interval { range: all, ..interval });
            found.windows.push(RegionWindow {
                interval: Interval { chromosome: interval.chromosome, range },
                reverse: region.reverse,
                name: region.name.clone(),
                region: at,
            });
        }
        self.refuse_other_assembly(path, &found)?;
        found.windows.sort_by_key(|window| (window.interval.chromosome, window.interval.range.start));
        Ok(found)
    }

    /// A few regions outside the genome are left out and counted; most of them are those of another assembly.
    fn refuse_other_assembly(&self, path: &Path, found: &Regions) -> Result<()> {
        let (misplaced, all) = (found.left_out.misplaced(), found.file.regions.len());
        if misplaced * 2 <= all {
            return Ok(());
        }
        let chromosomes = self.genome.chromosomes.iter().take(4);
        let names: Vec<String> = chromosomes.map(|c| format!("{} ({} bp)", c.name, c.length)).collect();
        bail!(
            "{}: {} of {} regions do not lie in {}: {}; expected regions on chromosomes such as {}; is one of the two of another assembly?",
            path.display(),
            thousands(misplaced),
            thousands(all),
            self.source,
            found.left_out.reasons(),
            list_names(names.iter().map(String::as_str))
        );
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

/// Windows around the regions of a file, for scoring.
pub struct RegionWindows {
    reference: Reference,
    /// The regions in the order of their file.
    pub file: RegionFile,
    /// The windows that fit on their chromosome, sorted by chromosome and start.
    pub windows: Vec<RegionWindow>,
    /// Regions that give no window.
    pub left_out: LeftOut,
}

impl RegionWindows {
    /// Opens a genome and reads regions; the genome is read from disk on demand, so that its size does not matter.
    ///
    /// # Errors
    /// A file is missing or malformed, most regions do not lie in the genome, or none gives a window.
    pub fn open(reference: &Path, regions: &Path, length: usize, center: Option<Center>) -> Result<Self> {
        let reference = Reference::new(Genome::open(reference, 0, &|_| true)?);
        let Regions { file, windows, left_out, .. } = reference.windows(regions, length, center)?;
        if windows.is_empty() {
            bail!(
                "{}: none of {} regions has room for a window of {length} bp, the network's length: {}; give others",
                regions.display(),
                file.all(),
                left_out.reasons()
            );
        }
        Ok(Self { reference, file, windows, left_out })
    }

    /// Replaces `codes` by the codes of a window, with case, on the strand of its region.
    ///
    /// # Errors
    /// The genome cannot be read.
    pub fn codes(&self, window: &RegionWindow, codes: &mut Vec<u8>) -> Result<()> {
        self.reference.codes(window, codes)
    }

    /// The chromosomes of the genome.
    pub fn chromosomes(&self) -> &[Chromosome] {
        &self.reference.genome.chromosomes
    }

    /// Name of the chromosome that a window lies on.
    pub fn chromosome(&self, window: &RegionWindow) -> Arc<str> {
        self.reference.chromosomes[window.interval.chromosome].clone()
    }

    /// A chromosome's name as the genome has it, or as it stands where the genome lacks it.
    pub fn name_in_genome(&self, chromosome: &Arc<str>) -> Arc<str> {
        let found = self.reference.chromosome(chromosome);
        found.map_or_else(|| chromosome.clone(), |found| self.reference.chromosomes[found].clone())
    }
}
