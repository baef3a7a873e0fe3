//! An incoming webhook of Slack. Its URL is a secret: it is read when it is needed, and appears in
//! no error, log or `Debug`.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use glidepath_core::notice::{Message, Notice, Trial, slack};
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
    urls: Mutex<HashMap<String, reqwest::Url>>,
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
            match self.send(url.clone(), body).await {
                Err(PortError::Refused { .. }) => {}
                answered => {
                    self.urls.lock().await.insert(secret.to_owned(), url);
                    return answered;
                }
            }
        }
        let url = self.url(secret).await?;
        self.send(url, body).await
    }

    async fn send(&self, url: reqwest::Url, body: &Value) -> PortResult<()> {
        let http = self.http.get(OPERATION)?.post(url).timeout(DELIVERY);
        let answer = http.json(body).send().await;
        // `without_url`: the error would show it.
        let answer = answer.map_err(|error| PortError::Unanswered {
            operation: OPERATION,
            detail: error.without_url().to_string(),
        })?;
        judge(answer.status().as_u16())
    }

    async fn url(&self, secret: &str) -> PortResult<reqwest::Url> {
        let mut urls = self.urls.lock().await;
        if let Some(url) = urls.get(secret) {
            return Ok(url.clone());
        }
        let value = self.secrets.get_secret_value().secret_id(secret).send().await;
        let value = value.map_err(|error| port_error("secretsmanager:GetSecretValue", error))?;
        let url = value.secret_string().map(str::trim).and_then(|text| text.parse().ok());
        let url: reqwest::Url = url.ok_or_else(|| PortError::Refused {
            operation: OPERATION,
            detail: format!("secret `{secret}` does not hold a URL"),
        })?;
        urls.insert(secret.to_owned(), url.clone());
        Ok(url)
    }
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
        assert_eq!(url.path(), "/T0/B0/x");
        assert_eq!(slack.url("arn:s").await, Ok(url));
        assert!(!format!("{slack:?}").contains("hooks"));
    }

    #[tokio::test]
    async fn a_secret_without_a_url_is_named_but_not_shown() {
        let secret = json(&serde_json::json!({ "SecretString": "xoxb-not-a-url" }));
        let error = Slack::new(&answering(vec![secret])).url("arn:s").await.unwrap_err();
        assert!(error.to_string().contains("arn:s") && !error.to_string().contains("xoxb"));
    }
}
