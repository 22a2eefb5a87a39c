//! One form for all the ways in which a variant can be written: without the bases that both alleles share, and an insertion
//! or a deletion as far to the left as it goes (Tan, Abecasis and Kang, 2015), beside how far it goes to the right.

use crate::sequence::alphabet::UNKNOWN;

/// A stretch of a chromosome that was read.
#[derive(Clone, Copy)]
pub struct Piece<'a> {
    /// Codes without case.
    pub codes: &'a [u8],
    /// Position of the first.
    pub from: usize,
    /// Length of the chromosome.
    pub end: usize,
}

impl Piece<'_> {
    /// The known base at a position; `Err` where more has to be read to know it.
    fn base(&self, position: usize) -> Result<Option<u8>, NotRead> {
        if position >= self.end {
            return Ok(None);
        }
        let code = position.checked_sub(self.from).and_then(|at| self.codes.get(at)).ok_or(NotRead)?;
        Ok(Some(*code).filter(|code| *code < UNKNOWN))
    }
}

/// More of the chromosome has to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotRead;

/// A normalized allele. Unlike in VCF, either side may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalized {
    /// First position of the leftmost placement.
    pub start: usize,
    /// First position of the rightmost placement: another only for insertions and deletions, within repeats.
    pub last: usize,
    /// Number of reference bases that are replaced.
    pub removed: usize,
    /// Bases instead of them in the leftmost placement.
    pub inserted: Vec<u8>,
}

impl Normalized {
    /// The normalized form of an allele that replaces `reference`, which the chromosome has at `start`.
    ///
    /// # Errors
    /// The allele can be shifted out of what was read.
    pub fn of(start: usize, reference: &[u8], alternative: &[u8], piece: &Piece) -> Result<Self, NotRead> {
        let shared_end = shared(reference.iter().rev(), alternative.iter().rev());
        let reference = &reference[..reference.len() - shared_end];
        let alternative = &alternative[..alternative.len() - shared_end];
        let shared_start = shared(reference.iter(), alternative.iter());
        let (reference, alternative) = (&reference[shared_start..], &alternative[shared_start..]);
        let (removed, start) = (reference.len(), start + shared_start);
        if reference.is_empty() == alternative.is_empty() {
            return Ok(Self { start, last: start, removed, inserted: alternative.to_vec() });
        }
        // The bases that are inserted or deleted, which a shift rotates.
        let mut bases = if removed == 0 { alternative.to_vec() } else { reference.to_vec() };
        let period = bases.len();
        let mut leftmost = start;
        while leftmost > 0 && piece.base(leftmost - 1)? == Some(bases[period - 1 - (start - leftmost) % period]) {
            leftmost -= 1;
        }
        let shift = (start - leftmost) % period;
        bases.rotate_right(shift);
        let mut last = leftmost;
        while piece.base(last + removed)?.is_some_and(|base| base == bases[(last - leftmost) % period]) {
            last += 1;
        }
        let inserted = if removed == 0 { bases } else { Vec::new() };
        Ok(Self { start: leftmost, last, removed, inserted })
    }

    /// Difference in length that the allele makes, in bp.
    pub fn gain(&self) -> i64 {
        self.inserted.len() as i64 - self.removed as i64
    }

    /// The middle of the positions that any placement touches.
    pub fn middle(&self) -> usize {
        (self.start + self.last + self.removed) / 2
    }

    /// The base of the chromosome with the allele in it at a position, if that was read and is within it.
    pub fn base(&self, position: usize, piece: &Piece) -> Option<u8> {
        if let Some(&base) = position.checked_sub(self.start).and_then(|at| self.inserted.get(at)) {
            return Some(base);
        }
        let position = if position < self.start { position } else { position + self.removed - self.inserted.len() };
        piece.codes.get(position.checked_sub(piece.from)?).copied()
    }
}

fn shared<'a>(a: impl Iterator<Item = &'a u8>, b: impl Iterator<Item = &'a u8>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b && **a < UNKNOWN).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::alphabet;
    use proptest::prelude::*;

    fn encoded(bases: &str) -> Vec<u8> {
        let mut codes = Vec::new();
        alphabet::encode(bases.as_bytes(), &mut codes).unwrap();
        codes
    }

    fn normalized(genome: &str, start: usize, reference: &str, alternative: &str) -> (usize, usize, usize, String) {
        let codes = encoded(genome);
        assert_eq!(&genome[start..start + reference.len()], reference);
        let piece = Piece { codes: &codes, from: 0, end: codes.len() };
        let found = Normalized::of(start, &encoded(reference), &encoded(alternative), &piece).unwrap();
        (found.start, found.last, found.removed, alphabet::decode(&found.inserted))
    }

    #[test]
    fn variants_have_the_form_of_the_paper() {
        // The example of Tan and others: CA deleted from GGGCACACACAGGG, in several ways.
        let genome = "GGGCACACACAGGG";
        for (start, reference, alternative) in
            [(3, "CA", ""), (2, "GCA", "G"), (5, "CAC", "C"), (7, "CA", ""), (8, "ACA", "A"), (2, "GCACA", "GCA")]
        {
            assert_eq!(
                normalized(genome, start, reference, alternative),
                (3, 9, 2, String::new()),
                "{start} {reference}"
            );
        }
        for (start, reference, alternative, expected) in [
            (4, "A", "G", (4, 4, 1, "G")),
            (3, "CAC", "CGC", (4, 4, 1, "G")),
            (3, "CA", "TG", (3, 3, 2, "TG")),
            (2, "G", "GT", (3, 3, 0, "T")),
            (2, "G", "GG", (0, 3, 0, "G")),
            (10, "A", "ACA", (3, 11, 0, "CA")),
            (3, "CACA", "TGT", (3, 3, 4, "TGT")),
            (3, "C", "C", (3, 3, 0, "")),
            (0, "GGG", "G", (0, 1, 2, "")),
            (11, "GGG", "GG", (11, 13, 1, "")),
        ] {
            let (start_of, last, removed, inserted) = expected;
            let found = normalized(genome, start, reference, alternative);
            assert_eq!(found, (start_of, last, removed, inserted.to_owned()), "{start} {reference} {alternative}");
        }
        // Unknown bases are not the same as one another.
        assert_eq!(normalized("ANNNA", 2, "N", ""), (2, 2, 1, String::new()));
    }

    #[test]
    fn what_leaves_the_piece_has_to_be_read() {
        let codes = encoded("AAAAAA");
        let of = |from, end| Normalized::of(12, &encoded("A"), &[], &Piece { codes: &codes, from, end });
        assert_eq!([of(10, 16).err(), of(0, 99).err()], [Some(NotRead), Some(NotRead)]);
    }

    /// The chromosome with `reference` at `start` replaced.
    fn changed(genome: &[u8], start: usize, removed: usize, inserted: &[u8]) -> Vec<u8> {
        [&genome[..start], inserted, &genome[start + removed..]].concat()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn every_way_to_write_an_indel_has_the_same_form(
            genome in prop::collection::vec(0u8..3, 12..40),
            inserted in prop::collection::vec(0u8..3, 0..5),
            removed in 0usize..5,
            at in 0usize..1000,
        ) {
            let start = at % (genome.len() - removed);
            let haplotype = changed(&genome, start, removed, &inserted);
            let piece = Piece { codes: &genome, from: 0, end: genome.len() };
            let expected = Normalized::of(start, &genome[start..start + removed], &inserted, &piece).unwrap();
            let by_form: Vec<u8> = (0..haplotype.len()).map(|at| expected.base(at, &piece).unwrap()).collect();
            prop_assert_eq!(&by_form, &haplotype);
            // Every record that replaces some bases and gives the same chromosome, as any program may write it.
            let gain = haplotype.len() as i64 - genome.len() as i64;
            let mut ways = 0;
            for from in 0..genome.len() {
                for length in 0..=(genome.len() - from).min(12) {
                    let Ok(other) = usize::try_from(length as i64 + gain) else { continue };
                    let Some(alternative) = haplotype.get(from..from + other) else { continue };
                    if changed(&genome, from, length, alternative) == haplotype {
                        let found = Normalized::of(from, &genome[from..from + length], alternative, &piece).unwrap();
                        if gain != 0 || haplotype != genome {
                            prop_assert_eq!(&found, &expected, "{} {}", from, length);
                        }
                        ways += 1;
                    }
                }
            }
            prop_assert!(ways > 0);
            // Parsimonious, and neither further to the left nor to the right.
            if expected.removed > 0 && !expected.inserted.is_empty() {
                prop_assert_ne!(genome[expected.start], expected.inserted[0]);
                prop_assert_ne!(genome[expected.start + expected.removed - 1], *expected.inserted.last().unwrap());
            }
        }
    }
}
