//! Searching for settings: the same search twice, cut short, refused, and what comes of it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::fixtures::{Genomes, column, fail, genomes, json, run, strandnet, succeed, text};

/// Flags that make a search short.
const SHORT: [&str; 13] = [
    "--fragments",
    "400",
    "--valid-fragments",
    "200",
    "--test-fragments",
    "2",
    "--length",
    "60",
    "--epochs",
    "2",
    "--threads",
    "1",
    "--quiet",
];

const SEARCH: &str = "[model]\narch = \"shallow\"\n[search]\nlr = { low = 1e-3, high = 1e-2, scale = \"log\" }\n\
                      batch_size = [32, 64]\ndropout = { low = 0, high = 0.3 }\n";

struct Search {
    genomes: Genomes,
    config: PathBuf,
}

/// A search over two small genomes.
fn search(toml: &str) -> Search {
    let genomes = genomes();
    let config = genomes.path("search.toml");
    let search = Search { genomes, config };
    search.rewrite(toml);
    search
}

impl Search {
    fn rewrite(&self, toml: &str) {
        let data = "[data]\ngenome = [\"human=human.fa\", \"mouse=mouse.fa\"]\n\
                    train_chroms = [\"1\", \"2\"]\nvalid_chroms = [\"3\"]\ntest_chroms = [\"X\"]\n";
        std::fs::write(&self.config, format!("{data}{toml}")).unwrap();
    }

    fn out(&self, name: &str) -> PathBuf {
        self.genomes.path(name)
    }

    fn arguments<'a>(&'a self, out: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
        [&["tune", text(&self.config), "--out", text(out)], &SHORT[..], more].concat()
    }
}

/// `trials.csv` without the column of seconds.
fn trials(folder: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(folder.join("trials.csv")).unwrap();
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let seconds = header.iter().position(|name| name == "seconds").unwrap();
    let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect());
    let mut rows: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    rows.iter_mut().for_each(|row| drop(row.remove(seconds)));
    rows
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_search_killed_and_taken_up_again_comes_to_what_it_would_have() {
    let search = search(SEARCH);
    let (whole, cut) = (search.out("whole"), search.out("cut"));
    let printed = succeed(&search.arguments(&whole, &["--trials", "6"]));
    assert!(printed.contains("valid AUROC") && printed.contains("next: strandnet train"), "{printed}");
    let expected = trials(&whole);
    let names = ["trial", "rung", "epochs", "lr", "batch_size", "dropout", "metric", "score", "best_epoch", "outcome"];
    assert_eq!(expected[0], names);
    // Six trials of one epoch, the better two of them of two.
    assert_eq!(expected.len(), 1 + 6 + 2);
    assert_eq!(column(&whole.join("trials.csv"), b',', "epochs")[6..], ["2", "2"]);
    assert_eq!(files(&whole), ["best.toml", "knobs.png", "knobs.svg", "trials.csv", "tune.json"]);
    assert_eq!(json(&whole.join("tune.json"))["trials"], 6);

    // SIGKILL as soon as some trials are there, twice, then to the end.
    for rows in [2, 5] {
        let arguments = search.arguments(&cut, &["--trials", "6"]);
        let mut child = strandnet().args(arguments).stdout(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        let enough = || std::fs::read_to_string(cut.join("trials.csv")).is_ok_and(|text| text.lines().count() > rows);
        while !enough() && child.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    succeed(&search.arguments(&cut, &["--trials", "6"]));
    assert_eq!(trials(&cut), expected);
    assert_eq!(files(&cut), files(&whole));
    let best = |folder: &Path| std::fs::read_to_string(folder.join("best.toml")).unwrap();
    assert_eq!(best(&cut), best(&whole));

    // A finished search trains nothing more; another one is told from it; --force starts anew.
    let before = std::fs::read(whole.join("trials.csv")).unwrap();
    assert_eq!(succeed(&search.arguments(&whole, &["--trials", "6"])), printed);
    assert_eq!(std::fs::read(whole.join("trials.csv")).unwrap(), before);
    // One that was stopped between its last row and what it came to makes good for it.
    std::fs::remove_file(whole.join("best.toml")).unwrap();
    std::fs::remove_file(whole.join("knobs.png")).unwrap();
    succeed(&search.arguments(&whole, &["--trials", "6"]));
    assert_eq!(files(&whole), files(&cut));
    let error = fail(1, &search.arguments(&whole, &["--trials", "3", "--seed", "2"]));
    assert!(error.contains("trials was 6, is 3") && error.contains("--force"), "{error}");
    for (damaged, part) in [("trial,rung\n", "line 1"), ("", "line 1"), (&best(&whole), "line 1")] {
        std::fs::write(whole.join("trials.csv"), damaged).unwrap();
        assert!(fail(1, &search.arguments(&whole, &["--trials", "6"])).contains(part));
    }
    std::fs::write(whole.join("trials.csv"), &before[..before.len() - 9]).unwrap();
    assert!(fail(1, &search.arguments(&whole, &["--trials", "6"])).contains("trials.csv: the last line is cut short"));
    succeed(&search.arguments(&whole, &["--trials", "1", "--force"]));
    assert_eq!(trials(&whole).len(), 2);

    // The best settings are an experiment of their own.
    let run = search.out("run");
    succeed(&["train", text(&cut.join("best.toml")), "--out", text(&run), "--quiet"]);
    let config = &json(&run.join("run.json"))["config"];
    let score = |row: &Vec<String>| row[7].parse::<f64>().unwrap();
    let row = expected[1..].iter().filter(|row| row[1] == "2").max_by(|a, b| score(a).total_cmp(&score(b))).unwrap();
    assert_eq!(config["training"]["lr"].to_string(), row[3]);
    assert_eq!(config["training"]["epochs"], 2);
    // And trained alone they score as they did in the search.
    let scores = column(&run.join("history.csv"), b',', "valid_auroc");
    assert!(scores.contains(&row[7]), "{scores:?} {row:?}");
}

#[test]
fn trials_that_fail_are_recorded_and_do_not_stop_the_others() {
    let search = search("[model]\narch = \"shallow\"\n[search]\nlr = [0.001, 1e30]\nlength = [50, 60]\n");
    let out = search.out("out");
    let mut arguments = search.arguments(&out, &["--trials", "8", "--rungs", "1", "--epochs", "1"]);
    let length = arguments.iter().position(|word| *word == "--length").unwrap();
    arguments.drain(length..length + 2);
    let printed = succeed(&arguments);
    let outcomes = column(&out.join("trials.csv"), b',', "outcome");
    let rates = column(&out.join("trials.csv"), b',', "lr");
    for (outcome, rate) in outcomes.iter().zip(&rates) {
        assert_eq!(outcome == "done", rate == "0.001", "{outcome} at {rate}");
        assert!(outcome == "done" || outcome.starts_with("failed: "), "{outcome}");
    }
    assert!(outcomes.iter().any(|outcome| outcome != "done"), "{outcomes:?}");
    assert!(printed.contains("trainings failed"), "{printed}");
    assert!(std::fs::read_to_string(out.join("best.toml")).unwrap().contains("lr = 0.001"));

    let hopeless = self::search("[search]\nlr = [1e30]\n");
    let out = hopeless.out("out");
    let error = fail(1, &hopeless.arguments(&out, &["--trials", "2", "--arch", "shallow"]));
    assert!(error.contains("all 2 trials failed, the first because"), "{error}");
}

#[test]
fn trials_are_compared_on_the_same_validation_and_losses_are_shown_as_they_are() {
    let search = search("[model]\narch = \"shallow\"\n[search]\nfragments = [120, 240]\n");
    let out = search.out("out");
    let mut arguments =
        search.arguments(&out, &["--trials", "4", "--rungs", "1", "--epochs", "1", "--monitor", "loss"]);
    for flag in ["--fragments", "--valid-fragments"] {
        let place = arguments.iter().position(|word| *word == flag).unwrap();
        arguments.drain(place..place + 2);
    }
    let printed = succeed(&arguments);
    let score: f64 = printed.lines().nth(1).unwrap().split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!(printed.contains("valid loss") && score > 0.0, "{printed}");
    // A sixth of the 30,000 fragments that the search itself is for, whatever a trial trains on.
    assert!(std::fs::read_to_string(out.join("best.toml")).unwrap().contains("valid_fragments = 5000"));

    search.rewrite("[search]\nclass_weights = [\"none\", \"auto\"]\n");
    let error = fail(2, &search.arguments(&search.out("none"), &["--monitor", "loss"]));
    assert!(error.contains("search.class_weights"), "{error}");
}

#[test]
fn everything_wrong_with_a_search_is_told_at_once() {
    let search = search(
        "[search]\nlearning_rate = [1, 2]\nlr = { low = 1, high = 0.1 }\ndropout = { low = 0, high = 2 }\nepochs = [3]\narch = [\"huge\"]\n",
    );
    let out = search.out("out");
    let error = fail(2, &search.arguments(&out, &[]));
    for part in ["no setting 'learning_rate'", "low below high", "successive halving", "unknown variant `huge`"] {
        assert!(error.contains(part), "'{part}' is missing from: {error}");
    }
    search.rewrite("[search]\ndropout = { low = 0, high = 2 }\nlr = [0.1, -1]\n");
    let error = fail(2, &search.arguments(&out, &[]));
    assert!(error.contains("search.dropout: --dropout is 2") && error.contains("search.lr: --lr is -1"), "{error}");
    let error = fail(2, &search.arguments(&out, &["--lr", "0.1", "--dropout", "0.1"]));
    assert!(error.contains("every setting to search is given by a flag"), "{error}");
    assert!(!out.exists(), "nothing is left behind");
    // The same words as for train.
    assert!(fail(2, &search.arguments(&out, &["--epochs", "0"])).contains("--epochs is 0"));
}

#[test]
fn flags_win_over_the_search_and_train_says_that_it_is_not_for_it() {
    let search = search(SEARCH);
    let out = search.out("out");
    let mut arguments = search.arguments(&out, &["--trials", "2", "--dropout", "0.1"]);
    arguments.retain(|word| *word != "--quiet");
    let output = run(&arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("--dropout is given, so it is not searched"), "{said}");
    assert!(said.contains("trial   2"), "{said}");
    assert!(!trials(&out)[0].contains(&"dropout".to_owned()));
    assert!(std::fs::read_to_string(out.join("best.toml")).unwrap().contains("dropout = 0.1"));

    let out = search.out("run");
    let mut arguments = search.arguments(&out, &[]);
    arguments[0] = "train";
    arguments.retain(|word| *word != "--quiet");
    let output = run(&arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("[search] is for tune"), "{said}");
}

#[test]
fn processes_share_a_search_and_come_to_what_one_would_have_although_some_are_killed() {
    let search = search(SEARCH);
    let (whole, out) = (search.out("whole"), search.out("out"));
    succeed(&search.arguments(&whole, &["--trials", "12"]));
    let spawn = |more: &[&str]| {
        let arguments = search.arguments(&out, &[&["--trials", "12"], more].concat());
        strandnet().args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let rows = || std::fs::read_to_string(out.join("trials.csv")).map_or(0, |text| text.lines().count());
    let wait_for = |enough: &dyn Fn() -> bool| {
        let started = Instant::now();
        while !enough() {
            assert!(started.elapsed() < Duration::from_secs(120));
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    // The worker is there first, and waits; the second takes part in what the first begins.
    let mut processes = [spawn(&["--worker"]), spawn(&[]), spawn(&[])];
    for (victim, enough) in [(1, 3), (0, 6)] {
        wait_for(&|| rows() > enough);
        processes[victim].kill().unwrap();
        processes[victim].wait().unwrap();
        processes[victim] = spawn(&["--worker"]);
    }
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(trials(&out), trials(&whole));
    assert_eq!(files(&out), files(&whole));
    let best = |folder: &Path| std::fs::read_to_string(folder.join("best.toml")).unwrap();
    assert_eq!(best(&out), best(&whole));
}

#[test]
fn a_worker_waits_for_a_search_and_begins_none() {
    let search = search(SEARCH);
    let out = search.out("out");
    let mut worker = strandnet().args(search.arguments(&out, &["--worker"])).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(worker.try_wait().unwrap().is_none() && !out.exists());
    worker.kill().unwrap();
    worker.wait().unwrap();
    let mut without: Vec<&str> = search.arguments(&out, &["--worker"]);
    without.retain(|word| *word != "--out" && *word != text(&out));
    assert!(fail(2, &without).contains("required arguments"));
}

#[test]
fn nobody_starts_a_search_over_while_others_are_at_it() {
    let search = search(SEARCH);
    let out = search.out("out");
    let long = search.arguments(&out, &["--trials", "500"]);
    let mut child = strandnet().args(&long).stdout(Stdio::null()).spawn().unwrap();
    while !out.join("trials.csv").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let error = fail(1, &[&long[..], &["--force"]].concat());
    assert!(error.contains("another strandnet process is using"), "{error}");
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
    succeed(&search.arguments(&out, &["--trials", "1", "--force"]));
    assert_eq!(trials(&out).len(), 2);
    assert_eq!(files(&out), ["best.toml", "knobs.png", "knobs.svg", "trials.csv", "tune.json"]);
}

#[test]
fn a_learning_rate_is_found_where_training_falls_apart() {
    let search = search("");
    let out = search.out("rates");
    let flags = ["--find-lr", "--arch", "shallow", "--batch-size", "64", "--steps", "100", "--from", "1e-5"];
    let printed = succeed(&search.arguments(&out, &flags));
    assert!(printed.contains("suggested: --lr "), "{printed}");
    let rates: Vec<f64> = column(&out.join("lr.csv"), b',', "rate").iter().map(|rate| rate.parse().unwrap()).collect();
    assert!(rates[0] == 1e-5 && rates.windows(2).all(|two| two[0] < two[1]), "{rates:?}");
    assert_eq!(files(&out), ["lr.csv", "lr.png", "lr.svg"]);
    let again = |more: &[&str]| fail(2, &[&search.arguments(&search.out("none"), &flags)[..], more].concat());
    assert!(again(&["--to", "1e-9"]).contains("--from is 0.00001 and --to is"));
    assert!(fail(1, &search.arguments(&out, &flags)).contains("--force"));
    assert_eq!(succeed(&search.arguments(&out, &[&flags[..], &["--force"]].concat())), printed);
    assert!(
        fail(2, &search.arguments(&search.out("none"), &[&flags[..], &["--accumulate", "2"]].concat()))
            .contains("--accumulate is 2")
    );
    assert_eq!(run(&["tune", "--find-lr", "--trials", "3"]).status.code(), Some(2));
    assert_eq!(run(&["tune", "--steps", "30"]).status.code(), Some(2));
}
