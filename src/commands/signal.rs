//! `signal`: reads to tracks of counts, with a report.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::json;

use crate::cli::signal::{FilterFlags, Signal};
use crate::commands::{print, print_json};
use crate::device;
use strandnet_core::config::{Counted, Faults, ShiftChoice};
use strandnet_core::dataset::half_of_free_memory;
use strandnet_core::figures;
use strandnet_core::format::{field, list_first};
use strandnet_core::genome::Chromosome;
use strandnet_core::genome::names::NameIndex;
use strandnet_core::progress::Progress;
use strandnet_core::reads::barcodes::{Barcodes, Group};
use strandnet_core::reads::file::{Mate, Target};
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
    let written = tracks::write(&mut gathered, target.chromosomes, command.what, &options)?;
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
    figures::reads::draw(&report.lengths(), &report.files, &out)?;
    replaced.discard();
    if command.json {
        return print_json(&json);
    }
    print(&format!("{}{}\n", report.text(&written, &gathered.moved_off), out.path.display()))
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
    let Ok(mut file) = File::open(path) else { return Ok(()) };
    let mut magic = [0; 4];
    let is_track = file.metadata().is_ok_and(|file| file.is_file())
        && file.read_exact(&mut magic).is_ok()
        && [magic, [magic[3], magic[2], magic[1], magic[0]]].contains(&[0x26, 0xfc, 0x8f, 0x88]);
    if !is_track {
        bail!("{}: exists and is no bigWig, which is all that is replaced here; choose another --out", path.display());
    }
    Ok(())
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
