//! A run whose training was interrupted: opened again, checked, and found where it stood.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use strandnet_core::config::{Config, DeviceChoice, Faults};
use strandnet_core::progress::Progress;
use strandnet_core::run::{self, Contents, DataFiles, LAST_WEIGHTS, METRICS_JSON, Provenance, RunFolder, SetAside};
use strandnet_core::training::extension::Extension;

use crate::BUILD;
use crate::device::{self, Machine};
use crate::train::checkpoint::Checkpoint;

/// A run folder whose training was interrupted.
pub struct InterruptedRun {
    pub(super) run: RunFolder,
    pub(super) provenance: Provenance,
    /// What `--force` replaces, with the lock of the folder; nothing where another process has it.
    pub(super) replaced: Option<SetAside>,
    pub(super) checkpoint: Option<Checkpoint>,
    /// The configuration, with what `auto` meant when the run began.
    pub config: Config,
    pub(super) machine: Machine,
    /// Epochs to train, where they are not those that the run was begun for.
    pub(super) extended_to: Option<usize>,
    /// Where the run's data files are now.
    pub files: DataFiles,
}

/// How a run is resumed.
#[derive(Clone, Debug, Default)]
pub struct Resumption {
    /// Epochs that it is to have in all, instead of those that it was begun for.
    pub epochs: Option<usize>,
    /// The device, instead of the one that it was begun on.
    pub device: Option<DeviceChoice>,
    /// Whether steps are recorded as a CUDA graph, instead of as they were; never on the CPU.
    pub cuda_graph: Option<bool>,
    /// Folders in which data files are looked for that were moved.
    pub data_roots: Vec<PathBuf>,
    /// Of several processes another has the folder, and this one only reads it.
    pub only_reads: bool,
}

impl InterruptedRun {
    /// Opens a run folder; nothing where the run is finished.
    ///
    /// # Errors
    /// It is in use, damaged or of a version that cannot be resumed, or the run's data files have changed.
    pub fn open(path: &Path, progress: Progress) -> Result<Option<Self>> {
        Self::open_with(path, &Resumption::default(), progress)
    }

    /// Opens a run folder to resume it otherwise than as it was; one that is finished only where it is to have more epochs.
    ///
    /// # Errors
    /// As [`InterruptedRun::open`], and where the run cannot be extended to that many epochs.
    pub fn open_with(path: &Path, how: &Resumption, progress: Progress) -> Result<Option<Self>> {
        let Resumption { epochs, device, cuda_graph, data_roots, only_reads } = how;
        let (run, provenance) = RunFolder::open(path)?;
        provenance.check_trained_here(path, "start from its weights with --init-from")?;
        let replaced = match only_reads {
            true => None,
            false => {
                let lock = run::lock(path)?;
                strandnet_core::files::remove_partial_files(path);
                Some(SetAside::left_in(path, Contents::Run, Some(lock)))
            }
        };
        let is_finished = run.file(METRICS_JSON).is_file();
        let extended_to = (*epochs).filter(|&epochs| is_finished || epochs != provenance.config.training.epochs);
        if is_finished && extended_to.is_none() {
            replaced.map(SetAside::discard);
            return Ok(None);
        }
        if provenance.format_version < run::FIRST_WITH_CHECKSUMS {
            bail!(
                "{}: was begun by strandnet {} in a format whose checkpoints this one cannot resume; use that one, or start again with --force",
                path.display(),
                provenance.version
            );
        }
        let advice = "restore it, or start again with --force";
        let checkpoint = Checkpoint::last_of(&run, progress)?;
        if is_finished && checkpoint.is_none() {
            bail!(
                "{}: is gone, which training goes on from; restore it, or start again with --force",
                run.file(LAST_WEIGHTS).display()
            );
        }
        let files = DataFiles::of_run(&provenance, path, data_roots, advice)?;
        files.notices().for_each(|notice| progress.say(&notice));
        if checkpoint.is_none() || provenance.config.training.ensemble > 1 {
            provenance.check_started_from(advice)?;
        }
        let mut config = files.in_config(&provenance.config_as_run()?);
        if let Some(to) = extended_to {
            progress.say(&extension(to, &config, checkpoint.as_ref()).map_err(|fault| Faults(vec![fault]))?);
            config.training.epochs = to;
        }
        config.training.device = device.unwrap_or(config.training.device);
        config.training.cuda_graph = match cuda_graph {
            Some(recorded) => *recorded,
            None => config.training.cuda_graph && device::choose(config.training.device)?.0.is_cuda(),
        };
        let machine = device::for_training(&config.training)?;
        progress.say(&machine.description);
        let moved = (provenance.device != machine.device_name())
            .then(|| format!("the run was begun on {} and goes on on {}", provenance.device, machine.device_name()));
        for difference in provenance.differences(BUILD).into_iter().chain(moved) {
            progress.warn(&format!(
                "{difference}, so weights may differ in their last bits from those of an uninterrupted run"
            ));
        }
        Ok(Some(Self { run, provenance, replaced, checkpoint, config, machine, extended_to, files }))
    }
}

/// What it means to train a run to `to` epochs in all.
fn extension(to: usize, config: &Config, checkpoint: Option<&Checkpoint>) -> Result<String, String> {
    let from = config.training.epochs;
    let state = checkpoint.map(|checkpoint| &checkpoint.state);
    let trained =
        state.map_or(0, |state| state.history.iter().filter(|row| row.member == state.position.member + 1).count());
    let ended = state.is_some_and(|state| state.position.epoch > from);
    Extension { from, to, trained, ended }.meaning(&config.training)
}
