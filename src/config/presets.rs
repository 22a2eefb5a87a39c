//! What settings are where nobody names them. Architectures differ in what trains them well, so each has its own preset;
//! that of the default architecture is what `--help` shows.

use super::{Architecture, Config, DropoutPlace, ModelConfig, OptimizerKind, Schedule, TrainingConfig};

/// The settings under a file and flags.
pub fn defaults(arch: Architecture) -> Config {
    let shown = Config::default();
    let (model, training) = match arch {
        Architecture::Residual => (shown.model, shown.training),
        // The published experiment; its optimizer, rate, batch size and dropout rate are not known.
        Architecture::Seed => (
            ModelConfig { dropout: 0.2, dropout_after: DropoutPlace::Both, ..shown.model },
            TrainingConfig {
                epochs: 25,
                batch_size: 64,
                optimizer: OptimizerKind::Adam,
                lr: 1e-3,
                schedule: Schedule::Constant,
                weight_decay: 0.0,
                ..shown.training
            },
        ),
    };
    Config { model: ModelConfig { arch, ..model }, training, ..shown }
}
