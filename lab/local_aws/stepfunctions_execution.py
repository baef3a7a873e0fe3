"""One execution of a state machine, from start to exactly one end.

ministack keeps the record of an execution (what the API shows); moto's interpreter runs it. Between them
stands a ``RunningExecution``: it owns the history and the one transition to a terminal status. Whoever
comes first (the interpreter, StopExecution, the machine's timeout) ends it; what comes later changes
neither the status nor the history. In ministack alone an aborted execution could still become FAILED.
"""

from __future__ import annotations

import datetime
import json
import logging
import threading
from dataclasses import dataclass
from typing import Any, cast

from ministack.core.responses import request_scope
from ministack.services import eventbridge
from moto.stepfunctions.parser.api import HistoryEventType, StateMachineType
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.evaluation_details import AWSExecutionDetails
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventHistoryContext, EventManager
from moto.stepfunctions.parser.asl.eval.program_state import ProgramEnded, ProgramError
from moto.stepfunctions.parser.asl.eval.states import ContextObjectData, StateMachineData
from moto.stepfunctions.parser.asl.eval.variable_store import VariableStore
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.utils import TMP_THREADS

from local_aws import journal
from local_aws.stepfunctions_jsonata import plain

LOG = logging.getLogger("local_aws.stepfunctions")
HISTORY_LIMIT = 25_000
TERMINAL_EVENTS = {"ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"}
REDRIVABLE = ("FAILED", "ABORTED", "TIMED_OUT")
LARGEST_EVENT_PAYLOAD = 248 * 1024

running: dict[str, RunningExecution] = {}
"""Executions that have not ended, by ARN."""

_suspended: dict[str, Suspended] = {}
"""Where executions stood that ended without success: what RedriveExecution goes on from."""


@dataclass(frozen=True)
class Suspended:
    """The last state that an execution entered, to enter it again."""

    state_name: str
    state_input: Any
    variables: VariableStore


def now() -> str:
    """The time as AWS writes it."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class History(EventManager):
    """The history of an execution, written straight into its record, and its states into the journal."""

    def __init__(self, execution: RunningExecution) -> None:
        super().__init__()
        self._execution = execution
        self._events: list[dict[str, Any]] = execution.record["events"]
        self._event_id_gen._next_id = len(self._events) + 1
        self._closed = False
        self.last_entered: tuple[str, Any] | None = None

    def add_event(
        self,
        context: EventHistoryContext,
        event_type: HistoryEventType,
        event_details: Any = None,
        timestamp: Any = None,
        update_source_event_id: bool = True,
    ) -> int:
        """Add an event; the terminal ones that the interpreter adds are left to ``close``."""
        name = str(event_type.value)
        if name in TERMINAL_EVENTS or self._closed:
            return context.last_published_event_id
        details = plain(event_details or {})
        if name.endswith("StateEntered") and context is self._execution.environment.event_history_context:
            entered = details["stateEnteredEventDetails"]
            self.last_entered = (entered["name"], json.loads(entered["input"]))
        if name.endswith("StateEntered") and self._execution.ends_at_next_transition:
            self._execution.stop(None, None)
            return context.last_published_event_id
        added: int = super().add_event(context, event_type, details, timestamp, update_source_event_id)
        if name.endswith(("StateEntered", "StateExited")):
            state = details.get("stateEnteredEventDetails") or details["stateExitedEventDetails"]
            journal.write(
                kind="state",
                execution=self._execution.arn,
                state=state["name"],
                type=name.removesuffix("StateEntered").removesuffix("StateExited"),
                event="entered" if name.endswith("StateEntered") else "exited",
            )
        if added >= HISTORY_LIMIT - 1:
            self._execution.fail_at_history_limit()
        return added

    def _publish_history_event(
        self, event_id: int, source_event_id: int, event_type: Any, timestamp: Any, event_details: Any
    ) -> None:
        if not self._closed:
            name = str(getattr(event_type, "value", event_type))
            self._events.append(
                {
                    "id": event_id,
                    "previousEventId": source_event_id,
                    "type": name,
                    "timestamp": timestamp,
                    **(event_details or {}),
                }
            )

    def close(self, event_type: str, details: dict[str, Any], context: EventHistoryContext) -> None:
        """Add the terminal event; nothing is added after it."""
        if event_type == "ExecutionAborted":
            context.source_event_id = 0
        super().add_event(context, HistoryEventType(event_type), cast(EventDetails, details))
        self._closed = True


class RunningExecution:
    """An execution that has not ended yet."""

    def __init__(self, record: dict[str, Any], resumed: Suspended | None = None) -> None:
        self.record = record
        self.arn: str = record["executionArn"]
        self._resumed = resumed
        self._lock = threading.Lock()
        self.ends_at_next_transition = False  # once its state machine is being deleted
        self._ended = False  # of this run: after a redrive, the same record is running again
        parts = self.arn.split(":")
        self._region, self._account = parts[3], parts[4]
        data = {
            "Id": self.arn,
            "Input": json.loads(record["input"]),
            "Name": record["name"],
            "RoleArn": record["roleArn"],
            "StartTime": record["startDate"],
            "RedriveCount": record["redriveCount"],
        }
        if record.get("redriveDate"):
            data["RedriveTime"] = record["redriveDate"]
        machine = StateMachineData(Id=record["stateMachineArn"], Name=record["stateMachineArn"].rsplit(":", 1)[-1])
        self.environment = Environment(
            aws_execution_details=AWSExecutionDetails(
                account=self._account, region=self._region, role_arn=record["roleArn"]
            ),
            execution_type=StateMachineType(record["type"]),
            context=ContextObjectData(Execution=data, StateMachine=machine),  # type: ignore[typeddict-item]
            event_history_context=EventHistoryContext.of_program_start(),
            cloud_watch_logging_session=None,
            activity_store={},
            variable_store=resumed.variables if resumed else None,
        )
        self.history = History(self)
        self.environment.event_manager = self.history
        running[self.arn] = self

    def run(self) -> None:
        """Interpret the definition until it ends. Blocks."""
        try:
            self._interpret()
        except Exception as error:  # an execution that nobody runs must not look as if it were running
            LOG.exception("the interpreter failed in %s", self.arn)
            failure = {"error": "States.Runtime", "cause": f"{type(error).__name__}: {error}"}
            self._end("FAILED", "ExecutionFailed", "executionFailedEventDetails", failure, **failure)

    def _interpret(self) -> None:
        environment = self.environment
        context = environment.event_history_context
        program = cast(Program, AmazonStateLanguageParser.parse(self.record["definition"])[0])
        if self._resumed:
            details = {"executionRedrivenEventDetails": {"redriveCount": self.record["redriveCount"]}}
            context.source_event_id = len(self.record["events"])
            self.history.add_event(context, HistoryEventType.ExecutionRedriven, details)
            environment.states.reset(self._resumed.state_input)
        else:
            started = {
                "input": self.record["input"],
                "inputDetails": {"truncated": False},
                "roleArn": self.record["roleArn"],
            }
            self.history.add_event(
                context,
                HistoryEventType.ExecutionStarted,
                {"executionStartedEventDetails": started},
                update_source_event_id=False,
            )
        environment.next_state_name = self._resumed.state_name if self._resumed else program.start_at.start_at_name
        timer = None
        if program.timeout_seconds:
            timer = threading.Timer(program.timeout_seconds.timeout_seconds, self.time_out)
            timer.daemon = True
            timer.start()
        try:
            program._eval_body(environment)
        finally:
            if timer:
                timer.cancel()
            TMP_THREADS.clear()  # moto keeps every thread it ever started, for its own tests
        self._interpreted()

    def _interpreted(self) -> None:
        state = self.environment.program_state()
        if isinstance(state, ProgramEnded):
            output = json.dumps(plain(self.environment.states.get_input()), separators=(",", ":"))
            details = {"output": output, "outputDetails": {"truncated": False}}
            self._end("SUCCEEDED", "ExecutionSucceeded", "executionSucceededEventDetails", details, output=output)
        elif isinstance(state, ProgramError):
            failure = {key: value for key, value in (state.error or {}).items() if value is not None}
            self._end("FAILED", "ExecutionFailed", "executionFailedEventDetails", failure, **failure)

    def stop(self, error: str | None, cause: str | None) -> bool:
        """StopExecution. False if it has ended already."""
        given = {key: value for key, value in (("error", error), ("cause", cause)) if value is not None}
        if not self._end("ABORTED", "ExecutionAborted", "executionAbortedEventDetails", given, **given):
            return False
        self.environment.set_stop(stop_date=self.record["stopDate"], error=error, cause=cause)
        self._wake()
        return True

    def time_out(self) -> None:
        """The machine's own TimeoutSeconds have passed. The error is empty then, as on AWS."""
        if self._end("TIMED_OUT", "ExecutionTimedOut", "executionTimedOutEventDetails", {}):
            self.environment.set_timed_out()
            self._wake()

    def fail_at_history_limit(self) -> None:
        """AWS ends an execution whose history reaches 25,000 events; no Catch sees it."""
        failure = {
            "error": "States.Runtime",
            "cause": f"The execution reached the maximum number of history events ({HISTORY_LIMIT}).",
        }
        if self._end("FAILED", "ExecutionFailed", "executionFailedEventDetails", failure, **failure):
            self.environment.set_stop(stop_date=self.record["stopDate"], error=None, cause=None)
            self._wake()

    def _wake(self) -> None:
        """Waiting for a token is not interrupted by the end of the execution: end the waits too."""
        for endpoint in list(self.environment.callback_pool_manager._pool.values()):
            endpoint.interrupt_all()

    def _end(self, status: str, event_type: str, details_name: str, details: dict[str, Any], **fields: Any) -> bool:
        with self._lock:
            if self._ended:
                return False
            self._ended = True
            self.history.close(event_type, {details_name: details}, self.environment.event_history_context)
            if status in REDRIVABLE and self.history.last_entered:
                name, given = self.history.last_entered
                _suspended[self.arn] = Suspended(name, given, self.environment.variable_store)
            self.record.update(stopDate=now(), **fields)
            self.record["status"] = status
        running.pop(self.arn, None)
        self.announce()
        return True

    def announce(self) -> None:
        """Tell the journal and EventBridge about the status."""
        journal.write(
            kind="execution", execution=self.arn, status=self.record["status"], error=self.record.get("error")
        )
        with request_scope(self._account, self._region):
            emit_status_event(self.record)


def suspended(arn: str) -> Suspended | None:
    """Where the execution stood when it ended without success; forgotten once asked for."""
    return _suspended.pop(arn, None)


def seconds_since_end(record: dict[str, Any]) -> float:
    """How long ago an execution ended; negative while it runs."""
    if record["status"] == "RUNNING" or not record.get("stopDate"):
        return -1.0
    ended = datetime.datetime.fromisoformat(record["stopDate"].replace("Z", "+00:00"))
    return (datetime.datetime.now(datetime.timezone.utc) - ended).total_seconds()


def _milliseconds(moment: str | None) -> int | None:
    if moment is None:
        return None
    return int(datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() * 1000)


def _included(payload: str | None) -> tuple[str | None, dict[str, bool] | None]:
    if payload is None:
        return None, None
    return (payload, {"included": True}) if len(payload) <= LARGEST_EVENT_PAYLOAD else (None, {"included": False})


def redrive_status(record: dict[str, Any]) -> tuple[str, str]:
    """redriveStatus and its reason, as DescribeExecution and the status event have them."""
    if record["status"] in REDRIVABLE:
        return "REDRIVABLE", f"Execution is {record['status']} and can be redriven"
    return "NOT_REDRIVABLE", f"Execution is {record['status']} and cannot be redriven"


def emit_status_event(record: dict[str, Any]) -> None:
    """The event "Step Functions Execution Status Change" with every field that AWS documents.

    ministack's lacks ABORTED's and TIMED_OUT's error, the version and alias, and the redrive fields.
    Express executions have no such events.
    """
    if record["type"] == "EXPRESS":
        return
    sent_input, input_details = _included(record["input"])
    sent_output, output_details = _included(record["output"])
    status, reason = redrive_status(record)
    detail = {
        "executionArn": record["executionArn"],
        "stateMachineArn": record["stateMachineArn"],
        "name": record["name"],
        "status": record["status"],
        "startDate": _milliseconds(record["startDate"]),
        "stopDate": _milliseconds(record["stopDate"]),
        "input": sent_input,
        "inputDetails": input_details,
        "output": sent_output,
        "outputDetails": output_details,
        "error": record.get("error"),
        "cause": record.get("cause"),
        "stateMachineVersionArn": record.get("stateMachineVersionArn"),
        "stateMachineAliasArn": record.get("stateMachineAliasArn"),
        "redriveCount": record["redriveCount"],
        "redriveDate": _milliseconds(record.get("redriveDate")),
        "redriveStatus": status,
        "redriveStatusReason": reason if status == "NOT_REDRIVABLE" else None,
    }
    entry = {
        "Source": "aws.states",
        "DetailType": "Step Functions Execution Status Change",
        "Detail": json.dumps(detail),
        "Resources": [record["executionArn"]],
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
