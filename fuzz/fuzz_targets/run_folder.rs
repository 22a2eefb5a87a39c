//! Run folders: run.json and metrics.json, which are the two parts of the input. With libtorch they are read as `predict`,
//! `evaluate`, `export` and `train --init-from` do: beside them lie the weights of a small network, which whatever run.json
//! claims has to fit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strandnet_core::evaluate::results::RunMetrics;
use strandnet_core::network::plan::Plan;
use strandnet_core::run::{METRICS_JSON, RUN_JSON, RunFolder};
use strandnet_fuzz::{explained, folder, put, sections};

fuzz_target!(|input: &[u8]| {
    #[cfg(feature = "libtorch")]
    opened::lay_out_weights();
    let sections = sections(input);
    put(RUN_JSON, Some(sections[0]));
    put(METRICS_JSON, sections.get(1).copied());
    let Some((run, provenance)) = explained(RunFolder::open(folder())) else { return };
    explained(RunMetrics::read(&run.file(METRICS_JSON)));
    let classes = explained(provenance.classes());
    if let Some(task) = explained(provenance.task()) {
        let classes = classes.expect("a task has its classes");
        assert_eq!(classes.names.len(), task.count);
        assert!(classes.positive < task.count);
        let model = &provenance.config.model;
        explained(Plan::new(model, provenance.length, task.outputs(), provenance.config.training.strands));
        #[cfg(feature = "libtorch")]
        opened::check_evaluation(&run, &provenance.config.data, &task, &classes);
    }
    #[cfg(feature = "libtorch")]
    opened::check_scores();
});

/// What of it needs libtorch.
#[cfg(feature = "libtorch")]
mod opened {
    use std::sync::OnceLock;

    use clap::{ArgMatches, Args, Command, FromArgMatches};
    use strandnet::commands::{FinishedRun, open_run};
    use strandnet::model::head::Head;
    use strandnet::model::{Network, ensemble, weights};
    use strandnet_core::cli::EvaluationData;
    use strandnet_core::config::{Architecture, DataConfig, ModelConfig, Strands};
    use strandnet_core::dataset::Classes;
    use strandnet_core::dataset::manifest::Learned;
    use strandnet_core::evaluate::results::threshold_of;
    use strandnet_core::run::{RunFolder, WEIGHTS};
    use strandnet_core::task::Task;
    use strandnet_fuzz::{explained, folder};

    /// Fragments that are scored at all: longer ones rightly take long.
    const LONGEST_SCORED: usize = 1000;

    /// Of all that a network computes for one of them.
    const MOST_MULTIPLY_ADDS: usize = 10_000_000;

    /// `evaluate` with nothing but the run.
    fn no_flags() -> &'static (EvaluationData, ArgMatches) {
        static FLAGS: OnceLock<(EvaluationData, ArgMatches)> = OnceLock::new();
        FLAGS.get_or_init(|| {
            let command = EvaluationData::augment_args(Command::new("evaluate"));
            let matches = command.get_matches_from(["evaluate"]);
            (EvaluationData::from_arg_matches(&matches).expect("no flag is needed"), matches)
        })
    }

    pub fn lay_out_weights() {
        static DONE: OnceLock<()> = OnceLock::new();
        DONE.get_or_init(|| {
            tch::set_num_threads(1);
            let config =
                ModelConfig { arch: Architecture::Shallow, filters: Some(2), width: Some(8), ..ModelConfig::default() };
            let network = Network::new(&config, 64, 1, Strands::Single, tch::Device::Cpu, 1).unwrap();
            weights::save(&[&network], &[1], &folder().join(WEIGHTS)).unwrap();
        });
    }

    /// `evaluate` on what the run names.
    pub fn check_evaluation(run: &RunFolder, own: &DataConfig, task: &Task, classes: &Classes) {
        explained(threshold_of(run, task));
        let (evaluation, _) = no_flags();
        if let Err(faults) = evaluation.over(own, classes) {
            assert!(!faults.to_string().is_empty());
        }
        evaluation.assignment(own, &Learned::default());
    }

    /// Opens the run as a finished one and scores two fragments.
    pub fn check_scores() {
        let Some(FinishedRun { provenance, classes, ensemble: networks, .. }) =
            explained(open_run(folder(), tch::Device::Cpu, false))
        else {
            return;
        };
        let (length, task) = (provenance.length, provenance.task().expect("an opened run has a task"));
        assert_eq!(networks.len(), provenance.config.training.ensemble);
        assert_eq!(classes.names.len(), task.count);
        if length <= LONGEST_SCORED && networks[0].plan.multiply_adds() <= MOST_MULTIPLY_ADDS {
            let codes: Vec<u8> = (0..2 * length).map(|i| (i * i % 5) as u8).collect();
            let logits = ensemble::logits(&networks, &codes);
            let outputs = task.outputs() as i64;
            assert_eq!(logits.size(), [2, outputs]);
            let predictions = Head::new(&task, tch::Device::Cpu).predictions(&logits);
            assert_eq!(predictions.size(), [2, outputs]);
            let least = predictions.min().double_value(&[]);
            assert!(!least.is_nan(), "a prediction is no number");
        }
    }
}
