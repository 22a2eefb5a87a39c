//! Output of scores: a table, BED, bedGraph or bigWig.

use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::config::{ScoreFormat, TaskKind};
use crate::dataset::Classes;
use crate::formats::bigwig::Writer as BigWigWriter;
use crate::sequence::bins::Bins;
use crate::sequence::profile::ProfileTrack;
use crate::task::{ProfileTask, Task};

/// What a table holds where there is no score.
const NO_SCORE: &[u8] = b"\tNA";

/// Columns of a table that name the region of a row: its name, and where it lies as its file has it.
const REGION_COLUMNS: &str = "\tregion\tregion_chrom\tregion_start\tregion_end";

/// The window that a score belongs to: of a record or a chromosome, 0-based and half-open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Name of the record, shared by all its windows.
    pub name: Arc<str>,
    /// 0-based, half-open, in bp.
    pub range: Range<usize>,
    /// Whether the window is on the minus strand.
    pub reverse: bool,
    /// Name of the region.
    pub region: Option<String>,
}

impl Row {
    /// A window of a record, on the strand given in the file.
    pub fn of_record(name: &Arc<str>, range: Range<usize>) -> Self {
        Self { name: name.clone(), range, reverse: false, region: None }
    }
}

/// A region in a table: its window, its scores, and the region itself as its file has it.
pub struct RegionRow<'a> {
    /// Chromosome, as the genome calls it if it has it.
    pub name: &'a str,
    /// Window, 0-based and half-open, if there is one.
    pub window: Option<Range<usize>>,
    /// Whether the region lies on the minus strand.
    pub reverse: bool,
    /// Scores `[outputs]`, if the window has them.
    pub scores: Option<&'a [f32]>,
    /// Name of the region, if it has one.
    pub region: Option<&'a str>,
    /// Chromosome, start and end of the region as the file has them.
    pub columns: [&'a dyn Display; 3],
}

impl<'a> RegionRow<'a> {
    /// A line that is no region, with its first three columns.
    pub fn unreadable([chromosome, start, end]: &'a [String; 3]) -> Self {
        let columns: [&dyn Display; 3] = [chromosome, start, end];
        Self { name: chromosome, window: None, reverse: false, scores: None, region: None, columns }
    }
}

/// Writes rows one by one.
pub struct Rows<'a> {
    out: &'a mut (dyn Write + Send),
    format: ScoreFormat,
    /// Header of a table, written with the first row: an unreadable input gets none.
    header: Option<String>,
    /// What BED and bedGraph hold, and bigWig a file each of.
    tracks: Vec<Track>,
    stride: usize,
    /// Bins of a window, each of which a track has by itself; of a profile, its bases.
    bins: Option<Bins>,
    /// The profile whose expected counts tracks have.
    profile: Option<ProfileTask>,
    /// Number of scores in a row of a table.
    outputs: usize,
    /// Whether a score is of both strands; BED then has `.` as the strand.
    of_both_strands: bool,
    /// Record and end of the previous row, so that bedGraph has one value per base. Records may share a name.
    before: Option<(Arc<str>, usize)>,
}

/// One of the outputs of a network, or a track of a profile.
struct Track {
    /// Index of the output, and whether it is inverted (two classes have one output).
    output: usize,
    inverse: bool,
    /// Its strand and group, of a profile.
    of_profile: ProfileTrack,
    /// Where bigWig goes.
    file: Option<BigWigWriter<File>>,
}

/// Names of what tracks hold: classes or columns, of a profile its tracks.
fn track_names(task: &Task, classes: &Classes) -> Vec<String> {
    match &task.profile {
        Some(profile) => profile.shape.track_names(&classes.names),
        None => classes.names.clone(),
    }
}

/// The names of the bigWig files that are written: one for each of several tracks, unless `of` names one of them; else none.
pub fn names_of_files(task: &Task, classes: &Classes, of: Option<&str>) -> Vec<String> {
    let names = track_names(task, classes);
    let is_one = of.is_some() || task.kind == TaskKind::Binary || names.len() == 1;
    if is_one { Vec::new() } else { names }
}

impl<'a> Rows<'a> {
    /// Starts the output. `of` names the class or column that BED and bedGraph hold; bigWig holds all of them without it.
    ///
    /// # Errors
    /// The format cannot hold these scores, or the run has no such class or column.
    pub fn new(
        out: &'a mut (dyn Write + Send),
        format: ScoreFormat,
        task: &Task,
        classes: &Classes,
        of: Option<&str>,
        stride: usize,
        regions: bool,
    ) -> Result<Self> {
        let is_track = matches!(format, ScoreFormat::Bedgraph | ScoreFormat::Bigwig);
        let profile = task.profile.as_ref().filter(|_| is_track);
        // A track of a profile is that of one strand.
        let own_names = if is_track { track_names(task, classes) } else { classes.names.clone() };
        let names = own_names.join(", ");
        let index = match of {
            Some(name) => match own_names.iter().position(|own| own == name) {
                Some(index) => index,
                None => bail!("--score-of names '{name}', expected one of {names}; correct the name"),
            },
            None => classes.positive,
        };
        match format {
            ScoreFormat::Tsv if of.is_some() => {
                bail!("--score-of goes with --format bed, bedgraph or bigwig, and a table holds every score; remove it")
            }
            ScoreFormat::Bed if task.kind.predicts_values() => {
                bail!("--format bed holds scores from 0 to 1000, and the run predicts values; use bedgraph or tsv")
            }
            ScoreFormat::Bed | ScoreFormat::Bedgraph
                if of.is_none() && (task.outputs() > 1 || own_names.len() > 1 && profile.is_some()) =>
            {
                bail!("--format bed and bedgraph hold one score, and the run gives {names}; add --score-of NAME")
            }
            _ => {}
        }
        let header = (format == ScoreFormat::Tsv).then(|| {
            let scores = match task.outputs() {
                _ if task.kind == TaskKind::Profile => {
                    classes.names.iter().map(|name| format!("\tpredicted_log_counts_{name}")).collect()
                }
                1 => "\tscore".into(),
                _ => classes.names.iter().map(|name| format!("\tscore_{name}")).collect::<String>(),
            };
            format!("name\tstart\tend\tstrand{scores}{}\n", if regions { REGION_COLUMNS } else { "" })
        });
        let binary = task.kind == TaskKind::Binary;
        let is_every = format == ScoreFormat::Bigwig && !names_of_files(task, classes, of).is_empty();
        let chosen = if is_every { 0..own_names.len() } else { index..index + 1 };
        let track = |index: usize| {
            let (output, inverse) = if binary { (0, index != classes.positive) } else { (index, false) };
            let of_profile = profile.map_or(ProfileTrack::default(), |profile| profile.shape.track(index));
            Track { output, inverse, of_profile, file: None }
        };
        Ok(Self {
            out,
            format,
            header,
            tracks: chosen.map(track).collect(),
            stride,
            bins: match profile {
                Some(profile) => Some(Bins { count: profile.shape.length, bp: 1 }),
                None => task.bins.filter(|_| is_track),
            },
            profile: profile.cloned(),
            outputs: task.outputs(),
            of_both_strands: false,
            before: None,
        })
    }

    /// Says where bigWig goes, which is no stream of text: a file for each track.
    pub fn to_files(mut self, files: Vec<BigWigWriter<File>>) -> Self {
        self.tracks.iter_mut().zip(files).for_each(|(track, file)| track.file = Some(file));
        self
    }

    /// Says whether the network reads both strands of a sequence, in which case scores in BED have none.
    pub fn of_both_strands(self, of_both_strands: bool) -> Self {
        Self { of_both_strands, ..self }
    }

    /// Whether the output is a table, which has a row for what has no score too.
    pub fn is_table(&self) -> bool {
        self.format == ScoreFormat::Tsv
    }

    /// Whether it takes the scores of each bin.
    pub fn are_of_bins(&self) -> bool {
        self.bins.is_some()
    }

    /// Writes a row with its scores, if it has any: `[outputs]`, or `[outputs, bins]` where they are of bins.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn write(&mut self, row: &Row, scores: Option<&[f64]>) -> Result<()> {
        self.begin()?;
        let Row { name, range, reverse, region } = row;
        let strand = if *reverse { '-' } else { '+' };
        let Some(scores) = scores else {
            if self.is_table() {
                write!(self.out, "{name}\t{}\t{}\t{strand}", range.start, range.end)?;
                (0..self.outputs).try_for_each(|_| self.out.write_all(NO_SCORE))?;
                writeln!(self.out)?;
            }
            return Ok(());
        };
        if matches!(self.format, ScoreFormat::Bedgraph | ScoreFormat::Bigwig) {
            let Some(bases) = self.own_bases(row) else { return Ok(()) };
            return self.write_bases_of(row, scores, &bases);
        }
        let one = self.tracks.first().map_or(f64::NAN, |track| track.score(scores));
        match self.format {
            ScoreFormat::Tsv => {
                write!(self.out, "{name}\t{}\t{}\t{strand}", range.start, range.end)?;
                scores.iter().try_for_each(|score| write!(self.out, "\t{}", *score as f32))?;
                writeln!(self.out)?;
            }
            ScoreFormat::Bed => {
                let (region, score) = (region.as_deref().unwrap_or("."), (one * 1000.0).round() as u16);
                let strand = if self.of_both_strands { '.' } else { strand };
                writeln!(self.out, "{name}\t{}\t{}\t{region}\t{score}\t{strand}", range.start, range.end)?;
            }
            ScoreFormat::Bedgraph | ScoreFormat::Bigwig => {} // above
        }
        Ok(())
    }

    /// Writes the score of each track for the bases that a window stands for.
    fn write_bases_of(&mut self, row: &Row, scores: &[f64], bases: &Range<usize>) -> Result<()> {
        let Self { tracks, bins, profile, out, .. } = self;
        for track in tracks {
            let Some(bins) = *bins else {
                track.write(*out, &row.name, bases.clone(), track.score(scores))?;
                continue;
            };
            let Some(profile) = profile else {
                track.write_bins(*out, row, &scores[track.output * bins.count..][..bins.count], bins, bases)?;
                continue;
            };
            let ProfileTrack { group, strand, strands } = track.of_profile;
            // On the other strand the tracks of a pair change places.
            let strand = if row.reverse { strands - 1 - strand } else { strand };
            let counts = profile.expected_counts(scores, group);
            track.write_bins(*out, row, &counts[strand * bins.count..][..bins.count], bins, bases)?;
        }
        Ok(())
    }

    /// The bases that a window stands for where there is one value per base: the `stride` in its middle, no more than its bins cover,
    /// fewer where regions lie closer together.
    fn own_bases(&mut self, row: &Row) -> Option<Range<usize>> {
        let Row { name, range, .. } = row;
        let length = range.end - range.start;
        let covered = self.bins.map_or(length, |bins| bins.count * bins.bp);
        let width = self.stride.min(length).min(covered);
        let mut start = range.start + (length - width) / 2;
        let end = start + width;
        if let Some((before, before_end)) = &self.before
            && Arc::ptr_eq(before, name)
        {
            start = start.max(*before_end);
        }
        (start < end).then(|| {
            self.before = Some((name.clone(), end));
            start..end
        })
    }

    /// Writes the row of a region into a table.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn write_region(&mut self, row: &RegionRow) -> Result<()> {
        self.begin()?;
        let RegionRow { name, window, reverse, scores, region, columns: [chromosome, start, end] } = row;
        match window {
            Some(window) => write!(self.out, "{name}\t{}\t{}", window.start, window.end)?,
            None => write!(self.out, "{name}\tNA\tNA")?,
        }
        write!(self.out, "\t{}", if *reverse { '-' } else { '+' })?;
        match scores {
            Some(scores) => scores.iter().try_for_each(|score| write!(self.out, "\t{score}"))?,
            None => (0..self.outputs).try_for_each(|_| self.out.write_all(NO_SCORE))?,
        }
        writeln!(self.out, "\t{}\t{chromosome}\t{start}\t{end}", region.unwrap_or("."))?;
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        if let Some(header) = self.header.take() {
            self.out.write_all(header.as_bytes())?;
        }
        Ok(())
    }

    /// Completes the output; a table without rows still gets its header.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn finish(&mut self) -> Result<()> {
        self.begin()?;
        for file in self.tracks.iter_mut().filter_map(|track| track.file.take()) {
            file.finish()?;
        }
        Ok(self.out.flush()?)
    }
}

impl Track {
    fn score(&self, scores: &[f64]) -> f64 {
        let one = scores[self.output];
        if self.inverse { 1.0 - one } else { one }
    }

    fn write(&mut self, out: &mut (dyn Write + Send), name: &str, bases: Range<usize>, score: f64) -> Result<()> {
        match &mut self.file {
            Some(file) => file.push(name, bases, score as f32),
            None => Ok(writeln!(out, "{name}\t{}\t{}\t{}", bases.start, bases.end, score as f32)?),
        }
    }

    /// Writes the scores of bins, in the order of the window's strand, for the bases that the window stands for.
    fn write_bins(
        &mut self,
        out: &mut (dyn Write + Send),
        row: &Row,
        scores: &[f64],
        Bins { count, bp }: Bins,
        bases: &Range<usize>,
    ) -> Result<()> {
        let Row { name, range, reverse, .. } = row;
        // A padded record may be shorter than its bins.
        let (middle, covered) = ((range.start + range.end) as i64, (count * bp) as i64);
        let first = (middle - covered).div_euclid(2);
        for i in 0..count {
            let score = scores[if *reverse { count - 1 - i } else { i }];
            let start = first + (i * bp) as i64;
            let (start, end) = (start.max(bases.start as i64), (start + bp as i64).min(bases.end as i64));
            if start < end {
                self.write(out, name, start as usize..end as usize, score)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClassWeights;
    use crate::dataset::examples::Examples;

    fn written(
        format: ScoreFormat,
        names: &[&str],
        of: Option<&str>,
        stride: usize,
        rows: &[(usize, &[f64])],
    ) -> Result<String> {
        let classes = Classes::named(names.iter().map(|name| (*name).to_owned()).collect());
        let kind = if names.len() == 2 { TaskKind::Binary } else { TaskKind::Multiclass };
        let labels = Examples::from_codes(&[0; 4], 2, &[0.0, 1.0]);
        let task = Task::new(kind, &classes, None, &ClassWeights::None, &labels)?;
        let (mut out, chr): (Vec<u8>, Arc<str>) = (Vec::new(), "chr1".into());
        {
            let sink = Rows::new(&mut out, format, &task, &classes, of, stride, false)?;
            let mut sink = sink.of_both_strands(names.len() == 3);
            for (start, scores) in rows {
                sink.write(&Row::of_record(&chr, *start..start + 10), Some(scores))?;
            }
            sink.finish()?;
        }
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn every_format_holds_what_it_can() {
        let rows: [(usize, &[f64]); 2] = [(0, &[0.25]), (4, &[0.5])];
        let of = |format, of| written(format, &["a", "b"], of, 4, &rows).unwrap();
        assert_eq!(
            of(ScoreFormat::Tsv, None),
            "name\tstart\tend\tstrand\tscore\nchr1\t0\t10\t+\t0.25\nchr1\t4\t14\t+\t0.5\n"
        );
        assert_eq!(of(ScoreFormat::Bed, None), "chr1\t0\t10\t.\t250\t+\nchr1\t4\t14\t.\t500\t+\n");
        assert_eq!(of(ScoreFormat::Bedgraph, None), "chr1\t3\t7\t0.25\nchr1\t7\t11\t0.5\n");
        assert_eq!(of(ScoreFormat::Bedgraph, Some("b")), "chr1\t3\t7\t0.75\nchr1\t7\t11\t0.5\n");
        let three: [(usize, &[f64]); 1] = [(0, &[0.25, 0.5, 0.25])];
        assert!(
            written(ScoreFormat::Tsv, &["a", "b", "c"], None, 4, &three)
                .unwrap()
                .contains("score_a\tscore_b\tscore_c\n")
        );
        assert_eq!(
            written(ScoreFormat::Bed, &["a", "b", "c"], Some("b"), 4, &three).unwrap(),
            "chr1\t0\t10\t.\t500\t.\n",
            "both strands are read"
        );
        assert!(
            written(ScoreFormat::Bed, &["a", "b", "c"], None, 4, &three)
                .unwrap_err()
                .to_string()
                .contains("--score-of")
        );
        assert!(written(ScoreFormat::Bed, &["a", "b"], Some("x"), 4, &rows).unwrap_err().to_string().contains("a, b"));
    }

    #[test]
    fn bins_lie_in_the_middle_of_their_window_in_the_direction_of_its_strand() {
        let classes = Classes::named(vec!["a".into(), "b".into()]);
        let values = Examples::from_codes(&[0; 4], 2, &[0.0, 1.0, 2.0, 3.0]);
        let task = Task::new(TaskKind::Regression, &classes, None, &ClassWeights::None, &values).unwrap();
        let task = Task { bins: Some(Bins { count: 3, bp: 2 }), ..task };
        let written = |stride, rows: &[(Range<usize>, bool)]| {
            let (mut out, chr): (Vec<u8>, Arc<str>) = (Vec::new(), "c".into());
            let mut sink =
                Rows::new(&mut out, ScoreFormat::Bedgraph, &task, &classes, Some("b"), stride, false).unwrap();
            assert!(sink.are_of_bins());
            for (range, reverse) in rows {
                let row = Row { reverse: *reverse, ..Row::of_record(&chr, range.clone()) };
                sink.write(&row, Some(&[7.0, 8.0, 9.0, 1.0, 2.0, 3.0])).unwrap();
            }
            sink.finish().unwrap();
            let text = String::from_utf8(out).unwrap();
            text.lines().map(|line| line.replace("c\t", "").replace('\t', " ")).collect::<Vec<_>>()
        };
        assert_eq!(written(10, &[(20..30, false)]), ["22 24 1", "24 26 2", "26 28 3"]);
        assert_eq!(written(10, &[(20..30, true)]), ["22 24 3", "24 26 2", "26 28 1"]);
        // Windows that overlap stand for their middle.
        assert_eq!(written(3, &[(20..30, false), (23..33, false)]), ["23 24 1", "24 26 2", "26 27 1", "27 29 2"]);
        // A padded record is shorter than its bins.
        assert_eq!(written(10, &[(0..4, false)]), ["0 1 1", "1 3 2", "3 4 3"]);
        // A table has the means.
        let mut out = Vec::new();
        assert!(!Rows::new(&mut out, ScoreFormat::Tsv, &task, &classes, None, 10, false).unwrap().are_of_bins());
    }

    #[test]
    fn records_that_share_a_name_are_all_written_as_bedgraph() {
        let classes = Classes::named(vec!["a".into(), "b".into()]);
        let labels = Examples::from_codes(&[0; 4], 2, &[0.0, 1.0]);
        let task = Task::new(TaskKind::Binary, &classes, None, &ClassWeights::None, &labels).unwrap();
        let mut out: Vec<u8> = Vec::new();
        let mut rows = Rows::new(&mut out, ScoreFormat::Bedgraph, &task, &classes, None, 10, false).unwrap();
        for score in [0.25, 0.5] {
            rows.write(&Row::of_record(&Arc::from("x"), 0..10), Some(&[score])).unwrap();
        }
        assert_eq!(String::from_utf8(out).unwrap(), "x\t0\t10\t0.25\nx\t0\t10\t0.5\n");
    }

    #[test]
    fn bedgraph_never_says_two_things_of_one_base() {
        let rows: [(usize, &[f64]); 3] = [(0, &[0.1]), (5, &[0.2]), (5, &[0.3])];
        assert_eq!(
            written(ScoreFormat::Bedgraph, &["a", "b"], None, 10, &rows).unwrap(),
            "chr1\t0\t10\t0.1\nchr1\t10\t15\t0.2\n"
        );
    }
}
