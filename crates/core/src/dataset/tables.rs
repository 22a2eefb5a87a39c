//! Tables of labelled sequences: CSV or TSV, plain or compressed, with the columns `sequence` and `label`, or columns of
//! labels or values; `split` and coordinates where there are any.

mod places;
mod targets;

use std::path::Path;

use anyhow::{Result, bail};

use crate::dataset::class_labels::reads_as_missing;
use crate::dataset::columns::{self, PlaceColumns};
use crate::dataset::examples::Name;
use crate::dataset::sequences::{Label, Read, Sequences};
use crate::dataset::split::Split;
use crate::dataset::tables::places::Places;
use crate::dataset::tables::targets::default_targets;
use crate::format::{list_first, shortened};
use crate::formats::compression::InputFile;
use crate::formats::delimited::Rows;
use crate::genome::interval::{LONGEST_CHROMOSOME, Place};
use crate::genome::source_name;
use crate::progress::Progress;
use crate::sequence::alphabet;

/// The most characters of a name or field in a message.
const SHOWN: usize = 60;

/// A delimited file with a header, read row by row.
pub struct Table {
    rows: Rows,
    header: Vec<String>,
    /// The line of the header, from 1.
    header_line: u64,
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
    /// The file cannot be read, or is not a delimited text.
    pub fn of_file(file: &InputFile) -> Result<Self> {
        let rows = Rows::open(file.path(), file.reader())?;
        let name = |column| String::from_utf8_lossy(rows.field(column)).into_owned();
        let header = (0..rows.width()).map(name).collect();
        let header_line = rows.line();
        Ok(Self { rows, header, header_line })
    }

    /// The place of a column, upper and lower case alike where none is written so exactly, and also behind a `#`.
    ///
    /// # Errors
    /// Two columns have that name.
    pub fn find(&self, name: &str) -> Result<Option<usize>> {
        let exactly = |found: &str| found == name;
        let alike = |found: &str| found.strip_prefix('#').unwrap_or(found).trim_start().eq_ignore_ascii_case(name);
        let named = |is: &dyn Fn(&str) -> bool| -> Vec<usize> {
            (0..self.header.len()).filter(|&i| is(&self.header[i])).collect()
        };
        let found = match named(&exactly) {
            none if none.is_empty() => named(&alike),
            found => found,
        };
        if let [_, second, ..] = found[..] {
            bail!(
                "{}: line {}: column {} is named '{}' like one before it, expected different names; rename it",
                self.rows.file(),
                self.header_line,
                second + 1,
                shortened(&self.header[second], SHOWN)
            );
        }
        Ok(found.first().copied())
    }

    /// Names of the columns, in order.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The place of a column that there must be.
    ///
    /// # Errors
    /// The header has no such column, or two; `wanted` says in the message which columns there should be.
    pub fn column(&self, name: &str, wanted: &str) -> Result<usize> {
        self.find(name)?.ok_or_else(|| {
            let found: Vec<String> = self.header.iter().map(|name| shortened(name, SHOWN)).collect();
            self.fault(&format!(
                "there is no column '{name}' (found: {}), expected a header with {wanted}; name the columns",
                list_first(&found, 8)
            ))
        })
    }

    /// Goes to the next row.
    ///
    /// # Errors
    /// The row has another number of fields than the header, a quote in it is not closed, or the file cannot be read.
    pub fn next_row(&mut self) -> Result<bool> {
        self.rows.next_row()
    }

    /// The line of this row; 1 is the header.
    pub fn line(&self) -> u64 {
        self.rows.line()
    }

    /// Field of this row, without surrounding spaces; `column` counts from 0.
    pub fn bytes(&self, column: usize) -> &[u8] {
        self.rows.field(column)
    }

    /// Field of this row as text.
    ///
    /// # Errors
    /// The field is not UTF-8.
    pub fn text(&self, column: usize) -> Result<&str> {
        std::str::from_utf8(self.bytes(column))
            .map_err(|_| self.fault(&format!("column '{}' is not UTF-8 text; fix the line", self.shown(column))))
    }

    /// What is wrong with this row.
    pub fn fault(&self, what: &str) -> anyhow::Error {
        self.rows.fault(what)
    }

    /// Split that a field of this row names.
    ///
    /// # Errors
    /// The field names no split.
    pub fn split(&self, column: usize) -> Result<Split> {
        let text = self.text(column)?;
        Split::named(text).ok_or_else(|| {
            self.fault(&format!(
                "found the split '{}', expected train, valid or test; correct the line",
                shortened(text, SHOWN)
            ))
        })
    }

    /// A place in a genome as the columns have it, where they are not empty.
    ///
    /// # Errors
    /// A coordinate is not a number, or the start is not below the end.
    pub fn place(&self, columns: &PlaceColumns) -> Result<Option<Place>> {
        match self.coordinates(columns)? {
            Some(place) if place.range.is_empty() => Err(self.order(place.range.start, place.range.end)),
            place => Ok(place),
        }
    }

    /// A place that may be empty, as a single base counted from 1 is.
    fn coordinates(&self, columns: &PlaceColumns) -> Result<Option<Place>> {
        let PlaceColumns { chrom, start, end, strand } = columns;
        let chromosome = self.text(*chrom)?;
        if reads_as_missing(chromosome) {
            return Ok(None);
        }
        // Data frames write chromosome 1 as 1.0 in a column that has gaps.
        let whole = chromosome.strip_suffix(".0").filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        let chromosome = whole.unwrap_or(chromosome);
        let number = |column: usize| -> Result<Option<usize>> {
            let text = self.text(column)?;
            if reads_as_missing(text) {
                return Ok(None);
            }
            let number = position(text).ok_or_else(|| {
                self.fault(&format!(
                    "found '{}' as {}, expected a position; correct the line",
                    shortened(text, SHOWN),
                    self.shown(column)
                ))
            });
            number.map(Some)
        };
        let (Some(start), Some(end)) = (number(*start)?, number(*end)?) else { return Ok(None) };
        if start > end {
            return Err(self.order(start, end));
        }
        let strand = strand.map_or(&b"+"[..], |column| self.bytes(column));
        let reverse =
            [&b"-"[..], b"-1", b"-1.0", b"minus", b"reverse"].iter().any(|other| strand.eq_ignore_ascii_case(other));
        Ok(Some(Place { chromosome: chromosome.into(), range: start..end, reverse }))
    }

    fn order(&self, start: usize, end: usize) -> anyhow::Error {
        self.fault(&format!("start {start} is not below end {end}, expected start < end; correct the line"))
    }

    /// The columns of a place, by any of their usual names.
    ///
    /// # Errors
    /// Two columns have the same of these names.
    pub fn place_columns(&self) -> Result<Option<PlaceColumns>> {
        columns::places(&self.header, |name| self.find(name))
    }

    /// A finite number, or `NaN` where the field reads as missing.
    fn value(&self, column: usize) -> Result<f32> {
        let text = self.text(column)?;
        if reads_as_missing(text) {
            return Ok(f32::NAN);
        }
        number(text).ok_or_else(|| {
            let comma = text.contains(',') && number(&text.replace(',', ".")).is_some();
            self.fault(&format!(
                "found '{}' in column '{}', expected a number{}; correct or remove the line",
                shortened(text, SHOWN),
                self.shown(column),
                if comma { " with a decimal point" } else { "" }
            ))
        })
    }

    /// The name of a column, as messages show it.
    fn shown(&self, column: usize) -> String {
        shortened(&self.header[column], SHOWN)
    }
}

/// A finite number of a field; 1 and 0 for true and false, as data frames write yes and no.
fn number(text: &str) -> Option<f32> {
    let number = text.parse::<f32>().ok().filter(|value| value.is_finite());
    number.or_else(|| truth(text).map(|is_true| f32::from(u8::from(is_true))))
}

fn truth(text: &str) -> Option<bool> {
    [("true", true), ("false", false)]
        .into_iter()
        .find_map(|(word, value)| text.eq_ignore_ascii_case(word).then_some(value))
}

/// A position, also as data frames write one in a column that has gaps (`100.0`) and R a round one (`1e+05`).
fn position(text: &str) -> Option<usize> {
    let whole = || text.parse::<f64>().ok().filter(|number| number.fract() == 0.0 && *number >= 0.0);
    let number = text.parse().ok().or_else(|| whole().map(|number| number as usize));
    number.filter(|&number: &usize| number <= LONGEST_CHROMOSOME)
}

/// Which columns hold labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelColumns {
    /// The column `label`, a class.
    Class,
    /// These columns, or all that can be if none is named: a label or value each.
    Values(Vec<String>),
}

/// How tables are read.
pub struct TableRequest<'a> {
    /// Which columns hold labels.
    pub labels: LabelColumns,
    /// The classes, where they are known: whatever a label reads as, it may be one of these.
    pub classes: &'a [String],
    /// The column that names the part of the folds of each row.
    pub fold_column: Option<&'a str>,
    /// Where notices about the table go.
    pub progress: Progress,
}

/// Reads a whole table into `sequences`. With `part` given, all rows belong to it; otherwise the column `split` says
/// where each belongs, if there is one. Missing labels and values are `NaN`.
///
/// # Errors
/// The file is missing or damaged, a column is missing, a sequence is empty or holds a letter that is no base, a label
/// is not what it should be; each with the line.
pub fn read(path: &Path, request: &TableRequest, part: Option<Split>, sequences: &mut Sequences) -> Result<()> {
    let file = InputFile::open(path)?;
    let mut table = Table::of_file(&file)?;
    let source = source_name(path);
    let sequence = table.column("sequence", "sequence and label")?;
    let fold_column = request.fold_column.map(|name| table.column(name, "the column of --fold-column")).transpose()?;
    let columns = match &request.labels {
        LabelColumns::Class => vec![table.column("label", "sequence and label")?],
        LabelColumns::Values(_) if !sequences.columns.is_empty() => {
            find_all(&table, &sequences.columns, "the columns of labels of the training table")?
        }
        LabelColumns::Values(names) if names.is_empty() => {
            let mut found = default_targets(&file, request.progress)?;
            if let Some(column) = fold_column {
                found.retain(|&other| other != column);
            }
            found
        }
        LabelColumns::Values(names) => find_all(&table, names, "the columns of --label-columns")?,
    };
    if request.labels != LabelColumns::Class && sequences.columns.is_empty() {
        let names: Vec<String> = columns.iter().map(|&column| table.header[column].clone()).collect();
        if let Some(name) = names.iter().find(|name| name.contains([',', '='])) {
            return Err(table.fault(&format!(
                "the column '{}' has a comma or an equals sign in its name; rename it",
                shortened(name, SHOWN)
            )));
        }
        sequences.columns = names;
    }
    let split_column = if part.is_none() { table.find("split")? } else { None };
    let mut places = Places::of(&table)?;
    let (mut codes, before) = (Vec::new(), sequences.len());
    while table.next_row()? {
        codes.clear();
        alphabet::encode_with_case(table.bytes(sequence), &mut codes)
            .map_err(|fault| table.fault(&format!("{fault}; fix or remove the line")))?;
        let label = match request.labels {
            LabelColumns::Class => {
                let name = table.text(columns[0])?;
                check_class(&table, name, request.classes)?;
                sequences.class(name)
            }
            LabelColumns::Values(_) => {
                Label::Values(columns.iter().map(|&column| table.value(column)).collect::<Result<_>>()?)
            }
        };
        let split = split_column.map(|column| table.split(column)).transpose()?.or(part);
        let coordinates = places.of_row(&table, codes.len())?;
        let read = Read { source: &source, name: Name::Line(table.line()), place: None, in_genome: false };
        sequences.push_record(&codes, label, split, read, coordinates)?;
        if let Some(column) = fold_column
            && !reads_as_missing(table.text(column)?)
        {
            sequences.set_part(table.text(column)?);
        }
    }
    let n = sequences.len() - before;
    if n == 0 {
        bail!("{}: the table has a header and no rows, expected labelled sequences; check the file", path.display());
    }
    places.warn(&table, n, request.progress);
    Ok(())
}

fn find_all(table: &Table, names: &[String], wanted: &str) -> Result<Vec<usize>> {
    names.iter().map(|name| table.column(name, wanted)).collect()
}

/// Checks that a label can be the name of a class.
fn check_class(table: &Table, label: &str, classes: &[String]) -> Result<()> {
    if classes.iter().any(|class| class == label) {
        return Ok(());
    }
    if label.is_empty() {
        return Err(table.fault("the label is empty, expected a class name or number; fix or remove the line"));
    }
    if reads_as_missing(label) {
        return Err(table.fault(&format!(
            "the label '{label}' reads as missing, expected a class name or number; fix or remove the line, or list it in --classes if it is a class"
        )));
    }
    if label.contains('"') {
        return Err(table.fault(&format!(
            "the label '{}' holds a quote, expected a class name or number; remove it, or list it in --classes if it is a class",
            shortened(label, SHOWN)
        )));
    }
    Ok(())
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

    fn sequences(bytes: &[u8], labels: &LabelColumns) -> Result<Sequences> {
        let mut sequences = Sequences::new(u64::MAX);
        let request =
            TableRequest { labels: labels.clone(), classes: &[], fold_column: None, progress: Progress::quiet() };
        read(table(bytes).path(), &request, None, &mut sequences)?;
        Ok(sequences)
    }

    fn rows(bytes: &[u8], labels: &LabelColumns) -> Result<Vec<Row>> {
        let rows = sequences(bytes, labels)?.into_parts().into_iter().map(|(mut codes, label, split, origin)| {
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
            ("sequence,a\nACGT,\n", values(&[]), &["line 1", "no column of labels", "a (without a value)"]),
            ("sequence,a\nACGT,\"0,5\"\n", values(&["a"]), &["line 2", "'0,5'", "decimal point"]),
            ("sequence,a,a\nACGT,1,1\n", values(&[]), &["line 1", "column 3", "'a'"]),
            ("sequence,sequence,a\nACGT,ACGT,1\n", values(&[]), &["line 1", "column 2", "'sequence'"]),
            ("sequence,a\nACGT,inf\n", values(&[]), &["line 2", "'inf'"]),
            ("sequence,a\nACGT,1\n", values(&["b"]), &["line 1", "'b'", "sequence, a"]),
            ("sequence\nACGT\n", values(&[]), &["line 1", "no column of labels"]),
            ("sequence,label,chrom,start,end\nACGT,1,chr1,9,5\n", class(), &["line 2", "9", "5"]),
            ("sequence,label,chr,start,stop\nACGT,1,chr1,x,5\n", class(), &["line 2", "'x'", "start", "position"]),
        ] {
            let message = error(text, &labels);
            assert!(parts.iter().all(|part| message.contains(part)), "{text:?}: {message}");
        }
    }

    #[test]
    fn a_column_that_does_not_matter_may_have_any_name_or_two_of_one() {
        for text in [
            "sequence,label,x,x\nACGT,1,a,b\n",
            "sequence,label,\nACGT,1,\n",
            ",sequence,label\n0,ACGT,1\n",
            "sequence,label,,\nACGT,1,,\n",
            "\u{feff}Sequence,LABEL,a b\nACGT,1,c\n",
            "#sequence\tlabel\nACGT\t1\n",
            "sequence;label\nACGT;1\n;\n",
        ] {
            assert_eq!(rows(text.as_bytes(), &LabelColumns::Class).unwrap()[0].1, Label::Class("1".into()), "{text:?}");
        }
    }

    /// A table of numbers, 30 rows, with these columns before `sequence` and after it.
    fn of_columns(before: &[(&str, &dyn Fn(usize) -> String)], after: &[(&str, &dyn Fn(usize) -> String)]) -> String {
        let line = |cells: &mut dyn Iterator<Item = String>| cells.collect::<Vec<_>>().join(",") + "\n";
        let names = before.iter().map(|column| column.0).chain(["sequence"]).chain(after.iter().map(|column| column.0));
        let mut text = line(&mut names.map(str::to_owned));
        for i in 0..30 {
            let sequence = format!("ACGTTGCA{}", ["A", "C", "G"][i % 3]);
            let cells = before.iter().map(|column| column.1(i)).chain([sequence]);
            text += &line(&mut cells.chain(after.iter().map(|column| column.1(i))));
        }
        text
    }

    #[test]
    fn targets_by_default_are_numbers_that_mean_something() {
        let values: &dyn Fn(usize) -> String = &|i| format!("{}.5", i * 7 % 11);
        let from_0: &dyn Fn(usize) -> String = &|i| i.to_string();
        let from_1: &dyn Fn(usize) -> String = &|i| (i + 1).to_string();
        let from_500: &dyn Fn(usize) -> String = &|i| (i + 500).to_string();
        let shuffled: &dyn Fn(usize) -> String = &|i| (i * 7 % 30).to_string();
        let folds: &dyn Fn(usize) -> String = &|i| (i % 5).to_string();
        let text: &dyn Fn(usize) -> String = &|i| format!("gene{}", i % 4);
        let mostly_text: &dyn Fn(usize) -> String = &|i| if i % 4 == 0 { i.to_string() } else { "B7".into() };
        let nothing: &dyn Fn(usize) -> String = &|_| "NA".into();
        let gaps: &dyn Fn(usize) -> String = &|i| if i % 3 == 0 { String::new() } else { format!("{}", i * i) };
        let targets = |before: &[(&str, &dyn Fn(usize) -> String)], after: &[(&str, &dyn Fn(usize) -> String)]| {
            sequences(of_columns(before, after).as_bytes(), &LabelColumns::Values(Vec::new())).unwrap().columns
        };
        for before in [
            ("", from_0),
            ("Unnamed: 0", from_0),
            ("Unnamed: 0", shuffled),
            ("index", shuffled),
            ("...1", from_1),
            ("X", from_1),
            ("rank", from_500),
            ("fold", folds),
            ("cv_fold", folds),
            ("Fold", folds),
            ("id", shuffled),
            ("peak_id", from_500),
            ("PeakID", shuffled),
            ("chr", folds),
            ("pos", from_500),
            ("#chrom", folds),
            ("start", from_500),
            ("chromEnd", from_500),
            ("weight", values),
            ("sample_weight", values),
            ("gene", text),
            ("sample", mostly_text),
            ("empty", nothing),
            ("split", &|i| ["train", "valid", "test"][i % 3].into()),
        ] {
            assert_eq!(targets(&[before], &[("activity", values)]), ["activity"], "{}", before.0);
            assert_eq!(targets(&[], &[("activity", values), before, ("", nothing)]), ["activity"], "{}", before.0);
        }
        // What only looks like one of them is a target.
        let others: [(&str, &dyn Fn(usize) -> String); 8] = [
            ("log2FoldChange", values),
            ("rank", shuffled),
            ("0", values),
            ("weighted", folds),
            ("score", gaps),
            ("is_open", &|i| ["True", "False"][i % 2].into()),
            ("x", gaps),
            ("below", &|i| (i as i64 - 3).to_string()),
        ];
        for other in others {
            assert_eq!(targets(&[other], &[("activity", values)]), [other.0, "activity"]);
        }
        // What is asked for is taken.
        let text = of_columns(&[("fold", folds), ("id", shuffled)], &[("activity", values)]);
        let named = |names: &[&str]| LabelColumns::Values(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(sequences(text.as_bytes(), &named(&["fold", "ID"])).unwrap().columns, ["fold", "id"]);
        // One odd cell is an error, and takes no target away.
        let odd = of_columns(&[], &[("activity", &|i| if i == 7 { "high".into() } else { values(i) })]);
        assert!(error(&odd, &named(&[])).contains("line 9: found 'high' in column 'activity', expected a number"));
        let none = of_columns(&[("fold", folds)], &[("id", from_0)]);
        assert!(error(&none, &named(&[])).contains("but fold (a fold or split), id (an id); add one, or name one"));
    }

    #[test]
    fn the_columns_of_a_second_table_may_come_in_any_order() {
        let mut both = Sequences::new(u64::MAX);
        let request = TableRequest {
            labels: LabelColumns::Values(Vec::new()),
            classes: &[],
            fold_column: None,
            progress: Progress::quiet(),
        };
        read(table(b"sequence,a,b\nACGT,1,2\n").path(), &request, Some(Split::Train), &mut both).unwrap();
        read(table(b"more,b,sequence,a\n7,4,ACGT,3\n").path(), &request, Some(Split::Test), &mut both).unwrap();
        let error = read(table(b"sequence,a\nACGT,3\n").path(), &request, Some(Split::Test), &mut both).unwrap_err();
        assert!(error.to_string().contains("no column 'b'"), "{error}");
        let labels: Vec<Label> = both.into_parts().into_iter().map(|part| part.1).collect();
        assert_eq!(labels, [Label::Values([1.0, 2.0].into()), Label::Values([3.0, 4.0].into())]);
    }

    #[test]
    fn a_missing_value_is_no_number_whatever_it_is_written_as() {
        for missing in ["", "NA", "nan", "NaN", "None", "null", "N/A", "#N/A", "<NA>", ".", "\"\"", " "] {
            let text = format!("sequence,a,b\nACGT,{missing},2\nACGG,1,3\n");
            let found = rows(text.as_bytes(), &LabelColumns::Values(Vec::new())).unwrap();
            let Label::Values(values) = &found[0].1 else { panic!("values") };
            assert!(values[0].is_nan() && values[1] == 2.0, "{missing:?}");
        }
    }

    #[test]
    fn a_label_that_reads_as_missing_is_an_error_unless_it_is_a_class() {
        let classes = ["None".to_owned(), "b".to_owned()];
        for missing in ["NA", "nan", "NaN", "None", "none", "null", "NULL", "N/A", "n/a", "#N/A", "<NA>", ".", "?"] {
            let text = format!("sequence,label\nACGT,b\nACGG,{missing}\n");
            let found = error(&text, &LabelColumns::Class);
            assert!(found.contains(&format!("line 3: the label '{missing}' reads as missing")), "{found}");
            let request = TableRequest {
                labels: LabelColumns::Class,
                classes: &classes,
                fold_column: None,
                progress: Progress::quiet(),
            };
            let listed = read(table(text.as_bytes()).path(), &request, None, &mut Sequences::new(u64::MAX));
            assert_eq!(listed.is_ok(), missing == "None", "{missing}");
        }
        assert!(error("sequence,label\nACGT,1\"\n", &LabelColumns::Class).contains("holds a quote"));
    }

    #[test]
    fn coordinates_are_known_by_their_usual_names_and_told_by_the_length() {
        let place = |start, end, reverse| Some(Place { chromosome: "chr1".into(), range: start..end, reverse });
        for (columns, cells, expected) in [
            ("chrom,start,end", "chr1,10,20", place(10, 20, false)),
            ("chr,start,end,strand", "chr1,10,20,-", place(10, 20, true)),
            ("#chrom,chromStart,chromEnd,strand", "chr1,10,20,+", place(10, 20, false)),
            ("#chr,start,stop,strand", "chr1,10,20,-1", place(10, 20, true)),
            ("chromosome,start,end,strand", "chr1,10,20,1", place(10, 20, false)),
            ("Chromosome,Start,End,Strand", "chr1,10,20,.", place(10, 20, false)),
            ("CHR,START,STOP", "chr1,10,20", place(10, 20, false)),
            ("seqnames,start,end,width,strand", "chr1,11,20,10,*", place(10, 20, false)),
            ("seqname,start,end", "chr1,11,20", place(10, 20, false)),
            ("contig,start,end", "chr1,1,10", place(0, 10, false)),
            ("chrom,start,end", "chr1,10.0,20.0", place(10, 20, false)),
            ("chrom,start,end", "chr1,1e+05,100010", place(100_000, 100_010, false)),
            ("chrom,start,end", "chr1,NA,NA", None),
            (
                "chr,start,end",
                "chr1.0,10,20",
                Some(Place { chromosome: "chr1.0".into(), range: 10..20, reverse: false }),
            ),
            ("chr,start,end", "7.0,10.0,20.0", Some(Place { chromosome: "7".into(), range: 10..20, reverse: false })),
            ("chrom,start,end", "NA,,", None),
            ("chrom,start,end", ",,", None),
            ("chrom,start,end", ".,-1,-1", None),
            // Resized sequences are still split by chromosome.
            ("chrom,start,end", "chr1,0,500", place(0, 500, false)),
            ("chrom,start,end", "chr1,3,5", place(3, 5, false)),
            ("region", "chr1:10-20", place(10, 20, false)),
            ("name", "chr1:11-20", place(10, 20, false)),
            ("coordinates", "chr1:10-20(-)", place(10, 20, true)),
            ("Unnamed: 0", "chr1:10-20", place(10, 20, false)),
            ("name,id", "peak7,chr1:10-20", place(10, 20, false)),
            ("name", "peak7", None),
            ("chrom,pos", "chr1,10", None),
        ] {
            for text in [
                format!("{columns},sequence,label\n{cells},ACGTTGCACC,1\n"),
                format!("sequence,label,{columns}\nACGTTGCACC,1,{cells}\n"),
            ] {
                let found = sequences(text.as_bytes(), &LabelColumns::Class).unwrap().into_parts();
                assert_eq!(found[0].3.place, expected, "{text}");
            }
        }
        let single = sequences(b"chrom,start,end,sequence,label\nchr1,11,11,A,1\n", &LabelColumns::Class).unwrap();
        assert_eq!(single.into_parts()[0].3.place, place(10, 11, false));
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
