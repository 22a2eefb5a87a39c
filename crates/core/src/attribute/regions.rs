//! Windows around regions of a genome as sequences to explain, in the order of their file.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Result;

use crate::attribute::sequences::Sequence;
use crate::config::Center;
use crate::format::list_first;
use crate::genome::Chromosome;
use crate::genome::interval::Place;
use crate::genome::reference::RegionWindows;
use crate::predict::unknown_limit::UnknownLimit;
use crate::sequence::alphabet;

/// Names of regions that a message lists.
const MOST_NAMES: usize = 5;

/// One pass over the windows of a file of regions.
pub struct RegionSequences {
    regions: RegionWindows,
    next: usize,
    /// Unknown bases that a window may hold.
    limit: UnknownLimit,
    /// Names of the regions whose window holds more.
    pub unknown: Vec<String>,
}

impl RegionSequences {
    /// Opens a genome and the regions of it, for a network of `length` bp; windows are centred as [`crate::formats::bed::read`] says.
    ///
    /// # Errors
    /// As [`RegionWindows::open`].
    pub fn open(reference: &Path, regions: &Path, length: usize, center: Option<Center>) -> Result<Self> {
        let mut regions = RegionWindows::open(reference, regions, length, center)?;
        regions.windows.sort_by_key(|window| window.region);
        Ok(Self { regions, next: 0, limit: UnknownLimit::NONE, unknown: Vec::new() })
    }

    /// Leaves out windows that hold more unknown bases than the limit.
    pub fn with_limit(self, limit: UnknownLimit) -> Self {
        Self { limit, ..self }
    }

    /// How the file of regions is read, for a message.
    pub fn description(&self) -> String {
        self.regions.file.describe()
    }

    /// The chromosomes of the genome.
    pub fn chromosomes(&self) -> Vec<Chromosome> {
        self.regions.chromosomes().to_vec()
    }

    /// What was left out of the file, and why; nothing where every region has a window.
    pub fn left_out(&self) -> Option<String> {
        let RegionWindows { file, windows, left_out, .. } = &self.regions;
        let reasons = left_out.describe(file.all())?;
        let has_window: HashSet<usize> = windows.iter().map(|window| window.region).collect();
        let without = file.regions.iter().enumerate().filter(|(i, _)| !has_window.contains(i));
        let names: Vec<String> = without
            .map(|(_, region)| {
                region.name.clone().unwrap_or_else(|| format!("{}:{}-{}", region.chromosome, region.start, region.end))
            })
            .collect();
        let names = if names.is_empty() { String::new() } else { format!(" ({})", list_first(&names, MOST_NAMES)) };
        Some(format!("{reasons}{names}"))
    }

    /// The next window within the limit of unknown bases.
    ///
    /// # Errors
    /// The genome cannot be read.
    pub fn next_sequence(&mut self) -> Result<Option<Sequence>> {
        while let Some(window) = self.regions.windows.get(self.next) {
            let index = window.region;
            self.next += 1;
            let mut codes = Vec::new();
            self.regions.codes(window, &mut codes)?;
            alphabet::without_case(&mut codes);
            let range = window.interval.range.clone();
            let place = Place { chromosome: self.regions.chromosome(window), range, reverse: window.reverse };
            let own = || format!("{}:{}-{}", place.chromosome, place.range.start, place.range.end);
            let name = window.name.clone().filter(|name| name != ".").unwrap_or_else(own);
            if self.limit.is_exceeded_by(&codes) {
                self.unknown.push(name);
                continue;
            }
            return Ok(Some(Sequence { name, index, own: 0..codes.len(), codes, first: 0, place: Some(place) }));
        }
        Ok(None)
    }
}
