//! Predicted profiles beside observed ones: over peaks, over background and over both, beside a uniform profile and what
//! else can be told without a network.

use std::fs::File;
use std::path::Path;

use anyhow::Result;
use rand::RngExt;

use crate::dataset::examples::{Examples, Profiles};
use crate::evaluate::enzyme::{EnzymeFootprint, ProfileBaselines};
use crate::format::{self, thousands};
use crate::formats::npz::{Kind, Npz};
use crate::metrics::profile::{BIN, Loci, METRICS, ProfileMetrics, log_softmax, mean_of_groups};
use crate::metrics::{Blocks, Estimate, Interval, Ranking, Report, Resampling, regression};
use crate::random::{self, Purpose};
use crate::run;
use crate::sequence::profile::ProfileShape;

/// What was predicted of profiles, and how far it is from what was observed.
#[derive(Clone, Debug)]
pub struct OfProfiles {
    /// Of each locus, `[n, tracks * length + groups]`: logits of the profile and log counts.
    pub logits: Vec<f32>,
    /// Metrics of the peaks.
    pub peaks: Report,
    /// Metrics of the background, where there is any.
    pub background: Option<Report>,
    /// Metrics of both.
    pub all: Option<Report>,
    /// The same of peaks, background and both with intervals by chromosome, where loci have coordinates.
    pub by_chromosome: Option<(Report, Option<Report>, Option<Report>)>,
    /// Peaks without reads, which have no profile.
    pub without_reads: usize,
    /// How well predicted counts tell peaks from background: `auroc` and `average_precision`.
    pub detection: Vec<(&'static str, Option<Estimate>)>,
    /// Jensen-Shannon distance of each peak that has reads, with its index.
    pub distances: Vec<(f64, usize)>,
    /// The same of baselines, by name.
    pub distances_of_baselines: Vec<(&'static str, Vec<(f64, usize)>)>,
    /// Metrics of the same peaks without a network, by name.
    pub baselines: Vec<(&'static str, Report)>,
    /// Pearson correlation of the log counts of two random halves of the reads of all loci.
    pub halves: Option<f64>,
    /// How a network with a bias model answers to what the enzyme prefers, by group, once measured.
    pub enzyme_footprints: Vec<EnzymeFootprint>,
}

impl OfProfiles {
    /// Of logits as they come out of the network, for loci that lie on these chromosomes, where that is known.
    pub fn new(profiles: &Profiles, logits: &[f32], resampling: &Resampling, chromosomes: Option<&Blocks>) -> Self {
        let shape = &profiles.shape;
        let n = logits.len() / shape.outputs();
        let loci = loci(profiles, |i| &logits[i * shape.outputs()..(i + 1) * shape.outputs()], n);
        let (peaks, background): (Vec<usize>, Vec<usize>) = (0..n).partition(|&i| profiles.is_peak(i));
        let report = |chosen: &[usize], blocks: &Blocks| {
            let blocks = blocks.at(chosen.iter().copied());
            loci.at(chosen).report(&Resampling { blocks: &blocks, ..*resampling })
        };
        let has_both = !(peaks.is_empty() || background.is_empty());
        let counts = |i: usize| -> f64 { loci.log_counts.iter().map(|(_, found)| found[i].exp_m1()).sum() };
        let detection = has_both.then(|| {
            let is_peak: Vec<bool> = (0..n).map(|i| profiles.is_peak(i)).collect();
            let ranking = Ranking::new(&is_peak, &(0..n).map(counts).collect::<Vec<f64>>());
            let found = ranking.report(ranking.best_threshold(), resampling);
            ["auroc", "average_precision"].map(|name| (name, found.get(name))).to_vec()
        });
        let reports = |blocks: &Blocks| {
            let of_background = (!background.is_empty()).then(|| report(&background, blocks));
            let of_all = has_both.then(|| report(&(0..n).collect::<Vec<usize>>(), blocks));
            (report(&peaks, blocks), of_background, of_all)
        };
        let (of_peaks, of_background, of_all) = reports(resampling.blocks);
        let mut of_profiles = Self {
            logits: logits.to_vec(),
            distances: distances(&loci, &peaks),
            distances_of_baselines: Vec::new(),
            without_reads: peaks.iter().filter(|&&i| loci.profiles[i].is_none()).count(),
            peaks: of_peaks,
            background: of_background,
            all: of_all,
            by_chromosome: chromosomes.map(reports),
            detection: detection.unwrap_or_default(),
            baselines: Vec::new(),
            halves: halves(profiles, n, resampling.seed),
            enzyme_footprints: Vec::new(),
        };
        let uniform = vec![0.0; shape.outputs()];
        of_profiles.add_baseline("uniform", profiles, |_| &uniform, resampling);
        of_profiles
    }

    /// Adds what something else predicts for the peaks.
    fn add_baseline<'a>(
        &mut self,
        name: &'static str,
        profiles: &Profiles,
        predicted: impl Fn(usize) -> &'a [f32],
        resampling: &Resampling,
    ) {
        let n = profiles.len();
        let peaks: Vec<usize> = (0..n).filter(|&i| profiles.is_peak(i)).collect();
        let blocks = resampling.blocks.at(peaks.iter().copied());
        let loci = loci(profiles, predicted, n);
        self.distances_of_baselines.push((name, distances(&loci, &peaks)));
        self.baselines.push((name, loci.at(&peaks).report(&Resampling { blocks: &blocks, ..*resampling })));
    }

    /// Adds what can be told of the test loci without a network, from training examples.
    ///
    /// # Errors
    /// The test examples cannot be read.
    pub fn beside_baselines(
        &mut self,
        baselines: &ProfileBaselines,
        test: &Examples,
        resampling: &Resampling,
    ) -> Result<()> {
        let Some(profiles) = &test.profiles else { return Ok(()) };
        let outputs = profiles.shape.outputs();
        for (name, logits) in baselines.logits_of(test)? {
            self.add_baseline(name, profiles, |i| &logits[i * outputs..(i + 1) * outputs], resampling);
        }
        Ok(())
    }

    /// Adds what something else gives for the loci, by its name.
    pub fn beside(&mut self, name: &'static str, profiles: &Profiles, logits: &[f32], resampling: &Resampling) {
        let outputs = profiles.shape.outputs();
        self.add_baseline(name, profiles, |i| &logits[i * outputs..(i + 1) * outputs], resampling);
    }

    /// Adds what a bias model alone gives for the test loci as a baseline.
    pub fn beside_bias(&mut self, test: &Profiles, logits: &[f32], resampling: &Resampling) {
        self.beside("bias", test, logits, resampling);
    }

    /// The Jensen-Shannon distance between 0, that of the uniform profile, and 1, that of the mean profile of training peaks.
    pub fn normalised_distance(&self) -> Option<f64> {
        let of = |report: &Report| report.get("profile_jsd").map(|found| found.value);
        let baseline = |name| of(&self.baselines.iter().find(|(own, _)| *own == name)?.1);
        let (uniform, mean) = (baseline("uniform")?, baseline("mean_profile")?);
        let distance = (uniform - of(&self.peaks)?) / (uniform - mean);
        distance.is_finite().then_some(distance)
    }

    /// The share of what a count gains over the uniform profile that the bias model alone has; `None` without one, or without a gain.
    pub fn bias_share_of_gain(&self) -> Option<f64> {
        let gain = |report: &Report| report.get("profile_gain").map(|found| found.value);
        let (bias, all) = (self.baselines.iter().find(|(name, _)| *name == "bias")?, gain(&self.peaks)?);
        (all > 0.0).then_some(gain(&bias.1)? / all)
    }

    /// Lines of the results table.
    pub fn lines(&self) -> String {
        let value =
            |report: &Report, name| report.get(name).map_or("undefined".into(), |found| format::metric(found.value));
        let names = self.baselines.iter().map(|(name, _)| name.len());
        let width = names.chain(["network".len()]).max().unwrap_or(0) + 2;
        let line = |name: &str, report: &Report| {
            format!(
                "  {name:<width$}MNLL {}, JSD {}, {} nats a count above uniform, Pearson {} ({} in {BIN} bp)\n",
                value(report, "profile_mnll"),
                value(report, "profile_jsd"),
                value(report, "profile_gain"),
                value(report, "profile_pearson"),
                value(report, "profile_pearson_10bp")
            )
        };
        let mut text = format!("profiles of {} peaks:\n", thousands(self.peaks.n - self.without_reads));
        text.push_str(&line("network", &self.peaks));
        self.baselines.iter().for_each(|(name, report)| text.push_str(&line(&name.replace('_', " "), report)));
        let by_chromosome = self.by_chromosome.as_ref().map(|(peaks, ..)| peaks);
        text.extend([Some(&self.peaks), by_chromosome].into_iter().flatten().filter_map(intervals));
        text.extend(self.bias_share_of_gain().map(|share| match share {
            ..0.0 => "the bias model alone is worse than a uniform profile\n".to_owned(),
            _ => {
                let percent = share * 100.0;
                format!("the bias model alone has {percent:.1} % of what the network gains over a uniform profile\n")
            }
        }));
        text.extend(self.enzyme_footprints.iter().map(EnzymeFootprint::line));
        let counts =
            [("peaks", Some(&self.peaks)), ("background", self.background.as_ref()), ("both", self.all.as_ref())];
        let counts =
            counts.iter().filter_map(|(name, report)| Some(format!("{name} {}", value((*report)?, "count_pearson"))));
        text.push_str(&format!("Pearson of log counts: {}", counts.collect::<Vec<_>>().join(", ")));
        text.extend(self.halves.map(|found| format!("; of two halves of the reads {}", format::metric(found))));
        text.push('\n');
        if let [(_, Some(auroc)), (_, Some(precision))] = self.detection[..] {
            let [auroc, precision] = [auroc, precision].map(|found| format::metric(found.value));
            text.push_str(&format!(
                "peaks told from background by predicted counts: AUROC {auroc}, average precision {precision}\n"
            ));
        }
        text
    }

    /// The table of bpnet-lite: a header with the names of the metrics, and their values over the peaks.
    pub fn performance(&self) -> String {
        let names = METRICS.iter().filter(|name| !name.ends_with("_10bp") && **name != "profile_gain");
        let value = |name: &&str| self.peaks.get(name).map_or(String::from("nan"), |found| found.value.to_string());
        let values: Vec<String> = names.clone().map(value).collect();
        format!("{}\n{}\n", names.copied().collect::<Vec<&str>>().join("\t"), values.join("\t"))
    }

    /// Writes `observed` counts and `predicted` logits, f32 `[n, tracks, length]`, and the names of the loci as a file of NumPy arrays.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, examples: &Examples, path: &Path) -> Result<()> {
        let Some(profiles) = &examples.profiles else { return Ok(()) };
        let shape = &profiles.shape;
        let item = vec![shape.all_tracks(), shape.length];
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut arrays = Npz::new(folder, &[("observed", Kind::F32, item.clone()), ("predicted", Kind::F32, item)])?;
        for (i, found) in self.logits.chunks(shape.outputs()).enumerate() {
            arrays.name(&examples.origins[i].name(""));
            for (key, values) in [("observed", profiles.counts_of(i)), ("predicted", &found[..shape.values()])] {
                arrays.push(key, values).map_err(|error| run::cannot_write(path, &error))?;
            }
        }
        run::write_through(path, |file: &mut File| arrays.finish(file))
    }
}

/// A line of the intervals of a report by its blocks; nothing where loci are no blocks.
fn intervals(report: &Report) -> Option<String> {
    let blocks = report.blocks?.describe();
    let ends = |(name, unit): (&str, &str)| match report.get(name)?.interval {
        Ok(Interval { low, high, .. }) => Some(format!("{unit} {} to {}", format::metric(low), format::metric(high))),
        Err(_) => None,
    };
    let metrics =
        [("profile_mnll", "MNLL"), ("profile_jsd", "JSD"), ("profile_gain", "nats"), ("profile_pearson", "Pearson")];
    let found: Vec<String> = metrics.into_iter().filter_map(ends).collect();
    if found.is_empty() {
        let why = report.get("profile_mnll")?.interval.err()?;
        return Some(format!("  no intervals by {blocks}: {why}\n"));
    }
    Some(format!("  95 % by {blocks}: {}\n", found.join(", ")))
}

/// The metrics of each of `n` loci, from the numbers that a network gives for it.
fn loci<'a>(profiles: &Profiles, predicted: impl Fn(usize) -> &'a [f32], n: usize) -> Loci {
    let shape = &profiles.shape;
    let mut loci = Loci { profiles: Vec::with_capacity(n), log_counts: vec![Default::default(); shape.groups()] };
    for i in 0..n {
        let (counts, found) = (profiles.counts_of(i), predicted(i));
        let mut of_groups = Vec::with_capacity(shape.groups());
        for (group, range) in shape.of_groups().enumerate() {
            let [counts, logits] = [&counts[range.clone()], &found[range]]
                .map(|values| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>());
            loci.log_counts[group].0.push(counts.iter().sum::<f64>().ln_1p());
            loci.log_counts[group].1.push(f64::from(found[shape.values() + group]));
            of_groups.push(ProfileMetrics::new(&counts, &log_softmax(&logits), BIN));
        }
        loci.profiles.push(mean_of_groups(&of_groups));
    }
    loci
}

/// The Jensen-Shannon distance of each of the chosen loci that has reads.
fn distances(loci: &Loci, chosen: &[usize]) -> Vec<(f64, usize)> {
    let of = |&i: &usize| Some((loci.profiles[i].as_ref()?.jensen_shannon_distance, i));
    chosen.iter().filter_map(of).collect()
}

/// Counts of a locus that are no longer halved one by one: their halves are alike.
const MOST_HALVED: f64 = 1e7;

/// How well one half of the reads of loci tells the other: the correlation of their log counts, of several groups the mean. Nothing
/// where counts are no whole numbers, which cannot be halved.
fn halves(profiles: &Profiles, n: usize, seed: u64) -> Option<f64> {
    let shape: &ProfileShape = &profiles.shape;
    let mut random = random::generator(seed, Purpose::Bootstrap, u64::MAX, 0);
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for i in 0..n {
        for range in shape.of_groups() {
            let counts = &profiles.counts_of(i)[range];
            let all: f64 = counts.iter().map(|&count| f64::from(count)).sum();
            if counts.iter().any(|count| count.fract() != 0.0) || all > MOST_HALVED {
                return None;
            }
            let all = all as u64;
            let mut half = 0;
            for left in (0..all).step_by(64) {
                let kept = (all - left).min(64);
                half += u64::from((random.random::<u64>() >> (64 - kept)).count_ones());
            }
            one.push((half as f64).ln_1p());
            other.push(((all - half) as f64).ln_1p());
        }
    }
    regression::mean_pearson(&one, &other, shape.groups())
}
