//! A class for each file of sequences, and tables: classes, splits and lengths.

use std::collections::BTreeMap;

use crate::fixtures::{
    Folder, Row, bases, bases_of_gc, borrowed, examples, fail, fasta, fastq, gzip, json, outcome, reverse_complement,
    text, train,
};

/// Records of one class: `n` sequences of `length` bases.
fn records(class: u64, n: usize, length: usize) -> Vec<(String, String)> {
    let gc = 0.4 + 0.1 * (class % 3) as f64;
    (0..n as u64).map(|i| (format!("seq{class}_{i}"), bases_of_gc(class * 100_000 + i, length, gc))).collect()
}

fn as_fasta(records: &[(String, String)]) -> String {
    fasta(&borrowed(records))
}

/// Rows of each split and label.
fn counts(rows: &[Row]) -> BTreeMap<(&str, &str), usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry((row.split.as_str(), row.label.as_str())).or_insert(0) += 1;
    }
    counts
}

#[test]
fn fasta_fastq_compression_case_and_line_ends_give_the_same_run() {
    let folder = Folder::new();
    let (a, b) = (records(1, 150, 60), records(2, 150, 60));
    let run = |name: &str, a: Vec<u8>, b: Vec<u8>| {
        let a = format!("a={}", folder.write(&format!("a of {name}"), a));
        let b = format!("b={}", folder.write(&format!("b of {name}"), b));
        let out = folder.path(name);
        train(&out, &["--class", &a, "--class", &b]);
        outcome(&out)
    };
    let expected = run("plain", as_fasta(&a).into(), as_fasta(&b).into());
    let lower = |text: String| text.replace(['A', 'C', 'G', 'T'], "").len(); // what is left is no base
    assert!(lower(as_fasta(&a)) > 0);
    let fastq_lower: Vec<(String, String)> =
        b.iter().map(|(name, bases)| (name.clone(), bases.to_lowercase())).collect();
    let rna: Vec<(String, String)> = a.iter().map(|(name, bases)| (name.clone(), bases.replace('T', "U"))).collect();
    for (name, a, b) in [
        ("fastq and gzip", fastq(&a).into_bytes(), gzip(as_fasta(&b).as_bytes())),
        ("crlf and gzip of fastq", as_fasta(&a).replace('\n', "\r\n").into_bytes(), gzip(fastq(&b).as_bytes())),
        ("rna and lower case", as_fasta(&rna).into_bytes(), fastq(&fastq_lower).replace('\n', "\r\n").into_bytes()),
    ] {
        assert!(run(name, a, b) == expected, "{name}");
    }
}

#[test]
fn three_classes_keep_the_order_of_the_flags_and_a_name_given_twice_adds_a_file() {
    let folder = Folder::new();
    let mut flags = Vec::new();
    for (i, (class, n)) in [("oak", 60), ("ash", 90), ("elm", 70), ("oak", 40)].into_iter().enumerate() {
        let file = folder.write(&format!("{i}.fa"), as_fasta(&records(i as u64, n, 50)));
        flags.extend(["--class".to_owned(), format!("{class}={file}")]);
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let out = folder.path("run");
    train(&out, &flags);
    let provenance = json(&out.join("run.json"));
    assert_eq!(provenance["classes"], serde_json::json!(["oak", "ash", "elm"]));
    assert_eq!((provenance["task"]["kind"].as_str(), provenance["length"].as_u64()), (Some("multiclass"), Some(50)));
    assert!(provenance["positive"].is_null());
    let rows = examples(&out);
    for (class, n) in [("oak", 100), ("ash", 90), ("elm", 70)] {
        assert_eq!(rows.iter().filter(|row| row.label == class).count(), n, "{class}");
    }
    // Every record stands once, as it was.
    let all: Vec<(String, String)> = (0..4).flat_map(|i| records(i, [60, 90, 70, 40][i as usize], 50)).collect();
    let mut found: Vec<_> = rows.into_iter().map(|row| (row.name, row.sequence)).collect();
    let mut expected = all;
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    // The order that is asked for, and with two classes the first is positive.
    let out = folder.path("two");
    train(&out, &[&flags[..4], &["--classes", "ash,oak"]].concat());
    let provenance = json(&out.join("run.json"));
    assert_eq!((&provenance["classes"], &provenance["positive"]), (&serde_json::json!(["ash", "oak"]), &"ash".into()));
}

#[test]
fn files_for_validation_and_test_are_all_of_those_parts() {
    let folder = Folder::new();
    let file = |name: &str, class: u64, n: usize| folder.write(name, as_fasta(&records(class, n, 50)));
    let flags = [
        ("--class", "a", file("a.fa", 1, 100)),
        ("--class", "b", file("b.fa", 2, 110)),
        ("--valid-class", "a", file("va.fa", 3, 21)),
        ("--valid-class", "b", file("vb.fa", 4, 22)),
        ("--test-class", "b", file("tb.fa", 5, 31)),
        ("--test-class", "a", file("ta.fa", 6, 32)),
    ];
    let flags: Vec<String> =
        flags.iter().flat_map(|(flag, name, file)| [(*flag).to_owned(), format!("{name}={file}")]).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let out = folder.path("run");
    train(&out, &flags);
    let rows = examples(&out);
    let of = |split, label| counts(&rows)[&(split, label)];
    assert_eq!(
        ["train", "valid", "test"].map(|split| (of(split, "a"), of(split, "b"))),
        [(100, 110), (21, 22), (32, 31)]
    );
    assert!(
        rows.iter()
            .filter(|row| row.split == "test")
            .all(|row| row.name.starts_with("seq5") || row.name.starts_with("seq6"))
    );

    // With a file for the test only, validation is a share of the rest, and no test record comes from it.
    let out = folder.path("test only");
    train(&out, &[&flags[..4], &flags[8..]].concat());
    let rows = examples(&out);
    let of = |split| rows.iter().filter(|row| row.split == split).count();
    assert_eq!((of("test"), of("train") + of("valid")), (63, 210));
    assert!((8..40).contains(&of("valid")), "about a tenth: {}", of("valid"));
}

#[test]
fn names_with_coordinates_split_by_chromosome_however_they_count() {
    let folder = Folder::new();
    let mut files: Vec<Vec<(String, String)>> = vec![Vec::new(), Vec::new()];
    let mut expected = Vec::new();
    for (class, file) in files.iter_mut().enumerate() {
        for i in 0..120 {
            let chrom = format!("chr{}", i % 5 + 1);
            let (start, end) = (1000 * i, 1000 * i + 50);
            // From 0 as bedtools writes it, from 1 as samtools does, with a name before and a strand behind.
            let (name, strand) = match i % 4 {
                0 => (format!("{chrom}:{start}-{end}"), "+"),
                1 => (format!("{chrom}:{}-{end}", start + 1), "+"),
                2 => (format!("peak{i}::{chrom}:{start}-{end}(-)"), "-"),
                _ => (format!("{chrom}:{}-{end}(+)", start + 1), "+"),
            };
            file.push((name.clone(), bases((class * 1000 + i) as u64, 50)));
            let split = ["train", "train", "valid", "test", ""][i % 5];
            if !split.is_empty() {
                expected.push((["a", "b"][class], name, chrom, start, end, strand, split));
            }
        }
    }
    let flags: Vec<String> = files
        .iter()
        .zip(["a", "b"])
        .map(|(file, name)| format!("{name}={}", folder.write(&format!("{name}.fa"), as_fasta(file))))
        .collect();
    let class = ["--class", &flags[0], "--class", &flags[1]];
    let chromosomes = ["--train-chroms", "1,chr2", "--valid-chroms", "chr3", "--test-chroms", "4"];
    let out = folder.path("run");
    let (_, stderr) = train(&out, &[&class[..], &chromosomes].concat());
    assert!(stderr.contains("48 sequences lie on chromosomes for no split"), "{stderr}");
    let rows = examples(&out);
    let mut found: Vec<_> = rows
        .iter()
        .map(|row| {
            let Row { label, name, chrom, start, end, strand, split, .. } = row;
            (label.as_str(), name.clone(), chrom.clone(), *start, *end, strand.as_str(), split.as_str())
        })
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    // Without a word on chromosomes they are dealt by name: all of a chromosome lies in one split.
    let out = folder.path("dealt");
    let many: Vec<Vec<(String, String)>> = (0..2u64)
        .map(|class| {
            (0..200)
                .map(|i| (format!("chr{}:{}-{}", i % 20 + 1, i * 100, i * 100 + 50), bases(class * 1000 + i, 50)))
                .collect()
        })
        .collect();
    let flags: Vec<String> = many
        .iter()
        .zip(["a", "b"])
        .map(|(file, name)| format!("{name}={}", folder.write(&format!("many {name}.fa"), as_fasta(file))))
        .collect();
    train(&out, &["--class", &flags[0], "--class", &flags[1]]);
    let mut split_of: BTreeMap<String, String> = BTreeMap::new();
    let rows = examples(&out);
    assert_eq!(rows.len(), 400);
    for row in &rows {
        let split = split_of.entry(row.chrom.clone()).or_insert_with(|| row.split.clone());
        assert_eq!(*split, row.split, "{}", row.chrom);
    }
    assert_eq!(split_of.len(), 20);
    let of = |split: &str| split_of.values().filter(|found| *found == split).count();
    assert!(of("train") > 10 && of("valid") > 0 && of("test") > 0);
}

#[test]
fn a_sequence_lands_in_the_same_split_whatever_its_strand_name_class_or_file() {
    let folder = Folder::new();
    let first = records(1, 500, 60);
    // The same again: half as they are, half as the other strand, some in lower case, under another class too.
    let copies: Vec<(String, String)> = first
        .iter()
        .enumerate()
        .map(|(i, (name, bases))| {
            let bases = if i % 2 == 0 { reverse_complement(bases) } else { bases.clone() };
            (format!("copy_of_{name}"), if i % 3 == 0 { bases.to_lowercase() } else { bases })
        })
        .collect();
    let [a, b] = [("a.fa", as_fasta(&first)), ("b.fq", fastq(&copies))]
        .map(|(name, text)| format!("{}={}", &name[..1], folder.write(name, text)));
    let out = folder.path("run");
    let (_, stderr) = train(&out, &["--class", &a, "--class", &b, "--valid-fraction", "0.3", "--test-fraction", "0.2"]);
    let rows = examples(&out);
    let split_of: BTreeMap<&str, &str> = rows.iter().map(|row| (row.name.as_str(), row.split.as_str())).collect();
    assert_eq!(split_of.len(), 1000);
    for (name, _) in &first {
        assert_eq!(split_of[name.as_str()], split_of[format!("copy_of_{name}").as_str()], "{name}");
    }
    // Shares as asked for: 500 sequences, each with its copy; within five standard deviations.
    let of = |split: &str| rows.iter().filter(|row| row.split == split).count() / 2;
    assert!((98..=202).contains(&of("valid")) && (55..=145).contains(&of("test")), "{} {}", of("valid"), of("test"));
    assert!(of("valid") > of("test"), "{} {}", of("valid"), of("test"));
    assert!(stderr.contains("validation: 30 %") && stderr.contains("test: 20 %"), "{stderr}");
    // The split of a sequence depends on nothing but itself, so other company leaves it where it was.
    let fewer = format!("a={}", folder.write("fewer.fa", as_fasta(&first[100..400])));
    let other = format!("b={}", folder.write("other.fa", as_fasta(&records(7, 300, 60))));
    let out = folder.path("fewer");
    let flags = ["--valid-fraction", "0.3", "--test-fraction", "0.2", "--seed", "9"];
    train(&out, &[&["--class", &fewer, "--class", &other][..], &flags].concat());
    for row in examples(&out).iter().filter(|row| row.label == "a") {
        assert_eq!(row.split, split_of[row.name.as_str()], "{}", row.name);
    }
}

#[test]
fn mixed_lengths_are_cropped_or_padded_on_request_and_an_error_otherwise() {
    let folder = Folder::new();
    let lengths = [61, 60, 75, 90];
    let mixed = |class: u64| -> Vec<(String, String)> {
        (0..160).map(|i| (format!("seq{class}_{i}"), bases(class * 1000 + i, lengths[i as usize % 4]))).collect()
    };
    let (a, b) = (mixed(1), mixed(2));
    let file = |name: &str, records: &[(String, String)]| folder.write(name, as_fasta(records));
    let (file_a, file_b) = (file("a.fa", &a), file("b.fa", &b));
    let class = [format!("a={file_a}"), format!("b={file_b}")];
    let class = ["--class", &class[0], "--class", &class[1]];
    let of: BTreeMap<&str, &str> = a.iter().chain(&b).map(|(name, bases)| (name.as_str(), bases.as_str())).collect();
    // Where the middle falls between two bases, either will do.
    let fitted = |bases: &str, length: usize| -> Vec<String> {
        let difference = bases.len().abs_diff(length);
        let places = difference / 2..=difference.div_ceil(2);
        if bases.len() >= length {
            return places.map(|start| bases[start..start + length].to_owned()).collect();
        }
        places.map(|before| format!("{}{bases}{}", "N".repeat(before), "N".repeat(difference - before))).collect()
    };
    for (name, flags, length) in [
        ("crop", &["--fit", "center-crop"][..], 60),
        ("pad", &["--fit", "pad"], 90),
        ("crop to", &["--fit", "center-crop", "--length", "50"], 50),
        ("pad to", &["--fit", "pad", "--length", "101"], 101),
        ("both", &["--fit", "crop-or-pad", "--length", "70"], 70),
    ] {
        let out = folder.path(name);
        train(&out, &[&class[..], flags].concat());
        assert_eq!(json(&out.join("run.json"))["length"], length, "{name}");
        let rows = examples(&out);
        assert_eq!(rows.len(), 320, "{name}");
        for row in rows {
            assert!(fitted(of[row.name.as_str()], length).contains(&row.sequence), "{name}: {}", row.name);
        }
    }
    let out = folder.path("never");
    let fails = |code: i32, flags: &[&str], words: &[&str]| {
        let error = fail(code, &[&["train", "--out", text(&out)][..], &class, flags].concat());
        assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
        assert!(!out.exists(), "{error}");
    };
    // The first record that does not fit is named, with its length and what would help.
    fails(1, &[], &["a.fa", "'seq1_1'", "60 bases", "expected 61", "'seq1_0'", "--fit center-crop, pad"]);
    fails(1, &["--length", "60"], &["a.fa", "'seq1_0'", "61 bases", "expected 60", "--fit"]);
    fails(1, &["--fit", "center-crop", "--length", "75"], &["a.fa", "'seq1_0'", "61 bases", "75 or more"]);
    fails(1, &["--fit", "pad", "--length", "75"], &["a.fa", "'seq1_3'", "90 bases", "75 or less"]);
}

#[test]
fn wrong_files_of_a_class_are_one_sentence_and_leave_nothing() {
    let folder = Folder::new();
    let good = folder.write("good.fa", as_fasta(&records(1, 100, 50)));
    let good = format!("good={good}");
    let out = folder.path("never");
    let fails = |code: i32, flags: &[&str], words: &[&str]| {
        let error = fail(code, &[&["train", "--out", text(&out)][..], flags].concat());
        for word in words {
            assert!(error.contains(word), "'{word}' is missing from: {error}");
        }
        assert!(!out.exists(), "{error}");
    };
    let bad = as_fasta(&records(2, 100, 50));
    let reads = fastq(&records(2, 100, 50));
    let unknown = |bases: &str| format!("{bad}>void\n{bases}\n");
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("empty.fa", vec![], &["empty"]),
        ("empty.fa.gz", gzip(b""), &["empty"]),
        ("blank.fa", b"\n\n".to_vec(), &["expected"]),
        ("unknown.fa", unknown(&"N".repeat(50)).into(), &["'void'", "all 50 bases are unknown"]),
        ("unknown lower.fa", unknown(&"nnRYk".repeat(10)).into(), &["'void'", "all 50 bases are unknown"]),
        ("without bases.fa", unknown("").into(), &["'void'", "empty"]),
        ("odd letter.fa", unknown(&format!("{}*", "A".repeat(49))).into(), &["'void'", "'*'", "base 50"]),
        ("table.fa", b"sequence,label\nACGT,1\n".to_vec(), &["starts with 's'", "expected FASTA"]),
        ("not gzip.fa.gz", vec![0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], &["damaged"]),
        ("cut.fq", reads.as_bytes()[..reads.len() - 30].to_vec(), &["read 100", "'seq2_99'"]),
        ("cut.fq.gz", gzip(reads.as_bytes())[..600].to_vec(), &["ends in the middle"]),
    ];
    for (name, bytes, words) in cases {
        let bad = format!("bad={}", folder.write(name, bytes));
        fails(1, &["--class", &good, "--class", &bad], &[&[name], words].concat());
    }
    let bad = format!("bad={}", folder.write("bad.fa", bad));
    let both = ["--class", &good, "--class", &bad];
    // Of 100 sequences of a class, none is left for one of the parts.
    let one = format!("one={}", folder.write("one.fa", as_fasta(&records(3, 1, 50))));
    fails(1, &["--class", &good, "--class", &one], &["no example of class 'one'", "both"]);
    // A label that appears in test and not in training.
    let third = format!("third={}", folder.write("third.fa", as_fasta(&records(4, 10, 50))));
    fails(
        1,
        &[&both[..], &["--test-class", &third]].concat(),
        &["third.fa", "'seq4_0'", "'third' in test and not in training", "good or bad"],
    );
    // Without coordinates there is no split by chromosome.
    fails(
        1,
        &[&both[..], &["--test-chroms", "1"]].concat(),
        &["good.fa", "'seq1_0'", "no coordinates", "--test-fraction"],
    );
    // Flags that contradict each other are all named at once.
    let table = folder.write("t.csv", "sequence,label\nACGT,1\n");
    let same = good.replace("good=", "same=");
    fails(
        2,
        &["--class", &good, "--valid-class", &bad, "--class", &same, "--train", &table],
        &["both --class and --train", "good.fa twice"],
    );
    fails(2, &["--valid-class", &good, "--test-class", &bad], &["--valid-class or --test-class", "without --class"]);
    fails(
        2,
        &[
            &both[..],
            &["--class", &third, "--task", "binary", "--classes", "good,other", "--label-columns", "x", "--resample"],
            &["--match-gc", "--fragments", "100", "--negatives", "shuffle", "--test-chroms", "1"],
            &["--valid-fraction", "0.6", "--test-fraction", "0.5"],
        ]
        .concat(),
        &[
            "--task binary is given with 3 classes (good, bad, third)",
            "names the classes good, bad, third, expected good, other",
            "--label-columns goes with --task multilabel or regression",
            "--resample goes with --genome",
            "--match-gc goes with --genome",
            "--fragments goes with --genome",
            "--negatives goes with --regions",
            "both chromosomes and --valid-fraction or --test-fraction",
            "nothing to train on",
        ],
    );
    fails(
        2,
        &["--class", &good, "--task", "regression", "--test-fraction", "1.5", "--fit", "crop-or-pad"],
        &["1 class (good)", "--task multilabel and regression need", "--test-fraction is 1.5", "without --length"],
    );
    fails(1, &[&both[..], &["--loss", "poisson"]].concat(), &["--loss poisson", "--task regression"]);
    fails(1, &[&both[..], &["--class-weights", "goood=2"]].concat(), &["'goood'", "good, bad"]);
}

#[test]
fn a_table_with_a_split_column_is_taken_at_its_word() {
    let folder = Folder::new();
    let splits = ["train", "Train", "TRAIN", "training", "dev", "valid", "validation", "test"];
    let rows: Vec<(String, &str, String)> =
        (0..320).map(|i| (bases(i, 55), splits[i as usize % 8], format!("class {}", i % 3))).collect();
    let table: String = rows.iter().map(|(bases, split, label)| format!("{split},{bases},{label}\n")).collect();
    let path = folder.write("all.csv", format!("split,sequence,label\n{table}"));
    let out = folder.path("run");
    train(&out, &["--train", &path]);
    let found = examples(&out);
    assert_eq!(found.len(), 320);
    let by_sequence: BTreeMap<&str, &Row> = found.iter().map(|row| (row.sequence.as_str(), row)).collect();
    for (bases, split, label) in &rows {
        let row = by_sequence[bases.as_str()];
        let expected = if *split == "test" {
            "test"
        } else if split.to_lowercase().starts_with("train") {
            "train"
        } else {
            "valid"
        };
        assert_eq!((row.split.as_str(), row.label.as_str()), (expected, label.as_str()), "{row:?}");
    }
    // The same in another dress: tabs, CRLF, lower case, gzip, columns in another order and one more.
    let other: String =
        rows.iter().map(|(bases, split, label)| format!("{}\tx\t{label}\t{split}\r\n", bases.to_lowercase())).collect();
    let other = folder.write("other.gz", gzip(format!("Sequence\textra\tLabel\tSPLIT\r\n{other}").as_bytes()));
    let again = folder.path("again");
    train(&again, &["--train", &other]);
    assert!(crate::fixtures::weights(&out) == crate::fixtures::weights(&again));
    assert_eq!(json(&out.join("metrics.json"))["test"], json(&again.join("metrics.json"))["test"]);

    let never = folder.path("never");
    for (text_, words) in [
        (
            format!("split,sequence,label\n{table}half,{},class 1\n", bases(1, 55)),
            &["line 322", "'half'", "train, valid or test"][..],
        ),
        (
            format!("split,sequence,label\n{table}test,{},class 9\n", bases(999, 55)),
            &["line 322", "'class 9' in test and not in training"],
        ),
        (format!("split,sequence,label\n{table}train,{},\n", bases(1, 55)), &["line 322", "label is empty"]),
    ] {
        let path = folder.write("bad.csv", text_);
        let error = fail(1, &["train", "--out", text(&never), "--train", &path]);
        assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
        assert!(!never.exists());
    }
}

#[test]
fn a_label_of_a_test_table_that_training_lacks_is_an_error_with_its_line() {
    let folder = Folder::new();
    let rows = |n: u64, classes: u64, seed: u64| -> String {
        (0..n).map(|i| format!("{},kind{}\n", bases(seed + i, 50), i % classes)).collect()
    };
    let table = |name: &str, rows: String| folder.write(name, format!("sequence,label\n{rows}"));
    let learned = table("train.csv", rows(120, 3, 0));
    let test = table("test.csv", format!("{}{},kind7\n", rows(30, 3, 500), bases(900, 50)));
    let out = folder.path("never");
    for (flag, part) in [("--test", "test"), ("--valid", "valid")] {
        let error = fail(1, &["train", "--out", text(&out), "--train", &learned, flag, &test]);
        let words = ["test.csv: line 32", &format!("'kind7' in {part} and not in training"), "kind0 or kind1 or kind2"];
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        assert!(!out.exists());
    }
}

#[test]
fn sequences_that_are_the_same_once_cropped_land_in_the_same_split() {
    let folder = Folder::new();
    let a = records(1, 200, 60);
    // The same peaks called a little wider by another tool.
    let b: Vec<(String, String)> =
        a.iter().map(|(name, bases)| (format!("wide_{name}"), format!("AC{bases}GT"))).collect();
    let [a_file, b_file] = [("a", &a), ("b", &b)]
        .map(|(name, records)| format!("{name}={}", folder.write(&format!("{name}.fa"), as_fasta(records))));
    let out = folder.path("run");
    train(&out, &["--class", &a_file, "--class", &b_file, "--fit", "center-crop"]);
    let rows = examples(&out);
    let mut splits: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    rows.iter().for_each(|row| splits.entry(&row.sequence).or_default().push(&row.split));
    assert_eq!(splits.len(), 200);
    let apart = splits.values().filter(|splits| splits.iter().any(|split| *split != splits[0])).count();
    assert_eq!(apart, 0, "of 200 sequences that stand twice, so many lie in two splits");
}

#[test]
fn a_chromosome_named_for_the_test_is_never_trained_on() {
    let folder = Folder::new();
    let mut flags = Vec::new();
    for class in ["a", "b"] {
        let placed: Vec<(String, String)> = (0..120)
            .map(|i| {
                (format!("chr{}:{}-{}", i % 4 + 1, i * 100, i * 100 + 50), bases(i + u64::from(class == "b") * 500, 50))
            })
            .collect();
        let own = records(u64::from(class == "b") + 5, 20, 50);
        flags.push([
            "--class".to_owned(),
            format!("{class}={}", folder.write(&format!("{class}.fa"), as_fasta(&placed))),
        ]);
        flags.push([
            "--test-class".to_owned(),
            format!("{class}={}", folder.write(&format!("t{class}.fa"), as_fasta(&own))),
        ]);
    }
    let flags: Vec<&str> = flags.iter().flatten().map(String::as_str).collect();
    let out = folder.path("run");
    let chromosomes = ["--train-chroms", "1,2", "--valid-chroms", "3", "--test-chroms", "4"];
    let all = [
        &["train", "--arch", "shallow", "--out", text(&out), "--epochs", "1", "--threads", "1", "--quiet"][..],
        &flags,
        &chromosomes,
    ]
    .concat();
    let error = fail(2, &all);
    assert!(error.contains("both --test-class and --test-chroms are given"), "{error}");
    // What --train-chroms does not name is not trained on either, whatever files there are for the test.
    let unnamed = ["--train-chroms", "1,2", "--valid-chroms", "3"];
    train(&out, &[&flags[..], &unnamed].concat());
    let chromosomes = |split: &str| -> Vec<String> {
        let rows = examples(&out);
        let mut names: Vec<String> =
            rows.iter().filter(|row| row.split == split).map(|row| row.chrom.clone()).collect();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(chromosomes("train"), ["chr1", "chr2"]);
    assert_eq!(chromosomes("valid"), ["chr3"]);
    assert_eq!(chromosomes("test"), [""], "the files for the test have no coordinates");
}

#[test]
fn a_share_for_a_part_that_has_a_file_of_its_own_is_a_contradiction() {
    let folder = Folder::new();
    let table = |name: &str, seed: u64| {
        let rows: String = (0..100).map(|i| format!("{},{}\n", bases(seed + i, 50), i % 2)).collect();
        folder.write(name, format!("sequence,label\n{rows}"))
    };
    let (learned, test) = (table("train.csv", 0), table("test.csv", 500));
    let out = folder.path("never");
    let tables = ["train", "--arch", "shallow", "--out", text(&out), "--epochs", "1", "--train", &learned];
    for (flag, share) in [("--test", "--test-fraction"), ("--valid", "--valid-fraction")] {
        let error = fail(2, &[&tables[..], &[flag, &test, share, "0.3"]].concat());
        assert!(error.contains(flag) && error.contains(share), "{error}");
        assert!(!out.exists());
    }
}

/// Windows of 50 bp all along chromosomes, each overlapping the next.
fn tiled(seed: u64, chromosomes: usize, name: impl Fn(usize, usize) -> String) -> Vec<(String, String)> {
    let tile = |chromosome: usize| {
        let whole = bases(seed + chromosome as u64, 1050);
        (0..100).map(|i| (name(chromosome, i * 10), whole[i * 10..i * 10 + 50].to_owned())).collect::<Vec<_>>()
    };
    (1..=chromosomes).flat_map(tile).collect()
}

#[test]
fn sequences_with_coordinates_keep_to_their_chromosomes_whatever_the_others_are_called() {
    let folder = Folder::new();
    let a = tiled(1, 5, |chromosome, start| format!("chr{chromosome}:{start}-{}", start + 50));
    let shuffled = tiled(100, 5, |chromosome, start| format!("chr{chromosome}:{start}-{}_shuf_1", start + 50));
    let unplaced = tiled(200, 5, |chromosome, start| format!("neg{chromosome}_{start}"));
    let file = |name: &str, records: &[(String, String)]| folder.write(name, as_fasta(records));
    let [a, b, c] = [("a", &a), ("b", &shuffled), ("c", &unplaced)]
        .map(|(name, records)| format!("{name}={}", file(&format!("{name}.fa"), records)));
    let chromosomes = ["--test-chroms", "chr1", "--valid-chroms", "2"];

    let out = folder.path("derived");
    let (_, stderr) = train(&out, &[&["--class", &a, "--class", &b][..], &chromosomes].concat());
    assert!(stderr.contains("500 sequences are derived from the places in their names"), "{stderr}");
    assert!(!stderr.contains("nearly the same") && !stderr.contains("hash"), "{stderr}");
    for row in &examples(&out) {
        let expected = match &row.name[..5] {
            "chr1:" => "test",
            "chr2:" => "valid",
            _ => "train",
        };
        assert_eq!(row.split, expected, "{}", row.name);
        assert_eq!(row.chrom.is_empty(), row.label == "b", "a shuffle lies nowhere: {}", row.name);
    }

    // Those without are split by hash, in like shares; that overlapping ones stand on both sides is said.
    let out = folder.path("mixed");
    let (_, stderr) = train(&out, &[&["--class", &a, "--class", &c][..], &chromosomes].concat());
    for words in [
        "500 sequences have coordinates and are split by them; the other 500 have none",
        "validation: 20 % of the sequences without coordinates, by a hash",
        "test sequences are nearly the same as one in training",
    ] {
        assert!(stderr.contains(words), "'{words}' is missing from: {stderr}");
    }
    let rows = examples(&out);
    assert!(rows.iter().filter(|row| row.label == "a").all(|row| (row.split == "test") == (row.chrom == "chr1")));
    let warnings = json(&out.join("run.json"))["data_warnings"].to_string();
    assert!(warnings.contains("nearly the same as one in training"), "{warnings}");
    assert!(std::fs::read_to_string(out.join("report.html")).unwrap().contains("nearly the same as one in training"));
}

#[test]
fn names_that_span_another_length_tell_the_chromosome_and_nothing_else() {
    let folder = Folder::new();
    let wide = tiled(1, 4, |chromosome, start| format!("chr{chromosome}-{}-{}", start * 100, start * 100 + 900));
    let exact = tiled(100, 4, |chromosome, start| format!("chr{chromosome}:{start}-{}", start + 50));
    let [a, b] = [("a", &wide), ("b", &exact)]
        .map(|(name, records)| format!("{name}={}", folder.write(&format!("{name}.fa"), as_fasta(records))));
    let out = folder.path("run");
    let (_, stderr) = train(&out, &["--class", &a, "--class", &b, "--test-chroms", "chr1", "--valid-chroms", "chr2"]);
    assert!(
        stderr.contains("warning: the coordinates in the names of 400 of 800 sequences span another length"),
        "{stderr}"
    );
    let rows = examples(&out);
    assert_eq!(rows.len(), 800);
    for row in &rows {
        assert_eq!(row.split == "test", row.name.starts_with("chr1"), "{}", row.name);
        assert_eq!(row.chrom.is_empty(), row.label == "a", "{}", row.name);
    }
}
