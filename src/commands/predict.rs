//! `predict`: scores of FASTA records, streamed.

use std::io::{BufWriter, Write};

use anyhow::{Result, bail};

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
            if path.exists() && !command.force {
                bail!("{}: exists, expected a new file; choose another --out or add --force", path.display());
            }
            let mut file = run::temporary_beside(path)?;
            let counts = {
                let mut out = BufWriter::new(file.as_file_mut());
                let counts = predict::predict(&network, &command.sequences, windowing, &mut out)?;
                out.flush()?;
                counts
            };
            run::persist(file, path)?;
            counts
        }
        None => {
            let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
            let result = predict::predict(&network, &command.sequences, windowing, &mut out);
            result.map_err(|error| match error.downcast::<std::io::Error>() {
                Ok(error) => closed_output(error),
                Err(error) => error,
            })?
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
