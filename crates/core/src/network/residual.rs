//! A stem, dilated residual blocks, and pooling both over the whole sequence and place by place: small enough for a CPU,
//! and able to see motifs, their combinations and where they stand. Layers are named as in the `state_dict` of the same
//! network in PyTorch.

use anyhow::Result;

use crate::config::ModelConfig;
use crate::config::layers::Layer;
use crate::network::plan::Plan;

const STEM_POOL: usize = 4;
const BLOCK_WIDTH: usize = 5;
/// Dilations double from block to block up to 2 to this power, then begin again.
const DOUBLINGS: usize = 7;
/// Channels, and positions along the sequence, of the pooling that keeps locations. Global pooling alone cannot learn
/// what depends on position, as in splice sites.
const PLACE_CHANNELS: usize = 16;
const PLACES: usize = 20;
const HIDDEN: usize = 64;

pub(super) fn plan(plan: &mut Plan, config: &ModelConfig, outputs: usize) -> Result<()> {
    stem(plan, config)?;
    for i in 0..config.depth() {
        let name = |part: &str| format!("blocks.{i}.{part}");
        plan.block(format!("blocks.{i}"));
        plan.add_residual("", |inner| {
            inner.add(&name("norm1"), Layer::BatchNorm {})?;
            inner.then([Layer::Gelu {}])?;
            inner.add(&name("conv1"), Layer::same_convolution(channels(config), BLOCK_WIDTH, dilation(i)))?;
            inner.add(&name("norm2"), Layer::BatchNorm {})?;
            inner.then([Layer::Gelu {}])?;
            inner.add(&name("conv2"), Layer::same_convolution(channels(config), 1, 1))
        })?;
    }
    head(plan, config, outputs)
}

/// The dilation of a block.
pub(super) fn dilation(block: usize) -> usize {
    1 << (block % (DOUBLINGS + 1))
}

/// Channels of the blocks: three eighths of the stem's filters, rounded to an even number, so that strands can share
/// them.
fn channels(config: &ModelConfig) -> usize {
    (config.filters() * 3 / 16 * 2).max(2)
}

/// A wide convolution, normalised, raised to a power and pooled: with an exponential, filters become motifs and weak
/// matches are suppressed (Koo and Ploenzke, 2021). This matters most of all: with a ReLU instead, AUROC on
/// transcription factors is 0.03 lower.
pub(super) fn stem(plan: &mut Plan, config: &ModelConfig) -> Result<()> {
    plan.block("stem");
    plan.add("stem_conv", Layer::same_convolution(config.filters(), config.width(), 1))?;
    plan.then([Layer::MaxPool { width: STEM_POOL, stride: None }])?;
    plan.add("stem_norm", Layer::BatchNorm {})?;
    plan.then([Layer::Exp {}])?;
    plan.add("stem_narrow", Layer::same_convolution(channels(config), 1, 1))
}

/// Global and local pooling, a dense layer, and the output.
pub(super) fn head(plan: &mut Plan, config: &ModelConfig, outputs: usize) -> Result<()> {
    let dropout = || Layer::Dropout { rate: Some(config.dropout) };
    plan.block("head");
    plan.add("final_norm", Layer::BatchNorm {})?;
    plan.then([Layer::Gelu {}])?;
    plan.add("place", Layer::PlacesPool { filters: PLACE_CHANNELS, places: PLACES })?;
    plan.then([dropout()])?;
    plan.add("hidden", Layer::Dense { units: HIDDEN })?;
    plan.then([Layer::Gelu {}, dropout()])?;
    plan.block("output");
    plan.add("output", Layer::Dense { units: outputs })
}
