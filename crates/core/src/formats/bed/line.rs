//! One line of a region file: its columns, what it is, and the region that it holds.

use std::collections::HashSet;
use std::sync::Arc;

use crate::formats::bed::Region;
use crate::formats::quoted;

/// Upper limit of positions; no chromosome comes near it, so a larger number is an error in the file.
const LARGEST_POSITION: usize = 1 << 40;

/// What to do about a line that cannot be read.
const REMEDY: &str = "fix or remove the line";

/// A line divided into columns, which are divided by tabs or, in a line without tabs, by spaces.
pub(super) struct Line<'a> {
    columns: Vec<&'a [u8]>,
}

impl<'a> Line<'a> {
    /// Divides a line, with or without its end.
    pub fn new(text: &'a [u8]) -> Self {
        let end = text.iter().rposition(|byte| !b"\r\n ".contains(byte)).map_or(0, |last| last + 1);
        let text = &text[..end];
        let columns = if text.contains(&b'\t') {
            text.split(|&byte| byte == b'\t').collect()
        } else {
            text.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).collect()
        };
        Self { columns }
    }

    /// A column, counted from 1, without surrounding spaces; empty where the line ends before it.
    pub fn column(&self, number: usize) -> &'a [u8] {
        self.columns.get(number - 1).map_or(&[], |column| column.trim_ascii())
    }

    /// A column as text; empty where it is not UTF-8.
    pub fn text(&self, number: usize) -> &'a str {
        std::str::from_utf8(self.column(number)).unwrap_or_default()
    }

    /// Whether the line is blank, a comment, or for a genome browser.
    pub fn is_skipped(&self) -> bool {
        let first = self.columns.iter().map(|column| column.trim_ascii()).find(|column| !column.is_empty());
        let word = first.unwrap_or_default().split(u8::is_ascii_whitespace).next().unwrap_or_default();
        word.is_empty() || word.starts_with(b"#") || word == b"track" || word == b"browser"
    }

    /// Whether the line names columns: where positions should be, it has words.
    pub fn is_header(&self) -> bool {
        let is_word = |number| {
            self.column(number)
                .trim_ascii_start()
                .first()
                .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'"')
        };
        is_word(2) && is_word(3)
    }

    /// Recognises what is often taken for BED and counts its positions otherwise, or has none.
    ///
    /// # Errors
    /// The line is of another format; the message says of which.
    pub fn check_format(&self) -> Result<(), String> {
        let of = |what: &str, remedy: &str| {
            Err(format!("looks like {what}, expected BED (chromosome, start, end); {remedy}"))
        };
        let is_whole = |number| !self.column(number).is_empty() && self.column(number).iter().all(u8::is_ascii_digit);
        let is_bases = |number| {
            let column = self.column(number);
            !column.is_empty() && column.iter().all(|byte| b"ACGTNacgtn".contains(byte))
        };
        let is_alternative = |number| {
            is_bases(number)
                || self.column(number).starts_with(b"<")
                || [&b"."[..], b"*"].contains(&self.column(number))
                || self.column(number).contains(&b',')
        };
        match self.columns.first().and_then(|column| column.first()) {
            Some(b'>') => return Err("starts with '>', which looks like FASTA, expected BED; name the BED file".into()),
            Some(b'@') if self.columns.len() > 1 && self.column(1).len() == 3 => {
                return of(
                    "an interval list or SAM, which count from 1",
                    "convert it, for example with picard IntervalListToBed",
                );
            }
            Some(b'@') => return Err("starts with '@', which looks like FASTQ, expected BED; name the BED file".into()),
            _ => {}
        }
        if self.columns.len() >= 8
            && !is_whole(2)
            && !is_whole(3)
            && is_whole(4)
            && is_whole(5)
            && [&b"+"[..], b"-", b".", b"?"].contains(&self.column(7))
        {
            return of("GFF or GTF, which count from 1", "convert it, for example with gff2bed");
        }
        if self.columns.len() >= 8 && is_whole(2) && is_bases(4) && is_alternative(5) {
            return of("VCF, which counts from 1", "name the BED file, or use explain variants for a VCF");
        }
        if self.is_header() && self.columns.iter().any(|column| *column == b"abs_summit") {
            return of("a peak table of MACS, which counts from 1", "name its narrowPeak file");
        }
        Ok(())
    }

    /// The first three columns for an output, `NA` where they are missing or not printable.
    pub fn first_columns(&self) -> [String; 3] {
        [1, 2, 3].map(|number| {
            let text = self.text(number);
            let is_printable = !text.is_empty() && !text.contains(char::is_control);
            if is_printable { text.to_owned() } else { "NA".to_owned() }
        })
    }

    /// The region of the line, without its summit. `chromosomes` keeps one copy of each name.
    ///
    /// # Errors
    /// The line holds none; the error says what is wrong with it.
    pub fn parse(&self, line: u64, chromosomes: &mut HashSet<Arc<str>>) -> Result<Region, String> {
        if self.columns.iter().any(|column| column.contains(&b'\r')) {
            return Err("holds a carriage return, expected lines that end in LF or CRLF; convert it first".into());
        }
        let found = self.columns.len();
        if found < 3 {
            let commas = self.columns.iter().any(|column| column.iter().filter(|byte| **byte == b',').count() > 1);
            return Err(format!(
                "found {found} column{}{}, expected at least three (chromosome, start, end) divided by tabs or spaces; {}",
                if found == 1 { "" } else { "s" },
                if commas { " divided by commas" } else { "" },
                if commas { "replace the commas by tabs" } else { REMEDY }
            ));
        }
        let chromosome = self.printable("chromosome", 1)?;
        if chromosome.is_empty() {
            return Err(format!("the chromosome is empty, expected its name; {REMEDY}"));
        }
        let (start, end) = (self.position("start", 2)?, self.position("end", 3)?);
        if start >= end {
            return Err(format!("start {start} is not below end {end}, expected start < end; {REMEDY}"));
        }
        let name = Some(self.printable("name", 4)?).filter(|name| !["", "."].contains(name)).map(str::to_owned);
        let reverse = self.strand()?;
        let chromosome = match chromosomes.get(chromosome) {
            Some(known) => known.clone(),
            None => {
                let new: Arc<str> = chromosome.into();
                chromosomes.insert(new.clone());
                new
            }
        };
        Ok(Region { chromosome, start, end, name, reverse, summit: None, line })
    }

    fn printable(&self, what: &str, number: usize) -> Result<&'a str, String> {
        let column = self.column(number);
        let text = std::str::from_utf8(column).ok().filter(|text| !text.contains(char::is_control));
        text.ok_or_else(|| format!("the {what} is '{}', expected printable UTF-8 text; check the file", quoted(column)))
    }

    /// A position; data frames write whole numbers as `100.0`.
    fn position(&self, what: &str, number: usize) -> Result<usize, String> {
        whole_number(self.text(number)).filter(|&position| position <= LARGEST_POSITION).ok_or_else(|| {
            format!("the {what} is '{}', expected a whole number from 0 to 2^40; {REMEDY}", quoted(self.column(number)))
        })
    }

    /// Whether the region lies on the minus strand, in any of the ways that programs write it.
    fn strand(&self) -> Result<bool, String> {
        match self.text(6) {
            "-" | "-1" => Ok(true),
            "+" | "+1" | "1" | "." | "*" | "?" | "0" | "NA" => Ok(false),
            "" if self.column(6).is_empty() => Ok(false),
            _ => Err(format!("the strand is '{}', expected +, - or . in column 6; {REMEDY}", quoted(self.column(6)))),
        }
    }
}

/// A whole number, also as `100.0`.
pub(super) fn whole_number(text: &str) -> Option<usize> {
    let digits = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_plain)
}
