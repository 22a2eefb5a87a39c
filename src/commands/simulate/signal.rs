//! `simulate --signal`: a genome with peaks and reads, and what they come from.

use std::io::Write;
use std::ops::Range;

use anyhow::Result;
use serde_json::json;

use super::write;
use crate::cli::Simulate;
use crate::commands::print;
use strandnet_core::format::thousands;
use strandnet_core::formats::alignment::Flags;
use strandnet_core::formats::bam::{self, Mate};
use strandnet_core::formats::bigwig;
use strandnet_core::formats::fasta::write_record;
use strandnet_core::genome::Chromosome;
use strandnet_core::genome::simulate_signal::fragments::fragments;
use strandnet_core::genome::simulate_signal::{self, MOTIFS, PREFERENCE, Peak, SignalChromosome, region};
use strandnet_core::metrics::regression;
use strandnet_core::progress::Progress;
use strandnet_core::run::{self, Contents, OutputFolder, RunFolder, SIMULATION_JSON};
use strandnet_core::sequence::alphabet;

/// A track of the simulation: its file, and its numbers of a chromosome.
type Track = (&'static str, fn(&SignalChromosome) -> &[f32]);

/// The tracks: reads as drawn, as to be expected, and as to be expected of an enzyme without a preference.
const TRACKS: [Track; 3] = [
    ("reads.bw", |chromosome| &chromosome.reads),
    ("expected.bw", |chromosome| &chromosome.expected),
    ("unbiased.bw", |chromosome| &chromosome.unbiased),
];

/// Bases of a read, at most those of its fragment.
const READ_LENGTH: usize = 36;

/// Flags of the left mate, which is mate 1, and of the right one: both are aligned as a pair, and the other is of the other strand.
const LEFT: Flags = Flags(0x1 | 0x2 | 0x20 | 0x40);
const RIGHT: Flags = Flags(0x1 | 0x2 | 0x10 | 0x80);

pub fn run(command: &Simulate, progress: Progress) -> Result<()> {
    let folder = OutputFolder::create(&command.out, Contents::Simulation, command.force)?;
    let genome = simulate_signal::genome(command.seed);
    let peaks: Vec<&Peak> = genome.iter().flat_map(|chromosome| &chromosome.peaks).collect();
    let log = |of: fn(&Peak) -> f64| peaks.iter().map(|peak| of(peak).ln_1p()).collect::<Vec<f64>>();
    let best = regression::mean_pearson(&log(|peak| peak.reads), &log(|peak| peak.expected), 1);
    let (out, replaced) = folder.keep()?;
    // First: by it --force knows the folder.
    out.write_json(
        SIMULATION_JSON,
        &json!({
            "format_version": run::FORMAT_VERSION,
            "seed": command.seed,
            "peaks": peaks.len(),
            "motifs": MOTIFS,
            "preference_by_distance_from_cut": PREFERENCE,
            "pearson_of_log_counts_with_what_is_expected": best,
        }),
    )?;
    progress.say(&format!("writing {}", out.path.display()));
    write(&out, "genome.fa", |file| {
        genome.iter().try_for_each(|of| write_record(file, &of.chromosome.name, alphabet::decode(&of.codes)))
    })?;
    write(&out, "peaks.narrowPeak", |file| write_peaks(file, &genome))?;
    write(&out, "sites.bed", |file| write_sites(file, &genome))?;
    for track in TRACKS {
        write_track(&out, &genome, track)?;
    }
    write(&out, "fragments.bed.gz", |file| write_fragments(file, &genome, command.seed))?;
    write(&out, "reads.bam", |file| write_bam(file, &genome, command.seed))?;
    replaced.discard();
    let best = best.map_or_else(String::new, |best| format!("{best:.4}"));
    print(&format!(
        "Pearson correlation of log(1 + reads) of {} peaks with what is to be expected: {best}\n{}\n",
        thousands(peaks.len()),
        out.path.display()
    ))
}

/// The reads to expect stand in column 7, the offset of the summit in column 10.
fn write_peaks(file: &mut dyn Write, genome: &[SignalChromosome]) -> std::io::Result<()> {
    let mut number = 0;
    for SignalChromosome { chromosome, peaks, .. } in genome {
        for Peak { summit, expected, .. } in peaks {
            let range = region(*summit);
            number += 1;
            writeln!(
                file,
                "{}\t{}\t{}\tpeak_{number}\t0\t.\t{expected:.3}\t-1\t-1\t{}",
                chromosome.name,
                range.start,
                range.end,
                summit - range.start
            )?;
        }
    }
    Ok(())
}

fn write_sites(file: &mut dyn Write, genome: &[SignalChromosome]) -> std::io::Result<()> {
    for SignalChromosome { chromosome, sites, .. } in genome {
        for site in sites {
            let (word, strand) = (MOTIFS[site.motif].word, if site.reverse { '-' } else { '+' });
            writeln!(file, "{}\t{}\t{}\t{word}\t0\t{strand}", chromosome.name, site.range.start, site.range.end)?;
        }
    }
    Ok(())
}

/// The fragments that the reads are of, as they would be aligned, not shifted.
fn write_fragments(file: &mut dyn Write, genome: &[SignalChromosome], seed: u64) -> std::io::Result<()> {
    let mut file = noodles_bgzf::io::Writer::new(file);
    for of in genome {
        for Range { start, end } in fragments(of, seed) {
            writeln!(file, "{}\t{start}\t{end}", of.chromosome.name)?;
        }
    }
    file.finish().map(drop)
}

/// The same as two mates each.
fn write_bam(file: &mut dyn Write, genome: &[SignalChromosome], seed: u64) -> std::io::Result<()> {
    let chromosomes: Vec<Chromosome> = genome.iter().map(|of| of.chromosome.clone()).collect();
    let (mut file, mut number) = (bam::Writer::new(file, &chromosomes)?, 0);
    for (chromosome, of) in genome.iter().enumerate() {
        for fragment in fragments(of, seed) {
            number += 1;
            let bases = fragment.len().min(READ_LENGTH);
            let (left, right) = (fragment.start, fragment.end - bases);
            let length = fragment.len() as i32;
            for (start, mate_start, fragment_length, flags) in
                [(left, right, length, LEFT), (right, left, -length, RIGHT)]
            {
                file.push(&Mate {
                    name: &format!("pair_{number}"),
                    flags,
                    chromosome,
                    start,
                    codes: &of.codes[start..start + bases],
                    mate_start,
                    fragment_length,
                })?;
            }
        }
    }
    file.finish().map(drop)
}

fn write_track(out: &RunFolder, genome: &[SignalChromosome], (name, of): Track) -> Result<()> {
    let chromosomes: Vec<Chromosome> = genome.iter().map(|one| one.chromosome.clone()).collect();
    run::write_through(&out.file(name), |file| {
        let mut track = bigwig::Writer::new(file, &chromosomes, &out.path)?;
        for one in genome {
            for (at, &value) in of(one).iter().enumerate().filter(|(_, value)| **value != 0.0) {
                track.push(&one.chromosome.name, at..at + 1, value)?;
            }
        }
        track.finish().map(drop)
    })
}
