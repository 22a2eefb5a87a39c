//! Drawing into memory with a bundled font: figures need no system fonts, and a failed drawing leaves no file behind.

use std::ops::Range;
use std::sync::Once;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

/// Width and height of a figure in pixels.
pub const SIZE: (u32, u32) = (1000, 720);
/// The font family of all text.
pub const FONT: &str = "sans-serif";

/// A palette for all kinds of colour vision (Okabe and Ito, 2008).
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
/// Colour of highlighted elements.
pub const ORANGE: RGBColor = RGBColor(213, 94, 0);
/// The colour of reference lines.
pub const GREY: RGBColor = RGBColor(110, 110, 110);
const OTHERS: [RGBColor; 5] = [
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(60, 60, 60),
];

/// Colour of a class, label or column; the palette has seven.
pub fn colour(index: usize) -> RGBColor {
    match index % 7 {
        0 => BLUE,
        1 => ORANGE,
        other => OTHERS[other - 2],
    }
}

/// An area of a bitmap.
pub type Canvas<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
/// The outcome of a drawing step.
pub type Drawing = std::result::Result<(), Box<dyn std::error::Error>>;
/// A chart with linear axes.
pub type Plane<'a, 'b> = ChartContext<'a, BitMapBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws into memory and encodes as PNG.
///
/// # Errors
/// The figure cannot be drawn.
pub fn picture(draw: impl FnOnce(&Canvas) -> Drawing) -> Result<Vec<u8>> {
    picture_of(SIZE, draw)
}

/// Like [`picture`], with the given number of pixels, for figures of several rows.
///
/// # Errors
/// The figure cannot be drawn.
pub fn picture_of(size: (u32, u32), draw: impl FnOnce(&Canvas) -> Drawing) -> Result<Vec<u8>> {
    static FONTS: Once = Once::new();
    FONTS.call_once(|| {
        // The only fault is bytes that are no font, and these were compiled in; the tests draw with them.
        let _ = register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
    let mut pixels = vec![0u8; (size.0 * size.1 * 3) as usize];
    {
        let canvas = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        let failed = |error: &dyn std::fmt::Display| anyhow!("drawing failed ({error}); please report this");
        canvas.fill(&WHITE).map_err(|error| failed(&error))?;
        draw(&canvas).map_err(|error| failed(&error))?;
        canvas.present().map_err(|error| failed(&error))?;
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
}

/// A chart with a title and the given axis ranges.
///
/// # Errors
/// The drawing backend fails.
pub fn plane<'a, 'b>(
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

/// Draws the axes with their labels.
pub fn axes(chart: &mut Plane, x: &str, y: &str) -> Drawing {
    let (across, up) = (chart.x_range(), chart.y_range());
    axes_written(chart, x, y, &|x| tick(*x, across.end - across.start), &|y| tick(*y, up.end - up.start))
}

/// Draws axes whose numbers are formatted by the given functions.
pub fn axes_written(
    chart: &mut Plane,
    x: &str,
    y: &str,
    write_x: &dyn Fn(&f64) -> String,
    write_y: &dyn Fn(&f64) -> String,
) -> Drawing {
    let (width, height) = chart.plotting_area().dim_in_pixel();
    // As many labels as fit side by side and one above the other.
    let labels = |pixels: u32, each: u32| (pixels / each).clamp(2, MOST_TICKS as u32) as usize;
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .x_labels(labels(width, 75))
        .y_labels(labels(height, 50))
        .x_label_formatter(&write_x)
        .y_label_formatter(&write_y)
        .label_style((FONT, 22))
        .axis_desc_style((FONT, 24))
        .light_line_style(WHITE.mix(0.0))
        .bold_line_style(BLACK.mix(0.1))
        .draw()?;
    Ok(())
}

/// Largest number of labels on an axis.
const MOST_TICKS: f64 = 11.0;

/// Formats a number on an axis of width `span` with the decimals that distinguish it from its neighbours; steps are 1,
/// 2 or 5 times a power of ten.
pub fn tick(value: f64, span: f64) -> String {
    let value = if value.abs() < span * 1e-9 { 0.0 } else { value };
    let least = span / MOST_TICKS * (1.0 - 1e-9);
    let power = least.log10().floor();
    // A step of 10 has one decimal fewer than smaller steps.
    let decimals = if least > 5.0 * 10f64.powf(power) { -power - 1.0 } else { -power };
    let is_tiny = decimals > 4.0 && value.abs() < 0.01;
    if is_tiny { format!("{value:.1e}") } else { format!("{value:.*}", decimals.max(0.0) as usize) }
}

/// Draws a line with a legend entry.
pub fn line(chart: &mut Plane, points: impl Iterator<Item = (f64, f64)>, colour: RGBColor, label: &str) -> Drawing {
    chart
        .draw_series(LineSeries::new(points, colour.stroke_width(3)))?
        .label(label)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], colour.stroke_width(3)));
    Ok(())
}

/// Draws a dashed reference line with a legend entry.
pub fn dashed(chart: &mut Plane, from: (f64, f64), to: (f64, f64), label: &str) -> Drawing {
    chart
        .draw_series(DashedLineSeries::new([from, to], 8, 6, BLACK.stroke_width(2)))?
        .label(label)
        .legend(|(x, y)| PathElement::new([(x, y), (x + 24, y)], BLACK.stroke_width(2)));
    Ok(())
}

/// Draws a point with a legend entry, if there is one.
pub fn mark(chart: &mut Plane, point: Option<(f64, f64)>, label: &str) -> Drawing {
    chart
        .draw_series(point.map(|point| Circle::new(point, 8, ORANGE.filled())))?
        .label(label)
        .legend(|(x, y)| Circle::new((x + 12, y), 7, ORANGE.filled()));
    Ok(())
}

/// Draws the legend.
pub fn legend<'a, 'b: 'a>(chart: &mut Plane<'a, 'b>, position: SeriesLabelPosition) -> Drawing {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::ink;

    #[test]
    fn numbers_on_an_axis_have_the_decimals_that_tell_them_apart() {
        for (value, span, text) in
            [(0.1, 1.0, "0.1"), (0.05, 0.5, "0.05"), (0.692, 0.004, "0.6920"), (20.0, 25.0, "20"), (300.0, 2e3, "300")]
        {
            assert_eq!(tick(value, span), text);
        }
        assert_eq!(tick(1e-17, 1.0), "0.0");
        assert_eq!(tick(0.69201, 1e-5), "0.692010");
        assert_eq!(tick(2e-6, 1e-5), "2.0e-6");
    }

    #[test]
    fn text_is_drawn_with_a_typeface_of_our_own() {
        let blank = picture(|_| Ok(())).unwrap();
        let text = picture(|canvas| Ok(canvas.draw(&Text::new("ACGT", (100, 100), (FONT, 40)))?)).unwrap();
        assert_eq!(ink(&blank).2, 0.0);
        assert!(ink(&text).2 > 0.0005);
    }
}
