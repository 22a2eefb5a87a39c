//! The bias model of a run: opened and fitted before training, and what is left of the enzyme after it.

use std::rc::Rc;

use anyhow::Result;
use strandnet_core::attribute::footprints::Backgrounds;
use strandnet_core::config::Config;
use strandnet_core::dataset::Dataset;
use strandnet_core::evaluate::enzyme::{self, Enzyme, EnzymeFootprint};
use strandnet_core::inspect;
use strandnet_core::progress::Progress;
use strandnet_core::sequence::enzyme::REACH;
use strandnet_core::sequence::profile::ProfileShape;
use strandnet_core::task::Task;

use crate::model::bias::Bias;
use crate::model::ensemble::Ensemble;

/// Shuffled sequences in which the enzyme's motif is set: its fold is told to a few per cent.
const ENZYME_BACKGROUNDS: usize = 100;
/// The seed that `explain footprints` has where nothing is said.
const BACKGROUNDS_SEED: u64 = 1;

/// The bias model that a configuration names, fitted to the background of the training examples, and warnings of it.
pub fn open(
    config: &Config,
    task: &Task,
    data: &Dataset,
    device: tch::Device,
    progress: Progress,
) -> Result<Option<(Rc<Bias>, Vec<String>)>> {
    let Some(path) = &config.training.bias else { return Ok(None) };
    let bias = Bias::open(path, task, &data.classes.names, data.train.length, device)?;
    let logits = bias.logits_of(&data.train)?;
    let warnings = inspect::bias::warnings(&data.train, &logits, &data.classes.names);
    let bias = bias.fitted_to(&data.train, &logits)?;
    let moved: Vec<String> = bias.shift().iter().map(|shift| format!("{shift:.4}")).collect();
    progress.say(&format!(
        "{}: log counts of the bias model move by {} to those of background",
        path.display(),
        moved.join(", ")
    ));
    Ok(Some((Rc::new(bias), warnings)))
}

/// How an ensemble, which comes back as it was, answers to what the enzyme prefers, without its bias model and with it.
pub fn enzyme_footprints(
    ensemble: Ensemble,
    bias: &Rc<Bias>,
    enzyme: &Enzyme,
    shape: &ProfileShape,
    data: &Dataset,
) -> Result<(Ensemble, Vec<EnzymeFootprint>)> {
    if 2 * REACH >= shape.length {
        return Ok((ensemble, Vec::new()));
    }
    // Shuffled, sequences of the test tell nothing of it; explain footprints takes the same.
    let codes = data.test.all_codes()?;
    let backgrounds = Backgrounds::shuffled(&codes, data.test.length, ENZYME_BACKGROUNDS, BACKGROUNDS_SEED);
    let with_bias = enzyme::folds(enzyme, &backgrounds, &ensemble, shape)?;
    let ensemble = ensemble.with_bias(None);
    let folds = enzyme::folds(enzyme, &backgrounds, &ensemble, shape)?;
    let each = data.classes.names.iter().zip(enzyme::motifs(enzyme)).zip(folds.into_iter().zip(with_bias));
    let found = each.map(|((group, motif), (fold, fold_with_bias))| EnzymeFootprint {
        group: group.clone(),
        motif,
        fold,
        fold_with_bias,
    });
    Ok((ensemble.with_bias(Some(bias)), found.collect()))
}
