"""What Application Auto Scaling does by itself: bounds, scheduled actions, policies that alarms invoke.

One thread, which begins with the first scalable target. It changes desired counts through the lab's ECS API with the
service-linked role, so that such a change is in the journal, can fail, and is the last word like anybody's:
UpdateService has no condition.

Where AWS's texts leave something open:

- A desired count outside the bounds that a policy meets: the ECS guide (service-auto-scaling, Considerations) is
  followed, by which a scale-out lifts it to the minimum and a scale-in cuts it to the maximum, but not the other way
  round. The concepts page of Application Auto Scaling has any invocation correct it.
- A policy begins with the number of running tasks. A scale-out that computes less than the desired count that
  somebody else has set leaves that alone.
- A scale-in waits for the cooldown of a scale-in, not for that of a scale-out.
- An ECS deployment stops the scale-in of policies, not that by new bounds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError
from ministack.core.responses import request_scope
from ministack.services import ecs

from local_aws import application_autoscaling_activities as activities
from local_aws import application_autoscaling_alarms as alarms_of_policies
from local_aws.application_autoscaling_policy_runs import Wish, wish
from local_aws.application_autoscaling_records import (
    TRACKING,
    Activity,
    Policy,
    Target,
    lock,
    targets,
)
from local_aws.application_autoscaling_scheduled_actions import schedule
from local_aws.application_autoscaling_targets import role_arn
from local_aws.aws_protocol import Document
from local_aws.ecs_kinds import EXTERNAL, controller
from local_aws.role_clients import client_as
from local_aws.settings import Settings

TICK = 0.1
LOG = logging.getLogger("application-autoscaling")

Invocation = tuple[str, str, float]
"""Alarm, ARN of the policy, when the alarm came into its state."""


@dataclass(frozen=True)
class Counts:
    """A service as it was read."""

    desired: int
    running: int
    deploying: bool


class Engine:
    """Acts on all targets, many times a second."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Filled by the thread that evaluates alarms, which holds their lock: it must wait for none of ours.
        self._transitions: deque[Invocation] = deque()
        self._invoked: dict[Invocation, float] = {}

    def run(self) -> None:
        """The thread."""
        while True:
            time.sleep(TICK)
            with request_scope(self._settings.account, self._settings.region):
                self.step()

    def alarm_acts(self, alarm: Document, policy: str) -> None:
        """An alarm has come into a state in which it invokes a policy."""
        self._transitions.append((alarm["AlarmName"], policy, alarm["StateTransitionedTimestamp"]))

    def step(self) -> None:
        """Look at every target once."""
        transitions = [self._transitions.popleft() for _ in range(len(self._transitions))]
        for target in list(targets.values()):
            service = ecs._services.get(target.service_key)
            if service is None or service["status"] != "ACTIVE":
                continue
            activities.follow(target, service)
            self._run_scheduled_actions(target)
            self._keep_bounds(target, service)
            self._run_policies(target, service, transitions)

    # ---- bounds ----------------------------------------------------------------------------------

    def _run_scheduled_actions(self, target: Target) -> None:
        now = time.time()
        planned = [(action.next_run, action) for action in list(target.actions.values()) if action.next_run is not None]
        for moment, action in sorted(planned, key=lambda entry: entry[0]):
            if moment > now:
                break
            action.next_run = schedule(action).next_run(now)
            # What is missed while scheduled scaling is suspended is not made up for
            # (application-auto-scaling-suspend-resume-scaling).
            if target.suspended["ScheduledScalingSuspended"]:
                continue
            wanted = action.fields["ScalableTargetAction"]
            words = [f"{kind} capacity to {wanted[name]}" for kind, name in _BOUNDS if name in wanted]
            cause = f"scheduled action name {action.name} was triggered"
            with lock:
                minimum = wanted.get("MinCapacity", target.minimum)
                maximum = wanted.get("MaxCapacity", target.maximum)
                if maximum < minimum:
                    failure = "Maximum capacity cannot be less than minimum capacity"
                    activities.bounds_set(target, " and ".join(words), cause, failure)
                    continue
                target.minimum, target.maximum, target.bounds_due = minimum, maximum, True
                activities.bounds_set(target, " and ".join(words), cause)

    def _keep_bounds(self, target: Target, service: Document) -> None:
        with lock:
            due, target.bounds_due = target.bounds_due, False
            minimum, maximum = target.minimum, target.maximum
        desired = int(service["desiredCount"])
        if due and desired < minimum:
            self._set(target, minimum, desired, f"minimum capacity was set to {minimum}")
        elif due and desired > maximum:
            self._set(target, maximum, desired, f"maximum capacity was set to {maximum}")

    # ---- policies --------------------------------------------------------------------------------

    def _run_policies(self, target: Target, service: Document, transitions: Sequence[Invocation]) -> None:
        with lock:
            resumed, target.resumed = target.resumed, False
            wishes: list[Wish] = []
            due: set[str] = set()
            for policy in target.policies.values():
                for alarm, invoked in self._alarms(policy, transitions):
                    if invoked or resumed:
                        due.add(alarm["AlarmName"])
                    made = wish(target, policy, alarm, int(service["runningCount"]))
                    if made is not None:
                        wishes.append(made)
            if not due:
                return
        self._decide(target, _counts(service), wishes, due)

    def _alarms(self, policy: Policy, transitions: Sequence[Invocation]) -> list[tuple[Document, bool]]:
        """The alarms that ask for a policy, and whether each invokes it now.

        "For Auto Scaling actions, the alarm continues to invoke the action once per minute that the alarm remains in
        the new state" (CloudWatch guide, AlarmThatSendsEmail).
        """
        now = time.monotonic()
        standing = {
            (alarm["AlarmName"], policy.arn, alarm["StateTransitionedTimestamp"]): alarm
            for alarm in alarms_of_policies.invoking(policy)
        }
        for invocation in transitions:
            alarm = alarms_of_policies.find(invocation[0])
            if invocation[1] == policy.arn and alarm is not None:
                standing.setdefault(invocation, alarm)
        gone = [key for key in self._invoked if key[1] == policy.arn and key not in standing]
        for key in gone:
            del self._invoked[key]
        found = []
        for key, alarm in standing.items():
            invoked = now - self._invoked.get(key, float("-inf")) >= self._settings.scaling_minute
            if invoked:
                self._invoked[key] = now
            found.append((alarm, invoked))
        return found

    def _decide(self, target: Target, counts: Counts, wishes: list[Wish], due: set[str]) -> None:
        """Act on the policy that asks for most, if it was invoked now.

        "If multiple scaling policies instruct the scalable target to scale out or in at the same time, Application
        Auto Scaling scales based on the policy that provides the largest capacity for both scale in and scale out"
        (target-tracking-scaling-policy-overview).
        """
        flags = target.suspended
        allowed = [
            each
            for each in wishes
            if not flags["DynamicScalingOutSuspended" if each.out else "DynamicScalingInSuspended"]
            and (each.out or each.policy.kind != TRACKING or _all_ready(target))
        ]
        if not allowed:
            return
        best = max(allowed, key=lambda each: (each.capacity, each.out))
        if best.alarm["AlarmName"] not in due:
            return
        (self._scale_out if best.out else self._scale_in)(target, counts, best)

    def _scale_out(self, target: Target, counts: Counts, best: Wish) -> None:
        desired = counts.desired
        capacity = min(target.maximum, max(target.minimum, best.capacity))
        if capacity > desired:
            target.last_in = None
            target.last_out = self._set(target, capacity, best.began_with, best.cause, best.policy.cooldown(True))
        elif desired >= target.maximum:
            reason = {"Code": "AlreadyAtMaxCapacity", "MaxCapacity": target.maximum}
            activities.not_scaled(target, best.cause, reason)
        elif target.last_out is None or not target.last_out.cooling_down:
            activities.not_scaled(target, best.cause, {"Code": "AlreadyAtDesiredCapacity", "CurrentCapacity": desired})

    def _scale_in(self, target: Target, counts: Counts, best: Wish) -> None:
        desired = counts.desired
        capacity = max(target.minimum, min(target.maximum, best.capacity))
        if counts.deploying:
            activities.not_scaled(target, best.cause, {"Code": "TargetServicePutResourceAsUnscalable"})
        elif target.last_in is not None and target.last_in.cooling_down:
            return
        elif desired <= target.minimum:
            reason = {"Code": "AlreadyAtMinCapacity", "MinCapacity": target.minimum}
            activities.not_scaled(target, best.cause, reason)
        elif capacity < desired:
            target.last_in = self._set(target, capacity, desired, best.cause, best.policy.cooldown(False))
        else:
            code = "AutoScalingAnticipatedFlapping" if best.policy.kind == TRACKING else "AlreadyAtDesiredCapacity"
            activities.not_scaled(target, best.cause, {"Code": code, "CurrentCapacity": desired})

    def _set(self, target: Target, capacity: int, before: int, cause: str, cooldown: float = 0.0) -> Activity:
        activity = activities.begin(target, capacity, before, cooldown=cooldown, cause=cause)
        target.not_scaled = None
        cluster, _, service = target.service_key.partition("/")
        client = client_as(role_arn(), self._settings.endpoint, self._settings.region, "ecs")
        try:
            client.update_service(cluster=cluster, service=service, desiredCount=capacity)
        except (ClientError, BotoCoreError) as error:
            LOG.warning("%s: the desired count could not be set: %s", target.resource, error)
            activities.refused(activity, str(error))
        else:
            activities.accepted(activity)
        return activity


_BOUNDS = (("min", "MinCapacity"), ("max", "MaxCapacity"))


def _all_ready(target: Target) -> bool:
    """Whether "all of the target tracking policies (with the scale-in portion enabled) are ready to scale in"."""
    alarms = [
        alarms_of_policies.find(policy.low)
        for policy in list(target.policies.values())
        if policy.kind == TRACKING and policy.scales_in
    ]
    return all(alarm is not None and alarm["StateValue"] == "ALARM" for alarm in alarms)


def _counts(service: Document) -> Counts:
    deployments = service["deployments"]
    under_way = len(deployments) > 1 or any(deployment["rolloutState"] == "IN_PROGRESS" for deployment in deployments)
    # "This behavior does not apply to Amazon ECS services using the external deployment controller"
    # (service-auto-scaling).
    deploying = under_way and controller(service) != EXTERNAL
    return Counts(int(service["desiredCount"]), int(service["runningCount"]), deploying)


_engine: Engine | None = None


def start(settings: Settings) -> Engine:
    """The engine, whose thread begins with the first call."""
    global _engine
    if _engine is None:
        _engine = Engine(settings)
        threading.Thread(target=_engine.run, name="application-autoscaling", daemon=True).start()
    return _engine
