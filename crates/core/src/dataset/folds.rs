//! Folds: into which part each unit of what stays together is dealt, and what each fold trains, validates and tests on.

mod file;
mod plan;

use std::cmp::Ordering;

use crate::dataset::split::Split;
use crate::genome::names::same_name;

pub use crate::dataset::folds::file::{FoldLists, write};
pub(crate) use crate::dataset::folds::plan::check_enough;
pub use crate::dataset::folds::plan::{Counts, FoldPlan, Survey, plan, resolve};

/// Examples that stay together.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// Examples.
    pub n: u64,
    /// Of each class, or positives of each label; empty where there are none.
    pub of_classes: Vec<u64>,
    /// Orders units of one size, whatever order the examples came in.
    pub key: u64,
    /// The part that it belongs to, where that is not left open.
    pub part: Option<usize>,
}

/// Deals units to parts of these shares of all examples, so that each has its share of all examples and of each class: the largest
/// unit first, each to the part that is the furthest behind.
pub fn deal(units: &[Unit], shares: &[f64]) -> Vec<usize> {
    let width = units.iter().map(|unit| unit.of_classes.len()).max().unwrap_or(0);
    // All examples count like a class of their own.
    let counts = |unit: &Unit| -> Vec<f64> {
        let of_classes = (0..width).map(|class| unit.of_classes.get(class).copied().unwrap_or(0));
        std::iter::once(unit.n).chain(of_classes).map(|count| count as f64).collect()
    };
    let mut totals = vec![0.0; width + 1];
    for unit in units {
        totals.iter_mut().zip(counts(unit)).for_each(|(total, count)| *total += count);
    }
    let mut order: Vec<usize> = (0..units.len()).collect();
    order.sort_by_key(|&i| {
        let Unit { n, of_classes, key, part } = &units[i];
        (part.is_none(), std::cmp::Reverse(*n), std::cmp::Reverse(of_classes.clone()), *key)
    });
    let mut loads = vec![vec![0.0; width + 1]; shares.len()];
    let mut parts = vec![0; units.len()];
    for i in order {
        let own = counts(&units[i]);
        // How much the sum of squares over shares grows, which is least where all have their share.
        let growth = |part: usize| -> f64 {
            let each = own.iter().zip(&loads[part]).zip(&totals).filter(|(_, total)| **total > 0.0);
            each.map(|((own, load), total)| own * (2.0 * load + own) / total).sum::<f64>() / shares[part]
        };
        let dealt = (0..shares.len()).filter(|&part| shares[part] > 0.0);
        let chosen = dealt.min_by(|&a, &b| growth(a).total_cmp(&growth(b)).then(a.cmp(&b))).unwrap_or(0);
        let part = units[i].part.unwrap_or(chosen);
        loads[part].iter_mut().zip(own).for_each(|(load, own)| *load += own);
        parts[i] = part;
    }
    parts
}

/// What a part is for in a fold: part K is tested on in fold K, part K + 1 (after the last, the first) validated on.
pub fn split_of_part(part: usize, fold: usize, parts: usize) -> Split {
    match part {
        _ if part == fold => Split::Test,
        _ if part == (fold + 1) % parts.max(1) => Split::Valid,
        _ => Split::Train,
    }
}

/// The order of names of chromosomes and parts: numbers ascending, then others by the alphabet, numbers within them ascending.
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (a, b) = (same_name(a), same_name(b));
    let whole = |name: &str| name.parse::<u64>().ok();
    match (whole(a), whole(b)) {
        (Some(x), Some(y)) => x.cmp(&y),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => pieces(a).cmp(&pieces(b)).then(a.cmp(b)),
    }
}

/// Letters and numbers of a name in turn; the numbers are padded so that they sort as text.
fn pieces(name: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for letter in name.chars() {
        let continues = found
            .last()
            .and_then(|piece| piece.chars().last())
            .is_some_and(|last| last.is_ascii_digit() == letter.is_ascii_digit());
        match found.last_mut().filter(|_| continues) {
            Some(piece) => piece.push(letter),
            None => found.push(letter.into()),
        }
    }
    let padded = |piece: String| if piece.as_bytes()[0].is_ascii_digit() { format!("{piece:0>20}") } else { piece };
    found.into_iter().map(padded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    fn unit(n: u64, of_classes: &[u64], key: u64) -> Unit {
        Unit { n, of_classes: of_classes.to_vec(), key, part: None }
    }

    #[test]
    fn parts_are_of_like_size_and_of_like_classes() {
        // Units of one example each, a tenth of them positive.
        let single: Vec<Unit> = (0..1003u64)
            .map(|i| unit(1, if i % 10 == 0 { &[1, 0] } else { &[0, 1] }, random::hash(&i.to_le_bytes())))
            .collect();
        let parts = deal(&single, &[1.0; 5]);
        for part in 0..5 {
            let of = |class: usize| (0..1003).filter(|&i| parts[i] == part && single[i].of_classes[class] == 1).count();
            assert!((20..=21).contains(&of(0)) && (180..=181).contains(&of(1)), "{} {}", of(0), of(1));
        }
        // Chromosomes of human, in Mb.
        let lengths = [
            248, 242, 198, 190, 182, 171, 159, 145, 138, 134, 135, 133, 114, 107, 102, 90, 83, 80, 59, 64, 47, 51, 156,
            57,
        ];
        let chromosomes: Vec<Unit> =
            lengths.iter().zip(0..).map(|(&n, key)| unit(n, &[n / 2, n - n / 2], key)).collect();
        let parts = deal(&chromosomes, &[1.0; 5]);
        let sizes: Vec<u64> =
            (0..5).map(|part| (0..24).filter(|&i| parts[i] == part).map(|i| lengths[i]).sum()).collect();
        assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() < 60, "{sizes:?}");
    }

    #[test]
    fn shares_are_kept_and_what_is_fixed_stays() {
        let units: Vec<Unit> = (0..1000u64).map(|i| unit(1, &[], i)).collect();
        let parts = deal(&units, &[0.8, 0.1, 0.1]);
        let count = |part: usize| parts.iter().filter(|&&found| found == part).count();
        assert_eq!([count(0), count(1), count(2)], [800, 100, 100]);
        assert!(deal(&units, &[0.9, 0.0, 0.1]).iter().all(|&part| part != 1));
        let mut fixed = units.clone();
        fixed[3].part = Some(2);
        fixed[4].part = Some(0);
        let parts = deal(&fixed, &[1.0; 3]);
        assert_eq!((parts[3], parts[4]), (2, 0));
        assert_eq!(deal(&[], &[1.0; 3]), [0; 0]);
    }

    #[test]
    fn the_order_of_units_changes_nothing() {
        let mut units: Vec<Unit> =
            (0..200u64).map(|i| unit(1 + i % 7, &[i % 3, 1], random::hash(&i.to_le_bytes()))).collect();
        let forward = deal(&units, &[1.0; 4]);
        units.reverse();
        let mut backward = deal(&units, &[1.0; 4]);
        backward.reverse();
        assert_eq!(forward, backward);
    }

    #[test]
    fn each_part_is_tested_once_and_validated_once() {
        for parts in 3..7 {
            for part in 0..parts {
                let splits: Vec<Split> = (0..parts).map(|fold| split_of_part(part, fold, parts)).collect();
                let count = |split| splits.iter().filter(|&&found| found == split).count();
                assert_eq!((count(Split::Test), count(Split::Valid)), (1, 1));
                assert_eq!(splits[part], Split::Test);
            }
        }
        assert_eq!(split_of_part(0, 4, 5), Split::Valid);
    }

    #[test]
    fn names_are_in_the_order_people_expect() {
        let mut names = ["chrX", "chr10", "chr2", "chr1", "scaffold_10", "scaffold_9", "chrM"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["chr1", "chr2", "chr10", "chrM", "chrX", "scaffold_9", "scaffold_10"]);
    }
}
