//! Packaging and deploying templates.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_cloudformation::types::{Capability, Parameter, Stack, StackStatus};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::clients::Clients;
use crate::error::{Doing, LabError, LabResult};
use crate::local_aws::{LocalAws, REGION, ROOT_KEY};
use crate::paths::Paths;
use crate::source::Source;

const CAPABILITIES: [Capability; 3] =
    [Capability::CapabilityIam, Capability::CapabilityNamedIam, Capability::CapabilityAutoExpand];
const BUCKET: &str = "glidepath-artifacts";
/// Most bytes of a template that CloudFormation takes in a call.
const LARGEST_BODY: usize = 51_200;
const DEPLOY_LIMIT: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(100);

/// Does what `sam build` and `sam package` do, into a bucket of one local AWS.
#[derive(Clone, Debug)]
pub(super) struct Packager {
    paths: Paths,
    endpoint: String,
    home: PathBuf,
}

impl Packager {
    pub(super) fn new(paths: &Paths, aws: &LocalAws) -> Self {
        let (endpoint, home) = (aws.endpoint().to_owned(), aws.directory().to_owned());
        Self { paths: paths.clone(), endpoint, home }
    }

    /// The packaged template, which says that it is of another version if that is given.
    pub(super) async fn package(
        &self,
        source: &Source,
        as_version: Option<&str>,
    ) -> LabResult<String> {
        let doing = format!("packaging {}", source.template.display());
        let mut command = Command::new(self.paths.python());
        command
            .args(["-m", "local_aws.package", "--bucket", BUCKET, "--endpoint", &self.endpoint])
            .arg("--template")
            .arg(&source.template)
            .arg("--binaries")
            .arg(&source.functions);
        if let Some(version) = as_version {
            command.args(["--as-version", version]);
        }
        let output = command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("PYTHONPATH", self.paths.python_path())
            .env("PYTHONPYCACHEPREFIX", self.paths.own().join("pycache"))
            .env("AWS_ACCESS_KEY_ID", ROOT_KEY)
            .env("AWS_SECRET_ACCESS_KEY", ROOT_KEY)
            .env("AWS_DEFAULT_REGION", REGION)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .doing(&doing)?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(LabError::new(format!("{doing} failed:\n{}", errors.trim_end())));
        }
        String::from_utf8(output.stdout).doing(&doing)
    }
}

/// Creates a stack, waits until it stands, and answers its outputs.
pub(super) async fn stack(
    clients: &Clients,
    name: &str,
    template: &str,
    parameters: &[(&str, String)],
) -> LabResult<BTreeMap<String, String>> {
    let doing = format!("deploying the stack `{name}`");
    let (body, url) = handed_over(template);
    let create = clients.cloudformation.create_stack().stack_name(name);
    let create = create.set_template_body(body).set_template_url(url);
    let create = create.set_parameters(Some(taken(template, parameters)?));
    create.set_capabilities(Some(CAPABILITIES.to_vec())).send().await.doing(&doing)?;
    until_done(clients, name, &doing).await
}

/// Updates a stack to another template with the same parameters, and waits until that is done.
pub(super) async fn update(
    clients: &Clients,
    name: &str,
    template: &str,
    parameters: &[(&str, String)],
) -> LabResult<()> {
    let doing = format!("updating the stack `{name}`");
    let (body, url) = handed_over(template);
    let update = clients.cloudformation.update_stack().stack_name(name);
    let update = update.set_template_body(body).set_template_url(url);
    let update = update.set_parameters(Some(taken(template, parameters)?));
    update.set_capabilities(Some(CAPABILITIES.to_vec())).send().await.doing(&doing)?;
    until_done(clients, name, &doing).await.map(|_| ())
}

/// A template as the call has it, or where it is: a packaged one is in the bucket.
fn handed_over(template: &str) -> (Option<String>, Option<String>) {
    let template = template.trim_end();
    if template.len() <= LARGEST_BODY {
        return (Some(template.to_owned()), None);
    }
    let digest = Sha256::digest(template);
    let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let url = format!("https://s3.{REGION}.amazonaws.com/{BUCKET}/templates/{name}.json");
    (None, Some(url))
}

/// Those of the parameters that the template has: CloudFormation refuses others, and a template of
/// another version may lack some.
fn taken(template: &str, parameters: &[(&str, String)]) -> LabResult<Vec<Parameter>> {
    let template: Value = serde_json::from_str(template).doing("reading a packaged template")?;
    let taken = parameters.iter().filter(|(key, _)| template["Parameters"].get(key).is_some());
    let parameter = |(key, value): &(&str, String)| {
        Parameter::builder().parameter_key(*key).parameter_value(value).build()
    };
    Ok(taken.map(parameter).collect())
}

async fn until_done(
    clients: &Clients,
    name: &str,
    doing: &str,
) -> LabResult<BTreeMap<String, String>> {
    let deadline = Instant::now() + DEPLOY_LIMIT;
    loop {
        let described =
            clients.cloudformation.describe_stacks().stack_name(name).send().await.doing(doing)?;
        let stack = described.stacks().first();
        match stack.and_then(Stack::stack_status) {
            Some(StackStatus::CreateComplete | StackStatus::UpdateComplete) => {
                return Ok(outputs(stack));
            }
            Some(
                StackStatus::CreateInProgress
                | StackStatus::UpdateInProgress
                | StackStatus::UpdateCompleteCleanupInProgress,
            )
            | None
                if Instant::now() < deadline =>
            {
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
