//! The interface between networks and everything that uses their scores: evaluation, prediction and attribution take a
//! [`Scorer`] and need no tensors. The package `strandnet` implements it with libtorch.

use anyhow::Result;

use crate::task::Task;

/// Name of the array that holds raw outputs, `[n, outputs]`.
pub const LOGITS: &str = "logits";

/// One array of scores, row by row, whose first axis is the sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// What the array holds, such as [`LOGITS`].
    pub name: &'static str,
    /// Shape for one sequence: an array of n sequences is `[n, shape...]`.
    pub shape: Vec<usize>,
    /// Row-major values, `[n, shape...]`.
    pub values: Vec<f32>,
}

/// Outputs of a scorer for n sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// Number of sequences.
    pub n: usize,
    /// The outputs of the scorer, each with `n` as its first axis.
    pub arrays: Vec<Array>,
}

impl Scores {
    /// Scores that consist of logits `[n, outputs]` only.
    pub fn of_logits(values: Vec<f32>, outputs: usize) -> Self {
        Self { n: values.len() / outputs.max(1), arrays: vec![Array { name: LOGITS, shape: vec![outputs], values }] }
    }

    /// Looks up an array by name.
    pub fn get(&self, name: &str) -> Option<&Array> {
        self.arrays.iter().find(|array| array.name == name)
    }

    /// Logits `[n, outputs]`, row by row; empty if the scorer gives none.
    pub fn logits(&self) -> &[f32] {
        self.get(LOGITS).map_or(&[], |array| &array.values)
    }

    /// Like [`Scores::logits`], by value.
    pub fn into_logits(self) -> Vec<f32> {
        self.arrays.into_iter().find(|array| array.name == LOGITS).map_or_else(Vec::new, |array| array.values)
    }
}

/// Scores that a device may still be computing.
pub struct Pending(Box<dyn FnOnce() -> Result<Scores> + Send>);

impl Pending {
    /// Scores that `wait` returns when they are complete.
    pub fn new(wait: impl FnOnce() -> Result<Scores> + Send + 'static) -> Self {
        Self(Box::new(wait))
    }

    /// Scores that are complete.
    pub fn ready(scores: Scores) -> Self {
        Self::new(move || Ok(scores))
    }

    /// Scores whose logits have a part more, `[n, outputs]`.
    pub fn plus(self, part: Vec<f32>) -> Self {
        Self::new(move || {
            let mut scores = self.wait()?;
            for array in scores.arrays.iter_mut().filter(|array| array.name == LOGITS) {
                array.values.iter_mut().zip(&part).for_each(|(logit, part)| *logit += part);
            }
            Ok(scores)
        })
    }

    /// Waits for the scores.
    ///
    /// # Errors
    /// The device failed.
    pub fn wait(self) -> Result<Scores> {
        (self.0)()
    }
}

/// Converts logits into predictions `[n, outputs]`, of bins their means.
pub type Activation = fn(&Task, &[f32]) -> Result<Vec<f64>>;

/// A network, or an ensemble, with its weights.
pub trait Scorer {
    /// Length of a sequence, in bp.
    fn length(&self) -> usize;

    /// Starts scoring codes `[n, length]`.
    ///
    /// # Errors
    /// The codes are not whole sequences, or the device failed.
    fn submit(&self, codes: &[u8]) -> Result<Pending>;

    /// Starts scoring windows that start at `starts` of codes, in ascending order. Overlaps may be computed once.
    ///
    /// # Errors
    /// As [`Scorer::submit`].
    fn submit_windows(&self, codes: &[u8], starts: &[usize]) -> Result<Pending> {
        let windows = starts.iter().flat_map(|&start| &codes[start..start + self.length()]);
        self.submit(&windows.copied().collect::<Vec<_>>())
    }

    /// Scores of codes `[n, length]`.
    ///
    /// # Errors
    /// As [`Scorer::submit`].
    fn score(&self, codes: &[u8]) -> Result<Scores> {
        self.submit(codes)?.wait()
    }

    /// Adds the part of a control to logits `[n, outputs]` of sequences, from its counts `[n, control, control_length]`; what has no
    /// control leaves them as they are.
    ///
    /// # Errors
    /// The device failed.
    fn add_control(&self, _counts: &[f32], _logits: &mut [f32]) -> Result<()> {
        Ok(())
    }

    /// Converts logits into predictions: plain arithmetic, unless the scorer has its own.
    fn activation(&self) -> Activation {
        Task::activate
    }

    /// The interface for gradients with respect to the input, if supported.
    fn differentiable(&self) -> Option<&dyn Differentiable> {
        None
    }
}

/// A scorer that computes gradients with respect to its input.
pub trait Differentiable {
    /// Scores of inputs `[n, 4, length]`, which need not be one-hot.
    ///
    /// # Errors
    /// As [`Scorer::submit`].
    fn score_inputs(&self, inputs: &[f32]) -> Result<Scores>;

    /// Gradients with respect to inputs `[n, 4, length]`, of the same shape; `derivatives` gives the derivatives of the
    /// target with respect to the logits `[n, outputs]`.
    ///
    /// # Errors
    /// As [`Scorer::submit`].
    fn gradients(&self, inputs: &[f32], derivatives: &dyn Fn(&[f32]) -> Vec<f32>) -> Result<Vec<f32>>;
}

/// Batch size for sequences of this length: enough bases to keep every core busy in little memory.
pub fn batch_size(length: usize) -> usize {
    const BASES: usize = 1 << 17;
    (BASES / length.max(1)).clamp(1, 1024)
}

/// Converts codes `[n, length]` to one-hot `[n, 4, length]`; code 4 is a zero column.
pub fn one_hot(codes: &[u8], length: usize) -> Vec<f32> {
    let mut input = vec![0.0; codes.len() * 4];
    for (codes, input) in codes.chunks(length).zip(input.chunks_mut(4 * length)) {
        for (position, &code) in codes.iter().enumerate().filter(|&(_, &code)| code < 4) {
            input[usize::from(code) * length + position] = 1.0;
        }
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts each base: four outputs.
    struct Counter;

    impl Scorer for Counter {
        fn length(&self) -> usize {
            3
        }

        fn submit(&self, codes: &[u8]) -> Result<Pending> {
            let counts = codes
                .chunks(3)
                .flat_map(|codes| (0..4u8).map(move |base| codes.iter().filter(|&&code| code == base).count() as f32));
            Ok(Pending::ready(Scores::of_logits(counts.collect(), 4)))
        }
    }

    #[test]
    fn windows_score_as_they_do_alone() {
        let codes = [0, 1, 2, 3, 3, 4];
        let windows = Counter.submit_windows(&codes, &[0, 2, 3]).unwrap().wait().unwrap();
        assert_eq!((windows.n, windows.get(LOGITS).unwrap().shape.as_slice()), (3, [4].as_slice()));
        let alone: Vec<f32> = [0, 2, 3]
            .iter()
            .flat_map(|&start| Counter.score(&codes[start..start + 3]).unwrap().into_logits())
            .collect();
        assert_eq!(windows.logits(), alone);
    }

    #[test]
    fn an_unknown_base_is_the_zero_column() {
        assert_eq!(one_hot(&[0, 4, 3], 3), [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    }
}
