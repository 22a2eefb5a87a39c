//! `explain footprints`: the profile around motifs that are set into shuffled sequences.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;

use crate::cli::explain::{Footprints as Command, Word};
use crate::commands::explain::own_examples;
use crate::commands::{FinishedRun, open_run, print};
use crate::device;
use strandnet_core::attribute::footprints::{Backgrounds, Footprint};
use strandnet_core::commands::explain::origin;
use strandnet_core::dataset::split::Split;
use strandnet_core::figures::footprints;
use strandnet_core::format;
use strandnet_core::formats::records::Records;
use strandnet_core::progress::Progress;
use strandnet_core::run::{Contents, FOOTPRINTS_JSON, OutputFolder};
use strandnet_core::sequence::alphabet;

pub fn run(command: &Command, progress: Progress) -> Result<()> {
    let (device, _) = device::choose(command.compute.device)?;
    device::set_threads(command.compute.threads.map(usize::from));
    let open = || open_run(&command.run, device, command.compute.no_native);
    let run = open()?;
    let task = run.provenance.task()?;
    let Some(profile) = &task.profile else {
        bail!("{}: predicts no profiles, expected a run of --task profile; name one", command.run.display())
    };
    let (shape, length) = (&profile.shape, run.provenance.length);
    let control = command.control.as_deref().map(|word| encoded("--control", word)).transpose()?.unwrap_or_default();
    let words = command.motif.iter().map(|Word { name, word }| Ok((name, encoded("--motif", word)?)));
    let words = words.collect::<Result<Vec<_>>>()?;
    let named = words.iter().map(|(name, word)| (format!("--motif {name}"), word));
    if let Some((flag, word)) =
        named.chain([("--control".to_owned(), &control)]).find(|(_, word)| word.len() > shape.length)
    {
        let (bases, length) = (word.len(), shape.length);
        bail!("{flag} has {bases} bases, expected at most the {length} bp of the profile; shorten it");
    }
    let mut seen = std::collections::HashSet::new();
    if let Some((name, _)) = words.iter().find(|(name, _)| !seen.insert(format::field(name))) {
        bail!("--motif names '{name}' twice, expected a name for each; choose another");
    }
    let path = command.out.clone().unwrap_or_else(|| run.folder.file("explain").join("footprints"));
    let out = OutputFolder::create(&path, Contents::Footprints, command.force)?;

    let codes = match &command.sequences {
        Some(path) => middles(path, length, command.backgrounds)?,
        None => own_examples(&run, Split::Test, &command.data_root, &progress)?.all_codes()?,
    };
    let backgrounds = Backgrounds::shuffled(&codes, length, command.backgrounds, command.seed);
    let biased = profile.bias_shift.as_ref().map(|_| open()?.with_bias(device)).transpose()?;
    let of =
        |run: &FinishedRun, word: &[u8]| -> Result<Footprint> { backgrounds.footprint(&run.ensemble, shape, word) };
    let controls = (of(&run, &control)?, biased.as_ref().map(|run| of(run, &control)).transpose()?);

    let (out, replaced) = out.keep()?;
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record([
        "motif",
        "track",
        "position",
        "without_bias",
        "with_bias",
        "control_without_bias",
        "control_with_bias",
    ])?;
    let (mut found, mut text) = (Vec::new(), String::new());
    out.make_folder("pictures")?;
    for (name, word) in &words {
        let one = of(&run, word)?;
        let other = biased.as_ref().map(|run| of(run, word)).transpose()?;
        let folds = one.folds(&controls.0, shape, word.len());
        let with_bias =
            other.as_ref().zip(controls.1.as_ref()).map(|(one, control)| one.folds(control, shape, word.len()));
        for (group, class) in run.classes.names.iter().enumerate() {
            let title = format!(
                "{}, {}, {} backgrounds",
                format::short_name(name),
                format::short_name(class),
                command.backgrounds
            );
            let figure = footprints::footprint(&title, shape, group, (&one, &controls.0), other.as_ref())?;
            figure.write(
                &out,
                &format!("pictures/{}.png", format::field(&format!("{name}_{class}")).replace('/', "_")),
            )?;
            let change = one.log_counts[group] - controls.0.log_counts[group];
            text.push_str(&format!("{name}, {class}: fold {:.3}", folds[group]));
            text.extend(with_bias.as_ref().map(|folds| format!(" without bias, {:.3} with bias", folds[group])));
            text.push_str(&format!("; log counts {change:+.3}\n"));
        }
        found.push(json!({
            "name": name, "fold": folds, "fold_with_bias": with_bias,
            "log_counts_change": one.log_counts.iter().zip(&controls.0.log_counts).map(|(a, b)| a - b).collect::<Vec<_>>(),
        }));
        let middle = (shape.length / 2) as i64;
        let number = |footprint: Option<&Footprint>, place: usize| {
            footprint.map_or_else(String::new, |footprint| footprint.profile[place].to_string())
        };
        for (track, track_name) in shape.track_names(&run.classes.names).iter().enumerate() {
            for base in 0..shape.length {
                let (place, position) = (track * shape.length + base, (base as i64 - middle).to_string());
                let [without, with] = [Some(&one), other.as_ref()].map(|footprint| number(footprint, place));
                let [control, biased] =
                    [Some(&controls.0), controls.1.as_ref()].map(|footprint| number(footprint, place));
                table.write_record([name.as_str(), track_name, &position, &without, &with, &control, &biased])?;
            }
        }
    }
    let about = origin(
        &run.folder,
        [
            ("backgrounds", json!(command.backgrounds)),
            ("sequences", json!(command.sequences)),
            ("seed", json!(command.seed)),
            ("control", json!(command.control)),
            ("groups", json!(run.classes.names)),
            ("motifs", json!(found)),
        ],
    )?;
    out.write_json(FOOTPRINTS_JSON, &about)?;
    out.write("footprints.csv", &table.into_inner()?)?;
    replaced.discard();
    print(&format!("{text}{}\n", path.display()))
}

/// Codes `[n, length]` of the middles of the first records of a file.
fn middles(path: &Path, length: usize, most: usize) -> Result<Vec<u8>> {
    let (shown, mut records, mut codes) = (path.display(), Records::open(path)?, Vec::new());
    while codes.len() < most * length
        && let Some(name) = records.next_record()?
    {
        let mut record = Vec::new();
        records.read_whole(&mut record).with_context(|| shown.to_string())?;
        let Some(spare) = record.len().checked_sub(length) else {
            bail!("{shown}: record '{name}' has {} bp, expected {length} or more; remove it", record.len());
        };
        codes.extend_from_slice(&record[spare / 2..spare / 2 + length]);
    }
    if codes.is_empty() {
        bail!("{shown}: holds no records, expected sequences; check the file");
    }
    alphabet::without_case(&mut codes);
    Ok(codes)
}

/// The codes of a word.
fn encoded(flag: &str, word: &str) -> Result<Vec<u8>> {
    if let Some(letter) = word.chars().find(|letter| !"ACGTUNacgtun".contains(*letter)) {
        bail!(
            "{flag} {word}: holds '{letter}', expected A, C, G, T or N; name a word for each base that it stands for"
        );
    }
    let mut codes = Vec::new();
    alphabet::encode(word.as_bytes(), &mut codes)
        .map_err(|fault| anyhow!("{flag} {word}: {fault}; correct the word"))?;
    alphabet::without_case(&mut codes);
    Ok(codes)
}
