//! The convolution filters of a network's first layer as plain numbers: their activations at each position of a
//! sequence, up to the first activation function.

use anyhow::{Result, bail};

use crate::config::layers::Layer;
use crate::network::{Parameters, plan::Plan};
use crate::sequence::alphabet::UNKNOWN;

/// Epsilon that tch adds to a variance in batch normalisation.
const BATCH_NORM_EPSILON: f32 = 1e-5;

/// Number of codes: four bases and the unknown one.
const CODES: usize = 5;

/// The filters of a network, or of several whose first layers have the same shape.
#[derive(Clone, Debug)]
pub struct Filters {
    /// Names of the filters: `f3`, or `m2_f3` for the second of several networks, both counted from 1.
    pub names: Vec<String>,
    /// Number of positions that a filter covers.
    pub width: usize,
    /// Dilation, in bp.
    pub dilation: usize,
    /// Stride, in bp.
    stride: usize,
    /// Padding before the sequence, in bp.
    padding: usize,
    /// Weights by position and code, `[width, 5, filters]`; zero for the unknown base.
    table: Vec<f32>,
    bias: Vec<f32>,
}

impl Filters {
    /// The filters of networks of one architecture; `members` holds their numbers, counted from 1, or is empty for a
    /// single network.
    ///
    /// # Errors
    /// The first layer is not a convolution.
    pub fn of(networks: &[(&Plan, Parameters)], members: Option<&[usize]>) -> Result<Self> {
        let each = networks.iter().enumerate().map(|(i, (plan, parameters))| {
            let prefix = members.map_or_else(String::new, |members| format!("m{}_", members[i]));
            Self::of_network(plan, parameters, &prefix)
        });
        let each = each.collect::<Result<Vec<_>>>()?;
        let Some(first) = each.first() else { bail!("there is no network") };
        let rows = first.width * CODES;
        let row = |filters: &Self, row: usize| -> Vec<f32> {
            let n = filters.len();
            filters.table[row * n..(row + 1) * n].to_vec()
        };
        Ok(Self {
            names: each.iter().flat_map(|filters| filters.names.clone()).collect(),
            table: (0..rows).flat_map(|at| each.iter().flat_map(move |filters| row(filters, at))).collect(),
            bias: each.iter().flat_map(|filters| filters.bias.clone()).collect(),
            ..*first
        })
    }

    fn of_network(plan: &Plan, parameters: &Parameters, prefix: &str) -> Result<Self> {
        let mut steps = plan.steps.iter().skip_while(|step| matches!(step.layer, Layer::Dropout { .. }));
        let first = steps.next();
        let Some((step, &Layer::Convolution { width, stride, dilation, groups, padding, .. })) =
            first.map(|step| (step, &step.layer))
        else {
            bail!(
                "the network's first layer is {}, expected a convolution, whose filters are the motifs; train one that begins so, such as --arch residual",
                first.map_or("missing", |step| step.layer.kind())
            );
        };
        let numbers = |name: &str| match parameters.get(name) {
            Some(numbers) => Ok(numbers.clone()),
            None => bail!("the network has no parameters '{name}'; please report this"),
        };
        let weight = numbers(&format!("{}.weight", step.name))?;
        let mut bias = numbers(&format!("{}.bias", step.name))?;
        let filters = bias.len();
        let mut scale = vec![1.0; filters];
        // Max pooling applies to the raw output of the convolution, so the steps after it apply to the highest value.
        let mut pooled = false;
        for step in steps {
            match step.layer {
                Layer::MaxPool { .. } => pooled = true,
                Layer::Dropout { .. } => {}
                Layer::BatchNorm {} => {
                    let [gain, shift, mean, variance] =
                        ["weight", "bias", "running_mean", "running_var"].map(|part| format!("{}.{part}", step.name));
                    let (gain, shift) = (numbers(&gain)?, numbers(&shift)?);
                    let (mean, variance) = (numbers(&mean)?, numbers(&variance)?);
                    for filter in 0..filters {
                        let gain = if pooled { gain[filter].abs() } else { gain[filter] };
                        let factor = gain / (variance[filter] + BATCH_NORM_EPSILON).sqrt();
                        scale[filter] *= factor;
                        bias[filter] = (bias[filter] - mean[filter]) * factor + shift[filter];
                    }
                    break;
                }
                _ => break,
            }
        }
        let (inputs, of_group) = (4 / groups, filters / groups);
        let mut table = vec![0.0; width * CODES * filters];
        for filter in 0..filters {
            for input in 0..inputs {
                let base = filter / of_group * inputs + input;
                for position in 0..width {
                    table[(position * CODES + base) * filters + filter] =
                        weight[(filter * inputs + input) * width + position] * scale[filter];
                }
            }
        }
        let reach = (width - 1) * dilation;
        Ok(Self {
            names: (1..=filters).map(|filter| format!("{prefix}f{filter}")).collect(),
            width,
            dilation,
            stride,
            padding: padding.zeros(reach)[0],
            table,
            bias,
        })
    }

    /// Number of filters.
    pub fn len(&self) -> usize {
        self.bias.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bias.is_empty()
    }

    /// Length in bp from the first base that a filter covers to the last.
    pub fn reach(&self) -> usize {
        (self.width - 1) * self.dilation + 1
    }

    /// Passes the activations of all filters to the callback, with the start of each position at which the filters lie
    /// within the sequence and cover known bases only. Codes without case.
    pub fn for_each_place(&self, codes: &[u8], mut each: impl FnMut(usize, &[f32])) {
        let filters = self.len();
        let mut numbers = vec![0.0f32; filters];
        let ends = codes.len().checked_sub(self.reach()).map_or(0, |last| last + 1);
        // The first position of the grid that lies within the sequence.
        let first = (self.stride - self.padding % self.stride) % self.stride;
        for start in (first..ends).step_by(self.stride) {
            let window = codes[start..].iter().step_by(self.dilation).take(self.width);
            if window.clone().any(|&code| code >= UNKNOWN) {
                continue;
            }
            numbers.copy_from_slice(&self.bias);
            for (position, &code) in window.enumerate() {
                let row = (position * CODES + usize::from(code)) * filters;
                for (number, add) in numbers.iter_mut().zip(&self.table[row..row + filters]) {
                    *number += add;
                }
            }
            each(start, &numbers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Architecture, ModelConfig, Strands};

    /// A plan, and parameters of every layer that are all different.
    fn network(layers: &str, strands: Strands) -> (Plan, Parameters) {
        #[derive(serde::Deserialize)]
        struct File {
            layer: Vec<Layer>,
        }
        let File { layer } = toml::from_str(layers).unwrap();
        let config = ModelConfig { arch: Architecture::Custom, layer, ..ModelConfig::default() };
        let plan = Plan::new(&config, 40, 1, strands).unwrap();
        let mut parameters = Parameters::new();
        for step in plan.steps.iter().filter(|step| !step.name.is_empty()) {
            for (i, part) in ["weight", "bias", "running_mean", "running_var"].into_iter().enumerate() {
                let n = if part == "weight" { step.parameters } else { step.output.channels };
                let numbers = (0..n).map(|k| (((k + i) * 37) % 101) as f32 / 50.0 - 1.0).collect();
                parameters.insert(format!("{}.{part}", step.name), numbers);
            }
        }
        (plan, parameters)
    }

    fn filters_of(network: &(Plan, Parameters)) -> Filters {
        Filters::of(&[(&network.0, network.1.clone())], None).unwrap()
    }

    fn codes() -> Vec<u8> {
        (0..40u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 % 4).collect()
    }

    /// All numbers by place.
    fn scanned(filters: &Filters, codes: &[u8]) -> Vec<(usize, Vec<f32>)> {
        let mut places = Vec::new();
        filters.for_each_place(codes, |start, numbers| places.push((start, numbers.to_vec())));
        places
    }

    #[test]
    fn numbers_are_those_of_a_convolution() {
        for (settings, width, stride, dilation, padding, groups) in [
            ("width = 5\npadding = \"none\"", 5, 1, 1, 0, 1),
            ("width = 6", 6, 1, 1, 2, 1),
            ("width = 4\nstride = 3\ndilation = 2", 4, 3, 2, 3, 1),
            ("width = 5\ngroups = 2", 5, 1, 1, 2, 2),
        ] {
            let layers =
                format!("[[layer]]\nkind = \"convolution\"\nfilters = 6\n{settings}\n[[layer]]\nkind = \"flatten\"\n");
            let network = network(&layers, Strands::Single);
            let filters = filters_of(&network);
            assert_eq!(filters.names, ["f1", "f2", "f3", "f4", "f5", "f6"]);
            let codes = codes();
            let name = &network.0.steps[0].name;
            let [weight, bias] = ["weight", "bias"].map(|part| &network.1[&format!("{name}.{part}")]);
            // Each group of filters reads its own share of the four rows.
            let (rows, of_group) = (4 / groups, 6 / groups);
            let expected = |filter: usize, at: usize| -> f32 {
                let term = |position: usize| {
                    let row =
                        (at * stride + position * dilation).checked_sub(padding).map(|place| usize::from(codes[place]));
                    let own = row.and_then(|row| row.checked_sub(filter / of_group * rows)).filter(|&row| row < rows);
                    own.map_or(0.0, |row| weight[(filter * rows + row) * width + position])
                };
                bias[filter] + (0..width).map(term).sum::<f32>()
            };
            let places = scanned(&filters, &codes);
            assert!(places.len() >= 10, "{settings}");
            for (start, numbers) in places {
                for (filter, number) in numbers.into_iter().enumerate() {
                    let expected = expected(filter, (start + padding) / stride);
                    assert!((number - expected).abs() < 1e-5, "{settings}: {start}");
                }
            }
        }
    }

    #[test]
    fn batch_norm_belongs_to_the_filters_with_a_pool_before_it_or_not() {
        for pool in ["", "[[layer]]\nkind = \"max-pool\"\nwidth = 2\n"] {
            let layers = format!(
                "[[layer]]\nkind = \"convolution\"\nfilters = 2\nwidth = 3\n{pool}[[layer]]\nkind = \"batch-norm\"\n[[layer]]\nkind = \"relu\"\n[[layer]]\nkind = \"flatten\"\n"
            );
            let mut network = network(&layers, Strands::Average);
            let codes = codes();
            let norm =
                network.0.steps.iter().find(|step| matches!(step.layer, Layer::BatchNorm {})).unwrap().name.clone();
            let mut set = |part: &str, values: [f32; 2]| {
                network.1.insert(format!("{norm}.{part}"), values.into());
            };
            set("weight", [1.0, 1.0]);
            set("bias", [0.0, 0.0]);
            set("running_mean", [0.0, 0.0]);
            set("running_var", [1.0, 1.0]);
            let before = scanned(&filters_of(&network), &codes);
            let mut set = |part: &str, values: [f32; 2]| {
                network.1.insert(format!("{norm}.{part}"), values.into());
            };
            set("weight", [2.0, -3.0]);
            set("bias", [0.5, 0.25]);
            set("running_mean", [0.1, 0.2]);
            set("running_var", [4.0, 9.0]);
            let gain = if pool.is_empty() { -1.0 } else { 1.0 };
            for ((_, before), (_, after)) in before.iter().zip(scanned(&filters_of(&network), &codes)) {
                assert!(((before[0] - 0.1) + 0.5 - after[0]).abs() < 1e-4);
                assert!(((before[1] - 0.2) * gain + 0.25 - after[1]).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn unknown_bases_and_short_sequences_have_no_places() {
        let network = network(
            "[[layer]]\nkind = \"convolution\"\nfilters = 2\nwidth = 5\n[[layer]]\nkind = \"flatten\"\n",
            Strands::Single,
        );
        let of = || (&network.0, network.1.clone());
        let filters = Filters::of(&[of(), of()], Some(&[1, 2])).unwrap();
        assert_eq!(filters.names, ["m1_f1", "m1_f2", "m2_f1", "m2_f2"]);
        let starts = |codes: &[u8]| scanned(&filters, codes).into_iter().map(|(start, _)| start).collect::<Vec<_>>();
        assert_eq!(starts(&[0, 1, 2, 3, 0, 1]), [0, 1]);
        assert_eq!(starts(&[4, 1, 2, 3, 0, 1, 0, 4]), [1, 2]);
        assert_eq!(starts(&[0, 1, 2, 3]), [0usize; 0]);
        for (_, numbers) in scanned(&filters, &codes()) {
            assert_eq!(numbers[..2], numbers[2..], "two of the same network");
        }
    }

    #[test]
    fn filters_tied_between_strands_are_half_as_many() {
        let layers = "[[layer]]\nkind = \"dropout\"\n[[layer]]\nkind = \"convolution\"\nfilters = 6\nwidth = 5\n[[layer]]\nkind = \"flatten\"\n";
        assert_eq!(filters_of(&network(layers, Strands::Equivariant)).len(), 3);
    }

    #[test]
    fn a_network_that_begins_otherwise_is_refused() {
        let network =
            network("[[layer]]\nkind = \"lstm\"\nunits = 4\n[[layer]]\nkind = \"flatten\"\n", Strands::Single);
        let error = Filters::of(&[(&network.0, network.1)], None).unwrap_err().to_string();
        assert!(error.contains("first layer is lstm, expected a convolution"), "{error}");
    }
}
