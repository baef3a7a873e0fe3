//! Gathers evidence and judges.

use glidepath_aws::clients::Clients;
use glidepath_aws::clock::System;
use glidepath_aws::containers::ElasticContainers;
use glidepath_aws::hooks::LambdaHooks;
use glidepath_aws::load_balancer::ElasticLoadBalancing;
use glidepath_aws::monitoring::CloudWatch;
use glidepath_aws::probing::HttpProbing;
use glidepath_aws::registry::DynamoRegistry;
use glidepath_engine::validate;
use glidepath_functions::{log_as_json, serve, settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log_as_json()?;
    let clients = Clients::in_lambda()?;
    let registry = DynamoRegistry::new(&clients, settings::text(settings::TABLE)?);
    let sources = validate::Sources {
        load_balancer: &ElasticLoadBalancing::new(&clients),
        containers: &ElasticContainers::new(&clients),
        monitoring: &CloudWatch::new(&clients, settings::publication()?),
        hooks: &LambdaHooks::new(&clients),
        probing: &HttpProbing::default(),
    };
    let system = System::default();
    serve(async |input| validate::run(&registry, &sources, &system, &input).await).await
}
