//! `model`: the layers of a network, without data or training.

use anyhow::Result;
use clap::ArgMatches;

use crate::cli::Model;
use crate::commands::{print, print_json};
use strandnet_core::config::{Config, DataConfig, TrainingConfig};
use strandnet_core::figures::layers;
use strandnet_core::network::plan::Plan;

/// Of a fragment, in bp, where nobody says otherwise: that of the published experiment.
const LENGTH: usize = 128;

pub fn run(command: &Model, flags: &ArgMatches) -> Result<()> {
    let shown = TrainingConfig::default();
    let typed = Config {
        model: command.network.clone(),
        data: DataConfig { length: command.length, ..DataConfig::default() },
        training: TrainingConfig { strands: command.strands.unwrap_or(shown.strands), ..shown },
    };
    let config = Config::resolve(command.config.as_deref(), &typed, flags)?;
    let length = config.data.length.unwrap_or(LENGTH);
    let strands = config.training.strands;
    let plan = Plan::new(&config.model, length, command.outputs as usize, strands)?;
    if command.json { print_json(&layers::json(&plan, strands)) } else { print(&layers::table(&plan, strands)) }
}
