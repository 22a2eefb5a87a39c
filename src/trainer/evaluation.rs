//! What follows training: the validation and the test split, judged, drawn, listed and exported.

use anyhow::Result;
use strandnet_core::config::{CalibrationMethod, Config};
use strandnet_core::dataset::Dataset;
use strandnet_core::dataset::examples::Examples;
use strandnet_core::dataset::split::Split;
use strandnet_core::evaluate::baselines::BaselineResult;
use strandnet_core::evaluate::enzyme::{EnzymeFootprint, ProfileBaselines};
use strandnet_core::evaluate::members::Members;
use strandnet_core::evaluate::predictions::Predictions;
use strandnet_core::evaluate::results::{BaselineMetrics, RunMetrics};
use strandnet_core::evaluate::{self, Evaluation};
use strandnet_core::figures;
use strandnet_core::metrics::{Blocks, Resampling};
use strandnet_core::run::{BINS_NPZ, PREDICTIONS_CSV, PROFILES_NPZ, RunFolder};
use strandnet_core::scorer::Scorer;
use strandnet_core::task::Task;
use strandnet_core::training::history::metric_name;

use crate::export;
use crate::model::bias::Bias;
use crate::train::{Setup, Trained};

/// Logits `[n, outputs]` of each member alone.
pub(super) struct Logits {
    /// Of the validation split.
    pub valid: Vec<Vec<f32>>,
    /// Of the test split.
    pub test: Vec<Vec<f32>>,
}

impl Logits {
    /// Scores both splits, each example by one process where there are several.
    pub fn of(setup: Setup, trained: &Trained) -> Result<Self> {
        let members = |examples: &Examples| -> Result<Vec<Vec<f32>>> {
            trained.ensemble.iter().map(|network| setup.logits_of(network, examples)).collect()
        };
        Ok(Self { valid: members(&setup.data.valid)?, test: members(&setup.data.test)? })
    }
}

/// Evaluates on validation (which chooses the threshold) and, once, on test; writes every result but the metrics, which it
/// returns with a report for people and the threshold.
pub(super) fn evaluate_and_export(
    config: &Config,
    task: &Task,
    data: &Dataset,
    trained: &Trained,
    (Logits { valid: valid_logits, test: test_logits }, (of_valid, of_test)): (&Logits, &(Blocks, Blocks)),
    (mut baselines, bias, profile_baselines, footprints): (
        Vec<BaselineResult>,
        Option<&Bias>,
        Option<&ProfileBaselines>,
        Vec<EnzymeFootprint>,
    ),
    run: Option<&RunFolder>,
) -> Result<(RunMetrics, String, Option<f64>)> {
    let (classes, seed) = (&data.classes, config.training.seed);
    let measure = |examples, logits: &[Vec<f32>], threshold, blocks| -> Result<Evaluation> {
        let logits = evaluate::mean_logits(logits);
        let resampling = Resampling { blocks, seed };
        Evaluation::of(task, classes, examples, &logits, trained.ensemble.activation(), threshold, resampling)
    };
    let valid = measure(&data.valid, valid_logits, None, of_valid)?;
    let threshold = valid.report.threshold;
    let mut test = measure(&data.test, test_logits, threshold, of_test)?
        .with_breakdown()?
        .beside_training(&data.train)?
        .beside_profile_baselines(profile_baselines)?
        .with_strands(&trained.ensemble)?;
    if let (Some(bias), Some(profiles)) = (bias, &data.test.profiles) {
        let alone = bias.logits_of(&data.test)?;
        if let Some(found) = &mut test.profiles {
            found.beside_bias(profiles, &alone, &test.resampling);
            found.enzyme_footprints = footprints;
        }
    }
    if trained.ensemble.len() > 1 {
        let (valid, of_test) = ((&data.valid, &valid_logits[..]), (&data.test, &test_logits[..]));
        let is_calibrated = task.calibration.method != CalibrationMethod::None;
        let calibrator = if is_calibrated { Some(super::calibrator(task, config, data)?) } else { None };
        let (activation, resampling) = (trained.ensemble.activation(), &test.resampling);
        test.members = Some(Members::of(task, classes, valid, of_test, activation, calibrator.as_ref(), resampling)?);
    }
    let best_possible = data.best_possible_scores.as_deref().map(|best| test.beside_best_possible(best));

    baselines.iter_mut().for_each(|baseline| baseline.compare(&test));
    let of_baseline = |baseline: &BaselineResult| {
        let BaselineResult { name, description, report, difference, .. } = baseline;
        let (description, difference) = (description.clone(), difference.clone());
        (name.clone(), BaselineMetrics { description, test: report.into(), difference })
    };
    let metrics = RunMetrics {
        valid: valid.metrics(),
        test: test.metrics().beside(best_possible),
        baselines: baselines.iter().map(of_baseline).collect(),
        by_similarity: test.by_similarity(),
    };
    let exported = match run {
        Some(run) => {
            let names: Vec<&str> = baselines.iter().map(|baseline| baseline.name.as_str()).collect();
            let [of_valid, of_test]: [Vec<&[f64]>; 2] = [
                baselines.iter().map(|baseline| &baseline.valid[..]).collect(),
                baselines.iter().map(|baseline| &baseline.test[..]).collect(),
            ];
            let mut rows = Predictions::with_baselines(task, classes, &names)?;
            rows.append_beside(Split::Valid, &data.valid, &valid.predictions, &of_valid)?;
            rows.append_beside(Split::Test, &data.test, &test.predictions, &of_test)?;
            run.write(PREDICTIONS_CSV, &rows.finish()?)?;
            if let Some(bins) = &test.bins {
                bins.write(&data.test, &run.file(BINS_NPZ))?;
            }
            if let Some(profiles) = &test.profiles {
                profiles.write(&data.test, &run.file(PROFILES_NPZ))?;
            }
            figures::training::draw(&trained.summary, task, run)?;
            figures::draw(&test, run)?;
            let difference = export::write_models(config, task, classes, data.train.length, threshold, run)?;
            format!("exported model: largest difference from the network {difference:.1e}\n")
        }
        None => String::new(),
    };
    let table = figures::table(&test, &baselines, best_possible);
    Ok((metrics, format!("{}{table}{exported}", best_epochs(trained, task)), threshold))
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
