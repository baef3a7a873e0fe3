"""CloudWatch's embedded metric format: metrics out of the lines of logs, which ministack keeps as text only.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

A line that begins as one and is none makes no metric, as on AWS; here it is in the journal besides, as
``embedded-metrics-refused``. Known deviation from AWS: metrics are there at once and each of them once
(AWS: after a while, and perhaps twice).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ministack.services import cloudwatch_logs

from local_aws import journal
from local_aws.aws_protocol import Document
from local_aws.metric_store import store
from local_aws.replacing import AnyFunction, replace
from local_aws.settings import Settings

LARGEST = 1_048_576
MOST_METRICS = 100
MOST_DIMENSIONS = 30
MOST_VALUES = 100
LONGEST_DIMENSION = 1024
LONGEST_NAME = 1024
LONGEST_REFERENCE = 250
RESOLUTIONS = (1, 60)
UNITS = frozenset(
    [
        "Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits",
        "Kilobits", "Megabits", "Gigabits", "Terabits", "Percent", "Count", "Bytes/Second", "Kilobytes/Second",
        "Megabytes/Second", "Gigabytes/Second", "Terabytes/Second", "Bits/Second", "Kilobits/Second",
        "Megabits/Second", "Gigabits/Second", "Terabits/Second", "Count/Second", "None",
    ]
)  # fmt: skip


class Malformed(ValueError):
    """A line that CloudWatch would make no metrics of."""


@dataclass(frozen=True)
class Extracted:
    """One value of one metric."""

    namespace: str
    name: str
    dimensions: dict[str, str]
    timestamp: float
    unit: str
    value: float


def _need(holds: bool, what: str) -> None:
    if not holds:
        raise Malformed(what)


def _text(value: Any, longest: int, what: str) -> str:
    _need(isinstance(value, str) and 1 <= len(value) <= longest, f"{what} is {value!r}")
    return str(value)


def _list(value: Any, least: int, most: int, what: str) -> list[Any]:
    _need(isinstance(value, list) and least <= len(value) <= most, f"{what} is {value!r}")
    return list(value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _values(root: Document, name: str) -> list[float]:
    target = root.get(name)
    values = target if isinstance(target, list) else [target]
    _need(1 <= len(values) <= MOST_VALUES and all(map(_number, values)), f"the target {name!r} is {target!r}")
    return [float(value) for value in values]


def _dimensions(root: Document, names: Any) -> dict[str, str]:
    names = _list(names, 0, MOST_DIMENSIONS, "a set of dimensions")
    found = {}
    for name in names:
        name = _text(name, LONGEST_REFERENCE, "the name of a dimension")
        value = _text(root.get(name), LONGEST_DIMENSION, f"the dimension {name!r}")
        # What the metric itself asks of a dimension (API_Dimension).
        _need(value.isascii() and value.isprintable() and not value.isspace(), f"the dimension {name!r} is {value!r}")
        found[name] = value
    return found


def extract(message: str) -> list[Extracted]:
    """The metrics of a line; none of an ordinary one."""
    if '"_aws"' not in message:
        return []
    try:
        root = json.loads(message)
    except ValueError as error:
        raise Malformed(f"it is no JSON object and nothing else: {error}") from error
    metadata = root.get("_aws") if isinstance(root, dict) else None
    if not isinstance(metadata, dict) or "CloudWatchMetrics" not in metadata:
        return []
    _need(len(message.encode()) <= LARGEST, "it is larger than an event of a log")
    timestamp = metadata.get("Timestamp")
    _need(isinstance(timestamp, int) and not isinstance(timestamp, bool), f"Timestamp is {timestamp!r}")
    directives = _list(metadata["CloudWatchMetrics"], 0, MOST_METRICS, "CloudWatchMetrics")
    return [one for directive in directives for one in _of_directive(root, directive, float(timestamp) / 1000)]


def _of_directive(root: Document, directive: Any, timestamp: float) -> Iterator[Extracted]:
    _need(isinstance(directive, dict), f"a directive is {directive!r}")
    namespace = _text(directive.get("Namespace"), LONGEST_NAME, "Namespace")
    sets = _list(directive.get("Dimensions"), 1, MOST_DIMENSIONS, "Dimensions")
    for definition in _list(directive.get("Metrics"), 0, MOST_METRICS, "Metrics"):
        _need(isinstance(definition, dict), f"a metric is {definition!r}")
        name = _text(definition.get("Name"), LONGEST_NAME, "the name of a metric")
        unit = definition.get("Unit", "None")
        _need(unit in UNITS, f"the unit of {name!r} is {unit!r}")
        _need(definition.get("StorageResolution", 60) in RESOLUTIONS, f"the resolution of {name!r}")
        for names in sets:
            dimensions = _dimensions(root, names)
            for value in _values(root, name):
                yield Extracted(namespace, name, dimensions, timestamp, unit, value)


def _take(message: str) -> None:
    try:
        for one in extract(message):
            store.add(one.namespace, one.name, one.dimensions, one.timestamp, one.unit, one.value)
    except Malformed as why:
        journal.write(kind="embedded-metrics-refused", reason=str(why), line=message)


def install(settings: Settings) -> None:
    """Look at every line that a log gets."""
    original: AnyFunction

    def append(stream: Document, events: list[Document]) -> None:
        original(stream, events)
        for event in events:
            _take(str(event["message"]))

    original = replace(cloudwatch_logs, "_append_log_events", append, expects=("stream", "events"))
