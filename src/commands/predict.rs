//! `predict`: scores of records or regions, streamed; or reads sorted by class.

use std::io::{BufWriter, Write};

use anyhow::Result;

use crate::cli::Predict;
use crate::commands::{FinishedRun, closed_output, open_run, print, written};
use crate::device;
use strandnet_core::config::Faults;
use strandnet_core::format::thousands;
use strandnet_core::genome::reference::RegionWindows;
use strandnet_core::predict;
use strandnet_core::predict::output::Rows;
use strandnet_core::predict::sorting;
use strandnet_core::predict::sorting::Sorting;
use strandnet_core::predict::{Counts, Model, Short, Windowing};
use strandnet_core::progress::Progress;
use strandnet_core::run;

pub fn run(command: &Predict, progress: Progress) -> Result<()> {
    let faults = command.faults();
    if !faults.is_empty() {
        return Err(Faults(faults).into());
    }
    let (device, _) = device::choose(command.compute.device)?;
    device::set_threads(command.compute.threads.map(usize::from));
    let run = open_run(&command.run, device, command.compute.no_native)?;
    if command.sort_reads.is_some() {
        return sort_reads(command, &run, progress);
    }
    let counts = match &command.out {
        Some(path) => {
            run::check_output_file(path, command.force)?;
            let mut file = run::temporary_beside(path)?;
            let mut out = BufWriter::new(file.as_file_mut());
            let counts = score(command, &run, &mut out)
                .map_err(|error| written(error, |error| run::cannot_write(path, &error)))?;
            drop(out);
            run::persist(file, path)?;
            counts
        }
        None => {
            let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout());
            score(command, &run, &mut out).map_err(|error| written(error, closed_output))?
        }
    };
    let mut notes = String::new();
    if counts.skipped > 0 {
        let what = if command.regions.is_some() { "run off the end of a chromosome" } else { "are too short" };
        notes.push_str(&format!("; {} {what} and were left out", thousands(counts.skipped)));
    }
    if counts.unknown > 0 {
        notes.push_str(&format!("; {} windows without a known base were left out", thousands(counts.unknown)));
    }
    progress.say(&format!(
        "{} windows of {} {} scored{notes}",
        thousands(counts.windows),
        thousands(counts.sequences),
        if command.regions.is_some() { "regions" } else { "sequences" }
    ));
    Ok(())
}

fn score(command: &Predict, run: &FinishedRun, out: &mut (dyn Write + Send)) -> Result<Counts> {
    let FinishedRun { provenance, classes, ensemble, .. } = run;
    let length = provenance.length;
    let model = Model { scorer: ensemble, task: provenance.task()? };
    let stride = command.stride(length);
    let regions = command.regions.is_some();
    let of = command.score_of.as_deref();
    // Windows of regions stand for themselves; those of sequences for what lies between them.
    let shown = if regions { length } else { stride };
    match (&command.reference, &command.regions) {
        (Some(reference), Some(bed)) => {
            let regions = RegionWindows::open(reference, bed, length)?;
            let mut rows = Rows::new(out, command.format, model.task, classes, of, shown, true)?;
            predict::predict_regions(model, &regions, &mut rows)
        }
        (reference, _) => {
            let Some(path) = reference.as_ref().or(command.sequences.as_ref()) else { return Ok(Counts::default()) };
            let windowing = Windowing {
                stride,
                // A genome's smallest contigs are no reason to stop.
                short: if reference.is_some() { Short::Skip } else { command.short() },
                chosen: command.chroms.clone(),
                skip_unknown: reference.is_some(),
            };
            let mut rows = Rows::new(out, command.format, model.task, classes, of, shown, false)?;
            predict::predict(model, path, &windowing, &mut rows)
        }
    }
}

fn sort_reads(command: &Predict, run: &FinishedRun, progress: Progress) -> Result<()> {
    let FinishedRun { provenance, classes, ensemble, .. } = run;
    let length = provenance.length;
    let (Some(prefix), Some(path)) = (&command.sort_reads, &command.sequences) else { return Ok(()) };
    let sorting = Sorting {
        prefix,
        min_confidence: command.min_confidence.unwrap_or(DEFAULT_CONFIDENCE),
        stride: command.stride(length),
        short: command.short(),
        force: command.force,
    };
    let sorted = sorting::sort(Model { scorer: ensemble, task: provenance.task()? }, classes, path, sorting)?;
    if sorted.too_short > 0 {
        progress.say(&format!(
            "{} reads shorter than {} bp were counted as ambiguous; --pad-short scores them",
            thousands(sorted.too_short),
            length
        ));
    }
    print(&sorted.table())
}

/// The default of `--min-confidence`.
const DEFAULT_CONFIDENCE: f64 = 0.9;
