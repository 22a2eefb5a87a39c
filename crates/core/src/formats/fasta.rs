//! FASTA: one pass over the records of a file, as a stream without random access, and a writer of records.

use std::collections::HashSet;
use std::io::{BufRead, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use memchr::memchr;
use noodles_fasta as fasta;

use crate::formats::compression::{InputFile, read_error};
use crate::sequence::alphabet;

/// Largest piece in bytes, small enough to stay in the second-level cache between splitting lines and encoding bases.
pub const LONGEST_PIECE: usize = 1 << 16;

/// One pass over the records of a FASTA file, in pieces of codes, in constant memory.
pub struct Records {
    path: PathBuf,
    reader: fasta::io::Reader<Box<dyn BufRead + Send>>,
    /// Names seen so far, if they must be unique.
    names: Option<HashSet<String>>,
    name: String,
    description: String,
    position: usize,
    /// Whether the next byte starts a line, where `>` starts the next record.
    at_line_start: bool,
    codes: Vec<u8>,
}

impl Records {
    /// Reads a genome, whose record names must be unique.
    ///
    /// # Errors
    /// The file is damaged or not FASTA.
    pub fn of_genome(file: &InputFile) -> Result<Self> {
        Ok(Self { names: Some(HashSet::new()), ..Self::of_sequences(file.path(), file.reader())? })
    }

    /// Reads sequences from an open file, whose record names may repeat; `path` is used in messages only.
    ///
    /// # Errors
    /// The file is damaged or not FASTA.
    pub fn of_sequences(path: &Path, mut input: Box<dyn BufRead + Send>) -> Result<Self> {
        let first = input.fill_buf().map_err(|error| read_error(path, &error))?.first().copied();
        expect_fasta(path, first)?;
        Ok(Self {
            path: path.into(),
            reader: fasta::io::Reader::new(input),
            names: None,
            name: String::new(),
            description: String::new(),
            position: 0,
            at_line_start: true,
            codes: Vec::new(),
        })
    }

    /// Advances to the next record and returns its name: the header up to the first space.
    ///
    /// # Errors
    /// The file is damaged, or a header has no name or, in a genome, a name that occurred before.
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
        self.description =
            definition.description().map_or_else(String::new, |text| String::from_utf8_lossy(text).into_owned());
        self.position = 0;
        self.at_line_start = true;
        Ok(Some(name))
    }

    /// What the header of the current record says behind the name.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The codes, with case, of the next piece of the current record, which is not a whole number of lines in general;
    /// `None` at the end of the record.
    ///
    /// # Errors
    /// The file is damaged, or holds a byte that is not an IUPAC code; the message names the record and the position.
    pub fn next_piece(&mut self) -> Result<Option<&[u8]>> {
        let mut codes = std::mem::take(&mut self.codes);
        codes.clear();
        let length = self.append_piece(&mut codes);
        self.codes = codes;
        Ok((length? > 0).then_some(&self.codes))
    }

    /// Appends the codes, with case, of the next piece to `codes` and returns its length in bases; 0 at the end of the
    /// record.
    ///
    /// # Errors
    /// As [`Records::next_piece`]; `codes` is then as it was.
    pub fn append_piece(&mut self, codes: &mut Vec<u8>) -> Result<usize> {
        let start = codes.len();
        loop {
            let input = self.reader.get_mut();
            let bytes = input.fill_buf().map_err(|error| read_error(&self.path, &error))?;
            let bytes = &bytes[..bytes.len().min(LONGEST_PIECE)];
            let used = append_lines(bytes, &mut self.at_line_start, codes);
            input.consume(used);
            if used == 0 || codes.len() > start {
                break;
            }
        }
        alphabet::encode_in_place(&mut codes[start..]).map_err(|fault| {
            codes.truncate(start);
            let position = self.position + fault.position;
            invalid_base(&self.path, &self.name, alphabet::InvalidBase { position, ..fault })
        })?;
        self.position += codes.len() - start;
        Ok(codes.len() - start)
    }
}

/// Appends lines of sequence without their ends, up to the next header, and returns the number of bytes consumed.
fn append_lines(bytes: &[u8], at_line_start: &mut bool, bases: &mut Vec<u8>) -> usize {
    let mut next = 0;
    while next < bytes.len() && !(*at_line_start && bytes[next] == b'>') {
        let rest = &bytes[next..];
        let end = memchr(b'\n', rest);
        let line = &rest[..end.unwrap_or(rest.len())];
        bases.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        *at_line_start = end.is_some();
        next += line.len() + usize::from(*at_line_start);
    }
    next
}

/// Bases per line in the FASTA that this program writes.
const LINE_BASES: NonZero<usize> = NonZero::new(60).unwrap();

/// Writes a record as FASTA with 60 bases per line.
///
/// # Errors
/// `out` cannot be written.
pub fn write_record(out: &mut dyn Write, name: &str, bases: impl Into<Vec<u8>>) -> std::io::Result<()> {
    let sequence = fasta::record::Sequence::from(bases.into());
    let record = fasta::Record::new(fasta::record::Definition::new(name, None), sequence);
    let writer = fasta::io::writer::Builder::default().set_line_base_count(LINE_BASES);
    writer.build_from_writer(out).write_record(&record)
}

pub(crate) fn invalid_base(path: &Path, record: &str, fault: alphabet::InvalidBase) -> anyhow::Error {
    anyhow!("{}: record '{record}': {fault}; fix or remove the record", path.display())
}

pub(crate) fn expect_fasta(path: &Path, first: Option<u8>) -> Result<()> {
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

pub(crate) fn duplicate_name(path: &Path, name: &str) -> anyhow::Error {
    anyhow!("{}: record name '{name}' appears twice, expected unique names; rename or remove one", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_written_in_lines_of_sixty_bases() {
        for (length, lines) in [(0, &[][..]), (1, &[1]), (60, &[60]), (61, &[60, 1]), (150, &[60, 60, 30])] {
            let mut out = Vec::new();
            write_record(&mut out, "chr1", "A".repeat(length)).unwrap();
            let text = String::from_utf8(out).unwrap();
            let expected: String = lines.iter().map(|&bases| "A".repeat(bases) + "\n").collect();
            assert_eq!(text, format!(">chr1\n{expected}"));
        }
    }
}
