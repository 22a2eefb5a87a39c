//! `train`: where its examples come from, how a network is trained on them, and what is left behind.

mod calibration;
mod class_files;
mod ensembles;
mod fine_tuning;
mod genomes;
mod limits;
mod memory;
mod moved;
pub mod profiles;
mod regions;
mod repeat;
mod resolved;
mod resume;
mod run_folder;
mod settings;
mod several_processes;
pub mod signals;
mod tables;
mod tasks;
mod wrong_input;
