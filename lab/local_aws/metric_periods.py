"""Where the periods of an answer begin, and which periods can still be read.

After the texts of ``StartTime`` and ``Period`` in AWS's model of GetMetricData. That periods are counted
from the (rounded) StartTime and not from the clock is what accounts show: boto/boto3#3457 has a
StartTime of 04:59 and a period of 20 minutes answered with 04:59, 05:19 and so on.
"""

from __future__ import annotations

from local_aws.settings import SUB_MINUTE_RETENTION, Settings

MINUTE, HOUR, DAY = 60, 3600, 86_400
# Age of StartTime up to which a resolution is kept, and that resolution.
RESOLUTIONS = ((15 * DAY, MINUTE), (63 * DAY, 5 * MINUTE))
COARSEST = HOUR
_sub_minute_retention = SUB_MINUTE_RETENTION


def configure(settings: Settings) -> None:
    """Note for how long points closer than a minute are kept."""
    global _sub_minute_retention
    _sub_minute_retention = settings.sub_minute_retention


def first_period(start: float, period: int, now: float) -> int:
    """Where the first period begins; the others follow a whole number of periods later.

    StartTime is rounded down to the minute (from 15 days of age on to five, from 63 days on to an hour),
    for a period below a minute to that period.
    """
    grid = period if period < MINUTE else _resolution(now - start)
    return int(start // grid) * grid


def is_kept(start: float, period: int, now: float) -> bool:
    """Whether data of this period is still there; else no data points are returned, which is no error."""
    age = now - start
    return age <= _sub_minute_retention or period % _resolution(age) == 0


def _resolution(age: float) -> int:
    return next((resolution for limit, resolution in RESOLUTIONS if age <= limit), COARSEST)
