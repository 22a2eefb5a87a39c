//! Composition of a dataset: tables, and figures of GC content, lengths and unknown bases of each class.

use anyhow::Result;

use crate::dataset::Dataset;
use crate::figures::canvas::{COLUMN, Figure, colour};
use crate::figures::chart::{Axis, Chart, Key};
use crate::format::{self, thousands};
use crate::inspect::{Composition, Inspection, SplitCounts};
use crate::run::RunFolder;

/// Number of bars in each histogram.
const BINS: usize = 50;

/// Largest number of classes with a line of their own.
const MOST_CLASSES: usize = 7;

/// Draws the pictures of an inspection.
///
/// # Errors
/// A figure cannot be drawn or written.
pub fn draw(inspection: &Inspection, folder: &RunFolder) -> Result<()> {
    let classes = &inspection.classes;
    let gc = histogram("GC content", "share of G and C", classes, |class| &class.gc_of_each, Some(1.0))?;
    gc.write(folder, "gc.png")?;
    histogram("Length", "length (bp)", classes, |class| &class.lengths, None)?.write(folder, "lengths.png")?;
    let unknown = histogram("Unknown bases", "share of unknown bases", classes, |class| &class.unknown_of_each, None)?;
    unknown.write(folder, "unknown.png")
}

/// The share of a class's sequences in each bin of a value, a line for each class.
fn histogram(
    title: &str,
    axis: &str,
    classes: &[Composition],
    values: impl Fn(&Composition) -> &Vec<f64>,
    highest: Option<f64>,
) -> Result<Figure> {
    let n: usize = classes.iter().map(|class| class.n).sum();
    let all = || classes.iter().flat_map(|class| values(class).iter().copied());
    let (low, high) = match highest {
        Some(highest) => (0.0, highest),
        None => all().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v))),
    };
    let (low, high) =
        if high > low { (low, high) } else { (low - low.abs() * 0.1 - 0.01, low + low.abs() * 0.1 + 0.01) };
    let width = (high - low) / BINS as f64;
    let shares: Vec<Vec<f64>> = classes
        .iter()
        .take(MOST_CLASSES)
        .map(|class| {
            let mut shares = vec![0.0; BINS];
            for value in values(class) {
                shares[(((value - low) / width) as usize).min(BINS - 1)] += 1.0 / class.n.max(1) as f64;
            }
            shares
        })
        .collect();
    let most = shares.iter().flatten().fold(0.0f64, |most, &share| most.max(share)).max(1e-6);
    let key = |(i, class): (usize, &Composition)| {
        Key::curve(colour(i), format!("{} ({})", format::short_name(&class.name), thousands(class.n)))
    };
    let chart = Chart {
        title: format!("{title} ({} sequences)", thousands(n)),
        width: COLUMN,
        plot_height: Some(120.0),
        x: Axis::new(axis, low..high, 6),
        y: Axis::new("share of the class", 0.0..most * 1.05, 6),
        keys: classes.iter().take(MOST_CLASSES).enumerate().map(key).collect(),
        numbers: 0.0,
    };
    chart.draw(|plot| {
        for (i, shares) in shares.iter().enumerate() {
            let steps = shares.iter().enumerate().flat_map(|(bin, &share)| {
                let left = low + bin as f64 * width;
                [(left, share), (left + width, share)]
            });
            plot.curve(steps, colour(i));
        }
    })
}

/// The inspection as text tables.
pub fn table(inspection: &Inspection, data: &Dataset) -> String {
    let names: Vec<String> = data.classes.names.iter().map(|name| format::short_name(name)).collect();
    let mut text = format!("examples of {} bp\n  {:<10}{:>12}", data.train.length, "split", "n");
    let shown = if inspection.splits[0].of_class.is_empty() { 0 } else { names.len().min(12) };
    names.iter().take(shown).for_each(|name| text.push_str(&format!("  {name:>12}")));
    text.push('\n');
    for SplitCounts { split, n, of_class } in &inspection.splits {
        text.push_str(&format!("  {:<10}{:>12}", split.name(), thousands(*n)));
        for (count, name) in of_class.iter().zip(&names).take(shown) {
            text.push_str(&format!("  {:>width$}", thousands(*count), width = name.chars().count().max(12)));
        }
        text.push('\n');
    }
    text.push_str(&format!(
        "composition{:<17}{:>10}{:>22}{:>24}{:>14}{:>14}\n",
        "", "n", "length, bp", "GC, % (low to high)", "unknown, %", "repeats, %"
    ));
    for class in inspection.classes.iter().take(20) {
        let Composition { name, n, length, gc, unknown, masked, .. } = class;
        let lengths = if length.lowest == length.highest {
            format!("{:.0}", length.mean)
        } else {
            format!("{:.0} ({:.0} to {:.0})", length.mean, length.lowest, length.highest)
        };
        let gc = format!("{:.1} ({:.1} to {:.1})", gc.mean * 100.0, gc.lowest * 100.0, gc.highest * 100.0);
        text.push_str(&format!(
            "  {:<26}{:>10}{lengths:>22}{gc:>24}{:>14.2}{:>14.1}\n",
            format::short_name(name),
            thousands(*n),
            unknown.mean * 100.0,
            masked.mean * 100.0
        ));
    }
    if let Some(auroc) = inspection.gc_auroc {
        text.push_str(&format!("GC content alone tells the training classes apart with AUROC {auroc:.3}\n"));
    }
    let copies = &inspection.copies;
    text.push_str(&format!(
        "copies on either strand{:<14}{:>10}{:>20}{:>8}\n",
        "", "identical", "reverse complement", "near"
    ));
    for (words, counts) in [
        ("validation sequences in training", copies.valid_in_train),
        ("test sequences in training", copies.test_in_train),
        ("test sequences in validation", copies.test_in_valid),
        ("under another label", copies.other_label),
        ("repeats in one split and label", copies.repeats),
    ] {
        let near = if copies.near_looked_for { thousands(counts.near) } else { "-".into() };
        text.push_str(&format!(
            "  {words:<35}{:>10}{:>20}{near:>8}\n",
            thousands(counts.identical),
            thousands(counts.reverse_complement)
        ));
    }
    // Those that are warnings are shown as such.
    let findings = inspection.tracks.iter().filter(|track| !track.is_warning);
    findings.for_each(|track| text.push_str(&format!("{}\n", track.finding)));
    text
}
