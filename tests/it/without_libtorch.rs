//! Core's commands, which compute without libtorch, give what the program gives.

use clap::{Args, Parser};
use strandnet_core::cli::{Evaluate, Predict, Sequences, Variants};
use strandnet_core::commands::{backend, evaluate, explain, predict};
use strandnet_core::progress::Progress;

use crate::export::formats::{sequences, subjects};
use crate::fixtures::{Folder, bases, fasta, json, succeed, tables, text, trained_on};
use crate::train::profiles;
use crate::train::signals::tracks;

/// Flags of a command alone.
#[derive(Parser)]
struct Line<T: Args> {
    #[command(flatten)]
    command: T,
}

fn parsed<T: Args>(words: &[&str]) -> T {
    Line::parse_from(std::iter::once(&"strandnet-score").chain(words)).command
}

/// Numbers of two texts whose other words are the same, to 1e-5, of numbers above 1 to 1e-5 of them.
fn agree(what: &str, found: &str, expected: &str) {
    agree_to(1.1e-5, what, found, expected);
}

fn agree_to(tolerance: f64, what: &str, found: &str, expected: &str) {
    let words = |text: &str| -> Vec<String> {
        text.split(|letter: char| letter.is_whitespace() || ",;=:".contains(letter)).map(str::to_owned).collect()
    };
    let (found, expected) = (words(found), words(expected));
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(&expected) {
        match (found.parse::<f64>(), expected.parse::<f64>()) {
            (Ok(a), Ok(b)) => assert!((a - b).abs() < tolerance * b.abs().max(1.0), "{what}: {a} {b}"),
            _ => assert_eq!(found, expected, "{what}"),
        }
    }
}

/// The text that each of two commands writes into a file.
fn written(folder: &Folder, words: &[&str], by_core: impl Fn(&[&str])) -> [String; 2] {
    let (own, other) = (folder.path("own"), folder.path("other"));
    succeed(&[words, &["--out", text(&other), "--force", "--quiet", "--no-native", "--threads", "1"]].concat());
    let skipped = words.iter().take_while(|word| ["predict", "explain", "variants"].contains(word)).count();
    by_core(&[&words[skipped..], &["--out", text(&own), "--force"]].concat());
    [own, other].map(|path| std::fs::read_to_string(path).unwrap())
}

fn predict_both(folder: &Folder, what: &str, words: &[&str]) {
    let [found, expected] = written(folder, &[&["predict"], words].concat(), |words| {
        predict::run(&parsed::<Predict>(words), &backend::Core, Progress::Quiet).unwrap();
    });
    assert!(expected.lines().count() > 2, "{what}");
    agree(what, &found, &expected);
}

#[test]
fn every_kind_of_run_scores_as_with_libtorch() {
    for subject in subjects() {
        let folder = Folder::new();
        let length = json(&subject.run.join("model.json"))["length"].as_u64().unwrap() as usize;
        let named: Vec<(String, String)> =
            sequences(length).into_iter().enumerate().map(|(i, bases)| (format!("s{i}"), bases)).collect();
        let records: Vec<(&str, &str)> = named.iter().map(|(name, bases)| (name.as_str(), bases.as_str())).collect();
        let path = folder.write("sequences.fa", fasta(&records));
        predict_both(&folder, &subject.what, &[text(&subject.run), &path, "--max-n", "80"]);
        // Windows that overlap.
        let genome = folder.write("genome.fa", fasta(&[("chr1", &bases(7, 6 * length))]));
        predict_both(&folder, &subject.what, &[text(&subject.run), "--reference", &genome, "--stride", "5"]);
    }
}

#[test]
fn variants_and_attributions_are_those_of_libtorch() {
    let folder = Folder::new();
    let genome = bases(9, 3000);
    let reference = folder.write("g.fa", fasta(&[("chr1", &genome)]));
    let body: String = (100..2900)
        .step_by(100)
        .map(|at| {
            let base = &genome[at..at + 1];
            format!("chr1\t{}\t.\t{base}\t{}\t.\t.\t.\n", at + 1, if base == "A" { "G" } else { "A" })
        })
        .collect();
    let vcf =
        folder.write("x.vcf", format!("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{body}"));
    let binary = ["--train", &tables().binary];
    for flags in [
        &["--arch", "residual", "--filters", "16", "--depth", "2", "--strands", "average", "--ensemble", "2"][..],
        &["--arch", "danq", "--filters", "8", "--strands", "equivariant"],
        &["--arch", "gated", "--filters", "16", "--depth", "1", "--strands", "shared"],
    ] {
        let run = trained_on(&binary, &[&["--epochs", "1"], flags].concat()).path;
        let words = ["explain", "variants", text(&run), "--vcf", &vcf, "--reference", &reference, "--format", "tsv"];
        let [found, expected] = written(&folder, &words, |words| {
            explain::variants::run(&parsed::<Variants>(words), &backend::Core, Progress::Quiet).unwrap();
        });
        agree(&flags.join(" "), &found, &expected);

        let length = json(&run.join("model.json"))["length"].as_u64().unwrap() as usize;
        let path = folder.write("s.fa", fasta(&[("a", &bases(1, length)), ("b", &bases(2, length))]));
        let (own, other) = (folder.path("own maps"), folder.path("other maps"));
        let methods = ["--method", "ism,saliency,ig", "--steps", "8", "--force"];
        let words = [
            &["explain", "sequences", text(&run), &path, "--out", text(&other), "--no-native", "--quiet"],
            &methods[..],
        ];
        succeed(&words.concat());
        let words = [&[text(&run), &path, "--out", text(&own)], &methods[..]].concat();
        explain::sequences::run(&parsed::<Sequences>(&words), &backend::Core, Progress::Quiet).unwrap();
        for table in ["ism.tsv", "saliency.tsv", "ig.tsv"] {
            let [found, expected] = [&own, &other].map(|folder| std::fs::read_to_string(folder.join(table)).unwrap());
            agree(&format!("{} {table}", flags.join(" ")), &found, &expected);
        }
    }
}

#[test]
fn a_run_with_a_bias_model_is_evaluated_as_with_libtorch() {
    let (tracks, folder) = (tracks(), Folder::new());
    let (bias, _) =
        profiles::trained(&tracks, "bias", &["--arch", "bias", "--depth", "1", "--filters", "4", "--epochs", "1"]);
    let (run, _) = profiles::trained(&tracks, "run", &["--bias", text(&bias), "--epochs", "1", "--ensemble", "2"]);
    let (own, other) = (folder.path("own"), folder.path("other"));
    succeed(&["evaluate", text(&run), "--out", text(&other), "--quiet", "--no-native"]);
    let command = parsed::<Evaluate>(&[text(&run), "--out", text(&own)]);
    evaluate::run(&command, &backend::Core, Progress::Quiet).unwrap();
    // Metrics are of sums and ranks over all scores.
    for (file, tolerance) in [("predictions.csv", 1.1e-5), ("metrics.json", 1e-3)] {
        let [found, expected] = [&own, &other].map(|folder| std::fs::read_to_string(folder.join(file)).unwrap());
        agree_to(tolerance, file, &found, &expected);
    }
    let scored = ["--reference", &tracks.reference, "--regions", &tracks.regions];
    predict_both(&folder, "without bias", &[&[text(&run)], &scored[..]].concat());
    predict_both(&folder, "with bias", &[&[text(&run), "--with-bias"], &scored[..]].concat());
    // Its gradients too.
    let length = json(&run.join("model.json"))["length"].as_u64().unwrap() as usize;
    let path = folder.write("s.fa", fasta(&[("a", &bases(1, length))]));
    for score_of in ["one", "one:profile"] {
        let maps = [folder.path(&format!("own {score_of}")), folder.path(&format!("other {score_of}"))];
        let flags = ["--method", "saliency", "--with-bias", "--score-of", score_of];
        succeed(
            &[&["explain", "sequences", text(&run), &path, "--out", text(&maps[1]), "--quiet"], &flags[..]].concat(),
        );
        let words = [&[text(&run), &path, "--out", text(&maps[0])], &flags[..]].concat();
        explain::sequences::run(&parsed::<Sequences>(&words), &backend::Core, Progress::Quiet).unwrap();
        let [found, expected] = maps.map(|folder| std::fs::read_to_string(folder.join("saliency.tsv")).unwrap());
        agree(score_of, &found, &expected);
    }
}
