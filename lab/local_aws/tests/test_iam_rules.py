"""Permissions that a call needs beside the one of its own name. Each rule is denied once and met once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_aws.tests.balancing import Balancer, fixed, forward
from local_aws.tests.functions import Statement, allow, create_role
from local_aws.tests.roles import DENIED, code_of
from local_aws.tests.support import ACCOUNT, REGION, Lab
from local_aws.tests.test_ecs import Cluster

POOL = f"arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool/{REGION}_x"
COGNITO: dict[str, Any] = {
    "Type": "authenticate-cognito",
    "Order": 1,
    "AuthenticateCognitoConfig": {"UserPoolArn": POOL, "UserPoolClientId": "client", "UserPoolDomain": "domain"},
}


def passing(role: str, service: str = "ecs-tasks.amazonaws.com") -> Statement:
    """The permission to pass a role to a service."""
    return {**allow("iam:PassRole", resource=role), "Condition": {"StringEquals": {"iam:PassedToService": service}}}


class TestPassRole:
    """UpdateService with a task definition."""

    @pytest.fixture
    def roles(self, lab: Lab, unique: str) -> tuple[str, str]:
        """The execution role and the task role."""
        names = f"{unique}-execution", f"{unique}-task"
        execution, task = (create_role(lab, name, service="ecs-tasks") for name in names)
        return execution, task

    @pytest.fixture
    def change(self, lab: Lab, unique: str, roles: tuple[str, str]) -> dict[str, Any]:
        """What UpdateService is called with."""
        cluster = Cluster(lab, unique)
        cluster.create(cluster.definition("registry.example/demo:1"), count=0)
        execution, task = roles
        wanted: str = cluster.ecs.register_task_definition(
            family=unique,
            containerDefinitions=[{"name": "web", "image": "registry.example/demo:2", "essential": True}],
            executionRoleArn=execution,
            taskRoleArn=task,
        )["taskDefinition"]["taskDefinitionArn"]
        return {"cluster": unique, "service": "app", "taskDefinition": wanted}

    def code(self, lab: Lab, name: str, change: dict[str, Any], *statements: Statement) -> str | None:
        """How the call ends as a role that may update services and what the statements say."""
        caller = create_role(lab, name, allow("ecs:UpdateService"), *statements)
        return code_of(lab, caller, "ecs", "update_service", change)

    def test_both_roles_are_passed(
        self, lab: Lab, unique: str, roles: tuple[str, str], change: dict[str, Any]
    ) -> None:
        execution, task = roles
        assert self.code(lab, f"{unique}-0", change) == "AccessDeniedException"
        assert self.code(lab, f"{unique}-1", change, passing(execution)) == "AccessDeniedException"
        assert self.code(lab, f"{unique}-2", change, passing(task)) == "AccessDeniedException"
        assert self.code(lab, f"{unique}-3", change, passing(execution), passing(task)) is None

    def test_to_the_service_that_tasks_are(
        self, lab: Lab, unique: str, roles: tuple[str, str], change: dict[str, Any]
    ) -> None:
        wrong = [passing(role, "ecs.amazonaws.com") for role in roles]
        assert self.code(lab, f"{unique}-0", change, *wrong) == "AccessDeniedException"

    def test_not_without_a_task_definition(self, lab: Lab, unique: str, change: dict[str, Any]) -> None:
        scaling = {"cluster": unique, "service": "app", "desiredCount": 0}
        assert self.code(lab, f"{unique}-0", scaling) is None

    def test_the_services_own_permission_comes_first(self, lab: Lab, unique: str, change: dict[str, Any]) -> None:
        caller = create_role(lab, unique, allow("iam:PassRole"))
        assert code_of(lab, caller, "ecs", "update_service", change) == "AccessDeniedException"
        (call,) = lab.journal_lines(kind="call", action="UpdateService", principal=unique)
        assert call["error"] == "AccessDeniedException"


@pytest.mark.parametrize("types", [["MetricAlarm"], ["MetricAlarm", "CompositeAlarm"]])
def test_alarms_are_described_with_a_permission_on_everything(lab: Lab, unique: str, types: list[str]) -> None:
    every_alarm = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:*"
    scoped = create_role(lab, f"{unique}-0", allow("cloudwatch:DescribeAlarms", resource=every_alarm))
    assert code_of(lab, scoped, "cloudwatch", "describe_alarms", {"AlarmTypes": types}) in DENIED
    everything = create_role(lab, f"{unique}-1", allow("cloudwatch:DescribeAlarms"))
    assert code_of(lab, everything, "cloudwatch", "describe_alarms", {"AlarmTypes": types}) is None


def test_who_writes_a_cognito_action_may_describe_its_client(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.listen([fixed(404)])
    conditions = [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a"]}}]
    rule = balancer.elb.create_rule(
        ListenerArn=balancer.listener, Priority=1, Conditions=conditions, Actions=[fixed(200)]
    )["Rules"][0]["RuleArn"]
    actions = [COGNITO, forward((group, 1), Order=2)]
    new = {"ListenerArn": balancer.listener, "Conditions": conditions, "Actions": actions}
    calls: dict[str, dict[str, Any]] = {
        "modify_rule": {"RuleArn": rule, "Actions": actions},
        "modify_listener": {"ListenerArn": balancer.listener, "DefaultActions": actions},
        "create_rule": {**new, "Priority": 2},
    }
    balancing = allow("elasticloadbalancing:*")
    without = create_role(lab, f"{unique}-0", balancing)
    elsewhere = create_role(
        lab, f"{unique}-1", balancing, allow("cognito-idp:DescribeUserPoolClient", resource=f"{POOL}-other")
    )
    complete = create_role(lab, f"{unique}-2", balancing, allow("cognito-idp:DescribeUserPoolClient", resource=POOL))
    for operation, parameters in calls.items():
        assert code_of(lab, without, "elbv2", operation, parameters) == "InvalidLoadBalancerAction", operation
        assert code_of(lab, elsewhere, "elbv2", operation, parameters) == "InvalidLoadBalancerAction", operation
        assert code_of(lab, complete, "elbv2", operation, parameters) is None, operation
    assert code_of(lab, without, "elbv2", "modify_rule", {"RuleArn": rule, "Actions": [fixed(200)]}) is None


def key_of(lab: Lab) -> str:
    """A customer managed key that the account's policies decide about."""
    account = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    statement = {"Effect": "Allow", "Principal": account, "Action": "kms:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn: str = lab.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]
    return arn


def through(service: str, key: str, *actions: str) -> Statement:
    """The use of a key by way of a service."""
    condition = {"StringEquals": {"kms:ViaService": f"{service}.{REGION}.amazonaws.com"}}
    return {**allow(*actions, resource=key), "Condition": condition}


def test_an_encrypted_topic_takes_messages_from_who_may_use_its_key(lab: Lab, unique: str) -> None:
    key = key_of(lab)
    topic = lab.client("sns").create_topic(Name=unique, Attributes={"KmsMasterKeyId": key})["TopicArn"]
    publish = allow("sns:Publish", resource=topic)
    message = {"TopicArn": topic, "Message": "m"}
    only = create_role(lab, f"{unique}-0", publish)
    assert code_of(lab, only, "sns", "publish", message) == "KMSAccessDenied"
    half = create_role(lab, f"{unique}-1", publish, allow("kms:GenerateDataKey*", resource=key))
    assert code_of(lab, half, "sns", "publish", message) == "KMSAccessDenied"
    complete = create_role(lab, f"{unique}-2", publish, through("sns", key, "kms:GenerateDataKey*", "kms:Decrypt"))
    assert code_of(lab, complete, "sns", "publish", message) is None


def test_a_topic_with_the_key_of_aws_needs_nothing_more(lab: Lab, unique: str) -> None:
    topic = lab.client("sns").create_topic(Name=unique, Attributes={"KmsMasterKeyId": "alias/aws/sns"})["TopicArn"]
    role = create_role(lab, unique, allow("sns:Publish", resource=topic))
    assert code_of(lab, role, "sns", "publish", {"TopicArn": topic, "Message": "m"}) is None


def test_an_encrypted_secret_is_read_by_who_may_decrypt_with_its_key(lab: Lab, unique: str) -> None:
    key = key_of(lab)
    secret = lab.client("secretsmanager").create_secret(Name=unique, SecretString="s", KmsKeyId=key)["ARN"]
    read = allow("secretsmanager:GetSecretValue", resource=secret)
    only = create_role(lab, f"{unique}-0", read)
    assert code_of(lab, only, "secretsmanager", "get_secret_value", {"SecretId": secret}) == "AccessDeniedException"
    wrong = create_role(lab, f"{unique}-1", read, through("sns", key, "kms:Decrypt"))
    assert code_of(lab, wrong, "secretsmanager", "get_secret_value", {"SecretId": secret}) == "AccessDeniedException"
    complete = create_role(lab, f"{unique}-2", read, through("secretsmanager", key, "kms:Decrypt"))
    assert code_of(lab, complete, "secretsmanager", "get_secret_value", {"SecretId": secret}) is None
