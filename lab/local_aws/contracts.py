"""Calls and answers are held to the service models of the pinned botocore.

A call that breaks its model is refused as AWS refuses it and never reaches the service: a request that
only this lab would take must not work in it. An answer that breaks its model is passed on, as it is the
lab that is wrong. Both are written to the journal::

    {"kind": "contract", "side": "request", "service": "elasticloadbalancing", "action": "ModifyRule",
     "principal": "AdvanceRole", "problems": ["Actions[0].Order: must have value less than or equal to 50000"]}

``side`` is ``request`` or ``answer``. Calls of the account's root user are the lab's own: they are let
through unchecked, and their answers are looked at only when the lab was started with
``--check-all-answers``, as its probes do.

Most calls and answers of a running lab are the same bytes again and again (a service that is waited for,
the rules of a listener): what was found in order once is not decoded a second time.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel, ServiceModel

from local_aws import journal
from local_aws.calls import CBOR, ROOT, Answer, Call, Proceed, add_interceptor
from local_aws.settings import Settings
from local_aws.shapes import FINE, Check, Checks, Problem, Problems
from local_aws.wire_documents import NOTHING, REST, Undecodable, answer_document, request_document, rest_operation

# botocore's names of services, where they are not the prefix of their IAM actions.
MODEL_NAMES = {"elasticloadbalancing": "elbv2", "states": "stepfunctions"}
# The protocols that can be checked: all that the product's services speak.
PROTOCOLS = frozenset({"query", "json", "smithy-rpc-v2-cbor", *REST})
# The services whose answers the product reads.
PRODUCTS_SERVICES = frozenset({
    "application-autoscaling",
    "cloudwatch",
    "dynamodb",
    "ecr",
    "ecs",
    "elasticloadbalancing",
    "events",
    "lambda",
    "secretsmanager",
    "sns",
    "sqs",
    "states",
})
# What services answer to a request that their model does not allow; all others answer ValidationException.
REFUSALS = {
    "cloudwatch": "ValidationError",
    "ecr": "InvalidParameterException",
    "ecs": "InvalidParameterException",
    "elasticloadbalancing": "ValidationError",
    "s3": "InvalidRequest",
    "sns": "InvalidParameter",
}
MOST_PROBLEMS = 20
MOST_REMEMBERED = 20_000
REQUEST_ID = re.compile(rb"<RequestId>[^<]*</RequestId>")


@dataclass(frozen=True)
class Contract:
    """What one operation takes and answers."""

    operation: OperationModel
    request: Check
    answer: Check


class Service:
    """The contracts of one service, each made at its first use."""

    def __init__(self, model: ServiceModel) -> None:
        self.model = model
        self._operations = frozenset(model.operation_names)
        self._requests = {tagged: Checks(limits=True, tagged=tagged) for tagged in (False, True)}
        self._answers = {tagged: Checks(limits=False, tagged=tagged) for tagged in (False, True)}
        self._contracts: dict[tuple[str, bool], Contract] = {}

    def of(self, call: Call) -> Contract | None:
        """The contract of a call; None if the service has no such operation."""
        name = call.action
        if self.model.metadata["protocol"] == "rest-json":
            # The action is IAM's; several operations may share one.
            route = rest_operation(self.model, call.http.method, call.http.path)
            name = route[0].name if route is not None else ""
        # The answer to a call is in its own protocol.
        key = name, CBOR in call.http.headers.get("content-type", "")
        if key not in self._contracts:
            if name not in self._operations:
                return None
            operation, tagged = self.model.operation_model(name), key[1]
            self._contracts[key] = Contract(
                operation,
                self._requests[tagged].of(operation.input_shape or NOTHING),
                self._answers[tagged].of(operation.output_shape or NOTHING),
            )
        return self._contracts[key]


@functools.cache
def service(prefix: str) -> Service | str:
    """The contracts of a service by the prefix of its IAM actions, or why there are none."""
    try:
        model = botocore.session.Session().get_service_model(MODEL_NAMES.get(prefix, prefix))
    except UnknownServiceError:
        return "botocore has no model of this service"
    protocol = model.metadata["protocol"]
    return Service(model) if protocol in PROTOCOLS else f"calls in the protocol {protocol} cannot be checked"


# ---- what was in order ---------------------------------------------------------------------------

_in_order: set[int] = set()


def _remembering(seen: int, judge: Callable[[], Problems]) -> Problems:
    """Judge what has not been found in order before."""
    if seen in _in_order:
        return FINE
    problems = judge()
    if not problems:
        if len(_in_order) >= MOST_REMEMBERED:
            _in_order.clear()
        _in_order.add(seen)
    return problems


def request_problems(call: Call) -> Problems:
    """Where a call breaks the model of its service."""
    known = service(call.service)
    if isinstance(known, str):
        return (Problem("", known),)
    contract = known.of(call)
    if contract is None:
        return (Problem("", f"the service has no operation {call.action}"),)
    http = call.http

    def judge() -> Problems:
        try:
            return contract.request(request_document(known.model, contract.operation, http))
        except Undecodable as error:
            return (Problem("", str(error)),)

    if known.model.metadata["protocol"] in REST:
        # Much of it is in the path, the query and the headers, and the rest is an event of its own.
        return judge()
    same = ("request", call.service, contract.operation.name, http.headers.get("content-type"), http.body)
    return _remembering(hash(same), judge)


def answer_problems(call: Call, answer: Answer) -> Problems:
    """Where the answer to a call breaks the model of its service; errors have no model worth the name."""
    status, headers, body = answer
    known = service(call.service)
    contract = known.of(call) if isinstance(known, Service) else None
    if isinstance(known, str) or contract is None or status >= 300:
        return FINE
    content = body if isinstance(body, bytes) else str(body or "").encode()

    def judge() -> Problems:
        try:
            return contract.answer(answer_document(known.model, contract.operation, headers, content))
        except Undecodable as error:
            return (Problem("", str(error)),)

    same = ("answer", call.service, contract.operation.name, REQUEST_ID.sub(b"", content))
    return _remembering(hash(same), judge)


# ---- the interceptor -----------------------------------------------------------------------------


def _write(side: str, call: Call, problems: Problems) -> list[str]:
    lines = [f"{problem.where or call.action}: {problem.what}" for problem in problems[:MOST_PROBLEMS]]
    journal.write(
        kind="contract",
        side=side,
        service=call.service,
        action=call.action,
        principal=call.principal,
        problems=lines,
    )
    return lines


def _refused(call: Call, lines: list[str]) -> Answer:
    """Coral, on which most of these services are built, counts and lists the violations."""
    noun = "validation error" if len(lines) == 1 else "validation errors"
    message = f"{len(lines)} {noun} detected: {'; '.join(lines)}"
    return call.failure(400, REFUSALS.get(call.service, "ValidationException"), message)


def interceptor(*, check_all_answers: bool) -> Callable[[Call, Proceed], Any]:
    """What every call passes."""

    async def check(call: Call, proceed: Proceed) -> Answer:
        own = call.principal == ROOT
        if not own and (problems := request_problems(call)):
            return _refused(call, _write("request", call, problems))
        answer = await proceed()
        if (not own or (check_all_answers and call.service in PRODUCTS_SERVICES)) and (
            problems := answer_problems(call, answer)
        ):
            _write("answer", call, problems)
        return answer

    return check


def install(settings: Settings) -> None:
    """See every call before anything else does. After ``faults``: a call that a fault refuses is checked too."""
    add_interceptor(interceptor(check_all_answers=settings.check_all_answers))
