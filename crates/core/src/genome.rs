//! Genomes from FASTA: held in memory as codes if they fit, read from disk on demand if they do not. Which windows are
//! taken from them is decided elsewhere.

pub mod control;
mod index;
pub mod interval;
pub mod left_out;
pub mod names;
mod random_access;
pub mod reference;
pub mod signal;
pub mod simulate;
pub mod simulate_signal;

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use noodles_fasta::fai;
use rayon::prelude::*;

use crate::formats::compression::{Compression, InputFile, read_error};
use crate::formats::fasta::{self, duplicate_name};
use crate::genome::random_access::Anywhere;
use crate::sequence::alphabet;

/// Bases read at a time from a genome that is not held in memory.
const PIECE: usize = if cfg!(fuzzing) { 1 << 12 } else { 1 << 20 };

/// Capacity that a chromosome in memory grows by, in bases; more than the longest piece.
const GROWTH: usize = 16 << 20;

/// Bytes of a genome that is held in memory rather than rewritten to a temporary file, where it cannot be indexed.
const SMALL: u64 = 64 << 20;

/// The chromosomes of one FASTA file.
#[derive(Debug)]
pub struct Genome {
    /// Path of the FASTA file, for messages.
    pub path: PathBuf,
    /// The records in file order; an index into this list identifies a chromosome elsewhere.
    pub chromosomes: Vec<Chromosome>,
    storage: Storage,
}

/// A chromosome, contig or scaffold: one FASTA record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chromosome {
    /// The header up to the first space.
    pub name: String,
    /// Length in bp, unknown bases included.
    pub length: usize,
}

enum Storage {
    /// Codes with case, one vector per chromosome.
    Memory(Vec<Vec<u8>>),
    /// Read on demand through an index.
    Indexed(Anywhere),
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Storage::Memory(_) => "Memory",
            Storage::Indexed(_) => "Indexed",
        })
    }
}

impl Genome {
    /// A genome from codes, with or without case, as the simulator makes them.
    pub fn from_codes(path: &Path, chromosomes: Vec<(String, Vec<u8>)>) -> Self {
        let (names, codes): (Vec<_>, Vec<_>) = chromosomes.into_iter().unzip();
        let chromosomes =
            names.into_iter().zip(&codes).map(|(name, codes)| Chromosome { name, length: codes.len() }).collect();
        Self { path: path.into(), chromosomes, storage: Storage::Memory(codes) }
    }

    /// Opens a FASTA file. Chromosomes that `wanted` rejects are listed, but their bases are not kept.
    ///
    /// Up to `memory` bytes are used to hold bases; a larger genome is read from the file again when windows are taken
    /// from it (by way of a temporary file for ordinary gzip, which allows no random access).
    ///
    /// # Errors
    /// The file is missing, damaged, not FASTA, holds a byte that is not an IUPAC code, or repeats a record name.
    pub fn open(path: &Path, memory: u64, wanted: &dyn Fn(&str) -> bool) -> Result<Self> {
        let file = InputFile::open(path)?;
        // `None` if the size is only known after decompression.
        let bytes = match (file.compression(), file.blocks()?) {
            (Compression::Plain, _) => Some(file.size()),
            (_, blocks) => blocks.map(|blocks| blocks.as_ref().last().map_or(0, |&(_, decoded)| decoded)),
        };
        if let Some(bytes) = bytes {
            let saved = index::saved(&file);
            if bytes > memory && !saved.as_ref().is_some_and(|index| index::fits(index, memory, wanted)) {
                return match Self::open_indexed(&file, saved)? {
                    Some(genome) => Ok(genome),
                    None => Self::open_uneven(&file, memory, wanted),
                };
            }
            // With an index unwanted chromosomes can be skipped; a wrong index is ignored.
            if saved.as_ref().is_some_and(|index| index::skips_some(index, wanted))
                && let Ok(Some(genome)) = Self::open_indexed(&file, saved)
            {
                return genome.hold(wanted);
            }
        }
        if let Some(genome) = Self::decode(&file, memory, wanted)? {
            return Ok(genome);
        }
        match Self::open_indexed(&file, index::saved(&file))? {
            Some(genome) => Ok(genome),
            None => Self::open_uneven(&file, memory, wanted),
        }
    }

    /// Reads the wanted chromosomes of an indexed file into memory, in parallel.
    fn hold(mut self, wanted: &dyn Fn(&str) -> bool) -> Result<Self> {
        let mut storage = Vec::new();
        for (index, chromosome) in self.chromosomes.iter().enumerate() {
            let mut codes = vec![0; if wanted(&chromosome.name) { chromosome.length } else { 0 }];
            codes.par_chunks_mut(PIECE).enumerate().try_for_each(|(i, part)| {
                let (start, mut piece) = (i * PIECE, Vec::with_capacity(PIECE));
                self.read(index, start..start + part.len(), &mut piece)?;
                part.copy_from_slice(&piece);
                anyhow::Ok(())
            })?;
            storage.push(codes);
        }
        self.storage = Storage::Memory(storage);
        Ok(self)
    }

    /// Reads the whole file into memory; `None` if it needs more than `memory` bytes.
    fn decode(file: &InputFile, memory: u64, wanted: &dyn Fn(&str) -> bool) -> Result<Option<Self>> {
        let mut records = fasta::Records::of_genome(file)?;
        let (mut chromosomes, mut storage) = (Vec::new(), Vec::new());
        let mut kept = 0u64;
        while let Some(name) = records.next_record()? {
            let keep = wanted(&name);
            let (mut codes, mut length) = (Vec::new(), 0);
            loop {
                if codes.capacity() - codes.len() < fasta::LONGEST_PIECE {
                    // Always doubling would hold up to three times a long chromosome.
                    codes.reserve_exact(codes.len().clamp(fasta::LONGEST_PIECE, GROWTH));
                }
                let bases = records.append_piece(&mut codes)?;
                if bases == 0 {
                    break;
                }
                length += bases;
                if !keep {
                    codes.clear();
                } else if kept + length as u64 > memory {
                    return Ok(None);
                }
            }
            kept += codes.len() as u64;
            codes.shrink_to_fit();
            chromosomes.push(Chromosome { name, length });
            storage.push(codes);
        }
        Ok(Some(Self { path: file.path().into(), chromosomes, storage: Storage::Memory(storage) }))
    }

    /// Opens the file through its index, which is the saved one or is made now; `None` if it cannot be indexed.
    fn open_indexed(file: &InputFile, saved: Option<fai::Index>) -> Result<Option<Self>> {
        Anywhere::open(file, saved)?.map(|anywhere| Self::of_anywhere(file.path(), anywhere)).transpose()
    }

    /// Opens a file that cannot be indexed, since its lines are uneven or hold spaces or comments: in memory if it is
    /// small, whatever `memory` is, else by way of a temporary file.
    fn open_uneven(file: &InputFile, memory: u64, wanted: &dyn Fn(&str) -> bool) -> Result<Self> {
        if memory < SMALL
            && let Some(genome) = Self::decode(file, SMALL, wanted)?
        {
            return Ok(genome);
        }
        Self::of_anywhere(file.path(), Anywhere::rewrite(file)?)
    }

    fn of_anywhere(path: &Path, file: Anywhere) -> Result<Self> {
        let (mut chromosomes, mut names) = (Vec::new(), HashSet::new());
        for record in file.index().as_ref() {
            let name = record.name().to_string();
            if !names.insert(name.clone()) {
                return Err(duplicate_name(path, &name));
            }
            chromosomes.push(Chromosome { name, length: record.length() as usize });
        }
        Ok(Self { path: path.into(), chromosomes, storage: Storage::Indexed(file) })
    }

    /// Absolute path of the file, by which examples and messages name it, so that another run finds it.
    pub fn source_name(&self) -> Arc<str> {
        let path = self.path.to_string_lossy();
        if path.starts_with(simulate::SIMULATED) { path.into() } else { source_name(&self.path) }
    }

    /// Names of the chromosomes, for sharing among everything that lies on them.
    pub fn chromosome_names(&self) -> Vec<Arc<str>> {
        self.chromosomes.iter().map(|c| c.name.as_str().into()).collect()
    }

    /// Whether the bases are held in memory.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.storage, Storage::Memory(_))
    }

    /// The codes, with case, of a whole chromosome; `None` where they are not held in memory.
    pub fn codes(&self, chromosome: usize) -> Option<&[u8]> {
        match &self.storage {
            Storage::Memory(codes) => codes.get(chromosome).map(Vec::as_slice),
            Storage::Indexed(_) => None,
        }
    }

    /// Memory that the bases take, in bytes.
    pub fn memory(&self) -> u64 {
        match &self.storage {
            Storage::Memory(codes) => codes.iter().map(|codes| codes.len() as u64).sum(),
            Storage::Indexed(_) => 0,
        }
    }

    /// Passes the codes, with case, of `interval` (0-based, half-open) of a chromosome to `each`, in order, in one or
    /// more pieces. From the second on, a piece starts with the last `overlap` codes of the previous one. `each` also
    /// gets the position of the first code in the chromosome.
    ///
    /// # Errors
    /// The file of an indexed genome cannot be read, or is shorter than its index says.
    pub fn scan(
        &self,
        chromosome: usize,
        interval: Range<usize>,
        overlap: usize,
        each: &mut dyn FnMut(&[u8], usize),
    ) -> Result<()> {
        match &self.storage {
            Storage::Memory(codes) => each(&codes[chromosome][interval.clone()], interval.start),
            Storage::Indexed(file) => {
                let mut codes = Vec::with_capacity(PIECE + overlap);
                let mut start = interval.start;
                while start < interval.end {
                    let end = (start + PIECE + overlap).min(interval.end);
                    codes.clear();
                    file.read(&self.path, chromosome, start..end, &mut codes)?;
                    each(&codes, start);
                    if end == interval.end {
                        break;
                    }
                    start = end - overlap;
                }
            }
        }
        Ok(())
    }

    /// Appends the codes, with case, of `interval` (0-based, half-open) of a chromosome to `codes`.
    ///
    /// # Errors
    /// As [`Genome::scan`].
    pub fn read(&self, chromosome: usize, interval: Range<usize>, codes: &mut Vec<u8>) -> Result<()> {
        match &self.storage {
            Storage::Memory(all) => codes.extend_from_slice(&all[chromosome][interval]),
            Storage::Indexed(file) => file.read(&self.path, chromosome, interval, codes)?,
        }
        Ok(())
    }

    /// Appends the codes, with case, of a window to `codes`, reverse-complemented if `reverse` is set.
    ///
    /// # Errors
    /// As [`Genome::scan`].
    pub fn read_strand(
        &self,
        chromosome: usize,
        interval: Range<usize>,
        reverse: bool,
        codes: &mut Vec<u8>,
    ) -> Result<()> {
        match &self.storage {
            Storage::Memory(all) if reverse => {
                alphabet::append_reverse_complement(&all[chromosome][interval], codes);
            }
            _ => {
                let start = codes.len();
                self.read(chromosome, interval, codes)?;
                if reverse {
                    alphabet::reverse_complement(&mut codes[start..]);
                }
            }
        }
        Ok(())
    }
}

/// Absolute path of a file, by which examples and messages name it, so that another run finds it; `-` for standard input.
pub fn source_name(path: &Path) -> Arc<str> {
    if path == Path::new("-") {
        return "-".into();
    }
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).display().to_string().into()
}

/// Decompresses a file to an unnamed temporary file.
fn unpack(input: &InputFile) -> Result<File> {
    let path = input.path();
    let mut packed = input.bytes();
    let mut file = tempfile::tempfile().map_err(|error| no_room(path, &error))?;
    loop {
        let piece = packed.fill_buf().map_err(|error| read_error(path, &error))?;
        if piece.is_empty() {
            break;
        }
        file.write_all(piece).map_err(|error| no_room(path, &error))?;
        let length = piece.len();
        packed.consume(length);
    }
    Ok(file)
}

/// The error of a genome's temporary file.
fn no_room(path: &Path, error: &std::io::Error) -> anyhow::Error {
    anyhow!(
        "{}: cannot be unpacked to a temporary file ({error}); set TMPDIR to a folder with room for it",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Names and codes of all chromosomes, from the start and from the middle.
    fn contents(genome: &Genome) -> Vec<(String, Vec<u8>)> {
        let of = |(i, chromosome): (usize, &Chromosome)| {
            let (mut codes, mut rest) = (Vec::new(), Vec::new());
            genome.read(i, 0..chromosome.length, &mut codes).unwrap();
            genome.read(i, chromosome.length / 2..chromosome.length, &mut rest).unwrap();
            assert_eq!(rest, codes[chromosome.length / 2..]);
            (chromosome.name.clone(), codes)
        };
        genome.chromosomes.iter().enumerate().map(of).collect()
    }

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    fn gzip(text: &[u8], blocked: bool) -> Vec<u8> {
        if blocked {
            let mut writer = noodles_bgzf::io::Writer::new(Vec::new());
            writer.write_all(text).unwrap();
            return writer.finish().unwrap();
        }
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(text).unwrap();
        writer.finish().unwrap()
    }

    /// However a genome is opened, it holds the same.
    fn holds(text: &str, expected: &[(String, Vec<u8>)]) {
        for bytes in [text.as_bytes().to_vec(), gzip(text.as_bytes(), false), gzip(text.as_bytes(), true)] {
            let file = file(&bytes);
            for memory in [0, 10, u64::MAX] {
                let genome = Genome::open(file.path(), memory, &|_| true).unwrap();
                assert_eq!(contents(&genome), expected, "{text:?} with {memory} bytes of memory");
            }
            let rewritten = Anywhere::rewrite(&InputFile::open(file.path()).unwrap()).unwrap();
            let rewritten = Genome::of_anywhere(file.path(), rewritten).unwrap();
            assert_eq!(contents(&rewritten), expected, "{text:?} rewritten");
        }
    }

    #[test]
    fn layouts_that_no_index_describes_are_read_all_the_same() {
        let plain = ">a x\nACGTACGTAC\nGTTTacgtnn\nGAT\n>b\nTTTTTTTTTT\nGG\n";
        let expected = contents(&Genome::open(file(plain.as_bytes()).path(), 0, &|_| true).unwrap());
        for text in [
            plain.to_owned(),
            plain.replace('\n', "\r\n"),
            plain.replace("\nGTT", "\n\nGTT"),
            plain.replace("\nGTT", "\n\n\n\nGTT"),
            plain.replace("\n>b", "\n\n>b"),
            plain.replace("\n>b", "\n\n\n\n\n>b"),
            format!("{plain}\n\n\n\n"),
            format!("\n{plain}"),
            format!("\u{feff}{plain}"),
            format!(";old\n{plain}"),
            plain.replace("\nGTT", "\n;old\nGTT"),
            plain.replace("\nGTT", "\n;old*base>\nGTT"),
            plain.replace(">b", "> b"),
            plain.replace("GTTT", "GTT T"),
            plain.replace("\nG", " \nG"),
            plain.replace("GTTT", "GT\nTT"),
            plain.replace("\nGAT", "GAT"),
            plain.replace("GTTT", "GTTT\r\n"),
            plain.replace("\nGG\n", "\nGG"),
            plain.replace("\nGG\n", "GG"),
        ] {
            holds(&text, &expected);
        }
        for text in [">a\n>b\nACGT\nAC\n", ">a\n\n>b\nACGT\nAC\n", ">a\n\n\n\n\n>b\nACGT\n\nAC\n"] {
            holds(text, &[("a".into(), Vec::new()), ("b".into(), vec![0, 1, 2, 3, 0, 1])]);
        }
    }

    #[test]
    fn an_index_of_another_layout_is_not_used() {
        let text = format!(">a\n{}>b\n{}", "ACGTACGTAC\n".repeat(9), "GGTTGGTTGG\n".repeat(9));
        let expected = contents(&Genome::open(file(text.as_bytes()).path(), 0, &|_| true).unwrap());
        for index in [
            "a\t90\t3\t10\t11\nb\t90\t105\t10\t11\n", // right
            "a\t80\t3\t10\t11\nb\t90\t105\t10\t11\n",
            "a\t90\t3\t9\t10\nb\t90\t105\t10\t11\n",
            "a\t90\t3\t10\t11\n",
            "b\t90\t105\t10\t11\n",
            "a\t90\t3\t10\t11\nc\t90\t105\t10\t11\n",
            "a\t90\t3\t10\t12\nb\t90\t105\t10\t11\n",
            "a\t0\t3\t0\t0\n",
            "nonsense\n",
            "",
        ] {
            let file = file(text.as_bytes());
            let beside = format!("{}.fai", file.path().display());
            std::fs::write(&beside, index).unwrap();
            for memory in [0, u64::MAX] {
                let wanted = |name: &str| memory == 0 || name == "b";
                let genome = Genome::open(file.path(), memory, &wanted).unwrap();
                let mut codes = Vec::new();
                genome.read(1, 0..90, &mut codes).unwrap();
                assert_eq!(codes, expected[1].1, "{index:?}");
            }
            std::fs::remove_file(beside).unwrap();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_layout_gives_what_a_stream_gives(
            records in prop::collection::vec(prop::collection::vec("[ACGTNacgtn]{0,7}", 0..8), 1..4),
            ends in prop::collection::vec(
                prop::sample::select(vec!["\n", "\n", "\n", "\n", "\r\n", "\n\n", " \n", "\n;x\n", " "]),
                64
            ),
            regular: bool,
        ) {
            let (mut text, mut expected) = (String::new(), Vec::new());
            let mut ends = ends.into_iter();
            for (i, lines) in records.iter().enumerate() {
                text += &format!(">{i} x\n");
                let bases = lines.concat();
                if regular {
                    let lines = bases.as_bytes().chunks(4).map(|line| str::from_utf8(line).unwrap());
                    lines.for_each(|line| text += &format!("{line}\n"));
                } else {
                    lines.iter().for_each(|line| text += &format!("{line}{}", ends.next().unwrap()));
                }
                text += if text.ends_with('\n') { "" } else { "\n" };
                let mut codes = Vec::new();
                alphabet::encode_with_case(bases.as_bytes(), &mut codes).unwrap();
                expected.push((i.to_string(), codes));
            }
            holds(&text, &expected);
        }
    }
}
