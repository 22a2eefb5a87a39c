//! What all tests share: the program, made-up data, short runs, and what to do where another program is missing.

mod files;
mod partners;
mod program;
mod runs;
mod sequences;

pub use files::*;
pub use partners::*;
pub use program::*;
pub use runs::*;
pub use sequences::*;
