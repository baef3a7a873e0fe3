//! Delivers the outbox of a deployment, to its channels and to the audit bucket, or a message that only tries a channel
//! out.

use glidepath_aws::archive::StackArchive;
use glidepath_aws::channels::StackChannels;
use glidepath_aws::clients::Clients;
use glidepath_aws::clock::System;
use glidepath_aws::registry::DynamoRegistry;
use glidepath_engine::notify;
use glidepath_engine::ports::Adapters;
use glidepath_functions::{log_as_json, serve, settings};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log_as_json()?;
    let clients = Clients::in_lambda()?;
    let stack = settings::text(settings::STACK)?;
    let page = settings::question_page(&clients, &stack);
    let clicks = settings::given(settings::SLACK_APP);
    let bucket = settings::given(settings::AUDIT_BUCKET);
    let archive = StackArchive::new(&clients, bucket, stack.clone());
    let channels = StackChannels::new(&clients, settings::channels()?, stack);
    let channels = channels.with_page(page).with_clicks(clicks);
    let ports = Adapters::none()
        .with_registry(DynamoRegistry::new(&clients, settings::text(settings::TABLE)?))
        .with_channels(channels)
        .with_ambient(System::default())
        .with_archive(archive);
    serve(async |asked| {
        let delivered = notify::answer(&ports, &asked).await?;
        Ok(json!({ "deliveries": delivered.deliveries, "refused": delivered.refused }))
    })
    .await
}
