//! Streamed scoring in constant memory: long sequences in windows, and one window for each region of a genome.

pub mod evidence;
pub mod out_of_fold;
pub mod output;
pub mod prior;
mod regions;
pub mod sorting;
pub mod unknown_limit;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::thread::{Scope, ScopedJoinHandle};

use anyhow::{Result, bail};

use crate::dataset::sequences;
use crate::evaluate;
use crate::format;
use crate::formats::records::Records;
use crate::genome::control::Control;
use crate::genome::names::is_same_name;
use crate::predict::out_of_fold::OutOfFold;
use crate::predict::output::{Row, Rows};
pub use crate::predict::regions::predict_regions;
use crate::predict::unknown_limit::UnknownLimit;
use crate::scorer::{Activation, Pending, Scorer};
use crate::sequence::alphabet;
use crate::sequence::profile::ProfileShape;
use crate::task::Task;

/// How sequences are cut into windows.
#[derive(Clone, Debug)]
pub struct Windowing {
    /// Distance between window starts, in bp.
    pub stride: usize,
    /// What to do with sequences shorter than the network's length.
    pub short: Short,
    /// The records to score; all if none is named.
    pub chosen: Vec<String>,
    /// Unknown bases that a window may hold to be scored, padding aside.
    pub limit: UnknownLimit,
}

/// What to do with sequences shorter than the network's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// Report an error that names the first one.
    Stop,
    /// Leave them out and count them.
    Skip,
    /// Pad them with unknown bases at both ends.
    Pad,
}

/// Number of sequences and windows of a prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records or regions read, including those skipped.
    pub sequences: usize,
    /// Windows scored.
    pub windows: usize,
    /// Sequences that are too short, or regions that have no window.
    pub skipped: usize,
    /// Windows with more unknown bases than their limit, which are not scored.
    pub unknown: usize,
}

/// A network with its task.
#[derive(Clone, Copy)]
pub struct Model<'a> {
    /// The network, which gives logits.
    pub scorer: &'a dyn Scorer,
    /// The task, which turns logits into predictions.
    pub task: &'a Task,
    /// Counts of a control in the genome that is scored, and the profiles that they have a part in.
    control: Option<(&'a Control, &'a ProfileShape)>,
    /// Networks of folds that score instead, each window by those that did not see its chromosome.
    out_of_fold: Option<&'a OutOfFold<'a>>,
}

impl<'a> Model<'a> {
    /// A network that scores sequences alone.
    pub fn new(scorer: &'a dyn Scorer, task: &'a Task) -> Self {
        Self { scorer, task, control: None, out_of_fold: None }
    }

    /// Adds the part of a control, where the network has one.
    pub fn with_control(self, control: Option<&'a Control>) -> Self {
        let shape = self.task.profile.as_ref().map(|profile| &profile.shape);
        Self { control: control.zip(shape), ..self }
    }

    /// Scores each window by the networks of folds that did not see its chromosome, if there are some.
    pub fn with_out_of_fold(self, out_of_fold: Option<&'a OutOfFold<'a>>) -> Self {
        Self { out_of_fold, ..self }
    }

    /// Predictions for codes `[n, length]`, `[n, outputs]`.
    ///
    /// # Errors
    /// As [`evaluate::predict`].
    pub fn predict(&self, codes: &[u8]) -> Result<Vec<f64>> {
        evaluate::predict(self.scorer, self.task, codes)
    }

    /// Length of a window, in bp.
    pub fn length(&self) -> usize {
        self.scorer.length()
    }

    /// Number of windows scored at a time.
    pub fn batch_size(&self) -> usize {
        evaluate::batch_size(self.length())
    }
}

/// What takes each row with its scores `[outputs]`, or `[outputs, bins]`, if it has any.
type Sink<'a> = &'a mut (dyn FnMut(&Row, Option<&[f64]>) -> Result<()> + Send);

/// Rows of a batch, each with whether it is scored, and the scores of those that are.
type Scored = (Vec<(Row, bool)>, Option<Pending>);

/// Number of batches that may wait to be written.
const WAITING: usize = 4;

/// Waits for scores and writes them on its own thread, while the network scores the next batch.
struct Writer<'scope> {
    rows: Option<SyncSender<Scored>>,
    thread: Option<ScopedJoinHandle<'scope, Result<()>>>,
}

impl<'scope> Writer<'scope> {
    /// Hands scores `[outputs]` to the sink, or with `of_bins` those of each bin, `[outputs, bins]`.
    fn new<'env>(scope: &'scope Scope<'scope, 'env>, sink: Sink<'env>, model: Model<'env>, of_bins: bool) -> Self {
        let task = model.task;
        let (activation, numbers): (Activation, usize) = match of_bins {
            true => (Task::activate_each, task.network_outputs().numbers()),
            false => (model.scorer.activation(), task.outputs()),
        };
        let (sender, receiver) = mpsc::sync_channel::<Scored>(WAITING);
        let thread = scope.spawn(move || {
            for (batch, scores) in receiver {
                let scores = match scores {
                    Some(scores) => activation(task, scores.wait()?.logits())?,
                    None => Vec::new(),
                };
                let mut scores = scores.chunks(numbers);
                for (row, is_scored) in &batch {
                    sink(row, if *is_scored { scores.next() } else { None })?;
                }
            }
            Ok(())
        });
        Self { rows: Some(sender), thread: Some(thread) }
    }

    /// Queues a batch.
    ///
    /// # Errors
    /// A score of an earlier batch is not finite, or could not be written.
    fn write(&mut self, scored: Scored) -> Result<()> {
        let stopped = self.rows.as_ref().is_none_or(|rows| rows.send(scored).is_err());
        if stopped { self.finish() } else { Ok(()) }
    }

    /// Waits until everything is written.
    fn finish(&mut self) -> Result<()> {
        self.rows.take();
        let written = self.thread.take().map(ScopedJoinHandle::join);
        written.map_or(Ok(()), |written| written.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

/// Windows waiting to be scored, with the place of their scores.
struct Batcher<'a, 'scope> {
    model: Model<'a>,
    writer: Writer<'scope>,
    /// Codes of all windows; overlapping windows of a record share them.
    codes: Vec<u8>,
    starts: Vec<usize>,
    /// Counts of the control of each window, `[n, control, control_length]`; none without a control.
    control: Vec<f32>,
    /// Each with whether it is among those to be scored.
    waiting: Vec<(Row, bool)>,
    /// Folds whose networks score what is waiting, where networks of folds do.
    folds: Vec<usize>,
    scored: usize,
}

impl<'a, 'scope> Batcher<'a, 'scope> {
    fn new(model: Model<'a>, writer: Writer<'scope>) -> Self {
        let (codes, starts, control, waiting) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { model, writer, codes, starts, control, waiting, folds: Vec::new(), scored: 0 }
    }

    /// Adds the codes, with case, of a window, of which the first `shared` are the end of the previous window.
    fn push(&mut self, codes: &[u8], row: Row, shared: usize) -> Result<()> {
        if let Some(out_of_fold) = self.model.out_of_fold {
            let folds = out_of_fold.folds_of_record(&row.name, row.range.len())?;
            if folds.is_empty() {
                return self.push_unscored(row);
            }
            if folds != self.folds {
                self.flush()?;
                self.folds = folds;
            }
        }
        let shared = if self.starts.is_empty() { 0 } else { shared };
        let start = self.codes.len();
        self.starts.push(start - shared);
        self.codes.extend_from_slice(&codes[shared..]);
        alphabet::without_case(&mut self.codes[start..]);
        if let Some((control, shape)) = self.model.control {
            self.control.extend(control.of_name(shape, &row.name, row.range.clone(), row.reverse)?);
        }
        self.waiting.push((row, true));
        self.flush_if_full()
    }

    /// Adds a window that has no score.
    fn push_unscored(&mut self, row: Row) -> Result<()> {
        self.waiting.push((row, false));
        self.flush_if_full()
    }

    fn flush_if_full(&mut self) -> Result<()> {
        if self.waiting.len() == self.model.batch_size() { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let scores = match self.starts.len() {
            0 => None,
            n => {
                let scores = match self.model.out_of_fold {
                    Some(networks) => networks.submit_windows(&self.folds, &self.codes, &self.starts)?,
                    None => self.model.scorer.submit_windows(&self.codes, &self.starts)?,
                };
                Some(match self.model.control {
                    Some((_, shape)) => {
                        let mut part = vec![0.0; n * shape.outputs()];
                        match self.model.out_of_fold {
                            Some(networks) => networks.add_control(&self.folds, &self.control, &mut part)?,
                            None => self.model.scorer.add_control(&self.control, &mut part)?,
                        }
                        scores.plus(part)
                    }
                    None => scores,
                })
            }
        };
        self.scored += self.starts.len();
        self.writer.write((std::mem::take(&mut self.waiting), scores))?;
        self.codes.clear();
        self.starts.clear();
        self.control.clear();
        Ok(())
    }

    /// Scores the remaining windows, and waits until everything is written.
    fn finish(mut self) -> Result<usize> {
        self.flush()?;
        self.writer.finish()?;
        Ok(self.scored)
    }
}

/// Scores every window of the records of `path`, FASTA or FASTQ.
///
/// # Errors
/// The file is damaged, a sequence is too short, a chosen record is missing, or the output cannot be written.
pub fn predict(model: Model, path: &Path, windowing: &Windowing, rows: &mut Rows) -> Result<Counts> {
    let of_bins = rows.are_of_bins();
    let mut write = |row: &Row, scores: Option<&[f64]>| rows.write(row, scores);
    let counts = std::thread::scope(|scope| {
        predict_records(Batcher::new(model, Writer::new(scope, &mut write, model, of_bins)), path, windowing)
    })?;
    rows.finish()?;
    Ok(counts)
}

fn predict_records(mut batcher: Batcher, path: &Path, windowing: &Windowing) -> Result<Counts> {
    let length = batcher.model.length();
    let mut records = Records::open(path)?;
    let mut counts = Counts::default();
    let mut found = vec![false; windowing.chosen.len()];
    let mut padded = Vec::new();
    while let Some(name) = records.next_record()? {
        if !windowing.chosen.is_empty() {
            let mut is_chosen = false;
            for (chosen, found) in windowing.chosen.iter().zip(&mut found) {
                if is_same_name(chosen, &name) {
                    (is_chosen, *found) = (true, true);
                }
            }
            if !is_chosen {
                continue;
            }
        }
        let record: Arc<str> = format::field(&name).into();
        // `held` is the part of the sequence still needed, from position `held_from` on; the next window starts at
        // `next`.
        let (mut held, mut held_from, mut next): (Vec<u8>, usize, usize) = (Vec::new(), 0, 0);
        // Whether the previous window is in the batcher, so that the next can share its codes.
        let mut is_next = false;
        while let Some(piece) = records.next_piece()? {
            held.extend_from_slice(piece);
            while next + length <= held_from + held.len() {
                let window = &held[next - held_from..next - held_from + length];
                let row = Row::of_record(&record, next..next + length);
                if windowing.limit.is_exceeded_by(window) {
                    counts.unknown += 1;
                    batcher.push_unscored(row)?;
                    is_next = false;
                } else {
                    let shared = if is_next { length.saturating_sub(windowing.stride) } else { 0 };
                    batcher.push(window, row, shared)?;
                    is_next = true;
                }
                next += windowing.stride;
            }
            let used = (next - held_from).min(held.len());
            held.drain(..used);
            held_from += used;
        }
        counts.sequences += 1;
        if next == 0 {
            match windowing.short {
                Short::Stop => bail!(
                    "{}: record '{name}' has {} bases, expected {length} or more, the network's length; lengthen it or add --skip-short or --pad-short",
                    path.display(),
                    held.len()
                ),
                Short::Pad if !held.is_empty() => {
                    let row = Row::of_record(&record, 0..held.len());
                    if windowing.limit.is_exceeded_by(&held) {
                        counts.unknown += 1;
                        batcher.push_unscored(row)?;
                    } else {
                        sequences::fit(&held, length, &mut padded);
                        batcher.push(&padded, row, 0)?;
                    }
                }
                Short::Pad | Short::Skip => counts.skipped += 1,
            }
        }
    }
    if let Some((name, _)) = windowing.chosen.iter().zip(found).find(|(_, found)| !found) {
        bail!("{}: has no record '{name}', expected it as --chroms names it; correct the name", path.display());
    }
    counts.windows = batcher.finish()?;
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ScoreFormat;
    use crate::config::{ClassWeights, TaskKind};
    use crate::dataset::Classes;
    use crate::dataset::examples::Examples;
    use crate::scorer::Scores;

    /// Rows of the table as (name, start, end, score).
    fn rows(text: &[u8]) -> Vec<(String, usize, usize, f64)> {
        let text = std::str::from_utf8(text).unwrap();
        assert!(text.starts_with("name\tstart\tend\tstrand\tscore\n"));
        text.lines()
            .skip(1)
            .map(|line| {
                let f: Vec<&str> = line.split('\t').collect();
                (f[0].into(), f[1].parse().unwrap(), f[2].parse().unwrap(), f[4].parse().unwrap())
            })
            .collect()
    }

    /// A logit that depends on every base and its position.
    struct Weights;

    impl Scorer for Weights {
        fn length(&self) -> usize {
            50
        }

        fn submit(&self, codes: &[u8]) -> Result<Pending> {
            let logit = |codes: &[u8]| {
                let of =
                    |(position, &code): (usize, &u8)| ((position * 31 + usize::from(code) * 17) % 23) as f32 - 11.0;
                codes.iter().enumerate().map(of).sum::<f32>() / 50.0
            };
            Ok(Pending::ready(Scores::of_logits(codes.chunks(50).map(logit).collect(), 1)))
        }
    }

    #[test]
    fn windows_stand_where_the_stride_puts_them_and_score_as_they_do_alone() {
        let classes = Classes::named(vec!["a".into(), "b".into()]);
        let labels = Examples::from_codes(&[0; 4], 2, &[0.0, 1.0]);
        let task = Task::new(TaskKind::Binary, &classes, None, &ClassWeights::None, &labels).unwrap();
        let model = Model::new(&Weights, &task);
        let bases: String = (0..333).map(|i| b"ACGTN"[(i * i + i / 7) % 5] as char).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.fa");
        // Lines of odd lengths, so that windows lie across them, and case that must not matter.
        let lines: Vec<String> = (0..333)
            .step_by(37)
            .map(|i| bases[i..(i + 37).min(333)].to_owned())
            .enumerate()
            .map(|(i, line)| if i % 2 == 0 { line.to_lowercase() } else { line })
            .collect();
        let text = format!(">long words after\n{}\n>short\nACGT\n>exact\n{}\n", lines.join("\n"), &bases[..50]);
        std::fs::write(&path, text).unwrap();
        let run = |stride, short, chosen: &[&str]| {
            let mut out = Vec::new();
            let chosen = chosen.iter().map(|name| (*name).to_owned()).collect();
            let windowing = Windowing { stride, short, chosen, limit: UnknownLimit::of(50) };
            let mut sink = Rows::new(&mut out, ScoreFormat::Tsv, &task, &classes, None, stride, false).unwrap();
            predict(model, &path, &windowing, &mut sink).map(|counts| (counts, rows(&out)))
        };
        for stride in [1, 7, 50, 120, 1000] {
            let (counts, rows) = run(stride, Short::Skip, &[]).unwrap();
            let starts: Vec<usize> = rows.iter().filter(|row| row.0 == "long").map(|row| row.1).collect();
            assert_eq!(starts, (0..=333 - 50).step_by(stride).collect::<Vec<_>>());
            assert_eq!(counts, Counts { sequences: 3, windows: starts.len() + 1, skipped: 1, unknown: 0 });
            for (_, start, end, score) in rows.iter().filter(|row| row.0 == "long") {
                let mut codes = Vec::new();
                alphabet::encode(&bases.as_bytes()[*start..*end], &mut codes).unwrap();
                let alone = model.predict(&codes).unwrap()[0];
                assert!((alone - score).abs() < 1e-6);
            }
        }
        let (counts, padded) = run(50, Short::Pad, &["short"]).unwrap();
        assert_eq!((counts.windows, &padded[0].0, padded[0].2), (1, &"short".to_owned(), 4));
        let error = run(50, Short::Stop, &[]).unwrap_err().to_string();
        assert!(error.contains("'short' has 4 bases"), "{error}");
        let error = run(50, Short::Skip, &["absent"]).unwrap_err().to_string();
        assert!(error.contains("no record 'absent'"), "{error}");
    }
}
