//! A network as one HTML file that scores sequences in a browser: the weights, and core's own scorer compiled to WebAssembly
//! (`crates/wasm`, by `scripts/build-wasm`).

use std::io::Write;

use anyhow::Result;
use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::config::Strands;
use crate::export::embedded::Embedded;
use crate::format::{thousands, three_digits};
use crate::html::table::Table;
use crate::html::{question, quoted};

/// The scorer, as `scripts/build-wasm` compiles it.
const SCORER: &[u8] = include_bytes!("scorer.wasm");

/// The page of a run's networks with the bytes of their weights.
///
/// # Errors
/// The weights are damaged, or are not those of the networks.
pub fn document(name: &str, embedded: &Embedded, weights: &[u8]) -> Result<String> {
    embedded.ensemble(weights)?;
    let mut zipped = GzEncoder::new(Vec::new(), Compression::best());
    zipped.write_all(SCORER)?;
    let length = embedded.card.length;
    let model = ModelHtml {
        name: name.into(),
        quoted: quoted(name),
        version: env!("CARGO_PKG_VERSION"),
        question: question::of_task(&embedded.task, &embedded.classes, length),
        length,
        windows: windows(length),
        facts: Table::of_pairs("The network", facts(embedded)),
        // `<` would end the element that holds it.
        description: serde_json::to_string(embedded)?.replace('<', "\\u003c"),
        weights: STANDARD.encode(weights),
        scorer: STANDARD.encode(zipped.finish()?),
    };
    Ok(model.render()?)
}

#[derive(Template)]
#[template(path = "model.html")]
struct ModelHtml {
    name: String,
    quoted: String,
    version: &'static str,
    question: String,
    length: usize,
    windows: String,
    facts: Table,
    description: String,
    weights: String,
    scorer: String,
}

/// What becomes of sequences of another length.
fn windows(length: usize) -> String {
    let length = thousands(length);
    format!(
        "The network reads {length} bp. Longer sequences are scored in windows of {length} bp, by default end to end as by predict; what is left at the end has no score. Shorter ones are put between unknown bases (N)."
    )
}

/// What there is to know of a network.
fn facts(embedded: &Embedded) -> Vec<(&'static str, String)> {
    let Embedded { card, task, model, strands, largest_n, .. } = embedded;
    let mut facts = vec![("Architecture", model.arch.name().to_owned()), ("Length", format!("{} bp", card.length))];
    if card.members > 1 {
        facts.push(("Networks", format!("{}, whose outputs are averaged", card.members)));
    }
    facts.push((
        "Strands",
        match strands {
            Strands::Single | Strands::Augment => "as given; the reverse complement has a score of its own".into(),
            Strands::Average | Strands::Shared | Strands::Equivariant => "both, read by the network itself".into(),
        },
    ));
    if task.profile.is_none() {
        facts.push(("Output", card.output.split_once("], ").map_or("", |(_, what)| what).to_owned()));
    } else {
        facts.push(("Output", "log counts of each group, and the counts expected at each base".into()));
    }
    if let Some(threshold) = card.threshold {
        facts.push(("Threshold", format!("{}, chosen on validation", three_digits(threshold))));
    }
    if let Some(calibration) = task.calibration.description(task.kind) {
        facts.push(("Probabilities", calibration));
    }
    if let Some(most) = largest_n {
        facts.push(("Unknown bases", format!("windows with more than {most} have no score, as in training")));
    }
    if let Some(profile) = &task.profile {
        if profile.bias_shift.is_some() {
            facts.push(("Bias model", "left out, so that counts and profiles are without the enzyme's bias".into()));
        }
        if profile.shape.control > 0 {
            facts.push(("Control", "no counts, as there is none for typed sequences".into()));
        }
    }
    facts.push(("Checksum of the weights", format!("SHA-256 {}", card.sha256)));
    facts
}
