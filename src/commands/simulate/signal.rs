//! `simulate --signal`: a genome with peaks and reads, and what they come from.

use std::io::Write;

use anyhow::Result;
use serde_json::json;

use super::write;
use crate::cli::Simulate;
use crate::commands::print;
use strandnet_core::format::thousands;
use strandnet_core::formats::bigwig;
use strandnet_core::formats::fasta::write_record;
use strandnet_core::genome::Chromosome;
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
