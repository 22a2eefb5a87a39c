//! The report of a cross-validation.

use std::path::Path;

use anyhow::Result;
use askama::Template;

use crate::evaluate::folds::{FoldResults, OverFolds};
use crate::evaluate::results::Metric;
use crate::figures::folds::spread;
use crate::format::{self, thousands};
use crate::html::metric_text::{self, in_words, interval, meaning, title};
use crate::html::picture::Picture;
use crate::html::run::{by_share, of_groups};
use crate::html::table::{Cell, Table};
use crate::html::{listed, question, quoted};
use crate::run::{CV_JSON, FOLD_PICTURES, FoldFolder, RunFolder};

const ADVICE: &str = "remove cv.json and join the folds again with cv --resume";

/// The report of a finished cross-validation as HTML.
///
/// # Errors
/// It is not finished, or its files are damaged.
pub fn of(path: &Path) -> Result<(String, FoldResults)> {
    let results = FoldResults::read(&path.join(CV_JSON))?;
    let html = report(&RunFolder { path: path.into() }, &results, &FoldFolder::open(path)?)?;
    Ok((html, results))
}

/// The report as HTML.
///
/// # Errors
/// A picture is missing or damaged.
pub fn report(folder: &RunFolder, results: &FoldResults, folds: &FoldFolder) -> Result<String> {
    let path = folder.path.display().to_string();
    let picture = |name: &str, alt: &str| -> Result<Option<Picture>> {
        let path = folder.file(name);
        if path.is_file() { Picture::read(&path, alt, ADVICE).map(Some) } else { Ok(None) }
    };
    let mut pictures = Vec::new();
    for (name, alt) in [
        ("roc.png", "ROC curves of folds and their mean"),
        (FOLD_PICTURES[0], "The main metric of each fold, with intervals"),
        ("breakdown.png", "The main metric by group of examples, with intervals; the numbers are in the tables"),
        ("scatter.png", "Predicted against observed values, each by the networks that did not see it"),
        ("profiles.png", "Peaks from the best to the worst prediction, observed and predicted"),
        ("calibration.png", "Calibration curve: predicted probability against observed frequency"),
        ("confusion.png", "Confusion matrix"),
    ] {
        pictures.extend(picture(name, alt)?);
    }
    let pooled = &results.pooled;
    let report = FoldsReport {
        version: env!("CARGO_PKG_VERSION"),
        count: results.folds.len(),
        summary: summary(results),
        folds: of_folds(results),
        metrics: metrics("Metrics over folds, and of all examples together", results, &results.metrics, true),
        profiles: profiles(results),
        baselines: baselines(results),
        groups: [
            ("By similarity to the nearest training sequence", "12-mers in common", by_share(&pooled.by_similarity)),
            ("By GC content", "GC content", by_share(&pooled.by_gc)),
            ("By share of soft-masked bases", "soft-masked", by_share(&pooled.by_repeats)),
        ]
        .into_iter()
        .filter_map(|(caption, what, groups)| of_groups(caption, what, &groups))
        .collect(),
        pictures,
        command: question::command_line(&folds.command),
        commands: vec![
            (
                "Score sequences with the networks of all folds",
                format!("strandnet predict {} SEQUENCES.fa", quoted(&path)),
            ),
            ("Go on where folds are missing", format!("strandnet cv --resume {}", quoted(&path))),
        ],
        config: folds.config.to_toml(),
    };
    Ok(report.render()?)
}

#[derive(Template)]
#[template(path = "folds.html")]
struct FoldsReport {
    version: &'static str,
    count: usize,
    summary: Vec<String>,
    folds: Table,
    metrics: Table,
    profiles: Vec<Table>,
    baselines: Option<Table>,
    groups: Vec<Table>,
    pictures: Vec<Picture>,
    command: String,
    commands: Vec<(&'static str, String)>,
    config: String,
}

fn summary(results: &FoldResults) -> Vec<String> {
    let Some((name, main)) = results.main() else { return Vec::new() };
    let mut sentences = Vec::new();
    if let Some(pooled) = &main.pooled {
        sentences.push(format!(
            "On {} examples, each scored by networks that did not see it, {} is {}.",
            thousands(results.n),
            title(name),
            in_words(pooled)
        ));
    }
    sentences.push(format!(
        "Over the {} folds the mean (standard deviation) is {}.",
        results.folds.len(),
        spread(main)
    ));
    if results.not_tested > 0 {
        sentences.push(format!(
            "{} examples are in no test part and count for nothing here.",
            thousands(results.not_tested as usize)
        ));
    }
    let by = match results.split_by.as_str() {
        "similar" => {
            "Similar sequences are in one part, so no network was trained on a close relative of what it is tested on."
        }
        "hash" => {
            "Parts are made by a hash of the sequence: the same sequence is in one part, and similar ones may not be."
        }
        "chromosome" => "Whole chromosomes are in one part.",
        "fold-file" => "The chromosomes of each fold are those of its file.",
        _ => "Parts are those of a column of the table.",
    };
    sentences.push(by.into());
    if let Some((name, metric)) = results.test.as_ref().and_then(|test| test.main()) {
        sentences.push(format!(
            "On the test set that was kept out of all folds, the ensemble of all networks has {} {}.",
            title(name),
            in_words(metric)
        ));
    }
    sentences
}

/// What each fold was made of and came to.
fn of_folds(results: &FoldResults) -> Table {
    let main = results.main().map_or_else(String::new, |(name, _)| name.to_owned());
    let columns = [("fold", false), ("training", true), ("validation", true), ("test", true)];
    let mut table = Table::new("Folds", &columns);
    table.column(title(&main), true);
    let has_seeds = results.seeds.len() > 1;
    if has_seeds {
        table.column("of each seed", true);
    }
    let has_chromosomes = results.folds.iter().any(|fold| fold.chromosomes.is_some());
    if has_chromosomes {
        table.column("tested on", false);
    }
    let text = |value: Option<f64>| value.map_or_else(|| "–".into(), format::metric);
    for (place, fold) in results.folds.iter().enumerate() {
        let value = results.main().and_then(|(_, main)| main.folds.get(place).copied().flatten());
        let mut row = vec![fold.fold.to_string()];
        row.extend([fold.examples.train, fold.examples.valid, fold.examples.test].map(thousands));
        row.push(text(value));
        if has_seeds {
            row.push(fold.runs.iter().map(|&run| text(run)).collect::<Vec<_>>().join(", "));
        }
        if has_chromosomes {
            row.push(fold.chromosomes.as_ref().map_or_else(String::new, |lists| listed(&lists.test)));
        }
        table.row(row.into_iter().map(Cell::from));
    }
    table
}

/// Metrics with those of each fold.
fn metrics(caption: &str, results: &FoldResults, metrics: &[(String, OverFolds)], with_meaning: bool) -> Table {
    let columns = [("metric", false), ("out of fold", true), ("95 % interval", true), ("mean (sd)", true)];
    let mut table = Table::new(caption, &columns);
    results.folds.iter().for_each(|fold| table.column(format!("fold {}", fold.fold), true));
    for (name, found) in metrics {
        let note = if with_meaning { meaning(name, results.task) } else { "" };
        let pooled = found.pooled.as_ref();
        let mut row = vec![
            Cell::noted(title(name), note),
            metric_text::value(pooled).into(),
            pooled.map_or_else(
                || "–".into(),
                |metric: &Metric| Cell::noted(interval(metric), metric_text::method(metric)),
            ),
            spread(found).into(),
        ];
        row.extend(
            found.folds.iter().map(|value| value.map_or_else(|| Cell::from("–"), |value| format::metric(value).into())),
        );
        table.row(row);
    }
    table
}

fn profiles(results: &FoldResults) -> Vec<Table> {
    let Some(profile) = &results.profile else { return Vec::new() };
    let own = [
        ("Profiles and counts of peaks", &profile.peaks),
        ("Background", &profile.background),
        ("Peaks and background", &profile.all),
        ("Peaks told from background by predicted counts", &profile.detection),
    ];
    let own = own.into_iter().map(|(caption, metrics)| (caption.to_owned(), metrics));
    let beside =
        profile.baselines.iter().map(|(name, metrics)| (format!("Peaks, {}", name.replace('_', " ")), metrics));
    let each = own.chain(beside).filter(|(_, metrics)| !metrics.is_empty());
    each.map(|(caption, found)| metrics(&caption, results, found, false)).collect()
}

fn baselines(results: &FoldResults) -> Option<Table> {
    let (main, _) = results.main()?;
    if results.baselines.is_empty() {
        return None;
    }
    let columns = [
        ("baseline", false),
        ("out of fold", true),
        ("95 % interval", true),
        ("mean (sd)", true),
        ("network minus baseline", true),
    ];
    let mut table = Table::new(format!("Baselines: {}", title(main)), &columns);
    for (name, baseline) in &results.baselines {
        let found = baseline.metrics.iter().find(|(own, _)| own == main).map(|(_, found)| found);
        let pooled = found.and_then(|found| found.pooled.as_ref());
        let difference = baseline.difference.as_ref().and_then(|difference| difference.in_words());
        table.row([
            Cell::from(name.clone()),
            metric_text::value(pooled).into(),
            pooled.map_or_else(|| "–".into(), |metric| Cell::from(interval(metric))),
            found.map_or_else(|| "–".into(), |found| Cell::from(spread(found))),
            difference.unwrap_or_else(|| "–".into()).into(),
        ]);
    }
    Some(table)
}
