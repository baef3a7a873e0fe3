"""CloudFormation: resources go through the same operations as API calls, as on AWS.

ministack's own provisioners write into the stores of its services directly, past everything that this
package replaces: a weighted listener keeps one group, an alarm with metric math is refused, a service
loses properties. A type that ministack does not know fails the whole template; the ones that make no
difference to a lab are accepted here, with a warning among the events of the stack.

Known deviation from AWS: resources that do not depend on each other are updated one after the other.
"""

from __future__ import annotations

import contextlib
import json
import string
import time
from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import alb, ecs, lambda_svc, s3, secretsmanager
from ministack.services import cloudformation as stacks_of_ministack
from ministack.services import cloudwatch as cloudwatch_of_ministack
from ministack.services.cloudformation import provisioners, stacks
from ministack.services.cloudformation.stacks import _add_event

from local_aws import alarms, application_autoscaling_templates, elbv2, elbv2_state, function_policies, log_alarms
from local_aws import ecs as services
from local_aws.aws_protocol import Document, ServiceError, coerce, service_model
from local_aws.elbv2_actions import normalise_conditions
from local_aws.elbv2_state import accept_actions
from local_aws.replacing import replace, replace_entry
from local_aws.settings import Settings
from local_aws.targets import registry

Attributes = dict[str, Any]
Created = tuple[str, Attributes]
Create = Callable[[str, Document, str], Created]
Update = Callable[[str, Document, Document, str, str | None], Created]
Delete = Callable[[str, Document], None]

BUCKET = "AWS::S3::Bucket"
FUNCTION = "AWS::Lambda::Function"
URL = "AWS::Lambda::Url"
POLICY = "AWS::Lambda::ResourcePolicy"
SECRET = "AWS::SecretsManager::Secret"
# An account needs seconds for each, in which the old code answers, some functions are new and others not yet.
# Without it all of them would change between two looks at a bake.
CODE_UPDATE_SECONDS = 0.5

CREATE = ("logical_id", "props", "stack_name")
UPDATE_WITH_NAME = ("physical_id", "old_props", "new_props", "stack_name", "logical_id")
UPDATE = ("physical_id", "old_props", "new_props", "stack_name")
DELETE = ("physical_id", "props")

STUBBED = (
    "AWS::Budgets::Budget",
    "AWS::CloudWatch::AnomalyDetector",
    "AWS::Events::Archive",
    "AWS::IAM::ServiceLinkedRole",
    "AWS::Logs::QueryDefinition",
    "AWS::ResourceGroups::Group",
    "AWS::SecretsManager::ResourcePolicy",
)


def operation_input(service: str, operation: str, properties: Mapping[str, Any]) -> Document:
    """The properties of a resource as the input of the operation that makes it; the rest is dropped."""
    shape = service_model(service).operation_model(operation).input_shape
    assert shape is not None
    document: Document = coerce(shape, properties)
    return document


def _refused(kind: str, error: ServiceError) -> ValueError:
    return ValueError(f"{kind}: {error.message} (Service error code: {error.code})")


# ---- listeners and rules -------------------------------------------------------------------------


def _listener_create(logical_id: str, props: Document, stack_name: str) -> Created:
    listener = elbv2.create_listener(operation_input("elbv2", "CreateListener", props))["Listeners"][0]
    arn = listener["ListenerArn"]
    return arn, {"ListenerArn": arn, "Arn": arn}


def _listener_update(
    physical_id: str, old: Document, new: Document, stack_name: str, logical_id: str | None
) -> Created:
    if physical_id not in alb._listeners or old.get("LoadBalancerArn") != new.get("LoadBalancerArn"):
        created = _listener_create(logical_id or physical_id, new, stack_name)
        _listener_delete(physical_id, old)
        return created
    listener = alb._listeners[physical_id]
    request = operation_input("elbv2", "CreateListener", new)
    balancer = listener["LoadBalancerArn"]
    actions = accept_actions(request["DefaultActions"], balancer, listener["DefaultActions"])
    elbv2.set_default_actions(listener, actions)
    listener["Port"] = request.get("Port", listener["Port"])
    listener["Protocol"] = request.get("Protocol", listener["Protocol"])
    elbv2_state.publish()
    return physical_id, {"ListenerArn": physical_id, "Arn": physical_id}


def _listener_delete(physical_id: str, props: Document) -> None:
    provisioners._elbv2_listener_delete(physical_id, props)
    elbv2_state.publish()


def _rule_create(logical_id: str, props: Document, stack_name: str) -> Created:
    rule = elbv2.create_rule(operation_input("elbv2", "CreateRule", props))["Rules"][0]
    return rule["RuleArn"], {"RuleArn": rule["RuleArn"], "IsDefault": False}


def _rule_update(
    physical_id: str, old: Document, new: Document, stack_name: str, logical_id: str | None
) -> Created:
    if physical_id not in alb._rules or old.get("ListenerArn") != new.get("ListenerArn"):
        created = _rule_create(logical_id or physical_id, new, stack_name)
        _rule_delete(physical_id, old)
        return created
    rule = alb._rules[physical_id]
    request = operation_input("elbv2", "CreateRule", new)
    balancer = alb._listeners[rule["ListenerArn"]]["LoadBalancerArn"]
    actions = accept_actions(request["Actions"], balancer, rule["Actions"])
    rule["Priority"] = str(request["Priority"])
    rule["Conditions"] = normalise_conditions(request["Conditions"])
    rule["Actions"] = actions
    rule["Transforms"] = request.get("Transforms", [])
    elbv2_state.journal_weights(physical_id, rule["Actions"])
    elbv2_state.publish()
    return physical_id, {"RuleArn": physical_id, "IsDefault": False}


def _rule_delete(physical_id: str, props: Document) -> None:
    alb._rules.pop(physical_id, None)
    elbv2_state.publish()


# ---- load balancers and target groups: ministack's, connected to the data plane -------------------


def _load_balancer_create(original: Create) -> Create:
    def create(logical_id: str, props: Document, stack_name: str) -> Created:
        arn, attributes = original(logical_id, props, stack_name)
        elbv2_state.take_address(alb._lbs[arn])
        return arn, {**attributes, "DNSName": alb._lbs[arn]["DNSName"]}

    return create


def _load_balancer_delete(physical_id: str, props: Document) -> None:
    elbv2.delete_load_balancer_record(physical_id)


def _target_group_create(original: Create) -> Create:
    def create(logical_id: str, props: Document, stack_name: str) -> Created:
        created = original(logical_id, props, stack_name)
        elbv2_state.publish()
        return created

    return create


def _target_group_update(original: Update) -> Update:
    def update(
        physical_id: str, old: Document, new: Document, stack_name: str, logical_id: str | None
    ) -> Created:
        updated = original(physical_id, old, new, stack_name, logical_id)
        elbv2_state.publish()
        return updated

    return update


def _target_group_delete(physical_id: str, props: Document) -> None:
    provisioners._elbv2_target_group_delete(physical_id, props)
    registry.remove_group(physical_id)
    elbv2_state.publish()


# ---- ECS services --------------------------------------------------------------------------------


def _service_create(logical_id: str, props: Document, stack_name: str) -> Created:
    named = {"ServiceName": provisioners._physical_name(stack_name, logical_id, max_len=255), **props}
    request = operation_input("ecs", "CreateService", provisioners._pascal_to_camel(named))
    with services._scheduler().lock:
        service = services.create_service(request)["service"]
    return service["serviceArn"], {"ServiceArn": service["serviceArn"], "Name": service["serviceName"]}


def _service_update(physical_id: str, old: Document, new: Document, stack_name: str) -> Created:
    changed = {
        name: value for name, value in new.items() if value != old.get(name) and name not in ("Tags", "Cluster")
    }
    request = operation_input("ecs", "UpdateService", provisioners._pascal_to_camel(changed))
    request |= {"cluster": new.get("Cluster", "default"), "service": physical_id}
    services.update_service(request)
    return physical_id, {"ServiceArn": physical_id, "Name": physical_id.rpartition("/")[2]}


def _service_delete(physical_id: str, props: Document) -> None:
    service = next((s for s in ecs._services.values() if s["serviceArn"] == physical_id), None)
    if service is not None and service["status"] == "ACTIVE":
        request = {"cluster": service["clusterArn"], "service": physical_id, "force": True}
        services.delete_service(request)


# ---- alarms --------------------------------------------------------------------------------------


def _alarm_put(logical_id: str, props: Document, stack_name: str) -> Created:
    named = {"AlarmName": provisioners._physical_name(stack_name, logical_id, max_len=255), **props}
    request = operation_input("cloudwatch", "PutMetricAlarm", named)
    alarms.put_metric_alarm(request)
    name = named["AlarmName"]
    return name, {"Arn": cloudwatch_of_ministack._alarms[name]["AlarmArn"]}


def _alarm_update(
    physical_id: str, old: Document, new: Document, stack_name: str, logical_id: str | None
) -> Created:
    kept = {} if "AlarmName" in new else {"AlarmName": physical_id}
    name, attributes = _alarm_put(logical_id or physical_id, {**kept, **new}, stack_name)
    if name != physical_id:
        cloudwatch_of_ministack.cloudformation_delete_metric_alarm(physical_id)
    return name, attributes


def _other_alarm(kind: str, operation: str, put: Callable[[Document], Document], store: Any) -> Document:
    """The handlers of a type of alarm that ministack has no provisioner for."""

    def create(logical_id: str, props: Document, stack_name: str) -> Created:
        named = {"AlarmName": provisioners._physical_name(stack_name, logical_id, max_len=255), **props}
        put(operation_input("cloudwatch", operation, named))
        name = named["AlarmName"]
        return name, {"Arn": store[name]["AlarmArn"]}

    def update(
        physical_id: str, old: Document, new: Document, stack_name: str, logical_id: str | None
    ) -> Created:
        kept = {} if "AlarmName" in new else {"AlarmName": physical_id}
        name, attributes = create(logical_id or physical_id, {**kept, **new}, stack_name)
        if name != physical_id:
            delete(physical_id, old)
        return name, attributes

    def delete(physical_id: str, props: Document) -> None:
        store.pop(physical_id, None)

    return {
        "create": _telling(kind, create),
        "update": _telling(kind, update),
        "update_with_logical_id": True,
        "delete": delete,
    }


# ---- functions -----------------------------------------------------------------------------------


def _with_function_settings(name: str, props: Document) -> None:
    """Keep what ministack's provisioner forgets of a function."""
    function = lambda_svc._functions[name]
    if props.get("DeadLetterConfig"):
        function["config"]["DeadLetterConfig"] = props["DeadLetterConfig"]
    else:
        function["config"].pop("DeadLetterConfig", None)
    reserved = props.get("ReservedConcurrentExecutions")
    function["concurrency"] = None if reserved is None else int(reserved)


def _bucket_create(original: Create) -> Create:
    """ministack has locks by its API only: what is put into a bucket of a template would never be kept."""

    def create(logical_id: str, props: Document, stack_name: str) -> Created:
        created = original(logical_id, props, stack_name)
        lock = props.get("ObjectLockConfiguration") or {}
        if str(props.get("ObjectLockEnabled", "")).lower() == "true":
            # Versions come with it.
            s3._bucket_versioning[created[0]] = "Enabled"
            retention = (lock.get("Rule") or {}).get("DefaultRetention")
            numbers = {key: int(value) for key, value in (retention or {}).items() if key != "Mode"}
            s3._bucket_object_lock[created[0]] = {
                "enabled": True,
                "default_retention": {"Mode": retention["Mode"], **numbers} if retention else None,
            }
        return created

    return create


def _function_create(original: Create) -> Create:
    def create(logical_id: str, props: Document, stack_name: str) -> Created:
        created = original(logical_id, props, stack_name)
        _with_function_settings(created[0], props)
        return created

    return create


def _function_update(original: Update) -> Update:
    def update(
        physical_id: str, old: Document, new: Document, stack_name: str, logical_id: str | None
    ) -> Created:
        if old.get("Code") != new.get("Code"):
            time.sleep(CODE_UPDATE_SECONDS)
        updated = original(physical_id, old, new, stack_name, logical_id)
        _with_function_settings(updated[0], new)
        return updated

    return update


# ---- function URLs and the policies of functions -------------------------------------------------


def _url_create(original: Create) -> Create:
    def create(logical_id: str, props: Document, stack_name: str) -> Created:
        if "AuthType" not in props:
            raise ValueError(f"{URL}: #: required key [AuthType] not found")
        _key, attributes = original(logical_id, props, stack_name)
        # The type's primary identifier.
        return attributes["FunctionArn"], attributes

    return create


def _url_key(arn: str) -> str:
    """ministack's name of a function URL."""
    return arn.partition(":function:")[2] or arn


def _url_update(create: Create, original: Callable[..., Created]) -> Callable[..., Created]:
    def update(physical_id: str, old: Document, new: Document, stack_name: str) -> Created:
        if any(new.get(name) != old.get(name) for name in ("TargetFunctionArn", "Qualifier")):
            created = create(physical_id, new, stack_name)
            _url_delete(physical_id, old)
            return created
        return physical_id, original(_url_key(physical_id), old, new, stack_name)[1]

    return update


def _url_delete(physical_id: str, props: Document) -> None:
    provisioners._lambda_url_delete(_url_key(physical_id), props)


def _policy_put(logical_id: str, props: Document, stack_name: str) -> Created:
    arn = str(props["ResourceArn"])
    document = props["PolicyDocument"]
    try:
        function_policies.put(arn, document if isinstance(document, str) else json.dumps(document))
    except function_policies.Refused as refused:
        raise ValueError(f"{POLICY}: {refused.message} (Service error code: {refused.code})") from refused
    return arn, {}


def _policy_update(physical_id: str, old: Document, new: Document, stack_name: str) -> Created:
    created = _policy_put(physical_id, new, stack_name)
    if created[0] != physical_id:
        _policy_delete(physical_id, old)
    return created


def _policy_delete(physical_id: str, props: Document) -> None:
    # Gone already with its function, or by hand.
    with contextlib.suppress(function_policies.Refused):
        function_policies.delete(physical_id)


def _install_threads() -> None:
    original: Callable[[str], bool]

    def runs_on_worker_thread(resource_type: str) -> bool:
        """Functions, too: everything else goes on while one waits for its code."""
        return resource_type == FUNCTION or original(resource_type)

    original = replace(stacks, "_runs_on_worker_thread", runs_on_worker_thread, expects=("resource_type",))


# ---- secrets: ministack's Ref is the name, AWS's the ARN; and it leaves punctuation in --------------


def _secret_name(arn: str) -> str:
    return next((name for name, kept in secretsmanager._secrets.items() if kept["ARN"] == arn), arn)


def _generated(props: Document) -> Document:
    """ExcludePunctuation as the characters that ministack knows how to leave out."""
    generate = props.get("GenerateSecretString")
    if not isinstance(generate, dict) or str(generate.get("ExcludePunctuation", "")).lower() != "true":
        return props
    excluded = generate.get("ExcludeCharacters", "") + string.punctuation
    length = int(generate.get("PasswordLength", 32))
    return props | {"GenerateSecretString": generate | {"ExcludeCharacters": excluded, "PasswordLength": length}}


def _secret_create(original: Create) -> Create:
    def create(logical_id: str, props: Document, stack_name: str) -> Created:
        _, attributes = original(logical_id, _generated(props), stack_name)
        return attributes["Arn"], attributes

    return create


def _secret_update(original: Update) -> Update:
    def update(physical_id: str, old: Document, new: Document, stack_name: str, logical_id: str | None) -> Created:
        name = _secret_name(physical_id)
        _, attributes = original(name, _generated(old), _generated(new), stack_name, logical_id)
        return attributes["Arn"], attributes

    return update


def _secret_delete(original: Delete) -> Delete:
    def delete(physical_id: str, props: Document) -> None:
        original(_secret_name(physical_id), props)

    return delete


# ---- types without effect ------------------------------------------------------------------------


def _stub(kind: str) -> Document:
    def create(logical_id: str, props: Document, stack_name: str) -> Created:
        identifier = f"{stack_name}-{logical_id}"
        stack = stacks_of_ministack._stacks[stack_name]
        warning = f"WARNING: {kind} has no effect in this lab; nothing was created"
        _add_event(stack["StackId"], stack_name, logical_id, kind, "CREATE_IN_PROGRESS", warning, identifier)
        return identifier, {"Arn": f"arn:aws:stub:::{identifier}", "Id": identifier}

    def update(physical_id: str, old: Document, new: Document, stack_name: str) -> Created:
        return physical_id, {"Arn": f"arn:aws:stub:::{physical_id}", "Id": physical_id}

    def delete(physical_id: str, props: Document) -> None:
        """Nothing was created, so nothing is left."""

    return {"create": create, "update": update, "delete": delete}


# ---- installation --------------------------------------------------------------------------------


def _telling(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a refusal of the service into the error that fails a resource."""

    def told(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except ServiceError as error:
            raise _refused(kind, error) from error

    return told


def _replace(kind: str, step: str, function: Callable[..., Any], expects: tuple[str, ...]) -> None:
    table = provisioners._RESOURCE_HANDLERS[kind]
    replace_entry(table, f"_RESOURCE_HANDLERS[{kind!r}]", step, _telling(kind, function), expects=expects)


def _target_group_full_name(arn: str) -> str:
    """``targetgroup/NAME/ID``: the value of the CloudWatch dimension, without which an alarm sees no data."""
    return arn.rsplit(":", 1)[-1]


def install(settings: Settings) -> None:
    """Replace the handlers of the types that this package implements, and add the missing ones."""
    replace(alb, "_target_group_full_name_from_arn", _target_group_full_name, expects=("arn",))
    handlers = provisioners._RESOURCE_HANDLERS
    elb = "AWS::ElasticLoadBalancingV2::"
    _replace(f"{elb}Listener", "create", _listener_create, CREATE)
    _replace(f"{elb}Listener", "update", _listener_update, UPDATE_WITH_NAME)
    _replace(f"{elb}Listener", "delete", _listener_delete, DELETE)
    _replace(f"{elb}ListenerRule", "create", _rule_create, CREATE)
    _replace(f"{elb}ListenerRule", "update", _rule_update, UPDATE_WITH_NAME)
    _replace(f"{elb}ListenerRule", "delete", _rule_delete, DELETE)
    balancer, group = handlers[f"{elb}LoadBalancer"], handlers[f"{elb}TargetGroup"]
    _replace(f"{elb}LoadBalancer", "create", _load_balancer_create(balancer["create"]), CREATE)
    _replace(f"{elb}LoadBalancer", "delete", _load_balancer_delete, DELETE)
    _replace(f"{elb}TargetGroup", "create", _target_group_create(group["create"]), CREATE)
    _replace(f"{elb}TargetGroup", "update", _target_group_update(group["update"]), UPDATE_WITH_NAME)
    _replace(f"{elb}TargetGroup", "delete", _target_group_delete, DELETE)
    _replace("AWS::ECS::Service", "create", _service_create, CREATE)
    _replace("AWS::ECS::Service", "update", _service_update, UPDATE)
    _replace("AWS::ECS::Service", "delete", _service_delete, DELETE)
    _replace("AWS::CloudWatch::Alarm", "create", _alarm_put, CREATE)
    _replace("AWS::CloudWatch::Alarm", "update", _alarm_update, UPDATE_WITH_NAME)
    _replace(BUCKET, "create", _bucket_create(handlers[BUCKET]["create"]), CREATE)
    function = handlers[FUNCTION]
    _replace(FUNCTION, "create", _function_create(function["create"]), CREATE)
    _replace(FUNCTION, "update", _function_update(function["update"]), UPDATE_WITH_NAME)
    url_create = _url_create(handlers[URL]["create"])
    _replace(URL, "update", _url_update(url_create, handlers[URL]["update"]), UPDATE)
    _replace(URL, "create", url_create, CREATE)
    _replace(URL, "delete", _url_delete, DELETE)
    secret = handlers[SECRET]
    _replace(SECRET, "create", _secret_create(secret["create"]), CREATE)
    _replace(SECRET, "update", _secret_update(secret["update"]), UPDATE_WITH_NAME)
    _replace(SECRET, "delete", _secret_delete(secret["delete"]), DELETE)
    handlers[POLICY] = {"create": _policy_put, "update": _policy_update, "delete": _policy_delete}
    _install_threads()
    for kind, operation, put, store in (
        (
            "AWS::CloudWatch::CompositeAlarm",
            "PutCompositeAlarm",
            alarms.put_composite_alarm,
            cloudwatch_of_ministack._composite_alarms,
        ),
        ("AWS::CloudWatch::LogAlarm", "PutLogAlarm", alarms.put_log_alarm, log_alarms.alarms),
    ):
        handlers[kind] = _other_alarm(kind, operation, put, store)
    handlers.update(application_autoscaling_templates.handlers(_telling))
    for kind in STUBBED:
        handlers.setdefault(kind, _stub(kind))
