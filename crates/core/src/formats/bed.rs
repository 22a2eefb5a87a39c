//! Intervals from BED and narrowPeak files. Whether they fit a genome is checked elsewhere.

use std::io::{BufRead, Read};
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use noodles_bed as bed;

use crate::formats::compression::{self, read_error};
use crate::formats::quoted;

/// Upper limit of positions; no chromosome comes near it, so a larger number is an error in the file.
const LARGEST_POSITION: usize = 1 << 40;

/// Longer than any line of BED with its blocks; the limit keeps a file without line ends from filling memory.
const LONGEST_LINE: u64 = 1 << 20;

/// An interval of a chromosome, with its line number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Column 1, as the file spells it; it may be unknown to the genome.
    pub chromosome: String,
    /// First base of the interval, 0-based.
    pub start: usize,
    /// End of the interval, 0-based and exclusive.
    pub end: usize,
    /// Column 4, if the line has one that is not empty.
    pub name: Option<String>,
    /// Whether it lies on the minus strand.
    pub reverse: bool,
    /// Position of the strongest signal in the chromosome, 0-based; narrowPeak only.
    pub summit: Option<usize>,
    /// Line number, counted from 1 with comments.
    pub line: u64,
}

impl Region {
    /// The base that a window of another length is centred on: the summit, or else the middle.
    pub fn centre(&self) -> usize {
        self.summit.unwrap_or(self.start + (self.end - self.start) / 2)
    }
}

/// Reads all intervals of a BED or narrowPeak file (plain, gzip or BGZF), in the order of the file.
///
/// Comments, blank lines and `track` and `browser` lines are skipped. Columns are divided by tabs or, in a line
/// without tabs, by spaces.
///
/// # Errors
/// The file is missing, damaged or holds no intervals; a line has fewer than three columns, no chromosome, a position
/// that is no number, an empty interval, an unknown strand or a summit outside its interval; each with the line.
pub fn read(path: &Path) -> Result<Vec<Region>> {
    let mut input = compression::open(path)?;
    let mut regions = Vec::new();
    let mut record = bed::Record::default();
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut text).map_err(|error| read_error(path, &error))?;
        if text.is_empty() {
            break;
        }
        let fault = |fault: String| anyhow!("{}: line {line}: {fault}", path.display());
        if text.len() as u64 == LONGEST_LINE {
            return Err(fault(format!("is longer than {LONGEST_LINE} bytes, expected BED; check the file")));
        }
        if line == 1 && text.starts_with(b"\xef\xbb\xbf") {
            text.drain(..3); // the byte order mark that Windows puts before UTF-8
        }
        let columns = tabulate(&mut text);
        if !is_skipped(&text) {
            regions.push(parse(&text, columns, line, &mut record).map_err(fault)?);
        }
    }
    if regions.is_empty() {
        bail!("{}: holds no intervals, expected BED lines (chromosome, start, end); check the file", path.display());
    }
    Ok(regions)
}

/// Removes the line end, replaces separating spaces by tabs and counts the columns.
fn tabulate(text: &mut Vec<u8>) -> usize {
    text.truncate(text.iter().rposition(|byte| !b"\r\n ".contains(byte)).map_or(0, |last| last + 1));
    if !text.contains(&b'\t') {
        let words: Vec<&[u8]> = text.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).collect();
        *text = words.join(&b'\t');
    }
    text.iter().filter(|&&byte| byte == b'\t').count() + 1
}

fn is_skipped(text: &[u8]) -> bool {
    let word = text.trim_ascii_start().split(u8::is_ascii_whitespace).next().unwrap_or_default();
    word.is_empty() || word.starts_with(b"#") || word == b"track" || word == b"browser"
}

/// Parses a line without its end; the error says what is wrong with it.
fn parse(text: &[u8], columns: usize, line: u64, record: &mut bed::Record<6>) -> Result<Region, String> {
    const REMEDY: &str = "fix or remove the line";
    let column = |number: usize| quoted(text.split(|&byte| byte == b'\t').nth(number - 1).unwrap_or_default());
    match text {
        [b'>', ..] => return Err("starts with '>', which looks like FASTA, expected BED; name the BED file".into()),
        [b'@', ..] => return Err("starts with '@', which looks like FASTQ, expected BED; name the BED file".into()),
        // noodles would strip it from the column before an empty last one and panic.
        _ if text.contains(&b'\r') => {
            return Err("holds a carriage return, expected lines that end in LF or CRLF; convert it first".into());
        }
        _ => {}
    }

    // The reader of six columns requires all six, so missing ones are filled with the values that BED uses for unknown.
    let missing: &[u8] = match columns {
        ..3 => {
            return Err(format!(
                "found {columns} column{}, expected at least three (chromosome, start, end) divided by tabs or spaces; {REMEDY}",
                if columns == 1 { "" } else { "s" }
            ));
        }
        3 => b"\t.\t0\t.\n",
        4 => b"\t0\t.\n",
        5 => b"\t.\n",
        _ => b"\n",
    };
    bed::io::Reader::<6, _>::new(text.chain(missing))
        .read_record(record)
        .map_err(|error| format!("is not BED ({error}), expected chromosome, start, end; {REMEDY}"))?;

    let utf8 = |what: &str, name: &[u8]| {
        let plain = std::str::from_utf8(name).ok().filter(|name| !name.contains(char::is_control));
        plain
            .map(str::to_owned)
            .ok_or_else(|| format!("the {what} is '{}', expected printable UTF-8 text; check the file", quoted(name)))
    };
    let chromosome = utf8("chromosome", record.reference_sequence_name())?;
    if chromosome.is_empty() {
        return Err(format!("the chromosome is empty, expected its name; {REMEDY}"));
    }
    let position = |what: &str, number, found: Option<usize>| {
        found.filter(|&found| found <= LARGEST_POSITION).ok_or_else(|| {
            format!("the {what} is '{}', expected a whole number from 0 to 2^40; {REMEDY}", column(number))
        })
    };
    let start = position("start", 2, record.feature_start().ok().map(|start| start.get() - 1))?;
    let end = position("end", 3, record.feature_end().map_or(Some(0), |end| end.ok().map(|end| end.get())))?;
    if start >= end {
        return Err(format!("start {start} is not below end {end}, expected start < end; {REMEDY}"));
    }
    let name = match record.name() {
        Some(name) if !name.is_empty() => Some(utf8("name", name)?),
        _ => None,
    };
    let strand = record
        .strand()
        .map_err(|_| format!("the strand is '{}', expected +, - or . in column 6; {REMEDY}", column(6)))?;
    let reverse = strand == Some(bed::feature::record::Strand::Reverse);
    let summit = match summit_offset(record).as_deref() {
        None | Some("-1") => None,
        Some(found) => {
            let offset = found.parse::<usize>().ok();
            let offset = offset.filter(|&offset| offset < end - start).ok_or_else(|| {
                format!(
                    "the summit in column 10 is {}, expected a base of the interval (0 to {}) or -1; fix the line or cut the column",
                    quoted(found.as_bytes()),
                    end - start - 1
                )
            })?;
            Some(start + offset)
        }
    };
    Ok(Region { chromosome, start, end, name, reverse, summit, line })
}

/// Column 10 of a line of narrowPeak (<https://genome.ucsc.edu/FAQ/FAQformat.html#format12>): a line of exactly ten
/// columns, as plain BED must not have ten, with numbers in the last four.
fn summit_offset(record: &bed::Record<6>) -> Option<String> {
    let fields = record.other_fields();
    if fields.len() != 4 {
        return None;
    }
    let is_number = |field: &[u8]| std::str::from_utf8(field).is_ok_and(|text| text.parse::<f64>().is_ok());
    let is_integer = |field: &[u8]| {
        let digits = field.strip_prefix(b"-").unwrap_or(field);
        !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
    };
    let is_peak = (0..3).all(|i| fields.get(i).is_some_and(|field| is_number(field)));
    fields.get(3).filter(|field| is_peak && is_integer(field)).map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn regions_of(bytes: &[u8]) -> Result<Vec<Region>> {
        let mut file = tempfile::NamedTempFile::with_suffix(".bed").unwrap();
        file.write_all(bytes).unwrap();
        read(file.path())
    }

    fn region(chromosome: &str, start: usize, end: usize, line: u64) -> Region {
        Region { chromosome: chromosome.into(), start, end, name: None, reverse: false, summit: None, line }
    }

    #[test]
    fn plain_gzip_and_bgzf_are_read_alike_whatever_the_name() {
        let text = b"chr1\t5\t10\nchr2\t0\t1\tpeak\t0\t-\n";
        let reverse = Region { name: Some("peak".into()), reverse: true, ..region("chr2", 0, 1, 2) };
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        let mut bgzf = noodles_bgzf::io::Writer::new(Vec::new());
        bgzf.write_all(text).unwrap();
        for bytes in [text.to_vec(), gzip.finish().unwrap(), bgzf.finish().unwrap()] {
            for suffix in [".bed", ".bed.gz"] {
                let mut file = tempfile::NamedTempFile::with_suffix(suffix).unwrap();
                file.write_all(&bytes).unwrap();
                assert_eq!(read(file.path()).unwrap(), [region("chr1", 5, 10, 1), reverse.clone()]);
            }
        }
    }

    #[test]
    fn lines_that_are_no_intervals_are_skipped_and_counted() {
        let text = "\u{feff}# comment\n\n \t\r\nbrowser position chr1:1-9\ntrack name=a\ntrack\nchr1\t1\t2\n\n  # b\ntrack1\t3\t4\n#";
        let expected = [region("chr1", 1, 2, 7), region("track1", 3, 4, 10)];
        assert_eq!(regions_of(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn line_ends_and_spaces_for_tabs_do_not_matter() {
        let expected = [
            Region { name: Some("a".into()), ..region("chr1", 1, 2, 1) },
            Region { name: Some("b".into()), ..region("chr2", 3, 4, 2) },
        ];
        for text in [
            "chr1\t1\t2\ta\r\nchr2\t3\t4\tb\r\n",
            "chr1\t1\t2\ta\nchr2\t3\t4\tb\r",
            "chr1 1 2 a\n  chr2   3 4  b  \n",
            "chr1\t1\t2\ta\t0\t+ \nchr2\t3\t4\tb\t0\t.",
        ] {
            assert_eq!(regions_of(text.as_bytes()).unwrap(), expected, "{text:?}");
        }
        let named = regions_of(b"chr1\t1\t2\ttwo words\n").unwrap();
        assert_eq!(named[0].name.as_deref(), Some("two words"), "spaces do not divide where tabs do");
    }

    #[test]
    fn any_number_of_columns_from_three_on_is_read() {
        let columns =
            ["chr1", "5", "25", "gene", "9999", "-", "5", "25", "255,0,0", "2", "5,5,", "0,15,", "more", "", "x"];
        for count in 3..=columns.len() {
            let found = regions_of(columns[..count].join("\t").as_bytes()).unwrap();
            let name = (count > 3).then(|| "gene".to_owned());
            assert_eq!(found, [Region { name, reverse: count > 5, ..region("chr1", 5, 25, 1) }], "{count} columns");
        }
        assert_eq!(regions_of(b"chr1\t5\t25\t\nchr1\t5\t25\t.\n").unwrap()[0].name, None);
    }

    #[test]
    fn a_window_is_centred_on_the_summit_of_narrow_peak_and_else_on_the_middle() {
        let peak = |summit: &str| regions_of(format!("chr1\t100\t200\t.\t0\t.\t5.5\t-1\t1e3\t{summit}\n").as_bytes());
        for (summit, absolute, centre) in [("0", Some(100), 100), ("99", Some(199), 199), ("-1", None, 150)] {
            let found = &peak(summit).unwrap()[0];
            assert_eq!((found.summit, found.centre()), (absolute, centre));
        }
        for summit in ["100", "-2", "99999999999999999999999"] {
            let message = peak(summit).unwrap_err().to_string();
            assert!(["line 1", "column 10", summit, "0 to 99"].iter().all(|part| message.contains(part)), "{message}");
        }
        assert_eq!(peak("x").unwrap()[0].summit, None, "ten columns of another kind");
        let eleven = regions_of(b"chr1\t100\t200\t.\t0\t.\t5.5\t-1\t1e3\t7\tx\n").unwrap();
        assert_eq!(eleven[0].summit, None, "eleven columns are not narrowPeak");
        assert_eq!(region("chr1", 7, 8, 1).centre(), 7);
    }

    #[test]
    fn faults_are_named_with_their_line() {
        let long = [b'a'; LONGEST_LINE as usize + 1];
        for (text, parts) in [
            (&b""[..], &["empty"][..]),
            (b"# one\n\ntrack name=a\n", &["holds no intervals"]),
            (b"# one\nchr1\t5\n", &["line 2", "found 2 columns", "at least three"]),
            (b"chr1\n", &["line 1", "found 1 column,"]),
            (b"chr1\t500\t400\n", &["line 1: start 500 is not below end 400, expected start < end; fix"]),
            (b"chr1\t5\t5\n", &["line 1", "start 5 is not below end 5"]),
            (b"chr1\t0\t0\n", &["line 1", "start 0 is not below end 0"]),
            (b"chrom\tstart\tend\n", &["line 1", "the start is 'start'", "whole number"]),
            (b"chr1\t1\t2\nchr1\t-1\t2\n", &["line 2", "the start is '-1'"]),
            (b"chr1\t1\t2.5\n", &["line 1", "the end is '2.5'"]),
            (b"chr1\t\t2\n", &["line 1", "the start is ''"]),
            (b"chr1\t1\t1099511627777\n", &["line 1", "the end is '1099511627777'", "2^40"]),
            (b"chr1\t1\t99999999999999999999999\n", &["line 1", "the end is '9999", "2^40"]),
            (b"chr1\t18446744073709551615\t2\n", &["line 1", "the start is '18446744073709551615'"]),
            (b"\t1\t2\n", &["line 1", "chromosome is empty"]),
            (b"chr\xff\t1\t2\n", &["line 1", "chromosome is 'chr\\xff'", "UTF-8"]),
            (b"chr1\t1\t2\tn\xff\n", &["line 1", "name is 'n\\xff'", "UTF-8"]),
            (b"chr\x001\t1\t2\n", &["line 1", "chromosome is 'chr\\x001'"]),
            (b"chr1\t1\t2\ta\t0\tminus\n", &["line 1", "strand is 'minus'", "column 6"]),
            (b">chr1\nACGT\n", &["line 1", "FASTA", "expected BED"]),
            (b"@a\nACGT\n+\nIIII\n", &["line 1", "FASTQ", "expected BED"]),
            (b"chr1\t5\t9\ta\t0\r\t\n", &["line 1", "carriage return"]),
            (b"chr1\t5\t9\rchr2\t5\t9\r", &["line 1", "carriage return"]),
            (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\n\0\0", &["line 1", "found 1 column"]),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &["line 1", "found 1 column"]),
            (b"\x1f\x8bjunk, not gzip at all", &["damaged"]),
            (b"\x1f\x8b", &["compressed file ends in the middle"]),
            (&long, &["line 1", "longer than 1048576 bytes"]),
        ] {
            let message = regions_of(text).unwrap_err().to_string();
            let shown = quoted(text);
            assert!(parts.iter().all(|part| message.contains(part)), "{shown}: {message}");
            assert!(!message.contains('\n') && message.len() < 400, "{shown}: {message}");
        }
    }

    fn any_regions() -> impl Strategy<Value = Vec<Region>> {
        let name = prop::option::of("[!-+/-~]([ -~]{0,10}[!-~])?");
        let any_region = ("chr[!-~]{1,10}", 0..LARGEST_POSITION, 1usize..1_000_000, name, any::<bool>(), any::<bool>())
            .prop_map(|(chromosome, start, length, name, reverse, peak)| {
                let end = (start + length).min(LARGEST_POSITION);
                Region { chromosome, start, end, name, reverse, summit: peak.then_some(end - 1), line: 0 }
            });
        prop::collection::vec(any_region, 1..30).prop_map(|mut regions| {
            regions.iter_mut().zip(1..).for_each(|(region, line)| region.line = line);
            regions
        })
    }

    fn written(region: &Region) -> String {
        let Region { chromosome, start, end, .. } = region;
        let (name, strand) = (region.name.as_deref().unwrap_or("."), if region.reverse { '-' } else { '+' });
        let peak = region.summit.map_or_else(String::new, |summit| format!("\t1.5\t-1\t2\t{}", summit - start));
        format!("{chromosome}\t{start}\t{end}\t{name}\t0\t{strand}{peak}\n")
    }

    proptest! {
        #[test]
        fn written_regions_are_read_back_the_same(regions in any_regions()) {
            let text: String = regions.iter().map(written).collect();
            prop_assert_eq!(regions_of(text.as_bytes()).unwrap(), regions);
        }

        #[test]
        fn no_bytes_panic(
            bytes: Vec<u8>,
            lines in "(chr1|\\PC{0,3}|#)([\t \r\n.+0-9-]|1\t9|chr){0,40}",
        ) {
            for bytes in [&bytes[..], &[b"chr1\t1\t2", &bytes[..]].concat(), lines.as_bytes()] {
                for region in regions_of(bytes).unwrap_or_default() {
                    prop_assert!((region.start..region.end).contains(&region.centre()));
                    prop_assert!(!region.chromosome.is_empty());
                }
            }
        }
    }
}
