//! Examples that are read whole, dealt to the parts of folds or to splits: by chromosome, by a hash of the sequence, by clusters
//! of similar sequences, or as a column of the table says.

use std::collections::HashMap;

use anyhow::{Result, bail};

use crate::config::{DEFAULT_FOLDS, FoldCount, SplitBy, TaskKind};
use crate::dataset::folds::{self, Counts, Survey, Unit, natural_order};
use crate::dataset::sequences::assignment::{self, Given};
use crate::dataset::sequences::{Entry, Label, Sequences, common_length, fit};
use crate::dataset::similarity::{self, Source};
use crate::dataset::split::{Assignment, Shares, Split};
use crate::dataset::store::Store;
use crate::dataset::{self, LoadRequest};
use crate::format::{list_first, percent, thousands};
use crate::genome::names::{parent, same_name};
use crate::random;
use crate::sequence::alphabet;

/// A cluster with more of the examples than this many parts of like size would have is told of.
const LARGE: f64 = 1.5;

/// Gives every entry its split, where folds or `--split-by` say how; `false` where they leave it to coordinates and hashes.
pub(super) fn divide(entries: &mut [Entry], codes: &Store, ends: &[u64], request: &LoadRequest) -> Result<bool> {
    let LoadRequest { config, assignment, progress, .. } = request;
    if !config.deals_examples() || !matches!(assignment, Assignment::Choice(_) | Assignment::TrainOnAll) {
        return Ok(false);
    }
    let is_of_fold = config.one_fold().is_some();
    let open = open(entries, request, is_of_fold);
    let has_places = open.iter().any(|&i| entries[i].locus().is_some());
    if let (Some(fold), false) = (config.one_fold(), config.names_chromosomes()) {
        let Dealt { parts, count, .. } = dealt(entries, &open, codes, ends, request)?;
        if fold >= count {
            bail!("--fold is {fold}, and there are {count} folds, expected 0 to {}", count - 1);
        }
        for (&i, part) in open.iter().zip(parts) {
            entries[i].split = part.map(|part| folds::split_of_part(part, fold, count));
        }
        return Ok(true);
    }
    if is_of_fold {
        let (located, others): (Vec<usize>, Vec<usize>) = open.iter().partition(|&&i| entries[i].locus().is_some());
        if !others.is_empty() {
            progress.say(&format!(
                "{} examples have no coordinates, by which this fold is made, and are left out",
                thousands(others.len())
            ));
        }
        let given = Given { valid: false, test: false };
        assignment::by_place(entries, &located, assignment, given, progress)?;
        return Ok(true);
    }
    match config.split_by {
        Some(SplitBy::Chromosome) if !has_places => bail!(
            "{}: holds no coordinates, expected a name chr:start-end (or columns chrom, start and end) for --split-by chromosome; add them or use --split-by hash",
            entries.first().map_or_else(String::new, |entry| entry.origin.describe())
        ),
        Some(SplitBy::Hash | SplitBy::Similar) => {
            let is_given = |split| entries.iter().any(|entry| entry.split == Some(split));
            let given = Given { valid: is_given(Split::Valid), test: is_given(Split::Test) };
            let shares = given.without(dataset::shares_of(config).unwrap_or_default());
            if config.split_by == Some(SplitBy::Hash) {
                assignment::by_sequence(entries, &open, codes, ends, shares, false, request)?;
                return Ok(true);
            }
            let Units { units, of, .. } = similar(entries, &open, codes, ends, request)?;
            let Shares { valid, test } = shares;
            let parts = folds::deal(&units, &[1.0 - valid - test, valid, test]);
            open.iter().zip(of).for_each(|(&i, unit)| entries[i].split = Some(Split::ALL[parts[unit]]));
            Ok(true)
        }
        Some(SplitBy::Chromosome) | None => Ok(false),
    }
}

/// What there is to make folds of, and the parts that it comes to where examples are dealt.
///
/// # Errors
/// There is too little for so many parts.
pub fn survey(sequences: Sequences, request: &LoadRequest) -> Result<Survey> {
    let config = request.config;
    let Sequences { codes, ends, mut entries, .. } = sequences;
    let codes = codes.finish()?;
    assignment::report_misfits(&mut entries, request.progress);
    let open = open(&mut entries, request, true);
    let classes = Classes::of(&entries, request);
    let mut survey = Survey { two_classes: classes.two_names(), ..Survey::default() };
    let mut chromosomes: HashMap<&str, (String, Counts)> = HashMap::new();
    for &i in &open {
        match entries[i].locus() {
            Some((name, _)) => {
                let new = || (name.to_string(), Counts::default());
                chromosomes.entry(same_name(name)).or_insert_with(new).1.add(1, &classes.counts_of(&entries[i]));
            }
            None => survey.elsewhere += 1,
        }
    }
    survey.chromosomes = chromosomes.into_values().collect();
    survey.chromosomes.sort_by(|(a, _), (b, _)| natural_order(a, b));
    if config.fold_file.is_empty() {
        let Dealt { parts, count, by_chromosome } = dealt(&entries, &open, &codes, &ends, request)?;
        survey.parts = vec![(Counts::default(), Vec::new()); count];
        for (&i, part) in open.iter().zip(parts) {
            let Some(part) = part else { continue };
            let (counts, names) = &mut survey.parts[part];
            counts.add(1, &classes.counts_of(&entries[i]));
            if let Some((name, _)) = entries[i].locus().filter(|_| by_chromosome)
                && !names.iter().any(|other| other == &**name)
            {
                names.push(name.to_string());
            }
        }
        survey.parts.iter_mut().for_each(|(_, names)| names.sort_by(|a, b| natural_order(a, b)));
    }
    Ok(survey)
}

/// The entries that are dealt. Of folds these are all, whatever split files give them, but for a test set that is kept.
fn open(entries: &mut [Entry], request: &LoadRequest, is_of_fold: bool) -> Vec<usize> {
    let keep_test = request.config.keep_test;
    // Regions come as training, whose part of the genome all of it is.
    let pools = is_of_fold || matches!(request.assignment, Assignment::TrainOnAll);
    let mut open = Vec::with_capacity(entries.len());
    for (i, entry) in entries.iter_mut().enumerate() {
        let is_kept = is_of_fold && keep_test && entry.split == Some(Split::Test);
        if pools {
            entry.split = None;
        }
        if entry.split.is_none() && !is_kept {
            open.push(i);
        }
    }
    open
}

/// The part of each of the entries that are dealt.
struct Dealt {
    /// `None` for what is in no part.
    parts: Vec<Option<usize>>,
    count: usize,
    by_chromosome: bool,
}

fn dealt(entries: &[Entry], open: &[usize], codes: &Store, ends: &[u64], request: &LoadRequest) -> Result<Dealt> {
    let LoadRequest { config, progress, .. } = request;
    if let Some(column) = &config.fold_column {
        return by_column(entries, open, column, request);
    }
    let folds = config.folds.unwrap_or(DEFAULT_FOLDS);
    let has_places = open.iter().any(|&i| entries[i].locus().is_some());
    let by = config.split_by.unwrap_or(if has_places { SplitBy::Chromosome } else { SplitBy::Hash });
    if !has_places && (by == SplitBy::Chromosome || folds == FoldCount::Chromosomes) {
        bail!(
            "{}: holds no coordinates, expected a name chr:start-end (or columns chrom, start and end) for folds by chromosome; add them or use --split-by hash",
            open.first().map_or_else(String::new, |&i| entries[i].origin.describe())
        );
    }
    let Units { mut units, of, chromosomes } = match by {
        SplitBy::Chromosome => by_chromosome(entries, open, codes, ends, request)?,
        SplitBy::Hash => by_hash(entries, open, codes, ends, request)?,
        SplitBy::Similar => similar(entries, open, codes, ends, request)?,
    };
    if by == SplitBy::Chromosome {
        folds::check_enough(chromosomes.len(), folds, &chromosomes)?;
    }
    let count = match folds {
        FoldCount::Parts(count) => count,
        FoldCount::Chromosomes => {
            (0..chromosomes.len()).for_each(|chromosome| units[chromosome].part = Some(chromosome));
            chromosomes.len()
        }
    };
    let largest = units.iter().map(|unit| unit.n).max().unwrap_or(0) as f64 / open.len().max(1) as f64;
    if folds != FoldCount::Chromosomes && largest * count as f64 > LARGE {
        progress.warn(&format!(
            "one {} holds {} % of the examples, so the {count} parts differ in size; use fewer --folds{}",
            if by == SplitBy::Chromosome { "chromosome" } else { "cluster of similar sequences" },
            percent(largest),
            if by == SplitBy::Similar { " or a larger --similarity" } else { "" }
        ));
    }
    let parts = folds::deal(&units, &vec![1.0; count]);
    Ok(Dealt {
        parts: of.into_iter().map(|unit| Some(parts[unit])).collect(),
        count,
        by_chromosome: by == SplitBy::Chromosome,
    })
}

/// The parts that a column of the table names.
fn by_column(entries: &[Entry], open: &[usize], column: &str, request: &LoadRequest) -> Result<Dealt> {
    let mut names: Vec<&str> = open.iter().filter_map(|&i| entries[i].part.as_deref()).collect();
    names.sort_by(|a, b| natural_order(a, b).then(a.cmp(b)));
    names.dedup();
    let shown: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    if !(crate::config::FEWEST_FOLDS..=1000).contains(&names.len()) {
        bail!(
            "--fold-column {column} names {} parts ({}), expected {} to 1000: one to test on, one to validate on and the rest to train on; name another column",
            names.len(),
            list_first(&shown, 8),
            crate::config::FEWEST_FOLDS
        );
    }
    let part = |&i: &usize| entries[i].part.as_deref().and_then(|name| names.iter().position(|other| *other == name));
    let parts: Vec<Option<usize>> = open.iter().map(part).collect();
    let without = parts.iter().filter(|part| part.is_none()).count();
    if without > 0 {
        request
            .progress
            .say(&format!("{} examples have nothing in the column {column} and are in no fold", thousands(without)));
    }
    Ok(Dealt { parts, count: names.len(), by_chromosome: false })
}

/// What stays together, with the unit of each of the entries.
struct Units {
    units: Vec<Unit>,
    of: Vec<usize>,
    /// The chromosomes, which are the first units, where they are.
    chromosomes: Vec<String>,
}

impl Units {
    /// Of entries with a key each, from the keys that come first.
    fn of_keys(entries: &[Entry], open: &[usize], keys: &[u64], first: &[u64], request: &LoadRequest) -> Self {
        let classes = Classes::of(entries, request);
        let mut known: HashMap<u64, usize> = HashMap::new();
        let unit = |key: u64| Unit { n: 0, of_classes: Vec::new(), key, part: None };
        let mut units: Vec<Unit> = first.iter().map(|&key| unit(key)).collect();
        known.extend(first.iter().enumerate().map(|(i, &key)| (key, i)));
        let mut of = Vec::with_capacity(open.len());
        for (&i, &key) in open.iter().zip(keys) {
            let place = *known.entry(key).or_insert_with(|| {
                units.push(unit(key));
                units.len() - 1
            });
            let counts = classes.counts_of(&entries[i]);
            let mut sum = Counts { n: units[place].n, of_classes: std::mem::take(&mut units[place].of_classes) };
            sum.add(1, &counts);
            (units[place].n, units[place].of_classes) = (sum.n, sum.of_classes);
            of.push(place);
        }
        Self { units, of, chromosomes: Vec::new() }
    }
}

/// Chromosomes, and sequences without coordinates by their hash.
fn by_chromosome(
    entries: &[Entry],
    open: &[usize],
    codes: &Store,
    ends: &[u64],
    request: &LoadRequest,
) -> Result<Units> {
    let group = |i: usize| entries[i].locus().map(|(name, _)| same_name(parent(name)).to_owned());
    let mut names: Vec<String> = open.iter().filter_map(|&i| group(i)).collect();
    names.sort_by(|a, b| natural_order(a, b).then(a.cmp(b)));
    names.dedup();
    let others: Vec<usize> = open.iter().copied().filter(|&i| entries[i].locus().is_none()).collect();
    if !others.is_empty() {
        request.progress.say(&format!(
            "{} sequences have coordinates and are dealt by chromosome; the other {} have none and are dealt by a hash of the sequence",
            thousands(open.len() - others.len()),
            thousands(others.len())
        ));
    }
    let mut of_others = hashes(entries, &others, codes, ends, request)?.into_iter();
    let key_of = |name: &str| random::hash(name.as_bytes());
    let keys: Vec<u64> = open
        .iter()
        .map(|&i| match group(i) {
            Some(name) => key_of(&name),
            None => of_others.next().unwrap_or(0),
        })
        .collect();
    let first: Vec<u64> = names.iter().map(|name| key_of(name)).collect();
    Ok(Units { chromosomes: names, ..Units::of_keys(entries, open, &keys, &first, request) })
}

fn by_hash(entries: &[Entry], open: &[usize], codes: &Store, ends: &[u64], request: &LoadRequest) -> Result<Units> {
    let keys = hashes(entries, open, codes, ends, request)?;
    Ok(Units::of_keys(entries, open, &keys, &[], request))
}

/// Clusters of similar sequences, each known by the smallest hash in it.
fn similar(entries: &[Entry], open: &[usize], codes: &Store, ends: &[u64], request: &LoadRequest) -> Result<Units> {
    let LoadRequest { config, progress, .. } = request;
    let sequences = Stored { codes, ends, open, length: common_length(entries.iter(), request)? };
    let clusters = similarity::clusters(&sequences, config.similarity);
    let hashes = hashes(entries, open, codes, ends, request)?;
    let mut smallest: HashMap<usize, u64> = HashMap::new();
    let mut sizes: HashMap<usize, usize> = HashMap::new();
    for (&cluster, &hash) in clusters.iter().zip(&hashes) {
        smallest.entry(cluster).and_modify(|smallest| *smallest = hash.min(*smallest)).or_insert(hash);
        *sizes.entry(cluster).or_default() += 1;
    }
    progress.say(&format!(
        "{} sequences are in {} clusters of similar ones, which stay together, the largest of {}; similar are those with {} % of their 12-mers in common, on either strand, and what they link",
        thousands(open.len()),
        thousands(sizes.len()),
        thousands(sizes.values().copied().max().unwrap_or(0)),
        percent(config.similarity)
    ));
    let keys: Vec<u64> = clusters.iter().map(|cluster| smallest[cluster]).collect();
    Ok(Units::of_keys(entries, open, &keys, &[], request))
}

/// A hash of each sequence as the network will see it, the same for both strands.
fn hashes(entries: &[Entry], open: &[usize], codes: &Store, ends: &[u64], request: &LoadRequest) -> Result<Vec<u64>> {
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let sequences = Stored { codes, ends, open, length: common_length(entries.iter(), request)? };
    let mut fitted = Vec::new();
    let hash = |place: usize| {
        sequences.codes(place, &mut fitted);
        similarity::canonical_hash(&fitted)
    };
    Ok((0..open.len()).map(hash).collect())
}

/// Sequences of some entries, cropped or padded to one length.
struct Stored<'a> {
    codes: &'a Store,
    ends: &'a [u64],
    open: &'a [usize],
    length: usize,
}

impl Source for Stored<'_> {
    fn count(&self) -> usize {
        self.open.len()
    }

    fn codes(&self, index: usize, codes: &mut Vec<u8>) {
        let i = self.open[index];
        let mut whole = Vec::new();
        // What cannot be read here cannot be read again, where it is an error.
        let _ = self.codes.read(if i == 0 { 0 } else { self.ends[i - 1] }..self.ends[i], &mut whole);
        alphabet::without_case(&mut whole);
        fit(&whole, self.length, codes);
    }
}

/// What parts are to have alike of: classes, positives of labels, or peaks and background.
struct Classes {
    index: HashMap<String, usize>,
    are_labels: bool,
}

impl Classes {
    fn of(entries: &[Entry], request: &LoadRequest) -> Self {
        let mut names: Vec<&str> = Vec::new();
        let mut last: Option<&str> = None;
        for entry in entries {
            if let Label::Class(name) = &entry.label
                && last != Some(&**name)
                && !names.contains(&&**name)
            {
                names.push(name);
                last = Some(name);
            }
        }
        names.sort_unstable();
        let index = names.iter().enumerate().map(|(i, name)| ((*name).to_owned(), i)).collect();
        Self { index, are_labels: request.kind() == Some(TaskKind::Multilabel) }
    }

    /// The names of the classes, where there are two.
    fn two_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.index.keys().cloned().collect();
        names.sort_unstable();
        if names.len() == 2 { names } else { Vec::new() }
    }

    fn counts_of(&self, entry: &Entry) -> Vec<u64> {
        match &entry.label {
            Label::Class(name) => {
                let mut counts = vec![0; self.index.len()];
                if let Some(&class) = self.index.get(&**name) {
                    counts[class] = 1;
                }
                counts
            }
            Label::Values(values) if self.are_labels => values.iter().map(|&value| u64::from(value > 0.5)).collect(),
            Label::Profile { is_peak, .. } => vec![u64::from(*is_peak), u64::from(!is_peak)],
            Label::Values(_) | Label::Bins(_) => Vec::new(),
        }
    }
}
