//! The learning-rate range test (Smith, 2017): the rate rises from step to step until training diverges, and the curve
//! of the loss shows which rates are suitable. Plain numbers; `train::range` does the steps.

/// Decay of the moving average that detects divergence: about the last ten steps.
const DECAY: f64 = 0.9;

/// The test ends when that average is this many times its minimum.
const RUINED: f64 = 4.0;

/// The loss is smoothed by a running median whose half-width is the number of steps divided by this: a median neither
/// lags nor follows the few steps in which the loss diverges.
const SMOOTHED_OVER: usize = 40;

/// Smallest half-width of the median, in steps, so that it is over nine.
const LEAST_EITHER_WAY: usize = 4;

/// Share of the steps over which a slope is measured.
const SLOPE_OVER: usize = 10;

/// Smallest decrease of the smoothed loss, from the maximum before its minimum, that counts as learning.
const LEAST_FALL: f64 = 0.01;

/// The same in standard errors of the smoothed loss. For pure noise the extremes differ by more in one test of 500
/// (simulated with 50 to 1,000 steps of normal noise).
const LEAST_FALL_IN_ERRORS: f64 = 8.0;

/// Loss as a function of the learning rate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Rate and loss of each step, on its batch.
    pub steps: Vec<(f64, f64)>,
    average: f64,
    best: Option<f64>,
}

/// Result of a range test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suggestion {
    /// Rate of least smoothed loss.
    pub least: f64,
    /// A tenth of that: the suggested rate.
    pub rate: f64,
    /// Rate of steepest decrease of the smoothed loss.
    pub steepest: f64,
    /// Whether the loss was still decreasing at the end.
    pub still_falling: bool,
}

/// Rates from `from` to `to` as a geometric sequence.
pub fn rates(from: f64, to: f64, steps: usize) -> Vec<f64> {
    let last = steps.max(2) - 1;
    (0..=last).map(|step| from * (to / from).powf(step as f64 / last as f64)).collect()
}

impl Curve {
    /// Adds a step; returns whether to continue.
    pub fn push(&mut self, rate: f64, loss: f64) -> bool {
        if !loss.is_finite() {
            return false;
        }
        self.steps.push((rate, loss));
        self.average = DECAY * self.average + (1.0 - DECAY) * loss;
        // A moving average that starts at zero is biased (Kingma and Ba, 2015, section 3).
        let average = self.average / (1.0 - DECAY.powi(self.steps.len() as i32));
        let best = self.best.map_or(average, |best| best.min(average));
        self.best = Some(best);
        average <= RUINED * best.max(1e-3) // a loss of nothing is not ruined by a little more
    }

    /// The smoothed loss of each step; `steps` is the number planned.
    pub fn smoothed(&self, steps: usize) -> Vec<f64> {
        let either_way = either_way(steps);
        let losses: Vec<f64> = self.steps.iter().map(|(_, loss)| *loss).collect();
        (0..losses.len())
            .map(|i| median(&losses[i.saturating_sub(either_way)..(i + either_way + 1).min(losses.len())]))
            .collect()
    }

    /// The suggested rate; `None` if the loss did not decrease significantly.
    pub fn suggestion(&self, steps: usize) -> Option<Suggestion> {
        let smoothed = self.smoothed(steps);
        // The last of equals: before a sudden rise a median stays constant over half its width.
        let least = (0..smoothed.len()).rev().min_by(|&a, &b| smoothed[a].total_cmp(&smoothed[b]))?;
        let highest = smoothed[..least].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let needed = (LEAST_FALL * highest.abs()).max(LEAST_FALL_IN_ERRORS * self.standard_error(steps));
        if highest - smoothed[least] < needed {
            return None;
        }
        // Rates are a geometric sequence, so a difference over a fixed number of steps is a slope in the logarithm of
        // the rate.
        let span = (steps / SLOPE_OVER).clamp(1, least);
        let fall = |end: &usize| smoothed[*end] - smoothed[end - span];
        let end = (span..=least).min_by(|a, b| fall(a).total_cmp(&fall(b)))?;
        let still_falling = self.steps.len() == steps && least + either_way(steps) >= steps - 1;
        let rate_at = |step: usize| self.steps[step].0;
        Some(Suggestion {
            least: rate_at(least),
            rate: rate_at(least) / 10.0,
            steepest: rate_at(end - span / 2),
            still_falling,
        })
    }

    /// Standard error of the smoothed loss, from the differences between consecutive steps.
    fn standard_error(&self, steps: usize) -> f64 {
        let distances: Vec<f64> = self.steps.windows(2).map(|two| (two[1].1 - two[0].1).abs()).collect();
        let window = (2 * either_way(steps) + 1) as f64;
        // For normal noise, 1.48 median absolute differences are root two standard deviations, and the standard error
        // of a median is 1.25 times that of a mean.
        1.48 * 1.25 * median(&distances) / (2.0 * window).sqrt()
    }

    /// The curve as CSV.
    pub fn to_csv(&self, steps: usize) -> Vec<u8> {
        let rows = self.steps.iter().zip(self.smoothed(steps));
        let rows = rows.map(|((rate, loss), smoothed)| format!("{rate},{loss},{smoothed}\n"));
        std::iter::once("rate,loss,smoothed\n".to_owned()).chain(rows).collect::<String>().into_bytes()
    }
}

/// Half-width of the median, in steps.
fn either_way(steps: usize) -> usize {
    (steps / SMOOTHED_OVER).max(LEAST_EITHER_WAY)
}

/// Median, 0 for an empty slice.
fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A loss that stays, falls from a rate of 1e-4 on, and rises beyond 0.1.
    fn typical(rate: f64) -> f64 {
        let log = rate.log10();
        match log {
            _ if log < -4.0 => 0.7,
            _ if log < -1.0 => 0.7 - 0.15 * (log + 4.0),
            _ => 0.25 + 4.0 * (log + 1.0),
        }
    }

    fn curve(loss: impl Fn(f64) -> f64, from: f64, to: f64) -> (Curve, usize) {
        let mut curve = Curve::default();
        let stopped = rates(from, to, 200).into_iter().position(|rate| !curve.push(rate, loss(rate)));
        (curve, stopped.unwrap_or(200))
    }

    #[test]
    fn rates_rise_in_equal_ratios_from_end_to_end() {
        let rates = rates(1e-7, 10.0, 200);
        assert_eq!((rates.len(), rates[0]), (200, 1e-7));
        assert!((rates[199] - 10.0).abs() < 1e-9);
        assert!(rates.windows(2).all(|two| (two[1] / two[0] - rates[1] / rates[0]).abs() < 1e-9));
    }

    #[test]
    fn the_test_stops_where_training_falls_apart_and_suggests_a_rate_below() {
        let (curve, stopped) = curve(typical, 1e-7, 10.0);
        assert!((150..200).contains(&stopped), "{stopped}");
        let found = curve.suggestion(200).unwrap();
        assert!((0.05..0.2).contains(&found.least), "{found:?}");
        assert!((found.rate * 10.0 - found.least).abs() < 1e-12 && !found.still_falling);
        assert!((1e-4..0.1).contains(&found.steepest), "{found:?}");
        let text = String::from_utf8(curve.to_csv(200)).unwrap();
        assert!(text.starts_with("rate,loss,smoothed\n") && text.lines().count() == curve.steps.len() + 1);
    }

    #[test]
    fn odd_curves_are_told_apart() {
        assert_eq!(curve(|_| 0.7, 1e-7, 10.0).0.suggestion(200), None);
        assert_eq!(curve(|rate| 0.7 + rate, 1e-7, 10.0).0.suggestion(200), None);
        assert_eq!(curve(|_| f64::NAN, 1e-7, 10.0).0.suggestion(200), None);
        assert!(curve(typical, 1e-7, 1e-2).0.suggestion(200).unwrap().still_falling);
        let (cut, stopped) = curve(|rate| if rate > 1e-3 { f64::INFINITY } else { typical(rate) }, 1e-7, 10.0);
        assert!(stopped < 110 && cut.steps.iter().all(|(_, loss)| loss.is_finite()));
    }

    #[test]
    fn noise_is_not_taken_for_learning() {
        use rand::RngExt;
        for seed in 0..100 {
            let mut random = crate::random::generator(seed, crate::random::Purpose::Search, 0, 0);
            let mut noisy =
                |level: f64, size: f64| level + size * (0..12).map(|_| random.random::<f64>() - 0.5).sum::<f64>();
            let mut flat = Curve::default();
            range_of(&mut flat, |_| noisy(0.7, 0.02));
            assert_eq!(flat.suggestion(200), None, "seed {seed}");
            let mut falling = Curve::default();
            range_of(&mut falling, |rate| noisy(typical(rate), 0.02));
            let found = falling.suggestion(200).unwrap();
            assert!((0.03..0.3).contains(&found.least), "seed {seed}: {found:?}");
        }
    }

    fn range_of(curve: &mut Curve, mut loss: impl FnMut(f64) -> f64) {
        rates(1e-7, 10.0, 200).into_iter().take_while(|&rate| curve.push(rate, loss(rate))).for_each(drop);
    }
}
