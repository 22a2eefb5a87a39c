//! Hypothetical contributions for programs that find motifs in them, as TF-MoDISco and its relatives read: one-hot
//! sequences and contributions as arrays `[n, 4, length]`, and the windows of the same rows.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use tempfile::NamedTempFile;

use crate::attribute::importance::Track;
use crate::attribute::sequences::Sequence;
use crate::files::{self, cannot_write};
use crate::formats::npz::{Kind, Npz};
use crate::scorer::one_hot;

/// The key under which NumPy saves an array without a name, which those programs read.
const KEY: &str = "arr_0";

/// The files `PREFIX.ohe.npz`, `PREFIX.hyp.npz` and `PREFIX.bed`, under temporary names until they are complete.
pub struct Contributions {
    sequences: Npz,
    contributions: Npz,
    windows: BufWriter<NamedTempFile>,
    paths: [PathBuf; 3],
}

impl Contributions {
    /// The files of a prefix: sequences, contributions, windows.
    pub fn paths(prefix: &Path) -> [PathBuf; 3] {
        ["ohe.npz", "hyp.npz", "bed"].map(|ending| {
            let mut name = prefix.as_os_str().to_owned();
            name.push(".");
            name.push(ending);
            name.into()
        })
    }

    /// Starts the files for sequences of `length` bp.
    ///
    /// # Errors
    /// The files cannot be created.
    pub fn new(prefix: &Path, length: usize) -> Result<Self> {
        let paths = Self::paths(prefix);
        let folder = paths[0].parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let array = |kind| Npz::new(folder, &[(KEY, kind, vec![4, length])]);
        Ok(Self {
            sequences: array(Kind::U8)?,
            contributions: array(Kind::F32)?,
            windows: BufWriter::new(files::temporary_beside(&paths[2])?),
            paths,
        })
    }

    /// Appends a sequence and its effects of substitutions.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn push(&mut self, sequence: &Sequence, mutagenesis: &Track) -> std::io::Result<()> {
        self.sequences.name(&sequence.name);
        self.contributions.name(&sequence.name);
        let length = sequence.codes.len();
        let bytes: Vec<u8> = one_hot(&sequence.codes, length).iter().map(|&bit| bit as u8).collect();
        self.sequences.push_bytes(KEY, &bytes)?;
        self.contributions.push(KEY, &centred(&mutagenesis.numbers, length))?;
        // Records without coordinates are their own chromosome.
        let (chromosome, range, reverse) = match &sequence.place {
            Some(_) => match sequence.own_place() {
                Some(place) => (place.chromosome.to_string(), place.range, place.reverse),
                None => (sequence.name.clone(), 0..length, false),
            },
            None => (sequence.name.clone(), sequence.first..sequence.first + sequence.own.len(), false),
        };
        let strand = if reverse { '-' } else { '+' };
        writeln!(self.windows, "{chromosome}\t{}\t{}\t{}\t0\t{strand}", range.start, range.end, sequence.name)
    }

    /// Renames the files to their own names.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn finish(self) -> Result<()> {
        let [sequences, contributions, windows] = &self.paths;
        files::write_through(sequences, |file| self.sequences.finish(file))?;
        files::write_through(contributions, |file| self.contributions.finish(file))?;
        let file = self.windows.into_inner().map_err(|error| cannot_write(windows, error.error()))?;
        files::persist(file, windows)
    }
}

/// Effects of substitutions less their mean at each position, `[4, length]`: what each base there would contribute.
fn centred(changes: &[f32], length: usize) -> Vec<f32> {
    let mean = |at: usize| (0..4).map(|base| changes[base * length + at]).sum::<f32>() / 4.0;
    (0..4 * length).map(|i| changes[i] - mean(i % length)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contributions_of_a_position_add_up_to_nothing_and_keep_their_differences() {
        let found = centred(&[0.0, 1.0, -1.0, 0.0, -1.0, 2.0, -2.0, 1.0], 2);
        assert_eq!(found, [1.0, 0.0, 0.0, -1.0, 0.0, 1.0, -1.0, 0.0]);
    }
}
