//! What is signed outside of AWS's SDKs: a request as somebody, whose method, headers and body may be wrong, and texts with
//! a key.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_smithy_types::date_time::{DateTime, Format};
use hmac::{Hmac, Mac};
use hyper::Uri;
use sha2::{Digest, Sha256};

use crate::clients::Person;
use crate::error::{Doing, LabResult};
use crate::http::{Fetched, fetch};
use crate::local_aws::REGION;

fn hmac(key: &[u8], text: &str) -> LabResult<Vec<u8>> {
    let mac = Hmac::<Sha256>::new_from_slice(key).doing("signing")?;
    Ok(mac.chain_update(text).finalize().into_bytes().to_vec())
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The HMAC-SHA256 of a text, in hexadecimal digits.
pub fn signature(key: &str, text: &str) -> LabResult<String> {
    hmac(key.as_bytes(), text).map(|signed| digits(&signed))
}

/// Asks a URL of a service of AWS's once, signed as this person by Signature Version 4 with its body and without these
/// headers. A URL without a query.
pub async fn fetch_as(
    person: &Person,
    service: &str,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> LabResult<Fetched> {
    let uri: Uri = url.parse().doing("reading a URL")?;
    let seconds =
        SystemTime::now().duration_since(UNIX_EPOCH).doing("reading the clock")?.as_secs();
    let now = DateTime::from_secs(i64::try_from(seconds).doing("reading the clock")?);
    let now = now.fmt(Format::DateTime).doing("writing the time")?.replace(['-', ':'], "");
    let day = now.get(..8).unwrap_or_default();
    let mut signed = vec![
        ("host", uri.authority().map_or(String::new(), ToString::to_string)),
        ("x-amz-date", now.clone()),
    ];
    signed.extend(person.token.clone().map(|token| ("x-amz-security-token", token)));
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let hash = digits(&Sha256::digest(body));
    let request = format!("{method}\n{}\n\n{lines}\n{names}\n{hash}", uri.path());
    let scope = format!("{day}/{REGION}/{service}/aws4_request");
    let hash = digits(&Sha256::digest(request));
    let mut key = format!("AWS4{}", person.secret).into_bytes();
    for part in [day, REGION, service, "aws4_request"] {
        key = hmac(&key, part)?;
    }
    let proof = digits(&hmac(&key, &format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{hash}"))?);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={proof}",
        person.key
    );
    // The host is whom it is sent to.
    let mut all: Vec<_> =
        signed.iter().skip(1).map(|(name, value)| (*name, value.as_str())).collect();
    all.push(("authorization", &authorization));
    all.extend(headers);
    fetch(method, url, &all, body.to_owned()).await
}
