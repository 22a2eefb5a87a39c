//! Scores sequences with a finished run: `cargo run --release --example predict -- RUN SEQUENCE...`
//! Without sequences, it scores a made-up one.

use anyhow::{Context, Result};
use strandnet::{Model, device};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let run = arguments.next().context("expected the path of a finished run, such as runs/demo")?;
    let model = Model::load(run, device::auto())?;

    let mut sequences: Vec<String> = arguments.collect();
    if sequences.is_empty() {
        sequences.push("ACGTTGCA".repeat(model.length().div_ceil(8))[..model.length()].to_owned());
    }
    let scores = model.predict(&sequences)?; // [n, outputs]

    println!("sequence\t{}", model.output_names().join("\t"));
    for (i, scores) in scores.rows().enumerate() {
        let scores: Vec<String> = scores.iter().map(|score| format!("{score:.4}")).collect();
        println!("{}\t{}", i + 1, scores.join("\t"));
    }
    if let Some(threshold) = model.threshold() {
        println!("positive from {threshold:.4} on");
    }
    Ok(())
}
