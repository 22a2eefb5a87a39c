//! A network: a `SequentialT` from one-hot `[batch, 4, length]` to logits `[batch, outputs]`, its weights, and the faster forms
//! of its first layers. It knows its strands, the precision it trains in, and which blocks are frozen.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::{Result, bail};
use tch::nn::{ModuleT, SequentialT, VarStore};
use tch::{Device, Kind, Tensor};

use crate::libtorch::Tf32;
use crate::no_grad::no_grad;
use crate::{device, libtorch};

use super::bias::Bias;
use super::control::{self, Control};
use super::layers::{self, Demands};
use super::native::{self, Native};
use strandnet_core::config::{ModelConfig, Precision, Strands};
use strandnet_core::machine;
use strandnet_core::network::inference;
use strandnet_core::network::kernels::Key;
use strandnet_core::network::plan::Plan;
use strandnet_core::network::{Outputs, Parameters};
use strandnet_core::random;
use strandnet_core::random::Purpose;
use strandnet_core::sequence::alphabet;

/// A network, its weights and the fragment length it is made for.
#[derive(Debug)]
pub struct Network {
    /// Parameters and batch-norm statistics.
    pub store: VarStore,
    /// Boxed, because it is large and a network is moved about.
    pub plan: Box<Plan>,
    /// The layers that `native` stands for, and those that follow: together, as many as the plan has steps.
    first: SequentialT,
    rest: SequentialT,
    /// Where branches are all of the network, the second, whose features follow those of `first`.
    beside: Option<Beside>,
    /// Computes the same as `first` from codes, on the CPU.
    native: Option<Native>,
    demands: Arc<Demands>,
    /// Of a sequence, in bp.
    pub length: usize,
    strands: Strands,
    /// Added to what it gives.
    bias: Option<Rc<Bias>>,
    /// What turns the counts of a control into a part of what it gives.
    control: Option<Control>,
    /// The same with its final weights, without libtorch, where that scores faster.
    scoring: Option<inference::Network>,
    /// Whether libtorch computes all of it.
    all_by_libtorch: bool,
}

/// A second branch.
#[derive(Debug)]
struct Beside {
    first: SequentialT,
    rest: SequentialT,
    /// Computes the same as its `first` from codes, on the CPU.
    native: Option<Native>,
}

impl Beside {
    fn forward(&self, one_hot: &Tensor, train: bool) -> Tensor {
        self.rest.forward_t(&self.first.forward_t(one_hot, train), train)
    }
}

impl Network {
    /// Builds a network with a logit for each output and fresh weights drawn from `seed`, the same on every device. `strands`
    /// says which strands it reads, and whether its filters are tied between them.
    ///
    /// # Errors
    /// The architecture does not fit fragments of `length` bp, or its filters cannot be tied.
    pub fn new(
        config: &ModelConfig,
        length: usize,
        outputs: impl Into<Outputs>,
        strands: Strands,
        device: Device,
        seed: u64,
    ) -> Result<Self> {
        // On the CPU too: what is traced there says for good whether a GPU may round.
        Tf32::forbid();
        let plan = Box::new(Plan::new(config, length, outputs, strands)?);
        let mut random = random::generator(seed, Purpose::Weights, 0, 0);
        let mut store = VarStore::new(Device::Cpu);
        let demands = Arc::new(Demands::default());
        let layers::Sequences { first, rest, beside } =
            layers::sequences(&plan, Native::steps(&plan), &demands, &store.root(), &mut random);
        let shape = plan.outputs.profile.as_ref().filter(|shape| shape.control > 0);
        let control = shape.map(|shape| Control::new(&(store.root() / "control"), shape));
        store.set_device(device);
        let on_cpu = device == Device::Cpu;
        let native = if on_cpu { Native::new(&plan, &store) } else { None };
        let beside = beside.map(|(first, rest)| {
            let native = if on_cpu { Native::of_second_branch(&plan, &store) } else { None };
            Beside { first, rest, native }
        });
        Ok(Self {
            store,
            plan,
            first,
            rest,
            beside,
            native,
            demands,
            length,
            strands,
            bias: None,
            control,
            scoring: None,
            all_by_libtorch: false,
        })
    }

    /// The same network, computing all of it with libtorch if `no_native` says so.
    pub fn without_native(self, no_native: bool) -> Self {
        let beside = |beside: Beside| Beside { native: beside.native.filter(|_| !no_native), ..beside };
        let (native, scoring) = (self.native.filter(|_| !no_native), self.scoring.filter(|_| !no_native));
        Self {
            native,
            beside: self.beside.map(beside),
            scoring,
            all_by_libtorch: self.all_by_libtorch || no_native,
            ..self
        }
    }

    /// The same network with weights that stay: on the CPU it scores without libtorch where that is faster, unless it computes all with
    /// libtorch.
    ///
    /// # Errors
    /// A tensor cannot be read.
    pub fn finished(self) -> Result<Self> {
        let by_core = inference::is_faster(self.plan.arch) && self.device() == Device::Cpu && !self.all_by_libtorch;
        if !by_core {
            return Ok(self);
        }
        let scoring = Some(inference::Network::of_plan(&self.plan, self.strands, &self.parameters()?)?);
        Ok(Self { scoring, ..self })
    }

    /// The bias model that is added to what it gives.
    pub fn bias(&self) -> Option<&Bias> {
        self.bias.as_deref()
    }

    /// The same network with a bias model added to what it gives, in training and in scoring, or without.
    pub fn with_bias(self, bias: Option<Rc<Bias>>) -> Self {
        Self { bias, ..self }
    }

    /// The same network, libtorch training in the precision given; scoring is always in f32.
    pub fn with_precision(self, precision: Precision) -> Self {
        let half = machine::resolve_precision(precision, device::kind(self.device())) == Precision::Bf16;
        self.demands.half.store(half, Relaxed);
        self
    }

    /// From now on batch norm leaves the statistics of each batch where its running ones are, which another then keeps.
    pub fn leave_statistics_of_batch(&self) {
        self.demands.leaves_statistics.store(true, Relaxed);
    }

    /// Leaves the first `count` blocks as they are: their parameters are no longer among the store's trainable variables,
    /// and they run as in scoring, without dropout and with the statistics that batch norm has gathered before.
    ///
    /// # Errors
    /// There are not that many blocks before the last, which has to learn.
    pub fn freeze_blocks(&mut self, count: usize) -> Result<()> {
        let names = &self.plan.blocks;
        if count >= names.len() {
            bail!(
                "--freeze-blocks is {count}, and the network has {} blocks ({}), the last of which cannot be frozen; expected at most {}",
                names.len(),
                names.join(", "),
                names.len() - 1
            );
        }
        self.demands.frozen_blocks.store(count, Relaxed);
        let frozen: Vec<String> = self.plan.parameter_paths(count).into_iter().map(|path| path + ".").collect();
        let variables = self.store.variables();
        let kept: Vec<_> = variables
            .into_iter()
            .filter(|(name, _)| frozen.iter().any(|path| name.starts_with(path.as_str())))
            .map(|(_, variable)| variable.set_requires_grad(false).data_ptr())
            .collect();
        let mut variables = self.store.variables_.lock().expect("no thread panics while it holds the variables");
        variables.trainable_variables.retain(|variable| !kept.contains(&variable.tensor.data_ptr()));
        Ok(())
    }

    /// Logits `[batch, outputs]` of a batch of codes, u8 `[batch, length]` on the network's device, all by libtorch.
    pub fn logits(&self, codes: &Tensor, train: bool) -> Tensor {
        self.logits_of_one_hot(&one_hot(codes), train)
    }

    /// Logits f32 `[batch, outputs]` of one-hot sequences, f32 `[batch, 4, length]`, all by libtorch.
    pub fn logits_of_one_hot(&self, one_hot: &Tensor, train: bool) -> Tensor {
        let forward = |one_hot: &Tensor| {
            let beside = self.beside.as_ref().map(|beside| beside.forward(one_hot, train));
            self.after_first(&self.first.forward_t(one_hot, train), beside, train)
        };
        let logits = match (self.strands, train) {
            // One batch, so that batch norm treats the strands alike.
            (Strands::Equivariant, _) | (Strands::Shared, true) => {
                super::strands::mean(&forward(&super::strands::both(one_hot)), |other| self.flipped(other))
            }
            (Strands::Average | Strands::Shared, false) => {
                (forward(one_hot) + self.flipped(forward(&super::strands::reverse_complement(one_hot)))) * 0.5
            }
            (Strands::Single | Strands::Augment, _) | (Strands::Average, true) => forward(one_hot),
        };
        let logits = logits.to_kind(Kind::Float);
        match &self.bias {
            Some(bias) => bias.added_to(&logits, &bias.logits_of_one_hot(one_hot)),
            None => logits,
        }
    }

    /// The same of codes `[batch, length]`, once everything but the bias model is computed.
    fn with_bias_of(&self, logits: Tensor, codes: &[u8]) -> Tensor {
        match &self.bias {
            Some(bias) => bias.added_to(&logits, &no_grad(|| bias.score(codes))),
            None => logits,
        }
    }

    /// Logits `[batch, outputs]` together with the control's part, from rows as a batch has them; without a control they are the same.
    pub fn beside_control_of(&self, logits: Tensor, rows: &Tensor) -> Tensor {
        match &self.control {
            Some(control) => logits + self.control_logits(&control.of_rows(rows), true),
            None => logits,
        }
    }

    /// The control's part of logits `[batch, outputs]`, from its counts f32 `[batch, control, control_length]`, on the strands that the
    /// network reads; 0 where it has no control.
    pub fn control_logits(&self, counts: &Tensor, train: bool) -> Tensor {
        let Some(control) = &self.control else { return Tensor::zeros([1, 1], (Kind::Float, self.device())) };
        let (one, other) = (|| control.logits(counts), || self.flipped(control.logits(&control::reversed(counts))));
        match (self.strands, train) {
            (Strands::Shared, _) | (Strands::Average, false) => (one() + other()) * 0.5,
            _ => one(),
        }
    }

    /// What follows the first layers, or the features of those and of what stands beside them.
    fn after_first(&self, from: &Tensor, beside: Option<Tensor>, train: bool) -> Tensor {
        match beside {
            Some(beside) => Tensor::cat(&[from, &beside].map(|features| features.to_kind(Kind::Float)), 1),
            None => self.rest.forward_t(from, train),
        }
    }

    /// One-hot sequences of codes `[batch, length]`, on the network's device.
    fn one_hot(&self, codes: &[u8]) -> Tensor {
        one_hot(&codes_tensor(codes, self.length, self.device()))
    }

    /// Logits `[batch, outputs]` of the other strand, those of bins and profiles in the direction of this one.
    fn flipped(&self, logits: Tensor) -> Tensor {
        super::strands::mirrored(logits, &self.plan.outputs.mirrored())
    }

    /// Scoring logits f32 `[batch, outputs]` of codes `[batch, length]`, on the network's device.
    pub fn score(&self, codes: &[u8]) -> Tensor {
        if let Some(scoring) = &self.scoring {
            return self.with_bias_of(self.tensor_of(&scoring.logits(codes)), codes);
        }
        let Some(native) = &self.native else {
            return self.logits(&codes_tensor(codes, self.length, self.device()), false);
        };
        let forward = |codes: &[u8]| {
            let beside = self.beside.as_ref().map(|beside| match &beside.native {
                Some(native) => beside.rest.forward_t(&native.score(codes), false),
                None => beside.forward(&self.one_hot(codes), false),
            });
            self.after_first(&native.score(codes), beside, false)
        };
        let logits = match self.strands {
            Strands::Average | Strands::Shared => {
                (forward(codes) + self.flipped(forward(&reverse_complements(codes, self.length)))) * 0.5
            }
            Strands::Single | Strands::Augment | Strands::Equivariant => forward(codes),
        };
        self.with_bias_of(logits, codes)
    }

    /// The same for windows that start at `starts` of codes, one not before the other; what they share is computed once where
    /// the network allows it.
    pub fn score_windows(&self, codes: &[u8], starts: &[usize]) -> Tensor {
        if let Some(scoring) = &self.scoring
            && self.bias.is_none()
        {
            return self.tensor_of(&scoring.logits_of_windows(codes, starts));
        }
        let scan = |codes: &[u8], starts: &[usize]| {
            let outputs = self.native.as_ref().and_then(|native| native.scan(codes, starts));
            outputs.map(|outputs| self.rest.forward_t(&outputs, false))
        };
        let scanned = match self.strands {
            Strands::Average | Strands::Shared => scan(codes, starts).and_then(|one| {
                let end = |&start: &usize| codes.len() - start - self.length;
                let reversed: Vec<usize> = starts.iter().rev().map(end).collect();
                scan(&reverse_complements(codes, codes.len()), &reversed)
                    .map(|other| (one + self.flipped(other.flip([0]))) * 0.5)
            }),
            Strands::Single | Strands::Augment | Strands::Equivariant => scan(codes, starts),
        };
        scanned.unwrap_or_else(|| {
            let windows = starts.iter().flat_map(|&start| &codes[start..start + self.length]);
            self.score(&windows.copied().collect::<Vec<_>>())
        })
    }

    /// Logits as a tensor f32 `[batch, outputs]`.
    fn tensor_of(&self, logits: &[f32]) -> Tensor {
        Tensor::from_slice(logits).view([-1, self.plan.outputs.numbers() as i64])
    }

    /// A batch of codes `[batch, length]` on its way through the network in training. `seed` keys what dropout drops.
    pub fn train(&self, codes: &[u8], seed: i64) -> Forward<'_> {
        self.train_needed(codes, None, seed)
    }

    /// The same where the loss does not depend on what the first layers make of some sequences: they need not be computed for
    /// those that are not `needed`.
    pub fn train_needed<'a>(&'a self, codes: &[u8], needed: Option<&[bool]>, seed: i64) -> Forward<'a> {
        let Some(native) = self.native_in_training() else {
            return self.train_on(&codes_tensor(codes, self.length, self.device()), seed);
        };
        libtorch::seed(seed, self.device());
        let both =
            (self.strands == Strands::Shared).then(|| [codes, &reverse_complements(codes, self.length)].concat());
        let needed = needed.map(|needed| needed.repeat(if both.is_some() { 2 } else { 1 }));
        let read = both.as_deref().unwrap_or(codes);
        let mut natives = Vec::new();
        let mut first = |native: &'a Native, needed| {
            let batch = native.train(read, needed, Key(seed as u64));
            let from = batch.tensor().set_requires_grad(true);
            natives.push((from.shallow_clone(), batch));
            from
        };
        let from = first(native, needed.as_deref());
        let beside = self.beside.as_ref().map(|beside| match &beside.native {
            Some(native) => beside.rest.forward_t(&first(native, None), true),
            None => beside.forward(&self.one_hot(read), true),
        });
        let logits = self.after_first(&from, beside, true);
        let logits = if both.is_some() { super::strands::mean(&logits, |other| self.flipped(other)) } else { logits };
        let logits = self.with_bias_of(logits.to_kind(Kind::Float), codes);
        Forward { logits, natives }
    }

    /// Whether others than the first layers give log counts.
    pub fn counts_are_beside(&self) -> bool {
        self.beside.is_some()
    }

    /// The same for codes u8 `[batch, length]` that are on the network's device, all by libtorch.
    pub fn train_on(&self, codes: &Tensor, seed: i64) -> Forward<'_> {
        libtorch::seed(seed, self.device());
        Forward::by_libtorch(self.logits(codes, true))
    }

    /// What computes the first layers in training, a first block in f32 also where bf16 is asked for, which would not make it
    /// faster; nothing where these layers stay as they are.
    fn native_in_training(&self) -> Option<&Native> {
        let (frozen, half) = (self.demands.frozen_blocks.load(Relaxed), self.demands.half.load(Relaxed));
        self.native.as_ref().filter(|native| frozen == 0 && !(half && native.stands_for_bf16()))
    }

    /// What takes codes to logits in training where nothing is left to libtorch, neither layers nor both strands of a sequence.
    pub fn all_native(&self) -> Option<&Native> {
        self.native_in_training().filter(|native| native.all().is_some() && self.strands != Strands::Shared)
    }

    /// Where the parameters are.
    pub fn device(&self) -> Device {
        self.store.device()
    }

    /// The numbers of every parameter, by name.
    ///
    /// # Errors
    /// A tensor cannot be read from its device.
    pub fn parameters(&self) -> Result<Parameters> {
        let numbers = |(name, tensor): (String, Tensor)| {
            let flat = tensor.to_device(Device::Cpu).to_kind(Kind::Float).flatten(0, -1);
            Ok((name, Vec::<f32>::try_from(flat)?))
        };
        self.store.variables().into_iter().map(numbers).collect()
    }

    /// Numbers that training adjusts.
    pub fn parameter_count(&self) -> usize {
        self.store.trainable_variables().iter().map(Tensor::numel).sum()
    }
}

/// A batch between the pass forward and the one backward.
pub struct Forward<'a> {
    /// f32 `[batch, outputs]`
    pub logits: Tensor,
    /// What libtorch did not compute, and the tensors it was handed.
    natives: Vec<(Tensor, native::NativeBatch<'a>)>,
}

impl Forward<'_> {
    /// Logits that libtorch alone computed.
    pub fn by_libtorch(logits: Tensor) -> Self {
        Self { logits, natives: Vec::new() }
    }

    /// The same with the control's part of a batch, from its rows, added to the logits.
    pub fn beside_control(self, network: &Network, rows: &Tensor) -> Self {
        Self { logits: network.beside_control_of(self.logits, rows), ..self }
    }

    /// The gradients of a scalar loss with respect to parameters, each flattened.
    pub fn gradients(self, loss: &Tensor, parameters: &[Tensor]) -> Vec<Tensor> {
        if self.natives.is_empty() {
            return flat(Tensor::run_backward(&[loss], parameters, false, false));
        }
        let own: Vec<&Tensor> = self.natives.iter().flat_map(|(_, batch)| batch.parameters()).collect();
        let place = |parameter: &Tensor| own.iter().position(|own| own.data_ptr() == parameter.data_ptr());
        let places: Vec<Option<usize>> = parameters.iter().map(place).collect();
        let others =
            parameters.iter().zip(&places).filter(|(_, place)| place.is_none()).map(|(parameter, _)| parameter);
        let to: Vec<&Tensor> = self.natives.iter().map(|(from, _)| from).chain(others).collect();
        let mut found = Tensor::run_backward(&[loss], &to, false, false).into_iter();
        let mut own = Vec::new();
        for ((_, batch), gradient) in self.natives.into_iter().zip(&mut found) {
            let gradient = gradient.to_kind(Kind::Float).contiguous();
            let mut numbers = vec![0.0; gradient.numel()];
            gradient.copy_data(&mut numbers, gradient.numel());
            own.extend(batch.gradients(&numbers));
        }
        let of = |place: &Option<usize>| match place {
            Some(place) => Some(Tensor::from_slice(&own[*place])),
            None => found.next().map(|gradient| gradient.flatten(0, -1)),
        };
        places.iter().filter_map(of).collect()
    }
}

fn flat(gradients: Vec<Tensor>) -> Vec<Tensor> {
    gradients.iter().map(|gradient| gradient.flatten(0, -1)).collect()
}

/// The reverse complements of codes `[batch, length]`.
fn reverse_complements(codes: &[u8], length: usize) -> Vec<u8> {
    let mut codes = codes.to_vec();
    codes.chunks_mut(length).for_each(alphabet::reverse_complement);
    codes
}

/// One-hot f32 `[batch, 4, length]` from codes u8 `[batch, length]`, on the codes' device. Code 4 is the zero column.
pub fn one_hot(codes: &Tensor) -> Tensor {
    let bases = Tensor::arange(4, (Kind::Uint8, codes.device())).view([1, 4, 1]);
    codes.unsqueeze(1).eq_tensor(&bases).to_kind(Kind::Float)
}

/// Codes as a tensor u8 `[n, length]` on a device.
pub fn codes_tensor(codes: &[u8], length: usize, device: Device) -> Tensor {
    device::to_device(codes, device).view([-1, length as i64])
}

#[cfg(test)]
mod tests;
