//! Counts of a control experiment around windows of a genome.

use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::config::ControlTrack;
use crate::genome::Genome;
use crate::genome::interval::Interval;
use crate::genome::names::NameIndex;
use crate::genome::signal::Signal;
use crate::progress::Progress;
use crate::sequence::profile::ProfileShape;

/// The files of a control, of one track or of each strand.
pub struct Control {
    files: Vec<Signal>,
    index: NameIndex,
    /// Length of each chromosome, in bp.
    chromosomes: Vec<usize>,
}

impl Control {
    /// Opens the files for a genome. Each has up to `memory` bytes of values in memory.
    ///
    /// # Errors
    /// A file is missing, damaged or of another genome, or holds both signs.
    pub fn open(track: &ControlTrack, genome: &Genome, memory: u64, progress: &Progress) -> Result<Self> {
        let open = |path: &PathBuf| {
            let signal = Signal::open(path, genome, memory)?.as_counts()?;
            signal.notices.iter().for_each(|notice| progress.say(notice));
            Ok::<_, anyhow::Error>(signal)
        };
        let chromosomes = &genome.chromosomes;
        Ok(Self {
            files: track.paths().map(open).collect::<Result<_>>()?,
            index: NameIndex::new(chromosomes.iter().map(|chromosome| chromosome.name.as_str())),
            chromosomes: chromosomes.iter().map(|chromosome| chromosome.length).collect(),
        })
    }

    /// Number of its tracks.
    pub fn tracks(&self) -> usize {
        self.files.len()
    }

    /// Its counts around the middle of a window of a chromosome of this name, as [`Control::read`] gives them.
    ///
    /// # Errors
    /// The genome has no such chromosome, or as of [`Control::read`].
    pub fn of_name(&self, shape: &ProfileShape, name: &str, range: Range<usize>, reverse: bool) -> Result<Vec<f32>> {
        let Some(chromosome) = self.index.find(name) else {
            bail!("the genome has no chromosome '{name}' whose control can be read; give the same file as --reference")
        };
        let mut counts = vec![0.0; shape.control_values()];
        self.read(shape, &Interval { chromosome, range }, reverse, &mut counts)?;
        Ok(counts)
    }

    /// Its counts `[control, control_length]` around the middle of a window, in the direction of its strand. Beyond the ends of a
    /// chromosome there are none; `out` holds 0.
    ///
    /// # Errors
    /// A file cannot be read again, or its counts do not add up to a number.
    pub fn read(&self, shape: &ProfileShape, window: &Interval, reverse: bool, out: &mut [f32]) -> Result<()> {
        let length = shape.control_length();
        let middle = (window.range.start + window.range.end) / 2;
        let start = middle as i64 - (length / 2) as i64;
        let there = start.max(0) as usize..self.chromosomes[window.chromosome].min((start + length as i64) as usize);
        let first = (there.start as i64 - start) as usize;
        for (file, out) in self.files.iter().zip(out.chunks_mut(length)) {
            file.finite_values(window.chromosome, there.clone(), &mut out[first..first + there.len()])?;
        }
        if reverse {
            out.reverse();
        }
        Ok(())
    }
}
