"""Scaling policies: PutScalingPolicy, DeleteScalingPolicy, DescribeScalingPolicies.

A predictive policy is kept and does nothing: AWS needs a day of a service's history before the first forecast.
"""

from __future__ import annotations

import itertools
import uuid

from ministack.core.responses import get_account_id, get_region
from ministack.services import ecs

from local_aws import application_autoscaling_alarms as alarms_of_policies
from local_aws.application_autoscaling_records import (
    PREDICTIVE,
    STEP,
    TRACKING,
    Policy,
    Target,
    identity,
    lock,
    page,
    registered,
    selected,
    targets,
    unknown,
)
from local_aws.aws_protocol import Document, ServiceError

CONFIGURATIONS = {
    STEP: "StepScalingPolicyConfiguration",
    TRACKING: "TargetTrackingScalingPolicyConfiguration",
    PREDICTIVE: "PredictiveScalingPolicyConfiguration",
}
MOST_DESCRIBED = 10
# application-auto-scaling-quotas.
MOST_POLICIES, MOST_STEPS = 50, 20


def put_scaling_policy(request: Document) -> Document:
    """PutScalingPolicy: of a target tracking policy the answer names its alarms."""
    with lock:
        target = registered(request)
        name = request["PolicyName"]
        existing = target.policies.get(name)
        kind = request.get("PolicyType", existing.kind if existing else None)
        if kind is None:
            raise ServiceError("ValidationException", "PolicyType is required if you are creating a scaling policy")
        if existing is not None and existing.kind != kind:
            raise ServiceError("ValidationException", f"The type of scaling policy {name} cannot be changed")
        if existing is None and len(target.policies) >= MOST_POLICIES:
            raise ServiceError("LimitExceededException", f"A scalable target has at most {MOST_POLICIES} policies")
        _check(target, name, kind, request)
        policy = existing or Policy(name, _arn(target, name), kind, {})
        policy.configuration = request[CONFIGURATIONS[kind]]
        target.policies[name] = policy
        if kind == TRACKING:
            alarms_of_policies.put(target, policy)
        return {"PolicyARN": policy.arn, "Alarms": alarms_of_policies.shown(policy) if kind == TRACKING else []}


def delete_scaling_policy(request: Document) -> Document:
    """DeleteScalingPolicy."""
    with lock:
        target = targets.get(request["ResourceId"])
        policy = target.policies.pop(request["PolicyName"], None) if target else None
        if policy is None:
            raise unknown("scaling policy found", request, f"policy name: {request['PolicyName']}")
        alarms_of_policies.remove(policy)
    return {}


def describe_scaling_policies(request: Document) -> Document:
    """DescribeScalingPolicies."""
    with lock:
        every = [(target, policy) for target in targets.values() for policy in target.policies.values()]
        found = [
            (target, policy)
            for target, policy in selected(request, every, lambda entry: entry[0].resource, "ResourceId")
            if policy.name in request.get("PolicyNames", [policy.name])
        ]
        found_page, token = page(request, found, MOST_DESCRIBED)
        return {
            "ScalingPolicies": [
                {
                    **identity(target),
                    "PolicyARN": policy.arn,
                    "PolicyName": policy.name,
                    "PolicyType": policy.kind,
                    CONFIGURATIONS[policy.kind]: policy.configuration,
                    "Alarms": alarms_of_policies.shown(policy),
                    "CreationTime": policy.created,
                }
                for target, policy in found_page
            ],
            "NextToken": token,
        }


def _arn(target: Target, name: str) -> str:
    scope = f"arn:aws:autoscaling:{get_region()}:{get_account_id()}"
    return f"{scope}:scalingPolicy:{uuid.uuid4()}:resource/ecs/{target.resource}:policyName/{name}"


def _refuse(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def _check(target: Target, name: str, kind: str, request: Document) -> None:
    if kind not in CONFIGURATIONS:
        raise _refuse(f"PolicyType must be one of {tuple(CONFIGURATIONS)}")
    wrong = [member for other, member in CONFIGURATIONS.items() if other != kind and member in request]
    if wrong or CONFIGURATIONS[kind] not in request:
        raise _refuse(f"A policy of type {kind} needs {CONFIGURATIONS[kind]} and no other configuration")
    configuration = request[CONFIGURATIONS[kind]]
    if kind == STEP:
        _check_steps(configuration)
    elif kind == TRACKING:
        _check_tracking(target, name, configuration)


def _check_steps(configuration: Document) -> None:
    """The rules for step adjustments (step-scaling-policy-overview)."""
    steps = configuration.get("StepAdjustments", [])
    if "AdjustmentType" not in configuration or not 1 <= len(steps) <= MOST_STEPS:
        raise _refuse(f"AdjustmentType and 1 to {MOST_STEPS} StepAdjustments are required")
    if configuration["AdjustmentType"] == "ExactCapacity" and any(step["ScalingAdjustment"] < 0 for step in steps):
        raise _refuse("ScalingAdjustment must not be negative for ExactCapacity")
    lowers = [step.get("MetricIntervalLowerBound") for step in steps]
    uppers = [step.get("MetricIntervalUpperBound") for step in steps]
    if any(lower is None and upper is None for lower, upper in zip(lowers, uppers, strict=True)):
        raise _refuse("The upper and lower bound can't be null in the same step adjustment")
    for bounds, sign, kind in ((lowers, -1, "lower"), (uppers, 1, "upper")):
        beyond_zero = any(bound is not None and bound * sign > 0 for bound in bounds)
        open_ended = bounds.count(None)
        if open_ended > 1 or (beyond_zero and not open_ended):
            raise _refuse(f"Exactly one step adjustment must have a null {kind} bound where another is beyond 0")
    ordered = sorted(steps, key=lambda step: step.get("MetricIntervalLowerBound", float("-inf")))
    for step, following in itertools.pairwise(ordered):
        if step.get("MetricIntervalUpperBound") != following.get("MetricIntervalLowerBound"):
            raise _refuse("The ranges of step adjustments can't overlap or have a gap")
    for lower, upper in zip(lowers, uppers, strict=True):
        if lower is not None and upper is not None and upper <= lower:
            raise _refuse("The upper bound must be greater than the lower bound")


def _check_tracking(target: Target, name: str, configuration: Document) -> None:
    predefined = configuration.get("PredefinedMetricSpecification")
    customized = configuration.get("CustomizedMetricSpecification")
    if (predefined is None) == (customized is None):
        raise _refuse("You can specify either a predefined metric or a customized metric")
    if configuration["TargetValue"] <= 0:
        # Of what is a share of nothing, no capacity can be computed; AWS's words are not known.
        raise _refuse("TargetValue must be greater than 0")
    if predefined is not None:
        _check_predefined(target, predefined)
    if customized is not None and "Metrics" not in customized:
        missing = [member for member in ("MetricName", "Namespace", "Statistic") if member not in customized]
        if missing:
            raise _refuse(f"CustomizedMetricSpecification needs {missing[0]}")
    for other in target.policies.values():
        of_other = [other.configuration.get(f"{kind}MetricSpecification") for kind in ("Predefined", "Customized")]
        if other.kind == TRACKING and other.name != name and of_other == [predefined, customized]:
            # The words are from hashicorp/terraform-provider-aws#41179.
            raise _refuse("Only one TargetTrackingScaling policy for a given metric specification is allowed.")


def _check_predefined(target: Target, predefined: Document) -> None:
    metric = predefined["PredefinedMetricType"]
    label = predefined.get("ResourceLabel")
    if metric in alarms_of_policies.UTILIZATION:
        if label is not None:
            raise _refuse(f"Resource label must not be specified for predefined metric type {metric}")
        return
    if metric != alarms_of_policies.REQUESTS_PER_TARGET:
        # Those with 20 seconds need metrics that ECS has to be asked for, which this lab does not know.
        raise _refuse(f"Invalid predefined metric type {metric} for a service of this lab")
    if label is None:
        raise _refuse(f"Resource label should be specified for predefined metric type {metric}")
    service = ecs._services.get(target.service_key) or {}
    groups = [
        balancer["targetGroupArn"].rpartition(":")[2]
        for balancer in service.get("loadBalancers", [])
        if "targetGroupArn" in balancer
    ]
    balancer, _, group = label.partition("/targetgroup/")
    if not balancer.startswith("app/") or f"targetgroup/{group}" not in groups:
        raise _refuse(f"Invalid resource label {label}: the service has no such target group")
