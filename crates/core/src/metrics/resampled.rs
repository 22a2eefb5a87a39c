//! The corrected resampled t-test (Nadeau and Bengio, 2003): whether two methods differ over the folds of one set of examples,
//! whose training sets overlap.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A difference over folds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResampledTest {
    /// Mean of the differences.
    pub mean: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// Student's t.
    pub t: f64,
    /// Two-sided p-value of the hypothesis that there is no difference.
    pub p_value: f64,
    /// Folds less one.
    pub degrees_of_freedom: usize,
}

/// Compares by the differences of each fold, the mean of whose variance is not 1 / folds but 1 / folds + `test_share`: examples that
/// are tested over examples that are trained on, in each fold. `None` for fewer than two folds, or differences that are all equal.
pub fn resampled_t_test(differences: &[f64], test_share: f64) -> Option<ResampledTest> {
    let folds = differences.len();
    if folds < 2 {
        return None;
    }
    let n = folds as f64;
    let mean = differences.iter().sum::<f64>() / n;
    let variance = differences.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let error = (variance * (1.0 / n + test_share)).sqrt();
    let largest = differences.iter().fold(0.0, |largest: f64, difference| largest.max(difference.abs()));
    // Differences that are equal but for rounding tell nothing of their spread.
    if error.is_nan() || error <= 1e-12 * largest {
        return None;
    }
    let students = StudentsT::new(0.0, 1.0, n - 1.0).ok()?;
    let (t, margin) = (mean / error, students.inverse_cdf(0.975) * error);
    let p_value = two_sided(t, &students);
    Some(ResampledTest { mean, low: mean - margin, high: mean + margin, t, p_value, degrees_of_freedom: folds - 1 })
}

/// The probability of Student's t being as far from 0 as this, or farther.
fn two_sided(t: f64, students: &StudentsT) -> f64 {
    (2.0 * students.cdf(-t.abs())).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_t_is_that_of_the_tables() {
        // scipy.stats.t.sf(t, degrees) * 2, version 1.17.1.
        for (t, degrees, expected) in [
            (0.0, 4.0, 1.0),
            (1.0, 1.0, 0.5),
            (2.776_445_105_197_793, 4.0, 0.05),
            (-2.0, 9.0, 0.076_552_823_770_7),
            (10.0, 4.0, 0.000_562_003_622_7),
            (0.1, 23.0, 0.921_210_874_166_4),
        ] {
            let found = two_sided(t, &StudentsT::new(0.0, 1.0, degrees).unwrap());
            assert!((found - expected).abs() < 1e-9, "{t} {degrees}: {found}");
        }
    }

    #[test]
    fn the_variance_is_corrected_for_training_sets_that_overlap() {
        let differences = [0.01, 0.03, 0.02, 0.05, 0.0];
        let plain = resampled_t_test(&differences, 0.0).unwrap();
        let corrected = resampled_t_test(&differences, 0.25).unwrap();
        // By hand: the mean is 0.022, the variance 0.00037.
        assert!((plain.t - 0.022 / (0.00037f64 / 5.0).sqrt()).abs() < 1e-9);
        assert!((corrected.t - 0.022 / (0.00037f64 * 0.45).sqrt()).abs() < 1e-9);
        assert!(corrected.p_value > plain.p_value && corrected.low < plain.low && corrected.high > plain.high);
        // scipy.stats.t.ppf(0.975, 4), version 1.17.1.
        let margin = 2.776_445_105_197_793 * (0.00037f64 * 0.45).sqrt();
        assert!((corrected.high - corrected.mean - margin).abs() < 1e-9);
        assert_eq!(resampled_t_test(&[0.1], 0.25), None);
        assert_eq!(resampled_t_test(&[0.1, 0.1, 0.1], 0.25), None);
    }
}
