//! The operations of each kind of layer.

use anyhow::Result;

use crate::config::layers::{GlobalPool, Layer, Padding, Rectified, groups_of_strand, of_strand};
use crate::export::onnx::graph::Builder;
use crate::export::parts;
use crate::formats::onnx::Attribute;
use crate::network::plan::Step;

/// What batch norm adds to variances.
const EPSILON: f32 = 1e-5;

/// A layer on each strand, of one or two; returns what it gives for each.
pub fn apply(graph: &mut Builder, step: &Step, strands: &[String]) -> Result<Vec<String>> {
    match step.layer {
        Layer::Residual { .. } => {
            let mut inner = strands.to_vec();
            for step in &step.inner {
                inner = apply(graph, step, &inner)?;
            }
            Ok(strands.iter().zip(&inner).map(|(x, y)| graph.op("Add", &[x, y], vec![])).collect())
        }
        Layer::Gated { width, dilation } => gated(graph, step, width, dilation, strands),
        _ => {
            let reads = read(graph, step, strands);
            strands.iter().zip(&reads).map(|(x, read)| layer(graph, step, x, read)).collect()
        }
    }
}

/// What a layer that mixes channels reads: where it reads both strands, behind its own channels those of the other, reversed.
fn read(graph: &mut Builder, step: &Step, strands: &[String]) -> Vec<String> {
    match strands {
        [one, other] if step.layer.reads_both_strands(step.input, graph.tied) => [(one, other), (other, one)]
            .map(|(own, other)| {
                let other = graph.reversed(other, &[2]);
                graph.concatenated(&[own, &other], 1)
            })
            .into(),
        _ => strands.to_vec(),
    }
}

/// Batch norm, then a convolution times the sigmoid of another, added to the input.
fn gated(graph: &mut Builder, step: &Step, width: usize, dilation: usize, strands: &[String]) -> Result<Vec<String>> {
    let (name, channels) = (&step.name, step.input.channels);
    let inputs = step.input.read_channels(&step.layer, graph.tied);
    let norm = format!("{name}.norm");
    let normed: Vec<String> = strands.iter().map(|x| batch_norm(graph, &norm, channels, x)).collect::<Result<_>>()?;
    let around = Padding::Same.zeros((width - 1) * dilation);
    let shape = Filters { inputs, out: channels, width, dilation, around, ..Filters::pointwise() };
    let reads = read(graph, step, &normed);
    let of_strand = |(x, read): (&String, &String)| {
        let branch = convolution(graph, &format!("{name}.conv"), &shape, read)?;
        let gate = convolution(graph, &format!("{name}.gate"), &shape, read)?;
        let gate = graph.op("Sigmoid", &[&gate], vec![]);
        let product = graph.op("Mul", &[&branch, &gate], vec![]);
        Ok(graph.op("Add", &[x, &product], vec![]))
    };
    strands.iter().zip(&reads).map(of_strand).collect()
}

fn layer(graph: &mut Builder, step: &Step, x: &str, read: &str) -> Result<String> {
    let (name, channels, out) = (step.name.as_str(), step.input.channels, step.output.channels);
    let inputs = step.input.read_channels(&step.layer, graph.tied);
    let positions = step.input.positions.unwrap_or(1);
    Ok(match step.layer {
        Layer::Convolution { width, stride, dilation, groups, padding, .. } => {
            let groups = groups_of_strand(groups, step.input, graph.tied);
            let around = padding.zeros((width - 1) * dilation);
            let shape = Filters { inputs, out, width, stride, dilation, groups, around };
            convolution(graph, name, &shape, read)?
        }
        Layer::BatchNorm {} => batch_norm(graph, name, channels, x)?,
        Layer::Relu {} => graph.op("Relu", &[x], vec![]),
        Layer::Gelu {} => {
            let scaled = graph.scaled(x, std::f32::consts::FRAC_1_SQRT_2);
            let erf = graph.op("Erf", &[&scaled], vec![]);
            let share = graph.plus(&erf, 1.0);
            let half = graph.scaled(x, 0.5);
            graph.op("Mul", &[&half, &share], vec![])
        }
        Layer::Silu {} => {
            let share = graph.op("Sigmoid", &[x], vec![]);
            graph.op("Mul", &[x, &share], vec![])
        }
        Layer::Tanh {} => graph.op("Tanh", &[x], vec![]),
        Layer::Exp { at_most } => {
            let cut = graph.at_most(x, at_most);
            graph.op("Exp", &[&cut], vec![])
        }
        Layer::MaxPool { width, stride } => pool(graph, "MaxPool", width, stride.unwrap_or(width), x),
        Layer::MeanPool { width, stride } => pool(graph, "AveragePool", width, stride.unwrap_or(width), x),
        Layer::Dropout { .. } => x.to_owned(),
        Layer::Lstm { .. } => lstm(graph, name, (inputs, out / 2, positions), read)?,
        Layer::GlobalPool { of: GlobalPool::Max } => over_all(graph, "ReduceMax", x),
        Layer::GlobalPool { of: GlobalPool::Mean } => over_all(graph, "ReduceMean", x),
        Layer::GlobalPool { of: GlobalPool::Both } => {
            let each = ["ReduceMax", "ReduceMean"].map(|kind| over_all(graph, kind, x));
            graph.concatenated(&[&each[0], &each[1]], 1)
        }
        Layer::PlacesPool { filters, places } => {
            let out = of_strand(filters, graph.tied);
            let filters = Filters { inputs, out, ..Filters::pointwise() };
            let mixed = convolution(graph, name, &filters, read)?;
            let maxima = maxima_of_parts(graph, &mixed, positions, places);
            let each = ["ReduceMax", "ReduceMean"].map(|kind| over_all(graph, kind, x));
            graph.concatenated(&[&each[0], &each[1], &maxima], 1)
        }
        Layer::Crop { positions: kept } => {
            let start = (positions - kept) / 2;
            graph.gathered(x, 2, start..start + kept)
        }
        Layer::Dilated { width, dilation, positions: kept, residual, relu, .. } => {
            let rectified = (relu == Rectified::Input).then(|| graph.op("Relu", &[x], vec![]));
            let read = middle(graph, rectified.as_deref().unwrap_or(x), positions, kept + (width - 1) * dilation);
            let shape = Filters { inputs: channels, out, width, dilation, ..Filters::pointwise() };
            let convolved = convolution(graph, name, &shape, &read)?;
            let convolved = match relu {
                Rectified::Output => graph.op("Relu", &[&convolved], vec![]),
                Rectified::Input | Rectified::Nothing => convolved,
            };
            if residual {
                let own = middle(graph, x, positions, kept);
                graph.op("Add", &[&convolved, &own], vec![])
            } else {
                convolved
            }
        }
        Layer::ProfileHead { tracks, groups, width, length, counted } => {
            let reads = length + width - 1;
            let read = middle(graph, x, positions, reads);
            let shape = Filters { inputs: channels, out: tracks, width, ..Filters::pointwise() };
            let profile = convolution(graph, &format!("{name}.fconv"), &shape, &read)?;
            let profile = graph.flattened(&profile);
            if groups == 0 {
                profile
            } else {
                let seen = middle(graph, x, positions, counted.min(positions));
                let mean = over_all(graph, "ReduceMean", &seen);
                let counts = dense(graph, &format!("{name}.linear"), channels, groups, &mean)?;
                graph.concatenated(&[&profile, &counts], 1)
            }
        }
        Layer::Flatten {} => graph.flattened(x),
        Layer::Dense { .. } => dense(graph, name, channels, out, x)?,
        Layer::Residual { .. } | Layer::Gated { .. } | Layer::Branches { .. } => {
            unreachable!("they are made of other layers")
        }
    })
}

/// What a convolution's filters look at.
struct Filters {
    inputs: usize,
    out: usize,
    width: usize,
    stride: usize,
    dilation: usize,
    groups: usize,
    /// Zeros before and behind.
    around: [usize; 2],
}

impl Filters {
    fn pointwise() -> Self {
        Self { inputs: 1, out: 1, width: 1, stride: 1, dilation: 1, groups: 1, around: [0, 0] }
    }
}

fn convolution(graph: &mut Builder, name: &str, filters: &Filters, x: &str) -> Result<String> {
    let Filters { inputs, out, width, stride, dilation, groups, around } = *filters;
    let weight = graph.weight(&format!("{name}.weight"), &[out, inputs / groups, width])?;
    let bias = graph.weight(&format!("{name}.bias"), &[out])?;
    let attributes = vec![
        Attribute::ints("kernel_shape", &[width]),
        Attribute::ints("strides", &[stride]),
        Attribute::ints("dilations", &[dilation]),
        Attribute::ints("pads", &around),
        Attribute::int("group", groups),
    ];
    Ok(graph.op("Conv", &[x, &weight, &bias], attributes))
}

fn dense(graph: &mut Builder, name: &str, inputs: usize, out: usize, x: &str) -> Result<String> {
    let weight = graph.weight(&format!("{name}.weight"), &[out, inputs])?;
    let bias = graph.weight(&format!("{name}.bias"), &[out])?;
    Ok(graph.op("Gemm", &[x, &weight, &bias], vec![Attribute::int("transB", 1)]))
}

fn batch_norm(graph: &mut Builder, name: &str, channels: usize, x: &str) -> Result<String> {
    let mut of = |part: &str| graph.weight(&format!("{name}.{part}"), &[channels]);
    let [scale, shift, mean, variance] = [of("weight")?, of("bias")?, of("running_mean")?, of("running_var")?];
    let epsilon = vec![Attribute::float("epsilon", EPSILON)];
    Ok(graph.op("BatchNormalization", &[x, &scale, &shift, &mean, &variance], epsilon))
}

fn pool(graph: &mut Builder, kind: &str, width: usize, stride: usize, x: &str) -> String {
    graph.op(kind, &[x], vec![Attribute::ints("kernel_shape", &[width]), Attribute::ints("strides", &[stride])])
}

/// A statistic over all positions: `[N, channels, positions]` to `[N, channels]`.
fn over_all(graph: &mut Builder, kind: &str, x: &str) -> String {
    graph.op(kind, &[x], vec![Attribute::ints("axes", &[2]), Attribute::int("keepdims", 0)])
}

/// Maxima of each of some equal parts, `[N, channels * places]`. The last position of shorter ones is repeated, so that one pool does it.
fn maxima_of_parts(graph: &mut Builder, x: &str, positions: usize, places: usize) -> String {
    let parts = parts(positions, places);
    let width = parts.iter().map(|(_, count)| *count).max().unwrap_or(1);
    let place = |&(start, count): &(usize, usize)| (0..width).map(move |i| start + i.min(count - 1));
    let gathered =
        if width * places == positions { x.to_owned() } else { graph.gathered(x, 2, parts.iter().flat_map(place)) };
    let maxima = pool(graph, "MaxPool", width, width, &gathered);
    graph.flattened(&maxima)
}

/// The middle positions, with zeros at both ends where there are too few.
fn middle(graph: &mut Builder, x: &str, positions: usize, kept: usize) -> String {
    if kept == positions {
        return x.to_owned();
    }
    if kept < positions {
        let start = (positions - kept) / 2;
        return graph.slice(x, 2, start, start + kept);
    }
    let missing = (kept - positions) as i64;
    let pads = graph.integers(&[0, 0, missing / 2, 0, 0, missing - missing / 2]);
    graph.op("Pad", &[x, &pads], vec![Attribute::text("mode", "constant")])
}

/// A long short-term memory in both directions: `[N, inputs, positions]` to `[N, 2 * units, positions]`.
fn lstm(graph: &mut Builder, name: &str, (inputs, units, positions): (usize, usize, usize), x: &str) -> Result<String> {
    // PyTorch's gates are input, forget, cell and output; ONNX's are input, output, forget and cell.
    let in_order = |values: &[f32], width: usize| -> Vec<f32> {
        let gate = units * width;
        [0, 3, 1, 2].iter().flat_map(|&i| values[i * gate..(i + 1) * gate].to_vec()).collect()
    };
    let mut stacked: [Vec<f32>; 3] = Default::default();
    for direction in ["", "_reverse"] {
        let values = |part: &str, shape: &[usize]| graph.values(&format!("{name}.{part}_l0{direction}"), shape);
        let of_input = values("weight_ih", &[4 * units, inputs])?;
        let of_state = values("weight_hh", &[4 * units, units])?;
        let biases = [values("bias_ih", &[4 * units])?, values("bias_hh", &[4 * units])?];
        stacked[0].extend(in_order(of_input, inputs));
        stacked[1].extend(in_order(of_state, units));
        stacked[2].extend(biases.iter().flat_map(|bias| in_order(bias, 1)));
    }
    let [of_input, of_state, biases] = stacked;
    let of_input = graph.changed_weight(&format!("{name}.weight_ih"), &[2, 4 * units, inputs], || of_input);
    let of_state = graph.changed_weight(&format!("{name}.weight_hh"), &[2, 4 * units, units], || of_state);
    let biases = graph.changed_weight(&format!("{name}.bias"), &[2, 8 * units], || biases);
    let steps = graph.op("Transpose", &[x], vec![Attribute::ints("perm", &[2, 0, 1])]);
    let attributes = vec![Attribute::text("direction", "bidirectional"), Attribute::int("hidden_size", units)];
    let seen = graph.op("LSTM", &[&steps, &of_input, &of_state, &biases], attributes);
    // [positions, directions, N, units]
    let seen = graph.op("Transpose", &[&seen], vec![Attribute::ints("perm", &[2, 1, 3, 0])]);
    Ok(graph.reshaped(&seen, &[0, 2 * units as i64, positions as i64]))
}
