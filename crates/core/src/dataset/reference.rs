//! A reference genome divided into splits, and the windows around regions that lie within one of them.

use std::path::Path;

use anyhow::{Result, bail};

use crate::config::Center;
use crate::dataset::genomes::report_deal;
use crate::dataset::split::{self, Assignment, Split};
use crate::format::thousands;
use crate::genome::Genome;
use crate::genome::interval::Interval;
use crate::genome::left_out::LeftOut;
use crate::genome::reference::{Reference, RegionWindow, Regions};
use crate::progress::Progress;

/// A reference genome and the part of it that each split may use.
pub struct DividedReference {
    /// The genome, with its chromosomes found by name.
    pub reference: Reference,
    /// Intervals of training, validation and test, 0-based and half-open, in order of chromosome and start.
    pub parts: [Vec<Interval>; 3],
    /// Of a window, in bp.
    pub length: usize,
}

/// A window around a region, and the split whose part of the genome holds all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitWindow {
    /// Split that holds the whole window.
    pub split: Split,
    /// Window with its strand and the name of its region.
    pub window: RegionWindow,
}

/// What a BED file comes to in a genome that is divided into splits.
pub struct Found {
    /// In order of place.
    pub windows: Vec<SplitWindow>,
    /// What the regions and their windows cover.
    pub covered: Vec<Interval>,
    /// Regions in the file.
    all: usize,
    /// How the file is read, such as what its windows are centred on.
    reading: String,
    /// Regions that give no window.
    left_out: LeftOut,
    /// Regions whose window lies in no split, or across the edge of two.
    in_no_split: usize,
}

impl Found {
    /// Says what was left out.
    ///
    /// # Errors
    /// Everything was.
    pub fn report(&self, path: &Path, length: usize, progress: &Progress) -> Result<()> {
        let file = path.display();
        if self.windows.is_empty() {
            let left_out = match self.left_out.all() {
                0 => String::new(),
                _ => format!(" ({})", self.left_out.reasons()),
            };
            bail!(
                "{file}: none of {} regions gives a window of {length} bp inside the chromosomes of a split{left_out}, expected some; name other chromosomes or a smaller --length",
                self.all,
            );
        }
        progress.say(&format!("{file}: {}", self.reading));
        if let Some(left_out) = self.left_out.describe(self.all) {
            progress.say(&format!("{file}: {left_out}"));
        }
        if self.in_no_split > 0 {
            let n = thousands(self.in_no_split);
            progress.say(&format!("{file}: {n} regions lie in no split or across the edge of two and are skipped"));
        }
        Ok(())
    }
}

impl DividedReference {
    /// Divides a genome for windows of `length` bp.
    ///
    /// # Errors
    /// The assignment names a chromosome that the genome does not have.
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
        let parts = split::intervals(&genome.chromosomes, assignment, length);
        Ok(Self { reference: Reference::new(genome), parts, length })
    }

    /// The windows around the regions of a BED file that lie in a split.
    ///
    /// # Errors
    /// As [`Reference::windows`].
    pub fn find(&self, path: &Path, center: Option<Center>) -> Result<Found> {
        let Regions { file, windows: on_chromosomes, covered, left_out } =
            self.reference.windows(path, self.length, center)?;
        let on = on_chromosomes.len();
        let in_split = |window: RegionWindow| {
            let Interval { chromosome, range } = &window.interval;
            split::split_holding(&self.parts, *chromosome, range).map(|split| SplitWindow { split, window })
        };
        let windows: Vec<SplitWindow> = on_chromosomes.into_iter().filter_map(in_split).collect();
        let in_no_split = on - windows.len();
        Ok(Found { windows, covered, all: file.all(), reading: file.describe(), left_out, in_no_split })
    }
}
