//! Inspection of a dataset before training: counts, lengths, GC content and unknown bases of each class, copies between
//! splits and labels, and warnings.

pub mod bias;
pub(crate) mod sites;
pub mod tracks;

use std::collections::HashMap;

use anyhow::Result;
use serde::Serialize;

use crate::config::{DataConfig, Fit, SourceKind, TaskKind};
use crate::dataset::Dataset;
use crate::dataset::duplicates::{self, Duplicates, Entry, ExactCopies, Kind, Match};
use crate::dataset::examples::Examples;
use crate::dataset::split::Split;
use crate::format::thousands;
use crate::inspect::tracks::TrackInspection;
use crate::metrics::{self, Ranking, quantile};
use crate::progress::Progress;
use crate::sequence::alphabet;

/// GC content alone should not tell classes apart better than this, or a network will learn it.
const GC_AUROC: f64 = 0.6;

/// A class is rare below this fraction of an even share.
const RARE: f64 = 0.2;

/// Share of unknown bases above which a class gets a warning.
const UNKNOWN: f64 = 0.05;

/// Near copies are looked for unasked among at most this many bases, which takes two seconds.
const QUICK_BASES: usize = 20_000_000;

/// Share of a split's sequences that are nearly the same as one in training from which there is a warning. Every genome has
/// repeats, and fewer can hardly change a score.
const NEAR_COPIES: f64 = 0.01;

/// When to look for near copies between splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearCopies {
    /// However long it takes.
    Always,
    /// If it takes no more than seconds.
    IfQuick,
}

/// Findings about a dataset.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Examples of each split.
    pub splits: Vec<SplitCounts>,
    /// Composition of each class.
    pub classes: Vec<Composition>,
    /// How well GC content alone tells the classes of the training examples apart: AUROC (of each class against the rest,
    /// the mean), at least one half. Nothing for values and labels.
    pub gc_auroc: Option<f64>,
    /// Copies of sequences across splits.
    pub copies: Copies,
    /// What tracks hold whose profiles are predicted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tracks: Vec<TrackInspection>,
    /// Warnings, one sentence each.
    pub warnings: Vec<String>,
    /// What is worth knowing and no reason to worry, one sentence each.
    pub notices: Vec<String>,
}

/// Examples of one split.
#[derive(Clone, Debug, Serialize)]
pub struct SplitCounts {
    /// Split that is counted.
    pub split: Split,
    /// Number of examples.
    pub n: usize,
    /// Of each class; positives of each label; nothing for values.
    pub of_class: Vec<usize>,
}

/// Composition of the sequences of a class over all splits; of all sequences where there are no classes.
#[derive(Clone, Debug, Serialize)]
pub struct Composition {
    /// Class, or `all` where there are no classes.
    pub name: String,
    /// Number of sequences in all splits.
    pub n: usize,
    /// Length before cropping or padding, in bp.
    pub length: Spread,
    /// Share of G and C among known bases.
    pub gc: Spread,
    /// Share of unknown bases.
    pub unknown: Spread,
    /// Share of soft-masked bases.
    pub masked: Spread,
    /// GC content of each sequence, from 0 to 1, `[n]`.
    #[serde(skip)]
    pub gc_of_each: Vec<f64>,
    /// Length of each sequence before cropping or padding, in bp, `[n]`.
    #[serde(skip)]
    pub lengths: Vec<f64>,
    /// Share of unknown bases of each sequence, from 0 to 1, `[n]`.
    #[serde(skip)]
    pub unknown_of_each: Vec<f64>,
}

/// Mean and quantiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: f64,
    /// Minimum.
    pub lowest: f64,
    /// Quantile 0.5.
    pub median: f64,
    /// Maximum.
    pub highest: f64,
}

/// Sequences that occur more than once, on either strand.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Copies {
    /// Whether nearly identical sequences were looked for.
    pub near_looked_for: bool,
    /// Validation sequences with a copy in training.
    pub valid_in_train: KindCounts,
    /// Test sequences with a copy in training.
    pub test_in_train: KindCounts,
    /// Test sequences with a copy in validation.
    pub test_in_valid: KindCounts,
    /// Sequences with an earlier copy under another label.
    pub other_label: KindCounts,
    /// Sequences that repeat an earlier one of the same split and label.
    pub repeats: KindCounts,
    /// The first few of each, by name.
    pub examples: Vec<CopyOf>,
}

/// Numbers of sequences that have a copy, by how alike the two are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindCounts {
    /// The same bases on the same strand.
    pub identical: usize,
    /// The same bases on opposite strands.
    pub reverse_complement: usize,
    /// Half of their 12-mers or more in common, on either strand.
    pub near: usize,
}

/// A copy and what it is a copy of.
#[derive(Clone, Debug, Serialize)]
pub struct CopyOf {
    /// Name of the example.
    pub name: String,
    /// Split of the example.
    pub split: Split,
    /// Name of the example that it is a copy of.
    pub copy_of: String,
    /// Split of that other example.
    pub split_of_that: Split,
    /// `identical`, `reverse complement` or `near`.
    pub kind: &'static str,
    /// Share of 12-mers in common.
    pub similarity: f64,
}

/// Copies of each kind that are listed by name.
const NAMED_COPIES: usize = 20;

impl KindCounts {
    fn of<'a>(matches: impl Iterator<Item = &'a Match>) -> Self {
        let mut counts = Self::default();
        for found in matches {
            match found.kind {
                Kind::Identical => counts.identical += 1,
                Kind::ReverseComplement => counts.reverse_complement += 1,
                Kind::Near => counts.near += 1,
            }
        }
        counts
    }

    /// Copies base by base, on either strand.
    pub fn exact(self) -> usize {
        self.identical + self.reverse_complement
    }

    /// All kinds together.
    pub fn all(self) -> usize {
        self.exact() + self.near
    }
}

/// Inspects a dataset.
///
/// # Errors
/// The examples cannot be read.
pub fn inspect(data: &Dataset, config: &DataConfig, near: NearCopies) -> Result<Inspection> {
    let has_classes = matches!(data.kind, TaskKind::Binary | TaskKind::Multiclass);
    let splits: Vec<SplitCounts> =
        data.splits().into_iter().map(|(split, examples)| counts(data, split, examples)).collect();
    let classes = compositions(data, has_classes)?;
    let gc_auroc = if has_classes { gc_auroc(data)? } else { None };
    let examples: usize = data.splits().iter().map(|(_, examples)| examples.len()).sum();
    let is_quick = examples * data.train.length <= QUICK_BASES;
    let copies = copies(data, near == NearCopies::Always || is_quick)?;
    let tracks = tracks::inspect(&data.train, &data.classes.names)?;
    let mut inspection =
        Inspection { splits, classes, gc_auroc, copies, tracks, warnings: Vec::new(), notices: Vec::new() };
    inspection.warnings = inspection.what_is_wrong(data, config);
    inspection.notices = inspection.what_is_worth_knowing(data);
    Ok(inspection)
}

fn counts(data: &Dataset, split: Split, examples: &Examples) -> SplitCounts {
    let count = data.classes.names.len();
    let mut of_class = vec![0; if data.kind.predicts_values() { 0 } else { count }];
    match data.kind {
        TaskKind::Binary | TaskKind::Multiclass => {
            examples.classes().into_iter().for_each(|class| of_class[class] += 1)
        }
        TaskKind::Multilabel => {
            for row in examples.labels.chunks(count) {
                row.iter().zip(&mut of_class).for_each(|(&label, count)| *count += usize::from(label == 1.0));
            }
        }
        TaskKind::Regression | TaskKind::Profile => {}
    }
    SplitCounts { split, n: examples.len(), of_class }
}

fn compositions(data: &Dataset, has_classes: bool) -> Result<Vec<Composition>> {
    let names = if has_classes { data.classes.names.clone() } else { vec!["all".into()] };
    let mut values: Vec<[Vec<f64>; 4]> = vec![Default::default(); names.len()];
    for (_, examples) in data.splits() {
        let gc = examples.gc_shares()?;
        let unknown = examples.measure(|codes| {
            codes.iter().filter(|&&code| alphabet::is_unknown(code)).count() as f64 / codes.len().max(1) as f64
        })?;
        for (i, origin) in examples.origins.iter().enumerate() {
            let class = if has_classes { examples.class_of(i) } else { 0 };
            let all = [origin.bases as f64, gc[i], unknown[i], f64::from(origin.masked)];
            values[class].iter_mut().zip(all).for_each(|(values, value)| values.push(value));
        }
    }
    let compositions = names.into_iter().zip(values).map(|(name, [lengths, gc, unknown, masked])| Composition {
        name,
        n: lengths.len(),
        length: Spread::of(&lengths),
        gc: Spread::of(&gc),
        unknown: Spread::of(&unknown),
        masked: Spread::of(&masked),
        gc_of_each: gc,
        lengths,
        unknown_of_each: unknown,
    });
    Ok(compositions.collect())
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        if sorted.is_empty() {
            return Self { mean: 0.0, lowest: 0.0, median: 0.0, highest: 0.0 };
        }
        Self {
            mean: sorted.iter().sum::<f64>() / sorted.len() as f64,
            lowest: sorted[0],
            median: quantile(&sorted, 0.5).unwrap_or(0.0),
            highest: sorted[sorted.len() - 1],
        }
    }
}

/// Both directions count: a class poorer in GC is told apart as well as one that is richer.
fn gc_auroc(data: &Dataset) -> Result<Option<f64>> {
    let gc = data.train.gc_shares()?;
    let classes = data.train.classes();
    let of_class = |class: usize| {
        let positives: Vec<bool> = classes.iter().map(|&found| found == class).collect();
        Ranking::new(&positives, &gc).auroc().map(|auroc| auroc.max(1.0 - auroc))
    };
    if data.kind == TaskKind::Binary {
        return Ok(of_class(data.classes.positive));
    }
    Ok(metrics::mean_of_defined((0..data.classes.names.len()).map(of_class)))
}

/// Near copies need all sequences in memory; without them, the exact ones are found as the sequences go by.
fn copies(data: &Dataset, near: bool) -> Result<Copies> {
    let near = near && data.splits().iter().all(|(_, examples)| examples.is_in_memory());
    let mut distinct: HashMap<Vec<u32>, u32> = HashMap::new();
    let has_missing = data.splits().iter().any(|(_, examples)| examples.labels.iter().any(|label| label.is_nan()));
    let mut label_of = |examples: &Examples, i: usize| -> u32 {
        // Values differ from one measurement to the next, and a missing label from one that is there: no contradiction.
        if data.kind.predicts_values() || has_missing {
            return 0;
        }
        let bits = examples.labels_of(i).iter().map(|label| label.to_bits()).collect();
        let next = distinct.len() as u32;
        *distinct.entry(bits).or_insert(next)
    };
    let places: Vec<(Split, usize)> =
        data.splits().into_iter().flat_map(|(split, examples)| (0..examples.len()).map(move |i| (split, i))).collect();
    let length = data.train.length;
    let found = if near {
        let (mut codes, mut labels) = (Vec::new(), Vec::new());
        for (_, examples) in data.splits() {
            examples.read(0..examples.len(), &mut codes)?;
            labels.extend((0..examples.len()).map(|i| label_of(examples, i)));
        }
        let each = codes.chunks(length).zip(labels).zip(&places);
        let entries: Vec<Entry> =
            each.map(|((codes, label), (split, _))| Entry { codes, split: *split as u8, label }).collect();
        duplicates::find(&entries)
    } else {
        let mut copies = ExactCopies::default();
        for (split, examples) in data.splits() {
            examples.for_each_batch(1024, |first, codes| {
                for (i, codes) in codes.chunks(length).enumerate() {
                    copies.push(Entry { codes, split: split as u8, label: label_of(examples, first + i) });
                }
                Ok(())
            })?;
        }
        copies.finish()
    };
    let Duplicates { leaks, test_in_valid, conflicts, repeats } = &found;
    let leaks_of = |split: Split| KindCounts::of(leaks.iter().filter(|found| places[found.index].0 == split));
    let splits = data.splits();
    let name = |index: usize| {
        let (split, i) = places[index];
        let examples = splits[split as usize].1;
        let class = match data.kind {
            TaskKind::Binary | TaskKind::Multiclass => data.classes.names[examples.class_of(i)].as_str(),
            _ => "example",
        };
        examples.origins[i].name(class)
    };
    let shown = |matches: &[Match]| -> Vec<CopyOf> {
        let mut first: Vec<&Match> = matches.iter().collect();
        first.sort_by_key(|found| (found.kind, found.index));
        let kind = |kind| match kind {
            Kind::Identical => "identical",
            Kind::ReverseComplement => "reverse complement",
            Kind::Near => "near",
        };
        let copy = |found: &&Match| CopyOf {
            name: name(found.index),
            split: places[found.index].0,
            copy_of: name(found.other),
            split_of_that: places[found.other].0,
            kind: kind(found.kind),
            similarity: found.similarity,
        };
        first.iter().take(NAMED_COPIES).map(copy).collect()
    };
    Ok(Copies {
        near_looked_for: near,
        valid_in_train: leaks_of(Split::Valid),
        test_in_train: leaks_of(Split::Test),
        test_in_valid: KindCounts::of(test_in_valid.iter()),
        other_label: KindCounts::of(conflicts.iter()),
        repeats: KindCounts { identical: repeats[0], reverse_complement: repeats[1], near: repeats[2] },
        examples: [shown(leaks), shown(conflicts)].concat(),
    })
}

/// Whether so many of a split's sequences have near copies in training that its scores are optimistic.
fn is_many(near: usize, of: usize) -> bool {
    near > 0 && near as f64 >= NEAR_COPIES * of as f64
}

/// Whether the test lies on known places of a genome, so that it was chosen by them.
fn is_by_place(data: &Dataset) -> bool {
    let placed = data.test.origins.iter().filter(|origin| origin.place.is_some()).count();
    2 * placed > data.test.len()
}

impl Inspection {
    /// Tells the user of everything that is wrong or worth knowing.
    pub fn report(&self, progress: Progress) {
        self.warnings.iter().for_each(|warning| progress.warn(warning));
        self.notices.iter().for_each(|notice| progress.say(notice));
    }

    /// What is no reason to worry, one sentence each.
    fn what_is_worth_knowing(&self, data: &Dataset) -> Vec<String> {
        let mut notices = Vec::new();
        for (split, counts) in [(Split::Valid, self.copies.valid_in_train), (Split::Test, self.copies.test_in_train)] {
            let n = self.splits[split as usize].n;
            if counts.near > 0 && !is_many(counts.near, n) {
                notices.push(format!(
                    "{} of {} {} sequences are nearly the same as one in training",
                    thousands(counts.near),
                    thousands(n),
                    split.name()
                ));
            }
        }
        if !self.copies.near_looked_for {
            notices.push(match data.splits().iter().all(|(_, examples)| examples.is_in_memory()) {
                true => format!(
                    "near copies between splits were not looked for, as there are more than {} million bases; inspect looks for them",
                    QUICK_BASES / 1_000_000
                ),
                false => "near copies between splits were not looked for, as the sequences are beyond --memory".into(),
            });
        }
        notices
    }

    /// Warnings about the data, one sentence each with what to do.
    fn what_is_wrong(&self, data: &Dataset, config: &DataConfig) -> Vec<String> {
        let mut warnings = Vec::new();
        let n = |split: Split| self.splits[split as usize].n;
        for (split, counts) in [(Split::Valid, self.copies.valid_in_train), (Split::Test, self.copies.test_in_train)] {
            if counts.exact() > 0 {
                warnings.push(format!(
                    "{} of {} {} sequences are also in training, {} of them as their reverse complement, so their scores are optimistic; remove them from one of the two",
                    thousands(counts.exact()),
                    thousands(n(split)),
                    split.name(),
                    thousands(counts.reverse_complement)
                ));
            }
            if is_many(counts.near, n(split)) {
                warnings.push(format!(
                    "{} {} sequences are nearly the same as one in training (half of their 12-mers or more), so their scores are optimistic; {}",
                    thousands(counts.near),
                    split.name(),
                    if is_by_place(data) {
                        "remove them, as repeats and duplicated genes are alike on all chromosomes"
                    } else {
                        "split by chromosome or remove them"
                    }
                ));
            }
        }
        if self.copies.other_label.exact() > 0 {
            warnings.push(format!(
                "{} sequences also have another label, which no network can get right; remove one or both of each",
                thousands(self.copies.other_label.exact())
            ));
        }
        if self.copies.other_label.near > 0 {
            warnings.push(format!(
                "{} sequences are nearly the same as one under another label; check how the classes were made",
                thousands(self.copies.other_label.near)
            ));
        }
        let repeats = self.copies.repeats.exact();
        if repeats * 20 > n(Split::Train) {
            warnings.push(format!(
                "{} sequences repeat an earlier one of the same split and label and count more than once; remove them",
                thousands(repeats)
            ));
        }
        // Chance alone strays this far from one half in small sets (Hanley and McNeil, 1982, of equal classes).
        let chance = 3.0 / (3.0 * n(Split::Train).max(1) as f64).sqrt();
        if let Some(auroc) = self.gc_auroc.filter(|auroc| *auroc > GC_AUROC.max(0.5 + chance)) {
            let advice = match config.source() {
                SourceKind::Genomes => "use --match-gc",
                _ if config.is_one_class_of_regions() => "use --negatives gc-matched",
                _ => "choose sequences of like GC content, or compare with --baselines",
            };
            warnings.push(format!(
                "GC content alone tells the classes apart with an AUROC of {auroc:.2}, so a network may learn no more than that; {advice}"
            ));
        }
        let train = &self.splits[Split::Train as usize];
        for (name, &count) in data.classes.names.iter().zip(&train.of_class) {
            let even =
                train.n as f64 / if data.kind == TaskKind::Multilabel { 2.0 } else { train.of_class.len() as f64 };
            if (count as f64) < RARE * even && data.kind != TaskKind::Multilabel {
                warnings.push(format!(
                    "class '{name}' has {} of {} training examples; try --class-weights auto, and compare by average precision",
                    thousands(count),
                    thousands(train.n)
                ));
            }
            if data.kind == TaskKind::Multilabel && count < 10 {
                warnings.push(format!(
                    "label '{name}' is 1 for {count} of {} training examples, too few to learn from; leave it out with --label-columns",
                    thousands(train.n)
                ));
            }
        }
        for class in &self.classes {
            if class.unknown.mean > UNKNOWN {
                warnings.push(format!(
                    "{:.1} % of the bases of '{}' are unknown (N or padding), which itself may tell it apart; crop sequences or use another source",
                    class.unknown.mean * 100.0,
                    class.name
                ));
            }
        }
        let lengths: Vec<f64> = self.classes.iter().map(|class| class.length.mean).collect();
        let (short, long) = lengths.iter().fold((f64::INFINITY, 0.0f64), |(a, b), &v| (a.min(v), b.max(v)));
        let shows = matches!(config.fit, Some(Fit::Pad | Fit::CropOrPad));
        if shows && short < 0.9 * long {
            warnings.push(format!(
                "classes differ in length ({short:.0} to {long:.0} bp on average), so padding may tell them apart; use --fit center-crop"
            ));
        }
        for track in &self.tracks {
            warnings.extend(track.of_values.clone());
            warnings.extend(track.is_warning.then(|| track.finding.clone()));
        }
        warnings
    }
}
