//! Training that cannot fit in memory is refused before it begins.

use std::time::{Duration, Instant};

use crate::support::{fail, genomes, text};

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
