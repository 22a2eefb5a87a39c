use super::*;
use crate::config::{Architecture, ModelConfig, Strands};
use crate::network::Outputs;
use crate::random::{self, Purpose};
use crate::sequence::profile::ProfileShape;
use rand::RngExt;

fn plan(arch: Architecture, filters: usize, depth: usize, length: usize, tracks: &[usize], profile: usize) -> Plan {
    let config = ModelConfig { arch, filters: Some(filters), depth: Some(depth), ..ModelConfig::default() };
    let shape = ProfileShape { tracks: tracks.to_vec(), length: profile, ..ProfileShape::default() };
    let outputs = Outputs { columns: 0, bins: None, profile: Some(shape) };
    Plan::new(&config, length, outputs, Strands::Single).unwrap()
}

/// Numbers `[positions, channels]`.
type Numbers = Vec<Vec<f64>>;

/// The middle positions, so many, with zeros at both ends where there are too few; and the place of the first of them.
fn middle(xs: &Numbers, kept: usize) -> (Numbers, isize) {
    let spare = xs.len() as isize - kept as isize;
    let first = if spare >= 0 { spare / 2 } else { -(-spare / 2) };
    let zeros = vec![0.0; xs[0].len()];
    let at = |i: isize| usize::try_from(first + i).ok().and_then(|i| xs.get(i)).unwrap_or(&zeros).clone();
    ((0..kept as isize).map(at).collect(), first)
}

/// Adds what comes back for the middle to what it was taken from.
fn add_middle(to: &mut Numbers, numbers: &Numbers, first: isize) {
    for (i, numbers) in numbers.iter().enumerate() {
        let to = usize::try_from(first + i as isize).ok().and_then(|i| to.get_mut(i));
        to.into_iter().flatten().zip(numbers).for_each(|(to, number)| *to += number);
    }
}

/// A convolution of every position that all taps fit on: weights `[outputs, inputs, width]`.
fn convolve(xs: &Numbers, weight: &[f32], bias: &[f32], dilation: usize) -> Numbers {
    let (inputs, outputs) = (xs[0].len(), bias.len());
    let width = weight.len() / inputs / outputs;
    let at = |at: usize, output: usize| {
        let term =
            |i: usize, tap: usize| f64::from(weight[(output * inputs + i) * width + tap]) * xs[at + tap * dilation][i];
        f64::from(bias[output])
            + (0..inputs).flat_map(|i| (0..width).map(move |tap| (i, tap))).map(|(i, tap)| term(i, tap)).sum::<f64>()
    };
    (0..xs.len() - (width - 1) * dilation).map(|i| (0..outputs).map(|output| at(i, output)).collect()).collect()
}

/// Its gradients: of the input, the weights and the biases.
fn convolve_back(xs: &Numbers, weight: &[f32], gradient: &Numbers, dilation: usize) -> (Numbers, Vec<f64>, Vec<f64>) {
    let (inputs, outputs) = (xs[0].len(), gradient[0].len());
    let width = weight.len() / inputs / outputs;
    let mut of_input = vec![vec![0.0; inputs]; xs.len()];
    let (mut of_weight, mut of_bias) = (vec![0.0; weight.len()], vec![0.0; outputs]);
    for (at, gradient) in gradient.iter().enumerate() {
        for (output, gradient) in gradient.iter().enumerate() {
            of_bias[output] += gradient;
            for i in 0..inputs {
                for tap in 0..width {
                    let (place, from) = ((output * inputs + i) * width + tap, at + tap * dilation);
                    of_input[from][i] += gradient * f64::from(weight[place]);
                    of_weight[place] += gradient * xs[from][i];
                }
            }
        }
    }
    (of_input, of_weight, of_bias)
}

/// What a network makes of one locus.
struct Reference {
    outputs: Vec<f64>,
    /// Of all parameters.
    gradients: Vec<Vec<f64>>,
    /// Distance from 0 of the number before a ReLU that is nearest to it.
    nearest: f64,
}

/// The network written down as it is defined, in double precision.
fn reference(steps: &[Step], values: &[Vec<f32>], codes: &[u8], gradient: &[f32]) -> Reference {
    let one_hot = |&code: &u8| (0..4).map(|base| f64::from(u8::from(base == code))).collect();
    let mut xs: Numbers = codes.iter().map(one_hot).collect();
    let mut kept = Vec::new();
    let (mut gradients, mut nearest): (Vec<Vec<f64>>, f64) = (Vec::new(), f64::MAX);
    for (step, values) in steps.iter().zip(values.chunks(2)) {
        let Layer::Dilated { width, dilation, positions, residual, .. } = step.layer else { break };
        let (read, first) = middle(&xs, positions + (width - 1) * dilation);
        let mut out = convolve(&read, &values[0], &values[1], dilation);
        nearest = out.iter().flatten().fold(nearest, |nearest, x| nearest.min(x.abs()));
        out.iter_mut().flatten().for_each(|x| *x = x.max(0.0));
        let rectified = out.clone();
        let (added, added_first) = middle(&xs, positions);
        if residual {
            out.iter_mut().flatten().zip(added.iter().flatten()).for_each(|(x, added)| *x += added);
        }
        kept.push((xs, read, first, rectified, added_first));
        xs = out;
    }
    let Some(&Layer::ProfileHead { tracks, groups, width, length, .. }) = steps.last().map(|step| &step.layer) else {
        panic!("ends with a head")
    };
    let head = &values[2 * kept.len()..];
    let (read, first) = middle(&xs, length + width - 1);
    let profile = convolve(&read, &head[0], &head[1], 1);
    let channels = xs[0].len();
    let mean = |channel: usize| xs.iter().map(|x| x[channel]).sum::<f64>() / xs.len() as f64;
    let means: Vec<f64> = (0..channels).map(mean).collect();
    let mut outputs: Vec<f64> = (0..tracks).flat_map(|track| profile.iter().map(move |x| x[track])).collect();
    for i in 0..groups {
        let weight = &head[2][i * channels..][..channels];
        outputs.push(f64::from(head[3][i]) + weight.iter().zip(&means).map(|(w, x)| f64::from(*w) * x).sum::<f64>());
    }

    let (of_profile, of_counts) = gradient.split_at(tracks * length);
    let of_profile: Numbers =
        (0..length).map(|i| (0..tracks).map(|track| f64::from(of_profile[track * length + i])).collect()).collect();
    let (of_read, of_weight, of_bias) = convolve_back(&read, &head[0], &of_profile, 1);
    let mut back = vec![vec![0.0; channels]; xs.len()];
    add_middle(&mut back, &of_read, first);
    gradients.extend([of_weight, of_bias]);
    if groups > 0 {
        for (i, &count) in of_counts.iter().enumerate() {
            for back in &mut back {
                for (channel, back) in back.iter_mut().enumerate() {
                    *back += f64::from(head[2][i * channels + channel]) * f64::from(count) / xs.len() as f64;
                }
            }
        }
        gradients.push(of_counts.iter().flat_map(|&count| means.iter().map(move |x| f64::from(count) * x)).collect());
        gradients.push(of_counts.iter().map(|&count| f64::from(count)).collect());
    }
    for (i, (entered, read, first, rectified, added_first)) in kept.iter().enumerate().rev() {
        let Layer::Dilated { dilation, residual, .. } = steps[i].layer else { continue };
        let mask = |(gradient, x): (&Vec<f64>, &Vec<f64>)| {
            gradient.iter().zip(x).map(|(gradient, &x)| if x > 0.0 { *gradient } else { 0.0 }).collect()
        };
        let passed: Numbers = back.iter().zip(rectified).map(mask).collect();
        let (of_read, of_weight, of_bias) = convolve_back(read, &values[2 * i], &passed, dilation);
        let mut next = vec![vec![0.0; entered[0].len()]; entered.len()];
        add_middle(&mut next, &of_read, *first);
        if residual {
            add_middle(&mut next, &back, *added_first);
        }
        gradients.splice(0..0, [of_weight, of_bias]);
        back = next;
    }
    Reference { outputs, gradients, nearest }
}

fn close(name: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let size = expected.iter().fold(0.1, |size: f64, number| size.max(number.abs()));
    let off = found.iter().zip(expected).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
    assert!(off <= 1e-5 * size, "{name} is off by {off} of {size}");
}

fn check(plan: &Plan, n: usize, needed: Option<&[bool]>) {
    // Rounding decides what ReLU does with a number that is nearly 0.
    assert!((1..20).any(|seed| is_right(plan, n, needed, seed)));
}

/// Whether no number is nearly 0 with weights and sequences of a seed, if all is right with them.
fn is_right(plan: &Plan, n: usize, needed: Option<&[bool]>, seed: u64) -> bool {
    let kernels = ProfileKernels::new(plan).unwrap();
    let mut random = random::generator(seed, Purpose::Weights, 0, 0);
    let mut numbers =
        |count: usize, most: f32| (0..count).map(|_| random.random_range(-most..most)).collect::<Vec<f32>>();
    let values: Vec<Vec<f32>> = kernels.sizes.iter().map(|&size| numbers(size, 0.2)).collect();
    let gradient = numbers(n * kernels.outputs(), 0.5);
    // One base in twelve is unknown.
    let mut code = || if random.random_bool(1.0 / 12.0) { 4 } else { random.random_range(0..4) };
    let codes: Vec<u8> = (0..n * plan.length).map(|_| code()).collect();
    let steps = plan.branches().map_or(&plan.steps[..], |(first, _)| first);
    let mut totals: Vec<Vec<f64>> = values.iter().map(|values| vec![0.0; values.len()]).collect();
    let mut outputs = Vec::new();
    for i in 0..n {
        if needed.is_some_and(|needed| !needed[i]) {
            outputs.extend(vec![0.0; kernels.outputs()]);
            continue;
        }
        let gradient = &gradient[i * kernels.outputs()..][..kernels.outputs()];
        let locus = reference(steps, &values, &codes[i * plan.length..][..plan.length], gradient);
        if locus.nearest < 2e-6 {
            return false;
        }
        outputs.extend(locus.outputs);
        totals.iter_mut().flatten().zip(locus.gradients.iter().flatten()).for_each(|(sum, x)| *sum += x);
    }
    let passes = || {
        let batch = kernels.train(&values, &codes, needed);
        close("output", batch.outputs(), &outputs);
        batch.gradients(&gradient)
    };
    let gradients = passes();
    for ((name, found), expected) in kernels.parameters().iter().zip(&gradients).zip(&totals) {
        close(name, found, expected);
    }
    // With used buffers, and on any number of threads.
    if needed.is_none() {
        close("score", kernels.score(&values, &codes).outputs(), &outputs);
    }
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(passes), gradients, "{threads} threads");
    }
    true
}

#[test]
fn they_compute_what_the_network_is_defined_as_in_double_precision() {
    check(&plan(Architecture::Bpnet, 16, 2, 200, &[1], 60), 6, None);
    check(&plan(Architecture::Bias, 48, 1, 160, &[1], 50), 3, None);
    check(&plan(Architecture::Branched, 33, 3, 260, &[2, 1], 41), 5, None);
}

#[test]
fn so_they_do_where_filters_reach_beyond_the_sequence_and_positions_are_few() {
    for length in [63, 64, 101] {
        check(&plan(Architecture::Bpnet, 5, 6, length, &[1, 2], 30), 2, None);
    }
    check(&plan(Architecture::Bpnet, 20, 4, 90, &[1], 5), 2, None);
}

#[test]
fn sequences_that_are_not_needed_have_no_part() {
    let needed = [true, false, false, true, true, false, true, true, false];
    check(&plan(Architecture::Branched, 20, 2, 180, &[1], 50), 9, Some(&needed));
    check(&plan(Architecture::Branched, 20, 2, 180, &[1], 50), 2, Some(&[false; 2]));
}

#[test]
fn weights_that_are_no_numbers_are_not_hidden_by_relu() {
    let plan = plan(Architecture::Bpnet, 5, 1, 130, &[1], 20);
    let kernels = ProfileKernels::new(&plan).unwrap();
    let values: Vec<Vec<f32>> = kernels.sizes.iter().map(|&size| vec![f32::NAN; size]).collect();
    assert!(kernels.score(&values, &[0; 130]).outputs().iter().all(|x| x.is_nan()));
}
