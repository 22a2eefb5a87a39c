//! A reference genome divided into splits, and the windows around regions that lie within one of them.

use std::path::Path;

use anyhow::{Result, bail};

use crate::config::Center;
use crate::dataset::LoadRequest;
use crate::dataset::genomes::{open_genome, report_deal};
use crate::dataset::split::{self, Assignment, Resolved, Shares, Split};
use crate::format::thousands;
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
    /// Whether blocks of all chromosomes are dealt to splits, as there are too few whole ones.
    by_blocks: bool,
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
    /// Opens a genome and divides it for windows of `length` bp: by chromosome, or by blocks where the user names no
    /// chromosomes and there are too few for every split.
    ///
    /// # Errors
    /// The genome cannot be read, or the assignment names a chromosome that it does not have, or leaves none for a split.
    pub fn open(path: &Path, request: &LoadRequest, splits: &[Split], length: usize) -> Result<Self> {
        let LoadRequest { assignment, memory, progress, .. } = request;
        let genome = open_genome(path, *memory, &assignment.may_need(splits), progress)?;
        let known: Vec<&str> = genome.chromosomes.iter().map(|c| c.name.as_str()).collect();
        assignment.check(&known)?;
        if let Assignment::Choice(choice) = assignment {
            let resolved = Resolved::of_genome(assignment, &genome.chromosomes);
            split::check_flags_leave_some(&resolved, &genome.chromosomes, &Split::ALL, choice)?;
        }
        let parts = split::intervals(&genome.chromosomes, assignment, length);
        let mut divided = Self { reference: Reference::new(genome), parts, length, by_blocks: false };
        if assignment.may_use_blocks() && divided.parts.iter().any(Vec::is_empty) {
            divided.divide_by_blocks("windows", request, splits)?;
        } else {
            report_deal("reference", &divided.reference.genome.chromosomes, assignment, splits, progress);
        }
        Ok(divided)
    }

    /// Divides the genome by blocks instead, if it was left to the program how and one of the splits got no window at all.
    ///
    /// # Errors
    /// The genome cannot be read.
    pub fn give_every_split_some(
        &mut self,
        windows: &mut [&mut Vec<SplitWindow>],
        request: &LoadRequest,
        splits: &[Split],
    ) -> Result<()> {
        let has = |split| windows.iter().any(|windows| windows.iter().any(|window| window.split == split));
        if !request.assignment.may_use_blocks() || self.by_blocks || Split::ALL.into_iter().all(has) {
            return Ok(());
        }
        self.divide_by_blocks("regions", request, splits)?;
        let mut lost = 0;
        for windows in windows {
            let before = windows.len();
            windows.retain_mut(|SplitWindow { split, window: RegionWindow { interval, .. } }| {
                let found = split::split_holding(&self.parts, interval.chromosome, &interval.range);
                *split = found.unwrap_or(*split);
                found.is_some()
            });
            lost += before - windows.len();
        }
        if lost > 0 {
            request
                .progress
                .say(&format!("{} regions lie across the edge of two blocks and are skipped", thousands(lost)));
        }
        Ok(())
    }

    fn divide_by_blocks(&mut self, what: &str, request: &LoadRequest, splits: &[Split]) -> Result<()> {
        let LoadRequest { memory, progress, .. } = request;
        let assignment = Assignment::by_blocks(Shares::default());
        progress.say(&format!(
            "whole chromosomes of the reference cannot give every split {what}, so they are divided by blocks"
        ));
        if splits.len() < Split::ALL.len() {
            // Only what whole chromosomes would have given to these splits was read.
            let genome = open_genome(&self.reference.genome.path, *memory, &|_| true, progress)?;
            self.reference = Reference::new(genome);
        }
        let chromosomes = &self.reference.genome.chromosomes;
        self.parts = split::intervals(chromosomes, &assignment, self.length);
        self.by_blocks = true;
        report_deal("reference", chromosomes, &assignment, splits, progress);
        Ok(())
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
