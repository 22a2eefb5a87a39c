//! Decompression of gzip in one pass: ordinary members and BGZF blocks in any order, as `cat` joins them, with or without
//! the end marker of BGZF, and with the zeros that tapes and block devices pad files with.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result as IoResult};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use crate::formats::block_reader::BlockReader;
use crate::progress;
use flate2::bufread::GzDecoder;

/// Bytes that are read from a file, or decompressed, at a time. Fuzzing would spend most of its time on memory, and small
/// pieces show what goes wrong between two.
pub const BUFFER: usize = if cfg!(fuzzing) { 1 << 12 } else { 1 << 20 };

/// Bytes of a block's header (SAM specification, section 4.1).
pub const BLOCK_HEADER: usize = 18;

/// Smallest block: header, no data, and the trailer.
const SMALLEST_BLOCK: usize = BLOCK_HEADER + 8;

/// The empty block at the end of every complete BGZF file (SAM specification, section 4.1.2).
pub const BGZF_END: [u8; 28] =
    [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, b'B', b'C', 2, 0, 0x1b, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Size in bytes of the block that starts with these bytes; `None` if they do not start a block.
pub fn block_size(header: &[u8]) -> Option<usize> {
    match header {
        [0x1f, 0x8b, 8, 4, _, _, _, _, _, _, 6, 0, b'B', b'C', 2, 0, low, high, ..] => {
            Some(usize::from(u16::from_le_bytes([*low, *high])) + 1).filter(|&size| size >= SMALLEST_BLOCK)
        }
        _ => None,
    }
}

/// What is unusual about a compressed file that can be read all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// BGZF without its end marker.
    pub unmarked_end: bool,
    /// Zeros behind the data.
    pub zeros: bool,
}

impl Oddities {
    /// Warns of them, once for each file.
    pub fn warn(self, path: &Path) {
        let path = path.display();
        match (self.unmarked_end, self.zeros) {
            (true, true) => progress::warn_once(&format!(
                "{path}: the end marker of BGZF is missing and zeros follow the data; it is read to its last block, and may have been cut short"
            )),
            (true, false) => progress::warn_once(&format!(
                "{path}: the end marker of BGZF is missing; it is read to its last block, and may have been cut short"
            )),
            (false, true) => {
                progress::warn_once(&format!("{path}: zeros follow the compressed data and are ignored"));
            }
            (false, false) => {}
        }
    }
}

/// A reader that can be looked ahead into.
pub struct Ahead<R> {
    seen: Vec<u8>,
    taken: usize,
    input: BufReader<R>,
}

impl<R: Read> Ahead<R> {
    /// Looks ahead into `input`.
    pub fn new(input: R) -> Self {
        Self { seen: Vec::new(), taken: 0, input: BufReader::with_capacity(BUFFER / 8, input) }
    }

    /// The next `most` bytes, or fewer at the end, which stay to be read.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn peek(&mut self, most: usize) -> IoResult<&[u8]> {
        self.seen.drain(..self.taken);
        self.taken = 0;
        if let Some(missing) = most.checked_sub(self.seen.len()) {
            self.input.by_ref().take(missing as u64).read_to_end(&mut self.seen)?;
        }
        Ok(&self.seen[..most.min(self.seen.len())])
    }
}

impl<R: Read> Read for Ahead<R> {
    fn read(&mut self, out: &mut [u8]) -> IoResult<usize> {
        if self.taken == self.seen.len() {
            return self.input.read(out);
        }
        let read = (&self.seen[self.taken..]).read(out)?;
        self.taken += read;
        Ok(read)
    }
}

impl<R: Read> BufRead for Ahead<R> {
    fn fill_buf(&mut self) -> IoResult<&[u8]> {
        if self.taken == self.seen.len() { self.input.fill_buf() } else { Ok(&self.seen[self.taken..]) }
    }

    fn consume(&mut self, amount: usize) {
        if self.taken == self.seen.len() { self.input.consume(amount) } else { self.taken += amount }
    }
}

/// The BGZF blocks that come next, up to what is no block.
pub(super) struct Blocks<R> {
    input: Ahead<R>,
    /// Whether the last block was the end marker.
    marked: bool,
}

impl<R: Read> Blocks<R> {
    /// Appends the next block, as it is, to `out`; false where there is none.
    ///
    /// # Errors
    /// The input cannot be read, or ends within the block, of which nothing is appended then.
    pub fn append_next(&mut self, out: &mut Vec<u8>) -> IoResult<bool> {
        let head = self.input.peek(BGZF_END.len())?;
        let Some(size) = block_size(head) else { return Ok(false) };
        self.marked = head == BGZF_END;
        let start = out.len();
        let read = self.input.by_ref().take(size as u64).read_to_end(out);
        let fault = match read {
            Ok(read) if read == size => return Ok(true),
            Ok(_) => ErrorKind::UnexpectedEof.into(),
            Err(error) => error,
        };
        out.truncate(start);
        Err(fault)
    }
}

/// The decompressed contents of a file of gzip members and BGZF blocks.
pub struct Members<R: Read + Send + 'static> {
    path: PathBuf,
    workers: NonZero<usize>,
    part: Part<R>,
    /// Whether an ordinary member was read; blocks behind it are members like others, and need no threads.
    mixed: bool,
    oddities: Oddities,
}

enum Part<R: Read + Send + 'static> {
    /// Nothing of the next part was read yet.
    Next(Ahead<R>),
    Blocks(BlockReader<R>),
    Member(Box<BufReader<GzDecoder<Ahead<R>>>>),
    End,
}

impl<R: Read + Send + 'static> Members<R> {
    /// Decompresses `input` with so many threads, which help with BGZF only; `path` is used in messages only.
    pub fn new(path: &Path, input: Ahead<R>, workers: NonZero<usize>) -> Self {
        Self { path: path.into(), workers, part: Part::Next(input), mixed: false, oddities: Oddities::default() }
    }

    /// Starts with what comes next: blocks, a member or the end.
    fn start(&mut self, mut input: Ahead<R>) -> IoResult<Part<R>> {
        while input.fill_buf()?.first() == Some(&0) {
            let bytes = input.fill_buf()?;
            let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
            input.consume(zeros);
            self.oddities.zeros = true;
        }
        let head = input.peek(BLOCK_HEADER)?;
        if !self.mixed && block_size(head).is_some() {
            return Ok(Part::Blocks(BlockReader::new(Blocks { input, marked: false }, self.workers)));
        }
        match head {
            [] => {
                self.oddities.warn(&self.path);
                Ok(Part::End)
            }
            [0x1f] | [0x1f, 0x8b, ..] => {
                self.mixed = true;
                self.oddities.unmarked_end = false;
                Ok(Part::Member(Box::new(BufReader::with_capacity(BUFFER, GzDecoder::new(input)))))
            }
            _ => Err(Error::new(ErrorKind::InvalidData, "what follows the compressed data is not gzip")),
        }
    }
}

impl<R: Read + Send + 'static> Members<R> {
    /// Moves on until the current part has bytes; false at the end.
    fn advance(&mut self) -> IoResult<bool> {
        loop {
            let has_more = match &mut self.part {
                Part::Next(_) => false,
                Part::Blocks(blocks) => !blocks.fill_buf()?.is_empty(),
                Part::Member(member) => !member.fill_buf()?.is_empty(),
                Part::End => return Ok(false),
            };
            if has_more {
                return Ok(true);
            }
            let input = match std::mem::replace(&mut self.part, Part::End) {
                Part::Next(input) => input,
                Part::Blocks(blocks) => {
                    let blocks = blocks.finish()?;
                    self.oddities.unmarked_end = !blocks.marked;
                    blocks.input
                }
                Part::Member(member) => member.into_inner().into_inner(),
                Part::End => return Ok(false),
            };
            self.part = self.start(input)?;
        }
    }
}

impl<R: Read + Send + 'static> Read for Members<R> {
    fn read(&mut self, out: &mut [u8]) -> IoResult<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: Read + Send + 'static> BufRead for Members<R> {
    fn fill_buf(&mut self) -> IoResult<&[u8]> {
        if !self.advance()? {
            return Ok(&[]);
        }
        match &mut self.part {
            Part::Blocks(blocks) => blocks.fill_buf(),
            Part::Member(member) => member.fill_buf(),
            Part::Next(_) | Part::End => Ok(&[]),
        }
    }

    fn consume(&mut self, amount: usize) {
        match &mut self.part {
            Part::Blocks(blocks) => blocks.consume(amount),
            Part::Member(member) => member.consume(amount),
            Part::Next(_) | Part::End => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use noodles_bgzf as bgzf;
    use proptest::prelude::*;

    use super::*;
    use crate::formats::compression::{Compression, InputFile, open};
    use crate::genome::Genome;

    /// Blocks of so many bytes, without the end marker.
    fn blocks(text: &[u8], block: usize) -> Vec<u8> {
        let mut writer = bgzf::io::Writer::new(Vec::new());
        for part in text.chunks(block) {
            writer.write_all(part).unwrap();
            writer.flush().unwrap();
        }
        let bytes = writer.finish().unwrap();
        bytes[..bytes.len() - BGZF_END.len()].to_vec()
    }

    fn member(text: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(text).unwrap();
        writer.finish().unwrap()
    }

    fn members(bytes: &[u8]) -> Members<Cursor<Vec<u8>>> {
        Members::new(Path::new("x.gz"), Ahead::new(Cursor::new(bytes.to_vec())), NonZero::<usize>::MIN)
    }

    fn read(bytes: &[u8]) -> IoResult<(Vec<u8>, Oddities)> {
        let (mut members, mut text) = (members(bytes), Vec::new());
        members.read_to_end(&mut text)?;
        Ok((text, members.oddities))
    }

    /// A part of a file as its letter says, with the text in it: blocks, a member, the end marker or zeros.
    fn part(letter: char, i: usize) -> (Vec<u8>, Vec<u8>) {
        let text = format!(">{i}\nACGTACGTTT\nGATTACA{}\n", "ACGT".repeat(i)).into_bytes();
        match letter {
            'b' => (blocks(&text, 7), text),
            'g' => (member(&text), text),
            'e' => (BGZF_END.to_vec(), Vec::new()),
            _ => (vec![0; 512], Vec::new()),
        }
    }

    fn file(parts: &str) -> (Vec<u8>, Vec<u8>) {
        let (bytes, text): (Vec<_>, Vec<_>) = parts.chars().enumerate().map(|(i, letter)| part(letter, i)).unzip();
        (bytes.concat(), text.concat())
    }

    #[test]
    fn whatever_gzip_reads_is_read_and_what_is_odd_is_named() {
        for (parts, unmarked_end, zeros) in [
            ("be", false, false),
            ("b", true, false),
            ("bbb", true, false),
            ("bebe", false, false),
            ("beb", true, false),
            ("bg", false, false),
            ("beg", false, false),
            ("gb", false, false),
            ("gbe", false, false),
            ("ggg", false, false),
            ("gz", false, true),
            ("gzg", false, true),
            ("bez", false, true),
            ("bz", true, true),
            ("bzb", true, true),
            ("bzbe", false, true),
            ("bgz", false, true),
            ("bzg", false, true),
            ("begbeg", false, false),
            ("bebez", false, true),
        ] {
            let (bytes, text) = file(parts);
            assert_eq!(read(&bytes).unwrap(), (text.clone(), Oddities { unmarked_end, zeros }), "{parts}");
            // And as a genome that is entered in the middle.
            let path = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(path.path(), &bytes).unwrap();
            let opened = InputFile::open(path.path()).unwrap();
            let is_bgzf = opened.blocks().unwrap().is_some();
            let only_blocks = !parts.contains('g') && !parts.trim_end_matches('z').contains('z');
            assert_eq!(is_bgzf, only_blocks, "{parts}");
            assert_eq!(opened.compression() == Compression::Bgzf, parts.starts_with('b'), "{parts}");
            let genome = Genome::open(path.path(), 0, &|_| true).unwrap();
            assert_eq!(genome.chromosomes.len(), parts.chars().filter(|letter| "bg".contains(*letter)).count());
            let mut codes = Vec::new();
            genome.read(0, 8..14, &mut codes).unwrap();
            assert_eq!(codes, [3, 3, 2, 0, 3, 3], "{parts}");
        }
    }

    #[test]
    fn a_file_that_ends_in_the_middle_is_an_error_wherever_that_is() {
        for parts in ["be", "b", "g", "bg", "gb", "bebe"] {
            let (bytes, text) = file(parts);
            for cut in 1..bytes.len() {
                match read(&bytes[..cut]) {
                    // Where a block or a member ends; of a marker alone nothing is lost.
                    Ok((found, _)) => assert!(text.starts_with(&found), "{parts} cut at {cut}"),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{parts} cut at {cut}: {error}"),
                }
            }
            let ends = (1..bytes.len()).filter(|&cut| read(&bytes[..cut]).is_ok()).count();
            assert!(ends <= 6 * parts.len(), "{parts}: {ends} cuts go unnoticed");
        }
    }

    #[test]
    fn what_is_neither_gzip_nor_zeros_behind_the_data_is_an_error() {
        for parts in ["be", "b", "g", "bz"] {
            let (mut bytes, _) = file(parts);
            bytes.extend_from_slice(b"GARBAGE");
            assert_eq!(read(&bytes).unwrap_err().kind(), ErrorKind::InvalidData, "{parts}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_parts_in_any_order_are_read(parts in "[bg][bgez]{0,8}", pieces in 1usize..40) {
            let (bytes, text) = file(&parts);
            let (mut members, mut found, mut piece) = (members(&bytes), Vec::new(), vec![0; pieces]);
            loop {
                match members.read(&mut piece).unwrap() {
                    0 => break,
                    read => found.extend_from_slice(&piece[..read]),
                }
            }
            prop_assert_eq!(&found, &text);
            prop_assert_eq!(members.read(&mut piece).unwrap(), 0);
            let path = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(path.path(), &bytes).unwrap();
            found.clear();
            open(path.path()).unwrap().read_to_end(&mut found).unwrap();
            prop_assert_eq!(found, text);
        }
    }
}
