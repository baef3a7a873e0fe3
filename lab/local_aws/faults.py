"""Faults on request: calls that fail, functions that die, events that are delivered twice.

A lab has none until somebody asks for them (``control``). There are three kinds, as JSON::

    {"name": "1", "fail": {"service": "elasticloadbalancing", "action": "ModifyRule",
                           "principal": "RollbackRole", "first": 2, "times": 1, "how": "timeoutAfter"}}
    {"name": "2", "kill": {"function": "AdvanceFunction", "invocation": 1, "afterCalls": 3}}
    {"name": "3", "repeat": {"function": "GateFunction", "invocation": 1, "again": "meanwhile"}}

``principal`` and ``function`` are parts of names; without ``principal`` everybody's calls count, without
``service`` those of every service. Calls and invocations are counted from 1, from the moment the fault is
asked for. ``"times": 0`` is every time until the fault is withdrawn. Calls that a function makes while it
initialises are never counted: whether there are any depends on what ran before.

Every time a fault strikes, the journal gets a line of kind ``fault``.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ministack.services import lambda_svc

from local_aws import journal
from local_aws.calls import Answer, Call, Proceed, add_interceptor
from local_aws.function_environments import Caller
from local_aws.replacing import AnyFunction, replace
from local_aws.settings import Settings

# Longer than any client of the product waits for an answer, so that it is the client that gives up.
SILENCE_SECONDS = 6.0
REPEATED_AFTER_SECONDS = 0.5


class FaultError(ValueError):
    """A fault that cannot be understood; the message says where and why."""


class How(Enum):
    """What happens to a call."""

    THROTTLE = "throttle"
    SERVER_ERROR = "serverError"
    DENIED = "denied"
    TIMEOUT_BEFORE = "timeoutBefore"
    TIMEOUT_AFTER = "timeoutAfter"
    KILLED = "killed"
    CONCURRENT_UPDATE = "concurrentUpdate"


class Again(Enum):
    """When the second delivery of an event comes."""

    MEANWHILE = "meanwhile"
    AFTERWARDS = "afterwards"


@dataclass
class Fault:
    """What every fault has: a name, and how often it struck."""

    name: str
    seen: int = field(default=0, init=False)
    struck: int = field(default=0, init=False)


@dataclass
class Fail(Fault):
    """Calls of one action that do not go as they should."""

    service: str | None
    action: str
    principal: str | None
    first: int
    times: int
    how: How

    def is_about(self, call: Call) -> bool:
        """Whether the call counts."""
        return (
            call.action == self.action
            and self.service in (None, call.service)
            and (self.principal is None or self.principal in call.principal)
        )

    def strikes(self) -> bool:
        """Count a call that this is about; whether it is one of those that are to fail."""
        self.seen += 1
        return self.seen >= self.first and (self.times == 0 or self.seen < self.first + self.times)


@dataclass
class Kill(Fault):
    """A process that ends before it answers."""

    function: str
    invocation: int
    after_calls: int


@dataclass
class Repeat(Fault):
    """An event that is delivered twice."""

    function: str
    invocation: int
    again: Again


_lock = threading.Lock()
_faults: list[Fault] = []
_doomed: dict[str, tuple[Kill, int]] = {}
"""Calls that an invocation (by request id) may still make before it is killed."""

_is_repetition: contextvars.ContextVar[bool] = contextvars.ContextVar("is_repetition", default=False)


# ---- asking for faults ---------------------------------------------------------------------------


def _text(fields: Mapping[str, Any], name: str, where: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise FaultError(f"{where}.{name}: a text is needed, not {value!r}")
    return value


def _optional_text(fields: Mapping[str, Any], name: str, where: str) -> str | None:
    return _text(fields, name, where) if fields.get(name) is not None else None


def _number(fields: Mapping[str, Any], name: str, default: int, least: int, where: str) -> int:
    value = fields.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise FaultError(f"{where}.{name}: a whole number of at least {least} is needed, not {value!r}")
    return value


def _choice(fields: Mapping[str, Any], name: str, kind: type[Enum], where: str) -> Any:
    try:
        return kind(fields.get(name))
    except ValueError:
        known = ", ".join(str(member.value) for member in kind)
        raise FaultError(f"{where}.{name}: one of {known} is needed, not {fields.get(name)!r}") from None


def parse(document: Any, where: str = "fault") -> Fault:
    """A fault from its JSON. Raises FaultError."""
    if not isinstance(document, Mapping):
        raise FaultError(f"{where}: an object is needed, not {document!r}")
    name = _text(document, "name", where)
    kinds = [kind for kind in ("fail", "kill", "repeat") if kind in document]
    unknown = sorted(set(document) - {"name", *kinds})
    if len(kinds) != 1 or unknown:
        raise FaultError(f"{where}: exactly one of fail, kill and repeat is needed beside the name")
    where = f"{where}.{kinds[0]}"
    fields = document[kinds[0]]
    if not isinstance(fields, Mapping):
        raise FaultError(f"{where}: an object is needed, not {fields!r}")
    if kinds == ["fail"]:
        _refuse_unknown(fields, {"service", "action", "principal", "first", "times", "how"}, where)
        return Fail(
            name=name,
            service=_optional_text(fields, "service", where),
            action=_text(fields, "action", where),
            principal=_optional_text(fields, "principal", where),
            first=_number(fields, "first", 1, 1, where),
            times=_number(fields, "times", 1, 0, where),
            how=_choice(fields, "how", How, where),
        )
    if kinds == ["kill"]:
        _refuse_unknown(fields, {"function", "invocation", "afterCalls"}, where)
        return Kill(
            name=name,
            function=_text(fields, "function", where),
            invocation=_number(fields, "invocation", 1, 1, where),
            after_calls=_number(fields, "afterCalls", 0, 0, where),
        )
    _refuse_unknown(fields, {"function", "invocation", "again"}, where)
    return Repeat(
        name=name,
        function=_text(fields, "function", where),
        invocation=_number(fields, "invocation", 1, 1, where),
        again=_choice(fields, "again", Again, where),
    )


def _refuse_unknown(fields: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(fields) - known)
    if unknown:
        raise FaultError(f"{where}.{unknown[0]}: unknown; known are {', '.join(sorted(known))}")


def add(faults: list[Fault]) -> None:
    """From now on these too."""
    with _lock:
        _faults.extend(faults)


def withdraw(name: str | None = None) -> None:
    """End one fault, or all. Calls that are already held keep silent to their end."""
    with _lock:
        _faults[:] = [fault for fault in _faults if name is not None and fault.name != name]
        if name is None:
            _doomed.clear()


def struck() -> dict[str, int]:
    """How often each fault that is in force has struck."""
    with _lock:
        return {fault.name: fault.struck for fault in _faults}


# ---- calls ---------------------------------------------------------------------------------------


def _strike(fault: Fault, what: str) -> None:
    with _lock:
        fault.struck += 1
    journal.write(kind="fault", fault=fault.name, what=what)


def _failing(call: Call) -> Fail | None:
    """Count the call; the first fault that strikes it."""
    with _lock:
        hit = [fault for fault in _faults if isinstance(fault, Fail) and fault.is_about(call) and fault.strikes()]
    return hit[0] if hit else None


def _last_call_of(caller: Caller | None) -> Kill | None:
    """Count down the calls of an invocation that is to be killed; its fault if this is the last one."""
    if caller is None or caller.invocation is None:
        return None
    with _lock:
        kill, left = _doomed.get(caller.invocation, (None, 0))
        if kill is None:
            return None
        if left <= 1:
            _doomed.pop(caller.invocation, None)
            return kill
        _doomed[caller.invocation] = (kill, left - 1)
        return None


def _throttled(call: Call) -> Answer:
    if call.service == "lambda":
        return call.failure(429, "TooManyRequestsException", "Rate exceeded")
    code = "Throttling" if call.service in ("elasticloadbalancing", "cloudwatch") else "ThrottlingException"
    return call.failure(400, code, "Rate exceeded")


def _broken(call: Call) -> Answer:
    codes = {
        "application-autoscaling": "InternalServiceException",
        "lambda": "ServiceException",
        "dynamodb": "InternalServerError",
        "sns": "InternalError",
    }
    return call.failure(500, codes.get(call.service, "InternalFailure"), "An internal error occurred")


async def _silence(call: Call) -> Answer:
    """Nobody waits for this answer any more, except who waits longer than the lab is silent."""
    await asyncio.sleep(SILENCE_SECONDS)
    return _broken(call)


async def _struck(fault: Fail, call: Call, proceed: Proceed) -> Answer:
    if fault.how is How.THROTTLE:
        return _throttled(call)
    if fault.how is How.SERVER_ERROR:
        return _broken(call)
    if fault.how is How.CONCURRENT_UPDATE:
        return call.failure(400, "ConcurrentUpdateException", "The resource already has a pending update")
    if fault.how is How.DENIED:
        return call.failure(403, "AccessDeniedException", "denied by a fault of the lab")
    if fault.how is How.TIMEOUT_BEFORE:
        return await _silence(call)
    answer = await proceed()
    if fault.how is How.KILLED:
        if call.caller is None:
            return answer
        call.caller.kill()
        return _broken(call)
    return await _silence(call)


async def _interfere(call: Call, proceed: Proceed) -> Answer:
    if not _faults and not _doomed:
        return await proceed()
    caller = call.caller
    if caller is not None and caller.invocation is None:
        return await proceed()
    fault = _failing(call)
    if fault is not None:
        _strike(fault, f"{call.service}:{call.action} by {call.principal}: {fault.how.value}")
        return await _struck(fault, call, proceed)
    kill = _last_call_of(caller)
    if kill is None or caller is None:
        return await proceed()
    if kill.after_calls > 0:
        await proceed()
    _strike(kill, f"{call.principal} killed at {call.service}:{call.action}")
    caller.kill()
    return _broken(call)


# ---- invocations ---------------------------------------------------------------------------------


def _begin(function: str, request_id: str) -> Repeat | None:
    """Count an invocation; whether its event is to be delivered again."""
    with _lock:
        repeated = None
        for fault in _faults:
            if isinstance(fault, (Kill, Repeat)) and fault.function in function:
                fault.seen += 1
                if fault.seen != fault.invocation:
                    continue
                if isinstance(fault, Kill):
                    _doomed[request_id] = (fault, fault.after_calls)
                else:
                    repeated = fault
        return repeated


def _again(func: dict[str, Any], event: Any, delay: float) -> None:
    """Deliver the event once more. What comes of it is told to nobody, as it is nobody's answer."""

    def deliver() -> None:
        _is_repetition.set(True)
        lambda_svc._execute_function(func, event)

    timer = threading.Timer(delay, contextvars.copy_context().run, args=(deliver,))
    timer.daemon = True
    timer.start()


def install(settings: Settings) -> None:
    """See every call and every invocation. After ``lambda_functions``."""
    original: AnyFunction

    def dispatch(
        func: dict[str, Any], config: dict[str, Any], event: Any, request_id: str, started: float
    ) -> dict[str, Any]:
        function = str(config.get("FunctionName", ""))
        repeat = None if _is_repetition.get() else _begin(function, request_id)
        if repeat is not None:
            _strike(repeat, f"an event of {function} is delivered again {repeat.again.value}")
        if repeat is not None and repeat.again is Again.MEANWHILE:
            _again(func, event, 0.0)
        answer: dict[str, Any] = original(func, config, event, request_id, started)
        if repeat is not None and repeat.again is Again.AFTERWARDS:
            _again(func, event, REPEATED_AFTER_SECONDS)
        with _lock:
            _doomed.pop(request_id, None)
        return answer

    expects = ("func", "config", "event", "request_id", "started")
    original = replace(lambda_svc, "_execute_function_dispatch", dispatch, expects=expects)
    add_interceptor(_interfere)
