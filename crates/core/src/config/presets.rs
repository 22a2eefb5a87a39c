//! Defaults of settings that neither a file nor a flag gives. Architectures differ in what trains them well, so each has
//! its own preset; `--help` shows that of the default architecture.

use crate::config::{Architecture, BatchSize, Config, ModelConfig, OptimizerKind, Schedule, TaskKind, TrainingConfig};

/// Defaults for an architecture, which a file and flags override.
pub fn defaults(arch: Architecture) -> Config {
    let shown = Config::default();
    let (model, training) = match arch {
        Architecture::Residual | Architecture::Gated => (shown.model, shown.training),
        // The published experiment; its optimizer, rate, batch size and dropout rate are not known.
        Architecture::Shallow => (
            ModelConfig { dropout: 0.2, ..shown.model },
            TrainingConfig {
                epochs: 25,
                batch_size: BatchSize::Of(64),
                optimizer: OptimizerKind::Adam,
                lr: 1e-3,
                schedule: Schedule::Constant,
                warmup: 0.0,
                weight_decay: 0.0,
                ..shown.training
            },
        ),
        // The published dropout. Millions of parameters want smaller steps than the default network's.
        Architecture::Basset => {
            (ModelConfig { dropout: 0.3, ..shown.model }, TrainingConfig { lr: 1e-3, ..shown.training })
        }
        // Without batch norm it starts slowly, and large gradients of its LSTM destabilise it, so they are clipped.
        Architecture::Danq => (
            ModelConfig { dropout: 0.5, ..shown.model },
            TrainingConfig { lr: 1e-3, epochs: 15, clip_norm: Some(1.0), ..shown.training },
        ),
        // Batches are small as in bpnet-lite; few loci want large steps at first.
        // Dropout is of the branch for counts alone, which has few loci to learn from, but a value for each.
        Architecture::Bpnet | Architecture::Branched | Architecture::Bias => (
            ModelConfig { dropout: 0.3, ..shown.model },
            TrainingConfig {
                epochs: 16,
                warmup: 1.0,
                batch_size: BatchSize::Of(32),
                optimizer: OptimizerKind::Adam,
                lr: 3e-3,
                weight_decay: 0.0,
                clip_norm: Some(1.0),
                ..shown.training
            },
        ),
        // Unknown layers: a learning rate that suits most networks, and less dropout than the default network's.
        Architecture::Custom => {
            (ModelConfig { dropout: 0.2, ..shown.model }, TrainingConfig { lr: 1e-3, ..shown.training })
        }
    };
    Config { model: ModelConfig { arch, ..model }, training, ..shown }
}

/// Defaults where no data are named. If no architecture is named either, a smaller network of the default one and fewer epochs,
/// so that the demo ends within a minute on two cores and still comes within 0.01 of the best possible AUROC.
pub fn demo(arch: Option<Architecture>) -> Config {
    let default = defaults(arch.unwrap_or(ModelConfig::default().arch));
    // Nothing ties simulated windows together but that they overlap.
    let training = TrainingConfig { block_length: 10_000, ..default.training };
    if arch.is_some() {
        return Config { training, ..default };
    }
    Config {
        model: ModelConfig { filters: Some(64), depth: Some(1), ..default.model },
        training: TrainingConfig { epochs: 5, ..training },
        ..default
    }
}

/// The architecture for a kind of task, where none is named.
pub fn architecture(kind: Option<TaskKind>) -> Architecture {
    match kind {
        Some(TaskKind::Profile) => Architecture::Branched,
        _ => ModelConfig::default().arch,
    }
}
