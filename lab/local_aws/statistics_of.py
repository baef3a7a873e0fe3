"""The statistics of CloudWatch over the points of one period."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from local_aws.metric_store import Point

PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")
SHORT_TRIMMED = re.compile(r"(tm|wm|tc|ts)(\d{1,2}(?:\.\d+)?)")
RANGE = re.compile(r"(PR|TM|WM|TC|TS)\(([\d.]*%?):([\d.]*%?)\)")
IQM = "IQM"
BASIC = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")

Sample = tuple[float, float]
"""A value and how often it occurs."""


def is_statistic(name: str) -> bool:
    """Whether CloudWatch knows a statistic of this name."""
    patterns = (PERCENTILE, SHORT_TRIMMED, RANGE)
    return name in BASIC or name == IQM or any(pattern.fullmatch(name) for pattern in patterns)


def statistic(name: str, points: Sequence[Point]) -> float | None:
    """Compute a statistic; None where there is no data point."""
    points = [point for point in points if point.count > 0]
    if not points:
        return None
    if name in BASIC:
        return _basic(name, points)
    samples = _samples(points)
    if samples is None:
        return None
    percentile = PERCENTILE.fullmatch(name)
    if percentile:
        return quantile(samples, float(percentile[1]) / 100)
    short = SHORT_TRIMMED.fullmatch(name)
    text = f"{short[1].upper()}(:{short[2]}%)" if short else "TM(25%:75%)" if name == IQM else name
    ranged = RANGE.fullmatch(text)
    return _ranged(ranged[1], ranged[2], ranged[3], samples) if ranged else None


def quantile(samples: Sequence[Sample], share: float) -> float:
    """The value below which this share of the samples lies, linearly interpolated."""
    total = sum(weight for _, weight in samples)
    rank = share * (total - 1) if total > 1 else 0.0

    def at(index: float) -> float:
        seen = 0.0
        for value, weight in samples:
            seen += weight
            if index < seen:
                return value
        return samples[-1][0]

    lower = math.floor(rank)
    low = at(lower)
    return low + (rank - lower) * (at(lower + 1) - low)


def _basic(name: str, points: Sequence[Point]) -> float:
    count = sum(point.count for point in points)
    total = sum(point.total for point in points)
    return {
        "SampleCount": count,
        "Sum": total,
        "Average": total / count,
        "Minimum": min(point.minimum for point in points),
        "Maximum": max(point.maximum for point in points),
    }[name]


def _samples(points: Sequence[Point]) -> list[Sample] | None:
    """Sorted samples; None where CloudWatch has none: a true statistic set, or a negative value."""
    samples = []
    for point in points:
        if point.minimum < 0 or (point.is_set and point.minimum != point.maximum):
            return None
        samples.append((point.minimum, point.count))
    return sorted(samples)


def _ranged(kind: str, low: str, high: str, samples: Sequence[Sample]) -> float | None:
    if kind == "PR":
        # Exclusive lower and inclusive upper bound; the result is a percentage.
        return 100 * _weight(_between(samples, low, high)) / _weight(samples)
    lower_share = float(low[:-1]) / 100 if low.endswith("%") else None
    upper_share = float(high[:-1]) / 100 if high.endswith("%") else None
    if lower_share is None and upper_share is None:
        kept = _between(samples, low, high)
    else:
        kept = _trimmed(samples, lower_share or 0.0, 1.0 if upper_share is None else upper_share)
    if kind == "TC":
        return _weight(kept)
    if kind == "TS":
        return sum(value * weight for value, weight in kept)
    if kind == "WM":
        if not kept:
            return None
        bottom, top = kept[0][0], kept[-1][0]
        return sum(min(max(v, bottom), top) * w for v, w in samples) / _weight(samples)
    return sum(value * weight for value, weight in kept) / _weight(kept) if kept else None


def _weight(samples: Sequence[Sample]) -> float:
    return sum(weight for _, weight in samples)


def _between(samples: Sequence[Sample], low: str, high: str) -> list[Sample]:
    bottom = float(low) if low else -math.inf
    top = float(high) if high else math.inf
    return [(value, weight) for value, weight in samples if bottom < value <= top]


def _trimmed(samples: Sequence[Sample], low: float, high: float) -> list[Sample]:
    """The samples whose rank lies within two shares; a sample on the edge counts in part."""
    total = _weight(samples)
    kept = []
    seen = 0.0
    for value, weight in samples:
        inside = min(seen + weight, high * total) - max(seen, low * total)
        if inside > 0:
            kept.append((value, inside))
        seen += weight
    return kept
