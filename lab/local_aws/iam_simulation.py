"""IAM: SimulatePrincipalPolicy, answered by the engine that decides real calls.

ministack simulates the first resource only, without the condition keys of the request and without a
permissions boundary, and knows neither what an action can be allowed on nor roles with a path.

As on AWS an action that knows no resources is decided on ``*`` whatever is asked, the decisions for single
resources stand in ``ResourceSpecificResults``, and condition keys that a request would carry and that were
not given are not met.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import EvalContext
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam

from local_aws import service_authorization
from local_aws.calls import Answer
from local_aws.iam_rules import ANY, ONLY_ANY
from local_aws.replacing import replace_entry

WORDS = {"Allow": "allowed", "Deny": "explicitDeny", "ImplicitDeny": "implicitDeny"}
Parameters = dict[str, Any]


def _value(parameters: Parameters, name: str) -> str:
    value = parameters.get(name, "")
    return str(value[0] if isinstance(value, list) else value)


def _members(parameters: Parameters, name: str) -> Iterator[str]:
    """The texts of a list in a query."""
    number = 1
    while value := _value(parameters, f"{name}.member.{number}"):
        yield value
        number += 1


def _context(parameters: Parameters) -> dict[str, Any]:
    """The condition keys of the simulated request."""
    context: dict[str, Any] = {}
    number = 1
    while key := _value(parameters, f"ContextEntries.member.{number}.ContextKeyName"):
        values = list(_members(parameters, f"ContextEntries.member.{number}.ContextKeyValues"))
        several = _value(parameters, f"ContextEntries.member.{number}.ContextKeyType").endswith("List")
        context[key.lower()] = values if several else values[0]
        number += 1
    return context


def _decided_on(action: str, resource: str) -> str:
    """What an action is decided on: it may not know resources of this kind."""
    known = service_authorization.action(action)
    if known is None:
        return resource
    return ANY if not known.resources or action in ONLY_ANY else resource


def simulate(parameters: Parameters) -> Answer:
    """How each action on each resource would be decided for a role."""
    principal = _value(parameters, "PolicySourceArn")
    name = principal.rpartition("/")[2]
    account = get_account_id()
    if ":role/" not in principal:
        refused: Answer = iam._error(400, "InvalidInput", f"{principal} is not simulated here: only roles are")
        return refused
    if iam._roles.get(name) is None:
        missing: Answer = iam._error(404, "NoSuchEntity", f"The role with name {name} cannot be found.")
        return missing
    policies = iam_evaluator._gather_role_policies(name, account)
    limits = iam_evaluator._permissions_boundary(iam._roles, name, account)
    context = _context(parameters)
    resources = list(_members(parameters, "ResourceArns")) or [ANY]
    results = []
    for action in _members(parameters, "ActionNames"):
        decisions = []
        for resource in resources:
            request = EvalContext(
                principal_arn=principal,
                principal_type="AssumedRole",
                principal_account=account,
                action=action,
                resource_arn=_decided_on(action, resource),
                region=get_region(),
                service_context={"aws:tagkeys": None, **context},
            )
            decisions.append(WORDS[iam_evaluator.evaluate(request, policies, *limits).decision])
        each = "".join(
            f"<member><EvalResourceName>{escape(resource)}</EvalResourceName>"
            f"<EvalResourceDecision>{decision}</EvalResourceDecision></member>"
            for resource, decision in zip(resources, decisions, strict=True)
        )
        whole = next((decision for decision in decisions if decision != WORDS["Allow"]), WORDS["Allow"])
        results.append(
            f"<member><EvalActionName>{escape(action)}</EvalActionName>"
            f"<EvalResourceName>{escape(resources[0])}</EvalResourceName><EvalDecision>{whole}</EvalDecision>"
            f"<ResourceSpecificResults>{each}</ResourceSpecificResults></member>"
        )
    answer: Answer = iam._xml(
        200,
        "SimulatePrincipalPolicyResponse",
        f"<SimulatePrincipalPolicyResult><EvaluationResults>{''.join(results)}</EvaluationResults>"
        "<IsTruncated>false</IsTruncated></SimulatePrincipalPolicyResult>",
    )
    return answer


def install() -> None:
    """Replace ministack's simulation."""
    replace_entry(iam._IAM_HANDLERS, "_IAM_HANDLERS", "SimulatePrincipalPolicy", simulate, expects=("p",))
