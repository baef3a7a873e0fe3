//! People who approve and refuse, through the command that notices tell them to use.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::error::{Doing, LabError, LabResult};
use crate::local_aws::{REGION, ROOT_KEY};
use crate::paths::Paths;
use crate::scene::{Running, Scene};
use crate::stack::STACK_NAME;

const LIMIT: Duration = Duration::from_secs(30);

/// What a person can answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// Go on.
    Approve,
    /// Go back.
    Reject,
}

/// Runs `glidepath approve|reject DEPLOYMENT`.
pub(crate) async fn answer(
    scene: &Scene,
    deployment: &Running,
    answer: Answer,
    reason: Option<&str>,
) -> LabResult<()> {
    let verb = match answer {
        Answer::Approve => "approve",
        Answer::Reject => "reject",
    };
    let mut arguments = vec![verb, deployment.id()];
    if let Some(reason) = reason {
        arguments.extend(["--reason", reason]);
    }
    command_line(&scene.endpoint, &arguments).await.map(|_| ())
}

/// `glidepath` as a person would start it, with the keys of a user or of the account's root user.
pub(crate) fn command(endpoint: &str, keys: Option<(&str, &str)>, arguments: &[&str]) -> Command {
    let (id, secret) = keys.unwrap_or((ROOT_KEY, ROOT_KEY));
    let mut command = Command::new(Paths::new().command_line());
    command
        .args(arguments)
        .env_clear()
        .env("GLIDEPATH_STACK", STACK_NAME)
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", id)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs `glidepath` as a person would; what it prints.
pub(crate) async fn command_line(endpoint: &str, arguments: &[&str]) -> LabResult<String> {
    let doing = format!("glidepath {}", arguments.join(" "));
    let mut command = command(endpoint, None, arguments);
    let output = timeout(LIMIT, command.output()).await.doing(&doing)?.doing(&doing)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(LabError::new(format!("{doing} failed: {}", errors.trim())))
}
