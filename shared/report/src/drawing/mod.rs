//! The report as a drawing: an SVG in light and dark, its panels above one another on one axis of
//! time.

mod canvas;
mod page;
mod palette;
mod panel;
mod scale;
mod series;
mod stages;

use glidepath_core::health::evidence;
use glidepath_core::time::Timestamp;
use plotters::prelude::{IntoDrawingArea, SVGBackend};
use plotters::style::text_anchor::{HPos, VPos};

use self::canvas::{
    BOLD, Canvas, Drawn, LARGE, LARGE_LINE, LEFT, MARGIN, NORMAL, NORMAL_LINE, RIGHT, WIDTH, write,
};
use self::page::{cut, page, printable, width, wrapped};
use self::palette::{END, FAINT, INK, PAPER};
use self::panel::{EVIDENCE_HEIGHT, Frame, SHARES_HEIGHT};
use self::scale::{Scale, seconds};
use self::stages::{Placed, place};
use super::counted::{Metric, Report, Times};
use super::text;
use super::words::{clock, day};

pub fn drawing(report: &Report) -> std::io::Result<String> {
    let layout = Layout::of(report);
    let mut drawn = String::new();
    {
        let size = (WIDTH, layout.height());
        let canvas = SVGBackend::with_string(&mut drawn, size).into_drawing_area();
        layout.draw(&canvas).map_err(std::io::Error::other)?;
        canvas.present().map_err(std::io::Error::other)?;
    }
    let title = printable(&format!("{}: {}", report.subject, report.headline()));
    Ok(page(&drawn, &title, &description(report)))
}

/// The whole in words, for whoever does not see it.
fn description(report: &Report) -> String {
    let mut description = String::new();
    for line in report.reason().iter().map(String::as_str).chain(text::by_stage(report).lines()) {
        if !line.is_empty() {
            description.push_str(&printable(line));
            description.push('\n');
        }
    }
    description
}

/// In one line, or else finding and outcome in lines of their own.
fn headline(report: &Report, room: f64) -> Vec<String> {
    let whole = printable(&report.headline());
    if width(&whole, LARGE * BOLD) <= room {
        return vec![whole];
    }
    let parts = report.finding().map(|finding| format!("{finding};")).into_iter();
    let parts = parts.chain(std::iter::once(report.outcome.clone()));
    parts.flat_map(|part| wrapped(&printable(&part), LARGE * BOLD, room)).collect()
}

/// Where everything goes.
struct Layout<'report> {
    report: &'report Report,
    headline: Vec<String>,
    labels: Vec<Placed>,
    from: Timestamp,
    time: Scale,
}

impl<'report> Layout<'report> {
    fn of(report: &'report Report) -> Self {
        let (from, until) = (report.begins(), report.ends());
        let time = scale::time(report, from, until);
        let room = f64::from(WIDTH - 2 * MARGIN);
        let mut layout =
            Self { report, headline: headline(report, room), labels: Vec::new(), from, time };
        let stages = report.stages.iter().map(|stage| {
            let name = printable(&stage.name);
            let forms = match &stage.weight {
                Some(weight) => [format!("stage {name}: {weight}"), weight.clone()],
                None => [format!("stage {name}"), name],
            };
            (layout.x(stage.from), forms.map(|form| cut(&form, NORMAL, 160.0)))
        });
        let stages: Vec<_> = stages.collect();
        layout.labels = place(&stages, NORMAL, f64::from(WIDTH - MARGIN));
        layout
    }

    /// Pixels from the left.
    fn x(&self, at: Timestamp) -> f64 {
        let room = f64::from(WIDTH - LEFT - RIGHT);
        f64::from(LEFT) + seconds(self.from, at) / self.time.high * room
    }

    fn label_rows(&self) -> u32 {
        let highest = self.labels.iter().map(|placed| placed.row).max();
        highest.map_or(0, |row| u32::try_from(row).unwrap_or(0) + 1)
    }

    /// Where the labels of stages begin.
    fn below_headline(&self) -> u32 {
        let lines = u32::try_from(self.headline.len()).unwrap_or(1);
        MARGIN + lines * LARGE_LINE + NORMAL_LINE + 12
    }

    fn panels(&self) -> Vec<(Panel, u32)> {
        let mut panels = vec![(Panel::Shares(Metric::Bad), SHARES_HEIGHT)];
        if self.report.counts_slow() {
            panels.push((Panel::Shares(Metric::Slow), SHARES_HEIGHT));
        }
        if self.report.comparison.is_some() {
            panels.push((Panel::Evidence, EVIDENCE_HEIGHT));
        }
        panels
    }

    fn height(&self) -> u32 {
        let panels: u32 = self.panels().iter().map(|(_, height)| height).sum();
        let end = self.report.end.as_ref().map_or(0, |_| NORMAL_LINE);
        let times = NORMAL_LINE + 6;
        self.below_headline() + self.label_rows() * NORMAL_LINE + panels + times + end + MARGIN
    }

    fn draw(&self, canvas: &Canvas<'_>) -> Drawn {
        canvas.fill(&PAPER)?;
        let left = f64::from(MARGIN);
        let mut y = MARGIN;
        for line in &self.headline {
            write(canvas, line, (left, y), LARGE, INK, (HPos::Left, VPos::Top, true))?;
            y += LARGE_LINE;
        }
        let about = cut(&self.about(), NORMAL, f64::from(WIDTH - 2 * MARGIN));
        write(canvas, &about, (left, y + 2), NORMAL, FAINT, (HPos::Left, VPos::Top, false))?;
        let lowest = self.below_headline() + self.label_rows() * NORMAL_LINE;
        for placed in &self.labels {
            let row = u32::try_from(placed.row).unwrap_or(0);
            let y = lowest - (row + 1) * NORMAL_LINE;
            let place = (HPos::Left, VPos::Top, false);
            write(canvas, &placed.text, (placed.x, y), NORMAL, INK, place)?;
        }
        let frame = Frame { canvas, report: self.report, from: self.from, time: &self.time };
        let mut top = lowest;
        let panels = self.panels();
        for (panel, height) in &panels {
            let area = canvas.clone().shrink((0, top), (WIDTH, *height));
            match panel {
                Panel::Shares(metric) => frame.shares(&area, *metric)?,
                Panel::Evidence => frame.evidence(&area)?,
            }
            top += height;
        }
        self.below(canvas, top)
    }

    /// The times, once for all panels.
    fn below(&self, canvas: &Canvas<'_>, top: u32) -> Drawn {
        let room = f64::from(WIDTH - LEFT - RIGHT);
        let mut free = f64::NEG_INFINITY;
        for (at, label) in &self.time.ticks {
            let (x, label) = (f64::from(LEFT) + at / self.time.high * room, printable(label));
            let half = width(&label, NORMAL) / 2.0;
            if x - half < free {
                continue;
            }
            free = x + half + NORMAL * 0.6;
            let place = (HPos::Center, VPos::Top, false);
            write(canvas, &label, (x, top + 6), NORMAL, FAINT, place)?;
        }
        let caption = match &self.report.times {
            Times::Clock => "UTC",
            Times::Labels(_) => "cell",
        };
        let place = (HPos::Right, VPos::Top, false);
        write(canvas, caption, (f64::from(WIDTH - MARGIN), top + 6), NORMAL, FAINT, place)?;
        self.end(canvas, top + 6 + NORMAL_LINE)
    }

    /// The end below its line, in the direction in which there is more room.
    fn end(&self, canvas: &Canvas<'_>, y: u32) -> Drawn {
        let Some(end) = &self.report.end else { return Ok(()) };
        let (x, words) = (self.x(end.at), printable(&end.words));
        let (text, x, horizontal) = if x > f64::from(WIDTH) / 2.0 {
            (format!("{words} ▲"), x + NORMAL / 2.0, HPos::Right)
        } else {
            (format!("▲ {words}"), x - NORMAL / 2.0, HPos::Left)
        };
        write(canvas, &text, (x, y), NORMAL, END, (horizontal, VPos::Top, true))
    }

    /// What the drawing is about, below the headline.
    fn about(&self) -> String {
        let report = self.report;
        let subject = printable(&report.subject);
        let from = match report.times {
            Times::Clock => format!(
                ", {} from {} UTC",
                day(self.from),
                clock(self.from, !report.by_the_minute())
            ),
            Times::Labels(_) => String::new(),
        };
        let needed = report.comparison.as_ref().map_or_else(String::new, |comparison| {
            format!(
                "; evidence {} from {} minutes rolls back",
                evidence(comparison.parameters.bound()),
                comparison.parameters.witnesses()
            )
        });
        format!("{subject}{from}{needed}")
    }
}

/// One of the panels.
enum Panel {
    Shares(Metric),
    Evidence,
}
