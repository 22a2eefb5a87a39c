//! Genomes from FASTA: held in memory as codes if they fit, read from disk on demand if they do not. Which windows are
//! taken from them is decided elsewhere.

mod index;
pub mod interval;
pub mod left_out;
pub mod names;
mod random_access;
pub mod reference;
pub mod simulate;

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
use crate::formats::fasta::{self, duplicate_name, expect_fasta};
use crate::genome::random_access::Anywhere;
use crate::sequence::alphabet;

/// Bases read at a time from a genome that is not held in memory.
const PIECE: usize = 1 << 20;

/// Capacity that a chromosome in memory grows by, in bases; more than the longest piece.
const GROWTH: usize = 16 << 20;

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
        expect_fasta(path, file.first_byte()?)?;
        // `None` if the size is only known after decompression.
        let bytes = match file.compression() {
            Compression::Plain => Some(file.size()),
            Compression::Bgzf => Some(file.blocks()?.as_ref().last().map_or(0, |&(_, decoded)| decoded)),
            Compression::Gzip => None,
        };
        if let Some(bytes) = bytes {
            let saved = index::saved(&file);
            if bytes > memory && !saved.as_ref().is_some_and(|index| index::fits(index, memory, wanted)) {
                return Self::open_indexed(&file, saved);
            }
            // With an index unwanted chromosomes can be skipped; a wrong index is ignored.
            if saved.as_ref().is_some_and(|index| index::skips_some(index, wanted))
                && let Ok(genome) = Self::open_indexed(&file, saved)
            {
                return genome.hold(wanted);
            }
        }
        match Self::decode(&file, memory, wanted)? {
            Some(genome) => Ok(genome),
            None => Self::open_indexed(&file, index::saved(&file)),
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
                    codes.reserve_exact(GROWTH); // doubling would hold up to three times the chromosome
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

    /// Opens the file through its index, which is the saved one or is made now.
    fn open_indexed(file: &InputFile, saved: Option<fai::Index>) -> Result<Self> {
        let path = file.path();
        let file = Anywhere::open(file, saved)?;
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

/// Absolute path of a file, by which examples and messages name it, so that another run finds it.
pub fn source_name(path: &Path) -> Arc<str> {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).display().to_string().into()
}

/// Decompresses a file to an unnamed temporary file.
fn unpack(input: &InputFile) -> Result<File> {
    let path = input.path();
    let no_room = |error: std::io::Error| {
        anyhow!("{}: cannot be unpacked to a temporary file ({error}); set TMPDIR or raise --memory", path.display())
    };
    let mut packed = input.reader();
    let mut file = tempfile::tempfile().map_err(no_room)?;
    loop {
        let piece = packed.fill_buf().map_err(|error| read_error(path, &error))?;
        if piece.is_empty() {
            break;
        }
        file.write_all(piece).map_err(no_room)?;
        let length = piece.len();
        packed.consume(length);
    }
    Ok(file)
}
