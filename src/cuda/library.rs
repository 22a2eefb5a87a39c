//! Opens a shared object for good.

use libloading::AsFilename;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

/// Opens a part of libtorch, of NVIDIA's driver or of this program, whose symbols others then find too, until the program ends:
/// none of them likes to be closed.
///
/// # Errors
/// It is not found, or another library that it needs is not; in one line.
#[allow(unsafe_code)] // A library is code that Rust cannot check.
pub fn open(path: impl AsFilename) -> Result<&'static Library, String> {
    // SAFETY: as they are opened they register themselves with libtorch, and do nothing else.
    match unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => Ok(Box::leak(Box::new(library))),
        Err(error) => Err(super::first_line(&error.to_string()).to_owned()),
    }
}
