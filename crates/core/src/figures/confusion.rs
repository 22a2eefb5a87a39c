//! The confusion matrix as a figure and as CSV.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::figures::canvas::{BLUE, FONT, SIZE, picture};
use crate::format::{self, thousands};

/// Largest number of classes in the figure; the table has them all.
const MOST_CLASSES: usize = 20;

/// A cell for each true class (row) and predicted class (column), darker the larger its share of the row.
///
/// # Errors
/// The figure cannot be drawn.
pub fn picture_of(confusion: &[Vec<usize>], names: &[String], split: &str) -> Result<Vec<u8>> {
    let shown = names.len().min(MOST_CLASSES);
    let n: usize = confusion.iter().flatten().sum();
    picture(|canvas| {
        let at = |x: HPos, y: VPos, size: i32| (FONT, size).into_font().color(&BLACK).pos(Pos::new(x, y));
        let title = if shown < names.len() { format!(", the first {shown} classes") } else { String::new() };
        let title = format!("Confusion, {split} ({} fragments){title}", thousands(n));
        canvas.draw(&Text::new(title, (SIZE.0 as i32 / 2, 40), at(HPos::Center, VPos::Center, 32)))?;
        let (left, top) = (250, 100);
        let side = ((SIZE.1 as i32 - top - 110) / shown as i32).min((SIZE.0 as i32 - left - 40) / shown as i32);
        let text = (side / 4).clamp(9, 26);
        for (row, (counts, name)) in confusion.iter().zip(names).take(shown).enumerate() {
            let total: usize = counts.iter().sum();
            let y = top + row as i32 * side;
            let centre = y + side / 2;
            canvas.draw(&Text::new(
                format::short_name(name),
                (left - 12, centre),
                at(HPos::Right, VPos::Center, text.min(22)),
            ))?;
            for (column, &count) in counts.iter().take(shown).enumerate() {
                let x = left + column as i32 * side;
                let share = if total > 0 { count as f64 / total as f64 } else { 0.0 };
                canvas.draw(&Rectangle::new(
                    [(x, y), (x + side - 2, y + side - 2)],
                    BLUE.mix(share.max(0.03)).filled(),
                ))?;
                let ink = if share > 0.55 { &WHITE } else { &BLACK };
                let style = (FONT, text).into_font().color(ink).pos(Pos::new(HPos::Center, VPos::Center));
                if side >= 60 {
                    let middle = x + side / 2;
                    canvas.draw(&Text::new(thousands(count), (middle, centre - text * 2 / 3), style.clone()))?;
                    canvas.draw(&Text::new(
                        format!("{:.1} %", share * 100.0),
                        (middle, centre + text * 2 / 3),
                        style,
                    ))?;
                } else {
                    canvas.draw(&Text::new(format!("{:.0}", share * 100.0), (x + side / 2, centre), style))?;
                }
            }
        }
        let bottom = top + shown as i32 * side;
        for (column, name) in names.iter().take(shown).enumerate() {
            let x = left + column as i32 * side + side / 2;
            if shown <= 6 {
                canvas.draw(&Text::new(
                    format::short_name(name),
                    (x, bottom + 18),
                    at(HPos::Center, VPos::Center, text.min(22)),
                ))?;
            } else {
                let style = at(HPos::Left, VPos::Center, text.min(22)).transform(FontTransform::Rotate90);
                canvas.draw(&Text::new(format::short_name(name), (x, bottom + 8), style))?;
            }
        }
        canvas.draw(&Text::new("true class (rows)", (20, top / 2 + 40), at(HPos::Left, VPos::Center, 22)))?;
        let middle = left + shown as i32 * side / 2;
        let words = if side >= 60 {
            "called class (columns), share of the row"
        } else {
            "called class (columns), % of the row"
        };
        canvas.draw(&Text::new(words, (middle, SIZE.1 as i32 - 24), at(HPos::Center, VPos::Center, 22)))?;
        Ok(())
    })
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
