//! Labelled examples of a split, in batches, from the settings of `train`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, Command, FromArgMatches};
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;
use strandnet_core::config::{Config, DataConfig, TaskKind};
use strandnet_core::dataset::batches::{Augmentation, Order, Share};
use strandnet_core::dataset::examples::{Examples as OfSplit, log_counts};
use strandnet_core::dataset::split::Split;
use strandnet_core::dataset::{self, Classes, LoadRequest, Resampler};
use strandnet_core::progress::Progress;

use crate::arrays;
use crate::errors::{raised, refused};
use crate::model::name_of_task;
use crate::threads;
use crate::windows::{self, Output, Source};

/// data_settings()
/// --
///
/// Names of the settings that Dataset takes.
#[pyfunction]
pub fn data_settings() -> Vec<String> {
    let names = DataConfig::augment_args(Command::new("data"));
    names.get_arguments().filter_map(|one| one.get_long()).map(|name| name.replace('-', "_")).collect()
}

/// The examples of a split; strandnet.Dataset goes through them.
#[pyclass(frozen, module = "strandnet._core")]
pub struct Examples {
    kind: TaskKind,
    classes: Classes,
    /// Those of the epoch that is gone through.
    examples: Mutex<Arc<OfSplit>>,
    resampler: Option<Mutex<Resampler>>,
}

/// Examples as windows to write.
struct Chosen<'a> {
    examples: &'a OfSplit,
    indices: &'a [usize],
}

impl Source for Chosen<'_> {
    fn in_memory(&self, _: usize) -> Option<(&[u8], bool)> {
        None
    }

    fn read(&self, window: usize, codes: &mut Vec<u8>) -> anyhow::Result<()> {
        let index = self.indices[window];
        self.examples.read_with_case(index..index + 1, codes)
    }
}

#[pymethods]
impl Examples {
    /// The split of the data that `flags` describe, over the settings of a TOML file.
    #[new]
    #[pyo3(signature = (config, flags, split, seed))]
    fn new(py: Python, config: Option<PathBuf>, flags: Vec<String>, split: &str, seed: u64) -> PyResult<Self> {
        let split = match split {
            "train" => Split::Train,
            "valid" => Split::Valid,
            "test" => Split::Test,
            other => return Err(refused(format!("split is '{other}', expected train, valid or test; correct it"))),
        };
        let resolved = resolve(config, &flags)?;
        let load = move || {
            let progress = Progress::quiet();
            dataset::load(&LoadRequest::new(&resolved.data, seed, &progress))
        };
        let data = threads::load(py, load)?.map_err(raised)?;
        let resampler = data.resampler.filter(|_| split == Split::Train).map(Mutex::new);
        let examples = match split {
            Split::Train => data.train,
            Split::Valid => data.valid,
            Split::Test => data.test,
        };
        let examples = Mutex::new(Arc::new(examples));
        Ok(Self { kind: data.kind, classes: data.classes, examples, resampler })
    }

    /// Draws the examples of an epoch, counted from 1, where each has its own.
    fn begin(&self, py: Python, epoch: u64) -> PyResult<()> {
        let Some(resampler) = &self.resampler else { return Ok(()) };
        let drawn = threads::interruptible(py, |_| {
            resampler.lock().unwrap_or_else(PoisonError::into_inner).draw(epoch.saturating_sub(1))
        })?;
        *self.examples.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(drawn.map_err(raised)?);
        Ok(())
    }

    /// Indices of the examples in the order of an epoch, int64 [n].
    fn order<'py>(&self, py: Python<'py>, seed: u64, epoch: usize) -> Bound<'py, PyArray1<i64>> {
        let order = Order { batch_size: 1, augmentation: Augmentation::default(), seed, epoch, share: Share::ALL };
        let n = self.get().len();
        let indices = py.detach(|| order.indices(n).into_iter().map(|index| index as i64).collect());
        PyArray1::from_vec(py, indices)
    }

    /// Sequences and labels of the examples of these indices.
    fn batch<'py>(
        &self,
        py: Python<'py>,
        indices: PyReadonlyArray1<'py, i64>,
        one_hot: bool,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let examples = self.get();
        let of = |&index: &i64| {
            usize::try_from(index).ok().filter(|&index| index < examples.len()).ok_or_else(|| {
                refused(format!("there is no example {index}, expected 0 to {}; correct it", examples.len().max(1) - 1))
            })
        };
        let indices: Vec<usize> = indices.as_slice()?.iter().map(of).collect::<PyResult<_>>()?;
        let (n, length) = (indices.len(), examples.length);
        let chosen = Chosen { examples: &examples, indices: &indices };
        let write = |output: Output| {
            let small = output.is_small();
            let write = || windows::write(&chosen, length, output);
            if small { py.detach(write) } else { threads::compute(py, write)? }.map_err(raised)
        };
        let sequences = if one_hot {
            let mut array = arrays::new(py, [n, 4, length]);
            write(Output::OneHot(arrays::to_write(&mut array)))?;
            array.into_any()
        } else {
            let mut array = arrays::new(py, [n, length]);
            write(Output::Codes(arrays::to_write(&mut array)))?;
            array.into_any()
        };
        Ok((sequences, self.labels(py, &examples, &indices)?))
    }

    /// Number of examples.
    fn __len__(&self) -> usize {
        self.get().len()
    }

    /// Length of each sequence, in bp.
    #[getter]
    fn length(&self) -> usize {
        self.get().length
    }

    /// Names of the classes, labels or columns.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.classes.names.clone()
    }

    /// Of two classes, the one whose label is 1.
    #[getter]
    fn positive(&self) -> Option<&str> {
        (self.kind == TaskKind::Binary).then(|| self.classes.positive_name())
    }

    /// The task that the labels ask for.
    #[getter]
    fn task(&self) -> &'static str {
        name_of_task(self.kind)
    }
}

impl Examples {
    fn get(&self) -> Arc<OfSplit> {
        self.examples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn labels<'py>(&self, py: Python<'py>, examples: &OfSplit, indices: &[usize]) -> PyResult<Bound<'py, PyAny>> {
        let n = indices.len();
        if let Some(profiles) = &examples.profiles {
            let shape = &profiles.shape;
            let counts: Vec<f32> = indices.iter().flat_map(|&i| profiles.counts_of(i)).copied().collect();
            let logs: Vec<f32> = indices.iter().flat_map(|&i| log_counts(shape, profiles.counts_of(i))).collect();
            let counts = PyArray1::from_vec(py, counts).reshape([n, shape.all_tracks(), shape.length])?;
            let logs = PyArray1::from_vec(py, logs).reshape([n, shape.groups()])?;
            return Ok((counts, logs).into_pyobject(py)?.into_any());
        }
        match self.kind {
            TaskKind::Binary => {
                let is_positive = |&i: &usize| f32::from(u8::from(examples.class_of(i) == self.classes.positive));
                Ok(PyArray1::from_vec(py, indices.iter().map(is_positive).collect()).into_any())
            }
            TaskKind::Multiclass => {
                let classes = indices.iter().map(|&i| examples.class_of(i) as i64).collect();
                Ok(PyArray1::from_vec(py, classes).into_any())
            }
            TaskKind::Multilabel | TaskKind::Regression | TaskKind::Profile => {
                let targets: Vec<f32> = indices.iter().flat_map(|&i| examples.targets_of(i)).copied().collect();
                let targets = PyArray1::from_vec(py, targets);
                match &examples.bins {
                    Some(bins) => Ok(targets.reshape([n, examples.width, bins.of_each.count])?.into_any()),
                    None => Ok(targets.reshape([n, examples.width])?.into_any()),
                }
            }
        }
    }
}

/// Settings as `train` takes them: flags over the file over the defaults.
fn resolve(config: Option<PathBuf>, flags: &[String]) -> PyResult<Config> {
    let command = Config::augment_args(Command::new("Dataset")).no_binary_name(true).disable_help_flag(true);
    let parsed =
        command.try_get_matches_from(flags).and_then(|matches| Ok((Config::from_arg_matches(&matches)?, matches)));
    let (given, matches) = parsed.map_err(|error| {
        let text = error.render().to_string();
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        refused(first)
    })?;
    Config::resolve(config.as_deref(), &given, &matches).map_err(|faults| raised(faults.into()))
}
