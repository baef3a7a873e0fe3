"""IAM: which resource a call is authorized on, where ministack has it otherwise than AWS.

A role that is scoped to its rules and services would be denied here and work on AWS, or the other way
round. The actions are those of AWS's Service Authorization Reference; an action without a resource type
there can only be allowed on ``*``.

Known deviation: of a call that names several services or tasks only the first is checked.
"""

from __future__ import annotations

import json
from typing import Any

from ministack.core import iam_actions

from local_aws.replacing import AnyFunction, replace
from local_aws.settings import Settings

ANY = "*"
ELB_PARAMETERS = {
    "AddTags": "ResourceArns.member.1",
    "CreateListener": "LoadBalancerArn",
    "CreateRule": "ListenerArn",
    "DeleteListener": "ListenerArn",
    "DeleteLoadBalancer": "LoadBalancerArn",
    "DeleteRule": "RuleArn",
    "DeleteTargetGroup": "TargetGroupArn",
    "DeregisterTargets": "TargetGroupArn",
    "ModifyListener": "ListenerArn",
    "ModifyListenerAttributes": "ListenerArn",
    "ModifyLoadBalancerAttributes": "LoadBalancerArn",
    "ModifyRule": "RuleArn",
    "ModifyTargetGroup": "TargetGroupArn",
    "ModifyTargetGroupAttributes": "TargetGroupArn",
    "RegisterTargets": "TargetGroupArn",
    "RemoveTags": "ResourceArns.member.1",
    "SetRulePriorities": "RulePriorities.member.1.RuleArn",
}
ECS_SERVICE_FIELDS = {
    "CreateService": "serviceName",
    "DeleteService": "service",
    "DescribeServices": "services",
    "ListServiceDeployments": "service",
    "UpdateService": "service",
}
ECS_TASK_FIELDS = {"DescribeTasks": "tasks", "StopTask": "task"}
ECS_CLUSTER_FIELDS = {"DeleteCluster": "cluster", "DescribeClusters": "clusters", "UpdateCluster": "cluster"}


def _first(value: Any) -> str:
    if isinstance(value, list):
        value = value[0] if value else ""
    return str(value or "")


def _ecs_arn(kind: str, name: str, cluster: str | None, scope: str) -> str:
    if name.startswith("arn:"):
        return name
    path = f"{cluster}/{name}" if cluster is not None else name
    return f"{scope}:{kind}/{path}"


def _ecs_resource(action: str, body: bytes, region: str, account: str) -> str:
    request = json.loads(body or b"{}")
    scope = f"arn:aws:ecs:{region}:{account}"
    cluster = _first(request.get("cluster")).rsplit("/", 1)[-1] or "default"
    for fields, kind, within in (
        (ECS_SERVICE_FIELDS, "service", cluster),
        (ECS_TASK_FIELDS, "task", cluster),
        (ECS_CLUSTER_FIELDS, "cluster", None),
    ):
        if action in fields and (name := _first(request.get(fields[action]))):
            return _ecs_arn(kind, name, within, scope)
    if action == "RunTask":
        return _ecs_arn("task-definition", _first(request.get("taskDefinition")), None, scope)
    return ANY


def _ecs_cluster(body: bytes, settings: Settings) -> str:
    """The condition key ``ecs:cluster``: without it nobody could list tasks of some clusters only."""
    name = _first(json.loads(body or b"{}").get("cluster")) or "default"
    return _ecs_arn("cluster", name, None, f"arn:aws:ecs:{settings.region}:{settings.account}")


def install(settings: Settings) -> None:
    """Correct the resources of load balancing, ECS and alarms, and the cluster of ECS as a condition."""
    original: AnyFunction

    def resource_arn(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        permission = iam_actions.extract_iam_action(service, method, path, headers, body, query_params) or ""
        action = permission.partition(":")[2]
        if service == "elasticloadbalancing":
            return _first(query_params.get(ELB_PARAMETERS.get(action, ""))) or ANY
        if service == "ecs":
            return _ecs_resource(action, body, region, account_id)
        if permission == "cloudwatch:DescribeAlarms":
            return f"arn:aws:cloudwatch:{region}:{account_id}:alarm:*"
        return str(original(service, method, path, headers, body, query_params, region, account_id))

    def condition_context(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        context = dict(tags(service, iam_action, body, params))
        if service == "ecs":
            context["ecs:cluster"] = _ecs_cluster(body, settings)
        return context

    tags: AnyFunction = replace(
        iam_actions,
        "request_tag_context",
        condition_context,
        expects=("service", "iam_action", "body", "params"),
    )
    expects = ("service", "method", "path", "headers", "body", "query_params", "region", "account_id")
    original = replace(iam_actions, "extract_resource_arn", resource_arn, expects=expects)
