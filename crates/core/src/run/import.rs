//! Networks that were trained elsewhere, as run folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::classes::Classes;
use crate::config::{Config, DataConfig, Loss, MAX_CLASSES, ModelConfig, Precision, Strands, TaskKind, TrainingConfig};
use crate::evaluate::results::{RunMetrics, SplitMetrics};
use crate::export::{self, python};
use crate::files::{DataFile, describe_file};
use crate::format::printable;
use crate::network::plan::Plan;
use crate::network::tensor_file::{FORMAT_VERSION, Tensor, Values};
use crate::network::weights::About;
use crate::network::{tensor_file, tensors};
use crate::run::{
    BIAS_JSON, BIAS_WEIGHTS, CONFIG_TOML, Contents, ExampleCounts, MODEL_PY, Outcome, OutputFolder, Provenance,
    RUN_JSON, WEIGHTS,
};
use crate::sequence::alphabet::ALPHABET;
use crate::sequence::profile::ProfileShape;
use crate::task::{ProfileTask, Scale, Task};

/// Probability from which an example is called positive by a network whose validation examples nobody knows.
const THRESHOLD: f64 = 0.5;

/// Where the network of a run comes from, if it was trained elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The program that trained it, or the library whose module it was.
    pub source: String,
    /// Order of the bases in the input that it was trained with; here it is A, C, G, T.
    pub alphabet: String,
    /// Files that it was read from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<DataFile>,
}

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
            bail!("there are {count} classes, expected another number for the task; name one for each output");
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
            ..Config::default()
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

impl Origin {
    /// Where a network comes from, as a sentence.
    pub fn in_words(&self) -> String {
        format!(
            "The network was trained elsewhere and imported from {}, so that nothing is known here of its training and its test; evaluate it on data of your own.",
            self.source
        )
    }
}

impl Provenance {
    /// Checks that a run was trained here, so that its data and its untrained network are known.
    ///
    /// # Errors
    /// It was imported; `advice` says what to do.
    pub fn check_trained_here(&self, run: &Path, advice: &str) -> Result<()> {
        match &self.imported {
            Some(Origin { source, .. }) => bail!(
                "{}: was imported from {}, so its training data are not known; {advice}",
                run.display(),
                printable(source)
            ),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::{WithBias, backend::open_ensemble};
    use crate::scorer::Scorer;
    use serde_json::{Value, json};

    /// A network of profiles with a bias model of its own sizes, and tensors of both.
    fn profiles() -> (Value, [Tensors; 2]) {
        let model = |depth: usize, counts: usize| json!({"arch": "bpnet", "filters": 4, "width": 5, "depth": depth, "counts_positions": counts, "pre_activation": depth == 2});
        let description = json!({
            "source": "ChromBPNet", "alphabet": "ACGT", "task": "profile", "classes": ["signal"], "length": 130,
            "model": model(2, 104), "profile": {"tracks": [1], "length": 30},
            "bias": {"source": "ChromBPNet", "model": model(1, 120)},
        });
        (description, [2, 1].map(tensors_of_bpnet))
    }

    fn tensors_of_bpnet(depth: usize) -> Tensors {
        let mut tensors = Tensors::new();
        let mut add = |name: &str, shape: &[usize]| {
            let values = (0..shape.iter().product()).map(|i: usize| (i as f32 * 0.7).sin() * 0.1).collect();
            tensors.insert(format!("{name}.weight"), Tensor::f32(shape, values));
            tensors.insert(format!("{name}.bias"), Tensor::f32([shape[0]], vec![0.1; shape[0]]));
        };
        add("iconv", &[4, 4, 5]);
        (0..depth).for_each(|i| add(&format!("rconvs.{i}"), &[4, 4, 3]));
        add("head.fconv", &[1, 4, 75]);
        add("head.linear", &[1, 4]);
        tensors
    }

    fn written(description: &Value, [weights, of_bias]: &[Tensors; 2], out: &Path) -> Result<()> {
        write(&serde_json::from_value(description.clone())?, weights, of_bias, out, false)
    }

    #[test]
    fn a_network_with_a_bias_model_is_a_run_that_scores_and_has_no_data() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let (description, tensors) = profiles();
        written(&description, &tensors, &out).unwrap();
        let open = |bias| open_ensemble(&out, bias).unwrap();
        let (_, provenance, with_bias) = open(WithBias::Yes);
        let codes: Vec<u8> = (0..130).map(|i| (i * 7 % 5) as u8).collect();
        let [without, with] =
            [open(WithBias::No).2, with_bias].map(|ensemble| ensemble.score(&codes).unwrap().into_logits());
        assert_eq!(without.len(), 31);
        assert!(without[30] < with[30] && without[..30] != with[..30]);
        assert_eq!(provenance.imported.as_ref().unwrap().source, "ChromBPNet");
        let error = provenance.check_trained_here(&out, "name data").unwrap_err().to_string();
        assert!(
            error.contains("run: was imported from ChromBPNet, so its training data are not known; name data"),
            "{error}"
        );
        let page = crate::html::run::report(&crate::html::RunFiles::open(&out).unwrap()).unwrap();
        assert!(page.contains("imported from ChromBPNet") && !page.contains("Largest errors"));
    }

    #[test]
    fn what_does_not_fit_is_a_sentence_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let (description, tensors) = profiles();
        for (change, part) in [
            (
                (|value, _| value["classes"] = json!(["a", "a"])) as fn(&mut Value, &mut [Tensors; 2]),
                "class 'a' is named twice",
            ),
            (|value, _| value["classes"] = json!(["\u{1b}[1m"]), "expected printed letters"),
            (|value, _| value["classes"] = json!([]), "there are 0 classes"),
            (|value, _| value["alphabet"] = json!("ACGG"), "alphabet is 'ACGG'"),
            (|value, _| value["profile"]["tracks"] = json!([3]), "the profile does not fit"),
            (|value, _| value["task"] = json!("regression"), "goes with the task profile alone"),
            (|value, _| value["length"] = json!(0), "fragments have 0 bp"),
            (|value, _| value["model"]["counts_positions"] = json!(0), "counts_positions is 0"),
            (|value, _| value["model"]["arch"] = json!("branched"), "go with --arch bpnet or bias"),
            (|value, _| value["model"]["filters"] = json!(5), "is F32 [1, 4, 75], expected F32 [1, 5, 75]"),
            (|_, tensors| drop(tensors[0].remove("iconv.bias")), "tensor 'iconv.bias' is missing"),
            (|_, tensors| drop(tensors[1].remove("iconv.bias")), "the bias model does not fit"),
            (
                |_, tensors| drop(tensors[0].insert("more".into(), Tensor::f32([1], vec![1.0]))),
                "there is a tensor 'more'",
            ),
            (
                |_, tensors| drop(tensors[0].insert("iconv.bias".into(), Tensor::f32([4], vec![f32::NAN; 4]))),
                "tensor 'iconv.bias' holds values that are not finite",
            ),
            (
                |_, tensors| drop(tensors[0].insert("iconv.bias".into(), Tensor::f32([2, 2], vec![0.0; 4]))),
                "tensor 'iconv.bias' is F32 [2, 2], expected F32 [4]",
            ),
        ] {
            let (mut changed, mut tensors) = (description.clone(), tensors.clone());
            change(&mut changed, &mut tensors);
            let error = format!("{:#}", written(&changed, &tensors, &out).unwrap_err());
            assert!(error.contains(part), "'{part}' is missing from: {error}");
            assert!(!out.exists(), "{error}");
        }
    }
}
