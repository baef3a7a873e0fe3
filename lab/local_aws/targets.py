"""The targets registered in each target group, and how healthy they are.

ministack answers ``healthy`` for every target at once and forgets a deregistered one immediately, so
neither waiting for health nor draining could ever be seen.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Key = tuple[str, int]
"""Address and port."""

INITIAL, HEALTHY, UNHEALTHY, DRAINING, UNUSED = "initial", "healthy", "unhealthy", "draining", "unused"

DESCRIPTIONS = {
    "Elb.RegistrationInProgress": "Target registration is in progress",
    "Elb.InitialHealthChecking": "Initial health checks in progress",
    "Target.Timeout": "Request timed out",
    "Target.FailedHealthChecks": "Health checks failed",
    "Target.NotInUse": "Target group is not configured to receive traffic from the load balancer",
    "Target.DeregistrationInProgress": "Target deregistration is in progress",
    "Target.NotRegistered": "Target is not registered to the target group",
}


@dataclass
class Target:
    """One address and port in one group."""

    address: str
    port: int
    state: str = INITIAL
    reason: str | None = "Elb.RegistrationInProgress"
    description: str | None = DESCRIPTIONS["Elb.RegistrationInProgress"]
    successes: int = 0
    failures: int = 0
    draining_until: float | None = None

    @property
    def key(self) -> Key:
        """What identifies the target within its group."""
        return self.address, self.port

    def become(self, state: str, reason: str | None = None, description: str | None = None) -> None:
        """Change the state as DescribeTargetHealth shows it."""
        self.state = state
        self.reason = reason
        self.description = description or (DESCRIPTIONS.get(reason) if reason else None)

    def start_over(self) -> None:
        """Forget all health checks, as when the group is attached to a load balancer."""
        self.successes = self.failures = 0
        self.become(INITIAL, "Elb.RegistrationInProgress")


@dataclass
class Group:
    """The targets of one group and where its round robin stands."""

    targets: dict[Key, Target] = field(default_factory=dict)
    attached: bool = False
    turn: int = 0

    def eligible(self) -> tuple[list[Target], bool]:
        """Who may get the next request, and whether somebody is healthy.

        With no healthy target AWS "fails open" to all of them. Draining targets never get requests.
        """
        registered = [target for target in self.targets.values() if target.state != DRAINING]
        healthy = [target for target in registered if target.state == HEALTHY]
        return (healthy, True) if healthy else (registered, False)

    def pick(self) -> tuple[Target | None, bool]:
        """Choose the next target round-robin."""
        candidates, healthy = self.eligible()
        if not candidates:
            return None, False
        self.turn += 1
        return candidates[self.turn % len(candidates)], healthy


class TargetRegistry:
    """All groups. Written by the control plane and the health checks, read by the data plane."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}
        self._lock = threading.Lock()
        self._answering: Counter[Key] = Counter()

    @contextmanager
    def answering(self, key: Key) -> Iterator[None]:
        """A request is under way at this target."""
        with self._lock:
            self._answering[key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._answering[key] -= 1
                if not self._answering[key]:
                    del self._answering[key]

    def answers(self, key: Key) -> bool:
        """Whether the target owes an answer."""
        with self._lock:
            return key in self._answering

    def group(self, arn: str) -> Group:
        """The group with this ARN; an empty one if nothing was ever registered."""
        with self._lock:
            return self._groups.setdefault(arn, Group())

    def groups(self) -> list[tuple[str, Group]]:
        """A snapshot of all groups."""
        with self._lock:
            return list(self._groups.items())

    def remove_group(self, arn: str) -> None:
        """Forget a deleted group."""
        with self._lock:
            self._groups.pop(arn, None)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._groups.clear()

    def attach(self, arns: set[str]) -> None:
        """Note which groups some rule or listener names; weight 0 counts as attached."""
        for arn in arns:
            self.group(arn)
        for arn, group in self.groups():
            if (arn in arns) != group.attached:
                group.attached = arn in arns
                for target in list(group.targets.values()):
                    if target.state != DRAINING:
                        target.start_over()

    def register(self, arn: str, keys: Iterable[Key]) -> None:
        """Register targets; a draining one that comes back starts over."""
        group = self.group(arn)
        with self._lock:
            for address, port in keys:
                known = group.targets.get((address, port))
                if known is None or known.state == DRAINING:
                    group.targets = {**group.targets, (address, port): Target(address, port)}

    def deregister(self, arn: str, keys: Iterable[Key], delay: float) -> None:
        """Start draining targets; with no delay or in an unattached group they go at once."""
        group = self.group(arn)
        with self._lock:
            for key in keys:
                target = group.targets.get(key)
                if target is None:
                    continue
                if delay > 0 and group.attached:
                    if target.draining_until is None:
                        target.draining_until = time.monotonic() + delay
                        target.become(DRAINING, "Target.DeregistrationInProgress")
                else:
                    group.targets = {k: t for k, t in group.targets.items() if k != key}

    def finish_draining(self) -> None:
        """Remove the targets whose deregistration delay is over."""
        now = time.monotonic()
        with self._lock:
            for group in self._groups.values():
                if any(t.draining_until is not None and t.draining_until <= now for t in group.targets.values()):
                    group.targets = {
                        key: target
                        for key, target in group.targets.items()
                        if target.draining_until is None or target.draining_until > now
                    }


registry = TargetRegistry()
