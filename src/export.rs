//! TorchScript for scoring anywhere: trace, save, load again, compare.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use tch::{CModule, Device, IValue, Kind, Tensor};

use crate::libtorch;
use crate::model;
use crate::model::head::Head;
use crate::model::{Network, ensemble};
use crate::no_grad::no_grad;
use strandnet_core::config::{Config, TaskKind};
use strandnet_core::dataset::Classes;
use strandnet_core::export::card::ModelCard;
use strandnet_core::export::python;
use strandnet_core::network::Outputs;
use strandnet_core::run;
use strandnet_core::run::{MODEL_JSON, MODEL_PT, MODEL_PY, RunFolder, WEIGHTS};
use strandnet_core::task::{ProfileTask, Task};
use strandnet_core::training::memory::{TRACE_BATCH, check_batch};

/// More than this between the network and its export is an error. Rounding alone stays below a tenth of it.
const LARGEST_DIFFERENCE: f64 = 1e-5;

/// Exports the weights in `weights_path` to `path` and returns the card and the largest difference between the predictions
/// of the network and of the file loaded again.
///
/// # Errors
/// The weights do not fit the network, the model cannot be traced or written, or its scores differ from the network's.
pub fn export(
    config: &Config,
    task: &Task,
    classes: &Classes,
    length: usize,
    weights_path: &Path,
    threshold: Option<f64>,
    path: &Path,
) -> Result<(ModelCard, f64)> {
    let mut networks = ensemble::load(config, length, task.network_outputs(), Device::Cpu, weights_path)?;
    networks.iter_mut().for_each(|network| network.store.freeze());

    let head = Head::new(task, Device::Cpu);
    let several = returning_several(task);
    let trace = |input: &[Tensor]| match &several {
        Some(_) => vec![head.predictions(&logits(&networks, &input[0], input.get(1)))],
        None => outputs(&networks, &head, task, &input[0], None),
    };
    let one_hot = random_one_hot(TRACE_BATCH, length);
    let example: Vec<Tensor> = std::iter::once(one_hot).chain(random_control(task, TRACE_BATCH)).collect();
    let method = if several.is_some() { NUMBERS } else { "forward" };
    let module = CModule::create_by_tracing("strandnet", method, &example, &mut { trace })
        .context("tracing the network failed")?;

    let mut script = script(&module, path)?;
    if let Some(source) = &several {
        script = libtorch::with_method(&script, source).context("the exported model cannot be completed")?;
    }
    let mut temporary = run::temporary_beside(path)?;
    temporary.write_all(&script).map_err(|error| run::cannot_write(path, &error))?;
    let difference = difference_from(&networks, task, temporary.path(), length)?;
    run::persist(temporary, path)?;
    let sha256 = run::sha256_of(&script);
    let card = ModelCard { sha256, ..ModelCard::new(config, task, classes, length, threshold) };
    Ok((card, difference))
}

/// Writes what a finished run holds of its networks beside their weights, as TorchScript and as a PyTorch module; returns the largest
/// difference between the predictions of the networks and of TorchScript.
///
/// # Errors
/// As [`export`], or a file cannot be written.
pub fn write_models(
    config: &Config,
    task: &Task,
    classes: &Classes,
    length: usize,
    threshold: Option<f64>,
    run: &RunFolder,
) -> Result<f64> {
    let (weights, model) = (run.file(WEIGHTS), run.file(MODEL_PT));
    let (card, difference) = export(config, task, classes, length, &weights, threshold, &model)?;
    run.write_json(MODEL_JSON, &card)?;
    let network = strandnet_core::export::Network::new(config, task, classes, length, threshold)?;
    run.write(MODEL_PY, python::source(&network).as_bytes())?;
    Ok(difference)
}

/// The method that is traced where `forward` returns several tensors, which tracing cannot.
const NUMBERS: &str = "numbers";

/// The source of `forward` where it returns several tensors.
fn returning_several(task: &Task) -> Option<String> {
    let ProfileTask { shape, .. } = task.profile.as_ref()?;
    let (values, tracks, length) = (shape.values(), shape.all_tracks(), shape.length);
    let (control, control_length) = (shape.control, shape.control_length());
    let (parameter, absent, argument) = match control {
        0 => ("", String::new(), ""),
        _ => (
            ", control: Optional[Tensor] = None",
            format!(
                "    if control is None:\n        control = torch.zeros([sequences.size(0), {control}, {control_length}], device=sequences.device)\n"
            ),
            ", control",
        ),
    };
    Some(format!(
        "def forward(self, sequences: Tensor{parameter}) -> Tuple[Tensor, Tensor]:\n{absent}    numbers = self.{NUMBERS}(sequences{argument})\n    return numbers[:, :{values}].reshape(-1, {tracks}, {length}), numbers[:, {values}:]\n"
    ))
}

/// A module as TorchScript. It goes through a pipe, which is never full: where libtorch cannot write a file to its end, it
/// ends the program (in the destructor of its `PyTorchStreamWriter`). The file's name gets into the file, so the pipe has the
/// same one each time, in a temporary folder.
fn script(module: &CModule, path: &Path) -> Result<Vec<u8>> {
    let (mut reader, writer) = std::io::pipe().context("a pipe cannot be made")?;
    let folder = tempfile::tempdir().or_else(|_| strandnet_core::files::temporary_folder_beside(path))?;
    let name = folder.path().join(run::MODEL_PT);
    // On Linux /dev/fd is a link to the other, which a bare root may lack.
    let descriptors = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    std::os::unix::fs::symlink(format!("{descriptors}/{}", writer.as_raw_fd()), &name)
        .map_err(|error| run::cannot_write(path, &error))?;
    std::thread::scope(|scope| {
        let read = scope.spawn(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes)
        });
        let saved = module.save(&name);
        drop(writer); // the reader is at its end when nobody holds the other one
        let bytes = read.join().map_err(|_| anyhow!("the exported model cannot be read back"))?;
        saved.with_context(|| format!("{}: cannot be written", path.display()))?;
        bytes.context("the exported model cannot be read back")
    })
}

/// What the exported model computes: predictions `[N]` for two classes, `[N, outputs, bins]` for bins, of a profile its logits `[N,
/// tracks, length]` and log counts `[N, groups]`, else `[N, outputs]`.
fn outputs(networks: &[Network], head: &Head, task: &Task, one_hot: &Tensor, control: Option<&Tensor>) -> Vec<Tensor> {
    let predictions = head.predictions(&logits(networks, one_hot, control));
    match task.network_outputs() {
        Outputs { profile: Some(shape), .. } => {
            let (tracks, length) = (shape.all_tracks() as i64, shape.length as i64);
            let logits = predictions.narrow(1, 0, tracks * length).view([-1, tracks, length]);
            vec![logits, predictions.narrow(1, tracks * length, shape.groups() as i64)]
        }
        Outputs { columns, bins: Some(bins), .. } => vec![predictions.view([-1, columns as i64, bins.count as i64])],
        _ if task.kind == TaskKind::Binary => vec![predictions.squeeze_dim(1)],
        _ => vec![predictions],
    }
}

/// Mean logits of networks, with the control's part where there is one.
fn logits(networks: &[Network], one_hot: &Tensor, control: Option<&Tensor>) -> Tensor {
    let logits = ensemble::logits_of_one_hot(networks, one_hot);
    match control {
        Some(control) => logits + ensemble::mean(networks.iter().map(|network| network.control_logits(control, false))),
        None => logits,
    }
}

/// The largest difference between the predictions of networks and of their saved form, which is opened; of values, in
/// standard deviations.
///
/// # Errors
/// It is larger than rounding makes it, or the file is no such model.
pub fn difference_from(networks: &[Network], task: &Task, saved: &Path, length: usize) -> Result<f64> {
    let difference = difference(networks, task, saved, length)?;
    if difference.is_nan() || difference > LARGEST_DIFFERENCE {
        bail!(
            "the exported model differs from the network by {difference:.1e}, expected less than {LARGEST_DIFFERENCE:.0e}; please report this"
        );
    }
    Ok(difference)
}

/// That difference, at another batch size than the model was traced with.
fn difference(networks: &[Network], task: &Task, saved: &Path, length: usize) -> Result<f64> {
    let module = CModule::load(saved).context("the exported model cannot be loaded again")?;
    let sequences = check_batch(length);
    let input = random_one_hot(sequences, length);
    let run = |control: Option<&Tensor>| -> Result<[Vec<Tensor>; 2]> {
        let inputs: Vec<IValue> =
            std::iter::once(&input).chain(control).map(|tensor| IValue::Tensor(tensor.shallow_clone())).collect();
        let exported = no_grad(|| module.forward_is(&inputs)).context("the exported model does not run")?;
        let own = no_grad(|| outputs(networks, &Head::new(task, Device::Cpu), task, &input, control));
        Ok([tensors(exported), own])
    };
    let [mut exported, mut own] = run(None)?;
    if let Some(control) = random_control(task, sequences) {
        let [with_control, expected] = run(Some(&control))?;
        exported.extend(with_control);
        own.extend(expected);
    }
    let sizes = |tensors: &[Tensor]| tensors.iter().map(Tensor::size).collect::<Vec<_>>();
    if sizes(&exported) != sizes(&own) {
        bail!(
            "the exported model returns {:?} for {sequences} sequences, expected {:?}; please report this",
            sizes(&exported),
            sizes(&own)
        );
    }
    let unit = task.scales.iter().map(|scale| scale.deviation.max(scale.mean.abs())).fold(1.0, f64::max);
    let differences = own.iter().zip(&exported).map(|(own, exported)| (own - exported).abs().max().double_value(&[]));
    Ok(differences.fold(
        0.0,
        |most: f64, difference| if difference.is_nan() || most.is_nan() { f64::NAN } else { most.max(difference) },
    ) / unit)
}

/// The tensors that a model returns: one, or several as a tuple.
fn tensors(value: IValue) -> Vec<Tensor> {
    match value {
        IValue::Tensor(tensor) => vec![tensor],
        IValue::Tuple(values) => values.into_iter().flat_map(tensors).collect(),
        _ => Vec::new(),
    }
}

/// Counts of a control, where the task has one.
fn random_control(task: &Task, batch: usize) -> Option<Tensor> {
    let shape = task.profile.as_ref().map(|profile| &profile.shape).filter(|shape| shape.control > 0)?;
    let sizes = [batch as i64, shape.control as i64, shape.control_length() as i64];
    Some(Tensor::randint(3, sizes, (Kind::Float, Device::Cpu)))
}

fn random_one_hot(batch: usize, length: usize) -> Tensor {
    let codes = Tensor::randint(5, [batch as i64, length as i64], (Kind::Uint8, Device::Cpu));
    model::one_hot(&codes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::weights;
    use strandnet_core::config::{Architecture, ClassWeights, Loss, ModelConfig, Strands, TrainingConfig};
    use strandnet_core::dataset::examples::Examples;
    use strandnet_core::task::calibration::Calibration;

    #[test]
    fn the_exported_model_gives_the_networks_predictions_for_any_question_length_and_batch_size() {
        let folder = tempfile::tempdir().unwrap();
        let classes = |n: usize| Classes { names: (0..n).map(|i| format!("c{i}")).collect(), positive: 0 };
        let values = Examples::from_codes(&[0; 6], 2, &[300.0, 0.0, 7.0, 10.0, 1.0, 1.0]);
        let labels = Examples::from_codes(&[0; 6], 2, &[0.0, 1.0, 1.0]);
        for (kind, loss, n, examples) in [
            (TaskKind::Binary, Loss::CrossEntropy, 2, &labels),
            (TaskKind::Multiclass, Loss::CrossEntropy, 3, &labels),
            (TaskKind::Multilabel, Loss::CrossEntropy, 2, &values),
            (TaskKind::Regression, Loss::Mse, 2, &values),
            (TaskKind::Regression, Loss::Poisson, 2, &values),
        ] {
            let (classes, path) = (classes(n), folder.path().join("model.pt"));
            let task = Task::new(kind, &classes, Some(loss), &ClassWeights::None, examples).unwrap();
            let each = |first: f64, step: f64| (0..task.outputs()).map(|i| first + i as f64 * step).collect();
            let calibration = Calibration { scales: each(0.6, 0.1), biases: each(-0.4, 0.3), ..Calibration::default() };
            let task = Task { calibration, ..task };
            for (length, arch, strands, members) in [
                (47, Architecture::Shallow, Strands::Single, 1),
                (128, Architecture::Shallow, Strands::Average, 3),
                (301, Architecture::Residual, Strands::Average, 1),
                (20, Architecture::Residual, Strands::Augment, 2),
            ] {
                let config = Config {
                    model: ModelConfig { arch, ..ModelConfig::default() },
                    training: TrainingConfig { strands, ensemble: members, ..TrainingConfig::default() },
                    ..Config::default()
                };
                let network =
                    |seed| Network::new(&config.model, length, task.outputs(), strands, Device::Cpu, seed).unwrap();
                let networks: Vec<Network> = (0..members as u64).map(network).collect();
                let weights = folder.path().join("w.safetensors");
                weights::save(&networks.iter().collect::<Vec<_>>(), &vec![1; members], &weights).unwrap();
                let (card, difference) = export(&config, &task, &classes, length, &weights, Some(0.4), &path).unwrap();
                assert!(difference < 1e-6, "{difference}");
                assert_eq!((card.length, card.threshold, card.task, card.members), (length, Some(0.4), kind, members));
                let module = CModule::load(&path).unwrap();
                for batch in [1, 5] {
                    let shape = if kind == TaskKind::Binary { vec![batch] } else { vec![batch, n as i64] };
                    let input = random_one_hot(batch as usize, length);
                    assert_eq!(module.forward_ts(&[input]).unwrap().size(), shape);
                }
                assert_eq!(card.sha256, run::sha256(&path).unwrap());
            }
        }
    }
}
