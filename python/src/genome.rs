//! Genomes: windows of a FASTA file as arrays.

use std::collections::HashMap;
use std::path::PathBuf;

use numpy::{
    PyArray2, PyArray3, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray1, PyReadwriteArray2, PyReadwriteArray3,
    PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use strandnet_core::genome::Genome as Chromosomes;

use crate::arrays;
use crate::errors::{raised, refused};
use crate::threads;
use crate::windows::{self, Output, Source};

/// Genome(path, in_memory=True)
/// --
///
/// The chromosomes of a FASTA file, plain, gzip or BGZF.
///
/// With in_memory (one byte a base) windows are copied from memory; without, they are read from the file through its index, which is
/// made where there is none.
///
/// Raises OSError where the file cannot be read and ValueError where it is not FASTA.
#[pyclass(frozen, module = "strandnet")]
pub struct Genome {
    genome: Chromosomes,
    numbers: HashMap<String, usize>,
    path: PathBuf,
    in_memory: bool,
}

/// A chromosome for each window, or one for all.
enum Which {
    All(usize),
    Each(Vec<usize>),
}

/// Whether the other strand is wanted: of all windows alike, or of each.
enum Strands {
    All(bool),
    Each(Vec<bool>),
}

struct Windows<'a> {
    genome: &'a Chromosomes,
    /// Codes of each chromosome; none where they are on disk.
    codes: Vec<Option<&'a [u8]>>,
    which: Which,
    starts: &'a [i64],
    strands: Strands,
    length: usize,
}

impl Windows<'_> {
    fn place(&self, window: usize) -> (usize, usize, bool) {
        let chromosome = match &self.which {
            Which::All(chromosome) => *chromosome,
            Which::Each(each) => each[window],
        };
        (chromosome, self.starts[window] as usize, self.is_reverse(window))
    }

    fn is_reverse(&self, window: usize) -> bool {
        match &self.strands {
            Strands::All(reverse) => *reverse,
            Strands::Each(each) => each[window],
        }
    }

    /// Checks that every window lies in its chromosome.
    fn check(&self) -> PyResult<()> {
        let lengths: Vec<i64> = self.genome.chromosomes.iter().map(|one| one.length as i64).collect();
        let length = self.length as i64;
        for (window, &start) in self.starts.iter().enumerate() {
            let chromosome = match &self.which {
                Which::All(chromosome) => *chromosome,
                Which::Each(each) => each[window],
            };
            let end = lengths[chromosome];
            if start < 0 || length > end || start > end - length {
                return Err(refused(format!(
                    "window {window} is {}:{start}-{}, expected one within 0 to {end}; leave it out or move it",
                    self.genome.chromosomes[chromosome].name,
                    start.saturating_add(length)
                )));
            }
        }
        Ok(())
    }
}

impl Source for Windows<'_> {
    #[inline(always)]
    fn in_memory(&self, window: usize) -> Option<(&[u8], bool)> {
        let (chromosome, start, reverse) = self.place(window);
        self.codes[chromosome].map(|codes| (&codes[start..start + self.length], reverse))
    }

    fn read(&self, window: usize, codes: &mut Vec<u8>) -> anyhow::Result<()> {
        let (chromosome, start, reverse) = self.place(window);
        self.genome.read_strand(chromosome, start..start + self.length, reverse, codes)
    }
}

#[pymethods]
impl Genome {
    #[new]
    #[pyo3(signature = (path, in_memory = true))]
    fn new(py: Python, path: PathBuf, in_memory: bool) -> PyResult<Self> {
        let (memory, opened) = (if in_memory { u64::MAX } else { 0 }, path.clone());
        let genome = threads::load(py, move || Chromosomes::open(&opened, memory, &|_| true))?.map_err(raised)?;
        let numbers = genome.chromosomes.iter().enumerate().map(|(i, one)| (one.name.clone(), i)).collect();
        Ok(Self { genome, numbers, path, in_memory })
    }

    /// Names and lengths of the chromosomes, in bp, in the order of the file.
    #[getter]
    fn chromosomes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = PyDict::new(py);
        self.genome.chromosomes.iter().try_for_each(|one| found.set_item(&one.name, one.length))?;
        Ok(found)
    }

    /// Path of the file.
    #[getter]
    fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// windows(chrom, starts, length, strands="+", one_hot=False, out=None)
    /// --
    ///
    /// Windows of `length` bp, as codes u8 [n, length] (0 to 3 for A, C, G and T, 4 for an unknown base) or, with one_hot, as f32
    /// [n, 4, length], where an unknown base is a column of zeros.
    ///
    /// chrom is a name, or for each window a name or its number in `chromosomes` (an integer array is fastest). starts, in bp and
    /// 0-based, is an integer array [n]. strands is "+" or "-", or an array of 1 and -1, or a list of "+" and "-", [n]: windows of "-"
    /// are reverse complements. out is an array to write into, of the shape and type of the result.
    ///
    /// Raises ValueError where a window runs off its chromosome or a chromosome is unknown.
    #[pyo3(signature = (chrom, starts, length, strands = None, one_hot = false, out = None))]
    #[allow(clippy::too_many_arguments)] // They are those of Python.
    fn windows<'py>(
        &self,
        py: Python<'py>,
        chrom: &Bound<'py, PyAny>,
        starts: &Bound<'py, PyAny>,
        length: usize,
        strands: Option<&Bound<'py, PyAny>>,
        one_hot: bool,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let starts = integers(starts, "starts")?;
        let starts = starts.as_slice()?;
        let which = self.which(chrom, starts.len())?;
        let strands = strands.map_or(Ok(Strands::All(false)), |given| strands_of(given, starts.len()))?;
        let codes = (0..self.genome.chromosomes.len()).map(|chromosome| self.genome.codes(chromosome)).collect();
        let windows = Windows { genome: &self.genome, codes, which, starts, strands, length };
        windows.check()?;
        let n = starts.len();
        let write = |output: Output| {
            let small = output.is_small();
            let write = || windows::write(&windows, length, output);
            let written = if small { py.detach(write) } else { threads::compute(py, write)? };
            written.map_err(raised)
        };
        let unfit = |_| {
            let shape = if one_hot { format!("f32 [{n}, 4, {length}]") } else { format!("u8 [{n}, {length}]") };
            refused(format!("out does not fit, expected a contiguous {shape}; make it so or leave it out"))
        };
        match (out, one_hot) {
            (None, false) => {
                let mut array = arrays::new(py, [n, length]);
                write(Output::Codes(arrays::to_write(&mut array)))?;
                Ok(array.into_any())
            }
            (None, true) => {
                let mut array = arrays::new(py, [n, 4, length]);
                write(Output::OneHot(arrays::to_write(&mut array)))?;
                Ok(array.into_any())
            }
            (Some(out), false) => {
                let mut array = out.cast::<PyArray2<u8>>().map_err(|_| unfit(()))?.clone();
                let _borrowed: PyReadwriteArray2<u8> = array.try_readwrite().map_err(|_| unfit(()))?;
                if array.shape() != [n, length] || !array.is_c_contiguous() {
                    return Err(unfit(()));
                }
                write(Output::Codes(arrays::to_write(&mut array)))?;
                Ok(out.clone())
            }
            (Some(out), true) => {
                let mut array = out.cast::<PyArray3<f32>>().map_err(|_| unfit(()))?.clone();
                let _borrowed: PyReadwriteArray3<f32> = array.try_readwrite().map_err(|_| unfit(()))?;
                if array.shape() != [n, 4, length] || !array.is_c_contiguous() {
                    return Err(unfit(()));
                }
                write(Output::OneHot(arrays::to_write(&mut array)))?;
                Ok(out.clone())
            }
        }
    }

    fn __repr__(&self) -> String {
        let bases: usize = self.genome.chromosomes.iter().map(|one| one.length).sum();
        format!("Genome('{}': {} chromosomes, {bases} bp)", self.path.display(), self.genome.chromosomes.len())
    }

    /// Another process opens the file anew.
    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, pyo3::types::PyType>, (PathBuf, bool)) {
        (py.get_type::<Self>(), (self.path.clone(), self.in_memory))
    }
}

impl Genome {
    fn number(&self, name: &str) -> PyResult<usize> {
        self.numbers.get(name).copied().ok_or_else(|| {
            let first: Vec<&str> = self.genome.chromosomes.iter().take(5).map(|one| one.name.as_str()).collect();
            refused(format!(
                "{}: has no chromosome '{name}', expected one such as {}; correct the name",
                self.path.display(),
                first.join(", ")
            ))
        })
    }

    fn which(&self, chrom: &Bound<PyAny>, n: usize) -> PyResult<Which> {
        if let Ok(name) = chrom.cast::<PyString>() {
            return self.number(&name.to_cow()?).map(Which::All);
        }
        let is_number = chrom.cast::<PyUntypedArray>().is_ok_and(|array| matches!(array.dtype().kind(), b'i' | b'u'));
        let each: Vec<usize> = if is_number {
            let count = self.genome.chromosomes.len();
            let of = |&number: &i64| {
                usize::try_from(number).ok().filter(|&number| number < count).ok_or_else(|| {
                    refused(format!("chrom holds {number}, expected numbers from 0 to {}; correct it", count - 1))
                })
            };
            integers(chrom, "chrom")?.as_slice()?.iter().map(of).collect::<PyResult<_>>()?
        } else {
            let of = |name: PyResult<Bound<PyAny>>| self.number(&name?.extract::<String>()?);
            chrom.try_iter()?.map(of).collect::<PyResult<_>>()?
        };
        same_count("chrom", each.len(), n)?;
        Ok(Which::Each(each))
    }
}

fn same_count(what: &str, found: usize, n: usize) -> PyResult<()> {
    if found == n {
        return Ok(());
    }
    Err(refused(format!("{what} has {found} entries and starts has {n}, expected one for each window; give as many")))
}

/// Whole numbers, as i64 one behind the other.
fn integers<'py>(given: &Bound<'py, PyAny>, what: &str) -> PyResult<PyReadonlyArray1<'py, i64>> {
    if let Ok(array) = given.extract::<PyReadonlyArray1<i64>>()
        && array.is_contiguous()
    {
        return Ok(array);
    }
    let numpy = given.py().import("numpy")?;
    let array = numpy.call_method1("asarray", (given,))?;
    let untyped = array.cast::<PyUntypedArray>()?;
    if untyped.len() > 0 && !matches!(untyped.dtype().kind(), b'i' | b'u') || untyped.ndim() != 1 {
        return Err(refused(format!(
            "{what} is {} of shape {:?}, expected whole numbers [n]; convert it",
            untyped.dtype(),
            untyped.shape()
        )));
    }
    numpy.call_method1("ascontiguousarray", (array, "int64"))?.extract()
}

fn strands_of(given: &Bound<PyAny>, n: usize) -> PyResult<Strands> {
    let of_text = |text: &str| match text {
        "+" => Ok(false),
        "-" => Ok(true),
        other => Err(refused(format!("strands holds '{other}', expected + or -; correct it"))),
    };
    if let Ok(text) = given.cast::<PyString>() {
        return of_text(&text.to_cow()?).map(Strands::All);
    }
    let of_number = |&number: &i64| match number {
        1 => Ok(false),
        -1 => Ok(true),
        other => Err(refused(format!("strands holds {other}, expected 1 or -1; correct it"))),
    };
    let each: Vec<bool> = if given.cast::<PyUntypedArray>().is_ok_and(|array| matches!(array.dtype().kind(), b'i')) {
        integers(given, "strands")?.as_slice()?.iter().map(of_number).collect::<PyResult<_>>()?
    } else {
        let of = |strand: PyResult<Bound<PyAny>>| {
            let strand = strand?;
            match strand.extract::<String>() {
                Ok(text) => of_text(&text),
                Err(_) => of_number(&strand.extract::<i64>()?),
            }
        };
        given.try_iter()?.map(of).collect::<PyResult<_>>()?
    };
    same_count("strands", each.len(), n)?;
    Ok(Strands::Each(each))
}
