//! What the stack tells of itself: for the command line.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::Stack as Described;
use glidepath_core::people::ApprovalPolicy;
use glidepath_core::preflight::StackSettings;
use glidepath_engine::ports::{PortError, PortResult};

use crate::channels::{ChannelsSettings, with_email};
use crate::clients::Clients;
use crate::error::{incomplete, port_error};

const OPERATION: &str = "cloudformation:DescribeStacks";

/// The outputs and parameters of the stack that the command line needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    pub name: String,
    /// `Version`; stacks from before there was this output have none.
    pub version: Option<String>,
    /// `StateMachineArn`.
    pub state_machine: String,
    /// `TableName`.
    pub table: String,
    /// `RollbackFunctionName`.
    pub rollback_function: String,
    /// `RollbackByHand`, by which it is invoked where its URL cannot be reached; its name in stacks from before there was this
    /// output.
    pub rollback_by_hand: String,
    /// `DecideUrl`; stacks from before there was this output have none.
    pub decide_url: Option<String>,
    /// `StartUrl`, likewise.
    pub start_url: Option<String>,
    /// `RollbackUrl`, likewise.
    pub rollback_url: Option<String>,
    /// `UndeliveredQueueUrl`.
    pub undelivered_queue: String,
    /// The parameter `Channels`, and the channel of `AlertEmail`, or why they cannot be read.
    pub channels: Parameter<ChannelsSettings>,
    /// The parameter `ApprovalPolicy`, or why it cannot be read; stacks from before there was one demand nothing.
    pub approvals: Parameter<ApprovalPolicy>,
    /// Every output, for whoever looks at all functions.
    pub outputs: BTreeMap<String, String>,
    /// Every parameter.
    pub parameters: BTreeMap<String, String>,
}

/// What a parameter says, or why it cannot be read, which stops only who needs it: a rollback does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter<T>(Result<T, String>);

impl<T: Default> Default for Parameter<T> {
    fn default() -> Self {
        Self(Ok(T::default()))
    }
}

impl<T> Parameter<T> {
    pub fn read(&self) -> PortResult<&T> {
        self.0.as_ref().map_err(|why| refused(why.clone()))
    }
}

impl Stack {
    /// What it has configured, as far as a request depends on it.
    pub fn settings(&self) -> PortResult<StackSettings> {
        let channels = self.channels.read()?;
        Ok(StackSettings {
            channels: channels
                .iter()
                .map(|(name, settings)| (name.clone(), settings.listening()))
                .collect(),
            task_roles: self.parameters.get("TaskRolePattern").cloned(),
            approvals: self.approvals.read()?.clone(),
        })
    }
}

pub async fn describe(clients: &Clients, name: &str) -> PortResult<Stack> {
    let client = Client::new(clients.reading());
    let described = client.describe_stacks().stack_name(name).send().await;
    let described = described.map_err(|error| port_error(OPERATION, error))?;
    let stack = described.stacks().first().ok_or_else(|| incomplete(OPERATION, "Stacks"))?;
    let pair = |(key, value): (Option<&str>, Option<&str>)| {
        Some((key?.to_owned(), value.unwrap_or_default().to_owned()))
    };
    let outputs = stack.outputs().iter();
    let outputs = outputs.map(|output| (output.output_key(), output.output_value()));
    let parameters = stack.parameters().iter();
    let parameters = parameters.map(|found| (found.parameter_key(), found.parameter_value()));
    Ok(Stack {
        name: stack.stack_name().unwrap_or(name).to_owned(),
        version: output(stack, "Version").ok(),
        decide_url: output(stack, "DecideUrl").ok(),
        start_url: output(stack, "StartUrl").ok(),
        rollback_url: output(stack, "RollbackUrl").ok(),
        undelivered_queue: output(stack, "UndeliveredQueueUrl")?,
        outputs: outputs.filter_map(pair).collect(),
        parameters: parameters.filter_map(pair).collect(),
        state_machine: output(stack, "StateMachineArn")?,
        table: output(stack, "TableName")?,
        rollback_by_hand: output(stack, "RollbackByHand")
            .or_else(|_| output(stack, "RollbackFunctionName"))?,
        rollback_function: output(stack, "RollbackFunctionName")?,
        channels: channels(stack),
        approvals: approvals(stack),
    })
}

fn output(stack: &Described, key: &str) -> PortResult<String> {
    let mut outputs = stack.outputs().iter();
    let found = outputs.find(|output| output.output_key() == Some(key));
    found.and_then(|output| output.output_value()).map(str::to_owned).ok_or_else(|| {
        refused(format!(
            "stack `{}` has no output `{key}`: it is no stack of Glidepath",
            stack.stack_name().unwrap_or_default()
        ))
    })
}

fn channels(stack: &Described) -> Parameter<ChannelsSettings> {
    let email = output(stack, "AlertTopicArn").ok();
    let written = parameter(stack, "Channels");
    let read = written.map_or_else(|| Ok(ChannelsSettings::default()), serde_json::from_str);
    // Without the parser's words: they repeat what it read, and somebody may have put a URL there.
    Parameter(read.map(|channels| with_email(channels, email)).map_err(|_| {
        "the stack's parameter `Channels` is no JSON object of channels by name".to_owned()
    }))
}

fn approvals(stack: &Described) -> Parameter<ApprovalPolicy> {
    let written = parameter(stack, "ApprovalPolicy");
    let read = written.map_or_else(|| Ok(ApprovalPolicy::default()), ApprovalPolicy::parse);
    Parameter(
        read.map_err(|why| format!("the stack's parameter `ApprovalPolicy` cannot be read: {why}")),
    )
}

fn parameter<'a>(stack: &'a Described, name: &str) -> Option<&'a str> {
    let mut parameters = stack.parameters().iter();
    let found = parameters.find(|parameter| parameter.parameter_key() == Some(name));
    found.and_then(|parameter| parameter.parameter_value())
}

const fn refused(detail: String) -> PortError {
    PortError::Refused { operation: OPERATION, detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::{answering, xml};

    fn stack(channels: &str, table: &str) -> String {
        format!(
            "<DescribeStacksResponse><DescribeStacksResult><Stacks><member>\
             <StackName>glidepath</StackName><StackStatus>CREATE_COMPLETE</StackStatus>\
             <CreationTime>2026-01-01T00:00:00Z</CreationTime>\
             <Parameters><member><ParameterKey>Channels</ParameterKey>\
             <ParameterValue>{channels}</ParameterValue></member>\
             <member><ParameterKey>TaskRolePattern</ParameterKey>\
             <ParameterValue>shop-*</ParameterValue></member></Parameters>\
             <Outputs>\
             <member><OutputKey>StateMachineArn</OutputKey><OutputValue>arn:m</OutputValue></member>\
             <member><OutputKey>{table}</OutputKey><OutputValue>registry</OutputValue></member>\
             <member><OutputKey>UndeliveredQueueUrl</OutputKey><OutputValue>q</OutputValue></member>\
             <member><OutputKey>RollbackFunctionName</OutputKey><OutputValue>r</OutputValue></member>\
             </Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
        )
    }

    async fn described(answer: &str) -> PortResult<Stack> {
        describe(&answering(vec![xml(answer)]), "glidepath").await
    }

    #[tokio::test]
    async fn outputs_and_channels_are_found_by_name() {
        let channels = r#"{"team": {"sns": {"topic": "arn:t"}}}"#;
        let stack = described(&stack(channels, "TableName")).await.unwrap();
        assert_eq!((stack.table.as_str(), stack.rollback_function.as_str()), ("registry", "r"));
        assert_eq!(stack.rollback_by_hand, "r", "an older stack has no other name for it");
        let settings = stack.settings().unwrap();
        assert_eq!(settings.channels.len(), 1);
        assert_eq!(settings.task_roles.as_deref(), Some("shop-*"));
    }

    #[tokio::test]
    async fn a_policy_that_cannot_be_read_stops_a_plan_and_no_rollback() {
        let policy = "<Parameters><member><ParameterKey>ApprovalPolicy</ParameterKey>\
                      <ParameterValue>{\"count\": 2}</ParameterValue></member>";
        let answer = stack("{}", "TableName").replace("<Parameters>", policy);
        let stack = described(&answer).await.unwrap();
        let error = stack.settings().unwrap_err().to_string();
        assert!(
            error.contains("`ApprovalPolicy`") && error.contains("names no service"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn another_stack_is_refused_by_name() {
        let error = described(&stack("{}", "Table")).await.unwrap_err().to_string();
        assert!(error.contains("`glidepath` has no output `TableName`"), "{error}");
    }

    #[tokio::test]
    async fn a_url_among_the_channels_is_not_repeated_and_stops_only_who_needs_them() {
        let stack = described(&stack("https://hooks.example/secret", "TableName")).await.unwrap();
        assert_eq!(stack.rollback_function, "r");
        let error = stack.settings().unwrap_err().to_string();
        assert!(error.contains("`Channels`") && !error.contains("secret"), "{error}");
    }
}
