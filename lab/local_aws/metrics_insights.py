"""Metrics Insights: the queries in SQL that GetMetricData and alarms take in place of an expression.

Known deviations from AWS: GROUP BY, ORDER BY and LIMIT are refused, so that a query is always one time
series; tags and AWS.AccountId cannot be asked for.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-metrics-insights-querylanguage.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local_aws.metric_math import Series
from local_aws.metric_store import MetricKey, Point, store
from local_aws.statistics_of import statistic

FUNCTIONS = {"AVG": "Average", "COUNT": "SampleCount", "MAX": "Maximum", "MIN": "Minimum", "SUM": "Sum"}
TOKEN = re.compile(r"""\s*("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|!=|[(),=]|[\w.]+)""")
QUERY = re.compile(r"\s*SELECT\s", re.IGNORECASE)


class InsightsError(Exception):
    """The query is not valid or not supported."""


@dataclass(frozen=True)
class Insight:
    """A query that was understood."""

    function: str
    metric: str
    namespace: str
    schema: frozenset[str] | None
    """Exactly these dimensions; None: any."""
    conditions: tuple[tuple[str, bool, str], ...]
    """Dimension, whether it must be equal, value."""

    def matches(self, key: MetricKey) -> bool:
        """Whether a metric is one of those asked for."""
        namespace, name, pairs = key
        if (namespace, name) != (self.namespace, self.metric):
            return False
        dimensions = dict(pairs)
        if self.schema is not None and self.schema != set(dimensions):
            return False
        return all(
            label in dimensions and (dimensions[label] == value) == equal for label, equal, value in self.conditions
        )


def is_query(expression: str) -> bool:
    """Whether an expression is a Metrics Insights query and no metric math."""
    return QUERY.match(expression) is not None


def evaluate(text: str, first: int, end: float, period: int) -> Series:
    """The one time series of a query: all observations of all metrics that match, by period."""
    insight = parse(text)
    observations: dict[int, list[Point]] = {}
    for key in store.keys():
        if insight.matches(key):
            for timestamp, points in store.buckets(key, first, end, period).items():
                observations.setdefault(timestamp, []).extend(points)
    values = {timestamp: statistic(insight.function, points) for timestamp, points in observations.items()}
    return {timestamp: value for timestamp, value in values.items() if value is not None}


def parse(text: str) -> Insight:
    """Read ``SELECT FUNCTION(metric) FROM namespace [WHERE ...]``."""
    return _Parser(_tokens(text)).insight()


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while text[position:].strip():
        found = TOKEN.match(text, position)
        if found is None:
            raise InsightsError(f"unexpected at character {position}: {text[position:]}")
        tokens.append(found[1])
        position = found.end()
    return tokens


class _Parser:
    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = list(tokens)

    def insight(self) -> Insight:
        self._keyword("SELECT")
        function = self._next().upper()
        if function not in FUNCTIONS:
            raise InsightsError(f"{function} is none of {', '.join(FUNCTIONS)}")
        self._symbol("(")
        metric = self._identifier()
        self._symbol(")")
        self._keyword("FROM")
        namespace, schema = self._source()
        conditions = []
        if self._skip("WHERE"):
            conditions.append(self._condition())
            while self._skip("AND"):
                conditions.append(self._condition())
        if self._tokens:
            raise InsightsError(f"not supported here: {' '.join(self._tokens)}")
        return Insight(FUNCTIONS[function], metric, namespace, schema, tuple(conditions))

    def _source(self) -> tuple[str, frozenset[str] | None]:
        if not self._skip("SCHEMA"):
            return self._identifier(), None
        self._symbol("(")
        namespace, labels = self._identifier(), set()
        while self._skip(","):
            labels.add(self._identifier())
        self._symbol(")")
        return namespace, frozenset(labels)

    def _condition(self) -> tuple[str, bool, str]:
        label, operator, value = self._identifier(), self._next(), self._next()
        if operator not in ("=", "!="):
            raise InsightsError(f"{operator} is neither = nor !=")
        if not value.startswith("'"):
            raise InsightsError(f"the value of a label must be in single quotation marks: {value}")
        return label, operator == "=", _unquoted(value)

    def _identifier(self) -> str:
        token = self._next()
        if not re.fullmatch(r'\w+|".*"', token, re.DOTALL):
            raise InsightsError(f"a name that is not only letters, digits and _ must be in double quotes: {token}")
        return _unquoted(token)

    def _next(self) -> str:
        if not self._tokens:
            raise InsightsError("the query ends too early")
        return self._tokens.pop(0)

    def _skip(self, word: str) -> bool:
        if self._tokens and self._tokens[0].upper() == word:
            self._tokens.pop(0)
            return True
        return False

    def _keyword(self, word: str) -> None:
        if not self._skip(word):
            raise InsightsError(f"{word} is missing before: {' '.join(self._tokens) or 'the end'}")

    _symbol = _keyword


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1]) if token[:1] in ("'", '"') else token


def of(queries: Sequence[Mapping[str, str]]) -> list[str]:
    """The ids of the queries that are Metrics Insights."""
    return [query["Id"] for query in queries if is_query(query.get("Expression", ""))]
