//! Returns everything to stable: called by the state machine, by alarm events, by the sweep and by
//! people.

use futures_util::future::join_all;
use glidepath_aws::clients::Clients;
use glidepath_aws::clock::System;
use glidepath_aws::containers::ElasticContainers;
use glidepath_aws::load_balancer::ElasticLoadBalancing;
use glidepath_aws::orchestration::StepFunctions;
use glidepath_aws::registry::DynamoRegistry;
use glidepath_core::failure::{Failure, FailureCode};
use glidepath_engine::rollback;
use glidepath_functions::trigger::{Trigger, read_trigger};
use glidepath_functions::{log_as_json, serve, settings};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log_as_json()?;
    let clients = Clients::in_lambda()?;
    let registry = DynamoRegistry::new(&clients, settings::text(settings::TABLE)?);
    let load_balancer = ElasticLoadBalancing::new(&clients);
    let containers = ElasticContainers::new(&clients);
    let orchestration = StepFunctions::new(&clients);
    let muted = settings::muted_alarms()?;
    let system = System::default();
    // Fence and route are the first calls of a rollback: neither must wait for a handshake.
    tokio::join!(registry.warm_up(), load_balancer.warm_up());
    serve(async |payload: Value| {
        let trigger = read_trigger(&payload, muted)
            .map_err(|error| Failure::new(FailureCode::Unexpected, error.to_string()))?;
        match trigger {
            Trigger::Ignored(reason) => Ok(json!({ "ignored": reason })),
            Trigger::Deployment(input) => {
                let reply = rollback::run(
                    &registry,
                    &load_balancer,
                    &containers,
                    &orchestration,
                    &system,
                    &input,
                );
                Ok(json!(reply.await?))
            }
            Trigger::Alarms(events) => {
                let stopped = join_all(events.iter().map(|event| {
                    rollback::on_alarm(&registry, &load_balancer, &orchestration, &system, event)
                }));
                let outcomes = stopped.await.into_iter().collect::<Result<Vec<_>, _>>()?;
                Ok(json!({ "stopped": format!("{outcomes:?}") }))
            }
        }
    })
    .await
}
