"""Composite and log alarms, and what DescribeAlarms answers of each kind."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.tests.balancing import Balancer, FakeTarget, fixed, forward, serving
from local_aws.tests.receiving import Inbox
from local_aws.tests.support import ACCOUNT, REGION, Lab, wait_for
from local_aws.tests.test_alarms import put_alarm, set_state, state

KINDS = {"MetricAlarm": "MetricAlarms", "CompositeAlarm": "CompositeAlarms", "LogAlarm": "LogAlarms"}


def described(lab: Lab, *types: str, **filters: Any) -> dict[str, list[str]]:
    """The names of the alarms of each kind."""
    more = {"AlarmTypes": list(types)} if types else {}
    answer = lab.client("cloudwatch").describe_alarms(**filters, **more)
    return {kind: [alarm["AlarmName"] for alarm in answer[name]] for kind, name in KINDS.items() if answer[name]}


def composite(lab: Lab, name: str) -> dict[str, Any]:
    cloudwatch = lab.client("cloudwatch")
    found: dict[str, Any] = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])[
        "CompositeAlarms"
    ][0]
    return found


def put_log_alarm(lab: Lab, name: str, **more: Any) -> str:
    settings: dict[str, Any] = {
        "ScheduledQueryConfiguration": {
            "QueryString": "fields @message | filter @message like /ERROR/",
            "LogGroupIdentifiers": ["/ecs/app"],
            "ScheduledQueryRoleARN": f"arn:aws:iam::{ACCOUNT}:role/query",
            "ScheduleConfiguration": {"ScheduleExpression": "rate(5 minutes)", "StartTimeOffset": 300},
            "AggregationExpression": "count(*)",
        },
        "QueryResultsToEvaluate": 5,
        "QueryResultsToAlarm": 3,
        "Threshold": 100.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    lab.client("cloudwatch").put_log_alarm(AlarmName=name, **{**settings, **more})
    return f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"


@pytest.mark.parametrize(
    ("rule", "alarming", "expected"),
    [
        ("AT_LEAST(2, ALARM, ({0}, {1}, {2}))", (0,), "OK"),
        ("AT_LEAST(2, ALARM, ({0}, {1}, {2}))", (0, 2), "ALARM"),
        ("AT_LEAST(50%, NOT ALARM, ({0}, {1}, {2}))", (0,), "ALARM"),
        ("AT_LEAST(50%, NOT ALARM, ({0}, {1}, {2}))", (0, 1), "OK"),
        ("AT_LEAST(1, ALARM, ({0}, {1})) AND NOT ALARM({2})", (0,), "ALARM"),
        ("AT_LEAST(1, ALARM, ({0}, {1})) AND NOT ALARM({2})", (0, 2), "OK"),
        ("INSUFFICIENT_DATA({0}) OR (ALARM({1}) AND ALARM({2}))", (0,), "OK"),
        ("INSUFFICIENT_DATA({0}) OR (ALARM({1}) AND ALARM({2}))", (), "ALARM"),
        ("TRUE AND ALARM({1})", (1,), "ALARM"),
    ],
)
def test_the_rules_of_composite_alarms(
    lab: Lab, unique: str, rule: str, alarming: tuple[int, ...], expected: str
) -> None:
    """The table and the examples of AWS's page on combining alarms."""
    children = [f"{unique}-{number}" for number in range(3)]
    for name in children:
        put_alarm(lab, name)
    for number in alarming:
        set_state(lab, children[number], "ALARM")
    lab.client("cloudwatch").put_composite_alarm(AlarmName=unique, AlarmRule=rule.format(*children))
    assert composite(lab, unique)["StateValue"] == expected


def test_children_are_named_by_arn_and_with_quotation_marks(lab: Lab, unique: str) -> None:
    odd = f'{unique} (the "odd" one), really'
    arn = put_alarm(lab, unique)
    put_alarm(lab, odd)
    escaped = odd.replace('"', '\\"')
    rule = f'ALARM("{escaped}") AND ALARM({arn})'
    lab.client("cloudwatch").put_composite_alarm(AlarmName=f"{unique}-c", AlarmRule=rule)
    for name in (odd, unique):
        set_state(lab, name, "ALARM")
    assert composite(lab, f"{unique}-c")["StateValue"] == "ALARM"


def test_the_event_of_a_composite_alarm(lab: Lab, unique: str) -> None:
    inbox = Inbox(lab, unique)
    events, cloudwatch = lab.client("events"), lab.client("cloudwatch")
    child = put_alarm(lab, f"{unique}-child")
    arn = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{unique}"
    events.put_rule(Name=unique, EventPattern=json.dumps({"resources": [arn]}))
    events.put_targets(Rule=unique, Targets=[{"Id": "queue", "Arn": inbox.arn}])
    rule = f"ALARM({unique}-child)"
    cloudwatch.put_composite_alarm(AlarmName=unique, AlarmRule=rule, AlarmDescription="all of it")
    set_state(lab, f"{unique}-child", "ALARM")
    created, alarmed = (event["detail"] for event in inbox.wait_for(2))
    assert created["state"]["reason"] == f"{arn} was created and its alarm rule evaluates to OK"
    assert json.loads(created["state"]["reasonData"])["triggeringAlarms"][0]["arn"] == child
    assert alarmed["configuration"] == {"description": "all of it", "alarmRule": rule}
    assert (alarmed["previousState"]["value"], alarmed["state"]["value"]) == ("OK", "ALARM")
    assert alarmed["state"]["reason"].startswith(f"{child} transitioned to ALARM at ")


def test_each_kind_is_described_only_when_it_is_asked_for(lab: Lab, unique: str) -> None:
    """The model's text of AlarmTypes: without it "only metric alarms are returned"."""
    metric, both, log = f"{unique}-metric", f"{unique}-both", f"{unique}-log"
    put_alarm(lab, metric)
    lab.client("cloudwatch").put_composite_alarm(AlarmName=both, AlarmRule=f"ALARM({metric})")
    put_log_alarm(lab, log)
    prefix = {"AlarmNamePrefix": unique}
    assert described(lab, **prefix) == {"MetricAlarm": [metric]}
    assert described(lab, "LogAlarm", **prefix) == {"LogAlarm": [log]}
    assert described(lab, "CompositeAlarm", **prefix) == {"CompositeAlarm": [both]}
    every = {"MetricAlarm": [metric], "CompositeAlarm": [both], "LogAlarm": [log]}
    assert described(lab, *KINDS, **prefix) == every
    assert described(lab, *KINDS, AlarmNames=[metric, log]) == {"MetricAlarm": [metric], "LogAlarm": [log]}
    assert described(lab, *KINDS, StateValue="OK", **prefix) == {"CompositeAlarm": [both]}


def test_relatives_are_described_with_little_more_than_their_names(lab: Lab, unique: str) -> None:
    cloudwatch = lab.client("cloudwatch")
    child = put_alarm(lab, f"{unique}-child")
    cloudwatch.put_composite_alarm(AlarmName=unique, AlarmRule=f"ALARM({unique}-child)")
    (found,) = cloudwatch.describe_alarms(ChildrenOfAlarmName=unique)["MetricAlarms"]
    assert set(found) == {"AlarmName", "AlarmArn", "StateValue", "StateUpdatedTimestamp"}
    assert found["AlarmArn"] == child
    (parent,) = cloudwatch.describe_alarms(ParentsOfAlarmName=f"{unique}-child")["CompositeAlarms"]
    assert parent == {"AlarmName": unique, "AlarmArn": child.removesuffix("-child")}
    with pytest.raises(ClientError) as error:
        cloudwatch.describe_alarms(ChildrenOfAlarmName=unique, StateValue="OK")
    assert error.value.response["Error"]["Code"] == "ValidationError"


def test_a_log_alarm_lives_as_other_alarms_do(lab: Lab, unique: str) -> None:
    cloudwatch, events, inbox = lab.client("cloudwatch"), lab.client("events"), Inbox(lab, unique)
    arn = put_log_alarm(lab, unique, AlarmDescription="errors")
    pattern = {"detail-type": ["CloudWatch Alarm State Change"], "resources": [arn]}
    events.put_rule(Name=unique, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=unique, Targets=[{"Id": "queue", "Arn": inbox.arn}])

    def found() -> list[dict[str, Any]]:
        alarms: list[dict[str, Any]] = cloudwatch.describe_alarms(AlarmNames=[unique], AlarmTypes=["LogAlarm"])[
            "LogAlarms"
        ]
        return alarms

    (alarm,) = found()
    assert (alarm["AlarmArn"], alarm["StateValue"], alarm["TreatMissingData"]) == (arn, "INSUFFICIENT_DATA", "missing")
    assert alarm["ScheduledQueryConfiguration"]["QueryARN"].startswith("arn:aws:logs:")
    set_state(lab, unique, "ALARM")
    detail = inbox.wait_for()[0]["detail"]
    assert (detail["alarmName"], detail["state"]["value"]) == (unique, "ALARM")
    configuration = detail["configuration"]
    assert configuration["queryString"].startswith("fields @message")
    assert configuration["schedule"] == {"expression": "rate(5 minutes)", "startTimeOffset": 300, "endTimeOffset": 0}
    assert (configuration["queryResultsToAlarm"], configuration["description"]) == (3, "errors")
    assert "metrics" not in configuration
    put_log_alarm(lab, unique, Threshold=7.0)
    assert (found()[0]["StateValue"], found()[0]["Threshold"]) == ("ALARM", 7.0)
    cloudwatch.disable_alarm_actions(AlarmNames=[unique])
    assert found()[0]["ActionsEnabled"] is False
    cloudwatch.delete_alarms(AlarmNames=[unique])
    assert found() == []


def test_a_log_alarm_that_cannot_be_is_refused(lab: Lab, unique: str) -> None:
    put_alarm(lab, unique)
    for name, wrong, code in (
        (unique, {}, "ResourceConflict"),
        (f"{unique}-2", {"QueryResultsToAlarm": 6}, "ValidationError"),
        (f"{unique}-2", {"TreatMissingData": "good"}, "ValidationError"),
    ):
        with pytest.raises(ClientError) as error:
            put_log_alarm(lab, name, **wrong)
        assert error.value.response["Error"]["Code"] == code


def test_an_alarm_on_hosts_whose_missing_data_breaches(lab: Lab, unique: str) -> None:
    """A group without targets reports no hosts at all: only such an alarm sees that they are gone."""
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.listen([fixed(404)])
    balancer.elb.modify_listener(ListenerArn=balancer.listener, DefaultActions=[forward((group, 1))])
    dimensions = [
        {"Name": "LoadBalancer", "Value": balancer.arn.partition(":loadbalancer/")[2]},
        {"Name": "TargetGroup", "Value": group.rpartition(":")[2]},
    ]
    put_alarm(
        lab,
        unique,
        Namespace="AWS/ApplicationELB",
        MetricName="HealthyHostCount",
        Dimensions=dimensions,
        Statistic="Minimum",
        Threshold=1.0,
        ComparisonOperator="LessThanThreshold",
        EvaluationPeriods=3,
        TreatMissingData="breaching",
    )
    wait_for(lambda: state(lab, unique) == "ALARM")
    with serving(FakeTarget("one")) as target:
        balancer.register(group, target)
        wait_for(lambda: state(lab, unique) == "OK")
        balancer.elb.deregister_targets(TargetGroupArn=group, Targets=[target.registration()])
        wait_for(lambda: state(lab, unique) == "ALARM")
