"""IAM: on what a call is authorized, where ministack has it otherwise than AWS.

A role that is scoped to its rules and services would be denied here and work on AWS, or the other way
round. Which kinds of resources an action can be allowed on, and which condition keys its requests carry,
comes from AWS's own reference (``service_authorization``); what that does not say is in ``iam_rules``. An
action without a resource type can only be allowed on ``*``, a condition on a key that its requests do not
carry is not met, and of a call that names several resources each is authorized.

DynamoDB is left to ministack, which knows its indexes and transactions.
"""

from __future__ import annotations

import contextvars
import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.core.router import extract_access_key_id
from ministack.services import ecs

from local_aws import (
    application_autoscaling_records,
    contracts,
    function_policies,
    iam_rules,
    iam_simulation,
    service_authorization,
)
from local_aws.calls import CBOR, ROOT, Answer, Call, Proceed, add_interceptor
from local_aws.iam_rules import ANY, ONLY_ANY, Requirement
from local_aws.replacing import AnyFunction, replace
from local_aws.settings import Settings
from local_aws.wire_documents import rest_operation

# The services whose resources are found here by the reference. DynamoDB's are ministack's, which knows
# indexes and transactions.
SERVICES = contracts.PRODUCTS_SERVICES - {"dynamodb"}
# ECS names its resources in many ways: request fields to the kind in the ARN, and whether it has the cluster.
ECS_RESOURCES = {
    "cluster": ("cluster", False),
    "clusters": ("cluster", False),
    "containerInstance": ("container-instance", True),
    "containerInstances": ("container-instance", True),
    "service": ("service", True),
    "serviceDeploymentArn": ("service-deployment", True),
    "serviceDeploymentArns": ("service-deployment", True),
    "serviceName": ("service", True),
    "services": ("service", True),
    "task": ("task", True),
    "taskDefinition": ("task-definition", False),
    "tasks": ("task", True),
}
# Operations of Lambda that have one permission together.
INVOCATIONS = ("Invoke", "InvokeAsync", "InvokeWithResponseStream")
# Other actions of EventBridge are not the product's, and are left to ministack.
BUS_ACTIONS = frozenset({"events:PutEvents", "events:DescribeEventBus"})
# What a condition says of an entry of PutEvents.
ENTRY_KEYS = {"events:source": "Source", "events:detail-type": "DetailType"}
NO_RESOURCES: tuple[str, ...] = ()
AUTH_TYPE = "lambda:FunctionUrlAuthType"

_resources: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("resources", default=NO_RESOURCES)
"""What the call that is being answered is authorized on, as far as it is found here."""


# ---- resources -----------------------------------------------------------------------------------


def _each(value: Any) -> list[str]:
    """The texts of a field that holds one or a list."""
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str) and item]


def _arns_in(value: Any) -> Iterator[str]:
    """Every ARN in a request."""
    if isinstance(value, str):
        if value.startswith("arn:"):
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _arns_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _arns_in(item)


def _ecs_arns(request: dict[str, Any]) -> Iterator[str]:
    """Every resource of ECS that a request names, by ARN or by name."""
    scope = f"arn:aws:ecs:{get_region()}:{get_account_id()}"
    cluster = _cluster_name(request)
    for field, (kind, in_cluster) in ECS_RESOURCES.items():
        for name in _each(request.get(field)):
            if name.startswith("arn:"):
                yield name
            elif field == "taskDefinition":
                definition = ecs._task_defs.get(ecs._resolve_td_key(name))
                yield definition["taskDefinitionArn"] if definition else f"{scope}:{kind}/{name}"
            else:
                yield f"{scope}:{kind}/{cluster}/{name}" if in_cluster else f"{scope}:{kind}/{name}"


def _repository_arns(request: dict[str, Any]) -> Iterator[str]:
    """The repository that a request names, in whosever registry."""
    registry = request.get("registryId") or get_account_id()
    for name in _each(request.get("repositoryName")):
        yield f"arn:aws:ecr:{get_region()}:{registry}:repository/{name}"


def _scalable_target_arns(request: dict[str, Any]) -> Iterator[str]:
    """The scalable target that a request names, by its ARN or by what it scales."""
    if "ResourceARN" in request:
        yield request["ResourceARN"]
    elif isinstance(request.get("ResourceId"), str):
        yield application_autoscaling_records.target_arn(request["ResourceId"])


def _bus_arns(request: dict[str, Any]) -> Iterator[str]:
    """The buses that a request names: one for each entry of PutEvents, the default one where none is named."""
    entries = request.get("Entries")
    named = [entry.get("EventBusName") for entry in entries] if isinstance(entries, list) else [request.get("Name")]
    for bus in named:
        name = str(bus or "default")
        arn = f"arn:aws:events:{get_region()}:{get_account_id()}:event-bus/{name}"
        yield name if name.startswith("arn:") else arn


def _cluster_name(request: dict[str, Any]) -> str:
    names = _each(request.get("cluster"))
    return names[0].rsplit("/", 1)[-1] if names else "default"


def _resources_of(call: Call, original: AnyFunction) -> tuple[str, ...]:
    """What a call is authorized on; nothing if that is left to ministack."""
    permission = call.permission
    if call.service == "lambda" and call.http.path.startswith(function_policies.PATH):
        # The reference does not have these actions yet.
        return (unquote(call.http.path.removeprefix(function_policies.PATH)),)
    known = service_authorization.action(permission) if call.service in SERVICES else None
    if known is None or (call.service == "events" and permission not in BUS_ACTIONS):
        return NO_RESOURCES
    if not known.resources or permission in ONLY_ANY:
        return (ANY,)
    if call.service == "elasticloadbalancing":
        named = _arns_in(call.request)
    elif call.service == "ecs":
        named = _ecs_arns(call.request)
    elif call.service == "ecr":
        named = _repository_arns(call.request)
    elif call.service == "application-autoscaling":
        named = _scalable_target_arns(call.request)
    elif call.service == "events":
        named = _bus_arns(call.request)
    elif call.service == "cloudwatch":
        # ministack reads forms only, and fails on CBOR.
        scope = f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:alarm"
        names = [name for field in ("AlarmName", "AlarmNames") for name in _each(call.request.get(field))]
        named = iter([f"{scope}:{name}" for name in names])
    else:
        http = call.http
        region, account = get_region(), get_account_id()
        arguments = (http.service, http.method, http.path, http.headers, http.body, http.parameters, region, account)
        found = str(original(*arguments))
        named = iter((_function_arn(call, found) if call.service == "lambda" else found,))
    return tuple(arn for arn in dict.fromkeys(named) if known.takes(arn)) or (ANY,)


def _function_arn(call: Call, arn: str) -> str:
    """A function is the same by its name, by a part of its ARN and by all of it; ministack knows the first and last.

    An invocation of a version or alias is allowed on that, whichever way it is named. Whether AWS takes ``$LATEST``
    for a name of the function as a whole is not documented; here it is a qualifier like others.
    """
    scope, marker, reference = arn.partition(":function:")
    if not marker:
        return arn
    found = f"{scope}{marker}{reference.rpartition('function:')[2]}"
    qualifier = call.http.query.get("Qualifier", [""])[0]
    if not qualifier or ":" in found.rpartition(":function:")[2] or call.permission != "lambda:InvokeFunction":
        return found
    return f"{found}:{qualifier}"


# ---- conditions ----------------------------------------------------------------------------------


def _conditions(service: str, permission: str, body: bytes) -> dict[str, Any]:
    """The condition keys of a request that ministack does not know."""
    known = service_authorization.action(permission)
    if service == "application-autoscaling" and known is not None:
        return _scaling_conditions(known, json.loads(body or b"{}"))
    if permission == "events:PutEvents":
        return _entry_conditions(json.loads(body or b"{}"))
    if service == "lambda" and known is not None and known.has_condition(AUTH_TYPE):
        return _auth_type_condition(body)
    if service != "ecs" or known is None or not known.has_condition("ecs:cluster"):
        return {}
    # Without it nobody could list tasks of some clusters only.
    cluster = _cluster_name(json.loads(body or b"{}"))
    return {"ecs:cluster": f"arn:aws:ecs:{get_region()}:{get_account_id()}:cluster/{cluster}"}


def _auth_type_condition(body: bytes) -> dict[str, Any]:
    """Of CreateFunctionUrlConfig, UpdateFunctionUrlConfig and AddPermission: organizations deny by it what is open."""
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return {}
    value = request.get("FunctionUrlAuthType") or request.get("AuthType") if isinstance(request, dict) else None
    return {AUTH_TYPE: value} if isinstance(value, str) else {}


def _entry_conditions(request: dict[str, Any]) -> dict[str, Any]:
    """Of PutEvents: who may write which source and type. A call with several of one carries all of them."""
    conditions: dict[str, Any] = {}
    for key, field in ENTRY_KEYS.items():
        found = list(dict.fromkeys(str(entry.get(field)) for entry in request.get("Entries") or []))
        if found:
            conditions[key] = found[0] if len(found) == 1 else found
    return conditions


def _scaling_conditions(known: service_authorization.Action, request: dict[str, Any]) -> dict[str, Any]:
    """The id in a scalable target's ARN says nothing, so policies are scoped by these."""
    arns = list(_scalable_target_arns(request))
    targets = list(application_autoscaling_records.targets.values())
    target = next((target for target in targets if target.arn in arns), None)
    keys = {
        "application-autoscaling:service-namespace": request.get("ServiceNamespace"),
        "application-autoscaling:scalable-dimension": request.get("ScalableDimension"),
        **({f"aws:ResourceTag/{key}": value for key, value in target.tags.items()} if target else {}),
    }
    return {key: value for key, value in keys.items() if value is not None and known.has_condition(key)}


# ---- what a call needs beside its own permission -------------------------------------------------


def _refusal(call: Call, requirement: Requirement) -> Answer | None:
    """The answer to a call that lacks this; None if it has it, and if it is not known who calls."""
    http = call.http
    prefix = requirement.permission.partition(":")[0]
    denied = iam_evaluator.enforce(
        extract_access_key_id(http.headers, http.query),
        requirement.permission,
        prefix,
        get_region(),
        resource_arn=requirement.resource,
        service_context=requirement.context,
    )
    if denied is None or isinstance(denied, iam_evaluator.AuthError):
        # Who is not known is refused by ministack itself, with the code of its service.
        return None
    explicit = denied.decision == "Deny"
    message = iam_actions.identity_denial_message(
        requirement.permission, denied.principal_arn, requirement.resource, explicit
    )
    if requirement.refusal is not None:
        return call.failure(requirement.refusal.status, requirement.refusal.code, requirement.refusal.words or message)
    answer: Answer = iam_actions.access_denied_response(
        http.service,
        requirement.permission,
        denied.principal_arn,
        str(uuid.uuid4()),
        message=message,
        headers=http.headers,
    )
    return answer


def _denied_root(call: Call, original: AnyFunction) -> Answer | None:
    """The refusal of a function whose own policy denies it to the account's root as well.

    IAM User Guide, "Permissions boundaries" and "Policy evaluation logic": identity policies do not reach the root,
    a Deny in the policy of a resource does.
    """
    if call.permission != "lambda:InvokeFunction":
        return None
    principal = f"arn:aws:iam::{get_account_id()}:root"
    for resource in _resources_of(call, original):
        if function_policies.denies(resource, call.permission, principal, {}):
            words = iam_actions._resource_policy_denial("lambda", call.permission, principal, resource)
            return call.failure(403, "AccessDeniedException", words)
    return None


def _authorization(original: AnyFunction) -> Any:
    async def authorize(call: Call, proceed: Proceed) -> Answer:
        if call.principal == ROOT:
            return _denied_root(call, original) or await proceed()
        resources = _resources_of(call, original)
        further = iam_rules.beyond_its_own(call)
        # ministack takes no permission for calls in CBOR, which are all of CloudWatch's SDKs for Rust.
        if further or len(resources) > 1 or CBOR in call.headers.get("content-type", ""):
            context = _conditions(call.service, call.permission, call.http.body)
            own = [Requirement(call.permission, resource, context) for resource in resources]
            for requirement in (*own, *further):
                refusal = _refusal(call, requirement)
                if refusal is not None:
                    return refusal
        token = _resources.set(resources)
        try:
            return await proceed()
        finally:
            _resources.reset(token)

    return authorize


def _lambda_action(method: str, path: str) -> str | None:
    """The permission of a call to Lambda: that of its operation. ministack knows some by their paths, and takes
    reading a concurrency for writing it."""
    known = contracts.service("lambda")
    route = rest_operation(known.model, method, path) if not isinstance(known, str) else None
    if route is None:
        return None
    name = str(route[0].name)
    return "InvokeFunction" if name in INVOCATIONS else name


def install(settings: Settings) -> None:
    """Authorize calls on what AWS authorizes them on."""
    original: AnyFunction
    replace(iam_actions, "_lambda_action", _lambda_action, expects=("method", "path"))

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
        known = _resources.get()
        if known:
            return known[0]
        return str(original(service, method, path, headers, body, query_params, region, account_id))

    def condition_context(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        return {**tags(service, iam_action, body, params), **_conditions(service, iam_action, body)}

    expects: tuple[str, ...] = ("service", "iam_action", "body", "params")
    tags: AnyFunction = replace(iam_actions, "request_tag_context", condition_context, expects=expects)
    expects = ("service", "method", "path", "headers", "body", "query_params", "region", "account_id")
    original = replace(iam_actions, "extract_resource_arn", resource_arn, expects=expects)
    add_interceptor(_authorization(original))
    iam_simulation.install()
