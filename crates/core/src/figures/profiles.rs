//! Figures of predicted profiles: some test peaks, observed and predicted, and how far predictions are from what was observed.

use anyhow::Result;

use crate::dataset::examples::Examples;
use crate::evaluate::profiles::OfProfiles;
use crate::figures::canvas::{
    BLUE, COLUMN, Colour, FULL_WIDTH, Figure, GREY, ORANGE, THIN, colour, figure, range_of, stroke,
};
use crate::figures::chart::{Axis, Chart, Key};
use crate::format::{self, thousands};
use crate::metrics::profile::log_softmax;

/// Peaks that are drawn, in two columns.
const PANELS: usize = 6;
/// Bases that a point of a curve is the sum of.
const BIN: usize = 5;
/// Bins of the histogram of distances.
const BINS: usize = 40;
/// The largest Jensen-Shannon distance, in nats.
const LARGEST: f64 = 0.832_554_611_157_697_8;

/// Observed counts of some test peaks beside the counts that are expected: peaks spread evenly from the best to the worst prediction.
///
/// # Errors
/// The figure cannot be drawn.
pub fn profiles(found: &OfProfiles, examples: &Examples, names: &[String]) -> Result<Option<Figure>> {
    let Some(profiles) = &examples.profiles else { return Ok(None) };
    let shape = &profiles.shape;
    let mut order: Vec<(f64, usize)> = found.distances.clone();
    if order.is_empty() {
        return Ok(None);
    }
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let shown = order.len().min(PANELS);
    let chosen: Vec<(f64, usize)> = (0..shown).map(|i| order[(2 * i + 1) * order.len() / (2 * shown)]).collect();
    let binned = |values: Vec<f64>| -> Vec<(f64, f64)> {
        let middle = shape.length as f64 / 2.0;
        let sum = |(i, part): (usize, &[f64])| ((i * BIN) as f64 + BIN as f64 / 2.0 - middle, part.iter().sum::<f64>());
        values.chunks_exact(BIN).enumerate().map(sum).collect()
    };
    let panels = chosen.into_iter().map(|(distance, i)| {
        let logits = &found.logits[i * shape.outputs()..(i + 1) * shape.outputs()];
        let range = shape.of_groups().next().unwrap_or(0..0);
        let counts: Vec<f64> = profiles.counts_of(i)[range.clone()].iter().map(|&count| f64::from(count)).collect();
        let numbers: Vec<f64> = logits[range].iter().map(|&logit| f64::from(logit)).collect();
        let total: f64 = counts.iter().sum();
        let expected: Vec<f64> = log_softmax(&numbers).into_iter().map(|log| log.exp() * total).collect();
        // Of both strands together.
        let both = |values: &[f64]| -> Vec<f64> {
            (0..shape.length).map(|base| values.iter().skip(base).step_by(shape.length).sum()).collect()
        };
        let (observed, expected) = (binned(both(&counts)), binned(both(&expected)));
        let most = observed.iter().chain(&expected).map(|point| point.1);
        let half = shape.length as f64 / 2.0;
        let chart = Chart {
            title: format!("{}, distance {distance:.2}", format::short_name(&examples.origins[i].name(""))),
            width: COLUMN,
            plot_height: Some(70.0),
            x: Axis::new("bp from the middle", -half..half, 6),
            y: Axis::new(format!("counts in {BIN} bp"), range_of(most.chain([0.0]), 0.06), 4),
            keys: vec![Key::curve(GREY, "observed"), Key::curve(BLUE, "predicted profile, as many counts")],
            numbers: 0.0,
        };
        (chart, observed, expected)
    });
    let mut panels: Vec<_> = panels.collect();
    let numbers = panels.iter().map(|(chart, ..)| chart.y.numbers_width()).fold(0.0, f64::max);
    panels.iter_mut().for_each(|(chart, ..)| chart.numbers = numbers);
    let height = panels.iter().map(|(chart, ..)| chart.height()).fold(0.0, f64::max);
    let title = names.first().filter(|_| names.len() > 1).map_or(0.0, |_| 12.0);
    figure((FULL_WIDTH, title + height * panels.len().div_ceil(2) as f64), |canvas| {
        if title > 0.0 {
            canvas.text(&format!("tracks of {}", names[0]), (5.0, 5.0), crate::figures::canvas::Words::title());
        }
        for (i, (chart, observed, expected)) in panels.iter().enumerate() {
            let corner = ((i % 2) as f64 * (FULL_WIDTH - COLUMN), title + (i / 2) as f64 * height);
            chart.draw_on(canvas, corner, |plot| {
                plot.line(observed.iter().copied(), stroke(THIN * 1.8, GREY));
                plot.curve(expected.iter().copied(), BLUE);
            });
        }
    })
    .map(Some)
}

/// How many test peaks have which Jensen-Shannon distance, beside those of the baselines.
///
/// # Errors
/// The figure cannot be drawn.
pub fn distances(found: &OfProfiles) -> Result<Figure> {
    let histogram = |distances: &[(f64, usize)]| {
        let mut counts = [0usize; BINS];
        for (distance, _) in distances {
            counts[((distance / LARGEST * BINS as f64) as usize).min(BINS - 1)] += 1;
        }
        counts
    };
    let mut all: Vec<(String, Colour, [usize; BINS])> = vec![("network".into(), BLUE, histogram(&found.distances))];
    for (i, (name, distances)) in found.distances_of_baselines.iter().enumerate() {
        let colour = [GREY, ORANGE].get(i).copied().unwrap_or(colour(i + 2));
        all.push((name.replace('_', " "), colour, histogram(distances)));
    }
    let most = all.iter().flat_map(|(.., counts)| counts).max().copied().unwrap_or(1).max(1) as f64 * 1.05;
    let chart = Chart {
        title: format!("Distance of profiles, test ({} peaks)", thousands(found.distances.len())),
        width: COLUMN,
        plot_height: Some(120.0),
        x: Axis::new("Jensen-Shannon distance", 0.0..LARGEST, 6),
        y: Axis::of_counts("peaks", 0.0..most, 6),
        keys: all.iter().map(|(name, colour, _)| Key::curve(*colour, name.as_str())).collect(),
        numbers: 0.0,
    };
    chart.draw(|plot| {
        let width = LARGEST / BINS as f64;
        for (_, colour, counts) in all.iter().rev() {
            let steps = counts.iter().enumerate().flat_map(|(i, &count)| {
                let left = i as f64 * width;
                [(left, count as f64), (left + width, count as f64)]
            });
            plot.line(steps.collect::<Vec<_>>(), stroke(THIN * 2.0, *colour));
        }
    })
}
