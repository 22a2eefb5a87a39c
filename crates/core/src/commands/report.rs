//! `report`: a run, or several side by side, as one HTML file.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::json;

use crate::cli::Report;
use crate::commands::{print, print_json};
use crate::html::comparison::Comparison;
use crate::html::{RunFiles, comparison, fold_comparison, folds, run};
use crate::run::{
    FORMAT_VERSION, FoldFolder, REPORT_HTML, RunFolder, check_output_file, ensemble_of, lies_in, write_atomically,
};

/// The report of several runs where no --out is given.
const COMPARISON_HTML: &str = "comparison.html";

/// Runs `report`.
///
/// # Errors
/// A run cannot be read, or the report cannot be written.
pub fn run(command: &Report) -> Result<()> {
    let of_folds = command.runs.iter().filter(|path| FoldFolder::is_at(path)).count();
    if of_folds > 0 && of_folds < command.runs.len() {
        bail!(
            "runs and cross-validations are named together, expected one or the other; compare each with its own kind"
        );
    }
    let (out, html, mut text, mut json) = match command.runs.as_slice() {
        [only] if of_folds > 0 => {
            ensemble_of(only)?;
            let out = command.out.clone().unwrap_or_else(|| only.join(REPORT_HTML));
            check_output(&out, command.force, &[&RunFolder { path: only.clone() }])?;
            let (html, results) = folds::of(only)?;
            (out, html, String::new(), json!({"format_version": FORMAT_VERSION, "folder": only, "cv": results}))
        }
        several if of_folds > 0 => {
            check_that_runs_differ(several)?;
            let out = command.out.clone().unwrap_or_else(|| COMPARISON_HTML.into());
            let folders: Vec<RunFolder> = several.iter().map(|path| RunFolder { path: path.clone() }).collect();
            check_output(&out, command.force, &folders.iter().collect::<Vec<_>>())?;
            let Comparison { html, text, json } = fold_comparison::report(several)?;
            (out, html, text + "\n", json)
        }
        [only] => {
            let files = RunFiles::open(only)?;
            let out = command.out.clone().unwrap_or_else(|| only.join(REPORT_HTML));
            check_output(&out, command.force, &[&files.folder])?;
            let json = json!({"format_version": FORMAT_VERSION, "folder": only, "metrics": files.metrics});
            (out, run::report(&files)?, String::new(), json)
        }
        several => {
            check_that_runs_differ(several)?;
            let runs: Vec<RunFiles> = several.iter().map(|path| RunFiles::open(path)).collect::<Result<_>>()?;
            let out = command.out.clone().unwrap_or_else(|| COMPARISON_HTML.into());
            let folders: Vec<&RunFolder> = runs.iter().map(|run| &run.folder).collect();
            check_output(&out, command.force, &folders)?;
            let Comparison { html, text, json } = comparison::report(&runs)?;
            (out, html, text + "\n", json)
        }
    };
    write_atomically(&out, html.as_bytes())?;
    if command.json {
        json["out"] = json!(out);
        return print_json(&json);
    }
    text.push_str(&format!("{}\n", out.display()));
    print(&text)
}

/// A run's own report may be written anew; nothing else in a run folder is touched, and no other file without being asked.
fn check_output(out: &Path, force: bool, runs: &[&RunFolder]) -> Result<()> {
    let is_a_report = out.file_name().is_some_and(|name| name == REPORT_HTML);
    let Some(run) = runs.iter().find(|run| lies_in(out, &run.path)) else { return check_output_file(out, force) };
    let is_own = is_a_report && runs.len() == 1 && out.parent().is_some_and(|folder| is_same(folder, &run.path));
    if !is_own {
        bail!(
            "{}: lies in the run folder, where only the run's own {REPORT_HTML} is written; choose another --out",
            out.display()
        );
    }
    check_output_file(out, true)
}

fn check_that_runs_differ(runs: &[PathBuf]) -> Result<()> {
    for (i, run) in runs.iter().enumerate() {
        if runs[..i].iter().any(|other| is_same(other, run)) {
            bail!("{}: is named twice, expected different runs; remove one", run.display());
        }
    }
    Ok(())
}

/// Whether two paths are one folder.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
    };
    real(one) == real(other)
}
