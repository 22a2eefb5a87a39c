//! `predictions.csv`: one row per example, `name,chrom,start,end,strand,split,label,score`.

use anyhow::Result;

use crate::data::split::Split;
use crate::data::{Classes, Examples, Origin};

/// Appends the rows of one split. Coordinates are 0-based and half-open, and empty for tables; scores have every digit,
/// so that metrics computed from the file are those in `metrics.json`.
pub fn append(
    out: &mut csv::Writer<Vec<u8>>,
    split: Split,
    examples: &Examples,
    scores: &[f64],
    classes: &Classes,
) -> Result<()> {
    for ((origin, &label), score) in examples.origins.iter().zip(&examples.labels).zip(scores) {
        let label = classes.names[usize::from(label)].as_str();
        let score = score.to_string();
        match origin {
            Origin::Window { chromosome, start, reverse } => {
                let end = start + examples.length;
                let name = format!("{label}:{chromosome}:{start}-{end}");
                let strand = if *reverse { "-" } else { "+" };
                out.write_record([
                    name.as_str(),
                    chromosome,
                    &start.to_string(),
                    &end.to_string(),
                    strand,
                    split.name(),
                    label,
                    &score,
                ])?;
            }
            Origin::Line { table, line } => {
                let name = format!("{table}:{line}");
                out.write_record([name.as_str(), "", "", "", "", split.name(), label, &score])?;
            }
        }
    }
    Ok(())
}

/// A writer with the header.
pub fn writer() -> Result<csv::Writer<Vec<u8>>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(["name", "chrom", "start", "end", "strand", "split", "label", "score"])?;
    Ok(out)
}
