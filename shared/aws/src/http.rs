//! HTTP to what is not AWS, by the client that the SDK has anyway: another one would bring its own TLS
//! and its own HTTP into every function that needs it.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::DateTime;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::date_time::Format;
use tokio::time::timeout;

/// As much of an answer as anybody looks at, in bytes.
const LONGEST_BODY: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// At most [`LONGEST_BODY`].
    pub(crate) body: Vec<u8>,
    /// In seconds, if it says so.
    pub(crate) retry_after: Option<u64>,
}

/// Built at its first use: most functions never need one.
#[derive(Debug, Default)]
pub(crate) struct LazyClient {
    connector: OnceLock<Connector>,
    /// Longest time until somebody takes the connection, if that is to be shorter than the whole.
    connect: Option<Duration>,
}

impl LazyClient {
    /// For whoever has another way where nobody takes the connection.
    #[cfg(feature = "stack")]
    pub(crate) fn connecting_within(connect: Duration) -> Self {
        Self { connect: Some(connect), ..Self::default() }
    }

    /// Sends a request once, follows no redirects and asks no proxy. Without an answer it says why in
    /// words that do not repeat the URL, which may be a secret.
    pub(crate) async fn send(
        &self,
        request: HttpRequest,
        within: Duration,
    ) -> Result<Answer, String> {
        let connector = self.connector.get_or_init(|| {
            let mut settings = HttpConnectorSettings::builder();
            settings.set_connect_timeout(self.connect);
            Connector::builder()
                .proxy_config(ProxyConfig::disabled())
                .connector_settings(settings.build())
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .build()
        });
        let answered = async {
            let answer = connector.call(request).await.map_err(|error| cause(&error))?;
            let status = answer.status().as_u16();
            let header = |name| answer.headers().get(name);
            let retry_after =
                header("retry-after").and_then(|after| patience(after, header("date")));
            let mut stream = ByteStream::new(answer.into_body());
            let mut body = Vec::new();
            while let Some(chunk) = stream.next().await {
                let chunk = chunk.map_err(|error| cause(&error))?;
                let room = LONGEST_BODY - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if body.len() == LONGEST_BODY {
                    break;
                }
            }
            Ok(Answer { status, body, retry_after })
        };
        timeout(within, answered).await.unwrap_or_else(|_| Err("timed out".to_owned()))
    }
}

/// For how many seconds a header `Retry-After` asks for patience: a number of them, or an instant by the clock of whoever
/// has answered (RFC 9110, 10.2.3), who says how late it is there.
fn patience(after: &str, date: Option<&str>) -> Option<u64> {
    let instant = |text: &str| {
        let read = DateTime::from_str(text.trim(), Format::HttpDate).ok()?;
        Some(read.secs())
    };
    after.trim().parse().ok().or_else(|| {
        let wait = instant(after)?.saturating_sub(instant(date?)?);
        Some(u64::try_from(wait).unwrap_or(0))
    })
}

/// The innermost of an error's causes: what is around it only says that there was one.
fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
