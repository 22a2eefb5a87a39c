//! The task of a run in words.

use crate::classes::Classes;
use crate::config::{self, BatchSize, DataConfig, SourceKind, TaskKind};
use crate::format::thousands;
use crate::html::files::RunFiles;
use crate::html::{listed, shell_words};
use crate::run::Resolved;
use crate::task::Task;
use crate::training::history::metric_name;

/// Largest number of classes, labels or columns named in a sentence.
const MOST_NAMES: usize = 8;

/// Describes the task in a sentence.
pub fn question(run: &RunFiles) -> String {
    of_task(run.task(), &run.classes, run.provenance.length)
}

/// The same of a task with its classes and the length of a sequence in bp.
pub fn of_task(task: &Task, classes: &Classes, length: usize) -> String {
    let (names, length) = (&classes.names, thousands(length));
    let few = names.len() <= MOST_NAMES;
    let count = thousands(names.len());
    match task.kind {
        TaskKind::Binary => {
            let (positive, negative) = (classes.positive_name(), classes.negative_name());
            format!("Is a sequence of {length} bp {positive} or {negative}?")
        }
        TaskKind::Multiclass if few => format!("Which is a sequence of {length} bp: {}?", either(names)),
        TaskKind::Multiclass => format!("Which of {count} classes is a sequence of {length} bp?"),
        TaskKind::Multilabel if few => format!("Which of {} hold for a sequence of {length} bp?", listed(names)),
        TaskKind::Multilabel => format!("Which of {count} labels hold for a sequence of {length} bp?"),
        TaskKind::Regression if few => format!("What is the {} of a sequence of {length} bp?", listed(names)),
        TaskKind::Regression => format!("What are the {count} values of a sequence of {length} bp?"),
        TaskKind::Profile if few => {
            format!("Where do reads of {} lie in a sequence of {length} bp, and how many?", listed(names))
        }
        TaskKind::Profile => {
            format!("Where do reads of {count} tracks lie in a sequence of {length} bp, and how many?")
        }
    }
}

/// Joins items in a sentence: `a, b or c`.
fn either(names: &[String]) -> String {
    let (last, first) = names.split_last().map_or(("", &names[..0]), |(last, first)| (last.as_str(), first));
    format!("{} or {last}", first.join(", "))
}

/// Describes the outputs of each kind of task.
pub fn kind_in_words(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Binary => "one of two classes",
        TaskKind::Multiclass => "one of several classes",
        TaskKind::Multilabel => "several yes/no labels",
        TaskKind::Regression => "real values",
        TaskKind::Profile => "counts of each base, and of all of them",
    }
}

/// Properties of the task and of training.
pub fn asked(run: &RunFiles) -> Vec<(&'static str, String)> {
    let (provenance, task) = (&run.provenance, run.task());
    let (data, model, training) = (&provenance.config.data, &provenance.config.model, &provenance.config.training);
    let mut rows = vec![("task", format!("{} ({})", config::name_of(&task.kind), kind_in_words(task.kind)))];
    let names = &run.classes.names;
    let shown = if names.len() <= 2 * MOST_NAMES {
        names.join(", ")
    } else {
        format!("{} and {} more", names[..MOST_NAMES].join(", "), thousands(names.len() - MOST_NAMES))
    };
    let by_default = match data.label_columns.is_empty() && data.source() == SourceKind::Tables {
        true => "; all that can be, as --label-columns names none",
        false => "",
    };
    rows.push(match task.kind {
        TaskKind::Binary => (
            "classes",
            format!("{shown}; {} is positive{}", run.classes.positive_name(), run.classes.why_positive(data)),
        ),
        TaskKind::Multiclass => ("classes", shown),
        TaskKind::Multilabel => ("labels", shown + by_default),
        TaskKind::Regression | TaskKind::Profile => ("values", shown + by_default),
    });
    rows.push(("sequence length", format!("{} bp", thousands(provenance.length))));
    let is_imported = provenance.imported.is_some();
    if !is_imported {
        rows.push(("data", source_in_words(data.source()).into()));
    }
    match &provenance.resolved {
        Some(resolved) => rows.extend(resolved_data(resolved)),
        None => rows.extend(named_chromosomes(data)),
    }
    let parameters = thousands(provenance.parameter_count);
    let layers = match model.layer.len() {
        layers if is_imported && layers > 0 => format!("{layers} layers"),
        0 => format!("{} filters of {} bp first", model.filters(), model.width()),
        layers => format!("{layers} layers of one's own"),
    };
    rows.push(("network", format!("{}, {layers}; {parameters} parameters", model.arch.name())));
    if training.ensemble > 1 {
        rows.push(("ensemble", format!("{} networks, whose scores are averaged", training.ensemble)));
    }
    rows.push(("strands", config::name_of(&training.strands)));
    if is_imported {
        return rows;
    }
    rows.push(("loss", config::name_of(&task.loss)));
    let batch = match training.batch_size {
        BatchSize::Auto => "batches of a size found by trying".into(),
        BatchSize::Of(fragments) => format!("batches of {fragments}"),
    };
    let (optimizer, schedule) = (config::name_of(&training.optimizer), config::name_of(&training.schedule));
    rows.push((
        "training",
        format!("{} epochs, {batch}, {optimizer} at {}, {schedule} schedule", training.epochs, training.lr),
    ));
    rows.push(("best epoch by", format!("validation {}", metric_name(task.selection_metric()))));
    rows.push(("seed", provenance.seed.to_string()));
    rows
}

/// What the settings of the data came to.
fn resolved_data(resolved: &Resolved) -> Vec<(&'static str, String)> {
    let mut rows = vec![("fit", resolved.fit_in_words())];
    rows.extend(resolved.negatives_in_words().map(|negatives| ("negatives", negatives)));
    rows.extend(resolved.signal.iter().map(|signal| ("signal", signal.clone())));
    if resolved.source == "regions" {
        rows.push(("windows centred on", resolved.center_in_words()));
    }
    rows.extend(resolved.max_n.map(|max_n| ("unknown bases allowed", max_n.to_string())));
    for ((_, split), name) in resolved.splits().into_iter().zip(["training on", "validation on", "test on"]) {
        if split.chromosome_count > 0 {
            rows.push((name, split.in_words(&resolved.shared_in_blocks)));
        }
    }
    rows
}

/// The chromosomes that the settings name, for runs of earlier versions, which do not say what became of the others.
fn named_chromosomes(data: &DataConfig) -> Option<(&'static str, String)> {
    let chromosomes =
        [("training", &data.train_chroms), ("validation", &data.valid_chroms), ("test", &data.test_chroms)];
    let named = chromosomes.iter().filter(|(_, names)| !names.is_empty());
    let named: Vec<String> = named.map(|(split, names)| format!("{split} {}", names.join(", "))).collect();
    (!named.is_empty()).then(|| ("chromosomes", named.join("; ")))
}

fn source_in_words(source: SourceKind) -> &'static str {
    match source {
        SourceKind::Demo => "windows of simulated genomes, for which the best possible score is known",
        SourceKind::Genomes => "windows drawn from a genome of each class",
        SourceKind::Classes => "sequences of each class",
        SourceKind::Regions => "windows around regions of a genome",
        SourceKind::Tables => "tables of sequences",
        SourceKind::Examples => "the examples of another run",
    }
}

/// The command line of the run, with the program's name in place of its path.
pub fn command_line(words: &[String]) -> String {
    shell_words(std::iter::once("strandnet").chain(words.iter().skip(1).map(String::as_str)))
}
