//! A scale and a bias for the logit of each of several classes, or one scale for all, by weighted maximum likelihood.

use crate::evaluate::calibration::binary::{Line, Unfit, slope_of_least_loss};
use crate::evaluate::calibration::minimise::minimise;
use crate::task::calibration::SCALES;
use crate::task::softmax;

/// Logits of several classes, weighted such that each class is a given share of the whole.
pub struct Scores<'a> {
    /// `[n, classes]`
    pub logits: &'a [f64],
    /// Index of the true class, `[n]`.
    pub classes: &'a [usize],
    /// Share of each class that the examples are reweighted to.
    pub prior: &'a [f64],
}

/// A scale and a bias for each class.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    /// Factors of the logits.
    pub scales: Vec<f64>,
    /// What is added; they add up to 0, since only their differences count.
    pub biases: Vec<f64>,
}

/// Weights of the examples of each class, and the target probabilities of each, `[classes, classes]`.
struct Targets {
    weights: Vec<f64>,
    targets: Vec<f64>,
}

impl Scores<'_> {
    /// Number of examples of each class.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.prior.len()];
        self.classes.iter().for_each(|&class| counts[class] += 1);
        counts
    }

    /// Weights that add up to 1 and to each class's share; targets as Platt's, from the weighted counts: (n + 1) / (n + 2)
    /// for the true class, and the rest for the others in proportion to their shares. Of two classes they are Platt's own.
    fn targets(&self) -> Result<Targets, Unfit> {
        let (n, k) = (self.classes.len() as f64, self.prior.len());
        let counts = self.counts();
        if counts.iter().filter(|&&count| count > 0).count() < 2 {
            return Err(Unfit::OneClass);
        }
        if self.logits.iter().any(|logit| !logit.is_finite()) {
            return Err(Unfit::NotFinite);
        }
        let there = |class: usize| counts[class] > 0;
        let covered: f64 = (0..k).filter(|&class| there(class)).map(|class| self.prior[class]).sum();
        let share = |class: usize| self.prior[class] / covered;
        let weights =
            (0..k).map(|class| if there(class) { share(class) / counts[class] as f64 } else { 0.0 }).collect();
        let target = |class: usize, other: usize| {
            let others = self.prior.iter().sum::<f64>() - self.prior[class];
            let n = share(class) * n;
            if class == other { (n + 1.0) / (n + 2.0) } else { self.prior[other] / others / (n + 2.0) }
        };
        let targets = (0..k).flat_map(|class| (0..k).map(move |other| (class, other))).map(|(a, b)| target(a, b));
        Ok(Targets { weights, targets: targets.collect() })
    }

    /// One scale for all classes and no biases: temperature scaling (Guo and others, 2017).
    ///
    /// # Errors
    /// The logits cannot be calibrated.
    pub fn common_scale(&self) -> Result<Line, Unfit> {
        let (targets, k) = (self.targets()?, self.prior.len());
        slope_of_least_loss(|scale| {
            let of = |(logits, &class): (&[f64], &usize)| {
                let scaled: Vec<f64> = logits.iter().map(|logit| logit * scale).collect();
                let target = &targets.targets[class * k..(class + 1) * k];
                let each = softmax(&scaled).into_iter().zip(target).zip(logits);
                targets.weights[class] * each.map(|((p, target), logit)| (p - target) * logit).sum::<f64>()
            };
            self.logits.chunks(k).zip(self.classes).map(of).sum()
        })
    }

    /// One scale for all classes and a bias for each (Alexandari, Kundaje and Shrikumar, 2020).
    ///
    /// # Errors
    /// The logits cannot be calibrated, or the scale is beyond its range.
    pub fn common_scale_with_biases(&self) -> Result<Vectors, Unfit> {
        let k = self.prior.len();
        let start = vec![0.0; k + 1];
        self.fitted(&self.targets()?, start, |parameters, class| (parameters[0], parameters[1 + class]), |_| 0)
    }

    /// A scale and a bias for each class: vector scaling (Guo and others, 2017), from a start that is near.
    ///
    /// # Errors
    /// The logits cannot be calibrated, or a scale is beyond its range.
    pub fn vectors(&self, start: &Vectors) -> Result<Vectors, Unfit> {
        let (k, standard) = (self.prior.len(), Standard::of(self));
        let start: Vec<f64> = [standard.scales_in(start), standard.biases_in(start)].concat();
        self.fitted(
            &self.targets()?,
            start,
            move |parameters, class| (parameters[class], parameters[k + class]),
            |class| class,
        )
    }

    /// Minimises the loss of logits in standard units. `of_class` gives the scale and the bias of a class from parameters of
    /// which the last are the biases; `place` says which parameter its scale is.
    fn fitted(
        &self,
        targets: &Targets,
        start: Vec<f64>,
        of_class: impl Fn(&[f64], usize) -> (f64, f64),
        place: impl Fn(usize) -> usize,
    ) -> Result<Vectors, Unfit> {
        let (k, standard) = (self.prior.len(), Standard::of(self));
        if standard.deviation <= 0.0 || !standard.deviation.is_finite() {
            return Err(Unfit::Constant);
        }
        let first_bias = start.len() - k;
        let logits: Vec<f64> = self
            .logits
            .iter()
            .enumerate()
            .map(|(i, logit)| (logit - standard.means[i % k]) / standard.deviation)
            .collect();
        let mut scaled = vec![0.0; k];
        let parameters = minimise(start, |parameters| {
            let (mut loss, mut gradient) = (0.0, vec![0.0; parameters.len()]);
            let each: Vec<(f64, f64)> = (0..k).map(|class| of_class(parameters, class)).collect();
            for (logits, &class) in logits.chunks(k).zip(self.classes) {
                let weight = targets.weights[class];
                scaled.iter_mut().zip(logits).zip(&each).for_each(|((z, x), (scale, bias))| *z = x * scale + bias);
                let largest = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let log_sum = scaled.iter().map(|z| (z - largest).exp()).sum::<f64>().ln() + largest;
                for (other, target) in targets.targets[class * k..(class + 1) * k].iter().enumerate() {
                    loss += weight * target * (log_sum - scaled[other]);
                    let derivative = weight * ((scaled[other] - log_sum).exp() - target);
                    gradient[place(other)] += derivative * logits[other];
                    gradient[first_bias + other] += derivative;
                }
            }
            (loss, gradient)
        });
        let each = (0..k).map(|class| of_class(&parameters, class));
        let raw = each.enumerate().map(|(class, (scale, bias))| {
            let scale = scale / standard.deviation;
            (scale, bias - scale * standard.means[class])
        });
        let (scales, mut biases): (Vec<f64>, Vec<f64>) = raw.unzip();
        let mean = biases.iter().sum::<f64>() / k as f64;
        biases.iter_mut().for_each(|bias| *bias -= mean);
        if scales.iter().chain(&biases).any(|number| !number.is_finite()) {
            return Err(Unfit::NotFinite);
        }
        if scales.iter().any(|scale| !SCALES.contains(scale)) {
            return Err(Unfit::NotRising);
        }
        Ok(Vectors { scales, biases })
    }
}

/// Standard units of logits, in which their own unit makes no difference: a mean for each class, one deviation for all.
struct Standard {
    means: Vec<f64>,
    deviation: f64,
}

impl Standard {
    fn of(scores: &Scores) -> Self {
        let (n, k) = (scores.classes.len() as f64, scores.prior.len());
        let mut means = vec![0.0; k];
        scores.logits.iter().enumerate().for_each(|(i, logit)| means[i % k] += logit / n);
        let squares = scores.logits.iter().enumerate().map(|(i, logit)| (logit - means[i % k]).powi(2));
        let deviation = (squares.sum::<f64>() / (n * k as f64)).sqrt();
        Self { means, deviation }
    }

    fn scales_in(&self, raw: &Vectors) -> Vec<f64> {
        raw.scales.iter().map(|scale| scale * self.deviation).collect()
    }

    fn biases_in(&self, raw: &Vectors) -> Vec<f64> {
        let each = raw.scales.iter().zip(&raw.biases).zip(&self.means);
        each.map(|((scale, bias), mean)| bias + scale * mean).collect()
    }
}
