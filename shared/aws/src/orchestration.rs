//! Step Functions: answering gates, and starting executions.

use aws_sdk_sfn::Client;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use glidepath_core::failure::Failure;
use glidepath_core::ids::{DeploymentId, ExecutionArn, TaskToken};
use glidepath_engine::ports::{Begun, Orchestration, PortError, PortResult, Starting, Woken};
use serde_json::Value;

use crate::clients::Clients;
use crate::error::{code, port_error};

/// Longest cause that Step Functions takes, in bytes.
const LONGEST_CAUSE: usize = 32_000;

/// [`Orchestration`] by Step Functions.
#[derive(Clone, Debug)]
pub struct StepFunctions {
    client: Client,
}

impl StepFunctions {
    /// In the configured region. Answering a token twice is harmless, so the SDK may repeat it.
    pub fn new(clients: &Clients) -> Self {
        Self { client: Client::new(clients.reading()) }
    }
}

impl Orchestration for StepFunctions {
    async fn open_gate(&self, token: &TaskToken) -> PortResult<Woken> {
        let call = self.client.send_task_success().task_token(token.expose()).output("{}");
        woken("states:SendTaskSuccess", call.send().await)
    }

    async fn fail_gate(&self, token: &TaskToken, failure: &Failure) -> PortResult<Woken> {
        let call = self
            .client
            .send_task_failure()
            .task_token(token.expose())
            .error(failure.code.name())
            .cause(shortened(&failure.cause));
        woken("states:SendTaskFailure", call.send().await)
    }
}

/// [`Starting`] of one state machine.
#[derive(Clone, Debug)]
pub struct StateMachine {
    client: Client,
    arn: String,
}

impl StateMachine {
    /// Starting again what runs changes nothing, so the SDK may repeat it.
    pub fn new(clients: &Clients, arn: impl Into<String>) -> Self {
        Self { client: Client::new(clients.reading()), arn: arn.into() }
    }
}

impl Starting for StateMachine {
    async fn start(&self, name: &DeploymentId, request: &Value) -> PortResult<Option<Begun>> {
        let call = self.client.start_execution().state_machine_arn(&self.arn);
        match call.name(name.as_str()).input(request.to_string()).send().await {
            Ok(started) => {
                Ok(Some(Begun { execution: ExecutionArn::new(started.execution_arn()) }))
            }
            Err(error) if code(&error) == Some("ExecutionAlreadyExists") => Ok(None),
            Err(error) => Err(port_error("states:StartExecution", error)),
        }
    }
}

fn woken<Answer, E>(
    operation: &'static str,
    answer: Result<Answer, SdkError<E, HttpResponse>>,
) -> PortResult<Woken>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let error = match answer {
        Ok(_) => return Ok(Woken::Yes),
        Err(error) => error,
    };
    let code = code(&error).map(str::to_owned);
    match code.as_deref() {
        Some("TaskTimedOut" | "TaskDoesNotExist" | "InvalidToken") => Ok(Woken::Gone),
        Some(_) | None => Err(match port_error(operation, error) {
            // A message may repeat the token; the code says enough.
            PortError::Refused { operation, .. } => {
                PortError::Refused { operation, detail: code.unwrap_or_default() }
            }
            other @ (PortError::Throttled { .. } | PortError::Unanswered { .. }) => other,
        }),
    }
}

/// The longest beginning that Step Functions takes.
fn shortened(cause: &str) -> &str {
    &cause[..cause.floor_char_boundary(LONGEST_CAUSE)]
}

#[cfg(test)]
mod tests {
    use glidepath_core::failure::FailureCode;

    use super::*;
    use crate::replay::{answering, error_of};

    #[test]
    fn a_cause_is_cut_between_characters() {
        let cause = "€".repeat(LONGEST_CAUSE);
        assert!(shortened(&cause).len() <= LONGEST_CAUSE);
        assert_eq!(shortened("short"), "short");
    }

    #[tokio::test]
    async fn a_token_that_is_not_waited_for_is_gone_and_never_shown() {
        let token = TaskToken::new("very-secret");
        let failure = Failure::new(FailureCode::AlarmFired, "it fired");
        for gone in ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"] {
            let functions =
                StepFunctions::new(&answering(vec![error_of(400, gone, "very-secret")]));
            assert_eq!(functions.fail_gate(&token, &failure).await, Ok(Woken::Gone), "{gone}");
        }
        let denied = error_of(400, "AccessDeniedException", "very-secret is not for you");
        let refused = StepFunctions::new(&answering(vec![denied])).open_gate(&token).await;
        let shown = format!("{refused:?}");
        assert!(shown.contains("AccessDeniedException") && !shown.contains("very-secret"));
    }
}
