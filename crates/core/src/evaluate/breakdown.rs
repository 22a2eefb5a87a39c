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

/// Edges of the groups of similarity to the nearest training sequence: shares of 12-mers in common.
const SIMILARITY_EDGES: [f64; 7] = [0.0, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0];

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
    /// By similarity to the nearest training sequence, where that was measured.
    pub by_similarity: Vec<Group>,
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
        let measure = |name: String, range, chosen, wanted: &[&str]| {
            measure((task, examples, predictions), (name, range), chosen, wanted, report)
        };
        let wanted = wanted(task.kind);
        let by_share = |shares: &[f64], edges: &[f64]| -> Vec<Group> {
            let bins = edges.windows(2).enumerate();
            bins.filter_map(|(bin, edge)| {
                let last = bin + 2 == edges.len();
                measure(name_of(edge), Some(edge[0]..edge[1]), chosen_between(shares, edge, last), wanted)
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
            by_similarity: Vec::new(),
            by_class,
        })
    }

    /// Groups of examples by how similar each is to the nearest training sequence, `[n]` from 0 to 1.
    pub fn by_similarity(
        task: &Task,
        examples: &Examples,
        predictions: &[f64],
        similarity: &[f64],
        report: &Measure,
    ) -> Vec<Group> {
        let bins = SIMILARITY_EDGES.windows(2).enumerate();
        bins.filter_map(|(bin, edge)| {
            let chosen = chosen_between(similarity, edge, bin + 2 == SIMILARITY_EDGES.len());
            let named = (name_of(edge), Some(edge[0]..edge[1]));
            measure((task, examples, predictions), named, chosen, wanted(task.kind), report)
        })
        .collect()
    }
}

/// Metrics of groups by name.
fn wanted(kind: TaskKind) -> &'static [&'static str] {
    match kind {
        TaskKind::Binary => &["auroc", "accuracy"],
        TaskKind::Multiclass => &["macro_auroc", "accuracy"],
        TaskKind::Multilabel => &["macro_auroc", "accuracy_at_half"],
        TaskKind::Regression | TaskKind::Profile => &["pearson", "rmse"],
    }
}

fn name_of(edge: &[f64]) -> String {
    format!("{:.0} to {:.0} %", edge[0] * 100.0, edge[1] * 100.0)
}

/// The examples whose share lies between two edges, or at the upper one if it is the last.
fn chosen_between(shares: &[f64], edge: &[f64], is_last: bool) -> Vec<usize> {
    let holds = |share: f64| share >= edge[0] && (share < edge[1] || is_last);
    (0..shares.len()).filter(|&i| holds(shares[i])).collect()
}

fn measure(
    (task, examples, predictions): (&Task, &Examples, &[f64]),
    (name, range): (String, Option<Range<f64>>),
    chosen: Vec<usize>,
    wanted: &[&str],
    report: &Measure,
) -> Option<Group> {
    if chosen.is_empty() {
        return None;
    }
    let outputs = task.outputs();
    let found: Vec<f64> = chosen.iter().flat_map(|&i| &predictions[i * outputs..(i + 1) * outputs]).copied().collect();
    let report = report(&examples.labels_at(&chosen), &chosen, &found);
    let metrics = report.metrics.into_iter().filter(|(name, _)| wanted.contains(name)).collect();
    Some(Group { name, range, n: chosen.len(), metrics })
}
