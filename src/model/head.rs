//! The last step from logits to predictions, by libtorch, so that they are those of the exported model to the last bit.

use anyhow::Result;
use strandnet_core::config::{Loss, TaskKind};
use strandnet_core::task::{self, Scale, Task};
use tch::{Device, Kind, Tensor};

use crate::device;
use crate::no_grad::no_grad;

/// Turns logits into predictions. A model is traced with one made before: tensors made from numbers while tracing would come
/// out as nothing.
pub struct Head<'a> {
    task: &'a Task,
    scales: (Tensor, Tensor),
    /// Scales and biases that calibrate logits, `[1, outputs]` each, where they change them.
    calibration: Option<(Tensor, Tensor)>,
}

impl<'a> Head<'a> {
    /// The head of a task, with its tensors on a device.
    pub fn new(task: &'a Task, device: Device) -> Self {
        let calibration = &task.calibration;
        let of = |value: &dyn Fn(usize) -> f64| {
            let values: Vec<f32> = (0..task.outputs()).map(|output| value(output) as f32).collect();
            device::to_device(&values, device).view([1, -1])
        };
        let calibration = (!calibration.is_identity())
            .then(|| (of(&|output| calibration.scale(output)), of(&|output| calibration.bias(output))));
        Self { task, scales: scale_tensors(task, device), calibration }
    }

    /// Predictions of the same shape as logits `[batch, outputs]`: the probability of the positive class, of each class, of
    /// each label, or values.
    pub fn predictions(&self, logits: &Tensor) -> Tensor {
        match self.task.kind {
            TaskKind::Binary | TaskKind::Multilabel => self.calibrated(logits).sigmoid(),
            TaskKind::Multiclass => self.calibrated(logits).softmax(1, Kind::Float),
            TaskKind::Profile => logits.shallow_clone(),
            TaskKind::Regression => {
                let (mean, deviation) = &self.scales;
                match self.task.loss {
                    Loss::Poisson => logits.exp() * mean,
                    _ => logits * deviation + mean,
                }
            }
        }
    }

    fn calibrated(&self, logits: &Tensor) -> Tensor {
        match &self.calibration {
            Some((scales, biases)) => logits * scales + biases,
            None => logits.shallow_clone(),
        }
    }
}

/// Predictions `[n, outputs]`, row by row, of logits as they come out of a network; of bins their means.
///
/// # Errors
/// Some are not finite.
pub fn activate(task: &Task, logits: &[f32]) -> Result<Vec<f64>> {
    Ok(task.means_of_bins(activate_each(task, logits)?))
}

/// Predictions of the same shape as logits, so of each bin.
///
/// # Errors
/// Some are not finite.
pub fn activate_each(task: &Task, logits: &[f32]) -> Result<Vec<f64>> {
    let logits = Tensor::from_slice(logits).view([-1, task.network_outputs().numbers() as i64]);
    let found = no_grad(|| Head::new(task, Device::Cpu).predictions(&logits).flatten(0, -1).to_kind(Kind::Double));
    let predictions = Vec::<f64>::try_from(found)?;
    task::require_finite(&predictions)?;
    Ok(predictions)
}

/// Means and deviations of values, `[1, outputs]` each.
pub(crate) fn scale_tensors(task: &Task, device: Device) -> (Tensor, Tensor) {
    let of = |value: fn(&Scale) -> f64| {
        let values: Vec<f32> = task.scales_of_outputs().map(|scale| value(scale) as f32).collect();
        device::to_device(&values, device).view([1, -1])
    };
    (of(|scale| scale.mean), of(|scale| scale.deviation))
}
