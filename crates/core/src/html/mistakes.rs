//! The test examples with the largest errors.

use crate::config::TaskKind;
use crate::dataset::Classes;
use crate::evaluate::predictions::Prediction;
use crate::format;
use crate::html::table::{Cell, Table};
use crate::metrics::classes::highest;
use crate::task::Task;

/// Number of examples shown.
const MOST: usize = 15;

/// The examples with the largest errors, in falling order.
pub struct Worst<'a> {
    task: &'a Task,
    classes: &'a Classes,
    threshold: f64,
    mistakes: Vec<Mistake>,
    count: usize,
}

struct Mistake {
    /// Probability of the predicted class, or the error of a value in standard deviations of its column.
    size: f64,
    name: String,
    place: String,
    truth: String,
    predicted: String,
}

impl<'a> Worst<'a> {
    /// Starts an empty list; for binary tasks, scores at or above the threshold are called positive.
    pub fn new(task: &'a Task, classes: &'a Classes, threshold: Option<f64>) -> Self {
        Self { task, classes, threshold: threshold.unwrap_or(0.5), mistakes: Vec::new(), count: 0 }
    }

    /// Considers a prediction for the list.
    pub fn add(&mut self, example: &Prediction) {
        let Prediction { labels, scores, .. } = example;
        let class = |index: usize| self.classes.names[index].clone();
        match self.task.kind {
            TaskKind::Binary => {
                let (truth, positive) = (labels[0] as usize, self.task.positive);
                let calls_positive = scores[0] >= self.threshold;
                if calls_positive != (truth == positive) {
                    let of_call = if calls_positive { scores[0] } else { 1.0 - scores[0] };
                    self.push(of_call, example, class(truth), class(1 - truth));
                }
            }
            TaskKind::Multiclass => {
                let (truth, call) = (labels[0] as usize, highest(scores));
                if call != truth {
                    self.push(scores[call], example, class(truth), class(call));
                }
            }
            TaskKind::Multilabel => {
                let names = self.classes.names.iter();
                let known = names.zip(labels).zip(scores).filter(|((_, label), _)| !label.is_nan());
                for ((name, &label), &score) in known.collect::<Vec<_>>() {
                    let (is_so, call) = (label == 1.0, score >= 0.5);
                    let words = |yes: bool| if yes { name.clone() } else { format!("not {name}") };
                    if is_so != call {
                        self.push(if call { score } else { 1.0 - score }, example, words(is_so), words(call));
                    }
                }
            }
            TaskKind::Regression | TaskKind::Profile => {
                let of_column = |value: f64, name: &str| {
                    if self.task.count > 1 {
                        format!("{name} {}", format::metric(value))
                    } else {
                        format::metric(value)
                    }
                };
                let columns = self.classes.names.iter().zip(&self.task.scales).zip(labels.iter().zip(scores));
                let known = columns.filter(|(_, (truth, _))| !truth.is_nan());
                for ((name, scale), (&truth, &found)) in known.collect::<Vec<_>>() {
                    let off = (found - truth).abs() / scale.deviation;
                    self.push(off, example, of_column(truth, name), of_column(found, name));
                }
            }
        }
    }

    fn push(&mut self, size: f64, example: &Prediction, truth: String, predicted: String) {
        self.count += 1;
        // The first of equals stays, so that the same predictions give the same report.
        let at = self.mistakes.partition_point(|other| other.size >= size);
        if at < MOST {
            let [chromosome, start, end, strand] = &example.place;
            let place =
                if chromosome.is_empty() { String::new() } else { format!("{chromosome}:{start}-{end} {strand}") };
            self.mistakes.insert(at, Mistake { size, name: example.name.clone(), place, truth, predicted });
            self.mistakes.truncate(MOST);
        }
    }

    /// Number of mistakes; for regression, number of predictions.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The table of mistakes; `None` if there are none.
    pub fn table(&self) -> Option<Table> {
        if self.mistakes.is_empty() {
            return None;
        }
        let has_places = self.mistakes.iter().any(|mistake| !mistake.place.is_empty());
        let (truth, predicted, size) = match self.task.kind {
            TaskKind::Regression => ("observed", "predicted", "off by, in sd"),
            TaskKind::Profile => ("observed log counts", "predicted log counts", "off by, in sd"),
            _ => ("true", "called", "probability of the call"),
        };
        let mut table = Table::new("The worst first", &[("example", false)]);
        if has_places {
            table.column("place", false);
        }
        [(truth, false), (predicted, false), (size, true)]
            .iter()
            .for_each(|(name, number)| table.column(*name, *number));
        for mistake in &self.mistakes {
            let place = has_places.then(|| mistake.place.clone());
            let size = format!("{:.*}", if self.task.kind.predicts_values() { 2 } else { 4 }, mistake.size);
            let texts = [mistake.name.clone()].into_iter().chain(place);
            table.row(texts.chain([mistake.truth.clone(), mistake.predicted.clone(), size]).map(Cell::from));
        }
        Some(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClassWeights;
    use crate::dataset::examples::Examples;
    use crate::dataset::split::Split;

    fn worst(kind: TaskKind, examples: &[(&[f64], &[f64])]) -> Vec<String> {
        let classes = Classes { names: vec!["a".into(), "b".into()], positive: 0 };
        let task = Task::new(
            kind,
            &classes,
            None,
            &ClassWeights::None,
            &Examples::from_codes(&[0; 4], 2, &[0.0, 1.0, 4.0, 5.0]),
        );
        let task = task.unwrap();
        let mut worst = Worst::new(&task, &classes, Some(0.3));
        for (i, (labels, scores)) in examples.iter().enumerate() {
            let (labels, scores) = (labels.to_vec(), scores.to_vec());
            worst.add(&Prediction {
                name: format!("e{i}"),
                place: Default::default(),
                split: Split::Test,
                labels,
                scores,
                baselines: Vec::new(),
            });
        }
        let row = |row: &Vec<Cell>| row.iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>().join(" ");
        worst.table().map_or_else(Vec::new, |table| table.rows.iter().map(row).collect())
    }

    #[test]
    fn the_surest_of_the_wrong_calls_come_first() {
        let examples: &[(&[f64], &[f64])] = &[(&[0.0], &[0.25]), (&[1.0], &[0.9]), (&[0.0], &[0.4]), (&[0.0], &[0.01])];
        assert_eq!(worst(TaskKind::Binary, examples), ["e3 a b 0.9900", "e1 b a 0.9000", "e0 a b 0.7500"]);
        let several: &[(&[f64], &[f64])] = &[(&[0.0], &[0.4, 0.6]), (&[1.0], &[0.1, 0.9]), (&[1.0], &[0.7, 0.3])];
        assert_eq!(worst(TaskKind::Multiclass, several), ["e2 b a 0.7000", "e0 a b 0.6000"]);
        let labels: &[(&[f64], &[f64])] = &[(&[0.0, 1.0], &[0.8, 0.9]), (&[1.0, 1.0], &[0.6, 0.1])];
        assert_eq!(worst(TaskKind::Multilabel, labels), ["e1 b not b 0.9000", "e0 not a a 0.8000"]);
        assert!(worst(TaskKind::Binary, &[(&[0.0], &[0.9])]).is_empty());
    }

    #[test]
    fn values_are_off_in_deviations_of_their_column() {
        // Of the columns 0, 4 and 1, 5 the deviation is 2.
        let found = worst(TaskKind::Regression, &[(&[1.0, 1.0], &[2.0, 7.0])]);
        assert_eq!(found, ["e0 b 1.0000 b 7.0000 3.00", "e0 a 1.0000 a 2.0000 0.50"]);
    }

    #[test]
    fn no_more_are_kept_than_are_shown() {
        let examples: Vec<(Vec<f64>, Vec<f64>)> =
            (0..40).map(|i| (vec![1.0], vec![0.5 + f64::from(i) / 100.0])).collect();
        let examples: Vec<(&[f64], &[f64])> = examples.iter().map(|(a, b)| (&a[..], &b[..])).collect();
        let found = worst(TaskKind::Binary, &examples);
        assert_eq!((found.len(), found[0].as_str(), found[14].as_str()), (MOST, "e39 b a 0.8900", "e25 b a 0.7500"));
    }
}
