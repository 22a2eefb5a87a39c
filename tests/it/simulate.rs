//! `simulate`: the genomes of the demo, and where their words are.

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
