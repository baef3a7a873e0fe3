//! The panels: proportions of both slots, and the evidence with its bound.

use glidepath_core::health::evidence;
use glidepath_core::time::Timestamp;
use plotters::chart::{ChartBuilder, ChartContext, LabelAreaPosition};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{Cartesian2d, Circle, PathElement, Rectangle, SVGBackend};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, RGBColor, ShapeStyle};

use super::canvas::{BOLD, Canvas, Drawn, LEFT, MARGIN, NORMAL, NORMAL_LINE, RIGHT, WIDTH, write};
use super::page::width;
use super::palette::{BOUND, CANARY, END, EVIDENCE, FAINT, GRID, INK, PAPER, STABLE, STAGE};
use super::scale::{self, Scale, seconds};
use super::series::{self, Line};
use crate::counted::{Because, Metric, Report, Row, first_failing};

/// Of a panel with proportions, its heading included.
pub(super) const SHARES_HEIGHT: u32 = 172;
/// Of the evidence.
pub(super) const EVIDENCE_HEIGHT: u32 = 200;

/// Above a panel, for its heading.
const HEADING: u32 = 38;

/// Half of a mark.
const MARK: i32 = 3;

type Plane = Cartesian2d<RangedCoordf64, RangedCoordf64>;
type Chart<'area, 'drawing> = ChartContext<'area, SVGBackend<'drawing>, Plane>;

/// What all panels have in common.
pub(super) struct Frame<'report, 'drawing> {
    pub(super) canvas: &'report Canvas<'drawing>,
    pub(super) report: &'report Report,
    pub(super) from: Timestamp,
    pub(super) time: &'report Scale,
}

/// The name of a line, beside its end.
struct Name {
    text: String,
    colour: RGBColor,
    y: i32,
}

impl<'drawing> Frame<'_, 'drawing> {
    /// Proportions of both slots.
    pub(super) fn shares(&self, area: &Canvas<'drawing>, metric: Metric) -> Drawn {
        let rows = &self.report.rows;
        let canary = series::shares(rows, self.from, metric, |row| row.cell.canary);
        let stable = series::shares(rows, self.from, metric, |row| row.cell.stable);
        let highest = canary.points().chain(stable.points()).map(|(_, share)| share);
        let scale = scale::shares(highest.fold(0.0, f64::max));
        self.heading(area, &self.shares_heading(metric))?;
        let mut chart = self.chart(area, &scale)?;
        let limit = self.report.limit.filter(|_| metric == Metric::Bad);
        let limit = limit.map(|limit| f64::from(limit.0) / 1000.0);
        let limit = limit.filter(|limit| *limit <= scale.high);
        let mut names = Vec::new();
        if let Some(limit) = limit {
            let points = vec![(0.0, limit), (self.time.high, limit)];
            chart.draw_series([PathElement::new(points, BOUND.stroke_width(1))])?;
            names.push(name(&chart, "limit".to_owned(), BOUND, (self.time.high, limit)));
        }
        // The canary lies above: its line is the one that is looked for.
        for (line, slot) in [(&stable, Slot::Stable), (&canary, Slot::Canary)] {
            draw_line(&mut chart, line, slot.colour(), slot.thickness())?;
            for point in line.marks() {
                slot.mark(&mut chart, point)?;
            }
            if let Some(end) = line.points().last() {
                names.push(name(&chart, slot.word().to_owned(), slot.colour(), end));
            }
        }
        if names.is_empty() {
            let (x, y) = chart.backend_coord(&(self.time.high / 2.0, scale.high / 2.0));
            let place = (HPos::Center, VPos::Center, false);
            let y = u32::try_from(y).unwrap_or(0);
            write(self.canvas, "no requests", (f64::from(x), y), NORMAL, FAINT, place)?;
        }
        self.end(&mut chart, &scale)?;
        write_names(self.canvas, names, area)
    }

    fn shares_heading(&self, metric: Metric) -> String {
        let rows = series::rows_per_point(self.report.rows.len());
        let each = match rows {
            1 if self.report.by_the_minute() => "each minute".to_owned(),
            1 => format!("each {}", self.report.period),
            rows => format!("{rows} minutes each"),
        };
        let than = self.report.slower_than.filter(|_| metric == Metric::Slow);
        let than = than.map_or_else(String::new, |than| format!(" (over {than})"));
        format!("{} requests{than}, share of all, {each}", metric.word())
    }

    /// The evidence on a logarithmic axis, with its bound and the point of failing.
    pub(super) fn evidence(&self, area: &Canvas<'drawing>) -> Drawn {
        let Some(comparison) = &self.report.comparison else { return Ok(()) };
        let bound = comparison.parameters.bound() / std::f64::consts::LN_10;
        let found = self.report.rows.iter().filter_map(|row| row.point.as_ref());
        let found: Vec<_> = found.map(|point| point.log10_e()).collect();
        let lowest = found.iter().copied().fold(0.0, f64::min);
        let highest = found.iter().copied().fold(0.0, f64::max);
        let scale = scale::evidence(lowest, highest, bound);
        self.heading(area, "evidence E that canary is worse than allowed, logarithmic")?;
        let mut chart = self.chart(area, &scale)?;
        let points = vec![(0.0, bound), (self.time.high, bound)];
        chart.draw_series([PathElement::new(points, BOUND.stroke_width(2))])?;
        let needed = evidence(comparison.parameters.bound());
        let bound_name = format!("bound {needed}");
        let mut names = vec![name(&chart, bound_name, BOUND, (self.time.high, bound))];
        let line = series::evidence(&self.report.rows, self.from, scale.low, scale.high);
        draw_line(&mut chart, &line, EVIDENCE, 2)?;
        chart.draw_series(
            line.marks().into_iter().map(|at| Circle::new(at, 2, EVIDENCE.filled())),
        )?;
        if let (Some(end), Some(latest)) = (line.points().last(), comparison.latest()) {
            names.push(name(&chart, format!("E {}", brief(latest.ln_e)), EVIDENCE, end));
        }
        self.end(&mut chart, &scale)?;
        self.failing(&mut chart, &scale)?;
        write_names(self.canvas, names, area)
    }

    /// A ring around the point that fails, with its numbers.
    fn failing(&self, chart: &mut Chart<'_, 'drawing>, scale: &Scale) -> Drawn {
        let Some((at, because)) = first_failing(self.report) else { return Ok(()) };
        let Some(row) = self.report.rows.get(at) else { return Ok(()) };
        let Some(point) = &row.point else { return Ok(()) };
        let place = (series::place(row, self.from), point.log10_e().clamp(scale.low, scale.high));
        chart.draw_series([Circle::new(place, 7, END.stroke_width(2))])?;
        let text = match because {
            Because::Comparison => {
                format!("fails: E {}, {} minutes against", evidence(point.ln_e), point.witnesses)
            }
            Because::GrossFailure => gross(row),
            Because::Limit => format!("fails: {}", self.report.over_the_limit(at)),
        };
        let (x, y) = chart.backend_coord(&place);
        // Where the line has not been yet, or will not come again.
        let room = f64::from(x) - f64::from(LEFT) - 12.0;
        let fits = room >= width(&text, NORMAL * BOLD);
        let (x, horizontal) = if fits {
            (f64::from(x) - 12.0, HPos::Right)
        } else {
            (f64::from(x) + 26.0, HPos::Left)
        };
        // Above the bound, next to which it stands.
        let y = u32::try_from(y).unwrap_or(0).saturating_sub(NORMAL_LINE - 2);
        write(self.canvas, &text, (x, y), NORMAL, END, (horizontal, VPos::Center, true))
    }

    fn heading(&self, area: &Canvas<'_>, text: &str) -> Drawn {
        let place = (HPos::Left, VPos::Bottom, true);
        write(area, text, (f64::from(MARGIN), HEADING - 13), NORMAL, INK, place)
    }

    /// Axes and grid, and where stages begin.
    fn chart<'area>(
        &self,
        area: &'area Canvas<'drawing>,
        scale: &Scale,
    ) -> Drawn<Chart<'area, 'drawing>> {
        let mut chart = ChartBuilder::on(area)
            .margin_top(HEADING)
            .margin_right(RIGHT)
            .margin_bottom(4)
            .set_label_area_size(LabelAreaPosition::Left, LEFT)
            .build_cartesian_2d(0.0..self.time.high, scale.low..scale.high)?;
        for (at, label) in &scale.ticks {
            let points = vec![(0.0, *at), (self.time.high, *at)];
            chart.draw_series([PathElement::new(points, GRID.stroke_width(1))])?;
            let y = u32::try_from(chart.backend_coord(&(0.0, *at)).1).unwrap_or(0);
            let place = (HPos::Right, VPos::Center, false);
            write(self.canvas, label, (f64::from(LEFT - 8), y), NORMAL, FAINT, place)?;
        }
        for stage in &self.report.stages {
            let at = seconds(self.from, stage.from);
            let points = vec![(at, scale.low), (at, scale.high)];
            chart.draw_series([PathElement::new(points, STAGE.stroke_width(1))])?;
        }
        Ok(chart)
    }

    /// When the canary lost its traffic.
    fn end(&self, chart: &mut Chart<'_, '_>, scale: &Scale) -> Drawn {
        let Some(end) = &self.report.end else { return Ok(()) };
        let at = seconds(self.from, end.at);
        let points = vec![(at, scale.low), (at, scale.high)];
        chart.draw_series([PathElement::new(points, END.stroke_width(2))])?;
        Ok(())
    }
}

/// For the narrow room beside a line.
fn brief(ln_e: f64) -> String {
    if ln_e >= 1e6_f64.ln() {
        "over 10⁶".to_owned()
    } else if ln_e < 0.001_f64.ln() {
        "below 0.001".to_owned()
    } else if ln_e < 0.0995_f64.ln() {
        format!("{:.3}", ln_e.exp())
    } else {
        evidence(ln_e)
    }
}

fn gross(row: &Row) -> String {
    let canary = row.cell.canary;
    format!("gross failure: {} of {} bad", canary.bad.min(canary.all), canary.all)
}

#[derive(Clone, Copy)]
enum Slot {
    Canary,
    Stable,
}

impl Slot {
    const fn colour(self) -> RGBColor {
        match self {
            Self::Canary => CANARY,
            Self::Stable => STABLE,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Canary => "● canary",
            Self::Stable => "□ stable",
        }
    }

    const fn thickness(self) -> u32 {
        match self {
            Self::Canary => 3,
            Self::Stable => 2,
        }
    }

    fn mark(self, chart: &mut Chart<'_, '_>, point: (f64, f64)) -> Drawn {
        match self {
            Self::Canary => {
                chart.draw_series([Circle::new(point, MARK + 1, CANARY.filled())])?;
            }
            Self::Stable => {
                // A square of pixels around a point of the chart.
                let square = plotters::element::EmptyElement::at(point)
                    + Rectangle::new([(-MARK, -MARK), (MARK, MARK)], PAPER.filled())
                    + Rectangle::new([(-MARK, -MARK), (MARK, MARK)], STABLE.stroke_width(1));
                chart.draw_series([square])?;
            }
        }
        Ok(())
    }
}

fn draw_line(chart: &mut Chart<'_, '_>, line: &Line, colour: RGBColor, thickness: u32) -> Drawn {
    let style = ShapeStyle::from(colour).stroke_width(thickness);
    let pieces = line.pieces.iter().filter(|piece| piece.len() > 1);
    chart.draw_series(pieces.map(|piece| PathElement::new(piece.clone(), style)))?;
    Ok(())
}

fn name(chart: &Chart<'_, '_>, text: String, colour: RGBColor, at: (f64, f64)) -> Name {
    Name { text, colour, y: chart.backend_coord(&at).1 }
}

/// Names beside the ends of their lines, moved apart where they would cover one another.
fn write_names(canvas: &Canvas<'_>, mut names: Vec<Name>, area: &Canvas<'_>) -> Drawn {
    names.sort_by_key(|name| name.y);
    let line = i32::try_from(NORMAL_LINE).unwrap_or(i32::MAX);
    let lowest = area.get_pixel_range().1.end - line / 2;
    let mut free = i32::MIN;
    for name in &mut names {
        name.y = name.y.max(free);
        free = name.y.saturating_add(line);
    }
    let mut end = lowest;
    for name in names.iter_mut().rev() {
        name.y = name.y.min(end);
        end = name.y - line;
    }
    let x = f64::from(WIDTH - RIGHT + 10);
    for name in &names {
        let y = u32::try_from(name.y).unwrap_or(0);
        let place = (HPos::Left, VPos::Center, true);
        write(canvas, &name.text, (x, y), NORMAL, name.colour, place)?;
    }
    Ok(())
}
