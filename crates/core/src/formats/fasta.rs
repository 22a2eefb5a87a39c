//! FASTA: one pass over the records of a file, as a stream without random access, and a writer of records. It is read as
//! samtools and pysam read it: blank lines, spaces inside and behind lines, and `;` comments do not matter.

use std::collections::HashSet;
use std::io::{BufRead, Read, Result as IoResult, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use memchr::memchr;
use noodles_fasta as fasta;

use crate::formats::compression::{InputFile, read_error};
use crate::sequence::alphabet;

/// Largest piece in bytes, small enough to stay in the second-level cache between splitting lines and encoding bases.
pub const LONGEST_PIECE: usize = if cfg!(fuzzing) { 1 << 10 } else { 1 << 16 };

/// Longer than any header; the limit keeps a file without line ends from filling memory.
const LONGEST_HEADER: u64 = 1 << 24;

/// One pass over the records of a FASTA file, in pieces of codes, in constant memory.
pub struct Records {
    path: PathBuf,
    input: Box<dyn BufRead + Send>,
    /// Names seen so far, if they must be unique.
    names: Option<HashSet<String>>,
    name: String,
    description: String,
    position: usize,
    place: Place,
    /// Whether a line was seen with spaces or tabs in it, which are then removed from all.
    has_spaces: bool,
    codes: Vec<u8>,
}

/// Where in its lines a file is read.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Number of the line, from 1.
    line: u64,
    /// Whether the next byte starts a line, where `>` starts the next record and `;` a comment.
    at_line_start: bool,
    /// Whether the rest of the line is a comment.
    in_comment: bool,
    /// Whether the last byte was a carriage return, which a line feed must follow.
    after_return: bool,
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
        let lines = skip_blank_lines(&mut *input).map_err(|error| read_error(path, &error))?;
        expect_fasta(path, input.fill_buf().map_err(|error| read_error(path, &error))?)?;
        Ok(Self {
            path: path.into(),
            input,
            names: None,
            name: String::new(),
            description: String::new(),
            position: 0,
            place: Place { line: 1 + lines, at_line_start: true, in_comment: false, after_return: false },
            has_spaces: false,
            codes: Vec::new(),
        })
    }

    /// Advances to the next record and returns its name: the header up to the first space or tab.
    ///
    /// # Errors
    /// The file is damaged, or a header has no name or, in a genome, a name that occurred before.
    pub fn next_record(&mut self) -> Result<Option<String>> {
        while self.next_piece()?.is_some() {}
        let mut header = Vec::new();
        let read = self.input.by_ref().take(LONGEST_HEADER).read_until(b'\n', &mut header);
        if read.map_err(|error| read_error(&self.path, &error))? == 0 {
            return Ok(None);
        }
        let fault = |what: &str| anyhow!("{}: line {}: {what}", self.path.display(), self.place.line);
        let header = header.trim_ascii_end().strip_prefix(b">").unwrap_or(&header).trim_ascii_start();
        if header.contains(&b'\r') {
            return Err(fault(
                "the header holds a carriage return, a line end of old Macs, expected LF or CRLF; convert it first (tr '\\r' '\\n')",
            ));
        }
        if header.len() as u64 >= LONGEST_HEADER - 1 {
            return Err(fault("the header has no end, expected a line; check the file"));
        }
        let name = header.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        if name.is_empty() {
            let after = if self.name.is_empty() { String::new() } else { format!(" after record '{}'", self.name) };
            return Err(fault(&format!("the header{after} has no name, expected '>name'; name the record")));
        }
        let description = String::from_utf8_lossy(header[name.len()..].trim_ascii_start()).into_owned();
        let name = String::from_utf8_lossy(name).into_owned();
        if self.names.as_mut().is_some_and(|names| !names.insert(name.clone())) {
            return Err(duplicate_name(&self.path, &name));
        }
        self.name.clone_from(&name);
        self.description = description;
        self.position = 0;
        self.place.line += 1;
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
            let bytes = self.input.fill_buf().map_err(|error| read_error(&self.path, &error))?;
            let bytes = &bytes[..bytes.len().min(LONGEST_PIECE)];
            let before = self.place;
            let used = append_lines(bytes, &mut self.place, self.has_spaces, codes);
            if let Err(fault) = alphabet::encode_in_place(&mut codes[start..]) {
                codes.truncate(start);
                if matches!(fault.byte, b' ' | b'\t') && !self.has_spaces {
                    (self.has_spaces, self.place) = (true, before);
                    continue;
                }
                let line = line_of(fault.position, &bytes[..used], before, self.has_spaces);
                self.input.consume(used);
                let fault = alphabet::InvalidBase { position: self.position + fault.position, ..fault };
                return Err(invalid_base(&self.path, Some(line), &self.name, fault));
            }
            self.input.consume(used);
            if used == 0 || codes.len() > start {
                break;
            }
        }
        self.position += codes.len() - start;
        Ok(codes.len() - start)
    }
}

/// Appends lines of sequence without their ends, and without spaces where there are any, up to the next header, and
/// returns the number of bytes used.
fn append_lines(bytes: &[u8], place: &mut Place, has_spaces: bool, bases: &mut Vec<u8>) -> usize {
    let mut next = 0;
    while next < bytes.len() && !(place.at_line_start && bytes[next] == b'>') {
        let rest = &bytes[next..];
        place.in_comment |= place.at_line_start && rest[0] == b';';
        let end = memchr(b'\n', rest);
        let line = &rest[..end.unwrap_or(rest.len())];
        next += line.len() + usize::from(end.is_some());
        if !place.in_comment {
            append_line(line, end.is_some(), place, has_spaces, bases);
        }
        place.at_line_start = end.is_some();
        place.in_comment &= end.is_none();
        place.line += u64::from(end.is_some());
    }
    next
}

/// Appends a line, or the part of one that there is. A carriage return stays if no line feed follows it.
fn append_line(line: &[u8], is_whole: bool, place: &mut Place, has_spaces: bool, bases: &mut Vec<u8>) {
    if std::mem::take(&mut place.after_return) && line.iter().any(|&byte| byte != b'\r') {
        bases.push(b'\r');
    }
    let start = bases.len();
    if has_spaces {
        bases.extend(line.iter().filter(|byte| !matches!(byte, b' ' | b'\t')));
    } else {
        bases.extend_from_slice(line);
    }
    while bases.len() > start && bases.ends_with(b"\r") {
        bases.pop();
        place.after_return = !is_whole;
    }
}

/// The line that a base of these bytes stands in.
fn line_of(base: usize, bytes: &[u8], mut place: Place, has_spaces: bool) -> u64 {
    let mut bases = Vec::new();
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let number = place.line;
        append_lines(line, &mut place, has_spaces, &mut bases);
        if bases.len() > base {
            return number;
        }
    }
    place.line
}

/// Skips blank lines and comments before the first record and returns their number.
pub(crate) fn skip_blank_lines(input: &mut dyn BufRead) -> IoResult<u64> {
    let mut lines = 0;
    loop {
        let bytes = input.fill_buf()?;
        let used = match bytes.first() {
            Some(b';') => {
                input.skip_until(b'\n')?;
                lines += 1;
                continue;
            }
            Some(byte) if byte.is_ascii_whitespace() => {
                bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
            }
            _ => return Ok(lines),
        };
        lines += bytes[..used].iter().filter(|&&byte| byte == b'\n').count() as u64;
        input.consume(used);
    }
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

pub(crate) fn invalid_base(
    path: &Path,
    line: Option<u64>,
    record: &str,
    fault: alphabet::InvalidBase,
) -> anyhow::Error {
    let line = line.map_or_else(String::new, |line| format!("line {line}: "));
    anyhow!("{}: {line}record '{record}': {fault}; fix or remove the record", path.display())
}

/// Checks the first bytes of a file that ought to be FASTA.
pub(crate) fn expect_fasta(path: &Path, head: &[u8]) -> Result<()> {
    let path = path.display();
    let looks_like = |format: &str, advice: &str| {
        Err(anyhow!("{path}: looks like {format}, expected FASTA ('>name') or FASTQ ('@name'); {advice}"))
    };
    match head {
        [b'>', ..] => Ok(()),
        [] => bail!("{path}: holds no records, expected FASTA; check the file"),
        [b'B', b'A', b'M', 1, ..] => looks_like("BAM", "convert it first (samtools fasta)"),
        [b'C', b'R', b'A', b'M', ..] => looks_like("CRAM", "convert it first (samtools fasta)"),
        [0x43, 0x27, 0x41, 0x1a, ..] => looks_like("2bit", "convert it first (twoBitToFa)"),
        _ if is_sam(head) => looks_like("SAM", "convert it first (samtools fasta)"),
        _ if head.starts_with(b"LOCUS ") => looks_like("GenBank", "convert it first"),
        [b'@', ..] => {
            bail!("{path}: starts with '@', which looks like FASTQ, expected FASTA ('>name'); convert it first")
        }
        [byte, ..] => {
            bail!("{path}: starts with '{}', expected FASTA ('>name'); check the file", byte.escape_ascii())
        }
    }
}

/// Whether a file that starts with `@` is SAM, of which that is the header.
pub(crate) fn is_sam(head: &[u8]) -> bool {
    [&b"@HD\t"[..], b"@SQ\t", b"@RG\t", b"@PG\t", b"@CO\t"].iter().any(|tag| head.starts_with(tag))
}

pub(crate) fn duplicate_name(path: &Path, name: &str) -> anyhow::Error {
    anyhow!("{}: record name '{name}' appears twice, expected unique names; rename or remove one", path.display())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::formats::text::Text;

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

    /// Names and codes of all records, read through a buffer of so many bytes.
    fn records_of(text: &[u8], buffer: usize) -> Result<Vec<(String, Vec<u8>)>> {
        let input = Box::new(Text::new(std::io::BufReader::with_capacity(buffer, std::io::Cursor::new(text.to_vec()))));
        let mut records = Records::of_sequences(Path::new("x.fa"), input)?;
        let mut all = Vec::new();
        while let Some(name) = records.next_record()? {
            let mut codes = Vec::new();
            while records.append_piece(&mut codes)? > 0 {}
            all.push((name, codes));
        }
        Ok(all)
    }

    #[test]
    fn what_peers_read_is_read_as_they_read_it() {
        let base = records_of(b">a one\nACGTAC\nGTTTnn\n>b\nGATTACA\n", 64).unwrap();
        for text in [
            ">a one\r\nACGTAC\r\nGTTTnn\r\n>b\r\nGATTACA\r\n",
            ">a one\r\r\nACGTAC\r\r\nGTTTnn\r\r\n>b\r\nGATTACA",
            "\u{feff}>a one\nACGTAC\nGTTTnn\n>b\nGATTACA\n",
            "\u{feff}\n\n>a one\nACGTAC\nGTTTnn\n>b\nGATTACA\n",
            "\n>a one\nACGTAC\nGTTTnn\n>b\nGATTACA\n",
            "\r\n \t\n>a one\nACGTAC\nGTTTnn\n>b\nGATTACA\n",
            "> a one\nACGTAC\nGTTTnn\n>\t b\nGATTACA\n",
            ">a\tone\nACGTAC\nGTTTnn\n>b \t\nGATTACA\n",
            ">a one\nACGTAC \nGTTTnn\t\n>b\nGATTACA  \r\n",
            ">a one\nACGT ACGTTT nn\n>b\nGAT TAC A\n",
            ">a one\n    ACGT ACGTTT nn\n>b\n\tGATTACA\n",
            "; a comment\n;another\n>a one\nACGTAC\nGTTTnn\n>b\nGATTACA\n",
            ">a one\n;of 12 bases, > and *\nACGTAC\n;\nGTTTnn\n;\n>b\nGATTACA\n;the end",
            ">a one\n\nACGTAC\n\n\nGTTTnn\n\n>b\n\nGATTACA\n\n\n",
            ">a one\nA\nCGTACGTT\nTnn\n>b\nGATTACA",
            ">a one\nACGUAC\nGUUUnn\n>b\nGAUUACA\n",
            ">a one\nACGTAC\nGTTTny\n>b\nGATTACA\r",
        ] {
            for buffer in [1, 2, 3, 7, 1000] {
                assert_eq!(records_of(text.as_bytes(), buffer).unwrap(), base, "{text:?} by {buffer}");
            }
        }
        let empty = records_of(b">a\n>b\n\n>c\nA\n>d", 5).unwrap();
        assert_eq!(empty.iter().map(|(_, codes)| codes.len()).collect::<Vec<_>>(), [0, 0, 1, 0]);
    }

    #[test]
    fn what_is_no_base_is_named_with_its_place_and_what_it_usually_means() {
        for (text, parts) in [
            (">a\nACGT\nAC*\n", &["line 3", "record 'a'", "'*' at base 7", "stop codon"][..]),
            (">a\nACGT\n>b\n\nAC--GT\n", &["line 5", "record 'b'", "'-' at base 3", "gap"]),
            (">a\nAC.T\n", &["line 2", "'.' at base 3", "gap"]),
            (">a\nACGT\rACGT\n", &["line 2", "'\\r' at base 5", "old Macs", "tr "]),
            (">a\rACGT\rACGT\r>b\rACGT\r", &["line 1", "carriage return", "old Macs", "tr "]),
            (">a\nMKVLAAGIVGL\n", &["line 2", "'L' at base 4", "protein"]),
            (">a\nmkvlaagivgl\n", &["line 2", "'l' at base 4", "protein"]),
            (">a\nACXXGT\n", &["line 2", "'X' at base 3", "N"]),
            (">a\nAC GT\n\nAC 7T\n", &["line 4", "'7' at base 7"]),
            (">a\nACGT\n>\nACGT\n", &["line 3", "after record 'a'", "no name"]),
            ("; only\n;comments\n", &["no records"]),
            ("\n\n", &["no records"]),
            ("\n;x\nACGT\n", &["starts with 'A'"]),
            ("@HD\tVN:1.6\n@SQ\tSN:1\n", &["SAM", "samtools fasta"]),
            ("@a\nACGT\n+\nIIII\n", &["FASTQ"]),
            ("\0\0\0", &["starts with '\\x00'"]),
        ] {
            // SAM is told by what the buffer holds.
            for buffer in [1, 3, 1000].into_iter().filter(|&buffer| buffer > 4 || !text.starts_with("@HD")) {
                let error = records_of(text.as_bytes(), buffer).unwrap_err().to_string();
                assert!(parts.iter().all(|part| error.contains(part)), "{text:?} by {buffer}: {error}");
                assert!(error.starts_with("x.fa: ") && !error.contains(['\n', '\r']), "{error}");
            }
        }
        let utf_16: Vec<u8> = ">a\nACGT\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let error = records_of(&utf_16, 64).unwrap_err().to_string();
        assert!(error.contains("UTF-16") && error.contains("iconv"), "{error}");
    }

    proptest! {
        #[test]
        fn layout_does_not_matter(
            records in prop::collection::vec(("[!-~]{1,6}", prop::collection::vec("[ACGTNacgtnRYKM]{0,9}", 0..6)), 1..5),
            between in prop::collection::vec(prop::sample::select(vec!["", "\n", " ", "\t\n", ";x > y\n", "\r\n"]), 64),
            end in prop::sample::select(vec!["\n", "\r\n", " \n"]),
            mark: bool,
            buffer in 1usize..40,
        ) {
            let (mut text, mut plain) = (String::new(), String::new());
            if mark {
                text.push('\u{feff}');
            }
            let mut between = between.into_iter();
            for (name, lines) in &records {
                text += &format!(">{}{name} x{end}", if name.len() % 2 == 0 { " " } else { "" });
                plain += &format!(">{name}\n{}\n", lines.concat());
                for line in lines {
                    // A comment starts a line.
                    let before = between.next().unwrap();
                    text += if before.starts_with(';') && !text.ends_with('\n') { "\n" } else { "" };
                    text += &format!("{before}{line}");
                    text += if line.len() % 3 == 0 { end } else { "\n" };
                }
                text += if text.ends_with('\n') { "" } else { "\n" };
            }
            prop_assert_eq!(records_of(text.as_bytes(), buffer).unwrap(), records_of(plain.as_bytes(), 64).unwrap());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, text in "[>;@ACGTNX*\\- \t\r\n]{0,80}", buffer in 1usize..9) {
            let _ = (records_of(&bytes, buffer), records_of(text.as_bytes(), buffer));
        }
    }
}
