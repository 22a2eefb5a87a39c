//! Figures of footprints: the mean profile around a motif beside that without it.

use anyhow::Result;

use crate::attribute::footprints::Footprint;
use crate::figures::canvas::{BLUE, FULL_WIDTH, Figure, GREY, ORANGE, range_of};
use crate::figures::chart::{Axis, Chart, Key};
use crate::sequence::profile::ProfileShape;

/// Bases to either side of the middle that are drawn.
const SHOWN: usize = 100;

/// One group's profile around a motif: with the bias model where there is one, without, and without the motif.
///
/// # Errors
/// The figure cannot be drawn.
pub fn footprint(
    title: &str,
    shape: &ProfileShape,
    group: usize,
    (motif, control): (&Footprint, &Footprint),
    with_bias: Option<&Footprint>,
) -> Result<Figure> {
    let range = shape.of_groups().nth(group).unwrap_or(0..0);
    let middle = shape.length / 2;
    let shown = middle.saturating_sub(SHOWN)..(middle + SHOWN + 1).min(shape.length);
    let tracks = shape.tracks[group];
    // Both strands together, as shares times a thousand.
    let curve = |footprint: &Footprint| -> Vec<(f64, f64)> {
        let profile = &footprint.profile[range.clone()];
        let share = |base: usize| (0..tracks).map(|track| profile[track * shape.length + base]).sum::<f64>();
        shown.clone().map(|base| (base as f64 - middle as f64, 1000.0 * share(base))).collect()
    };
    let own = if with_bias.is_some() { "motif, without bias" } else { "motif" };
    let drawn = [(Some(control), GREY, "control"), (with_bias, ORANGE, "motif, with bias"), (Some(motif), BLUE, own)];
    let drawn = drawn.into_iter().filter_map(|(footprint, colour, name)| Some((curve(footprint?), colour, name)));
    let curves: Vec<_> = drawn.collect();
    let values = curves.iter().flat_map(|(points, ..)| points.iter().map(|point| point.1));
    let chart = Chart {
        title: title.into(),
        width: FULL_WIDTH,
        plot_height: Some(125.0),
        x: Axis::new("bp from the middle of the motif", -(SHOWN.min(middle) as f64)..SHOWN.min(middle) as f64, 10),
        y: Axis::new("share of the counts, per mille", range_of(values.chain([0.0]), 0.06), 6),
        keys: curves.iter().map(|(_, colour, name)| Key::curve(*colour, *name)).collect(),
        numbers: 0.0,
    };
    chart.draw(|plot| curves.iter().for_each(|(points, colour, _)| plot.curve(points.iter().copied(), *colour)))
}
