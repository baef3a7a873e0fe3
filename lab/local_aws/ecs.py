"""ECS: services and tasks that really run, as local processes.

Replaced as a whole because ministack runs tasks only through Docker; without it a service is complete
at once, registers no targets, and no task ever fails.

Known deviations from AWS: a task is RUNNING once its containers listen on their ports; a replacement for a
failing task waits 2 s at most; a container's stopTimeout counts up to 5 s; capacity providers do not exist, and tasks
are placed wherever the lab is, unless a limit was set (``limit_tasks``). More in ``ecs_kinds``. Who changes desired
counts by himself is ``application_autoscaling``.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import alb, ecs

from local_aws import ecs_history, ecs_kinds, ecs_services, ecs_tasks
from local_aws.addresses import AddressPool, task_addresses
from local_aws.aws_protocol import JSON, Document, HttpResponse, ServiceError, call
from local_aws.ecs_tasks import Task
from local_aws.replacing import replace, replace_entry
from local_aws.settings import Settings

TICK = 0.05
KEPT_STOPPED_TASKS = 500
CHANGEABLE = (
    "capacityProviderStrategy",
    "enableExecuteCommand",
    "healthCheckGracePeriodSeconds",
    "loadBalancers",
    "networkConfiguration",
    "platformVersion",
    "propagateTags",
)
STARTS_DEPLOYMENT = ("capacityProviderStrategy", "loadBalancers", "networkConfiguration", "platformVersion")
logger = logging.getLogger("ecs")


class Scheduler:
    """Moves all tasks and services on, many times a second."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._addresses: AddressPool = task_addresses(settings)
        self.lock = threading.RLock()
        self.tasks: dict[str, Task] = {}
        self.most_tasks: int | None = None

    def run(self) -> None:
        """The scheduler's thread."""
        while True:
            time.sleep(TICK)
            with self.lock, request_scope(self._settings.account, self._settings.region):
                self.step()

    def step(self) -> None:
        """Advance every task, then every service."""
        for task in list(self.tasks.values()):
            wanted = task.wanted
            ecs_tasks.advance(task, self._addresses)
            if wanted and not task.wanted:
                self._ended(task)
        for service in ecs._services.values():
            tasks = self.of_service(service)
            if service["status"] != "INACTIVE":
                ecs_services.reconcile(service, tasks, self.launch, self.room())
            if service["status"] == "DRAINING" and not any(task.status != "STOPPED" for task in tasks):
                service["status"] = "INACTIVE"
        self._forget_old_tasks()
        for cluster in ecs._clusters.keys():
            ecs._recount_cluster(cluster)

    def room(self) -> int:
        """How many tasks can be placed."""
        if self.most_tasks is None:
            return sys.maxsize
        return max(0, self.most_tasks - sum(task.status != "STOPPED" for task in self.tasks.values()))

    def launch(self, task: Task) -> None:
        """Start a new task."""
        self.tasks[task.arn] = task
        ecs_tasks.start(task, self._addresses, self._settings)
        if not task.wanted:
            self._ended(task)

    def of_service(self, service: Document) -> list[Task]:
        """The tasks of a service, stopped ones too."""
        group = f"service:{service['serviceName']}"
        return [
            task
            for task in self.tasks.values()
            if task.record["group"] == group and task.record["clusterArn"] == service["clusterArn"]
        ]

    def clear(self) -> None:
        """End all tasks at once."""
        with self.lock:
            self.most_tasks = None
            for task in self.tasks.values():
                ecs_tasks.kill(task)
            self.tasks.clear()

    def _ended(self, task: Task) -> None:
        if task.service is None:
            return
        cluster = task.record["clusterArn"].rpartition("/")[2]
        service = ecs._services.get(f"{cluster}/{task.service}")
        if service is not None:
            ecs_services.task_ended(service, task)

    def _forget_old_tasks(self) -> None:
        stopped = [task for task in self.tasks.values() if task.status == "STOPPED"]
        for task in stopped[: max(0, len(stopped) - KEPT_STOPPED_TASKS)]:
            del self.tasks[task.arn]
            ecs._tasks.pop(task.arn, None)


scheduler: Scheduler | None = None


def _scheduler() -> Scheduler:
    assert scheduler is not None, "ecs.install was not called"
    return scheduler


def limit_tasks(most: int | None) -> None:
    """From now on place at most so many tasks at once, as a quota of AWS's does; None: any number."""
    with _scheduler().lock:
        _scheduler().most_tasks = most


# ---- operations ----------------------------------------------------------------------------------


def create_service(request: Document) -> Document:
    """CreateService."""
    cluster = _cluster(request)
    name = request["serviceName"]
    key = f"{cluster['clusterName']}/{name}"
    existing = ecs._services.get(key)
    if existing is not None and existing["status"] != "INACTIVE":
        raise ServiceError("InvalidParameterException", "Creation of service was not idempotent.")
    kind = ecs_kinds.kind_fields(request)
    definition = ""
    if "taskDefinition" in request or ecs_kinds.starts_tasks(kind):
        definition = _definition(request.get("taskDefinition", ""))["taskDefinitionArn"]
    balancers = request.get("loadBalancers", [])
    _check_load_balancers(balancers)
    arn = f"arn:aws:ecs:{get_region()}:{get_account_id()}:service/{key}"
    service: Document = {
        **kind,
        "serviceArn": arn,
        "serviceName": name,
        "clusterArn": cluster["clusterArn"],
        "status": "ACTIVE",
        "taskDefinition": definition or None,
        "runningCount": 0,
        "pendingCount": 0,
        "platformVersion": request.get("platformVersion", "LATEST"),
        "loadBalancers": balancers,
        "networkConfiguration": request.get("networkConfiguration"),
        "healthCheckGracePeriodSeconds": request.get("healthCheckGracePeriodSeconds", 0),
        "deployments": [],
        "events": [],
        "createdAt": time.time(),
        "enableExecuteCommand": request.get("enableExecuteCommand", False),
        "enableECSManagedTags": request.get("enableECSManagedTags", False),
        "propagateTags": request.get("propagateTags", "NONE"),
        "tags": request.get("tags", []),
    }
    ecs._tags[arn] = list(service["tags"])
    with _scheduler().lock:
        ecs_services.begin_deployment(service)
        ecs._services[key] = service
        return {"service": ecs_kinds.shown(service)}


def create_express_gateway_service(request: Document) -> Document:
    """CreateExpressGatewayService."""

    def record_of(arn: str) -> Document:
        return next(service for service in ecs._services.values() if service["serviceArn"] == arn)

    with _scheduler().lock:
        return ecs_kinds.create_express_gateway_service(request, create_service, record_of)


def update_service(request: Document) -> Document:
    """UpdateService: a new task definition, forceNewDeployment and a new network start a deployment."""
    with _scheduler().lock:
        service = _service(request)
        if service["status"] != "ACTIVE":
            raise ServiceError("ServiceNotActiveException", "Service was not ACTIVE.")
        ecs_kinds.check_update(service, request)
        changes = {name: request[name] for name in CHANGEABLE if name in request}
        _check_load_balancers(changes.get("loadBalancers", []))
        if "taskDefinition" in request:
            changes["taskDefinition"] = _definition(request["taskDefinition"])["taskDefinitionArn"]
        elif request.get("forceNewDeployment"):
            # "You can't use an INACTIVE task definition to ... update an existing service to reference": a new
            # deployment references it anew.
            _definition(service["taskDefinition"])
        if "desiredCount" in request:
            changes["desiredCount"] = int(request["desiredCount"])
        if "deploymentConfiguration" in request:
            changes["deploymentConfiguration"] = {
                **service["deploymentConfiguration"],
                **request["deploymentConfiguration"],
            }
        deploys = bool(request.get("forceNewDeployment")) or any(
            name in changes and changes[name] != service.get(name)
            for name in ("taskDefinition", *STARTS_DEPLOYMENT)
        )
        service.update(changes)
        if deploys:
            ecs_services.begin_deployment(service)
        primary = service["deployments"][0]
        primary["desiredCount"] = service["desiredCount"]
        primary["updatedAt"] = time.time()
        return {"service": ecs_kinds.shown(service)}


def delete_service(request: Document) -> Document:
    """DeleteService: refused above zero tasks unless forced; its tasks drain and stop."""
    with _scheduler().lock:
        service = _service(request)
        if service["status"] == "INACTIVE":
            raise ServiceError("ServiceNotFoundException", "Service not found.")
        if service["desiredCount"] > 0 and not request.get("force"):
            raise ServiceError(
                "InvalidParameterException", "The service cannot be stopped while it is scaled above 0."
            )
        service["desiredCount"] = 0
        service["status"] = "DRAINING"
        for task in _scheduler().of_service(service):
            ecs_tasks.stop(task, "Service deleted", "ServiceSchedulerInitiated")
        return {"service": ecs_kinds.shown(service)}


def describe_services(request: Document) -> Document:
    """DescribeServices: up to ten; what does not exist is a failure, not an error."""
    cluster = _cluster(request)
    if len(request.get("services", [])) > 10:
        raise ServiceError("InvalidParameterException", "Services cannot have more than 10 elements.")
    found, failures = [], []
    for reference in request.get("services", []):
        service = _find_service(cluster, reference)
        if service is None:
            arn = f"arn:aws:ecs:{get_region()}:{get_account_id()}:service/{cluster['clusterName']}/{reference}"
            failures.append({"arn": reference if reference.startswith("arn:") else arn, "reason": "MISSING"})
        else:
            tags = ecs._tags.get(service["serviceArn"], []) if "TAGS" in request.get("include", []) else None
            found.append({**ecs_kinds.shown(service), "tags": tags})
    return {"services": found, "failures": failures}


def list_service_deployments(request: Document) -> Document:
    """ListServiceDeployments."""
    with _scheduler().lock:
        return ecs_history.page(_service(request), request)


def run_task(request: Document) -> Document:
    """RunTask."""
    cluster = _cluster(request)
    definition = _definition(request["taskDefinition"])
    overrides = (request.get("overrides") or {}).get("containerOverrides", [])
    environment = {
        override["name"]: {pair["name"]: pair["value"] for pair in override.get("environment", [])}
        for override in overrides
    }
    with _scheduler().lock:
        tasks = [
            ecs_tasks.create(
                definition,
                cluster["clusterArn"],
                started_by=request.get("startedBy", ""),
                group=request.get("group") or f"family:{definition['family']}",
                environment=environment,
            )
            for _ in range(int(request.get("count", 1)))
        ]
        for task in tasks:
            _scheduler().launch(task)
        return {"tasks": [task.record for task in tasks], "failures": []}


def stop_task(request: Document) -> Document:
    """StopTask: a service starts another one in its place."""
    cluster = _cluster(request)
    record = ecs._resolve_task(request["task"], cluster["clusterName"])
    task = _scheduler().tasks.get(record["taskArn"]) if record else None
    if task is None:
        raise ServiceError("InvalidParameterException", "The referenced task was not found.")
    with _scheduler().lock:
        ecs_tasks.stop(task, request.get("reason", "Task stopped by user"), "UserInitiated")
        return {"task": task.record}


# ---- helpers -------------------------------------------------------------------------------------


def _cluster(request: Document) -> Document:
    name = ecs._resolve_cluster_name(request.get("cluster", "default"))
    cluster: Document | None = ecs._clusters.get(name) if name else None
    if cluster is None:
        raise ServiceError("ClusterNotFoundException", "Cluster not found.")
    return cluster


def _find_service(cluster: Document, reference: str) -> Document | None:
    resolved = ecs._resolve_service_ref(reference)
    if resolved is None or resolved[1] not in (None, cluster["clusterName"]):
        return None
    found: Document | None = ecs._services.get(f"{cluster['clusterName']}/{resolved[0]}")
    return found


def _service(request: Document) -> Document:
    service = _find_service(_cluster(request), request["service"])
    if service is None:
        raise ServiceError("ServiceNotFoundException", "Service not found.")
    return service


def _definition(reference: str) -> Document:
    definition: Document | None = ecs._task_defs.get(ecs._resolve_td_key(reference))
    if definition is None:
        raise ServiceError("ClientException", "Unable to find task definition.")
    if definition["status"] != "ACTIVE":
        raise ServiceError("ClientException", "TaskDefinition is inactive")
    return definition


def _check_load_balancers(balancers: list[Document]) -> None:
    for balancer in balancers:
        arn = balancer.get("targetGroupArn")
        group = alb._tgs.get(arn)
        if group is None:
            raise ServiceError("InvalidParameterException", f"Unable to find target group {arn}")
        if not group["LoadBalancerArns"]:
            raise ServiceError(
                "InvalidParameterException",
                f"The target group with targetGroupArn {arn} does not have an associated load balancer.",
            )


# ---- installation --------------------------------------------------------------------------------

OPERATIONS: tuple[tuple[str, str, Callable[[Document], Document]], ...] = (
    ("_create_service", "CreateService", create_service),
    ("_update_service", "UpdateService", update_service),
    ("_delete_service", "DeleteService", delete_service),
    ("_describe_services", "DescribeServices", describe_services),
    ("_list_service_deployments", "ListServiceDeployments", list_service_deployments),
    ("_run_task", "RunTask", run_task),
    ("_stop_task", "StopTask", stop_task),
)
NOT_IN_MINISTACK: tuple[tuple[str, Callable[[Document], Document]], ...] = (
    ("CreateExpressGatewayService", create_express_gateway_service),
)


def _operation(name: str, handler: Callable[[Document], Document]) -> Callable[[Document], HttpResponse]:
    def answer(data: Document) -> HttpResponse:
        # The answer is rendered under the lock: the scheduler changes the same records.
        with _scheduler().lock:
            return call("ecs", name, handler, JSON, data)

    return answer


def install(settings: Settings) -> None:
    """Replace services and tasks and start the scheduler."""
    global scheduler
    scheduler = Scheduler(settings)
    ecs_history.configure(settings)
    for function, name, handler in OPERATIONS:
        answer = _operation(name, handler)
        replace(ecs, function, answer, expects=("data",))
        replace_entry(ecs._ACTION_MAP, "ecs._ACTION_MAP", name, answer, expects=("data",))
    for name, handler in NOT_IN_MINISTACK:
        ecs._ACTION_MAP[name] = _operation(name, handler)
    replace(ecs, "_get_docker", _no_docker, expects=())
    original: Callable[[], Any] = ecs.reset

    def reset() -> None:
        _scheduler().clear()
        original()

    replace(ecs, "reset", reset, expects=())
    threading.Thread(target=scheduler.run, name="ecs-scheduler", daemon=True).start()


def _no_docker() -> None:
    """A Docker daemon that happens to run on the host must not be touched."""
