//! Hundreds of broken files, full disks and folders that vanish: whatever is fed to the program, it ends with a result or
//! with one line that names what is wrong, and leaves nothing behind.
//!
//! `STRANDNET_TORTURE='BED: cut'` runs only the cases with these words in their name, and keeps their folders.

mod disks;
mod flags;
mod mutations;
mod subjects;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mutations::Mutation;
use subjects::{Stock, Subject};

use crate::fixtures::strandnet;

/// Far more than any case takes, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// How a command ended.
struct Ended {
    status: Option<ExitStatus>,
    stdout: String,
    stderr: String,
}

/// Runs a command to its end or to the limit, its output in files beside its folder, so that no pipe fills up.
fn run_within_limit(mut command: Command, beside: &Path) -> Ended {
    let (stdout, stderr) = (beside.with_extension("stdout"), beside.with_extension("stderr"));
    command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
    wait_within_limit(command, &stdout, &stderr)
}

fn wait_within_limit(mut command: Command, stdout: &Path, stderr: &Path) -> Ended {
    let mut child = command.spawn().unwrap();
    let started = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if started.elapsed() > LIMIT => {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let text = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    Ended { status, stdout: text(stdout), stderr: text(stderr) }
}

impl Ended {
    fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// What is wrong with how it ended, whatever the input. A failure names one of `names`, or a setting.
    fn faults(&self, names: &[&str]) -> Vec<String> {
        let mut faults = Vec::new();
        match self.status {
            None => faults.push(format!("did not end within {LIMIT:?}")),
            Some(status) if !matches!(status.code(), Some(0..=2)) => faults.push(format!("ended with {status}")),
            _ => {}
        }
        for word in ["panicked", "internal fault", "RUST_BACKTRACE", "terminate called"] {
            if self.stderr.contains(word) {
                faults.push(format!("says '{word}'"));
            }
        }
        let errors: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        if self.is_success() {
            if !errors.is_empty() {
                faults.push("ends well with an error".into());
            }
            return faults;
        }
        match errors.as_slice() {
            [error] => {
                let settings = ["--", "data.", "model.", "training.", "search.", "layer"];
                if !names.iter().chain(&settings).any(|name| error.contains(name)) {
                    faults.push(format!("names neither a setting nor {}", names.join(" or ")));
                }
            }
            _ => faults.push(format!("{} lines of error", errors.len())),
        }
        if !self.stdout.is_empty() {
            faults.push(format!("failed, with results: {:?}", self.stdout.chars().take(80).collect::<String>()));
        }
        faults
    }
}

/// A subject with one file broken, or none.
#[derive(Clone, Copy)]
struct Case<'a> {
    subject: &'a Subject,
    mutation: Option<Mutation>,
}

impl Case<'_> {
    fn name(&self) -> String {
        let what = self.mutation.map_or("whole".into(), |mutation| mutation.to_string());
        format!("{}: {what}", self.subject.name)
    }

    /// The broken file.
    fn broken(&self) -> &str {
        self.subject.files[0]
    }

    /// Makes the folder: valid files but for one. False where the file cannot be broken so.
    fn prepare(&self, stock: &Stock, folder: &Path) -> bool {
        std::fs::create_dir_all(folder.join("tmp")).unwrap();
        for wanted in self.subject.files {
            let here = |name: &str| name == *wanted || wanted.ends_with('/') && name.starts_with(wanted);
            for (name, bytes) in stock.iter().filter(|(name, _)| here(name)) {
                let path = folder.join("in").join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, with_paths(bytes, folder)).unwrap();
            }
        }
        self.mutation.is_none_or(|mutation| mutation.apply(&folder.join("in").join(self.broken())))
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = strandnet();
        command
            .current_dir(folder)
            .env("TMPDIR", folder.join("tmp"))
            .env("OMP_NUM_THREADS", "1")
            .env_remove("RUST_BACKTRACE");
        command.args(self.subject.line.split_whitespace());
        command
    }

    /// Runs it and returns what is wrong; `whole` is what the same command prints where nothing is broken.
    fn run(&self, stock: &Stock, folder: &Path, whole: Option<&str>) -> Result<String, String> {
        if !self.prepare(stock, folder) {
            return match self.mutation {
                Some(Mutation::Unreadable) => Ok(String::new()),
                _ => Err(format!("{}\n  the case breaks nothing", self.name())),
            };
        }
        let before = tree(folder);
        let ended = run_within_limit(self.command(folder), folder);
        let file_name = Path::new(self.broken()).file_name().unwrap().to_str().unwrap();
        // A setting of a run that is broken may be found out by another of its files, or by its data.
        let mut faults = ended.faults(&[file_name, "in/", "binary.csv"]);
        let after = tree(folder);
        let changed = |path: &&PathBuf| before.get(*path) != after.get(*path);
        let is_result = |path: &Path| {
            let name = path.strip_prefix(folder).unwrap();
            let is_output = name.to_string_lossy().starts_with("out") || name.starts_with("in/tune");
            ended.is_success() && (is_output || name.starts_with("in/run/explain"))
        };
        let all: std::collections::BTreeSet<&PathBuf> = before.keys().chain(after.keys()).collect();
        for path in all.into_iter().filter(changed) {
            if !is_result(path) || path.to_string_lossy().ends_with(".partial") {
                faults.push(format!("left or changed {}", path.strip_prefix(folder).unwrap().display()));
            }
        }
        match self.mutation {
            None if !ended.is_success() => faults.push("fails with nothing broken".into()),
            Some(mutation) if ended.is_success() => {
                let subject = self.subject;
                let is_noticed = ended.stderr.contains("warning: in/"); // of a missing end marker, and read on
                if !subject.optional && (mutation.is_gone() || ((subject.noticed)(mutation) && !is_noticed)) {
                    faults.push("was not noticed".into());
                }
                if (subject.harmless)(mutation) && whole != Some(&*ended.stdout) {
                    faults.push("gives other results than the whole file, without a word".into());
                }
            }
            Some(mutation) if (self.subject.harmless)(mutation) && !self.subject.optional => {
                faults.push("is no reason to fail".into());
            }
            _ => {}
        }
        if faults.is_empty() {
            return Ok(ended.stdout);
        }
        Err(format!(
            "{}\n  strandnet {}\n  {}\n  status {:?}, standard error:\n    {}",
            self.name(),
            self.subject.line,
            faults.join("; "),
            ended.status.and_then(|status| status.code()),
            ended.stderr.trim().replace('\n', "\n    "),
        ))
    }
}

/// A saved search knows its folder by its absolute path, which is another in each case.
const FOLDER: &str = "{folder}";

fn with_paths(bytes: &[u8], folder: &Path) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains(FOLDER) => text.replace(FOLDER, folder.to_str().unwrap()).into(),
        _ => bytes.to_vec(),
    }
}

/// Every file and folder below a folder, the files with their bytes.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path.clone());
                found.insert(path, None);
            } else {
                let bytes = std::fs::read(&path).unwrap_or_default();
                found.insert(path, Some(bytes));
            }
        }
    }
    found
}

/// Runs cases two at a time and hands back what came of each, in their order.
fn run_all(cases: &[Case], stock: &Stock, top: &Path, whole: &BTreeMap<&str, String>) -> Vec<Result<String, String>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<BTreeMap<usize, Result<String, String>>> = Mutex::default();
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(index) else { break };
            let folder = top.join(format!("{}{index}", if case.mutation.is_none() { "whole" } else { "case" }));
            let result = case.run(stock, &folder, whole.get(case.subject.name).map(String::as_str));
            if std::env::var_os("STRANDNET_TORTURE").is_none() && case.mutation.is_some() {
                let _ = std::fs::remove_dir_all(&folder);
            }
            if let Err(fault) = &result {
                println!("{fault}\n"); // at once, for whoever waits
            }
            results.lock().unwrap().insert(index, result);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    results.into_inner().unwrap().into_values().collect()
}

#[test]
fn broken_files_end_in_a_result_or_in_one_line_and_leave_nothing() {
    let started = Instant::now();
    let top = tempfile::tempdir().unwrap();
    let only = std::env::var("STRANDNET_TORTURE").ok();
    let subjects = subjects::all();
    let stock = subjects::stock(&top.path().join("search"));

    let of_subject = |subject| {
        let Subject { mutations, .. }: &Subject = subject;
        mutations.iter().map(move |&mutation| Case { subject, mutation: Some(mutation) })
    };
    let is_chosen = |case: &Case| only.as_ref().is_none_or(|words| case.name().contains(words));
    let cases: Vec<Case> = subjects.iter().flat_map(of_subject).filter(is_chosen).collect();

    // Nothing broken: what comes of it is what harmless damage is compared with.
    let needed = |subject: &&Subject| cases.iter().any(|case| case.subject.name == subject.name);
    let wholes: Vec<Case> = subjects.iter().filter(needed).map(|subject| Case { subject, mutation: None }).collect();
    let mut whole = BTreeMap::new();
    let mut failures = Vec::new();
    for (case, result) in wholes.iter().zip(run_all(&wholes, &stock, top.path(), &BTreeMap::new())) {
        match result {
            Ok(stdout) => drop(whole.insert(case.subject.name, stdout)),
            Err(fault) => failures.push(fault),
        }
    }
    failures.extend(run_all(&cases, &stock, top.path(), &whole).into_iter().filter_map(Result::err));

    println!("{} cases, {} at fault, {:.0} s", cases.len(), failures.len(), started.elapsed().as_secs_f64());
    if only.is_some() {
        println!("kept in {}", top.keep().display());
    }
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n\n"));
}
