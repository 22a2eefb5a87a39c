//! Attributions of a sequence: letters as high as the importance of their base, upwards where it raises the explained
//! output and downwards where it lowers it; for in-silico mutagenesis a heat map of all substitutions below.

use std::ops::Range;

use crate::attribute::importance::{Explanation, Track, strongest};
use crate::attribute::sequences::Sequence;
use crate::config::AttributionMethod;
use crate::figures::canvas::{
    AXIS, Across, Area, BLACK, BLUE, COLUMN, Canvas, Colour, FULL_WIDTH, Figure, GREY, Height, LINE, MARGIN, ORANGE,
    TEXT, THIN, TITLE, Words, figure, stroke,
};
use crate::figures::typeface;
use crate::format;
use anyhow::Result;

/// Bases in a row; longer sequences take several rows.
const ROW: usize = 100;
/// Largest number of bases in a figure, which shows the most important stretch.
const MOST_BASES: usize = 1000;

/// Width of a letter: as fits a page in full rows, and the most that short sequences have.
const LETTER: f64 = (FULL_WIDTH - LEFT - RIGHT) / ROW as f64;
const WIDEST_LETTER: f64 = 9.0;
const LETTERS_HEIGHT: f64 = 38.0;
const CELL: f64 = 7.0;
const LEFT: f64 = 36.0;
const RIGHT: f64 = 8.0;
const HEADER: f64 = MARGIN + TITLE + LINE + 7.0;
/// The name of a track, and the space under it; the positions under a row.
const TRACK_TITLE: f64 = 10.0;
const TRACK_GAP: f64 = 5.0;
const POSITIONS: f64 = 15.0;
const LEGEND: f64 = 14.0;

/// The figure of one sequence; `description` names the target.
///
/// # Errors
/// The figure cannot be drawn.
pub fn of_sequence(sequence: &Sequence, explanation: &Explanation, description: &str) -> Result<Figure> {
    let own = &sequence.own;
    let shown = match explanation.tracks.first() {
        Some(track) => strongest(&track.importance, own.clone(), MOST_BASES),
        None => own.clone(),
    };
    let rows = shown.len().div_ceil(ROW).max(1);
    let in_a_row = shown.len().div_ceil(rows).max(1);
    let letter = ((FULL_WIDTH - LEFT - RIGHT) / in_a_row as f64).clamp(LETTER, WIDEST_LETTER);
    let ism = explanation.tracks.iter().find(|track| track.method == AttributionMethod::Ism);
    let row_height = explanation.tracks.iter().map(height).sum::<f64>() + POSITIONS;
    // Leaves room for the title above short sequences.
    let width = (LEFT + in_a_row as f64 * letter + RIGHT).max(COLUMN);
    let legend = if ism.is_some() { LEGEND } else { 0.0 };
    let size = (width, HEADER + rows as f64 * row_height + legend + 3.0);
    figure(size, |canvas| {
        title(canvas, sequence, &shown, description, explanation.score, width);
        for row in 0..rows {
            let start = shown.start + row * in_a_row;
            let positions = start..(start + in_a_row).min(shown.end);
            let mut top = HEADER + row as f64 * row_height;
            for track in &explanation.tracks {
                // All rows share one scale.
                let range = range(&track.importance[shown.clone()]);
                let area = Area {
                    left: LEFT,
                    top: top + TRACK_TITLE,
                    width: positions.len() as f64 * letter,
                    height: LETTERS_HEIGHT,
                };
                if row == 0 {
                    canvas.text(track.method.title(), (LEFT, top), Words::new(Across::Left, Height::Top));
                }
                letters(canvas, sequence, track, positions.clone(), area, range);
                if track.method == AttributionMethod::Ism {
                    let area = Area { top: area.bottom() + 5.0, height: 4.0 * CELL, ..area };
                    map(canvas, sequence, track, positions.clone(), area, strongest_change(track, &shown));
                }
                top += height(track);
            }
            numbers(canvas, sequence, positions, top, letter);
        }
        if let Some(track) = ism {
            key(canvas, size.1 - LEGEND, strongest_change(track, &shown), width);
        }
    })
}

fn height(track: &Track) -> f64 {
    let map = if track.method == AttributionMethod::Ism { 5.0 + 4.0 * CELL } else { 0.0 };
    TRACK_TITLE + LETTERS_HEIGHT + map + TRACK_GAP
}

/// Lowest and highest point of the letters.
fn range(importance: &[f32]) -> (f64, f64) {
    let of = |part: &f32| f64::from(*part);
    let low = importance.iter().map(of).fold(0.0, f64::min);
    let high = importance.iter().map(of).fold(0.0, f64::max);
    if high - low > 0.0 { (low, high) } else { (0.0, 1.0) }
}

fn strongest_change(track: &Track, shown: &Range<usize>) -> f64 {
    let length = track.importance.len();
    let of_row = |row: &[f32]| row[shown.clone()].iter().map(|change| f64::from(change.abs())).fold(0.0, f64::max);
    let strongest = track.numbers.chunks(length).map(of_row).fold(0.0, f64::max);
    if strongest > 0.0 { strongest } else { 1.0 }
}

/// Draws the name and the description of the target.
fn title(canvas: &mut Canvas, sequence: &Sequence, shown: &Range<usize>, description: &str, score: f64, width: f64) {
    let part = if shown.len() < sequence.own.len() {
        format!(", of {} bp the {} that count most", sequence.own.len(), shown.len())
    } else {
        String::new()
    };
    let room = width - LEFT - MARGIN;
    canvas.text_within(&sequence.name, (LEFT, MARGIN), Words::title(), room);
    let text = format!("{description} is {}{part}{}", format::three_digits(score), place(sequence));
    canvas.text_within(&text, (LEFT, MARGIN + TITLE + 1.0), Words::new(Across::Left, Height::Top), room);
}

/// Coordinates and strand, where they are known and are not the name.
fn place(sequence: &Sequence) -> String {
    match sequence.own_place() {
        Some(place) if !sequence.name.contains(&*place.chromosome) => {
            let strand = if place.reverse { '-' } else { '+' };
            format!(", at {}:{}-{} ({strand})", place.chromosome, place.range.start, place.range.end)
        }
        _ => String::new(),
    }
}

fn letters(
    canvas: &mut Canvas,
    sequence: &Sequence,
    track: &Track,
    positions: Range<usize>,
    area: Area,
    (low, high): (f64, f64),
) {
    let up = |value: f64| area.top + (high - value) / (high - low) * area.height;
    let zero = up(0.0);
    let width = area.width / positions.len().max(1) as f64;
    for (i, at) in positions.enumerate() {
        let (code, importance) = (sequence.codes[at], f64::from(track.importance[at]));
        if code < 4 && importance != 0.0 {
            let end = up(importance);
            let left = area.left + (i as f64 + 0.04) * width;
            let place = Area { left, top: zero.min(end), width: width * 0.92, height: (zero - end).abs() };
            canvas.base(usize::from(code), place);
        }
    }
    let line = stroke(AXIS, BLACK);
    let axis = area.left - 2.0;
    canvas.line(&[(axis, area.top), (axis, area.bottom())], line);
    canvas.line(&[(axis, zero), (area.right(), zero)], stroke(THIN, GREY));
    for value in [low, 0.0, high] {
        // The ends of the axis, unless they overlap the zero.
        if value == 0.0 || (up(value) - zero).abs() > TEXT {
            canvas.line(&[(axis - 2.0, up(value)), (axis, up(value))], line);
            let words = Words::new(Across::Right, Height::Middle);
            canvas.text(&format::three_digits(value), (axis - 3.5, up(value)), words);
        }
    }
}

/// Draws blue where a substitution lowers the target, orange where it raises it, and a dot at the base of the sequence.
fn map(canvas: &mut Canvas, sequence: &Sequence, track: &Track, positions: Range<usize>, area: Area, strongest: f64) {
    let length = track.importance.len();
    let width = area.width / positions.len().max(1) as f64;
    for (base, name) in ["A", "C", "G", "T"].into_iter().enumerate() {
        let top = area.top + base as f64 * CELL;
        canvas.text(name, (area.left - 4.0, top + CELL / 2.0), Words::new(Across::Right, Height::Middle));
        for (i, at) in positions.clone().enumerate() {
            let left = area.left + i as f64 * width;
            if usize::from(sequence.codes[at]) == base {
                canvas.circle((left + width / 2.0, top + CELL / 2.0), 0.6, GREY);
            } else if let Some(colour) = shade(f64::from(track.numbers[base * length + at]) / strongest) {
                canvas.rectangle(Area { left, top, width: width - 0.25, height: CELL - 0.25 }, colour);
            }
        }
    }
    canvas.frame(Area { left: area.left - 0.5, width: area.width + 0.75, ..area }, stroke(THIN, GREY));
}

/// The colour of a share of the strongest change, in twentieths; `None` for none.
fn shade(share: f64) -> Option<Colour> {
    let colour = if share < 0.0 { BLUE } else { ORANGE };
    let strength = (share.abs().min(1.0) * 20.0).round() / 20.0;
    (strength > 0.0).then(|| colour.with_alpha(strength))
}

/// Draws the legend of the heat map.
fn key(canvas: &mut Canvas, top: f64, strongest: f64, width: f64) {
    const STEPS: i32 = 40;
    const STEP: f64 = 1.2;
    let middle = top + 3.5;
    let least = format::three_digits(-strongest);
    let begin = LEFT + typeface::width(&least, TEXT) + 3.0;
    canvas.text(&least, (begin - 3.0, middle), Words::new(Across::Right, Height::Middle));
    for step in 0..=STEPS {
        let left = begin + f64::from(step) * STEP;
        if let Some(colour) = shade(f64::from(2 * step - STEPS) / f64::from(STEPS)) {
            canvas.rectangle(Area { left, top, width: STEP, height: 7.0 }, colour);
        }
    }
    let end = begin + f64::from(STEPS + 1) * STEP + 3.0;
    let text = format!("+{}   change by a substitution; dots: the sequence", format::three_digits(strongest));
    canvas.text_within(&text, (end, middle), Words::new(Across::Left, Height::Middle), width - end - MARGIN);
}

/// Draws positions, counted from 0: those of the chromosome where they are known, else those of the record; as many as there
/// is room for.
fn numbers(canvas: &mut Canvas, sequence: &Sequence, positions: Range<usize>, top: f64, letter: f64) {
    let position = |at: usize| sequence.coordinate(at).unwrap_or_else(|| sequence.position(at));
    let widest = [positions.start, positions.end.saturating_sub(1)].map(|at| format::thousands(position(at)));
    let room = widest.iter().map(|text| typeface::width(text, TEXT)).fold(0.0, f64::max) + 4.0;
    let every = [10, 20, 50].into_iter().find(|&every| every as f64 * letter >= room).unwrap_or(100);
    for (i, at) in positions.enumerate() {
        if position(at).is_multiple_of(every) {
            let x = LEFT + (i as f64 + 0.5) * letter;
            canvas.line(&[(x, top - 3.0), (x, top - 0.5)], stroke(AXIS, BLACK));
            canvas.text(&format::thousands(position(at)), (x, top + 1.0), Words::new(Across::Middle, Height::Top));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::ink;

    fn drawn(length: usize, value: f32) -> Figure {
        let codes: Vec<u8> = (0..length).map(|i| (i % 5) as u8).collect();
        let sequence = Sequence { name: "x".repeat(200), index: 0, codes, own: 0..length, first: 0, place: None };
        let numbers: Vec<f32> = (0..4 * length).map(|i| value * (i as f32).sin()).collect();
        let track = |method| Track { method, numbers: numbers.clone(), importance: numbers[..length].to_vec() };
        let tracks = [AttributionMethod::Ism, AttributionMethod::Saliency, AttributionMethod::Ig].map(track).to_vec();
        let explanation = Explanation { score: -1.25, tracks, integrated: None };
        of_sequence(&sequence, &explanation, "log-odds of 'x'").unwrap()
    }

    #[test]
    fn any_length_and_any_numbers_can_be_drawn() {
        for length in [1, 7, 100, 101, 1500] {
            let (width, height, share) = ink(&drawn(length, 0.5));
            assert!(width >= 1004 && height > 300 && share > 0.01, "{length}: {width} x {height}, {share}");
        }
        assert!(ink(&drawn(60, 0.0)).2 < ink(&drawn(60, 1.0)).2);
    }
}
