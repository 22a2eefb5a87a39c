//! Attributions of a sequence: letters as high as the importance of their base, upwards where it raises the explained
//! output and downwards where it lowers it; for in-silico mutagenesis a heat map of all substitutions below.

use std::ops::Range;

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::attribute::importance::{Explanation, Track, strongest};
use crate::attribute::sequences::Sequence;
use crate::config::AttributionMethod;
use crate::figures::canvas::{BLUE, Canvas, Drawing, FONT, GREY, ORANGE, picture_of};
use crate::figures::logo::{Area, letter};
use crate::format;

/// Bases in a row; longer sequences take several rows.
const ROW: usize = 100;
/// Largest number of bases in a figure, which shows the most important stretch.
const MOST_BASES: usize = 1000;

const LETTER: f64 = 15.0;
const LETTERS_HEIGHT: f64 = 120.0;
const CELL: f64 = 15.0;
const LEFT: f64 = 96.0;
const RIGHT: f64 = 26.0;
const TITLE: f64 = 66.0;
/// The name of a track, and the space under it; the positions under a row.
const TRACK_TITLE: f64 = 28.0;
const TRACK_GAP: f64 = 10.0;
const POSITIONS: f64 = 40.0;
const LEGEND: f64 = 44.0;

/// The figure of one sequence; `description` names the target.
///
/// # Errors
/// The figure cannot be drawn.
pub fn of_sequence(sequence: &Sequence, explanation: &Explanation, description: &str) -> Result<Vec<u8>> {
    let own = &sequence.own;
    let shown = match explanation.tracks.first() {
        Some(track) => strongest(&track.importance, own.clone(), MOST_BASES),
        None => own.clone(),
    };
    let rows = shown.len().div_ceil(ROW).max(1);
    let in_a_row = shown.len().div_ceil(rows).max(1);
    let has_map = explanation.tracks.iter().any(|track| track.method == AttributionMethod::Ism);
    let row_height = explanation.tracks.iter().map(height).sum::<f64>() + POSITIONS;
    let legend = if has_map { LEGEND } else { 0.0 };
    // Leaves room for the title above short sequences.
    let width = (LEFT + in_a_row as f64 * LETTER + RIGHT).max(760.0);
    let size = (width as u32, (TITLE + rows as f64 * row_height + legend + 8.0) as u32);
    picture_of(size, |canvas| {
        title(canvas, sequence, &shown, description, explanation.score)?;
        for row in 0..rows {
            let start = shown.start + row * in_a_row;
            let positions = start..(start + in_a_row).min(shown.end);
            let mut top = TITLE + row as f64 * row_height;
            for track in &explanation.tracks {
                // All rows share one scale.
                let range = range(&track.importance[shown.clone()]);
                let area = Area {
                    left: LEFT,
                    top: top + TRACK_TITLE,
                    width: positions.len() as f64 * LETTER,
                    height: LETTERS_HEIGHT,
                };
                if row == 0 {
                    draw_text(canvas, track.method.title(), (LEFT, top + 4.0), 17.0, HPos::Left)?;
                }
                letters(canvas, sequence, track, positions.clone(), area, range)?;
                if track.method == AttributionMethod::Ism {
                    let area = Area { top: area.bottom() + 8.0, height: 4.0 * CELL, ..area };
                    map(canvas, sequence, track, positions.clone(), area, strongest_change(track, &shown))?;
                }
                top += height(track);
            }
            numbers(canvas, sequence, positions, top)?;
        }
        match explanation.tracks.iter().find(|track| track.method == AttributionMethod::Ism) {
            Some(track) => key(canvas, size.1 as f64 - LEGEND, strongest_change(track, &shown)),
            None => Ok(()),
        }
    })
}

fn height(track: &Track) -> f64 {
    let map = if track.method == AttributionMethod::Ism { 8.0 + 4.0 * CELL } else { 0.0 };
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

fn pixel(x: f64, y: f64) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

fn draw_text(canvas: &Canvas, text: &str, at: (f64, f64), size: f64, across: HPos) -> Drawing {
    let style = (FONT, size).into_font().color(&BLACK).pos(Pos::new(across, VPos::Top));
    Ok(canvas.draw(&Text::new(text.to_owned(), pixel(at.0, at.1), style))?)
}

/// Draws the name and the description of the target.
fn title(canvas: &Canvas, sequence: &Sequence, shown: &Range<usize>, description: &str, score: f64) -> Drawing {
    const LONGEST: usize = 60;
    let mut name: String = sequence.name.chars().take(LONGEST).collect();
    if name.len() < sequence.name.len() {
        name.push_str("...");
    }
    let part = if shown.len() < sequence.own.len() {
        format!(", of {} bp the {} that count most", sequence.own.len(), shown.len())
    } else {
        String::new()
    };
    draw_text(canvas, &name, (LEFT, 12.0), 26.0, HPos::Left)?;
    draw_text(
        canvas,
        &format!("{description} is {}{part}{}", format::three_digits(score), place(sequence)),
        (LEFT, 42.0),
        19.0,
        HPos::Left,
    )
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
    canvas: &Canvas,
    sequence: &Sequence,
    track: &Track,
    positions: Range<usize>,
    area: Area,
    (low, high): (f64, f64),
) -> Drawing {
    let up = |value: f64| area.top + (high - value) / (high - low) * area.height;
    let zero = up(0.0);
    let line = |from, to| PathElement::new([from, to], GREY.stroke_width(1));
    for (i, at) in positions.enumerate() {
        let (code, importance) = (sequence.codes[at], f64::from(track.importance[at]));
        if code < 4 && importance != 0.0 {
            let end = up(importance);
            let place = Area {
                left: area.left + i as f64 * LETTER + LETTER * 0.04,
                top: zero.min(end),
                width: LETTER * 0.92,
                height: (zero - end).abs(),
            };
            letter(canvas, usize::from(code), place)?;
        }
    }
    let axis = area.left - 5.0;
    canvas.draw(&line(pixel(axis, area.top), pixel(axis, area.bottom())))?;
    canvas.draw(&line(pixel(axis, zero), pixel(area.left + area.width, zero)))?;
    let style = (FONT, 16.0).into_font().color(&BLACK).pos(Pos::new(HPos::Right, VPos::Center));
    for value in [low, 0.0, high] {
        // The ends of the axis, unless they overlap the zero.
        if value == 0.0 || (up(value) - zero).abs() > 14.0 {
            canvas.draw(&line(pixel(axis - 5.0, up(value)), pixel(axis, up(value))))?;
            canvas.draw(&Text::new(format::three_digits(value), pixel(axis - 8.0, up(value)), style.clone()))?;
        }
    }
    Ok(())
}

/// Draws blue where a substitution lowers the target, orange where it raises it, and a dot at the base of the sequence.
fn map(
    canvas: &Canvas,
    sequence: &Sequence,
    track: &Track,
    positions: Range<usize>,
    area: Area,
    strongest: f64,
) -> Drawing {
    let length = track.importance.len();
    let style = (FONT, 15.0).into_font().color(&BLACK).pos(Pos::new(HPos::Right, VPos::Center));
    for (base, name) in ["A", "C", "G", "T"].into_iter().enumerate() {
        let top = area.top + base as f64 * CELL;
        canvas.draw(&Text::new(name, pixel(area.left - 8.0, top + CELL / 2.0), style.clone()))?;
        for (i, at) in positions.clone().enumerate() {
            let left = area.left + i as f64 * LETTER;
            if usize::from(sequence.codes[at]) == base {
                canvas.draw(&Circle::new(pixel(left + LETTER / 2.0, top + CELL / 2.0), 2, GREY.filled()))?;
            } else {
                let share = f64::from(track.numbers[base * length + at]) / strongest;
                let cell = [pixel(left, top), pixel(left + LETTER - 1.0, top + CELL - 1.0)];
                canvas.draw(&Rectangle::new(cell, shade(share).filled()))?;
            }
        }
    }
    let frame = [pixel(area.left - 1.0, area.top - 1.0), pixel(area.left + area.width, area.bottom())];
    Ok(canvas.draw(&Rectangle::new(frame, GREY.mix(0.6)))?)
}

fn shade(share: f64) -> RGBAColor {
    let colour = if share < 0.0 { BLUE } else { ORANGE };
    colour.mix(share.abs().min(1.0))
}

/// Draws the legend of the heat map.
fn key(canvas: &Canvas, top: f64, strongest: f64) -> Drawing {
    const STEPS: i32 = 40;
    const STEP: f64 = 4.0;
    let begin = LEFT + 70.0;
    draw_text(canvas, &format::three_digits(-strongest), (begin - 8.0, top + 1.0), 16.0, HPos::Right)?;
    for step in 0..=STEPS {
        let left = begin + f64::from(step) * STEP;
        let share = f64::from(2 * step - STEPS) / f64::from(STEPS);
        let cell = [pixel(left, top), pixel(left + STEP, top + 18.0)];
        canvas.draw(&Rectangle::new(cell, shade(share).filled()))?;
    }
    let end = begin + f64::from(STEPS + 1) * STEP;
    let text = format!(
        "+{}   what a substitution changes; dots are the sequence's own bases",
        format::three_digits(strongest)
    );
    draw_text(canvas, &text, (end + 8.0, top + 1.0), 16.0, HPos::Left)
}

/// Draws positions, counted from 0: those of the chromosome where they are known, else those of the record.
fn numbers(canvas: &Canvas, sequence: &Sequence, positions: Range<usize>, top: f64) -> Drawing {
    for (i, at) in positions.enumerate() {
        let position = sequence.coordinate(at).unwrap_or_else(|| sequence.position(at));
        if position.is_multiple_of(10) {
            let x = LEFT + (i as f64 + 0.5) * LETTER;
            canvas.draw(&PathElement::new([pixel(x, top - 6.0), pixel(x, top - 1.0)], GREY.stroke_width(1)))?;
            draw_text(canvas, &format::thousands(position), (x, top + 1.0), 16.0, HPos::Center)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::ink;

    fn drawn(length: usize, value: f32) -> Vec<u8> {
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
            assert!(width >= 760 && height > 300 && share > 0.01, "{length}: {width} x {height}, {share}");
        }
        assert!(ink(&drawn(60, 0.0)).2 < ink(&drawn(60, 1.0)).2);
    }
}
