//! Sequence logos: letters as high as their probability times the information content of the position. Letters are
//! polygons, as the font cannot be stretched.

use plotters::prelude::*;

use crate::figures::canvas::{Canvas, Drawing, FONT, GREY};
use crate::sequence::motif::Motif;

/// The usual colours of logos: A green, C blue, G orange, T red.
const LETTERS: [RGBColor; 4] =
    [RGBColor(16, 150, 72), RGBColor(37, 92, 153), RGBColor(247, 160, 20), RGBColor(214, 40, 57)];

/// Information in bits of a position with a single base.
const MOST_BITS: f64 = 2.0;

/// Samples per pixel in either direction, for antialiasing.
const SAMPLES: i32 = 3;

/// A rectangle in pixels.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// Left edge in pixels.
    pub left: f64,
    /// Upper edge in pixels.
    pub top: f64,
    /// Width in pixels.
    pub width: f64,
    /// Height in pixels.
    pub height: f64,
}

impl Area {
    /// The lower edge.
    pub fn bottom(self) -> f64 {
        self.top + self.height
    }
}

/// Draws a logo within an area, with its axis in bits to the left and positions below: about 45 and 25 pixels at
/// `scale` 1.
pub fn logo(canvas: &Canvas, motif: &Motif, area: Area, scale: f64) -> Drawing {
    let width = area.width / motif.columns.len().max(1) as f64;
    for (position, (column, bits)) in motif.columns.iter().zip(motif.information()).enumerate() {
        let mut order = [0, 1, 2, 3];
        order.sort_by(|&a, &b| column[a].total_cmp(&column[b]));
        let left = area.left + position as f64 * width;
        let mut bottom = area.bottom();
        for base in order {
            let height = column[base] * bits / MOST_BITS * area.height;
            let place = Area { left: left + width * 0.03, top: bottom - height, width: width * 0.94, height };
            letter(canvas, base, place)?;
            bottom -= height;
        }
    }
    axes(canvas, motif.columns.len(), area, width, scale)
}

fn axes(canvas: &Canvas, positions: usize, area: Area, width: f64, scale: f64) -> Drawing {
    let at = |x: f64, y: f64| (x.round() as i32, y.round() as i32);
    let axis = area.left - 4.0 * scale;
    let line = |from, to| PathElement::new([from, to], GREY.stroke_width(1));
    canvas.draw(&line(at(axis, area.top), at(axis, area.bottom())))?;
    canvas.draw(&line(at(axis, area.bottom() + 1.0), at(area.left + area.width, area.bottom() + 1.0)))?;
    let text = |size: f64| (FONT, size * scale).into_font().color(&BLACK);
    let numbers = {
        use plotters::style::text_anchor::{HPos, Pos, VPos};
        text(15.0).pos(Pos::new(HPos::Right, VPos::Center))
    };
    for bits in 0..=2 {
        let y = area.bottom() - f64::from(bits) / MOST_BITS * area.height;
        canvas.draw(&line(at(axis - 4.0 * scale, y), at(axis, y)))?;
        canvas.draw(&Text::new(bits.to_string(), at(axis - 7.0 * scale, y), numbers.clone()))?;
    }
    let middle = area.top + area.height / 2.0;
    let (unit, rotated) = {
        use plotters::style::text_anchor::{HPos, Pos, VPos};
        let below = text(15.0).pos(Pos::new(HPos::Center, VPos::Top));
        (below, text(15.0).transform(FontTransform::Rotate270).pos(Pos::new(HPos::Center, VPos::Center)))
    };
    canvas.draw(&Text::new("bits", at(axis - 26.0 * scale, middle), rotated))?;
    // As many numbers as there is room for.
    let every = [1, 5, 10, 20, 50, 100, 200, 500].into_iter().find(|&every| every as f64 * width >= 22.0 * scale);
    let every = every.unwrap_or(1000);
    for position in (1..=positions).filter(|position| *position == 1 || position % every == 0) {
        let x = area.left + (position as f64 - 0.5) * width;
        canvas.draw(&Text::new(position.to_string(), at(x, area.bottom() + 5.0 * scale), unit.clone()))?;
    }
    Ok(())
}

/// Fills an area with the letter of a base, antialiased.
pub fn letter(canvas: &Canvas, base: usize, area: Area) -> Drawing {
    let (right, bottom) = (area.left + area.width, area.bottom());
    let step = 1.0 / f64::from(SAMPLES);
    for y in area.top.floor() as i32..bottom.ceil() as i32 {
        for x in area.left.floor() as i32..right.ceil() as i32 {
            let inside = (0..SAMPLES * SAMPLES).filter(|sample| {
                let (column, row) = (f64::from(sample % SAMPLES), f64::from(sample / SAMPLES));
                let u = (f64::from(x) + (column + 0.5) * step - area.left) / area.width;
                let v = (f64::from(y) + (row + 0.5) * step - area.top) / area.height;
                (0.0..=1.0).contains(&u) && (0.0..=1.0).contains(&v) && is_inked(base, u, v)
            });
            let share = inside.count() as f64 / f64::from(SAMPLES * SAMPLES);
            if share > 0.0 && x >= 0 && y >= 0 {
                canvas.draw_pixel((x, y), &LETTERS[base].mix(share))?;
            }
        }
    }
    Ok(())
}

/// Whether a point of the unit square, from its upper left corner, lies within the letter of a base.
fn is_inked(base: usize, u: f64, v: f64) -> bool {
    let ellipse = |across: f64, along: f64| ((u - 0.5) / across).powi(2) + ((v - 0.5) / along).powi(2);
    let round = || ellipse(0.5, 0.5) <= 1.0 && ellipse(0.3, 0.36) >= 1.0;
    match base {
        0 => {
            let (from_middle, edge) = ((u - 0.5).abs(), 0.13 + 0.37 * v);
            from_middle <= edge && (from_middle >= edge - 0.22 || (0.6..=0.76).contains(&v))
        }
        1 => round() && !(u > 0.62 && (v - 0.5).abs() < 0.2),
        2 => {
            let bar = (0.52..=0.66).contains(&v) && (0.52..=0.97).contains(&u);
            let stem = (0.52..=0.9).contains(&v) && (0.78..=0.97).contains(&u);
            bar || stem || (round() && !(u > 0.62 && v > 0.3 && v < 0.62))
        }
        _ => v <= 0.16 || (u - 0.5).abs() <= 0.11,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::canvas::picture_of;
    use crate::figures::tests::ink;

    #[test]
    fn a_letter_is_as_high_as_its_share_of_the_information() {
        let drawn = |columns: Vec<[f64; 4]>| {
            let motif = Motif { id: "m".into(), name: String::new(), columns, sites: 0 };
            let area = Area { left: 60.0, top: 20.0, width: 300.0, height: 200.0 };
            ink(&picture_of((400, 260), |canvas| logo(canvas, &motif, area, 1.0)).unwrap()).2
        };
        let nothing = drawn(vec![[0.25; 4]]);
        let whole = drawn(vec![[1.0, 0.0, 0.0, 0.0]]) - nothing;
        let half = drawn(vec![[0.5, 0.5, 0.0, 0.0]]) - nothing;
        assert!(nothing > 0.0 && whole > 0.1, "{nothing} {whole}");
        assert!(half < 0.6 * whole && half > 0.3 * whole, "{half} {whole}");
    }

    #[test]
    fn motifs_of_any_width_are_drawn() {
        for width in [1, 2, 40, 1000] {
            let motif =
                Motif { id: "m".into(), name: String::new(), columns: vec![[0.7, 0.1, 0.1, 0.1]; width], sites: 3 };
            let area = Area { left: 60.0, top: 20.0, width: 300.0, height: 200.0 };
            picture_of((400, 260), |canvas| logo(canvas, &motif, area, 1.0)).unwrap();
        }
    }
}
