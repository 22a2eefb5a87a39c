//! Profiles without a network: the mean of training peaks, the matrix of what the enzyme prefers, and the product of both.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::attribute::footprints::Backgrounds;
use crate::dataset::examples::{self, Examples, Profiles};
use crate::format;
use crate::scorer::Scorer;
use crate::sequence::alphabet;
use crate::sequence::enzyme::{EnzymeMatrix, REACH, SiteCounts};
use crate::sequence::profile::ProfileShape;

/// Fewer counts on background than this give no matrix: each of its 76 numbers would be noise.
const FEWEST_COUNTS: f64 = 100.0;

/// The matrix of each group of tracks, from background alone, so that no factor's motif is in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Enzyme {
    groups: Vec<EnzymeMatrix>,
}

impl Enzyme {
    /// The enzyme as the background of training examples shows it; `None` where a group has too few counts there. The strands of a
    /// group are counted together, each in its own direction; a track of both strands is counted in either direction.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub fn of_background(train: &Examples) -> Result<Option<Self>> {
        let Some(profiles) = &train.profiles else { return Ok(None) };
        let shape = &profiles.shape;
        let middle = middle(train.length, shape);
        let mut tracks = vec![SiteCounts::new(REACH); shape.all_tracks()];
        train.for_each_batch(1024, |first, codes| {
            for (i, codes) in codes.chunks(train.length).enumerate().filter(|(i, _)| !profiles.is_peak(first + i)) {
                let counts = profiles.counts_of(first + i).chunks(shape.length);
                tracks.iter_mut().zip(counts).for_each(|(track, counts)| track.add(codes, middle.clone(), counts));
            }
            Ok(())
        })?;
        let mut rest = &tracks[..];
        let groups = shape.tracks.iter().map(|&strands| {
            let (group, others) = rest.split_at(strands);
            rest = others;
            group[0].clone().with(&group[strands - 1].reverse_complement()).matrix()
        });
        let groups: Vec<EnzymeMatrix> = groups.collect();
        Ok(groups.iter().all(|matrix| matrix.counts >= FEWEST_COUNTS).then_some(Self { groups }))
    }

    /// The matrix of each group.
    pub fn groups(&self) -> &[EnzymeMatrix] {
        &self.groups
    }

    /// Logits of the profiles of examples, `[n, tracks, length]`.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub fn logits_of(&self, examples: &Examples, shape: &ProfileShape) -> Result<Vec<f32>> {
        let middle = middle(examples.length, shape);
        let matrices = self.groups.iter().zip(&shape.tracks).flat_map(|(plus, &strands)| {
            let minus = (strands == 2).then(|| plus.reverse_complement());
            [Some(plus.clone()), minus].into_iter().flatten()
        });
        let matrices: Vec<EnzymeMatrix> = matrices.collect();
        let mut logits = Vec::with_capacity(examples.len() * shape.values());
        examples.for_each_batch(1024, |_, codes| {
            for codes in codes.chunks(examples.length) {
                matrices.iter().for_each(|matrix| logits.extend(matrix.scores(codes, middle.clone())));
            }
            Ok(())
        })?;
        Ok(logits)
    }
}

/// The answer of a network, whose bias model learned the enzyme's preference, to the word that the enzyme prefers above all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnzymeFootprint {
    /// The group of tracks.
    pub group: String,
    /// The word.
    pub motif: String,
    /// The share of counts in the middle of the word over that in shuffled background, without the bias model.
    pub fold: f64,
    /// The same with it.
    pub fold_with_bias: f64,
}

/// Folds without bias between which the enzyme is said to be taken out.
const TAKEN_OUT: std::ops::RangeInclusive<f64> = 0.5..=2.0;

impl EnzymeFootprint {
    /// A line of the results.
    pub fn line(&self) -> String {
        let Self { group, motif, fold, fold_with_bias } = self;
        let group = format::short_name(group);
        format!("enzyme's motif {motif}, {group}: fold {fold:.3} without bias, {fold_with_bias:.3} with bias\n")
    }

    /// What is to be said where the enzyme is not taken out.
    pub fn warning(&self) -> Option<String> {
        let Self { group, motif, fold, .. } = self;
        let (meaning, advice) = match *fold {
            fold if TAKEN_OUT.contains(&fold) => return None,
            fold if fold > *TAKEN_OUT.end() => (
                "some of its preference is left in the network",
                "train a larger bias model (--filters, --depth) or for more --epochs, and see that its track is shifted alike",
            ),
            _ => (
                "more of its preference is taken out than there is, which looks like a footprint",
                "train a smaller bias model (--filters, --depth) or on more background (--negatives-per-positive)",
            ),
        };
        Some(format!(
            "{group}: without bias, the enzyme's motif {motif} has {fold:.3} times the counts of shuffled background, expected {} to {}, so {meaning}; {advice}",
            TAKEN_OUT.start(),
            TAKEN_OUT.end()
        ))
    }
}

/// The folds of the words that an enzyme prefers, by group.
///
/// # Errors
/// The scorer fails.
pub fn folds(
    enzyme: &Enzyme,
    backgrounds: &Backgrounds,
    scorer: &dyn Scorer,
    shape: &ProfileShape,
) -> Result<Vec<f64>> {
    let control = backgrounds.footprint(scorer, shape, &[])?;
    let fold = |(group, matrix): (usize, &EnzymeMatrix)| {
        let word = matrix.consensus();
        Ok(backgrounds.footprint(scorer, shape, &word)?.folds(&control, shape, word.len())[group])
    };
    enzyme.groups.iter().enumerate().map(fold).collect()
}

/// The words that an enzyme prefers, by group.
pub fn motifs(enzyme: &Enzyme) -> Vec<String> {
    enzyme.groups.iter().map(|matrix| alphabet::decode(&matrix.consensus())).collect()
}

/// Where the profile lies in a window.
fn middle(length: usize, shape: &ProfileShape) -> std::ops::Range<usize> {
    let before = (length - shape.length) / 2;
    before..before + shape.length
}

/// What profiles of a test are told by without a network, from training examples alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileBaselines {
    /// Logits of the mean profile of training peaks, `[tracks, length]`.
    pub mean_profile: Vec<f32>,
    /// Mean log counts of training peaks, `[groups]`.
    pub log_counts: Vec<f32>,
    /// The enzyme, where the background of training has the counts for it.
    pub enzyme: Option<Enzyme>,
}

impl ProfileBaselines {
    /// From training examples; `None` where they have no profiles.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub fn of(train: &Examples) -> Result<Option<Self>> {
        let Some(profiles) = &train.profiles else { return Ok(None) };
        let (mean_profile, log_counts) = mean_of_peaks(profiles);
        Ok(Some(Self { mean_profile, log_counts, enzyme: Enzyme::of_background(train)? }))
    }

    /// What each gives for the examples of a test, `[n, tracks * length + groups]`, by name: the mean profile of training peaks; the
    /// enzyme's matrix; and the product of both. All have the mean log counts of training peaks. Nothing for tests of another shape.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub fn logits_of(&self, test: &Examples) -> Result<Vec<(&'static str, Vec<f32>)>> {
        let Self { mean_profile: mean, log_counts, enzyme } = self;
        let fits = |shape: &&ProfileShape| (shape.values(), shape.groups()) == (mean.len(), log_counts.len());
        let Some(shape) = test.profiles.as_ref().map(|profiles| &profiles.shape).filter(fits) else {
            return Ok(Vec::new());
        };
        let rows = |of: &dyn Fn(usize) -> Vec<f32>| -> Vec<f32> {
            (0..test.len()).flat_map(|i| of(i).into_iter().chain(log_counts.iter().copied())).collect()
        };
        let mut found = vec![("mean_profile", rows(&|_| mean.clone()))];
        if let Some(enzyme) = enzyme.as_ref().filter(|enzyme| enzyme.groups.len() == shape.groups()) {
            let logits = enzyme.logits_of(test, shape)?;
            let row = |i: usize| &logits[i * mean.len()..(i + 1) * mean.len()];
            found.push(("matrix", rows(&|i| row(i).to_vec())));
            let product = |i: usize| row(i).iter().zip(mean).map(|(one, other)| one + other).collect();
            found.push(("mean_profile_x_matrix", rows(&product)));
        }
        Ok(found)
    }
}

/// The mean profile of the peaks among examples as logits, `[tracks, length]`, and the mean log counts of each group.
fn mean_of_peaks(train: &Profiles) -> (Vec<f32>, Vec<f32>) {
    let n = train.len();
    let peaks: Vec<usize> = (0..n).filter(|&i| train.is_peak(i)).collect();
    // One count more at each base, so that none is impossible.
    let mut counts_by_base = vec![1.0f64; train.shape.values()];
    let mut log_counts = vec![0.0f64; train.shape.groups()];
    for &i in &peaks {
        let counts = train.counts_of(i);
        counts_by_base.iter_mut().zip(counts).for_each(|(sum, &count)| *sum += f64::from(count));
        let of_groups = examples::log_counts(&train.shape, counts);
        log_counts.iter_mut().zip(of_groups).for_each(|(sum, own)| *sum += f64::from(own));
    }
    let logits = counts_by_base.iter().map(|sum| sum.ln() as f32).collect();
    (logits, log_counts.iter().map(|sum| (sum / peaks.len().max(1) as f64) as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::examples::{ExamplesWriter, Name, Origin};
    use crate::metrics::profile::{BIN, ProfileMetrics, log_softmax};
    use crate::random::{self, Purpose};
    use crate::sequence::alphabet;
    use crate::sequence::profile::reverse_stretches;
    use rand::RngExt;

    const LENGTH: usize = 100;

    fn shape() -> ProfileShape {
        ProfileShape { tracks: vec![1, 2], length: 40, ..ProfileShape::default() }
    }

    /// Random sequences, of which each second is a peak. An enzyme cuts behind each CA, on either strand of one track of both; on a
    /// pair it cuts each strand by itself.
    fn examples(n: usize, seed: u64) -> Examples {
        let (shape, mut random) = (shape(), random::generator(seed, Purpose::Simulate, 0, 0));
        let mut writer = ExamplesWriter::new(LENGTH, 2, u64::MAX).with_profiles(Some(shape.clone()));
        for i in 0..n {
            let codes: Vec<u8> = (0..LENGTH).map(|_| random.random_range(0..4)).collect();
            let mut counts = vec![0.0; shape.values()];
            for base in 0..shape.length {
                let at = middle(LENGTH, &shape).start + base;
                let plus = if codes[at - 2..at] == [1, 0] { 5.0 } else { 0.0 };
                let minus = if codes[at + 1..at + 3] == [3, 2] { 5.0 } else { 0.0 };
                (counts[base], counts[40 + base], counts[80 + base]) = (plus + minus, plus, minus);
            }
            let origin = Origin {
                source: "simulated".into(),
                name: Name::Line(i as u64),
                place: None,
                in_genome: false,
                bases: LENGTH,
                masked: 0.0,
            };
            writer.push(&codes, &examples::log_counts(&shape, &counts), origin).unwrap();
            writer.push_profile(&counts, i % 2 == 0);
        }
        writer.finish().unwrap()
    }

    /// The mean gain over a uniform profile, over the first group and over the second.
    fn gains(test: &Examples, logits: &[f32]) -> [f64; 2] {
        let (shape, profiles) = (shape(), test.profiles.as_ref().unwrap());
        let groups: Vec<_> = shape.of_groups().collect();
        [0, 1].map(|group| {
            let gain = |i: usize| {
                let row = &logits[i * shape.outputs()..(i + 1) * shape.outputs()];
                let numbers =
                    |row: &[f32]| row[groups[group].clone()].iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
                let log = log_softmax(&numbers(row));
                ProfileMetrics::new(&numbers(profiles.counts_of(i)), &log, BIN).map(|found| found.gain)
            };
            let found: Vec<f64> = (0..test.len()).filter_map(gain).collect();
            found.iter().sum::<f64>() / found.len() as f64
        })
    }

    #[test]
    fn the_matrix_of_background_predicts_cuts_of_peaks_on_both_strands() {
        let (train, test) = (examples(200, 1), examples(50, 2));
        let enzyme = Enzyme::of_background(&train).unwrap().unwrap();
        // Of each strand by itself, CA lies before the cut; of both together, as often TG lies behind it.
        let (both, own) = (&enzyme.groups()[0].log_odds, &enzyme.groups()[1].log_odds);
        assert!(own[7][1] > 1.2 && own[8][0] > 1.2 && own[10][3] < 0.2, "{own:?}");
        assert!(both[7][1] > 0.4 && both[11][2] > 0.4 && (both[7][1] - both[11][2]).abs() < 1e-9, "{both:?}");
        let baselines = ProfileBaselines::of(&train).unwrap().unwrap();
        assert_eq!(baselines.enzyme.as_ref(), Some(&enzyme));
        let found = baselines.logits_of(&test).unwrap();
        let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["mean_profile", "matrix", "mean_profile_x_matrix"]);
        let [mean, matrix, product] = [0, 1, 2].map(|i| gains(&test, &found[i].1));
        for group in [0, 1] {
            assert!(mean[group].abs() < 0.1 && matrix[group] > 0.8, "{mean:?} {matrix:?}");
            assert!((product[group] - matrix[group]).abs() < 0.1, "{product:?}");
        }
        // All have the mean log counts of training peaks.
        let counts: Vec<&[f32]> = found.iter().map(|(_, rows)| &rows[shape().values()..shape().outputs()]).collect();
        assert!(counts[0][0] > 2.0 && counts.iter().all(|other| other == &counts[0]));
        // A run keeps them as text.
        let text = serde_json::to_string(&baselines).unwrap();
        let read: ProfileBaselines = serde_json::from_str(&text).unwrap();
        assert_eq!(read.logits_of(&test).unwrap(), found);
        let other = Examples::from_codes(&[0; LENGTH], LENGTH, &[0.0]);
        assert_eq!(baselines.logits_of(&other).unwrap(), []);
    }

    #[test]
    fn sequences_read_backwards_have_their_profiles_backwards() {
        let train = examples(200, 1);
        let enzyme = Enzyme::of_background(&train).unwrap().unwrap();
        let mut codes = train.all_codes().unwrap();
        codes.chunks_mut(LENGTH).for_each(alphabet::reverse_complement);
        let other = Examples::from_codes(&codes, LENGTH, &train.labels);
        let (logits, mut others) =
            (enzyme.logits_of(&train, &shape()).unwrap(), enzyme.logits_of(&other, &shape()).unwrap());
        others.chunks_mut(shape().values()).for_each(|row| reverse_stretches(row, &shape().stretches()));
        assert!(logits.iter().zip(&others).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn what_is_left_or_taken_out_too_much_is_warned_of() {
        let of = |fold| {
            let (group, motif) = ("atac".to_owned(), "GCGCAGTCCTGGACTGCGC".to_owned());
            EnzymeFootprint { group, motif, fold, fold_with_bias: 57.1389 }
        };
        let line = "enzyme's motif GCGCAGTCCTGGACTGCGC, atac: fold 1.274 without bias, 57.139 with bias\n";
        assert_eq!(of(1.2741).line(), line);
        assert_eq!([of(0.5).warning(), of(2.0).warning()], [None, None]);
        let [less, more] = [0.36, 40.2].map(|fold| of(fold).warning().unwrap());
        assert!(
            less.contains("0.360 times the counts") && less.contains("more of its preference is taken out"),
            "{less}"
        );
        assert!(more.contains("40.200 times") && more.contains("is left in the network"), "{more}");
    }

    #[test]
    fn few_counts_give_no_matrix() {
        assert_eq!(Enzyme::of_background(&examples(6, 1)).unwrap(), None);
        assert_eq!(Enzyme::of_background(&Examples::default()).unwrap(), None);
    }
}
