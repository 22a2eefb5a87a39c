//! How a network is trained: optimizer, schedule, what is done against overfitting, ensembles, and the machine.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{ClassShares, MAX_SEED, MOST_COUNT, count, schema, too_many};

/// The largest ensemble: beyond a few members each adds next to nothing.
const LARGEST_ENSEMBLE: usize = 100;

/// How the network is trained, and on what machine.
#[derive(Args, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Training")]
pub struct TrainingConfig {
    /// Passes over the training fragments
    #[arg(long, value_name = "N", value_parser = count, default_value_t = 8)]
    #[schemars(range(min = 1, max = MOST_COUNT))]
    pub epochs: usize,
    /// Batch size, or auto: the smallest that trains nearly as fast as any, found by trying and saved in the run's config.toml
    #[arg(long, value_name = "N", default_value = "256")]
    pub batch_size: BatchSize,
    /// Batches to accumulate gradients over before a step
    #[arg(long, value_name = "N", value_parser = count, default_value_t = 1)]
    #[schemars(range(min = 1, max = MOST_COUNT))]
    pub accumulate: usize,
    /// Optimizer
    #[arg(long, value_enum, default_value_t = OptimizerKind::Adamw)]
    pub optimizer: OptimizerKind,
    /// Learning rate
    #[arg(long, value_name = "RATE", default_value_t = 1e-2)]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub lr: f64,
    /// Learning-rate schedule
    #[arg(long, value_enum, default_value_t = Schedule::Cosine)]
    pub schedule: Schedule,
    /// Epochs of linear warm-up of the learning rate; one-cycle has its own
    #[arg(long, value_name = "EPOCHS", default_value_t = 0.5)]
    #[schemars(range(min = 0))]
    pub warmup: f64,
    /// Weight decay; not applied to biases and norms
    #[arg(long, value_name = "RATE", default_value_t = 0.05)]
    #[schemars(range(min = 0))]
    pub weight_decay: f64,
    /// Momentum of sgd, from 0 to below 1; one-cycle has its own
    #[arg(long, value_name = "SHARE", default_value_t = 0.9)]
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub momentum: f64,
    /// Nesterov momentum for sgd
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub nesterov: bool,
    /// Clip the gradient norm to this value; of branched that of each branch [default: no clipping]
    #[arg(long, value_name = "NORM")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub clip_norm: Option<f64>,
    /// Decay of an exponential moving average of the weights, which is validated and kept instead of them, below 1 [default: none]
    #[arg(long, value_name = "SHARE")]
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub ema: Option<f64>,
    /// Loss [default: cross-entropy for classes and labels, mse for values, poisson with --bin, multinomial for profiles]
    #[arg(long, value_enum)]
    pub loss: Option<Loss>,
    /// With --task profile, weight of the squared error of log counts beside the loss of the profile [default: a tenth of the median counts of training peaks]
    #[arg(long, value_name = "WEIGHT")]
    #[schemars(range(min = 0))]
    pub counts_weight: Option<f64>,
    /// With --task profile, run of --arch bias whose frozen network is added in training, so that the new one learns the rest; it is copied into the run [default: none]
    #[arg(long, value_name = "RUN")]
    pub bias: Option<PathBuf>,
    /// Label smoothing: share of each label spread over all classes
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub label_smoothing: f64,
    /// Weight of each class or label in the loss: none, auto (rare classes count as much as common ones), or NAME=WEIGHT,NAME=WEIGHT
    #[arg(long, value_name = "WEIGHTS", default_value = "none")]
    pub class_weights: ClassWeights,
    /// Maximum random shift of training fragments, in bp; vacated positions become N
    #[arg(long, value_name = "BP", value_parser = count, default_value_t = 0)]
    #[schemars(range(max = MOST_COUNT))]
    pub shift: usize,
    /// Share of the bases of training fragments to mutate at random
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub mutate: f64,
    /// Validation metric that chooses the best epoch [default: auroc for classes and labels, r2 or pearson for values, loss for profiles]
    #[arg(long, value_enum)]
    pub monitor: Option<Metric>,
    /// Early stopping: epochs without improvement before training stops [default: never]
    #[arg(long, value_name = "EPOCHS", value_parser = count)]
    #[schemars(range(min = 1))]
    pub patience: Option<usize>,
    /// How both strands are used
    #[arg(long, value_enum, default_value_t = Strands::Average)]
    pub strands: Strands,
    /// Precision of training; scoring is always in f32
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub precision: Precision,
    /// Ensemble size: networks trained from different seeds, whose logits are averaged
    #[arg(long, value_name = "N", value_parser = count, default_value_t = 1)]
    #[schemars(range(min = 1, max = LARGEST_ENSEMBLE))]
    pub ensemble: usize,
    /// Run to initialise weights from; the output layer is new if the task differs [default: none]
    #[arg(long, value_name = "RUN")]
    pub init_from: Option<PathBuf>,
    /// Blocks of --init-from to freeze, counted from the input
    #[arg(long, value_name = "N", value_parser = count, default_value_t = 0)]
    pub freeze_blocks: usize,
    /// Probability calibration, fitted on the validation split reweighted to the training prevalence [default: platt for two classes and labels, vector for several classes]
    #[arg(long, value_enum)]
    pub calibration: Option<CalibrationMethod>,
    /// Prevalence that the scores will meet, to calibrate to: the share of the positive class, NAME=SHARE,... or a share for each class or label in order [default: that of training]
    #[arg(long, value_name = "SHARES")]
    pub target_prior: Option<ClassShares>,
    /// Also fit regression on 6-mers, on gapped 6-mers and on GC content, as baselines
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub baselines: bool,
    /// Length of the blocks of dependent test examples that intervals allow for, in bp, where examples have coordinates
    #[arg(long, value_name = "BP", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    #[schemars(range(min = 1))]
    pub block_length: u64,
    /// Random seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=MAX_SEED))]
    pub seed: u64,
    /// CPU threads [default: OMP_NUM_THREADS, else SLURM_CPUS_PER_TASK, else one per core that the system allows]
    #[arg(long, value_name = "N", value_parser = count)]
    #[schemars(range(min = 1, max = 1024))]
    pub threads: Option<usize>,
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,
    /// On a GPU, replay each step as a CUDA graph, which helps small networks; not measured on a GPU yet
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub cuda_graph: bool,
    /// Also write TensorBoard event files: tensorboard --logdir RUN
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub tensorboard: bool,
    /// Compute everything with libtorch, without the faster CPU kernels: for the first block of shallow, danq, residual and gated, and for profiles
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub no_native: bool,
}

/// Batch size, in fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Number", into = "Number")]
pub enum BatchSize {
    /// Chosen by timing on the training device.
    Auto,
    /// This many fragments.
    Of(usize),
}

impl BatchSize {
    /// The number of fragments, or the default of 256 for `auto`.
    pub fn fragments(self) -> usize {
        match self {
            Self::Auto => 256,
            Self::Of(fragments) => fragments,
        }
    }

    /// The fault if the batch size is `auto`, where `what` needs a number.
    pub fn fault_of_auto(self, what: &str) -> Option<String> {
        (self == Self::Auto).then(|| format!("--batch-size is auto, expected a number for {what}; give one"))
    }
}

impl FromStr for BatchSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" { Ok(Self::Auto) } else { count(text).map(Self::Of) }
    }
}

impl std::fmt::Display for BatchSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Of(fragments) => fragments.fmt(f),
        }
    }
}

/// A number or a word, as TOML has it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a whole number or \"auto\"")]
enum Number {
    Number(#[schemars(range(min = 1, max = MOST_COUNT))] usize),
    Word(#[schemars(extend("const" = "auto"))] String),
}

impl TryFrom<Number> for BatchSize {
    type Error = String;

    fn try_from(number: Number) -> Result<Self, String> {
        match number {
            Number::Number(fragments) => Ok(Self::Of(fragments)),
            Number::Word(word) => word.parse(),
        }
    }
}

impl From<BatchSize> for Number {
    fn from(size: BatchSize) -> Self {
        match size {
            BatchSize::Auto => Self::Word("auto".into()),
            BatchSize::Of(fragments) => Self::Number(fragments),
        }
    }
}

/// Algorithm that updates the weights from their gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019)
    Adamw,
    /// Adam (Kingma and Ba, 2015); weight decay is added to the gradient
    Adam,
    /// Stochastic gradient descent with momentum; weight decay is added to the gradient
    Sgd,
}

/// Objective that training minimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = schema::alias("bce", "cross-entropy"))]
pub enum Loss {
    /// Cross-entropy
    #[value(alias = "bce")]
    #[serde(alias = "bce")]
    CrossEntropy,
    /// Squared error, on probabilities or on values
    Mse,
    /// Poisson regression, for counts: values of 0 or more
    Poisson,
    /// Multinomial likelihood of a profile, and squared error of its log counts
    Multinomial,
}

/// Weight of each class or label in the loss.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^\s*(none|auto)\s*$|^[^,]+=\s*[0-9.eE+-]+\s*(,[^,]+=\s*[0-9.eE+-]+\s*)*$"))]
pub enum ClassWeights {
    /// All count the same.
    #[default]
    None,
    /// In inverse proportion to the class's share of the training examples.
    Auto,
    /// Names with their weights, each positive.
    Given(Vec<(String, f64)>),
}

impl FromStr for ClassWeights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "none" => Ok(Self::None),
            "auto" => Ok(Self::Auto),
            list => list
                .split(',')
                .map(|item| match item.rsplit_once('=') {
                    Some((name, weight)) if !name.trim().is_empty() => match weight.trim().parse::<f64>() {
                        Ok(weight) if weight > 0.0 && weight.is_finite() => Ok((name.trim().to_owned(), weight)),
                        _ => Err(format!("found the weight '{weight}' of '{name}', expected a positive number")),
                    },
                    _ => Err(format!("found '{item}', expected none, auto or NAME=WEIGHT,NAME=WEIGHT")),
                })
                .collect::<Result<_, _>>()
                .map(Self::Given),
        }
    }
}

impl std::fmt::Display for ClassWeights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Auto => f.write_str("auto"),
            Self::Given(weights) => {
                let items: Vec<String> = weights.iter().map(|(name, weight)| format!("{name}={weight}")).collect();
                f.write_str(&items.join(","))
            }
        }
    }
}

/// How training and scoring use the two strands of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strands {
    /// Only the strand as given
    Single,
    /// Train on a random strand, drawn anew each epoch; score the strand as given
    Augment,
    /// Train on a random strand; score both and average their logits
    Average,
    /// Train and score on both strands, averaging their logits
    Shared,
    /// Reverse-complement equivariant layers, with filters tied between the strands
    Equivariant,
}

impl Strands {
    /// Whether a score is of both strands, so that it belongs to neither.
    pub fn scores_both(self) -> bool {
        matches!(self, Self::Average | Self::Shared | Self::Equivariant)
    }
}

/// Course of the learning rate over the training steps, after any warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Constant
    Constant,
    /// Cosine decay to zero over all epochs
    Cosine,
    /// One-cycle, with inverse momentum (Smith and Topin, 2019)
    OneCycle,
    /// Divide the rate by ten whenever validation has not improved for three epochs
    Plateau,
}

/// Metric computed on validation after each epoch, which `--monitor` selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Area under the ROC curve; of several classes or labels their mean
    Auroc,
    /// Area under the precision-recall curve, for two classes
    AveragePrecision,
    /// Accuracy at a probability of 0.5
    Accuracy,
    /// Matthews correlation at the best threshold, for two classes
    Mcc,
    /// The loss itself
    Loss,
    /// Coefficient of determination, for values
    R2,
    /// Pearson correlation, for values
    Pearson,
}

impl Metric {
    /// The name that `--monitor` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auroc => "auroc",
            Self::AveragePrecision => "average-precision",
            Self::Accuracy => "accuracy",
            Self::Mcc => "mcc",
            Self::Loss => "loss",
            Self::R2 => "r2",
            Self::Pearson => "pearson",
        }
    }
}

/// Floating-point format of the forward and backward passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32 bits
    F32,
    /// 16 bits (bfloat16) in convolutions and dense layers, with weights kept in 32
    Bf16,
    /// 32 bits, with the factors of products rounded to 19 on a GPU, whose tensor cores compute so; f32 on a CPU
    Tf32,
    /// bf16 on a CPU that computes with it (avx512_bf16), f32 elsewhere
    Auto,
}

/// How predicted probabilities are calibrated on validation after training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CalibrationMethod {
    /// A slope and an intercept (Platt, 1999), of each label; for two classes and labels
    Platt,
    /// A scale and a bias for each class (Guo and others, 2017); for several classes
    Vector,
    /// One divisor of all logits (Guo and others, 2017), which cannot shift the mean probability
    Temperature,
    /// No calibration
    #[default]
    None,
}

impl CalibrationMethod {
    /// The name that `--calibration` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Platt => "platt",
            Self::Vector => "vector",
            Self::Temperature => "temperature",
            Self::None => "none",
        }
    }
}

/// Requested device, as in `--device`; it is resolved to an available one when a command starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^(auto|cpu|cuda(:[0-9]+)?)$"))]
pub enum DeviceChoice {
    /// The first GPU if libtorch can use one, otherwise the CPU.
    Auto,
    /// The CPU, even where there is a GPU.
    Cpu,
    /// The CUDA GPU with this index, from 0.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("found device '{text}', expected auto, cpu, cuda or cuda:N")),
        }
    }
}

impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl TrainingConfig {
    /// Faults of the values.
    pub fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = too_many([
            ("--epochs", self.epochs),
            ("--batch-size", self.batch_size.fragments()),
            ("--accumulate", self.accumulate),
            ("--shift", self.shift),
        ])
        .collect();
        let mut check = |ok: bool, fault: String| {
            if !ok {
                faults.push(fault);
            }
        };
        for (flag, value) in [
            ("--epochs", Some(self.epochs)),
            ("--batch-size", Some(self.batch_size.fragments())),
            ("--accumulate", Some(self.accumulate)),
            ("--patience", self.patience),
            ("--threads", self.threads),
            ("--block-length", Some(self.block_length as usize)),
        ] {
            check(value != Some(0), format!("{flag} is 0, expected 1 or more"));
        }
        check(self.lr > 0.0 && self.lr.is_finite(), format!("--lr is {}, expected a positive number", self.lr));
        check(
            (0.0..=self.epochs as f64).contains(&self.warmup),
            format!("--warmup is {} epochs, expected 0 to --epochs, {}", self.warmup, self.epochs),
        );
        check(
            self.weight_decay >= 0.0 && self.weight_decay.is_finite(),
            format!("--weight-decay is {}, expected 0 or more", self.weight_decay),
        );
        for (flag, share) in [
            ("--momentum", self.momentum),
            ("--ema", self.ema.unwrap_or(0.0)),
            ("--label-smoothing", self.label_smoothing),
            ("--mutate", self.mutate),
        ] {
            check((0.0..1.0).contains(&share), format!("{flag} is {share}, expected 0 or more and less than 1"));
        }
        check(
            self.clip_norm.is_none_or(|norm| norm > 0.0 && norm.is_finite()),
            format!("--clip-norm is {}, expected a positive number", self.clip_norm.unwrap_or(0.0)),
        );
        check(
            !self.nesterov || (self.optimizer == OptimizerKind::Sgd && self.momentum > 0.0),
            "--nesterov goes with --optimizer sgd and a --momentum above 0; remove it".into(),
        );
        check(
            (1..=LARGEST_ENSEMBLE).contains(&self.ensemble),
            format!("--ensemble is {}, expected 1 to {LARGEST_ENSEMBLE}", self.ensemble),
        );
        check(
            self.freeze_blocks == 0 || self.init_from.is_some(),
            "--freeze-blocks is given without --init-from, whose blocks it keeps; add it".into(),
        );
        check(
            self.threads.is_none_or(|threads| threads <= 1024),
            "--threads is above 1024, expected the number of cores".into(),
        );
        check(
            self.target_prior.is_none() || self.calibration != Some(CalibrationMethod::None),
            "--target-prior is given with --calibration none, which calibrates to no prevalence; remove one".into(),
        );
        faults
    }
}
