//! In-silico mutagenesis: the effect of every single-base substitution on an output, by scoring each mutant.

use std::ops::Range;

use anyhow::Result;

use crate::attribute::target::Explainer;
use crate::scorer;

/// Effect of each substitution on the target, `[4, length]`: the target of the mutant minus that of the sequence,
/// `score`. The entry of the base itself is 0; an unknown base can be replaced by any.
///
/// # Errors
/// As `Explainer::score`.
pub fn changes(explainer: &Explainer, codes: &[u8], score: f64) -> Result<Vec<f32>> {
    changes_within(explainer, codes, score, 0..codes.len())
}

/// The same of substitutions within some positions; 0 at all others.
///
/// # Errors
/// As `Explainer::score`.
pub fn changes_within(explainer: &Explainer, codes: &[u8], score: f64, positions: Range<usize>) -> Result<Vec<f32>> {
    let length = codes.len();
    let substitutions: Vec<(usize, u8)> = positions
        .flat_map(|position| (0..4).map(move |base| (position, base)))
        .filter(|&(position, base)| codes[position] != base)
        .collect();
    let mut changes = vec![0.0; 4 * length];
    let mut mutants = Vec::new();
    for batch in substitutions.chunks(scorer::batch_size(length)) {
        mutants.clear();
        for &(position, base) in batch {
            mutants.extend_from_slice(codes);
            let start = mutants.len() - length;
            mutants[start + position] = base;
        }
        for (&(position, base), mutant) in batch.iter().zip(explainer.score(&mutants)?) {
            changes[usize::from(base) * length + position] = (mutant - score) as f32;
        }
    }
    Ok(changes)
}

/// Importance of each base, `[length]`: the mean loss of the target when the base is replaced by one of the other
/// three. 0 for unknown bases.
pub fn importance(codes: &[u8], changes: &[f32]) -> Vec<f32> {
    let length = codes.len();
    let of = |(position, &code): (usize, &u8)| {
        if code > 3 { 0.0 } else { -(0..4).map(|base| changes[base * length + position]).sum::<f32>() / 3.0 }
    };
    codes.iter().enumerate().map(of).collect()
}
