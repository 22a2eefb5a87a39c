//! Baselines for a network: generalised linear models on GC content, on k-mer counts and on counts of gapped k-mers,
//! fitted exactly by L2-penalised maximum likelihood. The same data gives the same model, however many threads work.

mod features;
mod gapped;

use std::cell::{Cell, RefCell};

use anyhow::{Context, Result, bail, ensure};
use argmin::core::{CostFunction, Executor, Gradient};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use rayon::prelude::*;

pub use crate::baselines::features::{Features, Sequences};
use crate::baselines::features::{Rows, Words, add_scaled};
use crate::baselines::gapped::Gapped;

/// Penalties tried, strongest first, on weights of features whose rows have a root mean square length of one. The sets
/// of GUE choose 0.3 to 3 for 6-mers; small and noisy sets need more.
const PENALTIES: [f64; 6] = [100.0, 30.0, 10.0, 3.0, 1.0, 0.3];

/// A fit has converged when the gradient is this much shorter than at zero weights and intercepts.
const GRADIENT_TOLERANCE: f64 = 1e-5;

/// A gradient at zero shorter than this is rounding error: targets are scaled so that it is of order one.
const SHORTEST_GRADIENT: f64 = 1e-6;

/// Limit on the steps of L-BFGS. The loss is convex, so a fit that stops here is still a good one.
const MAX_ITERATIONS: u64 = 300;

/// Limit on the evaluations of the loss, because the line search has none of its own.
const MAX_EVALUATIONS: usize = 3 * MAX_ITERATIONS as usize;

/// Number of steps that L-BFGS stores; the middle of the 3 to 20 recommended by Nocedal and Wright (2006).
const MEMORY: usize = 10;

/// Number of shards of the sequences, added in order so that sums do not depend on the number of threads. Enough for
/// the cores of a workstation; each shard holds one gradient.
const SHARDS: usize = 16;

/// Numbers in the gradients of all shards, at most, where features are gapped k-mers: 32 MiB.
const MOST_IN_SHARDS: usize = 1 << 22;

/// Sequences whose features are held at a time to predict.
const PREDICTED_AT_A_TIME: usize = 1 << 14;

/// Longest words of gapped k-mers: their 4 million weights fit the cache of few processors, and one more base would make
/// them 17 million.
const LONGEST_GAPPED: usize = 11;

/// Above this linear predictor the Poisson loss continues as a straight line, so that a long step of the line search
/// stays finite. Rates are multiples of their mean, so no fit comes near e^30.
const LARGEST_LOG_RATE: f64 = 30.0;

/// The link between the linear predictor and the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Independent binary columns; targets from 0 to 1.
    Logistic,
    /// One of several classes; targets are one-hot.
    Softmax,
    /// Values, with squared error.
    Identity,
    /// Poisson counts or rates; targets of 0 or more.
    Log,
}

/// A fitted model.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    features: Features,
    link: Link,
    outputs: usize,
    /// Weights of the unscaled features, or of the words that hold gapped k-mers, `[numbers, outputs]`.
    weights: Vec<f64>,
    /// Intercepts, `[outputs]`.
    intercepts: Vec<f64>,
    /// The penalty with the lowest loss on the validation sequences: half of it times the squared weights was added to
    /// the summed loss of the training sequences (1 / C, or the ridge's alpha, in scikit-learn).
    pub penalty: f64,
}

/// Features and targets of one split.
struct Examples<'a> {
    rows: Rows,
    /// `[n, outputs]`, `NaN` where one is missing.
    targets: &'a [f32],
    outputs: usize,
    /// Parts in which the loss is computed.
    shards: usize,
}

/// The units in which targets are fitted, so that one penalty suits every column: standard scores of values, multiples
/// of the mean of rates. `[outputs]` each.
struct Units {
    shift: Vec<f64>,
    scale: Vec<f64>,
}

/// The penalised mean loss of the training sequences as a function of weights `[features, outputs]` followed by
/// intercepts `[outputs]`, for centred and scaled features. Of gapped k-mers the weights are those that [`Gapped`] maps.
///
/// Centring removes the part of the k-mer counts that is collinear with the intercept and would slow every step; since
/// the intercept is not penalised, the model stays the same. All features share one scale: with a scale for each, the
/// rarest k-mers, of which least is known, would weigh most.
struct Objective<'a> {
    examples: &'a Examples<'a>,
    link: Link,
    units: &'a Units,
    gapped: Option<&'a Gapped>,
    /// `[numbers]`
    means: &'a [f64],
    scale: f64,
    /// On the mean loss of a sequence.
    penalty: f64,
    evaluations: Cell<usize>,
    /// The line search asks for the cost and the gradient of a point one after the other; both come from one pass.
    last: RefCell<Option<Evaluation>>,
}

struct Evaluation {
    parameters: Vec<f64>,
    cost: f64,
    gradient: Vec<f64>,
}

/// Fits on `train` with each penalty and keeps the model with the lowest mean loss on `valid`. Targets are `[n,
/// outputs]`, `NaN` where one is missing.
///
/// # Errors
/// If a split is empty, shapes differ, k is not 1 to 8, gapped k-mers are longer than 11 or have no informative position,
/// or a target is outside the range of the link.
pub fn fit(
    features: Features,
    link: Link,
    outputs: usize,
    train: (Sequences, &[f32]),
    valid: (Sequences, &[f32]),
) -> Result<Fitted> {
    check(features)?;
    let train = Examples::new(features, link, outputs, train).context("training split")?;
    let valid = Examples::new(features, link, outputs, valid).context("validation split")?;
    let units = Units::new(link, outputs, train.targets);
    let means = train.rows.means(features.numbers());
    let gapped = match features {
        Features::Gapped { length, informative, both_strands } => {
            Some(Gapped::new(&Words::new(length, both_strands), informative))
        }
        _ => None,
    };
    let scale = gapped.as_ref().map_or_else(|| train.rows.scale(&means), |gapped| gapped.scale(&train.rows, &means));

    let weights = gapped.as_ref().map_or(features.count(), Gapped::parameters);
    let mut parameters = vec![0.0; (weights + 1) * outputs];
    let (mut best, mut worse): (Option<(f64, Fitted)>, usize) = (None, 0);
    for penalty in PENALTIES {
        let objective = Objective {
            examples: &train,
            link,
            units: &units,
            gapped: gapped.as_ref(),
            means: &means,
            scale,
            penalty: penalty / train.rows.len() as f64,
            evaluations: Cell::new(0),
            last: RefCell::new(None),
        };
        // The weights for the previous penalty are a good start; the strongest penalty is nearest to zero weights.
        parameters = objective.minimise(parameters)?;
        let (weights, intercepts) = objective.of_raw_features(&parameters);
        let loss = valid.loss(link, &units, &weights, &intercepts).0;
        if best.as_ref().is_none_or(|(lowest, _)| loss < *lowest) {
            best = Some((loss, units.fitted(features, link, penalty, weights, intercepts)));
            worse = 0;
        } else {
            worse += 1;
        }
        // Weaker penalties take longer to fit, and of gapped k-mers longest.
        if gapped.is_some() && worse == 2 {
            break;
        }
    }
    best.map(|(_, fitted)| fitted).context("no penalty was tried")
}

fn check(features: Features) -> Result<()> {
    match features {
        Features::Gc => Ok(()),
        Features::Kmers { k, .. } => {
            ensure!((1..=8).contains(&k), "k-mers are 1 to 8 bases long, found {k}");
            Ok(())
        }
        Features::Gapped { length, informative, .. } => {
            ensure!(
                (1..=LONGEST_GAPPED).contains(&length),
                "gapped k-mers are 1 to {LONGEST_GAPPED} bases long, found {length}"
            );
            ensure!(
                (1..=length).contains(&informative),
                "gapped k-mers of {length} bases have 1 to {length} informative positions, found {informative}"
            );
            Ok(())
        }
    }
}

impl Fitted {
    /// Probabilities, class probabilities, values or rates, `[n, outputs]`.
    ///
    /// # Panics
    /// If the codes are not whole sequences.
    pub fn predict(&self, sequences: &Sequences) -> Vec<f64> {
        let mut predictions = Vec::with_capacity(sequences.count() * self.outputs);
        for codes in sequences.codes.chunks(PREDICTED_AT_A_TIME * sequences.length.max(1)) {
            let rows = self.features.read(&Sequences { codes, length: sequences.length });
            let first = predictions.len();
            predictions.resize(first + rows.len() * self.outputs, 0.0);
            predictions[first..].par_chunks_mut(self.outputs).enumerate().for_each(|(row, predicted)| {
                predicted.copy_from_slice(&self.intercepts);
                rows.add_products(row, &self.weights, predicted);
                self.link.mean(predicted);
            });
        }
        predictions
    }

    /// Description of the model in one line.
    pub fn describe(&self) -> String {
        let model = match self.link {
            Link::Logistic => "logistic regression",
            Link::Softmax => "multinomial logistic regression",
            Link::Identity => "ridge regression",
            Link::Log => "Poisson regression",
        };
        let strand = |both| if both { "either strand" } else { "the given strand" };
        let features = match self.features {
            Features::Gc => "GC content".to_owned(),
            Features::Kmers { k, both_strands } => {
                format!("counts of {k}-mers on {} ({} features)", strand(both_strands), self.features.count())
            }
            Features::Gapped { length, informative, both_strands } => format!(
                "counts of gapped k-mers with {informative} informative positions in {length} on {} ({} features)",
                strand(both_strands),
                self.features.count()
            ),
        };
        format!("{model} on {features}, L2 penalty {}", self.penalty)
    }
}

impl Link {
    /// Converts the linear predictors of one sequence into expected values.
    fn mean(self, predictors: &mut [f64]) {
        match self {
            Link::Logistic => predictors.iter_mut().for_each(|eta| *eta = 1.0 / (1.0 + (-*eta).exp())),
            Link::Softmax => {
                let log_sum = log_sum_exp(predictors);
                predictors.iter_mut().for_each(|eta| *eta = (*eta - log_sum).exp());
            }
            Link::Identity => {}
            Link::Log => predictors.iter_mut().for_each(|eta| *eta = eta.exp()),
        }
    }

    /// Loss of one sequence, summed over its outputs: the negative log-likelihood without its constant terms. Replaces
    /// the linear predictors by their derivatives. A missing target adds nothing.
    fn loss(self, predictors: &mut [f64], targets: &[f64]) -> f64 {
        let mut loss = 0.0;
        let log_sum = if self == Link::Softmax { log_sum_exp(predictors) } else { 0.0 };
        for (eta, target) in predictors.iter_mut().zip(targets) {
            if target.is_nan() {
                *eta = 0.0;
                continue;
            }
            let (of_one, derivative) = match self {
                Link::Logistic => {
                    let far = (-eta.abs()).exp();
                    let probability = if *eta > 0.0 { 1.0 } else { far } / (1.0 + far);
                    (eta.max(0.0) + far.ln_1p() - target * *eta, probability - target)
                }
                Link::Softmax => (target * (log_sum - *eta), (*eta - log_sum).exp() - target),
                Link::Identity => (0.5 * (*eta - target).powi(2), *eta - target),
                Link::Log => {
                    let beyond = (*eta - LARGEST_LOG_RATE).max(0.0);
                    let rate = (*eta - beyond).exp();
                    (rate * (1.0 + beyond) - target * *eta, rate - target)
                }
            };
            loss += of_one;
            *eta = derivative;
        }
        loss
    }

    fn check(self, target: f32) -> Result<()> {
        ensure!(target.is_finite(), "a target is {target}");
        match self {
            Link::Logistic | Link::Softmax if !(0.0..=1.0).contains(&target) => {
                bail!("a target is {target}, expected 0 to 1")
            }
            Link::Log if target < 0.0 => bail!("a target is {target}, expected 0 or more"),
            _ => Ok(()),
        }
    }
}

fn log_sum_exp(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + values.iter().map(|value| (value - largest).exp()).sum::<f64>().ln()
}

impl<'a> Examples<'a> {
    fn new(features: Features, link: Link, outputs: usize, split: (Sequences, &'a [f32])) -> Result<Self> {
        let (sequences, targets) = split;
        let n = sequences.count();
        ensure!(n > 0, "there are no sequences");
        ensure!(sequences.codes.len() % sequences.length == 0, "codes are not whole sequences");
        ensure!(outputs > 0, "there are no outputs");
        ensure!(
            n.checked_mul(outputs) == Some(targets.len()),
            "{} targets for {n} sequences of {outputs} outputs",
            targets.len()
        );
        let may_be_missing = |target: f32| target.is_nan() && link != Link::Softmax;
        targets.iter().filter(|target| !may_be_missing(**target)).try_for_each(|&target| link.check(target))?;
        if link == Link::Softmax {
            let one_hot = |row: &[f32]| (row.iter().sum::<f32>() - 1.0).abs() < 1e-3;
            ensure!(targets.chunks_exact(outputs).all(one_hot), "a sequence does not have exactly one class");
        }
        let shards = match features {
            Features::Gapped { .. } => (MOST_IN_SHARDS / (features.numbers() * outputs)).clamp(1, SHARDS),
            _ => SHARDS,
        };
        Ok(Self { rows: features.read(&sequences), targets, outputs, shards })
    }

    /// The mean loss of a sequence, and its gradient: weights `[numbers, outputs]`, then intercepts `[outputs]`.
    fn loss(&self, link: Link, units: &Units, weights: &[f64], intercepts: &[f64]) -> (f64, Vec<f64>) {
        let (n, outputs) = (self.rows.len(), self.outputs);
        let of_shard = |shard: usize| {
            let (mut loss, mut gradient) = (0.0, vec![0.0; weights.len() + outputs]);
            let (mut predictors, mut targets) = (vec![0.0; outputs], vec![0.0; outputs]);
            for row in shard * n / self.shards..(shard + 1) * n / self.shards {
                predictors.copy_from_slice(intercepts);
                self.rows.add_products(row, weights, &mut predictors);
                units.convert(&self.targets[row * outputs..(row + 1) * outputs], &mut targets);
                loss += link.loss(&mut predictors, &targets);
                let (of_weights, of_intercepts) = gradient.split_at_mut(weights.len());
                self.rows.scatter(row, &predictors, of_weights);
                add_scaled(of_intercepts, 1.0, &predictors);
            }
            (loss, gradient)
        };
        let shards: Vec<(f64, Vec<f64>)> = (0..self.shards).into_par_iter().map(of_shard).collect();
        let (mut loss, mut gradient) = (0.0, vec![0.0; weights.len() + outputs]);
        for (of_shard, gradient_of_shard) in shards {
            loss += of_shard / n as f64;
            add_scaled(&mut gradient, 1.0 / n as f64, &gradient_of_shard);
        }
        (loss, gradient)
    }
}

impl Units {
    fn new(link: Link, outputs: usize, targets: &[f32]) -> Self {
        let mut n = vec![0.0; outputs];
        let mut means = vec![0.0; outputs];
        let mut variances = vec![0.0; outputs];
        // Every target that is there, with its column.
        let known = || {
            let each = targets.iter().enumerate().filter(|(_, target)| !target.is_nan());
            each.map(|(i, &target)| (i % outputs, f64::from(target)))
        };
        known().for_each(|(column, _)| n[column] += 1.0);
        known().for_each(|(column, target)| means[column] += target / n[column]);
        known().for_each(|(column, target)| variances[column] += (target - means[column]).powi(2) / n[column]);
        let or_one = |scale: f64| if scale > 0.0 { scale } else { 1.0 };
        match link {
            Link::Logistic | Link::Softmax => Self { shift: vec![0.0; outputs], scale: vec![1.0; outputs] },
            Link::Identity => Self { shift: means, scale: variances.into_iter().map(|v| or_one(v.sqrt())).collect() },
            Link::Log => Self { shift: vec![0.0; outputs], scale: means.into_iter().map(or_one).collect() },
        }
    }

    fn convert(&self, targets: &[f32], converted: &mut [f64]) {
        for (i, (converted, &target)) in converted.iter_mut().zip(targets).enumerate() {
            *converted = (f64::from(target) - self.shift[i]) / self.scale[i];
        }
    }

    /// Converts the model to the units of the given targets.
    fn fitted(
        &self,
        features: Features,
        link: Link,
        penalty: f64,
        mut weights: Vec<f64>,
        mut intercepts: Vec<f64>,
    ) -> Fitted {
        let outputs = intercepts.len();
        for (i, intercept) in intercepts.iter_mut().enumerate() {
            match link {
                Link::Logistic | Link::Softmax => {}
                Link::Identity => {
                    *intercept = *intercept * self.scale[i] + self.shift[i];
                    weights.iter_mut().skip(i).step_by(outputs).for_each(|weight| *weight *= self.scale[i]);
                }
                Link::Log => *intercept += self.scale[i].ln(),
            }
        }
        Fitted { features, link, outputs, weights, intercepts, penalty }
    }
}

impl Objective<'_> {
    /// Weights and intercepts for the unscaled features.
    fn of_raw_features(&self, parameters: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let outputs = self.examples.outputs;
        let (weights, intercepts) = parameters.split_at(parameters.len() - outputs);
        let mapped = self.gapped.map(|gapped| gapped.weights(weights, outputs));
        let weights: Vec<f64> = mapped.as_deref().unwrap_or(weights).iter().map(|weight| weight / self.scale).collect();
        let mut intercepts = intercepts.to_vec();
        for (mean, weights) in self.means.iter().zip(weights.chunks_exact(outputs)) {
            add_scaled(&mut intercepts, -mean, weights);
        }
        (weights, intercepts)
    }

    fn evaluate(&self, parameters: &[f64]) -> Evaluation {
        let outputs = self.examples.outputs;
        let (weights, intercepts) = self.of_raw_features(parameters);
        let (mut cost, mut gradient) = self.examples.loss(self.link, self.units, &weights, &intercepts);
        let (of_weights, of_intercepts) = gradient.split_at_mut(weights.len());
        for (of_feature, mean) in of_weights.chunks_exact_mut(outputs).zip(self.means) {
            add_scaled(of_feature, -mean, of_intercepts);
        }
        if let Some(gapped) = self.gapped {
            let mapped = gapped.transposed(of_weights, outputs);
            gradient = [&mapped[..], of_intercepts].concat();
        }
        let (of_weights, _) = gradient.split_at_mut(parameters.len() - outputs);
        for (derivative, weight) in of_weights.iter_mut().zip(parameters) {
            *derivative = *derivative / self.scale + self.penalty * weight;
            cost += self.penalty / 2.0 * weight * weight;
        }
        Evaluation { parameters: parameters.to_vec(), cost, gradient }
    }

    fn at<T>(&self, parameters: &[f64], read: impl Fn(&Evaluation) -> T) -> Result<T> {
        let mut last = self.last.borrow_mut();
        if let Some(evaluation) = last.as_ref().filter(|evaluation| evaluation.parameters == parameters) {
            return Ok(read(evaluation));
        }
        self.evaluations.set(self.evaluations.get() + 1);
        ensure!(self.evaluations.get() <= MAX_EVALUATIONS, "{MAX_EVALUATIONS} evaluations are not enough");
        Ok(read(last.insert(self.evaluate(parameters))))
    }

    /// Parameters of the lowest penalised loss, found with L-BFGS (Liu and Nocedal, 1989).
    fn minimise(&self, start: Vec<f64>) -> Result<Vec<f64>> {
        let at_zero = norm(&self.evaluate(&vec![0.0; start.len()]).gradient);
        let tolerance = GRADIENT_TOLERANCE * at_zero.max(SHORTEST_GRADIENT);
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
            .with_tolerance_grad(tolerance)?
            .with_tolerance_cost(0.0)?; // a step that gains little may still be followed by one that gains much
        let result = Executor::new(self, solver)
            .configure(|state| state.param(start).max_iters(MAX_ITERATIONS))
            .timer(false)
            .run()?;
        result.state.best_param.context("L-BFGS found no parameters")
    }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

impl CostFunction for &Objective<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, parameters: &Vec<f64>) -> Result<f64> {
        self.at(parameters, |evaluation| evaluation.cost)
    }
}

impl Gradient for &Objective<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, parameters: &Vec<f64>) -> Result<Vec<f64>> {
        self.at(parameters, |evaluation| evaluation.gradient.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::features::{canonical_numbers, forward_kmers};
    use crate::sequence::alphabet::{encode, reverse_complement};

    /// Pseudo-random codes; the same seed gives the same.
    fn random_codes(seed: u64, bases: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..bases)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                ((state >> 33) % 4) as u8
            })
            .collect()
    }

    fn codes(bases: &str) -> Vec<u8> {
        let mut codes = Vec::new();
        encode(bases.as_bytes(), &mut codes).unwrap();
        codes
    }

    /// Random sequences, every second with a word in its middle, half of these on the other strand; 1 where it is.
    fn planted(seed: u64, n: usize, length: usize, word: &str) -> (Vec<u8>, Vec<f32>) {
        let mut all = random_codes(seed, n * length);
        for (i, sequence) in all.chunks_exact_mut(length).enumerate().filter(|(i, _)| i % 2 == 1) {
            let mut word = codes(word);
            if i % 4 == 1 {
                reverse_complement(&mut word);
            }
            sequence[length / 2..][..word.len()].copy_from_slice(&word);
        }
        (all, (0..n).map(|i| (i % 2) as f32).collect())
    }

    #[test]
    fn a_planted_word_is_found_on_either_strand() {
        let length = 50;
        let [train, valid, test] = [(1, 1000), (2, 300), (3, 300)].map(|(seed, n)| planted(seed, n, length, "GATTAC"));
        let sequences = |codes| Sequences { codes, length };
        let kmers = Features::Kmers { k: 6, both_strands: true };
        let fitted =
            fit(kmers, Link::Logistic, 1, (sequences(&train.0), &train.1), (sequences(&valid.0), &valid.1)).unwrap();
        let predicted = fitted.predict(&sequences(&test.0));
        let right = predicted.iter().zip(&test.1).filter(|(p, label)| (**p >= 0.5) == (**label == 1.0)).count();
        assert!(right >= 290, "{right} of 300 right");

        let mut other_strand = test.0.clone();
        other_strand.chunks_exact_mut(length).for_each(reverse_complement);
        for (one, other) in predicted.iter().zip(fitted.predict(&sequences(&other_strand))) {
            assert!((one - other).abs() < 1e-12, "{one} and {other} on the other strand");
        }
    }

    #[test]
    fn separable_classes_do_not_diverge() {
        let all = codes(&"AAAAAAAACCCCCCCC".repeat(20));
        let labels: Vec<f32> = (0..40).map(|i| (i % 2) as f32).collect();
        let split = (Sequences { codes: &all, length: 8 }, labels.as_slice());
        for features in [Features::Gc, Features::Kmers { k: 2, both_strands: true }] {
            let fitted = fit(features, Link::Logistic, 1, split, split).unwrap();
            assert!(fitted.weights.iter().chain(&fitted.intercepts).all(|weight| weight.abs() < 100.0));
            for (p, label) in fitted.predict(&split.0).iter().zip(&labels) {
                assert!((p - f64::from(*label)).abs() < 0.1, "{p} for {label}");
            }
        }
    }

    #[test]
    fn a_missing_target_is_as_if_its_sequence_were_not_there() {
        let (all, labels) = planted(3, 300, 30, "GATTAC");
        // The second column has every second target; the first is whole.
        let masked: Vec<f32> = labels
            .iter()
            .enumerate()
            .flat_map(|(i, &label)| [label, if i % 2 == i / 2 % 2 { f32::NAN } else { label }])
            .collect();
        let there: Vec<usize> = (0..labels.len()).filter(|i| i % 2 != i / 2 % 2).collect();
        let codes_there: Vec<u8> = there.iter().flat_map(|&i| &all[i * 30..(i + 1) * 30]).copied().collect();
        let labels_there: Vec<f32> = there.iter().map(|&i| labels[i]).collect();
        let of = |codes| Sequences { codes, length: 30 };
        for link in [Link::Logistic, Link::Identity, Link::Log] {
            let both = fit(Features::Gc, link, 2, (of(&all), &masked), (of(&all), &masked)).unwrap();
            let there = (of(&codes_there), &labels_there[..]);
            let alone = fit(Features::Gc, link, 1, there, there).unwrap();
            let (found, expected) = (both.predict(&of(&all)), alone.predict(&of(&all)));
            for (found, expected) in found.chunks(2).zip(expected) {
                assert!(
                    (found[1] - expected).abs() < 0.02 * expected.abs().max(0.1),
                    "{link:?}: {} {expected}",
                    found[1]
                );
            }
        }
    }

    #[test]
    fn constant_targets_give_the_base_rate() {
        let all = random_codes(5, 60 * 20);
        let sequences = Sequences { codes: &all, length: 20 };
        let always = |target: &[f32]| target.repeat(60);
        for (link, target) in [
            (Link::Logistic, vec![1.0, 0.0]),
            (Link::Logistic, vec![0.25, 0.5]),
            (Link::Softmax, vec![0.0, 1.0, 0.0]),
            (Link::Identity, vec![-7.5, 3e6]),
            (Link::Log, vec![0.0, 12.0, 3e6]),
        ] {
            let targets = always(&target);
            for features in [Features::Gc, Features::Kmers { k: 3, both_strands: true }] {
                let fitted = fit(features, link, target.len(), (sequences, &targets), (sequences, &targets)).unwrap();
                for (predicted, &expected) in fitted.predict(&sequences).iter().zip(&targets) {
                    let expected = f64::from(expected);
                    assert!((predicted - expected).abs() < 1e-3 * expected.abs().max(1.0), "{link:?}: {predicted}");
                }
            }
        }
    }

    #[test]
    fn sequences_shorter_than_k_get_the_base_rate() {
        let all = random_codes(6, 40 * 4);
        let sequences = Sequences { codes: &all, length: 4 };
        let labels: Vec<f32> = (0..40).map(|i| f32::from(i % 4 == 0)).collect();
        let fitted = fit(
            Features::Kmers { k: 5, both_strands: true },
            Link::Logistic,
            1,
            (sequences, &labels),
            (sequences, &labels),
        )
        .unwrap();
        assert!(fitted.predict(&sequences).iter().all(|p| (p - 0.25).abs() < 1e-4));
    }

    #[test]
    fn a_kmer_and_its_reverse_complement_are_one_feature() {
        for (k, features) in [(1, 2), (2, 10), (3, 32), (6, 2080), (8, 32_896)] {
            let numbers = canonical_numbers(k);
            let distinct: std::collections::BTreeSet<_> = numbers.iter().collect();
            assert_eq!(distinct.len(), features);
            assert_eq!(Features::Kmers { k, both_strands: true }.count(), features);
            assert!(distinct.iter().all(|&&number| (number as usize) < features));
        }
        let numbers = canonical_numbers(3);
        let number = |bases: &str| numbers[forward_kmers(&codes(bases), 3).next().unwrap()];
        assert_eq!(number("GAT"), number("ATC"));
        assert_ne!(number("GAT"), number("TAG"));
    }

    #[test]
    fn gapped_kmers_are_counted_as_features_once_for_both_strands() {
        for (length, informative) in (1..=6usize).flat_map(|length| (1..=length).map(move |k| (length, k))) {
            let mut distinct = std::collections::BTreeSet::new();
            for mask in (0..1u32 << length).filter(|mask| mask.count_ones() as usize == informative) {
                let places: Vec<usize> = (0..length).filter(|i| mask >> i & 1 == 1).collect();
                for bases in 0..4usize.pow(informative as u32) {
                    // Gaps are unknown bases, which are their own complements.
                    let mut word = vec![4; length];
                    places.iter().enumerate().for_each(|(i, &place)| word[place] = (bases >> (2 * i) & 3) as u8);
                    let mut other = word.clone();
                    reverse_complement(&mut other);
                    distinct.insert(word.min(other));
                }
            }
            let count = |both_strands| Features::Gapped { length, informative, both_strands }.count();
            assert_eq!(count(true), distinct.len(), "{informative} of {length}");
            assert!(count(true) < count(false) && count(false) <= 2 * count(true), "{informative} of {length}");
        }
        let (length, informative) = (10, 6);
        assert_eq!(Features::Gapped { length, informative, both_strands: true }.count(), 430_400);
    }

    #[test]
    fn gaps_find_a_word_with_positions_that_do_not_matter() {
        let length = 60;
        let [train, valid, test] = [(1, 1500), (2, 400), (3, 400)].map(|(seed, n)| {
            let (mut all, labels) = planted(seed, n, length, "GATTTTAC");
            // The two middle bases of the word are anything.
            let noise = random_codes(seed + 10, 2 * n);
            all.chunks_exact_mut(length).zip(noise.chunks_exact(2)).for_each(|(sequence, noise)| {
                sequence[length / 2 + 3..length / 2 + 5].copy_from_slice(noise);
            });
            (all, labels)
        });
        let of = |codes| Sequences { codes, length };
        let right = |features| {
            let fitted = fit(features, Link::Logistic, 1, (of(&train.0), &train.1), (of(&valid.0), &valid.1)).unwrap();
            let predicted = fitted.predict(&of(&test.0));
            let mut other_strand = test.0.clone();
            other_strand.chunks_exact_mut(length).for_each(reverse_complement);
            let other_strand = Sequences { codes: &other_strand, length };
            for (one, other) in predicted.iter().zip(fitted.predict(&other_strand)) {
                assert!((one - other).abs() < 1e-9, "{one} and {other} on the other strand");
            }
            predicted.iter().zip(&test.1).filter(|(p, label)| (**p >= 0.5) == (**label == 1.0)).count()
        };
        let gapped = right(Features::Gapped { length: 8, informative: 6, both_strands: true });
        let whole = right(Features::Kmers { k: 6, both_strands: true });
        assert!(gapped > whole + 10, "{gapped} of 400 right with gaps, {whole} without");
    }

    #[test]
    fn a_word_on_one_strand_alone_is_told_from_its_other_strand_only_if_strands_are_kept() {
        let (length, word) = (40, "GATTACA");
        // Every sequence holds the word, with the label on which strand.
        let oriented = |seed, n: usize| {
            let mut all = random_codes(seed, n * length);
            for (i, sequence) in all.chunks_exact_mut(length).enumerate() {
                let mut word = codes(word);
                if i % 2 == 1 {
                    reverse_complement(&mut word);
                }
                sequence[10..17].copy_from_slice(&word);
            }
            (all, (0..n).map(|i| (i % 2) as f32).collect::<Vec<_>>())
        };
        let (train, test) = (oriented(1, 600), oriented(2, 200));
        let of = |codes| Sequences { codes, length };
        for both_strands in [true, false] {
            for features in
                [Features::Kmers { k: 5, both_strands }, Features::Gapped { length: 6, informative: 4, both_strands }]
            {
                let split = (of(&train.0), &train.1[..]);
                let fitted = fit(features, Link::Logistic, 1, split, split).unwrap();
                let predicted = fitted.predict(&of(&test.0));
                let right = predicted.iter().zip(&test.1).filter(|(p, label)| (**p >= 0.5) == (**label == 1.0)).count();
                assert_eq!(right > 190, !both_strands, "{features:?}: {right} of 200 right");
                assert_eq!(fitted.describe().contains("on the given strand"), !both_strands);
            }
        }
    }

    #[test]
    fn unknown_bases_are_not_read() {
        let kmers = |bases: &str| forward_kmers(&codes(bases), 2).collect::<Vec<_>>();
        assert_eq!(kmers("ACNGT"), [0b0001, 0b1011]);
        assert!(kmers("ANCNG").is_empty());
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let (train, labels) = planted(8, 400, 30, "GATTAC");
        let split = (Sequences { codes: &train, length: 30 }, labels.as_slice());
        let with_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let fitted =
                    fit(Features::Kmers { k: 4, both_strands: true }, Link::Logistic, 1, split, split).unwrap();
                (fitted.predict(&split.0), fitted)
            })
        };
        assert_eq!(with_threads(1), with_threads(2));
    }

    #[test]
    fn input_that_cannot_be_fitted_is_an_error() {
        let all = random_codes(9, 40);
        let good = (Sequences { codes: &all, length: 10 }, [0.0, 1.0, 0.0, 1.0].as_slice());
        let none = (Sequences { codes: &[], length: 10 }, [].as_slice());
        type Split<'a> = (Sequences<'a>, &'a [f32]);
        fn fails(features: Features, link: Link, outputs: usize, train: Split, valid: Split, expected: &str) {
            let error = format!("{:#}", fit(features, link, outputs, train, valid).unwrap_err());
            assert_eq!(error, expected);
        }
        let (gc, logistic) = (Features::Gc, Link::Logistic);
        fails(gc, logistic, 1, none, good, "training split: there are no sequences");
        fails(gc, logistic, 1, good, none, "validation split: there are no sequences");
        fails(
            gc,
            logistic,
            1,
            (Sequences { length: 0, ..good.0 }, good.1),
            good,
            "training split: there are no sequences",
        );
        fails(
            gc,
            logistic,
            1,
            (Sequences { length: 7, ..good.0 }, good.1),
            good,
            "training split: codes are not whole sequences",
        );
        fails(gc, logistic, 0, good, good, "training split: there are no outputs");
        fails(gc, logistic, 2, good, good, "training split: 4 targets for 4 sequences of 2 outputs");
        for k in [0, 9, 99] {
            fails(
                Features::Kmers { k, both_strands: true },
                logistic,
                1,
                good,
                good,
                &format!("k-mers are 1 to 8 bases long, found {k}"),
            );
        }
        for (length, informative, expected) in [
            (0, 0, "gapped k-mers are 1 to 11 bases long, found 0"),
            (12, 6, "gapped k-mers are 1 to 11 bases long, found 12"),
            (5, 0, "gapped k-mers of 5 bases have 1 to 5 informative positions, found 0"),
            (5, 6, "gapped k-mers of 5 bases have 1 to 5 informative positions, found 6"),
        ] {
            fails(Features::Gapped { length, informative, both_strands: true }, logistic, 1, good, good, expected);
        }
        for (link, target, expected) in [
            (Link::Logistic, 2.0, "a target is 2, expected 0 to 1"),
            (Link::Softmax, 0.5, "a sequence does not have exactly one class"),
            (Link::Softmax, f32::NAN, "a target is NaN"),
            (Link::Identity, f32::INFINITY, "a target is inf"),
            (Link::Log, -1.0, "a target is -1, expected 0 or more"),
        ] {
            let targets = [target, 1.0, 1.0, 1.0];
            fails(gc, link, 1, (good.0, &targets), good, &format!("training split: {expected}"));
        }
    }

    #[test]
    fn the_description_names_model_features_and_penalty() {
        let all = random_codes(10, 400);
        let split = (Sequences { codes: &all, length: 10 }, [0.0f32, 1.0].repeat(20));
        let split = (split.0, split.1.as_slice());
        let fitted = Fitted {
            penalty: 0.3,
            ..fit(Features::Kmers { k: 6, both_strands: true }, Link::Log, 1, split, split).unwrap()
        };
        assert_eq!(
            fitted.describe(),
            "Poisson regression on counts of 6-mers on either strand (2080 features), L2 penalty 0.3"
        );
    }
    #[test]
    fn the_description_of_gapped_kmers_names_word_and_positions() {
        let all = random_codes(11, 400);
        let labels = [0.0f32, 1.0].repeat(20);
        let split = (Sequences { codes: &all, length: 10 }, &labels[..]);
        let features = Features::Gapped { length: 5, informative: 3, both_strands: true };
        let fitted = Fitted { penalty: 10.0, ..fit(features, Link::Logistic, 1, split, split).unwrap() };
        assert_eq!(
            fitted.describe(),
            "logistic regression on counts of gapped k-mers with 3 informative positions in 5 on either strand (320 features), L2 penalty 10"
        );
    }
}
