//! `train`: data, network, loop, evaluation, export.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::ArgMatches;

use crate::BUILD;
use crate::cli::Train;
use crate::commands::{data_of, print};
use crate::device;
use crate::device::Machine;
use crate::export;
use crate::model::Network;
use crate::train;
use crate::train::checkpoint::Checkpoint;
use crate::train::{Continuity, Trained, batch_size};
use strandnet_core::config::search::Search;
use strandnet_core::config::{BatchSize, Calibration, Config, TaskKind};
use strandnet_core::dataset::examples::Examples;
use strandnet_core::dataset::split::Split;
use strandnet_core::dataset::{Dataset, manifest};
use strandnet_core::evaluate;
use strandnet_core::evaluate::baselines::{self, BaselineResult};
use strandnet_core::evaluate::members::Members;
use strandnet_core::evaluate::predictions::Predictions;
use strandnet_core::evaluate::results::{BaselineMetrics, RunMetrics, SplitMetrics};
use strandnet_core::evaluate::{Evaluation, Strand};
use strandnet_core::figures;
use strandnet_core::format::thousands;
use strandnet_core::html;
use strandnet_core::inspect;
use strandnet_core::interrupt::Interrupt;
use strandnet_core::progress::Progress;
use strandnet_core::run;
use strandnet_core::run::{
    CONFIG_TOML, Contents, EXAMPLES_TSV, ExampleCounts, METRICS_JSON, MODEL_JSON, MODEL_PT, NewFolder, Outcome,
    PREDICTIONS_CSV, Provenance, RUN_JSON, RunFolder, SetAside, WEIGHTS,
};
use strandnet_core::scorer::Scorer;
use strandnet_core::task::Task;
use strandnet_core::training::advice;
use strandnet_core::training::history::metric_name;
use strandnet_core::training::memory;
use strandnet_core::training::memory::Memory;

pub fn run(command: &Train, flags: &ArgMatches, progress: Progress) -> Result<()> {
    let checkpoint_every = command.checkpoint_every(flags)?;
    if let Some(path) = &command.resume {
        return resume(path, checkpoint_every, progress);
    }
    let mut config = Config::resolve(command.config.as_deref(), &command.settings, flags)?;
    if let Some(path) = command.config.as_deref()
        && Search::read(path).ok().flatten().is_some()
    {
        progress.say(&format!("{}: [search] is for tune and has no part in this run", path.display()));
    }
    let machine = device::for_training(&config.training)?;
    if let (Some(source), Some(out)) = (&config.training.init_from, &command.out)
        && run::lies_in(out, source)
    {
        bail!("{}: is the run of --init-from, which training still reads; choose another --out", out.display());
    }
    let folder = match &command.out {
        Some(path) => NewFolder::claim(path, Contents::Run, command.force)?,
        None => NewFolder::claim_named(&experiment_name(command.config.as_deref(), &config))?,
    };
    progress.say(&machine.description);

    let (data, task) = questions_and_answers(&config, progress)?;
    if config.training.batch_size == BatchSize::Auto {
        config.training.batch_size = fastest_batch_size(&config, &task, &data, machine.device, progress)?;
    }
    let memory = memory::check(&config, task.outputs(), &data, device::kind(machine.device))?;
    for warning in inspect::inspect(&data, &config.data, false)?.warnings {
        progress.warn(&warning);
    }
    // Made before the folder is, so that a start that does not fit leaves nothing behind.
    let (network, afresh) = train::starting_network(&config, &task, &data, tch::Device::Cpu, config.training.seed, 0)?;
    if let (Some(other), false) = (&config.training.init_from, afresh.is_empty()) {
        let names = afresh.join(", ");
        progress.say(&format!("{names} start afresh: {} answers another question", other.display()));
    }
    let provenance = provenance(&config, &task, &data, &network, &machine)?;
    let (run, replaced) = folder.keep()?;
    run.write_json(RUN_JSON, &provenance)?;
    run.write(CONFIG_TOML, config.to_toml().as_bytes())?;
    let experiment = Experiment { config, data, task, device: machine.device, memory, run, provenance, progress };
    experiment.carry_out(checkpoint_every, None, replaced)
}

/// Goes on with a run that was stopped, wherever it was.
fn resume(path: &Path, checkpoint_every: Duration, progress: Progress) -> Result<()> {
    let (run, mut provenance) = RunFolder::open(path)?;
    let lock = run::lock(path)?;
    run::files::remove_partial_files(path);
    let replaced = SetAside::left_in(path, Contents::Run, Some(lock));
    if run.file(METRICS_JSON).is_file() {
        replaced.discard();
        progress.say(&format!("{}: is finished, nothing is left to do", path.display()));
        return print(&format!("{}\n", path.display()));
    }
    if provenance.format_version < run::FIRST_WITH_CHECKSUMS {
        bail!(
            "{}: was begun by strandnet {} in a format whose checkpoints this one cannot go on from; use that one, or start again with --force",
            path.display(),
            provenance.version
        );
    }
    let advice = "restore it, or start again with --force";
    let checkpoint = Checkpoint::last_of(&run, progress)?;
    provenance.check_data_files(advice)?;
    if checkpoint.is_none() || provenance.config.training.ensemble > 1 {
        provenance.check_started_from(advice)?;
    }
    let config = provenance.config_as_run()?;
    let machine = device::for_training(&config.training)?;
    progress.say(&machine.description);
    for difference in provenance.differences(BUILD) {
        progress
            .warn(&format!("{difference}, so weights may differ in their last bits from those of a run never stopped"));
    }
    let (data, task) = questions_and_answers(&config, progress)?;
    let memory = memory::check(&config, task.outputs(), &data, device::kind(machine.device))?;
    let found = ExampleCounts { train: data.train.len(), valid: data.valid.len(), test: data.test.len() };
    if found != provenance.examples {
        bail!(
            "{}: the data come to {} training, {} validation and {} test examples, expected {}, {} and {} as when the run began; use the strandnet that began it, or start again with --force",
            path.display(),
            found.train,
            found.valid,
            found.test,
            provenance.examples.train,
            provenance.examples.valid,
            provenance.examples.test
        );
    }
    let place = match &checkpoint {
        Some(checkpoint) => checkpoint.state.place.describe(config.training.ensemble),
        None => "from the beginning, as no checkpoint was written yet".into(),
    };
    progress.say(&format!("going on {place}"));
    provenance.resumed.push(run::Resumed {
        version: BUILD.version.into(),
        git_revision: BUILD.git_revision.into(),
        libtorch: BUILD.libtorch.into(),
        place: place.clone(),
    });
    run.write_json(RUN_JSON, &provenance)?;
    let experiment = Experiment { config, data, task, device: machine.device, memory, run, provenance, progress };
    experiment.carry_out(checkpoint_every, checkpoint, replaced)
}

/// What is learned from, and the question it is to answer.
fn questions_and_answers(config: &Config, progress: Progress) -> Result<(Dataset, Task)> {
    let data = data_of(config, &progress)?;
    let training = &config.training;
    let task = Task::new(data.kind, &data.classes, training.loss, &training.class_weights, &data.train)?
        .trained_by(training)?;
    progress.say(&describe(&data));
    Ok((data, task))
}

/// Everything of a run, new or resumed, whose folder holds `run.json` and `config.toml`.
struct Experiment {
    config: Config,
    data: Dataset,
    task: Task,
    device: tch::Device,
    memory: Memory,
    run: RunFolder,
    provenance: Provenance,
    progress: Progress,
}

impl Experiment {
    /// Trains, judges and exports. What the run replaces goes when it is complete.
    fn carry_out(mut self, checkpoint_every: Duration, from: Option<Checkpoint>, replaced: SetAside) -> Result<()> {
        let interrupt = Interrupt::watch()?;
        match self.train_and_judge(Continuity { checkpoint_every: Some(checkpoint_every), interrupt, from }) {
            Ok(results) => {
                replaced.discard();
                print(&format!("{results}{}\n", self.run.path.display()))
            }
            Err(error) => {
                if let Some(aside) = replaced.stays_in() {
                    let (aside, run) = (aside.display(), self.run.path.display());
                    self.progress.say(&format!(
                        "what --force replaces stays in {aside} until this run is complete; go on with it: strandnet train --resume {run}"
                    ));
                }
                Err(error)
            }
        }
    }

    fn train_and_judge(&mut self, continuity: Continuity) -> Result<String> {
        let Self { config, data, task, device, memory, run, provenance, progress } = self;
        let progress = *progress;
        if !run.file(EXAMPLES_TSV).is_file() {
            write_examples(data, run)?;
        }
        let interrupt = continuity.interrupt.clone();
        let train = || train::train(config, task, data, *device, run, progress, continuity);
        let trained = memory.explaining(train)?;
        if let Some(signal) = interrupt.stop_watching() {
            return Err(train::interrupted(signal, "after training", run));
        }
        let valid_logits = logits_of_members(&trained, &data.valid)?;
        if config.training.calibration == Calibration::Temperature {
            let logits = evaluate::mean_logits(&valid_logits);
            task.temperature = evaluate::fitted_temperature(task, &data.valid, &logits)?;
        }
        let mut remarks =
            advice::of_history(&trained.summary.history, &trained.summary.best_epochs, config.training.epochs);
        remarks.extend(advice::of_validation(&data.valid, task.kind, &data.classes, task.selection_metric()));
        let best_epochs = trained.summary.best_epochs.clone();
        provenance.outcome = Some(Outcome {
            best_epochs,
            restarts: trained.summary.restarts,
            seconds: trained.summary.seconds,
            remarks: remarks.clone(),
        });
        provenance.task = task.clone();
        run.write_json(RUN_JSON, provenance)?;
        let baselines = if config.training.baselines {
            baselines::evaluate(task, data, config.training.seed, progress)?
        } else {
            Vec::new()
        };
        let (metrics, results) = judge_and_export(config, task, data, &trained, &valid_logits, baselines, run)?;
        html::run::write(run, provenance, &metrics)?;
        run.finish(&metrics)?; // last: a folder that has the metrics is a finished run
        remarks.iter().for_each(|remark| progress.warn(remark));
        Ok(results)
    }
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
    progress.say(&format!("batch size {chosen}; fragments a second in batches of {each}"));
    Ok(chosen)
}

/// The data in a line.
fn describe(data: &Dataset) -> String {
    let question = match data.kind {
        TaskKind::Binary => format!("positive class {}", data.classes.positive_name()),
        TaskKind::Multiclass => format!("{} classes", data.classes.names.len()),
        TaskKind::Multilabel => format!("{} labels", data.classes.names.len()),
        TaskKind::Regression => format!("{} columns of values", data.classes.names.len()),
    };
    let on_disk =
        if data.train.is_in_memory() { "" } else { "; training sequences are beyond --memory and read from disk" };
    format!(
        "{} training, {} validation and {} test fragments of {} bp; {question}{on_disk}",
        thousands(data.train.len()),
        thousands(data.valid.len()),
        thousands(data.test.len()),
        data.train.length
    )
}

/// Lists every example but windows drawn anew each epoch, which the seed gives.
fn write_examples(data: &Dataset, run: &RunFolder) -> Result<()> {
    let splits = data.splits();
    let splits = if data.resampler.is_some() { &splits[1..] } else { &splits[..] };
    let path = run.file(EXAMPLES_TSV);
    run::write_through(&path, |file| {
        let mut file = std::io::BufWriter::new(file);
        manifest::write(&mut file, splits, data.kind, &data.classes)
            .map_err(|error| run::cannot_write(&path, &error.into()))
    })
}

/// Logits `[n, outputs]` of each member alone.
fn logits_of_members(trained: &Trained, examples: &Examples) -> Result<Vec<Vec<f32>>> {
    trained.ensemble.iter().map(|network| evaluate::logits_of(network, examples, Strand::AsGiven)).collect()
}

/// Measures on validation (which chooses the threshold) and, once, on test; writes every result but the metrics, which it
/// returns with a summary.
fn judge_and_export(
    config: &Config,
    task: &Task,
    data: &Dataset,
    trained: &Trained,
    valid_logits: &[Vec<f32>],
    baselines: Vec<BaselineResult>,
    run: &RunFolder,
) -> Result<(RunMetrics, String)> {
    let (classes, seed) = (&data.classes, config.training.seed);
    let judge = |examples, logits: &[Vec<f32>], threshold| -> Result<Evaluation> {
        let logits = evaluate::mean_logits(logits);
        Evaluation::of(task, classes, examples, &logits, trained.ensemble.activation(), threshold, seed)
    };
    let valid = judge(&data.valid, valid_logits, None)?;
    let threshold = valid.report.threshold;
    let test_logits = logits_of_members(trained, &data.test)?;
    let mut test = judge(&data.test, &test_logits, threshold)?.with_breakdown(seed)?.with_strands(&trained.ensemble)?;
    if trained.ensemble.len() > 1 {
        let (valid, of_test) = ((&data.valid, valid_logits), (&data.test, &test_logits[..]));
        test.members = Some(Members::of(
            task,
            classes,
            valid,
            of_test,
            trained.ensemble.activation(),
            config.training.calibration == Calibration::Temperature,
            seed,
        )?);
    }
    let best_possible = data.best_possible_scores.as_deref().map(|best| test.beside_best_possible(best));

    let of_baseline = |baseline: &BaselineResult| {
        let BaselineResult { name, description, report } = baseline;
        (name.clone(), BaselineMetrics { description: description.clone(), test: report.into() })
    };
    let metrics = RunMetrics {
        valid: valid.metrics(),
        test: SplitMetrics { best_possible_auroc: best_possible, ..test.metrics() },
        baselines: baselines.iter().map(of_baseline).collect(),
    };
    let mut rows = Predictions::new(task, classes)?;
    rows.append(Split::Valid, &data.valid, &valid.predictions)?;
    rows.append(Split::Test, &data.test, &test.predictions)?;
    run.write(PREDICTIONS_CSV, &rows.finish()?)?;
    figures::training::draw(&trained.summary, task, run)?;
    figures::draw(&test, run)?;
    let (weights, model) = (run.file(WEIGHTS), run.file(MODEL_PT));
    let (card, difference) = export::export(config, task, classes, data.train.length, &weights, threshold, &model)?;
    run.write_json(MODEL_JSON, &card)?;

    let baselines: Vec<_> = baselines.into_iter().map(|baseline| (baseline.name, baseline.report)).collect();
    let summary = format!(
        "{}{}exported model: largest difference from the network {difference:.1e}\n",
        best_epochs(trained, task),
        figures::table(&test, &baselines, best_possible)
    );
    Ok((metrics, summary))
}

/// Which epoch was the best, a line for each member.
fn best_epochs(trained: &Trained, task: &Task) -> String {
    let metric = task.selection_metric();
    let line = |member: usize| {
        let best = trained.summary.best(member)?;
        let epochs = trained.summary.history.iter().filter(|epoch| epoch.member == member + 1).count();
        let which = if trained.ensemble.len() > 1 { format!("member {}: ", member + 1) } else { String::new() };
        let score = if metric == "loss" { best.valid_loss } else { best.valid_score };
        Some(format!("{which}best epoch {} of {epochs}, validation {} {score:.4}\n", best.epoch, metric_name(metric)))
    };
    (0..trained.ensemble.len()).filter_map(line).collect()
}

/// The experiment's name: that of its file, or of its data and architecture.
pub(super) fn experiment_name(file: Option<&Path>, config: &Config) -> String {
    match file.and_then(Path::file_stem) {
        Some(stem) => stem.to_string_lossy().into_owned(),
        None if config.data.is_demo() => "demo".into(),
        None => config.model.arch.name().into(),
    }
}

fn provenance(
    config: &Config,
    task: &Task,
    data: &Dataset,
    network: &Network,
    machine: &Machine,
) -> Result<Provenance> {
    Ok(Provenance {
        format_version: run::FORMAT_VERSION,
        version: BUILD.version.into(),
        git_revision: BUILD.git_revision.into(),
        libtorch: BUILD.libtorch.into(),
        device: format!("{:?}", machine.device),
        threads: machine.threads,
        precision: machine.precision,
        seed: config.training.seed,
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        data_files: data.files.iter().map(|path| run::describe_file(path)).collect::<Result<_>>()?,
        task: task.clone(),
        classes: data.classes.names.clone(),
        positive: (data.kind == TaskKind::Binary).then(|| data.classes.positive_name().into()),
        length: data.train.length,
        parameter_count: network.plan.parameters(),
        examples: ExampleCounts { train: data.train.len(), valid: data.valid.len(), test: data.test.len() },
        config: config.with_absolute_paths(),
        started_from: match &config.training.init_from {
            Some(other) => vec![run::describe_file(&other.join(WEIGHTS))?],
            None => Vec::new(),
        },
        resumed: Vec::new(),
        outcome: None,
    })
}
