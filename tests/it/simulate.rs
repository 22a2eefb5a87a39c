//! `simulate`: the genomes of the demo, and where their words are.

use std::ops::Range;

use strandnet::formats::bigwig::BigWig;

use crate::fixtures::{json, succeed, text};

#[test]
fn simulated_genomes_are_what_the_demo_uses_and_bed_files_point_at_the_words() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo");
    let stdout = succeed(&["simulate", text(&out), "--windows", "2000", "--quiet"]);
    assert_eq!(stdout.lines().last().unwrap(), text(&out));
    let simulation = json(&out.join("simulation.json"));
    assert!((0.85..0.97).contains(&simulation["best_possible_auroc"].as_f64().unwrap()));
    for species in ["human", "mouse"] {
        let fasta = std::fs::read_to_string(out.join(format!("{species}.fa"))).unwrap();
        let first = fasta.split('>').nth(1).unwrap().replace('\n', "");
        let sequence = first.strip_prefix("chr1").unwrap();
        assert!(sequence.contains('N') && sequence.contains('a') && sequence.contains('A'));
        let bed = std::fs::read_to_string(out.join(format!("{species}.words.bed"))).unwrap();
        let (mut exact, mut all) = (0, 0);
        for line in bed.lines().filter(|line| line.starts_with("chr1\t")) {
            let fields: Vec<&str> = line.split('\t').collect();
            let mut word = sequence[fields[1].parse().unwrap()..fields[2].parse().unwrap()].to_owned();
            if fields[5] == "-" {
                word = word
                    .chars()
                    .rev()
                    .map(|c| match c {
                        'A' => 'T',
                        'C' => 'G',
                        'G' => 'C',
                        _ => 'A',
                    })
                    .collect();
            }
            exact += usize::from(word == fields[3]);
            all += 1;
        }
        assert!(all > 5000 && exact * 10 > all * 4, "{exact} of {all}");
        assert!(std::fs::read_to_string(out.join(format!("{species}.repeats.bed"))).unwrap().lines().count() > 1000);
    }
}

#[test]
fn a_simulated_signal_is_what_its_parts_come_to() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("signal");
    let stdout = succeed(&["simulate", text(&out), "--signal", "--quiet"]);
    assert!(stdout.starts_with("Pearson correlation of log(1 + reads) of"), "{stdout}");
    let simulation = json(&out.join("simulation.json"));
    assert!((0.9..1.0).contains(&simulation["pearson_of_log_counts_with_what_is_expected"].as_f64().unwrap()));
    let peaks = std::fs::read_to_string(out.join("peaks.narrowPeak")).unwrap();
    assert_eq!(peaks.lines().count() as u64, simulation["peaks"].as_u64().unwrap());
    let total = |name: &str, chromosome: &str, range: Range<usize>| {
        let (mut sum, mut track) = (0.0, BigWig::open(&out.join(name)).unwrap());
        let each = |range: Range<usize>, value: f32| {
            sum += range.len() as f64 * f64::from(value);
            Ok(())
        };
        track.values(chromosome, range, each).unwrap();
        sum
    };
    for line in peaks.lines().take(3) {
        let cells: Vec<&str> = line.split('\t').collect();
        let range = cells[1].parse().unwrap()..cells[2].parse().unwrap();
        let [reads, expected] = ["reads.bw", "expected.bw"].map(|name| total(name, cells[0], range.clone()));
        assert!((expected - cells[6].parse::<f64>().unwrap()).abs() < 0.01, "{line} {expected}");
        assert!(reads.fract() == 0.0 && (reads - expected).abs() < 7.0 * expected.sqrt(), "{line} {reads}");
    }
    let fasta = std::fs::read_to_string(out.join("genome.fa")).unwrap();
    let first = fasta.split('>').nth(1).unwrap().replace('\n', "");
    let sequence = first.strip_prefix("chr1").unwrap();
    let sites = std::fs::read_to_string(out.join("sites.bed")).unwrap();
    for line in sites.lines().filter(|line| line.starts_with("chr1\t") && line.ends_with('+')).take(20) {
        let cells: Vec<&str> = line.split('\t').collect();
        assert_eq!(&sequence[cells[1].parse().unwrap()..cells[2].parse().unwrap()], cells[3]);
    }
    // It is what train takes.
    let (reference, regions) = (out.join("genome.fa"), out.join("peaks.narrowPeak"));
    let signal = format!("reads={}", text(&out.join("reads.bw")));
    let data = ["--reference", text(&reference), "--regions", text(&regions), "--signal", &signal, "--log1p"];
    let run = folder.path().join("run");
    let settings = ["--arch", "shallow", "--epochs", "1", "--length", "200", "--out", text(&run), "--quiet"];
    succeed(&[&["train"], &data[..], &settings].concat());
}
