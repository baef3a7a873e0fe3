"""What whoever runs a lab can ask of it besides AWS's own API, below ``/_lab``.

    GET    /_lab/faults          {"faults": {"name": how often it struck}}
    POST   /_lab/faults          {"faults": [...]}: from now on these too (see ``faults``)
    DELETE /_lab/faults          ends all; ``?name=NAME`` one
    POST   /_lab/elb-limits      {"changes": {"burst": 4, "perSecond": 1}}: throttle the ELBv2 API from now on
    POST   /_lab/ecs-limits      {"tasks": 3}: place at most so many tasks at once; null: any number
    POST   /_lab/alarm-clock     {"ahead": 20}: from now on states of alarms change by a clock that is so many
                                 seconds ahead
    POST   /_lab/statistic-sets  {"namespace", "metric", "dimensions": {...}}: the metric gets a statistic set now, so that
                                 its hour has no percentiles
    GET    /_lab/tables/NAME     {"items": [...]}: every item of a DynamoDB table, as the API writes them
    GET    /_lab/logs            {"groups": {NAME: [{"stream", "timestamp", "message"}]}}: what was logged, in order;
                                 ``?since=SECONDS``

AWS has nothing of it, so nothing that is tested may use it.
"""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qs

from ministack.core.responses import request_scope
from ministack.services import cloudwatch_logs, dynamodb

from local_aws import alarms, ecs, elbv2, faults
from local_aws.faults import FaultError
from local_aws.metric_store import Point, store
from local_aws.settings import Settings

PREFIX = "/_lab/"


class _Refused(Exception):
    """What was asked cannot be done: an HTTP status and why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _change_faults(method: str, query: dict[str, list[str]], body: bytes) -> Any:
    if method == "GET":
        return {"faults": faults.struck()}
    if method == "DELETE":
        faults.withdraw(query.get("name", [None])[0])
        return {}
    if method != "POST":
        raise _Refused(405, f"{method} is not possible here; GET, POST and DELETE are")
    try:
        document = json.loads(body)
        given = document["faults"]
        parsed = [faults.parse(fault, f"faults[{index}]") for index, fault in enumerate(given)]
    except FaultError as error:
        raise _Refused(400, str(error)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise _Refused(400, f'{{"faults": [...]}} is needed: {error}') from error
    faults.add(parsed)
    return {}


def _limit(body: bytes) -> Any:
    try:
        for kind, bucket in json.loads(body).items():
            if kind not in ("changes", "reads"):
                raise _Refused(400, f"{kind} is neither changes nor reads")
            elbv2.limit(kind, float(bucket["burst"]), float(bucket["perSecond"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _Refused(400, f'{{"changes": {{"burst": 4, "perSecond": 1}}}} is needed: {error}') from error
    return {}


def _limit_tasks(body: bytes) -> Any:
    try:
        most = json.loads(body)["tasks"]
    except (ValueError, KeyError, TypeError) as error:
        raise _Refused(400, f'{{"tasks": 3}} is needed: {error}') from error
    if most is not None and (not isinstance(most, int) or most < 0):
        raise _Refused(400, f"tasks must be a number or null; it is {most}")
    ecs.limit_tasks(most)
    return {}


def _set_alarm_clock(body: bytes) -> Any:
    try:
        alarms.set_clock(float(json.loads(body)["ahead"]))
    except (ValueError, KeyError, TypeError) as error:
        raise _Refused(400, f'{{"ahead": 20}} is needed: {error}') from error
    return {}


def _add_statistic_set(body: bytes) -> Any:
    try:
        metric = json.loads(body)
        namespace, name, dimensions = metric["namespace"], metric["metric"], dict(metric["dimensions"])
    except (ValueError, KeyError, TypeError) as error:
        raise _Refused(400, f'{{"namespace", "metric", "dimensions"}} are needed: {error}') from error
    store.add_point(namespace, name, dimensions, time.time(), "Seconds", Point(2, 1.0, 0.25, 0.75, is_set=True))
    return {}


def _table(name: str, settings: Settings) -> Any:
    items: list[Any] = []
    request: dict[str, Any] = {"TableName": name, "ConsistentRead": True}
    with request_scope(settings.account, settings.region):
        while True:
            status, _headers, body = dynamodb._scan(request)
            answer = json.loads(body)
            if status != 200:
                raise _Refused(404, f"table {name}: {answer.get('message', status)}")
            items += answer["Items"]
            if not answer.get("LastEvaluatedKey"):
                return {"items": items}
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _logs(query: dict[str, list[str]], settings: Settings) -> Any:
    since = float(query.get("since", ["0"])[0]) * 1000
    with request_scope(settings.account, settings.region):
        groups = {
            name: sorted(
                (
                    {"stream": stream, "timestamp": event["timestamp"], "message": event["message"]}
                    for stream, content in list(group["streams"].items())
                    for event in list(content["events"])
                    if event["timestamp"] >= since
                ),
                key=lambda event: event["timestamp"],
            )
            for name, group in list(cloudwatch_logs._log_groups.items())
        }
    return {"groups": groups}


def _answer(settings: Settings, method: str, path: str, query: str, body: bytes) -> tuple[int, Any]:
    place = path.removeprefix(PREFIX)
    try:
        if place == "faults":
            return 200, _change_faults(method, parse_qs(query), body)
        if place == "elb-limits" and method == "POST":
            return 200, _limit(body)
        if place == "logs" and method == "GET":
            return 200, _logs(parse_qs(query), settings)
        if place == "ecs-limits" and method == "POST":
            return 200, _limit_tasks(body)
        if place == "alarm-clock" and method == "POST":
            return 200, _set_alarm_clock(body)
        if place == "statistic-sets" and method == "POST":
            return 200, _add_statistic_set(body)
        if place.startswith("tables/") and method == "GET":
            return 200, _table(place.removeprefix("tables/"), settings)
    except _Refused as refused:
        return refused.status, {"message": str(refused)}
    return 404, {"message": f"{method} {path} is unknown"}


async def _body(receive: Any) -> bytes:
    content = b""
    while True:
        message = await receive()
        content += message.get("body", b"")
        if not message.get("more_body"):
            return content


def controlled(application: Any, settings: Settings) -> Any:
    """The ASGI application, with the paths of this module answered here."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await application(scope, receive, send)
            return
        query = scope.get("query_string", b"").decode("latin-1")
        status, document = _answer(settings, scope["method"], scope["path"], query, await _body(receive))
        content = json.dumps(document).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return wrapped
