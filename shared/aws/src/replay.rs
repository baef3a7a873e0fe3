//! Clients that get prepared answers instead of AWS's.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::test_util::{NeverClient, ReplayEvent, StaticReplayClient};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::HttpClient;
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use aws_types::region::Region;

use crate::clients::Clients;

/// An answer: status and body.
pub(crate) struct Answer(u16, Vec<u8>);

impl Answer {
    pub(crate) fn new(status: u16, body: &serde_json::Value) -> Self {
        Self(status, body.to_string().into_bytes())
    }
}

/// A good answer of a JSON protocol.
pub(crate) fn json(body: &serde_json::Value) -> Answer {
    Answer(200, body.to_string().into_bytes())
}

/// A good answer of the CBOR protocol.
pub(crate) const fn cbor(body: Vec<u8>) -> Answer {
    Answer(200, body)
}

/// A good answer of the query protocol.
pub(crate) fn xml(body: &str) -> Answer {
    Answer(200, body.as_bytes().to_vec())
}

/// An error as the JSON protocols write it.
pub(crate) fn error_of(status: u16, code: &str, message: &str) -> Answer {
    Answer::new(status, &serde_json::json!({ "__type": code, "message": message }))
}

/// An error as the query protocol writes it.
pub(crate) fn xml_error(status: u16, code: &str, message: &str) -> Answer {
    Answer(
        status,
        format!(
            "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>1</RequestId></ErrorResponse>"
        )
        .into_bytes(),
    )
}

/// Clients that get these answers in order.
pub(crate) fn answering(answers: Vec<Answer>) -> Clients {
    watched(answers).0
}

/// The same, with what was asked.
pub(crate) fn watched(answers: Vec<Answer>) -> (Clients, StaticReplayClient) {
    let events = answers
        .into_iter()
        .map(|Answer(status, body)| {
            let request = http::Request::builder().body(SdkBody::empty()).unwrap();
            let answer = http::Response::builder().status(status).body(SdkBody::from(body));
            ReplayEvent::new(request, answer.unwrap())
        })
        .collect();
    let replay = StaticReplayClient::new(events);
    (with(replay.clone()), replay)
}

/// Clients whose calls are never answered.
pub(crate) fn silent() -> Clients {
    with(NeverClient::new())
}

fn with(http_client: impl HttpClient + 'static) -> Clients {
    let credentials = Credentials::from_keys("id", "secret", None);
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client)
        .build();
    Clients::new(&config)
}
