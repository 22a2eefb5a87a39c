//! Cross-validation: folds by chromosome, file, column, hash and similarity, killed and gone on with, several processes in one
//! folder, and what is done with the folder.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use crate::fixtures::{
    Folder, bases, column, fail, fasta, genomes, json, numbers, run, start, succeed, text, wait, wait_for,
};
use crate::train::profiles::{flags, signals, trained};
use crate::train::signals::tracks;

/// Flags that make a run short.
const SHORT: [&str; 9] = ["--arch", "shallow", "--epochs", "2", "--threads", "1", "--device", "cpu", "--quiet"];

/// A table of sequences of 60 bp on chromosomes of different sizes: a word tells the classes apart.
fn table(folder: &Folder) -> String {
    let mut rows = String::from("sequence,label,chrom,start,end,group\n");
    let mut number = 0;
    for (chromosome, n) in [("chr1", 60), ("chr2", 48), ("chr3", 40), ("chr4", 32), ("chr5", 20)] {
        for i in 0..n {
            let mut sequence = bases(1000 + number, 60);
            if number % 2 == 1 {
                sequence.replace_range(10..18, "TGACTCAC");
            }
            let (start, end) = (i * 200, i * 200 + 60);
            rows.push_str(&format!("{sequence},{},{chromosome},{start},{end},g{}\n", number % 2, number / 2 % 4));
            number += 1;
        }
    }
    folder.write("table.csv", rows)
}

fn cv(arguments: &[&str]) -> String {
    succeed(&[&["cv"], arguments, &SHORT[..]].concat())
}

/// The bytes of what a cross-validation comes to.
fn results(folder: &Path) -> Vec<Vec<u8>> {
    let ours =
        ["cv.json", "predictions.csv", "roc.png", "folds.svg", "ensemble/best.safetensors", "ensemble/metrics.json"];
    let mut files: Vec<_> = ours.iter().map(|name| folder.join(name)).collect();
    for fold in 0..5 {
        let run = folder.join(format!("fold-{fold}/seed-1"));
        files.extend(["best.safetensors", "predictions.csv", "metrics.json"].map(|name| run.join(name)));
    }
    files.iter().filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap()).collect()
}

fn fold_file(folder: &Folder, name: &str, lists: &str) -> String {
    folder.write(name, lists)
}

#[test]
fn fold_files_say_what_each_fold_tests_on_and_what_is_left_out() {
    let folder = Folder::new();
    let table = table(&folder);
    let good =
        fold_file(&folder, "good_0.json", r#"{"train": ["3", "chr4"], "valid": ["chr2"], "test": ["1", "chrY"]}"#);
    let other =
        fold_file(&folder, "good_1.json", r#"{"train": ["chr1", "chr4"], "valid": ["chr3"], "test": ["chr2"]}"#);
    let out = folder.path("two");
    let output = run(&[
        "cv",
        "--train",
        &table,
        "--fold-file",
        &good,
        "--fold-file",
        &other,
        "--arch",
        "shallow",
        "--epochs",
        "1",
        "--threads",
        "1",
        "--out",
        text(&out),
    ]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("fold 0: 20 examples on chr5 are in no list and are left out"), "{said}");
    assert!(said.contains("no example lies on chrY"), "{said}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("108 examples tested of 200; 92 are in no test part"), "{printed}");
    let rows = column(&out.join("predictions.csv"), b',', "chrom");
    let folds = column(&out.join("predictions.csv"), b',', "fold");
    assert_eq!(rows.len(), 108);
    assert!(rows.iter().zip(&folds).all(|(chrom, fold)| (chrom == "chr1") == (fold == "0")));
    let found = json(&out.join("cv.json"));
    assert_eq!((&found["n"], &found["not_tested"]), (&Value::from(108), &Value::from(92)));
    assert_eq!(found["folds"][0]["examples"], serde_json::json!({"train": 72, "valid": 48, "test": 60}));

    let same = fold_file(&folder, "same.json", r#"{"train": ["2", "4", "5"], "valid": ["3"], "test": ["chr1"]}"#);
    let key = fold_file(&folder, "key.json", r#"{"train": ["2"], "validation": ["3"], "test": ["1"]}"#);
    for (files, parts) in [
        (vec![&good, &same], ["both test on chromosome 'chr1'", "same.json"]),
        (vec![&key], ["'validation'", "rename it to 'valid'"]),
    ] {
        let mut arguments = vec!["cv", "--train", &table, "--epochs", "1", "--out"];
        let out = folder.path("refused");
        arguments.push(text(&out));
        files.iter().for_each(|file| arguments.extend(["--fold-file", file.as_str()]));
        let error = fail(1, &arguments);
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert!(!out.exists());
    }
    // A single fold is trained by train too, which takes the file as it is.
    let run = folder.path("run");
    succeed(&[&["train", "--train", &table, "--fold-file", &other, "--out", text(&run)], &SHORT[..]].concat());
    let of = |name: &str| column(&run.join("predictions.csv"), b',', name);
    let tested = of("split").into_iter().zip(of("chrom"));
    assert!(tested.filter(|(split, _)| split == "test").all(|(_, chrom)| chrom == "chr2"));
    assert_eq!(json(&run.join("run.json"))["examples"], json(&out.join("fold-1/seed-1/run.json"))["examples"]);
}

#[test]
fn a_killed_cross_validation_comes_to_the_same_bytes_and_processes_share_a_folder() {
    let folder = Folder::new();
    let table = table(&folder);
    let (whole, cut, shared) = (folder.path("whole"), folder.path("cut"), folder.path("shared"));
    let arguments = |out: &Path| -> Vec<String> {
        let own = ["cv", "--train", &table, "--folds", "5", "--out", text(out)];
        own.iter().chain(&SHORT).map(|&word| word.to_owned()).collect()
    };
    let words = |arguments: &[String]| succeed(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let printed = words(&arguments(&whole));
    assert!(printed.contains("5 folds: 200 examples tested") && printed.contains("AUROC"), "{printed}");
    // Each chromosome is tested once, by the fold that is named.
    let found = json(&whole.join("cv.json"));
    let tested: Vec<&str> =
        (0..5).map(|fold| found["folds"][fold]["chromosomes"]["test"][0].as_str().unwrap()).collect();
    assert_eq!(tested.iter().collect::<std::collections::HashSet<_>>().len(), 5);
    assert_eq!(column(&whole.join("predictions.csv"), b',', "name").len(), 200);

    // SIGKILL in the first, a middle and the last fold.
    for (place, next) in [(0, "folds.json"), (2, "fold-2/seed-1/run.json"), (4, "fold-4/seed-1/run.json")] {
        let mut child = match place {
            0 => start(&arguments(&cut)),
            _ => start(&["cv".into(), "--resume".into(), text(&cut).into(), "--quiet".into()]),
        };
        wait_for(&mut child, &cut.join(next));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    succeed(&["cv", "--resume", text(&cut), "--quiet"]);
    assert_eq!(results(&cut), results(&whole));
    // A finished one is left alone, and another is told from it.
    succeed(&["cv", "--resume", text(&cut), "--quiet"]);
    let error = fail(1, &[&["cv", "--train", &table, "--folds", "4", "--out", text(&cut)], &SHORT[..]].concat());
    assert!(error.contains("with other folds or data"), "{error}");

    // Five processes at once, each with its fold; the last puts the results together.
    let children: Vec<_> = (0..5)
        .map(|fold| {
            let mut own = arguments(&shared);
            own.extend(["--fold".to_owned(), fold.to_string()]);
            start(&own)
        })
        .collect();
    for child in children {
        let (status, said) = wait(child);
        assert!(status.success(), "{said}");
    }
    assert_eq!(results(&shared), results(&whole));
}

/// Gives a job longer and longer limits of time, sends it SIGTERM at each, as SLURM does before it kills, and sends it again.
const SCHEDULER: &str = r#"
for limit in 0.6 0.8 1 1.5 2 3 5 10 20 40 80; do
  timeout --signal=TERM --preserve-status $limit "$@" && exit 0
  status=$?
  echo $status >>"$LOG"
  [ $status = 143 ] || exit $status
done
exit 1
"#;

#[test]
fn jobs_that_a_scheduler_stops_at_their_limit_and_sends_again_come_to_the_same_bytes() {
    let folder = Folder::new();
    let table = table(&folder);
    let arguments = |out: &Path| -> Vec<String> {
        let own = ["cv", "--train", &table, "--folds", "3", "--out", text(out)];
        let longer = SHORT.iter().map(|&word| if word == "2" { "300" } else { word });
        own.into_iter().chain(longer).map(str::to_owned).collect()
    };
    let (whole, stopped) = (folder.path("whole"), folder.path("stopped"));
    let (status, said) = wait(start(&arguments(&whole)));
    assert!(status.success(), "{said}");
    for fold in ["0", "1", "2"] {
        let log = folder.path(&format!("log-{fold}"));
        let output = std::process::Command::new("sh")
            .args(["-c", SCHEDULER, "scheduler", env!("CARGO_BIN_EXE_strandnet")])
            .args(arguments(&stopped))
            .args(["--fold", fold])
            .env("LOG", &log)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(log.is_file(), "fold {fold} was never stopped");
    }
    assert_eq!(results(&stopped), results(&whole));
}

#[test]
fn the_folder_is_an_ensemble_and_out_of_fold_scores_are_those_of_the_table() {
    let folder = Folder::new();
    let table = table(&folder);
    let out = folder.path("cv");
    cv(&["--train", &table, "--folds", "5", "--seeds", "2", "--out", text(&out)]);
    let found = json(&out.join("cv.json"));
    assert_eq!(found["seeds"], serde_json::json!([1, 2]));
    assert_eq!(found["folds"][0]["runs"].as_array().unwrap().len(), 2);
    assert_eq!(json(&out.join("ensemble/run.json"))["config"]["training"]["ensemble"], 10);
    let own: HashMap<String, f64> = column(&out.join("predictions.csv"), b',', "name")
        .into_iter()
        .zip(numbers(&out.join("predictions.csv"), b',', "score"))
        .collect();

    // Sequences with their places, which say who did not see them.
    let (rows, labels) = (column(Path::new(&table), b',', "sequence"), column(Path::new(&table), b',', "chrom"));
    let starts = column(Path::new(&table), b',', "start");
    let mut fasta = String::new();
    for (i, sequence) in rows.iter().enumerate() {
        let start: usize = starts[i].parse().unwrap();
        fasta.push_str(&format!(">{}:{start}-{}\n{sequence}\n", labels[i], start + 60));
    }
    let fasta = folder.write("x.fa", fasta);
    let scores = folder.path("scores.tsv");
    succeed(&["predict", text(&out), &fasta, "--out-of-fold", "--out", text(&scores), "--quiet"]);
    let found = numbers(&scores, b'\t', "score");
    for (i, score) in found.iter().enumerate() {
        let expected = own[&format!("table.csv:{}", i + 2)];
        assert!((score - expected).abs() < 1e-5, "row {i}: {score} {expected}");
    }
    succeed(&["predict", text(&out), &fasta, "--out", text(&scores), "--force", "--quiet"]);
    assert!(numbers(&scores, b'\t', "score").iter().zip(&found).any(|(one, other)| (one - other).abs() > 1e-3));

    let area = |flags: &[&str]| {
        let printed = succeed(&[&["evaluate", text(&out), "--json", "--quiet"], flags].concat());
        let found: Value = serde_json::from_str(&printed).unwrap();
        (found["test"]["auroc"]["value"].as_f64().unwrap(), found["test"]["n"].as_u64().unwrap())
    };
    let (of_fold, n) = area(&["--out-of-fold"]);
    let pooled = json(&out.join("cv.json"))["metrics"]["auroc"]["pooled"]["value"].as_f64().unwrap();
    assert!((of_fold - pooled).abs() < 1e-6 && n == 200, "{of_fold} {pooled} {n}");
    assert!(area(&["--test", &table, "--test-chroms", "1,2,3,4,5"]).1 == 200);
    assert!(fail(1, &["evaluate", text(&out)]).contains("name other data, or add --out-of-fold"));
    let nameless = folder.write("nameless.fa", format!(">peak\n{}\n", rows[0]));
    assert!(fail(1, &["predict", text(&out), &nameless, "--out-of-fold"]).contains("'peak'"));

    let model = folder.path("model.pt");
    succeed(&["export", text(&out), "--out", text(&model), "--quiet"]);
    assert_eq!(json(&folder.path("model.json"))["members"], 10);
    let explained = folder.path("explained");
    succeed(&[
        "explain",
        "sequences",
        text(&out),
        &fasta,
        "--method",
        "saliency",
        "--out",
        text(&explained),
        "--quiet",
    ]);
    succeed(&["report", text(&out)]);

    // What explains a sequence, or scores a variant, out of fold is what did not see its chromosome.
    let of_fold = |fold: usize| folder.path(&format!("cv/fold-{fold}/seed-1"));
    let fold_of: HashMap<String, usize> = (0..5)
        .flat_map(|fold| {
            let rows = of_fold(fold).join("predictions.csv");
            let tested = column(&rows, b',', "split").into_iter().zip(column(&rows, b',', "chrom"));
            tested.filter(|(split, _)| split == "test").map(move |(_, chrom)| (chrom, fold)).collect::<Vec<_>>()
        })
        .collect();
    explains_out_of_fold(&folder, &table, &fold_of);

    // Compared with another by the same folds.
    let other = folder.path("other");
    cv(&["--train", &table, "--folds", "5", "--lr", "0.01", "--out", text(&other)]);
    let printed = succeed(&["report", text(&out), text(&other), "--json", "--out", text(&folder.path("c.html"))]);
    let found: Value = serde_json::from_str(&printed).unwrap();
    let difference = &found["differences"][0];
    assert_eq!(difference["folds"]["method"], "corrected-resampled-t-test");
    assert_eq!(difference["folds"]["degrees_of_freedom"], 4);
    assert!(difference["pooled"]["value"].is_number() || difference["pooled"]["reason"].is_string());
    let html = std::fs::read_to_string(folder.path("c.html")).unwrap();
    assert!(html.contains("Nadeau and Bengio"));
}

/// Trains folds of one network each, and compares what is explained out of fold with what the network of that fold explains.
fn explains_out_of_fold(folder: &Folder, table: &str, fold_of: &HashMap<String, usize>) {
    let out = folder.path("alone");
    cv(&["--train", table, "--folds", "5", "--out", text(&out)]);
    let (chrom, sequence) = ("chr2", bases(77, 200));
    let genome = folder.write("genome.fa", fasta(&[("chr1", &bases(76, 200)), (chrom, &sequence)]));
    let part = folder.write("part.fa", fasta(&[(&format!("{chrom}:20-80"), &sequence[20..80])]));
    let alt = if &sequence[99..100] == "A" { "C" } else { "A" };
    let vcf =
        folder.write("x.vcf", format!("#CHROM\tPOS\tID\tREF\tALT\n{chrom}\t100\t.\t{}\t{alt}\n", &sequence[99..100]));
    let run = out.join(format!("fold-{}/seed-1", fold_of[chrom]));
    for method in ["ism", "saliency,ig"] {
        let [own, of_fold, of_all] =
            [(&run, vec![]), (&out, vec!["--out-of-fold"]), (&out, vec![])].map(|(run, flags)| {
                let to = folder.path("importance");
                let arguments = [
                    "explain",
                    "sequences",
                    text(run),
                    &part,
                    "--method",
                    method,
                    "--out",
                    text(&to),
                    "--force",
                    "--quiet",
                ];
                succeed(&[&arguments[..], &flags].concat());
                let table = to.join(format!("{}.tsv", method.split(',').next().unwrap()));
                numbers(&table, b'\t', "importance")
            });
        assert!(own.len() == 60 && apart_f64(&own, &of_fold) < 1e-6, "{method}");
        assert!(apart_f64(&own, &of_all) > 1e-6, "{method}");
    }
    let [own, of_fold, of_all] = [(&run, vec![]), (&out, vec!["--out-of-fold"]), (&out, vec![])].map(|(run, flags)| {
        let scored = folder.path("scored.tsv");
        let own = ["explain", "variants", text(run), "--vcf", &vcf, "--reference", &genome, "--out", text(&scored)];
        succeed(&[&own[..], &["--force", "--quiet"], &flags].concat());
        numbers(&scored, b'\t', "log_odds")
    });
    assert!(own.len() == 1 && apart_f64(&own, &of_fold) < 1e-5, "{own:?} {of_fold:?}");
    assert!(apart_f64(&own, &of_all) > 1e-4, "{own:?} {of_all:?}");
    let error = fail(1, &["explain", "variants", text(&run), "--vcf", &vcf, "--reference", &genome, "--out-of-fold"]);
    assert!(error.contains("is no cross-validation"), "{error}");
    let nameless = folder.write("nameless.fa", format!(">peak\n{}\n", &sequence[..60]));
    assert!(fail(1, &["explain", "sequences", text(&out), &nameless, "--out-of-fold"]).contains("'peak'"));
}

/// The largest difference of two rows of numbers.
fn apart_f64(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max)
}

/// Families of relatives, of which one half is positive and the other not, whatever their sequence.
fn families(folder: &Folder) -> String {
    let mut rows = String::from("sequence,label\n");
    for family in 0..80u64 {
        let ancestor = bases(family, 60);
        for member in 0..20u64 {
            let changes = bases(100_000 + family * 100 + member, 120);
            let mut sequence: Vec<u8> = ancestor.bytes().collect();
            for (i, code) in sequence.iter_mut().enumerate() {
                // One in sixteen is drawn anew.
                if &changes.as_bytes()[2 * i..2 * i + 2] == b"AC" {
                    *code = changes.as_bytes()[(2 * i + 3) % 120];
                }
            }
            rows.push_str(&format!("{},{}\n", String::from_utf8(sequence).unwrap(), family % 2));
        }
    }
    folder.write("families.csv", rows)
}

#[test]
fn relatives_on_both_sides_of_a_split_flatter_and_clusters_do_not() {
    let folder = Folder::new();
    let table = families(&folder);
    let area = |by: &str| {
        let out = folder.path(by);
        let flags = ["--filters", "32", "--depth", "1", "--epochs", "6", "--threads", "1", "--quiet"];
        succeed(
            &[&["cv", "--train", &table, "--folds", "4", "--split-by", by, "--out", text(&out)], &flags[..]].concat(),
        );
        json(&out.join("cv.json"))
    };
    let plain = area("hash");
    assert!(plain["metrics"]["auroc"]["pooled"]["value"].as_f64().unwrap() > 0.9, "{}", plain["metrics"]["auroc"]);
    let clustered = area("similar");
    let pooled = &clustered["metrics"]["auroc"]["pooled"];
    let [low, high] = ["low", "high"].map(|end| pooled[end].as_f64().unwrap());
    assert!(low < 0.5 && 0.5 < high, "{pooled}");
    // Results say how near the training sequences are.
    let nearest =
        |found: &Value| found["pooled"]["by_similarity"].as_array().unwrap().last().unwrap()["low"].as_f64().unwrap();
    assert!(nearest(&plain) >= 0.25 && nearest(&clustered) < 0.25);
    // train takes the same split.
    let run = folder.path("run");
    succeed(&[&["train", "--train", &table, "--split-by", "similar", "--out", text(&run)], &SHORT[..]].concat());
    let shares = json(&run.join("run.json"))["examples"].clone();
    assert!((140..=180).contains(&shares["test"].as_u64().unwrap()), "{shares}");
}

#[test]
fn folds_of_a_column_and_a_test_set_that_is_kept() {
    let folder = Folder::new();
    let table = table(&folder);
    let out = folder.path("column");
    cv(&["--train", &table, "--fold-column", "group", "--out", text(&out)]);
    assert_eq!(json(&out.join("cv.json"))["folds"].as_array().unwrap().len(), 4);
    let rows = column(&out.join("predictions.csv"), b',', "name");
    assert_eq!(rows.len(), 200);

    let held = folder.write("test.csv", std::fs::read_to_string(&table).unwrap().replace("chr", "chr2"));
    let kept = folder.path("kept");
    cv(&[
        "--train",
        &table,
        "--test",
        &held,
        "--keep-test",
        "--folds",
        "3",
        "--split-by",
        "hash",
        "--out",
        text(&kept),
    ]);
    let found = json(&kept.join("cv.json"));
    assert_eq!((&found["n"], &found["test"]["n"]), (&Value::from(200), &Value::from(200)));
    let printed = succeed(&["evaluate", text(&kept), "--json", "--quiet"]);
    let again: Value = serde_json::from_str(&printed).unwrap();
    let value = |found: &Value| found["test"]["auroc"]["value"].as_f64().unwrap();
    assert!((value(&again) - value(&found)).abs() < 1e-9);
    // Without the flag all are pooled.
    let pooled = folder.path("pooled");
    cv(&["--train", &table, "--test", &held, "--folds", "3", "--split-by", "hash", "--out", text(&pooled)]);
    assert_eq!(json(&pooled.join("cv.json"))["n"], 400);
    let error = fail(1, &["cv", "--train", &table, "--fold-column", "label", "--out", text(&folder.path("no"))]);
    assert!(error.contains("names 2 parts (0, 1)"), "{error}");
}

#[test]
fn every_task_has_folds() {
    let folder = Folder::new();
    let mut rows = String::from("sequence,kind,a,b,value\n");
    for i in 0..240u64 {
        let mut sequence = bases(5000 + i, 50);
        if i % 3 == 1 {
            sequence.replace_range(20..28, "TGACTCAC");
        }
        if i % 3 == 2 {
            sequence.replace_range(20..28, "GGGCGGGG");
        }
        let value = f64::from((i % 3) as u32) + (i as f64 * 0.37).fract();
        rows.push_str(&format!("{sequence},k{},{},{},{value}\n", i % 3, u8::from(i % 3 == 1), u8::from(i % 3 == 2)));
    }
    let all = folder.write("all.csv", &rows);
    let classes = folder.write("classes.csv", rows.replace("kind", "label"));
    for (name, flags, main) in [
        ("classes", vec!["--train", &classes[..]], "macro_auroc"),
        ("labels", vec!["--train", &all, "--task", "multilabel", "--label-columns", "a,b"], "macro_auroc"),
        ("values", vec!["--train", &all, "--task", "regression", "--label-columns", "value"], "pearson"),
    ] {
        let out = folder.path(name);
        cv(&[&flags[..], &["--folds", "3", "--baselines", "--out", text(&out)]].concat());
        let found = json(&out.join("cv.json"));
        let (first, metric) = found["metrics"].as_object().unwrap().iter().next().unwrap();
        assert_eq!(first, main);
        assert_eq!(metric["folds"].as_array().unwrap().len(), 3);
        assert!(metric["pooled"]["value"].is_number() && found["baselines"]["GC"]["metrics"][main]["mean"].is_number());
        assert_eq!(column(&out.join("predictions.csv"), b',', "fold").len(), 240);
        assert!(out.join("folds.png").is_file() && out.join("report.html").is_file());
        // Its networks answer alike, whatever scale or calibration each fold found.
        let sequences = folder.write("s.fa", format!(">x\n{}\n", bases(1, 50)));
        succeed(&["predict", text(&out), &sequences, "--quiet"]);
    }
}

#[test]
fn profiles_and_genomes_have_folds_of_chromosomes() {
    let tracks = tracks();
    let own = signals(&tracks);
    let out = tracks.folder.path("cv");
    let mut words = flags(&tracks, &own, &["--epochs", "3"]);
    while let Some(place) = words.iter().position(|word| word.ends_with("-chroms")) {
        words.drain(place..place + 2);
    }
    let output = run(&[&["cv", "--folds", "3", "--out", text(&out)], &words[..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = json(&out.join("cv.json"));
    let peaks = &found["profile"]["peaks"]["profile_jsd"];
    assert!(peaks["folds"].as_array().unwrap().len() == 3 && peaks["pooled"]["value"].is_number(), "{peaks}");
    assert!(found["profile"]["baselines"]["mean_profile"]["profile_jsd"]["pooled"]["value"].is_number());
    assert!(found["profile"]["detection"]["auroc"]["mean"].is_number());
    assert!(out.join("profiles.npz").is_file() && out.join("profiles.png").is_file());

    // A bias model moves to the background of each fold, and what is pooled has each with its own.
    let (bias, _) = trained(&tracks, "bias", &["--arch", "bias", "--depth", "1", "--filters", "4", "--epochs", "2"]);
    let (out, evaluated) = (tracks.folder.path("with-bias"), tracks.folder.path("evaluated"));
    let output = run(&[&["cv", "--folds", "3", "--bias", text(&bias), "--out", text(&out)], &words[..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    succeed(&["evaluate", text(&out), "--out-of-fold", "--out", text(&evaluated), "--quiet", "--threads", "1"]);
    let shift =
        |fold: usize| json(&out.join(format!("fold-{fold}/seed-1/run.json")))["task"]["profile"]["bias_shift"].clone();
    assert!(shift(0) != shift(1), "the folds differ: {}", shift(0));
    let scores = |folder: &Path| -> HashMap<String, f64> {
        let rows = folder.join("predictions.csv");
        column(&rows, b',', "name").into_iter().zip(numbers(&rows, b',', "predicted_log_counts_one")).collect()
    };
    let (of_folds, again) = (scores(&out), scores(&evaluated));
    // Background is drawn anew.
    let both: Vec<&String> = of_folds.keys().filter(|name| again.contains_key(*name)).collect();
    assert!(both.len() >= 20, "{}", both.len());
    assert!(both.iter().all(|name| (of_folds[*name] - again[*name]).abs() < 1e-4));

    let genomes = genomes();
    let out = genomes.path("cv");
    let own = genomes.flags();
    let mut arguments =
        vec!["cv", "--folds", "3", "--out", text(&out), "--fragments", "200", "--valid-fragments", "100"];
    arguments.extend(["--test-fragments", "100", "--length", "60"]);
    arguments.extend(own.iter().map(String::as_str));
    succeed(&[&arguments[..], &SHORT[..]].concat());
    assert_eq!(json(&out.join("cv.json"))["n"], 300);
}

#[test]
fn folds_are_written_as_files_and_read_again() {
    let folder = Folder::new();
    let table = table(&folder);
    let files = folder.path("folds");
    let printed =
        succeed(&["cv", "--train", &table, "--folds", "chromosomes", "--write-folds", text(&files), "--quiet"]);
    assert_eq!(printed.lines().count(), 5);
    let first = json(&files.join("fold_0.json"));
    assert_eq!(first, serde_json::json!({"train": ["chr3", "chr4", "chr5"], "valid": ["chr2"], "test": ["chr1"]}));
    let error = fail(1, &["cv", "--train", &table, "--split-by", "hash", "--write-folds", text(&files)]);
    assert!(error.contains("not of chromosomes"), "{error}");
    let error = fail(1, &["cv", "--train", &table, "--folds", "7", "--out", text(&folder.path("no"))]);
    assert!(error.contains("lie on 5 chromosomes") && error.contains("expected 7 or more"), "{error}");
    for (flags, part) in [
        (vec!["--folds", "2"], "expected 3 to 1000"),
        (vec!["--folds", "3", "--test-chroms", "1"], "one way to split"),
        (vec!["--fold", "9"], "expected 0 to 4"),
    ] {
        let error = fail(2, &[&["cv", "--train", &table, "--out", text(&folder.path("no"))], &flags[..]].concat());
        assert!(error.contains(part), "{error}");
    }
}
