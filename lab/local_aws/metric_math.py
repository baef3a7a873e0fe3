"""Metric math: the expressions of GetMetricData and of alarms, over time series.

A series is ``{timestamp: value}``; where a series has no value there is no data point, which is not
zero. Python's own parser reads the expressions, of which only the listed nodes are accepted.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Union

Series = dict[int, float]
Value = Union[float, str, Series, list["Value"]]


class MetricMathError(Exception):
    """The expression is not valid or not supported."""


ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
COMPARISON: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values),
    "MAX": max,
    "MIN": min,
}


def references(expression: str) -> set[str]:
    """The ids of other queries that an expression may name: they begin with a lower-case letter."""
    without_strings = re.sub(r"\"[^\"]*\"|'[^']*'", "", expression)
    return set(re.findall(r"(?<![\w.])[a-z]\w*", without_strings))


def evaluate(
    expression: str,
    variables: Mapping[str, Series],
    metrics: Sequence[str],
    timestamps: Sequence[int],
    period: int,
) -> Series:
    """Compute an expression as a series.

    ``metrics`` names the variables that METRICS() stands for. A constant becomes a series over all
    ``timestamps``.
    """
    value = _Evaluation(variables, metrics, timestamps, period).run(expression)
    if isinstance(value, dict):
        return value
    if isinstance(value, (int, float)):
        return {timestamp: float(value) for timestamp in timestamps}
    raise MetricMathError("the expression gives a list of time series, which is not supported here")


class _Evaluation:
    def __init__(
        self,
        variables: Mapping[str, Series],
        metrics: Sequence[str],
        timestamps: Sequence[int],
        period: int,
    ) -> None:
        self._variables = variables
        self._metrics = metrics
        self._timestamps = timestamps
        self._period = period

    def run(self, expression: str) -> Value:
        """Parse in Python's grammar and evaluate."""
        text = re.sub(r"\bAND\b|&&", " and ", expression)
        text = re.sub(r"\bOR\b|\|\|", " or ", text)
        text = re.sub(r"\bIF\s*\(", "IF_(", text).replace("^", "**")
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except SyntaxError as error:
            raise MetricMathError(f"not a valid expression: {expression}") from error
        return self._value(tree.body)

    def _value(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Constant):
            if isinstance(node.value, (int, float)):
                return float(node.value)
            if isinstance(node.value, str):
                return node.value
        if isinstance(node, ast.Name):
            return self._variables[node.id] if node.id in self._variables else node.id
        if isinstance(node, ast.List):
            return [self._value(item) for item in node.elts]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return pointwise(operator.neg, self._value(node.operand))
        if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
            return pointwise(ARITHMETIC[type(node.op)], self._value(node.left), self._value(node.right))
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISON:
            compare = COMPARISON[type(node.ops[0])]
            left, right = self._value(node.left), self._value(node.comparators[0])
            return pointwise(lambda a, b: float(compare(a, b)), left, right)
        if isinstance(node, ast.BoolOp):
            combine = all if isinstance(node.op, ast.And) else any
            return pointwise(lambda *values: float(combine(values)), *map(self._value, node.values))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._call(node.func.id, [self._value(argument) for argument in node.args])
        raise MetricMathError(f"unsupported in an expression: {ast.unparse(node)}")

    def _call(self, name: str, arguments: list[Value]) -> Value:
        if name in AGGREGATES and len(arguments) == 1:
            return _aggregate(AGGREGATES[name], arguments[0])
        if name == "IF_" and len(arguments) in (2, 3):
            return _if(arguments)
        if name == "FILL" and len(arguments) == 2:
            return self._fill(arguments[0], arguments[1])
        if name == "ABS" and len(arguments) == 1:
            return pointwise(abs, arguments[0])
        if name == "METRICS" and len(arguments) <= 1:
            part = str(arguments[0]) if arguments else ""
            return [self._variables[metric] for metric in self._metrics if part in metric]
        if name == "PERIOD" and len(arguments) == 1:
            return float(self._period)
        if name == "TIME_SERIES" and len(arguments) == 1 and isinstance(arguments[0], float):
            return dict.fromkeys(self._timestamps, arguments[0])
        raise MetricMathError(f"unsupported function or number of arguments: {name}")

    def _fill(self, series: Value, filler: Value) -> Value:
        if isinstance(series, list):
            return [self._fill(item, filler) for item in series]
        if not isinstance(series, dict):
            raise MetricMathError("FILL needs a time series")
        if filler == "REPEAT":
            return self._repeat(series)
        if filler == "LINEAR":
            return self._linear(series)
        if isinstance(filler, dict):
            return {
                t: series[t] if t in series else filler[t]
                for t in self._timestamps
                if t in series or t in filler
            }
        if isinstance(filler, float):
            return {t: series.get(t, filler) for t in self._timestamps}
        raise MetricMathError("FILL fills with a number, a time series, REPEAT or LINEAR")

    def _repeat(self, series: Series) -> Series:
        result: Series = {}
        last: float | None = None
        for timestamp in self._timestamps:
            last = series.get(timestamp, last)
            if last is not None:
                result[timestamp] = last
        return result

    def _linear(self, series: Series) -> Series:
        result = dict(series)
        known = sorted(series)
        for left, right in zip(known, known[1:], strict=False):
            slope = (series[right] - series[left]) / (right - left)
            for timestamp in self._timestamps:
                if left < timestamp < right:
                    result[timestamp] = series[left] + slope * (timestamp - left)
        return result


def pointwise(function: Callable[..., float], *values: Value) -> Value:
    """Apply a function to each point; a point exists where all series have one.

    Division by zero and other undefined results give no data point.
    """
    if any(isinstance(value, list) for value in values):
        lengths = {len(value) for value in values if isinstance(value, list)}
        if len(lengths) > 1:
            raise MetricMathError("lists of different length cannot be combined")
        return [
            pointwise(function, *(value[i] if isinstance(value, list) else value for value in values))
            for i in range(lengths.pop())
        ]
    if any(isinstance(value, str) for value in values):
        raise MetricMathError(f"unknown id: {next(value for value in values if isinstance(value, str))}")
    series = [value for value in values if isinstance(value, dict)]
    if not series:
        try:
            return float(function(*values))
        except (ArithmeticError, ValueError) as error:
            raise MetricMathError(str(error)) from error
    result: Series = {}
    for timestamp in set(series[0]).intersection(*series[1:]):
        try:
            number = function(*(value[timestamp] if isinstance(value, dict) else value for value in values))
        except (ArithmeticError, ValueError):
            continue
        result[timestamp] = float(number)
    return result


def _aggregate(function: Callable[[Sequence[float]], float], argument: Value) -> Value:
    """Over a list: per timestamp, of the series that have a point there. Over a series: one number."""
    if isinstance(argument, dict):
        # Of no data nothing can be said: no number, in particular not zero.
        return float(function(list(argument.values()))) if argument else {}
    if not isinstance(argument, list) or not all(isinstance(item, dict) for item in argument):
        raise MetricMathError("an aggregate needs a time series or a list of them")
    columns: dict[int, list[float]] = {}
    for item in argument:
        assert isinstance(item, dict)
        for timestamp, value in item.items():
            columns.setdefault(timestamp, []).append(value)
    return {timestamp: float(function(values)) for timestamp, values in columns.items()}


def _if(arguments: list[Value]) -> Value:
    condition, then = arguments[0], arguments[1]
    if len(arguments) == 3:
        return pointwise(lambda test, yes, no: yes if test else no, condition, then, arguments[2])
    if not isinstance(condition, dict):
        raise MetricMathError("IF without an alternative needs a time series as its condition")
    kept = {timestamp: test for timestamp, test in condition.items() if test}
    return pointwise(lambda _test, yes: yes, kept, then)
