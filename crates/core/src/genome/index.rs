//! Indexes of FASTA files: the `.fai` beside a file if it describes it, or one made in a pass over the file.

use std::io::{BufRead, Result as IoResult};
use std::num::NonZero;
use std::path::Path;

use anyhow::Result;
use memchr::{memchr, memchr3};
use noodles_fasta::fai;

use crate::formats::compression::{InputFile, read_error};
use crate::genome::random_access::Bytes;

/// Whether an index describes a file: its records, headers included, cover it from the first byte to the last. A wrong
/// index would silently give wrong bases, and a truncated one would hide chromosomes.
pub fn describes(index: &fai::Index, bytes: &Bytes) -> bool {
    let mut next = Some(0);
    for record in index.as_ref() {
        match extent(record, bytes) {
            Ok(Some((start, end))) if Some(start) == next => next = end,
            _ => return false,
        }
    }
    next.is_none()
}

/// Start of a record's header and of the next one (`None` at the end of the file), if the record's name, offset and
/// length are correct.
fn extent(record: &fai::Record, bytes: &Bytes) -> IoResult<Option<(u64, Option<u64>)>> {
    let (width, per_line) = (record.line_width().get(), record.line_base_count().get());
    let last_base = record.length().checked_sub(1).and_then(|last| {
        (last / per_line).checked_mul(width)?.checked_add(last % per_line)?.checked_add(record.position())
    });
    // A line of sequence ends with one or two bytes.
    let Some(last_base) = last_base.filter(|_| (1..=2).contains(&width.saturating_sub(per_line))) else {
        return Ok(None);
    };
    // The first, a middle and the last full line: if the file was rewrapped since, their ends lie elsewhere.
    let full_lines = (record.length() - 1) / per_line;
    let mut bases = vec![0; per_line.min(LONGEST_HEADER as u64) as usize + 1];
    for line in [0, full_lines / 2, full_lines.saturating_sub(1)] {
        if full_lines > 0 && per_line <= LONGEST_HEADER as u64 {
            bytes.read_exact_at(&mut bases, record.position() + line * width)?;
            let (end, bases) = bases.split_last().unwrap_or((&0, &[]));
            if bases.iter().any(u8::is_ascii_whitespace) || !end.is_ascii_whitespace() {
                return Ok(None);
            }
        }
    }

    let from = record.position().saturating_sub(LONGEST_HEADER as u64);
    let mut before = vec![0; (record.position() - from) as usize];
    bytes.read_exact_at(&mut before, from)?;
    let Some(line) = before.strip_suffix(b"\n") else { return Ok(None) };
    let header = line.rsplit(|&byte| byte == b'\n').next().unwrap_or(line);
    let name = header.strip_prefix(b">").and_then(|rest| rest.split(u8::is_ascii_whitespace).next());

    let end = bytes.some_at(4, last_base)?;
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

/// Whether the wanted chromosomes take no more than `memory` bytes.
pub fn fits(index: &fai::Index, memory: u64, wanted: &dyn Fn(&str) -> bool) -> bool {
    let wanted = index.as_ref().iter().filter(|record| wanted(&record.name().to_string()));
    let bases = wanted.fold(0u64, |bases, record| bases.saturating_add(record.length()));
    bases <= memory
}

/// Whether the index names chromosomes that are not wanted, so that entering the file in the middle pays.
pub fn skips_some(index: &fai::Index, wanted: &dyn Fn(&str) -> bool) -> bool {
    index.as_ref().iter().any(|record| !wanted(&record.name().to_string()))
}

/// The `.fai` beside a file (`genome.fa.gz.fai` and the like), unless it is older than the file or unreadable.
pub fn saved(file: &InputFile) -> Option<fai::Index> {
    let mut name = file.path().as_os_str().to_owned();
    name.push(".fai");
    let changed = std::fs::metadata(&name).and_then(|index| index.modified()).ok()?;
    if changed < file.modified()? {
        return None;
    }
    fai::fs::read(name).ok()
}

/// Indexes the records of a file by a pass over it; `None` if its layout cannot be indexed, as the lines of a record are
/// uneven, or hold spaces or comments.
///
/// # Errors
/// The file cannot be read.
pub fn make(path: &Path, mut input: Box<dyn BufRead + Send>) -> Result<Option<fai::Index>> {
    let mut indexer = Indexer::default();
    loop {
        let bytes = input.fill_buf().map_err(|error| read_error(path, &error))?;
        if bytes.is_empty() {
            return Ok(indexer.finish());
        }
        if indexer.push(bytes).is_none() {
            return Ok(None);
        }
        let length = bytes.len();
        input.consume(length);
    }
}

/// Longer than any header.
const LONGEST_HEADER: usize = 1 << 16;

/// The records seen so far. Its functions return `None` where the layout cannot be indexed.
#[derive(Default)]
struct Indexer {
    records: Vec<fai::Record>,
    current: Option<Lines>,
    /// Bytes before the current line.
    position: u64,
    line: Line,
}

/// The line that is being read.
#[derive(Default)]
struct Line {
    /// Bytes so far, without the line feed.
    length: u64,
    /// What stands before the bases, if it is a header.
    header: Option<Vec<u8>>,
    /// Whether the last byte was a carriage return.
    ends_in_return: bool,
}

/// The lines of a record.
struct Lines {
    name: Vec<u8>,
    position: u64,
    bases: u64,
    /// Bases in each full line, and bytes with the line end.
    full: Option<(u64, u64)>,
    /// Whether a shorter line was seen, after which no line may hold bases.
    has_ended: bool,
}

impl Indexer {
    /// Takes the next bytes of the file.
    fn push(&mut self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let end = memchr(b'\n', bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            self.line.push(part)?;
            if end.is_some() {
                self.end_line(1)?;
            }
            bytes = &bytes[part.len() + usize::from(end.is_some())..];
        }
        Some(())
    }

    /// Ends a line, whose line feed has so many bytes: one, or none at the end of the file.
    fn end_line(&mut self, feed: u64) -> Option<()> {
        let Line { length, header, ends_in_return } = std::mem::take(&mut self.line);
        let bytes = length + feed;
        self.position += bytes;
        if let Some(header) = header {
            let name = header.get(1..)?.split(u8::is_ascii_whitespace).next()?.to_vec();
            if name.is_empty() {
                return None;
            }
            self.end_record();
            let position = self.position;
            self.current = Some(Lines { name, position, bases: 0, full: None, has_ended: false });
            return Some(());
        }
        let lines = self.current.as_mut()?;
        let bases = length - u64::from(ends_in_return);
        if bases == 0 {
            lines.has_ended = true;
            return Some(());
        }
        let (per_line, width) = *lines.full.get_or_insert((bases, bytes));
        if lines.has_ended || bases > per_line {
            return None;
        }
        lines.has_ended = (bases, bytes) != (per_line, width) || width == per_line;
        lines.bases += bases;
        Some(())
    }

    fn end_record(&mut self) {
        if let Some(Lines { name, position, bases, full, .. }) = self.current.take() {
            let (per_line, width) = full.unwrap_or((1, 2));
            let (Some(per_line), Some(width)) = (NonZero::new(per_line), NonZero::new(width.max(per_line + 1))) else {
                return;
            };
            self.records.push(fai::Record::new(name, bases, position, per_line, width));
        }
    }

    fn finish(mut self) -> Option<fai::Index> {
        if self.line.length > 0 {
            self.end_line(0)?;
        }
        self.end_record();
        Some(fai::Index::from(self.records))
    }
}

impl Line {
    /// Takes the next bytes of the line.
    fn push(&mut self, part: &[u8]) -> Option<()> {
        let is_start = self.length == 0;
        match part.first() {
            Some(b'>') if is_start => self.header = Some(Vec::new()),
            Some(b';') if is_start => return None,
            _ => {}
        }
        self.length += part.len() as u64;
        match &mut self.header {
            // Where it holds carriage returns, a reader of the whole says what is wrong.
            Some(header) => {
                header.extend_from_slice(part);
                let text = header.strip_suffix(b"\r").unwrap_or(header);
                (text.len() <= LONGEST_HEADER && !text.contains(&b'\r')).then_some(())
            }
            None if part.is_empty() => Some(()),
            None => {
                let odd = memchr3(b' ', b'\t', b'\r', part);
                let is_end = |at: usize| part[at] == b'\r' && at + 1 == part.len();
                if self.ends_in_return || odd.is_some_and(|at| !is_end(at)) {
                    return None;
                }
                self.ends_in_return = odd.is_some();
                Some(())
            }
        }
    }
}
