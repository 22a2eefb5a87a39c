//! Flags of the commands that need no libtorch.

mod evaluate;
mod explain;
mod predict;
mod report;

pub use evaluate::{Evaluate, EvaluationData};
pub use explain::{Sequences, Variants};
pub use predict::Predict;
pub use report::Report;
