//! Samples hyperparameters. A draw is keyed by the seed and the number of the trial, so that the same search draws the
//! same values.

use rand::{Rng, RngExt};

use crate::config::search::{Hyperparameter, Scale, Search, Values};
use crate::config::{Config, Faults};
use crate::random::{self, Purpose};

/// Number of draws of a trial before the search is given up: settings may exclude each other, as --dropout-after
/// excludes all architectures but one, and are then drawn again.
const MOST_DRAWS: u64 = 1000;

/// Number of draws of the other settings when looking for any that a value is compatible with.
const CONTEXTS: u64 = 50;

/// Significant digits of a sampled number: more would not matter to a network and make tables hard to read.
const DIGITS: usize = 4;

/// A drawn combination of settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Number of the trial, counted from 1.
    pub number: usize,
    /// A value for each hyperparameter, in their order.
    pub values: Vec<toml::Value>,
    /// The experiment with these settings, for the full number of epochs.
    pub config: Config,
}

impl Trial {
    /// The values as tables and files hold them.
    pub fn texts(&self) -> Vec<String> {
        self.values.iter().map(text).collect()
    }
}

/// A value as tables and files hold it.
pub fn text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Float(number) => number.to_string(),
        other => other.to_string(),
    }
}

/// Draws trials; `resolve` makes an experiment of sampled settings or says why they are incompatible.
///
/// # Errors
/// A value is incompatible with all others, or no compatible settings were found; the error names every such value.
pub fn trials(
    search: &Search,
    count: usize,
    seed: u64,
    resolve: impl Fn(&toml::Table) -> Result<Config, Faults>,
) -> Result<Vec<Trial>, Faults> {
    let faults = impossible_values(search, seed, &resolve);
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    (1..=count)
        .map(|number| {
            let mut why = None;
            for attempt in 0..MOST_DRAWS {
                let values = draw(search, seed, number as u64, attempt);
                match resolve(&table(search, &values)) {
                    Ok(config) => return Ok(Trial { number, values, config }),
                    Err(faults) => why = Some(faults),
                }
            }
            let why = why.map_or_else(String::new, |faults| faults.to_string());
            Err(Faults(vec![format!(
                "[search]: {MOST_DRAWS} draws of trial {number} gave no settings that go together ({why}); take out those that exclude each other"
            )]))
        })
        .collect()
}

/// Errors of values that can never be used.
fn impossible_values(
    search: &Search,
    seed: u64,
    resolve: &impl Fn(&toml::Table) -> Result<Config, Faults>,
) -> Vec<String> {
    let mut found = Vec::new();
    for (place, hyperparameter) in search.hyperparameters.iter().enumerate() {
        for value in hyperparameter.extremes() {
            let alone = Search { hyperparameters: vec![hyperparameter.clone()] };
            let Err(faults) = resolve(&table(&alone, std::slice::from_ref(&value))) else { continue };
            // It may still be compatible with other values; trial 0 is never trained.
            let goes_with = |context| {
                let mut values = draw(search, seed, 0, context);
                values[place] = value.clone();
                resolve(&table(search, &values)).is_ok()
            };
            if !(0..CONTEXTS).any(goes_with) {
                found.extend(faults.0.into_iter().map(|fault| format!("search.{}: {fault}", hyperparameter.key)));
            }
        }
    }
    found
}

/// A value for each hyperparameter.
fn draw(search: &Search, seed: u64, trial: u64, attempt: u64) -> Vec<toml::Value> {
    let mut random = random::generator(seed, Purpose::Search, trial, attempt);
    search.hyperparameters.iter().map(|hyperparameter| value(hyperparameter, &mut random)).collect()
}

fn value(hyperparameter: &Hyperparameter, random: &mut impl Rng) -> toml::Value {
    match &hyperparameter.values {
        Values::Choice(values) => values[random.random_range(0..values.len())].clone(),
        Values::Range { low, high, scale, whole } => {
            // Rounding must not favour whole numbers in the middle over those at the ends.
            let margin = if *whole { 0.5 } else { 0.0 };
            let share: f64 = random.random();
            let number = match scale {
                Scale::Linear => (low - margin) + share * (high - low + 2.0 * margin),
                Scale::Log => ((low - margin).ln() + share * ((high + margin) / (low - margin)).ln()).exp(),
            };
            let number = match scale {
                _ if *whole => number.round(),
                Scale::Linear => with_decimals(number, high - low),
                Scale::Log => with_digits(number),
            };
            hyperparameter.number_value(number.clamp(*low, *high))
        }
    }
}

/// Rounds to a few significant digits.
fn with_digits(number: f64) -> f64 {
    format!("{number:.*e}", DIGITS - 1).parse().unwrap_or(number)
}

/// Rounds to as many decimals as a few significant digits of `span` have.
fn with_decimals(number: f64, span: f64) -> f64 {
    let decimals = (DIGITS as f64 - 1.0 - span.log10().floor()).clamp(0.0, 300.0) as usize;
    format!("{number:.decimals$}").parse().unwrap_or(number)
}

/// Sampled values as a configuration file would hold them, by section.
fn table(search: &Search, values: &[toml::Value]) -> toml::Table {
    let mut table = toml::Table::new();
    for (hyperparameter, value) in search.hyperparameters.iter().zip(values) {
        let section =
            table.entry(hyperparameter.section.as_str()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        if let toml::Value::Table(section) = section {
            section.insert(hyperparameter.key.clone(), value.clone());
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hyperparameter(low: f64, high: f64, scale: Scale, whole: bool) -> Hyperparameter {
        Hyperparameter {
            section: "training".into(),
            key: "lr".into(),
            values: Values::Range { low, high, scale, whole },
        }
    }

    fn numbers(hyperparameter: &Hyperparameter, count: u64) -> Vec<f64> {
        let search = Search { hyperparameters: vec![hyperparameter.clone()] };
        let number = |value: &toml::Value| value.as_float().or(value.as_integer().map(|n| n as f64)).unwrap();
        (1..=count).map(|trial| number(&draw(&search, 1, trial, 0)[0])).collect()
    }

    proptest! {
        #[test]
        fn draws_stay_within_their_range(low in 1e-6f64..1e3, times in 1.0001f64..1e6, log: bool) {
            let scale = if log { Scale::Log } else { Scale::Linear };
            let high = low * times;
            prop_assert!(numbers(&hyperparameter(low, high, scale, false), 20).iter().all(|n| (low..=high).contains(n)));
            let (low, high) = (low.ceil(), high.ceil() + 1.0);
            let whole = numbers(&hyperparameter(low, high, scale, true), 20);
            prop_assert!(whole.iter().all(|n| (low..=high).contains(n) && n.fract() == 0.0), "{:?}", whole);
        }
    }

    #[test]
    fn a_log_range_gives_each_decade_its_share_and_whole_numbers_come_alike() {
        let drawn = numbers(&hyperparameter(1e-4, 1e-1, Scale::Log, false), 3000);
        for decade in [1e-4, 1e-3, 1e-2] {
            let count = drawn.iter().filter(|&&n| (decade..decade * 10.0).contains(&n)).count();
            assert!((850..1150).contains(&count), "{count} of 3000 from {decade}");
        }
        let drawn = numbers(&hyperparameter(0.0, 3.0, Scale::Linear, true), 4000);
        for number in 0..4 {
            let count = drawn.iter().filter(|&&n| n == f64::from(number)).count();
            assert!((850..1150).contains(&count), "{count} of 4000 are {number}");
        }
    }

    #[test]
    fn the_same_seed_and_trial_give_the_same_and_others_others() {
        let search = Search::usual();
        assert_eq!(draw(&search, 1, 2, 0), draw(&search, 1, 2, 0));
        for other in [draw(&search, 2, 2, 0), draw(&search, 1, 3, 0), draw(&search, 1, 2, 1)] {
            assert_ne!(other, draw(&search, 1, 2, 0));
        }
        let sampled = trials(&search, 20, 1, |_| Ok(Config::default())).unwrap();
        let more = trials(&search, 40, 1, |_| Ok(Config::default())).unwrap();
        assert_eq!(sampled, more[..20], "more trials begin with the same");
        assert!(sampled.iter().all(|trial| trial.texts()[0].len() <= "0.0003456".len()), "{:?}", sampled[0].texts());
    }

    #[test]
    fn values_that_exclude_each_other_are_drawn_again_and_impossible_ones_are_named() {
        let choice = |key: &str, values: &[&str]| Hyperparameter {
            section: "model".into(),
            key: key.into(),
            values: Values::Choice(values.iter().map(|&value| value.into()).collect()),
        };
        let search = Search {
            hyperparameters: vec![
                choice("arch", &["shallow", "residual"]),
                choice("dropout_after", &["both", "dense", "no"]),
            ],
        };
        let resolve = |table: &toml::Table| {
            let get = |key: &str| table["model"].get(key).and_then(toml::Value::as_str).map(str::to_owned);
            match (get("arch").as_deref(), get("dropout_after").as_deref()) {
                (_, Some("no")) => Err(Faults(vec!["no never works".into()])),
                (None | Some("residual"), Some("dense")) => Err(Faults(vec!["dense goes with shallow".into()])),
                _ => Ok(Config::default()),
            }
        };
        let error = trials(&search, 5, 1, resolve).unwrap_err().to_string();
        assert_eq!(error, "search.dropout_after: no never works");
        let search = Search {
            hyperparameters: vec![search.hyperparameters[0].clone(), choice("dropout_after", &["both", "dense"])],
        };
        let drawn = trials(&search, 50, 1, resolve).unwrap();
        let texts: Vec<_> = drawn.iter().map(|trial| trial.texts().join(" ")).collect();
        assert!(
            texts.contains(&"shallow dense".to_owned()) && !texts.contains(&"residual dense".to_owned()),
            "{texts:?}"
        );
    }
}
