//! Examples from regions of a genome. A single set of regions is told from negatives, which `negatives` makes.

use std::collections::HashSet;

use anyhow::{Result, bail};

use crate::config::{Center, DataConfig, LONGEST_BP, NEGATIVE, NamedPath, Negatives, TaskKind};
use crate::dataset::LoadRequest;
use crate::dataset::examples::Name;
use crate::dataset::loci::{self, MovingWindows};
use crate::dataset::negatives;
use crate::dataset::reference::{DividedReference, SplitWindow};
use crate::dataset::sequences::{Read, Sequences};
use crate::dataset::signal_values::{self, SignalValues};
use crate::dataset::source::RegionFiles;
use crate::dataset::split::Split;
use crate::format::thousands;
use crate::formats::bed;
use crate::genome::interval::{self, Interval};
use crate::genome::reference::RegionWindow;
use crate::progress::Progress;
use crate::sequence::alphabet;

/// Length of a window where the user does not say, in bp: the width of most peaks' core.
const DEFAULT_LENGTH: usize = 200;

/// Regions that all have a length below this are points, such as summits.
const SHORTEST_REGION: usize = 20;

/// Reads regions, and makes negatives where they are a single set or a signal is to have background, into `sequences`. Only
/// examples of the given splits are made.
///
/// # Errors
/// A file is missing or malformed, most regions lie outside the genome, or there are not enough negatives.
pub fn read(
    files: RegionFiles,
    request: &LoadRequest,
    splits: &[Split],
    sequences: &mut Sequences,
) -> Result<Option<MovingWindows>> {
    let LoadRequest { config, memory, progress, .. } = request;
    let is_profile = request.kind() == Some(TaskKind::Profile);
    let length = match request.length.or(config.length) {
        Some(length) => length,
        None if is_profile => config.profile_lengths().0,
        None if files.signal.is_empty() => DEFAULT_LENGTH,
        None => length_for_signal(&files, progress)?,
    };
    // Which peaks are extreme does not depend on which splits are read.
    let opened = if is_profile { &Split::ALL[..] } else { splits };
    let mut divided = DividedReference::open(files.reference, request, opened, length)?;
    let (mut covered, mut excluded): (Vec<Interval>, Vec<Interval>) = Default::default();
    let mut classes: Vec<(&str, Vec<SplitWindow>)> = Vec::new();
    for NamedPath { name, path } in files.regions {
        let found = divided.find(path, config.center)?;
        found.report(path, length, progress)?;
        covered.extend(found.covered);
        let class = if files.signal.is_empty() { name } else { UNNAMED };
        match classes.iter_mut().find(|(other, _)| *other == class) {
            Some((_, all)) => all.extend(found.windows),
            None => classes.push((class, found.windows)),
        }
    }
    let mut windows: Vec<&mut Vec<SplitWindow>> = classes.iter_mut().map(|(_, windows)| windows).collect();
    divided.give_every_split_some(&mut windows, request, splits)?;
    // The rest is for the genome and for sequences.
    let signal = SignalValues::open(config, is_profile, &divided.reference.genome, length, memory / 4, progress)?;
    sequences.columns = signal.as_ref().map_or_else(Vec::new, SignalValues::names);
    sequences.bins = signal.as_ref().and_then(|signal| signal.bins);
    sequences.profile = signal.as_ref().and_then(|signal| signal.profile.clone());
    for path in files.exclude {
        let (found, note) = divided.reference.covered(path)?;
        note.iter().for_each(|note| progress.say(note));
        excluded.extend(found);
    }
    excluded.sort_by_key(|interval| (interval.chromosome, interval.range.start));
    if let Some(signal) = signal.as_ref().filter(|signal| signal.profile.is_some()) {
        let (_, peaks) = &mut classes[0];
        loci::choose(
            peaks,
            &loci::Choice { reference: &divided.reference, signal, excluded: &excluded, config, progress },
        )?;
    }
    let is_drawn = matches!(files.negatives, Some(Negatives::GcMatched | Negatives::Random));
    if is_drawn || is_profile {
        covered.extend(excluded.iter().cloned());
    }
    let mut reader = Reader { divided: &divided, request, splits, signal, sequences };
    let without_case = files.negatives == Some(&Negatives::Shuffle);
    for (class, windows) in &mut classes {
        reader.add(class, windows, without_case)?;
    }
    if let Some(negatives) = files.negatives {
        reader.add_negatives(negatives, &classes[0], covered)?;
    }
    let Some(signal) = reader.signal else { return Ok(None) };
    signal.report_silent(&divided.reference.genome, progress);
    Ok((config.jitter > 0).then(|| MovingWindows::new(divided, signal, &excluded, config, request.seed)))
}

/// The length of windows whose signal is predicted: that of the regions where they have one, or else the default.
fn length_for_signal(files: &RegionFiles, progress: &Progress) -> Result<usize> {
    let (mut shortest, mut longest) = (usize::MAX, 0);
    for NamedPath { path, .. } in files.regions {
        for region in bed::read(path, Some(Center::Middle))?.regions {
            shortest = shortest.min(region.end - region.start);
            longest = longest.max(region.end - region.start);
        }
    }
    if shortest == longest && (SHORTEST_REGION..=LONGEST_BP).contains(&longest) {
        progress.say(&format!("windows have the {} bp of all regions; --length sets another", thousands(longest)));
        return Ok(longest);
    }
    let lengths = match shortest == longest {
        true => format!("{} bp", thousands(shortest)),
        false => format!("{} to {} bp", thousands(shortest), thousands(longest)),
    };
    progress.say(&format!(
        "regions have {lengths}, so windows of {DEFAULT_LENGTH} bp stand for them; --length sets another"
    ));
    Ok(DEFAULT_LENGTH)
}

/// The class of regions whose signal is predicted, where classes mean nothing.
const UNNAMED: &str = "";

/// Windows of a genome that become examples.
struct Reader<'a> {
    divided: &'a DividedReference,
    request: &'a LoadRequest<'a>,
    splits: &'a [Split],
    /// What examples are labelled with, if not with their class.
    signal: Option<SignalValues>,
    sequences: &'a mut Sequences,
}

impl Reader<'_> {
    /// Adds negatives of a kind for the regions of one class, away from what is `covered`.
    fn add_negatives(
        &mut self,
        negatives: &Negatives,
        (class, positives): &(&str, Vec<SplitWindow>),
        mut covered: Vec<Interval>,
    ) -> Result<()> {
        let Self { divided, request: LoadRequest { config, seed, progress, .. }, .. } = *self;
        covered.sort_by_key(|interval| (interval.chromosome, interval.range.start));
        let wanted = negatives::Wanted {
            per_positive: config.negatives_per_positive,
            max_n: config.max_n,
            matched: *negatives == Negatives::GcMatched,
            seed: *seed,
        };
        match negatives {
            Negatives::Shuffle => negatives::shuffled(divided, positives, wanted, self.sequences, progress),
            Negatives::GcMatched | Negatives::Random => {
                negatives::drawn(divided, positives, &covered, wanted, &mut self.signal, self.sequences, progress)
            }
            Negatives::Bed(path) => {
                // The middle if it is asked for; summits are asked of the regions alone.
                let mut found = divided.find(path, config.center.filter(|center| *center == Center::Middle))?;
                found.report(path, divided.length, progress)?;
                let before = found.windows.len();
                found.windows.retain(|SplitWindow { window, .. }| {
                    interval::without(std::slice::from_ref(&window.interval), &covered) == [window.interval.clone()]
                });
                if found.windows.len() < before {
                    progress.say(&format!(
                        "{}: {} regions touch a region{} or one of --exclude and are left out",
                        path.display(),
                        thousands(before - found.windows.len()),
                        of_class(class)
                    ));
                }
                let is_background = self.signal.as_ref().is_none_or(|signal| signal.profile.is_some());
                self.add(if is_background { NEGATIVE } else { UNNAMED }, &mut found.windows, false)
            }
        }
    }

    /// Adds the sequences of windows, each place once. Those with more unknown bases than `--max-n` are skipped and
    /// counted, as they are among negatives. `windows` keeps what was added. Without case, where it would tell regions
    /// from their shuffles.
    fn add(&mut self, class: &str, windows: &mut Vec<SplitWindow>, without_case: bool) -> Result<()> {
        let Self { divided: DividedReference { reference, .. }, splits, .. } = *self;
        let LoadRequest { config: DataConfig { max_n, .. }, progress, .. } = self.request;
        let (mut seen, mut codes, mut added) = (HashSet::new(), Vec::new(), Vec::new());
        let (mut again, mut unknown) = (0, 0);
        for SplitWindow { split, window } in windows.drain(..) {
            let RegionWindow { interval, reverse, name, .. } = &window;
            if !splits.contains(&split) {
                continue;
            }
            if !seen.insert((interval.chromosome, interval.range.start)) {
                again += 1;
                continue;
            }
            reference.codes(&window, &mut codes)?;
            if codes.iter().filter(|&&code| alphabet::is_unknown(code)).count() > (*max_n).min(codes.len() - 1) {
                unknown += 1;
                continue;
            }
            if without_case {
                alphabet::without_case(&mut codes);
            }
            let place = Some(reference.place(interval, *reverse));
            let name = match name {
                Some(name) => Name::Text(name.as_str().into()),
                None => Name::Place,
            };
            let read = Read { source: &reference.source, name, place, in_genome: true };
            let label = signal_values::label(class, (interval, *reverse), &mut self.signal, self.sequences)?;
            self.sequences.push(&codes, label, Some(split), read)?;
            added.push(SplitWindow { split, window });
        }
        let of_class = of_class(class);
        if again > 0 {
            progress.say(&format!(
                "{} regions{of_class} have the same centre as another and are skipped",
                thousands(again)
            ));
        }
        if unknown > 0 {
            progress.say(&format!(
                "{} regions{of_class} hold more than {max_n} unknown bases (--max-n) and are skipped",
                thousands(unknown)
            ));
        }
        *windows = added;
        if windows.is_empty() {
            let of = if class == UNNAMED { "there is".into() } else { format!("class '{class}' has") };
            bail!(
                "{of} no region left for {} with at most {max_n} unknown bases; name other chromosomes, raise --max-n or check the file",
                splits.iter().map(|split| split.name()).collect::<Vec<_>>().join(", ")
            );
        }
        Ok(())
    }
}

/// The class of regions in a message, if it has a name.
fn of_class(class: &str) -> String {
    if class == UNNAMED { String::new() } else { format!(" of class '{class}'") }
}
