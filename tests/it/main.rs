//! The program through its command line, a file or folder of tests for each command, and tests that concern no one command:
//! usage, golden numbers, TensorBoard files and fault injection. tests/README.md says where a new test goes.

mod agents;
mod completions;
mod cv;
mod doctor;
mod evaluate;
mod examples;
mod explain;
mod export;
mod fixtures;
mod golden;
mod inputs;
mod inspect;
mod json;
mod library;
mod model;
mod predict;
mod report;
mod schema;
mod setup;
mod signal;
mod simulate;
mod tensorboard;
mod threads;
mod torture;
mod train;
mod tune;
mod usage;
mod verify;
mod without_libtorch;
