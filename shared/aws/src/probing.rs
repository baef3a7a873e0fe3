//! Asking URLs of the user's own.

use std::time::Duration;

use glidepath_core::time::Span;
use glidepath_engine::ports::{PortError, PortResult, ProbeAnswer, Probing};

use crate::http::LazyClient;

const OPERATION: &str = "probe";

/// As much of an answer as is looked at.
const LONGEST_BODY: usize = 64 * 1024;

/// [`Probing`] over HTTP.
#[derive(Debug, Default)]
pub struct HttpProbing {
    http: LazyClient,
}

impl Probing for HttpProbing {
    async fn get(&self, url: &str, timeout: Span) -> PortResult<ProbeAnswer> {
        let unanswered = |error: reqwest::Error| {
            // Its own text repeats the URL, and hides the cause.
            let mut detail = if error.is_timeout() { "timed out" } else { "no answer" }.to_owned();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                detail = cause.to_string();
                source = cause.source();
            }
            PortError::Unanswered { operation: OPERATION, detail }
        };
        let timeout = Duration::from_millis(timeout.as_millis());
        let call = self.http.get(OPERATION)?.get(url).timeout(timeout);
        let mut answer = call.send().await.map_err(unanswered)?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unanswered)? {
            let room = LONGEST_BODY - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == LONGEST_BODY {
                break;
            }
        }
        Ok(ProbeAnswer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// The URL of a server that gives one answer and closes.
    async fn serving(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            stream.write_all(answer).await.unwrap();
        });
        format!("http://{address}/health")
    }

    async fn asked(answer: &'static [u8]) -> PortResult<ProbeAnswer> {
        HttpProbing::default().get(&serving(answer).await, Span::from_secs(5)).await
    }

    #[tokio::test]
    async fn status_and_body_are_as_they_came_and_redirects_are_not_followed() {
        let answer = asked(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nready").await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "ready"));
        let moved =
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(asked(moved).await.unwrap().status, 302);
    }

    #[tokio::test]
    async fn no_answer_is_an_error_that_may_pass() {
        assert!(asked(b"").await.unwrap_err().may_pass());
        let nobody = HttpProbing::default().get("http://127.0.0.1:1/", Span::from_secs(5)).await;
        let nobody = nobody.unwrap_err().to_string();
        assert!(nobody.contains("refused"), "{nobody}");
    }
}
