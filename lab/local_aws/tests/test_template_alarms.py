"""What the product's own template watches itself by: alarms, who is told, dashboards."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.tests.receiving import Inbox
from local_aws.tests.support import ACCOUNT, REGION, Lab, wait_for
from local_aws.tests.test_template import ROOT, Deploy, create, deploy, statements, template

__all__ = ["deploy", "template"]

Alarm = dict[str, Any]
Metric = tuple[str, frozenset[str]]
# What AWS publishes by these dimensions, in its guides of Lambda, SQS, Step Functions and load balancers.
OF_AWS = {
    "AWS/Lambda": ({"Errors", "Throttles", "Duration"}, {"FunctionName"}),
    "AWS/SQS": ({"ApproximateNumberOfMessagesVisible"}, {"QueueName"}),
    "AWS/States": (
        {"ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsAborted", "ExecutionThrottled"},
        {"StateMachineArn"},
    ),
    "AWS/ApplicationELB": (
        {"RequestCount", "HTTPCode_Target_5XX_Count", "TargetResponseTime"},
        {"LoadBalancer", "TargetGroup"},
    ),
}


def written() -> set[Metric]:
    """What the code writes: the page that is generated from it."""
    rows = re.findall(
        r"^\| `(\w+)` \| \w+ \| (.+?) \|", (ROOT / "docs/metrics.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    return {(name, frozenset(re.findall(r"`(\w+)`", part))) for name, sets in rows for part in sets.split("; and ")}


def check(namespace: str, name: str, dimensions: set[str]) -> None:
    if namespace == "Glidepath":
        assert (name, frozenset(dimensions)) in written(), (name, dimensions)
    else:
        names, known = OF_AWS[namespace]
        assert name in names and dimensions == known, (namespace, name, dimensions)


def alarms(lab: Lab, resources: dict[str, str]) -> dict[str, Alarm]:
    """The stack's alarms by logical id."""
    # Other tests leave more than a page of them.
    pages = lab.client("cloudwatch").get_paginator("describe_alarms").paginate()
    by_name = {alarm["AlarmName"]: alarm for page in pages for alarm in page["MetricAlarms"]}
    return {logical: by_name[name] for logical, name in resources.items() if name in by_name}


def metrics(alarm: Alarm) -> list[tuple[str, str, dict[str, str]]]:
    single = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query] or [alarm]
    return [
        (metric["Namespace"], metric["MetricName"], {d["Name"]: d["Value"] for d in metric["Dimensions"]})
        for metric in single
    ]


def test_every_alarm_is_on_a_metric_that_somebody_writes(lab: Lab, deploy: Deploy, unique: str) -> None:
    found = alarms(lab, deploy())
    assert len(written()) == 16 and len(found) == 11
    runbook = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    for logical, alarm in found.items():
        for namespace, name, dimensions in metrics(alarm):
            check(namespace, name, set(dimensions))
            assert dimensions.get("Stack", unique) == unique
        assert f"| `{logical}` |" in runbook, f"{logical} is not in the runbook"
        assert "docs/runbook.md" in alarm["AlarmDescription"]
    breaching = {logical for logical, alarm in found.items() if alarm["TreatMissingData"] == "breaching"}
    assert breaching == {"SweepsMissing"}, "what is missing is ill here only"
    assert not any(alarm["AlarmActions"] or alarm["OKActions"] for alarm in found.values())


def test_the_stack_s_own_alarms_start_no_rollback_and_all_others_do(lab: Lab, deploy: Deploy, unique: str) -> None:
    resources = deploy()
    own = {alarm["AlarmName"] for alarm in alarms(lab, resources).values()}
    events = lab.client("events")
    pattern = events.describe_rule(Name=resources["RollbackFunctionAlarm"])["EventPattern"]
    [left_out] = json.loads(pattern)["detail"]["alarmName"]
    assert set(left_out["anything-but"]) == own

    def matches(name: str) -> bool:
        event = {
            "id": "1", "account": ACCOUNT, "region": REGION, "time": "2026-11-21T06:23:32Z", "resources": [],
            "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change",
            "detail": {"alarmName": name, "state": {"value": "ALARM"}},
        }  # fmt: skip
        return bool(events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"])

    assert not any(matches(name) for name in own)
    assert matches(f"{unique}-of-a-service") and matches("SweepsMissing")


def test_whoever_is_named_is_told(lab: Lab, deploy: Deploy, unique: str) -> None:
    sns = lab.client("sns")
    topic = sns.create_topic(Name=unique)["TopicArn"]
    resources = deploy(OperationsTopic=topic, AlertEmail="night@example.com")
    told = {topic, resources["Alerts"]}
    for alarm in alarms(lab, resources).values():
        assert set(alarm["AlarmActions"]) == told == set(alarm["OKActions"])
    subscribed = sns.list_subscriptions_by_topic(TopicArn=resources["Alerts"])["Subscriptions"]
    assert [(one["Protocol"], one["Endpoint"]) for one in subscribed] == [("email", "night@example.com")]
    policy = json.loads(sns.get_topic_attributes(TopicArn=resources["Alerts"])["Attributes"]["Policy"])
    [statement] = policy["Statement"]
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    for function in ("PlanFunction", "NotifyFunction"):
        settings = lab.client("lambda").get_function_configuration(FunctionName=resources[function])
        assert settings["Environment"]["Variables"]["GLIDEPATH_ALERT_TOPIC"] == resources["Alerts"]
    [publish] = [one for one in statements(lab, resources, "notify") if one["Action"] == ["sns:Publish"]]
    assert resources["Alerts"] in publish["Resource"] and len(publish["Resource"]) == 2
    [stack] = lab.client("cloudformation").describe_stacks(StackName=unique)["Stacks"]
    assert {"OutputKey": "AlertTopicArn", "OutputValue": resources["Alerts"]}.items() <= {
        key: value for output in stack["Outputs"] if output["OutputKey"] == "AlertTopicArn" for key, value in output.items()
    }.items()


@pytest.mark.parametrize(
    ("parameter", "value", "said"),
    [
        ("OperationsTopic", "operations", "ARN of a standard SNS topic"),
        ("AlertEmail", "night", "one e-mail address"),
        ("AlertEmail", "a@example.com, b@example.com", "one e-mail address"),
    ],
)
def test_nobody_is_told_by_mistake(
    lab: Lab, template: str, unique: str, parameter: str, value: str, said: str
) -> None:
    with pytest.raises(ClientError) as refused:
        create(lab, template, unique, {parameter: value})
    assert said in refused.value.response["Error"]["Message"]


def test_a_topic_that_starts_rollbacks_is_not_told_how_they_fare(lab: Lab, template: str, unique: str) -> None:
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:{unique}"
    with pytest.raises(ClientError) as refused:
        create(lab, template, unique, {"OperationsTopic": topic, "AlarmTopic": topic})
    assert "must be another topic than AlarmTopic" in refused.value.response["Error"]["Message"]


def test_alarms_follow_what_the_functions_write(lab: Lab, deploy: Deploy, unique: str) -> None:
    """Lines in the log that the functions write to; then the states, and who was told."""
    sns, inbox = lab.client("sns"), Inbox(lab, unique)
    topic = sns.create_topic(Name=unique)["TopicArn"]
    raw = {"RawMessageDelivery": "true"}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=inbox.arn, Attributes=raw)
    resources = deploy(OperationsTopic=topic)
    logs, cloudwatch = lab.client("logs"), lab.client("cloudwatch")
    logs.create_log_stream(logGroupName=resources["FunctionLogs"], logStreamName="lines")

    def write(at: float, **values: float) -> None:
        definitions = [{"Name": name} for name in values]
        directive = {"Namespace": "Glidepath", "Dimensions": [["Stack"]], "Metrics": definitions}
        document = {"_aws": {"Timestamp": int(at * 1000), "CloudWatchMetrics": [directive]}, "Stack": unique, **values}
        event = {"timestamp": int(time.time() * 1000), "message": json.dumps(document)}
        logs.put_log_events(logGroupName=resources["FunctionLogs"], logStreamName="lines", logEvents=[event])

    def state(logical: str) -> str:
        [alarm] = cloudwatch.describe_alarms(AlarmNames=[resources[logical]])["MetricAlarms"]
        return str(alarm["StateValue"])

    # Nothing has ever swept; of everything else nothing is known, which is no illness.
    wait_for(lambda: state("SweepsMissing") == "ALARM", what="an alarm of no sweep")
    own = ("WorkOverdue", "NoticesUndelivered", "RollbackSlow", "FailuresUnexpected", "FailuresLasting")
    quiet = (*own, "ExecutionsThrottled", "ExecutionsAborted", "RollbackErrors", "RollbackThrottled")

    def states(of: tuple[str, ...]) -> set[str]:
        return {state(logical) for logical in of}

    wait_for(lambda: states(quiet) == {"OK"}, what="quiet")
    now = time.time()
    for minutes in range(1, 16):
        # Ages that are ill once are not: a sweep that comes late finds them.
        ill = minutes == 4
        write(now - 60 * minutes, Sweeps=1, OverdueWork=2000 * ill, UndeliveredNotices=2000 * ill, AlarmToRoute=2)
        if minutes < 5:
            write(now - 60 * minutes, TransientFailures=1)
    wait_for(lambda: state("SweepsMissing") == "OK", what="sweeps that are seen")
    time.sleep(1.5)
    assert states(quiet) == {"OK"}
    for minutes in range(1, 8):
        write(now - 60 * minutes, OverdueWork=901, UndeliveredNotices=901, TransientFailures=1)
    write(now - 130, UnexpectedFailures=1, AlarmToRoute=61)
    wait_for(lambda: states(own) == {"ALARM"}, what="alarms of everything that was written")
    assert states(quiet[len(own) :]) == {"OK"}

    def told() -> bool:
        fired = {message["AlarmName"] for message in inbox.poll() if message["NewStateValue"] == "ALARM"}
        return fired == {resources[logical] for logical in (*own, "SweepsMissing")}

    wait_for(told, what="messages of all of them")


def widgets(lab: Lab, dashboard: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(lab.client("cloudwatch").get_dashboard(DashboardName=dashboard)["DashboardBody"])
    return body


@pytest.mark.parametrize("page", ["disabled", "enabled"])
def test_dashboards_show_what_is_there(lab: Lab, deploy: Deploy, unique: str, page: str) -> None:
    resources = deploy(PublicPage=page)
    names = {resources["StackDashboard"], resources["ServiceDashboard"]}
    # The account's, of no Region.
    assert names == {f"{unique}-{REGION}", f"{unique}-{REGION}-services"}
    shown = set()
    for dashboard in names:
        body = widgets(lab, dashboard)
        places = [(w["x"], w["y"], w["width"], w["height"]) for w in body["widgets"]]
        cells = [(x, y) for left, top, width, height in places for x in range(left, left + width) for y in range(top, top + height)]
        assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24, "nothing lies on anything else"
        for widget in body["widgets"]:
            assert widget["type"] in {"metric", "alarm", "log"}
            for metric in widget["properties"].get("metrics", []):
                if isinstance(metric[0], dict):
                    schema, query = re.findall(r"^SEARCH\('\{(.+?)\} (.+)', '\w+', 60\)$", metric[0]["expression"])[0]
                    namespace, *dimensions = schema.split(",")
                    measured = re.findall(r'MetricName="(\w+)"', query)[0]
                else:
                    namespace, measured, *rest = [part for part in metric if isinstance(part, str)]
                    dimensions = rest[::2]
                    assert dict(zip(rest[::2], rest[1::2], strict=True)).get("Stack", unique) == unique
                check(namespace, measured, set(dimensions))
                shown.add(measured)
    assert {metric for metric, _ in written()} <= shown, "every metric is on one of them"
    functions = {resources[logical] for logical in resources if logical.endswith("Function")}
    for measured in ("Errors", "Duration", "Throttles"):
        [metrics] = [
            w["properties"]["metrics"]
            for w in widgets(lab, f"{unique}-{REGION}")["widgets"]
            if any(measured in metric for metric in w["properties"].get("metrics", []))
        ]
        assert {metric[3] for metric in metrics} == functions, "every function is there, and only what is"
    [told] = [w["properties"]["alarms"] for w in widgets(lab, f"{unique}-{REGION}")["widgets"] if w["type"] == "alarm"]
    assert set(told) == {alarm["AlarmArn"] for alarm in alarms(lab, resources).values()}


def test_one_dashboard_serves_every_service(lab: Lab, deploy: Deploy) -> None:
    body = widgets(lab, deploy()["ServiceDashboard"])
    written_out = json.dumps(body["widgets"])
    for variable in body["variables"]:
        assert re.fullmatch(r"[0-9A-Za-z_-]{1,32}", variable["id"]) and len(variable["label"]) <= 30
        assert variable["inputType"] == "select" and variable["populateFrom"] in variable["search"]
        if variable["type"] == "property":
            assert f'"{variable["property"]}"' in written_out
        else:
            assert variable["pattern"] in written_out
    assert {variable["id"] for variable in body["variables"]} == {"service", "blue", "green"}
