"""Scheduled actions, and how much a policy's numbers are.

Pages are those of the Application Auto Scaling User Guide.
"""

from __future__ import annotations

import math
import time
from datetime import datetime, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.application_autoscaling_capacity import adjustment, stepped, tracked_in, tracked_out
from local_aws.application_autoscaling_schedules import Schedule, ScheduleError
from local_aws.tests.scaling import Scaled, above
from local_aws.tests.support import Lab, wait_for


def put(service: Scaled, name: str, **fields: Any) -> None:
    service.scaling.put_scheduled_action(**service.identity, ScheduledActionName=name, **fields)


def described(service: Scaled) -> list[dict[str, Any]]:
    where = {"ServiceNamespace": "ecs", "ResourceId": service.identity["ResourceId"]}
    return list(service.scaling.describe_scheduled_actions(**where)["ScheduledActions"])


def soon() -> str:
    """A one-time schedule in a moment, but not before it has been put."""
    return time.strftime("at(%Y-%m-%dT%H:%M:%S)", time.gmtime(time.time() + 4))


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def shown(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat()[:19]


def test_a_scheduled_action_sets_the_bounds_for_good(lab: Lab, unique: str) -> None:
    # scheduled-scaling-policy-overview; describe-scheduled-scaling has the texts; a cooldown does not matter.
    service = Scaled(lab, unique, count=1, MinCapacity=1, MaxCapacity=2)
    put(service, "morning", Schedule=soon(), ScalableTargetAction={"MinCapacity": 3, "MaxCapacity": 5})
    service.runs(3)
    assert service.bounds() == (3, 5)
    assert service.causes() == [
        ("Setting min capacity to 3 and max capacity to 5", "scheduled action name morning was triggered"),
        ("Setting desired count to 3.", "minimum capacity was set to 3"),
    ]
    put(service, "evening", Schedule=soon(), ScalableTargetAction={"MinCapacity": 0})
    wait_for(lambda: service.bounds() == (0, 5))
    put(service, "night", Schedule=soon(), ScalableTargetAction={"MaxCapacity": 1})
    service.runs(1)
    assert service.causes()[-1] == ("Setting desired count to 1.", "maximum capacity was set to 1")
    assert service.bounds() == (0, 1)


def test_a_bound_beyond_the_other_one_fails(lab: Lab, unique: str) -> None:
    # scheduled-scaling-policy-overview: "you must include both sizes to ensure that the new minimum capacity is not
    # greater than the maximum capacity".
    service = Scaled(lab, unique, count=0, MinCapacity=0, MaxCapacity=2)
    put(service, "peak", Schedule=soon(), ScalableTargetAction={"MinCapacity": 3})
    wait_for(lambda: [activity["StatusCode"] for activity in service.activities()] == ["Failed"])
    assert service.bounds() == (0, 2)


def test_what_is_missed_while_suspended_is_not_made_up_for(lab: Lab, unique: str) -> None:
    # application-auto-scaling-suspend-resume-scaling: "only evaluates scheduled actions whose execution time has not
    # yet passed".
    held = Scaled(lab, unique, count=0)
    free = Scaled(lab, f"{unique}-free", count=0)
    held.register(SuspendedState={"ScheduledScalingSuspended": True})
    at = soon()
    for service in (held, free):
        put(service, "morning", Schedule=at, ScalableTargetAction={"MinCapacity": 1})
    free.comes_to(1)
    held.register(SuspendedState={"ScheduledScalingSuspended": False})
    put(held, "later", Schedule=soon(), ScalableTargetAction={"MaxCapacity": 7})
    wait_for(lambda: held.bounds()[1] == 7)
    assert held.bounds() == (0, 7)
    assert held.desired() == 0


def test_an_action_that_is_put_again_keeps_all_but_its_times(lab: Lab, unique: str) -> None:
    # The model of PutScheduledAction: "If you don't specify start and end times, the old values are deleted."
    service = Scaled(lab, unique, count=0)
    times = {"StartTime": time.time() + 3600, "EndTime": time.time() + 7200}
    put(service, "daily", Schedule="rate(1 day)", ScalableTargetAction={"MinCapacity": 2}, **times)
    (action,) = described(service)
    assert {"StartTime", "EndTime"} <= set(action)
    assert ":scheduledAction:" in action["ScheduledActionARN"]
    put(service, "daily", Timezone="Europe/Berlin")
    (again,) = described(service)
    assert not {"StartTime", "EndTime"} & set(again)
    assert (again["Schedule"], again["Timezone"]) == ("rate(1 day)", "Europe/Berlin")
    assert again["ScalableTargetAction"] == {"MinCapacity": 2}
    assert again["ScheduledActionARN"] == action["ScheduledActionARN"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"Schedule": "rate(5 seconds)"},
        {"Schedule": "cron(* * * * * *)"},
        {"Schedule": "at(2030-02-30T00:00:00)"},
        {"Schedule": "cron(0 8 * * ? *)", "Timezone": "Mars/Olympus"},
        {"ScalableTargetAction": {}},
        {"ScalableTargetAction": {"MinCapacity": 3, "MaxCapacity": 2}},
    ],
)
def test_an_action_that_aws_refuses_is_refused(lab: Lab, unique: str, wrong: dict[str, Any]) -> None:
    service = Scaled(lab, unique, count=0)
    with pytest.raises(ClientError) as error:
        put(service, "x", **{"Schedule": "rate(1 day)", "ScalableTargetAction": {"MinCapacity": 1}, **wrong})
    assert error.value.response["Error"]["Code"] == "ValidationException"
    assert described(service) == []


# scheduled-scaling-using-cron-expressions: the table of examples, time zones, and seven fields.
@pytest.mark.parametrize(
    ("expression", "zone", "expected"),
    [
        ("cron(0 10 * * ? *)", "UTC", "2026-11-28T10:00:00"),
        ("cron(0 18 ? * MON-FRI *)", "UTC", "2026-11-30T18:00:00"),
        ("cron(0 8 1 * ? *)", "UTC", "2026-12-01T08:00:00"),
        ("cron(0/15 * * * ? *)", "UTC", "2026-11-28T08:30:00"),
        ("cron(30 6 ? * MON *)", "America/New_York", "2026-11-30T11:30:00"),
        ("cron(0/20 20 8 * * ? *)", "UTC", "2026-11-28T08:20:40"),
        ("at(2026-11-28T9:36:00)", "Asia/Tokyo", None),
        ("at(2026-11-28T9:36:00)", "UTC", "2026-11-28T09:36:00"),
    ],
)
def test_when_a_schedule_runs_next(expression: str, zone: str, expected: str | None) -> None:
    assert shown(Schedule(expression, zone).next_run(moment("2026-11-28T08:20:30"))) == expected


def test_a_daily_schedule_follows_daylight_saving_time() -> None:
    schedule = Schedule("cron(0 8 * * ? *)", "Europe/Berlin")
    saturday = schedule.next_run(moment("2026-10-23T12:00:00"))
    assert saturday is not None
    assert (shown(saturday), shown(schedule.next_run(saturday))) == ("2026-10-24T06:00:00", "2026-10-25T07:00:00")


def test_a_start_time_is_the_first_run_and_after_the_end_there_is_none() -> None:
    # scheduled-scaling-using-cron-expressions: "performs the action at this time, and then ... on the specified
    # recurrence"; "the action stops repeating after this time".
    start, end = moment("2026-11-28T09:07:00"), moment("2026-11-28T09:18:00")
    schedule = Schedule("rate(5 minutes)", start=start, end=end)
    runs = [schedule.next_run(moment("2026-11-28T08:00:00"))]
    while runs[-1] is not None:
        runs.append(schedule.next_run(runs[-1]))
    assert [shown(run) for run in runs] == ["2026-11-28T09:07:00", "2026-11-28T09:12:00", "2026-11-28T09:17:00", None]
    with pytest.raises(ScheduleError):
        Schedule("every monday").next_run(0.0)


# step-scaling-policy-overview, the two tables and what follows from them.
OUT = [above(0, 0, 10), above(10, 10, 20), above(30, 20)]
IN = [
    {"MetricIntervalLowerBound": -10, "MetricIntervalUpperBound": 0, "ScalingAdjustment": 0},
    {"MetricIntervalLowerBound": -20, "MetricIntervalUpperBound": -10, "ScalingAdjustment": -10},
    {"MetricIntervalUpperBound": -20, "ScalingAdjustment": -30},
]


@pytest.mark.parametrize(
    ("steps", "metric", "capacity", "expected"),
    [(OUT, 59.9, 10, 10), (OUT, 60, 10, 11), (OUT, 70, 11, 14), (IN, 40.1, 14, 14), (IN, 40, 14, 13), (IN, 30, 13, 10)],
)
def test_the_documented_example_of_steps(
    steps: list[dict[str, Any]], metric: float, capacity: int, expected: int
) -> None:
    change = adjustment(steps, metric - 50, above=steps is OUT)
    assert change is not None
    assert stepped(capacity, "PercentChangeInCapacity", change) == expected


@pytest.mark.parametrize(
    ("percent", "least", "expected"), [(127, 0, 22), (6, 0, 11), (-5, 0, 9), (-66, 0, 4), (25, 4, 14), (0, 3, 10)]
)
def test_percentages_are_rounded_as_documented(percent: int, least: int, expected: int) -> None:
    # step-scaling-policy-overview, Scaling adjustment types; the model of MinAdjustmentMagnitude.
    assert stepped(10, "PercentChangeInCapacity", percent, least) == expected


def test_no_step_for_a_metric_is_no_change() -> None:
    assert adjustment([above(1, 10)], 5, above=True) is None
    assert (stepped(3, "ChangeInCapacity", 5), stepped(3, "ExactCapacity", 5)) == (8, 5)


@pytest.mark.parametrize(
    ("capacity", "value", "expected"), [(2, 15.0, 3), (2, 15.1, 4), (3, 1000.0, 300), (0, 99.0, 1)]
)
def test_target_tracking_adds_in_proportion_and_rounds_up(capacity: int, value: float, expected: int) -> None:
    # target-tracking-scaling-policy-overview: "adding 1.5 instances ... we round up and add two instances".
    assert tracked_out(capacity, value, 10.0) == expected


@pytest.mark.parametrize(("capacity", "value", "expected"), [(6, 0.0, 3), (1, 0.0, 0), (5, 8.5, 5), (4, 7.0, 3)])
def test_target_tracking_never_removes_what_keeps_the_metric_at_the_target(
    capacity: int, value: float, expected: int
) -> None:
    # target-tracking-scaling-policy-overview: "if we determine that removing 0.5 instances increases your CPU
    # utilization to above 50 percent, we will choose not to scale-in".
    assert tracked_in(capacity, value, 10.0) == expected
    assert math.isclose(value, 0.0) or capacity * value / max(expected, 1) <= 10.0
