//! How many unknown bases (N) a window may hold to be scored: what training never saw has no meaningful score.

use crate::sequence::alphabet;

/// The most unknown bases of a window that is scored. A window without a known base never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownLimit {
    /// In bases; none where a run does not say what it was trained under.
    most: Option<usize>,
}

impl UnknownLimit {
    /// Any number, as long as a base is known.
    pub const NONE: Self = Self { most: None };

    /// Up to `most` unknown bases.
    pub fn of(most: usize) -> Self {
        Self { most: Some(most) }
    }

    /// Up to `most` unknown bases, or any number.
    pub fn up_to(most: Option<usize>) -> Self {
        Self { most }
    }

    /// The most unknown bases, if they are limited.
    pub fn most(self) -> Option<usize> {
        self.most
    }

    /// What to warn of where the run does not say what it was trained under.
    pub fn warning(self) -> Option<&'static str> {
        self.most.is_none().then_some(
            "the run does not say how many unknown bases (N) its training examples hold, as it was imported or made by an earlier strandnet, so sequences with any number are scored; --max-n sets a limit",
        )
    }

    /// Whether codes, with or without case, hold too many unknown bases to be scored. Padding must not be among them.
    pub fn is_exceeded_by(self, codes: &[u8]) -> bool {
        let unknown = codes.iter().filter(|&&code| alphabet::is_unknown(code)).count();
        unknown > 0 && (unknown == codes.len() || self.most.is_some_and(|most| unknown > most))
    }

    /// What a window that is not scored holds, as the end of a sentence.
    pub fn describe(self) -> String {
        match self.most {
            Some(most) => format!("more than {most} unknown bases (--max-n)"),
            None => "no known base".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_window_is_scored_up_to_the_limit_and_never_without_a_known_base(
            codes in prop::collection::vec(0u8..5, 1..40),
            most in prop::option::of(0usize..45),
        ) {
            let unknown = codes.iter().filter(|&&code| code == 4).count();
            let expected = unknown <= most.unwrap_or(usize::MAX) && unknown < codes.len();
            let limit = most.map_or(UnknownLimit { most: None }, UnknownLimit::of);
            prop_assert_eq!(!limit.is_exceeded_by(&codes), expected);
            let with_case: Vec<u8> = codes.iter().map(|code| code | alphabet::SOFT_MASKED).collect();
            prop_assert_eq!(!limit.is_exceeded_by(&with_case), expected);
        }
    }
}
