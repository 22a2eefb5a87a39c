//! Where the rows of a table lie in a genome, by its columns for that.

use anyhow::Result;

use crate::dataset::columns::{self, PlaceColumns};
use crate::dataset::tables::Table;
use crate::format::thousands;
use crate::formats::record_names::{self, Coordinates};
use crate::genome::interval::Place;
use crate::progress::Progress;

/// The places of a table's rows, and how well they fit the sequences.
pub(super) struct Places {
    columns: Option<PlaceColumns>,
    /// Columns that may hold places as `chr:start-end`.
    regions: Vec<usize>,
    /// Rows whose place spans another length than their sequence has, and a description of the first.
    misfits: usize,
    first: Option<String>,
}

impl Places {
    pub(super) fn of(table: &Table) -> Result<Self> {
        let columns = table.place_columns()?;
        let regions = if columns.is_none() { columns::regions(&table.header) } else { Vec::new() };
        Ok(Self { columns, regions, misfits: 0, first: None })
    }

    /// The place of a row whose sequence has `length` bases. The length tells whether a start counts from 0 or 1; one that
    /// fits neither stays as it is, since the sequence may have been cut from it or around it, and the chromosome is right.
    pub(super) fn of_row(&mut self, table: &Table, length: usize) -> Result<Coordinates> {
        let Some(columns) = &self.columns else { return self.of_region(table, length) };
        let Some(mut place) = table.coordinates(columns)? else { return Ok(Coordinates::Absent) };
        let span = place.range.len();
        if span != length && span + 1 == length && place.range.start > 0 {
            place.range.start -= 1;
        } else if place.range.is_empty() {
            return Err(table.order(place.range.start, place.range.end));
        } else if span != length {
            self.misfits += 1;
            self.first.get_or_insert_with(|| {
                let Place { chromosome, range, .. } = &place;
                format!("line {}, {chromosome}:{}-{} for {length} bases", table.line(), range.start, range.end)
            });
        }
        Ok(Coordinates::Exact(place))
    }

    fn of_region(&self, table: &Table, length: usize) -> Result<Coordinates> {
        let mut misfit = Coordinates::Absent;
        for &column in &self.regions {
            match record_names::parse(table.text(column)?, "", length) {
                Coordinates::Absent => {}
                Coordinates::Misfit(place) => misfit = Coordinates::Misfit(place),
                found => return Ok(found),
            }
        }
        Ok(misfit)
    }

    /// Warns of places that do not fit, in one line.
    pub(super) fn warn(&self, table: &Table, n: usize, progress: Progress) {
        let Some(first) = &self.first else { return };
        progress.warn(&format!(
            "{}: {} of {} rows have coordinates of another length than their sequence (first: {first}), which are used as they are, to split by chromosome",
            table.rows.file(),
            thousands(self.misfits),
            thousands(n),
        ));
    }
}
