//! `explain motifs`: the filters of the first layer as motifs.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::json;

use super::own_examples;
use crate::cli::explain::Motifs as Command;
use crate::commands::{open_run, print};
use crate::config::Strands;
use crate::data::split::Split;
use crate::device;
use crate::explain::enrichment::scientific;
use crate::explain::filters::Filters;
use crate::explain::meme;
use crate::explain::motifs::{Motifs, divisions, label};
use crate::explain::sites::Set;
use crate::model::Network;
use crate::progress::{Progress, thousands};
use crate::report;
use crate::run::{Contents, FORMAT_VERSION, MOTIFS_JSON, NewFolder, RunFolder, WEIGHTS, sha256};

/// Filters that the table for people has room for.
const MOST_ROWS: usize = 20;

pub fn run(command: &Command, progress: Progress) -> Result<()> {
    device::set_threads(command.threads.map(usize::from));
    let run = open_run(&command.run, tch::Device::Cpu, true)?;
    if command.sequences.as_deref() == Some(Path::new("-")) {
        bail!("--sequences is -, and sequences are read twice, which standard input cannot be; expected a file");
    }
    let database = match &command.database {
        Some(path) => meme::read(path)?,
        None => Vec::new(),
    };
    let filters = filters(command, &run.networks)?;
    let both_strands = run.provenance.config.training.strands != Strands::Single;
    let path = command.out.clone().unwrap_or_else(|| run.folder.file("explain").join("motifs"));
    let out = NewFolder::claim(&path, Contents::Motifs, command.force)?;

    let limit = command.limit.unwrap_or(usize::MAX);
    let find = |set: &Set, divisions| Motifs::find(&filters, set, divisions, both_strands, &database);
    let (motifs, of) = match &command.sequences {
        Some(path) => (find(&Set::File { path, limit }, Vec::new())?, "sequences".to_owned()),
        None => {
            let split = command.split.unwrap_or(Split::Test);
            let examples = own_examples(&run, split, &progress)?;
            let chosen = spread(examples.len(), limit);
            let divisions = divisions(run.provenance.task()?.kind, &run.classes, &examples, &chosen);
            (find(&Set::Examples { examples: &examples, chosen }, divisions)?, format!("{} sequences", split.name()))
        }
    };
    if motifs.firing().next().is_none() {
        progress.warn(
            "no filter is ever above 0 on these sequences, so there are no motifs; look at others, or train again",
        );
    }

    let (out, replaced) = out.keep()?;
    let origin = json!({
        "format_version": FORMAT_VERSION,
        "run": std::path::absolute(&run.folder.path)?,
        "weights_sha256": sha256(&run.folder.file(WEIGHTS))?,
        "command": std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>(),
        "filters": motifs.filters.len(),
        "firing": motifs.firing().count(),
        "sequences": motifs.sequences,
        "both_strands": both_strands,
        "known_motifs": database.len(),
    });
    out.write_json(MOTIFS_JSON, &origin)?; // first: by it --force knows the folder
    write(&motifs, &out, &of)?;
    replaced.discard();
    print(&format!("{}{}\n", table(&motifs, &of), path.display()))
}

/// The filters of the network, of all members of an ensemble, or of one.
fn filters(command: &Command, networks: &[Network]) -> Result<Filters> {
    let count = networks.len();
    let chosen: Vec<usize> = match command.member {
        Some(member) if member > count as u64 => {
            let networks = if count == 1 { "network" } else { "networks" };
            bail!("--member is {member}, and the run has {count} {networks}; expected 1 to {count}")
        }
        Some(member) => vec![member as usize],
        None => (1..=count).collect(),
    };
    let members: Vec<&Network> = chosen.iter().map(|member| &networks[member - 1]).collect();
    Filters::of(&members, (count > 1).then_some(&chosen))
}

/// Up to `limit` of `n` things, evenly spread, so that each class among them is as frequent as in all.
fn spread(n: usize, limit: usize) -> Vec<usize> {
    if limit >= n { (0..n).collect() } else { (0..limit).map(|i| i * n / limit).collect() }
}

/// Matrices, tables and pictures.
fn write(motifs: &Motifs, out: &RunFolder, of: &str) -> Result<()> {
    out.write("motifs.meme", motifs.meme().as_bytes())?;
    out.write("motifs.tsv", &motifs.table()?)?;
    out.write("positions.tsv", &motifs.positions_table()?)?;
    if !motifs.divisions.is_empty() {
        out.write("enrichment.tsv", &motifs.enrichment_table()?)?;
    }
    if !motifs.database.is_empty() {
        out.write("matches.tsv", &motifs.matches_table()?)?;
    }
    out.make_folder("logos")?;
    for filter in motifs.firing() {
        out.write(&format!("logos/{}.png", filter.motif.id), &report::motifs::of_filter(motifs, filter)?)?;
    }
    for (i, page) in report::motifs::pages(motifs, of)?.into_iter().enumerate() {
        let name = if i == 0 { PathBuf::from("motifs.png") } else { format!("logos/page_{}.png", i + 1).into() };
        out.write(&name.to_string_lossy(), &page)?;
    }
    Ok(())
}

/// The filters that tell most, for people.
fn table(motifs: &Motifs, of: &str) -> String {
    let ranked = motifs.ranked();
    let mut text = format!(
        "{} of {} filters fire on {} {of}\n",
        ranked.len(),
        motifs.filters.len(),
        thousands(motifs.sequences as usize)
    );
    if ranked.is_empty() {
        return text;
    }
    let width = ranked.iter().take(MOST_ROWS).map(|filter| filter.motif.columns.len()).max().unwrap_or(0).max(9);
    text.push_str(&format!("  {:<10}{:>10}{:>7}  {:width$}", "filter", "sites", "bits", "consensus"));
    if !motifs.divisions.is_empty() {
        text.push_str(&format!("  {:<24}{:>7}{:>7}  {:>9}", "more in", "there", "else", "q"));
    }
    if !motifs.database.is_empty() {
        text.push_str(&format!("  {:<24}{:>9}", "like", "q"));
    }
    text.push('\n');
    for filter in ranked.iter().take(MOST_ROWS) {
        let bits: f64 = filter.motif.information().iter().sum();
        let (id, sites) = (&filter.motif.id, thousands(filter.sites.n as usize));
        text.push_str(&format!("  {id:<10}{sites:>10}{bits:>7.1}  {:width$}", filter.motif.consensus()));
        if let Some(found) = motifs.enriched_in(filter) {
            let (class, q) = (report::curves::short(found.class), scientific(found.log_q));
            text.push_str(&format!("  {class:<24}{:>7.3}{:>7.3}  {q:>9}", found.share, found.share_of_rest));
        } else if !motifs.divisions.is_empty() {
            text.push_str(&" ".repeat(51));
        }
        if let Some((known, found)) = motifs.best_match(filter) {
            let (name, q) = (report::curves::short(label(known)), scientific(found.log_q));
            text.push_str(&format!("  {name:<24}{q:>9}"));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    if ranked.len() > MOST_ROWS {
        text.push_str(&format!("  and {} more in motifs.tsv\n", ranked.len() - MOST_ROWS));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_of_many_are_spread_evenly() {
        assert_eq!(spread(10, 5), [0, 2, 4, 6, 8]);
        assert_eq!(spread(3, 5), [0, 1, 2]);
        assert_eq!(spread(7, 3), [0, 2, 4]);
    }
}
