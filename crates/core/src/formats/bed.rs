//! Regions from BED and narrowPeak files: which lines are regions, and where their summits are. Whether they fit a genome
//! is checked elsewhere.

mod line;
mod summits;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};

use crate::config::Center;
use crate::format::thousands;
use crate::formats::bed::line::Line;
pub use crate::formats::bed::summits::Centring;
use crate::formats::bed::summits::Evidence;
use crate::formats::compression;
use crate::formats::lines::Lines;

/// Longer than any line of BED with its blocks; the limit keeps a file without line ends from filling memory.
const LONGEST_LINE: usize = 1 << 20;

/// An interval of a chromosome, with its line number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Column 1, as the file spells it; it may be unknown to the genome.
    pub chromosome: Arc<str>,
    /// First base of the interval, 0-based.
    pub start: usize,
    /// End of the interval, 0-based and exclusive.
    pub end: usize,
    /// Column 4, if the line has one that is neither empty nor a dot.
    pub name: Option<String>,
    /// Whether it lies on the minus strand.
    pub reverse: bool,
    /// Position of the strongest signal in the chromosome, 0-based, where windows are to be centred on it.
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

/// A line that is neither a region nor to be skipped, such as one with a word for a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Line number, counted from 1 with comments.
    pub line: u64,
    /// Chromosome, start and end as the file has them, `NA` where they are missing or not printable.
    pub columns: [String; 3],
    /// What is wrong: what was found, what was expected and what to do.
    pub fault: String,
}

/// Everything that a region file holds, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionFile {
    /// The regions.
    pub regions: Vec<Region>,
    /// Lines that are left out, fewer than the regions or as many.
    pub unreadable: Vec<Unreadable>,
    /// Line number of the names of columns, which some programs write.
    pub header: Option<u64>,
    /// What windows are centred on.
    pub centring: Centring,
}

impl RegionFile {
    /// Lines that stand for a region, readable or not.
    pub fn all(&self) -> usize {
        self.regions.len() + self.unreadable.len()
    }

    /// How the file is read, for a message.
    pub fn describe(&self) -> String {
        let header = self.header.map_or_else(String::new, |line| format!("; line {line} is skipped as a header"));
        format!("{}{header}", self.centring.describe())
    }
}

/// Reads a BED or narrowPeak file (plain, gzip or BGZF).
///
/// Comments, blank lines, `track` and `browser` lines and a header in the first line are skipped. Columns are divided by
/// tabs or, in a line without tabs, by spaces. Without `center`, the contents of the whole file decide whether column 10
/// holds summits, as in narrowPeak; `Center::Summit` says that it does, and `Center::Middle` passes it over.
///
/// # Errors
/// The file is missing, damaged, of another format or holds no regions; most of its lines cannot be read, and the message
/// says what is wrong with the first; or it has no summits and `center` asks for them.
pub fn read(path: &Path, center: Option<Center>) -> Result<RegionFile> {
    let mut lines = Lines::new(path, compression::open(path)?, LONGEST_LINE, "BED");
    let (mut regions, mut unreadable, mut header) = (Vec::new(), Vec::new(), None);
    let mut evidence = Evidence::default();
    let mut chromosomes: HashSet<Arc<str>> = HashSet::new();
    for number in 1.. {
        let Some(text) = lines.next_line()? else { break };
        let fault = |fault: String| anyhow!("{}: line {number}: {fault}", path.display());
        // Windows puts a byte order mark before UTF-8.
        let mark: &[u8] = if number == 1 { b"\xef\xbb\xbf" } else { b"" };
        let line = Line::new(text.strip_prefix(mark).unwrap_or(text));
        if line.is_skipped() {
            continue;
        }
        if regions.is_empty() && unreadable.is_empty() {
            line.check_format().map_err(fault)?;
            if header.is_none() && line.is_header() {
                header = Some(number);
                continue;
            }
        }
        match line.parse(number, &mut chromosomes) {
            Ok(mut region) => {
                region.summit = evidence.add(&line, &region);
                regions.push(region);
            }
            Err(fault) => unreadable.push(Unreadable { line: number, columns: line.first_columns(), fault }),
        }
    }
    refuse_unreadable(path, regions.len(), &unreadable)?;
    if regions.is_empty() {
        bail!("{}: holds no intervals, expected BED lines (chromosome, start, end); check the file", path.display());
    }
    let centring = evidence.decide(center, regions.len()).map_err(|fault| anyhow!("{}: {fault}", path.display()))?;
    regions.iter_mut().for_each(|region| region.summit = centring.summit_of(region));
    Ok(RegionFile { regions, unreadable, header, centring })
}

/// A few odd lines are left out and counted; where they are most of the file, it is not what it is taken for.
fn refuse_unreadable(path: &Path, regions: usize, unreadable: &[Unreadable]) -> Result<()> {
    let Some(Unreadable { line, fault, .. }) = unreadable.first() else { return Ok(()) };
    let (path, count) = (path.display(), unreadable.len());
    if count <= regions {
        return Ok(());
    }
    if count == 1 {
        bail!("{path}: line {line}: {fault}");
    }
    bail!("{path}: line {line}: {fault}; {} of {} lines are no regions", thousands(count), thousands(count + regions))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::quoted;
    use proptest::prelude::*;
    use std::io::Write;

    fn file_of(bytes: &[u8], center: Option<Center>) -> Result<RegionFile> {
        let mut file = tempfile::NamedTempFile::with_suffix(".bed").unwrap();
        file.write_all(bytes).unwrap();
        read(file.path(), center)
    }

    fn regions_of(bytes: &[u8]) -> Result<Vec<Region>> {
        file_of(bytes, None).map(|file| file.regions)
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
                assert_eq!(read(file.path(), None).unwrap().regions, [region("chr1", 5, 10, 1), reverse.clone()]);
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
        let peak =
            |summit: &str| file_of(format!("chr1\t100\t200\t.\t0\t.\t5.5\t-1\t1e3\t{summit}\n").as_bytes(), None);
        for (summit, absolute, centre) in [("0", Some(100), 100), ("99", Some(199), 199), ("-1", None, 150)] {
            let found = &peak(summit).unwrap().regions[0];
            assert_eq!((found.summit, found.centre()), (absolute, centre));
        }
        for summit in ["100", "-2", "99999999999999999999999", "x", "7.5", "1,2"] {
            let file = peak(summit).unwrap();
            assert_eq!(file.regions[0].summit, None);
            let expected =
                "centred on the middle of 1 region (column 10 is no offset inside the region in 1 of 1 lines)";
            assert_eq!(file.describe(), expected, "{summit}");
        }
        assert_eq!(region("chr1", 7, 8, 1).centre(), 7);
    }

    /// 60 regions of 200 to 259 bp in columns of a kind; `more` makes columns 7 and on from the number, start and length.
    fn sixty(more: impl Fn(usize, usize, usize) -> String) -> Vec<u8> {
        let line = |i: usize| {
            let (start, length) = (1000 + 5000 * i, 200 + i * 37 % 60);
            format!("chr1\t{start}\t{}\tpk{i}\t100\t.\t{}\n", start + length, more(i, start, length))
        };
        (0..60).map(line).collect::<String>().into_bytes()
    }

    /// An offset such as that of a called peak, anywhere but at the ends.
    fn offset(i: usize, length: usize) -> usize {
        20 + i * 53 % (length - 40)
    }

    #[test]
    fn summits_are_found_whatever_else_a_program_writes_beside_them() {
        type Columns = fn(usize, &str) -> String;
        let kinds: [(&str, Columns); 20] = [
            ("narrowPeak", |_, at| format!("5.5\t4.2\t3.1\t{at}")),
            ("offsets of pandas", |_, at| format!("5.5\t4.2\t3.1\t{at}.0")),
            ("more zeros", |_, at| format!("5.5\t4.2\t3.1\t{at}.000")),
            ("one more column", |i, at| format!("5.5\t4.2\t3.1\t{at}\t{i}")),
            ("IDR", |i, at| format!("5.5\t-1\t3.1\t{at}\t0.9\t1.2\t{i}\t{i}\t5.5\t9\t{i}\t{i}\t5.5\t9")),
            ("joined with itself", |i, at| format!("5.5\t-1\t3.1\t{at}\tchr1\t{i}\t900\tpk\t0\t.\t5\t4\t3\t77")),
            ("dots", |_, at| format!("5.5\t.\t.\t{at}")),
            ("NA", |_, at| format!("5.5\tNA\tNA\t{at}")),
            ("nan", |_, at| format!("nan\tnan\tnan\t{at}")),
            ("empty", |_, at| format!("5.5\t\t\t{at}")),
            ("a trailing tab", |_, at| format!("5.5\t4.2\t3.1\t{at}\t")),
            ("trailing tabs", |_, at| format!("5.5\t4.2\t3.1\t{at}\t\t\t")),
            ("trailing space", |_, at| format!("5.5\t4.2\t3.1\t{at} ")),
            ("spaces around", |_, at| format!("5.5\t4.2\t3.1\t {at} \tx")),
            ("unknown p and q", |_, at| format!("5.5\t-1\t-1\t{at}")),
            ("nothing but offsets", |_, at| format!("0\t0\t0\t{at}")),
            ("whole numbers", |i, at| format!("{i}\t{}\t{}\t{at}", i + 7, i % 5)),
            ("exponents and infinity", |_, at| format!("1e3\tinf\t1.5e-7\t{at}")),
            ("Windows", |_, at| format!("5.5\t4.2\t3.1\t{at}\r")),
            ("a word at the end", |_, at| format!("5.5\t4.2\t3.1\t{at}\tgene name")),
        ];
        for (kind, columns) in kinds {
            let bytes = sixty(|i, _, length| columns(i, &offset(i, length).to_string()));
            let file = file_of(&bytes, None).unwrap();
            assert_eq!(file.describe(), "centred on summits, column 10, of 60 regions", "{kind}");
            let expected = |(i, region): (usize, &Region)| {
                region.summit == Some(region.start + offset(i, region.end - region.start))
            };
            assert!(file.regions.iter().enumerate().all(expected), "{kind}");
            let middle = file_of(&bytes, Some(Center::Middle)).unwrap();
            assert_eq!(middle.describe(), "centred on the middle of 60 regions", "{kind}");
            assert!(middle.regions.iter().all(|region| region.summit.is_none()));
        }
        let spaces = String::from_utf8(sixty(|i, _, length| format!("5 4 3 {}", offset(i, length)))).unwrap();
        let file = file_of(spaces.replace('\t', " ").as_bytes(), None).unwrap();
        assert_eq!(file.describe(), "centred on summits, column 10, of 60 regions");
    }

    #[test]
    fn a_tenth_column_of_another_kind_is_never_taken_for_summits() {
        type Columns = fn(usize, usize, usize) -> String;
        let kinds: [(&str, Columns); 20] = [
            ("BED6", |_, _, _| String::new()),
            ("broadPeak", |_, _, _| "5.5\t4.2\t3.1".into()),
            ("broadPeak and a count", |i, _, _| format!("5.5\t4.2\t3.1\t{}", i % 7)),
            ("broadPeak and a constant", |_, _, _| "5.5\t4.2\t3.1\t1".into()),
            ("broadPeak and a share", |i, _, _| format!("5.5\t4.2\t3.1\t0.{i}")),
            ("broadPeak and a gene", |i, _, _| format!("5.5\t4.2\t3.1\tGENE{i}")),
            ("broadPeak and read counts", |i, _, _| format!("5.5\t4.2\t3.1\t{}", i * i % 977)),
            ("broadPeak and a length", |_, _, length| format!("5.5\t4.2\t3.1\t{length}")),
            ("broadPeak and a position", |_, start, length| format!("5.5\t4.2\t3.1\t{}", start + length / 2)),
            ("nothing but zeros", |_, _, _| "0\t0\t0\t0".into()),
            ("BED9 and a count", |i, start, length| format!("{start}\t{}\t0\t{}", start + length, i % 9)),
            ("BED9 and an offset", |_, start, length| format!("{start}\t{}\t0\t{}", start + length, length / 2 + 3)),
            ("BED9, in colour, and a count", |i, start, _| format!("{start}\t{start}\t255,0,0\t{}", 100 + i)),
            ("BED9 with zeros and a count", |i, _, _| format!("0\t0\t0\t{}", i % 4)),
            ("BED12", |_, start, length| format!("{start}\t{}\t0\t1\t{length},\t0,", start + length)),
            ("gappedPeak", |_, start, length| {
                format!("{start}\t{}\t0\t2\t30,40\t0,{}\t5.5\t4.2\t3.1", start + length, length - 40)
            }),
            ("BED6 and four counts", |i, _, _| format!("{}\t{}\t{}\t{}", i % 9, i % 8, i % 7, i % 12)),
            ("BED6 and another BED", |i, _, _| format!("chr1\t{i}\t90000\t{}", 90 + i)),
            ("BED6 and words", |_, _, _| "protein_coding\thigh\t3.1\t100".into()),
            ("negative values", |i, _, _| format!("5.5\t-4.2\t-3.1\t{}", 90 + i)),
        ];
        for (kind, columns) in kinds {
            let bytes = sixty(columns);
            let file = file_of(&bytes, None).unwrap();
            assert!(file.describe().starts_with("centred on the middle of 60 regions"), "{kind}: {}", file.describe());
            assert!(file.regions.iter().all(|region| region.summit.is_none()), "{kind}");
        }
        let counts = sixty(|i, _, _| format!("5.5\t4.2\t3.1\t{}", i % 7));
        let said = file_of(&counts, None).unwrap().describe();
        assert!(said.contains("(column 10 lies at 1 % of the region on average"), "{said}");
        // Who knows better says so.
        let asked = file_of(&counts, Some(Center::Summit)).unwrap();
        assert_eq!(asked.describe(), "centred on summits, column 10, of 60 regions");
        assert!(asked.regions.iter().enumerate().all(|(i, region)| region.summit == Some(region.start + i % 7)));
        let none = file_of(&sixty(|_, _, _| "5.5\t4.2\t3.1".into()), Some(Center::Summit)).unwrap_err().to_string();
        assert!(none.contains("holds no summit in 60 regions") && none.contains("use --center middle"), "{none}");
    }

    #[test]
    fn a_few_summits_that_cannot_be_read_are_counted_and_named() {
        for (odd, line) in [("x", 8), ("9999", 8), ("", 0), ("-1", 0), ("NA", 0), ("1e2", 8), ("-5", 8)] {
            let bytes = sixty(|i, _, length| {
                let at = if i == 7 { odd.to_owned() } else { offset(i, length).to_string() };
                format!("5.5\t4.2\t3.1\t{at}")
            });
            let file = file_of(&bytes, None).unwrap();
            let said = file.describe();
            assert!(
                said.starts_with("centred on summits, column 10, of 59 of 60 regions and on the middle of 1"),
                "{said}"
            );
            assert_eq!(file.regions.iter().filter(|region| region.summit.is_none()).count(), 1);
            let named = format!("(column 10 is no offset inside the region in 1 line, first in line {line})");
            assert_eq!(said.contains(&named), line > 0, "{odd}: {said}");
        }
        let most = sixty(|i, _, length| format!("5.5\t4.2\t3.1\t{}", if i % 3 == 0 { length + i } else { 100 }));
        let said = file_of(&most, None).unwrap().describe();
        assert_eq!(
            said,
            "centred on the middle of 60 regions (column 10 is no offset inside the region in 20 of 60 lines)"
        );
    }

    #[test]
    fn odd_lines_among_good_ones_are_kept_aside_with_what_is_wrong() {
        let good = "chr1\t1\t9\nchr2\t5\t8\n";
        for (line, columns, fault) in [
            ("chr1\t500\t400", ["chr1", "500", "400"], "start 500 is not below end 400"),
            ("chr1\t5\t5", ["chr1", "5", "5"], "start 5 is not below end 5"),
            ("chr1\tfive\t9", ["chr1", "five", "9"], "the start is 'five'"),
            ("chr1\t5\tnine", ["chr1", "5", "nine"], "the end is 'nine'"),
            ("chrom\tstart\tend", ["chrom", "start", "end"], "the start is 'start'"),
            ("chr1\t-5\t9", ["chr1", "-5", "9"], "the start is '-5'"),
            ("chr1\t1e5\t2e5", ["chr1", "1e5", "2e5"], "the start is '1e5'"),
            ("chr1\t1,000\t2,000", ["chr1", "1,000", "2,000"], "the start is '1,000'"),
            ("chr1\t5.5\t9", ["chr1", "5.5", "9"], "the start is '5.5'"),
            ("chr1\t5\t9.", ["chr1", "5", "9."], "the end is '9.'"),
            ("chr1\tNA\tNA", ["chr1", "NA", "NA"], "the start is 'NA'"),
            ("chr1\t5", ["chr1", "5", "NA"], "found 2 columns"),
            ("chr1", ["chr1", "NA", "NA"], "found 1 column"),
            ("chr1,5,9", ["chr1,5,9", "NA", "NA"], "found 1 column divided by commas"),
            ("chr1:5-9", ["chr1:5-9", "NA", "NA"], "found 1 column"),
            ("\t5\t9", ["NA", "5", "9"], "the chromosome is empty"),
            ("chr\x011\t5\t9", ["NA", "5", "9"], "the chromosome is 'chr\\x011'"),
            ("chr1\t5\t9\ta\t0\tminus", ["chr1", "5", "9"], "the strand is 'minus'"),
            ("chr1\t5\t1099511627777", ["chr1", "5", "1099511627777"], "the end is '1099511627777'"),
            (">chr1", [">chr1", "NA", "NA"], "found 1 column"),
            ("chr1\t5\t9\rchr2\t5\t9", ["chr1", "5", "NA"], "holds a carriage return"),
        ] {
            let file = file_of(format!("{good}{line}\n").as_bytes(), None).unwrap();
            assert_eq!((file.regions.len(), file.all(), file.unreadable.len()), (2, 3, 1), "{line}");
            let unreadable = &file.unreadable[0];
            assert_eq!((unreadable.line, &unreadable.columns), (3, &columns.map(str::to_owned)), "{line}");
            assert!(unreadable.fault.starts_with(fault), "{line}: {}", unreadable.fault);
            let error = file_of(format!("chr1\t1\t9\n{line}\n{line}\n").as_bytes(), None).unwrap_err().to_string();
            assert!(error.contains("line 2: ") && error.ends_with("; 2 of 3 lines are no regions"), "{error}");
        }
    }

    #[test]
    fn strands_positions_and_scores_are_read_as_programs_write_them() {
        for (strand, reverse) in [
            ("+", false),
            ("-", true),
            (".", false),
            ("*", false),
            ("", false),
            ("1", false),
            ("-1", true),
            ("?", false),
        ] {
            let found = regions_of(format!("chr1\t5\t9\ta\t7.25\t{strand}\tx\n").as_bytes()).unwrap();
            assert_eq!(found[0].reverse, reverse, "{strand}");
        }
        for line in ["chr1\t5.0\t9.0", "chr1\t5.\t9\nchr1\t5.00\t9", " chr1 \t 5 \t 9 ", "chr1\t005\t9", "chr1 5 9"] {
            let found = regions_of(format!("{line}\n").as_bytes()).unwrap();
            let Region { chromosome, start, end, .. } = &found[0];
            assert_eq!((&**chromosome, *start, *end), ("chr1", 5, 9), "{line}");
        }
    }

    #[test]
    fn a_header_is_skipped_and_said_only_where_it_is_one() {
        for header in [
            "chrom\tstart\tend",
            "chr start end name",
            "#x\nseqnames\tstart\tend\twidth",
            "\"chr\"\t\"start\"\t\"end\"",
        ] {
            let file = file_of(format!("{header}\nchr1\t5\t9\n").as_bytes(), None).unwrap();
            let line = if header.starts_with('#') { 2 } else { 1 };
            assert_eq!((file.header, file.all()), (Some(line), 1), "{header}");
            assert!(file.describe().ends_with(&format!("of 1 region; line {line} is skipped as a header")));
        }
        let file = file_of(b"chr1\t5\tx\nchr1\t5\t9\n", None).unwrap();
        assert_eq!((file.header, file.unreadable.len()), (None, 1));
        assert!(file_of(b"chrom\tstart\tend\n", None).unwrap_err().to_string().contains("holds no intervals"));
    }

    #[test]
    fn other_formats_are_named() {
        for (text, words) in [
            ("chr1\tHAVANA\tgene\t11869\t14409\t.\t+\t.\tgene_id \"x\";\n", "GFF or GTF"),
            ("##gff-version 3\nchr1\t.\tCDS\t11869\t14409\t.\t.\t0\tID=x\n", "GFF or GTF"),
            (
                "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n1\t69134\t2205837\tA\tG\t.\t.\tX\n",
                "VCF",
            ),
            ("chr1\t100\trs5\tAC\tA,ACC\t50\tPASS\tX\n", "VCF"),
            ("@HD\tVN:1.6\n@SQ\tSN:chr1\tLN:9\nchr1\t5\t9\t+\ta\n", "an interval list or SAM"),
            ("# MACS\nchr\tstart\tend\tlength\tabs_summit\tpileup\nchr1\t5\t9\t5\t7\t3\n", "a peak table of MACS"),
        ] {
            let error = regions_of(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("expected BED"), "{text}: {error}");
        }
    }

    #[test]
    fn faults_are_named_with_their_line() {
        let long = [b'a'; LONGEST_LINE + 1];
        for (text, parts) in [
            (&b""[..], &["empty"][..]),
            (b"# one\n\ntrack name=a\n", &["holds no intervals"]),
            (b"# one\nchr1\t5\n", &["line 2", "found 2 columns", "at least three"]),
            (b"chr1\n", &["line 1", "found 1 column,"]),
            (b"chr1\t500\t400\n", &["line 1: start 500 is not below end 400, expected start < end; fix"]),
            (b"chr1\t5\t5\n", &["line 1", "start 5 is not below end 5"]),
            (b"chr1\t0\t0\n", &["line 1", "start 0 is not below end 0"]),
            (b"chr1\tstart\t5\n", &["line 1", "the start is 'start'", "whole number"]),
            (b"chr1\t-1\t2\nchr1\t-1\t2\nchr1\t1\t2\n", &["line 1", "the start is '-1'", "2 of 3 lines are no"]),
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
        let any_region = ("chr[!-~]{1,10}", 0..1usize << 40, 1usize..1_000_000, name, any::<bool>(), any::<bool>())
            .prop_map(|(chromosome, start, length, name, reverse, peak)| {
                let end = (start + length).min(1 << 40);
                Region {
                    chromosome: chromosome.into(),
                    start,
                    end,
                    name,
                    reverse,
                    summit: peak.then_some(start + (end - start) / 2),
                    line: 0,
                }
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
                for region in [None, Some(Center::Summit), Some(Center::Middle)]
                    .into_iter()
                    .flat_map(|center| file_of(bytes, center).map(|file| file.regions).unwrap_or_default())
                {
                    prop_assert!((region.start..region.end).contains(&region.centre()));
                    prop_assert!(!region.chromosome.is_empty());
                }
            }
        }
    }
}
