//! What a person does from the command line: starts a deployment, looks at its execution, has it
//! rolled back, and is somebody.

use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_sfn::operation::describe_execution::{DescribeExecutionError, DescribeExecutionOutput};
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use aws_smithy_types::timeout::TimeoutConfig;
use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::{DeploymentId, ExecutionArn};
use glidepath_core::protocol::Reply;
use glidepath_core::record::FenceTrigger;
use glidepath_core::request::can_be_starter;
use glidepath_core::time::Timestamp;
use glidepath_engine::decide::{Decided, Posted};
use glidepath_engine::freeze::{FreezeDone, PostedFreeze};
use glidepath_engine::ports::{Begun, PortError, PortResult};
use glidepath_engine::rollback::PostedRollback;
use glidepath_engine::start::PostedStart;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::clients::Clients;
use crate::error::{incomplete, port_error};
use crate::stack::Stack;
use crate::url::FunctionUrls;

/// Longest time of one invocation: more than the function's own time-out.
const INVOCATION: Duration = Duration::from_secs(130);

/// Longest time until a decision is answered: more than the function's own time-out.
const DECISION: Duration = Duration::from_secs(35);

/// The action of a request to a function's URL.
const BY_URL: &str = "lambda:InvokeFunctionUrl";

/// Who asks for a rollback past the URL, if AWS does not say it: a rollback does not wait for that.
const SOMEBODY: &str = "a person whom AWS did not name";

/// The field of a request that says who starts it.
const STARTED_BY: &str = "startedBy";

/// A person's hands on a stack.
#[derive(Debug)]
pub struct Operator {
    identities: aws_sdk_sts::Client,
    executions: aws_sdk_sfn::Client,
    functions: aws_sdk_lambda::Client,
    urls: FunctionUrls,
    stack: Stack,
}

/// How a start ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    /// It runs: since now, or since an earlier start with the same request.
    Running(ExecutionArn),
    /// The same request under the same name has ended before; nothing was started.
    EndedBefore(ExecutionArn),
    /// The name belongs to another request; nothing was started.
    NameTaken,
}

/// Whether the stack knows who has started it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proven {
    Yes,
    /// And why not.
    No(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecutionState {
    Running,
    Succeeded,
    /// It ended otherwise.
    Failed {
        /// `Error`, or the status of an execution that was stopped or ran out of time.
        name: String,
        cause: String,
    },
}

/// What the rollback function answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invoked {
    /// What it did and what comes next.
    Answered(Reply),
    /// It could not finish; how far it came, the registry knows.
    Failed(Failure),
}

impl Operator {
    pub fn new(clients: &Clients, stack: Stack) -> Self {
        let patient = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(2))
            .read_timeout(INVOCATION)
            .operation_attempt_timeout(INVOCATION)
            .build();
        let invoking = clients.reading().to_builder().timeout_config(patient).build();
        Self {
            identities: aws_sdk_sts::Client::new(clients.reading()),
            executions: aws_sdk_sfn::Client::new(clients.reading()),
            functions: aws_sdk_lambda::Client::new(&invoking),
            urls: FunctionUrls::new(clients),
            stack,
        }
    }

    /// The ARN of the caller's IAM identity.
    pub async fn identity(&self) -> PortResult<String> {
        let operation = "sts:GetCallerIdentity";
        let identity = self.identities.get_caller_identity().send().await;
        let identity = identity.map_err(|error| port_error(operation, error))?;
        identity.arn().map(str::to_owned).ok_or_else(|| incomplete(operation, "Arn"))
    }

    /// Starts a deployment of this name, as the caller. Starting it again with the same request changes
    /// nothing, whoever does. Where the stack cannot be asked to, it is started past it, and `proven` says
    /// why nobody knows then who did.
    pub async fn start(
        &self,
        name: &DeploymentId,
        request: &Value,
    ) -> PortResult<(Started, Proven)> {
        let unproven = match self.start_by_url(name, request).await? {
            Ok(started) => return Ok((started, Proven::Yes)),
            Err(why) => why,
        };
        Ok((self.start_past(name, request).await?, Proven::No(unproven)))
    }

    /// What the function has started, or why it was not asked well.
    async fn start_by_url(
        &self,
        name: &DeploymentId,
        request: &Value,
    ) -> PortResult<Result<Started, String>> {
        let Some(url) = &self.stack.start_url else {
            let why = "the stack has no output `StartUrl`: it is older than this command line";
            return Ok(Err(why.to_owned()));
        };
        let posted = PostedStart { deployment: name.clone(), request: request.clone() };
        match self.urls.post(url, &json!(posted), DECISION).await {
            Ok(Ok(begun)) => {
                let Begun { execution } = answered(begun)?;
                Ok(Ok(Started::Running(execution)))
            }
            Ok(Err(Failure { code: FailureCode::NameUsed, .. })) => {
                self.existing(name, request).await.map(Ok)
            }
            Ok(Err(failure)) => Ok(Err(failure.to_string())),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    async fn start_past(&self, name: &DeploymentId, request: &Value) -> PortResult<Started> {
        let request = &self.signed(request).await;
        let started = self
            .executions
            .start_execution()
            .state_machine_arn(&self.stack.state_machine)
            .name(name.as_str())
            .input(request.to_string())
            .send()
            .await;
        match started {
            Ok(started) => Ok(Started::Running(ExecutionArn::new(started.execution_arn()))),
            Err(error) => match error.as_service_error() {
                Some(StartExecutionError::ExecutionAlreadyExists(_)) => {
                    self.existing(name, request).await
                }
                Some(_) | None => Err(port_error("states:StartExecution", error)),
            },
        }
    }

    /// The request with the caller's name, unless it has one: a pipeline may know a better one. Who cannot
    /// say who they are, or whose name is too long for a request, may start it all the same.
    async fn signed(&self, request: &Value) -> Value {
        if request.get(STARTED_BY).is_some() {
            return request.clone();
        }
        with_starter(request, self.identity().await.ok())
    }

    async fn existing(&self, name: &DeploymentId, request: &Value) -> PortResult<Started> {
        let execution = self.execution(name);
        let described = self.describe(&execution).await?;
        let input: Option<Value> =
            described.input().and_then(|input| serde_json::from_str(input).ok());
        Ok(match state(&described) {
            _ if !input.is_some_and(|input| same(&input, request)) => Started::NameTaken,
            ExecutionState::Running => Started::Running(execution),
            ExecutionState::Succeeded | ExecutionState::Failed { .. } => {
                Started::EndedBefore(execution)
            }
        })
    }

    /// The execution that carries a deployment.
    pub fn execution(&self, name: &DeploymentId) -> ExecutionArn {
        let machine = self.stack.state_machine.replacen(":stateMachine:", ":execution:", 1);
        ExecutionArn::new(format!("{machine}:{name}"))
    }

    /// Where an execution is.
    pub async fn state(&self, execution: &ExecutionArn) -> PortResult<ExecutionState> {
        self.describe(execution).await.map(|described| state(&described))
    }

    /// Where an execution is; `None`: there is none of that name.
    pub async fn find(&self, execution: &ExecutionArn) -> PortResult<Option<ExecutionState>> {
        self.found(execution).await.map(|found| found.as_ref().map(state))
    }

    /// Since when an execution runs; `None`: it does not, or there is none of that name.
    pub async fn running_since(&self, execution: &ExecutionArn) -> PortResult<Option<Timestamp>> {
        let found = self.found(execution).await?;
        let running = found.filter(|found| state(found) == ExecutionState::Running);
        let since = running.and_then(|running| running.start_date().to_millis().ok());
        Ok(since.map(Timestamp::from_millis))
    }

    async fn found(&self, execution: &ExecutionArn) -> PortResult<Option<DescribeExecutionOutput>> {
        let call = self.executions.describe_execution().execution_arn(execution.as_str());
        match call.send().await {
            Ok(described) => Ok(Some(described)),
            Err(error) => match error.as_service_error() {
                Some(DescribeExecutionError::ExecutionDoesNotExist(_)) => Ok(None),
                Some(_) | None => Err(port_error("states:DescribeExecution", error)),
            },
        }
    }

    async fn describe(&self, execution: &ExecutionArn) -> PortResult<DescribeExecutionOutput> {
        let call = self.executions.describe_execution().execution_arn(execution.as_str());
        call.send().await.map_err(|error| port_error("states:DescribeExecution", error))
    }

    /// Has a decision recorded as the caller's, or says why it was not.
    pub async fn decide(&self, posted: &Posted) -> PortResult<Result<Decided, Failure>> {
        self.post_decision(&json!(posted)).await
    }

    /// Has services frozen or thawed by the caller, or says why they were not.
    pub async fn freeze(&self, posted: &PostedFreeze) -> PortResult<Result<FreezeDone, Failure>> {
        self.post_decision(&json!(posted)).await
    }

    async fn post_decision<Answer: DeserializeOwned>(
        &self,
        posted: &Value,
    ) -> PortResult<Result<Answer, Failure>> {
        let url = self.stack.decide_url.as_deref().ok_or_else(|| PortError::Refused {
            operation: "lambda:InvokeFunctionUrl",
            detail:
                "the stack has no output `DecideUrl`: it is older than this command line, or not \
                     Glidepath's"
                    .to_owned(),
        })?;
        match self.urls.post(url, posted, DECISION).await? {
            Ok(decided) => answered(decided).map(Ok),
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// Has a deployment rolled back and waits for the answer. It may be repeated any number of times.
    /// With `force` everything goes to stable, healthy or not.
    ///
    /// By its URL the function knows who asks. Where that cannot be reached, or is not allowed, it is
    /// invoked as any function is, and knows what `by` says: no rollback waits for a name.
    pub async fn roll_back(
        &self,
        deployment: &DeploymentId,
        reason: Option<&str>,
        force: bool,
    ) -> PortResult<Invoked> {
        let (id, reason) = (deployment.clone(), reason.map(str::to_owned));
        let posted = PostedRollback { deployment: id, reason, force };
        let Some(url) = &self.stack.rollback_url else {
            return self.invoke_rollback(&posted).await;
        };
        let error = match self.urls.post(url, &json!(posted), INVOCATION).await {
            Ok(Ok(reply)) => return answered(reply).map(Invoked::Answered),
            // It does not understand what it is asked: an older one, or an event that looks otherwise.
            Ok(Err(Failure { code: FailureCode::InvalidRequest, cause })) => {
                PortError::Refused { operation: BY_URL, detail: cause }
            }
            Ok(Err(failure)) => return Ok(Invoked::Failed(failure)),
            Err(error) => error,
        };
        let invoked = self.invoke_rollback(&posted).await;
        // Who may do neither should hear of the way that is meant for them.
        invoked.map_err(|direct| if direct.is_denied() { error } else { direct })
    }

    /// Past the URL, as whoever AWS says it is if that is known at once.
    async fn invoke_rollback(&self, posted: &PostedRollback) -> PortResult<Invoked> {
        let operation = "lambda:Invoke";
        let by = self.identity().await.unwrap_or_else(|_| SOMEBODY.to_owned());
        let invoked = self
            .functions
            .invoke()
            .function_name(&self.stack.rollback_by_hand)
            .payload(Blob::new(rollback_by(posted, by).to_string()))
            .send()
            .await
            .map_err(|error| port_error(operation, error))?;
        let payload = invoked.payload().map(Blob::as_ref);
        let payload = payload.ok_or_else(|| incomplete(operation, "Payload"))?;
        let answer = if invoked.function_error().is_some() {
            serde_json::from_slice(payload).map(|error| Invoked::Failed(failure(error)))
        } else {
            serde_json::from_slice(payload).map(Invoked::Answered)
        };
        answer.map_err(|error| unreadable(operation, &error))
    }
}

/// What a function has answered to a request to its URL.
fn answered<Answer: DeserializeOwned>(answer: Value) -> PortResult<Answer> {
    serde_json::from_value(answer).map_err(|error| unreadable(BY_URL, &error))
}

fn unreadable(operation: &'static str, error: &serde_json::Error) -> PortError {
    let detail = format!("the function's answer cannot be read: {error}");
    PortError::Refused { operation, detail }
}

fn with_starter(request: &Value, caller: Option<String>) -> Value {
    let mut signed = request.clone();
    let caller = caller.filter(|caller| can_be_starter(caller));
    if let (Value::Object(fields), Some(caller)) = (&mut signed, caller) {
        fields.entry(STARTED_BY).or_insert(Value::String(caller));
    }
    signed
}

/// Whether two requests ask for the same: a person may run again what a pipeline has started.
fn same(one: &Value, other: &Value) -> bool {
    let without_starter = |request: &Value| {
        let mut request = request.clone();
        if let Value::Object(fields) = &mut request {
            fields.remove(STARTED_BY);
        }
        request
    };
    without_starter(one) == without_starter(other)
}

fn state(described: &DescribeExecutionOutput) -> ExecutionState {
    match described.status().as_str() {
        "SUCCEEDED" => ExecutionState::Succeeded,
        status @ ("FAILED" | "ABORTED" | "TIMED_OUT") => ExecutionState::Failed {
            name: described.error().unwrap_or(status).to_owned(),
            cause: described.cause().unwrap_or_default().to_owned(),
        },
        // `RUNNING`, `PENDING_REDRIVE`, and whatever is added later: it has not ended.
        _ => ExecutionState::Running,
    }
}

/// What the rollback function is handed; it puts the name before the reason.
fn rollback_by(posted: &PostedRollback, by: String) -> Value {
    let PostedRollback { deployment, reason, force } = posted;
    json!({
        "deployment": deployment,
        "by": FenceTrigger::Operator(by),
        "error": { "name": FailureCode::Aborted.name(), "cause": reason },
        "force": force,
    })
}

/// An error as Lambda reports it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionError {
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error_message: String,
}

fn failure(error: FunctionError) -> Failure {
    let FunctionError { error_type, error_message } = error;
    match FailureCode::from_name(&error_type) {
        Some(code) => Failure::new(code, error_message),
        // Lambda's own: it ran out of time or memory.
        None => Failure::new(FailureCode::Transient, format!("{error_type} {error_message}")),
    }
}

#[cfg(test)]
mod tests {
    use glidepath_core::protocol::NextStep;
    use glidepath_engine::rollback::RollbackInput;

    use super::*;
    use crate::replay::{Answer, answering, error_of, json as good};

    fn operator(answers: Vec<Answer>) -> Operator {
        let stack = Stack {
            state_machine: "arn:aws:states:x:1:stateMachine:glidepath".to_owned(),
            table: "registry".to_owned(),
            rollback_by_hand: "rollback".to_owned(),
            ..Stack::default()
        };
        Operator::new(&answering(answers), stack)
    }

    fn described(status: &str, input: &str) -> Answer {
        good(&json!({
            "executionArn": "arn:aws:states:x:1:execution:glidepath:d-1",
            "stateMachineArn": "arn:aws:states:x:1:stateMachine:glidepath",
            "startDate": 1.8e9, "status": status, "input": input,
        }))
    }

    fn exists() -> Answer {
        error_of(400, "ExecutionAlreadyExists", "it exists")
    }

    #[tokio::test]
    async fn a_name_that_exists_is_the_same_deployment_only_with_the_same_request() {
        let id = DeploymentId::new("d-1");
        let request = json!({ "service": "shop", "notify": [], "startedBy": "somebody" });
        let same = r#"{ "notify": [], "service": "shop" }"#;
        let execution = ExecutionArn::new("arn:aws:states:x:1:execution:glidepath:d-1");
        for (status, input, expected) in [
            ("RUNNING", same, Started::Running(execution.clone())),
            ("SUCCEEDED", same, Started::EndedBefore(execution.clone())),
            ("ABORTED", same, Started::EndedBefore(execution.clone())),
            // A person runs again what a pipeline has started.
            (
                "RUNNING",
                r#"{ "notify": [], "service": "shop", "startedBy": "pipeline" }"#,
                Started::Running(execution.clone()),
            ),
            ("RUNNING", "{}", Started::NameTaken),
            ("FAILED", "{}", Started::NameTaken),
        ] {
            let operator = operator(vec![exists(), described(status, input)]);
            let started = operator.start(&id, &request).await;
            assert_eq!(started.map(|(started, _)| started), Ok(expected), "{status} {input}");
        }
    }

    #[test]
    fn a_start_past_the_stack_says_who_starts_unless_the_request_does() {
        let by = |caller: Option<&str>| {
            with_starter(&json!({}), caller.map(str::to_owned))["startedBy"].clone()
        };
        assert_eq!(by(Some("arn:me")), json!("arn:me"));
        assert_eq!(by(None), Value::Null);
        // Paths of IAM users have up to 512 characters.
        assert_eq!(by(Some(&"a".repeat(257))), Value::Null);
    }

    #[tokio::test]
    async fn a_name_that_was_never_started_is_no_error() {
        let missing = error_of(400, "ExecutionDoesNotExist", "no such execution");
        let operator = operator(vec![missing, described("RUNNING", "{}")]);
        let execution = ExecutionArn::new("arn:e");
        assert_eq!(operator.find(&execution).await, Ok(None));
        assert_eq!(operator.find(&execution).await, Ok(Some(ExecutionState::Running)));
    }

    #[tokio::test]
    async fn only_what_runs_runs_since_a_time() {
        let missing = error_of(400, "ExecutionDoesNotExist", "no such execution");
        let answers = vec![missing, described("FAILED", "{}"), described("RUNNING", "{}")];
        let (operator, execution) = (operator(answers), ExecutionArn::new("arn:e"));
        assert_eq!(operator.running_since(&execution).await, Ok(None));
        assert_eq!(operator.running_since(&execution).await, Ok(None));
        let since = Timestamp::from_millis(1_800_000_000_000);
        assert_eq!(operator.running_since(&execution).await, Ok(Some(since)));
    }

    #[tokio::test]
    async fn a_stopped_execution_has_a_name_too() {
        let operator = operator(vec![described("ABORTED", "{}")]);
        let state = operator.state(&ExecutionArn::new("arn:e")).await.unwrap();
        let expected = ExecutionState::Failed { name: "ABORTED".to_owned(), cause: String::new() };
        assert_eq!(state, expected);
    }

    #[tokio::test]
    async fn the_answer_of_the_rollback_is_read() {
        let id = DeploymentId::new("d-1");
        let reply = Reply::new(&id, NextStep::Rollback, "traffic is back");
        // Nobody says who asks, and the rollback goes on.
        let nobody = error_of(403, "AccessDenied", "no");
        let operator = operator(vec![nobody, good(&json!(reply))]);
        let invoked = operator.roll_back(&id, None, false).await;
        assert_eq!(invoked, Ok(Invoked::Answered(reply)));
    }

    #[test]
    fn the_rollback_function_understands_what_it_is_handed() {
        let id = DeploymentId::new("d-1");
        for (reason, force) in [(Some("it is slow"), false), (None, true)] {
            let posted =
                PostedRollback { deployment: id.clone(), reason: reason.map(str::to_owned), force };
            let input = rollback_by(&posted, "arn:ada".to_owned());
            let input: RollbackInput = serde_json::from_value(input).unwrap();
            assert_eq!(input.force, force);
            assert_eq!(input.by, Some(FenceTrigger::Operator("arn:ada".to_owned())));
            let error = input.error.unwrap();
            assert_eq!((error.name.as_str(), error.cause.as_deref()), ("Aborted", reason));
        }
    }

    #[test]
    fn an_error_of_lambda_itself_may_pass() {
        let lambdas = json!({ "errorType": "Sandbox.Timedout", "errorMessage": "after 120 s" });
        let read = failure(serde_json::from_value(lambdas).unwrap());
        assert_eq!(read, Failure::new(FailureCode::Transient, "Sandbox.Timedout after 120 s"));
        let ours = json!({ "errorType": "Unexpected", "errorMessage": "no permission" });
        let read = failure(serde_json::from_value(ours).unwrap());
        assert_eq!(read, Failure::new(FailureCode::Unexpected, "no permission"));
    }
}
