"""CloudWatch alarms: metric alarms with metric math, composite and log alarms, evaluation on a clock.

Replaced because ministack evaluates alarms only when somebody publishes data, ignores dimensions,
DatapointsToAlarm and TreatMissingData, refuses metric math and describes alarms incompletely.

Known deviations from AWS: every alarm is evaluated at each tick, whatever its period; an action
suppressor and mute rules are not known; anomaly detection and PromQL alarms are refused.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import cloudwatch

from local_aws import log_alarms
from local_aws.alarm_actions import perform, state_document, timestamp_text
from local_aws.alarm_descriptions import describe_alarms, kind_of
from local_aws.alarm_evaluation import (
    ALARM,
    COMPARISONS,
    EXTRA_PERIODS,
    INSUFFICIENT_DATA,
    OK,
    TREATMENTS,
    Datapoint,
    Evaluation,
    evaluate,
)
from local_aws.aws_protocol import Document, ServiceError
from local_aws.cloudwatch import HANDLER_PARAMETERS, check_period, operation, run_queries
from local_aws.replacing import replace
from local_aws.settings import Settings

STATES = (OK, ALARM, INSUFFICIENT_DATA)
# The data plane reports a second 0.25 s after it ended. Looking at a second before that would find
# its data missing and could flip an alarm back for a moment.
REPORTING_LAG = 0.5
logger = logging.getLogger("alarms")
_ahead = 0.0
"""How far the service's clock is ahead of everybody else's, in seconds."""
_lock = threading.RLock()


def set_clock(ahead: float) -> None:
    """Let states change at times that are so many seconds ahead; negative: behind."""
    global _ahead
    _ahead = ahead


# ---- state ---------------------------------------------------------------------------------------


def transition(alarm: Document, state: str, reason: str, reason_data: str | None) -> None:
    """Set the state of an alarm; tell the world and the composite alarms if it is another one."""
    previous = state_document(alarm)
    now = time.time() + _ahead
    alarm.update(StateValue=state, StateReason=reason, StateUpdatedTimestamp=now)
    alarm.pop("StateReasonData", None)
    if reason_data:
        alarm["StateReasonData"] = reason_data
    if state == previous["value"]:
        return
    alarm["StateTransitionedTimestamp"] = now
    kind = kind_of(alarm)
    data = json.loads(reason_data) if reason_data else None
    cloudwatch._record_history(alarm["AlarmName"], previous["value"], state, reason, kind, data)
    perform(alarm, previous)
    evaluate_parents(alarm)


def evaluate_metric_alarm(alarm: Document, now: float) -> None:
    """Look at the data of one metric alarm and change its state if need be."""
    result, period = judge(alarm, now)
    if result.state != alarm["StateValue"]:
        transition(alarm, result.state, result.reason, _reason_data(alarm, result, period, now))


def judge(alarm: Document, now: float) -> tuple[Evaluation, int]:
    """Evaluate a metric alarm over the periods that are complete."""
    queries = alarm.get("Metrics") or [_plain_query(alarm)]
    period = _period(queries)
    slots = int(alarm["EvaluationPeriods"]) + EXTRA_PERIODS
    end = int((now - REPORTING_LAG) // period) * period
    results = run_queries(queries, end - slots * period, end)
    series = next(result.series for result in results if result.returned)
    beginnings = [end - (number + 1) * period for number in range(slots)]
    points = [Datapoint(t, series[t]) if t in series else None for t in beginnings]
    return evaluate(alarm, points), period


def evaluate_parents(child: Document) -> None:
    """Evaluate the composite alarms whose rule names this alarm."""
    for parent in cloudwatch._composite_alarms.values():
        if child["AlarmName"] in cloudwatch._composite_children(parent):
            state = cloudwatch._composite_rule_state(parent)
            if state != parent["StateValue"]:
                reason = (
                    f"{child['AlarmArn']} transitioned to {child['StateValue']} at "
                    f"{time.strftime('%A %d %B, %Y %H:%M:%S', time.gmtime(child['StateUpdatedTimestamp']))} UTC"
                )
                transition(parent, state, reason, _triggering(child))


def _triggering(*children: Document) -> str:
    triggering = [
        {
            "arn": child["AlarmArn"],
            "state": {"value": child["StateValue"], "timestamp": timestamp_text(child["StateUpdatedTimestamp"])},
        }
        for child in children
    ]
    return json.dumps({"triggeringAlarms": triggering})


def _plain_query(alarm: Document) -> Document:
    return {
        "Id": "m1",
        "MetricStat": {
            "Metric": {
                "Namespace": alarm["Namespace"],
                "MetricName": alarm["MetricName"],
                "Dimensions": alarm.get("Dimensions", []),
            },
            "Period": alarm["Period"],
            "Stat": alarm.get("ExtendedStatistic") or alarm["Statistic"],
        },
        "ReturnData": True,
    }


def _period(queries: list[Document]) -> int:
    periods = [int(query["MetricStat"]["Period"]) for query in queries if "MetricStat" in query]
    periods += [int(query["Period"]) for query in queries if "Period" in query]
    return max(periods, default=60)


def _reason_data(alarm: Document, result: Evaluation, period: int, now: float) -> str:
    data: Document = {
        "version": "1.0",
        "queryDate": timestamp_text(now),
        "period": period,
        "recentDatapoints": [point.value for point in reversed(result.considered)],
        "threshold": alarm["Threshold"],
        "evaluatedDatapoints": [
            {"timestamp": timestamp_text(point.timestamp), "value": point.value} for point in result.considered
        ],
    }
    if result.considered:
        data["startDate"] = timestamp_text(result.considered[-1].timestamp)
    if not alarm.get("Metrics"):
        data["statistic"] = alarm.get("ExtendedStatistic") or alarm["Statistic"]
    return json.dumps(data)


# ---- operations ----------------------------------------------------------------------------------


def put_metric_alarm(request: Document) -> Document:
    """PutMetricAlarm: the state of an alarm that exists already is kept."""
    _validate_metric_alarm(request)
    request.setdefault("TreatMissingData", "missing")
    if not request.get("Metrics") and "ExtendedStatistic" not in request:
        request.setdefault("Statistic", "Average")
    _store(request, cloudwatch._alarms)
    return {}


def put_composite_alarm(request: Document) -> Document:
    """PutCompositeAlarm: evaluated at once."""
    try:
        cloudwatch._parse_alarm_rule(request["AlarmRule"])
    except ValueError as error:
        raise ServiceError("ValidationError", str(error)) from error
    missing = [
        child
        for child in cloudwatch._composite_children(request)
        if child not in cloudwatch._alarms and child not in cloudwatch._composite_alarms
    ]
    if missing:
        raise ServiceError(
            "ValidationError",
            f"Could not save the composite alarm as alarms {missing} in the alarm rule do not exist",
        )
    with _lock:
        known = request["AlarmName"] in cloudwatch._composite_alarms
        alarm = _store(request, cloudwatch._composite_alarms)
        state = cloudwatch._composite_rule_state(alarm)
        if state != alarm["StateValue"]:
            happened = "was updated and its new alarm rule" if known else "was created and its alarm rule"
            names = cloudwatch._matching_children(alarm, state)
            children = [cloudwatch._alarms.get(name) or cloudwatch._composite_alarms[name] for name in names]
            reason = f"{alarm['AlarmArn']} {happened} evaluates to {state}"
            transition(alarm, state, reason, _triggering(*children))
    return {}


def put_log_alarm(request: Document) -> Document:
    """PutLogAlarm: the state of an alarm that exists already is kept."""
    with _lock:
        log_alarms.check(request)
        request.setdefault("TreatMissingData", "missing")
        _store(log_alarms.with_query_arn(request), log_alarms.alarms)
    return {}


def set_alarm_state(request: Document) -> Document:
    """SetAlarmState: holds until the next evaluation, as on AWS."""
    if request["StateValue"] not in STATES:
        raise ServiceError("ValidationError", f"StateValue must be one of {STATES}")
    name = request["AlarmName"]
    with _lock:
        alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name) or log_alarms.alarms.get(name)
        if alarm is None:
            raise ServiceError("ResourceNotFound", f"Alarm {name} does not exist", 404)
        transition(alarm, request["StateValue"], request["StateReason"], request.get("StateReasonData"))
    return {}


def _validate_metric_alarm(request: Document) -> None:
    if request.get("ComparisonOperator") not in COMPARISONS or "Threshold" not in request:
        raise ServiceError("ValidationError", "A static threshold and one of its comparison operators are needed")
    if request.get("TreatMissingData", "missing") not in TREATMENTS:
        raise ServiceError("ValidationError", f"TreatMissingData must be one of {TREATMENTS}")
    if int(request.get("DatapointsToAlarm", 1)) > int(request["EvaluationPeriods"]):
        raise ServiceError("ValidationError", "DatapointsToAlarm must be at most EvaluationPeriods")
    metrics = request.get("Metrics")
    if bool(metrics) == ("MetricName" in request):
        raise ServiceError("ValidationError", "An alarm has either MetricName or Metrics")
    if metrics:
        if sum(bool(query.get("ReturnData", True)) for query in metrics) != 1:
            raise ServiceError("ValidationError", "Exactly one element of Metrics must have ReturnData true")
        run_queries(metrics, 0, 1)
    else:
        check_period(int(request["Period"]))


def _store(request: Document, store: Any) -> Document:
    name = request["AlarmName"]
    tags = request.pop("Tags", None)
    with _lock:
        existing = store.get(name)
        now = time.time()
        alarm: Document = {
            "ActionsEnabled": True,
            "AlarmActions": [],
            "OKActions": [],
            "InsufficientDataActions": [],
            **({"Dimensions": []} if "MetricName" in request else {}),
            **request,
            "AlarmArn": f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:alarm:{name}",
            "AlarmConfigurationUpdatedTimestamp": now,
            "StateValue": INSUFFICIENT_DATA,
            "StateReason": "Unchecked: Initial alarm creation",
            "StateUpdatedTimestamp": now,
            "StateTransitionedTimestamp": now,
        }
        if existing:
            kept = ("StateValue", "StateReason", "StateReasonData", "StateUpdatedTimestamp", "StateTransitionedTimestamp")
            alarm |= {key: existing[key] for key in kept if key in existing}
        elif tags:
            cloudwatch._resource_tags[alarm["AlarmArn"]] = {tag["Key"]: tag["Value"] for tag in tags}
        store[name] = alarm
        return alarm


# ---- clock and installation ----------------------------------------------------------------------


def _run_clock(settings: Settings) -> None:
    while True:
        time.sleep(settings.alarm_tick)
        with request_scope(settings.account, settings.region):
            for alarm in cloudwatch._alarms.values():
                with _lock:
                    if cloudwatch._alarms.get(alarm["AlarmName"]) is not alarm:
                        continue
                    try:
                        evaluate_metric_alarm(alarm, time.time())
                    except ServiceError as error:
                        logger.error("alarm %s cannot be evaluated: %s", alarm["AlarmName"], error)


def _evaluate_nothing(*_arguments: Any) -> None:
    """Publishing data evaluates no alarm; the clock does."""


def install(settings: Settings) -> None:
    """Replace the alarm operations and start the clock."""
    handlers: tuple[tuple[str, str, Callable[[Document], Document]], ...] = (
        ("_put_metric_alarm", "PutMetricAlarm", put_metric_alarm),
        ("_put_composite_alarm", "PutCompositeAlarm", put_composite_alarm),
        ("_describe_alarms", "DescribeAlarms", describe_alarms),
        ("_set_alarm_state", "SetAlarmState", set_alarm_state),
    )
    for function, name, handler in handlers:
        replace(cloudwatch, function, operation(name, handler), expects=HANDLER_PARAMETERS)
    replace(cloudwatch, "_evaluate_alarm", _evaluate_nothing, expects=("alarm",))
    log_alarms.install(put_log_alarm)
    clock = threading.Thread(target=_run_clock, args=(settings,), name="alarms", daemon=True)
    clock.start()
