//! The resolved experiment: defaults, under a TOML file, under flags. Each setting is declared once, as a clap flag
//! with its default; its TOML key is the same name with underscores. Faults are collected and reported together.

mod choices;
mod class_shares;
mod data;
mod file;
mod folds;
mod inputs;
pub mod layers;
mod model;
pub(crate) mod nearest;
mod presets;
mod reads;
pub mod schema;
pub mod search;
mod signal;
mod training;

use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use serde::{Deserialize, Serialize};

pub use crate::config::choices::{AttributionBaseline, AttributionMethod, ScoreFormat, VariantFormat, name_of};
pub use crate::config::class_shares::ClassShares;
pub use crate::config::data::{Center, DataConfig, Fit, MAX_CLASSES, Missing, NEGATIVE, SourceKind, TaskKind};
pub use crate::config::folds::{DEFAULT_FOLDS, FEWEST_FOLDS, FoldCount, SplitBy};
pub use crate::config::inputs::{Aggregate, ControlTrack, NamedPath, Negatives, SignalTrack};
pub use crate::config::layers::Layer;
pub use crate::config::model::{Architecture, DropoutPlace, ModelConfig};
pub use crate::config::reads::{Counted, Shift, ShiftChoice};
#[cfg(feature = "files")]
pub(crate) use crate::config::signal::{bin_fault, output_length_fault};
pub use crate::config::training::{
    BatchSize, CalibrationMethod, ClassWeights, DeviceChoice, Loss, Metric, OptimizerKind, Precision, Schedule,
    Strands, TrainingConfig,
};

/// Everything that decides what a run computes.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where examples come from, how they are split and how long they are.
    #[command(flatten)]
    pub data: DataConfig,
    /// Architecture and size of the network.
    #[command(flatten)]
    pub model: ModelConfig,
    /// Optimisation, ensemble size, random seed and device.
    #[command(flatten)]
    pub training: TrainingConfig,
}

/// The largest seed: what TOML can hold.
pub const MAX_SEED: u64 = i64::MAX as u64;

/// The longest fragment, in bp. Far more than any network here reads, and far less than overflows a tensor.
pub const LONGEST_BP: usize = 1_000_000;

/// Parses a count: a whole number small enough that products of two counts stay exact.
///
/// # Errors
/// The text is not a whole number, or exceeds the largest count.
pub fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count <= MOST_COUNT => Ok(count),
        _ => Err(format!("found '{text}', expected a whole number up to {MOST_COUNT}")),
    }
}

/// The largest count.
const MOST_COUNT: usize = 1_000_000_000;

/// Faults for counts above the limit, which flags enforce when parsed and TOML files do not.
fn too_many<const N: usize>(counts: [(&'static str, usize); N]) -> impl Iterator<Item = String> {
    let large = counts.into_iter().filter(|(_, count)| *count > MOST_COUNT);
    large.map(|(flag, count)| format!("{flag} is {count}, expected a whole number up to {MOST_COUNT}"))
}

/// Parses a name, dropping the spaces around it, as in `1, 10, 11`.
///
/// # Errors
/// Nothing is left but spaces.
pub fn trimmed(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("found an empty name, expected names separated by commas".into()),
        name => Ok(name.to_owned()),
    }
}

/// serde reads and writes these as the text that flags take.
macro_rules! as_text {
    ($($kind:ty),*) => {$(
        impl TryFrom<String> for $kind {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
        impl From<$kind> for String {
            fn from(value: $kind) -> String {
                value.to_string()
            }
        }
    )*};
}
as_text!(DeviceChoice, FoldCount, NamedPath, Negatives, SignalTrack, ControlTrack, ClassWeights);

/// The defaults are those that clap shows.
macro_rules! default_from_flags {
    ($($kind:ty),*) => {$(
        impl Default for $kind {
            fn default() -> Self {
                use clap::FromArgMatches;
                // Built once: reading a file asks for the defaults at every setting, and building a clap command is
                // slow.
                static DEFAULTS: std::sync::OnceLock<$kind> = std::sync::OnceLock::new();
                let made = DEFAULTS.get_or_init(|| {
                    let matches = <$kind>::augment_args(clap::Command::new("defaults")).get_matches_from(["defaults"]);
                    <$kind>::from_arg_matches(&matches).expect("every setting has a default")
                });
                made.clone()
            }
        }
    )*};
}
default_from_flags!(DataConfig, ModelConfig, TrainingConfig);

/// Every fault of a configuration, one sentence each.
#[derive(Debug)]
pub struct Faults(pub Vec<String>);

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Faults {}

impl Config {
    /// Layers the flags that were typed (according to `matches`) over the file and the file over the defaults, and
    /// validates the result.
    ///
    /// # Errors
    /// The file cannot be read, or settings are unknown, out of range or do not go together; all faults at once.
    pub fn resolve(path: Option<&Path>, flags: &Config, matches: &ArgMatches) -> Result<Self, Faults> {
        Self::resolve_with(path, flags, matches, &toml::Table::new())
    }

    /// As [`Config::resolve`], with `sampled` settings, by section, that override the file and are overridden by flags.
    ///
    /// # Errors
    /// As [`Config::resolve`].
    pub fn resolve_with(
        path: Option<&Path>,
        flags: &Config,
        matches: &ArgMatches,
        sampled: &toml::Table,
    ) -> Result<Self, Faults> {
        // A command has only some of the flags, and clap panics when asked for one that it does not know.
        let typed = |key: &str| {
            matches.try_contains_id(key).unwrap_or(false) && matches.value_source(key) == Some(ValueSource::CommandLine)
        };
        let mut table = match path {
            Some(path) => Some(file::read(path).map_err(|fault| Faults(vec![fault]))?),
            None => None,
        };
        let named = || file::architecture(sampled).or_else(|| table.as_ref().and_then(file::architecture));
        let arch = if typed("arch") { Some(flags.model.arch) } else { named() };
        if let (Some(_), Some(table)) = (path, &mut table)
            && typed("examples")
        {
            file::forget_sources(table);
        }
        let typed_settings = to_table(flags)?;
        let over = |base: Config| -> Result<Self, Faults> {
            let (mut settings, mut faults) = (to_table(&base)?, Vec::new());
            if let (Some(path), Some(table)) = (path, &table) {
                file::overlay(&mut settings, table, path, &mut faults);
            }
            file::overlay(&mut settings, sampled, Path::new("sampled"), &mut faults);
            for (section, values) in &typed_settings {
                let toml::Value::Table(values) = values else { continue };
                for (key, value) in values.iter().filter(|(key, _)| typed(key)) {
                    file::section_mut(&mut settings, section).insert(key.clone(), value.clone());
                }
            }
            match toml::Value::Table(settings).try_into() {
                Ok(config) => {
                    let config: Config = config;
                    faults.extend(config.faults());
                    faults.extend(config.data.negatives.as_ref().and_then(Negatives::unknown));
                    if faults.is_empty() { Ok(config) } else { Err(Faults(faults)) }
                }
                Err(error) => {
                    faults.push(nearest::with_suggestion(error.message()));
                    Err(Faults(faults))
                }
            }
        };
        let config = over(presets::defaults(arch.unwrap_or(ModelConfig::default().arch)))?;
        match arch {
            _ if config.data.is_demo() => over(presets::demo(arch)),
            None if config.data.task == Some(TaskKind::Profile) => {
                over(presets::defaults(presets::architecture(config.data.task)))
            }
            _ => Ok(config),
        }
    }

    /// The experiment as a file that `train` accepts, with absolute paths.
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.with_absolute_paths()).expect("a configuration is a table of plain values")
    }

    /// A copy with absolute paths, as runs save it.
    pub fn with_absolute_paths(&self) -> Self {
        let mut config = self.clone();
        let absolute = |path: &mut PathBuf| {
            if let Ok(full) = std::path::absolute(&*path) {
                *path = full;
            }
        };
        config.for_each_data_path(absolute);
        config.training.init_from.iter_mut().chain(&mut config.training.bias).for_each(absolute);
        config
    }

    /// Changes the path of every data file.
    pub(crate) fn for_each_data_path(&mut self, mut change: impl FnMut(&mut PathBuf)) {
        let data = &mut self.data;
        for named in [&mut data.genome, &mut data.class, &mut data.valid_class, &mut data.test_class, &mut data.regions]
        {
            named.iter_mut().for_each(|named| change(&mut named.path));
        }
        let files = [&mut data.train, &mut data.valid, &mut data.test, &mut data.examples, &mut data.reference];
        let tracks = data.signal.iter_mut().flat_map(SignalTrack::paths_mut);
        let tracks = tracks.chain(data.control.iter_mut().flat_map(ControlTrack::paths_mut));
        files
            .into_iter()
            .flatten()
            .chain(&mut data.exclude)
            .chain(&mut data.fold_file)
            .chain(tracks)
            .for_each(&mut change);
        if let Some(Negatives::Bed(path)) = &mut data.negatives {
            change(path);
        }
    }

    /// Every fault of the values themselves; files are checked when they are read.
    pub(crate) fn faults(&self) -> Vec<String> {
        let Self { data, model, training } = self;
        let mut faults = data.faults();
        faults.extend(model.faults(data.length, training.strands));
        faults.extend(training.faults());
        faults.extend(self.profile_faults());
        if data.bin.is_some() && training.shift > 0 {
            faults.push("--shift moves a sequence without its bins, so it does not go with --bin; remove one".into());
        }
        faults
    }

    /// The loss that training asks for, or that for counts of bins; none where the task decides.
    pub fn loss(&self) -> Option<Loss> {
        let of_bins = (self.data.bin.is_some() && !self.data.log1p).then_some(Loss::Poisson);
        self.training.loss.or(of_bins)
    }
}

fn to_table(config: &Config) -> Result<toml::Table, Faults> {
    // Numbers are bounded when they are parsed, so paths remain.
    toml::Table::try_from(config)
        .map_err(|_| Faults(vec!["a path is not UTF-8 text, expected one that is; rename the file".into()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches;

    fn resolve(file: Option<&str>, flags: &[&str]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("experiment.toml");
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
        }
        let command = Config::augment_args(clap::Command::new("train"));
        let matches = command.try_get_matches_from([&["train"], flags].concat()).unwrap();
        let parsed = Config::from_arg_matches(&matches).unwrap();
        Config::resolve(file.map(|_| path.as_path()), &parsed, &matches)
            .map_err(|faults| faults.to_string().replace(&folder.path().display().to_string(), ""))
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = "[data]\nmatch_gc = true\nfragments = 600\n[training]\nlr = 0.01\nepochs = 3\n";
        let config = resolve(Some(file), &["--arch", "shallow", "--epochs", "5", "--match-gc=false"]).unwrap();
        assert_eq!(
            (config.training.epochs, config.training.lr, config.training.batch_size),
            (5, 0.01, BatchSize::Of(64))
        );
        assert!(!config.data.match_gc);
        assert_eq!(
            (config.data.fragments, config.data.valid_fragments(), config.data.test_fragments),
            (600, 100, 10_000)
        );
        // A flag typed with its default value wins too.
        assert_eq!(resolve(Some(file), &["--epochs", "8"]).unwrap().training.epochs, 8);
    }

    #[test]
    fn naming_an_architecture_brings_its_own_defaults_and_the_seed_networks_are_the_original_experiments() {
        let config = resolve(None, &["--arch", "seed"]).unwrap();
        assert_eq!(
            (config.data.fragments, config.data.valid_fragments(), config.data.test_fragments),
            (30_000, 5_000, 10_000)
        );
        assert_eq!(config.model, ModelConfig { arch: Architecture::Shallow, dropout: 0.2, ..ModelConfig::default() });
        assert_eq!(
            (config.training.lr, config.training.batch_size, config.training.epochs),
            (1e-3, BatchSize::Of(64), 25)
        );
        let file = "[model]\narch = \"seed\"\n[training]\nlr = 0.01\n";
        let from_file = resolve(Some(file), &["--dropout", "0.3"]).unwrap();
        assert_eq!(
            (from_file.training.lr, from_file.training.batch_size, from_file.model.dropout),
            (0.01, BatchSize::Of(64), 0.3)
        );
        let flag_wins = resolve(Some(file), &["--arch", "residual"]).unwrap();
        assert_eq!((flag_wins.training.lr, flag_wins.training.epochs), (0.01, TrainingConfig::default().epochs));
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let file = "[data]\nfragmens = 5\nmax_n = \"many\"\n[training]\nepochs = 0\n[modle]\narch = \"seed\"\n";
        let faults = resolve(
            Some(file),
            &["--arch", "shallow", "--depth", "2", "--lr", "0", "--dropout", "1", "--length", "46"],
        )
        .unwrap_err();
        for part in [
            "data.fragmens",
            "data.max_n",
            "modle",
            "--epochs is 0",
            "--lr is 0",
            "--dropout is 1",
            "--length is 46 bp, expected 47",
            "--depth does not go with --arch shallow",
        ] {
            assert!(faults.contains(part), "'{part}' is missing from: {faults}");
        }
    }

    #[test]
    fn a_free_list_of_layers_is_read_saved_and_read_again() {
        let file = "[model]\narch = \"custom\"\n[[layer]]\nkind = \"convolution\"\nfilters = 6\nwidth = 5\n[[layer]]\nkind = \"global-pool\"\nof = \"max\"\n";
        let config = resolve(Some(file), &["--dropout", "0.3"]).unwrap();
        assert_eq!(config.model.layer.len(), 2);
        assert_eq!(resolve(Some(&config.to_toml()), &[]).unwrap().model, config.model);
        for (text, flags, part) in [
            (file.to_owned(), &["--arch", "residual"][..], "layers are listed, and --arch is residual"),
            (file.replace("global-pool", "globe-pool"), &[], "layer 2: unknown variant `globe-pool`"),
            (file.to_owned() + "[[model.layer]]\nkind = \"relu\"\n", &[], "expected one of them"),
            ("[model]\narch = \"custom\"\n".to_owned(), &[], "expected a TOML file with a [[layer]] list"),
            (file.to_owned(), &["--filters", "5"], "--filters does not go with --arch custom"),
            (file.to_owned() + "[[layer]]\nkind = \"flatten\"\n", &[], "layer 3 (flatten) stands after"),
        ] {
            let faults = resolve(Some(&text), flags).unwrap_err();
            assert!(faults.contains(part), "'{part}' is missing from: {faults}");
        }
    }

    #[test]
    fn a_file_that_is_not_toml_is_named_with_its_line() {
        let fault = resolve(Some("[data]\nfragments = = 3\n"), &[]).unwrap_err();
        assert!(fault.contains("experiment.toml: line 2"), "{fault}");
    }

    #[test]
    fn paths_in_a_file_are_relative_to_it_and_saved_ones_are_absolute() {
        let config = resolve(Some("[data]\ngenome = [\"a=x.fa\", \"b=/y.fa\"]\n"), &[]).unwrap();
        assert!(config.data.genome[0].path.is_absolute() && config.data.genome[0].path.ends_with("x.fa"));
        assert_eq!(config.data.genome[1].path, Path::new("/y.fa"));
        let saved =
            Config { data: DataConfig { train: Some("t.csv".into()), ..DataConfig::default() }, ..Config::default() };
        let read = resolve(Some(&saved.to_toml()), &[]).unwrap();
        assert_eq!(read.data.train.unwrap(), std::path::absolute("t.csv").unwrap());
        assert_eq!(read.training, saved.training);
    }

    #[test]
    fn one_kind_of_data_and_two_classes() {
        for (flags, part) in [
            (&["--genome", "a=x"][..], "1 class (a)"),
            (&["--genome", "a=x", "--genome", "b=y", "--train", "t"], "one kind of data"),
            (&["--test", "t"], "without --train"),
            (&["--train", "t", "--resample"], "--resample goes with --genome"),
            (&["--train", "t", "--max-n", "3"], "--max-n goes with"),
            (&["--classes", "a,b"], "without data"),
            (&["--genome", "a=x", "--genome", "b=y", "--classes", "a,c"], "expected a, c"),
            (&["--fragments", "7"], "--fragments is 7"),
            (&["--genome", "a=x", "--genome", "b=x"], "names x twice"),
        ] {
            let faults = resolve(None, flags).unwrap_err();
            assert!(faults.contains(part), "{flags:?}: {faults}");
        }
        let config = resolve(None, &["--genome", "a=x", "--genome", "b=y", "--genome", "a=z"]).unwrap();
        assert_eq!(config.data.genome_classes(), ["a", "b"]);
    }
}
