//! `predictions.csv`: one row per example, `name,chrom,start,end,strand,split,label,score`. With more classes there is a
//! score for each; with several labels or values a label and a score for each.

use anyhow::Result;

use crate::config::TaskKind;
use crate::data::Classes;
use crate::data::examples::Examples;
use crate::data::split::Split;
use crate::task::Task;

/// The table as it grows, split by split.
pub struct Predictions<'a> {
    out: csv::Writer<Vec<u8>>,
    task: &'a Task,
    classes: &'a Classes,
}

impl<'a> Predictions<'a> {
    /// A table with its header.
    pub fn new(task: &'a Task, classes: &'a Classes) -> Result<Self> {
        let mut header: Vec<String> = ["name", "chrom", "start", "end", "strand", "split"].map(str::to_owned).into();
        let each = |what: &str| classes.names.iter().map(move |name| format!("{what}_{name}")).collect::<Vec<_>>();
        let has_values = matches!(task.kind, TaskKind::Multilabel | TaskKind::Regression);
        header.extend(if has_values && task.count > 1 { each("label") } else { vec!["label".into()] });
        header.extend(if task.outputs() > 1 { each("score") } else { vec!["score".into()] });
        let mut out = csv::Writer::from_writer(Vec::new());
        out.write_record(&header)?;
        Ok(Self { out, task, classes })
    }

    /// Appends the rows of one split. Coordinates are 0-based and half-open, and empty where there are none; scores have
    /// every digit, so that metrics computed from the file are those in `metrics.json`.
    pub fn append(&mut self, split: Split, examples: &Examples, predictions: &[f64]) -> Result<()> {
        let outputs = self.task.outputs();
        for (i, (origin, scores)) in examples.origins.iter().zip(predictions.chunks(outputs)).enumerate() {
            let (label, has_class) = match self.task.kind {
                TaskKind::Binary | TaskKind::Multiclass => (self.classes.names[examples.class_of(i)].as_str(), true),
                TaskKind::Multilabel | TaskKind::Regression => ("example", false),
            };
            let mut row = vec![origin.name(label)];
            row.extend(origin.columns());
            row.push(split.name().into());
            if has_class {
                row.push(label.to_owned());
            } else {
                row.extend(examples.labels_of(i).iter().map(ToString::to_string));
            }
            row.extend(scores.iter().map(ToString::to_string));
            self.out.write_record(&row)?;
        }
        Ok(())
    }

    /// The whole table.
    pub fn finish(self) -> Result<Vec<u8>> {
        Ok(self.out.into_inner()?)
    }
}
