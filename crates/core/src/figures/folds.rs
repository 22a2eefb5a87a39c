//! Pictures and the text table of a cross-validation.

use anyhow::Result;

use crate::evaluate::Evaluation;
use crate::evaluate::folds::{self, FoldResults, OverFolds};
use crate::evaluate::results::{Metric, SplitMetrics};
use crate::figures::{breakdown, curves, draw_of};
use crate::format::{self, thousands};
use crate::metrics::Ranking;
use crate::run::{FOLD_PICTURES, RunFolder};
use crate::training::history::metric_name;

/// Draws the pictures of all examples together, each scored by the networks that did not see it; of two classes the ROC curves of
/// folds with their mean; and the main metric by fold.
///
/// # Errors
/// A figure cannot be drawn or written.
pub fn draw(
    evaluation: &Evaluation,
    results: &FoldResults,
    each: &[SplitMetrics],
    rankings: &[Ranking],
    folder: &RunFolder,
) -> Result<()> {
    draw_of(evaluation, "out of fold", folder)?;
    let main = evaluation.report.metrics.first().map_or("auroc", |(name, _)| *name);
    breakdown::folds(&folds::groups(each, main), &evaluation.report)?.write(folder, FOLD_PICTURES[0])?;
    let area = results.metrics.iter().find(|(name, _)| name == "auroc").map(|(_, found)| found);
    if let Some(OverFolds { mean: Some(mean), standard_deviation, .. }) = area
        && !rankings.is_empty()
    {
        let spread = (*mean, standard_deviation.unwrap_or(0.0));
        curves::roc_of_folds(rankings, spread, results.n)?.write(folder, "roc.png")?;
    }
    Ok(())
}

/// The metrics over folds as a text table.
pub fn table(results: &FoldResults) -> String {
    let mut text = format!("{} folds: {} examples tested", results.folds.len(), thousands(results.n));
    if results.not_tested > 0 {
        text.push_str(&format!(
            " of {}; {} are in no test part",
            thousands(results.n + results.not_tested as usize),
            thousands(results.not_tested as usize)
        ));
    }
    text.push('\n');
    let names: Vec<&str> = results.baselines.iter().map(|(name, _)| name.as_str()).collect();
    text.push_str(&format!("  {:<34}{:<20}{:<34}", "", "mean (sd) of folds", "out of fold"));
    names.iter().for_each(|name| text.push_str(&format!("{:<1$}", name, width(name))));
    text = text.trim_end().to_owned() + "\n";
    let mut add = |metrics: &[(String, OverFolds)], beside: bool| {
        for (name, found) in metrics {
            let baselines = results.baselines.iter().filter(|_| beside).map(|(baseline, of)| {
                let pooled =
                    of.metrics.iter().find(|(own, _)| own == name).and_then(|(_, found)| found.pooled.as_ref());
                format!("{:<1$}", value(pooled), width(baseline))
            });
            let line = format!(
                "  {:<34}{:<20}{:<34}{}",
                metric_name(name),
                spread(found),
                found.pooled.as_ref().map_or_else(|| "-".into(), with_interval),
                baselines.collect::<String>()
            );
            text.push_str(line.trim_end());
            text.push('\n');
        }
    };
    add(&results.metrics, true);
    if let Some(profile) = &results.profile {
        add(&profile.peaks, false);
        add(&profile.detection, false);
    }
    if let Some(main) = results.test.as_ref().and_then(SplitMetrics::main) {
        text.push_str(&format!(
            "the test set that was kept, by the ensemble: {} {}\n",
            metric_name(main.0),
            with_interval(main.1)
        ));
    }
    text
}

fn width(name: &str) -> usize {
    (name.chars().count() + 2).max(12)
}

/// Mean and standard deviation, for people.
pub fn spread(found: &OverFolds) -> String {
    match (found.mean, found.standard_deviation) {
        (Some(mean), Some(deviation)) => format!("{} ({})", format::metric(mean), format::metric(deviation)),
        (Some(mean), None) => format::metric(mean),
        (None, _) => "-".into(),
    }
}

fn value(metric: Option<&Metric>) -> String {
    metric.and_then(|metric| metric.value).map_or_else(|| "-".into(), format::metric)
}

fn with_interval(metric: &Metric) -> String {
    match (metric.value, metric.low.zip(metric.high)) {
        (Some(value), Some((low, high))) => {
            format!("{} (95 % {} to {})", format::metric(value), format::metric(low), format::metric(high))
        }
        (Some(value), None) => format::metric(value),
        (None, _) => "undefined".into(),
    }
}
