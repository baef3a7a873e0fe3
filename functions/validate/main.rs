//! Gathers evidence and judges.

use glidepath_aws::clients::Clients;
use glidepath_aws::clock::System;
use glidepath_aws::containers::ElasticContainers;
use glidepath_aws::hooks::LambdaHooks;
use glidepath_aws::load_balancer::ElasticLoadBalancing;
use glidepath_aws::monitoring::CloudWatch;
use glidepath_aws::probing::HttpProbing;
use glidepath_aws::registry::DynamoRegistry;
use glidepath_aws::scaling::ApplicationAutoScaling;
use glidepath_engine::ports::Adapters;
use glidepath_engine::validate;
use glidepath_functions::telemetry::LogLines;
use glidepath_functions::{log_as_json, serve, settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log_as_json()?;
    let clients = Clients::in_lambda()?;
    let ports = Adapters::none()
        .with_registry(DynamoRegistry::new(&clients, settings::text(settings::TABLE)?))
        .with_load_balancer(ElasticLoadBalancing::new(&clients))
        .with_containers(ElasticContainers::new(&clients))
        .with_scaling(ApplicationAutoScaling::new(&clients))
        .with_monitoring(CloudWatch::new(&clients, settings::publication()?))
        .with_hooks(LambdaHooks::new(&clients))
        .with_probing(HttpProbing::default())
        .with_telemetry(LogLines::from_environment())
        .with_ambient(System::default());
    serve(async |input| validate::run(&ports, &input).await).await
}
