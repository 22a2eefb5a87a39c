//! Basset (Kelley, Snoek and Rinn, Genome Research 2016): wide convolutions, each normalised and pooled, and two dense
//! layers of 1000. Convolutions are padded and pools shrink to what is left, so fragments far below the 600 bp of the
//! paper work too.

use anyhow::Result;

use crate::config::ModelConfig;
use crate::config::layers::Layer;
use crate::network::plan::Plan;

const SECOND_WIDTH: usize = 11;
const LATER_WIDTH: usize = 7;
const FIRST_POOL: usize = 3;
const LATER_POOL: usize = 4;
const DENSE: usize = 1000;

pub(super) fn plan(plan: &mut Plan, config: &ModelConfig, outputs: usize) -> Result<()> {
    for i in 0..config.depth() {
        let (filters, width, pool) = match i {
            0 => (config.filters(), config.width(), FIRST_POOL),
            1 => (later_filters(config.filters()), SECOND_WIDTH, LATER_POOL),
            _ => (later_filters(config.filters()), LATER_WIDTH, LATER_POOL),
        };
        plan.block(format!("convolutions.{i}"));
        plan.add(&format!("convolutions.{i}.conv"), Layer::same_convolution(filters, width, 1))?;
        plan.add(&format!("convolutions.{i}.norm"), Layer::BatchNorm {})?;
        let pool = Layer::MaxPool { width: pool.min(plan.positions()), stride: None };
        plan.then([Layer::Relu {}, pool])?;
    }
    plan.then([Layer::Flatten {}])?;
    for i in 0..2 {
        plan.block(format!("dense.{i}"));
        plan.add(&format!("dense.{i}"), Layer::Dense { units: DENSE })?;
        plan.then([Layer::Relu {}, Layer::Dropout { rate: Some(config.dropout) }])?;
    }
    plan.block("output");
    plan.add("output", Layer::Dense { units: outputs })
}

/// 200 filters instead of the published 300: an even number, which strands can share.
fn later_filters(first: usize) -> usize {
    (first / 3 * 2).max(2)
}
