//! Tasks that stopped, and why.

use aws_sdk_ecs::types::{Task, TaskStopCode};
use glidepath_core::health::{StoppedTask, TaskEnd};
use glidepath_core::ids::TaskDefinition;
use glidepath_core::plan::ImageDigest;

use super::service::timestamp;

/// What the containers of a running task of this version run.
pub(super) fn images(task: &Task, version: &TaskDefinition) -> Vec<ImageDigest> {
    let of_version = is_of(task, version) && task.last_status() == Some("RUNNING");
    let containers = task.containers().iter().filter(|_| of_version);
    containers
        .filter_map(|container| {
            let image = container.image()?;
            // Of an image that is named by its digest ECS need not say it a second time.
            let named = || image.split_once('@').map(|(_, digest)| digest);
            let digest = container.image_digest().or_else(named);
            Some(ImageDigest {
                container: container.name()?.to_owned(),
                image: image.to_owned(),
                digest: digest.map(str::to_owned),
            })
        })
        .collect()
}

fn is_of(task: &Task, version: &TaskDefinition) -> bool {
    task.task_definition_arn()
        .map(TaskDefinition::new)
        .is_some_and(|of| of == *version || of.short() == version.as_str())
}

/// A task of this version that stopped although neither a person nor scaling asked it to.
pub(super) fn stopped_by_itself(task: &Task, version: &TaskDefinition) -> Option<StoppedTask> {
    if !is_of(task, version) {
        return None;
    }
    let reason = task.stopped_reason().unwrap_or_default();
    let ran = if task.started_at().is_some() { TaskEnd::Exited } else { TaskEnd::NeverRan };
    let end = match task.stop_code() {
        Some(TaskStopCode::EssentialContainerExited) => ran,
        Some(TaskStopCode::TaskFailedToStart) => TaskEnd::NeverRan,
        // The scheduler stops tasks when it scales, and those that fail their health checks.
        Some(TaskStopCode::ServiceSchedulerInitiated) => {
            let reason = reason.to_ascii_lowercase();
            let unhealthy = reason.contains("failed") && reason.contains("health check");
            unhealthy.then_some(TaskEnd::Unhealthy)?
        }
        // People, spot interruptions, maintenance and sickness of the host.
        Some(_) | None => return None,
    };
    let at = task.stopped_at().or(task.stopping_at()).and_then(timestamp)?;
    Some(StoppedTask {
        task: task.task_arn().and_then(|arn| arn.rsplit('/').next()).unwrap_or("?").to_owned(),
        reason: with_exit_code(reason, task),
        at,
        end,
    })
}

fn with_exit_code(reason: &str, task: &Task) -> String {
    let failed = task.containers().iter().find_map(|container| {
        let name = container.name().unwrap_or("?");
        match (container.exit_code(), container.reason()) {
            (Some(code), _) if code != 0 => Some(format!("`{name}` exited with {code}")),
            (_, Some(why)) => Some(format!("`{name}`: {why}")),
            (Some(_) | None, None) => None,
        }
    });
    failed.map_or_else(|| reason.to_owned(), |failed| format!("{reason}: {failed}"))
}
