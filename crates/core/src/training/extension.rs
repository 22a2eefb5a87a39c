//! What it means to train a run for more epochs than it was begun for: `train --resume RUN --epochs N`.

use crate::config::{self, TrainingConfig};
use crate::training::schedule::Schedule;

/// A run that is to have more epochs.
#[derive(Clone, Copy, Debug)]
pub struct Extension {
    /// Epochs that the run was begun for.
    pub from: usize,
    /// Epochs that it is to have.
    pub to: usize,
    /// Epochs that it has.
    pub trained: usize,
    /// Whether training ended, after all epochs or before.
    pub ended: bool,
}

impl Extension {
    /// What the longer run comes to beside one of as many epochs from the start, as a sentence.
    ///
    /// # Errors
    /// It cannot be extended; the error says why and what to do.
    pub fn meaning(&self, training: &TrainingConfig) -> Result<String, String> {
        let Self { from, to, trained, ended } = *self;
        if to < from || (to == from && ended) {
            return Err(format!("--epochs is {to}, expected more than the {from} of the run"));
        }
        if trained == 0 {
            return Ok(format!("no epoch is trained yet, so the run is one of {to} epochs"));
        }
        if training.ensemble > 1 {
            return Err(format!(
                "--epochs is given with --resume, and the run is an ensemble, of whose finished members only the best weights are kept; train again with --epochs {to}"
            ));
        }
        if ended && trained < from {
            return Err(format!(
                "--epochs is given with --resume, and the run was stopped after epoch {trained} of {from}, before its epochs were over, so that more would not be trained; train again without --patience or with a larger one"
            ));
        }
        Ok(match training.schedule {
            config::Schedule::OneCycle => {
                return Err(format!(
                    "--epochs is given with --resume, and the run has the schedule one-cycle, which is planned for its {from} epochs; train again with --epochs {to}"
                ));
            }
            config::Schedule::Constant | config::Schedule::Plateau => format!(
                "{from} epochs become {to}: with the schedule {} that is what training {to} epochs from the start comes to",
                config::name_of(&training.schedule)
            ),
            config::Schedule::Cosine => {
                let rate = |epochs: usize, epoch: usize| {
                    const STEPS: usize = 1000; // of an epoch, whose number does not matter for the rate between epochs
                    let training = TrainingConfig { epochs, ..training.clone() };
                    Schedule::new(&training, STEPS).rates(epoch * STEPS).lr
                };
                format!(
                    "{from} epochs become {to}: the learning rate, {:.2e} after epoch {trained}, goes on at {:.2e}, as the cosine of {to} epochs has it there; that is not the same as training {to} epochs from the start",
                    rate(from, trained),
                    rate(to, trained)
                )
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_more_epochs_mean_depends_on_the_schedule() {
        let training = |schedule| TrainingConfig { schedule, lr: 0.01, warmup: 0.0, epochs: 8, ..Default::default() };
        let finished = Extension { from: 8, to: 40, trained: 8, ended: true };
        let meaning = |extension: Extension, schedule| match extension.meaning(&training(schedule)) {
            Ok(text) | Err(text) => text,
        };
        assert!(meaning(finished, config::Schedule::Constant).contains("from the start comes to"));
        assert!(meaning(finished, config::Schedule::Plateau).contains("from the start comes to"));
        let cosine = meaning(finished, config::Schedule::Cosine);
        assert!(cosine.contains("0.00e0 after epoch 8, goes on at 9.05e-3"), "{cosine}");
        assert!(cosine.contains("not the same"), "{cosine}");
        assert!(finished.meaning(&training(config::Schedule::OneCycle)).unwrap_err().contains("one-cycle"));
        for (extension, part) in [
            (Extension { to: 7, ..finished }, "more than the 8"),
            (Extension { to: 8, ..finished }, "more than the 8"),
            (Extension { trained: 5, ..finished }, "stopped after epoch 5"),
        ] {
            assert!(extension.meaning(&training(config::Schedule::Cosine)).unwrap_err().contains(part));
        }
        let members = TrainingConfig { ensemble: 2, ..training(config::Schedule::Constant) };
        assert!(finished.meaning(&members).unwrap_err().contains("ensemble"));
        let begun = Extension { trained: 0, ended: false, ..finished };
        assert!(begun.meaning(&training(config::Schedule::OneCycle)).is_ok());
    }
}
