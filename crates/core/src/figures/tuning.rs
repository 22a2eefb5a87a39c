//! Figures and tables of a search: the best trials, a panel for each hyperparameter, and the curve of a range test.

use std::ops::Range;

use anyhow::Result;
use plotters::prelude::*;

use crate::config::search::{Hyperparameter, Scale, Values};
use crate::figures::canvas::{
    BLUE, Canvas, Drawing, FONT, GREY, ORANGE, SIZE, axes_written, dashed, legend, line, mark, picture, picture_of,
    plane,
};
use crate::format;
use crate::training::history::{metric_name, shown};
use crate::tune::range::{Curve, Suggestion};
use crate::tune::trials::Row;
use crate::tune::{Tuning, sampling};

/// Largest number of trials in the table.
const SHOWN: usize = 5;

/// Largest number of hyperparameters with a panel of their own.
const MOST_PANELS: usize = 12;

/// Height of a panel where there are several, and of the words above them, in pixels.
const PANEL_HEIGHT: u32 = 420;
const HEADER_HEIGHT: u32 = 56;

/// Scores and losses beyond this are not drawn: plotters never finishes an axis that goes to infinity or to the largest
/// numbers.
const LARGEST_DRAWN: f64 = 1e100;

/// The best trials as a text table.
pub fn table(tuning: &Tuning) -> String {
    let best = tuning.best();
    let Some(first) = best.first() else { return String::new() };
    let score_name = format!("valid {}", metric_name(&first.metric));
    let hyperparameters = tuning.search.hyperparameters.iter().map(|hyperparameter| hyperparameter.key.clone());
    let header =
        ["trial", "epochs", &score_name, "best epoch"].map(str::to_owned).into_iter().chain(hyperparameters).collect();
    let mut lines: Vec<Vec<String>> = vec![header];
    for row in best.iter().take(SHOWN) {
        let (score, best_epoch) = score_of(row);
        let first = [row.run.trial.to_string(), row.run.epochs.to_string(), format!("{score:.4}"), best_epoch];
        lines.push(first.into_iter().chain(row.hyperparameters.iter().cloned()).collect());
    }
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let padded = |line: &Vec<String>| -> String {
        let cells = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:>width$}"));
        format!("  {}\n", cells.collect::<Vec<_>>().join("  "))
    };
    lines.iter().map(padded).collect()
}

/// The score with the best epoch, as text; empty for a failed trial.
fn score_of(row: &Row) -> (f64, String) {
    match &row.outcome {
        crate::tune::trials::Outcome::Done { score, best_epoch } => {
            (shown(&row.metric, *score), best_epoch.to_string())
        }
        crate::tune::trials::Outcome::Failed(_) => (f64::NAN, String::new()),
    }
}

/// Value against score, a panel for each hyperparameter. A dot is a trial at a rung, darker for more epochs.
///
/// # Errors
/// The figure cannot be drawn.
pub fn hyperparameters(tuning: &Tuning) -> Result<Vec<u8>> {
    let panels = tuning.search.hyperparameters.len().min(MOST_PANELS);
    let columns = if panels == 1 { 1 } else { 2 };
    let rows = panels.div_ceil(columns);
    let height = if rows == 1 { SIZE.1 } else { HEADER_HEIGHT + PANEL_HEIGHT * rows as u32 };
    let metric = tuning.metric().map_or_else(|| "score".into(), metric_name);
    let scores = padded_range(tuning.rows.iter().map(|row| score_of(row).0));
    picture_of((SIZE.0, height), |canvas| {
        let (header, body) = canvas.split_vertically(HEADER_HEIGHT);
        let first = tuning.rungs.first().map_or(0, |rung| rung.epochs);
        let last = tuning.rungs.last().map_or(0, |rung| rung.epochs);
        let epochs = if first == last { String::new() } else { format!(", {first} (faint) to {last} (strong) epochs") };
        let left_out = match tuning.search.hyperparameters.len() - panels {
            0 => String::new(),
            _ => format!("; the first {panels} of {} settings", tuning.search.hyperparameters.len()),
        };
        let words = format!("Dots are trials{epochs}; the best is orange{left_out}");
        header.draw(&Text::new(words, (24, 20), (FONT, 24)))?;
        for (place, panel) in body.split_evenly((rows, columns)).iter().enumerate().take(panels) {
            panel_of(panel, tuning, place, &metric, scores.clone())?;
        }
        Ok(())
    })
}

fn panel_of(panel: &Canvas, tuning: &Tuning, place: usize, metric: &str, scores: Range<f64>) -> Drawing {
    let hyperparameter = &tuning.search.hyperparameters[place];
    let axis = Axis::of(hyperparameter);
    let mut chart = plane(panel, &hyperparameter.key, axis.range.clone(), scores.clone())?;
    let (width, height) = chart.plotting_area().dim_in_pixel();
    let write_score = |y: &f64| decimals(*y, &scores);
    let write_value = |x: &f64| axis.label(*x);
    let mut mesh = chart.configure_mesh();
    mesh.y_desc(format!("validation {metric}"))
        .y_labels((height / 50).clamp(2, 11) as usize)
        .y_label_formatter(&write_score)
        .label_style((FONT, 20))
        .axis_desc_style((FONT, 22))
        .light_line_style(WHITE.mix(0.0))
        .bold_line_style(BLACK.mix(0.1));
    mesh.x_label_formatter(&write_value);
    match &axis.names {
        // A tick at each half and each whole step, of which only whole ones are labelled.
        Some(names) => mesh.disable_x_mesh().x_labels(2 * names.len() + 1),
        None => mesh.x_labels((width / 60).clamp(2, 9) as usize),
    };
    mesh.draw()?;
    let height_of = |row: &Row| row.score().map(|score| shown(&row.metric, score));
    let rungs = tuning.rungs.len().max(1) as f64;
    let best = tuning.best().first().map(|row| row.run);
    for row in tuning.rows.iter().filter(|row| Some(row.run) != best) {
        let Some(dot) = axis.place(&row.hyperparameters[place]).zip(height_of(row)) else { continue };
        let strength = 0.1 + 0.8 * (row.run.rung as f64 / rungs).powi(2);
        chart.draw_series([Circle::new(dot, 6, BLUE.mix(strength).filled())])?;
    }
    let row = tuning.rows.iter().find(|row| Some(row.run) == best);
    let dot = row.and_then(|row| axis.place(&row.hyperparameters[place]).zip(height_of(row)));
    chart.draw_series(dot.map(|dot| Circle::new(dot, 9, ORANGE.filled())))?;
    Ok(())
}

/// Positions of the values of a hyperparameter along an axis.
struct Axis {
    range: Range<f64>,
    log: bool,
    /// Choices, at 0, 1, 2 and so on.
    names: Option<Vec<String>>,
}

impl Axis {
    fn of(hyperparameter: &Hyperparameter) -> Self {
        match &hyperparameter.values {
            Values::Choice(values) => {
                let names: Vec<String> = values.iter().map(sampling::text).collect();
                Self { range: -0.5..names.len() as f64 - 0.5, log: false, names: Some(names) }
            }
            Values::Range { low, high, scale, .. } => {
                let log = *scale == Scale::Log;
                let (low, high) = if log { (low.log10(), high.log10()) } else { (*low, *high) };
                let margin = (high - low) * 0.04;
                Self { range: low - margin..high + margin, log, names: None }
            }
        }
    }

    /// Position of a value as `trials.csv` holds it.
    fn place(&self, text: &str) -> Option<f64> {
        match &self.names {
            Some(names) => names.iter().position(|name| name == text).map(|place| place as f64),
            None => {
                let number: f64 = text.parse().ok()?;
                Some(if self.log { number.log10() } else { number })
            }
        }
    }

    fn label(&self, x: f64) -> String {
        let near = x.round();
        match &self.names {
            Some(names) if (x - near).abs() < 1e-6 && near >= 0.0 => {
                names.get(near as usize).map_or_else(String::new, |name| format::short_name(name))
            }
            Some(_) => String::new(),
            None if self.log => significant(10f64.powf(x), 2),
            None => significant(if x.abs() < (self.range.end - self.range.start) * 1e-9 { 0.0 } else { x }, 4),
        }
    }
}

/// A number with the given significant digits, in its shortest form.
fn significant(number: f64, digits: usize) -> String {
    let rounded: f64 = format!("{number:.*e}", digits - 1).parse().unwrap_or(number);
    match rounded.abs() {
        size if size != 0.0 && !(1e-3..1e5).contains(&size) => format!("{rounded:e}"),
        _ => format!("{rounded}"),
    }
}

/// Formats a score or a loss on an axis.
fn decimals(value: f64, axis: &Range<f64>) -> String {
    if axis.end - axis.start < 0.1 { format!("{value:.3}") } else { format!("{value:.2}") }
}

/// A range that holds all values with a margin.
fn padded_range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let finite = values.filter(|value| value.abs() <= LARGEST_DRAWN);
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return 0.0..1.0;
    }
    let margin = ((high - low) * 0.08).max(1e-3);
    low - margin..high + margin
}

/// Loss against learning rate, with the suggested rate; `steps` is the number of steps planned.
///
/// # Errors
/// The figure cannot be drawn.
pub fn rates(curve: &Curve, steps: usize, suggestion: Option<Suggestion>) -> Result<Vec<u8>> {
    let at: Vec<f64> = curve.steps.iter().map(|(rate, _)| rate.log10()).collect();
    let smoothed: Vec<(f64, f64)> = at.iter().copied().zip(curve.smoothed(steps)).collect();
    let first = at.first().copied().unwrap_or(-1.0);
    let last = at.last().map_or(1.0, |last| last.max(first + 0.1));
    // The end, where the loss diverges, would flatten the rest of the curve.
    let least = smoothed.iter().map(|(_, loss)| *loss).fold(f64::INFINITY, f64::min);
    let start = smoothed.first().map_or(1.0, |(_, loss)| *loss);
    let range = padded_range([least, start.max(least) + 0.5 * (start - least).abs().max(0.02)].into_iter());
    picture(|canvas| {
        let mut chart = plane(canvas, "Learning-rate range test", first..last, range.clone())?;
        let write_rate = |x: &f64| significant(10f64.powf(*x), 2);
        axes_written(&mut chart, "learning rate", "training loss", &write_rate, &|y| decimals(*y, &range))?;
        let inside = |(_, loss): &(f64, f64)| range.contains(loss);
        let raw = at.iter().copied().zip(curve.steps.iter().map(|(_, loss)| *loss));
        chart
            .draw_series(raw.filter(inside).map(|dot| Circle::new(dot, 3, GREY.mix(0.5).filled())))?
            .label("loss of each step")
            .legend(|(x, y)| Circle::new((x + 12, y), 4, GREY.mix(0.7).filled()));
        line(&mut chart, smoothed.iter().copied().take_while(inside), BLUE, "smoothed")?;
        if let Some(Suggestion { rate, steepest, .. }) = suggestion {
            let distance = |point: &&(f64, f64)| (point.0 - steepest.log10()).abs();
            let nearest = smoothed.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).copied();
            let label = format!("steepest fall, {}", significant(steepest, 2));
            mark(&mut chart, nearest.filter(inside), &label)?;
            let (x, label) = (rate.log10(), format!("suggested rate, {}", significant(rate, 2)));
            if (first..=last).contains(&x) {
                dashed(&mut chart, (x, range.start), (x, range.end), &label)?;
            }
        }
        legend(&mut chart, SeriesLabelPosition::LowerLeft)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::search::Search;
    use crate::config::{Config, Faults};
    use crate::figures::tests::ink;
    use crate::tune::trials::Outcome;
    use crate::tune::{halving, range};

    fn tuned() -> Tuning {
        let mut search = Search::usual();
        let arch = ["shallow", "residual", "mixed"].map(toml::Value::from).to_vec();
        search.hyperparameters.push(Hyperparameter {
            section: "model".into(),
            key: "arch".into(),
            values: Values::Choice(arch),
        });
        let trials = sampling::trials(&search, 27, 1, |_| Ok::<_, Faults>(Config::default())).unwrap();
        let mut tuning = Tuning { search, trials, rungs: halving::rungs(27, 9, 3, 3), rows: Vec::new() };
        while let Some(run) = tuning.next().unwrap() {
            let trial = tuning.trial(run.trial);
            let lr: f64 = trial.texts()[0].parse().unwrap();
            let score = 0.8 - 0.1 * (lr.log10() + 2.7).powi(2) + 0.01 * run.rung as f64 + 0.001 * run.trial as f64;
            let outcome = if run.trial == 5 {
                Outcome::Failed("diverged".into())
            } else {
                Outcome::Done { score, best_epoch: run.epochs }
            };
            let row = Row { run, hyperparameters: trial.texts(), metric: "auroc".into(), outcome, seconds: 1.0 };
            tuning.rows.push(row);
        }
        tuning
    }

    #[test]
    fn the_table_shows_the_best_first() {
        let tuning = tuned();
        let text = table(&tuning);
        assert_eq!(text.lines().count(), 6, "{text}");
        assert!(text.contains("valid AUROC") && text.contains("weight_decay"), "{text}");
        let best = tuning.best()[0];
        assert!(text.lines().nth(1).unwrap().trim_start().starts_with(&best.run.trial.to_string()), "{text}");
        assert_eq!(best.run.epochs, 9);
    }

    #[test]
    fn pictures_are_drawn_whatever_there_is() {
        let mut tuning = tuned();
        let full = ink(&hyperparameters(&tuning).unwrap()).2;
        tuning.rows.clear();
        let empty = ink(&hyperparameters(&tuning).unwrap()).2;
        assert!(full > empty && empty > 0.0, "{full} {empty}");
        let mut curve = Curve::default();
        rates(&curve, 100, None).unwrap();
        for rate in range::rates(1e-6, 1.0, 100) {
            curve.push(rate, 0.7 - 0.05 * (rate.log10() + 6.0));
        }
        assert!(ink(&rates(&curve, 100, curve.suggestion(100)).unwrap()).2 > 0.001);
    }

    #[test]
    fn a_score_as_large_as_numbers_go_does_not_keep_from_drawing() {
        let mut tuning = tuned();
        for (row, score) in tuning.rows.iter_mut().zip([-1e308, 1e308, f64::MAX, f64::MIN]) {
            row.outcome = Outcome::Done { score, best_epoch: 1 };
        }
        assert!(ink(&hyperparameters(&tuning).unwrap()).2 > 0.0);
    }

    #[test]
    fn numbers_on_axes_are_short() {
        let short = [0.0, 0.00123, 0.000_31, 1e-7, 0.6].map(|number| significant(number, 2));
        assert_eq!(short, ["0", "0.0012", "3.1e-4", "1e-7", "0.6"]);
        assert_eq!(significant(0.1 + 0.2, 4), "0.3");
    }
}
