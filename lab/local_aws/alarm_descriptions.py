"""DescribeAlarms: three kinds of alarms in three lists, and only metric alarms for who does not ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import cloudwatch

from local_aws import log_alarms
from local_aws.aws_protocol import Document, ServiceError

METRIC, COMPOSITE, LOG = "MetricAlarm", "CompositeAlarm", "LogAlarm"
LIST_OF = {METRIC: "MetricAlarms", COMPOSITE: "CompositeAlarms", LOG: "LogAlarms"}
MOST_RECORDS = 100
DEFAULT_RECORDS = 50
# What the texts of ChildrenOfAlarmName and ParentsOfAlarmName say is returned; all else is left out.
SHOWN_OF_CHILD = ("AlarmName", "AlarmArn", "StateValue", "StateUpdatedTimestamp")
SHOWN_OF_PARENT = ("AlarmName", "AlarmArn")
WITH_RELATIVES = {"ChildrenOfAlarmName", "ParentsOfAlarmName", "MaxRecords", "NextToken"}

Entry = tuple[str, str, Document]
"""Name, kind, alarm."""


def kind_of(alarm: Document) -> str:
    """The AlarmType of an alarm."""
    if "AlarmRule" in alarm:
        return COMPOSITE
    return LOG if "ScheduledQueryConfiguration" in alarm else METRIC


def describe_alarms(request: Document) -> Document:
    """DescribeAlarms: metric alarms only, unless AlarmTypes asks for more."""
    relatives = {"ChildrenOfAlarmName": _children, "ParentsOfAlarmName": _parents}
    asked = [name for name in relatives if request.get(name)]
    if asked and (len(asked) > 1 or not set(request) <= WITH_RELATIVES):
        raise ServiceError("ValidationError", f"{asked[0]} cannot be combined with other parameters")
    found = relatives[asked[0]](request[asked[0]]) if asked else _selected(request)
    found.sort(key=lambda entry: entry[:2])
    token = request.get("NextToken")
    if token:
        found = [entry for entry in found if entry[0] >= token]
    size = min(int(request.get("MaxRecords", DEFAULT_RECORDS)), MOST_RECORDS)
    page = found[:size]
    return {
        **{list_name: [alarm for _, kind, alarm in page if kind == of] for of, list_name in LIST_OF.items()},
        "NextToken": found[size][0] if len(found) > size else None,
    }


def _selected(request: Document) -> list[Entry]:
    types = request.get("AlarmTypes") or [METRIC]
    unknown = [kind for kind in types if kind not in LIST_OF]
    if unknown:
        raise ServiceError("ValidationError", f"AlarmTypes must be of {tuple(LIST_OF)}; it is {unknown}")
    stores: Mapping[str, Any] = {
        METRIC: cloudwatch._alarms,
        COMPOSITE: cloudwatch._composite_alarms,
        LOG: log_alarms.alarms,
    }
    return [
        (name, kind, alarm)
        for kind, store in stores.items()
        if kind in types
        for name, alarm in store.items()
        if _matches(alarm, request)
    ]


def _matches(alarm: Document, request: Document) -> bool:
    names = request.get("AlarmNames")
    actions = [*alarm.get("AlarmActions", []), *alarm.get("OKActions", []), *alarm.get("InsufficientDataActions", [])]
    action_prefix = request.get("ActionPrefix")
    return (
        (not names or alarm["AlarmName"] in names)
        and alarm["AlarmName"].startswith(request.get("AlarmNamePrefix", ""))
        and request.get("StateValue", alarm["StateValue"]) == alarm["StateValue"]
        and (not action_prefix or any(action.startswith(action_prefix) for action in actions))
    )


def _children(name: str) -> list[Entry]:
    parent = cloudwatch._composite_alarms.get(name)
    wanted = cloudwatch._composite_children(parent) if parent else []
    return _relatives(lambda alarm: alarm["AlarmName"] in wanted, SHOWN_OF_CHILD)


def _parents(name: str) -> list[Entry]:
    return _relatives(lambda alarm: name in cloudwatch._composite_children(alarm), SHOWN_OF_PARENT)


def _relatives(belongs: Callable[[Document], bool], shown: tuple[str, ...]) -> list[Entry]:
    alarms = [*cloudwatch._alarms.values(), *cloudwatch._composite_alarms.values()]
    return [
        (alarm["AlarmName"], kind_of(alarm), {member: alarm[member] for member in shown})
        for alarm in alarms
        if belongs(alarm)
    ]
