//! No secret in any log, call, notice, input or output.

use std::path::Path;

use aws_sdk_sfn::types::HistoryEvent;

use crate::check::Finding;
use crate::error::{Doing, LabResult};
use crate::logs;
use crate::observe::{ROUTING_KEY, read_calls};
use crate::scene::Scene;
use crate::timeline::Event;

/// What every task token of the local AWS begins with.
const TASK_TOKEN: &str = "AQCLAB";

/// Where a secret could be seen besides AWS itself, and those that are known by their text.
pub(crate) struct Places<'a> {
    /// The local AWS's journal.
    pub journal: &'a Path,
    /// What the channels' secrets hold, and what that is.
    pub secrets: &'a [(&'static str, String)],
    /// When the scenario began, in seconds since 1970.
    pub since: f64,
}

/// Looks everywhere, once: what was seen cannot be unseen.
pub(crate) async fn no_secrets(scene: &Scene, places: &Places<'_>) -> LabResult<Vec<Finding>> {
    if !scene.scenario.expect.clean_end {
        return Ok(Vec::new());
    }
    let mut seen = Vec::new();
    let mut look = |place: String, text: &str| {
        if text.contains(TASK_TOKEN) {
            seen.push(format!("a task token in {place}"));
        }
        for (what, secret) in places.secrets {
            if text.contains(secret) {
                seen.push(format!("{what} in {place}"));
            }
        }
    };
    let mut lines = 0;
    for log in logs::read(&scene.control, places.since).await? {
        for line in log.lines() {
            lines += 1;
            look(format!("the log of {}", log.group()), line);
        }
    }
    let calls = read_calls(places.journal, places.since).doing("cannot read the journal")?;
    for call in calls {
        look(format!("a call of {}", call.action), &call.request.to_string());
    }
    for observed in scene.timeline.all() {
        if let Event::Notice { channel, text, .. } = observed.event {
            // PagerDuty has its key in what it is sent.
            let text = text.replace(ROUTING_KEY, "");
            look(format!("a notice on {channel}"), &text);
        }
    }
    let executions: Vec<String> =
        scene.state().deployments.values().map(|running| running.execution.clone()).collect();
    for execution in executions {
        for (place, text) in history(scene, &execution).await? {
            look(place, &text);
        }
    }
    seen.dedup();
    if lines == 0 {
        // Every function logs; where nothing was read, nothing was looked at.
        seen.push("no log of any function".to_owned());
    }
    let expected = "clean end: no secret in logs, calls, notices, inputs and outputs";
    Ok(vec![Finding::new(expected, seen.is_empty(), seen.join("; "))])
}

/// Inputs and outputs of an execution and its states, without what the gate's task was sent: there
/// the token belongs.
async fn history(scene: &Scene, execution: &str) -> LabResult<Vec<(String, String)>> {
    let doing = "reading the history of an execution";
    let mut texts = Vec::new();
    let mut token = None;
    loop {
        let page = scene.clients.sfn.get_execution_history().execution_arn(execution);
        let page = page.set_next_token(token).send().await;
        let page = match page {
            // A request that was refused by Step Functions itself has none, and one whose state
            // machine was deleted has none any more.
            Err(error) if error.as_service_error().is_some() => return Ok(texts),
            page => page.doing(doing)?,
        };
        texts.extend(page.events.iter().flat_map(texts_of));
        token = page.next_token;
        if token.is_none() {
            return Ok(texts);
        }
    }
}

fn texts_of(event: &HistoryEvent) -> Vec<(String, String)> {
    let entered = event.state_entered_event_details();
    let exited = event.state_exited_event_details();
    let texts = [
        ("the execution's input", event.execution_started_event_details().and_then(|e| e.input())),
        (
            "the execution's output",
            event.execution_succeeded_event_details().and_then(|e| e.output()),
        ),
        ("the execution's cause", event.execution_failed_event_details().and_then(|e| e.cause())),
        ("a state's input", entered.and_then(|e| e.input())),
        ("a state's output", exited.and_then(|e| e.output())),
        ("a task's answer", event.task_succeeded_event_details().and_then(|e| e.output())),
        ("a task's error", event.task_failed_event_details().and_then(|e| e.cause())),
    ];
    texts
        .into_iter()
        .filter_map(|(place, text)| text.map(|text| (place.to_owned(), text.to_owned())))
        .collect()
}
