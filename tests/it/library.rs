//! The front door of the library: `Trainer` and `Model`, without the command line.

use anyhow::Result;
use strandnet::config::{Architecture, BatchSize, Config};
use strandnet::dataset::{self, Dataset, LoadRequest};
use strandnet::progress::Progress;
use strandnet::train::hooks::{Decision, Hook};
use strandnet::training::history::Epoch;
use strandnet::{Device, Model, Trainer};

use crate::fixtures::Folder;

/// A small demo: the shallow network on a thousand fragments.
fn small() -> (Config, Dataset) {
    let mut config = Config::default();
    config.model.arch = Architecture::Shallow;
    (config.data.fragments, config.data.test_fragments) = (1000, 200);
    (config.training.epochs, config.training.batch_size) = (4, BatchSize::Of(64));
    let data = dataset::load(&LoadRequest::new(&config.data, 1, &Progress::Quiet)).unwrap();
    (config, data)
}

#[test]
fn a_trained_model_scores_as_its_run_folder_does() {
    let (config, data) = small();
    let folder = Folder::new();
    let path = folder.path("run");
    let run = Trainer::new(config).in_folder(&path).fit(&data).unwrap();
    assert_eq!(run.folder.as_ref().unwrap().path, path);
    assert!(run.report.contains("auroc") && run.summary.history.len() == 4, "{}", run.report);

    let loaded = Model::load(&path, Device::Cpu).unwrap();
    let sequences = ["ACGT".repeat(32), "GGCA".repeat(32)];
    let scores = loaded.predict(&sequences).unwrap();
    assert_eq!(scores, run.model.predict(&sequences).unwrap());
    assert_eq!((scores.len(), scores.row(0).len()), (2, 1));
    assert_eq!(loaded.threshold(), run.model.threshold());
    assert_eq!(loaded.output_names(), ["human"]);
    let attributions = loaded.attributions(&sequences[0], None).unwrap();
    assert_eq!(attributions.attributions.len(), 4 * loaded.length());
    assert!(attributions.error() < 0.01, "{}", attributions.error());
}

#[test]
fn a_sequence_that_does_not_fit_is_named() {
    let (config, data) = small();
    let model = Trainer::new(config).fit(&data).unwrap().model;
    let error = |sequences: &[&str]| format!("{:#}", model.predict(sequences).unwrap_err());
    let right = "ACGT".repeat(32);
    assert_eq!(error(&[&right, "ACGT"]), "sequence 2: has 4 bases, expected 128, the model's length; pad or cut it");
    let wrong = right.replacen('A', "!", 1);
    assert!(error(&[&wrong]).starts_with("sequence 1: "), "{}", error(&[&wrong]));
}

/// Stops after an epoch, or within it after a batch.
struct StopAfter {
    epoch: usize,
    batch: Option<usize>,
}

impl Hook for StopAfter {
    fn after_step(&mut self, epoch: usize, batch: usize) -> Result<Decision> {
        let is_due = epoch == self.epoch && self.batch == Some(batch);
        Ok(if is_due { Decision::Stop } else { Decision::Continue })
    }

    fn after_epoch(&mut self, epoch: &Epoch) -> Result<Decision> {
        Ok(if epoch.epoch == self.epoch { Decision::Stop } else { Decision::Continue })
    }
}

#[test]
fn a_hook_ends_training_after_an_epoch_or_within_it() {
    for (batch, epochs) in [(None, 2), (Some(3), 2)] {
        let (config, data) = small();
        let run = Trainer::new(config).with_hook(StopAfter { epoch: 2, batch }).fit(&data).unwrap();
        assert_eq!(run.summary.history.len(), epochs, "{batch:?}");
        assert!((1..=2).contains(&run.summary.best_epochs[0]));
    }
}

#[test]
fn a_folder_that_exists_is_refused_before_training() {
    let (config, data) = small();
    let folder = Folder::new();
    std::fs::create_dir(folder.path("run")).unwrap();
    folder.write("run/notes.txt", "mine");
    let error = Trainer::new(config).in_folder(folder.path("run")).fit(&data).err().unwrap().to_string();
    assert!(error.contains("run"), "{error}");
}
