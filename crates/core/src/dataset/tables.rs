//! Tables of labelled sequences: CSV or TSV, plain or compressed, with the columns `sequence` and `label`, or columns of
//! labels or values; `split` and coordinates where there are any.

use std::io::BufRead;
use std::path::Path;

use anyhow::{Result, anyhow, bail};

use crate::dataset::examples::Name;
use crate::dataset::sequences::{Label, Read, Sequences};
use crate::dataset::split::Split;
use crate::format::list_first;
use crate::formats::compression::{InputFile, read_error};
use crate::genome::interval::{LONGEST_CHROMOSOME, Place};
use crate::genome::source_name;
use crate::sequence::alphabet;

/// Columns that are never labels.
const OTHER_COLUMNS: [&str; 9] = ["sequence", "split", "name", "id", "chrom", "start", "end", "strand", "source"];

/// A delimited file with a header, read row by row.
pub struct Table {
    file: String,
    reader: csv::Reader<Box<dyn BufRead + Send>>,
    header: Vec<String>,
    record: csv::ByteRecord,
    line: u64,
}

impl Table {
    /// Opens a table and reads its header.
    ///
    /// # Errors
    /// As [`InputFile::open`] and [`Table::of_file`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::of_file(&InputFile::open(path)?)
    }

    /// Reads an opened file from its start.
    ///
    /// # Errors
    /// The file cannot be read, or two columns have the same name.
    pub fn of_file(file: &InputFile) -> Result<Self> {
        let (path, mut input) = (file.path(), file.reader());
        let head = input.fill_buf().map_err(|error| read_error(path, &error))?;
        let first = head.split(|&byte| byte == b'\n').next().unwrap_or(&[]);
        let delimiter = if first.contains(&b'\t') { b'\t' } else { b',' };
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(input);
        let file = path.display().to_string();
        let header = reader.byte_headers().map_err(|error| table_error(&file, error))?;
        let header: Vec<String> =
            header.iter().map(|name| String::from_utf8_lossy(&name[..name.len().min(60)]).into_owned()).collect();
        if let Some((i, name)) = header.iter().enumerate().find(|(i, name)| header[..*i].contains(name)) {
            bail!(
                "{file}: line 1: column {} is named '{name}' like one before it, expected different names; rename it",
                i + 1
            );
        }
        Ok(Self { file, reader, header, record: csv::ByteRecord::new(), line: 1 })
    }

    /// The place of a column, upper and lower case alike where none is written so exactly.
    pub fn find(&self, name: &str) -> Option<usize> {
        let exactly = self.header.iter().position(|found| found == name);
        exactly.or_else(|| self.header.iter().position(|found| found.eq_ignore_ascii_case(name)))
    }

    /// The place of a column that there must be.
    ///
    /// # Errors
    /// The header has no such column; `wanted` says in the message which columns there should be.
    pub fn column(&self, name: &str, wanted: &str) -> Result<usize> {
        self.find(name).ok_or_else(|| {
            anyhow!(
                "{}: line 1: there is no column '{name}' (found: {}), expected a header with {wanted}; name the columns",
                self.file,
                list_first(&self.header, 8)
            )
        })
    }

    /// Goes to the next row.
    ///
    /// # Errors
    /// The row has another number of fields than the header, or the file cannot be read.
    pub fn next_row(&mut self) -> Result<bool> {
        let more = self.reader.read_byte_record(&mut self.record).map_err(|error| table_error(&self.file, error))?;
        // With CRLF ends csv counts a line late, so its count of records decides.
        self.line = self.record.position().map_or(0, |position| position.line().max(position.record() + 1));
        Ok(more)
    }

    /// The line of this row; 1 is the header.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Field of this row, without surrounding spaces; `column` counts from 0.
    pub fn bytes(&self, column: usize) -> &[u8] {
        &self.record[column]
    }

    /// Field of this row as text.
    ///
    /// # Errors
    /// The field is not UTF-8.
    pub fn text(&self, column: usize) -> Result<&str> {
        std::str::from_utf8(&self.record[column])
            .map_err(|_| self.fault(&format!("column '{}' is not UTF-8 text; fix the line", self.header[column])))
    }

    /// What is wrong with this row.
    pub fn fault(&self, what: &str) -> anyhow::Error {
        anyhow!("{}: line {}: {what}", self.file, self.line)
    }

    /// Split that a field of this row names.
    ///
    /// # Errors
    /// The field names no split.
    pub fn split(&self, column: usize) -> Result<Split> {
        let text = self.text(column)?;
        Split::named(text).ok_or_else(|| {
            self.fault(&format!("found the split '{text}', expected train, valid or test; correct the line"))
        })
    }

    /// A place in a genome, where the columns for it are there and not empty.
    ///
    /// # Errors
    /// A coordinate is not a number, or the start is not below the end.
    pub fn place(&self, columns: &PlaceColumns) -> Result<Option<Place>> {
        let PlaceColumns { chrom, start, end, strand } = columns;
        let chromosome = self.text(*chrom)?;
        if chromosome.is_empty() {
            return Ok(None);
        }
        let number = |column: usize| -> Result<usize> {
            let text = self.text(column)?;
            text.parse().ok().filter(|&number: &usize| number <= LONGEST_CHROMOSOME).ok_or_else(|| {
                self.fault(&format!("found '{text}' as {}, expected a position; correct the line", self.header[column]))
            })
        };
        let (start, end) = (number(*start)?, number(*end)?);
        if start >= end {
            return Err(
                self.fault(&format!("start {start} is not below end {end}, expected start < end; correct the line"))
            );
        }
        let reverse = match strand {
            Some(column) => self.bytes(*column) == b"-",
            None => false,
        };
        Ok(Some(Place { chromosome: chromosome.into(), range: start..end, reverse }))
    }

    /// Columns `chrom`, `start`, `end` and `strand`; `None` if one of the first three is missing.
    pub fn place_columns(&self) -> Option<PlaceColumns> {
        let (chrom, start, end) = (self.find("chrom")?, self.find("start")?, self.find("end")?);
        Some(PlaceColumns { chrom, start, end, strand: self.find("strand") })
    }

    /// A finite number.
    fn value(&self, column: usize) -> Result<f32> {
        let text = self.text(column)?;
        text.parse::<f32>().ok().filter(|value| value.is_finite()).ok_or_else(|| {
            let (found, name) =
                (if text.is_empty() { "nothing".into() } else { format!("'{text}'") }, &self.header[column]);
            self.fault(&format!("found {found} in column '{name}', expected a number; correct or remove the line"))
        })
    }
}

/// Where a table holds coordinates, 0-based and half-open.
pub struct PlaceColumns {
    /// Column of the chromosome's name.
    pub chrom: usize,
    /// Column of the start, in bp.
    pub start: usize,
    /// Column of the end, in bp.
    pub end: usize,
    /// Column of the strand, where `-` means reverse; without it all are forward.
    pub strand: Option<usize>,
}

/// Which columns hold labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelColumns {
    /// The column `label`, a class.
    Class,
    /// These columns, or all that can be if none is named: a label or value each.
    Values(Vec<String>),
}

/// Reads a whole table into `sequences`. With `part` given, all rows belong to it; otherwise the column `split` says
/// where each belongs, if there is one.
///
/// # Errors
/// The file is missing or damaged, a column is missing, a sequence is empty or holds a letter that is no base, a label
/// is not what it should be; each with the line.
pub fn read(path: &Path, labels: &LabelColumns, part: Option<Split>, sequences: &mut Sequences) -> Result<()> {
    let mut table = Table::open(path)?;
    let source = source_name(path);
    let sequence = table.column("sequence", "sequence and label")?;
    let columns: Vec<usize> = match labels {
        LabelColumns::Class => vec![table.column("label", "sequence and label")?],
        LabelColumns::Values(names) if names.is_empty() => {
            let is_label = |name: &str| !OTHER_COLUMNS.iter().any(|other| other.eq_ignore_ascii_case(name));
            (0..table.header.len()).filter(|&i| is_label(&table.header[i])).collect()
        }
        LabelColumns::Values(names) => {
            names.iter().map(|name| table.column(name, "the columns of --label-columns")).collect::<Result<_>>()?
        }
    };
    if *labels != LabelColumns::Class {
        let names: Vec<String> = columns.iter().map(|&column| table.header[column].clone()).collect();
        if names.is_empty() {
            bail!("{}: line 1: there is no column of labels or values beside the sequence; add one", table.file);
        }
        if let Some(name) = names.iter().find(|name| name.contains([',', '='])) {
            bail!("{}: line 1: the column '{name}' has a comma or an equals sign in its name; rename it", table.file);
        }
        if !sequences.columns.is_empty() && sequences.columns != names {
            bail!(
                "{}: line 1: the columns of labels are {}, expected {} as in the training table; name them alike",
                table.file,
                list_first(&names, 8),
                list_first(&sequences.columns, 8)
            );
        }
        sequences.columns = names;
    }
    let split_column = if part.is_none() { table.find("split") } else { None };
    let place_columns = table.place_columns();
    let (mut codes, before) = (Vec::new(), sequences.len());
    while table.next_row()? {
        codes.clear();
        alphabet::encode_with_case(table.bytes(sequence), &mut codes)
            .map_err(|fault| table.fault(&format!("{fault}; fix or remove the line")))?;
        let label = match labels {
            LabelColumns::Class => match table.text(columns[0])? {
                "" => {
                    return Err(
                        table.fault("the label is empty, expected a class name or number; fix or remove the line")
                    );
                }
                name => sequences.class(name),
            },
            LabelColumns::Values(_) => {
                Label::Values(columns.iter().map(|&column| table.value(column)).collect::<Result<_>>()?)
            }
        };
        let split = split_column.map(|column| table.split(column)).transpose()?.or(part);
        let place = place_columns.as_ref().map(|columns| table.place(columns)).transpose()?.flatten();
        let read = Read { source: &source, name: Name::Line(table.line()), place, in_genome: false };
        sequences.push(&codes, label, split, read)?;
    }
    if sequences.len() == before {
        bail!("{}: the table has a header and no rows, expected labelled sequences; check the file", table.file);
    }
    Ok(())
}

fn table_error(file: &str, error: csv::Error) -> anyhow::Error {
    let line = error.position().map_or_else(String::new, |position| format!(" line {}:", position.line()));
    match error.into_kind() {
        csv::ErrorKind::Io(error) => read_error(Path::new(file), &error),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            anyhow!("{file}:{line} found {len} columns, expected {expected_len} as in the header; fix the line")
        }
        other => anyhow!("{file}:{line} the table cannot be read ({other:?}); check the file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn table(text: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        file
    }

    /// Codes, label, line and split.
    type Row = (Vec<u8>, Label, Name, Option<Split>);

    fn rows(bytes: &[u8], labels: &LabelColumns) -> Result<Vec<Row>> {
        let mut sequences = Sequences::new(u64::MAX);
        read(table(bytes).path(), labels, None, &mut sequences)?;
        let rows = sequences.into_parts().into_iter().map(|(mut codes, label, split, origin)| {
            alphabet::without_case(&mut codes);
            (codes, label, origin.name, split)
        });
        Ok(rows.collect())
    }

    fn error(text: &str, labels: &LabelColumns) -> String {
        rows(text.as_bytes(), labels).unwrap_err().to_string()
    }

    #[test]
    fn csv_tsv_and_gzip_are_read_alike() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"sequence,label\nACGT,1\nNNNA,0\n").unwrap();
        let expected = rows(b"sequence,label\nACGT,1\nNNNA,0\n", &LabelColumns::Class).unwrap();
        assert_eq!(expected[1], (vec![4, 4, 4, 0], Label::Class("0".into()), Name::Line(3), None));
        for other in [
            &gzip.finish().unwrap()[..],
            b"label\textra\tSequence\n1\tx\tacgu\n0\ty\tnnna\n",
            b"sequence,label\r\nACGT,1\r\nNNNA,0\r\n",
            b"sequence,label\nACGT,1\r\nNNNA,0",
        ] {
            assert_eq!(rows(other, &LabelColumns::Class).unwrap(), expected);
        }
    }

    #[test]
    fn splits_labels_and_values_have_columns_of_their_own() {
        let text = b"sequence,split,liver,brain\nACGT,train,1,0\nACGA,dev,0.5,-2e1\nACGG,Test,0,1\n";
        let all = rows(text, &LabelColumns::Values(Vec::new())).unwrap();
        assert_eq!(all[1].1, Label::Values([0.5, -20.0].into()));
        let splits: Vec<_> = all.iter().map(|row| row.3).collect();
        assert_eq!(splits, [Some(Split::Train), Some(Split::Valid), Some(Split::Test)]);
        let one = rows(text, &LabelColumns::Values(vec!["brain".into()])).unwrap();
        assert_eq!(one[2].1, Label::Values([1.0].into()));
    }

    #[test]
    fn faults_are_named_with_their_line() {
        let class = || LabelColumns::Class;
        let values = |names: &[&str]| LabelColumns::Values(names.iter().map(|name| (*name).to_owned()).collect());
        for (text, labels, parts) in [
            ("", class(), &["empty"][..]),
            ("sequence,label\n", class(), &["no rows"]),
            ("seq,label\nACGT,1\n", class(), &["line 1", "'sequence'", "seq, label"]),
            ("sequence,label,label\nACGT,1,1\n", class(), &["line 1", "column 3", "'label'"]),
            ("sequence,label\nACGT,1\nAC-T,0\n", class(), &["line 3", "'-'", "base 3"]),
            ("sequence,label\nACGT\n", class(), &["line 2", "1 columns", "expected 2"]),
            ("sequence,label\nACGT,\n", class(), &["line 2", "label is empty"]),
            ("sequence,label\n,1\n", class(), &["line 2", "sequence is empty"]),
            ("sequence,label\nACGT,1\nNNnn,1\n", class(), &["line 3", "all 4 bases are unknown"]),
            ("sequence,label,split\nACGT,1,half\n", class(), &["line 2", "'half'", "train, valid or test"]),
            ("sequence,a\nACGT,x\n", values(&[]), &["line 2", "'x'", "column 'a'", "number"]),
            ("sequence,a\nACGT,\n", values(&[]), &["line 2", "nothing", "column 'a'"]),
            ("sequence,a\nACGT,inf\n", values(&[]), &["line 2", "'inf'"]),
            ("sequence,a\nACGT,1\n", values(&["b"]), &["line 1", "'b'", "sequence, a"]),
            ("sequence\nACGT\n", values(&[]), &["line 1", "no column of labels"]),
            ("sequence,label,chrom,start,end\nACGT,1,chr1,9,5\n", class(), &["line 2", "9", "5"]),
        ] {
            let message = error(text, &labels);
            assert!(parts.iter().all(|part| message.contains(part)), "{text:?}: {message}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, rows_ in "sequence[,\t]label\n[ACGTacgtN,\t\"\r\n01a]{0,200}") {
            for labels in [LabelColumns::Class, LabelColumns::Values(Vec::new())] {
                let _ = rows(&bytes, &labels);
                let _ = rows(rows_.as_bytes(), &labels);
            }
        }
    }
}
