//! Records of FASTA or FASTQ, distinguished by the first byte that is no blank line: plain, gzip or BGZF, one pass in
//! constant memory.

use std::io::BufRead;
use std::path::Path;

use anyhow::Result;
use noodles_fastq as fastq;

use crate::formats::compression::{self, read_error};
use crate::formats::fasta::{self, is_sam, skip_blank_lines};
use crate::formats::fastq::Reads;

/// One pass over the records of a file.
pub enum Records {
    /// The file starts with `>`.
    Fasta(fasta::Records),
    /// The file starts with `@`.
    Fastq(FastqRecords),
}

/// Reads as records of one piece each.
pub struct FastqRecords {
    reads: Reads,
    codes: Vec<u8>,
    /// Whether the piece of the current read has not been returned yet.
    fresh: bool,
}

impl Records {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// The file is missing, damaged, or neither FASTA nor FASTQ.
    pub fn open(path: &Path) -> Result<Self> {
        Self::of_input(path, compression::open(path)?)
    }

    /// Reads records from an open file; `path` is used in messages only.
    ///
    /// # Errors
    /// The file is damaged, or neither FASTA nor FASTQ.
    pub fn of_input(path: &Path, mut input: Box<dyn BufRead + Send>) -> Result<Self> {
        skip_blank_lines(&mut *input).map_err(|error| read_error(path, &error))?;
        let head = input.fill_buf().map_err(|error| read_error(path, &error))?;
        if head.first() == Some(&b'@') && !is_sam(head) {
            let reads = Reads::new(path, input);
            return Ok(Self::Fastq(FastqRecords { reads, codes: Vec::new(), fresh: false }));
        }
        fasta::Records::of_sequences(path, input).map(Self::Fasta)
    }

    /// Advances to the next record and returns its name: the header up to the first space.
    ///
    /// # Errors
    /// The file is damaged or a record is malformed.
    pub fn next_record(&mut self) -> Result<Option<String>> {
        match self {
            Self::Fasta(records) => records.next_record(),
            Self::Fastq(FastqRecords { reads, fresh, .. }) => {
                *fresh = reads.next_read()?;
                Ok(fresh.then(|| String::from_utf8_lossy(reads.name()).into_owned()))
            }
        }
    }

    /// What the header of the current record says behind the name; nothing for reads, where instruments write there.
    pub fn description(&self) -> &str {
        match self {
            Self::Fasta(records) => records.description(),
            Self::Fastq(_) => "",
        }
    }

    /// The codes, with case, of the next piece of the current record; `None` at the end of the record.
    ///
    /// # Errors
    /// The file is damaged, or holds a byte that is not an IUPAC code.
    pub fn next_piece(&mut self) -> Result<Option<&[u8]>> {
        match self {
            Self::Fasta(records) => records.next_piece(),
            Self::Fastq(FastqRecords { reads, codes, fresh }) => {
                codes.clear();
                if std::mem::take(fresh) {
                    reads.codes(codes)?;
                }
                Ok((!codes.is_empty()).then_some(codes))
            }
        }
    }

    /// Replaces `codes` by the codes, with case, of the whole current record.
    ///
    /// # Errors
    /// As [`Records::next_piece`].
    pub fn read_whole(&mut self, codes: &mut Vec<u8>) -> Result<()> {
        codes.clear();
        while let Some(piece) = self.next_piece()? {
            codes.extend_from_slice(piece);
        }
        Ok(())
    }

    /// The current read, if the file is FASTQ.
    pub fn read(&self) -> Option<&fastq::Record> {
        match self {
            Self::Fasta(_) => None,
            Self::Fastq(records) => Some(records.reads.record()),
        }
    }
}
