//! `explain variants` of runs that predict profiles, and `--with-bias`: numbers are those that `predict` gives both alleles.

use std::path::Path;

use crate::fixtures::{borrowed, column, fail, fasta, header, json, metrics, numbers, run as output_of, succeed, text};
use crate::train::profiles::trained;
use crate::train::signals::{Tracks, arrays, tracks};

/// Length of a window and of its profile.
const LENGTH: usize = 80;
const COVERED: usize = 40;

const HEADER: &str = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n";

/// The first chromosome of the tracks.
fn chromosome(tracks: &Tracks) -> String {
    let genome = std::fs::read_to_string(&tracks.reference).unwrap();
    genome.split('>').nth(1).unwrap().lines().skip(1).collect()
}

fn line(start: usize, reference: &str, alternative: &str) -> String {
    format!("chr1\t{}\tv{start}\t{reference}\t{alternative}\t.\t.\tDP=7\n", start + 1)
}

fn other(base: &str) -> &'static str {
    if base == "A" { "G" } else { "A" }
}

/// A variant with its windows, as bases: that of the reference, and those of the alternative, each with pairs of positions of the
/// profiles that are the same base.
struct Case {
    line: String,
    reference: String,
    alternatives: Vec<(String, Vec<(usize, usize)>)>,
}

/// By hand, of a variant that is a substitution, an insertion or a deletion, from what the chromosome shares with the changed one at either end.
fn case(genome: &str, start: usize, reference: &str, alternative: &str) -> Case {
    let changed = format!("{}{alternative}{}", &genome[..start], &genome[start + reference.len()..]);
    let [a, b] = [genome, &changed].map(str::as_bytes);
    let before = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let after = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let shorter = a.len().min(b.len());
    let leftmost = before.min(shorter - after);
    let end = if before + after < shorter { a.len() - after } else { before + a.len() - shorter };
    let first = (leftmost + end) / 2 - LENGTH / 2;
    let gain = b.len() as i64 - a.len() as i64;
    let mut firsts = vec![first];
    if gain != 0 {
        firsts.push((first as i64 + gain) as usize);
    }
    let window = |bases: &str, first: usize| bases[first..first + LENGTH].to_owned();
    let edge = (LENGTH - COVERED) / 2;
    let alternatives = firsts.iter().map(|&of| {
        let mut pairs = Vec::new();
        for one in 0..COVERED {
            // The place of a base of the reference on the changed chromosome.
            let place = first + edge + one;
            let there = match place as i64 {
                place if gain == 0 || place < leftmost as i64 => place,
                place if place >= leftmost as i64 - gain.min(0) => place + gain,
                _ => continue,
            };
            let other = there - (of + edge) as i64;
            if (0..COVERED as i64).contains(&other) {
                pairs.push((one, other as usize));
            }
        }
        (window(&changed, of), pairs)
    });
    Case {
        line: line(start, reference, alternative),
        reference: window(genome, first),
        alternatives: alternatives.collect(),
    }
}

/// `predict` of sequences: log counts of the groups, and the expected counts at each base of each track.
struct Predicted {
    log_counts: [Vec<f64>; 2],
    tracks: [Vec<f64>; 3],
}

fn predict(tracks: &Tracks, run: &Path, sequences: &[(String, String)], more: &[&str]) -> Predicted {
    let file = tracks.folder.write("alleles.fa", fasta(&borrowed(sequences)));
    let out = tracks.folder.path("predicted.tsv");
    let own = |extra: &[&str]| {
        succeed(
            &[&["predict", text(run), &file, "--out", text(&out), "--force", "--quiet", "--threads", "1"], extra, more]
                .concat(),
        );
    };
    own(&[]);
    let log_counts = ["one", "pair"].map(|name| numbers(&out, b'\t', &format!("predicted_log_counts_{name}")));
    let tracks = ["one", "pair_plus", "pair_minus"].map(|track| {
        own(&["--format", "bedgraph", "--score-of", track]);
        let graph = std::fs::read_to_string(&out).unwrap();
        graph.lines().map(|line| line.rsplit('\t').next().unwrap().parse().unwrap()).collect()
    });
    Predicted { log_counts, tracks }
}

impl Predicted {
    /// Square root of the Jensen-Shannon divergence of the tracks of a group between two sequences, over pairs of positions.
    fn distance(&self, group: usize, (one, other): (usize, usize), pairs: &[(usize, usize)]) -> f64 {
        let tracks = [0..1, 1..3][group].clone();
        let shares = |sequence: usize, position: fn(&(usize, usize)) -> usize| -> Vec<f64> {
            let of =
                |track: usize| pairs.iter().map(move |pair| self.tracks[track][sequence * COVERED + position(pair)]);
            let counts: Vec<f64> = tracks.clone().flat_map(of).collect();
            let all: f64 = counts.iter().sum();
            counts.into_iter().map(|count| count / all).collect()
        };
        let (p, q) = (shares(one, |pair| pair.0), shares(other, |pair| pair.1));
        let divergence = p.iter().zip(&q).map(|(p, q)| {
            let mean = f64::midpoint(*p, *q);
            p * (p / mean).ln() + q * (q / mean).ln()
        });
        (divergence.sum::<f64>() / 2.0).max(0.0).sqrt()
    }
}

/// `explain variants` that succeeds; returns standard output and standard error.
fn variants(tracks: &Tracks, run: &Path, vcf: &str, more: &[&str]) -> (String, String) {
    let own = ["explain", "variants", text(run), "--vcf", vcf, "--reference", &tracks.reference, "--threads", "1"];
    let output = output_of(&[&own, more].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

#[test]
fn counts_and_profiles_of_alleles_are_those_that_predict_gives() {
    let tracks = tracks();
    let network = ["--epochs", "3", "--ensemble", "2", "--strands", "average", "--schedule", "constant"];
    let (run, _) = trained(&tracks, "run", &network);
    let genome = chromosome(&tracks);
    let mut cases = Vec::new();
    for start in (300..2500).step_by(270) {
        let of = |n: usize| &genome[start..start + n];
        cases.push(case(&genome, start, of(1), other(of(1))));
        cases.push(case(&genome, start, of(1), &format!("{}GATTACA", of(1))));
        cases.push(case(&genome, start, of(6), of(1)));
        cases.push(case(&genome, start, of(3), &"TTT".replace(of(1), "G")));
    }
    let body: String = cases.iter().map(|case| case.line.as_str()).collect();
    let nothing = line(5000, &genome[5000..5001], &genome[5000..5001]);
    let vcf = tracks.folder.write("calls.vcf", format!("{HEADER}{body}{nothing}"));
    let table = tracks.folder.path("effects.tsv");
    variants(&tracks, &run, &vcf, &["--out", text(&table)]);

    let mut sequences = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        sequences.push((format!("{i}"), case.reference.clone()));
        sequences.extend(case.alternatives.iter().map(|(window, _)| (format!("{i}"), window.clone())));
    }
    let predicted = predict(&tracks, &run, &sequences, &[]);
    for (group, name) in ["one", "pair"].into_iter().enumerate() {
        let [reference, alternative, fold, distance] =
            ["log_counts_ref", "log_counts_alt", "log2_fold_change", "profile_jsd"]
                .map(|column| numbers(&table, b'\t', &format!("{column}_{name}")));
        assert_eq!(reference.len(), cases.len() + 1);
        let mut row = 0;
        for (i, case) in cases.iter().enumerate() {
            let near = |found: f64, expected: f64, tolerance: f64| {
                assert!((found - expected).abs() < tolerance, "{name} {}: {found}, expected {expected}", case.line);
            };
            let log_counts = &predicted.log_counts[group];
            let each = 1..case.alternatives.len() + 1;
            let mean = each.clone().map(|at| log_counts[row + at]).sum::<f64>() / each.len() as f64;
            near(reference[i], log_counts[row], 1e-5);
            near(alternative[i], mean, 1e-5);
            near(fold[i], (mean - log_counts[row]) / 2f64.ln(), 1e-4);
            let distances = each.clone().map(|at| {
                let (_, pairs) = &case.alternatives[at - 1];
                predicted.distance(group, (row, row + at), pairs)
            });
            near(distance[i], distances.sum::<f64>() / each.len() as f64, 1e-4);
            row += 1 + case.alternatives.len();
        }
        assert!(distance.iter().any(|distance| *distance > 1e-3), "{distance:?}");
        assert_eq!((fold[cases.len()], distance[cases.len()]), (0.0, 0.0), "what changes nothing has no effect");
    }
    // The largest effects, in the run and its report.
    let summary = json(&run.join("explain/variants-calls/variants.json"));
    assert_eq!(summary["explained"], "logarithm to base 2 of 1 + counts of 'one', 'pair'");
    let strongest = &summary["strongest"][0];
    let fold = |name: &str| numbers(&table, b'\t', &format!("log2_fold_change_{name}"));
    let largest = fold("one").into_iter().chain(fold("pair")).map(f64::abs).fold(0.0, f64::max);
    assert!((strongest["effect"].as_f64().unwrap().abs() - largest).abs() < 1e-5, "{strongest}");
    assert!(strongest["group"].is_string() && strongest["profile_jsd"].is_f64(), "{strongest}");
    assert_eq!(strongest["effect"], strongest["log2_fold_change"]);
    succeed(&["report", text(&run)]);
    let report = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("Jensen-Shannon distance of profiles") && report.contains("log2 fold change"));
}

#[test]
fn fields_of_groups_and_what_cannot_be_scored() {
    let tracks = tracks();
    let (run, _) = trained(&tracks, "run", &["--epochs", "1"]);
    let genome = chromosome(&tracks);
    let base = |start: usize| &genome[start..start + 1];
    let body = [
        line(400, base(400), &format!("{},<DEL>", other(base(400)))),
        line(600, &genome[600..650], base(600)),
        line(700, base(700), "*"),
    ];
    let vcf = tracks.folder.write("x.vcf", format!("{HEADER}{}", body.concat()));
    let (shown, said) = variants(&tracks, &run, &vcf, &[]);
    assert!(said.contains("2 of 4 alternative alleles of 3 records scored; 2 are not spelled out"), "{said}");
    for (id, what) in [
        ("REF_one", "Log counts of one, the natural logarithm of 1 + counts, predicted for the reference"),
        ("ALT_pair", "Log counts of pair, the natural logarithm of 1 + counts, predicted for each alternative"),
        ("LOG2FC_pair", "Logarithm to base 2 of 1 + counts of pair for the alternative allele over"),
        (
            "JSD_one",
            "Jensen-Shannon distance of the profiles of one over the bases that both alleles have, the square root of the divergence in nats",
        ),
    ] {
        let line = format!("##INFO=<ID=STRANDNET_{id},Number=A,Type=Float,Description=\"{what}");
        assert!(shown.contains(&line), "{line} is missing from {shown}");
    }
    let lines: Vec<&str> = shown.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines[0].contains("DP=7;STRANDNET_REF_one=") && lines[0].ends_with(",."), "{}", lines[0]);
    // Of a deletion that leaves less than a quarter of the profile there are counts and no distance.
    assert!(lines[1].contains("STRANDNET_LOG2FC_one=") && lines[1].contains("STRANDNET_JSD_one=.;"), "{}", lines[1]);
    assert_eq!(lines[2], body[2].trim_end());
    // Scored once more it is the same, and one group alone replaces both.
    let scored = tracks.folder.write("scored.vcf", &shown);
    assert_eq!(variants(&tracks, &run, &scored, &[]).0, shown);
    let (of_pair, _) = variants(&tracks, &run, &scored, &["--score-of", "pair"]);
    assert!(of_pair.contains(";STRANDNET_LOG2FC=") && !of_pair.contains("_one") && !of_pair.contains("_pair"));
    let table = tracks.folder.path("x.tsv");
    variants(&tracks, &run, &vcf, &["--score-of", "pair:profile", "--out", text(&table)]);
    let columns = "log_counts_ref\tlog_counts_alt\tlog2_fold_change\tprofile_jsd\tstatus";
    assert_eq!(header(&table), format!("chrom\tstart\tend\tid\tref\talt\t{columns}"));
    assert_eq!(column(&table, b'\t', "status"), ["scored", "not_spelled_out", "scored", "not_spelled_out"]);
    let summary = json(&run.join("explain/variants-x/variants.json"));
    assert_eq!(
        (&summary["explained"], summary["strongest"].as_array().unwrap().len()),
        (&"profile of 'pair'".into(), 1)
    );
    assert_eq!(summary["strongest"][0]["effect"], summary["strongest"][0]["profile_jsd"]);

    let own = ["explain", "variants", text(&run), "--vcf", &vcf, "--reference", &tracks.reference];
    let error = fail(1, &[&own[..], &["--score-of", "three"]].concat());
    assert!(error.contains("--score-of names 'three', expected one of one, pair; correct the name"), "{error}");
    let sequences = tracks.folder.write("one.fa", format!(">a\n{}\n", &genome[..LENGTH]));
    let of_sequences = ["explain", "sequences", text(&run), &sequences, "--score-of", "one"];
    for command in [&own[..], &["predict", text(&run), &sequences], &of_sequences] {
        let error = fail(1, &[command, &["--with-bias"]].concat());
        assert!(
            error.contains(
                "has no bias model, expected a run of --task profile trained with --bias; remove --with-bias"
            ),
            "{error}"
        );
    }
}

#[test]
fn the_bias_model_is_added_where_it_is_asked_for() {
    let tracks = tracks();
    let (bias, _) = trained(&tracks, "bias", &["--arch", "bias", "--depth", "1", "--filters", "4", "--epochs", "3"]);
    let (run, _) = trained(&tracks, "run", &["--bias", text(&bias), "--epochs", "2", "--ensemble", "2"]);
    // As it was evaluated: both together.
    let table = tracks.folder.path("scores.tsv");
    let predicted = |more: &[&str]| {
        let own = ["predict", text(&run), "--reference", &tracks.reference, "--regions", &tracks.regions, "--force"];
        succeed(&[&own[..], &["--out", text(&table), "--quiet"], more].concat());
        numbers(&table, b'\t', "predicted_log_counts_one")
    };
    let (without, with) = (predicted(&[]), predicted(&["--with-bias"]));
    let evaluated = numbers(&run.join("predictions.csv"), b',', "predicted_log_counts_one");
    assert_eq!(metrics(&run)["test"]["profile"]["peaks"]["n"], 40);
    // Of the test split, whose peaks come first, and of the last forty regions.
    let peaks = &evaluated[evaluated.len() - 80..evaluated.len() - 40];
    let apart = |one: &[f64]| one.iter().zip(peaks).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(
        apart(&with[80..]) < 1e-4 && apart(&without[80..]) > 1e-3,
        "{} {}",
        apart(&with[80..]),
        apart(&without[80..])
    );

    let genome = chromosome(&tracks);
    let window = [("w".to_owned(), genome[1000 - LENGTH / 2..1000 + LENGTH / 2].to_owned())];
    let body = line(1000, &genome[1000..1001], other(&genome[1000..1001]));
    let vcf = tracks.folder.write("x.vcf", format!("{HEADER}{body}"));
    let sequences = tracks.folder.write("window.fa", fasta(&borrowed(&window)));
    let mut found = Vec::new();
    for more in [&[][..], &["--with-bias"]] {
        let expected = predict(&tracks, &run, &window, more).log_counts[1][0];
        let effects = tracks.folder.path("effects.tsv");
        variants(&tracks, &run, &vcf, &[&["--out", text(&effects), "--force"], more].concat());
        let of_reference = numbers(&effects, b'\t', "log_counts_ref_pair")[0];
        assert!((of_reference - expected).abs() < 1e-5, "{of_reference} {expected}");
        // Importance is of the same number; integrated gradients add up to it, through both networks.
        let out = tracks.folder.path("attributions");
        let own = ["explain", "sequences", text(&run), &sequences, "--score-of", "pair", "--method", "ism,ig"];
        let shown = succeed(&[&own[..], &["--out", text(&out), "--force", "--quiet"], more].concat());
        assert_eq!(shown.contains("log counts of 'pair', with bias"), !more.is_empty(), "{shown}");
        let (_, scores) = arrays(&out.join("importance.npz"), "scores");
        assert!((f64::from(scores[0]) - expected).abs() < 1e-5, "{} {expected}", scores[0]);
        assert!(json(&out.join("importance.json"))["completeness"]["largest_error"].as_f64().unwrap() < 0.01);
        found.push((expected, arrays(&out.join("importance.npz"), "ism").1));
        let (shown, _) = variants(&tracks, &run, &vcf, more);
        assert_eq!(shown.contains("of pair with the bias model"), !more.is_empty());
    }
    assert!((found[0].0 - found[1].0).abs() > 1e-3 && found[0].1 != found[1].1);
}
