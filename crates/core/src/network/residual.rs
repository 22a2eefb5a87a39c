//! A stem, dilated residual blocks, and pooling both over the whole sequence and place by place: small enough for a CPU,
//! and able to see motifs, their combinations and where they stand. Layers are named as in the `state_dict` of the same
//! network in PyTorch.

use anyhow::{Result, bail};

use crate::config::ModelConfig;
use crate::config::layers::Layer;
use crate::network::Outputs;
use crate::network::plan::Plan;
use crate::sequence::bins::Bins;

const STEM_POOL: usize = 4;
const BLOCK_WIDTH: usize = 5;
/// Dilations double from block to block up to 2 to this power, then begin again.
const DOUBLINGS: usize = 7;
/// Channels, and positions along the sequence, of the pooling that keeps locations. Global pooling alone cannot learn
/// what depends on position, as in splice sites.
const PLACE_CHANNELS: usize = 16;
const PLACES: usize = 20;
const HIDDEN: usize = 64;

pub(super) fn plan(plan: &mut Plan, config: &ModelConfig, outputs: &Outputs) -> Result<()> {
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
    plan.then([Layer::exponential()])?;
    plan.add("stem_narrow", Layer::same_convolution(channels(config), 1, 1))
}

/// Global and local pooling, a dense layer, and the output; or the same dense layers for each bin.
pub(super) fn head(plan: &mut Plan, config: &ModelConfig, outputs: &Outputs) -> Result<()> {
    let dropout = || Layer::Dropout { rate: Some(config.dropout) };
    plan.block("head");
    plan.add("final_norm", Layer::BatchNorm {})?;
    plan.then([Layer::Gelu {}])?;
    if let Some(bins) = outputs.bins {
        return bins_head(plan, config, outputs.columns, bins);
    }
    plan.add("place", Layer::PlacesPool { filters: PLACE_CHANNELS, places: PLACES })?;
    plan.then([dropout()])?;
    plan.add("hidden", Layer::Dense { units: HIDDEN })?;
    plan.then([Layer::Gelu {}, dropout()])?;
    plan.block("output");
    plan.add("output", Layer::Dense { units: outputs.columns })
}

/// Means over the positions of each bin in the middle of the sequence, and for each bin a dense layer and the output.
fn bins_head(plan: &mut Plan, config: &ModelConfig, columns: usize, bins: Bins) -> Result<()> {
    let (step, covered) = (plan.step_bp(), bins.count * bins.bp);
    let around = plan.length.checked_sub(covered);
    let fits = [plan.length, bins.bp].iter().all(|bp| bp.is_multiple_of(step))
        && around.is_some_and(|around| around.is_multiple_of(2 * step));
    if !fits {
        bail!(
            "bins of {} bp over the middle {covered} of {} bp do not fall on the network's positions, which are {step} bp apart; use multiples of {step} for --bin and --length, and of {} for what --output-length leaves",
            bins.bp,
            plan.length,
            2 * step
        );
    }
    plan.then([Layer::Crop { positions: covered / step }, Layer::MeanPool { width: bins.bp / step, stride: None }])?;
    plan.add("hidden", Layer::same_convolution(HIDDEN, 1, 1))?;
    plan.then([Layer::Gelu {}, Layer::Dropout { rate: Some(config.dropout) }])?;
    plan.block("output");
    plan.add("output", Layer::same_convolution(if plan.tied { 2 * columns } else { columns }, 1, 1))?;
    plan.then([Layer::Flatten {}])
}
