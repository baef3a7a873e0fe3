"""Where periods begin, how long they can be read and how many data points an answer has."""

from __future__ import annotations

import time
from typing import Any

import pytest

from local_aws.metric_periods import DAY, HOUR, first_period, is_kept
from local_aws.tests.support import Lab
from local_aws.tests.test_cloudwatch import BASE, NAMESPACE, get, put, stat

NOW = 1_800_000_000 // HOUR * HOUR


@pytest.mark.parametrize(
    ("age", "period", "expected"),
    [
        # The examples of the model's text of StartTime, as seconds after a full hour.
        (HOUR - 754, 60, 720),
        (HOUR - 754, 3600, 720),
        (HOUR - 323, 10, 320),
        (HOUR - 323, 5, 320),
        (HOUR - 323, 30, 300),
        (HOUR - 323, 1, 323),
        (20 * DAY + HOUR - 754, 300, 600),
        (70 * DAY + HOUR - 754, 3600, 0),
    ],
)
def test_start_is_rounded_down_as_documented(age: int, period: int, expected: int) -> None:
    start = NOW - age + 0.5
    assert first_period(start, period, NOW) == int(start) // HOUR * HOUR + expected


@pytest.mark.parametrize(
    ("age", "period", "kept"),
    [
        (3 * HOUR, 1, True),
        (3 * HOUR + 1, 30, False),
        (3 * HOUR + 1, 60, True),
        (15 * DAY + 1, 60, False),
        (15 * DAY + 1, 300, True),
        (63 * DAY + 1, 300, False),
        (63 * DAY + 1, 3600, True),
    ],
)
def test_what_is_old_has_only_long_periods(age: int, period: int, kept: bool) -> None:
    assert is_kept(NOW - age, period, NOW) is kept


def test_periods_are_counted_from_the_start(lab: Lab, unique: str) -> None:
    """boto/boto3#3457: a clock would begin five minutes elsewhere four times of five."""
    start = BASE - 1200 + (180 if BASE % 300 != 120 else 120)
    offset = start - BASE
    put(lab, unique, {offset + 10: 1.0, offset + 299: 2.0, offset + 300: 4.0})
    assert start % 300, "else the clock would give the same"
    # The seconds of StartTime are rounded away, its minutes are not.
    found = get(lab, stat("a", unique, period=300), StartTime=start + 59, EndTime=start + 600)
    assert found == {"a": [(offset, 3.0), (offset + 300, 4.0)]}
    query = {"Id": "filled", "Expression": "FILL(a, 0)"}
    hidden = {**stat("a", unique, period=300), "ReturnData": False}
    filled = get(lab, hidden, query, StartTime=start, EndTime=start + 900)
    assert filled == {"filled": [(offset, 3.0), (offset + 300, 4.0), (offset + 600, 0.0)]}


def test_short_periods_begin_on_their_own_grid(lab: Lab, unique: str) -> None:
    put(lab, unique, {4: 1.0, 6: 2.0, 11: 4.0})
    found = get(lab, stat("a", unique, period=5), StartTime=BASE + 7, EndTime=BASE + 15)
    assert found == {"a": [(5, 2.0), (10, 4.0)]}


def test_short_periods_cannot_be_read_from_a_start_three_hours_ago(lab: Lab, unique: str) -> None:
    put(lab, unique, {0: 1.0})
    old = int(time.time()) - 3 * HOUR - 60
    found = get(lab, stat("a", unique), stat("b", unique, period=60), StartTime=old, EndTime=BASE + 60)
    assert found["a"] == []
    assert [value for _, value in found["b"]] == [1.0]


def answer_of(lab: Lab, *queries: dict[str, Any], most: int) -> dict[str, Any]:
    found: dict[str, Any] = lab.client("cloudwatch").get_metric_data(
        MetricDataQueries=list(queries), StartTime=BASE, EndTime=BASE + 10, MaxDatapoints=most
    )
    return found


def test_there_is_no_next_page_with_metric_math(lab: Lab, unique: str) -> None:
    """The model's text of StatusCode: NextToken is not returned if you are performing a math expression."""
    put(lab, unique, {second: float(second) for second in range(5)})
    double = {"Id": "double", "Expression": "2 * a"}
    answer = answer_of(lab, {**stat("a", unique), "ReturnData": False}, double, most=2)
    assert [result["StatusCode"] for result in answer["MetricDataResults"]] == ["PartialData"]
    assert answer["MetricDataResults"][0]["Values"] == [8.0, 6.0]
    assert "NextToken" not in answer


def test_the_limit_of_data_points_is_that_of_the_whole_answer(lab: Lab, unique: str) -> None:
    for metric in (unique, f"{unique}-b"):
        put(lab, metric, {second: float(second) for second in range(5)})
    answer = answer_of(lab, stat("a", unique), stat("b", f"{unique}-b"), most=6)
    assert [len(result["Values"]) for result in answer["MetricDataResults"]] == [3, 3]
    assert "NextToken" in answer


def test_old_statistics_are_counted_from_the_start_as_well(lab: Lab, unique: str) -> None:
    put(lab, unique, {60: 1.0, 200: 2.0})
    found = lab.client("cloudwatch").get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName=unique,
        StartTime=BASE + 60,
        EndTime=BASE + 300,
        Period=120,
        Statistics=["Sum"],
    )["Datapoints"]
    assert sorted((int(point["Timestamp"].timestamp()) - BASE, point["Sum"]) for point in found) == [(60, 1.0), (180, 2.0)]
