//! `explain variants`: what variants of a genome do to the answer.

use std::io::{BufWriter, Write};

use anyhow::{Result, bail};

use crate::cli::explain::Variants as Command;
use crate::commands::{FinishedRun, closed_output, open_run, written};
use crate::device;
use strandnet_core::attribute::target::{Explained, Explainer};
use strandnet_core::attribute::variant_rows::VariantRows;
use strandnet_core::attribute::variants;
use strandnet_core::attribute::variants::{Contexts, Counts};
use strandnet_core::format::thousands;
use strandnet_core::formats::vcf::Vcf;
use strandnet_core::progress::Progress;
use strandnet_core::run;

/// REF alleles of another base than the genome, as a share of all, from which on the genome is probably another.
const TOO_MANY_DIFFER: f64 = 0.1;

pub fn run(command: &Command, progress: Progress) -> Result<()> {
    let (device, _) = device::choose(command.compute.device)?;
    device::set_threads(command.compute.threads.map(usize::from));
    let opened = open_run(&command.run, device, command.compute.no_native)?;
    let counts = match &command.out {
        Some(path) => {
            run::check_output_file(path, command.force)?;
            let mut file = run::temporary_beside(path)?;
            let packed = path.extension().is_some_and(|extension| extension == "gz");
            let score = |out: &mut dyn Write| score(command, &opened, out);
            let counts = if packed {
                let mut out = noodles_bgzf::io::Writer::new(BufWriter::new(file.as_file_mut()));
                score(&mut out).and_then(|counts| {
                    out.finish()?.flush()?;
                    Ok(counts)
                })
            } else {
                let mut out = BufWriter::new(file.as_file_mut());
                score(&mut out)
            };
            let counts = counts.map_err(|error| written(error, |error| run::cannot_write(path, &error)))?;
            run::persist(file, path)?;
            counts
        }
        None => {
            let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout());
            score(command, &opened, &mut out).map_err(|error| written(error, closed_output))?
        }
    };
    report(&counts, progress);
    Ok(())
}

fn score(command: &Command, run: &FinishedRun, out: &mut dyn Write) -> Result<Counts> {
    let FinishedRun { provenance, classes, ensemble, .. } = run;
    let explained = Explained::new(provenance.task()?, classes, command.of.as_deref())?;
    let explainer = Explainer { scorer: ensemble, explained: &explained };
    let mut vcf = Vcf::open(&command.vcf)?;
    let mut contexts = Contexts::open(&command.reference, explainer.length())?;
    let counts = {
        let header = std::mem::take(&mut vcf.header);
        let mut rows = VariantRows::new(out, command.format(), &explained, &header)?;
        let mut write = |variant: &_, scores: &_| rows.write(variant, scores);
        variants::score(explainer, &command.vcf, &mut vcf, &mut contexts, &mut write)?
    };
    check(command, &counts)?;
    out.flush()?;
    Ok(counts)
}

/// That something was scored.
fn check(command: &Command, counts: &Counts) -> Result<()> {
    let file = command.vcf.display();
    if counts.alleles == 0 {
        let records = thousands(counts.records);
        bail!("{file}: holds no alternative alleles in {records} records, expected some; check the file");
    }
    if counts.scored == 0 {
        let hint = if counts.reference_differs > 0 { "is it made for another assembly?" } else { "give others" };
        bail!(
            "{file}: none of {} alternative alleles can be scored, expected some: {}; {hint}",
            thousands(counts.alleles),
            left_out(counts)
        );
    }
    Ok(())
}

fn left_out(counts: &Counts) -> String {
    let parts = counts.left_out().into_iter().map(|(count, why)| format!("{} {why}", thousands(count)));
    parts.collect::<Vec<_>>().join(", ")
}

fn report(counts: &Counts, progress: Progress) {
    let mut text = format!(
        "{} of {} alternative alleles of {} records scored",
        thousands(counts.scored),
        thousands(counts.alleles),
        thousands(counts.records)
    );
    if counts.scored < counts.alleles {
        text.push_str(&format!("; {}", left_out(counts)));
    }
    progress.say(&text);
    if counts.reference_differs as f64 > TOO_MANY_DIFFER * counts.alleles as f64 {
        progress.warn(&format!(
            "{} of {} alternative alleles have a REF that differs from the genome; is it another assembly?",
            thousands(counts.reference_differs),
            thousands(counts.alleles)
        ));
    }
}
