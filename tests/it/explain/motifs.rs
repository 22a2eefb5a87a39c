//! `explain motifs`: what is written of a network's motifs, and that they are those that were planted.

use std::path::Path;

use strandnet_core::formats::meme;
use strandnet_core::genome::simulate;

use crate::fixtures::{Folder, bases, column, fail, fasta, json, meme, numbers, run, succeed, tables, text, trained};

/// Flags of `explain motifs` with the folder they write to.
fn motifs(run: &Path, out: &Path, flags: &[&str]) -> String {
    succeed(&[&["explain", "motifs", text(run), "--out", text(out), "--threads", "1", "--quiet"], flags].concat())
}

fn refused(run: &Path, flags: &[&str]) -> String {
    let folder = Folder::new();
    let out = folder.path("out");
    let error = fail(1, &[&["explain", "motifs", text(run), "--out", text(&out)], flags].concat());
    assert!(!out.exists(), "a refusal leaves nothing behind: {error}");
    error
}

#[test]
fn planted_words_are_recovered_on_either_strand() {
    let folder = Folder::new();
    let planted: Vec<String> = simulate::species().iter().flat_map(|species| species.words()).collect();
    let decoys = (0..40).map(|i| bases(1000 + i, 10 + (i as usize % 3) * 2));
    let words: Vec<String> = planted.iter().cloned().chain(decoys).collect();
    let database = folder.write("known.meme", meme(&words));
    let (run, out) = (folder.path("run"), folder.path("out"));
    succeed(&[
        "train",
        "--out",
        text(&run),
        "--quiet",
        "--arch",
        "shallow",
        "--fragments",
        "20000",
        "--test-fragments",
        "4000",
        "--epochs",
        "12",
        "--lr",
        "0.003",
        "--threads",
        "2",
    ]);
    let table = motifs(&run, &out, &["--database", &database]);
    assert!(table.contains("filters fire on 4,000 test sequences"), "{table}");

    let tsv = out.join("motifs.tsv");
    let [human, mouse] = simulate::species();
    // Filters, or motifs, that tell the species apart have learned what was planted, and nothing else.
    let found_in = |tsv: &Path, most: f64| {
        let (names, q) = (column(tsv, b'\t', "best_match"), column(tsv, b'\t', "best_match_q_value"));
        let (class, in_class) = (column(tsv, b'\t', "enriched_in"), column(tsv, b'\t', "q_value"));
        let small = |text: &str, most: f64| text.parse().is_ok_and(|q: f64| q < most);
        let mut found = Vec::new();
        for i in (0..names.len()).filter(|&i| small(&in_class[i], most)) {
            assert!(small(&q[i], 0.01), "{} {}", names[i], q[i]);
            let species = if human.words().contains(&names[i]) { &human } else { &mouse };
            assert!(planted.contains(&names[i]), "{}", names[i]);
            assert_eq!(class[i], species.name);
            found.push(names[i].clone());
        }
        found
    };
    // Discovered motifs are tested with half of a quarter as many sequences.
    let (filters, discovered) = (found_in(&tsv, 1e-20), found_in(&out.join("discovered.tsv"), 1e-10));
    let about = json(&out.join("motifs.json"));
    for (matching, found) in [("matching", &filters), ("matching_of_discovered", &discovered)] {
        let matching = &about[matching];
        let beyond = matching["beyond_untrained"].as_array().unwrap();
        let beyond: Vec<&str> = beyond.iter().map(|matched| matched["known"].as_str().unwrap()).collect();
        assert!(found.iter().all(|word| beyond.contains(&word.as_str())), "{found:?} {beyond:?}");
        assert!(beyond.iter().all(|word| planted.iter().any(|planted| planted == word)), "no decoy: {beyond:?}");
        assert!(matching["untrained_compared"].as_u64() >= Some(200) && matching["shuffled"].as_u64() >= Some(500));
    }
    assert!(table.contains(" match known motifs at q < 0.05 beyond the untrained network"), "{table}");
    let distinct: std::collections::BTreeSet<&String> = discovered.iter().collect();
    assert_eq!(distinct.len(), discovered.len(), "each word is one motif: {discovered:?}");
    for found in [filters, discovered] {
        let missing: Vec<&String> = planted.iter().filter(|word| !found.contains(word)).collect();
        assert!(missing.len() <= 1, "not found: {missing:?}");
    }
    // Words are planted on both strands, and so are sites.
    let (sites, reverse) = (numbers(&tsv, b'\t', "sites"), numbers(&tsv, b'\t', "reverse_sites"));
    let share = reverse.iter().sum::<f64>() / sites.iter().sum::<f64>();
    assert!((0.4..0.6).contains(&share), "{share}");
    let strands = column(&out.join("matches.tsv"), b'\t', "strand");
    assert!(strands.iter().any(|strand| strand == "+") && strands.iter().any(|strand| strand == "-"));
}

/// Steps too small to change a weight: the filters are those that the network began with, and what their sites resemble is
/// what is frequent in the sequences.
#[test]
fn a_network_that_learned_nothing_matches_nothing() {
    let folder = Folder::new();
    let planted = simulate::species().iter().flat_map(|species| species.words()).collect::<Vec<_>>();
    let decoys = (0..60).map(|i| bases(2000 + i, 8));
    let database = folder.write("known.meme", meme(&planted.into_iter().chain(decoys).collect::<Vec<_>>()));
    for (name, flags) in [
        ("shallow", &["--arch", "shallow", "--width", "12", "--filters", "64"][..]),
        ("residual", &["--arch", "residual", "--filters", "48"]),
    ] {
        let (run, out) = (folder.path(name), folder.path(&format!("{name}.out")));
        let common =
            ["train", "--out", text(&run), "--quiet", "--threads", "2", "--fragments", "1000", "--lr", "1e-12"];
        succeed(&[&common[..], &["--test-fragments", "1000", "--epochs", "1"], flags].concat());
        motifs(&run, &out, &["--database", &database, "--discover", "0"]);
        let matching = &json(&out.join("motifs.json"))["matching"];
        assert!(matching["compared"].as_u64() > Some(30), "{name}: {matching}");
        assert!(matching["calibrated"].as_u64() <= Some(1), "{name}: {matching}");
        let q = numbers(&out.join("motifs.tsv"), b'\t', "best_match_q_value");
        assert!(q.iter().filter(|&&q| q < 0.05).count() <= 1, "{name}: {q:?}");
    }
}

#[test]
fn all_is_written_into_the_run_and_replaced_only_when_asked() {
    let run_folder = trained(&["--epochs", "2"]);
    let path = &run_folder.path;
    let stdout = succeed(&["explain", "motifs", text(path), "--quiet"]);
    let out = path.join("explain/motifs");
    assert!(stdout.ends_with(&format!("{}\n", out.display())), "{stdout}");
    let about = json(&out.join("motifs.json"));
    let firing = about["firing"].as_u64().unwrap() as usize;
    assert_eq!((about["filters"].as_u64(), about["both_strands"].as_bool()), (Some(16), Some(true)));
    let filters = column(&out.join("motifs.tsv"), b'\t', "filter");
    assert_eq!((filters.len(), filters[0].as_str(), filters[15].as_str()), (16, "f1", "f16"));
    let motifs = firing + about["discovered"].as_u64().unwrap() as usize;
    assert_eq!(meme::read(&out.join("motifs.meme")).unwrap().len(), motifs);
    assert_eq!(std::fs::read_dir(out.join("logos")).unwrap().count(), 2 * motifs, "as PNG and as SVG");
    assert_eq!(column(&out.join("enrichment.tsv"), b'\t', "filter").len(), firing);
    assert_eq!(column(&out.join("positions.tsv"), b'\t', "end_bp")[0], "2");
    assert!(std::fs::read(out.join("motifs.png")).unwrap().starts_with(b"\x89PNG"));
    assert!(std::fs::read(out.join("motifs.svg")).unwrap().starts_with(b"<?xml"));
    let shown = column(&out.join("motifs.tsv"), b'\t', "shown_as");
    assert_eq!(shown.iter().filter(|shown| !shown.is_empty()).count(), firing);
    assert!(shown.iter().all(|shown| shown.is_empty() || filters.contains(shown)), "{shown:?}");
    assert!(!out.join("matches.tsv").exists());
    // Sites are those of the table: each row of a matrix has their number.
    let sites: f64 = numbers(&out.join("motifs.tsv"), b'\t', "sites").iter().sum();
    assert_eq!(sites, numbers(&out.join("positions.tsv"), b'\t', "sites").iter().sum::<f64>());
    // The run is still what it was.
    succeed(&["verify", text(path)]);

    let error = fail(1, &["explain", "motifs", text(path)]);
    assert!(error.contains("is not empty") && error.contains("--force"), "{error}");
    std::fs::write(out.join("notes.txt"), "mine").unwrap();
    std::fs::write(out.join("logos/old.png"), "old").unwrap();
    std::fs::write(out.join("discovered.tsv"), "old").unwrap();
    let sequences = run_folder.path.join("s.fa");
    let records: Vec<(String, String)> = (0..20).map(|i| (format!("r{i}"), bases(i, 50 + i as usize))).collect();
    let records: Vec<(&str, &str)> = records.iter().map(|(name, bases)| (name.as_str(), bases.as_str())).collect();
    std::fs::write(&sequences, fasta(&records)).unwrap();
    let stdout =
        succeed(&["explain", "motifs", text(path), "--force", "--sequences", text(&sequences), "--limit", "10"]);
    assert!(stdout.contains("filters fire on 10 sequences\n"), "{stdout}");
    assert!(out.join("notes.txt").exists() && !out.join("logos/old.png").exists());
    assert!(!out.join("enrichment.tsv").exists(), "no classes");
    assert!(!out.join("discovered.tsv").exists(), "too few sequences for a motif");
    assert_eq!(column(&out.join("positions.tsv"), b'\t', "end_share")[0], "0.02");
}

#[test]
fn what_is_looked_at_can_be_chosen() {
    let folder = Folder::new();
    let path = trained(&["--epochs", "1"]).path;
    let sequences = |name: &str, flags: &[&str]| {
        motifs(&path, &folder.path(name), flags);
        json(&folder.path(name).join("motifs.json"))["sequences"].as_u64().unwrap()
    };
    let counts = json(&path.join("run.json"))["examples"].clone();
    for split in ["train", "valid", "test"] {
        assert_eq!(Some(sequences(split, &["--split", split])), counts[split].as_u64());
    }
    assert_eq!(sequences("some", &["--split", "train", "--limit", "50"]), 50);
    assert_eq!(sequences("all", &[]), sequences("again", &["--limit", "1000000"]));
    let table = |name: &str| std::fs::read(folder.path(name).join("motifs.tsv")).unwrap();
    assert_eq!(table("all"), table("again"));
    assert_eq!(table("all"), table("test"));
}

#[test]
fn members_strands_and_tied_filters_are_what_they_are() {
    let folder = Folder::new();
    let ensemble = trained(&["--epochs", "1", "--ensemble", "2"]).path;
    let filters = |run: &Path, name: &str, flags: &[&str]| {
        motifs(run, &folder.path(name), flags);
        column(&folder.path(name).join("motifs.tsv"), b'\t', "filter")
    };
    let all = filters(&ensemble, "all", &[]);
    assert_eq!((all.len(), all[0].as_str(), all[16].as_str()), (32, "m1_f1", "m2_f1"));
    let second = filters(&ensemble, "second", &["--member", "2"]);
    assert_eq!(second, all[16..]);
    let rows = |name: &str| std::fs::read_to_string(folder.path(name).join("motifs.tsv")).unwrap();
    // All but what is corrected for the number of filters.
    let first_columns = |row: &str| row.split('\t').take(9).collect::<Vec<_>>().join("\t");
    let (all, second) = (rows("all"), rows("second"));
    assert!(second.lines().skip(1).map(first_columns).eq(all.lines().skip(17).map(first_columns)));
    let error = refused(&ensemble, &["--member", "3"]);
    assert!(error.contains("--member is 3, and the run has 2 networks; expected 1 to 2"), "{error}");

    let tied = trained(&["--epochs", "1", "--strands", "equivariant"]).path;
    assert_eq!(filters(&tied, "tied", &[]).len(), 8);
    let single = trained(&["--epochs", "1", "--strands", "single"]).path;
    filters(&single, "single", &[]);
    assert!(numbers(&folder.path("single").join("motifs.tsv"), b'\t', "reverse_sites").iter().all(|&n| n == 0.0));
    let meme = std::fs::read_to_string(folder.path("single").join("motifs.meme")).unwrap();
    assert!(meme.contains("strands: +\n"), "{meme}");
}

#[test]
fn classes_labels_and_values_are_told_apart_by_name() {
    let folder = Folder::new();
    for (name, flags, _) in tables().questions() {
        let run = crate::fixtures::trained_on(&flags, &["--epochs", "1"]).path;
        motifs(&run, &folder.path(name), &[]);
        let about = json(&run.join("run.json"));
        let known: Vec<String> =
            about["classes"].as_array().unwrap().iter().map(|class| class.as_str().unwrap().to_owned()).collect();
        let classes = column(&folder.path(name).join("enrichment.tsv"), b'\t', "class");
        assert!(!classes.is_empty());
        for class in classes {
            assert!(known.iter().any(|known| class == *known || class == format!("high {known}")), "{name}: {class}");
        }
    }
}

#[test]
fn what_cannot_be_explained_is_one_sentence() {
    let folder = Folder::new();
    let path = trained(&["--epochs", "1"]).path;
    let error = refused(folder.path("nothing").as_path(), &[]);
    assert!(error.contains("no such folder, expected a run folder"), "{error}");
    let error = refused(folder.path("").as_path(), &[]);
    assert!(error.contains("holds no run.json, expected a run folder"), "{error}");

    let empty = folder.write("empty.meme", "");
    let error = refused(&path, &["--database", &empty]);
    assert!(error.contains("empty.meme: is empty, expected motifs in MEME format"), "{error}");
    let none = folder.write("none.meme", "MEME version 4\n\nALPHABET= ACGT\n");
    let error = refused(&path, &["--database", &none]);
    assert!(error.contains("none.meme: holds no motifs"), "{error}");
    let broken = folder.write("broken.meme", meme(&["ACGT".into()]).replace("w= 4", "w= 5"));
    let error = refused(&path, &["--database", &broken]);
    assert!(error.contains("broken.meme: line") && error.contains("has 4 rows"), "{error}");

    let short = folder.write("short.fa", fasta(&[("long", &bases(1, 60)), ("short", &bases(2, 31))]));
    let error = refused(&path, &["--sequences", &short]);
    assert!(error.contains("short.fa: record 'short' has 31 bp, expected 32 or more"), "{error}");
    let error = refused(&path, &["--sequences", text(&folder.path("absent.fa"))]);
    assert!(error.contains("absent.fa"), "{error}");
    let error = refused(&path, &["--sequences", "-"]);
    assert!(error.contains("-: the file is empty"), "{error}"); // a pipe is read, and the tests' holds nothing
    assert_eq!(
        run(&["explain", "motifs", text(&path), "--sequences", &short, "--split", "test"]).status.code(),
        Some(2)
    );
    assert_eq!(run(&["explain"]).status.code(), Some(2));

    let layers = folder.write(
        "lstm.toml",
        "[model]\narch = \"custom\"\n[[layer]]\nkind = \"lstm\"\nunits = 4\n[[layer]]\nkind = \"global-pool\"\nof = \"max\"\n",
    );
    let lstm = folder.path("lstm");
    succeed(&["train", &layers, "--train", &tables().binary, "--epochs", "1", "--out", text(&lstm), "--quiet"]);
    let error = refused(&lstm, &[]);
    assert!(error.contains("first layer is lstm, expected a convolution"), "{error}");
}

#[test]
fn databases_of_every_format_give_the_same_matches() {
    let (folder, path) = (Folder::new(), trained(&["--epochs", "1"]).path);
    let words: Vec<String> = (0..30).map(|i| bases(1000 + i, 8)).collect();
    let count = |word: &str, row: char| -> Vec<&str> {
        word.chars().map(|base| if base == row { "97" } else { "1" }).collect()
    };
    let jaspar: String = words
        .iter()
        .enumerate()
        .map(|(i, word)| {
            let rows = "ACGT".chars().map(|row| format!("{row}  [ {} ]\n", count(word, row).join("  ")));
            format!(">W{i}\t{word}\n{}", rows.collect::<String>())
        })
        .collect();
    let pcm: String = words
        .iter()
        .enumerate()
        .map(|(i, word)| {
            let rows = word.chars().map(|base| {
                let row: Vec<&str> = "ACGT".chars().map(|other| if base == other { "97.0" } else { "1.0" }).collect();
                row.join("\t") + "\n"
            });
            format!(">W{i} {word}\n{}", rows.collect::<String>())
        })
        .collect();
    let mut matches = Vec::new();
    for (name, text_of) in [("known.meme", meme(&words)), ("known.jaspar", jaspar), ("known.pcm", pcm)] {
        let database = folder.write(name, text_of);
        let out = folder.path(&format!("{name}.out"));
        motifs(&path, &out, &["--database", &database, "--discover", "0"]);
        matches.push(std::fs::read_to_string(out.join("matches.tsv")).unwrap());
    }
    assert!(matches[0].lines().count() > 5 && matches.iter().all(|found| *found == matches[0]));
    let log_odds = folder.write("known.pwm", ">AHR\n0.2 0.4 -0.7 -2.1\n-1 1 -1 -1\n0 0 0 0\n");
    let error = refused(&path, &["--database", &log_odds]);
    assert!(error.contains("motif 'AHR' holds numbers below 0") && error.contains("expected counts"), "{error}");
}
