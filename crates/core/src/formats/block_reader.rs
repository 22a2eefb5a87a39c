//! Decompression of BGZF by several threads, some blocks at a time. The reader of noodles hands over each block by itself, and its
//! threads spin while they wait: where other programs want the processors too, reading took eight times its processor time.

use std::io::{BufRead, Error, ErrorKind, Read, Result as IoResult};
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::formats::members::{BLOCK_HEADER, Blocks, block_size};

/// Blocks that are decompressed at once, 256 KiB of data.
const BATCH: usize = if cfg!(any(fuzzing, test)) { 2 } else { 4 };

/// Bytes of a block behind its data: a checksum and the length of what was compressed.
const TRAILER: usize = 8;

/// The most that a block holds (SAM specification, section 4.1).
const LARGEST: usize = 1 << 16;

/// What blocks were decompressed to, or why not.
type Batch = IoResult<Vec<u8>>;

/// The contents of blocks that follow each other.
pub struct BlockReader<R> {
    /// In the order of the file, each from the thread that decompresses it.
    batches: Receiver<Receiver<Batch>>,
    reader: JoinHandle<Blocks<R>>,
    current: Vec<u8>,
    taken: usize,
    failed: Option<ErrorKind>,
}

impl<R: Read + Send + 'static> BlockReader<R> {
    /// Decompresses blocks with so many threads.
    pub fn new(blocks: Blocks<R>, workers: NonZero<usize>) -> Self {
        let (send, batches) = sync_channel(workers.get());
        let reader = thread::spawn(move || read(blocks, workers.get(), &send));
        Self { batches, reader, current: Vec::new(), taken: 0, failed: None }
    }

    /// What follows the blocks, once all of them were read.
    ///
    /// # Errors
    /// A thread ended before its time.
    pub fn finish(self) -> IoResult<Blocks<R>> {
        let Self { batches, reader, .. } = self;
        drop(batches);
        reader.join().map_err(|_| ended())
    }
}

impl<R> Read for BlockReader<R> {
    fn read(&mut self, out: &mut [u8]) -> IoResult<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R> BufRead for BlockReader<R> {
    fn fill_buf(&mut self) -> IoResult<&[u8]> {
        while self.taken == self.current.len() {
            if let Some(kind) = self.failed {
                return Err(kind.into());
            }
            let Ok(batch) = self.batches.recv() else { return Ok(&[]) };
            self.current = batch.recv().unwrap_or_else(|_| Err(ended())).inspect_err(|error| {
                self.failed = Some(error.kind());
            })?;
            self.taken = 0;
        }
        Ok(&self.current[self.taken..])
    }

    fn consume(&mut self, amount: usize) {
        self.taken = (self.taken + amount).min(self.current.len());
    }
}

/// The error of a thread that ended before its time.
fn ended() -> Error {
    Error::other("a thread that decompresses has ended")
}

/// Reads blocks in order and hands them to the threads that decompress, until they end or nobody wants more.
fn read<R: Read>(mut blocks: Blocks<R>, workers: usize, send: &SyncSender<Receiver<Batch>>) -> Blocks<R> {
    let (give, take) = sync_channel::<(Vec<u8>, SyncSender<Batch>)>(workers);
    let take = Mutex::new(take);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let mut inflate = Decompress::new(false);
                let next = || take.lock().unwrap_or_else(PoisonError::into_inner).recv();
                while let Ok((packed, done)) = next() {
                    let _ = done.send(unpacked(&packed, &mut inflate)); // nobody may want it any more
                }
            });
        }
        let mut ends = false;
        while !ends {
            let mut packed = Vec::new();
            let read =
                (0..BATCH).try_fold(true, |more, _| if more { blocks.append_next(&mut packed) } else { Ok(false) });
            ends = !matches!(read, Ok(true));
            // What was read before a fault comes before it.
            if !packed.is_empty() {
                let (done, batch) = sync_channel(1);
                ends |= give.send((packed, done)).is_err() || send.send(batch).is_err();
            }
            if let Err(error) = read {
                let (done, batch) = sync_channel(1);
                let _ = done.send(Err(error)).map(|()| send.send(batch));
            }
        }
        drop(give);
    });
    blocks
}

/// What whole blocks hold.
fn unpacked(mut packed: &[u8], inflate: &mut Decompress) -> Batch {
    let damaged = |what| Error::new(ErrorKind::InvalidData, what);
    let mut data = Vec::new();
    while let Some(size) = block_size(packed) {
        let (block, rest) = packed.split_at_checked(size).ok_or(ErrorKind::UnexpectedEof)?;
        let (compressed, trailer) = block[BLOCK_HEADER..].split_at(size - BLOCK_HEADER - TRAILER);
        let word = |at: usize| u32::from_le_bytes([trailer[at], trailer[at + 1], trailer[at + 2], trailer[at + 3]]);
        let (checksum, length) = (word(0), word(4) as usize);
        if length > LARGEST {
            return Err(damaged("a block holds more than BGZF allows"));
        }
        let start = data.len();
        data.resize(start + length, 0);
        inflate.reset(false);
        let status = inflate.decompress(compressed, &mut data[start..], FlushDecompress::Finish);
        if !matches!(status, Ok(Status::StreamEnd)) || inflate.total_out() != length as u64 {
            return Err(damaged("a block does not hold what it says"));
        }
        let mut found = Crc::new();
        found.update(&data[start..]);
        if found.sum() != checksum {
            return Err(damaged("the checksum of a block is wrong"));
        }
        packed = rest;
    }
    Ok(data)
}
