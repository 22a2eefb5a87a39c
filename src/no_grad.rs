//! Work that leaves no trace for gradients.

/// Runs work on this thread without recording it for gradients. Unlike `tch::no_grad` it records again afterwards even where
/// the work panics, as libtorch's exceptions do here: what trained next, after memory ran out, would learn nothing.
pub fn no_grad<T>(work: impl FnOnce() -> T) -> T {
    let _guard = tch::no_grad_guard();
    work()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    fn records() -> bool {
        let weight = Tensor::ones([2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        (weight * 2.0).requires_grad()
    }

    #[test]
    fn gradients_are_recorded_again_after_a_panic() {
        assert!(!no_grad(records));
        let panicked = std::panic::catch_unwind(|| {
            no_grad(|| Tensor::ones([2], (Kind::Float, Device::Cpu)).view([3i64, 5].as_slice()))
        });
        assert!(panicked.is_err() && records());
    }
}
