//! Arrays in NumPy's format (NEP 1): a zip file of `.npy` files, which `numpy.load` opens. Items are appended to
//! temporary files, because the header holds their number, so memory does not grow with it. The header of a few lines
//! is written here rather than by the crate npyz, whose parser depends on a stack guard assembled by a C compiler,
//! which nothing else in the core needs.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, Write};
use std::path::Path;

use anyhow::{Context, Result};
use zip::write::FileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Element type of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Unsigned bytes, dtype `|u1`.
    U8,
    /// Little-endian single precision, dtype `<f4`.
    F32,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::U8 => "|u1",
            Self::F32 => "<f4",
        }
    }
}

/// An array under construction, `[n, ...]`.
struct Array {
    key: &'static str,
    kind: Kind,
    /// Shape of one item.
    shape: Vec<usize>,
    file: BufWriter<File>,
}

/// Arrays that grow together, with the names of their items.
pub struct Npz {
    arrays: Vec<Array>,
    names: Vec<String>,
}

impl Npz {
    /// Starts arrays, each with its key, element type and the shape of an item.
    ///
    /// # Errors
    /// Temporary files cannot be created in `folder`.
    pub fn new(folder: &Path, arrays: &[(&'static str, Kind, Vec<usize>)]) -> Result<Self> {
        let begin = |(key, kind, shape): &(&'static str, Kind, Vec<usize>)| {
            let file = tempfile::tempfile_in(folder).map_err(|error| crate::files::cannot_write(folder, &error))?;
            Ok(Array { key, kind: *kind, shape: shape.clone(), file: BufWriter::new(file) })
        };
        Ok(Self { arrays: arrays.iter().map(begin).collect::<Result<_>>()?, names: Vec::new() })
    }

    /// Starts the next item.
    pub fn name(&mut self, name: &str) {
        self.names.push(name.to_owned());
    }

    /// Appends the numbers of the current item to the array `key`.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    ///
    /// # Panics
    /// If there is no such array.
    pub fn push(&mut self, key: &str, numbers: &[f32]) -> std::io::Result<()> {
        let file = self.file(key);
        numbers.iter().try_for_each(|number| file.write_all(&number.to_le_bytes()))
    }

    /// Like [`Npz::push`], for an array of bytes.
    ///
    /// # Errors
    /// As [`Npz::push`].
    pub fn push_bytes(&mut self, key: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.file(key).write_all(bytes)
    }

    fn file(&mut self, key: &str) -> &mut BufWriter<File> {
        let array = self.arrays.iter_mut().find(|array| array.key == key);
        &mut array.expect("arrays are named by constants").file
    }

    /// Writes all arrays to a file, together with `names`.
    ///
    /// # Errors
    /// `out` or a temporary file cannot be written or read.
    pub fn finish(self, out: &mut File) -> Result<()> {
        // Arrays may be larger than 4 GB.
        // Without the time, so that the same arrays are the same bytes.
        let options = FileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
        let options = options.last_modified_time(zip::DateTime::default());
        let mut zip = ZipWriter::new(out);
        let n = self.names.len();
        let width = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(1);
        zip.start_file("names.npy", options)?;
        zip.write_all(&header(&format!("<U{width}"), &[n]))?;
        for name in &self.names {
            let letters = name.chars().map(u32::from).chain(std::iter::repeat(0));
            zip.write_all(&letters.take(width).flat_map(u32::to_le_bytes).collect::<Vec<u8>>())?;
        }
        for Array { key, kind, shape, file } in self.arrays {
            let mut file = file.into_inner().map_err(|error| error.into_error()).context(key)?;
            file.rewind()?;
            zip.start_file(format!("{key}.npy"), options)?;
            zip.write_all(&header(kind.name(), &[&[n], shape.as_slice()].concat()))?;
            std::io::copy(&mut BufReader::new(file), &mut zip)?;
        }
        zip.finish()?;
        Ok(())
    }
}

/// The header of an array, padded so that the data after it is aligned.
fn header(kind: &str, shape: &[usize]) -> Vec<u8> {
    const ALIGNMENT: usize = 64;
    /// Bytes of the magic string, the version and the length field.
    const BEFORE: usize = 10;
    let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let mut text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}", sides.trim_end());
    let length = (BEFORE + text.len() + 1).next_multiple_of(ALIGNMENT) - BEFORE;
    text.push_str(&" ".repeat(length - 1 - text.len()));
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((length as u16).to_le_bytes());
    header.extend(text.bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_aligned_and_say_the_shape() {
        let found = header("<f4", &[3, 4, 60]);
        assert_eq!(found.len() % 64, 0);
        let text = String::from_utf8_lossy(&found[10..]).into_owned();
        assert!(text.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 60,), }"), "{text}");
        assert!(text.ends_with('\n'));
        assert_eq!(usize::from(u16::from_le_bytes([found[8], found[9]])), found.len() - 10);
    }
}
