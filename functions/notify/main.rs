//! Delivers the outbox of a deployment, or a message that only tries a channel out.

use glidepath_aws::channels::{QuestionPage, StackChannels};
use glidepath_aws::clients::Clients;
use glidepath_aws::clock::System;
use glidepath_aws::links::StackLinks;
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
    // While a stack is updated the new code may meet the old environment.
    let page = match (settings::text(settings::PAGE_URL), settings::text(settings::PAGE_KEY)) {
        (Ok(url), Ok(key)) if !url.is_empty() => {
            Some(QuestionPage { url, links: StackLinks::new(&clients, key, stack.clone()) })
        }
        _ => None,
    };
    let clicks = settings::text(settings::SLACK_APP).ok().filter(|secret| !secret.is_empty());
    let channels = StackChannels::new(&clients, settings::channels()?, stack);
    let channels = channels.with_page(page).with_clicks(clicks);
    let ports = Adapters::none()
        .with_registry(DynamoRegistry::new(&clients, settings::text(settings::TABLE)?))
        .with_channels(channels)
        .with_ambient(System::default());
    serve(async |asked| {
        let delivered = notify::answer(&ports, &asked).await?;
        Ok(json!({ "deliveries": delivered.deliveries, "refused": delivered.refused }))
    })
    .await
}
