//! Short runs on small tables, and what they leave behind, for tests of how networks are trained.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde_json::Value;

use crate::inputs::{Folder, Row, bases_of_gc, examples, gc};
use crate::support::{column, contents, json, run, text};

/// Tables of 300 sequences, a question each, whose GC content says much of the answer but not all.
pub struct Tables {
    pub folder: Folder,
    pub binary: String,
    pub several: String,
    pub labels: String,
    pub values: String,
}

/// The length of the sequences, in bp.
pub const LENGTH: usize = 60;

/// A table of 300 sequences.
fn table(length: usize, header: &str, label: impl Fn(f64) -> String) -> String {
    let rows: String = (0..300)
        .map(|i| {
            let bases = bases_of_gc(i, length, 0.2 + 0.6 * (i as f64 * 0.618).fract());
            let noise = 0.4 * ((i as f64 * 0.377).fract() - 0.5);
            format!("{bases},{}\n", label(gc(&bases) + noise))
        })
        .collect();
    format!("sequence,{header}\n{rows}")
}

fn yes_or_no(gc: f64) -> String {
    if gc > 0.5 { "rich" } else { "poor" }.into()
}

pub fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let folder = Folder::new();
        let several = |gc: f64| ["a", "b", "c"][((gc * 3.0) as usize).min(2)].into();
        let labels = |gc: f64| format!("{},{}", u8::from(gc > 0.45), u8::from(gc < 0.6));
        Tables {
            binary: folder.write("binary.csv", table(LENGTH, "label", yes_or_no)),
            several: folder.write("several.csv", table(LENGTH, "label", several)),
            labels: folder.write("labels.csv", table(LENGTH, "rich,not rich", labels)),
            values: folder.write("values.csv", table(LENGTH, "gc", |gc| format!("{gc}"))),
            folder,
        }
    })
}

impl Tables {
    /// Flags of each question, and whether its answers have probabilities.
    pub fn questions(&self) -> [(&'static str, Vec<&str>, bool); 4] {
        [
            ("binary", vec!["--train", &self.binary], true),
            ("multiclass", vec!["--train", &self.several], true),
            ("multilabel", vec!["--train", &self.labels, "--task", "multilabel"], true),
            ("regression", vec!["--train", &self.values, "--task", "regression"], false),
        ]
    }

    /// Two classes of sequences of another length.
    pub fn longer(&self) -> String {
        self.folder.write("longer.csv", table(100, "label", yes_or_no))
    }

    /// Counts for sequences.
    pub fn counts(&self) -> String {
        self.folder.write("counts.csv", table(LENGTH, "count", |gc| format!("{:.0}", (20.0 * gc).max(0.0))))
    }

    /// A path that nothing has yet.
    pub fn new_path(&self) -> PathBuf {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        self.folder.path(&format!("run{}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }
}

/// A network as small as the default one can be.
pub const SMALL_RESIDUAL: [&str; 8] = ["--arch", "residual", "--filters", "16", "--depth", "1", "--batch-size", "64"];

/// A finished run.
pub struct Trained {
    pub path: PathBuf,
    pub stdout: String,
    pub stderr: String,
}

/// Trains the seed network on two classes for two epochs; flags may say otherwise.
pub fn trained(flags: &[&str]) -> Trained {
    trained_on(&["--train", &tables().binary], flags)
}

/// The same on other data.
pub fn trained_on(data: &[&str], flags: &[&str]) -> Trained {
    let path = tables().new_path();
    let output = run(&[&["train", "--out", text(&path)], data, &with_defaults(flags)[..]].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{flags:?}: {stderr}");
    Trained { path, stdout: String::from_utf8(output.stdout).unwrap(), stderr }
}

/// Flags, and those of a short run where they do not say otherwise.
pub fn with_defaults<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    let own = [["--arch", "seed"], ["--epochs", "2"], ["--threads", "1"]];
    let missing = own.into_iter().filter(|[name, _]| !flags.contains(name));
    missing.flatten().chain(flags.iter().copied()).collect()
}

impl Trained {
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn json(&self, name: &str) -> Value {
        json(&self.file(name))
    }

    /// A metric of a split in `metrics.json`.
    pub fn metric(&self, split: &str, name: &str) -> f64 {
        let metrics = self.json("metrics.json");
        metrics[split][name]["value"].as_f64().unwrap_or_else(|| panic!("{split} {name}: {}", metrics[split][name]))
    }

    /// A column of numbers in `history.csv`.
    pub fn history(&self, name: &str) -> Vec<f64> {
        numbers(&self.file("history.csv"), b',', name)
    }

    /// The best epoch of each member, counted from 1.
    pub fn best_epochs(&self) -> Vec<usize> {
        serde_json::from_value(self.json("run.json")["outcome"]["best_epochs"].clone()).unwrap()
    }

    /// Weights of the best epoch by name.
    pub fn tensors(&self) -> Tensors {
        tensors(&self.file("best.safetensors"))
    }

    /// Every score of validation and test.
    pub fn scores(&self) -> Vec<f64> {
        numbers(&self.file("predictions.csv"), b',', "score")
    }

    /// The scores of test.
    pub fn test_scores(&self) -> Vec<f64> {
        let splits = column(&self.file("predictions.csv"), b',', "split");
        self.scores().into_iter().zip(splits).filter(|(_, split)| split == "test").map(|(score, _)| score).collect()
    }

    pub fn test_examples(&self) -> Vec<Row> {
        examples(&self.path).into_iter().filter(|row| row.split == "test").collect()
    }

    /// Steps of an epoch of batches of 64.
    pub fn steps(&self) -> usize {
        (self.json("run.json")["examples"]["train"].as_u64().unwrap() as usize).div_ceil(64)
    }
}

/// A copy of a run folder, to be changed.
pub fn copied(run: &Path) -> PathBuf {
    let copy = tables().new_path();
    std::fs::create_dir(&copy).unwrap();
    for (path, bytes) in contents(run) {
        std::fs::write(copy.join(path.file_name().unwrap()), bytes).unwrap();
    }
    copy
}

pub fn numbers(path: &Path, delimiter: u8, name: &str) -> Vec<f64> {
    column(path, delimiter, name).iter().map(|text| text.parse().unwrap()).collect()
}

pub type Tensors = BTreeMap<String, Vec<f32>>;

/// The f32 tensors of a file by name.
pub fn tensors(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| data.chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let single = tensors.iter().filter(|(_, view)| view.dtype() == Dtype::F32);
    single.map(|(name, view)| (name.to_owned(), values(view.data()))).collect()
}

/// What a file of weights says of itself.
pub fn weights_metadata(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    serde_json::from_str(&header.metadata().as_ref().unwrap()["strandnet"]).unwrap()
}

/// The largest difference between numbers in the same places.
pub fn apart<T: Copy + Into<f64>>(one: &[T], other: &[T]) -> f64 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(&a, &b)| (a.into() - b.into()).abs()).fold(0.0, f64::max)
}

/// The largest difference between tensors of the same names.
pub fn weights_apart(one: &Tensors, other: &Tensors) -> f64 {
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    one.iter().map(|(name, values)| apart(values, &other[name])).fold(0.0, f64::max)
}
