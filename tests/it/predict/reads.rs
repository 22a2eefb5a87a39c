//! `predict` on reads, regions and whole chromosomes, in every format; and reads sorted by class.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::fixtures::{
    Finished, Folder, bases, bases_of_gc, borrowed, column, fail, fasta, fastq, genomes, gzip, reverse_complement, run,
    succeed, text, train_on_genomes,
};

/// The network's length, in bp.
const LENGTH: usize = 128;

/// A run that is surer of itself than a few short epochs make it.
fn sure() -> &'static Finished {
    static SURE: OnceLock<Finished> = OnceLock::new();
    SURE.get_or_init(|| {
        let genomes = genomes();
        let run = genomes.path("run");
        let flags = ["--train-chroms", "1,2", "--test-chroms", "chrX", "--fragments", "800", "--threads", "1"];
        let stdout = train_on_genomes(
            &genomes,
            &run,
            &[&flags[..], &["--epochs", "8", "--lr", "0.01", "--dropout", "0"]].concat(),
        );
        Finished { genomes, run, stdout }
    })
}

/// `predict` with the run that all tests share; returns standard output and standard error.
fn predict(flags: &[&str]) -> (String, String) {
    let output = run(&[&["predict", text(&sure().run), "--threads", "1"], flags].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{flags:?}: {stderr}");
    (String::from_utf8(output.stdout).unwrap(), stderr)
}

/// `predict` fails with one line that holds these words.
fn predict_fails(code: i32, flags: &[&str], words: &[&str]) {
    let error = fail(code, &[&["predict", text(&sure().run)], flags].concat());
    assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
}

/// Flags that do not go together by their nature are refused before anything is read.
fn usage_fails(flags: &[&str], word: &str) {
    let output = run(&[&["predict", text(&sure().run)], flags].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{flags:?}: {stderr}");
    assert!(stderr.starts_with("error: ") && stderr.contains(word), "{flags:?}: {stderr}");
}

/// The chromosomes of a FASTA file.
fn chromosomes(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).unwrap();
    let records = text.split('>').skip(1).map(|record| record.split_once('\n').unwrap());
    records.map(|(head, bases)| (head.split(' ').next().unwrap().to_owned(), bases.replace('\n', ""))).collect()
}

/// Reads of both genomes that the run was made from, of different lengths.
fn reads(n: usize) -> Vec<(String, String)> {
    let genomes = &sure().genomes;
    let of = [chromosomes(&genomes.human), chromosomes(&genomes.mouse)];
    (0..n)
        .map(|i| {
            let length = LENGTH + [0, 0, 22, 300][i % 4];
            let start = 700 + i * 31 % 20_000;
            (format!("read{i}"), of[i % 2]["chrX"][start..start + length].to_owned())
        })
        .collect()
}

/// Rows of tab-separated text.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split('\t').collect()).collect()
}

/// Whether two scores are the same but for rounding, which other windows scored beside them may change.
fn close(a: &str, b: &str) -> bool {
    a == b || (a.parse::<f64>().unwrap() - b.parse::<f64>().unwrap()).abs() < 1e-6
}

/// Rows of two tables of scores are the same.
fn same_rows(found: &[Vec<&str>], expected: &[Vec<&str>]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(found[..4] == expected[..4] && close(found[4], expected[4]), "{found:?} {expected:?}");
    }
}

#[test]
fn reads_score_as_the_same_sequences_do_in_fasta() {
    let folder = Folder::new();
    let reads = reads(200);
    let expected = predict(&[&folder.write("reads.fa", fasta(&borrowed(&reads)))]).0;
    assert_eq!(expected.lines().count(), 1 + 50 * (1 + 1 + 1 + 3), "a window for each 128 bases");
    let lower: Vec<(String, String)> = reads.iter().map(|(name, bases)| (name.clone(), bases.to_lowercase())).collect();
    for (name, bytes) in [
        ("reads.fq", fastq(&reads).into_bytes()),
        ("reads.fq.gz", gzip(fastq(&reads).as_bytes())),
        ("windows.fastq", fastq(&lower).replace('\n', "\r\n").into_bytes()),
    ] {
        assert!(predict(&[&folder.write(name, bytes)]).0 == expected, "{name}");
    }
    let strided = predict(&[&folder.write("reads.fq", fastq(&reads)), "--stride", "100"]).0;
    let starts: Vec<&str> = rows(&strided).iter().filter(|row| row[0] == "read3").map(|row| row[1]).collect();
    assert_eq!(starts, ["0", "100", "200", "300"]);
}

#[test]
fn short_reads_stop_are_left_out_or_padded_as_asked() {
    let folder = Folder::new();
    let mut reads = reads(12);
    reads.insert(3, ("short".into(), bases(5, 101)));
    reads.insert(8, ("shorter".into(), bases(6, 60)));
    let path = folder.write("reads.fq", fastq(&reads));
    predict_fails(1, &[&path], &["reads.fq", "'short' has 101 bases", "expected 128", "--skip-short", "--pad-short"]);
    let (skipped, stderr) = predict(&[&path, "--skip-short"]);
    assert!(stderr.contains("14 sequences scored; 2 are too short and were left out"), "{stderr}");
    assert!(!skipped.contains("short"));
    let (padded, stderr) = predict(&[&path, "--pad-short"]);
    assert!(!stderr.contains("left out"), "{stderr}");
    let without: String =
        padded.lines().filter(|line| !line.starts_with("short")).map(|line| format!("{line}\n")).collect();
    same_rows(&rows(&without), &rows(&skipped));
    // Padding is unknown bases at both ends: such a sequence given whole scores the same.
    let whole = [("short", 13, 101, 14), ("shorter", 34, 60, 34)].map(|(name, before, bases, after)| {
        let read = &reads.iter().find(|read| read.0 == name).unwrap().1;
        assert_eq!(before + bases + after, LENGTH);
        (name.to_owned(), format!("{}{read}{}", "N".repeat(before), "N".repeat(after)))
    });
    let whole = predict(&[&folder.write("whole.fa", fasta(&borrowed(&whole))), "--max-n", "127"]).0;
    for (row, expected) in rows(&padded).iter().filter(|row| row[0].starts_with("short")).zip(&rows(&whole)[1..]) {
        let length = if row[0] == "short" { "101" } else { "60" };
        assert_eq!((row[0], row[1], row[2]), (expected[0], "0", length));
        assert!(close(row[4], expected[4]), "{row:?} {expected:?}");
    }
    usage_fails(&[&path, "--pad-short", "--skip-short"], "--skip-short");
}

/// A genome with a long gap, a contig shorter than the network, and an order of names that is not that of the alphabet.
fn reference(folder: &Folder) -> (String, BTreeMap<String, String>) {
    let mut second = bases_of_gc(2, 5000, 0.6);
    second.replace_range(1000..1700, &"N".repeat(700));
    let records = vec![
        ("chr2".to_owned(), second),
        ("chr10".to_owned(), bases_of_gc(10, 3001, 0.4)),
        ("tiny".to_owned(), bases_of_gc(11, 100, 0.5)),
        ("chr1".to_owned(), bases_of_gc(1, 4000, 0.5)),
    ];
    (folder.write("reference.fa", fasta(&borrowed(&records))), records.into_iter().collect())
}

/// Checks that a bedGraph is one: each chromosome in one run, in order, and no base twice. Returns its rows.
fn bedgraph(text: &str) -> Vec<(String, usize, usize, f64)> {
    let rows: Vec<(String, usize, usize, f64)> = rows(text)
        .iter()
        .map(|row| {
            assert_eq!(row.len(), 4, "{row:?}");
            (row[0].to_owned(), row[1].parse().unwrap(), row[2].parse().unwrap(), row[3].parse().unwrap())
        })
        .collect();
    let mut seen: Vec<&str> = Vec::new();
    for (i, (name, start, end, _)) in rows.iter().enumerate() {
        assert!(start < end, "{name} {start} {end}");
        if i > 0 && rows[i - 1].0 == *name {
            assert!(rows[i - 1].2 <= *start, "{:?} and {:?} overlap", rows[i - 1], rows[i]);
        } else {
            assert!(!seen.contains(&name.as_str()), "{name} comes twice");
            seen.push(name);
        }
    }
    rows
}

#[test]
fn whole_chromosomes_are_scored_window_by_window_in_every_format() {
    let folder = Folder::new();
    let (reference, of) = reference(&folder);
    let (table, stderr) = predict(&["--reference", &reference, "--stride", "50"]);
    assert!(stderr.contains("1 are too short and were left out"), "{stderr}");
    assert!(stderr.contains("16 windows hold more than 0 unknown bases (--max-n) and have no score"), "{stderr}");
    let table = rows(&table);
    assert_eq!(table[0], ["name", "start", "end", "strand", "score"]);
    let mut expected = Vec::new();
    for name in ["chr2", "chr10", "chr1"] {
        let bases = &of[name];
        for start in (0..=bases.len() - LENGTH).step_by(50) {
            expected.push((name, start, start + LENGTH, bases[start..start + LENGTH].contains('N')));
        }
    }
    let found: Vec<_> = table[1..]
        .iter()
        .map(|row| (row[0], row[1].parse().unwrap(), row[2].parse().unwrap(), row[4] == "NA"))
        .collect();
    assert_eq!(found, expected);
    // As sequences they score the same.
    let as_sequences = predict(&[&reference, "--stride", "50", "--skip-short"]).0;
    let as_sequences: HashMap<(&str, &str), &str> =
        rows(&as_sequences)[1..].iter().map(|row| ((row[0], row[1]), row[4])).collect();
    for row in &table[1..] {
        let alone = as_sequences[&(row[0], row[1])];
        assert!(row[4] == alone || close(alone, row[4]), "{row:?}");
    }
    let all_known: Vec<Vec<&str>> = table.iter().filter(|row| row[4] != "NA").cloned().collect();

    let one = predict(&["--reference", &reference, "--stride", "50", "--chroms", "chr1,2"]).0;
    let chosen: Vec<_> = table.iter().filter(|row| ["name", "chr2", "chr1"].contains(&row[0])).cloned().collect();
    same_rows(&rows(&one), &chosen);
    predict_fails(1, &["--reference", &reference, "--chroms", "chr7"], &["reference.fa", "'chr7'", "--chroms"]);

    // bedGraph: each window stands for the bases in its middle that no other is nearer to.
    let graph = bedgraph(&predict(&["--reference", &reference, "--stride", "50", "--format", "bedgraph"]).0);
    assert_eq!(graph.len(), all_known.len() - 1);
    for (row, (name, start, end, score)) in all_known[1..].iter().zip(&graph) {
        let window: usize = row[1].parse().unwrap();
        assert_eq!((row[0], row[4].parse::<f64>().unwrap()), (name.as_str(), *score));
        assert_eq!((*start, *end), (window + 39, window + 89));
    }
    let other =
        predict(&["--reference", &reference, "--stride", "50", "--format", "bedgraph", "--score-of", "mouse"]).0;
    // bigWig: the same, base by base.
    let track = folder.path("scores.bw");
    predict(&["--reference", &reference, "--stride", "50", "--format", "bigwig", "--out", text(&track)]);
    let mut track = strandnet::formats::bigwig::BigWig::open(&track).unwrap();
    let chromosomes: Vec<(String, usize)> = track.chromosomes().iter().map(|c| (c.name.clone(), c.length)).collect();
    let mut of_track = Vec::new();
    for (name, length) in &chromosomes {
        let each = |range: std::ops::Range<usize>, value| {
            of_track.extend(range.map(|base| (name.clone(), base, f64::from(value))));
            Ok(())
        };
        track.values(name, 0..*length, each).unwrap();
    }
    let mut of_graph: Vec<_> = graph
        .iter()
        .flat_map(|(name, start, end, score)| (*start..*end).map(|base| (name.clone(), base, *score)))
        .collect();
    for values in [&mut of_track, &mut of_graph] {
        values.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    }
    assert_eq!(of_track.len(), of_graph.len());
    assert!(of_track.iter().zip(&of_graph).all(|(a, b)| (&a.0, a.1) == (&b.0, b.1) && (a.2 - b.2).abs() < 1e-6));
    for ((name, start, end, score), (_, other_start, _, other)) in graph.iter().zip(bedgraph(&other)) {
        assert_eq!(*start, other_start);
        assert!((score + other - 1.0).abs() < 1e-6, "{name} {start} {end}: {score} {other}");
    }
    // BED6, with 1000 times the probability.
    let bed = predict(&["--reference", &reference, "--stride", "50", "--format", "bed"]).0;
    let bed = rows(&bed);
    assert_eq!(bed.len(), all_known.len() - 1);
    for (row, found) in all_known[1..].iter().zip(&bed) {
        let score = (row[4].parse::<f64>().unwrap() * 1000.0).round().to_string();
        assert_eq!(*found, [row[0], row[1], row[2], ".", &score, "."], "both strands are read, so a score has none");
    }
    assert!(bed.iter().map(|row| row[4]).collect::<std::collections::HashSet<_>>().len() > 5, "scores differ");
    predict_fails(1, &["--reference", &reference, "--format", "bed", "--score-of", "rat"], &["'rat'", "human, mouse"]);
    predict_fails(1, &["--reference", &reference, "--score-of", "mouse"], &["--score-of", "--format bed"]);
    predict_fails(2, &["--reference", &reference, "--skip-short"], &["--skip-short"]);
    usage_fails(&["--chroms", "1"], "--reference");
    usage_fails(&[&reference, "--reference", &reference], "--reference");
}

#[test]
fn regions_of_a_reference_are_scored_as_their_strand_reads() {
    let folder = Folder::new();
    let (reference, of) = reference(&folder);
    // In no order, overlapping, off the ends, in the gap, on both strands.
    let bed = "# a comment\nchr1\t2000\t2100\tfirst\t0\t-\nchr1\t1950\t2000\tsecond\t0\t+\nchr2\t300\t301\t.\t0\t-\n\
        chr1\t0\t20\toff\t0\t+\nchr10\t2990\t3001\toff\t0\t+\nchr10\t100\t400\tthird\t0\t+\nchr2\t1300\t1400\tgap\t0\t+\n\
        chr1\t1960\t2040\tfourth\t0\t-\nchr2\t310\t312\tfifth\t0\t+\n";
    let bed = folder.write("regions.bed", bed);
    let (table, stderr) = predict(&["--reference", &reference, "--regions", &bed]);
    assert!(
        stderr
            .contains("6 windows of 9 regions scored; 1 windows hold more than 0 unknown bases (--max-n) and have no"),
        "{stderr}"
    );
    assert!(
        stderr.contains("regions.bed: 2 of 9 regions left out: 2 whose window runs off the end of a chromosome"),
        "{stderr}"
    );
    let table = rows(&table);
    let columns = "name start end strand score region region_chrom region_start region_end";
    assert_eq!(table[0], columns.split(' ').collect::<Vec<_>>());
    let places: Vec<String> = table[1..].iter().map(|row| [&row[..4], &row[5..]].concat().join(" ")).collect();
    assert_eq!(
        places,
        [
            "chr1 1986 2114 - first chr1 2000 2100",
            "chr1 1911 2039 + second chr1 1950 2000",
            "chr2 236 364 - . chr2 300 301",
            "chr1 NA NA + off chr1 0 20",
            "chr10 NA NA + off chr10 2990 3001",
            "chr10 186 314 + third chr10 100 400",
            "chr2 1286 1414 + gap chr2 1300 1400",
            "chr1 1936 2064 - fourth chr1 1960 2040",
            "chr2 247 375 + fifth chr2 310 312",
        ]
    );
    let mut table: Vec<Vec<&str>> = table.into_iter().filter(|row| row[4] != "NA").collect();
    assert_eq!(table.len(), 7);
    let records: Vec<(String, String)> = table[1..]
        .iter()
        .map(|row| {
            let bases = &of[row[0]][row[1].parse().unwrap()..row[2].parse().unwrap()];
            (row[1].to_owned(), if row[3] == "-" { reverse_complement(bases) } else { bases.to_owned() })
        })
        .collect();
    let alone = predict(&[&folder.write("cut.fa", fasta(&borrowed(&records)))]).0;
    for (row, alone) in table[1..].iter().zip(&rows(&alone)[1..]) {
        assert!(close(row[4], alone[4]), "{row:?} {alone:?}");
    }
    let graph = bedgraph(&predict(&["--reference", &reference, "--regions", &bed, "--format", "bedgraph"]).0);
    assert_eq!(
        graph.iter().filter(|row| row.0 == "chr1").map(|row| (row.1, row.2)).collect::<Vec<_>>(),
        [(1911, 2039), (2039, 2064), (2064, 2114)]
    );
    let as_bed = predict(&["--reference", &reference, "--regions", &bed, "--format", "bed"]).0;
    // Tracks are in the order of the genome.
    let order = |name: &str| ["chr2", "chr10", "chr1"].iter().position(|other| *other == name);
    table[1..].sort_by_key(|row| (order(row[0]), row[1].parse::<usize>().unwrap()));
    for (row, found) in table[1..].iter().zip(rows(&as_bed)) {
        let score = (row[4].parse::<f64>().unwrap() * 1000.0).round().to_string();
        assert_eq!(found, [row[0], row[1], row[2], row[5], &score, "."], "both strands are read");
    }
    let unknown = folder.write("unknown.bed", "scaffold\t300\t400\n");
    predict_fails(
        1,
        &["--reference", &reference, "--regions", &unknown],
        &[
            "unknown.bed: 1 of 1 regions do not lie in",
            "scaffold, which the genome lacks (line 1)",
            "chr2 (5000 bp), chr10",
        ],
    );
    predict_fails(2, &["--reference", &reference, "--regions", &bed, "--stride", "5"], &["--stride", "--regions"]);
    usage_fails(&["--regions", &bed], "--reference");
}

#[test]
fn rows_of_regions_keep_the_order_of_their_file_whatever_it_holds() {
    let folder = Folder::new();
    let (reference, _) = reference(&folder);
    let good = |i: usize| {
        let (chromosome, first, most) = [("chr2", 1800, 2900), ("10", 100, 2600), ("1", 100, 3600)][i % 3];
        let start = first + i * 977 % most;
        format!("{chromosome}\t{start}\t{}\tr{i}", start + 60 + i % 90)
    };
    let odd =
        ["chrUn\t5\t90", "chr1\t3990\t4010", "chr1\t7\t7", "chr1\tx\t9", "chr2\t1300\t1400", "chr10\t0\t9", "chr1\t5"];
    let mut lines: Vec<String> = (0..40).map(good).chain(odd.map(str::to_owned)).chain([good(3), good(3)]).collect();
    let mut first: HashMap<String, String> = HashMap::new();
    for shift in [1, 5, 11, 20] {
        // Another order each time: these steps go through all lines, as 49 is no multiple of them.
        lines = (0..lines.len()).map(|i| lines[i * shift % lines.len()].clone()).collect();
        let bed = format!("#chrom\tstart\tend\n{}\n", lines.join("\n# between\n\n"));
        let bed = folder.write("r.bed", bed);
        let (table, stderr) = predict(&["--reference", &reference, "--regions", &bed]);
        assert!(stderr.contains("r.bed: 6 of 49 regions left out"), "{stderr}");
        let table = rows(&table);
        assert_eq!(table.len(), lines.len() + 1);
        for (row, line) in table[1..].iter().zip(&lines) {
            let columns: Vec<&str> = line.split('\t').chain(["NA"]).take(3).collect();
            assert_eq!(row[6..], columns, "{line}");
            assert_eq!(row[4] == "NA", odd.contains(&line.as_str()), "{row:?}");
            let expected = first.entry(line.clone()).or_insert_with(|| row[..6].join(" "));
            assert_eq!(*expected, row[..6].join(" "), "a region scores the same wherever it stands");
        }
        let graph = predict(&["--reference", &reference, "--regions", &bed, "--format", "bedgraph"]).0;
        assert!(bedgraph(&graph).len() > 20 && !graph.contains("NA"));
    }
}

#[test]
fn windows_with_more_unknown_bases_than_training_held_have_no_score() {
    let folder = Folder::new();
    let with_n = |n: usize| {
        let mut read = bases(77, LENGTH);
        let start = 20.min(LENGTH - n);
        read.replace_range(start..start + n, &"N".repeat(n));
        (format!("n{n}"), read)
    };
    let mut reads: Vec<(String, String)> = [0, 1, 3, 5, 6, 127, 128].map(with_n).into();
    reads.push(("short".into(), bases(5, 40)));
    reads.push(("short3".into(), format!("{}NNN", bases(5, 40))));
    reads.push(("gap".into(), "N".repeat(30)));
    let path = folder.write("reads.fq", fastq(&reads));
    let known = |flags: &[&str]| -> Vec<String> {
        let (table, _) = predict(&[&[path.as_str(), "--pad-short"][..], flags].concat());
        let table = rows(&table);
        assert_eq!(table.len(), reads.len() + 1, "every read has a row");
        table[1..].iter().filter(|row| row[4] != "NA").map(|row| row[0].to_owned()).collect()
    };
    assert_eq!(known(&[]), ["n0", "short"], "the run was trained on windows without N, and padding is none");
    assert_eq!(known(&["--max-n", "3"]), ["n0", "n1", "n3", "short", "short3"]);
    assert_eq!(known(&["--max-n", "5"]), ["n0", "n1", "n3", "n5", "short", "short3"]);
    assert_eq!(known(&["--max-n", "1000"]).len(), reads.len() - 2, "what has no known base never has a score");
    let (bed, stderr) = predict(&[&path, "--pad-short", "--format", "bed"]);
    assert_eq!(rows(&bed).len(), 2);
    assert!(stderr.contains("2 windows of 10 sequences scored; 8 windows hold more than 0 unknown bases"), "{stderr}");
    // A run of an earlier version does not say what it was trained under.
    let run = sure();
    let earlier = folder.path("earlier");
    std::fs::create_dir(&earlier).unwrap();
    for (file, bytes) in crate::fixtures::contents(&run.run) {
        std::fs::write(earlier.join(file.file_name().unwrap()), bytes).unwrap();
    }
    let mut provenance = crate::fixtures::json(&earlier.join("run.json"));
    assert_eq!(provenance.as_object_mut().unwrap().remove("largest_n"), Some(0.into()));
    let checksum = |text: &[u8]| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (old, new) = (std::fs::read(earlier.join("run.json")).unwrap(), provenance.to_string());
    let checksums = std::fs::read_to_string(earlier.join("checksums.sha256")).unwrap();
    let checksums = checksums.replace(&checksum(&old), &checksum(new.as_bytes()));
    std::fs::write(earlier.join("run.json"), new).unwrap();
    std::fs::write(earlier.join("checksums.sha256"), checksums).unwrap();
    let output = crate::fixtures::run(&["predict", text(&earlier), &path, "--pad-short"]);
    let (table, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && table.matches("NA").count() == 2, "{table}{stderr}");
    assert_eq!(stderr.matches("warning: the run does not say how many unknown bases").count(), 1, "{stderr}");
}

/// The reads of FASTQ text, each as its four lines.
fn blocks(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    assert_eq!(lines.len() % 4, 0);
    lines.chunks(4).map(<[&str]>::concat).collect()
}

#[test]
fn every_read_is_sorted_into_exactly_one_file_byte_for_byte() {
    let folder = Folder::new();
    let mut reads: Vec<(String, String)> = reads(400).into_iter().filter(|(_, bases)| bases.len() == LENGTH).collect();
    reads[5].1.make_ascii_lowercase();
    reads[6].1.replace_range(20..23, "NNR");
    for place in [0, 77, 150] {
        reads.insert(place, (format!("short{place}"), bases(place as u64, 70)));
    }
    let fastq_text = fastq(&reads).replacen(" 1:N:0", "\tRG:Z:lane", 3);
    let path = folder.write("reads.fq", &fastq_text);
    let prefix = folder.path("sorted");
    let (stdout, stderr) = predict(&[&path, "--sort-reads", text(&prefix), "--min-confidence", "0.7"]);
    assert!(stderr.contains("3 reads shorter than 128 bp were counted as ambiguous"), "{stderr}");
    assert_eq!(folder.names(), ["reads.fq", "sorted.ambiguous.fastq", "sorted.human.fastq", "sorted.mouse.fastq"]);

    // Where each read belongs by its score.
    let scores = folder.path("scores.tsv");
    predict(&[&path, "--skip-short", "--out", text(&scores)]);
    let scores: HashMap<String, f64> = column(&scores, b'\t', "name")
        .into_iter()
        .zip(column(&scores, b'\t', "score"))
        // The read with N has none, as the run was trained without.
        .filter_map(|(name, score)| Some((name, score.parse().ok()?)))
        .collect();
    let mut expected: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (block, (name, _)) in blocks(&fastq_text).into_iter().zip(&reads) {
        let file = match scores.get(name) {
            Some(score) if *score >= 0.7 => "human",
            Some(score) if 1.0 - score >= 0.7 => "mouse",
            _ => "ambiguous",
        };
        expected.entry(file).or_default().push(block);
    }
    assert_eq!(expected.len(), 3, "all three occur");
    let table = rows(&stdout);
    assert_eq!(table[0], ["class", "reads", "percent", "file"]);
    let (mut all, mut percent) = (0, 0.0);
    for (row, class) in table[1..].iter().zip(["human", "mouse", "ambiguous"]) {
        let file = folder.path(&format!("sorted.{class}.fastq"));
        assert_eq!((row[0], row[3]), (class, text(&file)));
        let found = blocks(&std::fs::read_to_string(&file).unwrap());
        assert_eq!(found, expected[class], "{class}: the same reads in the same order");
        assert_eq!(row[1], found.len().to_string());
        assert!((row[2].parse::<f64>().unwrap() - 100.0 * found.len() as f64 / reads.len() as f64).abs() <= 0.0051);
        all += found.len();
        percent += row[2].parse::<f64>().unwrap();
    }
    assert_eq!((table.len(), all), (4, reads.len()));
    assert!((percent - 100.0).abs() < 0.02, "{percent}");

    // Padded, short reads are scored too, and only the read with N is not.
    let padded = folder.path("padded");
    let (_, stderr) = predict(&[&path, "--sort-reads", text(&padded), "--min-confidence", "0.5", "--pad-short"]);
    assert!(
        stderr.contains("1 reads whose windows hold more than 0 unknown bases (--max-n) were counted as ambiguous"),
        "{stderr}"
    );
    assert!(!stderr.contains("shorter than"), "{stderr}");
    assert_eq!(blocks(&std::fs::read_to_string(folder.path("padded.ambiguous.fastq")).unwrap()).len(), 1);

    // Certainty is hardly ever had, and the default lies between.
    let count = |confidence: &[&str], prefix: &str| -> usize {
        let prefix = folder.path(prefix);
        let (stdout, _) = predict(&[&[&path, "--sort-reads", text(&prefix)][..], confidence].concat());
        rows(&stdout)[3][1].parse().unwrap()
    };
    let (certain, default) = (count(&["--min-confidence", "1.0"], "certain"), count(&[], "default"));
    assert!(certain * 100 >= reads.len() * 98, "{certain} of {}", reads.len());
    assert!(expected["ambiguous"].len() <= default && default <= certain, "{default}");
}

#[test]
fn compressed_reads_are_sorted_into_compressed_files() {
    let folder = Folder::new();
    let text_ = fastq(&reads(120));
    let plain = folder.write("reads.fq", &text_);
    let (a, b) = (folder.path("a"), folder.path("b"));
    let gz = folder.write("reads.fq.gz", gzip(text_.as_bytes()));
    let flags = ["--min-confidence", "0.7"];
    predict(&[&[&plain, "--sort-reads", text(&a)][..], &flags].concat());
    let (stdout, _) = predict(&[&[&gz, "--sort-reads", text(&b)][..], &flags].concat());
    let mut all = 0;
    for class in ["human", "mouse", "ambiguous"] {
        let path = folder.path(&format!("b.{class}.fastq.gz"));
        assert!(stdout.contains(text(&path)), "{stdout}");
        let mut unpacked = String::new();
        let file = std::fs::File::open(&path).unwrap();
        std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(file), &mut unpacked).unwrap();
        assert_eq!(unpacked, std::fs::read_to_string(folder.path(&format!("a.{class}.fastq"))).unwrap(), "{class}");
        all += blocks(&unpacked).len();
        // What was written can be read again.
        if !unpacked.is_empty() {
            assert!(predict(&[text(&path)]).0.lines().count() > 1);
        }
    }
    assert_eq!(all, 120);
}

#[test]
fn sorting_refuses_what_it_cannot_do_and_leaves_no_file() {
    let folder = Folder::new();
    let reads = reads(60);
    let text_ = fastq(&reads);
    let path = folder.write("reads.fq", &text_);
    let prefix = folder.path("sorted");
    let prefix = text(&prefix);
    let written = |before: &[String]| -> Vec<String> {
        folder.names().into_iter().filter(|name| !before.contains(name)).collect()
    };
    let truncated = folder.write("truncated.fq", &text_[..text_.len() - 40]);
    let cut = gzip(text_.as_bytes());
    let cut = folder.write("cut.fq.gz", &cut[..cut.len() / 2]);
    let odd = folder.write("odd.fq", format!("{text_}@odd\nAC!T\n+\nIIII\n"));
    let as_fasta = folder.write("reads.fa", fasta(&borrowed(&reads)));
    let before = folder.names();
    for (file, words) in [
        (&truncated, &["truncated.fq", "read 60", "'read59'"][..]),
        (&cut, &["cut.fq.gz", "ends in the middle"]),
        (&odd, &["odd.fq", "read 61", "'odd'", "'!'"]),
        (&as_fasta, &["reads.fa", "is FASTA", "expected FASTQ"]),
    ] {
        predict_fails(1, &[file, "--sort-reads", prefix], words);
        assert!(written(&before).is_empty(), "{:?}", written(&before));
    }
    // The same for scores.
    let out = folder.path("scores.tsv");
    predict_fails(1, &[&truncated, "--out", text(&out)], &["truncated.fq", "read 60"]);
    assert!(written(&before).is_empty());

    predict_fails(
        2,
        &[&path, "--sort-reads", prefix, "--min-confidence", "0.3", "--format", "bed"],
        &["--min-confidence is 0.3", "--sort-reads writes reads and no scores"],
    );
    usage_fails(&[&path, "--min-confidence", "0.9"], "--sort-reads");
    let absent = folder.path("absent/sorted");
    predict_fails(1, &[&path, "--sort-reads", text(&absent)], &["absent", "cannot be written"]);
    assert!(written(&before).is_empty());

    // One file that is there already is enough to refuse, and nothing is touched.
    let there = folder.write("sorted.mouse.fastq", "mine");
    predict_fails(1, &[&path, "--sort-reads", prefix], &["sorted.mouse.fastq", "exists", "--force"]);
    assert_eq!(written(&before), ["sorted.mouse.fastq"]);
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "mine");
    // A failure with --force leaves the old file as it was.
    predict_fails(1, &[&truncated, "--sort-reads", prefix, "--force"], &["truncated.fq"]);
    assert_eq!(written(&before), ["sorted.mouse.fastq"]);
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "mine");
    succeed(&["predict", text(&sure().run), &path, "--sort-reads", prefix, "--force", "--quiet"]);
    assert_eq!(written(&before), ["sorted.ambiguous.fastq", "sorted.human.fastq", "sorted.mouse.fastq"]);
    assert!(std::fs::read_to_string(&there).unwrap() != "mine");
}

/// Reads of several windows: log-odds relative to the prior add up, each window weighing the bases that it alone covers.
#[test]
fn long_reads_are_sorted_by_the_log_odds_of_all_their_windows() {
    let folder = Folder::new();
    let length = 3 * LENGTH;
    let reads: Vec<(String, String)> = (0..60)
        .map(|i| {
            let read = bases(9000 + i, length);
            (format!("read{i}"), if i % 2 == 0 { read } else { read.replace("TA", "GC") })
        })
        .map(|(name, bases)| (name, bases[..length.min(bases.len())].to_owned()))
        .collect();
    let path = folder.write("reads.fq", fastq(&reads));
    let card = crate::fixtures::json(&sure().run.join("model.json"));
    let prior = card["prior"][0].as_f64().unwrap();
    for (stride, weights) in [("128", vec![1.0; 3]), ("64", vec![0.75, 0.5, 0.5, 0.5, 0.75])] {
        let scores = folder.path(&format!("scores{stride}.tsv"));
        predict(&[&path, "--stride", stride, "--out", text(&scores)]);
        let (names, values) = (column(&scores, b'\t', "name"), column(&scores, b'\t', "score"));
        let logit = |p: f64| (p / (1.0 - p)).ln();
        let mut expected: HashMap<String, f64> = HashMap::new();
        for (name, _) in &reads {
            let windows = names.iter().zip(&values).filter(|(own, _)| *own == name);
            let sum: f64 = windows
                .zip(&weights)
                .map(|((_, score), weight)| weight * (logit(score.parse::<f64>().unwrap()) - logit(prior)))
                .sum();
            expected.insert(name.clone(), 1.0 / (1.0 + (-sum - logit(prior)).exp()));
        }
        let prefix = folder.path(&format!("sorted{stride}"));
        predict(&[&path, "--sort-reads", text(&prefix), "--stride", stride, "--min-confidence", "0.9"]);
        let mut several = 0;
        for (class, is_in) in [
            ("human", (|p: f64| p >= 0.9) as fn(f64) -> bool),
            ("mouse", |p| p <= 0.1),
            ("ambiguous", |p| p > 0.1 && p < 0.9),
        ] {
            let text = std::fs::read_to_string(folder.path(&format!("sorted{stride}.{class}.fastq"))).unwrap();
            let found: Vec<String> = blocks(&text)
                .iter()
                .map(|block| block[1..].split([' ', '\t', '\n']).next().unwrap().to_owned())
                .collect();
            let wanted: Vec<String> =
                reads.iter().map(|(name, _)| name.clone()).filter(|name| is_in(expected[name])).collect();
            assert_eq!(found, wanted, "{stride} {class}");
            several += usize::from(!found.is_empty());
        }
        assert!(several > 1, "reads of one class only tell nothing");
    }
}
