"""When a scheduled action runs: ``at(...)``, ``rate(...)`` and ``cron(...)``, with time zones. Pure.

https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-using-cron-expressions.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ministack.services import eventbridge

AT = re.compile(r"at\((\d{4})-(\d{1,2})-(\d{1,2})T(\d{1,2}):(\d{2}):(\d{2})\)")
RATE = re.compile(r"rate\(([1-9]\d*)\s+(minute|hour|day)s?\)")
CRON = re.compile(r"cron\((.+)\)")
UNITS = {"minute": 60, "hour": 3600, "day": 86_400}
CRON_FIELDS = 6


class ScheduleError(ValueError):
    """The schedule or its time zone is not one."""


@dataclass(frozen=True)
class Schedule:
    """A schedule; times are epoch seconds."""

    expression: str
    zone: str = "UTC"
    start: float | None = None
    end: float | None = None
    created: float = 0.0

    def next_run(self, after: float) -> float | None:
        """The first run later than ``after``; None: there is none. Raises a ScheduleError.

        "If you specify a start time, Application Auto Scaling performs the action at this time, and then performs
        the action based on the specified recurrence."
        """
        found = self._next(max(after, self.start or 0.0))
        one_time = AT.fullmatch(self.expression) is not None
        if self.start is not None and self.start > after and not one_time:
            found = self.start
        return None if found is None or (self.end is not None and found > self.end) else found

    def _next(self, after: float) -> float | None:
        if moment := AT.fullmatch(self.expression):
            try:
                year, month, day, hour, minute, second = (int(part) for part in moment.groups())
                run = datetime(year, month, day, hour, minute, second, tzinfo=self._zone()).timestamp()
            except ValueError as error:
                raise ScheduleError(f"{self.expression}: {error}") from error
            return run if run > after else None
        if rate := RATE.fullmatch(self.expression):
            interval = int(rate[1]) * UNITS[rate[2]]
            anchor = self.created if self.start is None else self.start
            return anchor + max(1, (after - anchor) // interval + 1) * interval
        if cron := CRON.fullmatch(self.expression):
            return next(self._cron_runs(cron[1].split(), after), None)
        raise ScheduleError(f"{self.expression} is no at, rate or cron expression")

    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ScheduleError(f"{self.zone} is no time zone") from error

    def _cron_runs(self, fields: list[str], after: float) -> Iterator[float]:
        """The runs later than ``after``. Seven fields begin with seconds."""
        zone = self._zone()
        seconds = [0]
        if len(fields) == CRON_FIELDS + 1:
            seconds = sorted(_seconds(fields[0]))
            fields = fields[1:]
        parsed = eventbridge._parse_cron_fields(f"cron({' '.join(fields)})")
        if parsed is None:
            raise ScheduleError(f"{self.expression} is no cron expression")
        # ministack looks for the next minute by the clock on the wall; which moment that is, the zone says.
        wall = datetime.fromtimestamp(after, tz=zone).replace(tzinfo=timezone.utc) - timedelta(minutes=1)
        while (minute := eventbridge._cron_next_fire(parsed, wall)) is not None:
            wall = minute
            for second in seconds:
                run = minute.replace(second=second, tzinfo=zone).timestamp()
                if run > after:
                    yield run


def _seconds(field: str) -> frozenset[int]:
    try:
        found: Any = eventbridge._cron_field(field, 0, 59)
    except ValueError as error:
        raise ScheduleError(f"{field} are no seconds") from error
    return frozenset(found)
