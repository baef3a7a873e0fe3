"""Counts what the data plane did, and reports it each second as AWS/ApplicationELB and journal lines."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from local_aws import journal
from local_aws.targets import DRAINING, HEALTHY, UNHEALTHY, Group, registry

NAMESPACE = "AWS/ApplicationELB"
SERVER_ERROR = 500
# Response times are kept in classes 1 % apart: thousands of distinct values a second would make every
# percentile query slow, and CloudWatch's own percentiles are not more exact.
CLASS_RATIO = math.log(1.01)

Publish = Callable[[str, str, Mapping[str, str], float, str, float, float], None]
"""namespace, metric, dimensions, timestamp, unit, value, how often."""


@dataclass
class Counts:
    """What one group of one load balancer did within one second; a group of None: no target chosen."""

    requests: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    connection_errors: int = 0
    made_by_load_balancer: int = 0
    unhealthy_routing: int = 0
    response_classes: Counter[int] = field(default_factory=Counter)


class TrafficMetrics:
    """Collected on the data plane's event loop only, so without locks."""

    def __init__(self) -> None:
        self._seconds: dict[int, dict[tuple[str, str | None], Counts]] = {}

    def counts(self, second: int, load_balancer: str, group: str | None) -> Counts:
        """The counters for a request that ends in this second."""
        return self._seconds.setdefault(second, {}).setdefault((load_balancer, group), Counts())

    def flush(self, before: int, publish: Publish) -> None:
        """Report every second before ``before``."""
        for second in sorted(second for second in self._seconds if second < before):
            for (load_balancer, group), counts in self._seconds.pop(second).items():
                _publish_counts(second, load_balancer, group, counts, publish)
                if group is not None:
                    _publish_per_target(second, load_balancer, group, counts.requests, publish)
                journal.write(
                    kind="traffic",
                    second=second,
                    loadBalancer=load_balancer,
                    targetGroup=group,
                    requests=counts.requests,
                    bad=sum(n for code, n in counts.codes.items() if code == "5XX"),
                    loadBalancerErrors=counts.made_by_load_balancer,
                )


def response_class(seconds: float) -> int:
    """The class that a response time belongs to."""
    return round(math.log(max(seconds, 1e-6)) / CLASS_RATIO)


def load_balancer_dimension(arn: str) -> str:
    """``app/name/id``, as AWS writes the LoadBalancer dimension."""
    return arn.partition(":loadbalancer/")[2]


def target_group_dimension(arn: str) -> str:
    """``targetgroup/name/id``, as AWS writes the TargetGroup dimension."""
    return arn.rpartition(":")[2]


def publish_hosts(second: int, load_balancer: str, group_arn: str, group: Group, publish: Publish) -> None:
    """Report what a group with registered targets has each second: its hosts, and that it serves nothing.

    ALBRequestCountPerTarget "emits real 0 values" (Application Auto Scaling User Guide,
    target-tracking-scaling-policy-overview): without them no service that gets no more traffic would scale in.
    """
    targets = [target for target in group.targets.values() if target.state != DRAINING]
    if not targets:
        return
    dimensions = {
        "TargetGroup": target_group_dimension(group_arn),
        "LoadBalancer": load_balancer_dimension(load_balancer),
    }
    for name, state in (("HealthyHostCount", HEALTHY), ("UnHealthyHostCount", UNHEALTHY)):
        number = sum(target.state == state for target in targets)
        publish(NAMESPACE, name, dimensions, second, "Count", number, 1)
    _publish_requests_per_target(second, load_balancer, group_arn, 0.0, publish)


def _publish_counts(
    second: int, load_balancer: str, group: str | None, counts: Counts, publish: Publish
) -> None:
    balancer_only = {"LoadBalancer": load_balancer_dimension(load_balancer)}
    sets: list[Mapping[str, str]] = [balancer_only]
    if group is not None:
        sets.append({"TargetGroup": target_group_dimension(group), **balancer_only})
    sums = {
        "RequestCount": counts.requests,
        "TargetConnectionErrorCount": counts.connection_errors,
        "UnhealthyRoutingRequestCount": counts.unhealthy_routing,
        **{f"HTTPCode_Target_{code}_Count": number for code, number in counts.codes.items()},
    }
    for dimensions in sets:
        # Zero is not reported: on AWS too a missing count beside a RequestCount means zero.
        for name, number in sums.items():
            if number:
                publish(NAMESPACE, name, dimensions, second, "Count", 1, number)
        for number_of_class, number in counts.response_classes.items():
            seconds = math.exp(number_of_class * CLASS_RATIO)
            publish(NAMESPACE, "TargetResponseTime", dimensions, second, "Seconds", seconds, number)
    if counts.made_by_load_balancer:
        # AWS knows no TargetGroup dimension for these: a dead canary's 502 are invisible per group.
        publish(
            NAMESPACE, "HTTPCode_ELB_5XX_Count", balancer_only, second, "Count", 1, counts.made_by_load_balancer
        )


def _publish_per_target(
    second: int, load_balancer: str, group_arn: str, requests: int, publish: Publish
) -> None:
    """Report RequestCountPerTarget: the requests of the group divided by its eligible targets."""
    targets, _ = registry.group(group_arn).eligible()
    value = requests / len(targets) if targets else 0.0
    _publish_requests_per_target(second, load_balancer, group_arn, value, publish)


def _publish_requests_per_target(
    second: int, load_balancer: str, group_arn: str, value: float, publish: Publish
) -> None:
    group = {"TargetGroup": target_group_dimension(group_arn)}
    for dimensions in (group, {**group, "LoadBalancer": load_balancer_dimension(load_balancer)}):
        publish(NAMESPACE, "RequestCountPerTarget", dimensions, second, "Count", value, 1)
