//! Predicted against observed values.

use anyhow::Result;

use crate::figures::canvas::{BLUE, COLUMN, FULL_WIDTH, Figure, LINE, MARGIN, Words, figure, range_of};
use crate::figures::chart::{Axis, Chart, Key, REFERENCE};
use crate::format::{self, thousands};
use crate::metrics::Report;

/// Largest number of columns with a panel of their own.
const MOST_PANELS: usize = 4;

/// Largest number of dots in a panel; more would merge, and swell the SVG.
const MOST_DOTS: usize = 2000;

/// A square panel for each column: one dot per example, and the line of perfect predictions. `of` says what the values are.
///
/// # Errors
/// The figure cannot be drawn.
pub fn scatter(
    (targets, predictions): (&[f64], &[f64]),
    of: &str,
    report: &Report,
    names: &[String],
    split: &str,
) -> Result<Figure> {
    let (columns, shown) = (names.len(), names.len().min(MOST_PANELS));
    let mut panels: Vec<(Chart, Vec<(f64, f64)>)> = (0..shown)
        .map(|column| {
            let own = |values: &[f64]| -> Vec<f64> { values.iter().skip(column).step_by(columns).copied().collect() };
            let known = own(targets).into_iter().zip(own(predictions)).filter(|(target, _)| !target.is_nan());
            let (x, y): (Vec<f64>, Vec<f64>) = known.unzip();
            let name = format::short_name(&names[column]);
            let title = match shown {
                1 => format!("{name}, {split} ({} fragments)", thousands(x.len())),
                _ => name,
            };
            let pairs: Vec<(f64, f64)> = x.into_iter().zip(y).filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
            (panel(title, &pairs, of, report, (column, columns)), thinned(&pairs))
        })
        .collect();
    let numbers = panels.iter().map(|(chart, _)| chart.y.numbers_width()).fold(0.0, f64::max);
    panels.iter_mut().for_each(|(chart, _)| chart.numbers = numbers);
    let height = panels.iter().map(|(chart, _)| chart.height()).fold(0.0, f64::max);
    let header = if shown < columns { LINE } else { 0.0 };
    let (width, rows) = if shown == 1 { (COLUMN, 1) } else { (FULL_WIDTH, shown.div_ceil(2)) };
    figure((width, header + height * rows as f64), |canvas| {
        if shown < columns {
            let text = format!("the first {shown} of {columns} columns");
            canvas.text(&text, (MARGIN, MARGIN), Words::title());
        }
        for (i, (chart, dots)) in panels.iter().enumerate() {
            let corner = ((i % 2) as f64 * (FULL_WIDTH - COLUMN), header + (i / 2) as f64 * height);
            chart.draw_on(canvas, corner, |plot| {
                let range = &chart.x.range;
                plot.line([(range.start, range.start), (range.end, range.end)], REFERENCE);
                dots.iter().for_each(|&dot| plot.dot(dot, 0.9, BLUE.with_alpha(0.35)));
            });
        }
    })
}

fn panel(title: String, pairs: &[(f64, f64)], of: &str, report: &Report, (column, columns): (usize, usize)) -> Chart {
    let metrics = if columns == 1 { &report.metrics } else { &report.parts[column].metrics };
    let value = |name: &str| metrics.iter().find(|(found, _)| *found == name).and_then(|(_, estimate)| *estimate);
    let correlation = match (value("pearson"), value("r2")) {
        (Some(pearson), Some(r2)) => format!("Pearson {:.3}, R² {:.3}", pearson.value, r2.value),
        _ => "correlation undefined".into(),
    };
    let range = range_of(pairs.iter().flat_map(|&(x, y)| [x, y]), 0.05);
    let mut keys = vec![Key::dots(BLUE.with_alpha(0.6), correlation), Key::reference("perfect prediction")];
    let drawn = thinned(pairs).len();
    if drawn < pairs.len() {
        keys.push(Key::note(format!("{} of {} fragments drawn", thousands(drawn), thousands(pairs.len()))));
    }
    let axis = |which: &str| Axis::new(format!("{which} {of}"), range.clone(), 6);
    Chart { title, width: COLUMN, plot_height: None, x: axis("observed"), y: axis("predicted"), keys, numbers: 0.0 }
}

/// As many of the dots as are drawn, spread evenly.
fn thinned(dots: &[(f64, f64)]) -> Vec<(f64, f64)> {
    dots.iter().step_by(dots.len().div_ceil(MOST_DOTS).max(1)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::{circles, report, texts};

    #[test]
    fn many_dots_are_thinned_and_it_is_said() {
        let values: Vec<f64> = (0..10_000).map(|i| f64::from(i).sin()).collect();
        let names = ["activity <&>".to_owned()];
        let figure = scatter((&values, &values), "log counts", &report(0), &names, "test").unwrap();
        assert!(circles(&figure).len() <= MOST_DOTS + 1 && figure.svg.len() < 150_000, "{}", figure.svg.len());
        assert!(texts(&figure).iter().any(|text| text.words == "2,000 of 10,000 fragments drawn"));
        for axis in ["observed log counts", "predicted log counts"] {
            assert!(texts(&figure).iter().any(|text| text.words == axis));
        }
    }

    #[test]
    fn columns_without_values_are_drawn_too() {
        let names = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let report = report(3);
        for values in [vec![], vec![f64::NAN; 6], vec![1e300; 6], vec![2.0; 6]] {
            scatter((&values, &values), "values", &report, &names, "test").unwrap();
        }
    }
}
