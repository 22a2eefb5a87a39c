//! Between NumPy arrays and slices: sequences as codes, and arrays that are filled without being zeroed first.

use std::mem::MaybeUninit;

use numpy::{
    Element, PyArray, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray2, PyReadonlyArray3, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use strandnet_core::sequence::alphabet::{self, UNKNOWN};

use crate::errors::refused;

/// The memory of a contiguous array, to be written.
#[allow(unsafe_code)] // An array that is zeroed first takes a quarter longer.
pub fn to_write<'a, T: Element, D: numpy::ndarray::Dimension>(
    array: &'a mut Bound<'_, PyArray<T, D>>,
) -> &'a mut [MaybeUninit<T>] {
    // SAFETY: the array is contiguous and new, or borrowed for writing, so nothing else reads or writes these elements, and
    // `MaybeUninit` asks nothing of what they hold.
    unsafe { std::slice::from_raw_parts_mut(array.data().cast(), array.len()) }
}

/// A new array whose elements are all going to be written.
#[allow(unsafe_code)] // As above.
pub fn new<'py, T: Element, D: numpy::ndarray::Dimension>(
    py: Python<'py>,
    shape: impl numpy::ndarray::IntoDimension<Dim = D>,
) -> Bound<'py, PyArray<T, D>> {
    // SAFETY: nothing reads it before it is written, and what is dropped half written are plain numbers.
    unsafe { PyArray::new(py, shape, false) }
}

/// Codes `[n, length]`, without case, of sequences: letters as `str` or `bytes`, codes u8 `[n, length]`, or one-hot f32
/// `[n, 4, length]`.
pub fn codes_of(sequences: &Bound<PyAny>, length: usize) -> PyResult<Vec<u8>> {
    if let Ok(array) = sequences.cast::<PyUntypedArray>() {
        if let Ok(codes) = sequences.extract::<PyReadonlyArray2<u8>>() {
            return checked_codes(&codes, length);
        }
        if let Ok(inputs) = sequences.extract::<PyReadonlyArray3<f32>>() {
            return codes_of_one_hot(&inputs, length);
        }
        if !matches!(array.dtype().kind(), b'U' | b'S' | b'O') {
            return Err(refused(format!(
                "the array is {} of shape {:?}, expected codes u8 [n, {length}] or one-hot f32 [n, 4, {length}]; convert it",
                array.dtype(),
                array.shape()
            )));
        }
    }
    if sequences.is_instance_of::<PyString>() || sequences.is_instance_of::<PyBytes>() {
        return Err(refused("found one sequence, expected a list of sequences; put it in a list"));
    }
    let mut codes = Vec::new();
    for (i, sequence) in sequences.try_iter()?.enumerate() {
        let sequence = sequence?;
        let letters = match (sequence.cast::<PyString>(), sequence.cast::<PyBytes>()) {
            (Ok(text), _) => text.to_cow()?.into_owned().into_bytes(),
            (_, Ok(bytes)) => bytes.as_bytes().to_vec(),
            _ => {
                return Err(refused(format!(
                    "sequence {} is {}, expected str or bytes; convert it, or give codes u8 [n, {length}]",
                    i + 1,
                    sequence.get_type().name()?
                )));
            }
        };
        if letters.len() != length {
            return Err(refused(format!(
                "sequence {}: has {} bases, expected {length}, the model's length; pad or cut it",
                i + 1,
                letters.len()
            )));
        }
        alphabet::encode(&letters, &mut codes)
            .map_err(|fault| refused(format!("sequence {}: {fault}; correct the sequence", i + 1)))?;
    }
    Ok(codes)
}

fn checked_codes(codes: &PyReadonlyArray2<u8>, length: usize) -> PyResult<Vec<u8>> {
    if codes.shape()[1] != length {
        return Err(refused(format!(
            "the codes have shape {:?}, expected [n, {length}], the model's length; pad or cut them",
            codes.shape()
        )));
    }
    let codes: Vec<u8> = codes.as_array().iter().copied().collect(); // row by row, however they lie
    match codes.iter().position(|&code| code > UNKNOWN) {
        Some(at) => Err(refused(format!(
            "sequence {}: holds code {} at base {}, expected 0 to 3 for A, C, G and T and 4 for an unknown base; encode letters so",
            at / length + 1,
            codes[at],
            at % length + 1
        ))),
        None => Ok(codes),
    }
}

fn codes_of_one_hot(inputs: &PyReadonlyArray3<f32>, length: usize) -> PyResult<Vec<u8>> {
    let &[n, rows, columns] = inputs.shape() else { return Err(refused("expected three axes")) };
    if (rows, columns) != (4, length) {
        return Err(refused(format!(
            "the one-hot array has shape {:?}, expected [n, 4, {length}], the model's length; transpose, pad or cut it",
            inputs.shape()
        )));
    }
    let inputs = inputs.as_array();
    let mut codes = Vec::with_capacity(n * length);
    for (i, input) in inputs.outer_iter().enumerate() {
        for (position, column) in input.columns().into_iter().enumerate() {
            let code = match [column[0], column[1], column[2], column[3]] {
                [1.0, 0.0, 0.0, 0.0] => 0,
                [0.0, 1.0, 0.0, 0.0] => 1,
                [0.0, 0.0, 1.0, 0.0] => 2,
                [0.0, 0.0, 0.0, 1.0] => 3,
                [0.0, 0.0, 0.0, 0.0] => UNKNOWN,
                found => {
                    return Err(refused(format!(
                        "sequence {}: holds {found:?} at base {}, expected a 1 and zeros, or zeros for an unknown base; correct it",
                        i + 1,
                        position + 1
                    )));
                }
            };
            codes.push(code);
        }
    }
    Ok(codes)
}
