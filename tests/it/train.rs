//! `train`: where its examples come from, how a network is trained on them, and what is left behind.

mod class_files;
mod ensembles;
mod fine_tuning;
mod genomes;
mod memory;
mod regions;
mod repeat;
mod resume;
mod run_folder;
mod settings;
mod tables;
mod tasks;
mod wrong_input;
