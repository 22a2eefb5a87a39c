//! The main metrics by GC content, by the share of soft-masked bases and by class.

use std::ops::Range;

use anyhow::Result;

use crate::config::TaskKind;
use crate::dataset::Classes;
use crate::dataset::examples::Examples;
use crate::metrics::{Estimate, Report};
use crate::task::Task;

/// Edges of the groups of GC content.
const GC_EDGES: [f64; 6] = [0.0, 0.3, 0.4, 0.5, 0.6, 1.0];

/// Edges of the groups of soft-masked share: almost none, some, most.
const REPEAT_EDGES: [f64; 5] = [0.0, 0.05, 0.5, 0.95, 1.0];

/// Evaluates some of the examples, of which it gets their places among all, and their predictions.
pub type Measure<'a> = dyn Fn(&Examples, &[usize], &[f64]) -> Report + 'a;

/// The metrics of some of the examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Name of the group.
    pub name: String,
    /// Range of the shares in the group; `None` for classes.
    pub range: Option<Range<f64>>,
    /// Number of examples.
    pub n: usize,
    /// Metrics by name; `None` is undefined.
    pub metrics: Vec<(&'static str, Option<Estimate>)>,
}

/// Groups of the same examples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Breakdown {
    /// By GC content.
    pub by_gc: Vec<Group>,
    /// By soft-masked share; empty if no base is soft-masked.
    pub by_repeats: Vec<Group>,
    /// By class, with the share predicted correctly at the threshold; binary tasks only, since reports of other tasks
    /// hold it.
    pub by_class: Vec<Group>,
}

impl Breakdown {
    /// Evaluates groups of examples with `report`.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub fn new(
        task: &Task,
        classes: &Classes,
        examples: &Examples,
        predictions: &[f64],
        report: &Measure,
    ) -> Result<Self> {
        let outputs = task.outputs();
        let measure = |name: String, range: Option<Range<f64>>, chosen: Vec<usize>, wanted: &[&str]| -> Option<Group> {
            if chosen.is_empty() {
                return None;
            }
            let found: Vec<f64> =
                chosen.iter().flat_map(|&i| &predictions[i * outputs..(i + 1) * outputs]).copied().collect();
            let report = report(&examples.labels_at(&chosen), &chosen, &found);
            let metrics = report.metrics.into_iter().filter(|(name, _)| wanted.contains(name)).collect();
            Some(Group { name, range, n: chosen.len(), metrics })
        };
        let wanted: &[&str] = match task.kind {
            TaskKind::Binary => &["auroc", "accuracy"],
            TaskKind::Multiclass => &["macro_auroc", "accuracy"],
            TaskKind::Multilabel => &["macro_auroc", "accuracy_at_half"],
            TaskKind::Regression | TaskKind::Profile => &["pearson", "rmse"],
        };
        let by_share = |shares: &[f64], edges: &[f64]| -> Vec<Group> {
            edges
                .windows(2)
                .enumerate()
                .filter_map(|(bin, edge)| {
                    let last = bin + 2 == edges.len();
                    let holds = |share: f64| share >= edge[0] && (share < edge[1] || last);
                    let chosen = (0..shares.len()).filter(|&i| holds(shares[i])).collect();
                    let name = format!("{:.0} to {:.0} %", edge[0] * 100.0, edge[1] * 100.0);
                    measure(name, Some(edge[0]..edge[1]), chosen, wanted)
                })
                .collect()
        };
        let masked: Vec<f64> = examples.origins.iter().map(|origin| f64::from(origin.masked)).collect();
        let case_is_known = masked.iter().any(|&share| share < 1.0) && masked.iter().any(|&share| share > 0.0);
        let by_class = if task.kind == TaskKind::Binary {
            let of_class = |class: usize| (0..examples.len()).filter(|&i| examples.class_of(i) == class).collect();
            let each = classes.names.iter().enumerate();
            each.filter_map(|(class, name)| measure(name.clone(), None, of_class(class), &["accuracy"])).collect()
        } else {
            Vec::new()
        };
        Ok(Self {
            by_gc: by_share(&examples.gc_shares()?, &GC_EDGES),
            by_repeats: if case_is_known { by_share(&masked, &REPEAT_EDGES) } else { Vec::new() },
            by_class,
        })
    }
}
