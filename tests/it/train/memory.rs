//! Memory: batches that cannot fit are refused before training, and genomes are not held.

use std::time::{Duration, Instant};

use crate::fixtures::{Folder, bases_of_gc, fail, genomes, text};

/// A network of which a batch of 20,000 takes terabytes.
const HUGE: [&str; 22] = [
    "--train-chroms",
    "1,2",
    "--valid-chroms",
    "3",
    "--test-chroms",
    "X",
    "--length",
    "2000",
    "--fragments",
    "20000",
    "--test-fragments",
    "100",
    "--filters",
    "1024",
    "--depth",
    "32",
    "--strands",
    "shared",
    "--device",
    "cpu",
    "--batch-size",
    "1000000000",
];

#[test]
fn a_batch_that_cannot_fit_is_refused_with_one_that_would() {
    let genomes = genomes();
    let out = genomes.path("run");
    let own = genomes.flags();
    let data: Vec<&str> = own.iter().map(String::as_str).chain(HUGE).collect();
    let train = [&["train", "--out", text(&out)], &data[..]].concat();
    let tune = [&["tune", "--find-lr", "--out", text(&out)], &data[..]].concat();
    for command in [train, tune] {
        let started = Instant::now();
        let error = fail(1, &command);
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
        assert!(error.starts_with("error: training in batches of 20,000 fragments needs about "), "{error}");
        assert!(error.contains("iB are free; use --batch-size ") && error.contains(", with --accumulate "), "{error}");
        assert!(!out.exists(), "{error}");
    }
}

/// The most memory that a command took at once, in MB, as the system counts it.
#[cfg(target_os = "linux")]
fn peak_memory_mb(arguments: &[&str]) -> f64 {
    let mut child = crate::fixtures::strandnet()
        .args(arguments)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0f64;
    let exit = loop {
        if let Ok(text) = std::fs::read_to_string(&status)
            && let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))
        {
            peak = peak.max(line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1000.0);
        }
        if let Some(exit) = child.try_wait().unwrap() {
            break exit;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    assert!(exit.success(), "{arguments:?}");
    peak
}

#[test]
#[cfg(target_os = "linux")]
fn a_genome_larger_than_memory_is_never_held_in_it() {
    use std::io::Write;
    const MB: usize = 60;
    let folder = Folder::new();
    let mut flags = vec!["train".to_owned()];
    for (class, name) in ["human", "mouse"].into_iter().enumerate() {
        // Lines of a few thousand bases, over and over: content does not matter here.
        let lines: Vec<String> =
            (0..50).map(|i| bases_of_gc(i + class as u64 * 99, 1000, 0.4 + 0.1 * class as f64)).collect();
        let path = folder.path(&format!("{name}.fa"));
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
        for chromosome in 1..=4 {
            writeln!(file, ">chr{chromosome}").unwrap();
            for line in 0..MB * 1000 / 4 {
                writeln!(file, "{}", lines[(line * 7 + line / 50) % 50]).unwrap();
            }
        }
        file.flush().unwrap();
        flags.extend(["--genome".to_owned(), format!("{name}={}", path.display())]);
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let common = [
        "--train-chroms",
        "1,2",
        "--valid-chroms",
        "3",
        "--test-chroms",
        "4",
        "--arch",
        "shallow",
        "--epochs",
        "1",
        "--threads",
        "2",
        "--quiet",
    ];
    let few = ["--fragments", "200", "--test-fragments", "100", "--resample"];
    let run = |name: &str, memory: &[&str]| {
        let out = folder.path(name);
        let peak = peak_memory_mb(&[&flags[..], &common, &few, memory, &["--out", text(&out)]].concat());
        (peak, crate::fixtures::outcome(&out))
    };
    let (held, expected) = run("held", &[]);
    let (streamed, found) = run("streamed", &["--memory", "8MB"]);
    assert!(found == expected, "the same run");
    // What the program takes by itself, with libtorch.
    let small = genomes();
    let flags = [vec!["train".to_owned(), "--arch".to_owned(), "shallow".to_owned()], small.flags()].concat();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let chromosomes =
        ["--train-chroms", "1,2", "--valid-chroms", "3", "--test-chroms", "X", "--epochs", "1", "--threads", "2"];
    let alone = peak_memory_mb(&[&flags[..], &chromosomes, &few, &["--out", text(&small.path("run"))]].concat());
    // Holding the genomes takes 120 MB more than that; streaming takes a few.
    assert!(held - alone > 90.0, "held {held} MB, alone {alone} MB");
    assert!(streamed - alone < 30.0, "streamed {streamed} MB, alone {alone} MB");
}
