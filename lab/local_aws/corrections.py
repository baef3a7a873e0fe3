"""Answers of ministack that its services' models do not allow, put right on their way out.

Whole operations that ministack has wrong are replaced by the modules of this package; here is what is
only a member of an answer that is fine otherwise. ``contracts`` finds them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from local_aws.calls import Answer, Call, Proceed, add_interceptor
from local_aws.contracts import Service, service
from local_aws.settings import Settings

# AWS leaves out what has no value; ministack writes an empty text, which is no value of an enum.
OPTIONAL_OF_TASK_DEFINITIONS = ("executionRoleArn", "ipcMode", "pidMode", "taskRoleArn")
OPTIONAL_OF_FUNCTIONS = (
    "LastUpdateStatusReason",
    "LastUpdateStatusReasonCode",
    "StateReason",
    "StateReasonCode",
)
# A reason that ministack made up: AWS's functions stay active while they are updated.
UNKNOWN_REASON = "Updating"


def _without(fields: tuple[str, ...], record: MutableMapping[str, Any], *values: str) -> None:
    for name in fields:
        if record.get(name) in ("", *values):
            record.pop(name, None)


def _task_definition(answer: dict[str, Any]) -> None:
    _without(OPTIONAL_OF_TASK_DEFINITIONS, answer["taskDefinition"])


def _function(record: dict[str, Any]) -> None:
    _without(OPTIONAL_OF_FUNCTIONS, record, UNKNOWN_REASON)


def _described_function(answer: dict[str, Any]) -> None:
    _function(answer["Configuration"])


def _functions(answer: dict[str, Any]) -> None:
    for record in answer["Functions"]:
        _function(record)


def _created_url(answer: dict[str, Any]) -> None:
    # Only the answers about an existing one have it.
    answer.pop("LastModifiedTime", None)


def _listed_rules(answer: dict[str, Any]) -> None:
    for rule in answer["Rules"]:
        # Only DescribeRule has it.
        rule.pop("CreatedBy", None)


def _in_camel_case(value: Any) -> Any:
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: _in_camel_case(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_in_camel_case(member) for member in value]
    return value


def _state_machine(answer: dict[str, Any]) -> None:
    # As CloudFormation writes it; the API's own members begin with small letters.
    if "loggingConfiguration" in answer:
        answer["loggingConfiguration"] = _in_camel_case(answer["loggingConfiguration"])


CORRECTIONS: Mapping[tuple[str, str], Callable[[dict[str, Any]], None]] = {
    ("ecs", "DeregisterTaskDefinition"): _task_definition,
    ("ecs", "DescribeTaskDefinition"): _task_definition,
    ("ecs", "RegisterTaskDefinition"): _task_definition,
    ("events", "ListRules"): _listed_rules,
    ("lambda", "CreateFunction"): _function,
    ("lambda", "CreateFunctionUrlConfig"): _created_url,
    ("lambda", "GetFunction"): _described_function,
    ("lambda", "GetFunctionConfiguration"): _function,
    ("lambda", "ListFunctions"): _functions,
    ("lambda", "PublishVersion"): _function,
    ("lambda", "UpdateFunctionCode"): _function,
    ("lambda", "UpdateFunctionConfiguration"): _function,
    ("states", "DescribeStateMachine"): _state_machine,
}
SERVICES = frozenset(name for name, _ in CORRECTIONS)


def _operation(call: Call) -> str | None:
    """The operation by the model: of Lambda's actions ministack knows some only, and names others like them."""
    known = service(call.service)
    contract = known.of(call) if isinstance(known, Service) else None
    return contract.operation.name if contract is not None else None


async def _correct(call: Call, proceed: Proceed) -> Answer:
    status, headers, body = await proceed()
    if call.service not in SERVICES:
        return status, headers, body
    correction = CORRECTIONS.get((call.service, _operation(call) or ""))
    if correction is None or status >= 300:
        return status, headers, body
    document = json.loads(body)
    correction(document)
    return status, headers, json.dumps(document).encode()


def install(settings: Settings) -> None:
    """See answers before anybody else does. After ``calls``."""
    add_interceptor(_correct)
