//! `explain motifs`: the filters of the first layer as motifs.

use anyhow::{Result, bail};
use serde_json::json;

use crate::cli::explain::Motifs as Command;
use crate::commands::explain::{own_examples, untrained};
use crate::commands::{FinishedRun, open_run, print};
use crate::device;
use crate::model::Network;
use strandnet_core::attribute::target::{Explained, Explainer};
use strandnet_core::commands::explain::origin;
use strandnet_core::config::Strands;
use strandnet_core::dataset::split::Split;
use strandnet_core::figures;
use strandnet_core::files::streams;
use strandnet_core::format::{self, thousands};
use strandnet_core::formats::{meme, motif_files};
use strandnet_core::motif::discovery;
use strandnet_core::motif::filters::Filters;
use strandnet_core::motif::known::Known;
use strandnet_core::motif::motifs::{Motifs, Origin, divisions, label};
use strandnet_core::motif::sites;
use strandnet_core::motif::sites::{Division, Found, Set, Sites};
use strandnet_core::progress::Progress;
use strandnet_core::run::{Contents, MOTIFS_JSON, OutputFolder, RunFolder};
use strandnet_core::sequence::motif::Motif;

/// Filters that the table for people has room for.
const MOST_ROWS: usize = 20;

pub fn run(command: &Command, progress: Progress) -> Result<()> {
    device::set_threads(command.threads.map(usize::from));
    let run = open_run(&command.run, tch::Device::Cpu, true)?;
    streams::keep(command.sequences.as_deref())?; // read twice
    let database = match &command.database {
        Some(path) => motif_files::read(path)?,
        None => Vec::new(),
    };
    let members = members(command, run.ensemble.len())?;
    let filters = filters(&members, &run.ensemble)?;
    let both_strands = run.provenance.config.training.strands != Strands::Single;
    let path = command.out.clone().unwrap_or_else(|| run.folder.file("explain").join("motifs"));
    let out = OutputFolder::create(&path, Contents::Motifs, command.force)?;

    let explained = explained(command, &run)?;
    let limit = command.limit.unwrap_or(usize::MAX);
    let look = Look {
        run: &run,
        filters: &filters,
        members: &members,
        explained: &explained,
        both_strands,
        database: &database,
    };
    let (motifs, discovered, of) = match &command.sequences {
        Some(path) => {
            let set = |limit| Set::File { path, limit };
            let known = look.known(&set(limit))?;
            let motifs = look.at_filters(&set(limit), Vec::new(), known.as_ref())?;
            let discovered = look.at_importance(&set(limit.min(command.discover)), Vec::new(), known.as_ref())?;
            (motifs, discovered, "sequences".to_owned())
        }
        None => {
            let split = command.split.unwrap_or(Split::Test);
            let examples = own_examples(&run, split, &command.data_root, &progress)?;
            let kind = run.provenance.task()?.kind;
            let divided = |limit| {
                let chosen = spread(examples.len(), limit);
                let divisions = divisions(kind, &run.classes, &examples, &chosen);
                (Set::Examples { examples: &examples, chosen }, divisions)
            };
            let ((all, of_all), (some, of_some)) = (divided(limit), divided(limit.min(command.discover)));
            let known = look.known(&all)?;
            let motifs = look.at_filters(&all, of_all, known.as_ref())?;
            (motifs, look.at_importance(&some, of_some, known.as_ref())?, format!("{} sequences", split.name()))
        }
    };
    if motifs.firing().next().is_none() {
        progress.warn(
            "no filter is ever above 0 on these sequences, so there are no motifs; look at others, or train again",
        );
    }

    let (out, replaced) = out.keep()?;
    let about = origin(
        &run.folder,
        [
            ("filters", json!(motifs.filters.len())),
            ("firing", json!(motifs.firing().count())),
            ("sequences", json!(motifs.sequences)),
            ("both_strands", json!(both_strands)),
            ("known_motifs", json!(database.len())),
            ("matching", json!(motifs.matching)),
            ("discovered", json!(discovered.filters.len())),
            ("matching_of_discovered", json!(discovered.matching)),
            ("sequences_for_discovery", json!(discovered.sequences)),
        ],
    )?;
    out.write_json(MOTIFS_JSON, &about)?; // first: by it --force knows the folder
    let all: Vec<Motif> = motifs.named().chain(discovered.named()).collect();
    out.write("motifs.meme", meme::write(&all, motifs.background, both_strands).as_bytes())?;
    out.make_folder("logos")?;
    write(&motifs, &out, "motifs", "", &of)?;
    write(&discovered, &out, "discovered", "discovered_", &of)?;
    replaced.discard();
    print(&format!("{}{}{}\n", table(&motifs, &of), table(&discovered, &of), path.display()))
}

/// The members of the ensemble that are explained, counted from 1: all or one.
fn members(command: &Command, count: usize) -> Result<Vec<usize>> {
    Ok(match command.member {
        Some(member) if member > count as u64 => {
            let networks = if count == 1 { "network" } else { "networks" };
            bail!("--member is {member}, and the run has {count} {networks}; expected 1 to {count}")
        }
        Some(member) => vec![member as usize],
        None => (1..=count).collect(),
    })
}

/// The filters of some members, whose names say which where there are several networks.
fn filters(members: &[usize], networks: &[Network]) -> Result<Filters> {
    let chosen = members.iter().map(|member| {
        let network = &networks[member - 1];
        Ok((network.plan.as_ref(), network.parameters()?))
    });
    let chosen = chosen.collect::<Result<Vec<_>>>()?;
    Filters::of(&chosen, (networks.len() > 1).then_some(members))
}

/// Up to `limit` of `n` things, evenly spread, so that each class among them is as frequent as in all.
fn spread(n: usize, limit: usize) -> Vec<usize> {
    if limit >= n { (0..n).collect() } else { (0..limit).map(|i| i * n / limit).collect() }
}

/// Numbers whose rest an answer is looked for in: the one named or the positive class, or each of several outputs.
fn explained(command: &Command, run: &FinishedRun) -> Result<Vec<Explained>> {
    let (task, classes) = (run.provenance.task()?, &run.classes);
    if command.discover == 0 {
        return Ok(Vec::new());
    }
    if command.score_of.is_some() || task.outputs() == 1 {
        return Ok(vec![Explained::new(task, classes, command.score_of.as_deref())?]);
    }
    classes.names.iter().map(|name| Explained::new(task, classes, Some(name))).collect()
}

/// What motifs are looked for with.
struct Look<'a> {
    run: &'a FinishedRun,
    filters: &'a Filters,
    /// Members of the ensemble that the filters are of, counted from 1.
    members: &'a [usize],
    explained: &'a [Explained],
    both_strands: bool,
    database: &'a [Motif],
}

impl<'a> Look<'a> {
    /// The known motifs, with what the filters of the network before training resemble.
    fn known(&self, set: &Set) -> Result<Option<Known<'a>>> {
        if self.database.is_empty() {
            return Ok(None);
        }
        let untrained = untrained::filters(self.run, self.members, self.filters, set)?;
        let found = sites::find(&untrained, set, self.both_strands)?;
        let motif = |(name, sites): (&String, &Sites)| Motif::from_counts(name.clone(), &sites.counts, sites.n);
        let motifs: Vec<Motif> = untrained.names.iter().zip(&found.sites).map(motif).collect();
        Ok(Some(Known::new(self.database, &motifs, &found.background, self.run.provenance.seed)))
    }

    fn at_filters(&self, set: &Set, divisions: Vec<Division>, known: Option<&Known<'a>>) -> Result<Motifs<'a>> {
        let found = sites::find(self.filters, set, self.both_strands)?;
        Ok(Motifs::of(Origin::Filters, &self.filters.names, found, divisions, self.both_strands, known))
    }

    /// Of several numbers, what is found for each is named by its place among them.
    fn at_importance(&self, set: &Set, divisions: Vec<Division>, known: Option<&Known<'a>>) -> Result<Motifs<'a>> {
        let FinishedRun { ensemble, provenance, .. } = self.run;
        let seed = provenance.seed;
        let (mut names, mut found) = (Vec::new(), Found::none());
        for (number, explained) in self.explained.iter().enumerate() {
            let explainer = Explainer { scorer: ensemble, explained };
            let (own, of_number) = discovery::find(&explainer, set, self.both_strands, seed)?;
            let prefix = if self.explained.len() > 1 { format!("o{}_", number + 1) } else { String::new() };
            names.extend(own.into_iter().map(|name| format!("{prefix}{name}")));
            found = Found { sites: found.sites.into_iter().chain(of_number.sites).collect(), ..of_number };
        }
        Ok(Motifs::of(Origin::Importance, &names, found, divisions, self.both_strands, known))
    }
}

/// Tables and pictures of all motifs of one origin, if there are any.
fn write(motifs: &Motifs, out: &RunFolder, name: &str, prefix: &str, of: &str) -> Result<()> {
    if motifs.filters.is_empty() {
        return Ok(());
    }
    out.write(&format!("{name}.tsv"), &motifs.table()?)?;
    out.write(&format!("{prefix}positions.tsv"), &motifs.positions_table()?)?;
    if !motifs.divisions.is_empty() {
        out.write(&format!("{prefix}enrichment.tsv"), &motifs.enrichment_table()?)?;
    }
    if !motifs.database.is_empty() {
        out.write(&format!("{prefix}matches.tsv"), &motifs.matches_table()?)?;
    }
    for filter in motifs.firing() {
        figures::motifs::of_filter(motifs, filter)?.write(out, &format!("logos/{}.png", filter.motif.id))?;
    }
    for (i, part) in figures::motifs::draw(motifs, of)?.into_iter().enumerate() {
        let name = if i == 0 { format!("{name}.png") } else { format!("logos/{prefix}page_{}.png", i + 1) };
        part.write(out, &name)?;
    }
    Ok(())
}

/// The filters that tell most, for people.
fn table(motifs: &Motifs, of: &str) -> String {
    let (fire, folds) = (motifs.firing().count(), motifs.folded());
    let sequences = format!("{} {of}", thousands(motifs.sequences as usize));
    let mut text = match motifs.origin {
        Origin::Filters => format!("{} of {} filters fire on {sequences}\n", fire, motifs.filters.len()),
        Origin::Importance if motifs.sequences == 0 => String::new(),
        Origin::Importance => format!("{} motifs discovered from attributions, in {sequences}\n", fire),
    };
    if folds.is_empty() {
        return text;
    }
    let width = folds.iter().take(MOST_ROWS).map(|fold| fold.shown.motif.columns.len()).max().unwrap_or(0).max(9);
    text.push_str(&format!("  {:<10}{:>10}{:>7}  {:width$}", motifs.origin.word(), "sites", "bits", "consensus"));
    if !motifs.divisions.is_empty() {
        text.push_str(&format!("  {:<24}{:>7}{:>7}  {:>9}", "more in", "there", "else", "q"));
    }
    if !motifs.database.is_empty() {
        text.push_str(&format!("  {:<24}{:>9}", "like", "q"));
    }
    text.push('\n');
    for fold in folds.iter().take(MOST_ROWS) {
        let filter = fold.shown;
        let bits: f64 = filter.motif.information().iter().sum();
        let (id, sites) = (fold.title(), thousands(filter.sites.n as usize));
        text.push_str(&format!("  {id:<10}{sites:>10}{bits:>7.1}  {:width$}", filter.motif.consensus()));
        if let Some(found) = motifs.enriched_in(filter) {
            let (class, q) = (format::short_name(found.class), format::p_value(found.log_q));
            text.push_str(&format!("  {class:<24}{:>7.3}{:>7.3}  {q:>9}", found.share, found.share_of_rest));
        } else if !motifs.divisions.is_empty() {
            text.push_str(&" ".repeat(51));
        }
        if let Some((known, found)) = motifs.best_match(filter) {
            let (name, q) = (format::short_name(label(known)), format::p_value(found.log_q));
            text.push_str(&format!("  {name:<24}{q:>9}"));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    if let Some(matching) = &motifs.matching {
        let noun = match motifs.origin {
            Origin::Filters => "filters",
            Origin::Importance => "discovered motifs",
        };
        text.push_str(&format!("{}\n", matching.summary(noun)));
    }
    if folds.len() > MOST_ROWS {
        text.push_str(&format!("  and {} more in the table of all\n", folds.len() - MOST_ROWS));
    }
    if folds.len() < fire {
        text.push_str("×: near-identical ones in one row, that with the most sites; the table of all has each\n");
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
