"""What the load balancing API answers otherwise than it was told, and refuses for its stickiness."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.tests.balancing import Balancer, fixed, forward, weights
from local_aws.tests.support import Lab
from local_aws.tests.test_elbv2 import create_rule, described, error_code

READS = 40


def groups_of(action: dict[str, Any]) -> tuple[str, ...]:
    return tuple(group["TargetGroupArn"] for group in action["ForwardConfig"]["TargetGroups"])


def stick(balancer: Balancer, group: str, enabled: str = "true") -> None:
    balancer.elb.modify_target_group_attributes(
        TargetGroupArn=group, Attributes=[{"Key": "stickiness.enabled", "Value": enabled}]
    )


def attributes(balancer: Balancer, group: str) -> dict[str, str]:
    found = balancer.elb.describe_target_group_attributes(TargetGroupArn=group)["Attributes"]
    return {attribute["Key"]: attribute["Value"] for attribute in found}


def test_groups_come_in_an_order_that_nobody_promised(lab: Lab, unique: str) -> None:
    """kubernetes-sigs/aws-load-balancer-controller#4350 sorts them, else equal rules are not read back equal."""
    balancer = Balancer(lab, unique)
    first, second = balancer.group(), balancer.group()
    both = forward((first, 900), (second, 100))
    balancer.listen([both])
    rule = create_rule(balancer, [both])

    def default() -> dict[str, Any]:
        listener = balancer.elb.describe_listeners(ListenerArns=[balancer.listener])["Listeners"][0]
        action: dict[str, Any] = listener["DefaultActions"][0]
        return action

    def modified() -> dict[str, Any]:
        action: dict[str, Any] = balancer.elb.modify_rule(RuleArn=rule, Actions=[both])["Rules"][0]["Actions"][0]
        return action

    for read in (lambda: described(balancer, rule)["Actions"][0], default, modified):
        actions = [read() for _ in range(READS)]
        assert {groups_of(action) for action in actions} == {(first, second), (second, first)}
        assert all(weights(action) == {first: 900, second: 100} for action in actions)


def test_a_lone_group_has_a_weight_of_the_load_balancers_own(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.listen([forward((group, 999))])
    rule = create_rule(balancer, [forward((group, 0))])
    listener = balancer.elb.describe_listeners(ListenerArns=[balancer.listener])["Listeners"][0]
    assert weights(listener["DefaultActions"][0]) == {group: 1}
    assert weights(described(balancer, rule)["Actions"][0]) == {group: 1}
    # The journal has what was written.
    balancer.elb.modify_rule(RuleArn=rule, Actions=[forward((group, 7))])
    (line,) = lab.journal_lines(kind="weights", resource=rule)
    assert line["groups"] == [{"targetGroup": group, "weight": 7}]


def test_several_groups_with_a_sticky_one_need_group_stickiness(lab: Lab, unique: str) -> None:
    """AWS's page on rule actions: "you must enable target group stickiness"."""
    balancer = Balancer(lab, unique)
    plain, sticky = balancer.group(), balancer.group()
    balancer.listen([fixed(404)])
    stick(balancer, sticky)
    rule = create_rule(balancer, [forward((sticky, 1))])
    both = ((plain, 1), (sticky, 1))
    for refused in (
        lambda: balancer.elb.modify_rule(RuleArn=rule, Actions=[forward(*both)]),
        lambda: create_rule(balancer, [forward(*both)], 11),
        lambda: balancer.elb.modify_listener(ListenerArn=balancer.listener, DefaultActions=[forward(*both)]),
    ):
        with pytest.raises(ClientError) as error:
            refused()
        assert error_code(error) == "InvalidLoadBalancerAction"
        assert "You must enable group stickiness on a rule" in str(error.value)
    assert groups_of(described(balancer, rule)["Actions"][0]) == (sticky,)
    balancer.elb.modify_rule(RuleArn=rule, Actions=[forward(*both, sticky_seconds=60)])
    assert set(groups_of(described(balancer, rule)["Actions"][0])) == {plain, sticky}


def test_a_group_beside_others_becomes_sticky_only_with_group_stickiness(lab: Lab, unique: str) -> None:
    """kubernetes-sigs/aws-load-balancer-controller#2734 has the words of the refusal."""
    balancer = Balancer(lab, unique)
    first, second = balancer.group(), balancer.group()
    balancer.listen([fixed(404)])
    rule = create_rule(balancer, [forward((first, 1), (second, 1))])
    with pytest.raises(ClientError) as error:
        stick(balancer, first)
    assert error_code(error) == "InvalidConfigurationRequest"
    assert attributes(balancer, first)["stickiness.enabled"] == "false"
    balancer.elb.modify_rule(RuleArn=rule, Actions=[forward((first, 1), (second, 1), sticky_seconds=60)])
    stick(balancer, first)
    assert attributes(balancer, first)["stickiness.enabled"] == "true"


def test_every_attribute_of_a_group_is_described(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    found = attributes(balancer, group)
    assert found["deregistration_delay.timeout_seconds"] == "0"
    assert (found["stickiness.enabled"], found["stickiness.type"]) == ("false", "lb_cookie")
    assert found["load_balancing.algorithm.type"] == "round_robin"
    with pytest.raises(ClientError) as error:
        attributes(balancer, group[:-1] + "?")
    assert error_code(error) == "TargetGroupNotFound"


def test_limits_of_the_account_need_nothing_to_be_asked_for(lab: Lab) -> None:
    """The rollback function asks for them to open its connection before there is anything to write."""
    elb = lab.client("elbv2")
    first = elb.describe_account_limits(PageSize=1)
    assert len(first["Limits"]) == 1 and first["NextMarker"]
    assert {"Name": "rules-per-application-load-balancer", "Max": "100"} in elb.describe_account_limits()["Limits"]
