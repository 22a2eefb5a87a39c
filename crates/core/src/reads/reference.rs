//! The chromosomes that reads are placed on: from FASTA, or names and lengths alone from a `.fai` or a chrom.sizes file.

use std::collections::HashSet;
use std::io::{BufRead, Read};
use std::path::Path;

use anyhow::{Result, anyhow, bail};

use crate::formats::compression::{InputFile, read_error};
use crate::formats::lines::Lines;
use crate::formats::quoted;
use crate::genome::interval::LONGEST_CHROMOSOME;
use crate::genome::{Chromosome, Genome};

/// Longer than any line of a list of chromosomes.
const LONGEST_LINE: usize = 1 << 16;

/// Chromosomes, and their bases where they are needed and the file holds them.
pub struct Reference {
    /// Names and lengths.
    pub chromosomes: Vec<Chromosome>,
    /// The bases.
    pub genome: Option<Genome>,
}

impl Reference {
    /// Opens a file; bases of up to `memory` bytes are held in memory if they are needed.
    ///
    /// # Errors
    /// The file cannot be read, or holds neither bases nor lengths.
    pub fn open(path: &Path, needs_bases: bool, memory: u64) -> Result<Self> {
        let file = InputFile::open(path)?;
        let mut first = [0];
        let read = file.reader().read(&mut first).map_err(|error| read_error(path, &error))?;
        // FASTA may begin with blank lines or comments; lists of lengths begin with a name.
        if read == 1 && (first[0] == b'>' || first[0] == b';' || first[0].is_ascii_whitespace()) {
            let memory = if needs_bases { memory } else { u64::MAX };
            let genome = Genome::open(path, memory, &|_| needs_bases)?;
            return Ok(Self { chromosomes: genome.chromosomes.clone(), genome: needs_bases.then_some(genome) });
        }
        Ok(Self { chromosomes: lengths(path, file.reader())?, genome: None })
    }
}

/// Reads a list of names and lengths, of which a `.fai` has more columns.
fn lengths(path: &Path, input: impl BufRead) -> Result<Vec<Chromosome>> {
    let mut lines = Lines::new(path, input, LONGEST_LINE, "names and lengths of chromosomes");
    let (mut found, mut names) = (Vec::new(), HashSet::new());
    for number in 1u64.. {
        let Some(line) = lines.next_line()?.map(<[u8]>::trim_ascii) else { break };
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let mut columns = line.split(|&byte| byte == b'\t' || byte == b' ').filter(|column| !column.is_empty());
        let name = columns.next().and_then(|name| std::str::from_utf8(name).ok());
        let length = columns.next().and_then(|length| std::str::from_utf8(length).ok()?.parse::<usize>().ok());
        let length = length.filter(|length| (1..=LONGEST_CHROMOSOME).contains(length));
        let Some((name, length)) = name.zip(length) else {
            return Err(anyhow!(
                "{}: line {number}: found '{}', expected FASTA, or a chromosome and its length as in .fai and chrom.sizes; name the genome that reads were aligned to",
                path.display(),
                quoted(line)
            ));
        };
        if !names.insert(name.to_owned()) {
            bail!(
                "{}: line {number}: the chromosome {name} appears twice, expected it once; remove one",
                path.display()
            );
        }
        found.push(Chromosome { name: name.to_owned(), length });
    }
    if found.is_empty() {
        bail!("{}: lists no chromosomes, expected FASTA, .fai or chrom.sizes; check the file", path.display());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str, needs_bases: bool) -> Result<Reference> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Reference::open(file.path(), needs_bases, 1 << 20)
    }

    #[test]
    fn lengths_come_from_bases_and_from_lists() {
        let expected = [("chr1", 6), ("chr2", 3)].map(|(name, length)| Chromosome { name: name.into(), length });
        for text in
            [">chr1 x\nACGT\nAC\n>chr2\nACG\n", "chr1\t6\t8\t4\t5\nchr2\t3\t22\t3\t4\n", "# x\nchr1 6\nchr2 3\n"]
        {
            let found = open(text, false).unwrap();
            assert_eq!(found.chromosomes, expected, "{text:?}");
            assert!(found.genome.is_none());
            assert_eq!(open(text, true).unwrap().genome.is_some(), text.starts_with('>'));
        }
        for (text, word) in [
            ("chr1\n", "line 1: found 'chr1'"),
            ("chr1\t0\n", "line 1"),
            ("a\t5\na\t5\n", "twice"),
            ("#\n", "lists no"),
        ] {
            let error = open(text, false).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains('\n'), "{error}");
        }
    }
}
