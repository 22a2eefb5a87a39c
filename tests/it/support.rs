//! Runs the binary and makes small inputs.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

/// The binary, on the CPU's own terms: nothing it prints depends on the terminal of whoever tests it.
pub fn strandnet() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strandnet"));
    command.stdin(std::process::Stdio::null());
    command
}

pub fn run(arguments: &[&str]) -> Output {
    strandnet().args(arguments).output().unwrap()
}

/// Runs and expects success; returns standard output.
pub fn succeed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs and expects an exit code and one line of error; returns that line.
pub fn fail(code: i32, arguments: &[&str]) -> String {
    let output = run(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "one line of error for {arguments:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    errors[0].to_owned()
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Pseudo-random bases; the same seed gives the same.
pub fn bases(seed: u64, length: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            b"ACGT"[(state >> 33) as usize % 4] as char
        })
        .collect()
}

/// FASTA text, 60 bases a line.
pub fn fasta(records: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, bases) in records {
        writeln!(text, ">{name} a description").unwrap();
        for line in bases.as_bytes().chunks(60) {
            writeln!(text, "{}", std::str::from_utf8(line).unwrap()).unwrap();
        }
    }
    text
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn bgzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = noodles_bgzf::io::Writer::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Two small genomes that a network can tell apart: the second is richer in G and C.
pub struct Genomes {
    pub folder: TempDir,
    pub human: PathBuf,
    pub mouse: PathBuf,
}

pub fn genomes() -> Genomes {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, seed: u64, rich: bool| {
        let records: Vec<(String, String)> = ["chr1", "chr2", "chr3", "chrX"]
            .iter()
            .enumerate()
            .map(|(i, name)| {
                let mut bases = bases(seed + i as u64, 30_000);
                if rich {
                    bases = bases.replace("TA", "GC");
                }
                bases.replace_range(500..560, &"N".repeat(60));
                ((*name).to_owned(), bases)
            })
            .collect();
        let records: Vec<(&str, &str)> = records.iter().map(|(name, bases)| (name.as_str(), bases.as_str())).collect();
        let path = folder.path().join(name);
        std::fs::write(&path, fasta(&records)).unwrap();
        path
    };
    let (human, mouse) = (write("human.fa", 1, false), write("mouse.fa", 100, true));
    Genomes { folder, human, mouse }
}

impl Genomes {
    /// The flags that name them.
    pub fn flags(&self) -> Vec<String> {
        vec![
            "--genome".into(),
            format!("human={}", self.human.display()),
            "--genome".into(),
            format!("mouse={}", self.mouse.display()),
        ]
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Flags that make training short.
pub const SHORT: [&str; 10] =
    ["--arch", "seed", "--fragments", "400", "--test-fragments", "200", "--epochs", "2", "--threads", "2"];

/// `train` with genomes and more flags; expects success and returns standard output.
pub fn train(genomes: &Genomes, out: &Path, flags: &[&str]) -> String {
    let own = genomes.flags();
    let mut arguments = vec!["train", "--out", text(out), "--quiet"];
    arguments.extend(own.iter().map(String::as_str));
    arguments.extend(SHORT);
    arguments.extend(flags);
    succeed(&arguments)
}

/// A finished run that several tests read and none changes.
pub struct Finished {
    pub genomes: Genomes,
    pub run: PathBuf,
    pub stdout: String,
}

pub fn finished() -> &'static Finished {
    static FINISHED: OnceLock<Finished> = OnceLock::new();
    FINISHED.get_or_init(|| {
        let genomes = genomes();
        let run = genomes.path("run");
        let stdout = train(
            &genomes,
            &run,
            &["--train-chroms", "1,2", "--test-chroms", "chrX", "--epochs", "4", "--lr", "0.003"],
        );
        Finished { genomes, run, stdout }
    })
}

pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Rows of a delimited file as columns by name.
pub fn column(path: &Path, delimiter: u8, name: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_path(path).unwrap();
    let place = reader.headers().unwrap().iter().position(|header| header == name).unwrap();
    reader.records().map(|record| record.unwrap()[place].to_owned()).collect()
}

/// Every file in a folder with its bytes.
pub fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}
