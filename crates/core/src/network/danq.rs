//! DanQ (Quang and Xie, Nucleic Acids Research 2016): a convolution finds motifs, and a bidirectional long short-term
//! memory finds their grammar. The convolution is padded, unlike the published one, so fragments far below the 1000 bp
//! of the paper work too.

use anyhow::Result;

use crate::config::ModelConfig;
use crate::config::layers::Layer;
use crate::network::plan::Plan;

const POOL: usize = 13;
const DENSE: usize = 925;
/// The dropout after the LSTM is `--dropout`, 0.5 in the paper; the one before it is this share of that, 0.2 in the
/// paper.
const DROPOUT_BEFORE: f64 = 0.4;

pub(super) fn plan(plan: &mut Plan, config: &ModelConfig, outputs: usize) -> Result<()> {
    let dropout = |rate| Layer::Dropout { rate: Some(rate) };
    plan.block("convolution");
    plan.add("conv", Layer::same_convolution(config.filters(), config.width(), 1))?;
    let pool = Layer::MaxPool { width: POOL, stride: None };
    plan.then([Layer::Relu {}, pool, dropout(DROPOUT_BEFORE * config.dropout)])?;
    plan.block("memory");
    plan.add("lstm", Layer::Lstm { units: config.filters() })?;
    plan.then([dropout(config.dropout), Layer::Flatten {}])?;
    plan.block("dense");
    plan.add("dense", Layer::Dense { units: DENSE })?;
    plan.then([Layer::Relu {}])?;
    plan.block("output");
    plan.add("output", Layer::Dense { units: outputs })
}
