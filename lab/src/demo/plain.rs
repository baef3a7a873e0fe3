//! Without a terminal: one line for each event, and a look at the numbers every few seconds.

use glidepath_lab::{Event, LabResult, Observed};
use tokio::sync::mpsc;

use super::model::Model;
use super::story;

const SECONDS_BETWEEN_LOOKS: f64 = 5.0;

/// Prints until the events end.
pub(super) async fn show(mut model: Model, mut events: mpsc::Receiver<Observed>) -> LabResult<()> {
    let mut next_look = SECONDS_BETWEEN_LOOKS;
    while let Some(observed) = events.recv().await {
        model.observe(&observed);
        if let Some(line) = story::line(&observed, &model) {
            glidepath_lab::print(&line)?;
        }
        if matches!(observed.event, Event::Requests { .. }) && observed.at >= next_look {
            next_look = observed.at + SECONDS_BETWEEN_LOOKS;
            for (slot, view) in &model.slots {
                glidepath_lab::print(&format!(
                    "{:6.1} s  {slot} ({}): {} requests, {} bad",
                    observed.at, view.version, view.requests, view.bad
                ))?;
            }
            if let Some(act) = model.act.as_ref().filter(|act| !act.verdict.is_empty()) {
                glidepath_lab::print(&format!("{:6.1} s  verdict: {}", observed.at, act.verdict))?;
            }
        }
    }
    Ok(())
}
