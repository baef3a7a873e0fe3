"""Faults on request: every kind of each, for functions and for others, and what they leave behind."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import pytest

from local_aws.tests.functions import allow, create_function, invoke
from local_aws.tests.support import Lab, wait_for


def ask(lab: Lab, method: str, path: str, document: Any = None) -> Any:
    """One request to the lab's own endpoint."""
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(f"{lab.endpoint}/_lab/{path}", data=body, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@pytest.fixture(autouse=True)
def withdrawn(lab: Lab) -> Iterator[None]:
    """Faults would strike other tests too."""
    yield
    ask(lab, "DELETE", "faults")


def fail(lab: Lab, **fields: Any) -> None:
    ask(lab, "POST", "faults", {"faults": [{"name": "probe", "fail": fields}]})


def topic(lab: Lab, name: str) -> dict[str, Any]:
    """What a function has to do to make one call that leaves something behind."""
    return {"do": "call", "service": "sns", "operation": "create_topic", "parameters": {"Name": name}}


def topics(lab: Lab, unique: str) -> list[str]:
    """The topics whose names begin with this, by what follows."""
    names = [entry["TopicArn"].rsplit(":", 1)[1] for entry in lab.client("sns").list_topics()["Topics"]]
    return sorted(name.removeprefix(unique) for name in names if name.startswith(unique))


@pytest.fixture
def function(lab: Lab, unique: str) -> str:
    """A function that may create topics and tries once; warm, so that only what tests do is slow."""
    variables = {"AWS_MAX_ATTEMPTS": "1"}
    create_function(lab, unique, allow("sns:CreateTopic"), Timeout=20, Environment={"Variables": variables})
    invoke(lab, unique, {})
    return unique


@pytest.mark.parametrize(
    ("how", "code"),
    [("throttle", "ThrottlingException"), ("serverError", "InternalError"), ("denied", "AccessDeniedException")],
)
def test_the_second_call_is_refused(lab: Lab, function: str, how: str, code: str) -> None:
    fail(lab, service="sns", action="CreateTopic", principal=function, first=2, how=how)
    answers = [invoke(lab, function, topic(lab, f"{function}-{number}"))[0] for number in (1, 2, 3)]
    assert [answer.get("error") for answer in answers] == [None, code, None]
    assert topics(lab, function) == ["-1", "-3"]
    assert ask(lab, "GET", "faults") == {"faults": {"probe": 1}}
    (line,) = [line for line in lab.journal_lines(kind="fault") if function in line["what"]]
    assert line["what"] == f"sns:CreateTopic by {function}: {how}"


@pytest.mark.parametrize(("how", "left"), [("timeoutBefore", []), ("timeoutAfter", ["-1"])])
def test_no_answer(lab: Lab, function: str, how: str, left: list[str]) -> None:
    """Silence, with the effect or without."""
    fail(lab, action="CreateTopic", principal=function, how=how)
    began = time.monotonic()
    answer, _ = invoke(lab, function, topic(lab, f"{function}-1"))
    # The probe waits longer than the lab is silent; what it gets then is an error.
    assert time.monotonic() - began > 5
    assert answer["error"] == "InternalError"
    assert topics(lab, function) == left


def test_killed_after_the_call(lab: Lab, function: str) -> None:
    process, _ = invoke(lab, function, {"do": "process"})
    fail(lab, action="CreateTopic", principal=function, how="killed")
    answer, error = invoke(lab, function, topic(lab, f"{function}-1"))
    assert (answer["errorType"], error) == ("Runtime.ExitError", "Unhandled")
    assert topics(lab, function) == ["-1"]
    survivor, _ = invoke(lab, function, {"do": "process"})
    assert survivor != process


@pytest.mark.parametrize(("calls", "left"), [(0, []), (1, ["-1"])])
def test_an_invocation_is_killed_after_so_many_calls(lab: Lab, function: str, calls: int, left: list[str]) -> None:
    kill = {"function": function, "invocation": 2, "afterCalls": calls}
    ask(lab, "POST", "faults", {"faults": [{"name": "probe", "kill": kill}]})
    assert invoke(lab, function, {"a": 1}) == ({"a": 1}, None)
    answer, error = invoke(lab, function, topic(lab, f"{function}-1"))
    assert (answer["errorType"], error) == ("Runtime.ExitError", "Unhandled")
    assert topics(lab, function) == left
    assert invoke(lab, function, topic(lab, f"{function}-2"))[1] is None


@pytest.mark.parametrize("again", ["meanwhile", "afterwards"])
def test_an_event_is_delivered_twice(lab: Lab, function: str, again: str) -> None:
    repeat = {"function": function, "invocation": 1, "again": again}
    ask(lab, "POST", "faults", {"faults": [{"name": "probe", "repeat": repeat}]})
    assert invoke(lab, function, topic(lab, f"{function}-1"))[1] is None

    def calls() -> list[dict[str, Any]]:
        return lab.journal_lines(kind="call", action="CreateTopic", principal=function)

    wait_for(lambda: len(calls()) == 2, what="the second delivery")
    first, second = calls()
    assert first["invocation"] and second["invocation"] and first["invocation"] != second["invocation"]
    invoke(lab, function, topic(lab, f"{function}-2"))
    time.sleep(0.8)
    assert len(calls()) == 3


def test_every_time_until_it_is_withdrawn(lab: Lab, unique: str) -> None:
    """A call of a user; other actions and other services go on."""
    client = lab.client("sns")
    fail(lab, action="CreateTopic", principal="root", times=0, how="throttle")
    for _ in range(3):
        with pytest.raises(client.exceptions.ClientError):
            client.create_topic(Name=unique)
    client.list_topics()
    ask(lab, "DELETE", "faults?name=another")
    with pytest.raises(client.exceptions.ClientError):
        client.create_topic(Name=unique)
    ask(lab, "DELETE", "faults?name=probe")
    client.create_topic(Name=unique)


def test_what_services_are_answered(lab: Lab, unique: str) -> None:
    """Each has codes of its own for the same thing."""
    calls = {
        "elbv2": ("DescribeRules", "Throttling", lambda: lab.client("elbv2").describe_rules(RuleArns=["x"])),
        "dynamodb": ("ListTables", "ThrottlingException", lambda: lab.client("dynamodb").list_tables()),
        "cloudwatch": ("ListMetrics", "Throttling", lambda: lab.client("cloudwatch").list_metrics()),
        "lambda": ("Invoke", "TooManyRequestsException", lambda: lab.client("lambda").invoke(FunctionName=unique)),
    }
    for service, (action, code, call) in calls.items():
        fail(lab, action=action, principal="root", how="throttle")
        with pytest.raises(lab.client(service).exceptions.ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == code, service


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"name": "a"}, "faults[0]: exactly one of fail, kill and repeat is needed beside the name"),
        ({"fail": {}}, "faults[0].name: a text is needed, not None"),
        ({"name": "a", "fail": {"action": "A", "how": "slowly"}}, "faults[0].fail.how: one of throttle, "),
        ({"name": "a", "fail": {"action": "A", "how": "denied", "nth": 2}}, "faults[0].fail.nth: unknown; known are "),
        ({"name": "a", "kill": {"function": "f", "invocation": 0}}, "faults[0].kill.invocation: a whole number of "),
        ({"name": "a", "repeat": {"function": "f", "again": ""}}, "faults[0].repeat.again: one of meanwhile, "),
    ],
)
def test_mistakes_are_told(lab: Lab, fault: dict[str, Any], message: str) -> None:
    with pytest.raises(HTTPError) as caught:
        ask(lab, "POST", "faults", {"faults": [fault]})
    assert caught.value.code == 400
    assert json.load(caught.value)["message"].startswith(message)
    assert ask(lab, "GET", "faults") == {"faults": {}}


def test_a_table_can_be_looked_at(lab: Lab, unique: str) -> None:
    client = lab.client("dynamodb")
    client.create_table(
        TableName=unique,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.put_item(TableName=unique, Item={"pk": {"S": "a"}, "n": {"N": "1"}})
    assert ask(lab, "GET", f"tables/{unique}") == {"items": [{"pk": {"S": "a"}, "n": {"N": "1"}}]}
    with pytest.raises(HTTPError) as caught:
        ask(lab, "GET", "tables/none")
    assert caught.value.code == 404
