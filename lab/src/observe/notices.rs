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
                let message: Value =
                    serde_json::from_str(&message).unwrap_or(Value::String(message));
                add(&scene, CHANNELS[1], &message, slack_text(&message));
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// What a person reads: the fallback text, or every text of the blocks.
fn slack_text(message: &Value) -> String {
    if let Some(text) = message.get("text").and_then(Value::as_str) {
        return text.to_owned();
    }
    let mut texts = Vec::new();
    collect_texts(message, &mut texts);
    texts.join(" | ")
}

fn collect_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str().filter(|_| name == "text") {
                    Some(text) => texts.push(text.to_owned()),
                    None => collect_texts(member, texts),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
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

fn topic_message(scene: &Scene, envelope: &Value) {
    let text = envelope.get("Message").and_then(Value::as_str).unwrap_or_default();
    let message: Value =
        serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    let subject = envelope.get("Subject").and_then(Value::as_str);
    let told = ["text", "message", "summary", "title"]
        .into_iter()
        .find_map(|name| message.get(name)?.as_str());
    let words = told.or(subject).unwrap_or(text).to_owned();
    add(scene, CHANNELS[0], &message, words);
}

fn add(scene: &Scene, channel: &str, message: &Value, text: String) {
    // Notices of an earlier scenario of this lab may still be on their way.
    let Some(deployment) = scene.deployment_in(&message.to_string()) else { return };
    let event = message.get("event");
    // An event is its name, or an object whose only member is named so.
    let name = event.and_then(|event| match event {
        Value::String(name) => Some(name.clone()),
        Value::Object(members) => members.keys().next().cloned(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    });
    let sequence = message.get("sequence").and_then(Value::as_u64);
    let channel = channel.to_owned();
    scene.timeline.add(Event::Notice { deployment, channel, name, sequence, text });
}
