//! Labelled sequences as files give them: of any length, with or without a split. Decides on classes, splits and length,
//! and makes examples of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::config::{Fit, MAX_CLASSES, Missing, SourceKind, TaskKind};
use crate::dataset::class_labels::{self, ClassIndex};
use crate::dataset::examples::{Examples, ExamplesWriter, Name, Origin, describe};
use crate::dataset::genomes::report_deal;
use crate::dataset::split::{self, Assignment, Split};
use crate::dataset::store::{Store, StoreWriter};
use crate::dataset::{Classes, LoadRequest};
use crate::format::{list_first, thousands};
use crate::genome::Chromosome;
use crate::genome::interval::Place;
use crate::progress::Progress;
use crate::sequence::alphabet;

/// Share of sequences that become validation and test where no setting says otherwise.
const DEFAULT_SHARE: f64 = 0.1;

/// Class or values of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum Label {
    /// Name of the class.
    Class(Arc<str>),
    /// One for each column, `NaN` where it is missing.
    Values(Box<[f32]>),
}

#[derive(Clone, Debug)]
struct Entry {
    label: Label,
    /// Where the file says it.
    split: Option<Split>,
    origin: Origin,
}

/// Sequences in the order they were read.
pub struct Sequences {
    codes: StoreWriter,
    ends: Vec<u64>,
    entries: Vec<Entry>,
    classes: HashMap<String, Arc<str>>,
    /// Names of the columns that hold labels or values; empty where labels are classes.
    pub columns: Vec<String>,
}

/// Where a sequence was read.
pub struct Read<'a> {
    /// Path of the file, or what simulated the sequence.
    pub source: &'a Arc<str>,
    /// Record name, table line, or its coordinates in a genome.
    pub name: Name,
    /// Coordinates and strand, where they are known.
    pub place: Option<Place>,
    /// Whether the source is a genome that holds the sequence at `place`.
    pub in_genome: bool,
}

impl Sequences {
    /// Up to `memory` bytes of sequence are held in memory.
    pub fn new(memory: u64) -> Self {
        Self {
            codes: StoreWriter::new(memory),
            ends: Vec::new(),
            entries: Vec::new(),
            classes: HashMap::new(),
            columns: Vec::new(),
        }
    }

    /// Number of sequences added.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no sequence was added.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The class of this name, shared by all its sequences.
    pub fn class(&mut self, name: &str) -> Label {
        if let Some(class) = self.classes.get(name) {
            return Label::Class(class.clone());
        }
        let class: Arc<str> = name.into();
        self.classes.insert(name.to_owned(), class.clone());
        Label::Class(class)
    }

    /// Adds a sequence, given as codes with case.
    ///
    /// # Errors
    /// It is empty or holds no known base.
    pub fn push(&mut self, codes: &[u8], label: Label, split: Option<Split>, read: Read) -> Result<()> {
        if codes.is_empty() {
            bail!("{}: the sequence is empty, expected bases; remove it", describe(read.source, &read.name));
        }
        if codes.iter().all(|&code| alphabet::is_unknown(code)) {
            bail!(
                "{}: all {} bases are unknown (N), expected some of A, C, G and T; remove it",
                describe(read.source, &read.name),
                codes.len()
            );
        }
        self.codes.push(codes)?;
        self.ends.push(self.codes.len());
        let Read { source, name, place, in_genome } = read;
        let masked = alphabet::masked_share(codes);
        let origin = Origin { source: source.clone(), name, place, in_genome, bases: codes.len(), masked };
        self.entries.push(Entry { label, split, origin });
        Ok(())
    }
}

/// Examples of every split, and what they are examples of.
pub struct Assembled {
    /// Training, validation and test.
    pub splits: [Examples; 3],
    /// Kind of prediction that the labels ask for.
    pub kind: TaskKind,
    /// Names of the classes, or of the label columns.
    pub classes: Classes,
}

/// Decides on splits, classes and length, and makes examples of one length.
///
/// # Errors
/// Labels, lengths or chromosomes do not fit together; the message names the first record that does not.
pub fn assemble(sequences: Sequences, request: &LoadRequest) -> Result<Assembled> {
    let Sequences { codes, ends, mut entries, columns, .. } = sequences;
    let codes = codes.finish()?;
    divide(&mut entries, &codes, &ends, request)?;
    leave_out_unlabelled(&mut entries, &columns, request)?;
    let (kind, classes) = task_and_classes(&entries, columns, request)?;
    let length = common_length(entries.iter().filter(|entry| entry.split.is_some()), request)?;
    let labels = number_labels(&entries, kind, &classes, request)?;
    let width = labels.len() / entries.len().max(1);

    let mut totals = [0u64; 3];
    for entry in &entries {
        if let Some(split) = entry.split {
            totals[split as usize] += length as u64;
        }
    }
    let limit = if totals.iter().sum::<u64>() > request.memory / 2 { 0 } else { u64::MAX };
    let mut writers = [(); 3].map(|()| ExamplesWriter::new(length, width, limit));
    let (mut whole, mut fitted) = (Vec::new(), Vec::new());
    for (i, entry) in entries.into_iter().enumerate() {
        let Some(split) = entry.split else { continue };
        whole.clear();
        codes.read(if i == 0 { 0 } else { ends[i - 1] }..ends[i], &mut whole)?;
        fit(&whole, length, &mut fitted);
        writers[split as usize].push(&fitted, &labels[i * width..(i + 1) * width], entry.origin)?;
    }
    let [train, valid, test] = writers;
    Ok(Assembled { splits: [train.finish()?, valid.finish()?, test.finish()?], kind, classes })
}

/// The middle of a longer sequence, or a shorter one between unknown bases. Where the middle falls between two bases, the
/// smaller strand decides, so that a sequence and its reverse complement stay each other's.
pub fn fit(codes: &[u8], length: usize, out: &mut Vec<u8>) -> usize {
    out.clear();
    let difference = codes.len().abs_diff(length);
    let mut before = difference / 2;
    if difference % 2 == 1 {
        let other = codes.iter().rev().map(|&code| alphabet::complement(code));
        before += usize::from(other.lt(codes.iter().copied()));
    }
    if codes.len() >= length {
        out.extend_from_slice(&codes[before..before + length]);
    } else {
        out.resize(before, alphabet::UNKNOWN);
        out.extend_from_slice(codes);
        out.resize(length, alphabet::UNKNOWN);
    }
    before
}

/// Gives every entry its split; those that no split wants keep none.
fn divide(entries: &mut [Entry], codes: &Store, ends: &[u64], request: &LoadRequest) -> Result<()> {
    let LoadRequest { config, assignment, progress, .. } = request;
    if matches!(config.source(), SourceKind::Regions | SourceKind::Examples) {
        return Ok(()); // regions are read for the splits that are wanted, and a listing says what the test is
    }
    if !matches!(assignment, Assignment::Choice(_)) {
        // What the files say was said for training.
        entries.iter_mut().for_each(|entry| entry.split = None);
    }
    let given = |split| entries.iter().any(|entry| entry.split == Some(split));
    let given = Given { valid: given(Split::Valid), test: given(Split::Test) };
    // What a table's own column gives to training makes up for a split that it does not give.
    let reopens = config.source() == SourceKind::Tables && !(given.valid && given.test);
    let is_open = |entry: &Entry| match entry.split {
        None => true,
        Some(split) => reopens && split == Split::Train,
    };
    let open: Vec<usize> = (0..entries.len()).filter(|&i| is_open(&entries[i])).collect();
    let all_placed = open.iter().all(|&i| entries[i].origin.place.is_some());
    let by_share = config.valid_fraction.is_some() || config.test_fraction.is_some();
    let assignment = match assignment {
        Assignment::Choice(_) => (config.names_chromosomes() || (all_placed && !by_share)).then_some(assignment),
        Assignment::TestOn(_) => Some(assignment),
        Assignment::TestOnAll => {
            open.into_iter().for_each(|i| entries[i].split = Some(Split::Test));
            return Ok(());
        }
        // What has no coordinates cannot be told by them from what the run learned from.
        Assignment::TestOnUnseenBy(_) | Assignment::TestOnOthers(_) => {
            let (placed, unplaced): (Vec<usize>, Vec<usize>) =
                open.into_iter().partition(|&i| entries[i].origin.place.is_some());
            unplaced.into_iter().for_each(|i| entries[i].split = Some(Split::Test));
            return by_place(entries, &placed, assignment, given, progress);
        }
    };
    match assignment {
        _ if open.is_empty() => Ok(()),
        Some(assignment) => by_place(entries, &open, assignment, given, progress),
        None => by_sequence(entries, &open, codes, ends, given, request),
    }
}

/// Splits that the files give themselves.
#[derive(Clone, Copy, Debug)]
struct Given {
    valid: bool,
    test: bool,
}

fn by_place(
    entries: &mut [Entry],
    open: &[usize],
    assignment: &Assignment,
    given: Given,
    progress: &Progress,
) -> Result<()> {
    // Chromosomes as far as sequences show them.
    let mut index: HashMap<Arc<str>, usize> = HashMap::new();
    let mut chromosomes: Vec<Chromosome> = Vec::new();
    for &i in open {
        let origin = &entries[i].origin;
        let Some(place) = &origin.place else {
            bail!(
                "{}: holds no coordinates, expected a name chr:start-end (or columns chrom, start and end) as a split by chromosome needs; add them or use --valid-fraction and --test-fraction",
                origin.describe()
            );
        };
        let chromosome = *index.entry(place.chromosome.clone()).or_insert_with(|| {
            chromosomes.push(Chromosome { name: place.chromosome.to_string(), length: 0 });
            chromosomes.len() - 1
        });
        chromosomes[chromosome].length = chromosomes[chromosome].length.max(place.range.end);
    }
    let known: Vec<&str> = chromosomes.iter().map(|c| c.name.as_str()).collect();
    assignment.check(&known)?;
    let wanted: Vec<Split> = Split::ALL
        .into_iter()
        .filter(|split| match split {
            Split::Train => true,
            Split::Valid => !given.valid,
            Split::Test => !given.test,
        })
        .collect();
    // Chromosomes that were dealt to a split that files give already are for training; those left unnamed stay so.
    let left_open = matches!(assignment, Assignment::Choice(choice) if choice.train.is_empty());
    if !open.is_empty() {
        report_deal("the sequences'", &chromosomes, assignment, &wanted, progress);
        if left_open && wanted.len() < Split::ALL.len() && assignment.is_open() {
            progress.say("the other chromosomes are for training too, as files are given for the rest");
        }
    }
    let parts = split::intervals(&chromosomes, assignment, 1);
    let mut left_out = 0;
    for &i in open {
        let entry = &mut entries[i];
        let Some(place) = &entry.origin.place else { continue };
        let found = if given.valid {
            assignment.split_of(&place.chromosome) // no blocks are cut for validation
        } else {
            split::split_holding(&parts, index[&place.chromosome], &place.range)
        };
        entry.split = match found {
            Some(split) if !wanted.contains(&split) => left_open.then_some(Split::Train),
            found => found,
        };
        left_out += usize::from(entry.split.is_none());
    }
    if left_out > 0 {
        progress.say(&format!(
            "{left_out} sequences lie on chromosomes for no split, or across the edge of two, and are left out"
        ));
    }
    Ok(())
}

fn by_sequence(
    entries: &mut [Entry],
    open: &[usize],
    codes: &Store,
    ends: &[u64],
    given: Given,
    request: &LoadRequest,
) -> Result<()> {
    let LoadRequest { config, progress, .. } = request;
    let share = |given: bool, setting: Option<f64>| if given { 0.0 } else { setting.unwrap_or(DEFAULT_SHARE) };
    let (valid, test) = (share(given.valid, config.valid_fraction), share(given.test, config.test_fraction));
    for (name, share) in [("validation", valid), ("test", test)] {
        if share > 0.0 {
            progress.say(&format!("{name}: {} % of the sequences, by a hash of the sequence", share * 100.0));
        }
    }
    // Of what the network will see: two that are the same once they are cropped must not be parted.
    let length = common_length(entries.iter(), request)?;
    let (mut whole, mut fitted) = (Vec::new(), Vec::new());
    for &i in open {
        whole.clear();
        codes.read(if i == 0 { 0 } else { ends[i - 1] }..ends[i], &mut whole)?;
        alphabet::without_case(&mut whole);
        fit(&whole, length, &mut fitted);
        entries[i].split = Some(split::split_of_sequence(&fitted, valid, test));
    }
    Ok(())
}

/// The task and the names of its classes, labels or values.
fn task_and_classes(entries: &[Entry], columns: Vec<String>, request: &LoadRequest) -> Result<(TaskKind, Classes)> {
    let source = entries.first().map_or("the data", |entry| &entry.origin.source);
    let (config, by_columns) = (request.config, !columns.is_empty());
    if let Some((kind, classes)) = request.task {
        let values = matches!(kind, TaskKind::Multilabel | TaskKind::Regression);
        if values != by_columns || (values && columns != classes.names) {
            let found = if by_columns { columns.join(", ") } else { "classes".into() };
            bail!(
                "{source}: holds {found}, expected {} as the run learned; name the columns alike",
                classes.names.join(", ")
            );
        }
        return Ok((kind, classes.clone()));
    }
    if by_columns {
        let kind = config.task.unwrap_or(TaskKind::Multilabel);
        return Ok((kind, Classes::named(columns)));
    }
    let of_flags = config.flag_classes();
    let classes = if !config.classes.is_empty() {
        Classes::first_positive(config.classes.clone())
    } else if !of_flags.is_empty() {
        Classes::named(of_flags.into_iter().map(str::to_owned).collect())
    } else {
        let mut seen = HashSet::new();
        let labels = entries.iter().filter_map(|entry| match &entry.label {
            Label::Class(name) => seen.insert(Arc::as_ptr(name)).then_some(&**name),
            Label::Values(_) => None,
        });
        let classes = Classes::from_labels(labels);
        if let Some((first, second)) = class_labels::alike(&classes.names) {
            let of =
                |name: &str| entries.iter().find(|entry| matches!(&entry.label, Label::Class(own) if **own == *name));
            let place = of(second).map_or_else(|| source.to_string(), |entry| entry.origin.describe());
            bail!(
                "{place}: found the label '{second}', which differs only in case from '{first}', expected one spelling; correct it, or list both in --classes"
            );
        }
        classes
    };
    let (n, shown) = (classes.names.len(), list_first(&classes.names, 8));
    if n < 2 {
        bail!("{source}: holds 1 class ({shown}), expected two or more; check the labels");
    }
    if n > MAX_CLASSES {
        bail!(
            "{source}: holds {n} classes ({shown}), expected at most {MAX_CLASSES}; for numbers use --task regression"
        );
    }
    let kind = match config.task {
        Some(TaskKind::Binary) if n > 2 => {
            bail!("{source}: holds {n} classes ({shown}), expected two for --task binary; remove --task")
        }
        Some(kind @ (TaskKind::Binary | TaskKind::Multiclass)) => kind,
        _ if n == 2 => TaskKind::Binary,
        _ => TaskKind::Multiclass,
    };
    Ok((kind, classes))
}

/// Leaves out examples without a value in any column, and says how many values are missing in the others.
fn leave_out_unlabelled(entries: &mut [Entry], columns: &[String], request: &LoadRequest) -> Result<()> {
    let (mut missing, mut empty, mut kept) = (vec![0usize; columns.len()], 0, 0);
    for Entry { label, split, origin } in entries.iter_mut().filter(|entry| entry.split.is_some()) {
        let Label::Values(values) = label else { continue };
        let first = values.iter().position(|value| value.is_nan());
        if let (Some(column), Missing::Error) = (first, request.config.missing) {
            bail!(
                "{}: column '{}' has no value, expected one under --missing error; give one or remove the line",
                origin.describe(),
                columns.get(column).map_or("", String::as_str)
            );
        }
        if values.iter().all(|value| value.is_nan()) {
            (*split, empty) = (None, empty + 1);
            continue;
        }
        kept += 1;
        missing.iter_mut().zip(values.iter()).for_each(|(count, value)| *count += usize::from(value.is_nan()));
    }
    let (all, progress) = (missing.iter().sum::<usize>(), request.progress);
    if empty > 0 {
        progress.say(&format!(
            "{} of {} examples have no value in any column and are left out",
            thousands(empty),
            thousands(empty + kept)
        ));
    }
    if all > 0 {
        let named = missing.iter().zip(columns).filter(|(count, _)| **count > 0);
        let named: Vec<String> = named.map(|(count, name)| format!("{name} {}", thousands(*count))).collect();
        progress.say(&format!(
            "{} of {} values are missing and are left out of loss and metrics ({})",
            thousands(all),
            thousands(kept * columns.len()),
            list_first(&named, 8)
        ));
    }
    Ok(())
}

/// Labels as numbers, `[n, width]`.
fn number_labels(entries: &[Entry], kind: TaskKind, classes: &Classes, request: &LoadRequest) -> Result<Vec<f32>> {
    let index = ClassIndex::new(&classes.names);
    let (mut labels, mut alike) = (Vec::new(), Vec::new());
    for Entry { label, origin, .. } in entries {
        match label {
            Label::Class(name) => {
                // A run's own classes may be written in another case in the table of a later test.
                let in_another_case = || {
                    request.task.and_then(|_| index.find_alike(name)).inspect(|&class| {
                        let read = format!("'{name}' as {}", classes.names[class]);
                        if !alike.contains(&read) {
                            alike.push(read);
                        }
                    })
                };
                match index.find(name).or_else(in_another_case) {
                    Some(class) => labels.push(class as f32),
                    None => {
                        let case = match index.find_alike(name) {
                            Some(class) => format!(", which differs only in case from '{}'", classes.names[class]),
                            None => String::new(),
                        };
                        bail!(
                            "{}: found the label '{name}'{case}, expected {}; correct or remove it",
                            origin.describe(),
                            list_first(&classes.names, 8).replace(", ", " or ")
                        )
                    }
                }
            }
            Label::Values(values) => {
                if values.len() != classes.names.len() {
                    bail!(
                        "{}: found {} labels, expected {}; correct the line",
                        origin.describe(),
                        values.len(),
                        classes.names.len()
                    );
                }
                if kind == TaskKind::Multilabel
                    && let Some(wrong) = values.iter().find(|value| ![0.0, 1.0].contains(*value) && !value.is_nan())
                {
                    bail!(
                        "{}: found the label {wrong}, expected 0 or 1 for --task multilabel; correct it or use --task regression",
                        origin.describe()
                    );
                }
                labels.extend_from_slice(values);
            }
        }
    }
    if !alike.is_empty() {
        request
            .progress
            .warn(&format!("labels are in another case than the run's classes: {} read", list_first(&alike, 8)));
    }
    Ok(labels)
}

/// The one length that all sequences get.
fn common_length<'a>(entries: impl Iterator<Item = &'a Entry> + Clone, request: &LoadRequest) -> Result<usize> {
    let config = request.config;
    let used = || entries.clone().map(|entry| &entry.origin);
    let Some(first) = used().next() else { bail!("no sequence is left for any split; name other chromosomes") };
    let named = request.length.map(|length| (length, "the network's length".to_owned()));
    let wanted = named.or(config.length.map(|length| (length, "--length".to_owned())));
    let (length, origin) = match (wanted, config.fit) {
        (Some(wanted), _) => wanted,
        (None, Some(Fit::CenterCrop)) => (used().map(|o| o.bases).min().unwrap_or(0), String::new()),
        (None, Some(Fit::Pad)) => (used().map(|o| o.bases).max().unwrap_or(0), String::new()),
        (None, _) => (first.bases, format!("{} has", first.describe())),
    };
    for origin_of in used() {
        let (bases, advice) = (origin_of.bases, "--fit center-crop, pad or crop-or-pad");
        let fits = match config.fit {
            Some(Fit::CropOrPad) => true,
            Some(Fit::CenterCrop) => bases >= length,
            Some(Fit::Pad) => bases <= length,
            None => bases == length,
        };
        if !fits {
            let expected = match config.fit {
                Some(Fit::CenterCrop) => format!("{length} or more for --fit center-crop"),
                Some(Fit::Pad) => format!("{length} or less for --fit pad"),
                _ if origin.starts_with("--") || origin.starts_with("the network") => format!("{length} ({origin})"),
                _ => format!("{length} as {origin}"),
            };
            bail!(
                "{}: the sequence has {bases} bases, expected {expected}; cut or remove it, or add {advice}",
                origin_of.describe()
            );
        }
    }
    Ok(length)
}

#[cfg(test)]
impl Sequences {
    /// Everything that was added: codes, label, split and origin.
    pub fn into_parts(self) -> Vec<(Vec<u8>, Label, Option<Split>, Origin)> {
        let codes = self.codes.finish().unwrap();
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ranges: Vec<_> = starts.zip(self.ends.iter().copied()).collect();
        let parts = self.entries.into_iter().zip(ranges).map(|(entry, (start, end))| {
            let mut sequence = Vec::new();
            codes.read(start..end, &mut sequence).unwrap();
            (sequence, entry.label, entry.split, entry.origin)
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cropping_and_padding_treat_both_strands_alike(codes in prop::collection::vec(0u8..5, 1..60), length in 1usize..60) {
            let (mut fitted, mut other) = (Vec::new(), codes.clone());
            fit(&codes, length, &mut fitted);
            alphabet::reverse_complement(&mut other);
            prop_assume!(other != codes); // a palindrome is one sequence, wherever it is cut
            let mut of_other = Vec::new();
            fit(&other, length, &mut of_other);
            alphabet::reverse_complement(&mut of_other);
            prop_assert_eq!(&fitted, &of_other);
            prop_assert_eq!(fitted.len(), length);
            let (short, long) = if length < codes.len() { (&fitted, &codes) } else { (&codes, &fitted) };
            let middle = (long.len() - short.len()) / 2;
            prop_assert!((middle..=middle + 1).any(|start| long.get(start..start + short.len()) == Some(&short[..])));
        }
    }
}
