//! Dilated blocks of two branches, one of which gates the other, after ConvNova (Bo and others, ICLR 2025): the context
//! of a position decides what of it passes. Stem and head are those of the residual network.

use anyhow::Result;

use crate::config::ModelConfig;
use crate::config::layers::Layer;
use crate::network::Outputs;
use crate::network::plan::Plan;
use crate::network::residual::{dilation, head, stem};

const BLOCK_WIDTH: usize = 9;

pub(super) fn plan(plan: &mut Plan, config: &ModelConfig, outputs: &Outputs) -> Result<()> {
    stem(plan, config)?;
    for i in 0..config.depth() {
        plan.block(format!("blocks.{i}"));
        plan.add(&format!("blocks.{i}"), Layer::Gated { width: BLOCK_WIDTH, dilation: dilation(i) })?;
    }
    head(plan, config, outputs)
}
