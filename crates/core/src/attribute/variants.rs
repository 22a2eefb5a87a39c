//! Effects of variants on a prediction: both alleles are scored in their genomic context.
//!
//! The reference window is taken from the genome with the middle base of REF at its centre. The alternative window
//! starts at the same base: an insertion pushes bases out at the right end, and a deletion pulls genomic bases in
//! there. Both have the network's length.

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, bail};

use crate::attribute::target::Explainer;
use crate::evaluate;
use crate::formats::vcf::{Allele, Variant, Vcf};
use crate::genome::Genome;
use crate::genome::names::{NameIndex, list_names, other_name};
use crate::sequence::alphabet;

/// Bases read beyond what a variant needs, because the next variant is often near.
const READ_AHEAD: usize = 1 << 12;

/// Limit on the bytes of VCF lines that wait for their scores; lines with many genotypes are long.
const MOST_WAITING: usize = 1 << 24;

/// Why an allele has no score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unscored {
    /// REF differs from the genome.
    ReferenceDiffers,
    /// ALT is symbolic, `*`, a breakend, or holds bases other than A, C, G and T.
    NotSpelledOut,
    /// The allele is longer than the window allows.
    TooLong,
    /// The window runs off the end of a chromosome.
    OffTheEnd,
}

impl Unscored {
    /// Name of the reason in output tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReferenceDiffers => "reference_differs",
            Self::NotSpelledOut => "not_spelled_out",
            Self::TooLong => "too_long",
            Self::OffTheEnd => "off_the_end",
        }
    }
}

/// The target for both alleles of a variant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Score of the reference allele.
    pub reference: f64,
    /// Score of the alternative allele.
    pub alternative: f64,
}

/// For each alternative of a variant its scores, or why it has none.
pub type Scores = Vec<Result<Pair, Unscored>>;

/// Number of variants by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records read.
    pub records: usize,
    /// Alternative alleles.
    pub alleles: usize,
    /// Alleles scored.
    pub scored: usize,
    /// Alleles whose REF differs from the genome.
    pub reference_differs: usize,
    /// Alleles that are not spelled out in bases.
    pub not_spelled_out: usize,
    /// Alleles longer than the window.
    pub too_long: usize,
    /// Alleles whose window leaves the sequence.
    pub off_the_end: usize,
}

impl Counts {
    fn add(&mut self, scores: &Scores) {
        self.records += 1;
        self.alleles += scores.len();
        for score in scores {
            *match score {
                Ok(_) => &mut self.scored,
                Err(Unscored::ReferenceDiffers) => &mut self.reference_differs,
                Err(Unscored::NotSpelledOut) => &mut self.not_spelled_out,
                Err(Unscored::TooLong) => &mut self.too_long,
                Err(Unscored::OffTheEnd) => &mut self.off_the_end,
            } += 1;
        }
    }

    /// Number of alleles left out for each reason, worded as part of a sentence.
    pub fn left_out(&self) -> Vec<(usize, &'static str)> {
        [
            (self.reference_differs, "have a REF that differs from the genome"),
            (self.not_spelled_out, "are not spelled out (such as <DEL>, * or N)"),
            (self.too_long, "are too long for the network"),
            (self.off_the_end, "lie too near the end of a chromosome"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .collect()
    }
}

/// A genome, with the stretch that was read last.
pub struct Contexts {
    genome: Genome,
    index: NameIndex,
    /// Length of a window, in bp.
    length: usize,
    held: (usize, Range<usize>, Vec<u8>),
}

/// The windows of a variant: that of the reference if any allele can be scored, and that of each alternative.
struct Windows {
    reference: Option<Vec<u8>>,
    alternatives: Vec<Result<Vec<u8>, Unscored>>,
}

impl Contexts {
    /// Opens a genome that is read from disk on demand, so that its size does not matter.
    ///
    /// # Errors
    /// The genome cannot be read or indexed.
    pub fn open(path: &Path, length: usize) -> Result<Self> {
        let genome = Genome::open(path, 0, &|_| true)?;
        let index = NameIndex::new(genome.chromosomes.iter().map(|chromosome| chromosome.name.as_str()));
        Ok(Self { genome, index, length, held: (usize::MAX, 0..0, Vec::new()) })
    }

    /// The windows of a variant of `file`.
    ///
    /// # Errors
    /// The genome lacks the chromosome, or the chromosome ends before the variant.
    fn windows(&mut self, file: &Path, variant: &Variant) -> Result<Windows> {
        let at = || format!("{}: line {}", file.display(), variant.number);
        let Some(chromosome) = self.index.find(&variant.chromosome) else {
            let names = self.genome.chromosomes.iter().take(4).map(|chromosome| chromosome.name.as_str());
            bail!(
                "{}: {} has no chromosome '{}', expected names such as {}; {}",
                at(),
                self.genome.path.display(),
                variant.chromosome,
                list_names(names),
                other_name(&self.genome.chromosomes, &variant.chromosome)
            );
        };
        let all = |why| {
            let why = |(_, allele): &(String, Allele)| {
                Err(if *allele == Allele::NotSpelledOut { Unscored::NotSpelledOut } else { why })
            };
            Ok(Windows { reference: None, alternatives: variant.alternatives.iter().map(why).collect() })
        };
        let Some(start) = variant.start else { return all(Unscored::OffTheEnd) };
        let length = self.length;
        let (own, end) = (variant.reference.len(), self.genome.chromosomes[chromosome].length);
        if start + own > end {
            bail!(
                "{}: the variant ends at {}, beyond the {end} bp of chromosome '{}' in {}; is it made for another assembly?",
                at(),
                start + own,
                variant.chromosome,
                self.genome.path.display()
            );
        }
        // The bases that the windows of all alternatives may need.
        let wanted = start.saturating_sub(length)..(start + own + length).min(end);
        let (piece, from) = self.read(chromosome, wanted)?;
        if piece[start - from..start - from + own] != variant.reference {
            return all(Unscored::ReferenceDiffers);
        }
        // Number of bases before REF in each window.
        let Some(before) = (length / 2).checked_sub(own / 2).filter(|before| before + own <= length) else {
            return all(Unscored::TooLong);
        };
        let Some(first) = start.checked_sub(before) else { return all(Unscored::OffTheEnd) };
        if first + length > end {
            return all(Unscored::OffTheEnd);
        }
        let window = |alternative: &[u8]| {
            let Some(after) = length.checked_sub(before + alternative.len()) else {
                return Err(Unscored::TooLong);
            };
            let behind = start + own - from;
            let right = piece.get(behind..behind + after).ok_or(Unscored::OffTheEnd)?;
            Ok([&piece[first - from..start - from], alternative, right].concat())
        };
        let alternatives = variant.alternatives.iter().map(|(_, allele)| match allele {
            Allele::Bases(bases) => window(bases),
            Allele::NotSpelledOut => Err(Unscored::NotSpelledOut),
        });
        let alternatives: Vec<_> = alternatives.collect();
        let reference = if alternatives.iter().any(Result::is_ok) { window(&variant.reference).ok() } else { None };
        Ok(Windows { reference, alternatives })
    }

    /// Codes, without case, of at least the wanted stretch of a chromosome, and the position of the first.
    fn read(&mut self, chromosome: usize, wanted: Range<usize>) -> Result<(&[u8], usize)> {
        let (held, range, codes) = &mut self.held;
        if *held != chromosome || wanted.start < range.start || wanted.end > range.end {
            let end = (wanted.end + READ_AHEAD).min(self.genome.chromosomes[chromosome].length);
            codes.clear();
            self.genome.read(chromosome, wanted.start..end, codes)?;
            alphabet::without_case(codes);
            (*held, *range) = (chromosome, wanted.start..end);
        }
        Ok((codes, range.start))
    }
}

/// Variants that wait for their scores.
struct Waiting<'a> {
    explainer: Explainer<'a>,
    /// All windows, one after another.
    codes: Vec<u8>,
    variants: Vec<Placed>,
    bytes: usize,
}

/// A variant whose windows are among those that wait.
struct Placed {
    variant: Variant,
    /// Index of the reference window, if any alternative has a window.
    reference: usize,
    alternatives: Vec<Result<usize, Unscored>>,
}

impl Waiting<'_> {
    fn push(&mut self, variant: Variant, windows: Windows) {
        let length = self.explainer.length();
        let mut place = |window: &[u8]| {
            self.codes.extend_from_slice(window);
            self.codes.len() / length - 1
        };
        let reference = windows.reference.as_deref().map_or(0, &mut place);
        let alternatives = windows.alternatives.into_iter().map(|window| window.map(|window| place(&window))).collect();
        self.bytes += variant.line.len();
        self.variants.push(Placed { variant, reference, alternatives });
    }

    fn is_full(&self) -> bool {
        self.codes.len() / self.explainer.length() >= evaluate::batch_size(self.explainer.length())
            || self.bytes >= MOST_WAITING
            || self.variants.len() >= MOST_WAITING / size_of::<Variant>()
    }

    fn flush(&mut self, each: &mut dyn FnMut(&Variant, &Scores) -> Result<()>, counts: &mut Counts) -> Result<()> {
        let numbers = self.explainer.score(&self.codes)?;
        for Placed { variant, reference, alternatives } in self.variants.drain(..) {
            let pair = |place: Result<usize, Unscored>| {
                place.map(|place| Pair { reference: numbers[reference], alternative: numbers[place] })
            };
            let scores = alternatives.into_iter().map(pair).collect();
            counts.add(&scores);
            each(&variant, &scores)?;
        }
        self.codes.clear();
        self.bytes = 0;
        Ok(())
    }
}

/// Scores all variants of a file in constant memory and passes each to `each`, in file order.
///
/// # Errors
/// The file is malformed or belongs to another genome, or `each` fails.
pub fn score(
    explainer: Explainer,
    path: &Path,
    vcf: &mut Vcf,
    contexts: &mut Contexts,
    each: &mut dyn FnMut(&Variant, &Scores) -> Result<()>,
) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut waiting = Waiting { explainer, codes: Vec::new(), variants: Vec::new(), bytes: 0 };
    while let Some(variant) = vcf.next_variant()? {
        let windows = contexts.windows(path, &variant)?;
        waiting.push(variant, windows);
        if waiting.is_full() {
            waiting.flush(each, &mut counts)?;
        }
    }
    waiting.flush(each, &mut counts)?;
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The windows of one variant of 8 bp in a genome of `ACGTACGTAACCGGTT`.
    fn windows(start: usize, reference: &str, alternative: &str) -> (Option<String>, Result<String, Unscored>) {
        let encoded = |bases: &str| {
            let mut codes = Vec::new();
            alphabet::encode(bases.as_bytes(), &mut codes).unwrap();
            codes
        };
        let genome = Genome::from_codes(Path::new("g.fa"), vec![("chr1".into(), encoded("ACGTACGTaaCCGGTT"))]);
        let index = NameIndex::new(["chr1"].into_iter());
        let mut contexts = Contexts { genome, index, length: 8, held: (usize::MAX, 0..0, Vec::new()) };
        let variant = Variant {
            line: String::new(),
            number: 1,
            chromosome: "chr1".into(),
            start: Some(start),
            id: ".".into(),
            reference: encoded(reference),
            reference_bases: reference.into(),
            alternatives: vec![(alternative.into(), Allele::Bases(encoded(alternative)))],
        };
        let found = contexts.windows(Path::new("x.vcf"), &variant).unwrap();
        let alternative = found.alternatives.into_iter().next().unwrap();
        (found.reference.map(|codes| alphabet::decode(&codes)), alternative.map(|codes| alphabet::decode(&codes)))
    }

    #[test]
    fn both_windows_begin_at_the_same_base_and_have_the_same_length() {
        let pair = |start, reference, alternative| {
            let (reference, alternative) = windows(start, reference, alternative);
            (reference.unwrap(), alternative.unwrap())
        };
        let of = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        // 0-based 6 is the second G; four bases before it.
        assert_eq!(pair(6, "G", "T"), of("GTACGTAA", "GTACTTAA"));
        assert_eq!(pair(6, "G", "GAAA"), of("GTACGTAA", "GTACGAAA"));
        assert_eq!(pair(6, "GTA", "G"), of("TACGTAAC", "TACGACCG"));
        assert_eq!(pair(4, "A", "ACCC"), of("ACGTACGT", "ACGTACCC"));
    }

    #[test]
    fn what_cannot_be_scored_says_why() {
        let why = |start, reference, alternative| windows(start, reference, alternative).1.unwrap_err();
        assert_eq!(why(6, "A", "T"), Unscored::ReferenceDiffers);
        assert_eq!(why(2, "G", "T"), Unscored::OffTheEnd);
        assert_eq!(why(13, "G", "T"), Unscored::OffTheEnd);
        assert_eq!(why(10, "CCG", "C"), Unscored::OffTheEnd, "the deletion pulls in what is not there");
        assert_eq!(why(6, "G", "GAAAAA"), Unscored::TooLong);
        assert_eq!(why(4, "ACGTAACCG", "A"), Unscored::TooLong);
    }
}
