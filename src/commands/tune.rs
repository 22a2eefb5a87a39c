//! `tune`: settings drawn, trained in rounds, the best of them as a file that `train` accepts.

mod find_lr;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::BUILD;
use crate::cli::tune::Tune;
use crate::commands::{data_of, error_of_panic, print};
use crate::device;
use crate::train;
use crate::train::Setup;
use strandnet_core::config::search::Search;
use strandnet_core::config::{Config, DataConfig, Faults, Metric};
use strandnet_core::dataset::Dataset;
use strandnet_core::figures;
use strandnet_core::files::streams;
use strandnet_core::format::thousands;
use strandnet_core::interrupt::{Cause, Interrupted, TimeLimit};
use strandnet_core::progress::Progress;
use strandnet_core::run;
use strandnet_core::run::{
    BEST_TOML, CannotWrite, Contents, InUse, OutputFolder, RunFolder, SETTINGS_PNG, TRIALS_CSV, TUNE_JSON,
};
use strandnet_core::task::Task;
use strandnet_core::training::history::{metric_name, shown};
use strandnet_core::training::memory;
use strandnet_core::tune::locks::{self, TrialLock, TrialLocks};
use strandnet_core::tune::plan::Plan;
use strandnet_core::tune::trials;
use strandnet_core::tune::trials::{Outcome, Row};
use strandnet_core::tune::{TrialRun, Tuning, halving, sampling};

/// How often a process looks what the others have done while it has no trial to train.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Data sets kept in memory at a time, where settings of the data are searched. Lists of lengths are seldom longer.
const MOST_DATA_SETS: usize = 4;

pub fn run(command: &Tune, flags: &ArgMatches, progress: Progress) -> Result<()> {
    let file = command.config.as_deref();
    let limit = command.limit()?;
    let config = Config::resolve(file, &command.settings, flags)?;
    if let Some(path) = config.data.paths().into_iter().find(|path| streams::is_stream(path)) {
        bail!(
            "{}: is a pipe or standard input, expected a file, which a search reads again when it goes on; save it in a file",
            path.display()
        );
    }
    if config.training.bias.is_some() {
        return Err(
            Faults(vec!["--bias goes with train, and tune trains networks without it; remove it".into()]).into()
        );
    }
    if command.find_lr {
        return find_lr::run(command, &config, progress);
    }
    let search = search(file, flags, &config, progress)?;
    if search.hyperparameters.iter().all(|hyperparameter| hyperparameter.key != "batch_size")
        && let Some(fault) = config.training.batch_size.fault_of_auto("trials that are to be compared")
    {
        return Err(Faults(vec![fault]).into());
    }
    let (trials, rungs, eta) = (command.trials as usize, command.rungs as usize, command.eta as usize);
    let searches_fragments = search.hyperparameters.iter().any(|hyperparameter| hyperparameter.key == "fragments");
    let resolve = |sampled: &toml::Table| {
        let mut trial = Config::resolve_with(file, &command.settings, flags, sampled)?;
        if searches_fragments {
            // All trials are compared on the same ones, and as many.
            trial.data.valid_fragments = Some(config.data.valid_fragments());
        }
        Ok(trial)
    };
    let trials = sampling::trials(&search, trials, config.training.seed, resolve)?;
    let rungs = halving::rungs(trials.len(), config.training.epochs, rungs, eta);
    let mut tuning = Tuning { search, trials, rungs, rows: Vec::new() };
    let machine = device::for_training(&config.training)?;

    let plan = Plan::new(&config, &tuning.search, (tuning.trials.len(), command.rungs as usize, eta), BUILD)?;
    let mut trainer = Trainer { data: VecDeque::new(), device: machine.device, progress };
    let folder = open(command, &config, &plan, &mut tuning)?;
    progress.say(&machine.description);
    // Data that cannot be read are no trial's failure, unless trials differ in them.
    if !tuning.open_runs()?.is_empty()
        && tuning.search.hyperparameters.iter().all(|hyperparameter| hyperparameter.section != "data")
    {
        trainer.data_for(&config)?;
    }
    let folder = match folder {
        Folder::New(new) => {
            let (folder, replaced) = new.keep()?;
            TrialLocks::of(&folder.path).remove_abandoned();
            folder.write_json(TUNE_JSON, &plan)?;
            // From here on others may take part.
            drop(replaced.discard());
            folder
        }
        Folder::Old(folder) => {
            progress.say(&format!("{}: {} trials are done; resuming", folder.path.display(), tuning.rows.len()));
            folder
        }
    };
    carry_out(&mut tuning, &mut trainer, &folder, limit)?;
    summary(&tuning, &folder)
}

/// What is searched: the file's table or the usual, without what a flag settles.
fn search(file: Option<&Path>, flags: &ArgMatches, config: &Config, progress: Progress) -> Result<Search> {
    let named = match file {
        Some(path) => Search::read(path)?,
        None => None,
    };
    let mut search = named.unwrap_or_else(|| {
        progress.say("no [search] table, so lr, dropout and weight_decay are searched");
        Search::usual()
    });
    search.hyperparameters.retain(|hyperparameter| {
        let typed = flags.value_source(&hyperparameter.key) == Some(ValueSource::CommandLine);
        if typed {
            progress.say(&format!("--{} is given, so it is not searched", hyperparameter.key.replace('_', "-")));
        }
        !typed
    });
    let weights = search.hyperparameters.iter().any(|hyperparameter| hyperparameter.key == "class_weights");
    if weights && config.training.monitor == Some(Metric::Loss) {
        return Err(Faults(vec![
            "search.class_weights: changes the loss that --monitor compares trials by, expected another metric; choose one or remove it".into(),
        ])
        .into());
    }
    if search.hyperparameters.is_empty() {
        return Err(Faults(vec![
            "every setting to search is given by a flag, expected one or more that are not; remove flags".into(),
        ])
        .into());
    }
    Ok(search)
}

/// The folder of a search.
enum Folder {
    /// A new one, locked.
    New(OutputFolder),
    /// That of a search which was begun, maybe by others who are at it.
    Old(RunFolder),
}

/// Makes a new folder, or takes part in the search that the folder holds.
fn open(command: &Tune, config: &Config, plan: &Plan, tuning: &mut Tuning) -> Result<Folder> {
    let Some(path) = &command.out else {
        let name = format!("tune-{}", crate::commands::train::experiment_name(command.config.as_deref(), config));
        return Ok(Folder::New(OutputFolder::create_named_for(&name, Contents::Tuning)?));
    };
    let marker = path.join(TUNE_JSON);
    if command.force && TrialLocks::of(path).any_held() {
        return Err(InUse(path.clone()).into());
    }
    while command.force || !marker.is_file() {
        if !command.worker {
            match OutputFolder::create(path, Contents::Tuning, command.force) {
                // Another process begins the search, or has just done so.
                Err(error) if !command.force && (error.is::<InUse>() || marker.is_file()) => {}
                created => return created.map(Folder::New),
            }
        }
        sleep(LOOK_EVERY);
    }
    let folder = RunFolder { path: path.clone() };
    plan.check_same(&marker)?;
    read_rows(tuning, &folder)?;
    Ok(Folder::Old(folder))
}

/// Takes in what other processes have written; returns the trials that can be trained now.
fn read_rows(tuning: &mut Tuning, folder: &RunFolder) -> Result<Vec<TrialRun>> {
    let file = folder.file(TRIALS_CSV);
    tuning.rows = trials::read(&file, &tuning.search)?;
    tuning.open_runs().with_context(|| file.display().to_string())
}

/// Trains what there is to train and no other process trains, writing every row as it comes, and what it came to.
fn carry_out(tuning: &mut Tuning, trainer: &mut Trainer, folder: &RunFolder, limit: Option<TimeLimit>) -> Result<()> {
    let progress = trainer.progress;
    let plan: Vec<String> = tuning.rungs.iter().map(|rung| format!("{} of {}", rung.trials, rung.epochs)).collect();
    progress.say(&format!("trials of epochs: {}", plan.join(", ")));
    let (trials_in_training, marker) = (TrialLocks::of(&folder.path), folder.file(TUNE_JSON));
    let _presence = trials_in_training.enter()?;
    let content = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
    let (begun, mut trained, mut waits) = (content(&marker)?, 0, false);
    loop {
        if content(&marker)? != begun {
            bail!(
                "{}: another process has begun another search here, expected none; choose another --out",
                folder.path.display()
            );
        }
        let open = read_rows(tuning, folder)?;
        if open.is_empty() {
            break;
        }
        let is_over = limit.is_some_and(TimeLimit::is_over);
        // After one trial at the earliest, so that each try gets further.
        let free = if trained > 0 && is_over { None } else { first_free(&trials_in_training, &open)? };
        let Some(lock) = free else {
            if is_over {
                let _others = locks::exclusively(&marker)?;
                write_results(tuning, folder)?;
                let message = format!(
                    "stopped after {} trials, as the time that --max-minutes gives is over; the search is resumable, resume with the same command and --out {}",
                    tuning.rows.len(),
                    folder.path.display()
                );
                return Err(Interrupted { cause: Cause::TimeLimit, message }.into());
            }
            if !std::mem::replace(&mut waits, true) {
                progress.say("waiting for trials that other processes train");
            }
            sleep(LOOK_EVERY);
            continue;
        };
        waits = false;
        let run = lock.run;
        if !read_rows(tuning, folder)?.contains(&run) {
            continue; // another has just finished it
        }
        let started = Instant::now();
        let (metric, outcome) = trainer.train(&tuning.config_of(run), &lock.workshop)?;
        let row = Row {
            run,
            hyperparameters: tuning.trial(run.trial).texts(),
            metric: metric.to_owned(),
            outcome,
            seconds: started.elapsed().as_secs_f64(),
        };
        progress.say(&line(tuning, &row));
        let _others = locks::exclusively(&marker)?;
        read_rows(tuning, folder)?;
        tuning.add(row);
        folder.write(TRIALS_CSV, &trials::write(&tuning.search, &tuning.rows)?)?;
        if tuning.open_runs()?.first().is_some_and(|next| next.rung != run.rung) {
            write_results(tuning, folder)?;
        }
        trained += 1;
    }
    // Here, where a search that was stopped after its last row comes too.
    let _others = locks::exclusively(&marker)?;
    trials_in_training.remove_abandoned();
    write_results(tuning, folder)
}

/// The first of the open trials that no other process trains.
fn first_free(locks: &TrialLocks, open: &[TrialRun]) -> Result<Option<TrialLock>> {
    for run in open {
        if let Some(lock) = locks.take(*run)? {
            return Ok(Some(lock));
        }
    }
    Ok(None)
}

/// A trained trial in a line.
fn line(tuning: &Tuning, row: &Row) -> String {
    let TrialRun { trial, rung, epochs } = row.run;
    let pairs = tuning.search.hyperparameters.iter().zip(&row.hyperparameters);
    let hyperparameters: Vec<String> =
        pairs.map(|(hyperparameter, value)| format!("{} {value}", hyperparameter.key)).collect();
    let outcome = match &row.outcome {
        Outcome::Done { score, best_epoch } => {
            format!(
                "valid {} {:.4} at epoch {best_epoch} of {epochs}",
                metric_name(&row.metric),
                shown(&row.metric, *score)
            )
        }
        Outcome::Failed(reason) => format!("failed: {reason}"),
    };
    format!(
        "rung {rung}/{} trial {trial:>3}  {}  {outcome}  {:.1} s",
        tuning.rungs.len(),
        hyperparameters.join(", "),
        row.seconds
    )
}

/// The best settings so far as a file, and the picture.
fn write_results(tuning: &Tuning, folder: &RunFolder) -> Result<()> {
    if let Some(best) = tuning.best().first() {
        let score = shown(&best.metric, best.score().unwrap_or(f64::NAN));
        let head = format!(
            "# The best of {} trials of strandnet tune: trial {}, validation {} {score:.4}. Train it with\n#   strandnet train {BEST_TOML}\n",
            thousands(tuning.trials.len()),
            best.run.trial,
            metric_name(&best.metric),
        );
        folder.write(BEST_TOML, (head + &tuning.config_of_row(best).to_toml()).as_bytes())?;
    }
    figures::tuning::hyperparameters(tuning)?.write(folder, SETTINGS_PNG)
}

fn summary(tuning: &Tuning, folder: &RunFolder) -> Result<()> {
    let failures = tuning.failures().count();
    if tuning.best().is_empty() {
        let reason = tuning.failures().next().map_or("no reason", |(_, reason)| reason);
        bail!(
            "{}: all {} trials failed, the first because {reason}",
            folder.file(TRIALS_CSV).display(),
            tuning.trials.len()
        );
    }
    let mut text = figures::tuning::table(tuning);
    if failures > 0 {
        text.push_str(&format!("{failures} of {} trainings failed; {TRIALS_CSV} says why\n", tuning.rows.len()));
    }
    text.push_str(&format!("next: strandnet train {}\n{}\n", folder.file(BEST_TOML).display(), folder.path.display()));
    print(&text)
}

/// Trains one trial after the other on the same data.
struct Trainer {
    /// The last used first.
    data: VecDeque<(DataConfig, u64, Dataset)>,
    device: tch::Device,
    progress: Progress,
}

impl Trainer {
    /// The data of an experiment, read once for all experiments that share them.
    fn data_for(&mut self, config: &Config) -> Result<&Dataset> {
        let seed = config.training.seed;
        let known = self.data.iter().position(|(data, of, _)| (data, *of) == (&config.data, seed));
        match known.and_then(|place| self.data.remove(place)) {
            Some(data) => self.data.push_front(data),
            None => {
                self.data.truncate(MOST_DATA_SETS - 1);
                self.data.push_front((config.data.clone(), seed, data_of(config, &self.progress)?));
            }
        }
        Ok(&self.data[0].2)
    }

    /// Trains an experiment; returns the metric of its score, and the score. What goes wrong in training is an outcome like
    /// any other.
    ///
    /// # Errors
    /// The folder cannot be written.
    fn train(&mut self, config: &Config, workshop: &RunFolder) -> Result<(&'static str, Outcome)> {
        clear(workshop)?;
        std::fs::create_dir(&workshop.path).map_err(|error| run::cannot_write(&workshop.path, &error))?;
        // Lines of every epoch of every trial would hide what came of them.
        let (device, progress) =
            (self.device, if self.progress == Progress::Lines { Progress::Quiet } else { self.progress });
        let trained = catch_unwind(AssertUnwindSafe(|| {
            let data = self.data_for(config)?;
            let training = &config.training;
            let task = Task::new(data.kind, &data.classes, config.loss(), &training.class_weights, &data.train)?
                .trained_by(training)?
                .of_architecture(config.model.arch);
            let memory = memory::check(config, task.network_outputs(), data, device::kind(device))?;
            let (bias, group, folder) = (None, None, Some(workshop));
            let setup = Setup { config, task: &task, data, device, bias, group, folder, progress };
            let trained = memory.explaining(|| train::train(setup, &mut [], None))?;
            let Some(best) = trained.summary.best(0) else { bail!("no epoch was the best") };
            let (score, best_epoch) = (best.valid_score, best.epoch);
            if !score.is_finite() {
                bail!("the validation score is {score}, expected a number");
            }
            Ok((task.selection_metric(), Outcome::Done { score, best_epoch }))
        }))
        .unwrap_or_else(|panic| Err(error_of_panic(panic.as_ref())));
        clear(workshop)?;
        // A full disk says nothing of a trial, which is trained when the search goes on.
        if trained.as_ref().is_err_and(|error| error.is::<CannotWrite>()) {
            return trained;
        }
        Ok(trained.unwrap_or_else(|error| ("", Outcome::Failed(format!("{error:#}").replace(['\n', '\r'], " ")))))
    }
}

/// Removes what a trial left, also one that was killed.
fn clear(workshop: &RunFolder) -> Result<()> {
    match std::fs::remove_dir_all(&workshop.path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(run::cannot_write(&workshop.path, &error)),
        _ => Ok(()),
    }
}
