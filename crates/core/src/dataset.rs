//! Labelled sequences as one contiguous array of codes: windows of genomes, records of files, regions, tables, or
//! simulated.

pub mod batches;
pub(crate) mod blocks;
mod class_labels;
pub(crate) mod columns;
pub(crate) mod duplicates;
pub mod examples;
pub mod folds;
pub(crate) mod genomes;
pub(crate) mod loci;
pub mod manifest;
pub(crate) mod negatives;
pub(crate) mod reference;
pub(crate) mod regions;
pub mod sampling;
pub mod sequences;
pub(crate) mod signal_values;
pub mod similarity;
pub(crate) mod source;
pub mod split;
pub(crate) mod store;
pub mod tables;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

pub use crate::classes::Classes;
use crate::config::{DataConfig, NamedPath, SourceKind, TaskKind};
use crate::dataset::examples::{Examples, Name};
use crate::dataset::genomes::Genomes;
use crate::dataset::loci::MovingWindows;
use crate::dataset::sequences::{Assembled, Read, Sequences};
use crate::dataset::source::DataSource;
use crate::dataset::split::{Assignment, ChromosomeChoice, Shares, Split};
use crate::dataset::tables::{LabelColumns, TableRequest};
use crate::files::streams;
use crate::format::list_first;
use crate::formats::record_names;
use crate::formats::records::Records;
use crate::genome::{simulate, source_name};
use crate::machine;
use crate::progress::Progress;

/// Length of a window of a genome where the user does not say, in bp.
const DEFAULT_LENGTH: usize = 128;

impl From<&DataConfig> for ChromosomeChoice {
    fn from(config: &DataConfig) -> Self {
        let trimmed = |names: &[String]| names.iter().map(|name| name.trim().to_owned()).collect();
        Self {
            train: trimmed(&config.train_chroms),
            valid: trimmed(&config.valid_chroms),
            test: trimmed(&config.test_chroms),
            blocks: (!config.names_chromosomes()).then(|| shares_of(config)).flatten(),
        }
    }
}

/// The shares that settings ask for, if they do.
fn shares_of(config: &DataConfig) -> Option<Shares> {
    let DataConfig { valid_fraction, test_fraction, .. } = config;
    let default = Shares::default();
    let (valid, test) = (valid_fraction.unwrap_or(default.valid), test_fraction.unwrap_or(default.test));
    (valid_fraction.is_some() || test_fraction.is_some()).then_some(Shares { valid, test })
}

/// Labelled examples of every split, and the task they belong to.
pub struct Dataset {
    /// Examples that weights are fitted to.
    pub train: Examples,
    /// Examples for early stopping, calibration and the choice of the epoch.
    pub valid: Examples,
    /// Examples held out for the final metrics.
    pub test: Examples,
    /// Kind of prediction that the labels ask for.
    pub kind: TaskKind,
    /// Names of the classes, or of the label columns.
    pub classes: Classes,
    /// Files that were read, for provenance.
    pub files: Vec<PathBuf>,
    /// For simulated data, the scores of the test examples that no classifier can better, `[n]`.
    pub best_possible_scores: Option<Vec<f64>>,
    /// Draws training examples anew every epoch, with `--resample` or `--jitter`.
    pub resampler: Option<Resampler>,
}

/// What draws training examples anew every epoch.
pub enum Resampler {
    /// Other windows of the genomes.
    Genomes(Box<genomes::Resampler>),
    /// The same windows, moved.
    Loci(Box<MovingWindows>),
}

impl Resampler {
    /// The examples of one draw; of genomes, draw 0 is that of [`Dataset::train`].
    ///
    /// # Errors
    /// Genomes or tracks cannot be read.
    pub fn draw(&self, draw: u64) -> Result<Examples> {
        match self {
            Self::Genomes(genomes) => genomes.draw(draw),
            Self::Loci(windows) => windows.draw(draw),
        }
    }

    /// Whether a listing of the first examples says what the others are.
    pub fn follows_listing(&self) -> bool {
        matches!(self, Self::Loci(_))
    }
}

impl Dataset {
    /// The splits by name.
    pub fn splits(&self) -> [(Split, &Examples); 3] {
        [(Split::Train, &self.train), (Split::Valid, &self.valid), (Split::Test, &self.test)]
    }
}

impl Classes {
    /// Classes in the order that `--classes` gives, the positive one first.
    fn first_positive(names: Vec<String>) -> Self {
        Self { names, positive: 0 }
    }

    /// Classes found as labels: whole numbers ascending, of a pair with a yes and a no (as true and false) the yes first, else
    /// first appearance.
    fn from_labels<'a>(labels: impl Iterator<Item = &'a str>) -> Self {
        let mut names = class_labels::distinct(labels);
        // Also 1.0, as data frames write whole numbers in a column that once had a gap.
        let whole =
            |name: &String| name.parse::<f64>().ok().filter(|number| number.fract() == 0.0 && number.is_finite());
        if names.iter().all(|name| whole(name).is_some()) {
            names.sort_by(|a, b| whole(a).partial_cmp(&whole(b)).unwrap_or(std::cmp::Ordering::Equal));
        } else if let [first, second] = &names[..]
            && class_labels::affirmative(first, second) == Some(1)
        {
            names.swap(0, 1);
        }
        Self::named(names)
    }

    /// Why one of two classes is the positive one, in words that follow its name; empty where flags name the classes.
    pub fn why_positive(&self, config: &DataConfig) -> String {
        let [first, second] = &self.names[..] else { return String::new() };
        match () {
            () if !config.classes.is_empty() => " (the first of --classes)".into(),
            () if config.source() != SourceKind::Tables => String::new(),
            () if class_labels::affirmative(first, second) == Some(self.positive) || self.positive == 1 => {
                format!(" (of {first} and {second}; --classes sets another)")
            }
            () => " (the first in the table; --classes sets another)".into(),
        }
    }
}

/// What to read, and what is fixed before the data are seen. The two entry points are [`load`], for training, and
/// [`load_test`], for evaluating a network.
#[derive(Clone)]
pub struct LoadRequest<'a> {
    /// Where the examples come from; its faults must have been reported.
    pub config: &'a DataConfig,
    /// What goes to which split.
    pub assignment: Assignment,
    /// The task and the classes (or columns) of an earlier run. [`load`] repeats that run: they hold where the settings say
    /// nothing else. [`load_test`] evaluates its network: they hold. Without one, settings and data decide.
    pub task: Option<(TaskKind, &'a Classes)>,
    /// The length of that run's network, in bp, which every sequence must come to. Without it, settings and data decide.
    pub length: Option<usize>,
    /// Seed of all draws: windows, negatives and simulated genomes.
    pub seed: u64,
    /// Bytes that genomes and sequences may take.
    pub memory: u64,
    /// Where notices about the data go.
    pub progress: &'a Progress,
    /// Where files are that a listing of examples names, if they were moved.
    pub moved: Option<&'a HashMap<PathBuf, PathBuf>>,
}

impl<'a> LoadRequest<'a> {
    /// The kind of task, of the earlier run or as the settings say.
    pub fn kind(&self) -> Option<TaskKind> {
        self.task.map(|(kind, _)| kind).or(self.config.task_kind())
    }

    /// A request that leaves task, classes and length to the settings and the data.
    pub fn new(config: &'a DataConfig, seed: u64, progress: &'a Progress) -> Self {
        let memory = config.memory.map_or_else(half_of_free_memory, |memory| memory.as_u64());
        let assignment = Assignment::of(config);
        let seed = config.data_seed.unwrap_or(seed);
        Self { config, assignment, task: None, length: None, seed, memory, progress, moved: None }
    }
}

/// Reads or simulates everything a training run needs.
///
/// # Errors
/// A file is missing or malformed, a class or split has too few examples, or a chromosome is unknown.
pub fn load(request: &LoadRequest) -> Result<Dataset> {
    let config = request.config;
    streams::keep(config.paths())?;
    let source = DataSource::of(config)?;
    if matches!(source, DataSource::Genomes(_) | DataSource::Demo) {
        return load_genomes(request, source);
    }
    let config = &match request.task {
        Some((kind, classes)) => repeated(config, kind, classes),
        None => config.clone(),
    };
    let source = DataSource::of(config)?;
    let of_settings = LoadRequest { config, task: None, ..request.clone() };
    let ReadSequences { sequences, files, moving } = read_sequences(source, &of_settings, &Split::ALL)?;
    let Assembled { splits: [train, valid, test], kind, mut classes } = sequences::assemble(sequences, &of_settings)?;
    if let Some((_, earlier)) = request.task.filter(|(_, earlier)| earlier.names == classes.names) {
        classes = earlier.clone();
    }
    let resampler = moving.map(|windows| Resampler::Loci(Box::new(windows.about(&train))));
    let data = Dataset { train, valid, test, kind, classes, files, best_possible_scores: None, resampler };
    check_labels(&data, source)?;
    Ok(data)
}

/// Settings with the task and classes of an earlier run where they say nothing else, whatever order its classes come in here.
fn repeated(config: &DataConfig, kind: TaskKind, classes: &Classes) -> DataConfig {
    let mut config = config.clone();
    config.task = Some(config.task.unwrap_or(kind));
    let names = match kind {
        TaskKind::Multilabel | TaskKind::Regression | TaskKind::Profile => &mut config.label_columns,
        TaskKind::Binary | TaskKind::Multiclass => &mut config.classes,
    };
    if names.is_empty() {
        names.clone_from(&classes.names);
    }
    config
}

fn load_genomes(request: &LoadRequest, source: DataSource) -> Result<Dataset> {
    let config = request.config;
    let genomes = Genomes::open(source, request, &Split::ALL)?;
    let length = config.length.unwrap_or(DEFAULT_LENGTH);
    let (train, valid, test) = (
        genomes.windows(Split::Train, length, config.fragments)?,
        genomes.windows(Split::Valid, length, config.valid_fragments())?,
        genomes.windows(Split::Test, length, config.test_fragments)?,
    );
    let best_possible_scores = best_scores(source, &test)?;
    let classes = genomes.classes.clone();
    let kind = config.task.unwrap_or(if classes.names.len() == 2 { TaskKind::Binary } else { TaskKind::Multiclass });
    let resampler = match config.resample {
        true => Some(Resampler::Genomes(Box::new(genomes.resampler(length, config.fragments)?))),
        false => None,
    };
    Ok(Dataset { train, valid, test, kind, classes, files: source.files(), best_possible_scores, resampler })
}

/// Known for simulated data alone.
fn best_scores(source: DataSource, examples: &Examples) -> Result<Option<Vec<f64>>> {
    Ok(match source {
        DataSource::Demo => Some(simulate::best_scores(&examples.all_codes()?, examples.length)),
        _ => None,
    })
}

/// The test examples on which `evaluate` scores a finished run.
pub struct TestData {
    /// Examples of the test split.
    pub examples: Examples,
    /// See [`Dataset::best_possible_scores`].
    pub best_possible_scores: Option<Vec<f64>>,
}

/// Reads only test examples: those that the request's assignment gives to the test.
///
/// # Errors
/// As [`load`], and where the data's classes are not those of the request.
pub fn load_test(request: &LoadRequest) -> Result<TestData> {
    let config = request.config;
    streams::keep(config.paths())?;
    let source = DataSource::of(config)?;
    if matches!(source, DataSource::Genomes(_) | DataSource::Demo) {
        let genomes = Genomes::open(source, request, &[Split::Test])?;
        let length = request.length.or(config.length).unwrap_or(DEFAULT_LENGTH);
        let examples = genomes.windows(Split::Test, length, config.test_fragments)?;
        let best_possible_scores = best_scores(source, &examples)?;
        return Ok(TestData { examples, best_possible_scores });
    }
    // Regions of other splits are not even made, unless it takes all of them to know which are for the test.
    let splits = if config.deals_examples() { &Split::ALL[..] } else { &[Split::Test] };
    let ReadSequences { sequences, .. } = read_sequences(source, request, splits)?;
    let Assembled { splits: [.., examples], .. } = sequences::assemble(sequences, request)?;
    if examples.is_empty() {
        bail!("no example is left for the test; name other data or chromosomes");
    }
    Ok(TestData { examples, best_possible_scores: None })
}

/// All sequences of a request's data, of any source but genomes.
fn read_all(request: &LoadRequest) -> Result<Sequences> {
    Ok(read_sequences(DataSource::of(request.config)?, request, &Split::ALL)?.sequences)
}

/// Sequences of any source but genomes.
struct ReadSequences {
    sequences: Sequences,
    /// The files they came from.
    files: Vec<PathBuf>,
    /// With `--jitter`, what moves their windows.
    moving: Option<MovingWindows>,
}

fn read_sequences(source: DataSource, request: &LoadRequest, splits: &[Split]) -> Result<ReadSequences> {
    let LoadRequest { config, task, memory, progress, moved, .. } = *request;
    // The other half is for the examples that will be made of them.
    let mut sequences = Sequences::new(memory / 2);
    let (mut files, mut moving) = (source.files(), None);
    let kind = request.kind();
    let columns = task.map_or(&config.label_columns, |(_, classes)| &classes.names);
    match source {
        DataSource::Classes(groups) => {
            for (named, split) in groups {
                for NamedPath { name, path } in named {
                    read_class(name, path, split, &mut sequences)?;
                }
            }
        }
        DataSource::Regions(files) => {
            moving = regions::read(files, request, splits, &mut sequences)?;
        }
        DataSource::Tables(tables) => {
            let labels = match kind {
                Some(TaskKind::Multilabel | TaskKind::Regression | TaskKind::Profile) => {
                    LabelColumns::Values(columns.clone())
                }
                _ => LabelColumns::Class,
            };
            let classes = task.map_or(&config.classes, |(_, classes)| &classes.names);
            let fold_column = config.fold_column.as_deref();
            let request = TableRequest { labels, classes, fold_column, progress: *progress };
            for (path, split) in tables {
                if let Some(path) = path {
                    tables::read(path, &request, split, &mut sequences)?;
                }
            }
        }
        DataSource::Examples(path) => {
            // A run is judged by the means where that is all there is.
            let bin = (config.bin, task.is_none());
            files.extend(manifest::read(path, kind, columns, bin, (memory, moved), &mut sequences, progress)?);
        }
        DataSource::Genomes(_) | DataSource::Demo => bail!("genomes are read window by window"),
    }
    Ok(ReadSequences { sequences, files, moving })
}

/// Adds every record of a FASTA or FASTQ file as an example of a class.
fn read_class(class: &str, path: &Path, split: Option<Split>, sequences: &mut Sequences) -> Result<()> {
    let mut records = Records::open(path)?;
    let (source, label) = (source_name(path), sequences.class(class));
    let (mut codes, before) = (Vec::new(), sequences.len());
    while let Some(name) = records.next_record()? {
        records.read_whole(&mut codes)?;
        let coordinates = record_names::parse(&name, records.description(), codes.len());
        let read = Read { source: &source, name: Name::Text(name.into()), place: None, in_genome: false };
        sequences.push_record(&codes, label.clone(), split, read, coordinates)?;
    }
    if sequences.len() == before {
        bail!("{}: holds no records, expected sequences of class '{class}'; check the file", path.display());
    }
    Ok(())
}

/// Checks that every split has examples, and that classes and labels can be learned and evaluated.
fn check_labels(data: &Dataset, source: DataSource) -> Result<()> {
    let Dataset { kind, classes, .. } = data;
    if matches!(source, DataSource::Examples(_)) && data.train.is_empty() {
        bail!(
            "the listing holds no training examples, as those of a run with --resample are drawn anew every epoch; repeat such a run from its config.toml"
        );
    }
    for (split, examples) in data.splits() {
        if examples.is_empty() {
            bail!(
                "no example is left for {}, expected some; name other chromosomes, a larger share or a file for it",
                match split {
                    Split::Train => "training",
                    Split::Valid => "validation",
                    Split::Test => "the test",
                }
            );
        }
        if let Some(profiles) = &examples.profiles
            && !(0..examples.len()).any(|i| profiles.is_peak(i))
        {
            bail!(
                "no peak is left for {}, expected some; name other chromosomes, or check --exclude and --outlier-quantile",
                split.name()
            );
        }
        match kind {
            TaskKind::Binary | TaskKind::Multiclass => {
                let mut counts = vec![0; classes.names.len()];
                examples.classes().into_iter().for_each(|class| counts[class] += 1);
                let needed = if split == Split::Train || classes.names.len() == 2 { counts.len() } else { 2 };
                let there = counts.iter().filter(|&&count| count > 0).count();
                if there < needed {
                    let missing = counts.iter().position(|&count| count == 0).unwrap_or(0);
                    if split == Split::Train {
                        refuse_unlearned_label(data, missing, &counts)?;
                    }
                    let source = &examples.origins[0].source;
                    bail!(
                        "{source}: the {} part has no example of class '{}', expected {}; give some, or another split",
                        split.name(),
                        classes.names[missing],
                        if needed == 2 && counts.len() == 2 {
                            format!("both {}", classes.names.join(" and "))
                        } else {
                            format!("all of {}", list_first(&classes.names, 8))
                        }
                    );
                }
            }
            TaskKind::Multilabel | TaskKind::Regression | TaskKind::Profile => {
                let width = examples.width;
                let there =
                    |column: usize| examples.labels.iter().skip(column).step_by(width).filter(|value| !value.is_nan());
                let varies = |column: usize| {
                    let first = there(column).next();
                    there(column).any(|value| Some(value) != first)
                };
                if split == Split::Train
                    && let Some(column) = (0..width).find(|&column| there(column).next().is_none())
                {
                    bail!(
                        "{}: column '{}' has no value in all {} training examples, expected some; leave the column out or give other examples",
                        examples.origins[0].source,
                        classes.names[column],
                        examples.len()
                    );
                }
                let constant = (0..width).find(|&column| !varies(column));
                // In one part a rare label may be missing, which leaves its metrics undefined there.
                if let Some(column) =
                    constant.filter(|_| split == Split::Train || (0..width).all(|column| !varies(column)))
                {
                    bail!(
                        "{}: column '{}' has the same value in all {} {} examples, expected different ones; leave the column out or give other examples",
                        examples.origins[0].source,
                        classes.names[column],
                        examples.len(),
                        split.name()
                    );
                }
            }
        }
    }
    Ok(())
}

/// Reports a label that only another file contains, which explains why training lacks the class.
fn refuse_unlearned_label(data: &Dataset, class: usize, counts: &[usize]) -> Result<()> {
    for (split, examples) in [(Split::Valid, &data.valid), (Split::Test, &data.test)] {
        if let Some(i) = (0..examples.len()).find(|&i| examples.class_of(i) == class) {
            let names = &data.classes.names;
            let learned = names.iter().zip(counts).filter(|(_, count)| **count > 0).map(|(name, _)| name.as_str());
            bail!(
                "{}: found the label '{}' in {} and not in training, expected {}; correct or remove it",
                examples.origins[i].describe(),
                names[class],
                split.name(),
                learned.take(8).collect::<Vec<_>>().join(" or ")
            );
        }
    }
    Ok(())
}

/// The default of `--memory`, in bytes; 4 GB where the system does not say what is free.
pub fn half_of_free_memory() -> u64 {
    machine::memory().map_or(4_000_000_000, |(_, free)| free / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_tables_have_the_order_the_contract_gives() {
        let of = |labels: &[&'static str]| Classes::from_labels(labels.iter().copied());
        assert_eq!(of(&["1", "0"]), Classes { names: vec!["0".into(), "1".into()], positive: 1 });
        assert_eq!(of(&["10", "2"]), Classes { names: vec!["2".into(), "10".into()], positive: 0 });
        assert_eq!(of(&["0.0", "1.0"]).positive, 1);
        assert_eq!(of(&["1", "-1"]), Classes { names: vec!["-1".into(), "1".into()], positive: 1 });
        for labels in [["yes", "no"], ["no", "yes"]] {
            assert_eq!(of(&labels), Classes { names: vec!["yes".into(), "no".into()], positive: 0 });
        }
        for labels in [["0", "1.0", "1"], ["1", "0", "1.0"]] {
            assert_eq!(of(&labels), Classes { names: vec!["0".into(), "1".into()], positive: 1 });
        }
        assert_eq!(of(&["mouse", "human"]), Classes { names: vec!["mouse".into(), "human".into()], positive: 0 });
    }

    #[test]
    fn demo_data_is_balanced_distinct_and_repeatable() {
        let config = DataConfig { fragments: 200, test_fragments: 100, ..DataConfig::default() };
        let progress = Progress::quiet();
        let load = |seed| load(&LoadRequest::new(&config, seed, &progress)).unwrap();
        let data = load(1);
        assert_eq!((data.train.len(), data.valid.len(), data.test.len()), (200, 32, 100));
        assert_eq!(data.train.labels.iter().filter(|&&label| label == 0.0).count(), 100);
        let codes = |examples: &Examples| examples.all_codes().unwrap();
        assert_eq!(codes(&load(1).train), codes(&data.train));
        assert_ne!(codes(&load(2).train), codes(&data.train));
        let task = Some((data.kind, &data.classes));
        let request = LoadRequest { task, length: Some(128), ..LoadRequest::new(&config, 1, &progress) };
        let test = load_test(&request).unwrap();
        assert_eq!(codes(&test.examples), codes(&data.test));
    }
}
