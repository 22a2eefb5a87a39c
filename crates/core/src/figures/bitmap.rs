//! A figure as pixels, antialiased, and as PNG with its resolution.

use anyhow::{Context, Result, anyhow};
use tiny_skia::{FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, StrokeDash, Transform};
use ttf_parser::OutlineBuilder;

use crate::figures::bases::{self, Segment};
use crate::figures::canvas::{Across, Area, Colour, DPI, Point, Stroke, Words};
use crate::figures::typeface;

/// Pixels of a point.
const SCALE: f32 = (DPI / 72.0) as f32;
const INCHES_OF_A_METRE: f64 = 1.0 / 0.0254;

/// Coordinates are kept within this, far outside of any figure, as the pixels between are counted.
const FARTHEST: f64 = 1e5;

/// A picture in the making.
pub struct Bitmap(Pixmap);

impl Bitmap {
    /// A white picture of the given width and height.
    ///
    /// # Errors
    /// There is no such picture.
    pub fn new(width: f64, height: f64) -> Result<Self> {
        let pixels = |points: f64| (points * DPI / 72.0).round().clamp(0.0, 1e6) as u32;
        let too_large = || anyhow!("a figure of {width:.0} by {height:.0} points cannot be drawn; please report this");
        let (width, height) = (pixels(width), pixels(height));
        // Half a gigabyte of pixels. What is no number has become 0, of which there is no picture.
        if u64::from(width) * u64::from(height) > 1 << 27 {
            return Err(too_large());
        }
        let mut pixmap = Pixmap::new(width, height).ok_or_else(too_large)?;
        pixmap.fill(tiny_skia::Color::WHITE);
        Ok(Self(pixmap))
    }

    pub fn line(&mut self, points: &[Point], stroke: Stroke) {
        let style = tiny_skia::Stroke {
            width: stroke.width as f32,
            line_join: LineJoin::Round,
            dash: if stroke.is_dashed { StrokeDash::new(vec![3.0, 2.0], 0.0) } else { None },
            ..tiny_skia::Stroke::default()
        };
        if let Some(path) = path_through(points) {
            self.0.stroke_path(&path, &paint(stroke.colour), &style, Transform::from_scale(SCALE, SCALE), None);
        }
    }

    pub fn rectangle(&mut self, area: Area, colour: Colour) {
        let [left, top] = [area.left, area.top].map(within);
        let [right, bottom] = [area.right(), area.bottom()].map(within);
        let path = Rect::from_ltrb(left, top, right, bottom).map(PathBuilder::from_rect);
        self.fill(path, colour, Transform::identity());
    }

    pub fn circle(&mut self, centre: Point, radius: f64, colour: Colour) {
        let path = PathBuilder::from_circle(within(centre.0), within(centre.1), radius as f32);
        self.fill(path, colour, Transform::identity());
    }

    pub fn base(&mut self, base: usize, area: Area) {
        let mut builder = PathBuilder::new();
        let place = |(x, y): Point| (within(area.left + x * area.width), within(area.top + y * area.height));
        for segment in bases::outline(base) {
            match segment {
                Segment::Move(to) => {
                    let (x, y) = place(to);
                    builder.move_to(x, y);
                }
                Segment::Line(to) => {
                    let (x, y) = place(to);
                    builder.line_to(x, y);
                }
                Segment::Curve(one, other, to) => {
                    let [(a, b), (c, d), (x, y)] = [one, other, to].map(place);
                    builder.cubic_to(a, b, c, d, x, y);
                }
                Segment::Close => builder.close(),
            }
        }
        self.fill(builder.finish(), bases::COLOURS[base], Transform::identity());
    }

    pub fn text(&mut self, text: &str, (x, y): Point, width: f64, words: Words) {
        let (letters, _) = typeface::letters(text);
        let before = match words.across {
            Across::Left => 0.0,
            Across::Middle => -width / 2.0,
            Across::Right => -width,
        };
        let (x, y) = (within(x), within(y));
        let turn = if words.upwards {
            Transform::from_row(0.0, -1.0, 1.0, 0.0, x, y)
        } else {
            Transform::from_translate(x, y)
        };
        let unit = typeface::in_ems(words.size) as f32;
        let mut outlines = Outlines { builder: PathBuilder::new(), unit, left: 0.0 };
        for letter in letters {
            outlines.left = (before + letter.left * words.size) as f32;
            typeface::outline(letter, &mut outlines);
        }
        self.fill(outlines.builder.finish(), words.colour, turn);
    }

    fn fill(&mut self, path: Option<Path>, colour: Colour, place: Transform) {
        if let Some(path) = path {
            let transform = place.post_scale(SCALE, SCALE);
            self.0.fill_path(&path, &paint(colour), FillRule::Winding, transform, None);
        }
    }

    /// The picture as PNG.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn encode(self) -> Result<Vec<u8>> {
        let (width, height) = (self.0.width(), self.0.height());
        // All is drawn on white, so nothing is transparent.
        let pixels: Vec<u8> = self.0.data().chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        // Flat colours repeat as they are: with filters, or at the highest level, files are larger or take ten times as long.
        encoder.set_compression(png::Compression::Balanced);
        encoder.set_filter(png::Filter::NoFilter);
        let dots = (DPI * INCHES_OF_A_METRE).round() as u32;
        encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: dots, yppu: dots, unit: png::Unit::Meter }));
        let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
        written.context("a figure cannot be encoded; please report this")?;
        Ok(file)
    }
}

fn paint(colour: Colour) -> Paint<'static> {
    let [red, green, blue] = colour.rgb;
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, (colour.alpha * 255.0).round() as u8);
    paint
}

fn path_through(points: &[Point]) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        let (x, y) = (within(x), within(y));
        if i == 0 { builder.move_to(x, y) } else { builder.line_to(x, y) }
    }
    builder.finish()
}

fn within(coordinate: f64) -> f32 {
    coordinate.clamp(-FARTHEST, FARTHEST) as f32
}

/// Collects the outlines of letters, which the font gives upwards from the baseline.
struct Outlines {
    builder: PathBuilder,
    /// Points of a unit of the font.
    unit: f32,
    /// Where the letter begins.
    left: f32,
}

impl Outlines {
    fn place(&self, x: f32, y: f32) -> (f32, f32) {
        (self.left + x * self.unit, -y * self.unit)
    }
}

impl OutlineBuilder for Outlines {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.place(x, y);
        self.builder.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.place(x, y);
        self.builder.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.place(x1, y1), self.place(x, y));
        self.builder.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.place(x1, y1), self.place(x2, y2), self.place(x, y));
        self.builder.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.builder.close();
    }
}
