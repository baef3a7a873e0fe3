"""AWS::ApplicationAutoScaling in templates. What ``Ref`` returns is from the CloudFormation Template Reference."""

from __future__ import annotations

from local_aws.tests.clusters import Cluster
from local_aws.tests.scaling import WORKING, Scaled
from local_aws.tests.support import Lab
from local_aws.tests.test_cloudformation import Stack

TEMPLATE = """
Parameters: {Cluster: {Type: String}, Minimum: {Type: Number}, Action: {Type: String}, Value: {Type: Number}}
Resources:
  Target:
    Type: AWS::ApplicationAutoScaling::ScalableTarget
    Properties:
      ServiceNamespace: ecs
      ScalableDimension: ecs:service:DesiredCount
      ResourceId: !Sub 'service/${Cluster}/app'
      MinCapacity: !Ref Minimum
      MaxCapacity: 4
      SuspendedState: {DynamicScalingInSuspended: true}
      ScheduledActions:
        - {ScheduledActionName: !Ref Action, Schedule: 'cron(0 8 * * ? *)', ScalableTargetAction: {MinCapacity: 2}}
  Policy:
    Type: AWS::ApplicationAutoScaling::ScalingPolicy
    Properties:
      PolicyName: cpu
      PolicyType: TargetTrackingScaling
      ScalingTargetId: !Ref Target
      TargetTrackingScalingPolicyConfiguration:
        TargetValue: !Ref Value
        PredefinedMetricSpecification: {PredefinedMetricType: ECSServiceAverageCPUUtilization}
Outputs: {Target: {Value: !Ref Target}, Policy: {Value: !Ref Policy}}
"""


class Templated(Scaled):
    """A service whose target is a stack's."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.scaling, self.cluster = lab, lab.client("application-autoscaling"), Cluster(lab, name)
        self.cluster.create(self.cluster.definition(WORKING), count=0)
        self.identity = {
            "ServiceNamespace": "ecs",
            "ResourceId": f"service/{name}/app",
            "ScalableDimension": "ecs:service:DesiredCount",
        }

    def thresholds(self) -> list[float]:
        """Of all alarms of the service's target tracking policies."""
        prefix = f"TargetTracking-{self.identity['ResourceId']}-"
        alarms = self.lab.client("cloudwatch").describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
        return sorted(alarm["Threshold"] for alarm in alarms)

    def action_names(self) -> list[str]:
        """Of all scheduled actions."""
        found = self.scaling.describe_scheduled_actions(ServiceNamespace="ecs", ResourceId=self.identity["ResourceId"])
        return [action["ScheduledActionName"] for action in found["ScheduledActions"]]


def test_a_target_with_its_policy_is_created_updated_and_deleted(lab: Lab, unique: str) -> None:
    service, stack = Templated(lab, unique), Stack(lab, unique)
    parameters = {"Cluster": unique, "Minimum": "0", "Action": "morning", "Value": "50"}
    created = stack.create(TEMPLATE, **parameters)
    assert created["Target"] == f"service/{unique}/app|ecs:service:DesiredCount|ecs"
    assert created["Policy"].endswith(f":resource/ecs/service/{unique}/app:policyName/cpu")
    assert service.bounds() == (0, 4)
    assert service.described()["SuspendedState"]["DynamicScalingInSuspended"] is True
    assert (service.action_names(), service.thresholds()) == (["morning"], [45.0, 50.0])
    # Somebody pins the service; an update of the stack that is about something else of the target undoes it.
    service.register(MinCapacity=3)
    service.comes_to(3)
    updated = stack.update(TEMPLATE, **{**parameters, "Minimum": "1", "Action": "evening", "Value": "60"})
    assert updated == created
    assert (service.bounds(), service.desired()) == ((1, 4), 3)
    assert (service.action_names(), service.thresholds()) == (["evening"], [54.0, 60.0])
    stack.delete()
    found = service.scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[f"service/{unique}/app"])
    assert (found["ScalableTargets"], service.thresholds()) == ([], [])
