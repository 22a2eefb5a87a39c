//! ROC, precision-recall and calibration curves, and histograms of scores.

use anyhow::Result;

use crate::config::TaskKind;
use crate::evaluate::Evaluation;
use crate::figures::canvas::{BLUE, COLUMN, Colour, Figure, ORANGE, THIN, colour, stroke};
use crate::figures::chart::{Axis, Chart, Key, MARKED, REFERENCE, Sample};
use crate::format::{self, thousands};
use crate::metrics::{CalibrationBin, CurvePoint, Estimate, Interval, Ranking, Report};

/// Bars of the score histogram.
const SCORE_BINS: usize = 40;

/// Largest number of bins of the calibration curve, and the smallest number of predictions in one: with fewer, its
/// interval says nothing.
const CALIBRATION_BINS: usize = 10;
const LEAST_IN_BIN: usize = 20;

/// Colour of the range of observed shares of calibrated scores.
const CONSISTENT: Colour = Colour::new(218, 218, 218);

/// Largest number of classes or labels with a curve of their own; more would hide each other.
pub const MOST_CURVES: usize = 7;

/// A square chart of two shares.
fn of_shares(title: String, x: impl Into<String>, y: impl Into<String>, keys: Vec<Key>) -> Chart {
    Chart { title, width: COLUMN, plot_height: None, x: Axis::of_shares(x), y: Axis::of_shares(y), keys, numbers: 0.0 }
}

/// The ROC curve with its area, the chance line and the chosen threshold.
///
/// # Errors
/// The figure cannot be drawn.
pub fn roc(ranking: &Ranking, report: &Report, split: &str) -> Result<Figure> {
    let curve = ranking.roc();
    let title = format!("ROC curve, {split} ({} fragments)", thousands(report.n));
    let keys = vec![
        Key::curve(BLUE, with_interval(report, "auroc", "AUROC")),
        Key::dots(ORANGE, format!("threshold {:.3}", threshold(report))),
        Key::reference("chance"),
    ];
    of_shares(title, "false positive rate", "true positive rate", keys).draw(|plot| {
        plot.line([(0.0, 0.0), (1.0, 1.0)], REFERENCE);
        plot.curve(thinned(&curve), BLUE);
        plot.mark(at_threshold(&curve, threshold(report)));
    })
}

/// Precision against recall with the average precision, the share of positives and the chosen threshold.
///
/// # Errors
/// The figure cannot be drawn.
pub fn precision_recall(ranking: &Ranking, report: &Report, split: &str) -> Result<Figure> {
    let curve = ranking.precision_recall();
    let share = report.n_positive.unwrap_or(0) as f64 / report.n.max(1) as f64;
    let title = format!("Precision and recall, {split} ({} fragments)", thousands(report.n));
    let keys = vec![
        Key::curve(BLUE, with_interval(report, "average_precision", "average precision")),
        Key::dots(ORANGE, format!("threshold {:.3}", threshold(report))),
        Key::reference(format!("chance (share of positives {share:.2})")),
    ];
    of_shares(title, "recall", "precision", keys).draw(|plot| {
        plot.line([(0.0, share), (1.0, share)], REFERENCE);
        plot.curve(thinned(&curve), BLUE);
        plot.mark(at_threshold(&curve, threshold(report)));
    })
}

/// Predicted probability against the observed frequency in bins of equal count, with the 95 % intervals of the
/// frequencies, before and after calibration, before bars in which the points of calibrated scores would lie. Draws nothing
/// for regression.
///
/// # Errors
/// The figure cannot be drawn.
pub fn calibration(evaluation: &Evaluation, split: &str) -> Result<Option<Figure>> {
    let Evaluation { task, classes, report, .. } = evaluation;
    let Some(after) = evaluation.probabilities(&evaluation.predictions) else { return Ok(None) };
    let before = evaluation.uncalibrated.as_ref().and_then(|predictions| evaluation.probabilities(predictions));
    let (x, y) = match task.kind {
        TaskKind::Multiclass => {
            ("predicted probability of the predicted class".into(), "share of right predictions".into())
        }
        TaskKind::Multilabel => ("predicted probability of a label".into(), "share of such labels that are so".into()),
        _ => {
            let name = format::short_name(classes.positive_name());
            (format!("predicted probability of {name}"), format!("share of {name}"))
        }
    };
    let what = if task.kind == TaskKind::Multilabel { "labels" } else { "fragments" };
    let with = "error calibrated".to_owned();
    let curves = [
        (before.as_ref(), ORANGE, "error as trained".to_owned()),
        (Some(&after), BLUE, if before.is_some() { with } else { "calibration error".into() }),
    ];
    let (mut keys, mut drawn) = (Vec::new(), Vec::new());
    for (ranking, colour, name) in curves {
        let Some(ranking) = ranking else { continue };
        let error = ranking.calibration_error().map_or(String::new(), |error| format!(": {error:.3}"));
        keys.push(Key::curve(colour, format!("{name}{error}")));
        drawn.push((equal_bins(ranking), colour));
    }
    keys.push(Key::reference("perfect calibration"));
    keys.push(Key::bars(CONSISTENT, "where 95 % of points would lie if calibrated"));
    keys.extend(drawn.last().map(|(bins, _)| Key::note(in_each(bins, what))));
    let title = format!("Calibration, {split} ({} fragments)", thousands(report.n));
    of_shares(title, x, y, keys)
        .draw(|plot| {
            // Behind all else, those of the last curve: the scores as they are given out.
            for bin in drawn.last().iter().flat_map(|(bins, _)| bins) {
                let (low, high) = bin.consistent;
                plot.line([(bin.predicted, low), (bin.predicted, high)], stroke(THIN * 12.0, CONSISTENT));
            }
            plot.line([(0.0, 0.0), (1.0, 1.0)], REFERENCE);
            for (bins, colour) in &drawn {
                for bin in bins {
                    plot.line([(bin.predicted, bin.low), (bin.predicted, bin.high)], stroke(THIN * 2.0, *colour));
                }
                plot.line(bins.iter().map(|bin| (bin.predicted, bin.observed)), stroke(THIN, *colour));
                bins.iter().for_each(|bin| plot.dot((bin.predicted, bin.observed), 1.6, *colour));
            }
        })
        .map(Some)
}

fn equal_bins(ranking: &Ranking) -> Vec<CalibrationBin> {
    let n: usize = ranking.calibration(1).iter().map(|bin| bin.count).sum();
    ranking.calibration((n / LEAST_IN_BIN).clamp(1, CALIBRATION_BINS))
}

/// Says how many predictions each bin holds. Equal ones share a bin, so the numbers may differ.
fn in_each(bins: &[CalibrationBin], what: &str) -> String {
    let counts = || bins.iter().map(|bin| bin.count);
    let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    let counts = if least == most { thousands(most) } else { format!("{} to {}", thousands(least), thousands(most)) };
    match bins.len() {
        1 => format!("one bin of {counts} {what}, 95 % interval"),
        n => format!("{n} bins of {counts} {what} each, 95 % intervals"),
    }
}

/// Distribution of the scores of both classes, with the chosen threshold.
///
/// # Errors
/// The figure cannot be drawn.
pub fn scores(positive: &[bool], scores: &[f64], report: &Report, split: &str, names: (&str, &str)) -> Result<Figure> {
    let mut counts = [[0usize; SCORE_BINS]; 2];
    for (&positive, &score) in positive.iter().zip(scores) {
        counts[usize::from(!positive)][((score * SCORE_BINS as f64) as usize).min(SCORE_BINS - 1)] += 1;
    }
    let most = counts.iter().flatten().max().copied().unwrap_or(1).max(1) as f64 * 1.05;
    let (threshold, [positives, negatives]) = (threshold(report), [names.0, names.1].map(format::short_name));
    let keys = vec![
        Key::bars(BLUE.with_alpha(0.45), positives.clone()),
        Key::bars(ORANGE.with_alpha(0.45), negatives),
        Key::marked(format!("threshold {threshold:.3}")),
    ];
    let chart = Chart {
        title: format!("Scores, {split} ({} fragments)", thousands(report.n)),
        width: COLUMN,
        plot_height: Some(120.0),
        x: Axis::of_shares(format!("predicted probability of {positives}")),
        y: Axis::of_counts("fragments", 0.0..most, 6),
        keys,
        numbers: 0.0,
    };
    chart.draw(|plot| {
        let width = 1.0 / SCORE_BINS as f64;
        for (counts, colour) in counts.iter().zip([BLUE, ORANGE]) {
            for (i, &count) in counts.iter().enumerate().filter(|&(_, &count)| count > 0) {
                let left = i as f64 * width;
                plot.bar(left..left + width, count as f64, colour.with_alpha(0.45));
            }
        }
        for (counts, colour) in counts.iter().zip([BLUE, ORANGE]) {
            let steps = counts.iter().enumerate().flat_map(|(i, &count)| {
                let left = i as f64 * width;
                [(left, count as f64), (left + width, count as f64)]
            });
            let outline = [(0.0, 0.0)].into_iter().chain(steps).chain([(1.0, 0.0)]);
            plot.line(outline.collect::<Vec<_>>(), stroke(THIN * 1.5, colour));
        }
        plot.line([(threshold, 0.0), (threshold, most)], MARKED);
    })
}

/// One ROC curve for each class against the rest, or for each label.
///
/// # Errors
/// The figure cannot be drawn.
pub fn roc_of_each(rankings: &[Ranking], report: &Report, split: &str) -> Result<Figure> {
    let parts = rankings.iter().zip(&report.parts);
    let curves = parts.filter_map(|(ranking, part)| Some((part.name.as_str(), ranking, part.get("auroc")?.value)));
    let title = format!("ROC curves, {split} ({} fragments)", thousands(report.n));
    roc_curves(&title, &curves.take(MOST_CURVES).collect::<Vec<_>>())
}

/// Named ROC curves with their areas, as many as can be told apart.
///
/// # Errors
/// The figure cannot be drawn.
pub fn roc_curves(title: &str, curves: &[(&str, &Ranking, f64)]) -> Result<Figure> {
    let curves = &curves[..curves.len().min(MOST_CURVES)];
    let key = |(i, (name, _, area)): (usize, &(&str, &Ranking, f64))| {
        Key::curve(colour(i), format!("{}: AUROC {area:.3}", format::short_name(name)))
    };
    let keys = curves.iter().enumerate().map(key).chain([Key::reference("chance")]).collect();
    of_shares(title.to_owned(), "false positive rate", "true positive rate", keys).draw(|plot| {
        plot.line([(0.0, 0.0), (1.0, 1.0)], REFERENCE);
        for (i, (_, ranking, _)) in curves.iter().enumerate() {
            plot.curve(thinned(&ranking.roc()), colour(i));
        }
    })
}

/// The ROC curve of each fold, and their mean at each false positive rate, with the mean of their areas.
///
/// # Errors
/// The figure cannot be drawn.
pub fn roc_of_folds(folds: &[Ranking], (mean, deviation): (f64, f64), n: usize) -> Result<Figure> {
    const STEPS: usize = 200;
    let curves: Vec<Vec<(f64, f64)>> =
        folds.iter().map(|ranking| ranking.roc().iter().map(|point| (point.x, point.y)).collect()).collect();
    let share = |step: usize| step as f64 / STEPS as f64;
    let of_mean = |step: usize| {
        let sum: f64 = curves.iter().map(|curve| height_at(curve, share(step))).sum();
        (share(step), sum / curves.len().max(1) as f64)
    };
    let keys = vec![
        Key::curve(BLUE, format!("mean of {} folds, AUROC {mean:.3}, standard deviation {deviation:.3}", folds.len())),
        Key { sample: Sample::Line(stroke(THIN, ORANGE)), label: "each fold".into() },
        Key::reference("chance"),
    ];
    let title = format!("ROC curves of folds ({} fragments)", thousands(n));
    of_shares(title, "false positive rate", "true positive rate", keys).draw(|plot| {
        plot.line([(0.0, 0.0), (1.0, 1.0)], REFERENCE);
        for ranking in folds {
            plot.line(thinned(&ranking.roc()), stroke(THIN, ORANGE));
        }
        plot.curve((0..=STEPS).map(of_mean), BLUE);
    })
}

/// The height of an ascending curve at a place between its points, at the top where it rises.
fn height_at(curve: &[(f64, f64)], x: f64) -> f64 {
    let after = curve.partition_point(|point| point.0 <= x);
    match (after.checked_sub(1).map(|before| curve[before]), curve.get(after)) {
        (Some((left, low)), Some(&(right, high))) => low + (high - low) * (x - left) / (right - left),
        (Some((_, height)), None) => height,
        (None, _) => 0.0,
    }
}

/// One precision-recall curve for each class against the rest, or for each label.
///
/// # Errors
/// The figure cannot be drawn.
pub fn precision_recall_of_each(rankings: &[Ranking], report: &Report, split: &str) -> Result<Figure> {
    let parts = rankings.iter().zip(&report.parts).take(MOST_CURVES).enumerate();
    let curves: Vec<_> = parts
        .filter_map(|(i, (ranking, part))| {
            let area = part.get("average_precision")?.value;
            let label = format!("{}: average precision {area:.3}", format::short_name(&part.name));
            Some((Key::curve(colour(i), label), ranking, colour(i)))
        })
        .collect();
    let keys = curves.iter().map(|(key, ..)| key.clone()).collect();
    let title = format!("Precision and recall, {split} ({} fragments)", thousands(report.n));
    of_shares(title, "recall", "precision", keys).draw(|plot| {
        for (_, ranking, colour) in &curves {
            plot.curve(thinned(&ranking.precision_recall()), *colour);
        }
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
    const STEP: f64 = 2e-3;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (i, point) in curve.iter().enumerate() {
        let far = points.last().is_none_or(|(x, y)| (point.x - x).abs() + (point.y - y).abs() >= STEP);
        if far || i + 1 == curve.len() {
            points.push((point.x, point.y));
        }
    }
    points
}

fn with_interval(report: &Report, metric: &str, name: &str) -> String {
    match report.get(metric) {
        Some(Estimate { value, interval: Ok(Interval { low, high, .. }) }) => {
            format!("{name} {value:.3} (95 % {low:.3} to {high:.3})")
        }
        Some(Estimate { value, .. }) => format!("{name} {value:.3}"),
        None => format!("{name} undefined: one class only"),
    }
}
