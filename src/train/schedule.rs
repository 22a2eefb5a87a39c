//! How the learning rate changes while training goes on.

use crate::config::Schedule;

/// The learning rate of a step, counted from 0, of `steps` in all.
pub fn learning_rate(schedule: Schedule, lr: f64, step: usize, steps: usize) -> f64 {
    match schedule {
        Schedule::Constant | Schedule::OneCycle | Schedule::Plateau => lr,
        // Half a cosine from the full rate to nothing (Loshchilov and Hutter, 2017), without restarts.
        Schedule::Cosine => {
            let done = step as f64 / steps.max(1) as f64;
            lr * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_falls_from_the_full_rate_to_nothing() {
        let rate = |step| learning_rate(Schedule::Cosine, 2.0, step, 100);
        assert_eq!(rate(0), 2.0);
        assert!((rate(50) - 1.0).abs() < 1e-12);
        assert!(rate(99) < 0.01 && rate(99) > 0.0);
        assert!((1..100).all(|step| rate(step) < rate(step - 1)));
        assert_eq!(learning_rate(Schedule::Constant, 2.0, 99, 100), 2.0);
    }
}
