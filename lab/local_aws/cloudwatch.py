"""CloudWatch metrics: writing, reading, metric math.

Replaced because ministack ignores the dimensions of queries without any, knows neither metric math nor
most extended statistics (it silently answers the average), ignores ScanBy, and loses points under load
(``metric_store``).

Known deviations from AWS: data is readable at once and not after a minute or two; any metric can be
read with periods down to one second (AWS: standard metrics from 60 s); times of response are kept in
classes 1 % apart (``traffic_metrics``); Metrics Insights is a small part of it (``metrics_insights``).
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ministack.services import cloudwatch

from local_aws import metric_math, metric_periods, metrics_insights
from local_aws.aws_protocol import CBOR, JSON, QUERY, Document, HttpResponse, ServiceError, call
from local_aws.metric_math import MetricMathError, Series
from local_aws.metric_periods import MINUTE, first_period, is_kept
from local_aws.metric_store import MetricKey, Point, metric_key, store
from local_aws.metrics_insights import InsightsError
from local_aws.replacing import replace
from local_aws.settings import Settings
from local_aws.statistics_of import BASIC, is_statistic, statistic

MOST_QUERIES = 500
MOST_DATAPOINTS = 100_800
HIGH_RESOLUTION_PERIODS = frozenset({1, 5, 10, 20, 30})
LIST_PAGE = 500
RECENTLY_ACTIVE_SECONDS = 3 * 3600
QUERY_ID = re.compile(r"[a-z]\w{0,254}")
HANDLER_PARAMETERS = ("params", "cbor_data", "is_cbor", "is_json")


@dataclass(frozen=True)
class QueryResult:
    """What one query of GetMetricData or of an alarm gave."""

    identifier: str
    label: str
    series: Series
    period: int
    returned: bool


def run_queries(queries: Sequence[Document], start: float, end: float) -> list[QueryResult]:
    """Evaluate metric queries and expressions; raises ServiceError on an invalid one."""
    _validate(queries)
    series: dict[str, Series] = {}
    periods: dict[str, int] = {}
    metrics = [query["Id"] for query in queries if "MetricStat" in query]
    insights = metrics_insights.of(queries)
    for query in queries:
        if "MetricStat" in query:
            series[query["Id"]] = _metric_series(query["MetricStat"], start, end)
            periods[query["Id"]] = int(query["MetricStat"]["Period"])
        elif query["Id"] in insights:
            periods[query["Id"]] = int(query.get("Period", MINUTE))
            series[query["Id"]] = _insight_series(query, periods[query["Id"]], start, end)
    pending = {query["Id"]: query for query in queries if query["Id"] not in series}
    while pending:
        ready = [
            name
            for name, query in pending.items()
            if not metric_math.references(query["Expression"]) & set(pending) - {name}
        ]
        if not ready:
            raise ServiceError("ValidationError", f"Expressions refer to each other: {sorted(pending)}")
        for name in ready:
            query = pending.pop(name)
            periods[name] = _expression_period(query, periods, metrics)
            series[name] = _expression_series(query, series, metrics, periods[name], start, end)
    return [
        QueryResult(
            identifier=query["Id"],
            label=query.get("Label") or _default_label(query),
            series=series[query["Id"]],
            period=periods[query["Id"]],
            returned=bool(query.get("ReturnData", True)),
        )
        for query in queries
    ]


def get_metric_data(request: Document) -> Document:
    """GetMetricData. What has no data has no data points; nothing is filled up.

    The limit of data points is that of the whole answer; how AWS divides it is not documented, here each
    series gets the same. With metric math there is no next page ("NextToken is not returned if you are
    performing a math expression", the model's text of StatusCode), only PartialData.
    """
    if request["StartTime"] >= request["EndTime"]:
        raise ServiceError("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
    queries = request["MetricDataQueries"]
    results = [
        result for result in run_queries(queries, request["StartTime"], request["EndTime"]) if result.returned
    ]
    newest_first = request.get("ScanBy", "TimestampDescending") != "TimestampAscending"
    skip = _token_offset(request.get("NextToken"))
    allowed = min(int(request.get("MaxDatapoints", MOST_DATAPOINTS)), MOST_DATAPOINTS)
    room = max(1, allowed // max(1, len(results)))
    rendered = []
    for result in results:
        timestamps = sorted(result.series, reverse=newest_first)
        page = timestamps[skip : skip + room]
        rendered.append({
            "Id": result.identifier,
            "Label": result.label,
            "Timestamps": page,
            "Values": [result.series[timestamp] for timestamp in page],
            "StatusCode": "Complete" if skip + room >= len(timestamps) else "PartialData",
        })
    calculates = any("Expression" in query and not metrics_insights.is_query(query["Expression"]) for query in queries)
    more = any(item["StatusCode"] == "PartialData" for item in rendered) and not calculates
    return {"MetricDataResults": rendered, "NextToken": str(skip + room) if more else None, "Messages": []}


def put_metric_data(request: Document) -> Document:
    """PutMetricData: single values, values with counts, statistic sets."""
    for datum in request.get("MetricData", []):
        dimensions = dimensions_of(datum.get("Dimensions", []))
        timestamp = datum.get("Timestamp", time.time())
        unit = datum.get("Unit", "None")
        for point in _points(datum):
            store.add_point(request["Namespace"], datum["MetricName"], dimensions, timestamp, unit, point)
    return {}


def get_metric_statistics(request: Document) -> Document:
    """GetMetricStatistics."""
    period = int(request["Period"])
    check_period(period)
    wanted = [*request.get("Statistics", []), *request.get("ExtendedStatistics", [])]
    if not wanted or not all(is_statistic(name) for name in wanted):
        raise ServiceError("InvalidParameterValue", f"Statistics and ExtendedStatistics: {wanted}")
    key = metric_key(
        request["Namespace"], request["MetricName"], dimensions_of(request.get("Dimensions", []))
    )
    datapoints = []
    for timestamp, points in _buckets(key, request["StartTime"], request["EndTime"], period).items():
        datapoint: Document = {"Timestamp": timestamp, "Unit": store.unit(key), "ExtendedStatistics": {}}
        for name in wanted:
            value = statistic(name, points)
            if value is not None:
                (datapoint if name in BASIC else datapoint["ExtendedStatistics"])[name] = value
        datapoints.append(datapoint)
    return {"Label": request["MetricName"], "Datapoints": datapoints}


def list_metrics(request: Document) -> Document:
    """ListMetrics."""
    since = time.time() - RECENTLY_ACTIVE_SECONDS if request.get("RecentlyActive") else 0.0
    found = []
    for namespace, name, dimensions in sorted(store.keys(since)):
        wanted = request.get("Dimensions", [])
        values = dict(dimensions)
        if (
            request.get("Namespace", namespace) == namespace
            and request.get("MetricName", name) == name
            and all(w["Name"] in values and w.get("Value", values[w["Name"]]) == values[w["Name"]] for w in wanted)
        ):
            named = [{"Name": key, "Value": value} for key, value in dimensions]
            found.append({"Namespace": namespace, "MetricName": name, "Dimensions": named})
    skip = _token_offset(request.get("NextToken"))
    more = skip + LIST_PAGE < len(found)
    return {"Metrics": found[skip : skip + LIST_PAGE], "NextToken": str(skip + LIST_PAGE) if more else None}


def dimensions_of(dimensions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Dimensions as a mapping."""
    return {dimension["Name"]: dimension["Value"] for dimension in dimensions}


def check_period(period: int) -> None:
    """Refuse a period that AWS knows for no kind of metric."""
    if period not in HIGH_RESOLUTION_PERIODS and (period < MINUTE or period % MINUTE):
        raise ServiceError(
            "ValidationError",
            f"The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60 seconds; it is {period}",
        )


def _validate(queries: Sequence[Document]) -> None:
    if not 1 <= len(queries) <= MOST_QUERIES:
        raise ServiceError("ValidationError", f"There must be 1 to {MOST_QUERIES} metric data queries")
    identifiers = [query.get("Id", "") for query in queries]
    for identifier in identifiers:
        if not QUERY_ID.fullmatch(identifier):
            raise ServiceError("ValidationError", f"The id '{identifier}' must start with a lower-case letter")
    if len(set(identifiers)) != len(identifiers):
        raise ServiceError("ValidationError", "The ids of metric data queries must be unique")
    if len(metrics_insights.of(queries)) > 1:
        # "Each GetMetricData operation can include only one query" (the model's text of GetMetricData).
        raise ServiceError("ValidationError", "Maximum number of queries (1) exceeded")
    for query in queries:
        if ("MetricStat" in query) == ("Expression" in query):
            raise ServiceError(
                "ValidationError", f"Query '{query['Id']}' must have either MetricStat or Expression"
            )
        if "MetricStat" in query:
            check_period(int(query["MetricStat"]["Period"]))
            if not is_statistic(query["MetricStat"]["Stat"]):
                raise ServiceError("ValidationError", f"Invalid statistic: {query['MetricStat']['Stat']}")
        elif "Period" in query:
            check_period(int(query["Period"]))


def _buckets(key: MetricKey, start: float, end: float, period: int) -> Mapping[int, list[Point]]:
    now = time.time()
    return store.buckets(key, first_period(start, period, now), end, period) if is_kept(start, period, now) else {}


def _metric_series(metric_stat: Document, start: float, end: float) -> Series:
    metric = metric_stat["Metric"]
    key = metric_key(
        metric["Namespace"], metric["MetricName"], dimensions_of(metric.get("Dimensions", []))
    )
    series = {}
    for timestamp, points in _buckets(key, start, end, int(metric_stat["Period"])).items():
        value = statistic(metric_stat["Stat"], points)
        if value is not None:
            series[timestamp] = value
    return series


def _insight_series(query: Document, period: int, start: float, end: float) -> Series:
    now = time.time()
    try:
        series = metrics_insights.evaluate(query["Expression"], first_period(start, period, now), end, period)
    except InsightsError as error:
        raise ServiceError("ValidationError", f"Error in expression '{query['Id']}': {error}") from error
    return series if is_kept(start, period, now) else {}


def _expression_period(query: Document, periods: Mapping[str, int], metrics: Sequence[str]) -> int:
    if "Period" in query:
        return int(query["Period"])
    named = [periods[name] for name in metric_math.references(query["Expression"]) if name in periods]
    every = [periods[name] for name in metrics]
    return min(named or every or [MINUTE])


def _expression_series(
    query: Document,
    series: Mapping[str, Series],
    metrics: Sequence[str],
    period: int,
    start: float,
    end: float,
) -> Series:
    timestamps = range(first_period(start, period, time.time()), math.ceil(end), period)
    try:
        return metric_math.evaluate(query["Expression"], series, metrics, timestamps, period)
    except MetricMathError as error:
        raise ServiceError("ValidationError", f"Error in expression '{query['Id']}': {error}") from error


def _default_label(query: Document) -> str:
    if "MetricStat" in query:
        return str(query["MetricStat"]["Metric"]["MetricName"])
    return str(query["Id"])


def _points(datum: Document) -> list[Point]:
    if "StatisticValues" in datum:
        values = datum["StatisticValues"]
        return [Point(values["SampleCount"], values["Sum"], values["Minimum"], values["Maximum"], is_set=True)]
    values = datum.get("Values") or [datum.get("Value", 0.0)]
    counts = datum.get("Counts") or [1.0] * len(values)
    return [Point(count, value * count, value, value) for value, count in zip(values, counts, strict=True)]


def _token_offset(token: str | None) -> int:
    if token is None:
        return 0
    if not token.isdigit():
        raise ServiceError("InvalidNextToken", "The next token is not valid")
    return int(token)


def operation(name: str, handler: Callable[[Document], Document]) -> Callable[..., HttpResponse]:
    """Adapt a handler to ministack's way of calling CloudWatch operations in three protocols."""

    def answer(
        params: Document, cbor_data: Document, is_cbor: bool, is_json: bool = False
    ) -> HttpResponse:
        protocol = CBOR if is_cbor else JSON if is_json else QUERY
        return call("cloudwatch", name, handler, protocol, params if protocol == QUERY else cbor_data)

    return answer


def _record_metric(
    namespace: str, metric_name: str, value: float, unit: str = "None", dimensions: dict[str, str] | None = None
) -> None:
    """What other services of ministack publish, for example AWS/Lambda."""
    store.add(namespace, metric_name, dimensions or {}, time.time(), unit, float(value))


def install(settings: Settings) -> None:
    """Replace the reading and writing of metrics."""
    metric_periods.configure(settings)
    for function, name, handler in (
        ("_put_metric_data", "PutMetricData", put_metric_data),
        ("_get_metric_data", "GetMetricData", get_metric_data),
        ("_get_metric_statistics", "GetMetricStatistics", get_metric_statistics),
        ("_list_metrics", "ListMetrics", list_metrics),
    ):
        replace(cloudwatch, function, operation(name, handler), expects=HANDLER_PARAMETERS)
    expects = ("namespace", "metric_name", "value", "unit", "dimensions")
    replace(cloudwatch, "record_metric", _record_metric, expects=expects)
    original: Callable[[], None] = cloudwatch.reset

    def reset() -> None:
        original()
        store.clear()

    replace(cloudwatch, "reset", reset, expects=())
