"""Events from a rule to its targets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_aws.tests.functions import allow, create_function, create_role
from local_aws.tests.receiving import Inbox, forwarding_function, permit
from local_aws.tests.support import ACCOUNT, REGION, Lab, wait_for


def put_rule(lab: Lab, name: str, pattern: dict[str, Any], *targets: dict[str, Any]) -> str:
    events = lab.client("events")
    arn: str = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": str(n), **target} for n, target in enumerate(targets)])
    return arn


def send(lab: Lab, source: str, detail: dict[str, Any], resources: tuple[str, ...] = ()) -> None:
    entry = {"Source": source, "DetailType": "Probe", "Detail": json.dumps(detail), "Resources": list(resources)}
    assert lab.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ({"status": ["FAILED"]}, {"status": "FAILED"}, {"status": "SUCCEEDED"}),
        ({"status": [{"anything-but": ["OK"]}]}, {"status": "ALARM"}, {"status": "OK"}),
        ({"name": [{"prefix": "glide"}]}, {"name": "glidepath"}, {"name": "other"}),
        ({"error": [{"exists": False}]}, {}, {"error": "x"}),
        ({"count": [{"numeric": [">", 1, "<=", 3]}]}, {"count": 3}, {"count": 4}),
        ({"a": {"b": ["c"]}}, {"a": {"b": "c"}}, {"a": {"b": "d"}}),
    ],
)
def test_patterns_on_details(
    lab: Lab, unique: str, pattern: dict[str, Any], matching: dict[str, Any], other: dict[str, Any]
) -> None:
    inbox = Inbox(lab, unique)
    put_rule(lab, unique, {"source": [unique], "detail": pattern}, {"Arn": inbox.arn})
    send(lab, unique, other)
    send(lab, unique, matching)
    assert [event["detail"] for event in inbox.wait_for()] == [matching]


def test_patterns_on_resources_and_transformed_input(lab: Lab, unique: str) -> None:
    inbox = Inbox(lab, unique)
    transformer = {
        "InputPathsMap": {"name": "$.detail.name", "from": "$.source"},
        "InputTemplate": '{"who": <name>, "from": "<from>"}',
    }
    put_rule(
        lab,
        unique,
        {"source": [unique], "resources": [{"prefix": "arn:mine"}]},
        {"Arn": inbox.arn, "InputTransformer": transformer},
        {"Arn": inbox.arn, "InputPath": "$.detail"},
        {"Arn": inbox.arn, "Input": '"constant"'},
    )
    send(lab, unique, {"name": "x"}, ("arn:other",))
    send(lab, unique, {"name": "y"}, ("arn:mine:1",))
    assert inbox.wait_for(3) == [{"who": "y", "from": unique}, {"name": "y"}, "constant"]


def test_a_function_gets_events_only_with_permission(lab: Lab, unique: str) -> None:
    inbox, dead = Inbox(lab, f"{unique}-in"), Inbox(lab, f"{unique}-dead")
    function = forwarding_function(lab, unique, inbox)
    rule = put_rule(
        lab,
        unique,
        {"source": [unique]},
        {
            "Arn": function,
            "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 60},
            "DeadLetterConfig": {"Arn": dead.arn},
        },
    )
    send(lab, unique, {"number": 1})
    assert dead.wait_for()[0]["detail"] == {"number": 1}
    attributes = dead.messages[0]["MessageAttributes"]
    assert attributes["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert attributes["RULE_ARN"]["StringValue"] == rule
    permit(lab, function, "events.amazonaws.com", rule)
    send(lab, unique, {"number": 2})
    assert [event["detail"]["number"] for event in inbox.wait_for()] == [2]


def test_a_function_that_fails_is_tried_again_and_then_given_up(lab: Lab, unique: str) -> None:
    dead = Inbox(lab, unique)
    function = create_function(lab, unique, allow("sqs:SendMessage"))
    lab.client("lambda").put_function_event_invoke_config(
        FunctionName=unique,
        MaximumRetryAttempts=1,
        MaximumEventAgeInSeconds=60,
        DestinationConfig={"OnFailure": {"Destination": dead.arn}},
    )
    rule = put_rule(lab, unique, {"source": [unique]}, {"Arn": function, "InputPath": "$.detail"})
    permit(lab, function, "events.amazonaws.com", rule)
    send(lab, unique, {"do": "error", "type": "Broken"})
    (record,) = dead.wait_for()
    assert record["requestPayload"] == {"do": "error", "type": "Broken"}
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["responsePayload"]["errorType"] == "Broken"


def test_a_rule_starts_a_state_machine(lab: Lab, unique: str) -> None:
    machines = lab.client("stepfunctions")
    definition = {"QueryLanguage": "JSONata", "StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    machine = machines.create_state_machine(
        name=unique,
        definition=json.dumps(definition),
        roleArn=create_role(lab, unique, service="states"),
    )["stateMachineArn"]
    role = create_role(lab, f"{unique}-e", allow("states:StartExecution"), service="events")
    put_rule(lab, unique, {"source": [unique]}, {"Arn": machine, "RoleArn": role, "InputPath": "$.detail"})
    send(lab, unique, {"from": "rule"})
    execution = wait_for(lambda: machines.list_executions(stateMachineArn=machine)["executions"])[0]
    described = machines.describe_execution(executionArn=execution["executionArn"])
    assert json.loads(described["input"]) == {"from": "rule"}


def test_a_topic_and_a_missing_target(lab: Lab, unique: str) -> None:
    inbox, dead = Inbox(lab, f"{unique}-in"), Inbox(lab, f"{unique}-dead")
    sns = lab.client("sns")
    topic = sns.create_topic(Name=unique)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=inbox.arn, Attributes={"RawMessageDelivery": "true"})
    missing = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{unique}-never"
    put_rule(
        lab,
        unique,
        {"source": [unique]},
        {"Arn": topic},
        {"Arn": missing, "DeadLetterConfig": {"Arn": dead.arn}},
    )
    send(lab, unique, {"number": 1})
    assert inbox.wait_for()[0]["detail"] == {"number": 1}
    dead.wait_for()
    assert dead.messages[0]["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "RESOURCE_NOT_FOUND"


def test_only_aws_itself_puts_events_of_aws(lab: Lab, unique: str) -> None:
    entry = {"Source": "aws.cloudwatch", "DetailType": unique, "Detail": "{}"}
    answer = lab.client("events").put_events(Entries=[entry])
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"


def test_a_schedule_of_seconds_fires(lab: Lab, unique: str) -> None:
    # AWS knows no seconds here; the lab's sweeps would wait for a minute otherwise.
    inbox = Inbox(lab, unique)
    events = lab.client("events")
    events.put_rule(Name=unique, ScheduleExpression="rate(1 second)")
    events.put_targets(Rule=unique, Targets=[{"Id": "queue", "Arn": inbox.arn}])
    fired = inbox.wait_for(2)
    assert fired[0]["detail-type"] == "Scheduled Event"
    events.remove_targets(Rule=unique, Ids=["queue"])
    events.delete_rule(Name=unique)
