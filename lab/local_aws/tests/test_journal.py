"""The journal of API calls: who called what, how it ended, and nothing secret; and interceptors."""

from __future__ import annotations

import asyncio
import json

import pytest

from local_aws import journal
from local_aws.calls import Answer, Call, _nested
from local_aws.tests.functions import allow, create_function, invoke
from local_aws.tests.support import Lab


def test_calls_of_every_protocol(lab: Lab, unique: str) -> None:
    """Query (with its lists), JSON, REST and CBOR."""
    with pytest.raises(lab.client("elbv2").exceptions.ClientError):
        lab.client("elbv2").describe_target_groups(Names=["none", unique])
    lab.client("sqs").create_queue(QueueName=unique, Attributes={"VisibilityTimeout": "7"})
    lab.client("s3").create_bucket(Bucket=unique, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    lab.client("cloudwatch").put_metric_data(Namespace=unique, MetricData=[{"MetricName": "m", "Value": 1}])

    (query,) = [
        line
        for line in lab.journal_lines(kind="call", action="DescribeTargetGroups")
        if unique in line["request"].get("Names", [])
    ]
    assert (query["service"], query["principal"], query["request"]) == (
        "elasticloadbalancing",
        "root",
        {"Names": ["none", unique]},
    )
    assert query["error"] == "TargetGroupNotFound"
    assert query["millis"] >= 0 and query["time"] > 1_700_000_000
    (queue,) = [
        line for line in lab.journal_lines(kind="call", action="CreateQueue") if line["request"]["QueueName"] == unique
    ]
    assert (queue["request"]["Attributes"], queue["error"]) == ({"VisibilityTimeout": "7"}, None)
    (bucket,) = [
        line
        for line in lab.journal_lines(kind="call", action="CreateBucket")
        if line["request"]["path"] == f"/{unique}"
    ]
    assert bucket["service"] == "s3"
    (metric,) = [
        line
        for line in lab.journal_lines(kind="call", action="PutMetricData")
        if line["request"]["Namespace"] == unique
    ]
    assert metric["request"]["MetricData"][0]["MetricName"] == "m"


def test_calls_of_a_function_have_its_role(lab: Lab, unique: str) -> None:
    create_function(lab, unique, allow("sns:ListTopics"))
    invoke(lab, unique, {"do": "call", "service": "sns", "operation": "list_topics"})
    (call,) = lab.journal_lines(kind="call", service="sns", action="ListTopics", principal=unique)
    assert call["error"] is None


def test_secrets_are_redacted(lab: Lab, unique: str) -> None:
    secrets = lab.client("secretsmanager")
    secrets.create_secret(Name=unique, SecretString="hook-url-of-" + unique)
    assert secrets.get_secret_value(SecretId=unique)["SecretString"] == "hook-url-of-" + unique
    assert "hook-url-of-" + unique not in lab.journal.read_text()
    (created,) = [
        line for line in lab.journal_lines(kind="call", action="CreateSecret") if line["request"]["Name"] == unique
    ]
    assert created["request"]["SecretString"] == journal.REDACTED


def test_redaction_by_name_and_by_look() -> None:
    hidden = journal.redact(
        {"taskToken": "x", "a": [{"Password": "y"}], "nextToken": "kept", "clientToken": "kept", "empty_secret": ""}
    )
    assert hidden == {
        "taskToken": journal.REDACTED,
        "a": [{"Password": journal.REDACTED}],
        "nextToken": "kept",
        "clientToken": "kept",
        "empty_secret": "",
    }
    assert journal.TASK_TOKEN.sub("", "before AQCLABabc+/9== after") == "before  after"


def test_query_parameters_become_structures() -> None:
    flat = {
        "Actions.member.1.Type": "forward",
        "Actions.member.1.ForwardConfig.TargetGroups.member.2.Weight": "5",
        "RuleArn": "r",
    }
    flat["Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight"] = "95"
    assert _nested(flat) == {
        "Actions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"Weight": "95"}, {"Weight": "5"}]}}],
        "RuleArn": "r",
    }


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("application/x-www-form-urlencoded; charset=utf-8", b"<Code>Throttling</Code>"),
        ("application/x-amz-json-1.0", b'"__type": "Throttling"'),
        ("application/cbor", b"Throttling"),
    ],
)
def test_an_interceptor_can_fail_a_call_in_the_callers_protocol(kind: str, expected: bytes) -> None:
    call = Call("elasticloadbalancing", "ModifyRule", "rollback", {}, {"content-type": kind})

    async def throttle(call: Call) -> Answer:
        return call.failure(400, "Throttling", "Rate exceeded")

    status, _headers, body = asyncio.run(throttle(call))
    assert (status, expected in body) == (400, True)


def test_lines_are_complete_and_in_order(lab: Lab) -> None:
    lines = [json.loads(line) for line in lab.journal.read_text().splitlines()]
    assert all({"time", "kind"} <= set(line) for line in lines)
    assert {"call"} <= {line["kind"] for line in lines}
