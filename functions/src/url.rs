//! A request to a function's URL. AWS has checked its signature and says whose it is.

use glidepath_core::failure::{Failure, FailureCode, FailureKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::http_event::{Context, HttpEvent};
use crate::telemetry;

/// Longest body, in bytes: what is decided is a few words, and what is started a request of the size that
/// an execution takes.
const LONGEST_BODY: usize = 262_144;

/// Longest name of a deployment, in characters, as Step Functions takes it for an execution.
pub(crate) const LONGEST_NAME: usize = 80;

/// Who asks for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlRequest<Body> {
    /// The ARN of the caller's identity, as AWS has recognised it.
    pub by: String,
    pub body: Body,
}

/// Why a request is none that the function takes.
#[derive(Debug, thiserror::Error)]
enum UnfitRequest {
    /// The URL would have to be open to everybody, or somebody invokes the function past it.
    #[error("AWS does not say whose request this is: it takes requests to its URL that are signed")]
    Nobody,
    #[error("it takes POST, not {0}")]
    Method(String),
    #[error("its body must be JSON (content-type: application/json)")]
    NoJson,
    #[error("its body has more than {LONGEST_BODY} bytes")]
    TooLong,
    #[error("its body is not what it must be: {0}")]
    Malformed(String),
    #[error("it is no request to a URL: {0}")]
    Unknown(String),
}

impl UnfitRequest {
    const fn status(&self) -> u16 {
        match self {
            Self::Nobody => 403,
            Self::Method(_) => 405,
            Self::NoJson => 415,
            Self::TooLong => 413,
            Self::Malformed(_) | Self::Unknown(_) => 400,
        }
    }
}

/// Whether an invocation looks as one by a URL does: nothing that AWS sends a function of the stack in another
/// way has this. Whoever may invoke the function past its URL can write it as well.
pub fn is_request(payload: &Value) -> bool {
    payload.get("requestContext").is_some()
}

/// The deployment that a request names, for the log; whatever else it may be.
pub(crate) fn deployment(payload: &Value) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        deployment: String,
    }
    // Nobody else's word is put into the log.
    payload.get("requestContext")?.get("authorizer")?.get("iam")?.get("userArn")?.as_str()?;
    let body = payload.get("body")?.as_str().filter(|body| body.len() <= LONGEST_BODY)?;
    let Named { deployment } = serde_json::from_str(body).ok()?;
    Some(deployment.chars().take(LONGEST_NAME).collect())
}

/// Without the rest of what was written, of which an error may repeat as much as there is.
fn shown(error: &serde_json::Error) -> String {
    error.to_string().chars().take(300).collect()
}

fn read<Body: DeserializeOwned>(payload: &Value) -> Result<UrlRequest<Body>, UnfitRequest> {
    let event =
        HttpEvent::deserialize(payload).map_err(|error| UnfitRequest::Unknown(shown(&error)))?;
    // Anything else comes in base64.
    let is_json = event.is_of_type("application/json") && !event.is_base64_encoded;
    let Context { authorizer, http } = event.request_context;
    let caller = authorizer.and_then(|authorizer| authorizer.iam?.user_arn);
    let by = caller.filter(|arn| !arn.is_empty()).ok_or(UnfitRequest::Nobody)?;
    let method = http.map(|http| http.method).unwrap_or_default();
    if method != "POST" {
        return Err(UnfitRequest::Method(method.chars().take(20).collect()));
    }
    if !is_json {
        return Err(UnfitRequest::NoJson);
    }
    let body = event.body.unwrap_or_default();
    if body.len() > LONGEST_BODY {
        return Err(UnfitRequest::TooLong);
    }
    let body =
        serde_json::from_str(&body).map_err(|error| UnfitRequest::Malformed(shown(&error)))?;
    Ok(UrlRequest { by, body })
}

/// Has a request handled; its answer as the URL sends it. Nothing here fails the invocation: the URL
/// would answer 502, without a word.
pub async fn answer<Body: DeserializeOwned, Output: Serialize>(
    payload: &Value,
    handle: impl AsyncFnOnce(UrlRequest<Body>) -> Result<Output, Failure>,
) -> Value {
    let request = match read::<Body>(payload) {
        Ok(request) => request,
        Err(unfit) => {
            let failure = Failure::new(FailureCode::InvalidRequest, unfit.to_string());
            warn!(failure.code = %failure.code, failure.cause, "refused");
            return response(unfit.status(), &failure);
        }
    };
    info!(by = request.by, "asked by URL");
    match handle(request).await {
        Ok(output) => response(200, &output),
        Err(failure) => {
            warn!(failure.code = %failure.code, failure.cause, "failed");
            telemetry::tell_failure(failure.code);
            response(status(failure.code), &failure)
        }
    }
}

/// Whether an answer holds the address of a question's page.
pub(crate) fn has_link(answer: &Value) -> bool {
    let body = answer["body"].as_str().and_then(|body| serde_json::from_str::<Value>(body).ok());
    body.is_some_and(|body| body.get("page").is_some())
}

fn response(status: u16, body: &impl Serialize) -> Value {
    json!({
        "statusCode": status,
        "headers": { "content-type": "application/json", "cache-control": "no-store" },
        "body": json!(body).to_string(),
    })
}

/// Whoever reads only that knows whether to try again.
const fn status(code: FailureCode) -> u16 {
    match code.kind() {
        FailureKind::Mistaken => 400,
        FailureKind::NotAllowed => 403,
        FailureKind::Unknown => 404,
        FailureKind::Refused => 409,
        FailureKind::Passing => 503,
        FailureKind::Broken => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = "arn:aws:sts::111122223333:assumed-role/ApproverRole/ada";

    /// As Lambda's own documentation shows it.
    fn event(body: &str) -> Value {
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "",
            "headers": { "content-type": "application/json", "x-forwarded-for": "203.0.113.7" },
            "requestContext": {
                "accountId": "111122223333", "apiId": "url-id", "authentication": null,
                "authorizer": { "iam": {
                    "accessKey": "ASIAEXAMPLE", "accountId": "111122223333",
                    "callerId": "AROAEXAMPLE:ada", "cognitoIdentity": null,
                    "principalOrgId": "o-example", "userArn": ADA, "userId": "AROAEXAMPLE:ada",
                } },
                "domainName": "url-id.lambda-url.eu-west-1.on.aws", "domainPrefix": "url-id",
                "http": {
                    "method": "POST", "path": "/", "protocol": "HTTP/1.1",
                    "sourceIp": "203.0.113.7", "userAgent": "glidepath",
                },
                "requestId": "id", "routeKey": "$default", "stage": "$default",
                "time": "12/Mar/2026:19:03:58 +0000", "timeEpoch": 1_773_342_238_390_i64,
            },
            "body": body, "isBase64Encoded": false,
        })
    }

    async fn answered(event: &Value) -> (u64, Value) {
        assert!(is_request(event));
        let echo = async |request: UrlRequest<Value>| match request.body["fails"].as_str() {
            Some(code) => Err(Failure::new(FailureCode::from_name(code).unwrap(), "no")),
            None => Ok(json!({ "by": request.by, "body": request.body })),
        };
        let answer = answer(event, echo).await;
        assert_eq!(answer["headers"]["cache-control"], "no-store");
        let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (answer["statusCode"].as_u64().unwrap(), body)
    }

    #[tokio::test]
    async fn whose_a_request_is_aws_says_and_nobody_else() {
        let forged = r#"{"deployment": "shop-42", "by": "arn:aws:iam::1:user/boss"}"#;
        let (status, told) = answered(&event(forged)).await;
        assert_eq!((status, &told["by"]), (200, &json!(ADA)));
        assert_eq!(deployment(&event(forged)).as_deref(), Some("shop-42"));
        let mut nobody = event("{}");
        let absent = json!({ "iam": null });
        for authorizer in [Value::Null, json!({}), absent, json!({ "iam": { "userArn": "" } })] {
            nobody["requestContext"]["authorizer"] = authorizer;
            let (status, told) = answered(&nobody).await;
            assert_eq!(status, 403, "{told}");
        }
    }

    #[tokio::test]
    async fn what_is_no_request_is_told_why() {
        let with = |change: &dyn Fn(&mut Value)| {
            let mut event = event("{}");
            change(&mut event);
            event
        };
        let long = format!("\"{}\"", "x".repeat(LONGEST_BODY));
        for (event, status, why) in [
            (with(&|event| event["requestContext"]["http"]["method"] = json!("GET")), 405, "POST"),
            (with(&|event| event["headers"] = json!({})), 415, "JSON"),
            (
                with(&|event| event["headers"]["content-type"] = json!("text/plain")),
                415,
                "application/json",
            ),
            (with(&|event| event["isBase64Encoded"] = json!(true)), 415, "JSON"),
            (event("{"), 400, "not what it must be"),
            (event(&long), 413, "more than"),
            (with(&|event| event["body"] = Value::Null), 400, "not what it must be"),
            (with(&|event| event["requestContext"] = json!(1)), 400, "no request to a URL"),
            (event(r#"{"fails": "Transient"}"#), 503, "no"),
            (event(r#"{"fails": "UnknownDeployment"}"#), 404, "no"),
            (event(r#"{"fails": "FenceClosed"}"#), 409, "no"),
        ] {
            let (answered, told) = answered(&event).await;
            assert_eq!(answered, status, "{told}");
            assert!(told["cause"].as_str().unwrap().contains(why), "{told}");
        }
    }
}
