"""Rolling deployments: bring the tasks of a service towards what its deployments want.

Everything here runs under the scheduler's lock and never waits; ``reconcile`` is called again and again.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Sequence

from ministack.services import ecs

from local_aws import ecs_history
from local_aws.aws_protocol import Document
from local_aws.ecs_kinds import is_rolling, starts_tasks
from local_aws.ecs_tasks import Task, create, stop
from local_aws.service_events import emit

MOST_EVENTS = 100
SMALLEST_THRESHOLD, LARGEST_THRESHOLD = 3, 200
# ECS restarts tasks that keep failing ever more slowly; here the pause grows up to two seconds.
FIRST_PAUSE, LONGEST_PAUSE, MOST_DOUBLINGS = 0.2, 2.0, 4
# A task that nothing checks counts only 40 s after it was RUNNING (the model's text of
# minimumHealthyPercent); here it is a second.
SETTLING_SECONDS = 1.0
IMPAIRED_AFTER = 3
TASK_QUOTA = "You've reached the limit on the number of tasks you can run concurrently"
# What is counted of a deployment beyond ``failedTasks``: when it may start tasks again, how many ended one
# after the other, and whether one ever ran well, after which ``failedTasks`` "stops being evaluated".
_UNTRIED = {"_pause_until": 0.0, "_ended": 0, "_ran_well": False}

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
        **_UNTRIED,
    }


def begin_deployment(service: Document) -> None:
    """Make a new deployment primary; the others become active until their tasks are gone."""
    for deployment in service["deployments"]:
        deployment["status"] = "ACTIVE"
    deployment = new_deployment(service)
    service["deployments"].insert(0, deployment)
    ecs_history.begun(service, deployment)
    _set_rollout(service, deployment, "IN_PROGRESS", f"ECS deployment {deployment['id']} in progress.")


def event(service: Document, message: str) -> None:
    """Add a service event, newest first."""
    text = f"(service {service['serviceName']}) {message}"
    service["events"].insert(0, {"id": str(uuid.uuid4()), "createdAt": time.time(), "message": text})
    del service["events"][MOST_EVENTS:]


def reconcile(service: Document, tasks: Sequence[Task], launch: Launch, room: int) -> None:
    """Do the next steps for one service; ``room`` is how many tasks can be placed."""
    _replace_unhealthy(service, tasks)
    primary = service["deployments"][0]
    definition = ecs._task_defs.get(ecs._resolve_td_key(primary["taskDefinition"]))
    own = [task for task in tasks if task.deployment == primary["id"]]
    old = [task for task in tasks if task.deployment != primary["id"]]
    if service["status"] == "ACTIVE" and definition is not None and starts_tasks(service):
        _start_missing(service, primary, definition, own, old, launch, room)
    if service["deployments"][0] is not primary:
        # A start that failed at once made the circuit breaker roll back; the next round sees to the rest.
        return
    _stop_surplus(service, primary, own, old)
    _count(service, tasks)
    _settle(service, primary, own, old)


def task_ended(service: Document, task: Task) -> None:
    """Note that a task stopped by itself.

    It failed only if it never was RUNNING: a container that starts and then exits is replaced, but counted
    neither by ``failedTasks`` nor by the circuit breaker (the model's text of ``failedTasks``; complained of
    in aws/containers-roadmap#1206).
    """
    deployment = _deployment_of(service, task)
    if deployment is None:
        return
    _wait_longer(service, deployment)
    if task.record["stopCode"] == "TaskFailedToStart":
        event(service, f"was unable to place a task. Reason: {task.record['stoppedReason']}.")
    # "The scheduler ignores the failure criteria when a task in the current deployment is in the RUNNING
    # state" (deployment-circuit-breaker).
    if "startedAt" not in task.record and not deployment["runningCount"]:
        _count_failure(service, deployment)


def _deployment_of(service: Document, task: Task) -> Document | None:
    return next((d for d in service["deployments"] if d["id"] == task.deployment), None)


def _wait_longer(service: Document, deployment: Document) -> None:
    """Put off the next start, ever longer while tasks go on ending."""
    deployment["_ended"] += 1
    deployment["updatedAt"] = time.time()
    doublings = min(deployment["_ended"] - 1, MOST_DOUBLINGS)
    pause = min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)
    deployment["_pause_until"] = time.monotonic() + pause
    if deployment["_ended"] == IMPAIRED_AFTER:
        event(service, "is unable to consistently start tasks successfully.")
        _action(service, "WARN", "SERVICE_TASK_START_IMPAIRED")


def _count_failure(service: Document, deployment: Document) -> None:
    if deployment["_ran_well"]:
        return
    deployment["failedTasks"] += 1
    breaker = service["deploymentConfiguration"].get("deploymentCircuitBreaker") or {}
    if (
        breaker.get("enable")
        and is_rolling(service)
        and deployment["status"] == "PRIMARY"
        and deployment["rolloutState"] == "IN_PROGRESS"
        and deployment["failedTasks"] >= _breaker_threshold(service, breaker)
    ):
        _fail(service, deployment, bool(breaker.get("rollback")))


def _breaker_threshold(service: Document, breaker: Document) -> int:
    """How many failures are too many: half of the tasks, within bounds, unless configured otherwise."""
    threshold = breaker.get("thresholdConfiguration") or {"type": "BOUNDED_PERCENT", "value": 50}
    if threshold["type"] == "COUNT":
        return int(threshold["value"])
    share = math.ceil(int(service["desiredCount"]) * int(threshold["value"]) / 100)
    if threshold["type"] == "UNBOUNDED_PERCENT":
        return max(1, share)
    return min(LARGEST_THRESHOLD, max(SMALLEST_THRESHOLD, share))


def _fail(service: Document, deployment: Document, rollback: bool) -> None:
    """Give a deployment up; with rollback the most recent one that is COMPLETED becomes primary again.

    It may have no tasks left. While it is IN_PROGRESS for the second time nothing can be rolled back to it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html
    """
    reason = "ECS deployment circuit breaker: tasks failed to start."
    event(service, f"(deployment {deployment['id']}) deployment failed: tasks failed to start.")
    _set_rollout(service, deployment, "FAILED", reason)
    deployment["desiredCount"] = 0
    stable = service.get("_last_completed")
    rolls_back = rollback and stable is not None and stable["rolloutState"] == "COMPLETED"
    ecs_history.failed(service, reason, rolls_back)
    if rolls_back:
        event(service, f"rolling back to deployment {stable['id']}.")
        deployment["status"] = "ACTIVE"
        service["deployments"] = [stable, *(other for other in service["deployments"] if other is not stable)]
        service["taskDefinition"] = stable["taskDefinition"]
        stable |= {**_UNTRIED, "status": "PRIMARY", "desiredCount": service["desiredCount"], "failedTasks": 0}
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
            deployment = _deployment_of(service, task)
            if deployment is not None:
                _wait_longer(service, deployment)
                _count_failure(service, deployment)


def _start_missing(
    service: Document,
    primary: Document,
    definition: Document,
    own: Sequence[Task],
    old: Sequence[Task],
    launch: Launch,
    room: int,
) -> None:
    if primary["rolloutState"] == "FAILED" or time.monotonic() < primary["_pause_until"]:
        return
    desired = service["desiredCount"]
    maximum = service["deploymentConfiguration"].get("maximumPercent", 200)
    present = sum(task.wanted for task in own)
    allowed = max(1, desired * maximum // 100) - present - sum(task.wanted for task in old)
    missing = min(desired - present, allowed)
    if missing <= 0:
        return
    if missing > room:
        _not_placed(service, primary)
    names: list[str] = []
    for _ in range(min(missing, room)):
        if primary["rolloutState"] == "FAILED":
            break
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
    if names:
        event(service, f"has started {len(names)} tasks: {' '.join(names)}.")


def _not_placed(service: Document, deployment: Document) -> None:
    """There is no place for a task: no task stops, only the event and the count tell of it.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html
    """
    event(service, f"was unable to place a task. Reason: {TASK_QUOTA}.")
    _action(service, "ERROR", "SERVICE_TASK_PLACEMENT_FAILURE", reason="RESOURCE:FARGATE")
    _wait_longer(service, deployment)
    if not deployment["runningCount"]:
        _count_failure(service, deployment)


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
    serving = [task for task in own if task.wanted and task.healthy]
    if any(time.time() - task.record["startedAt"] >= SETTLING_SECONDS for task in serving):
        _runs_well(service, primary)
    steady = len(serving) == service["desiredCount"] == primary["runningCount"] and not alive
    if primary["rolloutState"] != "IN_PROGRESS":
        return
    if steady or _succeeds_early(service, len(serving), bool(alive)):
        service["deployments"] = [d for d in service["deployments"] if d is primary or d["id"] in alive]
        service["_last_completed"] = primary
        ecs_history.completed(service)
        _set_rollout(service, primary, "COMPLETED", f"ECS deployment {primary['id']} completed.")
        event(service, f"(deployment {primary['id']}) deployment completed.")
    if steady:
        event(service, "has reached a steady state.")
        _action(service, "INFO", "SERVICE_STEADY_STATE")


def _runs_well(service: Document, deployment: Document) -> None:
    """With a task that runs, ``failedTasks`` is zero and stays so, whatever happens to tasks from then on."""
    deployment["_ended"] = 0
    breaker = service["deploymentConfiguration"].get("deploymentCircuitBreaker") or {}
    if deployment["rolloutState"] != "FAILED" and breaker.get("resetOnHealthyTask", True):
        deployment |= {"failedTasks": 0, "_ran_well": True}


def _succeeds_early(service: Document, healthy: int, others_alive: bool) -> bool:
    """Whether the early success criteria are met: a share of the tasks, and the old ones gone if that is asked."""
    criteria = service["deploymentConfiguration"].get("earlySuccessCriteria") or {}
    if not criteria.get("enable"):
        return False
    needed = math.ceil(service["desiredCount"] * int(criteria["healthyPercent"]) / 100)
    return healthy >= needed and (criteria["sourceServiceRevisionCleanup"] == "DEFERRED" or not others_alive)


def _set_rollout(service: Document, deployment: Document, state: str, reason: str) -> None:
    deployment |= {"rolloutState": state, "rolloutStateReason": reason, "updatedAt": time.time()}
    detail = {
        "eventType": "ERROR" if state == "FAILED" else "INFO",
        "eventName": f"SERVICE_DEPLOYMENT_{state}",
        "deploymentId": deployment["id"],
        "updatedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "reason": reason,
    }
    emit("aws.ecs", "ECS Deployment State Change", [service["serviceArn"]], detail)


def _action(service: Document, kind: str, name: str, **more: str) -> None:
    """The event "ECS Service Action".

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_events.html
    """
    detail = {
        "eventType": kind,
        "eventName": name,
        "clusterArn": service["clusterArn"],
        "createdAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **more,
    }
    emit("aws.ecs", "ECS Service Action", [service["serviceArn"]], detail)
