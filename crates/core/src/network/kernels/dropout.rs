//! Dropout masks from a stateless generator: a draw depends only on the key and the position, so it is the same for any
//! number of threads.

use crate::network::kernels::LANES;

/// The key of a training step; no two steps share draws.
#[derive(Clone, Copy, Debug)]
pub struct Key(pub u64);

impl Key {
    /// Derives the key of a part of the step, such as a fragment or a layer.
    pub fn of(self, fragment: usize, part: usize) -> Self {
        let mut word = self.0 ^ (fragment as u64).rotate_left(32) ^ part as u64;
        for multiplier in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
            word = (word ^ (word >> 30)).wrapping_mul(multiplier);
        }
        Self(word ^ (word >> 31))
    }
}

/// Dropout probability in units of 1/65,536.
#[derive(Clone, Copy, Debug)]
pub struct Rate(u32);

impl Rate {
    const UNIT: f64 = 65_536.0;

    pub fn new(share: f64) -> Self {
        Self((share * Self::UNIT).round().clamp(0.0, Self::UNIT - 1.0) as u32)
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Scale of the values kept, which preserves their mean.
    pub fn scale(self) -> f32 {
        (Self::UNIT / (Self::UNIT - f64::from(self.0))) as f32
    }
}

/// Fills the mask: all ones for a value kept and 0 for one dropped. A draw of 32 bits covers two values, half the mask
/// apart: it is a hash of the position (with the multipliers and shifts of Wellons's search for such hashes, 2018) with
/// both halves of the key mixed in.
#[inline(always)]
pub fn draw(keep: &mut [[u32; LANES]], Key(key): Key, rate: Rate) {
    let keep = keep.as_flattened_mut();
    let half = keep.len() / 2;
    let (low, high) = keep.split_at_mut(half);
    let high = &mut high[..half];
    let (first, second) = (key as u32, (key >> 32) as u32);
    // As signed numbers, which every instruction set can compare.
    let least = ((rate.0 << 16) ^ 0x8000_0000) as i32;
    for place in 0..half {
        let mut word = (place as u32).wrapping_mul(0x9e37_79b9) ^ first;
        word ^= word >> 16;
        word = word.wrapping_mul(0x21f0_aaad).wrapping_add(second);
        word ^= word >> 15;
        word = word.wrapping_mul(0x735a_2d97);
        word ^= word >> 15;
        low[place] = 0u32.wrapping_sub(u32::from((word << 16) as i32 >= least));
        high[place] = 0u32.wrapping_sub(u32::from(word as i32 >= least));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(key: Key, rate: f64, rows: usize) -> Vec<bool> {
        let mut keep = vec![[7; LANES]; rows];
        draw(&mut keep, key, Rate::new(rate));
        assert!(keep.as_flattened().iter().all(|&bits| bits == 0 || bits == u32::MAX));
        keep.as_flattened().iter().map(|&bits| bits == 0).collect()
    }

    #[test]
    fn it_drops_the_share_asked_for() {
        for rate in [0.0, 0.1, 0.2, 0.5, 0.9] {
            let n = 400 * 97 * LANES;
            let dropped: usize =
                (0..400).map(|i| drawn(Key(1).of(i, 0), rate, 97).iter().filter(|&&dropped| dropped).count()).sum();
            let deviation = (rate * (1.0 - rate) / n as f64).sqrt().max(1e-9);
            assert!((dropped as f64 / n as f64 - rate).abs() < 4.0 * deviation, "{rate}: {dropped} of {n}");
            let kept = 1.0 - dropped as f64 / n as f64;
            assert!((kept * f64::from(Rate::new(rate).scale()) - 1.0).abs() < 0.02);
        }
    }

    /// Pairs that a poor hash would tie: neighbours, the two halves of a draw, the same place of two fragments, steps and parts.
    #[test]
    fn what_it_drops_in_one_place_says_nothing_of_another() {
        let (rate, rows) = (0.3, 96);
        let all: Vec<Vec<bool>> = (0..200).map(|i| drawn(Key(i / 50).of(i as usize % 50, 0), rate, rows)).collect();
        let of_part: Vec<Vec<bool>> = (0..200).map(|i| drawn(Key(i / 50).of(i as usize % 50, 1), rate, rows)).collect();
        let (size, half) = (rows * LANES, rows * LANES / 2);
        let share = |pairs: &mut dyn Iterator<Item = (bool, bool)>| {
            let (mut both, mut n) = (0usize, 0usize);
            pairs.for_each(|(a, b)| (both, n) = (both + usize::from(a && b), n + 1));
            let (found, p) = (both as f64 / n as f64, rate * rate);
            assert!((found - p).abs() < 4.5 * (p * (1.0 - p) / n as f64).sqrt(), "{found} of {n}, expected {p}");
        };
        for distance in [1, 2, 3, LANES, 2 * LANES, half, half + 1] {
            share(&mut all.iter().flat_map(|one| (0..size - distance).map(move |i| (one[i], one[i + distance]))));
        }
        for shift in [1, 50] {
            let others = all.iter().zip(&all[shift..]);
            share(&mut others.flat_map(|(a, b)| a.iter().copied().zip(b.iter().copied())));
        }
        share(&mut all.iter().zip(&of_part).flat_map(|(a, b)| a.iter().copied().zip(b.iter().copied())));
    }
}
