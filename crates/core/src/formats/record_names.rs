//! Coordinates in the names and descriptions of FASTA records, as bedtools, samtools, UCSC, NCBI and Ensembl write them
//! when they cut intervals out of a genome, also where a shuffle or another change was made of the sequence since.

use std::ops::Range;

use crate::genome::interval::{LONGEST_CHROMOSOME, Place};
use crate::genome::names::{is_haplotype, looks_like_a_chromosome};

/// What a record says of where its sequence comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coordinates {
    /// Nothing.
    Absent,
    /// The sequence lies there.
    Exact(Place),
    /// The sequence was made from the one that lies there, such as a shuffle.
    Derived(Place),
    /// The coordinates span another length than the sequence has, so only the chromosome is certain.
    Misfit(Place),
}

impl Coordinates {
    /// The place, if it is certain that the sequence lies there.
    pub fn place(self) -> Option<Place> {
        match self {
            Self::Exact(place) => Some(place),
            _ => None,
        }
    }
}

/// Finds the coordinates of a record of `length` bases in its name or, if that has none, in its description.
///
/// Names are `chr:start-end`, preceded by the name of the interval and `::` from `bedtools getfasta -name`, and followed
/// by the strand in brackets with `-s` or by `/rc` from `samtools faidx -i`; `chr:cEND-START` is the minus strand at NCBI.
/// Thousands may have commas, and `..` may stand for `-`. With other separators (`chr1_0_64`, `chr1-0-64`, `chr1.0.64`)
/// the first part has to look like a chromosome. Whatever else stands behind (`_shuf_1`) or before makes the sequence one
/// that is derived from the place. Descriptions are searched for `range=chr1:1-64` (UCSC), `chromosome:GRCh38:1:1:64:1`
/// (Ensembl) and words such as names.
///
/// Both conventions occur, 0-based half-open (bedtools) and 1-based inclusive (samtools faidx); the length tells them
/// apart.
pub fn parse(name: &str, description: &str, length: usize) -> Coordinates {
    match in_name(name, length) {
        Coordinates::Absent => in_description(description, length),
        found => found,
    }
}

fn in_name(name: &str, length: usize) -> Coordinates {
    if let Some(found) = of_ensembl(name, length) {
        return found;
    }
    let found: Vec<Found> = mentions(name).filter_map(|mention| mention.read(length)).collect();
    // The usual form before others, one that fits before one that does not; of the usual form the last.
    let usual = || found.iter().rev().filter(|found| found.is_usual);
    let other = || found.iter().filter(|found| !found.is_usual);
    let best = usual().find(|found| found.fits).or_else(|| other().find(|found| found.fits));
    let best = best.or_else(|| usual().next()).or_else(|| other().find(|found| found.is_certain));
    best.map_or(Coordinates::Absent, |found| found.coordinates.clone())
}

fn in_description(description: &str, length: usize) -> Coordinates {
    let words = || description.split([' ', '\t']).filter(|word| !word.is_empty());
    if let Some(range) = words().find_map(|word| word.strip_prefix("range=")) {
        let reverse = words().any(|word| word == "strand=-");
        match in_name(range, length) {
            Coordinates::Exact(place) => {
                return Coordinates::Exact(Place { reverse: place.reverse || reverse, ..place });
            }
            Coordinates::Absent => {}
            found => return found,
        }
    }
    if let Some(found) = words().find_map(|word| of_ensembl(word, length)) {
        return found;
    }
    let fitting = words().find_map(|word| {
        let word = word.rsplit('=').next().unwrap_or(word).trim_matches(['[', ']', '"', '\'', ';', ',']);
        match in_name(word, length) {
            Coordinates::Exact(place) if looks_like_a_chromosome(&place.chromosome) => Some(Coordinates::Exact(place)),
            _ => None,
        }
    });
    fitting.unwrap_or(Coordinates::Absent)
}

/// Ensembl's `chromosome:GRCh38:1:1:64:1`: kind, assembly, name, first and last position from 1, strand.
fn of_ensembl(word: &str, length: usize) -> Option<Coordinates> {
    let [kind, assembly, chromosome, start, end, strand] = word.split(':').collect::<Vec<_>>()[..] else { return None };
    let (start, end) = (number(start)?, number(end)?);
    let is_named = is_a_name(chromosome)
        && !assembly.is_empty()
        && !kind.is_empty()
        && kind.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !is_named || !matches!(strand, "1" | "-1") || start == 0 {
        return None;
    }
    let place = |range| Place { chromosome: chromosome.into(), range, reverse: strand == "-1" };
    Some(match end.checked_sub(start) {
        Some(span) if length.checked_sub(1) == Some(span) => Coordinates::Exact(place(start - 1..end)),
        _ => Coordinates::Misfit(place(start.min(end).saturating_sub(1)..start.max(end))),
    })
}

/// Two numbers beside each other in a text, which may be coordinates.
struct Mention<'a> {
    before: &'a str,
    start: usize,
    end: usize,
    /// NCBI's `c` before the numbers, which then descend.
    complement: bool,
    after: &'a str,
    /// Written `:start-end`.
    is_usual: bool,
}

/// Coordinates that a mention may be.
struct Found {
    coordinates: Coordinates,
    fits: bool,
    is_usual: bool,
    /// It can be nothing else, even if the length differs.
    is_certain: bool,
}

/// All pairs of numbers with separators around, in order.
fn mentions(text: &str) -> impl Iterator<Item = Mention<'_>> {
    let bytes = text.as_bytes();
    (1..bytes.len()).filter_map(move |first| {
        let complement = bytes[first] == b'c' && bytes[first - 1] == b':';
        let at = first + usize::from(complement);
        if !b":_-.|".contains(&bytes[first - 1]) {
            return None;
        }
        let (start, behind) = number_at(text, at)?;
        let width = if bytes[behind..].starts_with(b"..") { 2 } else { 1 };
        let separator = bytes.get(behind).filter(|byte| b"-_.:|".contains(byte))?;
        let (end, behind) = number_at(text, behind + width)?;
        if bytes.get(behind).is_some_and(u8::is_ascii_alphanumeric) {
            return None;
        }
        let is_usual = bytes[first - 1] == b':' && (*separator == b'-' || width == 2);
        let before = &text[..first - 1];
        Some(Mention { before, start, end, complement, after: &text[behind..], is_usual })
    })
}

impl Mention<'_> {
    fn read(&self, length: usize) -> Option<Found> {
        let Named { chromosome, has_prefix, looks_right } = Named::at_the_end_of(self.before);
        if !is_a_name(chromosome) || (self.complement && !self.is_usual) {
            return None;
        }
        let suffix = Suffix::of(self.after)?;
        let (low, high) = if self.complement { (self.end, self.start) } else { (self.start, self.end) };
        let range = fitting(low, high, length);
        // Numbers behind other separators may be anything.
        let is_certain = self.is_usual || (looks_right && is_unmistakable(chromosome) && suffix != Suffix::Number);
        if !self.is_usual && !looks_right {
            return None;
        }
        let reverse = self.complement || suffix == Suffix::Strand { reverse: true };
        let chromosome = chromosome.into();
        let fits = range.is_some();
        let coordinates = match range {
            Some(range) => {
                let place = Place { chromosome, range, reverse };
                let is_exact = !has_prefix && matches!(suffix, Suffix::Nothing | Suffix::Strand { .. });
                if is_exact { Coordinates::Exact(place) } else { Coordinates::Derived(place) }
            }
            None => Coordinates::Misfit(Place { chromosome, range: low.min(high)..low.max(high), reverse }),
        };
        Some(Found { coordinates, fits, is_usual: self.is_usual, is_certain })
    }
}

/// The range from 0 that coordinates mean, if they span `length` bases counted from 0 or from 1.
fn fitting(start: usize, end: usize, length: usize) -> Option<Range<usize>> {
    match end.checked_sub(start) {
        Some(span) if span == length => Some(start..end),
        Some(span) if start > 0 && length.checked_sub(1) == Some(span) => Some(start - 1..end),
        _ => None,
    }
}

/// Whether text can name a chromosome, unlike separators alone.
fn is_a_name(chromosome: &str) -> bool {
    chromosome.contains(char::is_alphanumeric)
}

/// Whether a name has `chr` in it, as nothing else does that looks like a chromosome, or is a versioned accession.
fn is_unmistakable(chromosome: &str) -> bool {
    let is_accession = chromosome.contains('.') && chromosome.starts_with(|first: char| first.is_ascii_uppercase());
    is_accession || chromosome.to_ascii_lowercase().contains("chr")
}

/// The chromosome that stands before coordinates.
struct Named<'a> {
    chromosome: &'a str,
    /// Something stands before it that is not part of its name.
    has_prefix: bool,
    /// It looks like a chromosome.
    looks_right: bool,
}

impl<'a> Named<'a> {
    /// The end of what stands before coordinates. What stands before `::` is the name of an interval.
    fn at_the_end_of(before: &'a str) -> Self {
        let text = before.rsplit_once("::").map_or(before, |(_, chromosome)| chromosome);
        if looks_like_a_chromosome(text) || !text.is_ascii() {
            return Self { chromosome: text, has_prefix: false, looks_right: text.is_ascii() };
        }
        let lower = text.to_ascii_lowercase();
        let is_separate = |at: &usize| *at > 0 && !lower.as_bytes()[at - 1].is_ascii_alphanumeric();
        let mut inner = lower.rmatch_indices("chr").map(|(at, _)| at).filter(is_separate);
        match inner.find(|&at| looks_like_a_chromosome(&text[at..])) {
            // A haplotype or the assembly of one of several genomes is part of the name.
            Some(at) if is_part_of_name(&text[..at - 1]) => {
                Self { chromosome: text, has_prefix: false, looks_right: true }
            }
            Some(at) => Self { chromosome: &text[at..], has_prefix: true, looks_right: true },
            None => Self { chromosome: text, has_prefix: false, looks_right: false },
        }
    }
}

fn is_part_of_name(prefix: &str) -> bool {
    const ASSEMBLIES: [&str; 20] = [
        "hg", "mm", "rn", "dm", "ce", "grc", "hs37", "galgal", "danrer", "saccer", "pantro", "rhemac", "canfam",
        "bostau", "susscr", "xentro", "t2t", "chm13", "tair", "oryza",
    ];
    let prefix = prefix.trim_end_matches(['_', '-', '.']);
    let lower = prefix.to_ascii_lowercase();
    let is_assembly = ASSEMBLIES.iter().any(|name| lower.starts_with(name))
        && lower.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && (lower.bytes().any(|byte| byte.is_ascii_digit()));
    prefix.contains('#') || is_haplotype(prefix) || is_assembly
}

/// What stands behind coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suffix {
    Nothing,
    Strand {
        reverse: bool,
    },
    /// A number alone, which may be a third coordinate.
    Number,
    /// Anything else, as programs add that change a sequence.
    Other,
}

impl Suffix {
    /// `None` if what comes before is not coordinates.
    fn of(text: &str) -> Option<Self> {
        let strand = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
        let strand =
            strand.or_else(|| text.strip_prefix([':', '_', ',', '|']).filter(|text| ["+", "-", "*"].contains(text)));
        Some(match (text, strand) {
            ("", _) => Self::Nothing,
            ("/rc", _) | (_, Some("-")) => Self::Strand { reverse: true },
            (_, Some("+" | "." | "*" | "")) => Self::Strand { reverse: false }, // bedtools without a strand, Bioconductor
            _ => match text.as_bytes() {
                [b'-', second, ..] if second.is_ascii_digit() => return None, // three numbers
                [_, rest @ ..] if !rest.is_empty() && rest.iter().all(u8::is_ascii_digit) => Self::Number,
                _ => Self::Other,
            },
        })
    }
}

/// The number that begins at a byte of a text, and the byte behind it. Its thousands may be set apart by commas.
fn number_at(text: &str, at: usize) -> Option<(usize, usize)> {
    let digits = |at: usize| text.as_bytes().get(at..).unwrap_or(&[]).iter().take_while(|b| b.is_ascii_digit()).count();
    let mut end = at + digits(at);
    if (1..=3).contains(&(end - at)) {
        while text.as_bytes().get(end) == Some(&b',') && digits(end + 1) == 3 {
            end += 4;
        }
    }
    Some((number(&text.get(at..end)?.replace(',', ""))?, end))
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

    fn place(chromosome: &str, start: usize, end: usize, reverse: bool) -> Place {
        Place { chromosome: chromosome.into(), range: start..end, reverse }
    }

    fn exact(chromosome: &str, start: usize, end: usize, reverse: bool) -> Coordinates {
        Coordinates::Exact(place(chromosome, start, end, reverse))
    }

    fn of_name(name: &str, length: usize) -> Coordinates {
        parse(name, "", length)
    }

    #[test]
    fn the_length_tells_how_a_name_counts() {
        assert_eq!(of_name("chr1:5-10", 5), exact("chr1", 5, 10, false));
        assert_eq!(of_name("chr1:5-10", 6), exact("chr1", 4, 10, false));
        assert_eq!(of_name("chr1:0-10", 10), exact("chr1", 0, 10, false));
        assert_eq!(of_name("chr1:1-1", 1), exact("chr1", 0, 1, false));
        assert_eq!(of_name("chr1:7-7", 0), exact("chr1", 7, 7, false));
    }

    #[test]
    fn names_that_fit_are_places() {
        for (name, chromosome, reverse) in [
            ("chr1:5-10(+)", "chr1", false),
            ("chr1:5-10(-)", "chr1", true),
            ("chr1:5-10(.)", "chr1", false),
            ("chr1:5-10()", "chr1", false),
            ("chr1:5-10/rc", "chr1", true),
            ("chr1:5-10:+", "chr1", false),
            ("chr1:5-10:-", "chr1", true),
            ("chr1:5-10:*", "chr1", false),
            ("chr1:c10-6", "chr1", true),
            ("NC_000001.11:c10-6", "NC_000001.11", true),
            ("NC_000001.11:6-10", "NC_000001.11", false),
            ("peak_1::chr1:5-10", "chr1", false),
            ("peak::of (a)::chr1:5-10(-)", "chr1", true),
            ("::chr1:5-10(+)", "chr1", false),
            ("HLA-A*01:01:01:5-10", "HLA-A*01:01:01", false),
            ("KI270728.1|x-y:5-10", "KI270728.1|x-y", false),
            ("tig00000001:5-10", "tig00000001", false),
            ("any name:5-10", "any name", false),
            ("HG002#1#chr1:5-10", "HG002#1#chr1", false),
            ("hg38_chr1:5-10", "hg38_chr1", false),
            ("chr1_hap1:5-10", "chr1_hap1", false),
            ("chr1:6..10", "chr1", false),
            ("chr1_5_10", "chr1", false),
            ("chr1-5-10", "chr1", false),
            ("chr1.5.10", "chr1", false),
            ("chr1:5_10", "chr1", false),
            ("chr1_5-10", "chr1", false),
            ("chr1|5|10", "chr1", false),
            ("chr1_5_10_-", "chr1", true),
            ("hg19_chr7_5_10_+", "hg19_chr7", false),
            ("chr1_KI270706v1_random_5_10", "chr1_KI270706v1_random", false),
            ("GL000194.1-5-10", "GL000194.1", false),
            ("NC_000913.3_5_10", "NC_000913.3", false),
            ("X_5_10", "X", false),
            ("2L-5-10", "2L", false),
            ("chromosome:GRCh38:1:6:10:1", "1", false),
            ("chromosome:GRCh38:X:6:10:-1", "X", true),
        ] {
            assert_eq!(of_name(name, 5), exact(chromosome, 5, 10, reverse), "{name}");
        }
        assert_eq!(of_name("chr1:1,000-1,063", 64), exact("chr1", 999, 1063, false));
        assert_eq!(of_name("chr1:1,234,000-1,234,064", 64), exact("chr1", 1_234_000, 1_234_064, false));
    }

    #[test]
    fn what_is_made_of_a_place_is_derived_from_it() {
        for name in [
            "chr1:5-10_shuf_1",
            "chr1:5-10_shuf",
            "chr1:5-10-shuffled",
            "chr1:5-10_dinuc_shuf_3",
            "chr1:5-10(+)_shuf_2",
            "chr1:5-10/mark",
            "chr1:5-10.1",
            "chr1:5-10|neg",
            "chr1:5-10#2",
            "chr1:5-10;rs123",
            "chr1:5-10(x)",
            "chr1:5-10:A>G",
            "peak_1::chr1:5-10(-)_shuf_1",
            "shuf_chr1:5-10",
            "neg|chr1:5-10",
            "peak7_chr1:5-10",
            "shuffled_chr1_5_10",
            "chr1_5_10_shuf_1",
            "chr1-5-10_shuffled",
            "chr1.5.10.mut",
            "chr1:6-10/rc_shuf",
        ] {
            match of_name(name, 5) {
                Coordinates::Derived(place) => assert_eq!((&*place.chromosome, place.range), ("chr1", 5..10), "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn coordinates_of_another_length_give_the_chromosome_alone() {
        for (name, length, chromosome) in [
            ("chr1:5-10", 7, "chr1"),
            ("chr1:5-10", 4, "chr1"),
            ("chr1:5-10", 0, "chr1"),
            ("chr1:0-9", 10, "chr1"),
            ("chr1:10-5", 5, "chr1"),
            ("chr1:0-17179869184", 0, "chr1"),
            ("chr1:1000-1900", 64, "chr1"),
            ("chr1-1000-1900", 64, "chr1"),
            ("chr1_1000_1900", 64, "chr1"),
            ("GL000194.1-1000-1900", 64, "GL000194.1"),
            ("chr1:1000-1900(-)", 64, "chr1"),
            ("chr1:1000-1900_shuf_1", 64, "chr1"),
            ("gene::chr1:1000-1900(+)", 64, "chr1"),
            ("chr1:1,000-2,000", 5, "chr1"),
            ("NC_000001.11:c1900-1000", 64, "NC_000001.11"),
            ("chr1:23951-24050", 50, "chr1"),
            ("tig00000001:900-1100", 150, "tig00000001"),
            ("scaffold_12:900-1100", 150, "scaffold_12"),
            ("chr1_100_600_0:0:0_0:0:0_1f/1", 100, "chr1"),
            ("chromosome:GRCh38:1:1000:1900:1", 64, "1"),
        ] {
            match of_name(name, length) {
                Coordinates::Misfit(place) => assert_eq!(&*place.chromosome, chromosome, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
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
            "chr1:+5-10",
            "chr1(+)",
            "(+)",
            ")",
            "chr1:5--10",
            "chr1:5-10-15",
            "chr1:\u{665}-\u{661}\u{660}",
            "chr1:5-99999999999999999999",
            "5-10",
            "read_5_10",
            "sample-5-10",
            "gene_5_10",
            "peak_1_5_10",
            "seq.5.10",
            "K562_5_10",
            "1_5_11",
            "enhancer_5-10",
            "SRR001666.5.10",
            "A00123:45:HXXX:1:1101:5:10",
            "chr1",
            "chr1_5",
            "chr1-7",
            "chr1:5-10bp",
            "12_5",
            "neg_5_10",
            "2024-05-10",
            "chrome_5_10",
            "sp|P5|10",
            "ENSG00000139618.5",
            "chromosome:GRCh38:-:6:10:1",
            ":GRCh38:1:6:10:1",
            "-:6-10",
        ] {
            assert_eq!(of_name(name, 5), Coordinates::Absent, "{name}");
        }
        assert_eq!(of_name("chr1:17179869180-17179869185", 5), Coordinates::Absent, "no chromosome is that long");
    }

    #[test]
    fn descriptions_are_read_where_the_name_says_nothing() {
        for (name, description, chromosome, reverse) in [
            ("hg38_dna", "range=chr1:6-10 5'pad=0 3'pad=0 strand=+ repeatMasking=none", "chr1", false),
            ("hg38_dna", "range=chr1:6-10 5'pad=0 3'pad=0 strand=- repeatMasking=none", "chr1", true),
            ("1", "dna:chromosome chromosome:GRCh38:1:6:10:1", "1", false),
            ("1", "dna:chromosome chromosome:GRCh38:1:6:10:-1 REF", "1", true),
            ("seq1", "chr1:6-10", "chr1", false),
            ("seq1", "my peak chr1:6-10(-)", "chr1", true),
            ("seq1", "loc=chr1:6..10; more", "chr1", false),
            ("seq1", "[region=chr1:6-10]", "chr1", false),
            ("chr1:6-10", "chr2:6-10", "chr1", false),
        ] {
            assert_eq!(parse(name, description, 5), exact(chromosome, 5, 10, reverse), "{name} {description}");
        }
        for description in ["", "near chr1:1000-1900", "read:6-10 of 5", "5-10", "length=5", "rank 5 10"] {
            assert_eq!(parse("seq1", description, 5), Coordinates::Absent, "{description}");
        }
        let transcript = parse("ENST1", "cdna chromosome:GRCh38:1:1000:5000:1 gene:ENSG1", 64);
        assert!(matches!(transcript, Coordinates::Misfit(place) if &*place.chromosome == "1"));
    }

    proptest! {
        #[test]
        fn no_name_panics(name: String, tail in "[a-zé:()+.,_|/#0-9-]{0,30}", length: usize) {
            for name in [&name, &tail, &format!("{name}:{tail}"), &format!("{name}:5-{length}"), &format!("chr{tail}")] {
                let _ = parse(name, &tail, length);
                let _ = parse(&tail, name, length % 64);
            }
        }

        #[test]
        fn written_places_are_read_back(
            chromosome in "[!-\"$-+/-9;-{}~]{0,6}[A-Za-z0-9][!-\"$-+/-9;-{}~]{0,6}", start in 0usize..1 << 33, length in 1usize..1 << 20, reverse: bool,
            named: bool, from_one: bool,
        ) {
            prop_assume!(!chromosome.to_ascii_lowercase().contains("chr"));
            let strand = if reverse { "(-)" } else { "(+)" };
            let before = if named { "peak::" } else { "" };
            let end = start + length;
            let name = format!("{before}{chromosome}:{}-{end}{strand}", start + usize::from(from_one));
            prop_assert_eq!(of_name(&name, length), exact(&chromosome, start, end, reverse));
        }

        /// What is said to lie at a place can be written there again, whatever the form was.
        #[test]
        fn places_of_any_form_are_read_back(
            chromosome in "[1acehrN:._|#é-]{1,8}", start in 0usize..40, length in 0usize..8, form in 0usize..6,
            tail in "(|:[+-]|/rc|\\([+-]\\))",
        ) {
            let (end, first) = (start + length, start + 1);
            let (name, description) = match form {
                0 => (format!("a:b:{chromosome}:{first}:{end}:1"), String::new()),
                1 => (format!("{chromosome}:{start}-{end}{tail}"), String::new()),
                2 => (format!("{chromosome}_{start}_{end}{tail}"), String::new()),
                3 => (format!("{chromosome}:c{end}-{first}"), String::new()),
                4 => ("x".into(), format!("range={chromosome}:{first}-{end} strand=-")),
                _ => ("x".into(), format!("a:b:{chromosome}:{first}:{end}:-1 {chromosome}:{start}-{end}{tail}")),
            };
            if let Coordinates::Exact(Place { chromosome, range, reverse }) = parse(&name, &description, length) {
                prop_assert_eq!(range.len(), length);
                let strand = if reverse { '-' } else { '+' };
                let again = of_name(&format!("::{chromosome}:{}-{}({strand})", range.start, range.end), length);
                match again {
                    Coordinates::Exact(place) | Coordinates::Derived(place) => {
                        prop_assert_eq!(place.reverse, reverse, "{} {}", name, description);
                    }
                    other => prop_assert!(false, "{name} {description}: {other:?}"),
                }
            }
        }

        #[test]
        fn a_suffix_or_a_prefix_leaves_a_sequence_with_its_chromosome(
            number in 1usize..23, start in 0usize..1 << 30, length in 30usize..2000, separators in 0usize..4,
            suffix in "[_/|#;.][a-z]{2,6}(_[0-9])?", prefix in "(s[a-z]{3,7}_)?",
        ) {
            let (a, b) = [(':', '-'), ('_', '_'), ('-', '-'), ('.', '.')][separators];
            let name = format!("{prefix}chr{number}{a}{start}{b}{}{suffix}", start + length);
            let chromosome = format!("chr{number}");
            match of_name(&name, length) {
                Coordinates::Derived(place) => {
                    prop_assert_eq!(&*place.chromosome, chromosome.as_str());
                    prop_assert_eq!(place.range, start..start + length);
                }
                Coordinates::Exact(place) => prop_assert!(suffix == "/rc" && &*place.chromosome == chromosome.as_str()),
                other => prop_assert!(false, "{} {:?}", name, other),
            }
        }
    }
}
