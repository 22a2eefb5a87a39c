//! Shows which bases a score rests on, by integrated gradients: `cargo run --release --example explain -- RUN SEQUENCE`
//! Without a sequence, it explains a made-up one.

use anyhow::{Context, Result};
use strandnet::attribute::gradients::importance;
use strandnet::{Device, Model};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let run = arguments.next().context("expected the path of a finished run, such as runs/demo")?;
    let model = Model::load(run, Device::Cpu)?;
    let sequence =
        arguments.next().unwrap_or_else(|| "ACGTTGCA".repeat(model.length().div_ceil(8))[..model.length()].to_owned());

    // The first output: the positive class, or the first class, label or column.
    let output = &model.output_names()[0];
    let found = model.attributions(&sequence, Some(output))?; // [4, length]
    let importance = importance(&found.attributions); // [length]

    println!("score {:.4} of '{output}'", model.predict(&[&sequence])?.row(0)[0]);
    println!("attributions of its log-odds add up to {:.4}, expected {:.4}", found.sum, found.difference);
    let mut places: Vec<usize> = (0..importance.len()).collect();
    places.sort_by(|&a, &b| importance[b].abs().total_cmp(&importance[a].abs()));
    for place in places.into_iter().take(10) {
        println!("{place}\t{}\t{:+.4}", &sequence[place..=place], importance[place]);
    }
    Ok(())
}
