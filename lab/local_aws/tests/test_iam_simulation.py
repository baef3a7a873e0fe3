"""SimulatePrincipalPolicy: the same decisions as those of real calls."""

from __future__ import annotations

import json
from typing import Any

from local_aws.tests.functions import Statement, allow, create_role
from local_aws.tests.roles import DENIED, code_of
from local_aws.tests.support import ACCOUNT, REGION, Lab

SERVICE = f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/c/s"
CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/c"


def simulated(lab: Lab, role: str, action: str, *resources: str, **context: str) -> dict[str, str]:
    """Decisions by resource; ``_`` in a condition key stands for its colon."""
    entries = [
        {"ContextKeyName": key.replace("_", ":"), "ContextKeyType": "string", "ContextKeyValues": [value]}
        for key, value in context.items()
    ]
    asked: dict[str, Any] = {"PolicySourceArn": role, "ActionNames": [action], "ContextEntries": entries}
    if resources:
        asked["ResourceArns"] = list(resources)
    (result,) = lab.client("iam").simulate_principal_policy(**asked)["EvaluationResults"]
    return {each["EvalResourceName"]: each["EvalResourceDecision"] for each in result["ResourceSpecificResults"]}


def test_each_resource_is_decided(lab: Lab) -> None:
    other = SERVICE.replace("/s", "/other")
    role = create_role(lab, "simulated-each", allow("ecs:UpdateService", resource=SERVICE))
    decisions = simulated(lab, role, "ecs:UpdateService", SERVICE, other)
    assert decisions == {SERVICE: "allowed", other: "implicitDeny"}
    call = {"cluster": "c", "service": "other"}
    assert code_of(lab, role, "ecs", "update_service", call) in DENIED


def test_an_action_that_knows_no_resources_is_decided_on_all(lab: Lab) -> None:
    rules = "elasticloadbalancing:DescribeRules"
    role = create_role(lab, "simulated-any", allow(rules, resource=SERVICE))
    assert simulated(lab, role, rules, SERVICE) == {SERVICE: "implicitDeny"}
    assert simulated(lab, role, rules) == {"*": "implicitDeny"}
    alarms = create_role(lab, "simulated-alarms", allow("cloudwatch:DescribeAlarms", resource="arn:aws:cloudwatch:*"))
    assert simulated(lab, alarms, "cloudwatch:DescribeAlarms") == {"*": "implicitDeny"}


def test_condition_keys_count_as_they_are_given(lab: Lab) -> None:
    condition = {"ArnLike": {"ecs:cluster": CLUSTER}}
    statement: Statement = {**allow("ecs:ListTasks"), "Condition": condition}
    role = create_role(lab, "simulated-keys", statement)
    assert simulated(lab, role, "ecs:ListTasks", ecs_cluster=CLUSTER) == {"*": "allowed"}
    assert simulated(lab, role, "ecs:ListTasks", ecs_cluster=f"{CLUSTER}2") == {"*": "implicitDeny"}
    assert simulated(lab, role, "ecs:ListTasks") == {"*": "implicitDeny"}


def test_an_explicit_deny_and_a_boundary_are_told(lab: Lab) -> None:
    deny = {**allow("sns:Publish"), "Effect": "Deny"}
    role = create_role(lab, "simulated-deny", allow("sns:*"), deny)
    assert simulated(lab, role, "sns:Publish") == {"*": "explicitDeny"}
    iam = lab.client("iam")
    boundary = json.dumps({"Version": "2012-10-17", "Statement": [allow("sqs:*")]})
    arn = iam.create_policy(PolicyName="boundary", PolicyDocument=boundary)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="simulated-deny", PermissionsBoundary=arn)
    assert simulated(lab, role, "sns:ListTopics") == {"*": "implicitDeny"}
