//! Steps of a network that is computed here as a whole: from parameters and a batch to the gradient, loss included, in one
//! round of a team of threads.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use super::{FRAGMENTS, Key, Layers, Part, Weights};
use crate::task::YesNoLoss;

/// What all threads of a round read, and what each of them writes.
#[derive(Debug)]
pub struct Lesson {
    layers: Layers,
    /// Where the parameters of the layers stand among all.
    places: Vec<Range<usize>>,
    loss: YesNoLoss,
    batch: RwLock<Batch>,
    shards: Vec<Mutex<Learned>>,
}

#[derive(Debug)]
struct Batch {
    weights: Weights,
    key: Key,
    /// `[n, length]`
    codes: Vec<u8>,
    /// `[n]`
    labels: Vec<f32>,
}

/// What came of a shard.
#[derive(Debug, Default)]
struct Learned {
    part: Part,
    outputs: Vec<f32>,
    /// Its part of the mean loss, and how many were right.
    loss: f64,
    hits: usize,
}

impl Lesson {
    pub(super) fn new(layers: Layers, places: Vec<Range<usize>>, loss: YesNoLoss) -> Self {
        let batch = Batch { weights: Weights::default(), key: Key(0), codes: Vec::new(), labels: Vec::new() };
        Self { layers, places, loss, batch: RwLock::new(batch), shards: Vec::new() }
    }

    /// The same for batches of up to `n`.
    pub fn for_batches_of(mut self, n: usize) -> Self {
        self.shards.resize_with(n.div_ceil(FRAGMENTS), Mutex::default);
        self
    }

    /// Learns from shard `number` of the batch: the task of a round.
    pub fn learn(&self, number: usize) {
        let batch = self.batch.read().unwrap_or_else(PoisonError::into_inner);
        let Batch { weights, key, codes, labels } = &*batch;
        let Self { layers, loss, .. } = self;
        let Some(mut learned) = self.shards.get(number).map(lock) else { return };
        let Learned { part, outputs, loss: own_loss, hits } = &mut *learned;
        let (length, n) = (layers.shape.length, labels.len());
        let fragments = number * FRAGMENTS..n.min((number + 1) * FRAGMENTS);
        outputs.resize(fragments.len() * layers.size, 0.0);
        let codes = &codes[fragments.start * length..fragments.end * length];
        layers.forward(weights, part, Some(*key), number, codes, outputs);
        (*own_loss, *hits) = loss.of(outputs, &labels[fragments], n);
        layers.backward(weights, part, outputs);
    }

    /// The gradient of the mean loss of a batch with respect to all `parameters`, beside the loss and how many are right. `round`
    /// sees that every shard is learned from.
    pub fn gradient(
        &self,
        parameters: &[f32],
        codes: Vec<u8>,
        labels: Vec<f32>,
        key: Key,
        round: impl FnOnce(usize),
    ) -> (Vec<f32>, f64, usize) {
        let shards = labels.len().div_ceil(FRAGMENTS);
        {
            let mut batch = self.batch.write().unwrap_or_else(PoisonError::into_inner);
            let values: Vec<&[f32]> = self.places.iter().map(|place| &parameters[place.clone()]).collect();
            batch.weights.fill(&self.layers.shape, &values);
            (batch.key, batch.codes, batch.labels) = (key, codes, labels);
        }
        round(shards);
        let mut sums: Vec<Vec<f32>> = self.places.iter().map(|place| vec![0.0; place.len()]).collect();
        let (mut loss, mut hits) = (0.0, 0);
        for learned in self.shards.iter().take(shards).map(lock) {
            learned.part.add_gradients(&self.layers, &mut sums);
            (loss, hits) = (loss + learned.loss, hits + learned.hits);
        }
        let mut gradient = vec![0.0; parameters.len()];
        for (sum, place) in sums.iter().zip(&self.places) {
            gradient[place.clone()].copy_from_slice(sum);
        }
        (gradient, loss, hits)
    }
}

/// A shard; one whose learner panicked ends the program anyway.
fn lock(shard: &Mutex<Learned>) -> MutexGuard<'_, Learned> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
