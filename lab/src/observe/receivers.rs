//! Plays the parts of those who are told: Slack (a webhook, and its API for an app), PagerDuty, Microsoft Teams and somebody's own webhook, each as
//! its documents say, and in the way in which a scenario wants it to misbehave.

mod pagerduty;
mod shared;
mod slack_app;
mod teams;
mod webhook;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::RETRY_AFTER;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::error::{Doing, LabError, LabResult};
use crate::scenario::{Manner, Receiver};

pub(crate) use pagerduty::ROUTING_KEY;
pub(crate) use shared::Arrived;
use shared::{Answer, Misbehaved, Shared};
pub(crate) use slack_app::{CHANNEL, SIGNING_SECRET, TOKEN, signature as slack_signature};
pub(crate) use webhook::KEY;

const SLACK_PATH: &str = "/services/lab";
/// What a Teams workflow's URL has in it is a secret.
const TEAMS_PATH: &str =
    "/powerautomate/automations/direct/workflows/lab/triggers/manual/paths/invoke/sig-lab";
const WEBHOOK_PATH: &str = "/own/lab-secret";
/// More than any of them takes.
const LARGEST_MESSAGE: usize = 2 * 1024 * 1024;
const RETRY: Duration = Duration::from_millis(500);

/// All of them, at one address.
pub(crate) struct Receivers {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Receivers {
    /// Listens on a free port of loopback.
    pub(crate) async fn start() -> LabResult<Self> {
        let doing = "cannot listen for notices";
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.doing(doing)?;
        let address = listener.local_addr().doing(doing)?;
        let shared = Arc::new(Shared::default());
        let serving = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self { address, shared, serving })
    }

    /// Where PagerDuty takes events.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where Slack takes calls of an app.
    pub(crate) fn slack_api(&self) -> String {
        format!("http://{}/slack/api", self.address)
    }

    /// Where whoever clicks is told something.
    pub(crate) fn slack_answers(&self) -> String {
        format!("http://{}{}", self.address, slack_app::ANSWERS)
    }

    /// What whoever reads the app's channel sees now, without what is in threads.
    pub(crate) fn slack_messages(&self) -> Vec<serde_json::Value> {
        let state = self.shared.state();
        let shown = state.messages.values().filter(|message| message["thread_ts"].is_null());
        shown.cloned().collect()
    }

    /// The URL of Slack's webhook: what Slack calls a secret.
    pub(crate) fn slack(&self) -> String {
        format!("http://{}{SLACK_PATH}", self.address)
    }

    pub(crate) fn teams(&self) -> String {
        format!("http://{}{TEAMS_PATH}", self.address)
    }

    pub(crate) fn webhook(&self) -> String {
        format!("http://{}{WEBHOOK_PATH}", self.address)
    }

    /// What must be seen nowhere.
    pub(crate) fn secrets(&self) -> [(&'static str, String); 7] {
        [
            ("the webhook's URL", self.slack()),
            ("the workflow's URL", self.teams()),
            ("the own webhook's URL", self.webhook()),
            ("the integration's key", ROUTING_KEY.to_owned()),
            ("the key that signs", KEY.to_owned()),
            ("the app's token", TOKEN.to_owned()),
            ("what clicks are signed with", SIGNING_SECRET.to_owned()),
        ]
    }

    /// From now on they behave so, and remember nothing.
    pub(crate) fn behave(&self, manners: BTreeMap<Receiver, Manner>) {
        self.shared.behave(manners);
    }

    /// Everything that arrives from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arrived> {
        self.shared.subscribe()
    }
}

/// What is told, for a test that waits for it.
pub struct Hearing(pub(crate) broadcast::Receiver<Arrived>);

impl Hearing {
    /// The next body that has all of these in it, as it was sent.
    pub async fn with(&mut self, texts: &[&str]) -> LabResult<String> {
        const LIMIT: Duration = Duration::from_secs(60);
        let mut last = "nothing was told".to_owned();
        let heard = async {
            loop {
                let Arrived { body, .. } = self.0.recv().await.doing("hearing what is told")?;
                if texts.iter().all(|text| body.contains(text)) {
                    return Ok(body);
                }
                last = body;
            }
        };
        let heard = tokio::time::timeout(LIMIT, heard).await;
        heard
            .unwrap_or_else(|_| Err(LabError::new(format!("{texts:?} was not told; last: {last}"))))
    }

    /// How many of the bodies that have come since then have this in them.
    pub fn count(&mut self, text: &str) -> usize {
        let heard = std::iter::from_fn(|| self.0.try_recv().ok());
        heard.filter(|arrived| arrived.body.contains(text)).count()
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Ends the connection.
#[derive(Debug)]
struct Hung;

impl std::fmt::Display for Hung {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("hung up")
    }
}

impl std::error::Error for Hung {}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, say; some will be free again.
            sleep(RETRY).await;
            continue;
        };
        let shared = shared.clone();
        let answer = service_fn(move |request| take(request, shared.clone()));
        // A connection that breaks off concerns only its client.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

async fn take(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Hung> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let receiver = match path.as_str() {
        SLACK_PATH => Some(Receiver::Slack),
        TEAMS_PATH => Some(Receiver::Teams),
        WEBHOOK_PATH => Some(Receiver::Webhook),
        slack_app::POST | slack_app::UPDATE | slack_app::ANSWERS => Some(Receiver::App),
        pagerduty::ALERTS | pagerduty::CHANGES => Some(Receiver::Pager),
        _ => None,
    };
    let (posted, headers) = (request.method() == Method::POST, request.headers().clone());
    let body = Limited::new(request.into_body(), LARGEST_MESSAGE).collect().await;
    let text = body.ok().and_then(|body| String::from_utf8(body.to_bytes().to_vec()).ok());
    let answer = match (receiver, text) {
        _ if path == slack_app::MEMBERS => slack_app::members(&query, &headers),
        (Some(receiver), Some(text)) if posted => match shared.misbehave(receiver).await {
            Misbehaved::Gone => return Err(Hung),
            Misbehaved::Answers(answer) => answer,
            Misbehaved::No => answered(&shared, receiver, &path, &headers, text),
        },
        (_, _) => Answer::with(StatusCode::NOT_FOUND, "no_service"),
    };
    let Answer(status, text, retry_after) = answer;
    let mut response = Response::new(Full::new(Bytes::from(text.into_owned())));
    *response.status_mut() = status;
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

fn answered(
    shared: &Shared,
    receiver: Receiver,
    path: &str,
    headers: &HeaderMap,
    text: String,
) -> Answer {
    match receiver {
        Receiver::Slack => {
            shared.arrived(receiver, None, text);
            Answer::saying("ok")
        }
        Receiver::Pager => pagerduty::take(shared, path, text),
        Receiver::Teams => teams::take(shared, text),
        Receiver::Webhook => webhook::take(shared, headers, text),
        Receiver::App if path == slack_app::ANSWERS => slack_app::told(shared, text),
        Receiver::App => slack_app::take(shared, path, headers, text),
    }
}
