//! `examples.tsv`: every example of a run, one row each, which `train --examples` takes to repeat the run exactly.
//!
//! Columns: `name chrom start end strand label split source sequence`. The sequence is written only where no genome holds
//! it; otherwise the source is the genome's path, the place says where it lies and the strand which way it reads.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::config::TaskKind;
use crate::dataset::Classes;
use crate::dataset::columns::PlaceColumns;
use crate::dataset::examples::{Examples, Name};
use crate::dataset::genomes::open_genome;
use crate::dataset::sequences::{Label, Read, Sequences};
use crate::dataset::split::{self, Assignment, Split};
use crate::dataset::tables::Table;
use crate::formats::compression::InputFile;
use crate::genome::Genome;
use crate::genome::interval::Place;
use crate::progress::Progress;
use crate::sequence::alphabet;
use crate::sequence::bins::Bins;

/// The column that holds the values of bins, with their length: `bins_32bp`.
const BINS: (&str, &str) = ("bins_", "bp");

/// Writes the examples of some splits, one after another.
///
/// # Errors
/// The listing cannot be written, or the temporary file of sequences cannot be read.
pub fn write(
    out: &mut dyn Write,
    splits: &[(Split, &Examples)],
    kind: TaskKind,
    classes: &Classes,
) -> Result<(), csv::Error> {
    let mut out = csv::WriterBuilder::new().delimiter(b'\t').from_writer(out);
    let mut header = vec!["name", "chrom", "start", "end", "strand", "label", "split", "source", "sequence"];
    let of_each = splits.iter().find_map(|(_, examples)| examples.bins.as_ref()).map(|bins| bins.of_each);
    let (has_bins, column) = (of_each.is_some(), of_each.map(|bins| format!("{}{}{}", BINS.0, bins.bp, BINS.1)));
    header.extend(column.as_deref());
    out.write_record(header)?;
    let mut codes = Vec::new();
    let has_classes = matches!(kind, TaskKind::Binary | TaskKind::Multiclass);
    for (split, examples) in splits {
        for (i, origin) in examples.origins.iter().enumerate() {
            let label = label(examples, i, kind, classes);
            let [chrom, start, end, strand] = origin.columns();
            codes.clear();
            if !origin.in_genome {
                examples
                    .read_with_case(i..i + 1, &mut codes)
                    .map_err(|error| std::io::Error::other(error.to_string()))?;
            }
            let sequence = alphabet::decode(&codes);
            let class = if has_classes { label.as_str() } else { "" };
            let name = origin.name(class);
            let mut row = vec![&*name, &chrom, &start, &end, &strand, &label, split.name(), &origin.source, &sequence];
            let bins = has_bins.then(|| bins(examples, i));
            row.extend(bins.as_deref());
            out.write_record(row)?;
        }
    }
    out.flush()?;
    Ok(())
}

/// Values of the bins of an example, as `1;0;2.5` for each column, between commas.
fn bins(examples: &Examples, i: usize) -> String {
    let column = |values: &[f32]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(";");
    let columns = examples.targets_of(i).chunks(examples.values_along());
    columns.map(column).collect::<Vec<_>>().join(",")
}

/// Parses what [`bins`] writes: values, `[columns, bins]`; `None` where columns differ in length or hold no numbers.
fn parsed_bins(text: &str, columns: usize) -> Option<Vec<f32>> {
    let mut values: Vec<f32> = Vec::new();
    for column in text.split(',') {
        for value in column.split(';') {
            values.push(value.parse().ok().filter(|value: &f32| value.is_finite())?);
        }
    }
    let of_each = values.len() / columns.max(1);
    let fits = text.split(',').count() == columns && text.split(',').all(|column| column.split(';').count() == of_each);
    fits.then_some(values)
}

/// A class's name, or labels and values as `NAME=VALUE,NAME=VALUE`, where `NA` is a missing value.
pub fn label(examples: &Examples, i: usize, kind: TaskKind, classes: &Classes) -> String {
    match kind {
        TaskKind::Binary | TaskKind::Multiclass => classes.names[examples.class_of(i)].clone(),
        TaskKind::Multilabel | TaskKind::Regression | TaskKind::Profile => {
            let each = classes.names.iter().zip(examples.labels_of(i)).map(|(name, value)| match value.is_nan() {
                true => format!("{name}=NA"),
                false => format!("{name}={value}"),
            });
            each.collect::<Vec<_>>().join(",")
        }
    }
}

/// Reads a listing into `sequences`, and returns the paths of the genomes opened for rows without a sequence. If `kind`
/// is multilabel or regression, labels are `NAME=VALUE` pairs, of which those named by `columns` are taken, or all; with `bin`,
/// the values of bins of that length are taken, in bp, which must be there if they are needed.
///
/// # Errors
/// As for tables, and where a genome or a place in it cannot be found.
pub fn read(
    path: &Path,
    kind: Option<TaskKind>,
    columns: &[String],
    (bin, is_needed): (Option<usize>, bool),
    (memory, moved): (u64, Option<&HashMap<PathBuf, PathBuf>>),
    sequences: &mut Sequences,
    progress: &Progress,
) -> Result<Vec<PathBuf>> {
    if is_needed && kind == Some(TaskKind::Profile) {
        bail!(
            "{}: lists the log counts of loci and not their profiles, so that a run of --task profile is repeated from its config.toml",
            path.display()
        );
    }
    let values = matches!(kind, Some(TaskKind::Multilabel | TaskKind::Regression | TaskKind::Profile));
    let file = InputFile::open(path)?;
    let genomes = Genomes::open(&file, memory, moved, progress)?;
    let mut rows = Rows::of_file(&file)?;
    let mut known: HashMap<String, Arc<str>> = HashMap::new();
    let mut codes = Vec::new();
    match (bin, rows.bins) {
        (Some(bin), Some((_, bp))) if bin != bp => {
            bail!("{}: holds bins of {bp} bp, and --bin is {bin}, expected the same; use --bin {bp}", path.display())
        }
        (Some(_), None) if is_needed => bail!(
            "{}: holds no values of bins, expected them for --bin; remove it, or name the listing of a run with bins",
            path.display()
        ),
        (Some(_), Some(_)) if !values => {
            bail!("{}: --bin goes with values, expected --task regression; add it", path.display())
        }
        _ => {}
    }
    while rows.table.next_row()? {
        let (place, in_genome) = rows.sequence(&genomes, &mut codes)?;
        let (table, text) = (&rows.table, rows.table.text(rows.label)?);
        let label = match values {
            false if kind.is_none() && pairs(text).is_some() => {
                return Err(table.fault(&format!(
                    "found the label '{text}', which holds values, expected a class; add --task multilabel or regression, or keep the listing beside its run.json"
                )));
            }
            false if text.is_empty() => return Err(table.fault("the label is empty; fix or remove the line")),
            false => sequences.class(text),
            true => {
                let pairs = pairs(text).ok_or_else(|| {
                    table
                        .fault(&format!("found the label '{text}', expected NAME=NUMBER,NAME=NUMBER; correct the line"))
                })?;
                if sequences.columns.is_empty() {
                    let all = pairs.iter().map(|(name, _)| (*name).to_owned());
                    sequences.columns = if columns.is_empty() { all.collect() } else { columns.to_vec() };
                }
                let value = |wanted: &String| {
                    let found = pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
                    found.ok_or_else(|| {
                        table.fault(&format!("there is no label '{wanted}'; correct the line or --label-columns"))
                    })
                };
                match rows.bins.filter(|_| bin.is_some()) {
                    Some((column, bp)) => {
                        let all = parsed_bins(table.text(column)?, pairs.len()).ok_or_else(|| {
                            table.fault(
                                "the column 'bins' does not hold as many numbers for each value; correct the line",
                            )
                        })?;
                        let bins = Bins { count: all.len() / pairs.len(), bp };
                        if *sequences.bins.get_or_insert(bins) != bins {
                            return Err(table
                                .fault("the column 'bins' holds another number of bins than above; correct the line"));
                        }
                        let mut values = Vec::with_capacity(sequences.columns.len() * bins.count);
                        for wanted in &sequences.columns {
                            value(wanted)?; // that there is one
                            let place = pairs.iter().position(|(name, _)| name == wanted).unwrap_or(0);
                            values.extend_from_slice(&all[place * bins.count..(place + 1) * bins.count]);
                        }
                        Label::Bins(values.into())
                    }
                    _ => Label::Values(sequences.columns.iter().map(value).collect::<Result<_>>()?),
                }
            }
        };
        let source = table.text(rows.source)?;
        if !known.contains_key(source) {
            known.insert(source.to_owned(), source.into());
        }
        let name = Name::Text(table.text(rows.name)?.into());
        let read = Read { source: &known[source], name, place, in_genome };
        sequences.push(&codes, label, Some(table.split(rows.split)?), read)?;
    }
    if sequences.is_empty() {
        bail!("{}: lists no examples, expected rows; check the file", path.display());
    }
    Ok(genomes.genomes.into_values().map(|(genome, _)| genome.path).collect())
}

/// A listing with all of its examples as training.
///
/// # Errors
/// The listing cannot be read.
pub fn as_training(path: &Path) -> Result<Vec<u8>> {
    let cannot_read = |error: csv::Error| anyhow::anyhow!("{}: cannot be read ({error})", path.display());
    let mut rows = csv::ReaderBuilder::new().delimiter(b'\t').from_path(path).map_err(cannot_read)?;
    let header = rows.headers().map_err(cannot_read)?.clone();
    let split = header.iter().position(|name| name == "split");
    let mut out = csv::WriterBuilder::new().delimiter(b'\t').from_writer(Vec::new());
    out.write_record(&header)?;
    for row in rows.records() {
        let row = row.map_err(cannot_read)?;
        let field = |(column, text)| if Some(column) == split { Split::Train.name() } else { text };
        out.write_record(row.iter().enumerate().map(field))?;
    }
    Ok(out.into_inner()?)
}

/// Hands the split, the name, the label and the sequence of every example of a listing to `each`; the sequence is empty where
/// a genome holds it.
///
/// # Errors
/// The listing cannot be read.
pub fn sequences(path: &Path, mut each: impl FnMut(Split, &str, &str, &str)) -> Result<()> {
    let mut rows = Rows::of_file(&InputFile::open(path)?)?;
    while rows.table.next_row()? {
        let [name, label, sequence] = [rows.name, rows.label, rows.sequence].map(|column| rows.table.text(column));
        each(rows.table.split(rows.split)?, name?, label?, sequence?);
    }
    Ok(())
}

/// Hands the split and the label of every example of a listing to `each`.
///
/// # Errors
/// The listing cannot be read.
pub fn labels(path: &Path, mut each: impl FnMut(Split, &str)) -> Result<()> {
    let mut rows = Rows::of_file(&InputFile::open(path)?)?;
    while rows.table.next_row()? {
        each(rows.table.split(rows.split)?, rows.table.text(rows.label)?);
    }
    Ok(())
}

/// Parses labels or values of the form `NAME=VALUE,NAME=VALUE`, a missing value to `NaN`; `None` if the text has another
/// form.
pub fn pairs(text: &str) -> Option<Vec<(&str, f32)>> {
    let pair = |pair: &'_ str| -> Option<(usize, f32)> {
        let (name, value) = pair.rsplit_once('=')?;
        let value = match value.trim() {
            "NA" => f32::NAN,
            value => value.parse().ok().filter(|value: &f32| value.is_finite())?,
        };
        Some((name.len(), value))
    };
    text.split(',').map(|part| pair(part).map(|(length, value)| (&part[..length], value))).collect()
}

/// A listing with its columns found.
struct Rows {
    table: Table,
    name: usize,
    label: usize,
    split: usize,
    source: usize,
    sequence: usize,
    /// The column of bins, and their length in bp.
    bins: Option<(usize, usize)>,
    places: PlaceColumns,
}

impl Rows {
    fn of_file(file: &InputFile) -> Result<Self> {
        let table = Table::of_file(file)?;
        let column = |name: &str| table.column(name, "the columns of examples.tsv");
        let (name, label, split) = (column("name")?, column("label")?, column("split")?);
        let (source, sequence) = (column("source")?, column("sequence")?);
        let [chrom, start, end] = [column("chrom")?, column("start")?, column("end")?];
        let places = PlaceColumns { chrom, start, end, strand: table.find("strand")? };
        let bins = table.header().iter().enumerate().find_map(|(column, name)| {
            let bp = name.strip_prefix(BINS.0)?.strip_suffix(BINS.1)?.parse().ok().filter(|&bp| bp > 0)?;
            Some((column, bp))
        });
        Ok(Self { table, name, label, split, source, sequence, bins, places })
    }

    /// Puts the codes, with case, of this row into `codes`; returns its place, and whether a genome held them.
    fn sequence(&self, genomes: &Genomes, codes: &mut Vec<u8>) -> Result<(Option<Place>, bool)> {
        let table = &self.table;
        let place = table.place(&self.places)?;
        codes.clear();
        let in_genome = table.bytes(self.sequence).is_empty();
        if in_genome {
            let Some(place) = &place else {
                return Err(table.fault("there is neither a sequence nor a place in a genome; fix or remove the line"));
            };
            genomes.read(table.text(self.source)?, place, codes).map_err(|fault| table.fault(&fault))??;
        } else {
            alphabet::encode_with_case(table.bytes(self.sequence), codes)
                .map_err(|fault| table.fault(&format!("{fault}; fix or remove the line")))?;
        }
        Ok((place, in_genome))
    }
}

/// What a run was trained on, according to its listing.
#[derive(Debug, Default)]
pub struct Learned {
    /// Hashes, the same for either strand, of the training sequences.
    sequences: HashSet<u64>,
    /// Chromosomes of training and validation.
    pub chromosomes: Vec<String>,
    /// Whether no chromosome of the test is among them, so that a chromosome says what was learned from.
    pub by_chromosome: bool,
    /// Places of training and validation, by chromosome, where chromosomes do not say it.
    places: HashMap<String, Vec<Range<usize>>>,
    /// Whether the listing has training examples; those that are drawn anew every epoch are not listed.
    lists_training: bool,
}

impl Learned {
    /// Reads the listing of a finished run. Where a genome is gone, the sequences in it are passed over.
    ///
    /// # Errors
    /// The listing is missing or malformed, or a place in a genome cannot be found.
    pub fn read(path: &Path, memory: u64) -> Result<Self> {
        let file = InputFile::open(path)?;
        let genomes = Genomes::open(&file, memory, None, &Progress::quiet());
        let mut rows = Rows::of_file(&file)?;
        let (mut codes, mut learned, mut judged) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let mut sequences = HashSet::new();
        let (mut places, mut lists_training): (HashMap<String, Vec<Range<usize>>>, bool) = Default::default();
        while rows.table.next_row()? {
            let split = rows.table.split(rows.split)?;
            lists_training |= split == Split::Train;
            let place = rows.table.place(&rows.places)?;
            if let Some(Place { chromosome, range, .. }) = &place {
                if split != Split::Test {
                    match places.get_mut(&**chromosome) {
                        Some(ranges) => ranges.push(range.clone()),
                        None => drop(places.insert(chromosome.to_string(), vec![range.clone()])),
                    }
                }
                let chromosomes = if split == Split::Test { &mut judged } else { &mut learned };
                if !chromosomes.contains(&**chromosome) {
                    chromosomes.insert(chromosome.to_string());
                }
            }
            let is_here = !rows.table.bytes(rows.sequence).is_empty();
            if split == Split::Train && (is_here || genomes.is_ok()) {
                let no_genomes = Genomes { genomes: HashMap::new() };
                rows.sequence(genomes.as_ref().unwrap_or(&no_genomes), &mut codes)?;
                alphabet::without_case(&mut codes);
                sequences.insert(split::hash_of_either_strand(&codes));
            }
        }
        let by_chromosome = !learned.is_empty() && learned.is_disjoint(&judged);
        if by_chromosome {
            places.clear();
        }
        Ok(Self { sequences, chromosomes: learned.into_iter().collect(), by_chromosome, places, lists_training })
    }

    /// Whether test and training share chromosomes, of which the run had different blocks.
    pub fn by_blocks(&self) -> bool {
        !self.by_chromosome && !self.chromosomes.is_empty()
    }

    /// What of other data the run did not learn from.
    pub fn unseen(&self) -> Assignment {
        if self.by_chromosome || (self.by_blocks() && !self.lists_training) {
            Assignment::TestOnOthers(self.chromosomes.clone())
        } else if self.by_blocks() {
            Assignment::TestAwayFrom(self.places.clone())
        } else {
            Assignment::TestOnAll
        }
    }

    /// Number of examples whose sequence, on either strand, was in the run's training split.
    ///
    /// # Errors
    /// The temporary file of sequences cannot be read.
    pub fn shared(&self, examples: &Examples) -> Result<usize> {
        let mut shared = 0;
        examples.for_each_batch(1024, |_, codes| {
            let hashes = codes.chunks(examples.length).map(split::hash_of_either_strand);
            shared += hashes.filter(|hash| self.sequences.contains(hash)).count();
            Ok(())
        })?;
        Ok(shared)
    }
}

/// The genomes that rows without a sequence lie in, by path.
struct Genomes {
    genomes: HashMap<String, (Genome, HashMap<String, usize>)>,
}

impl Genomes {
    fn open(
        listing: &InputFile,
        memory: u64,
        moved: Option<&HashMap<PathBuf, PathBuf>>,
        progress: &Progress,
    ) -> Result<Self> {
        let mut wanted: HashMap<String, BTreeSet<String>> = HashMap::new();
        let mut table = Table::of_file(listing)?;
        if let (Some(source), Some(sequence), Some(chrom)) =
            (table.find("source")?, table.find("sequence")?, table.find("chrom")?)
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
            let path =
                moved.and_then(|moved| moved.get(Path::new(&source))).map_or(Path::new(&source), PathBuf::as_path);
            let genome = open_genome(path, memory, &|name| names.contains(name), progress)?;
            memory = memory.saturating_sub(genome.memory());
            let index = genome.chromosomes.iter().enumerate().map(|(i, c)| (c.name.clone(), i)).collect();
            genomes.insert(source, (genome, index));
        }
        Ok(Self { genomes })
    }

    /// Appends the codes at a place; `Err` says what is wrong with the row.
    fn read(&self, source: &str, place: &Place, codes: &mut Vec<u8>) -> Result<Result<()>, String> {
        let Some((genome, index)) = self.genomes.get(source) else {
            return Err(format!("the genome '{source}' is not known; fix the line"));
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
        Ok(genome.read_strand(chromosome, place.range.clone(), place.reverse, codes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "name\tchrom\tstart\tend\tstrand\tlabel\tsplit\tsource\tsequence\tbins_2bp\n";

    fn labels(rows: &str, columns: &[&str], bin: Option<usize>) -> Result<Vec<Label>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("examples.tsv");
        std::fs::write(&path, HEAD.to_owned() + rows).unwrap();
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        let mut sequences = Sequences::new(u64::MAX);
        let kind = Some(TaskKind::Regression);
        read(&path, kind, &columns, (bin, true), (u64::MAX, None), &mut sequences, &Progress::quiet())?;
        assert_eq!(sequences.bins, bin.map(|bp| Bins { count: 2, bp }));
        Ok(sequences.into_parts().into_iter().map(|part| part.1).collect())
    }

    #[test]
    fn bins_are_those_of_the_columns_asked_for() {
        let rows = "x\t\t\t\t\ta=1,b=4\ttrain\tf\tACGT\t0;2,3;5\ny\t\t\t\t\ta=2,b=6\ttest\tf\tACGA\t2;2,6;6\n";
        let bins = |rows: [[f32; 2]; 2]| rows.map(|row| Label::Bins(row.into())).to_vec();
        assert_eq!(labels(rows, &["b"], Some(2)).unwrap(), bins([[3.0, 5.0], [6.0, 6.0]]));
        assert_eq!(labels(rows, &[], Some(2)).unwrap()[0], Label::Bins([0.0, 2.0, 3.0, 5.0].into()));
        let error = labels(rows, &[], Some(4)).unwrap_err().to_string();
        assert!(error.contains("holds bins of 2 bp, and --bin is 4"), "{error}");
        // Without bins to learn, the means are the values.
        assert_eq!(labels(rows, &["b"], None).unwrap()[0], Label::Values([4.0].into()));
        for (rows, part) in [
            ("x\t\t\t\t\ta=1,b=4\ttrain\tf\tACGT\t0;2\n", "does not hold as many numbers"),
            ("x\t\t\t\t\ta=1,b=4\ttrain\tf\tACGT\t0;2,3\n", "does not hold as many numbers"),
            ("x\t\t\t\t\ta=1,b=4\ttrain\tf\tACGT\t0;x,3;5\n", "does not hold as many numbers"),
            ("x\t\t\t\t\ta=1\ttrain\tf\tACGT\t0;2\ny\t\t\t\t\ta=1\ttest\tf\tACGA\t1;1;1\n", "another number of bins"),
        ] {
            let error = labels(rows, &[], Some(2)).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("line"), "{error}");
        }
    }
}
