//! The one way of sending to what is not AWS. Where a channel is and what it is sent with is a secret: it is
//! read when it is needed, and appears in no error, log or `Debug`.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use glidepath_core::time::Span;
use glidepath_engine::ports::{NotTaken, PortError, PortResult};
use tokio::sync::Mutex;

use crate::clients::Clients;
use crate::http::{Answer, LazyClient};
use crate::secrets;

/// Longest time of one request.
const REQUEST: Duration = Duration::from_secs(10);

/// One request, which is posted as JSON.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Outgoing {
    pub(super) fn new(url: impl Into<String>, body: &serde_json::Value) -> Self {
        Self { url: url.into(), headers: Vec::new(), body: body.to_string() }
    }
}

pub(super) struct Sending {
    secrets: Client,
    http: LazyClient,
    /// Secrets by their ARN, kept while the sandbox lives.
    kept: Mutex<HashMap<String, String>>,
}

impl fmt::Debug for Sending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sending").finish_non_exhaustive()
    }
}

impl Sending {
    pub(super) fn new(clients: &Clients) -> Self {
        Self {
            secrets: Client::new(clients.reading()),
            http: LazyClient::default(),
            kept: Mutex::default(),
        }
    }

    /// Sends what is made of a secret, one after the other. `made` says what the secret lacks, without
    /// repeating it.
    pub(super) async fn send(
        &self,
        operation: &'static str,
        secret: &str,
        made: impl Fn(&str) -> Result<Vec<Outgoing>, String>,
    ) -> Result<(), NotTaken> {
        let read = |answer: &Answer| judge(operation, answer);
        self.ask(operation, secret, made, read).await.map(drop)
    }

    /// The same for whoever reads more of an answer than its status.
    pub(super) async fn ask<T>(
        &self,
        operation: &'static str,
        secret: &str,
        made: impl Fn(&str) -> Result<Vec<Outgoing>, String>,
        read: impl Fn(&Answer) -> Result<T, NotTaken>,
    ) -> Result<Vec<T>, NotTaken> {
        let made = |text: &str| {
            made(text).map_err(|lacks| PortError::Refused {
                operation,
                detail: format!("secret `{secret}` {lacks}"),
            })
        };
        // Perhaps it was rotated: a refusal counts only for the secret as it is now.
        let kept = self.kept.lock().await.remove(secret);
        if let Some(text) = kept {
            match self.ask_all(operation, made(&text)?, &read).await {
                Err(NotTaken { error: PortError::Refused { .. }, .. }) => {}
                answered => {
                    self.kept.lock().await.insert(secret.to_owned(), text);
                    return answered;
                }
            }
        }
        let text = self.read(operation, secret).await?;
        let posts = made(&text)?;
        self.kept.lock().await.insert(secret.to_owned(), text);
        self.ask_all(operation, posts, &read).await
    }

    /// Whether the secret can be read is what is tried out, too.
    pub(super) async fn forget(&self, secret: &str) {
        self.kept.lock().await.remove(secret);
    }

    async fn read(&self, operation: &'static str, secret: &str) -> PortResult<String> {
        let text = secrets::text(&self.secrets, secret).await?;
        let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| PortError::Refused {
            operation,
            detail: format!("secret `{secret}` does not hold a text"),
        })
    }

    async fn ask_all<T>(
        &self,
        operation: &'static str,
        posts: Vec<Outgoing>,
        read: &impl Fn(&Answer) -> Result<T, NotTaken>,
    ) -> Result<Vec<T>, NotTaken> {
        let mut answers = Vec::new();
        for post in posts {
            answers.push(read(&self.post(operation, post).await?)?);
        }
        Ok(answers)
    }

    async fn post(&self, operation: &'static str, post: Outgoing) -> Result<Answer, NotTaken> {
        let unfit = || PortError::Refused {
            operation,
            detail: "what the secret holds makes no request".to_owned(),
        };
        let mut request = HttpRequest::get(post.url).map_err(|_| unfit())?;
        request.set_method("POST").map_err(|_| unfit())?;
        request.headers_mut().insert("content-type", "application/json");
        for (name, value) in post.headers {
            request.headers_mut().try_insert(name, value).map_err(|_| unfit())?;
        }
        *request.body_mut() = SdkBody::from(post.body);
        let answer = self.http.send(request, REQUEST).await;
        Ok(answer.map_err(|detail| PortError::Unanswered { operation, detail })?)
    }
}

/// Whether something can be posted there. What comes after the host is nobody's business here.
pub(super) fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && HttpRequest::get(text).is_ok()
}

/// What a status means. Nothing of the body is told: it may repeat what was sent.
pub(super) fn judge(operation: &'static str, answer: &Answer) -> Result<(), NotTaken> {
    let status = answer.status;
    let detail = format!("status {status}");
    let error = match status {
        200..=299 => return Ok(()),
        429 => PortError::Throttled { operation },
        408 | 425 | 500..=599 => PortError::Unanswered { operation, detail },
        _ => PortError::Refused { operation, detail },
    };
    Err(NotTaken { error, retry_after: answer.retry_after.map(Span::from_secs) })
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::replay::{self, answering};

    /// A server that gives these answers, one for each connection, and what it was asked.
    pub(in crate::channels) async fn server(
        answers: Vec<String>,
    ) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        let without_body =
            |answer| format!("{answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        whole_answers(answers.into_iter().map(without_body).collect()).await
    }

    /// The same that takes everything and says this.
    pub(in crate::channels) async fn saying(
        bodies: Vec<String>,
    ) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        let with_body = |body: String| {
            format!("200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
        };
        whole_answers(bodies.into_iter().map(with_body).collect()).await
    }

    async fn whole_answers(answers: Vec<String>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/T0/B0/x", listener.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = String::new();
                while !whole(&request) {
                    let mut chunk = [0; 1024];
                    let read = stream.read(&mut chunk).await.unwrap();
                    request.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
                }
                stream.write_all(format!("HTTP/1.1 {answer}").as_bytes()).await.unwrap();
                asked.push(request);
            }
            asked
        });
        (url, asked)
    }

    fn whole(request: &str) -> bool {
        let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        length.is_some_and(|length| body.len() >= length.parse::<usize>().unwrap())
    }

    pub(in crate::channels) fn secret(text: &str) -> replay::Answer {
        replay::json(&json!({ "SecretString": text }))
    }

    fn answer(status: u16, retry_after: Option<u64>) -> Answer {
        Answer { status, body: Vec::new(), retry_after }
    }

    #[test]
    fn only_a_good_answer_is_a_delivery() {
        let judged =
            |status| judge("slack webhook", &answer(status, None)).map_err(|why| why.error);
        assert_eq!(judged(200), Ok(()));
        assert_eq!(judged(202), Ok(()));
        for waits in [408, 425, 429, 500, 502, 503, 504] {
            assert!(judged(waits).unwrap_err().may_pass(), "{waits}");
        }
        for lost in [301, 307, 400, 401, 403, 404, 405, 410, 413, 422] {
            assert!(!judged(lost).unwrap_err().may_pass(), "{lost}");
        }
    }

    #[test]
    fn how_long_to_wait_is_kept() {
        let limited = judge("slack webhook", &answer(429, Some(30))).unwrap_err();
        assert_eq!(limited.retry_after, Some(Span::from_secs(30)));
        assert_eq!(judge("slack webhook", &answer(503, None)).unwrap_err().retry_after, None);
    }

    #[tokio::test]
    async fn a_limit_is_read_from_the_answer() {
        let date = "Mon, 30 Nov 2026 21:59:50 GMT";
        for (headers, wait) in [
            ("retry-after: 17".to_owned(), Some(17)),
            // By the clock of whoever answers, and not by ours.
            (format!("date: {date}\r\nretry-after: Mon, 30 Nov 2026 22:00:20 GMT"), Some(30)),
            (format!("date: {date}\r\nretry-after: {date}"), Some(0)),
            (format!("date: {date}\r\nretry-after: Mon, 30 Nov 2026 21:00:00 GMT"), Some(0)),
            (format!("retry-after: {date}"), None),
            (format!("date: {date}\r\nretry-after: soon"), None),
        ] {
            let (url, _) = server(vec![format!("429 Too Many Requests\r\n{headers}")]).await;
            let sending = Sending::new(&answering(vec![secret(&url)]));
            let made = |url: &str| Ok(vec![Outgoing::new(url, &json!({}))]);
            let limited = sending.send("slack webhook", "arn:s", made).await.unwrap_err();
            assert_eq!(limited.error, PortError::Throttled { operation: "slack webhook" });
            assert_eq!(limited.retry_after, wait.map(Span::from_secs), "{headers}");
        }
    }

    #[tokio::test]
    async fn a_request_is_posted_as_json_and_nothing_shows_where() {
        let (url, asked) = server(vec!["200 OK".to_owned()]).await;
        let sending = Sending::new(&answering(vec![secret(&format!("{url}\n")), secret(&url)]));
        let made = |url: &str| {
            let headers = vec![("webhook-id", "d/1".to_owned())];
            let body = json!({ "text": "hello" }).to_string();
            Ok(vec![Outgoing { url: url.to_owned(), headers, body }])
        };
        sending.send("slack webhook", "arn:s", made).await.unwrap();
        let asked = asked.await.unwrap().remove(0).to_ascii_lowercase();
        assert!(asked.starts_with("post /t0/b0/x http/1.1\r\n"), "{asked}");
        assert!(asked.contains("\r\ncontent-type: application/json\r\n"), "{asked}");
        assert!(asked.contains("\r\nwebhook-id: d/1\r\n"), "{asked}");
        // Nobody listens any more.
        let nobody = sending.send("slack webhook", "arn:s", made).await.unwrap_err();
        assert!(nobody.error.may_pass(), "{nobody:?}");
        assert!(!format!("{nobody:?}{sending:?}").contains("T0"), "{nobody:?}");
    }

    #[tokio::test]
    async fn a_refusal_counts_for_the_secret_as_it_is_now() {
        let answers = ["200 OK", "404 Not Found", "200 OK"].map(str::to_owned);
        let (url, asked) = server(answers.to_vec()).await;
        let rotated = format!("{url}/new");
        let sending = Sending::new(&answering(vec![secret(&url), secret(&rotated)]));
        let made = |url: &str| Ok(vec![Outgoing::new(url, &json!({}))]);
        sending.send("slack webhook", "arn:s", made).await.unwrap();
        sending.send("slack webhook", "arn:s", made).await.unwrap();
        let asked = asked.await.unwrap();
        assert!(
            asked[1].starts_with("POST /T0/B0/x ") && asked[2].starts_with("POST /T0/B0/x/new ")
        );
    }

    #[tokio::test]
    async fn a_secret_that_is_of_no_use_is_named_but_not_shown() {
        for text in ["xoxb-not-a-url", "  "] {
            let sending = Sending::new(&answering(vec![secret(text)]));
            let made = |_: &str| Err("does not hold a URL".to_owned());
            let error = sending.send("slack webhook", "arn:s", made).await.unwrap_err();
            let shown = error.error.to_string();
            assert!(shown.contains("arn:s") && !shown.contains("xoxb"), "{shown}");
        }
    }

    #[test]
    fn a_url_is_one() {
        assert!(is_url("https://hooks.example/T0/B0/x"));
        for text in ["xoxb.example/T0", "https://", "http:///xoxb", "ftp://xoxb/", "https://a b/"] {
            assert!(!is_url(text), "{text}");
        }
    }
}
