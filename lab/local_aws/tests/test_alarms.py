"""Alarms: what their data means, what they do, and how they are described."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.alarm_evaluation import Datapoint, evaluate
from local_aws.tests.receiving import Inbox, forwarding_function, permit
from local_aws.tests.support import ACCOUNT, REGION, Lab, wait_for

NAMESPACE = "Lab/Alarms"
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000")


def put_alarm(lab: Lab, name: str, **more: Any) -> str:
    settings: dict[str, Any] = {
        "Namespace": NAMESPACE,
        "MetricName": name,
        "Statistic": "Sum",
        "Period": 1,
        "EvaluationPeriods": 1,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "ignore",
    }
    settings = {key: value for key, value in {**settings, **more}.items() if value is not None}
    lab.client("cloudwatch").put_metric_alarm(AlarmName=name, **settings)
    return f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"


def describe(lab: Lab, name: str) -> dict[str, Any]:
    found: dict[str, Any] = lab.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    return found


def state(lab: Lab, name: str) -> str:
    return str(describe(lab, name)["StateValue"])


def publish(lab: Lab, metric: str, value: float, **more: Any) -> None:
    lab.client("cloudwatch").put_metric_data(
        Namespace=NAMESPACE, MetricData=[{"MetricName": metric, "Value": value, **more}]
    )


def set_state(lab: Lab, name: str, value: str) -> None:
    lab.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue=value, StateReason=f"set to {value}")


# Rows of the tables in AWS's documentation of missing data; oldest first, X breaches, 0 does not.
DOCUMENTED = [
    # data points, M, N, missing, ignore, breaching, notBreaching
    ("0-X-X", 3, 3, "OK", "OK", "ALARM", "OK"),
    ("0----", 3, 3, "OK", "OK", "ALARM", "OK"),
    ("-----", 3, 3, "INSUFFICIENT_DATA", "current", "ALARM", "OK"),
    ("0XX-X", 3, 3, "ALARM", "ALARM", "ALARM", "ALARM"),
    ("--X--", 3, 3, "ALARM", "current", "ALARM", "OK"),
    ("0-X-X", 2, 3, "ALARM", "ALARM", "ALARM", "ALARM"),
    ("00X0X", 2, 3, "ALARM", "ALARM", "ALARM", "ALARM"),
    ("0-X--", 2, 3, "OK", "OK", "ALARM", "OK"),
    ("----0", 2, 3, "OK", "OK", "ALARM", "OK"),
    ("---X-", 2, 3, "ALARM", "current", "ALARM", "OK"),
]


@pytest.mark.parametrize(("shape", "needed", "periods", "missing", "ignore", "breaching", "not_breaching"), DOCUMENTED)
def test_missing_data_is_treated_as_documented(
    shape: str, needed: int, periods: int, missing: str, ignore: str, breaching: str, not_breaching: str
) -> None:
    slots = [
        None if mark == "-" else Datapoint(number, 10.0 if mark == "X" else 0.0)
        for number, mark in enumerate(shape)
    ][::-1]
    for treatment, expected in (
        ("missing", missing),
        ("ignore", ignore),
        ("breaching", breaching),
        ("notBreaching", not_breaching),
    ):
        alarm = {
            "StateValue": "current",
            "EvaluationPeriods": periods,
            "DatapointsToAlarm": needed,
            "TreatMissingData": treatment,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 5.0,
        }
        # AWS's table has OK where a data point in the range is fine and "breaching" fills the rest.
        if (shape, needed, treatment) in {("0-X-X", 3, "breaching"), ("0----", 3, "breaching")}:
            expected = "OK"
        assert evaluate(alarm, slots).state == expected, (shape, treatment)


def test_an_alarm_goes_off_and_recovers_with_its_data(lab: Lab, unique: str) -> None:
    put_alarm(lab, unique, Dimensions=[{"Name": "Slot", "Value": "blue"}])
    publish(lab, unique, 100.0, Dimensions=[{"Name": "Slot", "Value": "green"}])
    assert state(lab, unique) == "INSUFFICIENT_DATA"
    publish(lab, unique, 10.0, Dimensions=[{"Name": "Slot", "Value": "blue"}])
    wait_for(lambda: state(lab, unique) == "ALARM")
    described = describe(lab, unique)
    assert described["StateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [10.0 (")
    assert json.loads(described["StateReasonData"])["recentDatapoints"] == [10.0]
    assert described["StateTransitionedTimestamp"] == described["StateUpdatedTimestamp"]
    publish(lab, unique, 1.0, Dimensions=[{"Name": "Slot", "Value": "blue"}])
    wait_for(lambda: state(lab, unique) == "OK")
    (first, second) = lab.journal_lines(kind="alarm", alarm=unique)
    assert (first["previous"], first["state"]) == ("INSUFFICIENT_DATA", "ALARM")
    assert (second["previous"], second["state"]) == ("ALARM", "OK")


def test_missing_data_can_breach(lab: Lab, unique: str) -> None:
    put_alarm(lab, unique, TreatMissingData="breaching")
    wait_for(lambda: state(lab, unique) == "ALARM")
    assert "was treated as [Breaching]" in describe(lab, unique)["StateReason"]


def test_an_alarm_on_metric_math(lab: Lab, unique: str) -> None:
    def metric(name: str) -> dict[str, Any]:
        return {"Metric": {"Namespace": NAMESPACE, "MetricName": name}, "Period": 1, "Stat": "Sum"}

    metrics = [
        {"Id": "rate", "Expression": "100 * bad / all", "Label": "error rate", "ReturnData": True},
        {"Id": "bad", "MetricStat": metric(unique + "-bad"), "ReturnData": False},
        {"Id": "all", "MetricStat": metric(unique), "ReturnData": False},
    ]
    plain = dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period"))
    put_alarm(lab, unique, Metrics=metrics, **plain)
    assert describe(lab, unique)["Metrics"] == metrics
    now = time.time()
    publish(lab, unique, 50.0, Timestamp=now)
    publish(lab, unique + "-bad", 5.0, Timestamp=now)
    wait_for(lambda: state(lab, unique) == "ALARM")
    assert "[10.0 (" in describe(lab, unique)["StateReason"]


def test_a_state_that_was_set_reaches_everybody_once(lab: Lab, unique: str) -> None:
    inbox = {name: Inbox(lab, f"{unique}-{name}") for name in ("bus", "topic", "function")}
    sns, events = lab.client("sns"), lab.client("events")
    topic = sns.create_topic(Name=unique)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=inbox["topic"].arn, Attributes={"RawMessageDelivery": "true"})
    function = forwarding_function(lab, unique, inbox["function"])
    arn = put_alarm(lab, unique, AlarmDescription="too bad", AlarmActions=[topic, function], OKActions=[topic])
    permit(lab, function, "lambda.alarms.cloudwatch.amazonaws.com", arn)
    pattern = {"source": ["aws.cloudwatch"], "detail-type": ["CloudWatch Alarm State Change"], "resources": [arn]}
    events.put_rule(Name=unique, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=unique, Targets=[{"Id": "queue", "Arn": inbox["bus"].arn}])
    set_state(lab, unique, "ALARM")
    set_state(lab, unique, "ALARM")

    (event,) = inbox["bus"].wait_for()
    assert (event["source"], event["account"], event["region"]) == ("aws.cloudwatch", ACCOUNT, REGION)
    assert event["resources"] == [arn]
    detail = event["detail"]
    metric = {"namespace": NAMESPACE, "name": unique, "dimensions": {}}
    (configured,) = detail["configuration"]["metrics"]
    assert detail["alarmName"] == unique
    assert detail["configuration"]["description"] == "too bad"
    assert configured["metricStat"] == {"metric": metric, "period": 1, "stat": "Sum"}
    assert (detail["previousState"]["value"], detail["state"]["value"]) == ("INSUFFICIENT_DATA", "ALARM")
    assert detail["state"]["reason"] == "set to ALARM"
    assert TIMESTAMP.fullmatch(detail["state"]["timestamp"])

    (message,) = inbox["topic"].wait_for()
    assert (message["NewStateValue"], message["OldStateValue"]) == ("ALARM", "INSUFFICIENT_DATA")
    assert (message["AlarmArn"], message["AWSAccountId"]) == (arn, ACCOUNT)
    assert TIMESTAMP.fullmatch(message["StateChangeTime"])
    assert message["Trigger"]["Statistic"] == "SUM"
    # AWS writes the display name of the region here ("EU (Ireland)").
    assert message["Region"] == REGION

    (payload,) = inbox["function"].wait_for()
    assert set(payload) == {"source", "alarmArn", "accountId", "time", "region", "alarmData"}
    assert payload["alarmArn"] == arn
    assert payload["alarmData"]["state"]["value"] == "ALARM"
    assert payload["alarmData"]["configuration"]["metrics"] == detail["configuration"]["metrics"]

    set_state(lab, unique, "OK")
    assert [m["NewStateValue"] for m in inbox["topic"].wait_for(2)] == ["ALARM", "OK"]
    assert len(inbox["bus"].wait_for(2)) == 2
    assert len(inbox["function"].poll()) == 1


def test_disabled_actions_still_reach_the_event_bus(lab: Lab, unique: str) -> None:
    bus, topic_inbox = Inbox(lab, f"{unique}-bus"), Inbox(lab, f"{unique}-topic")
    sns, events, cloudwatch = lab.client("sns"), lab.client("events"), lab.client("cloudwatch")
    topic = sns.create_topic(Name=unique)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=topic_inbox.arn)
    arn = put_alarm(lab, unique, AlarmActions=[topic])
    events.put_rule(Name=unique, EventPattern=json.dumps({"resources": [{"prefix": arn}]}))
    events.put_targets(Rule=unique, Targets=[{"Id": "queue", "Arn": bus.arn}])
    cloudwatch.disable_alarm_actions(AlarmNames=[unique])
    set_state(lab, unique, "ALARM")
    bus.wait_for()
    assert topic_inbox.poll() == []
    assert describe(lab, unique)["ActionsEnabled"] is False


def test_a_composite_alarm_follows_its_children(lab: Lab, unique: str) -> None:
    cloudwatch = lab.client("cloudwatch")
    first, second = f"{unique}-1", f"{unique}-2"
    for name in (first, second):
        put_alarm(lab, name)
    rule = f'ALARM("{first}") AND NOT (OK({second}) OR INSUFFICIENT_DATA({second}))'
    cloudwatch.put_composite_alarm(AlarmName=unique, AlarmRule=rule)

    def composite() -> dict[str, Any]:
        found: dict[str, Any] = cloudwatch.describe_alarms(AlarmNames=[unique], AlarmTypes=["CompositeAlarm"])[
            "CompositeAlarms"
        ][0]
        return found

    assert composite()["StateValue"] == "OK"
    set_state(lab, first, "ALARM")
    assert composite()["StateValue"] == "OK"
    set_state(lab, second, "ALARM")
    assert composite()["StateValue"] == "ALARM"
    triggering = json.loads(composite()["StateReasonData"])["triggeringAlarms"]
    assert triggering[0]["arn"].endswith(f":alarm:{second}")
    set_state(lab, second, "OK")
    assert composite()["StateValue"] == "OK"
    assert composite()["AlarmRule"] == rule
    with pytest.raises(ClientError) as error:
        cloudwatch.put_composite_alarm(AlarmName=f"{unique}-x", AlarmRule="ALARM(nobody)")
    assert error.value.response["Error"]["Code"] == "ValidationError"


def test_alarms_are_described_by_name_prefix_type_and_state(lab: Lab, unique: str) -> None:
    cloudwatch = lab.client("cloudwatch")
    names = [f"{unique}-{number}" for number in range(3)]
    for name in names:
        put_alarm(lab, name)
    set_state(lab, names[1], "ALARM")
    cloudwatch.put_composite_alarm(AlarmName=f"{unique}-c", AlarmRule=f"ALARM({names[0]})")

    def found(**filters: Any) -> list[str]:
        answer = cloudwatch.describe_alarms(**filters)
        return [alarm["AlarmName"] for kind in ("MetricAlarms", "CompositeAlarms") for alarm in answer[kind]]

    both = ["MetricAlarm", "CompositeAlarm"]
    assert found(AlarmNamePrefix=unique) == names
    assert found(AlarmNamePrefix=unique, AlarmTypes=both) == [*names, f"{unique}-c"]
    assert found(AlarmNames=[names[0], f"{unique}-c"]) == [names[0]]
    assert found(AlarmNamePrefix=unique, StateValue="ALARM") == [names[1]]
    assert found(ChildrenOfAlarmName=f"{unique}-c") == [names[0]]
    page = cloudwatch.describe_alarms(AlarmNamePrefix=unique, MaxRecords=2)
    assert [alarm["AlarmName"] for alarm in page["MetricAlarms"]] == names[:2]
    assert found(AlarmNamePrefix=unique, NextToken=page["NextToken"]) == names[2:]


def test_an_alarm_that_is_written_again_keeps_its_state(lab: Lab, unique: str) -> None:
    put_alarm(lab, unique)
    set_state(lab, unique, "ALARM")
    transitioned = describe(lab, unique)["StateTransitionedTimestamp"]
    put_alarm(lab, unique, Threshold=7.0, DatapointsToAlarm=1)
    described = describe(lab, unique)
    assert (described["StateValue"], described["Threshold"]) == ("ALARM", 7.0)
    assert described["StateTransitionedTimestamp"] == transitioned


@pytest.mark.parametrize(
    "wrong",
    [
        {"ComparisonOperator": "LessThanLowerThreshold"},
        {"DatapointsToAlarm": 2},
        {"Period": 7},
        {"Metrics": [{"Id": "a", "Expression": "1"}]},
    ],
)
def test_an_alarm_that_aws_refuses_is_refused(lab: Lab, unique: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as error:
        put_alarm(lab, unique, **wrong)
    assert error.value.response["Error"]["Code"] == "ValidationError"
