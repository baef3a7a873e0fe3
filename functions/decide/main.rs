//! Records what people decide: by its URL, as whoever AWS says has signed the request.

use glidepath_aws::clients::Clients;
use glidepath_aws::clock::System;
use glidepath_aws::orchestration::StepFunctions;
use glidepath_aws::registry::DynamoRegistry;
use glidepath_engine::decide::{self, Decided, Wanted};
use glidepath_engine::freeze::{self, FreezeDone, PostedBody};
use glidepath_engine::page::path_of_question;
use glidepath_engine::ports::{Adapters, Clock, Ports};
use glidepath_engine::retire;
use glidepath_functions::url::{self, UrlRequest};
use glidepath_functions::{log_as_json, serve, settings};
use serde::Serialize;
use serde_json::Value;

/// What is answered to what was posted.
#[derive(Serialize)]
#[serde(untagged)]
enum Answered {
    Decision(Decided),
    Freeze(FreezeDone),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log_as_json()?;
    let clients = Clients::in_lambda()?;
    let page = settings::question_page(&clients, &settings::text(settings::STACK)?);
    let ports = Adapters::none()
        .with_registry(DynamoRegistry::new(&clients, settings::text(settings::TABLE)?))
        .with_orchestration(StepFunctions::new(&clients))
        .with_ambient(System::default());
    serve(async |payload: Value| {
        let decided = async |UrlRequest { by, body }: UrlRequest<PostedBody>| {
            let posted = match body {
                PostedBody::Decision(posted) => posted,
                PostedBody::Freeze(posted) => {
                    return freeze::run(&ports, &posted, &by).await.map(Answered::Freeze);
                }
            };
            // Not the record: it holds the token of the pause.
            Ok(Answered::Decision(match posted.by(by)? {
                Wanted::Answer(answer) => {
                    let after = decide::run(&ports, &answer).await?;
                    Decided::answer(&answer, &after, ports.ambient().now())
                }
                Wanted::Retire { deployment, by } => {
                    let retired = retire::run(&ports, &deployment, &by).await?;
                    Decided::retirement(deployment, retired.map(|retirement| retirement.due_at))
                }
                Wanted::Link { deployment } => {
                    let shown = match &page {
                        Some(page) => {
                            let path = path_of_question(&ports, &page.links, &deployment).await?;
                            path.map(|path| page.at(&path))
                        }
                        None => None,
                    };
                    Decided::link(deployment, shown)
                }
            }))
        };
        Ok(url::answer(&payload, decided).await)
    })
    .await
}
