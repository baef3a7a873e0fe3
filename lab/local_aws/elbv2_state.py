"""What all operations on load balancers share: ministack's stores and what the data plane is told."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from ministack.core.iam_evaluator import caller_arn
from ministack.core.responses import request_scope
from ministack.services import alb

from local_aws import journal, load_balancer
from local_aws.addresses import AddressPool, load_balancer_addresses
from local_aws.aws_protocol import Document, ServiceError
from local_aws.elbv2_actions import forward_groups, group_arns, group_stickiness, normalise, visible
from local_aws.load_balancer import Routes, listener_routes
from local_aws.settings import Settings

DEFAULT_PAGE_SIZE = 100
LARGEST_PAGE_SIZE = 400
STICKY = "stickiness.enabled"
LONE_WEIGHT = 1

_scope: tuple[str, str] = ("", "")
_addresses: AddressPool | None = None
_publishing = threading.Lock()
_order = random.Random()


def configure(settings: Settings) -> None:
    """Note whose load balancers these are and where their addresses come from."""
    global _scope, _addresses
    _scope = (settings.account, settings.region)
    _addresses = load_balancer_addresses(settings)
    _order.seed(settings.order_seed)


def accept_actions(
    actions: Sequence[Document], balancer: str, previous: Sequence[Document] = ()
) -> list[Document]:
    """The actions for a rule or listener of this load balancer as AWS keeps them, or its refusal."""
    accepted = normalise(actions, alb._tgs, previous)
    attached = attachments()
    for arn in group_arns(accepted):
        if attached.get(arn, balancer) != balancer:
            raise ServiceError(
                "TargetGroupAssociationLimit",
                f"The following target groups cannot be associated with more than one load balancer: {arn}",
            )
    for action in accepted:
        # AWS's page on rule actions: of several groups with one that has sticky sessions "you must enable
        # target group stickiness". The words are AWS's; which of its codes they come with is not known.
        groups = forward_groups(action)
        if len(groups) > 1 and not group_stickiness(action) and any(is_sticky(g["TargetGroupArn"]) for g in groups):
            raise ServiceError(
                "InvalidLoadBalancerAction",
                "You must enable group stickiness on a rule if you enabled target stickiness on one of its "
                "target groups",
            )
    return accepted


def is_sticky(group: str) -> bool:
    """Whether a target group has sticky sessions of its own."""
    return any(
        attribute["Key"] == STICKY and str(attribute["Value"]).lower() == "true"
        for attribute in alb._tg_attrs.get(group, [])
    )


def shown(actions: Sequence[Document]) -> list[Document]:
    """An action list as AWS answers it: groups in an order of its own, a lone group with a weight of its own.

    No page of AWS promises the order in which groups were written. Its own controller for Kubernetes sorts
    them and ignores the weight of a lone group before it compares (kubernetes-sigs/aws-load-balancer-controller
    #4350), because equal rules were not read back equal. Which order AWS has is not known, so here it is
    another one with each answer.
    """
    result = visible(actions)
    for action in result:
        groups = forward_groups(action)
        _order.shuffle(groups)
        if len(groups) == 1:
            groups[0]["Weight"] = LONE_WEIGHT
    return result


def attachments() -> dict[str, str]:
    """Group ARN to the ARN of the load balancer that has a rule or listener naming it."""
    result: dict[str, str] = {}
    for rule in alb._rules.values():
        listener = alb._listeners.get(rule["ListenerArn"])
        if listener is not None:
            for arn in group_arns(rule["Actions"]):
                result[arn] = listener["LoadBalancerArn"]
    return result


def publish() -> None:
    """Recompute what depends on the rules, and hand it to the data plane."""
    # Two threads (the API and a stack) may publish at once; an older view must not arrive last.
    with _publishing, request_scope(*_scope):
        load_balancer.update(_routes())


def _routes() -> Routes:
    attached = attachments()
    for arn, group in alb._tgs.items():
        group["LoadBalancerArns"] = [attached[arn]] if arn in attached else []
    listeners = {}
    for arn, listener in alb._listeners.items():
        balancer = alb._lbs.get(listener["LoadBalancerArn"])
        if balancer is not None:
            rules = [rule for rule in alb._rules.values() if rule["ListenerArn"] == arn]
            listeners[arn] = listener_routes(balancer["LoadBalancerArn"], balancer["DNSName"], listener, rules)
    groups = {arn: dict(group) for arn, group in alb._tgs.items()}
    return Routes(listeners, groups, attached)


def take_address(balancer: Document) -> None:
    """Give a new load balancer its own loopback address as DNSName."""
    assert _addresses is not None
    balancer["DNSName"] = _addresses.lease()


def give_back_address(balancer: Mapping[str, Any] | None) -> None:
    """Release the address of a deleted load balancer."""
    assert _addresses is not None
    if balancer is not None:
        _addresses.release(balancer["DNSName"])


def journal_weights(arn: str, actions: Sequence[Document]) -> None:
    """Write down who set which weights; the scenarios' expectations read this."""
    for action in actions:
        if action["Type"] == "forward":
            journal.write(
                kind="weights",
                resource=arn,
                groups=[
                    {"targetGroup": group["TargetGroupArn"], "weight": group["Weight"]}
                    for group in forward_groups(action)
                ],
                action=visible([action])[0],
                principal=_principal_name(),
            )


def _principal_name() -> str:
    """The role or user behind a change, or ``root``, as the journal names callers elsewhere."""
    caller: str = caller_arn()
    kind, _, name = caller.rpartition(":")[2].partition("/")
    return name.partition("/")[0] if name else kind


def require(store: Any, arn: str, code: str, label: str) -> Document:
    """The record of a resource, or the error that AWS answers when there is none."""
    record: Document | None = store.get(arn)
    if record is None:
        raise ServiceError(code, f"{label} '{arn}' not found")
    return record


def page_of(found: list[Document], request: Document) -> tuple[list[Document], str | None]:
    """The page that a request asks for, and the marker of the next one."""
    size = int(request.get("PageSize", DEFAULT_PAGE_SIZE))
    if not 1 <= size <= LARGEST_PAGE_SIZE:
        raise ServiceError("ValidationError", f"PageSize must be between 1 and {LARGEST_PAGE_SIZE}")
    start = int(request.get("Marker", 0))
    marker = str(start + size) if start + size < len(found) else None
    return found[start : start + size], marker
