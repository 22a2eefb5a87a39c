//! Places that cannot be written, disks that are full, folders that vanish and streams that are closed. A full disk is made
//! with a limit on the size of files, which fails in the middle of a write as a full disk does.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Ended, run_within_limit, tree, wait_within_limit};
use crate::fixtures::{LENGTH, bases, fasta, fastq, gzip, has_bash, strandnet, tables, text, trained};

const TRAIN: &str = "train --train TABLE --arch shallow --epochs 1 --threads 1 --out out/run";

/// What writes, and what may be left where a file cannot be written to its end.
const WRITERS: [(&str, &[u32]); 8] = [
    (TRAIN, &[0, 1, 3, 5, 8, 12, 16, 24, 40]),
    ("inspect --train TABLE --threads 1 --out out/x", &[0, 2, 6]),
    ("evaluate RUN --threads 1 --out out/x", &[0, 2, 8]),
    ("predict RUN READS --threads 1 --out out/x", &[0, 2]),
    ("predict RUN READS --threads 1 --sort-reads out/x", &[0, 2]),
    ("export RUN --out out/x.pt", &[0, 4]),
    ("tune --train TABLE --arch shallow --trials 1 --rungs 1 --epochs 1 --threads 1 --out out/x", &[0, 2, 10]),
    ("simulate out/x", &[0, 100]),
];

/// A folder with `out` and `tmp` in it, and a place for reads.
fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("out")).unwrap();
    std::fs::create_dir(folder.path().join("tmp")).unwrap();
    let reads: Vec<(String, String)> = (0..200).map(|i| (format!("read{i}"), bases(i, LENGTH))).collect();
    std::fs::write(folder.path().join("reads.fastq"), fastq(&reads)).unwrap();
    folder
}

fn words(line: &str, run: &Path) -> Vec<String> {
    let word = |word: &str| match word {
        "TABLE" => tables().binary.clone(),
        "RUN" => text(run).to_owned(),
        "READS" => "reads.fastq".into(),
        other => other.into(),
    };
    line.split(' ').map(word).collect()
}

fn strandnet_in(folder: &Path, words: &[String]) -> Command {
    let mut command = strandnet();
    command.current_dir(folder).env("TMPDIR", folder.join("tmp")).env("OMP_NUM_THREADS", "1").args(words);
    command
}

/// The same by way of bash, which sets limits and redirects; `before` comes before the program, `after` behind its words.
#[track_caller]
fn by_bash(folder: &Path, before: &str, words: &[String], after: &str) -> Option<Command> {
    if !has_bash() {
        return None;
    }
    let mut command = Command::new("bash");
    command.current_dir(folder).env("TMPDIR", folder.join("tmp")).env("OMP_NUM_THREADS", "1").stdin(Stdio::null());
    command.arg("-c").arg(format!("{before} exec \"$0\" \"$@\" {after}"));
    command.arg(env!("CARGO_BIN_EXE_strandnet")).args(words);
    Some(command)
}

/// Whether a file under its final name is what it should be from its first byte to its last.
fn is_whole(path: &Path, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => serde_json::from_str::<serde_json::Value>(&text).is_ok(),
        Some("toml") => text.parse::<toml::Table>().is_ok() && text.ends_with('\n'),
        Some("csv" | "tsv" | "fastq" | "fa" | "bed") => text.ends_with('\n'),
        Some("safetensors") => safetensors::SafeTensors::deserialize(bytes).is_ok(),
        Some("png") => bytes.ends_with(b"IEND\xae\x42\x60\x82"),
        Some("svg") => text.ends_with("</svg>\n"),
        Some("pt") => tch::CModule::load(path).is_ok(),
        _ => false,
    }
}

/// Collects what is wrong with how commands ended.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn note(&mut self, what: &str, ended: &Ended, faults: Vec<String>) {
        if !faults.is_empty() {
            let status = ended.status.and_then(|status| status.code());
            self.0.push(format!("{what}\n  {}\n  status {status:?}: {}", faults.join("; "), ended.stderr.trim()));
        }
    }

    /// It has to fail, with one line that has one of the names.
    fn failed(&mut self, what: &str, ended: &Ended, names: &[&str]) {
        let mut faults = ended.faults(names);
        if ended.is_success() {
            faults.push("ends well".into());
        }
        self.note(what, ended, faults);
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.0.is_empty(), "\n{}\n", self.0.join("\n\n"));
        }
    }
}

#[test]
fn a_full_disk_is_one_line_and_leaves_no_half_file() {
    let run = trained(&["--epochs", "1"]).path;
    let mut faults = Faults::default();
    for (line, limits) in WRITERS {
        for limit in limits {
            let folder = place();
            let before = format!("ulimit -f {limit};");
            let Some(command) = by_bash(folder.path(), &before, &words(line, &run), "") else { return };
            // What it prints is not limited: it goes through pipes.
            let ended = through_pipes(command);
            let what = format!("{line}, files of at most {limit} KB");
            let mut wrong = ended.faults(&["out/"]);
            if *limit == 0 && ended.is_success() {
                wrong.push("ends well".into());
            }
            for (path, bytes) in tree(folder.path()).into_iter().filter(|(path, _)| !path.ends_with("reads.fastq")) {
                let name = path.strip_prefix(folder.path()).unwrap().display().to_string();
                match bytes {
                    Some(bytes) if !is_whole(&path, &bytes) => wrong.push(format!("left {name}, and not whole")),
                    None if name.starts_with("tmp/") => wrong.push(format!("left {name}")),
                    _ => {}
                }
            }
            faults.note(&what, &ended, wrong);
        }
    }
}

fn through_pipes(mut command: Command) -> Ended {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ended { status: Some(output.status), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

#[test]
fn a_full_temporary_folder_is_one_line_that_says_so() {
    let genome: String = (0..3).map(|i| fasta(&[(&*format!("chr{i}"), &*bases(i, 9000))])).collect();
    let folder = place();
    std::fs::write(folder.path().join("a.fa.gz"), gzip(genome.as_bytes())).unwrap();
    let line = "inspect --genome a=a.fa.gz --genome b=a.fa.gz --memory 1KB --length 60 --fragments 40 --test-fragments 20 \
                --train-chroms 0 --test-chroms 1 --threads 1";
    let Some(command) = by_bash(folder.path(), "ulimit -f 4;", &words(line, Path::new("")), "") else {
        return;
    };
    Faults::default().failed(line, &through_pipes(command), &["TMPDIR"]);
}

#[test]
fn output_that_cannot_be_is_one_line_and_harms_nothing() {
    let run = trained(&["--epochs", "1"]).path;
    let mut faults = Faults::default();
    for (line, _) in WRITERS {
        for there in ["/proc/strandnet/x", "/dev/null/x", "notes.txt", "notes.txt/x"] {
            let folder = place();
            std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
            let before = tree(folder.path());
            let line = line.replace("out/run", there).replace("out/x", there);
            let words = words(&line, &run);
            // A prefix or another ending makes another file of it, which may be written.
            if there == "notes.txt" && (line.contains("sort-reads") || line.contains(".pt")) {
                continue;
            }
            let ended = run_within_limit(strandnet_in(folder.path(), &words), &folder.path().join("tmp/said"));
            for said in ["said.stdout", "said.stderr"] {
                std::fs::remove_file(folder.path().join("tmp").join(said)).unwrap();
            }
            faults.failed(&line, &ended, &[there, "notes.txt"]);
            if tree(folder.path()) != before {
                faults.note(&line, &ended, vec!["left or changed something".into()]);
            }
        }
    }
}

#[test]
fn a_run_folder_that_vanishes_is_one_line() {
    let mut faults = Faults::default();
    let vanish: [fn(&Path) -> bool; 2] =
        [|run| std::fs::rename(run, run.with_extension("gone")).is_ok(), |run| std::fs::remove_dir_all(run).is_ok()];
    for vanish in vanish {
        let folder = place();
        let line = TRAIN.replace("--epochs 1", "--epochs 100000");
        let run = folder.path().join("out/run");
        let gone = run.clone();
        let remover = std::thread::spawn(move || {
            let started = Instant::now();
            let rows = || std::fs::read_to_string(gone.join("history.csv")).map_or(0, |text| text.lines().count());
            while rows() < 3 && started.elapsed() < Duration::from_secs(30) {
                std::thread::sleep(Duration::from_millis(5));
            }
            while !vanish(&gone) && started.elapsed() < Duration::from_secs(40) {}
        });
        let ended =
            run_within_limit(strandnet_in(folder.path(), &words(&line, Path::new(""))), &folder.path().join("said"));
        remover.join().unwrap();
        faults.failed("train in a folder that vanishes", &ended, &["out/run"]);
        if run.exists() {
            faults.note("train in a folder that vanishes", &ended, vec!["the folder is there again".into()]);
        }
    }
}

#[test]
fn streams_that_are_full_or_closed_are_one_line() {
    let run = trained(&["--epochs", "1"]).path;
    let folder = place();
    let mut faults = Faults::default();
    for (line, redirected, name) in [
        ("predict RUN READS --threads 1", "> /dev/full", "standard output"),
        ("predict RUN READS --threads 1 --format bed", "> /dev/full", "standard output"),
        ("evaluate RUN --threads 1", "> /dev/full", "standard output"),
        ("inspect --train TABLE --threads 1", "> /dev/full", "standard output"),
        ("model", "> /dev/full", "standard output"),
        ("doctor", "> /dev/full", "standard output"),
        ("predict RUN - --threads 1", "<&-", "-"),
        ("predict RUN - --threads 1", "< /dev/null", "-"),
        ("predict RUN - --threads 1", "< .", "-"),
        ("predict RUN - --threads 1 --sort-reads tmp/x", "<&-", "-"),
        ("predict RUN - --threads 1", "< <(head -c 1000 /dev/zero)", "-"),
        ("predict RUN - --threads 1", "< <(gzip < reads.fastq | head -c 500)", "-"),
    ] {
        let Some(mut command) = by_bash(folder.path(), "", &words(line, &run), redirected) else { return };
        if line.contains(" - ") {
            command.stdin(Stdio::inherit());
        }
        let (stdout, stderr) = (folder.path().join("stdout"), folder.path().join("stderr"));
        command.stdout(std::fs::File::create(&stdout).unwrap()).stderr(std::fs::File::create(&stderr).unwrap());
        let ended = wait_within_limit(command, &stdout, &stderr);
        faults.failed(&format!("{line} {redirected}"), &ended, &[name]);
    }
    if tree(&folder.path().join("tmp")).into_iter().next().is_some() {
        faults.0.push("something is left in the temporary folder".into());
    }
}
