//! `cv`: the folds of an experiment, each trained like a run of its own, and what they come to together.

mod ensemble;
mod results;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ArgMatches;

use crate::BUILD;
use crate::cli::cv::Cv;
use crate::commands::signal::is_of_reads;
use crate::commands::train::experiment_name;
use crate::commands::{data_at, print};
use crate::device;
use crate::train::hooks::OnTimeLimit;
use crate::trainer::{InterruptedRun, Resumption, Trainer};
use strandnet_core::config::{Config, DEFAULT_FOLDS, Faults};
use strandnet_core::dataset::folds::{self, FoldPlan};
use strandnet_core::dataset::{Dataset, LoadRequest};
use strandnet_core::files::streams;
use strandnet_core::format::{counted, thousands};
use strandnet_core::inspect::{self, NearCopies};
use strandnet_core::interrupt::{Interrupted, TimeLimit};
use strandnet_core::progress::Progress;
use strandnet_core::run::{
    self, CV_JSON, Contents, DataFiles, FoldFolder, METRICS_JSON, OutputFolder, RUN_JSON, RunFolder,
};

/// The most networks that an ensemble has.
const MOST_MEMBERS: usize = 100;

pub fn run(command: &Cv, flags: &ArgMatches, progress: Progress) -> Result<()> {
    let (checkpoint_every, limit) = command.times(flags)?;
    let typed = &command.settings.training;
    let (path, folds, only) = match &command.resume {
        Some(path) => {
            let mut folds = FoldFolder::open(path)?;
            folds.config.training.threads = typed.threads.or(folds.config.training.threads);
            (path.clone(), folds, command.settings.data.fold)
        }
        None => match begin(command, flags, progress)? {
            Some(begun) => begun,
            None => return Ok(()),
        },
    };
    if let Some(fold) = only.filter(|&fold| fold >= folds.plan.folds.len()) {
        let count = folds.plan.folds.len();
        bail!("--fold is {fold}, and there are {count} folds, expected 0 to {}", count - 1);
    }
    let machine = device::for_training(&folds.config.training)?;
    progress.say(&machine.description);
    let training = Training { path: &path, folds: &folds, checkpoint_every, limit, progress };
    for fold in only.map_or(0..folds.plan.folds.len(), |fold| fold..fold + 1) {
        training.fold(fold)?;
    }
    let (finished, all) = folds.progress(&path);
    if finished < all {
        progress.say(&format!(
            "{finished} of {all} runs are finished; whoever finishes the last puts the results together"
        ));
        return print(&format!("{}\n", path.display()));
    }
    // Whoever has the folder is about to do the same.
    let Ok(_lock) = run::lock(&path) else {
        progress.say("another process puts the results together");
        return print(&format!("{}\n", path.display()));
    };
    if path.join(CV_JSON).is_file() {
        progress.say(&format!("{}: is finished; nothing to do", path.display()));
        return print(&format!("{}\n", path.display()));
    }
    let text = results::join(&RunFolder { path: path.clone() }, &folds, progress)?;
    print(&format!("{text}{}\n", path.display()))
}

/// Makes the folds of what was typed and their folder; nothing where only fold files were wanted.
fn begin(command: &Cv, flags: &ArgMatches, progress: Progress) -> Result<Option<(PathBuf, FoldFolder, Option<usize>)>> {
    let mut config = Config::resolve(command.config.as_deref(), &command.settings, flags)
        .or_else(|faults| with_default_folds(command, flags, faults))?;
    if let Some(path) = config.data.paths().into_iter().find(|path| streams::is_stream(path)) {
        bail!(
            "{}: is a pipe or standard input, expected a file, which every fold reads again; save it in a file",
            path.display()
        );
    }
    if let Some(track) = config.data.signal.iter().find(|track| track.paths().any(|path| is_of_reads(path))) {
        bail!(
            "--signal {}: holds reads, expected bigWig, as every fold reads the same counts; count them first with strandnet signal",
            track.name
        );
    }
    if !config.data.is_folded() {
        if config.data.names_chromosomes()
            || config.data.valid_fraction.is_some()
            || config.data.test_fraction.is_some()
        {
            return Err(Faults(vec![
                "chromosomes or shares of a single split are given, and cv makes folds; remove them, or name the chromosomes of each fold with --fold-file".into(),
            ])
            .into());
        }
        config.data.folds = Some(DEFAULT_FOLDS);
    }
    let only = config.data.fold.take();
    let seeds: Vec<u64> = (0..u64::from(command.seeds)).map(|i| config.training.seed + i).collect();
    let plan = folds::plan(&LoadRequest::new(&config.data, config.training.seed, &progress))?;
    describe(&plan, progress);
    let members = plan.folds.len() * seeds.len() * config.training.ensemble;
    if members > MOST_MEMBERS {
        bail!(
            "{} folds of {} seeds and {} networks each come to {members} networks, expected at most {MOST_MEMBERS}; use fewer",
            plan.folds.len(),
            seeds.len(),
            config.training.ensemble
        );
    }
    if let Some(folder) = &command.write_folds {
        let paths = folds::write(&plan.folds, folder, command.force)?;
        if command.out.is_none() {
            let lines: String = paths.iter().map(|path| format!("{}\n", path.display())).collect();
            print(&lines)?;
            return Ok(None);
        }
    }
    let path = match &command.out {
        Some(path) => path.clone(),
        None => {
            let name = format!("cv-{}", experiment_name(command.config.as_deref(), &config));
            OutputFolder::create_named_for(&name, Contents::Folds)?.keep()?.0.path
        }
    };
    let folds = FoldFolder::new(&config, plan, seeds, BUILD);
    folds.join(&path, command.force)?;
    Ok(Some((path, folds, only)))
}

/// What was typed with as many folds as `cv` makes where nothing is said: `--fold K` is then a setting of these.
fn with_default_folds(command: &Cv, flags: &ArgMatches, faults: Faults) -> Result<Config, Faults> {
    if command.settings.data.is_folded() || (command.settings.data.fold.is_none() && !command.settings.data.keep_test) {
        return Err(faults);
    }
    let mut sampled = toml::Table::new();
    let mut data = toml::Table::new();
    data.insert("folds".into(), DEFAULT_FOLDS.to_string().into());
    sampled.insert("data".into(), data.into());
    Config::resolve_with(command.config.as_deref(), &command.settings, flags, &sampled)
}

/// Says what the folds are.
fn describe(plan: &FoldPlan, progress: Progress) {
    let by = match plan.split_by.as_str() {
        "similar" => "clusters of similar sequences",
        "hash" => "a hash of the sequence",
        "fold-file" => "--fold-file",
        "fold-column" => "--fold-column",
        _ => "chromosome",
    };
    progress.say(&format!("{} folds by {by}", plan.folds.len()));
    for (fold, lists) in plan.folds.iter().enumerate().filter(|(_, lists)| !lists.test.is_empty()) {
        let size = plan.parts.get(fold).map_or_else(String::new, |part| format!(" ({})", thousands(part.n as usize)));
        progress.say(&format!(
            "fold {fold}: test {}{size}; validation {}",
            lists.test.join(", "),
            lists.valid.join(", ")
        ));
    }
}

/// What every run needs.
struct Training<'a> {
    path: &'a Path,
    folds: &'a FoldFolder,
    checkpoint_every: std::time::Duration,
    limit: Option<TimeLimit>,
    progress: Progress,
}

impl Training<'_> {
    /// Trains what is left to train of a fold.
    fn fold(&self, fold: usize) -> Result<()> {
        let Self { path, folds, progress, .. } = self;
        let mut data: Option<Dataset> = None;
        for &seed in &folds.seeds {
            let run = FoldFolder::run_path(path, fold, seed);
            if run.join(METRICS_JSON).is_file() {
                progress.say(&format!("fold {fold}, seed {seed}: is finished"));
                continue;
            }
            progress.say(&format!("fold {fold} of {}, seed {seed}", folds.plan.folds.len()));
            let mut config = folds.config_of(fold, seed);
            config.training.threads = folds.config.training.threads;
            if data.is_none() {
                data = Some(data_at(&config, &DataFiles::default(), progress).with_context(|| format!("fold {fold}"))?);
            }
            let Some(data) = &data else { continue };
            self.run(&run, &config, data).map_err(|error| self.resumable(error))?;
        }
        Ok(())
    }

    /// Trains a run, or the rest of it.
    fn run(&self, path: &Path, config: &Config, data: &Dataset) -> Result<()> {
        let trainer = |config: &Config| {
            let trainer = Trainer::new(config.clone()).with_progress(self.progress);
            let trainer = trainer.checkpoint_every(self.checkpoint_every).stop_on_signals();
            match self.limit {
                Some(limit) => trainer.with_hook(OnTimeLimit(limit)),
                None => trainer,
            }
        };
        if path.join(RUN_JSON).is_file() {
            let Some(interrupted) = InterruptedRun::open_with(path, &Resumption::default(), self.progress)? else {
                return Ok(());
            };
            let config = interrupted.config.clone();
            trainer(&config).resume(interrupted, data)?;
            return Ok(());
        }
        if path.exists() {
            // What was killed before it wrote its first file left nothing of use.
            let _lock = run::lock(path)?;
            for entry in std::fs::read_dir(path).map_err(|error| run::cannot_write(path, &error))?.flatten() {
                let _ = std::fs::remove_file(entry.path()).or_else(|_| std::fs::remove_dir_all(entry.path()));
            }
        }
        let folder = OutputFolder::create(path, Contents::Run, false)?;
        let found = inspect::inspect(data, &config.data, NearCopies::IfQuick)?;
        self.progress.say(&format!(
            "{} training, {} validation and {} test examples of {} bp; {} to say of them",
            thousands(data.train.len()),
            thousands(data.valid.len()),
            thousands(data.test.len()),
            data.train.length,
            counted(found.warnings.len() as u64, "warning")
        ));
        trainer(config).with_data_warnings(found.warnings).in_output_folder(folder).fit(data)?;
        Ok(())
    }

    /// Says how to go on after a stop.
    fn resumable(&self, error: anyhow::Error) -> anyhow::Error {
        match error.downcast::<Interrupted>() {
            Ok(Interrupted { cause, message }) => {
                let stop = message.split("; ").next().unwrap_or(&message).to_owned();
                let shown = self.path.display();
                Interrupted { cause, message: format!("{stop}; resume with: strandnet cv --resume {shown}") }.into()
            }
            Err(error) => error,
        }
    }
}
