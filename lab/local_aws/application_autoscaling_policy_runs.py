"""What one policy asks for when an alarm invokes it: from the alarm's data, before bounds, locks and other policies."""

from __future__ import annotations

import time
from dataclasses import dataclass

from local_aws import alarms
from local_aws.application_autoscaling_capacity import adjustment, stepped, tracked_in, tracked_out
from local_aws.application_autoscaling_records import STEP, TRACKING, Policy, Target
from local_aws.aws_protocol import Document, ServiceError


@dataclass(frozen=True)
class Wish:
    """The capacity that a policy asks for."""

    policy: Policy
    alarm: Document
    out: bool
    capacity: int
    began_with: int
    """The capacity that it was computed from."""

    @property
    def cause(self) -> str:
        """The Cause of the activity."""
        name, state = self.alarm["AlarmName"], self.alarm["StateValue"]
        return f"monitor alarm {name} in state {state} triggered policy {self.policy.name}"


def wish(target: Target, policy: Policy, alarm: Document, running: int) -> Wish | None:
    """What the policy asks for; None without data, and where it has nothing to say.

    It begins with the number of running tasks: "the actual running task count in a service is the value that Service
    Auto Scaling uses as its starting point, as opposed to the desired count" (ECS guide, service-auto-scaling). While
    the cooldown of a scale-out is in effect it begins where that one began: "the previous increase of 2 is considered
    part of the current capacity. Therefore, only 1 is added" (step-scaling-policy-overview).
    """
    values = _recent_values(alarm)
    if not values:
        return None
    during = target.last_out.before if target.last_out is not None and target.last_out.cooling_down else running
    if policy.kind == TRACKING:
        goal = float(policy.configuration["TargetValue"])
        if alarm["AlarmName"] == policy.high and values[0] > goal:
            return Wish(policy, alarm, True, tracked_out(during, values[0], goal), during)
        if alarm["AlarmName"] == policy.low and values[0] < goal and policy.scales_in:
            return Wish(policy, alarm, False, tracked_in(running, values[0], goal), running)
        return None
    return _step(policy, alarm, values, running, during) if policy.kind == STEP else None


def _step(policy: Policy, alarm: Document, values: list[float], running: int, during: int) -> Wish | None:
    configuration = policy.configuration
    aggregation = configuration.get("MetricAggregationType", "Average")
    value = {"Minimum": min(values), "Maximum": max(values), "Average": sum(values) / len(values)}[aggregation]
    above = alarm["ComparisonOperator"].startswith("GreaterThan")
    change = adjustment(configuration["StepAdjustments"], value - float(alarm["Threshold"]), above)
    if change is None:
        return None
    kind, least = configuration["AdjustmentType"], int(configuration.get("MinAdjustmentMagnitude", 0))
    begin = during if change > 0 and kind != "ExactCapacity" else running
    capacity = stepped(begin, kind, change, least)
    return None if capacity == begin else Wish(policy, alarm, capacity > begin, capacity, begin)


def _recent_values(alarm: Document) -> list[float]:
    """The data points that the alarm is judged by, newest first."""
    try:
        evaluation, _period = alarms.judge(alarm, time.time())
    except ServiceError:
        return []
    return [point.value for point in evaluation.considered]
