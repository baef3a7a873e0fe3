//! Events in words, one line each.

use anstyle::{AnsiColor, Style};
use glidepath_lab::{Event, Observed};

use super::model::Model;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const QUIET: Style = AnsiColor::BrightBlack.on_default();
const STRONG: Style = Style::new().bold();

/// The event in words, if it is worth a line.
pub(super) fn line(observed: &Observed, model: &Model) -> Option<String> {
    let text = match &observed.event {
        Event::Started { deployment, execution, stable, .. } => {
            let stable = stable.map_or("an unknown slot", |slot| slot.name());
            format!(
                "{STRONG}Act {}: deployment `{deployment}`{STRONG:#} starts as {execution}; {stable} has all the traffic",
                model.acts
            )
        }
        Event::Stage { stage, weight, .. } => {
            let stages = model.act.as_ref().map_or(0, |act| act.stages.len());
            format!("stage {stage} of {stages}: {weight} % of the requests for the new version")
        }
        Event::WeightsRead { blue, green, .. } => {
            format!("the load balancer reads back blue {blue} %, green {green} %")
        }
        Event::Verdict { state, next, summary, .. }
            if next == "rollback" && state != "Rollback" =>
        {
            format!("{BAD}verdict: {summary}{BAD:#}")
        }
        Event::Alarm { alarm, state, reason, .. } => {
            format!("alarm {}: {} ({reason})", alarm.name(), state.name())
        }
        Event::FirstBadRequest { version, .. } => {
            format!("{BAD}first bad request{BAD:#}, answered by {version}")
        }
        Event::Notice { channel, name, text, .. } => {
            let name = name.as_ref().map_or(String::new(), |name| format!("{name}: "));
            format!("{QUIET}notice on {channel}: {name}{}{QUIET:#}", first_line(text))
        }
        Event::Tasks { slot, desired, running, version, .. } => {
            format!("{QUIET}{slot} runs {running} of {desired} tasks of {version}{QUIET:#}")
        }
        Event::Scaling { slot, settings, .. } => {
            format!("{QUIET}{slot} is scaled within {settings}{QUIET:#}")
        }
        Event::Execution { deployment, error: None, status, .. } => {
            format!("{GOOD}deployment `{deployment}` ended: {status:?}{GOOD:#}")
        }
        Event::Execution { deployment, error: Some(error), cause, .. } => {
            let cause = cause.as_deref().unwrap_or("no cause given");
            format!("{BAD}deployment `{deployment}` ended: {error}{BAD:#}: {cause}")
        }
        Event::TimeLimit { seconds } => format!("{BAD}stopped after {seconds} s{BAD:#}"),
        Event::Fault { what, .. } => format!("{BAD}fault: {what}{BAD:#}"),
        Event::SweepFailed { error } | Event::Script { error: Some(error), .. } => {
            format!("{BAD}{error}{BAD:#}")
        }
        Event::State { .. }
        | Event::Verdict { .. }
        | Event::WeightsWritten { .. }
        | Event::Requests { .. }
        | Event::Script { .. } => return None,
    };
    Some(format!("{QUIET}{:6.1} s{QUIET:#}  {text}", observed.at))
}

/// The beginning of a message: the whole of it is in the channel.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
