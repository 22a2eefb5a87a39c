//! Figures and tables of a search: the best trials, a panel for each hyperparameter, and the curve of a range test.

use std::ops::Range;

use crate::config::search::{Hyperparameter, Scale, Values};
use crate::figures::canvas::{
    BLUE, COLUMN, Canvas, FULL_WIDTH, Figure, GREY, LARGEST_DRAWN, MARGIN, ORANGE, Point, TEXT, TITLE, Words, figure,
    range_of,
};
use crate::figures::chart::{self, Chart, Key, MARKED};
use crate::figures::typeface;
use crate::format;
use crate::training::history::{metric_name, shown};
use crate::tune::range::{Curve, Suggestion};
use crate::tune::trials::Row;
use crate::tune::{Tuning, sampling};
use anyhow::Result;

/// Largest number of trials in the table.
const SHOWN: usize = 5;

/// Largest number of hyperparameters with a panel of their own.
const MOST_PANELS: usize = 12;

/// Height of the plot of a panel, and of the words above all panels.
const PLOT_HEIGHT: f64 = 110.0;
const HEADER: f64 = MARGIN + TITLE + 4.0;

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
pub fn hyperparameters(tuning: &Tuning) -> Result<Figure> {
    let panels = tuning.search.hyperparameters.len().min(MOST_PANELS);
    let columns = if panels == 1 { 1 } else { 2 };
    let metric = tuning.metric().map_or_else(|| "score".into(), metric_name);
    let scores = range_of(tuning.rows.iter().map(|row| score_of(row).0), 0.08);
    let charts: Vec<(Chart, Axis)> =
        (0..panels).map(|place| panel_of(tuning, place, &metric, scores.clone())).collect();
    let height = charts.iter().map(|(chart, _)| chart.height()).fold(0.0, f64::max);
    let width = if columns == 1 { COLUMN } else { FULL_WIDTH };
    figure((width, HEADER + height * panels.div_ceil(columns) as f64), |canvas| {
        let first = tuning.rungs.first().map_or(0, |rung| rung.epochs);
        let last = tuning.rungs.last().map_or(0, |rung| rung.epochs);
        let epochs = if first == last { String::new() } else { format!(", {first} (faint) to {last} (strong) epochs") };
        let left_out = match tuning.search.hyperparameters.len() - panels {
            0 => String::new(),
            _ => format!("; the first {panels} of {} settings", tuning.search.hyperparameters.len()),
        };
        let words = format!("Dots are trials{epochs}; the best is orange{left_out}");
        canvas.text_within(&words, (MARGIN, MARGIN), Words::title(), width - 2.0 * MARGIN);
        for (place, (chart, axis)) in charts.iter().enumerate() {
            let (column, row) = (place % columns, place / columns);
            let corner = (column as f64 * (FULL_WIDTH - COLUMN), HEADER + row as f64 * height);
            draw_panel(canvas, corner, tuning, place, (chart, axis));
        }
    })
}

fn panel_of(tuning: &Tuning, place: usize, metric: &str, scores: Range<f64>) -> (Chart, Axis) {
    let hyperparameter = &tuning.search.hyperparameters[place];
    let axis = Axis::of(hyperparameter);
    let x = chart::Axis { title: String::new(), range: axis.range.clone(), ticks: axis.ticks() };
    let y = chart::Axis::new(format!("validation {metric}"), scores, 5);
    let title = hyperparameter.key.clone();
    (Chart { title, width: COLUMN, plot_height: Some(PLOT_HEIGHT), x, y, keys: Vec::new(), numbers: 0.0 }, axis)
}

fn draw_panel(canvas: &mut Canvas, corner: Point, tuning: &Tuning, place: usize, (chart, axis): (&Chart, &Axis)) {
    let value = |row: &Row| {
        let score = row.score().map(|score| shown(&row.metric, score)).filter(|score| score.abs() <= LARGEST_DRAWN);
        axis.place(&row.hyperparameters[place]).zip(score)
    };
    let rungs = tuning.rungs.len().max(1) as f64;
    let best = tuning.best().first().map(|row| row.run);
    chart.draw_on(canvas, corner, |plot| {
        for row in tuning.rows.iter().filter(|row| Some(row.run) != best) {
            let strength = 0.1 + 0.8 * (row.run.rung as f64 / rungs).powi(2);
            if let Some(dot) = value(row) {
                plot.dot(dot, 1.8, BLUE.with_alpha(strength));
            }
        }
        if let Some(dot) = tuning.rows.iter().find(|row| Some(row.run) == best).and_then(value) {
            plot.dot(dot, 2.6, ORANGE);
        }
    });
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

    /// Places with their labels. Names share the width of the axis.
    fn ticks(&self) -> Vec<(f64, String)> {
        match &self.names {
            Some(names) => {
                let room = (COLUMN - 60.0) / names.len().max(1) as f64 - 3.0;
                let label = |name: &String| typeface::cut(&format::short_name(name), TEXT, room);
                names.iter().enumerate().map(|(place, name)| (place as f64, label(name))).collect()
            }
            None if self.log => rates_between(&self.range),
            None => chart::ticks(&self.range, 6),
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

/// Round numbers on a logarithmic axis, whose ends are logarithms: powers of ten, with 2 and 5 times these if there are
/// few, or every few powers if there are many; equal steps if there is no other way.
fn rates_between(range: &Range<f64>) -> Vec<(f64, String)> {
    let decades = range.end - range.start;
    let every = (decades / 6.0).ceil().max(1.0) as i32;
    let digits: &[f64] = if decades < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let (first, last) = (range.start.floor().max(-330.0) as i32, range.end.ceil().min(330.0) as i32);
    let powers = (first..=last).filter(|power| power.rem_euclid(every) == 0);
    let round = powers.flat_map(|power| digits.iter().map(move |digit| f64::from(power) + digit.log10()));
    let round: Vec<f64> = round.filter(|place| range.contains(place)).collect();
    let equal = || (0..5).map(|step| range.start + decades * f64::from(step) / 4.0).collect();
    let places = if round.len() >= 2 { round } else { equal() };
    places.into_iter().map(|place| (place, significant(10f64.powf(place), 2))).collect()
}

/// Loss against learning rate, with the suggested rate; `steps` is the number of steps planned.
///
/// # Errors
/// The figure cannot be drawn.
pub fn rates(curve: &Curve, steps: usize, suggestion: Option<Suggestion>) -> Result<Figure> {
    let at: Vec<f64> = curve.steps.iter().map(|(rate, _)| rate.log10()).collect();
    let smoothed: Vec<(f64, f64)> = at.iter().copied().zip(curve.smoothed(steps)).collect();
    let first = at.first().copied().unwrap_or(-1.0);
    let last = at.last().map_or(1.0, |last| last.max(first + 0.1));
    // The end, where the loss diverges, would flatten the rest of the curve.
    let least = smoothed.iter().map(|(_, loss)| *loss).fold(f64::INFINITY, f64::min);
    let start = smoothed.first().map_or(1.0, |(_, loss)| *loss);
    let range = range_of([least, start.max(least) + 0.5 * (start - least).abs().max(0.02)].into_iter(), 0.08);
    let inside = |(_, loss): &(f64, f64)| range.contains(loss);
    let mut keys = vec![Key::dots(GREY.with_alpha(0.6), "loss of each step"), Key::curve(BLUE, "smoothed")];
    let (mut steepest, mut suggested) = (None, None);
    if let Some(suggestion) = suggestion {
        let distance = |point: &&(f64, f64)| (point.0 - suggestion.steepest.log10()).abs();
        let nearest = smoothed.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).copied();
        steepest = nearest.filter(inside);
        keys.push(Key::dots(ORANGE, format!("steepest fall, {}", significant(suggestion.steepest, 2))));
        keys.push(Key::marked(format!("suggested rate, {}", significant(suggestion.rate, 2))));
        suggested = Some(suggestion.rate.log10()).filter(|x| (first..=last).contains(x));
    }
    let chart = Chart {
        title: "Learning-rate range test".into(),
        width: COLUMN,
        plot_height: Some(125.0),
        x: chart::Axis { title: "learning rate".into(), range: first..last, ticks: rates_between(&(first..last)) },
        y: chart::Axis::new("training loss", range.clone(), 6),
        keys,
        numbers: 0.0,
    };
    chart.draw(|plot| {
        let raw = at.iter().copied().zip(curve.steps.iter().map(|(_, loss)| *loss));
        raw.filter(inside).for_each(|dot| plot.dot(dot, 0.8, GREY.with_alpha(0.5)));
        if let Some(x) = suggested {
            plot.line([(x, range.start), (x, range.end)], MARKED);
        }
        plot.curve(smoothed.iter().copied().take_while(inside), BLUE);
        plot.mark(steepest);
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
        while let Some(&run) = tuning.open_runs().unwrap().first() {
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
