//! Motif figures: the logo of each filter with its enrichment, its best match and the positions of its sites.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::figures::canvas::{BLUE, Canvas, Drawing, FONT, GREY, picture_of};
use crate::figures::logo::{Area, logo};
use crate::format::{self, thousands};
use crate::motif::motifs::{FilterMotif, Motifs, Origin, label};
use crate::motif::sites::Bins;

/// Size of one filter's panel, in pixels.
const PANEL: (u32, u32) = (760, 215);
const TITLE: u32 = 64;
/// Number of logos side by side.
const COLUMNS: usize = 2;
/// Logos in one figure.
pub const PER_FIGURE: usize = 64;

/// The logo of one filter alone.
///
/// # Errors
/// The figure cannot be drawn.
pub fn of_filter(motifs: &Motifs, filter: &FilterMotif) -> Result<Vec<u8>> {
    const SCALE: f64 = 1.25;
    let size = [PANEL.0, PANEL.1].map(|side| (f64::from(side) * SCALE) as u32);
    picture_of((size[0], size[1]), |canvas| panel(canvas, motifs, filter, (0.0, 0.0), SCALE))
}

/// Figures of all filters that fire, the most informative first; at least one figure.
///
/// # Errors
/// A figure cannot be drawn.
pub fn draw(motifs: &Motifs, of: &str) -> Result<Vec<Vec<u8>>> {
    let ranked = motifs.ranked();
    let parts = ranked.chunks(PER_FIGURE);
    let count = parts.len().max(1);
    let title = |part: usize| {
        let (fire, all) = (ranked.len(), motifs.filters.len());
        let fire = match motifs.origin {
            Origin::Importance => all.to_string(),
            Origin::Filters if fire == all => format!("{all} filters"),
            Origin::Filters => format!("{fire} of {all} filters fire"),
        };
        let part = if count == 1 { String::new() } else { format!(", part {part} of {count}") };
        let what = match motifs.origin {
            Origin::Filters => format!("First-layer motifs: {fire}"),
            Origin::Importance => format!("Motifs that the answers rest on: {fire}"),
        };
        format!("{what}, on {} {of}{part}", thousands(motifs.sequences as usize))
    };
    if ranked.is_empty() {
        return Ok(vec![draw_part(motifs, &[], &title(1))?]);
    }
    parts.enumerate().map(|(number, filters)| draw_part(motifs, filters, &title(number + 1))).collect()
}

fn draw_part(motifs: &Motifs, filters: &[&FilterMotif], title: &str) -> Result<Vec<u8>> {
    let rows = filters.len().div_ceil(COLUMNS).max(1) as u32;
    picture_of((PANEL.0 * COLUMNS as u32, TITLE + PANEL.1 * rows + 10), |canvas| {
        let style = (FONT, 28).into_font().color(&BLACK);
        canvas.draw(&Text::new(title.to_owned(), (24, 20), style))?;
        for (i, filter) in filters.iter().enumerate() {
            let (column, row) = ((i % COLUMNS) as u32, (i / COLUMNS) as u32);
            let corner = (f64::from(column * PANEL.0), f64::from(TITLE + row * PANEL.1));
            panel(canvas, motifs, filter, corner, 1.0)?;
        }
        Ok(())
    })
}

/// Draws the description of a filter, its logo below, and beside it the positions of its sites.
fn panel(canvas: &Canvas, motifs: &Motifs, filter: &FilterMotif, corner: (f64, f64), scale: f64) -> Drawing {
    let at = |x: f64, y: f64| ((corner.0 + x * scale).round() as i32, (corner.1 + y * scale).round() as i32);
    let words = |size: f64, colour: &RGBColor| (FONT, size * scale).into_font().color(colour);
    let FilterMotif { motif, sites, .. } = filter;
    canvas.draw(&Text::new(motif.id.clone(), at(24.0, 6.0), words(24.0, &BLACK)))?;
    // Beside the name, which takes about 13 pixels a letter.
    let beside = (36.0 + 13.0 * motif.id.len() as f64).max(100.0);
    let bits: f64 = motif.information().iter().sum();
    let counts = format!(
        "{} in {}, {bits:.1} bits",
        format::counted(sites.n, "site"),
        format::counted(sites.sequences, "sequence")
    );
    canvas.draw(&Text::new(counts, at(beside, 8.0), words(18.0, &BLACK)))?;
    let mut line = 8.0;
    if let Some(found) = motifs.enriched_in(filter) {
        line += 22.0;
        let text = format!(
            "in {} % of {}, {} % of {}; q {}",
            format::percent(found.share),
            format::short_name(found.class),
            format::percent(found.share_of_rest),
            format::short_name(found.rest),
            format::p_value(found.log_q)
        );
        canvas.draw(&Text::new(text, at(beside, line), words(18.0, &BLACK)))?;
    }
    if let Some((known, found)) = motifs.best_match(filter) {
        line += 22.0;
        let id = if known.name.is_empty() { String::new() } else { format!(" ({})", format::short_name(&known.id)) };
        let reverse = if found.reverse { ", reversed" } else { "" };
        let text =
            format!("like {}{id}{reverse}; q {}", format::short_name(label(known)), format::p_value(found.log_q));
        // A match that is not significant is written in grey.
        let colour = if found.log_q < 0.05f64.ln() { BLUE } else { GREY };
        canvas.draw(&Text::new(text, at(beside, line), words(18.0, &colour)))?;
    }
    let scaled = |left: f64, top: f64, width: f64, height: f64| Area {
        left: corner.0 + left * scale,
        top: corner.1 + top * scale,
        width: width * scale,
        height: height * scale,
    };
    logo(canvas, motif, scaled(66.0, 86.0, 440.0, 90.0), scale)?;
    places(canvas, motifs, filter, scaled(550.0, 106.0, 170.0, 70.0), scale)
}

/// Draws the number of sites in each bin and, as a line, the number expected from a uniform distribution.
fn places(canvas: &Canvas, motifs: &Motifs, filter: &FilterMotif, area: Area, scale: f64) -> Drawing {
    let places = &filter.sites.places;
    let most = places.iter().copied().max().unwrap_or(0).max(1) as f64;
    let width = area.width / places.len() as f64;
    let at = |x: f64, y: f64| (x.round() as i32, y.round() as i32);
    for (bin, &sites) in places.iter().enumerate() {
        let left = area.left + bin as f64 * width;
        let top = area.bottom() - sites as f64 / most * area.height;
        canvas.draw(&Rectangle::new([at(left, top), at(left + width, area.bottom())], BLUE.mix(0.75).filled()))?;
    }
    let line = |from, to| PathElement::new([from, to], GREY.stroke_width(1));
    let even = area.bottom() - filter.sites.n as f64 / places.len() as f64 / most * area.height;
    canvas.draw(&line(at(area.left, even), at(area.left + area.width, even)))?;
    canvas.draw(&line(at(area.left, area.bottom() + 1.0), at(area.left + area.width, area.bottom() + 1.0)))?;
    let text = |across, down| (FONT, 15.0 * scale).into_font().color(&BLACK).pos(Pos::new(across, down));
    let below = area.bottom() + 5.0 * scale;
    let ends = match motifs.bins {
        Bins::Bases { length, .. } => ["0".to_owned(), format!("{length} bp")],
        Bins::Shares(_) => ["start".to_owned(), "end".to_owned()],
    };
    let [start, end] = ends;
    canvas.draw(&Text::new(start, at(area.left, below), text(HPos::Left, VPos::Top)))?;
    canvas.draw(&Text::new(end, at(area.left + area.width, below), text(HPos::Right, VPos::Top)))?;
    let above = at(area.left + area.width / 2.0, area.top - 6.0 * scale);
    canvas.draw(&Text::new("where sites lie", above, text(HPos::Center, VPos::Bottom)))?;
    Ok(())
}
