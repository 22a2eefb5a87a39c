//! A figure as SVG, in points, with text as text. Elements in a row that look the same share a group.

use std::fmt::Write;

use crate::figures::bases::{self, Segment};
use crate::figures::canvas::{Across, Area, BLACK, Colour, Point, Stroke, Words};

/// The fonts of text: metrics close to those of the bitmap's, and on nearly every system.
const FONTS: &str = "Helvetica, Arial, sans-serif";

/// An SVG document in the making.
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
    /// The attributes of the open group; empty if none is open.
    group: String,
    /// Which letters of bases are used.
    has_base: [bool; 4],
}

impl Svg {
    /// A white document of the given width and height.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new(), group: String::new(), has_base: [false; 4] }
    }

    pub fn line(&mut self, points: &[Point], stroke: Stroke) {
        let dashes = if stroke.is_dashed { " stroke-dasharray=\"3 2\"" } else { "" };
        let opacity = opacity("stroke-opacity", stroke.colour);
        let attributes = format!(
            "fill=\"none\" stroke=\"{}\"{opacity} stroke-width=\"{}\"{dashes}",
            hex(stroke.colour),
            number(stroke.width)
        );
        self.within(&attributes);
        let _ = writeln!(self.body, "<path d=\"{}\"/>", path_through(points));
    }

    pub fn rectangle(&mut self, area: Area, colour: Colour) {
        self.within(&filled(colour));
        let [x, y, width, height] = [area.left, area.top, area.width, area.height].map(number);
        let _ = writeln!(self.body, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>");
    }

    pub fn circle(&mut self, centre: Point, radius: f64, colour: Colour) {
        self.within(&filled(colour));
        let [x, y, radius] = [centre.0, centre.1, radius].map(number);
        let _ = writeln!(self.body, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"/>");
    }

    pub fn base(&mut self, base: usize, area: Area) {
        self.within(&filled(bases::COLOURS[base]));
        self.has_base[base] = true;
        let [x, y, width, height] = [area.left, area.top, area.width, area.height].map(number);
        let name = bases::NAMES[base];
        let _ = writeln!(
            self.body,
            "<use xlink:href=\"#{name}\" transform=\"translate({x} {y}) scale({width} {height})\"/>"
        );
    }

    /// Writes a text that fills `width`, whichever font the reader's system has.
    pub fn text(&mut self, text: &str, (x, y): Point, width: f64, words: Words) {
        let anchor = match words.across {
            Across::Left => "",
            Across::Middle => " text-anchor=\"middle\"",
            Across::Right => " text-anchor=\"end\"",
        };
        let fill = if words.colour == BLACK { String::new() } else { format!(" {}", filled(words.colour)) };
        self.within(&format!("font-size=\"{}\"{anchor}{fill}", number(words.size)));
        let [x, y] = [x, y].map(number);
        let turn = if words.upwards { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
        let _ = writeln!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\"{turn}>{}</text>",
            number(width),
            escaped(text)
        );
    }

    /// Sees to it that the open group has the given attributes.
    fn within(&mut self, attributes: &str) {
        if self.group != attributes {
            self.close();
            let _ = writeln!(self.body, "<g {attributes}>");
            attributes.clone_into(&mut self.group);
        }
    }

    fn close(&mut self) {
        if !self.group.is_empty() {
            self.body.push_str("</g>\n");
            self.group.clear();
        }
    }

    /// The document.
    pub fn finish(mut self) -> Vec<u8> {
        self.close();
        let [width, height] = [self.width, self.height].map(number);
        let [across, down] = [self.width, self.height].map(|points| number(points * 25.4 / 72.0));
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" \
             xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"{across}mm\" height=\"{down}mm\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"{FONTS}\">\n"
        );
        if self.has_base.contains(&true) {
            text.push_str("<defs>\n");
            for (base, name) in bases::NAMES.iter().enumerate().filter(|&(base, _)| self.has_base[base]) {
                let _ = writeln!(text, "<path id=\"{name}\" d=\"{}\"/>", path_of(&bases::outline(base)));
            }
            text.push_str("</defs>\n");
        }
        let _ = writeln!(text, "<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>");
        text.push_str(&self.body);
        text.push_str("</svg>\n");
        text.into_bytes()
    }
}

fn filled(colour: Colour) -> String {
    format!("fill=\"{}\"{}", hex(colour), opacity("fill-opacity", colour))
}

fn hex(colour: Colour) -> String {
    let [red, green, blue] = colour.rgb;
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn opacity(name: &str, colour: Colour) -> String {
    if colour.alpha >= 1.0 { String::new() } else { format!(" {name}=\"{}\"", number(colour.alpha)) }
}

/// A path through points, in absolute coordinates; lines along an axis are abbreviated.
fn path_through(points: &[Point]) -> String {
    let mut path = String::new();
    let mut before: Option<[String; 2]> = None;
    for &(x, y) in points {
        let [x, y] = [x, y].map(number);
        let _ = match &before {
            None => write!(path, "M{x} {y}"),
            Some([from_x, from_y]) if *from_x == x && *from_y == y => Ok(()),
            Some([_, from_y]) if *from_y == y => write!(path, "H{x}"),
            Some([from_x, _]) if *from_x == x => write!(path, "V{y}"),
            Some(_) => write!(path, "L{x} {y}"),
        };
        before = Some([x, y]);
    }
    path
}

fn path_of(outline: &[Segment]) -> String {
    let place = |(x, y): Point| format!("{} {}", precise(x), precise(y));
    let segment = |segment: &Segment| match *segment {
        Segment::Move(to) => format!("M{}", place(to)),
        Segment::Line(to) => format!("L{}", place(to)),
        Segment::Curve(one, other, to) => format!("C{} {} {}", place(one), place(other), place(to)),
        Segment::Close => "Z".to_owned(),
    };
    outline.iter().map(segment).collect()
}

/// A length with two decimals, a hundredth of a point being less than an eighth of a pixel, in its shortest form.
fn number(value: f64) -> String {
    shortest(format!("{:.2}", value.clamp(-1e6, 1e6)))
}

/// A coordinate in the unit square.
fn precise(value: f64) -> String {
    shortest(format!("{value:.4}"))
}

fn shortest(text: String) -> String {
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        assert_eq!(
            [0.0, -0.001, 1.5, 10.0, 0.126, -3.0, 1e300].map(number),
            ["0", "0", "1.5", "10", "0.13", "-3", "1000000"]
        );
        assert_eq!(path_through(&[(0.0, 0.0), (1.0, 0.0), (1.0, 2.0), (1.0, 2.0), (3.0, 3.0)]), "M0 0H1V2L3 3");
    }
}
