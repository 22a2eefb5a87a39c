//! BAM (SAM specification, section 4.2): the references of the header, and of each record where its read lies. Records are decoded
//! here and not by noodles-bam, which trusts the lengths that a record gives of itself: a damaged one would be a panic, or gigabytes.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};

use crate::formats::alignment::{Alignment, Flags, fragment_length, reached};
use crate::formats::compression::read_error;
use crate::genome::Chromosome;

/// What a decompressed BAM file begins with.
pub const MAGIC: &[u8; 4] = b"BAM\x01";

/// Bytes of a record before its name.
const FIXED: usize = 32;

/// Most bytes of a record: a read of the longest chromosome known has fewer.
const LONGEST_RECORD: usize = 1 << 30;

/// Most references that room is made for before they are read.
const MOST_REFERENCES: usize = 1 << 16;

/// Operations of a CIGAR by their codes.
const OPERATIONS: &[u8; 9] = b"MIDNSHP=X";

/// A file whose header was read.
pub struct Bam {
    path: PathBuf,
    input: Box<dyn BufRead + Send>,
    references: Vec<Chromosome>,
}

/// The tags of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tags<'a>(&'a [u8]);

impl Bam {
    /// Reads the header of decompressed BAM; `path` is used in messages only.
    ///
    /// # Errors
    /// The header is damaged, or names no references.
    pub fn new(path: &Path, mut input: Box<dyn BufRead + Send>) -> Result<Self> {
        let references = references(&mut input).map_err(|error| cut_short(path, 0, &error))?;
        let references = references.ok_or_else(|| {
            anyhow!(
                "{}: the header is damaged, expected names and lengths of references; copy the file again",
                path.display()
            )
        })?;
        if references.is_empty() {
            bail!(
                "{}: its header lists no chromosomes, expected those that reads were aligned to; align the reads, or give the header back with samtools reheader",
                path.display()
            );
        }
        Ok(Self { path: path.into(), input, references })
    }

    /// The references that the header lists.
    pub fn references(&self) -> &[Chromosome] {
        &self.references
    }

    /// Hands on all records in order.
    ///
    /// # Errors
    /// The file is cut short or damaged, or `each` fails.
    pub fn for_each(self, mut each: impl FnMut(Alignment, Tags) -> Result<()>) -> Result<()> {
        let Self { path, mut input, references } = self;
        let (mut number, mut record) = (0u64, Vec::new());
        let damaged = |number: u64, found: &str| {
            let path = path.display();
            anyhow!("{path}: record {number}: found {found}, expected a record of BAM; copy the file again")
        };
        let mut hand_on = |number: u64, record: &[u8]| {
            let (alignment, tags) = decode(record, references.len()).map_err(|found| damaged(number, &found))?;
            each(alignment, tags)
        };
        loop {
            // Most records lie in the buffer as a whole.
            let buffer = input.fill_buf().map_err(|error| cut_short(&path, number + 1, &error))?;
            let mut rest = buffer;
            while let Some((whole, behind)) = split_record(rest) {
                number += 1;
                hand_on(number, whole)?;
                rest = behind;
            }
            let (taken, ends) = (buffer.len() - rest.len(), buffer.is_empty());
            input.consume(taken);
            if ends {
                return Ok(());
            }
            if taken > 0 {
                continue;
            }
            number += 1;
            let mut length = [0; 4];
            input.read_exact(&mut length).map_err(|error| cut_short(&path, number, &error))?;
            let length = u32::from_le_bytes(length) as usize;
            if !(FIXED..=LONGEST_RECORD).contains(&length) {
                return Err(damaged(number, &format!("a length of {length} bytes")));
            }
            record.clear();
            let read = input.by_ref().take(length as u64).read_to_end(&mut record);
            read.map_err(|error| cut_short(&path, number, &error))?;
            if record.len() < length {
                return Err(cut_short(&path, number, &ErrorKind::UnexpectedEof.into()));
            }
            hand_on(number, &record)?;
        }
    }
}

impl<'a> Tags<'a> {
    /// The text of a tag, such as `CB`, the barcode of a cell.
    pub fn text(self, name: [u8; 2]) -> Option<&'a [u8]> {
        tag(self.0, name)?.strip_prefix(b"Z")
    }
}

/// The first record of a buffer and what follows it, if the buffer holds all of it.
fn split_record(buffer: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = buffer.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    rest.split_at_checked(length).filter(|_| (FIXED..=LONGEST_RECORD).contains(&length))
}

/// What a record says, of a file with so many references; or what is wrong with it.
fn decode(record: &[u8], references: usize) -> Result<(Alignment, Tags<'_>), String> {
    let word = |at: usize| i32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
    let half = |at: usize| u16::from_le_bytes([record[at], record[at + 1]]);
    let (name, operations, bases) = (usize::from(record[8]), usize::from(half(12)), word(16) as u32 as usize);
    let cigar = FIXED + name;
    let sequence = cigar + 4 * operations;
    let tags = sequence + bases.div_ceil(2) + bases;
    if tags > record.len() {
        return Err("parts that are longer than the whole".into());
    }
    let flags = Flags(half(14));
    let reference = usize::try_from(word(0)).ok();
    if let Some(reference) = reference.filter(|reference| *reference >= references) {
        return Err(format!("reference {reference} of {references}"));
    }
    let start = usize::try_from(word(4)).ok();
    let mut reaches = reach(start.unwrap_or(0), &record[cigar..sequence]);
    if let [first, second] = record[cigar..sequence].as_chunks::<4>().0
        && u32::from_le_bytes(*first) == (bases as u32) << 4 | 4
        && u32::from_le_bytes(*second) & 15 == 3
        && let Some(long) = tag(&record[tags..], *b"CG")
        && let Some(operations) = long.strip_prefix(b"BI").and_then(|array| array.get(4..))
    {
        // Of more than 65,535 operations, which stand in a tag.
        reaches = reach(start.unwrap_or(0), operations);
    }
    let Some((range, deletions)) = reaches else { return Err("a CIGAR that is longer than any chromosome".into()) };
    let alignment = Alignment {
        flags,
        reference: reference.filter(|_| start.is_some()),
        range,
        deletions,
        mapping_quality: record[9],
        fragment_length: fragment_length(flags, word(0) == word(20), i64::from(word(28))),
    };
    Ok((alignment, Tags(&record[tags..])))
}

/// The error of a read that failed, which says where the file ends if it is cut short: in the header (0), or in a record.
fn cut_short(path: &Path, record: u64, error: &std::io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::UnexpectedEof {
        let what = if record == 0 { "the header".into() } else { format!("record {record}") };
        return anyhow!("{}: ends in the middle of {what}, expected a whole BAM file; copy it again", path.display());
    }
    read_error(path, error)
}

/// The references of a header; `None` where it makes no sense.
fn references(input: &mut dyn BufRead) -> std::io::Result<Option<Vec<Chromosome>>> {
    let mut number = || -> std::io::Result<usize> {
        let mut bytes = [0; 4];
        input.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes) as usize)
    };
    let _magic = number()?;
    let text = number()? as u64;
    if std::io::copy(&mut input.take(text), &mut std::io::sink())? < text {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let mut number = || -> std::io::Result<usize> {
        let mut bytes = [0; 4];
        input.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes) as usize)
    };
    let count = number()?;
    let mut found = Vec::with_capacity(count.min(MOST_REFERENCES));
    for _ in 0..count {
        let mut bytes = [0; 4];
        input.read_exact(&mut bytes)?;
        let length = u32::from_le_bytes(bytes);
        let mut name = Vec::new();
        input.take(u64::from(length)).read_to_end(&mut name)?;
        if name.len() < length as usize {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let Some(name) = name.strip_suffix(&[0]).and_then(|name| String::from_utf8(name.to_vec()).ok()) else {
            return Ok(None);
        };
        input.read_exact(&mut bytes)?;
        found.push(Chromosome { name, length: u32::from_le_bytes(bytes) as usize });
    }
    Ok(Some(found))
}

/// The bases of the reference that a CIGAR reaches over, and its deletions; what is no operation reaches over none.
fn reach(start: usize, cigar: &[u8]) -> Option<(Range<usize>, Vec<Range<usize>>)> {
    let operations = cigar.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    let code = |operation: u32| OPERATIONS.get((operation & 15) as usize).copied().unwrap_or(b'P');
    reached(start, operations.map(|operation| (code(operation), (operation >> 4) as usize)))
}

/// The type and the value of a tag, without the zero at the end of a text; `None` where there is none or tags are damaged before it.
fn tag(mut tags: &[u8], name: [u8; 2]) -> Option<&[u8]> {
    let size = |kind: u8| match kind {
        b'A' | b'c' | b'C' => Some(1),
        b's' | b'S' => Some(2),
        b'i' | b'I' | b'f' => Some(4),
        _ => None,
    };
    loop {
        let [first, second, kind, ..] = *tags else { return None };
        let (length, value) = match kind {
            b'Z' | b'H' => {
                let end = memchr::memchr(0, &tags[3..])?;
                (3 + end + 1, 2..3 + end)
            }
            b'B' => {
                let [.., subtype, _, _, _, _] = *tags.get(..8)? else { return None };
                let count = u32::from_le_bytes(tags[4..8].try_into().ok()?) as usize;
                let length = 8 + count.checked_mul(size(subtype)?)?;
                (length, 2..length)
            }
            kind => (3 + size(kind)?, 2..3 + size(kind)?),
        };
        let found = tags.get(value)?;
        if [first, second] == name {
            return Some(found);
        }
        tags = tags.get(length..)?;
    }
}

/// Writes single reads without names, quality or tags, as the simulator makes them.
pub struct Writer<W: Write> {
    output: noodles_bgzf::io::Writer<W>,
    record: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins a file with the chromosomes of a genome.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn new(output: W, chromosomes: &[Chromosome]) -> std::io::Result<Self> {
        let mut output = noodles_bgzf::io::Writer::new(output);
        let mut text = String::from("@HD\tVN:1.6\tSO:unsorted\n");
        for Chromosome { name, length } in chromosomes {
            text.push_str(&format!("@SQ\tSN:{name}\tLN:{length}\n"));
        }
        output.write_all(MAGIC)?;
        output.write_all(&(text.len() as u32).to_le_bytes())?;
        output.write_all(text.as_bytes())?;
        output.write_all(&(chromosomes.len() as u32).to_le_bytes())?;
        for Chromosome { name, length } in chromosomes {
            output.write_all(&(name.len() as u32 + 1).to_le_bytes())?;
            output.write_all(name.as_bytes())?;
            output.write_all(&[0])?;
            output.write_all(&(*length as u32).to_le_bytes())?;
        }
        Ok(Self { output, record: Vec::new() })
    }

    /// Adds a mate: all its bases are aligned, and its codes are those of the plus strand. `mate_start` and `fragment_length`, below
    /// zero for the mate to the right, are of the other mate on the same chromosome.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn push(&mut self, mate: &Mate) -> std::io::Result<()> {
        let Mate { name, flags, chromosome, start, codes, mate_start, fragment_length } = *mate;
        let record = &mut self.record;
        record.clear();
        record.extend((chromosome as u32).to_le_bytes());
        record.extend((start as u32).to_le_bytes());
        record.extend([name.len() as u8 + 1, 60]);
        record.extend(bin(start, start + codes.len()).to_le_bytes());
        record.extend(1u16.to_le_bytes());
        record.extend(flags.0.to_le_bytes());
        record.extend((codes.len() as u32).to_le_bytes());
        record.extend((chromosome as u32).to_le_bytes());
        record.extend((mate_start as u32).to_le_bytes());
        record.extend(fragment_length.to_le_bytes());
        record.extend(name.as_bytes());
        record.push(0);
        record.extend(((codes.len() as u32) << 4).to_le_bytes());
        let base = |code: &u8| b"\x01\x02\x04\x08\x0f"[usize::from(*code).min(4)];
        record.extend(codes.chunks(2).map(|pair| base(&pair[0]) << 4 | pair.get(1).map_or(0, base)));
        record.extend(codes.iter().map(|_| 0xff));
        self.output.write_all(&(record.len() as u32).to_le_bytes())?;
        self.output.write_all(record)
    }

    /// Completes the file with the end marker of BGZF.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(self) -> std::io::Result<W> {
        self.output.finish()
    }
}

/// One of two mates to be written.
#[derive(Clone, Copy, Debug)]
pub struct Mate<'a> {
    /// Name of the pair.
    pub name: &'a str,
    /// Flags of the record.
    pub flags: Flags,
    /// Index of the chromosome in the header.
    pub chromosome: usize,
    /// First base, 0-based.
    pub start: usize,
    /// Codes of its bases on the plus strand, without case.
    pub codes: &'a [u8],
    /// First base of the other mate, 0-based.
    pub mate_start: usize,
    /// Length of the fragment, below zero for the mate to the right.
    pub fragment_length: i32,
}

/// The bin of a record that an index sorts it into (SAM specification, section 5.3).
fn bin(start: usize, end: usize) -> u16 {
    let last = end.saturating_sub(1).max(start);
    let levels = [(14, 4681), (17, 585), (20, 73), (23, 9), (26, 1)];
    let found = levels.iter().find(|(shift, _)| start >> shift == last >> shift);
    found.map_or(0, |(shift, first)| first + (start >> shift)) as u16
}
