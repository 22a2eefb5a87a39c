//! Fused training steps: from parameters and a batch to loss and gradient in one round of a thread pool.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::workers::WorkerPool;
use super::{FRAGMENTS, Key, Layers, Part, Weights};

/// The loss of a binary task.
#[derive(Clone, Copy, Debug)]
pub struct BinaryLoss {
    /// Squared error of the probability, instead of cross-entropy.
    pub is_squared: bool,
    /// Index of the positive class.
    pub positive: usize,
    /// Share of each label that is spread evenly over both classes, 0 to 1.
    pub label_smoothing: f64,
    /// Weight of each class.
    pub weights: [f64; 2],
}

impl BinaryLoss {
    /// Contribution of some logits of a batch of `n` to its mean loss, and the number predicted correctly; replaces the
    /// logits by the gradients of the mean loss with respect to them.
    pub fn of(&self, logits: &mut [f32], labels: &[f32], n: usize) -> (f64, usize) {
        let (mut loss, mut hits) = (0.0, 0);
        for (logit, &label) in logits.iter_mut().zip(labels) {
            let (z, is_positive) = (f64::from(*logit), label as usize == self.positive);
            let target = f64::from(u8::from(is_positive)) * (1.0 - self.label_smoothing) + self.label_smoothing / 2.0;
            let weight = self.weights[usize::from(label >= 0.5)] / n as f64;
            // Both from the exponential that cannot overflow.
            let small = (-z.abs()).exp();
            let p = if z >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
            let (own, slope) = if self.is_squared {
                ((p - target).powi(2), 2.0 * (p - target) * p * (1.0 - p))
            } else {
                (z.max(0.0) - z * target + small.ln_1p(), p - target)
            };
            loss += weight * own;
            *logit = (weight * slope) as f32;
            hits += usize::from((z > 0.0) == is_positive);
        }
        (loss, hits)
    }
}

/// Training steps without libtorch: forward pass, loss and backward pass of a batch in one round of a thread pool.
#[derive(Debug)]
pub struct FusedStep {
    state: Arc<State>,
    pool: WorkerPool,
}

/// What the threads of a round share.
#[derive(Debug)]
struct State {
    layers: Layers,
    /// Ranges of the layers' parameters in the flat buffer.
    places: Vec<Range<usize>>,
    loss: BinaryLoss,
    batch: RwLock<Batch>,
    shards: Vec<Mutex<ShardResult>>,
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

/// Results of a shard.
#[derive(Debug, Default)]
struct ShardResult {
    part: Part,
    outputs: Vec<f32>,
    /// Its part of the mean loss, and the number predicted correctly.
    loss: f64,
    hits: usize,
}

impl State {
    /// Computes shard `number` of the batch.
    fn compute(&self, number: usize) {
        let batch = self.batch.read().unwrap_or_else(PoisonError::into_inner);
        let Batch { weights, key, codes, labels } = &*batch;
        let Self { layers, loss, .. } = self;
        let Some(mut result) = self.shards.get(number).map(lock) else { return };
        let ShardResult { part, outputs, loss: own_loss, hits } = &mut *result;
        let (length, n) = (layers.shape.length, labels.len());
        let fragments = number * FRAGMENTS..n.min((number + 1) * FRAGMENTS);
        outputs.resize(fragments.len() * layers.size, 0.0);
        let codes = &codes[fragments.start * length..fragments.end * length];
        layers.forward(weights, part, Some(*key), number, codes, outputs);
        (*own_loss, *hits) = loss.of(outputs, &labels[fragments], n);
        layers.backward(weights, part, outputs);
    }
}

impl FusedStep {
    /// Allocates for batches of up to `largest` fragments.
    pub(super) fn new(
        layers: Layers,
        places: Vec<Range<usize>>,
        loss: BinaryLoss,
        largest: usize,
        threads: usize,
    ) -> Self {
        let batch = Batch { weights: Weights::default(), key: Key(0), codes: Vec::new(), labels: Vec::new() };
        let mut shards = Vec::new();
        shards.resize_with(largest.div_ceil(FRAGMENTS), Mutex::default);
        let state = Arc::new(State { layers, places, loss, batch: RwLock::new(batch), shards });
        let own = state.clone();
        Self { pool: WorkerPool::new(threads, move |shard| own.compute(shard)), state }
    }

    /// Gradient of the mean loss of a batch with respect to all `parameters`, with the loss and the number predicted
    /// correctly, from codes `[n, length]` and labels `[n]`. The same for any number of threads.
    pub fn gradient(&self, parameters: &[f32], codes: Vec<u8>, labels: Vec<f32>, key: Key) -> (Vec<f32>, f64, usize) {
        let State { layers, places, batch, shards, .. } = &*self.state;
        let n = labels.len().div_ceil(FRAGMENTS);
        {
            let mut batch = batch.write().unwrap_or_else(PoisonError::into_inner);
            let values: Vec<&[f32]> = places.iter().map(|place| &parameters[place.clone()]).collect();
            batch.weights.fill(&layers.shape, &values);
            (batch.key, batch.codes, batch.labels) = (key, codes, labels);
        }
        self.pool.run(n);
        let mut gradients: Vec<Vec<f32>> = places.iter().map(|place| vec![0.0; place.len()]).collect();
        let (mut loss, mut hits) = (0.0, 0);
        for result in shards.iter().take(n).map(lock) {
            result.part.add_gradients(layers, &mut gradients);
            (loss, hits) = (loss + result.loss, hits + result.hits);
        }
        let mut gradient = vec![0.0; parameters.len()];
        for (sum, place) in gradients.iter().zip(places) {
            gradient[place.clone()].copy_from_slice(sum);
        }
        (gradient, loss, hits)
    }
}

/// Locks a shard; a panic of the thread that held it ends the program anyway.
fn lock(shard: &Mutex<ShardResult>) -> MutexGuard<'_, ShardResult> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
