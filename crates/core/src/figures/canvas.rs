//! A canvas that is drawn on once and gives the same figure twice: as SVG, and as PNG at 300 dpi. All lengths are in
//! points (1/72 inch), so sizes of type and widths of lines are those of the printed page.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;

use crate::figures::bitmap::Bitmap;
use crate::figures::svg::Svg;
use crate::figures::typeface;
use crate::run::RunFolder;

/// Width of a column of a journal: 85 mm.
pub const COLUMN: f64 = 241.0;
/// Width of a printed page: 180 mm.
pub const FULL_WIDTH: f64 = 510.0;
/// Resolution of the PNG.
pub const DPI: f64 = 300.0;

/// Size of all type but titles.
pub const TEXT: f64 = 7.0;
/// Size of titles.
pub const TITLE: f64 = 8.0;
/// Distance between the baselines of two lines of text.
pub const LINE: f64 = 9.0;
/// Space around a figure.
pub const MARGIN: f64 = 5.0;

/// Line widths: of curves, of axes, and of whatever curves are compared with.
pub const CURVE: f64 = 1.1;
pub const AXIS: f64 = 0.6;
pub const THIN: f64 = 0.4;

/// A point in points, from the upper left corner.
pub type Point = (f64, f64);

/// A colour with its opacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Colour {
    /// Red, green and blue.
    pub rgb: [u8; 3],
    /// Opacity, 0 to 1.
    pub alpha: f64,
}

impl Colour {
    /// An opaque colour.
    pub const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self { rgb: [red, green, blue], alpha: 1.0 }
    }

    /// The colour with another opacity.
    pub fn with_alpha(self, alpha: f64) -> Self {
        Self { alpha: alpha.clamp(0.0, 1.0), ..self }
    }
}

/// The colour of text and axes.
pub const BLACK: Colour = Colour::new(0, 0, 0);
/// The colour of the background.
pub const WHITE: Colour = Colour::new(255, 255, 255);
/// A palette for all kinds of colour vision (Okabe and Ito, 2008).
pub const BLUE: Colour = Colour::new(0, 114, 178);
/// Colour of highlighted elements.
pub const ORANGE: Colour = Colour::new(213, 94, 0);
/// The colour of small print.
pub const GREY: Colour = Colour::new(110, 110, 110);
/// The colour of reference lines.
pub const LIGHT: Colour = Colour::new(165, 165, 165);
const OTHERS: [Colour; 5] = [
    Colour::new(0, 158, 115),
    Colour::new(204, 121, 167),
    Colour::new(86, 180, 233),
    Colour::new(230, 159, 0),
    Colour::new(60, 60, 60),
];

/// Colour of a class, label or column; the palette has seven.
pub fn colour(index: usize) -> Colour {
    match index % 7 {
        0 => BLUE,
        1 => ORANGE,
        other => OTHERS[other - 2],
    }
}

/// A line's width, colour and pattern.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// Width of the line.
    pub width: f64,
    /// Its colour.
    pub colour: Colour,
    /// Whether it is dashed.
    pub is_dashed: bool,
}

/// A solid line.
pub fn stroke(width: f64, colour: Colour) -> Stroke {
    Stroke { width, colour, is_dashed: false }
}

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// Left edge.
    pub left: f64,
    /// Upper edge.
    pub top: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Area {
    /// The right edge.
    pub fn right(self) -> f64 {
        self.left + self.width
    }

    /// The lower edge.
    pub fn bottom(self) -> f64 {
        self.top + self.height
    }

    fn is_finite(self) -> bool {
        [self.left, self.top, self.width, self.height].iter().all(|number| number.is_finite())
    }
}

/// Which end of a text is at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Across {
    Left,
    Middle,
    Right,
}

/// Which height of a text is at its place: the top or the middle of its capitals, or its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Height {
    Top,
    Middle,
    Base,
}

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Words {
    /// Size of the type.
    pub size: f64,
    /// Colour of the type.
    pub colour: Colour,
    /// Which end is at the given place.
    pub across: Across,
    /// Which height is at the given place.
    pub height: Height,
    /// Whether it reads upwards.
    pub upwards: bool,
}

impl Words {
    /// Black text of the usual size.
    pub fn new(across: Across, height: Height) -> Self {
        Self { size: TEXT, colour: BLACK, across, height, upwards: false }
    }

    /// A title, from its left end on.
    pub fn title() -> Self {
        Self { size: TITLE, ..Self::new(Across::Left, Height::Top) }
    }

    /// The same text in another colour.
    pub fn coloured(self, colour: Colour) -> Self {
        Self { colour, ..self }
    }

    /// The same text, reading upwards.
    pub fn upwards(self) -> Self {
        Self { upwards: true, ..self }
    }
}

/// A figure as the bytes of both its files.
#[derive(Clone, Debug)]
pub struct Figure {
    /// At 300 dpi.
    pub png: Vec<u8>,
    /// The same as vectors.
    pub svg: Vec<u8>,
}

impl Figure {
    /// Writes the PNG under the given name, and the SVG beside it.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &RunFolder, png: &str) -> Result<()> {
        folder.write(png, &self.png)?;
        folder.write(&Path::new(png).with_extension("svg").to_string_lossy(), &self.svg)
    }
}

/// Draws a figure of the given width and height.
///
/// # Errors
/// The figure is too large for the memory, or cannot be encoded.
pub fn figure((width, height): (f64, f64), draw: impl FnOnce(&mut Canvas)) -> Result<Figure> {
    let mut canvas =
        Canvas { size: (width, height), svg: Svg::new(width, height), bitmap: Bitmap::new(width, height)? };
    draw(&mut canvas);
    Ok(Figure { png: canvas.bitmap.encode()?, svg: canvas.svg.finish() })
}

/// What figures are drawn on. Shapes at places that are no finite numbers are left out.
pub struct Canvas {
    size: (f64, f64),
    svg: Svg,
    bitmap: Bitmap,
}

impl Canvas {
    /// Width and height.
    pub fn size(&self) -> (f64, f64) {
        self.size
    }

    /// Draws a line through points.
    pub fn line(&mut self, points: &[Point], stroke: Stroke) {
        if points.len() > 1 && points.iter().all(|(x, y)| x.is_finite() && y.is_finite()) {
            self.svg.line(points, stroke);
            self.bitmap.line(points, stroke);
        }
    }

    /// Fills a rectangle.
    pub fn rectangle(&mut self, area: Area, colour: Colour) {
        if area.is_finite() && area.width > 0.0 && area.height > 0.0 {
            self.svg.rectangle(area, colour);
            self.bitmap.rectangle(area, colour);
        }
    }

    /// Draws the outline of a rectangle.
    pub fn frame(&mut self, area: Area, stroke: Stroke) {
        let (left, top, right, bottom) = (area.left, area.top, area.right(), area.bottom());
        self.line(&[(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], stroke);
    }

    /// Fills a circle.
    pub fn circle(&mut self, centre: Point, radius: f64, colour: Colour) {
        if centre.0.is_finite() && centre.1.is_finite() && radius > 0.0 {
            self.svg.circle(centre, radius, colour);
            self.bitmap.circle(centre, radius, colour);
        }
    }

    /// Fills an area with the letter of a base, 0 to 3, in its usual colour.
    pub fn base(&mut self, base: usize, area: Area) {
        // Less than a tenth of a pixel shows in neither form.
        if area.is_finite() && area.width > 0.0 && area.height > 0.02 {
            self.svg.base(base, area);
            self.bitmap.base(base, area);
        }
    }

    /// Writes a text; characters that no figure can show are replaced.
    pub fn text(&mut self, text: &str, at: Point, words: Words) {
        let text = typeface::printable(text);
        if text.is_empty() || !at.0.is_finite() || !at.1.is_finite() {
            return;
        }
        let below = words.size * typeface::CAPITALS;
        let below = match words.height {
            Height::Top => below,
            Height::Middle => below / 2.0,
            Height::Base => 0.0,
        };
        // The start of the baseline, where the text would begin were it not centred or aligned to the right.
        let baseline = if words.upwards { (at.0 + below, at.1) } else { (at.0, at.1 + below) };
        let width = typeface::width(&text, words.size);
        self.svg.text(&text, baseline, width, words);
        self.bitmap.text(&text, baseline, width, words);
    }

    /// Writes a text that is cut to a width.
    pub fn text_within(&mut self, text: &str, at: Point, words: Words, width: f64) {
        self.text(&typeface::cut(text, words.size, width), at, words);
    }
}

/// A range that holds all values with a margin, as a share of their spread; 0 to 1 if there are none.
pub fn range_of(values: impl Iterator<Item = f64>, margin: f64) -> Range<f64> {
    let finite = values.filter(|value| value.abs() <= LARGEST_DRAWN);
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return 0.0..1.0;
    }
    let margin = ((high - low) * margin).max(high.abs().max(low.abs()).max(1.0) * 1e-6);
    low - margin..high + margin
}

/// Numbers beyond this are not drawn, so that no axis overflows.
pub const LARGEST_DRAWN: f64 = 1e100;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::figures::tests::{ink, texts, xml};

    #[test]
    fn a_figure_has_its_size_on_paper_in_both_forms() {
        let figure = figure((COLUMN, 120.0), |_| {}).unwrap();
        let (width, height, share) = ink(&figure);
        assert_eq!((width, height, share), (1004, 500, 0.0));
        let mut reader = png::Decoder::new(std::io::Cursor::new(&figure.png)).read_info().unwrap();
        let dots = reader.info().pixel_dims.unwrap();
        assert_eq!((dots.xppu, dots.yppu, dots.unit), (11_811, 11_811, png::Unit::Meter), "300 dpi");
        assert!(reader.next_row().unwrap().is_some());
        let text = xml(&figure);
        let document = roxmltree::Document::parse(&text).unwrap();
        let root = document.root_element();
        assert_eq!(root.attribute("width"), Some("85.02mm"));
        assert_eq!(root.attribute("viewBox"), Some("0 0 241 120"));
    }

    #[test]
    fn text_that_is_markup_or_no_text_at_all_stays_text() {
        let name = "<&>\"'\u{0}\u{1b}\u{fffe}\t\u{202e}é中";
        let written = figure((100.0, 20.0), |canvas| {
            canvas.text(name, (2.0, 2.0), Words::title());
        });
        let written = written.unwrap();
        let text = xml(&written);
        let document = roxmltree::Document::parse(&text).unwrap();
        let found: Vec<_> = document.descendants().filter(|node| node.has_tag_name("text")).collect();
        assert_eq!(found[0].text(), Some("<&>\"'\u{fffd}\u{fffd}\u{fffd} \u{fffd}é中"));
        assert!(ink(&written).2 > 0.001);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_name_gives_a_well_formed_file_that_says_it(name in ".*", control in any::<char>()) {
            let name = format!("{name}{control}");
            let drawn = figure((60.0, 20.0), |canvas| canvas.text(&name, (2.0, 12.0), Words::title())).unwrap();
            prop_assert_eq!(&texts(&drawn)[0].words, &typeface::printable(&name));
        }
    }

    #[test]
    fn the_same_drawing_gives_the_same_bytes() {
        let drawn = || {
            figure((50.0, 50.0), |canvas| {
                canvas.circle((10.0, 10.0), 4.0, BLUE.with_alpha(0.3));
                canvas.base(2, Area { left: 20.0, top: 20.0, width: 9.0, height: 20.0 });
                canvas.line(&[(0.0, 0.0), (50.0, 50.0)], Stroke { is_dashed: true, ..stroke(CURVE, ORANGE) });
                canvas.text("AVATAR", (25.0, 45.0), Words::new(Across::Middle, Height::Base).upwards());
            })
            .unwrap()
        };
        let (one, other) = (drawn(), drawn());
        assert!(one.png == other.png && one.svg == other.svg);
        assert!(ink(&one).2 > 0.05);
    }

    #[test]
    fn what_lies_nowhere_is_left_out() {
        let drawn = figure((50.0, 50.0), |canvas| {
            canvas.line(&[(f64::NAN, 0.0), (50.0, 50.0)], stroke(CURVE, BLACK));
            canvas.circle((f64::INFINITY, 1.0), 2.0, BLACK);
            canvas.rectangle(Area { left: 0.0, top: 0.0, width: f64::NAN, height: 1.0 }, BLACK);
            canvas.base(0, Area { left: 0.0, top: 0.0, width: 1.0, height: f64::INFINITY });
            canvas.line(&[(0.0, -1e300), (50.0, 1e300)], stroke(CURVE, WHITE));
            canvas.text("x", (f64::NAN, 0.0), Words::title());
        });
        assert_eq!(ink(&drawn.unwrap()).2, 0.0);
        assert!(figure((f64::NAN, 10.0), |_| {}).is_err() && figure((1e9, 1e9), |_| {}).is_err());
    }

    #[test]
    fn ranges_hold_all_finite_values() {
        assert_eq!(range_of([].into_iter(), 0.1), 0.0..1.0);
        assert_eq!(range_of([0.0, f64::NAN, 10.0, 1e300].into_iter(), 0.1), -1.0..11.0);
        let one = range_of([5.0].into_iter(), 0.1);
        assert!(one.start < 5.0 && 5.0 < one.end);
    }
}
