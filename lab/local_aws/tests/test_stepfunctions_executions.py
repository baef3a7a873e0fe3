"""State machines: executions as a whole: their ends, names, redrive, history, events, definitions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_aws.tests.functions import allow, create_role
from local_aws.tests.machines import INVOKE_AND_WAIT, Machines, passing
from local_aws.tests.support import ACCOUNT, REGION, wait_for

# Longer than any test waits for an end: an execution that ends did not wait for it.
LONG_WAIT = {"Type": "Wait", "Seconds": 300, "Next": "After"}


def entered(machines: Machines, execution: str, state: str) -> None:
    """Wait until the state has been entered."""
    wait_for(
        lambda: any(
            event.get("stateEnteredEventDetails", {}).get("name") == state for event in machines.events(execution)
        ),
        what=f"entering {state}",
    )


def invocations(machines: Machines, payload: Any) -> list[dict[str, Any]]:
    """The journal's lines of what machines invoked with this payload: all tests share one journal."""
    lines = machines.lab.journal_lines(kind="call", service="lambda", action="Invoke", principal="all-machines")
    return [line for line in lines if line["request"]["Payload"] == payload]


def test_machine_timeout(machines: Machines, unique: str) -> None:
    execution = machines.start(unique, {"Wait": LONG_WAIT, "After": passing(1)}, TimeoutSeconds=1)
    ended = machines.ended(execution)
    assert (ended.status, ended.error, ended.types()[-1]) == ("TIMED_OUT", (None, None), "ExecutionTimedOut")
    assert ended.seconds() >= 1


@pytest.mark.parametrize("where", ["wait", "token", "function", "retry", "branch"])
def test_stop_is_immediate_and_final(machines: Machines, unique: str, where: str) -> None:
    retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 300}
    sleeping = {"do": "sleep", "seconds": 1, "for": unique}
    first = {
        "wait": LONG_WAIT,
        "token": machines.task({"a": 1}, resource=INVOKE_AND_WAIT, Next="After"),
        "function": machines.task(sleeping, Next="After"),
        "retry": machines.task({"do": "error", "type": "Bad"}, Retry=[retry], Next="After"),
        "branch": {
            "Type": "Parallel",
            "Branches": [{"StartAt": "W", "States": {"W": {**LONG_WAIT, "Next": "V"}, "V": passing(1)}}],
            "Next": "After",
        },
    }[where]
    execution = machines.start(unique, {"First": first, "After": passing(1)})
    entered(machines, execution, "W" if where == "branch" else "First")
    stopped = machines.client.stop_execution(executionArn=execution, error="Ops", cause="enough")
    ended = machines.ended(execution)
    assert (ended.status, ended.error, ended.types()[-1]) == ("ABORTED", ("Ops", "enough"), "ExecutionAborted")
    assert ended.description["stopDate"] == stopped["stopDate"]
    # Stopping again changes nothing, and what the interpreter still does neither.
    machines.client.stop_execution(executionArn=execution, error="Again")
    if where == "function":
        wait_for(lambda: invocations(machines, sleeping), what="the end of the function")
    again = machines.ended(execution)
    assert (again.error, len(again.events)) == (ended.error, len(ended.events))


def test_start_is_idempotent_by_name_and_input(machines: Machines, unique: str) -> None:
    machine = machines.create(unique, {"Wait": LONG_WAIT, "After": passing(1)})
    start = machines.client.start_execution
    first = start(stateMachineArn=machine, name="one", input='{"a":1}')
    again = start(stateMachineArn=machine, name="one", input='{"a":1}')
    assert (again["executionArn"], again["startDate"]) == (first["executionArn"], first["startDate"])
    assert machines.refused(start, stateMachineArn=machine, name="one", input='{"a":2}') == "ExecutionAlreadyExists"
    machines.client.stop_execution(executionArn=first["executionArn"])
    assert machines.refused(start, stateMachineArn=machine, name="one", input='{"a":1}') == "ExecutionAlreadyExists"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"input": "{"}, "InvalidExecutionInput"),
        ({"name": "a b"}, "InvalidName"),
        ({"stateMachineArn": "arn:x"}, "StateMachineDoesNotExist"),
    ],
)
def test_start_refuses_what_is_wrong(machines: Machines, unique: str, parameters: dict[str, str], code: str) -> None:
    machine = machines.create(unique, {"Only": passing(1)})
    assert machines.refused(machines.client.start_execution, **{"stateMachineArn": machine, **parameters}) == code


def test_redrive_enters_the_failed_state_again(machines: Machines, unique: str) -> None:
    states = {
        "Set": passing("{% {'from': 'set'} %}", Assign={"kept": "variable"}, Next="Gate"),
        "Gate": machines.task(
            {
                "do": "{% $states.context.Execution.RedriveCount = 0 ? 'error' : 'echo' %}",
                "type": "Bad",
                "input": "{% $states.input %}",
            },
            Output="{% {'kept': $kept, 'input': $states.result.Payload.input} %}",
        ),
    }
    execution = machines.start(unique, states)
    failed = machines.ended(execution)
    assert (failed.status, failed.description["redriveStatus"], failed.description["redriveCount"]) == (
        "FAILED",
        "REDRIVABLE",
        0,
    )
    machines.client.redrive_execution(executionArn=execution)
    ended = machines.ended(execution)
    assert ended.output == {"kept": "variable", "input": {"from": "set"}}
    assert ended.description["redriveCount"] == 1 and "redriveDate" in ended.description
    assert [
        event["stateEnteredEventDetails"]["name"] for event in ended.events if "stateEnteredEventDetails" in event
    ] == ["Set", "Gate", "Gate"]
    assert [event["id"] for event in ended.events] == list(range(1, len(ended.events) + 1))
    assert ended.types()[len(failed.events)] == "ExecutionRedriven"
    assert machines.refused(machines.client.redrive_execution, executionArn=execution) == "ExecutionNotRedrivable"


def test_an_aborted_execution_can_be_redriven(machines: Machines, unique: str) -> None:
    execution = machines.start(unique, {"Gate": machines.task({"a": 1}, resource=INVOKE_AND_WAIT)})
    entered(machines, execution, "Gate")
    machines.client.stop_execution(executionArn=execution)
    machines.client.redrive_execution(executionArn=execution)
    assert machines.status(execution) == "RUNNING"
    machines.client.stop_execution(executionArn=execution)


def test_history_has_all_states_and_their_order(machines: Machines, unique: str) -> None:
    branch = {"StartAt": "Inner", "States": {"Inner": passing(1)}}
    ended = machines.run(
        unique,
        {
            "Both": {"Type": "Parallel", "Branches": [branch], "Next": "Task"},
            "Task": machines.task({"a": 1}, Assign={"v": 1}),
        },
    )
    assert ended.types() == [
        "ExecutionStarted",
        "ParallelStateEntered",
        "ParallelStateStarted",
        "PassStateEntered",
        "PassStateExited",
        "ParallelStateSucceeded",
        "ParallelStateExited",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]
    assert all("previousEventId" in event for event in ended.events)
    scheduled = ended.events[8]["taskScheduledEventDetails"]
    assert (scheduled["resource"], scheduled["resourceType"], scheduled["region"]) == ("invoke", "lambda", REGION)
    assert ended.events[11]["stateExitedEventDetails"]["assignedVariables"] == {"v": "1"}


def test_journal_has_states_executions_and_calls(machines: Machines, unique: str) -> None:
    ended = machines.run(unique, {"First": passing(1, Next="Task"), "Task": machines.task({"for": unique})})
    arn = ended.description["executionArn"]
    states = machines.lab.journal_lines(kind="state", execution=arn)
    assert [(line["event"], line["state"], line["type"]) for line in states] == [
        ("entered", "First", "Pass"),
        ("exited", "First", "Pass"),
        ("entered", "Task", "Task"),
        ("exited", "Task", "Task"),
    ]
    assert [line["status"] for line in machines.lab.journal_lines(kind="execution", execution=arn)] == [
        "RUNNING",
        "SUCCEEDED",
    ]
    (call,) = invocations(machines, {"for": unique})
    assert (call["request"]["FunctionName"], call["error"]) == ("probe", None)


def test_status_events_reach_a_rule(machines: Machines, unique: str) -> None:
    lab = machines.lab
    queues, events = lab.client("sqs"), lab.client("events")
    queue = queues.create_queue(QueueName=unique)["QueueUrl"]
    queue_arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{unique}"
    machine_arn = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{unique}"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    queues.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    pattern = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"stateMachineArn": [machine_arn], "status": ["RUNNING", "FAILED", "ABORTED"]},
    }
    events.put_rule(Name=unique, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=unique, Targets=[{"Id": "queue", "Arn": queue_arn}])
    failed = machines.run(unique, {"Fail": {"Type": "Fail", "Error": "Bad", "Cause": "why"}}, {"a": 1})

    received: list[dict[str, Any]] = []

    def both() -> bool:
        for message in queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            received.append(json.loads(message["Body"]))
            queues.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return len(received) == 2

    wait_for(both, what="two events in the queue")
    started, ended = sorted(received, key=lambda event: event["detail"]["stopDate"] or 0)
    assert (started["detail"]["status"], started["detail"]["stopDate"]) == ("RUNNING", None)
    assert ended["resources"] == [failed.description["executionArn"]]
    detail = ended["detail"]
    assert detail == {
        "executionArn": failed.description["executionArn"],
        "stateMachineArn": machine_arn,
        "name": failed.description["name"],
        "status": "FAILED",
        "startDate": int(failed.description["startDate"].timestamp() * 1000 + 0.5),
        "stopDate": int(failed.description["stopDate"].timestamp() * 1000 + 0.5),
        "input": '{"a": 1}',
        "inputDetails": {"included": True},
        "output": None,
        "outputDetails": None,
        "error": "Bad",
        "cause": "why",
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "REDRIVABLE",
        "redriveStatusReason": None,
    }


BROKEN = {
    "missing target": ({"A": {"Type": "Pass", "Next": "Nope"}}, "MISSING_TRANSITION_TARGET"),
    "missing catch target": (
        {
            "A": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Catch": [{"ErrorEquals": ["X"], "Next": "Nope"}],
                "End": True,
            }
        },
        "MISSING_TRANSITION_TARGET",
    ),
    "unreachable": (
        {"A": {"Type": "Pass", "End": True}, "B": {"Type": "Pass", "End": True}},
        "MISSING_TRANSITION_TARGET",
    ),
    "no end": ({"A": {"Type": "Pass"}}, "SCHEMA_VALIDATION_FAILED"),
    "broken expression": ({"A": {"Type": "Pass", "Output": "{% 1 + %}", "End": True}}, "INVALID_JSONATA_EXPRESSION"),
    "wrong language": ({"A": {"Type": "Pass", "Parameters": {"a": 1}, "End": True}}, "SCHEMA_VALIDATION_FAILED"),
    "unknown type": ({"A": {"Type": "Pas", "End": True}}, "SCHEMA_VALIDATION_FAILED"),
    "unknown field": ({"A": {"Type": "Pass", "Outputs": 1, "End": True}}, "SCHEMA_VALIDATION_FAILED"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_definitions_are_refused(machines: Machines, unique: str, case: str) -> None:
    states, code = BROKEN[case]
    definition = json.dumps({"QueryLanguage": "JSONata", "StartAt": "A", "States": states})
    found = machines.client.validate_state_machine_definition(definition=definition)
    assert (found["result"], [diagnostic["code"] for diagnostic in found["diagnostics"]]) == ("FAIL", [code])
    refused = machines.refused(
        machines.client.create_state_machine, name=unique, definition=definition, roleArn=machines.role
    )
    assert refused == "InvalidDefinition"
    machine = machines.create(unique, {"A": passing(1)})
    assert (
        machines.refused(machines.client.update_state_machine, stateMachineArn=machine, definition=definition)
        == "InvalidDefinition"
    )
    assert machines.ended(machines.client.start_execution(stateMachineArn=machine)["executionArn"]).output == 1


def test_cloudformation_refuses_a_broken_definition_too(machines: Machines, unique: str) -> None:
    stacks = machines.lab.client("cloudformation")
    role = create_role(machines.lab, unique, allow("*"), service="states")

    def template(target: str) -> str:
        definition = {
            "QueryLanguage": "JSONata",
            "StartAt": "A",
            "States": {"A": {"Type": "Pass", "Next": target}, "B": {"Type": "Succeed"}},
        }
        machine = {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {"StateMachineName": unique, "RoleArn": role, "DefinitionString": json.dumps(definition)},
        }
        return json.dumps({"Resources": {"Machine": machine}})

    def settled() -> str | None:
        status = stacks.describe_stacks(StackName=unique)["Stacks"][0]["StackStatus"]
        return None if status.endswith("IN_PROGRESS") else str(status)

    stacks.create_stack(StackName=unique, TemplateBody=template("Nope"))
    assert wait_for(settled) in ("ROLLBACK_COMPLETE", "CREATE_FAILED")
    reasons = [
        event.get("ResourceStatusReason", "") for event in stacks.describe_stack_events(StackName=unique)["StackEvents"]
    ]
    assert any("MISSING_TRANSITION_TARGET" in reason for reason in reasons)
    stacks.create_stack(StackName=f"{unique}-good", TemplateBody=template("B"))
    stacks.get_waiter("stack_create_complete").wait(
        StackName=f"{unique}-good", WaiterConfig={"Delay": 0.1, "MaxAttempts": 100}
    )
    arn = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{unique}"
    assert machines.ended(machines.client.start_execution(stateMachineArn=arn)["executionArn"]).status == "SUCCEEDED"


def test_an_execution_keeps_the_definition_it_started_with(machines: Machines, unique: str) -> None:
    machine = machines.create(
        unique, {"Gate": machines.task({"a": 1}, resource=INVOKE_AND_WAIT, Next="End"), "End": passing("old")}
    )
    execution = machines.client.start_execution(stateMachineArn=machine)["executionArn"]
    entered(machines, execution, "Gate")
    machines.client.update_state_machine(
        stateMachineArn=machine,
        definition=json.dumps({"QueryLanguage": "JSONata", "StartAt": "End", "States": {"End": passing("new")}}),
    )
    machines.client.stop_execution(executionArn=execution)
    assert machines.ended(machines.client.start_execution(stateMachineArn=machine)["executionArn"]).output == "new"


def test_sync_execution_of_an_express_machine(machines: Machines, unique: str) -> None:
    definition = json.dumps({"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": passing(3)}})
    machine = machines.client.create_state_machine(
        name=unique, type="EXPRESS", definition=definition, roleArn=machines.role
    )
    ended = machines.client.start_sync_execution(stateMachineArn=machine["stateMachineArn"], input="{}")
    assert (ended["status"], ended["output"]) == ("SUCCEEDED", "3")


def test_twenty_executions_at_once(machines: Machines, unique: str) -> None:
    machine = machines.create(
        unique, {"Wait": {"Type": "Wait", "Seconds": 1, "Next": "Task"}, "Task": machines.task({"a": 1})}
    )
    executions = [machines.client.start_execution(stateMachineArn=machine)["executionArn"] for _ in range(20)]
    failed = [ended.description for ended in map(machines.ended, executions) if ended.status != "SUCCEEDED"]
    assert failed == []


def test_delete_ends_executions_at_their_next_transition(machines: Machines, unique: str) -> None:
    """Nothing new starts; what runs finishes its state, and no further one begins."""
    gate = machines.task({"token": "{% $states.context.Task.Token %}"}, resource=INVOKE_AND_WAIT, Next="After")
    execution = machines.start(unique, {"Gate": gate, "After": passing({"went": "on"})})
    (token,) = machines.tokens(execution)
    machine = execution.replace(":execution:", ":stateMachine:").rsplit(":", 1)[0]
    machines.client.delete_state_machine(stateMachineArn=machine)
    assert machines.refused(machines.client.start_execution, stateMachineArn=machine) == "StateMachineDeleting"
    assert machines.status(execution) == "RUNNING"
    machines.client.send_task_success(taskToken=token, output="{}")
    ended = machines.ended(execution)
    assert ended.status == "ABORTED"
    entered = [event["stateEnteredEventDetails"]["name"] for event in ended.events if "stateEnteredEventDetails" in event]
    assert entered == ["Gate"]
    assert machines.refused(machines.client.start_execution, stateMachineArn=machine) == "StateMachineDeleting"
