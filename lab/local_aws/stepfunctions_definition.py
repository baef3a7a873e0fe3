"""Check a definition as AWS does when a machine is created, so that a broken one is found at deployment.

ministack checks only the syntax of JSONata expressions, and nothing for machines that CloudFormation
creates; a missing state would show in the middle of an execution.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ministack.services import stepfunctions as service
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser, ASLParserException

JSONPATH_ONLY = (
    "Parameters",
    "ResultPath",
    "ResultSelector",
    "InputPath",
    "OutputPath",
    "TimeoutSecondsPath",
    "HeartbeatSecondsPath",
)
JSONATA_ONLY = ("Arguments", "Output")


def _targets(state: dict[str, Any]) -> Iterator[str]:
    for holder in (state, *state.get("Choices", []), *state.get("Catch", [])):
        if "Next" in holder:
            yield holder["Next"]
    if "Default" in state:
        yield state["Default"]


def _inner_machines(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from state.get("Branches", [])
    for name in ("ItemProcessor", "Iterator"):
        if name in state:
            yield state[name]


def _walk(machine: dict[str, Any], path: str, language: str) -> str | None:
    language = machine.get("QueryLanguage", language)
    states = machine.get("States", {})
    if machine.get("StartAt") not in states:
        return f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {machine.get('StartAt')} at {path}/StartAt"
    reached = {machine["StartAt"]}
    for name, state in states.items():
        here = f"{path}/States/{name}"
        for target in _targets(state):
            if target not in states:
                return f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {target} at {here}"
            reached.add(target)
        if state["Type"] not in ("Choice", "Succeed", "Fail") and "Next" not in state and not state.get("End"):
            return f"SCHEMA_VALIDATION_FAILED: Expected a 'Next' or 'End' field at {here}"
        wrong = JSONPATH_ONLY if state.get("QueryLanguage", language) == "JSONata" else JSONATA_ONLY
        for field in wrong:
            if field in state:
                return (
                    f"SCHEMA_VALIDATION_FAILED: The field '{field}' is not supported in this query language at {here}"
                )
        for inner in _inner_machines(state):
            if found := _walk(inner, here, language):
                return found
    unreached = [name for name in states if name not in reached]
    if unreached:
        return f'MISSING_TRANSITION_TARGET: State "{unreached[0]}" is not reachable. at {path}/States/{unreached[0]}'
    return None


def problem(definition: str) -> str | None:
    """The first thing wrong with the definition, or None."""
    try:
        machine = json.loads(definition)
    except ValueError as error:
        return f"INVALID_JSON_DESCRIPTION: {error}"
    if not isinstance(machine, dict):
        return "INVALID_JSON_DESCRIPTION: the definition is not an object"
    if invalid := service._validate_definition_jsonata(definition):
        return str(invalid)
    try:
        AmazonStateLanguageParser.parse(definition)
    except ASLParserException as error:
        return f"SCHEMA_VALIDATION_FAILED: {error}"
    except Exception as error:  # moto's preprocessor raises whatever the component at hand raises
        return f"SCHEMA_VALIDATION_FAILED: {type(error).__name__}: {error}"
    return _walk(machine, "", "JSONPath")
