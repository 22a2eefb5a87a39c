//! Classes for the layers of a network, whose attributes are named so that the `state_dict` has the names of the weights.
//! Layers that are named by their places become an `nn.Sequential`, blocks that repeat a class with what differs as arguments.

use std::fmt::Write;

use crate::config::layers::Layer;
use crate::export::python::call::{Argument, Call, Value};
use crate::export::python::layers::{self, Definitions};
use crate::network::plan::Step;

/// Writes classes.
#[derive(Debug, Default)]
pub struct Classes {
    /// Whether filters are shared between the strands.
    pub tied: bool,
    /// What the classes need.
    pub definitions: Definitions,
    /// Classes so far, in an order in which each is defined before it is used.
    pub sources: Vec<String>,
}

/// What `forward` does with one module.
struct Use {
    /// The module, such as `dense[0]`.
    module: String,
    /// Whether it has parameters, and so begins a line.
    begins_line: bool,
}

/// The attributes of a class and what `forward` does with them.
#[derive(Default)]
struct Body {
    /// Names and what they are set to.
    attributes: Vec<(String, String)>,
    uses: Vec<Use>,
}

/// What else a class does beside one layer after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside<'a> {
    /// Its input is added.
    pub input: bool,
    /// The class of another module, whose features stand before its own.
    pub branch: Option<&'a str>,
    /// The call that makes a control, whose logits are added.
    pub control: Option<&'a str>,
}

impl Classes {
    /// Writes the class of a list of layers whose names begin with `prefix`.
    pub fn write(&mut self, name: &str, doc: &str, steps: &[Step], prefix: &str, beside: Beside) {
        let source = if beside == Beside::default() && is_positional(steps, prefix) {
            let call = Call::new("super().__init__").of(self.elements(steps, prefix));
            let initial = call.written(8, 8);
            format!(
                "class {name}(nn.Sequential):\n    \"\"\"{doc}\"\"\"\n\n    def __init__(self):\n        {initial}\n"
            )
        } else {
            let body = self.body(steps, prefix);
            class(name, doc, &[], &body, beside)
        };
        self.sources.push(source);
    }

    /// The modules of layers, one by one.
    fn elements(&mut self, steps: &[Step], prefix: &str) -> Vec<Call> {
        let mut calls = Vec::new();
        for (i, step) in steps.iter().enumerate() {
            calls.push(self.element(step, &format!("{prefix}{i}.")));
        }
        calls
    }

    fn element(&mut self, step: &Step, prefix: &str) -> Call {
        if !matches!(step.layer, Layer::Residual { .. }) {
            return layers::module(step, self.tied, &mut self.definitions);
        }
        let inner = self.elements(&step.inner, prefix);
        layers::residual(inner, &mut self.definitions)
    }

    fn body(&mut self, steps: &[Step], prefix: &str) -> Body {
        let mut body = Body::default();
        let mut names = Unnamed::of(steps);
        let mut i = 0;
        while i < steps.len() {
            let Some((list, end)) = list_at(steps, prefix, i) else {
                let step = &steps[i];
                i += 1;
                if is_no_dropout(step) {
                    continue;
                }
                let path = path(step, prefix);
                let name = path.first().map_or_else(|| names.next(step), |name| (*name).to_owned());
                let call = self.element(step, prefix);
                let value = call.written(8 + "self. = ".len() + name.len(), 8);
                body.uses.push(Use { module: name.clone(), begins_line: !path.is_empty() });
                body.attributes.push((name, value));
                continue;
            };
            i += self.list(&steps[i..end], &list, prefix, &mut body, &mut names);
        }
        body
    }

    /// Adds the layers that are in a list; returns how many of `members` these are.
    fn list(&mut self, members: &[Step], list: &str, prefix: &str, body: &mut Body, names: &mut Unnamed) -> usize {
        let within = format!("{prefix}{list}.");
        if is_positional(members, &within) {
            let calls = self.positional(members, &within);
            body.attributes.push((list.into(), sequential(calls)));
            body.uses.push(Use { module: list.into(), begins_line: true });
            return members.len();
        }
        // Where each of the list begins, and how many layers all of them have.
        let index = |step: &Step| path(step, &within).first().map(|index| (*index).to_owned());
        let is_first = |i: usize| members[..i].iter().all(|before| index(before) != index(&members[i]));
        let starts: Vec<usize> = (0..members.len()).filter(|&i| index(&members[i]).is_some() && is_first(i)).collect();
        if starts.iter().all(|&i| path(&members[i], &within).len() == 1) {
            self.single_layers(members, &starts, list, body, names);
            return members.len();
        }
        let ends = starts.iter().skip(1).copied().chain([members.len()]);
        let count = starts.iter().zip(ends).map(|(start, end)| end - start).min().unwrap_or(0);
        let groups: Vec<(&[Step], String)> = starts
            .iter()
            .enumerate()
            .map(|(index, &start)| (&members[start..start + count], format!("{within}{index}.")))
            .collect();
        let calls = self.block("ConvolutionBlock", "A convolution with what follows it.", &groups, Beside::default());
        body.attributes.push((list.into(), sequential(calls)));
        body.uses.push(Use { module: list.into(), begins_line: true });
        starts.last().unwrap_or(&0) + count
    }

    /// The modules of layers that are named by their places; of residual layers whose own have names, by one class.
    fn positional(&mut self, members: &[Step], within: &str) -> Vec<Call> {
        let of_block = |i: usize| format!("{within}{i}.");
        let are_blocks = members
            .iter()
            .enumerate()
            .all(|(i, step)| matches!(step.layer, Layer::Residual { .. }) && !is_positional(&step.inner, &of_block(i)));
        if !are_blocks {
            return self.elements(members, within);
        }
        let groups: Vec<(&[Step], String)> =
            members.iter().enumerate().map(|(i, step)| (&step.inner[..], of_block(i))).collect();
        self.block("ResidualBlock", "A residual block.", &groups, Beside { input: true, ..Beside::default() })
    }

    /// Adds single layers of a list, at `starts`, and between them others that are in no list.
    fn single_layers(&mut self, members: &[Step], starts: &[usize], list: &str, body: &mut Body, names: &mut Unnamed) {
        let calls: Vec<Call> =
            starts.iter().map(|&i| layers::module(&members[i], self.tied, &mut self.definitions)).collect();
        let listed: String = calls.iter().map(|call| format!("            {},\n", call.written(12, 12))).collect();
        body.attributes.push((list.into(), format!("nn.ModuleList([\n{listed}        ])")));
        for (i, step) in members.iter().enumerate() {
            if let Some(index) = starts.iter().position(|&start| start == i) {
                body.uses.push(Use { module: format!("{list}[{index}]"), begins_line: true });
            } else if !is_no_dropout(step) {
                let name = names.next(step);
                body.attributes.push((name.clone(), self.element(step, list).written(8, 8)));
                body.uses.push(Use { module: name, begins_line: false });
            }
        }
    }

    /// Writes the class of blocks that have the same layers with other sizes; returns a call for each.
    fn block(&mut self, name: &str, doc: &str, groups: &[(&[Step], String)], beside: Beside) -> Vec<Call> {
        let (first, prefix) = &groups[0];
        let mut names = Unnamed::of(first);
        let mut parameters: Vec<(String, Vec<String>)> = Vec::new();
        let mut body = Body::default();
        for (place, step) in first.iter().enumerate() {
            if is_no_dropout(step) {
                continue;
            }
            let path = path(step, prefix);
            let attribute = path.first().map_or_else(|| names.next(step), |name| (*name).to_owned());
            let mut calls: Vec<Call> = groups
                .iter()
                .map(|(steps, _)| layers::module(&steps[place], self.tied, &mut self.definitions))
                .collect();
            with_the_same_keywords(&mut calls);
            let mut call = calls[0].clone();
            let callees: Vec<String> = calls.iter().map(|call| call.callee.clone()).collect();
            if callees.iter().any(|callee| *callee != callees[0]) {
                call.callee = parameter(&mut parameters, &attribute, callees);
            }
            for (j, argument) in call.arguments.iter_mut().enumerate() {
                let values: Vec<String> = calls.iter().map(|call| text_of(&call.arguments[j])).collect();
                if values.iter().any(|value| *value != values[0]) {
                    argument.value = Value::Text(parameter(&mut parameters, argument.name, values));
                }
            }
            body.attributes.push((attribute.clone(), call.written(8 + "self. = ".len() + attribute.len(), 8)));
            body.uses.push(Use { module: attribute, begins_line: !path.is_empty() });
        }
        let of_class: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
        self.sources.push(class(name, doc, &of_class, &body, beside));
        let call = |group: usize| {
            let arguments = parameters.iter().map(|(name, values)| format!("{name}={}", values[group]));
            let arguments = arguments.map(|text| Argument { name: "", is_keyword: false, value: Value::Text(text) });
            Call { callee: name.into(), arguments: arguments.collect() }
        };
        (0..groups.len()).map(call).collect()
    }
}

/// The parameter that has these values, one for each block.
fn parameter(parameters: &mut Vec<(String, Vec<String>)>, name: &str, values: Vec<String>) -> String {
    if let Some((name, _)) = parameters.iter().find(|(_, known)| *known == values) {
        return name.clone();
    }
    let taken = parameters.iter().filter(|(known, _)| known.trim_end_matches(char::is_numeric) == name).count();
    let name = if taken == 0 { name.to_owned() } else { format!("{name}{}", taken + 1) };
    parameters.push((name.clone(), values));
    name
}

fn text_of(argument: &Argument) -> String {
    match &argument.value {
        Value::Text(text) => text.clone(),
        Value::Call(call) => call.written(0, 0),
    }
}

/// Gives calls of one function all keywords that any of them has, in one order, with PyTorch's own defaults.
fn with_the_same_keywords(calls: &mut [Call]) {
    let mut keywords: Vec<&'static str> = Vec::new();
    for argument in calls.iter().flat_map(|call| &call.arguments).filter(|argument| argument.is_keyword) {
        if !keywords.contains(&argument.name) {
            keywords.push(argument.name);
        }
    }
    for call in calls {
        let (mut arguments, given): (Vec<Argument>, Vec<Argument>) =
            std::mem::take(&mut call.arguments).into_iter().partition(|argument| !argument.is_keyword);
        arguments.extend(keywords.iter().map(|&name| {
            let default = if name == "padding" { "0" } else { "1" };
            let absent = || Argument { name, is_keyword: true, value: Value::Text(default.into()) };
            given.iter().find(|argument| argument.name == name).cloned().unwrap_or_else(absent)
        }));
        call.arguments = arguments;
    }
}

/// An `nn.Sequential`; of calls that differ in one argument, the values of that.
fn sequential(calls: Vec<Call>) -> String {
    if let Some(repeated) = repeated(&calls) {
        return format!("nn.Sequential({repeated})");
    }
    Call::new("nn.Sequential").of(calls).written(0, 8)
}

fn repeated(calls: &[Call]) -> Option<String> {
    let (first, others) = calls.split_first().filter(|(_, others)| !others.is_empty())?;
    let are_alike =
        others.iter().all(|call| call.callee == first.callee && call.arguments.len() == first.arguments.len());
    if !are_alike {
        return None;
    }
    let differs = |i: &usize| others.iter().any(|call| call.arguments[*i] != first.arguments[*i]);
    let differing: Vec<usize> = (0..first.arguments.len()).filter(differs).collect();
    let [place] = differing[..] else { return None };
    let texts: Vec<String> = calls.iter().map(|call| text_of(&call.arguments[place])).collect();
    let argument = &first.arguments[place];
    // Arguments of blocks hold their keyword.
    let (name, values): (&str, Vec<&str>) = match texts[0].split_once('=') {
        Some((name, _)) => (name, texts.iter().filter_map(|text| Some(text.split_once('=')?.1)).collect()),
        None => (argument.name, texts.iter().map(String::as_str).collect()),
    };
    let mut call = first.clone();
    let value = if texts[0].contains('=') { format!("{name}={name}") } else { name.to_owned() };
    call.arguments[place].value = Value::Text(value);
    Some(format!("*({} for {name} in [{}])", call.written(0, 8), values.join(", ")))
}

/// The names within `prefix` that lead to the parameters of a layer: its own, or that of the layer that it stands for.
fn path<'a>(step: &'a Step, prefix: &str) -> Vec<&'a str> {
    let name = if step.name.is_empty() {
        let inner = step.within().into_iter().find(|step| !step.name.is_empty());
        inner.and_then(|step| step.name.rsplit_once('.')).map_or("", |(parent, _)| parent)
    } else {
        &step.name
    };
    match name.strip_prefix(prefix) {
        Some(rest) if !rest.is_empty() => rest.split('.').collect(),
        _ => Vec::new(),
    }
}

/// Whether layers are named by their places, from 0.
fn is_positional(steps: &[Step], prefix: &str) -> bool {
    steps.iter().enumerate().all(|(i, step)| path(step, prefix).first().is_none_or(|name| *name == i.to_string()))
}

/// The name of a list that begins with a step, and the step behind its last.
fn list_at(steps: &[Step], prefix: &str, start: usize) -> Option<(String, usize)> {
    let next = (start..steps.len()).find(|&i| !path(&steps[i], prefix).is_empty())?;
    let of_next = path(&steps[next], prefix);
    let [list, index, ..] = of_next[..] else { return None };
    if index.parse::<usize>().ok()? != next - start {
        return None;
    }
    let is_another = |i: &usize| path(&steps[*i], prefix).first().is_some_and(|name| *name != list);
    Some((list.to_owned(), (next..steps.len()).find(is_another).unwrap_or(steps.len())))
}

/// A dropout that drops nothing.
fn is_no_dropout(step: &Step) -> bool {
    matches!(step.layer, Layer::Dropout { rate } if rate.unwrap_or(0.0) == 0.0)
}

/// Names of layers without parameters: their kinds, numbered where there are several.
struct Unnamed {
    /// Kinds, with how many there are and how many have a name.
    kinds: Vec<(&'static str, usize, usize)>,
}

impl Unnamed {
    fn of(steps: &[Step]) -> Self {
        let mut kinds: Vec<(&'static str, usize, usize)> = Vec::new();
        for step in steps.iter().filter(|step| step.name.is_empty() && !is_no_dropout(step)) {
            match kinds.iter_mut().find(|(kind, _, _)| *kind == kind_of(step)) {
                Some((_, count, _)) => *count += 1,
                None => kinds.push((kind_of(step), 1, 0)),
            }
        }
        Self { kinds }
    }

    fn next(&mut self, step: &Step) -> String {
        let kind = kind_of(step);
        match self.kinds.iter_mut().find(|(known, _, _)| *known == kind) {
            Some((_, count, named)) if *count > 1 => {
                *named += 1;
                format!("{kind}{named}")
            }
            _ => kind.to_owned(),
        }
    }
}

fn kind_of(step: &Step) -> &'static str {
    match step.layer.kind() {
        "max-pool" | "mean-pool" | "global-pool" => "pool",
        kind => kind,
    }
}

/// A class whose `forward` applies one module after the other.
fn class(name: &str, doc: &str, parameters: &[&str], body: &Body, beside: Beside) -> String {
    let parameters: String = parameters.iter().map(|name| format!(", {name}")).collect();
    let mut source = format!(
        "class {name}(nn.Module):\n    \"\"\"{doc}\"\"\"\n\n    def __init__(self{parameters}):\n        super().__init__()\n"
    );
    let Beside { input, branch, control } = beside;
    if let Some(class) = branch {
        let _ = writeln!(source, "        self.{} = {class}()", class.to_lowercase());
    }
    for (attribute, value) in &body.attributes {
        let _ = writeln!(source, "        self.{attribute} = {value}");
    }
    if let Some(call) = control {
        let _ = writeln!(source, "        self.control = {call}");
    }
    let of_control = if control.is_some() { ", control=None" } else { "" };
    let _ = write!(source, "\n    def forward(self, x{of_control}):\n");
    if let Some(class) = branch {
        let name = class.to_lowercase();
        let _ = writeln!(source, "        {name} = self.{name}(x)");
    }
    // Where the input is needed at the end, it keeps its name.
    let variable = if input { "y" } else { "x" };
    let mut lines: Vec<String> = Vec::new();
    for used in &body.uses {
        match lines.last_mut() {
            Some(line) if !used.begins_line => *line = format!("self.{}({line})", used.module),
            _ => {
                let read = if lines.is_empty() { "x" } else { variable };
                lines.push(format!("self.{}({read})", used.module));
            }
        }
    }
    let last = lines.pop().unwrap_or_else(|| "x".into());
    for line in lines {
        let _ = writeln!(source, "        {variable} = {line}");
    }
    let result = match branch {
        Some(class) => format!("torch.cat([{}, {last}], 1)", class.to_lowercase()),
        None if input => format!("x + {last}"),
        None => last,
    };
    let _ = if control.is_some() {
        write!(
            source,
            "        logits = {result}\n        return logits if control is None else logits + self.control(control)\n"
        )
    } else {
        writeln!(source, "        return {result}")
    };
    source
}
