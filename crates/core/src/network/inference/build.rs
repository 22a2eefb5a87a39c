//! The layers of a plan with the weights of a run: batch norm is folded into convolutions before it, and activation functions into
//! their neighbours.

use anyhow::{Result, anyhow, bail};

use super::convolution::{Convolution, Reach};
use super::features::Channels;
use super::layers::{Layer, ProfileHead};
use super::lstm::{Direction, Lstm};
use super::pointwise::{Function, Pointwise};
use super::pools::{self, GlobalPool, Pool};
use crate::config::layers::{self as settings, Padding, Rectified, groups_of_strand};
use crate::network::Parameters;
use crate::network::plan::Step;

/// What batch norm adds to variances, as in PyTorch.
const EPSILON: f32 = 1e-5;

/// Layers in the making.
pub struct Builder<'a> {
    pub parameters: &'a Parameters,
    /// Whether filters are tied between the strands.
    pub tied: bool,
}

impl Builder<'_> {
    /// The layers of steps that read these channels, and the channels that come out.
    ///
    /// # Errors
    /// A parameter is missing or has another size.
    pub fn layers(&self, steps: &[Step], mut channels: Channels) -> Result<(Vec<Layer>, Channels)> {
        let mut layers = Vec::new();
        // Positions that are flattened in the layer that follows.
        let mut flattened = None;
        for (i, step) in steps.iter().enumerate() {
            if matches!(step.layer, settings::Layer::Flatten {}) {
                let next = steps[i + 1..].iter().find(|step| !matches!(step.layer, settings::Layer::Dropout { .. }));
                if next.is_some_and(|next| matches!(next.layer, settings::Layer::Dense { .. })) {
                    flattened = step.input.positions;
                    continue;
                }
            }
            channels = self.add(&mut layers, step, channels, &mut flattened)?;
        }
        Ok((layers, channels))
    }

    fn add(
        &self,
        layers: &mut Vec<Layer>,
        step: &Step,
        channels: Channels,
        flattened: &mut Option<usize>,
    ) -> Result<Channels> {
        let name = &step.name;
        let positions = step.input.positions.unwrap_or(1);
        let kept = step.output.positions.unwrap_or(1);
        let both = step.layer.reads_both_strands(step.input, self.tied);
        let outputs = Channels::one_part(step.output.channels);
        let around = |taps: usize, dilation: usize, padding: Padding| padding.zeros((taps - 1) * dilation)[0] as isize;
        let function = |layers: &mut Vec<Layer>, function| {
            add_function(layers, function);
            Ok(channels.clone())
        };
        match &step.layer {
            settings::Layer::Convolution { width, stride, dilation, groups, padding, .. } => {
                let (taps, dilation, stride) = (*width, *dilation, *stride);
                let before = around(taps, dilation, *padding);
                let reach = Reach { taps, dilation, stride, before, positions, outputs: kept };
                let groups = groups_of_strand(*groups, step.input, self.tied);
                let mut convolution = self.convolution(name, (&channels, &outputs), groups, both, reach)?;
                convolution.before = take_pointwise(layers);
                layers.push(Layer::Convolution(convolution));
                Ok(outputs)
            }
            settings::Layer::BatchNorm {} => {
                let norm = self.norm(name, &channels)?;
                match layers.last_mut() {
                    Some(Layer::Convolution(convolution) | Layer::Dense(convolution)) if !convolution.is_rectified => {
                        convolution.scale(|channel| norm[channel]);
                    }
                    _ => layers.push(Layer::Pointwise(pointwise(&norm, &channels, Function::Identity))),
                }
                Ok(channels)
            }
            settings::Layer::Relu {} => function(layers, Function::Relu),
            settings::Layer::Gelu {} => function(layers, Function::Gelu),
            settings::Layer::Silu {} => function(layers, Function::Silu),
            settings::Layer::Tanh {} => function(layers, Function::Tanh),
            settings::Layer::Exp { at_most } => function(layers, Function::Exp(*at_most)),
            settings::Layer::MaxPool { width, stride } | settings::Layer::MeanPool { width, stride } => {
                let is_max = matches!(step.layer, settings::Layer::MaxPool { .. });
                let (width, stride) = (*width, stride.unwrap_or(*width));
                layers.push(Layer::Pool(Pool { width, stride, is_max, outputs: kept }));
                Ok(channels)
            }
            settings::Layer::Dropout { .. } => Ok(channels),
            settings::Layer::Residual { .. } => {
                let (mut inner, made) = self.layers(&step.inner, channels.clone())?;
                if made != channels {
                    inner.push(Layer::Repack(channels.clone()));
                }
                layers.push(Layer::Residual(inner));
                Ok(channels)
            }
            settings::Layer::Gated { width, dilation } => {
                let (taps, dilation) = (*width, *dilation);
                let before = around(taps, dilation, Padding::Same);
                let reach = Reach { taps, dilation, stride: 1, before, positions, outputs: positions };
                let gates = Channels::beside(&[&channels, &channels]);
                let [one, other] = ["conv", "gate"].map(|part| format!("{name}.{part}"));
                let read = if both { 2 } else { 1 } * channels.count();
                let of_both = |what, size| -> Result<Vec<f32>> {
                    Ok([self.values(&one, what, size)?, self.values(&other, what, size)?].concat())
                };
                let weight = of_both("weight", channels.count() * read * taps)?;
                let bias = of_both("bias", channels.count())?;
                let mut convolution = Convolution::new((channels.clone(), gates), 1, both, reach, (&weight, bias));
                let norm = self.norm(&format!("{name}.norm"), &channels)?;
                convolution.before = Some(pointwise(&norm, &channels, Function::Identity));
                layers.push(Layer::Gated(convolution));
                Ok(channels)
            }
            settings::Layer::Lstm { .. } => {
                let units = step.output.channels / 2;
                let lstm = self.lstm(name, channels, units, both)?;
                let made = lstm.outputs();
                layers.push(Layer::Lstm(lstm));
                Ok(made)
            }
            settings::Layer::GlobalPool { of } => {
                let (max, mean) = match of {
                    settings::GlobalPool::Max => (true, false),
                    settings::GlobalPool::Mean => (false, true),
                    settings::GlobalPool::Both => (true, true),
                };
                layers.push(Layer::GlobalPool(GlobalPool { max, mean }));
                Ok(if max && mean { Channels::beside(&[&channels, &channels]) } else { channels })
            }
            settings::Layer::PlacesPool { places, .. } => {
                let mixed = Channels::one_part((step.output.channels - 2 * channels.count()) / places);
                let reach = Reach { taps: 1, dilation: 1, stride: 1, before: 0, positions, outputs: positions };
                let place = self.convolution(name, (&channels, &mixed), 1, both, reach)?;
                let places = pools::Places(*places);
                let made = Channels::beside(&[&channels, &channels, &places.channels(&mixed)]);
                layers.push(Layer::PlacesPool { place, places });
                Ok(made)
            }
            settings::Layer::Crop { .. } => {
                layers.push(Layer::Crop { first: (positions - kept) / 2, positions: kept });
                Ok(channels)
            }
            settings::Layer::Dilated { width, dilation, residual, relu, .. } => {
                let (taps, dilation) = (*width, *dilation);
                let before = zeros_before(positions, kept + (taps - 1) * dilation);
                let reach = Reach { taps, dilation, stride: 1, before, positions, outputs: kept };
                let mut convolution = self.convolution(name, (&channels, &outputs), 1, false, reach)?;
                convolution.is_rectified = *relu == Rectified::Output;
                if *relu == Rectified::Input {
                    convolution.before = Some(Pointwise::of_function(Function::Relu));
                }
                layers.push(match residual {
                    true => Layer::Dilated { convolution, from: -zeros_before(positions, kept) },
                    false => Layer::Convolution(convolution),
                });
                Ok(outputs)
            }
            settings::Layer::ProfileHead { tracks, groups, width, length, counted } => {
                let read = length + width - 1;
                let before = zeros_before(positions, read);
                let reach = Reach { taps: *width, dilation: 1, stride: 1, before, positions, outputs: *length };
                let tracks = Channels::one_part(*tracks);
                let profile = self.convolution(&format!("{name}.fconv"), (&channels, &tracks), 1, false, reach)?;
                let seen = (*counted).min(positions);
                let counts = (*groups > 0)
                    .then(|| {
                        let groups = Channels::one_part(*groups);
                        let dense = self.convolution(&format!("{name}.linear"), (&channels, &groups), 1, false, ONE)?;
                        Ok::<_, anyhow::Error>((dense, (positions - seen) / 2, seen))
                    })
                    .transpose()?;
                layers.push(Layer::ProfileHead(ProfileHead { profile, counts }));
                Ok(outputs)
            }
            settings::Layer::Flatten {} => {
                layers.push(Layer::Flatten);
                Ok(outputs)
            }
            settings::Layer::Dense { .. } => {
                let taps = flattened.take().unwrap_or(1);
                let reach = Reach { taps, positions: taps, ..ONE };
                let mut dense = self.convolution(name, (&channels, &outputs), 1, false, reach)?;
                dense.before = take_pointwise(layers);
                layers.push(Layer::Dense(dense));
                Ok(outputs)
            }
            settings::Layer::Branches { .. } => bail!("branches are all of a network"),
        }
    }

    fn convolution(
        &self,
        name: &str,
        (inputs, outputs): (&Channels, &Channels),
        groups: usize,
        both: bool,
        reach: Reach,
    ) -> Result<Convolution> {
        let read = if both { 2 } else { 1 } * inputs.count() / groups;
        let weight = self.values(name, "weight", outputs.count() * read * reach.taps)?;
        let bias = self.values(name, "bias", outputs.count())?;
        Ok(Convolution::new((inputs.clone(), outputs.clone()), groups, both, reach, (weight, bias.to_vec())))
    }

    /// Scale and shift of each channel.
    fn norm(&self, name: &str, channels: &Channels) -> Result<Vec<(f32, f32)>> {
        let of = |what| self.values(name, what, channels.count());
        let (mean, variance) = (of("running_mean")?, of("running_var")?);
        let (weight, bias) = (of("weight")?, of("bias")?);
        let of_channel = |channel: usize| {
            let scale = weight[channel] / (variance[channel] + EPSILON).sqrt();
            (scale, bias[channel] - mean[channel] * scale)
        };
        Ok((0..channels.count()).map(of_channel).collect())
    }

    fn lstm(&self, name: &str, inputs: Channels, units: usize, reads_both: bool) -> Result<Lstm> {
        let read = if reads_both { 2 } else { 1 } * inputs.count();
        let direction = |end: &str| {
            let of = |what: &str, size| self.values(name, &format!("{what}_l0{end}"), size);
            let bias = of("bias_ih", 4 * units)?.iter().zip(of("bias_hh", 4 * units)?).map(|(a, b)| a + b).collect();
            let (of_input, of_state) = (of("weight_ih", 4 * units * read)?, of("weight_hh", 4 * units * units)?);
            Ok::<_, anyhow::Error>(Direction::new(of_input.to_vec(), of_state.to_vec(), bias))
        };
        Ok(Lstm { reads_both, inputs, units, directions: [direction("")?, direction("_reverse")?] })
    }

    fn values(&self, name: &str, what: &str, size: usize) -> Result<&[f32]> {
        let name = format!("{name}.{what}");
        let values = self.parameters.get(&name).ok_or_else(|| anyhow!("the weights lack tensor '{name}'"))?;
        if values.len() != size {
            bail!("tensor '{name}' has {} numbers, expected {size}", values.len());
        }
        Ok(values)
    }
}

/// A layer that reads all of its input for its one output.
const ONE: Reach = Reach { taps: 1, dilation: 1, stride: 1, before: 0, positions: 1, outputs: 1 };

/// Zeros before `positions` of which the middle `read` are read; of a negative number, positions that are not.
fn zeros_before(positions: usize, read: usize) -> isize {
    (read as isize - positions as isize) / 2
}

fn pointwise(norm: &[(f32, f32)], channels: &Channels, function: Function) -> Pointwise {
    let rows = |of: fn(&(f32, f32)) -> f32| channels.rows(|channel| of(&norm[channel]));
    Pointwise { norm: Some([rows(|norm| norm.0), rows(|norm| norm.1)]), function }
}

/// Takes what is done to each number before the layer that comes next.
fn take_pointwise(layers: &mut Vec<Layer>) -> Option<Pointwise> {
    match layers.pop() {
        Some(Layer::Pointwise(pointwise)) => Some(pointwise),
        Some(layer) => {
            layers.push(layer);
            None
        }
        None => None,
    }
}

/// Adds an activation function to the layer before where that can compute it.
fn add_function(layers: &mut Vec<Layer>, function: Function) {
    match layers.last_mut() {
        Some(Layer::Convolution(convolution) | Layer::Dense(convolution))
            if function == Function::Relu && !convolution.is_rectified =>
        {
            convolution.is_rectified = true;
        }
        Some(Layer::Pointwise(pointwise)) if pointwise.function == Function::Identity => pointwise.function = function,
        _ => layers.push(Layer::Pointwise(Pointwise::of_function(function))),
    }
}
