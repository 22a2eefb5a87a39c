//! `model.py` and ONNX: what they give is what `predict` gives, for every architecture, task and way of using the strands.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use strandnet_core::import::{self, Tensors};
use strandnet_core::run::tensor_file::Tensor as Weights;
use strandnet_core::sequence::alphabet;
use tch::{CModule, IValue, Kind, Tensor};

use crate::fixtures::{
    Folder, bases, fail, fasta, gc_table, python_with, run as run_of, succeed, tables, text, tract, trained_on,
};
use crate::train::profiles;
use crate::train::signals::{Tracks, tracks};

/// Every layer that a list may have, on 60 bp, so that even widths, strides, groups and layers within layers are there.
const LAYERS: &str = r#"
[model]
arch = "custom"
layer = [
    { kind = "dropout" },
    { kind = "convolution", filters = 8, width = 6, stride = 3 },
    { kind = "gelu" },
    { kind = "residual", layers = [
        { kind = "batch-norm" },
        { kind = "silu" },
        { kind = "convolution", filters = 8, width = 4, dilation = 2, groups = 2 },
        { kind = "residual", layers = [{ kind = "tanh" }, { kind = "convolution", filters = 8, width = 1 }] },
    ] },
    { kind = "residual", layers = [{ kind = "relu" }] },
    { kind = "gated", width = 5, dilation = 2 },
    { kind = "convolution", filters = 8, width = 4, stride = 2 },
    { kind = "convolution", filters = 8, width = 4, padding = 2 },
    { kind = "lstm", units = 6 },
    { kind = "mean-pool", width = 2, stride = 1 },
    { kind = "exp", at_most = 1.5 },
    { kind = "crop", positions = 8 },
    { kind = "convolution", filters = 6, width = 3, padding = "none" },
    { kind = "max-pool", width = 2, stride = 1 },
    ENDING
    { kind = "dense", units = 7 },
    { kind = "batch-norm" },
    { kind = "relu" },
]
"#;

const ENDINGS: [&str; 5] = [
    r#"{ kind = "global-pool", of = "max" },"#,
    r#"{ kind = "global-pool", of = "mean" },"#,
    r#"{ kind = "global-pool", of = "both" },"#,
    r#"{ kind = "places-pool", filters = 4, places = 3 },"#,
    r#"{ kind = "flatten" },"#,
];

/// Flags of each architecture for windows of 60 bp.
const ARCHITECTURES: [&[&str]; 5] = [
    &["--arch", "shallow"],
    &["--arch", "residual", "--filters", "16", "--depth", "2"],
    &["--arch", "basset", "--filters", "12"],
    &["--arch", "danq", "--filters", "8"],
    &["--arch", "gated", "--filters", "16", "--depth", "2"],
];

const STRANDS: [&str; 5] = ["single", "augment", "average", "shared", "equivariant"];

/// A run and what it was trained with, for messages.
pub struct Subject {
    pub what: String,
    pub run: PathBuf,
}

/// Runs of every architecture with every way of using the strands, of every task, with lists of layers, ensembles and profiles.
pub fn subjects() -> &'static [Subject] {
    static SUBJECTS: OnceLock<(Vec<Subject>, Tracks)> = OnceLock::new();
    let (subjects, _) = SUBJECTS.get_or_init(|| {
        let mut subjects = Vec::new();
        let mut add = |data: &[&str], flags: &[&str]| {
            let own = [&["--epochs", "1"], flags].concat();
            let run = trained_on(data, &own).path;
            subjects.push(Subject { what: flags.join(" "), run });
        };
        let binary = ["--train", &tables().binary];
        for network in ARCHITECTURES {
            for strands in STRANDS {
                // A calibration would multiply the last digits.
                add(&binary, &[network, &["--strands", strands, "--calibration", "none"]].concat());
            }
        }
        for ensemble in ["1", "3"] {
            for (task, data, _) in tables().questions() {
                let network = ARCHITECTURES[usize::from(task == "regression")];
                add(&data, &[network, &["--ensemble", ensemble, "--strands", "average"]].concat());
            }
        }
        let folder = Folder::new();
        let counts = folder.write("counts.csv", gc_table(200, "u,v", |i, gc| format!("{},{:.0}", i % 7, gc * 10.0)));
        add(&["--train", &counts, "--task", "regression", "--loss", "poisson"], &["--strands", "average"]);
        for (i, ending) in ENDINGS.into_iter().enumerate() {
            let path = folder.write(&format!("{i}.toml"), LAYERS.replace("ENDING", ending));
            for strands in ["single", "average", "equivariant"] {
                let own = ["--arch", "custom", "--strands", strands, "--calibration", "none"];
                add(&[&[path.as_str()][..], &binary].concat(), &own);
            }
        }
        let tracks = tracks();
        for (i, flags) in of_tracks(&tracks).into_iter().enumerate() {
            let run = tracks.folder.path(&format!("run {i}"));
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            let output =
                run_of(&[&["train", "--out", text(&run), "--epochs", "1", "--threads", "1"], &flags[..]].concat());
            assert!(output.status.success(), "{flags:?}: {}", String::from_utf8_lossy(&output.stderr));
            subjects.push(Subject { what: flags.join(" "), run });
        }
        for pre_activation in [false, true] {
            let run = tracks.folder.path(&format!("imported {pre_activation}"));
            import_profiles(pre_activation, &run);
            succeed(&["export", text(&run), "--out", text(&run.join("model.pt"))]);
            subjects.push(Subject { what: format!("imported, pre-activation {pre_activation}"), run });
        }
        (subjects, tracks)
    });
    subjects
}

/// A network of profiles from elsewhere, whose log counts are told from more positions than its profile, with a bias model.
fn import_profiles(pre_activation: bool, out: &Path) {
    let tensors = |depth: usize| {
        let mut tensors = Tensors::new();
        let mut add = |name: &str, shape: &[usize]| {
            let values =
                (0..shape.iter().product()).map(|i: usize| (i as f32 * 0.7 + depth as f32).sin() * 0.2).collect();
            tensors.insert(format!("{name}.weight"), Weights::f32(shape, values));
            tensors.insert(format!("{name}.bias"), Weights::f32([shape[0]], vec![0.1; shape[0]]));
        };
        add("iconv", &[6, 4, 7]);
        (0..depth).for_each(|i| add(&format!("rconvs.{i}"), &[6, 6, 3]));
        add("head.fconv", &[2, 6, 75]);
        add("head.linear", &[1, 6]);
        tensors
    };
    let model = |depth: usize, counts_positions: usize| json!({"arch": "bpnet", "filters": 6, "width": 7, "depth": depth, "counts_positions": counts_positions, "pre_activation": pre_activation});
    let description = json!({
        "source": "elsewhere", "alphabet": "ACGT", "task": "profile", "classes": ["signal"], "length": 160,
        "profile": {"tracks": [2], "length": 40}, "model": model(3, 126),
        "bias": {"source": "elsewhere", "model": model(1, 150)},
    });
    let description = serde_json::from_value(description).unwrap();
    import::write(&description, &tensors(3), &tensors(1), out, false).unwrap();
}

/// Flags of runs on tracks: profiles of one or two tracks, with and without a control and a bias model, and bins.
fn of_tracks(tracks: &Tracks) -> Vec<Vec<String>> {
    let signals = profiles::signals(tracks);
    let owned = |flags: Vec<&str>| flags.into_iter().map(str::to_owned).collect::<Vec<String>>();
    let (plus, minus) = (tracks.folder.path("plus.bw"), tracks.folder.path("minus.bw"));
    let control = format!("{},{}", text(&plus), text(&minus));
    let mut all = Vec::new();
    for arch in ["bpnet", "branched"] {
        for strands in ["single", "augment", "average", "shared"] {
            let own = ["--arch", arch, "--strands", strands];
            all.push(owned(profiles::flags(tracks, &signals, &own)));
            if strands != "augment" {
                all.push(owned(profiles::flags(tracks, &signals, &[&own[..], &["--control", &control]].concat())));
            }
        }
    }
    all.push(owned(profiles::flags(tracks, &signals, &["--arch", "bias"])));
    all.push(owned(profiles::flags(tracks, &signals, &["--ensemble", "2", "--strands", "average"])));
    for arch in ["residual", "gated"] {
        for strands in ["single", "average", "equivariant"] {
            let [one, pair] = &signals;
            let data = ["--signal", one, "--signal", pair, "--bin", "16", "--output-length", "64", "--length", "80"];
            let network = ["--arch", arch, "--filters", "16", "--depth", "2", "--strands", strands];
            all.push(owned(tracks.flags(&[&data, &network[..]].concat())));
        }
    }
    all
}

/// Sequences for a run: with unknown bases, and not as many as in a batch that anything was traced with.
pub fn sequences(length: usize) -> Vec<String> {
    let mut sequences: Vec<String> = (0..5).map(|seed| bases(seed, length)).collect();
    sequences[1].replace_range(3..8, "NNNNN");
    sequences
}

/// What a run is asked, and what its own TorchScript and `predict` answer.
struct Question {
    asked: Value,
    /// Sizes and numbers of each output.
    expected: Vec<(Vec<i64>, Vec<f64>)>,
}

fn question(subject: &Subject) -> Question {
    let run = &subject.run;
    let card = crate::fixtures::json(&run.join("model.json"));
    let sequences = sequences(card["length"].as_u64().unwrap() as usize);
    let mut codes = Vec::new();
    sequences.iter().for_each(|bases| alphabet::encode(bases.as_bytes(), &mut codes).unwrap());
    let codes = Tensor::from_slice(&codes).view([sequences.len() as i64, -1]);
    let mut inputs = vec![strandnet::model::one_hot(&codes)];
    let mut control = Value::Null;
    if let Some(of) = card["profile"]["control"].as_object() {
        let [tracks, length] = ["tracks", "length"].map(|key| of[key].as_i64().unwrap());
        let count = |i: i64| (i * 7 % 5) as f32;
        let counts: Vec<f32> = (0..sequences.len() as i64 * tracks * length).map(count).collect();
        let rows: Vec<&[f32]> = counts.chunks(length as usize).collect();
        control = json!(rows.chunks(tracks as usize).collect::<Vec<_>>());
        inputs.push(Tensor::from_slice(&counts).view([-1, tracks, length]));
    }
    let inputs: Vec<IValue> = inputs.into_iter().map(IValue::Tensor).collect();
    let outputs = match CModule::load(run.join("model.pt")).unwrap().forward_is(&inputs).unwrap() {
        IValue::Tuple(outputs) => outputs,
        output => vec![output],
    };
    let expected: Vec<(Vec<i64>, Vec<f64>)> = outputs
        .into_iter()
        .map(|output| {
            let IValue::Tensor(tensor) = output else { panic!("{}: no tensor", subject.what) };
            (tensor.size(), Vec::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap())
        })
        .collect();
    if control.is_null() {
        agrees_with_predict(subject, &sequences, &card, &expected);
    }
    Question { asked: json!({"run": run, "sequences": sequences, "control": control}), expected }
}

/// Holds what the exported model gives against `predict`, which prints the means of bins and the log counts of profiles.
fn agrees_with_predict(subject: &Subject, sequences: &[String], card: &Value, expected: &[(Vec<i64>, Vec<f64>)]) {
    let folder = Folder::new();
    let named: Vec<(String, &str)> =
        sequences.iter().enumerate().map(|(i, bases)| (format!("s{i}"), bases.as_str())).collect();
    let records: Vec<(&str, &str)> = named.iter().map(|(name, bases)| (name.as_str(), *bases)).collect();
    let path = folder.write("sequences.fa", fasta(&records));
    let table = succeed(&["predict", text(&subject.run), &path, "--max-n", "80", "--threads", "1", "--quiet"]);
    let scores: Vec<f64> = table
        .lines()
        .skip(1)
        .flat_map(|line| line.split('\t').skip(4).map(|score| score.parse().unwrap()).collect::<Vec<f64>>())
        .collect();
    let (sizes, numbers) = expected.last().unwrap();
    let numbers = if card["bins"].is_object() {
        let bins = *sizes.last().unwrap() as usize;
        numbers.chunks(bins).map(|bins| bins.iter().sum::<f64>() / bins.len() as f64).collect()
    } else {
        numbers.clone()
    };
    are_near(&subject.what, &scores, &numbers);
}

/// To 1e-5, of values larger than 1 to 1e-5 of the largest.
pub fn are_near(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let unit = expected.iter().fold(1.0, |most: f64, value| most.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5 * unit, "{what}: {found} {expected}");
    }
}

/// Runs a script of this folder, which prints a JSON document.
fn asked(python: &str, script: &str, arguments: &[&str]) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/export");
    let output = Command::new(python).arg(folder.join(script)).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(printed.lines().last().unwrap()).unwrap()
}

fn hold(subject: &Subject, outputs: &Value, expected: &[(Vec<i64>, Vec<f64>)]) {
    let outputs = outputs.as_array().unwrap();
    assert_eq!(outputs.len(), expected.len(), "{}", subject.what);
    for (output, (sizes, numbers)) in outputs.iter().zip(expected) {
        assert_eq!(output["shape"], json!(sizes), "{}", subject.what);
        let found: Vec<f64> = serde_json::from_value(output["values"].clone()).unwrap();
        are_near(&subject.what, &found, numbers);
    }
}

#[test]
fn model_py_gives_what_predict_gives() {
    let Some(python) = python_with("torch") else { return };
    if python_with("safetensors").is_none() {
        return;
    }
    let folder = Folder::new();
    let questions: Vec<Question> = subjects().iter().map(question).collect();
    let asked_of_all: Vec<&Value> = questions.iter().map(|question| &question.asked).collect();
    let path = folder.write("questions.json", json!(asked_of_all).to_string());
    let answers = asked(&python, "model_py.py", &[&path]);
    for ((subject, question), outputs) in subjects().iter().zip(&questions).zip(answers.as_array().unwrap()) {
        hold(subject, outputs, &question.expected);
    }
}

/// Questions to the ONNX models of all runs, which are written into a folder.
fn questions_to_onnx(folder: &Folder) -> Vec<Question> {
    let ask = |(i, subject): (usize, &Subject)| {
        let path = folder.path(&format!("{i}.onnx"));
        succeed(&["export", text(&subject.run), "--format", "onnx", "--out", text(&path)]);
        let mut question = question(subject);
        question.asked["model"] = json!(path);
        question
    };
    subjects().iter().enumerate().map(ask).collect()
}

#[test]
fn onnx_gives_what_predict_gives() {
    let Some(python) = python_with("onnx") else { return };
    if python_with("onnxruntime").is_none() {
        return;
    }
    let folder = Folder::new();
    let questions = questions_to_onnx(&folder);
    let asked_of_all: Vec<&Value> = questions.iter().map(|question| &question.asked).collect();
    let path = folder.write("questions.json", json!(asked_of_all).to_string());
    let answers = asked(&python, "model_onnx.py", &[&path]);
    for ((subject, question), answer) in subjects().iter().zip(&questions).zip(answers.as_array().unwrap()) {
        hold(subject, &answer["outputs"], &question.expected);
        // What is said of the model is what model.json says.
        let card = crate::fixtures::json(&subject.run.join("model.json"));
        let said = answer["metadata"].as_object().unwrap();
        let expected: Vec<&String> = card.as_object().unwrap().keys().filter(|key| *key != "sha256").collect();
        assert_eq!(said.len(), expected.len(), "{said:?}");
        for key in expected {
            let text = card[key].as_str().map_or_else(|| card[key].to_string(), str::to_owned);
            assert_eq!(said[key].as_str(), Some(text.as_str()), "{key}");
        }
    }
}

#[test]
fn tract_gives_what_predict_gives() {
    let Some(tract) = tract() else { return };
    let folder = Folder::new();
    let questions = questions_to_onnx(&folder);
    let asked_of_all: Vec<&Value> = questions.iter().map(|question| &question.asked).collect();
    let path = folder.write("questions.json", json!(asked_of_all).to_string());
    let output = Command::new(tract).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    for ((subject, question), answer) in subjects().iter().zip(&questions).zip(answers.as_array().unwrap()) {
        assert!(answer["fault"].is_null(), "{}: {}", subject.what, answer["fault"]);
        assert_eq!(answer["batch_is_fixed"], false, "{}", subject.what);
        hold(subject, &answer["outputs"], &question.expected);
    }
}

#[test]
fn tangermeme_and_captum_explain_model_py() {
    let Some(python) = python_with("tangermeme") else { return };
    if python_with("captum").is_none() {
        return;
    }
    // Of both strands, as others have nothing that these lack; but for layers that DeepLIFT has no rule for: a product of two
    // branches, and an LSTM.
    let without_rule = ["gated", "danq", "custom"];
    let explained: Vec<&Subject> = subjects()
        .iter()
        .filter(|subject| ["average", "equivariant"].iter().any(|strands| subject.what.contains(strands)))
        .filter(|subject| !without_rule.iter().any(|arch| subject.what.contains(arch)))
        .collect();
    let runs: Vec<&str> = explained.iter().map(|subject| text(&subject.run)).collect();
    let found = asked(&python, "attribution.py", &runs);
    for (subject, found) in explained.iter().zip(found.as_array().unwrap()) {
        let length = crate::fixtures::json(&subject.run.join("model.json"))["length"].clone();
        assert_eq!(found["shapes"], json!(vec![json!([2, 4, length]); 3]), "{}", subject.what);
        assert!(found["delta"].as_f64().unwrap() < 1e-2, "{}: {found}", subject.what);
    }
}

#[test]
fn each_format_has_a_file_and_model_py_is_part_of_a_run() {
    let subject = &subjects()[0];
    let folder = Folder::new();
    let run = text(&subject.run);
    let source = std::fs::read_to_string(subject.run.join("model.py")).unwrap();
    assert!(source.contains("def load(") && source.lines().count() < 120, "{source}");
    let checksums = std::fs::read_to_string(subject.run.join("checksums.sha256")).unwrap();
    assert!(checksums.contains("  model.py\n"), "{checksums}");

    let again = folder.path("again.py");
    assert!(succeed(&["export", run, "--format", "python", "--out", text(&again)]).ends_with("again.py\n"));
    assert_eq!(std::fs::read_to_string(&again).unwrap(), source);
    let onnx = folder.path("x.onnx");
    succeed(&["export", run, "--format", "onnx", "--out", text(&onnx)]);
    assert!(std::fs::read(&onnx).unwrap().windows(9).any(|bytes| bytes == b"sequences"));
    assert!(!onnx.with_extension("json").exists(), "what is to say of it is in it");
    for format in ["python", "onnx"] {
        assert!(fail(1, &["export", run, "--format", format, "--out", text(&again)]).contains("--force"));
    }
    let within = subject.run.join("other.py");
    assert!(
        fail(1, &["export", run, "--format", "python", "--out", text(&within)]).contains("only model.py is written")
    );

    // A run of an earlier version has neither model.py nor checksums.
    let older = folder.path("older");
    std::fs::create_dir(&older).unwrap();
    for name in ["best.safetensors", "metrics.json"] {
        std::fs::copy(subject.run.join(name), older.join(name)).unwrap();
    }
    let about = std::fs::read_to_string(subject.run.join("run.json")).unwrap();
    std::fs::write(older.join("run.json"), about.replace("\"format_version\": 4", "\"format_version\": 3")).unwrap();
    for (format, own) in [("python", "model.py"), ("onnx", "model.onnx")] {
        succeed(&["export", text(&older), "--format", format, "--out", text(&older.join(own))]);
    }
    assert_eq!(std::fs::read_to_string(older.join("model.py")).unwrap(), source);
    assert_eq!(std::fs::read(older.join("model.onnx")).unwrap(), std::fs::read(&onnx).unwrap());
}
