//! Whether tracks are what profiles are learned from: counts of reads, base by base, at the centre of the site that the enzyme takes.

use anyhow::Result;
use serde::Serialize;

use super::sites::{Fit, Symmetry, Words};
use crate::dataset::examples::{Examples, Profiles};
use crate::format::thousands;
use crate::sequence::alphabet;
use crate::sequence::profile::ProfileShape;

/// Fewer counts than this tell nothing of where a site lies: by chance alone correlations come to a half.
const FEWEST_COUNTS: f64 = 1000.0;
/// Counts of background from which peaks, which have motifs of their own, are left out.
const ENOUGH_BACKGROUND: f64 = 3000.0;
/// Counted bases that are looked at: more take longer and change the second digit.
const MOST_WORDS: usize = 6000;
/// Counts of one base, in units of the mean, above which they count no more.
const MOST_COUNTS: f64 = 5.0;

/// Correlation of a clear centre, and how far it is above that of any other. Random positions come to 0.4 and to less than 0.15.
const CLEAR: f64 = 0.6;
const CLEAR_BY: f64 = 0.15;
/// Nats of a count that a dyad explains at least.
const LEAST_GAIN: f64 = 0.03;
/// Share of what any preference explains that dyads explain where the enzyme has one: 0.8 and more for transposase in yeast, and less
/// for most words that are no dyads.
const OF_FREE: f64 = 0.75;
/// Share of its gain by which the best fit is above the next; 0.16 and more for transposase in yeast, at its site or not shifted.
const FIT_BY: f64 = 0.1;
/// The same where nothing else tells that reads are not shifted; those of transposase in yeast come to 0.33.
const CLEAR_GAIN: f64 = 0.15;

/// Correlation of neighbouring bases from which values are smoothed: of whole numbers, and of others.
const SMOOTH_COUNTS: f64 = 0.9;
const SMOOTH: f64 = 0.6;
/// Values other than 0 that say what a track holds.
const FEWEST_VALUES: usize = 100;
/// The same where whole numbers have a common factor, which a few may have by chance.
const FEWEST_WHOLE_VALUES: usize = 1000;
/// Multiples of a unit beyond this are not told from others: values are rounded.
const MOST_MULTIPLE: f64 = 20.0;

/// What a group of tracks holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrackInspection {
    /// Name of the group.
    pub name: String,
    /// What its values are.
    #[serde(flatten)]
    pub values: Values,
    /// Where its counts lie; nothing where they are smoothed or too few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<Site>,
    /// A sentence about it.
    pub finding: String,
    /// Whether it is a warning.
    #[serde(skip)]
    pub is_warning: bool,
    /// A warning that the values are no counts of reads.
    #[serde(skip)]
    pub of_values: Option<String>,
}

/// What the values of a track are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "values", rename_all = "kebab-case")]
pub enum Values {
    /// Whole numbers, as counts of reads are.
    Counts,
    /// Multiples of one number, as counts per million are.
    Scaled {
        /// What one read is.
        unit: f64,
    },
    /// Those of neighbouring bases are alike, as in coverage.
    Smoothed {
        /// The correlation of neighbouring bases.
        neighbour_correlation: f64,
    },
    /// Other numbers.
    Fractional {
        /// The share that are no whole numbers.
        share: f64,
    },
}

/// Where the site of an enzyme lies from the counted bases.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Site {
    /// Counts of equal weight that this rests on.
    pub counts: f64,
    /// Of a track of both strands, or of the plus strand.
    #[serde(flatten)]
    pub centre: Centre,
    /// Of the minus strand in its own direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minus: Option<Centre>,
    /// Of a track of both strands, where the dyads of either strand lie; none where the enzyme prefers no dyad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dyads: Option<[f64; 2]>,
}

/// A centre of symmetry.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Centre {
    /// Bases from the counted base, of which the next is 1.
    pub centre: f64,
    /// Correlation of the matrix of bases and its reverse complement about it.
    pub correlation: f64,
    /// The highest about any other centre.
    pub next_correlation: f64,
}

impl Centre {
    fn of(symmetry: Symmetry) -> Self {
        Self {
            centre: f64::from(symmetry.centre) / 2.0,
            correlation: symmetry.correlation,
            next_correlation: symmetry.next,
        }
    }

    fn is_clear(&self) -> bool {
        self.correlation >= CLEAR && self.correlation - self.next_correlation >= CLEAR_BY
    }

    /// The correlations in words.
    fn correlations(&self) -> String {
        format!("correlation {:.2}, next best {:.2}", self.correlation, self.next_correlation)
    }
}

/// Looks at each group of tracks over the training examples; nothing where they have no profiles.
///
/// # Errors
/// The examples cannot be read.
pub fn inspect(train: &Examples, names: &[String]) -> Result<Vec<TrackInspection>> {
    let Some(profiles) = &train.profiles else { return Ok(Vec::new()) };
    let shape = &profiles.shape;
    let of_tracks: Vec<Values> = (0..shape.all_tracks()).map(|track| values(profiles, track)).collect();
    let mut track = 0;
    let mut found = Vec::new();
    for (group, (name, &strands)) in names.iter().zip(&shape.tracks).enumerate() {
        let own = &of_tracks[track..track + strands];
        track += strands;
        let values = own.iter().copied().find(|values| *values != Values::Counts).unwrap_or(Values::Counts);
        let of_values = said_of_values(name, values);
        let (site, finding, is_warning) = match values {
            Values::Smoothed { .. } => (None, format!("{name}: smoothed, so the enzyme's site cannot be told"), false),
            _ => site_of(name, &words_of(train, profiles, group)?),
        };
        found.push(TrackInspection { name: name.clone(), values, site, finding, is_warning, of_values });
    }
    Ok(found)
}

/// What the values of a track are, over all examples.
fn values(profiles: &Profiles, track: usize) -> Values {
    let length = profiles.shape.length;
    let n = profiles.len();
    let of = |i: usize| &profiles.counts_of(i)[track * length..(track + 1) * length];
    let all = || (0..n).flat_map(of).copied().map(f64::from).filter(|&value| value > 0.0);
    let there = all().count();
    if there < FEWEST_VALUES {
        return Values::Counts;
    }
    let fractional = all().filter(|value| value.fract() != 0.0).count();
    let neighbours = neighbour_correlation((0..n).map(of));
    if neighbours >= if fractional == 0 { SMOOTH_COUNTS } else { SMOOTH } {
        return Values::Smoothed { neighbour_correlation: neighbours };
    }
    let unit = all().fold(f64::INFINITY, f64::min);
    let multiple = |value: &f64| (value / unit - (value / unit).round()).abs() < 0.05;
    let few = || all().filter(|value| value / unit <= MOST_MULTIPLE);
    let (multiples, of_all) = (few().filter(multiple).count(), few().count());
    let is_scaled = multiples as f64 >= 0.99 * of_all as f64;
    match fractional {
        0 if is_scaled && unit > 1.0 && there >= FEWEST_WHOLE_VALUES => Values::Scaled { unit },
        0 => Values::Counts,
        _ if is_scaled => Values::Scaled { unit },
        _ => Values::Fractional { share: fractional as f64 / there as f64 },
    }
}

/// The correlation of each base with the next, about the mean of their locus.
fn neighbour_correlation<'a>(loci: impl Iterator<Item = &'a [f32]>) -> f64 {
    let (mut products, mut squares) = (0.0, 0.0);
    for values in loci {
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len().max(1) as f64;
        let off = |value: f32| f64::from(value) - mean;
        products += values.windows(2).map(|pair| off(pair[0]) * off(pair[1])).sum::<f64>();
        squares += values.windows(2).map(|pair| f64::midpoint(off(pair[0]).powi(2), off(pair[1]).powi(2))).sum::<f64>();
    }
    if squares > 0.0 { products / squares } else { 0.0 }
}

/// A warning of values that are no counts of reads.
fn said_of_values(name: &str, values: Values) -> Option<String> {
    let advice = "give counts of 5' ends, one for each read";
    match values {
        Values::Counts => None,
        Values::Scaled { unit } => {
            let times = if unit < 1.0 { 1.0 / unit } else { unit };
            let fewer = if unit < 1.0 { "fewer" } else { "more" };
            Some(format!(
                "{name}: all values are multiples of {unit:.4}, as where counts are scaled (such as CPM), and the loss takes them for {times:.1} times {fewer} reads; {advice}"
            ))
        }
        Values::Smoothed { neighbour_correlation } => Some(format!(
            "{name}: neighbouring bases have nearly the same values (correlation {neighbour_correlation:.2}), as in coverage or smoothed signal, so single bases tell nothing; {advice}"
        )),
        Values::Fractional { share } => Some(format!(
            "{name}: {:.1} % of the values other than 0 are no whole numbers, and the loss takes them for counts of reads; {advice}",
            share * 100.0
        )),
    }
}

/// The bases around the counts of the tracks of a group, each strand in its own direction: of background where it has enough.
fn words_of(train: &Examples, profiles: &Profiles, group: usize) -> Result<Vec<Words>> {
    let shape = &profiles.shape;
    let mut of_each = [false, true].map(|_| vec![Words::default(); shape.tracks[group]]);
    train.for_each_batch(1024, |first, codes| {
        for (i, codes) in codes.chunks(train.length).enumerate() {
            let i = first + i;
            let reverse = train.origins[i].place.as_ref().is_some_and(|place| place.reverse);
            let words = &mut of_each[usize::from(profiles.is_peak(i))];
            push_words(words, codes, profiles.counts_of(i), (shape, group), reverse);
        }
        Ok(())
    })?;
    let [background, peaks] = of_each;
    let is_enough = background.iter().all(|words| words.effective() >= ENOUGH_BACKGROUND);
    let all = background.into_iter().zip(peaks);
    let chosen = all.map(|(background, peaks)| if is_enough { background } else { background.with(&peaks) });
    Ok(chosen.map(|words| words.thinned(MOST_WORDS, MOST_COUNTS)).collect())
}

/// Adds the words of one example, as the genome has it: what was read on the other strand is read back.
fn push_words(
    words: &mut [Words],
    codes: &[u8],
    counts: &[f32],
    (shape, group): (&ProfileShape, usize),
    reverse: bool,
) {
    let length = codes.len();
    let mut other = codes.to_vec();
    alphabet::reverse_complement(&mut other);
    let (forward, backward) = if reverse { (&other[..], codes) } else { (codes, &other[..]) };
    let range = shape.of_groups().nth(group).unwrap_or(0..0);
    let mut counts = counts[range].to_vec();
    if reverse {
        counts.reverse();
    }
    let before = (length - shape.length) / 2;
    for (strand, (words, counts)) in words.iter_mut().zip(counts.chunks(shape.length)).enumerate() {
        for (base, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
            let (codes, at) = match strand {
                0 => (forward, before + base),
                _ => (backward, length - 1 - before - base),
            };
            words.push(codes, at, f64::from(count));
        }
    }
}

/// Where the site of a group lies, a sentence about it, and whether that is a warning.
fn site_of(name: &str, strands: &[Words]) -> (Option<Site>, String, bool) {
    let counts = strands.iter().map(Words::effective).fold(f64::INFINITY, f64::min);
    if counts < FEWEST_COUNTS {
        let (counts, fewest) = (thousands(counts as usize), thousands(FEWEST_COUNTS as usize));
        let said = format!(
            "{name}: {counts} counts in training, too few to tell where the enzyme's site lies, which takes {fewest}"
        );
        return (None, said, false);
    }
    let centres: Vec<Symmetry> = strands.iter().map(Words::symmetry).collect();
    let of = |i: usize| Centre::of(centres[i]);
    let mut site = Site { counts, centre: of(0), minus: (strands.len() > 1).then(|| of(1)), dyads: None };
    let not_told = format!(
        "{name}: the bases around its counts are not clearly symmetric ({}), so where the enzyme's site lies cannot be told",
        site.minus.filter(|minus| !minus.is_clear()).unwrap_or(site.centre).correlations()
    );
    if !site.centre.is_clear() || site.minus.is_some_and(|minus| !minus.is_clear()) {
        return (Some(site), not_told, false);
    }
    let (finding, is_warning) = match site.minus {
        Some(minus) => of_strands(name, (site.centre, minus), (centres[0].centre, centres[1].centre)),
        None => {
            let fit = strands[0].fit(centres[0].centre);
            let is_dyad = is_dyad(&fit);
            site.dyads = is_dyad.then(|| [fit.best.centres.1, fit.best.centres.0].map(|half| f64::from(half) / 2.0));
            of_both(name, &site.centre, centres[0].centre, &fit)
        }
    };
    (Some(site), finding, is_warning)
}

/// Whether dyads explain nearly all that any preference could.
fn is_dyad(fit: &Fit) -> bool {
    fit.best.gain >= LEAST_GAIN && fit.best.gain >= OF_FREE * fit.free
}

/// What reads are to be shifted by.
const SHIFT: &str = "shift plus reads by + 4 and minus reads by - 4 from their first bases";

/// A sentence about a track of each strand, whose centres are in half bases, each in its own direction, and whether it is a warning:
/// only where reads of a transposase are shifted as is usual, because a factor's motif, too, may be symmetric.
fn of_strands(name: &str, (plus, minus): (Centre, Centre), centres: (i32, i32)) -> (String, bool) {
    let correlations = plus.correlations();
    let [of_plus, of_minus] = [plus, minus].map(|strand| place(strand.centre, ["upstream", "downstream"]));
    let as_after = match centres {
        (0, 0) => {
            return (format!("{name}: the enzyme's site is centred on the counted bases ({correlations})"), false);
        }
        (8, 8) => "as where reads are not shifted",
        (8, 10) => "as where reads are not shifted and ends of half-open intervals are taken for last bases",
        (0, -2) => "as after + 4 / - 5",
        (-2, 0) => "as after + 5 / - 4",
        (0, 2) => "as after + 4 / - 3, where ends of half-open intervals are taken for last bases",
        (0, 16) => "as after + 4 on both strands",
        _ => {
            let said = format!(
                "{name}: bases around its counts are symmetric about {of_plus} for plus reads and {of_minus} for minus reads ({correlations}), as after no usual shift of a transposase's reads, so where the enzyme's site lies cannot be told"
            );
            return (said, false);
        }
    };
    let said = format!(
        "{name}: the enzyme's site is centred on {of_plus} for plus reads and {of_minus} for minus reads ({correlations}), {as_after}; {SHIFT}"
    );
    (said, true)
}

/// A sentence about a track of both strands, symmetric about a centre in half bases, and whether it is a warning.
fn of_both(name: &str, symmetry: &Centre, centre: i32, fit: &Fit) -> (String, bool) {
    let correlations = symmetry.correlations();
    let (right, left) = fit.best.centres;
    let is_one_of_each = is_dyad(fit) && right % 2 == 0 && fit.best.gain - fit.next >= FIT_BY * fit.best.gain;
    if centre == 0 {
        // Any enzyme whose reads are shifted alike, or not at all, is symmetric about 0.
        return match (is_one_of_each, right) {
            (true, 0) => (format!("{name}: the enzyme's site is centred on the counted bases ({correlations})"), false),
            (true, 8) if fit.best.gain >= CLEAR_GAIN => {
                let said = format!(
                    "{name}: the enzyme's site is centred 4 bp to the left of some counts and 4 bp to the right of others, as where reads are not shifted; {SHIFT}"
                );
                (said, true)
            }
            // Dyads that lie elsewhere on both sides may be chance: a short word is often nearly one.
            _ => (
                format!(
                    "{name}: the bases around its counts are symmetric about them ({correlations}), and the enzyme's site cannot be told"
                ),
                false,
            ),
        };
    }
    let as_after = match (is_dyad(fit), left, right) {
        (true, 0, 2) => ", as after + 4 / - 5",
        (true, -2, 0) => {
            ", as after + 4 / - 3, where ends of half-open intervals are taken for last bases, or + 5 / - 4"
        }
        (true, -10, 8) => ", as where reads are not shifted and ends of half-open intervals are taken for last bases",
        (true, -16, 0) => ", as after + 4 on both strands",
        _ => "",
    };
    let said = format!(
        "{name}: bases around its counts are symmetric about {} ({correlations}), so the two strands are not shifted alike{as_after}; {SHIFT}",
        place(symmetry.centre, ["left", "right"])
    );
    (said, true)
}

/// A place in words, in bases from the counted base, with the words for before and behind.
fn place(centre: f64, [before, behind]: [&str; 2]) -> String {
    match centre {
        0.0 => "the counted base".into(),
        centre if centre < 0.0 => format!("the place {} bp {before} of the counted base", -centre),
        centre => format!("the place {centre} bp {behind} of the counted base"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::examples::{ExamplesWriter, Name, Origin, log_counts};
    use crate::genome::interval::Place;
    use crate::random::{self, Generator, Purpose};
    use rand::RngExt;

    const LENGTH: usize = 200;
    const OUTPUT_LENGTH: usize = 100;
    const LOCI: usize = 300;

    /// An enzyme: log odds of the bases from `first` on, from the first base of a read in its own direction.
    struct Cutter {
        first: i32,
        log_odds: Vec<[f64; 4]>,
    }

    impl Cutter {
        /// A transposase, whose site of 19 bp has its centre 4 bases behind the first base of a read on either strand.
        fn transposase() -> Self {
            let any = Self::of_any_word(19, -5, 0.45, 3);
            let other = any.log_odds.iter().rev().map(|row| [row[3], row[2], row[1], row[0]]);
            let both = any.log_odds.iter().zip(other).map(|(a, b)| std::array::from_fn(|i| a[i] + b[i]));
            Self { log_odds: both.collect(), ..any }
        }

        fn of_any_word(width: usize, first: i32, strength: f64, seed: u64) -> Self {
            let mut random = random::generator(seed, Purpose::Simulate, 1, 0);
            let mut number = || strength * (12.0f64.sqrt()) * (random.random::<f64>() - 0.5);
            Self { first, log_odds: (0..width).map(|_| std::array::from_fn(|_| number())).collect() }
        }

        fn rate(&self, codes: &[u8], at: usize) -> f64 {
            let start = (at as i32 + self.first) as usize;
            let log: f64 = codes[start..].iter().zip(&self.log_odds).map(|(&code, row)| row[usize::from(code)]).sum();
            (log - 1.5).exp().min(20.0)
        }
    }

    fn poisson(mean: f64, random: &mut Generator) -> f32 {
        let (mut count, mut product) = (0.0, random.random::<f64>());
        while product > (-mean).exp() {
            count += 1.0;
            product *= random.random::<f64>();
        }
        count
    }

    /// Random sequences with the reads of an enzyme, which are shifted to the right on the plus and to the left on the minus strand: as
    /// one track or a pair. Each third sequence is read on its other strand.
    fn examples(cutter: &Cutter, (plus, minus): (i32, i32), strands: usize, seed: u64) -> Examples {
        let shape = ProfileShape { tracks: vec![strands], length: OUTPUT_LENGTH, ..ProfileShape::default() };
        let mut writer = ExamplesWriter::new(LENGTH, 1, u64::MAX).with_profiles(Some(shape.clone()));
        let mut random = random::generator(seed, Purpose::Simulate, 0, 0);
        for i in 0..LOCI {
            let mut codes: Vec<u8> = (0..LENGTH).map(|_| random.random_range(0..4)).collect();
            let mut other = codes.clone();
            alphabet::reverse_complement(&mut other);
            let mut counts = vec![0.0f32; strands * OUTPUT_LENGTH];
            let before = (LENGTH - OUTPUT_LENGTH) as i32 / 2;
            for at in 40..LENGTH - 40 {
                for (strand, codes) in [&codes, &other].into_iter().enumerate() {
                    let reads = poisson(cutter.rate(codes, at), &mut random);
                    let base = match strand {
                        0 => at as i32 + plus,
                        _ => (LENGTH - 1 - at) as i32 - minus,
                    } - before;
                    if (0..OUTPUT_LENGTH as i32).contains(&base) {
                        counts[strand % strands * OUTPUT_LENGTH + base as usize] += reads;
                    }
                }
            }
            let reverse = i % 3 == 0;
            if reverse {
                codes = other;
                counts.reverse();
            }
            let place = Some(Place { chromosome: "chr1".into(), range: i * LENGTH..(i + 1) * LENGTH, reverse });
            let origin = Origin {
                source: "simulated".into(),
                name: Name::Place,
                place,
                in_genome: false,
                bases: LENGTH,
                masked: 0.0,
            };
            writer.push(&codes, &log_counts(&shape, &counts), origin).unwrap();
            writer.push_profile(&counts, false);
        }
        writer.finish().unwrap()
    }

    fn found(examples: &Examples) -> TrackInspection {
        inspect(examples, &["atac".into()]).unwrap().remove(0)
    }

    #[test]
    fn every_usual_shift_of_a_transposase_is_told_from_the_others() {
        let cutter = Cutter::transposase();
        let half_open = "as where reads are not shifted and ends of half-open intervals are taken for last bases";
        for (shift, dyads, words) in [
            ((4, 4), [0.0, 0.0], "centred on the counted bases"),
            ((4, 5), [0.0, 1.0], "as after + 4 / - 5;"),
            ((5, 4), [-1.0, 0.0], "+ 5 / - 4"),
            ((4, 3), [-1.0, 0.0], "as after + 4 / - 3"),
            ((0, 0), [-4.0, 4.0], "as where reads are not shifted;"),
            ((0, -1), [-5.0, 4.0], half_open),
            ((4, -4), [-8.0, 0.0], "as after + 4 on both strands;"),
        ] {
            let both = found(&examples(&cutter, shift, 1, 1));
            assert!(both.finding.contains(words), "{shift:?}: {}", both.finding);
            assert_eq!(both.site.unwrap().dyads, Some(dyads), "{shift:?}");
            let strands = found(&examples(&cutter, shift, 2, 2));
            assert!(strands.finding.contains(words), "{shift:?}: {}", strands.finding);
            let site = strands.site.unwrap();
            let centres = (site.centre.centre, site.minus.unwrap().centre);
            assert_eq!(centres, (f64::from(4 - shift.0), f64::from(4 - shift.1)), "{shift:?}");
            for (found, strands) in [(both, 1), (strands, 2)] {
                assert_eq!(found.is_warning, shift != (4, 4), "{strands} tracks: {}", found.finding);
                assert_eq!((found.values, found.of_values), (Values::Counts, None));
            }
        }
    }

    #[test]
    fn what_cannot_be_told_is_no_warning() {
        let none = Cutter::of_any_word(1, 0, 0.0, 1);
        let mut others = vec![none];
        // Cuts like those of DNase, and ends of a protected site whose motif lies inside: no dyads, but alike on both strands.
        others.extend((0..6).map(|seed| Cutter::of_any_word(6, -3, 0.5, seed)));
        others.extend((0..6).map(|seed| Cutter::of_any_word(12, 2, 0.4, seed)));
        for (i, cutter) in others.iter().enumerate() {
            let both = found(&examples(cutter, (0, 0), 1, 5));
            assert!(!both.is_warning && both.finding.contains("symmetric") != both.finding.contains("centred"));
            let strands = found(&examples(cutter, (0, 0), 2, 6));
            assert!(!strands.is_warning && strands.finding.contains("cannot be told"), "{}", strands.finding);
            assert_eq!(both.finding.contains("not clearly symmetric"), i == 0, "{}", both.finding);
        }
        // A motif that is a dyad, 7 bases inside of where a read begins.
        let motif = Cutter { first: 3, log_odds: Cutter::transposase().log_odds[5..14].to_vec() };
        let strands = found(&examples(&motif, (0, 0), 2, 7));
        assert!(!strands.is_warning && strands.finding.contains("no usual shift"), "{}", strands.finding);
        let mut few = examples(&others[0], (0, 0), 1, 5);
        few.profiles.as_mut().unwrap().rows.iter_mut().for_each(|count| *count = if *count > 2.0 { 1.0 } else { 0.0 });
        let few = found(&few);
        assert!(!few.is_warning && few.finding.contains("too few to tell"), "{}", few.finding);
        assert!(inspect(&Examples::default(), &[]).unwrap().is_empty());
    }

    #[test]
    fn values_that_are_no_counts_are_told_apart() {
        let of = |change: &dyn Fn(&mut [f32])| {
            let mut examples = examples(&Cutter::transposase(), (4, 4), 1, 1);
            examples.profiles.as_mut().unwrap().rows.chunks_mut(OUTPUT_LENGTH + 1).for_each(change);
            found(&examples)
        };
        let scaled = of(&|row| row.iter_mut().for_each(|value| *value *= 0.0346));
        assert!(matches!(scaled.values, Values::Scaled { unit } if (unit - 0.0346).abs() < 1e-6));
        let said = scaled.of_values.unwrap();
        assert!(said.contains("multiples of 0.0346") && said.contains("28.9 times fewer reads"), "{said}");
        assert!(scaled.finding.contains("centred on the counted bases"), "{}", scaled.finding);
        let doubled = of(&|row| row.iter_mut().for_each(|value| *value *= 2.0));
        assert!(doubled.of_values.unwrap().contains("2.0 times more reads"));
        let smoothed = of(&|row| {
            let values = row.to_vec();
            (2..OUTPUT_LENGTH - 2).for_each(|i| row[i] = values[i - 2..=i + 2].iter().sum::<f32>() / 5.0);
        });
        assert!(smoothed.of_values.unwrap().contains("coverage or smoothed signal") && smoothed.site.is_none());
        // Whole reads piled up.
        let covered = of(&|row| {
            let values = row.to_vec();
            (0..OUTPUT_LENGTH).for_each(|i| row[i] = values[i.saturating_sub(30)..=i].iter().sum::<f32>());
        });
        assert!(matches!(covered.values, Values::Smoothed { .. }), "{:?}", covered.values);
        let shared = of(&|row| {
            for (i, value) in row[..OUTPUT_LENGTH].iter_mut().enumerate() {
                *value *= 1.0 + 0.37 * (i % 5) as f32;
            }
        });
        assert!(matches!(shared.values, Values::Fractional { share } if share > 0.5), "{:?}", shared.values);
        assert!(shared.of_values.unwrap().contains("no whole numbers"));
    }
}
