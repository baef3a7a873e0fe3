//! The canvas of a drawing: its measures and how text is written on it.

use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::{DrawingArea, SVGBackend, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, IntoFont, RGBColor, TextStyle};

/// Of the whole drawing, in pixels of its own; a viewer scales it.
pub(super) const WIDTH: u32 = 800;

/// Left of the panels, for the numbers.
pub(super) const LEFT: u32 = 58;

/// Right of them, for the names of lines.
pub(super) const RIGHT: u32 = 118;

/// Around everything.
pub(super) const MARGIN: u32 = 14;

/// The sizes of text.
pub(super) const LARGE: f64 = 18.0;

pub(super) const NORMAL: f64 = 13.0;

/// How much wider bold text may be than `width` says: fonts differ.
pub(super) const BOLD: f64 = 1.2;

/// Between lines of text.
pub(super) const LARGE_LINE: u32 = 24;

pub(super) const NORMAL_LINE: u32 = 18;

/// What the reader's own machine writes with.
pub(super) const FONT: &str =
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif";

pub(super) type Canvas<'drawing> = DrawingArea<SVGBackend<'drawing>, Shift>;

pub(super) type Drawn<Value = ()> = Result<Value, DrawingAreaErrorKind<std::io::Error>>;

/// Writes at a place in pixels.
pub(super) fn write(
    canvas: &Canvas<'_>,
    text: &str,
    (x, y): (f64, u32),
    size: f64,
    colour: RGBColor,
    (horizontal, vertical, bold): (HPos, VPos, bool),
) -> Drawn {
    let style = style(size, colour, bold).pos(Pos::new(horizontal, vertical));
    let place = (x.round() as i32, i32::try_from(y).unwrap_or(i32::MAX));
    canvas.draw(&Text::new(text.to_owned(), place, style))
}

pub(super) fn style(size: f64, colour: RGBColor, bold: bool) -> TextStyle<'static> {
    let weight = if bold { FontStyle::Bold } else { FontStyle::Normal };
    // The backend writes the size of the letters, not of the line.
    (FONT, size * 1.24, weight).into_font().color(&colour)
}
