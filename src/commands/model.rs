//! `model`: the layers of a network, without data or training.

use anyhow::Result;
use clap::ArgMatches;

use crate::cli::Model;
use strandnet_core::commands::{print, print_json};
use strandnet_core::config::{Config, DataConfig, TrainingConfig};
use strandnet_core::figures::layers;
use strandnet_core::network::Outputs;
use strandnet_core::network::plan::Plan;
use strandnet_core::sequence::profile::ProfileShape;

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
    let (columns, strands) = (command.outputs as usize, config.training.strands);
    let predicts_profiles = config.model.arch.predicts_profiles();
    let (profile_length, output_length) = config.data.profile_lengths();
    let length = if predicts_profiles { profile_length } else { config.data.length.unwrap_or(LENGTH) };
    let profile = predicts_profiles.then(|| ProfileShape {
        tracks: vec![1; columns],
        length: output_length,
        ..ProfileShape::default()
    });
    let plan = Plan::new(&config.model, length, Outputs { columns, bins: None, profile }, strands)?;
    if command.json { print_json(&layers::json(&plan, strands)) } else { print(&layers::table(&plan, strands)) }
}
