//! The windows of a variant: both alleles in their genomic context.
//!
//! Alleles are normalized first, so that a variant has the same windows however it is written. The window of the reference
//! has the middle of all places that an insertion or deletion can have at its centre, or lies at the end of the chromosome
//! where that is nearer. An allele that changes the length has two windows, one that begins with the window of the
//! reference and one that ends with it: what an insertion pushes out, or a deletion pulls in, is at the right end of one and
//! at the left end of the other. All have the network's length.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;

use crate::attribute::alignment::Alignment;
use crate::attribute::normalized::{Normalized, NotRead, Piece};
use crate::attribute::variants::Unscored;
use crate::formats::quoted;
use crate::formats::vcf::{Allele, Content, Variant};
use crate::genome::Genome;
use crate::genome::names::NameIndex;
use crate::predict::unknown_limit::UnknownLimit;
use crate::sequence::alphabet;

/// Bases read beyond what a variant needs, because the next variant is often near.
const READ_AHEAD: usize = 1 << 12;

/// Bases read on either side of what the windows of an allele need, because it may be shifted.
const SHIFTED: usize = 256;

/// A genome, with the stretch that was read last.
pub struct Contexts {
    /// The genome.
    pub genome: Genome,
    index: NameIndex,
    /// Length of a window, in bp.
    length: usize,
    /// Unknown bases that a window may hold.
    limit: UnknownLimit,
    held: (usize, Range<usize>, Vec<u8>),
}

/// The windows of a variant.
pub(super) struct Windows {
    /// Of each alternative, or one reason where a line has none.
    pub alternatives: Vec<Result<AlleleWindows, Unscored>>,
    /// What is wrong, for a message, where the variant does not belong to the genome or is none.
    pub fault: Option<String>,
}

/// The windows of an allele.
pub(super) struct AlleleWindows {
    /// Codes.
    pub reference: Vec<u8>,
    /// Codes of one window, or of two of an allele that changes the length, with where they lie.
    pub alternatives: Vec<(Vec<u8>, Alignment)>,
}

impl Windows {
    /// Leaves out what has windows.
    pub fn leave_out(&mut self, why: Unscored) {
        self.alternatives.iter_mut().filter(|one| one.is_ok()).for_each(|one| *one = Err(why));
    }

    /// A line that has no window.
    fn none(why: Unscored, fault: Option<String>) -> Self {
        Self { alternatives: vec![Err(why)], fault }
    }

    /// A variant none of whose alternatives has a window; `why` for those whose own faults do not come first.
    fn none_of(variant: &Variant, why: Unscored, fault: Option<String>) -> Self {
        let of = |(_, allele): &(String, Allele)| match allele {
            Allele::Bases(_) => why,
            Allele::NotSpelledOut if why < Unscored::ReferenceDiffers => why,
            Allele::NotSpelledOut => Unscored::NotSpelledOut,
            Allele::Malformed if why.is_misfit() => why,
            Allele::Malformed => Unscored::Malformed,
        };
        let alternatives = variant.alternatives.iter().map(|one| Err(of(one))).collect();
        Self { alternatives, fault: fault.or_else(|| malformed_allele(variant)) }
    }
}

impl Contexts {
    /// Opens a genome that is read from disk on demand, so that its size does not matter.
    ///
    /// # Errors
    /// The genome cannot be read or indexed.
    pub fn open(path: &Path, length: usize) -> Result<Self> {
        Ok(Self::of(Genome::open(path, 0, &|_| true)?, length))
    }

    pub(super) fn of(genome: Genome, length: usize) -> Self {
        let index = NameIndex::new(genome.chromosomes.iter().map(|chromosome| chromosome.name.as_str()));
        Self { genome, index, length, limit: UnknownLimit::NONE, held: (usize::MAX, 0..0, Vec::new()) }
    }

    /// Leaves alleles unscored whose windows hold more unknown bases than the limit.
    pub fn with_limit(self, limit: UnknownLimit) -> Self {
        Self { limit, ..self }
    }

    /// The windows of a line.
    ///
    /// # Errors
    /// The genome cannot be read.
    pub(super) fn windows(&mut self, content: &Content) -> Result<Windows> {
        match content {
            Content::Variant(variant) => self.windows_of(variant),
            Content::Malformed(why) => Ok(Windows::none(Unscored::Malformed, Some(why.clone()))),
            Content::Comment => Ok(Windows { alternatives: Vec::new(), fault: None }),
        }
    }

    fn windows_of(&mut self, variant: &Variant) -> Result<Windows> {
        let name = quoted(variant.chromosome.as_bytes());
        let none = |why, fault| {
            // A line without alternatives has one row that says so, unless something else is the matter.
            let windows = Windows::none_of(variant, why, fault);
            if variant.alternatives.is_empty() { Windows::none(why, windows.fault) } else { windows }
        };
        let Some(chromosome) = self.index.find(&variant.chromosome) else {
            return Ok(none(Unscored::NoChromosome, Some(format!("chromosome '{name}'"))));
        };
        let (own, end) = (variant.reference.len(), self.genome.chromosomes[chromosome].length);
        // The telomeres stand for breakends: POS 0 and the position after the last base (section 1.6.1).
        let start = match variant.start {
            None => return Ok(none(Unscored::OffTheEnd, None)),
            Some(start) if start == end => return Ok(none(Unscored::OffTheEnd, None)),
            Some(start) => start,
        };
        if start + own > end {
            let fault = format!("ends at {}, beyond the {end} bp of chromosome '{name}'", start + own);
            return Ok(none(Unscored::BeyondTheEnd, Some(fault)));
        }
        if variant.alternatives.is_empty() {
            return Ok(Windows::none(Unscored::NoAlternative, None));
        }
        // What the windows of all alternatives need, so that it is read once.
        let spelled_out = variant.alternatives.iter().map(|(_, allele)| match allele {
            Allele::Bases(bases) => bases.len(),
            Allele::NotSpelledOut | Allele::Malformed => 0,
        });
        let around = self.length + spelled_out.max().unwrap_or(0).max(own) + SHIFTED;
        let (piece, from) = self.read(chromosome, start.saturating_sub(around)..(start + own + around).min(end))?;
        let here = &piece[start - from..start - from + own];
        if here != variant.reference {
            let [reference, genome] = [&variant.reference, here].map(|codes| shortened(&alphabet::decode(codes)));
            let fault = format!("REF is {reference}, the genome has {genome} at {name}:{}", start + 1);
            return Ok(none(Unscored::ReferenceDiffers, Some(fault)));
        }
        let mut alternatives = Vec::new();
        for (_, allele) in &variant.alternatives {
            alternatives.push(match allele {
                Allele::Bases(bases) => self.windows_of_allele(chromosome, start, &variant.reference, bases)?,
                Allele::NotSpelledOut => Err(Unscored::NotSpelledOut),
                Allele::Malformed => Err(Unscored::Malformed),
            });
        }
        Ok(Windows { alternatives, fault: malformed_allele(variant) })
    }

    /// The windows of an allele that replaces `reference` at `start`.
    fn windows_of_allele(
        &mut self,
        chromosome: usize,
        start: usize,
        reference: &[u8],
        alternative: &[u8],
    ) -> Result<Result<AlleleWindows, Unscored>> {
        let (length, limit, end) = (self.length, self.limit, self.genome.chromosomes[chromosome].length);
        let longest = reference.len().max(alternative.len());
        let mut around = length + longest + SHIFTED;
        loop {
            let wanted = start.saturating_sub(around)..(start + reference.len() + around).min(end);
            let is_whole = wanted == (0..end);
            let (codes, from) = self.read(chromosome, wanted)?;
            let piece = Piece { codes, from, end };
            match Normalized::of(start, reference, alternative, &piece) {
                Ok(allele) => {
                    let windows = windows_in(&allele, length, &piece);
                    if !matches!(windows, Ok(None)) || is_whole {
                        // A difference between two windows is worth no more than any of them.
                        let known = |windows: AlleleWindows| {
                            let alternatives = windows.alternatives.iter().map(|(window, _)| window);
                            let mut all = std::iter::once(&windows.reference).chain(alternatives);
                            if all.any(|window| limit.is_exceeded_by(window)) {
                                Err(Unscored::TooManyUnknown)
                            } else {
                                Ok(windows)
                            }
                        };
                        return Ok(windows.and_then(|windows| windows.ok_or(Unscored::OffTheEnd)).and_then(known));
                    }
                }
                Err(NotRead) if is_whole => return Ok(Err(Unscored::OffTheEnd)),
                Err(NotRead) => {}
            }
            // In a repeat that is longer than what was read.
            around *= 4;
        }
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

/// The windows of a normalized allele: none where more of the chromosome has to be read.
fn windows_in(allele: &Normalized, length: usize, piece: &Piece) -> Result<Option<AlleleWindows>, Unscored> {
    let (removed, inserted) = (allele.removed, allele.inserted.len());
    if removed >= length || 2 * inserted > length + removed {
        return Err(Unscored::TooLong);
    }
    let changed_end = (piece.end + inserted).saturating_sub(removed);
    // Both ends of a chromosome take the window that begins or ends there.
    let Some((room, room_changed)) = piece.end.checked_sub(length).zip(changed_end.checked_sub(length)) else {
        return Err(Unscored::OffTheEnd);
    };
    let first = allele.middle().saturating_sub(length / 2).min(room);
    let reference = first.checked_sub(piece.from).and_then(|at| piece.codes.get(at..at + length));
    let changed = |from: usize| {
        let codes = (from..from + length).map(|at| allele.base(at, piece)).collect::<Option<Vec<u8>>>()?;
        let [reference, alternative] = [first, from].map(|from| allele.start as i64 - from as i64);
        Some((codes, Alignment { reference, alternative, removed, inserted }))
    };
    let ends_alike = usize::try_from(first as i64 + allele.gain()).unwrap_or(0).min(room_changed);
    let begins_alike = changed(first.min(room_changed));
    let alternatives = if allele.gain() == 0 { vec![begins_alike] } else { vec![begins_alike, changed(ends_alike)] };
    let alternatives: Option<Vec<_>> = alternatives.into_iter().collect();
    Ok(reference
        .zip(alternatives)
        .map(|(reference, alternatives)| AlleleWindows { reference: reference.to_vec(), alternatives }))
}

/// What is wrong with the first malformed alternative, if there is one.
fn malformed_allele(variant: &Variant) -> Option<String> {
    let (text, _) = variant.alternatives.iter().find(|(_, allele)| *allele == Allele::Malformed)?;
    Some(format!("ALT holds '{}', expected bases, *, a symbol in <> or a breakend", quoted(text.as_bytes())))
}

/// A long allele for a message.
fn shortened(bases: &str) -> String {
    crate::format::shortened(bases, 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::vcf::Vcf;

    fn contexts(length: usize) -> Contexts {
        let mut codes = Vec::new();
        alphabet::encode(b"ACGTACGTaaCCGGTT", &mut codes).unwrap();
        let chromosomes = vec![
            ("chr1".into(), codes.clone()),
            ("chrM".into(), codes.clone()),
            ("dup".into(), codes.clone()),
            ("chrdup".into(), codes),
        ];
        Contexts::of(Genome::from_codes(Path::new("g.fa"), chromosomes), length)
    }

    /// The windows of one line in a genome whose chromosomes are `ACGTACGTAACCGGTT`.
    fn windows_of(line: &str) -> Windows {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.vcf");
        std::fs::write(&path, format!("#CHROM\tPOS\tID\tREF\tALT\n{line}\n")).unwrap();
        let line = Vcf::open(&path).unwrap().next_line().unwrap().unwrap();
        contexts(8).windows(&line.content).unwrap()
    }

    /// The windows of one variant: of the reference, and of the alternative.
    fn windows(start: usize, reference: &str, alternative: &str) -> Result<(String, Vec<String>), Unscored> {
        let found = windows_of(&format!("chr1\t{}\t.\t{reference}\t{alternative}", start + 1));
        let windows = found.alternatives.into_iter().next().unwrap()?;
        let alternatives = windows.alternatives.iter().map(|(codes, _)| alphabet::decode(codes)).collect();
        Ok((alphabet::decode(&windows.reference), alternatives))
    }

    #[test]
    fn every_line_has_scores_or_a_reason() {
        for (line, expected) in [
            ("chr1 7 . G T", "scored"),
            ("1 7 . G T", "scored"),
            ("Chr1 7 . g t", "scored"),
            ("MT 7 . G T", "scored"),
            ("M 7 . G T", "scored"),
            ("chrMT 7 . G T", "scored"),
            ("dup 7 . G T", "scored"),
            ("chrdup 7 . G T", "scored"),
            ("Chrdup 7 . G T", "no_chromosome"), // which of the two?
            ("chr7 7 . G T", "no_chromosome"),
            ("chr7 7 . G <DEL>", "no_chromosome"),
            ("chr7 7 . G .", "no_chromosome"),
            ("<chr1> 7 . G T", "no_chromosome"),
            ("chr1 0 . N T", "off_the_end"),
            ("chr1 0 . N .", "off_the_end"),
            ("chr1 17 . N T", "off_the_end"),
            ("chr1 17 . N ]chr1:5]N", "not_spelled_out"),
            ("chr1 18 . N T", "off_the_end"),
            ("chr1 16 . TT T", "off_the_end"),
            ("chr1 16 . T A", "scored"),
            ("chr1 1 . A C", "scored"),
            ("chr1 15 . TT T", "scored"),
            ("chr1 7 . A T", "reference_differs"),
            ("chr1 7 . N T", "reference_differs"),
            ("chr1 7 . N <DEL>", "not_spelled_out"),
            ("chr1 7 . G .", "no_alternative"),
            ("chr1 7 . G *", "not_spelled_out"),
            ("chr1 7 . G R", "not_spelled_out"),
            ("chr1 7 . G -", "malformed"),
            ("chr1 7 . G 0", "malformed"),
            ("chr1 7 . - T", "malformed"),
            ("chr1 7 . . T", "malformed"),
            ("chr1 seven . G T", "malformed"),
            ("chr1 7 . G", "malformed"),
            ("chr1 7 . G T,<DEL>,-", "scored,not_spelled_out,malformed"),
            ("chr1 7 . A T,<DEL>,-", "reference_differs,not_spelled_out,reference_differs"),
        ] {
            let windows = windows_of(&line.replace(' ', "\t"));
            let names =
                windows.alternatives.iter().map(|window| window.as_ref().map_or_else(|why| why.name(), |_| "scored"));
            assert_eq!(names.collect::<Vec<_>>().join(","), expected, "{line}");
            let is_misfit = windows.alternatives.iter().any(|window| window.as_ref().is_err_and(|why| why.is_misfit()));
            assert!(windows.fault.is_some() || !is_misfit, "{line}");
        }
    }

    #[test]
    fn windows_of_a_change_in_length_begin_or_end_where_that_of_the_reference_does() {
        for (start, reference, alternative, expected) in [
            // 0-based 6 is the second G of ACGTACGTAACCGGTT; four bases before it.
            (6, "G", "T", ("GTACGTAA", &["GTACTTAA"][..])),
            (5, "CGT", "CTT", ("GTACGTAA", &["GTACTTAA"])),
            (6, "G", "GCCC", ("TACGTAAC", &["TACGCCCT", "GCCCTAAC"])),
            (6, "GTA", "G", ("ACGTAACC", &["ACGACCGG", "GTACGACC"])),
            // At both ends of the chromosome, the window that is there.
            (0, "A", "C", ("ACGTACGT", &["CCGTACGT"])),
            (15, "T", "C", ("AACCGGTT", &["AACCGGTC"])),
            (1, "CGT", "C", ("ACGTACGT", &["ACACGTAA", "ACACGTAA"])),
            (12, "GG", "G", ("AACCGGTT", &["TAACCGTT", "TAACCGTT"])),
            (14, "TT", "TTC", ("AACCGGTT", &["AACCGGTT", "ACCGGTTC"])),
        ] {
            let (of_reference, of_alternative) = windows(start, reference, alternative).unwrap();
            let of_alternative: Vec<&str> = of_alternative.iter().map(String::as_str).collect();
            assert_eq!(
                (of_reference.as_str(), of_alternative.as_slice()),
                expected,
                "{start} {reference} {alternative}"
            );
        }
    }

    #[test]
    fn a_variant_has_the_same_windows_however_it_is_written() {
        // Of AACCGG: a C or a G less, or one more, in all ways.
        for ways in [
            &[(9, "AC", "A"), (10, "CC", "C"), (9, "ACC", "AC"), (11, "CG", "G"), (8, "AACCGG", "AACGG")][..],
            &[(11, "C", "CG"), (12, "G", "GG"), (13, "G", "GG"), (13, "GT", "GGT"), (12, "GG", "GGG")],
            &[(6, "GTAA", "GTA"), (7, "TA", "T"), (8, "AA", "A"), (9, "AC", "C")],
        ] {
            let all: Vec<_> = ways.iter().map(|&(start, a, b)| windows(start, a, b).unwrap()).collect();
            assert!(all.iter().all(|windows| *windows == all[0]), "{ways:?}: {all:?}");
        }
    }

    #[test]
    fn what_cannot_be_scored_says_why() {
        let why = |start, reference, alternative| windows(start, reference, alternative).unwrap_err();
        assert_eq!(why(6, "A", "T"), Unscored::ReferenceDiffers);
        assert_eq!(why(6, "G", "GAAAAA"), Unscored::TooLong);
        assert_eq!(why(4, "ACGTAACCG", "A"), Unscored::TooLong);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.vcf");
        std::fs::write(&path, "#CHROM\tPOS\tID\tREF\tALT\nchr1\t7\t.\tG\tT\n").unwrap();
        let line = Vcf::open(&path).unwrap().next_line().unwrap().unwrap();
        let found = contexts(17).windows(&line.content).unwrap();
        assert_eq!(found.alternatives[0].as_ref().err(), Some(&Unscored::OffTheEnd), "longer than the chromosome");
    }

    #[test]
    fn alleles_among_too_many_unknown_bases_have_no_score() {
        let encoded = |bases: &str| {
            let mut codes = Vec::new();
            alphabet::encode(bases.as_bytes(), &mut codes).unwrap();
            codes
        };
        let variant = |start: usize, reference: &str, alternative: &str| Variant {
            chromosome: "chr1".into(),
            start: Some(start),
            reference: encoded(reference),
            alternatives: vec![(alternative.into(), Allele::Bases(encoded(alternative)))],
        };
        let scored = |limit, start, reference, alternative| {
            let genome =
                Genome::from_codes(Path::new("g.fa"), vec![("chr1".into(), encoded("ACGTACGTAACCNNGGTTACGT"))]);
            let windows = Contexts::of(genome, 8).with_limit(limit).windows_of(&variant(start, reference, alternative));
            windows.unwrap().alternatives[0].is_ok()
        };
        // Windows of 8 bp from four bases before: N stand at 12 and 13.
        assert!(scored(UnknownLimit::of(0), 5, "C", "T") && !scored(UnknownLimit::of(0), 10, "C", "T"));
        assert!(!scored(UnknownLimit::of(1), 10, "C", "T") && scored(UnknownLimit::of(2), 10, "C", "T"));
        assert!(scored(UnknownLimit::NONE, 10, "C", "T"));
        // A deletion pulls them into the window of the alternative alone.
        assert!(scored(UnknownLimit::of(0), 7, "T", "G") && !scored(UnknownLimit::of(0), 6, "GTA", "G"));
    }
}
