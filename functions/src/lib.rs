//! What the functions share: settings from the environment, logs as JSON lines, a use case run as a
//! Lambda function, and the events that trigger one.

use std::fmt::Debug;

use glidepath_core::failure::{Failure, FailureCode};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::{info, warn};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub mod settings;
pub mod trigger;

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
    Output: Serialize + Debug,
{
    let handle = &handle;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        // Boxed: the future of a whole use case is a type deeper than the compiler looks.
        match Box::pin(answer(handle, event.payload)).await {
            Ok(answer) => {
                info!(answer = ?answer, "done");
                Ok(answer)
            }
            Err(failure) => {
                warn!(failure.code = %failure.code, failure.cause, "failed");
                Err(Reported(failure))
            }
        }
    }))
    .await
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
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true);
    tracing_subscriber::registry().with(targets).with(lines).init();
    Ok(())
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

    #[tokio::test]
    async fn a_payload_that_is_not_understood_is_unexpected() {
        let handle = async |input: StepInput| Ok::<DeploymentId, Failure>(input.deployment);
        let understood = answer(&handle, json!({ "deployment": "d" })).await;
        assert_eq!(understood, Ok(DeploymentId::new("d")));
        let refused = answer(&handle, json!({ "deployments": "d" })).await;
        assert_eq!(refused.unwrap_err().code, FailureCode::Unexpected);
    }
}
