"""Probes every target of every attached group over real HTTP, with the group's own settings."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from local_aws.http_messages import HEAD_LIMIT, MessageError, read_response, status_of
from local_aws.targets import DRAINING, HEALTHY, INITIAL, UNHEALTHY, Group, Target, registry

WATCH_INTERVAL = 0.05
SHORTEST_INTERVAL = 1.0
SHORTEST_TIMEOUT = 10.0
"""The example's group gives up after a second, so that everything is quick; on a busy machine a target may answer
later through no fault of its own, and would be replaced."""

GroupSettings = Mapping[str, Any]
"""A target group as the API describes it."""


class HealthChecks:
    """One probing task per target, on the data plane's event loop."""

    def __init__(self) -> None:
        self._tasks: dict[int, tuple[Target, asyncio.Task[None]]] = {}
        self._settings: Mapping[str, GroupSettings] = {}

    def use(self, settings: Mapping[str, GroupSettings]) -> None:
        """Take over the settings of all groups."""
        self._settings = settings

    async def run(self) -> None:
        """Start and stop probing as targets come and go, for ever."""
        while True:
            registry.finish_draining()
            wanted = {
                id(target): (arn, group, target)
                for arn, group in registry.groups()
                if group.attached and arn in self._settings
                for target in list(group.targets.values())
                if target.state != DRAINING
            }
            for number in [number for number in self._tasks if number not in wanted]:
                self._tasks.pop(number)[1].cancel()
            for _, watch in self._tasks.values():
                if watch.done():
                    # Raises what ended it; a target that nobody probes would stay as it is for ever.
                    watch.result()
            for number, (arn, group, target) in wanted.items():
                if number not in self._tasks:
                    self._tasks[number] = (target, asyncio.create_task(self._watch(arn, group, target)))
            await asyncio.sleep(WATCH_INTERVAL)

    async def _watch(self, arn: str, group: Group, target: Target) -> None:
        target.become(INITIAL, "Elb.InitialHealthChecking")
        while True:
            settings = self._settings.get(arn)
            if settings is None:
                return
            if not settings.get("HealthCheckEnabled", True):
                target.become(HEALTHY)
            else:
                problem = await _probe(settings, target)
                if group.targets.get(target.key) is not target or target.state == DRAINING:
                    return
                record(target, problem, settings)
            await asyncio.sleep(max(SHORTEST_INTERVAL, float(settings["HealthCheckIntervalSeconds"])))


def record(target: Target, problem: tuple[str, str | None] | None, settings: GroupSettings) -> None:
    """Count one probe and change the state at the group's thresholds.

    A new target is healthy after its first good probe, as on AWS.
    """
    if problem is None:
        target.successes += 1
        target.failures = 0
        needed = 1 if target.state == INITIAL else int(settings["HealthyThresholdCount"])
        if target.state != HEALTHY and target.successes >= needed:
            target.become(HEALTHY)
        return
    target.failures += 1
    target.successes = 0
    if target.failures >= int(settings["UnhealthyThresholdCount"]):
        target.become(UNHEALTHY, *problem)


def matches(matcher: str, status: int) -> bool:
    """Whether a status is in a matcher such as ``200,202`` or ``200-299``."""
    for part in matcher.split(","):
        low, _, high = part.strip().partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


async def _probe(settings: GroupSettings, target: Target) -> tuple[str, str | None] | None:
    """Probe once; None if all is well, else AWS's reason code and description."""
    port = settings.get("HealthCheckPort", "traffic-port")
    number = target.port if port == "traffic-port" else int(port)
    path = settings.get("HealthCheckPath") or "/"
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {target.address}:{number}\r\n"
        "User-Agent: ELB-HealthChecker/2.0\r\nConnection: close\r\n\r\n"
    )
    writer = None
    try:
        async with asyncio.timeout(max(SHORTEST_TIMEOUT, float(settings.get("HealthCheckTimeoutSeconds", 5)))):
            reader, writer = await asyncio.open_connection(target.address, number, limit=HEAD_LIMIT)
            writer.write(request.encode("latin-1"))
            message, _ = await read_response(reader, "GET")
            status = status_of(message)
    except TimeoutError:
        return "Target.Timeout", None
    except (OSError, MessageError, asyncio.IncompleteReadError):
        return "Target.FailedHealthChecks", None
    finally:
        if writer is not None:
            writer.close()
    if matches((settings.get("Matcher") or {}).get("HttpCode", "200"), status):
        return None
    return "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]"
