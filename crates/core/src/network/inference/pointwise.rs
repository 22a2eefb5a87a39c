//! Batch norm as a scale and a shift of each channel, and activation functions, number by number. The functions are sums and
//! products of the same order on every processor.

use pulp::{Simd, WithSimd};

use super::features::Features;
use crate::network::kernels::{LANES, Row};

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    Identity,
    Relu,
    Gelu,
    Silu,
    Tanh,
    /// The exponential of at most this.
    Exp(f32),
}

/// A scale and a shift of each channel, and a function of what they make.
#[derive(Clone, Debug)]
pub struct Pointwise {
    /// Scales and shifts, `[groups]` each.
    pub norm: Option<[Vec<Row>; 2]>,
    pub function: Function,
}

impl Pointwise {
    pub fn of_function(function: Function) -> Self {
        Self { norm: None, function }
    }

    /// Applies it to rows of a group.
    pub fn apply(&self, group: usize, rows: &mut [Row]) {
        pulp::Arch::new().dispatch(Apply { pointwise: self, group, rows });
    }

    /// The same of all groups.
    pub fn forward(&self, mut features: Features) -> Features {
        let stride = features.stride().max(1);
        features.rows.chunks_exact_mut(stride).enumerate().for_each(|(group, rows)| self.apply(group, rows));
        features
    }

    /// The gradient of the input from that of the output.
    pub fn backward(&self, mut gradient: Features, input: &Features) -> Features {
        let stride = gradient.stride().max(1);
        let groups = gradient.rows.chunks_exact_mut(stride).zip(input.rows.chunks_exact(stride));
        for (group, (gradient, input)) in groups.enumerate() {
            pulp::Arch::new().dispatch(Derive { pointwise: self, group, gradient, input });
        }
        gradient
    }

    #[inline(always)]
    fn normed(&self, group: usize) -> (Row, Row) {
        match &self.norm {
            Some([scale, shift]) => (scale[group], shift[group]),
            None => (Row([1.0; LANES]), Row::ZERO),
        }
    }
}

struct Apply<'a> {
    pointwise: &'a Pointwise,
    group: usize,
    rows: &'a mut [Row],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (scale, shift) = self.pointwise.normed(self.group);
        let rows = self.rows;
        match self.pointwise.function {
            Function::Identity => each(rows, &scale, &shift, |x| x),
            Function::Relu => each(rows, &scale, &shift, |x| x.max(0.0)),
            Function::Gelu => each(rows, &scale, &shift, gelu),
            Function::Silu => each(rows, &scale, &shift, |x| x * sigmoid(x)),
            Function::Tanh => each(rows, &scale, &shift, tanh),
            Function::Exp(most) => each(rows, &scale, &shift, |x| exp(x.min(most))),
        }
    }
}

/// Adds rows times the sigmoid of others.
pub fn add_gated(out: &mut [Row], made: &[Row], gates: &[Row]) {
    pulp::Arch::new().dispatch(AddGated { out, made, gates });
}

struct AddGated<'a> {
    out: &'a mut [Row],
    made: &'a [Row],
    gates: &'a [Row],
}

impl WithSimd for AddGated<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (out, (made, gate)) in self.out.iter_mut().zip(self.made.iter().zip(self.gates)) {
            let (made, gate, mut total) = (made.0, gate.0, out.0);
            for lane in 0..LANES {
                total[lane] += made[lane] * sigmoid(gate[lane]);
            }
            out.0 = total;
        }
    }
}

#[inline(always)]
fn each(rows: &mut [Row], scale: &Row, shift: &Row, function: impl Fn(f32) -> f32) {
    for row in rows {
        for lane in 0..LANES {
            row.0[lane] = function(row.0[lane] * scale.0[lane] + shift.0[lane]);
        }
    }
}

struct Derive<'a> {
    pointwise: &'a Pointwise,
    group: usize,
    gradient: &'a mut [Row],
    input: &'a [Row],
}

impl WithSimd for Derive<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (scale, shift) = self.pointwise.normed(self.group);
        let Self { gradient, input, pointwise, .. } = self;
        match pointwise.function {
            Function::Identity => slopes(gradient, input, &scale, &shift, |_| 1.0),
            Function::Relu => slopes(gradient, input, &scale, &shift, |x| if x > 0.0 { 1.0 } else { 0.0 }),
            Function::Gelu => slopes(gradient, input, &scale, &shift, |x| {
                half_erfc(-x)
                    + x * std::f32::consts::FRAC_2_SQRT_PI * 0.5 * std::f32::consts::FRAC_1_SQRT_2 * exp(-0.5 * x * x)
            }),
            Function::Silu => slopes(gradient, input, &scale, &shift, |x| {
                let sigmoid = sigmoid(x);
                sigmoid * (1.0 + x * (1.0 - sigmoid))
            }),
            Function::Tanh => slopes(gradient, input, &scale, &shift, |x| {
                let tanh = tanh(x);
                1.0 - tanh * tanh
            }),
            Function::Exp(most) => slopes(gradient, input, &scale, &shift, |x| if x <= most { exp(x) } else { 0.0 }),
        }
    }
}

#[inline(always)]
fn slopes(gradient: &mut [Row], input: &[Row], scale: &Row, shift: &Row, slope: impl Fn(f32) -> f32) {
    for (gradient, input) in gradient.iter_mut().zip(input) {
        for lane in 0..LANES {
            gradient.0[lane] *= slope(input.0[lane] * scale.0[lane] + shift.0[lane]) * scale.0[lane];
        }
    }
}

/// The exponential, to about a unit in the last place: 2 to a whole number times a polynomial on what is left.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Adding it rounds to a whole number.
    const ROUNDING: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Not `clamp`, which checks its bounds; a number that is none stays so.
    let x = if x > 88.3 { 88.3 } else { x };
    let x = if x < -87.3 { -87.3 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUNDING;
    let whole = rounded - ROUNDING;
    let r = (x - whole * LN2_HIGH) - whole * LN2_LOW;
    // Taylor's series: |r| is at most ln(2) / 2, where the next term is 6e-9.
    let mut sum = 1.0 / 5040.0;
    for term in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = sum * r + term;
    }
    // The last bits of what was rounded are the whole number; a conversion would not be done for 16 numbers at a time.
    sum * f32::from_bits(rounded.to_bits().wrapping_sub(ROUNDING.to_bits()).wrapping_add(127) << 23)
}

#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

#[inline(always)]
fn gelu(x: f32) -> f32 {
    x * half_erfc(-x)
}

/// The probability that a standard normal number is above `x`, to 1e-7: Abramowitz and Stegun's 7.1.26 for the error function.
#[inline(always)]
fn half_erfc(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let polynomial = t * (0.254_829_6 + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152 + t * 1.061_405_4))));
    let tail = 0.5 * polynomial * exp(-z * z);
    if x < 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::inference::features::Channels;

    fn numbers() -> impl Iterator<Item = f32> {
        (-2000..2000).map(|i| i as f32 * 0.01)
    }

    #[test]
    fn functions_are_those_of_the_mathematics_library() {
        for x in numbers() {
            let relative = |found: f32, expected: f64| (f64::from(found) - expected).abs() / expected.abs().max(1.0);
            let wide = f64::from(x);
            assert!(relative(exp(x), wide.exp()) < 3e-7, "{x}");
            assert!((f64::from(exp(x)) / wide.exp() - 1.0).abs() < 3e-7, "{x}");
            assert!(relative(tanh(x), wide.tanh()) < 3e-7, "{x}");
            assert!(relative(sigmoid(x), 1.0 / (1.0 + (-wide).exp())) < 3e-7, "{x}");
            let normal = 0.5 * libm::erfc(-wide / 2f64.sqrt());
            assert!(relative(gelu(x), wide * normal) < 5e-7, "{x}");
        }
        assert_eq!(exp(-1e9), exp(-87.3));
        assert!(exp(1e9).is_finite() && exp(f32::NAN).is_nan() && gelu(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
    }

    #[test]
    fn slopes_are_differences() {
        for function in
            [Function::Identity, Function::Relu, Function::Gelu, Function::Silu, Function::Tanh, Function::Exp(6.0)]
        {
            let norm = Some([vec![Row([1.5; LANES])], vec![Row([0.3; LANES])]]);
            let pointwise = Pointwise { norm, function };
            let value = |x: f32| {
                let mut rows = [Row([x; LANES])];
                pointwise.apply(0, &mut rows);
                f64::from(rows[0].0[3])
            };
            for x in [-3.0, -1.1, -0.3, 0.2, 0.9, 2.0, 5.0f32] {
                let mut input = Features::zeros(Channels::one_part(16), 1, 1);
                input.rows[0] = Row([x; LANES]);
                let mut one = input.zeros_like();
                one.rows[0] = Row([1.0; LANES]);
                let found = f64::from(pointwise.backward(one, &input).rows[0].0[3]);
                let expected = (value(x + 1e-2) - value(x - 1e-2)) / 2e-2;
                assert!(
                    (found - expected).abs() < 2e-3 * expected.abs().max(1.0),
                    "{function:?} {x} {found} {expected}"
                );
            }
        }
    }
}
