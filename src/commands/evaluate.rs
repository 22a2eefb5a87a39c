//! `evaluate`: a run's network on its own test data or on other data. The run folder is only read.

use anyhow::{Result, bail};
use serde_json::json;

use super::{open_run, print, threshold};
use crate::cli::Evaluate;
use crate::config::DataConfig;
use crate::data;
use crate::data::split::{ChromosomeChoice, Split};
use crate::evaluate::{Judgement, predictions};
use crate::progress::Progress;
use crate::run::{Contents, EVALUATION_JSON, FORMAT_VERSION, METRICS_JSON, NewFolder, PREDICTIONS_CSV, lies_in};
use crate::{device, report};

pub fn run(command: &Evaluate, progress: Progress) -> Result<()> {
    let (device, _) = device::choose(command.compute.device)?;
    device::set_threads(command.compute.threads.map(usize::from));
    let (run, provenance, network) = open_run(&command.run, device)?;
    let threshold = threshold(&run)?;
    let out = match &command.out {
        Some(path) if lies_in(path, &run.path) => {
            bail!("{}: lies in the run folder, which evaluate never changes; choose another --out", path.display())
        }
        Some(path) => Some(NewFolder::claim(path, Contents::Evaluation, command.force)?),
        None => None,
    };
    let classes = provenance.classes()?;
    let own = &provenance.config.data;
    let config = command.data.over(own, &classes)?;
    if !command.data.names_other_files() {
        provenance.check_data_files()?;
    }
    warn_of_known_data(command, own, progress);
    let assignment = command.data.assignment(own);
    let seed = command.data.seed.unwrap_or(provenance.seed);
    let data = data::load_test(&config, &assignment, &classes, provenance.length, seed, &progress)?;
    if let (Some(_), Some(train)) = (&command.data.test, &own.train) {
        data::warn_of_shared_table(train, &data.examples, &progress);
    }

    let judgement = Judgement::of(&network, &data.examples, classes.positive, Some(threshold), provenance.seed)?;
    let best_possible = data.best_possible_scores.as_deref().map(|best| judgement.beside_best_possible(best));
    if let Some(folder) = out {
        let (out, replaced) = folder.keep()?;
        let command_line: Vec<_> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        let origin =
            json!({"format_version": FORMAT_VERSION, "run": std::path::absolute(&run.path)?, "command": command_line});
        out.write_json(EVALUATION_JSON, &origin)?; // first: by it --force knows the folder
        let mut rows = predictions::writer()?;
        predictions::append(&mut rows, Split::Test, &data.examples, &judgement.scores, &classes)?;
        out.write(PREDICTIONS_CSV, &rows.into_inner()?)?;
        report::draw(&judgement, &classes, &out)?;
        let mut metrics = serde_json::Map::new();
        metrics.insert("test".into(), judgement.report.to_json(best_possible).into());
        out.write_json(METRICS_JSON, &metrics)?;
        replaced.discard();
    }
    let mut text = report::table(&judgement.report, best_possible);
    if let Some(path) = &command.out {
        text.push_str(&format!("{}\n", path.display()));
    }
    print(&text)
}

/// Chromosomes asked for by name are judged on, and it is said if the run learned from them.
fn warn_of_known_data(command: &Evaluate, own: &DataConfig, progress: Progress) {
    let choice = ChromosomeChoice::from(own);
    let known: Vec<&str> =
        command.data.test_chroms.iter().map(String::as_str).filter(|name| choice.learns_from(name)).collect();
    if own.train.is_none() && !known.is_empty() {
        progress.warn(&format!("the run learned from {}, so scores on that flatter it", known.join(", ")));
    }
}
