//! Random search with successive halving. The trials to come follow from the plan and the finished rows alone, so a search can be
//! stopped and resumed at any time, and shared by several processes. No tensors.

pub mod halving;
pub mod locks;
pub mod plan;
pub mod range;
pub mod sampling;
pub mod trials;

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::config::Config;
use crate::config::search::Search;
use crate::tune::halving::Rung;
use crate::tune::sampling::Trial;
use crate::tune::trials::{Outcome, Row};

/// A search: its trials, with the finished rows.
#[derive(Debug)]
pub struct Tuning {
    /// The hyperparameters and their ranges.
    pub search: Search,
    /// All trials.
    pub trials: Vec<Trial>,
    /// Rungs of successive halving.
    pub rungs: Vec<Rung>,
    /// A row for each finished trial and rung, in any order.
    pub rows: Vec<Row>,
}

/// A trial to be trained at a rung; both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialRun {
    /// Number of the trial.
    pub trial: usize,
    /// Number of the rung.
    pub rung: usize,
    /// Epochs trained at the rung.
    pub epochs: usize,
}

impl Tuning {
    /// The trials that can be trained now, in order: those of a rung that have no row yet. None at the end.
    ///
    /// # Errors
    /// A row does not belong to this search.
    pub fn open_runs(&self) -> Result<Vec<TrialRun>> {
        let mut rows: BTreeMap<(usize, usize), &Row> = BTreeMap::new();
        for row in &self.rows {
            if rows.insert((row.run.rung, row.run.trial), row).is_some() {
                bail!(
                    "holds trial {} of rung {} twice, expected it once; restore the file, or start over with --force",
                    row.run.trial,
                    row.run.rung
                );
            }
        }
        let mut open = Vec::new();
        let mut going: Vec<usize> = self.trials.iter().map(|trial| trial.number).collect();
        for (index, rung) in self.rungs.iter().enumerate() {
            going.truncate(rung.trials);
            going.sort_unstable();
            let mut scores = Vec::with_capacity(going.len());
            for &trial in &going {
                let run = TrialRun { trial, rung: index + 1, epochs: rung.epochs };
                match rows.remove(&(run.rung, trial)) {
                    Some(row) if row.run == run && row.hyperparameters == self.trial(trial).texts() => {
                        scores.push((trial, row.score()));
                    }
                    Some(_) => bail!(
                        "holds trial {trial} of rung {} with other values than were drawn for it; restore the file, or start over with --force",
                        run.rung
                    ),
                    None => open.push(run),
                }
            }
            if !open.is_empty() {
                break; // who goes on is not known before all have a score
            }
            going = halving::ranked(&scores);
        }
        if let Some(((rung, trial), _)) = rows.first_key_value() {
            bail!(
                "holds trial {trial} of rung {rung}, which the search does not come to with the other rows; restore the file, or start over with --force"
            );
        }
        Ok(open)
    }

    /// Adds a row, in order of rungs and trials.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
        self.rows.sort_by_key(|row| (row.run.rung, row.run.trial));
    }

    /// Looks up a trial by its number.
    pub fn trial(&self, number: usize) -> &Trial {
        &self.trials[number - 1]
    }

    /// The configuration of a trial's run. A single member is trained, since it shows the value of a setting as well as
    /// an ensemble.
    pub fn config_of(&self, run: TrialRun) -> Config {
        let mut config = for_epochs(&self.trial(run.trial).config, run.epochs);
        config.training.ensemble = 1;
        config
    }

    /// The metric that trials are compared by, once a trial has a score.
    pub fn metric(&self) -> Option<&str> {
        self.rows.iter().find(|row| row.score().is_some()).map(|row| row.metric.as_str())
    }

    /// The last successful row of each trial, best first: by rung reached, then by score.
    pub fn best(&self) -> Vec<&Row> {
        let mut best: Vec<&Row> = self.rows.iter().filter(|row| row.score().is_some()).collect();
        best.sort_by(|a, b| {
            let by_score = b.score().partial_cmp(&a.score()).unwrap_or(std::cmp::Ordering::Equal);
            b.run.rung.cmp(&a.run.rung).then(by_score).then(a.run.trial.cmp(&b.run.trial))
        });
        let mut seen = std::collections::HashSet::new();
        best.retain(|row| seen.insert(row.run.trial));
        best
    }

    /// The experiment with the settings of a row, for the epochs of its rung.
    pub fn config_of_row(&self, row: &Row) -> Config {
        for_epochs(&self.trial(row.run.trial).config, row.run.epochs)
    }

    /// Rows that failed, with their reasons.
    pub fn failures(&self) -> impl Iterator<Item = (&Row, &str)> {
        self.rows.iter().filter_map(|row| match &row.outcome {
            Outcome::Failed(reason) => Some((row, reason.as_str())),
            Outcome::Done { .. } => None,
        })
    }
}

/// An experiment shortened to a number of epochs, with its warm-up in proportion.
fn for_epochs(config: &Config, epochs: usize) -> Config {
    let mut config = config.clone();
    if epochs != config.training.epochs {
        config.training.warmup *= epochs as f64 / config.training.epochs as f64;
        config.training.epochs = epochs;
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Faults;

    fn tuning(trials: usize) -> Tuning {
        let search = Search::usual();
        let resolve = |_: &toml::Table| Ok::<_, Faults>(Config::default());
        let trials = sampling::trials(&search, trials, 1, resolve).unwrap();
        let rungs = halving::rungs(trials.len(), 9, 3, 3);
        Tuning { search, trials, rungs, rows: Vec::new() }
    }

    /// Carries a search on until the end or `most` rows, always with that of the open trials that `which` names.
    fn go_on_with(
        tuning: &mut Tuning,
        most: usize,
        outcome: impl Fn(TrialRun) -> Outcome,
        which: impl Fn(usize) -> usize,
    ) {
        loop {
            let open = tuning.open_runs().unwrap();
            if open.is_empty() || tuning.rows.len() >= most {
                return;
            }
            let run = open[which(tuning.rows.len()) % open.len()];
            let hyperparameters = tuning.trial(run.trial).texts();
            tuning.add(Row { run, hyperparameters, metric: "auroc".into(), outcome: outcome(run), seconds: 0.0 });
        }
    }

    fn go_on(tuning: &mut Tuning, most: usize, outcome: impl Fn(TrialRun) -> Outcome) {
        go_on_with(tuning, most, outcome, |_| 0);
    }

    fn score(run: TrialRun) -> Outcome {
        let score = ((run.trial * 7) % 10) as f64 / 10.0; // of nine trials 7, 4 and 1 are the best: 0.9, 0.8, 0.7
        Outcome::Done { score, best_epoch: 1 }
    }

    #[test]
    fn the_best_go_on_and_a_search_cut_anywhere_comes_to_the_same() {
        let mut whole = tuning(9);
        go_on(&mut whole, usize::MAX, score);
        let runs: Vec<_> = whole.rows.iter().map(|row| (row.run.rung, row.run.trial, row.run.epochs)).collect();
        let first = (1..=9).map(|trial| (1, trial, 1));
        assert_eq!(runs, first.chain([(2, 1, 3), (2, 4, 3), (2, 7, 3), (3, 7, 9)]).collect::<Vec<_>>());
        assert_eq!(whole.best().iter().map(|row| row.run.trial).collect::<Vec<_>>()[..3], [7, 4, 1]);
        for cut in 0..=runs.len() {
            let mut cut_short = tuning(9);
            go_on(&mut cut_short, cut, score);
            let mut resumed = tuning(9);
            resumed.rows = cut_short.rows;
            go_on(&mut resumed, usize::MAX, score);
            assert_eq!(resumed.rows, whole.rows);
        }
        // Others finish them in another order.
        for step in [1, 4, 7] {
            let mut shared = tuning(9);
            go_on_with(&mut shared, usize::MAX, score, |rows| step * (rows + 1));
            assert_eq!(shared.rows, whole.rows);
        }
        let fault = |change: &dyn Fn(&mut Vec<Row>)| {
            let mut changed = tuning(9);
            changed.rows = whole.rows.clone();
            change(&mut changed.rows);
            changed.open_runs().unwrap_err().to_string()
        };
        assert!(fault(&|rows| rows.push(rows[0].clone())).contains("trial 1 of rung 1 twice"));
        assert!(fault(&|rows| drop(rows.remove(2))).contains("trial 1 of rung 2, which the search does not come to"));
        assert!(fault(&|rows| rows[3].hyperparameters[0] = "7".into()).contains("trial 4 of rung 1 with other values"));
        assert!(fault(&|rows| rows[9].run.trial = 2).contains("trial 2 of rung 2, which"));
    }

    #[test]
    fn failed_trials_do_not_go_on_and_do_not_stop_the_others() {
        let mut some = tuning(9);
        let only = |good: fn(usize) -> bool| {
            move |run: TrialRun| if good(run.trial) { score(run) } else { Outcome::Failed("diverged".into()) }
        };
        go_on(&mut some, usize::MAX, only(|trial| trial == 3 || trial == 5));
        assert_eq!(
            some.rows.iter().filter(|row| row.run.rung == 2).map(|row| row.run.trial).collect::<Vec<_>>(),
            [3, 5]
        );
        assert_eq!(some.failures().count(), 7);
        let mut none = tuning(9);
        go_on(&mut none, usize::MAX, only(|_| false));
        assert_eq!((none.rows.len(), none.best().len()), (9, 0));
    }

    #[test]
    fn fewer_epochs_take_a_shorter_warm_up_and_one_network() {
        let mut tuning = tuning(9);
        tuning.trials[0].config.training.epochs = 9;
        tuning.trials[0].config.training.warmup = 3.0;
        tuning.trials[0].config.training.ensemble = 5;
        let of = |epochs| tuning.config_of(TrialRun { trial: 1, rung: 1, epochs }).training;
        assert_eq!((of(3).warmup, of(3).epochs, of(3).ensemble), (1.0, 3, 1));
        assert_eq!(of(9).warmup, 3.0);
    }
}
