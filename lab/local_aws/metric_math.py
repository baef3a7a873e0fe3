"""Metric math: the expressions of GetMetricData and of alarms, over time series.

A series is ``{timestamp: value}``; where a series has no value there is no data point, which is not
zero. An expression is read and evaluated in one go, by precedence. Python's own `ast` would read most of
it, but not in a server with threads: until 3.11.8 two of them that parse at once can fail each other's
("AST constructor recursion depth mismatch"), and an alarm then could not be created.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Union

Series = dict[int, float]
Value = Union[float, str, Series, list["Value"]]


class MetricMathError(Exception):
    """The expression is not valid or not supported."""


ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
}
LOGIC: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    "AND": lambda left, right: bool(left) and bool(right),
    "OR": lambda left, right: bool(left) or bool(right),
}
COMPARISONS = frozenset({">", ">=", "<", "<=", "==", "!="})
# What binds weakest comes first; what stands on one level is read from left to right.
LEVELS: Sequence[frozenset[str]] = (
    frozenset({"OR"}),
    frozenset({"AND"}),
    COMPARISONS,
    frozenset({"+", "-"}),
    frozenset({"*", "/"}),
)
SPELLED: Mapping[str, str] = {"&&": "AND", "||": "OR"}
TOKEN = re.compile(
    r"""\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"""
    r"""|(?P<text>"[^"]*"|'[^']*')"""
    r"""|(?P<name>[A-Za-z_]\w*)"""
    r"""|(?P<sign>&&|\|\||[<>=!]=|[-+*/^<>()\[\],]))\s*"""
)
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
        """Read the whole expression and evaluate it."""
        self._expression = expression
        self._tokens = _tokens(expression)
        value = self._level(0)
        if self._tokens[0][1]:
            raise self._invalid()
        return value

    def _invalid(self) -> MetricMathError:
        kind, text = self._tokens[0]
        return MetricMathError(f"not a valid expression, at {text or 'its end'}: {self._expression}")

    def _take(self, *texts: str) -> str | None:
        """The next token if it is one of these; a string is none of them whatever it holds."""
        kind, text = self._tokens[0]
        if kind == "text" or text not in texts:
            return None
        self._tokens.pop(0)
        return text

    def _expect(self, text: str) -> None:
        if self._take(text) is None:
            raise self._invalid()

    def _level(self, depth: int) -> Value:
        if depth == len(LEVELS):
            return self._signed()
        value = self._level(depth + 1)
        while sign := self._take(*LEVELS[depth]):
            value = _combine(sign, value, self._level(depth + 1))
            if sign in COMPARISONS:
                break  # What a comparison says is not compared again.
        return value

    def _signed(self) -> Value:
        if self._take("-"):
            return pointwise(operator.neg, self._signed())
        base = self._operand()
        # Binds tighter than a sign before it, and its exponent may have one.
        return _combine("^", base, self._signed()) if self._take("^") else base

    def _operand(self) -> Value:
        if self._take("("):
            value = self._level(0)
            self._expect(")")
            return value
        if self._take("["):
            return self._items("]")
        kind, text = self._tokens[0]
        if kind not in ("number", "text", "name") or text in ("AND", "OR"):
            raise self._invalid()
        self._tokens.pop(0)
        if kind == "number":
            return float(text)
        if kind == "text":
            return text[1:-1]
        if self._take("("):
            return self._call(text, self._items(")"))
        return self._variables[text] if text in self._variables else text

    def _items(self, end: str) -> list[Value]:
        """What stands between commas until `end`."""
        items: list[Value] = []
        if self._take(end):
            return items
        items.append(self._level(0))
        while self._take(","):
            items.append(self._level(0))
        self._expect(end)
        return items

    def _call(self, name: str, arguments: list[Value]) -> Value:
        if name in AGGREGATES and len(arguments) == 1:
            return _aggregate(AGGREGATES[name], arguments[0])
        if name == "IF" and len(arguments) in (2, 3):
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


def _tokens(expression: str) -> list[tuple[str, str]]:
    """What the expression is made of, each with its kind; an empty one says where it ends."""
    tokens: list[tuple[str, str]] = []
    at = 0
    while at < len(expression.rstrip()):
        match = TOKEN.match(expression, at)
        if match is None or match.lastgroup is None:
            raise MetricMathError(f"not a valid expression, at {expression[at:].strip()}: {expression}")
        text = match[match.lastgroup]
        tokens.append((match.lastgroup, SPELLED.get(text, text)))
        at = match.end()
    return [*tokens, ("end", "")]


def _combine(sign: str, left: Value, right: Value) -> Value:
    if sign in ARITHMETIC:
        return pointwise(ARITHMETIC[sign], left, right)
    return pointwise(lambda a, b: float(LOGIC[sign](a, b)), left, right)


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
