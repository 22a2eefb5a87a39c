//! The commands that score with a trained run, without libtorch: one small program to copy and run.

use std::io::Write;

use anyhow::Result;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use strandnet_core::cli::{self, Evaluate, Predict, Report, Sequences, Variants};
use strandnet_core::commands::{self, backend, evaluate, explain, predict, report};
use strandnet_core::interrupt;
use strandnet_core::machine::threads::Threads;
use strandnet_core::progress::Progress;

/// Scores, evaluates and explains with a trained strandnet run, on the CPU and without libtorch
#[derive(Parser, Debug)]
#[command(
    name = "strandnet-score",
    version,
    max_term_width = 100,
    args_override_self = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Command,
    /// Print results only, no progress [default: no]
    #[arg(long, short, global = true)]
    quiet: bool,
}

/// The commands.
#[derive(Subcommand, Debug)]
enum Command {
    /// Evaluate a run on its own test split or on other data
    Evaluate(Box<OnThreads<Evaluate>>),
    /// Score sequences, regions or genomes with a run, or sort reads by class
    Predict(OnThreads<Predict>),
    /// Explain a network: base attributions, variant effects
    Explain(Explain),
    /// Write a run, or a comparison of several, as one HTML file
    Report(Report),
}

/// Flags of `explain`.
#[derive(Args, Debug)]
struct Explain {
    /// What to explain.
    #[command(subcommand)]
    what: What,
}

/// What is explained.
#[derive(Subcommand, Debug)]
enum What {
    /// Base attributions of sequences: in-silico mutagenesis, saliency, integrated gradients, figures
    Sequences(OnThreads<Sequences>),
    /// Variant effects: both alleles of each variant of a VCF file, scored in context
    Variants(OnThreads<Variants>),
}

/// A command, and how many threads compute.
#[derive(Args, Debug)]
struct OnThreads<T: Args> {
    /// Its own flags.
    #[command(flatten)]
    command: T,
    /// CPU threads [default: OMP_NUM_THREADS, else SLURM_CPUS_PER_TASK, else one per core that the system allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

impl<T: Args> OnThreads<T> {
    /// The command, once the threads are chosen.
    fn ready(&self) -> &T {
        let threads = Threads::choose(self.threads.map(usize::from));
        // Nothing has computed yet, so the pool is not there.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads.count).build_global();
        &self.command
    }
}

fn main() {
    // Where the system refuses, such a write ends the program without a word, as it would any other.
    let _ = interrupt::files_that_grow_too_large_are_errors();
    let code = run();
    let _ = std::io::stdout().flush();
    std::process::exit(code)
}

/// Runs what was typed, and says what went wrong; returns the exit code.
fn run() -> i32 {
    match Cli::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => dispatch(&cli).map_or_else(|error| commands::answer_error(&error), |()| 0),
        Err(help) => cli::answer_usage(&help),
    }
}

fn dispatch(cli: &Cli) -> Result<()> {
    let (progress, core): (Progress, &dyn commands::Backend) = (Progress::choose(cli.quiet), &backend::Core);
    match &cli.command {
        Command::Evaluate(command) => evaluate::run(command.ready(), core, progress),
        Command::Predict(command) => predict::run(command.ready(), core, progress),
        Command::Explain(Explain { what: What::Sequences(command) }) => {
            explain::sequences::run(command.ready(), core, progress)
        }
        Command::Explain(Explain { what: What::Variants(command) }) => {
            explain::variants::run(command.ready(), core, progress)
        }
        Command::Report(command) => report::run(command),
    }
}
