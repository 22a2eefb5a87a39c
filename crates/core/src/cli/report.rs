//! `report`: a run, or several, as one HTML file.

use std::path::PathBuf;

use clap::Args;

/// Flags of `report`.
#[derive(Args, Debug)]
pub struct Report {
    /// Run folder made by train, or folder of cv; several are compared with the first
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// HTML file to write [default: RUN/report.html; for several runs comparison.html in the current folder]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace an existing file; the report in the run folder is always replaced [default: no]
    #[arg(long)]
    pub force: bool,
    /// Print the metrics, and the differences of several runs, as one JSON document [default: no]
    #[arg(long)]
    pub json: bool,
}
