//! Which split each sequence goes to: by its coordinates, by blocks of chromosomes, or by a hash of the sequence.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::config::SourceKind;
use crate::dataset::genomes::report_deal;
use crate::dataset::sequences::{Entry, From, common_length, fit, folds};
use crate::dataset::split::{self, Assignment, Resolved, Shares, Split};
use crate::dataset::store::Store;
use crate::dataset::{self, LoadRequest, blocks};
use crate::format::thousands;
use crate::genome::Chromosome;
use crate::genome::names::{list_names, looks_like_a_chromosome, same_name};
use crate::progress::Progress;
use crate::sequence::alphabet;

/// Warns of names whose coordinates span another length than their sequence. Where they do not even look like those of
/// a chromosome, they are forgotten.
pub(super) fn report_misfits(entries: &mut [Entry], progress: &Progress) {
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
pub(super) fn divide(entries: &mut [Entry], codes: &Store, ends: &[u64], request: &LoadRequest) -> Result<()> {
    let LoadRequest { config, assignment, progress, .. } = request;
    if folds::divide(entries, codes, ends, request)? {
        return Ok(());
    }
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
pub(super) struct Given {
    pub valid: bool,
    pub test: bool,
}

impl Given {
    /// Nothing for splits that are given.
    pub fn without(self, shares: Shares) -> Shares {
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
    let default = dataset::shares_of(request.config);
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
pub(super) fn by_place(
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

pub(super) fn by_sequence(
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
