//! Bytes of many sequences, one after another: in memory as far as they may be, in a temporary file beyond. The file has
//! no name, so nothing is left of it however the program ends.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use anyhow::{Result, anyhow};

/// Bytes written to the temporary file at a time.
const BUFFER: usize = 1 << 20;

/// Collects bytes, moving them to a temporary file beyond a limit.
pub struct StoreWriter {
    limit: u64,
    memory: Vec<u8>,
    spilled: Option<BufWriter<File>>,
    length: u64,
}

/// Bytes with random access; clones share them.
#[derive(Clone, Debug)]
pub struct Store {
    bytes: Bytes,
}

#[derive(Clone, Debug)]
enum Bytes {
    Memory(Arc<Vec<u8>>),
    File(Arc<File>),
}

impl StoreWriter {
    /// Holds up to `limit` bytes in memory.
    pub fn new(limit: u64) -> Self {
        Self { limit, memory: Vec::new(), spilled: None, length: 0 }
    }

    /// Number of bytes taken.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Appends bytes, moving all to the temporary file once they exceed the limit.
    ///
    /// # Errors
    /// The temporary file cannot be created or written.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.length += bytes.len() as u64;
        if self.spilled.is_none() && self.length > self.limit {
            let mut file = BufWriter::with_capacity(BUFFER, tempfile::tempfile().map_err(no_space)?);
            file.write_all(&std::mem::take(&mut self.memory)).map_err(no_space)?;
            self.spilled = Some(file);
        }
        match &mut self.spilled {
            Some(file) => file.write_all(bytes).map_err(no_space),
            None => {
                self.memory.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Completes the store.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn finish(self) -> Result<Store> {
        let bytes = match self.spilled {
            Some(file) => Bytes::File(Arc::new(file.into_inner().map_err(|fault| no_space(fault.into_error()))?)),
            None => Bytes::Memory(Arc::new(self.memory)),
        };
        Ok(Store { bytes })
    }
}

impl Store {
    /// Appends the bytes of a range to `out`.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn read(&self, range: Range<u64>, out: &mut Vec<u8>) -> Result<()> {
        match &self.bytes {
            Bytes::Memory(bytes) => out.extend_from_slice(&bytes[range.start as usize..range.end as usize]),
            Bytes::File(file) => {
                let start = out.len();
                out.resize(start + (range.end - range.start) as usize, 0);
                file.read_exact_at(&mut out[start..], range.start).map_err(|error| {
                    anyhow!("the temporary file of sequences cannot be read ({error}); train again")
                })?;
            }
        }
        Ok(())
    }

    #[cfg(test)]
    fn len(&self) -> u64 {
        match &self.bytes {
            Bytes::Memory(bytes) => bytes.len() as u64,
            Bytes::File(file) => file.metadata().unwrap().len(),
        }
    }

    /// Whether the bytes are held in memory.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.bytes, Bytes::Memory(_))
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { bytes: Bytes::Memory(Arc::default()) }
    }
}

fn no_space(error: std::io::Error) -> anyhow::Error {
    anyhow!(
        "sequences beyond --memory need a temporary file, which cannot be written ({error}); set TMPDIR to a larger disk or raise --memory"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_memory_and_from_disk() {
        for limit in [0, 10, 3000, u64::MAX] {
            let mut writer = StoreWriter::new(limit);
            let all: Vec<u8> = (0..5000u32).map(|i| (i % 251) as u8).collect();
            all.chunks(37).for_each(|chunk| writer.push(chunk).unwrap());
            let store = writer.finish().unwrap();
            assert_eq!((store.is_in_memory(), store.len()), (limit > 5000, 5000));
            for range in [0..0, 0..5000, 17..1234, 4999..5000] {
                let mut out = vec![9];
                store.read(range.start as u64..range.end as u64, &mut out).unwrap();
                assert_eq!(out[1..], all[range]);
            }
        }
    }
}
