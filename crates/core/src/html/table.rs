//! A table of text.

/// A table whose first column names the rows.
#[derive(Clone, Debug)]
pub struct Table {
    pub caption: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Cell>>,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub class: &'static str,
}

#[derive(Clone, Debug, Default)]
pub struct Cell {
    pub text: String,
    /// Note below the text, in smaller print.
    pub note: String,
    pub class: &'static str,
}

impl Table {
    /// An empty table; `true` marks columns of numbers.
    pub fn new(caption: impl Into<String>, columns: &[(&str, bool)]) -> Self {
        let mut table = Self { caption: caption.into(), columns: Vec::new(), rows: Vec::new() };
        columns.iter().for_each(|(name, is_number)| table.column(*name, *is_number));
        table
    }

    /// A table of properties and values.
    pub fn of_pairs(caption: &str, pairs: Vec<(&str, String)>) -> Self {
        let mut table = Self::new(caption, &[("", false), ("", false)]);
        pairs.into_iter().for_each(|(name, value)| table.row([name.into(), value.into()]));
        table
    }

    /// Adds a column.
    pub fn column(&mut self, name: impl Into<String>, is_number: bool) {
        self.columns.push(Column { name: name.into(), class: if is_number { "number" } else { "" } });
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells = cells.into_iter().zip(&self.columns);
        self.rows.push(cells.map(|(cell, column)| Cell { class: column.class, ..cell }).collect());
    }

    /// The table for a terminal, its caption first. Notes of numbers stand in parentheses, other notes are left out.
    pub fn to_text(&self) -> String {
        let cell = |(i, cell): (usize, &Cell)| {
            let has_note = i > 0 && !cell.note.is_empty();
            if has_note { format!("{} ({})", cell.text, cell.note) } else { cell.text.clone() }
        };
        let head: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
        let rows = self.rows.iter().map(|row| row.iter().enumerate().map(cell).collect());
        let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
        let width = |i: usize| rows.iter().filter_map(|row| row.get(i)).map(|text| text.chars().count()).max();
        let widths: Vec<usize> = (0..self.columns.len()).map(|i| width(i).unwrap_or(0)).collect();
        let mut text = format!("{}\n", self.caption);
        for row in &rows {
            let cells = row.iter().zip(&widths).zip(&self.columns).map(|((cell, &width), column)| {
                if column.class.is_empty() { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    /// Whether any column has a heading; tables of properties have none.
    pub fn has_head(&self) -> bool {
        self.columns.iter().any(|column| !column.name.is_empty())
    }
}

impl Cell {
    /// A cell with a tooltip.
    pub fn noted(text: impl Into<String>, note: impl Into<String>) -> Self {
        Self { text: text.into(), note: note.into(), class: "" }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}
