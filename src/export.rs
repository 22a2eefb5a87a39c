//! TorchScript for scoring anywhere: trace, save, load again, compare.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tch::{CModule, Device, Kind, Tensor};

use crate::config::ModelConfig;
use crate::data::Classes;
use crate::data::alphabet::ALPHABET;
use crate::model::{self, Network, weights};
use crate::{run, task};

/// What goes into an exported model and what comes out: `model.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    pub format_version: u32,
    /// Length of a sequence in bp; the input is one-hot f32 `[N, 4, length]`.
    pub length: usize,
    /// Order of the four input rows.
    pub alphabet: String,
    pub classes: Vec<String>,
    pub positive: String,
    /// Scores from here up are called positive: chosen on validation.
    pub threshold: f64,
    /// How the two strands enter: `single` scores the strand as given.
    pub strands: String,
    /// What the output `[N]` means.
    pub output: String,
    /// Checksum of the model file.
    pub sha256: String,
}

/// Sequences the model is traced with, and the other number it is checked with: an operator that froze the first
/// would fail on the second.
const TRACE_BATCH: usize = 2;
const CHECK_BATCH: usize = 67;

/// More than this between the network and its export is an error. Rounding alone stays below a tenth of it.
const LARGEST_DIFFERENCE: f64 = 1e-5;

/// Exports the weights in `weights_path` to `path` and returns the card and the largest difference between the scores
/// of the network and of the file loaded again.
pub fn export(
    config: &ModelConfig,
    length: usize,
    weights_path: &Path,
    classes: &Classes,
    threshold: f64,
    path: &Path,
) -> Result<(ModelCard, f64)> {
    let mut network = Network::new(config, length, Device::Cpu, 0)?;
    weights::load(&mut network, weights_path)?;
    network.store.freeze();

    let trace = |input: &[Tensor]| vec![task::probabilities(&network.logits_of_one_hot(&input[0], false))];
    let example = random_one_hot(TRACE_BATCH, length);
    let module = CModule::create_by_tracing("strandnet", "forward", &[example], &mut { trace })
        .context("tracing the network failed")?;

    let temporary = run::temporary_beside(path)?;
    module.save(temporary.path()).with_context(|| format!("{}: cannot be written", path.display()))?;
    let difference = difference(&network, temporary.path(), length)?;
    if difference.is_nan() || difference > LARGEST_DIFFERENCE {
        bail!(
            "{}: the exported model differs from the network by {difference:.1e}, expected less than {LARGEST_DIFFERENCE:.0e}; please report this",
            path.display()
        );
    }
    let sha256 = run::sha256(temporary.path())?;
    run::persist(temporary, path)?;
    let card = ModelCard {
        format_version: run::FORMAT_VERSION,
        length,
        alphabet: ALPHABET.into(),
        classes: classes.names.clone(),
        positive: classes.positive_name().into(),
        threshold,
        strands: "single".into(),
        output: format!("probability of {}", classes.positive_name()),
        sha256,
    };
    Ok((card, difference))
}

/// The largest difference between the scores of a network and of its saved form, at another batch size.
fn difference(network: &Network, saved: &Path, length: usize) -> Result<f64> {
    let module = CModule::load(saved).context("the exported model cannot be loaded again")?;
    let input = random_one_hot(CHECK_BATCH, length);
    let exported = tch::no_grad(|| module.forward_ts(&[&input])).context("the exported model does not run")?;
    if exported.size() != [CHECK_BATCH as i64] {
        bail!(
            "the exported model returns {:?} for {CHECK_BATCH} sequences, expected [{CHECK_BATCH}]; please report this",
            exported.size()
        );
    }
    let own = tch::no_grad(|| task::probabilities(&network.logits_of_one_hot(&input, false)));
    Ok((own - exported).abs().max().double_value(&[]))
}

fn random_one_hot(batch: usize, length: usize) -> Tensor {
    let codes = Tensor::randint(5, [batch as i64, length as i64], (Kind::Uint8, Device::Cpu));
    model::one_hot(&codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exported_model_gives_the_networks_scores_at_any_length_and_batch_size() {
        let folder = tempfile::tempdir().unwrap();
        let classes = Classes { names: vec!["human".into(), "mouse".into()], positive: 0 };
        for length in [47, 128, 301] {
            let config = ModelConfig::default();
            let network = Network::new(&config, length, Device::Cpu, 3).unwrap();
            let weights = folder.path().join("w.safetensors");
            weights::save(&network, 1, &weights).unwrap();
            let path = folder.path().join("model.pt");
            let (card, difference) = export(&config, length, &weights, &classes, 0.4, &path).unwrap();
            assert!(difference < 1e-6, "{difference}");
            assert_eq!((card.length, card.positive.as_str(), card.threshold), (length, "human", 0.4));
            let module = CModule::load(&path).unwrap();
            for batch in [1, 5] {
                assert_eq!(module.forward_ts(&[random_one_hot(batch, length)]).unwrap().size(), [batch as i64]);
            }
            assert_eq!(card.sha256, run::sha256(&path).unwrap());
        }
    }
}
