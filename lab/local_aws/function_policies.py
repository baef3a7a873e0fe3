"""Resource policies of functions: whole documents that may deny, and each for one qualifier only.

ministack has no PutResourcePolicy, and one list of statements for a function, its versions and its aliases. Here
every statement knows whose policy it is in: ``AddPermission`` writes the ARN into its ``Resource``, a statement of a
document remembers where the document was put.

Lambda API Reference, PutResourcePolicy: it "replaces any existing policy on the Lambda resource. If you previously
added permissions using the AddPermission operation, the new policy overwrites those permissions". CloudFormation's
page on AWS::Lambda::ResourcePolicy: "You can also deny access to specific entities".

Known deviations: a policy that lets in everybody is never a PublicPolicyException; a statement must have a Principal,
an Action and a Resource that is the function's (what AWS says to others is not documented, so they are refused).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy, fnmatch_iam_cs
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response
from ministack.services import lambda_svc

from local_aws.replacing import AnyFunction, replace
from local_aws.settings import Settings

PATH = "/2026-07-09/resource-policy/"
LONGEST_POLICY = 20_480
VERSION = "2012-10-17"
Policy = dict[str, Any]
Answer = tuple[int, dict[str, str], Any]


class Statement(dict[str, Any]):
    """A statement of a document that was put on ``scope``."""

    def __init__(self, content: Mapping[str, Any], scope: str) -> None:
        super().__init__(content)
        self.scope = scope


class Refused(Exception):
    """What the API answers to an operation on a policy that it does not take."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


# ---- policies ------------------------------------------------------------------------------------


def _scope(statement: Mapping[str, Any]) -> str:
    return statement.scope if isinstance(statement, Statement) else str(statement.get("Resource"))


def _function(arn: str) -> dict[str, Any] | None:
    """The record of the function that an ARN names, if there is such a qualifier."""
    name, qualifier = lambda_svc._resolve_request_scoped_name_and_qualifier(arn)
    record: dict[str, Any] | None = lambda_svc._functions.get(name)
    return record if record is not None and lambda_svc._function_qualifier_exists(record, qualifier) else None


def policy_of(arn: str) -> Policy | None:
    """The policy of a function, version or alias; None if there is no such thing."""
    function = _function(unquote(arn))
    if function is None:
        return None
    statements = [statement for statement in function["policy"]["Statement"] if _scope(statement) == unquote(arn)]
    return {"Version": VERSION, "Id": "default", "Statement": statements}


def denies(arn: str, permission: str, principal: str, context: Mapping[str, Any]) -> bool:
    """Whether the policy of a function denies this to somebody whom no policy of IAM could deny it: the root."""
    request = EvalContext(
        principal_arn=principal,
        principal_type="Root",
        principal_account=get_account_id(),
        action=permission,
        resource_arn=arn,
        region=get_region(),
        service_context={key.lower(): value for key, value in context.items()},
    )
    return bool(evaluate_resource_policy(policy_of(arn), request).decision == "Deny")


def _revision(policy: Policy) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(policy, sort_keys=True)))


def _required(arn: str, revision: str | None) -> Policy:
    policy = policy_of(arn)
    if policy is None:
        raise Refused(404, "ResourceNotFoundException", f"Function not found: {arn}")
    if revision is not None and revision != _revision(policy):
        words = "The RevisionId provided does not match the latest RevisionId. GetResourcePolicy has the latest one."
        raise Refused(412, "PreconditionFailedException", words)
    return policy


def _accepted(text: str, arn: str) -> list[Statement]:
    """The statements of a policy document."""
    if len(text) > LONGEST_POLICY:
        raise Refused(
            400,
            "PolicyLengthExceededException",
            f"The final policy size ({len(text)}) is bigger than the limit ({LONGEST_POLICY}).",
        )
    try:
        document = json.loads(text)
        statements = document["Statement"]
        statements = [statements] if isinstance(statements, dict) else statements
        for statement in statements:
            resources = statement["Resource"]
            fits = any(fnmatch_iam_cs(arn, each) for each in ([resources] if isinstance(resources, str) else resources))
            if (
                statement["Effect"] not in ("Allow", "Deny")
                or not statement["Principal"]
                or not statement["Action"]
                or not fits
            ):
                raise ValueError(f"Effect, Principal, Action and a Resource that is {arn} are needed")
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(400, "InvalidParameterValueException", f"The provided policy is not valid: {error}") from error
    return [Statement(statement, arn) for statement in statements]


def put(arn: str, text: str, revision: str | None = None) -> Policy:
    """PutResourcePolicy."""
    _required(arn, revision)
    statements = _accepted(text, arn)
    _replace_statements(arn, statements)
    return {"Policy": text, "RevisionId": _revision(_required(arn, None))}


def delete(arn: str, revision: str | None = None) -> None:
    """DeleteResourcePolicy."""
    if not _required(arn, revision)["Statement"]:
        raise Refused(404, "ResourceNotFoundException", "No policy is associated with the given resource.")
    _replace_statements(arn, [])


def _replace_statements(arn: str, statements: list[Statement]) -> None:
    function = _function(arn)
    assert function is not None
    others = [statement for statement in function["policy"]["Statement"] if _scope(statement) != arn]
    # One assignment: whoever reads it meanwhile has the old policy or the new one.
    function["policy"] = {**function["policy"], "Statement": [*others, *statements]}


def _shown(arn: str) -> dict[str, str]:
    policy = _required(arn, None)
    if not policy["Statement"]:
        raise Refused(404, "ResourceNotFoundException", "No policy is associated with the given resource.")
    return {"Policy": json.dumps(policy), "RevisionId": _revision(policy)}


# ---- the API -------------------------------------------------------------------------------------


def _answered(method: str, arn: str, body: bytes, query: Mapping[str, Any]) -> Answer:
    revision = query.get("RevisionId")
    revision = revision[0] if isinstance(revision, list) else revision
    try:
        if method == "PUT":
            request = json.loads(body)
            answer: Answer = json_response(put(arn, request["Policy"], request.get("RevisionId")))
        elif method == "DELETE":
            delete(arn, revision)
            answer = 204, {}, b""
        else:
            answer = json_response(_shown(arn))
    except Refused as refused:
        answer = error_response_json(refused.code, refused.message, refused.status)
    return answer


def install(settings: Settings) -> None:
    """Add the operations on whole policies, and let every decision know whose policy a statement is in."""
    handle: AnyFunction

    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> Answer:
        if path.startswith(PATH):
            return _answered(method, unquote(path.removeprefix(PATH)), body, query_params)
        answer: Answer = await handle(method, path, headers, body, query_params)
        return answer

    def function_policy(resource_arn: str) -> tuple[Policy, str] | None:
        policy = policy_of(resource_arn)
        return (policy, get_account_id()) if policy is not None else None

    def get_policy(
        func_name: str, query_params: dict[str, Any] | None = None, path_qualifier: str | None = None
    ) -> Answer:
        qualifier = lambda_svc._qualifier_from_path_or_query(path_qualifier, query_params)
        try:
            answer: Answer = json_response(_shown(lambda_svc._policy_resource_arn(func_name, qualifier)))
        except Refused as refused:
            answer = error_response_json(refused.code, refused.message, refused.status)
        return answer

    expects: tuple[str, ...] = ("method", "path", "headers", "body", "query_params")
    handle = replace(lambda_svc, "handle_request", handle_request, expects=expects)
    replace(lambda_svc, "function_policy_for_arn", function_policy, expects=("resource_arn",))
    expects = ("func_name", "query_params", "path_qualifier")
    replace(lambda_svc, "_get_policy", get_policy, expects=expects)
