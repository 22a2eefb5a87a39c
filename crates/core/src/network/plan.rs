//! The structure of a network before it is built: layers with their names, blocks, shapes, parameters, multiply-adds
//! and receptive fields. Arithmetic alone, no tensors.

use anyhow::{Result, anyhow, bail};

use crate::config::layers::{Layer, MOST_PARAMETERS, Shape};
use crate::config::{Architecture, LONGEST_BP, ModelConfig, Strands};
use crate::network::{Outputs, basset, bpnet, custom, danq, gated, residual, shallow};
use crate::sequence::profile::ProfileShape;

/// A layer in its network.
#[derive(Clone, Debug)]
pub struct Step {
    /// Path of its parameters, as in the `state_dict` of the same network in PyTorch; empty where it has none.
    pub name: String,
    /// Index of its block, from 0.
    pub block: usize,
    /// Kind of the layer, with its hyperparameters.
    pub layer: Layer,
    /// Inner layers of a residual layer, whose output is added to its input.
    pub inner: Vec<Step>,
    /// Shape that enters the layer, for one sequence.
    pub input: Shape,
    /// Shape that leaves the layer, for one sequence.
    pub output: Shape,
    /// Number of trainable parameters, without those of `inner`.
    pub parameters: usize,
    /// Multiply-adds for one sequence, without those of `inner`.
    pub multiply_adds: usize,
    /// Receptive field of one output, in bp.
    pub receptive_bp: usize,
}

impl Step {
    /// All layers within this one, at any depth.
    pub fn within(&self) -> Vec<&Step> {
        self.inner.iter().flat_map(|step| std::iter::once(step).chain(step.within())).collect()
    }
}

/// All layers of a network for fragments of one length.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The architecture.
    pub arch: Architecture,
    /// The layers from input to logits; those inside residual layers are in [`Step::inner`].
    pub steps: Vec<Step>,
    /// Names of the blocks, from input to output.
    pub blocks: Vec<String>,
    /// Whether filters are shared between the strands, so that half of a layer's filters belong to each.
    pub tied: bool,
    /// Length of the input, in bp.
    pub length: usize,
    /// What comes out.
    pub outputs: Outputs,
    shape: Shape,
    receptive_bp: usize,
    /// Distance between neighbouring positions, in bp.
    step_bp: usize,
}

impl Plan {
    /// Plans the network of a configuration, with a logit for each output.
    ///
    /// # Errors
    /// It does not fit fragments of `length` bp, or its filters cannot be shared between strands.
    pub fn new(config: &ModelConfig, length: usize, outputs: impl Into<Outputs>, strands: Strands) -> Result<Self> {
        let (arch, outputs) = (config.arch.name(), outputs.into());
        if outputs.bins.is_some() && !config.arch.has_positions() {
            bail!(
                "--bin goes with an architecture that keeps positions, expected --arch residual or gated, not {arch}"
            );
        }
        if outputs.profile.is_some() != config.arch.predicts_profiles() {
            let found = if outputs.profile.is_some() { "goes with" } else { "is needed by" };
            bail!("--task profile {found} --arch branched, bpnet or bias, and --arch is {arch}; change one");
        }
        if outputs.profile.is_some() && strands == Strands::Equivariant {
            bail!("--strands is equivariant, expected single, augment, average or shared for --task profile; use one");
        }
        if length > LONGEST_BP {
            bail!("fragments have {length} bp, expected at most {LONGEST_BP}; use shorter ones");
        }
        if config.arch != Architecture::Custom && length < config.shortest_bp() {
            let shortest = config.shortest_bp();
            bail!("fragments have {length} bp, and --arch {arch} needs {shortest} or more; use longer ones");
        }
        if let Some(fault) = config.faults(Some(length), strands).into_iter().next() {
            bail!(fault);
        }
        let mut plan = Self {
            arch: config.arch,
            steps: Vec::new(),
            blocks: Vec::new(),
            tied: strands == Strands::Equivariant,
            length,
            outputs: outputs.clone(),
            shape: Shape::one_hot(length),
            receptive_bp: 1,
            step_bp: 1,
        };
        match config.arch {
            Architecture::Shallow => shallow::plan(&mut plan, config, outputs.columns),
            Architecture::Residual => residual::plan(&mut plan, config, &outputs),
            Architecture::Basset => basset::plan(&mut plan, config, outputs.columns),
            Architecture::Danq => danq::plan(&mut plan, config, outputs.columns),
            Architecture::Gated => gated::plan(&mut plan, config, &outputs),
            Architecture::Bpnet | Architecture::Bias => bpnet::plan(&mut plan, config, &outputs),
            Architecture::Branched => bpnet::plan_branched(&mut plan, config, &outputs),
            Architecture::Custom => custom::plan(&mut plan, config, outputs.columns),
        }
        .map_err(|error| anyhow!("--arch {arch}, for fragments of {length} bp: {error}"))?;
        if plan.parameters() > MOST_PARAMETERS {
            bail!(
                "--arch {arch} has {} parameters for fragments of {length} bp, expected at most {MOST_PARAMETERS}; use shorter fragments or fewer filters",
                plan.parameters()
            );
        }
        Ok(plan)
    }

    /// Number of trainable parameters, those of a control's part included.
    pub fn parameters(&self) -> usize {
        let of_control = self.outputs.profile.as_ref().map_or(0, ProfileShape::control_parameters);
        sum(&self.steps, |step| step.parameters) + of_control
    }

    /// Number of trainable parameters of the first of two branches, which come before all others; 0 where there is but one.
    pub fn parameters_of_first_branch(&self) -> usize {
        self.branches().map_or(0, |(first, _)| sum(first, |step| step.parameters))
    }

    /// Multiply-adds for one sequence on one strand.
    pub fn multiply_adds(&self) -> usize {
        sum(&self.steps, |step| step.multiply_adds)
    }

    /// Paths of the output layer's parameters; where branches end the network, of the last layer of each.
    pub fn output_paths(&self) -> Vec<&str> {
        let last = |steps: &'_ [Step]| steps.iter().rposition(|step| step.parameters > 0);
        if let Some(Step { layer: Layer::Branches { first, .. }, inner, .. }) = self.steps.last() {
            let (one, other) = inner.split_at(*first);
            return [one, other].iter().filter_map(|steps| Some(steps[last(steps)?].name.as_str())).collect();
        }
        last(&self.steps).map(|place| self.steps[place].name.as_str()).into_iter().collect()
    }

    /// Paths of the parameters in the first `blocks` blocks.
    pub fn parameter_paths(&self, blocks: usize) -> Vec<String> {
        let steps = self.steps.iter().filter(|step| step.block < blocks);
        let steps = steps.flat_map(|step| std::iter::once(step).chain(step.within()));
        steps.filter(|step| !step.name.is_empty()).map(|step| step.name.clone()).collect()
    }

    /// Number of positions after the last layer so far; 1 if they are pooled or flattened.
    pub(super) fn positions(&self) -> usize {
        self.shape.positions.unwrap_or(1)
    }

    /// Distance between neighbouring positions after the last layer so far, in bp.
    pub(super) fn step_bp(&self) -> usize {
        self.step_bp
    }

    /// Starts a block, which the following layers belong to.
    pub(super) fn block(&mut self, name: impl Into<String>) {
        self.blocks.push(name.into());
    }

    /// Adds layers without parameters.
    pub(super) fn then(&mut self, layers: impl IntoIterator<Item = Layer>) -> Result<()> {
        layers.into_iter().try_for_each(|layer| self.add("", layer))
    }

    /// Adds a layer with parameters under `name`; its inner layers are `name.0` and so on.
    pub(super) fn add(&mut self, name: &str, layer: Layer) -> Result<()> {
        let Layer::Residual { layers } = layer else { return self.add_with(name, layer, Vec::new()) };
        self.add_residual("", |inner| {
            layers.into_iter().enumerate().try_for_each(|(i, layer)| inner.add(&format!("{name}.{i}"), layer))
        })
    }

    /// Adds a residual layer around the layers that `fill` adds.
    pub(super) fn add_residual(&mut self, name: &str, fill: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let before = (self.steps.len(), self.shape);
        fill(self)?;
        let inner = self.steps.split_off(before.0);
        let layers = inner.iter().map(|step| step.layer.clone()).collect();
        self.shape = before.1;
        self.add_with(name, Layer::Residual { layers }, inner)
    }

    /// The layers of both branches, where these are all of the network.
    pub fn branches(&self) -> Option<(&[Step], &[Step])> {
        match self.steps.as_slice() {
            [Step { layer: Layer::Branches { first, .. }, inner, .. }] => Some(inner.split_at(*first)),
            _ => None,
        }
    }

    /// Adds two lists of layers that read the same, and whose features follow each other.
    pub(super) fn add_branches(
        &mut self,
        one: impl FnOnce(&mut Self) -> Result<()>,
        other: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let (start, shape, step_bp, blocks) = (self.steps.len(), self.shape, self.step_bp, self.blocks.len());
        one(self)?;
        let (first, features) = (self.steps.len() - start, self.shape.channels);
        (self.shape, self.step_bp) = (shape, step_bp);
        other(self)?;
        let (mut inner, features) = (self.steps.split_off(start), features + self.shape.channels);
        (self.shape, self.step_bp) = (shape, step_bp);
        // Both are one block.
        self.blocks.truncate(blocks);
        inner.iter_mut().for_each(|step| step.block = blocks - 1);
        self.add_with("", Layer::Branches { first, features }, inner)
    }

    fn add_with(&mut self, name: &str, layer: Layer, inner: Vec<Step>) -> Result<()> {
        let input = self.shape;
        let output = input.after(&layer, self.tied).map_err(|fault| {
            let named = if name.is_empty() { layer.kind().to_owned() } else { format!("{name} ({})", layer.kind()) };
            anyhow!("{named} {fault}")
        })?;
        match layer.reach() {
            Some((reach, step)) => {
                // Strides beyond the sequence would overflow.
                self.receptive_bp = self.receptive_bp.saturating_add((reach - 1).saturating_mul(self.step_bp));
                self.step_bp = self.step_bp.saturating_mul(step);
            }
            None => self.receptive_bp = self.length,
        }
        self.receptive_bp = self.receptive_bp.min(self.length);
        self.shape = output;
        let parameters = layer.parameters(input, output, self.tied);
        self.steps.push(Step {
            name: if parameters == 0 { String::new() } else { name.to_owned() },
            block: self.blocks.len() - 1,
            parameters,
            multiply_adds: layer.multiply_adds(input, output, self.tied),
            receptive_bp: self.receptive_bp,
            layer,
            inner,
            input,
            output,
        });
        Ok(())
    }
}

fn sum(steps: &[Step], of: impl Fn(&Step) -> usize + Copy) -> usize {
    steps.iter().map(|step| of(step) + sum(&step.inner, of)).sum()
}
