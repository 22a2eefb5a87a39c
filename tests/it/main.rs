//! The real binary through its command line, and numbers held against other programs.

mod bad_input;
mod baselines;
mod classes;
mod data;
mod ensembles;
mod explain;
mod fine_tuning;
mod golden;
mod inputs;
mod inspect;
mod memory;
mod model;
mod pytorch;
mod questions;
mod reads;
mod regions;
mod results;
mod resume;
mod runs;
mod support;
mod torture;
mod training;
mod tune;
mod usage;
mod verify;
