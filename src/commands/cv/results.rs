//! What the folds of a finished cross-validation come to: tables, pictures and the ensemble of all networks.

use anyhow::{Context, Result, bail};

use crate::commands::cv::ensemble::{self, Members};
use crate::commands::data_at;
use crate::commands::libtorch::with_bias_of_fold;
use crate::model::ensemble::Ensemble;
use strandnet_core::config::TaskKind;
use strandnet_core::dataset::split::Split;
use strandnet_core::dataset::{self, Classes, LoadRequest};
use strandnet_core::evaluate::folds::{
    self as of_folds, Fold, FoldResults, FoldSummary, OverFolds, Pooled, ProfileOverFolds,
};
use strandnet_core::evaluate::predictions::{self, Prediction};
use strandnet_core::evaluate::results::{Metrics, RunMetrics, SplitMetrics};
use strandnet_core::evaluate::{self, Evaluation, Strand, dependence, unlike_training};
use strandnet_core::figures;
use strandnet_core::html;
use strandnet_core::metrics::Resampling;
use strandnet_core::progress::Progress;
use strandnet_core::run::{
    BINS_NPZ, CV_JSON, DataFiles, ENSEMBLE, FORMAT_VERSION, FoldFolder, METRICS_JSON, PREDICTIONS_CSV,
    PROFILE_BASELINES_JSON, PROFILES_NPZ, Provenance, REPORT_HTML, RunFolder,
};
use strandnet_core::scorer::Scorer;

/// Writes everything, `cv.json` last, and returns the results as a table for people.
pub fn join(folder: &RunFolder, folds: &FoldFolder, progress: Progress) -> Result<String> {
    progress.say("putting the results of all folds together");
    let members = Members::open(&folder.path, folds)?;
    let first_run = FoldFolder::run_path(&folder.path, 0, folds.seeds[0]);
    let thresholds: Vec<Option<f64>> = runs(folder, folds)?.iter().map(|run| run.valid.threshold).collect();
    let threshold: Option<Vec<f64>> = thresholds.into_iter().collect();
    let threshold = threshold.map(|all| all.iter().sum::<f64>() / all.len() as f64);
    let out = members.write(&folder.file(ENSEMBLE), &first_run, threshold)?;
    let Members { networks, folds: of_network, task, classes, provenance } = members;
    let networks = networks.into_iter().map(|network| network.without_native(provenance.config.training.no_native));
    let each = Members::by_fold(networks.collect(), &of_network);
    let of_fold = |(fold, networks)| with_bias_of_fold(networks, &out, &folder.path, folds, fold);
    let each = each.into_iter().enumerate().map(of_fold).collect::<Result<Vec<_>>>()?;

    let mut tested = Vec::new();
    for (number, networks) in each.iter().enumerate() {
        tested.push(
            fold(folder, folds, number, networks, (&provenance, &classes), progress)
                .with_context(|| format!("fold {number}"))?,
        );
    }
    let pooled = Pooled::of(&tested)?;
    let block_length = provenance.config.training.block_length;
    let blocks = dependence::blocks_of(&pooled.examples, block_length)?;
    let seed = folds.config.training.seed;
    let resampling = || Resampling { blocks: &blocks, seed };
    let activation = each[0].activation();
    let evaluation = pooled.evaluate(&task, &classes, activation, resampling(), &tested)?;
    let of_each =
        of_folds::of_each(&task, &classes, &tested, &|examples| dependence::blocks_of(examples, block_length), seed)?;
    let kept = kept_test(folds, &provenance, (&classes, threshold), each, progress)?;
    let valid = SplitMetrics { threshold, ..SplitMetrics::default() };
    ensemble::finish(
        &out,
        &RunMetrics { valid, test: kept.clone().unwrap_or_default(), baselines: Vec::new(), by_similarity: Vec::new() },
    )?;

    let all = evaluation.metrics();
    let metrics =
        of_folds::over_folds(&of_each.iter().map(|found| Some(&found.metrics)).collect::<Vec<_>>(), &all.metrics);
    let runs_of_first_seed: Vec<&RunMetrics> = tested.iter().map(|fold| &fold.runs[0]).collect();
    let differences = pooled.differences(&task, &resampling());
    let baseline = |((name, found), difference): (&(String, Vec<f64>), _)| {
        let of_run = |run: &&RunMetrics| run.baselines.iter().find(|(own, _)| own == name)?.1.test.threshold;
        let thresholds: Option<Vec<f64>> = runs_of_first_seed.iter().map(of_run).collect();
        let threshold = thresholds.map(|all| all.iter().sum::<f64>() / all.len() as f64);
        let report = evaluate::report(&task, &classes, &pooled.examples, found, threshold, &resampling());
        (
            name.clone(),
            of_folds::baseline_over_folds(name, &runs_of_first_seed, &SplitMetrics::from(&report), Some(difference)),
        )
    };
    let baselines = pooled.baselines.iter().zip(differences).map(baseline).collect();
    let main = metrics.first().map_or(String::new(), |(name, _)| name.clone());
    let summary = |(number, fold): (usize, &Fold)| FoldSummary {
        fold: number,
        examples: fold.counts,
        chromosomes: folds.plan.is_of_chromosomes().then(|| folds.plan.folds[number].clone()),
        threshold: fold.threshold(),
        runs: fold.runs.iter().map(|run| run.test.get(&main).and_then(|metric| metric.value)).collect(),
    };
    let drawn = matches!(
        folds.config.data.source(),
        strandnet_core::config::SourceKind::Genomes
            | strandnet_core::config::SourceKind::Demo
            | strandnet_core::config::SourceKind::Regions
    );
    let profile = all.profile.as_ref().map(|pooled| {
        ProfileOverFolds::of(&of_each.iter().map(|found| found.profile.as_deref()).collect::<Vec<_>>(), pooled)
    });
    let bins: Vec<(String, OverFolds)> = all.bins.as_ref().map_or_else(Vec::new, |pooled| {
        let each: Vec<Option<&Metrics>> =
            of_each.iter().map(|found| found.bins.as_ref().map(|bins| &bins.metrics)).collect();
        of_folds::over_folds(&each, &pooled.metrics)
    });
    let results = FoldResults {
        format_version: FORMAT_VERSION,
        task: task.kind,
        classes: classes.names.clone(),
        positive: (task.kind == TaskKind::Binary).then(|| classes.positive_name().to_owned()),
        split_by: folds.plan.split_by.clone(),
        seeds: folds.seeds.clone(),
        n: pooled.examples.len(),
        // Of genomes, examples are drawn anew in each fold.
        not_tested: if drawn { 0 } else { folds.plan.examples.saturating_sub(pooled.examples.len() as u64) },
        folds: tested.iter().enumerate().map(summary).collect(),
        metrics,
        profile,
        bins,
        baselines,
        pooled: SplitMetrics {
            metrics: Metrics::default(),
            profile: None,
            bins: None,
            by_similarity: evaluation.by_similarity(),
            ..all.clone()
        },
        test: kept,
    };
    folder.write(PREDICTIONS_CSV, &of_folds::table(&task, &classes, &tested)?)?;
    if let Some(bins) = &evaluation.bins {
        bins.write(&pooled.examples, &folder.file(BINS_NPZ))?;
    }
    if let Some(profiles) = &evaluation.profiles {
        profiles.write(&pooled.examples, &folder.file(PROFILES_NPZ))?;
    }
    figures::folds::draw(&evaluation, &results, &of_each, &of_folds::rankings(&task, &tested), folder)?;
    folder.write(REPORT_HTML, html::folds::report(folder, &results, folds)?.as_bytes())?;
    folder.write_json(CV_JSON, &results)?; // last: a folder that has it is a finished cross-validation
    Ok(figures::folds::table(&results))
}

/// The metrics of all runs, fold by fold.
fn runs(folder: &RunFolder, folds: &FoldFolder) -> Result<Vec<RunMetrics>> {
    let paths = (0..folds.plan.folds.len()).flat_map(|fold| folds.runs_of(&folder.path, fold));
    paths.map(|run| RunMetrics::read(&run.join(METRICS_JSON))).collect()
}

/// What one fold came to on its test part.
fn fold(
    folder: &RunFolder,
    folds: &FoldFolder,
    number: usize,
    networks: &Ensemble,
    (provenance, classes): (&Provenance, &Classes),
    progress: Progress,
) -> Result<Fold> {
    let config = folds.config_of(number, folds.seeds[0]);
    let quiet = Progress::Quiet;
    let data = data_at(&config, &DataFiles::default(), &quiet)?;
    let task = &provenance.task;
    let paths = folds.runs_of(&folder.path, number);
    let (mut found, mut baselines, mut runs) = (Vec::new(), Vec::new(), Vec::new());
    for (place, path) in paths.iter().enumerate() {
        let (run, own) = RunFolder::open_finished(path)?;
        let metrics = RunMetrics::read(&run.file(METRICS_JSON))?;
        let (mut scores, mut of_baselines) = (Vec::new(), Vec::new());
        predictions::read(
            &run.file(PREDICTIONS_CSV),
            own.task()?,
            classes,
            |Prediction { split, scores: found, baselines, .. }| {
                if split == Split::Test {
                    scores.extend(found);
                    of_baselines.push(baselines);
                }
                Ok(())
            },
        )?;
        let n = data.test.len();
        if of_baselines.len() != n || own.examples.train != data.train.len() {
            bail!(
                "{}: has {} test examples, and the data come to {n} now, expected the same; restore the data",
                path.display(),
                of_baselines.len()
            );
        }
        if place == 0 {
            let outputs = task.outputs();
            for (i, (name, _)) in metrics.baselines.iter().enumerate() {
                let of = of_baselines.iter().flat_map(|row| &row[i * outputs..(i + 1) * outputs]).copied();
                baselines.push((name.clone(), of.collect()));
            }
        }
        found.push(scores);
        runs.push(metrics);
    }
    let logits = evaluate::logits_of(networks, &data.test, Strand::AsGiven)?;
    let predictions = match &mut found[..] {
        [only] => std::mem::take(only),
        _ => networks.activation()(task, &logits)?,
    };
    let similarity = unlike_training::similarity(&data.train, &data.test)?;
    if similarity.is_none() && number == 0 {
        progress.say("similarity to training sequences is not measured, as there are too many bases");
    }
    let path = paths[0].join(PROFILE_BASELINES_JSON);
    let profile_baselines = match std::fs::read(&path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).with_context(|| format!("{}: is damaged", path.display()))?),
        Err(_) => None,
    };
    let counts =
        strandnet_core::run::ExampleCounts { train: data.train.len(), valid: data.valid.len(), test: data.test.len() };
    Ok(Fold { examples: data.test, logits, predictions, baselines, similarity, runs, profile_baselines, counts })
}

/// The metrics of the test set that was kept out of all folds, if one was.
fn kept_test(
    folds: &FoldFolder,
    provenance: &Provenance,
    (classes, threshold): (&Classes, Option<f64>),
    each: Vec<Ensemble>,
    progress: Progress,
) -> Result<Option<SplitMetrics>> {
    if !folds.config.data.keep_test {
        return Ok(None);
    }
    let ensemble = Ensemble::new(each.into_iter().flat_map(Ensemble::into_members).collect());
    let task = &provenance.task;
    let request = LoadRequest {
        task: Some((task.kind, classes)),
        length: Some(provenance.length),
        ..LoadRequest::new(&provenance.config.data, provenance.seed, &progress)
    };
    let test = dataset::load_test(&request)?.examples;
    let logits = evaluate::logits_of(&ensemble, &test, Strand::AsGiven)?;
    let blocks = dependence::blocks_of(&test, provenance.config.training.block_length)?;
    let resampling = Resampling { blocks: &blocks, seed: provenance.seed };
    let found = Evaluation::of(task, classes, &test, &logits, ensemble.activation(), threshold, resampling)?;
    Ok(Some(found.with_breakdown()?.metrics()))
}
