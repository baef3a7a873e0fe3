//! Notices as they arrive: from a queue behind the topic, and at a receiver that plays Slack.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::clean_end::event_name;
use crate::error::{Doing, LabResult};
use crate::scene::Scene;
use crate::stack::CHANNELS;
use crate::timeline::Event;

const SLACK_PATH: &str = "/services/lab";
const LARGEST_MESSAGE: usize = 256 * 1024;
const WAIT_SECONDS: i32 = 1;
const RETRY: Duration = Duration::from_millis(500);

/// Plays the part of Slack: takes what is posted to an incoming webhook.
pub(crate) struct SlackReceiver {
    address: SocketAddr,
    messages: broadcast::Sender<String>,
    serving: JoinHandle<()>,
}

impl SlackReceiver {
    /// Listens on a free port of loopback.
    pub(crate) async fn start() -> LabResult<Self> {
        let doing = "cannot listen for Slack messages";
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.doing(doing)?;
        let address = listener.local_addr().doing(doing)?;
        let messages = broadcast::Sender::new(256);
        let serving = tokio::spawn(serve(listener, messages.clone()));
        Ok(Self { address, messages, serving })
    }

    /// The webhook's URL: what Slack calls a secret.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{SLACK_PATH}", self.address)
    }

    /// Everything that is posted from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<String> {
        self.messages.subscribe()
    }
}

impl Drop for SlackReceiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, messages: broadcast::Sender<String>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, say; some will be free again.
            sleep(RETRY).await;
            continue;
        };
        let messages = messages.clone();
        let answer = service_fn(move |request| take(request, messages.clone()));
        // A connection that breaks off concerns only its client.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

async fn take(
    request: Request<Incoming>,
    messages: broadcast::Sender<String>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let accepted = request.method() == Method::POST && request.uri().path() == SLACK_PATH;
    let body = Limited::new(request.into_body(), LARGEST_MESSAGE).collect().await;
    let text = body.ok().and_then(|body| String::from_utf8(body.to_bytes().to_vec()).ok());
    let (status, answer) = match text {
        Some(text) if accepted => {
            // Nobody listens between two scenarios.
            let _ = messages.send(text);
            (StatusCode::OK, "ok")
        }
        Some(_) | None => (StatusCode::NOT_FOUND, "no_service"),
    };
    let mut response = Response::new(Full::new(Bytes::from_static(answer.as_bytes())));
    *response.status_mut() = status;
    Ok(response)
}

/// Tells of every Slack message, for ever.
pub(super) async fn follow_slack(scene: Arc<Scene>, mut messages: broadcast::Receiver<String>) {
    loop {
        match messages.recv().await {
            Ok(message) => {
                let Some(deployment) = scene.deployment_in(&message) else { continue };
                let channel = CHANNELS[1].to_owned();
                let text = slack_text(&message);
                let running = scene.state().deployments.get(&deployment).cloned();
                let sequence =
                    running.as_ref().and_then(|running| sequence(&message, running.id()));
                let name = match (running, sequence) {
                    (Some(running), Some(sequence)) => {
                        name_of(&scene, &deployment, running.id(), sequence).await
                    }
                    (Some(_) | None, _) => None,
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
    let (_, after) = message.split_once(&format!("{deployment}/"))?;
    let digits = after.find(|character: char| !character.is_ascii_digit()).unwrap_or(after.len());
    after[..digits].parse().ok()
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
    let queue = &scene.glidepath.notices;
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
                topic_message(&scene, &envelope);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_for_people_says_which_notice_it_is() {
        let message = r#"{"text":"first-1 is done","elements":[{"text":"first-1/12 · 10:00"}]}"#;
        assert_eq!(sequence(message, "first-1"), Some(12));
        assert_eq!(sequence("first-1 is done", "first-1"), None);
    }
}
