//! Where the network of a run comes from that was trained elsewhere.

use std::path::Path;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::files::DataFile;
use crate::format::printable;
use crate::run::Provenance;

/// Where the network of a run comes from, if it was trained elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The program that trained it, or the library whose module it was.
    pub source: String,
    /// Order of the bases in the input that it was trained with; here it is A, C, G, T.
    pub alphabet: String,
    /// Files that it was read from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<DataFile>,
}

impl Origin {
    /// Where a network comes from, as a sentence.
    pub fn in_words(&self) -> String {
        format!(
            "The network was trained elsewhere and imported from {}, so that nothing is known here of its training and its test; evaluate it on data of your own.",
            self.source
        )
    }
}

impl Provenance {
    /// Checks that a run was trained here, so that its data and its untrained network are known.
    ///
    /// # Errors
    /// It was imported; `advice` says what to do.
    pub fn check_trained_here(&self, run: &Path, advice: &str) -> Result<()> {
        match &self.imported {
            Some(Origin { source, .. }) => bail!(
                "{}: was imported from {}, so its training data are not known; {advice}",
                run.display(),
                printable(source)
            ),
            None => Ok(()),
        }
    }
}
