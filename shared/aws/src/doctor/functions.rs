//! Functions of the stack: who they are, how many may run, and events that they fail on.

use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{DestinationConfig, InvocationType, OnFailure};
use glidepath_core::failure::Failure;
use glidepath_engine::ports::PortResult;
use serde_json::{Value, json};

use super::{Instruments, PREFIX};
use crate::error::{code, incomplete, port_error};

/// Longest time for a function that has to be started first.
const COLD: Duration = Duration::from_secs(20);

const NOT_FOUND: &str = "ResourceNotFoundException";

/// Concurrency of the account and Region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountConcurrency {
    /// At once.
    pub limit: u32,
    /// What of it is not reserved.
    pub unreserved: u32,
}

/// How a function answered a call that somebody waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    Well(Value),
    /// It failed, and says why.
    Badly(String),
}

impl Instruments {
    /// ARN of a function and of its role.
    pub async fn function(&self, name: &str) -> PortResult<(String, String)> {
        let operation = "lambda:GetFunctionConfiguration";
        let found = self.functions.get_function_configuration().function_name(name).send().await;
        let found = found.map_err(|error| port_error(operation, error))?;
        let arn = found.function_arn.ok_or_else(|| incomplete(operation, "FunctionArn"))?;
        Ok((arn, found.role.ok_or_else(|| incomplete(operation, "Role"))?))
    }

    /// What links to questions are signed with: the ARN of the secret that a function is given.
    pub async fn page_key(&self, name: &str) -> PortResult<Option<String>> {
        let operation = "lambda:GetFunctionConfiguration";
        let found = self.functions.get_function_configuration().function_name(name).send().await;
        let found = found.map_err(|error| port_error(operation, error))?;
        let variables = found.environment.and_then(|environment| environment.variables);
        Ok(variables.and_then(|mut variables| variables.remove("GLIDEPATH_PAGE_KEY")))
    }

    /// A signed request of nothing to a function's URL.
    pub async fn ask_by_url(&self, url: &str) -> PortResult<Result<Value, Failure>> {
        self.urls.post(url, &json!({}), COLD).await
    }

    /// ARN of the role of the state machine.
    pub async fn machine_role(&self) -> PortResult<String> {
        let call = self.machines.describe_state_machine();
        let found = call.state_machine_arn(&self.stack.state_machine).send().await;
        let found = found.map_err(|error| port_error("states:DescribeStateMachine", error))?;
        Ok(found.role_arn)
    }

    /// The status that the page answers to a link that nobody has signed.
    pub async fn look_at_page(&self, url: &str) -> PortResult<u16> {
        let forged = format!("{}/approve/{PREFIX}forged/1/0/0", url.trim_end_matches('/'));
        self.urls.look(&forged, COLD).await
    }

    /// What is reserved for a function.
    pub async fn reserved(&self, function: &str) -> PortResult<Option<u32>> {
        let call = self.functions.get_function_concurrency();
        let found = call.function_name(function).send().await;
        let found = found.map_err(|error| port_error("lambda:GetFunctionConcurrency", error))?;
        Ok(found.reserved_concurrent_executions.and_then(|reserved| reserved.try_into().ok()))
    }

    pub async fn account_concurrency(&self) -> PortResult<AccountConcurrency> {
        let operation = "lambda:GetAccountSettings";
        let found = self.functions.get_account_settings().send().await;
        let found = found.map_err(|error| port_error(operation, error))?;
        let limits = found.account_limit.ok_or_else(|| incomplete(operation, "AccountLimit"))?;
        let number = |number: i32| u32::try_from(number).unwrap_or_default();
        Ok(AccountConcurrency {
            limit: number(limits.concurrent_executions),
            unreserved: limits.unreserved_concurrent_executions.map(number).unwrap_or_default(),
        })
    }

    /// Where events go that the rollback function has failed on for good.
    pub async fn failed_events_go_to(&self) -> PortResult<Option<String>> {
        // As SAM configures it.
        let call = self.functions.get_function_event_invoke_config().qualifier("$LATEST");
        match call.function_name(&self.stack.rollback_function).send().await {
            Ok(found) => {
                let failed = found.destination_config.and_then(|config| config.on_failure);
                Ok(failed.and_then(|failed| failed.destination))
            }
            Err(error) if code(&error) == Some(NOT_FOUND) => Ok(None),
            Err(error) => Err(port_error("lambda:GetFunctionEventInvokeConfig", error)),
        }
    }

    /// An alias of the rollback function whose events are not tried again: the function's own are
    /// tried for three minutes before they go anywhere.
    pub async fn make_alias(&self, alias: &str, failed_events_go_to: &str) -> PortResult<()> {
        let function = &self.stack.rollback_function;
        let made = self.functions.create_alias().function_name(function).name(alias);
        let made = made.function_version("$LATEST").description("of `glidepath doctor`");
        made.send().await.map_err(|error| port_error("lambda:CreateAlias", error))?;
        let failed = OnFailure::builder().destination(failed_events_go_to).build();
        let configured = self.functions.put_function_event_invoke_config().function_name(function);
        let configured = configured
            .qualifier(alias)
            .maximum_retry_attempts(0)
            .maximum_event_age_in_seconds(60)
            .destination_config(DestinationConfig::builder().on_failure(failed).build());
        let configured = configured.send().await.map(|_| ());
        configured.map_err(|error| port_error("lambda:PutFunctionEventInvokeConfig", error))
    }

    /// Hands an event to the rollback function by its alias, without waiting for what comes of it.
    pub async fn send_event(&self, alias: &str, event: &Value) -> PortResult<()> {
        let call = self.functions.invoke().function_name(&self.stack.rollback_function);
        let call = call.qualifier(alias).invocation_type(InvocationType::Event);
        let sent = call.payload(Blob::new(event.to_string())).send().await;
        sent.map(|_| ()).map_err(|error| port_error("lambda:Invoke", error))
    }

    /// Calls a function and waits for its answer.
    pub async fn call(&self, function: &str, payload: &Value) -> PortResult<Answered> {
        let operation = "lambda:Invoke";
        let call = self.calling.invoke().function_name(function);
        let answer = call.payload(Blob::new(payload.to_string())).send().await;
        let answer = answer.map_err(|error| port_error(operation, error))?;
        let payload = answer.payload().map(Blob::as_ref).unwrap_or_default();
        let value: Value = serde_json::from_slice(payload).unwrap_or_default();
        if let Some(kind) = answer.function_error() {
            let message = value["errorMessage"].as_str().unwrap_or(kind);
            return Ok(Answered::Badly(message.to_owned()));
        }
        Ok(Answered::Well(value))
    }

    /// Aliases of the rollback function that are doctor's.
    pub async fn aliases(&self) -> PortResult<Vec<String>> {
        let mut aliases = Vec::new();
        let mut following = None;
        loop {
            let call = self.functions.list_aliases().function_name(&self.stack.rollback_function);
            let listed = call.set_marker(following).send().await;
            let listed = listed.map_err(|error| port_error("lambda:ListAliases", error))?;
            let names = listed.aliases().iter().filter_map(|alias| alias.name());
            aliases.extend(names.filter(|name| name.starts_with(PREFIX)).map(str::to_owned));
            following = listed.next_marker;
            if following.is_none() {
                return Ok(aliases);
            }
        }
    }

    /// Deletes an alias with its settings; one that is gone is as good.
    pub async fn delete_alias(&self, alias: &str) -> PortResult<()> {
        let function = &self.stack.rollback_function;
        let settings = self.functions.delete_function_event_invoke_config();
        match settings.function_name(function).qualifier(alias).send().await {
            Ok(_) => {}
            Err(error) if code(&error) == Some(NOT_FOUND) => {}
            Err(error) => {
                return Err(port_error("lambda:DeleteFunctionEventInvokeConfig", error));
            }
        }
        match self.functions.delete_alias().function_name(function).name(alias).send().await {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == Some(NOT_FOUND) => Ok(()),
            Err(error) => Err(port_error("lambda:DeleteAlias", error)),
        }
    }
}
