//! Which columns of a table are targets where none is asked for.

use anyhow::{Result, bail};

use crate::dataset::class_labels::reads_as_missing;
use crate::dataset::columns;
use crate::dataset::tables::{SHOWN, Table, truth};
use crate::format::{list_first, shortened};
use crate::formats::compression::InputFile;
use crate::progress::Progress;

/// The fewest rows from which a column is said to count them: fewer numbers in a row may be values.
const FEWEST_COUNTED: u64 = 5;

/// What is in a column that may be a target.
#[derive(Clone, Debug)]
struct Content {
    numbers: u64,
    texts: u64,
    /// Line and field of the first text.
    text: Option<(u64, String)>,
    /// Whether every row up to here holds one more than the row before.
    counts: bool,
    last: f64,
}

impl Content {
    fn new() -> Self {
        Self { numbers: 0, texts: 0, text: None, counts: true, last: f64::NAN }
    }

    fn add(&mut self, line: u64, field: &[u8]) {
        let text = String::from_utf8_lossy(field);
        if reads_as_missing(&text) {
            self.counts = false;
            return;
        }
        match text.parse::<f64>() {
            Ok(number) => {
                let follows = if self.numbers == 0 { number >= 0.0 } else { number == self.last + 1.0 };
                self.counts &= number.fract() == 0.0 && follows;
                (self.numbers, self.last) = (self.numbers + 1, number);
            }
            Err(_) if truth(&text).is_some() => (self.numbers, self.counts) = (self.numbers + 1, false),
            Err(_) => {
                self.texts += 1;
                self.counts = false;
                self.text.get_or_insert_with(|| (line, text.into_owned()));
            }
        }
    }

    /// Why the column is no target unless it is asked for. A column of numbers with some text in it is one, and its text an
    /// error.
    fn not_a_target(&self) -> Option<&'static str> {
        match self {
            Self { numbers: 0, texts: 0, .. } => Some("without a value"),
            Self { numbers, texts, .. } if texts > numbers => Some("text"),
            Self { counts: true, numbers: FEWEST_COUNTED.., .. } => Some("counts the rows"),
            _ => None,
        }
    }
}

/// The columns that are targets where none is asked for, which a notice names: those of numbers that are not named as
/// something else and do more than count rows.
pub(super) fn default_targets(file: &InputFile, progress: Progress) -> Result<Vec<usize>> {
    let mut table = Table::of_file(file)?;
    let mut contents = vec![Content::new(); table.header.len()];
    let by_name: Vec<_> = table.header.iter().map(|name| columns::not_a_target(name)).collect();
    while table.next_row()? {
        for (column, content) in contents.iter_mut().enumerate().filter(|(column, _)| by_name[*column].is_none()) {
            content.add(table.line(), table.bytes(column));
        }
    }
    let why = |column: usize| by_name[column].or_else(|| contents[column].not_a_target());
    let (targets, others): (Vec<usize>, Vec<usize>) = (0..contents.len()).partition(|&column| why(column).is_none());
    let reasons: Vec<String> = others
        .iter()
        .filter_map(|&column| Some((column, why(column).filter(|why| !why.is_empty())?)))
        .map(|(column, why)| match table.header[column].as_str() {
            "" => why.to_owned(),
            name => format!("{} ({why})", shortened(name, SHOWN)),
        })
        .collect();
    if targets.is_empty() {
        let file = table.rows.file();
        if let Some(column) = others.iter().find(|&&column| contents[column].text.is_some())
            && let Some((line, text)) = &contents[*column].text
        {
            bail!(
                "{file}: line {line}: found '{}' in column '{}', expected a number; correct the line, or name the columns with --label-columns",
                shortened(text, SHOWN),
                table.shown(*column)
            );
        }
        let passed = if reasons.is_empty() { String::new() } else { format!(" but {}", list_first(&reasons, 8)) };
        bail!(
            "{file}: line {}: there is no column of labels or values beside the sequence{passed}; add one, or name one with --label-columns",
            table.header_line
        );
    }
    for &column in &targets {
        table.find(&table.header[column])?; // of two with one name, neither is meant
    }
    let names: Vec<String> = targets.iter().map(|&column| table.shown(column)).collect();
    let passed = match reasons.is_empty() {
        true => String::new(),
        false => format!("; no targets unless --label-columns names them: {}", list_first(&reasons, 8)),
    };
    progress.say(&format!("targets: {}{passed}", list_first(&names, 8)));
    Ok(targets)
}
