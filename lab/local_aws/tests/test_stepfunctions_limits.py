"""The history limit, on the execution itself: 25,000 events through the server would take too long."""

from __future__ import annotations

from typing import Any

import pytest
from moto.stepfunctions.parser.api import HistoryEventType

from local_aws import journal, stepfunctions_execution
from local_aws.stepfunctions_execution import HISTORY_LIMIT, RunningExecution
from local_aws.tests.support import ACCOUNT, REGION


def test_an_execution_fails_at_25000_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "write", lambda **line: None)
    monkeypatch.setattr(stepfunctions_execution, "emit_status_event", lambda record: None)
    record: dict[str, Any] = {
        "executionArn": f"arn:aws:states:{REGION}:{ACCOUNT}:execution:m:e",
        "stateMachineArn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:m",
        "name": "e",
        "type": "STANDARD",
        "roleArn": "r",
        "status": "RUNNING",
        "startDate": "2026-01-01T00:00:00.000Z",
        "input": "{}",
        "redriveCount": 0,
        "events": [],
    }
    execution = RunningExecution(record)
    environment = execution.environment
    environment.next_state_name = "A"
    for _ in range(HISTORY_LIMIT + 5):
        execution.history.add_event(environment.event_history_context, HistoryEventType.TaskScheduled)
    assert (record["status"], record["error"]) == ("FAILED", "States.Runtime")
    assert [event["type"] for event in record["events"][-2:]] == ["TaskScheduled", "ExecutionFailed"]
    assert len(record["events"]) == HISTORY_LIMIT
    assert not environment.is_running()
