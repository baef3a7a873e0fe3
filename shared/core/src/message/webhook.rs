//! A notice for a webhook of the user's own, in the form of Standard Webhooks: what is signed, and the names
//! of the headers. Their specification has libraries that verify it in most languages.

use serde_json::json;

use super::Trial;
use super::document::{NoticeDocument, trial as trial_document};
use crate::time::Timestamp;

/// The same for every attempt of a notice: whoever has seen it need not take it again.
pub const ID: &str = "webhook-id";
/// When this attempt was made, in seconds since 1970. Receivers refuse what is older than some minutes, so
/// that what somebody has recorded cannot be sent again.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// `v1,` and the signature in base64, for each key, with a space between them.
pub const SIGNATURE: &str = "webhook-signature";
/// How a key begins that is written as base64.
pub const KEY_PREFIX: &str = "whsec_";

/// What is posted, and under which id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    pub id: String,
    pub body: String,
}

impl Post {
    pub fn notice(document: &NoticeDocument) -> Self {
        let body = json!({
            "type": "glidepath.notice",
            "timestamp": document.at,
            "data": document,
        });
        Self { id: header(&document.id), body: body.to_string() }
    }

    pub fn trial(trial: &Trial, now: Timestamp) -> Self {
        let body = json!({
            "type": "glidepath.trial",
            "timestamp": now.to_string(),
            "data": trial_document(trial),
        });
        Self { id: header(&trial.id), body: body.to_string() }
    }

    /// What the signature is made of: id and time are signed with the body, so that neither can be changed.
    pub fn signed(&self, at: Timestamp) -> String {
        format!("{}.{}.{}", self.id, seconds(at), self.body)
    }
}

/// As the header has it.
pub fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000)
}

/// An id as a header: printable ASCII, and no dot, which ends it in what is signed.
fn header(id: &str) -> String {
    let mut written = String::new();
    for byte in id.bytes() {
        match byte {
            b'.' | b'%' | ..=b' ' | 0x7f.. => written.push_str(&format!("%{byte:02X}")),
            printable => written.push(char::from(printable)),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::fixtures::{NOW, deployment};
    use crate::message::document::document;
    use crate::message::tests::{notices, told};

    #[test]
    fn time_and_id_are_part_of_what_is_signed() {
        let deployment = deployment();
        let notice = notices().remove(0);
        let document = document(&notice, &deployment, "glidepath", &told(&notice, &deployment));
        let post = Post::notice(&document);
        assert_eq!(post.id, format!("{}/1", deployment.execution));
        let signed = post.signed(NOW);
        assert!(signed.starts_with(&format!("{}.1795244400.{{", post.id)), "{signed}");
        let body: Value = serde_json::from_str(&post.body).unwrap();
        assert_eq!(body["type"], "glidepath.notice");
        assert_eq!(body["data"]["event"], "started");
    }

    #[test]
    fn an_id_is_a_header_and_stays_another_than_every_other() {
        assert_eq!(header("shop.1/2"), "shop%2E1/2");
        assert_eq!(header("shop%2E1/2"), "shop%252E1/2");
        assert_eq!(header("läden\r\n"), "l%C3%A4den%0D%0A");
    }
}
