//! A chart with two linear axes, whose values plotters places: title, axes with their numbers, a plot area that may be square, and a legend below it,
//! where it covers no curve. Axes run from the first number to the last and stand off the plot a little, so that a curve
//! along an edge can be seen.

use std::ops::Range;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::element::{DashedPathElement, Drawable, PointCollection};
use plotters::prelude::{Cartesian2d, Circle, DrawingArea, IntoDrawingArea, PathElement, Rectangle};

use crate::figures::backend::{Backend, UNITS, style, units};
use crate::figures::canvas::{
    AXIS, Across, Area, BLACK, CURVE, Canvas, Colour, Figure, Height, LIGHT, LINE, MARGIN, ORANGE, Point, Stroke, TEXT,
    THIN, TITLE, Words, figure, stroke,
};
use crate::figures::typeface;

/// Length of a tick, and the space between it and its number.
const TICK: f64 = 2.5;
const GAP: f64 = 2.0;
/// How far the axes stand off the plot.
const OFFSET: f64 = 3.0;
/// The sample before the words of a legend.
const SAMPLE: f64 = 12.0;

/// An axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it measures.
    pub title: String,
    /// The values at its ends.
    pub range: Range<f64>,
    /// Values with their labels.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis with round numbers, at most `most` of them.
    pub fn new(title: impl Into<String>, range: Range<f64>, most: usize) -> Self {
        let ticks = ticks(&range, most);
        Self { title: title.into(), range, ticks }
    }

    /// Width of the widest number.
    pub fn numbers_width(&self) -> f64 {
        self.ticks.iter().map(|(_, text)| typeface::width(text, TEXT)).fold(0.0, f64::max)
    }

    /// An axis from 0 to 1.
    pub fn of_shares(title: impl Into<String>) -> Self {
        Self::new(title, 0.0..1.0, 6)
    }

    /// An axis of whole numbers.
    pub fn of_counts(title: impl Into<String>, range: Range<f64>, most: usize) -> Self {
        let mut axis = Self::new(title, range, most);
        axis.ticks.retain(|(value, _)| (value - value.round()).abs() < 1e-6);
        for (value, text) in &mut axis.ticks {
            *text = if value.abs() < 1e15 { thousands(*value) } else { format!("{value:e}") };
        }
        axis
    }
}

fn thousands(value: f64) -> String {
    let sign = if value < -0.5 { "-" } else { "" };
    format!("{sign}{}", crate::format::thousands(value.abs().round() as usize))
}

/// Round numbers within a range with their texts, at most `most` or the ends of what is too narrow for any: steps are 1,
/// 2 or 5 times a power of ten.
pub fn ticks(range: &Range<f64>, most: usize) -> Vec<(f64, String)> {
    let span = range.end - range.start;
    if !(span > 0.0 && span.is_finite()) {
        return Vec::new();
    }
    let most = most.max(2) as f64;
    let power = 10f64.powf((span / most).log10().floor());
    let places = |step: f64| ((range.start / step - 1e-6).ceil(), (range.end / step + 1e-6).floor());
    let few = |step: &f64| places(*step).1 - places(*step).0 < most;
    let step = [1.0, 2.0, 5.0, 10.0].map(|of| of * power).into_iter().find(few).unwrap_or(20.0 * power);
    let (first, last) = places(step);
    let decimals = (-step.log10() - 1e-9).ceil().max(0.0) as usize;
    let written = |value: f64| {
        let largest = range.start.abs().max(range.end.abs());
        if decimals > 5 || largest >= 1e6 { scientific(value, step) } else { format!("{value:.decimals$}") }
    };
    let count = (last - first).clamp(-1.0, most) as i64;
    (0..=count).map(|i| (first + i as f64) * step).map(|value| (value, written(value))).collect()
}

/// A number in scientific notation, with the digits that tell it from its neighbours.
fn scientific(value: f64, step: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let digits = (value.abs().log10().floor() - step.log10().floor()).clamp(0.0, 15.0) as usize;
    format!("{value:.digits$e}")
}

/// An entry of a legend.
#[derive(Clone, Debug)]
pub struct Key {
    /// What the sample shows.
    pub sample: Sample,
    /// The words.
    pub label: String,
}

/// What a legend shows beside its words.
#[derive(Clone, Copy, Debug)]
pub enum Sample {
    /// A line.
    Line(Stroke),
    /// A dot.
    Dot(Colour),
    /// A filled box.
    Box(Colour),
    /// Words only.
    Nothing,
}

impl Key {
    /// A curve.
    pub fn curve(colour: Colour, label: impl Into<String>) -> Self {
        Self { sample: Sample::Line(stroke(CURVE, colour)), label: label.into() }
    }

    /// What curves are compared with.
    pub fn reference(label: impl Into<String>) -> Self {
        Self { sample: Sample::Line(REFERENCE), label: label.into() }
    }

    /// A marked value.
    pub fn marked(label: impl Into<String>) -> Self {
        Self { sample: Sample::Line(MARKED), label: label.into() }
    }

    /// Dots of a colour.
    pub fn dots(colour: Colour, label: impl Into<String>) -> Self {
        Self { sample: Sample::Dot(colour), label: label.into() }
    }

    /// Bars of a colour.
    pub fn bars(colour: Colour, label: impl Into<String>) -> Self {
        Self { sample: Sample::Box(colour), label: label.into() }
    }

    /// Words without a sample.
    pub fn note(label: impl Into<String>) -> Self {
        Self { sample: Sample::Nothing, label: label.into() }
    }
}

/// The line that curves are compared with: thin and light.
pub const REFERENCE: Stroke = Stroke { width: THIN, colour: LIGHT, is_dashed: false };
/// The line of a marked value.
pub const MARKED: Stroke = Stroke { width: AXIS, colour: BLACK, is_dashed: true };

/// A chart before it is drawn.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Its title.
    pub title: String,
    /// Width of the whole.
    pub width: f64,
    /// Height of the plot; without it the plot is square.
    pub plot_height: Option<f64>,
    /// The axis along the bottom.
    pub x: Axis,
    /// The axis along the left side.
    pub y: Axis,
    /// The legend.
    pub keys: Vec<Key>,
    /// Room for the numbers of the y axis, if they take less: charts side by side then have plots of one size.
    pub numbers: f64,
}

impl Chart {
    /// Height of the whole.
    pub fn height(&self) -> f64 {
        let legend = self.rows().len() as f64 * LINE;
        self.plot((0.0, 0.0)).bottom() + OFFSET + TICK + GAP + LINE + LINE + 1.0 + legend + MARGIN
    }

    /// The plot, when the upper left corner of the chart is at `corner`.
    pub fn plot(&self, corner: Point) -> Area {
        let left = MARGIN + LINE + self.y.numbers_width().max(self.numbers) + GAP + TICK + OFFSET;
        // Half of a number at the end stands out.
        let most = self.width - left - MARGIN - 1.0;
        let beyond = |(value, text): &(f64, String)| {
            let share = (value - self.x.range.start) / (self.x.range.end - self.x.range.start);
            typeface::width(text, TEXT) / 2.0 - (1.0 - share) * most
        };
        let beyond = self.x.ticks.last().map_or(0.0, beyond).max(self.numbers / 2.0);
        let width = self.width - left - MARGIN.max(beyond) - 1.0;
        let top = MARGIN + TITLE + 7.0;
        Area { left: corner.0 + left, top: corner.1 + top, width, height: self.plot_height.unwrap_or(width) }
    }

    /// The legend, as many entries to a row as fit.
    fn rows(&self) -> Vec<Vec<&Key>> {
        let most = self.legend_width();
        let mut rows: Vec<Vec<&Key>> = Vec::new();
        let mut used = f64::INFINITY;
        for key in &self.keys {
            let width = key_width(key);
            used += width;
            if used > most {
                rows.push(Vec::new());
                used = width;
            }
            if let Some(row) = rows.last_mut() {
                row.push(key);
            }
        }
        rows
    }

    fn legend_width(&self) -> f64 {
        self.width - 2.0 * MARGIN
    }

    /// The chart as a figure of its own.
    ///
    /// # Errors
    /// The figure cannot be encoded.
    pub fn draw(&self, contents: impl FnOnce(&mut Plot)) -> Result<Figure> {
        figure((self.width, self.height()), |canvas| self.draw_on(canvas, (0.0, 0.0), contents))
    }

    /// Draws the chart with its upper left corner at `corner`.
    pub fn draw_on(&self, canvas: &mut Canvas, corner: Point, contents: impl FnOnce(&mut Plot)) {
        let area = self.plot(corner);
        let right = corner.0 + self.width - MARGIN;
        let title = (corner.0 + MARGIN, corner.1 + MARGIN);
        canvas.text_within(&self.title, title, Words::title(), right - title.0);
        self.axes(canvas, area, corner);
        contents(&mut Plot::new(canvas, area, self.x.range.clone(), self.y.range.clone()));
        let mut top = area.bottom() + OFFSET + TICK + GAP + LINE + LINE + 1.0;
        for row in self.rows() {
            let mut left = corner.0 + MARGIN;
            for key in row {
                draw_key(canvas, key, (left, top + TEXT / 2.0), right - left);
                left += key_width(key);
            }
            top += LINE;
        }
    }

    fn axes(&self, canvas: &mut Canvas, area: Area, corner: Point) {
        let line = stroke(AXIS, BLACK);
        let (left, bottom) = (area.left - OFFSET, area.bottom() + OFFSET);
        let place = Plot::new(canvas, area, self.x.range.clone(), self.y.range.clone());
        let along_x: Vec<f64> = self.x.ticks.iter().map(|(value, _)| place.at((*value, place.y.start)).0).collect();
        let along_y: Vec<f64> = self.y.ticks.iter().map(|(value, _)| place.at((place.x.start, *value)).1).collect();
        canvas.line(&[(area.left, bottom), (area.right(), bottom)], line);
        canvas.line(&[(left, area.top), (left, area.bottom())], line);
        let below = Words::new(Across::Middle, Height::Top);
        for (x, (_, text)) in along_x.into_iter().zip(&self.x.ticks) {
            canvas.line(&[(x, bottom), (x, bottom + TICK)], line);
            canvas.text(text, (x, bottom + TICK + GAP), below);
        }
        for (y, (_, text)) in along_y.into_iter().zip(&self.y.ticks) {
            canvas.line(&[(left - TICK, y), (left, y)], line);
            canvas.text(text, (left - TICK - GAP, y), Words::new(Across::Right, Height::Middle));
        }
        let middle = (area.left + area.width / 2.0, area.top + area.height / 2.0);
        canvas.text_within(&self.x.title, (middle.0, bottom + TICK + GAP + LINE), below, self.width - 2.0 * MARGIN);
        let upwards = Words::new(Across::Middle, Height::Top).upwards();
        canvas.text_within(&self.y.title, (corner.0 + MARGIN, middle.1), upwards, area.height + 2.0 * LINE);
    }
}

fn key_width(key: &Key) -> f64 {
    let sample = if matches!(key.sample, Sample::Nothing) { 0.0 } else { SAMPLE + 4.0 };
    sample + typeface::width(&key.label, TEXT) + 12.0
}

/// Draws an entry of a legend from its left end on, at the height of its middle.
fn draw_key(canvas: &mut Canvas, key: &Key, (left, middle): Point, width: f64) {
    match key.sample {
        Sample::Line(stroke) => canvas.line(&[(left, middle), (left + SAMPLE, middle)], stroke),
        Sample::Dot(colour) => canvas.circle((left + SAMPLE / 2.0, middle), 2.0, colour),
        Sample::Box(colour) => {
            let area = Area { left, top: middle - 2.5, width: SAMPLE, height: 5.0 };
            canvas.rectangle(area, colour);
        }
        Sample::Nothing => {}
    }
    let sample = if matches!(key.sample, Sample::Nothing) { 0.0 } else { SAMPLE + 4.0 };
    let words = Words::new(Across::Left, Height::Middle);
    canvas.text_within(&key.label, (left + sample, middle), words, width - sample);
}

/// The plot of a chart, on which values are drawn.
pub struct Plot<'a> {
    area: DrawingArea<Backend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>,
    x: Range<f64>,
    y: Range<f64>,
}

/// Values further from the plot than this many of its widths are drawn there, as the places of plotters are whole numbers.
const FARTHEST: f64 = 100.0;

/// How long the dashes of a line are, and how far apart, in points.
const DASH: (f64, f64) = (3.0, 2.0);

impl<'a> Plot<'a> {
    fn new(canvas: &'a mut Canvas, area: Area, x: Range<f64>, y: Range<f64>) -> Self {
        let across = units(area.left)..units(area.right());
        let down = units(area.bottom())..units(area.top);
        let whole: DrawingArea<Backend, Shift> = Backend(canvas).into_drawing_area();
        let place = Cartesian2d::new(x.clone(), y.clone(), (across, down));
        Self { area: whole.apply_coord_spec(place), x, y }
    }

    /// The place of a pair of values, in points.
    fn at(&self, value: (f64, f64)) -> Point {
        let (x, y) = self.area.map_coordinate(&self.near(value));
        (f64::from(x) / UNITS, f64::from(y) / UNITS)
    }

    /// A pair of values as near to the plot as can be drawn.
    fn near(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let within = |value: f64, range: &Range<f64>| {
            let margin = FARTHEST * (range.end - range.start).abs();
            value.clamp(range.start.min(range.end) - margin, range.start.max(range.end) + margin)
        };
        (within(x, &self.x), within(y, &self.y))
    }

    fn draw<E>(&self, element: &E)
    where
        for<'e> &'e E: PointCollection<'e, (f64, f64)>,
        E: Drawable<Backend<'a>>,
    {
        let drawn = self.area.draw(element);
        debug_assert!(drawn.is_ok(), "the canvas has no errors, and nothing else draws on it meanwhile");
    }

    /// Draws a line through values; one with a value that is no finite number is left out.
    pub fn line(&mut self, values: impl IntoIterator<Item = (f64, f64)>, stroke: Stroke) {
        let points: Vec<(f64, f64)> = values.into_iter().collect();
        if points.len() < 2 || points.iter().any(|(x, y)| !x.is_finite() || !y.is_finite()) {
            return;
        }
        let points: Vec<(f64, f64)> = points.into_iter().map(|value| self.near(value)).collect();
        let style = style(stroke.colour, Some(stroke.width));
        if stroke.is_dashed {
            let [dash, gap] = [DASH.0, DASH.1].map(units);
            let element = DashedPathElement::new(points, dash, gap, style);
            let drawn = self.area.draw(&element);
            debug_assert!(drawn.is_ok());
        } else {
            self.draw(&PathElement::new(points, style));
        }
    }

    /// Draws a curve in a colour.
    pub fn curve(&mut self, values: impl IntoIterator<Item = (f64, f64)>, colour: Colour) {
        self.line(values, stroke(CURVE, colour));
    }

    /// Draws a dot at a pair of values.
    pub fn dot(&mut self, value: (f64, f64), radius: f64, colour: Colour) {
        if value.0.is_finite() && value.1.is_finite() {
            self.draw(&Circle::new(self.near(value), units(radius), style(colour, None)));
        }
    }

    /// Draws a highlighted dot, if there is one.
    pub fn mark(&mut self, value: Option<(f64, f64)>) {
        if let Some(value) = value {
            self.dot(value, 2.2, ORANGE);
        }
    }

    /// Fills a bar between two values of x, from the bottom to a height.
    pub fn bar(&mut self, across: Range<f64>, height: f64, colour: Colour) {
        if across.start.is_finite() && across.end.is_finite() && height.is_finite() {
            let corners = [(across.start, height), (across.end, self.y.start)].map(|corner| self.near(corner));
            self.draw(&Rectangle::new(corners, style(colour, None)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::canvas::{COLUMN, FULL_WIDTH};
    use crate::figures::tests::{ink, texts};

    fn labels(range: Range<f64>, most: usize) -> Vec<String> {
        ticks(&range, most).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn numbers_on_an_axis_are_round_and_told_apart() {
        assert_eq!(labels(0.0..1.0, 6), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(0.6912..0.6968, 6), ["0.692", "0.693", "0.694", "0.695", "0.696"]);
        assert_eq!(labels(-3.0..17.0, 5), ["0", "5", "10", "15"]);
        assert_eq!(labels(1.4..7.8, 6), ["2", "3", "4", "5", "6", "7"]);
        assert_eq!(labels(0.0..3e7, 4), ["0", "1e7", "2e7", "3e7"]);
        assert_eq!(labels(0.0..2e-7, 3), ["0", "1e-7", "2e-7"]);
        for nothing in [0.0..0.0, 1.0..0.0, 0.0..f64::INFINITY, f64::NAN..1.0] {
            assert!(labels(nothing, 6).is_empty());
        }
        let counts = Axis::of_counts("n", 0.0..2.0, 6);
        assert_eq!(counts.ticks.into_iter().map(|(_, text)| text).collect::<Vec<_>>(), ["0", "1", "2"]);
    }

    #[test]
    fn no_number_is_beyond_the_axis_whatever_the_range() {
        for i in 1..200 {
            let low = f64::from(i * 37 % 101) * 10f64.powi(i % 13 - 6) - 3.0;
            let range = low..low + f64::from(i) * 10f64.powi(i % 17 - 8);
            let found = ticks(&range, 6);
            let slack = (range.end - range.start) * 1e-5;
            assert!(found.len() <= 7, "{range:?}: {found:?}");
            assert!(found.iter().all(|(v, _)| (range.start - slack..=range.end + slack).contains(v)), "{range:?}");
            assert!(found.windows(2).all(|pair| pair[0].1 != pair[1].1), "{range:?}: {found:?}");
        }
    }

    fn chart(keys: Vec<Key>, plot_height: Option<f64>) -> Chart {
        let (x, y) = (Axis::of_shares("x"), Axis::new("y", 0.0..12_345.0, 6));
        Chart { title: "A title".into(), width: COLUMN, plot_height, x, y, keys, numbers: 0.0 }
    }

    #[test]
    fn a_plot_is_square_unless_it_has_a_height() {
        let area = chart(Vec::new(), None).plot((0.0, 0.0));
        assert!((area.width - area.height).abs() < 1e-9 && area.right() < COLUMN);
        assert_eq!(chart(Vec::new(), Some(100.0)).plot((0.0, 0.0)).height, 100.0);
        assert_eq!(
            Chart { width: FULL_WIDTH, ..chart(Vec::new(), Some(100.0)) }.draw(|_| {}).map(|f| ink(&f).0).unwrap(),
            2125
        );
    }

    #[test]
    fn the_legend_is_below_the_plot_and_within_the_figure() {
        let keys: Vec<Key> = (0..9).map(|i| Key::curve(BLACK, format!("class {}", "<long>".repeat(i * 3)))).collect();
        let chart = chart(keys, None);
        let figure = chart.draw(|_| {}).unwrap();
        let area = chart.plot((0.0, 0.0));
        let words: Vec<_> = texts(&figure).into_iter().filter(|text| text.words.starts_with("class")).collect();
        assert_eq!(words.len(), 9);
        assert!(words.iter().all(|text| text.y > area.bottom() && text.y < chart.height()));
        assert!(words.iter().all(|text| text.left() >= 0.0 && text.left() + text.width <= COLUMN), "{words:?}");
    }
}
