"""What puts events on a bus is told: nothing, where the bus is missing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.tests.functions import allow, create_role
from local_aws.tests.roles import role_client
from local_aws.tests.support import ACCOUNT, REGION, Lab

BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus"


def entry(bus: str, source: str = "glidepath", kind: str = "Probe") -> dict[str, Any]:
    return {"Source": source, "DetailType": kind, "Detail": json.dumps({}), "EventBusName": bus}


def allowing(action: str, bus: str, **entries: str | list[str]) -> dict[str, Any]:
    """``entries``: what every entry of the call must have, by the condition's key."""
    statement: dict[str, Any] = allow(action, resource=f"{BUS}/{bus}")
    wanted = {f"events:{key.replace('_', '-')}": value for key, value in entries.items()}
    # A key is a list, with that of every entry: what has none would match without the second operator.
    condition = {"ForAllValues:StringEquals": wanted, "Null": dict.fromkeys(wanted, "false")}
    return {**statement, "Condition": condition} if wanted else statement


def test_a_bus_that_does_not_exist_is_answered_as_if_it_did(lab: Lab, unique: str) -> None:
    """eb-putevents: the event is not matched to any rule, and nobody is told."""
    events = lab.client("events")
    answer = events.put_events(Entries=[entry(unique)])
    assert answer["FailedEntryCount"] == 0
    assert answer["Entries"][0]["EventId"]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        events.describe_event_bus(Name=unique)
    assert events.describe_event_bus(Name="default")["Arn"] == f"{BUS}/default"


def test_a_role_puts_events_of_its_source_on_its_bus_only(lab: Lab, unique: str) -> None:
    role = create_role(lab, unique, allowing("events:PutEvents", "default", source="glidepath"))
    events = role_client(lab, role, "events")
    assert events.put_events(Entries=[entry("default")])["FailedEntryCount"] == 0
    assert events.put_events(Entries=[entry("default"), entry("default")])["FailedEntryCount"] == 0
    for refused in ([entry("default", "other")], [entry(unique)], [entry("default"), entry("default", "other")]):
        with pytest.raises(ClientError, match="AccessDenied"):
            events.put_events(Entries=refused)
    with pytest.raises(ClientError, match="AccessDenied"):
        events.describe_event_bus(Name="default")


def test_a_role_puts_events_of_its_types_only(lab: Lab, unique: str) -> None:
    kinds = ["Deployment Notice", "Channel Trial"]
    role = create_role(lab, unique, allowing("events:PutEvents", "default", source="glidepath", detail_type=kinds))
    events = role_client(lab, role, "events")
    both = [entry("default", kind=kind) for kind in kinds]
    for taken in ([both[0]], [both[1]], both):
        assert events.put_events(Entries=taken)["FailedEntryCount"] == 0
    for refused in ([entry("default")], [*both, entry("default")], [entry("default", "other", kinds[0])]):
        with pytest.raises(ClientError, match="AccessDenied"):
            events.put_events(Entries=refused)


def test_a_role_looks_at_its_bus_only(lab: Lab, unique: str) -> None:
    role = create_role(lab, unique, allowing("events:DescribeEventBus", "default"))
    events = role_client(lab, role, "events")
    assert events.describe_event_bus(Name="default")["Name"] == "default"
    with pytest.raises(ClientError, match="AccessDenied"):
        events.describe_event_bus(Name=unique)
