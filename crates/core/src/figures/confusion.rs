//! The confusion matrix as a figure and as CSV.

use anyhow::Result;

use crate::figures::canvas::{
    Across, Area, BLUE, COLUMN, Canvas, FULL_WIDTH, Figure, Height, LINE, MARGIN, TEXT, TITLE, WHITE, Words, figure,
};
use crate::figures::typeface;
use crate::format::{self, thousands};

/// Largest number of classes in the figure; the table has them all.
const MOST_CLASSES: usize = 20;
/// Largest number of classes in a figure of one column's width.
const MOST_IN_COLUMN: usize = 8;
/// The smallest cell with a count as well as a share, and the largest cell.
const WITH_COUNTS: f64 = 27.0;
const LARGEST: f64 = 60.0;

/// A cell for each true class (row) and predicted class (column), darker the larger its share of the row.
///
/// # Errors
/// The figure cannot be drawn.
pub fn figure_of(confusion: &[Vec<usize>], names: &[String], split: &str) -> Result<Figure> {
    let shown = names.len().min(MOST_CLASSES);
    let width = if shown <= MOST_IN_COLUMN { COLUMN } else { FULL_WIDTH };
    let short: Vec<String> = names.iter().take(shown).map(|name| format::short_name(name)).collect();
    let longest = short.iter().map(|name| typeface::width(name, TEXT)).fold(0.0, f64::max);
    // Names longer than a third of the figure are cut.
    let longest = longest.min(width / 3.0);
    let (left, top) = (MARGIN + LINE + longest + 5.0, MARGIN + TITLE + 7.0);
    let side = ((width - left - MARGIN) / shown.max(1) as f64).min(LARGEST);
    let bottom = top + side * shown as f64;
    let are_upright = longest > side - 4.0;
    let names_height = if are_upright { longest } else { TEXT };
    let n: usize = confusion.iter().flatten().sum();
    figure((width, bottom + 4.0 + names_height + 3.0 + LINE + MARGIN), |canvas| {
        let part = if shown < names.len() { format!(", the first {shown} classes") } else { String::new() };
        let title = format!("Confusion, {split} ({} fragments){part}", thousands(n));
        canvas.text_within(&title, (MARGIN, MARGIN), Words::title(), width - 2.0 * MARGIN);
        for (row, (counts, name)) in confusion.iter().zip(&short).enumerate() {
            let y = top + row as f64 * side;
            let words = Words::new(Across::Right, Height::Middle);
            canvas.text_within(name, (left - 4.0, y + side / 2.0), words, longest);
            draw_row(canvas, &counts[..shown.min(counts.len())], counts.iter().sum(), (left, y), side);
        }
        for (column, name) in short.iter().enumerate() {
            let x = left + (column as f64 + 0.5) * side;
            if are_upright {
                let words = Words::new(Across::Right, Height::Middle).upwards();
                canvas.text_within(name, (x, bottom + 4.0), words, longest);
            } else {
                canvas.text(name, (x, bottom + 4.0), Words::new(Across::Middle, Height::Top));
            }
        }
        let middle = Words::new(Across::Middle, Height::Top);
        canvas.text("true class", (MARGIN, (top + bottom) / 2.0), middle.upwards());
        let what = if side < WITH_COUNTS { "predicted class (% of the true class)" } else { "predicted class" };
        canvas.text(what, (left + side * shown as f64 / 2.0, bottom + 4.0 + names_height + 3.0), middle);
    })
}

/// Draws the cells of a true class.
fn draw_row(canvas: &mut Canvas, counts: &[usize], total: usize, (left, top): (f64, f64), side: f64) {
    for (column, &count) in counts.iter().enumerate() {
        let x = left + column as f64 * side;
        let share = if total > 0 { count as f64 / total as f64 } else { 0.0 };
        let cell = Area { left: x, top, width: side - 0.5, height: side - 0.5 };
        canvas.rectangle(cell, BLUE.with_alpha(share.max(0.04)));
        let words = Words::new(Across::Middle, Height::Middle);
        let words = if share > 0.85 { words.coloured(WHITE) } else { words };
        let (x, y) = (x + side / 2.0, top + side / 2.0);
        if side >= WITH_COUNTS {
            canvas.text_within(&thousands(count), (x, y - 4.5), words, side - 2.0);
            canvas.text(&format!("{:.1} %", share * 100.0), (x, y + 4.5), words);
        } else {
            canvas.text(&format!("{:.0}", share * 100.0), (x, y), words);
        }
    }
}

/// The confusion matrix as CSV: a row for each true class, a column for each predicted class.
///
/// # Errors
/// The table cannot be written.
pub fn table_of(confusion: &[Vec<usize>], names: &[String]) -> Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(std::iter::once("true_class").chain(names.iter().map(String::as_str)))?;
    for (name, counts) in names.iter().zip(confusion) {
        let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
        out.write_record(std::iter::once(name.as_str()).chain(counts.iter().map(String::as_str)))?;
    }
    Ok(out.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::texts;

    #[test]
    fn every_name_and_number_is_within_the_figure() {
        for (n, name) in
            [(2, "<b>&"), (3, "a name that is far too long for a cell"), (8, "H3K27me3"), (20, "c"), (30, "long one")]
        {
            let names: Vec<String> = (0..n).map(|i| format!("{name} {i}")).collect();
            let counts: Vec<Vec<usize>> =
                (0..n).map(|row| (0..n).map(|column| 123_456 * row + column).collect()).collect();
            let figure = figure_of(&counts, &names, "test").unwrap();
            let width = if n <= MOST_IN_COLUMN { COLUMN } else { FULL_WIDTH };
            let words = texts(&figure);
            let shown = n.min(MOST_CLASSES);
            assert!(words.len() >= shown * (shown + 2), "{n}: {}", words.len());
            assert!(words.iter().all(|text| text.left() >= 0.0 && text.left() + text.width <= width), "{n}: {words:?}");
        }
    }
}
