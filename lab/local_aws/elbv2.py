"""Elastic Load Balancing v2: the control plane.

Replaced because ministack cuts a weighted forward action to its first group, checks neither weights
nor whether a group exists, pages nothing, reports every target healthy and has no data plane worth the
name. What ministack does well (tags, transforms, load balancers) stays its own; its stores
stay the one source of truth.

Known deviations from AWS: authenticate actions are accepted on HTTP listeners too (AWS: HTTPS only);
intervals of health checks may be as short as 1 s (AWS: 5 s); DNSName is an address, not a name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

from ministack.services import alb

from local_aws.aws_protocol import QUERY, Document, HttpResponse, ServiceError, call, render_error, service_model
from local_aws.elbv2_actions import normalise_conditions
from local_aws.elbv2_state import (
    accept_actions,
    configure,
    give_back_address,
    journal_weights,
    page_of,
    publish,
    require,
    shown,
    take_address,
)
from local_aws.elbv2_targets import (
    delete_target_group,
    deregister_targets,
    describe_target_group_attributes,
    describe_target_groups,
    describe_target_health,
    modify_target_group_attributes,
    register_targets,
)
from local_aws.replacing import add_entry, replace, replace_entry
from local_aws.settings import Settings
from local_aws.targets import registry
from local_aws.token_bucket import TokenBucket

RULE_PARAMETERS = ("params",)
ACCOUNT_LIMITS: Mapping[str, str] = {
    "application-load-balancers": "50",
    "listeners-per-application-load-balancer": "50",
    "rules-per-application-load-balancer": "100",
    "target-groups": "3000",
    "target-groups-per-action-on-application-load-balancer": "5",
}


# ---- operations ----------------------------------------------------------------------------------


def create_listener(request: Document) -> Document:
    """CreateListener."""
    balancer = require(alb._lbs, request["LoadBalancerArn"], "LoadBalancerNotFound", "Load balancer")
    port = int(request.get("Port", 80))
    arn = balancer["LoadBalancerArn"]
    if any(known["LoadBalancerArn"] == arn and known["Port"] == port for known in alb._listeners.values()):
        raise ServiceError("DuplicateListener", f"A listener already exists on this port for this load balancer '{arn}'")
    actions = accept_actions(request.get("DefaultActions", []), arn)
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
    listener = require(alb._listeners, request["ListenerArn"], "ListenerNotFound", "Listener")
    if "DefaultActions" in request:
        balancer = listener["LoadBalancerArn"]
        actions = accept_actions(request["DefaultActions"], balancer, listener["DefaultActions"])
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
        found = [require(alb._listeners, arn, "ListenerNotFound", "Listener") for arn in arns]
    else:
        balancer = request.get("LoadBalancerArn")
        if balancer is None:
            raise ServiceError("ValidationError", "You must specify either listener ARNs or a load balancer ARN")
        require(alb._lbs, balancer, "LoadBalancerNotFound", "Load balancer")
        found = [listener for listener in alb._listeners.values() if listener["LoadBalancerArn"] == balancer]
    page, marker = page_of(found, request)
    return {"Listeners": [_listener_view(listener) for listener in page], "NextMarker": marker}


def create_rule(request: Document) -> Document:
    """CreateRule."""
    listener = require(alb._listeners, request["ListenerArn"], "ListenerNotFound", "Listener")
    arn = listener["ListenerArn"]
    priority = str(request["Priority"])
    if any(rule["ListenerArn"] == arn and rule["Priority"] == priority for rule in alb._rules.values()):
        raise ServiceError("PriorityInUse", f"Priority '{priority}' is currently in use")
    actions = accept_actions(request.get("Actions", []), listener["LoadBalancerArn"])
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
    rule = require(alb._rules, request["RuleArn"], "RuleNotFound", "Rule")
    if rule["IsDefault"]:
        raise ServiceError("OperationNotPermitted", f"Default rule '{rule['RuleArn']}' cannot be modified")
    changes: Document = {}
    if "Actions" in given:
        balancer = alb._listeners[rule["ListenerArn"]]["LoadBalancerArn"]
        changes["Actions"] = accept_actions(request["Actions"], balancer, rule["Actions"])
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
        found = [require(alb._rules, arn, "RuleNotFound", "Rule") for arn in arns]
    else:
        listener = request.get("ListenerArn")
        if listener is None:
            raise ServiceError("ValidationError", "You must specify either listener rule ARNs or a listener ARN")
        require(alb._listeners, listener, "ListenerNotFound", "Listener")
        found = [rule for rule in alb._rules.values() if rule["ListenerArn"] == listener]
        found.sort(key=lambda rule: float("inf") if rule["IsDefault"] else int(rule["Priority"]))
    page, marker = page_of(found, request)
    return {"Rules": [_rule_view(rule) for rule in page], "NextMarker": marker}


def describe_account_limits(request: Document) -> Document:
    """DescribeAccountLimits, in pages; the quotas that a new account has."""
    limits = [{"Name": name, "Max": most} for name, most in ACCOUNT_LIMITS.items()]
    page, marker = page_of(limits, request)
    return {"Limits": page, "NextMarker": marker}


# ---- helpers -------------------------------------------------------------------------------------


def _checked_transforms(transforms: list[Document]) -> list[Document]:
    problem = alb._transforms_model_error(transforms) or alb._transforms_problem(transforms)
    if problem:
        raise ServiceError("ValidationError", problem)
    return transforms


def _apply_tls(listener: Document, request: Document) -> None:
    certificates = [item["CertificateArn"] for item in request.get("Certificates", [])]
    alb._apply_tls_settings(listener, certificates, request.get("SslPolicy"))


def _listener_view(listener: Document) -> Document:
    certificates = [{"CertificateArn": arn} for arn in listener.get("Certificates", [])]
    return {
        **listener,
        "DefaultActions": shown(listener["DefaultActions"]),
        "Certificates": certificates or None,
    }


def _rule_view(rule: Document) -> Document:
    return {**rule, "Actions": shown(rule["Actions"])}


# ---- installation --------------------------------------------------------------------------------

OPERATIONS: Mapping[str, Callable[[Document], Document]] = {
    "CreateListener": create_listener,
    "ModifyListener": modify_listener,
    "DescribeListeners": describe_listeners,
    "CreateRule": create_rule,
    "ModifyRule": modify_rule,
    "DescribeRules": describe_rules,
    "DescribeTargetGroupAttributes": describe_target_group_attributes,
    "DescribeTargetGroups": describe_target_groups,
    "ModifyTargetGroupAttributes": modify_target_group_attributes,
    "DeleteTargetGroup": delete_target_group,
    "RegisterTargets": register_targets,
    "DeregisterTargets": deregister_targets,
    "DescribeTargetHealth": describe_target_health,
}
OPERATIONS_THAT_MINISTACK_LACKS: Mapping[str, Callable[[Document], Document]] = {
    "DescribeAccountLimits": describe_account_limits,
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
        shown: HttpResponse = alb._xml(
            200, "CreateLoadBalancer", f"<LoadBalancers>{alb._lb_xml(balancer)}</LoadBalancers>"
        )
        return shown

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
    configure(settings)
    table = alb._ACTION_MAP
    for name, handler in {**OPERATIONS, "DeleteLoadBalancer": _delete_load_balancer}.items():
        replace_entry(table, "alb._ACTION_MAP", name, _operation(name, handler), expects=RULE_PARAMETERS)
    for name, handler in OPERATIONS_THAT_MINISTACK_LACKS.items():
        add_entry(table, "alb._ACTION_MAP", name, _operation(name, handler))
    for name in MINISTACK_OPERATIONS_THAT_CHANGE_ROUTES:
        replace_entry(
            table, "alb._ACTION_MAP", name, _followed_by_publish(table[name]), expects=RULE_PARAMETERS
        )
    creator = _create_load_balancer(table["CreateLoadBalancer"])
    replace_entry(table, "alb._ACTION_MAP", "CreateLoadBalancer", creator, expects=RULE_PARAMETERS)
    _install_reset()
    _install_throttling()
    if settings.elb_throttling:
        limit("changes", 20, 3)
        limit("reads", 40, 10)


def _install_reset() -> None:
    original: Callable[[], None] = alb.reset

    def reset() -> None:
        for balancer in alb._lbs.all_values():
            give_back_address(balancer)
        original()
        registry.clear()
        publish()

    replace(alb, "reset", reset, expects=())


_buckets: dict[str, TokenBucket] = {}


def limit(kind: str, burst: float, per_second: float) -> None:
    """From now on throttle requests of a kind, ``changes`` or ``reads``, beyond this bucket."""
    _buckets[kind] = TokenBucket(burst, per_second)


def _install_throttling() -> None:
    original = alb.handle_request

    async def handle_request(
        method: str, path: str, headers: Document, body: bytes, query_params: Document
    ) -> HttpResponse:
        text = body if isinstance(body, str) else (body or b"").decode("utf-8", errors="replace")
        action = (parse_qs(text).get("Action") or [""])[0]
        try:
            bucket = _buckets.get("reads" if action.startswith("Describe") else "changes")
            if bucket is not None:
                bucket.take()
        except ServiceError as error:
            return render_error(service_model("elbv2"), QUERY, error)
        answer: HttpResponse = await original(method, path, headers, body, query_params)
        return answer

    expects = ("method", "path", "headers", "body", "query_params")
    replace(alb, "handle_request", handle_request, expects=expects)
