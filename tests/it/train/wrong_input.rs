//! Wrong input on purpose: one sentence with file, record or line and remedy, the right exit code, nothing left behind.

use crate::fixtures::{Genomes, bases, bgzip, fail, fasta, finished, genomes, gzip, text};

/// Trains on `human` as the first genome and expects exit code 1, the words in the message, and no run folder.
fn train_fails(genomes: &Genomes, human: &[u8], flags: &[&str], words: &[&str]) {
    let bad = genomes.path("bad.fa");
    std::fs::write(&bad, human).unwrap();
    let out = genomes.path("never");
    let named = [format!("human={}", bad.display()), format!("mouse={}", genomes.mouse.display())];
    let arguments = [
        "train",
        "--out",
        text(&out),
        "--genome",
        &named[0],
        "--genome",
        &named[1],
        "--fragments",
        "40",
        "--test-fragments",
        "20",
    ];
    let error = fail(1, &[&arguments[..], flags].concat());
    for word in words {
        assert!(error.contains(word), "'{word}' is missing from: {error}");
    }
    assert!(!out.exists(), "no folder is left: {error}");
}

const CHROMOSOMES: [&str; 4] = ["--train-chroms", "1", "--test-chroms", "2"];

#[test]
fn broken_genomes() {
    let genomes = genomes();
    let two = fasta(&[("chr1", &bases(1, 9000)), ("chr2", &bases(2, 9000))]);
    let invalid = two.replace(&bases(2, 9000)[60..70], "ACGT*ACGTA");
    let mut cut_bgzf = bgzip(&two.repeat(20).replacen("chr", "x", 2).into_bytes());
    cut_bgzf.truncate(cut_bgzf.len() - 40);
    let cases: Vec<(Vec<u8>, &[&str])> = vec![
        (vec![], &["bad.fa", "empty"]),
        (b"sequence,label\nACGT,1\n".to_vec(), &["bad.fa", "starts with 's'", "expected FASTA"]),
        (b"@read\nACGT\n+\nIIII\n".to_vec(), &["bad.fa", "FASTQ"]),
        (gzip(two.as_bytes())[..3000].to_vec(), &["bad.fa", "ends in the middle", "again"]),
        (cut_bgzf, &["bad.fa", "ends in the middle", "again"]),
        (b"BZh91AY&SY".to_vec(), &["bad.fa", "bzip2"]),
        (vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3], &["bad.fa"]),
        (two.replace("chr2", "chr1").into_bytes(), &["bad.fa", "'chr1' appears twice", "rename"]),
        (invalid.into_bytes(), &["bad.fa", "record 'chr2'", "'*'", "base 65"]),
        (format!("{two}>\nACGT\n").into_bytes(), &["bad.fa", "no name", "chr2"]),
        (fasta(&[("chr1", &bases(1, 9000)), ("chr2", "ACGT")]).into_bytes(), &["bad.fa", "'chr2' has 4 bp", "128 bp"]),
        (
            fasta(&[("chr1", &bases(1, 9000)), ("chr2", &"N".repeat(9000))]).into_bytes(),
            &["'human' has 0 test windows", "expected 10", "--max-n"],
        ),
    ];
    for (bytes, words) in cases {
        train_fails(&genomes, &bytes, &CHROMOSOMES, words);
    }
    train_fails(
        &genomes,
        two.as_bytes(),
        &["--train-chroms", "1", "--test-chroms", "7"],
        &["'7'", "--test-chroms", "chr1, chr2"],
    );
    train_fails(
        &genomes,
        two.as_bytes(),
        &["--train-chroms", "1", "--test-chroms", "chr1"],
        &["--train-chroms", "in --test-chroms"],
    );
    train_fails(
        &genomes,
        two.as_bytes(),
        &["--train-chroms", "1", "--test-chroms", "chrX"],
        &["bad.fa", "'human' has no chromosome for test"],
    );
    train_fails(
        &genomes,
        two.as_bytes(),
        &["--train-chroms", "1", "--test-chroms", "2", "--fragments", "90000"],
        &["train windows", "expected 45000"],
    );
    train_fails(
        &genomes,
        two.as_bytes(),
        &["--train-chroms", "1", "--test-chroms", "2", "--match-gc", "--fragments", "14000"],
        &["can be matched in GC", "expected 7000"],
    );
}

#[test]
fn missing_files_and_folders() {
    let genomes = genomes();
    let out = genomes.path("out");
    let named = [
        format!("human={}", genomes.path("absent.fa").display()),
        format!("mouse={}", genomes.folder.path().display()),
    ];
    let error = fail(1, &["train", "--out", text(&out), "--genome", &named[0], "--genome", &named[1]]);
    assert!(error.contains("absent.fa: no such file"), "{error}");
    let named_folder = format!("human={}", genomes.folder.path().display());
    let mouse = format!("mouse={}", genomes.mouse.display());
    let error = fail(1, &["train", "--out", text(&out), "--genome", &named_folder, "--genome", &mouse]);
    assert!(error.contains("is a folder"), "{error}");
    let error = fail(2, &["train", text(&genomes.path("absent.toml"))]);
    assert!(error.contains("absent.toml: no such file"), "{error}");
    let error = fail(1, &["predict", text(&genomes.path("no run")), text(&genomes.human)]);
    assert!(error.contains("no such folder"), "{error}");
    let error = fail(1, &["evaluate", text(genomes.folder.path())]);
    assert!(error.contains("holds no run.json"), "{error}");
    assert!(!out.exists());
}

#[test]
fn wrong_tables() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let path = folder.path().join("train.csv");
    let rows = |n: u64, label: &dyn Fn(u64) -> &'static str| -> String {
        (0..n).map(|i| format!("{},{}\n", bases(i, 60), label(i))).collect()
    };
    let good = rows(200, &|i| ["0", "1"][i as usize % 2]);
    let cases: Vec<(Vec<u8>, &[&str])> = vec![
        (format!("seq,label\n{good}").into_bytes(), &["line 1", "'sequence'"]),
        ("sequence,label\n".into(), &["no rows"]),
        (
            format!("sequence,label\n{}", rows(50, &|_| "1")).into_bytes(),
            &["holds 1 class (1)", "expected two or more"],
        ),
        (format!("sequence,label\n{good}ACGT,1\n").into_bytes(), &["line 202", "4 bases", "expected 60"]),
        (format!("sequence,label\n{good}{}-,1\n", bases(1, 59)).into_bytes(), &["line 202", "'-'", "base 60"]),
        (gzip(format!("sequence,label\n{good}").as_bytes())[..800].to_vec(), &["ends in the middle"]),
        (
            format!("sequence,label\n{}", rows(60, &|i| ["0", "1"][i as usize % 2]).replace("ACGT", "A")).into_bytes(),
            &["expected"],
        ),
        (
            format!(
                "sequence,label\n{}",
                (0..200).map(|i| format!("{},{}\n", bases(i, 10), i % 2)).collect::<String>()
            )
            .into_bytes(),
            &["10 bp", "needs 16"],
        ),
    ];
    for (bytes, words) in cases {
        std::fs::write(&path, &bytes).unwrap();
        let error = fail(1, &["train", "--out", text(&out), "--train", text(&path)]);
        assert!(error.contains("train.csv") || error.contains("10 bp"), "{error}");
        for word in words {
            assert!(error.contains(word), "'{word}' is missing from: {error}");
        }
        assert!(!out.exists(), "{error}");
    }
    std::fs::write(&path, format!("sequence,label\n{good}")).unwrap();
    let test = folder.path().join("test.csv");
    for (rows, words) in [
        (format!("{},2\n", bases(1, 60)), &["test.csv", "line 2", "'2'", "expected 0 or 1"]),
        (format!("{},1\n", bases(1, 61)), &["test.csv", "line 2", "61 bases", "60"]),
        (format!("{},1\n", bases(1, 60)), &["test.csv", "test part", "class '0'", "both"]),
    ] {
        std::fs::write(&test, format!("sequence,label\n{rows}")).unwrap();
        let error = fail(1, &["train", "--out", text(&out), "--train", text(&path), "--test", text(&test)]);
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        assert!(!out.exists());
    }
}

#[test]
fn wrong_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    std::fs::write(&path, "[training]\nlearning_rate = 0.1\n[data]\nmax_n = -1\n").unwrap();
    let error = fail(2, &["train", text(&path), "--momentum", "2"]);
    for word in ["x.toml", "training.learning_rate", "data.max_n", "--momentum is 2"] {
        assert!(error.contains(word), "'{word}' is missing from: {error}");
    }
    for flags in [
        &["--seed", "18446744073709551615"][..],
        &["--fragments", "10000000000000000000"],
        &["--epochs", "9223372036854775807"],
        &["--train-chroms", "1,,2"],
        &["--length", "2000000"],
        &["--valid-fragments", "0"],
    ] {
        assert_eq!(crate::fixtures::run(&[&["train"], flags].concat()).status.code(), Some(2), "{flags:?}");
    }
    let error = fail(1, &["train", "--device", "cuda", "--out", text(&folder.path().join("out"))]);
    assert!(error.contains("--device cpu"), "{error}");
}

#[test]
fn wrong_output_folders() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("notes.txt"), "mine").unwrap();
    let error = fail(1, &["train", "--out", text(&taken)]);
    assert!(error.contains("not empty") && error.contains("--force"), "{error}");
    assert!(fail(1, &["simulate", text(&taken)]).contains("--force"));
    assert_eq!(std::fs::read_dir(&taken).unwrap().count(), 1);
    // A file where a folder should be made cannot be written into, whoever asks.
    let error = fail(1, &["train", "--out", text(&taken.join("notes.txt/run"))]);
    assert!(error.contains("cannot be written") && error.contains("another place"), "{error}");
    let error = fail(
        1,
        &["predict", text(&finished().run), text(&finished().genomes.human), "--out", text(&taken.join("notes.txt/x"))],
    );
    assert!(error.contains("cannot be written"), "{error}");
}
