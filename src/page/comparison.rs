//! The page of several runs side by side.

use anyhow::Result;

use super::files::RunFiles;

/// The page as HTML.
pub fn page(_runs: &[RunFiles]) -> Result<String> {
    todo!()
}
