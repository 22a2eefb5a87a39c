//! Early stopping: the best epoch so far, and when to stop waiting for a better one.

use serde::{Deserialize, Serialize};

/// Consequence of an epoch's validation score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The best so far.
    Best,
    /// No improvement, but within patience.
    Continue,
    /// No improvement for as long as `--patience` allows.
    Stop,
}

/// The best epoch so far, counted from 1, and its score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Its validation score; higher is better.
    #[serde(with = "crate::training::number")]
    pub score: f64,
}

/// Tracks the validation score; higher is better.
#[derive(Clone, Copy, Debug)]
pub struct EarlyStopping {
    patience: Option<usize>,
    /// The best epoch so far; `None` before the first.
    pub best: Option<Best>,
}

impl EarlyStopping {
    /// Starts before the first epoch; without a patience training is never stopped.
    pub fn new(patience: Option<usize>) -> Self {
        Self { patience, best: None }
    }

    /// Records the score of an epoch, counted from 1. The first of equal scores is the best.
    pub fn after(&mut self, epoch: usize, score: f64) -> Decision {
        match self.best {
            Some(best) if score <= best.score || score.is_nan() => {
                let waited = epoch - self.best_epoch();
                if self.patience.is_some_and(|patience| waited >= patience) {
                    Decision::Stop
                } else {
                    Decision::Continue
                }
            }
            _ => {
                self.best = Some(Best { epoch, score });
                Decision::Best
            }
        }
    }

    /// Counted from 1; 0 before the first epoch.
    pub fn best_epoch(&self) -> usize {
        self.best.map_or(0, |best| best.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Decision::{Best, Continue, Stop};

    #[test]
    fn it_stops_after_as_many_epochs_without_a_better_one_as_patience_says() {
        let mut stopping = EarlyStopping::new(Some(2));
        let scores = [0.6, 0.7, 0.7, 0.8, 0.79, 0.8];
        let decisions: Vec<Decision> = (1..).zip(scores).map(|(epoch, score)| stopping.after(epoch, score)).collect();
        assert_eq!(decisions, [Best, Best, Continue, Best, Continue, Stop]);
        assert_eq!(stopping.best_epoch(), 4);
    }

    #[test]
    fn without_patience_it_never_stops() {
        let mut stopping = EarlyStopping::new(None);
        assert_eq!(stopping.after(1, 0.5), Best);
        assert!((2..1000).all(|epoch| stopping.after(epoch, 0.5) == Continue));
    }
}
