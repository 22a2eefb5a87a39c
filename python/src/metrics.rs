//! Metrics of arrays, with their intervals.

use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use strandnet_core::metrics::blocks::BlockKind;
use strandnet_core::metrics::{self, Blocks, Ranking, Report, Resampling};

use crate::errors::refused;
use crate::threads;

/// A metric: its value, and its 95 % interval from low to high with the method that it comes from. Without an interval low, high and
/// method are None, and reason says why. float() gives the value, which is NaN where the metric is undefined.
#[pyclass(frozen, get_all, module = "strandnet")]
#[derive(Clone)]
pub struct Estimate {
    value: f64,
    low: Option<f64>,
    high: Option<f64>,
    method: Option<&'static str>,
    reason: Option<String>,
}

#[pymethods]
impl Estimate {
    fn __float__(&self) -> f64 {
        self.value
    }

    fn __repr__(&self) -> String {
        match (self.low, self.high) {
            (Some(low), Some(high)) => format!("Estimate({:.4}, {low:.4} to {high:.4})", self.value),
            _ => format!("Estimate({:.4})", self.value),
        }
    }
}

impl Estimate {
    fn of(found: Option<metrics::Estimate>) -> Self {
        let none = Self { value: f64::NAN, low: None, high: None, method: None, reason: None };
        let Some(found) = found else { return Self { reason: Some("it is undefined".into()), ..none } };
        match found.interval {
            Ok(interval) => Self {
                value: found.value,
                low: Some(interval.low),
                high: Some(interval.high),
                method: Some(interval.method.name()),
                reason: None,
            },
            Err(why) => Self { value: found.value, reason: Some(why.to_string()), ..none },
        }
    }
}

/// The blocks of examples, and whether intervals are wanted at all: of a single block there are none, and nothing is resampled.
fn blocks_of(n: usize, blocks: Option<Vec<i64>>, intervals: bool) -> PyResult<Blocks> {
    match blocks {
        Some(given) if given.len() != n => Err(refused(format!(
            "blocks has {} entries, expected {n}, one for each example; give as many",
            given.len()
        ))),
        _ if !intervals => Ok(Blocks::of_keys((0..n).map(|_| Some(0)), BlockKind::NearCopies)),
        Some(given) => Ok(Blocks::of_keys(given.into_iter().map(Some), BlockKind::NearCopies)),
        None => Ok(Blocks::each(n)),
    }
}

/// The report of examples with blocks and a seed, as a dict of estimates.
fn reported<'py>(
    py: Python<'py>,
    n: usize,
    (blocks, seed, intervals): (Option<Vec<i64>>, u64, bool),
    report: impl Fn(&Resampling) -> Report + Send + Sync,
) -> PyResult<Bound<'py, PyDict>> {
    let blocks = blocks_of(n, blocks, intervals)?;
    let report = threads::interruptible(py, |_| report(&Resampling { blocks: &blocks, seed }))?;
    into_dict(py, &report, intervals)
}

fn into_dict<'py>(py: Python<'py>, report: &Report, intervals: bool) -> PyResult<Bound<'py, PyDict>> {
    let of = |metrics: &[(&'static str, Option<metrics::Estimate>)]| {
        let found = PyDict::new(py);
        for (name, estimate) in metrics {
            let mut estimate = Estimate::of(*estimate);
            if !intervals && estimate.reason.is_some() && !estimate.value.is_nan() {
                estimate.reason = Some("no interval was asked for".into());
            }
            found.set_item(name, estimate)?;
        }
        PyResult::Ok(found)
    };
    let found = of(&report.metrics)?;
    if !report.parts.is_empty() {
        let parts = PyDict::new(py);
        report.parts.iter().try_for_each(|part| parts.set_item(&part.name, of(&part.metrics)?))?;
        found.set_item("classes", parts)?;
    }
    Ok(found)
}

fn check_scores(scores: &[f64]) -> PyResult<()> {
    match scores.iter().position(|score| !score.is_finite()) {
        Some(at) => Err(refused(format!("score {at} is {}, expected a finite number; leave it out", scores[at]))),
        None => Ok(()),
    }
}

fn same_shape(labels: &[usize], scores: &[usize]) -> PyResult<()> {
    if labels == scores {
        return Ok(());
    }
    Err(refused(format!("labels have shape {labels:?} and scores {scores:?}, expected the same; give as many")))
}

/// binary(labels, scores, threshold=0.5, blocks=None, seed=1, intervals=True)
/// --
///
/// Metrics of two classes: labels of 0 and 1 and probabilities of 1, both [n]. See strandnet.metrics.
#[pyfunction]
#[pyo3(signature = (labels, scores, threshold = 0.5, blocks = None, seed = 1, intervals = true))]
pub fn binary<'py>(
    py: Python<'py>,
    labels: PyReadonlyArray1<'py, bool>,
    scores: PyReadonlyArray1<'py, f64>,
    threshold: f64,
    blocks: Option<Vec<i64>>,
    seed: u64,
    intervals: bool,
) -> PyResult<Bound<'py, PyDict>> {
    same_shape(labels.shape(), scores.shape())?;
    let (labels, scores) = (labels.as_slice()?, scores.as_slice()?);
    check_scores(scores)?;
    reported(py, labels.len(), (blocks, seed, intervals), |resampling| {
        Ranking::new(labels, scores).report(threshold, resampling)
    })
}

/// multiclass(labels, scores, names, blocks=None, seed=1, intervals=True)
/// --
///
/// Metrics of several classes: numbers of classes [n] and probabilities [n, classes]. See strandnet.metrics.
#[pyfunction]
#[pyo3(signature = (labels, scores, names, blocks = None, seed = 1, intervals = true))]
pub fn multiclass<'py>(
    py: Python<'py>,
    labels: PyReadonlyArray1<'py, i64>,
    scores: PyReadonlyArray2<'py, f64>,
    names: Vec<String>,
    blocks: Option<Vec<i64>>,
    seed: u64,
    intervals: bool,
) -> PyResult<Bound<'py, PyDict>> {
    same_shape(&[labels.len(), names.len()], scores.shape())?;
    let of = |&label: &i64| {
        usize::try_from(label).ok().filter(|&label| label < names.len()).ok_or_else(|| {
            refused(format!(
                "labels hold {label}, expected numbers of classes from 0 to {}; correct it",
                names.len() - 1
            ))
        })
    };
    let labels: Vec<usize> = labels.as_slice()?.iter().map(of).collect::<PyResult<_>>()?;
    let scores = scores.as_slice()?;
    check_scores(scores)?;
    reported(py, labels.len(), (blocks, seed, intervals), |resampling| {
        metrics::classes::report(&labels, scores, &names, resampling)
    })
}

/// multilabel(labels, scores, names, blocks=None, seed=1, intervals=True)
/// --
///
/// Metrics of several labels: 0, 1 or NaN, and probabilities, both [n, labels]. See strandnet.metrics.
#[pyfunction]
#[pyo3(signature = (labels, scores, names, blocks = None, seed = 1, intervals = true))]
pub fn multilabel<'py>(
    py: Python<'py>,
    labels: PyReadonlyArray2<'py, f64>,
    scores: PyReadonlyArray2<'py, f64>,
    names: Vec<String>,
    blocks: Option<Vec<i64>>,
    seed: u64,
    intervals: bool,
) -> PyResult<Bound<'py, PyDict>> {
    same_shape(labels.shape(), scores.shape())?;
    let n = labels.shape()[0];
    let of = |&label: &f64| match label {
        1.0 => Ok(Some(true)),
        0.0 => Ok(Some(false)),
        label if label.is_nan() => Ok(None),
        label => Err(refused(format!("labels hold {label}, expected 0, 1 or NaN; correct it"))),
    };
    let labels: Vec<Option<bool>> = labels.as_slice()?.iter().map(of).collect::<PyResult<_>>()?;
    let scores = scores.as_slice()?;
    check_scores(scores)?;
    reported(py, n, (blocks, seed, intervals), |resampling| {
        metrics::labels::report(&labels, scores, &names, resampling)
    })
}

/// regression(values, predictions, names, blocks=None, seed=1, intervals=True)
/// --
///
/// Metrics of values, NaN where one is missing, and predictions, both [n, columns]. See strandnet.metrics.
#[pyfunction]
#[pyo3(signature = (values, predictions, names, blocks = None, seed = 1, intervals = true))]
pub fn regression<'py>(
    py: Python<'py>,
    values: PyReadonlyArray2<'py, f64>,
    predictions: PyReadonlyArray2<'py, f64>,
    names: Vec<String>,
    blocks: Option<Vec<i64>>,
    seed: u64,
    intervals: bool,
) -> PyResult<Bound<'py, PyDict>> {
    same_shape(values.shape(), predictions.shape())?;
    let n = values.shape()[0];
    let (values, predictions) = (values.as_slice()?, predictions.as_slice()?);
    check_scores(predictions)?;
    if values.iter().any(|value| value.is_infinite()) {
        return Err(refused(
            "values hold infinity, expected finite numbers, or NaN where one is missing; leave it out",
        ));
    }
    reported(py, n, (blocks, seed, intervals), |resampling| {
        metrics::regression::report(values, predictions, &names, resampling)
    })
}
