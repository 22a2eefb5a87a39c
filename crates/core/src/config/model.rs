//! The network: its architecture and the settings that shape it.

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::layers;
use crate::config::layers::{LONGEST_WIDTH_BP, Layer, MOST_FILTERS};
use crate::config::{LONGEST_BP, Strands, count, schema};

/// The deepest network, in blocks.
const MOST_BLOCKS: usize = 32;

/// The network.
#[derive(Args, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Network")]
pub struct ModelConfig {
    /// Architecture
    #[arg(long, value_enum, default_value_t = Architecture::Residual)]
    pub arch: Architecture,
    /// Filters of the first convolution, and of the blocks behind it [default: shallow 16, residual and gated 256, basset 300, danq 320, bpnet 64, branched 32, bias 16]
    #[arg(long, value_name = "N", value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MOST_FILTERS))]
    pub filters: Option<usize>,
    /// Kernel size of the first convolution, in bp [default: shallow 32, residual and gated 15, basset 19, danq 26, bpnet, branched and bias 21]
    #[arg(long, value_name = "BP", value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = LONGEST_WIDTH_BP))]
    pub width: Option<usize>,
    /// Blocks behind the first convolution, of basset convolutions in all [default: residual 3, gated 4, basset 3, bpnet 8, branched 6, bias 4]
    #[arg(long, value_name = "N", value_parser = count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MOST_BLOCKS))]
    pub depth: Option<usize>,
    /// Dropout rate, from 0 to below 1
    #[arg(long, value_name = "RATE", default_value_t = 0.5)]
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub dropout: f64,
    /// Where dropout stands in the shallow network
    #[arg(long, value_enum, value_name = "PLACE", default_value_t = DropoutPlace::Both)]
    pub dropout_after: DropoutPlace,
    /// Middle positions whose features are averaged for the log counts of a bpnet network; those that its profile depends on directly if
    /// absent. ChromBPNet's bias model averages more.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = LONGEST_BP))]
    pub counts_positions: Option<usize>,
    /// Whether a bpnet network rectifies what its dilated convolutions read, as basepairmodels does, and not what they give.
    #[arg(skip)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pre_activation: bool,
    /// The layers of a custom network, without the output layer: `[[layer]]` in a TOML file.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layer: Vec<Layer>,
}

/// Family of networks that `--arch` selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = schema::alias("seed", "shallow"))]
pub enum Architecture {
    /// One convolution of 16 filters, width 32, and a small dense layer: the published experiment
    // Once called seed, beside --seed.
    #[value(alias = "seed")]
    #[serde(alias = "seed")]
    Shallow,
    /// A stem of 256 filters, three dilated residual blocks, and pooling over all and by place
    Residual,
    /// Three wide convolutions and two dense layers of 1000 (Kelley and others, 2016)
    Basset,
    /// One convolution of 320 filters, a long short-term memory in both directions, and a dense layer (Quang and Xie, 2016)
    Danq,
    /// A stem of 256 filters and dilated blocks whose convolution is gated by another (after ConvNova, 2025)
    Gated,
    /// Dilated residual blocks with a profile head and a counts head, for --task profile (Avsec and others, 2021)
    Bpnet,
    /// The same blocks for the profile and a residual branch for the counts, for --task profile
    Branched,
    /// The same as bpnet with few narrow layers, which learns an enzyme's preference from background, for --task profile
    Bias,
    /// The list of layers in the TOML file
    Custom,
}

impl Architecture {
    /// All architectures, in the order of `--help`.
    pub const ALL: [Self; 9] = [
        Self::Shallow,
        Self::Residual,
        Self::Basset,
        Self::Danq,
        Self::Gated,
        Self::Branched,
        Self::Bpnet,
        Self::Bias,
        Self::Custom,
    ];

    /// The name that `--arch` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shallow => "shallow",
            Self::Residual => "residual",
            Self::Basset => "basset",
            Self::Danq => "danq",
            Self::Gated => "gated",
            Self::Bpnet => "bpnet",
            Self::Branched => "branched",
            Self::Bias => "bias",
            Self::Custom => "custom",
        }
    }

    /// Whether it ends with features at positions along the sequence, from which bins can be predicted.
    pub fn has_positions(self) -> bool {
        matches!(self, Self::Residual | Self::Gated)
    }

    /// Whether it predicts profiles, and nothing else.
    pub fn predicts_profiles(self) -> bool {
        matches!(self, Self::Bpnet | Self::Branched | Self::Bias)
    }

    /// Default number of filters of the first convolution, its width in bp, and number of blocks; `None` where the
    /// architecture has no such setting.
    fn sizes(self) -> (Option<usize>, Option<usize>, Option<usize>) {
        match self {
            Self::Shallow => (Some(16), Some(32), None),
            Self::Residual => (Some(256), Some(15), Some(3)),
            Self::Basset => (Some(300), Some(19), Some(3)),
            Self::Danq => (Some(320), Some(26), None),
            Self::Gated => (Some(256), Some(15), Some(4)),
            Self::Bpnet => (Some(64), Some(21), Some(8)),
            Self::Branched => (Some(32), Some(21), Some(6)),
            Self::Bias => (Some(16), Some(21), Some(4)),
            Self::Custom => (None, None, None),
        }
    }
}

/// Places at which the shallow network applies dropout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DropoutPlace {
    /// After the convolution and after the dense layer
    Both,
    /// After the convolution only
    Convolution,
    /// After the dense layer only
    Dense,
    /// Nowhere
    None,
}

impl ModelConfig {
    /// Filters of the first convolution.
    pub fn filters(&self) -> usize {
        self.filters.or(self.arch.sizes().0).unwrap_or(1)
    }

    /// Kernel size of the first convolution, in bp.
    pub fn width(&self) -> usize {
        self.width.or(self.arch.sizes().1).unwrap_or(1)
    }

    /// Blocks behind the first convolution, of basset convolutions in all.
    pub fn depth(&self) -> usize {
        self.depth.or(self.arch.sizes().2).unwrap_or(1)
    }

    /// The shortest fragment, in bp, that leaves something after pooling.
    pub fn shortest_bp(&self) -> usize {
        match self.arch {
            Architecture::Shallow => self.width() + 15, // a convolution without padding, then a pool of 16
            Architecture::Residual | Architecture::Basset | Architecture::Gated => 16, // about one motif
            Architecture::Bpnet | Architecture::Bias => 1,
            Architecture::Branched => 16,
            Architecture::Danq => 26, // two steps of the memory
            Architecture::Custom => layers::shortest_bp(&self.layer),
        }
    }

    /// Faults of the values, for fragments of `length` bp if that is known.
    pub fn faults(&self, length: Option<usize>, strands: Strands) -> Vec<String> {
        let (arch, tied) = (self.arch.name(), strands == Strands::Equivariant);
        let mut faults = Vec::new();
        let mut check = |ok: bool, fault: String| {
            if !ok {
                faults.push(fault);
            }
        };
        let (filters, width, depth) = self.arch.sizes();
        for (flag, value, own, most) in [
            ("--filters", self.filters, filters, MOST_FILTERS),
            ("--width", self.width, width, LONGEST_WIDTH_BP),
            ("--depth", self.depth, depth, MOST_BLOCKS),
        ] {
            let Some(value) = value else { continue };
            check(own.is_some(), format!("{flag} does not go with --arch {arch}; remove it"));
            check((1..=most).contains(&value), format!("{flag} is {value}, expected 1 to {most}"));
        }
        let odd = filters.is_some() && !self.filters().is_multiple_of(2);
        check(
            !(tied && odd),
            format!("--filters is {}, expected an even number with --strands equivariant", self.filters()),
        );
        check(
            (0.0..1.0).contains(&self.dropout),
            format!("--dropout is {}, expected 0 or more and less than 1", self.dropout),
        );
        check(
            self.arch == Architecture::Shallow || self.dropout_after == DropoutPlace::Both,
            "--dropout-after goes with --arch shallow; remove it".into(),
        );
        check(
            !self.arch.predicts_profiles() || self.width() % 2 == 1,
            format!("--width is {}, expected an odd number for --arch {arch}", self.width()),
        );
        let is_bpnet = matches!(self.arch, Architecture::Bpnet | Architecture::Bias);
        check(
            is_bpnet || (self.counts_positions.is_none() && !self.pre_activation),
            format!("counts_positions and pre_activation go with --arch bpnet or bias, not {arch}; remove them"),
        );
        if let Some(positions) = self.counts_positions {
            check(
                (1..=LONGEST_BP).contains(&positions),
                format!("counts_positions is {positions}, expected 1 to {LONGEST_BP}"),
            );
        }
        let is_custom = self.arch == Architecture::Custom;
        check(
            is_custom || self.layer.is_empty(),
            format!("layers are listed, and --arch is {arch}; use --arch custom or remove the list"),
        );
        check(
            !is_custom || !self.layer.is_empty(),
            "--arch is custom without layers, expected a TOML file with a [[layer]] list; add one".into(),
        );
        if let Some(length) = length {
            let least = if is_custom { 1 } else { self.shortest_bp() };
            check(
                (least..=LONGEST_BP).contains(&length),
                format!("--length is {length} bp, expected {least} to {LONGEST_BP} for --arch {arch}"),
            );
        }
        if is_custom && !self.layer.is_empty() {
            // Without a length, the shortest one that the layers accept.
            let length = length.filter(|length| (1..=LONGEST_BP).contains(length)).unwrap_or(self.shortest_bp());
            if let Err(fault) = layers::shape_after(&self.layer, length, tied) {
                faults.push(fault);
            }
        }
        faults
    }
}
