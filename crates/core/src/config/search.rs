//! What `tune` may vary: the `[search]` table of an experiment, each entry a setting with a list of values or a range.
//! Which settings there are, and which values they take, is asked of the settings themselves.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Config, Faults, file, nearest};

/// The table of a TOML file that only `tune` reads.
pub const SEARCH: &str = "search";

/// The settings that are searched, in the order of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// One entry per setting of the `[search]` table.
    #[serde(rename = "knobs")] // the key of tune.json
    pub hyperparameters: Vec<Hyperparameter>,
}

/// One setting and the values it may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hyperparameter {
    /// data, model or training.
    pub section: String,
    /// Name of the setting within its section, in snake case.
    pub key: String,
    /// Candidate values to draw from.
    pub values: Values,
}

/// Values that a search draws for one setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// One of these, each as likely as another.
    Choice(Vec<toml::Value>),
    /// From `low` to `high`, both included.
    Range {
        /// Smallest value.
        low: f64,
        /// Largest value.
        high: f64,
        /// Scale on which values are equally likely.
        scale: Scale,
        /// Whether values are rounded to whole numbers.
        whole: bool,
    },
}

/// Scale on which values of a range are equally likely.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Evenly between the ends.
    #[default]
    Linear,
    /// Evenly in the logarithm; both ends are positive.
    Log,
}

/// A range as the file gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeTable {
    low: f64,
    high: f64,
    #[serde(default)]
    scale: Scale,
}

/// Largest absolute bound of a range: enough for any setting, and small enough that the width of the range is finite.
const FURTHEST: f64 = 1e100;

/// Settings that are not searched, and why.
const NOT_SEARCHED: [(&str, &str); 30] = [
    ("epochs", "is set for each rung by successive halving"),
    ("seed", "is the same for all trials, so that they differ by their settings"),
    ("monitor", "is what trials are compared by"),
    ("loss", "decides what trials are compared by where that is not given"),
    ("patience", "is how long a trial lasts, which successive halving sets"),
    ("ensemble", "is one network for each trial"),
    ("calibration", "leaves the score of a trial as it is"),
    ("target_prior", "leaves the score of a trial as it is"),
    ("baselines", "leaves the score of a trial as it is"),
    ("threads", "is of the machine"),
    ("device", "is of the machine"),
    ("memory", "is of the machine"),
    ("task", "is the question itself"),
    ("counts_weight", "decides what trials are compared by"),
    ("output_length", "decides what trials are compared by"),
    ("outlier_quantile", "is of validation, which must be the same for all trials"),
    ("merge_distance", "is of validation, which must be the same for all trials"),
    ("valid_fragments", "is of validation, which must be the same for all trials"),
    ("valid_fraction", "is of validation, which must be the same for all trials"),
    ("folds", "is of validation, which must be the same for all trials"),
    ("fold", "is of validation, which must be the same for all trials"),
    ("split_by", "is of validation, which must be the same for all trials"),
    ("similarity", "is of validation, which must be the same for all trials"),
    ("keep_test", "is of the test, which tune leaves alone"),
    ("data_seed", "is of validation, which must be the same for all trials"),
    ("test_fragments", "is of the test, which tune leaves alone"),
    ("test_fraction", "is of the test, which tune leaves alone"),
    ("negatives_per_positive", "changes validation, which must be the same for all trials"),
    ("match_gc", "changes validation, which must be the same for all trials"),
    ("max_n", "changes validation, which must be the same for all trials"),
];

/// Whether `[search]` may name a setting, if it takes single values.
pub(crate) fn is_searched(key: &str) -> bool {
    !NOT_SEARCHED.iter().any(|(fixed, _)| *fixed == key) && !file::PATH_KEYS.contains(&key)
}

impl Search {
    /// The search space where the file has no `[search]` table: the settings that matter most for every architecture.
    pub fn usual() -> Self {
        let hyperparameter = |section: &str, key: &str, low, high, scale| Hyperparameter {
            section: section.into(),
            key: key.into(),
            values: Values::Range { low, high, scale, whole: false },
        };
        Self {
            hyperparameters: vec![
                hyperparameter("training", "lr", 1e-3, 3e-2, Scale::Log),
                hyperparameter("model", "dropout", 0.0, 0.6, Scale::Linear),
                hyperparameter("training", "weight_decay", 1e-4, 0.1, Scale::Log),
            ],
        }
    }

    /// The `[search]` table of a file; nothing where it has none.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn read(path: &Path) -> Result<Option<Self>, Faults> {
        let file = file::read(path).map_err(|fault| Faults(vec![fault]))?;
        let Some(table) = file.get(SEARCH) else { return Ok(None) };
        Self::parse(table).map(Some).map_err(|faults| {
            let named = faults.into_iter().map(|fault| format!("{}: {fault}", path.display()));
            Faults(named.collect())
        })
    }

    fn parse(table: &toml::Value) -> Result<Self, Vec<String>> {
        let Some(table) = table.as_table() else {
            return Err(vec![format!("'{SEARCH}' is not a section, expected [{SEARCH}] with a line for each setting")]);
        };
        let parsed = table.iter().map(|(key, value)| Hyperparameter::parse(key, value));
        let (mut hyperparameters, mut faults) = (Vec::new(), Vec::new());
        for hyperparameter in parsed {
            match hyperparameter {
                Ok(hyperparameter) => hyperparameters.push(hyperparameter),
                Err(fault) => faults.push(fault),
            }
        }
        if hyperparameters.is_empty() && faults.is_empty() {
            faults.push(format!("[{SEARCH}] is empty, expected settings to search; name some or remove it"));
        }
        if faults.is_empty() { Ok(Self { hyperparameters }) } else { Err(faults) }
    }
}

impl Hyperparameter {
    fn parse(key: &str, value: &toml::Value) -> Result<Self, String> {
        let name = format!("{SEARCH}.{key}");
        if let Some((_, why)) = NOT_SEARCHED.iter().find(|(fixed, _)| *fixed == key) {
            return Err(format!("{name}: {key} {why}, expected another setting; remove it"));
        }
        if file::PATH_KEYS.contains(&key) {
            return Err(format!("{name}: {key} names data or weights, expected a setting to vary; remove it"));
        }
        match value {
            toml::Value::Array(values) => {
                if values.is_empty() {
                    return Err(format!("{name}: the list is empty, expected values; add some"));
                }
                if let Some(i) = (1..values.len()).find(|&i| values[..i].contains(&values[i])) {
                    return Err(format!("{name}: {} is listed twice, expected it once; remove one", values[i]));
                }
                let mut section = "";
                for value in values {
                    if matches!(value, toml::Value::Array(_) | toml::Value::Table(_) | toml::Value::Datetime(_)) {
                        return Err(format!("{name}: found {value}, expected numbers, texts or true and false"));
                    }
                    section = section_of(key, value).map_err(|reason| format!("{name}: {reason}"))?;
                }
                Ok(Self { section: section.into(), key: key.into(), values: Values::Choice(values.clone()) })
            }
            toml::Value::Table(_) => {
                let range: RangeTable = value.clone().try_into().map_err(|error: toml::de::Error| {
                    let reason = error.message().replace('\n', " ");
                    format!("{name}: {reason}; write it as {{ low = 1e-4, high = 1e-2, scale = \"log\" }}")
                })?;
                let (section, whole) = Self::number(key).map_err(|reason| format!("{name}: {reason}"))?;
                let RangeTable { low, high, scale } = range;
                if !(low < high && low >= -FURTHEST && high <= FURTHEST) {
                    return Err(format!(
                        "{name}: goes from {low:?} to {high:?}, expected low below high and neither beyond {FURTHEST:e}"
                    ));
                }
                if scale == Scale::Log && low <= 0.0 {
                    return Err(format!("{name}: low is {low}, expected more than 0 on a log scale"));
                }
                if whole && (low < 0.0 || low.fract() != 0.0 || high.fract() != 0.0) {
                    return Err(format!("{name}: goes from {low} to {high}, expected whole numbers"));
                }
                Ok(Self { section: section.into(), key: key.into(), values: Values::Range { low, high, scale, whole } })
            }
            other => Err(format!(
                "{name}: found {other}, expected a list such as [1, 2] or a range such as {{ low = 1, high = 2 }}"
            )),
        }
    }

    /// The section of a setting that takes numbers, and whether it takes whole ones only.
    fn number(key: &str) -> Result<(&'static str, bool), String> {
        match (section_of(key, &toml::Value::Float(0.5)), section_of(key, &toml::Value::Integer(1))) {
            (Ok(section), _) => Ok((section, false)),
            (_, Ok(section)) => Ok((section, true)),
            (Err(_), Err(reason)) if reason.starts_with("there is no") => Err(reason),
            (Err(_), Err(_)) => {
                Err(format!("{key} takes no numbers, expected a list of its values; write it as [first, second]"))
            }
        }
    }

    /// Values that must be valid for all others to be: the ends of a range, or every choice.
    pub fn extremes(&self) -> Vec<toml::Value> {
        match &self.values {
            Values::Choice(values) => values.clone(),
            Values::Range { low, high, .. } => vec![self.number_value(*low), self.number_value(*high)],
        }
    }

    /// A number as this setting takes it.
    pub fn number_value(&self, number: f64) -> toml::Value {
        match self.values {
            Values::Range { whole: true, .. } => toml::Value::Integer(number.round() as i64),
            _ => toml::Value::Float(number),
        }
    }
}

/// The section in which `key` takes `value`; otherwise why it does not.
fn section_of(key: &str, value: &toml::Value) -> Result<&'static str, String> {
    let mut refused = None;
    for section in ["data", "model", "training"] {
        let mut alone = toml::Table::new();
        file::section_mut(&mut alone, section).insert(key.to_owned(), value.clone());
        match toml::Value::Table(alone).try_into::<Config>() {
            Ok(_) => return Ok(section),
            Err(error) if error.message().starts_with("unknown field") => {}
            Err(error) => refused = Some(format!("{}; correct the value", nearest::with_suggestion(error.message()))),
        }
    }
    Err(refused.unwrap_or_else(|| match file::meant_by(key, None) {
        Some((_, meant)) => format!("there is no setting '{key}', did you mean '{meant}'?"),
        None => format!("there is no setting '{key}', expected one of [data], [model] or [training]; correct the name"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Search, Vec<String>> {
        Search::parse(&toml::Value::Table(text.parse().unwrap()))
    }

    #[test]
    fn settings_are_found_in_their_sections() {
        let search = parse(
            "lr = { low = 1e-4, high = 1, scale = \"log\" }\nbatch_size = { low = 32, high = 512, scale = \"log\" }\n\
             dropout = { low = 0, high = 1 }\narch = [\"seed\", \"residual\"]\nlength = [128, 256]\nema = [0.9, 0.99]",
        )
        .unwrap();
        let sections: Vec<_> = search
            .hyperparameters
            .iter()
            .map(|hyperparameter| (hyperparameter.section.as_str(), hyperparameter.key.as_str()))
            .collect();
        assert_eq!(
            sections,
            [
                ("training", "lr"),
                ("training", "batch_size"),
                ("model", "dropout"),
                ("model", "arch"),
                ("data", "length"),
                ("training", "ema")
            ]
        );
        let whole = |i: usize| matches!(search.hyperparameters[i].values, Values::Range { whole: true, .. });
        assert!(!whole(0) && whole(1) && !whole(2), "a setting is whole if it takes whole numbers only");
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let faults = parse(
            "epochs = [1]\nlearning_rate = [1]\narch = [\"huge\"]\nlr = 3\ndropout = { low = 1, high = 0 }\nstrands = { low = 0, high = 1 }\n\
             mutate = { low = 0, high = 0.1, scale = \"log\" }\nshift = { low = 0.5, high = 3 }\nwarmup = { from = 1 }\nema = []\n\
             genome = [\"a=b\"]\nbatch_size = [32, 32]\noptimizer = [[\"sgd\"]]",
        )
        .unwrap_err();
        assert_eq!(faults.len(), 13, "{faults:#?}");
        for (fault, part) in faults.iter().zip([
            "successive halving",
            "no setting 'learning_rate'",
            "search.arch: unknown variant `huge`",
            "found 3, expected a list",
            "low below high",
            "takes no numbers",
            "more than 0 on a log scale",
            "whole numbers",
            "unknown field `from`",
            "empty",
            "names data",
            "twice",
            "expected numbers, texts",
        ]) {
            assert!(fault.contains(part), "'{part}' is missing from: {fault}");
        }
        let wide = parse("weight_decay = { low = 0, high = 1e308 }\nlr = { low = 0.1, high = inf }").unwrap_err();
        assert!(wide.len() == 2 && wide.iter().all(|fault| fault.contains("neither beyond 1e100")), "{wide:#?}");
        assert!(parse("").unwrap_err()[0].contains("empty"));
        assert!(Search::parse(&toml::Value::Integer(3)).unwrap_err()[0].contains("not a section"));
    }

    #[test]
    fn what_trials_are_compared_by_and_on_is_not_searched() {
        let faults = parse("loss = [\"mse\", \"poisson\"]\nmax_n = [0.0, 1.0]\nmonitor = [\"loss\"]").unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:#?}");
        assert!(faults.iter().all(|fault| fault.contains("compared by") || fault.contains("the same for all trials")));
    }

    #[test]
    fn what_is_usual_could_stand_in_a_file() {
        for hyperparameter in Search::usual().hyperparameters {
            for value in hyperparameter.extremes() {
                assert_eq!(section_of(&hyperparameter.key, &value).unwrap(), hyperparameter.section);
            }
        }
    }
}
