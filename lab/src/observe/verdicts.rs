//! What functions told the state machine, read from the history of its executions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_sfn::types::HistoryEvent;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::scene::Scene;
use crate::timeline::Event;

const NEWEST: i32 = 200;

/// Reads the history of every execution that is asked for, until nobody asks any more.
pub(super) async fn answer(scene: Arc<Scene>, mut asked: mpsc::Receiver<String>) {
    let mut read = BTreeMap::new();
    while let Some(first) = asked.recv().await {
        // Several states may have ended meanwhile: one look does for all of them.
        let mut executions = BTreeSet::from([first]);
        while let Ok(another) = asked.try_recv() {
            executions.insert(another);
        }
        for execution in executions {
            let last = read.entry(execution.clone()).or_insert(0);
            *last = look(&scene, &execution, *last).await;
        }
    }
}

/// Tells what is new after the event `last`; answers the newest event.
async fn look(scene: &Scene, execution: &str, last: i64) -> i64 {
    let Some(deployment) = scene.deployment_of(execution) else { return last };
    let history = scene
        .clients
        .sfn
        .get_execution_history()
        .execution_arn(execution)
        .reverse_order(true)
        .max_results(NEWEST)
        .send()
        .await;
    // The next state that ends asks again.
    let Ok(history) = history else { return last };
    let mut events = history.events;
    events.sort_by_key(HistoryEvent::id);
    let mut state = String::new();
    for event in &events {
        if let Some(entered) = event.state_entered_event_details() {
            state = entered.name().to_owned();
        }
        let answer = match event.task_failed_event_details() {
            Some(failed) => failure(failed.error().unwrap_or_default(), failed.cause()),
            None => event
                .task_succeeded_event_details()
                .and_then(|details| details.output())
                .and_then(reply),
        };
        let answer = answer.filter(|_| event.id() > last);
        if let Some((next, summary)) = answer {
            let (deployment, state) = (deployment.clone(), state.clone());
            let at = event.timestamp().as_secs_f64();
            let at = scene.timeline.since_beginning(at);
            scene.timeline.add_at(at, Event::Verdict { deployment, state, next, summary });
        }
    }
    events.last().map_or(last, HistoryEvent::id)
}

/// A failure of ours, which leads to the rollback. Names with a dot are of AWS and tried again, as is
/// `Transient`.
fn failure(name: &str, cause: Option<&str>) -> Option<(String, String)> {
    if name.is_empty() || name.contains('.') || name == "Transient" {
        return None;
    }
    let cause = cause.unwrap_or_default();
    let document: Option<Value> = serde_json::from_str(cause).ok();
    // A function's own error is a document, the failure of a gate is a text.
    let message = document.as_ref().and_then(|document| document.get("errorMessage")?.as_str());
    Some(("rollback".to_owned(), format!("{name}: {}", message.unwrap_or(cause))))
}

/// Next step and summary of a function's reply.
fn reply(output: &str) -> Option<(String, String)> {
    let output: Value = serde_json::from_str(output).ok()?;
    let reply = output.get("Payload").unwrap_or(&output);
    let text = |name: &str| reply.get(name)?.as_str().map(str::to_owned);
    Some((text("next")?, text("summary")?))
}
