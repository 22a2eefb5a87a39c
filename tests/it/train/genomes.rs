//! The same windows whatever the form of the file; splits and GC as asked for.

use std::collections::BTreeMap;
use std::io::Write;

use crate::fixtures::{bgzip, column, genomes, gzip, json, outcome, text, train_on_genomes};

#[test]
fn plain_gzip_bgzf_indexed_and_larger_than_memory_give_the_same_run() {
    let mut genomes = genomes();
    let chromosomes = ["--train-chroms", "1,2", "--test-chroms", "X"];
    train_on_genomes(&genomes, &genomes.path("plain"), &chromosomes);
    let expected = outcome(&genomes.path("plain"));
    let plain = std::fs::read(&genomes.human).unwrap();

    let genomes_folder = genomes.folder.path().to_path_buf();
    let mut same = |name: &str, bytes: &[u8], flags: &[&str], index: Option<&str>| {
        genomes.human = genomes.path(&format!("{name}.fa"));
        std::fs::write(&genomes.human, bytes).unwrap();
        if let Some(index) = index {
            std::fs::write(genomes.path(&format!("{name}.fa.fai")), index).unwrap();
        }
        let out = genomes.path(&format!("run {name}"));
        train_on_genomes(&genomes, &out, &[&chromosomes[..], flags].concat());
        assert!(outcome(&out) == expected, "{name}");
        let left: Vec<_> = std::fs::read_dir(genomes.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(
            index.is_some() || !left.iter().any(|name| text(name.as_ref()).ends_with(".fai")),
            "no index is left behind"
        );
    };
    same("again", &plain, &[], None);
    same("gzip", &gzip(&plain), &[], None);
    same("bgzf", &bgzip(&plain), &[], None);
    same("two gzip members", &[gzip(&plain[..5000]), gzip(&plain[5000..])].concat(), &[], None);
    let crlf = String::from_utf8(plain.clone()).unwrap().replace('\n', "\r\n");
    same("crlf", crlf.as_bytes(), &[], None);
    let lower = String::from_utf8(plain.clone()).unwrap().to_lowercase().replace(">chrx", ">chrX");
    same("lower case", lower.as_bytes(), &[], None);
    // Larger than memory: read window by window.
    same("large plain", &plain, &["--memory", "10KB"], None);
    same("large gzip", &gzip(&plain), &["--memory", "10KB"], None);
    same("large bgzf", &bgzip(&plain), &["--memory", "10KB"], None);
    // With an index, chromosomes that no split wants are never read.
    let index =
        "chr1\t30000\t20\t60\t61\nchr2\t30000\t30540\t60\t61\nchr3\t30000\t61060\t60\t61\nchrX\t30000\t91580\t60\t61\n";
    same("index plain", &plain, &[], Some(index));
    same("index bgzf", &bgzip(&plain), &[], Some(index));
    same("index large bgzf", &bgzip(&plain), &["--memory", "10KB"], Some(index));
    let gzi = std::fs::File::create(genomes_folder.join("wrong gzi.fa.gzi")).unwrap();
    (&gzi).write_all(&[0; 8]).unwrap();
    gzi.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(3600)).unwrap();
    same("wrong gzi", &bgzip(&plain), &["--memory", "10KB"], Some(index));
    // An index that does not describe the file is not believed.
    for (name, wrong) in [
        ("shifted index", index.replace("30540", "30600")),
        ("short index", index.replace("chr2\t30000", "chr2\t29000")),
        ("long index", index.replace("chr2\t30000", "chr2\t18446744073709551615")),
        ("renamed index", index.replace("chr2", "chr9")),
        ("cut index", index.lines().take(2).map(|line| format!("{line}\n")).collect()),
        (
            "index with a gap",
            index.lines().filter(|line| !line.starts_with("chr3")).map(|line| format!("{line}\n")).collect(),
        ),
        ("empty index", String::new()),
    ] {
        same(name, &plain, &[], Some(&wrong));
    }
}

#[test]
fn chromosomes_stay_in_their_splits_and_windows_are_distinct() {
    let genomes = genomes();
    let out = genomes.path("run");
    train_on_genomes(&genomes, &out, &["--train-chroms", "chr1", "--valid-chroms", "2", "--test-chroms", "3,chrX"]);
    let table = out.join("predictions.csv");
    let (splits, chroms, names) =
        (column(&table, b',', "split"), column(&table, b',', "chrom"), column(&table, b',', "name"));
    for (split, chrom) in splits.iter().zip(&chroms) {
        let expected: &[&str] = if split == "valid" { &["chr2"] } else { &["chr3", "chrX"] };
        assert!(expected.contains(&chrom.as_str()), "{split} {chrom}");
    }
    let distinct: std::collections::HashSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    let labels = column(&table, b',', "label");
    let count =
        |split: &str, label: &str| splits.iter().zip(&labels).filter(|(s, l)| *s == split && *l == label).count();
    assert_eq!(
        [count("valid", "human"), count("valid", "mouse"), count("test", "human"), count("test", "mouse")],
        [33, 33, 100, 100]
    );
}

#[test]
fn match_gc_gives_equal_gc_in_every_bin() {
    let genomes = genomes();
    let sequence = |path: &std::path::Path| -> BTreeMap<String, String> {
        let text = std::fs::read_to_string(path).unwrap();
        text.split('>')
            .skip(1)
            .map(|record| {
                let (head, bases) = record.split_once('\n').unwrap();
                (head.split(' ').next().unwrap().to_owned(), bases.replace('\n', ""))
            })
            .collect()
    };
    let sequences = [("human", sequence(&genomes.human)), ("mouse", sequence(&genomes.mouse))];
    let histograms = |flags: &[&str]| {
        let out = genomes.path(&format!("run{}", flags.len()));
        train_on_genomes(&genomes, &out, &[&["--train-chroms", "1,2", "--test-chroms", "3,X"][..], flags].concat());
        let table = out.join("predictions.csv");
        let mut histograms: BTreeMap<(String, String), BTreeMap<usize, usize>> = BTreeMap::new();
        let columns = ["split", "label", "chrom", "start", "end"].map(|name| column(&table, b',', name));
        for i in 0..columns[0].len() {
            let [split, label, chrom, start, end] = columns.each_ref().map(|column| column[i].as_str());
            let genome = &sequences.iter().find(|(name, _)| *name == label).unwrap().1;
            let window = &genome[chrom][start.parse().unwrap()..end.parse().unwrap()];
            assert!(!window.contains('N') && window.len() == 128);
            let gc = window.bytes().filter(|b| b"GC".contains(b)).count();
            *histograms.entry((split.into(), label.into())).or_default().entry(gc * 50 / 128).or_insert(0) += 1;
        }
        histograms
    };
    let matched = histograms(&["--match-gc"]);
    let key = |split: &str, label: &str| (split.to_owned(), label.to_owned());
    for split in ["valid", "test"] {
        assert_eq!(matched[&key(split, "human")], matched[&key(split, "mouse")], "{split}");
    }
    let free = histograms(&[]);
    assert_ne!(free[&key("test", "human")], free[&key("test", "mouse")]);
}

#[test]
fn the_demo_runs_with_no_data_named_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let output = crate::fixtures::strandnet()
        .args(["train", "--fragments", "300", "--test-fragments", "100", "--epochs", "1"])
        .current_dir(&folder)
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("simulated demo genomes") && stderr.contains("test chr11"), "{stderr}");
    assert!(stdout.contains("best possible auroc"), "{stdout}");
    // The run's path is the last thing printed.
    let run = folder.path().join(stdout.lines().last().unwrap());
    assert!(run.join("metrics.json").exists() && run.parent().unwrap().ends_with("runs"));
    let best = json(&run.join("metrics.json"))["test"]["best_possible_auroc"].as_f64().unwrap();
    assert!((0.85..0.97).contains(&best), "{best}");
}
