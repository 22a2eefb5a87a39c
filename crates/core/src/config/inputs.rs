//! Values of flags that name files: classes, regions' negatives, and signal tracks.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::config::nearest;

/// The negatives for a single set of regions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamedPath {
    /// Class, without surrounding spaces; empty where none is named.
    pub name: String,
    /// FASTA, FASTQ or BED, depending on the flag.
    pub path: PathBuf,
}

impl FromStr for NamedPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, path)) if !name.trim().is_empty() && !path.trim().is_empty() => {
                Ok(Self { name: name.trim().to_owned(), path: path.trim().into() })
            }
            None if !text.trim().is_empty() => Ok(Self { name: String::new(), path: text.trim().into() }),
            _ => Err(format!("found '{text}', expected NAME=PATH, such as human=hg38.fa.gz")),
        }
    }
}

impl std::fmt::Display for NamedPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name.as_str() {
            "" => write!(f, "{}", self.path.display()),
            name => write!(f, "{name}={}", self.path.display()),
        }
    }
}

/// A signal track: `NAME=FILE.bw`, or `NAME=PLUS.bw,MINUS.bw` with a file for each strand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

impl FromStr for SignalTrack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault =
            || format!("found '{text}', expected NAME=FILE.bw, or NAME=PLUS.bw,MINUS.bw with a file for each strand");
        let (name, files) = text.split_once('=').ok_or_else(fault)?;
        let (name, files) = (name.trim(), files.trim());
        let pair = |(at, _): (usize, &str)| (files[..at].trim(), files[at + 1..].trim());
        let mut pairs: Vec<(&str, &str)> = files.match_indices(',').map(pair).collect();
        // A path may hold commas, which only the files that are there tell from the one between two files.
        if Path::new(files).exists() {
            pairs.clear();
        } else if let Some(there) =
            pairs.iter().find(|(plus, minus)| [plus, minus].iter().all(|path| Path::new(path).exists()))
        {
            pairs = vec![*there];
        }
        let (path, minus) = match pairs[..] {
            [] => (files, None),
            [(plus, minus)] => (plus, Some(minus)),
            _ => return Err(fault()),
        };
        if name.is_empty() || name.contains(',') || path.is_empty() || minus.is_some_and(str::is_empty) {
            return Err(fault());
        }
        Ok(Self { name: name.to_owned(), path: path.into(), minus: minus.map(PathBuf::from) })
    }
}

impl std::fmt::Display for SignalTrack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.name, self.path.display())?;
        self.minus.iter().try_for_each(|minus| write!(f, ",{}", minus.display()))
    }
}

/// How the signal of a window becomes one value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
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
