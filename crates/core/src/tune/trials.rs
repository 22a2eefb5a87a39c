//! `trials.csv`: a row for each trial and rung with its hyperparameters and its outcome.

use std::path::Path;

use anyhow::{Result, anyhow, bail};

use crate::config::search::Search;
use crate::format;
use crate::tune::TrialRun;

/// Outcome of a successful row.
const DONE: &str = "done";

/// Prefix of the outcome of a failed row.
const FAILED: &str = "failed: ";

/// The result of a trial at a rung.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The trial and its rung.
    pub run: TrialRun,
    /// The values of the hyperparameters, in their order.
    pub hyperparameters: Vec<String>,
    /// Metric that the score refers to.
    pub metric: String,
    /// Score, or reason of failure.
    pub outcome: Outcome,
    /// Wall-clock time in seconds.
    pub seconds: f64,
}

/// How the training of a trial at a rung ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Training reached its end.
    Done {
        /// Validation score of the best epoch; higher is better.
        score: f64,
        /// Epoch with that score, counted from 1.
        best_epoch: usize,
    },
    /// Training failed, with the reason.
    Failed(String),
}

impl Row {
    /// The score, if training did not fail.
    pub fn score(&self) -> Option<f64> {
        match self.outcome {
            Outcome::Done { score, .. } => Some(score),
            Outcome::Failed(_) => None,
        }
    }
}

/// The columns for a search.
fn columns(search: &Search) -> Vec<&str> {
    let hyperparameters = search.hyperparameters.iter().map(|hyperparameter| hyperparameter.key.as_str());
    ["trial", "rung", "epochs"]
        .into_iter()
        .chain(hyperparameters)
        .chain(["metric", "score", "best_epoch", "seconds", "outcome"])
        .collect()
}

/// The rows as CSV.
///
/// # Errors
/// A row cannot be written.
pub fn write(search: &Search, rows: &[Row]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns(search))?;
    for row in rows {
        let (score, best_epoch, outcome) = match &row.outcome {
            Outcome::Done { score, best_epoch } => (score.to_string(), best_epoch.to_string(), DONE.to_owned()),
            Outcome::Failed(reason) => (String::new(), String::new(), format!("{FAILED}{reason}")),
        };
        let TrialRun { trial, rung, epochs } = row.run;
        let first = [trial, rung, epochs].map(|number| number.to_string());
        let last = [row.metric.clone(), score, best_epoch, format!("{:.3}", row.seconds), outcome];
        writer.write_record(first.iter().chain(&row.hyperparameters).chain(&last))?;
    }
    Ok(writer.into_inner()?)
}

/// Reads the rows of a search; empty if there is no file yet.
///
/// # Errors
/// The file does not belong to this search, or is damaged; the error names the line.
pub fn read(path: &Path, search: &Search) -> Result<Vec<Row>> {
    let shown = path.display();
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => bail!("{shown}: cannot be read ({error}); make it readable"),
    };
    const MEND: &str = "restore the file, or start over with --force";
    let expected = columns(search);
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let damaged = |error: csv::Error| {
        let error = error.to_string().replace('\n', " ");
        anyhow!("{shown}: is damaged ({error}); {MEND}")
    };
    let header = reader.headers().map_err(damaged)?;
    if header != expected {
        let found = brief(&header.iter().collect::<Vec<_>>().join(","));
        bail!("{shown}: line 1: found the columns '{found}', expected '{}'; {MEND}", expected.join(","));
    }
    if !bytes.ends_with(b"\n") {
        bail!("{shown}: the last line is cut short, expected it to end; {MEND}");
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(damaged)?;
        let line = record.position().map_or(0, csv::Position::line);
        let row = row(&record, search.hyperparameters.len()).map_err(|(column, what)| {
            let (name, found) = (expected[column], brief(&record[column]));
            anyhow!("{shown}: line {line}: found the {name} '{found}', expected {what}; {MEND}")
        })?;
        rows.push(row);
    }
    Ok(rows)
}

/// Shortens a field to a single line for an error.
fn brief(text: &str) -> String {
    format::shortened(&text.replace(['\n', '\r'], " "), 100)
}

/// Parses the fields of a row; the error says which column is wrong and what is expected.
fn row(record: &csv::StringRecord, hyperparameters: usize) -> Result<Row, (usize, &'static str)> {
    let count = |column: usize| match record[column].parse::<usize>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err((column, "a number from 1")),
    };
    let number = |column: usize| match record[column].parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err((column, "a number")),
    };
    let run = TrialRun { trial: count(0)?, rung: count(1)?, epochs: count(2)? };
    let [metric, score, best_epoch, seconds, outcome] = std::array::from_fn(|i| 3 + hyperparameters + i);
    let result = match &record[outcome] {
        DONE => Outcome::Done { score: number(score)?, best_epoch: count(best_epoch)? },
        failed => match failed.strip_prefix(FAILED) {
            Some(reason) => Outcome::Failed(reason.to_owned()),
            None => return Err((outcome, "done, or failed and why")),
        },
    };
    let hyperparameters = record.iter().skip(3).take(hyperparameters).map(str::to_owned).collect();
    Ok(Row { run, hyperparameters, metric: record[metric].to_owned(), outcome: result, seconds: number(seconds)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows() -> Vec<Row> {
        let row = |trial, outcome| Row {
            run: TrialRun { trial, rung: 1, epochs: 3 },
            hyperparameters: ["0.001", "0.25", "0.01"].map(str::to_owned).to_vec(),
            metric: "auroc".into(),
            outcome,
            seconds: 1.5,
        };
        vec![
            row(1, Outcome::Done { score: 0.712_345_678_901_234_5, best_epoch: 2 }),
            row(2, Outcome::Failed("the loss is \"NaN\", expected a number; use a smaller --lr".into())),
        ]
    }

    fn read_text(text: &[u8]) -> Result<Vec<Row>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path(), &Search::usual()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = write(&Search::usual(), &rows()).unwrap();
        assert_eq!(read_text(&text).unwrap(), rows());
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with(
            "trial,rung,epochs,lr,dropout,weight_decay,metric,score,best_epoch,seconds,outcome\n1,1,3,0.001,"
        ));
        assert!(read(Path::new("/nowhere/trials.csv"), &Search::usual()).unwrap().is_empty());
    }

    #[test]
    fn damage_is_one_sentence_with_its_line() {
        let text = String::from_utf8(write(&Search::usual(), &rows()).unwrap()).unwrap();
        for (damaged, part) in [
            (text.replace("dropout", "depth"), "line 1: found the columns 'trial,rung,epochs,lr,depth"),
            (text.replacen(",1,3,", ",0,3,", 1), "line 2: found the rung '0', expected a number from 1"),
            (text.replacen("0.71", "NaN", 1), "line 2: found the score 'NaN"),
            (text.replace("done", "lost"), "line 2: found the outcome 'lost'"),
            (text.replace(",2,1.500,done", ",2,1.500"), "is damaged"),
            (text[..text.len() - 9].to_owned(), "cut short"),
            (String::new(), "line 1"),
        ] {
            let error = read_text(damaged.as_bytes()).unwrap_err();
            assert!(error.contains(part) && !error.contains('\n') && error.contains("--force"), "'{part}': {error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_rows_or_one_sentence(at in 0usize..300, cut in 0usize..300, byte: u8, noise: Vec<u8>) {
            let mut text = write(&Search::usual(), &rows()).unwrap();
            let at = at % text.len();
            text[at] = byte;
            for text in [&text[..], &text[..cut.min(text.len())], &noise] {
                if let Err(error) = read_text(text) {
                    prop_assert!(!error.contains('\n'), "{}", error);
                }
            }
        }
    }
}
