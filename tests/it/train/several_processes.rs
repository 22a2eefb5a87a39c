//! Several processes that train one network: the bytes of one that accumulates, whoever starts them, and what each says where one of
//! them is killed, missing or about something else.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::fixtures::{
    Folder, SMALL_RESIDUAL, column, fail, genomes, json, outcome, run, signal, strandnet, succeed, tables, text, wait,
    wait_for, with_defaults,
};

/// A port that nobody listens at.
fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// The variables by which a launcher tells a process who it is.
struct Launcher {
    rank: &'static str,
    size: &'static str,
    local_rank: &'static str,
    others: &'static [(&'static str, &'static str)],
}

const TORCHRUN: Launcher = Launcher { rank: "RANK", size: "WORLD_SIZE", local_rank: "LOCAL_RANK", others: &[] };
const LAUNCHERS: [Launcher; 3] = [
    TORCHRUN,
    Launcher {
        rank: "SLURM_PROCID",
        size: "SLURM_NTASKS",
        local_rank: "SLURM_LOCALID",
        others: &[("SLURM_JOB_ID", "77"), ("SLURM_STEP_ID", "0")],
    },
    Launcher {
        rank: "OMPI_COMM_WORLD_RANK",
        size: "OMPI_COMM_WORLD_SIZE",
        local_rank: "OMPI_COMM_WORLD_LOCAL_RANK",
        others: &[("OMPI_COMM_WORLD_LOCAL_SIZE", "2")],
    },
];

/// Starts process `rank` of two, as a launcher does.
fn process(launcher: &Launcher, rank: usize, port: &str, arguments: &[&str]) -> Child {
    let mut command = strandnet();
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    command.env(launcher.rank, rank.to_string()).env(launcher.size, "2").env(launcher.local_rank, rank.to_string());
    command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port).envs(launcher.others.iter().copied());
    command.spawn().unwrap()
}

/// Starts two processes with arguments of their own.
fn two(arguments: [&[&str]; 2]) -> [Child; 2] {
    let port = free_port();
    [0, 1].map(|rank| process(&TORCHRUN, rank, &port, arguments[rank]))
}

/// How both end.
fn ends(children: [Child; 2]) -> [(ExitStatus, String); 2] {
    children.map(wait)
}

/// The only error that a process says.
fn error(said: &str) -> &str {
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{said}");
    assert!(!said.contains("panicked") && !said.contains("c10d"), "{said}");
    errors[0]
}

/// Trains on two classes, and returns the run.
fn train(flags: &[&str]) -> PathBuf {
    let path = tables().new_path();
    succeed(&arguments(&path, flags));
    path
}

fn arguments<'a>(path: &'a Path, flags: &[&'a str]) -> Vec<&'a str> {
    let data: &[&str] = if flags.contains(&"--train") { &[] } else { &["--train", &tables().binary] };
    [&["train", "--quiet", "--out", text(path)], data, &with_defaults(flags)].concat()
}

/// Two runs came to the same, to the last byte.
fn assert_same(one: &Path, other: &Path, what: &str) {
    assert!(outcome(one) == outcome(other), "{what}");
    for name in ["epoch", "train_loss", "valid_loss", "learning_rate"] {
        let of = |run: &Path| column(&run.join("history.csv"), b',', name);
        assert_eq!(of(one), of(other), "{what}: {name}");
    }
    assert_eq!(json(&one.join("metrics.json")), json(&other.join("metrics.json")), "{what}");
}

/// 180 training examples: the last batch of 64 holds 52, so that the parts of both processes are short or one has none.
#[test]
fn two_processes_come_to_the_bytes_of_one_that_accumulates() {
    let questions = tables().questions();
    let of = |question: usize| &questions[question].1[..];
    let small = &SMALL_RESIDUAL[..6];
    for (what, flags) in [
        ("the fused step", &["--dropout", "0.3", "--shift", "3"][..]),
        ("batch norm", small),
        ("several classes", &[of(1), small, &["--strands", "single", "--ema", "0.9"]].concat()),
        ("labels", &[of(2), &["--mutate", "0.1", "--strands", "shared"]].concat()),
        ("values", &[of(3), small, &["--clip-norm", "0.5", "--schedule", "plateau"]].concat()),
        ("an ensemble", &[small, &["--ensemble", "2", "--optimizer", "sgd", "--lr", "0.05"]].concat()),
        ("an LSTM", &["--arch", "danq", "--filters", "8"]),
    ] {
        let one = train(&[flags, &["--batch-size", "32", "--accumulate", "2"]].concat());
        let two = train(&[flags, &["--batch-size", "64", "--processes", "2"]].concat());
        assert_same(&one, &two, what);
        assert_eq!(json(&two.join("run.json"))["processes"], 2);
        assert!(json(&one.join("run.json")).get("processes").is_none());
    }
}

#[test]
fn windows_drawn_anew_are_shared_too() {
    let genomes = genomes();
    let flags: Vec<String> = genomes.flags();
    let mut flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    flags.extend([
        "--arch",
        "shallow",
        "--fragments",
        "410",
        "--test-fragments",
        "100",
        "--epochs",
        "2",
        "--threads",
        "1",
    ]);
    flags.extend(["--resample", "--train-chroms", "1,2", "--test-chroms", "chrX", "--quiet"]);
    let (one, two) = (genomes.path("one"), genomes.path("two"));
    for (out, batches) in
        [(&one, ["--batch-size", "50", "--accumulate", "2"]), (&two, ["--batch-size", "100", "--processes", "2"])]
    {
        succeed(&[&["train", "--out", text(out)], &flags[..], &batches].concat());
    }
    assert_same(&one, &two, "windows drawn anew");
}

#[test]
fn the_variables_of_every_launcher_start_them() {
    let flags = [&SMALL_RESIDUAL[..6], &["--epochs", "1"]].concat();
    let one = train(&[&flags[..], &["--batch-size", "32", "--accumulate", "2"]].concat());
    let flags = [&flags[..], &["--batch-size", "64"]].concat();
    for launcher in LAUNCHERS {
        let (path, port) = (tables().new_path(), free_port());
        let arguments = arguments(&path, &flags);
        for (status, said) in ends([0, 1].map(|rank| process(&launcher, rank, &port, &arguments))) {
            assert!(status.success(), "{}: {said}", launcher.rank);
        }
        assert_same(&one, &path, launcher.rank);
    }
}

/// Of more than two the order of a sum is c10d's.
#[test]
fn four_processes_come_to_nearly_the_same_and_always_to_the_same_bytes() {
    let flags = [&SMALL_RESIDUAL[..6], &["--epochs", "1", "--dropout", "0.2"]].concat();
    let one = train(&[&flags[..], &["--batch-size", "16", "--accumulate", "4"]].concat());
    let [four, again] = [(); 2].map(|()| train(&[&flags[..], &["--batch-size", "64", "--processes", "4"]].concat()));
    assert_same(&four, &again, "again");
    let loss = |run: &Path| column(&run.join("history.csv"), b',', "train_loss")[0].parse::<f64>().unwrap();
    assert!((loss(&one) - loss(&four)).abs() < 1e-6 * loss(&one), "{} and {}", loss(&one), loss(&four));
}

#[test]
fn a_run_whose_process_is_killed_says_so_everywhere_and_goes_on_in_any_number() {
    let flags = [&SMALL_RESIDUAL[..6], &["--epochs", "40", "--batch-size", "16"]].concat();
    let whole = train(&[&flags[..], &["--processes", "2"]].concat());
    for killed in [0, 1] {
        let path = tables().new_path();
        let arguments = [&arguments(&path, &flags)[..], &["--checkpoint-minutes", "0"]].concat();
        let [mut first, mut second] = two([&arguments, &arguments]);
        assert!(wait_for(&mut first, &path.join("previous.safetensors")));
        if killed == 0 { first.kill() } else { second.kill() }.unwrap();
        let began = Instant::now();
        let ended = ends([first, second]);
        assert!(began.elapsed() < Duration::from_secs(20), "the other waited");
        let (status, said) = &ended[1 - killed];
        assert_eq!(status.code(), Some(1), "{said}");
        let (error, rank) = (error(said), 1 - killed);
        assert!(
            error.starts_with(&format!("error: process {rank} of 2 lost the others, as one of them ended")),
            "{error}"
        );
        assert!(error.ends_with(&format!("resume with: strandnet train --resume {}", path.display())), "{error}");
        // In the same number to the same bytes; in another it ends too.
        let others: &[&str] = if killed == 0 { &["1", "4"] } else { &["2"] };
        for &processes in others.iter().chain(&["2"]) {
            let copy = crate::fixtures::copied(&path);
            succeed(&["train", "--quiet", "--resume", text(&copy), "--processes", processes]);
            if processes == "2" {
                assert_same(&whole, &copy, "killed and gone on with");
            } else {
                assert!(copy.join("metrics.json").is_file());
                let resumed = &json(&copy.join("run.json"))["resumed"][0]["place"];
                assert!(resumed.as_str().unwrap().contains("instead of 2"), "{resumed}");
            }
        }
    }
}

#[test]
fn a_signal_to_one_of_them_stops_all_after_the_same_step() {
    let flags = ["--epochs", "400", "--patience", "8", "--batch-size", "16"];
    let whole = train(&[&flags[..], &["--processes", "2"]].concat());
    // To the one that started them, and to a process that does not write.
    for direct in [false, true] {
        let path = tables().new_path();
        let arguments = arguments(&path, &flags);
        let said = if direct {
            let [mut first, second] = two([&arguments, &arguments]);
            assert!(wait_for(&mut first, &path.join("last.safetensors")));
            signal(&second, "TERM");
            let [(first, said), (second, nothing)] = ends([first, second]);
            assert_eq!((first.code(), second.code()), (Some(143), Some(143)), "{said}{nothing}");
            assert!(nothing.is_empty(), "{nothing}");
            said
        } else {
            let mut command = strandnet();
            command.args(&arguments).args(["--processes", "2"]).stdout(Stdio::null()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            assert!(wait_for(&mut child, &path.join("last.safetensors")));
            signal(&child, "TERM");
            let (status, said) = wait(child);
            assert_eq!(status.code(), Some(143), "{said}");
            said
        };
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("stopped ") && last.ends_with(&format!("--resume {}", path.display())), "{said}");
        succeed(&["train", "--quiet", "--resume", text(&path), "--processes", "2"]);
        assert_same(&whole, &path, "stopped and gone on with");
        // There is nothing more to do, in any number.
        let printed = succeed(&["train", "--quiet", "--resume", text(&path), "--processes", "4"]);
        assert_eq!(printed, format!("{}\n", path.display()));
    }
}

#[test]
fn who_does_not_answer_is_given_up_after_a_time() {
    let path = tables().new_path();
    let flags = ["--epochs", "100000", "--batch-size", "16", "--timeout", "5"];
    let arguments = arguments(&path, &flags);
    let [mut first, second] = two([&arguments, &arguments]);
    assert!(wait_for(&mut first, &path.join("last.safetensors")));
    signal(&second, "STOP");
    let (status, said) = wait(first);
    signal(&second, "CONT");
    let (other, beside) = wait(second);
    assert_eq!((status.code(), other.code()), (Some(1), Some(1)), "{said}{beside}");
    assert!(error(&said).contains("did not answer for 5 s (--timeout)"), "{said}");
    assert!(error(&beside).contains("process 1 of 2 lost the others"), "{beside}");
}

#[test]
fn a_process_that_is_about_something_else_is_named_by_all() {
    let folder = Folder::new();
    let rows = std::fs::read_to_string(&tables().binary).unwrap();
    let changed = folder.write("changed.csv", rows.replacen('A', "C", 1));
    let more = folder.write("more.csv", format!("{rows}{},rich\n", "CG".repeat(30)));
    for (other, said) in [
        (
            &["--lr", "0.5"][..],
            "process 1 of 2 has lr 0.5, expected 0.001 as process 0 has; start all with the same settings",
        ),
        (&["--filters", "7"], "process 1 of 2 has filters 7, expected null as process 0 has"),
        (&["--threads", "2"], "process 1 of 2 has 2 threads, expected 1 as process 0 has; give all the same --threads"),
        (&["--train", &changed], "process 1 of 2 has other data: "),
        (&["--train", &more], "process 1 of 2 has other data: "),
    ] {
        let path = tables().new_path();
        let (own, unused) = (arguments(&path, &[]), tables().new_path());
        for ended in ends(two([&own, &arguments(&unused, other)])) {
            let (status, error) = (ended.0.code(), error(&ended.1));
            assert!(status == Some(1) && error.starts_with(&format!("error: {said}")), "{error}");
        }
        assert!(!path.exists() && !unused.exists(), "nothing is left behind");
    }
}

#[test]
fn who_is_missing_twice_there_or_ends_early_is_named() {
    let path = tables().new_path();
    let own = arguments(&path, &["--timeout", "2"]);
    let port = free_port();
    for (rank, expected) in [(0, "process 1 of 2 did not come within 2 s"), (1, "found nobody at 127.0.0.1:")] {
        let (status, said) = wait(process(&TORCHRUN, rank, &port, &own));
        assert!(status.code() == Some(1) && error(&said).contains(expected), "{said}");
    }
    // The other cannot read its data. Nobody waits for long, and a busy machine may take long to start a process.
    let own = arguments(&path, &["--timeout", "30"]);
    let missing = arguments(&path, &["--train", "nowhere.csv", "--timeout", "30"]);
    let [(first, said), (second, beside)] = ends(two([&own, &missing]));
    assert_eq!((first.code(), second.code()), (Some(1), Some(1)), "{said}{beside}");
    assert!(error(&beside).contains("nowhere.csv"), "{beside}");
    assert!(error(&said).contains("process 1 of 2 ended before training; see what it says"), "{said}");
    let [(first, said), (second, beside)] = ends(two([&missing, &own]));
    assert_eq!((first.code(), second.code()), (Some(1), Some(1)), "{said}{beside}");
    assert!(error(&beside).contains("process 0 of 2") || error(&beside).contains("lost the others"), "{beside}");
    assert!(!path.exists());
    // Whoever comes second with a number.
    let (port, own) = (free_port(), arguments(&path, &["--timeout", "5"]));
    let [a, b] = [0, 0].map(|rank| process(&TORCHRUN, rank, &port, &own));
    let said = ends([a, b]).map(|(status, said)| (status.code(), error(&said).to_owned()));
    assert!(said.iter().all(|(code, _)| *code == Some(1)));
    assert!(said.iter().any(|(_, error)| error.contains("cannot listen at 127.0.0.1:")), "{said:?}");
}

#[test]
fn what_several_processes_cannot_do_is_refused_before_they_start() {
    let path = tables().new_path();
    let refused = |flags: &[&str]| fail(2, &arguments(&path, &[flags, &["--processes", "3"]].concat()));
    let error = refused(&["--batch-size", "64"]);
    assert!(error.contains("--batch-size is 64, expected a multiple of 3"), "{error}");
    let error = refused(&["--batch-size", "auto"]);
    assert!(error.contains("--batch-size is auto, expected a number for several processes"), "{error}");
    let error = refused(&["--batch-size", "63", "--train", "-"]);
    assert!(error.contains("-: is a pipe or standard input, expected a file"), "{error}");
    let output = strandnet()
        .args(arguments(&path, &["--processes", "3"]))
        .envs([("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "1")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--processes is 3, and 2 were started"));
    assert_eq!(run(&arguments(&path, &["--processes", "0"])).status.code(), Some(2));
    assert!(!path.exists());
}
