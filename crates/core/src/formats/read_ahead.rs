//! Reading on a thread of its own, so that a file is decompressed while what was read of it is looked at.

use std::io::{BufRead, ErrorKind, Read, Result as IoResult};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// Bytes of a piece: small enough that it is still in the cache when it is looked at.
const PIECE: usize = if cfg!(fuzzing) { 1 << 12 } else { 1 << 17 };

/// Pieces that wait to be looked at.
const WAITING: usize = 16;

/// The bytes of a reader.
pub struct ReadAhead {
    pieces: Receiver<IoResult<Vec<u8>>>,
    current: Vec<u8>,
    taken: usize,
    failed: Option<ErrorKind>,
}

impl ReadAhead {
    /// Reads `input` to its end, or until nobody wants more.
    pub fn new(mut input: Box<dyn BufRead + Send>) -> Self {
        let (send, pieces) = sync_channel(WAITING);
        thread::spawn(move || {
            loop {
                let mut piece = Vec::with_capacity(PIECE);
                let read = input.by_ref().take(PIECE as u64).read_to_end(&mut piece);
                // What was read before a fault comes before it.
                let ends = piece.is_empty() || send.send(Ok(piece)).is_err();
                if let Err(error) = read {
                    let _ = send.send(Err(error));
                    break;
                }
                if ends {
                    break;
                }
            }
        });
        Self { pieces, current: Vec::new(), taken: 0, failed: None }
    }
}

impl Read for ReadAhead {
    fn read(&mut self, out: &mut [u8]) -> IoResult<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for ReadAhead {
    fn fill_buf(&mut self) -> IoResult<&[u8]> {
        if self.taken == self.current.len() {
            if let Some(kind) = self.failed {
                return Err(kind.into());
            }
            let Ok(piece) = self.pieces.recv() else { return Ok(&[]) };
            self.current = piece.inspect_err(|error| self.failed = Some(error.kind()))?;
            self.taken = 0;
        }
        Ok(&self.current[self.taken..])
    }

    fn consume(&mut self, amount: usize) {
        self.taken = (self.taken + amount).min(self.current.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// Gives some bytes, then fails.
    struct Broken(Cursor<Vec<u8>>);

    impl Read for Broken {
        fn read(&mut self, out: &mut [u8]) -> IoResult<usize> {
            match self.0.read(out)? {
                0 => Err(ErrorKind::UnexpectedEof.into()),
                read => Ok(read),
            }
        }
    }

    #[test]
    fn bytes_come_in_order_and_before_the_fault_that_follows_them() {
        let bytes: Vec<u8> = (0..3 * PIECE + 17).map(|i| (i % 251) as u8).collect();
        let mut found = Vec::new();
        ReadAhead::new(Box::new(Cursor::new(bytes.clone()))).read_to_end(&mut found).unwrap();
        assert_eq!(found, bytes);
        found.clear();
        let broken = std::io::BufReader::new(Broken(Cursor::new(bytes.clone())));
        let mut reader = ReadAhead::new(Box::new(broken));
        assert_eq!(reader.read_to_end(&mut found).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(found, bytes);
        assert_eq!(reader.fill_buf().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
