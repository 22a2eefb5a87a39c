//! Labelled sequences as one contiguous array of codes: from genomes, from tables, or simulated.

pub mod alphabet;
pub mod batches;
pub mod compression;
pub mod fasta;
pub mod sampling;
pub mod simulate;
pub mod split;
pub mod tables;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::config::DataConfig;
use crate::device;
use crate::progress::Progress;
use fasta::Genome;
use sampling::{Request, Source};
use split::{Assignment, ChromosomeChoice, Split};

/// Length of a fragment where neither the user nor a table says, in bp.
const DEFAULT_LENGTH: usize = 128;

/// Percent of a training table that become validation and test where no tables are given for them.
const TABLE_VALID_PERCENT: u64 = 10;
const TABLE_TEST_PERCENT: u64 = 10;

/// Labelled sequences of one length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Examples {
    /// `[n, length]`, one sequence after another.
    pub codes: Vec<u8>,
    /// Index into the classes, `[n]`.
    pub labels: Vec<u8>,
    /// Where each came from, `[n]`.
    pub origins: Vec<Origin>,
    pub length: usize,
}

/// Where an example came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A window of a genome, 0-based and half-open, on the strand named.
    Window { chromosome: Arc<str>, start: usize, reverse: bool },
    /// A line of a table.
    Line { table: Arc<str>, line: u64 },
}

impl Examples {
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The codes of example `i`, `[length]`.
    pub fn sequence(&self, i: usize) -> &[u8] {
        &self.codes[i * self.length..(i + 1) * self.length]
    }

    fn push(&mut self, codes: &[u8], label: u8, origin: Origin) {
        self.codes.extend_from_slice(codes);
        self.labels.push(label);
        self.origins.push(origin);
    }

    /// Which examples are of the positive class, `[n]`.
    pub fn positives(&self, positive: usize) -> Vec<bool> {
        self.labels.iter().map(|&label| usize::from(label) == positive).collect()
    }
}

impl From<&DataConfig> for ChromosomeChoice {
    fn from(config: &DataConfig) -> Self {
        let trimmed = |names: &[String]| names.iter().map(|name| name.trim().to_owned()).collect();
        Self {
            train: trimmed(&config.train_chroms),
            valid: trimmed(&config.valid_chroms),
            test: trimmed(&config.test_chroms),
        }
    }
}

/// The examples of a run, and what its classes are called.
#[derive(Clone, Debug)]
pub struct Dataset {
    pub train: Examples,
    pub valid: Examples,
    pub test: Examples,
    pub classes: Classes,
    /// Files that were read, for provenance.
    pub files: Vec<PathBuf>,
    /// For simulated data, the scores of the test examples that no classifier can better, `[n]`.
    pub best_possible_scores: Option<Vec<f64>>,
}

/// The names of the classes in their one order, and which is the positive one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Classes {
    pub names: Vec<String>,
    /// Index of the positive class.
    pub positive: usize,
}

impl Classes {
    /// Classes named by the user's flags: the first is the positive one.
    fn named(names: Vec<String>) -> Self {
        Self { names, positive: 0 }
    }

    /// Classes found as labels in a table: whole numbers ascending, else first appearance. Of 0 and 1, 1 is positive.
    fn from_labels(labels: &[&str]) -> Self {
        let mut names: Vec<String> = Vec::new();
        let mut seen = HashSet::new();
        for label in labels {
            if seen.insert(*label) {
                names.push((*label).to_owned());
            }
        }
        let numbers: Option<Vec<i64>> = names.iter().map(|name| name.parse().ok()).collect();
        if numbers.is_some() {
            names.sort_by_key(|name| name.parse::<i64>().unwrap_or(0));
        }
        let positive = usize::from(names == ["0", "1"]);
        Self { names, positive }
    }

    pub fn positive_name(&self) -> &str {
        &self.names[self.positive]
    }

    pub fn negative_name(&self) -> &str {
        &self.names[1 - self.positive]
    }

    fn index(&self, label: &str) -> Option<u8> {
        self.names.iter().position(|name| name == label).map(|index| index as u8)
    }
}

/// Reads or simulates everything a training run needs.
///
/// # Errors
/// A file is missing or malformed, a class or split has too few examples, or a chromosome is unknown.
pub fn load(config: &DataConfig, seed: u64, progress: &Progress) -> Result<Dataset> {
    if config.train.is_some() {
        return load_tables(config, progress);
    }
    let genomes = open_genomes(config, &Assignment::Choice(config.into()), &Split::ALL, seed, progress)?;
    let length = config.length.unwrap_or(DEFAULT_LENGTH);
    let windows = |split, fragments| genomes.windows(config, split, length, fragments, seed);
    let (train, valid, test) = (
        windows(Split::Train, config.fragments)?,
        windows(Split::Valid, config.valid_fragments())?,
        windows(Split::Test, config.test_fragments)?,
    );
    let best_possible_scores = config.is_demo().then(|| simulate::best_scores(&test.codes, length));
    let files = config.genome.iter().map(|genome| genome.path.clone()).collect();
    Ok(Dataset { train, valid, test, classes: genomes.classes, files, best_possible_scores })
}

/// The test examples that `evaluate` judges a finished run on.
pub struct TestData {
    pub examples: Examples,
    /// See [`Dataset::best_possible_scores`].
    pub best_possible_scores: Option<Vec<f64>>,
}

/// Reads only test examples, for a network with these classes and this length: a table, or the windows of the
/// chromosomes that `assignment` gives to the test.
///
/// # Errors
/// As [`load`], and where the data's classes are not the network's.
pub fn load_test(
    config: &DataConfig,
    assignment: &Assignment,
    classes: &Classes,
    length: usize,
    seed: u64,
    progress: &Progress,
) -> Result<TestData> {
    if let Some(path) = config.test.as_ref().or(config.train.as_ref()) {
        let mut rows = tables::read(path, Some(length))?;
        if config.test.is_none() {
            rows.retain(|row| split::split_of_sequence(&row.codes, 0, TABLE_TEST_PERCENT) == Split::Test);
        }
        let examples = label_rows(path, &rows, classes, length)?;
        check_both_classes(&examples, classes, Split::Test, path)?;
        return Ok(TestData { examples, best_possible_scores: None });
    }
    let genomes = open_genomes(config, assignment, &[Split::Test], seed, progress)?;
    let examples = genomes.windows(config, Split::Test, length, config.test_fragments, seed)?;
    let best_possible_scores = config.is_demo().then(|| simulate::best_scores(&examples.codes, length));
    Ok(TestData { examples, best_possible_scores })
}

/// Genomes of all classes, and which part of them each split may use.
struct Genomes {
    classes: Classes,
    /// Index of the class, and the genome.
    genomes: Vec<(usize, Genome)>,
    assignment: Assignment,
}

/// Opens the genomes named, keeping the chromosomes that `splits` want.
fn open_genomes(
    config: &DataConfig,
    assignment: &Assignment,
    splits: &[Split],
    seed: u64,
    progress: &Progress,
) -> Result<Genomes> {
    let mut genomes = Vec::new();
    let mut names: Vec<String> = Vec::new();
    if config.is_demo() {
        for (class, species) in simulate::species().into_iter().enumerate() {
            let chromosomes = species.genome(seed).into_iter().map(|c| (c.name, c.codes)).collect();
            let path = format!("simulated {}", species.name);
            genomes.push((class, Genome::from_codes(Path::new(&path), chromosomes)));
            names.push(species.name);
        }
        progress.say(
            "no data named: using simulated demo genomes (human and mouse in name only); --genome or --train gives real data",
        );
    } else {
        names = match config.classes.as_slice() {
            [] => config.genome_classes().into_iter().map(str::to_owned).collect(),
            given => given.to_vec(),
        };
        let mut memory = config.memory.map_or_else(half_of_free_memory, |memory| memory.as_u64());
        for named in &config.genome {
            let Some(class) = names.iter().position(|name| *name == named.name) else {
                bail!("--genome names the class '{}', expected {}; correct the name", named.name, names.join(" or "));
            };
            let wanted = |name: &str| assignment.split_of(name).is_some_and(|split| splits.contains(&split));
            let genome = Genome::open(&named.path, memory, &wanted)?;
            if !genome.is_in_memory() {
                progress.say(&format!(
                    "{}: larger than the memory allowed for genomes, so read from disk window by window",
                    named.path.display()
                ));
            }
            memory = memory.saturating_sub(genome.memory());
            genomes.push((class, genome));
        }
    }
    let known: Vec<&str> =
        genomes.iter().flat_map(|(_, genome)| genome.chromosomes.iter().map(|c| c.name.as_str())).collect();
    assignment.check(&known)?;
    let genomes = Genomes { classes: Classes::named(names), genomes, assignment: assignment.clone() };
    genomes.report_deal(splits, progress);
    Ok(genomes)
}

impl Genomes {
    /// Says which chromosomes each split takes, where the user left that to the program.
    fn report_deal(&self, splits: &[Split], progress: &Progress) {
        if !self.assignment.is_open() {
            return;
        }
        for (class, genome) in &self.genomes {
            let of =
                |split| genome.chromosomes.iter().filter(move |c| self.assignment.split_of(&c.name) == Some(split));
            let shares: Vec<String> = splits
                .iter()
                .map(|&split| match split {
                    Split::Valid if self.assignment.validates_on_blocks() => {
                        "valid blocks of the training chromosomes".into()
                    }
                    _ => format!("{} {}", split.name(), split::list_names(of(split).map(|c| c.name.as_str()))),
                })
                .collect();
            progress.say(&format!("{} chromosomes: {}", self.classes.names[*class], shares.join("; ")));
        }
    }

    /// Draws the windows of one split, half from each class.
    fn windows(
        &self,
        config: &DataConfig,
        split: Split,
        length: usize,
        fragments: usize,
        seed: u64,
    ) -> Result<Examples> {
        let mut sources: Vec<Source> = self
            .classes
            .names
            .iter()
            .enumerate()
            .map(|(class, class_name)| Source { class, class_name, parts: Vec::new() })
            .collect();
        for (class, genome) in &self.genomes {
            let mut parts = split::intervals(&genome.chromosomes, &self.assignment, length);
            sources[*class].parts.push((genome, std::mem::take(&mut parts[split as usize])));
        }
        for source in &sources {
            self.check_not_empty(source, split, length)?;
        }
        let per_class = fragments / sources.len();
        let request = Request { length, max_n: config.max_n, match_gc: config.match_gc, per_class, seed };
        let drawn = sampling::draw(&sources, split, &request)?;

        let mut examples = Examples { length, ..Examples::default() };
        for (source, windows) in sources.iter().zip(drawn) {
            let names: Vec<Vec<Arc<str>>> = source
                .parts
                .iter()
                .map(|(genome, _)| genome.chromosomes.iter().map(|c| c.name.as_str().into()).collect())
                .collect();
            for window in windows {
                let chromosome = names[window.genome][window.chromosome].clone();
                let origin = Origin::Window { chromosome, start: window.start, reverse: window.reverse };
                examples.push(&window.codes, source.class as u8, origin);
            }
        }
        Ok(examples)
    }

    /// A class without a single usable chromosome in a split deserves a better reason than "0 windows".
    fn check_not_empty(&self, source: &Source, split: Split, length: usize) -> Result<()> {
        if source.parts.iter().any(|(_, intervals)| !intervals.is_empty()) {
            return Ok(());
        }
        let files: Vec<String> = source.parts.iter().map(|(genome, _)| genome.path.display().to_string()).collect();
        let files = files.join(", ");
        let meant: Vec<&fasta::Chromosome> = source
            .parts
            .iter()
            .flat_map(|(genome, _)| &genome.chromosomes)
            .filter(|c| match self.assignment.split_of(&c.name) {
                Some(Split::Train) if split == Split::Valid => self.assignment.validates_on_blocks(),
                found => found == Some(split),
            })
            .collect();
        match meant.first() {
            Some(first) => bail!(
                "{files}: chromosome '{}' has {} bp, shorter than a window of {length} bp, and no other is long enough for {}; give longer chromosomes or a smaller --length",
                first.name,
                first.length,
                split.name()
            ),
            None => {
                let names = split::list_names(
                    source.parts.iter().flat_map(|(genome, _)| genome.chromosomes.iter().map(|c| c.name.as_str())),
                );
                bail!(
                    "{files}: class '{}' has no chromosome for {}, expected at least one among {}; name chromosomes with --train-chroms, --valid-chroms and --test-chroms",
                    source.class_name,
                    split.name(),
                    names
                )
            }
        }
    }
}

fn load_tables(config: &DataConfig, progress: &Progress) -> Result<Dataset> {
    let Some(train_path) = &config.train else { bail!("no training table is given; name one with --train") };
    let all = tables::read(train_path, config.length)?;
    let length = all[0].codes.len();
    let classes = if config.classes.is_empty() {
        Classes::from_labels(&all.iter().map(|row| row.label.as_str()).collect::<Vec<_>>())
    } else {
        Classes::named(config.classes.clone())
    };
    if classes.names.len() != 2 {
        let shown = classes.names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
        bail!(
            "{}: the column label holds {} class{} ({shown}), expected two; check the table",
            train_path.display(),
            classes.names.len(),
            if classes.names.len() == 1 { "" } else { "es" }
        );
    }
    let (valid, test) = (read_if_named(config.valid.as_ref(), length)?, read_if_named(config.test.as_ref(), length)?);
    let (valid_percent, test_percent) =
        (if valid.is_some() { 0 } else { TABLE_VALID_PERCENT }, if test.is_some() { 0 } else { TABLE_TEST_PERCENT });
    for (name, percent) in [("validation", valid_percent), ("test", test_percent)] {
        if percent > 0 {
            progress.say(&format!(
                "no {name} table named: taking {percent} % of the training table, by a hash of the sequence"
            ));
        }
    }
    let mut shares: [Vec<tables::Row>; 3] = Default::default();
    for row in all {
        shares[split::split_of_sequence(&row.codes, valid_percent, test_percent) as usize].push(row);
    }
    let [train, valid_share, test_share] = shares;
    let train = label_rows(train_path, &train, &classes, length)?;
    let part = |given: Option<NamedRows>, share: Vec<tables::Row>| {
        let (path, rows) = given.unwrap_or((train_path, share));
        label_rows(path, &rows, &classes, length).map(|examples| (examples, path.clone()))
    };
    let mut files = vec![train_path.clone()];
    files.extend(config.valid.clone());
    files.extend(config.test.clone());
    let (valid, valid_path) = part(valid, valid_share)?;
    let (test, test_path) = part(test, test_share)?;
    check_both_classes(&train, &classes, Split::Train, train_path)?;
    check_both_classes(&valid, &classes, Split::Valid, &valid_path)?;
    check_both_classes(&test, &classes, Split::Test, &test_path)?;
    warn_of_shared_sequences(&train, &[(&valid, Split::Valid), (&test, Split::Test)], progress);
    Ok(Dataset { train, valid, test, classes, files, best_possible_scores: None })
}

/// Says so if a table to judge on holds sequences of the table that a run learned from, where that is still there.
pub fn warn_of_shared_table(train: &Path, examples: &Examples, progress: &Progress) {
    let Ok(rows) = tables::read(train, Some(examples.length)) else { return };
    let learned = Examples {
        codes: rows.iter().flat_map(|row| row.codes.iter().copied()).collect(),
        labels: vec![0; rows.len()],
        length: examples.length,
        ..Examples::default()
    };
    warn_of_shared_sequences(&learned, &[(examples, Split::Test)], progress);
}

/// Tables are taken as they are given, so that published splits can be repeated; what they leak is said.
fn warn_of_shared_sequences(train: &Examples, others: &[(&Examples, Split)], progress: &Progress) {
    let learned: HashSet<u64> = (0..train.len()).map(|i| split::hash_of_either_strand(train.sequence(i))).collect();
    for (examples, split) in others {
        let shared = (0..examples.len())
            .filter(|&i| learned.contains(&split::hash_of_either_strand(examples.sequence(i))))
            .count();
        if shared > 0 {
            progress.warn(&format!(
                "{shared} of {} {} sequences also stand in the training table, on either strand, so scores on them flatter the network; remove them from one table",
                examples.len(),
                split.name()
            ));
        }
    }
}

type NamedRows<'a> = (&'a PathBuf, Vec<tables::Row>);

fn read_if_named(path: Option<&PathBuf>, length: usize) -> Result<Option<NamedRows<'_>>> {
    path.map(|path| Ok((path, tables::read(path, Some(length))?))).transpose()
}

fn label_rows(path: &Path, rows: &[tables::Row], classes: &Classes, length: usize) -> Result<Examples> {
    let table: Arc<str> = path.file_name().map_or_else(|| "table".into(), |name| name.to_string_lossy()).into();
    let index: HashMap<&str, u8> =
        classes.names.iter().filter_map(|name| Some((name.as_str(), classes.index(name)?))).collect();
    let mut examples = Examples { length, ..Examples::default() };
    for row in rows {
        let Some(&label) = index.get(row.label.as_str()) else {
            bail!(
                "{}: line {}: found the label '{}', expected {}; correct or remove the line",
                path.display(),
                row.line,
                row.label,
                classes.names.join(" or ")
            );
        };
        examples.push(&row.codes, label, Origin::Line { table: table.clone(), line: row.line });
    }
    Ok(examples)
}

fn check_both_classes(examples: &Examples, classes: &Classes, split: Split, path: &Path) -> Result<()> {
    for (index, name) in classes.names.iter().enumerate() {
        if !examples.labels.iter().any(|&label| usize::from(label) == index) {
            bail!(
                "{}: the {} part has no example of class '{name}', expected both {}; give a table with both",
                path.display(),
                split.name(),
                classes.names.join(" and ")
            );
        }
    }
    Ok(())
}

/// The default of `--memory`, in bytes; 4 GB where the system does not say what is free.
fn half_of_free_memory() -> u64 {
    device::memory().map_or(4_000_000_000, |(_, free)| free / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_tables_have_the_order_the_contract_gives() {
        let of = |labels: &[&str]| Classes::from_labels(labels);
        assert_eq!(of(&["1", "0"]), Classes { names: vec!["0".into(), "1".into()], positive: 1 });
        assert_eq!(of(&["10", "2"]), Classes { names: vec!["2".into(), "10".into()], positive: 0 });
        assert_eq!(of(&["yes", "no", "yes"]), Classes { names: vec!["yes".into(), "no".into()], positive: 0 });
    }

    #[test]
    fn demo_data_is_balanced_distinct_and_repeatable() {
        let config = DataConfig { fragments: 200, test_fragments: 100, ..DataConfig::default() };
        let data = load(&config, 1, &Progress::quiet()).unwrap();
        assert_eq!((data.train.len(), data.valid.len(), data.test.len()), (200, 32, 100));
        assert_eq!(data.train.labels.iter().filter(|&&label| label == 0).count(), 100);
        assert_eq!(load(&config, 1, &Progress::quiet()).unwrap().train, data.train);
        assert_ne!(load(&config, 2, &Progress::quiet()).unwrap().train, data.train);
        let test = load_test(&config, &Assignment::Choice((&config).into()), &data.classes, 128, 1, &Progress::quiet())
            .unwrap();
        assert_eq!(test.examples, data.test);
    }
}
