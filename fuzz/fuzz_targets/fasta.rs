//! Genomes from FASTA with the indexes that may lie beside them. The input is the FASTA, its .fai and its .gzi, the last
//! two where wanted; with a .gzi the FASTA is compressed as BGZF. However a genome is opened, its bases must be the same.
#![no_main]

use std::io::Write;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use strandnet_core::formats::records::Records;
use strandnet_core::genome::{Chromosome, Genome};
use strandnet_fuzz::{explained, put, sections};

/// Chromosomes and their codes, read whole, in pieces and from the middle; nothing where one is at fault.
fn contents(genome: &Genome, wanted: impl Fn(&str) -> bool) -> Option<Vec<(Chromosome, Vec<u8>)>> {
    let mut all = Vec::new();
    for (i, chromosome) in genome.chromosomes.iter().enumerate() {
        let (length, mut codes) = (chromosome.length, Vec::new());
        if wanted(&chromosome.name) {
            explained(genome.read(i, 0..length, &mut codes))?;
            assert_eq!(codes.len(), length);
            for range in [length / 3..length / 2, length / 2..length / 2 + length / 4, length - length / 3..length] {
                let mut part = Vec::new();
                explained(genome.read(i, range.clone(), &mut part))?;
                assert_eq!(part, codes[range]);
            }
            genome.scan(i, 0..length, 0, &mut |piece, at| assert_eq!(piece, &codes[at..at + piece.len()])).unwrap();
        }
        all.push((chromosome.clone(), codes));
    }
    Some(all)
}

fn open(path: &Path, memory: u64, wanted: fn(&str) -> bool) -> Option<Vec<(Chromosome, Vec<u8>)>> {
    contents(&explained(Genome::open(path, memory, &wanted))?, wanted)
}

fuzz_target!(|input: &[u8]| {
    let sections = sections(input);
    // What must be found: without compression and indexes, in memory.
    let path = put("plain.fa", Some(sections[0]));
    let plain = open(&path, u64::MAX, |_| true);
    // Without equal lines there is no index, and one that is made up may agree with such a file in all but the middle.
    let has_index = open(&path, 0, |_| true).is_some();
    if let Some(mut records) = explained(Records::open(&path)) {
        let mut codes = Vec::new();
        while let Some(Some(_)) = explained(records.next_record())
            && explained(records.read_whole(&mut codes)).is_some()
        {}
    }

    let compressed = sections.get(2).map(|_| {
        let mut bgzf = noodles_bgzf::io::Writer::new(Vec::new());
        bgzf.write_all(sections[0]).and_then(|()| bgzf.finish()).unwrap()
    });
    let path = put("genome.fa", Some(compressed.as_deref().unwrap_or(sections[0])));
    put("genome.fa.fai", sections.get(1).copied());
    put("genome.fa.gzi", sections.get(2).copied());
    let some: fn(&str) -> bool = |name| name.len() % 2 == 0;
    // BGZF starts threads, which take most of the time.
    let memories: &[u64] = if compressed.is_some() { &[0] } else { &[0, 10, u64::MAX] };
    for &memory in memories {
        for wanted in [some, |_| true] {
            if !has_index {
                explained(Genome::open(&path, memory, &wanted));
            } else if let (Some(plain), Some(found)) = (&plain, open(&path, memory, wanted)) {
                assert_eq!(found.len(), plain.len());
                for (found, plain) in found.iter().zip(plain) {
                    assert_eq!(found.0.name, plain.0.name);
                    assert!(found == plain || !wanted(&plain.0.name), "other bases with {memory} bytes of memory");
                }
            }
        }
    }
});
