//! What processes tell each other before they train, so that one with another program, other settings or other data is found then.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::Device;

use super::{CString, Group, Launch, strandnet_group_connect, worked};
use strandnet_core::run::{Build, ExampleCounts};

/// What all processes have to have alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Version, revision and libtorch of the program.
    pub program: String,
    /// How many processes it was told that there are.
    pub processes: usize,
    /// CPU threads.
    pub threads: usize,
    /// Settings of the network and of training.
    pub settings: Value,
    /// Examples of each split.
    pub examples: ExampleCounts,
    /// Hash of all examples and of the files that they are from.
    pub data: String,
    /// Where training begins.
    pub position: String,
}

impl Hello {
    /// What the program is.
    pub fn program(build: Build) -> String {
        let Build { version, git_revision, libtorch } = build;
        format!("strandnet {version} ({git_revision}) with libtorch {libtorch}")
    }

    /// What another has otherwise than this, the first of all things, in words for "process N ...", and what to do.
    fn difference(&self, other: &Self) -> Option<String> {
        if self.program != other.program {
            return Some(format!(
                "is {}, expected {} as process 0 is; use the same for all",
                other.program, self.program
            ));
        }
        if self.processes != other.processes {
            return Some(format!(
                "was told that there are {} processes, expected {} as process 0 was; start all of them alike",
                other.processes, self.processes
            ));
        }
        if self.threads != other.threads {
            return Some(format!(
                "has {} threads, expected {} as process 0 has; give all the same --threads",
                other.threads, self.threads
            ));
        }
        if let Some(difference) = difference_of("", &self.settings, &other.settings) {
            return Some(format!("has {difference} as process 0 has; start all with the same settings"));
        }
        if self.examples != other.examples || self.data != other.data {
            let of = |counts: &ExampleCounts| {
                format!("{} training, {} validation and {} test examples", counts.train, counts.valid, counts.test)
            };
            let how = if self.examples == other.examples {
                format!("{}, as many as process 0, but not the same", of(&other.examples))
            } else {
                format!("{}, expected {} as process 0 has", of(&other.examples), of(&self.examples))
            };
            return Some(format!("has other data: {how}; give all the same files"));
        }
        (self.position != other.position).then(|| {
            format!(
                "would begin {}, expected {} as process 0 does; give all the same run folder",
                other.position, self.position
            )
        })
    }
}

/// The first setting that differs, by name, with both values.
fn difference_of(name: &str, own: &Value, other: &Value) -> Option<String> {
    match (own, other) {
        (Value::Object(own), Value::Object(others)) => {
            let keys = own.keys().chain(others.keys().filter(|key| !own.contains_key(*key)));
            keys.into_iter().find_map(|key| {
                let value = |of: &serde_json::Map<String, Value>| of.get(key).cloned().unwrap_or(Value::Null);
                difference_of(key, &value(own), &value(others))
            })
        }
        _ => (own != other).then(|| format!("{name} {other}, expected {own}")),
    }
}

/// How long process 0 waits for others to read what is wrong, in seconds.
const READING_SECONDS: u64 = 2;

/// What process 0 found of all, and where the run is.
#[derive(Debug, Serialize, Deserialize)]
struct Verdict {
    fault: Option<String>,
    run: Option<PathBuf>,
}

impl Group {
    /// Tells the others what this process is about, hears whether all are about the same, and connects them for sums. `run` is where
    /// process 0 writes, `device` what this one computes on.
    ///
    /// # Errors
    /// One of them is about something else, ended or does not come in time; every process says the same then.
    pub fn agree(&self, hello: &Hello, run: Option<&Path>, device: Device) -> Result<()> {
        let Launch { rank, size, ref host, .. } = self.launch;
        let lost = |error: anyhow::Error| self.lost(&error);
        self.set(&format!("hello/{rank}"), &serde_json::to_string(hello)?).map_err(lost)?;
        let verdict = if rank == 0 {
            let verdict = Verdict { fault: self.fault_of_others(hello), run: run.map(Path::to_path_buf) };
            self.set("verdict", &serde_json::to_string(&verdict)?).map_err(lost)?;
            if verdict.fault.is_some() {
                self.wait_for_readers(READING_SECONDS);
            }
            verdict
        } else {
            // Process 0 may come as late as that, and then wait as long for others.
            let text = self.get("verdict", 2 * self.seconds + 10).map_err(lost)?;
            let _ = self.set(&format!("read/{rank}"), "");
            serde_json::from_str(&text).map_err(|_| {
                anyhow!("process {rank} of {size} does not understand process 0; use the same strandnet for all")
            })?
        };
        self.agreed.set(true);
        if let Some(run) = verdict.run {
            let _ = self.run.set(run);
        }
        if let Some(fault) = verdict.fault {
            bail!("{fault}");
        }
        let host = CString::new(host.as_str())?;
        // SAFETY: the string lives.
        worked(unsafe {
            strandnet_group_connect(self.handle, host.as_ptr(), rank as i32, size as i32, self.seconds as i64)
        })
        .map_err(lost)?;
        self.connect_gpus(device).map_err(lost)
    }

    /// What is wrong with another process.
    fn fault_of_others(&self, hello: &Hello) -> Option<String> {
        let (size, deadline) = (self.launch.size, Instant::now() + Duration::from_secs(self.seconds));
        (1..size).find_map(|rank| {
            let left = deadline.saturating_duration_since(Instant::now()).as_secs().max(1);
            let Ok(text) = self.get(&format!("hello/{rank}"), left) else {
                return Some(format!(
                    "process {rank} of {size} did not come within {} s (--timeout); see what it says, and start all of them again",
                    self.seconds
                ));
            };
            if text.is_empty() {
                return Some(format!("process {rank} of {size} ended before training; see what it says"));
            }
            let what = match serde_json::from_str::<Hello>(&text) {
                Ok(other) => hello.difference(&other)?,
                Err(_) => "is another version of strandnet; use the same for all".into(),
            };
            Some(format!("process {rank} of {size} {what}"))
        })
    }

    /// Ends what has nothing to train, which all processes have found.
    pub fn dismiss(&self) {
        self.agreed.set(true);
        if self.is_first() {
            self.wait_for_readers(self.seconds);
        } else {
            let _ = self.set(&format!("read/{}", self.launch.rank), "");
        }
    }

    /// Lets the others read what is said to them before the store goes with this process.
    fn wait_for_readers(&self, seconds: u64) {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        for rank in 1..self.launch.size {
            if Instant::now() < deadline {
                let _ = self.get(&format!("read/{rank}"), 1);
            }
        }
    }

    /// Says that this process ends before all have agreed.
    pub(super) fn leave_word(&self) {
        let Launch { rank, size, .. } = self.launch;
        let _ = self.set(&format!("hello/{rank}"), "");
        if rank == 0 {
            let fault = Some(format!("process 0 of {size} ended before training; see what it says"));
            let _ = self.set("opened", "");
            let _ = serde_json::to_string(&Verdict { fault, run: None }).map(|verdict| self.set("verdict", &verdict));
            self.wait_for_readers(READING_SECONDS);
        }
    }

    /// Does something in process 0 first, and in the others once that is done there.
    ///
    /// # Errors
    /// It fails, or process 0 ended.
    pub fn after_first<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let lost = |error: anyhow::Error| self.lost(&error);
        if self.is_first() {
            let done = work()?;
            self.set("opened", "yes").map_err(lost)?;
            return Ok(done);
        }
        if self.get("opened", self.seconds).map_err(lost)?.is_empty() {
            let Launch { rank, size, .. } = self.launch;
            bail!("process {rank} of {size} ends, as process 0 did; see what that says");
        }
        work()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named_with_both_values_and_what_to_do() {
        let hello = Hello {
            program: "strandnet 1 (abc) with libtorch 2".into(),
            processes: 2,
            threads: 1,
            settings: serde_json::json!({"model": {"arch": "residual"}, "training": {"lr": 0.01, "clip_norm": null}}),
            examples: ExampleCounts { train: 100, valid: 10, test: 11 },
            data: "a".into(),
            position: "at the start".into(),
        };
        assert_eq!(hello.difference(&hello), None);
        let with = |change: fn(&mut Hello)| {
            let mut other = hello.clone();
            change(&mut other);
            hello.difference(&other).unwrap()
        };
        for (found, expected) in [
            (
                with(|other| other.threads = 2),
                "has 2 threads, expected 1 as process 0 has; give all the same --threads",
            ),
            (with(|other| other.program = "strandnet 2".into()), "is strandnet 2, expected strandnet 1 (abc)"),
            (with(|other| other.processes = 3), "was told that there are 3 processes, expected 2"),
            (
                with(|other| other.settings["training"]["lr"] = 0.02.into()),
                "has lr 0.02, expected 0.01 as process 0 has",
            ),
            (with(|other| other.settings["training"]["new"] = 1.into()), "has new 1, expected null"),
            (
                with(|other| other.data = "b".into()),
                "has other data: 100 training, 10 validation and 11 test examples, as many",
            ),
            (
                with(|other| other.examples.test = 12),
                "has other data: 100 training, 10 validation and 12 test examples, expected",
            ),
            (with(|other| other.position = "after epoch 1".into()), "would begin after epoch 1, expected at the start"),
        ] {
            assert!(found.starts_with(expected), "{found}");
        }
    }
}
