//! Which windows are taken from genomes: distinct starts, drawn uniformly from everything a split may use, with few
//! enough unknown bases and, on request, the same GC content in every class.
//!
//! Two passes in file order, so that genomes need not fit in memory. The first counts the eligible windows in each bin of
//! GC content (and of repeats, where that is matched too); then ranks are drawn among them; the second pass copies the
//! windows that have those ranks.

use anyhow::{Result, bail};
use rand::RngExt;
use rayon::prelude::*;

use crate::dataset::split::Split;
use crate::genome::Genome;
use crate::genome::interval::Interval;
use crate::random::{self, Purpose};
use crate::sequence::alphabet;

/// GC bins of two percentage points.
pub const GC_BINS: usize = 50;

/// Bins of the share of soft-masked bases: ten percentage points each.
pub const REPEAT_BINS: usize = 10;

/// One over the golden ratio: adding it again and again, modulo 1, fills an interval more evenly than chance does.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// Everything one class may take windows from in one split: intervals of one or more genomes.
pub struct Source<'a> {
    /// Index of the class.
    pub class: usize,
    /// Name of the class, for messages.
    pub class_name: &'a str,
    /// Genomes, each with the intervals that windows may lie in, 0-based and half-open.
    pub parts: Vec<(&'a Genome, Vec<Interval>)>,
}

/// What makes a window eligible, and how many are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Length of a window, in bp.
    pub length: usize,
    /// Unknown bases allowed in a window.
    pub max_n: usize,
    /// Equal counts in every GC bin for all classes.
    pub match_gc: bool,
    /// Windows wanted from each class.
    pub per_class: usize,
    /// Seed of the draw.
    pub seed: u64,
}

/// One window taken: codes with case as its strand reads, and where they came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Codes with case, `[length]`.
    pub codes: Vec<u8>,
    /// Which of the source's genomes.
    pub genome: usize,
    /// Index of the chromosome in its genome.
    pub chromosome: usize,
    /// 0-based start on the forward strand, in bp.
    pub start: usize,
    /// Whether the codes are the reverse complement of the genome's forward strand.
    pub reverse: bool,
}

/// What the first pass found, so that windows can be drawn any number of times with one pass each.
#[derive(Clone, Debug)]
pub struct Plan {
    bins: Bins,
    split: Split,
    seed: u64,
    /// Eligible windows of each source in each bin.
    supply: Vec<Vec<u64>>,
    /// Windows that every source gives from each bin.
    quota: Vec<u64>,
}

impl Plan {
    /// Counts the eligible windows and decides how many to take from each bin.
    ///
    /// # Errors
    /// There are not enough eligible windows; the message names the number available.
    pub fn new(sources: &[Source], split: Split, request: &Request) -> Result<Self> {
        let gc = if request.match_gc { GC_BINS } else { 1 };
        let bins = Bins { length: request.length, max_n: request.max_n, gc, repeats: 1 };
        let supply: Vec<Vec<u64>> = sources.par_iter().map(|source| count(source, &bins)).collect::<Result<_>>()?;
        let wanted = request.per_class as u64;
        let quota = if request.match_gc { matched_quota(&supply, wanted) } else { vec![wanted] };

        for (source, supply) in sources.iter().zip(&supply) {
            let available: u64 = supply.iter().sum();
            if available < wanted {
                bail!(
                    "class '{}' has {available} {} windows of {} bp with at most {} unknown bases, expected {wanted}; ask for fewer fragments, give more chromosomes or raise --max-n",
                    source.class_name,
                    split.name(),
                    request.length,
                    request.max_n
                );
            }
        }
        let matched: u64 = quota.iter().sum();
        if matched < wanted {
            bail!(
                "only {matched} {} windows of each class can be matched in GC content, expected {wanted}; ask for fewer fragments or give more chromosomes",
                split.name()
            );
        }
        Ok(Self { bins, split, seed: request.seed, supply, quota })
    }

    /// Length of the windows, in bp.
    pub fn length(&self) -> usize {
        self.bins.length
    }

    /// Windows that each source gives.
    pub fn windows(&self) -> u64 {
        self.quota.iter().sum()
    }

    /// The windows of one draw for each source, in file order. Draws 0, 1, 2 and so on are different windows, and
    /// together they cover the genome more evenly than draws by chance.
    ///
    /// # Errors
    /// A genome cannot be read.
    pub fn draw(&self, sources: &[Source], draw: u64) -> Result<Vec<Vec<Window>>> {
        (0..sources.len())
            .into_par_iter()
            .map(|source| {
                let mut windows = Vec::with_capacity(self.quota.iter().sum::<u64>() as usize);
                self.draw_each(sources, source, draw, &mut |window| {
                    windows.push(window);
                    Ok(())
                })?;
                Ok(windows)
            })
            .collect()
    }

    /// Hands the windows of one draw of one source to `each`, one by one.
    ///
    /// # Errors
    /// A genome cannot be read, or `each` fails.
    pub fn draw_each(
        &self,
        sources: &[Source],
        source: usize,
        draw: u64,
        each: &mut dyn FnMut(Window) -> Result<()>,
    ) -> Result<()> {
        let stream = (sources[source].class as u64) << 2 | self.split as u64;
        let key = Key { seed: self.seed, stream, draw };
        take(&sources[source], &self.supply[source], &self.quota, &self.bins, key, each)
    }
}

/// The numbers that a draw of windows depends on.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Seed of the run.
    pub seed: u64,
    /// Separates sources and splits, so that no two share random numbers.
    pub stream: u64,
    /// Number of the draw, from 0.
    pub draw: u64,
}

/// Which windows are eligible, and the bin of each by its GC content and its repeats. With a single bin the property is
/// ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bins {
    /// Length of a window, in bp.
    pub length: usize,
    /// Unknown bases allowed in a window.
    pub max_n: usize,
    /// Bins of the GC content of known bases.
    pub gc: usize,
    /// Bins of the share of soft-masked bases.
    pub repeats: usize,
}

impl Bins {
    /// Number of bins, over GC content and repeats.
    pub fn count(&self) -> usize {
        self.gc * self.repeats
    }

    fn bin(&self, unknown: usize, gc: usize, masked: usize) -> usize {
        // Without division where there is nothing to choose, as this is asked of every base of a genome.
        let place = |part: usize, whole: usize, bins: usize| match bins {
            1 => 0,
            _ => (part * bins / whole.max(1)).min(bins - 1),
        };
        place(gc, self.length - unknown, self.gc) * self.repeats + place(masked, self.length, self.repeats)
    }

    /// The bin of one window, given with case; `None` where it is not eligible.
    pub fn of(&self, codes: &[u8]) -> Option<usize> {
        let mut bin = None;
        self.scan(codes, |found, _| bin = Some(found));
        bin
    }

    /// Calls `each` with the bin and the offset of every eligible window of a piece, given with case, in order.
    fn scan(&self, codes: &[u8], mut each: impl FnMut(usize, usize)) {
        if codes.len() < self.length {
            return;
        }
        let is_gc = |code: u8| usize::from(alphabet::is_gc(code));
        let is_unknown = |code: u8| usize::from(alphabet::is_unknown(code));
        let is_masked = |code: u8| usize::from(code & alphabet::SOFT_MASKED != 0);
        let first = &codes[..self.length];
        let mut gc: usize = first.iter().map(|&code| is_gc(code)).sum();
        let mut unknown: usize = first.iter().map(|&code| is_unknown(code)).sum();
        let mut masked: usize = first.iter().map(|&code| is_masked(code)).sum();
        for start in 0..=codes.len() - self.length {
            if unknown <= self.max_n {
                each(self.bin(unknown, gc, masked), start);
            }
            if let Some(&next) = codes.get(start + self.length) {
                let last = codes[start];
                gc = gc + is_gc(next) - is_gc(last);
                unknown = unknown + is_unknown(next) - is_unknown(last);
                masked = masked + is_masked(next) - is_masked(last);
            }
        }
    }
}

/// The first pass: eligible windows in each bin.
///
/// # Errors
/// A genome cannot be read.
pub fn count(source: &Source, bins: &Bins) -> Result<Vec<u64>> {
    let mut supply = vec![0; bins.count()];
    for (genome, intervals) in &source.parts {
        for interval in intervals {
            genome.scan(interval.chromosome, interval.range.clone(), bins.length - 1, &mut |codes, _| {
                bins.scan(codes, |bin, _| supply[bin] += 1);
            })?;
        }
    }
    Ok(supply)
}

/// How many windows every class takes from each bin: the mean of the classes' histograms, as far as the scarcest class
/// goes; what a bin lacks is spread over the others in proportion.
fn matched_quota(supply: &[Vec<u64>], wanted: u64) -> Vec<u64> {
    let bins = supply[0].len();
    let limit: Vec<u64> = (0..bins).map(|bin| supply.iter().map(|class| class[bin]).min().unwrap_or(0)).collect();
    let share: Vec<f64> = (0..bins)
        .map(|bin| supply.iter().map(|class| class[bin] as f64 / class.iter().sum::<u64>().max(1) as f64).sum::<f64>())
        .collect();
    let mut quota = vec![0u64; bins];
    loop {
        let missing = wanted - quota.iter().sum::<u64>();
        let open: Vec<usize> = (0..bins).filter(|&bin| quota[bin] < limit[bin] && share[bin] > 0.0).collect();
        if missing == 0 || open.is_empty() {
            return quota;
        }
        let total: f64 = open.iter().map(|&bin| share[bin]).sum();
        let before: u64 = quota.iter().sum();
        for &bin in &open {
            let more = (missing as f64 * share[bin] / total).floor() as u64;
            quota[bin] += more.min(limit[bin] - quota[bin]);
        }
        if quota.iter().sum::<u64>() == before {
            // Fewer are missing than there are bins: one each to the commonest.
            let mut open = open;
            open.sort_by(|&a, &b| share[b].total_cmp(&share[a]).then(a.cmp(&b)));
            for &bin in open.iter().take(missing as usize) {
                quota[bin] += 1;
            }
        }
    }
}

/// The second pass: draws ranks in every bin and copies the windows that have them, on either strand.
///
/// # Errors
/// A genome cannot be read, or `each` fails.
pub fn take(
    source: &Source,
    supply: &[u64],
    quota: &[u64],
    bins: &Bins,
    key: Key,
    each: &mut dyn FnMut(Window) -> Result<()>,
) -> Result<()> {
    let Key { seed, stream, draw } = key;
    let mut chosen: Vec<std::iter::Peekable<std::vec::IntoIter<u64>>> = Vec::with_capacity(quota.len());
    for (bin, (&supply, &quota)) in supply.iter().zip(quota).enumerate() {
        let mut random = random::generator(seed, Purpose::Windows, stream, bin as u64);
        chosen.push(spread_ranks(supply, quota, draw, &mut random).into_iter().peekable());
    }
    let mut strands = random::generator(seed, Purpose::Strands, stream, draw);
    let mut seen = vec![0u64; quota.len()];
    let mut taken = Ok(());
    for (genome_index, (genome, intervals)) in source.parts.iter().enumerate() {
        for interval in intervals {
            genome.scan(interval.chromosome, interval.range.clone(), bins.length - 1, &mut |codes, position| {
                bins.scan(codes, |bin, offset| {
                    let rank = seen[bin];
                    seen[bin] += 1;
                    if chosen[bin].next_if_eq(&rank).is_some() && taken.is_ok() {
                        let mut codes = codes[offset..offset + bins.length].to_vec();
                        let reverse = strands.random::<bool>();
                        if reverse {
                            alphabet::reverse_complement(&mut codes);
                        }
                        let (chromosome, start) = (interval.chromosome, position + offset);
                        taken = each(Window { codes, genome: genome_index, chromosome, start, reverse });
                    }
                });
            })?;
        }
    }
    taken
}

/// `quota` distinct ranks below `supply`, ascending: one drawn from each of `quota` stretches of equal length, give or
/// take one. Every window has practically the same chance as in a plain draw, and windows overlap less, so the same
/// number of them shows more of the genome. Later draws move on through each stretch by the golden ratio, so that what
/// one draw leaves out the next ones show.
fn spread_ranks(supply: u64, quota: u64, draw: u64, random: &mut random::Generator) -> Vec<u64> {
    let edge = |i: u64| (u128::from(i) * u128::from(supply) / u128::from(quota)) as u64;
    (0..quota)
        .map(|i| {
            let (low, high) = (edge(i), edge(i + 1));
            let place = (random.random::<f64>() + draw as f64 * GOLDEN).fract();
            (low + (place * (high - low) as f64) as u64).min(high - 1)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::alphabet::UNKNOWN;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, HashSet};
    use std::path::Path;

    /// Windows in each bin of two percentage points.
    fn gc_histogram<'a>(windows: impl Iterator<Item = &'a [u8]>) -> BTreeMap<usize, usize> {
        let mut histogram = BTreeMap::new();
        for codes in windows {
            let known = codes.iter().filter(|&&code| code < UNKNOWN).count().max(1);
            let gc = codes.iter().filter(|&&code| code == 1 || code == 2).count();
            *histogram.entry((gc * GC_BINS / known).min(GC_BINS - 1)).or_insert(0) += 1;
        }
        histogram
    }

    fn genome(name: &str, codes: Vec<Vec<u8>>) -> Genome {
        Genome::from_codes(
            Path::new(name),
            codes.into_iter().enumerate().map(|(i, c)| (format!("chr{i}"), c)).collect(),
        )
    }

    fn whole(genome: &Genome) -> Vec<Interval> {
        genome
            .chromosomes
            .iter()
            .enumerate()
            .map(|(chromosome, c)| Interval { chromosome, range: 0..c.length })
            .collect()
    }

    /// Bases with a GC share that changes along the chromosome, and a run of N.
    fn patchy(seed: u64, length: usize) -> Vec<u8> {
        let mut random = random::generator(seed, Purpose::Simulate, 0, 0);
        (0..length)
            .map(|i| {
                let gc = 0.25 + 0.5 * (i as f64 / length as f64 + seed as f64 * 0.1).fract();
                match (i % 997 < 5, random.random::<f64>() < gc) {
                    (true, _) => UNKNOWN,
                    (_, true) => 1 + u8::from(random.random::<bool>()),
                    (_, false) => 3 * u8::from(random.random::<bool>()),
                }
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn windows_are_distinct_eligible_and_where_they_say(seed in 0u64..1000, max_n in 0usize..4, match_gc: bool) {
            let genomes = [genome("a", vec![patchy(seed, 3000), patchy(seed + 1, 500)]), genome("b", vec![patchy(seed + 2, 4000)])];
            let sources: Vec<Source> = genomes.iter().enumerate()
                .map(|(class, genome)| Source { class, class_name: "x", parts: vec![(genome, whole(genome))] })
                .collect();
            let request = Request { length: 40, max_n, match_gc, per_class: 300, seed };
            let drawn = Plan::new(&sources, Split::Train, &request).unwrap().draw(&sources, 0).unwrap();
            for (genome, windows) in genomes.iter().zip(&drawn) {
                prop_assert_eq!(windows.len(), 300);
                let starts: HashSet<_> = windows.iter().map(|w| (w.chromosome, w.start)).collect();
                prop_assert_eq!(starts.len(), 300);
                for window in windows {
                    prop_assert!(window.codes.iter().filter(|&&c| c == UNKNOWN).count() <= max_n);
                    let mut codes = window.codes.clone();
                    if window.reverse { alphabet::reverse_complement(&mut codes); }
                    genome.scan(window.chromosome, window.start..window.start + 40, 0, &mut |found, _| assert_eq!(found, codes)).unwrap();
                }
            }
            if match_gc {
                let histogram = |i: usize| gc_histogram(drawn[i].iter().map(|w: &Window| w.codes.as_slice()));
                prop_assert_eq!(histogram(0), histogram(1));
            }
        }

        #[test]
        fn a_quota_is_filled_exactly_or_to_the_supply(
            supply in prop::collection::vec((0u64..50, 0u64..50), GC_BINS), wanted in 0u64..2000,
        ) {
            let (a, b): (Vec<u64>, Vec<u64>) = supply.into_iter().unzip();
            let most: u64 = a.iter().zip(&b).map(|(a, b)| a.min(b)).sum();
            let quota = matched_quota(&[a.clone(), b.clone()], wanted);
            prop_assert_eq!(quota.iter().sum::<u64>(), wanted.min(most));
            prop_assert!(quota.iter().zip(a.iter().zip(&b)).all(|(q, (a, b))| q <= a.min(b)));
        }
    }

    #[test]
    fn every_window_can_be_had_and_one_more_is_an_error_that_says_how_many_there_are() {
        let genome = genome("a", vec![patchy(1, 200)]);
        let source = || vec![Source { class: 0, class_name: "human", parts: vec![(&genome, whole(&genome))] }];
        let request = Request { length: 40, max_n: 0, match_gc: false, per_class: 156, seed: 1 };
        let plan = Plan::new(&source(), Split::Test, &request).unwrap();
        assert_eq!(plan.draw(&source(), 0).unwrap()[0].len(), 156);
        let error = Plan::new(&source(), Split::Test, &Request { per_class: 157, ..request }).unwrap_err().to_string();
        assert!(error.contains("'human' has 156 test windows"), "{error}");
    }

    #[test]
    fn windows_are_spread_evenly() {
        let genome = genome("a", vec![vec![0; 10_000]]);
        let source = [Source { class: 0, class_name: "a", parts: vec![(&genome, whole(&genome))] }];
        let request = Request { length: 100, max_n: 0, match_gc: false, per_class: 2000, seed: 3 };
        let windows = Plan::new(&source, Split::Train, &request).unwrap().draw(&source, 0).unwrap().remove(0);
        let first_half = windows.iter().filter(|w| w.start < 4950).count();
        assert!((900..1100).contains(&first_half), "{first_half}");
        let reverse = windows.iter().filter(|w| w.reverse).count();
        assert!((900..1100).contains(&reverse), "{reverse}");
    }

    #[test]
    fn later_draws_show_what_earlier_ones_left_out() {
        let genome = genome("a", vec![patchy(5, 40_000)]);
        let source = [Source { class: 0, class_name: "a", parts: vec![(&genome, whole(&genome))] }];
        let request = Request { length: 100, max_n: 100, match_gc: false, per_class: 50, seed: 3 };
        let plan = Plan::new(&source, Split::Train, &request).unwrap();
        let mut shown = vec![0u32; 40_000];
        for draw in 0..8 {
            for window in &plan.draw(&source, draw).unwrap()[0] {
                shown[window.start..window.start + 100].iter_mut().for_each(|count| *count += 1);
            }
        }
        // By chance, a base would be missed by all 400 windows with probability exp(-1) = 0.37.
        let missed = shown.iter().filter(|&&count| count == 0).count();
        assert!(missed < 40_000 * 15 / 100, "{missed}");
    }

    #[test]
    fn repeats_are_binned_too() {
        let bins = Bins { length: 10, max_n: 0, gc: GC_BINS, repeats: REPEAT_BINS };
        let window = |bases: &[u8]| {
            let mut codes = Vec::new();
            alphabet::encode_with_case(bases, &mut codes).unwrap();
            bins.of(&codes)
        };
        assert_eq!(window(b"ACGTACGTAC"), Some(25 * REPEAT_BINS));
        assert_eq!(window(b"acgtaCGTAC"), Some(25 * REPEAT_BINS + 5));
        assert_eq!(window(b"aaaaaaaaaa"), Some(REPEAT_BINS - 1));
        assert_eq!(window(b"ACGTACGTAN"), None);
    }
}
