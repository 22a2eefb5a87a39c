//! Coordinates in the names of FASTA records, as bedtools and samtools write them when they cut intervals out of a
//! genome.

use anyhow::{Result, bail};

use crate::genome::interval::{LONGEST_CHROMOSOME, Place};

/// Parses the coordinates in a record's name, given the record's length in bases.
///
/// Names are `chr:start-end`, preceded by the name of the interval and `::` from `bedtools getfasta -name`, and
/// followed by the strand in brackets with `-s`. Both conventions occur, 0-based half-open (bedtools) and 1-based
/// inclusive (samtools faidx); the length tells them apart. Any other name is `None`.
///
/// # Errors
/// The length of the coordinates differs from that of the record.
pub fn parse(name: &str, length: usize) -> Result<Option<Place>> {
    let (interval, reverse) = match name.strip_suffix(')').and_then(|name| name.rsplit_once('(')) {
        Some((interval, "+")) => (interval, false),
        Some((interval, "-")) => (interval, true),
        Some((interval, "." | "")) => (interval, false), // bedtools, of an interval without a strand
        _ => (name, false),
    };
    let interval = interval.rsplit_once("::").map_or(interval, |(_, interval)| interval);
    let Some((chromosome, range)) = interval.rsplit_once(':').filter(|(chromosome, _)| !chromosome.is_empty()) else {
        return Ok(None);
    };
    let Some((Some(start), Some(end))) = range.split_once('-').map(|(start, end)| (number(start), number(end))) else {
        return Ok(None);
    };
    let found = |start| Ok(Some(Place { chromosome: chromosome.into(), range: start..end, reverse }));
    match end.checked_sub(start) {
        Some(span) if span == length => found(start),
        Some(span) if start > 0 && length.checked_sub(1) == Some(span) => found(start - 1),
        Some(span) => bail!(
            "record '{name}': the name spans {span} bases counted from 0 or {} counted from 1, but the sequence has {length}, expected the same; correct the name or the sequence",
            span.saturating_add(1)
        ),
        None => bail!(
            "record '{name}': the name ends at {end} before it starts at {start}, and the sequence has {length} bases, expected start and end as far apart; correct the name"
        ),
    }
}

/// Parses digits and nothing else; `str::parse` would accept a plus sign.
fn number(digits: &str) -> Option<usize> {
    let number = digits.parse().ok().filter(|&number| number <= LONGEST_CHROMOSOME);
    number.filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(chromosome: &str, start: usize, end: usize, reverse: bool) -> Option<Place> {
        Some(Place { chromosome: chromosome.into(), range: start..end, reverse })
    }

    #[test]
    fn the_length_tells_how_a_name_counts() {
        assert_eq!(parse("chr1:5-10", 5).unwrap(), place("chr1", 5, 10, false));
        assert_eq!(parse("chr1:5-10", 6).unwrap(), place("chr1", 4, 10, false));
        assert_eq!(parse("chr1:0-10", 10).unwrap(), place("chr1", 0, 10, false));
        assert_eq!(parse("chr1:1-1", 1).unwrap(), place("chr1", 0, 1, false));
        assert_eq!(parse("chr1:7-7", 0).unwrap(), place("chr1", 7, 7, false));
    }

    #[test]
    fn names_as_bedtools_writes_them_are_understood() {
        for (name, chromosome, reverse) in [
            ("chr1:5-10(+)", "chr1", false),
            ("chr1:5-10(-)", "chr1", true),
            ("chr1:5-10(.)", "chr1", false),
            ("chr1:5-10()", "chr1", false),
            ("peak_1::chr1:5-10", "chr1", false),
            ("peak::of (a)::chr1:5-10(-)", "chr1", true),
            ("::chr1:5-10", "chr1", false),
            ("HLA-A*01:01:01:5-10", "HLA-A*01:01:01", false),
            ("KI270728.1|x-y:5-10", "KI270728.1|x-y", false),
        ] {
            assert_eq!(parse(name, 5).unwrap(), place(chromosome, 5, 10, reverse), "{name}");
        }
    }

    #[test]
    fn other_names_are_not_places() {
        for name in [
            "",
            "read1",
            "a:b-c",
            "x:1",
            "x:-",
            "x:1-",
            "x:-2",
            ":1-2",
            "::1-2",
            "a:::1-2",
            "chr1:1,000-2,000",
            "chr1:+5-10",
            "chr1:5-10(x)",
            "chr1:5-10)",
            "chr1:5-10/rc",
            "chr1(+)",
            "(+)",
            ")",
            "chr1:5--10",
            "chr1:5-10-15",
            "chr1:٥-١٠",
            "chr1:5-99999999999999999999",
            "5-10",
        ] {
            assert_eq!(parse(name, 5).unwrap(), None, "{name}");
        }
        assert_eq!(parse("chr1:17179869180-17179869185", 5).unwrap(), None, "no chromosome is that long");
    }

    #[test]
    fn coordinates_that_do_not_fit_the_sequence_are_an_error_with_both_lengths() {
        for (name, length, parts) in [
            ("chr1:5-10", 7, &["'chr1:5-10'", "spans 5", "or 6", "has 7"][..]),
            ("chr1:5-10", 4, &["spans 5", "has 4"]),
            ("chr1:5-10", 0, &["spans 5", "has 0"]),
            ("chr1:0-9", 10, &["spans 9", "has 10"]),
            ("chr1:10-5", 5, &["ends at 5", "starts at 10", "5 bases"]),
            ("chr1:0-17179869184", 0, &["spans 17179869184"]),
        ] {
            let message = parse(name, length).unwrap_err().to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{name}: {message}");
        }
    }

    proptest! {
        #[test]
        fn no_name_panics(name: String, tail in "[a-z:()+.0-9-]{0,30}", length: usize) {
            for name in [&name, &tail, &format!("{name}:{tail}"), &format!("{name}:5-{length}")] {
                let _ = parse(name, length);
                let _ = parse(name, length % 64);
            }
        }

        #[test]
        fn written_places_are_read_back(
            chromosome in "[!-9;-~]{1,12}", start in 0usize..1 << 33, length in 1usize..1 << 20, reverse: bool,
            named: bool, from_one: bool,
        ) {
            let strand = if reverse { "(-)" } else { "(+)" };
            let before = if named { "peak::" } else { "" };
            let end = start + length;
            let name = format!("{before}{chromosome}:{}-{end}{strand}", start + usize::from(from_one));
            prop_assert_eq!(parse(&name, length).unwrap(), place(&chromosome, start, end, reverse));
        }
    }
}
