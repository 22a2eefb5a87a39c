//! Which positions of a window with an allele in it are which of the window of the reference, so that profiles along both can be
//! compared.

/// Where a change lies in the window of the reference and in one of the alternative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// Position of the change in the window of the reference; windows at the end of a chromosome may lie beside it.
    pub reference: i64,
    /// Position of the change in the window of the alternative.
    pub alternative: i64,
    /// Number of reference bases that are replaced.
    pub removed: usize,
    /// Number of bases instead of them.
    pub inserted: usize,
}

impl Alignment {
    /// Pairs of positions, of the reference and of the alternative, along the middle `covered` of the `length` bp of each window that
    /// are the same base of the chromosome, ascending. Bases that replace as many others are paired with them; where the length
    /// changes, the bases that are removed have no partner, nor have those that are inserted.
    ///
    /// # Panics
    /// More is covered than there is.
    pub fn common(&self, length: usize, covered: usize) -> Vec<(usize, usize)> {
        let before = (length - covered) as i64 / 2;
        let [reference, alternative] = [self.reference, self.alternative].map(|position| position - before);
        let covered = covered as i64;
        let block = |from: i64, to: i64, shift: i64| {
            let from = from.max(0).max(-shift);
            let to = to.min(covered).min(covered - shift);
            (from..to).map(move |at| (at as usize, (at + shift) as usize))
        };
        let ahead = alternative - reference;
        if self.removed == self.inserted {
            return block(0, covered, ahead).collect();
        }
        let (removed, inserted) = (self.removed as i64, self.inserted as i64);
        let behind = block(reference + removed, covered, ahead + inserted - removed);
        block(0, reference, ahead).chain(behind).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pairs as letters of two windows of 12 bp, of which the middle 8 are covered.
    fn paired(one: &str, other: &str, alignment: Alignment) -> (String, String) {
        let pairs = alignment.common(12, 8);
        let letters = |text: &str, at: &dyn Fn(&(usize, usize)) -> usize| -> String {
            pairs.iter().map(|pair| char::from(text.as_bytes()[2 + at(pair)])).collect()
        };
        (letters(one, &|pair| pair.0), letters(other, &|pair| pair.1))
    }

    #[test]
    fn what_both_alleles_have_is_paired_and_nothing_else() {
        let of = |reference, alternative, removed, inserted| Alignment { reference, alternative, removed, inserted };
        // A substitution stays in.
        assert_eq!(
            paired("abcdefghijkl", "abcdefXhijkl", of(6, 6, 1, 1)),
            ("cdefghij".into(), "cdefXhij".into()),
            "bases stand for those that they replace"
        );
        // XY inserted before g, in windows that begin alike and that end alike.
        assert_eq!(
            paired("abcdefghijkl", "abcdefXYghij", of(6, 6, 0, 2)),
            ("cdefgh".into(), "cdefgh".into()),
            "of the reference, i and j are out of the other's profile"
        );
        assert_eq!(paired("abcdefghijkl", "cdefXYghijkl", of(6, 4, 0, 2)), ("efghij".into(), "efghij".into()));
        // g and h removed.
        assert_eq!(paired("abcdefghijkl", "abcdefijklmn", of(6, 6, 2, 0)), ("cdefij".into(), "cdefij".into()));
        assert_eq!(paired("abcdefghijkl", "..abcdefijkl", of(6, 8, 2, 0)), ("cdefij".into(), "cdefij".into()));
        // g and h replaced by X.
        assert_eq!(paired("abcdefghijkl", "abcdefXijklm", of(6, 6, 2, 1)), ("cdefij".into(), "cdefij".into()));
        // More than the profile is removed, and a change beside it.
        assert_eq!(of(1, 1, 10, 0).common(12, 8), []);
        assert_eq!(paired("abcdefghijkl", "abcdefghijXk", of(10, 10, 0, 1)), ("cdefghij".into(), "cdefghij".into()));
        assert_eq!(paired("abcdefghijkl", "XabcdefghijY", of(-3, -3, 0, 1)), ("cdefghi".into(), "cdefghi".into()));
    }
}
