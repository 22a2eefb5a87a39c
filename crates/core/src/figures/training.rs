//! Figures of a training run: the loss and the metric that chooses the best epoch, by epoch.

use anyhow::Result;

use crate::config::{Loss, Metric, TaskKind};
use crate::figures::canvas::{BLUE, COLUMN, Figure, ORANGE, range_of};
use crate::figures::chart::{Axis, Chart, Key, MARKED};
use crate::run::RunFolder;
use crate::task::Task;
use crate::training::Summary;
use crate::training::history::{Epoch, metric_name};

/// Draws the pictures of a training run.
///
/// # Errors
/// A figure cannot be drawn or written.
pub fn draw(summary: &Summary, task: &Task, run: &RunFolder) -> Result<()> {
    loss(summary, task)?.write(run, "loss.png")?;
    if task.kind.predicts_values() {
        // A loss that chooses the best epoch is drawn already.
        let is_loss = task.selection_metric() == Metric::Loss.name();
        return if is_loss { Ok(()) } else { score(summary, task)?.write(run, "score.png") };
    }
    accuracy(summary, task)?.write(run, "accuracy.png")
}

/// Loss of training and validation by epoch, the best epoch marked.
fn loss(summary: &Summary, task: &Task) -> Result<Figure> {
    let name = match (task.loss, task.kind) {
        (Loss::CrossEntropy, TaskKind::Binary | TaskKind::Multilabel) => "loss (binary cross-entropy, nats)",
        (Loss::CrossEntropy, _) => "loss (cross-entropy, nats)",
        (Loss::Mse, TaskKind::Regression) => "loss (squared error, in variances)",
        (Loss::Mse, _) => "loss (squared error)",
        (Loss::Poisson, _) => "loss (Poisson)",
        (Loss::Multinomial, _) => "loss (of profiles and counts)",
    };
    let curves = |epoch: &Epoch| vec![epoch.train_loss, epoch.valid_loss];
    by_epoch("Loss", name, summary, task, curves)
}

/// Accuracy of training and validation by epoch, the best epoch marked.
fn accuracy(summary: &Summary, task: &Task) -> Result<Figure> {
    let (title, name) = match task.kind {
        TaskKind::Multiclass => ("Accuracy", "accuracy (share of fragments)"),
        TaskKind::Multilabel => ("Accuracy at 0.5", "accuracy (share of labels)"),
        _ => ("Accuracy at 0.5", "accuracy (share of fragments)"),
    };
    let curves = |epoch: &Epoch| [epoch.train_accuracy, epoch.valid_accuracy].into_iter().flatten().collect();
    by_epoch(title, name, summary, task, curves)
}

/// The metric that chooses the best epoch, on validation by epoch.
fn score(summary: &Summary, task: &Task) -> Result<Figure> {
    let curves = |epoch: &Epoch| vec![f64::NAN, epoch.valid_score];
    let name = metric_name(task.selection_metric());
    by_epoch(&name, &name, summary, task, curves)
}

fn by_epoch(
    title: &str,
    axis: &str,
    summary: &Summary,
    task: &Task,
    values: impl Fn(&Epoch) -> Vec<f64>,
) -> Result<Figure> {
    let history = &summary.history;
    let range = range_of(history.iter().flat_map(&values), 0.06);
    let last = history.iter().map(|epoch| epoch.epoch).max().unwrap_or(0).max(2) as f64;
    // A curve for each split and member.
    let curves = [(0, BLUE, "training"), (1, ORANGE, "validation")].map(|(which, colour, name)| {
        let of = |member: usize| -> Vec<(f64, f64)> {
            history
                .iter()
                .filter(|epoch| epoch.member == member)
                .filter_map(|epoch| Some((epoch.epoch as f64, *values(epoch).get(which)?)))
                .filter(|(_, value)| range.contains(value))
                .collect()
        };
        let members: Vec<_> = (1..=summary.best_epochs.len()).map(of).filter(|points| !points.is_empty()).collect();
        (members, colour, name)
    });
    let drawn = curves.iter().filter(|(members, ..)| !members.is_empty());
    let mut keys: Vec<Key> = drawn.map(|(_, colour, name)| Key::curve(*colour, *name)).collect();
    // Each member of an ensemble has its own best epoch, too many lines to tell apart.
    let best = if let &[best] = summary.best_epochs.as_slice() { Some(best) } else { None };
    keys.extend(best.map(|best| {
        Key::marked(format!("best epoch ({best}), by validation {}", metric_name(task.selection_metric())))
    }));
    let chart = Chart {
        title: title.into(),
        width: COLUMN,
        plot_height: Some(125.0),
        x: Axis::of_counts("epoch", 1.0..last, 10),
        y: Axis::new(axis, range.clone(), 6),
        keys,
        numbers: 0.0,
    };
    chart.draw(|plot| {
        if let Some(best) = best {
            plot.line([(best as f64, range.start), (best as f64, range.end)], MARKED);
        }
        for (members, colour, _) in &curves {
            for points in members {
                plot.curve(points.iter().copied(), *colour);
                points.iter().for_each(|&point| plot.dot(point, 1.3, *colour));
            }
        }
    })
}
