//! Motifs as matrices under a line that begins with `>`, as JASPAR, HOMER and HOCOMOCO distribute them, or under none.
//!
//! ```text
//! >MA0004.1 Arnt                >ATGACTCATC AP-1(bZIP)/Homer 6.04        >AHR_HUMAN.H11MO.0.B
//! A [ 4 19 0 ]                  0.419 0.275 0.277 0.028                 40.5 18.2 56.4 38.6
//! C [ 16 0 20 ]                 0.001 0.001 0.001 0.997                 10.9 11.9 22.5 108.4
//! G [ 0 1 0 ]                   0.001 0.997 0.001 0.001                 22.0 38.5 83.0 10.2
//! T [ 0 0 0 ]
//! ```
//!
//! Rows are those of bases, with or without their letters, or those of positions. HOMER separates the consensus, the name
//! and the threshold by tabs.

use anyhow::{Result, bail};

use crate::formats::motif_lines::{Lines, quoted};
use crate::formats::motif_matrix::{self, Layout};
use crate::sequence::motif::Motif;

/// A matrix as it stands in the file.
struct Matrix {
    id: String,
    name: String,
    /// Line of its name, or of its first row.
    number: usize,
    /// The rows, each with the base that it names.
    rows: Vec<(Option<usize>, Vec<f64>)>,
    /// The columns of A, C, G and T, where a line of letters names them.
    order: Option<Columns>,
}

/// Columns that a line of letters names.
struct Columns {
    places: [usize; 4],
    /// Number of columns.
    all: usize,
}

/// Whether a line can be a row of numbers, with or without a base before it.
pub(super) fn is_row(line: &str) -> bool {
    row(line).is_some_and(|(_, numbers)| !numbers.is_empty())
}

/// Parses all motifs.
///
/// # Errors
/// A line is neither a name nor a row of numbers, or a matrix is malformed; with the line.
pub(super) fn parse(lines: &mut Lines) -> Result<Vec<Motif>> {
    let has_names = lines.significant().any(|line| line.starts_with('>'));
    let mut matrices: Vec<Matrix> = Vec::new();
    // Whether the last matrix is complete, so that rows without a name begin another.
    let mut is_ended = true;
    while lines.next() {
        let (line, number) = (lines.line(), lines.number);
        if line.is_empty() || line.starts_with('#') {
            is_ended |= !has_names && matrices.last().is_none_or(|matrix| !matrix.rows.is_empty());
        } else if let Some(heading) = line.strip_prefix('>') {
            matrices.push(named(heading, number));
            is_ended = false;
        } else if let Some(row) = row(line).filter(|(_, numbers)| !numbers.is_empty()) {
            if is_ended {
                if has_names {
                    bail!(lines.fault("numbers come before any line that begins with '>'; name the motif"));
                }
                let stem = lines.path().file_name().unwrap_or_default().to_string_lossy();
                let stem = stem.split('.').next().unwrap_or_default();
                matrices.push(named(&format!("{}_{}", without_space(stem), matrices.len() + 1), number));
                is_ended = false;
            }
            if let Some(matrix) = matrices.last_mut() {
                matrix.rows.push(row);
            }
        } else if let (Some(columns), Some(matrix)) = (letters(line), matrices.last_mut().filter(|_| !is_ended)) {
            matrix.order = Some(columns);
        } else if !has_names && (is_ended || matrices.last().is_some_and(|matrix| !matrix.rows.is_empty())) {
            matrices.push(named(line, number));
            is_ended = false;
        } else {
            bail!(lines.fault(&format!(
                "found '{}', expected numbers of A, C, G and T, or a line that begins with '>'; fix or remove the line",
                quoted(line)
            )));
        }
    }
    let shared = shared_layout(&matrices);
    matrices.into_iter().map(|matrix| motif(lines, matrix, shared)).collect()
}

/// A matrix without rows, from the line that names it.
fn named(heading: &str, number: usize) -> Matrix {
    let fields: Vec<&str> = heading.split('\t').map(str::trim).collect();
    let is_homer = fields.len() >= 3 && fields[2].parse::<f64>().is_ok();
    let (id, name) = if is_homer {
        (without_space(fields[1]), fields[1].split('/').next().unwrap_or_default().to_owned())
    } else {
        let mut words = heading.split_whitespace();
        (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned())
    };
    let name = if name == id { String::new() } else { without_space(&name) };
    Matrix { id, name, number, rows: Vec::new(), order: None }
}

fn without_space(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join("_")
}

/// Parses a row: a base and its numbers, in brackets or not, or numbers alone.
fn row(line: &str) -> Option<(Option<usize>, Vec<f64>)> {
    let first = line.chars().next()?;
    let base = "ACGT".find(first.to_ascii_uppercase()).or(matches!(first, 'U' | 'u').then_some(3));
    let rest = if base.is_some() { &line[1..] } else { line };
    if base.is_some() && !rest.starts_with(|c: char| c.is_whitespace() || "[|:=,".contains(c)) {
        return None;
    }
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || "[|:=".contains(c));
    let rest = rest.trim_end_matches(|c: char| c.is_whitespace() || c == ']');
    let words = rest.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
    let number = |word: &str| word.parse::<f64>().ok().filter(|number| number.is_finite());
    Some((base, words.map(number).collect::<Option<_>>()?))
}

/// Parses a line of letters that names the columns, such as `Pos A C G T`.
fn letters(line: &str) -> Option<Columns> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let find = |wanted: &[&str]| words.iter().position(|word| wanted.contains(word));
    let places = [find(&["A", "a"])?, find(&["C", "c"])?, find(&["G", "g"])?, find(&["T", "t", "U", "u"])?];
    (words.len() <= 5).then_some(Columns { places, all: words.len() })
}

/// The layout of matrices without letters whose own is certain, if it is the same for all of them.
fn shared_layout(matrices: &[Matrix]) -> Option<Layout> {
    let bare =
        matrices.iter().filter(|matrix| matrix.order.is_none() && matrix.rows.iter().all(|(base, _)| base.is_none()));
    let certain = bare.filter_map(|matrix| match motif_matrix::layouts(&numbers(matrix)).as_slice() {
        [layout] => Some(*layout),
        _ => None,
    });
    let mut certain: Vec<Layout> = certain.collect();
    certain.dedup();
    match certain.as_slice() {
        [layout] => Some(*layout),
        _ => None,
    }
}

fn numbers(matrix: &Matrix) -> Vec<Vec<f64>> {
    matrix.rows.iter().map(|(_, numbers)| numbers.clone()).collect()
}

fn motif(lines: &Lines, matrix: Matrix, shared: Option<Layout>) -> Result<Motif> {
    let number = matrix.number;
    let shown = quoted(&matrix.id);
    let fault = |what: String| lines.fault_in(number, &format!("motif '{shown}' {what}"));
    if matrix.id.is_empty() {
        bail!(lines.fault_in(number, "the line has no name after '>', expected that of a motif; add it"));
    }
    let positions = positions(&matrix, shared).map_err(fault)?;
    motif_matrix::motif(matrix.id, matrix.name, &positions).map_err(fault)
}

/// The numbers of each position of a matrix.
fn positions(matrix: &Matrix, shared: Option<Layout>) -> Result<Vec<[f64; 4]>, String> {
    let mut rows = numbers(matrix);
    if rows.is_empty() {
        return Err("has no rows of numbers, expected four or more below its name; add them or remove it".into());
    }
    if let Some(Columns { places, all }) = &matrix.order {
        if rows.iter().any(|row| row.len() != *all) {
            return Err(format!(
                "has rows of another length than the {all} columns named above them; fix or remove it"
            ));
        }
        return Ok(rows.iter().map(|row| places.map(|place| row[place])).collect());
    }
    let bases: Vec<Option<usize>> = matrix.rows.iter().map(|(base, _)| *base).collect();
    if bases.iter().any(Option::is_some) {
        let mut order = bases.clone();
        order.sort_unstable();
        if order != [0, 1, 2, 3].map(Some) || rows.iter().any(|row| row.len() != rows[0].len()) {
            return Err("has letters before its rows, expected one row of as many numbers for each of A, C, G and T; fix or remove it".into());
        }
        let mut named: Vec<_> = bases.into_iter().zip(rows).collect();
        named.sort_by_key(|(base, _)| *base);
        rows = named.into_iter().map(|(_, row)| row).collect();
        return Ok(motif_matrix::positions(&rows, Layout::RowsOfBases));
    }
    match motif_matrix::layouts(&rows).as_slice() {
        [layout] => Ok(motif_matrix::positions(&rows, *layout)),
        [_, _] => match shared {
            Some(layout) => Ok(motif_matrix::positions(&rows, layout)),
            None => Err(
                "is four by four and may be read both ways; write the letters A, C, G and T before its rows of bases"
                    .into(),
            ),
        },
        _ => Err(format!(
            "has {} rows of {} numbers, expected four rows of as many numbers, of A, C, G and T, or rows of four; fix or remove it",
            rows.len(),
            lengths(&rows)
        )),
    }
}

/// The lengths of rows, shortest to longest.
fn lengths(rows: &[Vec<f64>]) -> String {
    let lengths = || rows.iter().map(Vec::len);
    let (low, high) = (lengths().min().unwrap_or(0), lengths().max().unwrap_or(0));
    if low == high { low.to_string() } else { format!("{low} to {high}") }
}
