//! Notices as they arrive: from the queues behind the topic and the bus, and at the receivers.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::broadcast;
use tokio::time::sleep;

use super::receivers::Arrived;
use crate::clean_end::event_name;
use crate::scenario::Receiver;
use crate::scene::Scene;
use crate::stack::{BUS, CHANNELS};
use crate::timeline::Event;

const WAIT_SECONDS: i32 = 1;
const RETRY: Duration = Duration::from_millis(500);

/// Tells of everything that the receivers take, for ever.
pub(super) async fn follow_receivers(scene: Arc<Scene>, mut arrived: broadcast::Receiver<Arrived>) {
    loop {
        match arrived.recv().await {
            Ok(Arrived { receiver, name, body }) => {
                let Some(deployment) = scene.deployment_in(&body) else { continue };
                let channel = receiver.channel().to_owned();
                let text = match receiver {
                    Receiver::Slack => slack_text(&body),
                    Receiver::Pager | Receiver::Teams | Receiver::Webhook => body.clone(),
                };
                let running = scene.state().deployments.get(&deployment).cloned();
                let sequence = running.as_ref().and_then(|running| sequence(&body, running.id()));
                let (name, sequence) = match (receiver, running, sequence) {
                    // What an alert becomes is no notice.
                    (Receiver::Pager, _, _) => (name, None),
                    (_, Some(running), Some(sequence)) => {
                        (name_of(&scene, &deployment, running.id(), sequence).await, Some(sequence))
                    }
                    (_, Some(_) | None, _) => (name, sequence),
                };
                scene.timeline.add(Event::Notice { deployment, channel, name, sequence, text });
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// The place of a notice in its deployment's timeline, from its id: `DEPLOYMENT/SEQUENCE`.
fn sequence(message: &str, deployment: &str) -> Option<u64> {
    let before = format!("{deployment}/");
    let mut found = message.match_indices(&before).filter_map(|(at, _)| {
        let after = &message[at + before.len()..];
        let digits = after.find(|character: char| !character.is_ascii_digit())?;
        // A link to a question goes on with a slash.
        after[digits..].starts_with([' ', '"']).then(|| after[..digits].parse().ok())?
    });
    found.next()
}

/// The kind of a notice, which a message for people does not say: another channel may have told it
/// already, and the registry knows it.
async fn name_of(scene: &Scene, deployment: &str, id: &str, sequence: u64) -> Option<String> {
    let told = scene.timeline.look(|events| {
        events.iter().find_map(|observed| {
            let Event::Notice { deployment: of, name, sequence: number, .. } = &observed.event
            else {
                return None;
            };
            name.clone().filter(|_| of == deployment && *number == Some(sequence))
        })
    });
    if told.is_some() {
        return told;
    }
    // What cannot be read has no name, as before.
    let items = scene.control.items(scene.glidepath.table().ok()?).await.ok()?;
    let sort = format!("notice#{sequence:06}");
    let text = |item: &Value, name: &str| Some(item.get(name)?.get("S")?.as_str()?.to_owned());
    let item = items.iter().find(|item| {
        text(item, "pk") == Some(format!("deployment#{id}"))
            && text(item, "sk") == Some(sort.clone())
    })?;
    event_name(&text(item, "document")?)
}

/// What a notification of Slack shows; the whole message if it has no such text.
fn slack_text(message: &str) -> String {
    let document: Option<Value> = serde_json::from_str(message).ok();
    let text = document.as_ref().and_then(|document| document.get("text")?.as_str());
    text.unwrap_or(message).to_owned()
}

/// Tells of every message of the topic, for ever.
pub(super) async fn follow_topic(scene: Arc<Scene>) {
    follow_queue(&scene, &scene.glidepath.notices, topic_message).await;
}

/// Tells of every event on the bus, for ever.
pub(super) async fn follow_bus(scene: Arc<Scene>) {
    follow_queue(&scene, &scene.glidepath.events, bus_event).await;
}

async fn follow_queue(scene: &Scene, queue: &str, told: fn(&Scene, &Value)) {
    loop {
        let received = scene
            .clients
            .sqs
            .receive_message()
            .queue_url(queue)
            .max_number_of_messages(10)
            .wait_time_seconds(WAIT_SECONDS)
            .send()
            .await;
        let Ok(received) = received else {
            sleep(RETRY).await;
            continue;
        };
        for message in received.messages.unwrap_or_default() {
            if let Some(envelope) = message.body().and_then(|body| serde_json::from_str(body).ok())
            {
                told(scene, &envelope);
            }
            if let Some(handle) = message.receipt_handle() {
                // At worst it is seen twice, as any message may be.
                let _ = scene
                    .clients
                    .sqs
                    .delete_message()
                    .queue_url(queue)
                    .receipt_handle(handle)
                    .send()
                    .await;
            }
        }
    }
}

/// The topic's messages say in attributes which notice they carry.
fn topic_message(scene: &Scene, envelope: &Value) {
    let attribute =
        |name: &str| envelope.get("MessageAttributes")?.get(name)?.get("Value")?.as_str();
    let Some((id, sequence)) = attribute("noticeId").and_then(|id| id.rsplit_once('/')) else {
        return;
    };
    // Notices of an earlier scenario of this lab may still be on their way.
    let Some(deployment) = scene.deployment_in(id) else { return };
    scene.timeline.add(Event::Notice {
        deployment,
        channel: CHANNELS[0].to_owned(),
        name: attribute("event").map(str::to_owned),
        sequence: sequence.parse().ok(),
        text: envelope.get("Message").and_then(Value::as_str).unwrap_or_default().to_owned(),
    });
}

/// An event as a rule hands it on.
fn bus_event(scene: &Scene, event: &Value) {
    let detail = &event["detail"];
    let text = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
    let Some(deployment) = scene.deployment_in(&text("deployment")) else { return };
    scene.timeline.add(Event::Notice {
        deployment,
        channel: BUS.to_owned(),
        name: detail["event"].as_str().map(str::to_owned),
        sequence: detail["sequence"].as_u64(),
        text: event.to_string(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_for_people_says_which_notice_it_is() {
        let message = r#"{"text":"first-1 is done","elements":[{"text":"first-1/12 · 10:00"}]}"#;
        assert_eq!(sequence(message, "first-1"), Some(12));
        let asks = r#"{"text":"look: https://page/approve/first-1/2/1/ab","elements":[{"text":"first-1/3 · 10:00"}]}"#;
        assert_eq!(sequence(asks, "first-1"), Some(3));
        assert_eq!(sequence("first-1 is done", "first-1"), None);
    }
}
