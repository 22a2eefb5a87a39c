//! Trained models: networks as tensors, ensembles of them, and the front door to a finished run.

pub mod bias;
mod control;
pub mod ensemble;
pub mod head;
pub(crate) mod layers;
mod lstm;
pub mod native;
mod network;
mod pooling;
mod profile;
mod scorer;
pub(crate) mod strands;
pub mod tensor_file;
pub mod weights;

use std::path::Path;

use anyhow::{Context, Result, bail};
use strandnet_core::attribute::gradients::{self, Integrated};
use strandnet_core::attribute::target::{Explained, Explainer};
use strandnet_core::config::{AttributionBaseline, TaskKind};
use strandnet_core::dataset::Classes;
use strandnet_core::evaluate;
use strandnet_core::evaluate::results::threshold_of;
use strandnet_core::run::{RunFolder, WEIGHTS, ensemble_of};
use strandnet_core::scorer::Scorer;
use strandnet_core::sequence::alphabet;
use strandnet_core::task::Task;
use tch::Device;

use ensemble::Ensemble;
pub use network::{Forward, Network, codes_tensor, one_hot};

/// A trained model: an ensemble, often of one network, and the task that it answers.
///
/// ```no_run
/// use strandnet::{Model, device};
///
/// # fn main() -> anyhow::Result<()> {
/// let model = Model::load("runs/ctcf", device::auto())?;
/// let sequence = "ACGT".repeat(model.length() / 4);
/// let scores = model.predict(&[sequence])?;
/// println!("{} of {}", scores.row(0)[0], model.output_names()[0]);
/// # Ok(())
/// # }
/// ```
pub struct Model {
    ensemble: Ensemble,
    task: Task,
    classes: Classes,
    threshold: Option<f64>,
}

/// Scores of several sequences: `[n, outputs]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreMatrix {
    outputs: usize,
    values: Vec<f64>,
}

impl ScoreMatrix {
    /// Sequences.
    pub fn len(&self) -> usize {
        self.values.len() / self.outputs.max(1)
    }

    /// Whether there are no sequences.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Scores of a sequence, `[outputs]`.
    ///
    /// # Panics
    /// There are not that many sequences.
    pub fn row(&self, sequence: usize) -> &[f64] {
        &self.values[sequence * self.outputs..(sequence + 1) * self.outputs]
    }

    /// The scores of each sequence, one after another.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks(self.outputs.max(1))
    }

    /// All of them, row by row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}

impl Model {
    /// A model of an ensemble; of two classes, `threshold` is the score from which on a sequence counts as positive.
    pub fn new(ensemble: Ensemble, task: Task, classes: Classes, threshold: Option<f64>) -> Self {
        Self { ensemble, task, classes, threshold }
    }

    /// Loads a finished run folder, or the networks of all folds of a cross-validation.
    ///
    /// # Errors
    /// Files are missing or damaged, or do not fit together.
    pub fn load(run: impl AsRef<Path>, device: Device) -> Result<Self> {
        let (folder, provenance) = RunFolder::open_finished(&ensemble_of(run.as_ref())?)?;
        let task = provenance.task()?.clone();
        let networks = ensemble::load(
            &provenance.config,
            provenance.length,
            task.network_outputs(),
            device,
            &folder.file(WEIGHTS),
        )?;
        let (classes, threshold) = (provenance.classes()?, threshold_of(&folder, &task)?);
        let networks = networks.into_iter().map(Network::finished).collect::<Result<_>>()?;
        Ok(Self { ensemble: Ensemble::new(networks), task, classes, threshold })
    }

    /// Scores sequences of [`Model::length`] bases each, `[n, outputs]`: the probability of the positive class, of each class or
    /// label, or values, as `strandnet predict` writes them.
    ///
    /// # Errors
    /// A sequence has another length, or a byte that is no IUPAC code.
    pub fn predict(&self, sequences: &[impl AsRef<[u8]>]) -> Result<ScoreMatrix> {
        let mut codes = Vec::with_capacity(sequences.len() * self.length());
        for (i, sequence) in sequences.iter().enumerate() {
            self.encode(sequence.as_ref(), &mut codes).with_context(|| format!("sequence {}", i + 1))?;
        }
        let values = evaluate::predict(&self.ensemble, &self.task, &codes)?;
        Ok(ScoreMatrix { outputs: self.task.outputs(), values })
    }

    /// How much each base of a sequence adds to the log-odds of a class or label, or to a value, `[4, length]`, by integrated
    /// gradients. `of` names a
    /// class, label or column, and may be left out where there is one output.
    ///
    /// # Errors
    /// As [`Model::predict`], and where the name is none of the model's.
    pub fn attributions(&self, sequence: impl AsRef<[u8]>, of: Option<&str>) -> Result<Integrated> {
        let mut codes = Vec::new();
        self.encode(sequence.as_ref(), &mut codes)?;
        let explained = Explained::new(&self.task, &self.classes, of)?;
        let path = gradients::Path { baseline: AttributionBaseline::Shuffles, steps: 32, seed: 1 };
        path.integrate(&Explainer { scorer: &self.ensemble, explained: &explained }, &codes, 0..codes.len(), 0)
    }

    /// Bases that a sequence must have.
    pub fn length(&self) -> usize {
        self.ensemble.length()
    }

    /// What each output is: the positive class, or classes, labels or columns.
    pub fn output_names(&self) -> &[String] {
        match self.task.kind {
            TaskKind::Binary => &self.classes.names[self.classes.positive..=self.classes.positive],
            _ => &self.classes.names,
        }
    }

    /// Of two classes, the score from which on a sequence counts as positive, chosen on the validation split.
    pub fn threshold(&self) -> Option<f64> {
        self.threshold
    }

    /// The task that it was trained for.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The networks themselves.
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    fn encode(&self, sequence: &[u8], codes: &mut Vec<u8>) -> Result<()> {
        if sequence.len() != self.length() {
            bail!("has {} bases, expected {}, the model's length; pad or cut it", sequence.len(), self.length());
        }
        alphabet::encode(sequence, codes).map_err(|fault| anyhow::anyhow!("{fault}; correct the sequence"))?;
        Ok(())
    }
}
