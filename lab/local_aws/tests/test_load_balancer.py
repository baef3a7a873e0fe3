"""The data plane, asked over real HTTP."""

from __future__ import annotations

import http.client
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from local_aws.tests.balancing import Balancer, FakeTarget, fixed, forward, serving
from local_aws.tests.support import PATIENCE_SECONDS, Lab, start_lab, wait_for


def rule(balancer: Balancer, priority: int, condition: dict[str, Any], action: dict[str, Any]) -> str:
    arn: str = balancer.elb.create_rule(
        ListenerArn=balancer.listener, Priority=priority, Conditions=[condition], Actions=[action]
    )["Rules"][0]["RuleArn"]
    return arn


def set_default(balancer: Balancer, action: dict[str, Any]) -> None:
    balancer.elb.modify_listener(ListenerArn=balancer.listener, DefaultActions=[action])


def cookie_of(headers: list[tuple[str, str]]) -> str:
    return next(value for name, value in headers if value.startswith("AWSALBTG=")).partition(";")[0]


def test_rules_are_tried_by_priority(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    balancer.listen([fixed(404, "default")])
    paths = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/api/*"]}}
    rule(balancer, 20, paths, fixed(200, "path"))
    rule(balancer, 1, {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.example.com"]}}, fixed(200, "host"))
    rule(
        balancer,
        2,
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Test", "Values": ["yes*"]}},
        fixed(200, "header"),
    )
    rule(
        balancer,
        3,
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "version", "Value": "2"}]}},
        fixed(200, "query"),
    )
    rule(
        balancer,
        4,
        {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["DELETE"]}},
        fixed(200, "method"),
    )
    wait_for(lambda: balancer.get("/", method="DELETE").body == "method")
    assert balancer.get("/").body == "default"
    assert balancer.get("/api/x").body == "path"
    assert balancer.get("/api/x", {"X-Test": "yes, please"}).body == "header"
    assert balancer.get("/api/x", {"Host": "a.EXAMPLE.com", "X-Test": "yes"}).body == "host"
    assert balancer.get("/?a=b&version=2").body == "query"


def test_fixed_responses_and_redirects_come_from_the_load_balancer(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    redirect = {
        "Type": "redirect",
        "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"},
    }
    balancer.listen([redirect])
    answer = balancer.get("/a/b?c=d", {"Host": "shop.example"})
    assert answer.status == 301
    assert ("Location", "https://shop.example:443/a/b?c=d") in answer.headers
    assert ("Server", "awselb/2.0") in answer.headers


def test_requests_are_divided_by_weight_and_then_round_robin(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    blue, green = balancer.group(), balancer.group()
    balancer.listen([forward((blue, 800), (green, 200))])
    with ExitStack() as stack:
        targets = [stack.enter_context(serving(FakeTarget(name))) for name in ("b1", "b2", "g1")]
        balancer.register(blue, *targets[:2])
        balancer.register(green, targets[2])
        seen = Counter(balancer.get().body for _ in range(500))
        # Six standard deviations around 100 of 500.
        assert 46 <= seen["g1"] <= 154
        assert abs(seen["b1"] - seen["b2"]) <= 1
        set_default(balancer, forward((blue, 0), (green, 999)))
        wait_for(lambda: [balancer.get().body for _ in range(10)] == ["g1"] * 10)


def test_a_target_sees_who_asked(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.listen([forward((group, 1))])
    with serving(FakeTarget("one")) as target:
        balancer.register(group, target)
        answer = balancer.get("/", {"X-Forwarded-For": "203.0.113.9", "X-Own": "kept"})
        assert answer.status == 200
        headers = target.seen[-1]
        assert headers["x-forwarded-for"].startswith("203.0.113.9, 127.")
        assert (headers["x-forwarded-proto"], headers["x-forwarded-port"]) == ("http", "8080")
        assert headers["x-amzn-trace-id"].startswith("Root=1-")
        assert headers["x-own"] == "kept"
        assert "awselb" not in str(answer.headers)


def test_a_cookie_outranks_the_weights_until_its_group_leaves_the_action(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    blue, green = balancer.group(), balancer.group()
    balancer.listen([forward((blue, 0), (green, 1), sticky_seconds=60)])
    with serving(FakeTarget("blue")) as blue_target, serving(FakeTarget("green")) as green_target:
        balancer.register(blue, blue_target)
        balancer.register(green, green_target)
        sticky = {"Cookie": cookie_of(balancer.get().headers)}
        set_default(balancer, forward((blue, 1), (green, 0), sticky_seconds=60))
        wait_for(lambda: balancer.get().body == "blue")
        assert {balancer.get("/", sticky).body for _ in range(20)} == {"green"}
        # No healthy target in the group of the cookie: no fail-over to the other group.
        green_target.healthy = False
        wait_for(lambda: balancer.states(green) == ["unhealthy"])
        assert balancer.get("/", sticky).status == 503
        assert balancer.get("/").status == 200
        set_default(balancer, forward((blue, 1), sticky_seconds=60))
        wait_for(lambda: balancer.get("/", sticky).body == "blue")


def test_only_healthy_targets_get_requests_while_there_is_one(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.listen([forward((group, 1))])
    with serving(FakeTarget("good")) as good, serving(FakeTarget("bad")) as bad:
        balancer.register(group, good, bad)
        bad.healthy = False
        wait_for(lambda: sorted(balancer.states(group)) == ["healthy", "unhealthy"])
        unhealthy = next(t for t in balancer.health(group) if t["TargetHealth"]["State"] == "unhealthy")
        assert unhealthy["TargetHealth"] == {
            "State": "unhealthy",
            "Reason": "Target.ResponseCodeMismatch",
            "Description": "Health checks failed with these codes: [503]",
        }
        assert {balancer.get().body for _ in range(10)} == {"good"}
        # Fail-open: with nobody healthy, everybody gets requests.
        good.healthy = False
        wait_for(lambda: balancer.states(group) == ["unhealthy", "unhealthy"])
        assert {balancer.get().body for _ in range(10)} == {"good", "bad"}
        bad.healthy = True
        wait_for(lambda: sorted(balancer.states(group)) == ["healthy", "unhealthy"])


def test_an_empty_group_answers_503_and_a_dead_target_502(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.listen([forward((group, 1))])
    assert balancer.get().status == 503
    with serving(FakeTarget("dead")) as target:
        balancer.register(group, target)
        target_port = target.port
    assert target_port
    assert balancer.get().status == 502
    wait_for(lambda: balancer.states(group) == ["unhealthy"])
    assert balancer.health(group)[0]["TargetHealth"]["Reason"] == "Target.FailedHealthChecks"


def test_a_draining_target_gets_no_new_requests(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.set_deregistration_delay(group, 1)
    balancer.listen([forward((group, 1))])
    with serving(FakeTarget("stays")) as stays, serving(FakeTarget("leaves")) as leaves:
        balancer.register(group, stays, leaves)
        balancer.elb.deregister_targets(TargetGroupArn=group, Targets=[leaves.registration()])
        draining = next(t for t in balancer.health(group) if t["Target"]["Port"] == leaves.port)
        assert draining["TargetHealth"]["State"] == "draining"
        assert draining["TargetHealth"]["Reason"] == "Target.DeregistrationInProgress"
        assert {balancer.get().body for _ in range(10)} == {"stays"}
        wait_for(lambda: balancer.states(group) == ["healthy"])


def test_an_authenticate_action_lets_requests_pass(lab: Lab, unique: str) -> None:
    # AWS would redirect the client to the identity provider first; a lab has none.
    balancer = Balancer(lab, unique)
    group = balancer.group()
    authenticate = {
        "Type": "authenticate-cognito",
        "Order": 1,
        "AuthenticateCognitoConfig": {"UserPoolArn": "a", "UserPoolClientId": "b", "UserPoolDomain": "c"},
    }
    balancer.listen([authenticate, forward((group, 1), Order=2)])
    with serving(FakeTarget("behind")) as target:
        balancer.register(group, target)
        assert balancer.get().body == "behind"


def test_transforms_rewrite_what_the_target_sees(lab: Lab, unique: str) -> None:
    """The rule is chosen by what the client sent; path and query are rewritten together."""
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.listen([fixed(404)])
    transforms = [
        {
            "Type": "url-rewrite",
            "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/shop/(.*)$", "Replace": "/inside/$1&more=1"}]},
        },
        {
            "Type": "host-header-rewrite",
            "HostHeaderRewriteConfig": {"Rewrites": [{"Regex": "^(.*)$", "Replace": "inside.example"}]},
        },
    ]
    balancer.elb.create_rule(
        ListenerArn=balancer.listener,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/shop/*"]}}],
        Actions=[forward((group, 1))],
        Transforms=transforms,
    )
    with serving(FakeTarget("behind")) as target:
        balancer.register(group, target)
        assert balancer.get("/shop/cart?item=2").body == "behind"
        assert (target.seen[-1][":path"], target.seen[-1]["host"]) == ("/inside/cart?item=2&more=1", "inside.example")
        assert balancer.get("/inside/cart").status == 404


def test_a_listener_on_a_privileged_port_is_found_above_10000(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique, port=80)
    balancer.listen([fixed(200, "here")])
    assert balancer.get().body == "here"
    balancer.elb.delete_listener(ListenerArn=balancer.listener)

    def refused() -> bool:
        try:
            balancer.get()
        except OSError:
            return True
        return False

    wait_for(refused)


def test_connections_are_kept_alive(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.listen([forward((group, 1))])
    with serving(FakeTarget("one")) as target:
        balancer.register(group, target)
        connection = http.client.HTTPConnection(balancer.address, balancer.port, timeout=PATIENCE_SECONDS)
        for _ in range(3):
            connection.request("GET", "/")
            response = connection.getresponse()
            assert response.read() == b"one"
            assert connection.sock is not None
        connection.close()


def metric_sums(lab: Lab, metric: str, dimensions: dict[str, str]) -> float:
    now = time.time()
    answer = lab.client("cloudwatch").get_metric_data(
        MetricDataQueries=[
            {
                "Id": "m",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/ApplicationELB",
                        "MetricName": metric,
                        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
                    },
                    "Period": 1,
                    "Stat": "Sum",
                },
            }
        ],
        StartTime=now - 120,
        EndTime=now + 5,
    )
    return float(sum(answer["MetricDataResults"][0]["Values"]))


def test_traffic_becomes_metrics_and_journal_lines(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.listen([forward((group, 1))])
    # Otherwise a thread of the stopped server would go on answering on the kept connection.
    with serving(FakeTarget("one", keep_alive=False)) as target:
        balancer.register(group, target)
        for status, number in ((200, 7), (302, 1), (404, 2), (500, 3)):
            target.status = status
            for _ in range(number):
                assert balancer.get().status == status
    assert balancer.get().status == 502
    balancer_only = {"LoadBalancer": balancer.arn.partition(":loadbalancer/")[2]}
    both = {"TargetGroup": group.rpartition(":")[2], **balancer_only}
    wait_for(lambda: metric_sums(lab, "TargetConnectionErrorCount", both) == 1)
    for dimensions in (both, balancer_only):
        assert metric_sums(lab, "RequestCount", dimensions) == 14
        for code, number in (("2XX", 7), ("3XX", 1), ("4XX", 2), ("5XX", 3)):
            assert metric_sums(lab, f"HTTPCode_Target_{code}_Count", dimensions) == number
        assert metric_sums(lab, "TargetResponseTime", dimensions) > 0
    assert metric_sums(lab, "HTTPCode_ELB_5XX_Count", balancer_only) >= 1
    assert metric_sums(lab, "HTTPCode_ELB_5XX_Count", both) == 0
    assert metric_sums(lab, "HealthyHostCount", both) > 0
    assert metric_sums(lab, "RequestCountPerTarget", {"TargetGroup": both["TargetGroup"]}) == 14
    wait_for(lambda: metric_sums(lab, "UnHealthyHostCount", both) > 0)
    lines = lab.journal_lines(kind="traffic", targetGroup=group)
    assert sum(line["requests"] for line in lines) == 14
    assert sum(line["bad"] for line in lines) == 3
    assert sum(line["loadBalancerErrors"] for line in lines) == 1


def test_weights_can_take_a_while_to_reach_the_traffic(tmp_path: Path) -> None:
    slow = start_lab(tmp_path / "data", "--routing-delay", "3")
    try:
        balancer = Balancer(slow, "slow")
        balancer.listen([fixed(200, "old")])
        started = time.monotonic()
        set_default(balancer, fixed(200, "new"))
        assert balancer.get().body == "old" or time.monotonic() - started >= 3
        # What is created meanwhile serves at once, and goes on doing so when the change has propagated: a
        # stack that is complete has no route that still meets no rule.
        paths = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/api/*"]}}
        arn = rule(balancer, 10, paths, fixed(200, "created"))
        wait_for(lambda: balancer.get("/api/x").body == "created")
        balancer.elb.modify_rule(RuleArn=arn, Actions=[fixed(200, "modified")])
        other = Balancer(slow, "other", 8090)
        other.listen([fixed(200, "other")])
        seen = []
        while balancer.get().body != "new":
            seen.append((balancer.get("/api/x").body, other.get().body))
        assert time.monotonic() - started >= 3
        assert set(seen) <= {("created", "other"), ("modified", "other")}
        wait_for(lambda: balancer.get("/api/x").body == "modified")
        assert other.get().body == "other"
        started = time.monotonic()
        balancer.elb.delete_rule(RuleArn=arn)
        assert balancer.get("/api/x").body == "modified" or time.monotonic() - started >= 3
        wait_for(lambda: balancer.get("/api/x").body == "new")
    finally:
        slow.process.terminate()
        slow.process.wait(10)


@pytest.mark.parametrize("length", [0, 200_000])
def test_request_bodies_reach_the_target(lab: Lab, unique: str, length: int) -> None:
    balancer = Balancer(lab, unique)
    balancer.listen([fixed(200, "done")])
    connection = http.client.HTTPConnection(balancer.address, balancer.port, timeout=PATIENCE_SECONDS)
    connection.request("POST", "/", body=b"x" * length)
    assert connection.getresponse().read() == b"done"
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"done"
    connection.close()
