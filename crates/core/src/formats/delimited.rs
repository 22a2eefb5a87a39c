//! Rows of delimited text, as spreadsheets, pandas and R write them: quotes, every kind of line end, a byte order mark. A
//! quote that is never closed, or that swallows other rows, is an error with the line in which it opens.

use std::io::BufRead;
use std::ops::Range;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use memchr::{memchr, memchr2};

use crate::formats::compression::read_error;

/// The most lines that one quoted field may span. A note in a cell has a few lines and a sequence is one word, so a field
/// that is longer than this comes of a quote that was not meant as one.
const MOST_LINES: u64 = 20;

/// Bases that make a field a sequence where its column is not known, so that no word of a note is one.
const BASES_OF_A_SEQUENCE: usize = 8;

/// Letters of sequences.
const BASES: &[u8] = b"ACGTUN";

/// Letters of sequences where their column is known, with the IUPAC codes.
const BASES_AND_CODES: &[u8] = b"ACGTUNRYSWKMBDHV";

/// A delimited file, read row by row.
pub struct Rows {
    file: String,
    input: Box<dyn BufRead + Send>,
    delimiter: u8,
    /// The line read last, without its end.
    line: Vec<u8>,
    /// Lines read.
    lines: u64,
    /// The line in which the row begins, from 1.
    first: u64,
    /// The fields of the row, one after another, without the quotes around them.
    text: Vec<u8>,
    fields: Vec<Range<usize>>,
    /// Columns of the header; 0 until it is read.
    columns: usize,
    sequence: Option<usize>,
}

impl Rows {
    /// Reads the header, which says what separates fields: tabs, commas or semicolons.
    ///
    /// # Errors
    /// The file cannot be read, has no line, is not text of one byte a letter, or a name spans lines.
    pub fn open(path: &Path, mut input: Box<dyn BufRead + Send>) -> Result<Self> {
        let file = path.display().to_string();
        let start = input.fill_buf().map_err(|error| read_error(path, &error))?;
        if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
            bail!("{file}: is UTF-16 text, expected UTF-8; save it as UTF-8 or CSV");
        }
        if start.starts_with(&[0xef, 0xbb, 0xbf]) {
            input.consume(3);
        }
        let (line, text, fields) = (Vec::new(), Vec::new(), Vec::new());
        let mut rows =
            Self { file, input, delimiter: b',', line, lines: 0, first: 0, text, fields, columns: 0, sequence: None };
        while rows.read_line()? {
            if !rows.line.trim_ascii().is_empty() {
                if rows.line.contains(&0) {
                    bail!(
                        "{}: line {}: holds a NUL byte, as UTF-16 or binary files do, expected text; save it as UTF-8 or CSV",
                        rows.file,
                        rows.lines
                    );
                }
                rows.delimiter = delimiter(&rows.line);
                rows.first = rows.lines;
                rows.split()?;
                rows.columns = rows.fields.len();
                rows.sequence = (0..rows.columns).find(|&column| rows.field(column).eq_ignore_ascii_case(b"sequence"));
                return Ok(rows);
            }
        }
        bail!("{}: is empty, expected a table with a header; check the file", rows.file)
    }

    /// Goes to the next row that holds anything.
    ///
    /// # Errors
    /// The file cannot be read, the row has another number of fields than the header, or a quote is not closed as it should.
    pub fn next_row(&mut self) -> Result<bool> {
        while self.read_line()? {
            self.first = self.lines;
            if self.line.trim_ascii().is_empty() {
                continue;
            }
            self.split()?;
            if self.fields.iter().all(Range::is_empty) {
                continue; // as spreadsheets leave them behind the last row
            }
            // A delimiter at the end of each row, as some programs write it.
            while self.fields.len() > self.columns && self.fields.last().is_some_and(Range::is_empty) {
                self.fields.pop();
            }
            if self.fields.len() != self.columns {
                let (found, expected) = (self.fields.len(), self.columns);
                let of_r = if found == expected + 1 { ", or name the column of row names if R wrote it" } else { "" };
                return Err(self.fault(&format!(
                    "found {found} columns, expected {expected} as in the header; fix the line{of_r}"
                )));
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Number of fields of this row, of which there is at least one.
    pub fn width(&self) -> usize {
        self.fields.len()
    }

    /// Field of this row, without surrounding spaces; `column` counts from 0.
    pub fn field(&self, column: usize) -> &[u8] {
        &self.text[self.fields[column].clone()]
    }

    /// The line in which this row begins, from 1.
    pub fn line(&self) -> u64 {
        self.first
    }

    /// Path of the file, as messages show it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What is wrong with this row.
    pub fn fault(&self, what: &str) -> anyhow::Error {
        anyhow!("{}: line {}: {what}", self.file, self.first)
    }

    /// Reads a line that ends with LF, CRLF, CR or the file.
    fn read_line(&mut self) -> Result<bool> {
        self.line.clear();
        let mut any = false;
        loop {
            let bytes = self.input.fill_buf().map_err(|error| read_error(Path::new(&self.file), &error))?;
            if bytes.is_empty() {
                self.lines += u64::from(any);
                return Ok(any);
            }
            any = true;
            let Some(end) = memchr2(b'\n', b'\r', bytes) else {
                self.line.extend_from_slice(bytes);
                let n = bytes.len();
                self.input.consume(n);
                continue;
            };
            self.line.extend_from_slice(&bytes[..end]);
            let is_cr = bytes[end] == b'\r';
            self.input.consume(end + 1);
            if is_cr {
                let next = self.input.fill_buf().map_err(|error| read_error(Path::new(&self.file), &error))?;
                if next.first() == Some(&b'\n') {
                    self.input.consume(1);
                }
            }
            self.lines += 1;
            return Ok(true);
        }
    }

    /// Takes the row that begins with this line apart.
    fn split(&mut self) -> Result<()> {
        self.text.clear();
        self.fields.clear();
        let mut at = 0;
        loop {
            let start = self.text.len();
            let spaces = self.line[at..].iter().take_while(|&&byte| byte == b' ').count();
            if self.line.get(at + spaces) == Some(&b'"') {
                at = self.take_quoted(at + spaces + 1)?;
            }
            let end = memchr(self.delimiter, &self.line[at..]).map_or(self.line.len(), |length| at + length);
            self.text.extend_from_slice(&self.line[at..end]);
            self.fields.push(trimmed(&self.text, start));
            if end == self.line.len() {
                return Ok(());
            }
            at = end + 1;
        }
    }

    /// Takes what is quoted from `at` on, and returns where the closing quote ends, in the line that holds it.
    fn take_quoted(&mut self, mut at: usize) -> Result<usize> {
        let opened = self.lines;
        let mut rows = usize::from(self.looks_like_a_row());
        loop {
            let Some(length) = memchr(b'"', &self.line[at..]) else {
                let swallows = rows > 1 || self.lines - opened >= MOST_LINES;
                // What is not kept takes no memory, however late the quote is closed.
                if !swallows {
                    self.text.extend_from_slice(&self.line[at..]);
                    self.text.push(b'\n');
                }
                if !self.read_line()? {
                    bail!(
                        "{}: line {opened}: a quote is opened and never closed, expected another at the end of the field; remove or close it",
                        self.file
                    );
                }
                rows += usize::from(self.looks_like_a_row());
                at = 0;
                continue;
            };
            self.text.extend_from_slice(&self.line[at..at + length]);
            at += length + 1;
            if self.line.get(at) == Some(&b'"') {
                self.text.push(b'"');
                at += 1;
                continue;
            }
            let (file, closed) = (&self.file, self.lines);
            if rows > 1 {
                bail!(
                    "{file}: line {opened}: a quote is opened and closed only in line {closed}, with other rows inside, expected both in one field; remove or close it"
                );
            }
            if closed - opened >= MOST_LINES {
                bail!(
                    "{file}: line {opened}: a quoted field spans {} lines, expected at most {MOST_LINES}; remove the quote or close it earlier",
                    closed - opened + 1
                );
            }
            if self.columns == 0 && closed > opened {
                bail!(
                    "{file}: line {opened}: the name of a column spans {} lines, expected one; remove or close the quote",
                    closed - opened + 1
                );
            }
            return Ok(at);
        }
    }

    /// Whether the line alone could be a row, its quotes taken literally. Of the lines of one row at most one can, as only one
    /// holds the sequence: two are rows of which a quote swallows one.
    fn looks_like_a_row(&self) -> bool {
        let fields = || self.line.split(|&byte| byte == self.delimiter);
        let n = fields().count();
        let is_sequence = |field: &[u8], letters: &[u8], least: usize| {
            let field = field.trim_ascii();
            let field = field.strip_prefix(b"\"").unwrap_or(field);
            let field = field.strip_suffix(b"\"").unwrap_or(field);
            field.len() >= least && field.iter().all(|base| letters.contains(&base.to_ascii_uppercase()))
        };
        match self.sequence {
            _ if n < self.columns.max(2) => false,
            Some(sequence) if n == self.columns => {
                fields().nth(sequence).is_some_and(|field| is_sequence(field, BASES_AND_CODES, 1))
            }
            _ => fields().any(|field| is_sequence(field, BASES, BASES_OF_A_SEQUENCE)),
        }
    }
}

/// What separates the fields of a header, quoted text aside.
fn delimiter(header: &[u8]) -> u8 {
    let mut is_quoted = false;
    let (mut tabs, mut commas, mut semicolons) = (0, 0, 0);
    for byte in header {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\t' if !is_quoted => tabs += 1,
            b',' if !is_quoted => commas += 1,
            b';' if !is_quoted => semicolons += 1,
            _ => {}
        }
    }
    match (tabs, commas, semicolons) {
        (1.., ..) => b'\t',
        (_, commas, semicolons) if semicolons > commas => b';',
        _ => b',',
    }
}

/// The range of a text from `start` on without surrounding spaces.
fn trimmed(text: &[u8], start: usize) -> Range<usize> {
    let field = &text[start..];
    let before = field.len() - field.trim_ascii_start().len();
    start + before..start + before + field.trim_ascii().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All rows with their lines, the header first.
    fn rows(text: &[u8]) -> Result<Vec<(u64, Vec<String>)>> {
        let input: Box<dyn BufRead + Send> = Box::new(std::io::Cursor::new(text.to_vec()));
        let mut rows = Rows::open(Path::new("t.csv"), input)?;
        let row = |rows: &Rows| {
            let fields = (0..rows.width()).map(|i| String::from_utf8_lossy(rows.field(i)).into_owned());
            (rows.line(), fields.collect())
        };
        let mut all = vec![row(&rows)];
        while rows.next_row()? {
            all.push(row(&rows));
        }
        Ok(all)
    }

    fn fields(text: &str) -> Vec<Vec<String>> {
        rows(text.as_bytes()).unwrap().into_iter().map(|(_, fields)| fields).collect()
    }

    #[test]
    fn quotes_ends_and_delimiters_of_every_program_are_read() {
        let expected = [["sequence", "label"], ["ACGT", "1"], ["ACGA", "0"]];
        for text in [
            "sequence,label\nACGT,1\nACGA,0\n",
            "sequence,label\r\nACGT,1\r\nACGA,0",
            "sequence,label\rACGT,1\rACGA,0\r",
            "\u{feff}sequence,label\nACGT,1\nACGA,0\n\n\n",
            "\n\n\"sequence\",\"label\"\n\"ACGT\",\"1\"\n\nACGA,\"0\"\n",
            "sequence\tlabel\nACGT\t1\nACGA\t0\n \n",
            "sequence;label\nACGT;1\nACGA;0\n;\n",
            "sequence , label\nACGT , \"1\"\n ACGA, 0 \n,\n,\n",
            "sequence,label\nACGT,1,\nACGA,0,,\n",
        ] {
            assert_eq!(fields(text), expected, "{text:?}");
        }
        assert_eq!(fields("a,\"b,c\"\n\"1\"\"2\",\"x, y\"\n")[1], ["1\"2", "x, y"]);
        assert_eq!(fields("a,b\n5\" end,3' \"x\"\n")[1], ["5\" end", "3' \"x\""]);
        assert_eq!(fields("a,b\n\"po\"s,\"\"\n")[1], ["pos", ""]);
    }

    #[test]
    fn a_note_may_have_a_few_lines_and_rows_are_named_by_their_first() {
        let text = "sequence,label,note\nACGTACGT,1,\"first\nsecond, with a comma\n\nlast\"\nACGTACGA,0,\n";
        let found = rows(text.as_bytes()).unwrap();
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 6]);
        assert_eq!(found[1].1[2], "first\nsecond, with a comma\n\nlast");
        let before = "note,sequence,label\n\"first\nsecond\",ACGT,1\nnone,ACGA,0\n";
        assert_eq!(rows(before.as_bytes()).unwrap()[1].1, ["first\nsecond", "ACGT", "1"]);
    }

    #[test]
    fn a_quote_that_is_not_closed_is_named_by_its_line() {
        let sequence = "ACGTTGCA";
        let plain: String = (0..300).map(|i| format!("{sequence},{},note {i}\n", i % 2)).collect();
        let header = "sequence,label,note\n";
        let open = format!("{sequence},1,\"open\n");
        let closed = format!("{sequence},1,closed\"\n");
        let in_label = format!("{sequence},\"1,x\n");
        let tsv = |text: &str| text.replace(',', "\t");
        let crlf = |text: &str| text.replace('\n', "\r\n");
        let never = "a quote is opened and never closed";
        let later = "with other rows inside";
        let cases = [
            (format!("{header}{plain}{open}{plain}"), 302, never),
            (format!("{header}{plain}{open}"), 302, never),
            (format!("{header}{open}{plain}"), 2, never),
            (format!("{header}{plain}{in_label}{plain}"), 302, never),
            (format!("{header}\"{sequence},1,x\n{plain}"), 2, never),
            (format!("\"{header}{plain}"), 1, never),
            (format!("sequence,label,\"note\n{plain}"), 1, never),
            (format!("{header}{plain}{open}{plain}{closed}"), 302, later),
            (format!("{header}{open}{closed}{plain}"), 2, later),
            (format!("{header}{open}{sequence},1,x\n{closed}{plain}"), 2, later),
            (format!("{header}{plain}{open}{sequence},0,\"good\"\n{plain}"), 302, later),
            (format!("{header}\"{sequence},1,x\n{sequence}\",0,y\n{plain}"), 2, later),
            (format!("{header}{sequence},\"1,x\n{sequence},0\",y\n{plain}"), 2, later),
            (format!("{header}{sequence},1,\"{}\"\n{plain}", "a word\n".repeat(30)), 2, "spans 31 lines"),
            (format!("sequence,label,\"note\n{sequence},1,\"\n"), 1, "name of a column spans 2 lines"),
        ];
        for (text, line, what) in &cases {
            for text in [text.clone(), tsv(text), crlf(text), tsv(&crlf(text))] {
                let error = rows(text.as_bytes()).unwrap_err().to_string();
                assert!(error.starts_with(&format!("t.csv: line {line}: ")) && error.contains(what), "{error}");
                assert!(error.contains(';'), "{error}");
            }
        }
    }

    #[test]
    fn text_of_two_bytes_a_letter_is_refused() {
        for bytes in [&b"\xff\xfes\0e\0q\0"[..], b"\xfe\xff\0s\0e", b"s\0e\0q\0\n\0"] {
            let error = rows(bytes).unwrap_err().to_string();
            assert!(error.contains("UTF-16"), "{error}");
        }
        assert!(rows(b"\n \n").unwrap_err().to_string().contains("is empty"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            cells in prop::collection::vec(prop::collection::vec("[a-z ,;\t\"'é\n]{0,6}", 3), 1..6), tabs: bool, crlf: bool,
        ) {
            let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
            let mut out = csv::WriterBuilder::new()
                .delimiter(if tabs { b'\t' } else { b',' })
                .terminator(terminator)
                .from_writer(Vec::new());
            out.write_record(["one", "two", "three"]).unwrap();
            cells.iter().for_each(|row| out.write_record(row).unwrap());
            let trimmed = |row: &Vec<String>| row.iter().map(|cell| cell.trim_matches([' ', '\t', '\n']).to_owned()).collect::<Vec<_>>();
            let expected: Vec<Vec<String>> =
                cells.iter().map(trimmed).filter(|row| row.iter().any(|cell| !cell.is_empty())).collect();
            let found: Vec<_> = rows(&out.into_inner().unwrap()).unwrap().into_iter().skip(1).map(|(_, row)| row).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn a_quote_takes_no_row_without_a_word(
            n in 2usize..60, at in 0usize..60, column in 0usize..3, end in prop::option::of(0usize..60), place in 0usize..2,
        ) {
            // A quote at the start of a field of one row, and perhaps another in some field of the same or a later row.
            let mut cells: Vec<Vec<String>> =
                (0..n).map(|i| vec![format!("ACGTTGC{}", ["A", "C", "G"][i % 3]), (i % 2).to_string(), format!("n{i}")]).collect();
            let (at, end) = (at % n, end.map(|end| end % n).filter(|end| *end > at % n));
            cells[at][column].insert(0, '"');
            if let Some(end) = end {
                let cell = &mut cells[end][(column + place) % 3];
                if place == 0 { cell.push('"') } else { cell.insert(0, '"') }
            }
            let text: String = cells.iter().map(|row| row.join(",") + "\n").collect();
            let error = rows(format!("sequence,label,note\n{text}").as_bytes()).unwrap_err().to_string();
            prop_assert!(error.starts_with(&format!("t.csv: line {}: ", at + 2)), "{}", error);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, text in "[a,;\"\t\r\n ACGT]{0,80}") {
            let _ = rows(&bytes);
            let _ = rows(text.as_bytes());
        }
    }
}
