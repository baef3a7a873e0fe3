"""What moto's interpreter does otherwise than AWS, and is replaced.

Everything here is about states; executions as a whole are in ``stepfunctions_execution``.
"""

from __future__ import annotations

import time
from typing import Any, cast

from moto.stepfunctions.parser.api import ExecutionFailedEventDetails, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.retry.max_attempts_decl import MaxAttemptsOutcome
from moto.stepfunctions.parser.asl.component.common.retry.retrier_decl import RetrierDecl
from moto.stepfunctions.parser.asl.component.common.retry.retrier_outcome import RetrierOutcome
from moto.stepfunctions.parser.asl.component.state.choice.state_choice import StateChoice
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_lambda
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

from local_aws import stepfunctions_tokens as tokens
from local_aws.replacing import ReplacementError, replace

LONGEST_WAIT_WITHOUT_LOOKING = 0.25


def wait(environment: Any, seconds: float) -> None:
    """Wait exactly that long, or until the execution no longer runs.

    The event that announces the end is set and cleared at once, so a waiter can miss it; looking up four
    times a second bounds that without costing anything.
    """
    end = time.monotonic() + seconds
    while environment.is_running():
        left = end - time.monotonic()
        if left <= 0:
            return
        environment.program_state_event.wait(min(left, LONGEST_WAIT_WITHOUT_LOOKING))


def _wait_interval(self: WaitFunction, env: Any, wait_seconds: float) -> None:
    """moto's own counts in whole seconds and waits a second too long after each unrelated wake-up."""
    wait(env, wait_seconds)


def _retry(self: RetrierDecl, env: Any) -> None:
    """moto's own, but its sleep cannot be stopped: an aborted execution lived on until the next attempt."""
    self.error_equals.eval(env)
    if not env.stack.pop():
        env.stack.append(RetrierOutcome.Skipped)
        return
    self.max_attempts.eval(env=env)
    if env.stack.pop() == MaxAttemptsOutcome.EXHAUSTED:
        env.stack.append(RetrierOutcome.Failed)
        return
    self.interval_seconds.eval(env=env)
    self.backoff_rate.eval(env=env)
    self.max_delay_seconds.eval(env=env)
    self.jitter_strategy.eval(env=env)
    wait(env, env.stack.pop())
    env.stack.append(RetrierOutcome.Executed)


def _no_choice_matched(environment: Any) -> FailureEventException:
    error = StatesErrorName(typ=StatesErrorNameType.StatesNoChoiceMatched)
    details = ExecutionFailedEventDetails(
        error=error.error_name, cause="No choice rule matched and the state has no Default"
    )
    return FailureEventException(
        failure_event=FailureEvent(
            env=environment,
            error_name=error,
            event_type=HistoryEventType.ExecutionFailed,
            event_details=cast(EventDetails, {"executionFailedEventDetails": details}),
        )
    )


def _choose(self: StateChoice, env: Any) -> None:
    """Like moto's, but nothing matching is States.NoChoiceMatched and not an internal error.

    The second entry on the stack says whether the Default was taken, for ``_choice_output``.
    """
    for rule in self.choices_decl.rules:
        rule.eval(env)
        if env.stack.pop() is True and rule.next_stmt is not None:
            env.stack.extend([False, rule.next_stmt.name])
            return
    if self.default_state is None:
        raise _no_choice_matched(env)
    env.stack.extend([True, self.default_state.state_name])


def _choice_output(self: StateChoice, env: Any) -> None:
    """moto applies the state's own Assign and Output also when a rule matched that leads to the same
    state as Default; on AWS they belong to the Default alone."""
    next_state_name = env.stack.pop()
    default_taken = env.stack.pop()
    if default_taken:
        if self.assign_decl:
            self.assign_decl.eval(env=env)
        if self.output:
            self.output.eval(env=env)
    if self._is_language_query_jsonpath():
        if self.output_path:
            self.output_path.eval(env=env)
        else:
            env.states.reset(input_value=env.stack.pop())
    env.next_state_name = next_state_name


def _has_token(state: StateTaskServiceCallback) -> bool:
    return (
        state.resource.condition is not None
        and ResourceCondition.WaitForTaskToken in state._supported_integration_patterns
    )


def _attempt(self: StateTaskServiceCallback, env: Any) -> None:
    """One attempt of a task, with a token of its own (see ``stepfunctions_tokens``)."""
    if not _has_token(self):
        ExecutionState._evaluate_with_timeout(self, env)
        return
    token = tokens.issue(env)
    try:
        ExecutionState._evaluate_with_timeout(self, env)
    finally:
        tokens.withdraw(token)


def _callback_body(self: StateTaskServiceCallback, env: Any) -> None:
    """moto's own without its token, which ``_attempt`` makes."""
    if _has_token(self):
        self._assert_integration_pattern_is_supported()  # type: ignore[no-untyped-call]
    super(StateTaskServiceCallback, self)._eval_body(env=env)
    env.states.context_object.context_object_data.pop("Task", None)


def install() -> None:
    """Apply all of it."""
    replace(WaitFunction, "_wait_interval", _wait_interval, expects=("self", "env", "wait_seconds"))
    replace(RetrierDecl, "_eval_body", _retry, expects=("self", "env"))
    replace(StateChoice, "_eval_state", _choose, expects=("self", "env"))
    replace(StateChoice, "_eval_state_output", _choice_output, expects=("self", "env"))
    replace(StateTaskServiceCallback, "_eval_body", _callback_body, expects=("self", "env"))
    if "_evaluate_with_timeout" in vars(StateTaskServiceCallback) or not issubclass(
        StateTaskServiceCallback, StateTaskService
    ):
        raise ReplacementError("StateTaskServiceCallback has an _evaluate_with_timeout of its own")
    StateTaskServiceCallback._evaluate_with_timeout = _attempt  # type: ignore[method-assign, assignment]
    # AWS passes InvocationType on; moto drops what it does not list, so that every call would be synchronous.
    state_task_service_lambda._SUPPORTED_API_PARAM_BINDINGS["invoke"].add("InvocationType")
