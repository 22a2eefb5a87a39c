//! Where the networks of a run come from: core computes them itself, and the package `strandnet` with libtorch.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::dataset::Classes;
use crate::dataset::examples::Examples;
use crate::dataset::folds::FoldPlan;
use crate::evaluate::{self, Strand};
use crate::network::inference;
use crate::predict::out_of_fold::{self, OutOfFold};
use crate::run::{FoldFolder, Provenance, RunFolder, WEIGHTS, bias, ensemble_of};
use crate::scorer::Scorer;

/// Networks that score, one or an ensemble.
pub trait Networks: Scorer {
    /// Log counts and profiles of the bias model alone for examples, `[n, outputs]`; nothing where there is none.
    ///
    /// # Errors
    /// The examples cannot be read.
    fn bias_logits_of(&self, examples: &Examples) -> Result<Option<Vec<f32>>>;
}

/// Whether the bias model of a run is added to what its networks give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithBias {
    /// No.
    No,
    /// Where the run has one.
    IfAny,
    /// Yes, and the run must have one.
    Yes,
}

impl WithBias {
    /// As `--with-bias` says.
    pub fn asked(with_bias: bool) -> Self {
        if with_bias { Self::Yes } else { Self::No }
    }

    /// Checks that a run has a bias model where it must.
    ///
    /// # Errors
    /// It has none.
    pub fn check(self, run: &Path, provenance: &Provenance) -> Result<()> {
        let has_bias = provenance.task()?.profile.as_ref().is_some_and(|profile| profile.bias_shift.is_some());
        if self == Self::Yes && !has_bias {
            bail!(
                "{}: has no bias model, expected a run of --task profile trained with --bias; remove --with-bias",
                run.display()
            );
        }
        Ok(())
    }
}

/// A finished run with its networks and their best weights.
pub struct FinishedRun {
    /// The folder itself.
    pub folder: RunFolder,
    /// What `run.json` says.
    pub provenance: Provenance,
    /// Classes, labels or columns.
    pub classes: Classes,
    /// The networks.
    pub networks: Box<dyn Networks>,
}

/// The networks of each fold of a cross-validation.
pub struct FoldNetworks {
    /// The folds.
    pub plan: FoldPlan,
    /// The networks of each.
    pub networks: Vec<Box<dyn Networks>>,
}

impl FoldNetworks {
    /// Networks that go by the chromosome of what they score.
    ///
    /// # Errors
    /// The folds are not of chromosomes.
    pub fn by_chromosome(&self) -> Result<OutOfFold<'_>> {
        let networks = self.networks.iter().map(|networks| {
            let networks: &dyn Scorer = networks.as_ref();
            networks
        });
        OutOfFold::new(&self.plan, networks.collect())
    }
}

/// Opens the networks of runs.
pub trait Backend {
    /// A finished run, or all networks of a cross-validation; `gradients` says that those of the input are going to be asked for.
    ///
    /// # Errors
    /// Its files are missing or damaged, or do not fit together.
    fn open(&self, run: &Path, bias: WithBias, gradients: bool) -> Result<FinishedRun>;

    /// The networks of each fold of a finished cross-validation.
    ///
    /// # Errors
    /// It is none, or its folds are not of chromosomes.
    fn open_folds(&self, run: &Path, bias: WithBias, gradients: bool) -> Result<FoldNetworks>;
}

/// The folds of a finished cross-validation with `members` networks, and how many there are of each.
///
/// # Errors
/// It is none, or its folds are not of chromosomes.
pub fn folds_of(path: &Path, members: usize) -> Result<(FoldFolder, usize)> {
    if !FoldFolder::is_at(path) {
        bail!("{}: is no cross-validation, expected the folder of strandnet cv for --out-of-fold", path.display());
    }
    let folds = FoldFolder::open(path)?;
    out_of_fold::check(&folds.plan)?;
    let count = folds.plan.folds.len();
    if !members.is_multiple_of(count) {
        bail!("{}: holds {members} networks, expected as many for each of {count} folds", path.display());
    }
    Ok((folds, members / count))
}

/// The provenance of the first run of a fold, to whose background its bias model was fitted.
///
/// # Errors
/// There is no finished run.
pub fn first_run_of(folds: &FoldFolder, path: &Path, fold: usize) -> Result<Provenance> {
    let Some(first) = folds.runs_of(path, fold).into_iter().next() else {
        bail!("{}: fold {} has no run", path.display(), fold + 1)
    };
    Ok(RunFolder::open_finished(&first)?.1)
}

/// Networks that core computes itself.
pub struct Core;

impl Networks for inference::Ensemble {
    fn bias_logits_of(&self, examples: &Examples) -> Result<Option<Vec<f32>>> {
        let Some(bias) = self.first().and_then(inference::Network::bias) else { return Ok(None) };
        let mut logits = evaluate::logits_of(bias.ensemble(), examples, Strand::AsGiven)?;
        bias.shift(&mut logits);
        Ok(Some(logits))
    }
}

impl Backend for Core {
    fn open(&self, run: &Path, bias: WithBias, _gradients: bool) -> Result<FinishedRun> {
        let (folder, provenance, ensemble) = open_ensemble(run, bias)?;
        Ok(FinishedRun { folder, classes: provenance.classes()?, provenance, networks: Box::new(ensemble) })
    }

    fn open_folds(&self, run: &Path, bias: WithBias, _gradients: bool) -> Result<FoldNetworks> {
        let (folder, _, ensemble) = open_members(run, bias)?;
        let (folds, each) = folds_of(run, ensemble.len())?;
        let mut left = ensemble.into_members().into_iter();
        let mut networks: Vec<Box<dyn Networks>> = Vec::new();
        for fold in 0..folds.plan.folds.len() {
            let own = inference::Ensemble::new(left.by_ref().take(each).collect());
            let bias = match bias {
                WithBias::No => None,
                _ => bias_of(&folder, &first_run_of(&folds, run, fold)?)?,
            };
            networks.push(Box::new(own.with_bias(bias.as_ref())));
        }
        Ok(FoldNetworks { plan: folds.plan, networks })
    }
}

/// A finished run, or all networks of a cross-validation, as an ensemble that threads can share.
///
/// # Errors
/// Its files are missing or damaged, or do not fit together.
pub fn open_ensemble(run: &Path, bias: WithBias) -> Result<(RunFolder, Provenance, inference::Ensemble)> {
    let (folder, provenance, ensemble) = open_members(run, bias)?;
    let own = if bias == WithBias::No { None } else { bias_of(&folder, &provenance)? };
    Ok((folder, provenance, ensemble.with_bias(own.as_ref())))
}

fn open_members(run: &Path, bias: WithBias) -> Result<(RunFolder, Provenance, inference::Ensemble)> {
    let (folder, provenance) = RunFolder::open_finished(&ensemble_of(run)?)?;
    bias.check(run, &provenance)?;
    let outputs = provenance.task()?.network_outputs();
    let weights = folder.file(WEIGHTS);
    let ensemble = inference::Ensemble::load(&provenance.config, provenance.length, outputs, &weights)?;
    Ok((folder, provenance, ensemble))
}

/// The bias model in a run, moved as the run that `provenance` is of says.
fn bias_of(folder: &RunFolder, provenance: &Provenance) -> Result<Option<Arc<inference::Bias>>> {
    let Some(own) = bias::of_run(folder, provenance.task()?, provenance.length)? else { return Ok(None) };
    let (config, outputs) = (&own.provenance.config, own.provenance.task()?.network_outputs());
    let ensemble = inference::Ensemble::load(config, provenance.length, outputs, &own.weights)?;
    Ok(Some(Arc::new(inference::Bias::new(ensemble, own.shape, own.shift))))
}
