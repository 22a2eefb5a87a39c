//! `evaluate`: a run's network on its own test data or on other data. The run folder is only read.

use std::path::Path;

use anyhow::{Result, bail};

use super::{open_run, print, threshold};
use crate::cli::Evaluate;
use crate::data;
use crate::data::split::Split;
use crate::evaluate::{Judgement, predictions};
use crate::progress::Progress;
use crate::run::{Contents, METRICS_JSON, NewFolder, PREDICTIONS_CSV};
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
    let assignment = command.data.assignment(own);
    let seed = command.data.seed.unwrap_or(provenance.seed);
    let data = data::load_test(&config, &assignment, &classes, provenance.length, seed, &progress)?;

    let judgement = Judgement::of(&network, &data.examples, classes.positive, Some(threshold), provenance.seed)?;
    let best_possible = data.best_possible_scores.as_deref().map(|best| judgement.beside_best_possible(best));
    if let Some(folder) = out {
        let out = folder.keep()?;
        let mut rows = predictions::writer()?;
        predictions::append(&mut rows, Split::Test, &data.examples, &judgement.scores, &classes)?;
        out.write(PREDICTIONS_CSV, &rows.into_inner()?)?;
        report::draw(&judgement, &classes, &out)?;
        let mut metrics = serde_json::Map::new();
        metrics.insert("test".into(), judgement.report.to_json(best_possible).into());
        out.write_json(METRICS_JSON, &metrics)?;
    }
    let mut text = report::table(&judgement.report, best_possible);
    if let Some(path) = &command.out {
        text.push_str(&format!("{}\n", path.display()));
    }
    print(&text)
}

/// Whether `path`, which need not exist yet, is `folder` or lies in it, by whatever name.
fn lies_in(path: &Path, folder: &Path) -> bool {
    let Ok(absolute) = std::path::absolute(path) else { return false };
    let existing = absolute.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    existing.zip(folder.canonicalize().ok()).is_some_and(|(path, folder)| path.starts_with(folder))
}
