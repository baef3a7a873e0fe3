"""The two alarms of a target tracking policy, and which alarms invoke which policy.

AWS makes them with its service-linked role, changes them with the policy and deletes them with it. Above the target
for 3 minutes is AlarmHigh, below nine tenths of it for 15 minutes is AlarmLow; how long a minute lasts is a setting of
the lab.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from ministack.services import cloudwatch

from local_aws import alarms
from local_aws.alarm_actions import ACTIONS_OF
from local_aws.application_autoscaling_capacity import LOW_SHARE
from local_aws.application_autoscaling_records import TRACKING, Policy, Target
from local_aws.aws_protocol import Document

HIGH_PERIODS, LOW_PERIODS = 3, 15
# Predefined metric types to namespace, metric and statistic.
UTILIZATION = {
    "ECSServiceAverageCPUUtilization": "CPUUtilization",
    "ECSServiceAverageMemoryUtilization": "MemoryUtilization",
}
REQUESTS_PER_TARGET = "ALBRequestCountPerTarget"
_minute = 60


def configure(minute: int) -> None:
    """Note how long a minute lasts."""
    global _minute
    _minute = minute


def put(target: Target, policy: Policy) -> None:
    """Make the alarms of a target tracking policy, or bring them to its configuration."""
    if not policy.high:
        prefix = f"TargetTracking-{target.resource}"
        policy.high, policy.low = f"{prefix}-AlarmHigh-{uuid.uuid4()}", f"{prefix}-AlarmLow-{uuid.uuid4()}"
    value = float(policy.configuration["TargetValue"])
    common = {
        "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.arn}.",
        "AlarmActions": [policy.arn],
        "TreatMissingData": "missing",
        **_metric(target, policy.configuration),
    }
    alarms.put_metric_alarm({
        **common,
        "AlarmName": policy.high,
        "EvaluationPeriods": HIGH_PERIODS,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": value,
    })
    alarms.put_metric_alarm({
        **common,
        "AlarmName": policy.low,
        "EvaluationPeriods": LOW_PERIODS,
        "ComparisonOperator": "LessThanThreshold",
        "Threshold": value * LOW_SHARE,
    })


def remove(policy: Policy) -> None:
    """Delete the alarms of a target tracking policy; of a step policy only "the underlying alarm action"."""
    if policy.kind == TRACKING:
        for name in (policy.high, policy.low):
            cloudwatch.cloudformation_delete_metric_alarm(name)
        return
    for alarm in list(cloudwatch._alarms.values()):
        for actions in ACTIONS_OF.values():
            if policy.arn in alarm.get(actions, []):
                alarm[actions] = [action for action in alarm[actions] if action != policy.arn]


def shown(policy: Policy) -> list[Document]:
    """The alarms of a policy as answers list them."""
    return [
        {"AlarmName": alarm["AlarmName"], "AlarmARN": alarm["AlarmArn"]}
        for alarm in list(cloudwatch._alarms.values())
        if any(policy.arn in alarm.get(actions, []) for actions in ACTIONS_OF.values())
    ]


def invoking(policy: Policy) -> Iterator[Document]:
    """The alarms that are in a state in which they invoke the policy."""
    for alarm in list(cloudwatch._alarms.values()):
        if alarm.get("ActionsEnabled", True) and policy.arn in alarm.get(ACTIONS_OF[alarm["StateValue"]], []):
            yield alarm


def find(name: str) -> Document | None:
    """An alarm by its name."""
    found: Document | None = cloudwatch._alarms.get(name)
    return found


def _metric(target: Target, configuration: Document) -> Document:
    """The members of PutMetricAlarm that say what is watched."""
    predefined = configuration.get("PredefinedMetricSpecification")
    if predefined is not None and predefined["PredefinedMetricType"] == REQUESTS_PER_TARGET:
        balancer, _, group = predefined["ResourceLabel"].partition("/targetgroup/")
        dimensions = {"LoadBalancer": balancer, "TargetGroup": f"targetgroup/{group}"}
        return _plain("AWS/ApplicationELB", "RequestCountPerTarget", dimensions, "Sum")
    if predefined is not None:
        cluster, _, service = target.service_key.partition("/")
        metric = UTILIZATION[predefined["PredefinedMetricType"]]
        return _plain("AWS/ECS", metric, {"ClusterName": cluster, "ServiceName": service}, "Average")
    customized = configuration["CustomizedMetricSpecification"]
    if "Metrics" in customized:
        return {"Metrics": [_query(query) for query in customized["Metrics"]]}
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in customized.get("Dimensions", [])}
    return _plain(customized["Namespace"], customized["MetricName"], dimensions, customized["Statistic"])


def _plain(namespace: str, name: str, dimensions: dict[str, str], statistic: str) -> Document:
    return {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        "Statistic": statistic,
        "Period": _minute,
    }


def _query(query: Document) -> Document:
    """A query of a policy has no period: "Target tracking will evaluate metrics aggregated at a one-minute
    granularity" (target-tracking-scaling-policy-overview)."""
    if "MetricStat" in query:
        return {**query, "MetricStat": {**query["MetricStat"], "Period": _minute}}
    return {**query, "Period": _minute}
