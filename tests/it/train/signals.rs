//! Signal tracks: the values of windows that regression learns.

use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use strandnet::formats::bigwig::{BigWig, Writer};
use strandnet::genome::Chromosome;

use crate::fixtures::{
    Folder, bases, borrowed, column, fail, fasta, json, metrics, outcome, run, succeed, text, train, value,
};

/// Length of a region and of its window, in bp.
const LENGTH: usize = 80;

/// Bases of a chromosome.
const BASES: usize = 12_000;

/// A genome, 120 regions of it without names, and a track that is high where a region holds a word.
pub struct Tracks {
    pub folder: Folder,
    pub reference: String,
    pub regions: String,
    /// Chromosome, start and the sum over the window, by region.
    pub sums: Vec<(String, usize, f64)>,
}

pub fn save(path: &Path, values: &[(String, Range<usize>, f32)]) -> String {
    let chromosomes: Vec<Chromosome> =
        (1..=3).map(|number| Chromosome { name: format!("chr{number}"), length: BASES }).collect();
    let mut writer = Writer::new(std::io::Cursor::new(Vec::new()), &chromosomes, path).unwrap();
    values.iter().for_each(|(chromosome, range, value)| writer.push(chromosome, range.clone(), *value).unwrap());
    std::fs::write(path, writer.finish().unwrap().into_inner()).unwrap();
    text(path).to_owned()
}

pub fn tracks() -> Tracks {
    let folder = Folder::new();
    let (mut chromosomes, mut bed, mut sums) = (Vec::new(), String::new(), Vec::new());
    let (mut plus, mut minus) = (Vec::new(), Vec::new());
    for number in 1..=3u64 {
        let name = format!("chr{number}");
        let mut sequence = bases(number, BASES);
        for region in 0..40 {
            let start = 100 + region * 290;
            let strength = region % 4;
            for copy in 0..strength {
                sequence.replace_range(start + 10 + copy * 20..start + 18 + copy * 20, "TGACTCAT");
            }
            bed.push_str(&format!("{name}\t{start}\t{}\n", start + LENGTH));
            // Less than zero on the minus strand, which is drawn downwards; one value in three lies outside of the middle.
            plus.push((name.clone(), start + 30..start + 34, strength as f32 + 0.5));
            minus.push((name.clone(), start + 2..start + 4, -1.0 - region as f32));
            sums.push((name.clone(), start, 4.0 * (strength as f64 + 0.5)));
        }
        chromosomes.push((name, sequence));
    }
    save(&folder.path("plus.bw"), &plus);
    save(&folder.path("minus.bw"), &minus);
    let reference = folder.write("genome.fa", fasta(&borrowed(&chromosomes)));
    let regions = folder.write("peaks.bed", bed);
    Tracks { folder, reference, regions, sums }
}

impl Tracks {
    pub fn signal(&self, name: &str, files: &[&str]) -> String {
        let files: Vec<PathBuf> = files.iter().map(|file| self.folder.path(file)).collect();
        format!("{name}={}", files.iter().map(|file| text(file)).collect::<Vec<_>>().join(","))
    }

    pub fn flags<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let own = ["--reference", &self.reference, "--regions", &self.regions, "--train-chroms", "1"];
        [&own, &["--valid-chroms", "2", "--test-chroms", "chr3"][..], more].concat()
    }
}

/// The value of a name in labels such as `a=1,b=2`.
fn named(label: &str, name: &str) -> f64 {
    let pair = label.split(',').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    pair.unwrap_or_else(|| panic!("{label}: no {name}")).parse().unwrap()
}

#[test]
fn a_signal_of_regions_is_learned_listed_judged_and_repeated() {
    let tracks = tracks();
    let (one, pair) = (tracks.signal("atac", &["plus.bw"]), tracks.signal("both", &["plus.bw", "minus.bw"]));
    let flags =
        tracks.flags(&["--signal", &one, "--signal", &pair, "--log1p", "--output-length", "60", "--epochs", "30"]);
    let out = tracks.folder.path("run");
    let (_, said) = train(&out, &flags);
    assert!(said.contains("minus.bw: has no value above zero, so it is taken as counts drawn downwards"), "{said}");

    let [labels, chroms, starts] =
        ["label", "chrom", "start"].map(|name| column(&out.join("examples.tsv"), b'\t', name));
    assert_eq!(labels.len(), tracks.sums.len());
    for ((label, chrom), start) in labels.iter().zip(&chroms).zip(&starts) {
        let found = tracks.sums.iter().find(|(name, at, _)| name == chrom && at.to_string() == *start).unwrap();
        // The minus strand's values lie outside of the middle 60 bp.
        for name in ["atac", "both"] {
            assert!((named(label, name) - found.2.ln_1p()).abs() < 1e-6, "{label} {found:?}");
        }
    }
    let run_json = json(&out.join("run.json"));
    assert_eq!(run_json["resolved"]["signal"], "sum over the middle 60 bp of a window, as log(1 + x)");
    assert_eq!(run_json["resolved"]["length"], LENGTH);
    assert_eq!(run_json["data_files"].as_array().unwrap().len(), 5);
    assert_eq!(json(&out.join("model.json"))["classes"], serde_json::json!(["atac", "both"]));

    // Its own test again, and the same regions as if they were others.
    let evaluate = |more: &[&str]| -> serde_json::Value {
        serde_json::from_str(&succeed(&[&["evaluate", text(&out), "--quiet", "--json"], more].concat())).unwrap()
    };
    let own = &metrics(&out)["test"];
    assert_eq!(&evaluate(&[])["test"], own);
    let other = evaluate(&["--regions", &tracks.regions, "--test-chroms", "chr3"]);
    assert_eq!(&other["test"], own);
    let told = evaluate(&[
        "--reference",
        &tracks.reference,
        "--regions",
        &tracks.regions,
        "--signal",
        &one,
        "--signal",
        &pair,
        "--test-chroms",
        "3",
    ]);
    assert_eq!(&told["test"], own);
    let wrong = fail(1, &["evaluate", text(&out), "--regions", &tracks.regions, "--signal", &one]);
    assert!(wrong.contains("holds atac, expected atac, both as the run learned"), "{wrong}");

    // From its configuration and from its listing the same network comes out.
    let again = tracks.folder.path("again");
    succeed(&["train", text(&out.join("config.toml")), "--out", text(&again), "--quiet"]);
    assert!(outcome(&out) == outcome(&again), "another outcome from config.toml");
    let listed = tracks.folder.path("listed");
    let listing = out.join("examples.tsv");
    train(&listed, &["--examples", text(&listing), "--epochs", "30"]);
    assert!(outcome(&out) == outcome(&listed), "another outcome from examples.tsv");

    std::fs::rename(tracks.folder.path("minus.bw"), tracks.folder.path("renamed.bw")).unwrap();
    let checks = succeed(&["verify", text(&out), "--quiet"]);
    assert!(checks.contains("renamed.bw") && checks.contains("metrics reproduced"), "{checks}");
    succeed(&["report", text(&out), "--out", text(&tracks.folder.path("run.html")), "--quiet"]);
    let page = std::fs::read_to_string(tracks.folder.path("run.html")).unwrap();
    assert!(page.contains("sum over the middle 60 bp of a window, as log(1 + x)"));
}

#[test]
fn a_configuration_names_tracks_relative_to_itself() {
    let tracks = tracks();
    let toml = "[data]\nreference = \"genome.fa\"\nregions = [\"peaks.bed\"]\nsignal = [\"both=plus.bw,minus.bw\"]\ntrain_chroms = [\"1\"]\nvalid_chroms = [\"2\"]\ntest_chroms = [\"3\"]\n";
    let config = tracks.folder.write("signal.toml", toml);
    let out = tracks.folder.path("run");
    train(&out, &[&config]);
    let saved = std::fs::read_to_string(out.join("config.toml")).unwrap();
    assert!(
        saved.contains(&format!(
            "both={},{}",
            tracks.folder.path("plus.bw").display(),
            tracks.folder.path("minus.bw").display()
        )),
        "{saved}"
    );
    assert_eq!(column(&out.join("examples.tsv"), b'\t', "name").len(), tracks.sums.len());
}

#[test]
fn background_has_its_own_signal() {
    let tracks = tracks();
    let signal = tracks.signal("atac", &["plus.bw"]);
    let flags = tracks.flags(&["--signal", &signal, "--aggregate", "max", "--negatives", "random", "--epochs", "1"]);
    let out = tracks.folder.path("run");
    train(&out, &flags);
    let labels = column(&out.join("examples.tsv"), b'\t', "label");
    assert_eq!(labels.len(), 2 * tracks.sums.len());
    // Nothing lies away from the regions.
    assert_eq!(labels.iter().filter(|label| *label == "atac=0").count(), tracks.sums.len());
    assert!(value(&metrics(&out)["test"], "pearson").is_finite());
}

/// An array of single precision of a NumPy file, `[n, ...]`, by name.
pub fn arrays(path: &Path, name: &str) -> (Vec<usize>, Vec<f32>) {
    let (shape, bytes) = array_bytes(path, name);
    (shape, bytes.chunks_exact(4).map(|number| f32::from_le_bytes(number.try_into().unwrap())).collect())
}

/// The same as bytes, whatever their type.
pub fn array_bytes(path: &Path, name: &str) -> (Vec<usize>, Vec<u8>) {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut bytes = Vec::new();
    zip.by_name(&format!("{name}.npy")).unwrap().read_to_end(&mut bytes).unwrap();
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..end]).unwrap();
    let shape = header.split(['(', ')']).nth(1).unwrap();
    let shape = shape.split(',').filter_map(|side| side.trim().parse().ok()).collect();
    (shape, bytes[end..].to_vec())
}

#[test]
fn bins_are_learned_and_everything_else_goes_by_their_means() {
    let tracks = tracks();
    let (one, pair) = (tracks.signal("atac", &["plus.bw"]), tracks.signal("both", &["plus.bw", "minus.bw"]));
    // Every other region on the minus strand, whose window is read backwards.
    let bed = std::fs::read_to_string(&tracks.regions).unwrap();
    let stranded: String = bed
        .lines()
        .enumerate()
        .map(|(i, line)| format!("{line}\t.\t0\t{}\n", if i % 2 == 0 { "+" } else { "-" }))
        .collect();
    let regions = tracks.folder.write("stranded.bed", stranded);
    let network = [
        "--arch",
        "residual",
        "--filters",
        "16",
        "--depth",
        "1",
        "--epochs",
        "30",
        "--lr",
        "0.01",
        "--batch-size",
        "8",
    ];
    let data = ["--signal", &one, "--signal", &pair, "--bin", "16", "--output-length", "64"];
    let tracks = Tracks { regions, ..tracks };
    let flags = [&network[..], &tracks.flags(&data)].concat();
    let out = tracks.folder.path("run");
    train(&out, &flags);
    assert_eq!(json(&out.join("run.json"))["task"]["loss"], "poisson");
    assert_eq!(json(&out.join("model.json"))["bins"], serde_json::json!({"count": 4, "bp": 16}));

    let (shape, observed) = arrays(&out.join("bins.npz"), "observed");
    let (predicted_shape, predicted) = arrays(&out.join("bins.npz"), "predicted");
    assert_eq!((&shape, &predicted_shape), (&vec![40, 2, 4], &vec![40, 2, 4]));
    let chosen = |name: &str| -> Vec<String> {
        let splits = column(&out.join("examples.tsv"), b'\t', "split");
        column(&out.join("examples.tsv"), b'\t', name)
            .into_iter()
            .zip(splits)
            .filter(|(_, split)| split == "test")
            .map(|(cell, _)| cell)
            .collect()
    };
    let (strands, starts) = (chosen("strand"), chosen("start"));
    let [scores, means] = ["score_atac", "label_atac"].map(|name| column(&out.join("predictions.csv"), b',', name));
    let (scores, means) = (&scores[scores.len() - 40..], &means[means.len() - 40..]);
    for i in 0..40 {
        let start: usize = starts[i].parse().unwrap();
        // The plus strand's values lie at 30 to 34 of 80, so in the second bin of the middle 64, and the others outside.
        let strength = tracks.sums.iter().find(|(name, at, _)| name == "chr3" && *at == start).unwrap().2 as f32;
        let mut expected = [0.0, strength, 0.0, 0.0];
        if strands[i] == "-" {
            expected.reverse();
        }
        assert_eq!(observed[i * 8..i * 8 + 8], [expected, expected].concat());
        assert!((means[i].parse::<f32>().unwrap() - strength / 4.0).abs() < 1e-6);
        let mean = predicted[i * 8..i * 8 + 4].iter().sum::<f32>() / 4.0;
        assert!((scores[i].parse::<f32>().unwrap() - mean).abs() < 1e-4 * mean.abs().max(1.0));
    }
    let test = &metrics(&out)["test"];
    assert_eq!(test["bins"]["n"], 160);
    // The word alone says which bin is high.
    assert!(value(&test["bins"], "pearson") > 0.5, "{}", test["bins"]);

    let evaluated = tracks.folder.path("evaluated");
    succeed(&["evaluate", text(&out), "--out", text(&evaluated), "--quiet"]);
    assert_eq!(&json(&evaluated.join("metrics.json"))["test"], test);
    assert_eq!(arrays(&evaluated.join("bins.npz"), "predicted").1, predicted);
    assert!(succeed(&["verify", text(&out), "--quiet"]).contains("metrics reproduced"));
    let listed = tracks.folder.path("listed");
    let listing = out.join("examples.tsv");
    train(&listed, &[&network[..], &["--examples", text(&listing), "--bin", "16"]].concat());
    assert!(outcome(&out) == outcome(&listed), "another outcome from examples.tsv");

    // So does its configuration beside the listing, from which alone the values of bins are taken.
    let configured = tracks.folder.path("configured");
    let config = out.join("config.toml");
    succeed(&["train", text(&config), "--examples", text(&listing), "--out", text(&configured), "--quiet"]);
    assert!(outcome(&out) == outcome(&configured), "another outcome from config.toml and examples.tsv");
    // A listing of whole values has the means; one of other bins is refused.
    let rows = std::fs::read_to_string(&listing).unwrap();
    let whole: String = rows.lines().map(|line| line.rsplit_once('\t').unwrap().0.to_owned() + "\n").collect();
    let whole = tracks.folder.write("whole.tsv", whole);
    let of_whole: serde_json::Value =
        serde_json::from_str(&succeed(&["evaluate", text(&out), "--examples", &whole, "--quiet", "--json"])).unwrap();
    assert_eq!((&of_whole["test"]["pearson"], &of_whole["test"]["bins"]), (&test["pearson"], &serde_json::Value::Null));
    let other = tracks.folder.write("other.tsv", rows.replace("bins_16bp", "bins_8bp"));
    for (listing, part) in [(&other, "holds bins of 8 bp, and --bin is 16"), (&whole, "holds no values of bins")] {
        let error = fail(1, &["train", "--out", text(&tracks.folder.path("no")), "--examples", listing, "--bin", "16"]);
        assert!(error.contains(part), "{error}");
    }

    // Scores are means of bins, of the same sequences to the same numbers, and can be explained.
    let scored =
        succeed(&["predict", text(&out), "--reference", &tracks.reference, "--regions", &tracks.regions, "--quiet"]);
    assert!(scored.starts_with("name\tstart\tend\tstrand\tscore_atac\tscore_both\t"), "{scored}");
    // Tracks have each bin, and bigWig and bedGraph the same.
    let of_track = |format: &str, name: &str| {
        let path = tracks.folder.path(name);
        let [format, path] = [["--format", format], ["--out", text(&path)]];
        let arguments = [
            &["predict", text(&out), "--reference", &tracks.reference, "--score-of", "both", "--quiet"][..],
            &format,
            &path,
        ];
        succeed(&arguments.concat());
        tracks.folder.path(name)
    };
    let graph = std::fs::read_to_string(of_track("bedgraph", "both.bedgraph")).unwrap();
    let mut lines = graph.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let first: Vec<Vec<&str>> = lines.by_ref().take(5).collect();
    // Windows of 80 bp, one every 64 bp, whose bins cover the middle 64.
    let spans: Vec<[&str; 2]> = first.iter().map(|line| [line[1], line[2]]).collect();
    assert_eq!(spans, [["8", "24"], ["24", "40"], ["40", "56"], ["56", "72"], ["72", "88"]]);
    let mut track = BigWig::open(&of_track("bigwig", "both.bw")).unwrap();
    let mut bases = 0;
    for line in graph.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let (start, end, score): (usize, usize, f32) =
            (cells[1].parse().unwrap(), cells[2].parse().unwrap(), cells[3].parse().unwrap());
        let each = |range: Range<usize>, value: f32| {
            assert_eq!(value, score, "{line}");
            bases += range.len();
            Ok(())
        };
        track.values(cells[0], start..end, each).unwrap();
    }
    assert!(bases > 3 * (BASES - 2 * LENGTH), "{bases}");
    let table = succeed(&["predict", text(&out), "--reference", &tracks.reference, "--chroms", "chr1", "--quiet"]);
    let mean: f32 = table.lines().nth(1).unwrap().split('\t').nth(5).unwrap().parse().unwrap();
    let of_bins = first[..4].iter().map(|line| line[3].parse::<f32>().unwrap()).sum::<f32>() / 4.0;
    assert!((mean - of_bins).abs() < 1e-5 * mean.abs().max(1.0), "{mean} {of_bins}");

    let explained = tracks.folder.path("explained");
    succeed(&[
        "explain",
        "sequences",
        text(&out),
        "--reference",
        &tracks.reference,
        "--regions",
        &tracks.regions,
        "--score-of",
        "atac",
        "--method",
        "saliency",
        "--out",
        text(&explained),
        "--quiet",
    ]);

    let wrong = tracks.folder.path("wrong");
    let fails = |code: i32, more: &[&str], part: &str| {
        let error = fail(code, &[&["train", "--out", text(&wrong)], flags.as_slice(), more].concat());
        assert!(error.contains(part), "{more:?}: {error}");
    };
    fails(2, &["--shift", "3"], "does not go with --bin");
    fails(2, &["--bin", "24"], "expected a length that divides the 64 bp");
    fails(1, &["--bin", "2"], "do not fall on the network's positions, which are 4 bp apart");
    let shallow =
        fail(1, &[&["train", "--out", text(&wrong), "--arch", "shallow"], tracks.flags(&data).as_slice()].concat());
    assert!(shallow.contains("expected --arch residual or gated, not shallow"), "{shallow}");
}

#[test]
fn what_does_not_go_with_a_signal_is_said() {
    let tracks = tracks();
    let (one, minus) = (tracks.signal("a", &["plus.bw"]), tracks.signal("a", &["minus.bw"]));
    let fails = |code: i32, more: &[&str], part: &str| {
        let out = tracks.folder.path("wrong");
        let error = fail(code, &[&["train", "--out", text(&out)], tracks.flags(more).as_slice()].concat());
        assert!(error.contains(part), "{more:?}: {error}");
        assert!(!out.exists());
    };
    fails(
        1,
        &["--signal", &minus, "--log1p"],
        "120 of 120 values are below zero, the first at chr1:102 (0-based), and --log1p",
    );
    fails(2, &["--signal", "plus.bw"], "expected NAME=FILE.bw");
    fails(2, &["--signal", &one, "--task", "binary"], "--task is binary, expected regression or profile for --signal");
    fails(2, &["--signal", &one, "--signal", &one], "--signal names 'a' twice");
    fails(2, &["--signal", &one, "--negatives", "shuffle"], "a shuffled sequence does not have");
    fails(2, &["--signal", &one, "--negatives-per-positive", "2"], "add --negatives gc-matched");
    fails(2, &["--signal", &one, "--length", "80", "--output-length", "82"], "expected at most the 80 bp");
    fails(2, &["--signal", &one, "--length", "80", "--output-length", "61"], "expected an even difference");
    fails(1, &["--signal", &one, "--output-length", "90"], "expected at most the 80 bp");
    fails(2, &["--log1p"], "--regions is");
    fails(2, &["--signal", &one, "--classes", "a,b"], "--classes goes with classes");
    fails(1, &["--signal", "a=gone.bw"], "gone.bw");
    fails(1, &["--signal", &format!("a={}", tracks.reference)], "genome.fa");
    let silent = format!("a={}", save(&tracks.folder.path("zero.bw"), &[("chr1".into(), 0..9, 0.0)]));
    fails(1, &["--signal", &silent], "has no value but 0");
    let negative = [("chr1".to_owned(), 5..9, 1.0), ("chr2".to_owned(), 7..8, -2.0)];
    save(&tracks.folder.path("mixed.bw"), &negative);
    fails(
        1,
        &["--signal", &tracks.signal("a", &["plus.bw", "mixed.bw"])],
        "1 of 2 values are above zero, the first at chr1:5",
    );
    let out = tracks.folder.path("nothing");
    let alone = fail(2, &["train", "--out", text(&out), "--signal", &one]);
    assert!(alone.contains("--signal goes with --regions"), "{alone}");
    let output = run(&["inspect", "--reference", &tracks.reference, "--regions", &tracks.regions, "--signal", &one]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
