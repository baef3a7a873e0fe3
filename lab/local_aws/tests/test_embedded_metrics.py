"""Metrics out of lines of logs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from local_aws.embedded_metrics import Malformed, extract
from local_aws.tests.support import Lab

Change = Callable[[dict[str, Any]], Any]


def line(**more: Any) -> dict[str, Any]:
    metrics = [{"Name": "Sweeps", "Unit": "Count"}, {"Name": "Overdue", "Unit": "Seconds"}]
    directive = {"Namespace": "Glidepath", "Dimensions": [["Stack"], ["Stack", "Function"]], "Metrics": metrics}
    now = int(time.time() * 1000)
    return {
        "_aws": {"Timestamp": now, "CloudWatchMetrics": [directive]},
        "Stack": "glidepath", "Function": "sweep", "Sweeps": 1, "Overdue": [0.5, 2], "deployment": "shop-1", **more,
    }  # fmt: skip


def test_a_line_of_a_log_is_a_metric_for_each_set_of_dimensions(lab: Lab, unique: str) -> None:
    logs, cloudwatch = lab.client("logs"), lab.client("cloudwatch")
    group = f"/aws/lambda/{unique}"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    now = int(time.time() * 1000)
    lines = [json.dumps(line(Stack=unique)), "START RequestId: 1", json.dumps({"level": "INFO"})]
    events = [{"timestamp": now, "message": message} for message in lines]
    logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=events)

    def maximum(name: str, **dimensions: str) -> list[float]:
        found = cloudwatch.get_metric_statistics(
            Namespace="Glidepath",
            MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=time.time() - 300,
            EndTime=time.time() + 60,
            Period=3600,
            Statistics=["Maximum"],
        )
        return [point["Maximum"] for point in found["Datapoints"]]

    assert maximum("Sweeps", Stack=unique) == [1]
    assert maximum("Overdue", Stack=unique, Function="sweep") == [2]
    assert maximum("Overdue", Stack=unique, deployment="shop-1") == []


def directive(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["_aws"]["CloudWatchMetrics"][0]
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("Stack"),
        lambda document: document.update(Stack=1),
        lambda document: document.update(Stack=""),
        lambda document: document.update(Stack="  "),
        lambda document: document.update(Stack="g\u00fc"),
        lambda document: document.update(Stack="x" * 1025),
        lambda document: document.pop("Sweeps"),
        lambda document: document.update(Sweeps="1"),
        lambda document: document.update(Sweeps=True),
        lambda document: document.update(Sweeps=[1] * 101),
        lambda document: document["_aws"].pop("Timestamp"),
        lambda document: document["_aws"].update(Timestamp=1.5),
        lambda document: directive(document).pop("Namespace"),
        lambda document: directive(document).update(Dimensions=[]),
        lambda document: directive(document).update(Dimensions=["Stack"]),
        lambda document: directive(document).update(Metrics=[{"Name": "Sweeps"}] * 101),
        lambda document: directive(document).update(Metrics=[{"Name": "Sweeps", "Unit": "Sweeps"}]),
    ],
)
def test_what_cloudwatch_would_not_take_is_no_metric(change: Change) -> None:
    document = line()
    assert len(extract(json.dumps(document))) == 6
    change(document)
    with pytest.raises(Malformed):
        extract(json.dumps(document))


def test_a_line_with_anything_around_its_document_is_no_metric() -> None:
    with pytest.raises(Malformed):
        extract("INFO " + json.dumps(line()))
    assert extract(json.dumps({"answer": '{"_aws": 1}'})) == []
