//! Gathers evidence and judges.

use glidepath_aws::clients::Clients;
use glidepath_aws::clock::System;
use glidepath_aws::containers::ElasticContainers;
use glidepath_aws::hooks::LambdaHooks;
use glidepath_aws::load_balancer::ElasticLoadBalancing;
use glidepath_aws::monitoring::CloudWatch;
use glidepath_aws::registry::DynamoRegistry;
use glidepath_engine::validate;
use glidepath_functions::{log_as_json, serve, settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log_as_json()?;
    let clients = Clients::in_lambda()?;
    let registry = DynamoRegistry::new(&clients, settings::text(settings::TABLE)?);
    let load_balancer = ElasticLoadBalancing::new(&clients);
    let containers = ElasticContainers::new(&clients);
    let monitoring = CloudWatch::new(&clients, settings::publication()?);
    let hooks = LambdaHooks::new(&clients);
    let system = System::default();
    serve(async |input| {
        validate::run(&registry, &load_balancer, &containers, &monitoring, &hooks, &system, &input)
            .await
    })
    .await
}
