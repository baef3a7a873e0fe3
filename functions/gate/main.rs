//! Stores the token of a pause.

use glidepath_aws::clients::Clients;
use glidepath_aws::clock::System;
use glidepath_aws::registry::DynamoRegistry;
use glidepath_engine::gate;
use glidepath_engine::ports::Adapters;
use glidepath_functions::{log_as_json, serve, settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log_as_json()?;
    let clients = Clients::in_lambda()?;
    let ports = Adapters::none()
        .with_registry(DynamoRegistry::new(&clients, settings::text(settings::TABLE)?))
        .with_ambient(System::default());
    serve(async |input| gate::run(&ports, &input).await).await
}
