//! Errors of core as Python's: `OSError` and its kinds where the system refuses a file, `ValueError` otherwise, with core's sentence.

use std::io;

use pyo3::PyErr;
use pyo3::exceptions::{PyFileNotFoundError, PyIsADirectoryError, PyOSError, PyValueError};
use strandnet_core::format::printable;

/// The number that the system gives an error, in the text that Rust makes of it. Core keeps texts alone, and of a file that is missing
/// and of a folder has its own.
const NUMBER: &str = "(os error ";

/// What Python raises for an error of core.
pub fn raised(error: anyhow::Error) -> PyErr {
    let text = printable(&format!("{error:#}").replace(['\n', '\r'], " ")).to_string();
    let found = text.split(NUMBER).nth(1).and_then(|rest| rest.split(')').next()?.parse().ok());
    match found {
        None if text.contains(": no such file") || text.contains(": no such folder") => {
            PyFileNotFoundError::new_err(text)
        }
        None if text.contains(": is a folder, expected a file") => PyIsADirectoryError::new_err(text),
        Some(number) => io::Error::new(io::Error::from_raw_os_error(number).kind(), text).into(),
        None if error.chain().any(|cause| cause.is::<io::Error>()) => PyOSError::new_err(text),
        None => PyValueError::new_err(text),
    }
}

/// A `ValueError`.
pub fn refused(text: impl Into<String>) -> PyErr {
    PyValueError::new_err(text.into())
}
