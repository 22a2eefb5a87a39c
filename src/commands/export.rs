//! `export`: a run's network as TorchScript, as a PyTorch module, as ONNX or as a page that scores.

use anyhow::{Context, Result, bail};

use crate::cli::{Export, ExportFormat};
use crate::commands::print;
use crate::export;
use strandnet_core::evaluate::results::threshold_of;
use strandnet_core::export::card::ModelCard;
use strandnet_core::export::embedded::Embedded;
use strandnet_core::export::{Network, onnx, python};
use strandnet_core::html;
use strandnet_core::progress::Progress;
use strandnet_core::run;
use strandnet_core::run::{RunFolder, WEIGHTS, ensemble_of, lies_in, weights};

pub fn run(command: &Export, _progress: Progress) -> Result<()> {
    let (run, provenance) = RunFolder::open_finished(&ensemble_of(&command.run)?)?;
    let own = command.format.file_name();
    let out = command.out();
    let card_path = (command.format == ExportFormat::Torchscript).then(|| out.with_extension("json"));
    if card_path.as_ref() == Some(&out) {
        bail!(
            "{}: would be overwritten by the model's own description; give --out another ending, such as .pt",
            out.display()
        );
    }
    if out.file_name().is_none_or(|name| name != own) && lies_in(&out, &run.path) {
        bail!("{}: lies in the run folder, where only {own} is written; choose another --out", out.display());
    }
    for path in std::iter::once(&out).chain(&card_path) {
        run::check_output_file(path, command.force)?;
    }
    let (task, classes) = (provenance.task()?, provenance.classes()?);
    let (config, length, weights_path) = (&provenance.config, provenance.length, run.file(WEIGHTS));
    let threshold = threshold_of(&run, task)?;
    let mut said = String::new();
    if let Some(card_path) = card_path {
        let (card, difference) = export::export(config, task, &classes, length, &weights_path, threshold, &out)?;
        let mut text = serde_json::to_string_pretty(&card)?;
        text.push('\n');
        run::write_atomically(&card_path, text.as_bytes())?;
        said = format!("largest difference from the network {difference:.1e}\n");
    } else {
        let network = Network::new(config, task, &classes, length, threshold)?;
        let bytes = match command.format {
            ExportFormat::Html => {
                let weights = std::fs::read(&weights_path).with_context(|| {
                    format!("{}: cannot be read; is this a finished run folder?", weights_path.display())
                })?;
                let card = ModelCard { sha256: run::sha256_of(&weights), ..network.card };
                let embedded = Embedded {
                    card,
                    classes: classes.clone(),
                    task: task.clone(),
                    model: config.model.clone(),
                    strands: config.training.strands,
                    largest_n: provenance.largest_n,
                };
                let name = command.run.canonicalize().ok();
                let name = name.as_ref().and_then(|path| path.file_name()).unwrap_or(command.run.as_os_str());
                html::model::document(&name.to_string_lossy(), &embedded, &weights)?.into_bytes()
            }
            ExportFormat::Onnx => onnx::bytes(&network, &weights::read(&weights_path)?, &weights_path)?,
            _ => python::source(&network).into_bytes(),
        };
        run::write_atomically(&out, &bytes)?;
    }
    print(&format!("{said}{}\n", out.display()))
}
