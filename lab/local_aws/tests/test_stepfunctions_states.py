"""State machines: what single states do."""

from __future__ import annotations

import time
from typing import Any

import pytest

from local_aws.stepfunctions_jsonata import milliseconds_of_this_thread
from local_aws.tests.functions import allow, create_role, function_arn
from local_aws.tests.machines import INVOKE_AND_WAIT, Machines, passing


def test_variables_arguments_and_output(machines: Machines, unique: str) -> None:
    states = {
        "First": passing("{% $states.input %}", Assign={"count": 1, "list": [1, 2]}, Next="Second"),
        "Second": passing(
            "{% $states.input %}", Assign={"count": "{% $count + 1 %}", "before": "{% $count %}"}, Next="Third"
        ),
        "Third": machines.task(
            {"sum": "{% $count + $sum($list) %}", "given": "{% $states.input.a %}"},
            Output="{% $merge([$states.result.Payload, {'before': $before, 'context': $states.context.State.Name}]) %}",
        ),
    }
    output = machines.run(unique, states, {"a": "x"}).output
    # Numbers that were computed are whole where they are whole: Rust would not read 5.0 as an integer.
    assert output == {"sum": 5, "given": "x", "before": 1, "context": "Third"}
    assert isinstance(output["sum"], int)


def test_context_object(machines: Machines, unique: str) -> None:
    states = {"Only": machines.task("{% $states.context %}", Output="{% $states.result.Payload %}")}
    ended = machines.run(unique, states, {"a": 1})
    context = ended.output
    execution = context["Execution"]
    assert execution["Id"] == ended.description["executionArn"]
    assert (execution["Name"], execution["Input"], execution["RedriveCount"]) == (
        ended.description["name"],
        {"a": 1},
        0,
    )
    assert execution["RoleArn"] == machines.role
    assert context["StateMachine"] == {"Id": ended.description["stateMachineArn"], "Name": unique}
    assert (context["State"]["Name"], context["State"]["RetryCount"]) == ("Only", 0)
    for moment in (execution["StartTime"], context["State"]["EnteredTime"]):
        assert len(moment) == len("2026-01-01T00:00:00.000Z") and moment.endswith("Z")


def test_choice_rules_default_and_their_assignments(machines: Machines, unique: str) -> None:
    choice = {
        "Type": "Choice",
        "Choices": [
            {"Condition": "{% $states.input.n > 5 %}", "Assign": {"size": "big"}, "Output": "rule", "Next": "End"}
        ],
        "Default": "End",
        "Assign": {"size": "small"},
        "Output": "default",
    }
    states = {"Size": choice, "End": passing("{% [$size, $states.input] %}")}
    assert machines.run(unique, states, {"n": 1}).output == ["small", "default"]
    assert machines.run(unique + "-big", states, {"n": 6}).output == ["big", "rule"]


def test_choice_without_a_match(machines: Machines, unique: str) -> None:
    states = {"Never": {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "End"}]}, "End": passing(1)}
    assert machines.run(unique, states).error[0] == "States.NoChoiceMatched"


def test_fail_with_computed_error_and_cause(machines: Machines, unique: str) -> None:
    states = {
        "Fail": {"Type": "Fail", "Error": "{% 'Rolled.' & $states.input.a %}", "Cause": "{% $string($states.input) %}"}
    }
    ended = machines.run(unique, states, {"a": "Back"})
    assert (ended.status, ended.error) == ("FAILED", ("Rolled.Back", '{"a":"Back"}'))


def test_succeed_with_output(machines: Machines, unique: str) -> None:
    assert machines.run(
        unique, {"Done": {"Type": "Succeed", "Output": {"x": "{% $states.input.a %}"}}}, {"a": 2}
    ).output == {"x": 2}


@pytest.mark.parametrize("seconds", [1, "{% $states.input.s %}"])
def test_wait_takes_its_seconds(machines: Machines, unique: str, seconds: Any) -> None:
    ended = machines.run(unique, {"Wait": {"Type": "Wait", "Seconds": seconds, "End": True}}, {"s": 1})
    assert ended.status == "SUCCEEDED"
    assert ended.seconds() >= 1


def test_wait_of_zero_seconds_goes_on(machines: Machines, unique: str) -> None:
    assert machines.run(unique, {"Wait": {"Type": "Wait", "Seconds": "{% 0 %}", "End": True}}).status == "SUCCEEDED"


@pytest.mark.parametrize("seconds", ["{% 1.5 %}", "{% -1 %}", "{% '2' %}"])
def test_wait_refuses_what_is_no_whole_number(machines: Machines, unique: str, seconds: str) -> None:
    ended = machines.run(unique, {"Wait": {"Type": "Wait", "Seconds": seconds, "End": True}})
    assert ended.error[0] == "States.QueryEvaluationError"


def test_undefined_is_an_error_and_can_be_caught(machines: Machines, unique: str) -> None:
    assert machines.run(unique, {"Pass": passing("{% $states.input.nope %}")}).error[0] == "States.QueryEvaluationError"
    caught = {"ErrorEquals": ["States.QueryEvaluationError"], "Output": "caught", "Next": "End"}
    states = {"Task": machines.task("{% $states.input.nope %}", Catch=[caught]), "End": passing("{% $states.input %}")}
    assert machines.run(unique + "-caught", states).output == "caught"


def test_an_endless_expression_is_stopped(machines: Machines, unique: str) -> None:
    endless = "{% ($count := function($n) { $count($n + 1) }; $count(0)) %}"
    assert machines.run(unique, {"Pass": passing(endless)}).error[0] == "States.QueryEvaluationError"


def test_time_that_an_expression_waits_does_not_count() -> None:
    before = milliseconds_of_this_thread()
    time.sleep(0.5)
    assert milliseconds_of_this_thread() - before < 250


def test_step_functions_own_jsonata_functions(machines: Machines, unique: str) -> None:
    expressions = {
        "uuid": "{% $length($uuid()) %}",
        "parsed": "{% $parse('{\"a\":[1,null]}').a[0] %}",
        "hashed": "{% $length($hash('a','SHA-256')) %}",
        "range": "{% $range(0,4,2) %}",
        "partition": "{% $partition([1,2,3],2) %}",
        "million": "{% 1000 * 1000 %}",
        "null": "{% null %}",
    }
    output = machines.run(unique, {"Only": passing(expressions)}).output
    assert output == {
        "uuid": 36,
        "parsed": 1,
        "hashed": 64,
        "range": [0, 2, 4],
        "partition": [[1, 2], [3]],
        "million": 1000000,
        "null": None,
    }


def test_parallel_scopes_and_first_failure(machines: Machines, unique: str) -> None:
    inner = {"StartAt": "Set", "States": {"Set": passing("{% $states.input.z %}", Assign={"inner": 1})}}
    states = {
        "Both": {
            "Type": "Parallel",
            "Arguments": {"z": 7},
            "Branches": [inner, inner],
            "Output": "{% $states.result %}",
            "Assign": {"kept": "{% $states.result[0] %}"},
            "Next": "After",
        },
        "After": passing({"results": "{% $states.input %}", "kept": "{% $kept %}", "leaked": "{% $exists($inner) %}"}),
    }
    assert machines.run(unique, states).output == {"results": [7, 7], "kept": 7, "leaked": False}
    failing = {"StartAt": "Fail", "States": {"Fail": {"Type": "Fail", "Error": "Boom"}}}
    waiting = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 300, "End": True}}}
    catch = [{"ErrorEquals": ["Boom"], "Next": "Caught"}]
    states = {
        "Both": {"Type": "Parallel", "Branches": [failing, waiting], "Catch": catch, "End": True},
        "Caught": passing("caught"),
    }
    ended = machines.run(unique + "-failing", states)
    assert ended.output == "caught"


def test_map_in_order(machines: Machines, unique: str) -> None:
    processor = {"StartAt": "Each", "States": {"Each": passing("{% $states.input.value * 10 + $states.input.index %}")}}
    selector = {"value": "{% $states.context.Map.Item.Value %}", "index": "{% $states.context.Map.Item.Index %}"}
    states = {
        "Map": {
            "Type": "Map",
            "Items": "{% $states.input.all %}",
            "ItemSelector": selector,
            "ItemProcessor": processor,
            "End": True,
        }
    }
    assert machines.run(unique, states, {"all": [1, 2, 3]}).output == [10, 21, 32]


def test_a_services_error_has_its_service_as_prefix(machines: Machines, unique: str) -> None:
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:elasticloadbalancingv2:describeLoadBalancers",
        "Arguments": {},
        "End": True,
    }
    output = machines.run(unique, {"Ask": {**task, "Output": "{% $type($states.result.LoadBalancers) %}"}}).output
    assert output == "array"
    catch = [{"ErrorEquals": ["ElasticLoadBalancingV2.LoadBalancerNotFoundException"], "Output": "none", "Next": "End"}]
    missing = {**task, "Arguments": {"Names": [unique]}, "Catch": catch}
    assert machines.run(unique + "-missing", {"Ask": missing, "End": passing("{% $states.input %}")}).output == "none"


def test_invocation_type_event_does_not_wait(machines: Machines, unique: str) -> None:
    """Also a function that fails cannot fail the execution then: how notifications are sent."""
    arguments = {"FunctionName": machines.function, "InvocationType": "Event", "Payload": {"do": "sleep", "seconds": 50}}
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": arguments, "End": True}
    ended = machines.run(unique, {"Send": {**task, "Output": "{% $states.result.StatusCode %}"}})
    assert (ended.output, ended.seconds() < 50) == (202, True)


def test_result_of_invoke_lacks_metadata(machines: Machines, unique: str) -> None:
    """Deviation: on AWS the result has SdkHttpMetadata and SdkResponseMetadata as well."""
    states = {"Only": machines.task({"a": 1}, Output="{% $states.result %}")}
    assert machines.run(unique, states).output == {"ExecutedVersion": "$LATEST", "Payload": {"a": 1}, "StatusCode": 200}


def test_catch_with_output_and_assign(machines: Machines, unique: str) -> None:
    catch = {
        "ErrorEquals": ["Canary.Bad"],
        "Assign": {"error": "{% $states.errorOutput.Error %}"},
        "Output": {"type": "{% $parse($states.errorOutput.Cause).errorType %}", "input": "{% $states.input.a %}"},
        "Next": "End",
    }
    states = {
        "Task": machines.task({"do": "error", "type": "Canary.Bad"}, Catch=[catch]),
        "End": passing("{% [$error, $states.input] %}"),
    }
    assert machines.run(unique, states, {"a": 1}).output == ["Canary.Bad", {"type": "Canary.Bad", "input": 1}]


def test_catch_without_output_passes_the_error_on(machines: Machines, unique: str) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "End"}]
    states = {
        "Task": machines.task({"do": "error", "type": "Bad", "message": "m"}, Catch=catch),
        "End": passing("{% $states.input.Error %}"),
    }
    assert machines.run(unique, states, {"a": 1}).output == "Bad"


def test_retry_with_limited_delay(machines: Machines, unique: str) -> None:
    retry = {"ErrorEquals": ["Again"], "IntervalSeconds": 1, "BackoffRate": 10, "MaxDelaySeconds": 1, "MaxAttempts": 2}
    ended = machines.run(unique, {"Task": machines.task({"do": "error", "type": "Again"}, Retry=[retry])})
    assert (ended.status, ended.types().count("TaskFailed")) == ("FAILED", 3)
    # 11 s without the limit of the delay.
    assert 2 <= ended.seconds() < 11


def test_retry_with_full_jitter_and_count(machines: Machines, unique: str) -> None:
    """Full jitter waits a random part of the interval; over 3 intervals of 5 s it takes 15 s with no jitter."""
    retry = {
        "ErrorEquals": ["Again"],
        "IntervalSeconds": 5,
        "BackoffRate": 1,
        "MaxAttempts": 3,
        "JitterStrategy": "FULL",
    }
    payload = {"do": "error", "type": "Again", "message": "{% $string($states.context.State.RetryCount) %}"}
    ended = machines.run(unique, {"Task": machines.task(payload, Retry=[retry])})
    assert ended.seconds() < 15
    causes = [event["taskFailedEventDetails"]["cause"] for event in ended.events if event["type"] == "TaskFailed"]
    assert [f'"errorMessage":"{count}"' in cause for count, cause in enumerate(causes)] == [True] * 4


@pytest.mark.parametrize("timeout", [1, "{% $states.input.t %}"])
@pytest.mark.parametrize("kind", ["sync", "token"])
def test_task_timeout(machines: Machines, unique: str, timeout: Any, kind: str) -> None:
    catch = [{"ErrorEquals": ["States.Timeout"], "Output": "timed out", "Next": "End"}]
    if kind == "sync":
        task = machines.task({"do": "sleep", "seconds": 50}, TimeoutSeconds=timeout, Catch=catch)
    else:
        task = machines.task({}, resource=INVOKE_AND_WAIT, TimeoutSeconds=timeout, Catch=catch)
    ended = machines.run(unique, {"Task": task, "End": passing("{% $states.input %}")}, {"t": 1})
    assert ended.output == "timed out"
    assert ended.seconds() >= 1


@pytest.mark.parametrize("timeout", ["{% 0 %}", "{% 1.5 %}"])
def test_a_timeout_must_be_a_positive_whole_number(machines: Machines, unique: str, timeout: str) -> None:
    ended = machines.run(unique, {"Task": machines.task({}, TimeoutSeconds=timeout)})
    assert ended.error[0] == "States.QueryEvaluationError"


def test_the_roles_permissions_are_enforced(machines: Machines, unique: str) -> None:
    states = {"Task": machines.task({"a": 1})}
    nothing = create_role(machines.lab, f"{unique}-nothing", service="states")
    error, cause = machines.run(f"{unique}-nothing", states, role=nothing).error
    assert error == "Lambda.AccessDeniedException"
    assert cause is not None and "lambda:InvokeFunction" in cause
    elsewhere = create_role(
        machines.lab,
        f"{unique}-other",
        allow("lambda:InvokeFunction", resource=function_arn("other")),
        service="states",
    )
    assert machines.run(f"{unique}-other", states, role=elsewhere).error[0] == "Lambda.AccessDeniedException"
    exactly = create_role(
        machines.lab, f"{unique}-this", allow("lambda:InvokeFunction", resource=function_arn("probe")), service="states"
    )
    assert machines.run(f"{unique}-this", states, role=exactly).status == "SUCCEEDED"
