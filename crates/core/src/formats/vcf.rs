//! Variants from VCF, plain, gzip or BGZF, one line at a time. Lines are kept verbatim, so that they can be written
//! again unchanged.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use noodles_vcf::Record;

use crate::formats::compression::{self, read_error};
use crate::sequence::alphabet;

/// Longer than a line for any cohort; the limit keeps a file without line ends from filling memory.
const LONGEST_LINE: u64 = 1 << 28;

/// The first line of every VCF file, and its column names (VCF specification, section 1).
const FILE_FORMAT: &str = "##fileformat=VCF";
const COLUMNS: &str = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO";

/// An alternative allele.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allele {
    /// Codes of its bases, all of them known.
    Bases(Vec<u8>),
    /// A symbol such as `<DEL>`, `*`, a breakend, or IUPAC codes of several bases.
    NotSpelledOut,
}

/// A line of a VCF file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The line verbatim, without its end.
    pub line: String,
    /// Line number, counted from 1 with the header.
    pub number: usize,
    /// CHROM, as the file spells it.
    pub chromosome: String,
    /// Position of the first base of REF, 0-based; `None` for POS 0, the position before the first base.
    pub start: Option<usize>,
    /// ID; `.` if there is none.
    pub id: String,
    /// Codes of REF, without case.
    pub reference: Vec<u8>,
    /// REF as the file spells it.
    pub reference_bases: String,
    /// Alternative alleles in the order of ALT, each with its text; empty if ALT is `.`.
    pub alternatives: Vec<(String, Allele)>,
}

/// One pass over a VCF file.
pub struct Vcf {
    path: PathBuf,
    input: Box<dyn BufRead + Send>,
    /// Lines of the header, without their ends.
    pub header: Vec<String>,
    lines: usize,
}

impl Vcf {
    /// Opens a file and reads its header; `-` is standard input, not compressed.
    ///
    /// # Errors
    /// The file is missing, damaged, or not VCF.
    pub fn open(path: &Path) -> Result<Self> {
        let input = compression::open_or_stdin(path)?;
        let mut vcf = Self { path: path.into(), input, header: Vec::new(), lines: 0 };
        vcf.check_format()?;
        while let Some(line) = vcf.next_line()? {
            let is_last = !line.starts_with("##");
            if is_last && !line.starts_with(COLUMNS) {
                let found: String = line.chars().take(20).collect();
                bail!(
                    "{}: line {} starts with '{found}', expected ## or the column names #CHROM, POS, ID, REF, ALT, QUAL, FILTER and INFO with tabs between; fix the header",
                    path.display(),
                    vcf.lines
                );
            }
            vcf.header.push(line);
            if is_last {
                return Ok(vcf);
            }
        }
        bail!("{}: ends in its header, expected the column names #CHROM, POS and so on; fix the header", path.display())
    }

    fn check_format(&mut self) -> Result<()> {
        let shown = self.path.display();
        let head = self.input.fill_buf().map_err(|error| read_error(&self.path, &error))?;
        let expected = &FILE_FORMAT.as_bytes()[..FILE_FORMAT.len().min(head.len().max(1))];
        match head {
            [] => bail!("{shown}: holds nothing, expected VCF; check the path"),
            [b'B', b'C', b'F', ..] => bail!("{shown}: is BCF, expected VCF; convert it first (bcftools view)"),
            _ if !head.starts_with(expected) => {
                bail!("{shown}: does not begin with {FILE_FORMAT}, expected VCF; check the file")
            }
            _ => Ok(()),
        }
    }

    /// The next line without its end.
    fn next_line(&mut self) -> Result<Option<String>> {
        let shown = self.path.display();
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes);
        if read.map_err(|error| read_error(&self.path, &error))? == 0 {
            return Ok(None);
        }
        self.lines += 1;
        let line = self.lines;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        } else if bytes.len() as u64 == LONGEST_LINE {
            bail!("{shown}: line {line} has more than {LONGEST_LINE} bytes, expected VCF; check the file");
        }
        // More than one where a file was converted twice.
        while bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
        text.map(Some).ok_or_else(|| anyhow!("{shown}: line {line} is no text (UTF-8), expected VCF; check the file"))
    }

    /// Reads the next variant; `None` at the end of the file.
    ///
    /// # Errors
    /// A line is malformed.
    pub fn next_variant(&mut self) -> Result<Option<Variant>> {
        match self.next_line()? {
            None => Ok(None),
            // Some programs end a file with an empty line.
            Some(line) if line.is_empty() && self.input.fill_buf().is_ok_and(<[u8]>::is_empty) => Ok(None),
            Some(line) => self.variant(line).map(Some),
        }
    }

    fn variant(&self, line: String) -> Result<Variant> {
        let at = || format!("{}: line {}", self.path.display(), self.lines);
        let record = Record::try_from(line.as_bytes()).map_err(|_| {
            let found = line.split('\t').count();
            anyhow!(
                "{}: has {found} columns, or an empty one, expected 8 or more with tabs between; fix the line",
                at()
            )
        })?;
        let start = record.variant_start().transpose().map_err(|_| {
            let found = line.split('\t').nth(1).unwrap_or_default();
            anyhow!("{}: POS is '{found}', expected a whole number; fix the line", at())
        })?;
        let reference_bases = record.reference_bases();
        let mut reference = Vec::new();
        alphabet::encode(reference_bases.as_bytes(), &mut reference)
            .map_err(|_| anyhow!("{}: REF is '{}', expected bases; fix the line", at(), shortened(reference_bases)))?;
        let allele = |text: &str| match allele(text) {
            Some(allele) => Ok((text.to_owned(), allele)),
            None => bail!(
                "{}: ALT holds '{}', expected bases, *, a symbol in <> or a breakend; fix the line",
                at(),
                shortened(text)
            ),
        };
        let alternatives = match record.alternate_bases().as_ref() {
            "" | "." => Vec::new(),
            all => all.split(',').map(allele).collect::<Result<_>>()?,
        };
        Ok(Variant {
            number: self.lines,
            chromosome: record.reference_sequence_name().to_owned(),
            start: start.map(|start| start.get() - 1),
            id: line.split('\t').nth(2).unwrap_or(".").to_owned(),
            reference,
            reference_bases: reference_bases.to_owned(),
            alternatives,
            line,
        })
    }
}

/// Shortens a long allele for a message.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 20;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

/// Parses an alternative allele (section 1.6.1); `None` if it is malformed.
fn allele(text: &str) -> Option<Allele> {
    let is_symbol = text == "*"
        || (text.starts_with('<') && text.ends_with('>') && text.len() > 2)
        || text.contains(['[', ']'])
        || (text.len() > 1 && (text.starts_with('.') || text.ends_with('.')));
    if is_symbol {
        return Some(Allele::NotSpelledOut);
    }
    let mut codes = Vec::new();
    alphabet::encode(text.as_bytes(), &mut codes).ok().filter(|()| !codes.is_empty())?;
    let is_known = codes.iter().all(|&code| !alphabet::is_unknown(code));
    Some(if is_known { Allele::Bases(codes) } else { Allele::NotSpelledOut })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "##fileformat=VCFv4.3\n##source=test\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n";

    fn read(bytes: &[u8]) -> Result<Vec<Variant>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.vcf");
        std::fs::write(&path, bytes).unwrap();
        let mut vcf = Vcf::open(&path)?;
        let mut all = Vec::new();
        while let Some(variant) = vcf.next_variant()? {
            all.push(variant);
        }
        Ok(all)
    }

    fn error(body: &str) -> String {
        read(format!("{HEADER}{body}").as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn lines_are_read_with_their_alleles() {
        let body = "chr1\t10\trs1\tac\tG,<DEL>,*,N,A]chr2:5]\t.\tPASS\tX=1\tGT\t0|1\r\nchr1\t0\t.\tN\t.\t.\t.\t.\n\n";
        let all = read(format!("{HEADER}{body}").as_bytes()).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].start, all[0].id.as_str(), all[0].number), (Some(9), "rs1", 4));
        assert_eq!(all[0].reference, [0, 1]);
        assert_eq!(all[0].alternatives[0], ("G".into(), Allele::Bases(vec![2])));
        assert!(all[0].alternatives[1..].iter().all(|(_, allele)| *allele == Allele::NotSpelledOut));
        assert_eq!(all[0].line, "chr1\t10\trs1\tac\tG,<DEL>,*,N,A]chr2:5]\t.\tPASS\tX=1\tGT\t0|1");
        assert_eq!((all[1].start, all[1].alternatives.len()), (None, 0));
    }

    #[test]
    fn carriage_returns_at_the_end_belong_to_no_line() {
        let body = "chr1\t10\t.\tA\tC\t.\t.\tEND=10";
        for end in ["\n", "\r\n", "\r\r\n", "\r", ""] {
            let all = read(format!("{HEADER}{body}{end}").as_bytes()).unwrap();
            assert_eq!((all.len(), all[0].line.as_str()), (1, body));
        }
    }

    #[test]
    fn what_is_malformed_is_named_with_its_line() {
        assert!(error("chr1\t10\n").contains("line 4: has 2 columns"));
        assert!(error("chr1\tx\t.\tA\tC\t.\t.\t.\n").contains("line 4: POS is 'x', expected a whole number"));
        assert!(error("chr1\t-5\t.\tA\tC\t.\t.\t.\n").contains("POS is '-5'"));
        assert!(error("chr1\t10\t.\tA?\tC\t.\t.\t.\n").contains("REF is 'A?', expected bases"));
        assert!(error("chr1\t10\t.\tA\tC,,G\t.\t.\t.\n").contains("ALT holds ''"));
        assert!(error("chr1\t10\t.\tA\tC1\t.\t.\t.\n").contains("ALT holds 'C1'"));
        assert!(error("\nchr1\t10\t.\tA\tC\t.\t.\t.\n").contains("line 4: has 1 columns"));
        let whole = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
        assert!(whole("chr1\t10\t.\tA\tC\t.\t.\t.\n").contains("does not begin with ##fileformat=VCF"));
        assert!(whole("##fileformat=VCFv4.2\n").contains("ends in its header"));
        assert!(whole("##fileformat=VCFv4.2\nchr1\t1\n").contains("line 2 starts with 'chr1\t1', expected ##"));
        assert!(whole("BCF\u{2}").contains("bcftools view"));
        assert!(read(b"##fileformat=VCFv4.2\n\xff\n").unwrap_err().to_string().contains("line 2 is no text"));
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(body in "[ACGT0-9.,<>*\\[\\]:\\t\\n\\r]{0,60}") {
            let _ = read(format!("{HEADER}chr1\t{body}\n").as_bytes());
        }
    }
}
