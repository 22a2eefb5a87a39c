//! Reads a genome into batches of windows: `cargo run -p strandnet-core --example read_windows -- GENOME.fa`

use std::path::Path;

use anyhow::{Context, Result};
use strandnet_core::genome::Genome;
use strandnet_core::sequence::alphabet;

const LENGTH: usize = 128; // bp
const BATCH: usize = 1024; // windows
const MEMORY: u64 = 1 << 30; // bytes; a larger genome is read from disk

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("expected a FASTA file: plain, gzip or BGZF")?;
    let genome = Genome::open(Path::new(&path), MEMORY, &|_| true)?;

    let mut codes = Vec::with_capacity(BATCH * LENGTH); // [n, LENGTH]: 0 to 3 for A, C, G, T, 4 for unknown
    let (mut windows, mut batches, mut gc) = (0, 0, 0);
    for (chromosome, described) in genome.chromosomes.iter().enumerate() {
        for start in (0..described.length).step_by(LENGTH).take_while(|start| start + LENGTH <= described.length) {
            genome.read(chromosome, start..start + LENGTH, &mut codes)?;
            windows += 1;
            if windows % BATCH == 0 {
                gc += learn_from(&mut codes);
                batches += 1;
            }
        }
    }
    if !codes.is_empty() {
        gc += learn_from(&mut codes);
        batches += 1;
    }
    println!("{windows} windows in {batches} batches, {:.1} % GC", 100.0 * gc as f64 / (windows * LENGTH) as f64);
    Ok(())
}

/// What a program does with a batch; here it counts G and C.
fn learn_from(codes: &mut Vec<u8>) -> usize {
    alphabet::without_case(codes);
    let gc = codes.iter().filter(|&&code| code == 1 || code == 2).count();
    codes.clear();
    gc
}
