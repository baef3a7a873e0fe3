//! Task definitions as ECS writes them, for whoever registers one from another: the SDK knows the members that there
//! were when it was made, and drops every other one without a word.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_ecs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ecs::types::TaskDefinitionField;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_types::body::SdkBody;
use glidepath_engine::ports::{PortError, PortResult};
use serde_json::Value;

use crate::clients::Clients;
use crate::error::{code, incomplete, port_error};

const DESCRIBE: &str = "ecs:DescribeTaskDefinition";
const REGISTER: &str = "ecs:RegisterTaskDefinition";

/// What ECS answers, with every member that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The member `taskDefinition`.
    pub document: Value,
    /// The member `tags`, which stands beside it.
    pub tags: Vec<Value>,
}

/// Reads and registers them.
#[derive(Clone, Debug)]
pub struct TaskDefinitions {
    reading: Client,
    writing: Client,
}

impl TaskDefinitions {
    pub fn new(clients: &Clients) -> Self {
        Self { reading: Client::new(clients.reading()), writing: Client::new(clients.writing()) }
    }

    /// One by its ARN or as `family:revision`; by a family the newest active revision. `None`: there is none.
    pub async fn describe(&self, name: &str) -> PortResult<Option<Described>> {
        let body = Body::default();
        let call = self.reading.describe_task_definition().task_definition(name);
        // Otherwise they are not in the answer, and lost.
        let call = call.include(TaskDefinitionField::Tags);
        match call.customize().interceptor(body.clone()).send().await {
            Ok(_) => body.described(DESCRIBE).map(Some),
            // What ECS answers when there is no such family or revision.
            Err(error) if code(&error) == Some("ClientException") => Ok(None),
            Err(error) => Err(port_error(DESCRIBE, error)),
        }
    }

    /// Registers what the document says, as it says it. Not repeated: each time makes another revision. The
    /// answer is its ARN.
    pub async fn register(&self, document: &Value) -> PortResult<String> {
        let written = document.to_string();
        let call = self.writing.register_task_definition().customize();
        // Before it is signed.
        let call = call.mutate_request(move |request| {
            request.headers_mut().insert("content-length", written.len().to_string());
            *request.body_mut() = SdkBody::from(written.as_str());
        });
        let registered = call.send().await.map_err(|error| port_error(REGISTER, error))?;
        let arn = registered.task_definition().and_then(|found| found.task_definition_arn());
        arn.map(str::to_owned).ok_or_else(|| incomplete(REGISTER, "taskDefinitionArn"))
    }
}

/// Keeps the answer that the SDK has read.
#[derive(Clone, Debug, Default)]
struct Body(Arc<Mutex<Vec<u8>>>);

impl Intercept for Body {
    fn name(&self) -> &'static str {
        "Body"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let bytes = context.response().body().bytes().unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bytes.to_vec();
        Ok(())
    }
}

impl Body {
    fn described(&self, operation: &'static str) -> PortResult<Described> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer: Value = serde_json::from_slice(&bytes).map_err(|error| {
            let detail = format!("the answer cannot be read: {error}");
            PortError::Refused { operation, detail }
        })?;
        let document = answer.get("taskDefinition").cloned();
        let document = document.ok_or_else(|| incomplete(operation, "taskDefinition"))?;
        let tags = answer.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(Described { document, tags })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::replay;

    #[tokio::test]
    async fn what_the_sdk_does_not_know_is_read_and_written() {
        let arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:7";
        let document = json!({
            "taskDefinitionArn": arn, "family": "shop", "revision": 7, "registeredAt": 1764374400.123,
            "containerDefinitions": [{ "name": "web", "image": "app:1", "brandNew": { "deep": [1, 2] } }],
            "trustedExecutionConfiguration": { "isolationMode": "ISOLATED_SANDBOX" },
        });
        let tags = json!([{ "key": "team", "value": "payments" }]);
        let answer = json!({ "taskDefinition": document, "tags": tags });
        let written = json!({ "taskDefinition": { "taskDefinitionArn": format!("{arn}0") } });
        let answers = vec![replay::json(&answer), replay::json(&written)];
        let (clients, replay) = replay::watched(answers);
        let definitions = TaskDefinitions::new(&clients);
        let found = definitions.describe("shop").await.unwrap().unwrap();
        let tags = tags.as_array().unwrap().clone();
        assert_eq!(found, Described { document: document.clone(), tags });

        assert_eq!(definitions.register(&document).await.unwrap(), format!("{arn}0"));
        let requests: Vec<_> = replay.actual_requests().collect();
        let asked: Value = serde_json::from_slice(requests[0].body().bytes().unwrap()).unwrap();
        assert_eq!(asked, json!({ "taskDefinition": "shop", "include": ["TAGS"] }));
        let sent = requests[1].body().bytes().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(sent).unwrap(), document);
        let header = |name: &str| requests[1].headers().get(name).unwrap_or_default().to_owned();
        assert_eq!(header("content-length"), sent.len().to_string());
        assert!(header("x-amz-target").ends_with(".RegisterTaskDefinition"));
        // The hash of what is sent is a part of what is signed.
        assert!(header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=id/"));
    }

    #[tokio::test]
    async fn none_is_no_error_and_a_registration_is_tried_once() {
        let none = replay::error_of(400, "ClientException", "Unable to describe task definition.");
        let busy = replay::error_of(500, "ServerException", "busy");
        let (clients, replay) = replay::watched(vec![none, busy]);
        let definitions = TaskDefinitions::new(&clients);
        assert_eq!(definitions.describe("shop:9").await, Ok(None));
        let failed = definitions.register(&json!({})).await.unwrap_err();
        assert!(failed.may_pass(), "{failed}");
        assert_eq!(replay.actual_requests().count(), 2);
    }
}
