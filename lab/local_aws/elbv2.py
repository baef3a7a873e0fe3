"""Elastic Load Balancing v2: the control plane.

Replaced because ministack cuts a weighted forward action to its first group, checks neither weights
nor whether a group exists, pages nothing, reports every target healthy and has no data plane worth the
name. What ministack does well (attributes, tags, transforms, load balancers) stays its own; its stores
stay the one source of truth.

Known deviations from AWS: authenticate actions are accepted on HTTP listeners too (AWS: HTTPS only);
intervals of health checks may be as short as 1 s (AWS: 5 s); DNSName is an address, not a name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from ministack.core.iam_evaluator import caller_arn
from ministack.core.responses import request_scope
from ministack.services import alb

from local_aws import journal, load_balancer
from local_aws.addresses import AddressPool, load_balancer_addresses
from local_aws.aws_protocol import QUERY, Document, HttpResponse, ServiceError, call, render_error, service_model
from local_aws.elbv2_actions import forward_groups, group_arns, normalise, normalise_conditions, visible
from local_aws.load_balancer import Routes, listener_routes
from local_aws.replacing import replace, replace_entry
from local_aws.settings import Settings
from local_aws.targets import registry
from local_aws.token_bucket import TokenBucket

DEFAULT_PAGE_SIZE = 100
LARGEST_PAGE_SIZE = 400
DEFAULT_DEREGISTRATION_DELAY = 300.0
RULE_PARAMETERS = ("params",)

_scope: tuple[str, str] = ("", "")
_addresses: AddressPool | None = None


# ---- what the data plane is told -----------------------------------------------------------------


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
    with request_scope(*_scope):
        attached = attachments()
        for arn, group in alb._tgs.items():
            group["LoadBalancerArns"] = [attached[arn]] if arn in attached else []
        listeners = {}
        for arn, listener in alb._listeners.items():
            balancer = alb._lbs.get(listener["LoadBalancerArn"])
            if balancer is not None:
                rules = [rule for rule in alb._rules.values() if rule["ListenerArn"] == arn]
                listeners[arn] = listener_routes(
                    balancer["LoadBalancerArn"], balancer["DNSName"], listener, rules
                )
        groups = {arn: dict(group) for arn, group in alb._tgs.items()}
    load_balancer.update(Routes(listeners, groups, attached))


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
                principal=caller_arn(),
            )


# ---- operations ----------------------------------------------------------------------------------


def create_listener(request: Document) -> Document:
    """CreateListener."""
    balancer = _require(alb._lbs, request["LoadBalancerArn"], "LoadBalancerNotFound", "Load balancer")
    port = int(request.get("Port", 80))
    arn = balancer["LoadBalancerArn"]
    if any(known["LoadBalancerArn"] == arn and known["Port"] == port for known in alb._listeners.values()):
        raise ServiceError("DuplicateListener", f"A listener already exists on this port for this load balancer '{arn}'")
    actions = normalise(request.get("DefaultActions", []), alb._tgs)
    _refuse_second_load_balancer(actions, arn)
    listener_arn = f"{arn.replace(':loadbalancer/', ':listener/')}/{alb._short_id()}"
    listener = {
        "ListenerArn": listener_arn,
        "LoadBalancerArn": arn,
        "Port": port,
        "Protocol": request.get("Protocol", "HTTP"),
        "DefaultActions": actions,
    }
    _apply_tls(listener, request)
    store_listener(listener)
    alb._tags[listener_arn] = request.get("Tags", [])
    return {"Listeners": [_listener_view(listener)]}


def store_listener(listener: Document) -> None:
    """Keep a new listener together with its default rule, which is what the data plane reads."""
    arn = listener["ListenerArn"]
    alb._listeners[arn] = listener
    alb._listener_attrs[arn] = [{"Key": "routing.http.response.server.enabled", "Value": "true"}]
    rule_arn = f"{arn.replace(':listener/', ':listener-rule/')}/{alb._short_id()}"
    alb._rules[rule_arn] = {
        "RuleArn": rule_arn,
        "ListenerArn": arn,
        "Priority": "default",
        "Conditions": [],
        "Actions": listener["DefaultActions"],
        "IsDefault": True,
        "Transforms": [],
    }
    publish()


def modify_listener(request: Document) -> Document:
    """ModifyListener: what is omitted stays, DefaultActions are replaced as a whole."""
    listener = _require(alb._listeners, request["ListenerArn"], "ListenerNotFound", "Listener")
    if "DefaultActions" in request:
        actions = normalise(request["DefaultActions"], alb._tgs, listener["DefaultActions"])
        _refuse_second_load_balancer(actions, listener["LoadBalancerArn"])
        set_default_actions(listener, actions)
    for name in ("Port", "Protocol"):
        if name in request:
            listener[name] = request[name]
    _apply_tls(listener, request)
    publish()
    return {"Listeners": [_listener_view(listener)]}


def set_default_actions(listener: Document, actions: list[Document]) -> None:
    """Replace the default actions of a listener and of its default rule."""
    listener["DefaultActions"] = actions
    for rule in alb._rules.values():
        if rule["ListenerArn"] == listener["ListenerArn"] and rule["IsDefault"]:
            rule["Actions"] = actions
    journal_weights(listener["ListenerArn"], actions)


def describe_listeners(request: Document) -> Document:
    """DescribeListeners by load balancer or by ARNs."""
    arns = request.get("ListenerArns")
    if arns:
        found = [_require(alb._listeners, arn, "ListenerNotFound", "Listener") for arn in arns]
    else:
        balancer = request.get("LoadBalancerArn")
        if balancer is None:
            raise ServiceError("ValidationError", "You must specify either listener ARNs or a load balancer ARN")
        _require(alb._lbs, balancer, "LoadBalancerNotFound", "Load balancer")
        found = [listener for listener in alb._listeners.values() if listener["LoadBalancerArn"] == balancer]
    page, marker = _page(found, request)
    return {"Listeners": [_listener_view(listener) for listener in page], "NextMarker": marker}


def create_rule(request: Document) -> Document:
    """CreateRule."""
    listener = _require(alb._listeners, request["ListenerArn"], "ListenerNotFound", "Listener")
    arn = listener["ListenerArn"]
    priority = str(request["Priority"])
    if any(rule["ListenerArn"] == arn and rule["Priority"] == priority for rule in alb._rules.values()):
        raise ServiceError("PriorityInUse", f"Priority '{priority}' is currently in use")
    actions = normalise(request.get("Actions", []), alb._tgs)
    _refuse_second_load_balancer(actions, listener["LoadBalancerArn"])
    rule = {
        "RuleArn": f"{arn.replace(':listener/', ':listener-rule/')}/{alb._short_id()}",
        "ListenerArn": arn,
        "Priority": priority,
        "Conditions": normalise_conditions(request.get("Conditions", [])),
        "Actions": actions,
        "IsDefault": False,
        "Transforms": _checked_transforms(request.get("Transforms", [])),
    }
    alb._rules[rule["RuleArn"]] = rule
    alb._tags[rule["RuleArn"]] = request.get("Tags", [])
    publish()
    return {"Rules": [_rule_view(rule)]}


def modify_rule(request: Document) -> Document:
    """ModifyRule: what is omitted stays, each given list is replaced as a whole."""
    given = {name for name in ("Actions", "Conditions", "Transforms", "ResetTransforms") if request.get(name)}
    if not given:
        raise ServiceError("ValidationError", "You must provide either conditions, actions, or transforms")
    if {"Transforms", "ResetTransforms"} <= given:
        raise ServiceError("ValidationError", "Transforms cannot be provided when resetting transforms")
    rule = _require(alb._rules, request["RuleArn"], "RuleNotFound", "Rule")
    if rule["IsDefault"]:
        raise ServiceError("OperationNotPermitted", f"Default rule '{rule['RuleArn']}' cannot be modified")
    changes: Document = {}
    if "Actions" in given:
        changes["Actions"] = normalise(request["Actions"], alb._tgs, rule["Actions"])
        balancer = alb._listeners[rule["ListenerArn"]]["LoadBalancerArn"]
        _refuse_second_load_balancer(changes["Actions"], balancer)
    if "Conditions" in given:
        changes["Conditions"] = normalise_conditions(request["Conditions"])
    if "Transforms" in given:
        changes["Transforms"] = _checked_transforms(request["Transforms"])
    elif "ResetTransforms" in given:
        changes["Transforms"] = []
    rule.update(changes)
    if "Actions" in changes:
        journal_weights(rule["RuleArn"], changes["Actions"])
    publish()
    return {"Rules": [_rule_view(rule)]}


def describe_rules(request: Document) -> Document:
    """DescribeRules by listener or by ARNs, in pages, the default rule last."""
    arns = request.get("RuleArns")
    if arns:
        found = [_require(alb._rules, arn, "RuleNotFound", "Rule") for arn in arns]
    else:
        listener = request.get("ListenerArn")
        if listener is None:
            raise ServiceError("ValidationError", "You must specify either listener rule ARNs or a listener ARN")
        _require(alb._listeners, listener, "ListenerNotFound", "Listener")
        found = [rule for rule in alb._rules.values() if rule["ListenerArn"] == listener]
        found.sort(key=lambda rule: float("inf") if rule["IsDefault"] else int(rule["Priority"]))
    page, marker = _page(found, request)
    return {"Rules": [_rule_view(rule) for rule in page], "NextMarker": marker}


def describe_target_groups(request: Document) -> Document:
    """DescribeTargetGroups by load balancer, ARNs or names."""
    found = list(alb._tgs.values())
    if request.get("LoadBalancerArn"):
        _require(alb._lbs, request["LoadBalancerArn"], "LoadBalancerNotFound", "Load balancer")
        found = [group for group in found if request["LoadBalancerArn"] in group["LoadBalancerArns"]]
    for parameter, name in (("TargetGroupArns", "TargetGroupArn"), ("Names", "TargetGroupName")):
        wanted = request.get(parameter)
        if wanted:
            found = [group for group in found if group[name] in wanted]
            if len({group[name] for group in found}) < len(set(wanted)):
                raise ServiceError("TargetGroupNotFound", "One or more target groups not found")
    page, marker = _page(found, request)
    return {"TargetGroups": page, "NextMarker": marker}


def delete_target_group(request: Document) -> Document:
    """DeleteTargetGroup: refused while a rule or listener names the group."""
    arn = request["TargetGroupArn"]
    _require(alb._tgs, arn, "TargetGroupNotFound", "Target group")
    if arn in attachments():
        raise ServiceError("ResourceInUse", f"Target group '{arn}' is currently in use by a listener or a rule")
    for store in (alb._tgs, alb._targets, alb._tg_attrs, alb._tags):
        store.pop(arn, None)
    registry.remove_group(arn)
    publish()
    return {}


def register_targets(request: Document) -> Document:
    """RegisterTargets."""
    group = _require(alb._tgs, request["TargetGroupArn"], "TargetGroupNotFound", "Target group")
    registry.register(group["TargetGroupArn"], _target_keys(request, group))
    return {}


def deregister_targets(request: Document) -> Document:
    """DeregisterTargets: targets drain for the group's deregistration delay."""
    group = _require(alb._tgs, request["TargetGroupArn"], "TargetGroupNotFound", "Target group")
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
    record = _require(alb._tgs, request["TargetGroupArn"], "TargetGroupNotFound", "Target group")
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


# ---- helpers -------------------------------------------------------------------------------------


def _require(store: Any, arn: str, code: str, label: str) -> Document:
    record: Document | None = store.get(arn)
    if record is None:
        raise ServiceError(code, f"{label} '{arn}' not found")
    return record


def _refuse_second_load_balancer(actions: Sequence[Document], balancer: str) -> None:
    attached = attachments()
    for arn in group_arns(actions):
        if attached.get(arn, balancer) != balancer:
            raise ServiceError(
                "TargetGroupAssociationLimit",
                f"The following target groups cannot be associated with more than one load balancer: {arn}",
            )


def _checked_transforms(transforms: list[Document]) -> list[Document]:
    problem = alb._transforms_model_error(transforms) or alb._transforms_problem(transforms)
    if problem:
        raise ServiceError("ValidationError", problem)
    return transforms


def _apply_tls(listener: Document, request: Document) -> None:
    certificates = [item["CertificateArn"] for item in request.get("Certificates", [])]
    alb._apply_tls_settings(listener, certificates, request.get("SslPolicy"))


def _target_keys(request: Document, group: Document) -> list[tuple[str, int]]:
    return [(target["Id"], int(target.get("Port", group["Port"]))) for target in request.get("Targets", [])]


def _listener_view(listener: Document) -> Document:
    certificates = [{"CertificateArn": arn} for arn in listener.get("Certificates", [])]
    return {
        **listener,
        "DefaultActions": visible(listener["DefaultActions"]),
        "Certificates": certificates or None,
    }


def _rule_view(rule: Document) -> Document:
    return {**rule, "Actions": visible(rule["Actions"])}


def _page(found: list[Document], request: Document) -> tuple[list[Document], str | None]:
    size = int(request.get("PageSize", DEFAULT_PAGE_SIZE))
    if not 1 <= size <= LARGEST_PAGE_SIZE:
        raise ServiceError("ValidationError", f"PageSize must be between 1 and {LARGEST_PAGE_SIZE}")
    start = int(request.get("Marker", 0))
    marker = str(start + size) if start + size < len(found) else None
    return found[start : start + size], marker


# ---- installation --------------------------------------------------------------------------------

OPERATIONS: Mapping[str, Callable[[Document], Document]] = {
    "CreateListener": create_listener,
    "ModifyListener": modify_listener,
    "DescribeListeners": describe_listeners,
    "CreateRule": create_rule,
    "ModifyRule": modify_rule,
    "DescribeRules": describe_rules,
    "DescribeTargetGroups": describe_target_groups,
    "DeleteTargetGroup": delete_target_group,
    "RegisterTargets": register_targets,
    "DeregisterTargets": deregister_targets,
    "DescribeTargetHealth": describe_target_health,
}
MINISTACK_OPERATIONS_THAT_CHANGE_ROUTES = (
    "DeleteListener",
    "DeleteRule",
    "SetRulePriorities",
    "CreateTargetGroup",
    "ModifyTargetGroup",
)


def _operation(name: str, handler: Callable[[Document], Document]) -> Callable[[Document], HttpResponse]:
    return lambda params: call("elbv2", name, handler, QUERY, params)


def _followed_by_publish(original: Callable[[Document], HttpResponse]) -> Callable[[Document], HttpResponse]:
    def changed(params: Document) -> HttpResponse:
        answer = original(params)
        publish()
        return answer

    return changed


def _create_load_balancer(original: Callable[[Document], HttpResponse]) -> Callable[[Document], HttpResponse]:
    def create(params: Document) -> HttpResponse:
        before = set(alb._lbs.keys())
        answer = original(params)
        created = set(alb._lbs.keys()) - before
        if not created:
            return answer
        balancer = alb._lbs[created.pop()]
        take_address(balancer)
        return alb._xml(200, "CreateLoadBalancer", f"<LoadBalancers>{alb._lb_xml(balancer)}</LoadBalancers>")

    return create


def delete_load_balancer_record(arn: str) -> None:
    """Delete a load balancer with its listeners and rules, as AWS does."""
    for listener_arn in [a for a, listener in alb._listeners.items() if listener["LoadBalancerArn"] == arn]:
        for rule_arn in [a for a, rule in alb._rules.items() if rule["ListenerArn"] == listener_arn]:
            alb._rules.pop(rule_arn, None)
        alb._listeners.pop(listener_arn, None)
    give_back_address(alb._lbs.pop(arn, None))
    alb._lb_attrs.pop(arn, None)
    alb._tags.pop(arn, None)
    publish()


def _delete_load_balancer(request: Document) -> Document:
    delete_load_balancer_record(request["LoadBalancerArn"])
    return {}


def install(settings: Settings) -> None:
    """Replace what must be exact and connect the rest to the data plane."""
    global _scope, _addresses
    _scope = (settings.account, settings.region)
    _addresses = load_balancer_addresses(settings)
    table = alb._ACTION_MAP
    for name, handler in {**OPERATIONS, "DeleteLoadBalancer": _delete_load_balancer}.items():
        replace_entry(table, "alb._ACTION_MAP", name, _operation(name, handler), expects=RULE_PARAMETERS)
    for name in MINISTACK_OPERATIONS_THAT_CHANGE_ROUTES:
        replace_entry(
            table, "alb._ACTION_MAP", name, _followed_by_publish(table[name]), expects=RULE_PARAMETERS
        )
    creator = _create_load_balancer(table["CreateLoadBalancer"])
    replace_entry(table, "alb._ACTION_MAP", "CreateLoadBalancer", creator, expects=RULE_PARAMETERS)
    _install_reset()
    if settings.elb_throttling:
        _install_throttling()


def _install_reset() -> None:
    original: Callable[[], None] = alb.reset

    def reset() -> None:
        for balancer in alb._lbs.all_values():
            give_back_address(balancer)
        original()
        registry.clear()
        publish()

    replace(alb, "reset", reset, expects=())


def _install_throttling() -> None:
    changes, reads = TokenBucket(20, 3), TokenBucket(40, 10)
    original = alb.handle_request

    async def handle_request(
        method: str, path: str, headers: Document, body: bytes, query_params: Document
    ) -> HttpResponse:
        text = body if isinstance(body, str) else (body or b"").decode("utf-8", errors="replace")
        action = (parse_qs(text).get("Action") or [""])[0]
        try:
            (reads if action.startswith("Describe") else changes).take()
        except ServiceError as error:
            return render_error(service_model("elbv2"), QUERY, error)
        answer: HttpResponse = await original(method, path, headers, body, query_params)
        return answer

    expects = ("method", "path", "headers", "body", "query_params")
    replace(alb, "handle_request", handle_request, expects=expects)
