//! The variants of a file with the largest effects, and the summary of a file that the report shows.

use serde::{Deserialize, Serialize};

use crate::attribute::variant_target::{Ranked, VariantTarget};
use crate::attribute::variants::Scores;
use crate::formats::vcf::{self, Content, Line};

/// Variants that are kept.
const MOST: usize = 20;

/// An allele with its effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrongVariant {
    /// CHROM, as the file spells it.
    pub chrom: String,
    /// POS, counted from 1.
    pub pos: usize,
    /// ID; `.` if there is none.
    pub id: String,
    /// The reference allele.
    pub reference: String,
    /// The alternative allele.
    pub alternative: String,
    /// Prediction for the reference allele.
    pub score_ref: f64,
    /// Prediction for the alternative allele.
    pub score_alt: f64,
    /// Change of the explained number: the log-odds, value or logarithm; of a profile its Jensen-Shannon distance.
    pub effect: f64,
    /// What is changed of a group of tracks, whose log counts are the predictions; only where profiles are predicted.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub profile: Option<StrongProfile>,
}

/// What an allele changes of a group of tracks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrongProfile {
    /// Name of the group.
    pub group: String,
    /// Logarithm to base 2 of the fold change of 1 + counts.
    pub log2_fold_change: f64,
    /// Jensen-Shannon distance of the profiles, if the alleles have bases enough in common.
    pub profile_jsd: Option<f64>,
}

/// What `variants.json` holds of a file, beside where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariantsSummary {
    /// Description of the explained number.
    pub explained: String,
    /// Records read.
    pub records: usize,
    /// Alternative alleles.
    pub alleles: usize,
    /// Alleles scored.
    pub scored: usize,
    /// Numbers left out for each reason; empty if all are scored.
    pub left_out: String,
    /// The largest effects, in order.
    pub strongest: Vec<StrongVariant>,
}

/// The largest effects so far.
#[derive(Debug, Default)]
pub struct Strongest(Vec<StrongVariant>);

impl Strongest {
    /// Looks at the scores of a line.
    pub fn add(&mut self, line: &Line, scores: &Scores, target: &VariantTarget) {
        let Content::Variant(variant) = &line.content else { return };
        let columns = vcf::columns(&line.text);
        let column = |i: usize| String::from_utf8_lossy(columns[i].trim_ascii()).into_owned();
        for ((alternative, _), score) in variant.alternatives.iter().zip(scores) {
            let Some(Ranked { effect, predictions, group }) = score.as_ref().ok().and_then(|own| target.ranked(own))
            else {
                continue;
            };
            let place = self.0.partition_point(|other| other.effect.abs() >= effect.abs());
            if place == MOST {
                continue;
            }
            self.0.insert(
                place,
                StrongVariant {
                    chrom: column(0),
                    pos: variant.start.map_or(0, |start| start + 1),
                    id: column(2),
                    reference: column(3),
                    alternative: alternative.trim().to_owned(),
                    score_ref: predictions.reference,
                    score_alt: predictions.alternative,
                    effect,
                    profile: group.map(|(group, changed)| StrongProfile {
                        group,
                        log2_fold_change: changed.log2_fold_change(),
                        profile_jsd: changed.distance,
                    }),
                },
            );
            self.0.truncate(MOST);
        }
    }

    /// The effects, largest first.
    pub fn into_list(self) -> Vec<StrongVariant> {
        self.0
    }
}
