//! Scores by the networks of a cross-validation that did not see the chromosome of a window.

use std::cell::Cell;

use anyhow::{Result, bail};

use crate::dataset::folds::FoldPlan;
use crate::formats::record_names::{self, Coordinates};
use crate::genome::names::{is_same_name, looks_like_a_chromosome, parent};
use crate::scorer::{Activation, Differentiable, LOGITS, Pending, Scorer, Scores};
use crate::task::Task;

/// The networks of each fold, and the chromosomes that they learned from.
pub struct OutOfFold<'a> {
    plan: &'a FoldPlan,
    scorers: Vec<&'a dyn Scorer>,
    without: Cell<usize>,
}

impl<'a> OutOfFold<'a> {
    /// Networks of folds, in their order.
    ///
    /// # Errors
    /// The folds are not of chromosomes, so that none tells what was seen.
    pub fn new(plan: &'a FoldPlan, scorers: Vec<&'a dyn Scorer>) -> Result<Self> {
        check(plan)?;
        Ok(Self { plan, scorers, without: Cell::new(0) })
    }

    /// The folds whose networks learned nothing of the chromosome of a record, which is named after it, or `chr:start-end`.
    ///
    /// # Errors
    /// The name tells no chromosome.
    pub fn folds_of_record(&self, name: &str, bases: usize) -> Result<Vec<usize>> {
        let chromosome = match record_names::parse(name, "", bases) {
            Coordinates::Exact(place) | Coordinates::Derived(place) | Coordinates::Misfit(place) => {
                place.chromosome.to_string()
            }
            Coordinates::Absent => name.to_owned(),
        };
        let folds = self.folds_of_chromosome(&chromosome);
        let is_known = folds.len() < self.scorers.len() || looks_like_a_chromosome(&chromosome);
        if !is_known {
            bail!(
                "record '{name}' tells no chromosome, expected a name chr:start-end for --out-of-fold; rename it or leave the flag out"
            );
        }
        Ok(folds)
    }

    /// The folds whose networks learned nothing of a chromosome.
    pub fn folds_of_chromosome(&self, chromosome: &str) -> Vec<usize> {
        let folds = unseen_by(self.plan, chromosome);
        if folds.is_empty() {
            self.without.set(self.without.get() + 1);
        }
        folds
    }

    /// The networks of these folds as one.
    pub fn networks_of(&self, folds: &[usize]) -> Together<'a> {
        Together(folds.iter().map(|&fold| self.scorers[fold]).collect())
    }

    /// Windows that every network has seen the chromosome of, and which have no score.
    pub fn without(&self) -> usize {
        self.without.get()
    }

    /// Starts scoring windows by the networks of these folds, whose logits are averaged.
    ///
    /// # Errors
    /// The device failed.
    pub fn submit_windows(&self, folds: &[usize], codes: &[u8], starts: &[usize]) -> Result<Pending> {
        self.networks_of(folds).submit_windows(codes, starts)
    }

    /// The part of a control in the logits of these folds.
    ///
    /// # Errors
    /// The device failed.
    pub fn add_control(&self, folds: &[usize], counts: &[f32], logits: &mut [f32]) -> Result<()> {
        self.networks_of(folds).add_control(counts, logits)
    }
}

/// Networks whose logits are averaged. Of one alone they are what it gives.
#[derive(Clone)]
pub struct Together<'a>(pub Vec<&'a dyn Scorer>);

impl Scorer for Together<'_> {
    fn length(&self) -> usize {
        self.0.first().map_or(0, |scorer| scorer.length())
    }

    fn submit(&self, codes: &[u8]) -> Result<Pending> {
        Ok(mean(self.0.iter().map(|scorer| scorer.submit(codes)).collect::<Result<_>>()?))
    }

    fn submit_windows(&self, codes: &[u8], starts: &[usize]) -> Result<Pending> {
        Ok(mean(self.0.iter().map(|scorer| scorer.submit_windows(codes, starts)).collect::<Result<_>>()?))
    }

    fn add_control(&self, counts: &[f32], logits: &mut [f32]) -> Result<()> {
        let mut sum = vec![0.0; logits.len()];
        for scorer in &self.0 {
            scorer.add_control(counts, &mut sum)?;
        }
        let count = self.0.len().max(1) as f32;
        logits.iter_mut().zip(sum).for_each(|(logit, part)| *logit += part / count);
        Ok(())
    }

    fn activation(&self) -> Activation {
        self.0.first().map_or(Task::activate, |scorer| scorer.activation())
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        self.0.iter().all(|scorer| scorer.differentiable().is_some()).then_some(self)
    }
}

impl Together<'_> {
    fn each_differentiable(&self) -> impl Iterator<Item = &dyn Differentiable> {
        self.0.iter().filter_map(|scorer| scorer.differentiable())
    }
}

impl Differentiable for Together<'_> {
    fn score_inputs(&self, inputs: &[f32]) -> Result<Scores> {
        let each = self.each_differentiable().map(|scorer| scorer.score_inputs(inputs).map(Pending::ready));
        mean(each.collect::<Result<_>>()?).wait()
    }

    fn gradients(&self, inputs: &[f32], derivatives: &dyn Fn(&[f32]) -> Vec<f32>) -> Result<Vec<f32>> {
        if let [alone] = self.each_differentiable().collect::<Vec<_>>()[..] {
            return alone.gradients(inputs, derivatives);
        }
        // The derivatives are those at the mean of the logits, which no network has alone.
        let derivatives = derivatives(self.score_inputs(inputs)?.logits());
        let mut sum = vec![0.0; inputs.len()];
        for scorer in self.each_differentiable() {
            let own = scorer.gradients(inputs, &|_| derivatives.clone())?;
            sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
        }
        let count = self.0.len().max(1) as f32;
        sum.iter_mut().for_each(|sum| *sum /= count);
        Ok(sum)
    }
}

/// Checks that folds are of chromosomes.
///
/// # Errors
/// They are not.
pub fn check(plan: &FoldPlan) -> Result<()> {
    if !plan.is_of_chromosomes() {
        bail!(
            "--out-of-fold goes by chromosome, and these folds are made by {}, expected folds of chromosomes; leave it out",
            plan.split_by
        );
    }
    Ok(())
}

/// The folds that neither train nor validate on a chromosome, nor on one that it is a piece of.
pub fn unseen_by(plan: &FoldPlan, chromosome: &str) -> Vec<usize> {
    let is_it = |name: &String| {
        is_same_name(name, chromosome)
            || is_same_name(name, parent(chromosome))
            || is_same_name(parent(name), chromosome)
    };
    let saw = |fold: &usize| {
        let lists = &plan.folds[*fold];
        lists.train.iter().chain(&lists.valid).any(is_it)
    };
    (0..plan.folds.len()).filter(|fold| !saw(fold)).collect()
}

/// The mean of scores that devices may still be computing.
fn mean(pending: Vec<Pending>) -> Pending {
    Pending::new(move || {
        let count = pending.len() as f32;
        let mut each = pending.into_iter();
        let Some(first) = each.next() else { bail!("no network is left to score with") };
        let mut scores = first.wait()?;
        for other in each {
            let other = other.wait()?;
            for array in scores.arrays.iter_mut().filter(|array| array.name == LOGITS) {
                array.values.iter_mut().zip(other.logits()).for_each(|(sum, logit)| *sum += logit);
            }
        }
        if count > 1.0 {
            let logits = scores.arrays.iter_mut().filter(|array| array.name == LOGITS);
            logits.for_each(|array| array.values.iter_mut().for_each(|sum| *sum /= count));
        }
        Ok(scores)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::folds::FoldLists;

    struct Constant(f32);

    impl Scorer for Constant {
        fn length(&self) -> usize {
            4
        }

        fn submit(&self, codes: &[u8]) -> Result<Pending> {
            Ok(Pending::ready(Scores::of_logits(vec![self.0; codes.len() / 4], 1)))
        }
    }

    /// Logits that grow with the square of a sum of the input.
    struct Square(f32);

    impl Scorer for Square {
        fn length(&self) -> usize {
            1
        }

        fn submit(&self, _: &[u8]) -> Result<Pending> {
            Ok(Pending::ready(Scores::of_logits(vec![], 1)))
        }

        fn differentiable(&self) -> Option<&dyn Differentiable> {
            Some(self)
        }
    }

    impl Differentiable for Square {
        fn score_inputs(&self, inputs: &[f32]) -> Result<Scores> {
            let of = |input: &[f32]| self.0 * input.iter().sum::<f32>().powi(2);
            Ok(Scores::of_logits(inputs.chunks(4).map(of).collect(), 1))
        }

        fn gradients(&self, inputs: &[f32], derivatives: &dyn Fn(&[f32]) -> Vec<f32>) -> Result<Vec<f32>> {
            let derivatives = derivatives(self.score_inputs(inputs)?.logits());
            let of = |(input, derivative): (&[f32], &f32)| [2.0 * self.0 * input.iter().sum::<f32>() * derivative; 4];
            Ok(inputs.chunks(4).zip(&derivatives).flat_map(of).collect())
        }
    }

    #[test]
    fn the_gradient_of_several_is_that_of_their_mean() {
        let (one, other) = (Square(1.0), Square(3.0));
        let both = Together(vec![&one, &other]);
        let (inputs, same_as_both) = ([1.0, 2.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0], Square(2.0));
        // Of the square of a logit.
        let derivatives = |logits: &[f32]| logits.iter().map(|logit| 2.0 * logit).collect::<Vec<_>>();
        let found = both.differentiable().unwrap().gradients(&inputs, &derivatives).unwrap();
        assert_eq!(found, same_as_both.gradients(&inputs, &derivatives).unwrap());
        assert_eq!(Together(vec![&one]).gradients(&inputs, &derivatives).unwrap()[0], 108.0);
        assert!(Together(vec![&one, &Constant(1.0)]).differentiable().is_none());
    }

    fn plan(folds: &[[&[&str]; 3]]) -> FoldPlan {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let lists = |[train, valid, test]: &[&[&str]; 3]| FoldLists {
            train: names(train),
            valid: names(valid),
            test: names(test),
        };
        FoldPlan { folds: folds.iter().map(lists).collect(), split_by: "chromosome".into(), ..FoldPlan::default() }
    }

    #[test]
    fn a_chromosome_is_scored_by_those_that_did_not_see_it() {
        let plan = plan(&[[&["chr3", "chr4"], &["chr2"], &["chr1"]], [&["chr1", "chr4"], &["chr3"], &["chr2"]]]);
        for (name, expected) in [("chr1", &[0][..]), ("2", &[1]), ("chr3", &[]), ("chr9", &[0, 1]), ("chr1_hap1", &[0])]
        {
            assert_eq!(unseen_by(&plan, name), expected, "{name}");
        }
        let scorers = [Constant(1.0), Constant(3.0)];
        let folds = OutOfFold::new(&plan, scorers.iter().map(|scorer| scorer as &dyn Scorer).collect()).unwrap();
        assert_eq!(folds.folds_of_record("chr2:10-14", 4).unwrap(), [1]);
        assert_eq!((folds.folds_of_record("chr4", 4).unwrap().len(), folds.without()), (0, 1));
        assert!(folds.folds_of_record("peak7", 4).unwrap_err().to_string().contains("'peak7'"));
        let logits = |of: &[usize]| folds.submit_windows(of, &[0; 8], &[0, 4]).unwrap().wait().unwrap().into_logits();
        assert_eq!((logits(&[1]), logits(&[0, 1])), (vec![3.0; 2], vec![2.0; 2]));
        let by_hash = FoldPlan { folds: vec![FoldLists::default()], split_by: "hash".into(), ..FoldPlan::default() };
        assert!(check(&by_hash).unwrap_err().to_string().contains("made by hash"));
    }
}
