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
    // As the question names it: whoever approves has read which stage it is about.
    let shown = command_line(&scene.endpoint, &["status", deployment.id(), "--json"]).await?;
    let shown: serde_json::Value = serde_json::from_str(&shown).doing("reading the status")?;
    let stage = shown["stage"]["number"].to_string();
    let mut arguments = vec![verb, deployment.id(), "--stage", &stage];
    if let Some(reason) = reason {
        arguments.extend(["--reason", reason]);
    }
    command_line(&scene.endpoint, &arguments).await.map(|_| ())
}

/// Runs `glidepath` as a person would; what it prints.
pub(crate) async fn command_line(endpoint: &str, arguments: &[&str]) -> LabResult<String> {
    let doing = format!("glidepath {}", arguments.join(" "));
    let mut command = Command::new(Paths::new().command_line());
    command
        .args(arguments)
        .args(["--stack", STACK_NAME])
        .env_clear()
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", ROOT_KEY)
        .env("AWS_SECRET_ACCESS_KEY", ROOT_KEY)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(LIMIT, command.output()).await.doing(&doing)?.doing(&doing)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(LabError::new(format!("{doing} failed: {}", errors.trim())))
}
