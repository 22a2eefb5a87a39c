//! The main metric by GC content, by the share of repeats and by class, with intervals, all on one scale.

use std::ops::Range;

use anyhow::Result;

use crate::evaluate::breakdown::{Breakdown, Group};
use crate::figures::canvas::{
    AXIS, Across, BLACK, BLUE, COLUMN, CURVE, Canvas, Figure, GREY, Height, LIGHT, LINE, MARGIN, TEXT, TITLE, Words,
    figure, stroke,
};
use crate::figures::chart::ticks;
use crate::figures::typeface;
use crate::format::{self, thousands};
use crate::metrics::{ClassReport, Estimate, Report};
use crate::training::history::metric_name;

/// Height of a group's row, and of the heading of a panel with the space above it.
const ROW: f64 = 10.0;
const HEADING: f64 = 17.0;
/// Space between the names of the groups and the scale.
const GAP: f64 = 8.0;
/// Most classes shown.
const MOST_CLASSES: usize = 20;

/// One way of grouping.
struct Panel {
    heading: String,
    /// Name and estimate of each group.
    rows: Vec<(String, Option<Estimate>)>,
    /// The metric of all.
    all: Option<f64>,
}

/// One panel below the other for each way of grouping, on one scale: a dot with its interval for each group, and the
/// metric of all as a line.
///
/// # Errors
/// The figure cannot be drawn.
pub fn breakdown(breakdown: &Breakdown, report: &Report, split: &str) -> Result<Figure> {
    let title = format!("Metric by group, {split} ({} fragments)", thousands(report.n));
    draw(&title, &panels(breakdown, report))
}

/// The main metric of each fold with its interval, and that of all of them together.
///
/// # Errors
/// The figure cannot be drawn.
pub fn folds(groups: &[Group], report: &Report) -> Result<Figure> {
    let title = format!("Metric by fold ({} fragments)", thousands(report.n));
    draw(&title, &[panel(report, "fold", groups)])
}

fn draw(title: &str, panels: &[Panel]) -> Result<Figure> {
    let names = panels.iter().flat_map(|panel| &panel.rows).map(|(name, _)| typeface::width(name, TEXT));
    let scale = Scale { range: scale(panels), left: MARGIN + names.fold(0.0, f64::max) + GAP };
    let rows = |panel: &Panel| HEADING + ROW * panel.rows.len() as f64;
    let top = MARGIN + TITLE + 2.0;
    let bottom = top + panels.iter().map(rows).sum::<f64>() + 4.0;
    figure((COLUMN, bottom + 24.0), |canvas| {
        canvas.text_within(title, (MARGIN, MARGIN), Words::title(), COLUMN - 2.0 * MARGIN);
        let mut y = top;
        for panel in panels {
            let words = Words::new(Across::Left, Height::Top);
            canvas.text(&panel.heading, (MARGIN, y + 7.0), words);
            y += HEADING;
            draw_panel(canvas, panel, y, &scale);
            y += ROW * panel.rows.len() as f64;
        }
        let mut estimates = panels.iter().flat_map(|panel| &panel.rows).filter_map(|(_, estimate)| estimate.as_ref());
        let has_intervals = estimates.any(|estimate| estimate.ends() != (estimate.value, estimate.value));
        draw_scale(canvas, bottom, &scale, if has_intervals { "value with 95 % interval" } else { "value" });
    })
}

/// The scale of all panels.
struct Scale {
    range: Range<f64>,
    /// Where it begins.
    left: f64,
}

impl Scale {
    fn x(&self, value: f64) -> f64 {
        let width = COLUMN - 2.0 * MARGIN - 4.0 - self.left;
        self.left + (value - self.range.start) / (self.range.end - self.range.start) * width
    }
}

fn panels(breakdown: &Breakdown, report: &Report) -> Vec<Panel> {
    let of_classes: Vec<Group> = if breakdown.by_class.is_empty() {
        let group = |part: &ClassReport| {
            let metrics = part.metrics.first().map(|&metric| vec![metric]).unwrap_or_default();
            Group { name: part.name.clone(), range: None, n: part.n.unwrap_or(report.n), metrics }
        };
        report.parts.iter().take(MOST_CLASSES).map(group).collect()
    } else {
        breakdown.by_class.clone()
    };
    [
        ("GC content", &breakdown.by_gc[..]),
        ("share of soft-masked bases", &breakdown.by_repeats),
        ("12-mers in common with training", &breakdown.by_similarity),
        (parts_name(report), &of_classes),
    ]
    .into_iter()
    .filter(|(_, groups)| !groups.is_empty())
    .map(|(by, groups)| panel(report, by, groups))
    .collect()
}

/// A row for each group, and the metric of all examples.
fn panel(report: &Report, by: &str, groups: &[Group]) -> Panel {
    let metric = groups.first().and_then(|group| group.metrics.first()).map_or("auroc", |(name, _)| *name);
    let row = |group: &Group| {
        let name = format!("{}  (n {})", format::short_name(&group.name), thousands(group.n));
        (name, group.metrics.first().and_then(|(_, estimate)| *estimate))
    };
    Panel {
        heading: format!("{} by {by}", metric_name(metric)),
        rows: groups.iter().map(row).collect(),
        all: report.get(metric).map(|all| all.value),
    }
}

/// What the parts of a report are; a single number and two classes have none.
fn parts_name(report: &Report) -> &'static str {
    match report.parts.first() {
        Some(part) if part.n.is_none() => "column",
        Some(_) if report.confusion.is_none() => "label",
        _ => "class",
    }
}

/// A range that holds every interval of all panels. No metric shown here exceeds 1.
fn scale(panels: &[Panel]) -> Range<f64> {
    let estimates = panels.iter().flat_map(|panel| panel.rows.iter().filter_map(|(_, estimate)| *estimate));
    let ends = estimates.flat_map(|estimate| [estimate.ends().0, estimate.ends().1, estimate.value]);
    let values = ends.chain(panels.iter().filter_map(|panel| panel.all)).filter(|value| value.is_finite());
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return 0.0..1.0;
    }
    // From one tenth, or one twentieth, to another.
    let step = if high - low < 0.2 { 0.05 } else { 0.1 };
    let (low, high) = ((low / step + 1e-9).floor() * step, ((high / step - 1e-9).ceil() * step).min(1.0));
    if high > low { low..high } else { low - step..low }
}

fn draw_panel(canvas: &mut Canvas, panel: &Panel, top: f64, scale: &Scale) {
    let bottom = top + ROW * panel.rows.len() as f64;
    if let Some(all) = panel.all {
        let x = scale.x(all);
        canvas.line(&[(x, top), (x, bottom)], stroke(AXIS, LIGHT));
        // Beside a heading that reaches so far.
        let behind = MARGIN + typeface::width(&panel.heading, TEXT) + GAP;
        let words = Words::new(Across::Middle, Height::Base).coloured(GREY);
        canvas.text("all", (x.max(behind + typeface::width("all", TEXT) / 2.0), top - 1.5), words);
    }
    for (i, (name, estimate)) in panel.rows.iter().enumerate() {
        let y = top + ROW * (i as f64 + 0.5);
        canvas.text(name, (MARGIN, y), Words::new(Across::Left, Height::Middle));
        match estimate {
            Some(estimate) => {
                let (low, high) = estimate.ends();
                canvas.line(&[(scale.x(low), y), (scale.x(high), y)], stroke(CURVE, BLUE));
                canvas.circle((scale.x(estimate.value), y), 2.2, BLUE);
            }
            None => {
                let words = Words::new(Across::Left, Height::Middle).coloured(GREY);
                canvas.text("undefined", (scale.left, y), words);
            }
        }
    }
}

fn draw_scale(canvas: &mut Canvas, top: f64, scale: &Scale, caption: &str) {
    let (line, range) = (stroke(AXIS, BLACK), &scale.range);
    let words = Words::new(Across::Middle, Height::Top);
    canvas.line(&[(scale.x(range.start), top), (scale.x(range.end), top)], line);
    for (value, text) in ticks(range, 6) {
        let x = scale.x(value);
        canvas.line(&[(x, top), (x, top + 2.5)], line);
        canvas.text(&text, (x, top + 4.5), words);
    }
    canvas.text(caption, (scale.x((range.start + range.end) / 2.0), top + 4.5 + LINE), words);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::{circles, ink, report, texts};
    use crate::metrics::{Interval, Method};

    fn group(name: &str, value: f64) -> Group {
        let interval = Interval { low: value - 0.05, high: (value + 0.05).min(1.0), method: Method::Wilson };
        let estimate = Estimate { value, interval: Ok(interval) };
        Group { name: name.into(), range: None, n: 1234, metrics: vec![("auroc", Some(estimate))] }
    }

    #[test]
    fn equal_values_stand_one_below_the_other_in_all_panels() {
        let groups = Breakdown {
            by_gc: vec![group("30 to 40 %", 0.6), group("40 to 50 %", 0.97)],
            by_repeats: vec![group("0 to 5 %", 0.97), group("5 to 50 %", 0.75)],
            by_similarity: Vec::new(),
            by_class: vec![group("a <class> & another", 0.6)],
        };
        let figure = breakdown(&groups, &report(0), "test").unwrap();
        let dots = circles(&figure);
        assert_eq!(dots.len(), 5);
        assert_eq!((dots[0].0, dots[1].0), (dots[4].0, dots[2].0));
        assert!(dots[0].0 < dots[3].0 && dots[3].0 < dots[1].0);
        let words = texts(&figure);
        let is_number = |text: &&crate::figures::tests::Text| text.words.parse::<f64>().is_ok();
        let numbers: Vec<f64> = words.iter().filter(is_number).map(|text| text.words.parse().unwrap()).collect();
        assert_eq!(numbers.iter().copied().fold(0.0, f64::max), 1.0, "one axis, and nothing beyond 1");
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
        assert!(words.iter().all(|text| text.left() >= 0.0 && text.left() + text.width <= COLUMN), "{words:?}");
    }

    #[test]
    fn groups_without_a_value_are_named_too() {
        let undefined = Group { metrics: vec![("auroc", None)], ..group("30 to 40 %", 0.0) };
        let groups = Breakdown { by_gc: vec![undefined], ..Breakdown::default() };
        let figure = breakdown(&groups, &report(0), "test").unwrap();
        assert!(texts(&figure).iter().any(|text| text.words == "undefined") && ink(&figure).2 > 0.0);
    }
}
