//! What the functions share: settings from the environment, logs as JSON lines, a use case run as a
//! Lambda function, and the events that trigger one.

use glidepath_core::failure::{Failure, FailureCode};
use lambda_runtime::{Context, Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::{Instrument, Span, info, info_span, warn};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::Layer;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub mod click;
mod http_event;
pub mod open_url;
pub mod settings;
pub mod sign_in;
pub mod telemetry;
pub mod trigger;
pub mod url;

/// A failure as Lambda reports it: its `errorType` is the code's name, on which the state machine
/// matches, and its `errorMessage` the sentence for people.
#[derive(Debug)]
struct Reported(Failure);

impl From<Reported> for Diagnostic {
    fn from(reported: Reported) -> Self {
        let Failure { code, cause } = reported.0;
        Self { error_type: code.name().to_owned(), error_message: cause }
    }
}

/// Serves invocations until the sandbox is stopped. Payloads are not logged: a gate's holds a task
/// token.
pub async fn serve<Input, Output>(
    handle: impl AsyncFn(Input) -> Result<Output, Failure>,
) -> Result<(), lambda_runtime::Error>
where
    Input: DeserializeOwned,
    Output: Serialize,
{
    serve_telling(handle, span, telemetry::tell_failure).await
}

/// The same without a metric of its failures, and with lines that have the deployment only: for `plan`, whose zip
/// has no room. Whoever has started it is told at once.
pub async fn serve_sparingly<Input, Output>(
    handle: impl AsyncFn(Input) -> Result<Output, Failure>,
) -> Result<(), lambda_runtime::Error>
where
    Input: DeserializeOwned,
    Output: Serialize,
{
    let span = |about: &About<'_>, _: &Context| match about {
        About::Deployment(deployment) => info_span!("invocation", deployment),
        About::WhatIsFound | About::Nothing => Span::none(),
    };
    serve_telling(handle, span, |_| ()).await
}

async fn serve_telling<Input, Output>(
    handle: impl AsyncFn(Input) -> Result<Output, Failure>,
    span: impl Fn(&About<'_>, &Context) -> Span,
    tell: impl Fn(FailureCode),
) -> Result<(), lambda_runtime::Error>
where
    Input: DeserializeOwned,
    Output: Serialize,
{
    let (handle, span, tell) = (&handle, &span, &tell);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        let named = event.payload["deployment"].as_str();
        let named = named.map(|named| named.chars().take(url::LONGEST_NAME).collect());
        let deployment = named.or_else(|| url::deployment(&event.payload)).unwrap_or_default();
        let about = match deployment.as_str() {
            "" if url::is_request(&event.payload) => About::WhatIsFound,
            "" => About::Nothing,
            named => About::Deployment(named),
        };
        let span = span(&about, &event.context);
        let told = async {
            let answered = if is_forged(&event) {
                let cause = "by hand it takes {\"deployment\", \"by\": {\"operator\"}}: nothing was written";
                Err(Failure::new(FailureCode::NotAllowed, cause))
            } else {
                answer(handle, event.payload).await
            };
            told(&deployment, answered, tell)
        };
        // Boxed: the future of a whole use case is a type deeper than the compiler looks.
        Box::pin(told.instrument(span)).await
    }))
    .await
}

/// The alias by which people invoke the rollback function where they cannot reach its URL (`RollbackByHand` of the
/// template).
const BY_HAND: &str = ":by-hand";

/// What only AWS or the state machine writes: an event of the URL, of EventBridge, of an alarm's action, of SNS.
const OF_AWS: [&str; 4] = ["requestContext", "detail-type", "alarmData", "Records"];

/// Whether somebody who may invoke a function by hand is in it as somebody else: as whom its URL names, as an alarm, or
/// as the state machine, whose words are told as they are.
fn is_forged(event: &LambdaEvent<Value>) -> bool {
    let payload = &event.payload;
    let is_said = payload["by"]["operator"].is_string();
    event.context.invoked_function_arn.ends_with(BY_HAND)
        && (!is_said || OF_AWS.iter().any(|field| payload.get(field).is_some()))
}

/// What an invocation is about, as far as it says so.
enum About<'a> {
    /// This deployment.
    Deployment(&'a str),
    /// What it turns out to lead to: a link, or a click.
    WhatIsFound,
    /// No single one: an alarm's may be about several deployments. It has neither name nor stage, and its lines say
    /// themselves what they are about.
    Nothing,
}

/// What is on every line of an invocation.
fn span(about: &About<'_>, context: &Context) -> Span {
    let (request, trace) = (context.request_id.as_str(), trace_id(context));
    let deployment = match about {
        About::Nothing => return info_span!("invocation", requestId = request, traceId = trace),
        About::WhatIsFound => None,
        About::Deployment(deployment) => Some(*deployment),
    };
    // Whoever loads the deployment says at which stage it is, and which it is where nobody has said.
    let stage = tracing::field::Empty;
    info_span!("invocation", deployment, stage, requestId = request, traceId = trace)
}

/// As X-Ray's console and Logs Insights have it, without the segment and whether it was sampled.
fn trace_id(context: &Context) -> Option<&str> {
    let header = context.xray_trace_id.as_deref()?;
    header.split(';').find_map(|part| part.strip_prefix("Root="))
}

/// Logs what came of an invocation, with the fields that somebody searches for on the line itself.
fn told<Output: Serialize>(
    deployment: &str,
    answered: Result<Output, Failure>,
    tell: impl Fn(FailureCode),
) -> Result<Value, Reported> {
    let answered = answered.and_then(|answer| {
        serde_json::to_value(answer).map_err(|error| {
            let cause = format!("the answer cannot be written: {error}");
            Failure::new(FailureCode::Unexpected, cause)
        })
    });
    match answered {
        Ok(answer) => {
            let (next, summary) = (answer["next"].as_str(), answer["summary"].as_str());
            // A page, or the way to one, is for whoever has its link.
            let for_link_holders = open_url::is_page(&answer) || url::has_link(&answer);
            let shown = if for_link_holders { &answer["statusCode"] } else { &answer };
            info!(deployment, next, summary, answer = %shown, "done");
            Ok(answer)
        }
        Err(failure) => {
            warn!(deployment, failure.code = %failure.code, failure.cause, "failed");
            tell(failure.code);
            Err(Reported(failure))
        }
    }
}

/// Decodes the payload here, not in the runtime: an error there would be reported under the name
/// of a Rust type.
async fn answer<Input, Output>(
    handle: &impl AsyncFn(Input) -> Result<Output, Failure>,
    payload: Value,
) -> Result<Output, Failure>
where
    Input: DeserializeOwned,
{
    let input = serde_json::from_value(payload).map_err(|error| {
        let cause = format!("the payload is not what this function takes: {error}");
        Failure::new(FailureCode::Unexpected, cause)
    })?;
    handle(input).await
}

/// Writes logs to standard output, one JSON object a line.
pub fn log_as_json() -> Result<(), settings::BadSetting> {
    let level = settings::log_level()?;
    // Only our own lines by level: the SDK's detailed ones show requests, with task tokens in them.
    let targets = Targets::new().with_default(LevelFilter::WARN).with_target("glidepath", level);
    tracing_subscriber::registry().with(targets).with(lines_as_json()).init();
    Ok(())
}

/// One line for each event, its fields beside its message; the invocation's are in `span`.
fn lines_as_json<S>() -> Layer<S, JsonFields, Format<Json>> {
    tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(false)
}

#[cfg(test)]
mod tests {
    use glidepath_core::ids::DeploymentId;
    use glidepath_engine::StepInput;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failure_is_reported_under_its_code() {
        let failure = Failure::new(FailureCode::VerdictFailed, "30 % of 200 requests were bad");
        let diagnostic = Diagnostic::from(Reported(failure));
        assert_eq!(diagnostic.error_type, "VerdictFailed");
        assert_eq!(diagnostic.error_message, "30 % of 200 requests were bad");
    }

    /// Everything that is logged, as a function logs it.
    #[derive(Clone, Default)]
    struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_of_the_log_is_found_by_its_deployment_and_its_answer_is_json() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = lines_as_json().with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let reply = json!({ "deployment": "op-1", "next": "gate", "summary": "bakes" });
            told("op-1", Ok(reply), |_| ()).unwrap();
            let failure = Failure::new(FailureCode::Transient, "x");
            let counted = std::cell::Cell::new(None);
            told::<Value>("op-1", Err(failure), |code| counted.set(Some(code))).unwrap_err();
            assert_eq!(counted.get(), Some(FailureCode::Transient));
        });
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let read = written.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let read: Vec<_> = read.collect();
        assert!(read.iter().all(|line| line["deployment"] == "op-1"), "{written}");
        assert_eq!(read[0]["next"], "gate");
        let answer: Value = serde_json::from_str(read[0]["answer"].as_str().unwrap()).unwrap();
        assert_eq!(answer["summary"], "bakes");
    }

    #[tokio::test]
    async fn a_payload_that_is_not_understood_is_unexpected() {
        let handle = async |input: StepInput| Ok::<DeploymentId, Failure>(input.deployment);
        let understood = answer(&handle, json!({ "deployment": "d" })).await;
        assert_eq!(understood, Ok(DeploymentId::new("d")));
        let refused = answer(&handle, json!({ "deployments": "d" })).await;
        assert_eq!(refused.unwrap_err().code, FailureCode::Unexpected);
    }
}
