//! Layers of networks that predict profiles. Positions come before channels in memory, as libtorch's fastest convolutions have them:
//! those of two dimensions, of which one is 1.

use tch::Tensor;
use tch::nn::Path;

use super::layers::{Mode, Module, weight_and_bias};
use strandnet_core::config::layers::Rectified;
use strandnet_core::random::Generator;

/// Convolution at some middle positions, rectified, `[batch, inputs, positions]` to `[batch, outputs, kept]`; residual, the
/// middle of its input is added.
#[derive(Debug)]
pub struct Dilated {
    /// `[outputs, inputs, width]`
    weight: Tensor,
    /// `[outputs]`
    bias: Tensor,
    dilation: i64,
    kept: i64,
    is_residual: bool,
    relu: Rectified,
}

impl Dilated {
    pub fn new(
        path: &Path,
        (inputs, outputs): (i64, i64),
        (width, dilation): (i64, i64),
        kept: i64,
        (is_residual, relu): (bool, Rectified),
        random: &mut Generator,
    ) -> Self {
        let [weight, bias] = weight_and_bias(path, &[outputs, inputs, width], inputs * width, random);
        Self { weight, bias, dilation, kept, is_residual, relu }
    }
}

impl Module for Dilated {
    fn forward(&self, xs: &Tensor, mode: Mode) -> Tensor {
        let (_, _, width) = self.weight.size3().expect("three sizes");
        let xs = mode.cast(xs);
        // Channels last in memory.
        let rectified = (self.relu == Rectified::Input).then(|| xs.relu());
        let read = middle(rectified.as_ref().unwrap_or(&xs), self.kept + (width - 1) * self.dilation)
            .transpose(1, 2)
            .contiguous()
            .transpose(1, 2);
        let (weight, bias) = (mode.cast(&self.weight).unsqueeze(2), mode.cast(&self.bias));
        let convolved = read.unsqueeze(2).conv2d(&weight, Some(bias), [1, 1], [0, 0], [1, self.dilation], 1);
        let convolved = if self.relu == Rectified::Output { convolved.relu() } else { convolved }.squeeze_dim(2);
        if self.is_residual { convolved + middle(&xs, self.kept) } else { convolved }
    }
}

/// The middle positions of `[batch, channels, positions]`, with zeros at both ends where there are too few.
fn middle(xs: &Tensor, kept: i64) -> Tensor {
    let spare = xs.size()[2] - kept;
    if spare >= 0 { xs.narrow(2, spare / 2, kept) } else { xs.constant_pad_nd([-spare / 2, -spare - -spare / 2]) }
}

/// Features `[batch, channels, positions]` to `[batch, tracks * length + groups]`: logits of the profile by a convolution, and log counts
/// by a dense layer on means over the middle positions.
#[derive(Debug)]
pub struct ProfileHead {
    /// `[tracks, channels, width]` and `[tracks]`
    profile: [Tensor; 2],
    /// `[groups, channels]` and `[groups]`; nothing where others predict log counts.
    counts: Option<[Tensor; 2]>,
    length: i64,
    /// Positions over which the means are taken, where there are as many.
    counted: i64,
}

impl ProfileHead {
    pub fn new(
        path: &Path,
        channels: i64,
        (tracks, groups): (i64, i64),
        (width, length, counted): (i64, i64, i64),
        random: &mut Generator,
    ) -> Self {
        let profile = weight_and_bias(&(path / "fconv"), &[tracks, channels, width], channels * width, random);
        let counts = (groups > 0).then(|| weight_and_bias(&(path / "linear"), &[groups, channels], channels, random));
        Self { profile, counts, length, counted }
    }
}

impl Module for ProfileHead {
    fn forward(&self, xs: &Tensor, mode: Mode) -> Tensor {
        let [weight, bias] = [&self.profile[0], &self.profile[1]].map(|tensor| mode.cast(tensor));
        let (tracks, channels, width) = weight.size3().expect("three sizes");
        let (xs, length) = (mode.cast(xs), self.length);
        let read = length + width - 1;
        // What each tap of the kernel gives at each position; a profile is the sum along a diagonal of that.
        let taps = weight.transpose(1, 2).reshape([tracks * width, channels]).matmul(&middle(&xs, read));
        let skewed =
            taps.view([-1, tracks, width * read]).constant_pad_nd([0, width]).view([-1, tracks, width, read + 1]);
        let profile = skewed.narrow(3, 0, length).sum_dim_intlist(2, false, None::<tch::Kind>) + bias.unsqueeze(1);
        let profile = profile.flatten(1, -1);
        let Some([weight, bias]) = &self.counts else { return profile };
        let seen = middle(&xs, self.counted.min(xs.size()[2])).mean_dim(2, false, None::<tch::Kind>);
        Tensor::cat(&[profile, seen.linear(&mode.cast(weight), Some(&mode.cast(bias)))], 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strandnet_core::random::{self, Purpose};
    use tch::nn::VarStore;
    use tch::{Device, Kind};

    const MODE: Mode = Mode { training: false, half: false, momentum: 0.0 };

    fn random_tensor(shape: [i64; 3]) -> Tensor {
        Tensor::rand(shape, (Kind::Float, Device::Cpu)) - 0.5
    }

    fn largest(difference: Tensor) -> f64 {
        difference.abs().max().double_value(&[])
    }

    #[test]
    fn convolutions_are_libtorchs_where_there_are_positions_enough_and_where_there_are_not() {
        let store = VarStore::new(Device::Cpu);
        let mut random = random::generator(1, Purpose::Weights, 0, 0);
        for (i, (positions, kept)) in [(40, 20), (40, 32), (40, 40), (30, 30)].into_iter().enumerate() {
            let layer =
                Dilated::new(&(store.root() / i as i64), (5, 5), (3, 4), kept, (true, Rectified::Output), &mut random);
            let xs = random_tensor([2, 5, positions]);
            let whole = &xs + xs.conv1d(&layer.weight, Some(&layer.bias), 1, 4, 4, 1).relu();
            let expected = whole.narrow(2, (positions - kept) / 2, kept);
            assert!(largest(layer.forward(&xs, MODE) - expected) < 1e-6, "{positions} {kept}");
        }
    }

    #[test]
    fn the_head_is_a_convolution_and_a_mean() {
        let store = VarStore::new(Device::Cpu);
        let mut random = random::generator(1, Purpose::Weights, 0, 0);
        for (i, positions) in [50, 48, 44, 40].into_iter().enumerate() {
            let head = ProfileHead::new(&(store.root() / i as i64), 6, (3, 2), (9, 40, 48), &mut random);
            let xs = random_tensor([2, 6, positions]);
            let found = head.forward(&xs, MODE);
            let whole = xs.conv1d(&head.profile[0], Some(&head.profile[1]), 1, 4, 1, 1);
            let expected = whole.narrow(2, (positions - 40) / 2, 40).flatten(1, -1);
            assert!(largest(found.narrow(1, 0, 120) - expected) < 1e-6, "{positions}");
            let seen = middle(&xs, positions.min(48)).mean_dim(2, false, Kind::Float);
            let [weight, bias] = head.counts.as_ref().unwrap();
            let expected = seen.linear(weight, Some(bias));
            assert!(largest(found.narrow(1, 120, 2) - expected) < 1e-6, "{positions}");
        }
    }
}
