//! The bias model that is copied into the run of a network which it is added to.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::config::name_of;
use crate::run::{BIAS_JSON, BIAS_WEIGHTS, METRICS_JSON, Manifest, Provenance, RunFolder};
use crate::sequence::profile::ProfileShape;
use crate::task::Task;

/// A bias model as a run holds it.
#[derive(Debug)]
pub struct BiasFiles {
    /// Of the run that it comes from.
    pub provenance: Provenance,
    /// Its weights.
    pub weights: PathBuf,
    /// What it predicts, the same as the network.
    pub shape: ProfileShape,
    /// What is added to the log counts of each group.
    pub shift: Vec<f64>,
}

/// The bias model of a run; nothing where it has none.
///
/// # Errors
/// Its files are damaged, or it predicts something else.
pub fn of_run(folder: &RunFolder, task: &Task, length: usize) -> Result<Option<BiasFiles>> {
    let Some(shift) = task.profile.as_ref().and_then(|profile| profile.bias_shift.clone()) else { return Ok(None) };
    let path = folder.file(BIAS_JSON);
    let damaged = || format!("{}: is missing or damaged; restore the file or train again", path.display());
    let bytes = std::fs::read(&path).with_context(damaged)?;
    let provenance: Provenance = serde_json::from_slice(&bytes).with_context(damaged)?;
    // Weights have their own checksum.
    if folder.file(METRICS_JSON).is_file()
        && let Some(manifest) = Manifest::read(folder, provenance.format_version)?
    {
        manifest.check(folder, BIAS_JSON)?;
    }
    let shape = shape_for(&provenance, task, length, &shift)?;
    Ok(Some(BiasFiles { provenance, weights: folder.file(BIAS_WEIGHTS), shape, shift }))
}

/// What a bias model predicts, if that is what the networks of a task do.
///
/// # Errors
/// It predicts other tracks, or from another length.
pub fn shape_for(provenance: &Provenance, task: &Task, length: usize, shift: &[f64]) -> Result<ProfileShape> {
    let own = provenance.task()?;
    let (Some(own_profile), Some(profile)) = (&own.profile, &task.profile) else {
        bail!("was trained for --task {}, expected profile", name_of(&own.kind))
    };
    if own_profile.shape != profile.shape || provenance.length != length || shift.len() != profile.shape.groups() {
        bail!(
            "predicts {} tracks of {} bp from {} bp, expected {} of {} bp from {length} bp; train it with the same tracks and lengths",
            own_profile.shape.all_tracks(),
            own_profile.shape.length,
            provenance.length,
            profile.shape.all_tracks(),
            profile.shape.length
        );
    }
    Ok(profile.shape.clone())
}
