"""What happens when an alarm changes its state: the journal, EventBridge, SNS and functions.

ministack knows only SNS, with a message that lacks most members.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import sns

from local_aws import journal, log_alarms
from local_aws.aws_protocol import Document
from local_aws.function_invocation import NotDelivered, invoke_asynchronously
from local_aws.service_events import emit

ACTIONS_OF = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
LAMBDA_PRINCIPAL = "lambda.alarms.cloudwatch.amazonaws.com"
LONGEST_SUBJECT = 100
SUPPRESSION = ("ActionsSuppressor", "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")
SCALING_POLICY = ":scalingPolicy:"
logger = logging.getLogger("alarms")
_invoke_scaling_policy: Callable[[Document, str], None] | None = None


def invoke_scaling_policies_by(function: Callable[[Document, str], None]) -> None:
    """From now on alarms invoke scaling policies by this, which gets the alarm and the policy's ARN."""
    global _invoke_scaling_policy
    _invoke_scaling_policy = function


def timestamp_text(seconds: float) -> str:
    """A timestamp as alarm payloads carry it: ``+0000`` without a colon, which RFC 3339 forbids."""
    moment = datetime.fromtimestamp(seconds, tz=timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"


def state_document(alarm: Document) -> Document:
    """The state of an alarm as events carry it."""
    document = {
        "value": alarm["StateValue"],
        "reason": alarm["StateReason"],
        "timestamp": timestamp_text(alarm["StateUpdatedTimestamp"]),
    }
    if alarm.get("StateReasonData"):
        document["reasonData"] = alarm["StateReasonData"]
    return document


def perform(alarm: Document, previous: Document) -> None:
    """Tell everybody that the alarm is no longer in the ``previous`` state (a ``state_document``)."""
    state = state_document(alarm)
    journal.write(
        kind="alarm",
        alarm=alarm["AlarmName"],
        arn=alarm["AlarmArn"],
        previous=previous["value"],
        state=state["value"],
        reason=state["reason"],
    )
    detail = {
        "alarmName": alarm["AlarmName"],
        "configuration": configuration(alarm),
        "previousState": previous,
        "state": state,
    }
    emit("aws.cloudwatch", "CloudWatch Alarm State Change", [alarm["AlarmArn"]], detail)
    if not alarm.get("ActionsEnabled", True):
        return
    for action in alarm.get(ACTIONS_OF[state["value"]]) or []:
        try:
            _act(action, alarm, state, previous)
        except (NotDelivered, sns.SnsPublishError) as error:
            logger.warning("alarm %s could not perform %s: %s", alarm["AlarmName"], action, error)


def _act(action: str, alarm: Document, state: Document, previous: Document) -> None:
    if ":lambda:" in action:
        payload = {
            "source": "aws.cloudwatch",
            "alarmArn": alarm["AlarmArn"],
            "accountId": get_account_id(),
            "time": state["timestamp"],
            "region": get_region(),
            "alarmData": {
                "alarmName": alarm["AlarmName"],
                "state": state,
                "previousState": previous,
                "configuration": configuration(alarm),
            },
        }
        invoke_asynchronously(action, payload, LAMBDA_PRINCIPAL, alarm["AlarmArn"])
    elif ":sns:" in action:
        subject = f'{state["value"]}: "{alarm["AlarmName"]}" in {get_region()}'[:LONGEST_SUBJECT]
        sns.publish_internal(action, json.dumps(_sns_message(alarm, state, previous)), subject)
    elif SCALING_POLICY in action and _invoke_scaling_policy is not None:
        _invoke_scaling_policy(alarm, action)
    else:
        logger.warning("alarm %s: an action of this kind does nothing here: %s", alarm["AlarmName"], action)


def configuration(alarm: Document) -> Document:
    """The configuration as EventBridge events and function payloads carry it."""
    result: Document = {}
    if alarm.get("AlarmDescription"):
        result["description"] = alarm["AlarmDescription"]
    if "AlarmRule" in alarm:
        suppression = {member[0].lower() + member[1:]: alarm[member] for member in SUPPRESSION if member in alarm}
        return {**result, "alarmRule": alarm["AlarmRule"], **suppression}
    if "ScheduledQueryConfiguration" in alarm:
        updated = timestamp_text(alarm["AlarmConfigurationUpdatedTimestamp"])
        return {**result, **log_alarms.configuration(alarm), "timestamp": updated}
    if alarm.get("Metrics"):
        return {**result, "metrics": [_query_document(query) for query in alarm["Metrics"]]}
    metric = {
        "namespace": alarm["Namespace"],
        "name": alarm["MetricName"],
        "dimensions": {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions", [])},
    }
    stat = alarm.get("ExtendedStatistic") or alarm.get("Statistic")
    metric_stat = {"metric": metric, "period": alarm["Period"], "stat": stat}
    identifier = str(uuid.uuid5(uuid.NAMESPACE_URL, alarm["AlarmArn"]))
    return {**result, "metrics": [{"id": identifier, "metricStat": metric_stat, "returnData": True}]}


def _query_document(query: Document) -> Document:
    document: Document = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
    if "Label" in query:
        document["label"] = query["Label"]
    if "Period" in query:
        document["period"] = query["Period"]
    if "Expression" in query:
        return {**document, "expression": query["Expression"]}
    stat = query["MetricStat"]
    metric = {
        "namespace": stat["Metric"]["Namespace"],
        "name": stat["Metric"]["MetricName"],
        "dimensions": {d["Name"]: d["Value"] for d in stat["Metric"].get("Dimensions", [])},
    }
    return {**document, "metricStat": {"metric": metric, "period": stat["Period"], "stat": stat["Stat"]}}


def _sns_message(alarm: Document, state: Document, previous: Document) -> Document:
    message: Document = {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription"),
        "AWSAccountId": get_account_id(),
        "AlarmConfigurationUpdatedTimestamp": timestamp_text(alarm["AlarmConfigurationUpdatedTimestamp"]),
        "NewStateValue": state["value"],
        "NewStateReason": state["reason"],
        "StateChangeTime": state["timestamp"],
        # AWS writes the region's display name here, for example "EU (Ireland)".
        "Region": get_region(),
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": previous["value"],
        "OKActions": alarm.get("OKActions", []),
        "AlarmActions": alarm.get("AlarmActions", []),
        "InsufficientDataActions": alarm.get("InsufficientDataActions", []),
    }
    if "AlarmRule" in alarm:
        return {**message, "AlarmRule": alarm["AlarmRule"], "TriggeringChildren": []}
    if "ScheduledQueryConfiguration" in alarm:
        # What AWS sends of a log alarm beyond the common members is not documented.
        return message
    trigger: dict[str, Any] = {
        "Period": alarm.get("Period"),
        "EvaluationPeriods": alarm["EvaluationPeriods"],
        "DatapointsToAlarm": alarm.get("DatapointsToAlarm"),
        "ComparisonOperator": alarm["ComparisonOperator"],
        "Threshold": alarm["Threshold"],
        "TreatMissingData": alarm.get("TreatMissingData", "missing"),
        "EvaluateLowSampleCountPercentile": "",
    }
    if alarm.get("Metrics"):
        trigger["Metrics"] = alarm["Metrics"]
    else:
        extended = alarm.get("ExtendedStatistic")
        trigger |= {
            "MetricName": alarm["MetricName"],
            "Namespace": alarm["Namespace"],
            "StatisticType": "ExtendedStatistic" if extended else "Statistic",
            "Statistic": extended or str(alarm["Statistic"]).upper(),
            "Unit": alarm.get("Unit"),
            "Dimensions": [{"value": d["Value"], "name": d["Name"]} for d in alarm.get("Dimensions", [])],
        }
    return {**message, "Trigger": trigger}
