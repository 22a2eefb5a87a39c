//! The real binary through its command line, and numbers held against other programs.

mod bad_input;
mod baselines;
mod classes;
mod data;
mod golden;
mod inputs;
mod inspect;
mod model;
mod pytorch;
mod questions;
mod reads;
mod regions;
mod results;
mod support;
mod tune;
mod usage;
