//! A slope and an intercept, or a slope alone, for the logits of yes/no outputs, by weighted maximum likelihood.

use crate::task::calibration::SCALES;

/// Limit on the steps of Newton's method, which takes fewer than 20 on any data seen.
const MOST_STEPS: usize = 100;

/// Newton's method has converged when both derivatives of the mean loss are this small.
const GRADIENT_TOLERANCE: f64 = 1e-12;

/// Halvings of a step before the search along it is given up.
const MOST_HALVINGS: usize = 60;

/// Halvings of the logarithmic range of slopes, or of the range of intercepts.
const BISECTIONS: usize = 100;

/// Logits of one yes/no output, weighted such that positives are a given share of the whole.
pub struct Scores<'a> {
    /// `[n]`
    pub logits: &'a [f64],
    /// `[n]`
    pub positive: &'a [bool],
    /// Share of positives that the examples are reweighted to.
    pub prior: f64,
}

/// A calibrated logit is the slope times the logit plus the intercept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Factor of the logit.
    pub slope: f64,
    /// What is added.
    pub intercept: f64,
    /// Whether the slope of least loss is beyond the range allowed, at whose end this one is.
    pub at_bound: bool,
}

/// Why logits cannot be calibrated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unfit {
    /// There are only positives, or only negatives, or no examples.
    OneClass,
    /// All logits are equal.
    Constant,
    /// A logit is not a finite number.
    NotFinite,
    /// The slope of least loss is negative or zero: higher logits go with fewer positives.
    NotRising,
}

/// Weights and targets of positives and of negatives.
#[derive(Clone, Copy)]
struct Side {
    weight: f64,
    target: f64,
}

impl Scores<'_> {
    /// Positives and negatives: weights that add up to the number of examples, and Platt's targets from the weighted counts,
    /// (n+ + 1) / (n+ + 2) and 1 / (n- + 2), which keep the fit finite where scores separate the classes.
    fn sides(&self) -> Result<[Side; 2], Unfit> {
        let n = self.positive.len() as f64;
        let positives = self.positive.iter().filter(|&&positive| positive).count() as f64;
        if positives == 0.0 || positives == n {
            return Err(Unfit::OneClass);
        }
        if self.logits.iter().any(|logit| !logit.is_finite()) {
            return Err(Unfit::NotFinite);
        }
        let (of_positives, of_negatives) = (self.prior * n, (1.0 - self.prior) * n);
        Ok([
            Side { weight: of_positives / positives, target: (of_positives + 1.0) / (of_positives + 2.0) },
            Side { weight: of_negatives / (n - positives), target: 1.0 / (of_negatives + 2.0) },
        ])
    }

    fn each<'a>(&'a self, sides: &'a [Side; 2]) -> impl Iterator<Item = (f64, Side)> + 'a {
        self.logits.iter().zip(self.positive).map(|(&logit, &positive)| (logit, sides[usize::from(!positive)]))
    }

    /// Platt scaling (Platt, 1999), by Newton's method with backtracking (Lin, Lin and Weng, 2007).
    ///
    /// # Errors
    /// The logits cannot be calibrated.
    pub fn platt(&self) -> Result<Line, Unfit> {
        let sides = self.sides()?;
        let n = self.logits.len() as f64;
        // In standard units, so that the logits' own make no difference.
        let mean = self.logits.iter().sum::<f64>() / n;
        let deviation = (self.logits.iter().map(|logit| (logit - mean).powi(2)).sum::<f64>() / n).sqrt();
        if deviation.is_nan() || deviation <= 1e-9 * mean.abs().max(1e-9) {
            return Err(Unfit::Constant);
        }
        let standard = |logit: f64| (logit - mean) / deviation;
        let loss = |slope: f64, intercept: f64| {
            let of = |(logit, side): (f64, Side)| {
                side.weight * cross_entropy(slope * standard(logit) + intercept, side.target)
            };
            self.each(&sides).map(of).sum::<f64>() / n
        };
        let (mut slope, mut intercept) = (0.0, (self.prior / (1.0 - self.prior)).ln());
        let mut least = loss(slope, intercept);
        for _ in 0..MOST_STEPS {
            let (mut gradient, mut hessian) = ([0.0; 2], [1e-12, 0.0, 1e-12]);
            for (logit, Side { weight, target }) in self.each(&sides) {
                let x = standard(logit);
                let p = sigmoid(slope * x + intercept);
                let (first, second) = (weight * (p - target) / n, weight * p * (1.0 - p) / n);
                gradient = [gradient[0] + first * x, gradient[1] + first];
                hessian = [hessian[0] + second * x * x, hessian[1] + second * x, hessian[2] + second];
            }
            if gradient.iter().all(|derivative| derivative.abs() < GRADIENT_TOLERANCE) {
                break;
            }
            let determinant = hessian[0] * hessian[2] - hessian[1] * hessian[1];
            let step = [
                -(hessian[2] * gradient[0] - hessian[1] * gradient[1]) / determinant,
                -(hessian[0] * gradient[1] - hessian[1] * gradient[0]) / determinant,
            ];
            let descent = gradient[0] * step[0] + gradient[1] * step[1];
            let found = (0..MOST_HALVINGS).map(|halvings| 0.5f64.powi(halvings as i32)).find_map(|share| {
                let to = (slope + share * step[0], intercept + share * step[1]);
                let found = loss(to.0, to.1);
                (found < least + 1e-4 * share * descent).then_some((to, found))
            });
            let Some(((to_slope, to_intercept), found)) = found else { break };
            (slope, intercept, least) = (to_slope, to_intercept, found);
        }
        let (slope, intercept) = (slope / deviation, intercept - slope * mean / deviation);
        if slope.is_nan() || slope <= 0.0 {
            return Err(Unfit::NotRising);
        }
        if SCALES.contains(&slope) {
            return Ok(Line { slope, intercept, at_bound: false });
        }
        let slope = slope.clamp(*SCALES.start(), *SCALES.end());
        Ok(Line { slope, intercept: self.intercept_at(slope, &sides), at_bound: true })
    }

    /// The intercept of least loss at a slope: where the mean probability is the mean target.
    fn intercept_at(&self, slope: f64, sides: &[Side; 2]) -> f64 {
        let excess = |intercept: f64| -> f64 {
            let of = |(logit, side): (f64, Side)| side.weight * (sigmoid(slope * logit + intercept) - side.target);
            self.each(sides).map(of).sum()
        };
        let furthest = self.logits.iter().fold(0.0, |furthest: f64, logit| furthest.max((slope * logit).abs())) + 100.0;
        let (mut low, mut high) = (-furthest, furthest);
        for _ in 0..BISECTIONS {
            let middle = f64::midpoint(low, high);
            if excess(middle) < 0.0 { low = middle } else { high = middle }
        }
        f64::midpoint(low, high)
    }
}

/// The slope of least loss without an intercept, the same for several outputs: temperature scaling (Guo and others, 2017),
/// whose temperature is one over it. Outputs of one class only are passed over.
///
/// # Errors
/// No output can be calibrated, or the slope is not positive.
pub fn common_slope(outputs: &[Scores]) -> Result<Line, Unfit> {
    let mut usable = Vec::new();
    let mut why = Unfit::OneClass;
    for scores in outputs {
        match scores.sides() {
            Ok(sides) => usable.push((scores, sides)),
            Err(unfit) => why = unfit,
        }
    }
    if usable.is_empty() {
        return Err(why);
    }
    slope_of_least_loss(|slope| {
        let of = |(scores, sides): &(&Scores, [Side; 2])| -> f64 {
            let of = |(logit, side): (f64, Side)| side.weight * (sigmoid(slope * logit) - side.target) * logit;
            scores.each(sides).map(of).sum()
        };
        usable.iter().map(of).sum()
    })
}

/// The zero of a rising derivative of the loss with respect to the slope, within the range of slopes.
///
/// # Errors
/// It is not positive.
pub(super) fn slope_of_least_loss(mut derivative: impl FnMut(f64) -> f64) -> Result<Line, Unfit> {
    let line = |slope, at_bound| Ok(Line { slope, intercept: 0.0, at_bound });
    let (low, high) = (*SCALES.start(), *SCALES.end());
    let at_zero = derivative(0.0);
    if at_zero.is_nan() {
        return Err(Unfit::NotFinite);
    }
    if at_zero >= 0.0 {
        return Err(Unfit::NotRising);
    }
    if derivative(low) >= 0.0 {
        return line(low, true);
    }
    if derivative(high) <= 0.0 {
        return line(high, true);
    }
    let (mut low, mut high) = (low.ln(), high.ln());
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        if derivative(middle.exp()) < 0.0 { low = middle } else { high = middle }
    }
    line(f64::midpoint(low, high).exp(), false)
}

fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// The cross-entropy of a target, 0 to 1, without overflow.
fn cross_entropy(logit: f64, target: f64) -> f64 {
    logit.max(0.0) - logit * target + (-logit.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    use crate::random::{self, Purpose};

    /// Logits with labels that they are the true log-odds of, at a share of positives of about `prior`.
    fn honest(n: usize, prior: f64) -> (Vec<f64>, Vec<bool>) {
        let mut random = random::generator(1, Purpose::Simulate, 0, 0);
        let shift = (prior / (1.0 - prior)).ln();
        let logits: Vec<f64> = (0..n).map(|_| random.random_range(-3.0..3.0) + shift).collect();
        let positive = logits.iter().map(|&logit| random.random::<f64>() < sigmoid(logit)).collect();
        (logits, positive)
    }

    fn share(positive: &[bool]) -> f64 {
        positive.iter().filter(|&&positive| positive).count() as f64 / positive.len() as f64
    }

    #[test]
    fn logits_that_were_stretched_and_shifted_are_brought_back() {
        let (honest, positive) = honest(20_000, 0.2);
        for (stretch, shift) in [(1.0, 0.0), (0.3, 2.0), (4.0, -3.0), (50.0, 100.0), (0.01, 0.0)] {
            let logits: Vec<f64> = honest.iter().map(|logit| logit * stretch + shift).collect();
            let line = Scores { logits: &logits, positive: &positive, prior: share(&positive) }.platt().unwrap();
            let (slope, intercept) = (line.slope * stretch, line.intercept + line.slope * shift);
            assert!((slope - 1.0).abs() < 0.05 && intercept.abs() < 0.07, "{stretch} {shift}: {slope} {intercept}");
        }
        let scores = |logits: &[f64]| common_slope(&[Scores { logits, positive: &positive, prior: share(&positive) }]);
        for stretch in [0.3, 1.0, 4.0] {
            let logits: Vec<f64> = honest.iter().map(|logit| logit * stretch).collect();
            assert!((scores(&logits).unwrap().slope * stretch - 1.0).abs() < 0.05, "{stretch}");
        }
    }

    #[test]
    fn the_mean_probability_is_the_prior_reweighted_to_whatever_validation_holds() {
        let (logits, positive) = honest(2000, 0.5);
        for prior in [1e-3, 0.01, 0.045, 0.3, 0.5, 0.9, 0.999] {
            let scores = Scores { logits: &logits, positive: &positive, prior };
            let line = scores.platt().unwrap();
            let sides = scores.sides().unwrap();
            let p = |(logit, side): (f64, Side)| side.weight * sigmoid(line.slope * logit + line.intercept);
            let mean = scores.each(&sides).map(p).sum::<f64>() / 2000.0;
            assert!((mean / prior - 1.0).abs() < 0.3 && (mean - prior).abs() < 3e-4, "{prior}: {mean}");
            // Reweighting moves the intercept by the log-odds of the prior, and leaves the slope.
            assert!((line.slope - 1.0).abs() < 0.15 || !(0.01..=0.99).contains(&prior), "{prior}: {line:?}");
        }
    }

    /// Neighbours of every fault: each is fitted within bounds or says why not.
    #[test]
    fn extreme_logits_are_fitted_or_refused() {
        let of = |logits: &[f64], positive: &[bool]| {
            let scores = || Scores { logits, positive, prior: 0.3 };
            (scores().platt(), common_slope(&[scores()]))
        };
        let (yes, no) = (true, false);
        for (logits, positive, platt, slope) in [
            (&[][..], &[][..], Err(Unfit::OneClass), Err(Unfit::OneClass)),
            (&[1.0], &[yes], Err(Unfit::OneClass), Err(Unfit::OneClass)),
            (&[1.0, 2.0], &[no, no], Err(Unfit::OneClass), Err(Unfit::OneClass)),
            (&[1.0, 1.0], &[yes, no], Err(Unfit::Constant), Err(Unfit::NotRising)),
            (&[0.0, 0.0], &[yes, no], Err(Unfit::Constant), Err(Unfit::NotRising)),
            (&[1e30, 1e30], &[yes, no], Err(Unfit::Constant), Err(Unfit::NotRising)),
            (&[f64::NAN, 1.0], &[yes, no], Err(Unfit::NotFinite), Err(Unfit::NotFinite)),
            (&[f64::INFINITY, 1.0], &[yes, no], Err(Unfit::NotFinite), Err(Unfit::NotFinite)),
            (&[-1.0, 1.0], &[yes, no], Err(Unfit::NotRising), Err(Unfit::NotRising)),
            (&[-5.0, 3.0, 1.0, -1.0], &[yes, no, no, yes], Err(Unfit::NotRising), Err(Unfit::NotRising)),
            (&[9.0, -9.0], &[yes, no], Ok(false), Ok(false)),
            (&[9.0, 8.0, -8.0, -9.0], &[yes, yes, no, no], Ok(false), Ok(false)),
            (&[1e-6, -1e-6], &[yes, no], Ok(true), Ok(true)),
            (&[1e6, -1e6], &[yes, no], Ok(true), Ok(true)),
            (&[1e6, -1e6, 1e6], &[yes, no, no], Ok(true), Ok(true)),
            (&[3e38, -3e38], &[yes, no], Ok(true), Ok(true)),
            (&[100.0, 101.0, 102.0, 103.0], &[no, yes, no, yes], Ok(false), Err(Unfit::NotRising)),
            (&[40.0, -40.0, 35.0, -35.0, 30.0, -30.0], &[yes, no, no, yes, yes, no], Ok(false), Ok(false)),
        ] {
            let (found_platt, found_slope) = of(logits, positive);
            let at_bound = |found: Result<Line, Unfit>| found.map(|line| line.at_bound);
            assert_eq!(at_bound(found_platt), platt, "{logits:?} {found_platt:?}");
            assert_eq!(at_bound(found_slope), slope, "{logits:?} {found_slope:?}");
            for line in [found_platt, found_slope].into_iter().flatten() {
                assert!(SCALES.contains(&line.slope) && line.intercept.is_finite(), "{logits:?}: {line:?}");
            }
        }
    }
}
