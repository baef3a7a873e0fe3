"""Operations on target groups and targets."""

from __future__ import annotations

from ministack.services import alb

from local_aws.aws_protocol import Document, ServiceError
from local_aws.elbv2_actions import forward_groups, group_stickiness
from local_aws.elbv2_state import STICKY, attachments, page_of, publish, require
from local_aws.targets import registry

DEFAULT_DEREGISTRATION_DELAY = 300.0
# The model's text of TargetGroupAttribute, for a group of addresses behind an Application Load Balancer.
DEFAULT_ATTRIBUTES = {
    "deregistration_delay.timeout_seconds": "300",
    STICKY: "false",
    "stickiness.type": "lb_cookie",
    "stickiness.lb_cookie.duration_seconds": "86400",
    "slow_start.duration_seconds": "0",
    "load_balancing.algorithm.type": "round_robin",
    "load_balancing.algorithm.anomaly_mitigation": "off",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
}


def describe_target_groups(request: Document) -> Document:
    """DescribeTargetGroups by load balancer, ARNs or names."""
    found = list(alb._tgs.values())
    if request.get("LoadBalancerArn"):
        require(alb._lbs, request["LoadBalancerArn"], "LoadBalancerNotFound", "Load balancer")
        found = [group for group in found if request["LoadBalancerArn"] in group["LoadBalancerArns"]]
    for parameter, name in (("TargetGroupArns", "TargetGroupArn"), ("Names", "TargetGroupName")):
        wanted = request.get(parameter)
        if wanted:
            found = [group for group in found if group[name] in wanted]
            if len({group[name] for group in found}) < len(set(wanted)):
                raise ServiceError("TargetGroupNotFound", "One or more target groups not found")
    page, marker = page_of(found, request)
    return {"TargetGroups": page, "NextMarker": marker}


def describe_target_group_attributes(request: Document) -> Document:
    """DescribeTargetGroupAttributes: every attribute, with its default where it was never set.

    ministack answers only those that a template named.
    """
    arn = request["TargetGroupArn"]
    require(alb._tgs, arn, "TargetGroupNotFound", "Target group")
    values = {**DEFAULT_ATTRIBUTES, **{item["Key"]: item["Value"] for item in alb._tg_attrs.get(arn, [])}}
    return {"Attributes": [{"Key": key, "Value": value} for key, value in values.items()]}


def modify_target_group_attributes(request: Document) -> Document:
    """ModifyTargetGroupAttributes: what is omitted stays."""
    arn = request["TargetGroupArn"]
    require(alb._tgs, arn, "TargetGroupNotFound", "Target group")
    given = {item["Key"]: item["Value"] for item in request.get("Attributes", [])}
    if str(given.get(STICKY, "")).lower() == "true":
        _refuse_stickiness_behind_several_groups(arn)
    kept = {item["Key"]: item["Value"] for item in alb._tg_attrs.get(arn, [])}
    alb._tg_attrs[arn] = [{"Key": key, "Value": value} for key, value in {**kept, **given}.items()]
    return describe_target_group_attributes(request)


def _refuse_stickiness_behind_several_groups(arn: str) -> None:
    """The other way round of what ``accept_actions`` refuses, as quoted in aws-load-balancer-controller#2734."""
    for rule in alb._rules.values():
        for action in rule["Actions"]:
            groups = [group["TargetGroupArn"] for group in forward_groups(action)]
            if arn in groups and len(groups) > 1 and not group_stickiness(action):
                raise ServiceError(
                    "InvalidConfigurationRequest",
                    f"This target group appears behind a rule with group stickiness disabled ({rule['RuleArn']}). "
                    "You must enable group stickiness before enabling target stickiness",
                )


def delete_target_group(request: Document) -> Document:
    """DeleteTargetGroup: refused while a rule or listener names the group."""
    arn = request["TargetGroupArn"]
    require(alb._tgs, arn, "TargetGroupNotFound", "Target group")
    if arn in attachments():
        raise ServiceError("ResourceInUse", f"Target group '{arn}' is currently in use by a listener or a rule")
    for store in (alb._tgs, alb._targets, alb._tg_attrs, alb._tags):
        store.pop(arn, None)
    registry.remove_group(arn)
    publish()
    return {}


def register_targets(request: Document) -> Document:
    """RegisterTargets."""
    group = require(alb._tgs, request["TargetGroupArn"], "TargetGroupNotFound", "Target group")
    registry.register(group["TargetGroupArn"], _target_keys(request, group))
    return {}


def deregister_targets(request: Document) -> Document:
    """DeregisterTargets: targets drain for the group's deregistration delay."""
    group = require(alb._tgs, request["TargetGroupArn"], "TargetGroupNotFound", "Target group")
    arn = group["TargetGroupArn"]
    registry.deregister(arn, _target_keys(request, group), deregistration_delay(arn))
    return {}


def deregistration_delay(arn: str) -> float:
    """Seconds for which a deregistered target of this group drains."""
    for attribute in alb._tg_attrs.get(arn, []):
        if attribute["Key"] == "deregistration_delay.timeout_seconds":
            return float(attribute["Value"])
    return DEFAULT_DEREGISTRATION_DELAY


def describe_target_health(request: Document) -> Document:
    """DescribeTargetHealth, from the real health checks."""
    record = require(alb._tgs, request["TargetGroupArn"], "TargetGroupNotFound", "Target group")
    group = registry.group(record["TargetGroupArn"])
    wanted = set(_target_keys(request, record)) if request.get("Targets") else None
    descriptions = []
    for key, target in group.targets.items():
        if wanted is not None and key not in wanted:
            continue
        health: Document = {"State": target.state, "Reason": target.reason, "Description": target.description}
        if record["TargetGroupArn"] not in attachments() and target.state != "draining":
            health = {
                "State": "unused",
                "Reason": "Target.NotInUse",
                "Description": "Target group is not configured to receive traffic from the load balancer",
            }
        descriptions.append({
            "Target": {"Id": target.address, "Port": target.port},
            "HealthCheckPort": str(target.port),
            "TargetHealth": health,
        })
    return {"TargetHealthDescriptions": descriptions}


def _target_keys(request: Document, group: Document) -> list[tuple[str, int]]:
    return [(target["Id"], int(target.get("Port", group["Port"]))) for target in request.get("Targets", [])]
