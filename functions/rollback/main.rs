//! Returns everything to stable: called by the state machine, by alarm events, by the sweep and by
//! people.

use futures_util::future::join_all;
use glidepath_aws::clients::Clients;
use glidepath_aws::clock::System;
use glidepath_aws::containers::ElasticContainers;
use glidepath_aws::load_balancer::ElasticLoadBalancing;
use glidepath_aws::orchestration::StepFunctions;
use glidepath_aws::registry::DynamoRegistry;
use glidepath_aws::scaling::ApplicationAutoScaling;
use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::telemetry::Measurement;
use glidepath_engine::ports::{Adapters, Telemetry};
use glidepath_engine::rollback::{self, AlarmOutcome, PostedRollback};
use glidepath_functions::telemetry::LogLines;
use glidepath_functions::trigger::{Trigger, read_trigger};
use glidepath_functions::url::{self, UrlRequest};
use glidepath_functions::{log_as_json, serve, settings};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log_as_json()?;
    let clients = Clients::in_lambda()?;
    let ports = Adapters::none()
        .with_registry(
            DynamoRegistry::new(&clients, settings::text(settings::TABLE)?).without_freezes(),
        )
        .with_load_balancer(ElasticLoadBalancing::new(&clients))
        .with_containers(ElasticContainers::new(&clients))
        .with_scaling(ApplicationAutoScaling::new(&clients))
        .with_orchestration(StepFunctions::new(&clients))
        .with_ambient(System::default());
    let muted = settings::muted_alarms()?;
    let telemetry = LogLines::from_environment();
    // Fence and route are the first calls of a rollback: neither must wait for a handshake.
    tokio::join!(ports.registry.warm_up(), ports.load_balancer.warm_up());
    serve(async |payload: Value| {
        if url::is_request(&payload) {
            let asked = async |UrlRequest { by, body }: UrlRequest<PostedRollback>| {
                rollback::run(&ports, &body.by(by)).await
            };
            return Ok(url::answer(&payload, asked).await);
        }
        let trigger = read_trigger(&payload, muted)
            .map_err(|error| Failure::new(FailureCode::Unexpected, error.to_string()))?;
        match trigger {
            Trigger::Ignored(reason) => Ok(json!({ "ignored": reason })),
            Trigger::Deployment(input) => Ok(json!(rollback::run(&ports, &input).await?)),
            Trigger::Alarms(events) => {
                let stopped = events.iter().map(|event| rollback::on_alarm(&ports, event));
                let outcomes = join_all(stopped).await;
                // Once everything is written.
                for (event, outcome) in events.iter().zip(&outcomes) {
                    if let Ok(AlarmOutcome { restored_at: Some(at), .. }) = outcome {
                        telemetry.tell(&Measurement::of_rollback(at.since(event.at)));
                    }
                }
                let outcomes = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
                Ok(json!({ "stopped": format!("{outcomes:?}") }))
            }
        }
    })
    .await
}
