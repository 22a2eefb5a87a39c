//! Values along a genome as bedGraph, one line per base, sorted by position, or as bigWig.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use anyhow::Result;

use crate::formats::bigwig::Writer as BigWigWriter;
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
    pub fn new(folder: &Path) -> std::io::Result<Self> {
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
    pub fn push(&mut self, place: &Place, numbers: &[f32]) -> std::io::Result<()> {
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

    /// Writes all lines.
    ///
    /// # Errors
    /// The lines cannot be written.
    pub fn write(&mut self, out: &mut dyn Write) -> Result<()> {
        self.for_each_base(|chromosome, position, number| {
            Ok(writeln!(out, "{chromosome}\t{position}\t{}\t{number}", position + 1)?)
        })
    }

    /// The same as bigWig.
    ///
    /// # Errors
    /// A value lies beyond the chromosomes of the writer, or cannot be written.
    pub fn write_bigwig<W: Write + Seek>(&mut self, mut out: BigWigWriter<W>) -> Result<()> {
        self.for_each_base(|chromosome, position, number| out.push(chromosome, position..position + 1, number))?;
        out.finish().map(drop)
    }

    /// Hands on every base in order. Where intervals overlap, the first one counts, since genome browsers take one value per base.
    fn for_each_base(&mut self, mut each: impl FnMut(&str, usize, f32) -> Result<()>) -> Result<()> {
        let Self { numbers, chromosomes, places, .. } = self;
        numbers.flush()?;
        let numbers = numbers.get_mut();
        let mut names = vec![""; chromosomes.len()];
        chromosomes.iter().for_each(|(name, &index)| names[index] = name);
        places.sort_by_key(|(chromosome, range, _)| (*chromosome, range.start));
        let mut known = (0, 0);
        let mut bytes = Vec::new();
        for (chromosome, range, from) in places.iter() {
            let chromosome = *chromosome;
            numbers.seek(SeekFrom::Start(*from))?;
            bytes.resize(range.len() * 4, 0);
            numbers.read_exact(&mut bytes)?;
            let covered = if known.0 == chromosome { known.1 } else { 0 };
            for (position, number) in range.clone().zip(bytes.chunks_exact(4)) {
                if position >= covered {
                    let number = f32::from_le_bytes([number[0], number[1], number[2], number[3]]);
                    each(names[chromosome], position, number)?;
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
    use crate::formats::bigwig::BigWig;
    use crate::genome::Chromosome;

    #[test]
    fn chromosomes_come_in_the_order_of_the_intervals() {
        let folder = tempfile::tempdir().unwrap();
        let mut graph = BedGraph::new(folder.path()).unwrap();
        for (chromosome, start, value) in [("chr2", 3, 1.0), ("chr10", 0, 2.0), ("chr2", 1, 3.0), ("chr1", 5, 4.0)] {
            let place = Place { chromosome: chromosome.into(), range: start..start + 1, reverse: false };
            graph.push(&place, &[value]).unwrap();
        }
        let mut out = Vec::new();
        graph.write(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "chr2\t1\t2\t3\nchr2\t3\t4\t1\nchr10\t0\t1\t2\nchr1\t5\t6\t4\n");
        let path = folder.path().join("values.bw");
        let chromosomes = ["chr1", "chr2", "chr10"].map(|name| Chromosome { name: name.into(), length: 9 });
        let file = File::create(&path).unwrap();
        graph.write_bigwig(BigWigWriter::new(file, &chromosomes, folder.path()).unwrap()).unwrap();
        let mut found = Vec::new();
        for name in ["chr1", "chr2", "chr10"] {
            let each = |range: Range<usize>, value| {
                found.push((name, range.start, value));
                Ok(())
            };
            BigWig::open(&path).unwrap().values(name, 0..9, each).unwrap();
        }
        assert_eq!(found, [("chr1", 5, 4.0), ("chr2", 1, 3.0), ("chr2", 3, 1.0), ("chr10", 0, 2.0)]);
    }

    #[test]
    fn the_other_strand_is_reversed_and_overlaps_are_written_once_in_order() {
        let place = |range: Range<usize>, reverse| Place { chromosome: "chr1".into(), range, reverse };
        let folder = tempfile::tempdir().unwrap();
        let (mut out, mut graph) = (Vec::new(), BedGraph::new(folder.path()).unwrap());
        assert!(graph.is_empty());
        graph.push(&place(7..10, false), &[4.0, 5.0, 6.0]).unwrap();
        graph.push(&place(5..8, true), &[1.0, 2.0, 3.0]).unwrap();
        graph.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "chr1\t5\t6\t3\nchr1\t6\t7\t2\nchr1\t7\t8\t1\nchr1\t8\t9\t5\nchr1\t9\t10\t6\n");

        let path = folder.path().join("values.bw");
        let chromosomes = [Chromosome { name: "chr1".into(), length: 12 }];
        let file = File::create(&path).unwrap();
        graph.write_bigwig(BigWigWriter::new(file, &chromosomes, folder.path()).unwrap()).unwrap();
        let mut found = Vec::new();
        let each = |range: Range<usize>, value| {
            found.extend(range.map(|base| (base, value)));
            Ok(())
        };
        BigWig::open(&path).unwrap().values("chr1", 0..12, each).unwrap();
        assert_eq!(found, [(5, 3.0), (6, 2.0), (7, 1.0), (8, 5.0), (9, 6.0)]);
    }
}
