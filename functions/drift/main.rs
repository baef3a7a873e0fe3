//! Looks once a day whether services are as their last deployments have left them, and tells what is otherwise.

use glidepath_aws::clients::Clients;
use glidepath_aws::clock::System;
use glidepath_aws::containers::ElasticContainers;
use glidepath_aws::load_balancer::ElasticLoadBalancing;
use glidepath_aws::registry::DynamoRegistry;
use glidepath_aws::scaling::ApplicationAutoScaling;
use glidepath_engine::drift;
use glidepath_engine::ports::Adapters;
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
        .with_ambient(System::default());
    // The schedule's event says nothing that matters.
    serve(async |_: Value| {
        let told = drift::tell_of_all(&ports).await?;
        Ok(json!({ "services": told.services, "told": told.told }))
    })
    .await
}
