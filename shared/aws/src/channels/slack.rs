//! An incoming webhook of Slack. Its URL is a secret: it is read when it is needed, and appears in
//! no error, log or `Debug`.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use glidepath_core::message::{Message, Trial, slack};
use glidepath_core::record::Notice;
use glidepath_engine::ports::{PortError, PortResult};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::clients::Clients;
use crate::error::port_error;
use crate::http::LazyClient;

const OPERATION: &str = "slack webhook";

/// Longest time of one delivery.
const DELIVERY: Duration = Duration::from_secs(10);

pub(super) struct Slack {
    secrets: Client,
    http: LazyClient,
    /// URLs by the ARN of their secret, kept while the sandbox lives.
    urls: Mutex<HashMap<String, String>>,
}

impl fmt::Debug for Slack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Slack").finish_non_exhaustive()
    }
}

impl Slack {
    pub(super) fn new(clients: &Clients) -> Self {
        Self {
            secrets: Client::new(clients.reading()),
            http: LazyClient::default(),
            urls: Mutex::default(),
        }
    }

    pub(super) async fn deliver(
        &self,
        secret: &str,
        notice: &Notice,
        message: Message,
    ) -> PortResult<()> {
        self.post(secret, &slack::body(notice, message)).await
    }

    pub(super) async fn try_out(&self, secret: &str, trial: &Trial) -> PortResult<()> {
        // Whether the secret can be read is what is tried out, too.
        self.urls.lock().await.remove(secret);
        self.post(secret, &trial.slack()).await
    }

    async fn post(&self, secret: &str, body: &Value) -> PortResult<()> {
        // Perhaps the webhook was rotated: a refusal counts only for the URL as it is now.
        let kept = self.urls.lock().await.remove(secret);
        if let Some(url) = kept {
            match self.send(&url, body).await {
                Err(PortError::Refused { .. }) => {}
                answered => {
                    self.urls.lock().await.insert(secret.to_owned(), url);
                    return answered;
                }
            }
        }
        let url = self.url(secret).await?;
        self.send(&url, body).await
    }

    async fn send(&self, url: &str, body: &Value) -> PortResult<()> {
        let unfit = |_| PortError::Refused {
            operation: OPERATION,
            detail: "the secret's URL cannot be asked".to_owned(),
        };
        let mut request = HttpRequest::get(url).map_err(unfit)?;
        request.set_method("POST").map_err(unfit)?;
        request.headers_mut().insert("content-type", "application/json");
        *request.body_mut() = SdkBody::from(body.to_string());
        let answer = self.http.send(request, DELIVERY).await;
        let answer =
            answer.map_err(|detail| PortError::Unanswered { operation: OPERATION, detail })?;
        judge(answer.status)
    }

    async fn url(&self, secret: &str) -> PortResult<String> {
        let mut urls = self.urls.lock().await;
        if let Some(url) = urls.get(secret) {
            return Ok(url.clone());
        }
        let value = self.secrets.get_secret_value().secret_id(secret).send().await;
        let value = value.map_err(|error| port_error("secretsmanager:GetSecretValue", error))?;
        let url = value.secret_string().map(str::trim).filter(|text| is_url(text));
        let url = url.map(str::to_owned).ok_or_else(|| PortError::Refused {
            operation: OPERATION,
            detail: format!("secret `{secret}` does not hold a URL"),
        })?;
        urls.insert(secret.to_owned(), url.clone());
        Ok(url)
    }
}

/// Whether something can be posted there. What comes after the host is nobody's business here.
fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && HttpRequest::get(text).is_ok()
}

/// What Slack's status means.
fn judge(status: u16) -> PortResult<()> {
    match status {
        200..=299 => Ok(()),
        429 => Err(PortError::Throttled { operation: OPERATION }),
        408 | 500..=599 => {
            Err(PortError::Unanswered { operation: OPERATION, detail: format!("status {status}") })
        }
        _ => Err(PortError::Refused { operation: OPERATION, detail: format!("status {status}") }),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::replay::{answering, json};

    #[test]
    fn only_a_good_answer_is_a_delivery() {
        assert_eq!(judge(200), Ok(()));
        assert!(matches!(judge(429), Err(PortError::Throttled { .. })));
        assert!(matches!(judge(503), Err(PortError::Unanswered { .. })));
        assert!(matches!(judge(404), Err(PortError::Refused { .. })));
    }

    #[tokio::test]
    async fn the_url_is_read_once_and_never_shown() {
        let secret =
            json(&serde_json::json!({ "SecretString": "https://hooks.example/T0/B0/x\n" }));
        let slack = Slack::new(&answering(vec![secret]));
        let url = slack.url("arn:s").await.unwrap();
        assert_eq!(url, "https://hooks.example/T0/B0/x");
        assert_eq!(slack.url("arn:s").await, Ok(url));
        assert!(!format!("{slack:?}").contains("hooks"));
    }

    #[tokio::test]
    async fn a_notice_is_posted_as_json_and_no_error_shows_where() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/T0/B0/x", listener.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = String::new();
            while !request.ends_with("{\"text\":\"hello\"}") {
                let mut chunk = [0; 1024];
                let read = stream.read(&mut chunk).await.unwrap();
                request.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            request.to_ascii_lowercase()
        });
        let slack = Slack::new(&answering(vec![]));
        let body = serde_json::json!({ "text": "hello" });
        slack.send(&url, &body).await.unwrap();
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("post /t0/b0/x http/1.1\r\n"), "{asked}");
        assert!(asked.contains("\r\ncontent-type: application/json\r\n"), "{asked}");
        assert!(asked.contains("\r\ncontent-length: 16\r\n"), "{asked}");
        let nobody = slack.send(&url, &body).await.unwrap_err();
        assert!(nobody.may_pass() && !nobody.to_string().contains("T0"), "{nobody}");
    }

    #[tokio::test]
    async fn a_secret_without_a_url_is_named_but_not_shown() {
        for text in ["xoxb-not-a-url", "xoxb.example/T0", "https://", "http:///xoxb", "ftp://xoxb/"]
        {
            let secret = json(&serde_json::json!({ "SecretString": text }));
            let error = Slack::new(&answering(vec![secret])).url("arn:s").await.unwrap_err();
            assert!(error.to_string().contains("arn:s"), "{error}");
            assert!(!error.to_string().contains("xoxb"), "{error}");
        }
    }
}
