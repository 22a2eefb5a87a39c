//! Makes references, reads and tables, and reads back what a run says of its examples.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::{column, run, text};

/// A folder for the files of one test.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and returns its path as an argument.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        text(&path).to_owned()
    }

    /// The names of everything in it, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// `train` of the seed network for one epoch; expects success and returns standard output and standard error.
pub fn train(out: &Path, flags: &[&str]) -> (String, String) {
    let output =
        run(&[&["train", "--out", text(out), "--arch", "seed", "--epochs", "1", "--threads", "1"], flags].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{flags:?}: {stderr}");
    (String::from_utf8(output.stdout).unwrap(), stderr)
}

/// The weights of a run.
pub fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("best.safetensors")).unwrap()
}

/// Everything that a run decides, as bytes.
pub fn outcome(run: &Path) -> (Vec<u8>, Vec<u8>) {
    (weights(run), std::fs::read(run.join("predictions.csv")).unwrap())
}

/// A row of `examples.tsv`.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub name: String,
    pub chrom: String,
    /// Only where `chrom` is not empty.
    pub start: usize,
    pub end: usize,
    pub strand: String,
    pub label: String,
    pub split: String,
    pub sequence: String,
}

/// The examples that a run lists.
pub fn examples(run: &Path) -> Vec<Row> {
    let path = run.join("examples.tsv");
    let of = |name: &str| column(&path, b'\t', name);
    let [name, chrom, start, end, strand, label, split, sequence] =
        ["name", "chrom", "start", "end", "strand", "label", "split", "sequence"].map(of);
    (0..name.len())
        .map(|i| Row {
            name: name[i].clone(),
            chrom: chrom[i].clone(),
            start: start[i].parse().unwrap_or(0),
            end: end[i].parse().unwrap_or(0),
            strand: strand[i].clone(),
            label: label[i].clone(),
            split: split[i].clone(),
            sequence: sequence[i].clone(),
        })
        .collect()
}

/// The other strand; case stays with its base.
pub fn reverse_complement(bases: &str) -> String {
    bases
        .chars()
        .rev()
        .map(|base| match base {
            'A' => 'T',
            'C' => 'G',
            'G' => 'C',
            'T' => 'A',
            'a' => 't',
            'c' => 'g',
            'g' => 'c',
            't' => 'a',
            other => other,
        })
        .collect()
}

/// Pseudo-random bases of which a share are G or C; the same seed gives the same.
pub fn bases_of_gc(seed: u64, length: usize, gc: f64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 32
    };
    for _ in 0..20 {
        next(); // seeds that are alike soon are no more
    }
    (0..length)
        .map(|_| {
            let strong = (next() as f64 / f64::from(u32::MAX)) < gc;
            let second = next() >> 16 & 1 == 1;
            match (strong, second) {
                (true, true) => 'G',
                (true, false) => 'C',
                (false, true) => 'A',
                (false, false) => 'T',
            }
        })
        .collect()
}

/// The share of G and C among the known bases.
pub fn gc(bases: &str) -> f64 {
    let known = bases.bytes().filter(|base| b"ACGTacgt".contains(base)).count();
    bases.bytes().filter(|base| b"GCgc".contains(base)).count() as f64 / known as f64
}

/// FASTQ text; qualities tell reads apart.
pub fn fastq<A: AsRef<str>, B: AsRef<str>>(records: &[(A, B)]) -> String {
    let mut text = String::new();
    for (i, (name, bases)) in records.iter().enumerate() {
        let (name, bases) = (name.as_ref(), bases.as_ref());
        let quality = char::from(b'!' + (i % 90) as u8).to_string().repeat(bases.len());
        text.push_str(&format!("@{name} 1:N:0 of {i}\n{bases}\n+\n{quality}\n"));
    }
    text
}

/// Records as `support::fasta` takes them.
pub fn borrowed(records: &[(String, String)]) -> Vec<(&str, &str)> {
    records.iter().map(|(name, bases)| (name.as_str(), bases.as_str())).collect()
}

/// Words as motifs in MEME format, each base with most of the probability.
pub fn meme(words: &[String]) -> String {
    let mut text = String::from("MEME version 4\n\nALPHABET= ACGT\n");
    for (i, word) in words.iter().enumerate() {
        text +=
            &format!("\nMOTIF W{i} {word}\nletter-probability matrix: alength= 4 w= {} nsites= 20 E= 0\n", word.len());
        for base in word.bytes() {
            let row: Vec<&str> = b"ACGT".iter().map(|&other| if base == other { "0.97" } else { "0.01" }).collect();
            text += &format!(" {}\n", row.join(" "));
        }
    }
    text
}
