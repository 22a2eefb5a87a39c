//! Values of flags that name files: classes, regions' negatives, and signal tracks.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::nearest;

/// The negatives for a single set of regions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"\S"))]
pub enum Negatives {
    /// Dinucleotide-preserving shuffles of the regions.
    Shuffle,
    /// Windows of the reference away from the regions, matched to them in GC content and repeats.
    GcMatched,
    /// Windows of the reference away from the regions, drawn uniformly.
    Random,
    /// The regions of this BED file.
    Bed(PathBuf),
}

impl Negatives {
    /// The kinds that are made and not read from a file.
    const KINDS: [&str; 3] = ["shuffle", "gc-matched", "random"];

    /// The fault where no file and no kind has the name, as when a kind is misspelt. A path with a file's ending is left to
    /// whoever reads it.
    pub fn unknown(&self) -> Option<String> {
        let Self::Bed(path) = self else { return None };
        if path.exists() || path.extension().is_some() || path.as_os_str() == "-" {
            return None;
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let name = name.trim();
        let begins = |kind: &&str| kind.len() > name.len() && kind.starts_with(&name.to_ascii_lowercase());
        let meant = Self::KINDS.into_iter().find(begins).or_else(|| nearest::nearest(name, Self::KINDS));
        let hint = meant.map_or_else(String::new, |meant| format!("; did you mean '{meant}'?"));
        let kinds = Self::KINDS.join(", ");
        Some(format!("--negatives is '{name}', expected {kinds} or a BED file, and there is no such file{hint}"))
    }
}

impl FromStr for Negatives {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.trim() {
            "" => return Err(format!("found nothing, expected {} or a BED file", Self::KINDS.join(", "))),
            "shuffle" => Self::Shuffle,
            "gc-matched" => Self::GcMatched,
            "random" => Self::Random,
            path => Self::Bed(path.into()),
        })
    }
}

impl std::fmt::Display for Negatives {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shuffle => f.write_str("shuffle"),
            Self::GcMatched => f.write_str("gc-matched"),
            Self::Random => f.write_str("random"),
            Self::Bed(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A class and a file of it: `NAME=PATH`; or `PATH`, where no class needs a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^[^=]*=.*\S|^[^=]*[^=\s][^=]*$"))]
pub struct NamedPath {
    /// Class, without surrounding spaces; empty where none is named.
    pub name: String,
    /// FASTA, FASTQ or BED, depending on the flag.
    pub path: PathBuf,
}

impl NamedPath {
    /// The same with its path in a folder, unless that is absolute.
    pub fn within(self, folder: &Path) -> Self {
        Self { path: folder.join(self.path), ..self }
    }
}

impl FromStr for NamedPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = text.split_once('=').unwrap_or(("", text));
        match path.trim() {
            "" => Err(format!("found '{text}', expected NAME=PATH, such as human=hg38.fa.gz")),
            path => Ok(Self { name: name.trim().to_owned(), path: path.into() }),
        }
    }
}

impl std::fmt::Display for NamedPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A path may hold an equals sign, which must not be taken for the one behind a name.
        write!(f, "{}={}", self.name, self.path.display())
    }
}

/// A signal track: `NAME=FILE.bw`, or `NAME=PLUS.bw,MINUS.bw` with a file for each strand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^[^=,]*[^=,\s][^=,]*=.*\S"))]
pub struct SignalTrack {
    /// Name of the value, without surrounding spaces.
    pub name: String,
    /// bigWig file; of the plus strand where there is one of the minus strand.
    pub path: PathBuf,
    /// bigWig file of the minus strand.
    pub minus: Option<PathBuf>,
}

impl SignalTrack {
    /// Its files, plus before minus.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.path).chain(&self.minus)
    }

    /// Its files, plus before minus.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        std::iter::once(&mut self.path).chain(&mut self.minus)
    }
}

impl SignalTrack {
    /// Parses a track whose paths lie in a folder, unless they are absolute. A comma of a path is written as `\,`; without that, the
    /// files that are there tell a comma of a path from the one between two files.
    ///
    /// # Errors
    /// The text has another form.
    pub fn within(folder: &Path, text: &str) -> Result<Self, String> {
        let fault =
            || format!("found '{text}', expected NAME=FILE.bw, or NAME=PLUS.bw,MINUS.bw with a file for each strand");
        let (name, files) = text.split_once('=').ok_or_else(fault)?;
        let (name, files) = (name.trim(), files.trim());
        let is_escaped = |at: usize| files[..at].ends_with('\\');
        let commas: Vec<usize> = files.match_indices(',').map(|(at, _)| at).filter(|&at| !is_escaped(at)).collect();
        let path = |text: &str| folder.join(text.trim().replace("\\,", ","));
        let pairs: Vec<(&str, &str)> = commas.iter().map(|&at| (&files[..at], &files[at + 1..])).collect();
        let are_there = |pair: &&(&str, &str)| path(pair.0).exists() && path(pair.1).exists();
        let (plus, minus) = match pairs.as_slice() {
            [] => (files, None),
            _ if path(files).exists() => (files, None),
            [(plus, minus)] => (*plus, Some(*minus)),
            several => several.iter().find(are_there).map(|(plus, minus)| (*plus, Some(*minus))).ok_or_else(fault)?,
        };
        let is_empty = |text: &str| text.trim().is_empty();
        if name.is_empty() || name.contains(',') || is_empty(plus) || minus.is_some_and(is_empty) {
            return Err(fault());
        }
        Ok(Self { name: name.to_owned(), path: path(plus), minus: minus.map(path) })
    }
}

impl FromStr for SignalTrack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::within(Path::new(""), text)
    }
}

impl std::fmt::Display for SignalTrack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let escaped = |path: &Path| path.display().to_string().replace(',', "\\,");
        write!(f, "{}={}", self.name, escaped(&self.path))?;
        self.minus.iter().try_for_each(|minus| write!(f, ",{}", escaped(minus)))
    }
}

/// The control of profiles: `FILE.bw`, or `PLUS.bw,MINUS.bw` with a file for each strand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"\S"))]
pub struct ControlTrack(SignalTrack);

impl ControlTrack {
    const NAME: &str = "control";

    /// Its files, plus before minus.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.paths()
    }

    /// Its files, plus before minus.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.0.paths_mut()
    }

    /// Parses files in a folder, unless their paths are absolute, as [`SignalTrack::within`] does.
    ///
    /// # Errors
    /// The text has another form.
    pub fn within(folder: &Path, text: &str) -> Result<Self, String> {
        let track = SignalTrack::within(folder, &format!("{}={text}", Self::NAME));
        track
            .map(Self)
            .map_err(|_| format!("found '{text}', expected FILE.bw, or PLUS.bw,MINUS.bw with a file for each strand"))
    }
}

impl FromStr for ControlTrack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::within(Path::new(""), text)
    }
}

impl std::fmt::Display for ControlTrack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.split_once('=').map_or("", |(_, files)| files))
    }
}

/// How the signal of a window becomes one value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregate {
    /// Sum over the bases
    #[default]
    Sum,
    /// Mean over the bases; those without a value count as 0
    Mean,
    /// Largest value of a base
    Max,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_back_as_they_were_written_whatever_they_hold() {
        let folder = tempfile::tempdir().unwrap();
        for (plus, minus) in
            [("a.bw", None), ("a.bw", Some("b.bw")), ("x,y/a.bw", None), ("x,y/a=1.bw", Some("x,y/b,c.bw"))]
        {
            let track = SignalTrack { name: "atac".into(), path: plus.into(), minus: minus.map(PathBuf::from) };
            assert_eq!(track.to_string().parse::<SignalTrack>().unwrap(), track);
            let within = SignalTrack::within(folder.path(), &track.to_string()).unwrap();
            assert_eq!(within.path, folder.path().join(plus));
            assert_eq!(within.minus, minus.map(|minus| folder.path().join(minus)));
        }
        // As people type them, where files tell.
        std::fs::write(folder.path().join("p,1.bw"), "").unwrap();
        let typed = SignalTrack::within(folder.path(), "a=p,1.bw").unwrap();
        assert_eq!((typed.path, typed.minus), (folder.path().join("p,1.bw"), None));
        for wrong in ["a.bw", "=a.bw", "a=", "a=b.bw,", "a,b=c.bw", "a=b,c,d"] {
            assert!(wrong.parse::<SignalTrack>().unwrap_err().contains("expected NAME=FILE.bw"), "{wrong}");
        }
        for (name, path) in [("", "date=2024/peaks.bed"), ("open", "date=2024/peaks.bed"), ("", "peaks.bed")] {
            let named = NamedPath { name: name.into(), path: path.into() };
            assert_eq!(named.to_string().parse::<NamedPath>().unwrap(), named);
        }
        assert_eq!(
            "peaks.bed".parse::<NamedPath>().unwrap(),
            NamedPath { name: String::new(), path: "peaks.bed".into() }
        );
    }
}
