//! The lines of a file of motifs, plain, gzip or BGZF, in memory: the largest databases have a few megabytes.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};

use crate::format;
use crate::formats::compression::{self, read_error};

/// Larger than any database of motifs; the limit keeps another file from filling memory.
const LARGEST: u64 = 1 << 28;

/// What is read, for messages.
pub(super) const FORMATS: &str = "motifs in MEME format, or that of JASPAR, TRANSFAC, HOMER or HOCOMOCO";

/// The lines of a file, and the one that was read last.
pub(super) struct Lines {
    path: PathBuf,
    lines: Vec<String>,
    /// Number of the current line, counted from 1.
    pub number: usize,
}

impl Lines {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is empty or too large.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        if std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == 0) {
            bail!("{shown}: is empty, expected {FORMATS}; check the file");
        }
        let mut bytes = Vec::new();
        let read = compression::open(path)?.take(LARGEST).read_to_end(&mut bytes);
        if read.map_err(|error| read_error(path, &error))? as u64 == LARGEST {
            bail!("{shown}: has more than {LARGEST} bytes, expected {FORMATS}; check the file");
        }
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        // Names may be in any encoding, and are shown on terminals. A carriage return may be all that ends a line.
        let is_text = |c: &char| c.is_whitespace() || !c.is_control();
        let line = |line: &[u8]| String::from_utf8_lossy(line).chars().filter(is_text).collect::<String>();
        let mut lines: Vec<String> = text.split(|&byte| byte == b'\n').map(line).collect();
        if lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        Ok(Self { path: path.into(), lines, number: 0 })
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All lines, without those that are blank or comments.
    pub fn significant(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty() && !line.starts_with('#'))
    }

    /// Advances to the next line; false at the end of the file.
    pub fn next(&mut self) -> bool {
        let is_there = self.number < self.lines.len();
        self.number += usize::from(is_there);
        is_there
    }

    /// The current line, without space around it.
    pub fn line(&self) -> &str {
        self.number.checked_sub(1).map_or("", |i| self.lines[i].trim())
    }

    /// An error of the current line.
    pub fn fault(&self, what: &str) -> anyhow::Error {
        self.fault_in(self.number, what)
    }

    /// An error of a line.
    pub fn fault_in(&self, number: usize, what: &str) -> anyhow::Error {
        anyhow!("{}: line {number}: {what}", self.path.display())
    }
}

/// Text of a file for a message, cut to a limited length.
pub(super) fn quoted(text: &str) -> String {
    let text = text.replace('\t', " ");
    format::shortened(&text.chars().filter(|c| !c.is_control()).collect::<String>(), 40)
}
