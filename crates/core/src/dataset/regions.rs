//! Examples from regions of a genome. A single set of regions is told from negatives, which `negatives` makes.

use std::collections::HashSet;

use anyhow::{Result, bail};

use crate::config::{Center, NEGATIVE, NamedPath, Negatives};
use crate::dataset::LoadRequest;
use crate::dataset::examples::Name;
use crate::dataset::negatives;
use crate::dataset::reference::{DividedReference, SplitWindow};
use crate::dataset::sequences::{Read, Sequences};
use crate::dataset::source::RegionFiles;
use crate::dataset::split::Split;
use crate::format::thousands;
use crate::genome::interval::{self, Interval};
use crate::genome::reference::RegionWindow;
use crate::progress::Progress;
use crate::sequence::alphabet;

/// Length of a window where the user does not say, in bp: the width of most peaks' core.
const DEFAULT_LENGTH: usize = 200;

/// Reads regions, and makes negatives where they are a single set, into `sequences`. Only examples of the given
/// splits are made.
///
/// # Errors
/// A file is missing or malformed, most regions lie outside the genome, or there are not enough negatives.
pub fn read(files: RegionFiles, request: &LoadRequest, splits: &[Split], sequences: &mut Sequences) -> Result<()> {
    let LoadRequest { config, seed, progress, .. } = request;
    let length = request.length.or(config.length).unwrap_or(DEFAULT_LENGTH);
    let mut divided = DividedReference::open(files.reference, request, splits, length)?;

    let mut covered: Vec<Interval> = Vec::new();
    let mut classes: Vec<(&str, Vec<SplitWindow>)> = Vec::new();
    for NamedPath { name, path } in files.regions {
        let found = divided.find(path, config.center)?;
        found.report(path, length, progress)?;
        covered.extend(found.covered);
        match classes.iter_mut().find(|(other, _)| other == name) {
            Some((_, all)) => all.extend(found.windows),
            None => classes.push((name, found.windows)),
        }
    }
    let mut windows: Vec<&mut Vec<SplitWindow>> = classes.iter_mut().map(|(_, windows)| windows).collect();
    divided.give_every_split_some(&mut windows, request, splits)?;
    let single = classes.len() == 1;
    let mut choice = Choice { splits, max_n: config.max_n, progress };
    for (name, windows) in &mut classes {
        choice.add(&divided, name, windows, sequences, *files.negatives == Negatives::Shuffle)?;
    }
    if !single {
        return Ok(());
    }
    if matches!(files.negatives, Negatives::GcMatched | Negatives::Random) {
        for path in files.exclude {
            let (excluded, note) = divided.reference.covered(path)?;
            note.iter().for_each(|note| progress.say(note));
            covered.extend(excluded);
        }
    }
    covered.sort_by_key(|interval| (interval.chromosome, interval.range.start));
    let positives = &classes[0].1;
    let wanted = negatives::Wanted { per_positive: config.negatives_per_positive, max_n: config.max_n, seed: *seed };
    match files.negatives {
        Negatives::Shuffle => negatives::shuffled(&divided, positives, wanted, sequences, progress),
        Negatives::GcMatched => negatives::drawn(&divided, positives, &covered, wanted, true, sequences, progress),
        Negatives::Random => negatives::drawn(&divided, positives, &covered, wanted, false, sequences, progress),
        Negatives::Bed(path) => {
            // The middle if it is asked for; summits are asked of the regions alone.
            let mut found = divided.find(path, config.center.filter(|center| *center == Center::Middle))?;
            found.report(path, length, progress)?;
            let before = found.windows.len();
            found.windows.retain(|SplitWindow { window, .. }| {
                interval::without(std::slice::from_ref(&window.interval), &covered) == [window.interval.clone()]
            });
            if found.windows.len() < before {
                progress.say(&format!(
                    "{}: {} regions touch a region of class '{}' and are left out",
                    path.display(),
                    thousands(before - found.windows.len()),
                    classes[0].0
                ));
            }
            choice.add(&divided, NEGATIVE, &mut found.windows, sequences, false)
        }
    }
}

/// Which windows become examples.
struct Choice<'a> {
    splits: &'a [Split],
    max_n: usize,
    progress: &'a Progress,
}

impl Choice<'_> {
    /// Adds the sequences of windows, each place once. Those with more unknown bases than `--max-n` are skipped and
    /// counted, as they are among negatives. `windows` keeps what was added. Without case, where it would tell regions
    /// from their shuffles.
    fn add(
        &mut self,
        divided: &DividedReference,
        class: &str,
        windows: &mut Vec<SplitWindow>,
        sequences: &mut Sequences,
        without_case: bool,
    ) -> Result<()> {
        let reference = &divided.reference;
        let label = sequences.class(class);
        let (mut seen, mut codes, mut added) = (HashSet::new(), Vec::new(), Vec::new());
        let (mut again, mut unknown) = (0, 0);
        for SplitWindow { split, window } in windows.drain(..) {
            let RegionWindow { interval: Interval { chromosome, range }, reverse, name, .. } = &window;
            if !self.splits.contains(&split) {
                continue;
            }
            if !seen.insert((*chromosome, range.start)) {
                again += 1;
                continue;
            }
            reference.codes(&window, &mut codes)?;
            if codes.iter().filter(|&&code| alphabet::is_unknown(code)).count() > self.max_n.min(codes.len() - 1) {
                unknown += 1;
                continue;
            }
            if without_case {
                alphabet::without_case(&mut codes);
            }
            let place = Some(reference.place(&window.interval, *reverse));
            let name = match name {
                Some(name) => Name::Text(name.as_str().into()),
                None => Name::Place,
            };
            let read = Read { source: &reference.source, name, place, in_genome: true };
            sequences.push(&codes, label.clone(), Some(split), read)?;
            added.push(SplitWindow { split, window });
        }
        if again > 0 {
            self.progress.say(&format!(
                "{} regions of class '{class}' have the same centre as another and are skipped",
                thousands(again)
            ));
        }
        if unknown > 0 {
            self.progress.say(&format!(
                "{} regions of class '{class}' hold more than {} unknown bases (--max-n) and are skipped",
                thousands(unknown),
                self.max_n
            ));
        }
        *windows = added;
        if windows.is_empty() {
            bail!(
                "class '{class}' has no region left for {} with at most {} unknown bases; name other chromosomes, raise --max-n or check the file",
                self.splits.iter().map(|split| split.name()).collect::<Vec<_>>().join(", "),
                self.max_n
            );
        }
        Ok(())
    }
}
