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
    /// Column 1, which is UTF-8.
    pub chromosome: &'a [u8],
    /// 0-based and half-open, never empty.
    pub range: Range<usize>,
}

/// Reads a line without its end. Columns are divided by tabs or, in a line without tabs, by spaces.
///
/// # Errors
/// The line holds neither; the error says what is wrong with it.
pub fn parse(line: &[u8]) -> Result<Line<'_>, String> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    plain_fragment(line).map_or_else(|| parse_columns(line), Ok)
}

fn parse_columns(line: &[u8]) -> Result<Line<'_>, String> {
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

/// Most lines of most files, in one pass: three to five columns divided by tabs, no spaces. `None` leaves a line to [`parse`].
fn plain_fragment(line: &[u8]) -> Option<Line<'_>> {
    let is_dividing = |byte: &u8| !byte.is_ascii_graphic();
    let (chromosome, rest) = line.split_at(line.iter().position(is_dividing)?);
    let (start, rest) = number(rest.strip_prefix(b"\t")?)?;
    let (end, rest) = number(rest.strip_prefix(b"\t")?)?;
    let barcode = match rest.strip_prefix(b"\t") {
        None if rest.is_empty() => None,
        None => return None,
        Some(rest) => {
            let (barcode, rest) = rest.split_at(rest.iter().position(is_dividing).unwrap_or(rest.len()));
            // A fifth column may hold anything, but be the last.
            if !rest.is_empty() && memchr::memchr(b'\t', rest.strip_prefix(b"\t")?).is_some() {
                return None;
            }
            Some(barcode).filter(|barcode| !barcode.is_empty() && *barcode != b".")
        }
    };
    let is_place = !chromosome.is_empty() && chromosome[0] != b'#' && start < end && end <= LONGEST_CHROMOSOME;
    is_place.then_some(Line::Fragment { place: Place { chromosome, range: start..end }, barcode })
}

/// The whole number that bytes begin with, and what follows it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (mut number, mut digits) = (0, 0);
    while let Some(digit) = bytes.get(digits).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        (number, digits) = (10 * number + usize::from(digit), digits + 1);
        if digits > 18 {
            return None;
        }
    }
    (digits > 0).then_some((number, &bytes[digits..]))
}

fn place<'a>(chromosome: &'a [u8], start: &[u8], end: &[u8]) -> Result<Place<'a>, String> {
    let name = chromosome.trim_ascii();
    if name.is_empty() || std::str::from_utf8(name).is_err() {
        return Err(format!("the chromosome is '{}', expected a name", quoted(chromosome)));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_plain_fragment_is_read_in_one_pass() {
        for (line, barcode) in [
            (&b"chr1\t5\t90"[..], None),
            (b"chr1\t5\t90\tAC-1", Some(&b"AC-1"[..])),
            (b"chr1\t5\t90\t.", None),
            (b"chr1\t5\t90\tAC-1\t2", Some(b"AC-1")),
            (b"chr1\t5\t90\t\t2", None),
        ] {
            let place = Place { chromosome: b"chr1", range: 5..90 };
            assert_eq!(plain_fragment(line), Some(Line::Fragment { place, barcode }));
        }
    }

    proptest! {
        #[test]
        fn a_line_that_is_read_in_one_pass_is_read_so_by_columns(
            columns in prop::collection::vec("[a#\\. ]{0,3}|[0-9]{1,4}|[0-9]{17,20}|track|[+-]|chr1", 0..8),
        ) {
            let line = columns.join("\t");
            if let Some(fragment) = plain_fragment(line.as_bytes()) {
                prop_assert_eq!(parse_columns(line.as_bytes()), Ok(fragment));
            }
        }
    }
}
