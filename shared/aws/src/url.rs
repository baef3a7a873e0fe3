//! Requests to the URLs of the stack's own functions, signed, so that AWS says whose they are.

use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use glidepath_core::failure::Failure;
use glidepath_engine::ports::{PortError, PortResult};
use serde_json::Value;

use crate::clients::Clients;
use crate::http::{Answer, LazyClient};
use crate::signing::{Service, Unsigned};

/// Longest time until somebody takes the connection: where nobody does, the next way is tried.
const CONNECT: Duration = Duration::from_secs(2);

/// The action that AWS asks for.
const OPERATION: &str = "lambda:InvokeFunctionUrl";

/// Posts as whoever the credentials belong to.
#[derive(Debug)]
pub struct FunctionUrls {
    config: SdkConfig,
    http: LazyClient,
}

impl FunctionUrls {
    pub fn new(clients: &Clients) -> Self {
        Self { config: clients.writing().clone(), http: LazyClient::connecting_within(CONNECT) }
    }

    /// Posts once. What the function answers, or the failure that it reports; an error if it did not
    /// answer.
    pub async fn post(
        &self,
        url: &str,
        body: &Value,
        within: Duration,
    ) -> PortResult<Result<Value, Failure>> {
        // The session's token goes with it.
        if !["https://", "http://127.", "http://localhost"].iter().any(|safe| url.starts_with(safe))
        {
            return Err(refused("the stack's URL is not https"));
        }
        let request = Unsigned {
            service: Service::Lambda,
            operation: OPERATION,
            method: "POST",
            url,
            headers: vec![("content-type", "application/json")],
            body: body.to_string(),
        };
        let request = request.signed(&self.config).await?;
        let answered = self.http.send(request, within).await;
        let Answer { status, body, .. } =
            answered.map_err(|detail| PortError::Unanswered { operation: OPERATION, detail })?;
        read(status, &body)
    }

    /// The status with which a URL that is open answers a GET without a signature.
    pub async fn look(&self, url: &str, within: Duration) -> PortResult<u16> {
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_uri(url).map_err(refused)?;
        let answered = self.http.send(request, within).await;
        let unanswered = |detail| PortError::Unanswered { operation: OPERATION, detail };
        answered.map(|answer| answer.status).map_err(unanswered)
    }
}

fn refused(why: impl std::fmt::Display) -> PortError {
    PortError::Refused { operation: OPERATION, detail: why.to_string() }
}

/// An answer as the function has written it, or as AWS has in its place.
fn read(status: u16, body: &[u8]) -> PortResult<Result<Value, Failure>> {
    let written: Option<Value> = serde_json::from_slice(body).ok();
    let failure = written.clone().and_then(|body| serde_json::from_value::<Failure>(body).ok());
    if let (400.., Some(failure)) = (status, failure) {
        return Ok(Err(failure));
    }
    let said = || {
        let written = written.as_ref();
        let message =
            written.and_then(|body| body.get("Message").or(body.get("message"))?.as_str());
        message.unwrap_or("no message").to_owned()
    };
    match (status, &written) {
        (200, Some(answer)) => Ok(Ok(answer.clone())),
        // Its bucket of requests, or its concurrency: the function has not run.
        (429, _) => Err(PortError::Throttled { operation: OPERATION }),
        // Without AWS's words: they say that something has expired, and it is not the credentials.
        (403, _)
            if ["Signature expired", "not yet current"].iter().any(|of| said().contains(of)) =>
        {
            let why = "InvalidSignature: its time is not AWS's: look at this machine's clock";
            Err(refused(why))
        }
        (403, _) => Err(refused(format!("AccessDenied: {}", said()))),
        (400..500, _) => Err(refused(format!("HTTP {status}: {}", said()))),
        (_, _) => {
            let detail = format!("HTTP {status}: {}", said());
            Err(PortError::Unanswered { operation: OPERATION, detail })
        }
    }
}

#[cfg(test)]
mod tests {
    use glidepath_core::failure::FailureCode;
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn urls() -> FunctionUrls {
        FunctionUrls::new(&crate::replay::answering(Vec::new()))
    }

    #[tokio::test]
    async fn what_is_posted_is_signed_with_its_body() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut request, mut part) = (Vec::new(), [0; 4096]);
            while !request.ends_with(b"}") {
                let read = stream.read(&mut part).await.unwrap();
                request.extend_from_slice(&part[..read]);
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{\"a\": 1}";
            stream.write_all(answer).await.unwrap();
            String::from_utf8(request).unwrap().to_lowercase()
        });
        let asked = json!({ "deployment": "shop-42" });
        let answer = urls().post(&url, &asked, Duration::from_secs(5)).await;
        assert_eq!(answer, Ok(Ok(json!({ "a": 1 }))));
        let request = serving.await.unwrap();
        assert!(request.starts_with("post / http/1.1\r\n"), "{request}");
        assert!(request.ends_with(r#"{"deployment":"shop-42"}"#), "{request}");
        for part in [
            "authorization: aws4-hmac-sha256 credential=id/",
            "/lambda/aws4_request",
            "signedheaders=content-type;host;x-amz-date",
            "content-type: application/json",
        ] {
            assert!(request.contains(part), "{part}: {request}");
        }
    }

    #[test]
    fn what_the_function_says_is_told_from_what_aws_says() {
        let failure = Failure::new(FailureCode::Transient, "throttled");
        let own = json!(failure).to_string();
        assert_eq!(read(503, own.as_bytes()), Ok(Err(failure)));
        let denied = read(403, br#"{"Message":"Forbidden"}"#).unwrap_err();
        assert!(denied.is_denied() && denied.to_string().contains("Forbidden"), "{denied}");
        let late = br#"{"message":"Signature expired: 20261129T1 is now earlier than 20261129T2"}"#;
        let late = read(403, late).unwrap_err();
        assert!(!late.is_denied() && late.to_string().contains("clock"), "{late}");
        assert!(matches!(read(429, b""), Err(PortError::Throttled { .. })));
        assert!(matches!(read(413, b""), Err(PortError::Refused { .. })));
        for nobody_knows in [500, 502, 504] {
            let answer = read(nobody_knows, br#"{"Message":"Internal Server Error"}"#);
            assert!(matches!(answer, Err(PortError::Unanswered { .. })), "{nobody_knows}");
        }
        assert!(matches!(read(200, b"<html>"), Err(PortError::Unanswered { .. })));
    }

    #[tokio::test]
    async fn nobody_answers() {
        let asked = urls().post("http://127.0.0.1:1/", &json!({}), Duration::from_secs(5)).await;
        assert!(asked.unwrap_err().may_pass());
        for unsafe_one in ["no url", "http://example.com/"] {
            let asked = urls().post(unsafe_one, &json!({}), Duration::from_secs(5)).await;
            assert!(matches!(asked, Err(PortError::Refused { .. })), "{asked:?}");
        }
    }
}
