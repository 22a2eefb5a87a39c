//! Genomes from FASTA: decoded to codes once where they fit in memory, read piece by piece in file order where they do
//! not. Which windows are taken from them is not decided here.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Result, anyhow, bail};
use noodles_bgzf as bgzf;
use noodles_core::{Position, Region};
use noodles_fasta::{self as fasta, fai};

use super::alphabet;
use super::compression::{self, Compression, read_error};

/// Bases read at a time from a genome that is not held in memory.
const PIECE: usize = 1 << 20;

/// A chromosome in memory grows by this many bases, more than any line of a FASTA file that came through a buffer.
const GROWTH: usize = 16 << 20;

/// The chromosomes of one FASTA file.
#[derive(Debug)]
pub struct Genome {
    /// Where it came from, for messages.
    pub path: PathBuf,
    pub chromosomes: Vec<Chromosome>,
    storage: Storage,
}

/// A chromosome, contig or scaffold: one FASTA record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chromosome {
    pub name: String,
    pub length: usize,
}

enum Storage {
    /// Codes with case, one vector a chromosome.
    Memory(Vec<Vec<u8>>),
    /// Read on demand through an index.
    Indexed(Mutex<fasta::io::IndexedReader<Box<dyn SeekableBases>>>),
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Storage::Memory(_) => "Memory",
            Storage::Indexed(_) => "Indexed",
        })
    }
}

trait SeekableBases: BufRead + Seek + Send {}
impl<T: BufRead + Seek + Send> SeekableBases for T {}

impl Genome {
    /// A genome whose codes, with or without case, are in memory already, as the simulator makes them.
    pub fn from_codes(path: &Path, chromosomes: Vec<(String, Vec<u8>)>) -> Self {
        let (names, codes): (Vec<_>, Vec<_>) = chromosomes.into_iter().unzip();
        let chromosomes =
            names.into_iter().zip(&codes).map(|(name, codes)| Chromosome { name, length: codes.len() }).collect();
        Self { path: path.into(), chromosomes, storage: Storage::Memory(codes) }
    }

    /// Opens a FASTA file. Chromosomes that `wanted` turns down are named but their bases are not kept.
    ///
    /// Up to `memory` bytes are used to hold bases; a genome that needs more is read from the file again when windows
    /// are taken from it (ordinary gzip, which cannot be entered in the middle, by way of a temporary file).
    ///
    /// # Errors
    /// The file is missing, damaged, not FASTA, holds a letter that is no base, or names a record twice.
    pub fn open(path: &Path, memory: u64, wanted: &dyn Fn(&str) -> bool) -> Result<Self> {
        let compression = compression::detect(path)?;
        expect_fasta(path, compression::first_byte(path, compression)?)?;
        let too_large = match compression {
            Compression::Plain => {
                std::fs::metadata(path).is_ok_and(|file| file.len() > memory) && !fits(path, memory, wanted)
            }
            Compression::Bgzf => {
                let bytes = compression::index_bgzf(path)?.as_ref().last().map_or(0, |&(_, decoded)| decoded);
                bytes > memory && !fits(path, memory, wanted)
            }
            Compression::Gzip => false, // known only when decoded
        };
        if too_large {
            return Self::open_indexed(path, compression);
        }
        // An index lets unwanted chromosomes be passed over; one that turns out wrong is done without.
        if compression != Compression::Gzip
            && skips_some(path, wanted)
            && let Ok(genome) = Self::open_indexed(path, compression)
        {
            return genome.hold(wanted);
        }
        match Self::decode(path, memory, wanted)? {
            Some(genome) => Ok(genome),
            None => Self::open_indexed(path, compression),
        }
    }

    /// Reads the wanted chromosomes of an indexed file into memory.
    fn hold(mut self, wanted: &dyn Fn(&str) -> bool) -> Result<Self> {
        let mut storage = Vec::new();
        for (index, chromosome) in self.chromosomes.iter().enumerate() {
            let mut codes = Vec::new();
            if wanted(&chromosome.name) {
                codes.reserve_exact(chromosome.length);
                self.scan(index, 0..chromosome.length, 0, &mut |piece, _| codes.extend_from_slice(piece))?;
            }
            storage.push(codes);
        }
        self.storage = Storage::Memory(storage);
        Ok(self)
    }

    /// Reads the whole file into memory, or nothing if it needs more than `memory` bytes.
    fn decode(path: &Path, memory: u64, wanted: &dyn Fn(&str) -> bool) -> Result<Option<Self>> {
        let mut records = Records::of_genome(path)?;
        let (mut chromosomes, mut storage) = (Vec::new(), Vec::new());
        let mut kept = 0u64;
        while let Some(name) = records.next_record()? {
            let keep = wanted(&name);
            let (mut codes, mut length) = (Vec::new(), 0);
            while let Some(piece) = records.next_piece()? {
                length += piece.len();
                if keep {
                    if codes.len() + piece.len() > codes.capacity() {
                        codes.reserve_exact(GROWTH); // doubling would hold up to three times the chromosome
                    }
                    codes.extend_from_slice(piece);
                    kept += piece.len() as u64;
                    if kept > memory {
                        return Ok(None);
                    }
                }
            }
            codes.shrink_to_fit();
            chromosomes.push(Chromosome { name, length });
            storage.push(codes);
        }
        Ok(Some(Self { path: path.into(), chromosomes, storage: Storage::Memory(storage) }))
    }

    /// Opens the file through its index: the `.fai` and `.gzi` beside it, or ones made in memory.
    fn open_indexed(path: &Path, compression: Compression) -> Result<Self> {
        let reader = || File::open(path).map_err(|error| read_error(path, &error));
        let (bases, index): (Box<dyn SeekableBases>, _) = match compression {
            Compression::Plain => {
                let mut bases: Box<dyn SeekableBases> = Box::new(BufReader::with_capacity(1 << 16, reader()?));
                let index = match saved_index(path).filter(|index| describes(index, &mut bases)) {
                    Some(index) => index,
                    None => make_index(path, compression::open(path)?)?,
                };
                (bases, index)
            }
            Compression::Bgzf => {
                let open = |blocks| -> Result<Box<dyn SeekableBases>> {
                    Ok(Box::new(bgzf::io::IndexedReader::new(reader()?, blocks)))
                };
                // The saved block index serves if the saved index describes the file when read through it.
                let saved = beside(path, "gzi").and_then(|saved| bgzf::gzi::fs::read(saved).ok());
                let mut bases = match saved {
                    Some(blocks) => open(blocks)?,
                    None => open(compression::index_bgzf(path)?)?,
                };
                match saved_index(path).filter(|index| describes(index, &mut bases)) {
                    Some(index) => (bases, index),
                    None => (open(compression::index_bgzf(path)?)?, make_index(path, compression::open(path)?)?),
                }
            }
            Compression::Gzip => {
                let file = unpack(path)?;
                let again = file.try_clone().map_err(|error| read_error(path, &error))?;
                let index = make_index(path, Box::new(BufReader::with_capacity(1 << 20, again)))?;
                (Box::new(BufReader::with_capacity(1 << 16, file)), index)
            }
        };
        let mut chromosomes = Vec::new();
        for record in index.as_ref() {
            let name = record.name().to_string();
            if chromosomes.iter().any(|c: &Chromosome| c.name == name) {
                return Err(duplicate_name(path, &name));
            }
            chromosomes.push(Chromosome { name, length: record.length() as usize });
        }
        let reader = fasta::io::IndexedReader::new(bases, index);
        Ok(Self { path: path.into(), chromosomes, storage: Storage::Indexed(Mutex::new(reader)) })
    }

    /// Whether the bases are held in memory.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.storage, Storage::Memory(_))
    }

    /// Bytes of memory that the bases take.
    pub fn memory(&self) -> u64 {
        match &self.storage {
            Storage::Memory(codes) => codes.iter().map(|codes| codes.len() as u64).sum(),
            Storage::Indexed(_) => 0,
        }
    }

    /// Hands the codes, with case, of `interval` (0-based, half-open) of a chromosome to `each`, in order, in one or more pieces;
    /// from the second on, a piece starts with the last `overlap` codes of the one before. `each` gets a piece and
    /// the position of its first code in the chromosome.
    pub fn scan(
        &self,
        chromosome: usize,
        interval: Range<usize>,
        overlap: usize,
        each: &mut dyn FnMut(&[u8], usize),
    ) -> Result<()> {
        match &self.storage {
            Storage::Memory(codes) => each(&codes[chromosome][interval.clone()], interval.start),
            Storage::Indexed(reader) => {
                let name = &self.chromosomes[chromosome].name;
                let mut codes = Vec::with_capacity(PIECE + overlap);
                let mut start = interval.start;
                while start < interval.end {
                    let end = (start + PIECE + overlap).min(interval.end);
                    codes.clear();
                    self.fetch(reader, name, start..end, &mut codes)?;
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
    pub fn read(&self, chromosome: usize, interval: Range<usize>, codes: &mut Vec<u8>) -> Result<()> {
        match &self.storage {
            Storage::Memory(all) => codes.extend_from_slice(&all[chromosome][interval]),
            Storage::Indexed(_) if interval.is_empty() => {}
            Storage::Indexed(reader) => self.fetch(reader, &self.chromosomes[chromosome].name, interval, codes)?,
        }
        Ok(())
    }

    fn fetch(
        &self,
        reader: &Mutex<fasta::io::IndexedReader<Box<dyn SeekableBases>>>,
        name: &str,
        range: Range<usize>,
        codes: &mut Vec<u8>,
    ) -> Result<()> {
        let position = |base: usize| Position::try_from(base).expect("a position that counts from 1");
        let region = Region::new(name, position(range.start + 1)..=position(range.end));
        let record = reader
            .lock()
            .map_err(|_| anyhow!("{}: reading stopped after an earlier fault", self.path.display()))?
            .query(&region)
            .map_err(|error| read_error(&self.path, &error))?;
        if record.sequence().len() != range.len() {
            bail!(
                "{}: record '{name}' is shorter than its index says; remove or renew the .fai and .gzi beside the file (samtools faidx)",
                self.path.display()
            );
        }
        alphabet::encode_with_case(record.sequence().as_ref(), codes).map_err(|fault| {
            invalid_base(&self.path, name, alphabet::InvalidBase { position: range.start + fault.position, ..fault })
        })
    }
}

/// One pass over the records of a FASTA file, in pieces of codes, in constant memory.
pub struct Records {
    path: PathBuf,
    reader: fasta::io::Reader<Box<dyn BufRead + Send>>,
    /// Names met so far, where they must differ.
    names: Option<HashSet<String>>,
    name: String,
    position: usize,
    codes: Vec<u8>,
}

impl Records {
    /// Opens plain, gzip or BGZF FASTA whose record names must differ, as those of a genome do.
    pub fn of_genome(path: &Path) -> Result<Self> {
        Ok(Self { names: Some(HashSet::new()), ..Self::of_sequences(path, compression::open(path)?)? })
    }

    /// Takes the records of an opened file, whose names may repeat; `path` is only what messages call it.
    pub fn of_sequences(path: &Path, mut input: Box<dyn BufRead + Send>) -> Result<Self> {
        let first = input.fill_buf().map_err(|error| read_error(path, &error))?.first().copied();
        expect_fasta(path, first)?;
        let reader = fasta::io::Reader::new(input);
        Ok(Self { path: path.into(), reader, names: None, name: String::new(), position: 0, codes: Vec::new() })
    }

    /// Goes to the next record and returns its name: the header up to the first space.
    ///
    /// # Errors
    /// A damaged file, a header without a name, or a name met before.
    pub fn next_record(&mut self) -> Result<Option<String>> {
        while self.next_piece()?.is_some() {}
        let mut definition = fasta::record::Definition::new("none", None);
        let read = self.reader.read_definition(&mut definition).map_err(|error| {
            let after = if self.name.is_empty() {
                "the first header".into()
            } else {
                format!("the header after record '{}'", self.name)
            };
            match error.kind() {
                std::io::ErrorKind::InvalidData if error.to_string() == "missing name" => {
                    anyhow!("{}: {after} has no name, expected '>name'; name the record", self.path.display())
                }
                _ => read_error(&self.path, &error),
            }
        })?;
        if read == 0 {
            return Ok(None);
        }
        let name = String::from_utf8_lossy(definition.name()).into_owned();
        if self.names.as_mut().is_some_and(|names| !names.insert(name.clone())) {
            return Err(duplicate_name(&self.path, &name));
        }
        self.name.clone_from(&name);
        self.position = 0;
        Ok(Some(name))
    }

    /// The codes, with case, of the next piece (a line, or part of one) of the current record; nothing at its end.
    pub fn next_piece(&mut self) -> Result<Option<&[u8]>> {
        let mut sequence = self.reader.sequence_reader();
        let bases = sequence.fill_buf().map_err(|error| read_error(&self.path, &error))?;
        if bases.is_empty() {
            return Ok(None);
        }
        let length = bases.len();
        self.codes.clear();
        alphabet::encode_with_case(bases, &mut self.codes).map_err(|fault| {
            invalid_base(
                &self.path,
                &self.name,
                alphabet::InvalidBase { position: self.position + fault.position, ..fault },
            )
        })?;
        sequence.consume(length);
        self.position += length;
        Ok(Some(&self.codes))
    }
}

/// Writes records as FASTA, 60 bases a line.
pub fn write_record(out: &mut dyn Write, name: &str, bases: &str) -> std::io::Result<()> {
    writeln!(out, ">{name}")?;
    for line in bases.as_bytes().chunks(60) {
        out.write_all(line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn invalid_base(path: &Path, record: &str, fault: alphabet::InvalidBase) -> anyhow::Error {
    anyhow!("{}: record '{record}': {fault}; mend or remove the record", path.display())
}

fn expect_fasta(path: &Path, first: Option<u8>) -> Result<()> {
    let path = path.display();
    match first {
        Some(b'>') => Ok(()),
        None => bail!("{path}: holds no records, expected FASTA; check the file"),
        Some(b'@') => {
            bail!("{path}: starts with '@', which looks like FASTQ, expected FASTA ('>name'); convert it first")
        }
        Some(byte) => {
            bail!("{path}: starts with '{}', expected FASTA ('>name'); check the file", byte.escape_ascii())
        }
    }
}

fn duplicate_name(path: &Path, name: &str) -> anyhow::Error {
    anyhow!("{}: record name '{name}' stands twice, expected unique names; rename or remove one", path.display())
}

/// Decodes a file to a temporary one without a name.
fn unpack(path: &Path) -> Result<File> {
    let no_room = |error: std::io::Error| {
        anyhow!("{}: cannot be unpacked to a temporary file ({error}); set TMPDIR or raise --memory", path.display())
    };
    let mut packed = compression::open(path)?;
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
    file.rewind().map_err(no_room)?;
    Ok(file)
}

/// Whether an index describes a file: its records, headers included, follow each other from the first byte to the last.
/// A wrong index would silently give wrong bases, and a cut one fewer chromosomes.
fn describes(index: &fai::Index, bases: &mut Box<dyn SeekableBases>) -> bool {
    let mut next = Some(0);
    for record in index.as_ref() {
        match extent(record, bases) {
            Ok(Some((start, end))) if Some(start) == next => next = end,
            _ => return false,
        }
    }
    next.is_none()
}

/// Where a record's header starts and where the next one does (`None` at the end of the file), if the record's name,
/// position and length are right.
fn extent(record: &fai::Record, bases: &mut Box<dyn SeekableBases>) -> std::io::Result<Option<(u64, Option<u64>)>> {
    const LONGEST_HEADER: u64 = 1 << 16;
    let (width, per_line) = (record.line_width().get(), record.line_base_count().get());
    let last_base = record.length().checked_sub(1).and_then(|last| {
        (last / per_line).checked_mul(width)?.checked_add(last % per_line)?.checked_add(record.position())
    });
    // A line of sequence is followed by one or two bytes of line end.
    let Some(last_base) = last_base.filter(|_| (1..=2).contains(&width.saturating_sub(per_line))) else {
        return Ok(None);
    };
    // The first, a middle and the last full line: a file that was wrapped anew since has its ends elsewhere.
    let full_lines = (record.length() - 1) / per_line;
    let mut bases_of_line = vec![0; per_line.min(LONGEST_HEADER) as usize];
    for line in [0, full_lines / 2, full_lines.saturating_sub(1)] {
        if full_lines > 0 && per_line <= LONGEST_HEADER {
            bases.seek(SeekFrom::Start(record.position() + line * width))?;
            bases.read_exact(&mut bases_of_line)?;
            let mut end = [0];
            bases.read_exact(&mut end)?;
            if bases_of_line.iter().any(u8::is_ascii_whitespace) || !end[0].is_ascii_whitespace() {
                return Ok(None);
            }
        }
    }

    let from = record.position().saturating_sub(LONGEST_HEADER);
    bases.seek(SeekFrom::Start(from))?;
    let mut before = vec![0; (record.position() - from) as usize];
    bases.read_exact(&mut before)?;
    let Some(line) = before.strip_suffix(b"\n") else { return Ok(None) };
    let header = line.rsplit(|&byte| byte == b'\n').next().unwrap_or(line);
    let name = header.strip_prefix(b">").and_then(|rest| rest.split(u8::is_ascii_whitespace).next());

    bases.seek(SeekFrom::Start(last_base))?;
    let mut end = Vec::new();
    bases.by_ref().take(4).read_to_end(&mut end)?;
    let Some((base, behind)) = end.split_first() else { return Ok(None) };
    let breaks = behind.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let next = match behind.get(breaks) {
        Some(b'>') if breaks > 0 => Some(last_base + 1 + breaks as u64),
        None if behind.len() < 3 => None,
        _ => return Ok(None),
    };
    let right = name == Some(record.name().as_ref()) && base.is_ascii_alphabetic();
    Ok(right.then(|| (record.position() - header.len() as u64 - 1, next)))
}

/// Whether the wanted chromosomes fit, as the saved index says; false where there is none.
fn fits(path: &Path, memory: u64, wanted: &dyn Fn(&str) -> bool) -> bool {
    saved_index(path).is_some_and(|index| {
        let wanted = index.as_ref().iter().filter(|record| wanted(&record.name().to_string()));
        let bases = wanted.fold(0u64, |bases, record| bases.saturating_add(record.length()));
        bases <= memory
    })
}

/// Whether the saved index names chromosomes that are not wanted, so that entering the file in the middle pays.
fn skips_some(path: &Path, wanted: &dyn Fn(&str) -> bool) -> bool {
    saved_index(path).is_some_and(|index| index.as_ref().iter().any(|record| !wanted(&record.name().to_string())))
}

/// The `.fai` beside a file, unless it is older than the file or unreadable.
fn saved_index(path: &Path) -> Option<fai::Index> {
    fai::fs::read(beside(path, "fai")?).ok()
}

/// `genome.fa.gz.fai` and the like, where it stands and is not older than the file itself.
fn beside(path: &Path, extension: &str) -> Option<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    let index = PathBuf::from(name);
    let time = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    (time(&index)? >= time(path)?).then_some(index)
}

fn make_index(path: &Path, input: Box<dyn BufRead + Send>) -> Result<fai::Index> {
    let mut indexer = fasta::io::Indexer::new(input);
    let mut records: Vec<fai::Record> = Vec::new();
    loop {
        match indexer.index_record() {
            Ok(Some(record)) => records.push(record),
            Ok(None) => return Ok(fai::Index::from(records)),
            // With a source it is a fault of reading, else of the lines.
            Err(fault) if std::error::Error::source(&fault).is_some() => return Err(read_error(path, &fault.into())),
            Err(fault) => {
                let after =
                    records.last().map_or_else(String::new, |record| format!(" after record '{}'", record.name()));
                bail!(
                    "{}: the lines{after} cannot be indexed ({fault}), which a genome larger than --memory needs; raise --memory or rewrap its lines (seqkit seq -w 60)",
                    path.display()
                );
            }
        }
    }
}
