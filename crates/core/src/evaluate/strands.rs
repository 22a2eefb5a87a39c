//! Agreement between the predictions for a sequence and for its reverse complement.

use crate::config::TaskKind;
use crate::metrics::classes::highest;
use crate::task::Task;

/// How far the predictions for both strands of the same sequences differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StrandAgreement {
    /// Share of sequences called differently on the two strands: by the threshold, by the most probable class, or for
    /// multilabel tasks the share of labels by one half. `None` for regression.
    pub flip_rate: Option<f64>,
    /// Mean absolute difference of the predictions.
    pub mean_difference: f64,
}

impl StrandAgreement {
    /// Compares predictions `[n, outputs]` of sequences with those of their reverse complements.
    pub fn of(task: &Task, forward: &[f64], reverse: &[f64], threshold: f64) -> Self {
        let share = |flips: usize, of: usize| Some(flips as f64 / of.max(1) as f64);
        let apart = |cut: f64| forward.iter().zip(reverse).filter(|&(&a, &b)| (a >= cut) != (b >= cut)).count();
        let flip_rate = match task.kind {
            TaskKind::Binary => share(apart(threshold), forward.len()),
            TaskKind::Multilabel => share(apart(0.5), forward.len()),
            TaskKind::Multiclass => {
                let rows = forward.chunks(task.count).zip(reverse.chunks(task.count));
                share(rows.filter(|(a, b)| highest(a) != highest(b)).count(), forward.len() / task.count)
            }
            TaskKind::Regression | TaskKind::Profile => None,
        };
        let difference: f64 = forward.iter().zip(reverse).map(|(a, b)| (a - b).abs()).sum();
        Self { flip_rate, mean_difference: difference / forward.len().max(1) as f64 }
    }

    /// A line of the results table.
    pub fn line(&self) -> String {
        let flips = self.flip_rate.map_or(String::new(), |rate| format!("{:.2} % called differently, ", rate * 100.0));
        format!("both strands of each: {flips}mean difference {:.4}\n", self.mean_difference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClassWeights;
    use crate::dataset::Classes;
    use crate::dataset::examples::Examples;

    #[test]
    fn flips_are_counted_as_each_question_decides() {
        let task = |kind, classes: usize, labels: &[f32]| {
            let classes = Classes { names: (0..classes).map(|i| format!("c{i}")).collect(), positive: 0 };
            Task::new(kind, &classes, None, &ClassWeights::None, &Examples::from_codes(&[0; 4], 2, labels)).unwrap()
        };
        let (forward, reverse) = ([0.2, 0.8, 0.55, 0.45], [0.2, 0.8, 0.35, 0.65]);
        let binary = StrandAgreement::of(&task(TaskKind::Binary, 2, &[0.0, 1.0]), &forward, &reverse, 0.4);
        assert_eq!(binary.flip_rate, Some(0.25));
        assert!((binary.mean_difference - 0.1).abs() < 1e-12);
        let several = StrandAgreement::of(&task(TaskKind::Multiclass, 2, &[0.0, 1.0]), &forward, &reverse, 0.4);
        assert_eq!(several.flip_rate, Some(0.5));
        let labels = StrandAgreement::of(&task(TaskKind::Multilabel, 2, &[0.0; 4]), &forward, &reverse, 0.4);
        assert_eq!(labels.flip_rate, Some(0.5));
        let values = StrandAgreement::of(&task(TaskKind::Regression, 2, &[0.0; 4]), &forward, &reverse, 0.4);
        assert_eq!(values.flip_rate, None);
    }
}
