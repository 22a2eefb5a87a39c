//! `explain variants`: what variants of a genome do to the answer.

use std::io::{BufWriter, Write};

use anyhow::Result;
use serde_json::Value;

use crate::attribute::strongest_variants::{Strongest, VariantsSummary};
use crate::attribute::variant_counts::Counts;
use crate::attribute::variant_rows::VariantRows;
use crate::attribute::variant_target::VariantTarget;
use crate::attribute::variant_windows::Contexts;
use crate::attribute::variants::{self, Networks};
use crate::cli::Variants as Command;
use crate::commands::explain::{default_folder, origin};
use crate::commands::{Backend, FinishedRun, FoldNetworks, WithBias, closed_output, written};
use crate::format::thousands;
use crate::formats::compression;
use crate::formats::vcf::Vcf;
use crate::predict::unknown_limit::UnknownLimit;
use crate::progress::Progress;
use crate::run;
use crate::run::{RunFolder, VARIANTS_JSON};

/// Runs `explain variants`.
///
/// # Errors
/// The run or the variants cannot be read, or scores cannot be written.
pub fn run(command: &Command, backend: &dyn Backend, progress: Progress) -> Result<()> {
    let bias = WithBias::asked(command.with_bias);
    let opened = backend.open(&command.run, bias, false)?;
    let folds = command.out_of_fold.then(|| backend.open_folds(&command.run, bias, false)).transpose()?;
    let folds = folds.as_ref().map(FoldNetworks::by_chromosome).transpose()?;
    let networks = match &folds {
        Some(folds) => Networks::OutOfFold(folds),
        None => Networks::Same(opened.networks.as_ref()),
    };
    let counts = match &command.out {
        Some(path) => {
            run::check_output_file(path, command.force)?;
            let mut file = run::temporary_beside(path)?;
            let packed = path.extension().is_some_and(|extension| extension == "gz");
            let score = |out: &mut dyn Write| score(command, &opened, networks, progress, out);
            let counts = if packed {
                let mut out = compression::bgzip(BufWriter::new(file.as_file_mut()));
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
            score(command, &opened, networks, progress, &mut out).map_err(|error| written(error, closed_output))?
        }
    };
    report(&counts, progress);
    Ok(())
}

fn score(
    command: &Command,
    run: &FinishedRun,
    networks: Networks,
    progress: Progress,
    out: &mut dyn Write,
) -> Result<Counts> {
    let FinishedRun { provenance, classes, .. } = run;
    let target = VariantTarget::new(provenance.task()?, classes, command.score_of.as_deref(), command.with_bias)?;
    let mut vcf = Vcf::open(&command.vcf)?;
    if !vcf.repaired.is_empty() {
        progress.warn(&format!("{}: lacks {}; read as VCF 4.2", command.vcf.display(), vcf.repaired.join(" and ")));
    }
    let limit = UnknownLimit::for_windows(provenance, command.max_n);
    limit.warning().iter().for_each(|warning| progress.warn(warning));
    let mut contexts = Contexts::open(&command.reference, provenance.length)?.with_limit(limit);
    let header = std::mem::take(&mut vcf.header);
    let mut rows = VariantRows::new(out, command.format(), &target, &header)?;
    let mut strongest = Strongest::default();
    let counts = variants::score(networks, &target, &mut vcf, &mut contexts, &mut |line, scores| {
        strongest.add(line, scores, &target);
        rows.write(line, scores)
    })?;
    counts.check(&command.vcf, &contexts.genome)?;
    let summary = VariantsSummary {
        explained: target.description(),
        records: counts.records,
        alleles: counts.alleles,
        scored: counts.scored,
        left_out: counts.left_out(),
        strongest: strongest.into_list(),
    };
    if let Err(error) = keep(command, run, &summary) {
        progress.say(&format!("{error:#}; the report will not show these variants"));
    }
    counts.warnings(&command.vcf, &contexts.genome).iter().for_each(|warning| progress.warn(warning));
    out.flush()?;
    Ok(counts)
}

/// Keeps what the report shows in the run folder, in place of an earlier summary of the same file.
fn keep(command: &Command, run: &FinishedRun, summary: &VariantsSummary) -> Result<()> {
    let Value::Object(summary) = serde_json::to_value(summary)? else { return Ok(()) };
    let mut about = origin(&run.folder, [])?;
    about.extend(summary);
    let folder = default_folder(&run.folder, "variants", &command.vcf);
    std::fs::create_dir_all(&folder).map_err(|error| run::cannot_write(&folder, &error))?;
    RunFolder { path: folder }.write_json(VARIANTS_JSON, &about)
}

fn report(counts: &Counts, progress: Progress) {
    let mut text = format!(
        "{} of {} alternative alleles of {} records scored",
        thousands(counts.scored),
        thousands(counts.alleles),
        thousands(counts.records)
    );
    let left_out = counts.left_out();
    if !left_out.is_empty() {
        text.push_str(&format!("; {left_out}"));
    }
    progress.say(&text);
}
