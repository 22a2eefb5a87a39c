//! Negatives for a single set of regions: dinucleotide shuffles of the regions, or windows of the genome away from
//! them, matched in GC content and repeats or at random. Each split gets its own, from its own chromosomes.

use anyhow::{Result, bail};

use crate::config::NEGATIVE;
use crate::dataset::examples::Name;
use crate::dataset::reference::{DividedReference, SplitWindow};
use crate::dataset::sampling::{self, Bins, GC_BINS, Key, REPEAT_BINS, Source};
use crate::dataset::sequences::{Read, Sequences};
use crate::dataset::signal_values::{self, SignalValues};
use crate::dataset::split::Split;
use crate::format::thousands;
use crate::genome::interval::{self, Interval};
use crate::progress::Progress;
use crate::random::{self, Purpose};
use crate::sequence::alphabet;
use crate::sequence::shuffle::dinucleotide_shuffle;

/// Streams of random numbers for negatives, apart from those of classes of genomes.
const STREAM: u64 = 1 << 40;

/// Shuffles tried for one negative before it is given up as too repetitive to differ.
const TRIES: usize = 10;

/// Negatives that the bases they lie in may be part of, on average, before they are said to be much the same.
const MOST_DEPTH: f64 = 4.0;

/// How many negatives to make, and from which windows.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Negatives for each region.
    pub per_positive: usize,
    /// Unknown bases allowed in a window of the genome.
    pub max_n: usize,
    /// Whether windows of the genome have the GC content and the repeats of the regions.
    pub matched: bool,
    /// Seed of the shuffles and of the draw of windows.
    pub seed: u64,
}

/// Adds shuffles of each region with the same dinucleotides, to the region's own split.
///
/// # Errors
/// The reference cannot be read, or the sequences outgrow memory and the temporary directory.
pub fn shuffled(
    divided: &DividedReference,
    positives: &[SplitWindow],
    wanted: Wanted,
    sequences: &mut Sequences,
    progress: &Progress,
) -> Result<()> {
    let reference = &divided.reference;
    let label = sequences.class(NEGATIVE);
    let (mut codes, mut alike) = (Vec::new(), 0);
    for SplitWindow { split, window } in positives {
        reference.codes(window, &mut codes)?;
        alphabet::without_case(&mut codes);
        let mut other = codes.clone();
        alphabet::reverse_complement(&mut other);
        let place = reference.place(&window.interval, window.reverse);
        for copy in 0..wanted.per_positive {
            // Keyed by place, so that a shuffle does not depend on which other regions are read.
            let start = (place.range.start as u64) << 10 | copy as u64;
            let chromosome = random::hash(place.chromosome.as_bytes());
            let mut random = random::generator(wanted.seed, Purpose::Negatives, chromosome, start);
            let shuffled = (0..TRIES)
                .map(|_| dinucleotide_shuffle(&codes, &mut random))
                .find(|shuffled| *shuffled != codes && *shuffled != other);
            let Some(shuffled) = shuffled else {
                alike += 1;
                continue;
            };
            let name =
                format!("shuffle {} of {}:{}-{}", copy + 1, place.chromosome, place.range.start, place.range.end);
            let read = Read { source: &reference.source, name: Name::Text(name.into()), place: None, in_genome: false };
            sequences.push(&shuffled, label.clone(), Some(*split), read)?;
        }
    }
    if alike > 0 {
        progress.say(&format!(
            "{} shuffles are left out, as their regions are too repetitive for a shuffle to differ",
            thousands(alike)
        ));
    }
    Ok(())
}

/// Adds windows of the genome that touch nothing `covered`, as many in each split as its regions ask for. Matched ones
/// have the GC content and the share of repeats that the regions have, bin by bin, as far as the genome allows.
///
/// # Errors
/// The genome has too few windows away from `covered`, or cannot be read.
pub fn drawn(
    divided: &DividedReference,
    positives: &[SplitWindow],
    covered: &[Interval],
    wanted: Wanted,
    signal: &mut Option<SignalValues>,
    sequences: &mut Sequences,
    progress: &Progress,
) -> Result<()> {
    let DividedReference { reference, parts, length, .. } = divided;
    let length = *length;
    let (gc, repeats) = if wanted.matched { (GC_BINS, REPEAT_BINS) } else { (1, 1) };
    let bins = Bins { length, max_n: wanted.max_n, gc, repeats };
    let of_positives = Bins { max_n: length, ..bins };
    let mut codes = Vec::new();
    for split in Split::ALL {
        let mut quota = vec![0u64; bins.count()];
        for SplitWindow { window, .. } in positives.iter().filter(|window| window.split == split) {
            reference.codes(window, &mut codes)?;
            if let Some(bin) = of_positives.of(&codes) {
                quota[bin] += wanted.per_positive as u64;
            }
        }
        let needed: u64 = quota.iter().sum();
        if needed == 0 {
            continue;
        }
        let mut free = interval::without(&parts[split as usize], covered);
        free.retain(|interval| interval.range.len() >= length);
        let source = Source { class: 0, class_name: NEGATIVE, parts: vec![(&reference.genome, free)] };
        let supply = sampling::count(&source, &bins)?;
        let available: u64 = supply.iter().sum();
        if available < needed {
            bail!(
                "{}: has {available} {} windows of {length} bp away from the regions, expected {needed} for the negatives; give more chromosomes, a smaller --negatives-per-positive or a larger --max-n",
                reference.source,
                split.name()
            );
        }
        let moved = within_supply(&mut quota, &supply, repeats);
        if moved.gc > 0 {
            progress.warn(&format!(
                "{} of {} {} negatives differ in GC content from the regions, as the genome has no more windows like them; use a smaller --negatives-per-positive or more chromosomes",
                thousands(moved.gc as usize),
                thousands(needed as usize),
                split.name()
            ));
        }
        if moved.repeats > 0 {
            progress.say(&format!(
                "{} of {} {} negatives have the GC content of the regions but another share of repeats",
                thousands(moved.repeats as usize),
                thousands(needed as usize),
                split.name()
            ));
        }
        let key = Key { seed: wanted.seed, stream: STREAM | split as u64, draw: 0 };
        // Windows come in the order of the genome.
        let (mut bases, mut end) = (0, (0, 0));
        sampling::take(&source, &supply, &quota, &bins, key, &mut |window| {
            let interval = Interval { chromosome: window.chromosome, range: window.start..window.start + length };
            let first =
                if end.0 == interval.chromosome { interval.range.start.max(end.1) } else { interval.range.start };
            bases += interval.range.end - first;
            end = (interval.chromosome, interval.range.end);
            let place = Some(reference.place(&interval, window.reverse));
            let read = Read { source: &reference.source, name: Name::Place, place, in_genome: true };
            let label = signal_values::label(NEGATIVE, (&interval, window.reverse), signal, sequences)?;
            sequences.push(&window.codes, label, Some(split), read)
        })?;
        let depth = (needed as usize * length) as f64 / bases.max(1) as f64;
        if depth > MOST_DEPTH {
            progress.warn(&format!(
                "the {} {} negatives lie in {} bp, each base in {depth:.0} of them on average, so they are much the same; use a smaller --negatives-per-positive or more chromosomes",
                thousands(needed as usize),
                split.name(),
                thousands(bases)
            ));
        }
    }
    Ok(())
}

/// Number of windows taken from another bin than asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Moved {
    gc: u64,
    repeats: u64,
}

/// Caps a quota at the supply and makes up the shortfall: first with windows of the same GC bin and the nearest
/// share of repeats, then of the nearest GC bin. There must be enough in all.
fn within_supply(quota: &mut [u64], supply: &[u64], repeats: usize) -> Moved {
    let mut missing: Vec<(usize, u64)> = Vec::new();
    for (bin, quota) in quota.iter_mut().enumerate() {
        if *quota > supply[bin] {
            missing.push((bin, *quota - supply[bin]));
            *quota = supply[bin];
        }
    }
    let mut moved = Moved::default();
    for (bin, mut lacking) in missing {
        let distance = |other: usize| {
            ((other / repeats).abs_diff(bin / repeats), (other % repeats).abs_diff(bin % repeats), other)
        };
        let mut others: Vec<usize> = (0..quota.len()).filter(|&other| quota[other] < supply[other]).collect();
        others.sort_by_key(|&other| distance(other));
        for other in others {
            let taken = lacking.min(supply[other] - quota[other]);
            quota[other] += taken;
            lacking -= taken;
            if other / repeats == bin / repeats {
                moved.repeats += taken;
            } else {
                moved.gc += taken;
            }
            if lacking == 0 {
                break;
            }
        }
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_quota_is_kept_in_number_and_goes_to_the_nearest_bins(
            bins in prop::collection::vec((0u64..20, 0u64..30), 12),
        ) {
            let (mut quota, supply): (Vec<u64>, Vec<u64>) = bins.into_iter().unzip();
            prop_assume!(quota.iter().sum::<u64>() <= supply.iter().sum());
            let asked = quota.clone();
            let moved = within_supply(&mut quota, &supply, 3);
            prop_assert_eq!(quota.iter().sum::<u64>(), asked.iter().sum::<u64>());
            prop_assert!(quota.iter().zip(&supply).all(|(quota, supply)| quota <= supply));
            let lacking: u64 = asked.iter().zip(&supply).map(|(asked, supply)| asked.saturating_sub(*supply)).sum();
            prop_assert_eq!(moved.gc + moved.repeats, lacking);
            // Where every GC bin has enough windows in all, none is taken from another.
            let of = |counts: &[u64], gc: usize| counts[gc * 3..gc * 3 + 3].iter().sum::<u64>();
            if (0..4).all(|gc| of(&asked, gc) <= of(&supply, gc)) {
                prop_assert!((0..4).all(|gc| of(&asked, gc) == of(&quota, gc)), "{asked:?} {quota:?} {supply:?}");
            }
        }
    }
}
