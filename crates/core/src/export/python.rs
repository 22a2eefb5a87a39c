//! `model.py`: a network as a plain PyTorch module, whose names are those of the weights in `best.safetensors`. What its layers do is
//! in `layers`, how they become classes in `classes`; here are the strands, the members and what follows the logits.

mod call;
mod classes;
mod layers;

use std::fmt::Write;

use crate::config::{Loss, TaskKind, name_of};
use crate::export::Network;
use crate::export::python::classes::{Beside, Classes};
use crate::sequence::profile::ProfileShape;
use crate::task::Scale;

/// The source of a module.
pub fn source(network: &Network) -> String {
    let (plan, card) = (&network.plan, &network.card);
    let (length, numbers) = (plan.length, plan.outputs.numbers());
    let mut classes = Classes { tied: plan.tied, ..Classes::default() };
    let control = network.control().map(|shape| {
        layers::control(&mut classes.definitions, shape);
        format!("Control({}, {}, {})", shape.control, shape.all_tracks(), shape.groups())
    });
    let strand = if network.strands.scores_both() { ", of the strand as given" } else { "" };
    let strand = if plan.tied { ", of each strand; those of a sequence follow each other" } else { strand };
    let doc = format!("One-hot sequences [N, 4, {length}] to logits [N, {numbers}]{strand}.");
    let (mut steps, mut beside) = (&plan.steps[..], Beside { control: control.as_deref(), ..Beside::default() });
    let mut branch = String::new();
    if let Some((first, second)) = plan.branches() {
        let prefix = first.iter().find_map(|step| step.name.split_once('.')).map_or("", |(prefix, _)| prefix);
        branch = capitalised(prefix);
        let of_branch = "The branch that gives the profile.";
        classes.write(&branch, of_branch, first, &format!("{prefix}."), Beside::default());
        steps = second;
    }
    if !branch.is_empty() {
        beside.branch = Some(&branch);
    }
    classes.write("Network", &doc, steps, "", beside);

    let mut text = header(network);
    for source in classes.definitions.sources().chain(classes.sources.iter().map(String::as_str)) {
        let _ = write!(text, "\n\n{source}");
    }
    if network.strands.scores_both() && !plan.outputs.mirrored().is_empty() {
        let _ = write!(text, "\n\n{}", flipped(network));
    }
    let _ = write!(text, "\n\n{}", model(network));
    let what = if card.task.predicts_values() { "predictions" } else { "probabilities" };
    let _ = write!(
        text,
        r#"

class Logits(Model):
    """Gives logits [N, {numbers}] in place of {what}, for methods of attribution."""

    forward = Model.logits


def load(run=Path(__file__).parent, model=Model):
    """The network with the weights of a run folder, in evaluation mode; its logits with model=Logits."""
    network = model()
    network.load_state_dict(load_file(Path(run) / "best.safetensors"))
    return network.eval()
"#
    );
    text
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Text as Python writes it, which is as in JSON.
fn text_of(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn list_of<T>(values: &[T], of: impl Fn(&T) -> String) -> String {
    format!("[{}]", values.iter().map(of).collect::<Vec<_>>().join(", "))
}

fn header(network: &Network) -> String {
    let card = &network.card;
    let version = env!("CARGO_PKG_VERSION");
    let (task, strands) = (name_of(&card.task), name_of(&network.strands));
    let members = if card.members == 1 { String::new() } else { format!(", {} members", card.members) };
    let call = match card.task {
        TaskKind::Profile => "profile, log_counts = model(one_hot([sequence]))",
        TaskKind::Regression => "values = model(one_hot([sequence]))",
        _ => "probabilities = model(one_hot([sequence]))",
    };
    let mut text = format!(
        r#""""A network trained by strandnet: --arch {arch} --task {task} --strands {strands}{members}.

    from model import load, one_hot

    model = load("RUN")
    {call}

Needs torch and safetensors. The weights are in best.safetensors of the run folder. Written by strandnet {version}.
"""
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

LENGTH = {length}  # of a sequence, in bp
"#,
        arch = network.arch,
        length = card.length
    );
    let names = match card.task {
        TaskKind::Binary | TaskKind::Multiclass => "CLASSES",
        TaskKind::Multilabel => "LABELS",
        TaskKind::Profile => "GROUPS",
        TaskKind::Regression => "COLUMNS",
    };
    let _ = writeln!(text, "{names} = {}", list_of(&card.classes, |name| text_of(name)));
    if let Some(profile) = &card.profile {
        let _ = writeln!(text, "TRACKS = {}", list_of(&profile.tracks, |name| text_of(name)));
    }
    if let Some(positive) = &card.positive {
        let _ = writeln!(text, "POSITIVE = {}  # the class whose probability comes out", text_of(positive));
    }
    if let Some(threshold) = card.threshold {
        let _ = writeln!(text, "THRESHOLD = {threshold:?}  # probabilities from here on are called positive");
    }
    text.push_str(
        r#"

def one_hot(sequences):
    """Float32 [N, 4, LENGTH] with rows A, C, G, T; other letters are columns of zeros."""
    rows = [[[base == row for base in sequence.upper().replace("U", "T")] for row in "ACGT"] for sequence in sequences]
    return torch.tensor(rows, dtype=torch.float32)
"#,
    );
    text
}

/// The function that reverses what runs the other way on the other strand.
fn flipped(network: &Network) -> String {
    let stretches = network.plan.outputs.mirrored();
    let first = stretches[0];
    let (count, covered) = (stretches.len(), stretches.iter().sum::<usize>());
    let reversed = if stretches.iter().all(|&length| length == first) {
        format!(".unflatten(1, ({count}, {first})).flip(2).flatten(1)")
    } else {
        String::new()
    };
    let Some(shape) = network.profile() else {
        return format!(
            "def flipped(logits):\n    \"\"\"Bins of the other strand in the order of this one.\"\"\"\n    return logits{reversed}\n"
        );
    };
    let groups = shape.groups();
    let line = if reversed.is_empty() {
        format!(
            "torch.cat([group.flip(1) for group in profile.split({}, 1)], 1)",
            list_of(&stretches, usize::to_string)
        )
    } else {
        format!("profile{reversed}")
    };
    format!(
        r#"def flipped(logits):
    """Profiles of the other strand in the direction of this one: the tracks of a group change places, and each runs the other way."""
    profile, log_counts = logits.split([{covered}, {groups}], 1)
    profile = {line}
    return torch.cat([profile, log_counts], 1)
"#
    )
}

/// The class `Model`: strands, members, and what follows the logits.
fn model(network: &Network) -> String {
    let (plan, card) = (&network.plan, &network.card);
    let (length, numbers) = (plan.length, plan.outputs.numbers());
    let has_control = network.control().is_some();
    let both = network.strands.scores_both();
    let several = card.members > 1;
    let (parameter, argument) = if has_control { (", control=None", ", control") } else { ("", "") };
    let head = Head::of(network);

    let mut text = format!(
        "class Model({}):\n    \"\"\"What `strandnet predict` computes.\"\"\"\n",
        if several { "nn.Module" } else { "Network" }
    );
    if several || !head.buffers.is_empty() {
        text.push_str("\n    def __init__(self):\n        super().__init__()\n");
        if several {
            let _ = writeln!(text, "        self.members = nn.ModuleList(Network() for _ in range({}))", card.members);
        }
        for (name, value) in &head.buffers {
            let _ = writeln!(text, "        self.register_buffer(\"{name}\", torch.tensor({value}), persistent=False)");
        }
    }
    let means = match (several, both) {
        (true, true) => ", means over members and strands",
        (true, false) => ", means over members",
        (false, true) => ", means over strands",
        (false, false) => "",
    };
    let of_control = network.control().map_or_else(String::new, |shape| {
        let (tracks, positions) = (shape.control, shape.control_length());
        format!("; control: counts [N, {tracks}, {positions}], none where it is absent")
    });
    let _ = write!(
        text,
        "\n    def logits(self, x{parameter}):\n        \"\"\"[N, 4, {length}] to logits [N, {numbers}]{means}{of_control}.\"\"\"\n"
    );
    if both {
        text.push_str(
            "        # Each sequence, and behind it its reverse complement.\n        x = torch.stack([x, x.flip(1, 2)], 1).flatten(0, 1)\n",
        );
        if has_control {
            text.push_str(
                "        if control is not None:\n            control = torch.stack([control, control.flip(1, 2)], 1).flatten(0, 1)\n",
            );
        }
    }
    let found = if several {
        format!("torch.stack([member(x{argument}) for member in self.members]).mean(0)")
    } else {
        format!("super().forward(x{argument})")
    };
    let _ = match (both, plan.outputs.mirrored().is_empty()) {
        (false, _) => writeln!(text, "        return {found}"),
        (true, true) => writeln!(text, "        return {found}.unflatten(0, (-1, 2)).mean(1)"),
        (true, false) => write!(
            text,
            "        one, other = {found}.unflatten(0, (-1, 2)).unbind(1)\n        return (one + flipped(other)) / 2\n"
        ),
    };
    let _ = write!(
        text,
        "\n    def forward(self, x{parameter}):\n        \"\"\"[N, 4, {length}] to {}{of_control}.\"\"\"\n        logits = self.logits(x{argument})\n{}",
        head.doc, head.lines
    );
    text
}

/// The last step from logits to predictions.
struct Head {
    doc: String,
    /// Names and values of tensors.
    buffers: Vec<(&'static str, String)>,
    lines: String,
}

impl Head {
    fn of(network: &Network) -> Self {
        let (task, card) = (network.task, &network.card);
        let outputs = task.outputs();
        let mut buffers = Vec::new();
        // A number where it is that of all outputs, otherwise a tensor.
        let mut numbers = |name: &'static str, values: Vec<f64>, of_bins: bool| -> String {
            if values.iter().all(|value| *value == values[0]) {
                return format!("{:?}", values[0]);
            }
            let written = |value: &f64| if of_bins { format!("[{value:?}]") } else { format!("{value:?}") };
            buffers.push((name, list_of(&values, written)));
            format!("self.{name}")
        };
        let calibration = &task.calibration;
        let mut calibrated = || {
            if calibration.is_identity() {
                return "logits".to_owned();
            }
            let scale = numbers("scale", (0..outputs).map(|output| calibration.scale(output)).collect(), false);
            let bias: Vec<f64> = (0..outputs).map(|output| calibration.bias(output)).collect();
            if bias.iter().all(|bias| *bias == 0.0) {
                return format!("logits * {scale}");
            }
            let bias = numbers("bias", bias, false);
            match bias.strip_prefix('-') {
                Some(bias) => format!("logits * {scale} - {bias}"),
                None => format!("logits * {scale} + {bias}"),
            }
        };
        let (doc, lines) = match task.kind {
            TaskKind::Binary => {
                let logits = calibrated();
                let value = applied(&logits, "sigmoid()");
                ("probabilities [N] of POSITIVE".into(), format!("        return {value}.squeeze(1)\n"))
            }
            TaskKind::Multilabel => {
                let value = applied(&calibrated(), "sigmoid()");
                (format!("probabilities [N, {outputs}] of LABELS"), format!("        return {value}\n"))
            }
            TaskKind::Multiclass => {
                let value = applied(&calibrated(), "softmax(1)");
                (format!("probabilities [N, {outputs}] of CLASSES"), format!("        return {value}\n"))
            }
            TaskKind::Profile => profile_end(network.profile().expect("the task has a profile")),
            TaskKind::Regression => {
                let is_binned = task.bins.is_some();
                let each = |of: fn(&Scale) -> f64| task.scales.iter().map(of).collect::<Vec<f64>>();
                let mean = numbers("mean", each(|scale| scale.mean), is_binned);
                let value = if task.loss == Loss::Poisson {
                    format!("logits.exp() * {mean}")
                } else {
                    let deviation = numbers("deviation", each(|scale| scale.deviation), is_binned);
                    match mean.strip_prefix('-') {
                        Some(mean) => format!("logits * {deviation} - {mean}"),
                        None => format!("logits * {deviation} + {mean}"),
                    }
                };
                match card.bins {
                    Some(bins) => (
                        format!("values [N, {outputs}, {}] of COLUMNS in bins of {} bp", bins.count, bins.bp),
                        format!(
                            "        logits = logits.unflatten(1, ({outputs}, {}))\n        return {value}\n",
                            bins.count
                        ),
                    ),
                    None => (format!("values [N, {outputs}] of COLUMNS"), format!("        return {value}\n")),
                }
            }
        };
        Self { doc, buffers, lines }
    }
}

fn applied(value: &str, function: &str) -> String {
    if value == "logits" { format!("logits.{function}") } else { format!("({value}).{function}") }
}

fn profile_end(shape: &ProfileShape) -> (String, String) {
    let (tracks, groups, length, values) = (shape.all_tracks(), shape.groups(), shape.length, shape.values());
    (
        format!("logits [N, {tracks}, {length}] of TRACKS and log counts [N, {groups}] of GROUPS"),
        format!(
            "        profile, log_counts = logits.split([{values}, {groups}], 1)\n        return profile.unflatten(1, ({tracks}, {length})), log_counts\n"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Architecture, Config, ModelConfig, Strands, TrainingConfig};
    use crate::dataset::Classes;
    use crate::task::Task;

    fn source_of(arch: Architecture, strands: Strands, ensemble: usize) -> String {
        let config = Config {
            model: ModelConfig { arch, ..ModelConfig::default() },
            training: TrainingConfig { strands, ensemble, ..TrainingConfig::default() },
            ..Config::default()
        };
        let classes = Classes { names: vec!["a \"b\"".into(), "c".into()], positive: 0 };
        let task = serde_json::json!({"kind": "binary", "loss": "cross-entropy", "positive": 0, "count": 2});
        let task: Task = serde_json::from_value(task).unwrap();
        source(&Network::new(&config, &task, &classes, 128, Some(0.25)).unwrap())
    }

    #[test]
    fn a_file_holds_what_its_network_needs_and_no_more() {
        let plain = source_of(Architecture::Shallow, Strands::Single, 1);
        assert!(plain.contains("class Network(nn.Sequential):") && plain.contains("nn.Conv1d(4, 16, 32),"), "{plain}");
        assert!(plain.contains(r#"CLASSES = ["a \"b\"", "c"]"#) && plain.contains("THRESHOLD = 0.25"), "{plain}");
        for absent in ["flip", "members", "class Exp", "BatchNorm", "LSTM", "both_strands", "ResidualBlock"] {
            assert!(!plain.contains(absent), "'{absent}' in:\n{plain}");
        }
        let of = |arch, strands, ensemble, parts: &[&str]| {
            let source = source_of(arch, strands, ensemble);
            parts.iter().for_each(|part| assert!(source.contains(part), "'{part}' is missing from:\n{source}"));
            // Nothing is defined that nobody uses.
            for name in source.lines().filter_map(|line| line.strip_prefix("class ")?.split('(').next()) {
                assert!(name == "Logits" || source.matches(name).count() > 1, "{name}");
            }
        };
        let blocks = "nn.Sequential(*(ResidualBlock(dilation=dilation) for dilation in [1, 2, 4]))";
        of(Architecture::Residual, Strands::Average, 3, &["class Exp", "x.flip(1, 2)", "in range(3)", blocks]);
        of(
            Architecture::Gated,
            Strands::Equivariant,
            1,
            &["self.gate = BothStrandsConv1d(2 * channels", "for dilation in"],
        );
        of(Architecture::Danq, Strands::Shared, 1, &["class BidirectionalLSTM(nn.LSTM)"]);
        let convolutions = "ConvolutionBlock(inputs=4, filters=300, width=19, pool=3)";
        of(Architecture::Basset, Strands::Augment, 1, &[convolutions, "self.dense[1]"]);
        of(Architecture::Basset, Strands::Equivariant, 1, &["conv=nn.Conv1d", "conv=BothStrandsConv1d"]);
    }
}
