//! `report`: a run, or several, as a page.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Debug)]
pub struct Report {
    /// Run folder that train made; several are shown side by side, and the others held against the first
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// File for the page [default: RUN/report.html; of several runs comparison.html in the current folder]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace the file that is there; the page in the run folder is replaced in any case [default: no]
    #[arg(long)]
    pub force: bool,
}
