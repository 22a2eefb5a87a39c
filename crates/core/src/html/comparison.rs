//! The report of several runs side by side, the others compared with the first.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Result, bail};
use askama::Template;
use serde_json::{Value, json};

use crate::config::TaskKind;
use crate::dataset::manifest;
use crate::dataset::split::Split;
use crate::evaluate::dependence;
use crate::evaluate::predictions::Prediction;
use crate::evaluate::results::Metric;
use crate::figures::curves;
use crate::format::{self, thousands};
use crate::html::files::RunFiles;
use crate::html::metric_text::{self, interval, meaning, title};
use crate::html::picture::Picture;
use crate::html::table::{Cell, Table};
use crate::html::tracks::Tracks;
use crate::html::{question, quoted, settings};
use crate::metrics::blocks::BlockKind;
use crate::metrics::paired::{Paired, delong};
use crate::metrics::{Blocks, Ranking};
use crate::run::{EXAMPLES_TSV, FORMAT_VERSION};
use crate::sequence::alphabet;

/// A comparison in all its forms.
pub struct Comparison {
    /// The report as HTML.
    pub html: String,
    /// Metrics and differences as tables for a terminal.
    pub text: String,
    /// The same for programs.
    pub json: Value,
}

/// Compares runs with the first of them.
///
/// # Errors
/// The runs have tasks of different kinds, or their files are missing or damaged.
pub fn report(runs: &[RunFiles]) -> Result<Comparison> {
    check_kinds(runs)?;
    for run in runs {
        run.provenance.check_trained_here(&run.folder.path, "evaluate each run on the same data")?;
    }
    let (names, kind) = (names(runs), runs[0].task().kind);
    let tests: Vec<Tested> = runs.iter().map(Tested::of).collect::<Result<_>>()?;
    let main = runs[0].metrics.test.main().map_or("auroc", |(name, _)| name);
    let estimates = runs.iter().map(|run| run.metrics.test.get(main).and_then(Metric::estimate));
    let (metrics, same_test) = (metrics(runs, &names), same_test(&tests));
    let blocks = tests[0].blocks(&runs[0])?;
    let found: Vec<_> = tests[1..].iter().map(|test| difference(&tests[0], test, &blocks)).collect();
    let differences = (kind == TaskKind::Binary).then(|| differences(&found, &names));
    let mut text = metrics.to_text();
    if let Some(differences) = &differences {
        text.push_str(&format!("\n{}", differences.to_text()));
        if let Some(blocks) = blocks.summary() {
            text.push_str(&format!("p-values take {} as independent of each other\n", blocks.describe()));
        }
    }
    let json = json(runs, &names, same_test, &blocks, if kind == TaskKind::Binary { &found } else { &[] });
    let report = ComparisonReport {
        version: env!("CARGO_PKG_VERSION"),
        first: names[0].clone(),
        count: runs.len(),
        question: question::question(&runs[0]),
        same_test,
        overview: overview(runs, &names),
        tracks: Tracks::close_up(main, names.iter().cloned().zip(estimates).collect()),
        settings: settings::differing(runs, &names),
        metrics,
        roc: if kind == TaskKind::Binary { roc(&tests, &names)? } else { None },
        curves_left_out: names.len().saturating_sub(curves::MOST_CURVES),
        differences,
        several_tests: runs.len() > 2,
        blocks: blocks.summary().map(|blocks| blocks.describe()),
        commands: runs.iter().map(|run| question::command_line(&run.provenance.command)).collect(),
        again: again(runs),
    };
    Ok(Comparison { html: report.render()?, text, json })
}

/// The runs with the metrics of their tests, and the differences from the first.
fn json(runs: &[RunFiles], names: &[String], same_test: bool, blocks: &Blocks, differences: &[Difference]) -> Value {
    let each = runs.iter().zip(names).map(|(run, name)| {
        let provenance = &run.provenance;
        json!({
            "name": name,
            "folder": run.folder.path,
            "arch": provenance.config.model.arch.name(),
            "ensemble": provenance.config.training.ensemble,
            "parameter_count": provenance.parameter_count,
            "seconds": provenance.outcome.as_ref().map(|outcome| outcome.seconds),
            "test": run.metrics.test,
        })
    });
    let corrected = corrected(differences);
    let method = if blocks.are_examples() { "delong" } else { "clustered-delong" };
    let differences =
        differences.iter().zip(&names[1..]).zip(corrected).map(|((difference, name), holm)| match difference {
            Ok(Paired { difference, low, high, p_value }) => json!({
                "run": name, "metric": "auroc", "value": difference, "low": low, "high": high, "p_value": p_value,
                "p_value_holm": holm, "method": method,
            }),
            Err(why) => json!({"run": name, "metric": "auroc", "value": null, "reason": why}),
        });
    json!({
        "format_version": FORMAT_VERSION,
        "first": names[0],
        "same_test": same_test,
        "blocks": blocks.summary(),
        "runs": each.collect::<Vec<_>>(),
        "differences": differences.collect::<Vec<_>>(),
    })
}

#[derive(Template)]
#[template(path = "comparison.html")]
struct ComparisonReport {
    version: &'static str,
    first: String,
    count: usize,
    question: String,
    same_test: bool,
    overview: Table,
    tracks: Tracks,
    settings: Option<Table>,
    metrics: Table,
    roc: Option<Picture>,
    curves_left_out: usize,
    differences: Option<Table>,
    /// Whether there are several p-values, of which one may be small by chance.
    several_tests: bool,
    /// What the test takes as independent, where that is not each example.
    blocks: Option<String>,
    commands: Vec<String>,
    again: String,
}

fn check_kinds(runs: &[RunFiles]) -> Result<()> {
    let [first, others @ ..] = runs else { bail!("no runs are named, expected two or more; name them") };
    let path = |run: &RunFiles| run.folder.path.display().to_string();
    for other in others {
        let [own, expected] = [other, first].map(|run| question::kind_in_words(run.task().kind));
        if own != expected {
            bail!(
                "{}: predicts {own}, expected {expected} as {}; compare runs of one kind of question",
                path(other),
                path(first)
            );
        }
    }
    Ok(())
}

/// Names of the folders, or their paths as given if two names are equal.
fn names(runs: &[RunFiles]) -> Vec<String> {
    let names: Vec<String> = runs.iter().map(RunFiles::name).collect();
    let are_distinct = names.iter().enumerate().all(|(i, name)| !names[..i].contains(name));
    if are_distinct { names } else { runs.iter().map(|run| run.folder.path.display().to_string()).collect() }
}

/// The test examples of a run and, for binary tasks, their scores.
struct Tested {
    /// Equal for the same examples with the same labels, in any order.
    fingerprint: (usize, u64),
    /// Scores of binary tasks, sorted by example.
    rows: Vec<Row>,
}

struct Row {
    name: String,
    place: [String; 4],
    is_positive: bool,
    score: f64,
}

impl Tested {
    fn of(run: &RunFiles) -> Result<Self> {
        let (mut n, mut sum, mut rows) = (0, 0u64, Vec::new());
        let kind = run.task().kind;
        run.predictions(|Prediction { name, place, split, labels, scores, .. }| {
            if split != Split::Test {
                return Ok(());
            }
            let mut hasher = DefaultHasher::new();
            (&name, &place).hash(&mut hasher);
            match kind {
                TaskKind::Binary | TaskKind::Multiclass => run.classes.names[labels[0] as usize].hash(&mut hasher),
                _ => labels.iter().for_each(|label| label.to_bits().hash(&mut hasher)),
            }
            (n, sum) = (n + 1, sum.wrapping_add(hasher.finish()));
            if kind == TaskKind::Binary {
                let is_positive = labels[0] as usize == run.task().positive;
                rows.push(Row { name, place, is_positive, score: scores[0] });
            }
            Ok(())
        })?;
        // Examples with the same name, place and label are indistinguishable, so their scores are paired in order.
        rows.sort_by(|a, b| (&a.name, &a.place, a.is_positive).cmp(&(&b.name, &b.place, b.is_positive)));
        Ok(Self { fingerprint: (n, sum), rows })
    }

    fn positives(&self) -> Vec<bool> {
        self.rows.iter().map(|row| row.is_positive).collect()
    }

    /// The blocks that examples of binary tasks lie in: those that the run itself has.
    fn blocks(&self, run: &RunFiles) -> Result<Blocks> {
        let places = self.rows.iter().map(|row| &row.place);
        let alone = || Blocks::each(self.rows.len());
        if let Some(blocks) = dependence::blocks_of_rows(places, run.provenance.config.training.block_length) {
            return Ok(blocks);
        }
        let of_run = run.metrics.test.blocks.as_ref().map(|blocks| blocks.kind);
        let Some(path) = run.file(EXAMPLES_TSV)?.filter(|_| of_run == Some(BlockKind::NearCopies)) else {
            return Ok(alone());
        };
        let positive = &run.classes.names[run.task().positive];
        let mut listed: HashMap<(String, bool), VecDeque<Vec<u8>>> = HashMap::new();
        manifest::sequences(&path, |split, name, label, sequence| {
            let mut codes = Vec::new();
            if split == Split::Test && !sequence.is_empty() && alphabet::encode(sequence.as_bytes(), &mut codes).is_ok()
            {
                listed.entry((name.to_owned(), label == positive)).or_default().push_back(codes);
            }
        })?;
        let of_row = |row: &Row| listed.get_mut(&(row.name.clone(), row.is_positive))?.pop_front();
        let sequences: Option<Vec<Vec<u8>>> = self.rows.iter().map(of_row).collect();
        Ok(sequences.map_or_else(alone, |sequences| {
            dependence::blocks_of_near_copies(&sequences.iter().map(Vec::as_slice).collect::<Vec<_>>())
        }))
    }

    fn scores(&self) -> Vec<f64> {
        self.rows.iter().map(|row| row.score).collect()
    }
}

fn same_test(tests: &[Tested]) -> bool {
    tests.iter().all(|test| test.fingerprint == tests[0].fingerprint)
}

fn overview(runs: &[RunFiles], names: &[String]) -> Table {
    let columns = [("run", false), ("folder", false), ("network", false), ("parameters", true), ("training", true)];
    let mut table = Table::new("Runs", &columns);
    for (run, name) in runs.iter().zip(names) {
        let training = &run.provenance.config.training;
        let arch = run.provenance.config.model.arch.name();
        let network = if training.ensemble > 1 { format!("{} {arch}", training.ensemble) } else { arch.to_owned() };
        let parameters = thousands(run.provenance.parameter_count);
        let seconds = run.provenance.outcome.as_ref().map(|outcome| outcome.seconds);
        let seconds = seconds.map_or_else(|| "–".into(), |seconds| format!("{seconds:.1} s"));
        table.row([name.clone(), run.folder.path.display().to_string(), network, parameters, seconds].map(Cell::from));
    }
    table
}

/// Table of all metrics, with a column for each run.
fn metrics(runs: &[RunFiles], names: &[String]) -> Table {
    let mut table = Table::new("Metrics of the test, with 95 % intervals", &[("metric", false)]);
    names.iter().for_each(|name| table.column(name.clone(), true));
    table.row(
        [Cell::from("Test examples")].into_iter().chain(runs.iter().map(|run| thousands(run.metrics.test.n).into())),
    );
    let kind = runs[0].task().kind;
    for (name, _) in runs[0].metrics.test.metrics.iter() {
        let of = |run: &RunFiles| {
            run.metrics
                .test
                .get(name)
                .map_or_else(|| "–".into(), |metric| Cell::noted(metric_text::value(Some(metric)), interval(metric)))
        };
        table.row([Cell::noted(title(name), meaning(name, kind))].into_iter().chain(runs.iter().map(of)));
    }
    table
}

/// ROC curves of all runs; `None` if no test set has both classes.
fn roc(tests: &[Tested], names: &[String]) -> Result<Option<Picture>> {
    let rankings: Vec<Ranking> = tests.iter().map(|test| Ranking::new(&test.positives(), &test.scores())).collect();
    let each = names.iter().zip(&rankings);
    let curves: Vec<_> = each.filter_map(|(name, ranking)| Some((name.as_str(), ranking, ranking.auroc()?))).collect();
    if curves.is_empty() {
        return Ok(None);
    }
    let areas: Vec<String> =
        curves.iter().map(|(name, _, area)| format!("{name} AUROC {}", format::metric(*area))).collect();
    let figure = curves::roc_curves("ROC curves, test", &curves)?;
    Picture::of(&figure.png, format!("ROC curves of the runs: {}", areas.join(", "))).map(Some)
}

/// Difference in AUROC between each run and the first, tested if both have the same test examples.
fn differences(found: &[Difference], names: &[String]) -> Table {
    let columns = [("run", false), ("difference", true), ("95 % interval", true), ("p", true)];
    let mut table = Table::new(format!("AUROC less that of {}", names[0]), &columns);
    let are_several = found.len() > 1;
    if are_several {
        table.column("p, Holm", true);
    }
    if found.iter().any(std::result::Result::is_err) {
        table.column("why there is none", false);
    }
    let p_text = |p: f64| if p > 0.0 { format::p_value(p.ln()) } else { "< 1e-300".into() };
    for ((found, name), holm) in found.iter().zip(&names[1..]).zip(corrected(found)) {
        let (cells, why) = match found {
            Ok(Paired { difference, low, high, p_value }) => {
                ([format!("{difference:+.4}"), format!("{low:+.4} to {high:+.4}"), p_text(*p_value)], String::new())
            }
            Err(why) => (["–".into(), "–".into(), "–".into()], (*why).to_owned()),
        };
        let holm = are_several.then(|| holm.map_or_else(|| "–".into(), p_text));
        table.row(std::iter::once(name.clone()).chain(cells).chain(holm).chain([why]).map(Cell::from));
    }
    table
}

/// The p-values, corrected for their number (Holm, 1979).
fn corrected(found: &[Difference]) -> Vec<Option<f64>> {
    let mut order: Vec<(usize, f64)> =
        found.iter().enumerate().filter_map(|(i, found)| Some((i, found.as_ref().ok()?.p_value))).collect();
    order.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let (count, mut largest, mut corrected) = (order.len(), 0.0f64, vec![None; found.len()]);
    for (rank, (i, p)) in order.into_iter().enumerate() {
        largest = largest.max(p * (count - rank) as f64).min(1.0);
        corrected[i] = Some(largest);
    }
    corrected
}

/// A difference, or why there is none.
type Difference = std::result::Result<Paired, &'static str>;

/// DeLong's test of two runs, of blocks of examples, or the reason why it does not apply.
fn difference(first: &Tested, other: &Tested, blocks: &Blocks) -> Difference {
    if first.fingerprint != other.fingerprint {
        return Err("they were tested on different examples, so no p-value is given");
    }
    let positives = first.positives();
    if positives != other.positives() {
        return Err("its positive class is the other one, so no p-value is given");
    }
    if [true, false].iter().any(|class| blocks.too_few_of(|example| positives[example] == *class).is_some()) {
        return Err("a class has fewer than ten examples, or lies in fewer than five blocks, so no p-value is given");
    }
    let found = delong(&positives, &first.scores(), &other.scores(), blocks);
    found.ok_or("both rank the examples alike, so no p-value is given")
}

/// The command that writes the report again.
fn again(runs: &[RunFiles]) -> String {
    let folders: Vec<String> = runs.iter().map(|run| quoted(&run.folder.path.to_string_lossy())).collect();
    format!("strandnet report {}", folders.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tested(fingerprint: u64, rows: &[(bool, f64)]) -> Tested {
        let row = |(i, &(is_positive, score)): (usize, &(bool, f64))| Row {
            name: format!("e{i}"),
            place: Default::default(),
            is_positive,
            score,
        };
        Tested { fingerprint: (rows.len(), fingerprint), rows: rows.iter().enumerate().map(row).collect() }
    }

    #[test]
    fn p_values_of_several_runs_are_corrected_as_statsmodels_does() {
        let found = |p_value| Ok(Paired { difference: 0.1, low: 0.0, high: 0.2, p_value });
        let corrected = corrected(&[found(0.04), found(0.001), Err("none"), found(0.03), found(0.8)]);
        // statsmodels.stats.multitest.multipletests([0.04, 0.001, 0.03, 0.8], method="holm"), version 0.14.
        let expected: [Option<f64>; 5] = [Some(0.09), Some(0.004), None, Some(0.09), Some(0.8)];
        for (found, expected) in corrected.into_iter().zip(expected) {
            assert_eq!(found.map(|p| (p * 1e9).round()), expected.map(|p| (p * 1e9).round()));
        }
    }

    #[test]
    fn a_p_value_is_given_only_for_the_same_examples_and_the_same_question() {
        let wave = |of: f64| {
            move |i: usize| (i.is_multiple_of(2), (i as f64 * of).fract() + if i.is_multiple_of(2) { 0.3 } else { 0.0 })
        };
        let [first, other] = [0.618, 0.414].map(|of| tested(1, &(0..40).map(wave(of)).collect::<Vec<_>>()));
        let difference = |first: &Tested, other: &Tested| difference(first, other, &Blocks::each(first.rows.len()));
        let found = difference(&first, &other).unwrap();
        let area = |test: &Tested| Ranking::new(&test.positives(), &test.scores()).auroc().unwrap();
        assert!((found.difference - (area(&other) - area(&first))).abs() < 1e-12, "{found:?}");
        assert!(found.difference != 0.0 && (0.0..1.0).contains(&found.p_value), "{found:?}");
        assert!(difference(&first, &tested(2, &[])).unwrap_err().contains("different examples"));
        let swapped: Vec<(bool, f64)> = first.rows.iter().map(|row| (!row.is_positive, row.score)).collect();
        assert!(difference(&first, &tested(1, &swapped)).unwrap_err().contains("positive class"));
        assert!(difference(&first, &first).unwrap_err().contains("alike"));
    }

    /// As with intervals: p-values from so few are no better than a guess.
    #[test]
    fn small_classes_have_no_p_value() {
        let of = |i: usize, share: f64| (i < 9, (i as f64 * share).fract());
        let [first, other] = [0.618, 0.414].map(|share| tested(1, &(0..200).map(|i| of(i, share)).collect::<Vec<_>>()));
        assert!(difference(&first, &other, &Blocks::each(200)).unwrap_err().contains("fewer than ten"));
        let four = Blocks::of_keys((0..200).map(|i| Some(i % 4)), BlockKind::NearCopies);
        assert!(difference(&first, &other, &four).unwrap_err().contains("five blocks"));
    }
}
