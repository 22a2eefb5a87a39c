//! The letters A, C, G and T as outlines in the unit square, from its upper left corner, so that logos can stretch
//! them; typefaces cannot be stretched so far.

use std::f64::consts::{PI, TAU};

use crate::figures::canvas::{Colour, Point};

/// The usual colours of logos: A green, C blue, G orange, T red.
pub const COLOURS: [Colour; 4] =
    [Colour::new(16, 150, 72), Colour::new(37, 92, 153), Colour::new(247, 160, 20), Colour::new(214, 40, 57)];

/// The letters.
pub const NAMES: [&str; 4] = ["A", "C", "G", "T"];

/// A piece of an outline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Segment {
    /// Begins a contour.
    Move(Point),
    /// A straight line to a point.
    Line(Point),
    /// A cubic Bézier curve: both control points and the end.
    Curve(Point, Point, Point),
    /// Back to where the contour began.
    Close,
}

/// The outline of the letter of a base, 0 to 3. Whatever a contour winds around is inside.
pub fn outline(base: usize) -> Vec<Segment> {
    match base {
        0 => {
            let outer = [(0.37, 0.0), (0.63, 0.0), (1.0, 1.0), (0.78, 1.0), (0.69, 0.76), (0.31, 0.76), (0.22, 1.0)];
            let hole = [(0.5, 0.24), (0.37, 0.6), (0.63, 0.6)];
            contour(&[&outer[..], &[(0.0, 1.0)]].concat()).into_iter().chain(contour(&hole)).collect()
        }
        1 => ring(0.3, 0.7),
        2 => {
            let bar = [(0.52, 0.52), (0.98, 0.52), (0.98, 0.92), (0.78, 0.92), (0.78, 0.66), (0.52, 0.66)];
            ring(0.3, 0.62).into_iter().chain(contour(&bar)).collect()
        }
        _ => contour(&[
            (0.0, 0.0),
            (1.0, 0.0),
            (1.0, 0.16),
            (0.61, 0.16),
            (0.61, 1.0),
            (0.39, 1.0),
            (0.39, 0.16),
            (0.0, 0.16),
        ]),
    }
}

fn contour(points: &[Point]) -> Vec<Segment> {
    let (first, rest) = points.split_first().map_or(((0.0, 0.0), points), |(first, rest)| (*first, rest));
    let lines = rest.iter().map(|&point| Segment::Line(point));
    [Segment::Move(first)].into_iter().chain(lines).chain([Segment::Close]).collect()
}

/// A ring that is open on its right side between two heights. Clockwise, as the straight contours of G are.
fn ring(from: f64, to: f64) -> Vec<Segment> {
    const OUTER: (f64, f64) = (0.5, 0.5);
    const INNER: (f64, f64) = (0.3, 0.36);
    let angle = |radius: f64, height: f64| ((height - 0.5) / radius).asin();
    let begin = angle(OUTER.1, to);
    let mut segments = vec![Segment::Move(on(OUTER, begin))];
    segments.extend(arc(OUTER, begin, angle(OUTER.1, from) + TAU));
    let begin = angle(INNER.1, from) + TAU;
    segments.push(Segment::Line(on(INNER, begin)));
    segments.extend(arc(INNER, begin, angle(INNER.1, to)));
    segments.push(Segment::Close);
    segments
}

/// The point of an ellipse around the middle at an angle, clockwise from the right.
fn on((across, along): (f64, f64), angle: f64) -> Point {
    (0.5 + across * angle.cos(), 0.5 + along * angle.sin())
}

/// Curves along an ellipse, each of at most a quarter.
fn arc(radii: (f64, f64), from: f64, to: f64) -> Vec<Segment> {
    let pieces = ((to - from).abs() / (PI / 2.0)).ceil().max(1.0);
    let step = (to - from) / pieces;
    // How far control points lie from the ends, for an arc of this angle.
    let reach = 4.0 / 3.0 * (step / 4.0).tan();
    let along = |angle: f64, sign: f64| {
        let (x, y) = on(radii, angle);
        (x - sign * reach * radii.0 * angle.sin(), y + sign * reach * radii.1 * angle.cos())
    };
    let piece = |i: i32| {
        let (start, end) = (from + step * f64::from(i), from + step * f64::from(i + 1));
        Segment::Curve(along(start, 1.0), along(end, -1.0), on(radii, end))
    };
    (0..pieces as i32).map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_fill_the_unit_square_and_no_more() {
        for base in 0..4 {
            let mut points = Vec::new();
            for segment in outline(base) {
                match segment {
                    Segment::Move(to) | Segment::Line(to) | Segment::Curve(_, _, to) => points.push(to),
                    Segment::Close => {}
                }
            }
            let inside = |value: f64| (-1e-9..=1.0 + 1e-9).contains(&value);
            assert!(points.iter().all(|&(x, y)| inside(x) && inside(y)), "{base}: {points:?}");
            let reach = |of: fn(&Point) -> f64| points.iter().map(of).fold(0.0, f64::max);
            assert!(reach(|point| point.1) > 0.95 && reach(|point| point.0) > 0.95, "{base}");
        }
    }
}
