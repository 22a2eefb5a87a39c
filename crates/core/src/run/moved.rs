//! Data files of a run that were moved or renamed, found again by size and SHA-256.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::config::Config;
use crate::files::{DataFile, describe_file, sha256};
use crate::run::resolved::MovedFile;
use crate::run::{Provenance, RUN_JSON};

/// How many folders deep the neighbourhood of a run is searched. A `--data-root` is searched to the bottom.
const DEPTH_BESIDE_RUN: usize = 2;

/// The most files that a search looks at, so that `--data-root /` ends.
const MOST_FILES: usize = 2_000_000;

/// Where the data files of a run are now.
#[derive(Debug, Default)]
pub struct DataFiles {
    /// Those that are not at their recorded paths.
    pub moved: Vec<MovedFile>,
    paths: HashMap<PathBuf, PathBuf>,
    /// Links that give renamed files their recorded names, by which examples are named.
    links: Option<tempfile::TempDir>,
}

impl DataFiles {
    /// Finds every data file of a run: at its recorded path, or else a file of the same contents under `roots` or beside the
    /// run folder. Renamed files are read under their recorded names, so that examples are called what the run called them.
    ///
    /// # Errors
    /// A file is nowhere, or only an altered one is; the error ends with `advice`.
    pub fn of_run(provenance: &Provenance, run: &Path, roots: &[PathBuf], advice: &str) -> Result<Self> {
        provenance.check_trained_here(run, "name data of your own, with --test, --genome or --sequences")?;
        let mut search = Search::new(run, roots)?;
        let mut files = Self::default();
        for file in &provenance.data_files {
            let recorded = describe_file(&file.path);
            if recorded.as_ref().is_ok_and(|found| found == file) {
                continue;
            }
            // A copy beside the run is no reason to pass over a change that was made in place, unless it is asked for.
            if let (Ok(found), []) = (&recorded, roots) {
                bail!(
                    "{}: has changed since the run was made ({} bytes, expected {} and the checksum in {RUN_JSON}); {advice}",
                    file.path.display(),
                    found.bytes,
                    file.bytes
                );
            }
            match (search.find(file), recorded) {
                (Some(found), _) => files.add(file, found, true)?,
                (None, Ok(found)) => bail!(
                    "{}: has changed since the run was made ({} bytes, expected {} and the checksum in {RUN_JSON}), and {}; {advice}",
                    file.path.display(),
                    found.bytes,
                    file.bytes,
                    search.nothing(file)
                ),
                (None, Err(_)) => {
                    bail!(
                        "{}: the run's own data cannot be read, and {}; {advice}",
                        file.path.display(),
                        search.nothing(file)
                    )
                }
            }
        }
        Ok(files)
    }

    /// Finds those files that a run's `config.toml` names and that are gone, under `roots` or beside the run folder.
    ///
    /// # Errors
    /// A file is nowhere.
    pub fn of_config(config: &Config, provenance: &Provenance, run: &Path, roots: &[PathBuf]) -> Result<Self> {
        let mut search = Search::new(run, roots)?;
        let mut files = Self::default();
        let named = config.with_absolute_paths();
        let named: HashSet<&Path> = named.data.paths().into_iter().collect();
        let is_gone = |file: &&DataFile| !file.path.exists();
        for file in provenance.data_files.iter().filter(is_gone) {
            let is_named = named.contains(&*file.path);
            // A listing of examples names the genomes that it needs itself.
            if !is_named && config.data.examples.is_none() {
                continue;
            }
            match search.find(file) {
                Some(found) => files.add(file, found, false)?,
                None if !is_named => {}
                None => bail!(
                    "{}: no such file, and {}; restore it, or name its folder with --data-root",
                    file.path.display(),
                    search.nothing(file)
                ),
            }
        }
        Ok(files)
    }

    /// The configuration with the paths at which files are now.
    pub fn in_config(&self, config: &Config) -> Config {
        let mut config = config.with_absolute_paths();
        config.for_each_data_path(|path| {
            if let Some(now) = self.paths.get(path) {
                *path = now.clone();
            }
        });
        config
    }

    /// Recorded paths, and those to read instead.
    pub fn paths(&self) -> &HashMap<PathBuf, PathBuf> {
        &self.paths
    }

    /// A line for each file that was found elsewhere.
    pub fn notices(&self) -> impl Iterator<Item = String> {
        self.moved.iter().map(|MovedFile { recorded, found }| {
            format!("{}: found by its checksum as {}", recorded.display(), found.display())
        })
    }

    fn add(&mut self, file: &DataFile, found: PathBuf, under_own_name: bool) -> Result<()> {
        let renamed = found.file_name() != file.path.file_name();
        let read = if renamed && under_own_name { self.link(file, &found)? } else { found.clone() };
        self.paths.insert(file.path.clone(), read);
        self.moved.push(MovedFile { recorded: file.path.clone(), found });
        Ok(())
    }

    /// A link to a file, and to its index if it has one, under the recorded name.
    #[cfg(unix)]
    fn link(&mut self, file: &DataFile, found: &Path) -> Result<PathBuf> {
        let what = || format!("{}: cannot be linked in the temporary folder", found.display());
        if self.links.is_none() {
            self.links = Some(tempfile::tempdir().with_context(what)?);
        }
        let Some(links) = &self.links else { return Ok(found.to_path_buf()) };
        let folder = links.path().join(self.moved.len().to_string());
        std::fs::create_dir(&folder).with_context(what)?;
        let link = folder.join(file.path.file_name().unwrap_or_default());
        let ending = |path: &Path, ending: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        for index in ["", ".fai", ".gzi"] {
            let target = ending(found, index);
            if target.exists() {
                std::os::unix::fs::symlink(target, ending(&link, index)).with_context(what)?;
            }
        }
        Ok(link)
    }

    #[cfg(not(unix))]
    fn link(&mut self, _: &DataFile, found: &Path) -> Result<PathBuf> {
        Ok(found.to_path_buf())
    }
}

/// Files that may be the ones looked for; listed when the first is missing.
struct Search {
    /// Folders, and how deep they are searched.
    roots: Vec<(PathBuf, usize)>,
    listed: Option<Vec<(PathBuf, u64)>>,
    checksums: HashMap<PathBuf, Option<String>>,
}

impl Search {
    fn new(run: &Path, roots: &[PathBuf]) -> Result<Self> {
        for root in roots {
            if !root.is_dir() {
                bail!(
                    "{}: no such folder, expected one with the run's data files; correct --data-root",
                    root.display()
                );
            }
        }
        let absolute = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
        let mut all: Vec<(PathBuf, usize)> = Vec::new();
        for root in roots {
            all.push((absolute(root)?, usize::MAX));
        }
        if let Some(beside) = absolute(run)?.parent() {
            all.push((beside.into(), DEPTH_BESIDE_RUN));
        }
        Ok(Self { roots: all, listed: None, checksums: HashMap::new() })
    }

    /// A file with the size and the checksum; of several one with the same name.
    fn find(&mut self, file: &DataFile) -> Option<PathBuf> {
        let roots = &self.roots;
        let listed = self.listed.get_or_insert_with(|| {
            let (mut files, mut seen) = (Vec::new(), HashSet::new());
            roots.iter().for_each(|(root, depth)| list(root, *depth, &mut seen, &mut files));
            files
        });
        let mut candidates: Vec<&Path> =
            listed.iter().filter(|(_, bytes)| *bytes == file.bytes).map(|(path, _)| path.as_path()).collect();
        candidates.sort_by_key(|path| path.file_name() != file.path.file_name());
        let checksums = &mut self.checksums;
        let is_same = |path: &&Path| {
            let found = checksums.entry(path.to_path_buf()).or_insert_with(|| sha256(path).ok());
            found.as_deref() == Some(&*file.sha256)
        };
        candidates.into_iter().find(is_same).map(Path::to_path_buf)
    }

    /// What was looked for in vain, as part of a sentence.
    fn nothing(&self, file: &DataFile) -> String {
        let roots: Vec<String> = self.roots.iter().map(|(root, _)| root.display().to_string()).collect();
        format!("no file of {} bytes with the SHA-256 {} is in {}", file.bytes, file.sha256, roots.join(" or "))
    }
}

/// Lists the files of a folder and of those in it. Folders that cannot be read and hidden ones are passed over.
fn list(folder: &Path, depth: usize, seen: &mut HashSet<PathBuf>, files: &mut Vec<(PathBuf, u64)>) {
    let Ok(real) = folder.canonicalize() else { return };
    if !seen.insert(real) {
        return;
    }
    let mut entries: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if files.len() >= MOST_FILES {
            return;
        }
        match std::fs::metadata(&path) {
            Ok(about) if about.is_file() => files.push((path, about.len())),
            Ok(about) if about.is_dir() && depth > 0 && !entry.file_name().to_string_lossy().starts_with('.') => {
                list(&path, depth - 1, seen, files);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path, contents: &str) -> DataFile {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
        describe_file(path).unwrap()
    }

    #[test]
    fn a_file_is_found_by_its_contents_under_any_name_and_depth_and_its_own_name_comes_first() {
        let top = tempfile::tempdir().unwrap();
        let at = |path: &str| top.path().join(path);
        let wanted = file(&at("old/genome.fa"), ">a\nACGT\n");
        for decoy in ["data/genome.fa", "data/a/genome.fa"] {
            file(&at(decoy), ">a\nACGA\n"); // as long, and another
        }
        file(&at("data/z/renamed.fa"), ">a\nACGT\n");
        std::fs::create_dir_all(at("runs/run")).unwrap();
        let find = |roots: &[PathBuf]| Search::new(&at("runs/run"), roots).unwrap().find(&wanted);
        assert_eq!(find(&[]), None, "beside the run is nothing");
        assert!(find(&[at("data")]).unwrap().ends_with("data/z/renamed.fa"));
        file(&at("data/y/deep/er/genome.fa"), ">a\nACGT\n");
        assert!(find(&[at("data")]).unwrap().ends_with("data/y/deep/er/genome.fa"));
        file(&at("runs/genome.fa"), ">a\nACGT\n");
        assert!(find(&[]).unwrap().ends_with("runs/genome.fa"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("data"), at("data/z/loop")).unwrap();
            assert!(find(&[at("data")]).is_some(), "a loop of links ends");
        }
        let error = Search::new(&at("runs/run"), &[at("nowhere")]).err().unwrap().to_string();
        assert!(error.contains("no such folder") && error.contains("--data-root"), "{error}");
    }
}
