"""Function URLs: what the function is told, what the client gets, and where they come from."""

from __future__ import annotations

import base64
import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from local_aws.tests.functions import allow, create_function, create_role, function_arn, probe_zip
from local_aws.tests.roles import role_client
from local_aws.tests.signing import ROOT, HttpAnswer, call, send, session_of, signed_headers
from local_aws.tests.support import ACCOUNT, REGION, Lab, wait_for
from local_aws.tests.test_cloudformation import Stack
from local_aws.tests.urls import DENIED, FORBIDDEN, create_url, open_to_everybody, statements


@pytest.fixture(scope="module")
def public(lab: Lab) -> str:
    """The URL of the function ``public``, which is open to everybody."""
    url = create_url(lab, "public", "NONE", Timeout=5)
    open_to_everybody(lab, "public")
    return url


# ---- open to everybody ---------------------------------------------------------------------------


def test_an_open_url_needs_a_policy_too(lab: Lab, unique: str) -> None:
    """ "This occurs even if the function URL uses the NONE auth type"."""
    url = create_url(lab, unique, "NONE")
    assert call(url, None).json == FORBIDDEN
    # The caller's own permissions do not count: nobody is asked who calls.
    administrator = session_of(lab, create_role(lab, f"{unique}-admin", allow("*")))
    assert call(url, administrator).refusal == call(url, ROOT).refusal == DENIED
    functions = lab.client("lambda")
    functions.add_permission(
        FunctionName=unique,
        StatementId="a",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )
    assert call(url, None).refusal == DENIED
    functions.add_permission(FunctionName=unique, StatementId="b", Action="lambda:InvokeFunction", Principal=ACCOUNT)
    assert call(url, None).refusal == DENIED
    functions.add_permission(
        FunctionName=unique, StatementId="c", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True
    )
    assert call(url, None).status == 200
    # The statement is for URLs that are open, and the auth type is no longer NONE.
    functions.update_function_url_config(FunctionName=unique, AuthType="AWS_IAM")
    assert call(url, None).refusal == call(url, session_of(lab, create_role(lab, f"{unique}-none"))).refusal == DENIED


def test_the_event_of_an_open_url(public: str) -> None:
    event = call(public, None, headers={"Authorization": "Bearer x", "X-Forwarded-For": "192.0.2.1"}).json
    context = event["requestContext"]
    assert (context["authorizer"], context["authentication"], context["accountId"]) == (None, None, "anonymous")
    assert event["headers"]["authorization"] == "Bearer x"
    assert event["headers"]["x-forwarded-for"] == context["http"]["sourceIp"] == "127.0.0.1"
    assert not {"body", "cookies", "queryStringParameters"} & set(event) and event["rawQueryString"] == ""
    assert event["isBase64Encoded"] is False


@pytest.mark.parametrize(
    ("kind", "body", "as_text"),
    [
        ("application/json", b'{"a": "\xc3\xa4"}', True),
        ("text/plain; charset=utf-8", b"hello", True),
        ("application/xml", b"<a/>", True),
        ("application/x-www-form-urlencoded", b"payload=%7B%7D", False),
        ("application/octet-stream", b"\x00\xff", False),
        ("text/plain", b"\xff", False),
        (None, b"hello", False),
    ],
)
def test_bodies(public: str, kind: str | None, body: bytes, as_text: bool) -> None:
    """As text only where the type says text or JSON: a form is base64."""
    event = send(public, "POST", body, {"Content-Type": kind} if kind else {}).json
    assert event["isBase64Encoded"] is not as_text
    assert (event["body"].encode() if as_text else base64.b64decode(event["body"])) == body


def test_headers_of_the_same_name(public: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(public).netloc)
    connection.putrequest("POST", "/")
    for name, value in (("X-A", "1"), ("x-a", "2"), ("Transfer-Encoding", "chunked"), ("Content-Type", "text/plain")):
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    event = json.loads(connection.getresponse().read())
    assert (event["headers"]["x-a"], event["body"]) == ("1,2", "abcde")
    # The connection is kept.
    connection.request("GET", "/again")
    assert json.loads(connection.getresponse().read())["rawPath"] == "/again"
    connection.close()


# ---- answers -------------------------------------------------------------------------------------


def answered(url: str, answer: Any) -> HttpAnswer:
    return call(url, None, {"do": "answer", "answer": answer})


def test_answers_that_are_responses(public: str) -> None:
    cookies = ["a=1; Max-Age=60", "b=2"]
    headers = {"Content-Type": "text/html", "My-Header": "x", "X-Number": 3}
    answer = answered(public, {"statusCode": 201, "headers": headers, "body": "<p>ä</p>", "cookies": cookies})
    assert (answer.status, answer.body.decode()) == (201, "<p>ä</p>")
    assert (answer.header("content-type"), answer.header("my-header"), answer.header("x-number")) == (
        "text/html",
        "x",
        "3",
    )
    assert [value for name, value in answer.headers if name.lower() == "set-cookie"] == cookies
    answer = answered(
        public, {"statusCode": 404, "body": base64.b64encode(b"\x00\xff").decode(), "isBase64Encoded": True}
    )
    assert (answer.status, answer.body, answer.header("content-type")) == (404, b"\x00\xff", "application/json")
    assert (answered(public, {"statusCode": 204}).status, answered(public, {"statusCode": "302"}).status) == (204, 302)


@pytest.mark.parametrize("answer", [{"message": "Hello, world!"}, "Hello, world!", [1], None, {"body": "x"}])
def test_answers_without_a_status(public: str, answer: Any) -> None:
    """ "If your function returns valid JSON and doesn't return a statusCode": also what was meant as an error."""
    seen = answered(public, answer)
    assert (seen.status, seen.header("content-type"), seen.json) == (200, "application/json", answer)


@pytest.mark.parametrize(
    "what",
    [
        {"do": "error", "type": "Bad"},
        {"do": "exit", "code": 3},
        {"do": "sleep", "seconds": 60},
        {"do": "answer", "answer": {"statusCode": 700}},
        {"do": "answer", "answer": {"statusCode": "ok"}},
        {"do": "answer", "answer": {"statusCode": 200, "body": "no base64!", "isBase64Encoded": True}},
        {"do": "answer", "answer": {"statusCode": 200, "headers": {"X-A": "a\r\nX-B: b"}}},
        {"do": "answer", "answer": {"statusCode": 200, "headers": ["X-A"]}},
    ],
    ids=lambda what: str(what["do"]),
)
def test_what_the_function_does_wrong(public: str, what: dict[str, Any]) -> None:
    """An error's status and body are those that LocalStack recorded on AWS; nothing of it reaches the client."""
    answer = call(public, None, what)
    assert (answer.status, answer.body) == (502, b"Internal Server Error")


def test_sizes(public: str) -> None:
    """The limit is that of the event: what is base64 there reaches it with three quarters."""
    largest = 6_291_556
    assert send(public, "POST", b"x" * largest, {"Content-Type": "text/plain"}).refusal == (
        413,
        "RequestEntityTooLargeException",
    )
    assert send(public, "POST", b"x" * (largest * 3 // 4), {}).status == 413
    assert send(public, "POST", b"x" * (largest // 2), {"Content-Type": "text/plain"}).status == 200


# ---- how many ------------------------------------------------------------------------------------


def test_reserved_concurrency(lab: Lab, unique: str, tmp_path: Path) -> None:
    url = create_url(lab, unique, "NONE", Timeout=300)
    open_to_everybody(lab, unique)
    functions = lab.client("lambda")
    functions.put_function_concurrency(FunctionName=unique, ReservedConcurrentExecutions=0)
    answer = call(url, None)
    assert answer.refusal == (429, "TooManyRequestsException")
    functions.put_function_concurrency(FunctionName=unique, ReservedConcurrentExecutions=1)
    begun, end = tmp_path / "begun", tmp_path / "end"
    with ThreadPoolExecutor() as pool:
        held = pool.submit(call, url, None, {"do": "hold", "begun": str(begun), "end": str(end)})
        try:
            wait_for(begun.exists)
            # By its URL and otherwise, it is one concurrency.
            assert call(url, None).status == 429
            with pytest.raises(functions.exceptions.TooManyRequestsException):
                functions.invoke(FunctionName=unique)
        finally:
            end.touch()
        assert held.result().status == 200
    functions.delete_function_concurrency(FunctionName=unique)
    assert call(url, None).status == 200


def test_ten_requests_a_second_for_each_reserved(lab: Lab, unique: str) -> None:
    """ "equivalent to 10 times the configured reserved concurrency". Refused ones are none."""
    url = create_url(lab, unique)
    keys = session_of(lab, create_role(lab, f"{unique}-role", *statements(unique)))
    lab.client("lambda").put_function_concurrency(FunctionName=unique, ReservedConcurrentExecutions=1)
    assert {call(url, None).status for _ in range(30)} == {403}
    assert call(url, keys).status == 200
    # One after the other: what is too much is their number.
    headers = signed_headers(url, keys)
    begun = time.monotonic()
    statuses: list[int] = []
    while 429 not in statuses and time.monotonic() - begun < 60:
        with ThreadPoolExecutor(4) as pool:
            statuses += pool.map(lambda _: send(url, "POST", b"", headers).status, range(40))
    assert 429 in statuses and set(statuses) <= {200, 429}
    wait_for(lambda: call(url, keys).status == 200, what="the next second")


# ---- which there are -----------------------------------------------------------------------------


def test_configurations(lab: Lab, unique: str) -> None:
    create_function(lab, unique)
    functions, arn = lab.client("lambda"), function_arn(unique)
    functions.create_alias(FunctionName=unique, Name="live", FunctionVersion="$LATEST")
    first = functions.create_function_url_config(FunctionName=unique, AuthType="AWS_IAM")
    second = functions.create_function_url_config(FunctionName=unique, Qualifier="live", AuthType="NONE")
    assert (first["FunctionArn"], second["FunctionArn"]) == (arn, f"{arn}:live")
    assert first["FunctionUrl"] != second["FunctionUrl"] and first["FunctionUrl"].endswith("/")
    listed = functions.list_function_url_configs(FunctionName=unique)["FunctionUrlConfigs"]
    assert {config["FunctionUrl"] for config in listed} == {first["FunctionUrl"], second["FunctionUrl"]}
    with pytest.raises(functions.exceptions.ResourceConflictException):
        functions.create_function_url_config(FunctionName=unique, AuthType="AWS_IAM")
    with pytest.raises(functions.exceptions.InvalidParameterValueException):
        functions.update_function_url_config(FunctionName=unique, InvokeMode="RESPONSE_STREAM")
    updated = functions.update_function_url_config(FunctionName=unique, AuthType="NONE")
    assert updated["FunctionUrl"] == first["FunctionUrl"]
    assert functions.get_function_url_config(FunctionName=unique)["AuthType"] == "NONE"
    # An alias's URL is the alias's: its policy, its permissions.
    open_to_everybody(lab, unique)
    assert (call(first["FunctionUrl"], None).status, call(second["FunctionUrl"], None).refusal) == (200, DENIED)
    functions.delete_function_url_config(FunctionName=unique)
    gone = call(first["FunctionUrl"], None)
    assert gone.refusal == DENIED and gone.body == b'{"Message":null}'
    third = functions.create_function_url_config(FunctionName=unique, AuthType="NONE")
    assert third["FunctionUrl"] != first["FunctionUrl"] and call(first["FunctionUrl"], None).status == 403
    url_id = call(third["FunctionUrl"], None).json["requestContext"]["apiId"]
    assert send(f"{lab.endpoint}/_aws/lambda-url/{url_id}/", "GET", None, {}).status == 403


def test_who_may_open_a_function(lab: Lab, unique: str) -> None:
    """The guide's policy for organizations, "Example function URL SCP with explicit deny"."""
    create_function(lab, unique)
    deny = {
        "Effect": "Deny",
        "Action": ["lambda:CreateFunctionUrlConfig", "lambda:UpdateFunctionUrlConfig"],
        "Resource": "*",
        "Condition": {"StringNotEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}},
    }
    client = role_client(lab, create_role(lab, f"{unique}-role", allow("lambda:*"), deny), "lambda")
    with pytest.raises(ClientError, match="not authorized"):
        client.create_function_url_config(FunctionName=unique, AuthType="NONE")
    client.create_function_url_config(FunctionName=unique, AuthType="AWS_IAM")


def test_metrics(lab: Lab, unique: str) -> None:
    """ "CloudWatch metrics for function URLs"."""
    url = create_url(lab, unique)
    call(url, None)
    call(url, ROOT, {"do": "error", "type": "Bad"})
    cloudwatch = lab.client("cloudwatch")
    names = {
        metric["MetricName"]
        for metric in cloudwatch.list_metrics(
            Namespace="AWS/Lambda",
            Dimensions=[{"Name": "FunctionName", "Value": unique}, {"Name": "Resource", "Value": f"{unique}:$LATEST"}],
        )["Metrics"]
    }
    assert names == {"UrlRequestCount", "Url4xxCount", "Url5xxCount", "UrlRequestLatency"}


# ---- in stacks -----------------------------------------------------------------------------------

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Bucket: {Type: String}
  Auth: {Type: String, Default: AWS_IAM}
Globals:
  Function: {Runtime: provided.al2023, Handler: bootstrap, CodeUri: {Bucket: !Ref Bucket, Key: probe.zip}, Timeout: 60}
Resources:
  Decide: {Type: AWS::Serverless::Function}
  Url:
    Type: AWS::Lambda::Url
    Properties: {TargetFunctionArn: !GetAtt Decide.Arn, AuthType: !Ref Auth, InvokeMode: BUFFERED}
  Old:
    Type: AWS::Lambda::Permission
    Properties: {FunctionName: !Ref Decide, Action: lambda:InvokeFunction, Principal: '*', InvokedViaFunctionUrl: true}
  Policy:
    Type: AWS::Lambda::ResourcePolicy
    DependsOn: Old
    Properties:
      ResourceArn: !GetAtt Decide.Arn
      PolicyDocument:
        Version: '2012-10-17'
        Statement:
          - Effect: Deny
            Principal: '*'
            Action: lambda:InvokeFunction
            Resource: !GetAtt Decide.Arn
            Condition: {StringNotEquals: {lambda:InvokedViaFunctionUrl: 'true'}}
  Door: {Type: AWS::Serverless::Function, Properties: {FunctionUrlConfig: {AuthType: NONE}}}
  Hidden: {Type: AWS::Serverless::Function, Properties: {FunctionUrlConfig: {AuthType: AWS_IAM}}}
Outputs:
  Function: {Value: !Ref Decide}
  Url: {Value: !GetAtt Url.FunctionUrl}
  Arn: {Value: !GetAtt Url.FunctionArn}
  Ref: {Value: !Ref Url}
  PolicyRef: {Value: !Ref Policy}
  Door: {Value: !GetAtt DoorUrl.FunctionUrl}
  Hidden: {Value: !GetAtt HiddenUrl.FunctionUrl}
"""


def test_stacks(lab: Lab, unique: str) -> None:
    bucket = f"{unique}-code"
    s3 = lab.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=bucket, Key="probe.zip", Body=probe_zip())
    stack = Stack(lab, unique)
    outputs = stack.create(TEMPLATE, Bucket=bucket)
    arn = function_arn(outputs["Function"])
    assert outputs["Arn"] == outputs["Ref"] == outputs["PolicyRef"] == arn
    keys = session_of(lab, create_role(lab, f"{unique}-role", *statements(outputs["Function"])))
    assert (call(outputs["Url"], keys).status, call(outputs["Url"], None).refusal) == (200, DENIED)
    # The policy has replaced the permission, whichever was there first.
    (statement,) = json.loads(lab.client("lambda").get_policy(FunctionName=outputs["Function"])["Policy"])["Statement"]
    assert statement["Effect"] == "Deny"
    with pytest.raises(ClientError, match="explicit deny"):
        lab.client("lambda").invoke(FunctionName=outputs["Function"])
    # SAM gives a public URL both permissions, and one with IAM none.
    assert (call(outputs["Door"], None).status, call(outputs["Hidden"], None).refusal) == (200, DENIED)

    without = TEMPLATE.replace("  Policy:\n", "  Unused: {Type: AWS::SNS::Topic}\n  Policy:\n").replace(
        "StringNotEquals: {lambda:InvokedViaFunctionUrl: 'true'}", "Bool: {lambda:InvokedViaFunctionUrl: 'false'}"
    )
    updated = stack.update(without, Bucket=bucket, Auth="NONE")
    assert updated["Url"] == outputs["Url"]
    assert call(outputs["Url"], keys).refusal == DENIED
    lab.client("lambda").invoke(FunctionName=outputs["Function"])
    stack.delete()
    for name in ("Url", "Door"):
        assert call(outputs[name], None).body == b'{"Message":null}'
