//! `export`: a run's network as TorchScript.

use anyhow::{Result, bail};

use crate::cli::Export;
use crate::commands::print;
use crate::export;
use strandnet_core::evaluate::results::threshold_of;
use strandnet_core::progress::Progress;
use strandnet_core::run;
use strandnet_core::run::{MODEL_PT, RunFolder, WEIGHTS, ensemble_of, lies_in};

pub fn run(command: &Export, _progress: Progress) -> Result<()> {
    let (run, provenance) = RunFolder::open_finished(&ensemble_of(&command.run)?)?;
    let card_path = command.out.with_extension("json");
    if card_path == command.out {
        bail!(
            "{}: would be overwritten by the model's own description; give --out another ending, such as .pt",
            card_path.display()
        );
    }
    let is_own = command.out.file_name().is_some_and(|name| name == MODEL_PT);
    if !is_own && lies_in(&command.out, &run.path) {
        bail!(
            "{}: lies in the run folder, where only {MODEL_PT} is written; choose another --out",
            command.out.display()
        );
    }
    for path in [&command.out, &card_path] {
        run::check_output_file(path, command.force)?;
    }
    let (task, classes) = (provenance.task()?, provenance.classes()?);
    let (config, weights) = (&provenance.config, run.file(WEIGHTS));
    let threshold = threshold_of(&run, task)?;
    let (card, difference) =
        export::export(config, task, &classes, provenance.length, &weights, threshold, &command.out)?;
    let mut text = serde_json::to_string_pretty(&card)?;
    text.push('\n');
    run::write_atomically(&card_path, text.as_bytes())?;
    print(&format!("largest difference from the network {difference:.1e}\n{}\n", command.out.display()))
}
