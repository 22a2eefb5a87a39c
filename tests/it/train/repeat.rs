//! A run is repeated from what it lists, bit for bit, whatever its data came from.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use crate::fixtures::{
    Folder, bases_of_gc, borrowed, class_files, column, examples, fasta, gc_classes, genomes, json, metrics,
    repeats_its_own_test, succeed, text, train, weights,
};

/// Kinds of source and the data flags of each.
type Sources = Vec<(&'static str, Vec<String>)>;

fn sources(folder: &Folder) -> Sources {
    let own = |flags: &[&str]| -> Vec<String> { flags.iter().map(|flag| (*flag).to_owned()).collect() };
    let table = folder.write("table.csv", gc_classes(300, &["0", "1"]).replace(",0", ",no").replace(",1", ",yes"));
    let chromosomes: Vec<(String, String)> =
        (1..=3).map(|n| (format!("chr{n}"), bases_of_gc(n * 77, 30_000, 0.5))).collect();
    let reference = folder.write("reference.fa", fasta(&borrowed(&chromosomes)));
    let bed: String = (1..=3)
        .flat_map(|n| {
            (1..70).map(move |i| format!("chr{n}\t{}\t{}\t.\t0\t{}\n", i * 400, i * 400 + 80, ["+", "-"][i % 2]))
        })
        .collect();
    let regions = format!("peak={}", folder.write("peaks.bed", bed));
    let chroms = ["--train-chroms", "1", "--valid-chroms", "2", "--test-chroms", "3"];
    vec![
        ("tables", own(&["--train", &table])),
        ("classes", class_files(folder)),
        (
            "regions",
            [
                own(&["--reference", &reference, "--regions", &regions, "--negatives", "shuffle", "--length", "100"]),
                own(&chroms),
            ]
            .concat(),
        ),
    ]
}

/// Runs of every source that several tests compare others with.
fn originals() -> &'static (Folder, Sources) {
    static ORIGINALS: OnceLock<(Folder, Sources)> = OnceLock::new();
    ORIGINALS.get_or_init(|| {
        let folder = Folder::new();
        let sources = sources(&folder);
        for (name, flags) in &sources {
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            train(&folder.path(name), &flags);
        }
        (folder, sources)
    })
}

/// What `examples.tsv` and `config.toml` of a run give.
fn again(run: &Path, out: &Path) {
    let (config, listing) = (run.join("config.toml"), run.join("examples.tsv"));
    succeed(&["train", text(&config), "--examples", text(&listing), "--out", text(out), "--quiet"]);
}

#[test]
fn the_listed_examples_repeat_a_run_bit_for_bit() {
    let (folder, sources) = originals();
    let genomes = genomes();
    let of_genomes = folder.path("genomes");
    crate::fixtures::train_on_genomes(
        &genomes,
        &of_genomes,
        &["--train-chroms", "1,2", "--test-chroms", "X", "--threads", "1"],
    );
    for name in sources.iter().map(|(name, _)| *name).chain(["genomes"]) {
        let (run, out) = (folder.path(name), folder.path(&format!("{name} again")));
        again(&run, &out);
        assert!(weights(&run) == weights(&out), "{name}: other weights");
        assert_eq!(
            std::fs::read_to_string(run.join("predictions.csv")).unwrap(),
            std::fs::read_to_string(out.join("predictions.csv")).unwrap(),
            "{name}"
        );
        let (rows, listed) = (examples(&run), examples(&out));
        assert!(!rows.is_empty());
        assert_eq!(rows, listed, "{name}: and it lists the same");
        for key in ["classes", "positive", "length", "task", "examples"] {
            assert_eq!(json(&run.join("run.json"))[key], json(&out.join("run.json"))[key], "{name} {key}");
        }
    }
}

#[test]
fn the_listed_examples_repeat_the_metrics_of_a_run() {
    let (folder, _) = originals();
    let (run, out) = (folder.path("classes"), folder.path("classes for metrics"));
    again(&run, &out);
    let (before, after) = (metrics(&run), metrics(&out));
    let keys = |of: &Value| -> Vec<String> { of["test"].as_object().unwrap().keys().cloned().collect() };
    assert!(keys(&before).contains(&"by_repeats".to_owned()));
    assert_eq!(keys(&after), keys(&before));
    assert!(after == before, "the same names, other numbers");
}

#[test]
fn sequences_beyond_memory_give_the_same_run() {
    let (folder, sources) = originals();
    for (name, flags) in sources {
        let (run, out) = (folder.path(name), folder.path(&format!("{name} in little memory")));
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let (_, stderr) = train(&out, &[&flags[..], &["--memory", "10KB"]].concat());
        assert!(stderr.contains("training sequences are beyond --memory"), "{name}: {stderr}");
        assert!(crate::fixtures::outcome(&run) == crate::fixtures::outcome(&out), "{name}");
        assert_eq!(metrics(&run), metrics(&out), "{name}");
    }
}

#[test]
fn runs_of_every_source_are_evaluated_to_their_own_metrics() {
    let (folder, sources) = originals();
    for (name, _) in sources {
        repeats_its_own_test(&folder.path(name));
    }
}

#[test]
fn windows_drawn_anew_every_epoch_repeat_with_the_seed_and_are_not_listed() {
    let genomes = genomes();
    let run = |name: &str, flags: &[&str]| {
        let out = genomes.path(name);
        let common =
            ["--train-chroms", "1,2", "--test-chroms", "X", "--epochs", "3", "--lr", "0.003", "--threads", "1"];
        crate::fixtures::train_on_genomes(&genomes, &out, &[&common[..], flags].concat());
        out
    };
    let (once, anew, again) = (run("once", &[]), run("anew", &["--resample"]), run("again", &["--resample"]));
    assert!(weights(&anew) == weights(&again));
    let losses = |run: &Path| column(&run.join("history.csv"), b',', "train_loss");
    assert_eq!(losses(&once)[0], losses(&anew)[0], "the first epoch is the same");
    assert!(losses(&once)[1] != losses(&anew)[1] && losses(&once)[2] != losses(&anew)[2]);
    assert!(weights(&once) != weights(&anew));
    assert_eq!(examples(&once).iter().filter(|row| row.split == "train").count(), 400);
    let listed = examples(&anew);
    assert!(listed.iter().all(|row| row.split != "train"));
    assert_eq!(listed.iter().filter(|row| row.split == "test").count(), 200);
    let of_test = |run: &Path| -> Vec<_> { examples(run).into_iter().filter(|row| row.split != "train").collect() };
    assert_eq!(of_test(&once), of_test(&anew), "validation and test stay as they are");
    // The configuration is enough to repeat it.
    let out = genomes.path("from file");
    succeed(&["train", text(&anew.join("config.toml")), "--out", text(&out), "--quiet"]);
    assert!(weights(&anew) == weights(&out));
    repeats_its_own_test(&anew);
}
