//! What is shown of a run: the table and the pictures. These are drawn into memory with a typeface of our own, so that they need no system fonts and a failed
//! drawing leaves no file behind.

use std::ops::Range;
use std::sync::Once;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use crate::config::Loss;
use crate::data::Classes;
use crate::evaluate::Judgement;
use crate::metrics::{CALIBRATION_BINS, CurvePoint, Estimate, Ranking, Report};
use crate::run::RunFolder;
use crate::train::history::Epoch;

const SIZE: (u32, u32) = (1000, 720);
const FONT: &str = "sans-serif";

/// Colours that people with any colour vision tell apart (Okabe and Ito, 2008).
const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(213, 94, 0);
const GREY: RGBColor = RGBColor(110, 110, 110);

/// Bars of the score histogram.
const SCORE_BINS: usize = 40;

type Canvas<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type Drawing = std::result::Result<(), Box<dyn std::error::Error>>;
type Plane<'a, 'b> = ChartContext<
    'a,
    BitMapBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

/// Draws the pictures of a test set.
pub fn draw(judgement: &Judgement, classes: &Classes, folder: &RunFolder) -> Result<()> {
    let Judgement { ranking, report, positives, scores: values } = judgement;
    let names = (classes.positive_name(), classes.negative_name());
    folder.write("roc.png", &roc(ranking, report, "test")?)?;
    folder.write("pr.png", &precision_recall(ranking, report, "test")?)?;
    folder.write("calibration.png", &calibration(ranking, report, "test", names.0)?)?;
    folder.write("scores.png", &scores(positives, values, report, "test", names)?)
}

/// The metrics of a test set as a table for people.
pub fn table(report: &Report, best_possible_auroc: Option<f64>) -> String {
    let Report { n, n_positive, threshold, metrics } = report;
    let mut text = format!(
        "test: {} fragments, {} positive; threshold {threshold:.4} from validation\n",
        thousands(*n),
        thousands(*n_positive)
    );
    for (name, estimate) in metrics {
        let name = name.replace('_', " ");
        text.push_str(&match estimate {
            Some(Estimate { value, low, high }) => format!("  {name:<27}{value:.4}   95 % {low:.4} to {high:.4}\n"),
            None => format!("  {name:<27}undefined: one class only\n"),
        });
    }
    if let Some(best) = best_possible_auroc {
        let name = "best possible auroc";
        text.push_str(&format!("  {name:<27}{best:.4}   the exact likelihood ratio of the simulation\n"));
    }
    text
}

/// Loss of training and validation by epoch, the best epoch marked.
pub fn loss(history: &[Epoch], best_epoch: usize, kind: Loss) -> Result<Vec<u8>> {
    let name = match kind {
        Loss::Bce => "loss (binary cross-entropy, nats)",
        Loss::Mse => "loss (squared error)",
    };
    by_epoch(
        "Loss",
        name,
        history,
        best_epoch,
        |epoch| (epoch.train_loss, epoch.valid_loss),
        SeriesLabelPosition::UpperRight,
    )
}

/// Accuracy of training and validation by epoch, the best epoch marked.
pub fn accuracy(history: &[Epoch], best_epoch: usize) -> Result<Vec<u8>> {
    by_epoch(
        "Accuracy at 0.5",
        "accuracy (share of fragments)",
        history,
        best_epoch,
        |epoch| (epoch.train_accuracy, epoch.valid_accuracy),
        SeriesLabelPosition::LowerRight,
    )
}

/// The ROC curve with its area, the chance line and the chosen threshold.
pub fn roc(ranking: &Ranking, report: &Report, split: &str) -> Result<Vec<u8>> {
    let points = thinned(&ranking.roc());
    let chosen = at_threshold(&ranking.roc(), report.threshold);
    picture(|canvas| {
        let mut chart =
            plane(canvas, &format!("ROC curve, {split} ({} fragments)", thousands(report.n)), 0.0..1.0, 0.0..1.0)?;
        axes(&mut chart, "false positive rate", "true positive rate")?;
        line(&mut chart, [(0.0, 0.0), (1.0, 1.0)].into_iter(), GREY, "chance")?;
        line(&mut chart, points.into_iter(), BLUE, &with_interval(report, "auroc", "AUROC"))?;
        mark(&mut chart, chosen, &format!("threshold {:.3}", report.threshold))?;
        legend(&mut chart, SeriesLabelPosition::LowerRight)
    })
}

/// Precision against recall with the average precision, the share of positives and the chosen threshold.
pub fn precision_recall(ranking: &Ranking, report: &Report, split: &str) -> Result<Vec<u8>> {
    let curve = ranking.precision_recall();
    let share = report.n_positive as f64 / report.n.max(1) as f64;
    picture(|canvas| {
        let mut chart = plane(
            canvas,
            &format!("Precision and recall, {split} ({} fragments)", thousands(report.n)),
            0.0..1.0,
            0.0..1.02,
        )?;
        axes(&mut chart, "recall", "precision")?;
        line(
            &mut chart,
            [(0.0, share), (1.0, share)].into_iter(),
            GREY,
            &format!("chance (share of positives {share:.2})"),
        )?;
        line(
            &mut chart,
            thinned(&curve).into_iter(),
            BLUE,
            &with_interval(report, "average_precision", "average precision"),
        )?;
        mark(&mut chart, at_threshold(&curve, report.threshold), &format!("threshold {:.3}", report.threshold))?;
        legend(&mut chart, SeriesLabelPosition::LowerLeft)
    })
}

/// Predicted probability against the share of positives; the area of a dot is the share of fragments in its bin.
pub fn calibration(ranking: &Ranking, report: &Report, split: &str, positive: &str) -> Result<Vec<u8>> {
    let bins = ranking.calibration(CALIBRATION_BINS);
    picture(|canvas| {
        let mut chart =
            plane(canvas, &format!("Calibration, {split} ({} fragments)", thousands(report.n)), 0.0..1.0, 0.0..1.0)?;
        axes(&mut chart, &format!("predicted probability of {positive}"), &format!("share of {positive}"))?;
        line(&mut chart, [(0.0, 0.0), (1.0, 1.0)].into_iter(), GREY, "perfect calibration")?;
        let label = with_interval(report, "expected_calibration_error", "calibration error");
        line(&mut chart, bins.iter().map(|bin| (bin.predicted, bin.observed)), BLUE, &label)?;
        chart.draw_series(bins.iter().map(|bin| {
            let radius = 3.0 + 30.0 * (bin.count as f64 / report.n as f64).sqrt();
            Circle::new((bin.predicted, bin.observed), radius as i32, BLUE.mix(0.45).filled())
        }))?;
        legend(&mut chart, SeriesLabelPosition::UpperLeft)
    })
}

/// How the scores of both classes are spread, and the chosen threshold.
pub fn scores(positive: &[bool], scores: &[f64], report: &Report, split: &str, names: (&str, &str)) -> Result<Vec<u8>> {
    let mut counts = [[0usize; SCORE_BINS]; 2];
    for (&positive, &score) in positive.iter().zip(scores) {
        counts[usize::from(!positive)][((score * SCORE_BINS as f64) as usize).min(SCORE_BINS - 1)] += 1;
    }
    let most = counts.iter().flatten().max().copied().unwrap_or(1).max(1) as f64;
    picture(|canvas| {
        let mut chart =
            plane(canvas, &format!("Scores, {split} ({} fragments)", thousands(report.n)), 0.0..1.0, 0.0..most * 1.3)?;
        axes(&mut chart, &format!("predicted probability of {}", names.0), "fragments")?;
        for ((counts, colour), name) in counts.iter().zip([BLUE, ORANGE]).zip([names.0, names.1]) {
            let width = 1.0 / SCORE_BINS as f64;
            let bars = counts.iter().enumerate().map(|(i, &count)| {
                Rectangle::new(
                    [(i as f64 * width, 0.0), ((i + 1) as f64 * width, count as f64)],
                    colour.mix(0.45).filled(),
                )
            });
            chart
                .draw_series(bars)?
                .label(name.to_owned())
                .legend(move |(x, y)| Rectangle::new([(x, y - 7), (x + 24, y + 7)], colour.mix(0.45).filled()));
        }
        let threshold = report.threshold;
        dashed(&mut chart, (threshold, 0.0), (threshold, most * 1.3), &format!("threshold {threshold:.3}"))?;
        legend(&mut chart, SeriesLabelPosition::UpperRight)
    })
}

fn by_epoch(
    title: &str,
    axis: &str,
    history: &[Epoch],
    best_epoch: usize,
    values: impl Fn(&Epoch) -> (f64, f64),
    position: SeriesLabelPosition,
) -> Result<Vec<u8>> {
    let all = || history.iter().flat_map(|epoch| <[f64; 2]>::from(values(epoch)));
    let (low, high) =
        all().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let margin = ((high - low) * 0.08).max(1e-4);
    let last = history.len().max(2) as f64;
    picture(|canvas| {
        let (low, high) = (low - margin, high + margin);
        let mut chart = plane(canvas, title, 0.7..last + 0.3, low..high)?;
        chart
            .configure_mesh()
            .x_desc("epoch")
            .y_desc(axis)
            .x_labels(history.len().clamp(2, 12))
            .x_label_formatter(&|x| if (x - x.round()).abs() < 1e-6 { format!("{x:.0}") } else { String::new() })
            .y_label_formatter(&|y| if high - low < 0.1 { format!("{y:.3}") } else { format!("{y:.2}") })
            .label_style((FONT, 22))
            .axis_desc_style((FONT, 24))
            .light_line_style(WHITE.mix(0.0))
            .bold_line_style(BLACK.mix(0.1))
            .draw()?;
        for (which, colour, name) in [(0, BLUE, "training"), (1, ORANGE, "validation")] {
            let points: Vec<(f64, f64)> =
                history.iter().map(|epoch| (epoch.epoch as f64, <[f64; 2]>::from(values(epoch))[which])).collect();
            line(&mut chart, points.iter().copied(), colour, name)?;
            chart.draw_series(points.into_iter().map(|point| Circle::new(point, 4, colour.filled())))?;
        }
        let best = best_epoch as f64;
        dashed(&mut chart, (best, low), (best, high), &format!("best epoch ({best_epoch}), by validation AUROC"))?;
        legend(&mut chart, position)
    })
}

/// Draws into memory and encodes as PNG.
fn picture(draw: impl FnOnce(&Canvas) -> Drawing) -> Result<Vec<u8>> {
    static FONTS: Once = Once::new();
    FONTS.call_once(|| {
        // The only fault is bytes that are no font, and these were compiled in; the tests draw with them.
        let _ = register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
    let mut pixels = vec![0u8; (SIZE.0 * SIZE.1 * 3) as usize];
    {
        let canvas = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
        let failed = |error: &dyn std::fmt::Display| anyhow!("drawing failed ({error}); please report this");
        canvas.fill(&WHITE).map_err(|error| failed(&error))?;
        draw(&canvas).map_err(|error| failed(&error))?;
        canvas.present().map_err(|error| failed(&error))?;
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
}

fn plane<'a, 'b>(
    canvas: &'a Canvas<'b>,
    title: &str,
    x: Range<f64>,
    y: Range<f64>,
) -> std::result::Result<Plane<'a, 'b>, Box<dyn std::error::Error>> {
    Ok(ChartBuilder::on(canvas)
        .caption(title, (FONT, 32))
        .margin(20)
        .margin_right(30)
        .x_label_area_size(64)
        .y_label_area_size(92)
        .build_cartesian_2d(x, y)?)
}

fn axes(chart: &mut Plane, x: &str, y: &str) -> Drawing {
    let counts = chart.y_range().end > 2.0; // else shares
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .x_labels(11)
        .y_labels(11)
        .x_label_formatter(&|x| format!("{x:.1}"))
        .y_label_formatter(&|y| if counts { format!("{y:.0}") } else { format!("{y:.1}") })
        .label_style((FONT, 22))
        .axis_desc_style((FONT, 24))
        .light_line_style(WHITE.mix(0.0))
        .bold_line_style(BLACK.mix(0.1))
        .draw()?;
    Ok(())
}

fn line(chart: &mut Plane, points: impl Iterator<Item = (f64, f64)>, colour: RGBColor, label: &str) -> Drawing {
    chart
        .draw_series(LineSeries::new(points, colour.stroke_width(3)))?
        .label(label)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], colour.stroke_width(3)));
    Ok(())
}

fn dashed(chart: &mut Plane, from: (f64, f64), to: (f64, f64), label: &str) -> Drawing {
    chart
        .draw_series(DashedLineSeries::new([from, to], 8, 6, BLACK.stroke_width(2)))?
        .label(label)
        .legend(|(x, y)| PathElement::new([(x, y), (x + 24, y)], BLACK.stroke_width(2)));
    Ok(())
}

fn mark(chart: &mut Plane, point: Option<(f64, f64)>, label: &str) -> Drawing {
    chart
        .draw_series(point.map(|point| Circle::new(point, 8, ORANGE.filled())))?
        .label(label)
        .legend(|(x, y)| Circle::new((x + 12, y), 7, ORANGE.filled()));
    Ok(())
}

fn legend<'a, 'b: 'a>(chart: &mut Plane<'a, 'b>, position: SeriesLabelPosition) -> Drawing {
    chart
        .configure_series_labels()
        .position(position)
        .margin(18)
        .legend_area_size(34)
        .label_font((FONT, 22))
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

/// The last point at or above the threshold.
fn at_threshold(curve: &[CurvePoint], threshold: f64) -> Option<(f64, f64)> {
    curve.iter().take_while(|point| point.threshold >= threshold).last().map(|point| (point.x, point.y))
}

/// A curve with no more points than pixels can show.
fn thinned(curve: &[CurvePoint]) -> Vec<(f64, f64)> {
    let step = 1.0 / f64::from(SIZE.0);
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (i, point) in curve.iter().enumerate() {
        let far = points.last().is_none_or(|(x, y)| (point.x - x).abs() + (point.y - y).abs() >= step);
        if far || i + 1 == curve.len() {
            points.push((point.x, point.y));
        }
    }
    points
}

fn with_interval(report: &Report, metric: &str, name: &str) -> String {
    match report.get(metric) {
        Some(estimate) => format!("{name} {:.3} (95 % {:.3} to {:.3})", estimate.value, estimate.low, estimate.high),
        None => format!("{name} undefined: one class only"),
    }
}

/// 30000 as 30,000.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Width, height and the share of pixels that are not white.
    fn ink(png: &[u8]) -> (u32, u32, f64) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let (width, height) = (reader.info().width, reader.info().height);
        let dark = pixels.chunks(3).filter(|pixel| pixel.iter().any(|&value| value < 250)).count();
        (width, height, dark as f64 / f64::from(width * height))
    }

    fn epoch(epoch: usize) -> Epoch {
        let value = 0.7 - epoch as f64 / 100.0;
        Epoch {
            epoch,
            train_loss: value,
            train_accuracy: 1.0 - value,
            valid_loss: value,
            valid_accuracy: 1.0 - value,
            valid_auroc: 0.6,
            learning_rate: 1e-3,
            seconds: 1.0,
            fragments_per_second: 1.0,
        }
    }

    #[test]
    fn every_picture_can_be_drawn_even_of_next_to_nothing() {
        for n in [2usize, 500] {
            let labels: Vec<bool> = (0..n).map(|i| i % 2 == 0).collect();
            let values: Vec<f64> = (0..n).map(|i| (i as f64 * 0.618).fract()).collect();
            let ranking = Ranking::new(&labels, &values);
            let report = ranking.report(ranking.best_threshold(), 1);
            let history: Vec<Epoch> = (1..=n.min(30) / 2).map(epoch).collect();
            for png in [
                loss(&history, 1, Loss::Bce),
                accuracy(&history, 1),
                roc(&ranking, &report, "test"),
                precision_recall(&ranking, &report, "test"),
                calibration(&ranking, &report, "test", "human"),
                scores(&labels, &values, &report, "test", ("human", "mouse")),
            ] {
                let (width, height, ink) = ink(&png.unwrap());
                assert_eq!((width, height), SIZE);
                assert!((0.01..0.6).contains(&ink), "{ink}");
            }
        }
    }

    #[test]
    fn text_is_drawn_with_a_typeface_of_our_own() {
        let blank = picture(|_| Ok(())).unwrap();
        let text = picture(|canvas| Ok(canvas.draw(&Text::new("ACGT", (100, 100), (FONT, 40)))?)).unwrap();
        assert_eq!(ink(&blank).2, 0.0);
        assert!(ink(&text).2 > 0.0005);
    }

    #[test]
    fn numbers_are_grouped_by_threes() {
        assert_eq!([0, 999, 1000, 30_000, 1_234_567].map(thousands), ["0", "999", "1,000", "30,000", "1,234,567"]);
    }
}
