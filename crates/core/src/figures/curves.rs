//! ROC, precision-recall and calibration curves, and histograms of scores.

use anyhow::Result;
use plotters::prelude::*;

use crate::config::TaskKind;
use crate::evaluate::Evaluation;
use crate::figures::canvas::{BLUE, GREY, ORANGE, SIZE, axes, colour, dashed, legend, line, mark, picture, plane};
use crate::format::{self, thousands};
use crate::metrics::{CALIBRATION_BINS, CurvePoint, Ranking, Report};

/// Bars of the score histogram.
const SCORE_BINS: usize = 40;

/// Largest number of classes or labels with a curve of their own; more would hide each other.
pub const MOST_CURVES: usize = 7;

/// The ROC curve with its area, the chance line and the chosen threshold.
///
/// # Errors
/// The figure cannot be drawn.
pub fn roc(ranking: &Ranking, report: &Report, split: &str) -> Result<Vec<u8>> {
    let points = thinned(&ranking.roc());
    let chosen = at_threshold(&ranking.roc(), threshold(report));
    picture(|canvas| {
        let mut chart =
            plane(canvas, &format!("ROC curve, {split} ({} fragments)", thousands(report.n)), 0.0..1.0, 0.0..1.0)?;
        axes(&mut chart, "false positive rate", "true positive rate")?;
        line(&mut chart, [(0.0, 0.0), (1.0, 1.0)].into_iter(), GREY, "chance")?;
        line(&mut chart, points.into_iter(), BLUE, &with_interval(report, "auroc", "AUROC"))?;
        mark(&mut chart, chosen, &format!("threshold {:.3}", threshold(report)))?;
        legend(&mut chart, SeriesLabelPosition::LowerRight)
    })
}

/// Precision against recall with the average precision, the share of positives and the chosen threshold.
///
/// # Errors
/// The figure cannot be drawn.
pub fn precision_recall(ranking: &Ranking, report: &Report, split: &str) -> Result<Vec<u8>> {
    let curve = ranking.precision_recall();
    let share = report.n_positive.unwrap_or(0) as f64 / report.n.max(1) as f64;
    picture(|canvas| {
        let mut chart = plane(
            canvas,
            &format!("Precision and recall, {split} ({} fragments)", thousands(report.n)),
            0.0..1.0,
            0.0..1.02,
        )?;
        axes(&mut chart, "recall", "precision")?;
        line(
            &mut chart,
            [(0.0, share), (1.0, share)].into_iter(),
            GREY,
            &format!("chance (share of positives {share:.2})"),
        )?;
        line(
            &mut chart,
            thinned(&curve).into_iter(),
            BLUE,
            &with_interval(report, "average_precision", "average precision"),
        )?;
        mark(&mut chart, at_threshold(&curve, threshold(report)), &format!("threshold {:.3}", threshold(report)))?;
        legend(&mut chart, SeriesLabelPosition::LowerLeft)
    })
}

/// Predicted probability against the observed frequency, before and after calibration; the area of a dot is the share
/// of fragments in its bin. Draws nothing for regression.
///
/// # Errors
/// The figure cannot be drawn.
pub fn calibration(evaluation: &Evaluation, split: &str) -> Result<Option<Vec<u8>>> {
    let Evaluation { task, classes, report, .. } = evaluation;
    let Some(after) = evaluation.probabilities(&evaluation.predictions) else { return Ok(None) };
    let before = evaluation.uncalibrated.as_ref().and_then(|predictions| evaluation.probabilities(predictions));
    let (x, y) = match task.kind {
        TaskKind::Multiclass => ("predicted probability of the class called".into(), "share of right calls".into()),
        TaskKind::Multilabel => ("predicted probability of a label".into(), "share of such labels that are so".into()),
        _ => {
            let name = classes.positive_name();
            (format!("predicted probability of {name}"), format!("share of {name}"))
        }
    };
    picture(|canvas| {
        let title = format!("Calibration, {split} ({} fragments)", thousands(report.n));
        let mut chart = plane(canvas, &title, 0.0..1.0, 0.0..1.0)?;
        axes(&mut chart, &x, &y)?;
        line(&mut chart, [(0.0, 0.0), (1.0, 1.0)].into_iter(), GREY, "perfect calibration")?;
        let with = format!("error with temperature {:.2}", task.temperature);
        let curves = [
            (before.as_ref(), ORANGE, "error as trained".to_owned()),
            (Some(&after), BLUE, if before.is_some() { with } else { "calibration error".into() }),
        ];
        for (ranking, colour, name) in curves {
            let Some(ranking) = ranking else { continue };
            let bins = ranking.calibration(CALIBRATION_BINS);
            let n: usize = bins.iter().map(|bin| bin.count).sum();
            let error = ranking.calibration_error().map_or(String::new(), |error| format!(" {error:.3}"));
            line(&mut chart, bins.iter().map(|bin| (bin.predicted, bin.observed)), colour, &format!("{name}{error}"))?;
            chart.draw_series(bins.iter().map(|bin| {
                let radius = 3.0 + 30.0 * (bin.count as f64 / n as f64).sqrt();
                Circle::new((bin.predicted, bin.observed), radius as i32, colour.mix(0.45).filled())
            }))?;
        }
        legend(&mut chart, SeriesLabelPosition::UpperLeft)
    })
    .map(Some)
}

/// Distribution of the scores of both classes, with the chosen threshold.
///
/// # Errors
/// The figure cannot be drawn.
pub fn scores(positive: &[bool], scores: &[f64], report: &Report, split: &str, names: (&str, &str)) -> Result<Vec<u8>> {
    let mut counts = [[0usize; SCORE_BINS]; 2];
    for (&positive, &score) in positive.iter().zip(scores) {
        counts[usize::from(!positive)][((score * SCORE_BINS as f64) as usize).min(SCORE_BINS - 1)] += 1;
    }
    let most = counts.iter().flatten().max().copied().unwrap_or(1).max(1) as f64;
    picture(|canvas| {
        let mut chart =
            plane(canvas, &format!("Scores, {split} ({} fragments)", thousands(report.n)), 0.0..1.0, 0.0..most * 1.3)?;
        axes(&mut chart, &format!("predicted probability of {}", names.0), "fragments")?;
        for ((counts, colour), name) in counts.iter().zip([BLUE, ORANGE]).zip([names.0, names.1]) {
            let width = 1.0 / SCORE_BINS as f64;
            let bars = counts.iter().enumerate().map(|(i, &count)| {
                Rectangle::new(
                    [(i as f64 * width, 0.0), ((i + 1) as f64 * width, count as f64)],
                    colour.mix(0.45).filled(),
                )
            });
            chart
                .draw_series(bars)?
                .label(name.to_owned())
                .legend(move |(x, y)| Rectangle::new([(x, y - 7), (x + 24, y + 7)], colour.mix(0.45).filled()));
        }
        let threshold = threshold(report);
        dashed(&mut chart, (threshold, 0.0), (threshold, most * 1.3), &format!("threshold {threshold:.3}"))?;
        legend(&mut chart, SeriesLabelPosition::UpperRight)
    })
}

/// One ROC curve for each class against the rest, or for each label.
///
/// # Errors
/// The figure cannot be drawn.
pub fn roc_of_each(rankings: &[Ranking], report: &Report, split: &str) -> Result<Vec<u8>> {
    let parts = rankings.iter().zip(&report.parts);
    let curves = parts.filter_map(|(ranking, part)| Some((part.name.as_str(), ranking, part.get("auroc")?.value)));
    let title = format!("ROC curves, {split} ({} fragments)", thousands(report.n));
    roc_curves(&title, &curves.take(MOST_CURVES).collect::<Vec<_>>())
}

/// Named ROC curves with their areas, as many as can be told apart.
///
/// # Errors
/// The figure cannot be drawn.
pub fn roc_curves(title: &str, curves: &[(&str, &Ranking, f64)]) -> Result<Vec<u8>> {
    picture(|canvas| {
        let mut chart = plane(canvas, title, 0.0..1.0, 0.0..1.0)?;
        axes(&mut chart, "false positive rate", "true positive rate")?;
        line(&mut chart, [(0.0, 0.0), (1.0, 1.0)].into_iter(), GREY, "chance")?;
        for (i, (name, ranking, area)) in curves.iter().take(MOST_CURVES).enumerate() {
            let points = thinned(&ranking.roc()).into_iter();
            line(&mut chart, points, colour(i), &format!("{}: AUROC {area:.3}", format::short_name(name)))?;
        }
        legend(&mut chart, SeriesLabelPosition::LowerRight)
    })
}

/// One precision-recall curve for each class against the rest, or for each label.
///
/// # Errors
/// The figure cannot be drawn.
pub fn precision_recall_of_each(rankings: &[Ranking], report: &Report, split: &str) -> Result<Vec<u8>> {
    picture(|canvas| {
        let title = format!("Precision and recall, {split} ({} fragments)", thousands(report.n));
        let mut chart = plane(canvas, &title, 0.0..1.0, 0.0..1.02)?;
        axes(&mut chart, "recall", "precision")?;
        for (i, (ranking, part)) in rankings.iter().zip(&report.parts).take(MOST_CURVES).enumerate() {
            if let Some(area) = part.get("average_precision") {
                let points = thinned(&ranking.precision_recall()).into_iter();
                let name = format::short_name(&part.name);
                line(&mut chart, points, colour(i), &format!("{name}: average precision {:.3}", area.value))?;
            }
        }
        legend(&mut chart, SeriesLabelPosition::LowerLeft)
    })
}

/// The chosen threshold; binary tasks only.
fn threshold(report: &Report) -> f64 {
    report.threshold.unwrap_or(0.5)
}

/// The last point at or above the threshold.
fn at_threshold(curve: &[CurvePoint], threshold: f64) -> Option<(f64, f64)> {
    curve.iter().take_while(|point| point.threshold >= threshold).last().map(|point| (point.x, point.y))
}

/// Thins a curve to the points that its pixels can show.
fn thinned(curve: &[CurvePoint]) -> Vec<(f64, f64)> {
    let step = 1.0 / f64::from(SIZE.0);
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (i, point) in curve.iter().enumerate() {
        let far = points.last().is_none_or(|(x, y)| (point.x - x).abs() + (point.y - y).abs() >= step);
        if far || i + 1 == curve.len() {
            points.push((point.x, point.y));
        }
    }
    points
}

fn with_interval(report: &Report, metric: &str, name: &str) -> String {
    match report.get(metric) {
        Some(estimate) => format!("{name} {:.3} (95 % {:.3} to {:.3})", estimate.value, estimate.low, estimate.high),
        None => format!("{name} undefined: one class only"),
    }
}
