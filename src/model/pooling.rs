//! Pooling: over windows along a sequence, and over all of it and by place.

use tch::{Kind, Tensor};

use crate::model::layers::{Convolution, Mode, Module};

/// The largest or the mean number of each window of positions.
#[derive(Debug)]
pub struct Pool {
    width: i64,
    stride: i64,
    is_max: bool,
}

impl Pool {
    pub fn max(width: usize, stride: usize) -> Self {
        Self { width: width as i64, stride: stride as i64, is_max: true }
    }

    pub fn mean(width: usize, stride: usize) -> Self {
        Self { is_max: false, ..Self::max(width, stride) }
    }
}

impl Module for Pool {
    fn forward(&self, xs: &Tensor, _mode: Mode) -> Tensor {
        if self.is_max {
            xs.max_pool1d(self.width, self.stride, 0, 1, false)
        } else {
            xs.avg_pool1d(self.width, self.stride, 0, false, true)
        }
    }
}

/// Maxima and means over the sequence, and maxima of a few mixed channels in each of `places` parts of it:
/// `[batch, channels, positions]` to `[batch, 2 * channels + filters * places]`.
#[derive(Debug)]
pub struct PlacesPool {
    pub place: Convolution,
    pub places: i64,
}

impl Module for PlacesPool {
    fn forward(&self, xs: &Tensor, mode: Mode) -> Tensor {
        let (places, _) = self.place.forward(xs, mode).adaptive_max_pool1d(self.places);
        let mean = xs.mean_dim(2, false, None::<Kind>);
        Tensor::cat(&[xs.amax(2, false), mean, places.flatten(1, -1)], 1)
    }
}
