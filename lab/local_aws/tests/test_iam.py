"""IAM: what a role does not have, its function cannot do; and policies for single resources are honoured."""

from __future__ import annotations

from typing import Any

import pytest

from local_aws import service_authorization
from local_aws.tests.functions import allow, create_function, create_role, function_arn, invoke
from local_aws.tests.roles import DENIED, code_of
from local_aws.tests.support import ACCOUNT, REGION, Lab

RULE = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener-rule/app/a/b/c/d"
LISTENER = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener/app/a/b/c"
TARGET_GROUP = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/a/b"
SERVICE = f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/c/s"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:t"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/t"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:m"
QUEUE = f"http://127.0.0.1/{ACCOUNT}/q"
KEY = {"pk": {"S": "x"}}
CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "dynamodb:UpdateItem": ("dynamodb", "update_item", {"TableName": "t", "Key": KEY}),
    "dynamodb:PutItem": (
        "dynamodb",
        "transact_write_items",
        {"TransactItems": [{"Put": {"TableName": "t", "Item": KEY}}]},
    ),
    "elasticloadbalancing:ModifyRule": ("elbv2", "modify_rule", {"RuleArn": RULE, "Actions": []}),
    "ecs:UpdateService": ("ecs", "update_service", {"service": "s"}),
    "cloudwatch:DescribeAlarms": ("cloudwatch", "describe_alarms", {}),
    "cloudwatch:GetMetricData": (
        "cloudwatch",
        "get_metric_data",
        {"MetricDataQueries": [], "StartTime": 0, "EndTime": 1},
    ),
    "sns:Publish": ("sns", "publish", {"TopicArn": TOPIC, "Message": "m"}),
    "secretsmanager:GetSecretValue": ("secretsmanager", "get_secret_value", {"SecretId": "s"}),
    "lambda:InvokeFunction": ("lambda", "invoke", {"FunctionName": "probe"}),
    "states:SendTaskSuccess": ("stepfunctions", "send_task_success", {"taskToken": "x", "output": "{}"}),
    "states:StartExecution": ("stepfunctions", "start_execution", {"stateMachineArn": MACHINE}),
    "sqs:SendMessage": ("sqs", "send_message", {"QueueUrl": QUEUE, "MessageBody": "m"}),
}


@pytest.fixture(scope="module")
def powerless(lab: Lab) -> str:
    """A role without any permission."""
    return create_role(lab, "powerless")


@pytest.mark.parametrize("permission", CALLS)
def test_a_missing_permission_is_denied(lab: Lab, powerless: str, unique: str, permission: str) -> None:
    assert code_of(lab, powerless, *CALLS[permission]) in DENIED
    allowed = create_role(lab, unique, allow(permission))
    assert code_of(lab, allowed, *CALLS[permission]) not in DENIED


def test_codes_of_denials(lab: Lab, powerless: str) -> None:
    """As the Rust SDK sees them. Deviation: CloudWatch's is AccessDenied on AWS, SNS's AuthorizationError is right."""
    codes = {permission: code_of(lab, powerless, *call) for permission, call in CALLS.items()}
    assert (
        codes["dynamodb:UpdateItem"]
        == codes["ecs:UpdateService"]
        == codes["lambda:InvokeFunction"]
        == "AccessDeniedException"
    )
    assert codes["states:SendTaskSuccess"] == codes["secretsmanager:GetSecretValue"] == "AccessDeniedException"
    assert codes["elasticloadbalancing:ModifyRule"] == "AccessDenied"
    assert codes["sns:Publish"] == "AuthorizationError"
    assert codes["cloudwatch:GetMetricData"] == "AccessDeniedException"


def test_a_functions_role_is_what_counts(lab: Lab, unique: str) -> None:
    create_function(lab, unique, allow("sns:ListTopics"))
    allowed, _ = invoke(lab, unique, {"do": "call", "service": "sns", "operation": "list_topics"})
    assert "ok" in allowed
    denied, _ = invoke(lab, unique, {"do": "call", "service": "sqs", "operation": "list_queues"})
    assert denied["error"] in DENIED and "sqs:ListQueues" in denied["message"]
    (call,) = lab.journal_lines(kind="call", service="sqs", action="ListQueues", principal=unique)
    assert call["error"] in DENIED


RESOURCES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "dynamodb:GetItem": (TABLE, "dynamodb", "get_item", {"TableName": "t", "Key": KEY}),
    "dynamodb:Query": (
        f"{TABLE}/index/due",
        "dynamodb",
        "query",
        {
            "TableName": "t",
            "IndexName": "due",
            "KeyConditionExpression": "a = :a",
            "ExpressionAttributeValues": {":a": {"S": "x"}},
        },
    ),
    "elasticloadbalancing:ModifyRule": (RULE, "elbv2", "modify_rule", {"RuleArn": RULE, "Actions": []}),
    "elasticloadbalancing:ModifyListener": (LISTENER, "elbv2", "modify_listener", {"ListenerArn": LISTENER}),
    "ecr:DescribeImages": (
        f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/r1",
        "ecr",
        "describe_images",
        {"repositoryName": "r1"},
    ),
    "ecs:UpdateService": (SERVICE, "ecs", "update_service", {"cluster": "c", "service": "s"}),
    "ecs:DescribeServices": (SERVICE, "ecs", "describe_services", {"cluster": "c", "services": ["s"]}),
    "sns:Publish": (TOPIC, "sns", "publish", {"TopicArn": TOPIC, "Message": "m"}),
    "lambda:InvokeFunction": (function_arn("f"), "lambda", "invoke", {"FunctionName": "f"}),
    "states:StartExecution": (MACHINE, "stepfunctions", "start_execution", {"stateMachineArn": MACHINE}),
    "states:StopExecution": (
        f"arn:aws:states:{REGION}:{ACCOUNT}:execution:m:*",
        "stepfunctions",
        "stop_execution",
        {"executionArn": f"arn:aws:states:{REGION}:{ACCOUNT}:execution:m:e"},
    ),
    "secretsmanager:GetSecretValue": (
        f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:s-??????",
        "secretsmanager",
        "get_secret_value",
        {"SecretId": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:s-abcdef"},
    ),
    "sqs:SendMessage": (
        f"arn:aws:sqs:{REGION}:{ACCOUNT}:q",
        "sqs",
        "send_message",
        {"QueueUrl": QUEUE, "MessageBody": "m"},
    ),
    "cloudwatch:SetAlarmState": (
        f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:a",
        "cloudwatch",
        "set_alarm_state",
        {"AlarmName": "a", "StateValue": "OK", "StateReason": "r"},
    ),
}


@pytest.mark.parametrize("permission", RESOURCES)
def test_policies_for_single_resources(lab: Lab, unique: str, permission: str) -> None:
    resource, service, operation, parameters = RESOURCES[permission]
    exactly = create_role(lab, unique, allow(permission, resource=resource))
    assert code_of(lab, exactly, service, operation, parameters) not in DENIED
    other = create_role(lab, f"{unique}-other", allow(permission, resource=resource + "-other"))
    assert code_of(lab, other, service, operation, parameters) in DENIED


ONLY_ANY: dict[str, tuple[str, str, dict[str, Any]]] = {
    "states:SendTaskSuccess": ("stepfunctions", "send_task_success", {"taskToken": "x", "output": "{}"}),
    "elasticloadbalancing:DescribeRules": ("elbv2", "describe_rules", {"RuleArns": [RULE]}),
    "elasticloadbalancing:DescribeTargetHealth": ("elbv2", "describe_target_health", {"TargetGroupArn": TARGET_GROUP}),
    "cloudwatch:GetMetricData": (
        "cloudwatch",
        "get_metric_data",
        {"MetricDataQueries": [], "StartTime": 0, "EndTime": 1},
    ),
    "ecr:DescribePullThroughCacheRules": ("ecr", "describe_pull_through_cache_rules", {}),
    "ecs:DescribeTaskDefinition": ("ecs", "describe_task_definition", {"taskDefinition": "t"}),
}


@pytest.mark.parametrize("permission", ONLY_ANY)
def test_actions_without_a_resource_type_need_any(lab: Lab, unique: str, permission: str) -> None:
    """As on AWS: a policy that names a resource does not allow them."""
    scoped = create_role(
        lab, unique, allow(permission, resource=f"arn:aws:{permission.split(':')[0]}:{REGION}:{ACCOUNT}:*")
    )
    assert code_of(lab, scoped, *ONLY_ANY[permission]) in DENIED


def test_tasks_may_be_listed_by_cluster(lab: Lab, unique: str) -> None:
    """ListTasks has no resource of its own; a policy limits it by the condition key ``ecs:cluster``."""
    lab.client("ecs").create_cluster(clusterName=unique)
    lab.client("ecs").create_cluster(clusterName=f"other-{unique}")
    scope = {"ArnLike": {"ecs:cluster": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{unique}"}}
    role = create_role(lab, unique, {**allow("ecs:ListTasks"), "Condition": scope})
    assert code_of(lab, role, "ecs", "list_tasks", {"cluster": unique}) is None
    assert code_of(lab, role, "ecs", "list_tasks", {"cluster": f"other-{unique}"}) in DENIED


def test_each_service_of_a_call_is_authorized(lab: Lab, unique: str) -> None:
    role = create_role(lab, unique, allow("ecs:DescribeServices", resource=SERVICE))
    assert code_of(lab, role, "ecs", "describe_services", {"cluster": "c", "services": ["s"]}) not in DENIED
    assert code_of(lab, role, "ecs", "describe_services", {"cluster": "c", "services": ["s", "other"]}) in DENIED


def test_a_condition_on_a_key_that_the_action_does_not_carry_is_not_met(lab: Lab, unique: str) -> None:
    """The reference lists ``ecs:cluster`` for DescribeServices and not for DescribeTaskDefinition."""
    scope = {"ArnLike": {"ecs:cluster": "*"}}
    actions = allow("ecs:DescribeServices", "ecs:DescribeTaskDefinition")
    role = create_role(lab, unique, {**actions, "Condition": scope})
    assert code_of(lab, role, "ecs", "describe_services", {"cluster": "c", "services": ["s"]}) not in DENIED
    assert code_of(lab, role, "ecs", "describe_task_definition", {"taskDefinition": "t"}) in DENIED


@pytest.mark.parametrize(
    ("permission", "resource", "taken"),
    [
        ("ecs:UpdateService", SERVICE, True),
        ("ecs:UpdateService", f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/c", False),
        ("elasticloadbalancing:ModifyRule", RULE, True),
        ("elasticloadbalancing:ModifyRule", LISTENER, False),
        ("elasticloadbalancing:DescribeRules", RULE, False),
        ("dynamodb:Query", f"{TABLE}/index/due", True),
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:a/b-abcdef", True),
    ],
)
def test_the_reference_knows_the_resources_of_actions(permission: str, resource: str, taken: bool) -> None:
    known = service_authorization.action(permission)
    assert known is not None and known.takes(resource) is taken


def test_the_reference_knows_the_conditions_of_actions() -> None:
    update, unknown = service_authorization.action("ecs:UpdateService"), service_authorization.action("ecs:Nothing")
    assert update is not None and unknown is None
    assert service_authorization.action("nothing:Nothing") is None
    assert update.has_condition("ecs:cluster") and update.has_condition("aws:ResourceTag/team")
    assert not update.has_condition("ecs:service") and not update.has_condition("iam:PassedToService")


def test_operations_of_lambda_and_alarms_have_their_own_names(lab: Lab, unique: str) -> None:
    create_function(lab, unique)
    reading = create_role(lab, f"{unique}-reading", allow("lambda:GetFunctionConcurrency", "cloudwatch:PutMetricAlarm"))
    asked = {"FunctionName": unique}
    assert code_of(lab, reading, "lambda", "get_function_concurrency", asked) is None
    assert code_of(lab, reading, "lambda", "delete_function_concurrency", asked) in DENIED
    alarm = {
        "AlarmName": unique, "Namespace": "N", "MetricName": "m", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 0.0, "ComparisonOperator": "GreaterThanThreshold",
        "AlarmDescription": "é",
    }
    assert code_of(lab, reading, "cloudwatch", "put_metric_alarm", alarm) is None
