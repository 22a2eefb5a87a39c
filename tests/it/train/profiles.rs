//! Profiles: signal base by base, and the counts beside it.

use std::collections::HashMap;

use strandnet::formats::bigwig::BigWig;

use super::signals::{Tracks, arrays, tracks};
use crate::fixtures::{
    Folder, bases, column, fail, fasta, header, json, metrics, numbers, outcome, run as run_of, succeed, text, train,
    value,
};

/// Of the middle of a window of 80 bp.
const OUTPUT_LENGTH: usize = 40;

/// A single track, and one of each strand.
pub fn signals(tracks: &Tracks) -> [String; 2] {
    [tracks.signal("one", &["plus.bw"]), tracks.signal("pair", &["plus.bw", "minus.bw"])]
}

/// Flags of a small network on both groups, and others.
pub fn flags<'a>(tracks: &'a Tracks, signals: &'a [String; 2], more: &[&'a str]) -> Vec<&'a str> {
    let [one, pair] = signals;
    let own = ["--task", "profile", "--signal", one, "--signal", pair, "--length", "80", "--output-length", "40"];
    let network = ["--arch", "bpnet", "--filters", "8", "--depth", "2", "--threads", "1", "--negatives", "random"];
    tracks.flags(&[&own, &network[..], more].concat())
}

/// Trains a small network; returns its run and what was said.
pub fn trained(tracks: &Tracks, name: &str, more: &[&str]) -> (std::path::PathBuf, String) {
    let out = tracks.folder.path(name);
    let signals = signals(tracks);
    let output = run_of(&[&["train", "--out", text(&out)], &flags(tracks, &signals, more)[..]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (out, said)
}

#[test]
fn profiles_are_learned_judged_and_repeated() {
    let tracks = tracks();
    let (out, said) = trained(&tracks, "run", &["--jitter", "8", "--epochs", "40", "--counts-weight", "20"]);
    assert!(said.contains("peaks by chromosome: chr1 40, chr2 40, chr3 40"), "{said}");

    let model = json(&out.join("model.json"));
    assert_eq!(model["task"], "profile");
    assert_eq!(
        model["profile"],
        serde_json::json!({"groups": ["one", "pair"], "tracks": ["one", "pair_plus", "pair_minus"], "tracks_of_groups": [1, 2], "output_length": 40})
    );
    let columns = "log_counts_one,log_counts_pair,predicted_log_counts_one,predicted_log_counts_pair";
    assert_eq!(header(&out.join("predictions.csv")), format!("name,chrom,start,end,strand,split,{columns}"));

    // Peaks before background, in order of place; the values lie at 30 to 34 of 80, so at 10 to 14 of the middle.
    let (shape, observed) = arrays(&out.join("profiles.npz"), "observed");
    let (_, predicted) = arrays(&out.join("profiles.npz"), "predicted");
    assert_eq!((shape, predicted.len()), (vec![80, 3, OUTPUT_LENGTH], 80 * 3 * OUTPUT_LENGTH));
    let log_counts = numbers(&out.join("predictions.csv"), b',', "log_counts_one");
    let log_counts = &log_counts[log_counts.len() - 80..];
    let sums: Vec<f64> = tracks.sums.iter().filter(|(name, ..)| name == "chr3").map(|(_, _, sum)| *sum).collect();
    for (i, sum) in sums.iter().enumerate() {
        let mut expected = vec![0.0; OUTPUT_LENGTH];
        expected[10..14].fill((sum / 4.0) as f32);
        let locus = &observed[i * 3 * OUTPUT_LENGTH..(i + 1) * 3 * OUTPUT_LENGTH];
        assert_eq!(locus, [&expected[..], &expected, &[0.0; OUTPUT_LENGTH]].concat(), "locus {i}");
        assert!((log_counts[i] - sum.ln_1p()).abs() < 1e-5);
    }
    assert!(log_counts[40..].iter().all(|&value| value == 0.0));

    let profile = &metrics(&out)["test"]["profile"];
    assert_eq!(
        (&profile["peaks"]["n"], &profile["background"]["n"], &profile["all"]["n"]),
        (&40.into(), &40.into(), &80.into())
    );
    let of = |group: &str, name: &str| value(&profile[group], name);
    let uniform = value(&profile["baselines"]["uniform"], "profile_jsd");
    assert!(of("peaks", "profile_jsd") < uniform - 0.03, "{profile}");
    assert!(of("peaks", "profile_gain") > 0.3, "{profile}");
    assert!(of("all", "count_pearson") > 0.2, "{}", profile["all"]);
    assert!(value(&profile["detection"], "auroc") > 0.6, "{}", profile["detection"]);
    assert!(profile["background"]["profile_jsd"]["value"].is_null());
    assert!(profile["profile_jsd_normalised"].as_f64().is_some());
    let by_chromosome = &profile["intervals_by_chromosome"];
    assert_eq!(by_chromosome["blocks"], serde_json::json!({"kind": "chromosomes", "count": 1}));
    assert_eq!(
        by_chromosome["peaks"]["profile_mnll"]["interval_reason"],
        "the examples lie on 1 chromosome, and an interval by chromosome needs 3 or more"
    );
    // Its values lie in runs of four, and its background has none.
    assert!(said.contains("warning: one: neighbouring bases have nearly the same values"), "{said}");
    assert!(profile["baselines"]["mean_profile"].is_object() && profile["baselines"]["matrix"].is_null());

    // Its own test again, into files and with checks.
    let evaluated = tracks.folder.path("evaluated");
    succeed(&["evaluate", text(&out), "--out", text(&evaluated), "--quiet"]);
    assert_eq!(arrays(&evaluated.join("profiles.npz"), "predicted").1, predicted);
    // Beside the same baselines, of training.
    let baselines = |run: &std::path::Path| metrics(run)["test"]["profile"]["baselines"].clone();
    assert!(baselines(&out)["mean_profile"]["profile_jsd"]["value"].is_number(), "{}", baselines(&out));
    assert_eq!(baselines(&evaluated), baselines(&out));
    assert_eq!(json(&evaluated.join("metrics.json"))["test"]["profile"]["peaks"], profile["peaks"]);
    assert!(succeed(&["verify", text(&out), "--quiet"]).contains("metrics reproduced"));
    let again = tracks.folder.path("again");
    succeed(&["train", text(&out.join("config.toml")), "--out", text(&again), "--quiet"]);
    assert!(outcome(&out) == outcome(&again), "another outcome from config.toml");
}

#[test]
fn windows_move_anew_each_epoch_also_where_training_goes_on() {
    let tracks = tracks();
    let steady = ["--schedule", "constant", "--ensemble", "2", "--jitter", "8"];
    let (whole, _) = trained(&tracks, "whole", &[&steady[..], &["--epochs", "3"]].concat());
    let (part, _) = trained(&tracks, "part", &[&steady[..], &["--epochs", "3", "--jitter", "0"]].concat());
    assert!(outcome(&whole) != outcome(&part), "the windows do not move");
    assert_eq!(json(&whole.join("model.json"))["members"], 2);
    let single = ["--schedule", "constant", "--jitter", "8"];
    let (whole, _) = trained(&tracks, "three", &[&single[..], &["--epochs", "3"]].concat());
    let (part, _) = trained(&tracks, "two", &[&single[..], &["--epochs", "2"]].concat());
    succeed(&["train", "--resume", text(&part), "--epochs", "3", "--quiet"]);
    assert!(outcome(&whole) == outcome(&part), "another outcome where training went on");
}

#[test]
fn tracks_of_a_genome_are_the_profile_times_the_counts() {
    let tracks = tracks();
    let (run, _) = trained(&tracks, "run", &["--epochs", "4", "--strands", "average"]);
    let predict = |name: &str, more: &[&str]| {
        let out = tracks.folder.path(name);
        let own = ["predict", text(&run), "--reference", &tracks.reference, "--out", text(&out), "--quiet"];
        succeed(&[&own[..], more].concat());
        out
    };
    let table = predict("scores.tsv", &["--regions", &tracks.regions]);
    let columns = "predicted_log_counts_one\tpredicted_log_counts_pair";
    assert!(header(&table).starts_with(&format!("name\tstart\tend\tstrand\t{columns}\tregion")), "{}", header(&table));

    let [starts, log_counts] = ["start", "predicted_log_counts_pair"].map(|name| column(&table, b'\t', name));
    let regions = ["--regions", &tracks.regions];
    let track = |name: &str, of: &str, regions: &[&str]| {
        let named = |format: &str| {
            predict(&format!("{name}.{format}"), &[&["--format", format, "--score-of", of], regions].concat())
        };
        let (text, binary) = (std::fs::read_to_string(named("bedgraph")).unwrap(), named("bigwig"));
        let mut file = BigWig::open(&binary).unwrap();
        let mut values = Vec::new();
        for chromosome in ["chr1", "chr2", "chr3"] {
            file.values(chromosome, 0..12_000, |range, value| {
                values.extend(range.map(|base| (chromosome.to_owned(), base, value)));
                Ok(())
            })
            .unwrap();
        }
        let lines = text.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
        let of_text: Vec<(String, usize, f32)> = lines
            .flat_map(|f| {
                let (start, end): (usize, usize) = (f[1].parse().unwrap(), f[2].parse().unwrap());
                (start..end).map(move |base| (f[0].clone(), base, f[3].parse().unwrap()))
            })
            .collect();
        assert!(values == of_text, "{name}: bigWig and bedGraph differ");
        values
    };
    let plus = track("plus", "pair_plus", &regions);
    let minus = track("minus", "pair_minus", &regions);
    for i in 0..40 {
        let start: usize = starts[i].parse().unwrap();
        let middle = start + 20..start + 60;
        let sum = |values: &[(String, usize, f32)]| -> f32 {
            values
                .iter()
                .filter(|(name, base, _)| name == "chr1" && middle.contains(base))
                .map(|(.., value)| value)
                .sum()
        };
        let counts = log_counts[i].parse::<f32>().unwrap().exp_m1().max(0.0);
        assert!((sum(&plus) + sum(&minus) - counts).abs() < 1e-3 * counts.max(1.0), "region {i}");
    }
    // A network that reads both strands says the same of a region on either.
    let bed = std::fs::read_to_string(&tracks.regions).unwrap();
    let stranded: String = bed.lines().map(|line| format!("{line}\t.\t0\t-\n")).collect();
    let stranded = tracks.folder.write("minus.bed", stranded);
    for (name, of, own) in [("other_plus", "pair_plus", &plus), ("other_minus", "pair_minus", &minus)] {
        let other = track(name, of, &["--regions", &stranded]);
        let apart = own.iter().zip(&other).map(|(a, b)| (a.2 - b.2).abs()).fold(0.0, f32::max);
        assert!(own.len() == other.len() && apart < 1e-4, "{name}: {apart}");
    }
    // And along whole chromosomes, each window for its middle.
    assert_eq!(track("whole", "one", &["--chroms", "chr2", "--stride", "20"]).len(), (12_000 - 80) / 20 * 20 + 20);
    let error = fail(1, &["predict", text(&run), "--reference", &tracks.reference, "--format", "bedgraph"]);
    assert!(error.contains("the run gives one, pair_plus, pair_minus; add --score-of NAME"), "{error}");
    track("one", "one", &regions);
    // Without a name, bigWig has a file for each.
    predict("all.bw", &["--format", "bigwig", "--regions", &tracks.regions]);
    for (name, alone) in [("one", "one"), ("pair_plus", "plus"), ("pair_minus", "minus")] {
        let bytes = |name: String| std::fs::read(tracks.folder.path(&name)).unwrap();
        assert!(bytes(format!("all.{name}.bw")) == bytes(format!("{alone}.bigwig")), "{name}");
    }
    let own = ["predict", text(&run), "--reference", &tracks.reference, "--format", "bigwig", "--quiet"];
    let error = fail(1, &[&own[..], &["--out", text(&tracks.folder.path("all.bw"))]].concat());
    assert!(error.contains("all.one.bw"), "{error}");
}

#[test]
fn which_peaks_are_taken_is_said() {
    let tracks = tracks();
    // One peak over an excluded place, one with far more counts, one beside a stronger one.
    let bed = std::fs::read_to_string(&tracks.regions).unwrap() + "chr1\t110\t190\n";
    let regions = tracks.folder.write("more.bed", bed);
    let excluded = tracks.folder.write("excluded.bed", "chr1\t400\t401\n");
    let tracks = Tracks { regions, ..tracks };
    let (out, said) = trained(&tracks, "run", &["--exclude", &excluded, "--outlier-quantile", "0.7", "--epochs", "1"]);
    for part in [
        "1 of 121 peaks touch a region of --exclude and are left out, so 120 are left",
        "30 of 120 peaks have more than 24 counts, 1.2 times the quantile 0.7 and are left out, so 90 are left",
        "1 of 90 peaks have a stronger one nearer than 20 bp and are left out, so 89 are left",
    ] {
        assert!(said.contains(part), "'{part}' is missing from: {said}");
    }
    assert_eq!(column(&out.join("examples.tsv"), b'\t', "name").len(), 2 * 89);
}

#[test]
fn what_does_not_go_together_is_one_sentence() {
    let tracks = tracks();
    let signals = signals(&tracks);
    for (more, part) in [
        (&["--output-length", "90"][..], "--output-length is 90, expected at most the 80 bp of a window"),
        (&["--output-length", "41"], "expected an even difference"),
        (&["--bin", "8"], "--bin does not go with --task profile"),
        (&["--log1p"], "--log1p does not go with --task profile"),
        (&["--shift", "3"], "use --jitter, which moves both"),
        (&["--outlier-quantile", "0.2"], "--outlier-quantile is 0.2, expected 0.5 to 1"),
        (&["--counts-weight=-1"], "--counts-weight is -1, expected a number of 0 or more"),
        (&["--arch", "residual"], "--task profile goes with --arch branched, bpnet or bias, and --arch is residual"),
        (&["--strands", "equivariant"], "--strands is equivariant, expected single, augment, average or shared"),
        (&["--loss", "mse"], "--loss multinomial goes with --task profile, and with nothing else"),
    ] {
        let out = tracks.folder.path("no");
        let error = run_of(&[&["train", "--out", text(&out)], &flags(&tracks, &signals, more)[..]].concat());
        let error = String::from_utf8(error.stderr).unwrap();
        assert!(error.contains(part) && !error.contains("panicked"), "{more:?}: {error}");
        assert!(!out.exists());
    }
    for (flags, part) in [
        (&["--task", "profile"][..], "--task profile is given without --signal"),
        (&["--jitter", "3"], "--jitter goes with --task profile"),
        (&["--counts-weight", "3"], "--counts-weight goes with --task profile"),
    ] {
        let error = fail(2, &[&["train"], flags].concat());
        assert!(error.contains(part), "{flags:?}: {error}");
    }
}

#[test]
fn a_bias_model_is_copied_added_and_left_out_of_what_is_predicted() {
    let tracks = tracks();
    let (bias, _) = trained(&tracks, "bias", &["--arch", "bias", "--depth", "1", "--filters", "4", "--epochs", "2"]);
    let (run, said) = trained(&tracks, "run", &["--bias", text(&bias), "--epochs", "2", "--schedule", "constant"]);
    assert!(said.contains("log counts of the bias model move by"), "{said}");
    let refused = |bias: &str, signals: &[String; 2]| {
        let out = tracks.folder.path("no");
        let more = flags(&tracks, signals, &["--bias", bias]);
        String::from_utf8(run_of(&[&["train", "--out", text(&out)], &more[..]].concat()).stderr).unwrap()
    };
    assert!(
        refused(text(&run), &signals(&tracks))
            .contains("is no bias model, expected a run of --task profile --arch bias")
    );
    let [one, pair] = signals(&tracks);
    let others = [one.replace("one=", "other="), pair];
    assert!(refused(text(&bias), &others).contains("predicts one, pair, expected other, pair; name the tracks alike"));
    // The run needs the other no more.
    std::fs::remove_dir_all(&bias).unwrap();
    let profile = &metrics(&run)["test"]["profile"];
    assert!(profile["baselines"]["bias"]["profile_mnll"]["value"].is_f64(), "{profile}");
    let shift = json(&run.join("run.json"))["task"]["profile"]["bias_shift"].clone();
    assert!(shift.as_array().is_some_and(|shift| shift.len() == 2 && shift[0] != shift[1]), "{shift}");
    let evaluated: serde_json::Value =
        serde_json::from_str(&succeed(&["evaluate", text(&run), "--quiet", "--json"])).unwrap();
    assert_eq!(evaluated["test"]["profile"]["peaks"], profile["peaks"]);
    assert!(succeed(&["verify", text(&run), "--quiet"]).contains("metrics reproduced"));
    // Resumed, it has the same bias model as before.
    succeed(&["train", "--resume", text(&run), "--epochs", "3", "--quiet"]);
    assert!(succeed(&["verify", text(&run), "--quiet"]).contains("metrics reproduced"));

    // Counts are those with bias in predictions.csv, and those without where sequences are scored.
    let table = tracks.folder.path("scores.tsv");
    let reference = &tracks.reference;
    let regions = ["--regions", &tracks.regions, "--out", text(&table), "--quiet"];
    succeed(&[&["predict", text(&run), "--reference", reference], &regions[..]].concat());
    let without = numbers(&table, b'\t', "predicted_log_counts_one");
    let with = numbers(&run.join("predictions.csv"), b',', "predicted_log_counts_one");
    assert!(with[with.len() - 80..].iter().zip(&without[80..]).any(|(with, without)| (with - without).abs() > 1e-3));

    let footprints = tracks.folder.path("footprints");
    let motifs = ["--motif", "word=TGACTCAT", "--motif", "none=NNNN", "--backgrounds", "6"];
    let said =
        succeed(&[&["explain", "footprints", text(&run), "--out", text(&footprints), "--quiet"], &motifs[..]].concat());
    assert!(said.contains("word, one: fold") && said.contains("with bias"), "{said}");
    let found = json(&footprints.join("footprints.json"));
    // What leaves the background leaves the profile.
    assert_eq!(found["motifs"][1]["fold"], serde_json::json!([1.0, 1.0]));
    assert_ne!(found["motifs"][0]["fold"], serde_json::json!([1.0, 1.0]));
    assert!(footprints.join("pictures/word_one.png").is_file());
    let shares = numbers(&footprints.join("footprints.csv"), b',', "without_bias");
    assert_eq!(shares.len(), 2 * 3 * OUTPUT_LENGTH);
    assert!((shares[..OUTPUT_LENGTH].iter().sum::<f64>() - 1.0).abs() < 1e-6);
    // Of sequences that are given, the middle counts.
    let from = |file: &str, out: &str| {
        let out = tracks.folder.path(out);
        succeed(
            &[&["explain", "footprints", text(&run), "--sequences", file, "--out", text(&out), "--quiet"], &motifs[..]]
                .concat(),
        );
        std::fs::read(out.join("footprints.csv")).unwrap()
    };
    let record = bases(3, 80);
    let exact = tracks.folder.write("exact.fa", fasta(&[("a", &record)]));
    let longer = tracks.folder.write("longer.fa", fasta(&[("a", &format!("TTTTT{record}GGGGG"))]));
    assert_eq!(from(&exact, "of exact"), from(&longer, "of longer"));
    let short = tracks.folder.write("short.fa", fasta(&[("a", &record[1..])]));
    let error = fail(1, &["explain", "footprints", text(&run), "--motif", "a=ACG", "--sequences", &short]);
    assert!(error.contains("short.fa: record 'a' has 79 bp, expected 80 or more"), "{error}");
    for (more, part) in [
        (
            &["--motif", "long=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"][..],
            "has 50 bases, expected at most the 40 bp",
        ),
        (&["--motif", "odd=ACRT"], "--motif ACRT: holds 'R', expected A, C, G, T or N"),
        (&["--motif", "a=ACG", "--motif", "a=ACT"], "--motif names 'a' twice"),
        (&["--motif", "a=ACG", "--control", &"A".repeat(50)], "--control has 50 bases"),
    ] {
        let out = tracks.folder.path("no");
        let error = fail(1, &[&["explain", "footprints", text(&run), "--out", text(&out)], more].concat());
        assert!(error.contains(part) && !out.exists(), "{error}");
    }
}

#[test]
fn bases_that_counts_and_profiles_depend_on_are_found() {
    let tracks = tracks();
    let (run, _) = trained(&tracks, "run", &["--epochs", "2"]);
    let sequences = tracks.folder.write("one.fa", format!(">a\n{}\n", "ACGTTGACTCATCAGT".repeat(5)));
    for (of, name) in [("one", "counts"), ("pair:profile", "profile")] {
        let out = tracks.folder.path(name);
        let method = ["--method", "ism,ig", "--score-of", of, "--out", text(&out), "--quiet"];
        succeed(&[&["explain", "sequences", text(&run), &sequences], &method[..]].concat());
        assert!(out.join("ism.tsv").is_file() && out.join("ig.tsv").is_file());
    }
    let error = fail(1, &["explain", "sequences", text(&run), &sequences, "--score-of", "three:profile"]);
    assert!(error.contains("--score-of names 'three', expected one of one, pair"), "{error}");
    let table = tracks.folder.path("performance.tsv");
    succeed(&["evaluate", text(&run), "--performance", text(&table), "--quiet"]);
    let columns =
        "profile_mnll\tprofile_jsd\tprofile_pearson\tprofile_spearman\tcount_pearson\tcount_spearman\tcount_mse";
    assert_eq!(header(&table), columns);
}

#[test]
fn a_listing_of_loci_is_no_data_to_train_on() {
    let tracks = tracks();
    let (run, _) = trained(&tracks, "run", &["--epochs", "1"]);
    let listing = run.join("examples.tsv");
    let error = fail(1, &["train", "--examples", text(&listing), "--out", text(&tracks.folder.path("no"))]);
    assert!(error.contains("a run of --task profile is repeated from its config.toml"), "{error}");
    // Its log counts can be evaluated.
    let found = succeed(&["evaluate", text(&run), "--examples", text(&listing), "--quiet", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["test"]["pearson"], metrics(&run)["test"]["pearson"]);
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("Where do reads of one and pair lie in a sequence of 80 bp, and how many?"));
    assert!(!page.contains("--examples") && !page.contains("explain motifs"));
}

#[test]
fn a_control_is_given_beside_the_sequence() {
    let tracks = tracks();
    let control = tracks.folder.path("plus.bw");
    let path = |name: &str| tracks.folder.path(name);
    let own = ["--epochs", "6", "--jitter", "8"];
    let (without, _) = trained(&tracks, "without", &own);
    // The signal itself: what a control can explain, all of it.
    let (run, said) = trained(&tracks, "with", &[&own[..], &["--control", text(&control)]].concat());
    assert!(said.contains("exported model") || !said.contains("error"), "{said}");
    let gain = |run: &std::path::Path| value(&metrics(run)["test"]["profile"]["peaks"], "profile_gain");
    assert!(gain(&run) > gain(&without) + 0.2, "{} {}", gain(&run), gain(&without));
    let of_counts = |run: &std::path::Path| value(&metrics(run)["test"]["profile"]["all"], "count_pearson");
    assert!(of_counts(&run) > 0.9, "{}", of_counts(&run));
    let model = json(&run.join("model.json"));
    assert_eq!(model["profile"]["control"], serde_json::json!({"tracks": 1, "length": OUTPUT_LENGTH + 74}));

    assert!(succeed(&["verify", text(&run), "--quiet"]).contains("metrics reproduced"));
    let evaluated = path("evaluated");
    succeed(&["evaluate", text(&run), "--out", text(&evaluated), "--quiet"]);
    assert_eq!(
        json(&evaluated.join("metrics.json"))["test"]["profile"]["peaks"],
        metrics(&run)["test"]["profile"]["peaks"]
    );
    // Sequences alone have none.
    let out = path("scores.tsv");
    let predict =
        ["predict", text(&run), "--reference", &tracks.reference, "--regions", &tracks.regions, "--out", text(&out)];
    let said = String::from_utf8(run_of(&predict).stderr).unwrap();
    assert!(said.contains("without its counts, which --control gives"), "{said}");
    // With its control they are those of the run's own test.
    let given = ["--control", text(&control), "--force"];
    succeed(&[&predict[..], &given].concat());
    let table = |path: &std::path::Path, separator: u8, columns: [&str; 3]| -> HashMap<[String; 2], f64> {
        let mut rows = csv::ReaderBuilder::new().delimiter(separator).from_path(path).unwrap();
        let names = rows.headers().unwrap().clone();
        let at = columns.map(|column| names.iter().position(|name| name == column).unwrap());
        let split = names.iter().position(|name| name == "split");
        let rows = rows.records().map(Result::unwrap).filter(|row| split.is_none_or(|split| &row[split] == "test"));
        rows.map(|row| ([row[at[0]].into(), row[at[1]].into()], row[at[2]].parse().unwrap())).collect()
    };
    let predicted = table(&out, b'\t', ["name", "start", "predicted_log_counts_one"]);
    let own = table(&run.join("predictions.csv"), b',', ["chrom", "start", "predicted_log_counts_one"]);
    let differences = own.iter().filter_map(|(place, own)| Some((own - predicted.get(place)?).abs()));
    let differences: Vec<f64> = differences.collect();
    assert!(differences.len() > 5 && differences.iter().all(|&off| off < 1e-3), "{differences:?}");
    let two = format!("{},{}", text(&control), text(&control));
    let error = fail(1, &[&predict[..], &["--control", &two, "--force"]].concat());
    assert!(error.contains("--control has 2 tracks, expected 1, as the run was trained with"), "{error}");
    let other = [&["predict", text(&without)], &predict[2..], &given].concat();
    assert!(fail(1, &other).contains("expected none, as the run was trained without a control"));

    let (bias, _) = trained(&tracks, "bias", &["--epochs", "1", "--arch", "bias"]);
    let signals = signals(&tracks);
    let both = ["--bias", text(&bias), "--control", text(&control)];
    let error = fail(2, &[&["train", "--out", text(&path("both"))], &flags(&tracks, &signals, &both)[..]].concat());
    assert!(error.contains("--bias and --control"), "{error}");
}

#[test]
fn reads_are_counted_first_and_the_track_stays_in_the_run() {
    let folder = Folder::new();
    let simulated = folder.path("simulated");
    succeed(&["simulate", text(&simulated), "--signal", "--quiet"]);
    let file = |name: &str| text(&simulated.join(name)).to_owned();
    let reads = format!("atac={}", file("reads.bam"));
    let (genome, peaks, out) = (file("genome.fa"), file("peaks.narrowPeak"), folder.path("run"));
    let (stdout, _) = train(
        &out,
        &[
            "--task",
            "profile",
            "--reference",
            &genome,
            "--regions",
            &peaks,
            "--signal",
            &reads,
            "--length",
            "200",
            "--output-length",
            "100",
            "--arch",
            "bpnet",
            "--filters",
            "4",
            "--depth",
            "1",
            "--epochs",
            "1",
        ],
    );
    let track = out.join("inputs/signal-1.bw");
    assert!(track.is_file() && stdout.contains("profiles of"), "{stdout}");
    let report = json(&out.join("inputs/signal-1.json"));
    assert_eq!(report["files"][0]["shift"]["plus"], 4);
    let config = std::fs::read_to_string(out.join("config.toml")).unwrap();
    assert!(config.contains("inputs/signal-1.bw"), "{config}");
    std::fs::remove_file(simulated.join("reads.bam")).unwrap();
    let again = folder.path("evaluation");
    succeed(&["evaluate", text(&out), "--out", text(&again), "--quiet", "--threads", "1"]);
    let of_peaks = |folder: &std::path::Path| metrics(folder)["test"]["profile"]["peaks"].clone();
    assert_eq!(of_peaks(&again), of_peaks(&out));
    // Trained again from its own configuration, on the track that it kept.
    let (config, other) = (out.join("config.toml"), folder.path("other"));
    succeed(&["train", text(&config), "--out", text(&other), "--quiet", "--threads", "1"]);
    assert_eq!(outcome(&other), outcome(&out));
    // Training goes on without the reads.
    succeed(&["train", "--resume", text(&out), "--epochs", "2", "--quiet"]);
    assert_eq!(column(&out.join("history.csv"), b',', "epoch"), ["1", "2"]);
}
