//! Figures of reads: the lengths of fragments, and the bases around the ends that are counted, before and after the shift.

use anyhow::Result;

use crate::config::Shift;
use crate::figures::canvas::{Area, BLUE, COLUMN, FULL_WIDTH, Figure, figure, range_of};
use crate::figures::chart::{Axis, Chart};
use crate::format::{short_name, thousands};
use crate::reads::report::{FileReport, Lengths};
use crate::reads::shift::StrandEvidence;
use crate::sequence::motif::relative_bits;

/// Bases on either side of the counted base that are drawn.
const AROUND: i64 = 15;

/// Most files whose shift is drawn.
const MOST_FILES: usize = 12;

/// Draws what there is to draw, each figure with the name of its file.
///
/// # Errors
/// A figure cannot be drawn.
pub fn draw(lengths: &Lengths, files: &[FileReport]) -> Result<Vec<(&'static str, Figure)>> {
    let mut figures = Vec::new();
    if lengths.all() > 0 {
        figures.push(("fragments.png", fragment_lengths(lengths)?));
    }
    figures.extend(shift(files)?.map(|figure| ("shift.png", figure)));
    Ok(figures)
}

/// How many fragments have which length: of ATAC-seq a peak below 100 bp, and steps of a nucleosome each.
///
/// # Errors
/// The figure cannot be drawn.
pub fn fragment_lengths(lengths: &Lengths) -> Result<Figure> {
    let all = lengths.all().max(1) as f64;
    let points: Vec<(f64, f64)> =
        lengths.counts.iter().enumerate().map(|(bp, &count)| (bp as f64, 1000.0 * count as f64 / all)).collect();
    let chart = Chart {
        title: format!("Lengths of {} fragments", thousands(lengths.all() as usize)),
        width: FULL_WIDTH,
        plot_height: Some(125.0),
        x: Axis::new("bp", 0.0..lengths.counts.len() as f64 - 1.0, 10),
        y: Axis::new(
            "share of the fragments, per mille",
            range_of(points.iter().map(|point| point.1).chain([0.0]), 0.06),
            6,
        ),
        keys: Vec::new(),
        numbers: 0.0,
    };
    chart.draw(|plot| plot.curve(points, BLUE))
}

/// The bases around first bases of either strand as reads were found, to the left, and around the bases that are counted, to the right;
/// `None` where no shift was measured.
///
/// # Errors
/// The figure cannot be drawn.
pub fn shift(files: &[FileReport]) -> Result<Option<Figure>> {
    let measured = files.iter().filter_map(|file| Some((file, file.evidence.as_ref()?))).take(MOST_FILES);
    let strands =
        measured.flat_map(|(file, evidence)| [(file, "plus", &evidence.plus), (file, "minus", &evidence.minus)]);
    let strands: Vec<_> = strands.filter(|(.., strand)| strand.sampled > 0).collect();
    if strands.is_empty() {
        return Ok(None);
    }
    let heights: Vec<Vec<[f64; 4]>> = strands.iter().map(|(.., strand)| letters(strand)).collect();
    let most = heights.iter().flatten().map(|column| column.iter().sum::<f64>()).fold(0.01, f64::max);
    let panel = |file: &FileReport, strand: &str, when: String| Chart {
        title: format!(
            "{}, {strand} reads, {when}",
            short_name(&file.path.file_name().unwrap_or_default().to_string_lossy())
        ),
        width: COLUMN,
        plot_height: Some(60.0),
        x: Axis::new("bases from the counted base", -(AROUND as f64) - 0.5..AROUND as f64 + 0.5, 6),
        y: Axis::new("bits", 0.0..most * 1.05, 4),
        keys: Vec::new(),
        numbers: 0.0,
    };
    let height = panel(strands[0].0, "plus", String::new()).height();
    let drawn = figure((FULL_WIDTH, height * strands.len() as f64), |canvas| {
        for (row, ((file, name, _), columns)) in strands.iter().zip(&heights).enumerate() {
            let Shift { plus, minus } = file.shift;
            let own = if *name == "plus" { plus } else { -minus };
            let after = format!("shifted by {:+}", if *name == "plus" { plus } else { minus });
            for (side, (shift, when)) in [(0, "as found".to_owned()), (own, after)].into_iter().enumerate() {
                let chart = panel(file, name, when);
                let corner = (side as f64 * (FULL_WIDTH - COLUMN), row as f64 * height);
                chart.draw_on(canvas, corner, |_| {});
                let area = chart.plot(corner);
                let width = area.width / (2 * AROUND + 1) as f64;
                for place in 0..=2 * AROUND {
                    let at = columns.len() as i64 / 2 + shift + place - AROUND;
                    let Some(column) = usize::try_from(at).ok().and_then(|at| columns.get(at)) else { continue };
                    let left = area.left + place as f64 * width;
                    let mut order = [0, 1, 2, 3];
                    order.sort_by(|&a, &b| column[a].total_cmp(&column[b]));
                    let mut bottom = area.bottom();
                    for base in order {
                        let height = column[base] / (most * 1.05) * area.height;
                        canvas.base(
                            base,
                            Area { left: left + width * 0.03, top: bottom - height, width: width * 0.94, height },
                        );
                        bottom -= height;
                    }
                }
            }
        }
    });
    drawn.map(Some)
}

/// Heights of letters, in bits: shares of the information against the mean composition of all columns.
fn letters(strand: &StrandEvidence) -> Vec<[f64; 4]> {
    let n = strand.probabilities.len().max(1) as f64;
    let mean: [f64; 4] =
        std::array::from_fn(|base| strand.probabilities.iter().map(|column| column[base]).sum::<f64>() / n);
    strand.probabilities.iter().map(|column| column.map(|share| share * relative_bits(column, &mean))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::{ink, xml};

    #[test]
    fn lengths_are_drawn_and_nothing_of_a_shift_that_was_not_measured() {
        let mut lengths = Lengths::default();
        (lengths.counts[60], lengths.counts[200]) = (50, 20);
        let drawn = fragment_lengths(&lengths).unwrap();
        roxmltree::Document::parse(&xml(&drawn)).unwrap();
        assert!(ink(&drawn).2 > 0.0);
        assert!(shift(&[FileReport::new(std::path::Path::new("x.bam"), 1)]).unwrap().is_none());
    }
}
