//! What the settings of the data came to: which negatives, how long, which chromosomes in which split. `run.json` holds it
//! as `resolved`, and the head of `config.toml` in words.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::config::{Aggregate, Center, DataConfig, Fit, Negatives, SourceKind, TaskKind, name_of};
use crate::dataset::Dataset;
use crate::dataset::examples::Examples;
use crate::dataset::split::Split;
use crate::format::thousands;

/// The most chromosomes of a split that are named one by one. Assemblies with more are in scaffolds, and `examples.tsv`
/// names the scaffold of every example.
const MOST_NAMED: usize = 1000;

/// The data of a run, as resolved from defaults, settings and the data themselves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resolved {
    /// Where examples come from: demo, genomes, classes, regions, tables or examples.
    pub source: String,
    /// Length of an example, in bp.
    pub length: usize,
    /// How sequences of another length were fitted; nothing where each had the length.
    pub fit: Option<Fit>,
    /// Negatives of a single set of regions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negatives: Option<Negatives>,
    /// Negatives for each region, where they are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negatives_per_positive: Option<usize>,
    /// What the values of signal tracks are, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// What windows of regions were asked to be centred on; nothing where the region files decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub center: Option<Center>,
    /// Unknown bases allowed in a window, where windows are taken from genomes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_n: Option<usize>,
    /// Training examples.
    pub train: ResolvedSplit,
    /// Validation examples.
    pub valid: ResolvedSplit,
    /// Test examples.
    pub test: ResolvedSplit,
    /// Chromosomes of which several splits have different blocks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shared_in_blocks: Vec<String>,
    /// Data files that were not where the configuration names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moved_files: Vec<MovedFile>,
}

/// Where the examples of a split lie.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResolvedSplit {
    /// Chromosomes with examples, in order of appearance; not more than a thousand.
    pub chromosomes: Vec<String>,
    /// Number of chromosomes, all counted.
    pub chromosome_count: usize,
    /// Examples without coordinates.
    pub without_coordinates: usize,
}

/// A data file that was found by its checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedFile {
    /// Path that the configuration or the run names.
    pub recorded: std::path::PathBuf,
    /// Path at which a file of the same contents was found.
    pub found: std::path::PathBuf,
}

impl Resolved {
    /// What the settings came to on these data.
    pub fn of(config: &DataConfig, data: &Dataset) -> Self {
        use SourceKind::{Classes, Demo, Examples as Listing, Genomes, Regions, Tables};
        let kind = config.source();
        let source = match kind {
            Demo => "demo",
            Genomes => "genomes",
            Classes => "classes",
            Regions => "regions",
            Tables => "tables",
            Listing => "examples",
        };
        let negatives = config.negatives_of_regions().cloned();
        let made = negatives.as_ref().is_some_and(|negatives| !matches!(negatives, Negatives::Bed(_)));
        let [train, valid, test] = data.splits().map(|(_, examples)| ResolvedSplit::of(examples));
        let mut seen: BTreeSet<&String> = BTreeSet::new();
        let mut shared: BTreeSet<&String> = BTreeSet::new();
        for name in [&train, &valid, &test].iter().flat_map(|split| &split.chromosomes) {
            if !seen.insert(name) {
                shared.insert(name);
            }
        }
        Self {
            source: source.into(),
            length: data.train.length,
            fit: config.fit,
            negatives_per_positive: made.then_some(config.negatives_per_positive),
            negatives,
            signal: signal_in_words(config, data.train.length),
            center: config.center,
            max_n: matches!(kind, Demo | Genomes | Regions).then_some(config.max_n),
            shared_in_blocks: shared.into_iter().cloned().collect(),
            train,
            valid,
            test,
            moved_files: Vec::new(),
        }
    }

    /// The splits by name.
    pub fn splits(&self) -> [(Split, &ResolvedSplit); 3] {
        [(Split::Train, &self.train), (Split::Valid, &self.valid), (Split::Test, &self.test)]
    }

    /// The kind of negatives and how many, for people.
    pub fn negatives_in_words(&self) -> Option<String> {
        let negatives = self.negatives.as_ref()?;
        Some(match self.negatives_per_positive {
            Some(each) => format!("{negatives}, {each} for each region"),
            None => negatives.to_string(),
        })
    }

    /// What windows of regions are centred on, for people.
    pub fn center_in_words(&self) -> String {
        self.center.map_or_else(|| "summits where a file has them, or else middles".into(), |center| name_of(&center))
    }

    /// How sequences of other lengths were fitted, for people.
    pub fn fit_in_words(&self) -> String {
        self.fit.map_or_else(|| "none, every sequence has the length".into(), |fit| name_of(&fit))
    }

    /// The head of `config.toml`: everything as comments, which `train` does not read.
    pub fn as_comments(&self, data: &Dataset) -> String {
        let classes = data.classes.names.join(", ");
        let classes = match data.kind {
            TaskKind::Binary => format!("classes: {classes}; positive: {}", data.classes.positive_name()),
            TaskKind::Multiclass => format!("classes: {classes}"),
            TaskKind::Multilabel => format!("labels: {classes}"),
            TaskKind::Regression | TaskKind::Profile => format!("values: {classes}"),
        };
        let mut lines = vec![
            "What the settings came to in this run, which does not change how they are read:".to_owned(),
            format!("task: {}", name_of(&data.kind)),
            classes,
            format!("data: {}, {} bp; fit: {}", self.source, self.length, self.fit_in_words()),
        ];
        lines.extend(self.negatives_in_words().map(|negatives| format!("negatives: {negatives}")));
        lines.extend(self.signal.iter().map(|signal| format!("signal: {signal}")));
        if self.source == "regions" {
            lines.push(format!("center: {}", self.center_in_words()));
        }
        lines.extend(self.max_n.map(|max_n| format!("max_n: {max_n}")));
        for ((split, resolved), (_, examples)) in self.splits().into_iter().zip(data.splits()) {
            lines.push(format!(
                "{}: {} examples, {}",
                split.name(),
                thousands(examples.len()),
                resolved.in_words(&self.shared_in_blocks)
            ));
        }
        lines.extend(self.moved_files.iter().map(|MovedFile { recorded, found }| {
            format!("{} was found by its checksum as {}", recorded.display(), found.display())
        }));
        // A name must not end the comment.
        let plain = |line: String| line.replace(|letter: char| letter.is_control(), " ");
        lines.into_iter().map(|line| format!("# {}\n", plain(line))).collect()
    }
}

impl ResolvedSplit {
    fn of(examples: &Examples) -> Self {
        let (mut chromosomes, mut seen, mut without) = (Vec::new(), BTreeSet::new(), 0);
        for origin in &examples.origins {
            match &origin.place {
                None => without += 1,
                Some(place) if seen.contains(&place.chromosome) => {}
                Some(place) => {
                    seen.insert(place.chromosome.clone());
                    if chromosomes.len() < MOST_NAMED {
                        chromosomes.push(place.chromosome.to_string());
                    }
                }
            }
        }
        Self { chromosomes, chromosome_count: seen.len(), without_coordinates: without }
    }

    /// The chromosomes, for people; `blocks` are those that splits share block by block.
    pub fn in_words(&self, blocks: &[String]) -> String {
        const MOST_SHOWN: usize = 100;
        let mut parts = Vec::new();
        let (shared, own): (Vec<&String>, Vec<&String>) =
            self.chromosomes.iter().take(MOST_SHOWN).partition(|name| blocks.contains(name));
        let listed = |names: &[&String]| names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        if !own.is_empty() {
            parts.push(listed(&own));
        }
        if !shared.is_empty() {
            parts.push(format!("blocks of {}", listed(&shared)));
        }
        if self.chromosome_count > MOST_SHOWN {
            parts.push(format!("{} chromosomes in all", thousands(self.chromosome_count)));
        }
        match (self.without_coordinates, parts.is_empty()) {
            (0, _) => {}
            (_, true) => parts.push("none with coordinates".into()),
            (without, false) => parts.push(format!("{} without coordinates", thousands(without))),
        }
        parts.join("; ")
    }
}

/// What the values of signal tracks are, for people.
fn signal_in_words(config: &DataConfig, length: usize) -> Option<String> {
    if config.signal.is_empty() {
        return None;
    }
    if config.task == Some(TaskKind::Profile) {
        let (output_length, moved) = (config.profile_lengths().1, config.jitter);
        let counts = format!("counts of each base of the middle {} bp of a window", thousands(output_length));
        let counts = match moved {
            0 => counts,
            by => format!("{counts}, which moves by up to {} bp each epoch in training", thousands(by)),
        };
        return Some(if config.control.is_some() { counts + ", beside a control" } else { counts });
    }
    let value = match config.aggregate.unwrap_or_default() {
        Aggregate::Sum => "sum",
        Aggregate::Mean => "mean",
        Aggregate::Max => "largest value",
    };
    let part = match config.output_length.filter(|&output| output != length) {
        Some(output) => format!("the middle {} bp of a window", thousands(output)),
        None => "a window".into(),
    };
    let log = if config.log1p { ", as log(1 + x)" } else { "" };
    let over = match config.bin {
        Some(bin) => format!("each {bin} bp of {part}"),
        None => part,
    };
    Some(format!("{value} over {over}{log}"))
}

/// The settings with those defaults written out that do not follow from the data: they mean the same where the run is repeated.
pub fn with_defaults(config: &DataConfig, data: &Dataset) -> DataConfig {
    let mut config = config.clone();
    config.negatives = config.negatives_of_regions().cloned();
    if !config.signal.is_empty() {
        config.task = config.task_kind();
        match &data.train.profiles {
            Some(profiles) => config.output_length = Some(profiles.shape.length),
            None => {
                config.aggregate = Some(config.aggregate.unwrap_or_default());
                config.output_length = Some(config.output_length.unwrap_or(data.train.length));
            }
        }
    }
    if matches!(config.source(), SourceKind::Demo | SourceKind::Genomes | SourceKind::Regions) {
        config.length = Some(data.train.length);
    }
    config
}
