//! Trained models: scores, attributions and effects of variants, computed on the CPU without libtorch.

use std::path::PathBuf;

use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use strandnet_core::attribute::gradients;
use strandnet_core::attribute::mutagenesis;
use strandnet_core::attribute::target::{Explained, Explainer};
use strandnet_core::attribute::variant_target::VariantTarget;
use strandnet_core::attribute::variant_windows::Contexts;
use strandnet_core::attribute::variants::{self, Networks, Scores};
use strandnet_core::commands::WithBias;
use strandnet_core::commands::backend::open_ensemble;
use strandnet_core::config::{AttributionBaseline, TaskKind};
use strandnet_core::dataset::Classes;
use strandnet_core::evaluate;
use strandnet_core::evaluate::results::threshold_of;
use strandnet_core::formats::vcf::{self, Content, Line, Vcf};
use strandnet_core::network::inference::Ensemble;
use strandnet_core::predict::unknown_limit::UnknownLimit;
use strandnet_core::run::Provenance;
use strandnet_core::scorer::Scorer;
use strandnet_core::task::Task;

use crate::arrays::codes_of;
use crate::errors::{raised, refused};
use crate::threads;

/// Batches that are scored between two looks for Ctrl-C.
const BATCHES: usize = 8;

/// A trained model: the network of a finished run, or an ensemble. Made by strandnet.load().
#[pyclass(frozen, module = "strandnet")]
pub struct Model {
    ensemble: Ensemble,
    task: Task,
    classes_: Classes,
    threshold_: Option<f64>,
    provenance: Provenance,
    run: PathBuf,
    with_bias: bool,
}

/// load(run, with_bias=False)
/// --
///
/// Opens a finished run, or the networks of a finished cross-validation as one ensemble.
///
/// with_bias adds the bias model of a run of --task profile to what it predicts.
///
/// Raises OSError where a file is missing and ValueError where one is damaged or the run did not finish.
#[pyfunction]
#[pyo3(signature = (run, with_bias = false))]
pub fn load(py: Python, run: PathBuf, with_bias: bool) -> PyResult<Model> {
    let path = run.clone();
    let open = move || {
        let (folder, provenance, ensemble) = open_ensemble(&path, WithBias::asked(with_bias))?;
        let task = provenance.task()?.clone();
        let (classes_, threshold_) = (provenance.classes()?, threshold_of(&folder, &task)?);
        anyhow::Ok((ensemble, task, classes_, threshold_, provenance))
    };
    let (ensemble, task, classes_, threshold_, provenance) = threads::load(py, open)?.map_err(raised)?;
    Ok(Model { ensemble, task, classes_, threshold_, provenance, run, with_bias })
}

#[pymethods]
impl Model {
    /// Bases that a sequence must have.
    #[getter]
    fn length(&self) -> usize {
        self.ensemble.length()
    }

    /// The folder that it was loaded from.
    #[getter]
    fn run(&self) -> PathBuf {
        self.run.clone()
    }

    /// Names of the classes, labels or columns.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.classes_.names.clone()
    }

    /// Of two classes, the name of the one whose probability is predicted; None for other tasks.
    #[getter]
    fn positive(&self) -> Option<&str> {
        (self.task.kind == TaskKind::Binary).then(|| self.classes_.positive_name())
    }

    /// Of two classes, the score from which on a sequence counts as positive, chosen on the validation split; None for other tasks.
    #[getter]
    fn threshold(&self) -> Option<f64> {
        self.threshold_
    }

    /// "binary", "multiclass", "multilabel", "regression" or "profile".
    #[getter]
    fn task(&self) -> &'static str {
        name_of_task(self.task.kind)
    }

    /// What each output is: the positive class, or classes, labels or columns.
    #[getter]
    fn output_names(&self) -> Vec<String> {
        match self.task.kind {
            TaskKind::Binary => vec![self.classes_.positive_name().to_owned()],
            _ => self.classes_.names.clone(),
        }
    }

    /// predict(sequences)
    /// --
    ///
    /// Scores sequences as `strandnet predict` does: probabilities, calibrated where the run is, or values.
    ///
    /// sequences is a list of str or bytes of `length` bases, codes u8 [n, length], or one-hot f32 [n, 4, length].
    ///
    /// Returns f64 [n] for one output and [n, outputs] for several; for the task "profile" a tuple of profile logits f64
    /// [n, tracks, profile length] and log counts f64 [n, groups], as the exported TorchScript does.
    ///
    /// Raises ValueError where a sequence has another length or holds what is no base.
    fn predict<'py>(&self, py: Python<'py>, sequences: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let length = self.length();
        let codes = codes_of(sequences, length)?;
        let (n, mut logits) = (codes.len() / length, Vec::new());
        for batch in codes.chunks(BATCHES * evaluate::batch_size(length) * length) {
            let scored = threads::compute(py, || evaluate::logits_of_codes(&self.ensemble, batch))?;
            logits.extend(scored.map_err(raised)?);
            py.check_signals()?;
        }
        if let Some(profile) = &self.task.profile {
            let (shape, each) = (&profile.shape, self.task.activate_each(&logits).map_err(raised)?);
            let (mut profiles, mut counts) = (Vec::new(), Vec::new());
            for row in each.chunks(shape.outputs()) {
                profiles.extend_from_slice(&row[..shape.values()]);
                counts.extend_from_slice(&row[shape.values()..]);
            }
            let profiles = PyArray1::from_vec(py, profiles).reshape([n, shape.all_tracks(), shape.length])?;
            let counts = PyArray1::from_vec(py, counts).reshape([n, shape.groups()])?;
            return Ok((profiles, counts).into_pyobject(py)?.into_any());
        }
        let values = PyArray1::from_vec(py, self.task.activate(&logits).map_err(raised)?);
        match self.task.outputs() {
            1 => Ok(values.into_any()),
            outputs => Ok(values.reshape([n, outputs])?.into_any()),
        }
    }

    /// attribute(sequences, method="ism", of=None, baseline="zeros", steps=64, seed=1)
    /// --
    ///
    /// How much each base of each sequence adds to the log-odds of a class or label, or to a value.
    ///
    /// method is "ism" (the target of each substitution minus that of the sequence, 0 for the base itself), "saliency" (gradient
    /// times input) or "ig" (integrated gradients from `baseline`, "zeros" or "shuffles", in `steps` steps or more, with `seed` for
    /// shuffles). of names a class, label or column, of profiles also NAME:profile, and may be left out where there is one output.
    ///
    /// Returns f32 [n, 4, length], rows A, C, G and T.
    ///
    /// Raises ValueError for another method or name, and as predict does.
    #[pyo3(signature = (sequences, method = "ism", of = None, baseline = "zeros", steps = 64, seed = 1))]
    #[allow(clippy::too_many_arguments)] // They are those of Python.
    fn attribute<'py>(
        &self,
        py: Python<'py>,
        sequences: &Bound<'py, PyAny>,
        method: &str,
        of: Option<&str>,
        baseline: &str,
        steps: usize,
        seed: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let baseline = match baseline {
            "shuffles" => AttributionBaseline::Shuffles,
            "zeros" => AttributionBaseline::Zeros,
            other => return Err(refused(format!("baseline is '{other}', expected shuffles or zeros; correct it"))),
        };
        if !(1..=MOST_STEPS).contains(&steps) {
            return Err(refused(format!("steps is {steps}, expected 1 to {MOST_STEPS}; correct it")));
        }
        if !matches!(method, "ism" | "saliency" | "ig") {
            return Err(refused(format!("method is '{method}', expected ism, saliency or ig; correct it")));
        }
        self.check_name(of, true)?;
        let explained = Explained::new(&self.task, &self.classes_, of).map_err(raised)?.with_bias(self.with_bias);
        let length = self.length();
        let codes = codes_of(sequences, length)?;
        let path = gradients::Path { baseline, steps, seed };
        let explainer = |scorer| Explainer { scorer, explained: &explained };
        let mut found = Vec::with_capacity(4 * codes.len());
        for (i, codes) in codes.chunks(length).enumerate() {
            let one = threads::compute(py, || {
                let explainer = explainer(&self.ensemble);
                match method {
                    "ism" => {
                        let score = explainer.score(codes)?.into_iter().sum();
                        mutagenesis::changes(&explainer, codes, score)
                    }
                    "saliency" => gradients::saliency_times_input(&explainer, codes),
                    _ => Ok(path.integrate(&explainer, codes, 0..length, i as u64)?.attributions),
                }
            })?;
            found.extend(one.map_err(raised)?);
            py.check_signals()?;
        }
        Ok(PyArray1::from_vec(py, found).reshape([codes.len() / length, 4, length])?.into_any())
    }

    /// score_variants(vcf, reference, of=None, max_n=None)
    /// --
    ///
    /// Scores both alleles of each variant of a VCF file in their genomic context, as `strandnet explain variants` does.
    ///
    /// reference is the FASTA file of the genome. of names a class, label or column and may be left out where there is one output.
    /// max_n is how many unknown bases a window may hold; left out, as many as in training.
    ///
    /// Returns a dict of columns with one entry for each alternative allele, as in the table of `explain variants --format tsv`:
    /// chrom, id, ref, alt and status are lists of str, start and end (0-based, half-open; -1 in lines that are no variants) int64 [n],
    /// and the numbers f64 [n], NaN where an allele is not scored; status is "scored" or says why not. pandas.DataFrame() takes it.
    ///
    /// Raises OSError where a file cannot be read and ValueError where one is damaged or nothing in it fits the genome.
    #[pyo3(signature = (vcf, reference, of = None, max_n = None))]
    fn score_variants<'py>(
        &self,
        py: Python<'py>,
        vcf: PathBuf,
        reference: PathBuf,
        of: Option<&str>,
        max_n: Option<usize>,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.check_name(of, self.task.profile.is_none())?;
        let target = VariantTarget::new(&self.task, &self.classes_, of, self.with_bias).map_err(raised)?;
        let table = threads::interruptible(py, |cancelled| {
            let mut table = Table::new(&target);
            let limit = UnknownLimit::for_windows(&self.provenance, max_n);
            let mut contexts = Contexts::open(&reference, self.provenance.length)?.with_limit(limit);
            let mut lines = Vcf::open(&vcf)?;
            let networks = Networks::Same(&self.ensemble);
            let counts = variants::score(networks, &target, &mut lines, &mut contexts, &mut |line, scores| {
                cancelled.check()?;
                table.push(line, scores);
                Ok(())
            })?;
            counts.check(&vcf, &contexts.genome)?;
            anyhow::Ok(table)
        })?;
        table.map_err(raised)?.into_dict(py)
    }

    fn __repr__(&self) -> String {
        format!(
            "Model('{}': {}, {} bp, outputs {})",
            self.run.display(),
            self.task(),
            self.length(),
            self.output_names().join(", ")
        )
    }

    /// Another process loads the run anew.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (PathBuf, bool))> {
        Ok((py.import("strandnet")?.getattr("load")?, (self.run.clone(), self.with_bias)))
    }
}

/// The most steps of a path, as `--steps` has it.
const MOST_STEPS: usize = 100_000;

impl Model {
    /// Checks the name of an output; `needed` says whether there must be one where there are several.
    fn check_name(&self, of: Option<&str>, needed: bool) -> PyResult<()> {
        let names = &self.classes_.names;
        let shown = || names.join(", ");
        match of.map(|of| if self.task.profile.is_some() { of.strip_suffix(":profile").unwrap_or(of) } else { of }) {
            Some(of) if !names.iter().any(|name| name == of) => {
                Err(refused(format!("of is '{of}', expected one of {}; correct the name", shown())))
            }
            None if needed && self.task.outputs() > 1 => Err(refused(format!(
                "the model has {} outputs, expected one of {} as `of`; name one",
                self.task.outputs(),
                shown()
            ))),
            _ => Ok(()),
        }
    }
}

/// The name of a task in settings.
pub fn name_of_task(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Binary => "binary",
        TaskKind::Multiclass => "multiclass",
        TaskKind::Multilabel => "multilabel",
        TaskKind::Regression => "regression",
        TaskKind::Profile => "profile",
    }
}

/// Scores of variants, column by column.
struct Table<'a> {
    target: &'a VariantTarget,
    names: Vec<String>,
    texts: [Vec<String>; 4],
    starts: Vec<i64>,
    ends: Vec<i64>,
    numbers: Vec<Vec<f64>>,
    status: Vec<&'static str>,
}

/// Names of the columns of text.
const TEXTS: [&str; 4] = ["chrom", "id", "ref", "alt"];

impl<'a> Table<'a> {
    fn new(target: &'a VariantTarget) -> Self {
        let names: Vec<String> = target.fields().into_iter().map(|field| field.column).collect();
        let numbers = vec![Vec::new(); names.len()];
        Self { target, names, texts: Default::default(), starts: vec![], ends: vec![], numbers, status: vec![] }
    }

    fn push(&mut self, line: &Line, scores: &Scores) {
        let columns = vcf::columns(&line.text);
        let column =
            |i: usize| String::from_utf8_lossy(columns.get(i).map_or(b"", |text| text.trim_ascii())).into_owned();
        let (start, end, alternatives) = match &line.content {
            Content::Comment => return,
            Content::Malformed(_) => (-1, -1, vec![column(4)]),
            Content::Variant(variant) => {
                // Position 0 of VCF is the one before the first base.
                let start = variant.start.map_or(-1, |start| start as i64);
                let texts: Vec<String> = variant.alternatives.iter().map(|(text, _)| text.trim().to_owned()).collect();
                let texts = if texts.is_empty() { vec![".".into()] } else { texts };
                (start, start + variant.reference.len() as i64, texts)
            }
        };
        for (alternative, score) in alternatives.into_iter().zip(scores) {
            let texts = [column(0), column(2), column(3), alternative];
            self.texts.iter_mut().zip(texts).for_each(|(all, text)| all.push(text));
            self.starts.push(start);
            self.ends.push(end);
            let values = match score {
                Ok(effect) => self.target.values(effect),
                Err(_) => vec![None; self.numbers.len()],
            };
            self.numbers.iter_mut().zip(values).for_each(|(all, value)| all.push(value.unwrap_or(f64::NAN)));
            self.status.push(score.as_ref().err().map_or("scored", |why| why.name()));
        }
    }

    fn into_dict(self, py: Python) -> PyResult<Bound<PyDict>> {
        let found = PyDict::new(py);
        let [chromosomes, ids, references, alternatives] = self.texts;
        found.set_item(TEXTS[0], PyList::new(py, chromosomes)?)?;
        found.set_item("start", PyArray1::from_vec(py, self.starts))?;
        found.set_item("end", PyArray1::from_vec(py, self.ends))?;
        for (name, texts) in TEXTS[1..].iter().zip([ids, references, alternatives]) {
            found.set_item(name, PyList::new(py, texts)?)?;
        }
        for (name, numbers) in self.names.into_iter().zip(self.numbers) {
            found.set_item(name, PyArray1::from_vec(py, numbers))?;
        }
        found.set_item("status", PyList::new(py, self.status)?)?;
        Ok(found)
    }
}
