"""Which state an alarm's data points mean. Pure functions, after AWS's documentation.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from local_aws.aws_protocol import Document

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
# CloudWatch looks at more periods than the alarm asks for, so that late data is not missing data.
EXTRA_PERIODS = 2
COMPARISONS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")


@dataclass(frozen=True)
class Datapoint:
    """One data point of an alarm."""

    timestamp: int
    value: float


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found."""

    state: str
    reason: str
    considered: tuple[Datapoint, ...]
    """Newest first."""


def evaluate(alarm: Document, slots: Sequence[Datapoint | None]) -> Evaluation:
    """Judge the data points of the evaluation range, given newest first, None where data is missing."""
    periods = int(alarm["EvaluationPeriods"])
    needed = int(alarm.get("DatapointsToAlarm") or periods)
    treatment = alarm.get("TreatMissingData", "missing")
    compare, words = COMPARISONS[alarm["ComparisonOperator"]]
    threshold = float(alarm["Threshold"])
    real = tuple(point for point in slots if point is not None)[:periods]
    breaching = [point for point in real if compare(point.value, threshold)]
    missing = periods - len(real)
    age_of_oldest = max((slots.index(point) + 1 for point in breaching), default=0)
    state = _state(
        alarm["StateValue"], treatment, needed, len(real), len(breaching), missing, age_of_oldest
    )
    return Evaluation(state, _reason(state, real, breaching, needed, periods, missing, treatment, words, threshold), real)


def _state(
    current: str, treatment: str, needed: int, real: int, breaching: int, missing: int, age_of_oldest: int
) -> str:
    if treatment == "breaching" and missing:
        return ALARM if breaching + missing >= needed else OK
    if breaching >= needed:
        return ALARM
    if treatment == "notBreaching" or missing == 0 or breaching < real:
        return OK
    if real == 0:
        return current if treatment == "ignore" else INSUFFICIENT_DATA
    # Too few data points, and all of them breach. Under "missing" the alarm goes off once the oldest
    # is old enough; until then, and always under "ignore", it stays what it is.
    return ALARM if treatment == "missing" and age_of_oldest >= needed else current


def _reason(
    state: str,
    real: Sequence[Datapoint],
    breaching: Sequence[Datapoint],
    needed: int,
    periods: int,
    missing: int,
    treatment: str,
    words: str,
    threshold: float,
) -> str:
    if not real:
        plural = "s were" if periods > 1 else " was"
        if state == INSUFFICIENT_DATA:
            return f"Insufficient Data: {periods} datapoint{plural} unknown."
        kind = {"breaching": "Breaching", "notBreaching": "NonBreaching"}.get(treatment, "missing")
        return (
            f"Threshold Crossed: no datapoints were received for {periods} period{'s' if periods > 1 else ''} "
            f"and {missing} missing datapoint{'s were' if missing > 1 else ' was'} treated as [{kind}]."
        )
    shown = breaching if state == ALARM and breaching else real
    values = ", ".join(f"{point.value} ({_moment(point.timestamp)})" for point in shown)
    negation = "" if state == ALARM else "not "
    were = f"{'were' if len(shown) > 1 else 'was'} {negation}"
    direction = "OK -> ALARM" if state == ALARM else "ALARM -> OK"
    return (
        f"Threshold Crossed: {len(shown)} out of the last {periods} datapoints [{values}] {were}{words} the "
        f"threshold ({threshold}) (minimum {needed} datapoint{'s' if needed > 1 else ''} for {direction} transition)."
    )


def _moment(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, tz=timezone.utc).strftime("%d/%m/%y %H:%M:%S")
