//! In a terminal: the story scrolls, and below it stand the stages, the weights and both slots.

use std::time::Duration;

use glidepath_lab::scenario::Slot;
use glidepath_lab::{Doing, Event, LabResult, Observed};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::model::{Model, SlotView};
use super::story;

const REDRAW: Duration = Duration::from_millis(100);
/// Steps of a stage's bar: thousandths of its bake.
const WHOLE: u64 = 1000;
const WEIGHTS_WIDTH: f64 = 40.0;

/// Draws until the events end.
pub(super) async fn show(mut model: Model, mut events: mpsc::Receiver<Observed>) -> LabResult<()> {
    let mut screen = Screen::new()?;
    let mut redraw = interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // Where the timeline's clock stands, from the newest event on.
    let mut clock = (0.0, Instant::now());
    loop {
        tokio::select! {
            observed = events.recv() => {
                let Some(observed) = observed else { break };
                clock = (observed.at, Instant::now());
                model.observe(&observed);
                if let Some(line) = story::line(&observed, &model) {
                    screen.bars.println(line).doing("writing to the terminal")?;
                }
                if matches!(observed.event, Event::Started { .. }) {
                    screen.begin_act(&model);
                }
            }
            _ = redraw.tick() => screen.draw(&model, clock.0 + clock.1.elapsed().as_secs_f64()),
        }
    }
    screen.bars.clear().doing("clearing the terminal")
}

struct Screen {
    bars: MultiProgress,
    stages: Vec<ProgressBar>,
    weights: ProgressBar,
    slots: [(Slot, ProgressBar); 2],
    verdict: ProgressBar,
    stage_style: ProgressStyle,
}

impl Screen {
    fn new() -> LabResult<Self> {
        let style = |template| ProgressStyle::with_template(template).doing("preparing the screen");
        let text = style("  {prefix:<9} {wide_msg}")?;
        let stage_style =
            style("  {prefix:>7}   {bar:40.green/black.bright} {msg}")?.progress_chars("━╸─");
        // Each of the lines changes at every redraw; the terminal need not see every one alone.
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let add = |prefix: &'static str| {
            let bar = bars.add(ProgressBar::new_spinner().with_style(text.clone()));
            bar.with_prefix(prefix)
        };
        let weights = add("weights");
        let slots = [(Slot::Blue, add("blue")), (Slot::Green, add("green"))];
        let verdict = add("verdict");
        Ok(Self { weights, slots, verdict, bars, stages: Vec::new(), stage_style })
    }

    fn begin_act(&mut self, model: &Model) {
        for bar in self.stages.drain(..) {
            self.bars.remove(&bar);
        }
        let Some(act) = &model.act else { return };
        for (index, stage) in act.stages.iter().enumerate() {
            let bar = ProgressBar::new(WHOLE).with_style(self.stage_style.clone());
            let bar = self.bars.insert(index, bar.with_prefix(format!("{} %", stage.weight)));
            self.stages.push(bar);
        }
    }

    fn draw(&self, model: &Model, now: f64) {
        if let Some(act) = &model.act {
            for (index, (bar, stage)) in self.stages.iter().zip(&act.stages).enumerate() {
                let (part, word) = match (act.reached.cmp(&(index + 1)), act.outcome) {
                    (std::cmp::Ordering::Less, _) => (0.0, ""),
                    (std::cmp::Ordering::Greater, _) | (_, Some(true)) => (1.0, "done"),
                    (std::cmp::Ordering::Equal, Some(false)) => (0.0, "rolled back"),
                    (std::cmp::Ordering::Equal, None) => {
                        (((now - act.since) / stage.bake.max(0.1)).min(1.0), "baking")
                    }
                };
                // Between 0 and WHOLE, as just made sure of.
                bar.set_position((part * WHOLE as f64) as u64);
                bar.set_message(word);
            }
            self.verdict.set_message(act.verdict.clone());
        }
        let (blue, green) = model.weights;
        let left = (blue / 100.0 * WEIGHTS_WIDTH).round() as usize;
        let right = WEIGHTS_WIDTH as usize - left.min(WEIGHTS_WIDTH as usize);
        let bar = format!("{}{}", "█".repeat(left), "░".repeat(right));
        self.weights.set_message(format!("blue {blue:>5.1} % {bar} green {green:>5.1} %"));
        let stable = model.act.as_ref().map(|act| act.stable);
        for (slot, bar) in &self.slots {
            let view = model.slots.get(slot).cloned().unwrap_or_default();
            let role = match stable {
                Some(stable) if stable == *slot => "stable",
                Some(_) => "canary",
                None => "",
            };
            bar.set_message(describe(&view, role));
        }
    }
}

fn describe(view: &SlotView, role: &str) -> String {
    format!(
        "{role:<7} {:<5} {}/{} tasks  {:>6} requests  {:>4} bad",
        view.version, view.running, view.desired, view.requests, view.bad
    )
}
