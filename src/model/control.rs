//! What a control experiment adds to a network that predicts profiles, as in BPNet: to the logits of the profile a convolution of its
//! counts, to the log counts a weight times the log of 1 + all of them, or of 1 + half of those along the profile. Both are linear, so they stand beside the network's own head.

use tch::nn::{Init, Path};
use tch::{Kind, Tensor};

use strandnet_core::sequence::profile::{HEAD_WIDTH, ProfileShape};

/// The weights of a control's part. They start at 0, so that a network begins as one without a control.
#[derive(Debug)]
pub struct Control {
    /// `[tracks, control, width]`
    profile: Tensor,
    /// `[groups]`
    counts: Tensor,
    shape: ProfileShape,
}

impl Control {
    /// For profiles that have a control.
    pub fn new(path: &Path, shape: &ProfileShape) -> Self {
        let zeros = |path: Path, sizes: &[i64]| path.var("weight", sizes, Init::Const(0.0));
        let (tracks, control) = (shape.all_tracks() as i64, shape.control as i64);
        Self {
            profile: zeros(path / "profile", &[tracks, control, HEAD_WIDTH as i64]),
            counts: zeros(path / "counts", &[shape.groups() as i64]),
            shape: shape.clone(),
        }
    }

    /// Its part of logits `[n, tracks * length + groups]`, from counts `[n, control, control_length]`.
    pub fn logits(&self, control: &Tensor) -> Tensor {
        let profile = control.conv1d(&self.profile, None::<&Tensor>, 1, 0, 1, 1);
        let counted = self.shape.control_counted();
        let seen = control.narrow(2, counted.start as i64, counted.len() as i64);
        let sum = seen.sum_dim_intlist([1i64, 2].as_slice(), true, Kind::Float);
        let log_counts = (sum / f64::from(self.shape.control_counts.unit())).log1p().squeeze_dim(2);
        Tensor::cat(&[profile.flatten(1, -1), log_counts * &self.counts], 1)
    }

    /// The counts of the control of rows as [`Profiles::row`] has them, `[n, control, control_length]`.
    ///
    /// [`Profiles::row`]: strandnet_core::dataset::examples::Profiles::row
    pub fn of_rows(&self, rows: &Tensor) -> Tensor {
        let shape = &self.shape;
        self.shaped(&rows.narrow(1, shape.values() as i64, shape.control_values() as i64))
    }

    /// Counts in a row for each sequence as `[n, control, control_length]`.
    pub fn shaped(&self, control: &Tensor) -> Tensor {
        control.reshape([-1, self.shape.control as i64, self.shape.control_length() as i64])
    }
}

/// The control of the other strand: its tracks change places, and each runs the other way.
pub fn reversed(control: &Tensor) -> Tensor {
    control.flip([1, 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::no_grad::no_grad;
    use tch::nn::VarStore;
    use tch::{Device, Kind};

    #[test]
    fn it_is_what_a_head_on_features_and_control_together_adds() {
        let shape = ProfileShape { tracks: vec![1, 2], length: 10, control: 2, ..ProfileShape::default() };
        let store = VarStore::new(Device::Cpu);
        let control = Control::new(&store.root(), &shape);
        let parameters: i64 = store.trainable_variables().iter().map(|tensor| tensor.numel() as i64).sum();
        assert_eq!(parameters as usize, shape.control_parameters());
        let counts = Tensor::randint(4, [3, 2, 84], (Kind::Float, Device::Cpu));
        assert_eq!(control.logits(&counts), Tensor::zeros([3, 32], (Kind::Float, Device::Cpu)));
        no_grad(|| {
            for weight in [&control.profile, &control.counts] {
                weight.shallow_clone().copy_(&(Tensor::rand_like(weight) - 0.5));
            }
        });
        // As bpnet-lite has it: one convolution and one dense layer on features and control, one behind the other.
        let features = Tensor::rand([3, 5, 84], (Kind::Float, Device::Cpu));
        let of_features = Tensor::rand([3, 5, 75], (Kind::Float, Device::Cpu));
        let both = Tensor::cat(&[&features, &counts], 1);
        let weights = Tensor::cat(&[&of_features, &control.profile], 1);
        let none = None::<&Tensor>;
        let profile = both.conv1d(&weights, none, 1, 0, 1, 1) - features.conv1d(&of_features, none, 1, 0, 1, 1);
        let log_counts = (counts.sum_dim_intlist([1i64, 2].as_slice(), false, Kind::Float) + 1.0).log().unsqueeze(1);
        let expected = Tensor::cat(&[profile.flatten(1, -1), log_counts.matmul(&control.counts.unsqueeze(0))], 1);
        assert!((control.logits(&counts) - expected).abs().max().double_value(&[]) < 1e-4);

        let rows = Tensor::cat(
            &[
                Tensor::zeros([3, 30], (Kind::Float, Device::Cpu)),
                counts.flatten(1, -1),
                Tensor::ones([3, 1], (Kind::Float, Device::Cpu)),
            ],
            1,
        );
        assert_eq!(rows.size(), [3, shape.row() as i64]);
        assert_eq!(control.of_rows(&rows), counts);
    }
}
