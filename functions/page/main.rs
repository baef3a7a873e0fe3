//! The page of a question, by a URL that is open to everybody: whoever has a link that the stack has signed sees what is
//! asked, and may answer where the plan takes an answer from whoever has the link.

use glidepath_aws::clients::Clients;
use glidepath_aws::clock::System;
use glidepath_aws::links::StackLinks;
use glidepath_aws::orchestration::StepFunctions;
use glidepath_aws::registry::DynamoRegistry;
use glidepath_core::failure::Failure;
use glidepath_core::time::Timestamp;
use glidepath_engine::decide;
use glidepath_engine::page::{Found, look};
use glidepath_engine::ports::{Adapters, Clock, Ports};
use glidepath_functions::open_url::{Asked, page, see};
use glidepath_functions::{log_as_json, serve, settings};
use glidepath_report::page::{Page, notice};
use glidepath_report::report;
use serde_json::Value;
use tracing::{info, warn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log_as_json()?;
    let clients = Clients::in_lambda()?;
    let stack = settings::text(settings::STACK)?;
    let ports = Adapters::none()
        .with_registry(DynamoRegistry::new(&clients, settings::text(settings::TABLE)?))
        .with_orchestration(StepFunctions::new(&clients))
        .with_links(StackLinks::new(&clients, settings::text(settings::PAGE_KEY)?, stack.clone()))
        .with_ambient(System::default());
    serve(async |payload: Value| {
        let (path, form) = match Asked::read(&payload) {
            Ok(Asked::Look { path }) => (path, None),
            Ok(Asked::Post { path, form }) => (path, Some(form)),
            Err(unfit) => {
                let told = notice("Nothing was recorded", &unfit.to_string());
                return Ok(page(unfit.status(), &told));
            }
        };
        let found = match look(&ports, &path).await {
            Ok(Some(found)) => found,
            Ok(None) => {
                let text = "It may have been cut off on its way, or belong to another stack. `glidepath status` shows \
                            what waits.";
                return Ok(page(404, &notice("This link leads nowhere", text)));
            }
            Err(failure) => return Ok(unanswered(&failure)),
        };
        let now = ports.ambient().now();
        let Some(form) = form else { return Ok(page(200, &shown(&found, &stack, None, now))) };
        let (decision, reason) = (form.get("decision"), form.get("reason"));
        let approved = match decision.map(String::as_str) {
            Some("approve") => true,
            Some("reject") => false,
            Some(_) | None => {
                let refused = "it was neither approved nor refused";
                return Ok(page(400, &shown(&found, &stack, Some(refused), now)));
            }
        };
        let answered = match found.answer(approved, reason.map_or("", String::as_str)) {
            Ok(answer) => decide::run(&ports, &answer).await,
            Err(failure) => Err(failure),
        };
        match answered {
            Ok(_) => {
                info!(deployment = %found.link.deployment, approved, "answered by link");
                Ok(see(&path))
            }
            // It may have been recorded, and what AWS says is for the log.
            Err(failure) if !failure.code.kind().is_answer() => Ok(unanswered(&failure)),
            Err(failure) => {
                // What it is now, which may be why.
                let found = look(&ports, &path).await.ok().flatten().unwrap_or(found);
                Ok(page(409, &shown(&found, &stack, Some(&failure.cause), now)))
            }
        }
    })
    .await
}

fn shown(found: &Found, stack: &str, refused: Option<&str>, now: Timestamp) -> String {
    let Found { link, deployment, cells } = found;
    let asked = format!("stage {} is asked for", link.stage);
    let report = cells.as_ref().map(|cells| report(deployment, cells, asked));
    Page { deployment, link, report: report.as_ref(), stack, refused, now }.html()
}

/// AWS could not be asked. What it says may be about anything, and is for the log.
fn unanswered(failure: &Failure) -> Value {
    warn!(failure.code = %failure.code, failure.cause, "could not be shown");
    let text = "Nothing is known of an answer that was just sent: load this page again. `glidepath status` shows the \
                same.";
    page(503, &notice("AWS did not answer", text))
}
