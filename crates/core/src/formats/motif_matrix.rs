//! Rows of numbers as a motif: which way round they stand, and whether they are counts, probabilities or neither.

use crate::formats::meme::WIDEST_BP;
use crate::sequence::motif::Motif;

/// Tolerance of the sum of probabilities of a position, since files are rounded.
const ROUNDING: f64 = 0.02;

/// Tolerance below which a sum differs from 1 by rounding error only.
const EXACT: f64 = 1e-9;

/// Which way round a matrix stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// A row for each base, in the order A, C, G, T.
    RowsOfBases,
    /// A row for each position.
    RowsOfPositions,
}

/// The layouts that rows of numbers may have; those of a matrix of four by four are told by what adds up.
pub(super) fn layouts(rows: &[Vec<f64>]) -> Vec<Layout> {
    let width = rows.first().map_or(0, Vec::len);
    if width == 0 || rows.iter().any(|row| row.len() != width) {
        return Vec::new();
    }
    match (rows.len(), width) {
        (4, 4) => {
            let totals = |of: &dyn Fn(usize, usize) -> f64| (0..4).map(|i| (0..4).map(|j| of(i, j)).sum()).collect();
            let (across, down): (Vec<f64>, Vec<f64>) = (totals(&|i, j| rows[i][j]), totals(&|i, j| rows[j][i]));
            let are_equal = |totals: &[f64]| {
                let largest = totals.iter().fold(0.0f64, |a, b| a.max(b.abs()));
                totals.iter().all(|sum| (sum - totals[0]).abs() <= ROUNDING * largest)
            };
            match (are_equal(&across), are_equal(&down)) {
                (true, false) => vec![Layout::RowsOfPositions],
                (false, true) => vec![Layout::RowsOfBases],
                _ => vec![Layout::RowsOfBases, Layout::RowsOfPositions],
            }
        }
        (4, _) => vec![Layout::RowsOfBases],
        (_, 4) => vec![Layout::RowsOfPositions],
        _ => Vec::new(),
    }
}

/// The numbers of each position, from rows of a layout they may have.
pub(super) fn positions(rows: &[Vec<f64>], layout: Layout) -> Vec<[f64; 4]> {
    match layout {
        Layout::RowsOfPositions => rows.iter().map(|row| [row[0], row[1], row[2], row[3]]).collect(),
        Layout::RowsOfBases => (0..rows[0].len()).map(|i| [rows[0][i], rows[1][i], rows[2][i], rows[3][i]]).collect(),
    }
}

/// A motif of counts or probabilities, `[width, 4]`. Of counts, the number of sites is the largest of any position; a
/// position without any count is uniform.
///
/// # Errors
/// There are no positions or too many, or the numbers are neither counts nor probabilities; the text is the rest of a
/// sentence that begins with the motif.
pub(super) fn motif(id: String, name: String, positions: &[[f64; 4]]) -> Result<Motif, String> {
    if !(1..=WIDEST_BP).contains(&positions.len()) {
        return Err(format!("has {} positions, expected 1 to {WIDEST_BP}; fix or remove it", positions.len()));
    }
    let all = || positions.iter().flatten();
    if all().any(|number| *number < 0.0) {
        return Err("holds numbers below 0, as log-odds (pwm, pssm) do, expected counts or probabilities; use the file of those (pcm, pfm or ppm)".into());
    }
    let totals: Vec<f64> = positions.iter().map(|position| position.iter().sum()).collect();
    let largest = totals.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 || !largest.is_finite() {
        return Err("has no number above 0, expected counts or probabilities; remove it".into());
    }
    let are_probabilities = totals.iter().all(|sum| *sum == 0.0 || (sum - 1.0).abs() <= ROUNDING);
    // A position holds at most two bits.
    let are_whole = all().all(|number| number.fract() == 0.0);
    if !are_probabilities && !are_whole && largest <= 2.0 + ROUNDING {
        return Err(format!(
            "has positions that add up to {} or less and not to 1, as information contents do, expected counts or probabilities; fix or remove it",
            crate::format::three_digits(largest)
        ));
    }
    let share = |(position, sum): (&[f64; 4], &f64)| match *sum {
        0.0 => [0.25; 4],
        sum if (sum - 1.0).abs() <= EXACT => *position,
        sum => position.map(|number| number / sum),
    };
    let columns = positions.iter().zip(&totals).map(share).collect();
    let sites = if are_probabilities { 0 } else { largest.round() as u64 };
    Ok(Motif { id, name, columns, sites })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(positions: &[[f64; 4]]) -> Result<Motif, String> {
        motif("m".into(), String::new(), positions)
    }

    #[test]
    fn counts_and_probabilities_are_told_apart() {
        let counts = of(&[[3.0, 1.0, 0.0, 0.0], [0.0; 4], [0.5, 0.5, 1.0, 0.0]]).unwrap();
        assert_eq!(counts.columns, [[0.75, 0.25, 0.0, 0.0], [0.25; 4], [0.25, 0.25, 0.5, 0.0]]);
        assert_eq!(counts.sites, 4);
        let probabilities = of(&[[0.3, 0.3, 0.3, 0.1], [0.333, 0.333, 0.333, 0.0], [0.0; 4]]).unwrap();
        assert_eq!((probabilities.columns[0], probabilities.sites), ([0.3, 0.3, 0.3, 0.1], 0));
        assert!((probabilities.columns[1].iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(of(&[[1.0, 0.0, 0.0, 0.0]; 3]).unwrap().sites, 0, "a word is as good as its probabilities");
        assert_eq!(of(&[[50.0, 50.0, 0.0, 0.0]; 3]).unwrap().columns[0][0], 0.5, "per cent");
    }

    #[test]
    fn what_is_neither_says_what_it_is_like() {
        for (positions, expected) in [
            (&[[1.2, -3.0, -3.0, -3.0]][..], "as log-odds"),
            (&[[1.6, 0.0, 0.0, 0.1], [0.1, 0.1, 0.0, 0.0]], "as information contents do"),
            (&[[0.3, 0.3, 0.0, 0.0]], "as information contents do"),
            (&[[0.0; 4]; 2], "has no number above 0"),
            (&[], "has 0 positions"),
            (&[[1.0; 4]; 101], "has 101 positions"),
            (&[[f64::MAX; 4]], "has no number"),
        ] {
            let error = of(positions).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn four_by_four_is_told_by_what_adds_up() {
        let rows = |rows: [[f64; 4]; 4]| rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>();
        let positions = [[9.0, 1.0, 0.0, 0.0], [8.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 10.0], [0.0, 0.0, 0.0, 10.0]];
        assert_eq!(layouts(&rows(positions)), [Layout::RowsOfPositions]);
        let transposed: [[f64; 4]; 4] = std::array::from_fn(|i| std::array::from_fn(|j| positions[j][i]));
        assert_eq!(layouts(&rows(transposed)), [Layout::RowsOfBases]);
        let word = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        assert_eq!(layouts(&rows(word)).len(), 2);
        assert_eq!(layouts(&[vec![1.0; 4], vec![1.0; 3]]), []);
        assert_eq!(layouts(&vec![vec![1.0; 5]; 5]), []);
    }
}
