"""JSONata in state machines: moto ships the interpreter without an evaluator.

ministack's evaluator fits (jsonata-python with the functions Step Functions adds). What is added here:
whole numbers stay integers (jsonata-python computes in floats: ``60 * 1`` would reach a function as
60.0), times in the context object have AWS's format, and fields that must be whole numbers are held to it.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any, cast

from jsonata.timebox import Timebox
from ministack.services import stepfunctions as service
from moto.stepfunctions.parser.api import EvaluationFailedEventDetails, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.string.string_expression import StringJSONata
from moto.stepfunctions.parser.asl.component.common.timeouts.heartbeat import HeartbeatSecondsJSONata
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import TimeoutSecondsJSONata
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.seconds import SecondsJSONata
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

from local_aws.replacing import replace

LARGEST_SECONDS = 99_999_999
LARGEST_WHOLE_FLOAT = 2**53
PYTHON_TIME = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3})\d*(?:\+00:00|Z)$")


def plain(value: Any) -> Any:
    """A copy of the value as JSON has it, with whole floats as integers."""

    def whole(part: Any) -> Any:
        if isinstance(part, float) and part.is_integer() and abs(part) < LARGEST_WHOLE_FLOAT:
            return int(part)
        if isinstance(part, dict):
            return {key: whole(member) for key, member in part.items()}
        if isinstance(part, list):
            return [whole(member) for member in part]
        return part

    return whole(json.loads(json.dumps(value, default=str)))


def _query_failure(environment: Any, cause: str, location: str | None) -> FailureEventException:
    error = StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
    details = EvaluationFailedEventDetails(error=error.error_name, cause=cause, state=environment.next_state_name or "")
    if location:
        details["location"] = location
    return FailureEventException(
        failure_event=FailureEvent(
            env=environment,
            error_name=error,
            event_type=HistoryEventType.EvaluationFailed,
            event_details=cast(EventDetails, {"evaluationFailedEventDetails": details}),
        )
    )


def _context(environment: Any) -> dict[str, Any]:
    context: dict[str, Any] = plain(environment.states.context_object.context_object_data)
    state = context.get("State")
    if state and (entered := PYTHON_TIME.match(state.get("EnteredTime", ""))):
        state["EnteredTime"] = f"{entered[1]}.{entered[2]}Z"
    store = environment.variable_store
    context["variables"] = {**store._outer_scope, **store._inner_scope}
    return context


def _evaluate(self: StringJSONata, env: Any) -> None:
    data = env.states._states_data
    try:
        value = service._evaluate_jsonata(
            self.expression, data.get("input"), _context(env), data.get("result"), data.get("errorOutput")
        )
    except service._ExecutionError as error:
        raise _query_failure(env, error.cause, env.next_field_name) from error
    env.stack.append(plain(value))


def _whole_seconds(self: Any, env: Any, field: str, smallest: int) -> int:
    self.string_jsonata.eval(env=env)
    value = env.stack.pop()
    if isinstance(value, bool) or not isinstance(value, int) or not smallest <= value <= LARGEST_SECONDS:
        expected = f"expected a whole number from {smallest} to {LARGEST_SECONDS}"
        expression = self.string_jsonata.expression
        cause = f"The expression '{expression}' for the field '{field}' returned {json.dumps(value)}, {expected}"
        raise _query_failure(env, cause, field)
    return value


def _wait_seconds(self: SecondsJSONata, env: Any) -> int:
    return _whole_seconds(self, env, "Seconds", 0)


def _timeout_seconds(self: TimeoutSecondsJSONata, env: Any) -> int:
    return _whole_seconds(self, env, "TimeoutSeconds", 1)


def _heartbeat_seconds(self: HeartbeatSecondsJSONata, env: Any) -> int:
    return _whole_seconds(self, env, "HeartbeatSeconds", 1)


def milliseconds_of_this_thread() -> int:
    """What an expression has computed, not what it has waited for: a busy machine is not its fault."""
    return int(time.thread_time() * 1000)


def install() -> None:
    """Give moto's interpreter its evaluator."""
    # The limit of one second that AWS sets for an expression would otherwise fail executions now and then.
    replace(Timebox, "current_milli_time", staticmethod(milliseconds_of_this_thread), expects=())
    replace(StringJSONata, "_eval_body", _evaluate, expects=("self", "env"))
    # moto cuts fractions off; AWS refuses them, and so must the lab, or a bug shows only there.
    replace(SecondsJSONata, "_get_wait_seconds", _wait_seconds, expects=("self", "env"))
    replace(TimeoutSecondsJSONata, "_eval_seconds", _timeout_seconds, expects=("self", "env"))
    replace(HeartbeatSecondsJSONata, "_eval_seconds", _heartbeat_seconds, expects=("self", "env"))
