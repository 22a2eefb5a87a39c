//! Figures of a training run: the loss and the metric that chooses the best epoch, by epoch.

use anyhow::Result;
use plotters::prelude::*;

use crate::config::{Loss, TaskKind};
use crate::figures::canvas::{BLUE, FONT, ORANGE, dashed, legend, line, picture, plane, tick};
use crate::run::RunFolder;
use crate::task::Task;
use crate::training::Summary;
use crate::training::history::{Epoch, metric_name};

/// Draws the pictures of a training run.
///
/// # Errors
/// A figure cannot be drawn or written.
pub fn draw(summary: &Summary, task: &Task, run: &RunFolder) -> Result<()> {
    run.write("loss.png", &loss(summary, task)?)?;
    if task.kind == TaskKind::Regression {
        return run.write("score.png", &score(summary, task)?);
    }
    run.write("accuracy.png", &accuracy(summary, task)?)
}

/// Loss of training and validation by epoch, the best epoch marked.
fn loss(summary: &Summary, task: &Task) -> Result<Vec<u8>> {
    let name = match (task.loss, task.kind) {
        (Loss::CrossEntropy, TaskKind::Binary | TaskKind::Multilabel) => "loss (binary cross-entropy, nats)",
        (Loss::CrossEntropy, _) => "loss (cross-entropy, nats)",
        (Loss::Mse, TaskKind::Regression) => "loss (squared error, in variances)",
        (Loss::Mse, _) => "loss (squared error)",
        (Loss::Poisson, _) => "loss (Poisson)",
    };
    let curves = |epoch: &Epoch| vec![epoch.train_loss, epoch.valid_loss];
    by_epoch("Loss", name, summary, task, curves, SeriesLabelPosition::UpperRight)
}

/// Accuracy of training and validation by epoch, the best epoch marked.
fn accuracy(summary: &Summary, task: &Task) -> Result<Vec<u8>> {
    let (title, name) = match task.kind {
        TaskKind::Multiclass => ("Accuracy", "accuracy (share of fragments)"),
        TaskKind::Multilabel => ("Accuracy at 0.5", "accuracy (share of labels)"),
        _ => ("Accuracy at 0.5", "accuracy (share of fragments)"),
    };
    let curves = |epoch: &Epoch| [epoch.train_accuracy, epoch.valid_accuracy].into_iter().flatten().collect();
    by_epoch(title, name, summary, task, curves, SeriesLabelPosition::LowerRight)
}

/// The metric that chooses the best epoch, on validation by epoch.
fn score(summary: &Summary, task: &Task) -> Result<Vec<u8>> {
    let curves = |epoch: &Epoch| vec![f64::NAN, epoch.valid_score];
    let name = metric_name(task.selection_metric());
    by_epoch(&name, &name, summary, task, curves, SeriesLabelPosition::LowerRight)
}

fn by_epoch(
    title: &str,
    axis: &str,
    summary: &Summary,
    task: &Task,
    values: impl Fn(&Epoch) -> Vec<f64>,
    position: SeriesLabelPosition,
) -> Result<Vec<u8>> {
    let history = &summary.history;
    let all = || history.iter().flat_map(&values).filter(|value| value.is_finite());
    let (low, high) =
        all().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let margin = ((high - low) * 0.08).max(1e-4);
    let epochs = history.iter().map(|epoch| epoch.epoch).max().unwrap_or(0);
    let last = epochs.max(2) as f64;
    picture(|canvas| {
        let (low, high) = (low - margin, high + margin);
        let mut chart = plane(canvas, title, 0.7..last + 0.3, low..high)?;
        chart
            .configure_mesh()
            .x_desc("epoch")
            .y_desc(axis)
            .x_labels(epochs.clamp(2, 12))
            .x_label_formatter(&|x| if (x - x.round()).abs() < 1e-6 { format!("{x:.0}") } else { String::new() })
            .y_label_formatter(&|y| tick(*y, high - low))
            .label_style((FONT, 22))
            .axis_desc_style((FONT, 24))
            .light_line_style(WHITE.mix(0.0))
            .bold_line_style(BLACK.mix(0.1))
            .draw()?;
        for (which, colour, name) in [(0, BLUE, "training"), (1, ORANGE, "validation")] {
            for member in 1..=summary.best_epochs.len() {
                let points: Vec<(f64, f64)> = history
                    .iter()
                    .filter(|epoch| epoch.member == member)
                    .filter_map(|epoch| Some((epoch.epoch as f64, *values(epoch).get(which)?)))
                    .filter(|(_, value)| value.is_finite())
                    .collect();
                if points.is_empty() {
                    continue;
                }
                chart.draw_series(points.iter().map(|&point| Circle::new(point, 4, colour.filled())))?;
                if member == 1 {
                    line(&mut chart, points.into_iter(), colour, name)?;
                } else {
                    chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
                }
            }
        }
        // Each member of an ensemble has its own best epoch, too many lines to tell apart.
        if let &[best] = summary.best_epochs.as_slice() {
            let label = format!("best epoch ({best}), by validation {}", metric_name(task.selection_metric()));
            dashed(&mut chart, (best as f64, low), (best as f64, high), &label)?;
        }
        legend(&mut chart, position)
    })
}
