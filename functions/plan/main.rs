//! Checks the request, then takes locks, deployment and alarm bindings in one transaction.

use glidepath_aws::clients::Clients;
use glidepath_aws::clock::System;
use glidepath_aws::containers::ElasticContainers;
use glidepath_aws::load_balancer::ElasticLoadBalancing;
use glidepath_aws::monitoring::{CloudWatch, Publication};
use glidepath_aws::registry::DynamoRegistry;
use glidepath_aws::repositories::ElasticContainerRegistry;
use glidepath_aws::scaling::ApplicationAutoScaling;
use glidepath_core::preflight::StackSettings;
use glidepath_engine::plan;
use glidepath_engine::ports::Adapters;
use glidepath_functions::{log_as_json, serve_sparingly, settings};

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
        .with_repositories(ElasticContainerRegistry::new(&clients))
        .with_monitoring(CloudWatch::new(&clients, Publication::default()))
        .with_ambient(System::default());
    let channels = settings::listening()?;
    // While a stack is updated the new code may meet the old environment; without a pattern nothing is
    // said of roles.
    let task_roles = settings::text(settings::TASK_ROLES).ok();
    let approvals = settings::approval_policy()?;
    let stack = StackSettings { channels, task_roles, approvals };
    serve_sparingly(async |input| plan::run(&ports, &stack, &input).await).await
}
