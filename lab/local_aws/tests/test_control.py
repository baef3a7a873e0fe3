"""The lab's own paths, which the runner looks through."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

from local_aws.tests.support import Lab, wait_for


def _ask(lab: Lab, place: str) -> Any:
    with urllib.request.urlopen(f"{lab.endpoint}/_lab/{place}") as answer:
        return json.load(answer)


def test_logs_of_functions_are_read_in_order_and_from_a_moment_on(lab: Lab, probe: str) -> None:
    begun = time.time()
    function = lab.client("lambda")
    function.invoke(FunctionName=probe, Payload=b"{}")

    def lines(since: float) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = _ask(lab, f"logs?since={since}")["groups"].get(f"/aws/lambda/{probe}", [])
        return found

    def started() -> list[dict[str, Any]]:
        return [line for line in lines(begun) if line["message"].startswith("START")]

    assert wait_for(started, what="the start of the invocation in the log")[0]["stream"]
    times = [line["timestamp"] for line in lines(0)]
    assert times == sorted(times)
    assert lines(time.time() + 60) == []
