"""The control plane of Elastic Load Balancing, asked through boto3."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.tests.balancing import Balancer, FakeTarget, fixed, forward, serving, weights
from local_aws.tests.support import Lab, start_lab, wait_for

OIDC: dict[str, Any] = {
    "Type": "authenticate-oidc",
    "Order": 1,
    "AuthenticateOidcConfig": {
        "Issuer": "https://issuer.example",
        "AuthorizationEndpoint": "https://issuer.example/authorize",
        "TokenEndpoint": "https://issuer.example/token",
        "UserInfoEndpoint": "https://issuer.example/user",
        "ClientId": "client",
        "ClientSecret": "hidden-from-everybody",
        "AuthenticationRequestExtraParams": {"prompt": "login"},
        "OnUnauthenticatedRequest": "deny",
    },
}
TRANSFORM = {
    "Type": "url-rewrite",
    "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/old", "Replace": "/new"}]},
}


def error_code(error: pytest.ExceptionInfo[ClientError]) -> str:
    code: str = error.value.response["Error"]["Code"]
    return code


def create_rule(balancer: Balancer, actions: list[dict[str, Any]], priority: int = 10, **more: Any) -> str:
    conditions = [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/api/*"]}}]
    arn: str = balancer.elb.create_rule(
        ListenerArn=balancer.listener, Priority=priority, Conditions=conditions, Actions=actions, **more
    )["Rules"][0]["RuleArn"]
    return arn


def described(balancer: Balancer, rule: str) -> dict[str, Any]:
    found: dict[str, Any] = balancer.elb.describe_rules(RuleArns=[rule])["Rules"][0]
    return found


def test_weights_and_stickiness_are_kept_as_written(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    blue, green = balancer.group(), balancer.group()
    balancer.listen([fixed(404)])
    rule = create_rule(balancer, [forward((blue, 999), (green, 1), sticky_seconds=60)])
    (action,) = described(balancer, rule)["Actions"]
    assert set(action) == {"Type", "ForwardConfig"}
    assert weights(action) == {blue: 999, green: 1}
    assert action["ForwardConfig"]["TargetGroupStickinessConfig"] == {"Enabled": True, "DurationSeconds": 60}


def test_a_single_group_is_described_in_both_shapes(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.listen([{"Type": "forward", "TargetGroupArn": group}])
    listener = balancer.elb.describe_listeners(ListenerArns=[balancer.listener])["Listeners"][0]
    assert listener["DefaultActions"] == [
        {
            "Type": "forward",
            "TargetGroupArn": group,
            "ForwardConfig": {
                "TargetGroups": [{"TargetGroupArn": group, "Weight": 1}],
                "TargetGroupStickinessConfig": {"Enabled": False},
            },
        }
    ]


@pytest.mark.parametrize(
    ("make_action", "code"),
    [
        (lambda groups: forward((groups[0], 1000), (groups[1], 0)), "ValidationError"),
        (lambda groups: forward((groups[0], -1), (groups[1], 0)), "ValidationError"),
        (lambda groups: forward(*[(group, 1) for group in groups]), "TooManyTargetGroups"),
        (lambda groups: forward((groups[0], 1), (groups[0][:-1] + "?", 1)), "TargetGroupNotFound"),
        (lambda groups: forward((groups[0], 1), (groups[0], 1)), "ValidationError"),
        (lambda groups: forward((groups[0], 1), sticky_seconds=700_000), "ValidationError"),
    ],
)
def test_a_bad_forward_action_is_refused_and_changes_nothing(
    lab: Lab, unique: str, make_action: Any, code: str
) -> None:
    balancer = Balancer(lab, unique)
    groups = [balancer.group() for _ in range(6)]
    balancer.listen([fixed(404)])
    rule = create_rule(balancer, [forward((groups[0], 3), (groups[1], 4))])
    with pytest.raises(ClientError) as error:
        balancer.elb.modify_rule(RuleArn=rule, Actions=[make_action(groups)])
    assert error_code(error) == code
    assert weights(described(balancer, rule)["Actions"][0]) == {groups[0]: 3, groups[1]: 4}


def test_a_modified_rule_keeps_what_was_omitted(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    blue, green = balancer.group(), balancer.group()
    balancer.listen([fixed(404)])
    rule = create_rule(
        balancer, [OIDC, forward((blue, 1000 - 1), (green, 0), Order=2)], Transforms=[TRANSFORM]
    )
    before = described(balancer, rule)
    kept = {**OIDC, "AuthenticateOidcConfig": {**OIDC["AuthenticateOidcConfig"], "UseExistingClientSecret": True}}
    del kept["AuthenticateOidcConfig"]["ClientSecret"]
    balancer.elb.modify_rule(RuleArn=rule, Actions=[kept, forward((blue, 900), (green, 100), Order=2)])
    after = described(balancer, rule)
    assert after["Conditions"] == before["Conditions"]
    assert after["Transforms"] == [TRANSFORM]
    assert after["Actions"][0] == before["Actions"][0]
    assert weights(after["Actions"][1]) == {blue: 900, green: 100}
    assert [action["Order"] for action in after["Actions"]] == [1, 2]


def test_an_oidc_secret_is_never_shown_and_must_be_kept_explicitly(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.listen([OIDC, forward((group, 1), Order=2)])
    shown = balancer.elb.describe_listeners(ListenerArns=[balancer.listener])["Listeners"][0]["DefaultActions"]
    config = shown[0]["AuthenticateOidcConfig"]
    assert "ClientSecret" not in config
    assert config["AuthenticationRequestExtraParams"] == {"prompt": "login"}
    assert config["OnUnauthenticatedRequest"] == "deny"
    # What Describe returned cannot be sent back as it is: AWS wants the secret or a word that it stays.
    with pytest.raises(ClientError) as error:
        balancer.elb.modify_listener(ListenerArn=balancer.listener, DefaultActions=shown)
    assert error_code(error) == "ValidationError"
    config["UseExistingClientSecret"] = True
    balancer.elb.modify_listener(ListenerArn=balancer.listener, DefaultActions=shown)
    balancer.elb.modify_listener(ListenerArn=balancer.listener, DefaultActions=shown)
    assert "hidden-from-everybody" not in lab.journal.read_text()


def test_a_cognito_action_is_kept(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    cognito: dict[str, Any] = {
        "Type": "authenticate-cognito",
        "Order": 1,
        "AuthenticateCognitoConfig": {
            "UserPoolArn": "arn:aws:cognito-idp:eu-west-1:111122223333:userpool/eu-west-1_x",
            "UserPoolClientId": "client",
            "UserPoolDomain": "domain",
            "SessionTimeout": 60,
        },
    }
    balancer.listen([cognito, forward((group, 1), Order=2)])
    shown = balancer.elb.describe_listeners(ListenerArns=[balancer.listener])["Listeners"][0]["DefaultActions"]
    assert shown[0]["AuthenticateCognitoConfig"].items() >= cognito["AuthenticateCognitoConfig"].items()


def test_a_jwt_action_is_kept(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    jwt: dict[str, Any] = {
        "Type": "jwt-validation",
        "Order": 1,
        "JwtValidationConfig": {
            "JwksEndpoint": "https://identity.example/keys",
            "Issuer": "https://identity.example",
            "AdditionalClaims": [{"Format": "string-array", "Name": "aud", "Values": ["shop"]}],
        },
    }
    balancer.listen([jwt, forward((group, 1), Order=2)])
    shown = balancer.elb.describe_listeners(ListenerArns=[balancer.listener])["Listeners"][0]["DefaultActions"]
    assert shown[0] == jwt
    with pytest.raises(ClientError) as error:
        balancer.elb.modify_listener(
            ListenerArn=balancer.listener,
            DefaultActions=[{**jwt, "JwtValidationConfig": {"Issuer": "i"}}, forward((group, 1), Order=2)],
        )
    assert error_code(error) == "ValidationError"


def test_rules_are_described_in_pages_and_by_arn(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    balancer.listen([fixed(404)])
    created = [create_rule(balancer, [fixed(200)], priority) for priority in range(1, 106)]
    pages: list[list[str]] = []
    marker: str | None = None
    while True:
        more: dict[str, str] = {"Marker": marker} if marker else {}
        answer = balancer.elb.describe_rules(ListenerArn=balancer.listener, PageSize=50, **more)
        pages.append([rule["RuleArn"] for rule in answer["Rules"]])
        marker = answer.get("NextMarker")
        if not marker:
            break
    assert [len(page) for page in pages] == [50, 50, 6]
    listed = [arn for page in pages for arn in page]
    assert listed[:-1] == created
    chosen = balancer.elb.describe_rules(RuleArns=[created[3], created[100]])["Rules"]
    assert [rule["Priority"] for rule in chosen] == ["4", "101"]
    # Without PageSize AWS ends a page after 100 rules too.
    assert len(balancer.elb.describe_rules(ListenerArn=balancer.listener)["Rules"]) == 100


def test_groups_know_the_load_balancer_that_names_them(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    named, unnamed = balancer.group(), balancer.group()
    balancer.listen([forward((named, 0))])
    found = balancer.elb.describe_target_groups(LoadBalancerArn=balancer.arn)["TargetGroups"]
    assert [group["TargetGroupArn"] for group in found] == [named]
    both = balancer.elb.describe_target_groups(TargetGroupArns=[named, unnamed])["TargetGroups"]
    assert [group["LoadBalancerArns"] for group in both] == [[balancer.arn], []]
    by_name = balancer.elb.describe_target_groups(Names=[both[1]["TargetGroupName"]])["TargetGroups"]
    assert by_name[0]["TargetGroupArn"] == unnamed
    with pytest.raises(ClientError) as error:
        balancer.elb.delete_target_group(TargetGroupArn=named)
    assert error_code(error) == "ResourceInUse"
    other = Balancer(lab, f"{unique}-o"[-30:].strip("-"))
    with pytest.raises(ClientError) as error:
        other.listen([forward((named, 1))])
    assert error_code(error) == "TargetGroupAssociationLimit"


def test_targets_of_a_group_that_no_rule_names_are_unused(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    balancer.listen([fixed(200)])
    with serving(FakeTarget("one")) as target:
        balancer.register(group, target, healthy=False)
        assert balancer.health(group)[0]["TargetHealth"] == {
            "State": "unused",
            "Reason": "Target.NotInUse",
            "Description": "Target group is not configured to receive traffic from the load balancer",
        }
        # Weight 0 counts as attached: that is what keeps an idle slot's health known.
        rule = create_rule(balancer, [forward((group, 0))])
        wait_for(lambda: balancer.states(group) == ["healthy"])
        balancer.elb.delete_rule(RuleArn=rule)
        assert balancer.states(group) == ["unused"]


def test_the_default_rule_is_changed_through_the_listener_only(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    balancer.listen([fixed(404)])
    default = balancer.elb.describe_rules(ListenerArn=balancer.listener)["Rules"][-1]
    assert default["IsDefault"] and default["Priority"] == "default"
    with pytest.raises(ClientError) as error:
        balancer.elb.modify_rule(RuleArn=default["RuleArn"], Actions=[fixed(200)])
    assert error_code(error) == "OperationNotPermitted"
    balancer.elb.modify_listener(ListenerArn=balancer.listener, DefaultActions=[fixed(200)])
    assert described(balancer, default["RuleArn"])["Actions"][0]["FixedResponseConfig"]["StatusCode"] == "200"


def test_each_change_of_weights_is_in_the_journal(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    blue, green = balancer.group(), balancer.group()
    balancer.listen([fixed(404)])
    rule = create_rule(balancer, [forward((blue, 999), (green, 0))])
    balancer.elb.modify_rule(RuleArn=rule, Actions=[forward((blue, 950), (green, 50))])
    (line,) = lab.journal_lines(kind="weights", resource=rule)
    assert line["groups"] == [
        {"targetGroup": blue, "weight": 950},
        {"targetGroup": green, "weight": 50},
    ]
    assert line["principal"] == "root"
    assert line["action"]["ForwardConfig"]["TargetGroupStickinessConfig"] == {"Enabled": False}


def test_a_reset_leaves_nothing_behind(tmp_path: Any) -> None:
    fresh = start_lab(tmp_path / "data")
    try:
        balancer = Balancer(fresh, "before")
        balancer.listen([fixed(200, "before")])
        urllib.request.urlopen(f"{fresh.endpoint}/_ministack/reset", data=b"").close()
        assert balancer.elb.describe_load_balancers()["LoadBalancers"] == []

        def closed() -> bool:
            try:
                balancer.get()
            except OSError:
                return True
            return False

        wait_for(closed)
    finally:
        fresh.process.terminate()
        fresh.process.wait(10)


def test_requests_beyond_the_buckets_are_throttled(tmp_path: Any) -> None:
    throttled = start_lab(tmp_path / "data", "--elb-throttling")
    try:
        elb = throttled.client("elbv2")
        # 20 at once and 3 a second: what 30 calls find depends on how long they took, so calls are made until one is
        # refused, which 20 never are.
        answers = []
        while "ThrottlingException" not in [answer["Code"] for answer in answers]:
            assert len(answers) < 1000, "a bucket that fills faster than calls come"
            with pytest.raises(ClientError) as refused:
                elb.modify_rule(RuleArn="arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener-rule/app/a/1/2/3")
            answers.append(refused.value.response["Error"])
        assert len(answers) > 20
        assert answers[-1] == {"Type": "Sender", "Code": "ThrottlingException", "Message": "Rate exceeded"}
        elb.describe_target_groups()
    finally:
        throttled.process.terminate()
        throttled.process.wait(10)
