//! The report of one run.

use anyhow::Result;
use askama::Template;

use crate::config::{self, TaskKind};
use crate::dataset::split::Split;
use crate::evaluate::calibration;
use crate::evaluate::difference::Difference;
use crate::evaluate::results::{GroupMetrics, Metric, RunMetrics, SplitMetrics};
use crate::figures::MOST_PARTS;
use crate::format::{self, thousands};
use crate::html::files::RunFiles;
use crate::html::importance::{self, Importance};
use crate::html::metric_text::{self, in_words, interval, meaning, title};
use crate::html::mistakes::Worst;
use crate::html::motifs::{self, Motifs};
use crate::html::picture::Picture;
use crate::html::table::{Cell, Table};
use crate::html::tracks::{self, Tracks};
use crate::html::variants::{self, Variants};
use crate::html::{data, listed, question, quoted};
use crate::metrics::blocks::FEW_BLOCKS;
use crate::run::{CONFIG_TOML, EXAMPLES_TSV, Provenance, REPORT_HTML, RunFolder};

/// Writes the report of a run that is complete except for its metrics, which are given.
///
/// # Errors
/// A file of the run cannot be read, or the report cannot be written.
pub fn write(folder: &RunFolder, provenance: &Provenance, metrics: &RunMetrics) -> Result<()> {
    let run = RunFiles::about_to_finish(folder, provenance, metrics)?;
    folder.write(REPORT_HTML, report(&run)?.as_bytes())
}

/// The report of a run as HTML.
///
/// # Errors
/// A file of the run is missing or damaged.
pub fn report(run: &RunFiles) -> Result<String> {
    let test = &run.metrics.test;
    let is_imported = run.provenance.imported.is_some();
    let mut worst = Worst::new(run.task(), &run.classes, test.threshold);
    if !is_imported {
        run.predictions(|prediction| {
            if prediction.split == Split::Test {
                worst.add(&prediction);
            }
            Ok(())
        })?;
    }
    let report = RunReport {
        is_imported,
        name: run.name(),
        version: env!("CARGO_PKG_VERSION"),
        question: question::question(run),
        tiles: tiles(run),
        summary: summary(run),
        warnings: {
            let of_training = run.provenance.outcome.iter().flat_map(|outcome| &outcome.warnings);
            run.provenance.data_warnings.iter().chain(of_training).cloned().collect()
        },
        asked: Table::of_pairs("Task and settings", question::asked(run)),
        config: run.provenance.config.to_toml(),
        balance: data::balance(run)?,
        drawn_anew: run.provenance.config.data.resample,
        files: data::files(run),
        training: training(run),
        training_pictures: pictures(run, &["loss.png", "accuracy.png", "score.png"])?,
        tracks: tracks(run),
        baselines: run
            .metrics
            .baselines
            .iter()
            .map(|(name, baseline)| format!("{name}: {}", baseline.description))
            .collect(),
        differences: differences(run),
        metrics: metrics(run),
        curves: pictures(
            run,
            &["roc.png", "pr.png", "scores.png", "confusion.png", "scatter.png", "profiles.png", "distances.png"],
        )?,
        calibration: calibration_text(run),
        calibration_pictures: pictures(run, &["calibration.png"])?,
        breakdown_pictures: pictures(run, &["breakdown.png"])?,
        breakdowns: breakdowns(run),
        strands: strands(run),
        motifs: motifs::read(run)?,
        importance: importance::read(run)?,
        variants: variants::read(run)?,
        mistakes_text: mistakes_text(run, worst.count()),
        mistakes: worst.table(),
        provenance: Table::of_pairs("Provenance", provenance(&run.provenance)),
        commands: commands(run)?,
    };
    Ok(report.render()?)
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunReport {
    /// Whether the network was trained elsewhere, so that there are no results.
    is_imported: bool,
    name: String,
    version: &'static str,
    question: String,
    tiles: Vec<Tile>,
    summary: Vec<String>,
    /// Warnings about training.
    warnings: Vec<String>,
    asked: Table,
    config: String,
    balance: data::Balance,
    /// Whether training windows are drawn anew every epoch.
    drawn_anew: bool,
    files: Option<Table>,
    training: String,
    training_pictures: Vec<Picture>,
    tracks: Tracks,
    baselines: Vec<String>,
    differences: Option<Table>,
    metrics: Table,
    curves: Vec<Picture>,
    calibration: Option<String>,
    calibration_pictures: Vec<Picture>,
    breakdown_pictures: Vec<Picture>,
    breakdowns: Vec<Table>,
    strands: Option<String>,
    motifs: Option<Motifs>,
    importance: Vec<Importance>,
    variants: Vec<Variants>,
    mistakes_text: String,
    mistakes: Option<Table>,
    provenance: Table,
    commands: Vec<Command>,
}

/// A headline number.
struct Tile {
    name: String,
    value: String,
    note: String,
}

/// A command to copy, with its effect.
struct Command {
    what: &'static str,
    line: String,
}

fn tiles(run: &RunFiles) -> Vec<Tile> {
    let test = &run.metrics.test;
    let second = match run.task().kind {
        TaskKind::Binary | TaskKind::Multiclass => "accuracy",
        TaskKind::Multilabel => "accuracy_at_half",
        TaskKind::Regression | TaskKind::Profile => "r2",
    };
    let of = |name: &str, metric: &Metric| Tile {
        name: title(name),
        value: metric_text::value(Some(metric)),
        note: if metric.value.is_some() { format!("95 % {}", interval(metric)) } else { interval(metric) },
    };
    let mut tiles: Vec<Tile> = test.main().map(|(name, metric)| of(name, metric)).into_iter().collect();
    tiles.extend(test.get(second).map(|metric| of(second, metric)));
    if let Some((name, metric, value)) = best_baseline(run) {
        let note = format!("{}, the best baseline", title(metric));
        tiles.push(Tile { name: name.into(), value: format::metric(value), note });
    }
    if let Some(error) = test.calibrated_expected_calibration_error {
        let (name, note) = ("Calibration error".into(), "mean gap of probability and truth".into());
        tiles.push(Tile { name, value: format::metric(error), note });
    }
    if let Some(rate) = test.strand_flip_rate {
        let note = "of sequences, classified differently on the other strand".into();
        tiles.push(Tile { name: "Strand flips".into(), value: format!("{:.2} %", rate * 100.0), note });
    }
    tiles
}

/// Name of the best baseline by main metric, with the metric and its value.
fn best_baseline(run: &RunFiles) -> Option<(&str, &str, f64)> {
    let (metric, _) = run.metrics.test.main()?;
    let baselines = run.metrics.baselines.iter();
    let each =
        baselines.filter_map(|(name, baseline)| Some((name.as_str(), metric, baseline.test.get(metric)?.value?)));
    each.max_by(|a, b| a.2.total_cmp(&b.2))
}

fn summary(run: &RunFiles) -> Vec<String> {
    if let Some(origin) = &run.provenance.imported {
        return vec![origin.in_words()];
    }
    let test = &run.metrics.test;
    let Some((name, metric)) = test.main() else { return Vec::new() };
    let mut sentences = vec![format!(
        "On {} test examples, which had no part in training or in any choice of this run, {} is {}.",
        thousands(test.n),
        title(name),
        in_words(metric)
    )];
    if let Some((bins, metric)) = test.bins.as_ref().and_then(|bins| Some((bins, bins.metrics.get(name)?))) {
        sentences.push(format!("Over their {} bins, each by itself, it is {}.", thousands(bins.n), in_words(metric)));
    }
    match (&metric.interval_reason, test.blocks) {
        (Some(reason), _) => sentences.push(format!("There is no interval: {reason}.")),
        (None, Some(blocks)) => sentences.push(format!(
            "Intervals come from resampling {}, since examples of one block may depend on each other{}.",
            blocks.describe(),
            if blocks.count < FEW_BLOCKS { "; so few make for rough intervals" } else { "" }
        )),
        (None, None) => sentences.push("Intervals take the examples as independent of each other.".into()),
    }
    for (what, group) in
        [("without repeats", &test.without_repeats), ("without near copies in training", &test.without_near_copies)]
    {
        if let Some((n, metric)) = group.as_ref().and_then(|group| Some((group.n?, group.metrics.get(name)?))) {
            sentences.push(format!("On the {} test examples {what}, it is {}.", thousands(n), in_words(metric)));
        }
    }
    match best_baseline(run) {
        Some((baseline, _, value)) => {
            let found = run.metrics.baselines.iter().find(|(name, _)| name == baseline);
            let words = found.and_then(|(_, found)| found.difference.as_ref()?.in_words());
            let difference = words.map_or_else(String::new, |words| format!("; the network minus that is {words}"));
            sentences.push(format!("The best baseline ({baseline}) reaches {}{difference}.", format::metric(value)));
        }
        None => sentences.push("No baselines were fitted (train --baselines does).".into()),
    }
    if let Some(best) = test.best_possible_auroc {
        let error = test.best_possible_auroc_standard_error;
        let error =
            error.map_or_else(String::new, |error| format!(" (standard error {error:.4}, from these examples)"));
        sentences.push(format!(
            "No classifier can exceed {}{error} in expectation on sequences simulated like these.",
            format::metric(best)
        ));
    }
    sentences
}

fn training(run: &RunFiles) -> String {
    let Some(outcome) = &run.provenance.outcome else { return String::new() };
    let epochs: Vec<String> = outcome.best_epochs.iter().map(ToString::to_string).collect();
    let which = match epochs.len() {
        1 => format!("epoch {} was best", epochs[0]),
        members => format!("the best epochs of the {members} networks were {}", listed(&epochs)),
    };
    let restarts = match outcome.restarts {
        0 => String::new(),
        1 => " Training was restarted once, as all scores had become equal.".into(),
        many => format!(" Training was restarted {many} times, as all scores had become equal."),
    };
    format!(
        "Of {} epochs, {which}; its weights are the run's. Training took {}.{restarts}",
        run.provenance.config.training.epochs,
        format::duration(outcome.seconds)
    )
}

/// The given figures that the run has.
fn pictures(run: &RunFiles, names: &[&str]) -> Result<Vec<Picture>> {
    let mut found = Vec::new();
    for name in names {
        found.extend(run.picture(name, alt(name, &run.metrics.test))?);
    }
    Ok(found)
}

/// Caption of a figure, with the relevant numbers.
fn alt(picture: &str, test: &SplitMetrics) -> String {
    let with = |what: &str, metrics: &[&str]| {
        let found = metrics.iter().find_map(|name| Some((name, test.get(name)?)));
        found.map_or_else(|| what.to_owned(), |(name, metric)| format!("{what}: {} {}", title(name), in_words(metric)))
    };
    match picture {
        "loss.png" => "Loss of training and validation by epoch".into(),
        "accuracy.png" => "Accuracy of training and validation by epoch".into(),
        "score.png" => "The validation metric that chooses the best epoch, by epoch".into(),
        "roc.png" => with("ROC curve of the test", &["auroc", "macro_auroc"]),
        "pr.png" => with("Precision and recall of the test", &["average_precision", "macro_average_precision"]),
        "scores.png" => "Histogram of the test scores of both classes, with the threshold".into(),
        "confusion.png" => "Confusion matrix of the test; the numbers are in confusion.csv".into(),
        "profiles.png" => "Test peaks from the best to the worst prediction, observed and predicted".into(),
        "distances.png" => "Jensen-Shannon distances of test peaks from what was predicted".into(),
        "scatter.png" => with("Predicted against observed values of the test", &["pearson"]),
        "calibration.png" => "Calibration curve of the test: predicted probability against observed frequency".into(),
        _ => "The main metric of parts of the test, with intervals; the numbers are in the tables".into(),
    }
}

fn tracks(run: &RunFiles) -> Tracks {
    let test = &run.metrics.test;
    let (name, own) = test.main().map_or(("auroc", None), |(name, metric)| (name, metric.estimate()));
    let network = if run.provenance.config.training.ensemble > 1 { "ensemble" } else { "network" };
    let mut found = vec![(network.to_owned(), own)];
    for (baseline, results) in &run.metrics.baselines {
        found.push((baseline.clone(), results.test.get(name).and_then(Metric::estimate)));
    }
    if let Some(best) = test.best_possible_auroc {
        found.push(("best possible".to_owned(), Some(tracks::alone(best))));
    }
    Tracks::above_chance(name, found, run.task().kind)
}

/// Table of all test metrics, with those of members, baselines and validation beside them.
fn metrics(run: &RunFiles) -> Table {
    let (test, baselines) = (&run.metrics.test, &run.metrics.baselines);
    let members = test.members.as_ref().filter(|members| !members.metrics.is_empty());
    let mut table = Table::new("Metrics of the test", &[("metric", false), ("test", true), ("95 % interval", true)]);
    if members.is_some() {
        table.column("mean ± sd of members", true);
    }
    baselines.iter().for_each(|(name, _)| table.column(name.clone(), true));
    table.column("validation", true);
    for (name, metric) in test.metrics.iter() {
        let mut row = vec![
            Cell::noted(title(name), meaning(name, run.task().kind)),
            metric_text::value(Some(metric)).into(),
            Cell::noted(interval(metric), metric_text::method(metric)),
        ];
        if let Some(members) = members {
            row.push(members.get(name).map_or_else(
                || "–".into(),
                |spread| {
                    format!("{} ± {}", format::metric(spread.mean), format::metric(spread.standard_deviation)).into()
                },
            ));
        }
        let beside = baselines.iter().map(|(_, baseline)| &baseline.test).chain([&run.metrics.valid]);
        row.extend(beside.map(|results| Cell::from(metric_text::value(results.get(name)))));
        table.row(row);
    }
    table
}

/// Table of the network's main metric minus that of each baseline.
fn differences(run: &RunFiles) -> Option<Table> {
    let compared = || run.metrics.baselines.iter().filter_map(|(name, found)| Some((name, found.difference.as_ref()?)));
    let metric = compared().map(|(_, found)| title(&found.metric)).next()?;
    let columns = [("baseline", false), ("difference", true), ("95 % interval", true), ("p", true), ("method", false)];
    let mut table = Table::new(format!("{metric} of the network minus that of each baseline"), &columns);
    for (name, found) in compared() {
        let cells = match found {
            Difference { value: Some(value), low: Some(low), high: Some(high), .. } => [
                format!("{value:+.4}"),
                format!("{low:+.4} to {high:+.4}"),
                found.p_in_digits().unwrap_or_else(|| "–".into()),
                found.method_in_words().into(),
            ],
            _ => ["–".into(), "–".into(), "–".into(), format!("none, as {}", found.reason.as_deref().unwrap_or(""))],
        };
        table.row(std::iter::once(name.clone()).chain(cells).map(Cell::from));
    }
    Some(table)
}

fn calibration_text(run: &RunFiles) -> Option<String> {
    let test = &run.metrics.test;
    let (before, after) = (test.uncalibrated_expected_calibration_error, test.calibrated_expected_calibration_error);
    let of_test = test.n_positive.map(|positives| positives as f64 / test.n.max(1) as f64);
    let done = calibration::sentence(run.task(), before.zip(after), of_test).map(|done| sentence_case(&done));
    let error = test.get("expected_calibration_error");
    let error = error.map(|error| format!("The expected calibration error is {}.", in_words(error)));
    let sentences: Vec<String> = done.into_iter().chain(error).collect();
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

/// A clause as a sentence.
fn sentence_case(clause: &str) -> String {
    let mut letters = clause.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}

/// Groups by a share, each with its range.
pub(super) fn by_share(groups: &[GroupMetrics]) -> Vec<(String, GroupMetrics)> {
    let percent = |share: Option<f64>| share.map_or_else(String::new, |share| format!("{:.0}", share * 100.0));
    let range = |group: &GroupMetrics| format!("{} to {} %", percent(group.low), percent(group.high));
    groups.iter().map(|group| (range(group), group.clone())).collect()
}

/// Tables by group of test examples, and by class, label or column.
fn breakdowns(run: &RunFiles) -> Vec<Table> {
    let test = &run.metrics.test;
    let (parts, part) = match run.task().kind {
        TaskKind::Binary | TaskKind::Multiclass => ("By class", "class"),
        TaskKind::Multilabel => ("By label", "label"),
        TaskKind::Regression | TaskKind::Profile => ("By column", "column"),
    };
    let unlike_training = [
        ("without repeats (less than 5 % soft-masked)", &test.without_repeats),
        ("without near copies in training", &test.without_near_copies),
    ];
    let unlike_training: Vec<_> =
        unlike_training.into_iter().filter_map(|(name, group)| Some((name.to_owned(), group.clone()?))).collect();
    let of_bins = test.bins.as_ref().map_or_else(Vec::new, |bins| match bins.classes.is_empty() {
        true => vec![(
            "all".to_owned(),
            GroupMetrics { n: Some(bins.n), metrics: bins.metrics.clone(), ..GroupMetrics::default() },
        )],
        false => bins.classes.clone(),
    });
    let of_profiles = test.profile.as_ref().map_or_else(Vec::new, |profile| {
        let own = [
            ("peaks", Some(&profile.peaks)),
            ("background", profile.background.as_ref()),
            ("both", profile.all.as_ref()),
        ];
        let own = own.into_iter().filter_map(|(name, group)| Some((name.to_owned(), group?.clone())));
        // Too few chromosomes give none.
        let has_intervals = |peaks: &GroupMetrics| {
            let mut estimates = peaks.metrics.iter().filter_map(|(_, metric)| metric.estimate());
            estimates.any(|estimate| estimate.interval.is_ok())
        };
        let by_chromosome = profile.intervals_by_chromosome.as_ref().map(|found| &found.peaks);
        let by_chromosome = by_chromosome.filter(|peaks| has_intervals(peaks));
        let by_chromosome = by_chromosome.map(|peaks| ("peaks, intervals by chromosome".into(), peaks.clone()));
        let beside =
            profile.baselines.iter().map(|(name, group)| (format!("peaks, {}", name.replace('_', " ")), group.clone()));
        own.chain(by_chromosome).chain(beside).collect()
    });
    [
        ("Profiles and counts", "loci", of_profiles),
        ("Unlike the training examples", "test examples", unlike_training),
        (parts, part, test.classes.clone()),
        ("Bins, each by itself", part, of_bins),
        (parts, part, test.by_class.clone()),
        ("By GC content", "GC content", by_share(&test.by_gc)),
        ("By share of soft-masked bases", "soft-masked", by_share(&test.by_repeats)),
        ("By similarity to the nearest training sequence", "12-mers in common", by_share(&run.metrics.by_similarity)),
    ]
    .into_iter()
    .filter_map(|(caption, what, groups)| of_groups(caption, what, &groups))
    .collect()
}

pub(super) fn of_groups(caption: &str, what: &str, groups: &[(String, GroupMetrics)]) -> Option<Table> {
    let (_, first) = groups.first()?;
    let more = groups.len().saturating_sub(MOST_PARTS);
    let caption = if more > 0 { format!("{caption}; {more} more are in metrics.json") } else { caption.to_owned() };
    let mut table = Table::new(caption, &[(what, false)]);
    let has_counts = first.n.is_some();
    if has_counts {
        table.column("examples", true);
    }
    first.metrics.iter().for_each(|(name, _)| table.column(title(name), true));
    for (name, group) in groups.iter().take(MOST_PARTS) {
        let n = has_counts.then(|| Cell::from(group.n.map_or_else(String::new, thousands)));
        let metrics =
            group.metrics.iter().map(|(_, metric)| Cell::noted(metric_text::value(Some(metric)), interval(metric)));
        table.row([Cell::from(name.clone())].into_iter().chain(n).chain(metrics.collect::<Vec<_>>()));
    }
    Some(table)
}

fn strands(run: &RunFiles) -> Option<String> {
    let test = &run.metrics.test;
    let difference = format::metric(test.strand_mean_difference?);
    let flips = test.strand_flip_rate.map_or_else(String::new, |rate| match run.task().kind {
        TaskKind::Multilabel => format!("{:.2} % of the labels change, and ", rate * 100.0),
        _ => format!("{:.2} % are classified differently, and ", rate * 100.0),
    });
    Some(format!(
        "Each test sequence was scored as its reverse complement too: {flips}predictions differ by {difference} on average (--strands {}).",
        config::name_of(&run.provenance.config.training.strands)
    ))
}

fn mistakes_text(run: &RunFiles, count: usize) -> String {
    let (n, count) = (thousands(run.metrics.test.n), thousands(count));
    match run.task().kind {
        TaskKind::Binary => format!(
            "{count} of {n} test examples are misclassified at the threshold ({}). The most confident of them:",
            format::metric(run.metrics.test.threshold.unwrap_or(0.5))
        ),
        TaskKind::Multiclass => {
            format!("{count} of {n} test examples are misclassified. The most confident of them:")
        }
        TaskKind::Multilabel => {
            format!("{count} labels of {n} test examples are wrong at 0.5. The most confident of them:")
        }
        TaskKind::Regression | TaskKind::Profile => {
            "The largest errors, in standard deviations of the training values:".into()
        }
    }
}

fn provenance(run: &Provenance) -> Vec<(&'static str, String)> {
    if let Some(origin) = &run.imported {
        let mut rows = vec![
            ("imported from", origin.source.clone()),
            ("by strandnet", run.version.clone()),
            ("order of bases", origin.alphabet.clone()),
        ];
        let files = origin.files.iter().map(|file| format!("{} (SHA-256 {})", file.path.display(), file.sha256));
        rows.extend(files.map(|file| ("file", file)));
        return rows;
    }
    let revision = |revision: &str| if revision.is_empty() { String::new() } else { format!(" ({revision})") };
    let processes = match run.processes {
        1 => String::new(),
        processes => format!(" in each of {processes} processes"),
    };
    let mut rows = vec![
        ("strandnet", format!("{}{}", run.version, revision(&run.git_revision))),
        ("libtorch", run.libtorch.clone()),
        ("device", format!("{}, {} threads{}", run.device, run.threads, processes)),
        ("precision", config::name_of(&run.precision)),
        ("seed", run.seed.to_string()),
        ("command", question::command_line(&run.command)),
    ];
    for file in &run.started_from {
        rows.push(("started from", format!("{} (SHA-256 {})", file.path.display(), file.sha256)));
    }
    for resumed in &run.resumed {
        rows.push((
            "resumed",
            format!("{}, with strandnet {}{}", resumed.place, resumed.version, revision(&resumed.git_revision)),
        ));
    }
    rows
}

/// Commands that reproduce and explore the run.
fn commands(run: &RunFiles) -> Result<Vec<Command>> {
    let path = |name: &str| quoted(&run.folder.file(name).to_string_lossy());
    let (folder, config) = (quoted(&run.folder.path.to_string_lossy()), path(CONFIG_TOML));
    let is_profile = run.task().kind == TaskKind::Profile;
    if run.provenance.imported.is_some() {
        let of = |what, line| Command { what, line };
        return Ok(vec![
            of("Score sequences", format!("strandnet predict {folder} SEQUENCES.fa")),
            of("Evaluate it on data of your own", format!("strandnet evaluate {folder} --test DATA.csv")),
            of(
                "Train from its weights on",
                format!("strandnet train {config} --init-from {folder} --train DATA.csv --out NEW"),
            ),
            of("Write this report again", format!("strandnet report {folder}")),
        ]);
    }
    let mut commands = vec![Command {
        what: "Train again with the same settings",
        line: format!("strandnet train {config} --out NEW"),
    }];
    if !run.provenance.config.data.resample && !is_profile && run.file(EXAMPLES_TSV)?.is_some() {
        commands.push(Command {
            what: "Train again on exactly the same examples",
            line: format!("strandnet train {config} --examples {} --out NEW", path(EXAMPLES_TSV)),
        });
    }
    for (what, name) in [
        (
            "Check that its files are unaltered and reproduce the results; --data-root finds data that were moved",
            "verify",
        ),
        ("Evaluate it again, or on other data", "evaluate"),
        ("Find its motifs; this report then shows them", "explain motifs"),
        ("Write this report again", "report"),
    ] {
        // Their first layer is none whose filters are read as motifs.
        if is_profile && name == "explain motifs" {
            continue;
        }
        commands.push(Command { what, line: format!("strandnet {name} {folder}") });
    }
    Ok(commands)
}
