//! Networks that libtorch computes, as core's commands take them.

use std::path::Path;

use anyhow::Result;
use tch::Device;

use crate::cli::Compute;
use crate::device;
use crate::model::Network;
use crate::model::bias::Bias;
use crate::model::ensemble::{self, Ensemble};
use strandnet_core::commands::backend::{first_run_of, folds_of};
use strandnet_core::commands::{self, Backend, FoldNetworks, Networks, WithBias};
use strandnet_core::config::layers::Layer;
use strandnet_core::dataset::Classes;
use strandnet_core::dataset::examples::Examples;
use strandnet_core::progress::Progress;
use strandnet_core::run::{FoldFolder, Provenance, RunFolder, WEIGHTS, ensemble_of};

/// A finished run with its networks, one or an ensemble, and their best weights.
pub struct FinishedRun {
    /// The folder itself.
    pub folder: RunFolder,
    /// What `run.json` says.
    pub provenance: Provenance,
    /// Classes, labels or columns.
    pub classes: Classes,
    /// The networks.
    pub ensemble: Ensemble,
}

impl FinishedRun {
    /// The same with the bias model added that the run has, as it was trained and is judged.
    ///
    /// # Errors
    /// The files of the bias model are damaged.
    pub fn with_bias(self, device: Device) -> Result<Self> {
        let Self { folder, provenance, classes, ensemble } = self;
        let bias = Bias::of_run(&folder, provenance.task()?, provenance.length, device)?;
        let networks = ensemble.into_members().into_iter().map(|network| network.with_bias(bias.clone()));
        Ok(Self { ensemble: Ensemble::new(networks.collect()), folder, provenance, classes })
    }
}

/// Opens a finished run with its networks on a device, computing all of them with libtorch if `no_native` or the run says so.
///
/// # Errors
/// Its files are missing or damaged, or do not fit together.
pub fn open_run(path: &Path, device: Device, no_native: bool) -> Result<FinishedRun> {
    let (folder, provenance) = RunFolder::open_finished(&ensemble_of(path)?)?;
    let outputs = provenance.task()?.network_outputs();
    let classes = provenance.classes()?;
    let networks = ensemble::load(&provenance.config, provenance.length, outputs, device, &folder.file(WEIGHTS))?;
    let ensemble: Vec<Network> =
        networks.into_iter().map(|network| network.without_native(no_native).finished()).collect::<Result<_>>()?;
    if ensemble.iter().all(|network| network.all_native().is_some()) {
        device::leave_to_native();
    }
    Ok(FinishedRun { folder, provenance, classes, ensemble: Ensemble::new(ensemble) })
}

/// Networks on libtorch, on a device.
pub struct LibTorch {
    device: Device,
    no_native: bool,
    progress: Progress,
}

impl LibTorch {
    /// On the device and with the threads that flags name.
    ///
    /// # Errors
    /// There is no such device.
    pub fn new(compute: &Compute, progress: Progress) -> Result<Self> {
        let (device, _) = device::choose(compute.device)?;
        device::set_threads(compute.threads.map(usize::from));
        Ok(Self { device, no_native: compute.no_native, progress })
    }

    /// A run on the device, or on the CPU where that has gradients and the device has not.
    fn open_run(&self, path: &Path, bias: WithBias, gradients: bool) -> Result<(FinishedRun, Device)> {
        let run = open_run(path, self.device, self.no_native)?;
        bias.check(path, &run.provenance)?;
        let steps = run.ensemble.iter().flat_map(|network| &network.plan.steps);
        let mut layers = steps.flat_map(|step| std::iter::once(step).chain(step.within()));
        // CUDA's LSTM keeps what gradients need in training only.
        let needs_cpu =
            self.device.is_cuda() && gradients && layers.any(|step| matches!(step.layer, Layer::Lstm { .. }));
        if !needs_cpu {
            return Ok((run, self.device));
        }
        self.progress.say("the network has an LSTM, whose gradients are computed on the CPU");
        Ok((open_run(path, Device::Cpu, self.no_native)?, Device::Cpu))
    }
}

impl Networks for Ensemble {
    fn bias_logits_of(&self, examples: &Examples) -> Result<Option<Vec<f32>>> {
        self.first().and_then(Network::bias).map(|bias| bias.logits_of(examples)).transpose()
    }
}

impl Backend for LibTorch {
    fn open(&self, path: &Path, bias: WithBias, gradients: bool) -> Result<commands::FinishedRun> {
        let (run, device) = self.open_run(path, bias, gradients)?;
        let run = if bias == WithBias::No { run } else { run.with_bias(device)? };
        let FinishedRun { folder, provenance, classes, ensemble } = run;
        Ok(commands::FinishedRun { folder, provenance, classes, networks: Box::new(ensemble) })
    }

    fn open_folds(&self, path: &Path, bias: WithBias, gradients: bool) -> Result<FoldNetworks> {
        let (run, _) = self.open_run(path, bias, gradients)?;
        let (folds, each) = folds_of(path, run.ensemble.len())?;
        let mut left = run.ensemble.into_members().into_iter();
        let mut networks: Vec<Box<dyn Networks>> = Vec::new();
        for fold in 0..folds.plan.folds.len() {
            let own = Ensemble::new(left.by_ref().take(each).collect());
            networks.push(Box::new(match bias {
                WithBias::No => own,
                _ => with_bias_of_fold(own, &run.folder, path, &folds, fold)?,
            }));
        }
        Ok(FoldNetworks { plan: folds.plan, networks })
    }
}

/// Networks of a fold with the bias model of their ensemble, fitted as it was to the background of that fold; as they are where there is
/// none.
///
/// # Errors
/// The fold has no finished run, or the files of the bias model are damaged.
pub fn with_bias_of_fold(
    networks: Ensemble,
    ensemble: &RunFolder,
    path: &Path,
    folds: &FoldFolder,
    fold: usize,
) -> Result<Ensemble> {
    let first = first_run_of(folds, path, fold)?;
    let bias = Bias::of_run(ensemble, first.task()?, first.length, networks.device())?;
    Ok(if bias.is_some() { networks.with_bias(bias.as_ref()) } else { networks })
}
