//! Fragments and reads as text, a line each: 10x fragment files, BED of fragments, tagAlign (BED6 of reads) and BEDPE, told by the
//! columns of each line.

use std::ops::Range;

use crate::formats::quoted;
use crate::genome::interval::LONGEST_CHROMOSOME;

/// What a line holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Blank, a comment, or for a genome browser.
    Skipped,
    /// Names of columns.
    Header,
    /// Both ends of a fragment: three to five columns, or no strand in the sixth.
    Fragment {
        /// Where it lies.
        place: Place<'a>,
        /// Column 4, the barcode of its cell.
        barcode: Option<&'a [u8]>,
    },
    /// One read, as in tagAlign: a strand in column 6.
    Read {
        /// Where it lies.
        place: Place<'a>,
        /// Whether it is of the minus strand.
        reverse: bool,
    },
    /// Two mates, as in BEDPE; of one that is not aligned there is no place.
    Pair([Option<(Place<'a>, Option<bool>)>; 2]),
}

/// An interval with the name of its chromosome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Column 1.
    pub chromosome: &'a str,
    /// 0-based and half-open, never empty.
    pub range: Range<usize>,
}

/// Reads a line without its end. Columns are divided by tabs or, in a line without tabs, by spaces.
///
/// # Errors
/// The line holds neither; the error says what is wrong with it.
pub fn parse(line: &[u8]) -> Result<Line<'_>, String> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut columns = [&b""[..]; 10];
    let mut found = 0;
    if memchr::memchr(b'\t', line).is_some() {
        for column in line.split(|&byte| byte == b'\t') {
            if let Some(place) = columns.get_mut(found) {
                *place = column;
            }
            found += 1;
        }
    } else {
        for column in line.split(|&byte| byte == b' ').filter(|column| !column.is_empty()) {
            if let Some(place) = columns.get_mut(found) {
                *place = column;
            }
            found += 1;
        }
    }
    let first = columns[0].trim_ascii();
    let is_for_browsers = [&b"track"[..], b"browser"]
        .iter()
        .any(|word| line.strip_prefix(*word).is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace)))
        && whole(columns[1]).is_none();
    if line.trim_ascii().is_empty() || first.starts_with(b"#") || is_for_browsers {
        return Ok(Line::Skipped);
    }
    if found < 3 {
        return Err(format!("found {found} columns, expected three or more (chromosome, start, end)"));
    }
    if [columns[1], columns[2]].iter().all(|column| column.first().is_some_and(u8::is_ascii_alphabetic)) {
        return Ok(Line::Header);
    }
    // Of BEDPE column 6 is a position, of BED it is a strand.
    let is_pair =
        found >= 6 && [columns[4], columns[5]].iter().all(|column| whole(column).is_some() || *column == b"-1");
    if is_pair {
        let strand = |at: usize| (found > at).then(|| strand(columns[at])).transpose().map(Option::flatten);
        let mate = |at: usize, reverse: Option<bool>| -> Result<_, String> {
            let is_absent = columns[at] == b"." || columns[at + 1] == b"-1";
            if is_absent {
                Ok(None)
            } else {
                Ok(Some((place(columns[at], columns[at + 1], columns[at + 2])?, reverse)))
            }
        };
        return Ok(Line::Pair([mate(0, strand(8)?)?, mate(3, strand(9)?)?]));
    }
    let place = place(columns[0], columns[1], columns[2])?;
    let strand = if found > 5 { strand(columns[5])? } else { None };
    Ok(match strand {
        Some(reverse) => Line::Read { place, reverse },
        None => {
            let barcode = columns[3].trim_ascii();
            Line::Fragment { place, barcode: Some(barcode).filter(|barcode| ![&b""[..], b"."].contains(barcode)) }
        }
    })
}

fn place<'a>(chromosome: &'a [u8], start: &[u8], end: &[u8]) -> Result<Place<'a>, String> {
    let name = std::str::from_utf8(chromosome.trim_ascii()).ok().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| format!("the chromosome is '{}', expected a name", quoted(chromosome)))?;
    let position = |what: &str, column: &[u8]| {
        let number = whole(column).filter(|number| *number <= LONGEST_CHROMOSOME);
        number.ok_or_else(|| format!("the {what} is '{}', expected a position", quoted(column)))
    };
    let range = position("start", start)?..position("end", end)?;
    if range.is_empty() {
        return Err(format!(
            "the end {} is not beyond the start {}, expected 0-based half-open positions",
            range.end, range.start
        ));
    }
    Ok(Place { chromosome: name, range })
}

fn strand(column: &[u8]) -> Result<Option<bool>, String> {
    match column.trim_ascii() {
        b"+" => Ok(Some(false)),
        b"-" => Ok(Some(true)),
        b"." | b"" | b"*" => Ok(None),
        other => Err(format!("the strand is '{}', expected +, - or .", quoted(other))),
    }
}

/// A whole number of digits alone, with or without spaces around it.
fn whole(column: &[u8]) -> Option<usize> {
    let digits = column.trim_ascii();
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + usize::from(byte - b'0')))
}
