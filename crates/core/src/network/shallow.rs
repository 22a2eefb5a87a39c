//! The published experiment's network: one short convolution and a small dense layer. Layers are named by their place,
//! as those of PyTorch's `nn.Sequential` are, so weights carry over.

use anyhow::Result;

use crate::config::layers::{Layer, Padding};
use crate::config::{DropoutPlace, ModelConfig};
use crate::network::plan::Plan;

const POOL: usize = 16;
const DENSE: usize = 8;

pub(super) fn plan(plan: &mut Plan, config: &ModelConfig, outputs: usize) -> Result<()> {
    let dropout = |here: &[DropoutPlace]| {
        let here = here.contains(&config.dropout_after);
        Layer::Dropout { rate: Some(if here { config.dropout } else { 0.0 }) }
    };
    let (filters, width) = (config.filters(), config.width());
    plan.block("convolution");
    let padding = Padding::None;
    plan.add("0", Layer::Convolution { filters, width, stride: 1, dilation: 1, groups: 1, padding })?;
    let after_convolution = dropout(&[DropoutPlace::Both, DropoutPlace::Convolution]);
    plan.then([Layer::Relu {}, after_convolution, Layer::MaxPool { width: POOL, stride: None }, Layer::Flatten {}])?;
    plan.block("dense");
    plan.add("5", Layer::Dense { units: DENSE })?;
    plan.then([Layer::Relu {}, dropout(&[DropoutPlace::Both, DropoutPlace::Dense])])?;
    plan.block("output");
    plan.add("8", Layer::Dense { units: outputs })
}
