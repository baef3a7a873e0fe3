"""State machines for tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local_aws.tests.functions import allow, create_role
from local_aws.tests.support import Lab, wait_for

INVOKE = "arn:aws:states:::lambda:invoke"
INVOKE_AND_WAIT = INVOKE + ".waitForTaskToken"
State = dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """An execution that is over."""

    description: dict[str, Any]
    events: list[dict[str, Any]]

    @property
    def status(self) -> str:
        """SUCCEEDED, FAILED, ABORTED or TIMED_OUT."""
        return str(self.description["status"])

    @property
    def output(self) -> Any:
        """What it succeeded with; an assertion with all details when it did not."""
        assert self.status == "SUCCEEDED", self.description
        return json.loads(self.description["output"])

    @property
    def error(self) -> tuple[str | None, str | None]:
        """Error and cause."""
        return self.description.get("error"), self.description.get("cause")

    def types(self) -> list[str]:
        """The types of its events, in order."""
        return [event["type"] for event in self.events]

    def seconds(self) -> float:
        """How long it took."""
        return float((self.description["stopDate"] - self.description["startDate"]).total_seconds())


class Machines:
    """Creates and runs state machines with a role that may do everything."""

    def __init__(self, lab: Lab, function: str) -> None:
        self.lab = lab
        self.function = function
        self.client = lab.client("stepfunctions")
        self.role = create_role(lab, "all-machines", allow("*"), service="states")

    def task(self, payload: Any, *, resource: str = INVOKE, **fields: Any) -> State:
        """A Task state that invokes the probe function; it ends the machine unless it has a Next."""
        flow = {} if "Next" in fields else {"End": True}
        return {
            "Type": "Task",
            "Resource": resource,
            "Arguments": {"FunctionName": self.function, "Payload": payload},
            **flow,
            **fields,
        }

    def create(self, name: str, states: dict[str, State], *, role: str | None = None, **top: Any) -> str:
        """A machine in JSONata that starts at the first state; returns its ARN."""
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states, **top}
        created = self.client.create_state_machine(
            name=name, definition=json.dumps(definition), roleArn=role or self.role
        )
        return str(created["stateMachineArn"])

    def start(self, name: str, states: dict[str, State], given: Any = None, **settings: Any) -> str:
        """Create a machine and start it; returns the execution's ARN."""
        machine = self.create(name, states, **settings)
        return str(self.client.start_execution(stateMachineArn=machine, input=json.dumps(given or {}))["executionArn"])

    def run(self, name: str, states: dict[str, State], given: Any = None, **settings: Any) -> Ended:
        """Create a machine, run it to its end."""
        return self.ended(self.start(name, states, given, **settings))

    def ended(self, execution: str) -> Ended:
        """Wait for the end of an execution."""
        wait_for(lambda: self.status(execution) != "RUNNING", what=f"the end of {execution}")
        description = self.client.describe_execution(executionArn=execution)
        return Ended(description, self.events(execution))

    def status(self, execution: str) -> str:
        """The present status."""
        return str(self.client.describe_execution(executionArn=execution)["status"])

    def events(self, execution: str) -> list[dict[str, Any]]:
        """The history so far."""
        pages = self.client.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"]]

    def tokens(self, execution: str, attempts: int = 1) -> list[str]:
        """The tokens that were handed out, once there are that many and the last one's function has returned."""

        def submitted() -> list[str] | None:
            events = self.events(execution)
            if sum(event["type"] == "TaskSubmitted" for event in events) < attempts:
                return None
            scheduled = [event["taskScheduledEventDetails"] for event in events if event["type"] == "TaskScheduled"]
            return [json.loads(details["parameters"])["Payload"]["token"] for details in scheduled]

        return wait_for(submitted, what="the task token")

    def refused(self, call: Callable[..., Any], **parameters: Any) -> str:
        """The error code that a call is refused with."""
        try:
            call(**parameters)
        except self.client.exceptions.ClientError as error:
            return str(error.response["Error"]["Code"])
        raise AssertionError(f"{call} was not refused")


def passing(value: Any, **fields: Any) -> State:
    """A Pass state with this output that ends the machine unless it has a Next."""
    return {"Type": "Pass", "Output": value, **({} if "Next" in fields else {"End": True}), **fields}
