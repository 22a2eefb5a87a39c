//! Sequence logos: letters as high as their probability times the information content of the position.

use crate::figures::canvas::{AXIS, Across, Area, BLACK, Canvas, Height, TEXT, Words, stroke};
use crate::figures::typeface;
use crate::sequence::motif::Motif;

/// Information in bits of a position with a single base.
const MOST_BITS: f64 = 2.0;

/// Room for the axis in bits to the left of a logo.
pub const LEFT: f64 = 22.0;

/// Draws a logo within an area, with its axis in bits to the left and positions below.
pub fn logo(canvas: &mut Canvas, motif: &Motif, area: Area) {
    let width = area.width / motif.columns.len().max(1) as f64;
    for (position, (column, bits)) in motif.columns.iter().zip(motif.information()).enumerate() {
        let mut order = [0, 1, 2, 3];
        order.sort_by(|&a, &b| column[a].total_cmp(&column[b]));
        let left = area.left + position as f64 * width;
        let mut bottom = area.bottom();
        for base in order {
            let height = column[base] * bits / MOST_BITS * area.height;
            canvas.base(base, Area { left: left + width * 0.03, top: bottom - height, width: width * 0.94, height });
            bottom -= height;
        }
    }
    axes(canvas, motif.columns.len(), area, width);
}

fn axes(canvas: &mut Canvas, positions: usize, area: Area, width: f64) {
    let line = stroke(AXIS, BLACK);
    let axis = area.left - 1.5;
    canvas.line(&[(axis, area.top), (axis, area.bottom())], line);
    canvas.line(&[(area.left, area.bottom() + 0.5), (area.right(), area.bottom() + 0.5)], line);
    for bits in 0..=2 {
        let y = area.bottom() - f64::from(bits) / MOST_BITS * area.height;
        canvas.line(&[(axis - 2.0, y), (axis, y)], line);
        canvas.text(&bits.to_string(), (axis - 3.5, y), Words::new(Across::Right, Height::Middle));
    }
    let middle = area.top + area.height / 2.0;
    canvas.text("bits", (area.left - LEFT, middle), Words::new(Across::Middle, Height::Top).upwards());
    // As many numbers as there is room for.
    let room = typeface::width(&positions.to_string(), TEXT) + 3.0;
    let every = [1, 5, 10, 20, 50, 100, 200, 500].into_iter().find(|&every| every as f64 * width >= room);
    let every = every.unwrap_or(1000);
    for position in (1..=positions).filter(|position| *position == 1 || position % every == 0) {
        let x = area.left + (position as f64 - 0.5) * width;
        canvas.text(&position.to_string(), (x, area.bottom() + 3.0), Words::new(Across::Middle, Height::Top));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::canvas::figure;
    use crate::figures::tests::{ink, xml};

    const AREA: Area = Area { left: 30.0, top: 10.0, width: 150.0, height: 100.0 };

    #[test]
    fn a_letter_is_as_high_as_its_share_of_the_information() {
        let drawn = |columns: Vec<[f64; 4]>| {
            let motif = Motif { id: "m".into(), name: String::new(), columns, sites: 0 };
            ink(&figure((200.0, 130.0), |canvas| logo(canvas, &motif, AREA)).unwrap()).2
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
            let drawn = figure((200.0, 130.0), |canvas| logo(canvas, &motif, AREA)).unwrap();
            roxmltree::Document::parse(&xml(&drawn)).unwrap();
        }
    }
}
