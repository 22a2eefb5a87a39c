//! Predicted against true values.

use std::ops::Range;

use anyhow::Result;
use plotters::prelude::*;

use crate::figures::canvas::{BLUE, FONT, GREY, axes, legend, line, picture, plane};
use crate::format::{self, thousands};
use crate::metrics::Report;

/// Largest number of columns with a panel of their own.
const MOST_PANELS: usize = 4;

/// Largest number of dots in a panel; more would merge.
const MOST_DOTS: usize = 4000;

/// A panel for each column: one dot per example, and the line of perfect predictions.
///
/// # Errors
/// The figure cannot be drawn.
pub fn scatter(
    targets: &[f64],
    predictions: &[f64],
    report: &Report,
    names: &[String],
    split: &str,
) -> Result<Vec<u8>> {
    let (columns, shown) = (names.len(), names.len().min(MOST_PANELS));
    picture(|canvas| {
        let panels = if shown == 1 { vec![canvas.clone()] } else { canvas.split_evenly((shown.div_ceil(2), 2)) };
        for (column, panel) in panels.iter().enumerate().take(shown) {
            let of = |values: &[f64]| -> Vec<f64> { values.iter().skip(column).step_by(columns).copied().collect() };
            let known = of(targets).into_iter().zip(of(predictions)).filter(|(target, _)| !target.is_nan());
            let (x, y): (Vec<f64>, Vec<f64>) = known.unzip();
            let range = range_of(x.iter().chain(&y).copied());
            let title = if shown == 1 {
                format!("{}, {split} ({} fragments)", format::short_name(&names[column]), thousands(x.len()))
            } else {
                format::short_name(&names[column])
            };
            let mut chart = plane(panel, &title, range.clone(), range.clone())?;
            axes(&mut chart, "true value", "predicted value")?;
            let metrics = if columns == 1 { &report.metrics } else { &report.parts[column].metrics };
            let value =
                |name: &str| metrics.iter().find(|(found, _)| *found == name).and_then(|(_, estimate)| *estimate);
            let correlation = match (value("pearson"), value("r2")) {
                (Some(pearson), Some(r2)) => format!("Pearson {:.3}, R2 {:.3}", pearson.value, r2.value),
                _ => "correlation undefined".into(),
            };
            line(&mut chart, [(range.start, range.start), (range.end, range.end)].into_iter(), GREY, "right")?;
            let step = x.len().div_ceil(MOST_DOTS).max(1);
            let dots = x.iter().zip(&y).step_by(step).map(|(&x, &y)| Circle::new((x, y), 3, BLUE.mix(0.35).filled()));
            chart
                .draw_series(dots)?
                .label(correlation)
                .legend(|(x, y)| Circle::new((x + 12, y), 5, BLUE.mix(0.6).filled()));
            legend(&mut chart, SeriesLabelPosition::UpperLeft)?;
        }
        if shown < columns {
            let text = format!("the first {shown} of {columns} columns");
            canvas.draw(&Text::new(text, (20, 8), (FONT, 18)))?;
        }
        Ok(())
    })
}

/// A range that holds all values with a margin.
fn range_of(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return 0.0..1.0;
    }
    let margin = ((high - low) * 0.05).max(high.abs().max(1.0) * 1e-6);
    low - margin..high + margin
}
