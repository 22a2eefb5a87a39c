//! Motif figures: the logo of each filter with its enrichment, its best match and the positions of its sites.
//! Near-identical filters share a row.

use anyhow::Result;

use crate::figures::canvas::{
    AXIS, Across, Area, BLACK, BLUE, COLUMN, Canvas, FULL_WIDTH, Figure, GREY, Height, LINE, MARGIN, TITLE, Words,
    figure, stroke,
};
use crate::figures::logo::{self, logo};
use crate::figures::typeface;
use crate::format::{self, thousands};
use crate::motif::folding::Fold;
use crate::motif::known::SIGNIFICANT;
use crate::motif::motifs::{FilterMotif, Motifs, Origin, label};
use crate::motif::sites::Bins;

/// Height of one filter's panel; two stand side by side, each as wide as a column.
const PANEL: f64 = 76.0;
const HEADER: f64 = MARGIN + TITLE + 8.0;
/// Number of logos side by side.
const COLUMNS: usize = 2;
/// Logos in one figure: as many as fit a printed page.
pub const PER_FIGURE: usize = 18;
const LOGO_HEIGHT: f64 = 30.0;
const LOGO_WIDTH: f64 = 140.0;

/// The logo of one filter alone.
///
/// # Errors
/// The figure cannot be drawn.
pub fn of_filter(motifs: &Motifs, filter: &FilterMotif) -> Result<Figure> {
    figure((COLUMN, PANEL), |canvas| panel(canvas, motifs, filter, &filter.motif.id, (0.0, MARGIN)))
}

/// Figures of all filters that fire, the most informative first; at least one figure.
///
/// # Errors
/// A figure cannot be drawn.
pub fn draw(motifs: &Motifs, of: &str) -> Result<Vec<Figure>> {
    let folds = motifs.folded();
    let parts = folds.chunks(PER_FIGURE);
    let count = parts.len().max(1);
    let title = |part: usize| {
        let (fire, all) = (motifs.firing().count(), motifs.filters.len());
        let fire = match motifs.origin {
            Origin::Importance => all.to_string(),
            Origin::Filters if fire == all => format!("{all} filters"),
            Origin::Filters => format!("{fire} of {all} filters fire"),
        };
        let part = if count == 1 { String::new() } else { format!(", part {part} of {count}") };
        let what = match motifs.origin {
            Origin::Filters => format!("First-layer motifs: {fire}"),
            Origin::Importance => format!("Motifs that predictions rest on: {fire}"),
        };
        format!("{what}, on {} {of}{part}", thousands(motifs.sequences as usize))
    };
    if folds.is_empty() {
        return Ok(vec![draw_part(motifs, &[], &title(1))?]);
    }
    parts.enumerate().map(|(number, folds)| draw_part(motifs, folds, &title(number + 1))).collect()
}

fn draw_part(motifs: &Motifs, folds: &[Fold], title: &str) -> Result<Figure> {
    let rows = folds.len().div_ceil(COLUMNS).max(1);
    figure((FULL_WIDTH, HEADER + PANEL * rows as f64), |canvas| {
        canvas.text_within(title, (MARGIN, MARGIN), Words::title(), FULL_WIDTH - 2.0 * MARGIN);
        for (i, fold) in folds.iter().enumerate() {
            let left = (i % COLUMNS) as f64 * (FULL_WIDTH - COLUMN);
            panel(canvas, motifs, fold.shown, &fold.title(), (left, HEADER + (i / COLUMNS) as f64 * PANEL));
        }
    })
}

/// Draws the title and the description of a filter, its logo below, and beside it the positions of its sites.
fn panel(canvas: &mut Canvas, motifs: &Motifs, filter: &FilterMotif, title: &str, (left, top): (f64, f64)) {
    let FilterMotif { motif, sites, .. } = filter;
    let room = COLUMN - 2.0 * MARGIN;
    canvas.text_within(title, (left + MARGIN, top), Words::title(), room / 3.0);
    let beside = MARGIN + (typeface::width(title, TITLE) + 6.0).clamp(26.0, room / 3.0 + 6.0);
    let words = Words::new(Across::Left, Height::Top);
    let bits: f64 = motif.information().iter().sum();
    let counts = format!(
        "{} in {}, {bits:.1} bits",
        format::counted(sites.n, "site"),
        format::counted(sites.sequences.len(), "sequence")
    );
    let mut lines = vec![(counts, BLACK)];
    lines.extend(motifs.enriched_in(filter).map(|found| {
        let text = format!(
            "in {} % of {}, {} % of {}; q {}",
            format::percent(found.share),
            format::short_name(found.class),
            format::percent(found.share_of_rest),
            format::short_name(found.rest),
            format::p_value(found.log_q)
        );
        (text, BLACK)
    }));
    lines.extend(motifs.best_match(filter).map(|(known, found)| {
        let id = if known.name.is_empty() { String::new() } else { format!(" ({})", format::short_name(&known.id)) };
        let reverse = if found.alignment.reverse { ", reversed" } else { "" };
        let text =
            format!("like {}{id}{reverse}; q {}", format::short_name(label(known)), format::p_value(found.log_q));
        // A match that is not significant is written in grey.
        (text, if found.log_q < SIGNIFICANT.ln() { BLUE } else { GREY })
    }));
    for (i, (text, colour)) in lines.iter().enumerate() {
        let at = (left + beside, top + 0.5 + i as f64 * LINE);
        canvas.text_within(text, at, words.coloured(*colour), COLUMN - MARGIN - beside);
    }
    let top = top + 3.0 * LINE + 1.0;
    let place = Area { left: left + MARGIN + logo::LEFT, top, width: LOGO_WIDTH, height: LOGO_HEIGHT };
    logo(canvas, motif, place);
    let beside = place.right() + 12.0;
    let width = left + COLUMN - MARGIN - beside;
    places(canvas, motifs, filter, Area { left: beside, top: top + 8.0, width, height: LOGO_HEIGHT - 8.0 });
}

/// Draws the number of sites in each bin and, as a line, the number expected from a uniform distribution.
fn places(canvas: &mut Canvas, motifs: &Motifs, filter: &FilterMotif, area: Area) {
    let places = &filter.sites.places;
    let most = places.iter().copied().max().unwrap_or(0).max(1) as f64;
    let width = area.width / places.len().max(1) as f64;
    for (bin, &sites) in places.iter().enumerate() {
        let height = sites as f64 / most * area.height;
        let left = area.left + bin as f64 * width;
        canvas.rectangle(Area { left, top: area.bottom() - height, width, height }, BLUE.with_alpha(0.75));
    }
    let even = area.bottom() - filter.sites.n as f64 / places.len().max(1) as f64 / most * area.height;
    canvas.line(&[(area.left, even), (area.right(), even)], stroke(AXIS, GREY));
    canvas.line(&[(area.left, area.bottom() + 0.5), (area.right(), area.bottom() + 0.5)], stroke(AXIS, BLACK));
    let below = area.bottom() + 3.0;
    let [start, end] = match motifs.bins {
        Bins::Bases { length, .. } => ["0".to_owned(), format!("{length} bp")],
        Bins::Shares(_) => ["start".to_owned(), "end".to_owned()],
    };
    canvas.text(&start, (area.left, below), Words::new(Across::Left, Height::Top));
    canvas.text(&end, (area.right(), below), Words::new(Across::Right, Height::Top));
    let above = (area.left + area.width / 2.0, area.top - 3.0);
    canvas.text("sites", above, Words::new(Across::Middle, Height::Base));
}
