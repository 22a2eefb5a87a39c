//! Reads of a FASTQ file through noodles, one at a time in constant memory, and a writer that leaves them unchanged.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use noodles_fastq as fastq;

use crate::formats::compression::read_error;
use crate::formats::quoted;
use crate::sequence::alphabet;

/// One pass over the reads of a FASTQ file.
pub struct Reads {
    path: PathBuf,
    reader: fastq::io::Reader<Box<dyn BufRead + Send>>,
    /// The current read.
    read: fastq::Record,
    /// Index of the current read, counted from 1.
    number: u64,
}

impl Reads {
    /// Reads from an open file; `path` is used in messages only.
    pub fn new(path: &Path, input: Box<dyn BufRead + Send>) -> Self {
        Self { path: path.into(), reader: fastq::io::Reader::new(input), read: fastq::Record::default(), number: 0 }
    }

    /// Advances to the next read; false at the end of the file.
    ///
    /// # Errors
    /// The file is damaged, or a read is not four lines: `@name`, bases, `+`, and as many qualities as bases.
    pub fn next_read(&mut self) -> Result<bool> {
        self.number += 1;
        // Checked before noodles, which takes a compressed file that is cut between two reads for a complete one.
        // Blank lines between reads do not matter; in a read without bases there are some that do.
        loop {
            let bytes = self.reader.get_mut().fill_buf().map_err(|error| read_error(&self.path, &error))?;
            match bytes.first() {
                None => return Ok(false),
                Some(b'\n' | b'\r') => self.reader.get_mut().consume(1),
                Some(_) => break,
            }
        }
        self.reader.read_record(&mut self.read).map_err(|error| self.damaged(&error))?;
        // A last line without a line end keeps the carriage return of a Windows file; spaces are neither bases nor qualities.
        trim_end(self.read.sequence_mut());
        trim_end(self.read.quality_scores_mut());
        if self.name().is_empty() {
            bail!(self.fault("the header has no name, expected '@name'; name the read"));
        }
        let (bases, qualities) = (self.read.sequence().len(), self.read.quality_scores().len());
        if bases != qualities {
            bail!(self.fault(&format!(
                "found {qualities} qualities, expected {bases}, one for each base; fix or remove the read, or copy the file again if it was cut short"
            )));
        }
        Ok(true)
    }

    /// Name of the current read: the header up to the first space or tab.
    pub fn name(&self) -> &[u8] {
        self.read.name()
    }

    /// Appends the codes of the bases, with case.
    ///
    /// # Errors
    /// A letter is not a base; `codes` is then as it was.
    pub fn codes(&self, codes: &mut Vec<u8>) -> Result<()> {
        alphabet::encode_with_case(self.read.sequence(), codes)
            .map_err(|fault| self.fault(&format!("{fault}; fix or remove the read")))
    }

    /// The current read as it is in the file, for writing it elsewhere.
    pub fn record(&self) -> &fastq::Record {
        &self.read
    }

    fn damaged(&self, error: &std::io::Error) -> anyhow::Error {
        match (error.kind(), error.to_string().as_str()) {
            (std::io::ErrorKind::InvalidData, "invalid name prefix") => {
                self.fault("the header does not start with '@', expected '@name'; check the reads around it")
            }
            (std::io::ErrorKind::InvalidData, "invalid description prefix") => self.fault(
                "there is no '+' after one line of bases, expected four lines a read; join bases that run over several lines (seqtk seq -l0)",
            ),
            (std::io::ErrorKind::UnexpectedEof, _) => {
                self.fault("the file ends in the middle of the read; copy or download it again")
            }
            _ => read_error(&self.path, error),
        }
    }

    fn fault(&self, what: &str) -> anyhow::Error {
        let name = if self.name().is_empty() { String::new() } else { format!(" '{}'", quoted(self.name())) };
        anyhow!("{}: read {}{name}: {what}", self.path.display(), self.number)
    }
}

fn trim_end(line: &mut Vec<u8>) {
    line.truncate(line.trim_ascii_end().len());
}

/// Writes a read unchanged, except for line ends and the text after the `+`. noodles does not keep whether a space or a
/// tab followed the name: a tab is written before tags, as `samtools fastq -T` and basecallers do.
///
/// # Errors
/// `out` cannot be written.
pub fn write_read(out: &mut dyn Write, read: &fastq::Record) -> std::io::Result<()> {
    let description: &[u8] = read.description();
    let is_tag =
        matches!(description, [a, b, b':', _, b':', ..] if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric());
    let name: &[u8] = read.name();
    out.write_all(b"@")?;
    out.write_all(name)?;
    if !description.is_empty() {
        out.write_all(if is_tag { b"\t" } else { b" " })?;
        out.write_all(description)?;
    }
    for line in [b"\n", read.sequence(), b"\n+\n", read.quality_scores(), b"\n"] {
        out.write_all(line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::members::{Ahead, Members};
    use proptest::prelude::*;

    /// Name, bases and the read written again, for each read.
    fn reads_of(bytes: &[u8]) -> Result<Vec<(String, String)>> {
        let mut reads = Reads::new(Path::new("reads.fq"), Box::new(std::io::Cursor::new(bytes.to_vec())));
        let mut all = Vec::new();
        while reads.next_read()? {
            let mut written = Vec::new();
            write_read(&mut written, reads.record()).unwrap();
            all.push((quoted(reads.name()), String::from_utf8_lossy(&written).into_owned()));
        }
        Ok(all)
    }

    #[test]
    fn line_ends_blank_lines_and_spaces_at_the_end_of_lines_do_not_matter() {
        let expected = reads_of(b"@a x\nACGT\n+\nIIII\n@b\nA\n+\nI\n").unwrap();
        assert_eq!(expected[0], ("a".into(), "@a x\nACGT\n+\nIIII\n".into()));
        for text in [
            "@a x\r\nACGT\r\n+\r\nIIII\r\n@b\r\nA\r\n+\r\nI\r\n",
            "@a x\nACGT\r\n+a x\nIIII\n@b\nA\n+b\r\nI",
            "@a x\nACGT\n+\nIIII\n@b\nA\n+\nI\r",
            "@a x\nACGT\n+\nIIII\n@b\nA\n+\nI\n\n\r\n\n",
            "\n\r\n@a x\nACGT\n+\nIIII\n\n@b\nA\n+\nI\n",
            "@a x\nACGT \n+\nIIII\t \n@b\nA\n+\nI ",
        ] {
            assert_eq!(reads_of(text.as_bytes()).unwrap(), expected, "{text:?}");
        }
        assert_eq!(reads_of(b"@a\n\n+\n\n@b\nA\n+\nI\n").unwrap().len(), 2, "a read without bases is a read");
    }

    #[test]
    fn tags_stay_behind_a_tab_and_descriptions_behind_a_space() {
        for text in ["@a\tRG:Z:x\tMM:Z:y\nAC\n+\nII\n", "@a 1:N:0 z\nAC\n+\nII\n", "@a\nacgtnACGTN\n+\n!~@+IIIIII\n"] {
            assert_eq!(reads_of(text.as_bytes()).unwrap()[0].1, text);
        }
    }

    #[test]
    fn faults_name_the_file_and_the_read() {
        for (text, parts) in [
            (&b"@a\nAC\n+\nII\nb\nAC\n+\nII\n"[..], &["read 2", "'@name'"][..]),
            (b"@\nAC\n+\nII\n", &["read 1", "no name"]),
            (b"@a\nAC\n", &["read 1 'a'", "ends in the middle"]),
            (b"@a\nACGT\n+\nII", &["read 1 'a'", "2 qualities", "expected 4"]),
            (b"@a\nACGT\nAC\n+\nIIII\nII\n", &["read 1 'a'", "no '+'", "several lines"]),
        ] {
            let message = reads_of(text).unwrap_err().to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{text:?}: {message}");
            assert!(message.starts_with("reads.fq: ") && !message.contains('\n'), "{message}");
        }
        let mut reads = Reads::new(Path::new("x.fq"), Box::new(&b"@a\nAC.T\n+\nIIII\n"[..]));
        assert!(reads.next_read().unwrap());
        let message = reads.codes(&mut Vec::new()).unwrap_err().to_string();
        assert!(message.starts_with("x.fq: read 1 'a': found '.' at base 3"), "{message}");
    }

    fn gunzip(bytes: Vec<u8>) -> Box<dyn BufRead + Send> {
        let input = Ahead::new(std::io::Cursor::new(bytes));
        Box::new(Members::new(Path::new("x.fq.gz"), input, std::num::NonZero::<usize>::MIN))
    }

    #[test]
    fn a_compressed_file_that_was_cut_is_an_error_even_between_two_reads() {
        let text: String = (0..5000).map(|i| format!("@read{i}\nACGTACGT\n+\nIIIIIIII\n")).collect();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.flush().unwrap(); // all reads are whole, and the end of the stream is missing
        let cut = gzip.get_ref().clone();
        let mut reads = Reads::new(Path::new("x.fq.gz"), gunzip(cut));
        let error = loop {
            match reads.next_read() {
                Ok(true) => {}
                Ok(false) => panic!("the end was taken for the end"),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("ends in the middle"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, lines in "@[@+ACGT\\PC \t\r\n]{0,200}") {
            for bytes in [&bytes[..], &[b"@", &bytes[..]].concat(), lines.as_bytes()] {
                let _ = reads_of(bytes);
            }
        }

        #[test]
        fn written_reads_are_read_back(name in "[!-~]{1,20}", letters in prop::collection::vec(("[ACGTNacgtn]", "[!-~]"), 0..60)) {
            let (bases, qualities): (String, String) = letters.into_iter().unzip();
            let text = format!("@{name}\n{bases}\n+\n{qualities}\n");
            let found = reads_of(text.as_bytes()).unwrap();
            prop_assert_eq!(&found[0].1, &text);
        }
    }
}
