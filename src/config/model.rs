//! The network: its architecture and the settings that shape it.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::LONGEST_BP;

/// The network.
#[derive(Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Network")]
pub struct ModelConfig {
    /// Architecture
    #[arg(long, value_enum, default_value_t = Architecture::Residual)]
    pub arch: Architecture,
    /// Dropout rate, a share from 0 to below 1
    #[arg(long, value_name = "RATE", default_value_t = 0.4)]
    pub dropout: f64,
    /// Where dropout stands in the seed network
    #[arg(long, value_enum, value_name = "PLACE", default_value_t = DropoutPlace::Both)]
    pub dropout_after: DropoutPlace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// One convolution of 16 filters, width 32, and a small dense layer: the published experiment
    Seed,
    /// A stem of 64 filters, four dilated residual blocks, and pooling over all and by place
    Residual,
}

impl Architecture {
    /// The name that `--arch` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Residual => "residual",
        }
    }

    /// The shortest fragment, in bp, that leaves something after pooling.
    pub fn shortest_bp(self) -> usize {
        match self {
            Self::Seed => 47,     // a convolution of width 32 without padding, then a pool of 16
            Self::Residual => 16, // about one motif
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
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
    /// What is wrong with the values, for fragments of `length` bp where that is known.
    pub fn faults(&self, length: Option<usize>) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |ok: bool, fault: String| {
            if !ok {
                faults.push(fault);
            }
        };
        if let Some(length) = length {
            let least = self.arch.shortest_bp();
            check(
                (least..=LONGEST_BP).contains(&length),
                format!("--length is {length} bp, expected {least} to {LONGEST_BP} for --arch {}", self.arch.name()),
            );
        }
        check(
            (0.0..1.0).contains(&self.dropout),
            format!("--dropout is {}, expected 0 or more and less than 1", self.dropout),
        );
        check(
            self.arch == Architecture::Seed || self.dropout_after == DropoutPlace::Both,
            "--dropout-after goes with --arch seed; remove it".into(),
        );
        faults
    }
}
