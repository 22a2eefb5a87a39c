//! The limit of unknown bases that a run gives to `predict`.

use crate::config::SourceKind;
use crate::run::Provenance;
pub use crate::sequence::unknown_limit::UnknownLimit;

impl UnknownLimit {
    /// For windows of a genome: `given`, or the run's own `--max-n`. A run that was trained on sequences and not on windows
    /// of a genome has none, nor has one that was imported, and its largest number of unknown bases in a training example counts.
    pub fn for_windows(run: &Provenance, given: Option<usize>) -> Self {
        let data = &run.config.data;
        let of_run = match data.source() {
            _ if run.imported.is_some() => run.largest_n,
            SourceKind::Demo | SourceKind::Genomes | SourceKind::Regions => Some(data.max_n),
            SourceKind::Classes | SourceKind::Tables | SourceKind::Examples => run.largest_n,
        };
        Self::up_to(given.or(of_run))
    }

    /// For records of a file: `given`, or the largest number of unknown bases in one training example.
    pub fn for_records(run: &Provenance, given: Option<usize>) -> Self {
        Self::up_to(given.or(run.largest_n))
    }
}
