//! Dilated residual convolutions with a head for the profile and one for the counts: BPNet (Avsec and others, 2021), as
//! bpnet-lite has it; its `fconv` and `linear` are in `head` here. Only positions that the outputs depend on are computed.

use anyhow::{Result, bail};

use crate::config::layers::{Layer, Rectified};
use crate::config::{Architecture, ModelConfig};
use crate::network::plan::Plan;
use crate::network::{Outputs, residual};
use crate::sequence::profile::{HEAD_WIDTH, ProfileShape};

const BLOCK_WIDTH: usize = 3;
/// Filters and blocks of the branch for counts.
const COUNTS_FILTERS: usize = 64;
const COUNTS_DEPTH: usize = 2;

pub(super) fn plan(plan: &mut Plan, config: &ModelConfig, outputs: &Outputs) -> Result<()> {
    let profile = profile(outputs)?;
    let counted = config.counts_positions.unwrap_or(profile.length + HEAD_WIDTH - 1);
    trunk(plan, config, profile.length.max(counted.saturating_sub(HEAD_WIDTH - 1)), "")?;
    plan.block("output");
    let (tracks, groups, length) = (profile.all_tracks(), profile.groups(), profile.length);
    plan.add("head", Layer::ProfileHead { tracks, groups, width: HEAD_WIDTH, length, counted })
}

/// The same trunk for the profile, and beside it the default network for the log counts: where motifs are, and which, tells how many
/// reads there are better than what the bases of the profile see.
pub(super) fn plan_branched(plan: &mut Plan, config: &ModelConfig, outputs: &Outputs) -> Result<()> {
    let profile = profile(outputs)?;
    let groups = profile.groups();
    let of_counts = ModelConfig {
        arch: Architecture::Residual,
        filters: Some(COUNTS_FILTERS),
        width: None,
        depth: Some(COUNTS_DEPTH),
        ..config.clone()
    };
    plan.block("output");
    plan.add_branches(
        |plan| {
            trunk(plan, config, profile.length, "profile.")?;
            let (tracks, length) = (profile.all_tracks(), profile.length);
            plan.add(
                "profile.head",
                Layer::ProfileHead { tracks, groups: 0, width: HEAD_WIDTH, length, counted: length + HEAD_WIDTH - 1 },
            )
        },
        |plan| residual::plan(plan, &of_counts, &Outputs::from(groups)),
    )
}

fn profile(outputs: &Outputs) -> Result<&ProfileShape> {
    match &outputs.profile {
        Some(profile) => Ok(profile),
        None => bail!("predicts profiles, expected --task profile; use another --arch"),
    }
}

/// A wide convolution and dilated residual blocks, without positions that no output depends on, where a convolution of the head gives
/// `length` positions.
fn trunk(plan: &mut Plan, config: &ModelConfig, length: usize, prefix: &str) -> Result<()> {
    let plan_length = plan.length;
    let (filters, width, depth) = (config.filters(), config.width(), config.depth());
    let dilations: Vec<usize> = (1..=depth).map(|i| 1 << i).collect();
    // What a layer must give for those behind it, of what there is.
    let needed = |left: &[usize]| {
        let reach: usize = left.iter().map(|dilation| (BLOCK_WIDTH - 1) * dilation).sum();
        (length + HEAD_WIDTH - 1 + reach).min(plan_length)
    };
    let positions: Vec<usize> = (0..=depth).map(|i| needed(&dilations[i..])).collect();
    plan.block("stem");
    let name = format!("{prefix}iconv");
    let (of_stem, of_blocks) = match config.pre_activation {
        false => (Rectified::Output, Rectified::Output),
        true => (Rectified::Nothing, Rectified::Input),
    };
    let (residual, relu) = (false, of_stem);
    plan.add(&name, Layer::Dilated { filters, width, dilation: 1, positions: positions[0], residual, relu })?;
    for (i, &dilation) in dilations.iter().enumerate() {
        let (name, positions) = (format!("{prefix}rconvs.{i}"), positions[i + 1]);
        plan.block(&name);
        let (residual, relu) = (true, of_blocks);
        plan.add(&name, Layer::Dilated { filters, width: BLOCK_WIDTH, dilation, positions, residual, relu })?;
    }
    plan.then(config.pre_activation.then_some(Layer::Relu {}))
}
