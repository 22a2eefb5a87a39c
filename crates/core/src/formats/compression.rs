//! Opens plain, gzip and BGZF files, pipes and standard input as a stream of text. The compression is detected from the
//! content, never from the name; a byte order mark is removed.

use std::fs::{File, Metadata};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use anyhow::{Result, anyhow, bail};
use noodles_bgzf as bgzf;

use crate::files::streams::{self, Source};
use crate::formats::members::{Ahead, BGZF_END, BLOCK_HEADER, BUFFER, Members, Oddities, block_size};
use crate::formats::text::{Text, is_not_utf8};

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not compressed.
    Plain,
    /// Ordinary gzip, which allows no random access.
    Gzip,
    /// Blocked gzip (SAM specification, section 4.1), which does, unless ordinary gzip follows it.
    Bgzf,
}

/// A file that was opened and inspected once; all further reads go through this handle.
pub struct InputFile {
    path: PathBuf,
    file: Arc<File>,
    metadata: Metadata,
    compression: Compression,
    /// Offsets of the BGZF blocks, read on first use; `None` where something else stands among them.
    blocks: OnceLock<Option<bgzf::gzi::Index>>,
}

impl InputFile {
    /// Opens a file and detects its compression from the first bytes. Of a pipe or standard input (`-`) a temporary copy is
    /// made, so that it can be read more than once.
    ///
    /// # Errors
    /// The file cannot be read, is empty, or has an unsupported compression; or a pipe was read before.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, metadata) = streams::open(path)?.into_file(path)?;
        let compression = detect(path, &mut Ahead::new(FromStart::new(&file)))?;
        Ok(Self { path: path.into(), file, metadata, compression, blocks: OnceLock::new() })
    }

    /// Path that the file was opened by, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Compression found in the first bytes of the file.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Size of the file on disk in bytes, compressed if it is.
    pub fn size(&self) -> u64 {
        self.metadata.len()
    }

    /// Time of the last modification, if the system provides it.
    pub fn modified(&self) -> Option<SystemTime> {
        self.metadata.modified().ok()
    }

    /// The file itself, for reads at offsets; its cursor is not used.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// A reader of the decompressed text, from the start, without its byte order mark.
    pub fn reader(&self) -> Box<dyn BufRead + Send> {
        Box::new(Text::new(self.bytes()))
    }

    /// A reader of the decompressed bytes as they are, from the start.
    pub fn bytes(&self) -> Box<dyn BufRead + Send> {
        decompress(&self.path, Ahead::new(FromStart::new(&self.file)), self.compression)
    }

    /// The gzi index of a BGZF file, read from its block headers without decompression; `None` if it is not BGZF from the
    /// first byte to the last.
    ///
    /// # Errors
    /// A block is damaged.
    pub fn blocks(&self) -> Result<Option<&bgzf::gzi::Index>> {
        if self.blocks.get().is_none() {
            let is_bgzf = self.compression == Compression::Bgzf;
            let blocks = if is_bgzf { index_bgzf(&self.path, FromStart::new(&self.file))? } else { None };
            let _ = self.blocks.set(blocks);
        }
        Ok(self.blocks.get().and_then(Option::as_ref))
    }
}

/// A reader with its own cursor, so that one open file serves any number of readers.
pub struct FromStart {
    file: Arc<File>,
    position: u64,
}

impl FromStart {
    /// A reader at byte 0 of an open file, sharing its descriptor but not its cursor.
    pub fn new(file: &Arc<File>) -> Self {
        Self { file: file.clone(), position: 0 }
    }
}

impl Read for FromStart {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(out, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for FromStart {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.file.metadata()?.len().checked_add_signed(offset),
        };
        self.position = position.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// Opens a file, a pipe or standard input (`-`) for one pass over its decompressed text, without its byte order mark.
///
/// # Errors
/// As [`InputFile::open`].
pub fn open(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    Ok(open_detected(path)?.0)
}

/// Like [`open`], and says how it is compressed.
///
/// # Errors
/// As [`InputFile::open`].
pub fn open_detected(path: &Path) -> Result<(Box<dyn BufRead + Send>, Compression)> {
    let input: Box<dyn Read + Send> = match streams::open(path)? {
        Source::File(file, _) => Box::new(FromStart::new(&file)),
        Source::Stream(stream) => Box::new(stream),
    };
    let mut input = Ahead::new(input);
    let compression = detect(path, &mut input)?;
    Ok((Box::new(Text::new(decompress(path, input, compression))), compression))
}

/// Detects the compression from the first bytes.
fn detect<R: Read>(path: &Path, input: &mut Ahead<R>) -> Result<Compression> {
    let head = input.peek(BLOCK_HEADER).map_err(|error| read_error(path, &error))?;
    let other = |name: &str, tool: &str| {
        format!(
            "{}: is compressed with {name}, expected plain text, gzip or BGZF; unpack it first ({tool})",
            path.display()
        )
    };
    match head {
        [] => bail!("{}: the file is empty, expected sequences, regions or a table; check the path", path.display()),
        head if block_size(head).is_some() => Ok(Compression::Bgzf),
        [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => bail!(other("Zstandard", "unzstd")),
        [b'B', b'Z', b'h', ..] => bail!(other("bzip2", "bunzip2")),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => bail!(other("xz", "unxz")),
        [b'P', b'K', 3, 4, ..] => bail!(other("zip", "unzip")),
        _ => Ok(Compression::Plain),
    }
}

fn decompress<R: Read + Send + 'static>(
    path: &Path,
    input: Ahead<R>,
    compression: Compression,
) -> Box<dyn BufRead + Send> {
    match compression {
        Compression::Plain => Box::new(BufReader::with_capacity(BUFFER, input)),
        Compression::Gzip | Compression::Bgzf => {
            let workers = NonZero::new(rayon::current_num_threads()).unwrap_or(NonZero::<usize>::MIN);
            Box::new(Members::new(path, input, workers))
        }
    }
}

/// The error of a failed read, as one sentence that names the file.
pub fn read_error(path: &Path, error: &std::io::Error) -> anyhow::Error {
    use std::io::ErrorKind::{InvalidData, InvalidInput, IsADirectory, UnexpectedEof};
    let path = path.display();
    match error.kind() {
        _ if is_not_utf8(error) => {
            anyhow!("{path}: is UTF-16 text, expected ASCII or UTF-8; convert it first (iconv -f UTF-16 -t UTF-8)")
        }
        UnexpectedEof => anyhow!("{path}: the compressed file ends in the middle; copy or download it again"),
        InvalidData | InvalidInput => anyhow!("{path}: the file is damaged ({error}); copy or download it again"),
        IsADirectory => anyhow!("{path}: is a folder, expected a file; name the file"),
        _ => anyhow!("{path}: cannot be read ({error})"),
    }
}

/// Reads the headers of all blocks; `None` if ordinary gzip stands among them.
fn index_bgzf(path: &Path, file: FromStart) -> Result<Option<bgzf::gzi::Index>> {
    let mut file = BufReader::new(file);
    let (mut compressed, mut decoded) = (0u64, 0u64);
    let (mut entries, mut oddities) = (Vec::new(), Oddities::default());
    let mut header = [0u8; BLOCK_HEADER];
    loop {
        let filled = read_full(&mut file, &mut header).map_err(|error| read_error(path, &error))?;
        let Some(size) = block_size(&header[..filled]) else {
            match header[..filled].first() {
                None => {}
                Some(0) => {
                    oddities.zeros = true;
                    let is_zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
                    let mut all_zero = is_zero(&header[..filled]);
                    while all_zero {
                        let rest = file.fill_buf().map_err(|error| read_error(path, &error))?;
                        let length = rest.len();
                        all_zero = is_zero(rest);
                        if length == 0 {
                            break;
                        }
                        file.consume(length);
                    }
                    if !all_zero {
                        return Ok(None); // as a reader of the whole will say what follows
                    }
                }
                Some(_) => return Ok(None),
            }
            break;
        };
        let mut decompressed = [0u8; 4];
        file.seek_relative((size - BLOCK_HEADER - decompressed.len()) as i64)
            .and_then(|()| file.read_exact(&mut decompressed))
            .map_err(|error| read_error(path, &error))?;
        let decompressed = u32::from_le_bytes(decompressed);
        compressed += size as u64;
        decoded += u64::from(decompressed);
        oddities.unmarked_end = size != BGZF_END.len() || decompressed != 0;
        entries.push((compressed, decoded));
    }
    oddities.warn(path);
    Ok(Some(bgzf::gzi::Index::from(entries)))
}

/// Reads as many bytes as there are, up to the length of `out`.
fn read_full(input: &mut impl Read, out: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match input.read(&mut out[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// What is written to it reaches `out` as BGZF.
pub fn bgzip<W: std::io::Write>(out: W) -> bgzf::io::Writer<W> {
    bgzf::io::Writer::new(out)
}
