"""The life of one ECS task: its record as the API shows it, its processes, its targets.

    PROVISIONING -> PENDING -> RUNNING -> DEACTIVATING (targets drain) -> STOPPING -> STOPPED

Everything here runs under the scheduler's lock and never waits: the scheduler calls ``advance`` often.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import ecs

from local_aws import ecr, journal
from local_aws.addresses import AddressPool
from local_aws.aws_protocol import Document
from local_aws.elbv2_targets import deregistration_delay
from local_aws.service_events import emit
from local_aws.settings import Settings
from local_aws.targets import DRAINING, HEALTHY, UNHEALTHY, registry
from local_aws.task_process import CannotStart, ContainerProcess, digest_of, parse_image

# A container that ends before it has started shows as never having been RUNNING, as on AWS. Here it has started
# once it listens: how long a process needs for that is up to how busy the machine is, and a task that were RUNNING
# before would fail its first health checks, or count as one that ran although it crashed as it started.
STARTUP_SECONDS = 0.3
"""Of a container without a port, and before one with a port is asked."""
LONGEST_STARTUP_SECONDS = 60.0
"""Of a container that does not listen on the port that its definition names."""
# The stopTimeout of a container is honoured up to here, so that a lab does not wait for 30 s.
LONGEST_STOP_SECONDS = 5.0
DEFAULT_STOP_SECONDS = 30.0

_resolved: dict[tuple[str, str], str] = {}
"""What the first task of a deployment has established for the others, by deployment and image."""


@dataclass
class Task:
    """One task. ``record`` is what DescribeTasks answers."""

    record: Document
    definition: Document
    load_balancers: Sequence[Document]
    environment: Mapping[str, Mapping[str, str]]
    """Container name to the environment that its overrides add."""
    service: str | None
    deployment: str | None
    address: str = ""
    containers: list[ContainerProcess] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    """Container name to the digest of its image, where that is in ECR."""
    started: float = 0.0
    stop_after: float = 0.0
    """While DEACTIVATING: when the targets have drained. While STOPPING: when to kill."""

    @property
    def arn(self) -> str:
        """The task's ARN."""
        return str(self.record["taskArn"])

    @property
    def status(self) -> str:
        """The lastStatus."""
        return str(self.record["lastStatus"])

    @property
    def wanted(self) -> bool:
        """Whether nobody decided yet to stop it."""
        return bool(self.record["desiredStatus"] == "RUNNING")

    @property
    def running(self) -> bool:
        """Whether it is RUNNING."""
        return self.status == "RUNNING"

    def targets(self) -> list[tuple[str, tuple[str, int]]]:
        """Group ARN and address of each target that this task is."""
        return [
            (balancer["targetGroupArn"], (self.address, int(balancer["containerPort"])))
            for balancer in self.load_balancers
        ]

    def target_states(self) -> list[str]:
        """The health of its targets in those groups that are attached to a load balancer."""
        states = []
        for arn, key in self.targets():
            group = registry.group(arn)
            if group.attached:
                target = group.targets.get(key)
                states.append(target.state if target else DRAINING)
        return states

    @property
    def healthy(self) -> bool:
        """Whether it runs and all load balancers find it healthy."""
        return self.running and all(state == HEALTHY for state in self.target_states())

    @property
    def unhealthy(self) -> bool:
        """Whether a load balancer found it unhealthy."""
        return self.running and UNHEALTHY in self.target_states()


def create(
    definition: Document,
    cluster_arn: str,
    *,
    service: Document | None = None,
    deployment: str | None = None,
    started_by: str = "",
    group: str = "",
    environment: Mapping[str, Mapping[str, str]] | None = None,
) -> Task:
    """Make the record of a new task."""
    cluster = cluster_arn.rpartition("/")[2]
    arn = f"arn:aws:ecs:{get_region()}:{get_account_id()}:task/{cluster}/{uuid.uuid4().hex}"
    now = time.time()
    record: Document = {
        "taskArn": arn,
        "clusterArn": cluster_arn,
        "taskDefinitionArn": definition["taskDefinitionArn"],
        "lastStatus": "PROVISIONING",
        "desiredStatus": "RUNNING",
        "launchType": (service or {}).get("launchType") or "FARGATE",
        "cpu": str(definition.get("cpu", "256")),
        "memory": str(definition.get("memory", "512")),
        "connectivity": "CONNECTED",
        "createdAt": now,
        "group": group,
        "startedBy": started_by,
        "version": 1,
        "containers": [
            {
                "containerArn": f"{arn.replace(':task/', ':container/')}/{uuid.uuid4()}",
                "taskArn": arn,
                "name": container["name"],
                "image": _shown(container["image"], deployment),
                "lastStatus": "PENDING",
            }
            for container in definition["containerDefinitions"]
        ],
        "attachments": [],
        "availabilityZone": f"{get_region()}a",
        "healthStatus": "UNKNOWN",
        "tags": [],
    }
    ecs._tasks[arn] = record
    return Task(
        record=record,
        definition=definition,
        load_balancers=(service or {}).get("loadBalancers") or [],
        environment=environment or {},
        service=(service or {}).get("serviceName"),
        deployment=deployment,
    )


def _shown(image: str, deployment: str | None) -> str:
    """The first task of a deployment resolves the tags; ECS gives the later ones the digest too, and shows it."""
    digest = _resolved.get((deployment, image)) if deployment else None
    return image if digest is None or "@" in image else f"{image}@{digest}"


def start(task: Task, addresses: AddressPool, settings: Settings) -> None:
    """Start the processes of a new task."""
    task.address = addresses.lease()
    task.record["attachments"] = [
        {
            "id": str(uuid.uuid4()),
            "type": "ElasticNetworkInterface",
            "status": "ATTACHED",
            "details": [{"name": "privateIPv4Address", "value": task.address}],
        }
    ]
    task.started = time.monotonic()
    _set_status(task, "PENDING")
    task.record["pullStartedAt"] = time.time()
    identifier = task.arn.rpartition("/")[2]
    try:
        for container in task.definition["containerDefinitions"]:
            environment = {pair["name"]: pair["value"] for pair in container.get("environment") or []}
            environment |= ecs._resolve_container_secrets(container)
            environment |= task.environment.get(container["name"], {})
            log = settings.data_directory / "tasks" / f"{identifier}-{container['name']}.log"
            # By the digest that the deployment's first task has found, whatever its tag stands for by now.
            digest = ecr.pull(_shown(container["image"], task.deployment))
            if digest is not None:
                task.digests[container["name"]] = digest
            task.containers.append(ContainerProcess(container, environment, task.address, settings, log))
    except (CannotStart, ecr.CannotPull, ecs._SecretResolutionError) as error:
        stop(task, str(error), "TaskFailedToStart")
        return
    _journal(task, "started", None)


def advance(task: Task, addresses: AddressPool) -> None:
    """Move the task on as far as time and its processes allow."""
    now = time.monotonic()
    if task.wanted:
        ended = [container for container in task.containers if container.essential and container.exit_code is not None]
        if ended:
            stop(task, "Essential container in task exited", "EssentialContainerExited")
        elif task.status == "PENDING" and _has_started(task, now - task.started):
            _become_running(task)
    if task.status == "DEACTIVATING" and now >= task.stop_after and not _owes_an_answer(task):
        _terminate(task)
    if task.status == "STOPPING":
        alive = [container for container in task.containers if container.exit_code is None]
        if not alive:
            _finish(task, addresses)
        elif now >= task.stop_after:
            for container in alive:
                container.kill()


def stop(task: Task, reason: str, code: str) -> None:
    """Decide that the task stops: first its targets drain, then its processes end."""
    if not task.wanted:
        return
    task.record |= {
        "desiredStatus": "STOPPED",
        "stoppingAt": time.time(),
        "stoppedReason": reason,
        "stopCode": code,
    }
    longest = 0.0
    for arn, key in task.targets():
        target = registry.group(arn).targets.get(key)
        if target is not None:
            delay = deregistration_delay(arn)
            registry.deregister(arn, [key], delay)
            longest = max(longest, delay if registry.group(arn).attached else 0.0)
    ended = all(container.exit_code is not None for container in task.containers)
    task.stop_after = time.monotonic() + (0.0 if ended else longest)
    _set_status(task, "DEACTIVATING")


def kill(task: Task) -> None:
    """End everything at once, for a reset of the server."""
    for container in task.containers:
        container.kill()


def _has_started(task: Task, age: float) -> bool:
    if age < STARTUP_SECONDS:
        return False
    return age >= LONGEST_STARTUP_SECONDS or all(container.listens is not False for container in task.containers)


def _become_running(task: Task) -> None:
    now = time.time()
    task.record |= {"startedAt": now, "pullStoppedAt": now}
    for container in task.record["containers"]:
        container["lastStatus"] = "RUNNING"
        container["imageDigest"] = task.digests.get(container["name"]) or digest_of(container["image"])
        if task.deployment:
            _resolved.setdefault((task.deployment, container["image"].partition("@")[0]), container["imageDigest"])
    _set_status(task, "RUNNING")
    for arn, key in task.targets():
        registry.register(arn, [key])
    _journal(task, "running", None)


def _owes_an_answer(task: Task) -> bool:
    """On AWS a request has the whole deregistration delay, 300 s where nobody changed it. A lab's groups drain for a
    second, and a busy machine may need longer for what was sent before: it would be a 502 through nobody's fault. The
    load balancer itself gives up after 60 s."""
    return any(container.exit_code is None for container in task.containers) and any(
        registry.answers(key) for _, key in task.targets()
    )


def _terminate(task: Task) -> None:
    for container in task.containers:
        container.terminate()
    wanted = [float(c.get("stopTimeout") or DEFAULT_STOP_SECONDS) for c in task.definition["containerDefinitions"]]
    task.stop_after = time.monotonic() + min(max(wanted), LONGEST_STOP_SECONDS)
    _set_status(task, "STOPPING")


def _finish(task: Task, addresses: AddressPool) -> None:
    now = time.time()
    task.record |= {"stoppedAt": now, "executionStoppedAt": now}
    codes = {container.name: container.exit_code for container in task.containers}
    for container in task.record["containers"]:
        container["lastStatus"] = "STOPPED"
        if codes.get(container["name"]) is not None:
            container["exitCode"] = codes[container["name"]]
    if task.address:
        addresses.release(task.address)
    _set_status(task, "STOPPED")
    _journal(task, "stopped", next((code for code in codes.values() if code is not None), None))


def _set_status(task: Task, status: str) -> None:
    task.record["lastStatus"] = status
    task.record["version"] += 1
    emit("aws.ecs", "ECS Task State Change", [task.arn], {name: _in_event(name, value) for name, value in task.record.items()})


def _in_event(name: str, value: Any) -> Any:
    """Events carry timestamps as text, the API as numbers."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(value)) if name.endswith("At") else value


def _journal(task: Task, event: str, exit_code: int | None) -> None:
    first = task.definition["containerDefinitions"][0]
    journal.write(
        kind="task",
        event=event,
        task=task.arn,
        cluster=task.record["clusterArn"].rpartition("/")[2],
        service=task.service,
        version=parse_image(first["image"]).tag,
        taskDefinition=task.record["taskDefinitionArn"].rpartition("/")[2],
        deployment=task.deployment,
        address=task.address,
        reason=task.record.get("stoppedReason"),
        stopCode=task.record.get("stopCode"),
        exitCode=exit_code,
    )
