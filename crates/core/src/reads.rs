//! Tracks of counts from aligned reads: which ends of which reads are counted, where, and for which group of cells. Files are read once,
//! in any order; their shift is measured on the way and applied when the sorted counts are handed on.

pub mod barcodes;
pub mod counts;
pub mod file;
pub mod intervals;
pub mod left_out;
pub mod reference;
pub mod report;
pub mod shift;
pub mod tracks;

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};

use crate::config::{Counted, Shift, ShiftChoice};
use crate::genome::Genome;
use crate::progress::Progress;
use crate::reads::barcodes::Barcodes;
use crate::reads::counts::{Counts, Layout};
use crate::reads::file::{Ends, Mate, ReadsFile, Record, Target};
use crate::reads::left_out::{Filters, LeftOut, Reason};
use crate::reads::report::{FileReport, Report};
use crate::reads::shift::Sample;

/// What is to be counted of which reads.
pub struct Request<'a> {
    /// Files of reads; `-` is standard input.
    pub files: &'a [PathBuf],
    /// The chromosomes.
    pub target: &'a Target<'a>,
    /// Their bases, by which a shift is measured.
    pub genome: Option<&'a Genome>,
    /// What is counted.
    pub counted: Counted,
    /// How ends are shifted.
    pub shift: ShiftChoice,
    /// Of mates, the one whose first base counts as five-prime.
    pub mate: Mate,
    /// Which reads are counted.
    pub filters: Filters,
    /// Barcodes and their groups; all reads are one group without.
    pub barcodes: Option<Barcodes>,
    /// Bytes of counts that are held in memory.
    pub memory: u64,
    /// Who is told of each file.
    pub progress: Progress,
}

/// Counts of all files, not shifted yet, and what there is to say of them.
pub struct Gathered {
    /// The counts.
    pub counts: Counts,
    /// Of each file, the shift of its ends.
    pub shifts: Vec<Shift>,
    /// What was read.
    pub report: Report,
    /// Groups with what was seen of them; one without a name where there are no barcodes.
    pub groups: Vec<barcodes::Group>,
    /// Ends of each group or, of coverage, reads.
    pub totals: Vec<u64>,
    /// Of each file, ends of plus and minus reads that the shift moves off their chromosome; known once tracks are written.
    pub moved_off: Vec<[u64; 2]>,
}

/// Kinds of places, as [`Counts`] numbers them.
const PLUS: usize = 0;
const MINUS: usize = 1;
const BEGIN: usize = 2;
const END: usize = 3;

/// Reads all files.
///
/// # Errors
/// A file cannot be read, does not have what is to be counted, or its shift is to be measured and is not clear.
pub fn gather(request: Request) -> Result<Gathered> {
    let Request { files, target, genome, counted, shift, mate, filters, mut barcodes, memory, progress } = request;
    let (given, measured_in) = match (shift, genome) {
        (ShiftChoice::Given(shift), _) => (shift, None),
        (ShiftChoice::Auto, Some(genome)) => (Shift::default(), Some(genome)),
        (ShiftChoice::Auto, None) => bail!(
            "--shift auto needs the sequence of the genome, expected FASTA for --reference; name it, or --shift PLUS,MINUS or none"
        ),
    };
    let mut counts = Counts::new(Layout::new(target.chromosomes)?, memory);
    let (mut shifts, mut reports) = (Vec::new(), Vec::new());
    let mut totals = vec![0; barcodes.as_ref().map_or(1, |barcodes| barcodes.groups.len())];
    for (number, path) in files.iter().enumerate() {
        let mut gathering = Gathering {
            file: number,
            path,
            counted,
            mate,
            counts: &mut counts,
            barcodes: barcodes.as_mut(),
            sample: measured_in.map(|_| Sample::new(number)),
            totals: &mut totals,
            report: FileReport::new(path, target.chromosomes.len()),
        };
        let reads = ReadsFile::open(path)?;
        gathering.report.format = reads.describe();
        let mut left_out = LeftOut::default();
        let seen =
            reads.for_each(target, &filters, &mut left_out, |record, left_out| gathering.add(&record, left_out))?;
        let Gathering { sample, mut report, .. } = gathering;
        counts.end_of_run(number)?;
        (report.seen, report.left_out) = (seen, left_out);
        if let Some(barcodes) = &barcodes {
            barcodes.check_file(number, report.left_out.of(Reason::NoBarcode))?;
        }
        check(&report, &filters, counted, mate)?;
        let shift = match (sample, measured_in) {
            (Some(sample), Some(genome)) => {
                report.evidence = Some(sample.measure(genome)?);
                report.shift_found()?
            }
            _ => given,
        };
        report.shift = shift;
        report.lines().iter().for_each(|line| progress.say(line));
        shifts.push(shift);
        reports.push(report);
    }
    if let Some(barcodes) = &barcodes {
        barcodes.notes().iter().for_each(|note| progress.say(note));
    }
    let report = Report::new(target, counted, reports);
    let reads = report.counted_reads();
    if reads == 0 {
        bail!("no read is left to be counted of {}; {}", report.names(), report.why_none());
    }
    let groups =
        barcodes.map_or_else(|| vec![barcodes::Group { reads, ..Default::default() }], |barcodes| barcodes.groups);
    let moved_off = vec![[0; 2]; files.len()];
    Ok(Gathered { counts, shifts, report, groups, totals, moved_off })
}

/// What is gathered of one file.
struct Gathering<'a> {
    file: usize,
    path: &'a Path,
    counted: Counted,
    mate: Mate,
    counts: &'a mut Counts,
    barcodes: Option<&'a mut Barcodes>,
    /// First bases by which the shift is measured.
    sample: Option<Sample>,
    totals: &'a mut [u64],
    report: FileReport,
}

impl Gathering<'_> {
    /// Counts what is to be counted of a read.
    fn add(&mut self, record: &Record, left_out: &mut LeftOut) -> Result<()> {
        let Record { chromosome, range, deletions, ends, barcode, fragment_length } = record;
        if self.counted == Counted::FivePrime {
            match ends {
                Ends::Read { mate, .. } if *mate != Mate::Single && *mate != self.mate => {
                    left_out.add(Reason::OtherMate);
                    return Ok(());
                }
                Ends::Fragment => bail!(
                    "{}: holds fragments, which do not say at which end their read 1 began, expected reads with a strand for --what five-prime; name the BAM file, or count --what insertions",
                    self.path.display()
                ),
                Ends::Read { .. } => {}
            }
        }
        let group = match &mut self.barcodes {
            None => 0,
            Some(barcodes) => {
                let Some(barcode) = barcode.text() else {
                    left_out.add(Reason::NoBarcode);
                    return Ok(());
                };
                let Some(group) = barcodes.group(self.file, barcode)? else {
                    left_out.add(Reason::OtherBarcode);
                    return Ok(());
                };
                group
            }
        };
        self.report.add(*chromosome, ends, *fragment_length);
        let (first, last) = (range.start, range.end - 1);
        match (self.counted, ends) {
            (Counted::Coverage, _) => {
                self.totals[group] += 1;
                self.push(group, *chromosome, BEGIN, range.start)?;
                for Range { start, end } in *deletions {
                    self.push(group, *chromosome, END, *start)?;
                    self.push(group, *chromosome, BEGIN, *end)?;
                }
                self.push(group, *chromosome, END, range.end)
            }
            (_, Ends::Fragment) => {
                self.end(group, *chromosome, PLUS, first)?;
                self.end(group, *chromosome, MINUS, last)
            }
            (_, Ends::Read { reverse: false, .. }) => self.end(group, *chromosome, PLUS, first),
            (_, Ends::Read { reverse: true, .. }) => self.end(group, *chromosome, MINUS, last),
        }
    }

    fn end(&mut self, group: usize, chromosome: usize, kind: usize, position: usize) -> Result<()> {
        if let Some(sample) = &mut self.sample {
            sample.push(kind == MINUS, chromosome, position);
        }
        self.report.ends[kind] += 1;
        self.totals[group] += 1;
        self.push(group, chromosome, kind, position)
    }

    fn push(&mut self, group: usize, chromosome: usize, kind: usize, position: usize) -> Result<()> {
        let key = self.counts.layout().key(group, chromosome, kind, position);
        self.counts.push(self.file, key)
    }
}

/// Refuses a file that lacks what is asked for.
fn check(report: &FileReport, filters: &Filters, counted: Counted, mate: Mate) -> Result<()> {
    let path = report.path.display();
    let is_single = report.seen.fragments == 0 && report.seen.mates == [0, 0];
    if filters.fragment_length.is_some() && is_single {
        return Err(anyhow!(
            "{path}: holds reads that are not paired, expected fragments for their lengths; remove --min-fragment and --max-fragment, or name paired reads"
        ));
    }
    if counted == Counted::FivePrime && mate == Mate::Second && is_single {
        return Err(anyhow!("{path}: holds reads that are not paired, expected pairs for --mate 2; remove --mate"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
