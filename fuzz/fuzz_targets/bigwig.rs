//! bigWig, whole and in parts, and as the signal of a genome. What is read must be the same in memory and from disk, and when it is
//! written and read again.
#![no_main]

use std::collections::HashSet;
use std::io::Cursor;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use strandnet_core::formats::bigwig::{BigWig, Writer};
use strandnet_core::genome::signal::Signal;
use strandnet_core::genome::{Chromosome, Genome};
use strandnet_fuzz::{explained, put};

/// Of a chromosome, this many bases are read.
const BASES: usize = 1 << 16;

/// Chromosomes that are read, and chromosomes of a file that may be made up again.
const CHROMOSOMES: usize = 8;

/// Chromosome, start, end and the bits of a value.
type Stretch = (String, usize, usize, u32);

/// Values of the first bases of each chromosome, stretch by stretch.
fn values(file: &mut BigWig) -> anyhow::Result<Vec<Stretch>> {
    let chromosomes: Vec<Chromosome> = file.chromosomes().iter().take(CHROMOSOMES).cloned().collect();
    let mut found = Vec::new();
    for Chromosome { name, length } in chromosomes {
        let mut before = 0;
        file.values(&name, 0..length.min(BASES), |range, value| {
            assert!(before <= range.start && range.start < range.end && range.end <= length && value.is_finite());
            before = range.end;
            found.push((name.clone(), range.start, range.end, value.to_bits()));
            Ok(())
        })?;
    }
    Ok(found)
}

/// The same in order, neighbours of one value as one stretch.
fn joined(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    stretches.sort();
    let mut whole: Vec<Stretch> = Vec::new();
    for stretch in stretches {
        match whole.last_mut() {
            Some(last) if last.0 == stretch.0 && last.2 == stretch.1 && last.3 == stretch.3 => last.2 = stretch.2,
            _ => whole.push(stretch),
        }
    }
    whole
}

fuzz_target!(|bytes: &[u8]| {
    let path = put("signal.bw", Some(bytes));
    let Some(mut file) = explained(BigWig::open(&path)) else { return };
    let chromosomes: Vec<Chromosome> = file.chromosomes().iter().take(CHROMOSOMES).cloned().collect();
    let read = explained(values(&mut file));

    // As the signal of a genome with the same chromosomes, where they are short enough to be made up.
    if chromosomes.iter().all(|chromosome| chromosome.length <= BASES) {
        let codes = chromosomes.iter().map(|chromosome| (chromosome.name.clone(), vec![0; chromosome.length]));
        let genome = Genome::from_codes(Path::new("genome.fa"), codes.collect());
        let opened = [u64::MAX, 0].map(|memory| explained(Signal::open(&path, &genome, memory)));
        if let [Some(memory), Some(disk)] = opened {
            for (i, chromosome) in chromosomes.iter().enumerate() {
                let part = chromosome.length / 3..chromosome.length;
                let [one, other] = [&memory, &disk].map(|signal| explained(signal.sum(i, part.clone())));
                assert_eq!(one.map(f64::to_bits), other.map(f64::to_bits));
            }
            explained(memory.as_counts());
        }
    }

    // Written again.
    let Some(read) = read else { return };
    let names: HashSet<&str> = chromosomes.iter().map(|chromosome| chromosome.name.as_str()).collect();
    if names.len() < chromosomes.len() {
        return;
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let Some(mut writer) = explained(Writer::new(Cursor::new(Vec::new()), &chromosomes, folder)) else { return };
    for (name, start, end, value) in &read {
        writer.push(name, *start..*end, f32::from_bits(*value)).unwrap();
    }
    let again = put("again.bw", Some(&writer.finish().unwrap().into_inner()));
    let mut again = BigWig::open(&again).unwrap();
    assert_eq!(joined(values(&mut again).unwrap()), joined(read));
});
