//! The share of each class or label in some sample, as `--target-prior` and `--prior` take it.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::TaskKind;

/// How far shares of classes may be from a sum of 1, for rounding; they are scaled to it.
const SUM_TOLERANCE: f64 = 1e-3;

/// Shares as written: one number, one for each class or label in their order, or names with their shares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Written", into = "String")]
pub enum ClassShares {
    /// Numbers in the order of the classes; of two classes, one number is the share of the positive class.
    Numbers(Vec<f64>),
    /// Names of classes or labels with their shares.
    Named(Vec<(String, f64)>),
}

impl FromStr for ClassShares {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected a share between 0 and 1 (of the positive class), NAME=SHARE,..., or a share for each in class order";
        let share = |text: &str| match text.trim().parse::<f64>() {
            Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
            _ => Err(format!("found the share '{}', expected a number above 0 and below 1", text.trim())),
        };
        let items: Vec<&str> = text.split(',').collect();
        if items.iter().all(|item| !item.contains('=')) {
            return items.into_iter().map(share).collect::<Result<_, _>>().map(Self::Numbers);
        }
        let mut named: Vec<(String, f64)> = Vec::new();
        for item in items {
            match item.rsplit_once('=') {
                Some((name, value)) if !name.trim().is_empty() => {
                    let name = name.trim().to_owned();
                    if named.iter().any(|(other, _)| *other == name) {
                        return Err(format!("names '{name}' twice, expected each once"));
                    }
                    named.push((name, share(value)?));
                }
                _ => return Err(format!("found '{item}', {EXPECTED}")),
            }
        }
        Ok(Self::Named(named))
    }
}

impl std::fmt::Display for ClassShares {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let items: Vec<String> = match self {
            Self::Numbers(shares) => shares.iter().map(ToString::to_string).collect(),
            Self::Named(shares) => shares.iter().map(|(name, share)| format!("{name}={share}")).collect(),
        };
        f.write_str(&items.join(","))
    }
}

/// A number or a text, as TOML has it.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a share, or a text such as \"NAME=SHARE,NAME=SHARE\"")]
enum Written {
    Number(#[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))] f64),
    Text(#[schemars(extend("pattern" = r"^([^,]+=)?\s*[0-9.eE+-]+\s*(,([^,]+=)?\s*[0-9.eE+-]+\s*)*$"))] String),
}

impl TryFrom<Written> for ClassShares {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(share) => share.to_string().parse(),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<ClassShares> for String {
    fn from(shares: ClassShares) -> Self {
        shares.to_string()
    }
}

impl ClassShares {
    /// The share of each output of a network: of the positive class for two classes, of each class, which add up to 1, or
    /// of each label. `names` are the classes or labels in their order, `flag` is what was given.
    ///
    /// # Errors
    /// The shares do not fit the classes or labels, or those of classes do not add up to 1; a sentence about `flag`.
    pub fn of_outputs(
        &self,
        flag: &str,
        kind: TaskKind,
        names: &[String],
        positive: usize,
    ) -> Result<Vec<f64>, String> {
        if kind.predicts_values() {
            return Err(format!("{flag} goes with classes and labels, and values have no prevalence; remove it"));
        }
        let is_binary = kind == TaskKind::Binary;
        let what = if kind == TaskKind::Multilabel { "label" } else { "class" };
        let mut shares: Vec<Option<f64>> = vec![None; names.len()];
        match self {
            Self::Numbers(numbers) if numbers.len() == names.len() => {
                shares = numbers.iter().copied().map(Some).collect();
            }
            Self::Numbers(numbers) if is_binary && numbers.len() == 1 => shares[positive] = Some(numbers[0]),
            Self::Numbers(numbers) => {
                let of_one = if is_binary {
                    format!("one number, the share of '{}', or ", names[positive])
                } else {
                    String::new()
                };
                return Err(format!(
                    "{flag} holds {} numbers, expected {of_one}{}, one for each {what}: {}",
                    numbers.len(),
                    names.len(),
                    names.join(", ")
                ));
            }
            Self::Named(named) => {
                for (name, share) in named {
                    let Some(place) = names.iter().position(|own| own == name) else {
                        return Err(format!(
                            "{flag} names '{name}', expected names among {}; correct it",
                            names.join(", ")
                        ));
                    };
                    shares[place] = Some(*share);
                }
            }
        }
        if is_binary && let [Some(one), None] | [None, Some(one)] = shares[..] {
            shares = shares.iter().map(|share| Some(share.unwrap_or(1.0 - one))).collect();
        }
        if let Some(missing) = shares.iter().position(Option::is_none) {
            return Err(format!("{flag} holds no share of '{}', expected one for each {what}; add it", names[missing]));
        }
        let mut shares: Vec<f64> = shares.into_iter().flatten().collect();
        if kind == TaskKind::Multilabel {
            return Ok(shares);
        }
        let sum: f64 = shares.iter().sum();
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(format!("{flag} holds shares that add up to {sum:.6}, expected 1; correct them"));
        }
        shares.iter_mut().for_each(|share| *share /= sum);
        Ok(if is_binary { vec![shares[positive]] } else { shares })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str, kind: TaskKind, names: &[&str], positive: usize) -> Result<Vec<f64>, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        text.parse::<ClassShares>()?.of_outputs("--prior", kind, &names, positive)
    }

    #[test]
    fn shares_are_read_in_every_form_that_people_write() {
        let (binary, several, labels) = (TaskKind::Binary, TaskKind::Multiclass, TaskKind::Multilabel);
        let two = &["human", "mouse"][..];
        for (text, kind, names, positive, expected) in [
            ("0.01", binary, two, 0, &[0.01][..]),
            ("0.01", binary, two, 1, &[0.01]),
            (" 1e-2 ", binary, two, 0, &[0.01]),
            ("mouse=0.01", binary, two, 0, &[0.99]),
            ("mouse=0.01", binary, two, 1, &[0.01]),
            ("human=0.99,mouse=0.01", binary, two, 0, &[0.99]),
            (" mouse = 0.01 , human = 0.99 ", binary, two, 0, &[0.99]),
            ("0.2,0.8", binary, two, 0, &[0.2]),
            ("0.2,0.8", binary, two, 1, &[0.8]),
            ("1=0.045", binary, &["0", "1"], 1, &[0.045]),
            ("0.2,0.3,0.5", several, &["a", "b", "c"], 0, &[0.2, 0.3, 0.5]),
            ("c=0.5,a=0.2,b=0.3", several, &["a", "b", "c"], 0, &[0.2, 0.3, 0.5]),
            ("x=y=0.5,b=0.5", several, &["x=y", "b"], 0, &[0.5, 0.5]),
            ("0.1,0.9,0.5", labels, &["a", "b", "c"], 0, &[0.1, 0.9, 0.5]),
            ("b=0.9,a=0.1", labels, &["a", "b"], 0, &[0.1, 0.9]),
        ] {
            let found = of(text, kind, names, positive).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{text}: {found:?}");
            assert_eq!(found.len(), expected.len(), "{text}");
        }
    }

    #[test]
    fn shares_that_do_not_fit_say_what_would() {
        let (binary, several, labels) = (TaskKind::Binary, TaskKind::Multiclass, TaskKind::Multilabel);
        let three = &["a", "b", "c"][..];
        for (text, kind, words) in [
            ("0", binary, "'0', expected a number above 0 and below 1"),
            ("1", binary, "'1', expected a number above 0 and below 1"),
            ("-0.1", binary, "'-0.1'"),
            ("nan", binary, "'nan'"),
            ("inf", binary, "'inf'"),
            ("", binary, "''"),
            ("1 %", binary, "'1 %'"),
            ("0.5,0.6", binary, "add up to 1.1"),
            ("0.1,0.2,0.7", binary, "one number, the share of 'a', or 2"),
            ("d=0.5", binary, "names 'd', expected names among a, b"),
            ("a=0.5,a=0.5", binary, "'a' twice"),
            ("a=0.5,0.5", binary, "found '0.5'"),
            ("=0.5", binary, "found '=0.5'"),
            ("a=half", binary, "'half'"),
            ("0.5", several, "holds 1 numbers, expected 3, one for each class: a, b, c"),
            ("a=0.5,b=0.5", several, "no share of 'c'"),
            ("0.2,0.2,0.2", several, "add up to 0.600000, expected 1"),
            ("0.5", labels, "holds 1 numbers, expected 3, one for each label"),
            ("a=0.5", labels, "no share of 'b', expected one for each label"),
            ("0.5", TaskKind::Regression, "values have no prevalence"),
        ] {
            let names = if kind == binary { &three[..2] } else { three };
            let error = of(text, kind, names, 0).unwrap_err();
            assert!(error.contains(words), "{text}: '{words}' is missing from: {error}");
        }
    }

    #[test]
    fn a_file_may_hold_a_number() {
        let read = |text: &str| serde_json::from_str::<ClassShares>(text);
        assert_eq!(read("0.045").unwrap(), ClassShares::Numbers(vec![0.045]));
        assert_eq!(read("\"a=0.045\"").unwrap(), ClassShares::Named(vec![("a".into(), 0.045)]));
        assert!(read("2").is_err() && read("[0.1]").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(shares in proptest::collection::vec(("[a-z=.0-9]{0,5}[a-z]", 1e-6..0.999_999f64), 1..5)) {
            let mut named: Vec<(String, f64)> = shares.clone();
            named.dedup_by(|a, b| a.0 == b.0);
            named.sort_by(|a, b| a.0.cmp(&b.0));
            named.dedup_by(|a, b| a.0 == b.0);
            for shares in [ClassShares::Named(named), ClassShares::Numbers(shares.iter().map(|(_, share)| *share).collect())] {
                prop_assert_eq!(shares.to_string().parse::<ClassShares>().unwrap(), shares);
            }
        }
    }
}
