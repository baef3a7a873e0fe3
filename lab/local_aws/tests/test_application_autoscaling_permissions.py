"""Application Auto Scaling: who may what, and calls that fail.

Pages are those of the Application Auto Scaling User Guide.
"""

from __future__ import annotations

from typing import Any

from local_aws.tests.functions import Statement, allow, create_role
from local_aws.tests.roles import DENIED, code_of, role_client
from local_aws.tests.scaling import Scaled, refused
from local_aws.tests.support import ACCOUNT, REGION, Lab, wait_for
from local_aws.tests.test_faults import ask

ROLE = "AWSServiceRoleForApplicationAutoScaling_ECSService"
EVERY_TARGET = f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/*"


def registering(unique: str, *left_out: str, **condition: Any) -> list[Statement]:
    """All that RegisterScalableTarget asks of its caller, without some of it."""
    service = f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/{unique}/app"
    statements = [
        {**allow("application-autoscaling:RegisterScalableTarget", resource=EVERY_TARGET), **condition},
        *(allow(action, resource=service) for action in ("ecs:DescribeServices", "ecs:UpdateService")),
        *(allow(f"cloudwatch:{action}") for action in ("DescribeAlarms", "PutMetricAlarm", "DeleteAlarms")),
    ]
    return [statement for statement in statements if statement["Action"][0] not in left_out]


def test_rights_on_the_service_and_on_alarms_are_validated(lab: Lab, unique: str) -> None:
    # security_iam_permission_validation: a ValidationException that names what is missing.
    service = Scaled(lab, unique, MinCapacity=0, MaxCapacity=3)
    call = ("application-autoscaling", "register_scalable_target", {**service.identity, "MaxCapacity": 4})
    everything = create_role(lab, f"{unique}-all", *registering(unique))
    assert code_of(lab, everything, *call) is None
    assert service.bounds() == (0, 4)
    nothing = create_role(lab, f"{unique}-none", *registering(unique, "application-autoscaling:RegisterScalableTarget"))
    assert code_of(lab, nothing, *call) in DENIED
    for number, missing in enumerate(("ecs:UpdateService", "ecs:DescribeServices", "cloudwatch:PutMetricAlarm")):
        role = create_role(lab, f"{unique}-{number}", *registering(unique, missing))
        register = role_client(lab, role, "application-autoscaling").register_scalable_target
        words = f"User is missing the following permissions: [{missing}]"
        assert refused(register, **service.identity) == ("ValidationException", words)


def test_rights_on_alarms_may_be_bound_to_calls_in_the_callers_name(lab: Lab, unique: str) -> None:
    # IAM guide, reference_policies_condition-keys: aws:ViaAWSService is true for forward access sessions only.
    service = Scaled(lab, unique, MinCapacity=0, MaxCapacity=3)
    condition = {"Condition": {"Bool": {"aws:ViaAWSService": "true"}}}
    statements = [
        {**statement, **condition} if statement["Action"][0].startswith("cloudwatch:") else statement
        for statement in registering(unique)
    ]
    role = create_role(lab, f"{unique}-via", *statements)
    register = ("application-autoscaling", "register_scalable_target", {**service.identity, "MaxCapacity": 4})
    assert code_of(lab, role, *register) is None
    assert service.bounds() == (0, 4)
    assert code_of(lab, role, "cloudwatch", "delete_alarms", {"AlarmNames": [unique]}) in DENIED


def test_who_registers_the_first_target_makes_the_service_linked_role(lab: Lab, unique: str) -> None:
    # application-auto-scaling-service-linked-roles: also again, "after you delete a service-linked role".
    service = Scaled(lab, unique, count=0)
    call = ("application-autoscaling", "register_scalable_target", dict(service.identity))
    without = create_role(lab, f"{unique}-0", *registering(unique))
    path = f"role/aws-service-role/ecs.application-autoscaling.amazonaws.com/{ROLE}"
    making = allow("iam:CreateServiceLinkedRole", resource=f"arn:aws:iam::{ACCOUNT}:{path}")
    condition = {"StringLike": {"iam:AWSServiceName": "ecs.application-autoscaling.amazonaws.com"}}
    role = create_role(lab, f"{unique}-1", *registering(unique), {**making, "Condition": condition})
    lab.client("iam").delete_service_linked_role(RoleName=ROLE)
    assert code_of(lab, without, *call) in DENIED
    assert code_of(lab, role, *call) is None
    assert code_of(lab, without, *call) is None


def test_targets_are_scoped_by_conditions_and_read_on_everything(lab: Lab, unique: str) -> None:
    # security_iam_service-with-iam; the service authorization reference knows no resource of the Describe actions.
    service = Scaled(lab, unique, Tags={"team": "blue"})
    call = ("application-autoscaling", "register_scalable_target", dict(service.identity))
    for number, (key, value, allowed) in enumerate((
        ("application-autoscaling:service-namespace", "ecs", True),
        ("application-autoscaling:service-namespace", "dynamodb", False),
        ("application-autoscaling:scalable-dimension", "ecs:service:DesiredCount", True),
        ("aws:ResourceTag/team", "blue", True),
        ("aws:ResourceTag/team", "green", False),
    )):
        condition = {"Condition": {"StringEquals": {key: value}}}
        role = create_role(lab, f"{unique}-{number}", *registering(unique, **condition))
        assert (code_of(lab, role, *call) is None) is allowed, (key, value)
    describe = ("application-autoscaling", "describe_scalable_targets", {"ServiceNamespace": "ecs"})
    action = "application-autoscaling:DescribeScalableTargets"
    scoped = create_role(lab, f"{unique}-scoped", allow(action, resource=EVERY_TARGET))
    assert code_of(lab, scoped, *describe) in DENIED
    assert code_of(lab, create_role(lab, f"{unique}-any", allow(action)), *describe) is None


def test_faults_strike_its_calls_and_the_calls_it_makes(lab: Lab, unique: str) -> None:
    # The model of ConcurrentUpdateException; of ScalingActivityStatusCode: Failed.
    service = Scaled(lab, unique, count=0)
    concurrent = {"action": "RegisterScalableTarget", "how": "concurrentUpdate"}
    throttled = {"service": "ecs", "action": "UpdateService", "principal": ROLE, "how": "throttle"}
    faults = {"faults": [{"name": f"{unique}-1", "fail": concurrent}, {"name": f"{unique}-2", "fail": throttled}]}
    ask(lab, "POST", "faults", faults)
    try:
        assert refused(service.register, MinCapacity=1)[0] == "ConcurrentUpdateException"
        assert service.bounds()[0] == 0
        service.register(MinCapacity=1)
        wait_for(lambda: [activity["StatusCode"] for activity in service.activities()] == ["Failed"])
        assert "Rate exceeded" in service.activities()[0]["StatusMessage"]
        assert service.desired() == 0
        service.register()
        service.comes_to(1)
    finally:
        for number in (1, 2):
            ask(lab, "DELETE", f"faults?name={unique}-{number}")


def test_calls_are_held_to_the_model(lab: Lab, unique: str) -> None:
    # The model of ScheduledActionName: no slash; botocore itself does not look at patterns.
    service = Scaled(lab, unique, count=0)
    actions = allow("application-autoscaling:*", "ecs:*", "cloudwatch:*")
    put = role_client(lab, create_role(lab, unique, actions), "application-autoscaling").put_scheduled_action
    action = {"Schedule": "rate(1 day)", "ScalableTargetAction": {"MinCapacity": 1}}
    code, words = refused(put, **service.identity, ScheduledActionName="a/b", **action)
    assert code == "ValidationException"
    assert words.startswith("1 validation error detected: ScheduledActionName: must satisfy regular expression pattern")
    put(**service.identity, ScheduledActionName="a-b", **action)
