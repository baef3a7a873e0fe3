"""Operations on target groups and targets."""

from __future__ import annotations

from ministack.services import alb

from local_aws.aws_protocol import Document, ServiceError
from local_aws.elbv2_state import attachments, page_of, publish, require
from local_aws.targets import registry

DEFAULT_DEREGISTRATION_DELAY = 300.0


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
