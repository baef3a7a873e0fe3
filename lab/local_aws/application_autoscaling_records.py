"""What Application Auto Scaling knows: scalable targets with their policies and scheduled actions, and activities.

Everything here is changed under ``lock``. Nobody may hold it while he calls the lab's own API: the thread that
answers the call may be waiting for it.
"""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ministack.core.responses import get_account_id, get_region

from local_aws.aws_protocol import Document, ServiceError

NAMESPACE = "ecs"
DIMENSION = "ecs:service:DesiredCount"
FLAGS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
STEP, TRACKING, PREDICTIVE = "StepScaling", "TargetTrackingScaling", "PredictiveScaling"
PENDING, IN_PROGRESS, SUCCESSFUL = "Pending", "InProgress", "Successful"
OVERRIDDEN, FAILED = "Overridden", "Failed"
# "Application Auto Scaling provides ... a default value of 300 for ... ECS services"
# (target-tracking-scaling-policy-overview); step-scaling-policy-overview has the same number.
DEFAULT_COOLDOWN = 300
KEPT_SECONDS = 42 * 86_400.0
"""Six weeks: how long an activity is known (the model's text of DescribeScalingActivities)."""

Item = TypeVar("Item")


@dataclass
class Policy:
    """A scaling policy. ``configuration`` is as it was given."""

    name: str
    arn: str
    kind: str
    configuration: Document
    high: str = ""
    low: str = ""
    """The names of the two alarms of a target tracking policy."""
    created: float = field(default_factory=time.time)

    def cooldown(self, out: bool) -> float:
        """For how many seconds an activity of this policy holds up the next one in the same direction."""
        name = "Cooldown" if self.kind == STEP else "ScaleOutCooldown" if out else "ScaleInCooldown"
        return float(self.configuration.get(name, DEFAULT_COOLDOWN))

    @property
    def scales_in(self) -> bool:
        """Whether a target tracking policy has its scale-in portion enabled."""
        return not self.configuration.get("DisableScaleIn", False)


@dataclass
class ScheduledAction:
    """A scheduled action. ``fields`` are the members of PutScheduledAction that can be changed."""

    name: str
    arn: str
    fields: Document
    next_run: float | None
    created: float = field(default_factory=time.time)


@dataclass
class Activity:
    """A scaling activity, or the decision not to scale."""

    resource: str
    description: str
    cause: str
    status: str
    message: str = ""
    capacity: int | None = None
    """What the desired count is set to; None if it is not about the desired count."""
    before: int = 0
    """The capacity that the decision began with."""
    cooldown: float = 0.0
    out: bool = False
    reason: Document | None = None
    """Why it was not scaled."""
    identifier: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: float = field(default_factory=time.time)
    ended: float | None = None

    @property
    def cooling_down(self) -> bool:
        """Whether it is under way, or its cooldown is: that begins when it has ended, if it did not fail."""
        return self.status != FAILED and (self.ended is None or time.time() < self.ended + self.cooldown)


@dataclass
class Target:
    """A scalable target."""

    resource: str
    arn: str
    minimum: int
    maximum: int
    suspended: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(FLAGS, False))
    tags: dict[str, str] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    actions: dict[str, ScheduledAction] = field(default_factory=dict)
    created: float = field(default_factory=time.time)
    bounds_due: bool = False
    """Whether the present capacity is still to be moved into the bounds."""
    resumed: bool = False
    """Whether policies are to be evaluated at once because a suspension ended."""
    last_out: Activity | None = None
    last_in: Activity | None = None
    """The newest activities of policies: whose cooldowns count."""
    not_scaled: Document | None = None
    """The reason that was recorded last, so that a run of the same is recorded once."""

    @property
    def service_key(self) -> str:
        """``cluster/service``, by which the lab's ECS knows the service."""
        return self.resource.partition("/")[2]


lock = threading.RLock()
targets: dict[str, Target] = {}
activities: list[Activity] = []


def clear() -> None:
    """Forget everything."""
    with lock:
        targets.clear()
        activities.clear()


def target_arn(resource: str) -> str:
    """The ARN that a service's target has or will have: IAM asks for it before there is one.

    Its id says nothing of the service, as on AWS.
    """
    identifier = hashlib.sha256(f"{NAMESPACE} {resource} {DIMENSION}".encode()).hexdigest()[:34]
    return f"arn:aws:application-autoscaling:{get_region()}:{get_account_id()}:scalable-target/{identifier}"


def unknown(what: str, request: Document, name: str = "") -> ServiceError:
    """The ObjectNotFoundException for what a request names."""
    named = f", {name}" if name else ""
    return ServiceError(
        "ObjectNotFoundException",
        f"No {what} for service namespace: {request['ServiceNamespace']}, resource ID: {request['ResourceId']}, "
        f"scalable dimension: {request['ScalableDimension']}{named}",
    )


def registered(request: Document) -> Target:
    """The target that a request is about, which must exist for everything but its registration."""
    target = targets.get(request["ResourceId"])
    if target is None:
        raise unknown("scalable target registered", request)
    return target


def identity(target: Target) -> Document:
    """The members by which every answer names the target."""
    return {"ServiceNamespace": NAMESPACE, "ResourceId": target.resource, "ScalableDimension": DIMENSION}


def selected(request: Document, items: Sequence[Item], resource_of: Callable[[Item], str], names: str) -> list[Item]:
    """What a Describe operation's filters leave of a list; ``names`` is the filter on resources."""
    if "ScalableDimension" in request and names not in request:
        words = "If you specify a scalable dimension, you must also specify a resource ID"
        raise ServiceError("ValidationException", words)
    if request["ServiceNamespace"] != NAMESPACE or request.get("ScalableDimension", DIMENSION) != DIMENSION:
        return []
    wanted = request.get(names)
    resources = wanted if isinstance(wanted, list) else [wanted]
    return [item for item in items if not wanted or resource_of(item) in resources]


def page(request: Document, items: Sequence[Item], most: int) -> tuple[list[Item], str | None]:
    """The part of a list that is asked for, and the token for the next one."""
    size = int(request.get("MaxResults", most))
    if not 1 <= size <= most:
        raise ServiceError("ValidationException", f"MaxResults must be between 1 and {most}")
    token = request.get("NextToken", "0")
    if not token.isdigit():
        raise ServiceError("InvalidNextTokenException", "The next token is not valid")
    start = int(token)
    more = start + size < len(items)
    return list(items[start : start + size]), str(start + size) if more else None
