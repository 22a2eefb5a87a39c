//! `predict`: scores of FASTA records, streamed.

use std::io::BufWriter;

use anyhow::Result;

use super::{closed_output, open_run};
use crate::cli::Predict;
use crate::predict::{self, Windowing};
use crate::progress::Progress;
use crate::report::thousands;
use crate::{device, run};

pub fn run(command: &Predict, progress: Progress) -> Result<()> {
    let (device, _) = device::choose(command.compute.device)?;
    device::set_threads(command.compute.threads.map(usize::from));
    let (_, _, network) = open_run(&command.run, device)?;
    let stride = command.stride.map_or(network.length, |stride| stride as usize);
    let windowing = Windowing { stride, skip_short: command.skip_short };
    let counts = match &command.out {
        Some(path) => {
            run::check_output_file(path, command.force)?;
            let mut file = run::temporary_beside(path)?;
            let mut out = BufWriter::new(file.as_file_mut());
            let counts = predict::predict(&network, &command.sequences, windowing, &mut out)
                .map_err(|error| written(error, |error| run::cannot_write(path, &error)))?;
            drop(out);
            run::persist(file, path)?;
            counts
        }
        None => {
            let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
            let result = predict::predict(&network, &command.sequences, windowing, &mut out);
            result.map_err(|error| written(error, closed_output))?
        }
    };
    let skipped = if counts.skipped > 0 {
        format!("; {} shorter than {} bp were left out", thousands(counts.skipped), network.length)
    } else {
        String::new()
    };
    progress.say(&format!(
        "{} windows of {} sequences scored{skipped}",
        thousands(counts.windows),
        thousands(counts.sequences)
    ));
    Ok(())
}

/// Faults of reading come with their file; what is left is a fault of writing, and `say` knows to where.
fn written(error: anyhow::Error, say: impl FnOnce(std::io::Error) -> anyhow::Error) -> anyhow::Error {
    match error.downcast::<std::io::Error>() {
        Ok(error) => say(error),
        Err(error) => error,
    }
}
