//! The report of several cross-validations side by side, the others compared with the first: fold by fold, by the corrected
//! resampled t-test (Nadeau and Bengio, 2003), and over all examples, by DeLong's test of blocks of examples (Obuchowski, 1997).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use askama::Template;
use serde_json::{Value, json};

use crate::config::TaskKind;
use crate::dataset::Classes;
use crate::evaluate::dependence;
use crate::evaluate::folds::FoldResults;
use crate::evaluate::predictions;
use crate::evaluate::results::Metric;
use crate::figures::folds::spread;
use crate::format::{self, thousands};
use crate::html::comparison::Comparison;
use crate::html::metric_text::{self, interval, meaning, title};
use crate::html::table::{Cell, Table};
use crate::html::tracks::Tracks;
use crate::html::{question, quoted, shell_words};
use crate::metrics::Blocks;
use crate::metrics::paired::{Paired, delong};
use crate::metrics::resampled::{ResampledTest, resampled_t_test};
use crate::run::{CV_JSON, FORMAT_VERSION, FoldFolder, PREDICTIONS_CSV, RunFolder, ensemble_of};
use crate::task::Task;

/// A cross-validation as comparisons read it.
struct Side {
    path: PathBuf,
    folds: FoldFolder,
    results: FoldResults,
    task: Task,
    /// Out-of-fold scores, sorted by example.
    rows: Vec<Row>,
}

struct Row {
    fold: usize,
    name: String,
    place: [String; 4],
    labels: Vec<f64>,
    score: f64,
}

impl Side {
    fn open(path: &Path) -> Result<Self> {
        let (_, provenance) = RunFolder::open_finished(&ensemble_of(path)?)?;
        let results = FoldResults::read(&path.join(CV_JSON))?;
        let (task, classes) = (provenance.task()?.clone(), provenance.classes()?);
        let rows = rows(path, &task, &classes)?;
        Ok(Self { path: path.into(), folds: FoldFolder::open(path)?, results, task, rows })
    }

    fn name(&self) -> String {
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
    }

    /// The same for the same examples in the same folds, or `None` for one fold that is not there.
    fn fingerprint(&self, fold: Option<usize>) -> (usize, u64) {
        let chosen = self.rows.iter().filter(|row| fold.is_none_or(|fold| row.fold == fold));
        let hash = |row: &Row| {
            let mut hasher = DefaultHasher::new();
            (&row.name, &row.place).hash(&mut hasher);
            row.labels.iter().for_each(|label| label.to_bits().hash(&mut hasher));
            hasher.finish()
        };
        chosen.fold((0, 0), |(n, sum), row| (n + 1, sum.wrapping_add(hash(row))))
    }

    fn positives(&self) -> Vec<bool> {
        self.rows.iter().map(|row| row.labels[0] as usize == self.task.positive).collect()
    }

    fn scores(&self) -> Vec<f64> {
        self.rows.iter().map(|row| row.score).collect()
    }
}

fn rows(path: &Path, task: &Task, classes: &Classes) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    predictions::read_folds(&path.join(PREDICTIONS_CSV), task, classes, |fold, found| {
        rows.push(Row { fold, name: found.name, place: found.place, labels: found.labels, score: found.scores[0] });
        Ok(())
    })?;
    let bits = |row: &Row| row.labels.iter().map(|label| label.to_bits()).collect::<Vec<_>>();
    rows.sort_by(|a, b| (&a.name, &a.place, bits(a)).cmp(&(&b.name, &b.place, bits(b))));
    Ok(rows)
}

/// A difference over folds, or why there is none.
type OverFolds = std::result::Result<ResampledTest, &'static str>;
/// A difference over all examples, or why there is none.
type Pooled = std::result::Result<Paired, &'static str>;

/// Compares cross-validations with the first of them.
///
/// # Errors
/// They answer questions of different kinds, or their files are missing or damaged.
pub fn report(paths: &[PathBuf]) -> Result<Comparison> {
    let sides: Vec<Side> = paths.iter().map(|path| Side::open(path)).collect::<Result<_>>()?;
    let first = &sides[0];
    for other in &sides[1..] {
        let [own, expected] = [other, first].map(|side| question::kind_in_words(side.task.kind));
        if own != expected {
            bail!(
                "{}: predicts {own}, expected {expected} as {}; compare cross-validations of one kind of question",
                other.path.display(),
                first.path.display()
            );
        }
    }
    let names = names(&sides);
    let main = first.results.main().map_or_else(|| "auroc".into(), |(name, _)| name.to_owned());
    let blocks = blocks(first)?;
    let found: Vec<(OverFolds, Pooled)> =
        sides[1..].iter().map(|other| (over_folds(first, other, &main), pooled(first, other, &blocks))).collect();
    let (metrics, differences) = (metrics(&sides, &names), differences(&found, &names, &main));
    let text = format!("{}\n{}", metrics.to_text(), differences.to_text());
    let estimates = sides.iter().map(|side| {
        let pooled = side.results.main().and_then(|(_, main)| main.pooled.as_ref());
        pooled.and_then(Metric::estimate)
    });
    let command = shell_words(["strandnet", "report"]);
    let again = paths.iter().fold(command, |line, path| format!("{line} {}", quoted(&path.display().to_string())));
    let comparison = FoldComparisonReport {
        version: env!("CARGO_PKG_VERSION"),
        first: names[0].clone(),
        count: sides.len(),
        tracks: Tracks::close_up(&main, names.iter().cloned().zip(estimates).collect()),
        metrics,
        differences,
        blocks: blocks.summary().map(|blocks| blocks.describe()),
        is_binary: first.task.kind == TaskKind::Binary,
        commands: sides.iter().map(|side| question::command_line(&side.folds.command)).collect(),
        again,
    };
    Ok(Comparison { html: comparison.render()?, text, json: json(&sides, &names, &main, &blocks, &found) })
}

#[derive(Template)]
#[template(path = "fold_comparison.html")]
struct FoldComparisonReport {
    version: &'static str,
    first: String,
    count: usize,
    tracks: Tracks,
    metrics: Table,
    differences: Table,
    blocks: Option<String>,
    is_binary: bool,
    commands: Vec<String>,
    again: String,
}

fn names(sides: &[Side]) -> Vec<String> {
    let names: Vec<String> = sides.iter().map(Side::name).collect();
    let are_distinct = names.iter().enumerate().all(|(i, name)| !names[..i].contains(name));
    if are_distinct { names } else { sides.iter().map(|side| side.path.display().to_string()).collect() }
}

fn blocks(side: &Side) -> Result<Blocks> {
    let length = side.folds.config.training.block_length;
    let of_places = dependence::blocks_of_rows(side.rows.iter().map(|row| &row.place), length);
    Ok(of_places.unwrap_or_else(|| Blocks::each(side.rows.len())))
}

fn over_folds(first: &Side, other: &Side, main: &str) -> OverFolds {
    let (own, theirs) = (&first.results, &other.results);
    if own.folds.len() != theirs.folds.len() {
        return Err("they have different numbers of folds");
    }
    if (0..own.folds.len()).any(|fold| first.fingerprint(Some(fold)) != other.fingerprint(Some(fold))) {
        return Err("their folds test on different examples");
    }
    let of = |results: &FoldResults| {
        let found = results.metrics.iter().find(|(name, _)| name == main)?;
        found.1.folds.iter().copied().collect::<Option<Vec<f64>>>()
    };
    let (Some(own_values), Some(their_values)) = (of(own), of(theirs)) else {
        return Err("the metric is undefined in a fold");
    };
    let differences: Vec<f64> = own_values.iter().zip(&their_values).map(|(own, their)| their - own).collect();
    let share =
        |fold: &crate::evaluate::folds::FoldSummary| fold.examples.test as f64 / fold.examples.train.max(1) as f64;
    let test_share = own.folds.iter().map(share).sum::<f64>() / own.folds.len() as f64;
    resampled_t_test(&differences, test_share).ok_or("the folds do not differ from each other, or are too few")
}

fn pooled(first: &Side, other: &Side, blocks: &Blocks) -> Pooled {
    if first.task.kind != TaskKind::Binary {
        return Err("DeLong's test is of two classes");
    }
    if first.fingerprint(None) != other.fingerprint(None) {
        return Err("they tested on different examples");
    }
    let positives = first.positives();
    if positives != other.positives() {
        return Err("the positive class is the other one");
    }
    let too_few = |class: bool| blocks.too_few_of(|example| positives[example] == class).is_some();
    if too_few(true) || too_few(false) {
        return Err("a class has fewer than ten examples, or lies in fewer than five blocks");
    }
    delong(&positives, &first.scores(), &other.scores(), blocks).ok_or("both rank the examples alike")
}

fn metrics(sides: &[Side], names: &[String]) -> Table {
    let mut table =
        Table::new("Metrics: out of fold, with 95 % intervals, and mean (sd) of folds", &[("metric", false)]);
    for name in names {
        table.column(name.clone(), true);
        table.column("mean (sd)", true);
    }
    let counts = sides.iter().flat_map(|side| [thousands(side.results.n).into(), Cell::from("")]);
    table.row([Cell::from("Examples tested")].into_iter().chain(counts));
    for (name, _) in &sides[0].results.metrics {
        let of = |side: &Side| {
            let found = side.results.metrics.iter().find(|(own, _)| own == name).map(|(_, found)| found);
            let pooled = found.and_then(|found| found.pooled.as_ref());
            let cell = pooled.map_or_else(
                || Cell::from("–"),
                |metric| Cell::noted(metric_text::value(Some(metric)), interval(metric)),
            );
            [cell, found.map_or_else(|| Cell::from("–"), |found| spread(found).into())]
        };
        let note = meaning(name, sides[0].task.kind);
        table.row([Cell::noted(title(name), note)].into_iter().chain(sides.iter().flat_map(of)));
    }
    table
}

fn p_text(p: f64) -> String {
    if p > 0.0 { format::p_value(p.ln()) } else { "< 1e-300".into() }
}

fn differences(found: &[(OverFolds, Pooled)], names: &[String], main: &str) -> Table {
    let columns = [("", false), ("test", false), ("difference", true), ("95 % interval", true), ("p", true)];
    let mut table = Table::new(format!("{} less that of {}", title(main), names[0]), &columns);
    let has_reasons = found.iter().any(|(folds, pooled)| folds.is_err() || pooled.is_err());
    if has_reasons {
        table.column("why there is none", false);
    }
    let cells = |found: Option<(f64, f64, f64, f64)>, why: &str| {
        let [difference, interval, p] = match found {
            Some((value, low, high, p)) => [format!("{value:+.4}"), format!("{low:+.4} to {high:+.4}"), p_text(p)],
            None => ["–".into(), "–".into(), "–".into()],
        };
        [difference, interval, p, why.to_owned()]
    };
    for ((folds, pooled), name) in found.iter().zip(&names[1..]) {
        let of_folds = match folds {
            Ok(test) => cells(Some((test.mean, test.low, test.high, test.p_value)), ""),
            Err(why) => cells(None, why),
        };
        let of_all = match pooled {
            Ok(test) => cells(Some((test.difference, test.low, test.high, test.p_value)), ""),
            Err(why) => cells(None, why),
        };
        for (test, row) in
            [("folds, corrected resampled t-test", of_folds), ("out of fold, DeLong's test in blocks", of_all)]
        {
            table.row([name.clone(), test.to_owned()].into_iter().chain(row).map(Cell::from));
        }
    }
    table
}

fn json(sides: &[Side], names: &[String], main: &str, blocks: &Blocks, found: &[(OverFolds, Pooled)]) -> Value {
    let each = sides.iter().zip(names).map(|(side, name)| {
        json!({"name": name, "folder": side.path, "metrics": side.results.metrics.iter().map(|(name, found)| (name.clone(), json!(found))).collect::<serde_json::Map<_, _>>()})
    });
    let differences = found.iter().zip(&names[1..]).map(|((folds, pooled), name)| {
        let of_folds = match folds {
            Ok(test) => json!({
                "value": test.mean, "low": test.low, "high": test.high, "p_value": test.p_value, "t": test.t,
                "degrees_of_freedom": test.degrees_of_freedom, "method": "corrected-resampled-t-test",
                "source": "Nadeau and Bengio, Inference for the generalization error, Machine Learning 52, 2003",
            }),
            Err(why) => json!({"value": null, "reason": why}),
        };
        let method = if blocks.are_examples() { "delong" } else { "clustered-delong" };
        let of_all = match pooled {
            Ok(test) => json!({
                "value": test.difference, "low": test.low, "high": test.high, "p_value": test.p_value, "method": method,
            }),
            Err(why) => json!({"value": null, "reason": why}),
        };
        json!({"run": name, "metric": main, "folds": of_folds, "pooled": of_all})
    });
    json!({
        "format_version": FORMAT_VERSION,
        "first": names[0],
        "blocks": blocks.summary(),
        "runs": each.collect::<Vec<_>>(),
        "differences": differences.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_that_cannot_be_told_say_why() {
        let test = resampled_t_test(&[0.01, 0.02, 0.04], 0.5).unwrap();
        let found = [(Ok(test), Err("DeLong's test is of two classes"))];
        let text = differences(&found, &["a".into(), "b".into()], "pearson").to_text();
        assert!(text.contains("corrected resampled t-test") && text.contains("of two classes"), "{text}");
        assert!(text.contains("+0.0233"), "{text}");
    }
}
