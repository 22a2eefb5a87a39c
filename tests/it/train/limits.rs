//! Training that a limit or a batch system ends, and runs that are given more epochs.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::fixtures::{
    column, contents, copied, fail, interrupted, json, long_run, outcome, run, signal, start, succeed, tables, text,
    trained, wait, wait_for,
};

const FLAGS: [&str; 6] = ["--epochs", "400", "--patience", "8", "--batch-size", "16"];

#[test]
fn a_run_out_of_time_ends_with_a_checkpoint_and_75_until_it_is_done() {
    let whole = tables().new_path();
    let flags = ["--epochs", "6", "--batch-size", "32"];
    assert!(wait(start(&long_run(&whole, &flags))).0.success());
    let path = tables().new_path();
    let mut arguments = long_run(&path, &[&flags[..], &["--max-minutes", "0.00001"]].concat());
    let mut tries = 0;
    loop {
        let (status, said) = wait(start(&arguments));
        tries += 1;
        if status.success() {
            break;
        }
        assert_eq!(status.code(), Some(75), "{said}");
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("stopped ") && last.contains("--max-minutes") && last.contains("resumable"), "{said}");
        assert!(last.ends_with(&format!("strandnet train --resume {}", path.display())), "{said}");
        // Once is enough to see that it takes several tries; then the rest at a stretch.
        let limit = if tries < 3 { "0.00001" } else { "100" };
        arguments = ["train", "--quiet", "--resume", text(&path), "--max-minutes", limit].map(str::to_owned).into();
    }
    assert_eq!(tries, 4);
    assert!(outcome(&whole) == outcome(&path));
    for wrong in ["0", "-1", "nan", "1e9"] {
        let error = fail(2, &["train", "--out", "never", &format!("--max-minutes={wrong}")]);
        assert!(error.contains("--max-minutes is ") && error.contains("more than 0"), "{error}");
    }
}

#[test]
fn a_search_out_of_time_is_gone_on_with_by_the_same_command() {
    let out = tables().new_path();
    let own =
        ["tune", "--train", &tables().binary, "--arch", "shallow", "--epochs", "1", "--trials", "3", "--rungs", "1"];
    let more = ["--threads", "1", "--quiet", "--out", text(&out), "--max-minutes"];
    let run = |minutes: &str| run(&[&own[..], &more, &[minutes]].concat());
    for done in 1..3 {
        let output = run("0.00001");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(75), "{said}");
        assert!(said.contains(&format!("stopped after {done} trials")) && said.contains("resumable"), "{said}");
        assert_eq!(column(&out.join("trials.csv"), b',', "trial").len(), done);
    }
    let output = run("0.00001");
    assert!(output.status.success(), "the last trial is trained: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn usr1_and_hup_end_training_as_term_does() {
    // Programs inherit that a signal is ignored, as where the tests run under nohup.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t"));
    let hup_is_ignored = ignored.is_some_and(|mask| u64::from_str_radix(mask, 16).unwrap() & 1 == 1);
    for (name, code) in [("USR1", 138), ("HUP", 129)].into_iter().filter(|(name, _)| *name != "HUP" || !hup_is_ignored)
    {
        let (path, status, said) = interrupted(&FLAGS, name);
        assert_eq!(status.code(), Some(code), "{said}");
        assert!(said.lines().last().unwrap().ends_with(&format!("--resume {}", path.display())), "{said}");
        assert!(path.join("last.safetensors").is_file() && !path.join("metrics.json").exists());
    }
}

#[test]
fn hup_stays_ignored_under_nohup() {
    let path = tables().new_path();
    let words = long_run(&path, &FLAGS);
    let mut child = Command::new("nohup")
        .arg(env!("CARGO_BIN_EXE_strandnet"))
        .args(&words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(wait_for(&mut child, &path.join("previous.safetensors")));
    signal(&child, "HUP");
    std::thread::sleep(std::time::Duration::from_millis(50));
    signal(&child, "TERM");
    let (status, said) = wait(child);
    assert_eq!(status.code(), Some(143), "it went on until it was told to end: {said}");
}

/// `train --resume RUN --epochs N`; returns standard error.
fn extend(path: &Path, epochs: &str) -> String {
    let output = run(&["train", "--resume", text(path), "--epochs", epochs]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn with_a_constant_rate_more_epochs_come_to_what_as_many_from_the_start_do() {
    for schedule in ["constant", "plateau"] {
        let flags =
            |epochs: &'static str| ["--epochs", epochs, "--schedule", schedule, "--batch-size", "32", "--lr", "0.003"];
        let (short, long) = (trained(&flags("2")), trained(&flags("5")));
        let said = extend(&short.path, "5");
        assert!(said.contains("2 epochs become 5") && said.contains("from the start comes to"), "{said}");
        assert!(outcome(&short.path) == outcome(&long.path), "{schedule}");
        assert_eq!(short.json("metrics.json"), long.json("metrics.json"));
        assert_eq!(short.history("train_loss"), long.history("train_loss"));
        let about = short.json("run.json");
        assert_eq!(about["config"]["training"]["epochs"], 5);
        assert_eq!(about["resumed"][0]["epochs"], 5);
        assert!(std::fs::read_to_string(short.file("config.toml")).unwrap().contains("epochs = 5\n"));
        succeed(&["verify", "--quiet", text(&short.path)]);
        assert!(std::fs::read_to_string(short.file("report.html")).unwrap().contains("to 5 epochs"));
    }
}

#[test]
fn with_a_cosine_more_epochs_go_on_at_the_rate_of_the_longer_one_and_it_is_said() {
    let run = trained(&["--epochs", "2", "--schedule", "cosine"]);
    let said = extend(&run.path, "4");
    assert!(said.contains("not the same as training 4 epochs from the start"), "{said}");
    let rates = run.history("learning_rate");
    assert_eq!(rates.len(), 4);
    assert!(rates[2] > rates[1], "{rates:?}");
    succeed(&["verify", "--quiet", text(&run.path)]);
}

#[test]
fn an_extension_that_is_stopped_goes_on() {
    let path = trained(&["--epochs", "2", "--schedule", "constant", "--batch-size", "32"]).path;
    let whole = copied(&path);
    extend(&whole, "5");
    let output = run(&["train", "--resume", text(&path), "--epochs", "5", "--max-minutes", "0.00001"]);
    assert_eq!(output.status.code(), Some(75), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fail(1, &["predict", text(&path), &tables().binary]).contains("did not finish"));
    succeed(&["train", "--quiet", "--resume", text(&path)]);
    assert!(outcome(&path) == outcome(&whole));
}

#[test]
fn runs_that_cannot_be_extended_say_why_and_stay_as_they_are() {
    let short = ["--epochs", "2"];
    let one_cycle = trained(&[&short[..], &["--schedule", "one-cycle"]].concat());
    let ensemble = trained(&[&short[..], &["--ensemble", "2"]].concat());
    let stopped = trained(&["--epochs", "9", "--patience", "1", "--lr", "1e-7", "--schedule", "constant"]);
    let plain = trained(&short);
    assert!(stopped.history("epoch").len() < 9);
    for (run, epochs, part) in [
        (&one_cycle, "4", "one-cycle"),
        (&ensemble, "4", "ensemble"),
        (&stopped, "20", "was stopped after epoch"),
        (&plain, "1", "--epochs is 1, expected more than the 2"),
        (&plain, "2", "--epochs is 2, expected more than the 2"),
    ] {
        let before = contents(&run.path);
        let error = fail(2, &["train", "--resume", text(&run.path), "--epochs", epochs]);
        assert!(error.contains(part), "{error}");
        assert!(contents(&run.path) == before, "{part}");
    }
    let error = fail(2, &["train", "--resume", text(&plain.path), "--epochs", "4", "--lr", "0.1"]);
    assert!(error.contains("--lr is given with --resume"), "{error}");
    std::fs::remove_file(plain.file("last.safetensors")).unwrap();
    let error = fail(1, &["train", "--resume", text(&plain.path), "--epochs", "4"]);
    assert!(error.contains("last.safetensors: is gone"), "{error}");
    assert!(json(&plain.file("metrics.json")).is_object());
}
