//! Writes counts as bigWig: a file for each group or, with strands, two.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use anyhow::{Result, anyhow};
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::config::Counted;
use crate::files::{self, cannot_write};
use crate::formats::bigwig::Writer;
use crate::genome::Chromosome;
use crate::reads::barcodes::{Group, file_names};
use crate::reads::counts::{Counts, KINDS};
use crate::reads::intervals::Intervals;
use crate::reads::{Gathered, MINUS, PLUS};

/// How tracks are written.
pub struct Options<'a> {
    /// The file; those of groups and strands have their names before its ending.
    pub out: &'a Path,
    /// A file for each strand.
    pub stranded: bool,
    /// Reads of the plus strand are written as minus, and the other way round.
    pub flip_strands: bool,
    /// Length of bins whose mean is written, in bp.
    pub bin: usize,
    /// Counts per million counted.
    pub per_million: bool,
    /// Where the share of counts in peaks is taken.
    pub regions: Option<&'a Intervals>,
}

/// A file that was written.
#[derive(Clone, Debug, Serialize)]
pub struct Track {
    /// Name of the group; empty where there are none.
    pub group: String,
    /// `plus` or `minus`, of a file of one strand.
    pub strand: Option<&'static str>,
    /// The strand of its reads, which is the other where strands are flipped.
    pub reads: Option<&'static str>,
    /// The file.
    pub path: PathBuf,
    /// Sum of the counts; of coverage, of all bases.
    pub total: u64,
    /// Bases with a count.
    pub bases: u64,
    /// Share of the sum that lies in `--regions`.
    pub share_in_regions: Option<f64>,
    #[serde(skip)]
    in_regions: u64,
}

/// The names of the files of each group, before they are written.
pub fn paths(options: &Options, groups: &[Group]) -> Vec<Vec<PathBuf>> {
    let names = file_names(groups);
    let strands: &[&str] = if options.stranded { &["plus", "minus"] } else { &[""] };
    let path = |name: &str, strand: &str| {
        let stem = options.out.file_stem().unwrap_or_default().to_string_lossy();
        let ending =
            options.out.extension().map_or_else(String::new, |ending| format!(".{}", ending.to_string_lossy()));
        let parts = [&*stem, name, strand].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
        options.out.with_file_name(parts + &ending)
    };
    let one = groups.len() == 1;
    let of = |name: &String| strands.iter().map(|strand| path(if one { "" } else { name }, strand)).collect();
    names.iter().map(of).collect()
}

/// Writes all tracks, and completes the report with what the shift moved off the chromosomes.
///
/// # Errors
/// A file cannot be written.
pub fn write(
    gathered: &mut Gathered,
    chromosomes: &[Chromosome],
    counted: Counted,
    options: &Options,
) -> Result<Vec<Track>> {
    let empty = Counts::new(gathered.counts.layout().clone(), 0);
    let counts = std::mem::replace(&mut gathered.counts, empty);
    let shifts = gathered.shifts.clone();
    let mut output = Output {
        chromosomes,
        counted,
        options,
        paths: paths(options, &gathered.groups),
        groups: &gathered.groups,
        totals: &gathered.totals,
        open: None,
        group: usize::MAX,
        written: Vec::new(),
    };
    let moved_off = &mut gathered.moved_off;
    // A chromosome is compressed while the counts of the next are merged.
    thread::scope(|scope| {
        let (send, merged) = sync_channel(1);
        let writing = scope.spawn(move || {
            for counts in merged {
                match counts {
                    Some(counts) => output.add(counts)?,
                    None => return output.finish().map(Some),
                }
            }
            Ok(None) // merging failed before the end
        });
        let mut merging = Merging { counts: ChromosomeCounts::default(), send };
        let drained = counts.drain(
            |file, kind| match kind {
                PLUS => shifts[file].plus,
                MINUS => shifts[file].minus,
                _ => 0,
            },
            |file, kind, count| moved_off[file][kind] += u64::from(count),
            |group, chromosome, kind, position, count| merging.add((group, chromosome), kind, (position, count)),
        );
        let drained = drained.and_then(|()| merging.finish());
        let written = writing.join().map_err(|_| ended())??; // first, as merging ends too where writing fails
        drained?;
        written.ok_or_else(ended)
    })
}

/// Counts of one chromosome of a group.
#[derive(Default)]
struct ChromosomeCounts {
    group: usize,
    chromosome: usize,
    /// Positions of a kind with their counts, in order.
    kinds: [Vec<(usize, u32)>; KINDS],
}

/// Gathers the counts of a chromosome and hands them on when they are complete; `None` follows the last.
struct Merging {
    counts: ChromosomeCounts,
    send: SyncSender<Option<ChromosomeCounts>>,
}

impl Merging {
    fn add(&mut self, (group, chromosome): (usize, usize), kind: usize, counted: (usize, u32)) -> Result<()> {
        if (self.counts.group, self.counts.chromosome) != (group, chromosome) {
            self.end_of_chromosome()?;
            (self.counts.group, self.counts.chromosome) = (group, chromosome);
        }
        self.counts.kinds[kind].push(counted);
        Ok(())
    }

    fn end_of_chromosome(&mut self) -> Result<()> {
        let counts = std::mem::take(&mut self.counts);
        if counts.kinds.iter().all(Vec::is_empty) {
            return Ok(());
        }
        self.send.send(Some(counts)).map_err(|_| ended())
    }

    fn finish(mut self) -> Result<()> {
        self.end_of_chromosome()?;
        self.send.send(None).map_err(|_| ended())
    }
}

fn ended() -> anyhow::Error {
    anyhow!("a thread that writes tracks has ended")
}

/// What is being written.
struct Output<'a> {
    chromosomes: &'a [Chromosome],
    counted: Counted,
    options: &'a Options<'a>,
    paths: Vec<Vec<PathBuf>>,
    groups: &'a [Group],
    totals: &'a [u64],
    /// The files of the current group.
    open: Option<Vec<(Writer<NamedTempFile>, Track)>>,
    group: usize,
    written: Vec<Track>,
}

impl Output<'_> {
    fn open_group(&mut self, group: usize) -> Result<()> {
        let strands: &[_] = match (self.options.stranded, self.options.flip_strands) {
            (false, _) => &[(None, None)],
            (true, false) => &[(Some("plus"), Some("plus")), (Some("minus"), Some("minus"))],
            (true, true) => &[(Some("plus"), Some("minus")), (Some("minus"), Some("plus"))],
        };
        let open = |(path, (strand, reads)): (&PathBuf, &(Option<&'static str>, Option<&'static str>))| {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let writer = Writer::new(files::temporary_beside(path)?, self.chromosomes, folder)?;
            let track = Track {
                group: self.groups[group].name.clone(),
                strand: *strand,
                reads: *reads,
                path: path.clone(),
                total: 0,
                bases: 0,
                share_in_regions: None,
                in_regions: 0,
            };
            anyhow::Ok((writer, track))
        };
        self.open = Some(self.paths[group].iter().zip(strands).map(open).collect::<Result<_>>()?);
        Ok(())
    }

    fn add(&mut self, counts: ChromosomeCounts) -> Result<()> {
        let ChromosomeCounts { group, chromosome, kinds: [plus, minus, begin, end] } = counts;
        if self.group != group {
            self.end_of_group()?;
            self.open_group(group)?;
            self.group = group;
        }
        let tracks: Vec<Vec<(Range<usize>, u64)>> =
            match (self.counted, self.options.stranded, self.options.flip_strands) {
                (Counted::Coverage, ..) => vec![coverage(&begin, &end)],
                (_, false, _) => vec![both(&plus, &minus)],
                (_, true, false) => vec![both(&plus, &[]), both(&[], &minus)],
                (_, true, true) => vec![both(&[], &minus), both(&plus, &[])],
            };
        let scale = if self.options.per_million { 1e6 / self.totals[group].max(1) as f64 } else { 1.0 };
        let Chromosome { name, length } = &self.chromosomes[chromosome];
        for ((writer, track), stretches) in self.open.iter_mut().flatten().zip(&tracks) {
            for (range, count) in stretches {
                track.total += count * range.len() as u64;
                track.bases += range.len() as u64;
                let covered = self.options.regions.map_or(0, |regions| regions.covered(chromosome, range));
                track.in_regions += count * covered as u64;
                if self.options.bin == 1 {
                    push(writer, &track.path, name, range.clone(), *count as f64 * scale)?;
                }
            }
            if self.options.bin > 1 {
                for (range, mean) in bins(stretches, self.options.bin, *length) {
                    push(writer, &track.path, name, range, mean * scale)?;
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Track>> {
        self.end_of_group()?;
        Ok(self.written)
    }

    fn end_of_group(&mut self) -> Result<()> {
        for (writer, mut track) in self.open.take().into_iter().flatten() {
            let file = writer.finish().map_err(|error| say(&track.path, error))?;
            files::persist(file, &track.path)?;
            track.share_in_regions = self.options.regions.map(|_| track.in_regions as f64 / track.total.max(1) as f64);
            self.written.push(track);
        }
        Ok(())
    }
}

fn push(
    writer: &mut Writer<NamedTempFile>,
    path: &Path,
    chromosome: &str,
    range: Range<usize>,
    value: f64,
) -> Result<()> {
    writer.push(chromosome, range, value as f32).map_err(|error| say(path, error))
}

fn say(path: &Path, error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<std::io::Error>() {
        Ok(error) => cannot_write(path, &error),
        Err(error) => anyhow!("{}: {error}", path.display()),
    }
}

/// Counts of both strands together, as stretches of one base.
fn both(plus: &[(usize, u32)], minus: &[(usize, u32)]) -> Vec<(Range<usize>, u64)> {
    let mut found: Vec<(Range<usize>, u64)> = Vec::with_capacity(plus.len() + minus.len());
    let (mut plus, mut minus) = (plus.iter().peekable(), minus.iter().peekable());
    loop {
        let next = match (plus.peek(), minus.peek()) {
            (Some(one), Some(other)) if one.0 <= other.0 => plus.next(),
            (_, Some(_)) => minus.next(),
            (Some(_), None) => plus.next(),
            (None, None) => return found,
        };
        let Some(&(position, count)) = next else { return found };
        match found.last_mut() {
            Some((range, sum)) if range.start == position => *sum += u64::from(count),
            _ => found.push((position..position + 1, u64::from(count))),
        }
    }
}

/// How many reads cover each base, from where they begin and end: stretches of one count above zero.
fn coverage(begin: &[(usize, u32)], end: &[(usize, u32)]) -> Vec<(Range<usize>, u64)> {
    let (mut found, mut depth, mut from) = (Vec::new(), 0u64, 0);
    let (mut begin, mut end) = (begin.iter().peekable(), end.iter().peekable());
    while let Some(&position) = begin.peek().into_iter().chain(end.peek()).map(|(position, _)| position).min() {
        let before = depth;
        if let Some((_, count)) = begin.next_if(|(at, _)| *at == position) {
            depth += u64::from(*count);
        }
        if let Some((_, count)) = end.next_if(|(at, _)| *at == position) {
            depth = depth.saturating_sub(u64::from(*count));
        }
        if depth != before {
            if before > 0 {
                found.push((from..position, before));
            }
            from = position;
        }
    }
    found
}

/// Means of bins, those without counts left out; the last bin of a chromosome may be shorter.
fn bins(stretches: &[(Range<usize>, u64)], bin: usize, length: usize) -> Vec<(Range<usize>, f64)> {
    let mut binned: Vec<(usize, u64)> = Vec::new();
    for (range, count) in stretches {
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min((start / bin + 1) * bin);
            let sum = count * (end - start) as u64;
            match binned.last_mut() {
                Some((number, all)) if *number == start / bin => *all += sum,
                _ => binned.push((start / bin, sum)),
            }
            start = end;
        }
    }
    let of = |(number, sum): (usize, u64)| {
        let range = number * bin..((number + 1) * bin).min(length);
        let mean = sum as f64 / range.len() as f64;
        (range, mean)
    };
    binned.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn group(name: &str) -> Group {
        Group { name: name.into(), ..Group::default() }
    }

    #[test]
    fn files_are_named_by_group_and_strand() {
        let options = Options {
            out: Path::new("d/x.y.bw"),
            stranded: true,
            flip_strands: false,
            bin: 1,
            per_million: false,
            regions: None,
        };
        let shown = |options: &Options, groups: &[Group]| -> Vec<String> {
            paths(options, groups).concat().iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(shown(&options, &[group("")]), ["d/x.y.plus.bw", "d/x.y.minus.bw"]);
        let options = Options { stranded: false, ..options };
        assert_eq!(shown(&options, &[group("T cell"), group("B")]), ["d/x.y.T_cell.bw", "d/x.y.B.bw"]);
        assert_eq!(shown(&options, &[group("")]), ["d/x.y.bw"]);
    }

    proptest! {
        #[test]
        fn coverage_is_what_is_counted_base_by_base(reads in prop::collection::vec((0usize..40, 1usize..20), 0..30), bin in 1usize..9) {
            let mut expected = [0u64; 60];
            let (mut begin, mut end) = (std::collections::BTreeMap::new(), std::collections::BTreeMap::new());
            for &(start, length) in &reads {
                expected[start..start + length].iter_mut().for_each(|depth| *depth += 1);
                *begin.entry(start).or_insert(0) += 1;
                *end.entry(start + length).or_insert(0) += 1;
            }
            let list = |map: std::collections::BTreeMap<usize, u32>| map.into_iter().collect::<Vec<_>>();
            let stretches = coverage(&list(begin), &list(end));
            let mut found = [0u64; 60];
            for (range, count) in &stretches {
                prop_assert!(*count > 0);
                found[range.clone()].iter_mut().for_each(|depth| *depth += count);
            }
            prop_assert_eq!(found, expected);
            let sum: f64 = bins(&stretches, bin, 60).iter().map(|(range, mean)| mean * range.len() as f64).sum();
            prop_assert!((sum - expected.iter().sum::<u64>() as f64).abs() < 1e-6);
        }
    }
}
