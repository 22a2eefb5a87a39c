//! The canvas as a backend of plotters, whose coordinates are whole numbers: hundredths of a point.

use std::convert::Infallible;

use plotters::prelude::*;
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind};

use crate::figures::canvas::{self, Across, Area, Canvas, Colour, Height, Point, Stroke, Words};
use crate::figures::typeface;

/// Units of plotters in a point, less than a twentieth of a pixel.
pub const UNITS: f64 = 100.0;

/// What plotters draws on. All of it goes to the canvas, which has no errors.
pub struct Backend<'a>(pub &'a mut Canvas);

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

/// Points as units.
pub fn units(points: f64) -> i32 {
    (points * UNITS).round() as i32
}

fn point((x, y): BackendCoord) -> Point {
    (f64::from(x) / UNITS, f64::from(y) / UNITS)
}

fn colour(color: BackendColor) -> Colour {
    let (red, green, blue) = color.rgb;
    Colour::new(red, green, blue).with_alpha(color.alpha)
}

fn stroke<S: BackendStyle>(style: &S) -> Stroke {
    canvas::stroke(f64::from(style.stroke_width()) / UNITS, colour(style.color()))
}

/// A style of plotters in this colour: a line of a width in points, or a filled shape.
pub fn style(colour: Colour, width: Option<f64>) -> ShapeStyle {
    let [red, green, blue] = colour.rgb;
    let stroke_width = width.map_or(0, |width| units(width).unsigned_abs());
    ShapeStyle { color: RGBAColor(red, green, blue, colour.alpha), filled: width.is_none(), stroke_width }
}

impl DrawingBackend for Backend<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        let (width, height) = self.0.size();
        (units(width).unsigned_abs(), units(height).unsigned_abs())
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, at: BackendCoord, color: BackendColor) -> Drawn {
        let (left, top) = point(at);
        self.0.rectangle(Area { left, top, width: 1.0 / UNITS, height: 1.0 / UNITS }, colour(color));
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.0.line(&[point(from), point(to)], stroke(style));
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(&mut self, one: BackendCoord, other: BackendCoord, style: &S, fill: bool) -> Drawn {
        let ((left, top), (right, bottom)) = (point(one), point(other));
        let area = Area { left, top, width: right - left, height: bottom - top };
        if fill {
            self.0.rectangle(area, colour(style.color()))
        } else {
            self.0.frame(area, stroke(style))
        }
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        let points: Vec<Point> = path.into_iter().map(point).collect();
        self.0.line(&points, stroke(style));
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(&mut self, centre: BackendCoord, radius: u32, style: &S, _fill: bool) -> Drawn {
        self.0.circle(point(centre), f64::from(radius) / UNITS, colour(style.color()));
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn {
        let words = Words { size: style.size() / UNITS, ..Words::new(Across::Left, Height::Top) };
        self.0.text(text, point(at), words.coloured(colour(style.color())));
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let size = style.size() / UNITS;
        let [width, height] = [typeface::width(text, size), size * typeface::CAPITALS].map(units);
        Ok((width.unsigned_abs(), height.unsigned_abs()))
    }
}
