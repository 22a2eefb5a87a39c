//! Indexes of FASTA files: the `.fai` beside a file if it describes it, or one made in a pass over the file.

use std::io::{BufRead, Result as IoResult};
use std::path::Path;

use anyhow::{Result, bail};
use noodles_fasta::{self as fasta, fai};

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
    const LONGEST_HEADER: u64 = 1 << 16;
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
    let mut bases = vec![0; per_line.min(LONGEST_HEADER) as usize + 1];
    for line in [0, full_lines / 2, full_lines.saturating_sub(1)] {
        if full_lines > 0 && per_line <= LONGEST_HEADER {
            bytes.read_exact_at(&mut bases, record.position() + line * width)?;
            let (end, bases) = bases.split_last().unwrap_or((&0, &[]));
            if bases.iter().any(u8::is_ascii_whitespace) || !end.is_ascii_whitespace() {
                return Ok(None);
            }
        }
    }

    let from = record.position().saturating_sub(LONGEST_HEADER);
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

/// Indexes the records of a file by a pass over it.
///
/// # Errors
/// The file cannot be read, or the lines of a record differ in length, so that they cannot be indexed.
pub fn make(path: &Path, input: Box<dyn BufRead + Send>) -> Result<fai::Index> {
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
