//! Reads as files have them, to tracks: against bedtools, and against sites whose place is known.

use std::path::{Path, PathBuf};

use rand::RngExt;
use serde_json::Value;

use super::*;
use crate::formats::bigwig::BigWig;
use crate::genome::Chromosome;
use crate::genome::simulate_signal::PREFERENCE;
use crate::random::{Generator, Purpose, generator};
use crate::reads::tracks::{Options, Track};
use crate::sequence::alphabet;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

fn chromosomes(lengths: &[(&str, usize)]) -> Vec<Chromosome> {
    lengths.iter().map(|(name, length)| Chromosome { name: (*name).into(), length: *length }).collect()
}

/// Settings that most tests share.
struct Setting<'a> {
    files: &'a [PathBuf],
    chromosomes: &'a [Chromosome],
    counted: Counted,
    shift: ShiftChoice,
    mate: Mate,
    stranded: bool,
    barcodes: Option<Barcodes>,
    filters: Filters,
}

impl<'a> Setting<'a> {
    fn new(files: &'a [PathBuf], chromosomes: &'a [Chromosome]) -> Self {
        let shift = ShiftChoice::Given(Shift::default());
        let (counted, mate) = (Counted::Insertions, Mate::First);
        Self { files, chromosomes, counted, shift, mate, stranded: false, barcodes: None, filters: Filters::default() }
    }

    fn gather(self, genome: Option<&Genome>) -> Result<Gathered> {
        let target = Target {
            path: Path::new("genome.fa"),
            chromosomes: self.chromosomes,
            wanted: vec![true; self.chromosomes.len()],
            without_mitochondrion: true,
        };
        gather(Request {
            files: self.files,
            target: &target,
            genome,
            counted: self.counted,
            shift: self.shift,
            mate: self.mate,
            filters: self.filters,
            barcodes: self.barcodes,
            memory: 1 << 20,
            progress: Progress::quiet(),
        })
    }

    /// The values of each track, and what was reported.
    fn written(self, folder: &Path) -> Result<(Vec<Values>, Gathered)> {
        let (chromosomes, counted, stranded) = (self.chromosomes, self.counted, self.stranded);
        let mut gathered = self.gather(None)?;
        let out = folder.join("x.bw");
        let options = Options { out: &out, stranded, flip_strands: false, bin: 1, per_million: false, regions: None };
        let tracks = tracks::write(&mut gathered, chromosomes, counted, &options)?;
        Ok((tracks.iter().map(|track| values(track, chromosomes)).collect(), gathered))
    }
}

/// Chromosome, start, end and count, as bedGraph has them.
type Values = Vec<(String, usize, usize, u64)>;

fn values(track: &Track, chromosomes: &[Chromosome]) -> Values {
    let mut file = BigWig::open(&track.path).unwrap();
    let mut found = Vec::new();
    for Chromosome { name, length } in chromosomes {
        let each = |range: std::ops::Range<usize>, value| {
            found.push((name.clone(), range.start, range.end, value as u64));
            Ok(())
        };
        file.values(name, 0..*length, each).unwrap();
    }
    found
}

/// Rows of bedtools' bedGraph, neighbours of one value joined.
fn expected(rows: &Value) -> Values {
    let mut found: Values = Vec::new();
    for row in rows.as_array().unwrap() {
        let number = |i: usize| row[i].as_u64().unwrap() as usize;
        let (name, start, end, value) = (row[0].as_str().unwrap().to_owned(), number(1), number(2), number(3) as u64);
        match found.last_mut() {
            Some((last, _, before, same)) if *last == name && *before == start && *same == value => *before = end,
            _ => found.push((name, start, end, value)),
        }
    }
    found
}

#[test]
fn tracks_are_those_of_bedtools() {
    let golden_values: Value = serde_json::from_slice(&std::fs::read(golden("reads.json")).unwrap()).unwrap();
    let chromosomes = chromosomes(&[("chrA", 3000), ("chrB", 700)]);
    let folder = tempfile::tempdir().unwrap();
    let (bam, bed) = (golden("reads.bam"), golden("fragments.bed"));
    let of = |file: &PathBuf, counted: Counted, stranded: bool| {
        let files = [file.clone()];
        let setting = Setting { counted, stranded, ..Setting::new(&files, &chromosomes) };
        setting.written(folder.path()).unwrap()
    };
    let (tracks, gathered) = of(&bam, Counted::Insertions, true);
    assert_eq!(tracks[0], expected(&golden_values["plus"]));
    assert_eq!(tracks[1], expected(&golden_values["minus"]));
    assert_eq!(gathered.report.counted_reads(), golden_values["counted"].as_u64().unwrap());
    assert_eq!(of(&bam, Counted::FivePrime, true).0, tracks);
    assert_eq!(of(&bam, Counted::Coverage, false).0[0], expected(&golden_values["coverage"]));
    assert_eq!(of(&bed, Counted::Coverage, false).0[0], expected(&golden_values["coverage_of_fragments"]));
    // The same as SAM text.
    let sam = folder.path().join("reads.sam");
    let mut lines = String::from("@SQ\tSN:chrA\tLN:3000\n@SQ\tSN:chrB\tLN:700\n");
    for (name, start, end, count) in expected(&golden_values["plus"]) {
        let line = |at: usize| format!("r\t0\t{name}\t{}\t60\t1M\t*\t0\t0\t*\t*\n", at + 1);
        (0..count).for_each(|_| lines.extend((start..end).map(line)));
    }
    std::fs::write(&sam, lines).unwrap();
    assert_eq!(of(&sam, Counted::Insertions, false).0[0], expected(&golden_values["plus"]));
}

#[test]
fn groups_of_cells_sum_to_the_whole_and_have_files_of_their_own() {
    let chromosomes = chromosomes(&[("chrA", 3000), ("chrB", 700)]);
    let folder = tempfile::tempdir().unwrap();
    let files = [golden("reads.bam")];
    let table = folder.path().join("cells.tsv");
    std::fs::write(&table, "AAAC-1\tB cell\nAAAG-1\tb/cell\nCCCT-1\tB cell\nGGGG-1\tnone\n").unwrap();
    let barcodes = || Some(Barcodes::read(&table, &files).unwrap());
    let (groups, gathered) =
        Setting { barcodes: barcodes(), ..Setting::new(&files, &chromosomes) }.written(folder.path()).unwrap();
    let (whole, _) = Setting::new(&files, &chromosomes).written(folder.path()).unwrap();
    let sum = |values: &Values| values.iter().map(|(_, start, end, count)| (end - start) as u64 * count).sum::<u64>();
    assert_eq!(groups.len(), 2, "a group without reads has no file");
    assert_eq!(groups.iter().map(sum).sum::<u64>(), sum(&whole[0]));
    assert_eq!(gathered.groups.iter().map(|group| group.seen).collect::<Vec<_>>(), [2, 1, 0]);
    for name in ["x.B_cell.bw", "x.b_cell_2.bw"] {
        assert!(folder.path().join(name).is_file(), "{name}");
    }
}

/// A file of lines.
fn text(folder: &Path, name: &str, lines: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, lines).unwrap();
    path
}

#[test]
fn lines_are_told_by_their_columns_and_odd_ones_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let chromosomes = chromosomes(&[("chr1", 100), ("chr2", 50)]);
    let lines = "# x\ntrack name=y\n\nchr1\t10\t20\nchr1\t10\t20\tAAC\t7\nchr1\t30\t40\tx\t0\t-\nchr1\t30\t40\tx\t0\t.\n\
                 1\t50\t60\tchr1\t70\t80\tp\t0\t+\t-\nchr1\t9\t9\nchr1\t5\tx\nchr2\t40\t51\nchr7\t1\t2\nchrM\t1\t2\n";
    let files = [text(folder.path(), "x.bed", lines)];
    let setting = Setting { stranded: true, ..Setting::new(&files, &chromosomes) };
    let (tracks, gathered) = setting.written(folder.path()).unwrap();
    let of = |at: usize, count| ("chr1".to_owned(), at, at + 1, count);
    assert_eq!(tracks[0], [of(10, 2), of(30, 1), of(50, 1)]);
    assert_eq!(tracks[1], [of(19, 2), of(39, 2), of(79, 1)]);
    let report = &gathered.report.files[0];
    for (reason, count) in
        [(Reason::Unreadable, 2), (Reason::Beyond, 1), (Reason::Absent, 1), (Reason::Mitochondrion, 1)]
    {
        assert_eq!(report.left_out.of(reason), count, "{reason:?}");
    }
    let line = &report.lines()[0];
    assert!(line.contains("2 unreadable (the first: line 9: the end 9 is not beyond the start 9"), "{line}");
    assert!(line.contains("1 beyond the end of their chromosome (the first: chr2:40-51 of 50 bp)"), "{line}");
}

#[test]
fn what_a_shift_moves_off_a_chromosome_is_counted_and_never_clamped() {
    let folder = tempfile::tempdir().unwrap();
    let chromosomes = chromosomes(&[("chr1", 100)]);
    let files = [text(folder.path(), "x.bed", "chr1\t0\t3\nchr1\t97\t100\nchr1\t50\t55\n")];
    let shift = ShiftChoice::Given(Shift { plus: 4, minus: -4 });
    let (tracks, gathered) = Setting { shift, ..Setting::new(&files, &chromosomes) }.written(folder.path()).unwrap();
    let places: Vec<usize> = tracks[0].iter().map(|value| value.1).collect();
    // Ends of a fragment of 5 bp have crossed.
    assert_eq!(places, [4, 50, 54, 95]);
    assert_eq!(gathered.moved_off, [[1, 1]]);
}

#[test]
fn files_that_lack_what_is_asked_for_are_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let chromosomes = chromosomes(&[("chr1", 100)]);
    let file = |name: &str, lines: &str| vec![text(folder.path(), name, lines)];
    let fragments = file("fragments.bed", "chr1\t1\t20\n");
    let refused = |files: &[PathBuf], change: &dyn Fn(&mut Setting)| {
        let mut setting = Setting::new(files, &chromosomes);
        change(&mut setting);
        let error = setting.gather(None).map(|_| ()).unwrap_err().to_string();
        assert!(!error.contains('\n') && error.contains("expected") || error.contains(';'), "{error}");
        error
    };
    let same = |_: &mut Setting| {};
    let table = text(folder.path(), "cells.tsv", "AAAC-1\n");
    for (found, word) in [
        (refused(&fragments, &|setting| setting.counted = Counted::FivePrime), "do not say at which end"),
        (refused(&fragments, &|setting| setting.shift = ShiftChoice::Auto), "needs the sequence"),
        (
            refused(&file("a", "chr1\t1\t20\tx\t0\t+\n"), &|setting| setting.filters.fragment_length = Some(1..=9)),
            "not paired",
        ),
        (
            refused(&fragments, &|setting| setting.barcodes = Some(Barcodes::read(&table, &fragments).unwrap())),
            "have no barcodes",
        ),
        (refused(&file("b", "chrX\t1\t20\n"), &same), "no chromosome in common"),
        (refused(&file("c", "chr1\t90\t120\nchr1\t90\t130\nchr1\t1\t5\n"), &same), "another assembly"),
        (refused(&file("d", "chr1\t9\t5\n"), &same), "the end 5 is not beyond the start 9"),
        (refused(&file("e", "some words\nmore of them\n"), &same), "no reads"),
        (refused(&file("f", "CRAM\x03\n"), &same), "is CRAM"),
        (refused(&file("g", ">chr1\nACGT\n"), &same), "is FASTA"),
        (refused(&file("h", "@r1\nACGT\n+\nIIII\n"), &same), "is FASTQ"),
        (refused(&file("i", "chr1\t1\t2\t3.5\nchr1\t2\t3\t1\n"), &same), "bedGraph"),
        (refused(&file("j", "#\n"), &same), "holds no reads"),
        (
            refused(&file("k", "@SQ\tSN:chr1\tLN:99\nr\t0\tchr1\t5\t60\t3M\t*\t0\t0\t*\t*\n"), &same),
            "99 bp in its header",
        ),
    ] {
        assert!(found.contains(word), "{word}: {found}");
    }
}

#[test]
fn a_bam_file_cut_anywhere_is_one_sentence_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let chromosomes = chromosomes(&[("chrA", 3000), ("chrB", 700)]);
    let whole = std::fs::read(golden("reads.bam")).unwrap();
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut crate::formats::compression::open(&golden("reads.bam")).unwrap(), &mut plain)
        .unwrap();
    let cuts = (1..whole.len()).step_by(997).map(|end| whole[..end].to_vec());
    let cuts = cuts.chain((4..plain.len()).step_by(701).map(|end| plain[..end].to_vec()));
    // A byte that is damaged gives other reads or an error.
    let damaged = (0..plain.len()).step_by(67).map(|at| {
        let mut bytes = plain.clone();
        bytes[at] ^= 0xff;
        bytes
    });
    for bytes in cuts.chain(damaged) {
        let path = folder.path().join("cut.bam");
        std::fs::write(&path, &bytes).unwrap();
        if let Err(error) = Setting::new(&[path], &chromosomes).gather(None) {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}

/// A genome of one chromosome, and where an enzyme with the preference of the simulator cuts it.
struct Cut {
    genome: Genome,
    sites: Vec<usize>,
}

impl Cut {
    const LENGTH: usize = 300_000;

    fn new(random: &mut Generator) -> Self {
        let codes: Vec<u8> = (0..Self::LENGTH).map(|_| random.random_range(0..4)).collect();
        let log = |distance: usize, code: u8| PREFERENCE[distance][usize::from(code)];
        let mut sites = Vec::new();
        while sites.len() < 20_000 {
            let at = random.random_range(100..Self::LENGTH - 100);
            let after = (0..5).map(|distance| log(distance, codes[at + distance]));
            let before = (1..5).map(|distance| log(distance, alphabet::complement(codes[at - distance])));
            let preference = after.chain(before).sum::<f64>().exp();
            if random.random::<f64>() * 30.0 < preference {
                sites.push(at);
            }
        }
        let genome = Genome::from_codes(Path::new("genome.fa"), vec![("chr1".into(), codes)]);
        Self { genome, sites }
    }

    /// What is measured of reads of `n` sites, plus and minus `(plus, minus)` bases from them, each in its own direction.
    fn measured(&self, n: usize, distances: &dyn Fn(usize) -> (i64, i64), strands: [bool; 2]) -> shift::Evidence {
        let mut sample = Sample::new(0);
        for i in 0..n {
            let (plus, minus) = distances(i);
            let [one, other] = [self.sites[2 * i % self.sites.len()], self.sites[(2 * i + 1) % self.sites.len()]];
            if strands[0] {
                sample.push(false, 0, (one as i64 - plus) as usize);
            }
            if strands[1] {
                sample.push(true, 0, (other as i64 + minus) as usize);
            }
        }
        sample.measure(&self.genome).unwrap()
    }
}

#[test]
fn every_usual_shift_is_found_and_mixtures_and_random_places_are_refused() {
    let mut random = generator(7, Purpose::Simulate, 1, 1);
    let mut cut = Cut::new(&mut random);
    for n in [500, 4000] {
        for (plus, minus) in [(4, 4), (0, 0), (0, -1), (0, 8), (-1, 0), (0, 1), (4, 5)] {
            let found = cut.measured(n, &|_| (plus, minus), [true, true]);
            assert_eq!(found.shift, Some(Shift { plus, minus: -minus }), "{n} {plus} {minus}: {found:?}");
        }
    }
    let found = cut.measured(500, &|_| (4, 4), [true, false]);
    assert_eq!(found.shift.map(|shift| shift.plus), Some(4));
    assert_eq!(found.minus.sampled, 0);
    assert!(found.found.is_some_and(|found| found.contains("as aligned")));
    // One read in two was shifted before; the two kinds one after the other; one read in four.
    let refused = |distances: &dyn Fn(usize) -> (i64, i64)| {
        let found = cut.measured(4000, distances, [true, true]);
        assert_eq!(found.shift, None, "{found:?}");
        found.why_not.unwrap()
    };
    let both = refused(&|i| if i % 2 == 0 { (4, 4) } else { (0, 0) });
    assert!(
        both.contains("lies 2 bases") && both.contains("mixture of reads whose site lies 4 and 0 bases away"),
        "{both}"
    );
    let halves = refused(&|i| if i < 1700 { (4, 4) } else { (0, -1) });
    assert!(halves.contains("mixture"), "{halves}");
    let few = refused(&|i| if i % 4 == 0 { (0, 0) } else { (4, 4) });
    assert!(few.contains("mixture"), "{few}");
    let two = refused(&|_| (2, 2));
    assert!(two.contains("lies 2 bases") && two.contains("no usual shift"), "{two}");

    cut.sites.iter_mut().for_each(|site| *site = random.random_range(100..Cut::LENGTH - 100));
    for n in [500, 4000] {
        let found = cut.measured(n, &|_| (4, 4), [true, true]);
        assert!(found.shift.is_none() && found.why_not.unwrap().contains("symmetric about no place"));
    }
    assert!(cut.measured(20, &|_| (4, 4), [true, true]).why_not.unwrap().contains("too few"));
}
