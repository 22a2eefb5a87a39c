//! The filters of a network's first layer, as plain numbers: what they make of a sequence, position by position, up to the
//! first activation function.

use anyhow::{Result, bail};
use tch::{Kind, Tensor};

use crate::config::layers::{Layer, Padding};
use crate::data::alphabet::UNKNOWN;
use crate::model::Network;

/// What tch adds to a variance before it divides by its root.
const BATCH_NORM_EPSILON: f32 = 1e-5;

/// Codes that a weight can meet: four bases and the unknown one.
const CODES: usize = 5;

/// The filters of one network, or of several whose first layers have the same shape.
#[derive(Clone, Debug)]
pub struct Filters {
    /// `f3`, or `m2_f3` of the second of several networks; both counted from 1.
    pub names: Vec<String>,
    /// Positions that a filter weighs.
    pub width: usize,
    /// Distance between them, in bp.
    pub dilation: usize,
    /// Distance between the places it looks at, in bp.
    stride: usize,
    /// Zeros before the sequence, which places are counted from.
    padding: usize,
    /// `[width, 5, filters]`: what a base at a position adds; an unknown one adds nothing.
    table: Vec<f32>,
    bias: Vec<f32>,
}

impl Filters {
    /// The filters of networks of one architecture; `members` are their numbers, counted from 1, or nothing where the
    /// network is a single one.
    ///
    /// # Errors
    /// The first layer is no convolution.
    pub fn of(networks: &[&Network], members: Option<&[usize]>) -> Result<Self> {
        let each = networks.iter().enumerate().map(|(i, network)| {
            let prefix = members.map_or_else(String::new, |members| format!("m{}_", members[i]));
            Self::of_network(network, &prefix)
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

    fn of_network(network: &Network, prefix: &str) -> Result<Self> {
        let mut steps = network.plan.steps.iter().skip_while(|step| matches!(step.layer, Layer::Dropout { .. }));
        let first = steps.next();
        let Some((step, &Layer::Convolution { width, stride, dilation, groups, padding, .. })) =
            first.map(|step| (step, &step.layer))
        else {
            bail!(
                "the network's first layer is {}, expected a convolution, whose filters are the motifs; train one that begins so, such as --arch residual",
                first.map_or("missing", |step| step.layer.kind())
            );
        };
        let variables = network.store.variables();
        let numbers = |name: &str| -> Result<Vec<f32>> {
            match variables.get(name) {
                Some(tensor) => numbers_of(tensor),
                None => bail!("the network has no parameters '{name}'; please report this"),
            }
        };
        let weight = numbers(&format!("{}.weight", step.name))?;
        let mut bias = numbers(&format!("{}.bias", step.name))?;
        let filters = bias.len();
        let mut scale = vec![1.0; filters];
        // Maxima are taken of numbers as they leave the convolution, so what follows is told of the highest.
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
            padding: if padding == Padding::Same { reach / 2 } else { 0 },
            table,
            bias,
        })
    }

    pub fn len(&self) -> usize {
        self.bias.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bias.is_empty()
    }

    /// Bases from the first that a filter weighs to the last.
    pub fn reach(&self) -> usize {
        (self.width - 1) * self.dilation + 1
    }

    /// The numbers of every filter at each place of a sequence where it lies within it and meets known bases alone, handed
    /// on with the start of the place. Codes without case.
    pub fn for_each_place(&self, codes: &[u8], mut each: impl FnMut(usize, &[f32])) {
        let filters = self.len();
        let mut numbers = vec![0.0f32; filters];
        let ends = codes.len().checked_sub(self.reach()).map_or(0, |last| last + 1);
        // The first place on the grid that does not begin before the sequence.
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

/// Any tensor as numbers in a row.
fn numbers_of(tensor: &Tensor) -> Result<Vec<f32>> {
    let flat = tensor.to_device(tch::Device::Cpu).to_kind(Kind::Float).flatten(0, -1);
    Ok(Vec::<f32>::try_from(flat)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Architecture, ModelConfig, Strands};
    use crate::model::{codes_tensor, one_hot};
    use tch::Device;

    fn network(layers: &str, strands: Strands) -> Network {
        #[derive(serde::Deserialize)]
        struct File {
            layer: Vec<Layer>,
        }
        let File { layer } = toml::from_str(layers).unwrap();
        let config = ModelConfig { arch: Architecture::Custom, layer, ..ModelConfig::default() };
        Network::new(&config, 40, 1, strands, Device::Cpu, 3).unwrap()
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
    fn numbers_are_those_of_libtorchs_convolution() {
        for (settings, stride, dilation, padding, groups) in [
            ("width = 5\npadding = \"none\"", 1, 1, 0, 1),
            ("width = 6", 1, 1, 2, 1),
            ("width = 4\nstride = 3\ndilation = 2", 3, 2, 3, 1),
            ("width = 5\ngroups = 2", 1, 1, 2, 2),
        ] {
            let layers =
                format!("[[layer]]\nkind = \"convolution\"\nfilters = 6\n{settings}\n[[layer]]\nkind = \"flatten\"\n");
            let network = network(&layers, Strands::Single);
            let filters = Filters::of(&[&network], None).unwrap();
            assert_eq!(filters.names, ["f1", "f2", "f3", "f4", "f5", "f6"]);
            let codes = codes();
            let variables = network.store.variables();
            let name = &network.plan.steps[0].name;
            let [weight, bias] = ["weight", "bias"].map(|part| &variables[&format!("{name}.{part}")]);
            let padded = one_hot(&codes_tensor(&codes, 40, Device::Cpu)).constant_pad_nd([padding, padding + 1]);
            let expected = padded.conv1d(weight, Some(bias), stride, 0, dilation, groups);
            let places = scanned(&filters, &codes);
            assert!(places.len() >= 10, "{settings}");
            for (start, numbers) in places {
                for (filter, number) in numbers.into_iter().enumerate() {
                    let at = (start as i64 + padding) / stride;
                    let expected = expected.double_value(&[0, filter as i64, at]);
                    assert!((f64::from(number) - expected).abs() < 1e-5, "{settings}: {start}");
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
            let network = network(&layers, Strands::Average);
            let codes = codes();
            let before = scanned(&Filters::of(&[&network], None).unwrap(), &codes);
            let norm = network.plan.steps.iter().find(|step| matches!(step.layer, Layer::BatchNorm {})).unwrap();
            let set = |part: &str, values: [f32; 2]| {
                let mut variable = network.store.variables().remove(&format!("{}.{part}", norm.name)).unwrap();
                tch::no_grad(|| variable.copy_(&Tensor::from_slice(&values)));
            };
            set("weight", [2.0, -3.0]);
            set("bias", [0.5, 0.25]);
            set("running_mean", [0.1, 0.2]);
            set("running_var", [4.0, 9.0]);
            let gain = if pool.is_empty() { -1.0 } else { 1.0 };
            for ((_, before), (_, after)) in
                before.iter().zip(scanned(&Filters::of(&[&network], None).unwrap(), &codes))
            {
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
        let filters = Filters::of(&[&network, &network], Some(&[1, 2])).unwrap();
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
        assert_eq!(Filters::of(&[&network(layers, Strands::Equivariant)], None).unwrap().len(), 3);
    }

    #[test]
    fn a_network_that_begins_otherwise_is_refused() {
        let network =
            network("[[layer]]\nkind = \"lstm\"\nunits = 4\n[[layer]]\nkind = \"flatten\"\n", Strands::Single);
        let error = Filters::of(&[&network], None).unwrap_err().to_string();
        assert!(error.contains("first layer is lstm, expected a convolution"), "{error}");
    }
}
