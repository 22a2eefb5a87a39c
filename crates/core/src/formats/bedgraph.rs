//! Values along a genome as bedGraph, one line per base, sorted by position.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read, Result, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use crate::genome::interval::Place;

/// Values in a temporary file, with their intervals, until they are sorted.
pub struct BedGraph {
    numbers: BufWriter<File>,
    /// Chromosomes in order of appearance.
    chromosomes: HashMap<String, usize>,
    /// For each interval its chromosome, its range, and where its values start in the file.
    places: Vec<(usize, Range<usize>, u64)>,
    end: u64,
}

impl BedGraph {
    /// Starts with a temporary file in `folder`.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn new(folder: &Path) -> Result<Self> {
        let numbers = BufWriter::new(tempfile::tempfile_in(folder)?);
        Ok(Self { numbers, chromosomes: HashMap::new(), places: Vec::new(), end: 0 })
    }

    /// Whether no values were added.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Adds the values of an interval, in the direction of its strand.
    ///
    /// # Errors
    /// The values cannot be written.
    pub fn push(&mut self, place: &Place, numbers: &[f32]) -> Result<()> {
        debug_assert_eq!(place.range.len(), numbers.len());
        let write = |out: &mut BufWriter<File>, number: &f32| out.write_all(&number.to_le_bytes());
        if place.reverse {
            numbers.iter().rev().try_for_each(|number| write(&mut self.numbers, number))?;
        } else {
            numbers.iter().try_for_each(|number| write(&mut self.numbers, number))?;
        }
        let next = self.chromosomes.len();
        let chromosome = *self.chromosomes.entry(place.chromosome.to_string()).or_insert(next);
        self.places.push((chromosome, place.range.clone(), self.end));
        self.end += numbers.len() as u64 * 4;
        Ok(())
    }

    /// Writes all lines. Where intervals overlap, the first one counts, since genome browsers take one value per base.
    ///
    /// # Errors
    /// The lines cannot be written.
    pub fn finish(self, out: &mut dyn Write) -> Result<()> {
        let Self { numbers, chromosomes, mut places, .. } = self;
        let mut numbers = numbers.into_inner().map_err(|error| error.into_error())?;
        let mut names = vec![""; chromosomes.len()];
        chromosomes.iter().for_each(|(name, &index)| names[index] = name);
        places.sort_by_key(|(chromosome, range, _)| (*chromosome, range.start));
        let mut known = (0, 0);
        let mut bytes = Vec::new();
        for (chromosome, range, from) in places {
            numbers.seek(SeekFrom::Start(from))?;
            bytes.resize(range.len() * 4, 0);
            numbers.read_exact(&mut bytes)?;
            let covered = if known.0 == chromosome { known.1 } else { 0 };
            for (position, number) in range.clone().zip(bytes.chunks_exact(4)) {
                if position >= covered {
                    let number = f32::from_le_bytes([number[0], number[1], number[2], number[3]]);
                    writeln!(out, "{}\t{position}\t{}\t{number}", names[chromosome], position + 1)?;
                }
            }
            known = (chromosome, range.end.max(covered));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_strand_is_reversed_and_overlaps_are_written_once_in_order() {
        let place = |range: Range<usize>, reverse| Place { chromosome: "chr1".into(), range, reverse };
        let folder = tempfile::tempdir().unwrap();
        let (mut out, mut graph) = (Vec::new(), BedGraph::new(folder.path()).unwrap());
        assert!(graph.is_empty());
        graph.push(&place(7..10, false), &[4.0, 5.0, 6.0]).unwrap();
        graph.push(&place(5..8, true), &[1.0, 2.0, 3.0]).unwrap();
        graph.finish(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "chr1\t5\t6\t3\nchr1\t6\t7\t2\nchr1\t7\t8\t1\nchr1\t8\t9\t5\nchr1\t9\t10\t6\n");
    }
}
