//! Successive halving (Jamieson and Talwalkar, 2016): all trials start with few epochs, and at each rung the best of
//! them get several times more.

/// A rung of successive halving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Number of trials that reach the rung.
    pub trials: usize,
    /// Number of epochs of each.
    pub epochs: usize,
}

/// The rungs of a search, shortest first: at each, one trial in `eta` continues with `eta` times the epochs, up to
/// `epochs` at the last. There are fewer than `most` if a rung would have no trials or the same epochs as the next,
/// since trials would only be trained again as they were.
pub fn rungs(trials: usize, epochs: usize, most: usize, eta: usize) -> Vec<Rung> {
    let mut lengths = vec![epochs];
    let (mut share, mut left) = (eta, trials / eta);
    while lengths.len() < most && left > 0 {
        let rounded = ((epochs + share / 2) / share).max(1);
        if lengths.last() == Some(&rounded) {
            break;
        }
        lengths.push(rounded);
        share = share.saturating_mul(eta);
        left /= eta;
    }
    let mut trials = trials * eta;
    lengths
        .into_iter()
        .rev()
        .map(|epochs| {
            trials /= eta;
            Rung { trials, epochs }
        })
        .collect()
}

/// Trials by score, best first, and equal ones in order of drawing; failed ones are left out.
pub fn ranked(scores: &[(usize, Option<f64>)]) -> Vec<usize> {
    let mut good: Vec<(usize, f64)> = scores.iter().filter_map(|&(trial, score)| Some((trial, score?))).collect();
    good.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    good.into_iter().map(|(trial, _)| trial).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(rungs: &[Rung]) -> Vec<(usize, usize)> {
        rungs.iter().map(|rung| (rung.trials, rung.epochs)).collect()
    }

    #[test]
    fn a_third_goes_on_with_three_times_the_epochs() {
        assert_eq!(pairs(&rungs(27, 25, 3, 3)), [(27, 3), (9, 8), (3, 25)]);
        assert_eq!(pairs(&rungs(27, 8, 3, 3)), [(27, 1), (9, 3), (3, 8)]);
        assert_eq!(pairs(&rungs(20, 8, 3, 3)), [(20, 1), (6, 3), (2, 8)]);
        assert_eq!(pairs(&rungs(2, 8, 3, 3)), [(2, 8)], "too few to choose from");
        assert_eq!(pairs(&rungs(27, 2, 3, 3)), [(27, 1), (9, 2)], "one epoch is the least");
        assert_eq!(pairs(&rungs(27, 1, 3, 3)), [(27, 1)]);
        assert_eq!(pairs(&rungs(27, 25, 1, 3)), [(27, 25)]);
    }

    #[test]
    fn equals_keep_their_order_and_failures_drop_out() {
        assert_eq!(ranked(&[(1, Some(0.5)), (2, None), (3, Some(0.7)), (4, Some(0.5))]), [3, 1, 4]);
        assert!(ranked(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn rungs_narrow_and_lengthen(trials in 1usize..2000, epochs in 1usize..500, most in 1usize..8, eta in 2usize..8) {
            let rungs = rungs(trials, epochs, most, eta);
            prop_assert!((1..=most).contains(&rungs.len()));
            prop_assert_eq!(rungs[0].trials, trials);
            prop_assert_eq!(rungs[rungs.len() - 1].epochs, epochs);
            for two in rungs.windows(2) {
                prop_assert_eq!(two[1].trials, two[0].trials / eta);
                prop_assert!(two[1].trials >= 1 && two[0].epochs >= 1 && two[0].epochs < two[1].epochs);
            }
        }
    }
}
