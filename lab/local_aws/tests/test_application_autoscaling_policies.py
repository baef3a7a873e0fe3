"""What scaling policies do when alarms invoke them.

Pages are those of the Application Auto Scaling User Guide unless they are said to be others. A minute of the lab lasts
one second here (``--scaling-minute``). Where something must not happen to one service, another one to which it does
happen tells that the moment has passed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local_aws.tests.balancing import Balancer, forward
from local_aws.tests.receiving import Inbox
from local_aws.tests.scaling import NEVER_RUNNING, Scaled, above, feeding, put_value, standing_alarm
from local_aws.tests.support import Lab, wait_for


@contextmanager
def requests_to(balancer: Balancer) -> Iterator[None]:
    """Real requests, one after the other, until the end."""
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            balancer.get("/")

    client = threading.Thread(target=send)
    client.start()
    try:
        yield
    finally:
        over.set()
        client.join()


def in_alarm(lab: Lab, name: str) -> bool:
    (alarm,) = lab.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return bool(alarm["StateValue"] == "ALARM")


# ---- target tracking -----------------------------------------------------------------------------


def test_real_traffic_scales_out_and_the_lack_of_it_scales_in_to_0(lab: Lab, unique: str) -> None:
    # target-tracking-scaling-policy-overview: "When a metric emits real 0 values to CloudWatch (for example,
    # ALBRequestCountPerTarget), Application Auto Scaling can scale in to 0".
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.listen([forward((group, 1))])
    service = Scaled(lab, unique, groups=(group,), MinCapacity=0, MaxCapacity=3)
    metric = {
        "PredefinedMetricType": "ALBRequestCountPerTarget",
        "ResourceLabel": f"{balancer.arn.partition(':loadbalancer/')[2]}/{group.rpartition(':')[2]}",
    }
    configuration = {
        "TargetValue": 1.0,
        "PredefinedMetricSpecification": metric,
        "ScaleOutCooldown": 1,
        "ScaleInCooldown": 1,
    }
    service.put_policy("requests", "TargetTrackingScaling", configuration)
    with requests_to(balancer):
        service.runs(3)
    service.runs(0)
    outs = [activity for activity in service.activities() if "AlarmHigh" in activity["Cause"]]
    ins = [activity for activity in service.activities() if "AlarmLow" in activity["Cause"]]
    assert outs[-1]["Description"] == "Setting desired count to 3."
    # service-autoscaling-targettracking (ECS guide): "scales in more gradually".
    assert [activity["Description"][-2] for activity in ins] == ["2", "1", "0"]
    # Without tasks the metric ends: nothing brings the service back but a bound or a person.
    assert service.activities()[-1] == ins[-1]


def test_from_0_it_scales_out_by_the_smallest_step(lab: Lab, unique: str) -> None:
    # service-auto-scaling (ECS guide), Considerations: "it scales out by the minimum possible amount as a starting
    # point and then resumes scaling based on the actual running task count".
    service = Scaled(lab, unique, count=0, MinCapacity=0, MaxCapacity=4)
    service.track(unique, 10.0)
    with feeding(lab, {unique: 1000.0}):
        service.runs(4)
    assert [activity["Description"] for activity in service.activities()][:2] == [
        "Setting desired count to 1.",
        "Setting desired count to 4.",
    ]


def test_it_scales_in_only_if_all_with_scale_in_enabled_are_ready(lab: Lab, unique: str) -> None:
    # target-tracking-scaling-policy-overview, Multiple scaling policies.
    first, second, third = (f"{unique}-{number}" for number in range(3))
    service = Scaled(lab, unique, count=2, MinCapacity=1)
    low = service.track(first)[1]
    service.track(second)
    service.track(third, DisableScaleIn=True)
    other = Scaled(lab, f"{unique}-other", count=2, MinCapacity=1)
    other.track(first)
    with feeding(lab, {first: 1.0, second: 10.0}) as values:
        other.comes_to(1)
        wait_for(lambda: in_alarm(lab, low), what="the low alarm")
        assert service.desired() == 2
        values[second] = 1.0
        service.comes_to(1)
    assert [activity["Description"] for activity in service.activities()] == ["Setting desired count to 1."]


def test_a_little_below_the_target_is_no_reason_to_scale_in(lab: Lab, unique: str) -> None:
    # target-tracking-scaling-policy-overview: it "won't scale-in if it calculates that removing a minimum unit of
    # capacity would likely bring the metric back above the target value".
    service = Scaled(lab, unique, count=2, MinCapacity=1)
    service.track(unique, 10.0)
    with feeding(lab, {unique: 6.0}):
        assert service.not_scaled("AutoScalingAnticipatedFlapping")["CurrentCapacity"] == 2
    assert service.desired() == 2


# ---- steps ---------------------------------------------------------------------------------------


def test_an_alarm_that_stays_changes_back_what_somebody_sets(lab: Lab, unique: str) -> None:
    # AlarmThatSendsEmail (CloudWatch guide): "the alarm continues to invoke the action once per minute that the alarm
    # remains in the new state"; service-auto-scaling (ECS guide): it "could change a desired count that was manually
    # set by you". And target-tracking-scaling-policy-overview: a step policy's scale-in is not blocked by target
    # tracking that is not ready.
    service = Scaled(lab, unique, count=2, MinCapacity=1)
    service.track(f"{unique}-no-data")
    standing_alarm(lab, unique, service.step("in", above(-1)))
    service.runs(1)
    service.cluster.update(desiredCount=3)
    service.runs(1)
    assert [line["state"] for line in lab.journal_lines(kind="alarm", alarm=unique)] == ["ALARM"]


def test_only_the_minimum_protects_a_desired_count(lab: Lab, unique: str) -> None:
    # getting-started: policies "cannot scale in the scalable target lower than its minimum capacity";
    # application-auto-scaling-scaling-activities, reason codes.
    service = Scaled(lab, unique, count=1, MinCapacity=1)

    def reasons() -> list[dict[str, Any]]:
        return [reason for found in service.activities(True) for reason in found.get("NotScaledReasons", [])]

    standing_alarm(lab, unique, service.step("in", above(-1)))
    wait_for(lambda: reasons() == [{"Code": "AlreadyAtMinCapacity", "MinCapacity": 1}])
    service.register(MinCapacity=3)
    service.runs(3)
    wait_for(lambda: reasons()[-1] == {"Code": "AlreadyAtMinCapacity", "MinCapacity": 3})
    assert service.desired() == 3
    # "Only the first not scaled activity will be recorded ... unless the reason for not scaling changes".
    assert [reason["MinCapacity"] for reason in reasons()].count(1) == 1


def test_a_policy_begins_with_the_tasks_that_run(lab: Lab, unique: str) -> None:
    # service-auto-scaling (ECS guide): "the actual running task count in a service is the value that Service Auto
    # Scaling uses as its starting point, as opposed to the desired count".
    service = Scaled(lab, unique, count=3, image=NEVER_RUNNING)
    standing_alarm(lab, unique, service.step("out", above(1)))
    assert service.not_scaled("AlreadyAtDesiredCapacity")["CurrentCapacity"] == 3
    service.step("out", above(5))
    service.comes_to(5)


def test_in_a_cooldown_only_more_is_added_and_only_the_difference(lab: Lab, unique: str) -> None:
    # step-scaling-policy-overview, Cooldown period: "the previous increase of 2 is considered part of the current
    # capacity. Therefore, only 1 is added to the capacity."
    service = Scaled(lab, unique, count=1)
    other = Scaled(lab, f"{unique}-other", count=1, MaxCapacity=5)
    steps = above(2, 0, 10), above(3, 10)
    policy = service.step("out", *steps, Cooldown=300, MetricAggregationType="Maximum")
    standing_alarm(lab, unique, policy, other.step("out", above(2)))
    service.runs(3)
    other.comes_to(5)
    assert service.desired() == 3
    put_value(lab, unique, 15.0)
    service.comes_to(4)
    assert [activity["Description"] for activity in service.activities()] == [
        "Setting desired count to 3.",
        "Setting desired count to 4.",
    ]


def test_a_scale_in_waits_for_its_cooldown_and_a_scale_out_ends_it(lab: Lab, unique: str) -> None:
    # target-tracking-scaling-policy-overview, Define cooldown periods.
    service = Scaled(lab, unique, count=3, MinCapacity=0)
    other = Scaled(lab, f"{unique}-other", count=3, MinCapacity=0)
    standing_alarm(lab, unique, service.step("in", above(-1), Cooldown=300), other.step("in", above(-1)))
    other.comes_to(0)
    assert service.desired() == 2
    standing_alarm(lab, f"{unique}-out", service.step("out", above(2), Cooldown=300))
    service.runs(4)
    service.cloudwatch.delete_alarms(AlarmNames=[f"{unique}-out"])
    service.comes_to(3)


def test_the_policy_with_the_largest_capacity_wins(lab: Lab, unique: str) -> None:
    # The model of PutScalingPolicy: "gives precedence to the policy that provides the largest capacity for both scale
    # out and scale in", with an example of which this is a smaller one.
    service = Scaled(lab, unique, count=2)
    policies = [
        service.step("few", above(1), Cooldown=300),
        service.step("many", above(200), AdjustmentType="PercentChangeInCapacity", Cooldown=300),
        service.step("in", above(-1), Cooldown=300),
    ]
    standing_alarm(lab, unique, *policies)
    service.comes_to(6)
    assert [activity["Cause"].rpartition(" ")[2] for activity in service.activities()] == ["many"]


def test_what_is_outside_the_bounds_is_corrected_one_way_only(lab: Lab, unique: str) -> None:
    # service-auto-scaling (ECS guide), Considerations: below the minimum only a scale-out lifts, above the maximum
    # only a scale-in cuts. getting-started has any invocation correct; see application_autoscaling_engine.
    low = Scaled(lab, f"{unique}-low", count=2, MinCapacity=3, MaxCapacity=8)
    high = Scaled(lab, f"{unique}-high", count=5, MinCapacity=0, MaxCapacity=4)
    low.comes_to(3)
    high.comes_to(4)
    low.cluster.update(desiredCount=1)
    low.runs(1)
    high.cluster.update(desiredCount=6)
    high.runs(6)
    settings = {"Cooldown": 300}
    standing_alarm(lab, f"{unique}-1", low.step("in", above(-1), **settings))
    standing_alarm(lab, f"{unique}-2", high.step("out", above(1), **settings))
    assert low.not_scaled("AlreadyAtMinCapacity") and high.not_scaled("AlreadyAtMaxCapacity")
    assert (low.desired(), high.desired()) == (1, 6)
    low.cloudwatch.delete_alarms(AlarmNames=[f"{unique}-1"])
    low.cloudwatch.delete_alarms(AlarmNames=[f"{unique}-2"])
    standing_alarm(lab, f"{unique}-3", low.step("out", above(1), **settings), high.step("in", above(-1), **settings))
    low.comes_to(3)
    high.comes_to(4)


# ---- what holds policies back --------------------------------------------------------------------


def test_each_direction_is_suspended_for_itself_and_resumed_at_once(lab: Lab, unique: str) -> None:
    # application-auto-scaling-suspend-resume-scaling.
    held = Scaled(lab, unique, count=2, MinCapacity=1, MaxCapacity=3)
    free = Scaled(lab, f"{unique}-free", count=2, MinCapacity=1, MaxCapacity=3)
    held.suspend(In=True)
    standing_alarm(lab, f"{unique}-in", held.step("in", above(-1)), free.step("in", above(-1)))
    free.comes_to(1)
    assert held.desired() == 2
    held.suspend(In=False)
    held.comes_to(1)
    held.cloudwatch.delete_alarms(AlarmNames=[f"{unique}-in"])
    held.suspend(Out=True)
    standing_alarm(lab, f"{unique}-out", held.step("out", above(1)), free.step("out", above(1)))
    free.comes_to(3)
    assert held.desired() == 1
    held.suspend(Out=False)
    held.comes_to(3)


def test_a_deployment_of_ecs_stops_scale_in_and_not_scale_out(lab: Lab, unique: str) -> None:
    # service-auto-scaling (ECS guide), Service auto scaling and deployments.
    service = Scaled(lab, unique, count=2, MinCapacity=1)
    service.cluster.update(taskDefinition=service.cluster.definition(NEVER_RUNNING))
    standing_alarm(lab, f"{unique}-in", service.step("in", above(-1)))
    service.not_scaled("TargetServicePutResourceAsUnscalable")
    assert service.desired() == 2
    standing_alarm(lab, f"{unique}-out", service.step("out", above(1)))
    service.comes_to(3)
    service.cloudwatch.delete_alarms(AlarmNames=[f"{unique}-out"])
    service.cluster.update(taskDefinition=service.cluster.definition("registry.example/demo:2"))
    service.comes_to(1)


def test_the_one_event_of_its_own_says_that_the_maximum_is_reached(lab: Lab, unique: str) -> None:
    # monitoring-eventbridge.
    inbox, events = Inbox(lab, unique), lab.client("events")
    pattern: dict[str, Any] = {
        "source": ["aws.application-autoscaling"],
        "detail": {"scaledToMax": [True], "resourceId": [f"service/{unique}/app"]},
    }
    events.put_rule(Name=unique, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=unique, Targets=[{"Id": "queue", "Arn": inbox.arn}])
    service = Scaled(lab, unique, count=1, MaxCapacity=3)
    standing_alarm(lab, unique, service.step("out", above(5)))
    (event,) = inbox.wait_for()
    assert event["detail-type"] == "Application Auto Scaling Scaling Activity State Change"
    counts = {name: event["detail"][name] for name in ("oldDesiredCapacity", "newDesiredCapacity", "maxCapacity")}
    assert counts == {"oldDesiredCapacity": 1, "newDesiredCapacity": 3, "maxCapacity": 3}
