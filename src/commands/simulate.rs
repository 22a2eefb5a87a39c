//! `simulate`: demo genomes as FASTA, where things were planted as BED, and the best possible score.

mod signal;

use std::io::{BufWriter, Write};

use anyhow::Result;
use serde_json::json;

use crate::cli::Simulate;
use crate::commands::print;
use strandnet_core::config::Faults;
use strandnet_core::dataset::sampling::{Plan, Request, Source};
use strandnet_core::dataset::split::Split;
use strandnet_core::evaluate::BestPossible;
use strandnet_core::formats::fasta::write_record;
use strandnet_core::genome::Genome;
use strandnet_core::genome::interval::Interval;
use strandnet_core::genome::simulate::{self, SimulatedChromosome};
use strandnet_core::metrics::Blocks;
use strandnet_core::metrics::blocks::BlockKind;
use strandnet_core::progress::Progress;
use strandnet_core::run;
use strandnet_core::run::{Contents, OutputFolder, SIMULATION_JSON};

/// Length of the stretches in which windows depend on each other, in bp.
const BLOCK: u64 = 100_000;

/// Windows of each species take this much memory twice over while their best score is computed.
const MOST_BASES: u64 = 500_000_000;

pub fn run(command: &Simulate, progress: Progress) -> Result<()> {
    if command.signal {
        return signal::run(command, progress);
    }
    let bases = command.length * command.windows;
    if bases > MOST_BASES {
        let fault =
            format!("--length times --windows is {bases} bases, expected at most {MOST_BASES}; ask for fewer windows");
        return Err(Faults(vec![fault]).into());
    }
    let folder = OutputFolder::create(&command.out, Contents::Simulation, command.force)?;
    let species = simulate::species();
    let genomes: Vec<Vec<SimulatedChromosome>> = species.iter().map(|species| species.genome(command.seed)).collect();
    let best = best_auroc(command, &genomes)?;
    let words: serde_json::Map<_, _> =
        species.iter().map(|species| (species.name.clone(), json!(species.words()))).collect();
    let (out, replaced) = folder.keep()?;
    // First: by it --force knows the folder.
    out.write_json(
        SIMULATION_JSON,
        &json!({
            "format_version": run::FORMAT_VERSION,
            "seed": command.seed,
            "length": command.length,
            "windows_per_species": command.windows,
            "best_possible_auroc": best.auroc,
            "best_possible_auroc_standard_error": best.standard_error,
            "words": words,
        }),
    )?;
    for (species, genome) in species.iter().zip(&genomes) {
        progress.say(&format!("writing {}", out.file(&format!("{}.fa", species.name)).display()));
        write(&out, &format!("{}.fa", species.name), |file| {
            genome.iter().try_for_each(|chromosome| write_record(file, &chromosome.name, chromosome.soft_masked()))
        })?;
        for (kind, repeat) in [("words", false), ("repeats", true)] {
            write(&out, &format!("{}.{kind}.bed", species.name), |file| write_bed(file, genome, repeat))?;
        }
    }
    replaced.discard();
    let error = best.standard_error.map_or_else(String::new, |error| format!(", standard error {error:.4}"));
    print(&format!(
        "best possible AUROC on windows of {} bp, in expectation: {:.4}{error}, from {} windows of each species\n{}\n",
        command.length,
        best.auroc,
        command.windows,
        out.path.display()
    ))
}

/// The AUROC of the exact likelihood ratio on windows drawn as `train` draws them. Windows of one stretch overlap, and are
/// not independent.
fn best_auroc(command: &Simulate, genomes: &[Vec<SimulatedChromosome>]) -> Result<BestPossible> {
    let genomes: Vec<Genome> = genomes
        .iter()
        .map(|genome| {
            Genome::from_codes(&command.out, genome.iter().map(|c| (c.name.clone(), c.codes.clone())).collect())
        })
        .collect();
    let species = simulate::species();
    let sources: Vec<Source> = genomes
        .iter()
        .zip(&species)
        .enumerate()
        .map(|(class, (genome, species))| {
            let all = genome
                .chromosomes
                .iter()
                .enumerate()
                .map(|(chromosome, c)| Interval { chromosome, range: 0..c.length })
                .collect();
            Source { class, class_name: &species.name, parts: vec![(genome, all)] }
        })
        .collect();
    let length = command.length as usize;
    let request =
        Request { length, max_n: 0, match_gc: false, per_class: command.windows as usize, seed: command.seed };
    let drawn = Plan::new(&sources, Split::Test, &request)?.draw(&sources, 0)?;
    let positive: Vec<bool> =
        drawn.iter().enumerate().flat_map(|(class, windows)| windows.iter().map(move |_| class == 0)).collect();
    let places = drawn.iter().enumerate().flat_map(|(class, windows)| {
        windows.iter().map(move |window| Some((class, window.chromosome, window.start as u64 / BLOCK)))
    });
    let blocks = Blocks::of_keys(places, BlockKind::Coordinates { length: BLOCK });
    let codes: Vec<u8> = drawn.into_iter().flatten().flat_map(|window| window.codes).collect();
    Ok(BestPossible::of(&positive, &simulate::best_scores(&codes, length), &blocks))
}

fn write(out: &run::RunFolder, name: &str, content: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let path = out.file(name);
    run::write_through(&path, |file| {
        let mut file = BufWriter::new(file);
        content(&mut file).and_then(|()| file.flush()).map_err(|error| run::cannot_write(&path, &error))
    })
}

/// BED6: chrom, start, end, name, score, strand; 0-based and half-open.
fn write_bed(file: &mut dyn Write, genome: &[SimulatedChromosome], repeat: bool) -> std::io::Result<()> {
    for chromosome in genome {
        for site in chromosome.sites.iter().filter(|site| site.repeat == repeat) {
            let strand = if site.reverse { '-' } else { '+' };
            writeln!(
                file,
                "{}\t{}\t{}\t{}\t0\t{strand}",
                chromosome.name, site.range.start, site.range.end, site.name
            )?;
        }
    }
    Ok(())
}
