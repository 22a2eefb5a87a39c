//! A network from the `[[layer]]` list of a TOML file, followed by an output layer. Layers are named by their index,
//! from 0, as in PyTorch's `nn.Sequential`.

use anyhow::Result;

use crate::config::ModelConfig;
use crate::config::layers::Layer;
use crate::network::plan::Plan;

pub(super) fn plan(plan: &mut Plan, config: &ModelConfig, outputs: usize) -> Result<()> {
    for (i, layer) in config.layer.iter().enumerate() {
        if i == 0 || layer.begins_block() {
            plan.block(format!("layers.{i}"));
        }
        plan.add(&format!("layers.{i}"), with_rate(layer.clone(), config.dropout))?;
    }
    plan.block("output");
    plan.add("output", Layer::Dense { units: outputs })
}

/// Dropout without a rate uses that of `--dropout`.
fn with_rate(layer: Layer, dropout: f64) -> Layer {
    match layer {
        Layer::Dropout { rate } => Layer::Dropout { rate: rate.or(Some(dropout)) },
        Layer::Residual { layers } => {
            Layer::Residual { layers: layers.into_iter().map(|layer| with_rate(layer, dropout)).collect() }
        }
        layer => layer,
    }
}
