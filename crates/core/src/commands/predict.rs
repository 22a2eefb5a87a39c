//! `predict`: scores of records or regions, streamed; or reads sorted by class.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use tempfile::NamedTempFile;

use crate::cli::Predict;
use crate::commands::{Backend, FinishedRun, FoldNetworks, WithBias, closed_output, print, written};
use crate::config::{Faults, ScoreFormat};
use crate::format::{self, counted, thousands};
use crate::formats::bigwig::Writer as BigWigWriter;
use crate::genome::Genome;
use crate::genome::control::Control;
use crate::genome::reference::RegionWindows;
use crate::predict;
use crate::predict::out_of_fold::OutOfFold;
use crate::predict::output::{self, Rows};
use crate::predict::prior;
use crate::predict::sorting;
use crate::predict::sorting::Sorting;
use crate::predict::unknown_limit::UnknownLimit;
use crate::predict::{Counts, Model, Short, Windowing};
use crate::progress::Progress;
use crate::run;
use crate::task::Task;

/// Runs `predict`.
///
/// # Errors
/// The run or the sequences cannot be read, or scores cannot be written.
pub fn run(command: &Predict, backend: &dyn Backend, progress: Progress) -> Result<()> {
    let faults = command.faults();
    if !faults.is_empty() {
        return Err(Faults(faults).into());
    }
    let bias = WithBias::asked(command.with_bias);
    let run = backend.open(&command.run, bias, false)?;
    let folds = command.out_of_fold.then(|| backend.open_folds(&command.run, bias, false)).transpose()?;
    let folds = folds.as_ref();
    let task = prior::task_for(&run.folder, &run.provenance, command.prior.as_ref())?;
    if let Some(to) = &command.prior {
        progress
            .say(&format!("scores are moved to a prevalence of {to}, from the one that the run calibrated them to"));
    }
    if command.sort_reads.is_some() {
        return sort_reads(command, &run, &task, progress);
    }
    if command.control.is_none() && task.profile.as_ref().is_some_and(|profile| profile.shape.control > 0) {
        progress.say("the run had a control, and scores are of sequences without its counts, which --control gives");
    }
    let limit = limit(command, &run, progress);
    let counts = match &command.out {
        Some(path) if command.format == ScoreFormat::Bigwig => {
            let paths = paths_of_tracks(command, &run, &task, path)?;
            paths.iter().try_for_each(|path| run::check_output_file(path, command.force))?;
            let files = paths.iter().map(|path| run::temporary_beside(path)).collect::<Result<Vec<_>>>()?;
            let tracks = tracks(command, path, &files)?;
            let counts = score(command, (&run, folds), &task, limit, (&mut std::io::sink(), tracks), progress)
                .map_err(|error| written(error, |error| run::cannot_write(path, &error)))?;
            files.into_iter().zip(&paths).try_for_each(|(file, path)| run::persist(file, path))?;
            if paths.len() > 1 {
                let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
                progress.say(&format!("tracks are in {}", names.join(", ")));
            }
            counts
        }
        Some(path) => {
            run::check_output_file(path, command.force)?;
            let mut file = run::temporary_beside(path)?;
            let mut out = BufWriter::new(file.as_file_mut());
            let counts = score(command, (&run, folds), &task, limit, (&mut out, Vec::new()), progress)
                .map_err(|error| written(error, |error| run::cannot_write(path, &error)))?;
            drop(out);
            run::persist(file, path)?;
            counts
        }
        None => {
            let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout());
            score(command, (&run, folds), &task, limit, (&mut out, Vec::new()), progress)
                .map_err(|error| written(error, closed_output))?
        }
    };
    report(command, &counts, limit, progress);
    Ok(())
}

/// The bigWig files that are written: the one that is named, or of several tracks one each, `FILE.NAME.bw`.
///
/// # Errors
/// Two tracks would have the same file.
fn paths_of_tracks(command: &Predict, run: &FinishedRun, task: &Task, path: &Path) -> Result<Vec<PathBuf>> {
    let names = output::names_of_files(task, &run.classes, command.score_of.as_deref());
    if names.is_empty() {
        return Ok(vec![path.to_owned()]);
    }
    let of = |name: &String| {
        let name = format::field(name).replace('/', "_");
        let extension = path.extension().map_or("bw".into(), |extension| extension.to_string_lossy());
        path.with_extension(format!("{name}.{extension}"))
    };
    let paths: Vec<PathBuf> = names.iter().map(of).collect();
    for (i, path) in paths.iter().enumerate() {
        if let Some(before) = paths[..i].iter().position(|other| other == path) {
            let (one, other, path) = (&names[before], &names[i], path.display());
            bail!("the tracks '{one}' and '{other}' would both be written to {path}; choose one with --score-of");
        }
    }
    Ok(paths)
}

/// Where bigWig goes, with the chromosomes of the genome that is scored.
fn tracks(command: &Predict, path: &Path, files: &[NamedTempFile]) -> Result<Vec<BigWigWriter<File>>> {
    let Some(reference) = &command.reference else { return Ok(Vec::new()) };
    let genome = Genome::open(reference, 0, &|_| false)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let track = |file: &NamedTempFile| {
        let file = file.as_file().try_clone().map_err(|error| run::cannot_write(path, &error))?;
        BigWigWriter::new(file, &genome.chromosomes, folder)
    };
    files.iter().map(track).collect()
}

fn report(command: &Predict, counts: &Counts, limit: UnknownLimit, progress: Progress) {
    let mut notes = String::new();
    if counts.skipped > 0 && command.regions.is_none() {
        notes.push_str(&format!("; {} are too short and were left out", thousands(counts.skipped)));
    }
    if counts.unknown > 0 {
        notes.push_str(&format!("; {} windows hold {} and have no score", thousands(counts.unknown), limit.describe()));
    }
    progress.say(&format!(
        "{} windows of {} {} scored{notes}",
        thousands(counts.windows),
        thousands(counts.sequences),
        if command.regions.is_some() { "regions" } else { "sequences" }
    ));
}

/// Unknown bases that a window may hold.
fn limit(command: &Predict, run: &FinishedRun, progress: Progress) -> UnknownLimit {
    let of = if command.reference.is_some() { UnknownLimit::for_windows } else { UnknownLimit::for_records };
    let limit = of(&run.provenance, command.max_n);
    limit.warning().iter().for_each(|warning| progress.warn(warning));
    limit
}

fn score(
    command: &Predict,
    (run, folds): (&FinishedRun, Option<&FoldNetworks>),
    task: &Task,
    limit: UnknownLimit,
    (out, tracks): (&mut (dyn Write + Send), Vec<BigWigWriter<File>>),
    progress: Progress,
) -> Result<Counts> {
    let FinishedRun { provenance, classes, networks: scorer, .. } = run;
    let length = provenance.length;
    let control = control(command, task, progress)?;
    let networks = folds.map(FoldNetworks::by_chromosome).transpose()?;
    let model = Model::new(scorer.as_ref(), task).with_control(control.as_ref()).with_out_of_fold(networks.as_ref());
    // Windows with bins or a profile stand for what these cover.
    let covered = task.bins.map(|bins| bins.count * bins.bp);
    let covered = covered.or(task.profile.as_ref().map(|profile| profile.shape.length));
    let stride = command.stride(covered.unwrap_or(length));
    let of = command.score_of.as_deref();
    let both = provenance.config.training.strands.scores_both();
    match (&command.reference, &command.regions) {
        (Some(reference), Some(bed)) => {
            let center = command.center.or(provenance.config.data.center);
            let regions = RegionWindows::open(reference, bed, length, center)?;
            progress.say(&format!("{}: {}", bed.display(), regions.file.describe()));
            // Windows of regions stand for themselves; those of sequences for what lies between them.
            let rows = Rows::new(out, command.format, model.task, classes, of, length, true)?;
            let mut rows = rows.of_both_strands(both).to_files(tracks);
            let counts = predict::predict_regions(model, &regions, limit, &mut rows)?;
            if let Some(left_out) = regions.left_out.describe(regions.file.all()) {
                progress.say(&format!("{}: {left_out}", bed.display()));
            }
            seen_by_all(networks.as_ref(), progress);
            Ok(counts)
        }
        (reference, _) => {
            let Some(path) = reference.as_ref().or(command.sequences.as_ref()) else { return Ok(Counts::default()) };
            let windowing = Windowing {
                stride,
                // A genome's smallest contigs are no reason to stop.
                short: if reference.is_some() { Short::Skip } else { command.short() },
                chosen: command.chroms.clone(),
                limit,
            };
            let rows = Rows::new(out, command.format, model.task, classes, of, stride, false)?;
            let mut rows = rows.of_both_strands(both).to_files(tracks);
            let counts = predict::predict(model, path, &windowing, &mut rows)?;
            seen_by_all(networks.as_ref(), progress);
            Ok(counts)
        }
    }
}

/// Says how many windows no network of the folds is left for.
fn seen_by_all(networks: Option<&OutOfFold>, progress: Progress) {
    if let Some(without) = networks.map(OutOfFold::without).filter(|&without| without > 0) {
        progress.warn(&format!(
            "{} windows lie on chromosomes that every network has learned from, and have no score",
            thousands(without)
        ));
    }
}

/// The control of `--control`, opened for the genome that is scored.
fn control(command: &Predict, task: &Task, progress: Progress) -> Result<Option<Control>> {
    let (Some(track), Some(reference)) = (&command.control, &command.reference) else { return Ok(None) };
    let expected = task.profile.as_ref().map_or(0, |profile| profile.shape.control);
    let given = track.paths().count();
    if given != expected {
        let expected = match expected {
            0 => "none, as the run was trained without a control; remove it".to_owned(),
            n => format!("{n}, as the run was trained with"),
        };
        bail!("--control has {}, expected {expected}", counted(given as u64, "track"));
    }
    let genome = Genome::open(reference, 0, &|_| false)?;
    Control::open(track, &genome, CONTROL_BYTES / given as u64, &progress).map(Some)
}

fn sort_reads(command: &Predict, run: &FinishedRun, task: &Task, progress: Progress) -> Result<()> {
    let FinishedRun { provenance, classes, networks: scorer, .. } = run;
    let length = provenance.length;
    let (Some(prefix), Some(path)) = (&command.sort_reads, &command.sequences) else { return Ok(()) };
    if task.calibration.prior.is_empty() {
        progress.warn("the run does not say what prior its scores are made for, so equal shares of the classes are assumed for reads of several windows");
    }
    let sorting = Sorting {
        prefix,
        min_confidence: command.min_confidence.unwrap_or(DEFAULT_CONFIDENCE),
        stride: command.stride(length),
        short: command.short(),
        limit: limit(command, run, progress),
        force: command.force,
    };
    let sorted = sorting::sort(Model::new(scorer.as_ref(), task), classes, path, sorting)?;
    if sorted.too_short > 0 {
        progress.say(&format!(
            "{} reads shorter than {} bp were counted as ambiguous; --pad-short scores them",
            thousands(sorted.too_short),
            length
        ));
    }
    if sorted.unknown > 0 {
        progress.say(&format!(
            "{} reads whose windows hold {} were counted as ambiguous",
            thousands(sorted.unknown),
            sorting.limit.describe()
        ));
    }
    print(&sorted.table())
}

/// Memory for the values of a control; larger ones are read from disk.
const CONTROL_BYTES: u64 = 1 << 30;

/// The default of `--min-confidence`.
const DEFAULT_CONFIDENCE: f64 = 0.9;
