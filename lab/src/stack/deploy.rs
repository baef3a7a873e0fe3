//! Packaging and deploying templates.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_cloudformation::types::{Capability, Parameter, Stack, StackStatus};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::clients::Clients;
use crate::error::{Doing, LabError, LabResult};
use crate::local_aws::{LocalAws, REGION, ROOT_KEY};
use crate::paths::Paths;

const BUCKET: &str = "glidepath-artifacts";
const DEPLOY_LIMIT: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(100);

/// Does what `sam build` and `sam package` do; answers the packaged template.
pub(super) async fn package(paths: &Paths, aws: &LocalAws) -> LabResult<String> {
    let output = Command::new(paths.python())
        .args(["-m", "local_aws.package", "--bucket", BUCKET, "--endpoint", aws.endpoint()])
        .arg("--template")
        .arg(paths.template())
        .arg("--binaries")
        .arg(paths.functions())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", aws.directory())
        .env("PYTHONPATH", paths.python_path())
        .env("PYTHONPYCACHEPREFIX", paths.own().join("pycache"))
        .env("AWS_ACCESS_KEY_ID", ROOT_KEY)
        .env("AWS_SECRET_ACCESS_KEY", ROOT_KEY)
        .env("AWS_DEFAULT_REGION", REGION)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .doing("packaging template.yaml")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(LabError::new(format!(
            "packaging template.yaml failed:\n{}",
            errors.trim_end()
        )));
    }
    String::from_utf8(output.stdout).doing("packaging template.yaml")
}

/// Creates a stack, waits until it stands, and answers its outputs.
pub(super) async fn stack(
    clients: &Clients,
    name: &str,
    template: &str,
    parameters: &[(&str, String)],
) -> LabResult<BTreeMap<String, String>> {
    let doing = format!("deploying the stack `{name}`");
    let parameters = parameters
        .iter()
        .map(|(key, value)| Parameter::builder().parameter_key(*key).parameter_value(value).build())
        .collect();
    clients
        .cloudformation
        .create_stack()
        .stack_name(name)
        .template_body(template)
        .set_parameters(Some(parameters))
        .capabilities(Capability::CapabilityIam)
        .capabilities(Capability::CapabilityNamedIam)
        .capabilities(Capability::CapabilityAutoExpand)
        .send()
        .await
        .doing(&doing)?;
    let deadline = Instant::now() + DEPLOY_LIMIT;
    loop {
        let described =
            clients.cloudformation.describe_stacks().stack_name(name).send().await.doing(&doing)?;
        let stack = described.stacks().first();
        match stack.and_then(Stack::stack_status) {
            Some(StackStatus::CreateComplete) => return Ok(outputs(stack)),
            Some(StackStatus::CreateInProgress) | None if Instant::now() < deadline => {
                sleep(POLL).await;
            }
            status => {
                let reasons = failures(clients, name).await;
                let status = status.map_or("unknown", StackStatus::as_str);
                return Err(LabError::new(format!("{doing} ended as {status}\n{reasons}")));
            }
        }
    }
}

fn outputs(stack: Option<&Stack>) -> BTreeMap<String, String> {
    let outputs = stack.map(Stack::outputs).unwrap_or_default();
    outputs
        .iter()
        .filter_map(|output| {
            Some((output.output_key()?.to_owned(), output.output_value()?.to_owned()))
        })
        .collect()
}

async fn failures(clients: &Clients, name: &str) -> String {
    let Ok(events) = clients.cloudformation.describe_stack_events().stack_name(name).send().await
    else {
        return String::new();
    };
    let failed = events.stack_events().iter().filter(|event| {
        event.resource_status().is_some_and(|status| status.as_str().ends_with("_FAILED"))
    });
    failed
        .map(|event| {
            format!(
                "  {}: {}",
                event.logical_resource_id().unwrap_or("?"),
                event.resource_status_reason().unwrap_or("no reason given")
            )
        })
        .collect::<Vec<_>>()
        .join("\n")
}
