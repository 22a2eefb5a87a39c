//! Regions that give no window of a genome: counted by reason, and the first of each named.

use std::collections::HashMap;
use std::sync::Arc;

use crate::format::{counted, shortened, thousands};
use crate::formats::bed::{Region, RegionFile};

/// Chromosomes that a message names.
const MOST_NAMES: usize = 3;

/// Characters of a name in a message; a file may hold any.
const LONGEST_NAME: usize = 40;

/// Why regions were left out, how many, and the first of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Lines that are no regions, and the first with its fault.
    unreadable: usize,
    first_unreadable: Option<(u64, String)>,
    /// Chromosomes that the genome lacks in order of appearance, with their regions and the first line.
    absent: Vec<(Arc<str>, usize, u64)>,
    index: HashMap<Arc<str>, usize>,
    /// Regions that end beyond their chromosome, and the first with the length of the chromosome.
    beyond: usize,
    first_beyond: Option<(Region, usize)>,
    /// Regions whose window runs off the end of a chromosome.
    pub off_the_end: usize,
}

impl LeftOut {
    /// Starts with the lines of a file that are no regions.
    pub fn of(file: &RegionFile) -> Self {
        let first = file.unreadable.first().map(|first| {
            let fault = first.fault.split(", expected").next().unwrap_or_default();
            (first.line, fault.to_owned())
        });
        Self { unreadable: file.unreadable.len(), first_unreadable: first, ..Self::default() }
    }

    /// Counts a region on a chromosome that the genome lacks.
    pub fn add_absent(&mut self, region: &Region) {
        let next = self.absent.len();
        let at = *self.index.entry(region.chromosome.clone()).or_insert(next);
        match self.absent.get_mut(at) {
            Some((_, count, _)) => *count += 1,
            None => self.absent.push((region.chromosome.clone(), 1, region.line)),
        }
    }

    /// Counts a region that ends beyond the `length` bp of its chromosome.
    pub fn add_beyond(&mut self, region: &Region, length: usize) {
        self.beyond += 1;
        self.first_beyond.get_or_insert_with(|| (region.clone(), length));
    }

    /// Regions on chromosomes that the genome lacks.
    pub fn absent(&self) -> usize {
        self.absent.iter().map(|(_, count, _)| count).sum()
    }

    /// Regions that the genome has no place for, which most of a file's do not have where it is made for another assembly.
    pub fn misplaced(&self) -> usize {
        self.absent() + self.beyond
    }

    /// All regions that were left out.
    pub fn all(&self) -> usize {
        self.unreadable + self.misplaced() + self.off_the_end
    }

    /// Whether lines or places were wrong, not only too near to an end for a window.
    pub fn is_odd(&self) -> bool {
        self.unreadable > 0 || self.misplaced() > 0
    }

    /// What was left out of how many regions, and why; nothing where all have a window.
    pub fn describe(&self, regions: usize) -> Option<String> {
        let all = self.all();
        (all > 0).then(|| {
            format!("{} of {} left out: {}", thousands(all), counted(regions as u64, "region"), self.reasons())
        })
    }

    /// The reasons, with numbers and the first line of each, as a part of a sentence.
    pub fn reasons(&self) -> String {
        let mut parts = Vec::new();
        if let Some((line, fault)) = &self.first_unreadable {
            parts.push(format!("{} with a line that is no region (line {line}: {fault})", thousands(self.unreadable)));
        }
        for (name, count, line) in self.absent.iter().take(MOST_NAMES) {
            let first = if *count > 1 { "first in line" } else { "line" };
            let name = shortened(name, LONGEST_NAME);
            parts.push(format!("{} on {name}, which the genome lacks ({first} {line})", thousands(*count)));
        }
        if self.absent.len() > MOST_NAMES {
            let rest: usize = self.absent.iter().skip(MOST_NAMES).map(|(_, count, _)| count).sum();
            let names = self.absent.len() - MOST_NAMES;
            parts.push(format!("{} on {} others that it lacks", thousands(rest), thousands(names)));
        }
        if let Some((Region { chromosome, end, line, .. }, length)) = &self.first_beyond {
            let count = thousands(self.beyond);
            parts.push(format!(
                "{count} beyond the end of a chromosome (line {line} ends at {end}, and {chromosome} has {length} bp)"
            ));
        }
        if self.off_the_end > 0 {
            let count = thousands(self.off_the_end);
            parts.push(format!("{count} whose window runs off the end of a chromosome"));
        }
        parts.join(", ")
    }
}
