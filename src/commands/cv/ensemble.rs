//! The networks of all folds as one run: an ensemble whose logits are averaged. What calibrates each run, and the scale of its
//! values, goes into the last layer of its networks, so that all of them answer alike.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use strandnet_core::config::{CalibrationMethod, Loss, SourceKind, TaskKind};
use strandnet_core::dataset::{Classes, manifest};
use strandnet_core::evaluate::results::RunMetrics;
use strandnet_core::run::{
    BIAS_JSON, BIAS_WEIGHTS, CONFIG_TOML, EXAMPLES_TSV, ExampleCounts, FoldFolder, Outcome, Provenance, RUN_JSON,
    RunFolder, WEIGHTS,
};
use strandnet_core::task::calibration::Calibration;
use strandnet_core::task::{Scale, Task};
use tch::{Device, Kind, Tensor};

use crate::export;
use crate::model::ensemble::{self, Ensemble};
use crate::model::{Network, weights};
use crate::no_grad::no_grad;

/// A network in its new form may differ from its old one by this much, of logits up to a hundred.
const LARGEST_DIFFERENCE: f64 = 1e-3;

/// The networks of all runs.
pub struct Members {
    /// The networks, fold by fold and seed by seed.
    pub networks: Vec<Network>,
    /// The fold of each.
    pub folds: Vec<usize>,
    /// The task that all of them answer.
    pub task: Task,
    /// The classes.
    pub classes: Classes,
    /// What the run says of itself.
    pub provenance: Provenance,
}

impl Members {
    /// Opens the networks of all runs, on the CPU.
    ///
    /// # Errors
    /// A run is damaged, or the runs do not answer the same question.
    pub fn open(path: &Path, folds: &FoldFolder) -> Result<Self> {
        let mut runs = Vec::new();
        for fold in 0..folds.plan.folds.len() {
            for run in folds.runs_of(path, fold) {
                let (folder, provenance) = RunFolder::open_finished(&run)?;
                runs.push((fold, folder, provenance));
            }
        }
        let (_, _, first) = &runs[0];
        let classes = first.classes()?;
        for (_, folder, provenance) in &runs {
            if provenance.classes()? != classes || provenance.length != first.length {
                bail!(
                    "{}: answers another question than the first fold, expected the same classes and length; name them with --classes and --length",
                    folder.path.display()
                );
            }
        }
        let tasks: Vec<&Task> = runs.iter().map(|(_, _, provenance)| &provenance.task).collect();
        let task = common_task(&tasks);
        let (mut networks, mut of_fold, mut epochs) = (Vec::new(), Vec::new(), Vec::new());
        for (fold, folder, provenance) in &runs {
            let own = provenance.task()?;
            let outputs = own.network_outputs();
            let members =
                ensemble::load(&provenance.config, provenance.length, outputs, Device::Cpu, &folder.file(WEIGHTS))?;
            for network in members {
                into_last_layer(&network, &affine(own, &task)).with_context(|| folder.path.display().to_string())?;
                networks.push(network.finished()?);
                of_fold.push(*fold);
            }
            epochs.extend(provenance.outcome.iter().flat_map(|outcome| outcome.best_epochs.iter().copied()));
        }
        let mut config = folds.config_of_ensemble(&first.config, networks.len());
        if config.data.source() == SourceKind::Regions && config.data.train_chroms.is_empty() {
            // Examples were dealt one by one, so that there is something learned of every chromosome.
            let splits = first.resolved.iter().flat_map(|resolved| resolved.splits());
            let names = splits.flat_map(|(_, split)| split.chromosomes.iter().cloned());
            config.data.train_chroms = names.collect::<BTreeSet<String>>().into_iter().collect();
        }
        let n = first.examples;
        let provenance = Provenance {
            seed: folds.config.training.seed,
            command: folds.command.clone(),
            task: task.clone(),
            examples: ExampleCounts { train: n.train + n.valid + n.test, valid: 0, test: 0 },
            largest_n: runs.iter().map(|(_, _, provenance)| provenance.largest_n).max().flatten(),
            data_warnings: Vec::new(),
            config,
            resolved: None,
            started_from: Vec::new(),
            resumed: Vec::new(),
            // Nothing was trained here.
            outcome: Some(Outcome { best_epochs: epochs, restarts: 0, seconds: 0.0, warnings: Vec::new() }),
            ..first.clone()
        };
        Ok(Self { networks, folds: of_fold, task, classes, provenance })
    }

    /// Writes them as a run folder, but for the metrics that make it a finished one.
    ///
    /// # Errors
    /// A file cannot be written, or the model cannot be exported.
    pub fn write(&self, path: &Path, first_run: &Path, threshold: Option<f64>) -> Result<RunFolder> {
        if path.exists() {
            std::fs::remove_dir_all(path).map_err(|error| strandnet_core::run::cannot_write(path, &error))?;
        }
        std::fs::create_dir_all(path).map_err(|error| strandnet_core::run::cannot_write(path, &error))?;
        let folder = RunFolder { path: path.into() };
        let Self { networks, task, classes, provenance, .. } = self;
        let refs: Vec<&Network> = networks.iter().collect();
        let epochs = provenance.outcome.as_ref().map_or_else(Vec::new, |outcome| outcome.best_epochs.clone());
        weights::save(&refs, &epochs, &folder.file(WEIGHTS))?;
        if task.profile.as_ref().is_some_and(|profile| profile.bias_shift.is_some()) {
            for name in [BIAS_JSON, BIAS_WEIGHTS] {
                let from = first_run.join(name);
                let bytes = std::fs::read(&from).with_context(|| format!("{}: cannot be read", from.display()))?;
                folder.write(name, &bytes)?;
            }
        }
        let listing = first_run.join(EXAMPLES_TSV);
        if listing.is_file() {
            folder.write(EXAMPLES_TSV, &manifest::as_training(&listing)?)?;
        }
        folder.write_json(RUN_JSON, provenance)?;
        folder.write(CONFIG_TOML, provenance.config.to_toml().as_bytes())?;
        let (config, length) = (&provenance.config, provenance.length);
        export::write_models(config, task, classes, length, threshold, &folder)?;
        Ok(folder)
    }

    /// The networks, fold by fold.
    pub fn by_fold(networks: Vec<Network>, folds: &[usize]) -> Vec<Ensemble> {
        let count = folds.iter().max().map_or(0, |last| last + 1);
        let mut each: Vec<Vec<Network>> = (0..count).map(|_| Vec::new()).collect();
        networks.into_iter().zip(folds).for_each(|(network, &fold)| each[fold].push(network));
        each.into_iter().map(Ensemble::new).collect()
    }
}

/// Finishes the folder of an ensemble.
///
/// # Errors
/// A file cannot be written.
pub fn finish(folder: &RunFolder, metrics: &RunMetrics) -> Result<()> {
    folder.finish(metrics)
}

/// The task of runs, without what is their own: calibrations, and scales of values, which are the mean ones.
fn common_task(tasks: &[&Task]) -> Task {
    let n = tasks.len() as f64;
    let mean = |of: &dyn Fn(&Task) -> f64| tasks.iter().map(|task| of(task)).sum::<f64>() / n;
    let first = tasks[0];
    let mut task = first.clone();
    let scale =
        |i: usize| Scale { mean: mean(&|task| task.scales[i].mean), deviation: mean(&|task| task.scales[i].deviation) };
    task.scales = (0..first.scales.len()).map(scale).collect();
    task.has_missing = tasks.iter().any(|task| task.has_missing);
    let has_prior = tasks.iter().all(|task| task.calibration.prior.len() == first.calibration.prior.len());
    let prior = |i: usize| mean(&|task| task.calibration.prior[i]);
    task.calibration = Calibration {
        method: CalibrationMethod::None,
        prior: if has_prior { (0..first.calibration.prior.len()).map(prior).collect() } else { Vec::new() },
        prevalence: first.calibration.prevalence,
        ..Calibration::default()
    };
    if let Some(profile) = &mut task.profile {
        let shift = |i: usize| {
            let of = |task: &Task| task.profile.as_ref().and_then(|profile| Some(profile.bias_shift.as_ref()?[i]));
            mean(&|task| of(task).unwrap_or(0.0))
        };
        profile.bias_shift = profile.bias_shift.as_ref().map(|own| (0..own.len()).map(shift).collect());
    }
    task
}

/// What the logits of each output of a run's networks are multiplied by, and what is added then, to answer the common task.
fn affine(own: &Task, common: &Task) -> Vec<(f64, f64)> {
    match own.kind {
        TaskKind::Binary | TaskKind::Multilabel | TaskKind::Multiclass => {
            (0..own.outputs()).map(|output| (own.calibration.scale(output), own.calibration.bias(output))).collect()
        }
        TaskKind::Profile => Vec::new(),
        TaskKind::Regression => {
            let of = |(own, common): (&Scale, &Scale)| {
                (own.deviation / common.deviation, (own.mean - common.mean) / common.deviation)
            };
            let of_rate = |(own, common): (&Scale, &Scale)| (1.0, (own.mean / common.mean).ln());
            let each = own.scales.iter().zip(&common.scales);
            if own.loss == Loss::Poisson { each.map(of_rate).collect() } else { each.map(of).collect() }
        }
    }
}

/// Makes a network give other logits: each output's times a factor, and something added.
fn into_last_layer(network: &Network, affine: &[(f64, f64)]) -> Result<()> {
    if affine.iter().all(|&pair| pair == (1.0, 0.0)) {
        return Ok(());
    }
    let paths: Vec<String> = network.plan.output_paths().into_iter().map(str::to_owned).collect();
    let [path] = &paths[..] else { bail!("has {} last layers, expected one", paths.len()) };
    let variables = network.store.variables();
    let (Some(weight), Some(bias)) = (variables.get(&format!("{path}.weight")), variables.get(&format!("{path}.bias")))
    else {
        bail!(
            "its last layer has no weight and bias of its own, expected both to take up its calibration; use --calibration none"
        );
    };
    let codes: Vec<u8> = (0..4 * network.length).map(|i| ((i * 7 + i / 5 + i * i / 11) % 4) as u8).collect();
    let before = numbers(&no_grad(|| network.score(&codes)))?;
    let outputs = affine.len() as i64;
    if bias.size() != [outputs] || weight.size()[0] != outputs {
        bail!("its last layer has {:?} biases, expected {outputs}; use --calibration none", bias.size());
    }
    let of = |value: fn(&(f64, f64)) -> f64| Tensor::from_slice(&affine.iter().map(value).collect::<Vec<f64>>());
    let (factor, added) = (of(|pair| pair.0), of(|pair| pair.1));
    let shape: Vec<i64> = std::iter::once(outputs).chain(std::iter::repeat_n(1, weight.dim() - 1)).collect();
    no_grad(|| {
        let scaled = (weight.to_kind(Kind::Double) * factor.view(&shape[..])).to_kind(Kind::Float);
        let moved = (bias.to_kind(Kind::Double) * &factor + &added).to_kind(Kind::Float);
        weight.shallow_clone().copy_(&scaled);
        bias.shallow_clone().copy_(&moved);
    });
    let after = numbers(&no_grad(|| network.score(&codes)))?;
    let along = before.len() / 4 / affine.len().max(1);
    for (i, (before, after)) in before.iter().zip(&after).enumerate() {
        let (factor, added) = affine[i / along.max(1) % affine.len()];
        let expected = before * factor + added;
        if (after - expected).abs() > LARGEST_DIFFERENCE * expected.abs().max(1.0) {
            bail!(
                "its last layer does not take up its calibration ({after} instead of {expected}); use --calibration none, and please report this"
            );
        }
    }
    Ok(())
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(Vec::<f64>::try_from(tensor.to_kind(Kind::Double).flatten(0, -1))?)
}
