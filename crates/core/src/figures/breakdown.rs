//! The main metric by GC content, by the share of repeats and by class, with intervals.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::evaluate::breakdown::{Breakdown, Group};
use crate::figures::canvas::{BLUE, Canvas, Drawing, FONT, GREY, SIZE, picture};
use crate::format::{self, thousands};
use crate::metrics::{Estimate, Report};
use crate::training::history::metric_name;

/// One panel for each way of grouping: a dot with its interval for each group, and the metric of all as a line.
///
/// # Errors
/// The figure cannot be drawn.
pub fn breakdown(breakdown: &Breakdown, report: &Report, split: &str) -> Result<Vec<u8>> {
    let first = |groups: &[Group]| groups.first().and_then(|group| group.metrics.first()).map(|(name, _)| *name);
    let of_classes: Vec<Group> = if breakdown.by_class.is_empty() {
        let group = |part: &crate::metrics::ClassReport| {
            let metrics = part.metrics.first().map(|&metric| vec![metric]).unwrap_or_default();
            Group { name: part.name.clone(), range: None, n: part.n.unwrap_or(report.n), metrics }
        };
        report.parts.iter().take(8).map(group).collect()
    } else {
        breakdown.by_class.clone()
    };
    let panels: Vec<(&str, &[Group])> = [
        ("by GC content", &breakdown.by_gc[..]),
        ("by share of soft-masked bases", &breakdown.by_repeats),
        ("by class", &of_classes),
    ]
    .into_iter()
    .filter(|(_, groups)| !groups.is_empty())
    .collect();
    picture(|canvas| {
        let title = format!("Where it is right, {split} ({} fragments)", thousands(report.n));
        let style = (FONT, 32).into_font().color(&BLACK).pos(Pos::new(HPos::Center, VPos::Center));
        canvas.draw(&Text::new(title, (SIZE.0 as i32 / 2, 32), style))?;
        let (_, rest) = canvas.split_vertically(60);
        for ((title, groups), area) in panels.iter().zip(rest.split_evenly((1, panels.len().max(1)))) {
            let metric = first(groups).unwrap_or("auroc");
            panel(&area, title, metric, groups, report.get(metric))?;
        }
        Ok(())
    })
}

fn panel(area: &Canvas, title: &str, metric: &str, groups: &[Group], all: Option<Estimate>) -> Drawing {
    let estimates: Vec<Option<Estimate>> =
        groups.iter().map(|group| group.metrics.first().and_then(|(_, estimate)| *estimate)).collect();
    let ends = estimates.iter().flatten().flat_map(|estimate| [estimate.low, estimate.high]);
    let (low, high) = ends.chain(all.map(|all| all.value)).fold((1.0f64, 0.0f64), |(a, b), v| (a.min(v), b.max(v)));
    let margin = ((high - low) * 0.1).max(0.02);
    let (width, height) = area.dim_in_pixel();
    let (width, height) = (width as i32, height as i32);
    let (left, right, top, bottom) = (70, width - 15, 60, height - 150);
    let (low, high) = (low - margin, high + margin);
    let y = |value: f64| bottom - ((value - low) / (high - low) * f64::from(bottom - top)) as i32;
    let text = |size: i32, x: HPos| (FONT, size).into_font().color(&BLACK).pos(Pos::new(x, VPos::Center));

    area.draw(&Text::new(title.to_owned(), (width / 2, 20), text(22, HPos::Center)))?;
    area.draw(&Text::new(metric_name(metric), (left - 55, top - 16), text(19, HPos::Left)))?;
    area.draw(&PathElement::new([(left, top), (left, bottom), (right, bottom)], BLACK.mix(0.6)))?;
    for tick in 0..=4 {
        let value = low + (high - low) * f64::from(tick) / 4.0;
        area.draw(&PathElement::new([(left - 5, y(value)), (left, y(value))], BLACK.mix(0.6)))?;
        area.draw(&Text::new(format!("{value:.2}"), (left - 10, y(value)), text(18, HPos::Right)))?;
    }
    if let Some(all) = all {
        area.draw(&PathElement::new([(left, y(all.value)), (right, y(all.value))], GREY.stroke_width(2)))?;
        area.draw(&Text::new("all", (right, y(all.value) - 12), text(18, HPos::Right)))?;
    }
    let step = (right - left) / groups.len().max(1) as i32;
    for (i, (group, estimate)) in groups.iter().zip(estimates).enumerate() {
        let x = left + step / 2 + i as i32 * step;
        match estimate {
            Some(Estimate { value, low, high }) => {
                area.draw(&PathElement::new([(x, y(low)), (x, y(high))], BLUE.stroke_width(3)))?;
                area.draw(&Circle::new((x, y(value)), 7, BLUE.filled()))?;
            }
            None => area.draw(&Text::new("-", (x, (top + bottom) / 2), text(22, HPos::Center)))?,
        }
        let words = format!("{}, n {}", format::short_name(&group.name), thousands(group.n));
        let style = (FONT, 17).into_font().color(&BLACK).transform(FontTransform::Rotate90);
        area.draw(&Text::new(words, (x + 8, bottom + 8), style.pos(Pos::new(HPos::Left, VPos::Top))))?;
    }
    Ok(())
}
