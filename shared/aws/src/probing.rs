//! Asking URLs of the user's own.

use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use glidepath_core::time::Span;
use glidepath_engine::ports::{PortError, PortResult, ProbeAnswer, Probing};

use crate::http::{Answer, LazyClient};

const OPERATION: &str = "probe";

/// [`Probing`] over HTTP.
#[derive(Debug, Default)]
pub struct HttpProbing {
    http: LazyClient,
}

impl Probing for HttpProbing {
    async fn get(&self, url: &str, timeout: Span) -> PortResult<ProbeAnswer> {
        let request = HttpRequest::get(url).map_err(|error| PortError::Refused {
            operation: OPERATION,
            detail: format!("`{url}` cannot be asked: {error}"),
        })?;
        let within = Duration::from_millis(timeout.as_millis());
        let answer = self.http.send(request, within).await;
        let Answer { status, body, .. } =
            answer.map_err(|detail| PortError::Unanswered { operation: OPERATION, detail })?;
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
        // It hangs up in the middle of its answer.
        let half = asked(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nready").await;
        assert!(half.unwrap_err().may_pass());
        let nobody = HttpProbing::default().get("http://127.0.0.1:1/", Span::from_secs(5)).await;
        let nobody = nobody.unwrap_err().to_string();
        assert!(nobody.contains("refused"), "{nobody}");
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        let late = HttpProbing::default().get(&url, Span::from_millis(20)).await.unwrap_err();
        assert!(late.may_pass() && late.to_string().contains("timed out"), "{late}");
    }
}
