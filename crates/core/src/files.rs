//! Atomic writes and checksums of files, and where they come from if they are pipes.

pub mod streams;

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A file that a run was trained or evaluated on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Absolute path at the time the run read it.
    pub path: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// Suffix of files that are still being written.
const PARTIAL: &str = ".partial";

/// Writes to a temporary file beside `path` and renames it, so that the file is complete or absent.
///
/// # Errors
/// The file cannot be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_through(path, |file| file.write_all(bytes).map_err(|error| cannot_write(path, &error)))
}

/// Like [`write_atomically`], for contents written piece by piece. On an error nothing is left behind.
///
/// # Errors
/// The file cannot be written, or `write` fails.
pub fn write_through(path: &Path, write: impl FnOnce(&mut std::fs::File) -> Result<()>) -> Result<()> {
    let mut file = temporary_beside(path)?;
    write(file.as_file_mut())?;
    persist(file, path)
}

/// A temporary file in the folder of `path`, removed on drop unless it is persisted.
///
/// # Errors
/// The folder cannot be written.
pub fn temporary_beside(path: &Path) -> Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666)); // less the user's umask, as any new file
    }
    builder.prefix(".").suffix(PARTIAL).tempfile_in(folder_of(path)).map_err(|error| cannot_write(path, &error))
}

/// A temporary folder beside `path`, removed on drop with everything in it.
///
/// # Errors
/// The folder cannot be written.
pub fn temporary_folder_beside(path: &Path) -> Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(PARTIAL).tempdir_in(folder_of(path)).map_err(|error| cannot_write(path, &error))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether `path`, which need not exist yet, is `folder` or lies within it, links resolved.
pub fn lies_in(path: &Path, folder: &Path) -> bool {
    let Ok(absolute) = std::path::absolute(path) else { return false };
    let existing = absolute.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    existing.zip(folder.canonicalize().ok()).is_some_and(|(path, folder)| path.starts_with(folder))
}

/// Checks, before any work, that an output file may be written: it is new, or a regular file and `force` is set.
///
/// # Errors
/// The file exists and `force` is not set, is no regular file, or cannot be written.
pub fn check_output_file(path: &Path, force: bool) -> Result<()> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(file) if !file.is_file() => {
            bail!("{shown}: is not a regular file, expected a new file; choose another --out")
        }
        Ok(_) if !force => bail!("{shown}: exists, expected a new file; choose another name or add --force"),
        _ => Ok(()),
    }
}

/// Renames a temporary file to its final name and syncs it to disk.
///
/// # Errors
/// The file cannot be renamed.
pub fn persist(file: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    file.as_file().sync_all().map_err(|error| cannot_write(path, &error))?;
    file.persist(path).map_err(|error| cannot_write(path, &error.error))?;
    // The rename must survive a power failure too.
    sync_folder_of(path);
    Ok(())
}

fn sync_folder_of(path: &Path) {
    // Some file systems do not support this; nothing can be done about it.
    let _ = std::fs::File::open(folder_of(path)).and_then(|folder| folder.sync_all());
}

/// Like [`write_atomically`], but the old file is kept as `previous`: at every moment one of the two exists and is
/// complete.
///
/// # Errors
/// A file cannot be renamed or written.
pub fn write_keeping_previous(path: &Path, previous: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = temporary_beside(path)?;
    file.write_all(bytes).map_err(|error| cannot_write(path, &error))?;
    file.as_file().sync_all().map_err(|error| cannot_write(path, &error))?;
    match std::fs::rename(path, previous) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(cannot_write(previous, &error)),
        _ => {}
    }
    persist(file, path)
}

/// Whether this is the name of a file that is still being written.
pub fn is_partial(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') && name.ends_with(PARTIAL)
}

/// Removes temporary files that a killed process left in a folder that no other process writes to.
pub fn remove_partial_files(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_partial(&entry.file_name()) {
            let _ = std::fs::remove_file(entry.path()).or_else(|_| std::fs::remove_dir_all(entry.path()));
        }
    }
}

/// The error for a path that cannot be written.
pub fn cannot_write(path: &Path, error: &std::io::Error) -> anyhow::Error {
    let advice = match error.kind() {
        std::io::ErrorKind::FileTooLarge => "raise the limit on the size of files (ulimit -f)",
        _ => "free some disk space or choose another place",
    };
    // The message of tempfile also names its temporary path, which means nothing to the user.
    let error = error.to_string();
    let error = error.split(" at path \"").next().unwrap_or(&error);
    CannotWrite(format!("{}: cannot be written ({error}); {advice}", path.display())).into()
}

/// The error for a file that cannot be written, as opposed to faults in its contents.
#[derive(Debug)]
pub struct CannotWrite(String);

impl std::fmt::Display for CannotWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CannotWrite {}

/// Size and checksum of a data file, with its absolute path.
///
/// # Errors
/// The file cannot be read.
pub fn describe_file(path: &Path) -> Result<DataFile> {
    let (file, metadata) = streams::open(path)?.into_file(path)?;
    Ok(DataFile { path: std::path::absolute(path)?, bytes: metadata.len(), sha256: sha256_of_file(&file, path)? })
}

/// The SHA-256 checksum of a file, in hexadecimal.
///
/// # Errors
/// The file cannot be read.
pub fn sha256(path: &Path) -> Result<String> {
    let file = std::fs::File::open(path).map_err(|error| anyhow!("{}: cannot be read ({error})", path.display()))?;
    sha256_of_file(&file, path)
}

fn sha256_of_file(file: &std::fs::File, path: &Path) -> Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut position = 0;
    loop {
        match file.read_at(&mut buffer, position) {
            Ok(0) => break,
            Ok(read) => {
                digest.update(&buffer[..read]);
                position += read as u64;
            }
            Err(error) => bail!("{}: cannot be read ({error})", path.display()),
        }
    }
    Ok(hexadecimal(digest))
}

/// The SHA-256 checksum of bytes in memory, in hexadecimal.
pub fn sha256_of(bytes: &[u8]) -> String {
    hexadecimal(Sha256::new_with_prefix(bytes))
}

/// The same of what is written, which is not kept.
///
/// # Errors
/// Writing fails.
pub fn sha256_of_written<E>(write: impl FnOnce(&mut dyn Write) -> Result<(), E>) -> Result<String, E> {
    struct Hashing(Sha256);
    impl Write for Hashing {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut hashing = Hashing(Sha256::new());
    write(&mut hashing)?;
    Ok(hexadecimal(hashing.0))
}

fn hexadecimal(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_fails_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        write_atomically(&path, b"old").unwrap();
        write_through(&path, |file| {
            file.write_all(b"half").unwrap();
            bail!("full disk")
        })
        .unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn checksums_are_sha256() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x"), b"abc").unwrap();
        // NIST FIPS 180-2, appendix B.1
        assert_eq!(
            sha256(&folder.path().join("x")).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
