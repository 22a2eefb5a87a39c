//! `evaluate`: a run's network on its own test data or on other data. The run folder is only read.

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::cli::Evaluate;
use crate::commands::{Backend, FinishedRun, FoldNetworks, WithBias, print, print_json};
use crate::config::{DataConfig, SourceKind};
use crate::dataset;
use crate::dataset::examples::Examples;
use crate::dataset::manifest::Learned;
use crate::dataset::split::{Assignment, Split};
use crate::dataset::{LoadRequest, TestData};
use crate::evaluate;
use crate::evaluate::dependence;
use crate::evaluate::enzyme::ProfileBaselines;
use crate::evaluate::predictions::Predictions;
use crate::evaluate::results::{EvaluationMetrics, threshold_of};
use crate::evaluate::{Evaluation, Strand};
use crate::figures;
use crate::genome::names::is_same_name;
use crate::metrics::Resampling;
use crate::predict::out_of_fold::unseen_by;
use crate::progress::Progress;
use crate::run;
use crate::run::{
    BINS_NPZ, CV_JSON, Contents, DataFiles, EVALUATION_JSON, EXAMPLES_TSV, FORMAT_VERSION, FoldFolder, METRICS_JSON,
    OutputFolder, PREDICTIONS_CSV, PROFILE_BASELINES_JSON, PROFILES_NPZ, RunFolder, lies_in,
};

/// Runs `evaluate`.
///
/// # Errors
/// The run or the data cannot be read, or results cannot be written.
pub fn run(command: &Evaluate, backend: &dyn Backend, progress: Progress) -> Result<()> {
    let FinishedRun { folder, provenance, classes, networks } = backend.open(&command.run, WithBias::IfAny, false)?;
    let task = provenance.task()?;
    let threshold = threshold_of(&folder, task)?;
    if let Some(path) = &command.performance {
        if task.profile.is_none() {
            bail!("--performance goes with a run of --task profile, and this one predicts none; remove it");
        }
        if lies_in(path, &folder.path) {
            let path = path.display();
            bail!("{path}: lies in the run folder, which evaluate never changes; choose another --performance");
        }
        run::check_output_file(path, command.force)?;
    }
    let out = match &command.out {
        Some(path) if lies_in(path, &folder.path) => {
            bail!("{}: lies in the run folder, which evaluate never changes; choose another --out", path.display())
        }
        Some(path) => Some(OutputFolder::create(path, Contents::Evaluation, command.force)?),
        None => None,
    };
    let foreign = command.data.names_other_files();
    let folds = command.out_of_fold.then(|| backend.open_folds(&command.run, WithBias::IfAny, false)).transpose()?;
    if folds.is_none()
        && !foreign
        && FoldFolder::is_at(&command.run)
        && !FoldFolder::open(&command.run)?.config.data.keep_test
    {
        bail!(
            "{}: every example of the cross-validation is some network's training example, and {CV_JSON} holds how each was scored by those that did not see it; name other data, or add --out-of-fold",
            command.run.display()
        );
    }
    let files = if foreign {
        DataFiles::default()
    } else {
        let advice = "restore it, name its folder with --data-root, or name data with --genome or --test";
        DataFiles::of_run(&provenance, &folder.path, &command.data_root, advice)?
    };
    files.notices().for_each(|notice| progress.say(&notice));
    let own = &files.in_config(&provenance.config).data;
    let config = command.data.over(own, &classes)?;
    let learned = learned_by(&folder, foreign || !command.data.test_chroms.is_empty())?;
    if folds.is_none() {
        warn_of_known_data(command, own, &learned, progress);
    }
    let seed = command.data.seed.unwrap_or(provenance.seed);
    let request = LoadRequest {
        assignment: match folds {
            Some(_) if command.data.test_chroms.is_empty() => Assignment::TestOnAll,
            _ => command.data.assignment(own, &learned),
        },
        task: Some((task.kind, &classes)),
        length: Some(provenance.length),
        moved: Some(files.paths()),
        ..LoadRequest::new(&config, seed, &progress)
    };
    let TestData { examples, best_possible_scores } = dataset::load_test(&request)?;
    if foreign && folds.is_none() {
        let shared = learned.shared(&examples)?;
        if shared > 0 {
            progress.warn(&format!(
                "{shared} of {} test sequences are also in the training examples of the run, on either strand, so their scores are optimistic; remove them",
                examples.len()
            ));
        }
    }

    if let Some(largest) = provenance.largest_n {
        let beyond = examples.unknown_bases()?.into_iter().filter(|unknown| *unknown > largest).count();
        if beyond > 0 {
            progress.say(&format!(
                "{beyond} of {} test sequences hold more unknown bases (N) than any training example, {largest}",
                examples.len()
            ));
        }
    }

    let logits = match &folds {
        Some(folds) => out_of_fold(folds, &examples)?,
        None => evaluate::logits_of(networks.as_ref(), &examples, Strand::AsGiven)?,
    };
    let length = command.block_length.unwrap_or(provenance.config.training.block_length);
    let blocks = dependence::blocks_of(&examples, length)?;
    let resampling = Resampling { blocks: &blocks, seed: provenance.seed };
    let mut evaluation =
        Evaluation::of(task, &classes, &examples, &logits, networks.activation(), threshold, resampling)?
            .with_breakdown()?
            .beside_profile_baselines(profile_baselines(&folder)?.as_ref())?;
    if folds.is_none() {
        evaluation = evaluation.with_strands(networks.as_ref())?;
    }
    if let (Some(alone), Some(profiles)) = (networks.bias_logits_of(&examples)?, &examples.profiles)
        && let Some(found) = &mut evaluation.profiles
    {
        found.beside_bias(profiles, &alone, &evaluation.resampling);
    }
    dependence::few_blocks(&blocks).iter().for_each(|warning| progress.warn(warning));
    let best_possible = best_possible_scores.as_deref().map(|best| evaluation.beside_best_possible(best));
    match (&command.performance, &evaluation.profiles) {
        (Some(path), Some(profiles)) => run::write_atomically(path, profiles.performance().as_bytes())?,
        (Some(_), None) => bail!("--performance needs profiles, and these data have none; name --regions and --signal"),
        (None, _) => {}
    }
    if let Some(claimed) = out {
        let (out, replaced) = claimed.keep()?;
        let command_line: Vec<_> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        let run = std::path::absolute(&folder.path)?;
        let mut origin = json!({"format_version": FORMAT_VERSION, "run": run, "command": command_line});
        if !files.moved.is_empty() {
            origin["moved_files"] = json!(files.moved);
        }
        out.write_json(EVALUATION_JSON, &origin)?; // first: by it --force knows the folder
        let mut rows = Predictions::new(task, &classes)?;
        rows.append(Split::Test, &examples, &evaluation.predictions)?;
        out.write(PREDICTIONS_CSV, &rows.finish()?)?;
        if let Some(bins) = &evaluation.bins {
            bins.write(&examples, &out.file(BINS_NPZ))?;
        }
        if let Some(profiles) = &evaluation.profiles {
            profiles.write(&examples, &out.file(PROFILES_NPZ))?;
        }
        figures::draw(&evaluation, &out)?;
        let test = evaluation.metrics().beside(best_possible);
        out.write_json(METRICS_JSON, &EvaluationMetrics { test })?;
        replaced.discard();
    }
    if command.json {
        let test = evaluation.metrics().beside(best_possible);
        return print_json(&json!({
            "format_version": FORMAT_VERSION,
            "run": std::path::absolute(&folder.path)?,
            "out": command.out.as_ref().map(std::path::absolute).transpose()?,
            "moved_files": files.moved,
            "test": test,
        }));
    }
    let mut text = figures::table(&evaluation, &[], best_possible);
    if let Some(path) = &command.out {
        text.push_str(&format!("{}\n", path.display()));
    }
    print(&text)
}

/// Logits of each example by the networks that did not see its chromosome.
fn out_of_fold(folds: &FoldNetworks, examples: &Examples) -> Result<Vec<f32>> {
    let each = folds.networks.iter().map(|networks| evaluate::logits_of(networks.as_ref(), examples, Strand::AsGiven));
    let each: Vec<Vec<f32>> = each.collect::<Result<_>>()?;
    let outputs = each[0].len() / examples.len().max(1);
    let mut logits = Vec::with_capacity(each[0].len());
    for (i, origin) in examples.origins.iter().enumerate() {
        let Some(place) = &origin.place else {
            bail!(
                "{}: has no coordinates, expected a name chr:start-end (or columns chrom, start and end) for --out-of-fold; add them",
                origin.describe()
            );
        };
        let unseen = unseen_by(&folds.plan, &place.chromosome);
        if unseen.is_empty() {
            bail!(
                "{}: lies on {}, which every network has learned from, expected chromosomes that some fold tests on; name those with --test-chroms",
                origin.describe(),
                place.chromosome
            );
        }
        let rows: Vec<Vec<f32>> =
            unseen.iter().map(|&fold| each[fold][i * outputs..(i + 1) * outputs].to_vec()).collect();
        logits.extend(evaluate::mean_logits(&rows));
    }
    Ok(logits)
}

/// What the run's listing says it learned from, where that matters.
fn learned_by(run: &RunFolder, matters: bool) -> Result<Learned> {
    let path = run.file(EXAMPLES_TSV);
    if matters && path.is_file() {
        Learned::read(&path, dataset::half_of_free_memory())
    } else {
        Ok(Learned::default())
    }
}

/// What the run keeps of its training examples to hold profiles against; runs of earlier versions keep nothing.
fn profile_baselines(run: &RunFolder) -> Result<Option<ProfileBaselines>> {
    let path = run.file(PROFILE_BASELINES_JSON);
    if !path.is_file() {
        return Ok(None);
    }
    let damaged = || format!("{}: is damaged; restore the file or train again", path.display());
    let bytes = std::fs::read(&path).with_context(damaged)?;
    serde_json::from_slice(&bytes).map(Some).with_context(damaged)
}

/// Chromosomes asked for by name are judged on, and it is said if the run learned from them.
fn warn_of_known_data(command: &Evaluate, own: &DataConfig, learned: &Learned, progress: Progress) {
    let unseen = Assignment::TestOnUnseenBy(own.into());
    let of_genomes = matches!(own.source(), SourceKind::Genomes | SourceKind::Demo | SourceKind::Regions);
    let by_choice = of_genomes && !learned.by_blocks();
    let is_known = |name: &&str| {
        let listed = learned.chromosomes.iter().any(|other| is_same_name(other, name));
        if by_choice { !unseen.tests_on(name) } else { listed }
    };
    let known: Vec<&str> = command.data.test_chroms.iter().map(String::as_str).filter(is_known).collect();
    if !known.is_empty() {
        progress.warn(&format!("the run was trained on {}, so its scores there are optimistic", known.join(", ")));
    }
}
