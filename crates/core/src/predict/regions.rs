//! Scores of regions of a genome: a row for each in the order of its file, or those that have one in the order of the genome.

use std::sync::Arc;

use anyhow::Result;

use crate::genome::reference::RegionWindows;
use crate::predict::output::{RegionRow, Row, Rows};
use crate::predict::unknown_limit::UnknownLimit;
use crate::predict::{Batcher, Counts, Model, Sink, Writer};

/// Scores one window for each region. A table has a row for every line that stands for a region, in the order of the
/// file; tracks have the windows that are scored, sorted by position.
///
/// # Errors
/// The genome cannot be read, the scorer fails, or the rows cannot be written.
pub fn predict_regions(model: Model, regions: &RegionWindows, limit: UnknownLimit, rows: &mut Rows) -> Result<Counts> {
    let counts = if rows.is_table() {
        let mut scores = Scores::new(regions, model.task.outputs());
        let counts = score(model, regions, limit, false, &mut |_, found| scores.keep(found))?;
        scores.write(regions, rows)?;
        counts
    } else {
        score(model, regions, limit, rows.are_of_bins(), &mut |row, found| rows.write(row, found))?
    };
    rows.finish()?;
    Ok(counts)
}

/// Hands the windows to `sink` in the order of the genome, in which they are read fastest.
fn score(model: Model, regions: &RegionWindows, limit: UnknownLimit, of_bins: bool, sink: Sink) -> Result<Counts> {
    std::thread::scope(|scope| {
        let mut batcher = Batcher::new(model, Writer::new(scope, sink, model, of_bins));
        let mut counts = Counts { sequences: regions.file.all(), skipped: regions.left_out.all(), ..Counts::default() };
        let mut codes = Vec::new();
        for window in &regions.windows {
            regions.codes(window, &mut codes)?;
            let row = Row {
                name: regions.chromosome(window),
                range: window.interval.range.clone(),
                reverse: window.reverse,
                region: Some(window.name.clone().unwrap_or_else(|| ".".into())),
            };
            if limit.is_exceeded_by(&codes) {
                counts.unknown += 1;
                batcher.push_unscored(row)?;
            } else {
                batcher.push(&codes, row, 0)?;
            }
        }
        counts.windows = batcher.finish()?;
        Ok(counts)
    })
}

/// The scores of all regions, until they are written in the order of the file.
struct Scores {
    outputs: usize,
    /// `[regions, outputs]`, in the order of the file; not a number where there is none.
    numbers: Vec<f32>,
    /// Index of the region of each window, in the order in which they are scored, and how many were.
    regions: Vec<usize>,
    kept: usize,
}

impl Scores {
    fn new(windows: &RegionWindows, outputs: usize) -> Self {
        let numbers = vec![f32::NAN; windows.file.regions.len() * outputs];
        Self { outputs, numbers, regions: windows.windows.iter().map(|window| window.region).collect(), kept: 0 }
    }

    /// Keeps the scores of the next window.
    fn keep(&mut self, scores: Option<&[f64]>) -> Result<()> {
        let region = self.regions[self.kept];
        self.kept += 1;
        let numbers = &mut self.numbers[region * self.outputs..(region + 1) * self.outputs];
        numbers.iter_mut().zip(scores.unwrap_or_default()).for_each(|(number, score)| *number = *score as f32);
        Ok(())
    }

    /// Writes a row for each line of the file that stands for a region.
    fn write(self, windows: &RegionWindows, rows: &mut Rows) -> Result<()> {
        let file = &windows.file;
        let mut window_of = vec![None; file.regions.len()];
        self.regions.iter().zip(&windows.windows).for_each(|(&region, window)| window_of[region] = Some(window));
        let mut unreadable = file.unreadable.iter().peekable();
        for (i, region) in file.regions.iter().enumerate() {
            while let Some(line) = unreadable.next_if(|line| line.line < region.line) {
                rows.write_region(&RegionRow::unreadable(&line.columns))?;
            }
            let numbers = &self.numbers[i * self.outputs..(i + 1) * self.outputs];
            let name: Arc<str> = windows.name_in_genome(&region.chromosome);
            rows.write_region(&RegionRow {
                name: &name,
                window: window_of[i].map(|window| window.interval.range.clone()),
                reverse: region.reverse,
                scores: Some(numbers).filter(|numbers| numbers.iter().all(|number| !number.is_nan())),
                region: region.name.as_deref(),
                columns: [&region.chromosome, &region.start, &region.end],
            })?;
        }
        unreadable.try_for_each(|line| rows.write_region(&RegionRow::unreadable(&line.columns)))
    }
}
