//! `signal`: reads to tracks, as other programs count them, and what is said of reads that cannot be counted.

use std::path::Path;

use strandnet::formats::bigwig::BigWig;

use crate::fixtures::{Folder, column, fail, gzip, json, succeed, text};

/// Chromosome, start, end and value of each stretch.
fn values(path: &Path) -> Vec<(String, usize, usize, f32)> {
    let mut file = BigWig::open(path).unwrap();
    let mut chromosomes = file.chromosomes().to_vec();
    chromosomes.sort_by(|a, b| a.name.cmp(&b.name));
    let mut found = Vec::new();
    for chromosome in chromosomes {
        let each = |range: std::ops::Range<usize>, value| {
            found.push((chromosome.name.clone(), range.start, range.end, value));
            Ok(())
        };
        file.values(&chromosome.name, 0..chromosome.length, each).unwrap();
    }
    found
}

fn golden(name: &str) -> String {
    text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).to_owned()
}

const SIZES: &str = "chrA\t3000\nchrB\t700\n";

#[test]
fn simulated_reads_come_back_from_fragments_and_from_bam() {
    let folder = Folder::new();
    let simulated = folder.path("simulated");
    succeed(&["simulate", text(&simulated), "--signal", "--quiet"]);
    let file = |name: &str| text(&simulated.join(name)).to_owned();
    let expected = values(&simulated.join("reads.bw"));
    for (reads, kind) in [("fragments.bed.gz", "text in BGZF"), ("reads.bam", "BAM")] {
        let out = folder.path("track.bw");
        let (reads, genome, peaks) = (file(reads), file("genome.fa"), file("peaks.narrowPeak"));
        let stdout =
            succeed(&["signal", &reads, "--reference", &genome, "--out", text(&out), "--regions", &peaks, "--quiet"]);
        assert!(stdout.contains("% in --regions") && stdout.contains("fragments: median"), "{stdout}");
        assert_eq!(values(&out), expected, "{kind}");
        let report = json(&folder.path("track.report/reads.json"));
        let of_file = &report["files"][0];
        assert_eq!(of_file["format"], kind);
        assert_eq!(of_file["shift"], serde_json::json!({"plus": 4, "minus": -4}));
        assert_eq!(of_file["shift_evidence"]["plus"]["centre"], 4.0);
        assert!(of_file["shift_evidence"]["minus"]["correlation"].as_f64().unwrap() > 0.8);
        for picture in ["fragments.png", "fragments.svg", "shift.png", "shift.svg"] {
            assert!(folder.path("track.report").join(picture).is_file(), "{picture}");
        }
    }
    // Reads that were shifted before are moved as far as is left: both kinds of files together.
    let mut text_of = String::new();
    std::io::Read::read_to_string(
        &mut strandnet::formats::compression::open(&simulated.join("fragments.bed.gz")).unwrap(),
        &mut text_of,
    )
    .unwrap();
    let shifted: String = text_of
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let [start, end]: [usize; 2] = [1, 2].map(|at| cells[at].parse().unwrap());
            // Ends that have crossed are no fragment any more.
            let (start, end) = (start + 4, end - 4);
            if start < end { format!("{}\t{start}\t{end}\n", cells[0]) } else { String::new() }
        })
        .collect();
    let shifted = folder.write("shifted.bed.gz", gzip(shifted.as_bytes()));
    let out = folder.path("both.bw");
    let files = [file("fragments.bed.gz"), shifted];
    let stdout = succeed(&[
        "signal",
        &files[0],
        &files[1],
        "--reference",
        &file("genome.fa"),
        "--out",
        text(&out),
        "--json",
        "--quiet",
    ]);
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["files"][1]["shift"], serde_json::json!({"plus": 0, "minus": 0}));
    assert_eq!(report, json(&folder.path("both.report/reads.json")));
}

#[test]
fn strands_bins_and_normalized_counts_are_those_of_the_reads() {
    let folder = Folder::new();
    let sizes = folder.write("chrom.sizes", SIZES);
    let bam = golden("reads.bam");
    let (plus, minus) = (folder.path("x.plus.bw"), folder.path("x.minus.bw"));
    let base = ["signal", &bam, "--reference", &sizes, "--shift", "none", "--quiet"];
    let run = |more: &[&str]| succeed(&[&base[..], more].concat());
    let out = folder.path("x.bw");
    run(&["--out", text(&out), "--stranded"]);
    let strands = (values(&plus), values(&minus));
    let stdout = run(&["--out", text(&out), "--stranded", "--flip-strands", "--what", "five-prime"]);
    assert!(stdout.lines().any(|line| line.contains("x.plus.bw: ") && line.contains("of minus reads")), "{stdout}");
    assert_eq!((values(&minus), values(&plus)), strands);
    let stdout = run(&["--out", text(&out), "--bin", "50", "--normalize", "cpm"]);
    let sum: f64 = values(&out).iter().map(|(_, start, end, value)| (end - start) as f64 * f64::from(*value)).sum();
    assert!((sum - 1e6).abs() < 10.0, "{sum} {stdout}");
    let report = json(&folder.path("x.report/reads.json"));
    let left_out = &report["files"][0]["left_out"];
    for reason in ["unmapped", "secondary", "supplementary", "failed", "duplicate", "mapping_quality"] {
        assert!(left_out[reason].as_u64().unwrap() > 0, "{reason}: {left_out}");
    }
}

#[test]
fn each_group_of_cells_has_a_file_and_a_row() {
    let folder = Folder::new();
    let sizes = folder.write("chrom.sizes", SIZES);
    let cells = folder.write("cells.tsv", "AAAC-1\tT cell\nAAAG-1\tB\nCCCT-1\tT cell\nTTTT-1\tnone\n");
    let bam = golden("reads.bam");
    let out = folder.path("x.bw");
    let base = ["signal", &bam, "--reference", &sizes, "--shift", "none", "--out", text(&out), "--quiet"];
    succeed(&[&base[..], &["--barcodes", &cells]].concat());
    let table = folder.path("x.report/groups.tsv");
    assert_eq!(column(&table, b'\t', "group"), ["T cell", "B", "none"]);
    assert_eq!(column(&table, b'\t', "barcodes_with_reads"), ["2", "1", "0"]);
    let files = column(&table, b'\t', "file");
    assert!(files[0].ends_with("x.T_cell.bw") && files[1].ends_with("x.B.bw") && files[2] == "-", "{files:?}");
    let other = folder.write("other.tsv", "AAAC\n");
    let error = fail(1, &[&base[..], &["--barcodes", &other]].concat());
    assert!(error.contains("AAAC there") && error.contains("suffix -1"), "{error}");
}

#[test]
fn what_cannot_be_counted_is_refused_and_nothing_else_is_written_over() {
    let folder = Folder::new();
    let sizes = folder.write("chrom.sizes", SIZES);
    let bam = golden("reads.bam");
    let out = folder.path("x.bw");
    let base = ["--reference", &sizes, "--out", text(&out), "--quiet"];
    let refused = |code: i32, more: &[&str]| fail(code, &[&["signal"][..], more, &base[..]].concat());
    assert!(refused(1, &[&bam]).contains("--shift auto needs the sequence"));
    assert!(refused(2, &[&bam, &bam, "--shift", "none"]).contains("is named twice"));
    assert!(refused(2, &[&bam, "--what", "coverage", "--stranded"]).contains("--stranded goes with"));
    assert!(refused(2, &[&bam, "--shift", "none", "--chroms", "chr9"]).contains("chr9"));
    let cram = folder.write("x.cram", b"CRAM\x03\x00rest");
    assert!(refused(1, &[&cram, "--shift", "none"]).contains("is CRAM"));
    let cut = folder.write("cut.bam", &std::fs::read(&bam).unwrap()[..9000]);
    assert!(refused(1, &[&cut, "--shift", "none"]).contains("ends in the middle"));
    let other = folder.write("other.sizes", "chrA\t2999\nchrB\t700\n");
    let error = fail(1, &["signal", &bam, "--reference", &other, "--shift", "none", "--out", text(&out), "--quiet"]);
    assert!(error.contains("chrA has 3,000 bp in its header, and 2,999 bp in"), "{error}");
    assert!(!out.exists() && !folder.path("x.report").exists());
    let notes = folder.write("notes.txt", "precious");
    let error = fail(1, &["signal", &bam, "--reference", &sizes, "--shift", "none", "--out", &notes, "--quiet"]);
    assert!(error.contains("is no bigWig"), "{error}");
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "precious");
}
