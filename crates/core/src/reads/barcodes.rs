//! Barcodes of cells and the groups that they belong to, from a table: barcode, group, and file where several files share barcodes.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};

use crate::format::{counted, field, list_first, thousands};
use crate::formats::compression;
use crate::formats::lines::Lines;
use crate::formats::quoted;

/// Longer than any line of such a table.
const LONGEST_LINE: usize = 1 << 16;

/// Most groups: each has a file of its own.
const MOST_GROUPS: usize = 10_000;

/// Longest name of a group in the name of its file.
const LONGEST_NAME: usize = 60;

/// The table.
#[derive(Debug)]
pub struct Barcodes {
    path: PathBuf,
    /// Names, in order of appearance; one without a name where the table has no second column.
    pub groups: Vec<Group>,
    files: Vec<PathBuf>,
    /// Of each file of reads, what a barcode stands for.
    cells: Vec<HashMap<Vec<u8>, Cell>>,
    /// Files in which barcodes were seen that the table gives no file for.
    seen: HashMap<Vec<u8>, usize>,
    /// The first barcode of the table, and of each file the first that is not in it, for messages.
    first: Vec<u8>,
    others: Vec<Option<Vec<u8>>>,
    /// Of each file, reads with a barcode of the table.
    found: Vec<u64>,
}

/// A group of cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name, empty where there is only one.
    pub name: String,
    /// Barcodes that the table gives it.
    pub barcodes: usize,
    /// Barcodes of those that reads have.
    pub seen: usize,
    /// Reads or fragments.
    pub reads: u64,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    group: usize,
    /// Whether the table names the file.
    of_file: bool,
    seen: bool,
}

impl Barcodes {
    /// Reads a table for these files of reads. A barcode may stand in several of them if the table's third column names the file.
    ///
    /// # Errors
    /// The file cannot be read, holds no barcodes, has one in two groups, or names other files.
    pub fn read(path: &Path, files: &[PathBuf]) -> Result<Self> {
        let mut lines = Lines::new(path, compression::open(path)?, LONGEST_LINE, "a barcode and a group");
        let mut table = Self {
            path: path.into(),
            groups: Vec::new(),
            files: files.to_vec(),
            cells: vec![HashMap::new(); files.len()],
            seen: HashMap::new(),
            first: Vec::new(),
            others: vec![None; files.len()],
            found: vec![0; files.len()],
        };
        let mut by_name = HashMap::new();
        let mut in_table: HashSet<(Vec<u8>, usize)> = HashSet::new();
        for number in 1u64.. {
            let Some(line) = lines.next_line()?.map(<[u8]>::trim_ascii_end) else { break };
            let fault = |fault: String| anyhow!("{}: line {number}: {fault}", path.display());
            let divider = if line.contains(&b'\t') { b'\t' } else { b',' };
            let mut columns = line.split(|&byte| byte == divider).map(<[u8]>::trim_ascii);
            let barcode = columns.next().unwrap_or_default();
            let is_header = number == 1
                && [&b"barcode"[..], b"barcodes", b"cell"].iter().any(|word| barcode.eq_ignore_ascii_case(word));
            if barcode.is_empty() || barcode.starts_with(b"#") || is_header {
                continue;
            }
            if barcode.contains(&b' ') {
                return Err(fault(format!(
                    "the barcode is '{}', expected none with spaces; divide columns by tabs",
                    quoted(barcode)
                )));
            }
            let name = String::from_utf8_lossy(columns.next().unwrap_or_default()).into_owned();
            let of = columns.next().filter(|file| !file.is_empty());
            let of = of.map(|file| table.file(file).map_err(fault)).transpose()?;
            let next = by_name.len();
            let group = *by_name.entry(name.clone()).or_insert(next);
            if group == table.groups.len() {
                if group == MOST_GROUPS {
                    return Err(fault(format!(
                        "names more than {} groups, expected fewer, as each has a file; join some",
                        thousands(MOST_GROUPS)
                    )));
                }
                table.groups.push(Group { name, ..Group::default() });
            }
            if table.first.is_empty() {
                table.first = barcode.to_vec();
            }
            let mut is_new = false;
            for file in of.map_or(0..files.len(), |file| file..file + 1) {
                let cell = Cell { group, of_file: of.is_some(), seen: false };
                match table.cells[file].get(barcode) {
                    Some(other) if other.group != group => {
                        let (one, two) = (&table.groups[other.group].name, &table.groups[group].name);
                        return Err(fault(format!(
                            "the barcode {} is in two groups, {} and {}, expected one; remove a line, or name the files in a third column",
                            quoted(barcode),
                            field(one),
                            field(two)
                        )));
                    }
                    Some(_) => {}
                    None => drop(table.cells[file].insert(barcode.to_vec(), cell)),
                }
                is_new |= in_table.insert((barcode.to_vec(), of.map_or(0, |file| file + 1)));
            }
            table.groups[group].barcodes += usize::from(is_new);
        }
        if table.groups.is_empty() {
            bail!(
                "{}: holds no barcodes, expected one a line, and a group in a second column; check the file",
                path.display()
            );
        }
        if table.groups.len() > 1 && by_name.contains_key("") {
            bail!(
                "{}: some barcodes have a group and some have none, expected one for each; add it, or remove the column",
                path.display()
            );
        }
        Ok(table)
    }

    /// Which file of reads the third column names: its path, or its name.
    fn file(&self, name: &[u8]) -> Result<usize, String> {
        let name = String::from_utf8_lossy(name);
        let is_path = |path: &PathBuf| *path == Path::new(&*name);
        let is_name = |path: &PathBuf| path.file_name().is_some_and(|own| own.to_string_lossy() == name);
        let place = self.files.iter().position(is_path).or_else(|| {
            let mut places = self.files.iter().enumerate().filter(|(_, path)| is_name(path)).map(|(place, _)| place);
            places.next().filter(|_| places.next().is_none())
        });
        place.ok_or_else(|| {
            let files: Vec<String> = self.files.iter().map(|path| path.display().to_string()).collect();
            format!(
                "the file is '{}', expected one of the reads: {}; correct the third column",
                field(&name),
                list_first(&files, 3)
            )
        })
    }

    /// The group of a read of a file, by its barcode; `None` for a barcode that the table does not have.
    ///
    /// # Errors
    /// The barcode stands in another file too, and the table does not say which is meant.
    pub fn group(&mut self, file: usize, barcode: &[u8]) -> Result<Option<usize>> {
        let Some(cell) = self.cells[file].get_mut(barcode) else {
            self.others[file].get_or_insert_with(|| barcode.to_vec());
            return Ok(None);
        };
        if !cell.seen {
            cell.seen = true;
            self.groups[cell.group].seen += 1;
            if !cell.of_file && self.files.len() > 1 {
                let before = *self.seen.entry(barcode.to_vec()).or_insert(file);
                if before != file {
                    bail!(
                        "{} and {}: both have reads of the barcode {}, which may be two cells; name the file of each barcode in a third column of {}",
                        self.files[before].display(),
                        self.files[file].display(),
                        quoted(barcode),
                        self.path.display()
                    );
                }
            }
        }
        self.groups[cell.group].reads += 1;
        self.found[file] += 1;
        Ok(Some(cell.group))
    }

    /// Refuses a file none of whose barcodes the table has.
    ///
    /// # Errors
    /// There is none.
    pub fn check_file(&self, file: usize, without: u64) -> Result<()> {
        let (path, table) = (self.files[file].display(), self.path.display());
        match &self.others[file] {
            _ if self.found[file] > 0 || self.cells[file].is_empty() => Ok(()),
            Some(other) => {
                let suffixes = [&self.first, other].map(|barcode| barcode.contains(&b'-'));
                let reason = if suffixes[0] == suffixes[1] { "" } else { ", such as the suffix -1" };
                bail!(
                    "{path}: no read has a barcode of {table} ({} there, {} in the reads), expected the same spelling{reason}; correct the table",
                    quoted(&self.first),
                    quoted(other)
                )
            }
            None if without > 0 => bail!(
                "{path}: its reads have no barcodes, expected column 4 of a fragment file or the tag CB of BAM; remove --barcodes, or name another file"
            ),
            None => Ok(()),
        }
    }

    /// What is worth saying of groups without reads, and of barcodes.
    pub fn notes(&self) -> Vec<String> {
        let path = self.path.display();
        let (barcodes, seen) =
            self.groups.iter().fold((0, 0), |(all, seen), group| (all + group.barcodes, seen + group.seen));
        let groups = if self.groups.len() > 1 {
            format!(" of {}", counted(self.groups.len() as u64, "group"))
        } else {
            String::new()
        };
        let mut notes =
            vec![format!("{path}: {} of {}{groups} have reads", thousands(seen), counted(barcodes as u64, "barcode"))];
        let empty: Vec<String> =
            self.groups.iter().filter(|group| group.reads == 0).map(|group| field(&group.name).into_owned()).collect();
        if !empty.is_empty() {
            notes.push(format!(
                "{path}: {} without reads, which get no file: {}",
                counted(empty.len() as u64, "group"),
                list_first(&empty, 5)
            ));
        }
        notes
    }
}

/// Distinct names of files for groups: letters, digits, `.`, `-` and `_`, and no two that differ in case alone.
pub fn file_names(groups: &[Group]) -> Vec<String> {
    let mut taken = HashSet::new();
    let name = |group: &Group| {
        let safe = |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' };
        let mut name: String = group.name.chars().map(safe).take(LONGEST_NAME).collect();
        if name.is_empty() || name.starts_with('.') {
            name.insert(0, '_');
        }
        let mut distinct = name.clone();
        for number in 2.. {
            if taken.insert(distinct.to_ascii_lowercase()) {
                break;
            }
            distinct = format!("{name}_{number}");
        }
        distinct
    };
    groups.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str, files: &[&str]) -> Result<Barcodes> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Barcodes::read(file.path(), &files.iter().map(PathBuf::from).collect::<Vec<_>>())
    }

    fn fault<T: std::fmt::Debug>(result: Result<T>) -> String {
        let error = result.unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    }

    #[test]
    fn groups_come_in_order_and_a_barcode_alone_is_of_one_group() {
        let mut found = table("Barcode,Cluster\nAC-1,two\nGT-1,one\nTT-1,two\n", &["a"]).unwrap();
        let names: Vec<&str> = found.groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["two", "one"]);
        assert_eq!(found.group(0, b"TT-1").unwrap(), Some(0));
        assert_eq!(found.group(0, b"TT").unwrap(), None);
        assert_eq!(found.groups[0], Group { name: "two".into(), barcodes: 2, seen: 1, reads: 1 });
        assert!(found.notes()[1].contains("1 group without reads, which get no file: one"));
        let mut alone = table("AC\n\nGT\nAC\n", &["a"]).unwrap();
        assert_eq!((alone.groups.len(), alone.groups[0].barcodes), (1, 2));
        assert_eq!(alone.group(0, b"GT").unwrap(), Some(0));
    }

    #[test]
    fn a_barcode_of_two_groups_or_of_two_files_is_an_error_unless_the_file_is_named() {
        assert!(
            fault(table("AC\tone\nAC\ttwo\n", &["a"])).contains("line 2: the barcode AC is in two groups, one and two")
        );
        let mut found = table("AC\tone\n", &["a", "b"]).unwrap();
        found.group(0, b"AC").unwrap();
        let error = fault(found.group(1, b"AC"));
        assert!(
            error.contains("a and b: both have reads of the barcode AC") && error.contains("third column"),
            "{error}"
        );
        let mut named = table("AC\tone\tx/a\nAC\ttwo\tb\n", &["x/a", "x/b"]).unwrap();
        assert_eq!(named.group(0, b"AC").unwrap(), Some(0));
        assert_eq!(named.group(1, b"AC").unwrap(), Some(1));
        assert!(fault(table("AC\tone\tc\n", &["a", "b"])).contains("the file is 'c', expected one of the reads: a, b"));
        assert!(fault(table("AC\tone\nGT\n", &["a"])).contains("some have none"));
        assert!(fault(table("\n#x\n", &["a"])).contains("holds no barcodes"));
    }

    #[test]
    fn barcodes_that_match_nothing_are_shown_one_of_each() {
        let mut found = table("AC-1\n", &["a"]).unwrap();
        found.group(0, b"GT").unwrap();
        let error = fault(found.check_file(0, 0));
        assert!(error.contains("AC-1 there, GT in the reads") && error.contains("suffix -1"), "{error}");
        assert!(fault(table("AC\n", &["a"]).unwrap().check_file(0, 5)).contains("its reads have no barcodes"));
    }

    #[test]
    fn names_of_files_are_safe_and_distinct_whatever_the_case() {
        let groups =
            ["CD4 T", "CD4/T", "cd4_t", "", "..", "\u{e9}"].map(|name| Group { name: name.into(), ..Group::default() });
        assert_eq!(file_names(&groups), ["CD4_T", "CD4_T_2", "cd4_t_3", "_", "_..", "__2"]);
    }
}
