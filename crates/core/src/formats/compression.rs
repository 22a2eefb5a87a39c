//! Opens plain, gzip and BGZF files as one stream of bytes, told apart by content and never by name.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::num::NonZero;
use std::path::Path;

use anyhow::{Context, Result, bail};
use noodles_bgzf as bgzf;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Plain,
    /// Ordinary gzip, which cannot be entered in the middle.
    Gzip,
    /// Blocked gzip (SAM specification, section 4.1), which can.
    Bgzf,
}

/// The empty block that ends every whole BGZF file (SAM specification, section 4.1.2).
const BGZF_END: [u8; 28] =
    [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, b'B', b'C', 2, 0, 0x1b, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Looks at the first bytes of a file.
///
/// # Errors
/// The file cannot be read, is empty, or is compressed in a way this program does not read.
pub fn detect(path: &Path) -> Result<Compression> {
    let mut file = open_file(path)?;
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

/// Opens a file for one pass from its start, decoded.
pub fn open(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    let compression = detect(path)?;
    let file = open_file(path)?;
    Ok(match compression {
        Compression::Plain => Box::new(BufReader::with_capacity(1 << 20, file)),
        Compression::Gzip => gunzip(file),
        Compression::Bgzf => {
            let workers = NonZero::new(rayon::current_num_threads()).unwrap_or(NonZero::<usize>::MIN);
            Box::new(bgzf::io::MultithreadedReader::with_worker_count(workers, file))
        }
    })
}

/// The first byte of a file, decoded, without starting the threads that reading all of it takes.
pub fn first_byte(path: &Path, compression: Compression) -> Result<Option<u8>> {
    let file = BufReader::new(open_file(path)?);
    let mut byte = [0];
    let read = match compression {
        Compression::Plain => { file }.read(&mut byte),
        Compression::Gzip => flate2::bufread::MultiGzDecoder::new(file).read(&mut byte),
        Compression::Bgzf => bgzf::io::Reader::new(file).read(&mut byte),
    };
    Ok((read.map_err(|error| read_error(path, &error))? > 0).then_some(byte[0]))
}

/// Decodes ordinary gzip, one member after another, as `gzip` and `cat` write them.
pub fn gunzip<R: Read + Send + 'static>(file: R) -> Box<dyn BufRead + Send> {
    let file = BufReader::with_capacity(1 << 16, file);
    Box::new(BufReader::with_capacity(1 << 20, flate2::bufread::MultiGzDecoder::new(file)))
}

/// What went wrong while reading, as one sentence that names the file.
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

/// The gzi index of a BGZF file, read off its block headers without decoding anything.
pub fn index_bgzf(path: &Path) -> Result<bgzf::gzi::Index> {
    let mut file = BufReader::new(open_file(path)?);
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

fn check_bgzf_end(file: &mut File, path: &Path) -> Result<()> {
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

fn open_file(path: &Path) -> Result<File> {
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
    Ok(file)
}
