//! The module of each kind of layer: one of PyTorch's own where there is one, else a class that is written into the file.

use crate::config::layers::{GlobalPool, Layer, Padding, Rectified, groups_of_strand, of_strand};
use crate::export::python::call::Call;
use crate::network::plan::Step;
use crate::sequence::profile::{ControlCounts, HEAD_WIDTH, ProfileShape};

/// Definitions that the modules of a network need, in the order in which they are first needed, each once.
#[derive(Debug, Default)]
pub struct Definitions(Vec<(&'static str, String)>);

impl Definitions {
    /// Adds a definition, unless it is there.
    fn need(&mut self, name: &'static str, source: impl Into<String>) {
        if !self.0.iter().any(|(known, _)| *known == name) {
            self.0.push((name, source.into()));
        }
    }

    /// All of them.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, source)| source.as_str())
    }
}

/// The module of a layer that holds no other layers. `tied`: filters are shared between the strands.
pub fn module(step: &Step, tied: bool, definitions: &mut Definitions) -> Call {
    let (channels, out) = (step.input.channels, step.output.channels);
    let read = step.input.read_channels(&step.layer, tied);
    let both = step.layer.reads_both_strands(step.input, tied);
    let positions = step.input.positions.unwrap_or(1);
    match step.layer {
        Layer::Convolution { width, stride, dilation, groups, padding, .. } => {
            let groups = groups_of_strand(groups, step.input, tied);
            convolution(read, out, [width, stride, dilation, groups], padding, both, definitions)
        }
        Layer::BatchNorm {} => Call::new("nn.BatchNorm1d").with("channels", channels),
        Layer::Relu {} => Call::new("nn.ReLU"),
        Layer::Gelu {} => Call::new("nn.GELU"),
        Layer::Silu {} => Call::new("nn.SiLU"),
        Layer::Tanh {} => Call::new("nn.Tanh"),
        Layer::Exp { at_most } => {
            definitions.need("Exp", EXP);
            Call::new("Exp").keyword("at_most", format!("{at_most:?}"))
        }
        Layer::MaxPool { width, stride } => pool("nn.MaxPool1d", width, stride),
        Layer::MeanPool { width, stride } => pool("nn.AvgPool1d", width, stride),
        Layer::Dropout { rate } => Call::new("nn.Dropout").with("rate", format!("{:?}", rate.unwrap_or(0.0))),
        Layer::Gated { width, dilation } => {
            let conv = convolution_callee(both, definitions);
            definitions.need("GatedBlock", gated(conv, both));
            Call::new("GatedBlock").with("channels", channels).with("width", width).keyword("dilation", dilation)
        }
        Layer::Lstm { .. } => {
            if both {
                definitions.need("both_strands", BOTH_STRANDS);
            }
            definitions.need("BidirectionalLSTM", lstm(both));
            Call::new("BidirectionalLSTM").with("channels", read).with("units", out / 2)
        }
        Layer::GlobalPool { of } => {
            let over_all = |kind: &str| {
                Call::new("nn.Sequential").of([Call::new(kind).with("positions", positions), Call::new("nn.Flatten")])
            };
            match of {
                GlobalPool::Max => over_all("nn.MaxPool1d"),
                GlobalPool::Mean => over_all("nn.AvgPool1d"),
                GlobalPool::Both => {
                    definitions.need("GlobalMaxMeanPool", GLOBAL_MAX_MEAN_POOL);
                    Call::new("GlobalMaxMeanPool").with("positions", positions)
                }
            }
        }
        Layer::PlacesPool { filters, places } => {
            if both {
                definitions.need("both_strands", BOTH_STRANDS);
            }
            definitions.need("PlacesPool", places_pool(both));
            let call = Call::new("PlacesPool").with("channels", read).with("filters", of_strand(filters, tied));
            call.keyword("positions", positions).keyword("places", places)
        }
        Layer::Crop { positions } => {
            definitions.need("middle", MIDDLE);
            definitions.need("Crop", CROP);
            Call::new("Crop").with("positions", positions)
        }
        Layer::Dilated { filters, width, dilation, positions, residual, relu } => {
            definitions.need("middle", MIDDLE);
            let name = if residual { "DilatedBlock" } else { "MiddleConv1d" };
            definitions.need(name, dilated(residual, relu));
            let call = Call::new(name).with("channels", channels);
            let call = if residual { call } else { call.with("filters", filters) };
            call.with("width", width).keyword("dilation", dilation).keyword("positions", positions)
        }
        Layer::ProfileHead { tracks, groups, width, length, counted } => {
            definitions.need("middle", MIDDLE);
            definitions.need("ProfileHead", if groups > 0 { PROFILE_AND_COUNTS_HEAD } else { PROFILE_HEAD });
            let call = Call::new("ProfileHead").with("channels", channels).with("tracks", tracks);
            let call = if groups > 0 { call.with("groups", groups) } else { call };
            let call = call.keyword("width", width).keyword("length", length);
            if groups > 0 { call.keyword("counted", counted.min(positions)) } else { call }
        }
        Layer::Flatten {} => Call::new("nn.Flatten"),
        Layer::Dense { .. } => Call::new("nn.Linear").with("inputs", channels).with("outputs", out),
        Layer::Residual { .. } | Layer::Branches { .. } => unreachable!("they hold other layers"),
    }
}

/// A residual layer in a list of layers.
pub fn residual(layers: Vec<Call>, definitions: &mut Definitions) -> Call {
    definitions.need("Residual", RESIDUAL);
    Call::new("Residual").of(layers)
}

/// The module of a control.
pub fn control(definitions: &mut Definitions, shape: &ProfileShape) {
    let sum = match shape.control_counts {
        ControlCounts::Read => "control.sum((1, 2)).log1p()".to_owned(),
        ControlCounts::Profile => format!("(middle(control, {}).sum((1, 2)) / 2).log1p()", shape.length),
    };
    definitions.need("middle", MIDDLE);
    definitions.need("Control", CONTROL.replace("WIDTH", &HEAD_WIDTH.to_string()).replace("LOG_COUNTS", &sum));
}

fn pool(kind: &str, width: usize, stride: Option<usize>) -> Call {
    let call = Call::new(kind).with("pool", width);
    match stride.filter(|stride| *stride != width) {
        Some(stride) => call.keyword("stride", stride),
        None => call,
    }
}

fn convolution(
    inputs: usize,
    filters: usize,
    [width, stride, dilation, groups]: [usize; 4],
    padding: Padding,
    both: bool,
    definitions: &mut Definitions,
) -> Call {
    let [before, behind] = padding.zeros((width - 1) * dilation);
    // PyTorch has no padding="same" with strides.
    let is_lopsided = stride > 1 && before != behind;
    let callee = if is_lopsided { lopsided_callee(both, definitions) } else { convolution_callee(both, definitions) };
    let mut call = Call::new(callee).with("inputs", inputs).with("filters", filters).with("width", width);
    if stride > 1 {
        call = call.keyword("stride", stride);
    }
    if behind > 0 {
        let is_same = stride == 1 && padding == Padding::Same;
        call = if is_same { call.keyword("padding", "\"same\"") } else { call.keyword("padding", before) };
    }
    if dilation > 1 {
        call = call.keyword("dilation", dilation);
    }
    if groups > 1 { call.keyword("groups", groups) } else { call }
}

/// What a convolution with one zero more behind is made by; where it reads both strands, the zero is behind each in its own direction.
fn lopsided_callee(both: bool, definitions: &mut Definitions) -> &'static str {
    let (name, read) = match both {
        true => ("LopsidedBothStrandsConv1d", "both_strands(x)"),
        false => ("LopsidedConv1d", "x"),
    };
    if both {
        definitions.need("both_strands", BOTH_STRANDS);
    }
    definitions.need(name, LOPSIDED_CONVOLUTION.replace("NAME", name).replace("READ", read));
    name
}

/// What a convolution is made by.
fn convolution_callee(both: bool, definitions: &mut Definitions) -> &'static str {
    if !both {
        return "nn.Conv1d";
    }
    definitions.need("both_strands", BOTH_STRANDS);
    definitions.need("BothStrandsConv1d", BOTH_STRANDS_CONVOLUTION);
    "BothStrandsConv1d"
}

const EXP: &str = r#"class Exp(nn.Module):
    """The exponential function of at most so much."""

    def __init__(self, at_most):
        super().__init__()
        self.at_most = at_most

    def forward(self, x):
        return x.clamp(max=self.at_most).exp()
"#;

const BOTH_STRANDS: &str = r#"def both_strands(x):
    """Puts the other strand's channels, in the direction of this one, behind each strand's own.

    [2N, C, L] to [2N, 2C, L]; the strands of a sequence follow each other.
    """
    other = x.unflatten(0, (-1, 2)).flip(1, 3).flatten(0, 1)
    return torch.cat([x, other], 1)
"#;

const BOTH_STRANDS_CONVOLUTION: &str = r#"class BothStrandsConv1d(nn.Conv1d):
    """A convolution that reads both strands."""

    def forward(self, x):
        return super().forward(both_strands(x))
"#;

const LOPSIDED_CONVOLUTION: &str = r#"class NAME(nn.Conv1d):
    """A convolution with one zero more behind a sequence than before it."""

    def forward(self, x):
        return super().forward(nn.functional.pad(READ, (0, 1)))
"#;

fn gated(conv: &str, both: bool) -> String {
    let inputs = if both { "2 * channels" } else { "channels" };
    format!(
        r#"class GatedBlock(nn.Module):
    """A dilated convolution times the sigmoid of another, added to the input."""

    def __init__(self, channels, width, dilation):
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)
        self.conv = {conv}({inputs}, channels, width, padding="same", dilation=dilation)
        self.gate = {conv}({inputs}, channels, width, padding="same", dilation=dilation)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x):
        y = self.norm(x)
        return x + self.conv(y) * self.sigmoid(self.gate(y))
"#
    )
}

fn lstm(both: bool) -> String {
    let read = if both { "both_strands(x)" } else { "x" };
    format!(
        r#"class BidirectionalLSTM(nn.LSTM):
    """An LSTM in both directions: [N, channels, L] to [N, 2 * units, L]."""

    def __init__(self, channels, units):
        super().__init__(channels, units, batch_first=True, bidirectional=True)

    def forward(self, x):
        return super().forward({read}.transpose(1, 2))[0].transpose(1, 2)
"#
    )
}

const GLOBAL_MAX_MEAN_POOL: &str = r#"class GlobalMaxMeanPool(nn.Module):
    """Maxima over all positions, and behind them means."""

    def __init__(self, positions):
        super().__init__()
        self.max = nn.MaxPool1d(positions)

    def forward(self, x):
        return torch.cat([self.max(x).flatten(1), x.mean(2)], 1)
"#;

fn places_pool(both: bool) -> String {
    let read = if both { "both_strands(x)" } else { "x" };
    format!(
        r#"class PlacesPool(nn.Conv1d):
    """Maxima and means over all positions, and maxima of a pointwise convolution in each of some equal parts.

    The parts are those of nn.AdaptiveMaxPool1d; their ends are repeated until all are as wide, so that one
    nn.MaxPool1d does it, which DeepLIFT has a rule for.
    """

    def __init__(self, channels, filters, positions, places):
        super().__init__(channels, filters, 1)
        starts = torch.arange(places) * positions // places
        ends = (torch.arange(1, places + 1) * positions + places - 1) // places
        width = int((ends - starts).max())
        parts = torch.minimum(starts[:, None] + torch.arange(width), ends[:, None] - 1)
        self.register_buffer("parts", parts.flatten(), persistent=False)
        self.max = nn.MaxPool1d(positions)
        self.max_of_parts = nn.MaxPool1d(width)

    def forward(self, x):
        parts = self.max_of_parts(super().forward({read})[:, :, self.parts])
        return torch.cat([self.max(x).flatten(1), x.mean(2), parts.flatten(1)], 1)
"#
    )
}

const MIDDLE: &str = r#"def middle(x, positions):
    """The middle positions, with zeros at both ends where there are too few."""
    spare = x.shape[2] - positions
    if spare >= 0:
        return x[:, :, spare // 2 : spare // 2 + positions]
    return nn.functional.pad(x, (-spare // 2, -spare - -spare // 2))
"#;

const CROP: &str = r#"class Crop(nn.Module):
    """The middle positions, so many."""

    def __init__(self, positions):
        super().__init__()
        self.positions = positions

    def forward(self, x):
        return middle(x, self.positions)
"#;

/// The class of a dilated convolution.
fn dilated(residual: bool, relu: Rectified) -> &'static str {
    match (residual, relu) {
        (true, Rectified::Input) => PREACTIVATED_BLOCK,
        (true, _) => DILATED_BLOCK,
        (false, Rectified::Output) => MIDDLE_CONVOLUTION,
        (false, _) => PLAIN_MIDDLE_CONVOLUTION,
    }
}

const PLAIN_MIDDLE_CONVOLUTION: &str = r#"class MiddleConv1d(nn.Conv1d):
    """A convolution that gives the middle positions."""

    def __init__(self, channels, filters, width, dilation, positions):
        super().__init__(channels, filters, width, dilation=dilation)
        self.reads = positions + (width - 1) * dilation

    def forward(self, x):
        return super().forward(middle(x, self.reads))
"#;

const PREACTIVATED_BLOCK: &str = r#"class DilatedBlock(nn.Conv1d):
    """A dilated convolution of its rectified input, added to the input, at the middle positions."""

    def __init__(self, channels, width, dilation, positions):
        super().__init__(channels, channels, width, dilation=dilation)
        self.positions = positions
        self.reads = positions + (width - 1) * dilation
        self.relu = nn.ReLU()

    def forward(self, x):
        y = super().forward(middle(self.relu(x), self.reads))
        return middle(x, self.positions) + y
"#;

const MIDDLE_CONVOLUTION: &str = r#"class MiddleConv1d(nn.Conv1d):
    """A rectified convolution that gives the middle positions."""

    def __init__(self, channels, filters, width, dilation, positions):
        super().__init__(channels, filters, width, dilation=dilation)
        self.reads = positions + (width - 1) * dilation
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(super().forward(middle(x, self.reads)))
"#;

const DILATED_BLOCK: &str = r#"class DilatedBlock(nn.Conv1d):
    """A rectified dilated convolution, added to its input, at the middle positions."""

    def __init__(self, channels, width, dilation, positions):
        super().__init__(channels, channels, width, dilation=dilation)
        self.positions = positions
        self.reads = positions + (width - 1) * dilation
        self.relu = nn.ReLU()

    def forward(self, x):
        y = self.relu(super().forward(middle(x, self.reads)))
        return middle(x, self.positions) + y
"#;

const PROFILE_AND_COUNTS_HEAD: &str = r#"class ProfileHead(nn.Module):
    """Logits of the profile, tracks * length of them, and behind them the log counts of groups."""

    def __init__(self, channels, tracks, groups, width, length, counted):
        super().__init__()
        self.reads = length + width - 1
        self.counted = counted  # positions over which the log counts are told by means
        self.fconv = nn.Conv1d(channels, tracks, width)
        self.linear = nn.Linear(channels, groups)

    def forward(self, x):
        profile = self.fconv(middle(x, self.reads)).flatten(1)
        counts = self.linear(middle(x, self.counted).mean(2))
        return torch.cat([profile, counts], 1)
"#;

const PROFILE_HEAD: &str = r#"class ProfileHead(nn.Module):
    """Logits of the profile, tracks * length of them."""

    def __init__(self, channels, tracks, width, length):
        super().__init__()
        self.reads = length + width - 1
        self.fconv = nn.Conv1d(channels, tracks, width)

    def forward(self, x):
        return self.fconv(middle(x, self.reads)).flatten(1)
"#;

const RESIDUAL: &str = r#"class Residual(nn.Sequential):
    """Adds its input to what its layers make of it."""

    def forward(self, x):
        return x + super().forward(x)
"#;

const CONTROL: &str = r#"class Control(nn.Module):
    """What the counts of a control, [N, control, positions], add to the logits."""

    def __init__(self, control, tracks, groups):
        super().__init__()
        self.profile = nn.Conv1d(control, tracks, WIDTH, bias=False)
        self.counts = nn.Module()
        self.counts.weight = nn.Parameter(torch.zeros(groups))

    def forward(self, control):
        log_counts = LOG_COUNTS[:, None] * self.counts.weight
        return torch.cat([self.profile(control).flatten(1), log_counts], 1)
"#;
