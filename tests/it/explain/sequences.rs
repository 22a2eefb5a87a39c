//! `explain sequences`: what it writes is what `predict` and brute force say, and planted words stand out.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use strandnet::formats::bigwig::BigWig;
use strandnet_core::genome::simulate;

use crate::fixtures::{
    Folder, LENGTH, bases, borrowed, column, contents, fail, fasta, gzip, json, numbers, python_with,
    reverse_complement, run, strandnet, succeed, tables, text, trained, trained_on,
};
use crate::train::profiles;
use crate::train::signals::{array_bytes, arrays, tracks};

/// `explain sequences` into a folder; returns standard output.
fn explain(run: &Path, file: &str, out: &Path, flags: &[&str]) -> String {
    let common = ["explain", "sequences", text(run), file, "--out", text(out), "--threads", "1", "--quiet"];
    succeed(&[&common, flags].concat())
}

/// A network that has learned the words of the demo, and its folder.
fn demo() -> &'static (Folder, PathBuf) {
    static DEMO: OnceLock<(Folder, PathBuf)> = OnceLock::new();
    DEMO.get_or_init(|| {
        let folder = Folder::new();
        let run = folder.path("run");
        let flags = "--quiet --arch shallow --fragments 20000 --test-fragments 1000 --epochs 12 --lr 0.003 --threads 2";
        let flags: Vec<&str> = flags.split(' ').collect();
        succeed(&[&["train", "--out", text(&run)], flags.as_slice()].concat());
        (folder, run)
    })
}

/// Random sequences of 128 bp, each with a word of the positive species at a place of its own, on either strand.
fn planted() -> Vec<(String, String, std::ops::Range<usize>)> {
    let [human, _] = simulate::species();
    let words = human.words();
    (0..30)
        .map(|i| {
            let word = &words[i % words.len()];
            let start = 5 + (i * 37) % (128 - 10 - word.len());
            let mut sequence = bases(500 + i as u64, 128);
            let word = if i % 4 < 2 { word.clone() } else { reverse_complement(word) };
            sequence.replace_range(start..start + word.len(), &word);
            (format!("chr1:{}-{}", 1000 * i, 1000 * i + 128), sequence, start..start + word.len())
        })
        .collect()
}

#[test]
fn the_top_positions_lie_in_planted_words() {
    let (folder, run) = demo();
    let planted = planted();
    let records: Vec<_> = planted.iter().map(|(name, bases, _)| (name.as_str(), bases.as_str())).collect();
    let file = folder.write("planted.fa", fasta(&records));
    let out = folder.path("planted");
    let table = explain(run, &file, &out, &["--method", "ism,saliency,ig"]);
    assert!(table.starts_with("30 sequences, log-odds of 'human' explained by ism, saliency, ig"), "{table}");
    assert!(table.contains("completeness error of integrated gradients: 0."), "{table}");
    let completeness = &json(&out.join("importance.json"))["completeness"];
    assert!(completeness["largest_error"].as_f64().unwrap() <= 0.01, "{completeness}");
    for method in ["ism", "saliency", "ig"] {
        let importance = numbers(&out.join(format!("{method}.tsv")), b'\t', "importance");
        assert_eq!(importance.len(), 30 * 128);
        let (mut hits, mut by_chance) = (0, 0.0);
        for ((_, _, site), importance) in planted.iter().zip(importance.chunks(128)) {
            let mut order: Vec<usize> = (0..128).collect();
            order.sort_by(|&a, &b| importance[b].total_cmp(&importance[a]));
            hits += order[..10].iter().filter(|position| site.contains(position)).count();
            by_chance += 10.0 * site.len() as f64 / 128.0;
        }
        // 300 positions; about 30 by chance.
        assert!(hits as f64 > 4.0 * by_chance, "{method}: {hits} of 300 in planted words, {by_chance} by chance");
        // One line for each base, where the names say.
        let graph = std::fs::read_to_string(out.join(format!("{method}.bedgraph"))).unwrap();
        let lines: Vec<Vec<&str>> = graph.lines().map(|line| line.split('\t').collect()).collect();
        assert_eq!(lines.len(), 30 * 128);
        assert_eq!(lines[128][..3], ["chr1", "1000", "1001"]);
        assert_eq!(lines[128][3].parse::<f64>().unwrap(), importance[128]);
    }
    let pictures = contents(&out.join("pictures"));
    let of = |kind: &[u8]| pictures.iter().filter(|(_, bytes)| bytes.starts_with(kind)).count();
    assert_eq!((pictures.len(), of(b"\x89PNG"), of(b"<?xml")), (8, 4, 4));
    assert!(pictures.iter().all(|(_, bytes)| bytes.len() < 200_000));
}

#[test]
fn mutagenesis_is_what_predict_says_of_each_mutant() {
    let folder = Folder::new();
    for strands in ["single", "average", "equivariant"] {
        let run = trained(&["--strands", strands]).path;
        let original = bases(3, LENGTH);
        let file = folder.write("one.fa", fasta(&[("one", &original)]));
        let out = folder.path(strands);
        explain(&run, &file, &out, &["--score-of", "rich"]);
        let mut mutants = vec![("one".to_owned(), original.clone())];
        for position in 0..LENGTH {
            for base in ["A", "C", "G", "T"] {
                let mut mutant = original.clone();
                mutant.replace_range(position..=position, base);
                mutants.push((format!("{position}{base}"), mutant));
            }
        }
        let mutants = folder.write("mutants.fa", fasta(&borrowed(&mutants)));
        let scores = folder.path(&format!("{strands}.tsv"));
        succeed(&["predict", text(&run), &mutants, "--out", text(&scores), "--quiet"]);
        let log_odds: Vec<f64> = numbers(&scores, b'\t', "score").iter().map(|p| (p / (1.0 - p)).ln()).collect();
        // Which of the two classes `predict` scores is the run's choice.
        let sign = if json(&run.join("run.json"))["positive"] == "rich" { 1.0 } else { -1.0 };
        for (i, base) in ["A", "C", "G", "T"].into_iter().enumerate() {
            let changes = numbers(&out.join("ism.tsv"), b'\t', base);
            for position in 0..LENGTH {
                let alone = sign * (log_odds[1 + 4 * position + i] - log_odds[0]);
                assert!((changes[position] - alone).abs() < 1e-4, "{strands} {position}{base}: {alone}");
            }
        }
        assert_eq!(column(&out.join("ism.tsv"), b'\t', "base").concat(), original);
    }
}

#[test]
fn every_question_can_be_explained_and_several_outputs_need_a_name() {
    let folder = Folder::new();
    let file = folder.write("x.fa", fasta(&[("a", &bases(1, LENGTH)), ("b", &bases(2, LENGTH))]));
    for (table, flags, of) in [
        (&tables().several, &["--task", "multiclass"][..], Some("b")),
        (&tables().labels, &["--task", "multilabel"], Some("not rich")),
        (&tables().values, &["--task", "regression"], None),
    ] {
        let run = trained_on(&["--train", table], flags).path;
        let out = folder.path(flags[1]);
        let own: Vec<&str> = of.map_or(Vec::new(), |name| vec!["--score-of", name]);
        let shown = explain(&run, &file, &out, &[&["--method", "ig,ism,saliency"], own.as_slice()].concat());
        assert!(shown.contains(&format!("of '{}' explained by ig, ism, saliency", of.unwrap_or("gc"))), "{shown}");
        assert!(json(&out.join("importance.json"))["completeness"]["largest_error"].as_f64().unwrap() <= 0.01);
        if of.is_some() {
            let error = fail(1, &["explain", "sequences", text(&run), &file, "--out", text(&folder.path("no"))]);
            assert!(error.contains("outputs, expected --score-of with one of"), "{error}");
        }
    }
}

#[test]
fn arrays_hold_what_the_tables_do_and_numpy_reads_them() {
    let (run, folder) = (trained(&[]).path, Folder::new());
    let records = [("first", bases(1, LENGTH)), ("zweite_ä", bases(2, LENGTH - 7))];
    let records: Vec<_> = records.iter().map(|(name, bases)| (*name, bases.as_str())).collect();
    let file = folder.write("x.fa.gz", gzip(fasta(&records).as_bytes()));
    let out = folder.path("out");
    explain(&run, &file, &out, &["--method", "saliency,ism", "--pad-short", "--picture", "zweite_ä"]);
    assert_eq!(column(&out.join("ism.tsv"), b'\t', "name").len(), 2 * LENGTH - 7, "padding is no part of a record");
    let names: Vec<_> = contents(&out.join("pictures")).into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, ["png", "svg"].map(|kind| out.join(format!("pictures/2_zweite__.{kind}"))));
    assert!(!out.join("ism.bedgraph").exists(), "the names say no place");

    let script = format!(
        "import numpy, sys\n\
         a = numpy.load('{}')\n\
         assert sorted(a) == ['ism', 'names', 'saliency', 'scores', 'sequences'], sorted(a)\n\
         assert list(a['names']) == ['first', 'zweite_ä'], a['names']\n\
         assert a['sequences'].shape == (2, {LENGTH}) and a['sequences'].dtype == 'u1'\n\
         assert a['ism'].shape == a['saliency'].shape == (2, 4, {LENGTH}) and a['ism'].dtype == 'f4'\n\
         assert a['scores'].shape == (2,)\n\
         rows = [line.split('\\t') for line in open('{}')][1:1 + {LENGTH}]\n\
         assert numpy.allclose(a['ism'][0].T, [[float(x) for x in row[3:7]] for row in rows])\n",
        out.join("importance.npz").display(),
        out.join("ism.tsv").display()
    );
    let Some(python) = python_with("numpy") else { return };
    let output = std::process::Command::new(&python).args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_folder_is_replaced_only_when_asked_and_the_default_lies_in_the_run() {
    let (own, folder) = (trained(&[]).path, Folder::new());
    let file = folder.write("x.y.fa", fasta(&[("a", &bases(1, LENGTH))]));
    let shown = succeed(&["explain", "sequences", text(&own), &file, "--quiet"]);
    let out = own.join("explain/sequences-x.y");
    assert!(shown.ends_with(&format!("{}\n", out.display())) && out.join("importance.npz").is_file(), "{shown}");
    let error = fail(1, &["explain", "sequences", text(&own), &file]);
    assert!(error.contains("exists and is not empty"), "{error}");
    succeed(&["explain", "sequences", text(&own), &file, "--quiet", "--force", "--method", "saliency"]);
    assert!(out.join("saliency.tsv").is_file() && !out.join("ism.tsv").exists());
    succeed(&["verify", text(&own), "--quiet"]);
    let mut command = strandnet();
    command.args(["explain", "sequences", text(&own), "-", "--out", text(&folder.path("out"))]);
    command.stdin(std::fs::File::open(&file).unwrap());
    assert!(command.output().unwrap().status.success());
}

#[test]
fn sequences_that_do_not_fit_are_refused_in_one_sentence() {
    let (own, folder) = (trained(&[]).path, Folder::new());
    let out = folder.path("out");
    let error = |file: &str, flags: &[&str]| {
        let error = fail(1, &[&["explain", "sequences", text(&own), file, "--out", text(&out)], flags].concat());
        assert!(!out.exists(), "a refusal leaves nothing behind: {error}");
        error
    };
    let of = |name: &str, length: usize| folder.write(name, fasta(&[("x", &bases(1, length))]));
    let (short, long, fits) = (of("short.fa", 20), of("long.fa", 200), of("fits.fa", LENGTH));
    assert!(error(&short, &[]).contains("record 'x' has 20 bases, expected 60, the network's length"));
    assert!(error(&long, &[]).contains("record 'x' has 200 bases, expected 60, the network's --length; cut it"));
    assert!(error(&fits, &["--score-of", "nobody"]).contains("--score-of names 'nobody', expected one of"));
    assert!(error(&fits, &["--picture", "y"]).contains("no record 'y' among the 1 explained"));
    assert!(error(&folder.write("empty.fa", ""), &[]).contains("empty"));
    assert!(error(&folder.write("bad.fa", ">x\nAC!T\n"), &[]).contains("found '!'"));
    assert_eq!(run(&["explain", "sequences", text(&own), &fits, "--method", "guess"]).status.code(), Some(2));
    for (file, flag) in [(&short, "--pad-short"), (&long, "--crop-long")] {
        let out = folder.path(flag);
        explain(&own, file, &out, &[flag]);
        let positions = numbers(&out.join("ism.tsv"), b'\t', "position");
        assert_eq!(positions.len(), if flag == "--pad-short" { 20 } else { 60 });
        assert_eq!(positions[0], if flag == "--pad-short" { 0.0 } else { 70.0 });
    }
}

/// Windows of regions: what is attributed is what `predict` scores there, on the genome's own coordinates.
#[test]
fn regions_are_explained_where_they_lie() {
    let (own, folder, genome) = (trained(&[]), Folder::new(), bases(9, 1000));
    let reference = folder.write("g.fa", fasta(&[("chr1", &genome), ("chr2", &"N".repeat(400))]));
    let peaks = "chr1\t400\t420\tlater\t0\t-\nchr1\t100\t300\tpeak\t0\t+\nchr1\t0\t10\toff\t0\t+\nchrZ\t5\t90\tabsent\t0\t+\nchr2\t100\t200\tgap\t0\t+\n";
    let bed = folder.write("peaks.bed", peaks);
    let prefix = folder.path("a");
    let flags = ["--reference", &reference, "--regions", &bed, "--attributions-out", text(&prefix), "--threads", "1"];
    let output = run(&[&["explain", "sequences", text(&own.path)], &flags[..]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("2 of 5 regions left out"), "{said}");
    assert!(said.contains("(off, absent)") && said.contains("than the run was trained under (--max-n): gap"), "{said}");
    let out = own.path.join("explain/sequences-peaks");
    let windows = std::fs::read_to_string(folder.path("a.bed")).unwrap();
    let rows: Vec<&str> = windows.lines().collect();
    assert_eq!(rows.len(), 2, "{windows}");
    assert_eq!(rows, ["chr1\t380\t440\tlater\t0\t-", "chr1\t170\t230\tpeak\t0\t+"], "in the order of the file");
    let names = column(&out.join("ism.tsv"), b'\t', "name");
    assert_eq!([&names[0], &names[LENGTH]].map(String::as_str), [0, 1].map(|i| rows[i].split('\t').nth(3).unwrap()));
    let graph = std::fs::read_to_string(out.join("ism.bedgraph")).unwrap();
    assert!(graph.starts_with("chr1\t170\t171\t") && graph.lines().count() == 2 * LENGTH, "{graph}");
    // bigWig has the same for all chromosomes of the genome.
    let mut track = BigWig::open(&out.join("ism.bw")).unwrap();
    assert_eq!(track.chromosomes().len(), 2);
    for line in graph.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let (start, value): (usize, f32) = (cells[1].parse().unwrap(), cells[3].parse().unwrap());
        let mut found = None;
        let each = |_, value| {
            found = Some(value);
            Ok(())
        };
        track.values(cells[0], start..start + 1, each).unwrap();
        assert_eq!(found, Some(value), "{line}");
    }
    // The same windows by name.
    let cut = folder.write("cut.fa", fasta(&[("chr1:170-230(+)", &genome[170..230])]));
    let again = folder.path("again");
    explain(&own.path, &cut, &again, &[]);
    let of_cut = std::fs::read_to_string(again.join("ism.bedgraph")).unwrap();
    assert_eq!(of_cut.lines().collect::<Vec<_>>(), graph.lines().take(LENGTH).collect::<Vec<_>>());
    assert_eq!(contents(&out.join("pictures")).len(), 4, "two windows, each as PNG and SVG");
    for ending in ["ohe.npz", "hyp.npz"] {
        assert!(std::fs::read(folder.path(&format!("a.{ending}"))).unwrap().starts_with(b"PK"));
    }
    let error = fail(
        1,
        &[
            &["explain", "sequences", text(&own.path), "--force"],
            &flags[..4],
            &["--method", "ig", "--attributions-out", "b"],
        ]
        .concat(),
    );
    assert!(error.contains("expected ism among --method"), "{error}");
    // The report shows what was drawn, and of none when none was.
    succeed(&["report", text(&own.path)]);
    let page = std::fs::read_to_string(own.path.join("report.html")).unwrap();
    assert!(
        page.contains("id=\"importance\"") && page.contains("of 2 sequences, 2 of them drawn."),
        "attributions are in the report"
    );
    let none = folder.path("none");
    succeed(
        &[&["explain", "sequences", text(&own.path), "--quiet", "--pictures", "0", "--out", text(&none)], &flags[..4]]
            .concat(),
    );
    assert_eq!(contents(&none.join("pictures")).len(), 0);
}

/// Programs that find motifs read the same rows in three files, whatever was learned.
#[test]
fn contributions_of_every_task_are_the_rows_that_have_windows() {
    let folder = Folder::new();
    let genome = format!("{}{}{}", bases(9, 500), "N".repeat(30), bases(10, 470));
    let reference = folder.write("g.fa", fasta(&[("chr1", &genome), ("chr2", &bases(11, 150))]));
    // Off an end, on an absent chromosome, over unknown bases, twice the same, of one width and of others.
    let peaks = [
        ("chr1", 0, 12, "left", '+'),
        ("chr1", 100, 220, "plus", '+'),
        ("chr3", 100, 200, "absent", '+'),
        ("chr1", 700, 720, "minus", '-'),
        ("chr1", 500, 540, "unknown", '+'),
        ("chr1", 100, 220, "plus", '+'),
        ("chr2", 30, 120, "second", '-'),
        ("chr1", 960, 1000, "right", '+'),
    ];
    let bed: String = peaks
        .iter()
        .map(|(chromosome, start, end, name, strand)| format!("{chromosome}\t{start}\t{end}\t{name}\t0\t{strand}\n"))
        .collect();
    let bed = folder.write("peaks.bed", bed);
    let check = |run: &Path, length: usize, of: Option<&str>| {
        let (prefix, out) = (folder.path("a"), folder.path("out"));
        let own = ["explain", "sequences", text(run), "--reference", &reference, "--regions", &bed, "--force"];
        let files = ["--attributions-out", text(&prefix), "--out", text(&out), "--pictures", "0", "--threads", "1"];
        let of = of.map_or(Vec::new(), |name| vec!["--score-of", name]);
        let output = strandnet().args([&own[..], &files, &of].concat()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        assert!(said.contains("3 of 8 regions left out") && said.contains("(left, absent, right)"), "{said}");
        assert!(said.contains("1 sequence left out, as it holds") && said.contains("(--max-n): unknown"), "{said}");
        let windows = std::fs::read_to_string(folder.path("a.bed")).unwrap();
        let rows: Vec<Vec<&str>> = windows.lines().map(|line| line.split('\t').collect()).collect();
        assert_eq!(rows.iter().map(|row| row[3]).collect::<Vec<_>>(), ["plus", "minus", "plus", "second"]);
        let (shape, sequences) = array_bytes(&folder.path("a.ohe.npz"), "arr_0");
        let (same, contributions) = arrays(&folder.path("a.hyp.npz"), "arr_0");
        assert_eq!((&shape, &same), (&vec![4, 4, length], &vec![4, 4, length]));
        let bases_of = |name: &str, range: std::ops::Range<usize>| match name {
            "chr1" => genome[range].to_owned(),
            _ => bases(11, 150)[range].to_owned(),
        };
        let effects = arrays(&out.join("importance.npz"), "ism").1;
        for (i, row) in rows.iter().enumerate() {
            let [start, end] = [row[1], row[2]].map(|position| position.parse::<usize>().unwrap());
            assert_eq!(end - start, length);
            let window = bases_of(row[0], start..end);
            let window = if row[5] == "-" { reverse_complement(&window) } else { window };
            let own = i * 4 * length..(i + 1) * 4 * length;
            let (one_hot, hypothetical) = (&sequences[own.clone()], &contributions[own.clone()]);
            for (position, letter) in window.chars().enumerate() {
                let is: Vec<u8> = (0..4).map(|base| one_hot[base * length + position]).collect();
                let expected: Vec<u8> = "ACGT".chars().map(|base| u8::from(base == letter)).collect();
                assert_eq!(is, expected, "row {i}, position {position}");
                // Less their mean, they are the effects of substitutions.
                let each = |of: &[f32]| -> Vec<f32> { (0..4).map(|base| of[base * length + position]).collect() };
                let (found, changes) = (each(hypothetical), each(&effects[own.clone()]));
                let mean = changes.iter().sum::<f32>() / 4.0;
                assert!(found.iter().zip(&changes).all(|(found, change)| (found - (change - mean)).abs() < 1e-6));
            }
            assert!(hypothetical.iter().any(|value| *value != 0.0), "row {i} is no row of zeros");
        }
        assert_eq!(sequences[..4 * length], sequences[2 * 4 * length..3 * 4 * length], "the same window twice");
    };
    check(&trained(&["--strands", "average"]).path, LENGTH, None);
    for (table, task, of) in [
        (&tables().several, "multiclass", Some("b")),
        (&tables().labels, "multilabel", Some("not rich")),
        (&tables().values, "regression", None),
    ] {
        check(&trained_on(&["--train", table], &["--task", task]).path, LENGTH, of);
    }
    let tracks = tracks();
    let (run, _) = profiles::trained(&tracks, "run", &["--epochs", "2"]);
    check(&run, 80, Some("one"));
    check(&run, 80, Some("pair:profile"));
}
