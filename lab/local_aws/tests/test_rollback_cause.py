"""The real definition: what its execution says when the rollback fails for good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonata import Jsonata

DEFINITION = Path(__file__).parents[3] / "statemachine" / "deployment.asl.json"
LED_HERE = {"name": "AlarmFired", "cause": "`green-errors` fired"}
BEGINS = "`green-errors` fired - the rollback failed as well, the sweep goes on with it: "


def cause(error: dict[str, Any], output: dict[str, Any]) -> Any:
    """What the Catch of the rollback assigns."""
    states = json.loads(DEFINITION.read_text())["States"]
    expression = Jsonata(states["Rollback"]["Catch"][0]["Assign"]["failure"]["cause"][2:-2])
    frame = expression.create_frame()
    frame.bind("error", error)
    frame.bind("states", {"errorOutput": output})
    return expression.evaluate(None, frame)


def of_a_function(**fields: str) -> dict[str, str]:
    return {"Error": "Unexpected", "Cause": json.dumps(fields, separators=(",", ":"))}


@pytest.mark.parametrize("order", [1, -1])
def test_words_instead_of_json(order: int) -> None:
    said = 'no permission for "ModifyRule":\n{"a":"b"}'
    fields = {"errorType": "Unexpected", "errorMessage": said}
    output = of_a_function(**dict(list(fields.items())[::order]))
    assert cause(LED_HERE, output) == BEGINS + 'no permission for "ModifyRule": {"a":"b"}'


def test_the_error_that_led_there_is_in_words_too() -> None:
    led_here = {"name": "VerdictFailed", "cause": of_a_function(errorMessage="too many bad requests")["Cause"]}
    assert cause(led_here, {"Error": "States.Timeout"}).startswith("too many bad requests - ")


@pytest.mark.parametrize(
    "output",
    [
        {},
        *({"Cause": text} for text in ["", "plain", "{", '{"errorMessage":', '{"errorMessage":"', '{"errorMessage":"x']),
        {"Cause": '{"errorMessage":null}'},
        {"Cause": "x" * 40_000},
    ],
)
def test_it_never_fails(output: dict[str, Any]) -> None:
    assert cause(LED_HERE, {"Error": "States.Timeout", **output}).startswith(BEGINS)
