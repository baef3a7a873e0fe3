"""The Step Functions API, on moto's interpreter.

ministack keeps machines, versions, tags and records; its own interpreter is not used, because it ignores
heartbeats and timeouts, loses a function's error in ``waitForTaskToken``, leaks variables out of
branches, never enforces the machine's role and never checks a definition.

Known deviations from AWS: the result of ``lambda:invoke`` lacks SdkHttpMetadata and SdkResponseMetadata; a
missing heartbeat is States.Timeout (AWS's documentation names States.HeartbeatTimeout too: catch both);
nothing is logged to CloudWatch Logs, whatever the machine's logging configuration; TestState is
ministack's own; a deleted machine stays in the list as DELETING; a redrive enters the outermost state
again, of a Parallel with all its branches.
"""

from __future__ import annotations

import contextvars
import json
import re
import threading
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json, get_account_id, get_region, json_response, new_uuid
from ministack.services import stepfunctions as service
from ministack.services.cloudformation import provisioners
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackOutcomeFailure, CallbackOutcomeSuccess

from local_aws import stepfunctions_definition as definitions
from local_aws import stepfunctions_integrations, stepfunctions_interpreter, stepfunctions_jsonata
from local_aws import stepfunctions_tokens as tokens
from local_aws.replacing import AnyFunction, replace
from local_aws.settings import EXECUTION_NAME_RETENTION, Settings
from local_aws.stepfunctions_execution import (
    REDRIVABLE,
    RunningExecution,
    Suspended,
    now,
    redrive_status,
    running,
    seconds_since_end,
    suspended,
)

Parameters = dict[str, Any]
Answer = tuple[int, dict[str, str], Any]
DELETING = "DELETING"
_name_retention = EXECUTION_NAME_RETENTION
EXECUTION_NAME = re.compile(r"^[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}$")


def _error(code: str, message: str) -> Answer:
    answer: Answer = error_response_json(code, message, 400)
    return answer


def _in_background(execution: RunningExecution) -> None:
    context = contextvars.copy_context()
    threading.Thread(
        target=context.run, args=(execution.run,), name=f"execution {execution.record['name']}", daemon=True
    ).start()


def _new_record(machine: Parameters, requested: str, arn: str, name: str, given: str) -> Parameters:
    """ministack's record of an execution, with what redrive and versions need: the definition and role
    that the execution started with stay its own when the machine is updated."""
    version_arn = service._execution_version_arn(requested)
    version = service._state_machine_versions.get(version_arn) or machine
    return {
        "executionArn": arn,
        "stateMachineArn": machine["stateMachineArn"],
        "stateMachineVersionArn": version_arn,
        "stateMachineAliasArn": requested if requested in service._state_machine_aliases else None,
        "name": name,
        "type": machine["type"],
        "definition": version["definition"],
        "roleArn": version["roleArn"],
        "status": "RUNNING",
        "startDate": now(),
        "stopDate": None,
        "input": given,
        "inputDetails": {"included": True},
        "output": None,
        "outputDetails": {"included": True},
        "redriveCount": 0,
        "redriveDate": None,
        "encryptionConfiguration": service._default_encryption(),
        "events": [],
    }


def _forget_if_old(arn: str) -> None:
    """Forget an execution that ended long ago: "You can reuse the name 90 days after it closes" (the model's
    text of StartExecution), and as long "you can no longer retrieve or view" it (the quotas page, which lets
    accounts reduce the time to 30 days).
    """
    record = service._executions.get(arn)
    if record is not None and seconds_since_end(record) >= _name_retention:
        service._executions.pop(arn, None)
        suspended(arn)


def _start_execution(data: Parameters) -> Answer:
    """StartExecution: idempotent by name and input while the execution runs, as AWS documents it.

    ministack refuses every repetition, so that a retry after a lost answer would fail.
    """
    requested = data.get("stateMachineArn", "")
    base = service._resolve_state_machine_arn(requested)
    if base is None:
        return _error("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{requested}'")
    machine = service._state_machines[base]
    if machine.get("status") == DELETING:
        return _error("StateMachineDeleting", f"State Machine is Being Deleted: '{requested}'")
    given = data.get("input") or "{}"
    try:
        json.loads(given)
    except ValueError as error:
        return _error("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{error}'")
    name = data.get("name") or new_uuid()
    if not EXECUTION_NAME.match(name):
        return _error("InvalidName", f"Invalid Name: '{name}'")
    arn = f"arn:aws:states:{get_region()}:{get_account_id()}:execution:{machine['name']}:{name}"
    _forget_if_old(arn)
    existing = service._executions.get(arn)
    if existing is not None:
        if existing["status"] == "RUNNING" and existing["input"] == given:
            repeated: Answer = json_response({"executionArn": arn, "startDate": existing["startDate"]})
            return repeated
        return _error("ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")
    record = _new_record(machine, requested, arn, name, given)
    service._executions[arn] = record
    execution = RunningExecution(record)
    execution.announce()
    _in_background(execution)
    answer: Answer = json_response({"executionArn": arn, "startDate": record["startDate"]})
    return answer


def _run_execution(exec_arn: str) -> None:
    """What ministack calls to run an execution inside StartSyncExecution."""
    record = service._executions[exec_arn]
    machine = service._state_machines[record["stateMachineArn"]]
    complete = _new_record(machine, machine["stateMachineArn"], exec_arn, record["name"], record["input"])
    record.update({**complete, "startDate": record["startDate"], "type": "EXPRESS"})
    RunningExecution(record).run()


def _stop_execution(data: Parameters) -> Answer:
    """StopExecution: ends the execution now and for good, wherever it waits.

    For an execution that has ended AWS answers with the date it ended.
    """
    arn = data.get("executionArn", "")
    _forget_if_old(arn)
    record = service._executions.get(arn)
    if record is None:
        return _error("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
    execution = running.get(arn)
    if execution is not None:
        execution.stop(data.get("error"), data.get("cause"))
    answer: Answer = json_response({"stopDate": record["stopDate"]})
    return answer


def _delete_state_machine(data: Parameters) -> Answer:
    """DeleteStateMachine: nothing can be started any more, and what runs ends at its next transition.

    ministack forgets the executions, which then go on unseen.
    """
    arn = data.get("stateMachineArn", "")
    machine = service._state_machines.get(arn)
    if machine is not None:
        machine["status"] = DELETING
        for execution in list(running.values()):
            if execution.record["stateMachineArn"] == arn:
                execution.ends_at_next_transition = True
    answer: Answer = json_response({})
    return answer


def _redrive_execution(data: Parameters) -> Answer:
    """RedriveExecution: enter the state again in which the execution ended, with the same input and variables."""
    arn = data.get("executionArn", "")
    _forget_if_old(arn)
    record = service._executions.get(arn)
    if record is None:
        return _error("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
    resumed: Suspended | None = suspended(arn) if record["status"] in REDRIVABLE else None
    if resumed is None:
        return _error("ExecutionNotRedrivable", f"Execution {arn} is {record['status']} and cannot be redriven")
    record.update(
        status="RUNNING",
        stopDate=None,
        output=None,
        error=None,
        cause=None,
        redriveCount=record["redriveCount"] + 1,
        redriveDate=now(),
    )
    execution = RunningExecution(record, resumed)
    execution.announce()
    _in_background(execution)
    answer: Answer = json_response({"redriveDate": record["redriveDate"]})
    return answer


def _outcome(data: Parameters, act: Callable[[str], None]) -> Answer:
    token = data.get("taskToken", "")
    try:
        act(token)
    except tokens.UnknownTokenError:
        return _error("InvalidToken", "Invalid Token: 'Invalid token'")
    except tokens.EndedTokenError:
        return _error("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
    answer: Answer = json_response({})
    return answer


def _send_task_success(data: Parameters) -> Answer:
    output = data.get("output", "")
    try:
        json.loads(output)
    except ValueError:
        return _error("InvalidOutput", "Invalid Output: 'The output is not valid JSON'")
    return _outcome(data, lambda token: tokens.answer(token, CallbackOutcomeSuccess(callback_id=token, output=output)))


def _send_task_failure(data: Parameters) -> Answer:
    failure = (data.get("error"), data.get("cause"))
    return _outcome(data, lambda token: tokens.answer(token, CallbackOutcomeFailure(token, *failure)))


def _send_task_heartbeat(data: Parameters) -> Answer:
    return _outcome(data, tokens.heartbeat)


def _validate_state_machine_definition(data: Parameters) -> Answer:
    """ministack's finds every definition OK."""
    found = definitions.problem(data.get("definition", ""))
    code, _, message = (found or "").partition(": ")
    diagnostics = [{"severity": "ERROR", "code": code, "message": message}] if found else []
    answer: Answer = json_response(
        {"result": "FAIL" if found else "OK", "diagnostics": diagnostics, "truncated": False}
    )
    return answer


def _checked(original: AnyFunction) -> Callable[[Parameters], Answer]:
    """CreateStateMachine or UpdateStateMachine that refuses a broken definition."""

    def checked(data: Parameters) -> Answer:
        if "definition" in data and (found := definitions.problem(data["definition"])):
            return _error("InvalidDefinition", f"Invalid State Machine Definition: '{found}'")
        answer: Answer = original(data)
        return answer

    return checked


def _replace_checked(name: str) -> None:
    original: AnyFunction = getattr(service, name)
    replace(service, name, _checked(original), expects=("data",))


def _install_cloudformation_check() -> None:
    """CloudFormation writes machines into the store itself, past every check."""
    original: AnyFunction

    def definition(props: Parameters) -> str:
        text: str = original(props)
        if found := definitions.problem(text):
            raise provisioners._sfn_handler_error(f"Invalid State Machine Definition: '{found}'")
        return text

    original = replace(provisioners, "_sfn_definition", definition, expects=("props",))


def _install_describe() -> None:
    original: AnyFunction

    def describe(data: Parameters) -> Answer:
        """ministack's, with the redrive fields and without nulls, which SDKs do not expect."""
        _forget_if_old(data.get("executionArn", ""))
        status, headers, body = original(data)
        if status != 200:
            return status, headers, body
        record = service._executions[data["executionArn"]]
        redrivable, reason = redrive_status(record)
        shown = {
            **json.loads(body),
            **{
                key: record.get(key)
                for key in ("stateMachineVersionArn", "stateMachineAliasArn", "redriveDate", "redriveCount")
            },
            "redriveStatus": redrivable,
            "redriveStatusReason": reason if redrivable == "NOT_REDRIVABLE" else None,
        }
        if shown["output"] is None:
            del shown["outputDetails"]
        answer: Answer = json_response({key: value for key, value in shown.items() if value is not None})
        return answer

    original = replace(service, "_describe_execution", describe, expects=("data",))


def _install_history() -> None:
    original: AnyFunction

    def history(data: Parameters) -> Answer:
        _forget_if_old(data.get("executionArn", ""))
        answer: Answer = original(data)
        return answer

    original = replace(service, "_get_execution_history", history, expects=("data",))


def _install_list() -> None:
    original: AnyFunction

    def executions(data: Parameters) -> Answer:
        for arn in list(service._executions):
            _forget_if_old(arn)
        answer: Answer = original(data)
        return answer

    original = replace(service, "_list_executions", executions, expects=("data",))


def _install_redrive() -> None:
    """RedriveExecution is missing in ministack's table of actions, which is local to its handler."""
    original: AnyFunction

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query_params: Parameters) -> Answer:
        if headers.get("x-amz-target", "").endswith(".RedriveExecution"):
            answer: Answer = service._finalize_response(_redrive_execution(json.loads(body)))
            return answer
        handled: Answer = await original(method, path, headers, body, query_params)
        return handled

    original = replace(service, "handle_request", handle, expects=("method", "path", "headers", "body", "query_params"))


def install(settings: Settings) -> None:
    """Put moto's interpreter under ministack's API."""
    global _name_retention
    _name_retention = settings.execution_name_retention
    stepfunctions_integrations.install(settings)
    stepfunctions_jsonata.install()
    stepfunctions_interpreter.install()
    replace(service, "_start_execution", _start_execution, expects=("data",))
    replace(service, "_stop_execution", _stop_execution, expects=("data",))
    replace(service, "_delete_state_machine", _delete_state_machine, expects=("data",))
    replace(service, "_run_execution", _run_execution, expects=("exec_arn",))
    replace(service, "_send_task_success", _send_task_success, expects=("data",))
    replace(service, "_send_task_failure", _send_task_failure, expects=("data",))
    replace(service, "_send_task_heartbeat", _send_task_heartbeat, expects=("data",))
    replace(service, "_validate_state_machine_definition", _validate_state_machine_definition, expects=("data",))
    _replace_checked("_create_state_machine")
    _replace_checked("_update_state_machine")
    _install_cloudformation_check()
    _install_describe()
    _install_history()
    _install_list()
    _install_redrive()
