//! `examples.tsv`: every example of a run, one row each, which `train --examples` takes to repeat the run exactly.
//!
//! Columns: `name chrom start end strand label split source sequence`. The sequence is written only where no genome holds
//! it; otherwise the source is the genome's path, the place says where it lies and the strand which way it reads.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};

use super::examples::{Examples, Name, Place};
use super::fasta::Genome;
use super::genomes::open_genome;
use super::sequences::{Label, Read, Sequences};
use super::split::{self, Split};
use super::tables::Table;
use super::{Classes, alphabet};
use crate::config::TaskKind;
use crate::progress::Progress;

/// Writes the examples of some splits, one after another.
pub fn write(
    out: &mut dyn Write,
    splits: &[(Split, &Examples)],
    kind: TaskKind,
    classes: &Classes,
) -> Result<(), csv::Error> {
    let mut out = csv::WriterBuilder::new().delimiter(b'\t').from_writer(out);
    out.write_record(["name", "chrom", "start", "end", "strand", "label", "split", "source", "sequence"])?;
    let mut codes = Vec::new();
    for (split, examples) in splits {
        for (i, origin) in examples.origins.iter().enumerate() {
            let label = label(examples, i, kind, classes);
            let [chrom, start, end, strand] = match &origin.place {
                Some(place) => [
                    place.chromosome.to_string(),
                    place.range.start.to_string(),
                    place.range.end.to_string(),
                    place.strand().into(),
                ],
                None => Default::default(),
            };
            codes.clear();
            if !origin.in_genome {
                examples.read(i..i + 1, &mut codes).map_err(|error| std::io::Error::other(error.to_string()))?;
            }
            let sequence = alphabet::decode(&codes);
            let name = origin.name(&label);
            out.write_record([&name, &chrom, &start, &end, &strand, &label, split.name(), &*origin.source, &sequence])?;
        }
    }
    out.flush()?;
    Ok(())
}

/// A class's name, or labels and values separated by commas.
pub fn label(examples: &Examples, i: usize, kind: TaskKind, classes: &Classes) -> String {
    match kind {
        TaskKind::Binary | TaskKind::Multiclass => classes.names[examples.class_of(i)].clone(),
        TaskKind::Multilabel | TaskKind::Regression => {
            examples.labels_of(i).iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        }
    }
}

/// Reads a listing; genomes are opened where a row holds no sequence. `columns` names labels or values, if the labels are
/// such.
///
/// # Errors
/// As for tables, and where a genome or a place in it cannot be found.
pub fn read(
    path: &Path,
    columns: Option<Vec<String>>,
    memory: u64,
    sequences: &mut Sequences,
    progress: &Progress,
) -> Result<Vec<PathBuf>> {
    let genomes = Genomes::open(path, memory, progress)?;
    let mut table = Table::open(path)?;
    let wanted = "the columns of examples.tsv";
    let column = |name: &str| table.column(name, wanted);
    let (name, label, split, source, sequence) =
        (column("name")?, column("label")?, column("split")?, column("source")?, column("sequence")?);
    let Some(places) = table.place_columns() else {
        return Err(table
            .column("chrom", wanted)
            .and(table.column("start", wanted))
            .and(table.column("end", wanted))
            .unwrap_err());
    };
    let mut known: HashMap<String, Arc<str>> = HashMap::new();
    let mut codes = Vec::new();
    if let Some(names) = &columns {
        sequences.columns.clone_from(names);
    }
    while table.next_row()? {
        let place = table.place(&places)?;
        codes.clear();
        let in_genome = table.bytes(sequence).is_empty();
        if in_genome {
            let Some(place) = &place else {
                return Err(table.fault("there is neither a sequence nor a place in a genome; mend or remove the line"));
            };
            genomes.read(table.text(source)?, place, &mut codes).map_err(|fault| table.fault(&fault))??;
        } else {
            alphabet::encode_with_case(table.bytes(sequence), &mut codes)
                .map_err(|fault| table.fault(&format!("{fault}; mend or remove the line")))?;
        }
        let text = table.text(label)?;
        let label = match &columns {
            None if text.is_empty() => return Err(table.fault("the label is empty; mend or remove the line")),
            None => sequences.class(text),
            Some(_) => Label::Values(
                text.split(',')
                    .map(|value| {
                        value.trim().parse().ok().filter(|value: &f32| value.is_finite()).ok_or_else(|| {
                            table.fault(&format!("found the label '{value}', expected a number; correct the line"))
                        })
                    })
                    .collect::<Result<_>>()?,
            ),
        };
        let source = table.text(source)?;
        if !known.contains_key(source) {
            known.insert(source.to_owned(), source.into());
        }
        let read = Read { source: &known[source], name: Name::Text(table.text(name)?.into()), place, in_genome };
        sequences.push(&codes, label, Some(table.split(split)?), read)?;
    }
    if sequences.is_empty() {
        bail!("{}: lists no examples, expected rows; check the file", path.display());
    }
    Ok(genomes.genomes.into_values().map(|(genome, _)| genome.path).collect())
}

/// Hashes, the same for either strand, of the training sequences that a listing holds. Windows of genomes are not among
/// them: their chromosomes tell what was learned from.
pub fn training_sequences(path: &Path) -> Result<HashSet<u64>> {
    let mut table = Table::open(path)?;
    let wanted = "the columns of examples.tsv";
    let (split, sequence) = (table.column("split", wanted)?, table.column("sequence", wanted)?);
    let (mut hashes, mut codes) = (HashSet::new(), Vec::new());
    while table.next_row()? {
        if table.split(split)? == Split::Train && !table.bytes(sequence).is_empty() {
            codes.clear();
            alphabet::encode(table.bytes(sequence), &mut codes)
                .map_err(|fault| table.fault(&format!("{fault}; restore the file")))?;
            hashes.insert(split::hash_of_either_strand(&codes));
        }
    }
    Ok(hashes)
}

/// The genomes that rows without a sequence lie in, by path.
struct Genomes {
    genomes: HashMap<String, (Genome, HashMap<String, usize>)>,
}

impl Genomes {
    fn open(listing: &Path, memory: u64, progress: &Progress) -> Result<Self> {
        let mut wanted: HashMap<String, BTreeSet<String>> = HashMap::new();
        let mut table = Table::open(listing)?;
        if let (Some(source), Some(sequence), Some(chrom)) =
            (table.find("source"), table.find("sequence"), table.find("chrom"))
        {
            while table.next_row()? {
                if table.bytes(sequence).is_empty() {
                    let (source, chrom) = (table.text(source)?, table.text(chrom)?);
                    match wanted.get_mut(source) {
                        Some(names) if names.contains(chrom) => {}
                        Some(names) => drop(names.insert(chrom.to_owned())),
                        None => drop(wanted.insert(source.to_owned(), BTreeSet::from([chrom.to_owned()]))),
                    }
                }
            }
        }
        let (mut genomes, mut memory) = (HashMap::new(), memory);
        let mut wanted: Vec<_> = wanted.into_iter().collect();
        wanted.sort();
        for (source, names) in wanted {
            let genome = open_genome(Path::new(&source), memory, &|name| names.contains(name), progress)?;
            memory = memory.saturating_sub(genome.memory());
            let index = genome.chromosomes.iter().enumerate().map(|(i, c)| (c.name.clone(), i)).collect();
            genomes.insert(source, (genome, index));
        }
        Ok(Self { genomes })
    }

    /// Appends the codes at a place; `Err` says what is wrong with the row.
    fn read(&self, source: &str, place: &Place, codes: &mut Vec<u8>) -> Result<Result<()>, String> {
        let Some((genome, index)) = self.genomes.get(source) else {
            return Err(format!("the genome '{source}' is not known; mend the line"));
        };
        let Some(&chromosome) = index.get(&*place.chromosome) else {
            return Err(format!("{source} has no chromosome '{}'; is it the genome the run used?", place.chromosome));
        };
        let length = genome.chromosomes[chromosome].length;
        if place.range.end > length {
            return Err(format!(
                "end {} lies beyond chromosome '{}' of {length} bp; is it the genome the run used?",
                place.range.end, place.chromosome
            ));
        }
        if let Err(error) = genome.read(chromosome, place.range.clone(), codes) {
            return Ok(Err(error));
        }
        if place.reverse {
            alphabet::reverse_complement(codes);
        }
        Ok(Ok(()))
    }
}
