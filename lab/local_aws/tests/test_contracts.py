"""Requests and answers that the service models do not allow are seen."""

from __future__ import annotations

import asyncio
import json
import xml.etree.ElementTree as ElementTree
from typing import Any
from urllib.parse import urlencode

import cbor2
import pytest

from local_aws import contracts
from local_aws.calls import CBOR, Answer, Call, HttpRequest
from local_aws.contracts import answer_problems, interceptor, request_problems
from local_aws.tests.functions import allow, create_role
from local_aws.tests.roles import code_of
from local_aws.tests.support import ACCOUNT, REGION, Lab

FORM = "application/x-www-form-urlencoded; charset=utf-8"
JSON = "application/x-amz-json-1.1"
RULE = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener-rule/app/a/b/c/d"


def call(
    service: str, action: str, kind: str, body: bytes, path: str = "/", method: str = "POST", **headers: str
) -> Call:
    """A call as it arrives."""
    http = HttpRequest(method=method, path=path, headers={"content-type": kind, **headers}, body=body)
    return Call(service, action, "AdvanceRole", {}, http.headers, http=http)


def form(service: str, action: str, /, **parameters: Any) -> Call:
    """A call in the query protocol; a double underscore stands for a dot."""
    flat = {name.replace("__", "."): value for name, value in parameters.items()}
    return call(service, action, FORM, urlencode({"Action": action, "Version": "1", **flat}).encode())


def rule(**action: str) -> Call:
    """ModifyRule with one action."""
    parameters = {f"Actions__member__1__{name}": value for name, value in action.items()}
    return form("elasticloadbalancing", "ModifyRule", RuleArn=RULE, **parameters)


def document(service: str, action: str, /, **content: Any) -> Call:
    """A call in JSON."""
    return call(service, action, JSON, json.dumps(content).encode())


def metrics(action: str, /, **content: Any) -> Call:
    """A call to CloudWatch."""
    return call("cloudwatch", action, CBOR, cbor2.dumps(content))


def invocation(name: str, /, **headers: str) -> Call:
    """A call of a function."""
    path = f"/2015-03-31/functions/{name}/invocations"
    return call("lambda", "Invoke", "application/octet-stream", b'{"any": "thing"}', path, **headers)


def seen(problems: contracts.Problems) -> list[str]:
    """The places and the beginnings of what is wrong there."""
    return [f"{problem.where}: {problem.what}" for problem in problems]


GOOD = [
    form(
        "elasticloadbalancing",
        "ModifyRule",
        RuleArn=RULE,
        Actions__member__1__Type="forward",
        Actions__member__1__Order="1",
        Actions__member__1__ForwardConfig__TargetGroups__member__1__Weight="5",
        Actions__member__1__ForwardConfig__TargetGroupStickinessConfig__Enabled="true",
        Conditions="",
    ),
    form(
        "sns",
        "Publish",
        Message="m",
        MessageAttributes__entry__1__Name="n",
        MessageAttributes__entry__1__Value__DataType="String",
    ),
    document("ecs", "UpdateService", service="s", desiredCount=3),
    document("dynamodb", "PutItem", TableName="t", Item={"a": {"M": {"b": {"L": [{"N": "1"}, {"NULL": True}]}}}}),
    metrics("GetMetricData", MetricDataQueries=[], StartTime=cbor2.CBORTag(1, 5), EndTime=cbor2.CBORTag(1, 6.5)),
    invocation("f", **{"x-amz-invocation-type": "Event"}),
    invocation("arn%3Aaws%3Alambda%3Aeu-west-1%3A111122223333%3Afunction%3Af"),
]


@pytest.mark.parametrize("good", GOOD, ids=lambda good: f"{good.service}-{good.action}")
def test_what_the_model_allows_is_let_through(good: Call) -> None:
    assert seen(request_problems(good)) == []
    # The second time it is known.
    assert seen(request_problems(good)) == []


BAD: list[tuple[Call, str]] = [
    (form("elasticloadbalancing", "ModifyRule", RuleArn=RULE, Action__x="y"), "Action: there is no such member"),
    (form("elasticloadbalancing", "ModifyRule", RuleArn=RULE, Rulearn=RULE), "Rulearn: there is no such member"),
    (form("elasticloadbalancing", "ModifyRule", Conditions=""), "RuleArn: must not be null"),
    (
        rule(Type="forwards"),
        "Actions[0].Type: 'forwards' must satisfy enum value set: ",
    ),
    (
        rule(Type="forward", Order="50001"),
        "Actions[0].Order: must have value less than or equal to 50000",
    ),
    (
        rule(Type="forward", Order="first"),
        "Actions[0].Order: must be a whole number, not 'first'",
    ),
    (form("elasticloadbalancing", "ModifyRule", RuleArn=RULE, Actions__1__Type="forward"), ": a list of member.1, "),
    (form("elasticloadbalancing", "ModifyRules"), ": the service has no operation ModifyRules"),
    (document("ecs", "UpdateService", service="s", desiredCount="3"), "desiredCount: must be a whole number, not '3'"),
    (document("ecs", "UpdateService", desiredCount=3), "service: must not be null"),
    (document("ecs", "UpdateService", service="s", propagateTags="ALL"), "propagateTags: 'ALL' must satisfy enum "),
    (document("ecs", "UpdateService", service="s", count=1), "count: there is no such member"),
    (document("dynamodb", "GetItem", TableName="", Key={}), "TableName: must have length greater than or equal to 1"),
    (
        document("dynamodb", "PutItem", TableName="t", Item={"a": {"L": [{"N": 1}]}}),
        "Item[a].L[0].N: must be a text, not 1",
    ),
    (document("states", "StartExecution", stateMachineArn="a", name="n" * 81), "name: must have length less than or "),
    (call("ecs", "UpdateService", JSON, b"{"), ": no JSON: "),
    (
        metrics("GetMetricData", MetricDataQueries=[], StartTime=5, EndTime=cbor2.CBORTag(1, 6)),
        "StartTime: must be a timestamp with its tag, not 5",
    ),
    (
        metrics("DescribeAlarms", AlarmTypes=["MetricAlarm", "Alarm"]),
        "AlarmTypes[1]: 'Alarm' must satisfy enum value set: ['CompositeAlarm', 'LogAlarm', 'MetricAlarm']",
    ),
    (metrics("DescribeAlarms", MaxRecords=101), "MaxRecords: must have value less than or equal to 100"),
    (invocation("a%20b"), "FunctionName: must satisfy regular expression pattern: "),
    (invocation("f", **{"x-amz-invocation-type": "Async"}), "InvocationType: 'Async' must satisfy enum value set: "),
    (call("nothing", "Nothing", JSON, b"{}"), ": botocore has no model of this service"),
]


@pytest.mark.parametrize(("bad", "problem"), BAD, ids=[problem[:40] for _, problem in BAD])
def test_what_the_model_does_not_allow_is_seen(bad: Call, problem: str) -> None:
    assert any(line.startswith(problem) for line in seen(request_problems(bad))), seen(request_problems(bad))


def answered(kind: str, body: bytes) -> Answer:
    """An answer of a service."""
    return 200, {"Content-Type": kind}, body


def xml(content: str) -> Answer:
    """An answer to DescribeRules with one rule."""
    result = f"<DescribeRulesResult><Rules><member>{content}</member></Rules></DescribeRulesResult>"
    metadata = "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
    body = f"<DescribeRulesResponse xmlns='http://x/'>{result}{metadata}</DescribeRulesResponse>"
    return answered("text/xml", body.encode())


RULES = form("elasticloadbalancing", "DescribeRules")
ALARMS = metrics("DescribeAlarms")
METRIC = metrics("GetMetricData")
SERVICES = document("ecs", "DescribeServices", services=["s"])
START = document("states", "StartExecution", stateMachineArn="a")
FUNCTION = call("lambda", "GetFunctionConfiguration", "", b"", "/2015-03-31/functions/f/configuration", "GET")
ANSWERS: list[tuple[Call, Answer, list[str]]] = [
    (RULES, xml("<IsDefault>true</IsDefault><Actions/>"), []),
    (RULES, xml("<Default>true</Default>"), ["Rules[0].Default: there is no such member"]),
    (RULES, xml("<IsDefault>yes</IsDefault>"), ["Rules[0].IsDefault: must be a boolean, not 'yes'"]),
    (RULES, xml("<Actions><Action/></Actions>"), [": a list of member is needed, not of ['Action']"]),
    (RULES, answered("text/xml", b"<Rules/>"), [": DescribeRulesResponse is needed, not Rules"]),
    (SERVICES, answered(JSON, b'{"services": [{"createdAt": 5.5, "desiredCount": 1}]}'), []),
    (
        SERVICES,
        answered(JSON, b'{"services": [{"createdAt": "today"}]}'),
        ["services[0].createdAt: must be a timestamp, not 'today'"],
    ),
    (START, answered(JSON, b'{"executionArn": "a"}'), ["startDate: must not be null"]),
    (METRIC, answered(CBOR, cbor2.dumps({"MetricDataResults": [{"Timestamps": [cbor2.CBORTag(1, 5)]}]})), []),
    (
        METRIC,
        answered(CBOR, cbor2.dumps({"MetricDataResults": [{"Timestamps": [5]}]})),
        ["MetricDataResults[0].Timestamps[0]: must be a timestamp with its tag, not 5"],
    ),
    (
        ALARMS,
        answered(CBOR, cbor2.dumps({"MetricAlarms": [{"StateValue": "FINE"}]})),
        ["MetricAlarms[0].StateValue: 'FINE' must satisfy enum value set: ['ALARM', 'INSUFFICIENT_DATA', 'OK']"],
    ),
    (
        FUNCTION,
        answered("application/json", b'{"FunctionName": "f", "Timeout": "3"}'),
        ["Timeout: must be a whole number, not '3'"],
    ),
    (invocation("f"), answered("application/json", b'"any answer of a function"'), []),
    (RULES, (400, {"Content-Type": "text/xml"}, b"<ErrorResponse/>"), []),
]


@pytest.mark.parametrize(("asked", "answer", "expected"), ANSWERS)
def test_answers_are_held_to_their_shapes(asked: Call, answer: Answer, expected: list[str]) -> None:
    assert seen(answer_problems(asked, answer)) == expected
    assert seen(answer_problems(asked, answer)) == expected


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What comes into the journal."""
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(contracts.journal, "write", lambda **fields: lines.append(fields))
    return lines


def passed(asked: Call, answer: Answer, *, check_all_answers: bool = False) -> Answer:
    """What a call is answered with if the service behind the check would say this."""

    async def proceed() -> Answer:
        return answer

    given: Answer = asyncio.run(interceptor(check_all_answers=check_all_answers)(asked, proceed))
    return given


def test_a_wrong_answer_is_passed_on_and_written(written: list[dict[str, Any]]) -> None:
    wrong = answered(JSON, b'{"executionArn": "a"}')
    assert passed(START, wrong) == wrong
    (line,) = written
    assert line == {
        "kind": "contract",
        "side": "answer",
        "service": "states",
        "action": "StartExecution",
        "principal": "AdvanceRole",
        "problems": ["startDate: must not be null"],
    }


def test_a_wrong_request_never_reaches_the_service(written: list[dict[str, Any]]) -> None:
    status, _, body = passed(rule(Type="<&>"), answered("text/xml", b"reached"))
    texts = {node.tag: node.text or "" for node in ElementTree.fromstring(body).iter()}
    assert (status, texts["Code"]) == (400, "ValidationError")
    assert texts["Message"].startswith("1 validation error detected: Actions[0].Type: '<&>' must satisfy enum value")
    (line,) = written
    assert (line["side"], line["action"]) == ("request", "ModifyRule")


def test_the_labs_own_calls_are_looked_at_when_asked_to(written: list[dict[str, Any]]) -> None:
    own = Call(START.service, START.action, "root", {}, START.headers, http=HttpRequest(body=b'{"x": 1}'))
    wrong = answered(JSON, b"{}")
    assert passed(own, wrong) == wrong and written == []
    assert passed(own, wrong, check_all_answers=True) == wrong
    assert [line["side"] for line in written] == ["answer"]


CALLS: list[tuple[str, str, dict[str, Any], str]] = [
    ("elbv2", "modify_rule", {"RuleArn": RULE, "Actions": [{"Type": "forwards"}]}, "ValidationError"),
    ("ecs", "update_service", {"service": "s", "propagateTags": "ALL"}, "InvalidParameterException"),
    ("dynamodb", "update_item", {"TableName": "t", "Key": {}, "ReturnValues": "ALL"}, "ValidationException"),
    ("stepfunctions", "start_execution", {"stateMachineArn": "a", "name": "n" * 81}, "ValidationException"),
    ("secretsmanager", "get_secret_value", {"SecretId": "s" * 2049}, "ValidationException"),
    ("lambda", "invoke", {"FunctionName": "a b"}, "ValidationException"),
    ("cloudwatch", "describe_alarms", {"AlarmTypes": ["Alarm"]}, "ValidationError"),
    ("sns", "tag_resource", {"ResourceArn": "a", "Tags": [{"Key": "k" * 129, "Value": "v"}]}, "InvalidParameter"),
]


@pytest.mark.parametrize(("service", "operation", "parameters", "code"), CALLS, ids=[call[0] for call in CALLS])
def test_a_role_is_refused_as_its_service_does(
    lab: Lab, unique: str, service: str, operation: str, parameters: dict[str, Any], code: str
) -> None:
    role = create_role(lab, unique, allow("*"))
    assert code_of(lab, role, service, operation, parameters) == code
    (line,) = lab.journal_lines(kind="contract", principal=unique)
    assert line["side"] == "request" and line["problems"]
