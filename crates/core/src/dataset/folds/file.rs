//! Fold files: the chromosomes that one fold trains, validates and tests on, as ChromBPNet (Pampari and others, 2025) has them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dataset::split::Split;
use crate::files;
use crate::format::list_first;
use crate::genome::names::{NameIndex, list_names, same_name};

/// The chromosomes of a fold; all empty where its parts are not of chromosomes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldLists {
    /// Chromosomes to train on.
    pub train: Vec<String>,
    /// Chromosomes to validate on.
    pub valid: Vec<String>,
    /// Chromosomes to test on.
    pub test: Vec<String>,
}

impl FoldLists {
    /// The lists by split.
    pub fn lists(&self) -> [(Split, &Vec<String>); 3] {
        [(Split::Train, &self.train), (Split::Valid, &self.valid), (Split::Test, &self.test)]
    }

    fn list_mut(&mut self, split: Split) -> &mut Vec<String> {
        match split {
            Split::Train => &mut self.train,
            Split::Valid => &mut self.valid,
            Split::Test => &mut self.test,
        }
    }

    /// Reads a fold file.
    ///
    /// # Errors
    /// It cannot be read, is no such file, has other keys, an empty list, or a chromosome in two lists.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => anyhow!("{shown}: no such file, expected a fold file; check the path"),
            _ => anyhow!("{shown}: cannot be read ({error}), expected a fold file"),
        })?;
        let form = "{\"train\": [...], \"valid\": [...], \"test\": [...]}";
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| anyhow!("{shown}: is not JSON ({error}), expected {form}; correct the file"))?;
        let Some(object) = value.as_object() else {
            bail!("{shown}: holds no JSON object, expected {form}; correct the file")
        };
        if let Some(other) = object.keys().find(|key| Split::ALL.iter().all(|split| split.name() != **key)) {
            let meant = Split::named(other)
                .map_or_else(|| "remove it".to_owned(), |split| format!("rename it to '{}'", split.name()));
            bail!("{shown}: found the key '{other}', expected train, valid and test and no other; {meant}");
        }
        let (mut lists, mut seen) = (Self::default(), HashMap::new());
        for split in Split::ALL {
            let name = split.name();
            let Some(list) = object.get(name) else {
                bail!("{shown}: has no key '{name}', expected {form}; add the list")
            };
            let names: Option<Vec<&str>> = list.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
            let Some(names) = names else {
                bail!("{shown}: '{name}' is no list of names, expected [\"chr1\", ...]; correct it")
            };
            let names: Vec<&str> = names.into_iter().map(str::trim).filter(|name| !name.is_empty()).collect();
            if names.is_empty() {
                let why = match split {
                    Split::Train => "to train on",
                    Split::Valid => "to choose the epoch and the threshold by",
                    Split::Test => "to test on",
                };
                bail!("{shown}: the list '{name}' is empty, expected a chromosome or more {why}; add some");
            }
            for chromosome in names {
                match seen.insert(same_name(chromosome).to_owned(), split) {
                    Some(other) if other != split => bail!(
                        "{shown}: chromosome '{chromosome}' is in {} and in {name}, expected in one of the lists; remove it from the other",
                        other.name()
                    ),
                    Some(_) => {} // twice in one list is once
                    None => lists.list_mut(split).push(chromosome.to_owned()),
                }
            }
        }
        Ok(lists)
    }

    /// The same with the names of chromosomes that the data have, as these spell them; also those of the names that they lack.
    ///
    /// # Errors
    /// The data have no chromosome of one of the lists.
    fn among(&self, path: &Path, known: &[&str]) -> Result<(Self, Vec<String>)> {
        let (index, mut found, mut absent) = (NameIndex::new(known.iter().copied()), Self::default(), Vec::new());
        for (split, names) in self.lists() {
            for name in names {
                match index.find(name) {
                    Some(place) => found.list_mut(split).push(known[place].to_owned()),
                    None => absent.push(name.clone()),
                }
            }
            if found.list_mut(split).is_empty() {
                bail!(
                    "{}: the list '{}' names {}, and no example lies there, expected names among {}; correct the names",
                    path.display(),
                    split.name(),
                    list_first(names, 3),
                    list_names(known.iter().copied())
                );
            }
        }
        Ok((found, absent))
    }
}

/// Reads the files of all folds, for data on these chromosomes; also the names that the data lack.
///
/// # Errors
/// A file is no fold file, names no chromosome of the data for a part, or tests one that another tests.
pub(super) fn read_all(paths: &[PathBuf], known: &[&str]) -> Result<(Vec<FoldLists>, Vec<String>)> {
    let (mut folds, mut absent, mut tested) = (Vec::new(), Vec::new(), HashMap::<String, &Path>::new());
    for path in paths {
        let lists = FoldLists::read(path)?;
        for name in &lists.test {
            if let Some(other) = tested.insert(same_name(name).to_owned(), path) {
                bail!(
                    "{} and {} both test on chromosome '{name}', expected each to be tested by one fold, so that no example counts twice; remove it from one",
                    other.display(),
                    path.display()
                );
            }
        }
        let (found, missing) = lists.among(path, known)?;
        folds.push(found);
        absent.extend(missing);
    }
    let mut seen = HashSet::new();
    absent.retain(|name| seen.insert(same_name(name).to_owned()));
    Ok((folds, absent))
}

/// Writes a file `fold_K.json` for each fold into a folder, which is made where it is not there; returns their paths.
///
/// # Errors
/// The folds are not of chromosomes, a file is there already and `force` is not set, or cannot be written.
pub fn write(folds: &[FoldLists], folder: &Path, force: bool) -> Result<Vec<PathBuf>> {
    if folds.iter().any(|fold| fold.lists().iter().any(|(_, names)| names.is_empty())) {
        bail!(
            "--write-folds writes the chromosomes of folds, and these folds are not of chromosomes; use --split-by chromosome"
        );
    }
    let paths: Vec<PathBuf> = (0..folds.len()).map(|fold| folder.join(format!("fold_{fold}.json"))).collect();
    std::fs::create_dir_all(folder).map_err(|error| files::cannot_write(folder, &error))?;
    paths.iter().try_for_each(|path| files::check_output_file(path, force))?;
    for (fold, path) in folds.iter().zip(&paths) {
        let mut text = serde_json::to_string_pretty(fold)?;
        text.push('\n');
        files::write_atomically(path, text.as_bytes())?;
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let paths = files.iter().map(|(name, text)| {
            std::fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name)
        });
        let paths = paths.collect();
        (folder, paths)
    }

    const KNOWN: [&str; 5] = ["chr1", "chr2", "chr3", "chr4", "chr5"];

    fn error(files: &[(&str, &str)]) -> String {
        let (_folder, paths) = folder(files);
        read_all(&paths, &KNOWN).unwrap_err().to_string()
    }

    #[test]
    fn spellings_are_those_of_the_data_and_what_is_twice_is_once() {
        let (_folder, paths) = folder(&[
            ("a.json", r#"{"train": ["3", "chr3", " 4"], "valid": ["chr2"], "test": ["Chr1", "chrY"]}"#),
            ("b.json", r#"{"train": ["1", "3"], "valid": ["4"], "test": ["2"]}"#),
        ]);
        let (folds, absent) = read_all(&paths, &KNOWN).unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!((&folds[0].train, &folds[0].test), (&names(&["chr3", "chr4"]), &names(&["chr1"])));
        assert_eq!(absent, ["chrY"]);
        let written = write(&folds, &paths[0].parent().unwrap().join("folds"), false).unwrap();
        assert_eq!(read_all(&written, &KNOWN).unwrap().0, folds);
        assert!(write(&folds, written[0].parent().unwrap(), false).unwrap_err().to_string().contains("--force"));
        assert!(
            write(&[FoldLists::default()], Path::new("x"), false)
                .unwrap_err()
                .to_string()
                .contains("not of chromosomes")
        );
    }

    #[test]
    fn what_is_wrong_is_one_sentence() {
        for (text, parts) in [
            ("{", &["a.json: is not JSON"][..]),
            ("[1]", &["holds no JSON object"]),
            (r#"{"train": ["1"], "validation": ["2"], "test": ["3"]}"#, &["'validation'", "rename it to 'valid'"]),
            (r#"{"train": ["1"], "valid": ["2"], "test": ["3"], "x": []}"#, &["'x'", "remove it"]),
            (r#"{"train": ["1"], "valid": ["2"]}"#, &["no key 'test'"]),
            (r#"{"train": ["1"], "valid": [], "test": ["3"]}"#, &["'valid' is empty", "threshold"]),
            (r#"{"train": "1", "valid": ["2"], "test": ["3"]}"#, &["'train' is no list"]),
            (r#"{"train": [1], "valid": ["2"], "test": ["3"]}"#, &["'train' is no list"]),
            (r#"{"train": ["chr1", "2"], "valid": ["3"], "test": ["1"]}"#, &["'1' is in train and in test"]),
            (r#"{"train": ["I"], "valid": ["2"], "test": ["1"]}"#, &["'train' names I", "chr1"]),
            (r#"{"train": ["2"], "valid": ["3"], "test": ["IV"]}"#, &["'test' names IV", "chr1"]),
        ] {
            let found = error(&[("a.json", text)]);
            assert!(parts.iter().all(|part| found.contains(part)) && !found.contains('\n'), "{text}: {found}");
        }
        let a = r#"{"train": ["3"], "valid": ["2"], "test": ["1"]}"#;
        let b = r#"{"train": ["2"], "valid": ["3"], "test": ["chr1"]}"#;
        let found = error(&[("a.json", a), ("b.json", b)]);
        assert!(found.contains("a.json and") && found.contains("both test on chromosome 'chr1'"), "{found}");
    }
}
