//! Regions of a genome: which windows they give, and every kind of negatives.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use strandnet::format::thousands;

use crate::fixtures::{
    Folder, Row, bases_of_gc, bgzip, borrowed, column, examples, fail, fasta, gc, gzip, json, outcome,
    reverse_complement, run, succeed, text, train,
};

/// Length of a window in these tests, in bp.
const LENGTH: usize = 100;

/// Blocks of 1000 bp in a chromosome.
const BLOCKS: usize = 80;

/// Four chromosomes whose GC content and repeats change from block to block, with gaps of N.
struct Reference {
    folder: Folder,
    fasta: String,
    chromosomes: BTreeMap<String, String>,
}

/// A region of a BED file.
#[derive(Clone, Debug)]
struct Region {
    chrom: String,
    start: usize,
    end: usize,
    strand: char,
}

impl Region {
    /// Where its window starts: around the middle.
    fn window(&self) -> usize {
        self.start + (self.end - self.start) / 2 - LENGTH / 2
    }
}

fn reference() -> Reference {
    let folder = Folder::new();
    let records: Vec<(String, String)> = (1..=4u64)
        .map(|number| {
            let mut bases = String::new();
            for block in 0..BLOCKS {
                let gc = [0.35, 0.45, 0.55, 0.65][block % 4];
                let mut more = bases_of_gc(number * 1000 + block as u64, 1000, gc);
                if is_masked(block) {
                    more.make_ascii_lowercase();
                }
                if block % 16 == 13 {
                    more.replace_range(300..600, &"N".repeat(300));
                }
                bases.push_str(&more);
            }
            (format!("chr{number}"), bases)
        })
        .collect();
    let fasta = folder.write("reference.fa", fasta(&borrowed(&records)));
    Reference { folder, fasta, chromosomes: records.into_iter().collect() }
}

fn is_masked(block: usize) -> bool {
    (block / 4).is_multiple_of(2)
}

/// Twenty regions a chromosome, all in blocks of repeats rich in GC, of many lengths and both strands.
fn regions() -> Vec<Region> {
    let mut regions = Vec::new();
    for chromosome in 1..=4 {
        for block in (0..BLOCKS).filter(|block| block % 4 >= 2 && is_masked(*block) && (block / 8) % 2 == 0) {
            for (i, offset) in [150, 600].into_iter().enumerate() {
                let start = block * 1000 + offset + block % 7;
                let strand = if (block / 8 + i) % 2 == 0 { '+' } else { '-' };
                regions.push(Region { chrom: format!("chr{chromosome}"), start, end: start + 20 + block * 2, strand });
            }
        }
    }
    regions
}

fn bed(regions: &[Region]) -> String {
    regions.iter().map(|r| format!("{}\t{}\t{}\t.\t0\t{}\n", r.chrom, r.start, r.end, r.strand)).collect()
}

const CHROMOSOMES: [&str; 8] =
    ["--train-chroms", "chr1,2", "--valid-chroms", "chr3", "--test-chroms", "4", "--length", "100"];

impl Reference {
    /// Trains on the regions of a BED file named `peak` and returns the run and standard error.
    fn train(&self, name: &str, bed: &str, flags: &[&str]) -> (PathBuf, String) {
        let out = self.folder.path(name);
        let regions = format!("peak={bed}");
        let all = [&["--reference", &self.fasta, "--regions", &regions][..], &CHROMOSOMES, flags].concat();
        let (_, stderr) = train(&out, &all);
        (out, stderr)
    }

    /// The bases of a row of examples, as its strand reads.
    fn bases(&self, row: &Row) -> String {
        if !row.sequence.is_empty() {
            return row.sequence.clone();
        }
        let bases = &self.chromosomes[&row.chrom][row.start..row.end];
        if row.strand == "-" { reverse_complement(bases) } else { bases.to_owned() }
    }

    /// Windows in each bin of two percentage points of GC content, by split and label.
    fn gc_histograms(&self, rows: &[Row]) -> BTreeMap<(String, String), BTreeMap<usize, usize>> {
        let mut histograms: BTreeMap<_, BTreeMap<usize, usize>> = BTreeMap::new();
        for row in rows {
            let bin = (gc(&self.bases(row)) * 50.0 + 1e-9) as usize;
            *histograms.entry((row.split.clone(), row.label.clone())).or_default().entry(bin).or_insert(0) += 1;
        }
        histograms
    }
}

/// How often each pair of neighbouring letters stands in a sequence.
fn dinucleotides(bases: &str) -> HashMap<Vec<u8>, usize> {
    let mut counts = HashMap::new();
    for pair in bases.to_ascii_uppercase().as_bytes().windows(2) {
        *counts.entry(pair.to_vec()).or_insert(0) += 1;
    }
    counts
}

fn of<'a>(rows: &'a [Row], split: &'a str, label: &'a str) -> impl Iterator<Item = &'a Row> {
    rows.iter().filter(move |row| row.split == split && row.label == label)
}

fn overlaps(row: &Row, chrom: &str, start: usize, end: usize) -> bool {
    row.chrom == chrom && row.start < end && start < row.end
}

/// Every window lies on a chromosome of its split.
fn stay_in_their_splits(rows: &[Row]) {
    for row in rows.iter().filter(|row| !row.chrom.is_empty()) {
        let expected: &[&str] = match row.split.as_str() {
            "train" => &["chr1", "chr2"],
            "valid" => &["chr3"],
            _ => &["chr4"],
        };
        assert!(expected.contains(&row.chrom.as_str()) && row.end - row.start == LENGTH, "{row:?}");
    }
}

#[test]
fn shuffled_negatives_have_exactly_the_dinucleotides_of_their_regions() {
    let reference = reference();
    let mut all = regions();
    // One region lies half in a gap: unknown bases are shuffled as a letter of their own.
    all.push(Region { chrom: "chr1".into(), start: 13_250, end: 13_350, strand: '-' });
    let bed = reference.folder.write("peaks.bed", bed(&all));
    for per_positive in [1, 3] {
        let per = per_positive.to_string();
        let flags = ["--negatives", "shuffle", "--negatives-per-positive", &per, "--max-n", "50"];
        let (run, _) = reference.train(&format!("run{per}"), &bed, &flags);
        let rows = examples(&run);
        stay_in_their_splits(&rows);
        let mut compared = 0;
        for (split, expected) in [("train", 41), ("valid", 20), ("test", 20)] {
            let positives: Vec<&Row> = of(&rows, split, "peak").collect();
            let negatives: Vec<&Row> = of(&rows, split, "negative").collect();
            assert_eq!((positives.len(), negatives.len()), (expected, expected * per_positive), "{split}");
            for positive in positives {
                let bases = reference.bases(positive).to_ascii_uppercase();
                let place = format!(" of {}:{}-{}", positive.chrom, positive.start, positive.end);
                let own: Vec<&&Row> = negatives.iter().filter(|row| row.name.ends_with(&place)).collect();
                assert_eq!(own.len(), per_positive, "{place}");
                for (i, negative) in own.iter().enumerate() {
                    assert_eq!(dinucleotides(&negative.sequence), dinucleotides(&bases), "{place}");
                    assert_ne!(negative.sequence, bases, "{place} is shuffled");
                    assert!(
                        own[..i].iter().all(|other| other.sequence != negative.sequence),
                        "{place}: shuffles differ"
                    );
                    compared += 1;
                }
            }
        }
        assert_eq!(compared, 81 * per_positive);
        assert!(rows.iter().any(|row| row.label == "negative" && row.sequence.contains('N')));
    }
}

#[test]
fn matched_negatives_have_the_gc_and_repeats_of_the_regions_and_stay_away_from_them() {
    let reference = reference();
    let all = regions();
    let bed = reference.folder.write("peaks.bed", bed(&all));
    // A third of every chromosome.
    let excluded: Vec<(String, usize, usize)> = (1..=4)
        .flat_map(|n| (0..BLOCKS / 6).map(move |i| (format!("chr{n}"), i * 6000 + 4000, i * 6000 + 6000)))
        .collect();
    let exclude: String = excluded.iter().map(|(chrom, start, end)| format!("{chrom}\t{start}\t{end}\n")).collect();
    let exclude = reference.folder.write("exclude.bed", exclude);
    let masked = |rows: &[Row], label: &str| {
        let shares: Vec<f64> = rows
            .iter()
            .filter(|row| row.label == label)
            .map(|row| reference.bases(row).bytes().filter(u8::is_ascii_lowercase).count() as f64 / LENGTH as f64)
            .collect();
        shares.iter().sum::<f64>() / shares.len() as f64
    };
    let key = |split: &str, label: &str| (split.to_owned(), label.to_owned());

    for (kind, flags, per_positive) in [
        ("matched", &["--negatives", "gc-matched"][..], 1),
        ("by default", &[], 1),
        ("three each", &["--negatives", "gc-matched", "--negatives-per-positive", "3"], 3),
        ("random", &["--negatives", "random"], 1),
    ] {
        let (run, stderr) = reference.train(kind, &bed, &[flags, &["--exclude", &exclude]].concat());
        let rows = examples(&run);
        stay_in_their_splits(&rows);
        let histograms = reference.gc_histograms(&rows);
        for (split, expected) in [("train", 40), ("valid", 20), ("test", 20)] {
            assert_eq!(of(&rows, split, "peak").count(), expected);
            assert_eq!(of(&rows, split, "negative").count(), expected * per_positive, "{kind} {split}");
            let mut wanted = histograms[&key(split, "peak")].clone();
            wanted.values_mut().for_each(|count| *count *= per_positive);
            assert_eq!(histograms[&key(split, "negative")] == wanted, kind != "random", "{kind} {split}: {stderr}");
        }
        assert!(!stderr.contains("differ in GC content") && !stderr.contains("much the same"), "{stderr}");
        for row in rows.iter().filter(|row| row.label == "negative") {
            assert!(all.iter().all(|r| !overlaps(row, &r.chrom, r.start, r.end)), "{kind}: {row:?} overlaps a region");
            let window = |r: &Region| overlaps(row, &r.chrom, r.window(), r.window() + LENGTH);
            assert!(!all.iter().any(window), "{kind}: {row:?} overlaps the window of a region");
            assert!(excluded.iter().all(|(chrom, start, end)| !overlaps(row, chrom, *start, *end)), "{kind}: {row:?}");
            assert!(!reference.bases(row).contains('N'), "{kind}: {row:?} lies in a gap");
        }
        let (of_regions, of_negatives) = (masked(&rows, "peak"), masked(&rows, "negative"));
        assert!(of_regions > 0.9, "{of_regions}");
        assert_eq!((of_regions - of_negatives).abs() < 0.1, kind != "random", "{kind}: {of_regions} {of_negatives}");
    }
}

#[test]
fn negatives_that_much_overlap_are_told_of() {
    let reference = reference();
    let bed_file = reference.folder.write("peaks.bed", bed(&regions()));
    // All but the last 5000 bp of every chromosome is excluded.
    let nearly_all: String = (1..=4).map(|n| format!("chr{n}\t0\t75000\n")).collect();
    let nearly_all = reference.folder.write("nearly all.bed", nearly_all);
    let flags =
        ["--negatives", "random", "--negatives-per-positive", "20", "--exclude", &nearly_all, "--center", "middle"];
    let (run, stderr) = reference.train("run", &bed_file, &flags);
    let rows = examples(&run);
    let starts: BTreeSet<(&str, usize)> =
        of(&rows, "train", "negative").map(|row| (row.chrom.as_str(), row.start)).collect();
    assert_eq!(starts.len(), of(&rows, "train", "negative").count());
    let bases: BTreeSet<(&str, usize)> =
        starts.iter().flat_map(|(chrom, start)| (*start..start + LENGTH).map(|at| (*chrom, at))).collect();
    let depth = starts.len() as f64 * LENGTH as f64 / bases.len() as f64;
    let expected = format!(
        "the {} train negatives lie in {} bp, each base in {depth:.0} of them on average",
        starts.len(),
        thousands(bases.len())
    );
    assert!(stderr.contains(&expected), "{expected}: {stderr}");
}

#[test]
fn negatives_of_a_bed_file_are_centred_like_the_regions() {
    let reference = reference();
    let bed_file = reference.folder.write("peaks.bed", bed(&regions()));
    let others: Vec<Region> = (1..=4)
        .flat_map(|n| {
            (0..15).map(move |i| Region {
                chrom: format!("chr{n}"),
                start: i * 5000 + 4100,
                end: i * 5000 + 4100 + 31,
                strand: '-',
            })
        })
        .collect();
    let negatives = reference.folder.write("others.bed.gz", gzip(bed(&others).as_bytes()));
    let (run, _) = reference.train("run", &bed_file, &["--negatives", &negatives]);
    let rows = examples(&run);
    stay_in_their_splits(&rows);
    let found: Vec<(String, usize, String)> = ["train", "valid", "test"]
        .iter()
        .flat_map(|split| of(&rows, split, "negative"))
        .map(|row| (row.chrom.clone(), row.start, row.strand.clone()))
        .collect();
    // One that touches a region of the other class is no negative.
    let touches = |r: &&Region| {
        let window = r.window()..r.window() + LENGTH;
        let covered = |p: &Region| p.start.min(p.window())..p.end.max(p.window() + LENGTH);
        regions().iter().any(|p| p.chrom == r.chrom && covered(p).start < window.end && window.start < covered(p).end)
    };
    let kept = others.iter().filter(|r| !touches(r));
    let expected: Vec<_> = kept.map(|r| (r.chrom.clone(), r.window(), "-".to_owned())).collect();
    assert!(expected.len() < others.len());
    assert_eq!(found, expected);
    assert_eq!(rows.iter().filter(|row| row.label == "peak").count(), 80);
    assert_eq!(json(&run.join("run.json"))["positive"], "peak");
}

#[test]
fn several_sets_of_regions_are_told_from_each_other() {
    let reference = reference();
    let all = regions();
    let part = |i: usize| -> Vec<Region> { all.iter().skip(i).step_by(4).cloned().collect() };
    let files: Vec<String> = (0..4).map(|i| reference.folder.write(&format!("{i}.bed"), bed(&part(i)))).collect();
    // The first name appears twice: its files add up.
    let named: Vec<String> =
        ["a", "b", "c", "a"].iter().zip(&files).map(|(name, file)| format!("{name}={file}")).collect();
    let mut flags = vec!["--reference", &reference.fasta];
    flags.extend(named.iter().flat_map(|named| ["--regions", named.as_str()]));
    let out = reference.folder.path("run");
    train(&out, &[&flags[..], &CHROMOSOMES].concat());
    let rows = examples(&out);
    stay_in_their_splits(&rows);
    let provenance = json(&out.join("run.json"));
    assert_eq!(provenance["classes"], serde_json::json!(["a", "b", "c"]));
    assert_eq!(provenance["task"]["kind"], "multiclass");
    for (label, parts) in [("a", &[0, 3][..]), ("b", &[1]), ("c", &[2])] {
        let mut found: Vec<_> =
            rows.iter().filter(|row| row.label == label).map(|row| (row.chrom.clone(), row.start)).collect();
        let mut expected: Vec<_> = parts.iter().flat_map(|&i| part(i)).map(|r| (r.chrom.clone(), r.window())).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{label}");
    }
    // Two names are a question of two classes, the first of them positive.
    let out = reference.folder.path("two");
    let two = ["--reference", &reference.fasta, "--regions", &named[2], "--regions", &named[1]];
    train(&out, &[&two[..], &CHROMOSOMES].concat());
    assert_eq!(json(&out.join("run.json"))["positive"], "c");
}

#[test]
fn summits_centre_the_window_and_the_minus_strand_is_the_reverse_complement() {
    let reference = reference();
    let mut peaks = String::new();
    let mut expected = Vec::new();
    for (i, region) in regions().iter().enumerate() {
        let Region { chrom, start, strand, .. } = region;
        let (end, offset) = (start + 220, 10 + i % 200);
        // A summit of -1 is not known: the middle serves.
        let (summit, centre) = if i % 10 == 9 { (-1, start + 110) } else { (offset as i64, start + offset) };
        peaks.push_str(&format!("{chrom}\t{start}\t{end}\tpeak{i}\t5\t{strand}\t1.5\t-1\t2.5\t{summit}\n"));
        expected.push((format!("peak{i}"), chrom.clone(), centre - LENGTH / 2, strand.to_string()));
    }
    let bed = reference.folder.write("peaks.narrowPeak", peaks);
    let (run, _) = reference.train("run", &bed, &["--negatives", "shuffle", "--lr", "0.01", "--strands", "augment"]);
    let rows = examples(&run);
    let mut found: Vec<_> = rows
        .iter()
        .filter(|row| row.label == "peak")
        .map(|row| (row.name.clone(), row.chrom.clone(), row.start, row.strand.clone()))
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    // What the network scored is the sequence as its strand reads, and no other.
    let table = run.join("predictions.csv");
    let columns =
        ["name", "split", "label", "chrom", "start", "strand", "score"].map(|name| column(&table, b',', name));
    let chosen: Vec<usize> =
        (0..columns[0].len()).filter(|&i| columns[1][i] == "test" && columns[2][i] == "peak").collect();
    assert_eq!(chosen.len(), 20);
    let mut records = Vec::new();
    for &i in &chosen {
        let start: usize = columns[4][i].parse().unwrap();
        let bases = &reference.chromosomes[&columns[3][i]][start..start + LENGTH];
        let other = reverse_complement(bases);
        let (as_read, not) = if columns[5][i] == "-" { (other, bases.to_owned()) } else { (bases.to_owned(), other) };
        records.push((format!("{}_as_read", columns[0][i]), as_read));
        records.push((format!("{}_not", columns[0][i]), not));
    }
    let sequences = reference.folder.write("windows.fa", fasta(&borrowed(&records)));
    let scores = reference.folder.path("scores.tsv");
    succeed(&["predict", text(&run), &sequences, "--out", text(&scores), "--quiet"]);
    let scores: Vec<f64> = column(&scores, b'\t', "score").iter().map(|score| score.parse().unwrap()).collect();
    let mut strands_differ = 0;
    for (place, &i) in chosen.iter().enumerate() {
        let expected: f64 = columns[6][i].parse().unwrap();
        assert!((scores[2 * place] - expected).abs() < 1e-6, "{}: {} {expected}", columns[0][i], scores[2 * place]);
        strands_differ += usize::from((scores[2 * place + 1] - expected).abs() > 1e-5);
    }
    assert!(strands_differ > 10, "the comparison can tell strands apart: {strands_differ}");
}

#[test]
fn comments_line_ends_and_compression_of_a_bed_file_do_not_matter() {
    let reference = reference();
    let plain = bed(&regions());
    let bed = reference.folder.write("plain.bed", &plain);
    let (run, _) = reference.train("plain", &bed, &["--negatives", "gc-matched"]);
    let expected = outcome(&run);
    let decorated = format!(
        "browser position chr1:1-100\r\n# a comment\r\ntrack name=\"peaks\" description=\"x y\"\r\n\r\n{}# the end\r\n",
        plain.replace('\n', "\r\n")
    );
    let mut mixed = plain.replacen('\n', "\r\n", 20).replace('\t', " ");
    mixed.truncate(mixed.len() - 1); // no end of the last line
    for (name, bytes) in [
        ("decorated.bed", decorated.clone().into_bytes()),
        ("mixed ends and spaces.bed", mixed.into_bytes()),
        ("gzip.bed.gz", gzip(decorated.as_bytes())),
        ("bgzf.bed.gz", bgzip(plain.as_bytes())),
        ("plain, whatever its name.bed.gz", plain.clone().into_bytes()),
    ] {
        let bed = reference.folder.write(name, bytes);
        let (run, _) = reference.train(&format!("run of {name}"), &bed, &["--negatives", "gc-matched"]);
        assert!(outcome(&run) == expected, "{name}");
    }
}

#[test]
fn regions_that_give_no_window_are_skipped_and_counted() {
    let reference = reference();
    let mut all = regions();
    let bases = BLOCKS * 1000;
    for (start, end) in [(0, 99), (30, 68), (bases - 60, bases), (bases - 1, bases)] {
        all.push(Region { chrom: "chr1".into(), start, end, strand: '+' });
    }
    // Exactly at either end they fit.
    for (start, end) in [(0, 100), (bases - 100, bases)] {
        all.push(Region { chrom: "chr2".into(), start, end, strand: '+' });
    }
    all.push(Region { chrom: "chr4".into(), start: 13_390, end: 13_510, strand: '+' }); // all N
    let bed = reference.folder.write("peaks.bed", bed(&all));
    let (run, stderr) = reference.train("run", &bed, &["--negatives", "shuffle"]);
    assert!(stderr.contains("peaks.bed: centred on the middle of 87 regions\n"), "{stderr}");
    let left_out = "peaks.bed: 4 of 87 regions left out: 4 whose window runs off the end of a chromosome\n";
    assert!(stderr.contains(left_out), "{stderr}");
    assert!(
        stderr.contains("1 regions of class 'peak' hold more than 0 unknown bases (--max-n) and are skipped"),
        "{stderr}"
    );
    let rows = examples(&run);
    let starts: Vec<usize> =
        of(&rows, "train", "peak").filter(|row| row.chrom == "chr2").map(|row| row.start).collect();
    assert_eq!((starts.first(), starts.last(), starts.len()), (Some(&0), Some(&(bases - 100)), 22));
    assert_eq!(rows.iter().filter(|row| row.label == "peak").count(), 82);
}

#[test]
fn validation_blocks_of_training_chromosomes_share_no_base_with_training() {
    let reference = reference();
    // Regions all along, so that some lie across the edge of a block.
    let all: Vec<Region> = (1..=4)
        .flat_map(|n| {
            (0..BLOCKS * 4).map(move |i| Region {
                chrom: format!("chr{n}"),
                start: i * 250 + 75,
                end: i * 250 + 175,
                strand: '+',
            })
        })
        .collect();
    let bed = reference.folder.write("peaks.bed", bed(&all));
    let regions = format!("peak={bed}");
    let out = reference.folder.path("run");
    let flags = ["--reference", &reference.fasta, "--regions", &regions, "--length", "100"];
    let chromosomes = ["--train-chroms", "1,2", "--test-chroms", "3"];
    let (_, stderr) = train(&out, &[&flags[..], &chromosomes, &["--negatives", "random"]].concat());
    let rows = examples(&out);
    let used = |split: &str| -> Vec<&Row> { rows.iter().filter(|row| row.split == split).collect() };
    let (train, valid, test) = (used("train"), used("valid"), used("test"));
    assert!(valid.len() > 100 && train.len() > 500, "{} {}", train.len(), valid.len());
    for row in &valid {
        assert!(["chr1", "chr2"].contains(&row.chrom.as_str()), "{row:?}");
        assert!(!train.iter().any(|other| overlaps(row, &other.chrom, other.start, other.end)), "{row:?}");
    }
    assert!(test.iter().all(|row| row.chrom == "chr3"));
    assert!(rows.iter().all(|row| row.chrom != "chr4"), "chr4 is for no split");
    assert!(stderr.contains("lie in no split or across the edge of two and are skipped"), "{stderr}");
}

#[test]
fn wrong_regions_are_one_sentence_and_leave_nothing() {
    let reference = reference();
    let good = bed(&regions());
    let bed = reference.folder.write("good.bed", &good);
    let out = reference.folder.path("never");
    let fails = |code: i32, flags: &[&str], words: &[&str]| {
        let error = fail(code, &[&["train", "--out", text(&out)][..], flags].concat());
        for word in words {
            assert!(error.contains(word), "'{word}' is missing from: {error}");
        }
        assert!(!out.exists(), "{error}");
    };
    let binary: Vec<u8> = (0..2000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 | 0x80).collect();
    let odd = |line: &str| format!("{line}\n{line}\n{line}\nchr1\t5000\t5100\n");
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("backwards.bed", odd("chr1\t500\t400").into(), &["line 1", "500", "400", "start < end", "3 of 4 lines"]),
        ("nothing long.bed", odd("chr1\t500\t500").into(), &["line 1", "500", "start < end"]),
        (
            "beyond.bed",
            odd("chr2\t79990\t80001").into(),
            &["3 of 4 regions do not lie in", "line 1 ends at 80001", "chr2 has 80000 bp", "another assembly"],
        ),
        (
            "unknown.bed",
            good.replace("chr", "scaffold_").into(),
            &["80 of 80 regions do not lie in", "20 on scaffold_1, which the genome lacks", "chr1 (80000 bp), chr2"],
        ),
        ("empty.bed", vec![], &["empty"]),
        ("only comments.bed", "# x\ntrack name=x\n".into(), &["no intervals"]),
        ("not.bed.gz", [&[0x1f, 0x8b, 8, 0][..], &binary].concat(), &["damaged", "again"]),
        ("binary.bed.gz", binary, &["line 1", "1 column"]),
        ("cut.bed.gz", gzip(good.as_bytes())[..200].to_vec(), &["ends in the middle", "again"]),
        ("two columns.bed", odd("chr1\t5").into(), &["line 1", "2 columns", "three"]),
        ("table.bed", "sequence,label\nACGT,1\n".into(), &["line 1", "1 column"]),
        (
            "off.bed",
            "chr1\t0\t20\nchr2\t0\t20\n".into(),
            &["none of 2 regions", "2 whose window runs off the end", "--length"],
        ),
        ("genes.gtf", "chr1\tx\tgene\t5\t900\t.\t+\t.\ta \"b\";\n".into(), &["line 1", "GFF or GTF", "count from 1"]),
    ];
    // Regions are never dealt by anything but their chromosomes.
    let one_split = reference.folder.write("one split.bed", "chr1\t5000\t5100\nchr2\t9000\t9100\n");
    let flags = ["--reference", &reference.fasta, "--negatives", "shuffle", "--train-chroms", "1,2"];
    let regions = format!("peak={one_split}");
    let flags = [&flags[..], &["--valid-chroms", "3", "--test-chroms", "4", "--regions", &regions]].concat();
    fails(1, &flags, &["no example is left for validation", "other chromosomes"]);
    for (name, bytes, words) in cases {
        let bad = format!("peak={}", reference.folder.write(name, bytes));
        let flags = [&["--reference", &reference.fasta, "--regions", &bad][..], &CHROMOSOMES].concat();
        fails(1, &flags, &[&[name], words].concat());
    }
    let peak = format!("peak={bed}");
    let with = |flags: &[&'static str]| -> Vec<String> {
        [&["--reference", &reference.fasta, "--regions", &peak][..], &CHROMOSOMES, flags]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect()
    };
    fails(1, &with(&["--center", "summit"]).iter().map(String::as_str).collect::<Vec<_>>(), &["good.bed", "no summit"]);
    let others = reference.folder.write("others.bed", good.replace("chr", "scaffold_"));
    let mut flags = with(&["--negatives"]);
    flags.push(others.clone());
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    fails(1, &flags, &["others.bed", "80 of 80 regions do not lie in"]);
    // All but the last 5000 bp of every chromosome is excluded.
    let nearly_all: String = (1..=4).map(|n| format!("chr{n}\t0\t75000\n")).collect();
    let nearly_all = reference.folder.write("nearly all.bed", nearly_all);
    for kind in ["random", "gc-matched"] {
        let mut flags = with(&["--negatives", kind, "--negatives-per-positive", "1000", "--exclude"]);
        flags.push(nearly_all.clone());
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        fails(1, &flags, &["reference.fa", "has 9004 train windows", "expected 40000", "--negatives-per-positive"]);
    }
    let absent = with(&["--negatives", "absent.bed"]);
    fails(1, &absent.iter().map(String::as_str).collect::<Vec<_>>(), &["absent.bed", "no such file"]);
    // Settings that cannot go together are faults of usage.
    let copy = format!("other={others}");
    fails(2, &["--reference", &reference.fasta], &["--reference goes with --regions"]);
    let same = peak.replace("peak=", "same=");
    fails(
        2,
        &["--regions", &peak, "--regions", &same, "--regions", &copy, "--negatives", "shuffle", "--exclude", &bed],
        &["without --reference", "--negatives", "single --regions", "good.bed twice"],
    );
    let named = peak.replace("peak=", "negative=");
    fails(
        2,
        &[
            &["--reference", &reference.fasta, "--regions", &named, "--negatives", "shuffle", "--exclude", &bed][..],
            &["--negatives-per-positive", "0", "--fragments", "100", "--task", "regression", "--fit", "pad"],
        ]
        .concat(),
        &[
            "'negative', which is what its negatives are called",
            "--exclude goes with --negatives gc-matched",
            "--negatives-per-positive is 0",
            "--fragments goes with --genome",
            "--task multilabel and regression need",
            "--fit goes with --class",
        ],
    );
    let made = ["--reference", &reference.fasta, "--regions", &peak, "--negatives", &others];
    fails(2, &[&made[..], &["--negatives-per-positive", "2"]].concat(), &["--negatives-per-positive", "names a file"]);
}

/// Odd lines among 80 good ones: what each is, and how it is counted.
const ODD: [(&str, &str); 12] = [
    ("chrUn_GL000220v1\t10\t100", "1 on chrUn_GL000220v1, which the genome lacks (line 81)"),
    ("chr2\t79990\t80001", "1 beyond the end of a chromosome (line 81 ends at 80001, and chr2 has 80000 bp)"),
    ("chr1\t500\t500", "1 with a line that is no region (line 81: start 500 is not below end 500)"),
    ("chr1\t500\t400", "1 with a line that is no region (line 81: start 500 is not below end 400)"),
    ("chr1\tabc\t400", "1 with a line that is no region (line 81: the start is 'abc')"),
    ("chr1\t-5\t400", "1 with a line that is no region (line 81: the start is '-5')"),
    ("chr1\t1e3\t2e3", "1 with a line that is no region (line 81: the start is '1e3')"),
    ("chr1\t5", "1 with a line that is no region (line 81: found 2 columns)"),
    ("chr1\t5\t90\ta\t0\tminus", "1 with a line that is no region (line 81: the strand is 'minus')"),
    ("chr1\t0\t20", "1 whose window runs off the end of a chromosome"),
    ("", ""),
    ("# chr1\tabc\t400", ""),
];

#[test]
fn one_odd_region_is_left_out_and_named_and_changes_nothing_else() {
    let reference = reference();
    let good = bed(&regions());
    let inspect = |name: &str, text: String, more: &[&str]| {
        let regions = format!("peak={}", reference.folder.write(name, text));
        let flags = ["inspect", "--reference", &reference.fasta, "--regions", &regions];
        let output = run(&[&flags[..], &CHROMOSOMES, more].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{name}: {stderr}");
        (String::from_utf8(output.stdout).unwrap(), stderr)
    };
    let shuffle = ["--negatives", "shuffle"]; // windows of the genome would keep away from the odd region too
    let (expected, _) = inspect("good.bed", good.clone(), &shuffle);
    for (i, (line, reason)) in ODD.iter().enumerate() {
        let (found, stderr) = inspect(&format!("{i}.bed"), format!("{good}{line}\n"), &shuffle);
        assert_eq!(found.replace(&format!("{i}.bed"), "good.bed"), expected, "{line}");
        let left_out = format!("{i}.bed: 1 of 81 regions left out: {reason}\n");
        assert_eq!(stderr.contains(&left_out), !reason.is_empty(), "{line}: {stderr}");
    }
    // 1 is chr1, as in flags.
    let (expected, _) = inspect("good.bed", good.clone(), &[]);
    let (found, _) = inspect("numbers.bed", good.replace("chr", ""), &[]);
    assert_eq!(found.replace("numbers.bed", "good.bed"), expected);
    // What is excluded may lie on contigs that the genome lacks, and beyond an end.
    let exclude = |name: &str, text: &str| {
        let path = reference.folder.write(name, text);
        inspect("good.bed", good.clone(), &["--exclude", &path])
    };
    let (inside, _) = exclude("inside.bed", "1\t0\t40000\n2\t70000\t80000\n");
    let (beyond, stderr) = exclude("outside.bed", "chrUn\t5\t90\nchr1\t0\t40000\nchr2\t70000\t90000\nchr1\tx\t9\n");
    assert_eq!(beyond, inside);
    let said = "outside.bed: what lies outside the genome excludes nothing: of 4 regions, 1 with a line that is no region \
        (line 4: the start is 'x'), 1 on chrUn, which the genome lacks (line 1), 1 beyond the end of a chromosome";
    assert!(stderr.contains(said), "{stderr}");
    let (none, stderr) = exclude("elsewhere.bed", "chrUn\t5\t90\n");
    assert_eq!(none, expected);
    assert!(stderr.contains("elsewhere.bed: no region lies in the genome, so nothing is excluded"), "{stderr}");
}

#[test]
fn what_windows_are_centred_on_is_said_and_may_be_chosen() {
    let reference = reference();
    let lines = regions().into_iter().enumerate().map(|(i, Region { chrom, start, .. })| {
        format!("{chrom}\t{start}\t{}\tpeak{i}\t5\t.\t1.5\tNA\t.\t{}.0\t7\n", start + 220, 30 + i * 7 % 150)
    });
    let peaks = reference.folder.write("peaks.narrowPeak", lines.collect::<String>());
    let flags = |center: &'static [&'static str]| [&["--negatives", "shuffle"][..], center].concat();
    for (name, center, said, chosen) in [
        ("auto", &[][..], "centred on summits, column 10, of 80 regions", serde_json::Value::Null),
        ("summit", &["--center", "summit"], "centred on summits, column 10, of 80 regions", "summit".into()),
        ("middle", &["--center", "middle"], "centred on the middle of 80 regions", "middle".into()),
    ] {
        let (run, stderr) = reference.train(name, &peaks, &flags(center));
        assert!(stderr.contains(&format!("peaks.narrowPeak: {said}\n")), "{stderr}");
        for (i, region) in regions().iter().enumerate() {
            let row = examples(&run).into_iter().find(|row| row.name == format!("peak{i}")).unwrap();
            let centre = if name == "middle" { 110 } else { 30 + i * 7 % 150 };
            assert_eq!(row.start, region.start + centre - LENGTH / 2, "{name}");
        }
        let data = &json(&run.join("run.json"))["config"]["data"];
        assert_eq!(data["center"], chosen);
        let toml = std::fs::read_to_string(run.join("config.toml")).unwrap();
        assert_eq!(toml.contains("center = "), name != "auto");
    }
}

/// A genome of chromosomes with these names, and regions all along each.
fn genome_of(folder: &Folder, names: &[&str]) -> [String; 2] {
    let records: Vec<(String, String)> = names
        .iter()
        .enumerate()
        .map(|(i, name)| ((*name).to_owned(), bases_of_gc(i as u64 + 7, 60_000, 0.5)))
        .collect();
    let fasta = folder.write("genome.fa", fasta(&borrowed(&records)));
    let rows =
        names.iter().flat_map(|name| (0..150).map(move |i| format!("{name}\t{}\t{}\n", i * 390 + 20, i * 390 + 220)));
    [fasta, folder.write("peaks.bed", rows.collect::<String>())]
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
