//! People who approve and refuse, through the command that notices tell them to use.

use std::collections::BTreeMap;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Map, Value};
use tempfile::NamedTempFile;
use tokio::process::Command;
use tokio::time::timeout;

use crate::clients::Person;
use crate::error::{Doing, LabError, LabResult};
use crate::local_aws::REGION;
use crate::paths::Paths;
use crate::scenario::{CommandLine, complete_request, substituted};
use crate::scene::{Running, Scene};
use crate::stack::{CHANNELS, STACK_NAME, ServiceResources};

/// `start --wait` waits for a deployment; the scenario has a limit of its own.
const LIMIT: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Approve,
    Reject,
}

/// Runs `glidepath approve|reject DEPLOYMENT`, or `promote` where somebody says yes to a stage that
/// lacks evidence: that is the command which its message names.
pub(crate) async fn answer(
    scene: &Scene,
    deployment: &Running,
    answer: Answer,
    reason: Option<&str>,
) -> LabResult<()> {
    // As the question names it: whoever approves has read which stage it is about.
    let shown =
        command_line(&scene.endpoint, &Person::root(), &["status", deployment.id(), "--json"])
            .await?;
    let shown: serde_json::Value = serde_json::from_str(&shown).doing("reading the status")?;
    let stage = shown["stage"]["number"].to_string();
    let asked = shown["approval"].is_object();
    let (verb, reason) = match answer {
        Answer::Approve if !asked => ("promote", reason.or(Some("looked at it"))),
        Answer::Approve => ("approve", reason),
        Answer::Reject => ("reject", reason),
    };
    let mut arguments = vec![verb, deployment.id(), "--stage", &stage];
    if let Some(reason) = reason {
        arguments.extend(["--reason", reason]);
    }
    command_line(&scene.endpoint, &Person::root(), &arguments).await.map(|_| ())
}

/// Runs a command of the script; an error if it does not end as the script says.
pub(crate) async fn run(scene: &Scene, wanted: &CommandLine) -> LabResult<()> {
    let file = wanted.request.as_ref().map(|request| request_file(scene, request)).transpose()?;
    let path = file.as_ref().map(|file| file.path().to_string_lossy().into_owned());
    let deployments = scene.state().deployments.clone();
    let ids =
        deployments.iter().map(|(name, running)| (format!("deployment.{name}"), running.id()));
    let created = scene.services.values().flat_map(ServiceResources::placeholders);
    let path = path.iter().map(|path| ("request.file".to_owned(), path.as_str()));
    let placeholders: BTreeMap<String, &str> = created.chain(ids).chain(path).collect();
    let resolved = |texts: &[String]| {
        let texts = texts.iter().map(|text| substituted(text, &placeholders));
        let texts = texts.collect::<Result<Vec<_>, _>>();
        texts.map_err(|error| LabError::new(error.to_string()))
    };
    let (arguments, says) = (resolved(&wanted.run)?, resolved(&wanted.says)?);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = execute(&scene.endpoint, &Person::root(), &arguments).await?;
    let printed = |stream: &[u8]| String::from_utf8_lossy(stream).trim().to_owned();
    let printed = format!("{}\n{}", printed(&output.stdout), printed(&output.stderr));
    let unsaid: Vec<_> = says.iter().filter(|text| !printed.contains(*text)).collect();
    if output.status.code() == Some(wanted.exit_code) && unsaid.is_empty() {
        return Ok(());
    }
    Err(LabError::new(format!(
        "glidepath {} ended with {} (wanted: exit code {}) and did not say {unsaid:?}: {}",
        arguments.join(" "),
        output.status,
        wanted.exit_code,
        printed.trim()
    )))
}

/// Goes when it is dropped.
fn request_file(scene: &Scene, request: &Map<String, Value>) -> LabResult<NamedTempFile> {
    let doing = "writing the request for the command line";
    let complete = complete_request(request, &scene.services, &CHANNELS)
        .map_err(|error| LabError::new(error.to_string()))?;
    let file = tempfile::Builder::new().suffix(".json").tempfile().doing(doing)?;
    std::fs::write(file.path(), complete.to_string()).doing(doing)?;
    Ok(file)
}

/// Runs `glidepath` as a person would; what it prints.
pub(crate) async fn command_line(
    endpoint: &str,
    person: &Person,
    arguments: &[&str],
) -> LabResult<String> {
    let output = execute(endpoint, person, arguments).await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(LabError::new(format!("glidepath {} failed: {}", arguments.join(" "), errors.trim())))
}

async fn execute(endpoint: &str, person: &Person, arguments: &[&str]) -> LabResult<Output> {
    let doing = format!("glidepath {}", arguments.join(" "));
    let mut command = command(endpoint, person, arguments);
    timeout(LIMIT, command.output()).await.doing(&doing)?.doing(&doing)
}

/// `glidepath` as a person would start it.
pub(crate) fn command(endpoint: &str, person: &Person, arguments: &[&str]) -> Command {
    let mut command = Command::new(Paths::new().command_line());
    command
        .args(arguments)
        .env_clear()
        .env("GLIDEPATH_STACK", STACK_NAME)
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", &person.key)
        .env("AWS_SECRET_ACCESS_KEY", &person.secret)
        .envs(person.token.iter().map(|token| ("AWS_SESSION_TOKEN", token)))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}
