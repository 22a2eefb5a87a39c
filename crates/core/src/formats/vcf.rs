//! Variants from VCF, plain, gzip or BGZF, one line at a time. Lines are kept verbatim, so that they can be written
//! again unchanged, and a line that is no variant is passed on with what is wrong with it.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::formats::compression::{self, read_error};
use crate::formats::lines::Lines;
use crate::formats::quoted;
use crate::sequence::alphabet;

/// Longer than a line for any cohort; the limit keeps a file without line ends from filling memory.
const LONGEST_LINE: usize = 1 << 28;

/// Upper limit of positions; no chromosome comes near it, so a larger number is an error in the file.
const LARGEST_POSITION: usize = 1 << 40;

/// The first line of every VCF file, and its column names (VCF specification, section 1).
const FILE_FORMAT: &str = "##fileformat=VCF";
const COLUMNS: [&str; 8] = ["CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"];

/// Index of the column INFO.
pub const INFO: usize = 7;

/// Columns that a variant needs to be scored: all up to ALT.
const FEWEST_COLUMNS: usize = 5;

/// An alternative allele.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allele {
    /// Codes of its bases, all of them known.
    Bases(Vec<u8>),
    /// A symbol such as `<DEL>`, `*`, a breakend, or IUPAC codes of several bases.
    NotSpelledOut,
    /// Anything else, such as `-`, which other formats write for a deletion.
    Malformed,
}

/// A line below the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The line verbatim, without its end.
    pub text: Vec<u8>,
    /// Line number, counted from 1 with the header.
    pub number: usize,
    /// What it holds.
    pub content: Content,
}

/// What a line below the header holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A variant.
    Variant(Variant),
    /// No variant, with what is wrong.
    Malformed(String),
    /// A comment, such as the header of a file that was appended.
    Comment,
}

/// A variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// CHROM, as the file spells it.
    pub chromosome: String,
    /// Position of the first base of REF, 0-based; `None` for POS 0, the position before the first base.
    pub start: Option<usize>,
    /// Codes of REF, without case.
    pub reference: Vec<u8>,
    /// Alternative alleles in the order of ALT, each with its text; empty if ALT is `.`.
    pub alternatives: Vec<(String, Allele)>,
}

/// One pass over a VCF file.
pub struct Vcf {
    path: PathBuf,
    lines: Lines<Box<dyn BufRead + Send>>,
    /// Lines of the header, without their ends. The first is that of the format, and the last holds the names of eight or
    /// more columns with tabs between, whether or not the file has them.
    pub header: Vec<Vec<u8>>,
    /// What the header lacked, each as part of a sentence.
    pub repaired: Vec<&'static str>,
    /// Number of columns that the header names.
    columns: usize,
    /// A first line of variants, read in search of the header.
    ahead: Option<Vec<u8>>,
}

impl Vcf {
    /// Opens a file and reads its header; `-` is standard input.
    ///
    /// Blank lines before the header are skipped, and what it lacks is added.
    ///
    /// # Errors
    /// The file is missing, damaged, or not VCF.
    pub fn open(path: &Path) -> Result<Self> {
        let mut input = compression::open(path)?;
        check_format(path, input.fill_buf().map_err(|error| read_error(path, &error))?)?;
        let mut vcf = Self {
            path: path.into(),
            lines: Lines::new(path, input, LONGEST_LINE, "VCF"),
            header: Vec::new(),
            repaired: Vec::new(),
            columns: COLUMNS.len(),
            ahead: None,
        };
        vcf.read_header()?;
        vcf.complete_header();
        Ok(vcf)
    }

    /// Reads up to the column names or, where there are none, the first variant.
    fn read_header(&mut self) -> Result<()> {
        while let Some(mut line) = self.next_text()? {
            if self.lines.number() == 1 && line.starts_with(b"\xef\xbb\xbf") {
                line.drain(..3); // the byte order mark that Windows puts before UTF-8
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let words = columns(&line);
            let first = words[0].strip_prefix(b"#").unwrap_or(words[0]);
            if line.starts_with(b"##") {
                self.header.push(line);
            } else if first.eq_ignore_ascii_case(COLUMNS[0].as_bytes()) {
                self.check_columns(&words)?;
                self.columns = words.len();
                self.header.push(with_all_columns(&words));
                return Ok(());
            } else if line.starts_with(b"#") {
                self.header.push(line);
            } else if is_variant(&words) {
                self.repaired.push("the line of column names");
                self.columns = words.len().min(COLUMNS.len());
                self.header.push(unnamed_columns(words.len()));
                self.ahead = Some(line);
                return Ok(());
            } else if self.header.is_empty() {
                bail!("{}: does not begin with {FILE_FORMAT}, expected VCF; check the file", self.path.display())
            } else {
                return Err(self.bad_header(&line));
            }
        }
        bail!(
            "{}: ends in its header, expected the column names #CHROM, POS and so on; fix the header",
            self.path.display()
        )
    }

    fn check_columns(&self, words: &[&[u8]]) -> Result<()> {
        let is_named = |(word, name): (&&[u8], &&str)| word.eq_ignore_ascii_case(name.as_bytes());
        let others = words.iter().zip(&COLUMNS).skip(1);
        if words.len() < FEWEST_COLUMNS || !others.into_iter().all(is_named) {
            return Err(self.bad_header(&words.join(&b' ')));
        }
        Ok(())
    }

    fn bad_header(&self, line: &[u8]) -> anyhow::Error {
        anyhow::anyhow!(
            "{}: line {} starts with '{}', expected ## or the column names #CHROM, POS, ID, REF, ALT, QUAL, FILTER and INFO with tabs between; fix the header",
            self.path.display(),
            self.lines.number(),
            quoted(line)
        )
    }

    /// Puts the line of the format first, and adds it where there is none.
    fn complete_header(&mut self) {
        match self.header.iter().position(|line| line.starts_with(FILE_FORMAT.as_bytes())) {
            Some(place) => self.header[..=place].rotate_right(1),
            None => {
                self.repaired.push("the line ##fileformat");
                self.header.insert(0, format!("{FILE_FORMAT}v4.2").into_bytes());
            }
        }
    }

    /// The next line without its end.
    fn next_text(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(mut line) = self.lines.next_line()? else { return Ok(None) };
        // More than one where a file was converted twice.
        while let Some(shorter) = line.strip_suffix(b"\r") {
            line = shorter;
        }
        Ok(Some(line.to_vec()))
    }

    /// Reads the next line that is not blank; `None` at the end of the file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next_line(&mut self) -> Result<Option<Line>> {
        loop {
            let text = match self.ahead.take() {
                Some(text) => text,
                None => match self.next_text()? {
                    Some(text) => text,
                    None => return Ok(None),
                },
            };
            if text.trim_ascii().is_empty() {
                continue;
            }
            let content = match text[0] {
                b'#' => Content::Comment,
                _ => self.variant(&text).map_or_else(Content::Malformed, Content::Variant),
            };
            return Ok(Some(Line { text, number: self.lines.number() as usize, content }));
        }
    }

    /// Parses a variant; the error says what is wrong.
    fn variant(&self, text: &[u8]) -> Result<Variant, String> {
        let columns = columns(text);
        let (found, fewest) = (columns.len(), self.columns.min(COLUMNS.len()));
        if !self.lines.has_end() && found < self.columns {
            return Err(format!("ends in column {found} of {}, as if the file was cut short", self.columns));
        }
        if found < fewest {
            return Err(format!("has {found} columns, expected {fewest} or more with tabs between"));
        }
        let [chromosome, position, _, reference, alternatives] = [0, 1, 2, 3, 4].map(|i| columns[i].trim_ascii());
        if text.contains(&0) {
            return Err("holds a zero byte, expected text".into());
        }
        if chromosome.is_empty() {
            return Err("CHROM is empty, expected the name of a chromosome".into());
        }
        let is_number = !position.is_empty() && position.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(position).ok().filter(|_| is_number).and_then(|digits| digits.parse().ok());
        let Some(number) = number.filter(|&number: &usize| number <= LARGEST_POSITION) else {
            return Err(format!("POS is '{}', expected a whole number", quoted(position)));
        };
        let mut codes = Vec::new();
        if reference.is_empty() || alphabet::encode(reference, &mut codes).is_err() {
            return Err(format!("REF is '{}', expected bases", quoted(reference)));
        }
        let alternatives = match alternatives {
            b"" => return Err("ALT is empty, expected bases or '.'".into()),
            b"." => Vec::new(),
            all => all.split(|&byte| byte == b',').map(|text| (lossy(text), allele(text))).collect(),
        };
        Ok(Variant { chromosome: lossy(chromosome), start: number.checked_sub(1), reference: codes, alternatives })
    }
}

/// Refuses other formats by the first bytes of a file.
fn check_format(path: &Path, head: &[u8]) -> Result<()> {
    let shown = path.display();
    let looks_like = |what: &str| format!("looks like {what}, expected VCF; check the path");
    let fault = match head {
        [] => "holds nothing, expected VCF; check the path".into(),
        [b'B', b'C', b'F', ..] => "is BCF, expected VCF; convert it first (bcftools view)".into(),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            "is UTF-16 text, expected ASCII or UTF-8; convert it first (iconv -f UTF-16 -t UTF-8)".into()
        }
        [b'>', ..] => looks_like("FASTA"),
        [b'@', ..] => looks_like("FASTQ or SAM"),
        _ => return Ok(()),
    };
    bail!("{shown}: {fault}")
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The columns of a line: with tabs between or, in a line without tabs, with spaces, as some editors leave them.
pub fn columns(text: &[u8]) -> Vec<&[u8]> {
    if text.contains(&b'\t') {
        return text.split(|&byte| byte == b'\t').collect();
    }
    let words: Vec<&[u8]> = text.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).collect();
    if words.is_empty() { vec![text] } else { words }
}

/// Whether a line without column names above it can be a variant.
fn is_variant(columns: &[&[u8]]) -> bool {
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let is_allele =
        |text: &[u8]| text == b"." || text.split(|&byte| byte == b',').all(|one| allele(one) != Allele::Malformed);
    columns.len() >= FEWEST_COLUMNS && is_number(columns[1]) && is_allele(columns[3]) && is_allele(columns[4])
}

/// The line of column names, with those that it lacks.
fn with_all_columns(words: &[&[u8]]) -> Vec<u8> {
    let own = words.iter().skip(1).copied();
    let lacking = COLUMNS.iter().skip(words.len()).map(|name| name.as_bytes());
    std::iter::once(&b"#CHROM"[..]).chain(own).chain(lacking).collect::<Vec<_>>().join(&b'\t')
}

/// Column names for lines of `found` columns.
fn unnamed_columns(found: usize) -> Vec<u8> {
    let mut names: Vec<String> = COLUMNS.iter().map(|name| (*name).to_owned()).collect();
    names[0].insert(0, '#');
    if found > COLUMNS.len() {
        names.push("FORMAT".into());
        names.extend((1..found - COLUMNS.len()).map(|sample| format!("sample{sample}")));
    }
    names.join("\t").into_bytes()
}

/// Parses an alternative allele (section 1.6.1).
fn allele(text: &[u8]) -> Allele {
    let text = text.trim_ascii();
    let is_symbol = text == b"*"
        || (text.starts_with(b"<") && text.ends_with(b">") && text.len() > 2)
        || text.iter().any(|byte| b"[]".contains(byte))
        || (text.len() > 1 && (text.starts_with(b".") || text.ends_with(b".")));
    if is_symbol {
        return Allele::NotSpelledOut;
    }
    let mut codes = Vec::new();
    match alphabet::encode(text, &mut codes) {
        Ok(()) if codes.is_empty() => Allele::Malformed,
        Ok(()) if codes.iter().all(|&code| !alphabet::is_unknown(code)) => Allele::Bases(codes),
        Ok(()) => Allele::NotSpelledOut,
        Err(_) => Allele::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "##fileformat=VCFv4.3\n##source=test\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n";

    fn open(bytes: &[u8]) -> Result<Vcf> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.vcf");
        std::fs::write(&path, bytes).unwrap();
        Vcf::open(&path)
    }

    fn read(bytes: &[u8]) -> Result<Vec<Line>> {
        let mut vcf = open(bytes)?;
        std::iter::from_fn(|| vcf.next_line().transpose()).collect()
    }

    fn lines(body: &str) -> Vec<Line> {
        read(format!("{HEADER}{body}").as_bytes()).unwrap()
    }

    fn variant(line: &Line) -> &Variant {
        match &line.content {
            Content::Variant(variant) => variant,
            other => panic!("line {}: {other:?}", line.number),
        }
    }

    #[test]
    fn lines_are_read_with_their_alleles() {
        let body = "chr1\t10\trs1\tac\tG,<DEL>,*,N,A]chr2:5],-\t.\tPASS\tX=1\tGT\t0|1\r\nchr1\t0\t.\tN\t.\t.\t.\t.\n\n";
        let all = lines(body);
        assert_eq!(all.len(), 2);
        let first = variant(&all[0]);
        assert_eq!((first.chromosome.as_str(), first.start, all[0].number), ("chr1", Some(9), 4));
        assert_eq!(first.reference, [0, 1]);
        assert_eq!(first.alternatives[0], ("G".into(), Allele::Bases(vec![2])));
        assert!(first.alternatives[1..5].iter().all(|(_, allele)| *allele == Allele::NotSpelledOut));
        assert_eq!(first.alternatives[5], ("-".into(), Allele::Malformed));
        assert_eq!(all[0].text, b"chr1\t10\trs1\tac\tG,<DEL>,*,N,A]chr2:5],-\t.\tPASS\tX=1\tGT\t0|1");
        assert_eq!((variant(&all[1]).start, variant(&all[1]).alternatives.len()), (None, 0));
    }

    #[test]
    fn carriage_returns_at_the_end_belong_to_no_line() {
        let body = "chr1\t10\t.\tA\tC\t.\t.\tEND=10";
        for end in ["\n", "\r\n", "\r\r\n", "\r", ""] {
            let all = lines(&format!("{body}{end}"));
            assert_eq!((all.len(), all[0].text.as_slice()), (1, body.as_bytes()));
        }
    }

    /// Lines between two good ones; each must leave them as they are.
    #[test]
    fn an_odd_line_is_passed_on_with_what_is_wrong_and_the_others_are_read() {
        let good = "chr1\t10\t.\tA\tC\t.\t.\t.";
        for (odd, expected) in [
            ("chr1\t10", "has 2 columns, expected 8 or more"),
            ("chr1", "has 1 columns"),
            ("chr1\t10\t.\tA\tC", "has 5 columns, expected 8"),
            ("chr1\tx\t.\tA\tC\t.\t.\t.", "POS is 'x', expected a whole number"),
            ("chr1\t-5\t.\tA\tC\t.\t.\t.", "POS is '-5'"),
            ("chr1\t+5\t.\tA\tC\t.\t.\t.", "POS is '+5'"),
            ("chr1\t\t.\tA\tC\t.\t.\t.", "POS is ''"),
            ("chr1\t1e3\t.\tA\tC\t.\t.\t.", "POS is '1e3'"),
            ("chr1\t1,000\t.\tA\tC\t.\t.\t.", "POS is '1,000'"),
            ("chr1\t99999999999999999999\t.\tA\tC\t.\t.\t.", "POS is '9999"),
            ("chr1\t10\t.\tA?\tC\t.\t.\t.", "REF is 'A?', expected bases"),
            ("chr1\t10\t.\t.\tC\t.\t.\t.", "REF is '.'"),
            ("chr1\t10\t.\t-\tC\t.\t.\t.", "REF is '-'"),
            ("chr1\t10\t.\t\tC\t.\t.\t.", "REF is ''"),
            ("chr1\t10\t.\t<DEL>\tC\t.\t.\t.", "REF is '<DEL>'"),
            ("chr1\t10\t.\t\u{1b}[31mA\tC\t.\t.\t.", "REF is '\\x1b[31mA'"),
            ("chr1\t10\t.\tA\t\t.\t.\t.", "ALT is empty"),
            ("\t10\t.\tA\tC\t.\t.\t.", "CHROM is empty"),
            ("chr1\t10\t.\tA\tC\t.\t.\t\0", "holds a zero byte"),
        ] {
            for body in [format!("{good}\n{odd}\n{good}\n"), format!("{good}\r\n{odd}\r\n{good}")] {
                let all = lines(&body);
                assert_eq!((all.len(), all[1].text.as_slice()), (3, odd.as_bytes()));
                assert_eq!((all[0].text.as_slice(), all[2].number), (good.as_bytes(), 6));
                assert!([0, 2].iter().all(|&i| variant(&all[i]).start == Some(9)));
                let Content::Malformed(why) = &all[1].content else { panic!("{odd}: {:?}", all[1].content) };
                assert!(why.contains(expected) && !why.contains(char::is_control), "{odd}: {why}");
            }
        }
    }

    #[test]
    fn what_other_programs_leave_in_a_file_is_read() {
        let good = "chr1\t10\t.\tA\tC\t.\t.\t.";
        for body in [
            format!("\n\n{good}\n\n"),
            format!("  \n{good}\n\t\n \n"),
            format!("\r\n{good}\r\n\r\n"),
            good.replace('\t', "  "),
            good.replace('\t', " ") + " \n",
            good.replace('A', "a").replace("\tC", "\tc"),
            good.replace("10", "0010"),
            good.replace("10", " 10 "),
            good.replace("C\t", "C \t"),
            format!("{good}\tGT\t0|1\n"),
        ] {
            let all = lines(&body);
            assert_eq!(all.len(), 1, "{body:?}");
            let found = variant(&all[0]);
            assert_eq!((found.start, found.reference.as_slice()), (Some(9), &[0][..]), "{body:?}");
            assert_eq!(found.alternatives[0].1, Allele::Bases(vec![1]), "{body:?}");
        }
        let all = lines(&format!("{good}\n##source=another\n#CHROM\tPOS\n{good}\n"));
        assert_eq!((all.len(), &all[1].content, &all[2].content), (4, &Content::Comment, &Content::Comment));
        let latin = read(&[HEADER.as_bytes(), good.as_bytes(), b";N=\xe9\n"].concat()).unwrap();
        assert!(latin[0].text.ends_with(b"\xe9") && variant(&latin[0]).start == Some(9));
    }

    #[test]
    fn a_last_line_without_its_end_is_read_if_it_is_whole() {
        let header = HEADER.replace("INFO\n", "INFO\tFORMAT\tone\n");
        let last = |line: &str| read(format!("{header}{line}").as_bytes()).unwrap().remove(0).content;
        assert!(matches!(last("chr1\t10\t.\tA\tC\t.\t.\t.\tGT\t0|1"), Content::Variant(_)));
        let Content::Malformed(why) = last("chr1\t10\t.\tA\tC\t.\t.\t.") else { panic!() };
        assert_eq!(why, "ends in column 8 of 10, as if the file was cut short");
        assert!(matches!(last("chr1\t10\t.\tA\tC\t.\t.\t.\n"), Content::Variant(_)));
    }

    #[test]
    fn a_header_is_completed() {
        let good = "chr1\t10\t.\tA\tC\t.\t.\t.";
        let names = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO";
        let format = "##fileformat=VCFv4.2";
        for (text, header, repaired) in [
            (format!("\u{feff}{format}\n{names}\n{good}\n"), format!("{format}\n{names}"), 0),
            (format!("\n \n{format}\r\n{names}\r\n{good}\r\n"), format!("{format}\n{names}"), 0),
            (format!("##a=1\n{format}\n{names}\n{good}\n"), format!("{format}\n##a=1\n{names}"), 0),
            (format!("{names}\n{good}\n"), format!("{format}\n{names}"), 1),
            (format!("##a=1\n# x\n{names}\n{good}\n"), format!("{format}\n##a=1\n# x\n{names}"), 1),
            (good.into(), format!("{format}\n{names}"), 2),
            (format!("{format}\n{good}\n"), format!("{format}\n{names}"), 1),
            (format!("{good}\tGT\t0|1\t.\n"), format!("{format}\n{names}\tFORMAT\tsample1\tsample2"), 2),
            (
                format!("chrom pos id ref alt\n{}\n", good.replace('\t', " ")),
                format!("{format}\n#CHROM\tpos\tid\tref\talt\tQUAL\tFILTER\tINFO"),
                1,
            ),
            (format!("{format}\n#CHROM\tPOS\tID\tREF\tALT\nchr1\t10\t.\tA\tC\n"), format!("{format}\n{names}"), 0),
        ] {
            let mut vcf = open(text.as_bytes()).unwrap();
            let found: Vec<String> = vcf.header.iter().map(|line| lossy(line)).collect();
            assert_eq!((found.join("\n"), vcf.repaired.len()), (header, repaired), "{text:?}");
            let line = vcf.next_line().unwrap().unwrap();
            assert_eq!(variant(&line).start, Some(9), "{text:?}");
            assert!(vcf.next_line().unwrap().is_none());
        }
    }

    #[test]
    fn what_is_not_vcf_is_refused() {
        for (text, expected) in [
            (&b"chr1\t1\n"[..], "does not begin with ##fileformat=VCF"),
            (b"chr1\t10\t20\tpeak\t0\t+\n", "does not begin with ##fileformat=VCF"),
            (b"##fileformat=VCFv4.2\n", "ends in its header"),
            (b"\n\n", "ends in its header"),
            (b"##fileformat=VCFv4.2\nchr1\t1\n", "line 2 starts with 'chr1\\t1', expected ##"),
            (b"##fileformat=VCFv4.2\n#CHROM\tPOS\tREF\tALT\tID\n", "line 2 starts with '#CHROM POS REF"),
            (b"##fileformat=VCFv4.2\n#CHROM\tPOS\n", "line 2 starts with '#CHROM POS', expected ##"),
            (b"BCF\x02", "bcftools view"),
            (b">chr1\nACGT\n", "looks like FASTA"),
            (b"\xff\xfe#\0", "UTF-16"),
            (b"name,pos\n\x1b[31m\n", "does not begin with"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains(char::is_control), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_line_comes_out_as_it_went_in(body in "[ACGT0-9.,<>*\\[\\]:\\t\\r #-]{0,60}", odd in prop::collection::vec(any::<u8>(), 0..12)) {
            let line = [b"chr1\t", body.as_bytes(), &odd].concat();
            let lines: Vec<&[u8]> = line.split(|&byte| byte == b'\n').collect();
            let all = read(&[HEADER.as_bytes(), &line, b"\n"].concat()).unwrap();
            let expected: Vec<&[u8]> = lines
                .into_iter()
                .map(|line| &line[..line.iter().rposition(|&byte| byte != b'\r').map_or(0, |last| last + 1)])
                .filter(|line| !line.trim_ascii().is_empty())
                .collect();
            prop_assert_eq!(all.iter().map(|line| line.text.as_slice()).collect::<Vec<_>>(), expected);
        }
    }
}
