"""Metrics, statistics and metric math, over every protocol."""

from __future__ import annotations

import json
import time
from typing import Any

import cbor2
import pytest
import urllib3
from botocore.exceptions import ClientError

from local_aws.metric_math import evaluate
from local_aws.metric_store import Point
from local_aws.statistics_of import statistic
from local_aws.tests.support import Lab

BASE = int(time.time()) // 60 * 60 - 600
NAMESPACE = "Lab/Tests"


def put(lab: Lab, metric: str, values: dict[int, float], **more: Any) -> None:
    lab.client("cloudwatch").put_metric_data(
        Namespace=NAMESPACE,
        MetricData=[
            {"MetricName": metric, "Timestamp": BASE + second, "Value": value, **more}
            for second, value in values.items()
        ],
    )


def stat(name: str, metric: str, statistic_name: str = "Sum", period: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {"Namespace": NAMESPACE, "MetricName": metric, **more},
            "Period": period,
            "Stat": statistic_name,
        },
    }


def get(lab: Lab, *queries: dict[str, Any], **more: Any) -> dict[str, list[tuple[int, float]]]:
    parameters = {"StartTime": BASE, "EndTime": BASE + 5, "ScanBy": "TimestampAscending", **more}
    answer = lab.client("cloudwatch").get_metric_data(MetricDataQueries=list(queries), **parameters)
    return {
        result["Id"]: [
            (int(moment.timestamp()) - BASE, value)
            for moment, value in zip(result["Timestamps"], result["Values"], strict=True)
        ]
        for result in answer["MetricDataResults"]
    }


def test_what_was_not_reported_is_no_data_point(lab: Lab, unique: str) -> None:
    put(lab, unique, {0: 1.0, 2: 0.0})
    assert get(lab, stat("a", unique), stat("b", unique + "-never")) == {"a": [(0, 1.0), (2, 0.0)], "b": []}


def test_dimensions_must_match_exactly(lab: Lab, unique: str) -> None:
    one = [{"Name": "Slot", "Value": "blue"}]
    put(lab, unique, {0: 1.0}, Dimensions=one)
    both = [*one, {"Name": "Zone", "Value": "a"}]
    found = get(lab, stat("a", unique, Dimensions=one), stat("b", unique), stat("c", unique, Dimensions=both))
    assert found == {"a": [(0, 1.0)], "b": [], "c": []}


def test_results_come_newest_first_unless_asked_otherwise(lab: Lab, unique: str) -> None:
    put(lab, unique, {0: 1.0, 1: 2.0, 4: 3.0})
    assert get(lab, stat("a", unique), ScanBy="TimestampDescending")["a"] == [(4, 3.0), (1, 2.0), (0, 1.0)]
    assert get(lab, stat("a", unique, period=60), EndTime=BASE + 60)["a"] == [(0, 6.0)]


def test_metric_math_over_the_api(lab: Lab, unique: str) -> None:
    put(lab, unique, {0: 10.0, 1: 10.0, 2: 20.0})
    put(lab, unique + "-bad", {1: 5.0})
    hidden = [{**stat("requests", unique), "ReturnData": False}, {**stat("bad", unique + "-bad"), "ReturnData": False}]
    rate = {"Id": "rate", "Expression": "100 * FILL(bad, 0) / requests", "Label": "error rate"}
    decision = {"Id": "decision", "Expression": "IF(requests >= 10 AND rate > 1, 1, 0)"}
    assert get(lab, *hidden, decision, rate) == {
        "rate": [(0, 0.0), (1, 50.0), (2, 0.0)],
        "decision": [(0, 0.0), (1, 1.0), (2, 0.0)],
    }


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b", {0: 3.0}),
        ("a / z", {}),
        ("-a * 2 ^ 3", {0: -8.0, 1: -32.0}),
        ("FILL(b, 0)", {0: 2.0, 1: 0.0, 2: 0.0, 3: 5.0}),
        ("FILL(b, REPEAT)", {0: 2.0, 1: 2.0, 2: 2.0, 3: 5.0}),
        ("FILL(b, LINEAR)", {0: 2.0, 1: 3.0, 2: 4.0, 3: 5.0}),
        ("FILL(b, a)", {0: 2.0, 1: 4.0, 3: 5.0}),
        ("SUM(METRICS())", {0: 3.0, 1: 4.0, 2: 0.0, 3: 5.0}),
        ("SUM([a, b])", {0: 3.0, 1: 4.0, 3: 5.0}),
        ("AVG([a, b])", {0: 1.5, 1: 4.0, 3: 5.0}),
        ("MAX(a) - MIN(a)", {0: 3.0, 1: 3.0, 2: 3.0, 3: 3.0}),
        ("ABS(0 - a)", {0: 1.0, 1: 4.0}),
        ("IF(a > 1, b, 7)", {0: 7.0}),
        ("IF(a > 1, a)", {1: 4.0}),
        ("a < 2 || a == 4", {0: 1.0, 1: 1.0}),
        ("a > 2 && a < 9", {0: 0.0, 1: 1.0}),
        ("a / PERIOD(a)", {0: 1 / 60, 1: 4 / 60}),
        ("TIME_SERIES(3) * a", {0: 3.0, 1: 12.0}),
        ("a > MAX(b)", {0: 0.0, 1: 0.0}),
        ("2 ^ 3 ^ 2 - 2 ^ -1 + 0 * a", {0: 511.5, 1: 511.5}),
        ("b - a - 1", {0: 0.0}),
        ("a > 3 OR a < 2 AND a > 3", {0: 0.0, 1: 1.0}),
        ("(a > 3 OR a < 2) AND a > 3", {0: 0.0, 1: 1.0}),
        ("SUM(METRICS('AND')) + a", {}),
    ],
)
def test_metric_math(expression: str, expected: dict[int, float]) -> None:
    variables = {"a": {0: 1.0, 1: 4.0}, "b": {0: 2.0, 3: 5.0}, "z": {2: 0.0}}
    assert evaluate(expression, variables, ["a", "b", "z"], range(4), 60) == pytest.approx(expected)


@pytest.mark.parametrize(
    "expression",
    ["a +", "unknown + a", "__import__('os')", "a.b", "a b", "(a", "a < 1 < 2", "SEARCH('x', 'Sum')"],
)
def test_an_expression_that_cannot_be_evaluated_is_refused(lab: Lab, unique: str, expression: str) -> None:
    with pytest.raises(ClientError) as error:
        get(lab, stat("a", unique), {"Id": "e", "Expression": expression})
    assert error.value.response["Error"]["Code"] == "ValidationError"


SAMPLES = [Point(1, value, value, value) for value in (10.0, 1.0, 2.0, 3.0, 4.0)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SampleCount", 5),
        ("Sum", 20),
        ("Average", 4),
        ("Minimum", 1),
        ("Maximum", 10),
        ("p50", 3),
        ("p90", 7.6),
        ("p99.9", 9.976),
        ("PR(:3)", 60),
        ("PR(1:4)", 60),
        ("TM(:3)", 2),
        ("TM(20%:80%)", 3),
        ("tm80", 2.5),
        ("TC(2:10)", 3),
        ("TS(2:10)", 17),
        ("WM(20%:80%)", 3),
        ("IQM", 3),
    ],
)
def test_statistics(name: str, expected: float) -> None:
    assert statistic(name, SAMPLES) == pytest.approx(expected)


def test_a_statistic_set_has_no_percentiles() -> None:
    assert statistic("p50", [Point(3, 6, 1, 3, is_set=True)]) is None
    assert statistic("Average", [Point(3, 6, 1, 3, is_set=True)]) == 2


def test_values_with_counts_and_statistic_sets_are_written(lab: Lab, unique: str) -> None:
    lab.client("cloudwatch").put_metric_data(
        Namespace=NAMESPACE,
        MetricData=[
            {"MetricName": unique, "Timestamp": BASE, "Values": [1.0, 3.0], "Counts": [3.0, 1.0]},
            {
                "MetricName": unique,
                "Timestamp": BASE + 1,
                "StatisticValues": {"SampleCount": 2, "Sum": 5, "Minimum": 1, "Maximum": 4},
            },
        ],
    )
    assert get(lab, stat("a", unique, "Average"), stat("b", unique, "SampleCount")) == {
        "a": [(0, 1.5), (1, 2.5)],
        "b": [(0, 4.0), (1, 2.0)],
    }


@pytest.mark.parametrize(
    "query",
    [
        {"Id": "Upper", "Expression": "1"},
        {"Id": "a"},
        stat("a", "m", "p101"),
        stat("a", "m", "Median"),
        stat("a", "m", period=7),
        stat("a", "m", period=90),
    ],
)
def test_a_query_that_aws_refuses_is_refused(lab: Lab, query: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as error:
        get(lab, query)
    assert error.value.response["Error"]["Code"] == "ValidationError"


def test_many_points_come_in_pages(lab: Lab, unique: str) -> None:
    put(lab, unique, {second: float(second) for second in range(5)})
    pages: list[list[float]] = []
    token: dict[str, str] = {}
    while True:
        answer = lab.client("cloudwatch").get_metric_data(
            MetricDataQueries=[stat("a", unique)], StartTime=BASE, EndTime=BASE + 5, MaxDatapoints=2, **token
        )
        (result,) = answer["MetricDataResults"]
        pages.append(result["Values"])
        if "NextToken" not in answer:
            assert result["StatusCode"] == "Complete"
            break
        assert result["StatusCode"] == "PartialData"
        token = {"NextToken": answer["NextToken"]}
    assert pages == [[4.0, 3.0], [2.0, 1.0], [0.0]]


def test_all_protocols_agree(lab: Lab, unique: str) -> None:
    put(lab, unique, {0: 1.5})
    authorization = (
        "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/monitoring/aws4_request, "
        "SignedHeaders=host, Signature=0"
    )
    http = urllib3.PoolManager()
    form = {
        "Action": "GetMetricData",
        "Version": "2010-08-01",
        "StartTime": str(BASE),
        "EndTime": str(BASE + 5),
        "MetricDataQueries.member.1.Id": "a",
        "MetricDataQueries.member.1.MetricStat.Metric.Namespace": NAMESPACE,
        "MetricDataQueries.member.1.MetricStat.Metric.MetricName": unique,
        "MetricDataQueries.member.1.MetricStat.Period": "1",
        "MetricDataQueries.member.1.MetricStat.Stat": "Sum",
    }
    headers = {"Authorization": authorization}
    text = http.request_encode_body(
        "POST", lab.endpoint, fields=form, encode_multipart=False, headers=headers
    ).data.decode()
    assert "<Values><member>1.5</member></Values>" in text
    body = {"MetricDataQueries": [stat("a", unique)], "StartTime": cbor2.CBORTag(1, BASE), "EndTime": cbor2.CBORTag(1, BASE + 5)}
    cbor_headers = {
        **headers,
        "Content-Type": "application/cbor",
        "smithy-protocol": "rpc-v2-cbor",
        "Accept": "application/cbor",
    }
    url = f"{lab.endpoint}/service/GraniteServiceVersion20100801/operation/GetMetricData"
    raw = http.request("POST", url, body=cbor2.dumps(body), headers=cbor_headers).data
    (result,) = cbor2.loads(raw)["MetricDataResults"]
    assert result["Values"] == [1.5]
    assert [moment.timestamp() for moment in result["Timestamps"]] == [BASE]
    json_headers = {
        **headers,
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "GraniteServiceVersion20100801.GetMetricData",
    }
    document = json.dumps({"MetricDataQueries": [stat("a", unique)], "StartTime": BASE, "EndTime": BASE + 5})
    (result,) = http.request("POST", lab.endpoint, body=document, headers=json_headers).json()["MetricDataResults"]
    assert (result["Timestamps"], result["Values"], result["StatusCode"]) == ([BASE], [1.5], "Complete")


def test_metrics_are_listed_and_statistics_read(lab: Lab, unique: str) -> None:
    put(lab, unique, {0: 2.0, 1: 4.0}, Dimensions=[{"Name": "Slot", "Value": "blue"}])
    cloudwatch = lab.client("cloudwatch")
    listed = cloudwatch.list_metrics(Namespace=NAMESPACE, MetricName=unique, Dimensions=[{"Name": "Slot"}])
    assert listed["Metrics"] == [
        {"Namespace": NAMESPACE, "MetricName": unique, "Dimensions": [{"Name": "Slot", "Value": "blue"}]}
    ]
    (point,) = cloudwatch.get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName=unique,
        Dimensions=[{"Name": "Slot", "Value": "blue"}],
        StartTime=BASE,
        EndTime=BASE + 60,
        Period=60,
        Statistics=["Average", "SampleCount"],
    )["Datapoints"]
    assert (point["Average"], point["SampleCount"]) == (3.0, 2.0)
