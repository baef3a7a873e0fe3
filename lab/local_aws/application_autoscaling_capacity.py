"""How much capacity a scaling policy asks for. Pure functions, after AWS's documentation.

https://docs.aws.amazon.com/autoscaling/application/userguide/step-scaling-policy-overview.html
https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

LOW_SHARE = 0.9
"""Scale-in begins "far enough below the target value (usually more than 10% lower)"."""


def tracked_out(capacity: int, value: float, target: float) -> int:
    """Target tracking, above the target: proportional, rounded up; from 0 "by the minimum possible amount"."""
    return 1 if capacity == 0 else math.ceil(capacity * value / target)


def tracked_in(capacity: int, value: float, target: float) -> int:
    """Target tracking, below the target: as few as keep the metric at the target, rounded up.

    "The service scales out proportionally to the metric as fast as it can, but scales in more gradually". By how
    much is not documented; here at most half of the tasks go at once, and at least one.
    """
    gradual = capacity - max(1, capacity // 2)
    return max(gradual, math.ceil(capacity * value / target), 0)


def adjustment(steps: Sequence[Mapping[str, Any]], beyond: float, above: bool) -> int | None:
    """The scaling adjustment for a metric that is ``beyond`` the alarm's threshold by so much.

    Above the threshold the lower bound of a step is inclusive and the upper one is not; below it is the other way
    round. None: no step is for this.
    """
    for step in steps:
        lower = step.get("MetricIntervalLowerBound", -math.inf)
        upper = step.get("MetricIntervalUpperBound", math.inf)
        if lower <= beyond < upper if above else lower < beyond <= upper:
            return int(step["ScalingAdjustment"])
    return None


def stepped(capacity: int, kind: str, change: int, least: int = 0) -> int:
    """What a step adjustment of an AdjustmentType makes of a capacity; ``least`` is MinAdjustmentMagnitude."""
    if kind == "ExactCapacity":
        return change
    if kind == "ChangeInCapacity":
        return max(0, capacity + change)
    exact = capacity * change / 100
    rounded = math.trunc(exact) if abs(exact) > 1 else (exact > 0) - (exact < 0)
    if change and abs(rounded) < least:
        rounded = int(math.copysign(least, change))
    return max(0, capacity + rounded)
