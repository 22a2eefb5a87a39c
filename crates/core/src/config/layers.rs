//! Layers of a network: their settings, as a TOML file lists them, and the shapes, parameter counts and multiply-adds
//! that follow from them. No tensors here: a layer that does not fit is reported before any is allocated.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{LONGEST_BP, nearest};

/// Upper bounds: far above what helps, yet low enough that sizes do not overflow and memory can be allocated.
pub(crate) const MOST_FILTERS: usize = 1024;
/// Widest kernel or largest stride of a convolution, in positions.
pub(crate) const LONGEST_WIDTH_BP: usize = 1000;
const MOST_UNITS: usize = 16_384;
const MOST_LAYERS: usize = 500;
/// Beyond it the exponential function overflows in single precision.
const LARGEST_EXPONENT: f32 = 88.0;
/// Most parameters of a network: 4 GB in f32.
pub(crate) const MOST_PARAMETERS: usize = 1_000_000_000;

/// One layer. `[[layer]]` in a TOML file, with `kind` and the fields below.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Layer {
    /// `filters` filters of `width` positions.
    Convolution {
        /// Output channels.
        #[schemars(range(min = 1, max = MOST_FILTERS))]
        filters: usize,
        /// Kernel size, in positions.
        #[schemars(range(min = 1, max = LONGEST_WIDTH_BP))]
        width: usize,
        /// Positions between neighbouring outputs.
        #[serde(default = "one")]
        #[schemars(range(min = 1, max = LONGEST_WIDTH_BP))]
        stride: usize,
        /// Positions between neighbouring taps of the kernel.
        #[serde(default = "one")]
        #[schemars(range(min = 1, max = LONGEST_BP))]
        dilation: usize,
        /// Groups of channels that are convolved separately; must divide input and output channels.
        #[serde(default = "one")]
        #[schemars(range(min = 1, max = MOST_FILTERS))]
        groups: usize,
        /// Whether zeros are added at both ends.
        #[serde(default)]
        padding: Padding,
    },
    /// Batch normalisation of each channel.
    BatchNorm {},
    /// Rectified linear unit, `max(0, x)`.
    Relu {},
    /// Gaussian error linear unit (Hendrycks and Gimpel, 2016).
    Gelu {},
    /// Sigmoid linear unit, `x * sigmoid(x)`.
    Silu {},
    /// Hyperbolic tangent.
    Tanh {},
    /// The exponential function, which makes filters of a first layer easier to read (Koo and Ploenzke, 2021).
    Exp {
        /// Larger inputs are cut to this, so that one strange sequence cannot make the next layers overflow; batch norm leaves hardly
        /// anything above the default.
        #[serde(default = "six", skip_serializing_if = "is_six")]
        #[schemars(extend("exclusiveMinimum" = 0, "maximum" = LARGEST_EXPONENT))]
        at_most: f32,
    },
    /// Maxima of `width` positions, `stride` apart (else `width`).
    MaxPool {
        /// Pool size, in positions.
        #[schemars(range(min = 1, max = LONGEST_BP))]
        width: usize,
        /// Positions between neighbouring pools; `width` if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = LONGEST_BP))]
        stride: Option<usize>,
    },
    /// Means of `width` positions, `stride` apart (else `width`).
    MeanPool {
        /// Pool size, in positions.
        #[schemars(range(min = 1, max = LONGEST_BP))]
        width: usize,
        /// Positions between neighbouring pools; `width` if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = LONGEST_BP))]
        stride: Option<usize>,
    },
    /// A rate of its own, or that of `--dropout`.
    Dropout {
        /// Probability that an activation is dropped, from 0 to below 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
        rate: Option<f64>,
    },
    /// Adds its input to what the layers in it make of it.
    Residual {
        /// Layers of the branch, which must keep the shape of their input.
        #[schemars(length(min = 1))]
        layers: Vec<Layer>,
    },
    /// Batch norm, then a convolution times the sigmoid of another, added to the input.
    Gated {
        /// Kernel size of both convolutions, in positions.
        #[schemars(range(min = 1, max = LONGEST_WIDTH_BP))]
        width: usize,
        /// Positions between neighbouring taps of the kernels.
        #[serde(default = "one")]
        #[schemars(range(min = 1, max = LONGEST_BP))]
        dilation: usize,
    },
    /// `units` in each direction.
    Lstm {
        /// Hidden units of each direction, so that `2 * units` channels come out.
        #[schemars(range(min = 1, max = MOST_FILTERS))]
        units: usize,
    },
    /// Over all positions.
    GlobalPool {
        /// Statistic taken over the positions of each channel.
        of: GlobalPool,
    },
    /// Maxima and means over all positions, and maxima of `filters` mixed channels in each of `places` parts of them.
    PlacesPool {
        /// Channels of the pointwise convolution whose outputs are pooled by place.
        #[schemars(range(min = 1, max = MOST_FILTERS))]
        filters: usize,
        /// Equal parts that the positions are divided into.
        #[schemars(range(min = 1, max = LONGEST_WIDTH_BP))]
        places: usize,
    },
    /// The middle `positions` positions.
    Crop {
        /// Positions that stay.
        #[schemars(range(min = 1, max = LONGEST_BP))]
        positions: usize,
    },
    /// Convolution at the middle `positions` positions, with zeros beyond the ends where there are too few.
    #[serde(skip)]
    Dilated {
        /// Output channels.
        filters: usize,
        /// Kernel size, in positions; odd.
        width: usize,
        /// Positions between neighbouring taps of the kernel.
        dilation: usize,
        /// Positions that come out.
        positions: usize,
        /// Whether it is added to the middle of its input.
        residual: bool,
        /// What is rectified.
        relu: Rectified,
    },
    /// The logits of a profile, by a convolution, and log counts, by a dense layer on means over positions.
    #[serde(skip)]
    ProfileHead {
        /// Tracks of the profile.
        tracks: usize,
        /// Log counts.
        groups: usize,
        /// Kernel size of the convolution, in positions; odd.
        width: usize,
        /// Length of the profile, in positions.
        length: usize,
        /// Middle positions over which the means are taken.
        counted: usize,
    },
    /// Two lists of layers that read the same, and whose features follow each other.
    #[serde(skip)]
    Branches {
        /// Layers of the first list.
        first: usize,
        /// Features of both.
        features: usize,
    },
    /// All channels and positions as one vector of `channels * positions` features.
    Flatten {},
    /// Fully connected layer on the features of a sequence.
    Dense {
        /// Output features.
        #[schemars(range(min = 1, max = MOST_UNITS))]
        units: usize,
    },
}

/// What a convolution sees beyond both ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// Zeros, so that as many positions come out as went in (divided by the stride)
    #[default]
    Same,
    /// Nothing
    None,
    /// So many zeros at each end
    #[serde(untagged)]
    Zeros(#[schemars(range(min = 0, max = LONGEST_WIDTH_BP))] usize),
}

impl Padding {
    /// Zeros before and behind, for filters whose last tap is `reach` positions from the first.
    pub fn zeros(self, reach: usize) -> [usize; 2] {
        match self {
            Self::Same => [reach / 2, reach - reach / 2],
            Self::None => [0, 0],
            Self::Zeros(count) => [count, count],
        }
    }
}

/// What a dilated convolution rectifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rectified {
    /// What comes out, as in BPNet
    Output,
    /// What goes in, as in basepairmodels
    Input,
    /// Nothing
    Nothing,
}

/// Statistic that a global pool takes over all positions of each channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GlobalPool {
    /// The maximum.
    Max,
    /// The mean.
    Mean,
    /// Maximum and mean, so twice as many features as channels.
    Both,
}

fn one() -> usize {
    1
}

fn six() -> f32 {
    6.0
}

fn is_six(number: &f32) -> bool {
    *number == six()
}

/// Shape of the activations between layers, for one sequence and, where filters are tied, one of its strands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Channels at each position, or features once there are no positions.
    pub channels: usize,
    /// None once the positions are pooled or flattened away.
    pub positions: Option<usize>,
    /// Whether the channels still stand for bases, so that the other strand holds nothing new.
    pub bases: bool,
}

impl Shape {
    /// The network's input: a one-hot sequence, `[4, length]`.
    pub(crate) fn one_hot(length: usize) -> Self {
        Self { channels: 4, positions: Some(length), bases: true }
    }

    /// The shape after a layer. `tied`: filters are shared between the strands, so each strand has half of them.
    ///
    /// # Errors
    /// The layer does not fit; a part of a sentence that begins with the layer.
    pub fn after(self, layer: &Layer, tied: bool) -> Result<Self, String> {
        if let Some(fault) = layer.fault() {
            return Err(fault);
        }
        let Self { channels, bases, .. } = self;
        let Some(positions) = self.positions else {
            return match layer {
                Layer::Dense { units } => Ok(Self { channels: *units, ..self }),
                Layer::Residual { layers } => self.after_residual(layers, tied),
                Layer::BatchNorm {} | Layer::Dropout { .. } => Ok(self),
                layer if layer.is_activation() => Ok(self),
                _ => Err("stands after the positions are pooled or flattened away; put it before that".into()),
            };
        };
        let features = |channels| Ok(Self { channels, positions: None, bases: false });
        let halved = |what: &str, count: usize| match (tied, count % 2) {
            (false, _) => Ok(count),
            (true, 0) => Ok(count / 2),
            (true, _) => Err(format!(
                "has {count} {what}, expected an even number with --strands equivariant; add or remove one"
            )),
        };
        match layer {
            Layer::Convolution { filters, width, stride, dilation, groups, padding } => {
                let filters = halved("filters", *filters)?;
                let groups = if bases || *groups == 1 { *groups } else { halved("groups", *groups)? };
                if !channels.is_multiple_of(groups) || !filters.is_multiple_of(groups) {
                    return Err(format!(
                        "has {groups} groups for {channels} channels in and {filters} out, expected a number that divides both; change groups"
                    ));
                }
                let reach = (width - 1) * dilation;
                let padded = positions + padding.zeros(reach).iter().sum::<usize>();
                let Some(seen) = padded.checked_sub(reach).filter(|seen| *seen > 0) else {
                    return Err(format!(
                        "reaches over {} positions and gets {padded}; use longer fragments or padding = \"same\"",
                        reach + 1
                    ));
                };
                Ok(Self { channels: filters, positions: Some((seen - 1) / stride + 1), bases: false })
            }
            Layer::MaxPool { width, stride } | Layer::MeanPool { width, stride } => {
                if positions < *width {
                    return Err(format!(
                        "is {width} wide and gets {positions} positions, so nothing is left; use longer fragments or a narrower pool"
                    ));
                }
                Ok(Self { positions: Some((positions - width) / stride.unwrap_or(*width) + 1), ..self })
            }
            Layer::Residual { layers } => self.after_residual(layers, tied),
            Layer::Gated { .. } => Ok(Self { bases: false, ..self }),
            Layer::Lstm { units } => Ok(Self { channels: 2 * halved("units", *units)?, bases: false, ..self }),
            Layer::GlobalPool { of } => features(if *of == GlobalPool::Both { 2 * channels } else { channels }),
            Layer::PlacesPool { filters, places } => features(2 * channels + halved("filters", *filters)? * places),
            Layer::Crop { positions: kept } if *kept > positions || (positions - kept) % 2 == 1 => Err(format!(
                "keeps {kept} of {positions} positions, expected as many or fewer by an even number; change positions"
            )),
            Layer::Crop { positions: kept } => Ok(Self { positions: Some(*kept), ..self }),
            Layer::Dilated { filters, positions: kept, .. } => {
                Ok(Self { channels: *filters, positions: Some(*kept), bases: false })
            }
            Layer::ProfileHead { tracks, groups, length, .. } => features(tracks * length + groups),
            Layer::Branches { features: count, .. } => features(*count),
            Layer::Flatten {} => features(channels * positions),
            Layer::Dense { .. } => {
                Err("stands before the positions are pooled or flattened away; put a global-pool, places-pool or flatten before it".into())
            }
            _ => Ok(self),
        }
    }

    fn after_residual(self, layers: &[Layer], tied: bool) -> Result<Self, String> {
        let mut shape = self;
        for (i, layer) in layers.iter().enumerate() {
            shape = shape
                .after(layer, tied)
                .map_err(|fault| format!("holds layer {} ({}), which {fault}", i + 1, layer.kind()))?;
        }
        if (shape.channels, shape.positions) != (self.channels, self.positions) {
            return Err(format!(
                "makes {shape} of {self}, expected the same shape, to add them up; change the layers in it"
            ));
        }
        Ok(shape)
    }

    /// Channels that a layer which mixes them reads, of both strands where it reads both.
    pub fn read_channels(self, layer: &Layer, tied: bool) -> usize {
        if layer.reads_both_strands(self, tied) { 2 * self.channels } else { self.channels }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.positions {
            Some(positions) => write!(f, "{} x {positions}", self.channels),
            None => write!(f, "{}", self.channels),
        }
    }
}

impl Layer {
    /// A convolution that keeps the number of positions.
    pub fn same_convolution(filters: usize, width: usize, dilation: usize) -> Self {
        Self::Convolution { filters, width, stride: 1, dilation, groups: 1, padding: Padding::Same }
    }

    /// The exponential function of at most 6.
    pub fn exponential() -> Self {
        Self::Exp { at_most: six() }
    }

    /// The name that TOML files use.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Convolution { .. } => "convolution",
            Self::BatchNorm {} => "batch-norm",
            Self::Relu {} => "relu",
            Self::Gelu {} => "gelu",
            Self::Silu {} => "silu",
            Self::Tanh {} => "tanh",
            Self::Exp { .. } => "exp",
            Self::MaxPool { .. } => "max-pool",
            Self::MeanPool { .. } => "mean-pool",
            Self::Dropout { .. } => "dropout",
            Self::Residual { .. } => "residual",
            Self::Gated { .. } => "gated",
            Self::Lstm { .. } => "lstm",
            Self::GlobalPool { .. } => "global-pool",
            Self::PlacesPool { .. } => "places-pool",
            Self::Crop { .. } => "crop",
            Self::Dilated { .. } => "dilated",
            Self::ProfileHead { .. } => "profile-head",
            Self::Branches { .. } => "branches",
            Self::Flatten {} => "flatten",
            Self::Dense { .. } => "dense",
        }
    }

    /// Whether it is an elementwise function.
    fn is_activation(&self) -> bool {
        matches!(self, Self::Relu {} | Self::Gelu {} | Self::Silu {} | Self::Tanh {} | Self::Exp { .. })
    }

    /// Whether a block of the network begins with it.
    pub fn begins_block(&self) -> bool {
        matches!(
            self,
            Self::Convolution { .. }
                | Self::Residual { .. }
                | Self::Gated { .. }
                | Self::Dilated { .. }
                | Self::ProfileHead { .. }
                | Self::Branches { .. }
                | Self::Lstm { .. }
                | Self::PlacesPool { .. }
                | Self::Dense { .. }
        )
    }

    /// Whether a layer with tied filters reads the features of both strands. In bases the other strand holds nothing new,
    /// and groups keep channels, so strands too, apart.
    pub fn reads_both_strands(&self, input: Shape, tied: bool) -> bool {
        let mixes = match self {
            Self::Convolution { groups, .. } => *groups == 1,
            Self::Gated { .. } | Self::Lstm { .. } | Self::PlacesPool { .. } => true,
            _ => false,
        };
        tied && mixes && !input.bases
    }

    /// Trainable parameters, not counting those of nested layers.
    pub fn parameters(&self, input: Shape, output: Shape, tied: bool) -> usize {
        let (read, channels) = (input.read_channels(self, tied), input.channels);
        match self {
            Self::Convolution { width, groups, .. } => {
                let groups = groups_of_strand(*groups, input, tied);
                output.channels * (read / groups * width + 1)
            }
            Self::Dilated { filters, width, .. } => filters * (channels * width + 1),
            Self::ProfileHead { tracks, groups, width, .. } => {
                tracks * (channels * width + 1) + groups * (channels + 1)
            }
            Self::BatchNorm {} => 2 * channels,
            Self::Gated { width, .. } => 2 * channels + 2 * channels * (read * width + 1),
            Self::Lstm { .. } => {
                let units = output.channels / 2;
                2 * 4 * units * (read + units + 2)
            }
            Self::PlacesPool { filters, .. } => of_strand(*filters, tied) * (read + 1),
            Self::Dense { units } => units * (channels + 1),
            _ => 0,
        }
    }

    /// Multiply-adds per sequence, not counting those of nested layers; with tied filters, those of both strands.
    pub fn multiply_adds(&self, input: Shape, output: Shape, tied: bool) -> usize {
        let parameters = self.parameters(input, output, tied);
        let (positions, out) = (input.positions.unwrap_or(1), output.channels);
        let once = match self {
            Self::Convolution { .. } => (parameters - out) * output.positions.unwrap_or(1),
            Self::Gated { .. } => (parameters - 4 * input.channels) * positions,
            Self::Lstm { .. } => (parameters - 2 * 4 * out) * positions,
            Self::PlacesPool { filters, .. } => (parameters - of_strand(*filters, tied)) * positions,
            Self::Dilated { filters, .. } => (parameters - filters) * output.positions.unwrap_or(1),
            Self::ProfileHead { tracks, groups, width, length, .. } => {
                input.channels * (tracks * width * length + groups)
            }
            Self::Dense { units } => parameters - units,
            _ => 0,
        };
        if tied { 2 * once } else { once }
    }

    /// Receptive field and stride of the layer, `(reach, step)`, in positions of its input; `None` if every output
    /// depends on all positions.
    pub fn reach(&self) -> Option<(usize, usize)> {
        match self {
            Self::Convolution { width, stride, dilation, .. } => Some(((width - 1) * dilation + 1, *stride)),
            Self::Dilated { width, dilation, .. } => Some(((width - 1) * dilation + 1, 1)),
            Self::Gated { width, dilation } => Some(((width - 1) * dilation + 1, 1)),
            Self::MaxPool { width, stride } | Self::MeanPool { width, stride } => {
                Some((*width, stride.unwrap_or(*width)))
            }
            Self::Lstm { .. }
            | Self::GlobalPool { .. }
            | Self::PlacesPool { .. }
            | Self::ProfileHead { .. }
            | Self::Branches { .. }
            | Self::Flatten {}
            | Self::Dense { .. } => None,
            _ => Some((1, 1)),
        }
    }

    /// The first value out of range, worded to follow the layer's name in a sentence.
    fn fault(&self) -> Option<String> {
        let range = |name: &str, value: usize, most: usize| {
            (!(1..=most).contains(&value)).then(|| format!("has {name} = {value}, expected 1 to {most}"))
        };
        match self {
            Self::Convolution { filters, width, stride, dilation, groups, padding } => {
                range("filters", *filters, MOST_FILTERS)
                    .or(range("width", *width, LONGEST_WIDTH_BP))
                    .or(range("stride", *stride, LONGEST_WIDTH_BP))
                    .or(range("dilation", *dilation, LONGEST_BP))
                    .or(range("groups", *groups, MOST_FILTERS))
                    .or(match padding {
                        Padding::Zeros(count @ 1..) => range("padding", *count, LONGEST_WIDTH_BP),
                        _ => None,
                    })
            }
            Self::MaxPool { width, stride } | Self::MeanPool { width, stride } => {
                range("width", *width, LONGEST_BP).or(range("stride", stride.unwrap_or(1), LONGEST_BP))
            }
            Self::Dropout { rate: Some(rate) } if !(0.0..1.0).contains(rate) => {
                Some(format!("has rate = {rate}, expected 0 or more and less than 1"))
            }
            Self::Exp { at_most } if !(*at_most > 0.0 && *at_most <= LARGEST_EXPONENT) => {
                Some(format!("has at_most = {at_most}, expected more than 0 and at most {LARGEST_EXPONENT}"))
            }
            Self::Residual { layers } if layers.is_empty() => Some("holds no layers, expected one or more".into()),
            Self::Gated { width, dilation } => {
                range("width", *width, LONGEST_WIDTH_BP).or(range("dilation", *dilation, LONGEST_BP))
            }
            Self::Lstm { units } => range("units", *units, MOST_FILTERS),
            Self::PlacesPool { filters, places } => {
                range("filters", *filters, MOST_FILTERS).or(range("places", *places, LONGEST_WIDTH_BP))
            }
            Self::Crop { positions } => range("positions", *positions, LONGEST_BP),
            Self::Dilated { width, .. } | Self::ProfileHead { width, .. } if width % 2 == 0 => {
                Some(format!("has width = {width}, expected an odd number"))
            }
            Self::Dense { units } => range("units", *units, MOST_UNITS),
            _ => None,
        }
    }
}

/// Filters or units of each strand: half of them where filters are tied.
pub fn of_strand(count: usize, tied: bool) -> usize {
    if tied { count / 2 } else { count }
}

/// Groups of a convolution that each strand has where filters are tied.
pub fn groups_of_strand(groups: usize, input: Shape, tied: bool) -> usize {
    if input.bases || groups == 1 { groups } else { of_strand(groups, tied) }
}

/// Shape after the layers of a custom network, for fragments of `length` bp: features for the output layer.
///
/// # Errors
/// A sentence that names the first layer that does not fit.
pub(crate) fn shape_after(layers: &[Layer], length: usize, tied: bool) -> Result<Shape, String> {
    if layers.len() > MOST_LAYERS {
        return Err(format!("there are {} layers, expected at most {MOST_LAYERS}; remove some", layers.len()));
    }
    let shape = walk(layers, length, tied)?;
    match shape.positions {
        None => Ok(shape),
        Some(positions) => Err(format!(
            "the layers end with {} channels at {positions} positions, and the output layer takes features; end with global-pool, places-pool or flatten",
            shape.channels
        )),
    }
}

/// Shortest fragment, in bp, that the layers accept, or [`LONGEST_BP`] if they accept none. Found by bisection, as
/// layers that fit a fragment fit any longer one.
pub(crate) fn shortest_bp(layers: &[Layer]) -> usize {
    let (mut short, mut enough) = (0, LONGEST_BP);
    while enough - short > 1 {
        let middle = usize::midpoint(short, enough);
        match walk(layers, middle, false) {
            Ok(_) => enough = middle,
            Err(_) => short = middle,
        }
    }
    enough
}

fn walk(layers: &[Layer], length: usize, tied: bool) -> Result<Shape, String> {
    layers.iter().enumerate().try_fold(Shape::one_hot(length), |shape, (i, layer)| {
        shape
            .after(layer, tied)
            .map_err(|fault| format!("for fragments of {length} bp, layer {} ({}) {fault}", i + 1, layer.kind()))
    })
}

/// Reads a list of layers, each alone, so that every wrong one is reported with its number (`3.1` is the first in the
/// third).
///
/// # Errors
/// Every layer that is unknown, or has an unknown or ill-typed field, one sentence each.
pub fn read_list(list: &toml::Value) -> Result<Vec<Layer>, Vec<String>> {
    let mut faults = Vec::new();
    let layers = read_numbered(list, "", &mut faults);
    if faults.is_empty() { Ok(layers) } else { Err(faults) }
}

fn read_numbered(list: &toml::Value, prefix: &str, faults: &mut Vec<String>) -> Vec<Layer> {
    let Some(items) = list.as_array() else {
        let place = if prefix.is_empty() { "layer".into() } else { format!("layer {}", prefix.trim_end_matches('.')) };
        faults.push(format!("{place} is no list, expected tables such as {{ kind = \"relu\" }}; correct it"));
        return Vec::new();
    };
    let mut layers = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let number = format!("{prefix}{}", i + 1);
        let mut item = item.clone();
        let inner = item.as_table_mut().and_then(|table| table.get_mut("layers"));
        let inner = inner.map(|inner| std::mem::replace(inner, toml::Value::Array(Vec::new())));
        let inner = inner.map(|inner| read_numbered(&inner, &format!("{number}."), faults));
        match (item.try_into::<Layer>(), inner) {
            (Ok(Layer::Residual { .. }), Some(layers_in_it)) => layers.push(Layer::Residual { layers: layers_in_it }),
            (Ok(layer), _) => layers.push(layer),
            (Err(error), _) => {
                faults.push(format!("layer {number}: {}; correct it", nearest::with_suggestion(error.message())));
            }
        }
    }
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<Layer>, Vec<String>> {
        read_list(&text.parse::<toml::Table>().unwrap()["layer"])
    }

    #[test]
    fn every_wrong_layer_is_named_by_its_number() {
        let text = r#"
            layer = [
                { kind = "convolution", filters = 8, width = 5, widht = 3 },
                { kind = "pool", width = 2 },
                { kind = "residual", layers = [{ kind = "relu" }, { kind = "relu", rate = 1 }, { width = 3 }] },
                { kind = "dense" },
                7,
            ]"#;
        let faults = list(text).unwrap_err().join("\n");
        for part in [
            "layer 1: unknown field `widht`",
            "layer 2: unknown variant `pool`",
            "layer 3.2:",
            "layer 3.3:",
            "layer 4: missing field `units`",
            "layer 5:",
        ] {
            assert!(faults.contains(part), "'{part}' is missing from:\n{faults}");
        }
    }

    #[test]
    fn what_does_not_fit_is_a_sentence_that_names_the_layer() {
        let conv = "{ kind = 'convolution', filters = 6, width = 5 }";
        for (layers, tied, part) in [
            (
                format!("{conv}, {{ kind = 'max-pool', width = 50 }}"),
                false,
                "layer 2 (max-pool) is 50 wide and gets 40",
            ),
            (format!("{conv}, {{ kind = 'dense', units = 3 }}"), false, "layer 2 (dense) stands before"),
            (format!("{{ kind = 'flatten' }}, {conv}"), false, "layer 2 (convolution) stands after"),
            (conv.into(), false, "the layers end with 6 channels at 40 positions"),
            (
                "{ kind = 'convolution', filters = 5, width = 5 }".into(),
                true,
                "layer 1 (convolution) has 5 filters, expected an even",
            ),
            ("{ kind = 'convolution', filters = 0, width = 5 }".into(), true, "layer 1 (convolution) has filters = 0"),
            (
                "{ kind = 'convolution', filters = 6, width = 5, groups = 4 }".into(),
                false,
                "4 groups for 4 channels in and 6",
            ),
            (
                "{ kind = 'convolution', filters = 6, width = 50, padding = 'none' }".into(),
                false,
                "reaches over 50 positions",
            ),
            (
                format!("{{ kind = 'residual', layers = [{{ kind = 'relu' }}, {conv}] }}"),
                false,
                "makes 6 x 40 of 4 x 40",
            ),
            (
                format!("{{ kind = 'residual', layers = [{conv}, {{ kind = 'dense', units = 1 }}] }}"),
                false,
                "holds layer 2 (dense), which",
            ),
            ("{ kind = 'residual', layers = [] }".into(), false, "holds no layers"),
            ("{ kind = 'dropout', rate = 1.0 }".into(), false, "layer 1 (dropout) has rate = 1"),
        ] {
            let layers = list(&format!("layer = [{layers}]")).unwrap();
            let fault = shape_after(&layers, 40, tied).unwrap_err();
            assert!(fault.contains(part), "'{part}' is missing from: {fault}");
        }
    }

    #[test]
    fn shapes_parameters_and_multiply_adds_are_counted() {
        let input = Shape { channels: 6, positions: Some(41), bases: false };
        let conv =
            Layer::Convolution { filters: 8, width: 5, stride: 2, dilation: 3, groups: 1, padding: Padding::Same };
        let output = input.after(&conv, false).unwrap();
        assert_eq!((output.channels, output.positions), (8, Some(21)));
        assert_eq!(conv.parameters(input, output, false), 8 * 6 * 5 + 8);
        assert_eq!(conv.multiply_adds(input, output, false), 8 * 6 * 5 * 21);
        // Half the filters on each strand, which read both.
        let half = Shape { channels: 3, ..input };
        let output = half.after(&conv, true).unwrap();
        assert_eq!(output.channels, 4);
        assert_eq!(conv.parameters(half, output, true), 4 * 6 * 5 + 4);
        assert_eq!(conv.multiply_adds(half, output, true), 8 * 6 * 5 * 21);
        let lstm = Layer::Lstm { units: 10 };
        let output = input.after(&lstm, false).unwrap();
        assert_eq!(lstm.parameters(input, output, false), 2 * (40 * 6 + 40 * 10 + 80));
        assert_eq!(lstm.multiply_adds(input, output, false), 2 * (40 * 6 + 40 * 10) * 41);
    }
}
