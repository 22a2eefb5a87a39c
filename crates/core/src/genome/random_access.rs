//! Random access to a FASTA file through its index: only the bytes of an interval are read, in parallel.

use std::fs::File;
use std::io::{BufReader, BufWriter, Error, ErrorKind, Read, Result as IoResult, Write};
use std::num::NonZero;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, anyhow};
use noodles_bgzf as bgzf;
use noodles_fasta::fai;
use rayon::prelude::*;

use crate::formats::compression::{Compression, FromStart, InputFile, read_error};
use crate::formats::fasta::{self, invalid_base};
use crate::formats::members::BUFFER;
use crate::genome::{index, no_room, unpack};
use crate::sequence::alphabet::{self, InvalidBase};

/// Random access to the decompressed bytes of a file.
pub enum Bytes {
    Plain { file: Arc<File>, length: u64 },
    Blocks(Blocks),
}

/// Blocked gzip, of which only the blocks needed are decompressed.
pub struct Blocks {
    file: Arc<File>,
    /// Start of each block in the compressed and the decompressed file, followed by the end of the last.
    starts: Vec<(u64, u64)>,
    /// The last decompressed block, since the next read often falls into it too.
    held: Mutex<(u64, Vec<u8>)>,
}

/// Largest decompressed size of a block (SAM specification, section 4.1).
const LARGEST_BLOCK: u64 = 1 << 16;

impl Bytes {
    fn length(&self) -> u64 {
        match self {
            Self::Plain { length, .. } => *length,
            Self::Blocks(blocks) => blocks.start(blocks.starts.len() - 1).1,
        }
    }

    /// Fills `out` with the bytes from `at` on.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file ends before.
    pub fn read_exact_at(&self, out: &mut [u8], at: u64) -> IoResult<()> {
        match self {
            Self::Plain { file, .. } => file.read_exact_at(out, at),
            Self::Blocks(blocks) => blocks.read_exact_at(out, at),
        }
    }

    /// Up to `most` bytes from `at` on, fewer at the end of the file.
    ///
    /// # Errors
    /// The file cannot be read, or a block is damaged.
    pub fn some_at(&self, most: usize, at: u64) -> IoResult<Vec<u8>> {
        let mut bytes = vec![0; self.length().saturating_sub(at).min(most as u64) as usize];
        self.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }
}

impl Blocks {
    fn open(file: &InputFile, blocks: &bgzf::gzi::Index) -> Result<Self> {
        let starts: Vec<(u64, u64)> = std::iter::once((0, 0)).chain(blocks.as_ref().iter().copied()).collect();
        if starts.windows(2).any(|block| block[1].1 - block[0].1 > LARGEST_BLOCK) {
            return Err(read_error(file.path(), &Error::new(ErrorKind::InvalidData, "a block is too large")));
        }
        Ok(Self { file: file.file().clone(), starts, held: Mutex::default() })
    }

    fn start(&self, block: usize) -> (u64, u64) {
        self.starts[block]
    }

    fn read_exact_at(&self, mut out: &mut [u8], mut at: u64) -> IoResult<()> {
        {
            let (start, bytes) = &*self.held.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(there) = at.checked_sub(*start).and_then(|skipped| bytes.get(skipped as usize..)) {
                let length = there.len().min(out.len());
                out[..length].copy_from_slice(&there[..length]);
                (out, at) = (&mut out[length..], at + length as u64);
            }
        } // Not held while other threads decode: they might be given work that waits for it.
        let Some(last) = (out.len() as u64).checked_sub(1) else { return Ok(()) };
        let block_of = |at: u64| self.starts.partition_point(|&(_, start)| start <= at) - 1;
        let (first, last) = (block_of(at), block_of(at + last));
        if last + 1 == self.starts.len() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let start = self.start(first).1;
        let mut bytes = self.decode(first..last + 1)?;
        let from = (at - start) as usize;
        out.copy_from_slice(&bytes[from..from + out.len()]);
        let held = bytes.split_off((self.start(last).1 - start) as usize);
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = (self.start(last).1, held);
        Ok(())
    }

    /// Decompresses a range of blocks in parallel.
    fn decode(&self, blocks: Range<usize>) -> IoResult<Vec<u8>> {
        let ((from, first), (to, end)) = (self.start(blocks.start), self.start(blocks.end));
        let mut packed = vec![0; (to - from) as usize];
        self.file.read_exact_at(&mut packed, from)?;
        let mut bytes = vec![0; (end - first) as usize];
        let (mut packed, mut rest) = (&packed[..], &mut bytes[..]);
        let mut parts = Vec::with_capacity(blocks.len());
        for block in self.starts[blocks.start..=blocks.end].windows(2) {
            let (this, behind) = packed.split_at((block[1].0 - block[0].0) as usize);
            let (part, after) = rest.split_at_mut((block[1].1 - block[0].1) as usize);
            parts.push((this, part));
            (packed, rest) = (behind, after);
        }
        parts.into_par_iter().try_for_each(|(packed, part)| {
            bgzf::io::Reader::new(packed).read_exact(part).map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => Error::new(ErrorKind::InvalidData, "a block holds less than it says"),
                _ => error,
            })
        })?;
        Ok(bytes)
    }
}

/// A FASTA file with the index of its records.
pub struct Anywhere {
    bytes: Bytes,
    index: fai::Index,
}

impl Anywhere {
    /// Opens a file through the saved index, if it describes the file, or else through one made in memory; ordinary
    /// gzip is decompressed to a temporary file. `None` if the layout of the file cannot be indexed.
    ///
    /// # Errors
    /// The file is damaged, or there is no room to decompress it.
    pub fn open(file: &InputFile, saved: Option<fai::Index>) -> Result<Option<Self>> {
        let path = file.path();
        let bytes = match (file.compression(), file.blocks()?) {
            (Compression::Plain, _) => Bytes::Plain { file: file.file().clone(), length: file.size() },
            (_, Some(blocks)) => Bytes::Blocks(Blocks::open(file, blocks)?),
            (_, None) => {
                let file = Arc::new(unpack(file)?);
                let index = index::make(path, Box::new(BufReader::with_capacity(BUFFER, FromStart::new(&file))))?;
                let length = file.metadata().map_err(|error| read_error(path, &error))?.len();
                return Ok(index.map(|index| Self { bytes: Bytes::Plain { file, length }, index }));
            }
        };
        let index = match saved.filter(|index| index::describes(index, &bytes)) {
            Some(index) => Some(index),
            None => index::make(path, file.bytes())?,
        };
        Ok(index.map(|index| Self { bytes, index }))
    }

    /// Opens a file whose layout cannot be indexed, by way of a temporary file with a line for each record.
    ///
    /// # Errors
    /// The file is damaged or not FASTA, or there is no room for the temporary file.
    pub fn rewrite(file: &InputFile) -> Result<Self> {
        let path = file.path();
        let mut out = BufWriter::with_capacity(BUFFER, tempfile::tempfile().map_err(|error| no_room(path, &error))?);
        let mut records = fasta::Records::of_genome(file)?;
        let (mut index, mut position) = (Vec::new(), 0);
        while let Some(name) = records.next_record()? {
            let mut bases = 0;
            while let Some(piece) = records.next_piece()? {
                out.write_all(alphabet::decode(piece).as_bytes()).map_err(|error| no_room(path, &error))?;
                bases += piece.len() as u64;
            }
            let per_line = NonZero::new(bases).unwrap_or(NonZero::<u64>::MIN);
            index.push(fai::Record::new(name, bases, position, per_line, per_line.saturating_add(1)));
            position += bases;
        }
        let file = out.into_inner().map_err(|error| no_room(path, error.error()))?;
        Ok(Self { bytes: Bytes::Plain { file: Arc::new(file), length: position }, index: fai::Index::from(index) })
    }

    pub fn index(&self) -> &fai::Index {
        &self.index
    }

    /// Appends the codes, with case, of an interval of a record to `codes`. The interval is 0-based and half-open and
    /// lies within the record.
    ///
    /// # Errors
    /// The file cannot be read, is shorter than its index says, or holds a byte that is not an IUPAC code.
    pub fn read(&self, path: &Path, record: usize, range: Range<usize>, codes: &mut Vec<u8>) -> Result<()> {
        let start = codes.len();
        self.read_bases(path, record, range, codes).inspect_err(|_| codes.truncate(start))
    }

    fn read_bases(&self, path: &Path, record: usize, range: Range<usize>, codes: &mut Vec<u8>) -> Result<()> {
        let record = &self.index.as_ref()[record];
        let Some(last) = range.len().checked_sub(1).map(|_| range.end - 1) else { return Ok(()) };
        let shorter = || {
            anyhow!(
                "{}: record '{}' is shorter than its index says; remove or renew the .fai beside the file (samtools faidx)",
                path.display(),
                record.name()
            )
        };
        let (per_line, width) = (record.line_base_count().get() as usize, record.line_width().get() as usize);
        let offset = |base: usize| base / per_line * width + base % per_line;
        let (first, start) = (offset(range.start), codes.len());
        codes.resize(start + offset(last) + 1 - first, 0);
        let bases = &mut codes[start..];
        self.bytes.read_exact_at(bases, record.position() + first as u64).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => shorter(),
            _ => read_error(path, &error),
        })?;
        if !close_lines(bases, per_line - range.start % per_line, per_line, width - per_line, range.len()) {
            return Err(shorter());
        }
        codes.truncate(start + range.len());
        alphabet::encode_in_place(&mut codes[start..]).map_err(|fault| match fault.byte {
            b'>' | b'\n' | b'\r' => shorter(),
            _ => invalid_base(
                path,
                None,
                &record.name().to_string(),
                InvalidBase { position: range.start + fault.position, ..fault },
            ),
        })
    }
}

/// Closes the gaps between lines: moves `length` bases together that stand in lines of `per_line`, of which the first
/// has `in_first` left, with `gap` bytes of line end between them. False if a line ends with a byte other than a line
/// feed.
fn close_lines(bytes: &mut [u8], in_first: usize, per_line: usize, gap: usize, length: usize) -> bool {
    let mut closed = in_first.min(length);
    let mut next = closed;
    while closed < length {
        next += gap;
        if bytes[next - 1] != b'\n' {
            return false;
        }
        let line = per_line.min(length - closed);
        bytes.copy_within(next..next + line, closed);
        (closed, next) = (closed + line, next + line);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use crate::genome::Genome;
    use crate::sequence::alphabet;

    /// BGZF in blocks of so many bytes.
    fn packed(text: &[u8], block: usize) -> Vec<u8> {
        let mut writer = noodles_bgzf::io::Writer::new(Vec::new());
        for part in text.chunks(block) {
            writer.write_all(part).unwrap();
            writer.flush().unwrap();
        }
        writer.finish().unwrap()
    }

    fn opened(bytes: &[u8]) -> (tempfile::NamedTempFile, Genome) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let genome = Genome::open(file.path(), 0, &|_| true).unwrap();
        assert!(!genome.is_in_memory());
        (file, genome)
    }

    proptest! {
        #[test]
        fn any_interval_of_either_strand_is_what_stands_there(
            records in prop::collection::vec("[ACGTNacgtr]{1,150}", 1..4),
            per_line in 1usize..80,
            block in 1usize..200,
            end in prop::sample::select(vec!["\n", "\r\n"]),
            whole_last_line: bool,
            ends: (usize, usize),
        ) {
            let mut text = String::new();
            for (i, bases) in records.iter().enumerate() {
                text += &format!(">{i} of some{end}");
                for line in bases.as_bytes().chunks(per_line) {
                    text += &format!("{}{end}", str::from_utf8(line).unwrap());
                }
            }
            let text = if whole_last_line { &text } else { text.trim_end() };
            for bytes in [text.as_bytes().to_vec(), packed(text.as_bytes(), block)] {
                let (_file, genome) = opened(&bytes);
                for (i, bases) in records.iter().enumerate() {
                    let (a, b) = (ends.0 % (bases.len() + 1), ends.1 % (bases.len() + 1));
                    let range = a.min(b)..a.max(b);
                    let mut expected = vec![9];
                    alphabet::encode_with_case(&bases.as_bytes()[range.clone()], &mut expected).unwrap();
                    let mut codes = vec![9];
                    genome.read_strand(i, range.clone(), false, &mut codes).unwrap();
                    prop_assert_eq!(&codes, &expected);
                    alphabet::reverse_complement(&mut expected[1..]);
                    codes.truncate(1);
                    genome.read_strand(i, range.clone(), true, &mut codes).unwrap();
                    prop_assert_eq!(&codes, &expected);
                }
            }
        }
    }

    #[test]
    fn a_file_that_is_not_what_its_index_says_is_an_error_that_says_so() {
        let text = format!(">a\n{}>b\n{}", "ACGTACGT\n".repeat(20), "ACGTACG*\nACGTACGT\n".repeat(5));
        for bytes in [text.as_bytes().to_vec(), packed(text.as_bytes(), 40)] {
            let (file, genome) = opened(&bytes);
            let fails = |chromosome, range| {
                let mut codes = vec![9];
                let error = genome.read(chromosome, range, &mut codes).unwrap_err().to_string();
                assert_eq!(codes, [9], "an error appends nothing");
                error
            };
            let error = fails(1, 10..30);
            assert!(error.contains("'b'") && error.contains("found '*' at base 24"), "{error}");
            file.as_file().set_len(30).unwrap();
            let error = fails(0, 20..60);
            assert!(
                ["shorter than its index", "ends in the middle"].iter().any(|says| error.contains(says)),
                "{error}"
            );
        }
        let (file, genome) = opened(text.as_bytes());
        std::fs::write(file.path(), text.replacen("ACGT\n", "ACG\nT", 3)).unwrap();
        let error = genome.read(0, 0..60, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("'a' is shorter than its index"), "{error}");
    }
}
