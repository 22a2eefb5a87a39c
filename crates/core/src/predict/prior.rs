//! The prior that the scores of a run are made for: recorded by the run, or for runs of earlier versions the shares of its
//! training examples.

use anyhow::Result;

use crate::config::{ClassShares, TaskKind};
use crate::dataset::manifest;
use crate::dataset::split::Split;
use crate::evaluate::calibration::{shares_of_counts, weighted_shares};
use crate::run::{EXAMPLES_TSV, Provenance, RunFolder};
use crate::task::Task;
use crate::task::calibration::Calibration;

/// The prior of each output; `None` for values, and for runs of earlier versions that do not list their training examples.
///
/// # Errors
/// The listing of examples cannot be read.
pub fn of_run(run: &RunFolder, provenance: &Provenance) -> Result<Option<Vec<f64>>> {
    let task = provenance.task()?;
    if task.kind.predicts_values() {
        return Ok(None);
    }
    if !task.calibration.prior.is_empty() {
        return Ok(Some(task.calibration.prior.clone()));
    }
    let path = run.file(EXAMPLES_TSV);
    if provenance.config.data.resample || !path.is_file() {
        return Ok(None);
    }
    let names = &provenance.classes;
    // Of a class, its examples; of a label, its positives and negatives.
    let mut counts = vec![[0.0f64; 2]; names.len()];
    manifest::labels(&path, |split, label| {
        if split != Split::Train {
            return;
        }
        if task.kind == TaskKind::Multilabel {
            for (name, value) in manifest::pairs(label).unwrap_or_default() {
                if let Some(place) = names.iter().position(|own| own == name).filter(|_| !value.is_nan()) {
                    counts[place][usize::from(value != 1.0)] += 1.0;
                }
            }
        } else if let Some(place) = names.iter().position(|own| own == label) {
            counts[place][0] += 1.0;
        }
    })?;
    if counts.iter().flatten().sum::<f64>() == 0.0 {
        return Ok(None);
    }
    let shares = if task.kind == TaskKind::Multilabel {
        counts.iter().map(|counts| shares_of_counts(counts)[0]).collect()
    } else {
        shares_of_counts(&counts.iter().map(|counts| counts[0]).collect::<Vec<_>>())
    };
    Ok(Some(weighted_shares(task, &shares)))
}

/// The task of a run whose scores are made for the shares of this sample, `--prior`, or for the run's own; with a warning
/// where the run does not say which those are.
///
/// # Errors
/// The shares do not fit the run, or it does not say what prior its scores are made for.
pub fn task_for(run: &RunFolder, provenance: &Provenance, sample: Option<&ClassShares>) -> Result<Task> {
    let task = provenance.task()?;
    let classes = provenance.classes()?;
    let to = sample
        .map(|sample| sample.of_outputs("--prior", task.kind, &classes.names, classes.positive))
        .transpose()
        .map_err(|fault| anyhow::anyhow!(fault))?;
    let from = of_run(run, provenance)?;
    let calibration = match (from, to) {
        (Some(from), Some(to)) => task.calibration.moved(task.kind, &from, &to),
        (Some(from), None) => Calibration { prior: from, ..task.calibration.clone() },
        (None, Some(_)) => anyhow::bail!(
            "{}: was trained by strandnet {}, which recorded neither the prior of its scores nor its training examples, so --prior cannot move them; train again or remove --prior",
            run.path.display(),
            provenance.version
        ),
        (None, None) => task.calibration.clone(),
    };
    Ok(Task { calibration, ..task.clone() })
}
