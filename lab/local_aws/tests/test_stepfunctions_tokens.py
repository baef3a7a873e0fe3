"""State machines that wait for a task token: answers, failures, heartbeats, lateness, retries."""

from __future__ import annotations

import json
import time
from typing import Any

from local_aws.tests.machines import INVOKE_AND_WAIT, Machines, State, passing
from local_aws.tests.support import wait_for

TOKEN = {"token": "{% $states.context.Task.Token %}"}


def gate(machines: Machines, payload: Any = None, **fields: Any) -> State:
    """A state that gives its token to the probe function and waits."""
    return machines.task(payload or TOKEN, resource=INVOKE_AND_WAIT, **fields)


def test_success(machines: Machines, unique: str) -> None:
    execution = machines.start(unique, {"Gate": gate(machines, Output="{% $states.result %}")})
    (token,) = machines.tokens(execution)
    machines.client.send_task_success(taskToken=token, output='{"approved":true}')
    ended = machines.ended(execution)
    assert ended.output == {"approved": True}
    # As long as on AWS, and with characters that must be escaped in a URL.
    assert len(token) > 600 and set(token) & set("+/=")
    assert "TaskSubmitted" in ended.types() and "TaskSucceeded" in ended.types()


def test_failure_is_caught_by_its_name(machines: Machines, unique: str) -> None:
    catch = [{"ErrorEquals": ["Glidepath.RolledBack"], "Output": "{% $states.errorOutput %}", "Next": "End"}]
    execution = machines.start(unique, {"Gate": gate(machines, Catch=catch), "End": passing("{% $states.input %}")})
    machines.client.send_task_failure(
        taskToken=machines.tokens(execution)[0], error="Glidepath.RolledBack", cause="alarm"
    )
    assert machines.ended(execution).output == {"Error": "Glidepath.RolledBack", "Cause": "alarm"}


def test_only_the_first_answer_counts(machines: Machines, unique: str) -> None:
    execution = machines.start(
        unique, {"Gate": gate(machines, Next="Wait"), "Wait": {"Type": "Wait", "Seconds": 30, "End": True}}
    )
    (token,) = machines.tokens(execution)
    machines.client.send_task_success(taskToken=token, output="1")
    assert machines.refused(machines.client.send_task_success, taskToken=token, output="2") == "TaskTimedOut"
    assert machines.refused(machines.client.send_task_failure, taskToken=token) == "TaskTimedOut"
    assert machines.refused(machines.client.send_task_heartbeat, taskToken=token) == "TaskTimedOut"
    machines.client.stop_execution(executionArn=execution)


def test_an_answer_after_the_timeout_is_late(machines: Machines, unique: str) -> None:
    catch = [{"ErrorEquals": ["States.Timeout"], "Next": "End"}]
    execution = machines.start(unique, {"Gate": gate(machines, TimeoutSeconds=1, Catch=catch), "End": passing(1)})
    (token,) = machines.tokens(execution)
    assert machines.ended(execution).output == 1
    assert machines.refused(machines.client.send_task_success, taskToken=token, output="{}") == "TaskTimedOut"


def test_unknown_token_and_broken_output(machines: Machines) -> None:
    assert machines.refused(machines.client.send_task_success, taskToken="AQC-unknown", output="{}") == "InvalidToken"
    assert machines.refused(machines.client.send_task_success, taskToken="AQC-unknown", output="{") == "InvalidOutput"


def test_the_functions_error_fails_the_state(machines: Machines, unique: str) -> None:
    """With the error type as its name, and without waiting for a token that nobody has."""
    catch = [{"ErrorEquals": ["Gate.Closed"], "Output": "{% $states.errorOutput.Error %}", "Next": "End"}]
    states = {
        "Gate": gate(machines, {"do": "error", "type": "Gate.Closed"}, TimeoutSeconds=60, Catch=catch),
        "End": passing("{% $states.input %}"),
    }
    ended = machines.run(unique, states)
    assert ended.output == "Gate.Closed"


def test_every_retry_has_a_token_of_its_own(machines: Machines, unique: str) -> None:
    retry = [{"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    execution = machines.start(unique, {"Gate": gate(machines, Retry=retry, Output="{% $states.result %}")})
    (first,) = machines.tokens(execution)
    machines.client.send_task_failure(taskToken=first, error="Again")
    old, second = machines.tokens(execution, attempts=2)
    assert old == first != second
    assert machines.refused(machines.client.send_task_success, taskToken=first, output="1") == "TaskTimedOut"
    machines.client.send_task_success(taskToken=second, output="2")
    assert machines.ended(execution).output == 2


def test_heartbeats_keep_a_task_alive(machines: Machines, unique: str) -> None:
    execution = machines.start(
        unique, {"Gate": gate(machines, HeartbeatSeconds=6, TimeoutSeconds=3000, Output="{% $states.result %}")}
    )
    (token,) = machines.tokens(execution)
    until = time.monotonic() + 7
    while time.monotonic() < until:
        machines.client.send_task_heartbeat(taskToken=token)
        time.sleep(0.2)
    machines.client.send_task_success(taskToken=token, output="1")
    assert machines.ended(execution).output == 1


def test_a_missing_heartbeat_is_a_timeout(machines: Machines, unique: str) -> None:
    """AWS's documentation names both States.Timeout and States.HeartbeatTimeout for this; the lab raises the
    former, as LocalStack found it on AWS. Catch both names."""
    states = {"Gate": gate(machines, HeartbeatSeconds="{% $states.input.h %}", TimeoutSeconds=3000)}
    ended = machines.run(unique, states, {"h": 1})
    assert (ended.status, ended.error[0]) == ("FAILED", "States.Timeout")


def test_tokens_stay_out_of_the_journal(machines: Machines, unique: str) -> None:
    execution = machines.start(unique, {"Gate": gate(machines)})
    (token,) = machines.tokens(execution)
    machines.client.send_task_success(taskToken=token, output=json.dumps({"hidden": token}))
    machines.ended(execution)
    written = machines.lab.journal.read_text()
    assert token not in written and token[:50] not in written
    assert any(
        line["action"] == "SendTaskSuccess" for line in machines.lab.journal_lines(kind="call", service="states")
    )
