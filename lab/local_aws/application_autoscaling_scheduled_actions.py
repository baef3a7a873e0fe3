"""Scheduled actions: PutScheduledAction, DeleteScheduledAction, DescribeScheduledActions.

A scheduled action sets the bounds for good; nothing is put back after its end. When they run is
``application_autoscaling_schedules``'s, what they do is ``application_autoscaling_engine``'s.
"""

from __future__ import annotations

import time
import uuid

from ministack.core.responses import get_account_id, get_region

from local_aws.application_autoscaling_records import (
    ScheduledAction,
    Target,
    identity,
    lock,
    page,
    registered,
    selected,
    targets,
    unknown,
)
from local_aws.application_autoscaling_schedules import Schedule, ScheduleError
from local_aws.application_autoscaling_targets import check_bounds
from local_aws.aws_protocol import Document, ServiceError

MOST_DESCRIBED = 50
# application-auto-scaling-quotas.
MOST_ACTIONS = 200
CHANGEABLE = ("Schedule", "Timezone", "StartTime", "EndTime", "ScalableTargetAction")


def put_scheduled_action(request: Document) -> Document:
    """PutScheduledAction: "If you don't specify start and end times, the old values are deleted"."""
    with lock:
        target = registered(request)
        name = request["ScheduledActionName"]
        existing = target.actions.get(name)
        if existing is None and len(target.actions) >= MOST_ACTIONS:
            raise ServiceError("LimitExceededException", f"A scalable target has at most {MOST_ACTIONS} actions")
        kept = {} if existing is None else {
            member: value for member, value in existing.fields.items() if member not in ("StartTime", "EndTime")
        }
        fields = kept | {member: request[member] for member in CHANGEABLE if member in request}
        _check(fields)
        action = ScheduledAction(name, _arn(target, name), fields, None)
        if existing is not None:
            action.arn, action.created = existing.arn, existing.created
        try:
            action.next_run = schedule(action).next_run(time.time())
        except ScheduleError as error:
            raise ServiceError("ValidationException", str(error)) from error
        target.actions[name] = action
    return {}


def delete_scheduled_action(request: Document) -> Document:
    """DeleteScheduledAction."""
    with lock:
        target = targets.get(request["ResourceId"])
        if target is None or target.actions.pop(request["ScheduledActionName"], None) is None:
            name = f"scheduled action name: {request['ScheduledActionName']}"
            raise unknown("scheduled action found", request, name)
    return {}


def describe_scheduled_actions(request: Document) -> Document:
    """DescribeScheduledActions."""
    with lock:
        every = [(target, action) for target in targets.values() for action in target.actions.values()]
        found = [
            (target, action)
            for target, action in selected(request, every, lambda entry: entry[0].resource, "ResourceId")
            if action.name in request.get("ScheduledActionNames", [action.name])
        ]
        shown, token = page(request, found, MOST_DESCRIBED)
        return {
            "ScheduledActions": [
                {
                    **identity(target),
                    **action.fields,
                    "ScheduledActionName": action.name,
                    "ScheduledActionARN": action.arn,
                    "CreationTime": action.created,
                }
                for target, action in shown
            ],
            "NextToken": token,
        }


def schedule(action: ScheduledAction) -> Schedule:
    """The schedule of an action."""
    fields = action.fields
    zone, start, end = fields.get("Timezone", "UTC"), fields.get("StartTime"), fields.get("EndTime")
    return Schedule(fields["Schedule"], zone, start, end, action.created)


def _arn(target: Target, name: str) -> str:
    scope = f"arn:aws:autoscaling:{get_region()}:{get_account_id()}"
    return f"{scope}:scheduledAction:{uuid.uuid4()}:resource/ecs/{target.resource}:scheduledActionName/{name}"


def _check(fields: Document) -> None:
    if "Schedule" not in fields:
        raise ServiceError("ValidationException", "Schedule is required for a new scheduled action")
    bounds = fields.get("ScalableTargetAction", {})
    if not bounds:
        raise ServiceError("ValidationException", "ScalableTargetAction needs MinCapacity, MaxCapacity or both")
    check_bounds(bounds.get("MinCapacity", 0), bounds.get("MaxCapacity", bounds.get("MinCapacity", 0)))
