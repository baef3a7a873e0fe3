//! Functions of the user's own that have a say.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use glidepath_engine::ports::{Hooks, PortError, PortResult};
use serde_json::Value;

use crate::clients::Clients;
use crate::error::port_error;

const OPERATION: &str = "lambda:Invoke";

/// [`Hooks`] by Lambda functions.
#[derive(Clone, Debug)]
pub struct LambdaHooks {
    client: Client,
}

impl LambdaHooks {
    pub fn new(clients: &Clients) -> Self {
        Self { client: Client::new(clients.asking()) }
    }
}

impl Hooks for LambdaHooks {
    async fn ask(&self, function: &str, event: &Value) -> PortResult<Value> {
        let call = self.client.invoke().function_name(function);
        let answer = call.payload(Blob::new(event.to_string())).send().await;
        let answer = answer.map_err(|error| port_error(OPERATION, error))?;
        let payload = answer.payload().map_or(&[][..], |payload| payload.as_ref());
        let refused = |detail: String| PortError::Refused { operation: OPERATION, detail };
        let value = serde_json::from_slice(payload);
        if let Some(kind) = answer.function_error() {
            // What it printed is in its own log; an error message of a stranger may hold anything.
            let of = value.ok().and_then(|error: Value| {
                error["errorType"].as_str().map(|kind| kind.chars().take(60).collect::<String>())
            });
            return Err(refused(format!("the function failed: {}", of.as_deref().unwrap_or(kind))));
        }
        value.map_err(|error| refused(format!("the function did not answer with JSON: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::replay::{Answer, answering, error_of, json as answer_of};

    async fn asked(answer: Answer) -> PortResult<Value> {
        LambdaHooks::new(&answering(vec![answer])).ask("smoke", &json!({})).await
    }

    #[tokio::test]
    async fn answers_are_json_and_errors_are_named() {
        let answer = json!({ "hookStatus": "SUCCEEDED" });
        assert_eq!(asked(answer_of(&answer)).await, Ok(answer));
        let missing = error_of(404, "ResourceNotFoundException", "Function not found: smoke");
        let missing = asked(missing).await.unwrap_err();
        assert!(missing.to_string().contains("Function not found: smoke") && !missing.may_pass());
        assert!(asked(error_of(502, "ServiceException", "x")).await.unwrap_err().may_pass());
    }
}
