//! `train`: data, network, loop, judgement, export.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use clap::ArgMatches;

use super::print;
use crate::cli::Train;
use crate::config::Config;
use crate::data::split::Split;
use crate::data::{self, Dataset};
use crate::evaluate::{Judgement, predictions};
use crate::progress::Progress;
use crate::report::{self, thousands};
use crate::run::{
    self, CONFIG_TOML, Contents, ExampleCounts, METRICS_JSON, MODEL_JSON, MODEL_PT, NewFolder, Outcome,
    PREDICTIONS_CSV, Provenance, RUN_JSON, RunFolder, WEIGHTS,
};
use crate::train::{self, Trained};
use crate::{device, export, model};

pub fn run(command: &Train, flags: &ArgMatches, progress: Progress) -> Result<()> {
    let config = Config::resolve(command.config.as_deref(), &command.settings, flags)?;
    let (device, why) = device::choose(config.training.device)?;
    let threads = device::set_threads(config.training.threads);
    let folder = match &command.out {
        Some(path) => NewFolder::claim(path, Contents::Run, command.force)?,
        None => NewFolder::claim_named(&experiment_name(command.config.as_deref(), &config))?,
    };
    progress.say(&format!("device: {why}; {threads} threads"));

    let data = data::load(&config.data, config.training.seed, &progress)?;
    progress.say(&format!(
        "{} training, {} validation and {} test fragments of {} bp; positive class {}",
        thousands(data.train.len()),
        thousands(data.valid.len()),
        thousands(data.test.len()),
        data.train.length,
        data.classes.positive_name()
    ));
    let mut provenance = provenance(&config, &data, device, threads)?;
    let (run, replaced) = folder.keep()?;
    run.write_json(RUN_JSON, &provenance)?;
    run.write(CONFIG_TOML, config.to_toml().as_bytes())?;

    let started = Instant::now();
    let trained = train::train(&config, &data, device, &run, progress)?;
    let Trained { best_epoch, restarts, .. } = trained;
    provenance.outcome = Some(Outcome { best_epoch, restarts, seconds: started.elapsed().as_secs_f64() });
    run.write_json(RUN_JSON, &provenance)?;
    let results = judge_and_export(&config, &data, &trained, &run)?;
    replaced.discard();
    print(&format!("{results}{}\n", run.path.display()))
}

/// Measures on validation (which chooses the threshold) and, once, on test; writes every result and returns a summary.
fn judge_and_export(config: &Config, data: &Dataset, trained: &Trained, run: &RunFolder) -> Result<String> {
    let (positive, seed) = (data.classes.positive, config.training.seed);
    let valid = Judgement::of(&trained.network, &data.valid, positive, None, seed)?;
    let threshold = valid.report.threshold;
    let test = Judgement::of(&trained.network, &data.test, positive, Some(threshold), seed)?;
    let best_possible = data.best_possible_scores.as_deref().map(|best| test.beside_best_possible(best));

    let mut metrics = serde_json::Map::new();
    metrics.insert("valid".into(), valid.report.to_json(None).into());
    metrics.insert("test".into(), test.report.to_json(best_possible).into());
    let mut rows = predictions::writer()?;
    predictions::append(&mut rows, Split::Valid, &data.valid, &valid.scores, &data.classes)?;
    predictions::append(&mut rows, Split::Test, &data.test, &test.scores, &data.classes)?;
    run.write(PREDICTIONS_CSV, &rows.into_inner()?)?;
    run.write("loss.png", &report::loss(&trained.history, trained.best_epoch, config.training.loss)?)?;
    run.write("accuracy.png", &report::accuracy(&trained.history, trained.best_epoch)?)?;
    report::draw(&test, &data.classes, run)?;
    let (card, difference) = export::export(
        &config.model,
        data.train.length,
        &run.file(WEIGHTS),
        &data.classes,
        threshold,
        &run.file(MODEL_PT),
    )?;
    run.write_json(MODEL_JSON, &card)?;
    run.write_json(METRICS_JSON, &metrics)?; // last: a folder that has it is a finished run

    let best = &trained.history[trained.best_epoch - 1];
    Ok(format!(
        "best epoch {} of {}, validation AUROC {:.4}\n{}exported model: largest difference from the network {difference:.1e}\n",
        trained.best_epoch,
        trained.history.len(),
        best.valid_auroc,
        report::table(&test.report, best_possible)
    ))
}

/// The experiment's name: that of its file, or of its data and architecture.
fn experiment_name(file: Option<&Path>, config: &Config) -> String {
    match file.and_then(Path::file_stem) {
        Some(stem) => stem.to_string_lossy().into_owned(),
        None if config.data.is_demo() => "demo".into(),
        None => config.model.arch.name().into(),
    }
}

fn provenance(config: &Config, data: &Dataset, device: tch::Device, threads: usize) -> Result<Provenance> {
    let network = model::Network::new(&config.model, data.train.length, tch::Device::Cpu, config.training.seed)?;
    Ok(Provenance {
        format_version: run::FORMAT_VERSION,
        version: env!("CARGO_PKG_VERSION").into(),
        git_revision: env!("STRANDNET_GIT_REVISION").into(),
        libtorch: env!("STRANDNET_LIBTORCH_VERSION").into(),
        device: format!("{device:?}"),
        threads,
        seed: config.training.seed,
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        data_files: data.files.iter().map(|path| run::describe_file(path)).collect::<Result<_>>()?,
        classes: data.classes.names.clone(),
        positive: data.classes.positive_name().into(),
        length: data.train.length,
        parameter_count: network.parameter_count(),
        examples: ExampleCounts { train: data.train.len(), valid: data.valid.len(), test: data.test.len() },
        config: config.with_absolute_paths(),
        outcome: None,
    })
}
