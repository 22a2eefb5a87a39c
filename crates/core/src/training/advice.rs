//! Advice on how training went, shown at its end. No tensors.

use crate::config::TaskKind;
use crate::dataset::Classes;
use crate::dataset::examples::Examples;
use crate::training::history::{Epoch, metric_name};

/// Smallest relative decrease of the training loss that counts as progress.
const MOVED: f64 = 0.005;

/// Advice on the epochs of all members, given their `best_epochs` and the number of epochs requested.
pub fn of_history(history: &[Epoch], best_epochs: &[usize], epochs: usize) -> Vec<String> {
    let of = |member: usize| history.iter().filter(move |epoch| epoch.member == member);
    let members = |found: &[usize]| match (found.len(), best_epochs.len()) {
        (_, 1) => String::new(),
        (some, all) if some == all => " of every member".to_owned(),
        (1, _) => format!(" of member {}", found[0]),
        _ => format!(" of members {}", found.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    };
    let numbers = || 1..=best_epochs.len();
    let mut advice = Vec::new();

    let still: Vec<usize> = numbers().filter(|&member| !moves(of(member).map(|epoch| epoch.train_loss))).collect();
    if let Some(&first) = still.first() {
        let losses: Vec<f64> = of(first).map(|epoch| epoch.train_loss).collect();
        advice.push(format!(
            "the training loss{} hardly moved ({:.4} in the first epoch, {:.4} in the last): try another --lr (strandnet tune --lr draws which), and make sure that the labels have to do with the sequences",
            members(&still),
            losses[0],
            losses[losses.len() - 1]
        ));
    }
    let last: Vec<usize> = numbers().filter(|&member| epochs > 1 && best_epochs[member - 1] == epochs).collect();
    if !last.is_empty() {
        advice.push(format!(
            "the best epoch{} is the last of {epochs}, so more of them may do better: try --epochs {}",
            members(&last),
            epochs.saturating_mul(2)
        ));
    }
    advice
}

/// Whether a loss decreases from the first epoch on; undecided after one epoch.
fn moves(losses: impl Iterator<Item = f64>) -> bool {
    let losses: Vec<f64> = losses.collect();
    let lowest = losses.iter().copied().fold(f64::INFINITY, f64::min);
    losses.len() < 2 || losses[0] - lowest > MOVED * losses[0].abs()
}

/// Advice on classes, labels or columns that the validation examples cannot assess.
pub fn of_validation(examples: &Examples, kind: TaskKind, classes: &Classes, metric: &str) -> Vec<String> {
    let n = examples.len();
    let first_epoch = |what: String| {
        format!(
            "{what}, so {} could not choose an epoch and nothing measured there means much; give validation of every class (--valid, --valid-chroms)",
            metric_name(metric)
        )
    };
    match kind {
        TaskKind::Binary | TaskKind::Multiclass => {
            let mut found = (0..n).map(|i| examples.class_of(i));
            match found.next() {
                Some(only) if found.all(|class| class == only) => {
                    vec![first_epoch(format!("all validation examples are of class '{}'", classes.names[only]))]
                }
                _ => Vec::new(),
            }
        }
        TaskKind::Multilabel | TaskKind::Regression | TaskKind::Profile => {
            let is_constant = |column: &usize| {
                let mut known = (0..n).map(|i| examples.labels_of(i)[*column]).filter(|value| !value.is_nan());
                let first = known.next();
                n > 0 && known.all(|value| Some(value) == first)
            };
            let constant: Vec<usize> = (0..examples.width).filter(is_constant).collect();
            let names: Vec<String> = constant.iter().map(|&column| format!("'{}'", classes.names[column])).collect();
            match names.len() {
                0 => Vec::new(),
                all if all == examples.width => {
                    vec![first_epoch("every column of validation has one value only".into())]
                }
                _ => {
                    vec![format!("{} has one value only in validation, so nothing is measured of it", names.join(", "))]
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(losses: &[&[f64]]) -> Vec<Epoch> {
        let row = |member: usize, (epoch, &train_loss): (usize, &f64)| Epoch {
            member,
            epoch: epoch + 1,
            train_loss,
            train_accuracy: None,
            valid_loss: 0.0,
            valid_accuracy: None,
            valid_score: 0.5,
            learning_rate: 0.1,
            seconds: 1.0,
            fragments_per_second: 1.0,
        };
        let of = |(member, losses): (usize, &&[f64])| -> Vec<Epoch> {
            losses.iter().enumerate().map(|at| row(member + 1, at)).collect()
        };
        losses.iter().enumerate().flat_map(of).collect()
    }

    #[test]
    fn a_loss_that_stands_still_and_a_best_epoch_at_the_end_are_said() {
        let said = |losses: &[&[f64]], best: &[usize], epochs| of_history(&history(losses), best, epochs).join("\n");
        assert_eq!(said(&[&[0.7, 0.6, 0.5]], &[2], 3), "");
        assert_eq!(said(&[&[0.7]], &[1], 1), "");
        let still = said(&[&[0.6921, 0.6920, 0.6922]], &[1], 3);
        assert!(still.starts_with("the training loss hardly moved (0.6921 in the first epoch, 0.6922"), "{still}");
        let last = said(&[&[0.7, 0.6, 0.5]], &[3], 3);
        assert!(last.contains("the best epoch is the last of 3") && last.contains("--epochs 6"), "{last}");
        let one = said(&[&[0.7, 0.6], &[0.7, 0.6]], &[1, 2], 2);
        assert!(one.contains("the best epoch of member 2 is the last"), "{one}");
        let both = said(&[&[0.7, 0.6], &[0.7, 0.6]], &[2, 2], 2);
        assert!(both.contains("of every member"), "{both}");
        // Stopped early.
        assert_eq!(said(&[&[0.7, 0.6, 0.5]], &[3], 9), "");
    }

    #[test]
    fn validation_that_says_nothing_is_said() {
        let classes = Classes { names: vec!["a".into(), "b".into()], positive: 0 };
        let said =
            |labels: &[f32], kind| of_validation(&Examples::from_codes(&[0; 12], 4, labels), kind, &classes, "auroc");
        assert!(said(&[0.0, 1.0, 0.0], TaskKind::Binary).is_empty());
        let one = said(&[1.0, 1.0, 1.0], TaskKind::Binary).join("");
        assert!(one.starts_with("all validation examples are of class 'b', so AUROC"), "{one}");
        let value = said(&[0.3, 0.3, 0.3], TaskKind::Regression).join("");
        assert!(value.contains("one value only"), "{value}");
    }
}
