"""Application Auto Scaling: targets, policies, and what is refused.

Pages are those of the Application Auto Scaling User Guide unless they are said to be others.
"""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.tests.balancing import Balancer, forward
from local_aws.tests.scaling import NAMESPACE, NEVER_RUNNING, Scaled, above, refused, standing_alarm
from local_aws.tests.support import ACCOUNT, REGION, Lab, start_lab, wait_for

FLAGS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
ROLE = "AWSServiceRoleForApplicationAutoScaling_ECSService"


# ---- scalable targets ----------------------------------------------------------------------------


def test_registering_moves_the_desired_count_into_the_bounds(lab: Lab, unique: str) -> None:
    # The model of RegisterScalableTarget; getting-started, "Scalable target".
    service = Scaled(lab, unique, count=1, MinCapacity=2, MaxCapacity=4)
    service.runs(2)
    wait_for(lambda: service.activities()[0]["StatusCode"] == "Successful")
    (activity,) = service.activities()
    assert service.causes() == [("Setting desired count to 2.", "minimum capacity was set to 2")]
    assert activity["StatusMessage"] == "Successfully set desired count to 2. Change successfully fulfilled by ecs."
    assert activity["EndTime"] >= activity["StartTime"]
    service.register(MinCapacity=0, MaxCapacity=1)
    service.runs(1)
    assert service.causes()[1:] == [("Setting desired count to 1.", "maximum capacity was set to 1")]
    calls = lab.journal_lines(kind="call", action="UpdateService", principal=ROLE)
    assert {"cluster": unique, "service": "app", "desiredCount": 2} in [call["request"] for call in calls]


def test_a_registration_that_only_suspends_wakes_an_idle_service(lab: Lab, unique: str) -> None:
    # The model: "even if you don't include the MinCapacity or MaxCapacity request parameters"; seen by
    # spinnaker/spinnaker#6222. So suspension does not stop it either.
    service = Scaled(lab, unique, count=2, MinCapacity=3)
    service.comes_to(3)
    for _ in range(2):
        service.cluster.update(desiredCount=0)
        assert service.desired() == 0
        service.register(SuspendedState=dict.fromkeys(FLAGS, True))
        service.comes_to(3)
    assert service.causes() == [("Setting desired count to 3.", "minimum capacity was set to 3")] * 3


def test_what_a_registration_leaves_out_is_kept(lab: Lab, unique: str) -> None:
    # The model: "Any parameters that you don't specify are not changed by this update request."
    service = Scaled(lab, unique, count=1, MinCapacity=1, MaxCapacity=7)
    found = service.described()
    assert found["SuspendedState"] == dict.fromkeys(FLAGS, False)
    role = f"role/aws-service-role/ecs.application-autoscaling.amazonaws.com/{ROLE}"
    assert found["RoleARN"] == f"arn:aws:iam::{ACCOUNT}:{role}"
    service.register(SuspendedState={"ScheduledScalingSuspended": True})
    service.register(MinCapacity=0)
    again = service.described()
    assert service.bounds() == (0, 7)
    assert again["SuspendedState"] == {**dict.fromkeys(FLAGS, False), "ScheduledScalingSuspended": True}
    assert (again["ScalableTargetARN"], again["CreationTime"]) == (found["ScalableTargetARN"], found["CreationTime"])
    assert service.activities() == []


def test_a_change_is_overridden_by_a_newer_one(lab: Lab, unique: str) -> None:
    # application-auto-scaling-scaling-activities, status codes.
    service = Scaled(lab, unique, count=1, image=NEVER_RUNNING, MinCapacity=2)
    service.comes_to(2)
    wait_for(lambda: [activity["StatusCode"] for activity in service.activities()] == ["InProgress"])
    service.register(MinCapacity=3)
    wait_for(lambda: [found["StatusCode"] for found in service.activities()] == ["Overridden", "InProgress"])


def test_registrations_that_aws_refuses(lab: Lab, unique: str) -> None:
    service = Scaled(lab, unique, MinCapacity=0, MaxCapacity=3)
    register = service.scaling.register_scalable_target
    nobody = {**service.identity, "ResourceId": f"service/{unique}/nobody"}
    # spinnaker/spinnaker#4371 has the words.
    assert refused(register, **nobody, MinCapacity=0, MaxCapacity=1) == (
        "ValidationException",
        "ECS service doesn't exist",
    )
    for wrong in (
        {"MinCapacity": 4},
        {"MinCapacity": 2, "MaxCapacity": 1},
        {"MinCapacity": -1},
        {"Tags": {"too": "late"}},
        {"ServiceNamespace": "dynamodb"},
        {"ResourceId": unique},
    ):
        assert refused(register, **{**service.identity, **wrong})[0] == "ValidationException", wrong
    service.scaling.deregister_scalable_target(**service.identity)
    # The model: required "when you register a new scalable target".
    assert refused(register, **service.identity, MaxCapacity=1)[0] == "ValidationException"


def test_deregistering_takes_policies_alarms_and_actions_along(lab: Lab, unique: str) -> None:
    # The model of DeregisterScalableTarget; of DeleteScalingPolicy: a step policy's alarm stays without the action.
    service = Scaled(lab, unique)
    tracking = service.track(unique)
    step = service.step("step", above(1))
    standing_alarm(lab, f"{unique}-mine", step, value=-1.0)
    schedule = {"Schedule": "rate(1 day)", "ScalableTargetAction": {"MinCapacity": 1}}
    service.scaling.put_scheduled_action(**service.identity, ScheduledActionName="daily", **schedule)
    service.scaling.deregister_scalable_target(**service.identity)
    left = service.cloudwatch.describe_alarms(AlarmNames=[*tracking, f"{unique}-mine"])["MetricAlarms"]
    assert [(alarm["AlarmName"], alarm["AlarmActions"]) for alarm in left] == [(f"{unique}-mine", [])]
    where = {"ServiceNamespace": "ecs", "ResourceId": service.identity["ResourceId"]}
    assert service.scaling.describe_scaling_policies(**where)["ScalingPolicies"] == []
    assert service.scaling.describe_scheduled_actions(**where)["ScheduledActions"] == []
    for call, more in (
        (service.scaling.deregister_scalable_target, {}),
        (service.scaling.delete_scaling_policy, {"PolicyName": "step"}),
        (service.scaling.delete_scheduled_action, {"ScheduledActionName": "daily"}),
    ):
        assert refused(call, **service.identity, **more)[0] == "ObjectNotFoundException"


def test_only_targets_have_tags(lab: Lab, unique: str) -> None:
    # resource-tagging-support.
    service = Scaled(lab, unique, Tags={"team": "blue"})
    arn = service.described()["ScalableTargetARN"]
    service.scaling.tag_resource(ResourceARN=arn, Tags={"pinned": "3"})
    assert service.scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"team": "blue", "pinned": "3"}
    service.scaling.untag_resource(ResourceARN=arn, TagKeys=["team"])
    assert service.scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"pinned": "3"}
    many = {str(number): "x" for number in range(51)}
    assert refused(service.scaling.tag_resource, ResourceARN=arn, Tags=many)[0] == "TooManyTagsException"
    service.scaling.deregister_scalable_target(**service.identity)
    assert refused(service.scaling.list_tags_for_resource, ResourceARN=arn)[0] == "ResourceNotFoundException"


# ---- policies ------------------------------------------------------------------------------------


def test_a_target_tracking_policy_has_two_alarms(lab: Lab, unique: str) -> None:
    # create-target-tracking-policy-cli has names and ARNs, Application Auto Scaling manages the alarms
    # (target-tracking-scaling-policy-overview); 3 and 15 periods, 0.9: exports of real accounts.
    service = Scaled(lab, unique)
    names = service.track(unique, 70.0)
    resource = service.identity["ResourceId"]
    described = service.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    high, low = sorted(described, key=lambda alarm: alarm["AlarmName"])
    assert high["AlarmName"].startswith(f"TargetTracking-{resource}-AlarmHigh-")
    assert low["AlarmName"].startswith(f"TargetTracking-{resource}-AlarmLow-")
    shape = ("ComparisonOperator", "EvaluationPeriods", "Threshold", "TreatMissingData")
    assert [high[member] for member in shape] == ["GreaterThanThreshold", 3, 70.0, "missing"]
    assert [low[member] for member in shape] == ["LessThanThreshold", 15, 63.0, "missing"]
    where = {"ServiceNamespace": "ecs", "PolicyNames": [unique]}
    (policy,) = service.scaling.describe_scaling_policies(**where)["ScalingPolicies"]
    assert [alarm["AlarmName"] for alarm in policy["Alarms"]] == names
    assert high["AlarmActions"] == low["AlarmActions"] == [policy["PolicyARN"]]
    assert policy["PolicyARN"].startswith(f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scalingPolicy:")
    assert policy["PolicyARN"].endswith(f":resource/ecs/{resource}:policyName/{unique}")
    assert service.track(unique, 80.0) == names
    changed = service.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    assert sorted(alarm["Threshold"] for alarm in changed) == [72.0, 80.0]
    service.scaling.delete_scaling_policy(**service.identity, PolicyName=unique)
    assert service.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"] == []


def test_the_metric_of_a_target_group_is_its_services(lab: Lab, unique: str) -> None:
    # The model of PredefinedMetricSpecification, ResourceLabel.
    balancer = Balancer(lab, unique)
    own, foreign = balancer.group(), balancer.group()
    balancer.listen([forward((own, 1), (foreign, 0))])
    service = Scaled(lab, unique, groups=(own,))
    front = balancer.arn.partition(":loadbalancer/")[2]

    def policy(label: str | None) -> dict[str, Any]:
        metric = {"PredefinedMetricType": "ALBRequestCountPerTarget", **({"ResourceLabel": label} if label else {})}
        settings = {"TargetValue": 5, "PredefinedMetricSpecification": metric}
        return service.put_policy("p", "TargetTrackingScaling", settings)

    for label in (None, "app/nonsense", f"{front}/{foreign.rpartition(':')[2]}"):
        assert refused(lambda label=label: policy(label))[0] == "ValidationException"
    (high, _low) = policy(f"{front}/{own.rpartition(':')[2]}")["Alarms"]
    (alarm,) = service.cloudwatch.describe_alarms(AlarmNames=[high["AlarmName"]])["MetricAlarms"]
    metric = alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]
    assert metric == ("AWS/ApplicationELB", "RequestCountPerTarget", "Sum")
    assert {"Name": "TargetGroup", "Value": own.rpartition(":")[2]} in alarm["Dimensions"]
    predefined = {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}
    configuration = {"TargetValue": 50, "PredefinedMetricSpecification": predefined}
    (high, _low) = service.put_policy("cpu", "TargetTrackingScaling", configuration)["Alarms"]
    (alarm,) = service.cloudwatch.describe_alarms(AlarmNames=[high["AlarmName"]])["MetricAlarms"]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("AWS/ECS", "CPUUtilization", "Average")
    # hashicorp/terraform-provider-aws#41179.
    code, words = refused(service.put_policy, name="2", kind="TargetTrackingScaling", configuration=configuration)
    assert (code, words[:40]) == ("ValidationException", "Only one TargetTrackingScaling policy fo")


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [above(1), above(2)],
        [above(1, 0, 10), above(2, 20)],
        [above(1, 0, 10), above(2, 5)],
        [above(1, 0, 10)],
        [{"MetricIntervalLowerBound": -10, "MetricIntervalUpperBound": 0, "ScalingAdjustment": -1}],
        [{"ScalingAdjustment": 1}],
    ],
)
def test_steps_that_overlap_or_have_gaps_are_refused(lab: Lab, unique: str, steps: list[dict[str, Any]]) -> None:
    # step-scaling-policy-overview, "When you specify the step adjustments for your scaling policy, note the following".
    service = Scaled(lab, unique, count=0)
    with pytest.raises(ClientError) as error:
        service.step("step", *steps)
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_a_policy_keeps_its_type_and_a_predictive_one_is_only_kept(lab: Lab, unique: str) -> None:
    # The model of PutScalingPolicy: PolicyType "is required if you are creating a scaling policy".
    service = Scaled(lab, unique, count=0)
    metrics = {"PredefinedMetricPairSpecification": {"PredefinedMetricType": "ECSServiceCPUUtilization"}}
    predictive = {"MetricSpecifications": [{"TargetValue": 50, **metrics}], "Mode": "ForecastAndScale"}
    policy = {**service.identity, "PolicyName": "forecast", "PredictiveScalingPolicyConfiguration": predictive}
    put = service.scaling.put_scaling_policy
    assert refused(put, **policy)[0] == "ValidationException"
    assert put(**policy, PolicyType="PredictiveScaling")["Alarms"] == []
    put(**policy)
    where = {"ServiceNamespace": "ecs", "ResourceId": service.identity["ResourceId"]}
    (found,) = service.scaling.describe_scaling_policies(**where)["ScalingPolicies"]
    assert (found["PolicyType"], found["PredictiveScalingPolicyConfiguration"]) == ("PredictiveScaling", predictive)
    with pytest.raises(ClientError):
        service.step("forecast", above(1))


def test_a_policy_needs_a_target(lab: Lab, unique: str) -> None:
    # cloudposse/terraform-aws-ecs-cloudwatch-autoscaling#36 has the words.
    service = Scaled(lab, unique, count=0)
    service.scaling.deregister_scalable_target(**service.identity)
    with pytest.raises(ClientError) as error:
        service.step("step", above(1))
    assert error.value.response["Error"] == {
        "Code": "ObjectNotFoundException",
        "Message": f"No scalable target registered for service namespace: ecs, resource ID: service/{unique}/app, "
        "scalable dimension: ecs:service:DesiredCount",
    }


def test_descriptions_come_in_pages(lab: Lab, unique: str) -> None:
    # The models of MaxResults, NextToken and ScalableDimension of the Describe operations.
    service = Scaled(lab, unique, count=0)
    names = [f"step-{number:02}" for number in range(12)]
    for name in names:
        service.step(name, above(1))
    where = {"ServiceNamespace": "ecs", "ResourceId": service.identity["ResourceId"]}
    first = service.scaling.describe_scaling_policies(**where)
    assert [policy["PolicyName"] for policy in first["ScalingPolicies"]] == names[:10]
    rest = service.scaling.describe_scaling_policies(**where, NextToken=first["NextToken"])
    assert [policy["PolicyName"] for policy in rest["ScalingPolicies"]] == names[10:]
    assert "NextToken" not in rest
    describe = service.scaling.describe_scaling_policies
    assert refused(describe, **where, NextToken="nonsense")[0] == "InvalidNextTokenException"
    assert refused(describe, **where, MaxResults=11)[0] == "ValidationException"
    alone = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
    assert refused(describe, **alone)[0] == "ValidationException"


def test_metric_math_is_tracked_too(lab: Lab, unique: str) -> None:
    # application-auto-scaling-target-tracking-metric-math.
    service = Scaled(lab, unique, count=0)
    stat = {"Metric": {"Namespace": NAMESPACE, "MetricName": unique, "Dimensions": []}, "Stat": "Sum"}
    queries = [
        {"Id": "a", "MetricStat": stat, "ReturnData": False},
        {"Id": "rate", "Expression": "FILL(a, REPEAT) / 2", "ReturnData": True},
    ]
    configuration = {"TargetValue": 5, "CustomizedMetricSpecification": {"Metrics": queries}}
    (high, _low) = service.put_policy("math", "TargetTrackingScaling", configuration)["Alarms"]
    (alarm,) = service.cloudwatch.describe_alarms(AlarmNames=[high["AlarmName"]])["MetricAlarms"]
    assert [query["Id"] for query in alarm["Metrics"]] == ["a", "rate"]
    assert alarm["Metrics"][0]["MetricStat"]["Period"] == 1


def test_a_minute_is_a_minute_unless_asked_otherwise_and_a_reset_forgets_all(tmp_path: Path) -> None:
    # target-tracking-scaling-policy-overview: "evaluate metrics aggregated at a one-minute granularity".
    fresh = start_lab(tmp_path / "data")
    try:
        service = Scaled(fresh, "before", count=0, image=NEVER_RUNNING)
        names = service.track("metric")
        alarms = service.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
        assert [alarm["Period"] for alarm in alarms] == [60, 60]
        urllib.request.urlopen(f"{fresh.endpoint}/_ministack/reset", data=b"").close()
        assert service.scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []
        assert service.scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"] == []
        assert service.scaling.describe_scaling_activities(ServiceNamespace="ecs")["ScalingActivities"] == []
    finally:
        fresh.process.terminate()
        fresh.process.wait(10)
