//! Runs that are killed, interrupted or damaged on the way, and end as if nothing had happened.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::fixtures::{
    LENGTH, SMALL_RESIDUAL, Trained, column, contents, copied, fail, finished, genomes, interrupted, json, long_run,
    run, signal, start, strandnet, succeed, tables, tensors, text, wait, wait_for, with_defaults,
};

/// What a run decides, and what of it depends on the clock: the rest of its files, byte for byte.
const BY_THE_CLOCK: [&str; 5] = ["history.csv", "last.safetensors", "run.json", "report.html", "checksums.sha256"];

/// Flags of the experiments that are stopped: every kind of state that there is to be saved.
fn experiments() -> Vec<(&'static str, Vec<&'static str>)> {
    let plain = vec!["--epochs", "6", "--batch-size", "16", "--dropout", "0.2", "--shift", "3", "--mutate", "0.1"];
    let ensemble = [
        &SMALL_RESIDUAL[..6],
        &["--batch-size", "32", "--epochs", "2", "--ensemble", "3", "--ema", "0.9", "--accumulate", "3"],
        &["--schedule", "one-cycle", "--optimizer", "sgd", "--lr", "0.05"],
    ]
    .concat();
    let plateau =
        vec!["--epochs", "12", "--schedule", "plateau", "--lr", "0.0001", "--patience", "5", "--batch-size", "32"];
    vec![("plain", plain), ("ensemble", ensemble), ("plateau", plateau)]
}

fn resume(path: &Path) -> Vec<String> {
    ["train", "--quiet", "--resume", text(path), "--checkpoint-minutes", "0"].map(str::to_owned).into()
}

/// A run that nobody stops.
fn undisturbed(flags: &[&str]) -> PathBuf {
    let path = tables().new_path();
    let (status, said) = wait(start(&long_run(&path, flags)));
    assert!(status.success(), "{said}");
    path
}

/// Two finished runs came to the same, whatever happened to one of them.
fn assert_same(one: &Path, other: &Path, what: &str) {
    let names = |path: &Path| -> Vec<String> {
        contents(path).iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(one), names(other), "{what}");
    for name in names(one).iter().filter(|name| !BY_THE_CLOCK.contains(&name.as_str())) {
        let read = |path: &Path| std::fs::read(path.join(name)).unwrap();
        assert!(read(one) == read(other), "{what}: {name} differs");
    }
    for column_name in ["epoch", "train_loss", "train_accuracy", "valid_loss", "learning_rate"] {
        let read = |path: &Path| column(&path.join("history.csv"), b',', column_name);
        assert_eq!(read(one), read(other), "{what}: {column_name}");
    }
    assert!(tensors(&one.join("best.safetensors")) == tensors(&other.join("best.safetensors")), "{what}");
}

/// Numbers from 0 to 1 that differ from kill to kill and are the same in every test run.
fn chance(number: u64) -> f64 {
    (number as f64 * 0.618_033_988_749_894_9 + 0.1).fract()
}

/// Kills a run at `kills` moments spread over its time, while it writes a checkpoint after every step, resumes it each time,
/// and holds the end against that of a run never killed.
fn kill_and_resume(name: &str, flags: &[&str], rounds: u64) {
    let whole = undisturbed(flags);
    for round in 0..rounds {
        let path = tables().new_path();
        let mut arguments = long_run(&path, flags);
        arguments.extend(["--checkpoint-minutes".to_owned(), "0".to_owned()]);
        let mut kills = 0;
        // A longer wait each time, so that it gets somewhere.
        for attempt in 0.. {
            let mut child = start(&arguments);
            let begun = wait_for(&mut child, &path.join("run.json"));
            let wait_ms = 1.0 + 150.0 * chance(1000 * round + attempt) * (1.0 + attempt as f64 / 4.0);
            std::thread::sleep(Duration::from_secs_f64(wait_ms / 1000.0));
            let ended = child.try_wait().unwrap().is_some();
            if !ended {
                child.kill().unwrap();
                kills += 1;
            }
            let (status, said) = wait(child);
            if ended {
                assert!(status.success(), "{name}, round {round}: {said}");
                break;
            }
            if begun {
                arguments = resume(&path);
            }
        }
        assert!(kills > 0);
        assert_same(&whole, &path, &format!("{name}, round {round}, killed {kills} times"));
        std::fs::remove_dir_all(path).unwrap();
    }
}

#[test]
fn a_run_killed_at_any_moment_ends_with_the_same_bytes() {
    for (name, flags) in experiments() {
        kill_and_resume(name, &flags, 1);
    }
}

/// The same fifty times over: `cargo test --release --test it -- --ignored fifty`.
#[test]
#[ignore = "takes some minutes"]
fn fifty_runs_killed_at_random_moments_end_with_the_same_bytes() {
    for ((name, flags), rounds) in experiments().into_iter().zip([17, 16, 17]) {
        kill_and_resume(name, &flags, rounds);
    }
}

#[test]
fn windows_drawn_anew_each_epoch_go_on_too() {
    let genomes = genomes();
    let own = genomes.flags();
    let mut flags: Vec<&str> = own.iter().map(String::as_str).collect();
    flags.extend([
        "--arch",
        "shallow",
        "--fragments",
        "400",
        "--test-fragments",
        "100",
        "--epochs",
        "6",
        "--threads",
        "1",
    ]);
    flags.extend(["--resample", "--train-chroms", "1,2", "--test-chroms", "chrX", "--quiet"]);
    let (whole, cut) = (genomes.path("whole"), genomes.path("cut"));
    succeed(&[&["train", "--out", text(&whole)], &flags[..]].concat());
    let mut child = strandnet()
        .args([&["train", "--out", text(&cut), "--checkpoint-minutes", "0"], &flags[..]].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(wait_for(&mut child, &cut.join("best.safetensors")));
    child.kill().unwrap();
    wait(child);
    succeed(&["train", "--quiet", "--resume", text(&cut)]);
    assert_same(&whole, &cut, "windows drawn anew");
}

#[test]
fn the_first_signal_writes_a_checkpoint_and_says_how_to_go_on() {
    let flags = ["--epochs", "400", "--patience", "8", "--batch-size", "16"];
    let whole = undisturbed(&flags);
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let (path, status, said) = interrupted(&flags, name);
        assert_eq!(status.code(), Some(code), "{said}");
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("stopped ") && last.ends_with(&format!("--resume {}", path.display())), "{said}");
        assert!(path.join("last.safetensors").is_file() && !path.join("metrics.json").exists());
        let error = fail(1, &["predict", text(&path), &tables().binary]);
        assert!(error.contains("did not finish") && error.contains("train --resume"), "{error}");
        let printed = succeed(&["train", "--quiet", "--resume", text(&path)]);
        assert!(printed.ends_with(&format!("{}\n", path.display())), "{printed}");
        assert_same(&whole, &path, name);
        // Asked again, as a batch system may, it has nothing to do.
        assert_eq!(succeed(&["train", "--resume", text(&path)]), format!("{}\n", path.display()));
    }
}

#[test]
fn a_second_signal_stops_at_once() {
    // An epoch of this is one step, for which the network takes seconds.
    let path = tables().new_path();
    let flags = ["--arch", "residual", "--filters", "1024", "--depth", "4", "--batch-size", "1000"];
    let mut child = start(&long_run(&path, &flags));
    assert!(wait_for(&mut child, &path.join("examples.tsv")));
    assert!(wait_for(&mut child, &path.join("history.csv")));
    signal(&child, "INT");
    signal(&child, "TERM");
    let (status, said) = wait(child);
    // Where both wait for a busy processor, either may be handed out first.
    assert!(matches!(status.code(), Some(130 | 143)), "{said}");
    assert!(!path.join("last.safetensors").exists(), "it did not wait for the step");
}

#[test]
fn a_damaged_checkpoint_is_known_and_the_one_before_it_taken() {
    let flags = ["--epochs", "400", "--patience", "8", "--batch-size", "16"];
    let whole = undisturbed(&flags);
    let (path, _, _) = interrupted(&flags, "INT");
    let last = path.join("last.safetensors");
    let bytes = std::fs::read(&last).unwrap();
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 4;
    for damage in [flipped, bytes[..bytes.len() - 7].to_vec(), Vec::new()] {
        std::fs::write(&last, &damage).unwrap();
        let copy = copied(&path);
        let output = run(&["train", "--quiet", "--resume", text(&copy)]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        assert!(said.contains("checkpoint is damaged") && said.contains("the previous checkpoint"), "{said}");
        assert_same(&whole, &copy, "damaged checkpoint");
        let both = copied(&path);
        std::fs::write(both.join("previous.safetensors"), &damage).unwrap();
        let error = fail(1, &["train", "--quiet", "--resume", text(&both)]);
        assert!(error.contains("there is no other"), "{error}");
    }
}

#[test]
fn what_cannot_be_gone_on_with_is_refused_in_a_sentence() {
    let folder = &tables().folder;
    // No other file has what it holds, or that would be taken in its place.
    let rows = std::fs::read_to_string(&tables().binary).unwrap();
    let data = folder.write("changing.csv", rows + &format!("{},rich\n", "CG".repeat(LENGTH / 2)));
    let path = tables().new_path();
    let flags = with_defaults(&["--epochs", "500", "--quiet"]);
    let arguments = [&["train", "--out", text(&path), "--train", &data], &flags[..]].concat();
    let mut child = start(&arguments.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    assert!(wait_for(&mut child, &path.join("last.safetensors")));

    // While it is at work nobody else may be.
    for other in [&["train", "--resume", text(&path)][..], &[&arguments[..], &["--force"]].concat()] {
        let error = fail(1, other);
        assert!(error.contains("another strandnet process is using this folder"), "{error}");
    }
    child.kill().unwrap();
    wait(child);

    let error = fail(2, &["train", "--resume", text(&path), "--lr", "0.1", "--arch", "shallow"]);
    assert!(error.contains("--lr is given with --resume") && error.contains("--arch is given"), "{error}");
    assert_eq!(run(&["train", "--resume", text(&path), "--out", "x"]).status.code(), Some(2));
    let error = fail(2, &["train", "--resume", text(&path), "--checkpoint-minutes=-1"]);
    assert!(error.contains("--checkpoint-minutes is -1.0, expected 0 to 525600"), "{error}");

    std::fs::write(&data, std::fs::read_to_string(&data).unwrap() + &format!("{},rich\n", "G".repeat(LENGTH))).unwrap();
    let error = fail(1, &["train", "--resume", text(&path)]);
    assert!(error.contains("changing.csv") && error.contains("has changed since the run was made"), "{error}");
    std::fs::remove_file(&data).unwrap();
    assert!(fail(1, &["train", "--resume", text(&path)]).contains("cannot be read"));
    assert!(fail(1, &["train", "--resume", "nowhere"]).contains("no such folder"));
    assert!(fail(1, &["train", "--resume", text(folder.path("").as_path())]).contains("holds no run.json"));
}

#[test]
fn a_run_that_is_replaced_comes_back_unless_its_successor_is_complete() {
    let old = crate::fixtures::trained(&[]);
    let before = contents(&old.path);
    let arguments = |flags: &[&str]| [&long_run(&old.path, flags)[..], &["--force".to_owned()]].concat();
    // Fails: the rate makes the loss no number.
    let (status, said) = wait(start(&arguments(&["--lr", "1e30", "--optimizer", "sgd"])));
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(contents(&old.path) == before, "the old run is back");
    // Stopped: both are there until the new one is complete.
    let mut child = start(&arguments(&["--epochs", "400", "--patience", "8", "--batch-size", "16"]));
    while !old.path.join("last.safetensors").is_file() || old.path.join("metrics.json").exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&child, "TERM");
    assert_eq!(wait(child).0.code(), Some(143));
    let hidden = || std::fs::read_dir(&old.path).unwrap().flatten().find(|entry| entry.path().is_dir());
    assert!(hidden().is_some());
    succeed(&["train", "--quiet", "--resume", text(&old.path)]);
    assert!(hidden().is_none());
    assert_eq!(json(&old.path.join("run.json"))["config"]["training"]["epochs"], 400);
}

#[test]
fn a_loss_that_is_no_number_stops_at_its_step_and_the_last_good_checkpoint_stays() {
    let path = tables().new_path();
    let flags = ["--lr", "1e18", "--optimizer", "sgd", "--schedule", "constant", "--warmup", "2", "--epochs", "6"];
    let mut arguments = long_run(&path, &[&flags[..], &["--task", "regression", "--batch-size", "16"]].concat());
    let place = arguments.iter().position(|word| *word == tables().binary).unwrap();
    arguments[place] = tables().values.clone();
    arguments.extend(["--checkpoint-minutes".to_owned(), "0".to_owned()]);
    let (status, said) = wait(start(&arguments));
    assert_eq!(status.code(), Some(1), "{said}");
    let error = said.lines().find(|line| line.starts_with("error: ")).unwrap();
    for part in [
        "at step ",
        "learning rate was ",
        "largest gradient of the step before was ",
        "train again with a smaller --lr",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let kept = tensors(&path.join("last.safetensors"));
    assert!(kept.values().flatten().all(|value| value.is_finite()), "no checkpoint of what is no number");
}

#[test]
fn what_a_person_should_know_is_said_at_the_end() {
    let last: Trained = crate::fixtures::trained(&["--epochs", "2", "--lr", "0.003"]);
    assert!(last.stderr.contains("the best epoch is the last of 2"), "{}", last.stderr);
    let still = crate::fixtures::trained(&["--epochs", "3", "--lr", "1e-9", "--schedule", "constant"]);
    assert!(still.stderr.contains("the training loss hardly moved"), "{}", still.stderr);
    let remarks = still.json("run.json")["outcome"]["remarks"].to_string();
    assert!(remarks.contains("hardly moved"), "{remarks}");
}

/// A run of a machine with a GPU, as far as its files say.
fn of_a_gpu(path: &Path) {
    let file = path.join("run.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let edited = text.replace("\"device\": \"Cpu\"", "\"device\": \"Cuda(0)\"");
    let edited = edited.replace("\"cuda_graph\": false", "\"cuda_graph\": true");
    assert_ne!(text, edited);
    std::fs::write(&file, &edited).unwrap();
    let sums = path.join("checksums.sha256");
    if let Ok(listed) = std::fs::read_to_string(&sums) {
        let [old, new] = [&text, &edited].map(|text| strandnet::run::sha256_of(text.as_bytes()));
        assert!(listed.contains(&old), "{listed}");
        std::fs::write(&sums, listed.replace(&old, &new)).unwrap();
    }
}

#[test]
fn a_run_begun_on_a_gpu_goes_on_on_the_cpu_where_that_is_asked_for() {
    let (path, ..) = interrupted(&["--epochs", "6"], "INT");
    of_a_gpu(&path);
    let error = fail(1, &["train", "--resume", text(&path)]);
    assert!(error.contains("--device cuda") && error.contains("use --device cpu"), "{error}");
    let error = fail(1, &["train", "--resume", text(&path), "--device", "cpu", "--cuda-graph"]);
    assert!(error.contains("--cuda-graph: training is on the CPU"), "{error}");
    let error = fail(2, &["train", "--resume", text(&path), "--device", "cpu", "--lr", "0.1"]);
    assert!(error.contains("--lr is given with --resume") && !error.contains("--device is"), "{error}");
    let output = run(&["train", "--resume", text(&path), "--device", "cpu"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("begun on Cuda(0) and goes on on Cpu"), "{said}");
    let run_json = json(&path.join("run.json"));
    assert_eq!((&run_json["device"], &run_json["resumed"][0]["device"]), (&"Cpu".into(), &"Cpu".into()));
    assert!(run_json["resumed"][0]["place"].as_str().unwrap().contains("on Cpu instead of Cuda(0)"), "{run_json}");
    succeed(&["verify", text(&path)]);
}

#[test]
fn a_finished_run_of_a_gpu_is_of_use_without_one() {
    let copy = copied(&finished().run);
    of_a_gpu(&copy);
    let sequences = tables().folder.write("of_gpu.fa", format!(">a\n{}\n", "ACGT".repeat(LENGTH)));
    succeed(&["verify", text(&copy)]);
    succeed(&["predict", text(&copy), &sequences]);
    succeed(&["evaluate", text(&copy), "--quiet"]);
    succeed(&["export", text(&copy), "--out", text(&copy.with_extension("pt"))]);
}
