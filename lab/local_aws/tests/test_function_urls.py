"""Function URLs: who is let in, what the function is told, what the client gets."""

from __future__ import annotations

import base64
import http.client
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from local_aws.tests.functions import Statement, allow, create_function, create_role, function_arn, invoke, probe_zip
from local_aws.tests.roles import role_client
from local_aws.tests.signing import ROOT, HttpAnswer, call, send, session_of, signed_headers
from local_aws.tests.support import ACCOUNT, REGION, Lab, wait_for
from local_aws.tests.test_cloudformation import Stack

FORBIDDEN = {
    "Message": "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
}
DENIED = (403, "AccessDeniedException")
NOT_PROVEN = (403, "InvalidSignatureException")
UNKNOWN_KEY = (403, "UnrecognizedClientException")
VIA_URL = {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}


def create_url(lab: Lab, name: str, auth_type: str = "AWS_IAM", **configuration: Any) -> str:
    """A function with a URL."""
    create_function(lab, name, **configuration)
    url: str = lab.client("lambda").create_function_url_config(FunctionName=name, AuthType=auth_type)["FunctionUrl"]
    return url


def open_to_everybody(lab: Lab, name: str) -> None:
    """The two statements of a public URL."""
    functions = lab.client("lambda")
    for sid, action, condition in (
        ("url", "lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}),
        ("invoke", "lambda:InvokeFunction", {"InvokedViaFunctionUrl": True}),
    ):
        functions.add_permission(FunctionName=name, StatementId=sid, Action=action, Principal="*", **condition)


def statements(name: str, *, invoke: Statement | None = None) -> list[Statement]:
    """What somebody needs who may call by the URL and in no other way."""
    arn = function_arn(name)
    return [
        allow("lambda:InvokeFunctionUrl", resource=arn)
        | {"Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}}},
        allow("lambda:InvokeFunction", resource=arn) | (invoke or {"Condition": VIA_URL}),
    ]


@pytest.fixture(scope="module")
def url(lab: Lab) -> str:
    """The URL of the function ``signed``."""
    return create_url(lab, "signed")


@pytest.fixture(scope="module")
def role(lab: Lab) -> str:
    """A role that may call it by its URL and in no other way."""
    return create_role(lab, "url-caller", *statements("signed"))


@pytest.fixture(scope="module")
def alice(lab: Lab, role: str) -> Credentials:
    """A session of that role."""
    return session_of(lab, role)


@pytest.fixture(scope="module")
def public(lab: Lab) -> str:
    """The URL of the function ``public``, which is open to everybody."""
    url = create_url(lab, "public", "NONE", Timeout=5)
    open_to_everybody(lab, "public")
    return url


def direct(lab: Lab, role: str, function: str, **arguments: Any) -> str | None:
    """The error code of a direct invocation."""
    try:
        role_client(lab, role, "lambda").invoke(FunctionName=function, Payload=b"{}", **arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


# ---- who calls -----------------------------------------------------------------------------------


def test_the_event_of_a_signed_request(lab: Lab, url: str, role: str, alice: Credentials) -> None:
    """Lambda guide, "Invoking Lambda function URLs", and recorded events of real ones."""
    headers = {"X-Custom": "one", "Cookie": "a=1; b=2", "User-Agent": "probe"}
    answer = call(f"{url}a/b%20c?x=1&x=2&y=%26&z", alice, {"gate": 1}, "PUT", headers)
    assert answer.status == 200 and answer.header("content-type") == "application/json"
    event = answer.json
    url_id = event["requestContext"]["apiId"]
    role_id = lab.client("iam").get_role(RoleName="url-caller")["Role"]["RoleId"]
    assert re.fullmatch("[a-z0-9]{32}", url_id) and role_id.startswith("AROA")
    context = event.pop("requestContext")
    moment, epoch, request_id = (context.pop(name) for name in ("time", "timeEpoch", "requestId"))
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", moment)
    assert abs(epoch / 1000 - time.time()) < 300
    assert context == {
        "accountId": ACCOUNT,
        "apiId": url_id,
        "authentication": None,
        "authorizer": {
            "iam": {
                "accessKey": alice.access_key,
                "accountId": ACCOUNT,
                "callerId": f"{role_id}:alice",
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": f"arn:aws:sts::{ACCOUNT}:assumed-role/url-caller/alice",
                "userId": f"{role_id}:alice",
            }
        },
        "domainName": f"{url_id}.lambda-url.{REGION}.on.aws",
        "domainPrefix": url_id,
        "http": {
            "method": "PUT",
            "path": "/a/b%20c",
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": "probe",
        },
        "routeKey": "$default",
        "stage": "$default",
    }
    seen = event.pop("headers")
    assert event == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/a/b%20c",
        "rawQueryString": "x=1&x=2&y=%26&z",
        "cookies": ["a=1", "b=2"],
        "queryStringParameters": {"x": "1,2", "y": "&", "z": ""},
        "body": '{"gate": 1}',
        "isBase64Encoded": False,
    }
    assert (seen["x-custom"], seen["x-amz-security-token"], seen["x-forwarded-for"]) == (
        "one",
        alice.token,
        "127.0.0.1",
    )
    assert "x-amz-date" in seen and not {"authorization", "cookie", "connection"} & set(seen)
    assert all(name == name.lower() for name in seen)
    # The id of the invocation, as the logs have it, and that of the answer.
    assert answer.header("x-amzn-RequestId") == request_id
    logs = lab.client("logs")

    def logged() -> bool:
        found = logs.filter_log_events(logGroupName="/aws/lambda/signed")["events"]
        return any(event["message"].startswith(f"START RequestId: {request_id}") for event in found)

    wait_for(logged, what="the invocation in the logs")
    (line,) = lab.journal_lines(kind="url", invocation=request_id)
    assert (line["function"], line["status"], line["principal"]) == (
        "signed",
        200,
        context["authorizer"]["iam"]["userArn"],
    )


def test_who_users_and_the_root_are(lab: Lab, url: str, unique: str) -> None:
    iam = lab.client("iam")
    user = iam.create_user(UserName=unique, Path="/team/")["User"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements("signed")})
    iam.put_user_policy(UserName=unique, PolicyName="url", PolicyDocument=policy)
    key = iam.create_access_key(UserName=unique)["AccessKey"]
    keys = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    seen = call(url, keys).json["requestContext"]["authorizer"]["iam"]
    assert seen["userArn"] == f"arn:aws:iam::{ACCOUNT}:user/team/{unique}"
    assert seen["userId"] == seen["callerId"] == user["UserId"] and user["UserId"].startswith("AIDA")
    iam.update_access_key(UserName=unique, AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert call(url, keys).refusal == UNKNOWN_KEY
    seen = call(url, ROOT).json["requestContext"]["authorizer"]["iam"]
    assert (seen["userArn"], seen["userId"]) == (f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)


def test_a_function_calls_the_url_of_another(lab: Lab, url: str, unique: str) -> None:
    """With the keys that functions get here, too, the user id begins with the id of the role."""
    create_function(lab, unique, *statements("signed"))
    variables, _ = invoke(lab, unique, {"do": "environment"})
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    seen = call(url, Credentials(*(variables[name] for name in names))).json["requestContext"]["authorizer"]["iam"]
    role_id = lab.client("iam").get_role(RoleName=unique)["Role"]["RoleId"]
    assert (seen["userId"], seen["userArn"]) == (
        f"{role_id}:{unique}",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/{unique}/{unique}",
    )


# ---- forged --------------------------------------------------------------------------------------


def with_secret(keys: Credentials, secret: str) -> Credentials:
    return Credentials(keys.access_key, secret, keys.token)


def test_what_is_not_signed_is_forbidden(url: str) -> None:
    answer = call(url, None, {"a": 1})
    assert answer.refusal == DENIED and answer.json == FORBIDDEN
    for header in ("Bearer x", "AWS4-HMAC-SHA256", "Basic dGVzdDp0ZXN0"):
        assert call(url, None, headers={"Authorization": header}).status == 403


@pytest.mark.parametrize("who", ["alice", "root"])
def test_a_forged_signature(url: str, alice: Credentials, who: str) -> None:
    """The lab's root as well: its keys are no secret, its signature is looked at all the same."""
    keys = alice if who == "alice" else ROOT
    answer = call(url, with_secret(keys, "x" * 40), {"a": 1})
    assert answer.refusal == NOT_PROVEN
    assert answer.json["message"].startswith(
        "The request signature we calculated does not match the signature you provided."
    )


def test_a_signature_is_for_one_request(url: str, alice: Credentials) -> None:
    body = b'{"verdict": "reject"}'
    headers = signed_headers(f"{url}gate?id=1", alice, "POST", body)
    assert send(f"{url}gate?id=1", "POST", body, headers).status == 200
    assert send(f"{url}gate?id=1", "POST", b'{"verdict": "approve"}', headers).refusal == NOT_PROVEN
    assert send(f"{url}gate?id=2", "POST", body, headers).refusal == NOT_PROVEN
    assert send(f"{url}gates?id=1", "POST", body, headers).refusal == NOT_PROVEN
    assert send(f"{url}gate?id=1", "PUT", body, headers).refusal == NOT_PROVEN
    assert send(f"{url}gate?id=1", "POST", body, {**headers, "Content-Type": "text/plain"}).refusal == NOT_PROVEN
    # What is not signed may change on its way.
    assert send(f"{url}gate?id=1", "POST", body, {**headers, "X-Other": "x"}).status == 200


def test_the_stated_hash_of_a_body_is_not_believed(url: str, alice: Credentials) -> None:
    """Nor is "UNSIGNED-PAYLOAD": re:Post, "POST request to presigned AWS Lambda Function URL with unsigned payload"."""
    for stated in ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "UNSIGNED-PAYLOAD"):
        headers = signed_headers(url, alice, "POST", b"", {"X-Amz-Content-SHA256": stated})
        assert send(url, "POST", b'{"verdict": "approve"}', headers).refusal == NOT_PROVEN
    headers = signed_headers(
        url,
        alice,
        "POST",
        b"",
        {"X-Amz-Content-SHA256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    )
    assert send(url, "POST", b"", headers).status == 200


@pytest.mark.parametrize("ahead", [-330, 330])
def test_a_clock_that_is_off_by_more_than_five_minutes(url: str, alice: Credentials, ahead: int) -> None:
    answer = send(url, "POST", b"", signed_headers(url, alice, ahead=ahead))
    assert answer.refusal == NOT_PROVEN
    assert answer.json["message"].startswith("Signature expired" if ahead < 0 else "Signature not yet current")
    # By this a client learns how far it is off.
    assert answer.header("Date")
    assert send(url, "POST", b"", signed_headers(url, alice, ahead=ahead / 2)).status == 200


def test_a_session_needs_its_token(url: str, alice: Credentials) -> None:
    without = Credentials(alice.access_key, alice.secret_key)
    assert call(url, without).refusal == UNKNOWN_KEY
    assert call(url, Credentials(alice.access_key, alice.secret_key, "x" * 40)).refusal == UNKNOWN_KEY
    assert call(url, Credentials("ASIA" + "X" * 16, alice.secret_key, alice.token)).refusal == UNKNOWN_KEY
    # ministack takes no key at all for the root's.
    assert call(url, Credentials("", "test")).status == 403
    # IAM guide, "Create a signed AWS API request": a token that is added afterwards is not signed.
    headers = signed_headers(url, without) | {"X-Amz-Security-Token": str(alice.token)}
    assert send(url, "POST", b"", headers).refusal == NOT_PROVEN


def test_a_session_ends(lab: Lab, url: str, role: str) -> None:
    """A session of one second, which AWS would not give."""
    sts = lab.client("sts")
    sts.meta.events.register("before-call.sts.AssumeRole", lambda params, **_: params["body"].update(DurationSeconds=1))
    keys = sts.assume_role(RoleArn=role, RoleSessionName="short")["Credentials"]
    assert keys["Expiration"].timestamp() - time.time() < 60
    short = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    time.sleep(1.1)
    # The other code when somebody else's new session has made ministack forget those that have ended.
    assert call(url, short).header("x-amzn-ErrorType") in ("ExpiredTokenException", "UnrecognizedClientException")


def test_a_signature_for_something_else(url: str, alice: Credentials) -> None:
    for scope in ({"service": "execute-api"}, {"region": "us-east-1"}):
        answer = send(url, "POST", b"", signed_headers(url, alice, **scope))  # type: ignore[arg-type]
        assert answer.refusal == NOT_PROVEN and "scoped" in answer.json["message"]


# ---- who may -------------------------------------------------------------------------------------


def test_both_permissions_are_needed(lab: Lab, url: str, unique: str) -> None:
    url_only, invoke_only = statements("signed")
    for number, (given, status) in enumerate(
        [([], 403), ([url_only], 403), ([invoke_only], 403), ([url_only, invoke_only], 200)]
    ):
        keys = session_of(lab, create_role(lab, f"{unique}-{number}", *given))
        answer = call(url, keys)
        assert answer.status == status
        if status == 403:
            assert answer.refusal == DENIED and answer.json == FORBIDDEN


def test_conditions_on_the_url(lab: Lab, url: str, role: str, alice: Credentials, unique: str) -> None:
    """A condition on a key that a request does not carry is not met; turned round it is.

    A direct invocation carries no lambda:InvokedViaFunctionUrl, and InvokeFunctionUrl does not either.
    """
    assert (call(url, alice).status, direct(lab, role, "signed")) == (200, "AccessDeniedException")
    arn = function_arn("signed")
    by_url = allow("lambda:InvokeFunctionUrl", resource=arn)
    for number, (condition, by_url_status, directly) in enumerate(
        [
            (None, 200, None),
            ({"Bool": {"lambda:InvokedViaFunctionUrl": "false"}}, 403, "AccessDeniedException"),
            ({"StringNotEquals": {"lambda:InvokedViaFunctionUrl": "true"}}, 403, None),
            ({"Null": {"lambda:InvokedViaFunctionUrl": "true"}}, 403, None),
            ({"BoolIfExists": {"lambda:InvokedViaFunctionUrl": "true"}}, 200, None),
        ]
    ):
        invoke = allow("lambda:InvokeFunction", resource=arn) | ({"Condition": condition} if condition else {})
        caller = create_role(lab, f"{unique}-{number}", by_url, invoke)
        seen = call(url, session_of(lab, caller)).status, direct(lab, caller, "signed")
        assert seen == (by_url_status, directly), condition
    wrong = by_url | {"Condition": VIA_URL}
    caller = create_role(lab, f"{unique}-url", wrong, allow("lambda:InvokeFunction", resource=arn))
    assert call(url, session_of(lab, caller)).refusal == DENIED
    open_only = by_url | {"Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}}
    caller = create_role(lab, f"{unique}-none", open_only, allow("lambda:InvokeFunction", resource=arn))
    assert call(url, session_of(lab, caller)).refusal == DENIED


def test_the_function_s_policy_may_allow(lab: Lab, unique: str) -> None:
    """Same account: "either ... or" ("Using the AWS_IAM auth type")."""
    url = create_url(lab, unique)
    functions = lab.client("lambda")
    role = create_role(lab, f"{unique}-role")
    keys = session_of(lab, role)
    functions.add_permission(
        FunctionName=unique,
        StatementId="a",
        Action="lambda:InvokeFunctionUrl",
        Principal=role,
        FunctionUrlAuthType="AWS_IAM",
    )
    assert call(url, keys).refusal == DENIED
    functions.add_permission(
        FunctionName=unique, StatementId="b", Action="lambda:InvokeFunction", Principal=role, InvokedViaFunctionUrl=True
    )
    assert call(url, keys).status == 200
    assert direct(lab, role, unique) == "AccessDeniedException"
    functions.remove_permission(FunctionName=unique, StatementId="b")
    assert call(url, keys).refusal == DENIED
    # Naming the account leaves it to the account's own policies.
    functions.add_permission(
        FunctionName=unique,
        StatementId="c",
        Action="lambda:InvokeFunction",
        Principal=ACCOUNT,
        InvokedViaFunctionUrl=True,
    )
    assert call(url, keys).refusal == DENIED


def deny_directly(arn: str) -> Statement:
    """What shuts out direct invocations, whoever makes them."""
    return {
        "Sid": "OnlyByUrl",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "lambda:InvokeFunction",
        "Resource": arn,
        "Condition": {"StringNotEquals": {"lambda:InvokedViaFunctionUrl": "true"}},
    }


def policy(*given: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(given)})


def test_a_policy_that_denies_direct_invocations(lab: Lab, unique: str) -> None:
    """PutResourcePolicy: a whole document, which may deny, to administrators and the account's root as well."""
    url = create_url(lab, unique)
    functions, arn = lab.client("lambda"), function_arn(unique)
    administrator = create_role(lab, f"{unique}-admin", allow("*"))
    functions.put_resource_policy(
        ResourceArn=arn,
        Policy=policy({**deny_directly(arn), "Condition": {"Bool": {"lambda:InvokedViaFunctionUrl": "false"}}}),
    )
    assert direct(lab, administrator, unique) is None, "Bool does not match a key that is absent"
    functions.put_resource_policy(ResourceArn=arn, Policy=policy(deny_directly(arn)))
    assert direct(lab, administrator, unique) == "AccessDeniedException"
    assert direct(lab, administrator, unique, InvocationType="Event") == "AccessDeniedException"
    for name in (arn, f"function:{unique}", f"{ACCOUNT}:function:{unique}"):
        assert direct(lab, administrator, name) == "AccessDeniedException", name
        with pytest.raises(ClientError, match="explicit deny"):
            functions.invoke(FunctionName=name)
    assert call(url, session_of(lab, administrator)).status == call(url, ROOT).status == 200
    by_url = {**deny_directly(arn), "Action": "lambda:InvokeFunctionUrl", "Condition": {}}
    functions.put_resource_policy(ResourceArn=arn, Policy=policy(by_url))
    assert call(url, session_of(lab, administrator)).refusal == call(url, ROOT).refusal == DENIED
    functions.delete_resource_policy(ResourceArn=arn)
    assert call(url, session_of(lab, administrator)).status == 200 and direct(lab, administrator, unique) is None


def test_a_policy_replaces_what_was_there(lab: Lab, unique: str) -> None:
    create_function(lab, unique)
    functions, arn = lab.client("lambda"), function_arn(unique)
    functions.create_alias(FunctionName=unique, Name="live", FunctionVersion="$LATEST")
    for qualifier in ({}, {"Qualifier": "live"}):
        functions.add_permission(
            FunctionName=unique,
            StatementId=f"old{len(qualifier)}",
            Action="lambda:InvokeFunction",
            Principal="*",
            **qualifier,
        )
    put = functions.put_resource_policy(ResourceArn=arn, Policy=policy(deny_directly(arn)))
    got = functions.get_resource_policy(ResourceArn=arn)
    assert got["RevisionId"] == put["RevisionId"] and json.loads(got["Policy"])["Statement"] == [deny_directly(arn)]
    assert json.loads(functions.get_policy(FunctionName=unique)["Policy"])["Statement"] == [deny_directly(arn)]
    # Of the alias nothing is said.
    (kept,) = json.loads(functions.get_policy(FunctionName=unique, Qualifier="live")["Policy"])["Statement"]
    assert kept["Sid"] == "old1"
    administrator = create_role(lab, f"{unique}-admin", allow("*"))
    assert direct(lab, administrator, unique) == "AccessDeniedException"
    assert direct(lab, administrator, unique, Qualifier="live") is None
    # Added later stands beside it.
    functions.add_permission(FunctionName=unique, StatementId="new", Action="lambda:GetFunction", Principal="*")
    for revision, code in ((put["RevisionId"], "PreconditionFailedException"), (None, None)):
        stale = {"RevisionId": revision} if revision else {}
        try:
            functions.put_resource_policy(ResourceArn=arn, Policy=policy(deny_directly(arn)), **stale)
        except ClientError as error:
            assert error.response["Error"]["Code"] == code
    functions.delete_resource_policy(ResourceArn=arn)
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.get_resource_policy(ResourceArn=arn)
    for document in ("no", "{}", policy({**deny_directly(arn), "Resource": f"{arn}-other"})):
        with pytest.raises(functions.exceptions.InvalidParameterValueException):
            functions.put_resource_policy(ResourceArn=arn, Policy=document)
    caller = create_role(lab, f"{unique}-put", allow("lambda:PutResourcePolicy", resource=arn))
    role_client(lab, caller, "lambda").put_resource_policy(ResourceArn=arn, Policy=policy(deny_directly(arn)))
    other = create_role(lab, f"{unique}-other", allow("lambda:PutResourcePolicy", resource=f"{arn}-other"))
    with pytest.raises(ClientError, match="PutResourcePolicy"):
        role_client(lab, other, "lambda").put_resource_policy(ResourceArn=arn, Policy=policy(deny_directly(arn)))


def test_a_policy_keeps_services_out(lab: Lab, unique: str) -> None:
    """A document without them is what they lose their permission by."""
    topics, functions, arn = lab.client("sns"), lab.client("lambda"), function_arn(unique)
    create_function(lab, unique)
    topic = topics.create_topic(Name=unique)["TopicArn"]
    topics.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    service = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": arn,
    }
    functions.put_resource_policy(ResourceArn=arn, Policy=policy(service, deny_directly(arn)))
    topics.publish(TopicArn=topic, Message="denied")
    functions.put_resource_policy(ResourceArn=arn, Policy=policy(service))
    topics.publish(TopicArn=topic, Message="let in")
    logs = lab.client("logs")

    def starts() -> int:
        groups = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{unique}")["logGroups"]
        if not groups:
            return 0
        found = logs.filter_log_events(logGroupName=f"/aws/lambda/{unique}")["events"]
        return sum(event["message"].startswith("START") for event in found)

    wait_for(starts, what="an invocation")
    assert starts() == 1


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
Resources:
  Decide:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: provided.al2023
      Handler: bootstrap
      CodeUri: {Bucket: !Ref Bucket, Key: probe.zip}
      Timeout: 60
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
  Door:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: provided.al2023
      Handler: bootstrap
      CodeUri: {Bucket: !Ref Bucket, Key: probe.zip}
      Timeout: 60
      FunctionUrlConfig: {AuthType: NONE}
  Hidden:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: provided.al2023
      Handler: bootstrap
      CodeUri: {Bucket: !Ref Bucket, Key: probe.zip}
      Timeout: 60
      FunctionUrlConfig: {AuthType: AWS_IAM}
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
