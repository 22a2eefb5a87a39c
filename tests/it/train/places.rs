//! Splits of regions by place in genomes that the usual deal of chromosomes does not fit: one chromosome, haplotypes, other
//! spellings.

use crate::fixtures::{Folder, Row, bases_of_gc, borrowed, examples, fail, fasta, succeed, text, train};

fn overlaps(row: &Row, chrom: &str, start: usize, end: usize) -> bool {
    row.chrom == chrom && row.start < end && start < row.end
}

/// A genome of chromosomes with these names, and regions all along each.
fn genome_of(folder: &Folder, names: &[&str]) -> [String; 2] {
    let records: Vec<(String, String)> = names
        .iter()
        .enumerate()
        .map(|(i, name)| ((*name).to_owned(), bases_of_gc(i as u64 + 7, 60_000, 0.5)))
        .collect();
    let genome = folder.write("genome.fa", fasta(&borrowed(&records)));
    let rows =
        names.iter().flat_map(|name| (0..150).map(move |i| format!("{name}\t{}\t{}\n", i * 390 + 20, i * 390 + 220)));
    [genome, folder.write("peaks.bed", rows.collect::<String>())]
}

#[test]
fn a_genome_of_one_chromosome_is_divided_by_blocks() {
    let folder = Folder::new();
    let [fasta, bed] = genome_of(&folder, &["NC_000913.3"]);
    let regions = format!("peak={bed}");
    let data = ["--reference", &fasta, "--regions", &regions, "--length", "100", "--negatives", "random"];
    for (name, flags) in [("whole", &[][..]), ("shares", &["--test-fraction", "0.2", "--valid-fraction", "0.1"])] {
        let out = folder.path(name);
        let (_, stderr) = train(&out, &[&data[..], flags].concat());
        assert!(stderr.contains("blocks of all (NC_000913.3)"), "{stderr}");
        let rows = examples(&out);
        for row in &rows {
            let meets = |other: &&Row| other.split != row.split && overlaps(row, &other.chrom, other.start, other.end);
            assert!(!rows.iter().any(|other| meets(&other)), "{row:?}");
        }
        let of = |split: &str| rows.iter().filter(|row| row.split == split).count();
        let shares = [of("valid"), of("test")].map(|n| n * 100 / rows.len());
        let expected = if flags.is_empty() { [5..16, 5..16] } else { [5..16, 13..28] };
        assert!(expected[0].contains(&shares[0]) && expected[1].contains(&shares[1]), "{name}: {shares:?}");
        // The same blocks again, for the run's own test, and none that it learned from for other regions.
        let stdout = succeed(&["evaluate", text(&out)]);
        assert!(stdout.contains(&format!("{} fragments", of("test"))), "{stdout}");
        let other = format!("peak={}", folder.write("other.bed", std::fs::read_to_string(&bed).unwrap()));
        let evaluation = folder.path(&format!("evaluation of {name}"));
        succeed(&["evaluate", text(&out), "--reference", &fasta, "--regions", &other, "--out", text(&evaluation)]);
        let judged = std::fs::read_to_string(evaluation.join("predictions.csv")).unwrap();
        assert!(judged.lines().count() > 10);
        for line in judged.lines().skip(1).filter(|line| line.contains("NC_000913.3")) {
            let fields: Vec<&str> = line.split(',').collect();
            let [start, end] = [fields[2], fields[3]].map(|field| field.parse::<usize>().unwrap());
            let learned = rows.iter().filter(|row| row.split != "test");
            assert!(!learned.clone().any(|row| overlaps(row, "NC_000913.3", start, end)), "{line}");
        }
    }
    let out = folder.path("never");
    let error =
        fail(1, &[&["train", "--out", text(&out)][..], &data[..], &["--test-chroms", "NC_000913.3"][..]].concat());
    assert!(error.contains("--test-chroms leaves no chromosome for training") && error.contains("blocks"), "{error}");
}

#[test]
fn haplotypes_of_one_chromosome_are_never_on_both_sides() {
    let folder = Folder::new();
    let [fasta, bed] = genome_of(&folder, &["chr1_hap1", "chr1_hap2", "chr2_hap1", "chr2_hap2"]);
    let regions = format!("peak={bed}");
    let data = ["--reference", &fasta, "--regions", &regions, "--length", "100", "--negatives", "shuffle"];
    let out = folder.path("run");
    let (_, stderr) = train(&out, &[&data[..], &["--test-chroms", "chr1_hap1"]].concat());
    assert!(stderr.contains("train chr2_hap1, chr2_hap2") && stderr.contains("left out: chr1_hap2"), "{stderr}");
    let rows = examples(&out);
    assert!(rows.iter().filter(|row| row.split == "test" && row.label == "peak").all(|row| row.chrom == "chr1_hap1"));
    assert!(rows.iter().filter(|row| row.split == "train").all(|row| !row.chrom.starts_with("chr1")));
}

#[test]
fn regions_may_spell_chromosomes_as_flags_may() {
    let folder = Folder::new();
    let [fasta, bed] = genome_of(&folder, &["chr1", "chr2", "chr3", "chrM"]);
    let spelled = std::fs::read_to_string(&bed).unwrap().replace("chrM", "MT").replace("chr", "");
    let spelled = folder.write("spelled.bed", spelled);
    let listing = |bed: &str, name: &str| {
        let out = folder.path(name);
        let regions = format!("peak={bed}");
        train(&out, &["--reference", &fasta, "--regions", &regions, "--length", "100", "--test-chroms", "1,MT"]);
        std::fs::read_to_string(out.join("examples.tsv")).unwrap()
    };
    assert_eq!(listing(&bed, "one"), listing(&spelled, "other"));
}
