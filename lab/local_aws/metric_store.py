"""All metric data of the lab, one list of points per metric and second.

ministack keeps one flat list per metric, scans all of it for every query and copies all lists on every
API call, which loses points that the data plane adds meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

MetricKey = tuple[str, str, tuple[tuple[str, str], ...]]
"""Namespace, name, sorted dimensions."""


@dataclass(frozen=True, slots=True)
class Point:
    """A value seen ``count`` times, or a statistic set."""

    count: float
    total: float
    minimum: float
    maximum: float
    is_set: bool = False
    """A statistic set has no single values, so no percentiles."""


class Metric:
    """The points of one metric."""

    def __init__(self) -> None:
        self.unit = "None"
        self.seconds: dict[int, list[Point]] = {}
        self.updated = 0.0


class MetricStore:
    """Thread-safe: written by the data plane, the API and other services."""

    def __init__(self) -> None:
        self._metrics: dict[MetricKey, Metric] = {}
        self._lock = threading.Lock()

    def add(
        self,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        timestamp: float,
        unit: str,
        value: float,
        count: float = 1.0,
    ) -> None:
        """Add a value that was seen ``count`` times."""
        point = Point(count, value * count, value, value)
        self.add_point(namespace, name, dimensions, timestamp, unit, point)

    def add_point(
        self,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        timestamp: float,
        unit: str,
        point: Point,
    ) -> None:
        """Add one point."""
        key = metric_key(namespace, name, dimensions)
        with self._lock:
            metric = self._metrics.setdefault(key, Metric())
            metric.unit = unit
            metric.updated = time.time()
            metric.seconds.setdefault(int(timestamp), []).append(point)

    def buckets(self, key: MetricKey, first: int, end: float, period: int) -> dict[int, list[Point]]:
        """The points by the beginning of their period; ``first`` begins the first one, ``end`` is exclusive."""
        result: dict[int, list[Point]] = {}
        with self._lock:
            metric = self._metrics.get(key)
            if metric is None:
                return result
            for second in sorted(second for second in metric.seconds if first <= second < end):
                beginning = first + (second - first) // period * period
                result.setdefault(beginning, []).extend(metric.seconds[second])
        return result

    def unit(self, key: MetricKey) -> str:
        """The unit that was last published."""
        with self._lock:
            metric = self._metrics.get(key)
            return metric.unit if metric else "None"

    def keys(self, updated_since: float = 0.0) -> list[MetricKey]:
        """All known metrics that got data since then."""
        with self._lock:
            return [key for key, metric in self._metrics.items() if metric.updated >= updated_since]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._metrics.clear()


def metric_key(namespace: str, name: str, dimensions: Mapping[str, str]) -> MetricKey:
    """The identity of a metric: all its dimensions, in any order."""
    return namespace, name, tuple(sorted(dimensions.items()))


store = MetricStore()
