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
