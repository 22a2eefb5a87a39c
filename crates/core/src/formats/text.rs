//! Text without its byte order mark. UTF-16, which no reader of this program could make sense of, is told from it.

use std::io::{BufRead, Error, ErrorKind, Read, Result as IoResult};

/// Bytes of the byte order mark of UTF-8, which Windows puts before text.
const MARK: usize = 3;

/// The error of a file in UTF-16.
#[derive(Debug)]
struct NotUtf8;

impl std::fmt::Display for NotUtf8 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UTF-16 text")
    }
}

impl std::error::Error for NotUtf8 {}

/// Whether a read failed because the file is UTF-16.
pub fn is_not_utf8(error: &Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<NotUtf8>())
}

/// A reader of text without the byte order mark before it.
pub struct Text<R> {
    input: R,
    /// The first bytes, once they were looked at, and how many of them were taken.
    head: Option<(Vec<u8>, usize)>,
}

impl<R: BufRead> Text<R> {
    /// Text from its start on.
    pub fn new(input: R) -> Self {
        Self { input, head: None }
    }

    /// The first bytes that were not taken yet; none where they lie in the buffer of the input.
    fn head(&mut self) -> IoResult<&[u8]> {
        if self.head.is_none() {
            // Readers look at what is in the buffer to tell formats, so it is left there where it can be.
            let bytes = self.input.fill_buf()?;
            let mut head = Vec::new();
            if bytes.len() >= MARK {
                let mark = check(&bytes[..MARK])?;
                self.input.consume(mark);
            } else {
                self.input.by_ref().take(MARK as u64).read_to_end(&mut head)?;
                let mark = check(&head)?;
                head.drain(..mark);
            }
            self.head = Some((head, 0));
        }
        Ok(self.head.as_ref().map_or(&[], |(head, taken)| &head[*taken..]))
    }
}

/// The length of the byte order mark that the text begins with.
fn check(head: &[u8]) -> IoResult<usize> {
    match *head {
        [0xef, 0xbb, 0xbf] => Ok(MARK),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err(Error::new(ErrorKind::InvalidData, NotUtf8)),
        [0, letter, ..] | [letter, 0, ..] if letter.is_ascii_graphic() => {
            Err(Error::new(ErrorKind::InvalidData, NotUtf8))
        }
        _ => Ok(0),
    }
}

impl<R: BufRead> Read for Text<R> {
    fn read(&mut self, out: &mut [u8]) -> IoResult<usize> {
        let read = self.head()?.read(out)?;
        if read == 0 {
            return self.input.read(out);
        }
        self.consume(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Text<R> {
    fn fill_buf(&mut self) -> IoResult<&[u8]> {
        if self.head()?.is_empty() { self.input.fill_buf() } else { self.head() }
    }

    fn consume(&mut self, amount: usize) {
        match &mut self.head {
            Some((head, taken)) if *taken < head.len() => *taken += amount,
            _ => self.input.consume(amount),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(bytes: &[u8]) -> IoResult<Vec<u8>> {
        let mut text = Vec::new();
        Text::new(std::io::BufReader::with_capacity(1, bytes)).read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn one_byte_order_mark_is_removed_and_only_at_the_start() {
        for (bytes, expected) in [
            (&b"\xef\xbb\xbf>a\n"[..], &b">a\n"[..]),
            (b">a\n", b">a\n"),
            (b"", b""),
            (b">", b">"),
            (b"\xef\xbb\xbf", b""),
            (b"\xef\xbb", b"\xef\xbb"),
            (b"\xef\xbb\xbf\xef\xbb\xbfx", b"\xef\xbb\xbfx"),
            (b"ab\xef\xbb\xbf", b"ab\xef\xbb\xbf"),
        ] {
            assert_eq!(text_of(bytes).unwrap(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn utf_16_is_told_with_and_without_its_mark() {
        for bytes in [&b"\xff\xfe>\0a\0"[..], b"\xfe\xff\0>\0a", b">\0a\0", b"\0>\0a"] {
            assert!(is_not_utf8(&text_of(bytes).unwrap_err()), "{bytes:?}");
        }
        assert_eq!(text_of(b"\0\0\0").unwrap(), b"\0\0\0");
    }

    #[test]
    fn the_buffer_is_left_to_those_who_tell_formats_by_it() {
        for bytes in [&b"name\tchrom\n"[..], b"\xef\xbb\xbfname\tchrom\n"] {
            assert_eq!(Text::new(bytes).fill_buf().unwrap(), b"name\tchrom\n");
        }
    }
}
