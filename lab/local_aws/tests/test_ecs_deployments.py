"""Deployments of ECS that fail, are rolled back, succeed early or cannot place a task, and their history."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from local_aws.tests.balancing import Balancer, forward
from local_aws.tests.clusters import Cluster
from local_aws.tests.receiving import Inbox
from local_aws.tests.support import Lab, start_lab, wait_for

REASON = "ECS deployment circuit breaker: tasks failed to start."


def breaker(rollback: bool, **more: Any) -> dict[str, Any]:
    return {"deploymentCircuitBreaker": {"enable": True, "rollback": rollback, **more}}


def primary(cluster: Cluster) -> dict[str, Any]:
    (found,) = [d for d in cluster.service()["deployments"] if d["status"] == "PRIMARY"]
    return dict(found)


def failed(cluster: Cluster) -> dict[str, Any]:
    """Wait until the primary deployment is given up."""
    return wait_for(lambda: (d := primary(cluster))["rolloutState"] == "FAILED" and d, what="a failed deployment")


def ended(cluster: Cluster) -> list[dict[str, Any]]:
    return [task for task in cluster.tasks("STOPPED") if task["stopCode"] == "EssentialContainerExited"]


def history(cluster: Cluster, **more: Any) -> list[dict[str, Any]]:
    """ListServiceDeployments, oldest first."""
    listed = cluster.ecs.list_service_deployments(cluster=cluster.name, service="app", **more)["serviceDeployments"]
    return sorted(listed, key=lambda deployment: deployment["createdAt"])


def messages(cluster: Cluster) -> list[str]:
    return [event["message"] for event in cluster.service()["events"]]


def limit_tasks(lab: Lab, most: int | None) -> None:
    body = json.dumps({"tasks": most}).encode()
    urllib.request.urlopen(f"{lab.endpoint}/_lab/ecs-limits", data=body).close()


def watch(lab: Lab, name: str, arn: str, **pattern: Any) -> Inbox:
    """An inbox of the events of one service."""
    inbox, events = Inbox(lab, name), lab.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.ecs"], "resources": [arn], **pattern}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": inbox.arn}])
    return inbox


def test_the_circuit_breaker_fails_a_deployment_and_rolls_back(lab: Lab, unique: str) -> None:
    """deployment-circuit-breaker: the most recent COMPLETED deployment is used again."""
    cluster = Cluster(lab, unique)
    good = cluster.definition("demo:v1")
    cluster.create(good, 1, deploymentConfiguration=breaker(rollback=True))
    before = cluster.settled()
    (stable,) = before["deployments"]
    inbox = watch(lab, unique, before["serviceArn"], **{"detail-type": ["ECS Deployment State Change"]})
    failing = cluster.update(taskDefinition=cluster.definition("demo:crash"))["deployments"][0]["id"]
    wait_for(lambda: cluster.service()["taskDefinition"] == good, what="the rollback")
    service = cluster.settled()
    assert [deployment["id"] for deployment in service["deployments"]] == [stable["id"]]
    assert len(ended(cluster)) == 3
    assert {task["containers"][0]["exitCode"] for task in ended(cluster)} == {1}
    seen = [(e["detail"]["eventName"], e["detail"]["deploymentId"], e["detail"]["reason"]) for e in inbox.wait_for(4)]
    assert seen == [
        ("SERVICE_DEPLOYMENT_IN_PROGRESS", failing, f"ECS deployment {failing} in progress."),
        ("SERVICE_DEPLOYMENT_FAILED", failing, REASON),
        (
            "SERVICE_DEPLOYMENT_IN_PROGRESS",
            stable["id"],
            f"ECS deployment circuit breaker: rolling back to deploymentId {stable['id']}.",
        ),
        ("SERVICE_DEPLOYMENT_COMPLETED", stable["id"], f"ECS deployment {stable['id']} completed."),
    ]
    assert set(inbox.poll()[0]["detail"]) == {"eventType", "eventName", "deploymentId", "updatedAt", "reason"}
    first, second = history(cluster)
    assert (first["status"], second["status"]) == ("SUCCESSFUL", "ROLLBACK_SUCCESSFUL")
    assert second["statusReason"] == REASON
    assert "finishedAt" in second


def test_a_rollback_starts_the_old_version_even_where_none_of_it_ran(lab: Lab, unique: str) -> None:
    cluster = Cluster(lab, unique)
    good = cluster.definition("demo:v1")
    cluster.create(good, 0, deploymentConfiguration=breaker(rollback=True))
    cluster.settled()
    cluster.update(taskDefinition=cluster.definition("demo:crash"), desiredCount=1)
    wait_for(lambda: [task for task in cluster.tasks() if task["taskDefinitionArn"] == good], what="the old version")
    service = cluster.settled()
    assert (service["taskDefinition"], service["runningCount"], service["desiredCount"]) == (good, 1, 1)


def test_how_long_a_process_needs_to_start_decides_nothing(lab: Lab, unique: str) -> None:
    """On a busy machine every process is slow: its task is neither unhealthy, nor one that ran before it crashed."""
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.listen([forward((group, 1))])
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("demo:slow"), 1, (group,), deploymentConfiguration=breaker(rollback=False))
    assert cluster.settled()["runningCount"] == 1
    assert len(lab.journal_lines(kind="task", event="started", cluster=unique)) == 1
    cluster.update(taskDefinition=cluster.definition("demo:slow-crash"))
    assert failed(cluster)["failedTasks"] == 3


def test_a_failed_deployment_starts_no_task_until_a_new_one_is_forced(lab: Lab, unique: str) -> None:
    """The model's texts: FAILED "doesn't launch any new tasks", desiredCount starts no deployment."""
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("demo:v1"), 0, deploymentConfiguration=breaker(rollback=False))
    cluster.settled()
    crashing = cluster.definition("demo:crash")
    cluster.update(taskDefinition=crashing, desiredCount=1)
    given_up = failed(cluster)
    assert (given_up["rolloutStateReason"], given_up["failedTasks"]) == (REASON, 3)
    assert cluster.service()["taskDefinition"] == crashing
    assert "(service app) is unable to consistently start tasks successfully." in messages(cluster)
    started = len(lab.journal_lines(kind="task", event="started", cluster=unique))
    cluster.update(taskDefinition=crashing, desiredCount=3)
    time.sleep(1)
    assert primary(cluster)["rolloutState"] == "FAILED"
    assert len(lab.journal_lines(kind="task", event="started", cluster=unique)) == started
    cluster.update(forceNewDeployment=True)
    wait_for(lambda: len(lab.journal_lines(kind="task", event="started", cluster=unique)) > started)
    assert primary(cluster)["id"] != given_up["id"]
    assert [d["status"] for d in history(cluster)][:2] == ["SUCCESSFUL", "STOPPED"]
    assert history(cluster)[1]["statusReason"] == REASON


def test_tasks_that_ran_and_then_exit_are_not_counted(lab: Lab, unique: str) -> None:
    """aws/containers-roadmap#1206: only tasks that never were RUNNING are failures."""
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("demo:late"), 1, deploymentConfiguration=breaker(rollback=False))
    wait_for(lambda: len(ended(cluster)) >= 4, what="a crash loop")
    found = primary(cluster)
    assert (found["failedTasks"], found["rolloutState"] == "FAILED") == (0, False)


def test_failures_are_forgotten_once_a_task_runs(lab: Lab, unique: str, tmp_path: Path) -> None:
    """The model's text of failedTasks: it "resets to zero and stops being evaluated"."""
    cluster = Cluster(lab, unique)
    environment = [{"name": "MARK", "value": str(tmp_path / "mark")}]
    cluster.create(cluster.definition("demo:once", environment=environment))
    wait_for(lambda: ended(cluster), what="a task that fails")
    cluster.settled()
    wait_for(lambda: primary(cluster)["failedTasks"] == 0)


def test_a_threshold_of_ones_own(lab: Lab, unique: str) -> None:
    cluster = Cluster(lab, unique)
    threshold = {"type": "COUNT", "value": 1}
    configuration = breaker(rollback=False, thresholdConfiguration=threshold)
    cluster.create(cluster.definition("demo:crash"), 1, deploymentConfiguration=configuration)
    assert failed(cluster)["failedTasks"] == 1


def test_a_deployment_can_be_complete_before_all_its_tasks_run(lab: Lab, unique: str) -> None:
    """The model's text of earlySuccessCriteria: ECS goes on scaling the new tasks in the background."""
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.set_deregistration_delay(group, 3)  # for as long the old tasks are there to be seen
    balancer.listen([forward((group, 1))])
    cluster = Cluster(lab, unique)
    early = {"enable": True, "healthyPercent": 50, "sourceServiceRevisionCleanup": "DEFERRED"}
    configuration = {"minimumHealthyPercent": 50, "maximumPercent": 100, "earlySuccessCriteria": early}
    cluster.create(cluster.definition("demo:v1"), 2, (group,), deploymentConfiguration=configuration)
    cluster.settled()
    cluster.update(taskDefinition=cluster.definition("demo:v2"))

    def complete() -> list[dict[str, Any]] | None:
        deployments: list[dict[str, Any]] = cluster.service()["deployments"]
        return deployments if deployments[0]["rolloutState"] == "COMPLETED" else None

    deployments = wait_for(complete)
    assert [deployment["status"] for deployment in deployments] == ["PRIMARY", "ACTIVE"]
    cluster.settled()


def test_a_task_that_cannot_be_placed(lab: Lab, unique: str) -> None:
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("demo:v1"), 0)
    arn = cluster.settled()["serviceArn"]
    inbox = watch(lab, unique, arn, detail={"eventName": ["SERVICE_TASK_PLACEMENT_FAILURE"]})
    limit_tasks(lab, 0)
    try:
        cluster.update(desiredCount=1)
        wait_for(lambda: primary(cluster)["failedTasks"] >= 1)
    finally:
        limit_tasks(lab, None)
    reason = "You've reached the limit on the number of tasks you can run concurrently"
    assert f"(service app) was unable to place a task. Reason: {reason}." in messages(cluster)
    detail = inbox.wait_for()[0]["detail"]
    assert (detail["eventType"], detail["reason"]) == ("ERROR", "RESOURCE:FARGATE")
    wait_for(lambda: cluster.service()["runningCount"] == 1)
    assert cluster.tasks("STOPPED") == []


def test_the_history_has_no_promised_order_and_comes_in_pages(lab: Lab, unique: str) -> None:
    cluster = Cluster(lab, unique)
    cluster.create(cluster.definition("demo:v1"), 0)
    for _ in range(7):
        cluster.update(forceNewDeployment=True)
    cluster.settled()
    listed = cluster.ecs.list_service_deployments(cluster=unique, service="app")["serviceDeployments"]
    arns = [deployment["serviceDeploymentArn"] for deployment in listed]
    newest_first = [deployment["serviceDeploymentArn"] for deployment in reversed(history(cluster))]
    assert sorted(arns) == sorted(newest_first)
    assert arns != newest_first
    paged, token = [], {}
    while True:
        answer = cluster.ecs.list_service_deployments(cluster=unique, service="app", maxResults=3, **token)
        paged += [deployment["serviceDeploymentArn"] for deployment in answer["serviceDeployments"]]
        if "nextToken" not in answer:
            break
        token = {"nextToken": answer["nextToken"]}
    assert paged == arns
    assert history(cluster)[-1]["status"] == "SUCCESSFUL"
    assert {d["status"] for d in history(cluster, status=["SUCCESSFUL"])} == {"SUCCESSFUL"}
    assert history(cluster, status=["ROLLBACK_FAILED"]) == []


@pytest.fixture
def forgetful(tmp_path: Path) -> Any:
    """A lab that forgets service deployments after five seconds."""
    running = start_lab(tmp_path / "data", "--service-deployment-retention", "5")
    yield running
    running.process.terminate()
    running.process.wait(10)


def test_the_history_ends_some_time_ago(forgetful: Lab) -> None:
    """service-deployment: "the most recent 90-day history"."""
    cluster = Cluster(forgetful, "old")
    cluster.create(cluster.definition("demo:v1"), 0)
    service = cluster.service()
    assert [d["serviceDeploymentArn"] for d in history(cluster)] == [service["currentServiceDeployment"]]
    assert history(cluster)[0]["targetServiceRevisionArn"] == service["currentServiceRevisions"][0]["arn"]
    wait_for(lambda: history(cluster) == [], what="the end of the history")
    service = cluster.settled()
    assert "currentServiceDeployment" not in service
    assert len(service["currentServiceRevisions"]) == 1


def test_a_deregistered_definition_is_scaled_where_it_is_and_deployed_nowhere(lab: Lab, unique: str) -> None:
    # deregister-task-definition-v2: "Existing tasks and services that reference an INACTIVE task definition continue
    # to run without disruption. Existing services ... can still scale up or down by modifying the service's desired
    # count", but "you can't use an INACTIVE task definition to run new tasks or create new services, and you can't
    # update an existing service to reference" it.
    cluster = Cluster(lab, unique)
    definition = cluster.definition("demo")
    cluster.create(definition, count=0)
    cluster.ecs.deregister_task_definition(taskDefinition=definition)
    described = cluster.ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]
    assert described["status"] == "INACTIVE"
    cluster.update(desiredCount=1)
    wait_for(lambda: cluster.service()["runningCount"] == 1)
    for request in ({"taskDefinition": definition}, {"forceNewDeployment": True}):
        with pytest.raises(cluster.ecs.exceptions.ClientException, match="inactive"):
            cluster.update(**request)
