//! Asking other functions of the stack to start, without waiting for them.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use glidepath_core::failure::FailureCode;
use glidepath_core::ids::DeploymentId;
use glidepath_core::record::FenceTrigger;
use glidepath_engine::ports::{Due, Functions, PortError, PortResult};
use serde_json::{Value, json};

use crate::clients::Clients;
use crate::error::port_error;

/// Names or ARNs of the functions that the sweep starts.
#[derive(Clone, Debug)]
pub struct FunctionNames {
    pub rollback: String,
    pub complete: String,
    pub validate: String,
    pub notify: String,
}

/// [`Functions`] by asynchronous invocation.
#[derive(Clone, Debug)]
pub struct LambdaFunctions {
    client: Client,
    names: FunctionNames,
}

impl LambdaFunctions {
    pub fn new(clients: &Clients, names: FunctionNames) -> Self {
        Self { client: Client::new(clients.reading()), names }
    }

    async fn start(&self, function: &str, payload: &Value) -> PortResult<()> {
        self.client
            .invoke()
            .function_name(function)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(payload.to_string()))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| port_error("lambda:Invoke", error))
    }
}

impl Functions for LambdaFunctions {
    async fn start_rollback(&self, deployment: &DeploymentId) -> PortResult<()> {
        self.start(&self.names.rollback, &rollback_of(deployment)).await
    }

    async fn start_completion(&self, due: &Due) -> PortResult<()> {
        self.start(&self.names.complete, &completion_of(due)?).await
    }

    async fn start_validation(&self, deployment: &DeploymentId) -> PortResult<()> {
        self.start(&self.names.validate, &json!({ "deployment": deployment })).await
    }

    async fn start_delivery(&self, deployment: &DeploymentId) -> PortResult<()> {
        self.start(&self.names.notify, &json!({ "deployment": deployment })).await
    }
}

/// What `rollback` is handed for a deployment that nobody carries.
fn rollback_of(deployment: &DeploymentId) -> Value {
    json!({
        "deployment": deployment,
        "error": {
            "name": FailureCode::OrchestrationLost.name(),
            "cause": "nothing carried the deployment on when its next step was due",
        },
        "by": FenceTrigger::Sweep,
    })
}

/// What `complete` is handed.
fn completion_of(due: &Due) -> PortResult<Value> {
    match due {
        Due::Deployment(deployment) => Ok(json!({ "deployment": deployment })),
        Due::Retirement(key) => Ok(json!({ "retirement": key })),
        Due::Notices(deployment) => Err(PortError::Refused {
            operation: "lambda:Invoke",
            detail: format!("notices of `{deployment}` are delivered, not completed"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use glidepath_core::record::LockKey;
    use glidepath_engine::complete::CompleteInput;
    use glidepath_engine::rollback::RollbackInput;

    use super::*;

    #[test]
    fn the_functions_understand_what_they_are_handed() {
        let deployment = DeploymentId::new("d-1");
        let rollback: RollbackInput = serde_json::from_value(rollback_of(&deployment)).unwrap();
        assert_eq!(rollback.by, Some(FenceTrigger::Sweep));
        assert_eq!(rollback.error.unwrap().name, "OrchestrationLost");

        let completed = completion_of(&Due::Deployment(deployment.clone())).unwrap();
        let completed: CompleteInput = serde_json::from_value(completed).unwrap();
        assert!(matches!(completed, CompleteInput::Deployment(id) if id == deployment));

        let retired = LockKey::from_text("service#c/s");
        let input = completion_of(&Due::Retirement(retired.clone())).unwrap();
        let input: CompleteInput = serde_json::from_value(input).unwrap();
        assert!(matches!(input, CompleteInput::Retirement(key) if key == retired));
    }
}
