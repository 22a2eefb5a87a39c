//! `predictions.csv`: one row per example, `name,chrom,start,end,strand,split,label,score`. Multiclass tasks have a
//! score for each class; multilabel and regression tasks have a label, empty where it is missing, and a score for each
//! output; of profiles they are `log_counts_NAME` and `predicted_log_counts_NAME`. The scores of baselines follow, in columns whose names begin with `baseline_`.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, anyhow, bail};

use crate::config::TaskKind;
use crate::dataset::Classes;
use crate::dataset::examples::Examples;
use crate::dataset::split::Split;
use crate::task::Task;

/// The table as it grows, split by split.
pub struct Predictions<'a> {
    out: csv::Writer<Vec<u8>>,
    task: &'a Task,
    classes: &'a Classes,
}

/// The beginning of the names of baselines' columns.
const BASELINE: &str = "baseline_";

impl<'a> Predictions<'a> {
    /// A table with its header.
    ///
    /// # Errors
    /// The header cannot be written.
    pub fn new(task: &'a Task, classes: &'a Classes) -> Result<Self> {
        Self::with_baselines(task, classes, &[])
    }

    /// A table with columns for the scores of baselines: `baseline_NAME`, or `baseline_NAME_OUTPUT` where there are
    /// several outputs.
    ///
    /// # Errors
    /// The header cannot be written.
    pub fn with_baselines(task: &'a Task, classes: &'a Classes, baselines: &[&str]) -> Result<Self> {
        let mut out = csv::Writer::from_writer(Vec::new());
        let mut header = header(task, classes);
        for baseline in baselines {
            let name = format!("{BASELINE}{}", baseline.replace(' ', "_"));
            match task.outputs() {
                1 => header.push(name),
                _ => header.extend(classes.names.iter().map(|class| format!("{name}_{class}"))),
            }
        }
        out.write_record(header)?;
        Ok(Self { out, task, classes })
    }

    /// Appends the rows of one split. Coordinates are 0-based and half-open, and empty where there are none; scores have
    /// every digit, so that metrics computed from the file are those in `metrics.json`.
    ///
    /// # Errors
    /// A row cannot be written.
    pub fn append(&mut self, split: Split, examples: &Examples, predictions: &[f64]) -> Result<()> {
        self.append_beside(split, examples, predictions, &[])
    }

    /// The same with the predictions of each baseline, `[n, outputs]`.
    ///
    /// # Errors
    /// A row cannot be written.
    pub fn append_beside(
        &mut self,
        split: Split,
        examples: &Examples,
        predictions: &[f64],
        baselines: &[&[f64]],
    ) -> Result<()> {
        let outputs = self.task.outputs();
        for (i, (origin, scores)) in examples.origins.iter().zip(predictions.chunks(outputs)).enumerate() {
            let (label, has_class) = match self.task.kind {
                TaskKind::Binary | TaskKind::Multiclass => (self.classes.names[examples.class_of(i)].as_str(), true),
                TaskKind::Multilabel | TaskKind::Regression | TaskKind::Profile => ("", false),
            };
            let mut row = vec![origin.name(label)];
            row.extend(origin.columns());
            row.push(split.name().into());
            if has_class {
                row.push(label.to_owned());
            } else {
                let text = |value: &f32| if value.is_nan() { String::new() } else { value.to_string() };
                row.extend(examples.labels_of(i).iter().map(text));
            }
            row.extend(scores.iter().map(ToString::to_string));
            for baseline in baselines {
                row.extend(baseline[i * outputs..(i + 1) * outputs].iter().map(ToString::to_string));
            }
            self.out.write_record(&row)?;
        }
        Ok(())
    }

    /// The whole table.
    ///
    /// # Errors
    /// The table cannot be completed.
    pub fn finish(self) -> Result<Vec<u8>> {
        Ok(self.out.into_inner()?)
    }
}

fn header(task: &Task, classes: &Classes) -> Vec<String> {
    let mut header: Vec<String> = ["name", "chrom", "start", "end", "strand", "split"].map(str::to_owned).into();
    let each = |what: &str| classes.names.iter().map(move |name| format!("{what}_{name}")).collect::<Vec<_>>();
    if task.kind == TaskKind::Profile {
        header.extend(each("log_counts").into_iter().chain(each("predicted_log_counts")));
        return header;
    }
    header.extend(if has_values(task) && task.count > 1 { each("label") } else { vec!["label".into()] });
    header.extend(if task.outputs() > 1 { each("score") } else { vec!["score".into()] });
    header
}

fn is_of_baseline(column: &str) -> bool {
    column.starts_with(BASELINE)
}

fn has_values(task: &Task) -> bool {
    matches!(task.kind, TaskKind::Multilabel | TaskKind::Regression | TaskKind::Profile)
}

/// An example with its prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The name of the example.
    pub name: String,
    /// Chromosome, start, end and strand; empty where there are none.
    pub place: [String; 4],
    /// Its split.
    pub split: Split,
    /// The index of a class, or 0 or 1 for each label, or values; `NaN` where one is missing.
    pub labels: Vec<f64>,
    /// `[outputs]`
    pub scores: Vec<f64>,
}

/// Passes every row of a run's table to `each`.
///
/// # Errors
/// The table cannot be read, or belongs to another task.
pub fn read(path: &Path, task: &Task, classes: &Classes, mut each: impl FnMut(Prediction) -> Result<()>) -> Result<()> {
    let shown = path.display();
    let advice = "restore the file or train again";
    let cannot_read = |error: csv::Error| anyhow!("{shown}: cannot be read ({error}); {advice}");
    let mut reader = csv::Reader::from_path(path).map_err(cannot_read)?;
    let (header, width) = (header(task, classes), if has_values(task) { task.count } else { 1 });
    let found = reader.headers().map_err(cannot_read)?;
    if found.iter().take(header.len()).ne(&header) || !found.iter().skip(header.len()).all(is_of_baseline) {
        bail!(
            "{shown}: line 1: has other columns than the run's question, expected {} ...; {advice}",
            header[..7].join(",")
        );
    }
    let index: HashMap<&str, usize> = classes.names.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let mut row = csv::StringRecord::new();
    while reader.read_record(&mut row).map_err(cannot_read)? {
        let line = row.position().map_or(0, csv::Position::line);
        let fault = |found: &str, expected: &str| {
            anyhow!("{shown}: line {line}: found '{found}', expected {expected}; {advice}")
        };
        let number = |text: &str| {
            text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(|| fault(text, "a number"))
        };
        let labels = if has_values(task) {
            let label = |text: &str| if text.is_empty() { Ok(f64::NAN) } else { number(text) };
            (6..6 + width).map(|column| label(&row[column])).collect::<Result<_>>()?
        } else {
            let class = index.get(&row[6]).ok_or_else(|| fault(&row[6], "a class of the run"))?;
            vec![*class as f64]
        };
        each(Prediction {
            name: row[0].to_owned(),
            place: [1, 2, 3, 4].map(|column| row[column].to_owned()),
            split: Split::named(&row[5]).ok_or_else(|| fault(&row[5], "valid or test"))?,
            labels,
            scores: (6 + width..header.len()).map(|column| number(&row[column])).collect::<Result<_>>()?,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClassWeights;
    use crate::run::write_atomically;

    #[test]
    fn what_was_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.csv");
        let classes = Classes { names: vec!["a,b".into(), "<c>".into()], positive: 0 };
        for (kind, labels, scores, first) in [
            (TaskKind::Binary, vec![1.0, 0.0], vec![0.25, 0.1], (vec![1.0], vec![0.25])),
            (TaskKind::Multiclass, vec![1.0, 0.0], vec![0.25, 0.75, 0.1, 0.9], (vec![1.0], vec![0.25, 0.75])),
            (TaskKind::Regression, vec![1.5, 0.0, -2.0, 3.0], vec![0.5; 4], (vec![1.5, 0.0], vec![0.5; 2])),
        ] {
            let examples = Examples::from_codes(&[0; 4], 2, &labels);
            let task = Task::new(kind, &classes, None, &ClassWeights::None, &examples).unwrap();
            let mut rows = Predictions::new(&task, &classes).unwrap();
            rows.append(Split::Test, &examples, &scores).unwrap();
            write_atomically(&path, &rows.finish().unwrap()).unwrap();
            let mut found = Vec::new();
            read(&path, &task, &classes, |row| {
                found.push(row);
                Ok(())
            })
            .unwrap();
            assert_eq!((found.len(), found[0].split), (2, Split::Test), "{kind:?}");
            assert_eq!((found[0].labels.clone(), found[0].scores.clone()), first, "{kind:?}");
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let task = |kind| {
            Task::new(
                kind,
                &classes,
                None,
                &ClassWeights::None,
                &Examples::from_codes(&[0; 4], 2, &[0.0, 1.0, 0.5, 2.0]),
            )
        };
        let refused = |text: String, kind| {
            std::fs::write(&path, text).unwrap();
            read(&path, &task(kind).unwrap(), &classes, |_| Ok(())).unwrap_err().to_string()
        };
        assert!(
            refused(text.replace("0.5", "half"), TaskKind::Regression)
                .contains("line 2: found 'half', expected a number")
        );
        assert!(refused(text.replace("test", "dream"), TaskKind::Regression).contains("expected valid or test"));
        assert!(refused(text.clone() + "1,2\n", TaskKind::Regression).contains("cannot be read"));
        assert!(refused(text, TaskKind::Binary).contains("other columns than the run's question"));
    }
}
