"""Metrics Insights: one SQL query in each call."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.metrics_insights import InsightsError, parse
from local_aws.tests.support import Lab
from local_aws.tests.test_cloudwatch import BASE, NAMESPACE, get, put, stat


def select(text: str, name: str = "q", period: int = 60) -> dict[str, Any]:
    return {"Id": name, "Expression": text, "Period": period}


def pair(name: str, value: str) -> dict[str, str]:
    return {"Name": name, "Value": value}


@pytest.fixture
def observed(lab: Lab, unique: str) -> str:
    """A metric with three sets of dimensions."""
    put(lab, unique, {0: 1.0, 60: 2.0}, Dimensions=[pair("Slot", "blue")])
    put(lab, unique, {0: 5.0}, Dimensions=[pair("Slot", "green")])
    put(lab, unique, {0: 100.0}, Dimensions=[pair("Slot", "blue"), pair("Zone", "a")])
    return unique


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('SELECT SUM("{m}") FROM "{n}"', [(0, 106.0), (60, 2.0)]),
        ('SELECT SUM("{m}") FROM SCHEMA("{n}", Slot)', [(0, 6.0), (60, 2.0)]),
        ('select max("{m}") from schema("{n}", Slot)', [(0, 5.0), (60, 2.0)]),
        ('SELECT MIN("{m}") FROM SCHEMA("{n}", Slot)', [(0, 1.0), (60, 2.0)]),
        ('SELECT AVG("{m}") FROM SCHEMA("{n}", Slot)', [(0, 3.0), (60, 2.0)]),
        ('SELECT COUNT("{m}") FROM SCHEMA("{n}", Slot)', [(0, 2.0), (60, 1.0)]),
        ("SELECT SUM(\"{m}\") FROM SCHEMA(\"{n}\", Slot) WHERE Slot = 'green'", [(0, 5.0)]),
        ("SELECT SUM(\"{m}\") FROM SCHEMA(\"{n}\", Slot) WHERE Slot != 'green'", [(0, 1.0), (60, 2.0)]),
        ("SELECT SUM(\"{m}\") FROM \"{n}\" WHERE Slot = 'blue' AND Zone = 'a'", [(0, 100.0)]),
        ('SELECT SUM("{m}") FROM SCHEMA("{n}")', []),
    ],
)
def test_a_query_gives_one_time_series(
    lab: Lab, observed: str, query: str, expected: list[tuple[int, float]]
) -> None:
    found = get(lab, select(query.format(m=observed, n=NAMESPACE)), EndTime=BASE + 120)
    assert found == {"q": expected}


def test_a_query_can_be_an_operand_of_metric_math(lab: Lab, observed: str) -> None:
    query = select(f'SELECT SUM("{observed}") FROM SCHEMA("{NAMESPACE}", Slot)')
    found = get(lab, {**query, "ReturnData": False}, {"Id": "half", "Expression": "q / 2"}, EndTime=BASE + 60)
    assert found == {"half": [(0, 3.0)]}


def test_a_call_has_one_query_and_any_number_of_metrics(lab: Lab, observed: str) -> None:
    query = f'SELECT SUM("{observed}") FROM SCHEMA("{NAMESPACE}", Slot)'
    blue = stat("a", observed, period=60, Dimensions=[pair("Slot", "blue")])
    assert get(lab, select(query), blue, EndTime=BASE + 60) == {"q": [(0, 6.0)], "a": [(0, 1.0)]}
    with pytest.raises(ClientError) as error:
        get(lab, select(query), blue, select(query, "r"), EndTime=BASE + 60)
    assert error.value.response["Error"]["Code"] == "ValidationError"
    assert error.value.response["Error"]["Message"] == "Maximum number of queries (1) exceeded"


def test_quotation_marks_in_names_are_escaped() -> None:
    insight = parse(r"""SELECT AVG("Bytes\"Input\"") FROM "My.Space" WHERE "The Label" = 'it\'s'""")
    assert (insight.metric, insight.namespace) == ('Bytes"Input"', "My.Space")
    assert insight.conditions == (("The Label", True, "it's"),)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "SELECT MEDIAN(a) FROM b",
        "SELECT SUM(a)",
        "SELECT SUM(a) FROM AWS/ELB",
        'SELECT SUM(a) FROM b WHERE c = "d"',
        "SELECT SUM(a) FROM b WHERE c > 'd'",
        "SELECT SUM(a) FROM b GROUP BY c",
        "SELECT SUM(a) FROM b WHERE tag.env = 'prod'",
    ],
)
def test_a_query_that_is_wrong_or_not_supported_is_refused(lab: Lab, query: str) -> None:
    with pytest.raises(InsightsError):
        parse(query)
    with pytest.raises(ClientError) as error:
        get(lab, select(query))
    assert error.value.response["Error"]["Code"] == "ValidationError"
