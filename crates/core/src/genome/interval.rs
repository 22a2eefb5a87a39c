//! Positions in a genome: intervals refer to a chromosome by index, places by name. All are 0-based and half-open.

use std::ops::Range;
use std::sync::Arc;

/// Upper limit of positions, in bp: the longest chromosomes known have a few thousand million bases.
pub const LONGEST_CHROMOSOME: usize = 1 << 34;

/// A stretch of one strand of a chromosome, 0-based and half-open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of the chromosome.
    pub chromosome: Arc<str>,
    /// Positions in bp on the forward strand, 0-based and half-open.
    pub range: Range<usize>,
    /// Whether the sequence is that of the minus strand.
    pub reverse: bool,
}

/// An interval of a chromosome, 0-based and half-open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Index of the chromosome in [`Genome::chromosomes`](super::Genome::chromosomes).
    pub chromosome: usize,
    /// Positions in bp, 0-based and half-open.
    pub range: Range<usize>,
}

/// Subtracts `excluded` from intervals. Both are sorted by chromosome and start; excluded intervals may overlap.
pub fn without(intervals: &[Interval], excluded: &[Interval]) -> Vec<Interval> {
    let mut left = Vec::new();
    for Interval { chromosome, range } in intervals {
        let mut start = range.start;
        let first = excluded.partition_point(|other| other.chromosome < *chromosome);
        for other in &excluded[first..] {
            if other.chromosome != *chromosome || other.range.start >= range.end {
                break;
            }
            if other.range.start > start {
                left.push(Interval { chromosome: *chromosome, range: start..other.range.start });
            }
            start = start.max(other.range.end);
        }
        if start < range.end {
            left.push(Interval { chromosome: *chromosome, range: start..range.end });
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_excluded_is_left_out_and_nothing_else(
            whole in prop::collection::vec((0usize..200, 1usize..60), 1..4),
            excluded in prop::collection::vec((0usize..3, 0usize..200, 1usize..30), 0..12),
        ) {
            let whole: Vec<Interval> = whole.iter().enumerate()
                .map(|(chromosome, &(start, length))| Interval { chromosome, range: start..start + length }).collect();
            let mut excluded: Vec<Interval> = excluded.into_iter()
                .map(|(chromosome, start, length)| Interval { chromosome, range: start..start + length }).collect();
            excluded.sort_by_key(|interval| (interval.chromosome, interval.range.start));
            let left = without(&whole, &excluded);
            let covers = |intervals: &[Interval], c: usize, base: usize| intervals.iter().any(|i| i.chromosome == c && i.range.contains(&base));
            for chromosome in 0..4 {
                for base in 0..270 {
                    let expected = covers(&whole, chromosome, base) && !covers(&excluded, chromosome, base);
                    prop_assert_eq!(covers(&left, chromosome, base), expected);
                }
            }
        }
    }
}
