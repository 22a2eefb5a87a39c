//! Reads sorted by predicted class: a FASTQ file for each class and one for unassigned reads.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use noodles_bgzf as bgzf;
use noodles_fastq as fastq;

use crate::config::TaskKind;
use crate::dataset::Classes;
use crate::dataset::sequences;
use crate::evaluate;
use crate::formats::compression::{self, Compression};
use crate::formats::fastq::write_read;
use crate::formats::records::Records;
use crate::predict::evidence;
use crate::predict::unknown_limit::UnknownLimit;
use crate::predict::{Model, Short};
use crate::run;
use crate::sequence::alphabet;

/// Name of the file for reads without a confident class.
const AMBIGUOUS: &str = "ambiguous";

/// How reads are sorted.
#[derive(Clone, Copy, Debug)]
pub struct Sorting<'a> {
    /// Prefix of the files, PREFIX.CLASS.fastq, or .fastq.gz if the reads are compressed.
    pub prefix: &'a Path,
    /// Smallest probability at which a read is assigned to a class.
    pub min_confidence: f64,
    /// Distance between windows of a read longer than the network's length, in bp.
    pub stride: usize,
    /// What to do with reads shorter than the network's length.
    pub short: Short,
    /// Unknown bases that a window may hold to count.
    pub limit: UnknownLimit,
    /// Overwrite files that exist.
    pub force: bool,
}

/// Number of reads by class, the ambiguous ones last.
#[derive(Clone, Debug, PartialEq)]
pub struct Sorted {
    /// Class, path of its file and number of reads in it.
    pub files: Vec<(String, PathBuf, usize)>,
    /// Number of ambiguous reads that are shorter than the network's length.
    pub too_short: usize,
    /// Number of ambiguous reads all of whose windows hold too many unknown bases.
    pub unknown: usize,
}

impl Sorted {
    /// Counts and percentages as a table.
    pub fn table(&self) -> String {
        let all: usize = self.files.iter().map(|(.., count)| count).sum();
        let mut text = String::from("class\treads\tpercent\tfile\n");
        for (name, path, count) in &self.files {
            let percent = 100.0 * *count as f64 / all.max(1) as f64;
            text.push_str(&format!("{name}\t{count}\t{percent:.2}\t{}\n", path.display()));
        }
        text
    }
}

enum Out {
    Plain(BufWriter<File>),
    Bgzf(bgzf::io::Writer<File>),
}

impl Out {
    fn write(&mut self, read: &fastq::Record) -> std::io::Result<()> {
        match self {
            Self::Plain(file) => write_read(file, read),
            Self::Bgzf(file) => write_read(file, read),
        }
    }

    fn finish(self) -> std::io::Result<()> {
        match self {
            Self::Plain(mut file) => file.flush(),
            Self::Bgzf(file) => file.finish().map(|_| ()),
        }
    }
}

/// Reads waiting to be scored, each with the weights of its windows.
#[derive(Default)]
struct Waiting {
    reads: Vec<(fastq::Record, Vec<f64>)>,
    /// `[windows, length]`
    codes: Vec<u8>,
}

/// Writes each read of `path` to the file of its class. A read's probabilities are those of all its windows together (see
/// [`evidence`]), which cover all its bases.
///
/// # Errors
/// The file is damaged or not FASTQ, the run is not a classification, or a file cannot be written; then no file is left
/// under its final name.
pub fn sort(model: Model, classes: &Classes, path: &Path, sorting: Sorting) -> Result<Sorted> {
    if !matches!(model.task.kind, TaskKind::Binary | TaskKind::Multiclass) {
        bail!(
            "--sort-reads needs a run that tells classes apart, and this one predicts labels or values; use another run"
        );
    }
    let (input, compression) = compression::open_detected(path)?;
    let compressed = compression != Compression::Plain;
    let names: Vec<&str> = classes.names.iter().map(String::as_str).chain([AMBIGUOUS]).collect();
    let paths: Vec<PathBuf> = names
        .iter()
        .map(|name| {
            let mut file = sorting.prefix.as_os_str().to_owned();
            // Class names are arbitrary; file names are not.
            let name: String =
                name.chars().map(|c| if c.is_alphanumeric() || "+-_.".contains(c) { c } else { '_' }).collect();
            file.push(format!(".{name}.fastq{}", if compressed { ".gz" } else { "" }));
            PathBuf::from(file)
        })
        .collect();
    for (i, file) in paths.iter().enumerate() {
        if paths[..i].contains(file) {
            bail!("{}: two classes would be written here; rename one", file.display());
        }
        run::check_output_file(file, sorting.force)?;
    }
    let mut records = Records::of_input(path, input)?;
    if matches!(records, Records::Fasta(_)) {
        bail!("{}: is FASTA, expected FASTQ for --sort-reads; predict without it scores FASTA", path.display());
    }
    let temporary: Vec<_> = paths.iter().map(|path| run::temporary_beside(path)).collect::<Result<_>>()?;
    let mut outs: Vec<Out> = temporary
        .iter()
        .map(|file| {
            let file = file.as_file().try_clone()?;
            Ok(if compressed {
                Out::Bgzf(bgzf::io::Writer::new(file))
            } else {
                Out::Plain(BufWriter::with_capacity(1 << 18, file))
            })
        })
        .collect::<std::io::Result<_>>()?;

    let mut counts = vec![0usize; outs.len()];
    let (mut too_short, mut unknown) = (0, 0);
    let (mut waiting, mut codes, mut padded) = (Waiting::default(), Vec::new(), Vec::new());
    let mut put = |class: usize, read: &fastq::Record| -> Result<()> {
        counts[class] += 1;
        outs[class].write(read).map_err(|error| run::cannot_write(&paths[class], &error))
    };
    while records.next_record()?.is_some() {
        records.read_whole(&mut codes)?;
        alphabet::without_case(&mut codes);
        let Some(read) = records.read() else { continue };
        let windows = if codes.len() >= model.length() {
            let starts = window_starts(codes.len(), model.length(), sorting.stride);
            let window = |start: usize| &codes[start..start + model.length()];
            let scored: Vec<usize> = starts.filter(|&start| !sorting.limit.is_exceeded_by(window(start))).collect();
            scored.iter().for_each(|&start| waiting.codes.extend_from_slice(window(start)));
            unknown += usize::from(scored.is_empty());
            evidence::window_weights(&scored, model.length())
        } else if sorting.short == Short::Pad && !codes.is_empty() {
            if sorting.limit.is_exceeded_by(&codes) {
                unknown += 1;
                Vec::new()
            } else {
                sequences::fit(&codes, model.length(), &mut padded);
                waiting.codes.extend_from_slice(&padded);
                vec![1.0]
            }
        } else {
            too_short += 1;
            Vec::new()
        };
        // Queued with the others, so that every file keeps the order of the reads.
        waiting.reads.push((read.clone(), windows));
        if waiting.codes.len() / model.length() >= model.batch_size() || waiting.reads.len() >= MOST_WAITING {
            waiting.decide(model, classes, sorting.min_confidence, &mut put)?;
        }
    }
    waiting.decide(model, classes, sorting.min_confidence, &mut put)?;

    for (out, path) in outs.into_iter().zip(&paths) {
        out.finish().map_err(|error| run::cannot_write(path, &error))?;
    }
    for (file, path) in temporary.into_iter().zip(&paths) {
        run::persist(file, path)?;
    }
    let names = names.into_iter().map(str::to_owned);
    Ok(Sorted {
        files: names.zip(paths).zip(counts).map(|((name, path), count)| (name, path, count)).collect(),
        too_short,
        unknown,
    })
}

/// Limit on the reads held, if most are too short to have a window.
const MOST_WAITING: usize = 4096;

impl Waiting {
    /// Scores the waiting reads and passes each to `put` with its class; the index after the last class is for
    /// ambiguous reads.
    fn decide(
        &mut self,
        model: Model,
        classes: &Classes,
        min_confidence: f64,
        put: &mut impl FnMut(usize, &fastq::Record) -> Result<()>,
    ) -> Result<()> {
        let logits = evaluate::logits_of_codes(model.scorer, &self.codes)?;
        let predictions = model.scorer.activation()(model.task, &logits)?;
        let (outputs, prior) = (model.task.outputs(), evidence::prior_of(model.task));
        let mut done = 0;
        for (read, weights) in self.reads.drain(..) {
            let rows = done * outputs..(done + weights.len()) * outputs;
            done += weights.len();
            let scores = match weights.len() {
                0 => Vec::new(),
                1 => predictions[rows].to_vec(), // to the last bit what scoring it alone gives
                _ => evidence::combined(model.task, &prior, &weights, &logits[rows]),
            };
            let of_classes = match scores[..] {
                [positive] if classes.positive == 0 => vec![positive, 1.0 - positive],
                [positive] => vec![1.0 - positive, positive],
                _ => scores,
            };
            let best = crate::metrics::classes::highest(&of_classes);
            let sure = !weights.is_empty() && of_classes[best] >= min_confidence;
            put(if sure { best } else { classes.names.len() }, &read)?;
        }
        self.codes.clear();
        Ok(())
    }
}

/// Window starts every `stride` bp, and one more that ends with the last base.
fn window_starts(bases: usize, length: usize, stride: usize) -> impl Iterator<Item = usize> {
    let last = bases - length;
    (0..last).step_by(stride).chain([last])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_reach_from_the_first_base_to_the_last() {
        let starts = |bases, stride| window_starts(bases, 50, stride).collect::<Vec<_>>();
        assert_eq!(starts(50, 50), [0]);
        assert_eq!(starts(60, 50), [0, 10]);
        assert_eq!(starts(150, 50), [0, 50, 100]);
        assert_eq!(starts(151, 50), [0, 50, 100, 101]);
    }
}
