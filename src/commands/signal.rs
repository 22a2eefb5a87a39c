//! `signal`: reads to tracks of counts, with a report.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use serde_json::json;

use crate::cli::signal::{FilterFlags, Signal};
use crate::device;
use strandnet_core::commands::{print, print_json};
use strandnet_core::config::{Counted, DataConfig, Faults, ShiftChoice};
use strandnet_core::dataset::half_of_free_memory;
use strandnet_core::figures;
use strandnet_core::files::streams;
use strandnet_core::format::{field, list_first};
use strandnet_core::genome::Chromosome;
use strandnet_core::genome::names::NameIndex;
use strandnet_core::progress::Progress;
use strandnet_core::reads::barcodes::{Barcodes, Group};
use strandnet_core::reads::file::{Mate, Target, holds_reads};
use strandnet_core::reads::intervals::Intervals;
use strandnet_core::reads::left_out::Filters;
use strandnet_core::reads::reference::Reference;
use strandnet_core::reads::tracks::{Options, Track};
use strandnet_core::reads::{self, Request, tracks};
use strandnet_core::run::{Contents, FORMAT_VERSION, GROUPS_TSV, OutputFolder, READS_JSON};

pub fn run(command: &Signal, progress: Progress) -> Result<()> {
    command.check()?;
    device::set_threads(command.threads.map(usize::from));
    let memory = command.memory.map_or_else(half_of_free_memory, |memory| memory.as_u64());
    let reference = Reference::open(&command.reference, command.shift() == ShiftChoice::Auto, memory / 2)?;
    let target = Target {
        path: &command.reference,
        chromosomes: &reference.chromosomes,
        wanted: wanted(&command.filters.chroms, &reference.chromosomes, &command.reference)?,
        without_mitochondrion: command.what == Counted::Insertions && command.filters.chroms.is_empty(),
    };
    let filters = filters(&command.filters, &target, progress)?;
    let barcodes = &command.filters.barcodes;
    let barcodes = barcodes.as_ref().map(|path| Barcodes::read(path, &command.reads)).transpose()?;
    let regions = command.filters.regions.as_ref().map(|path| intervals(std::slice::from_ref(path), &target, progress));
    let regions = regions.transpose()?;
    let options = Options {
        out: &command.out,
        stranded: command.stranded,
        flip_strands: command.flip_strands,
        bin: command.bin as usize,
        per_million: command.normalize.is_some(),
        regions: regions.as_ref(),
    };
    let groups = barcodes.as_ref().map_or_else(|| vec![Group::default()], |barcodes| barcodes.groups.clone());
    for path in tracks::paths(&options, &groups).iter().flatten() {
        check_output(path)?;
    }
    let folder = command.report.clone().unwrap_or_else(|| command.out.with_extension("report"));
    let folder = OutputFolder::create(&folder, Contents::Reads, true)?;

    let mut gathered = reads::gather(Request {
        files: &command.reads,
        target: &target,
        genome: reference.genome.as_ref(),
        counted: command.what,
        shift: command.shift(),
        mate: if command.mate == Some(2) { Mate::Second } else { Mate::First },
        filters,
        barcodes,
        memory: memory / 2,
        progress,
    })?;
    let (lengths, files) = (gathered.report.lengths(), gathered.report.files.clone());
    let (written, figures) = rayon::join(
        || tracks::write(&mut gathered, target.chromosomes, command.what, &options),
        || figures::reads::draw(&lengths, &files),
    );
    let (written, figures) = (written?, figures?);
    if options.bin > 1 || options.per_million {
        progress.say("binned or normalized tracks are for browsing; train from one without --bin and --normalize, whose values are counts");
    }

    let report = &gathered.report;
    let (out, replaced) = folder.keep()?;
    let mut json = report.json(&written, &gathered.moved_off);
    json["format_version"] = json!(FORMAT_VERSION);
    out.write_json(READS_JSON, &json)?; // first: by it the folder is known
    if command.filters.barcodes.is_some() {
        out.write(GROUPS_TSV, groups_table(&gathered.groups, &written).as_bytes())?;
    }
    for (name, figure) in figures {
        figure.write(&out, name)?;
    }
    replaced.discard();
    if command.json {
        return print_json(&json);
    }
    print(&format!("{}{}\n", report.text(&written, &gathered.moved_off), out.path.display()))
}

/// Counts the insertions of those signal tracks that are reads, as `signal` does by default, and puts the bigWig files in their place:
/// they become files of the folder `inputs` of the run to come, each with its report.
///
/// # Errors
/// The reads cannot be counted, or their shift is not clear.
pub fn count_reads_of(data: &mut DataConfig, inputs: &Path, progress: Progress) -> Result<()> {
    let memory = data.memory.map_or_else(half_of_free_memory, |memory| memory.as_u64());
    let Some(genome) = data.reference.clone() else { return Ok(()) };
    let mut reference = None;
    for (number, track) in data.signal.iter_mut().enumerate() {
        let is_there = |path: &Path| path.is_file() || streams::kept(path).is_some();
        let is_reads = |path: &PathBuf| Ok(is_there(path) && !is_bigwig(path) && holds_reads(path)?);
        if track.paths().map(is_reads).collect::<Result<Vec<_>>>()?.iter().all(|is_reads| !is_reads) {
            continue;
        }
        if track.minus.is_some() {
            bail!(
                "--signal {track}: names two files, and one holds reads, expected one of reads, or bigWig of each strand; count them with strandnet signal"
            );
        }
        let reference = match &mut reference {
            Some(reference) => reference,
            none => none.insert(Reference::open(&genome, true, memory / 2)?),
        };
        let (bigwig, report) = insertions(&track.path, &genome, reference, memory / 2, progress).map_err(|error| {
            anyhow!("{error:#}; for reads with other settings, give --signal the bigWig of strandnet signal")
        })?;
        track.path = inputs.join(format!("signal-{}.bw", number + 1));
        streams::keep_as(&track.path, bigwig);
        streams::keep_as(&track.path.with_extension("json"), report);
    }
    Ok(())
}

/// Insertions of a file of reads as bigWig, with the report as JSON.
fn insertions(
    path: &PathBuf,
    genome: &Path,
    reference: &Reference,
    memory: u64,
    progress: Progress,
) -> Result<(File, File)> {
    let chromosomes = &reference.chromosomes;
    let target =
        Target { path: genome, chromosomes, wanted: vec![true; chromosomes.len()], without_mitochondrion: true };
    let mut gathered = reads::gather(Request {
        files: std::slice::from_ref(path),
        target: &target,
        genome: reference.genome.as_ref(),
        counted: Counted::Insertions,
        shift: ShiftChoice::Auto,
        mate: Mate::First,
        filters: Filters::default(),
        barcodes: None,
        memory,
        progress,
    })?;
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("signal.bw");
    let options =
        Options { out: &out, stranded: false, flip_strands: false, bin: 1, per_million: false, regions: None };
    let tracks = tracks::write(&mut gathered, chromosomes, Counted::Insertions, &options)?;
    let mut report = tempfile::tempfile()?;
    serde_json::to_writer_pretty(&mut report, &gathered.report.json(&tracks, &gathered.moved_off))?;
    Ok((File::open(&out)?, report))
}

/// Which chromosomes count.
fn wanted(names: &[String], chromosomes: &[Chromosome], reference: &Path) -> Result<Vec<bool>> {
    if names.is_empty() {
        return Ok(vec![true; chromosomes.len()]);
    }
    let index = NameIndex::new(chromosomes.iter().map(|chromosome| chromosome.name.as_str()));
    let mut wanted = vec![false; chromosomes.len()];
    for name in names {
        let Some(found) = index.find(name) else {
            let own: Vec<String> = chromosomes.iter().map(|chromosome| chromosome.name.clone()).collect();
            let fault = format!(
                "--chroms names {name}, expected chromosomes of {}: {}",
                reference.display(),
                list_first(&own, 5)
            );
            return Err(Faults(vec![fault]).into());
        };
        wanted[found] = true;
    }
    Ok(wanted)
}

fn filters(flags: &FilterFlags, target: &Target, progress: Progress) -> Result<Filters> {
    let (least, most) = (flags.min_fragment, flags.max_fragment);
    Ok(Filters {
        min_mapping_quality: flags.min_mapq,
        keep_duplicates: flags.keep_duplicates,
        fragment_length: least.or(most).map(|_| least.unwrap_or(0)..=most.unwrap_or(usize::MAX)),
        excluded: intervals(&flags.exclude, target, progress)?,
    })
}

fn intervals(paths: &[PathBuf], target: &Target, progress: Progress) -> Result<Intervals> {
    let (intervals, notes) = Intervals::read(paths, target.chromosomes)?;
    notes.iter().for_each(|note| progress.say(note));
    Ok(intervals)
}

/// A track that is there already is replaced, and nothing else: reads would be gone if they were named by mistake.
fn check_output(path: &Path) -> Result<()> {
    if path.exists() && !is_bigwig(path) {
        bail!("{}: exists and is no bigWig, which is all that is replaced here; choose another --out", path.display());
    }
    Ok(())
}

/// Whether a file is there that holds reads.
pub fn is_of_reads(path: &Path) -> bool {
    path.is_file() && !is_bigwig(path) && holds_reads(path).unwrap_or(false)
}

/// Whether a file begins as bigWig does, in either order of bytes.
fn is_bigwig(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && [[0x26, 0xfc, 0x8f, 0x88], [0x88, 0x8f, 0xfc, 0x26]].contains(&magic)
}

/// The groups, each with its barcodes and files; `-` where no read has any of them.
fn groups_table(groups: &[Group], tracks: &[Track]) -> String {
    let mut text = String::from("group\tbarcodes\tbarcodes_with_reads\treads\tfile\n");
    for group in groups {
        let files: Vec<String> = tracks
            .iter()
            .filter(|track| track.group == group.name)
            .map(|track| track.path.display().to_string())
            .collect();
        let files = if files.is_empty() { "-".to_owned() } else { files.join(",") };
        let Group { name, barcodes, seen, reads } = group;
        text.push_str(&format!("{}\t{barcodes}\t{seen}\t{reads}\t{}\n", field(name), field(&files)));
    }
    text
}
