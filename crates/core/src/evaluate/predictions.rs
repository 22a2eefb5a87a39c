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

/// What a table of examples of several folds has in the place of splits, and at the end of each row.
const FOLD: &str = "fold";
const SIMILARITY: &str = "similarity";

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
        header.extend(baseline_columns(task, classes, baselines));
        out.write_record(header)?;
        Ok(Self { out, task, classes })
    }

    /// The same with the fold of each example instead of its split, and how similar it is to the nearest training sequence.
    ///
    /// # Errors
    /// The header cannot be written.
    pub fn of_folds(task: &'a Task, classes: &'a Classes, baselines: &[&str]) -> Result<Self> {
        let mut out = csv::Writer::from_writer(Vec::new());
        let mut header = header(task, classes);
        header[5] = FOLD.into();
        header.extend(baseline_columns(task, classes, baselines));
        header.push(SIMILARITY.into());
        out.write_record(header)?;
        Ok(Self { out, task, classes })
    }

    /// Appends the examples that one fold tests on, with the predictions of each baseline, `[n, outputs]`, and their similarity,
    /// empty where that is not known.
    ///
    /// # Errors
    /// A row cannot be written.
    pub fn append_fold(
        &mut self,
        fold: usize,
        examples: &Examples,
        predictions: &[f64],
        baselines: &[&[f64]],
        similarity: Option<&[f64]>,
    ) -> Result<()> {
        for i in 0..examples.len() {
            let mut row = self.row(&fold.to_string(), examples, i, predictions, baselines);
            row.push(similarity.map_or_else(String::new, |similarity| similarity[i].to_string()));
            self.out.write_record(&row)?;
        }
        Ok(())
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
        for i in 0..examples.len() {
            let row = self.row(split.name(), examples, i, predictions, baselines);
            self.out.write_record(&row)?;
        }
        Ok(())
    }

    fn row(&self, part: &str, examples: &Examples, i: usize, predictions: &[f64], baselines: &[&[f64]]) -> Vec<String> {
        let (outputs, origin) = (self.task.outputs(), &examples.origins[i]);
        let (label, has_class) = match self.task.kind {
            TaskKind::Binary | TaskKind::Multiclass => (self.classes.names[examples.class_of(i)].as_str(), true),
            TaskKind::Multilabel | TaskKind::Regression | TaskKind::Profile => ("", false),
        };
        let mut row = vec![origin.name(label)];
        row.extend(origin.columns());
        row.push(part.into());
        if has_class {
            row.push(label.to_owned());
        } else {
            let text = |value: &f32| if value.is_nan() { String::new() } else { value.to_string() };
            row.extend(examples.labels_of(i).iter().map(text));
        }
        for predictions in std::iter::once(predictions).chain(baselines.iter().copied()) {
            row.extend(predictions[i * outputs..(i + 1) * outputs].iter().map(ToString::to_string));
        }
        row
    }

    /// The whole table.
    ///
    /// # Errors
    /// The table cannot be completed.
    pub fn finish(self) -> Result<Vec<u8>> {
        Ok(self.out.into_inner()?)
    }
}

fn baseline_columns(task: &Task, classes: &Classes, baselines: &[&str]) -> Vec<String> {
    let columns = |baseline: &&str| {
        let name = format!("{BASELINE}{}", baseline.replace(' ', "_"));
        match task.outputs() {
            1 => vec![name],
            _ => classes.names.iter().map(|class| format!("{name}_{class}")).collect(),
        }
    };
    baselines.iter().flat_map(columns).collect()
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
    /// Scores of baselines, those of each after those of the one before, `[baselines, outputs]`.
    pub baselines: Vec<f64>,
}

/// Passes every row of a run's table to `each`.
///
/// # Errors
/// The table cannot be read, or belongs to another task.
pub fn read(path: &Path, task: &Task, classes: &Classes, mut each: impl FnMut(Prediction) -> Result<()>) -> Result<()> {
    read_rows(path, task, classes, "split", |text, mut prediction| {
        prediction.split = Split::named(text).ok_or("valid or test")?;
        Ok(each(prediction))
    })
}

/// Passes every row of a table of folds to `each`, with its fold.
///
/// # Errors
/// As [`read`].
pub fn read_folds(
    path: &Path,
    task: &Task,
    classes: &Classes,
    mut each: impl FnMut(usize, Prediction) -> Result<()>,
) -> Result<()> {
    read_rows(path, task, classes, FOLD, |text, prediction| {
        let fold = text.parse().map_err(|_| "the number of a fold")?;
        Ok(each(fold, prediction))
    })
}

/// Reads rows in which `part` stands for the split; `each` takes what is there, or says what was expected.
fn read_rows(
    path: &Path,
    task: &Task,
    classes: &Classes,
    part: &str,
    mut each: impl FnMut(&str, Prediction) -> std::result::Result<Result<()>, &'static str>,
) -> Result<()> {
    let shown = path.display();
    let advice = "restore the file or train again";
    let cannot_read = |error: csv::Error| anyhow!("{shown}: cannot be read ({error}); {advice}");
    let mut reader = csv::Reader::from_path(path).map_err(cannot_read)?;
    let (mut header, width) = (header(task, classes), if has_values(task) { task.count } else { 1 });
    header[5] = part.into();
    let found = reader.headers().map_err(cannot_read)?;
    let is_beside = |column: &str| is_of_baseline(column) || (column == SIMILARITY && part == FOLD);
    if found.iter().take(header.len()).ne(&header) || !found.iter().skip(header.len()).all(is_beside) {
        bail!(
            "{shown}: line 1: has other columns than the run's question, expected {} ...; {advice}",
            header[..7].join(",")
        );
    }
    let baselines: Vec<usize> =
        found.iter().enumerate().filter(|(_, name)| is_of_baseline(name)).map(|(i, _)| i).collect();
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
        let prediction = Prediction {
            name: row[0].to_owned(),
            place: [1, 2, 3, 4].map(|column| row[column].to_owned()),
            split: Split::Test,
            labels,
            scores: (6 + width..header.len()).map(|column| number(&row[column])).collect::<Result<_>>()?,
            baselines: baselines.iter().map(|&column| number(&row[column])).collect::<Result<_>>()?,
        };
        each(&row[5], prediction).map_err(|expected| fault(&row[5], expected))??;
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
