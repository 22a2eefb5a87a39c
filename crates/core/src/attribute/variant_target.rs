//! What is compared between the alleles of a variant: the explained number or, of a network that predicts profiles, the counts and
//! the profile of each group.

use anyhow::{Result, bail};

use crate::attribute::alignment::Alignment;
use crate::attribute::target::{Explained, NOT_FINITE};
use crate::dataset::Classes;
use crate::format;
use crate::metrics::profile::{jensen_shannon_distance, log_softmax};
use crate::sequence::profile::ProfileShape;
use crate::task::Task;

/// The share of a profile's bases that both alleles must have for a distance: of few bases, whose shares always add up to 1, it would
/// say little.
const LEAST_COMMON: f64 = 0.25;

/// A number for both alleles of a variant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Of the reference allele.
    pub reference: f64,
    /// Of the alternative allele.
    pub alternative: f64,
}

impl Pair {
    fn change(self) -> f64 {
        self.alternative - self.reference
    }
}

/// What an allele changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The explained number.
    Number(Pair),
    /// Counts and profile of each group that is compared.
    Profiles(Vec<ProfileEffect>),
}

/// What an allele changes of a group's counts and profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProfileEffect {
    /// Predicted log counts: the natural logarithm of 1 + counts.
    pub log_counts: Pair,
    /// Jensen-Shannon distance of the profiles over the bases that both alleles have; `None` where these are too few.
    pub distance: Option<f64>,
}

impl ProfileEffect {
    /// The logarithm to base 2 of (1 + counts) of the alternative over that of the reference.
    pub fn log2_fold_change(&self) -> f64 {
        self.log_counts.change() / std::f64::consts::LN_2
    }
}

/// What is compared.
#[derive(Clone, Debug)]
pub enum VariantTarget {
    /// One number.
    Number(Explained),
    /// Counts and profiles.
    Profiles(ComparedGroups),
}

/// The groups of tracks that are compared.
#[derive(Clone, Debug)]
pub struct ComparedGroups {
    shape: ProfileShape,
    /// Places among the groups, and names.
    groups: Vec<(usize, String)>,
    /// Whether effects are ranked by profiles, not by counts.
    by_profile: bool,
    /// Whether the bias model is part of what is predicted.
    with_bias: bool,
}

/// A number that is written for each allele.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Column of a table.
    pub column: String,
    /// INFO field of VCF, without its prefix, and its description; `None` where VCF has none.
    pub info: Option<(String, String)>,
}

/// An effect as it is ranked among others.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// What it is ranked by, regardless of its sign.
    pub effect: f64,
    /// What is predicted for either allele.
    pub predictions: Pair,
    /// The group whose effect it is, with what is changed of it.
    pub group: Option<(String, ProfileEffect)>,
}

impl VariantTarget {
    /// The class, label or column named `of`. Of profiles, every group or the one named; behind its name `:profile` says that the largest
    /// effects are those on the profile. `with_bias` says that the bias model is part of what is predicted.
    ///
    /// # Errors
    /// As [`Explained::new`].
    pub fn new(task: &Task, classes: &Classes, of: Option<&str>, with_bias: bool) -> Result<Self> {
        let Some(profile) = &task.profile else { return Explained::new(task, classes, of).map(Self::Number) };
        let chosen = of.map(|of| Explained::new(task, classes, Some(of))).transpose()?;
        let groups = classes.names.iter().cloned().enumerate();
        let is_chosen = |group: usize| chosen.as_ref().is_none_or(|explained| explained.output() == group);
        Ok(Self::Profiles(ComparedGroups {
            shape: profile.shape.clone(),
            groups: groups.filter(|(group, _)| is_chosen(*group)).collect(),
            by_profile: chosen.is_some_and(|explained| explained.is_profile()),
            with_bias,
        }))
    }

    /// Description of what effects are ranked by, for messages.
    pub fn description(&self) -> String {
        match self {
            Self::Number(explained) => explained.description(),
            Self::Profiles(compared) => {
                let names: Vec<String> = compared.groups.iter().map(|(_, name)| format!("'{name}'")).collect();
                let what = if compared.by_profile { "profile" } else { "logarithm to base 2 of 1 + counts" };
                let with_bias = if compared.with_bias { ", with bias" } else { "" };
                format!("{what} of {}{with_bias}", names.join(", "))
            }
        }
    }

    /// The effect of an allele, from logits of windows, row by row as they come out of the network: that of the reference, and one or
    /// more of the alternative, whose mean counts.
    ///
    /// # Errors
    /// The logits are not finite.
    ///
    /// # Panics
    /// There are no such rows.
    pub fn effect(&self, logits: &Logits, reference: usize, alternatives: &[(usize, Alignment)]) -> Result<Effect> {
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / alternatives.len() as f64;
        match self {
            Self::Number(explained) => {
                let of = |row: usize| explained.of_logits(logits.row(row)).into_iter().sum::<f64>();
                let alternative = mean(&mut alternatives.iter().map(|&(row, _)| of(row)));
                let pair = Pair { reference: of(reference), alternative };
                if !(pair.reference.is_finite() && pair.alternative.is_finite()) {
                    bail!(NOT_FINITE);
                }
                Ok(Effect::Number(pair))
            }
            Self::Profiles(compared) => {
                let all = || std::iter::once(reference).chain(alternatives.iter().map(|&(row, _)| row));
                if all().any(|row| logits.row(row).iter().any(|logit| !logit.is_finite())) {
                    bail!(NOT_FINITE);
                }
                let shape = &compared.shape;
                let is_enough = |common: &Vec<_>| common.len() as f64 >= LEAST_COMMON * shape.length as f64;
                let common = alternatives
                    .iter()
                    .map(|(_, alignment)| Some(alignment.common(logits.length, shape.length)).filter(is_enough))
                    .collect::<Option<Vec<_>>>();
                let of = |&(group, _): &(usize, String)| {
                    let log_count = |row: usize| f64::from(logits.row(row)[shape.values() + group]);
                    let alternative = mean(&mut alternatives.iter().map(|&(row, _)| log_count(row)));
                    let range = shape.of_groups().nth(group).unwrap_or(0..0);
                    let distance_of = |(&(row, _), common): (&(usize, Alignment), &Vec<_>)| {
                        let [one, other] = [reference, row].map(|row| &logits.row(row)[range.clone()]);
                        distance(one, other, shape.length, common)
                    };
                    ProfileEffect {
                        log_counts: Pair { reference: log_count(reference), alternative },
                        distance: common
                            .as_ref()
                            .map(|common| mean(&mut alternatives.iter().zip(common).map(distance_of))),
                    }
                };
                Ok(Effect::Profiles(compared.groups.iter().map(of).collect()))
            }
        }
    }

    /// What is written for each allele.
    pub fn fields(&self) -> Vec<Field> {
        match self {
            Self::Number(explained) => fields_of_number(explained),
            Self::Profiles(compared) => compared.fields(),
        }
    }

    /// The numbers of the fields; `None` for one that an allele lacks.
    pub fn values(&self, effect: &Effect) -> Vec<Option<f64>> {
        match (self, effect) {
            (Self::Number(explained), Effect::Number(pair)) => {
                let [reference, alternative] =
                    [pair.reference, pair.alternative].map(|number| explained.prediction(number));
                let log_odds = explained.is_probability().then(|| pair.change());
                vec![Some(reference), Some(alternative), Some(alternative - reference), log_odds]
            }
            (_, Effect::Profiles(groups)) => {
                let of = |group: &ProfileEffect| {
                    let Pair { reference, alternative } = group.log_counts;
                    [Some(reference), Some(alternative), Some(group.log2_fold_change()), group.distance]
                };
                groups.iter().flat_map(of).collect()
            }
            (Self::Profiles(_), Effect::Number(_)) => Vec::new(),
        }
    }

    /// The effect as it is ranked, of several groups the largest; `None` where it has no distance to be ranked by.
    pub fn ranked(&self, effect: &Effect) -> Option<Ranked> {
        match (self, effect) {
            (Self::Number(explained), Effect::Number(pair)) => {
                let [reference, alternative] =
                    [pair.reference, pair.alternative].map(|number| explained.prediction(number));
                Some(Ranked { effect: pair.change(), predictions: Pair { reference, alternative }, group: None })
            }
            (Self::Profiles(compared), Effect::Profiles(groups)) => {
                let size = |group: &ProfileEffect| {
                    if compared.by_profile { group.distance } else { Some(group.log2_fold_change()) }
                };
                let each = compared.groups.iter().zip(groups);
                let each = each.filter_map(|((_, name), group)| Some((size(group)?, name, group)));
                let (effect, name, group) = each.max_by(|one, other| one.0.abs().total_cmp(&other.0.abs()))?;
                Some(Ranked { effect, predictions: group.log_counts, group: Some((name.clone(), *group)) })
            }
            _ => None,
        }
    }
}

impl ComparedGroups {
    fn fields(&self) -> Vec<Field> {
        let mut taken: Vec<String> = Vec::new();
        let mut all = Vec::new();
        let with_bias = if self.with_bias { " with the bias model" } else { "" };
        for (_, name) in &self.groups {
            // As in `predict`, a name is added where there are several.
            let (mut info, mut column) = (String::new(), String::new());
            if self.groups.len() > 1 {
                column = format!("_{}", format::field(name));
                info = format!("_{}", info_name(name));
                let base = info.clone();
                let mut copy = 1;
                while taken.contains(&info) {
                    copy += 1;
                    info = format!("{base}_{copy}");
                }
                taken.push(info.clone());
            }
            let name = name.replace(['"', '\\'], "_");
            let log_counts =
                format!("Log counts of {name}{with_bias}, the natural logarithm of 1 + counts, predicted for");
            let mut field = |id: &str, own: &str, description: String| {
                all.push(Field { column: format!("{own}{column}"), info: Some((format!("{id}{info}"), description)) });
            };
            field(
                "REF",
                "log_counts_ref",
                format!("{log_counts} the reference in the context of each alternative allele"),
            );
            field("ALT", "log_counts_alt", format!("{log_counts} each alternative allele in its context"));
            field(
                "LOG2FC",
                "log2_fold_change",
                format!(
                    "Logarithm to base 2 of 1 + counts of {name}{with_bias} for the alternative allele over 1 + counts for the reference"
                ),
            );
            field(
                "JSD",
                "profile_jsd",
                format!(
                    "Jensen-Shannon distance of the profiles of {name}{with_bias} over the bases that both alleles have, the square root of the divergence in nats"
                ),
            );
        }
        all
    }
}

fn fields_of_number(explained: &Explained) -> Vec<Field> {
    let what = if explained.is_probability() { "Probability" } else { "Value" };
    let name = explained.name.replace(['"', '\\'], "_");
    let field = |column: &str, id: &str, description: String| Field {
        column: column.to_owned(),
        info: Some((id.to_owned(), description)),
    };
    let mut fields = vec![
        field(
            "score_ref",
            "REF",
            format!("{what} of {name} for the reference in the context of each alternative allele"),
        ),
        field("score_alt", "ALT", format!("{what} of {name} for each alternative allele in its context")),
        field("difference", "DIFF", "STRANDNET_ALT less STRANDNET_REF".into()),
        field(
            "log_odds",
            "LOGODDS",
            format!("Log-odds of {name} for the alternative allele less that for the reference"),
        ),
    ];
    if !explained.is_probability() {
        fields[3].info = None;
    }
    fields
}

/// A name as part of that of an INFO field, which is of letters, digits, underscores and dots (section 1.6.1).
fn info_name(name: &str) -> String {
    let is_kept = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '.';
    name.chars().map(|letter| if is_kept(letter) { letter } else { '_' }).collect()
}

/// Logits of windows, row by row as they come out of a network.
#[derive(Clone, Copy, Debug)]
pub struct Logits<'a> {
    /// `[n, numbers]`
    pub values: &'a [f32],
    /// Numbers in a row.
    pub numbers: usize,
    /// Length of a window, in bp.
    pub length: usize,
}

impl Logits<'_> {
    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.numbers..(row + 1) * self.numbers]
    }
}

/// Jensen-Shannon distance of the profiles of a group, whose tracks have `length` logits each, over pairs of positions: the softmax of
/// either is over these positions of all its tracks.
fn distance(one: &[f32], other: &[f32], length: usize, common: &[(usize, usize)]) -> f64 {
    let shares = |logits: &[f32], position: fn(&(usize, usize)) -> usize| -> Vec<f64> {
        let of_track = |track: &[f32]| common.iter().map(|pair| f64::from(track[position(pair)])).collect::<Vec<_>>();
        let logits: Vec<f64> = logits.chunks(length).flat_map(of_track).collect();
        log_softmax(&logits).into_iter().map(f64::exp).collect()
    };
    jensen_shannon_distance(&shares(one, |pair| pair.0), &shares(other, |pair| pair.1))
}
