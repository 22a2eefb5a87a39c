//! A figure embedded in the report.

use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// An image as a data URI.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Text alternative for screen readers.
    pub alt: String,
    pub uri: String,
    pub width: u32,
    pub height: u32,
}

impl Picture {
    /// Embeds the bytes of a PNG file.
    ///
    /// # Errors
    /// The bytes are no PNG.
    pub fn of(png: &[u8], alt: impl Into<String>) -> Result<Self> {
        let reader = png::Decoder::new(std::io::Cursor::new(png)).read_info()?;
        let (width, height) = (reader.info().width, reader.info().height);
        let uri = format!("data:image/png;base64,{}", STANDARD.encode(png));
        Ok(Self { alt: alt.into(), uri, width, height })
    }

    /// Embeds an SVG file that this program drew, if there is one, and else the PNG file at `png`, as earlier versions
    /// drew no other.
    ///
    /// # Errors
    /// The file cannot be read, or is no such picture.
    pub fn read_svg_or_png(png: &Path, alt: impl Into<String>, advice: &str) -> Result<Self> {
        let path = png.with_extension("svg");
        if !path.is_file() {
            return Self::read(png, alt, advice);
        }
        let shown = path.display();
        let svg = std::fs::read_to_string(&path).with_context(|| format!("{shown}: cannot be read; {advice}"))?;
        let Some((width, height)) = size_of(&svg) else {
            bail!("{shown}: is no SVG picture of strandnet; {advice}");
        };
        let uri = format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg));
        Ok(Self { alt: alt.into(), uri, width, height })
    }

    /// Embeds a PNG file; `advice` in the error says how to restore it.
    ///
    /// # Errors
    /// The file cannot be read, or is no PNG.
    pub fn read(path: &Path, alt: impl Into<String>, advice: &str) -> Result<Self> {
        let shown = path.display();
        let png = std::fs::read(path).with_context(|| format!("{shown}: cannot be read; {advice}"))?;
        match Self::of(&png, alt) {
            Ok(picture) => Ok(picture),
            Err(error) => bail!("{shown}: is no PNG picture ({error}); {advice}"),
        }
    }
}

/// Width and height of an SVG in its own unit, rounded.
fn size_of(svg: &str) -> Option<(u32, u32)> {
    let (_, rest) = svg.split_once("viewBox=\"0 0 ")?;
    let (width, height) = rest.split_once('"')?.0.split_once(' ')?;
    let whole = |number: &str| number.parse::<f64>().ok().map(|number| number.round() as u32);
    Some((whole(width)?, whole(height)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_picture_is_preferred_and_a_bitmap_does_too() {
        let folder = tempfile::tempdir().unwrap();
        let png = folder.path().join("f1.png");
        assert!(Picture::read_svg_or_png(&png, "", "draw it").unwrap_err().to_string().contains("f1.png"));
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 241 76.4\"/>";
        std::fs::write(png.with_extension("svg"), svg).unwrap();
        let picture = Picture::read_svg_or_png(&png, "a logo", "draw it").unwrap();
        assert_eq!((picture.width, picture.height), (241, 76));
        assert!(picture.uri.starts_with("data:image/svg+xml;base64,"));
        std::fs::write(png.with_extension("svg"), "text").unwrap();
        let error = Picture::read_svg_or_png(&png, "", "draw it").unwrap_err().to_string();
        assert!(error.contains("f1.svg: is no SVG picture") && error.ends_with("draw it"), "{error}");
    }
}
