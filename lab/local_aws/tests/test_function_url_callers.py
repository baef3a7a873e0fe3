"""Function URLs: who is let in, and who the function is told it is."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from local_aws.tests.functions import Statement, allow, create_function, create_role, function_arn, invoke
from local_aws.tests.roles import role_client
from local_aws.tests.signing import ROOT, call, send, session_of, signed_headers
from local_aws.tests.support import ACCOUNT, REGION, Lab, wait_for
from local_aws.tests.urls import DENIED, FORBIDDEN, NOT_PROVEN, UNKNOWN_KEY, VIA_URL, create_url, statements


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
