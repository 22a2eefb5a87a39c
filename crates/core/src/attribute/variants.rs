//! Effects of variants on a prediction: both alleles are scored in their genomic context ([`super::variant_windows`]). What is
//! predicted for an allele that changes the length is the mean over its two windows.

use anyhow::Result;

use crate::attribute::alignment::Alignment;
use crate::attribute::variant_counts::Counts;
use crate::attribute::variant_target::{Effect, Logits, VariantTarget};
use crate::attribute::variant_windows::{AlleleWindows, Contexts, Windows};
use crate::evaluate;
use crate::formats::vcf::{Content, Line, Vcf};
use crate::predict::out_of_fold::{OutOfFold, Together};
use crate::scorer::Scorer;

/// Limit on the bytes of VCF lines that wait for their scores; lines with many genotypes are long.
const MOST_WAITING: usize = 1 << 24;

/// Why an allele, or a line, has no score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unscored {
    /// The genome has no such chromosome.
    NoChromosome,
    /// The variant ends beyond the end of its chromosome.
    BeyondTheEnd,
    /// REF differs from the genome.
    ReferenceDiffers,
    /// The line is no variant, or ALT is neither bases nor a symbol.
    Malformed,
    /// ALT is symbolic, `*`, a breakend, or holds bases other than A, C, G and T.
    NotSpelledOut,
    /// The allele is longer than the window allows.
    TooLong,
    /// The window runs off the end of a chromosome.
    OffTheEnd,
    /// A window of either allele holds more unknown bases than the run was trained under.
    TooManyUnknown,
    /// ALT is `.`.
    NoAlternative,
    /// Every network of a cross-validation has learned from the chromosome.
    SeenInTraining,
}

impl Unscored {
    /// Name of the reason in output tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoChromosome => "no_chromosome",
            Self::ReferenceDiffers => "reference_differs",
            Self::Malformed => "malformed",
            Self::NotSpelledOut => "not_spelled_out",
            Self::TooLong => "too_long",
            Self::BeyondTheEnd | Self::OffTheEnd => "off_the_end",
            Self::TooManyUnknown => "too_many_n",
            Self::NoAlternative => "no_alternative",
            Self::SeenInTraining => "seen_in_training",
        }
    }

    /// Whether the variant does not belong to the genome, or is none.
    pub fn is_misfit(self) -> bool {
        matches!(self, Self::NoChromosome | Self::BeyondTheEnd | Self::ReferenceDiffers | Self::Malformed)
    }
}

/// For each alternative of a variant its effect, or why it has none; of a line without alternatives, one reason.
pub type Scores = Vec<Result<Effect, Unscored>>;

/// What scores a variant.
#[derive(Clone, Copy)]
pub enum Networks<'a> {
    /// The same for all.
    Same(&'a dyn Scorer),
    /// Those of a cross-validation that did not learn from its chromosome.
    OutOfFold(&'a OutOfFold<'a>),
}

/// Lines that wait for their scores.
struct Waiting<'a> {
    scorer: Together<'a>,
    target: &'a VariantTarget,
    /// All windows, one after another.
    codes: Vec<u8>,
    lines: Vec<Placed>,
    bytes: usize,
}

/// A line whose windows are among those that wait.
struct Placed {
    line: Line,
    alternatives: Vec<Result<PlacedAllele, Unscored>>,
    fault: Option<String>,
}

/// Indices of the windows of an allele.
struct PlacedAllele {
    reference: usize,
    alternatives: Vec<(usize, Alignment)>,
}

impl Waiting<'_> {
    fn push(&mut self, line: Line, windows: Windows) {
        let length = self.scorer.length();
        // Alleles of a line often share the window of the reference.
        let mut last: Option<(Vec<u8>, usize)> = None;
        let mut place = |windows: AlleleWindows| {
            let codes = &mut self.codes;
            let mut add = |window: &[u8]| {
                codes.extend_from_slice(window);
                codes.len() / length - 1
            };
            let reference = match &last {
                Some((window, at)) if *window == windows.reference => *at,
                _ => add(&windows.reference),
            };
            // An allele that changes nothing is not scored anew, as rounding might differ.
            let mut of = |(window, alignment): (Vec<u8>, Alignment)| {
                let at = if window == windows.reference { reference } else { add(&window) };
                (at, alignment)
            };
            let alternatives = windows.alternatives.into_iter().map(&mut of).collect();
            last = Some((windows.reference, reference));
            PlacedAllele { reference, alternatives }
        };
        let alternatives = windows.alternatives.into_iter().map(|windows| windows.map(&mut place)).collect();
        self.bytes += line.text.len();
        self.lines.push(Placed { line, alternatives, fault: windows.fault });
    }

    fn is_full(&self) -> bool {
        self.codes.len() / self.scorer.length() >= evaluate::batch_size(self.scorer.length())
            || self.bytes >= MOST_WAITING
            || self.lines.len() >= MOST_WAITING / size_of::<Placed>()
    }

    fn flush(&mut self, each: &mut dyn FnMut(&Line, &Scores) -> Result<()>, counts: &mut Counts) -> Result<()> {
        let (target, length) = (self.target, self.scorer.length());
        let values = evaluate::logits_of_codes(&self.scorer, &self.codes)?;
        let numbers = values.len() / (self.codes.len() / length).max(1);
        let logits = Logits { values: &values, numbers, length };
        for Placed { line, alternatives, fault } in self.lines.drain(..) {
            let effect = |placed: Result<PlacedAllele, Unscored>| match placed {
                Ok(PlacedAllele { reference, alternatives }) => {
                    target.effect(&logits, reference, &alternatives).map(Ok)
                }
                Err(why) => Ok(Err(why)),
            };
            let scores = alternatives.into_iter().map(effect).collect::<Result<Scores>>()?;
            counts.add(&line, &scores, fault);
            each(&line, &scores)?;
        }
        self.codes.clear();
        self.bytes = 0;
        Ok(())
    }
}

/// Scores all variants of a file in constant memory and passes each line to `each`, in file order. Lines that cannot be
/// scored are passed on and counted.
///
/// # Errors
/// A file cannot be read, the scorer fails, or `each` fails.
pub fn score(
    networks: Networks,
    target: &VariantTarget,
    vcf: &mut Vcf,
    contexts: &mut Contexts,
    each: &mut dyn FnMut(&Line, &Scores) -> Result<()>,
) -> Result<Counts> {
    let mut counts = Counts::default();
    let (mut folds, scorer) = match networks {
        Networks::Same(scorer) => (Vec::new(), Together(vec![scorer])),
        Networks::OutOfFold(of) => (vec![0], of.networks_of(&[0])),
    };
    let mut waiting = Waiting { scorer, target, codes: Vec::new(), lines: Vec::new(), bytes: 0 };
    while let Some(line) = vcf.next_line()? {
        let mut windows = contexts.windows(&line.content)?;
        if let (Networks::OutOfFold(of), Content::Variant(variant)) = (networks, &line.content) {
            let unseen_by = of.folds_of_chromosome(&variant.chromosome);
            if unseen_by.is_empty() {
                windows.leave_out(Unscored::SeenInTraining);
            } else if unseen_by != folds {
                waiting.flush(each, &mut counts)?;
                waiting.scorer = of.networks_of(&unseen_by);
                folds = unseen_by;
            }
        }
        waiting.push(line, windows);
        if waiting.is_full() {
            waiting.flush(each, &mut counts)?;
        }
    }
    waiting.flush(each, &mut counts)?;
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::attribute::variant_target::{Pair, ProfileEffect};
    use crate::config::{ClassWeights, TaskKind};
    use crate::dataset::Classes;
    use crate::dataset::examples::Examples;
    use crate::genome::Genome;
    use crate::metrics::profile::{jensen_shannon_distance, log_softmax};
    use crate::scorer::{self, Pending};
    use crate::sequence::alphabet;
    use crate::sequence::profile::ProfileShape;
    use crate::task::{ProfileTask, Task};

    const LENGTH: usize = 60;
    const COVERED: usize = 40;

    /// Bases of a chromosome.
    const BASES: usize = 400;

    fn shape() -> ProfileShape {
        ProfileShape { tracks: vec![1, 2], length: COVERED, ..ProfileShape::default() }
    }

    /// Profiles of one track and of two that follow the sequence base by base, and the counts of C in the window as log counts.
    struct Follower;

    impl Scorer for Follower {
        fn length(&self) -> usize {
            LENGTH
        }

        fn submit(&self, codes: &[u8]) -> Result<Pending> {
            let row = |codes: &[u8]| {
                let middle = &codes[(LENGTH - COVERED) / 2..][..COVERED];
                let of = |scale: f32| middle.iter().map(move |&code| scale * f32::from(code));
                let counts = (codes.iter().filter(|&&code| code == 1).count() as f32).ln_1p();
                of(1.0).chain(of(0.5)).chain(of(-2.0)).chain([counts, 2.0 * counts]).collect::<Vec<_>>()
            };
            let logits = codes.chunks(LENGTH).flat_map(row).collect();
            Ok(Pending::ready(scorer::Scores::of_logits(logits, shape().outputs())))
        }
    }

    fn genome() -> Vec<u8> {
        // No base is the same as the next, so that indels of one base have one place.
        let mut state = 7u32;
        let mut codes = vec![0u8];
        while codes.len() < BASES {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let code = (state >> 24) as u8 % 4;
            if codes.last() != Some(&code) {
                codes.push(code);
            }
        }
        codes
    }

    fn target(of: Option<&str>) -> Result<VariantTarget> {
        let classes = Classes::named(vec!["one".into(), "a-pair".into()]);
        let examples = Examples::from_codes(&[0; 6], 2, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let task = Task::new(TaskKind::Regression, &classes, None, &ClassWeights::None, &examples)?;
        let profile = ProfileTask { shape: shape(), counts_weight: 1.0, of_background: false, bias_shift: None };
        VariantTarget::new(&Task { kind: TaskKind::Profile, profile: Some(profile), ..task }, &classes, of, false)
    }

    /// The effects of an allele that replaces so many bases at a place.
    fn effects(of: Option<&str>, start: usize, removed: usize, alternative: &str) -> Vec<ProfileEffect> {
        let (genome, folder) = (genome(), tempfile::tempdir().unwrap());
        let reference = alphabet::decode(&genome[start..start + removed]);
        let path = folder.path().join("x.vcf");
        let line = format!("chr1\t{}\t.\t{reference}\t{alternative}", start + 1);
        std::fs::write(&path, format!("#CHROM\tPOS\tID\tREF\tALT\n{line}\n")).unwrap();
        let genome = Genome::from_codes(Path::new("g.fa"), vec![("chr1".into(), genome)]);
        let (mut contexts, mut found) = (Contexts::of(genome, LENGTH), Vec::new());
        let target = target(of).unwrap();
        let counts = score(
            Networks::Same(&Follower),
            &target,
            &mut Vcf::open(&path).unwrap(),
            &mut contexts,
            &mut |_, scores| {
                found.extend(scores.clone());
                Ok(())
            },
        );
        assert_eq!(counts.unwrap().scored, 1, "{line}");
        match found.remove(0) {
            Ok(Effect::Profiles(groups)) => groups,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn bases(start: usize, n: usize) -> String {
        alphabet::decode(&genome()[start..start + n])
    }

    #[test]
    fn what_changes_nothing_has_no_effect() {
        for start in [3, 200, BASES - 2] {
            for group in effects(None, start, 1, &bases(start, 1)) {
                assert_eq!((group.log2_fold_change(), group.distance), (0.0, Some(0.0)), "{start}");
            }
        }
    }

    #[test]
    fn a_substitution_is_compared_base_by_base_over_all_tracks_of_a_group() {
        let genome = genome();
        let own = genome[200];
        let other = if own == 3 { 0 } else { 3 };
        let found = effects(None, 200, 1, &alphabet::decode(&[other]));
        let window = &genome[170..230];
        let mut changed = window.to_vec();
        changed[30] = other;
        let rows = Follower.score(&[window, &changed].concat()).unwrap().into_logits();
        let [reference, alternative] = [0, 1].map(|row| &rows[row * shape().outputs()..(row + 1) * shape().outputs()]);
        for (group, range) in shape().of_groups().enumerate() {
            let shares = |row: &[f32]| -> Vec<f64> {
                let logits: Vec<f64> = row[range.clone()].iter().map(|&logit| f64::from(logit)).collect();
                log_softmax(&logits).into_iter().map(f64::exp).collect()
            };
            let expected = jensen_shannon_distance(&shares(reference), &shares(alternative));
            assert!((found[group].distance.unwrap() - expected).abs() < 1e-12 && expected > 0.01);
            let [one, other] = [reference, alternative].map(|row| f64::from(row[shape().values() + group]));
            assert_eq!(found[group].log_counts, Pair { reference: one, alternative: other });
            assert!((found[group].log2_fold_change() - (other.exp() / one.exp()).log2()).abs() < 1e-6);
        }
    }

    #[test]
    fn profiles_of_an_insertion_or_deletion_are_compared_where_both_alleles_have_bases() {
        for start in [0, 8, 200, 201, 385] {
            for (removed, alternative) in [
                (1, format!("{}GATTACAGATTACA", bases(start, 1))),
                (1, format!("{}T", bases(start, 1))),
                (14, bases(start, 1)),
                (3, bases(start, 1)),
                (9, "TTTTGGTTTT".into()),
                (9, "TTTTG".into()),
            ] {
                for group in effects(None, start, removed, &alternative) {
                    let distance = group.distance.unwrap();
                    assert!(distance < 1e-7, "{start} {removed} {alternative}: {distance}");
                }
            }
        }
        // Without its alignment the profile of the same insertion is another one.
        let genome = genome();
        let changed = [&genome[170..201], &[2, 0, 3, 3], &genome[201..226]].concat();
        let rows = Follower.score(&[&genome[170..230], &changed].concat()).unwrap().into_logits();
        let [one, other] = [0, 1].map(|row| {
            let logits: Vec<f64> = rows[row * shape().outputs()..][..COVERED].iter().map(|&x| f64::from(x)).collect();
            log_softmax(&logits).into_iter().map(f64::exp).collect::<Vec<f64>>()
        });
        assert!(jensen_shannon_distance(&one, &other) > 0.2);
    }

    #[test]
    fn a_deletion_of_most_of_the_profile_has_counts_and_no_distance() {
        // 30 of 40 bases leave a quarter.
        let of = |removed: usize| effects(None, 180, removed + 1, &bases(180, 1))[1];
        assert!(of(30).distance.is_some() && of(31).distance.is_none());
        assert!(of(31).log_counts.alternative > 0.0);
    }

    #[test]
    fn log_counts_of_both_windows_are_averaged() {
        // Four C more, and those that are pushed out on either side.
        let found = effects(None, 200, 1, &format!("{}CCCC", bases(200, 1)))[0];
        let genome = genome();
        let changed = [&genome[..201], &[1; 4], &genome[201..]].concat();
        let first = (201..=202).map(|middle| middle - LENGTH / 2).find(|first| {
            let counts = |codes: &[u8]| codes.iter().filter(|&&code| code == 1).count() as f64;
            let of = |first: usize, codes: &[u8]| f64::from((counts(&codes[first..first + LENGTH]) as f32).ln_1p());
            let mean = f64::midpoint(of(*first, &changed), of(*first + 4, &changed));
            (found.log_counts.reference - of(*first, &genome)).abs() < 1e-12
                && (found.log_counts.alternative - mean).abs() < 1e-12
        });
        assert!(first.is_some(), "{found:?}");
    }

    #[test]
    fn groups_are_chosen_named_and_ranked() {
        let columns = |of| target(of).unwrap().fields().into_iter().map(|field| field.column).collect::<Vec<_>>();
        assert_eq!(columns(None)[3..5], ["profile_jsd_one", "log_counts_ref_a-pair"]);
        for of in ["a-pair", "a-pair:profile"] {
            assert_eq!(columns(Some(of)), ["log_counts_ref", "log_counts_alt", "log2_fold_change", "profile_jsd"]);
        }
        // INFO fields have no hyphen.
        let mut ids = target(None).unwrap().fields().into_iter().filter_map(|field| field.info).map(|(id, _)| id);
        assert_eq!(ids.next_back().unwrap(), "JSD_a_pair");
        assert!(target(Some("nobody")).unwrap_err().to_string().contains("'nobody', expected one of one, a-pair"));

        let effect = |fold: f64, distance| ProfileEffect {
            log_counts: Pair { reference: 1.0, alternative: 1.0 + fold * std::f64::consts::LN_2 },
            distance,
        };
        let both = Effect::Profiles(vec![effect(0.5, Some(0.3)), effect(-2.0, Some(0.1))]);
        let ranked = target(None).unwrap().ranked(&both).unwrap();
        assert_eq!((ranked.effect.round(), ranked.group.unwrap().0.as_str()), (-2.0, "a-pair"));
        let by_profile = target(Some("one:profile")).unwrap();
        assert_eq!(by_profile.ranked(&Effect::Profiles(vec![effect(0.5, Some(0.3))])).unwrap().effect, 0.3);
        assert_eq!(by_profile.ranked(&Effect::Profiles(vec![effect(0.5, None)])), None);
        assert_eq!(by_profile.description(), "profile of 'one'");
    }

    #[test]
    fn logits_that_are_not_finite_are_refused() {
        let mut values = vec![0.0f32; shape().outputs()];
        values[3] = f32::NAN;
        let logits = Logits { values: &values, numbers: shape().outputs(), length: LENGTH };
        let alignment = Alignment { reference: 30, alternative: 30, removed: 1, inserted: 1 };
        let error = target(None).unwrap().effect(&logits, 0, &[(0, alignment)]).unwrap_err().to_string();
        assert!(error.contains("not finite"), "{error}");
    }
}
