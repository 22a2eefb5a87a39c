//! The folder of a search, as `tune` goes on with it. The input is a TOML file with a table `search`, then tune.json, then
//! trials.csv. A search that its own rows lead to the end of is written and read as the same.
#![no_main]

use std::cell::Cell;
use std::sync::OnceLock;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use libfuzzer_sys::fuzz_target;
use strandnet_core::config::Config;
use strandnet_core::config::search::Search;
use strandnet_core::figures::tuning::table;
use strandnet_core::run::{Build, TRIALS_CSV, TUNE_JSON};
use strandnet_core::tune::plan::Plan;
use strandnet_core::tune::trials::{self, Outcome, Row};
use strandnet_core::tune::{Tuning, halving, sampling};
use strandnet_fuzz::{explained, put, sections};

const TRIALS: usize = 5;
const RUNGS: usize = 3;
const ETA: usize = 2;

/// Experiments that are resolved of one input, a millisecond each; after that all values go together.
const MOST_RESOLVED: usize = 3;

fn no_flags() -> &'static (Config, ArgMatches) {
    static FLAGS: OnceLock<(Config, ArgMatches)> = OnceLock::new();
    FLAGS.get_or_init(|| {
        let matches = Config::augment_args(Command::new("tune")).get_matches_from(["tune"]);
        (Config::from_arg_matches(&matches).expect("no flag is needed"), matches)
    })
}

fn without_time(rows: &[Row]) -> Vec<Row> {
    rows.iter().map(|row| Row { seconds: 0.0, ..row.clone() }).collect()
}

fuzz_target!(|input: &[u8]| {
    let sections = sections(input);
    let file = put("experiment.toml", Some(sections[0]));
    let (flags, matches) = no_flags();
    let Ok(config) = Config::resolve(Some(&file), flags, matches) else { return };
    // Whose checksums would be taken.
    if !config.data.paths().is_empty() {
        return;
    }
    let search = match Search::read(&file) {
        Ok(found) => found.unwrap_or_else(Search::usual),
        Err(faults) => return assert!(!faults.0.is_empty() && !faults.to_string().contains('\n')),
    };
    let resolved = Cell::new(0);
    let resolve = |sampled: &toml::Table| {
        resolved.set(resolved.get() + 1);
        if resolved.get() > MOST_RESOLVED {
            return Ok(config.clone());
        }
        Config::resolve_with(Some(&file), flags, matches, sampled)
    };
    let trials = match sampling::trials(&search, TRIALS, config.training.seed, resolve) {
        Ok(trials) => trials,
        Err(faults) => return assert!(!faults.0.is_empty() && !faults.to_string().is_empty()),
    };
    let rungs = halving::rungs(trials.len(), config.training.epochs, RUNGS, ETA);

    let build = Build { version: "0", git_revision: "", libtorch: "" };
    let plan = Plan::new(&config, &search, (trials.len(), RUNGS, ETA), build).unwrap();
    let own = serde_json::to_vec_pretty(&plan).unwrap();
    plan.check_same(&put(TUNE_JSON, Some(&own))).unwrap();
    if let Some(found) = sections.get(1) {
        explained(plan.check_same(&put(TUNE_JSON, Some(found))));
    }

    let path = put(TRIALS_CSV, sections.get(2).copied());
    let mut tuning = Tuning { search, trials, rungs, rows: Vec::new() };
    if let Some(rows) = explained(trials::read(&path, &tuning.search)) {
        put(TRIALS_CSV, Some(&trials::write(&tuning.search, &rows).unwrap()));
        let again = trials::read(&path, &tuning.search).unwrap();
        assert_eq!(without_time(&again), without_time(&rows));
        tuning.rows = rows;
    }
    if explained(tuning.open_runs()).is_none() {
        tuning.rows.clear();
    }
    while let Some(&run) = tuning.open_runs().expect("rows that the search comes to are its own").first() {
        tuning.config_of(run);
        let outcome = match run.trial * 7 % 5 {
            0 => Outcome::Failed("diverged".into()),
            score => Outcome::Done { score: score as f64 / 10.0, best_epoch: run.epochs },
        };
        let hyperparameters = tuning.trial(run.trial).texts();
        tuning.rows.push(Row { run, hyperparameters, metric: "auroc".into(), outcome, seconds: 1.0 });
        assert!(tuning.rows.len() <= TRIALS * RUNGS);
    }
    put(TRIALS_CSV, Some(&trials::write(&tuning.search, &tuning.rows).unwrap()));
    assert_eq!(without_time(&trials::read(&path, &tuning.search).unwrap()), without_time(&tuning.rows));
    table(&tuning);
    if let Some(best) = tuning.best().first() {
        let saved = put("best.toml", Some(tuning.config_of_row(best).to_toml().as_bytes()));
        Config::resolve(Some(&saved), flags, matches).expect("the best settings are settings");
    }
});
