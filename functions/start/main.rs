//! Starts deployments: by its URL, as whoever AWS says has signed the request.

use glidepath_aws::clients::Clients;
use glidepath_aws::clock::System;
use glidepath_aws::orchestration::StateMachine;
use glidepath_aws::registry::DynamoRegistry;
use glidepath_engine::ports::Adapters;
use glidepath_engine::start::{self, PostedStart};
use glidepath_functions::url::{self, UrlRequest};
use glidepath_functions::{log_as_json, serve, settings};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log_as_json()?;
    let clients = Clients::in_lambda()?;
    let ports = Adapters::none()
        .with_registry(
            DynamoRegistry::new(&clients, settings::text(settings::TABLE)?).without_freezes(),
        )
        .with_orchestration(StateMachine::new(&clients, settings::text(settings::STATE_MACHINE)?))
        .with_ambient(System::default());
    serve(async |payload: Value| {
        let asked = async |UrlRequest { by, body }: UrlRequest<PostedStart>| {
            start::run(&ports, &by, body).await
        };
        Ok(url::answer(&payload, asked).await)
    })
    .await
}
