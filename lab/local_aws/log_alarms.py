"""Log alarms: alarms on the results of a scheduled query of CloudWatch Logs.

ministack does not know them. What matters here is that they exist: DescribeAlarms answers them only when
``AlarmTypes`` names LogAlarm, in a list of their own, and their events have the detail type of all alarms
with another ``configuration``.

Known deviation from AWS: nothing runs the query, so a log alarm is in the state that SetAlarmState gave it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import cbor2
from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region
from ministack.services import cloudwatch

from local_aws.alarm_evaluation import COMPARISONS, TREATMENTS
from local_aws.aws_protocol import Document, HttpResponse, ServiceError
from local_aws.cloudwatch import operation
from local_aws.replacing import AnyFunction, replace

alarms = AccountRegionScopedDict()
"""Name to log alarm."""

MOST_RESULTS = 100


def check(request: Document) -> None:
    """Refuse what PutLogAlarm refuses, as its model's texts say."""
    name = request["AlarmName"]
    if name in cloudwatch._alarms or name in cloudwatch._composite_alarms:
        raise ServiceError("ResourceConflict", f"There is an alarm {name} of another type", 409)
    if request["ComparisonOperator"] not in COMPARISONS:
        raise ServiceError("ValidationError", f"ComparisonOperator must be one of {tuple(COMPARISONS)}")
    if request.get("TreatMissingData", "missing") not in TREATMENTS:
        raise ServiceError("ValidationError", f"TreatMissingData must be one of {TREATMENTS}")
    if not 1 <= int(request["QueryResultsToAlarm"]) <= int(request["QueryResultsToEvaluate"]) <= MOST_RESULTS:
        raise ServiceError(
            "ValidationError",
            f"QueryResultsToEvaluate must be 1 to {MOST_RESULTS} and QueryResultsToAlarm at most that",
        )


def with_query_arn(request: Document) -> Document:
    """The alarm with the ARN of the scheduled query that AWS makes for it."""
    query = request["ScheduledQueryConfiguration"]
    arn = f"arn:aws:logs:{get_region()}:{get_account_id()}:scheduled-query:{request['AlarmName']}"
    return {**request, "ScheduledQueryConfiguration": {**query, "QueryARN": arn}}


def configuration(alarm: Document) -> Document:
    """The configuration of a log alarm as its events carry it.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
    """
    query = alarm["ScheduledQueryConfiguration"]
    schedule = query["ScheduleConfiguration"]
    lines = {member: alarm[member] for member in ("ActionLogLineRoleArn", "ActionLogLineCount") if member in alarm}
    return {
        **{member[0].lower() + member[1:]: value for member, value in lines.items()},
        "logGroupIdentifiers": query.get("LogGroupIdentifiers", []),
        "queryString": query["QueryString"],
        "aggregationExpression": query["AggregationExpression"],
        "scheduledQueryRoleARN": query["ScheduledQueryRoleARN"],
        "schedule": {
            "expression": schedule["ScheduleExpression"],
            "startTimeOffset": schedule["StartTimeOffset"],
            "endTimeOffset": schedule.get("EndTimeOffset", 0),
        },
        "threshold": alarm["Threshold"],
        "comparisonOperator": alarm["ComparisonOperator"],
        "treatMissingData": alarm["TreatMissingData"],
        "queryResultsToEvaluate": alarm["QueryResultsToEvaluate"],
        "queryResultsToAlarm": alarm["QueryResultsToAlarm"],
        "alarmName": alarm["AlarmName"],
        "actionsEnabled": alarm["ActionsEnabled"],
        "okActions": alarm["OKActions"],
        "alarmActions": alarm["AlarmActions"],
        "insufficientDataActions": alarm["InsufficientDataActions"],
    }


def install(put_log_alarm: Callable[[Document], Document]) -> None:
    """Answer PutLogAlarm, and let the operations on alarms by name find log alarms too."""
    _install_dispatch(operation("PutLogAlarm", put_log_alarm))
    _install_by_name("_delete_alarms", lambda name: alarms.pop(name, None))
    _install_by_name("_enable_alarm_actions", lambda name: _set_actions(name, True))
    _install_by_name("_disable_alarm_actions", lambda name: _set_actions(name, False))
    original: Callable[[], None] = cloudwatch.reset

    def reset() -> None:
        original()
        alarms.clear()

    replace(cloudwatch, "reset", reset, expects=())


def _set_actions(name: str, enabled: bool) -> None:
    if name in alarms:
        alarms[name]["ActionsEnabled"] = enabled


def _install_by_name(function: str, act: Callable[[str], Any]) -> None:
    """Do something to each log alarm that a request names, after ministack accepted the request."""
    original: AnyFunction

    def answer(params: Document, cbor_data: Document, is_cbor: bool, is_json: bool = False) -> HttpResponse:
        answered: HttpResponse = original(params, cbor_data, is_cbor, is_json)
        if answered[0] == 200:
            flat = [cloudwatch._p(params, key) for key in params if key.startswith("AlarmNames.member.")]
            for name in cbor_data.get("AlarmNames", []) if is_cbor or is_json else flat:
                act(name)
        return answered

    original = replace(cloudwatch, function, answer, expects=("params", "cbor_data", "is_cbor", "is_json"))


def _install_dispatch(put: Callable[..., HttpResponse]) -> None:
    """PutLogAlarm is missing in ministack's table of actions, which is local to its handler."""
    original: AnyFunction

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: Document
    ) -> HttpResponse:
        if headers.get("x-amz-target", "").endswith(".PutLogAlarm"):
            return put({}, json.loads(body), False, True)
        if path.endswith("/operation/PutLogAlarm"):
            return put({}, cbor2.loads(body), True)
        form = parse_qs(body.decode("utf-8", errors="replace")) if b"PutLogAlarm" in body else {}
        if form.get("Action") == ["PutLogAlarm"]:
            return put(form, {}, False)
        handled: HttpResponse = await original(method, path, headers, body, query_params)
        return handled

    expects = ("method", "path", "headers", "body", "query_params")
    original = replace(cloudwatch, "handle_request", handle, expects=expects)
