//! Intervals of a genome that reads are held against: those to leave out, and peaks.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;

use crate::config::Center;
use crate::format::counted;
use crate::formats::bed;
use crate::genome::Chromosome;
use crate::genome::names::NameIndex;

/// Intervals of each chromosome, in order and apart from each other.
#[derive(Clone, Debug, Default)]
pub struct Intervals {
    by_chromosome: Vec<Vec<Range<usize>>>,
}

impl Intervals {
    /// Reads BED files, and says of a file how much of it lies on other chromosomes.
    ///
    /// # Errors
    /// A file cannot be read, or is no BED.
    pub fn read(paths: &[impl AsRef<Path>], chromosomes: &[Chromosome]) -> Result<(Self, Vec<String>)> {
        let index = NameIndex::new(chromosomes.iter().map(|chromosome| chromosome.name.as_str()));
        let (mut by_chromosome, mut notes) = (vec![Vec::new(); chromosomes.len()], Vec::new());
        for path in paths.iter().map(AsRef::as_ref) {
            let file = bed::read(path, Some(Center::Middle))?;
            let mut absent = 0;
            for region in &file.regions {
                match index.find(&region.chromosome) {
                    Some(chromosome) => by_chromosome[chromosome].push(region.start..region.end),
                    None => absent += 1,
                }
            }
            if absent > 0 {
                let all = counted(file.all() as u64, "region");
                notes
                    .push(format!("{}: {absent} of {all} lie on chromosomes that the reference lacks", path.display()));
            }
        }
        by_chromosome.iter_mut().for_each(join);
        Ok((Self { by_chromosome }, notes))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_chromosome.iter().all(Vec::is_empty)
    }

    /// Whether any touches a stretch of a chromosome.
    pub fn overlap(&self, chromosome: usize, range: &Range<usize>) -> bool {
        let Some(own) = self.by_chromosome.get(chromosome) else { return false };
        let first = own.partition_point(|interval| interval.end <= range.start);
        own.get(first).is_some_and(|interval| interval.start < range.end)
    }

    /// Bases of a stretch of a chromosome that lie in any.
    pub fn covered(&self, chromosome: usize, range: &Range<usize>) -> usize {
        let Some(own) = self.by_chromosome.get(chromosome) else { return 0 };
        let first = own.partition_point(|interval| interval.end <= range.start);
        let touching = own[first..].iter().take_while(|interval| interval.start < range.end);
        touching.map(|interval| interval.end.min(range.end) - interval.start.max(range.start)).sum()
    }
}

/// Sorts intervals and joins those that touch.
fn join(intervals: &mut Vec<Range<usize>>) {
    intervals.sort_by_key(|interval| interval.start);
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(intervals.len());
    for interval in intervals.drain(..) {
        match joined.last_mut() {
            Some(last) if interval.start <= last.end => last.end = last.end.max(interval.end),
            _ => joined.push(interval),
        }
    }
    *intervals = joined;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_that_touch_are_one_and_other_chromosomes_are_said() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "chr1\t10\t20\n1\t5\t12\nchr2\t0\t5\nchr9\t0\t5\n").unwrap();
        let chromosomes = ["chr1", "chr2"].map(|name| Chromosome { name: name.into(), length: 100 });
        let (intervals, notes) = Intervals::read(&[file.path()], &chromosomes).unwrap();
        assert!(notes[0].contains("1 of 4 regions"), "{notes:?}");
        for (range, covered) in [(0..5, 0), (0..6, 1), (5..20, 15), (19..30, 1), (20..30, 0)] {
            assert_eq!(intervals.covered(0, &range), covered, "{range:?}");
            assert_eq!(intervals.overlap(0, &range), covered > 0, "{range:?}");
        }
        assert!(intervals.overlap(1, &(4..9)) && !intervals.overlap(7, &(0..9)));
    }
}
