//! What becomes of ECS's answers.

use serde_json::json;

use super::*;
use crate::replay::{answering, error_of, json as answer};

const VERSION: &str = "arn:aws:ecs:eu-west-1:1:task-definition/app:7";

fn cluster() -> ClusterName {
    ClusterName::new("c")
}

fn service() -> EcsServiceName {
    EcsServiceName::new("app-green")
}

#[tokio::test]
async fn a_service_is_read_with_its_newest_deployment() {
    let described = json!({ "services": [{
        "serviceName": "app-green", "status": "ACTIVE", "desiredCount": 3, "runningCount": 2,
        "loadBalancers": [{ "targetGroupArn": "green", "containerName": "app", "containerPort": 80 }],
        "deployments": [
            { "status": "ACTIVE", "taskDefinition": "old", "rolloutState": "COMPLETED" },
            { "status": "PRIMARY", "taskDefinition": VERSION, "rolloutState": "IN_PROGRESS", "failedTasks": 2 },
        ],
        "events": [{ "message": "newest" }, { "message": "older" }],
    }] });
    let containers = ElasticContainers::new(&answering(vec![answer(&described)]));
    let found = containers.service(&cluster(), &service()).await.unwrap().unwrap();
    assert_eq!(found.task_definition.as_str(), VERSION);
    assert_eq!(found.rollout, Rollout::InProgress { failed_tasks: 2 });
    assert_eq!((found.desired_count, found.running_count, found.deployments), (3, 2, 2));
    assert_eq!(found.target_groups, [TargetGroupArn::new("green")]);
    assert_eq!(found.last_event.as_deref(), Some("newest"));
}

#[tokio::test]
async fn an_inactive_service_is_none() {
    let inactive = json!({ "services": [{ "status": "INACTIVE" }] });
    let gone = error_of(400, "ClusterNotFoundException", "Cluster not found.");
    let containers = ElasticContainers::new(&answering(vec![answer(&inactive), gone]));
    assert_eq!(containers.service(&cluster(), &service()).await, Ok(None));
    assert_eq!(containers.service(&cluster(), &service()).await, Ok(None));
}

#[tokio::test]
async fn an_inactive_task_definition_is_none() {
    let of = |status: &str| {
        answer(&json!({ "taskDefinition": { "taskDefinitionArn": VERSION, "status": status } }))
    };
    let unknown = error_of(400, "ClientException", "Unable to describe task definition.");
    let answers = vec![of("ACTIVE"), of("INACTIVE"), unknown];
    let containers = ElasticContainers::new(&answering(answers));
    let name = TaskDefinition::new("app:7");
    let found = containers.task_definition(&name).await;
    assert_eq!(found, Ok(Some(TaskDefinition::new(VERSION))));
    assert_eq!(containers.task_definition(&name).await, Ok(None));
    assert_eq!(containers.task_definition(&name).await, Ok(None));
}

#[tokio::test]
async fn only_tasks_that_stopped_by_themselves_since_then_count() {
    let listed = json!({ "taskArns": ["t/1"] });
    let task = |id: &str, code: &str, reason: &str, stopped: i64, version: &str| {
        json!({ "taskArn": format!("task/c/{id}"), "taskDefinitionArn": version, "stopCode": code,
            "stoppedReason": reason, "stoppedAt": stopped,
            "containers": [{ "name": "app", "exitCode": if code == "EssentialContainerExited" { 3 } else { 0 } }] })
    };
    let described = json!({ "tasks": [
        task("crashed", "EssentialContainerExited", "Essential container in task exited", 1_000, VERSION),
        task("scaled", "ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/1)", 1_000, VERSION),
        task("sick", "ServiceSchedulerInitiated", "Task failed ELB health checks in (target-group green)", 900, VERSION),
        task("before", "EssentialContainerExited", "Essential container in task exited", 10, VERSION),
        task("person", "UserInitiated", "Task stopped by user", 1_000, VERSION),
        task("other", "EssentialContainerExited", "Essential container in task exited", 1_000, "app:6"),
    ] });
    let answers = vec![answer(&listed), answer(&described)];
    let containers = ElasticContainers::new(&answering(answers));
    let version = TaskDefinition::new(VERSION);
    let since = Timestamp::from_millis(500_000);
    let stopped = containers.stopped_tasks(&cluster(), &service(), &version, since).await.unwrap();
    let found: Vec<_> = stopped.iter().map(|task| task.task.as_str()).collect();
    assert_eq!(found, ["sick", "crashed"]);
    assert_eq!(stopped[1].reason, "Essential container in task exited: `app` exited with 3");
}

#[tokio::test]
async fn scaling_without_permission_is_refused() {
    let denied = error_of(400, "AccessDeniedException", "not authorized");
    let containers = ElasticContainers::new(&answering(vec![denied]));
    let to = ScaleTo { desired_count: 3, task_definition: None };
    let refused = containers.scale(&cluster(), &service(), &to).await.unwrap_err();
    assert!(refused.answered() && !refused.may_pass(), "{refused}");
}
