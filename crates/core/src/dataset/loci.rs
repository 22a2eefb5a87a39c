//! Loci whose profiles are predicted: which peaks are taken, and training windows that move about theirs each epoch.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use anyhow::{Result, bail};
use rand::RngExt;

use crate::config::DataConfig;
use crate::dataset::examples::{Examples, ExamplesWriter, Origin, log_counts};
use crate::dataset::reference::{DividedReference, SplitWindow};
use crate::dataset::signal_values::SignalValues;
use crate::dataset::split::Split;
use crate::format::{list_first, thousands};
use crate::genome::interval::{self, Interval, Place};
use crate::genome::reference::Reference;
use crate::metrics;
use crate::progress::Progress;
use crate::random::{self, Purpose};
use crate::sequence::alphabet;

/// Counts this many times above the quantile of `--outlier-quantile` are extreme, as in ChromBPNet.
const OUTLIER_FACTOR: f64 = 1.2;
/// Chromosomes that a message names.
const MOST_CHROMOSOMES: usize = 25;

/// What peaks are chosen by.
pub struct Choice<'a> {
    /// The genome.
    pub reference: &'a Reference,
    /// The tracks.
    pub signal: &'a SignalValues,
    /// Regions that no locus may touch, sorted by chromosome and start.
    pub excluded: &'a [Interval],
    /// The quantile and the distance.
    pub config: &'a DataConfig,
    /// Where counts of loci go.
    pub progress: &'a Progress,
}

/// Leaves out peaks that touch excluded regions, those with extreme counts, and of those whose centres are nearer to each other than
/// `--merge-distance` all but the ones with the most counts. Says how many are left after each, and how many on which
/// chromosome.
///
/// # Errors
/// A track cannot be read, or no peak is left.
pub fn choose(peaks: &mut Vec<SplitWindow>, choice: &Choice) -> Result<()> {
    let Choice { reference, signal, excluded, config, progress } = *choice;
    let say = |before: usize, left: usize, why: &str| {
        if left < before {
            let (out, before, left) = (thousands(before - left), thousands(before), thousands(left));
            progress.say(&format!("{out} of {before} peaks {why} and are left out, so {left} are left"));
        }
    };
    let all = peaks.len();
    peaks.retain(|SplitWindow { window, .. }| {
        interval::without(std::slice::from_ref(&window.interval), excluded) == [window.interval.clone()]
    });
    say(all, peaks.len(), "touch a region of --exclude");

    let count = |peak: SplitWindow| Ok((signal.counts(&peak.window.interval)?, peak));
    let mut counted = peaks.drain(..).map(count).collect::<Result<Vec<(f64, SplitWindow)>>>()?;
    let mut sorted: Vec<f64> = counted.iter().map(|(counts, _)| *counts).collect();
    sorted.sort_by(f64::total_cmp);
    let share = config.outlier_quantile;
    let limit = metrics::quantile(&sorted, share).map(|count| OUTLIER_FACTOR * count);
    // Where so many have none, one with counts is not extreme.
    if let Some(limit) = limit.filter(|&limit| limit > 0.0 && share < 1.0) {
        let before = counted.len();
        counted.retain(|(counts, _)| *counts <= limit);
        let why = format!("have more than {limit:.0} counts, {OUTLIER_FACTOR} times the quantile {share}");
        say(before, counted.len(), &why);
    }

    let distance = config.merge_distance.unwrap_or(signal.output_length() / 2);
    let mut order: Vec<usize> = (0..counted.len()).collect();
    order.sort_by(|&a, &b| counted[b].0.total_cmp(&counted[a].0).then(a.cmp(&b)));
    let (mut kept, mut keeps) = (BTreeMap::<usize, BTreeSet<usize>>::new(), vec![false; counted.len()]);
    for i in order {
        let Interval { chromosome, range } = &counted[i].1.window.interval;
        let starts = kept.entry(*chromosome).or_default();
        let near = range.start.saturating_sub(distance.saturating_sub(1))..range.start + distance.max(1);
        if distance == 0 || starts.range(near).next().is_none() {
            starts.insert(range.start);
            keeps[i] = true;
        }
    }
    let before = counted.len();
    peaks.extend(counted.into_iter().zip(keeps).filter(|(_, keep)| *keep).map(|((_, peak), _)| peak));
    say(before, peaks.len(), &format!("have a stronger one nearer than {distance} bp"));
    if peaks.is_empty() {
        bail!("none of {} peaks is left; raise --outlier-quantile, or check --exclude", thousands(all));
    }
    let of = |(chromosome, starts): (&usize, &BTreeSet<usize>)| {
        format!("{} {}", reference.chromosomes[*chromosome], thousands(starts.len()))
    };
    let by_chromosome: Vec<String> = kept.iter().map(of).collect();
    progress.say(&format!("peaks by chromosome: {}", list_first(&by_chromosome, MOST_CHROMOSOMES)));
    Ok(())
}

/// Training windows whose peaks move by up to some bases each epoch, sequence and signal read anew from genome and tracks.
pub struct MovingWindows {
    divided: DividedReference,
    signal: SignalValues,
    /// What windows may lie in: training's part of the genome without excluded regions.
    allowed: Vec<Interval>,
    jitter: usize,
    max_n: usize,
    seed: u64,
    loci: Vec<Locus>,
}

/// A training window.
struct Locus {
    origin: Origin,
    interval: Interval,
    reverse: bool,
    is_peak: bool,
    /// Starts that leave it within its part of the genome, the last one included.
    starts: std::ops::RangeInclusive<usize>,
}

impl MovingWindows {
    /// For windows that are still to be named, which stay away from `excluded` regions, sorted by chromosome and start.
    pub fn new(
        divided: DividedReference,
        signal: SignalValues,
        excluded: &[Interval],
        config: &DataConfig,
        seed: u64,
    ) -> Self {
        let allowed = interval::without(&divided.parts[Split::Train as usize], excluded);
        let (jitter, max_n) = (config.jitter, config.max_n);
        Self { divided, signal, allowed, jitter, max_n, seed, loci: Vec::new() }
    }

    /// The windows of training examples.
    pub fn about(mut self, train: &Examples) -> Self {
        let names = self.divided.reference.chromosomes.iter();
        let chromosomes: HashMap<Arc<str>, usize> = names.enumerate().map(|(i, name)| (name.clone(), i)).collect();
        for (i, origin) in train.origins.iter().enumerate() {
            let Some(Place { chromosome, range, reverse }) = &origin.place else { continue };
            let Some(&chromosome) = chromosomes.get(chromosome) else { continue };
            let holds = |part: &&Interval| {
                part.chromosome == chromosome && part.range.start <= range.start && range.end <= part.range.end
            };
            let part = self.allowed.iter().find(holds).map_or(range.clone(), |part| part.range.clone());
            let first = range.start.saturating_sub(self.jitter).max(part.start);
            let last = (range.start + self.jitter).min(part.end - range.len());
            self.loci.push(Locus {
                origin: origin.clone(),
                interval: Interval { chromosome, range: range.clone() },
                reverse: *reverse,
                is_peak: train.profiles.as_ref().is_some_and(|profiles| profiles.is_peak(i)),
                starts: first..=last,
            });
        }
        self
    }

    /// The windows of one draw.
    ///
    /// # Errors
    /// The genome or a track cannot be read.
    pub fn draw(&self, draw: u64) -> Result<Examples> {
        let reference = &self.divided.reference;
        let Some(shape) = &self.signal.profile else { bail!("windows move only where profiles are predicted") };
        let mut examples =
            ExamplesWriter::new(self.divided.length, shape.groups(), u64::MAX).with_profiles(Some(shape.clone()));
        let mut codes = Vec::new();
        let mut random = random::generator(self.seed, Purpose::Windows, draw, 0);
        for Locus { origin, interval, reverse, is_peak, starts } in &self.loci {
            let mut read = |interval: &Interval| {
                codes.clear();
                reference.genome.read_strand(interval.chromosome, interval.range.clone(), *reverse, &mut codes)?;
                Ok::<_, anyhow::Error>(codes.iter().filter(|&&code| alphabet::is_unknown(code)).count())
            };
            let start = if *is_peak { random.random_range(starts.clone()) } else { interval.range.start };
            let mut moved = Interval { chromosome: interval.chromosome, range: start..start + interval.range.len() };
            // Where it would hold too many unknown bases, it stays.
            if read(&moved)? > self.max_n {
                moved = interval.clone();
                read(&moved)?;
            }
            let interval = moved;
            let counts = self.signal.profile(&interval, *reverse)?;
            let place = Some(reference.place(&interval, *reverse));
            let masked = alphabet::masked_share(&codes);
            examples.push(&codes, &log_counts(shape, &counts), Origin { place, masked, ..origin.clone() })?;
            examples.push_profile(&counts, *is_peak);
        }
        examples.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TaskKind;
    use crate::dataset::{self, LoadRequest};
    use crate::formats::bigwig::Writer;
    use crate::genome::Chromosome;
    use rand::RngExt;
    use std::io::Cursor;

    const BASES: usize = 4000;

    /// Settings of a genome of three chromosomes, on which base `i` has the count `i % 7`, and peaks every 200 bp.
    fn settings(folder: &std::path::Path) -> DataConfig {
        let chromosomes: Vec<Chromosome> =
            (1..=3).map(|i| Chromosome { name: format!("chr{i}"), length: BASES }).collect();
        let path = |name: &str| folder.join(name);
        let mut writer = Writer::new(Cursor::new(Vec::new()), &chromosomes, folder).unwrap();
        let (mut fasta, mut bed) = (String::new(), String::new());
        for (number, Chromosome { name, .. }) in chromosomes.iter().enumerate() {
            let mut random = random::generator(number as u64, Purpose::Simulate, 0, 0);
            let bases: String = (0..BASES).map(|_| "ACGT".as_bytes()[random.random_range(0..4)] as char).collect();
            fasta.push_str(&format!(">{name}\n{bases}\n"));
            (0..BASES).for_each(|i| writer.push(name, i..i + 1, (i % 7) as f32).unwrap());
            (1..19).for_each(|i| bed.push_str(&format!("{name}\t{}\t{}\n", i * 200, i * 200 + 60)));
        }
        std::fs::write(path("counts.bw"), writer.finish().unwrap().into_inner()).unwrap();
        std::fs::write(path("genome.fa"), fasta).unwrap();
        std::fs::write(path("peaks.bed"), bed).unwrap();
        DataConfig {
            task: Some(TaskKind::Profile),
            reference: Some(path("genome.fa")),
            regions: vec![path("peaks.bed").display().to_string().parse().unwrap()],
            signal: vec![format!("y={}", path("counts.bw").display()).parse().unwrap()],
            length: Some(60),
            output_length: Some(20),
            jitter: 9,
            outlier_quantile: 1.0,
            train_chroms: vec!["1".into()],
            valid_chroms: vec!["2".into()],
            test_chroms: vec!["3".into()],
            ..DataConfig::default()
        }
    }

    #[test]
    fn windows_of_peaks_move_with_their_counts_and_those_of_background_stay() {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path());
        let progress = Progress::quiet();
        let data = dataset::load(&LoadRequest::new(&config, 1, &progress)).unwrap();
        let resampler = data.resampler.as_ref().unwrap();
        assert!(resampler.follows_listing());
        let starts = |examples: &Examples| -> Vec<usize> {
            examples.origins.iter().map(|origin| origin.place.as_ref().unwrap().range.start).collect()
        };
        let (first, mut moved) = (starts(&data.train), BTreeSet::new());
        for draw in 1..20 {
            let drawn = resampler.draw(draw).unwrap();
            assert_eq!(drawn.origins.len(), data.train.len());
            let profiles = drawn.profiles.as_ref().unwrap();
            for (i, start) in starts(&drawn).into_iter().enumerate() {
                let by = start as i64 - first[i] as i64;
                if profiles.is_peak(i) {
                    moved.insert(by);
                } else {
                    assert_eq!(by, 0);
                }
                // The counts are those of the bases that it has now, in its direction.
                let reverse = drawn.origins[i].place.as_ref().unwrap().reverse;
                let mut expected: Vec<f32> = (start + 20..start + 40).map(|base| (base % 7) as f32).collect();
                if reverse {
                    expected.reverse();
                }
                assert_eq!(profiles.counts_of(i), expected);
                assert!((drawn.labels[i] - expected.iter().sum::<f32>().ln_1p()).abs() < 1e-6);
            }
            assert_eq!(starts(&resampler.draw(draw).unwrap()), starts(&drawn));
        }
        assert_eq!(moved.into_iter().collect::<Vec<_>>(), (-9..=9).collect::<Vec<i64>>());
    }

    #[test]
    fn of_peaks_that_lie_together_the_strongest_stays_and_equals_at_the_quantile_do() {
        let folder = tempfile::tempdir().unwrap();
        let base = settings(folder.path());
        let progress = Progress::quiet();
        let peaks = |config: &DataConfig| {
            let data = dataset::load(&LoadRequest::new(config, 1, &progress)).unwrap();
            let profiles = data.test.profiles.as_ref().unwrap();
            (0..data.test.len()).filter(|&i| profiles.is_peak(i)).count()
        };
        assert_eq!(peaks(&base), 18);
        // Of neighbours only one stays, and of three in a row at the least one.
        assert_eq!(peaks(&DataConfig { merge_distance: Some(200), ..base.clone() }), 18);
        let merged = peaks(&DataConfig { merge_distance: Some(201), ..base.clone() });
        assert!((6..=9).contains(&merged), "{merged}");
        // Counts hardly differ, so that none is 1.2 times any quantile.
        assert_eq!(peaks(&DataConfig { outlier_quantile: 0.5, ..base }), 18);
    }
}
