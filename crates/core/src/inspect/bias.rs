//! Whether a bias model predicts the counts of a track where they lie: one that was trained on reads shifted otherwise predicts them beside.

use crate::dataset::examples::Examples;
use crate::metrics::profile::log_softmax;

/// Bases by which predictions are moved: more than any usual shift of a transposase's reads.
const FARTHEST: usize = 10;
/// Counts that tell something.
const FEWEST_COUNTS: f64 = 1000.0;
/// Nats of a count above a uniform profile that moved predictions have at least.
const LEAST_GAIN: f64 = 0.05;
/// Share of the moved predictions' gain that those at their place have where nothing is wrong: reads of one strand off by one cost half.
const AT_PLACE: f64 = 0.8;

/// Warnings of a bias model that gives `logits`, `[n, tracks * length + groups]`, for examples, by the background among them.
pub fn warnings(examples: &Examples, logits: &[f32], names: &[String]) -> Vec<String> {
    let Some(profiles) = &examples.profiles else { return Vec::new() };
    let shape = &profiles.shape;
    let length = shape.length;
    if length <= 4 * FARTHEST {
        return Vec::new();
    }
    // Where a sequence is read on its other strand, shifts have the other sign.
    let is_reverse = |i: usize| examples.origins[i].place.as_ref().is_some_and(|place| place.reverse);
    let loci: Vec<usize> = (0..examples.len()).filter(|&i| !profiles.is_peak(i) && !is_reverse(i)).collect();
    let of_track = |track: usize| {
        let (mut counted, mut gains) = (0.0, vec![0.0; 2 * FARTHEST + 1]);
        for &i in &loci {
            let counts = &profiles.counts_of(i)[track * length..(track + 1) * length];
            let row = &logits[i * shape.outputs()..][track * length..(track + 1) * length];
            let log = log_softmax(&row.iter().map(|&logit| f64::from(logit)).collect::<Vec<f64>>());
            for at in (FARTHEST..length - FARTHEST).filter(|&at| counts[at] > 0.0) {
                let count = f64::from(counts[at]);
                counted += count;
                // By so much less or more than the farthest do counts lie to the right of where they are predicted.
                for (i, gain) in gains.iter_mut().enumerate() {
                    *gain += count * (log[at + FARTHEST - i] + (length as f64).ln());
                }
            }
        }
        (counted, gains.into_iter().map(|gain| gain / f64::max(counted, f64::MIN_POSITIVE)).collect::<Vec<f64>>())
    };
    let warning = |(track, name): (usize, &String)| {
        let (counted, gains) = of_track(track);
        let (own, best) = (gains[FARTHEST], (0..gains.len()).max_by(|&a, &b| gains[a].total_cmp(&gains[b]))?);
        if counted < FEWEST_COUNTS {
            return None;
        }
        if gains[best] >= LEAST_GAIN && own < AT_PLACE * gains[best] {
            let (bases, side) = (best.abs_diff(FARTHEST), if best > FARTHEST { "right" } else { "left" });
            return Some(format!(
                "{name}: counts of background lie {bases} bp to the {side} of where the bias model predicts them ({:.3} nats a count above a uniform profile there, {own:.3} at their place), so reads of the two were not shifted alike; train the bias model on this track",
                gains[best]
            ));
        }
        (own < -LEAST_GAIN).then(|| {
            format!(
                "{name}: the bias model predicts where counts of background lie {:.3} nats a count worse than a uniform profile, so it is of another enzyme or of reads that were shifted otherwise; train it on this track",
                -own
            )
        })
    };
    shape.track_names(names).iter().enumerate().filter_map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::examples::{ExamplesWriter, Name, Origin};
    use crate::random::{self, Purpose};
    use crate::sequence::profile::ProfileShape;
    use rand::RngExt;

    const LENGTH: usize = 60;

    /// Background with counts of 5 at some bases, and logits that are higher there, moved by some bases.
    fn predicted(by: i32, height: f32) -> (Examples, Vec<f32>) {
        let shape = ProfileShape { tracks: vec![1], length: LENGTH, ..ProfileShape::default() };
        let mut writer = ExamplesWriter::new(LENGTH, 1, u64::MAX).with_profiles(Some(shape.clone()));
        let (mut random, mut logits) = (random::generator(1, Purpose::Simulate, 0, 0), Vec::new());
        for _ in 0..50 {
            let counts: Vec<f32> =
                (0..LENGTH).map(|_| if random.random_range(0..8) == 0 { 5.0 } else { 0.0 }).collect();
            let at = |base: usize| (base as i32 + by).rem_euclid(LENGTH as i32) as usize;
            logits.extend((0..LENGTH).map(|base| if counts[at(base)] > 0.0 { height } else { 0.0 }));
            logits.push(0.0);
            let (source, name) = ("simulated".into(), Name::Line(1));
            let origin = Origin { source, name, place: None, in_genome: false, bases: LENGTH, masked: 0.0 };
            writer.push(&[0; LENGTH], &[0.0], origin).unwrap();
            writer.push_profile(&counts, false);
        }
        (writer.finish().unwrap(), logits)
    }

    #[test]
    fn counts_beside_what_is_predicted_are_told() {
        let said = |by: i32, height: f32| {
            let (examples, logits) = predicted(by, height);
            warnings(&examples, &logits, &["atac".into()])
        };
        assert_eq!(said(0, 1.0), Vec::<String>::new());
        assert!(said(4, 1.0)[0].starts_with("atac: counts of background lie 4 bp to the right of where"));
        assert!(said(-1, 1.0)[0].contains("lie 1 bp to the left of where"));
        assert!(said(0, -1.0)[0].contains("worse than a uniform profile, so it is of another enzyme or"));
        // Without a preference there is nothing to tell.
        assert_eq!(said(3, 0.0), Vec::<String>::new());
    }
}
