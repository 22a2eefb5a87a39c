//! Files, pipes and standard input by their path. What is no file can be read once: whoever reads it again is told so,
//! unless a copy is kept, which goes with the process or becomes a file of the run.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow, bail};

use crate::files::{cannot_write, write_through};

/// What a path leads to.
pub enum Source {
    /// A file, or the kept copy of a pipe, which can be read at any offset.
    File(Arc<File>, Metadata),
    /// A pipe or standard input, from where it is now.
    Stream(File),
}

/// Device and inode, which a stream keeps under whatever path it is opened.
type Key = (u64, u64);

/// The streams that this process has read, with the copies that were kept.
static READ: Mutex<BTreeMap<Key, Option<Arc<File>>>> = Mutex::new(BTreeMap::new());

/// Copies under the path of the file that they become.
static KEPT: Mutex<BTreeMap<PathBuf, Arc<File>>> = Mutex::new(BTreeMap::new());

/// Opens a path, where `-` is standard input.
///
/// # Errors
/// It does not exist or cannot be read, is a folder or a device, or is a pipe that was read before.
pub fn open(path: &Path) -> Result<Source> {
    if let Some(copy) = locked(&KEPT).get(path) {
        return Source::of_copy(copy.clone(), path);
    }
    let Some((key, stream)) = stream(path)? else {
        let opened = if is_dash(path) { standard_input() } else { File::open(path) };
        let file = opened.map_err(|error| cannot_open(path, &error))?;
        let metadata = file.metadata().with_context(|| format!("{}: cannot be read", path.display()))?;
        return Ok(Source::File(Arc::new(file), metadata));
    };
    // Before a named pipe is opened, which waits for a writer.
    {
        let mut read = locked(&READ);
        match read.get(&key) {
            Some(Some(copy)) => return Source::of_copy(copy.clone(), path),
            Some(None) => bail!(
                "{}: is a pipe or standard input that was read already, expected a file for what is read twice; save it in a file and name that",
                path.display()
            ),
            None => drop(read.insert(key, None)),
        }
    }
    match stream {
        Some(stream) => Ok(Source::Stream(stream)),
        None => File::open(path).map(Source::Stream).map_err(|error| cannot_open(path, &error)),
    }
}

/// Keeps temporary copies of those of the paths that are pipes or standard input, so that they can be read as often as
/// files. Paths that cannot be opened are left to whoever opens them.
///
/// # Errors
/// Two of the paths are the same stream, it was read before, or there is no room for a copy.
pub fn keep<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    let mut streams: Vec<(Key, &Path)> = Vec::new();
    for path in paths {
        let Ok(Some((key, _))) = stream(path) else { continue };
        if let Some((_, other)) = streams.iter().find(|(known, _)| *known == key) {
            let other = match other {
                other if *other == path => "is".into(),
                other => format!("and {} are the same stream,", other.display()),
            };
            bail!(
                "{}: {other} named twice, expected two files, as a pipe or standard input can be read once; save it in a file",
                path.display()
            );
        }
        streams.push((key, path));
    }
    for (key, path) in streams {
        let (copy, _) = open(path)?.into_file(path)?;
        locked(&READ).insert(key, Some(copy));
    }
    Ok(())
}

/// Keeps copies of those of the paths that are pipes or standard input as files of a folder to come, and puts the paths of
/// these files in their place; each has a name. Until [`write_kept`] the copies are temporary.
///
/// # Errors
/// As [`keep`].
pub fn keep_in(folder: &Path, mut paths: Vec<(String, &mut PathBuf)>) -> Result<()> {
    keep(paths.iter().map(|(_, path)| path.as_path()))?;
    for (name, path) in &mut paths {
        if is_stream(path) {
            let (copy, _) = open(path)?.into_file(path)?;
            **path = folder.join(name);
            locked(&KEPT).insert(path.to_path_buf(), copy);
        }
    }
    Ok(())
}

/// Keeps a file that was made as one of a folder to come: until [`write_kept`] it is read under that path.
pub fn keep_as(path: &Path, file: File) {
    locked(&KEPT).insert(path.to_path_buf(), Arc::new(file));
}

/// The file that is kept under a path.
pub fn kept(path: &Path) -> Option<Arc<File>> {
    locked(&KEPT).get(path).cloned()
}

/// Writes the copies that are kept as files of this folder.
///
/// # Errors
/// A file cannot be written.
pub fn write_kept(folder: &Path) -> Result<()> {
    let mut kept = locked(&KEPT);
    let paths: Vec<PathBuf> = kept.keys().filter(|path| path.starts_with(folder)).cloned().collect();
    for path in paths {
        if let (Some(folder), Some(copy)) = (path.parent(), kept.get(&path)) {
            std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
            let mut bytes: &File = copy;
            bytes.rewind().map_err(|error| cannot_write(&path, &error))?;
            write_through(&path, |file| {
                std::io::copy(&mut bytes, file).map(drop).map_err(|error| cannot_write(&path, &error))
            })?;
        }
        kept.remove(&path);
    }
    Ok(())
}

fn locked<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a path leads to a pipe or standard input, and not to a file.
pub fn is_stream(path: &Path) -> bool {
    stream(path).is_ok_and(|stream| stream.is_some())
}

impl Source {
    fn of_copy(copy: Arc<File>, path: &Path) -> Result<Self> {
        let metadata = copy.metadata().with_context(|| format!("{}: cannot be read", path.display()))?;
        Ok(Self::File(copy, metadata))
    }

    /// A file; of a stream a temporary copy, which goes when it is no longer used.
    ///
    /// # Errors
    /// The stream cannot be read, or there is no room for the copy.
    pub fn into_file(self, path: &Path) -> Result<(Arc<File>, Metadata)> {
        let mut stream = match self {
            Self::File(file, metadata) => return Ok((file, metadata)),
            Self::Stream(stream) => stream,
        };
        let cannot_copy = |error: std::io::Error| match error.kind() {
            ErrorKind::IsADirectory => anyhow!("{}: is a folder, expected a file; name the file", path.display()),
            _ => anyhow!(
                "{}: cannot be copied to a temporary file ({error}); set TMPDIR to a folder with room for it",
                path.display()
            ),
        };
        let mut copy = tempfile::tempfile().map_err(cannot_copy)?;
        std::io::copy(&mut stream, &mut copy).map_err(cannot_copy)?;
        let metadata = copy.metadata().map_err(cannot_copy)?;
        Ok((Arc::new(copy), metadata))
    }
}

/// What identifies a stream, and the stream itself if it is open already; `None` for a file.
fn stream(path: &Path) -> Result<Option<(Key, Option<File>)>> {
    if locked(&KEPT).contains_key(path) {
        return Ok(None);
    }
    let shown = path.display();
    let (metadata, open) = if is_dash(path) {
        let input = standard_input().map_err(|error| cannot_open(path, &error))?;
        (input.metadata().with_context(|| format!("{shown}: cannot be read"))?, Some(input))
    } else {
        (std::fs::metadata(path).map_err(|error| cannot_open(path, &error))?, None)
    };
    let kind = metadata.file_type();
    if kind.is_dir() {
        bail!("{shown}: is a folder, expected a file; name the file");
    }
    // Some of it may have been read by another program.
    let is_begun = open.as_ref().is_some_and(|mut input| input.stream_position().is_ok_and(|position| position > 0));
    if kind.is_file() && !is_begun {
        return Ok(None);
    }
    let is_endless = kind.is_char_device() && !is_dash(path) && path != Path::new("/dev/stdin");
    if is_endless || kind.is_block_device() {
        bail!("{shown}: is a device, expected a file or a pipe; check the path");
    }
    Ok(Some(((metadata.dev(), metadata.ino()), open)))
}

fn is_dash(path: &Path) -> bool {
    path == Path::new("-")
}

/// Standard input with the cursor that it has.
fn standard_input() -> std::io::Result<File> {
    Ok(File::from(std::io::stdin().as_fd().try_clone_to_owned()?))
}

fn cannot_open(path: &Path, error: &std::io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::NotFound => anyhow!("{}: no such file; check the path", path.display()),
        _ => anyhow!("{}: cannot be opened ({error})", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::Command;

    use tempfile::TempDir;

    use super::*;

    /// A named pipe into which a thread writes, once.
    fn pipe(folder: &Path, name: &str, text: &'static str) -> PathBuf {
        let path = folder.join(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let pipe = path.clone();
        std::thread::spawn(move || {
            let mut pipe = std::fs::OpenOptions::new().write(true).open(pipe).unwrap();
            let _ = pipe.write_all(text.as_bytes());
        });
        path
    }

    fn text_of(path: &Path) -> Result<String> {
        let mut text = String::new();
        match open(path)? {
            Source::File(file, metadata) => {
                let mut file: &File = &file;
                file.rewind()?;
                file.read_to_string(&mut text)?;
                assert_eq!(metadata.len(), text.len() as u64);
            }
            Source::Stream(mut stream) => drop(stream.read_to_string(&mut text)?),
        }
        Ok(text)
    }

    // One after the other in one folder: the system may give a pipe the inode of one that is gone.
    #[test]
    fn pipes_are_read_once_and_their_copies_as_often_as_wanted() {
        let folder = tempfile::tempdir().unwrap();
        a_pipe_is_read_once_and_as_often_as_wanted_where_a_copy_is_kept(&folder);
        a_copy_becomes_a_file_of_the_folder(&folder);
    }

    fn a_pipe_is_read_once_and_as_often_as_wanted_where_a_copy_is_kept(folder: &TempDir) {
        let once = pipe(folder.path(), "once", "one");
        assert!(is_stream(&once));
        assert_eq!(text_of(&once).unwrap(), "one");
        let error = text_of(&once).unwrap_err().to_string();
        assert!(error.contains("once: ") && error.contains("read already"), "{error}");

        let kept = pipe(folder.path(), "kept", "two");
        let file = folder.path().join("file");
        std::fs::write(&file, "three").unwrap();
        for _ in 0..2 {
            keep([kept.as_path(), &file, &folder.path().join("missing")]).unwrap();
        }
        assert_eq!([text_of(&kept).unwrap(), text_of(&kept).unwrap()], ["two", "two"]);
        assert!(!is_stream(&file));

        let twice = pipe(folder.path(), "twice", "four");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&twice, &link).unwrap();
        for other in [&twice, &link] {
            let error = keep([twice.as_path(), other]).unwrap_err().to_string();
            assert!(error.contains("twice"), "{error}");
        }
    }

    fn a_copy_becomes_a_file_of_the_folder(folder: &TempDir) {
        let (mut pipe, file) = (pipe(folder.path(), "pipe", "text"), folder.path().join("file"));
        let mut other = file.clone();
        let inputs = folder.path().join("run/inputs");
        keep_in(&inputs, vec![("train".into(), &mut pipe), ("test".into(), &mut other)]).unwrap();
        assert_eq!((&pipe, &other), (&inputs.join("train"), &file));
        assert!(!pipe.exists(), "not before the folder is begun");
        assert_eq!(text_of(&pipe).unwrap(), "text");
        let described = crate::files::describe_file(&pipe).unwrap();
        assert_eq!((described.bytes, described.sha256), (4, crate::files::sha256_of(b"text")));
        write_kept(&folder.path().join("run")).unwrap();
        assert_eq!(std::fs::read_to_string(&pipe).unwrap(), "text");
        assert_eq!(text_of(&pipe).unwrap(), "text");
    }

    #[test]
    fn devices_and_folders_are_refused() {
        for (path, word) in [("/dev/zero", "device"), ("/dev", "folder"), ("/nowhere", "no such file")] {
            let error = text_of(Path::new(path)).unwrap_err().to_string();
            assert!(error.contains(path) && error.contains(word), "{error}");
        }
    }
}
