//! Motifs in TRANSFAC format, as TRANSFAC, JASPAR and HOCOMOCO write it: lines that begin with two letters, and a matrix
//! under the line `P0` or `PO`, which names its columns.
//!
//! ```text
//! AC MA0004.1
//! XX
//! ID Arnt
//! XX
//! PO      A      C      G      T
//! 01    4.0   16.0    0.0    0.0      C
//! XX
//! //
//! ```

use anyhow::Result;

use crate::formats::motif_lines::{Lines, quoted};
use crate::formats::motif_matrix;
use crate::sequence::motif::Motif;

/// The fields that name a motif, the best one first.
const IDS: [&str; 4] = ["AC", "ID", "NA", "DE"];
/// The same for its common name.
const NAMES: [&str; 2] = ["NA", "ID"];

/// Whether a line is the heading of a matrix.
pub(super) fn is_heading(line: &str) -> bool {
    let word = line.split_whitespace().next().unwrap_or_default();
    matches!(word, "P0" | "PO" | "Po" | "p0" | "po") && order(line).is_some()
}

/// The columns of A, C, G and T under a heading, counted without the first.
fn order(heading: &str) -> Option<[usize; 4]> {
    let letters: Vec<&str> = heading.split_whitespace().skip(1).collect();
    let find = |wanted: &[&str]| letters.iter().position(|letter| wanted.contains(letter));
    Some([find(&["A", "a"])?, find(&["C", "c"])?, find(&["G", "g"])?, find(&["T", "t", "U", "u"])?])
}

/// Parses all motifs.
///
/// # Errors
/// A row has no four numbers, or the numbers are neither counts nor probabilities; with the line.
pub(super) fn parse(lines: &mut Lines) -> Result<Vec<Motif>> {
    let mut motifs = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    while lines.next() {
        let line = lines.line().to_owned();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
        if let Some(order) = order(&line).filter(|_| is_heading(&line)) {
            let number = lines.number;
            let rows = matrix(lines, order)?;
            let value = |names: &[&str]| {
                names
                    .iter()
                    .find_map(|name| fields.iter().find(|(word, _)| word == name))
                    .map(|(_, value)| value.clone())
            };
            let id = value(&IDS).unwrap_or_else(|| format!("motif_{}", motifs.len() + 1));
            let name = value(&NAMES).filter(|name| *name != id).unwrap_or_default();
            let fault = |what: String| lines.fault_in(number, &format!("motif '{}' {what}", quoted(&id)));
            motifs.push(motif_matrix::motif(id.clone(), name, &rows).map_err(fault)?);
            fields.clear();
        } else if word == "//" {
            fields.clear();
        } else if (IDS.contains(&word) || NAMES.contains(&word)) && !fields.iter().any(|(known, _)| known == word) {
            let value = rest.split_whitespace().next().unwrap_or_default();
            if !value.is_empty() {
                fields.push((word.to_owned(), value.to_owned()));
            }
        }
    }
    Ok(motifs)
}

/// The rows under a heading: a number of the position, the numbers of the bases and, in most files, a letter.
fn matrix(lines: &mut Lines, order: [usize; 4]) -> Result<Vec<[f64; 4]>> {
    let mut rows = Vec::new();
    while lines.next() {
        let line = lines.line();
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        if !first.bytes().all(|byte| byte.is_ascii_digit()) {
            // The line that ends the matrix may name the next motif, which is read again.
            lines.number -= 1;
            break;
        }
        let words: Vec<&str> = words.collect();
        let number = |column: usize| words.get(column)?.parse::<f64>().ok().filter(|number| number.is_finite());
        let row: Option<Vec<f64>> = order.iter().map(|&column| number(column)).collect();
        let Some(row) = row.and_then(|row| <[f64; 4]>::try_from(row).ok()) else {
            return Err(lines.fault(&format!(
                "found '{}', expected the position and four numbers, of the bases that the line above the matrix names; fix the line",
                quoted(line)
            )));
        };
        rows.push(row);
    }
    Ok(rows)
}
