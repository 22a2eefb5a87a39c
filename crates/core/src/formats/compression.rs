//! Opens plain, gzip and BGZF files as a stream of bytes. The compression is detected from the content, never from the
//! name.

use std::fs::{File, Metadata};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use noodles_bgzf as bgzf;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not compressed.
    Plain,
    /// Ordinary gzip, which allows no random access.
    Gzip,
    /// Blocked gzip (SAM specification, section 4.1), which does.
    Bgzf,
}

/// The empty block at the end of every complete BGZF file (SAM specification, section 4.1.2).
const BGZF_END: [u8; 28] =
    [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, b'B', b'C', 2, 0, 0x1b, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A file that was opened and inspected once; all further reads go through this handle.
pub struct InputFile {
    path: PathBuf,
    file: Arc<File>,
    metadata: Metadata,
    compression: Compression,
    /// Offsets of the BGZF blocks, read on first use.
    blocks: OnceLock<bgzf::gzi::Index>,
}

impl InputFile {
    /// Opens a file and detects its compression from the first bytes.
    ///
    /// # Errors
    /// The file cannot be read, is empty, or has an unsupported compression.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, metadata) = open_file(path)?;
        let file = Arc::new(file);
        let compression = detect(path, FromStart::new(&file))?;
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

    /// A reader of the decompressed contents, from the start.
    pub fn reader(&self) -> Box<dyn BufRead + Send> {
        let file = FromStart::new(&self.file);
        match self.compression {
            Compression::Plain => Box::new(BufReader::with_capacity(1 << 20, file)),
            Compression::Gzip => gunzip(file),
            Compression::Bgzf => {
                let workers = NonZero::new(rayon::current_num_threads()).unwrap_or(NonZero::<usize>::MIN);
                Box::new(bgzf::io::MultithreadedReader::with_worker_count(workers, file))
            }
        }
    }

    /// The first decompressed byte, without the threads that a full read starts.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn first_byte(&self) -> Result<Option<u8>> {
        let file = BufReader::new(FromStart::new(&self.file));
        let mut byte = [0];
        let read = match self.compression {
            Compression::Plain => { file }.read(&mut byte),
            Compression::Gzip => flate2::bufread::MultiGzDecoder::new(file).read(&mut byte),
            Compression::Bgzf => bgzf::io::Reader::new(file).read(&mut byte),
        };
        Ok((read.map_err(|error| read_error(&self.path, &error))? > 0).then_some(byte[0]))
    }

    /// The gzi index of a BGZF file, read from its block headers without decompression.
    ///
    /// # Errors
    /// A block is damaged.
    pub fn blocks(&self) -> Result<&bgzf::gzi::Index> {
        match self.blocks.get() {
            Some(blocks) => Ok(blocks),
            None => {
                let blocks = index_bgzf(&self.path, FromStart::new(&self.file))?;
                Ok(self.blocks.get_or_init(|| blocks))
            }
        }
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

/// Opens a file for one pass over its decompressed contents.
///
/// # Errors
/// As [`InputFile::open`].
pub fn open(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    Ok(InputFile::open(path)?.reader())
}

/// Like [`open`], where `-` is standard input, uncompressed.
///
/// # Errors
/// As [`InputFile::open`].
pub fn open_or_stdin(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    if path == Path::new("-") { Ok(stdin()) } else { open(path) }
}

/// Standard input, uncompressed.
pub fn stdin() -> Box<dyn BufRead + Send> {
    Box::new(BufReader::with_capacity(1 << 16, std::io::stdin()))
}

/// Detects the compression from the first bytes.
fn detect(path: &Path, mut file: FromStart) -> Result<Compression> {
    let mut head = [0u8; 18];
    let mut filled = 0;
    while filled < head.len() {
        match file.read(&mut head[filled..]).with_context(|| format!("{}: cannot be read", path.display()))? {
            0 => break,
            n => filled += n,
        }
    }
    let head = &head[..filled];
    let other = |name: &str, tool: &str| {
        format!(
            "{}: is compressed with {name}, expected plain text, gzip or BGZF; unpack it first ({tool})",
            path.display()
        )
    };
    match head {
        [] => bail!("{}: the file is empty, expected sequences, regions or a table; check the path", path.display()),
        [0x1f, 0x8b, 8, flags, .., b'B', b'C', 2, 0, _, _] if flags & 4 != 0 && filled == 18 => {
            check_bgzf_end(&mut file, path)?;
            Ok(Compression::Bgzf)
        }
        [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => bail!(other("Zstandard", "unzstd")),
        [b'B', b'Z', b'h', ..] => bail!(other("bzip2", "bunzip2")),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => bail!(other("xz", "unxz")),
        [b'P', b'K', 3, 4, ..] => bail!(other("zip", "unzip")),
        _ => Ok(Compression::Plain),
    }
}

/// Decompresses ordinary gzip with any number of members, as `gzip` and `cat` write them.
pub fn gunzip<R: Read + Send + 'static>(file: R) -> Box<dyn BufRead + Send> {
    let file = BufReader::with_capacity(1 << 16, file);
    Box::new(BufReader::with_capacity(1 << 20, flate2::bufread::MultiGzDecoder::new(file)))
}

/// The error of a failed read, as one sentence that names the file.
pub fn read_error(path: &Path, error: &std::io::Error) -> anyhow::Error {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    let path = path.display();
    match error.kind() {
        UnexpectedEof => anyhow::anyhow!("{path}: the compressed file ends in the middle; copy or download it again"),
        InvalidData | InvalidInput => {
            anyhow::anyhow!("{path}: the file is damaged ({error}); copy or download it again")
        }
        _ => anyhow::anyhow!("{path}: cannot be read ({error})"),
    }
}

/// Reads the headers of all blocks.
fn index_bgzf(path: &Path, file: FromStart) -> Result<bgzf::gzi::Index> {
    let mut file = BufReader::new(file);
    let (mut compressed, mut decoded) = (0u64, 0u64);
    let mut entries = Vec::new();
    let mut header = [0u8; 18];
    loop {
        match file.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(read_error(path, &error)),
        }
        let block_size = u64::from(u16::from_le_bytes([header[16], header[17]])) + 1;
        if !header.starts_with(&[0x1f, 0x8b]) || &header[12..14] != b"BC" || block_size < 26 {
            bail!("{}: damaged BGZF block at byte {compressed}; compress the file again with bgzip", path.display());
        }
        let mut size = [0u8; 4];
        file.seek_relative(block_size as i64 - 18 - 4)
            .and_then(|()| file.read_exact(&mut size))
            .map_err(|error| read_error(path, &error))?;
        compressed += block_size;
        decoded += u64::from(u32::from_le_bytes(size));
        entries.push((compressed, decoded));
    }
    Ok(bgzf::gzi::Index::from(entries))
}

fn check_bgzf_end(file: &mut FromStart, path: &Path) -> Result<()> {
    let mut tail = [0u8; BGZF_END.len()];
    let whole = file.seek(SeekFrom::End(-(BGZF_END.len() as i64))).and_then(|_| file.read_exact(&mut tail)).is_ok();
    if !whole || tail != BGZF_END {
        bail!(
            "{}: the end marker of BGZF is missing, so the file was cut short; copy or download it again",
            path.display()
        );
    }
    Ok(())
}

fn open_file(path: &Path) -> Result<(File, Metadata)> {
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => anyhow::anyhow!("{}: no such file; check the path", path.display()),
        _ => anyhow::anyhow!("{}: cannot be opened ({error})", path.display()),
    })?;
    let metadata = file.metadata().with_context(|| format!("{}: cannot be read", path.display()))?;
    if metadata.is_dir() {
        bail!("{}: is a folder, expected a file; name the file", path.display());
    }
    if !metadata.is_file() {
        bail!("{}: is a pipe or device, which cannot be read twice, expected a file; save it first", path.display());
    }
    Ok((file, metadata))
}
