//! `train`: settings, data, training, results.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::cli::train::Train;
use crate::commands::signal::is_of_reads;
use crate::commands::{data_at, print, signal};
use crate::device;
use crate::distributed::Group;
use crate::distributed::launch::Launch;
use crate::distributed::processes;
use crate::train::hooks::OnTimeLimit;
use crate::trainer::{InterruptedRun, Resumption, TrainedRun, Trainer};
use strandnet_core::config::search::Search;
use strandnet_core::config::{Config, DataConfig, Faults, TaskKind};
use strandnet_core::dataset::{Dataset, folds};
use strandnet_core::files::streams;
use strandnet_core::format::{counted, thousands};
use strandnet_core::inspect::{self, NearCopies};
use strandnet_core::interrupt::{Interrupted, TimeLimit};
use strandnet_core::progress::Progress;
use strandnet_core::run::{self, Contents, DataFiles, OutputFolder, RUN_JSON, RunFolder};

pub fn run(command: &Train, flags: &ArgMatches, progress: Progress) -> Result<()> {
    let (checkpoint_every, limit) = command.times(flags)?;
    let launch = Launch::from_environment()?;
    let processes = launch.as_ref().map_or(command.processes.unwrap_or(1).into(), |launch| launch.size);
    if let Some(asked) = command.processes.filter(|&asked| usize::from(asked) != processes) {
        let fault = format!("--processes is {asked}, and {processes} were started; leave it out");
        return Err(Faults(vec![fault]).into());
    }
    let begun = match &command.resume {
        Some(path) => RunFolder::open(path)?.1.config,
        None => Config::resolve(command.config.as_deref(), &command.settings, flags)?,
    };
    if processes > 1 {
        check_for_several(command, &begun, processes)?;
    }
    let Some(launch) = launch else {
        return match processes {
            1 => train(command, begun, flags, (checkpoint_every, limit), None, progress),
            _ => processes::run(processes, begun.training.threads),
        };
    };
    let group = Rc::new(Group::meet(launch, command.timeout)?);
    let progress = if group.is_first() { progress } else { Progress::Silent };
    let trained = train(command, begun, flags, (checkpoint_every, limit), Some(&group), progress);
    match trained {
        // One of them says it.
        Err(error) if !group.is_first() => match error.downcast_ref::<Interrupted>() {
            Some(interrupted) => Err(processes::Ended(interrupted.exit_code().into()).into()),
            None => Err(error),
        },
        trained => trained,
    }
}

/// Checks that several processes can train an experiment.
fn check_for_several(command: &Train, config: &Config, processes: usize) -> Result<(), Faults> {
    let Config { data, training, .. } = config;
    let mut faults = Vec::new();
    faults.extend(training.batch_size.fault_of_auto("several processes"));
    if !training.batch_size.fragments().is_multiple_of(processes) {
        faults.push(format!(
            "--batch-size is {}, expected a multiple of {processes}, as each of so many processes takes the same part of every batch",
            training.batch_size
        ));
    }
    let settings = command.config.as_deref();
    if let Some(path) = data.paths().into_iter().chain(settings).find(|path| streams::is_stream(path)) {
        faults.push(format!(
            "{}: is a pipe or standard input, expected a file, which every process reads; save it in a file",
            path.display()
        ));
    }
    if let Some(track) = data.signal.iter().find(|track| track.paths().any(|path| is_of_reads(path))) {
        faults.push(format!(
            "--signal {}: holds reads, expected bigWig, as every process reads the same counts; count them first with strandnet signal",
            track.name
        ));
    }
    if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
}

/// Trains as a configuration says, or goes on with a run; of several processes each does its part.
fn train(
    command: &Train,
    mut config: Config,
    flags: &ArgMatches,
    (checkpoint_every, limit): (Duration, Option<TimeLimit>),
    group: Option<&Rc<Group>>,
    progress: Progress,
) -> Result<()> {
    let is_first = group.is_none_or(|group| group.is_first());
    let of_process = |device| group.map_or(Ok(device), |group| device::of_process(device, group.local_rank()));
    let trainer = |config: &Config| {
        let trainer = Trainer::new(config.clone()).with_progress(progress).checkpoint_every(checkpoint_every);
        let trainer = trainer.stop_on_signals().with_group(group.cloned());
        match limit {
            Some(limit) => trainer.with_hook(OnTimeLimit(limit)),
            None => trainer,
        }
    };
    if let Some(path) = &command.resume {
        let typed = |setting: &str| flags.value_source(setting) == Some(ValueSource::CommandLine);
        let settings = &command.settings.training;
        let how = Resumption {
            epochs: typed("epochs").then_some(settings.epochs),
            device: typed("device").then_some(settings.device),
            cuda_graph: typed("cuda_graph").then_some(settings.cuda_graph),
            data_roots: command.data_root.clone(),
            only_reads: !is_first,
        };
        let open = || {
            let device = match (how.device, group) {
                (None, None) => None,
                (device, _) => Some(of_process(device.unwrap_or(RunFolder::open(path)?.1.config.training.device))?),
            };
            InterruptedRun::open_with(path, &Resumption { device, ..how.clone() }, progress)
        };
        let Some(interrupted) = group.map_or_else(open, |group| group.after_first(open))? else {
            group.iter().for_each(|group| group.dismiss());
            if !is_first {
                return Ok(());
            }
            progress.say(&format!("{}: is finished; nothing to do", path.display()));
            return print(&format!("{}\n", path.display()));
        };
        let config = interrupted.config.clone();
        let data = data_at(&config, &interrupted.files, &progress)?;
        progress.say(&describe(&data, &config.data));
        if !is_first {
            return trainer(&config).take_part_again(interrupted, &data);
        }
        return show(&trainer(&config).resume(interrupted, &data)?);
    }
    if let Some(path) = command.config.as_deref()
        && Search::read(path).ok().flatten().is_some()
    {
        progress.say(&format!("{}: [search] is for tune and is ignored here", path.display()));
    }
    let files = moved_files(command, &config)?;
    files.notices().for_each(|notice| progress.say(&notice));
    if !files.moved.is_empty() {
        config = files.in_config(&config);
    }
    config.training.device = of_process(config.training.device)?;
    if !is_first {
        config.data = folds::resolve(&config.data, config.training.seed, &progress)?;
        let data = data_at(&config, &files, &progress)?;
        return trainer(&config).take_part(&data);
    }
    let machine = device::for_training(&config.training)?;
    if let (Some(source), Some(out)) = (&config.training.init_from, &command.out)
        && run::lies_in(out, source)
    {
        bail!("{}: is the run of --init-from, which training still reads; choose another --out", out.display());
    }
    if let (Some(source), Some(out)) = (&config.training.bias, &command.out)
        && run::lies_in(out, source)
    {
        bail!("{}: is the run of --bias, which training still reads; choose another --out", out.display());
    }
    let folder = match &command.out {
        Some(path) => OutputFolder::create(path, Contents::Run, command.force)?,
        None => OutputFolder::create_named(&experiment_name(command.config.as_deref(), &config))?,
    };
    progress.say(&machine.description);
    // So that the run can be repeated, and gone on with, after the pipe is gone.
    let inputs = folder.path().join(run::INPUTS);
    streams::keep_in(&inputs, config.data.named_paths_mut())?;
    signal::count_reads_of(&mut config.data, &inputs, progress)?;
    config.data = folds::resolve(&config.data, config.training.seed, &progress)?;
    let data = data_at(&config, &files, &progress)?;
    progress.say(&describe(&data, &config.data));
    let found = inspect::inspect(&data, &config.data, NearCopies::IfQuick)?;
    found.report(progress);
    let trainer = trainer(&config).with_moved_files(files.moved.clone()).with_data_warnings(found.warnings);
    show(&trainer.in_output_folder(folder).fit(&data)?)
}

/// Where the data files of a run are now whose configuration is trained again. The record beside the configuration says what
/// they hold.
fn moved_files(command: &Train, config: &Config) -> Result<DataFiles> {
    let run = command.config.as_deref().and_then(Path::parent);
    let run = run.map(|run| if run.as_os_str().is_empty() { Path::new(".") } else { run });
    match run.map(|run| (run, RunFolder::open(run))) {
        Some((run, Ok((_, provenance)))) => DataFiles::of_config(config, &provenance, run, &command.data_root),
        _ if command.data_root.is_empty() => Ok(DataFiles::default()),
        Some((run, Err(error))) if run.join(RUN_JSON).is_file() => Err(error),
        _ => Err(Faults(vec![
            "--data-root is given, and there is no run.json beside the configuration to say what the files hold; name the config.toml of a run"
                .into(),
        ])
        .into()),
    }
}

/// Prints the results and, last, where the run is.
fn show(trained: &TrainedRun) -> Result<()> {
    let path = trained.folder.as_ref().map_or_else(String::new, |run| format!("{}\n", run.path.display()));
    print(&format!("{}{path}", trained.report))
}

/// The data in a line.
fn describe(data: &Dataset, config: &DataConfig) -> String {
    let question = match data.kind {
        TaskKind::Binary => {
            format!("positive class {}{}", data.classes.positive_name(), data.classes.why_positive(config))
        }
        TaskKind::Multiclass => format!("{} classes", data.classes.names.len()),
        TaskKind::Multilabel => format!("{} labels", data.classes.names.len()),
        TaskKind::Regression | TaskKind::Profile => match (data.classes.names.len(), data.train.values_along()) {
            (columns, 1) => format!("{} of values", counted(columns as u64, "column")),
            (columns, bins) => format!("{} of values in {bins} bins", counted(columns as u64, "column")),
        },
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

/// The experiment's name: that of its file, or of its data and architecture.
pub(super) fn experiment_name(file: Option<&Path>, config: &Config) -> String {
    match file.and_then(Path::file_stem) {
        Some(stem) => stem.to_string_lossy().into_owned(),
        None if config.data.is_demo() => "demo".into(),
        None => config.model.arch.name().into(),
    }
}
