"""Rolling deployments: bring the tasks of a service towards what its deployments want.

Everything here runs under the scheduler's lock and never waits; ``reconcile`` is called again and again.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Sequence

from ministack.services import ecs

from local_aws.aws_protocol import Document
from local_aws.ecs_tasks import Task, create, stop
from local_aws.service_events import emit

MOST_EVENTS = 100
SMALLEST_THRESHOLD, LARGEST_THRESHOLD = 3, 200
# ECS restarts tasks that keep failing ever more slowly; here the pause grows up to two seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0

Launch = Callable[[Task], None]


def new_deployment(service: Document) -> Document:
    """A new PRIMARY deployment of the service as it is configured now."""
    now = time.time()
    return {
        "id": f"ecs-svc/{uuid.uuid4().int % 10**19:019d}",
        "status": "PRIMARY",
        "taskDefinition": service["taskDefinition"],
        "desiredCount": service["desiredCount"],
        "pendingCount": 0,
        "runningCount": 0,
        "failedTasks": 0,
        "createdAt": now,
        "updatedAt": now,
        "launchType": service.get("launchType"),
        "networkConfiguration": service.get("networkConfiguration"),
        "rolloutState": "IN_PROGRESS",
        "rolloutStateReason": "",
        "_pause_until": 0.0,
    }


def begin_deployment(service: Document) -> None:
    """Make a new deployment primary; the others become active until their tasks are gone."""
    for deployment in service["deployments"]:
        deployment["status"] = "ACTIVE"
    deployment = new_deployment(service)
    service["deployments"].insert(0, deployment)
    _set_rollout(service, deployment, "IN_PROGRESS", f"ECS deployment {deployment['id']} in progress.")


def event(service: Document, message: str) -> None:
    """Add a service event, newest first."""
    text = f"(service {service['serviceName']}) {message}"
    service["events"].insert(0, {"id": str(uuid.uuid4()), "createdAt": time.time(), "message": text})
    del service["events"][MOST_EVENTS:]


def reconcile(service: Document, tasks: Sequence[Task], launch: Launch) -> None:
    """Do the next steps for one service."""
    primary = service["deployments"][0]
    definition = ecs._task_defs.get(ecs._resolve_td_key(primary["taskDefinition"]))
    own = [task for task in tasks if task.deployment == primary["id"]]
    old = [task for task in tasks if task.deployment != primary["id"]]
    _replace_unhealthy(service, tasks)
    if service["status"] == "ACTIVE" and definition is not None:
        _start_missing(service, primary, definition, own, old, launch)
    _stop_surplus(service, primary, own, old)
    _count(service, tasks)
    _settle(service, primary, own, old)


def task_ended(service: Document, task: Task) -> None:
    """Note that a task stopped by itself; the circuit breaker counts those of its deployment."""
    deployment = next((d for d in service["deployments"] if d["id"] == task.deployment), None)
    if deployment is None:
        return
    deployment["failedTasks"] += 1
    deployment["updatedAt"] = time.time()
    pause = min(FIRST_PAUSE * 2 ** (deployment["failedTasks"] - 1), LONGEST_PAUSE)
    deployment["_pause_until"] = time.monotonic() + pause
    if task.record["stopCode"] == "TaskFailedToStart":
        event(service, f"was unable to place a task. Reason: {task.record['stoppedReason']}.")
    breaker = service["deploymentConfiguration"].get("deploymentCircuitBreaker") or {}
    if (
        breaker.get("enable")
        and deployment["status"] == "PRIMARY"
        and deployment["rolloutState"] == "IN_PROGRESS"
        and deployment["failedTasks"] >= _breaker_threshold(service)
    ):
        _fail(service, deployment, bool(breaker.get("rollback")))


def _breaker_threshold(service: Document) -> int:
    half = math.ceil(int(service["desiredCount"]) / 2)
    return min(LARGEST_THRESHOLD, max(SMALLEST_THRESHOLD, half))


def _fail(service: Document, deployment: Document, rollback: bool) -> None:
    reason = "ECS deployment circuit breaker: tasks failed to start."
    event(service, f"(deployment {deployment['id']}) deployment failed: tasks failed to start.")
    _set_rollout(service, deployment, "FAILED", reason)
    deployment["desiredCount"] = 0
    stable = next((d for d in service["deployments"] if d["rolloutState"] == "COMPLETED"), None)
    if rollback and stable is not None:
        event(service, f"rolling back to deployment {stable['id']}.")
        deployment["status"] = "ACTIVE"
        service["deployments"].remove(stable)
        service["deployments"].insert(0, stable)
        service["taskDefinition"] = stable["taskDefinition"]
        stable["status"] = "PRIMARY"
        stable["desiredCount"] = service["desiredCount"]
        _set_rollout(
            service,
            stable,
            "IN_PROGRESS",
            f"ECS deployment circuit breaker: rolling back to deploymentId {stable['id']}.",
        )


def _replace_unhealthy(service: Document, tasks: Sequence[Task]) -> None:
    grace = float(service.get("healthCheckGracePeriodSeconds") or 0)
    for task in tasks:
        if task.wanted and task.unhealthy and time.time() - task.record["startedAt"] >= grace:
            group = task.targets()[0][0]
            name = task.arn.rpartition("/")[2]
            event(service, f"(task {name}) failed ELB health checks in (target-group {group}).")
            stop(task, f"Task failed ELB health checks in (target-group {group})", "ServiceSchedulerInitiated")
            task_ended(service, task)


def _start_missing(
    service: Document,
    primary: Document,
    definition: Document,
    own: Sequence[Task],
    old: Sequence[Task],
    launch: Launch,
) -> None:
    if primary["rolloutState"] == "FAILED" or time.monotonic() < primary["_pause_until"]:
        return
    desired = service["desiredCount"]
    maximum = service["deploymentConfiguration"].get("maximumPercent", 200)
    present = sum(task.wanted for task in own)
    room = max(1, desired * maximum // 100) - present - sum(task.wanted for task in old)
    missing = min(desired - present, room)
    if missing <= 0:
        return
    names = []
    for _ in range(missing):
        task = create(
            definition,
            service["clusterArn"],
            service=service,
            deployment=primary["id"],
            started_by=primary["id"],
            group=f"service:{service['serviceName']}",
        )
        launch(task)
        names.append(f"(task {task.arn.rpartition('/')[2]})")
    event(service, f"has started {missing} tasks: {' '.join(names)}.")


def _stop_surplus(service: Document, primary: Document, own: Sequence[Task], old: Sequence[Task]) -> None:
    desired = service["desiredCount"]
    reason = f"Scaling activity initiated by (deployment {primary['id']})"
    # Tasks that do not serve yet go first, then the newest.
    order = sorted((task for task in own if task.wanted), key=lambda task: (task.healthy, -task.started))
    surplus = order[: max(0, len(order) - desired)]
    minimum = math.ceil(desired * service["deploymentConfiguration"].get("minimumHealthyPercent", 100) / 100)
    healthy = sum(task.healthy for task in [*own, *old] if task.wanted and task not in surplus)
    for task in old:
        if not task.wanted:
            continue
        # A task that does not serve is no loss.
        if not task.healthy or healthy > minimum:
            healthy -= task.healthy
            surplus.append(task)
    # A failed deployment without rollback keeps the old tasks, which serve, and starts none.
    if primary["rolloutState"] == "FAILED":
        surplus = [task for task in surplus if task.deployment == primary["id"]]
    for task in surplus:
        stop(task, reason, "ServiceSchedulerInitiated")
    if surplus:
        names = " ".join(f"(task {task.arn.rpartition('/')[2]})" for task in surplus)
        event(service, f"has stopped {len(surplus)} running tasks: {names}.")
        if service.get("loadBalancers"):
            event(service, f"has begun draining connections on {len(surplus)} tasks.")


def _count(service: Document, tasks: Sequence[Task]) -> None:
    for deployment in service["deployments"]:
        mine = [task for task in tasks if task.deployment == deployment["id"] and task.wanted]
        deployment["runningCount"] = sum(task.running for task in mine)
        deployment["pendingCount"] = len(mine) - deployment["runningCount"]
    service["runningCount"] = sum(deployment["runningCount"] for deployment in service["deployments"])
    service["pendingCount"] = sum(deployment["pendingCount"] for deployment in service["deployments"])


def _settle(service: Document, primary: Document, own: Sequence[Task], old: Sequence[Task]) -> None:
    alive = {task.deployment for task in old if task.status != "STOPPED"}
    service["deployments"] = [
        deployment
        for deployment in service["deployments"]
        if deployment is primary or deployment["id"] in alive or deployment["rolloutState"] == "FAILED"
    ]
    healthy = sum(task.healthy for task in own if task.wanted)
    if healthy and primary["rolloutState"] == "IN_PROGRESS":
        primary["failedTasks"] = 0
    steady = healthy == service["desiredCount"] == primary["runningCount"] and not alive
    if steady and primary["rolloutState"] == "IN_PROGRESS":
        service["deployments"] = [primary]
        _set_rollout(service, primary, "COMPLETED", f"ECS deployment {primary['id']} completed.")
        event(service, f"(deployment {primary['id']}) deployment completed.")
        event(service, "has reached a steady state.")


def _set_rollout(service: Document, deployment: Document, state: str, reason: str) -> None:
    deployment |= {"rolloutState": state, "rolloutStateReason": reason, "updatedAt": time.time()}
    detail = {
        "eventType": "ERROR" if state == "FAILED" else "INFO",
        "eventName": f"SERVICE_DEPLOYMENT_{state}",
        "clusterArn": service["clusterArn"],
        "deploymentId": deployment["id"],
        "updatedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "reason": reason,
    }
    emit("aws.ecs", "ECS Deployment State Change", [service["serviceArn"]], detail)
