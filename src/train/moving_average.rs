//! An exponential moving average of the weights (Polyak and Juditsky, 1992; Tarvainen and Valpola, 2017): steadier than the
//! weights themselves, and what is validated and kept where it is asked for.

use tch::Tensor;
use tch::nn::VarStore;

use crate::no_grad::no_grad;
use crate::train::parameters::FlatParameters;

/// The average of all that a network computes with: its parameters, and the statistics of its batch norms.
#[derive(Debug)]
pub struct MovingAverage {
    decay: f64,
    updates: f64,
    /// The network's own tensors.
    own: Vec<Tensor>,
    /// Their averages, or their values while `swap`ped.
    averages: Vec<Tensor>,
}

impl MovingAverage {
    pub fn new(decay: f64, parameters: &FlatParameters, store: &VarStore) -> Self {
        let mut statistics: Vec<(String, Tensor)> =
            store.variables().into_iter().filter(|(_, variable)| !variable.requires_grad()).collect();
        statistics.sort_by(|(a, _), (b, _)| a.cmp(b));
        let statistics = statistics.into_iter().map(|(_, variable)| variable);
        let own: Vec<Tensor> = std::iter::once(parameters.buffer.shallow_clone()).chain(statistics).collect();
        let averages = own.iter().map(Tensor::copy).collect();
        Self { decay, updates: 0.0, own, averages }
    }

    /// The averages: of the parameters, then of statistics.
    pub fn tensors(&self) -> &[Tensor] {
        &self.averages
    }

    /// Updates so far.
    pub fn updates(&self) -> f64 {
        self.updates
    }

    /// Goes on from a state that `updates` and `tensors` gave.
    pub fn restore(&mut self, updates: f64, tensors: &[Tensor]) {
        self.updates = updates;
        no_grad(|| {
            for (own, saved) in self.averages.iter_mut().zip(tensors) {
                own.copy_(saved);
            }
        });
    }

    /// Takes in the weights after a step. The first steps count more, so that the random start is soon forgotten.
    pub fn update(&mut self) {
        self.updates += 1.0;
        let decay = self.decay.min(self.updates / (self.updates + 9.0));
        no_grad(|| {
            for (average, own) in self.averages.iter_mut().zip(&self.own) {
                let _ = average.lerp_(own, 1.0 - decay);
            }
        });
    }

    /// Puts the averages into the network and keeps its own values meanwhile; once more, and all is as it was.
    pub fn swap(&mut self) {
        no_grad(|| {
            for (average, own) in self.averages.iter_mut().zip(&mut self.own) {
                let kept = own.copy();
                own.copy_(average);
                average.copy_(&kept);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, nn};

    #[test]
    fn it_follows_the_weights_slowly_and_swapping_twice_changes_nothing() {
        let store = nn::VarStore::new(Device::Cpu);
        let _ = store.root().var_copy("a", &Tensor::from_slice(&[1.0f32, 2.0]));
        let mut parameters = FlatParameters::new(&store);
        let mut average = MovingAverage::new(0.5, &parameters, &store);
        let values = |store: &nn::VarStore| Vec::<f32>::try_from(&store.variables()["a"]).unwrap();
        for _ in 0..2 {
            no_grad(|| parameters.buffer.copy_(&Tensor::from_slice(&[3.0f32, 2.0])));
            average.update();
        }
        average.swap();
        // 1, then 0.1 * 1 + 0.9 * 3, then 2 / 11 of that and 9 / 11 of 3
        let expected = 2.0 / 11.0 * 2.8 + 9.0 / 11.0 * 3.0;
        assert!((f64::from(values(&store)[0]) - expected).abs() < 1e-6, "{:?}", values(&store));
        average.swap();
        assert_eq!(values(&store), [3.0, 2.0]);
    }
}
