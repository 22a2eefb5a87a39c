//! The front door of training: from a configuration and a dataset to a trained, calibrated, evaluated model, and to a run folder
//! if one is wanted.

mod bias;
mod evaluation;
mod interrupted;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use strandnet_core::config::{Architecture, BatchSize, Config, DeviceChoice, TaskKind, TrainingConfig};
use strandnet_core::dataset::{Dataset, manifest};
use strandnet_core::evaluate;
use strandnet_core::evaluate::baselines;
use strandnet_core::evaluate::calibration::Calibrator;
use strandnet_core::evaluate::dependence;
use strandnet_core::evaluate::enzyme::{EnzymeFootprint, ProfileBaselines};
use strandnet_core::evaluate::results::RunMetrics;
use strandnet_core::files::streams;
use strandnet_core::format::{counted, thousands};
use strandnet_core::html;
use strandnet_core::interrupt::{Cause, Interrupt};
use strandnet_core::metrics::Resampling;
use strandnet_core::progress::Progress;
use strandnet_core::run::{
    self, CHECKSUMS, CONFIG_TOML, Contents, DataFile, EXAMPLES_TSV, ExampleCounts, METRICS_JSON, MovedFile, Outcome,
    OutputFolder, PROFILE_BASELINES_JSON, Provenance, RUN_JSON, Resolved, RunFolder, SetAside, WEIGHTS, resolved,
};
use strandnet_core::task::Task;
use strandnet_core::training::memory::{self, Memory};
use strandnet_core::training::{Summary, advice};

use crate::BUILD;
use crate::device::{self, Machine};
use crate::distributed::{Group, Hello};
use crate::model::bias::{self as bias_model, Bias};
use crate::model::{Model, Network};
use crate::train::checkpoint::Checkpoint;
use crate::train::hooks::{Checkpoints, Hook, OnSignal};
use crate::train::{self, Setup, Trained, batch_size};
use evaluation::{Logits, evaluate_and_export};
pub use interrupted::{InterruptedRun, Resumption};

/// Time between checkpoints within an epoch, where nothing is said.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(600);

/// Trains networks as a configuration says.
///
/// ```no_run
/// use strandnet::config::Config;
/// use strandnet::Trainer;
/// use strandnet::dataset::{self, LoadRequest};
/// use strandnet::progress::Progress;
///
/// # fn main() -> anyhow::Result<()> {
/// let config = Config::default(); // simulated genomes, the default network
/// let dataset = dataset::load(&LoadRequest::new(&config.data, config.training.seed, &Progress::Quiet))?;
/// let run = Trainer::new(config).in_folder("runs/demo").fit(&dataset)?;
/// println!("{}", run.report);
/// # Ok(())
/// # }
/// ```
pub struct Trainer {
    config: Config,
    folder: Option<OutputFolder>,
    out: Option<PathBuf>,
    progress: Progress,
    checkpoint_every: Duration,
    stops_on_signals: bool,
    data_warnings: Vec<String>,
    hooks: Vec<Box<dyn Hook>>,
    moved_files: Vec<MovedFile>,
    group: Option<Rc<Group>>,
}

/// A trained ensemble, often of one, and what its training and evaluation came to.
pub struct TrainedRun {
    /// Calibrated, with the threshold that validation chose.
    pub model: Model,
    /// Every epoch of every member.
    pub summary: Summary,
    /// What `metrics.json` holds.
    pub metrics: RunMetrics,
    /// The metrics of the test split as a table for people.
    pub report: String,
    /// What the user should know of how training went.
    pub warnings: Vec<String>,
    /// Where everything was written, if anywhere.
    pub folder: Option<RunFolder>,
}

impl Trainer {
    /// A quiet trainer that writes nothing.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            folder: None,
            out: None,
            progress: Progress::Quiet,
            checkpoint_every: CHECKPOINT_EVERY,
            stops_on_signals: false,
            data_warnings: Vec::new(),
            hooks: Vec::new(),
            moved_files: Vec::new(),
            group: None,
        }
    }

    /// Writes a run folder, which must not exist yet.
    pub fn in_folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.out = Some(path.into());
        self
    }

    /// Writes into an output folder that is created already.
    pub fn in_output_folder(mut self, folder: OutputFolder) -> Self {
        self.folder = Some(folder);
        self
    }

    /// Tells the user how training goes.
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Time between checkpoints within an epoch; there is one after each epoch too.
    pub fn checkpoint_every(mut self, every: Duration) -> Self {
        self.checkpoint_every = every;
        self
    }

    /// Ends training with a checkpoint on Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP. Before its first step and after its last, they end the program
    /// at once.
    pub fn stop_on_signals(mut self) -> Self {
        self.stops_on_signals = true;
        self
    }

    /// Records what was found wrong with the data, for `run.json` and the report.
    pub fn with_data_warnings(mut self, warnings: Vec<String>) -> Self {
        self.data_warnings = warnings;
        self
    }

    /// Asks a hook after every step and epoch.
    pub fn with_hook(mut self, hook: impl Hook + 'static) -> Self {
        self.hooks.push(Box::new(hook));
        self
    }

    /// Records that data files were found elsewhere than where the configuration named them.
    pub fn with_moved_files(mut self, moved: Vec<MovedFile>) -> Self {
        self.moved_files = moved;
        self
    }

    /// Trains together with other processes, of which the first writes and the others [take part](Self::take_part).
    pub(crate) fn with_group(mut self, group: Option<Rc<Group>>) -> Self {
        self.group = group;
        self
    }

    /// Trains, chooses the epoch, the calibration and the threshold on the validation split, and evaluates on the test split.
    /// With a folder, everything is written there, and the run can be resumed if it is interrupted.
    ///
    /// # Errors
    /// The configuration does not go with the data or the machine, there is too little memory, training diverges, or the folder
    /// cannot be written.
    pub fn fit(self, data: &Dataset) -> Result<TrainedRun> {
        self.begin(data)?.carry_out(None)
    }

    /// Does its part of what the first of several processes does with [`Trainer::fit`].
    ///
    /// # Errors
    /// As that, and where another process ended.
    pub(crate) fn take_part(self, data: &Dataset) -> Result<()> {
        self.begin(data)?.take_part(None)
    }

    /// All that comes before training.
    fn begin(mut self, data: &Dataset) -> Result<Experiment<'_>> {
        let machine = device::for_training(&self.config.training)?;
        let mut task = task_of(&self.config, data)?;
        let bias = bias::open(&self.config, &task, data, machine.device, self.progress)?;
        let (bias, of_bias) = bias.unzip();
        let of_bias = of_bias.unwrap_or_default();
        of_bias.iter().for_each(|warning| self.progress.warn(warning));
        self.data_warnings.extend(of_bias);
        if let (Some(profile), Some(bias)) = (&mut task.profile, &bias) {
            profile.bias_shift = Some(bias.shift().to_vec());
        }
        if self.config.training.batch_size == BatchSize::Auto {
            self.config.training.batch_size =
                fastest_batch_size(&self.config, &task, data, machine.device, self.progress)?;
        }
        let memory = self.memory(&task, data, machine.device)?;
        // Made before the folder is, so that a start that does not fit leaves nothing behind.
        let (network, afresh) =
            train::starting_network(&self.config, &task, data, tch::Device::Cpu, self.config.training.seed, 0)?;
        if let (Some(other), false) = (&self.config.training.init_from, afresh.is_empty()) {
            let names = afresh.join(", ");
            self.progress
                .say(&format!("{names} start from new weights: {} was trained for another task", other.display()));
        }
        if machine.device.is_cuda() && train::gradient::is_all_fused_on_cpu(&network, &task) {
            self.progress.say("--device cpu may be faster: the CPU has kernels of its own for all of this network");
        }
        let folder = match (self.folder.take(), &self.out) {
            (Some(folder), _) => Some(folder),
            (None, Some(path)) => Some(OutputFolder::create(path, Contents::Run, false)?),
            (None, None) => None,
        };
        let data_files = match (&folder, &self.group) {
            (None, None) => Vec::new(),
            _ => data.files.iter().map(|path| run::describe_file(path)).collect::<Result<_>>()?,
        };
        if let Some(group) = &self.group {
            let hello = self.hello(group, data, &data_files, &machine, "at the start")?;
            group.agree(&hello, folder.as_ref().map(OutputFolder::path), machine.device)?;
            self.progress.say(&group.describe());
        }
        let Some(folder) = folder else {
            return Ok(self.experiment(data, task, (machine.device, bias), memory, None));
        };
        self.config.data = resolved::with_defaults(&self.config.data, data);
        if data.train.bins.is_some() {
            self.config.training.loss = self.config.loss(); // which a listing of the examples does not say
        }
        let resolved = Resolved { moved_files: self.moved_files.clone(), ..Resolved::of(&self.config.data, data) };
        let head = resolved.as_comments(data);
        let mut provenance = provenance(&self.config, &task, data, data_files, &network, &machine)?;
        provenance.processes = self.processes();
        provenance.resolved = Some(resolved);
        provenance.data_warnings = std::mem::take(&mut self.data_warnings);
        let (run, replaced) = folder.keep()?;
        if let Some(path) = &self.config.training.bias {
            bias_model::copy_into(&run, path)?; // before what says that the run has one
        }
        run.write_json(RUN_JSON, &provenance)?;
        streams::write_kept(&run.path)?;
        run.write(CONFIG_TOML, (head + "\n" + &self.config.to_toml()).as_bytes())?;
        let files = Files { run, provenance, replaced };
        Ok(self.experiment(data, task, (machine.device, bias), memory, Some(files)))
    }

    /// How many processes train.
    fn processes(&self) -> usize {
        self.group.as_ref().map_or(1, |group| group.share().of)
    }

    /// The memory that training needs, if there is as much.
    fn memory(&self, task: &Task, data: &Dataset, device: tch::Device) -> Result<Memory> {
        let mut config = self.config.clone();
        let batch = config.training.batch_size.fragments();
        config.training.batch_size = BatchSize::Of(batch.div_ceil(self.processes()));
        memory::check(&config, task.network_outputs(), data, device::kind(device))
    }

    /// What this process says to others of the experiment.
    fn hello(
        &self,
        group: &Group,
        data: &Dataset,
        data_files: &[DataFile],
        machine: &Machine,
        position: &str,
    ) -> Result<Hello> {
        let Config { model, training, .. } = &self.config;
        // What may differ: where things are.
        let training = TrainingConfig {
            device: DeviceChoice::Auto,
            threads: None,
            bias: None,
            init_from: None,
            ..training.clone()
        };
        let examples = run::sha256_of_written(|out| manifest::write(out, &data.splits(), data.kind, &data.classes))
            .context("the examples cannot be listed")?;
        let files = data_files.iter().map(|file| file.sha256.as_str());
        Ok(Hello {
            program: Hello::program(BUILD),
            processes: group.share().of,
            threads: machine.threads,
            settings: serde_json::json!({ "model": model, "training": training }),
            examples: counts(data),
            data: std::iter::once(examples.as_str()).chain(files).collect::<Vec<_>>().join(" "),
            position: position.into(),
        })
    }

    /// Resumes the training of a run folder, with its own configuration, from a checkpoint, or from the beginning where none was written yet.
    ///
    /// # Errors
    /// As [`Trainer::fit`], and where the data are not those that the run began with.
    pub fn resume(self, interrupted: InterruptedRun, data: &Dataset) -> Result<TrainedRun> {
        let (experiment, checkpoint) = self.begin_again(interrupted, data)?;
        experiment.carry_out(checkpoint)
    }

    /// Does its part of what the first of several processes does with [`Trainer::resume`].
    ///
    /// # Errors
    /// As that, and where another process ended.
    pub(crate) fn take_part_again(self, interrupted: InterruptedRun, data: &Dataset) -> Result<()> {
        let (experiment, checkpoint) = self.begin_again(interrupted, data)?;
        experiment.take_part(checkpoint)
    }

    /// All that comes before training goes on.
    fn begin_again(
        mut self,
        interrupted: InterruptedRun,
        data: &Dataset,
    ) -> Result<(Experiment<'_>, Option<Checkpoint>)> {
        let InterruptedRun { run, mut provenance, replaced, checkpoint, config, machine, extended_to, files: _files } =
            interrupted;
        self.config = config;
        let mut task = task_of(&self.config, data)?;
        if let (Some(profile), Some(begun)) = (&mut task.profile, &provenance.task.profile) {
            profile.bias_shift.clone_from(&begun.bias_shift);
        }
        let bias = Bias::of_run(&run, &task, data.train.length, machine.device)?;
        let memory = self.memory(&task, data, machine.device)?;
        let found = counts(data);
        if found != provenance.examples {
            bail!(
                "{}: the data come to {} training, {} validation and {} test examples, expected {}, {} and {} as when the run began; use the strandnet that began it, or start again with --force",
                run.path.display(),
                found.train,
                found.valid,
                found.test,
                provenance.examples.train,
                provenance.examples.valid,
                provenance.examples.test
            );
        }
        let mut place = match &checkpoint {
            Some(checkpoint) => checkpoint.state.position.describe(self.config.training.ensemble),
            None => "from the beginning, as no checkpoint was written yet".into(),
        };
        if let Some(epochs) = extended_to {
            place.push_str(&format!(", to {epochs} epochs"));
        }
        let processes = self.processes();
        if processes != provenance.processes {
            place.push_str(&format!(
                ", in {} instead of {}",
                counted(processes as u64, "process"),
                provenance.processes
            ));
            provenance.processes = processes;
        }
        if let Some(group) = &self.group {
            let hello = self.hello(group, data, &provenance.data_files, &machine, &place)?;
            group.agree(&hello, Some(&run.path), machine.device)?;
            self.progress.say(&group.describe());
        }
        let Some(replaced) = replaced else {
            return Ok((self.experiment(data, task, (machine.device, bias), memory, None), checkpoint));
        };
        self.progress.say(&format!("resuming {place}"));
        let moved_to = (provenance.device != machine.device_name()).then(|| machine.device_name());
        if let Some(device) = &moved_to {
            place.push_str(&format!(", on {device} instead of {}", provenance.device));
        }
        provenance.resumed.push(run::Resumed {
            version: BUILD.version.into(),
            git_revision: BUILD.git_revision.into(),
            libtorch: BUILD.libtorch.into(),
            place,
            epochs: extended_to,
            device: moved_to,
        });
        provenance.device = machine.device_name();
        provenance.config.training.cuda_graph = self.config.training.cuda_graph;
        if extended_to.is_some() {
            // First, so that the folder never looks like a finished run that it is not.
            for name in [METRICS_JSON, CHECKSUMS] {
                remove_file(&run.file(name))?;
            }
            provenance.config.training.epochs = self.config.training.epochs;
            provenance.outcome = None;
        }
        // A run killed at its very start may have been left without.
        if extended_to.is_some() || !run.file(CONFIG_TOML).is_file() {
            let head =
                provenance.resolved.as_ref().map_or_else(String::new, |resolved| resolved.as_comments(data) + "\n");
            run.write(CONFIG_TOML, (head + &provenance.config.to_toml()).as_bytes())?;
        }
        run.write_json(RUN_JSON, &provenance)?;
        let files = Files { run, provenance, replaced };
        Ok((self.experiment(data, task, (machine.device, bias), memory, Some(files)), checkpoint))
    }

    fn experiment(
        self,
        data: &Dataset,
        task: Task,
        (device, bias): (tch::Device, Option<Rc<Bias>>),
        memory: Memory,
        files: Option<Files>,
    ) -> Experiment<'_> {
        let mut hooks = self.hooks;
        if files.is_some() {
            hooks.push(Box::new(Checkpoints::new(self.checkpoint_every)));
        }
        let (config, progress, stops_on_signals) = (self.config, self.progress, self.stops_on_signals);
        let group = self.group;
        Experiment { config, data, task, device, bias, group, memory, files, hooks, stops_on_signals, progress }
    }
}

/// Removes a file, if it is there.
fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(run::cannot_write(path, &error)),
        _ => Ok(()),
    }
}

/// The run folder of an experiment, whose `run.json` and `config.toml` are written.
struct Files {
    run: RunFolder,
    provenance: Provenance,
    /// What `--force` replaces, until the run is complete.
    replaced: SetAside,
}

/// Everything of a run, new or resumed.
struct Experiment<'a> {
    config: Config,
    data: &'a Dataset,
    task: Task,
    device: tch::Device,
    bias: Option<Rc<Bias>>,
    group: Option<Rc<Group>>,
    memory: Memory,
    files: Option<Files>,
    hooks: Vec<Box<dyn Hook>>,
    stops_on_signals: bool,
    progress: Progress,
}

impl Experiment<'_> {
    /// Trains, evaluates and exports. What the run replaces goes when it is complete.
    fn carry_out(mut self, from: Option<Checkpoint>) -> Result<TrainedRun> {
        let trained = self.train_and_evaluate(from);
        if let Some(Files { run, replaced, .. }) = self.files {
            if trained.is_ok() {
                replaced.discard();
            } else if let Some(aside) = replaced.stays_in() {
                let (aside, run) = (aside.display(), run.path.display());
                self.progress.say(&format!(
                    "what --force replaces stays in {aside} until this run is complete; resume with: strandnet train --resume {run}"
                ));
            }
        }
        trained
    }

    /// Trains and scores with the others; what follows is done by the first alone.
    fn take_part(mut self, from: Option<Checkpoint>) -> Result<()> {
        self.train(from).map(drop)
    }

    /// Trains, and scores what is judged by.
    fn train(&mut self, from: Option<Checkpoint>) -> Result<(Trained, Logits)> {
        let Self { config, data, task, device, bias, group, memory, files, hooks, stops_on_signals, progress } = self;
        let (config, progress) = (&*config, *progress);
        let run = files.as_ref().map(|files| files.run.clone());
        if let Some(run) = run.as_ref().filter(|run| !run.file(EXAMPLES_TSV).is_file()) {
            write_examples(data, run)?;
        }
        let interrupt = stops_on_signals.then(Interrupt::on_signals).transpose()?;
        hooks.extend(interrupt.clone().map(|interrupt| Box::new(OnSignal(interrupt)) as Box<dyn Hook>));
        let (bias, group, folder) = (bias.as_ref(), group.as_deref(), run.as_ref());
        let setup = Setup { config, task, data, device: *device, bias, group, folder, progress };
        let trained = memory.explaining(|| train::train(setup, hooks, from))?;
        let end = || match interrupt.as_ref().and_then(Interrupt::end) {
            Some(signal) => Err(train::interrupted(Cause::Signal(signal), "after training", run.as_ref())),
            None => Ok(()),
        };
        // While others still need this process, it does not end.
        if group.is_none() {
            end()?;
        }
        let logits = Logits::of(setup, &trained)?;
        end()?;
        Ok((trained, logits))
    }

    fn train_and_evaluate(&mut self, from: Option<Checkpoint>) -> Result<TrainedRun> {
        let (mut trained, logits) = self.train(from)?;
        let Self { config, data, task, bias, files, progress, .. } = self;
        let (config, progress) = (&*config, *progress);
        let run = files.as_ref().map(|files| files.run.clone());
        let (calibration, of_calibration) = calibrator(task, config, data)?.fit(&evaluate::mean_logits(&logits.valid));
        task.calibration = calibration;
        let mut warnings =
            advice::of_history(&trained.summary.history, &trained.summary.best_epochs, config.training.epochs);
        warnings.extend(advice::of_validation(&data.valid, task.kind, &data.classes, task.selection_metric()));
        warnings.extend(of_calibration);
        let blocks = |examples| dependence::blocks_of(examples, config.training.block_length);
        let blocks = (blocks(&data.valid)?, blocks(&data.test)?);
        warnings.extend(dependence::few_blocks(&blocks.1));
        let profile_baselines = ProfileBaselines::of(&data.train)?;
        if let (Some(Files { run, .. }), Some(baselines)) = (&files, &profile_baselines) {
            run.write_json(PROFILE_BASELINES_JSON, baselines)?;
        }
        let enzyme = profile_baselines.as_ref().and_then(|baselines| baselines.enzyme.as_ref());
        let mut footprints = Vec::new();
        if let (Some(bias), Some(enzyme), Some(profile)) = (&*bias, enzyme, &task.profile) {
            (trained.ensemble, footprints) =
                bias::enzyme_footprints(trained.ensemble, bias, enzyme, &profile.shape, data)?;
            warnings.extend(footprints.iter().filter_map(EnzymeFootprint::warning));
        }
        if let Some(Files { run, provenance, .. }) = files {
            provenance.outcome = Some(Outcome {
                best_epochs: trained.summary.best_epochs.clone(),
                restarts: trained.summary.restarts,
                seconds: trained.summary.seconds,
                warnings: warnings.clone(),
            });
            provenance.task = task.clone();
            run.write_json(RUN_JSON, provenance)?;
        }
        let baselines = if config.training.baselines {
            let resampling = Resampling { blocks: &blocks.1, seed: config.training.seed };
            baselines::evaluate(task, data, config.training.strands, &resampling, progress)?
        } else {
            Vec::new()
        };
        let (metrics, report, threshold) = evaluate_and_export(
            config,
            task,
            data,
            &trained,
            (&logits, &blocks),
            (baselines, bias.as_deref(), profile_baselines.as_ref(), footprints),
            run.as_ref(),
        )?;
        if let Some(Files { run, provenance, .. }) = files {
            html::run::write(run, provenance, &metrics)?;
            run.finish(&metrics)?; // last: a folder that has the metrics is a finished run
        }
        warnings.iter().for_each(|warning| progress.warn(warning));
        let Trained { ensemble, summary } = trained;
        // What a model is asked for is the part without bias.
        let model = Model::new(ensemble.with_bias(None), task.clone(), data.classes.clone(), threshold);
        Ok(TrainedRun { model, summary, metrics, report, warnings, folder: run })
    }
}

/// The task that a configuration and its data come to.
fn task_of(config: &Config, data: &Dataset) -> Result<Task> {
    let training = &config.training;
    let task = Task::new(data.kind, &data.classes, config.loss(), &training.class_weights, &data.train)?
        .trained_by(training)?
        .of_architecture(config.model.arch);
    if let Some(profiles) = data.train.profiles.as_ref().filter(|_| config.model.arch == Architecture::Bias)
        && (0..data.train.len()).all(|i| profiles.is_peak(i))
    {
        bail!("there is no background to train on, from which --arch bias learns; add --negatives gc-matched");
    }
    calibrator(&task, config, data)?; // a target prevalence that does not fit is an error before training
    Ok(task)
}

/// What fits the calibration of a task to the validation split.
fn calibrator<'a>(task: &'a Task, config: &Config, data: &'a Dataset) -> Result<Calibrator<'a>> {
    Calibrator::new(task, &config.training, &data.classes, &data.train, &data.valid)
}

fn counts(data: &Dataset) -> ExampleCounts {
    ExampleCounts { train: data.train.len(), valid: data.valid.len(), test: data.test.len() }
}

/// The largest number of unknown bases that one training example may hold; of windows drawn anew each epoch, what is allowed.
fn largest_n(config: &Config, data: &Dataset) -> Result<usize> {
    if data.resampler.is_some() {
        return Ok(config.data.max_n);
    }
    Ok(data.train.unknown_bases()?.into_iter().max().unwrap_or(0))
}

/// The batch size found by trying, and what was found.
fn fastest_batch_size(
    config: &Config,
    task: &Task,
    data: &Dataset,
    device: tch::Device,
    progress: Progress,
) -> Result<BatchSize> {
    let tried = batch_size::try_sizes(config, task, data, device)?;
    let chosen = batch_size::choose(&tried).map_or(BatchSize::Auto, BatchSize::Of);
    let each = tried.iter().map(|tried| format!("{} {}", tried.size, thousands(tried.fragments_per_second as usize)));
    let each = each.collect::<Vec<_>>().join(", ");
    progress.say(&format!("batch size {chosen}; fragments per second in batches of {each}"));
    Ok(chosen)
}

/// Lists every example but windows drawn anew each epoch, which the seed gives.
fn write_examples(data: &Dataset, run: &RunFolder) -> Result<()> {
    let splits = data.splits();
    let draws = data.resampler.as_ref().is_some_and(|resampler| !resampler.follows_listing());
    let splits = if draws { &splits[1..] } else { &splits[..] };
    let path = run.file(EXAMPLES_TSV);
    run::write_through(&path, |file| {
        let mut file = std::io::BufWriter::new(file);
        manifest::write(&mut file, splits, data.kind, &data.classes)
            .map_err(|error| run::cannot_write(&path, &error.into()))
    })
}

fn provenance(
    config: &Config,
    task: &Task,
    data: &Dataset,
    data_files: Vec<DataFile>,
    network: &Network,
    machine: &Machine,
) -> Result<Provenance> {
    Ok(Provenance {
        format_version: run::FORMAT_VERSION,
        version: BUILD.version.into(),
        git_revision: BUILD.git_revision.into(),
        libtorch: BUILD.libtorch.into(),
        device: machine.device_name(),
        threads: machine.threads,
        processes: 1,
        precision: machine.precision,
        seed: config.training.seed,
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        data_files,
        task: task.clone(),
        classes: data.classes.names.clone(),
        positive: (data.kind == TaskKind::Binary).then(|| data.classes.positive_name().into()),
        length: data.train.length,
        parameter_count: network.plan.parameters(),
        examples: counts(data),
        largest_n: Some(largest_n(config, data)?),
        data_warnings: Vec::new(),
        config: config.with_absolute_paths(),
        resolved: None,
        started_from: match &config.training.init_from {
            Some(other) => vec![run::describe_file(&other.join(WEIGHTS))?],
            None => Vec::new(),
        },
        resumed: Vec::new(),
        imported: None,
        outcome: None,
    })
}
