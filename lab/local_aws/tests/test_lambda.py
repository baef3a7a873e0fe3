"""Lambda: environment, errors, time limits, concurrency, asynchronous invocation, what calls functions."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local_aws.lambda_functions import AsyncSettings, Attempts
from local_aws.tests.functions import allow, create_function, create_role, function_arn, invoke
from local_aws.tests.support import ACCOUNT, PATIENCE_SECONDS, REGION, Lab, wait_for


class Queue:
    """An SQS queue whose messages are collected as they come."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.client = lab.client("sqs")
        self.url = self.client.create_queue(QueueName=name)["QueueUrl"]
        self.arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        self.messages: list[dict[str, Any]] = []

    def received(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait for that many messages."""

        def enough() -> bool:
            answer = self.client.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            self.messages += answer.get("Messages", [])
            return len(self.messages) >= count

        wait_for(enough, what=f"{count} messages")
        return self.messages


def test_environment_is_the_functions_own(lab: Lab, unique: str) -> None:
    create_function(lab, unique, Environment={"Variables": {"TABLE": "registry"}}, MemorySize=256)
    variables, error = invoke(lab, unique, {"do": "environment"})
    assert error is None
    expected = {
        "TABLE": "registry",
        "AWS_LAMBDA_FUNCTION_NAME": unique,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": lab.endpoint,
        "_HANDLER": "bootstrap",
    }
    assert {name: variables.get(name) for name in expected} == expected
    assert variables["AWS_ACCESS_KEY_ID"].startswith("ASIA") and variables["AWS_SESSION_TOKEN"]
    assert not {"LEAKED_FROM_HOST", "PYTHONPATH", "AUTH", "GATEWAY_PORT", "MINISTACK_REGION"} & set(variables)


def test_error_type_is_kept_and_the_process_survives(lab: Lab, unique: str) -> None:
    create_function(lab, unique)
    process, _ = invoke(lab, unique, {"do": "process"})
    assert invoke(lab, unique, {"do": "error", "type": "Plan.Refused", "message": "why"}) == (
        {"errorType": "Plan.Refused", "errorMessage": "why"},
        "Unhandled",
    )
    assert invoke(lab, unique, {"do": "process"}) == (process, None)


def test_exit_and_kill(lab: Lab, unique: str, tmp_path: Path) -> None:
    create_function(lab, unique)
    answer, error = invoke(lab, unique, {"do": "exit", "code": 3})
    assert (answer["errorType"], error) == ("Runtime.ExitError", "Unhandled")
    begun = tmp_path / "begun"
    with ThreadPoolExecutor() as pool:
        held = pool.submit(invoke, lab, unique, {"do": "hold", "begun": str(begun), "end": str(tmp_path / "end")})
        wait_for(lambda: begun.exists() and begun.read_text())
        os.kill(int(begun.read_text()), signal.SIGKILL)
        answer, error = held.result(timeout=PATIENCE_SECONDS)
    assert (answer["errorType"], error) == ("Runtime.ExitError", "Unhandled")
    assert invoke(lab, unique, {"a": 1}) == ({"a": 1}, None)


def test_time_limit(lab: Lab, unique: str) -> None:
    create_function(lab, unique, Timeout=5)
    answer, error = invoke(lab, unique, {"do": "sleep", "seconds": 60})
    assert (answer["errorType"], error) == ("Sandbox.Timedout", "Unhandled")
    assert "Task timed out after 5.00 seconds" in answer["errorMessage"]
    assert invoke(lab, unique, {"a": 1}) == ({"a": 1}, None)


def test_many_at_once(lab: Lab, unique: str, tmp_path: Path) -> None:
    """Each ends only when all have begun, so none waits for another, however slow the machine is."""
    create_function(lab, unique, Timeout=900)
    end = tmp_path / "end"
    held = [{"do": "hold", "begun": str(tmp_path / f"begun-{number}"), "end": str(end)} for number in range(12)]
    with ThreadPoolExecutor(len(held)) as pool:
        answers = pool.map(lambda event: invoke(lab, unique, event), held)
        try:
            wait_for(lambda: len(list(tmp_path.glob("begun-*"))) == len(held))
        finally:
            end.touch()
        assert list(answers) == [(event, None) for event in held]


def test_reserved_concurrency(lab: Lab, unique: str) -> None:
    create_function(lab, unique)
    client = lab.client("lambda")
    client.put_function_concurrency(FunctionName=unique, ReservedConcurrentExecutions=0)
    with pytest.raises(client.exceptions.TooManyRequestsException) as caught:
        client.invoke(FunctionName=unique)
    assert caught.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    # An asynchronous event waits and is not lost.
    queue = Queue(lab, unique)
    iam = lab.client("iam")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow("sqs:SendMessage", resource=queue.arn)]})
    iam.put_role_policy(RoleName=unique, PolicyName="send", PolicyDocument=policy)
    client.put_function_event_invoke_config(
        FunctionName=unique, MaximumRetryAttempts=0, DestinationConfig={"OnSuccess": {"Destination": queue.arn}}
    )
    client.invoke(FunctionName=unique, InvocationType="Event", Payload=b'{"a":1}')
    client.delete_function_concurrency(FunctionName=unique)
    record = json.loads(queue.received()[0]["Body"])
    assert (record["requestContext"]["condition"], record["responsePayload"]) == ("Success", {"a": 1})


def test_asynchronous_failures(lab: Lab, unique: str) -> None:
    """One retry as configured, then the destination's record and the dead-letter queue's event."""
    failures, letters = Queue(lab, f"{unique}-failures"), Queue(lab, f"{unique}-letters")
    create_function(
        lab,
        unique,
        allow("sqs:SendMessage", resource=[failures.arn, letters.arn]),
        DeadLetterConfig={"TargetArn": letters.arn},
    )
    client = lab.client("lambda")
    client.put_function_event_invoke_config(
        FunctionName=unique, MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": failures.arn}}
    )
    event = {"do": "error", "type": "Bad", "message": "m"}
    accepted = client.invoke(FunctionName=unique, InvocationType="Event", Payload=json.dumps(event).encode())
    assert accepted["StatusCode"] == 202
    record = json.loads(failures.received()[0]["Body"])
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert (record["requestPayload"], record["responsePayload"]) == (event, {"errorType": "Bad", "errorMessage": "m"})
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    letter = letters.received()[0]
    assert json.loads(letter["Body"]) == event
    assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"] == "m"


def test_an_alias_has_settings_of_its_own(lab: Lab, unique: str) -> None:
    """Lambda guide, "Configuring error handling settings for asynchronous invocation": of a function, a version
    or an alias."""
    failures = Queue(lab, f"{unique}-failures")
    create_function(lab, unique, allow("sqs:SendMessage", resource=failures.arn))
    client = lab.client("lambda")
    client.create_alias(FunctionName=unique, Name="once", FunctionVersion="$LATEST")
    destination = {"OnFailure": {"Destination": failures.arn}}
    for settings in ({}, {"Qualifier": "once", "MaximumRetryAttempts": 0}):
        client.put_function_event_invoke_config(FunctionName=unique, DestinationConfig=destination, **settings)
    event = json.dumps({"do": "error", "type": "Bad", "message": "m"}).encode()
    client.invoke(FunctionName=unique, Qualifier="once", InvocationType="Event", Payload=event)
    record = json.loads(failures.received()[0]["Body"])
    assert record["requestContext"]["approximateInvokeCount"] == 1


def test_a_dead_letter_queue_needs_permission(lab: Lab, unique: str) -> None:
    letters = Queue(lab, unique)
    create_function(lab, unique, DeadLetterConfig={"TargetArn": letters.arn})
    client = lab.client("lambda")
    client.put_function_event_invoke_config(FunctionName=unique, MaximumRetryAttempts=0)
    client.invoke(FunctionName=unique, InvocationType="Event", Payload=b'{"do":"error","type":"Bad"}')
    refused = wait_for(lambda: lab.journal_lines(kind="call", service="sqs", action="SendMessage", principal=unique))
    assert refused[0]["error"] == "AccessDeniedException"


def test_retries_and_age_of_events() -> None:
    """The rules alone, because the shortest age is a minute. Deviation: AWS waits one minute before the first
    retry and two before the second; the lab one second and two."""
    attempts = Attempts(AsyncSettings(retries=2, event_age=60, on_success=None, on_failure=None, dead_letters=None))
    error, throttle = {"error": True}, {"error": True, "throttle": True}
    assert [attempts.delay_after(error, 1), attempts.delay_after(error, 2)] == [(1.0, ""), (2.0, "")]
    assert attempts.delay_after(throttle, 3) == (0.2, "")
    assert attempts.delay_after(throttle, 59.9) == (None, "EventAgeExceeded")
    assert attempts.delay_after(error, 4) == (None, "RetriesExhausted")


def test_topic_to_function_and_queue(lab: Lab, unique: str) -> None:
    topics, queue, functions = lab.client("sns"), Queue(lab, unique), lab.client("lambda")
    topic = topics.create_topic(Name=unique)["TopicArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue.arn,
    }
    queue.client.set_queue_attributes(
        QueueUrl=queue.url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}
    )
    create_function(lab, unique, allow("sqs:SendMessage", resource=queue.arn))
    functions.put_function_event_invoke_config(
        FunctionName=unique, DestinationConfig={"OnSuccess": {"Destination": queue.arn}}
    )
    topics.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function_arn(unique))
    topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn)
    # Without permission for the topic, the function is not invoked: only the queue gets the message.
    topics.publish(TopicArn=topic, Message="one")
    assert json.loads(queue.received(1)[0]["Body"])["Message"] == "one"
    functions.add_permission(
        FunctionName=unique,
        StatementId="topic",
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=topic,
    )
    topics.publish(TopicArn=topic, Message="two")
    bodies = [json.loads(message["Body"]) for message in queue.received(3)]
    assert sorted(body["Message"] for body in bodies if "Message" in body) == ["one", "two"]
    (record,) = [body for body in bodies if "requestPayload" in body]
    assert record["requestPayload"]["Records"][0]["Sns"]["Message"] == "two"
    assert record["requestPayload"]["Records"][0]["Sns"]["TopicArn"] == topic


def test_schedule_invokes_with_its_role(lab: Lab, unique: str) -> None:
    """``rate(1 second)`` is the lab's own, so that nobody waits for a minute; AWS takes minutes."""
    create_function(lab, unique)
    schedules = lab.client("scheduler")
    role = create_role(
        lab, f"{unique}-role", allow("lambda:InvokeFunction", resource=function_arn(unique)), service="scheduler"
    )
    powerless = create_role(lab, f"{unique}-none", service="scheduler")
    for name, role_arn in ((f"{unique}-good", role), (f"{unique}-bad", powerless)):
        schedules.create_schedule(
            Name=name,
            ScheduleExpression="rate(1 second)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": function_arn(unique), "RoleArn": role_arn, "Input": '{"sweep":true}'},
        )

    def calls(principal: str) -> list[dict[str, Any]]:
        return lab.journal_lines(kind="call", action="Invoke", principal=principal)

    wait_for(
        lambda: len(calls(f"{unique}-role")) >= 2 and calls(f"{unique}-none"), what="two invocations by the schedule"
    )
    for name in (f"{unique}-good", f"{unique}-bad"):
        schedules.delete_schedule(Name=name)
    assert {line["error"] for line in calls(f"{unique}-role")} == {None}
    assert {line["error"] for line in calls(f"{unique}-none")} == {"AccessDeniedException"}
    assert calls(f"{unique}-role")[0]["request"]["Payload"] == {"sweep": True}


def test_logs(lab: Lab, unique: str) -> None:
    create_function(lab, unique)
    invoke(lab, unique, {"do": "exit", "code": 0})
    logs = lab.client("logs")

    def messages() -> list[str]:
        return [event["message"] for event in logs.filter_log_events(logGroupName=f"/aws/lambda/{unique}")["events"]]

    lines = wait_for(messages, what="log lines")
    assert any(line.startswith("START RequestId") for line in lines) and any(
        line.startswith("REPORT") for line in lines
    )
    assert any("leaving" in line for line in lines)
