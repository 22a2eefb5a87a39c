//! Bins along a sequence.

use serde::{Deserialize, Serialize};

/// Stretches of equal length along the middle of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bins {
    /// Number of bins.
    pub count: usize,
    /// Length of a bin, in bp.
    pub bp: usize,
}
