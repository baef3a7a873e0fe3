"""Scalable targets: RegisterScalableTarget and what belongs to it.

The surprise is in RegisterScalableTarget: every call moves the present desired count into the bounds, whatever it
was made for. The model: "Application Auto Scaling retrieves the current capacity of the resource. If it's below the
minimum capacity or above the maximum capacity, Application Auto Scaling adjusts the capacity of the scalable target
to place it within these bounds, even if you don't include the MinCapacity or MaxCapacity request parameters." It
happens after the answer, by ``application_autoscaling_engine``.
"""

from __future__ import annotations

import json
import re
import time

from ministack.core.responses import get_account_id
from ministack.services import ecs, iam

from local_aws import application_autoscaling_alarms as alarms_of_policies
from local_aws.application_autoscaling_records import (
    DIMENSION,
    FLAGS,
    NAMESPACE,
    Target,
    identity,
    lock,
    page,
    selected,
    target_arn,
    targets,
    unknown,
)
from local_aws.aws_protocol import Document, ServiceError
from local_aws.iam_rules import SCALING_PRINCIPAL, SCALING_ROLE

RESOURCE = re.compile(r"service/[^/]+/[^/]+")
MOST_DESCRIBED = 50
MOST_TAGS = 50
ROLE_PATH = f"/aws-service-role/{SCALING_PRINCIPAL}/"
# AWSApplicationAutoscalingECSServicePolicy (security-iam-awsmanpol).
ROLE_ACTIONS = (
    "ecs:DescribeServices",
    "ecs:DescribeServiceRevisions",
    "ecs:UpdateService",
    "cloudwatch:PutMetricAlarm",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "cloudwatch:DeleteAlarms",
)


def role_arn() -> str:
    """The service-linked role that every target of an ECS service has."""
    return f"arn:aws:iam::{get_account_id()}:role{ROLE_PATH}{SCALING_ROLE}"


def register_scalable_target(request: Document) -> Document:
    """RegisterScalableTarget: makes a target or changes what the request names of it."""
    check_identity(request)
    service = ecs._services.get(request["ResourceId"].partition("/")[2])
    if service is None or service["status"] == "INACTIVE":
        # The words are from spinnaker/spinnaker#4371.
        raise ServiceError("ValidationException", "ECS service doesn't exist")
    with lock:
        target = targets.get(request["ResourceId"])
        bounds = {
            "MinCapacity": request.get("MinCapacity", target.minimum if target else None),
            "MaxCapacity": request.get("MaxCapacity", target.maximum if target else None),
        }
        missing = [name for name, value in bounds.items() if value is None]
        if missing:
            raise ServiceError("ValidationException", f"{missing[0]} is required to register a new scalable target")
        check_bounds(bounds["MinCapacity"], bounds["MaxCapacity"])
        if target is None:
            target = Target(request["ResourceId"], target_arn(request["ResourceId"]), 0, 0)
            target.tags = _accepted_tags(request.get("Tags", {}))
            targets[target.resource] = target
        elif request.get("Tags"):
            raise ServiceError(
                "ValidationException", "Tags can be given to a new scalable target only; use TagResource for this one"
            )
        target.minimum, target.maximum = int(bounds["MinCapacity"]), int(bounds["MaxCapacity"])
        _suspend(target, request.get("SuspendedState", {}))
        # "If the specified resource is not active in the target service, this operation does not change the
        # resource's current capacity" (the model).
        target.bounds_due = service["status"] == "ACTIVE"
    _make_role()
    return {"ScalableTargetARN": target.arn}


def deregister_scalable_target(request: Document) -> Document:
    """DeregisterScalableTarget: the policies, their alarms and the scheduled actions go with the target."""
    with lock:
        target = targets.pop(request["ResourceId"], None)
        if target is None:
            raise unknown("scalable target found", request)
        for policy in target.policies.values():
            alarms_of_policies.remove(policy)
    return {}


def describe_scalable_targets(request: Document) -> Document:
    """DescribeScalableTargets."""
    with lock:
        found = selected(request, list(targets.values()), lambda target: target.resource, "ResourceIds")
        shown, token = page(request, found, MOST_DESCRIBED)
        return {
            "ScalableTargets": [
                {
                    **identity(target),
                    "MinCapacity": target.minimum,
                    "MaxCapacity": target.maximum,
                    "RoleARN": role_arn(),
                    "CreationTime": target.created,
                    "SuspendedState": dict(target.suspended),
                    "ScalableTargetARN": target.arn,
                }
                for target in shown
            ],
            "NextToken": token,
        }


def tag_resource(request: Document) -> Document:
    """TagResource."""
    with lock:
        target = _tagged(request)
        target.tags = _accepted_tags({**target.tags, **request["Tags"]})
    return {}


def untag_resource(request: Document) -> Document:
    """UntagResource."""
    with lock:
        target = _tagged(request)
        target.tags = {key: value for key, value in target.tags.items() if key not in request["TagKeys"]}
    return {}


def list_tags_for_resource(request: Document) -> Document:
    """ListTagsForResource."""
    with lock:
        return {"Tags": dict(_tagged(request).tags)}


def check_identity(request: Document) -> None:
    """Refuse what is not the task count of an ECS service: nothing else scales in a lab."""
    named = request["ServiceNamespace"], request["ScalableDimension"]
    if named != (NAMESPACE, DIMENSION) or not RESOURCE.fullmatch(request["ResourceId"]):
        # The words are from pulumi/pulumi-policy-aws#11.
        raise ServiceError("ValidationException", "Unsupported service namespace, resource type or scalable dimension")


def check_bounds(minimum: int, maximum: int) -> None:
    """Refuse bounds that no capacity is within."""
    if minimum < 0 or maximum < 0:
        raise ServiceError("ValidationException", "Minimum and maximum capacity must not be negative")
    if maximum < minimum:
        raise ServiceError("ValidationException", "Maximum capacity cannot be less than minimum capacity")


def _suspend(target: Target, wanted: Document) -> None:
    """Change the flags that are given. Whether AWS keeps the others is not documented; "any parameters that you
    don't specify are not changed" speaks for it."""
    if any(target.suspended[flag] and wanted.get(flag) is False for flag in FLAGS[:2]):
        # "When you resume scale in, Application Auto Scaling evaluates policies with alarm thresholds that are
        # currently in breach" (application-auto-scaling-suspend-resume-scaling).
        target.resumed = True
    target.suspended |= {flag: bool(wanted[flag]) for flag in FLAGS if flag in wanted}


def _accepted_tags(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > MOST_TAGS:
        raise ServiceError("TooManyTagsException", f"A scalable target has at most {MOST_TAGS} tags")
    return dict(tags)


def _tagged(request: Document) -> Target:
    arn = request["ResourceARN"]
    target = next((target for target in targets.values() if target.arn == arn), None)
    if target is None:
        raise ServiceError("ResourceNotFoundException", f"ResourceNotFound: {arn}")
    return target


def _make_role() -> None:
    """The service-linked role, which a registration makes if there is none."""
    if SCALING_ROLE in iam._roles:
        return
    statement = {"Effect": "Allow", "Action": list(ROLE_ACTIONS), "Resource": "*"}
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": SCALING_PRINCIPAL}}
    iam._roles[SCALING_ROLE] = {
        "RoleName": SCALING_ROLE,
        "Arn": role_arn(),
        "RoleId": iam._gen_id("AROA"),
        "CreateDate": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "Path": ROLE_PATH,
        "AssumeRolePolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        "Description": "",
        "MaxSessionDuration": 3600,
        "AttachedPolicies": [],
        "InlinePolicies": {"scaling": json.dumps({"Version": "2012-10-17", "Statement": [statement]})},
        "Tags": [],
    }
