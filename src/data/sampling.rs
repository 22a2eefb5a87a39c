//! Which windows are taken from genomes: distinct starts, drawn uniformly from everything a split may use, with few
//! enough unknown bases and, on request, the same GC content in every class.
//!
//! Two passes in file order, so that genomes need not fit in memory. The first counts the eligible windows in each GC
//! bin; then ranks are drawn among them; the second pass copies the windows that have those ranks.

use anyhow::{Result, bail};
use rand::RngExt;
use rayon::prelude::*;

use super::alphabet::{self, UNKNOWN};
use super::fasta::Genome;
use super::split::{Interval, Split};
use crate::random::{self, Purpose};

/// GC bins of two percentage points.
pub const GC_BINS: usize = 50;

/// Everything one class may take windows from in one split: intervals of one or more genomes.
pub struct Source<'a> {
    pub class: usize,
    pub class_name: &'a str,
    pub parts: Vec<(&'a Genome, Vec<Interval>)>,
}

/// What makes a window eligible, and how many are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub length: usize,
    /// Unknown bases allowed in a window.
    pub max_n: usize,
    /// Equal counts in every GC bin for all classes.
    pub match_gc: bool,
    /// Windows wanted from each class.
    pub per_class: usize,
    pub seed: u64,
}

/// One window taken: codes as the network reads them, and where they came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub codes: Vec<u8>,
    /// Which of the source's genomes.
    pub genome: usize,
    pub chromosome: usize,
    pub start: usize,
    pub reverse: bool,
}

/// Takes `per_class` windows for each source, in file order.
///
/// # Errors
/// There are not enough eligible windows; the message names the number available.
pub fn draw(sources: &[Source], split: Split, request: &Request) -> Result<Vec<Vec<Window>>> {
    let bins = Bins::new(request);
    let supply: Vec<Vec<u64>> = sources.par_iter().map(|source| count(source, &bins)).collect::<Result<_>>()?;
    let quota = if request.match_gc {
        matched_quota(&supply, request.per_class as u64)
    } else {
        vec![request.per_class as u64]
    };

    for (source, supply) in sources.iter().zip(&supply) {
        let available: u64 = supply.iter().sum();
        if available < request.per_class as u64 {
            bail!(
                "class '{}' has {available} {} windows of {} bp with at most {} unknown bases, expected {}; ask for fewer fragments, give more chromosomes or raise --max-n",
                source.class_name,
                split.name(),
                request.length,
                request.max_n,
                request.per_class
            );
        }
    }
    let matched: u64 = quota.iter().sum();
    if matched < request.per_class as u64 {
        bail!(
            "only {matched} {} windows of each class can be matched in GC content, expected {}; ask for fewer fragments or give more chromosomes",
            split.name(),
            request.per_class
        );
    }
    sources
        .par_iter()
        .zip(&supply)
        .map(|(source, supply)| take(source, supply, &quota, &bins, split, request))
        .collect()
}

/// The bin of a window by its count of unknown bases and of G and C.
struct Bins {
    length: usize,
    max_n: usize,
    count: usize,
}

impl Bins {
    fn new(request: &Request) -> Self {
        Self { length: request.length, max_n: request.max_n, count: if request.match_gc { GC_BINS } else { 1 } }
    }

    fn bin(&self, unknown: usize, gc: usize) -> usize {
        if self.count == 1 { 0 } else { (gc * self.count / (self.length - unknown).max(1)).min(self.count - 1) }
    }

    /// Calls `each` with the bin and the offset of every eligible window of a piece, in order.
    fn scan(&self, codes: &[u8], mut each: impl FnMut(usize, usize)) {
        if codes.len() < self.length {
            return;
        }
        let is_gc = |code: u8| usize::from(code == 1 || code == 2);
        let is_unknown = |code: u8| usize::from(code == UNKNOWN);
        let mut gc: usize = codes[..self.length].iter().map(|&code| is_gc(code)).sum();
        let mut unknown: usize = codes[..self.length].iter().map(|&code| is_unknown(code)).sum();
        for start in 0..=codes.len() - self.length {
            if unknown <= self.max_n {
                each(self.bin(unknown, gc), start);
            }
            if let Some(&next) = codes.get(start + self.length) {
                gc = gc + is_gc(next) - is_gc(codes[start]);
                unknown = unknown + is_unknown(next) - is_unknown(codes[start]);
            }
        }
    }
}

/// Eligible windows in each bin.
fn count(source: &Source, bins: &Bins) -> Result<Vec<u64>> {
    let mut supply = vec![0; bins.count];
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

/// The second pass: draws ranks in every bin and copies the windows that have them.
fn take(
    source: &Source,
    supply: &[u64],
    quota: &[u64],
    bins: &Bins,
    split: Split,
    request: &Request,
) -> Result<Vec<Window>> {
    let stream = (source.class as u64) << 2 | split as u64;
    let mut chosen: Vec<std::iter::Peekable<std::vec::IntoIter<u64>>> = Vec::with_capacity(quota.len());
    for (bin, (&supply, &quota)) in supply.iter().zip(quota).enumerate() {
        let mut random = random::generator(request.seed, Purpose::Windows, stream, bin as u64);
        chosen.push(spread_ranks(supply, quota, &mut random).into_iter().peekable());
    }
    let mut strands = random::generator(request.seed, Purpose::Strands, stream, 0);
    let mut seen = vec![0u64; quota.len()];
    let mut windows = Vec::with_capacity(request.per_class);
    for (genome_index, (genome, intervals)) in source.parts.iter().enumerate() {
        for interval in intervals {
            genome.scan(interval.chromosome, interval.range.clone(), bins.length - 1, &mut |codes, position| {
                bins.scan(codes, |bin, offset| {
                    let rank = seen[bin];
                    seen[bin] += 1;
                    if chosen[bin].next_if_eq(&rank).is_some() {
                        let mut codes = codes[offset..offset + bins.length].to_vec();
                        let reverse = strands.random::<bool>();
                        if reverse {
                            alphabet::reverse_complement(&mut codes);
                        }
                        let start = position + offset;
                        windows.push(Window {
                            codes,
                            genome: genome_index,
                            chromosome: interval.chromosome,
                            start,
                            reverse,
                        });
                    }
                });
            })?;
        }
    }
    Ok(windows)
}

/// `quota` distinct ranks below `supply`, ascending: one drawn from each of `quota` stretches of equal length, give or
/// take one. Every window has practically the same chance as in a plain draw, and windows overlap less, so the same number of them shows more of the genome.
fn spread_ranks(supply: u64, quota: u64, random: &mut random::Generator) -> Vec<u64> {
    let edge = |i: u64| (u128::from(i) * u128::from(supply) / u128::from(quota)) as u64;
    (0..quota).map(|i| random.random_range(edge(i)..edge(i + 1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let drawn = draw(&sources, Split::Train, &request).unwrap();
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
        assert_eq!(draw(&source(), Split::Test, &request).unwrap()[0].len(), 156);
        let error = draw(&source(), Split::Test, &Request { per_class: 157, ..request }).unwrap_err().to_string();
        assert!(error.contains("'human' has 156 test windows"), "{error}");
    }

    #[test]
    fn windows_are_spread_evenly() {
        let genome = genome("a", vec![vec![0; 10_000]]);
        let source = [Source { class: 0, class_name: "a", parts: vec![(&genome, whole(&genome))] }];
        let request = Request { length: 100, max_n: 0, match_gc: false, per_class: 2000, seed: 3 };
        let windows = draw(&source, Split::Train, &request).unwrap().remove(0);
        let first_half = windows.iter().filter(|w| w.start < 4950).count();
        assert!((900..1100).contains(&first_half), "{first_half}");
        let reverse = windows.iter().filter(|w| w.reverse).count();
        assert!((900..1100).contains(&reverse), "{reverse}");
    }
}
