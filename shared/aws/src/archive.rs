//! [`Archive`] in a bucket of the user's own.
//!
//! One call of S3's, signed by hand: its client would bring checksums, caches and a second way of signing into the
//! function, which has no room for them.

use std::time::Duration;

use aws_types::SdkConfig;
use aws_types::region::Region;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use glidepath_core::audit::Document;
use glidepath_engine::ports::{Archive, PortError, PortResult};
use ring::digest::{SHA256, digest};

use crate::clients::Clients;
use crate::http::{Answer, LazyClient};
use crate::signing::{Service, Unsigned};

/// The action that AWS asks for.
const OPERATION: &str = "s3:PutObject";

/// Longest time of one request.
const REQUEST: Duration = Duration::from_secs(10);

/// One object a line.
const CONTENT_TYPE: &str = "application/x-ndjson";

/// What S3 asks to come back for; the call had no effect.
const THROTTLES: [&str; 2] = ["SlowDown", "ServiceUnavailable"];

/// [`Archive`] of the stack.
#[derive(Debug)]
pub struct StackArchive {
    config: SdkConfig,
    http: LazyClient,
    /// Name of the bucket, if the stack has one.
    bucket: Option<String>,
    stack: String,
}

impl StackArchive {
    pub fn new(clients: &Clients, bucket: Option<String>, stack: String) -> Self {
        Self { config: clients.writing().clone(), http: LazyClient::default(), bucket, stack }
    }
}

impl Archive for StackArchive {
    fn keeps(&self) -> bool {
        self.bucket.is_some()
    }

    async fn keep(&self, document: &Document) -> PortResult<()> {
        let bucket = self.bucket.as_deref().ok_or_else(|| refused("the stack has no bucket"))?;
        let region = self.config.region().ok_or_else(|| refused("there is no Region"))?;
        let key = document.key(&self.stack);
        let url = format!("{}/{}", at(bucket, region, self.config.endpoint_url()), encoded(&key));
        let checksum = STANDARD.encode(digest(&SHA256, document.text().as_bytes()));
        let request = Unsigned {
            service: Service::S3,
            operation: OPERATION,
            method: "PUT",
            url: &url,
            headers: vec![
                ("content-type", CONTENT_TYPE),
                // What is there already stays: whoever comes twice has nothing to add.
                ("if-none-match", "*"),
                // A bucket whose objects are locked takes none without a checksum.
                ("x-amz-checksum-sha256", checksum.as_str()),
                ("x-amz-sdk-checksum-algorithm", "SHA256"),
            ],
            body: document.text().to_owned(),
        };
        let request = request.signed(&self.config).await?;
        let answered = self.http.send(request, REQUEST).await;
        let operation = OPERATION;
        read(&answered.map_err(|detail| PortError::Unanswered { operation, detail })?)
    }
}

/// Where a bucket is. In the path where there is an endpoint of one's own, which has one name; and where its own name has
/// dots, which the certificate of `*.s3.REGION.amazonaws.com` is not for.
fn at(bucket: &str, region: &Region, endpoint: Option<&str>) -> String {
    let domain =
        if region.as_ref().starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    match endpoint {
        Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
        None if bucket.contains('.') => format!("https://s3.{region}.{domain}/{bucket}"),
        None => format!("https://{bucket}.s3.{region}.{domain}"),
    }
}

/// A key as the path of a URL, as S3 has it for signatures: every byte but those that mean themselves everywhere.
fn encoded(key: &str) -> String {
    let mut path = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

/// Whether the document is there now.
fn read(answer: &Answer) -> PortResult<()> {
    let (operation, body) = (OPERATION, String::from_utf8_lossy(&answer.body));
    let status = answer.status.to_string();
    let code = within(&body, "Code").unwrap_or(&status);
    let detail = || format!("{code}: {}", within(&body, "Message").unwrap_or("no message"));
    Err(match answer.status {
        200..=299 => return Ok(()),
        // There was one before.
        412 => return Ok(()),
        429 => PortError::Throttled { operation },
        _ if THROTTLES.contains(&code) => PortError::Throttled { operation },
        // Somebody has deleted the object in the meantime, or the body was not read to its end.
        409 => PortError::Unanswered { operation, detail: detail() },
        400 if code == "RequestTimeout" => PortError::Unanswered { operation, detail: detail() },
        // S3 follows with where the bucket is, and this with nothing.
        301 | 307 => refused(format!("{code}: the bucket is not in the stack's Region")),
        500.. => PortError::Unanswered { operation, detail: detail() },
        _ => refused(detail()),
    })
}

/// The text of an element of XML that has no further ones in it.
fn within<'a>(xml: &'a str, element: &str) -> Option<&'a str> {
    let (_, after) = xml.split_once(&format!("<{element}>"))?;
    after.split_once(&format!("</{element}>")).map(|(text, _)| text)
}

fn refused(detail: impl Into<String>) -> PortError {
    PortError::Refused { operation: OPERATION, detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use glidepath_core::record::{Event, Notice, Phase};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::registry::tests_deployment;
    use crate::replay::answering;

    /// The document of a deployment that has succeeded.
    fn document() -> Document {
        let deployment = tests_deployment(Phase::Open);
        let at = deployment.started_at;
        let id = deployment.id.clone();
        let notice = Notice { deployment: id, sequence: 1, at, event: Event::Succeeded };
        Document::of(&deployment, &[&notice]).unwrap()
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.as_bytes().to_vec(), retry_after: None }
    }

    fn error(status: u16, code: &str) -> PortResult<()> {
        read(&answer(status, &format!("<Error><Code>{code}</Code><Message>so</Message></Error>")))
    }

    #[test]
    fn a_bucket_with_dots_or_at_an_endpoint_of_ones_own_stands_in_the_path() {
        let of = |bucket, region, endpoint| at(bucket, &Region::new(region), endpoint);
        assert_eq!(of("kept", "eu-west-1", None), "https://kept.s3.eu-west-1.amazonaws.com");
        assert_eq!(of("a.b", "eu-west-1", None), "https://s3.eu-west-1.amazonaws.com/a.b");
        assert_eq!(of("kept", "cn-north-1", None), "https://kept.s3.cn-north-1.amazonaws.com.cn");
        let local = Some("http://127.0.0.1:4566/");
        assert_eq!(of("kept", "eu-west-1", local), "http://127.0.0.1:4566/kept");
    }

    #[test]
    fn a_key_is_encoded_once_and_keeps_its_slashes() {
        assert_eq!(encoded("glidepath/2026/a-b_c.~"), "glidepath/2026/a-b_c.~");
        assert_eq!(encoded("größe (1)+'%"), "gr%C3%B6%C3%9Fe%20%281%29%2B%27%25");
    }

    #[test]
    fn what_is_there_already_is_as_good_and_what_may_pass_is_told_from_what_must_be_mended() {
        assert_eq!(read(&answer(200, "")), Ok(()));
        assert_eq!(error(412, "PreconditionFailed"), Ok(()));
        for (status, code) in [
            (409, "ConditionalRequestConflict"),
            (400, "RequestTimeout"),
            (500, "InternalError"),
            (503, "SlowDown"),
            (503, "ServiceUnavailable"),
        ] {
            assert!(error(status, code).unwrap_err().may_pass(), "{code}");
        }
        let missing = error(404, "NoSuchBucket").unwrap_err();
        assert_eq!(missing, refused("NoSuchBucket: so"));
        assert!(error(403, "AccessDenied").unwrap_err().is_denied());
        for status in [301, 307] {
            let elsewhere = error(status, "PermanentRedirect").unwrap_err();
            assert!(elsewhere.to_string().contains("stack's Region"), "{elsewhere}");
        }
        let unread = read(&answer(400, "<html>")).unwrap_err();
        assert_eq!(unread, refused("400: no message"));
    }

    #[tokio::test]
    async fn a_document_is_put_once_with_its_checksum_and_is_signed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let document = document();
        let ends = document.text().to_owned();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut request, mut part) = (Vec::new(), [0; 4096]);
            while !request.ends_with(ends.as_bytes()) {
                let read = stream.read(&mut part).await.unwrap();
                request.extend_from_slice(&part[..read]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            String::from_utf8(request).unwrap()
        });
        let config = answering(Vec::new()).writing().to_builder().endpoint_url(endpoint).build();
        let clients = Clients::new(&config);
        let archive = StackArchive::new(&clients, Some("kept".to_owned()), "stack".to_owned());
        assert!(archive.keeps());
        archive.keep(&document).await.unwrap();
        let request = serving.await.unwrap();
        let line = format!("PUT /kept/{} HTTP/1.1\r\n", encoded(&document.key("stack")));
        assert!(request.starts_with(&line), "{request}");
        let hash = digest(&SHA256, document.text().as_bytes());
        let digits: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        for part in [
            "if-none-match: *\r\n".to_owned(),
            "content-type: application/x-ndjson\r\n".to_owned(),
            format!("x-amz-checksum-sha256: {}\r\n", STANDARD.encode(hash)),
            format!("x-amz-content-sha256: {digits}\r\n"),
            "/eu-west-1/s3/aws4_request".to_owned(),
            "SignedHeaders=content-type;host;if-none-match;x-amz-checksum-sha256;\
             x-amz-content-sha256;x-amz-date;x-amz-sdk-checksum-algorithm"
                .to_owned(),
        ] {
            assert!(request.contains(&part), "{part}: {request}");
        }
    }

    #[tokio::test]
    async fn a_stack_without_a_bucket_keeps_nothing() {
        let archive = StackArchive::new(&answering(Vec::new()), None, "stack".to_owned());
        assert!(!archive.keeps());
        assert!(archive.keep(&document()).await.is_err());
    }
}
