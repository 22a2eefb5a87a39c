//! Windows around regions of a genome as sequences to explain, in the order of their file.

use std::path::Path;

use anyhow::Result;

use crate::attribute::sequences::Sequence;
use crate::genome::interval::Place;
use crate::genome::reference::RegionWindows;
use crate::sequence::alphabet;

/// One pass over the windows of a file of regions.
pub struct RegionSequences {
    regions: RegionWindows,
    next: usize,
    /// Names of the regions whose window holds no known base, which nothing can be said of.
    pub unknown: Vec<String>,
}

impl RegionSequences {
    /// Opens a genome and the regions of it, for a network of `length` bp.
    ///
    /// # Errors
    /// As [`RegionWindows::open`].
    pub fn open(reference: &Path, regions: &Path, length: usize) -> Result<Self> {
        let regions = RegionWindows::open(reference, regions, length)?;
        Ok(Self { regions, next: 0, unknown: Vec::new() })
    }

    /// What was left out of the file, as a sentence without its end; nothing where every region has a window.
    pub fn left_out(&self) -> Option<String> {
        let RegionWindows { all, off_the_end, .. } = &self.regions;
        (*off_the_end > 0)
            .then(|| format!("{off_the_end} of {all} regions left out: their window runs off the end of a chromosome"))
    }

    /// The next window that holds a known base.
    ///
    /// # Errors
    /// The genome cannot be read.
    pub fn next_sequence(&mut self) -> Result<Option<Sequence>> {
        while let Some(window) = self.regions.windows.get(self.next) {
            let index = self.next;
            self.next += 1;
            let mut codes = Vec::new();
            self.regions.codes(window, &mut codes)?;
            alphabet::without_case(&mut codes);
            let range = window.interval.range.clone();
            let place = Place { chromosome: self.regions.chromosome(window), range, reverse: window.reverse };
            let own = || format!("{}:{}-{}", place.chromosome, place.range.start, place.range.end);
            let name = window.name.clone().filter(|name| name != ".").unwrap_or_else(own);
            if codes.iter().all(|&code| alphabet::is_unknown(code)) {
                self.unknown.push(name);
                continue;
            }
            return Ok(Some(Sequence { name, index, own: 0..codes.len(), codes, first: 0, place: Some(place) }));
        }
        Ok(None)
    }
}
