//! The typeface of figures, which comes with the program: widths, kerning and outlines of its letters. Positions are
//! not rounded to pixels, so letters keep their distances at any size.

use std::sync::LazyLock;

use ttf_parser::gpos::{PairAdjustment, PositioningSubtable};
use ttf_parser::{Face, GlyphId, OutlineBuilder, Tag};

/// Height of capitals as a share of the size.
pub const CAPITALS: f64 = 0.693;

/// What a figure shows for a character that cannot be drawn.
const REPLACEMENT: char = '\u{fffd}';

static FACE: LazyLock<Face<'static>> = LazyLock::new(|| {
    Face::parse(epaint_default_fonts::UBUNTU_LIGHT, 0).expect("the typeface that was compiled in is one")
});

/// The text with spaces for tabs and ends of lines, and a replacement character for other control characters, those
/// that XML cannot hold, and those that turn the direction of the text around them.
pub fn printable(text: &str) -> String {
    let one = |letter: char| match letter {
        '\t' | '\n' | '\r' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => REPLACEMENT,
        _ if letter.is_control() => REPLACEMENT,
        _ => letter,
    };
    text.chars().map(one).collect()
}

/// A letter of a line of text.
#[derive(Clone, Copy, Debug)]
pub struct Letter {
    glyph: GlyphId,
    /// Where it begins, in units of the type's size.
    pub left: f64,
}

/// Places the letters of a line of text, kerned; the second value is the width of all, in units of the type's size.
pub fn letters(text: &str) -> (Vec<Letter>, f64) {
    let mut letters: Vec<Letter> = Vec::new();
    let mut end = 0.0;
    for letter in text.chars() {
        let missing = || FACE.glyph_index(REPLACEMENT).or_else(|| FACE.glyph_index('?'));
        let glyph = FACE.glyph_index(letter).or_else(missing).unwrap_or_default();
        if let Some(before) = letters.last() {
            end += kerning(before.glyph, glyph);
        }
        letters.push(Letter { glyph, left: end });
        end += in_ems(FACE.glyph_hor_advance(glyph).unwrap_or(0).into());
    }
    (letters, end)
}

/// Width of a line of text.
pub fn width(text: &str, size: f64) -> f64 {
    letters(&printable(text)).1 * size
}

/// The text, cut with an ellipsis to what fits a width.
pub fn cut(text: &str, size: f64, most: f64) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    while kept.pop().is_some() {
        let shorter: String = kept.iter().chain(&['…']).collect();
        if width(&shorter, size) <= most {
            return shorter;
        }
    }
    String::new()
}

/// Passes the outline of a letter to `builder`, in units of the font, upwards from the baseline.
pub fn outline(letter: Letter, builder: &mut dyn OutlineBuilder) {
    FACE.outline_glyph(letter.glyph, builder);
}

/// A length in units of the font as a share of the type's size.
pub fn in_ems(units: f64) -> f64 {
    units / f64::from(FACE.units_per_em())
}

/// What the font adds to the distance between two letters, from its `kern` feature; its letters have no older table.
fn kerning(first: GlyphId, second: GlyphId) -> f64 {
    let found = KERNING.iter().find_map(|pairs| adjustment(pairs, first, second));
    in_ems(found.unwrap_or(0).into())
}

static KERNING: LazyLock<Vec<PairAdjustment<'static>>> = LazyLock::new(|| {
    let Some(positions) = FACE.tables().gpos else { return Vec::new() };
    let mut of_kern: Vec<u16> = Vec::new();
    for feature in positions.features.into_iter().filter(|feature| feature.tag == Tag::from_bytes(b"kern")) {
        of_kern.extend(feature.lookup_indices);
    }
    of_kern.sort_unstable();
    of_kern.dedup();
    let lookups = of_kern.into_iter().filter_map(|index| positions.lookups.get(index));
    let subtables = lookups.flat_map(|lookup| lookup.subtables.into_iter::<PositioningSubtable>());
    subtables
        .filter_map(|table| if let PositioningSubtable::Pair(pairs) = table { Some(pairs) } else { None })
        .collect()
});

fn adjustment(pairs: &PairAdjustment, first: GlyphId, second: GlyphId) -> Option<i16> {
    let (value, _) = match pairs {
        PairAdjustment::Format1 { coverage, sets } => sets.get(coverage.get(first)?)?.get(second)?,
        PairAdjustment::Format2 { coverage, classes, matrix } => {
            coverage.get(first)?;
            matrix.get((classes.0.get(first), classes.1.get(second)))?
        }
    };
    Some(value.x_advance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_kerned() {
        let apart = |pair: &str| pair.chars().map(|letter| width(&letter.to_string(), 1.0)).sum::<f64>();
        for pair in ["AV", "To", "LT", "VA"] {
            assert!(width(pair, 1.0) < apart(pair) - 0.01, "{pair}");
        }
        assert!((width("HH", 1.0) - apart("HH")).abs() < 1e-9);
    }

    #[test]
    fn a_cut_text_fits() {
        for most in [0.0, 1.0, 20.0, 50.0] {
            let cut = cut("äöü a long name of a class", 7.0, most);
            assert!(width(&cut, 7.0) <= most, "{cut}");
        }
        assert_eq!(cut("short", 7.0, 100.0), "short");
    }

    #[test]
    fn capitals_are_as_high_as_is_reckoned_with() {
        let height = FACE.capital_height().map(|height| in_ems(height.into()));
        assert!(height.is_none_or(|height| (height - CAPITALS).abs() < 0.01), "{height:?}");
    }
}
