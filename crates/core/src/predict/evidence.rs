//! One prediction for a sequence from those of its windows: their log-odds relative to the prior are added, each window
//! counting for the bases that it does not share with others.

use crate::config::TaskKind;
use crate::task::calibration::log_odds_of_share;
use crate::task::{Task, softmax};

/// Weights of windows that start at `starts`, in ascending order, and are `length` bases long. A base that several windows
/// cover counts for each of them by one over their number, so that windows weigh their stride over their length, at most 1;
/// the first and the last more, as bases at the ends lie in fewer windows; and a window alone 1.
pub fn window_weights(starts: &[usize], length: usize) -> Vec<f64> {
    // Where the number of windows that cover a base changes, with the change.
    let mut changes: Vec<(usize, i64)> = starts.iter().flat_map(|&start| [(start, 1), (start + length, -1)]).collect();
    changes.sort_unstable();
    // For each change, the sum of one over the number of windows, over all bases before it.
    let (mut places, mut totals): (Vec<usize>, Vec<f64>) = (Vec::new(), Vec::new());
    let (mut covered, mut sum) = (0, 0.0);
    for (place, change) in changes {
        if let Some(&last) = places.last()
            && covered > 0
        {
            sum += (place - last) as f64 / covered as f64;
        }
        covered += change;
        places.push(place);
        totals.push(sum);
    }
    let before = |place: usize| totals[places.partition_point(|&other| other < place).min(totals.len() - 1)];
    starts.iter().map(|&start| ((before(start + length) - before(start)) / length as f64).min(1.0)).collect()
}

/// The prediction `[outputs]` of a sequence from logits of its windows, `[windows, outputs]`, with their weights and the
/// prior of each output. For classes and labels the windows are taken as independent given the class: their log-odds (of
/// several classes log-probabilities) relative to the prior are added, and the prior's added to the sum. Values are averaged.
pub fn combined(task: &Task, prior: &[f64], weights: &[f64], logits: &[f32]) -> Vec<f64> {
    let outputs = task.outputs();
    if task.kind.predicts_values() {
        let mut mean = vec![0.0; outputs];
        for row in logits.chunks(task.network_outputs().numbers()) {
            let values = task.activate(row).unwrap_or_else(|_| vec![f64::NAN; outputs]);
            mean.iter_mut().zip(values).for_each(|(mean, value)| *mean += value / weights.len() as f64);
        }
        return mean;
    }
    let prior: Vec<f64> = prior.iter().map(|&share| log_odds_of_share(task.kind, share)).collect();
    let mut sum = prior.clone();
    for (row, weight) in task.calibrated(logits).chunks(outputs).zip(weights) {
        // Of several classes, a term that all share drops out of the softmax, so logits do as log-probabilities.
        sum.iter_mut().zip(row).zip(&prior).for_each(|((sum, logit), prior)| *sum += weight * (logit - prior));
    }
    match task.kind {
        TaskKind::Multiclass => softmax(&sum),
        _ => sum.into_iter().map(|log_odds| 1.0 / (1.0 + (-log_odds).exp())).collect(),
    }
}

/// The prior of each output: that of the calibration, or equal shares where it is not known.
pub fn prior_of(task: &Task) -> Vec<f64> {
    if !task.calibration.prior.is_empty() {
        return task.calibration.prior.clone();
    }
    match task.kind {
        TaskKind::Multiclass => vec![1.0 / task.count as f64; task.count],
        TaskKind::Regression | TaskKind::Profile => Vec::new(),
        _ => vec![0.5; task.outputs()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CalibrationMethod, ClassWeights};
    use crate::dataset::Classes;
    use crate::dataset::examples::Examples;
    use crate::task::calibration::Calibration;
    use proptest::prelude::*;

    fn task(kind: TaskKind, count: usize, calibration: Calibration) -> Task {
        let classes = Classes::named((0..count).map(|i| format!("c{i}")).collect());
        let width = if matches!(kind, TaskKind::Binary | TaskKind::Multiclass) { 1 } else { count };
        let labels: Vec<f32> = (0..4 * width).map(|i| (i % 2) as f32).collect();
        let examples = Examples::from_codes(&[0; 8], 2, &labels);
        Task { calibration, ..Task::new(kind, &classes, None, &ClassWeights::None, &examples).unwrap() }
    }

    fn close(found: &[f64], expected: &[f64]) -> bool {
        found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    #[test]
    fn windows_weigh_the_bases_that_they_alone_cover() {
        for (starts, length, expected) in [
            (&[][..], 100, &[][..]),
            (&[0], 100, &[1.0]),
            (&[37], 100, &[1.0]),
            (&[0, 100], 100, &[1.0, 1.0]),
            (&[0, 250, 900], 100, &[1.0, 1.0, 1.0]),
            (&[0, 50], 100, &[0.75, 0.75]),
            (&[0, 50, 100], 100, &[0.75, 0.5, 0.75]),
            (&[0, 50, 100, 150], 100, &[0.75, 0.5, 0.5, 0.75]),
            (&[0, 1], 100, &[0.505, 0.505]),
            (&[0, 0], 100, &[0.5, 0.5]),
            (&[0, 100, 101], 100, &[1.0, 0.505, 0.505]),
            (&[0, 50, 300], 100, &[0.75, 0.75, 1.0]),
        ] {
            assert!(
                close(&window_weights(starts, length), expected),
                "{starts:?}: {:?}",
                window_weights(starts, length)
            );
        }
    }

    #[test]
    fn log_odds_add_up_relative_to_the_prior() {
        let prior = 0.045;
        let binary = task(TaskKind::Binary, 2, Calibration { prior: vec![prior], ..Calibration::default() });
        let (odds, of_prior) = (|p: f64| p / (1.0 - p), prior / (1.0 - prior));
        let logits = [-2.0f32, -1.0, 0.5];
        let p = |logit: f32| 1.0 / (1.0 + f64::from(-logit).exp());
        let together: f64 = logits.iter().map(|&logit| odds(p(logit)) / of_prior).product::<f64>() * of_prior;
        let found = combined(&binary, &[prior], &[1.0; 3], &logits);
        assert!(close(&found, &[together / (1.0 + together)]), "{found:?}");
        // Windows that say nothing beyond the prior leave it, however many there are.
        let silent = of_prior.ln() as f32;
        assert!((combined(&binary, &[prior], &[1.0; 50], &[silent; 50])[0] - prior).abs() < 1e-6);
        // Copies of one window that together weigh as much as one say as much as one.
        assert!((combined(&binary, &[prior], &[0.25; 4], &[1.5; 4])[0] - p(1.5)).abs() < 1e-12);
        // Far beyond what a 32-bit probability can hold.
        let sure = combined(&binary, &[prior], &[1.0; 4], &[80.0, 80.0, -79.0, -79.0])[0];
        assert!(sure > 0.99 && sure < 1.0 - 1e-12, "{sure}");
    }

    #[test]
    fn classes_and_labels_follow_bayes_and_values_are_averaged() {
        let prior = [0.2, 0.3, 0.5];
        let calibration = Calibration {
            method: CalibrationMethod::Vector,
            scales: vec![0.5, 1.0, 2.0],
            biases: vec![0.3, 0.0, -0.3],
            prior: prior.to_vec(),
            ..Calibration::default()
        };
        let logits = [1.0f32, -0.5, 0.2, -0.3, 0.9, 0.4];
        let several = task(TaskKind::Multiclass, 3, calibration.clone());
        let each = several.activate(&logits).unwrap();
        let joint: Vec<f64> = (0..3).map(|k| prior[k] * each[k] / prior[k] * each[3 + k] / prior[k]).collect();
        let sum: f64 = joint.iter().sum();
        let expected: Vec<f64> = joint.iter().map(|joint| joint / sum).collect();
        assert!(close(&combined(&several, &prior, &[1.0, 1.0], &logits), &expected));

        let labels = task(TaskKind::Multilabel, 3, calibration);
        let each = labels.activate(&logits).unwrap();
        let odds = |p: f64| p / (1.0 - p);
        let expected: Vec<f64> = (0..3)
            .map(|k| odds(each[k]) * odds(each[3 + k]) / odds(prior[k]))
            .map(|odds| odds / (1.0 + odds))
            .collect();
        assert!(close(&combined(&labels, &prior, &[1.0, 1.0], &logits), &expected));

        let values = task(TaskKind::Regression, 1, Calibration::default());
        let each = values.activate(&[1.0, 4.0]).unwrap();
        assert!(close(&combined(&values, &[], &[1.0, 0.3], &[1.0, 4.0]), &[f64::midpoint(each[0], each[1])]));
    }

    #[test]
    fn moving_the_prior_is_saerens_formula() {
        let two = task(TaskKind::Binary, 2, Calibration { prior: vec![0.5], ..Calibration::default() });
        let moved = |task: &Task, to: &[f64]| {
            let calibration = task.calibration.moved(task.kind, &task.calibration.prior, to);
            Task { calibration, ..task.clone() }
        };
        let p = 1.0 / (1.0 + (-1.2f64).exp());
        for to in [1e-6, 0.01, 0.3, 0.5, 0.99] {
            let expected = p * to / 0.5 / (p * to / 0.5 + (1.0 - p) * (1.0 - to) / 0.5);
            assert!((moved(&two, &[to]).activate(&[1.2]).unwrap()[0] - expected).abs() < 1e-7, "{to}");
        }
        let (from, to) = ([0.2, 0.3, 0.5], [0.6, 0.39, 0.01]);
        let several = task(TaskKind::Multiclass, 3, Calibration { prior: from.to_vec(), ..Calibration::default() });
        let before = several.activate(&[1.0, -0.5, 0.2]).unwrap();
        let terms: Vec<f64> = (0..3).map(|k| before[k] * to[k] / from[k]).collect();
        let expected: Vec<f64> = terms.iter().map(|term| term / terms.iter().sum::<f64>()).collect();
        assert!(close(&moved(&several, &to).activate(&[1.0, -0.5, 0.2]).unwrap(), &expected));
        // Back again, and of windows in either order: first added, or first moved.
        let back = moved(&moved(&several, &to), &from);
        assert!(close(&back.activate(&[1.0, -0.5, 0.2]).unwrap(), &before));
        let logits = [1.0f32, -0.5, 0.2, -0.3, 0.9, 0.4];
        let added = combined(&several, &from, &[1.0, 0.5], &logits);
        let terms: Vec<f64> = (0..3).map(|k| added[k] * to[k] / from[k]).collect();
        let expected: Vec<f64> = terms.iter().map(|term| term / terms.iter().sum::<f64>()).collect();
        assert!(close(&combined(&moved(&several, &to), &to, &[1.0, 0.5], &logits), &expected));
    }

    proptest! {
        #[test]
        fn weights_add_up_to_the_bases_covered(steps in proptest::collection::vec(0usize..30, 1..40), length in 1usize..25) {
            let starts: Vec<usize> = steps.iter().scan(0, |at, step| { *at += step; Some(*at) }).collect();
            let mut covered = vec![0usize; starts[starts.len() - 1] + length];
            starts.iter().for_each(|&start| covered[start..start + length].iter_mut().for_each(|n| *n += 1));
            let expected: Vec<f64> = starts
                .iter()
                .map(|&start| covered[start..start + length].iter().map(|&n| 1.0 / n as f64).sum::<f64>() / length as f64)
                .collect();
            let found = window_weights(&starts, length);
            prop_assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-9), "{:?} {:?}", found, expected);
        }

        #[test]
        fn a_window_alone_has_its_own_score(logit in -20.0f32..20.0, prior in 0.001..0.999f64) {
            let binary = task(TaskKind::Binary, 2, Calibration { prior: vec![prior], ..Calibration::default() });
            let own = binary.activate(&[logit]).unwrap();
            prop_assert!(close(&combined(&binary, &[prior], &window_weights(&[0], 100), &[logit]), &own));
        }
    }
}
