//! Clients: a steady stream of real requests through the load balancer, counted by what answered.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{COOKIE, HeaderValue, SET_COOKIE};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::error::{Doing, LabResult};
use crate::scene::Scene;
use crate::stack::ServiceResources;
use crate::timeline::{Answered, Event};

/// More requests than this are never under way at once for one service; the next ones wait. On a busy machine
/// what was due meanwhile is sent all at once, and a client that has no room for it is no error of anybody's.
const MOST_UNDER_WAY: usize = 256;
/// As long as a load balancer waits for a task: that a busy machine is slow is no error.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);
const LARGEST_ANSWER: usize = 4 * 1024;
/// So many clients come back with the cookie that they were given; every other request is somebody's
/// first. Without both a sticky route would never see a cookie, or never a weight.
const COME_BACK: usize = 16;
/// What answered if no task did.
const NOBODY: &str = "none";

type Connection = SendRequest<Empty<Bytes>>;

/// Where the clients of a service send their requests: to every route in turn.
pub(crate) fn targets(resources: &ServiceResources) -> LabResult<Vec<Arc<Target>>> {
    let prefix = Arc::from(format!("{}-", resources.prefix));
    let routes = resources.routes.iter();
    routes
        .map(|route| {
            let url = route.url.parse().doing(format!("`{}` is no address", route.url))?;
            Ok(Arc::new(Target {
                url,
                idle: Mutex::default(),
                prefix: Arc::clone(&prefix),
                cookies: Mutex::new(vec![None; COME_BACK]),
                sent: AtomicUsize::new(0),
            }))
        })
        .collect()
}

/// Sends requests to a service, for ever, and counts none: for somebody who tries it by hand.
pub(crate) async fn steady(targets: Vec<Arc<Target>>, rate: u32) {
    if rate == 0 {
        return;
    }
    let mut send = interval(Duration::from_secs_f64(1.0 / f64::from(rate)));
    send.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut under_way = JoinSet::new();
    for target in targets.iter().cycle() {
        send.tick().await;
        while under_way.try_join_next().is_some() {}
        if under_way.len() < MOST_UNDER_WAY {
            let target = Arc::clone(target);
            under_way.spawn(async move {
                // What becomes of it, the load balancer counts.
                let _answer = timeout(REQUEST_LIMIT, target.request()).await;
            });
        }
    }
}

/// Sends requests to them, for ever. Open loop: slow answers do not make the next request wait, up to
/// [`MOST_UNDER_WAY`] of them.
pub(crate) async fn flow(scene: Arc<Scene>, service: String, targets: Vec<Arc<Target>>) {
    let rate = scene.scenario.services.get(&service).map_or(0, |service| service.traffic);
    if rate == 0 {
        return;
    }
    let tally = Arc::new(Tally::default());
    let mut send = interval(Duration::from_secs_f64(1.0 / f64::from(rate)));
    send.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut report = interval(Duration::from_secs(1));
    report.tick().await;
    let mut under_way = JoinSet::new();
    for target in targets.iter().cycle() {
        loop {
            tokio::select! {
                _ = send.tick(), if under_way.len() < MOST_UNDER_WAY => break,
                _ = report.tick() => tell(&scene, &service, &tally),
                Some(_) = under_way.join_next() => {}
            }
        }
        let (scene, service) = (Arc::clone(&scene), service.clone());
        let (target, tally) = (Arc::clone(target), Arc::clone(&tally));
        under_way.spawn(async move {
            let answer = match timeout(REQUEST_LIMIT, target.request()).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(reason)) => Answer::nobodys(reason),
                Err(_) => Answer::nobodys("no answer within 60 s"),
            };
            record(&scene, &service, &tally, &answer);
        });
    }
}

fn record(scene: &Scene, service: &str, tally: &Tally, answer: &Answer) {
    if tally.count(answer) {
        let (service, version) = (service.to_owned(), answer.version.clone());
        scene.timeline.add(Event::FirstBadRequest { service, version });
    }
}

fn tell(scene: &Scene, service: &str, tally: &Tally) {
    let mut answered = std::mem::take(&mut tally.lock().answered);
    if answered.is_empty() {
        return;
    }
    let state = scene.state();
    let prefix = scene.services.get(service).map_or("", |resources| resources.prefix.as_str());
    for (version, answered) in &mut answered {
        answered.slot = state.slots_of_tags.get(&format!("{prefix}-{version}")).copied();
    }
    drop(state);
    scene.timeline.add(Event::Requests { service: service.to_owned(), answered });
}

/// Where requests go, with the connections that wait for the next one.
pub(crate) struct Target {
    url: Uri,
    idle: Mutex<Vec<Connection>>,
    prefix: Arc<str>,
    /// Of the clients that come back.
    cookies: Mutex<Vec<Option<HeaderValue>>>,
    sent: AtomicUsize,
}

struct Answer {
    version: String,
    bad: bool,
    /// What the client got where no task answered.
    instead: Option<Cow<'static, str>>,
}

impl Answer {
    fn nobodys(got: impl Into<Cow<'static, str>>) -> Self {
        Self { version: NOBODY.to_owned(), bad: true, instead: Some(got.into()) }
    }
}

/// Why a client has no answer at all.
type NoAnswer = &'static str;
const NO_CONNECTION: NoAnswer = "no connection";
const ENDED: NoAnswer = "the connection ended";

impl Target {
    /// One request on a connection that is kept for later.
    async fn request(&self) -> Result<Answer, NoAnswer> {
        let mut connection = match self.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        // None for a newcomer.
        let client = (number % 2 == 1).then_some(number / 2 % COME_BACK);
        let mut request = Request::get(self.url.path())
            .header("host", self.url.authority().map_or("", |authority| authority.as_str()));
        if let Some(cookie) =
            client.and_then(|client| self.cookies().get(client).cloned().flatten())
        {
            request = request.header(COOKIE, cookie);
        }
        let request = request.body(Empty::new()).map_err(|_| "no request")?;
        let response = connection.send_request(request).await.map_err(|_| ENDED)?;
        let status = response.status();
        let given = response.headers().get(SET_COOKIE).and_then(name_and_value);
        if let (Some(client), Some(given)) = (client, given)
            && let Some(kept) = self.cookies().get_mut(client)
        {
            *kept = Some(given);
        }
        let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
        let body = body.map_err(|_| ENDED)?;
        let body = body.to_bytes();
        self.lock().push(connection);
        // What no task answered is nobody's answer, whatever its status: a request that meets no
        // rule gets a 404 of the load balancer's own.
        Ok(match self.version(&body) {
            Some(version) => {
                let bad = status.is_server_error();
                Answer { version: version.to_owned(), bad, instead: None }
            }
            None => Answer::nobodys(status.as_u16().to_string()),
        })
    }

    /// The version in an answer of the example application: `version=shop-v2`.
    fn version<'a>(&self, body: &'a [u8]) -> Option<&'a str> {
        let text = std::str::from_utf8(body).ok()?;
        let tag = text.split_whitespace().find_map(|part| part.strip_prefix("version="))?;
        tag.strip_prefix(&*self.prefix)
    }

    /// A connection that is still good. One that the other side has closed meanwhile is dropped,
    /// as every HTTP client does.
    fn take(&self) -> Option<Connection> {
        let mut idle = self.lock();
        while let Some(connection) = idle.pop() {
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    async fn connect(&self) -> Result<Connection, NoAnswer> {
        let host = self.url.host().unwrap_or_default();
        let port = self.url.port_u16().unwrap_or(80);
        let stream = TcpStream::connect((host, port)).await.map_err(|_| NO_CONNECTION)?;
        // A request is one small packet; waiting to fill a larger one costs 40 ms.
        stream.set_nodelay(true).map_err(|_| NO_CONNECTION)?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|_| NO_CONNECTION)?;
        // It ends when the sender is dropped.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn cookies(&self) -> MutexGuard<'_, Vec<Option<HeaderValue>>> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `NAME=VALUE` of a Set-Cookie, as a client sends it back.
fn name_and_value(given: &HeaderValue) -> Option<HeaderValue> {
    let pair = given.to_str().ok()?.split(';').next()?;
    HeaderValue::from_str(pair).ok()
}

#[derive(Default)]
struct Tally(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    /// Requests of the present second by the version that answered.
    answered: BTreeMap<String, Answered>,
    /// Versions that ever failed one.
    failed: BTreeSet<String>,
}

impl Tally {
    /// Counts an answer; whether it is the first bad one of its version.
    fn count(&self, answer: &Answer) -> bool {
        let mut counts = self.lock();
        let entry = counts.answered.entry(answer.version.clone()).or_default();
        entry.requests += 1;
        entry.bad += u64::from(answer.bad);
        if let Some(got) = &answer.instead {
            *entry.unanswered.entry(got.clone()).or_default() += 1;
        }
        answer.bad && counts.failed.insert(answer.version.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
