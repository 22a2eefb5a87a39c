//! The Python module `strandnet._core`: what strandnet does without libtorch, on NumPy arrays. The package around it, in Python,
//! is in `python/strandnet`.

mod arrays;
mod dataset;
mod errors;
mod genome;
mod import;
mod metrics;
mod model;
mod threads;
mod windows;

use pyo3::prelude::*;

#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::dataset::{Examples, data_settings};
    #[pymodule_export]
    use crate::genome::Genome;
    #[pymodule_export]
    use crate::import::write_imported;
    #[pymodule_export]
    use crate::metrics::{Estimate, binary, multiclass, multilabel, regression};
    #[pymodule_export]
    use crate::model::{Model, load};
    #[pymodule_export]
    use crate::threads::{get_num_threads, set_num_threads};

    #[pymodule_export]
    #[allow(non_upper_case_globals)] // as Python spells it
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
