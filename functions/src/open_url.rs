//! A request to the URL that is open to everybody, and its answer. Nothing is known of whoever asks, so nothing of what
//! they write is repeated in the log.

use std::collections::BTreeMap;

use glidepath_core::time::Span;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http_event::HttpEvent;
pub use crate::http_event::Unfit;

/// Longest form, in bytes: a reason of 2,000 characters, each as long as it can be written.
const LONGEST_FORM: usize = 32 * 1024;

/// Nothing is loaded, no script runs, no other site shows it in a frame or is sent what it asks for.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; \
                      base-uri 'none'";

/// What somebody wants of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To see it.
    Look { path: String, visit: Visit },
    /// To answer what it asks.
    Post { path: String, form: BTreeMap<String, String>, visit: Visit },
}

/// With what somebody comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visit {
    /// What is behind the path.
    query: String,
    /// What their browser keeps for this host, each as `name=value`.
    cookies: Vec<String>,
    /// Where the page is, as they have called it: `https://HOST`.
    pub origin: String,
}

impl Visit {
    fn of(event: &HttpEvent) -> Self {
        // Whoever says another host is sent elsewhere by an issuer, which knows the right one.
        let host = event.header("host").unwrap_or_default();
        let plain = event.header("x-forwarded-proto") == Some("http");
        let scheme = if plain { "http" } else { "https" };
        Self {
            query: event.raw_query_string.clone(),
            cookies: event.cookies.clone(),
            origin: format!("{scheme}://{host}"),
        }
    }

    /// What is kept under a name.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.named().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The names of what is kept that begin so.
    pub fn cookies_of(&self, beginning: &str) -> impl Iterator<Item = &str> {
        self.named().map(|(name, _)| name).filter(move |name| name.starts_with(beginning))
    }

    fn named(&self) -> impl Iterator<Item = (&str, &str)> {
        self.cookies.iter().filter_map(|cookie| cookie.trim().split_once('='))
    }

    /// The fields of the query, in their order.
    pub fn query(&self) -> impl Iterator<Item = (String, String)> {
        form_urlencoded::parse(self.query.as_bytes()).into_owned()
    }
}

impl Asked {
    pub fn read(payload: &Value) -> Result<Self, Unfit> {
        let event = HttpEvent::deserialize(payload).map_err(|_| Unfit::Unknown)?;
        let (path, http) = (event.raw_path.clone(), event.request_context.http.as_ref());
        let visit = Visit::of(&event);
        match http.ok_or(Unfit::Unknown)?.method.as_str() {
            "GET" | "HEAD" => Ok(Self::Look { path, visit }),
            "POST" => Ok(Self::Post { path, form: form(&event)?, visit }),
            _ => Err(Unfit::Method),
        }
    }
}

/// The fields of the form; of one that is there twice, the last.
fn form(event: &HttpEvent) -> Result<BTreeMap<String, String>, Unfit> {
    // Every browser of today says so. Whoever is none has been given the link, and nothing else is proven by it.
    if event.header("sec-fetch-site").is_some_and(|site| site != "same-origin") {
        return Err(Unfit::Elsewhere);
    }
    if !event.is_of_type("application/x-www-form-urlencoded") {
        return Err(Unfit::NoForm);
    }
    let bytes = event.bytes(LONGEST_FORM)?;
    Ok(form_urlencoded::parse(&bytes).into_owned().collect())
}

/// A page, as the URL sends it.
pub fn page(status: u16, html: &str) -> Value {
    let mut answer = answer(status);
    answer["headers"]["content-type"] = json!("text/html; charset=utf-8");
    answer["body"] = json!(html);
    answer
}

/// The way to a path of the same URL, by GET: whoever loads that again posts nothing twice.
pub fn see(path: &str) -> Value {
    let mut answer = answer(303);
    answer["headers"]["location"] = json!(path);
    answer
}

/// The same, with what the browser shall keep, or keep no longer.
pub fn with_cookies(mut answer: Value, cookies: &[String]) -> Value {
    if !cookies.is_empty() {
        answer["cookies"] = json!(cookies);
    }
    answer
}

/// What a browser keeps for this host alone, shows no script, and sends along when somebody comes from elsewhere by a
/// link, as from the issuer, and with nothing that another site posts.
pub fn cookie(name: &str, value: &str, lasts: Span) -> String {
    let seconds = lasts.as_millis() / 1_000;
    format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax")
}

/// Whether an answer is one of these.
pub(crate) fn is_page(answer: &Value) -> bool {
    answer.get("headers").is_some_and(|headers| headers["content-security-policy"] == POLICY)
}

fn answer(status: u16) -> Value {
    json!({
        "statusCode": status,
        "headers": {
            "cache-control": "no-store",
            "content-security-policy": POLICY,
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
            "x-robots-tag": "noindex, nofollow",
        },
        "body": "",
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// As Lambda's own documentation shows it, for a URL that is open.
    fn event(method: &str, body: Option<&[u8]>) -> Value {
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/approve/a/1/2/3", "rawQueryString": "",
            "headers": { "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin" },
            "requestContext": {
                "accountId": "anonymous", "authorizer": null,
                "http": { "method": method, "path": "/approve/a/1/2/3", "sourceIp": "203.0.113.7" },
            },
            "body": body.map(|body| STANDARD.encode(body)), "isBase64Encoded": body.is_some(),
        })
    }

    #[test]
    fn a_form_is_read_as_lambda_hands_it_over() {
        let path = "/approve/a/1/2/3".to_owned();
        for method in ["GET", "HEAD"] {
            let Ok(Asked::Look { path: read, .. }) = Asked::read(&event(method, None)) else {
                panic!()
            };
            assert_eq!(read, path);
        }
        let posted =
            event("POST", Some(b"reason=gr%C3%BCn+%26+gut&decision=approve&decision=reject"));
        let Ok(Asked::Post { form, .. }) = Asked::read(&posted) else { panic!() };
        assert_eq!((form["reason"].as_str(), form["decision"].as_str()), ("grün & gut", "reject"));
        let mut plain = event("POST", None);
        plain["body"] = json!("decision=approve");
        let Ok(Asked::Post { form, .. }) = Asked::read(&plain) else { panic!() };
        assert_eq!(form["decision"], "approve");
    }

    #[test]
    fn what_is_no_form_of_the_page_is_refused() {
        let with = |change: &dyn Fn(&mut Value)| {
            let mut event = event("POST", Some(b"decision=approve"));
            change(&mut event);
            Asked::read(&event).unwrap_err()
        };
        assert_eq!(Asked::read(&event("PUT", None)), Err(Unfit::Method));
        assert_eq!(
            with(&|event| event["headers"]["content-type"] = json!("text/plain")),
            Unfit::NoForm
        );
        assert_eq!(with(&|event| event["headers"] = json!({})), Unfit::NoForm);
        for site in ["cross-site", "same-site", "none"] {
            assert_eq!(
                with(&|event| event["headers"]["sec-fetch-site"] = json!(site)),
                Unfit::Elsewhere
            );
        }
        assert_eq!(with(&|event| event["body"] = json!("%%%")), Unfit::Unknown);
        assert_eq!(with(&|event| event["requestContext"] = json!({})), Unfit::Unknown);
        let long = vec![b'x'; LONGEST_FORM + 1];
        assert_eq!(Asked::read(&event("POST", Some(&long))), Err(Unfit::TooLong));
        let longest = vec![b'x'; LONGEST_FORM];
        assert!(Asked::read(&event("POST", Some(&longest))).is_ok());
    }

    #[test]
    fn what_a_browser_brings_is_found_by_its_name() {
        let mut event = event("GET", None);
        event["rawQueryString"] = json!("code=a%2Bb&state=x&state=y");
        event["cookies"] = json!(["__Host-one=a=b", "other=1", "__Host-two=c", "broken"]);
        event["headers"] =
            json!({ "host": "id.lambda-url.eu-west-1.on.aws", "x-forwarded-proto": "https" });
        let Ok(Asked::Look { visit, .. }) = Asked::read(&event) else { panic!() };
        assert_eq!(visit.origin, "https://id.lambda-url.eu-west-1.on.aws");
        assert_eq!((visit.cookie("__Host-one"), visit.cookie("one")), (Some("a=b"), None));
        assert_eq!(visit.cookies_of("__Host-").collect::<Vec<_>>(), ["__Host-one", "__Host-two"]);
        let query: Vec<_> = visit.query().collect();
        assert_eq!((query[0].1.as_str(), query.len()), ("a+b", 3));
    }

    #[test]
    fn what_a_browser_keeps_is_for_this_host_and_for_no_script() {
        let kept = cookie("__Host-a", "b", Span::from_secs(600));
        assert_eq!(kept, "__Host-a=b; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax");
        assert_eq!(with_cookies(see("/"), std::slice::from_ref(&kept))["cookies"], json!([kept]));
        assert_eq!(with_cookies(see("/"), &[]), see("/"));
    }

    #[test]
    fn an_answer_is_kept_by_nobody_and_loads_nothing() {
        for answer in [page(200, "<p>"), see("/approve/a/1/2/3")] {
            let headers = answer["headers"].as_object().unwrap();
            assert!(is_page(&answer) && !is_page(&json!({ "headers": {}, "statusCode": 200 })));
            assert_eq!(headers["cache-control"], "no-store");
            assert!(
                headers["content-security-policy"]
                    .as_str()
                    .unwrap()
                    .starts_with("default-src 'none'")
            );
        }
    }
}
