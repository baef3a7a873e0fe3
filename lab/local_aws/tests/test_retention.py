"""What AWS keeps for hours or months, and a lab for seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from local_aws.tests.machines import Machines, passing
from local_aws.tests.support import Lab, start_lab, wait_for
from local_aws.tests.test_cloudwatch import NAMESPACE, stat


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with a short memory."""
    data = tmp_path_factory.mktemp("forgetful") / "data"
    running = start_lab(data, "--execution-name-retention", "5", "--sub-minute-retention", "30")
    yield running
    running.process.terminate()
    running.process.wait(10)


def test_the_name_of_an_execution_is_free_some_time_after_its_end(forgetful: Lab) -> None:
    """The model's text of StartExecution: "You can reuse the name 90 days after it closes"."""
    machines = Machines(forgetful, "none")
    states = {"Wait": {"Type": "Wait", "Seconds": 3, "Next": "Done"}, "Done": passing(1)}
    machine = machines.create("names", states)
    start = machines.client.start_execution
    first = start(stateMachineArn=machine, name="one", input='{"a":1}')
    start(stateMachineArn=machine, name="never-asked-for-again", input="{}")
    # While it runs the same name and input are the same execution, however long that takes.
    wait_for(lambda: machines.events(first["executionArn"]))
    assert start(stateMachineArn=machine, name="one", input='{"a":1}')["startDate"] == first["startDate"]
    wait_for(lambda: machines.status(first["executionArn"]) == "SUCCEEDED")
    assert machines.refused(start, stateMachineArn=machine, name="one", input='{"a":1}') == "ExecutionAlreadyExists"
    describe = machines.client.describe_execution

    def forgotten() -> bool:
        try:
            describe(executionArn=first["executionArn"])
        except machines.client.exceptions.ExecutionDoesNotExist:
            return True
        return False

    wait_for(forgotten, what="the end of the execution's name")
    history = machines.client.get_execution_history
    assert machines.refused(history, executionArn=first["executionArn"]) == "ExecutionDoesNotExist"
    listed = machines.client.list_executions
    wait_for(lambda: not listed(stateMachineArn=machine)["executions"], what="the end of both in the list")
    again = start(stateMachineArn=machine, name="one", input='{"a":2}')
    assert again["executionArn"] == first["executionArn"]
    assert again["startDate"] > first["startDate"]
    assert describe(executionArn=again["executionArn"])["input"] == '{"a":2}'


def test_short_periods_are_kept_for_a_while(forgetful: Lab) -> None:
    cloudwatch = forgetful.client("cloudwatch")
    now = int(time.time())
    datum = {"MetricName": "m", "Timestamp": now, "Value": 1.0}
    cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=[datum])

    def values(start: int, period: int) -> list[float]:
        answer = cloudwatch.get_metric_data(
            MetricDataQueries=[stat("a", "m", period=period)], StartTime=start, EndTime=now + 60
        )
        return list(answer["MetricDataResults"][0]["Values"])

    assert values(now, 1) == [1.0]
    assert values(now - 120, 1) == []
    assert values(now - 120, 60) == [1.0]
