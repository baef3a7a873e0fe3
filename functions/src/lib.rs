//! What the functions share: settings from the environment, logs as JSON lines, and a use case run
//! as a Lambda function.

use std::fmt::Debug;

use glidepath_core::failure::Failure;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::{info, warn};

pub mod settings;

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
    lambda_runtime::run(service_fn(|event: LambdaEvent<Input>| async move {
        // Boxed: the future of a whole use case is a type deeper than the compiler looks.
        match Box::pin(handle(event.payload)).await {
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

/// Writes logs to standard output, one JSON object a line.
pub fn log_as_json() -> Result<(), settings::BadSetting> {
    let level = settings::log_level()?;
    // By level only: a filter by target would bring a regular expression engine along.
    tracing_subscriber::fmt().json().flatten_event(true).with_max_level(level).init();
    Ok(())
}
