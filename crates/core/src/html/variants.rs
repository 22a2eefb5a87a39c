//! The effects of variants that `explain variants` found for a run.

use anyhow::Result;
use serde::Deserialize;

use crate::attribute::strongest_variants::VariantsSummary;
use crate::format::{self, thousands};
use crate::html::files::RunFiles;
use crate::html::importance::explanations;
use crate::html::question::command_line;
use crate::html::table::Table;
use crate::run::{VARIANTS_JSON, WEIGHTS, sha256};

/// The variants of one file.
pub struct Variants {
    /// Name of the folder.
    pub title: String,
    pub command: String,
    /// Whether they belong to other weights than the run has now; then none are shown.
    pub is_outdated: bool,
    pub text: String,
    pub table: Table,
}

/// What `variants.json` holds.
#[derive(Deserialize)]
struct About {
    weights_sha256: String,
    command: Vec<String>,
    #[serde(flatten)]
    summary: VariantsSummary,
}

const ADVICE: &str = "run explain variants again, or remove it";

/// Letters of an allele or name that a cell has room for.
const LONGEST: usize = 24;

/// Reads the summaries in a finished run's folder; empty if there are none.
///
/// # Errors
/// A file is damaged.
pub fn read(run: &RunFiles) -> Result<Vec<Variants>> {
    let mut all = Vec::new();
    for (folder, About { weights_sha256, command, summary }) in explanations::<About>(run, VARIANTS_JSON, ADVICE)? {
        let is_outdated = weights_sha256 != sha256(&run.folder.file(WEIGHTS))?;
        all.push(Variants {
            title: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            command: command_line(&command),
            is_outdated,
            text: text(&summary),
            table: table(&summary),
        });
    }
    Ok(all)
}

fn text(summary: &VariantsSummary) -> String {
    let left_out = if summary.left_out.is_empty() { String::new() } else { format!("; {}", summary.left_out) };
    format!(
        "{} of {} alternative alleles of {} records were scored{left_out}.",
        thousands(summary.scored),
        thousands(summary.alleles),
        thousands(summary.records)
    )
}

fn table(summary: &VariantsSummary) -> Table {
    let title = format!("Largest effects: change of the {}", summary.explained);
    let has_profiles = summary.strongest.iter().any(|found| found.profile.is_some());
    let columns: &[(&str, bool)] = if has_profiles {
        &[
            ("variant", false),
            ("id", false),
            ("group", false),
            ("log counts of the reference allele", true),
            ("log counts of the alternative allele", true),
            ("log2 fold change", true),
            ("Jensen-Shannon distance of profiles", true),
        ]
    } else {
        &[("variant", false), ("id", false), ("reference allele", true), ("alternative allele", true), ("effect", true)]
    };
    let mut table = Table::new(title, columns);
    for found in &summary.strongest {
        let [reference, alternative] =
            [&found.reference, &found.alternative].map(|text| format::shortened(text, LONGEST));
        let variant = format!("{}:{} {reference}>{alternative}", format::shortened(&found.chrom, LONGEST), found.pos);
        let id = format::shortened(&found.id, LONGEST);
        let [of_reference, of_alternative] = [found.score_ref, found.score_alt].map(format::metric);
        match &found.profile {
            Some(changed) => table.row([
                variant.into(),
                id.into(),
                format::short_name(&changed.group).into(),
                of_reference.into(),
                of_alternative.into(),
                format!("{:+.4}", changed.log2_fold_change).into(),
                changed.profile_jsd.map_or_else(|| "none".into(), format::metric).into(),
            ]),
            None => table.row([
                variant.into(),
                id.into(),
                of_reference.into(),
                of_alternative.into(),
                format!("{:+.4}", found.effect).into(),
            ]),
        };
    }
    table
}
