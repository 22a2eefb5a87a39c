//! Tables of labelled sequences: CSV or TSV, plain or compressed, with the columns `sequence` and `label`.

use std::io::BufRead;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use super::alphabet;
use super::compression;

/// One labelled sequence and the line it stands on (1 is the header).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub codes: Vec<u8>,
    pub label: String,
    pub line: u64,
}

/// Reads a whole table. All sequences must have the length of the first, or `length` where it is given.
///
/// # Errors
/// The file is missing or damaged, a column is missing, a sequence is empty, of another length or holds a letter that
/// is no base; each with the line.
pub fn read(path: &Path, length: Option<usize>) -> Result<Vec<Row>> {
    let mut input = compression::open(path)?;
    let head = input.fill_buf().map_err(|error| compression::read_error(path, &error))?;
    let header = head.split(|&byte| byte == b'\n').next().unwrap_or(&[]);
    let delimiter = if header.contains(&b'\t') { b'\t' } else { b',' };

    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(input);
    let file = path.display();
    let header = reader.byte_headers().map_err(|error| table_error(path, error))?.clone();
    let column = |name: &str| {
        header.iter().position(|found| found.eq_ignore_ascii_case(name.as_bytes())).with_context(|| {
            let found: Vec<_> = header.iter().take(8).map(|name| String::from_utf8_lossy(&name[..name.len().min(40)])).collect();
            format!("{file}: line 1: there is no column '{name}' (found: {}), expected a header with sequence and label; name the columns", found.join(", "))
        })
    };
    let (sequence, label) = (column("sequence")?, column("label")?);

    let mut rows: Vec<Row> = Vec::new();
    let mut record = csv::ByteRecord::new();
    let mut expected = length.map(|length| (length, "--length".to_owned()));
    while reader.read_byte_record(&mut record).map_err(|error| table_error(path, error))? {
        // With CRLF ends csv counts a line late, so its count of records decides.
        let line = record.position().map_or(0, |position| position.line().max(position.record() + 1));
        let mut codes = Vec::with_capacity(record[sequence].len());
        alphabet::encode(&record[sequence], &mut codes)
            .map_err(|fault| anyhow!("{file}: line {line}: {fault}; mend or remove the line"))?;
        match &expected {
            None => expected = Some((codes.len(), format!("line {line}"))),
            Some((length, origin)) if codes.len() != *length => bail!(
                "{file}: line {line}: the sequence has {} bases, expected {length} as {origin} has; cut or remove the line",
                codes.len()
            ),
            Some(_) => {}
        }
        if codes.is_empty() {
            bail!("{file}: line {line}: the sequence is empty, expected bases; remove the line");
        }
        let label = String::from_utf8(record[label].to_vec())
            .map_err(|_| anyhow!("{file}: line {line}: the label is not UTF-8 text; mend the line"))?;
        if label.is_empty() {
            bail!("{file}: line {line}: the label is empty, expected a class name or number; mend or remove the line");
        }
        rows.push(Row { codes, label, line });
    }
    if rows.is_empty() {
        bail!("{file}: the table has a header and no rows, expected labelled sequences; check the file");
    }
    Ok(rows)
}

fn table_error(path: &Path, error: csv::Error) -> anyhow::Error {
    let line = error.position().map_or_else(String::new, |position| format!(" line {}:", position.line()));
    match error.into_kind() {
        csv::ErrorKind::Io(error) => compression::read_error(path, &error),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            anyhow!(
                "{}:{line} found {len} columns, expected {expected_len} as in the header; mend the line",
                path.display()
            )
        }
        other => anyhow!("{}:{line} the table cannot be read ({other:?}); check the file", path.display()),
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

    fn error(text: &str) -> String {
        read(table(text.as_bytes()).path(), None).unwrap_err().to_string()
    }

    #[test]
    fn csv_tsv_and_gzip_are_read_alike() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"sequence,label\nACGT,1\nNNNN,0\n").unwrap();
        let expected = read(table(b"sequence,label\nACGT,1\nNNNN,0\n").path(), None).unwrap();
        assert_eq!(expected[1], Row { codes: vec![4; 4], label: "0".into(), line: 3 });
        for other in [
            &gzip.finish().unwrap()[..],
            b"label\textra\tSequence\n1\tx\tacgu\n0\ty\tnnnn\n",
            b"sequence,label\r\nACGT,1\r\nNNNN,0\r\n",
        ] {
            assert_eq!(read(table(other).path(), None).unwrap(), expected);
        }
    }

    #[test]
    fn faults_are_named_with_their_line() {
        for (text, parts) in [
            ("", &["empty"][..]),
            ("sequence,label\n", &["no rows"]),
            ("seq,label\nACGT,1\n", &["line 1", "'sequence'", "seq, label"]),
            ("sequence,label\nACGT,1\nAC-T,0\n", &["line 3", "'-'", "base 3"]),
            ("sequence,label\nACGT,1\nACG,0\n", &["line 3", "3 bases", "expected 4", "line 2"]),
            ("sequence,label\nACGT\n", &["line 2", "1 columns", "expected 2"]),
            ("sequence,label\nACGT,\n", &["line 2", "label is empty"]),
            ("sequence,label\n,1\n", &["line 2", "sequence is empty"]),
        ] {
            let message = error(text);
            assert!(parts.iter().all(|part| message.contains(part)), "{text:?}: {message}");
        }
    }
}
