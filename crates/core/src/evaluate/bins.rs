//! Predictions of each bin along the sequences, beside those of whole windows, which are the means over bins.

use std::fs::File;
use std::path::Path;

use anyhow::Result;

use crate::dataset::Classes;
use crate::dataset::examples::Examples;
use crate::format::{self, counted};
use crate::formats::npz::{Kind, Npz};
use crate::metrics::{self, Report, Resampling};
use crate::run;
use crate::sequence::bins::Bins;
use crate::task::Task;

/// What was predicted for each bin.
#[derive(Clone, Debug)]
pub struct OfBins {
    /// The bins of a sequence.
    pub of_each: Bins,
    /// Predictions, `[n, outputs, bins]`.
    pub predictions: Vec<f64>,
    /// Metrics over the bins of all examples together; those of one block of the genome are resampled together.
    pub report: Report,
}

impl OfBins {
    /// Of logits as they come out of the network.
    ///
    /// # Errors
    /// A prediction is not finite.
    pub fn new(
        task: &Task,
        classes: &Classes,
        examples: &Examples,
        logits: &[f32],
        of_each: Bins,
        resampling: &Resampling,
    ) -> Result<Self> {
        let predictions = task.activate_each(logits)?;
        let blocks = resampling.blocks.of_observations(of_each.count);
        let resampling = Resampling { blocks: &blocks, ..*resampling };
        let (values, found) = (task.values_of_bins(examples), task.by_bin(&predictions));
        let report = metrics::regression::report(&values, &found, &classes.names, &resampling);
        Ok(Self { of_each, predictions, report })
    }

    /// A line of the results table.
    pub fn line(&self) -> String {
        let value = |name| self.report.get(name).map_or("undefined".into(), |found| format::metric(found.value));
        format!(
            "of {} of {} bp each: Pearson correlation {}, Spearman correlation {}, R2 {}\n",
            counted(self.of_each.count as u64, "bin"),
            self.of_each.bp,
            value("pearson"),
            value("spearman"),
            value("r2")
        )
    }

    /// Writes `observed` and `predicted`, f32 `[n, outputs, bins]`, and the names of the examples as a file of NumPy arrays.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, examples: &Examples, path: &Path) -> Result<()> {
        let outputs = examples.width;
        let shape = vec![outputs, self.of_each.count];
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut arrays = Npz::new(folder, &[("observed", Kind::F32, shape.clone()), ("predicted", Kind::F32, shape)])?;
        for (i, found) in self.predictions.chunks(outputs * self.of_each.count).enumerate() {
            arrays.name(&examples.origins[i].name(""));
            let found: Vec<f32> = found.iter().map(|&value| value as f32).collect();
            for (key, values) in [("observed", examples.targets_of(i)), ("predicted", &found)] {
                arrays.push(key, values).map_err(|error| run::cannot_write(path, &error))?;
            }
        }
        run::write_through(path, |file: &mut File| arrays.finish(file))
    }
}
