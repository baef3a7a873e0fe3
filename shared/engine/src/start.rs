//! Starts a deployment as somebody whom AWS has recognised. Who it is is recorded first: the plan may
//! read it as soon as the execution runs.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::record::Start;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failed;
use crate::ports::{Begun, Clock, Ports, Registry, Starting};

/// What is posted to the function `start`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PostedStart {
    /// The execution's name.
    pub deployment: DeploymentId,
    /// The execution's input. What is wrong with it the plan says.
    pub request: Value,
}

/// Records who wants it and starts the execution; again, nothing changes while it runs.
pub async fn run<P>(ports: &P, by: &str, posted: PostedStart) -> Result<Begun, Failure>
where
    P: Ports<Registry: Registry, Orchestration: Starting, Ambient: Clock>,
{
    let PostedStart { deployment, request } = posted;
    DeploymentId::of_execution(deployment.as_str()).map_err(|why| {
        Failure::new(FailureCode::InvalidRequest, format!("{why}; nothing was started"))
    })?;
    let at = ports.ambient().now();
    let start = Start { deployment, by: by.to_owned(), request, at };
    let stored = ports.registry().store_start(&start).await;
    stored.map_err(|error| failed(&error))?;
    let begun = ports.orchestration().start(&start.deployment, &start.request).await;
    begun.map_err(|error| failed(&error))?.ok_or_else(|| {
        let cause = format!(
            "there was an execution `{}` before; nothing was started: give this one a name of its own",
            start.deployment
        );
        Failure::new(FailureCode::NameUsed, cause)
    })
}
