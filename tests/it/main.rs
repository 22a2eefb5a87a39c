//! The real binary through its command line, and numbers held against other programs.

mod bad_input;
mod baselines;
mod data;
mod golden;
mod pytorch;
mod results;
mod support;
mod usage;
