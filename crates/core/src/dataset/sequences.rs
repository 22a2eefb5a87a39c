//! Labelled sequences as files give them: of any length, with or without a split. Decides on classes, splits and length,
//! and makes examples of them.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::config::{Fit, MAX_CLASSES, Missing, SourceKind, TaskKind};
use crate::dataset::blocks;
use crate::dataset::class_labels::{self, ClassIndex};
use crate::dataset::examples::{Examples, ExamplesWriter, Name, Origin, describe};
use crate::dataset::genomes::report_deal;
use crate::dataset::split::{self, Assignment, Resolved, Shares, Split};
use crate::dataset::store::{Store, StoreWriter};
use crate::dataset::{Classes, LoadRequest};
use crate::format::{list_first, thousands};
use crate::formats::record_names::Coordinates;
use crate::genome::Chromosome;
use crate::genome::interval::Place;
use crate::genome::names::{list_names, looks_like_a_chromosome, same_name};
use crate::progress::Progress;
use crate::sequence::alphabet;

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
    /// Where its name says that it comes from, if it does not lie just there.
    from: Option<From>,
}

/// Where a sequence comes from.
#[derive(Clone, Debug)]
enum From {
    /// It was made from what lies there.
    Derived(Place),
    /// It lies there or thereabouts, on a stretch of another length.
    Misfit(Place),
}

impl Entry {
    /// The chromosome, and the positions that nothing in another split may share.
    fn locus(&self) -> Option<(&Arc<str>, Range<usize>)> {
        match (&self.origin.place, &self.from) {
            (Some(Place { chromosome, range, .. }), _) => {
                // A table's sequence may be longer than the stretch that it names.
                let beyond = self.origin.bases.saturating_sub(range.len());
                Some((chromosome, range.start.saturating_sub(beyond)..range.end + beyond))
            }
            (None, Some(From::Derived(place))) => Some((&place.chromosome, place.range.clone())),
            (None, Some(From::Misfit(Place { chromosome, range, .. }))) => {
                let around = range.start.saturating_sub(self.origin.bases)..range.end + self.origin.bases;
                Some((chromosome, around))
            }
            (None, None) => None,
        }
    }
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
        self.entries.push(Entry { label, split, origin, from: None });
        Ok(())
    }

    /// Adds a sequence with the coordinates that its record gives.
    ///
    /// # Errors
    /// As [`Sequences::push`].
    pub fn push_record(
        &mut self,
        codes: &[u8],
        label: Label,
        split: Option<Split>,
        read: Read,
        coordinates: Coordinates,
    ) -> Result<()> {
        let (place, from) = match coordinates {
            Coordinates::Absent => (None, None),
            Coordinates::Exact(place) => (Some(place), None),
            Coordinates::Derived(place) => (None, Some(From::Derived(place))),
            Coordinates::Misfit(place) => (None, Some(From::Misfit(place))),
        };
        self.push(codes, label, split, Read { place, ..read })?;
        if let Some(entry) = self.entries.last_mut() {
            entry.from = from;
        }
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
    report_misfits(&mut entries, request.progress);
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

/// Warns of names whose coordinates span another length than their sequence. Where they do not even look like those of
/// a chromosome, they are forgotten.
fn report_misfits(entries: &mut [Entry], progress: &Progress) {
    let is_misfit = |entry: &Entry| matches!(entry.from, Some(From::Misfit(_)));
    let Some(first) = entries.iter().position(is_misfit) else { return };
    let certain = entries.iter().filter(|entry| !is_misfit(entry)).filter_map(|entry| entry.locus());
    let certain: HashSet<Arc<str>> = certain.map(|(chromosome, _)| chromosome.clone()).collect();
    let (mut misfits, mut by_chromosome) = (0, 0);
    let span = |entry: &Entry| match &entry.from {
        Some(From::Misfit(place)) => place.range.len(),
        _ => 0,
    };
    let Entry { origin, .. } = &entries[first];
    let example = format!(
        "{} ({} bp, and the sequence has {})",
        origin.describe(),
        thousands(span(&entries[first])),
        thousands(origin.bases)
    );
    for entry in entries.iter_mut() {
        let Some(From::Misfit(place)) = &entry.from else { continue };
        misfits += 1;
        if looks_like_a_chromosome(&place.chromosome) || certain.contains(&place.chromosome) {
            by_chromosome += 1;
        } else {
            entry.from = None;
        }
    }
    let use_of_them = match misfits - by_chromosome {
        0 => "they tell the split, by chromosome, and nothing else".to_owned(),
        n if n == misfits => "they are not used".to_owned(),
        n => format!(
            "they tell the split, by chromosome, and nothing else, and {} that name no chromosome are not used",
            thousands(n)
        ),
    };
    progress.warn(&format!(
        "the coordinates in the names of {} of {} sequences span another length than the sequence; {use_of_them}; the first is {example}",
        thousands(misfits),
        thousands(entries.len())
    ));
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
    let open = (0..entries.len()).filter(|&i| is_open(&entries[i]));
    let (located, others): (Vec<usize>, Vec<usize>) = open.partition(|&i| entries[i].locus().is_some());
    let names_chromosomes = match assignment {
        Assignment::Choice(choice) => !choice.names_none(),
        Assignment::TestOn(_) => true,
        _ => false,
    };
    if located.is_empty()
        && names_chromosomes
        && let Some(&first) = others.first()
    {
        bail!(
            "{}: holds no coordinates, expected a name chr:start-end (or columns chrom, start and end) as a split by chromosome needs; add them or use --valid-fraction and --test-fraction",
            entries[first].origin.describe()
        );
    }
    match assignment {
        Assignment::Choice(_) => {
            report_coordinates(entries, &located, &others, progress);
            by_place(entries, &located, assignment, given, progress)?;
            let shares = shares_for_others(entries, &located, &others, given, request);
            by_sequence(entries, &others, codes, ends, shares, !located.is_empty(), request)
        }
        Assignment::TestOn(_) => {
            if !others.is_empty() {
                progress.say(&format!(
                    "{} sequences hold no coordinates, by which the test is chosen here, and are left out",
                    thousands(others.len())
                ));
            }
            others.into_iter().for_each(|i| entries[i].split = None);
            by_place(entries, &located, assignment, given, progress)
        }
        // What has no coordinates cannot be told by them from what the run learned from.
        _ => {
            others.into_iter().for_each(|i| entries[i].split = Some(Split::Test));
            by_place(entries, &located, assignment, given, progress)
        }
    }
}

/// Says how many sequences have coordinates, where not all have or where some only come from a place.
fn report_coordinates(entries: &[Entry], located: &[usize], others: &[usize], progress: &Progress) {
    let derived: Vec<usize> =
        located.iter().copied().filter(|&i| matches!(entries[i].from, Some(From::Derived(_)))).collect();
    if let Some(&first) = derived.first() {
        progress.say(&format!(
            "{} sequences are derived from the places in their names and go to the splits of those, such as {}",
            thousands(derived.len()),
            entries[first].origin.describe()
        ));
    }
    if let (Some(_), Some(&first)) = (located.first(), others.first()) {
        progress.say(&format!(
            "{} sequences have coordinates and are split by them; the other {} have none and are split by a hash of the sequence, such as {}",
            thousands(located.len()),
            thousands(others.len()),
            entries[first].origin.describe()
        ));
    }
}

/// Splits that the files give themselves.
#[derive(Clone, Copy, Debug)]
struct Given {
    valid: bool,
    test: bool,
}

impl Given {
    /// Nothing for splits that are given.
    fn without(self, shares: Shares) -> Shares {
        let share = |given: bool, share: f64| if given { 0.0 } else { share };
        Shares { valid: share(self.valid, shares.valid), test: share(self.test, shares.test) }
    }

    /// The splits that are not given.
    fn wanted(self) -> Vec<Split> {
        let is_wanted = |split: &Split| match split {
            Split::Train => true,
            Split::Valid => !self.valid,
            Split::Test => !self.test,
        };
        Split::ALL.into_iter().filter(is_wanted).collect()
    }
}

/// The shares of sequences without coordinates: those that are asked for, else those that the sequences with coordinates
/// came to, so that classes of either kind are divided alike, else the default.
fn shares_for_others(
    entries: &[Entry],
    located: &[usize],
    others: &[usize],
    given: Given,
    request: &LoadRequest,
) -> Shares {
    let default = super::shares_of(request.config);
    if default.is_some() || located.len() * 10 < others.len().max(1) {
        return given.without(default.unwrap_or_default());
    }
    let count = |split| located.iter().filter(|&&i| entries[i].split == Some(split)).count();
    let counts = Split::ALL.map(count);
    let all: usize = counts.iter().sum();
    // Whole percents, so that one sequence more or less does not move others.
    let share = |split: Split| (counts[split as usize] as f64 / all.max(1) as f64 * 100.0).round() / 100.0;
    let (valid, test) = (share(Split::Valid), share(Split::Test));
    let Shares { valid: usual_valid, test: usual_test } = Shares::default();
    let usable = valid + test < 0.99;
    given.without(Shares {
        valid: if usable && valid > 0.0 { valid } else { usual_valid },
        test: if usable && test > 0.0 { test } else { usual_test },
    })
}

/// The chromosomes that sequences lie on, as far as these show them, and the index of each by name. One that files spell
/// in two ways is one.
fn chromosomes_of(entries: &[Entry], located: &[usize]) -> (Vec<Chromosome>, HashMap<Arc<str>, usize>) {
    let mut index: HashMap<Arc<str>, usize> = HashMap::new();
    let mut spellings: HashMap<String, usize> = HashMap::new();
    let mut chromosomes: Vec<Chromosome> = Vec::new();
    for &i in located {
        let Some((name, range)) = entries[i].locus() else { continue };
        let chromosome = *index.entry(name.clone()).or_insert_with(|| {
            *spellings.entry(same_name(name).to_owned()).or_insert_with(|| {
                chromosomes.push(Chromosome { name: name.to_string(), length: 0 });
                chromosomes.len() - 1
            })
        });
        chromosomes[chromosome].length = chromosomes[chromosome].length.max(range.end);
    }
    (chromosomes, index)
}

/// Splits sequences by the chromosomes they lie on or come from, or by blocks of these.
fn by_place(
    entries: &mut [Entry],
    located: &[usize],
    assignment: &Assignment,
    given: Given,
    progress: &Progress,
) -> Result<()> {
    if located.is_empty() {
        return Ok(());
    }
    let (chromosomes, index) = chromosomes_of(entries, located);
    let known: Vec<&str> = chromosomes.iter().map(|c| c.name.as_str()).collect();
    assignment.check(&known)?;
    let wanted = given.wanted();
    let resolved = Resolved::of_genome(assignment, &chromosomes);
    let splits: Vec<Option<Split>> = known.iter().map(|name| resolved.split_of(name)).collect();
    if let Assignment::Choice(choice) = assignment {
        split::check_flags_leave_some(&resolved, &chromosomes, &wanted, choice)?;
        let is_missing = |split: &Split| !splits.contains(&Some(*split));
        let too_few = assignment.may_use_blocks() && wanted.iter().any(is_missing);
        if too_few {
            progress.say(&format!(
                "whole chromosomes ({}) cannot give every split some of the sequences, so they are divided by blocks",
                list_names(known.iter().copied())
            ));
        }
        if let Some(shares) = choice.blocks.or(too_few.then(Shares::default)) {
            by_block(entries, located, &chromosomes, &index, given.without(shares), progress);
            return Ok(());
        }
    }
    // Chromosomes that were dealt to a split that files give already are for training; those left unnamed stay so.
    let left_open = matches!(assignment, Assignment::Choice(choice) if choice.train.is_empty());
    report_deal("the sequences'", &chromosomes, assignment, &wanted, progress);
    if left_open && wanted.len() < Split::ALL.len() && assignment.is_open() {
        progress.say("the other chromosomes are for training too, as files are given for the rest");
    }
    let parts = split::intervals(&chromosomes, assignment, 1);
    let mut left_out = 0;
    for &i in located {
        let entry = &mut entries[i];
        let Some((chromosome, range)) = entry.locus() else { continue };
        let chromosome = index[chromosome];
        let found = match (&entry.from, splits[chromosome]) {
            (_, split) if given.valid => split, // no blocks are cut for validation
            // Of these the chromosome alone is certain, so positions matter only where blocks need them.
            (Some(From::Misfit(_)), split) if split != Some(Split::Train) || !assignment.validates_on_blocks() => split,
            _ => split::split_holding(&parts, chromosome, &range),
        };
        entry.split = match found {
            Some(split) if !wanted.contains(&split) => left_open.then_some(Split::Train),
            found => found,
        };
        left_out += usize::from(entry.split.is_none());
    }
    report_left_out(left_out, progress);
    Ok(())
}

/// Splits sequences by blocks of the chromosomes that they lie on or come from.
fn by_block(
    entries: &mut [Entry],
    located: &[usize],
    chromosomes: &[Chromosome],
    index: &HashMap<Arc<str>, usize>,
    shares: Shares,
    progress: &Progress,
) {
    let assignment = Assignment::by_blocks(shares);
    report_deal("the sequences'", chromosomes, &assignment, &Split::ALL, progress);
    let resolved = Resolved::of_genome(&assignment, chromosomes);
    let groups: Vec<Option<&str>> = chromosomes
        .iter()
        .map(|Chromosome { name, .. }| resolved.split_of(name).map(|_| same_name(resolved.group(name))))
        .collect();
    let (mut chosen, mut places) = (Vec::new(), Vec::new());
    for &i in located {
        entries[i].split = None;
        if let Some((chromosome, range)) = entries[i].locus()
            && let Some(group) = groups[index[chromosome]]
        {
            chosen.push(i);
            places.push((group, range));
        }
    }
    for (i, split) in chosen.into_iter().zip(blocks::deal_sequences(&places, shares)) {
        entries[i].split = split;
    }
    report_left_out(located.iter().filter(|&&i| entries[i].split.is_none()).count(), progress);
}

fn report_left_out(count: usize, progress: &Progress) {
    if count > 0 {
        progress.say(&format!(
            "{count} sequences lie on chromosomes for no split, or across the edge of two, and are left out"
        ));
    }
}

fn by_sequence(
    entries: &mut [Entry],
    open: &[usize],
    codes: &Store,
    ends: &[u64],
    Shares { valid, test }: Shares,
    beside_others: bool,
    request: &LoadRequest,
) -> Result<()> {
    if open.is_empty() {
        return Ok(());
    }
    let kind = if beside_others { " without coordinates" } else { "" };
    for (name, share) in [("validation", valid), ("test", test)] {
        if share > 0.0 {
            // Shares are told to a hundredth of a percent, as they are used.
            let percent = (share * 10_000.0).round() / 100.0;
            request.progress.say(&format!("{name}: {percent} % of the sequences{kind}, by a hash of the sequence"));
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
    for Entry { label, split, origin, .. } in entries.iter_mut().filter(|entry| entry.split.is_some()) {
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
    use crate::config::DataConfig;
    use crate::formats::record_names;
    use crate::random;
    use proptest::prelude::*;
    use rand::RngExt;

    /// Records of 64 bases under these names, of two classes in turn, assembled under settings: the name, split and
    /// place of each that is used.
    fn assembled(names: &[String], config: &DataConfig) -> Result<Vec<(String, Split, bool)>> {
        let progress = Progress::quiet();
        let mut sequences = Sequences::new(u64::MAX);
        let source: Arc<str> = "x.fa".into();
        for (i, name) in names.iter().enumerate() {
            let mut random = random::generator(1, random::Purpose::Shuffle, i as u64, 0);
            let codes: Vec<u8> = (0..64).map(|_| random.random_range(0..4)).collect();
            let label = sequences.class(["a", "b"][i % 2]);
            let coordinates = record_names::parse(name, "", codes.len());
            let read = Read { source: &source, name: Name::Text(name.as_str().into()), place: None, in_genome: false };
            sequences.push_record(&codes, label, None, read, coordinates)?;
        }
        let Assembled { splits, .. } = assemble(sequences, &LoadRequest::new(config, 1, &progress))?;
        let of = |(split, examples): (Split, &Examples)| -> Vec<_> {
            examples.origins.iter().map(|origin| (origin.name(""), split, origin.place.is_some())).collect()
        };
        Ok(Split::ALL.into_iter().zip(&splits).flat_map(of).collect())
    }

    fn locus(name: &str) -> Option<Place> {
        match record_names::parse(name, "", 64) {
            Coordinates::Exact(place) | Coordinates::Derived(place) => Some(place),
            _ => None,
        }
    }

    #[test]
    fn one_sequence_without_coordinates_leaves_the_others_with_their_chromosomes() {
        let mut names: Vec<String> =
            (0..400).map(|i| format!("chr{}:{}-{}", i % 20 + 1, i / 20 * 10, i / 20 * 10 + 64)).collect();
        let all = assembled(&names, &DataConfig::default()).unwrap();
        names.push("lonely".into());
        let beside = assembled(&names, &DataConfig::default()).unwrap();
        assert_eq!(all.len() + 1, beside.len());
        assert!(all.iter().all(|row| beside.contains(row)));
        // And under flags that name chromosomes, which need coordinates of some only.
        let config =
            DataConfig { test_chroms: vec!["chr3".into()], valid_chroms: vec!["4".into()], ..DataConfig::default() };
        for (name, split, _) in assembled(&names, &config).unwrap() {
            match name.split(':').next() {
                Some("chr3") => assert_eq!(split, Split::Test),
                Some("chr4") => assert_eq!(split, Split::Valid),
                Some("lonely") => {}
                _ => assert_eq!(split, Split::Train, "{name}"),
            }
        }
        let unplaced: Vec<String> = (0..40).map(|i| format!("read{i}")).collect();
        assert!(assembled(&unplaced, &config).unwrap_err().to_string().contains("holds no coordinates"));
    }

    #[test]
    fn what_is_derived_and_what_spans_another_length_goes_with_the_chromosome() {
        let mut names = Vec::new();
        for i in 0..400 {
            let (chromosome, start) = (i % 20 + 1, i / 20 * 100);
            names.push(format!("chr{chromosome}:{start}-{}", start + 64));
            names.push(match i % 8 {
                0 => format!("chr{chromosome}:{start}-{}_shuf_1", start + 64),
                1 => format!("{chromosome}:{}-{}/rc", start + 1, start + 64),
                2 => format!("chr{chromosome}_{start}_{}", start + 64),
                3 => format!("chr{chromosome}-{start}-{}_shuffled", start + 64),
                4 => format!("neg_chr{chromosome}:{start}-{}", start + 64),
                5 => format!("chr{chromosome}:{start}-{}", start + 900),
                6 => format!("chr{chromosome}-{start}-{}", start + 900),
                _ => format!("x::chr{chromosome}:{start}-{}(-)", start + 64),
            });
        }
        let rows = assembled(&names, &DataConfig::default()).unwrap();
        assert_eq!(rows.len(), 800);
        for (name, split, is_placed) in rows {
            let number = name.trim_start_matches("neg_").trim_start_matches("x::").trim_start_matches("chr");
            let number: String = number.chars().take_while(char::is_ascii_digit).collect();
            assert_eq!(split, split::deal(&number), "{name}");
            let is_plain = locus(&name).is_some() && !name.contains("shuf") && !name.starts_with("neg");
            assert_eq!(is_placed, is_plain, "{name}");
        }
    }

    #[test]
    fn coordinates_that_are_none_are_not_used_for_the_split() {
        let names: Vec<String> = (0..300).map(|i| format!("sample{}:{i}-{}", i % 3, i + 20)).collect();
        let rows = assembled(&names, &DataConfig::default()).unwrap();
        let of = |split| rows.iter().filter(|row| row.1 == split).count();
        assert!(rows.len() == 300 && of(Split::Test) > 10 && of(Split::Valid) > 10);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn windows_of_two_splits_share_no_base_however_they_are_named(
            chromosomes in 1usize..8, step in 5usize..100, n in 30usize..300, flags in 0usize..5, hidden in 0usize..30,
        ) {
            let names: Vec<String> = (0..n).map(|i| {
                let (number, start) = (i % chromosomes + 1, i / chromosomes * step);
                let end = start + 64;
                match (i * 7 + hidden) % 11 {
                    0 => format!("chr{number}:{start}-{end}_shuf_{i}"),
                    1 => format!("chr{number}:{}-{end}", start + 1),
                    2 => format!("{number}:{start}-{end}(-)"),
                    3 => format!("chr{number}_{start}_{end}"),
                    4 => format!("p{i}::chr{number}:{start}-{end}"),
                    5 => format!("read{i}"),
                    _ => format!("chr{number}:{start}-{end}"),
                }
            }).collect();
            let mut config = DataConfig::default();
            match flags {
                1 => config.test_chroms = vec!["1".into()],
                2 => config.test_fraction = Some(0.2),
                3 => config.valid_fraction = Some(0.3),
                4 => { config.train_chroms = vec!["chr1".into()]; }
                _ => {}
            }
            let Ok(rows) = assembled(&names, &config) else {
                prop_assert!(chromosomes == 1 && (flags == 1 || flags == 4));
                return Ok(());
            };
            let placed: Vec<(Place, Split)> =
                rows.iter().filter_map(|(name, split, _)| Some((locus(name)?, *split))).collect();
            for (i, (a, split)) in placed.iter().enumerate() {
                for (b, other) in &placed[i + 1..] {
                    let overlap = same_name(&a.chromosome) == same_name(&b.chromosome)
                        && a.range.start < b.range.end && b.range.start < a.range.end;
                    prop_assert!(!overlap || split == other, "{a:?} {b:?}");
                }
            }
        }
    }

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
