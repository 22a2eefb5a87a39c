//! Checksums of a finished run's files, in the format of `sha256sum --check`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, anyhow, bail};

use crate::run::{CHECKSUMS, Contents, FIRST_WITH_CHECKSUMS, REPORT_HTML, RunFolder, sha256, sha256_of};

/// Checksums by the names of files.
#[derive(Debug, Default)]
pub struct Manifest(BTreeMap<String, String>);

impl Manifest {
    /// Checksums of the files that a run folder holds, except the report that is made from them.
    ///
    /// # Errors
    /// A file of the run cannot be read.
    pub fn of(run: &RunFolder) -> Result<Self> {
        let has_one = |name: &&str| ![CHECKSUMS, REPORT_HTML].contains(name) && run.file(name).is_file();
        let names = Contents::Run.files().into_iter().filter(has_one);
        names.map(|name| Ok((name.to_owned(), sha256(&run.file(name))?))).collect::<Result<_>>().map(Self)
    }

    /// Adds a file that is about to be written.
    pub fn add(&mut self, name: &str, bytes: &[u8]) {
        self.0.insert(name.to_owned(), sha256_of(bytes));
    }

    /// Writes `checksums.sha256`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, run: &RunFolder) -> Result<()> {
        let lines: String = self.0.iter().map(|(name, checksum)| format!("{checksum}  {name}\n")).collect();
        run.write(CHECKSUMS, lines.as_bytes())
    }

    /// Reads the checksums of a run; `None` if its format version has none.
    ///
    /// # Errors
    /// The file cannot be read, or a line is malformed.
    pub fn read(run: &RunFolder, version: u32) -> Result<Option<Self>> {
        let path = run.file(CHECKSUMS);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(_) if version < FIRST_WITH_CHECKSUMS => return Ok(None),
            Err(error) => bail!("{}: cannot be read ({error}); restore it or train again", path.display()),
        };
        let text = String::from_utf8_lossy(&bytes);
        let line = |(number, line): (usize, &str)| match line.split_once("  ") {
            Some((checksum, name)) if checksum.len() == 64 && is_plain_name(name) => Ok((name.into(), checksum.into())),
            _ => Err(anyhow!(
                "{}: line {} is not a checksum, two spaces and the name of a file in the folder; restore the file or train again",
                path.display(),
                number + 1
            )),
        };
        text.lines().enumerate().map(line).collect::<Result<_>>().map(|checksums| Some(Self(checksums)))
    }

    /// Whether a file has a checksum.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The names of the files with checksums.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Checks that a file of the run is unchanged since the run ended.
    ///
    /// # Errors
    /// The file is missing, has changed or is not listed.
    pub fn check(&self, run: &RunFolder, name: &str) -> Result<()> {
        let path = run.file(name);
        match self.0.get(name) {
            None => bail!("{}: has no line in {CHECKSUMS}; restore that file or train again", path.display()),
            Some(checksum) if *checksum == sha256(&path)? => Ok(()),
            Some(_) => bail!("{}: has changed since the run ended; restore it or train again", path.display()),
        }
    }
}

fn is_plain_name(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|file| file == name)
}
