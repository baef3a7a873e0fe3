"""What the tests of Application Auto Scaling share: a service that scales, and numbers that make it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.tests.clusters import Cluster
from local_aws.tests.support import Lab, wait_for

NAMESPACE = "Lab/Scaling"
PERIOD = 300
WORKING, NEVER_RUNNING = "registry.example/demo:1", "registry.example/demo:crash"


class Scaled:
    """An ECS service that is a scalable target."""

    def __init__(
        self, lab: Lab, name: str, count: int = 1, image: str = WORKING, groups: tuple[str, ...] = (), **bounds: Any
    ) -> None:
        self.lab = lab
        self.scaling = lab.client("application-autoscaling")
        self.cloudwatch = lab.client("cloudwatch")
        self.cluster = Cluster(lab, name)
        self.cluster.create(self.cluster.definition(image), count=count, groups=groups)
        self.identity = {
            "ServiceNamespace": "ecs",
            "ResourceId": f"service/{name}/app",
            "ScalableDimension": "ecs:service:DesiredCount",
        }
        if image == WORKING:
            self.cluster.settled()
        self.register(**{"MinCapacity": 0, "MaxCapacity": 10, **bounds})

    def register(self, **changes: Any) -> str:
        """RegisterScalableTarget."""
        arn: str = self.scaling.register_scalable_target(**self.identity, **changes)["ScalableTargetARN"]
        return arn

    def suspend(self, **flags: bool) -> None:
        """RegisterScalableTarget with flags by their first words: In, Out."""
        self.register(SuspendedState={f"DynamicScaling{word}Suspended": value for word, value in flags.items()})

    def described(self) -> dict[str, Any]:
        """DescribeScalableTargets."""
        request = {"ServiceNamespace": "ecs", "ResourceIds": [self.identity["ResourceId"]]}
        (found,) = self.scaling.describe_scalable_targets(**request)["ScalableTargets"]
        return dict(found)

    def bounds(self) -> tuple[int, int]:
        """The minimum and the maximum."""
        found = self.described()
        return found["MinCapacity"], found["MaxCapacity"]

    def desired(self) -> int:
        """The desired count."""
        return int(self.cluster.service()["desiredCount"])

    def comes_to(self, count: int) -> None:
        """Wait for a desired count."""
        wait_for(lambda: self.desired() == count, what=f"a desired count of {count}")

    def runs(self, count: int) -> None:
        """Wait until so many tasks run and are wanted."""

        def steady() -> bool:
            service = self.cluster.service()
            return bool(service["desiredCount"] == service["runningCount"] == count)

        wait_for(steady, what=f"{count} running tasks")

    def activities(self, everything: bool = False) -> list[dict[str, Any]]:
        """DescribeScalingActivities, oldest first."""
        request = {"ServiceNamespace": "ecs", "ResourceId": self.identity["ResourceId"]}
        found = self.scaling.describe_scaling_activities(**request, IncludeNotScaledActivities=everything)
        return list(reversed(found["ScalingActivities"]))

    def causes(self) -> list[tuple[str, str]]:
        """What was done and why, oldest first."""
        return [(activity["Description"], activity["Cause"]) for activity in self.activities()]

    def not_scaled(self, code: str) -> dict[str, Any]:
        """Wait for the decision not to scale; its machine-readable reason."""

        def reason() -> dict[str, Any] | None:
            reasons = [reason for found in self.activities(True) for reason in found.get("NotScaledReasons", [])]
            return next((reason for reason in reasons if reason["Code"] == code), None)

        return wait_for(reason, what=f"a decision not to scale: {code}")

    def put_policy(self, name: str, kind: str, configuration: dict[str, Any]) -> dict[str, Any]:
        """PutScalingPolicy."""
        return dict(
            self.scaling.put_scaling_policy(
                **self.identity,
                PolicyName=name,
                PolicyType=kind,
                **{f"{kind if kind == 'StepScaling' else 'TargetTrackingScaling'}PolicyConfiguration": configuration},
            )
        )

    def track(self, metric: str, value: float = 10.0, **configuration: Any) -> list[str]:
        """A target tracking policy on a metric of the test's own, named after it; its alarms' names."""
        customized = {"Namespace": NAMESPACE, "MetricName": metric, "Statistic": "Average"}
        settings = {
            "TargetValue": value,
            "CustomizedMetricSpecification": customized,
            "ScaleOutCooldown": 0,
            "ScaleInCooldown": 0,
            **configuration,
        }
        answer = self.put_policy(metric, "TargetTrackingScaling", settings)
        return [alarm["AlarmName"] for alarm in answer["Alarms"]]

    def step(self, name: str, *adjustments: dict[str, Any], **configuration: Any) -> str:
        """A step policy; its ARN."""
        settings = {
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": list(adjustments),
            "Cooldown": 0,
            **configuration,
        }
        return str(self.put_policy(name, "StepScaling", settings)["PolicyARN"])


def refused(call: Any, **request: Any) -> tuple[str, str]:
    """Code and message of a refusal."""
    with pytest.raises(ClientError) as error:
        call(**request)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def above(change: int, lower: float = 0.0, upper: float | None = None) -> dict[str, Any]:
    """A step adjustment for a metric above the threshold."""
    end = {} if upper is None else {"MetricIntervalUpperBound": upper}
    return {"MetricIntervalLowerBound": lower, **end, "ScalingAdjustment": change}


def standing_alarm(lab: Lab, name: str, *policies: str, value: float = 5.0) -> None:
    """An alarm that comes into ALARM with its first evaluation, stays there for minutes and invokes policies.

    It watches for more than 0 in periods of five minutes; ``value`` is what it sees.
    """
    cloudwatch = lab.client("cloudwatch")
    put_value(lab, name, value)
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace=NAMESPACE,
        MetricName=name,
        Statistic="Maximum",
        Period=PERIOD,
        EvaluationPeriods=1,
        Threshold=0.0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
        AlarmActions=list(policies),
    )


def put_value(lab: Lab, metric: str, value: float) -> None:
    """PutMetricData into the last period that is over."""
    data = {"MetricName": metric, "Value": value, "Timestamp": time.time() - PERIOD}
    lab.client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=[data])


@contextmanager
def feeding(lab: Lab, values: dict[str, float]) -> Iterator[dict[str, float]]:
    """Put metrics several times a second until the end; changing the values changes what comes next."""
    cloudwatch = lab.client("cloudwatch")
    over = threading.Event()

    def feed() -> None:
        while not over.wait(0.2):
            data = [{"MetricName": metric, "Value": value} for metric, value in list(values.items())]
            cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        yield values
    finally:
        over.set()
        feeder.join()
