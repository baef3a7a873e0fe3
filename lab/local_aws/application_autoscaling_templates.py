"""AWS::ApplicationAutoScaling in templates: resources go through the operations, as on AWS.

The physical ids are what ``Ref`` returns by the CloudFormation Template Reference: of a scalable target
``service/CLUSTER/SERVICE|ecs:service:DesiredCount|ecs``, of a scaling policy its ARN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local_aws.application_autoscaling import SERVICE, operation
from local_aws.aws_protocol import Document, ServiceError, coerce, service_model

IDENTITY = ("ResourceId", "ScalableDimension", "ServiceNamespace")
Created = tuple[str, Document]


def handlers(telling: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> dict[str, Document]:
    """The handlers by type; ``telling`` makes refusals of the service fail the resource."""
    types = {
        "AWS::ApplicationAutoScaling::ScalableTarget": (_target_create, _target_update, _target_delete),
        "AWS::ApplicationAutoScaling::ScalingPolicy": (_policy_create, _policy_update, _policy_delete),
    }
    return {
        kind: {"create": telling(kind, create), "update": telling(kind, update), "delete": delete}
        for kind, (create, update, delete) in types.items()
    }


def _call(name: str, properties: Document) -> Document:
    shape = service_model(SERVICE).operation_model(name).input_shape
    answer: Document = operation(name)(coerce(shape, properties))
    return answer


def _identity(properties: Document) -> Document:
    """What a resource is about; of a policy it may be the id of a target."""
    if "ScalingTargetId" in properties:
        return dict(zip(IDENTITY, properties["ScalingTargetId"].split("|"), strict=True))
    return {name: properties[name] for name in IDENTITY}


def _delete(name: str, request: Document) -> None:
    try:
        _call(name, request)
    except ServiceError as error:
        # It went with its target.
        if error.code != "ObjectNotFoundException":
            raise


def _target_create(logical_id: str, props: Document, stack_name: str) -> Created:
    _call("RegisterScalableTarget", props)
    for action in props.get("ScheduledActions", []):
        _call("PutScheduledAction", {**_identity(props), **action})
    physical_id = "|".join(_identity(props).values())
    return physical_id, {"Id": physical_id}


def _target_update(physical_id: str, old: Document, new: Document, stack_name: str) -> Created:
    updated = _target_create("", new, stack_name)
    if updated[0] != physical_id:
        _target_delete(physical_id, old)
        return updated
    kept = {action["ScheduledActionName"] for action in new.get("ScheduledActions", [])}
    for action in old.get("ScheduledActions", []):
        if action["ScheduledActionName"] not in kept:
            _delete("DeleteScheduledAction", {**_identity(old), **action})
    return updated


def _target_delete(physical_id: str, props: Document) -> None:
    _delete("DeregisterScalableTarget", _identity(props))


def _policy_create(logical_id: str, props: Document, stack_name: str) -> Created:
    arn = _call("PutScalingPolicy", {**props, **_identity(props)})["PolicyARN"]
    return arn, {"Arn": arn}


def _policy_update(physical_id: str, old: Document, new: Document, stack_name: str) -> Created:
    updated = _policy_create("", new, stack_name)
    if updated[0] != physical_id:
        _policy_delete(physical_id, old)
    return updated


def _policy_delete(physical_id: str, props: Document) -> None:
    _delete("DeleteScalingPolicy", {**props, **_identity(props)})
