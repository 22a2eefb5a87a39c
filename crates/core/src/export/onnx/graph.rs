//! A graph that is being built: operations, constants, and weights under their names in the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, bail};

use crate::formats::onnx::{Attribute, Node, Tensor};
use crate::run::tensor_file::{self, TensorFile, Values};
use crate::run::weights::About;

/// Adds operations one after the other; each returns the name of what it gives.
pub struct Builder<'a> {
    /// Operations so far.
    pub nodes: Vec<Node>,
    /// Constants and weights so far.
    pub initializers: Vec<Tensor>,
    /// Put before the names of weights: the member of an ensemble.
    pub prefix: String,
    /// Whether filters are shared between the strands.
    pub tied: bool,
    weights: &'a TensorFile<About>,
    path: &'a Path,
    known: BTreeSet<String>,
    /// Names of constant whole numbers.
    lists: BTreeMap<Vec<i64>, String>,
}

/// What stands before the names of a member's weights.
pub fn of_member(members: usize, member: usize) -> String {
    if members == 1 { String::new() } else { format!("members.{member}.") }
}

impl<'a> Builder<'a> {
    /// An empty graph with the weights in a file.
    pub fn new(weights: &'a TensorFile<About>, path: &'a Path, tied: bool) -> Self {
        Self {
            nodes: Vec::new(),
            initializers: Vec::new(),
            prefix: String::new(),
            tied,
            weights,
            path,
            known: BTreeSet::new(),
            lists: BTreeMap::new(),
        }
    }

    /// An operation.
    pub fn op(&mut self, kind: &str, inputs: &[&str], attributes: Vec<Attribute>) -> String {
        let output = format!("{}_{}", kind.to_lowercase(), self.nodes.len());
        self.op_to(kind, inputs, attributes, &output);
        output
    }

    /// An operation whose output has this name.
    pub fn op_to(&mut self, kind: &str, inputs: &[&str], attributes: Vec<Attribute>, output: &str) {
        self.nodes.push(Node {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: format!("{}_{}", kind, self.nodes.len()),
            op_type: kind.to_owned(),
            attribute: attributes,
        });
    }

    /// Constant whole numbers.
    pub fn integers(&mut self, values: &[i64]) -> String {
        if let Some(name) = self.lists.get(values) {
            return name.clone();
        }
        let name = format!("integers_{}", self.lists.len());
        self.initializers.push(Tensor::integers(&name, values));
        self.lists.insert(values.to_vec(), name.clone());
        name
    }

    /// Constant numbers.
    pub fn floats(&mut self, shape: &[usize], values: &[f32]) -> String {
        let name = format!("constant_{}", self.initializers.len());
        self.initializers.push(Tensor::floats(&name, shape, values));
        name
    }

    /// A single constant number.
    fn number(&mut self, value: f32) -> String {
        let name = format!("number_{value:e}");
        if self.known.insert(name.clone()) {
            self.initializers.push(Tensor::floats(&name, &[1], &[value]));
        }
        name
    }

    /// The numbers of a weight of the member whose turn it is.
    ///
    /// # Errors
    /// The file lacks it, or it has another shape or is not finite.
    pub fn values(&self, name: &str, shape: &[usize]) -> Result<&'a [f32]> {
        let (name, file) = (format!("{}{name}", self.prefix), self.path.display());
        let Some(tensor) = self.weights.tensors.get(&name) else {
            bail!("{file}: lacks tensor '{name}', which this network has; is it from another run?");
        };
        let (Values::F32(values), true) = (&tensor.values, tensor.shape == *shape) else {
            let expected = tensor_file::Tensor::f32(shape.to_vec(), Vec::new()).describe();
            bail!("{file}: tensor '{name}' is {}, expected {expected}; is it from another run?", tensor.describe());
        };
        tensor.check_finite(&name, self.path)?;
        Ok(values)
    }

    /// A weight of the member whose turn it is.
    ///
    /// # Errors
    /// As for its [`values`](Self::values).
    pub fn weight(&mut self, name: &str, shape: &[usize]) -> Result<String> {
        let values = self.values(name, shape)?;
        Ok(self.changed_weight(name, shape, || values.to_vec()))
    }

    /// A weight in an order of its own.
    pub fn changed_weight(&mut self, name: &str, shape: &[usize], values: impl FnOnce() -> Vec<f32>) -> String {
        let name = format!("{}{name}", self.prefix);
        if self.known.insert(name.clone()) {
            self.initializers.push(Tensor::floats(&name, shape, &values()));
        }
        name
    }

    /// All dimensions but the first in one.
    pub fn flattened(&mut self, of: &str) -> String {
        self.op("Flatten", &[of], vec![Attribute::int("axis", 1)])
    }

    /// Another shape; 0 stands for the size that is there.
    pub fn reshaped(&mut self, of: &str, shape: &[i64]) -> String {
        let shape = self.integers(shape);
        self.op("Reshape", &[of, &shape], vec![])
    }

    /// The same, run backwards along some dimensions.
    pub fn reversed(&mut self, of: &str, axes: &[i64]) -> String {
        let each = |value: i64| vec![value; axes.len()];
        let (starts, ends) = (self.integers(&each(-1)), self.integers(&each(i64::MIN + 1)));
        let axes = self.integers(axes);
        self.op("Slice", &[of, &starts, &ends, &axes, &starts], vec![])
    }

    /// Some positions of one dimension, in this order. Also where a slice would do, but tract 0.22 fails when it moves
    /// that before a reshape or a residual block.
    pub fn gathered(&mut self, of: &str, axis: usize, positions: impl Iterator<Item = usize>) -> String {
        let positions: Vec<i64> = positions.map(|position| position as i64).collect();
        let index = self.integers(&positions);
        self.op("Gather", &[of, &index], vec![Attribute::int("axis", axis)])
    }

    /// From one position to before another, along one dimension.
    pub fn slice(&mut self, of: &str, axis: i64, start: usize, end: usize) -> String {
        let [start, end] = [start, end].map(|position| self.integers(&[position as i64]));
        let axis = self.integers(&[axis]);
        self.op("Slice", &[of, &start, &end, &axis], vec![])
    }

    /// One behind the other, along one dimension.
    pub fn concatenated(&mut self, parts: &[&str], axis: usize) -> String {
        match parts {
            [part] => (*part).to_owned(),
            _ => self.op("Concat", parts, vec![Attribute::int("axis", axis)]),
        }
    }

    /// Times a number.
    pub fn scaled(&mut self, of: &str, by: f32) -> String {
        let factor = self.number(by);
        self.op("Mul", &[of, &factor], vec![])
    }

    /// Plus a number.
    pub fn plus(&mut self, of: &str, number: f32) -> String {
        let number = self.number(number);
        self.op("Add", &[of, &number], vec![])
    }

    /// At most a number.
    pub fn at_most(&mut self, of: &str, most: f32) -> String {
        let most = self.number(most);
        self.op("Min", &[of, &most], vec![])
    }
}
