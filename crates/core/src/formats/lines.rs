//! Lines of text of bounded length, so that a file without line ends does not fill memory. A line that the reader's buffer holds as a
//! whole is not copied.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use memchr::memchr;

use crate::formats::compression::read_error;

/// The lines of one file.
pub struct Lines<R> {
    path: PathBuf,
    input: R,
    longest: usize,
    expected: &'static str,
    number: u64,
    has_end: bool,
    /// Bytes of the reader's buffer that the current line takes; the reader moves on before the next.
    in_buffer: usize,
    /// The current line, if the buffer did not hold all of it.
    copied: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The lines of `input`, of at most `longest` bytes; `path` and what is `expected` are for messages only.
    pub fn new(path: &Path, input: R, longest: usize, expected: &'static str) -> Self {
        let path = path.into();
        Self { path, input, longest, expected, number: 0, has_end: true, in_buffer: 0, copied: Vec::new() }
    }

    /// The next line without its line feed; `None` at the end of the file.
    ///
    /// # Errors
    /// The file cannot be read, or the line is too long.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>> {
        let Self { path, input, longest, expected, number, has_end, in_buffer, copied } = self;
        input.consume(std::mem::take(in_buffer));
        copied.clear();
        *number += 1;
        loop {
            let buffer = input.fill_buf().map_err(|error| read_error(path, &error))?;
            let end = memchr(b'\n', buffer);
            let length = end.unwrap_or(buffer.len());
            if copied.len() + length > *longest {
                bail!(
                    "{}: line {number}: is longer than {longest} bytes, expected {expected}; check the file",
                    path.display()
                );
            }
            *has_end = end.is_some();
            if copied.is_empty() && end.is_some() {
                *in_buffer = length + 1;
                return Ok(Some(&input.fill_buf().map_err(|error| read_error(path, &error))?[..length]));
            }
            copied.extend_from_slice(&buffer[..length]);
            let is_last = buffer.is_empty();
            input.consume(length + usize::from(*has_end));
            if *has_end || is_last && !copied.is_empty() {
                return Ok(Some(copied));
            }
            if is_last {
                *number -= 1;
                return Ok(None);
            }
        }
    }

    /// Number of the line that was read last, counted from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether that line ended with a line feed, which only the last of a file may lack.
    pub fn has_end(&self) -> bool {
        self.has_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::BufReader;

    proptest! {
        #[test]
        fn lines_are_those_of_the_text_whatever_the_buffer(text in "[ab\n\r]{0,60}", buffer in 1usize..20) {
            let mut lines = Lines::new(Path::new("x"), BufReader::with_capacity(buffer, text.as_bytes()), 60, "text");
            let (mut found, mut ends) = (Vec::new(), Vec::new());
            while let Some(line) = lines.next_line().unwrap() {
                found.push(String::from_utf8(line.to_vec()).unwrap());
                ends.push(lines.has_end());
            }
            let expected: Vec<&str> = text.split_inclusive('\n').collect();
            let has_end: Vec<bool> = expected.iter().map(|line| line.ends_with('\n')).collect();
            prop_assert_eq!(ends, has_end);
            prop_assert_eq!(found, expected.iter().map(|line| line.trim_end_matches('\n')).collect::<Vec<_>>());
            prop_assert!(lines.next_line().unwrap().is_none());
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_an_error_with_its_number() {
        for buffer in [3, 100] {
            let input = BufReader::with_capacity(buffer, &b"a\naaaaa\naaaaaa"[..]);
            let mut lines = Lines::new(Path::new("x.bed"), input, 5, "BED");
            assert_eq!(lines.next_line().unwrap(), Some(&b"a"[..]));
            assert_eq!(lines.next_line().unwrap(), Some(&b"aaaaa"[..]));
            let error = lines.next_line().unwrap_err().to_string();
            assert_eq!(error, "x.bed: line 3: is longer than 5 bytes, expected BED; check the file");
        }
    }
}
