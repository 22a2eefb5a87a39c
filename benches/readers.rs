//! Bases from FASTA to codes: windows at random places of a genome in memory and of one on disk, whole genomes, indexes.
//!
//! `cargo bench --bench readers` makes a genome and measures each part many times. `cargo bench --bench readers -- times
//! GENOME.fa GENOME.fa.gz` takes the times of one round on files of yours, without an index beside them, for
//! `scripts/benchmark readers`.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use strandnet_core::formats::fasta::write_record;
use strandnet_core::genome::Genome;
use strandnet_core::sequence::alphabet;

/// Bases of the genome that is made: more than the caches hold.
const GENOME_BP: usize = 250_000_000;
const CHROMOSOMES: usize = 5;
const LENGTHS: [usize; 2] = [128, 1000];
/// Windows that are put one behind the other, as a batch is.
const BATCH: usize = 1024;

/// Numbers without order.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (((self.0 >> 32) * end as u64) >> 32) as usize
    }
}

/// A place of a genome, and whether the other strand is read.
struct Window {
    chromosome: usize,
    start: usize,
    reverse: bool,
}

/// Windows anywhere in a genome, on either strand.
fn windows(genome: &Genome, length: usize, count: usize) -> Vec<Window> {
    let mut numbers = Numbers(1);
    let draw = |_| {
        let chromosome = numbers.below(genome.chromosomes.len());
        let start = numbers.below(genome.chromosomes[chromosome].length - length);
        Window { chromosome, start, reverse: numbers.below(2) == 1 }
    };
    (0..count).map(draw).collect()
}

/// Reads windows, a batch at a time into the same memory.
fn read(genome: &Genome, windows: &[Window], length: usize) {
    let mut codes = Vec::with_capacity(BATCH * length);
    for batch in windows.chunks(BATCH) {
        codes.clear();
        for &Window { chromosome, start, reverse } in batch {
            genome.read_strand(chromosome, start..start + length, reverse, &mut codes).expect("the file is whole");
        }
        black_box(&codes);
    }
}

/// The same by several threads, each with its share.
fn read_on(threads: usize, genome: &Genome, windows: &[Window], length: usize) {
    std::thread::scope(|scope| {
        for share in windows.chunks(windows.len().div_ceil(threads)) {
            scope.spawn(move || read(genome, share, length));
        }
    });
}

fn in_memory(path: &Path) -> Genome {
    Genome::open(path, u64::MAX, &|_| true).expect("a genome")
}

/// A genome that is to take no memory; without an index beside the file, one is made.
fn on_disk(path: &Path) -> Genome {
    Genome::open(path, 0, &|_| true).expect("a genome")
}

/// A genome of random bases, with repeats in lower case and gaps of N, as FASTA and the same in BGZF.
fn write_genome(folder: &Path) -> [PathBuf; 2] {
    let paths = ["genome.fa", "genome.fa.gz"].map(|name| folder.join(name));
    let [plain, packed] = paths.each_ref().map(|path| std::fs::File::create(path).expect("the folder can be written"));
    let mut plain = BufWriter::new(plain);
    let mut packed = noodles_bgzf::io::MultithreadedWriter::new(packed);
    let mut numbers = Numbers(2);
    for chromosome in 0..CHROMOSOMES {
        let mut bases = String::with_capacity(GENOME_BP / CHROMOSOMES);
        while bases.len() < GENOME_BP / CHROMOSOMES {
            let letters = ["ACGT", "acgt", "NNNN"][[0, 0, 0, 0, 0, 1, 1, 1, 1, 2][numbers.below(10)]].as_bytes();
            (0..1000).for_each(|_| bases.push(char::from(letters[numbers.below(4)])));
        }
        let name = format!("chr{}", chromosome + 1);
        let outs: [&mut dyn Write; 2] = [&mut plain, &mut packed];
        outs.into_iter().for_each(|out| write_record(out, &name, bases.as_str()).expect("there is room on the disk"));
    }
    plain.flush().expect("there is room on the disk");
    packed.finish().expect("there is room on the disk");
    paths
}

fn measure(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("the folder of temporary files can be written");
    let [plain, packed] = write_genome(folder.path());
    let genomes = [("memory", in_memory(&plain)), ("disk", on_disk(&plain)), ("disk, BGZF", on_disk(&packed))];
    for (place, genome) in &genomes {
        let mut group = criterion.benchmark_group(format!("windows from {place}"));
        for length in LENGTHS {
            let windows = windows(genome, length, if *place == "disk, BGZF" { BATCH } else { 64 * BATCH });
            group.throughput(Throughput::Elements(windows.len() as u64)).sample_size(20);
            for threads in [1, 2] {
                group.bench_function(BenchmarkId::new(format!("{length} bp, threads"), threads), |bencher| {
                    bencher.iter(|| read_on(threads, genome, &windows, length));
                });
            }
        }
        group.finish();
    }

    let mut group = criterion.benchmark_group("a megabase in memory");
    let bases = std::fs::read(&plain).expect("a file")[6..][..1 << 20].to_vec();
    let bases: Vec<u8> = bases.into_iter().filter(|base| *base != b'\n').collect();
    group.throughput(Throughput::Bytes(bases.len() as u64));
    group.bench_function("letters to codes", |bencher| {
        bencher.iter_batched_ref(|| bases.clone(), |bases| alphabet::encode_in_place(bases), BatchSize::LargeInput);
    });
    let mut codes = vec![0; 1 << 20];
    group.bench_function("reverse complement", |bencher| bencher.iter(|| alphabet::reverse_complement(&mut codes)));
    group.finish();

    let mut group = criterion.benchmark_group("whole genome");
    group.throughput(Throughput::Bytes(GENOME_BP as u64)).sample_size(10);
    for (form, path) in [("plain", &plain), ("BGZF", &packed)] {
        group.bench_function(BenchmarkId::new("to codes", form), |bencher| bencher.iter(|| in_memory(path)));
        group.bench_function(BenchmarkId::new("index", form), |bencher| bencher.iter(|| on_disk(path)));
    }
    group.finish();
}

/// Prints one round: what, bp, threads and how many bases or windows a second.
fn times(plain: &Path, packed: &Path) {
    let most = rayon::current_num_threads();
    let timed = |what: &str, length: usize, threads: usize, count: usize, run: &dyn Fn()| {
        let started = Instant::now();
        run();
        println!("{what}\t{length}\t{threads}\t{:.1}", count as f64 / started.elapsed().as_secs_f64());
    };
    let genome = in_memory(plain);
    let bases = genome.chromosomes.iter().map(|chromosome| chromosome.length).sum();
    for (form, path) in [("plain", plain), ("BGZF", packed)] {
        timed(&format!("decode {form}"), 0, most, bases, &|| drop(black_box(in_memory(path))));
        timed(&format!("index {form}"), 0, most, bases, &|| drop(black_box(on_disk(path))));
    }
    for (place, genome, count) in
        [("memory", genome, 4 << 20), ("disk", on_disk(plain), 1 << 20), ("BGZF", on_disk(packed), 1 << 12)]
    {
        for length in LENGTHS {
            let windows = windows(&genome, length, count);
            for threads in BTreeSet::from([1, most]) {
                timed(place, length, threads, count, &|| read_on(threads, &genome, &windows, length));
            }
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["times", plain, packed] => times(Path::new(plain), Path::new(packed)),
        _ => {
            let mut criterion = Criterion::default().configure_from_args();
            measure(&mut criterion);
            criterion.final_summary();
        }
    }
}
