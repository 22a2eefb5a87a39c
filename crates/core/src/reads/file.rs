//! A file of reads, told by its content: BAM, SAM, or text with a fragment, a read or a pair in each line. Each read is handed on with
//! its place in the genome; those that have none there are counted.

use std::io::{BufRead, Cursor, Read};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};

use crate::format::{list_first, thousands};
use crate::formats::alignment::{Alignment, Flags};
use crate::formats::bam::{self, Bam};
use crate::formats::compression::{self, Compression, read_error};
use crate::formats::fasta::is_sam;
use crate::formats::fragments::{self, Place};
use crate::formats::lines::Lines;
use crate::formats::read_ahead::ReadAhead;
use crate::formats::{quoted, sam};
use crate::genome::Chromosome;
use crate::genome::names::{NameIndex, list_names, same_name};
use crate::reads::left_out::{Filters, LeftOut, Reason};

/// Longer than any line of these formats but SAM of whole chromosomes; the limit keeps a file without line ends from filling memory.
const LONGEST_LINE: usize = 1 << 26;

/// Bytes by which formats are told.
const HEAD: u64 = 1 << 12;

/// Lines after which a file is given up if most of them are no reads.
const FIRST_LINES: u64 = 10_000;

/// Which of two mates a read is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mate {
    /// Not one of two.
    Single,
    /// Mate 1.
    First,
    /// Mate 2.
    Second,
}

/// What a record stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// A fragment with both of its ends.
    Fragment,
    /// One read.
    Read {
        /// Whether it is of the minus strand.
        reverse: bool,
        /// Which of two mates.
        mate: Mate,
    },
}

/// A read or a fragment with its place in the genome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Index of the chromosome in the genome.
    pub chromosome: usize,
    /// 0-based and half-open.
    pub range: Range<usize>,
    /// Deletions within it, in order, which are no bases of the read.
    pub deletions: &'a [Range<usize>],
    /// What it stands for.
    pub ends: Ends,
    /// Barcode of its cell.
    pub barcode: Barcode<'a>,
    /// Length of its fragment in bp, where that is known.
    pub fragment_length: Option<usize>,
}

/// The barcode of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barcode<'a> {
    /// As it was found, if it was.
    Known(Option<&'a [u8]>),
    /// Among the tags of BAM, which are looked through only if it is asked for.
    Tag(bam::Tags<'a>),
}

impl<'a> Barcode<'a> {
    /// The barcode, if there is one.
    pub fn text(self) -> Option<&'a [u8]> {
        match self {
            Self::Known(barcode) => barcode,
            Self::Tag(tags) => tags.text(*b"CB"),
        }
    }
}

impl Record<'_> {
    /// What a line gives, before its chromosome is found.
    fn of_line(range: Range<usize>, ends: Ends) -> Self {
        Self { chromosome: 0, range, deletions: &[], ends, barcode: Barcode::Known(None), fragment_length: None }
    }
}

/// The chromosomes that reads are placed on.
pub struct Target<'a> {
    /// The file that lists them, for messages.
    pub path: &'a Path,
    /// All chromosomes.
    pub chromosomes: &'a [Chromosome],
    /// Those whose reads count, `[chromosomes]`.
    pub wanted: Vec<bool>,
    /// Whether the mitochondrion is left out for being one.
    pub without_mitochondrion: bool,
}

/// Where a name of a file leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Wanted(usize),
    Not(Reason),
}

/// What of a file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Alignments, or lines with a fragment, a read or a pair.
    pub records: u64,
    /// Fragments with both ends in a line.
    pub fragments: u64,
    /// Reads that are no mates.
    pub single: u64,
    /// Reads that are mate 1, and mate 2.
    pub mates: [u64; 2],
}

/// An open file.
pub struct ReadsFile {
    path: PathBuf,
    compression: Compression,
    format: Format,
}

enum Format {
    Bam(Bam),
    Sam(Lines<Box<dyn BufRead + Send>>),
    Text(Lines<Box<dyn BufRead + Send>>),
}

impl ReadsFile {
    /// Opens a file, a pipe or standard input (`-`) and tells its format.
    ///
    /// # Errors
    /// It cannot be read, or is of a format without aligned reads, or of CRAM.
    pub fn open(path: &Path) -> Result<Self> {
        let (mut input, compression) = compression::open_detected(path)?;
        let mut head = Vec::new();
        input.by_ref().take(HEAD).read_to_end(&mut head).map_err(|error| read_error(path, &error))?;
        if let Some((what, remedy)) = other_format(&head) {
            bail!("{}: {what}, expected BAM, SAM, or fragments or reads as text; {remedy}", path.display());
        }
        let (is_bam, is_sam) = (head.starts_with(bam::MAGIC), looks_like_sam(&head));
        let input: Box<dyn BufRead + Send> = Box::new(Cursor::new(head).chain(input));
        // Ordinary gzip is decompressed by the thread that reads it.
        let input = if compression == Compression::Gzip { Box::new(ReadAhead::new(input)) } else { input };
        let format = match (is_bam, is_sam) {
            (true, _) => Format::Bam(Bam::new(path, input)?),
            (_, true) => Format::Sam(Lines::new(path, input, LONGEST_LINE, "reads")),
            _ => Format::Text(Lines::new(path, input, LONGEST_LINE, "reads")),
        };
        Ok(Self { path: path.into(), compression, format })
    }

    /// Hands on every read that has a place in the genome and is not left out; the others are counted.
    ///
    /// # Errors
    /// The file is damaged or of another assembly, most of it are no reads, or `each` fails.
    pub fn for_each(
        self,
        target: &Target,
        filters: &Filters,
        left_out: &mut LeftOut,
        mut each: impl FnMut(Record, &mut LeftOut) -> Result<()>,
    ) -> Result<Seen> {
        let mut reader = Reader {
            path: &self.path,
            target,
            index: NameIndex::new(target.chromosomes.iter().map(|chromosome| chromosome.name.as_str())),
            filters,
            left_out,
            seen: Seen::default(),
            last: (Vec::new(), Found::Not(Reason::Absent)),
            each: &mut each,
        };
        match self.format {
            Format::Bam(file) => reader.bam(file)?,
            Format::Sam(lines) => reader.lines(lines, Reader::sam_line)?,
            Format::Text(lines) => reader.lines(lines, Reader::text_line)?,
        }
        let seen = reader.seen.clone();
        reader.check()?;
        Ok(seen)
    }

    /// What the file is, in words.
    pub fn describe(&self) -> &'static str {
        match (&self.format, self.compression) {
            (Format::Bam(_), _) => "BAM",
            (Format::Sam(_), Compression::Plain) => "SAM",
            (Format::Sam(_), _) => "compressed SAM",
            (Format::Text(_), Compression::Plain) => "text",
            (Format::Text(_), Compression::Gzip) => "text in gzip",
            (Format::Text(_), Compression::Bgzf) => "text in BGZF",
        }
    }
}

/// Whether a file begins as reads do, so that they can be counted; CRAM does, whose reader says what to do.
///
/// # Errors
/// The file cannot be read.
pub fn holds_reads(path: &Path) -> Result<bool> {
    let (input, _) = compression::open_detected(path)?;
    let mut head = Vec::new();
    input.take(HEAD).read_to_end(&mut head).map_err(|error| read_error(path, &error))?;
    if head.starts_with(bam::MAGIC) || head.starts_with(b"CRAM") || looks_like_sam(&head) {
        return Ok(true);
    }
    let mut lines = head.split(|&byte| byte == b'\n').map(fragments::parse);
    let first = lines.find(|line| !matches!(line, Ok(fragments::Line::Skipped | fragments::Line::Header)));
    Ok(other_format(&head).is_none() && matches!(first, Some(Ok(_))))
}

/// What else a file is by its first bytes, and what to do.
fn other_format(head: &[u8]) -> Option<(&'static str, &'static str)> {
    match head {
        [b'C', b'R', b'A', b'M', ..] => Some(("is CRAM", "convert it with samtools view -b")),
        [0x26, 0xfc, 0x8f, 0x88, ..] | [0x88, 0x8f, 0xfc, 0x26, ..] => {
            Some(("is bigWig, which counts reads already", "give it to train --signal as it is"))
        }
        [b'>', ..] => Some(("is FASTA, whose reads are not aligned", "align them to the reference")),
        [b'@', ..] if !looks_like_sam(head) => {
            Some(("is FASTQ, whose reads are not aligned", "align them to the reference"))
        }
        head if head.starts_with(b"##fileformat=VCF") => Some(("is VCF", "name the reads")),
        head if is_bedgraph(head) => {
            Some(("is bedGraph, which counts reads already", "make bigWig of it with bedGraphToBigWig"))
        }
        head if !head.starts_with(bam::MAGIC) && head.contains(&0) => {
            Some(("holds bytes that are no text", "check the file"))
        }
        _ => None,
    }
}

/// Whether a file is bedGraph: four columns, the last a number, in all lines that are looked at.
fn is_bedgraph(head: &[u8]) -> bool {
    let whole = head.iter().rposition(|&byte| byte == b'\n').map_or(head, |end| &head[..end]);
    let mut lines = whole
        .split(|&byte| byte == b'\n')
        .filter(|line| matches!(fragments::parse(line), Ok(fragments::Line::Fragment { .. })))
        .peekable();
    let is_value = |column: &[u8]| std::str::from_utf8(column).is_ok_and(|column| column.trim().parse::<f64>().is_ok());
    lines.peek().is_some()
        && lines.all(|line| {
            let columns: Vec<&[u8]> = line.split(|&byte| byte == b'\t' || byte == b' ').collect();
            columns.len() == 4 && is_value(columns[3])
        })
}

/// Whether a file is SAM, with a header or without.
fn looks_like_sam(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or(head);
    let is_read = || {
        line.iter().filter(|&&byte| byte == b'\t').count() >= 10
            && matches!(sam::parse(line), Ok(sam::Line::Read { .. }))
    };
    is_sam(head) || is_read()
}

/// A line that was read, or why it is none.
type Line = Result<(), String>;

/// One pass over a file.
struct Reader<'a, 'b, Each> {
    path: &'a Path,
    target: &'a Target<'b>,
    index: NameIndex,
    filters: &'a Filters,
    left_out: &'a mut LeftOut,
    seen: Seen,
    /// The name that was looked up last.
    last: (Vec<u8>, Found),
    each: &'a mut Each,
}

impl<Each: FnMut(Record, &mut LeftOut) -> Result<()>> Reader<'_, '_, Each> {
    fn bam(&mut self, file: Bam) -> Result<()> {
        let found = file.references().iter().map(|reference| self.reference(reference)).collect::<Result<Vec<_>>>()?;
        if found.iter().all(|found| *found == Found::Not(Reason::Absent)) {
            return Err(self.no_common_name(file.references().iter().map(|reference| reference.name.as_str())));
        }
        let names: Vec<String> = file.references().iter().map(|reference| reference.name.clone()).collect();
        file.for_each(|alignment, tags| {
            let found = alignment.reference.and_then(|reference| found.get(reference).copied());
            let name = alignment.reference.and_then(|reference| names.get(reference)).map_or("", String::as_str);
            self.alignment(&alignment, found, name, Barcode::Tag(tags))
        })
    }

    /// Where the reference of a header leads, whose length must be that of the genome.
    fn reference(&self, reference: &Chromosome) -> Result<Found> {
        let found = self.look_up(&reference.name);
        if let Found::Wanted(chromosome) = found {
            let own = &self.target.chromosomes[chromosome];
            if own.length != reference.length {
                bail!(
                    "{}: {} has {} bp in its header, and {} bp in {}, so reads were aligned to another assembly; name the one that they were aligned to",
                    self.path.display(),
                    reference.name,
                    thousands(reference.length),
                    thousands(own.length),
                    self.target.path.display()
                );
            }
        }
        Ok(found)
    }

    fn alignment(&mut self, alignment: &Alignment, found: Option<Found>, name: &str, barcode: Barcode) -> Result<()> {
        self.seen.records += 1;
        let flags = alignment.flags;
        let is_primary = !flags.has(Flags::SECONDARY) && !flags.has(Flags::SUPPLEMENTARY);
        let mate = match (flags.has(Flags::PAIRED), flags.has(Flags::SECOND)) {
            (false, _) => Mate::Single,
            (true, false) => Mate::First,
            (true, true) => Mate::Second,
        };
        match mate {
            _ if !is_primary || flags.has(Flags::UNMAPPED) => {}
            Mate::Single => self.seen.single += 1,
            Mate::First => self.seen.mates[0] += 1,
            Mate::Second => self.seen.mates[1] += 1,
        }
        if let Some(reason) = self.filters.of_alignment(alignment, found.is_some()) {
            self.left_out.add(reason);
            return Ok(());
        }
        let ends = Ends::Read { reverse: flags.has(Flags::REVERSE), mate };
        let found = found.unwrap_or(Found::Not(Reason::Absent));
        let Alignment { range, deletions, fragment_length, .. } = alignment;
        let record =
            Record { chromosome: 0, range: range.clone(), deletions, ends, barcode, fragment_length: *fragment_length };
        self.place(found, name.as_bytes(), record)
    }

    fn lines(&mut self, mut lines: Lines<impl BufRead>, each: fn(&mut Self, &[u8]) -> Result<Line>) -> Result<()> {
        while let Some(line) = lines.next_line()? {
            let fault = each(self, line)?;
            let number = lines.number();
            if let Err(fault) = fault {
                self.seen.records += 1;
                self.left_out.add_odd(Reason::Unreadable, || format!("line {number}: {fault}"));
            }
            if number == FIRST_LINES {
                self.check_lines()?;
            }
        }
        Ok(())
    }

    fn sam_line(&mut self, line: &[u8]) -> Result<Line> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok(Ok(()));
        }
        match sam::parse(line) {
            Ok(sam::Line::Header) => {}
            Ok(sam::Line::Reference(reference)) => drop(self.reference(&reference)?),
            Ok(sam::Line::Read { alignment, reference, barcode }) => {
                let found =
                    if alignment.flags.has(Flags::UNMAPPED) { None } else { Some(self.find(reference.as_bytes())) };
                self.alignment(&alignment, found, reference, Barcode::Known(barcode))?;
            }
            Err(fault) => return Ok(Err(fault)),
        }
        Ok(Ok(()))
    }

    fn text_line(&mut self, line: &[u8]) -> Result<Line> {
        let parsed = match fragments::parse(line) {
            Ok(parsed) => parsed,
            Err(fault) => return Ok(Err(fault)),
        };
        match parsed {
            fragments::Line::Skipped => return Ok(Ok(())),
            fragments::Line::Header if self.seen.records == 0 => return Ok(Ok(())),
            fragments::Line::Header => return Ok(Err("the start and the end are words, expected positions".into())),
            fragments::Line::Fragment { place, barcode } => {
                self.seen.fragments += 1;
                self.fragment(&place, barcode)?;
            }
            fragments::Line::Read { place, reverse } => {
                self.seen.single += 1;
                let found = self.find(place.chromosome);
                let ends = Ends::Read { reverse, mate: Mate::Single };
                self.place(found, place.chromosome, Record::of_line(place.range, ends))?;
            }
            fragments::Line::Pair(mates) => self.pair(mates)?,
        }
        self.seen.records += 1;
        Ok(Ok(()))
    }

    fn fragment(&mut self, place: &Place, barcode: Option<&[u8]>) -> Result<()> {
        let found = self.find(place.chromosome);
        let fragment_length = Some(place.range.len());
        let record = Record::of_line(place.range.clone(), Ends::Fragment);
        self.place(found, place.chromosome, Record { barcode: Barcode::Known(barcode), fragment_length, ..record })
    }

    /// Two mates of a line, each with its own end, or a fragment where they have no strands.
    fn pair(&mut self, mates: [Option<(Place, Option<bool>)>; 2]) -> Result<()> {
        let mut length = None;
        if let [Some((one, strand)), Some((other, other_strand))] = &mates
            && one.chromosome == other.chromosome
        {
            let range = one.range.start.min(other.range.start)..one.range.end.max(other.range.end);
            length = Some(range.len());
            if strand.is_none() || other_strand.is_none() {
                self.seen.fragments += 1;
                return self.fragment(&Place { chromosome: one.chromosome, range }, None);
            }
        }
        for ((place, mate), number) in mates.into_iter().zip([Mate::First, Mate::Second]).zip(0..) {
            let Some((place, Some(reverse))) = place else {
                self.left_out.add(Reason::Unmapped);
                continue;
            };
            self.seen.mates[number] += 1;
            let found = self.find(place.chromosome);
            let record = Record::of_line(place.range, Ends::Read { reverse, mate });
            self.place(found, place.chromosome, Record { fragment_length: length, ..record })?;
        }
        Ok(())
    }

    /// Hands on what has a place, on the chromosome that was found for its name.
    fn place(&mut self, found: Found, name: &[u8], record: Record) -> Result<()> {
        let chromosome = match found {
            Found::Wanted(chromosome) => chromosome,
            Found::Not(Reason::Absent) => {
                self.left_out.add_odd(Reason::Absent, || quoted(name));
                return Ok(());
            }
            Found::Not(reason) => {
                self.left_out.add(reason);
                return Ok(());
            }
        };
        let Chromosome { name, length } = &self.target.chromosomes[chromosome];
        let range = &record.range;
        // A read whose fragment is not known is of none of the lengths asked for.
        let has_length = |own: &RangeInclusive<usize>| record.fragment_length.is_some_and(|bp| own.contains(&bp));
        if range.end > *length || range.is_empty() {
            let what = || format!("{name}:{}-{} of {length} bp", range.start, range.end);
            self.left_out.add_odd(Reason::Beyond, what);
        } else if self.filters.fragment_length.as_ref().is_some_and(|own| !has_length(own)) {
            self.left_out.add(Reason::FragmentLength);
        } else if self.filters.excluded.overlap(chromosome, range) {
            self.left_out.add(Reason::Excluded);
        } else {
            (self.each)(Record { chromosome, ..record }, self.left_out)?;
        }
        Ok(())
    }

    fn find(&mut self, name: &[u8]) -> Found {
        if self.last.0 != name {
            self.last = (name.to_owned(), self.look_up(&String::from_utf8_lossy(name)));
        }
        self.last.1
    }

    fn look_up(&self, name: &str) -> Found {
        let is_mitochondrion = self.target.without_mitochondrion && same_name(name) == "M";
        match self.index.find(name) {
            _ if is_mitochondrion => Found::Not(Reason::Mitochondrion),
            None => Found::Not(Reason::Absent),
            Some(chromosome) if self.target.wanted[chromosome] => Found::Wanted(chromosome),
            Some(_) => Found::Not(Reason::OtherChromosome),
        }
    }

    /// Refuses a file most of whose lines are no reads.
    fn check_lines(&self) -> Result<()> {
        let unreadable = self.left_out.of(Reason::Unreadable);
        if 2 * unreadable > self.seen.records {
            let first = self.left_out.first.iter().find(|(key, _)| *key == "unreadable");
            let first = first.map_or("", |(_, first)| first);
            bail!(
                "{}: {first}; {} of {} lines are no reads, expected BAM, SAM, or fragments or reads as text; check the file",
                self.path.display(),
                thousands(unreadable as usize),
                thousands(self.seen.records as usize)
            );
        }
        Ok(())
    }

    /// Refuses a file without reads, or of another genome.
    fn check(&self) -> Result<()> {
        self.check_lines()?;
        let (path, genome) = (self.path.display(), self.target.path.display());
        if self.seen.records == 0 {
            bail!("{path}: holds no reads, expected BAM, SAM, or fragments or reads as text; check the file");
        }
        let (absent, beyond) = (self.left_out.of(Reason::Absent), self.left_out.of(Reason::Beyond));
        let first = |key: &str| self.left_out.first.iter().find(|(of, _)| *of == key).map_or("", |(_, first)| first);
        let reads = self.seen.fragments + self.seen.single + self.seen.mates[0] + self.seen.mates[1];
        if absent > 0 && absent == reads {
            return Err(self.no_common_name(std::iter::once(first("absent_chromosome"))));
        }
        if 2 * beyond > reads {
            bail!(
                "{path}: {} of {} reads reach beyond the ends of the chromosomes of {genome} (the first: {}), so it seems to be of another assembly; name the one that they were aligned to",
                thousands(beyond as usize),
                thousands(reads as usize),
                first("beyond_end")
            );
        }
        Ok(())
    }

    fn no_common_name<'n>(&self, names: impl Iterator<Item = &'n str>) -> anyhow::Error {
        let own: Vec<String> = names.take(4).map(ToOwned::to_owned).collect();
        anyhow!(
            "{}: has no chromosome in common with {} ({} against {}); name the genome that its reads were aligned to",
            self.path.display(),
            self.target.path.display(),
            list_first(&own, 3),
            list_names(self.target.chromosomes.iter().take(3).map(|chromosome| chromosome.name.as_str()))
        )
    }
}
