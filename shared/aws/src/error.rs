//! From the SDK's errors to the engine's. What matters is whether a write may have happened.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use glidepath_engine::ports::PortError;

/// Codes with which AWS asks to come back later; the call had no effect.
const THROTTLES: [&str; 14] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "ProvisionedThroughputExceededException",
    "TransactionConflictException",
    "BandwidthLimitExceeded",
    "SlowDown",
    // Application Auto Scaling, of reads as well: another change is not done yet.
    "ConcurrentUpdateException",
    // SNS, for the key of an encrypted topic.
    "KMSThrottling",
    "KMSThrottlingException",
];

/// Codes of the 4xx range after which nobody knows whether the call has happened.
const TIMEOUTS: [&str; 3] =
    ["RequestTimeout", "RequestTimeoutException", "TransactionInProgressException"];

/// The engine's error for a call that was not answered well.
pub(crate) fn port_error<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match &error {
        SdkError::ServiceError(answered) => {
            let code = answered.err().code().unwrap_or("no code");
            let status = answered.raw().status().as_u16();
            if THROTTLES.contains(&code) || status == 429 {
                return PortError::Throttled { operation };
            }
            let message = answered.err().message().unwrap_or("no message");
            let detail = format!("{code}: {message}");
            if status >= 500 || TIMEOUTS.contains(&code) {
                PortError::Unanswered { operation, detail }
            } else {
                PortError::Refused { operation, detail }
            }
        }
        // Never sent, and never will be.
        SdkError::ConstructionFailure(_) => PortError::Refused { operation, detail: whole(&error) },
        SdkError::TimeoutError(_) => {
            PortError::Unanswered { operation, detail: "timed out".to_owned() }
        }
        // A lost connection, an answer that cannot be read, and whatever the SDK adds later.
        SdkError::DispatchFailure(_) | SdkError::ResponseError(_) | _ => {
            PortError::Unanswered { operation, detail: whole(&error) }
        }
    }
}

/// The error code that a service answered with.
pub(crate) fn code<E>(error: &SdkError<E, HttpResponse>) -> Option<&str>
where
    E: ProvideErrorMetadata,
{
    error.as_service_error().and_then(E::code)
}

/// The error with its sources: the outermost one says only `dispatch failure`. Without the form for
/// debugging, which people would have to read past.
fn whole<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: Error + 'static,
{
    let mut whole = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        // Some errors repeat what is below them.
        if !whole.ends_with(&text) {
            whole.push_str(": ");
            whole.push_str(&text);
        }
        source = inner.source();
    }
    whole
}

/// An answer without a field that it always has.
pub(crate) fn incomplete(operation: &'static str, field: &str) -> PortError {
    PortError::Refused { operation, detail: format!("the answer has no `{field}`") }
}
