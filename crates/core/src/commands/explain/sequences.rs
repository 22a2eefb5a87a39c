//! `explain sequences`: which bases of each sequence the answer rests on.

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::json;

use crate::attribute::contributions::Contributions;
use crate::attribute::gradients;
use crate::attribute::gradients::TOLERANCE;
use crate::attribute::importance::{Explanation, Output, strongest};
use crate::attribute::regions::RegionSequences;
use crate::attribute::sequences::{Fitting, Sequence, Sequences};
use crate::attribute::target::{Explained, Explainer};
use crate::cli::Sequences as Command;
use crate::commands::explain::{default_folder, origin};
use crate::commands::{Backend, FinishedRun, FoldNetworks, WithBias, print};
use crate::config::AttributionMethod;
use crate::figures;
use crate::format::{self, thousands};
use crate::genome::Chromosome;
use crate::predict::out_of_fold::{OutOfFold, Together};
use crate::predict::unknown_limit::UnknownLimit;
use crate::progress::Progress;
use crate::run::{Contents, IMPORTANCE_JSON, OutputFolder, cannot_write, check_output_file};
use crate::sequence::alphabet;

/// Sequences that the table for people has room for.
const MOST_ROWS: usize = 10;
/// Names that a warning has room for.
const MOST_NAMES: usize = 5;
/// Bases of a stretch that the table shows: about those of a motif.
const STRETCH: usize = 12;

/// Runs `explain sequences`.
///
/// # Errors
/// The run or the sequences cannot be read, or results cannot be written.
pub fn run(command: &Command, backend: &dyn Backend, progress: Progress) -> Result<()> {
    let bias = WithBias::asked(command.with_bias);
    let gradients = command.method.iter().any(|method| *method != AttributionMethod::Ism);
    let run = backend.open(&command.run, bias, gradients)?;
    let explained = Explained::new(run.provenance.task()?, &run.classes, command.score_of.as_deref())?;
    let explained = explained.with_bias(command.with_bias);
    let folds = command.out_of_fold.then(|| backend.open_folds(&command.run, bias, gradients)).transpose()?;
    let folds = folds.as_ref().map(FoldNetworks::by_chromosome).transpose()?;
    let explainer = Explainer { scorer: run.networks.as_ref(), explained: &explained };
    let contributions = contributions(command, explainer.length())?;
    let mut source = Source::open(command, &run, explainer.length(), progress)?;
    let path = command.out.clone().unwrap_or_else(|| default_folder(&run.folder, "sequences", command.file()));
    let out = OutputFolder::create(&path, Contents::Importance, command.force)?;
    let output = Output::new(out.path(), &command.methods(), explainer.length())?;
    let mut output = output.in_genome(source.chromosomes());
    output.contributions = contributions;
    let found = explain(command, explainer, folds.as_ref(), &mut source, &mut output)?;

    let (out, replaced) = out.keep()?;
    let about = origin(
        &run.folder,
        [
            ("methods", json!(command.methods().iter().map(|method| method.name()).collect::<Vec<_>>())),
            ("explained", json!(explained.description())),
            ("out_of_fold", json!(command.out_of_fold)),
            ("sequences", json!(found.sequences)),
            ("completeness", json!(found.completeness.to_json(command))),
            ("pictures", json!(found.pictures.iter().map(|(name, _)| name).collect::<Vec<_>>())),
        ],
    )?;
    out.write_json(IMPORTANCE_JSON, &about)?; // first: by it --force knows the folder
    output.finish(&out)?;
    out.make_folder("pictures")?;
    for (name, picture) in &found.pictures {
        picture.write(&out, &format!("pictures/{name}"))?;
    }
    replaced.discard();
    source.warnings().iter().for_each(|warning| progress.warn(warning));
    if !found.seen.is_empty() {
        progress.warn(&format!(
            "{} left out, as every network has learned from the chromosome: {}",
            format::counted(found.seen.len() as u64, "sequence"),
            format::list_first(&found.seen, MOST_NAMES)
        ));
    }
    if found.completeness.beyond > 0 {
        progress.warn(&format!(
            "integrated gradients of {} sequences do not add up within 1 %; use more --steps",
            thousands(found.completeness.beyond)
        ));
    }
    print(&format!("{}{}\n", table(&found, &explained, &command.methods()), path.display()))
}

/// The files of `--attributions-out`, if it is given.
fn contributions(command: &Command, length: usize) -> Result<Option<Contributions>> {
    let Some(prefix) = &command.attributions_out else { return Ok(None) };
    if !command.methods().contains(&AttributionMethod::Ism) {
        bail!("--attributions-out holds the effects of substitutions, expected ism among --method; add it");
    }
    for path in Contributions::paths(prefix) {
        check_output_file(&path, command.force)?;
    }
    Contributions::new(prefix, length).map(Some)
}

/// Where the sequences come from.
enum Source {
    Records(Box<Sequences>),
    Regions(Box<RegionSequences>),
}

impl Source {
    fn open(command: &Command, run: &FinishedRun, length: usize, progress: Progress) -> Result<Self> {
        let of = if command.regions.is_some() { UnknownLimit::for_windows } else { UnknownLimit::for_records };
        let limit = of(&run.provenance, command.max_n);
        limit.warning().iter().for_each(|warning| progress.warn(warning));
        if let (Some(reference), Some(regions)) = (&command.reference, &command.regions) {
            let center = command.center.or(run.provenance.config.data.center);
            let sequences = RegionSequences::open(reference, regions, length, center)?;
            progress.say(&format!("{}: {}", regions.display(), sequences.description()));
            if let Some(left_out) = sequences.left_out() {
                progress.warn(&format!("{}: {left_out}", regions.display()));
            }
            return Ok(Self::Regions(Box::new(sequences.with_limit(limit))));
        }
        let fitting = Fitting { pad_short: command.pad_short, crop_long: command.crop_long };
        Sequences::open(command.file(), length, fitting)
            .map(|sequences| Self::Records(Box::new(sequences.with_limit(limit))))
    }

    /// The chromosomes of the genome whose windows they are, if they are.
    fn chromosomes(&self) -> Option<Vec<Chromosome>> {
        match self {
            Self::Records(_) => None,
            Self::Regions(sequences) => Some(sequences.chromosomes()),
        }
    }

    fn next_sequence(&mut self) -> Result<Option<Sequence>> {
        match self {
            Self::Records(sequences) => sequences.next_sequence(),
            Self::Regions(sequences) => sequences.next_sequence(),
        }
    }

    /// Names of the sequences left out, as they hold too many unknown bases.
    fn unknown(&self) -> &[String] {
        match self {
            Self::Records(sequences) => &sequences.unknown,
            Self::Regions(sequences) => &sequences.unknown,
        }
    }

    /// What there is to say once all are read: of names whose coordinates do not fit, and of too many unknown bases.
    fn warnings(&self) -> Vec<String> {
        let names = match self {
            Self::Records(sequences) => sequences.warning(),
            Self::Regions(_) => None,
        };
        let unknown = (!self.unknown().is_empty()).then(|| {
            let (sequences, hold) =
                if self.unknown().len() == 1 { ("sequence", "it holds") } else { ("sequences", "they hold") };
            format!(
                "{} {sequences} left out, as {hold} more unknown bases than the run was trained under (--max-n): {}",
                thousands(self.unknown().len()),
                format::list_first(self.unknown(), MOST_NAMES)
            )
        });
        names.into_iter().chain(unknown).collect()
    }
}

/// What there is to say of all sequences.
#[derive(Default)]
struct Found {
    sequences: usize,
    /// Names of those left out, as every network has learned from their chromosome.
    seen: Vec<String>,
    rows: Vec<String>,
    /// File names with pictures.
    pictures: Vec<(String, figures::Figure)>,
    completeness: Completeness,
}

/// How far integrated gradients are from adding up.
#[derive(Default)]
struct Completeness {
    sequences: usize,
    sum: f64,
    worst: f64,
    /// Sequences for which it stayed above what is tolerated.
    beyond: usize,
    most_steps: usize,
}

impl Completeness {
    fn add(&mut self, integrated: &gradients::Integrated) {
        let error = integrated.error();
        self.sequences += 1;
        self.sum += error;
        self.worst = self.worst.max(error);
        self.beyond += usize::from(error > TOLERANCE);
        self.most_steps = self.most_steps.max(integrated.steps);
    }

    fn mean(&self) -> f64 {
        self.sum / self.sequences.max(1) as f64
    }

    fn to_json(&self, command: &Command) -> serde_json::Value {
        if self.sequences == 0 {
            return serde_json::Value::Null;
        }
        json!({
            "baseline": format!("{:?}", command.baseline).to_lowercase(),
            "steps": command.steps,
            "most_steps": self.most_steps,
            "mean_error": self.mean(),
            "largest_error": self.worst,
        })
    }
}

fn explain(
    command: &Command,
    all: Explainer,
    folds: Option<&OutOfFold>,
    sequences: &mut Source,
    output: &mut Output,
) -> Result<Found> {
    let path = gradients::Path { baseline: command.baseline, steps: command.steps as usize, seed: command.seed };
    let (methods, mut found) = (command.methods(), Found::default());
    let mut missing: Vec<&String> = command.picture.iter().collect();
    while found.sequences < command.limit.unwrap_or(usize::MAX) {
        let Some(sequence) = sequences.next_sequence()? else { break };
        let networks = match folds {
            Some(by_chromosome) => {
                let unseen_by = match &sequence.place {
                    Some(place) => by_chromosome.folds_of_chromosome(&place.chromosome),
                    None => by_chromosome.folds_of_record(&sequence.name, sequence.own.len())?,
                };
                if unseen_by.is_empty() {
                    found.seen.push(sequence.name);
                    continue;
                }
                by_chromosome.networks_of(&unseen_by)
            }
            None => Together(vec![all.scorer]),
        };
        let explainer = Explainer { scorer: &networks, explained: all.explained };
        let explanation = Explanation::of(&explainer, &sequence, &methods, &path)?;
        output.push(&sequence, &explanation).map_err(|error| cannot_write(Path::new("a temporary file"), &error))?;
        found.sequences += 1;
        if let Some(integrated) = &explanation.integrated {
            found.completeness.add(integrated);
        }
        if found.rows.len() < MOST_ROWS {
            found.rows.push(row(&sequence, &explanation, explainer.explained));
        }
        let named = missing.iter().position(|name| **name == sequence.name);
        if named.is_some() || (command.picture.is_empty() && found.pictures.len() < command.most_pictures()) {
            let picture =
                figures::importance::of_sequence(&sequence, &explanation, &explainer.explained.description())?;
            found.pictures.push((picture_name(&sequence), picture));
        }
        named.map(|named| missing.remove(named));
    }
    if let (0, Some(first)) = (found.sequences, sequences.unknown().first()) {
        bail!(
            "{}: every sequence holds more unknown bases than the run was trained under, the first '{first}', expected fewer; raise --max-n or give others",
            command.file().display()
        );
    }
    if let (0, Some(first)) = (found.sequences, found.seen.first()) {
        bail!(
            "{}: every network has learned from the chromosomes of all sequences, the first '{first}', expected one that some fold tests on; leave --out-of-fold out or give others",
            command.file().display()
        );
    }
    if found.sequences == 0 {
        bail!("{}: holds no sequences, expected some; check the file", command.file().display());
    }
    if let Some(name) = missing.first() {
        bail!(
            "{}: has no record '{name}' among the {} explained, expected it as --picture names it; correct the name",
            command.file().display(),
            thousands(found.sequences)
        );
    }
    Ok(found)
}

/// A file name from a record's, which may hold anything.
fn picture_name(sequence: &Sequence) -> String {
    const LONGEST: usize = 60;
    let safe = |letter: char| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '_' };
    let name: String = sequence.name.chars().take(LONGEST).map(safe).collect();
    format!("{}_{name}.png", sequence.index + 1)
}

/// A sequence in the table for people, by the first method.
fn row(sequence: &Sequence, explanation: &Explanation, explained: &Explained) -> String {
    let Some(track) = explanation.tracks.first() else { return String::new() };
    let stretch = strongest(&track.importance, sequence.own.clone(), STRETCH);
    let sum: f32 = track.importance[stretch.clone()].iter().sum();
    format!(
        "  {:<28}{:>9.3}{:>9.4}  {:>6}  {:<STRETCH$}{sum:>+10.3}\n",
        format::short_name(&sequence.name),
        explanation.score,
        explained.prediction(explanation.score),
        sequence.position(stretch.start),
        alphabet::decode(&sequence.codes[stretch]),
    )
}

fn table(found: &Found, explained: &Explained, methods: &[AttributionMethod]) -> String {
    let names: Vec<&str> = methods.iter().map(|method| method.name()).collect();
    let sequences = if found.sequences == 1 { "sequence" } else { "sequences" };
    let mut text = format!(
        "{} {sequences}, {} explained by {}\n",
        thousands(found.sequences),
        explained.description(),
        names.join(", ")
    );
    let (number, prediction) = if explained.is_probability() { ("log-odds", "score") } else { ("number", "score") };
    text.push_str(&format!(
        "  {:<28}{number:>9}{prediction:>9}  {:>6}  {:<STRETCH$}{:>10}\n",
        "name", "from", "strongest", "its sum"
    ));
    found.rows.iter().for_each(|row| text.push_str(row));
    if found.sequences > found.rows.len() {
        text.push_str(&format!("  and {} more in {}.tsv\n", thousands(found.sequences - found.rows.len()), names[0]));
    }
    let completeness = &found.completeness;
    if completeness.sequences > 0 {
        text.push_str(&format!(
            "completeness error of integrated gradients: {:.2} % on average, {:.2} % at most, in up to {} steps\n",
            completeness.mean() * 100.0,
            completeness.worst * 100.0,
            thousands(completeness.most_steps)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_named_after_what_they_show() {
        let sequence =
            |name: &str| Sequence { name: name.into(), index: 2, codes: vec![0], own: 0..1, first: 0, place: None };
        assert_eq!(picture_name(&sequence("chr1:5-10(+)")), "3_chr1_5-10___.png");
        assert_eq!(picture_name(&sequence("../../x")), "3_.._.._x.png");
    }
}
