//! Looks after everything whose time has come.

use glidepath_aws::clients::Clients;
use glidepath_aws::clock::System;
use glidepath_aws::functions::{FunctionNames, LambdaFunctions};
use glidepath_aws::registry::DynamoRegistry;
use glidepath_engine::ports::Adapters;
use glidepath_engine::sweep;
use glidepath_functions::telemetry::LogLines;
use glidepath_functions::{log_as_json, serve, settings};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log_as_json()?;
    let clients = Clients::in_lambda()?;
    let names = FunctionNames {
        rollback: settings::text(settings::ROLLBACK_FUNCTION)?,
        complete: settings::text(settings::COMPLETE_FUNCTION)?,
        validate: settings::text(settings::VALIDATE_FUNCTION)?,
        notify: settings::text(settings::NOTIFY_FUNCTION)?,
    };
    let ports = Adapters::none()
        .with_registry(
            DynamoRegistry::new(&clients, settings::text(settings::TABLE)?).without_freezes(),
        )
        .with_functions(LambdaFunctions::new(&clients, names))
        .with_telemetry(LogLines::from_environment())
        .with_ambient(System::default());
    // The schedule's event says nothing that matters.
    serve(async |_: Value| {
        let swept = sweep::run(&ports).await?;
        Ok(json!({
            "rolledBack": swept.rolled_back,
            "completed": swept.completed,
            "validated": swept.validated,
            "delivered": swept.delivered,
        }))
    })
    .await
}
