//! `verify`: whether a run is what it was when it ended, and comes to the same results again.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, bail};
use tch::Device;

use crate::cli::Verify;
use crate::commands::{FinishedRun, data_at, open_run, print};
use crate::device;
use crate::export;
use strandnet_core::config::DeviceChoice;
use strandnet_core::dataset::Dataset;
use strandnet_core::dataset::split::Split;
use strandnet_core::evaluate;
use strandnet_core::evaluate::dependence;
use strandnet_core::evaluate::predictions::Predictions;
use strandnet_core::evaluate::results::{Metrics, ProfileResults, RunMetrics, threshold_of};
use strandnet_core::evaluate::{Evaluation, Strand};
use strandnet_core::metrics::Resampling;
use strandnet_core::progress::Progress;
use strandnet_core::run::{DataFiles, METRICS_JSON, MODEL_PT, Manifest, PREDICTIONS_CSV, RunFolder};
use strandnet_core::scorer::Scorer;
use strandnet_core::task::Task;

/// Scores may differ by this much between machines, whose sums are added up in other orders.
const SCORE_TOLERANCE: f64 = 1e-4;

/// What a check came to: what is fine, or what is wrong.
type Outcome = Result<String>;

pub fn run(command: &Verify, progress: Progress) -> Result<()> {
    let (folder, provenance) = RunFolder::open_unchecked(&command.run)?;
    let mut checks = Checks::default();

    let manifest = Manifest::read(&folder, provenance.format_version);
    checks.add("files", files_unaltered(&folder, &manifest));
    if let Some(origin) = &provenance.imported {
        let run = open_run(&command.run, device::choose(DeviceChoice::Cpu)?.0, false);
        checks.add("weights", run.map(|run| format!("whole, {} of them", count(&run))));
        let origin = format!("imported from {}, so there are no data and no results to hold it against", origin.source);
        checks.add("origin", Ok(origin));
        return checks.finish(command);
    }
    let advice = "restore it, or name its folder with --data-root";
    let data_files = DataFiles::of_run(&provenance, &folder.path, &command.data_root, advice);
    checks.add("data files", data_files.as_ref().map(|files| found(files, provenance.data_files.len())).map_err(again));
    let data_are_fine = checks.failed == 0;

    let config = provenance.config_as_run()?;
    let (device, why) = device::choose(config.training.device).or_else(|_| device::choose(DeviceChoice::Cpu))?;
    let threads = device::set_threads(config.training.threads);
    progress.say(&format!("device: {why}; {threads} threads"));
    let run = open_run(&command.run, device, false);
    checks.add("weights", run.as_ref().map(|run| format!("whole, {} of them", count(run))).map_err(again));
    let Ok(run) = run else { return checks.finish(command) };

    let is_unaltered = matches!(&manifest, Ok(Some(manifest)) if manifest.check(&folder, MODEL_PT).is_ok());
    checks.add("model", if is_unaltered { model_agrees(&run, &command.run) } else { not_opened() });
    checks.add(
        "results",
        match &data_files {
            Ok(files) if data_are_fine => results_again(run, &data_at(&files.in_config(&config), files, &progress)?),
            _ => not_repeated(),
        },
    );
    checks.finish(command)
}

/// What there is to say of a run's data files, none of which is missing.
fn found(files: &DataFiles, count: usize) -> String {
    if count == 0 {
        return "none: the demo's are simulated".into();
    }
    let moved: String = files.notices().map(|notice| format!("; {notice}")).collect();
    format!("{count} unaltered{moved}")
}

/// Lines about what was checked.
#[derive(Default)]
struct Checks {
    lines: String,
    made: usize,
    failed: usize,
}

impl Checks {
    fn add(&mut self, name: &str, outcome: Outcome) {
        let (word, what) = match outcome {
            Ok(what) => ("ok", what),
            Err(error) => ("FAILED", format!("{error:#}")),
        };
        self.made += 1;
        self.failed += usize::from(word == "FAILED");
        let _ = writeln!(self.lines, "{name:<11} {word:<6} {what}");
    }

    fn finish(self, command: &Verify) -> Result<()> {
        print(&self.lines)?;
        if self.failed > 0 {
            let shown = command.run.display();
            bail!("{shown}: {} of {} checks failed; restore what changed, or train again", self.failed, self.made);
        }
        Ok(())
    }
}

fn again(error: &anyhow::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

fn count(run: &FinishedRun) -> usize {
    run.ensemble.iter().map(|network| network.plan.parameters()).sum()
}

fn files_unaltered(folder: &RunFolder, manifest: &Result<Option<Manifest>>) -> Outcome {
    let Some(manifest) = manifest.as_ref().map_err(again)? else {
        bail!("the run has no checksums, as an older strandnet made it; train again")
    };
    let found: Vec<String> = manifest
        .names()
        .filter_map(|name| manifest.check(folder, name).err())
        .map(|error| format!("{error:#}"))
        .collect();
    if found.is_empty() { Ok(format!("{} unaltered", manifest.names().count())) } else { bail!("{}", found.join("; ")) }
}

/// libtorch's loader is no sandbox, so a file that may be another is left alone.
fn not_opened() -> Outcome {
    bail!("{MODEL_PT} is not the file that the run wrote, and so was not opened; write it again with export")
}

fn not_repeated() -> Outcome {
    bail!("not reproduced, as files have changed")
}

/// Whether the exported model says what the weights say. It is on the CPU, and so are the networks that it is compared with.
fn model_agrees(run: &FinishedRun, path: &Path) -> Outcome {
    let task = run.provenance.task()?;
    let FinishedRun { folder, ensemble, .. } = run;
    let on_cpu = match ensemble.device() {
        Device::Cpu => None,
        _ => Some(open_run(path, Device::Cpu, false)?.ensemble),
    };
    let ensemble = on_cpu.as_ref().unwrap_or(ensemble);
    let difference = export::difference_from(ensemble, task, &folder.file(MODEL_PT), run.provenance.length)?;
    Ok(format!("{MODEL_PT} and the weights differ by {difference:.1e} at most"))
}

/// Scores validation and test again and holds them against what the run wrote.
fn results_again(run: FinishedRun, data: &Dataset) -> Outcome {
    let device = run.ensemble.device();
    let FinishedRun { folder, provenance, classes, ensemble } = &run.with_bias(device)?;
    let task = provenance.task()?;
    let threshold = threshold_of(folder, task)?;
    let metrics = RunMetrics::read(&folder.file(METRICS_JSON))?;
    let mut rows = Predictions::new(task, classes)?;
    let (mut compared, mut apart) = (0, 0.0f64);
    let splits =
        [(Split::Valid, "valid", &data.valid, &metrics.valid), (Split::Test, "test", &data.test, &metrics.test)];
    for (split, name, examples, expected) in splits {
        let logits = evaluate::logits_of(ensemble, examples, Strand::AsGiven)?;
        let blocks = dependence::blocks_of(examples, provenance.config.training.block_length)?;
        let resampling = Resampling { blocks: &blocks, seed: provenance.seed };
        let evaluation =
            Evaluation::of(task, classes, examples, &logits, ensemble.activation(), threshold, resampling)?;
        rows.append(split, examples, &evaluation.predictions)?;
        let (found, of_one_call) = (evaluation.metrics(), 2.0 / examples.len().max(1) as f64);
        let profiles =
            [found.profile.as_deref(), expected.profile.as_deref()].map(|found| found.map_or_else(Vec::new, loci));
        let groups = profiles[0].iter().zip(&profiles[1]);
        for (found, expected) in groups.map(|(a, b)| (*a, *b)).chain([(&found.metrics, &expected.metrics)]) {
            let (n, far) = compare(found, expected, of_one_call, name)?;
            compared += n;
            apart = apart.max(far);
        }
    }
    let scores = scores_apart(task, &rows.finish()?, folder)?;
    Ok(format!("{compared} metrics reproduced within {apart:.1e}, scores within {scores:.1e}"))
}

/// The metrics of profiles, over peaks, background and both.
fn loci(found: &ProfileResults) -> Vec<&Metrics> {
    let groups = [Some(&found.peaks), found.background.as_ref(), found.all.as_ref()];
    groups.into_iter().flatten().map(|group| &group.metrics).chain([&found.detection]).collect()
}

/// How many metrics there are and how far the farthest is from what it was.
fn compare(found: &Metrics, expected: &Metrics, of_one_call: f64, split: &str) -> Result<(usize, f64)> {
    let (mut compared, mut apart) = (0, 0.0f64);
    for (name, metric) in found.iter() {
        let (Some(found), Some(expected)) = (metric.value, expected.get(name).and_then(|metric| metric.value)) else {
            continue;
        };
        let far = (found - expected).abs() / expected.abs().max(1.0);
        if far > SCORE_TOLERANCE + of_one_call {
            bail!("{split} {name} is {found:.4} now and was {expected:.4}");
        }
        compared += 1;
        apart = apart.max(far);
    }
    Ok((compared, apart))
}

/// How far scores are from those in `predictions.csv`, in which every other column must be the same.
fn scores_apart(task: &Task, found: &[u8], folder: &RunFolder) -> Result<f64> {
    let path = folder.file(PREDICTIONS_CSV);
    let written = std::fs::read(&path)?;
    let (mut found, mut expected) = (csv::Reader::from_reader(found), csv::Reader::from_reader(&written[..]));
    let headers = found.headers()?.clone();
    let unit = task.scales.iter().map(|scale| scale.deviation.max(scale.mean.abs())).fold(1.0, f64::max);
    let (mut rows, mut apart) = (0, 0.0f64);
    let mut expected_rows = expected.records();
    for row in found.records() {
        let (row, expected) = (row?, expected_rows.next());
        rows += 1;
        let Some(expected) = expected.transpose()? else {
            bail!("{PREDICTIONS_CSV} has fewer rows than there are examples")
        };
        for ((name, found), expected) in headers.iter().zip(&row).zip(&expected) {
            match (found.parse::<f64>(), expected.parse::<f64>()) {
                (Ok(found), Ok(expected)) if name.starts_with("score") || name.starts_with("predicted_") => {
                    let far = (found - expected).abs() / unit;
                    if far > SCORE_TOLERANCE {
                        bail!("row {rows} of {PREDICTIONS_CSV} has the score {expected}, which is {found} now");
                    }
                    apart = apart.max(far);
                }
                _ if found == expected => {}
                _ => bail!("row {rows} of {PREDICTIONS_CSV} has {name} '{expected}', which is '{found}' now"),
            }
        }
    }
    if expected_rows.next().is_some() {
        bail!("{PREDICTIONS_CSV} has more rows than there are examples");
    }
    Ok(apart)
}
