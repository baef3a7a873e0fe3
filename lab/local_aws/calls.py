"""Every AWS API call passes here: it is written to the journal, and can be interfered with.

ministack answers all API calls from one function, after authentication and before any service. What
wraps it sees the caller, the action, its parameters and the answer. An *interceptor* is the place for
faults: it gets the call and the next step, and may delay, refuse (``failure``), let the call have its
effect and then lose the answer, or simply pass it on.

Calls that ministack makes within itself (CloudFormation creating resources, events delivered to
targets) are no API calls and do not pass here; AWS's CloudTrail does show most of those.
"""

from __future__ import annotations

import json
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

import cbor2
from ministack import app
from ministack.core import iam_actions, iam_evaluator, router

from local_aws import journal
from local_aws.function_environments import Caller, caller_of
from local_aws.replacing import AnyFunction, replace
from local_aws.settings import Settings

Answer = tuple[int, dict[str, str], Any]
Proceed = Callable[[], Awaitable[Answer]]
Interceptor = Callable[["Call", Proceed], Awaitable[Answer]]

# What CloudTrail and the SDKs call an action whose IAM permission has another name.
ACTION_OF_PERMISSION = {("lambda", "InvokeFunction"): "Invoke"}
PERMISSION_OF_ACTION = {(service, action): name for (service, name), action in ACTION_OF_PERMISSION.items()}
ROOT = "root"
CBOR = "application/cbor"

_interceptors: list[Interceptor] = []


@dataclass(frozen=True)
class HttpRequest:
    """A call as it arrived."""

    service: str = ""
    """ministack's name of the service: ``monitoring`` for CloudWatch."""

    method: str = "POST"
    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, list[str]] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    """The query together with a form in the body, as ministack's router merges them."""

    body: bytes = b""


@dataclass(frozen=True)
class Call:
    """One API call, before it is answered."""

    service: str
    """The IAM prefix: ``elasticloadbalancing``, ``states``, ``cloudwatch``, ``lambda``."""

    action: str
    principal: str
    """Name of the role or user, or ``root``."""

    request: Any
    headers: dict[str, str]
    caller: Caller | None = None
    """The process that calls, if it is a function's."""

    http: HttpRequest = field(default_factory=HttpRequest)

    @property
    def permission(self) -> str:
        """The IAM action that allows it."""
        return f"{self.service}:{PERMISSION_OF_ACTION.get((self.service, self.action), self.action)}"

    def failure(self, status: int, code: str, message: str) -> Answer:
        """An error answer in the protocol the caller speaks."""
        kind = self.headers.get("content-type", "")
        if self.service == "s3":
            # Whatever kind of object it puts there.
            body = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>".encode()
            return status, {"Content-Type": "application/xml"}, body
        if "x-www-form-urlencoded" in kind:
            fault = "Sender" if status < 500 else "Receiver"
            body = (
                f"<ErrorResponse><Error><Type>{fault}</Type><Code>{code}</Code>"
                f"<Message>{escape(message)}</Message></Error><RequestId>lab</RequestId></ErrorResponse>"
            ).encode()
            return status, {"Content-Type": "text/xml"}, body
        if CBOR in kind:
            body = cbor2.dumps({"__type": code, "message": message})
            return (
                status,
                {"Content-Type": CBOR, "smithy-protocol": "rpc-v2-cbor", "x-amzn-query-error": f"{code};Sender"},
                body,
            )
        body = json.dumps({"__type": code, "message": message}).encode()
        return status, {"Content-Type": "application/x-amz-json-1.0", "x-amzn-errortype": code}, body


def add_interceptor(interceptor: Interceptor) -> None:
    """Let ``interceptor`` see every call from now on; the one added last is asked first."""
    _interceptors.append(interceptor)


def _nested(parameters: dict[str, str]) -> dict[str, Any]:
    """Query parameters as the structure they spell out: ``A.member.1.B=x`` becomes ``{A: [{B: x}]}``."""
    tree: dict[str, Any] = {}
    for name, value in parameters.items():
        parts = [part for part in name.split(".") if part not in ("member", "entry")]
        node = tree
        for part in parts[:-1]:
            child = node.setdefault(part, {})
            if not isinstance(child, dict):
                child = node[part] = {"": child}
            node = child
        node[parts[-1]] = value
    return {key: _lists(value) for key, value in tree.items()}


def _lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(key.isdigit() for key in node):
        return [_lists(node[key]) for key in sorted(node, key=int)]
    return {key: _lists(value) for key, value in node.items()}


def _request(service: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> Any:
    kind = headers.get("content-type", "")
    if "x-www-form-urlencoded" in kind:
        form = {
            key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True).items()
        }
        return _nested({key: value for key, value in form.items() if key not in ("Action", "Version")})
    request: Any = {key: values[0] for key, values in query.items() if key not in ("Action", "Version")}
    if CBOR in kind:
        content = cbor2.loads(body) if body else {}
    elif service == "s3" or not body:
        content = {}
    else:
        try:
            content = json.loads(body)
        except ValueError:
            content = {"body": f"({len(body)} bytes)"}
    if service == "lambda" and "/functions/" in path:
        parts = path.split("/functions/", 1)[1].split("/")
        request["FunctionName"] = unquote(parts[0])
        if parts[1:] == ["invocations"]:
            request["InvocationType"] = headers.get("x-amz-invocation-type", "RequestResponse")
            return {**request, "Payload": content}
    if service == "s3":
        return {**request, "path": path}
    return {**request, **content} if isinstance(content, dict) else {**request, "body": content}


def _action(
    service: str, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
) -> tuple[str, str]:
    if "/operation/" in path and path.startswith("/service/"):
        prefix = iam_actions.SERVICE_TO_IAM_NAMESPACE.get(service) or service
        return prefix, path.rsplit("/", 1)[1]
    permission = iam_actions.extract_iam_action(service, method, path, headers, body, query)
    if permission is None:
        return service, f"{method} {path}"
    prefix, _, name = permission.partition(":")
    return prefix, ACTION_OF_PERMISSION.get((prefix, name), name)


def _principal(headers: dict[str, str], query: dict[str, list[str]]) -> str:
    """``arn:aws:sts::1:assumed-role/NAME/session`` and ``arn:aws:iam::1:user/NAME`` become NAME."""
    arn = str(iam_evaluator.request_caller_arn(headers, query))
    resource = arn.rsplit(":", 1)[-1]
    if resource.startswith(("assumed-role/", "user/", "role/")):
        return resource.split("/")[1]
    return resource or "anonymous"


def _error_code(status: int, headers: dict[str, str], body: Any) -> str | None:
    if status < 400:
        return None
    content = body if isinstance(body, bytes) else str(body).encode()
    kinds = {key.lower(): value for key, value in headers.items()}
    try:
        if "cbor" in kinds.get("content-type", ""):
            code = cbor2.loads(content).get("__type", "")
        elif content.lstrip().startswith(b"<"):
            code = next(
                (
                    node.text or ""
                    for node in ElementTree.fromstring(content).iter()
                    if node.tag.rpartition("}")[2] == "Code"
                ),
                "",
            )
        else:
            parsed = json.loads(content)
            code = (
                kinds.get("x-amzn-errortype") or parsed.get("__type") or parsed.get("code") or parsed.get("Type") or ""
            )
    except (ValueError, ElementTree.ParseError, AttributeError, cbor2.CBORDecodeError):
        code = ""
    return code.rsplit("#", 1)[-1].split(":", 1)[0] or f"HTTP {status}"


def _decode_target(headers: dict[str, str], body: bytes) -> bytes:
    """Request bodies with ``content-encoding`` are decompressed as the server itself will do."""
    inflated: bytes = app._decompress_request_body(body, headers)
    return inflated


def install(settings: Settings) -> None:
    """Wrap the one function that answers API calls."""
    dispatch: AnyFunction

    async def answer(
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, list[str]],
        request_id: str,
    ) -> Answer:
        arrived, started = time.time(), time.perf_counter()
        routing = app._routing_params(method, path, headers, body, query_params)
        detected = router.detect_service(method, path, headers, routing)
        content = body if detected == "s3" else _decode_target(headers, body)
        service, action = _action(detected, method, path, headers, content, routing)
        call = Call(
            service=service,
            action=action,
            principal=_principal(headers, query_params),
            request=_request(service, path, headers, content, query_params),
            headers=headers,
            caller=caller_of(headers),
            http=HttpRequest(detected, method, path, headers, query_params, routing, content),
        )

        async def proceed() -> Answer:
            answered: Answer = await dispatch(method, path, headers, body, query_params, request_id)
            return answered

        step: Proceed = proceed
        for interceptor in _interceptors:
            step = _chained(interceptor, call, step)
        status, answer_headers, answer_body = await step()
        # ministack's denials have none; moto's interpreter stumbles over an error answer without it.
        answer_headers.setdefault("x-amzn-requestid", request_id)
        journal.write(
            kind="call",
            time=arrived,
            service=service,
            action=action,
            principal=call.principal,
            invocation=call.caller.invocation if call.caller else None,
            request=call.request,
            error=_error_code(status, answer_headers, answer_body),
            millis=round((time.perf_counter() - started) * 1000, 1),
        )
        return status, answer_headers, answer_body

    dispatch = replace(
        app,
        "_dispatch_service_request",
        answer,
        expects=("method", "path", "headers", "body", "query_params", "request_id"),
    )


def _chained(interceptor: Interceptor, call: Call, following: Proceed) -> Proceed:
    async def step() -> Answer:
        return await interceptor(call, following)

    return step
