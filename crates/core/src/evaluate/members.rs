//! Mean and standard deviation of each metric over the members of an ensemble.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::dataset::Classes;
use crate::dataset::examples::Examples;
use crate::evaluate::calibration::Calibrator;
use crate::evaluate::results::named;
use crate::evaluate::{best_threshold, report};
use crate::metrics::Resampling;
use crate::scorer::Activation;
use crate::task::Task;

/// Mean and standard deviation over members of each metric that is defined for all of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Members {
    /// Number of members.
    #[serde(default)]
    pub n: usize,
    /// Metrics by name, in the order in which they are shown.
    #[serde(flatten, with = "named")]
    pub metrics: Vec<(String, Spread)>,
}

/// Mean and standard deviation of a metric over members.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean over members.
    pub mean: f64,
    /// Sample standard deviation, over n - 1.
    pub standard_deviation: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self { mean, standard_deviation: (squares / (n - 1.0).max(1.0)).sqrt() }
    }
}

impl Members {
    /// Evaluates each member on `test` on its own: with its own calibration by the `calibrator`, if there is one, and for
    /// binary tasks with its best threshold on `valid`. Logits are `[n, outputs]` for each member.
    ///
    /// # Errors
    /// Predictions are not finite.
    pub fn of(
        task: &Task,
        classes: &Classes,
        (valid, valid_logits): (&Examples, &[Vec<f32>]),
        (test, test_logits): (&Examples, &[Vec<f32>]),
        activation: Activation,
        calibrator: Option<&Calibrator>,
        resampling: &Resampling,
    ) -> Result<Self> {
        let mut reports = Vec::with_capacity(test_logits.len());
        for (valid_logits, test_logits) in valid_logits.iter().zip(test_logits) {
            let calibration = calibrator.map(|calibrator| calibrator.fit(valid_logits).0).unwrap_or_default();
            let own = Task { calibration, ..task.clone() };
            let threshold = best_threshold(&own, valid, &activation(&own, valid_logits)?);
            reports.push(report(&own, classes, test, &activation(&own, test_logits)?, threshold, resampling));
        }
        let names = reports.first().map_or(&[][..], |report| &report.metrics);
        let metrics = names.iter().filter_map(|(name, _)| {
            let values: Option<Vec<f64>> =
                reports.iter().map(|report| report.get(name).map(|estimate| estimate.value)).collect();
            Some(((*name).to_owned(), Spread::of(&values?)))
        });
        Ok(Self { n: reports.len(), metrics: metrics.collect() })
    }

    /// The spread of a metric by name.
    pub fn get(&self, name: &str) -> Option<Spread> {
        self.metrics.iter().find(|(own, _)| own == name).map(|(_, spread)| *spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClassWeights, TaskKind};
    use crate::metrics::Blocks;

    #[test]
    fn the_spread_is_that_of_the_members_alone() {
        let classes = Classes { names: vec!["a".into(), "b".into()], positive: 0 };
        let examples = Examples::from_codes(&[0; 8], 2, &[0.0, 0.0, 1.0, 1.0]);
        let task = Task::new(TaskKind::Binary, &classes, None, &ClassWeights::None, &examples).unwrap();
        // One member is right about all, the other about three pairs of four.
        let members = [vec![2.0, 1.0, -1.0, -2.0], vec![2.0, -1.0, 1.0, -2.0]];
        let alone = Resampling { blocks: &Blocks::each(4), seed: 1 };
        let found =
            Members::of(&task, &classes, (&examples, &members), (&examples, &members), Task::activate, None, &alone)
                .unwrap();
        let auroc = found.get("auroc").unwrap();
        assert_eq!(found.n, 2);
        assert!(
            (auroc.mean - 0.875).abs() < 1e-12 && (auroc.standard_deviation - 0.25 / 2f64.sqrt()).abs() < 1e-12,
            "{auroc:?}"
        );
    }
}
