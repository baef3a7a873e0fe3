"""What AWS accepts and returns as the actions and conditions of a rule or listener. Pure functions.

ministack cuts a weighted forward action to its first group and knows no Cognito action.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from local_aws.aws_protocol import Document, ServiceError

MAXIMUM_GROUPS = 5
MAXIMUM_WEIGHT = 999
MAXIMUM_STICKINESS_SECONDS = 604_800
TERMINAL = ("forward", "redirect", "fixed-response")
AUTHENTICATION_CONFIGS = {
    "authenticate-oidc": "AuthenticateOidcConfig",
    "authenticate-cognito": "AuthenticateCognitoConfig",
}
AUTHENTICATION_DEFAULTS = {
    "SessionCookieName": "AWSELBAuthSessionCookie",
    "Scope": "openid",
    "SessionTimeout": 604_800,
    "OnUnauthenticatedRequest": "authenticate",
}
REDIRECT_DEFAULTS = {
    "Protocol": "#{protocol}",
    "Port": "#{port}",
    "Host": "#{host}",
    "Path": "/#{path}",
    "Query": "#{query}",
}
CONDITION_CONFIGS = {
    "path-pattern": "PathPatternConfig",
    "host-header": "HostHeaderConfig",
    "http-header": "HttpHeaderConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "query-string": "QueryStringConfig",
    "source-ip": "SourceIpConfig",
}


def forward_groups(action: Mapping[str, Any]) -> list[Document]:
    """Return the groups and weights of an action; empty if it does not forward."""
    if action.get("Type") != "forward":
        return []
    config = action.get("ForwardConfig") or {}
    groups: list[Document] = config.get("TargetGroups", [])
    return groups


def group_stickiness(action: Mapping[str, Any]) -> bool:
    """Whether a forward action keeps a client at the group it once got."""
    config = action.get("ForwardConfig") or {}
    return bool((config.get("TargetGroupStickinessConfig") or {}).get("Enabled", False))


def group_arns(actions: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return every group that an action list names, whatever its weight."""
    return {group["TargetGroupArn"] for action in actions for group in forward_groups(action)}


def normalise(
    actions: Sequence[Document], known_groups: Collection[str], previous: Sequence[Document] = ()
) -> list[Document]:
    """Check a whole action list and bring it to the shape that AWS keeps.

    ``previous`` is the list that is being replaced: an OIDC action may keep its client secret.
    """
    result = [_normalise_one(action, known_groups, previous) for action in actions]
    for position, action in enumerate(result, start=1):
        if len(result) > 1:
            action.setdefault("Order", position)
    result.sort(key=lambda action: int(action.get("Order", 1)))
    orders = [action["Order"] for action in result if "Order" in action]
    if len(set(orders)) != len(orders):
        raise ServiceError("ValidationError", "Each action must have a different order")
    terminal = [action for action in result if action["Type"] in TERMINAL]
    if len(terminal) != 1 or result[-1] is not terminal[0]:
        raise ServiceError(
            "InvalidLoadBalancerAction",
            "The last action must be one of the following: forward, fixed-response, redirect",
        )
    return result


def visible(actions: Sequence[Document]) -> list[Document]:
    """Copy an action list without the OIDC client secret, which nobody is shown."""
    result = copy.deepcopy(list(actions))
    for action in result:
        config = action.get("AuthenticateOidcConfig")
        if config:
            config.pop("ClientSecret", None)
    return result


def normalise_conditions(conditions: Sequence[Document]) -> list[Document]:
    """Bring conditions to the shape that AWS returns: legacy Values and the typed config."""
    return [_normalise_condition(condition) for condition in conditions]


def _normalise_one(
    action: Document, known_groups: Collection[str], previous: Sequence[Document]
) -> Document:
    kind = action.get("Type")
    result: Document = {"Type": kind}
    if "Order" in action:
        result["Order"] = action["Order"]
    if kind == "forward":
        result.update(_forward(action, known_groups))
    elif kind in AUTHENTICATION_CONFIGS:
        name = AUTHENTICATION_CONFIGS[kind]
        if name not in action:
            raise ServiceError(
                "InvalidLoadBalancerAction", f"Actions of type '{kind}' must specify '{name}'"
            )
        config = {**AUTHENTICATION_DEFAULTS, **action[name]}
        if kind == "authenticate-oidc":
            config = _with_client_secret(config, previous)
        result[name] = config
    elif kind == "redirect":
        result["RedirectConfig"] = {**REDIRECT_DEFAULTS, **action.get("RedirectConfig", {})}
        if "StatusCode" not in result["RedirectConfig"]:
            raise ServiceError("ValidationError", "A redirect must specify a status code")
    elif kind == "fixed-response":
        result["FixedResponseConfig"] = dict(action.get("FixedResponseConfig", {}))
        if "StatusCode" not in result["FixedResponseConfig"]:
            raise ServiceError("ValidationError", "A fixed response must specify a status code")
    elif kind == "jwt-validation":
        config = action.get("JwtValidationConfig") or {}
        missing = [name for name in ("JwksEndpoint", "Issuer") if not config.get(name)]
        if missing:
            raise ServiceError("ValidationError", f"Actions of type '{kind}' must specify '{missing[0]}'")
        result["JwtValidationConfig"] = dict(config)
    else:
        raise ServiceError("ValidationError", f"Action type '{kind}' is not supported")
    return result


def _forward(action: Document, known_groups: Collection[str]) -> Document:
    config = action.get("ForwardConfig") or {}
    single = action.get("TargetGroupArn")
    groups = [
        {"TargetGroupArn": group["TargetGroupArn"], "Weight": int(group.get("Weight", 1))}
        for group in config.get("TargetGroups") or []
    ]
    if not groups and single:
        groups = [{"TargetGroupArn": single, "Weight": 1}]
    arns = [group["TargetGroupArn"] for group in groups]
    if not groups:
        raise ServiceError("ValidationError", "A forward action must name a target group")
    if single and arns != [single]:
        raise ServiceError(
            "ValidationError",
            "TargetGroupArn and ForwardConfig of an action must name the same single target group",
        )
    if len(groups) > MAXIMUM_GROUPS:
        raise ServiceError(
            "TooManyTargetGroups", f"An action can forward to at most {MAXIMUM_GROUPS} target groups"
        )
    if len(set(arns)) != len(arns):
        raise ServiceError("ValidationError", "A target group can be specified only once per action")
    for group in groups:
        if not 0 <= group["Weight"] <= MAXIMUM_WEIGHT:
            raise ServiceError("ValidationError", f"Weight must be between 0 and {MAXIMUM_WEIGHT}")
    if any(arn not in known_groups for arn in arns):
        raise ServiceError("TargetGroupNotFound", "One or more target groups not found")
    result: Document = {
        "ForwardConfig": {
            "TargetGroups": groups,
            "TargetGroupStickinessConfig": _stickiness(config),
        }
    }
    if len(arns) == 1:
        result["TargetGroupArn"] = arns[0]
    return result


def _stickiness(config: Document) -> Document:
    stickiness = config.get("TargetGroupStickinessConfig") or {}
    result: Document = {"Enabled": bool(stickiness.get("Enabled", False))}
    if "DurationSeconds" in stickiness:
        result["DurationSeconds"] = int(stickiness["DurationSeconds"])
    if result["Enabled"]:
        if not 1 <= result.get("DurationSeconds", 0) <= MAXIMUM_STICKINESS_SECONDS:
            raise ServiceError(
                "ValidationError",
                f"Stickiness duration must be between 1 and {MAXIMUM_STICKINESS_SECONDS} seconds",
            )
    return result


def _with_client_secret(config: Document, previous: Sequence[Document]) -> Document:
    reuse = config.pop("UseExistingClientSecret", False)
    if config.get("ClientSecret"):
        return config
    existing = next(
        (
            action["AuthenticateOidcConfig"].get("ClientSecret")
            for action in previous
            if "AuthenticateOidcConfig" in action
        ),
        None,
    )
    if not reuse or not existing:
        raise ServiceError(
            "ValidationError",
            "An authenticate-oidc action must specify a client secret or use the existing one",
        )
    config["ClientSecret"] = existing
    return config


def _normalise_condition(condition: Document) -> Document:
    field = condition.get("Field", "")
    config_name = CONDITION_CONFIGS.get(field)
    if config_name is None:
        raise ServiceError("ValidationError", f"Condition field '{field}' must be one of the supported ones")
    config = dict(condition.get(config_name) or {})
    values = config.get("Values") or condition.get("Values") or []
    if not values:
        raise ServiceError("ValidationError", f"A condition on '{field}' must have values")
    config["Values"] = values
    result: Document = {"Field": field, config_name: config}
    if field in ("path-pattern", "host-header"):
        result["Values"] = values
    return result
