//! What becomes of ECS's answers.

use glidepath_core::health::TaskEnd;
use glidepath_core::ids::TargetGroupArn;
use glidepath_engine::ports::{Driver, FailedDeployment, Registration, Rollout};
use serde_json::{Value, json};

use super::*;
use crate::replay::{answering, error_of, json as answer, watched};

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
            { "status": "ACTIVE", "taskDefinition": "old", "rolloutState": "COMPLETED", "createdAt": 10 },
            { "status": "PRIMARY", "taskDefinition": VERSION, "rolloutState": "IN_PROGRESS", "failedTasks": 2,
                "createdAt": 20 },
            { "status": "ACTIVE", "taskDefinition": "bad", "rolloutState": "FAILED", "createdAt": 15,
                "rolloutStateReason": "tasks failed to start" },
        ],
        "events": [{ "message": "older", "createdAt": 1 }, { "message": "newest", "createdAt": 2 }],
    }] });
    let containers = ElasticContainers::new(&answering(vec![answer(&described)]));
    let found = containers.service(&cluster(), &service()).await.unwrap().unwrap();
    assert_eq!(found.task_definition.as_str(), VERSION);
    assert_eq!(found.rollout, Rollout::InProgress { failed_tasks: 2 });
    assert_eq!(found.driver, Driver::Rolling);
    assert_eq!((found.desired_count, found.running_count, found.deployments), (3, 2, 3));
    assert_eq!(found.deployed_at, Some(Timestamp::from_millis(20_000)));
    let gave_way = FailedDeployment {
        task_definition: TaskDefinition::new("bad"),
        deployed_at: Timestamp::from_millis(15_000),
        reason: "tasks failed to start".to_owned(),
    };
    assert_eq!(found.gave_way, [gave_way]);
    let answers = Some(("app".to_owned(), 80));
    assert_eq!(
        found.target_groups,
        [Registration { group: TargetGroupArn::new("green"), answers }]
    );
    let events: Vec<_> = found.events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(events, ["newest", "older"]);
}

#[tokio::test]
async fn every_kind_of_service_is_told_apart() {
    let rolling = json!({
        "serviceName": "app-green", "status": "ACTIVE", "schedulingStrategy": "REPLICA",
        "resourceManagementType": "CUSTOMER", "deploymentController": { "type": "ECS" },
        "deploymentConfiguration": { "strategy": "ROLLING" },
        "deployments": [{ "status": "PRIMARY", "taskDefinition": VERSION, "rolloutState": "COMPLETED" }],
    });
    let kinds = [
        (json!({}), Driver::Rolling),
        (json!({ "deploymentController": null, "deploymentConfiguration": null }), Driver::Rolling),
        (
            json!({ "deploymentConfiguration": { "strategy": "BLUE_GREEN" } }),
            Driver::Shifting("BLUE_GREEN".to_owned()),
        ),
        (
            json!({ "deploymentConfiguration": { "strategy": "LINEAR" } }),
            Driver::Shifting("LINEAR".to_owned()),
        ),
        (
            json!({ "deploymentConfiguration": { "strategy": "CANARY" } }),
            Driver::Shifting("CANARY".to_owned()),
        ),
        (
            json!({ "deploymentConfiguration": { "strategy": "TELEPORT" } }),
            Driver::Shifting("TELEPORT".to_owned()),
        ),
        (json!({ "schedulingStrategy": "DAEMON" }), Driver::Daemon),
        (
            json!({ "resourceManagementType": "ECS", "deploymentConfiguration": { "strategy": "CANARY" } }),
            Driver::Express,
        ),
        // Neither has deployments.
        (
            json!({ "deploymentController": { "type": "CODE_DEPLOY" }, "deployments": [] }),
            Driver::Controller("CODE_DEPLOY".to_owned()),
        ),
        (
            json!({ "deploymentController": { "type": "EXTERNAL" }, "deployments": [] }),
            Driver::Controller("EXTERNAL".to_owned()),
        ),
    ];
    for (different, driver) in kinds {
        let mut described = rolling.clone();
        for (field, value) in different.as_object().unwrap() {
            described[field] = value.clone();
        }
        let described = answer(&json!({ "services": [described] }));
        let containers = ElasticContainers::new(&answering(vec![described]));
        let found = containers.service(&cluster(), &service()).await.unwrap().unwrap();
        assert_eq!(found.driver, driver, "{different}");
    }
}

#[tokio::test]
async fn a_hook_is_told_what_the_service_itself_says() {
    let service_with = |more: Value| {
        let mut described = json!({ "status": "ACTIVE", "serviceArn": "arn:service" });
        for (field, value) in more.as_object().unwrap() {
            described[field] = value.clone();
        }
        answer(&json!({ "services": [described] }))
    };
    let answers = vec![
        service_with(json!({
            "currentServiceDeployment": "arn:deployment",
            "currentServiceRevisions": [{ "arn": "arn:revision" }],
        })),
        service_with(json!({ "currentServiceRevisions": [{ "arn": "one" }, { "arn": "other" }] })),
    ];
    let containers = ElasticContainers::new(&answering(answers));
    let found = containers.service_deployment(&cluster(), &service()).await.unwrap().unwrap();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        found,
        ServiceDeployment {
            arn: text("arn:deployment"),
            service: text("arn:service"),
            revision: text("arn:revision"),
        }
    );
    let found = containers.service_deployment(&cluster(), &service()).await.unwrap().unwrap();
    assert_eq!(
        found,
        ServiceDeployment { service: text("arn:service"), ..ServiceDeployment::default() }
    );
}

#[tokio::test]
async fn only_what_changes_is_sent() {
    let (clients, replay) = watched(vec![answer(&json!({})), answer(&json!({}))]);
    let containers = ElasticContainers::new(&clients);
    let version = Some(TaskDefinition::new(VERSION));
    for (task_definition, force_new_deployment) in [(version, false), (None, true)] {
        let to = ScaleTo { desired_count: 2, task_definition, force_new_deployment };
        containers.scale(&cluster(), &service(), &to).await.unwrap();
    }
    let sent: Vec<Value> = replay
        .actual_requests()
        .map(|request| serde_json::from_slice(request.body().bytes().unwrap()).unwrap())
        .collect();
    let always = json!({ "cluster": "c", "service": "app-green", "desiredCount": 2 });
    let with = |field: &str, value: Value| {
        let mut sent = always.clone();
        sent[field] = value;
        sent
    };
    assert_eq!(
        sent,
        [with("taskDefinition", json!(VERSION)), with("forceNewDeployment", json!(true))]
    );
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
async fn a_task_definition_says_whether_ecs_gives_it_to_a_service() {
    let of = |status: &str| {
        answer(&json!({ "taskDefinition": {
            "taskDefinitionArn": VERSION, "status": status, "executionRoleArn": "arn:e",
            "taskRoleArn": "", "containerDefinitions": [
                { "name": "app", "image": "repository/app:0a1b2c3" }, { "name": "proxy" },
            ],
        } }))
    };
    let unknown = error_of(400, "ClientException", "Unable to describe task definition.");
    let answers = vec![of("ACTIVE"), of("INACTIVE"), unknown];
    let containers = ElasticContainers::new(&answering(answers));
    let name = TaskDefinition::new("app:7");
    let found = containers.task_definition(&name).await;
    let registered = RegisteredVersion {
        active: true,
        arn: TaskDefinition::new(VERSION),
        task_role: None,
        execution_role: Some("arn:e".to_owned()),
        containers: vec![ContainerImage {
            container: "app".to_owned(),
            image: "repository/app:0a1b2c3".to_owned(),
            optional: false,
        }],
    };
    assert_eq!(found, Ok(Some(registered.clone())));
    let inactive = RegisteredVersion { active: false, ..registered };
    assert_eq!(containers.task_definition(&name).await, Ok(Some(inactive)));
    assert_eq!(containers.task_definition(&name).await, Ok(None));
}

#[tokio::test]
async fn only_tasks_that_stopped_by_themselves_since_then_count() {
    let listed = json!({ "taskArns": ["t/1"] });
    let task = |id: &str, code: &str, reason: &str, stopped: i64, version: &str| {
        json!({ "taskArn": format!("task/c/{id}"), "taskDefinitionArn": version, "stopCode": code,
            "startedAt": if id == "pulled" { Value::Null } else { json!(5) },
            "stoppedReason": reason, "stoppedAt": stopped,
            "containers": [{ "name": "app", "exitCode": if code == "EssentialContainerExited" { 3 } else { 0 } }] })
    };
    let described = json!({ "tasks": [
        task("crashed", "EssentialContainerExited", "Essential container in task exited", 1_000, VERSION),
        task("scaled", "ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/1)", 1_000, VERSION),
        task("sick", "ServiceSchedulerInitiated", "Task failed ELB health checks in (target-group green)", 900, VERSION),
        task("pulled", "TaskFailedToStart", "CannotPullContainerError: no such image", 800, VERSION),
        task("host", "InfrastructureHealth", "The host is unhealthy", 1_000, VERSION),
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
    assert_eq!(found, ["pulled", "sick", "crashed"]);
    let ends: Vec<_> = stopped.iter().map(|task| task.end).collect();
    assert_eq!(ends, [TaskEnd::NeverRan, TaskEnd::Unhealthy, TaskEnd::Exited]);
    assert_eq!(stopped[2].reason, "Essential container in task exited: `app` exited with 3");
}

#[tokio::test]
async fn scaling_without_permission_is_refused() {
    let denied = error_of(400, "AccessDeniedException", "not authorized");
    let containers = ElasticContainers::new(&answering(vec![denied]));
    let to = ScaleTo { desired_count: 3, task_definition: None, force_new_deployment: false };
    let refused = containers.scale(&cluster(), &service(), &to).await.unwrap_err();
    assert!(refused.answered() && !refused.may_pass(), "{refused}");
}

#[tokio::test]
async fn what_runs_is_read_of_running_tasks_of_the_version() {
    let container = |name: &str, image: &str, digest: Option<&str>| json!({ "name": name, "image": image, "imageDigest": digest });
    let task = |version: &str, status: &str, containers: Value| {
        json!({
            "taskArn": "arn:task/c/1", "taskDefinitionArn": version, "lastStatus": status,
            "containers": containers,
        })
    };
    let described = json!({ "tasks": [
        task(VERSION, "RUNNING", json!([container("web", "r/app:7", Some("sha256:a"))])),
        task(VERSION, "RUNNING", json!([container("web", "r/app:7@sha256:a", None)])),
        task(VERSION, "PENDING", json!([container("web", "r/app:7", Some("sha256:b"))])),
        task("arn:aws:ecs:eu-west-1:1:task-definition/app:6", "RUNNING",
            json!([container("web", "r/app:6", Some("sha256:c"))])),
    ] });
    let listed = json!({ "taskArns": ["arn:task/c/1"] });
    let containers = ElasticContainers::new(&answering(vec![answer(&listed), answer(&described)]));
    let version = TaskDefinition::new(VERSION);
    let found = containers.images(&cluster(), &service(), &version).await.unwrap();
    let seen = |image: &str| {
        let (container, digest) = ("web".to_owned(), Some("sha256:a".to_owned()));
        ImageDigest { container, image: image.to_owned(), digest }
    };
    assert_eq!(found, [seen("r/app:7"), seen("r/app:7@sha256:a")].into());
    let none = ElasticContainers::new(&answering(vec![answer(&json!({ "taskArns": [] }))]));
    assert!(none.images(&cluster(), &service(), &version).await.unwrap().is_empty());
}
