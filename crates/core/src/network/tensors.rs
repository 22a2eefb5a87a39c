//! The tensors of a network: names and shapes, as in the `state_dict` of the same network in PyTorch.

use std::collections::BTreeMap;

use crate::config::layers::{Layer, groups_of_strand};
use crate::network::plan::{Plan, Step};
use crate::sequence::profile::HEAD_WIDTH;

/// The shape of each tensor of a plan, statistics of batch norm included.
pub fn shapes(plan: &Plan) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::new();
    for step in plan.steps.iter().flat_map(|step| std::iter::once(step).chain(step.within())) {
        add(&mut shapes, step, plan.tied);
    }
    if let Some(shape) = plan.outputs.profile.as_ref().filter(|shape| shape.control > 0) {
        shapes.insert("control.profile.weight".into(), vec![shape.all_tracks(), shape.control, HEAD_WIDTH]);
        shapes.insert("control.counts.weight".into(), vec![shape.groups()]);
    }
    shapes
}

fn add(shapes: &mut BTreeMap<String, Vec<usize>>, step: &Step, tied: bool) {
    let mut put = |name: String, shape: &[usize]| drop(shapes.insert(name, shape.to_vec()));
    let name = &step.name;
    let (channels, outputs) = (step.input.channels, step.output.channels);
    let read = step.input.read_channels(&step.layer, tied);
    let mut weight_and_bias = |name: &str, shape: &[usize]| {
        put(format!("{name}.weight"), shape);
        put(format!("{name}.bias"), &shape[..1]);
    };
    match step.layer {
        Layer::Convolution { width, groups, .. } => {
            weight_and_bias(name, &[outputs, read / groups_of_strand(groups, step.input, tied), width]);
        }
        Layer::Dense { .. } => weight_and_bias(name, &[outputs, channels]),
        Layer::Dilated { width, .. } => weight_and_bias(name, &[outputs, channels, width]),
        Layer::PlacesPool { places, .. } => weight_and_bias(name, &[(outputs - 2 * channels) / places, read, 1]),
        Layer::ProfileHead { tracks, groups, width, .. } => {
            weight_and_bias(&format!("{name}.fconv"), &[tracks, channels, width]);
            if groups > 0 {
                weight_and_bias(&format!("{name}.linear"), &[groups, channels]);
            }
        }
        Layer::Gated { width, .. } => {
            for part in ["conv", "gate"] {
                weight_and_bias(&format!("{name}.{part}"), &[outputs, read, width]);
            }
            norm(&mut put, &format!("{name}.norm"), channels);
        }
        Layer::BatchNorm {} => norm(&mut put, name, channels),
        Layer::Lstm { .. } => {
            let units = outputs / 2;
            for end in ["", "_reverse"] {
                put(format!("{name}.weight_ih_l0{end}"), &[4 * units, read]);
                put(format!("{name}.weight_hh_l0{end}"), &[4 * units, units]);
                put(format!("{name}.bias_ih_l0{end}"), &[4 * units]);
                put(format!("{name}.bias_hh_l0{end}"), &[4 * units]);
            }
        }
        _ => {}
    }
}

fn norm(put: &mut impl FnMut(String, &[usize]), name: &str, channels: usize) {
    for what in ["weight", "bias", "running_mean", "running_var"] {
        put(format!("{name}.{what}"), &[channels]);
    }
}
