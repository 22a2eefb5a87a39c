//! Figures and text tables of results. `html` puts them into a report. A figure is drawn once, on a canvas that gives
//! both its PNG and its SVG; plotters draws charts on it.

mod backend;
mod bases;
mod bitmap;
pub mod breakdown;
mod canvas;
mod chart;
pub mod composition;
pub mod confusion;
pub mod curves;
pub mod folds;
pub mod footprints;
pub mod importance;
pub mod layers;
mod logo;
pub mod motifs;
mod profiles;
pub mod reads;
pub mod scatter;
mod svg;
pub mod training;
pub mod tuning;
mod typeface;

use anyhow::Result;

pub use crate::figures::canvas::Figure;

use crate::config::TaskKind;
use crate::evaluate::baselines::BaselineResult;
use crate::evaluate::bins::OfBins;
use crate::evaluate::profiles::OfProfiles;
use crate::evaluate::unlike_training::UnlikeTraining;
use crate::evaluate::{BestPossible, Evaluation};
use crate::format::{self, thousands};
use crate::metrics::{Estimate, Interval, Ranking, Report};
use crate::run::{CONFUSION_CSV, RunFolder};
use crate::task;
use crate::training::history::metric_name;

/// Most classes, labels or columns shown in a text table.
pub const MOST_PARTS: usize = 20;

/// Draws the pictures of a test set.
///
/// # Errors
/// A figure cannot be drawn or written.
pub fn draw(evaluation: &Evaluation, folder: &RunFolder) -> Result<()> {
    draw_of(evaluation, "test", folder)
}

/// Draws the same pictures of examples that are called so.
///
/// # Errors
/// A figure cannot be drawn or written.
pub fn draw_of(evaluation: &Evaluation, split: &str, folder: &RunFolder) -> Result<()> {
    let Evaluation { task, classes, examples, predictions, report, .. } = evaluation;
    match task.kind {
        TaskKind::Binary => {
            let positives = task.positives(examples);
            let ranking = Ranking::new(&positives, predictions);
            let names = (classes.positive_name(), classes.negative_name());
            curves::roc(&ranking, report, split)?.write(folder, "roc.png")?;
            curves::precision_recall(&ranking, report, split)?.write(folder, "pr.png")?;
            curves::scores(&positives, predictions, report, split, names)?.write(folder, "scores.png")?;
        }
        TaskKind::Multiclass | TaskKind::Multilabel => {
            let (count, labels) = (task.count, task::yes_no(examples)); // of classes, they are not used
            let of_class = |class: usize| -> Ranking {
                let scores = predictions.iter().skip(class).step_by(count).copied();
                let positives: Vec<Option<bool>> = if task.kind == TaskKind::Multiclass {
                    examples.classes().into_iter().map(|found| Some(found == class)).collect()
                } else {
                    labels.iter().skip(class).step_by(count).copied().collect()
                };
                let known = positives.into_iter().zip(scores).filter_map(|(label, score)| Some((label?, score)));
                let (positives, scores): (Vec<bool>, Vec<f64>) = known.unzip();
                Ranking::new(&positives, &scores)
            };
            let rankings: Vec<Ranking> = (0..count.min(curves::MOST_CURVES)).map(of_class).collect();
            curves::roc_of_each(&rankings, report, split)?.write(folder, "roc.png")?;
            curves::precision_recall_of_each(&rankings, report, split)?.write(folder, "pr.png")?;
        }
        TaskKind::Regression | TaskKind::Profile => {
            let targets = task::values(examples);
            let of = if task.kind == TaskKind::Profile { "log counts" } else { "value" };
            scatter::scatter((&targets, predictions), of, report, &classes.names, split)?
                .write(folder, "scatter.png")?;
        }
    }
    if let Some(found) = &evaluation.profiles {
        if let Some(figure) = profiles::profiles(found, examples, &classes.names)? {
            figure.write(folder, "profiles.png")?;
        }
        profiles::distances(found)?.write(folder, "distances.png")?;
    }
    if let Some(calibration) = curves::calibration(evaluation, split)? {
        calibration.write(folder, "calibration.png")?;
    }
    if let Some(confusion) = &report.confusion {
        confusion::figure_of(confusion, &classes.names, split)?.write(folder, "confusion.png")?;
        folder.write(CONFUSION_CSV, &confusion::table_of(confusion, &classes.names)?)?;
    }
    if let Some(groups) = &evaluation.breakdown {
        breakdown::breakdown(groups, report, split)?.write(folder, "breakdown.png")?;
    }
    Ok(())
}

/// The metrics of a test set as a text table, with those of baselines beside them.
pub fn table(evaluation: &Evaluation, baselines: &[BaselineResult], best_possible: Option<BestPossible>) -> String {
    let report = &evaluation.report;
    let mut text = format!("test: {} fragments", thousands(report.n));
    if let (Some(n_positive), Some(threshold)) = (report.n_positive, report.threshold) {
        text.push_str(&format!(", {} positive; threshold {threshold:.4} from validation", thousands(n_positive)));
    }
    text.push('\n');
    let members = evaluation.members.as_ref();
    let width = |baseline: &BaselineResult| (baseline.name.chars().count() + 2).max(12);
    if !baselines.is_empty() || members.is_some() {
        text.push_str(&format!("  {:<27}{:<36}", "", if members.is_some() { "ensemble" } else { "network" }));
        if let Some(members) = members {
            text.push_str(&format!("{:<20}", format!("mean (sd) of {}", members.n)));
        }
        baselines.iter().for_each(|baseline| text.push_str(&format!("{:<1$}", baseline.name, width(baseline))));
        text = text.trim_end().to_owned() + "\n";
    }
    let beside = |name: &str| -> String {
        let value = |report: &Report| report.get(name).map_or("-".into(), |estimate| format::metric(estimate.value));
        let spread = members.map_or_else(String::new, |members| {
            let spread = members.get(name);
            let text = spread.map_or("-".into(), |s| {
                format!("{} ({})", format::metric(s.mean), format::metric(s.standard_deviation))
            });
            format!("{text:<20}")
        });
        let of_baseline = |baseline: &BaselineResult| format!("{:<1$}", value(&baseline.report), width(baseline));
        std::iter::once(spread).chain(baselines.iter().map(of_baseline)).collect()
    };
    for (name, estimate) in &report.metrics {
        let words = name.replace('_', " ");
        let line = match estimate {
            Some(Estimate { value, interval }) => {
                let ends = match interval {
                    Ok(Interval { low, high, .. }) => {
                        format!("   95 % {} to {}", format::metric(*low), format::metric(*high))
                    }
                    Err(_) => "   no interval".into(),
                };
                format!("  {words:<27}{:<32} {}", format!("{}{ends}", format::metric(*value)), beside(name))
            }
            None => format!("  {words:<27}{:<36}{}", "undefined here", beside(name)),
        };
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.extend(evaluation.bins.as_ref().map(OfBins::line));
    text.extend(evaluation.profiles.as_ref().map(OfProfiles::lines));
    text.push_str(&unlike_training(evaluation));
    for baseline in baselines {
        if let Some((difference, words)) =
            baseline.difference.as_ref().and_then(|found| Some((found, found.in_words()?)))
        {
            text.push_str(&format!("network minus {}: {} {words}\n", baseline.name, metric_name(&difference.metric)));
        }
    }
    if let Some(BestPossible { auroc, standard_error }) = best_possible {
        let name = "best possible auroc";
        let error = standard_error.map_or_else(String::new, |error| format!(", standard error {error:.4}"));
        text.push_str(&format!(
            "  {name:<27}{auroc:.4}   of the simulation's exact likelihood ratio, in expectation{error}\n"
        ));
    }
    text.push_str(&evaluation.about_intervals());
    if let Some(line) = evaluation.calibration_sentence() {
        text.push_str(&format!("{line}\n"));
    }
    if let Some(strands) = &evaluation.strands {
        text.push_str(&strands.line());
    }
    text.push_str(&parts(report));
    if let Some(confusion) = report.confusion.as_ref().filter(|confusion| confusion.len() <= 10) {
        let names: Vec<String> = report.parts.iter().map(|part| format::short_name(&part.name)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(8) + 2;
        let header: String = names.iter().map(|name| format!("{name:>width$}")).collect();
        text.push_str(&format!("confusion, true classes in rows\n  {:width$}{header}\n", ""));
        for (name, counts) in names.iter().zip(confusion) {
            let counts: String = counts.iter().map(|&count| format!("{:>width$}", thousands(count))).collect();
            text.push_str(&format!("  {name:width$}{counts}\n"));
        }
    }
    text
}

/// The metrics of the examples that are unlike the training examples, one line each kind.
fn unlike_training(evaluation: &Evaluation) -> String {
    let UnlikeTraining { without_repeats, without_near_copies } = &evaluation.unlike_training;
    let mut text = String::new();
    for group in [without_repeats, without_near_copies].into_iter().flatten() {
        let metric = |(name, estimate): &(&'static str, Option<Estimate>)| match estimate {
            Some(Estimate { value, interval: Ok(Interval { low, high, .. }) }) => {
                let [value, low, high] = [value, low, high].map(|number| format::metric(*number));
                format!("{} {value} (95 % {low} to {high})", metric_name(name))
            }
            Some(Estimate { value, .. }) => format!("{} {}", metric_name(name), format::metric(*value)),
            None => format!("{} undefined", metric_name(name)),
        };
        let metrics: Vec<String> = group.metrics.iter().map(metric).collect();
        let (n, all) = (thousands(group.n), thousands(evaluation.report.n));
        text.push_str(&format!("{}, {n} of {all}: {}\n", group.name, metrics.join(", ")));
    }
    text
}

/// The metrics of each class, label or column, one line each.
fn parts(report: &Report) -> String {
    let Some(first) = report.parts.first() else { return String::new() };
    let width = report.parts.iter().take(MOST_PARTS).map(|part| format::short_name(&part.name).chars().count()).max();
    let width = width.unwrap_or(0).max(6) + 2;
    let mut text = format!("  {:width$}{:>10}", "", if first.n.is_some() { "n" } else { "" });
    first.metrics.iter().for_each(|(name, _)| text.push_str(&format!("{:>19}", name.replace('_', " "))));
    text.push('\n');
    for part in report.parts.iter().take(MOST_PARTS) {
        let name = format::short_name(&part.name);
        text.push_str(&format!("  {name:width$}{:>10}", part.n.map_or_else(String::new, thousands)));
        for (_, estimate) in &part.metrics {
            let value = estimate.map_or("undefined".into(), |estimate| format::metric(estimate.value));
            text.push_str(&format!("{value:>19}"));
        }
        text.push('\n');
    }
    if report.parts.len() > MOST_PARTS {
        text.push_str(&format!("  and {} more in metrics.json\n", report.parts.len() - MOST_PARTS));
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::figures::canvas::Figure;
    use crate::metrics::{ClassReport, Report};

    /// Width, height and the share of pixels that are not white, of the PNG.
    pub fn ink(figure: &Figure) -> (u32, u32, f64) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(&figure.png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let (width, height) = (reader.info().width, reader.info().height);
        let dark = pixels.chunks(3).filter(|pixel| pixel.iter().any(|&value| value < 250)).count();
        (width, height, dark as f64 / f64::from(width * height))
    }

    /// The SVG.
    pub fn xml(figure: &Figure) -> String {
        String::from_utf8(figure.svg.clone()).unwrap()
    }

    /// A text of the SVG.
    #[derive(Debug)]
    pub struct Text {
        pub words: String,
        pub x: f64,
        pub y: f64,
        /// Its extent along the horizontal axis; 0 if it reads upwards.
        pub width: f64,
        anchor: String,
    }

    impl Text {
        /// Its left edge.
        pub fn left(&self) -> f64 {
            match self.anchor.as_str() {
                "middle" => self.x - self.width / 2.0,
                "end" => self.x - self.width,
                _ => self.x,
            }
        }
    }

    /// All texts of the SVG, which must be well-formed.
    pub fn texts(figure: &Figure) -> Vec<Text> {
        let text = xml(figure);
        let document = roxmltree::Document::parse(&text).unwrap();
        let number = |node: roxmltree::Node, name: &str| node.attribute(name).unwrap().parse::<f64>().unwrap();
        let of = |node: roxmltree::Node| Text {
            words: node.text().unwrap_or_default().to_owned(),
            x: number(node, "x"),
            y: number(node, "y"),
            width: if node.has_attribute("transform") { 0.0 } else { number(node, "textLength") },
            anchor: node.parent().unwrap().attribute("text-anchor").unwrap_or_default().to_owned(),
        };
        document.descendants().filter(|node| node.has_tag_name("text")).map(of).collect()
    }

    /// The centres of all circles of the SVG.
    pub fn circles(figure: &Figure) -> Vec<(f64, f64)> {
        let text = xml(figure);
        let document = roxmltree::Document::parse(&text).unwrap();
        let circles = document.descendants().filter(|node| node.has_tag_name("circle"));
        let of = |node: roxmltree::Node, name| node.attribute(name).unwrap().parse().unwrap();
        circles.map(|node| (of(node, "cx"), of(node, "cy"))).collect()
    }

    /// A report without metrics, of a number of classes.
    pub fn report(parts: usize) -> Report {
        let part = |i| ClassReport { name: format!("class {i}"), n: None, metrics: Vec::new() };
        let parts = (0..parts).map(part).collect();
        Report { n: 0, n_positive: None, threshold: None, blocks: None, metrics: Vec::new(), parts, confusion: None }
    }
}
