//! Networks that were trained elsewhere, as run folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use crate::classes::Classes;
use crate::config::{Config, DataConfig, Loss, MAX_CLASSES, ModelConfig, Precision, Strands, TaskKind, TrainingConfig};
use crate::evaluate::results::{RunMetrics, SplitMetrics};
use crate::export::{self, python};
use crate::files::describe_file;
use crate::format::printable;
use crate::network::plan::Plan;
use crate::network::tensor_file::{FORMAT_VERSION, Tensor, Values};
use crate::network::weights::About;
use crate::network::{tensor_file, tensors};
use crate::run::{
    BIAS_JSON, BIAS_WEIGHTS, CONFIG_TOML, Contents, ExampleCounts, MODEL_PY, Origin, Outcome, OutputFolder, Provenance,
    RUN_JSON, WEIGHTS,
};
use crate::sequence::alphabet::ALPHABET;
use crate::sequence::profile::ProfileShape;
use crate::task::{ProfileTask, Scale, Task};

/// Probability from which an example is called positive by a network whose validation examples nobody knows.
const THRESHOLD: f64 = 0.5;

/// A network from elsewhere, without its weights.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// As [`Origin::source`].
    pub source: String,
    /// As [`Origin::files`].
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// As [`Origin::alphabet`].
    pub alphabet: String,
    /// The kind of task.
    pub task: TaskKind,
    /// Classes, labels or columns; of profiles, the groups of tracks.
    pub classes: Vec<String>,
    /// Of two classes, the one whose logit the network gives.
    #[serde(default)]
    pub positive: Option<String>,
    /// Length of a sequence, in bp.
    pub length: usize,
    /// The architecture.
    pub model: ModelConfig,
    /// What a network of profiles predicts.
    #[serde(default)]
    pub profile: Option<ProfileShape>,
    /// A bias model that is added to it.
    #[serde(default)]
    pub bias: Option<Bias>,
}

/// A bias model from elsewhere, which predicts the same as the network that it is added to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bias {
    /// As [`Origin::source`].
    pub source: String,
    /// As [`Origin::files`].
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// The architecture.
    pub model: ModelConfig,
}

/// Tensors by their names in the `state_dict` of the same network in PyTorch.
pub type Tensors = BTreeMap<String, Tensor>;

/// Writes a network with its weights, and those of its bias model, as a finished run.
///
/// # Errors
/// The description does not fit together, a tensor is missing, has another shape or is not finite, or the folder cannot be written.
pub fn write(description: &Description, weights: &Tensors, of_bias: &Tensors, out: &Path, force: bool) -> Result<()> {
    let task = description.task()?;
    let provenance = description.provenance(&task, weights)?;
    let bias = match &description.bias {
        Some(bias) => {
            let without_control = description.profile.clone().map(|shape| ProfileShape { control: 0, ..shape });
            let own = Description {
                source: bias.source.clone(),
                files: bias.files.clone(),
                model: bias.model.clone(),
                profile: without_control,
                bias: None,
                ..description.clone()
            };
            Some((own.provenance(&own.task()?, of_bias).context("the bias model does not fit")?, of_bias))
        }
        None => None,
    };
    let config = &provenance.config;
    let classes = provenance.classes()?;
    let threshold = (task.kind == TaskKind::Binary).then_some(THRESHOLD);
    let network = export::Network::new(config, &task, &classes, provenance.length, threshold)?;
    let module = python::source(&network);
    let metrics = RunMetrics {
        valid: SplitMetrics { threshold, ..SplitMetrics::default() },
        test: SplitMetrics { threshold, ..SplitMetrics::default() },
        baselines: Vec::new(),
        by_similarity: Vec::new(),
    };

    let (folder, replaced) = OutputFolder::create(out, Contents::Run, force)?.keep()?;
    let about = About { epochs: provenance.outcome.iter().flat_map(|outcome| outcome.best_epochs.clone()).collect() };
    tensor_file::write(weights, &about, &folder.file(WEIGHTS), None)?;
    if let Some((provenance, weights)) = &bias {
        folder.write_json(BIAS_JSON, provenance)?;
        tensor_file::write(weights, &about, &folder.file(BIAS_WEIGHTS), None)?;
    }
    folder.write(CONFIG_TOML, config.to_toml().as_bytes())?;
    folder.write(MODEL_PY, module.as_bytes())?;
    folder.write_json(RUN_JSON, &provenance)?;
    folder.finish(&metrics)?;
    replaced.discard();
    Ok(())
}

impl Description {
    fn task(&self) -> Result<Task> {
        let Self { classes, positive, task: kind, .. } = self;
        for (i, name) in classes.iter().enumerate() {
            if name.trim().is_empty() || name.chars().any(char::is_control) {
                bail!("a class is named '{}', expected printed letters; give it another name", printable(name));
            }
            if name.contains([',', '=']) {
                bail!(
                    "class '{}' has a comma or an equals sign in its name, expected neither; rename it",
                    printable(name)
                );
            }
            if classes[..i].contains(name) {
                bail!("class '{}' is named twice, expected different names; rename one", printable(name));
            }
        }
        let count = classes.len();
        let is_binary = *kind == TaskKind::Binary;
        let fits = match kind {
            TaskKind::Binary => count == 2,
            TaskKind::Multiclass => (3..=MAX_CLASSES).contains(&count),
            _ => (1..=MAX_CLASSES).contains(&count),
        };
        if !fits {
            bail!("there are {count} classes, expected one for each output and at most {MAX_CLASSES}; name as many");
        }
        let place = match positive {
            Some(name) => {
                classes.iter().position(|class| class == name).filter(|_| is_binary).ok_or_else(|| {
                    anyhow!("positive is '{}', expected one of two classes; correct it", printable(name))
                })?
            }
            None => usize::from(is_binary),
        };
        if self.profile.is_some() != (*kind == TaskKind::Profile) {
            bail!("a network of profiles goes with the task profile alone; change one");
        }
        let profile = self.profile.as_ref().map(|shape| ProfileTask {
            shape: shape.clone(),
            counts_weight: 1.0,
            of_background: false,
            bias_shift: self.bias.as_ref().map(|_| vec![0.0; count]),
        });
        if !profile.as_ref().is_none_or(|profile| profile.fits(count)) {
            bail!(
                "the profile does not fit, expected one or two tracks for each group and at most two of a control; correct it"
            );
        }
        let scale = Scale { mean: 0.0, deviation: 1.0 };
        Ok(Task {
            kind: *kind,
            loss: match kind {
                TaskKind::Profile => Loss::Multinomial,
                TaskKind::Regression => Loss::Mse,
                TaskKind::Binary | TaskKind::Multiclass | TaskKind::Multilabel => Loss::CrossEntropy,
            },
            positive: if is_binary { place } else { 0 },
            count,
            bins: None,
            profile,
            weights: Vec::new(),
            scales: if kind.predicts_values() { vec![scale; count] } else { Vec::new() },
            has_missing: false,
            monitor: None,
            label_smoothing: 0.0,
            calibration: Default::default(),
        })
    }

    /// What `run.json` says, of a network with these weights.
    fn provenance(&self, task: &Task, weights: &Tensors) -> Result<Provenance> {
        let mut letters: Vec<char> = self.alphabet.chars().collect();
        letters.sort_unstable();
        if letters != ALPHABET.chars().collect::<Vec<_>>() {
            bail!(
                "alphabet is '{}', expected the letters A, C, G and T in some order; correct it",
                printable(&self.alphabet)
            );
        }
        let strands = Strands::Single;
        let plan = Plan::new(&self.model, self.length, task.network_outputs(), strands)?;
        check(&tensors::shapes(&plan), weights)?;
        let config = Config {
            data: DataConfig { length: Some(self.length), ..DataConfig::default() },
            model: self.model.clone(),
            training: TrainingConfig { strands, epochs: 1, ..TrainingConfig::default() },
        };
        if let Some(fault) = config.faults().into_iter().next() {
            bail!(fault);
        }
        let classes = Classes { names: self.classes.clone(), positive: task.positive };
        Ok(Provenance {
            format_version: FORMAT_VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            git_revision: String::new(),
            libtorch: String::new(),
            device: "Cpu".into(),
            threads: 1,
            processes: 1,
            precision: Precision::F32,
            seed: config.training.seed,
            command: Vec::new(),
            data_files: Vec::new(),
            positive: (task.kind == TaskKind::Binary).then(|| classes.positive_name().to_owned()),
            classes: classes.names,
            task: task.clone(),
            length: self.length,
            parameter_count: plan.parameters(),
            examples: ExampleCounts { train: 0, valid: 0, test: 0 },
            largest_n: None,
            config,
            resolved: None,
            data_warnings: Vec::new(),
            started_from: Vec::new(),
            resumed: Vec::new(),
            imported: Some(Origin {
                source: self.source.clone(),
                alphabet: self.alphabet.clone(),
                files: self.files.iter().map(|path| describe_file(path)).collect::<Result<_>>()?,
            }),
            outcome: Some(Outcome { best_epochs: vec![1], restarts: 0, seconds: 0.0, warnings: Vec::new() }),
        })
    }
}

/// Checks that there are these tensors and no others.
fn check(shapes: &BTreeMap<String, Vec<usize>>, weights: &Tensors) -> Result<()> {
    for (name, shape) in shapes {
        let Some(tensor) = weights.get(name) else {
            bail!("tensor '{name}' is missing, which a network of these layers has; give its weights");
        };
        let expected = Tensor::f32(shape.clone(), Vec::new());
        let is_whole =
            |values: &Values| matches!(values, Values::F32(values) if values.len() == shape.iter().product::<usize>());
        if tensor.shape != *shape || !is_whole(&tensor.values) {
            bail!(
                "tensor '{name}' is {}, expected {} by the layers; correct one of them",
                tensor.describe(),
                expected.describe()
            );
        }
        if !matches!(&tensor.values, Values::F32(values) if values.iter().all(|value| value.is_finite())) {
            bail!("tensor '{name}' holds values that are not finite; train the network again");
        }
    }
    match weights.keys().find(|name| !shapes.contains_key(*name)) {
        Some(name) => {
            bail!("there is a tensor '{}', which a network of these layers lacks; leave it out", printable(name))
        }
        None => Ok(()),
    }
}
