//! Minimisation of a smooth convex function of up to a few thousand parameters: L-BFGS with backtracking (Nocedal and
//! Wright, 2006, algorithms 7.4 and 3.1). argmin's line search has no limit of its own and stops at the first number
//! that is not finite, which a step beyond what `exp` can hold gives.

use std::collections::VecDeque;

/// Limit on steps.
const MOST_STEPS: usize = 500;

/// Steps that the approximation of the Hessian holds.
const MEMORY: usize = 20;

/// The minimum is found when no derivative is larger, or when a step no longer lowers the value.
const GRADIENT_TOLERANCE: f64 = 1e-9;

/// Halvings of a step before the search along it is given up.
const MOST_HALVINGS: usize = 60;

/// The parameters of the least value, from a start. `of` gives the value and the gradient at a point.
pub fn minimise(start: Vec<f64>, mut of: impl FnMut(&[f64]) -> (f64, Vec<f64>)) -> Vec<f64> {
    let mut point = start;
    let (mut value, mut gradient) = of(&point);
    let mut memory: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::new();
    for _ in 0..MOST_STEPS {
        if gradient.iter().all(|derivative| derivative.abs() < GRADIENT_TOLERANCE) {
            break;
        }
        let direction = direction(&gradient, &memory);
        let descent = dot(&direction, &gradient);
        let found = (0..MOST_HALVINGS).find_map(|halvings| {
            let share = 0.5f64.powi(halvings as i32);
            let to: Vec<f64> = point.iter().zip(&direction).map(|(at, step)| at + share * step).collect();
            let (found, gradient) = of(&to);
            (found < value + 1e-4 * share * descent).then_some((to, found, gradient))
        });
        let Some((to, found, new)) = found else { break };
        let step: Vec<f64> = to.iter().zip(&point).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = new.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        if dot(&step, &change) > 0.0 {
            memory.push_back((step, change));
            if memory.len() > MEMORY {
                memory.pop_front();
            }
        }
        (point, value, gradient) = (to, found, new);
    }
    point
}

/// Downhill, by the two loops over the last steps and changes of the gradient.
fn direction(gradient: &[f64], memory: &VecDeque<(Vec<f64>, Vec<f64>)>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|derivative| -derivative).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for (step, change) in memory.iter().rev() {
        let share = dot(step, &direction) / dot(step, change);
        direction.iter_mut().zip(change).for_each(|(at, change)| *at -= share * change);
        shares.push(share);
    }
    if let Some((step, change)) = memory.back() {
        let scale = dot(step, change) / dot(change, change);
        direction.iter_mut().for_each(|at| *at *= scale);
    }
    for ((step, change), share) in memory.iter().zip(shares.into_iter().rev()) {
        let correction = share - dot(change, &direction) / dot(step, change);
        direction.iter_mut().zip(step).for_each(|(at, step)| *at += correction * step);
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_valley_is_followed_to_its_end() {
        // Convex, with curvatures a million apart and a steep exponential wall.
        let found = minimise(vec![-3.0, 5.0, 2.0], |at| {
            let value = 1e3 * (at[0] - 1.0).powi(2) + 1e-3 * (at[1] + 2.0).powi(2) + at[2].exp() - at[2];
            (value, vec![2e3 * (at[0] - 1.0), 2e-3 * (at[1] + 2.0), at[2].exp() - 1.0])
        });
        let expected = [1.0, -2.0, 0.0];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    }
}
