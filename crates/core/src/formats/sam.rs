//! SAM, the text form of BAM (SAM specification, section 1): of each line where its read lies.

use crate::formats::alignment::{Alignment, Flags, fragment_length, reached};
use crate::formats::quoted;
use crate::genome::Chromosome;

/// What a line holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A reference of the header.
    Reference(Chromosome),
    /// Another line of the header.
    Header,
    /// A read.
    Read {
        /// What it says of itself.
        alignment: Alignment,
        /// Name of its reference.
        reference: &'a str,
        /// Barcode of its cell, the tag `CB`.
        barcode: Option<&'a [u8]>,
    },
}

/// Reads a line without its end. The alignment has no index of a reference, whose name stands beside it.
///
/// # Errors
/// The line is no SAM; the error says what is wrong with it.
pub fn parse(line: &[u8]) -> Result<Line<'_>, String> {
    if line.starts_with(b"@") {
        return Ok(reference(line).map_or(Line::Header, Line::Reference));
    }
    let mut columns = line.split(|&byte| byte == b'\t');
    let mut next = || columns.next().unwrap_or_default();
    let [_name, flags, reference, start, quality, cigar, mate_reference, _mate_start, template, _sequence, qualities] =
        std::array::from_fn(|_| next());
    if qualities.is_empty() {
        return Err(format!("found {} columns, expected eleven or more", line.split(|&byte| byte == b'\t').count()));
    }
    let number = |what: &str, column: &[u8]| {
        let number = std::str::from_utf8(column).ok().and_then(|column| column.parse::<i64>().ok());
        number.ok_or_else(|| format!("the {what} is '{}', expected a whole number", quoted(column)))
    };
    let flags = Flags(u16::try_from(number("flag", flags)?).map_err(|_| "the flag is beyond 65,535".to_owned())?);
    let start = usize::try_from(number("position", start)? - 1).ok();
    let quality = u8::try_from(number("mapping quality", quality)?)
        .map_err(|_| "the mapping quality is beyond 255".to_owned())?;
    let operations = operations(cigar);
    let reaches = operations.and_then(|operations| reached(start.unwrap_or(0), operations.into_iter()));
    let (range, deletions) =
        reaches.ok_or_else(|| format!("the CIGAR is '{}', expected lengths and operations", quoted(cigar)))?;
    let same_reference = mate_reference == b"=" || mate_reference == reference;
    let reference = std::str::from_utf8(reference).map_err(|_| "the name of the reference is no text".to_owned())?;
    let barcode = columns.find_map(|column| column.strip_prefix(b"CB:Z:"));
    let alignment = Alignment {
        flags: if reference == "*" || start.is_none() { Flags(flags.0 | Flags::UNMAPPED.0) } else { flags },
        reference: None,
        range,
        deletions,
        mapping_quality: quality,
        fragment_length: fragment_length(flags, same_reference, number("template length", template)?),
    };
    Ok(Line::Read { alignment, reference, barcode })
}

/// The reference of a line `@SQ`.
fn reference(line: &[u8]) -> Option<Chromosome> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix("@SQ\t")?;
    let field = |key: &str| line.split('\t').find_map(|field| field.strip_prefix(key));
    Some(Chromosome { name: field("SN:")?.to_owned(), length: field("LN:")?.parse().ok()? })
}

/// The operations of a CIGAR with their lengths; `None` where it is none.
fn operations(cigar: &[u8]) -> Option<Vec<(u8, usize)>> {
    let (mut found, mut length) = (Vec::new(), None);
    for &byte in cigar.iter().filter(|_| cigar != b"*") {
        match byte {
            b'0'..=b'9' => {
                let digit = usize::from(byte - b'0');
                length = Some(length.unwrap_or(0usize).checked_mul(10)?.checked_add(digit)?);
            }
            operation if b"MIDNSHP=X".contains(&operation) => found.push((operation, length.take()?)),
            _ => return None,
        }
    }
    length.is_none().then_some(found)
}
