//! The number that is explained, of those a network gives: the log-odds of a class or a label, or a value. Explanations add
//! up on this scale, where probabilities near 0 and 1 would hide what changes.

use anyhow::{Result, bail};
use tch::{Device, Kind, Tensor};

use crate::config::{Loss, TaskKind};
use crate::data::Classes;
use crate::evaluate;
use crate::model::{Network, ensemble, one_hot};
use crate::task::Task;

/// One number of the answer to a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// Class, label or column.
    pub name: String,
    output: usize,
    quantity: Quantity,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Quantity {
    /// Of a label, or of the positive class of two: a logit over the temperature. Of the other class, its opposite.
    LogOdds { temperature: f64, is_other: bool },
    /// Of a class against all others.
    LogOddsAgainstRest { temperature: f64 },
    /// In the units of its column.
    Value { mean: f64, deviation: f64 },
    /// The logarithm of a predicted count.
    LogCount { mean: f64 },
}

impl Explained {
    /// What `of` names, or of two classes the positive one.
    ///
    /// # Errors
    /// The name is none of the run's, or it is left out where there are several outputs.
    pub fn new(task: &Task, classes: &Classes, of: Option<&str>) -> Result<Self> {
        let names = || classes.names.join(", ");
        let index = match of {
            Some(name) => match classes.names.iter().position(|class| class == name) {
                Some(index) => index,
                None => bail!("--of names '{name}', expected one of {}; correct the name", names()),
            },
            None if task.outputs() > 1 => {
                bail!("the network has {} outputs, expected --of with one of {}; add it", task.outputs(), names())
            }
            None => classes.positive,
        };
        let name = classes.names[index].clone();
        let temperature = task.temperature;
        let (output, quantity) = match task.kind {
            TaskKind::Binary => (0, Quantity::LogOdds { temperature, is_other: index != classes.positive }),
            TaskKind::Multilabel => (index, Quantity::LogOdds { temperature, is_other: false }),
            TaskKind::Multiclass => (index, Quantity::LogOddsAgainstRest { temperature }),
            TaskKind::Regression => {
                let scale = task.scales[index];
                let quantity = match task.loss {
                    Loss::Poisson => Quantity::LogCount { mean: scale.mean },
                    _ => Quantity::Value { mean: scale.mean, deviation: scale.deviation },
                };
                (index, quantity)
            }
        };
        Ok(Self { name, output, quantity })
    }

    /// What it is, in words.
    pub fn description(&self) -> String {
        let name = &self.name;
        match self.quantity {
            Quantity::LogOdds { .. } | Quantity::LogOddsAgainstRest { .. } => format!("log-odds of '{name}'"),
            Quantity::Value { .. } => format!("value of '{name}'"),
            Quantity::LogCount { .. } => format!("logarithm of '{name}'"),
        }
    }

    /// Whether the network predicts a probability of it.
    pub fn is_probability(&self) -> bool {
        matches!(self.quantity, Quantity::LogOdds { .. } | Quantity::LogOddsAgainstRest { .. })
    }

    /// The number itself, f32 `[batch]`, from logits f32 `[batch, outputs]`.
    pub fn of_logits(&self, logits: &Tensor) -> Tensor {
        let own = logits.select(1, self.output as i64);
        match self.quantity {
            Quantity::LogOdds { temperature, is_other } => own / if is_other { -temperature } else { temperature },
            Quantity::LogOddsAgainstRest { temperature } => {
                let (before, after) = (self.output as i64, self.output as i64 + 1);
                let others = [logits.narrow(1, 0, before), logits.narrow(1, after, logits.size()[1] - after)];
                own / temperature - (Tensor::cat(&others, 1) / temperature).logsumexp(1, false)
            }
            Quantity::Value { mean, deviation } => own * deviation + mean,
            Quantity::LogCount { mean } => own + mean.ln(),
        }
    }

    /// What `predict` prints of it: the probability, the value or the count.
    pub fn prediction(&self, number: f64) -> f64 {
        match self.quantity {
            Quantity::LogOdds { .. } | Quantity::LogOddsAgainstRest { .. } => 1.0 / (1.0 + (-number).exp()),
            Quantity::Value { .. } => number,
            Quantity::LogCount { .. } => number.exp(),
        }
    }
}

/// Networks, and the number of theirs that is explained.
#[derive(Clone, Copy)]
pub struct Explainer<'a> {
    pub networks: &'a [Network],
    pub explained: &'a Explained,
    /// Of a sequence, in bp.
    pub length: usize,
}

impl Explainer<'_> {
    /// The number for codes `[n, length]`, as `predict` scores them: both strands as the network does, an ensemble averaged.
    ///
    /// # Errors
    /// The networks return something that is not a number.
    pub fn score(&self, codes: &[u8]) -> Result<Vec<f64>> {
        let mut numbers = Vec::with_capacity(codes.len() / self.length);
        for batch in codes.chunks(evaluate::batch_size(self.length) * self.length) {
            let of_batch = tch::no_grad(|| self.explained.of_logits(&ensemble::logits(self.networks, batch)));
            numbers.extend(finite(&of_batch)?);
        }
        Ok(numbers)
    }

    /// The number for inputs f32 `[n, 4, length]`, which need not be one-hot.
    ///
    /// # Errors
    /// As `score`.
    pub fn score_inputs(&self, inputs: &Tensor) -> Result<Vec<f64>> {
        let numbers = || self.explained.of_logits(&ensemble::logits_of_one_hot(self.networks, inputs));
        finite(&tch::no_grad(numbers))
    }

    /// The gradients of the number with respect to inputs f32 `[n, 4, length]`, of the same shape.
    ///
    /// # Errors
    /// They are not numbers.
    pub fn gradients(&self, inputs: &Tensor) -> Result<Tensor> {
        let inputs = inputs.detach().set_requires_grad(true);
        let numbers = self.explained.of_logits(&ensemble::logits_of_one_hot(self.networks, &inputs));
        // Each number depends on its own sequence alone, so the gradient of their sum holds those of all.
        let gradients = Tensor::run_backward(&[numbers.sum(Kind::Float)], &[&inputs], false, false);
        match gradients.into_iter().next() {
            Some(gradients) => finite(&gradients.sum(Kind::Float)).map(|_| gradients),
            None => bail!("the network's numbers have no gradients, so it cannot be explained; train again"),
        }
    }

    /// A sequence of codes as input f32 `[1, 4, length]`, where the networks are.
    pub fn input(&self, codes: &[u8]) -> Tensor {
        let device = self.networks.first().map_or(Device::Cpu, Network::device);
        one_hot(&crate::model::codes_tensor(codes, self.length, device))
    }
}

fn finite(numbers: &Tensor) -> Result<Vec<f64>> {
    let numbers = Vec::<f64>::try_from(numbers.to_device(Device::Cpu).to_kind(Kind::Double).flatten(0, -1))?;
    if numbers.iter().any(|number| !number.is_finite()) {
        bail!("the network's scores are not finite numbers, so training has diverged; use a smaller --lr");
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClassWeights;
    use crate::data::examples::Examples;

    fn explained(kind: TaskKind, names: &[&str], of: Option<&str>, temperature: f64) -> Result<(Task, Explained)> {
        let classes = Classes::named(names.iter().map(|name| (*name).to_owned()).collect());
        let width = if matches!(kind, TaskKind::Binary | TaskKind::Multiclass) { 1 } else { names.len() };
        let labels: Vec<f32> = (0..3 * width).map(|i| (i % 3 % names.len().max(2)) as f32).collect();
        let examples = Examples::of(&[0; 6], 2, &labels);
        let task = Task { temperature, ..Task::new(kind, &classes, None, &ClassWeights::None, &examples)? };
        let explained = Explained::new(&task, &classes, of)?;
        Ok((task, explained))
    }

    #[test]
    fn the_number_leads_to_the_prediction_whatever_the_question() {
        let logits = Tensor::from_slice(&[0.3f32, -1.0, 2.5, 0.7, 0.1, -3.0]);
        for (kind, names, of, temperature) in [
            (TaskKind::Binary, &["a", "b"][..], None, 1.0),
            (TaskKind::Binary, &["a", "b"], Some("b"), 2.0),
            (TaskKind::Multiclass, &["a", "b", "c"], Some("a"), 1.5),
            (TaskKind::Multiclass, &["a", "b", "c"], Some("c"), 1.0),
            (TaskKind::Multilabel, &["a", "b"], Some("b"), 3.0),
            (TaskKind::Regression, &["x"], None, 1.0),
        ] {
            let (task, explained) = explained(kind, names, of, temperature).unwrap();
            let outputs = task.outputs() as i64;
            let logits = logits.view([-1, outputs]);
            let numbers = finite(&explained.of_logits(&logits)).unwrap();
            let predictions = finite(&task.predictions(&logits)).unwrap();
            let index = names.iter().position(|name| Some(*name) == of).unwrap_or(0);
            for (row, &number) in numbers.iter().enumerate() {
                let expected = match kind {
                    TaskKind::Binary if index == 1 => 1.0 - predictions[row],
                    TaskKind::Binary => predictions[row],
                    _ => predictions[row * outputs as usize + index],
                };
                assert!((explained.prediction(number) - expected).abs() < 1e-6, "{kind:?} {of:?}");
            }
        }
    }

    #[test]
    fn names_are_asked_for_where_there_are_several_and_checked() {
        let error = |kind, names: &[&str], of| explained(kind, names, of, 1.0).unwrap_err().to_string();
        assert!(error(TaskKind::Binary, &["a", "b"], Some("c")).contains("'c', expected one of a, b"));
        assert!(error(TaskKind::Multiclass, &["a", "b", "c"], None).contains("3 outputs, expected --of"));
    }
}
