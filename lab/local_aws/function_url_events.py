"""What a function URL hands to its function, and what it makes of the function's answer. Pure.

Lambda Developer Guide, "Invoking Lambda function URLs". Where that page leaves a choice, what recorded events of
real URLs show is taken: ``authorization`` is not among the headers of a signed request while ``x-amz-date`` and
``x-amz-security-token`` are; the account of an open URL's request is ``anonymous``; an absent body, absent cookies
and an absent query have no key; ``pathParameters`` and ``stageVariables`` are left out.

Only ``text/*`` and the JSON, XML and JavaScript types reach the function as text (an AWS deck on function URLs of 2022,
and the HTTP APIs' format 2.0, which this is): everything else is base64, also a form.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from local_aws.request_signatures import Request

TEXT_TYPES = frozenset({"application/javascript", "application/json", "application/xml"})
# "6 MB"; the exact number is in Lambda's own message.
LARGEST_PAYLOAD = 6_291_556
STATUSES = range(100, 600)
NOT_HANDED_ON = frozenset({"authorization", "connection", "cookie", "keep-alive", "transfer-encoding"})
HEADERS_OF_THE_CONNECTION = frozenset({"connection", "content-length", "date", "keep-alive", "transfer-encoding"})


@dataclass(frozen=True)
class Place:
    """Where a function URL is."""

    url_id: str
    region: str
    account: str

    @property
    def domain(self) -> str:
        """Its name on AWS."""
        return f"{self.url_id}.lambda-url.{self.region}.on.aws"


@dataclass(frozen=True)
class Caller:
    """Who has signed a request."""

    access_key: str
    account: str
    organization: str | None
    arn: str
    user_id: str


@dataclass
class UrlAnswer:
    """An HTTP response."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @property
    def error_type(self) -> str | None:
        """The exception that Lambda itself answers with."""
        return next((value for name, value in self.headers if name == "x-amzn-ErrorType"), None)


def failure(status: int, error_type: str, document: Mapping[str, Any], **headers: str) -> UrlAnswer:
    """An answer of Lambda itself."""
    found = [("Content-Type", "application/json"), ("x-amzn-ErrorType", error_type)]
    return UrlAnswer(status, [*found, *headers.items()], json.dumps(document, separators=(",", ":")).encode())


# ---- the event -----------------------------------------------------------------------------------


def event_of(request: Request, place: Place, caller: Caller | None, request_id: str, source: str, port: int) -> Any:
    """The event, in payload format 2.0. ``caller`` is None for a URL that is open to everybody."""
    path, _, query = request.target.partition("?")
    now = time.time()
    headers = {name: value for name, value in request.headers.items() if name not in NOT_HANDED_ON}
    if caller is None and "authorization" in request.headers:
        headers["authorization"] = request.headers["authorization"]
    headers |= {
        "x-amzn-trace-id": f"Root=1-{int(now):08x}-{time.monotonic_ns():024x}",
        "x-forwarded-for": source,
        "x-forwarded-port": str(port),
        "x-forwarded-proto": "http",
    }
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": place.account if caller is not None else "anonymous",
            "apiId": place.url_id,
            "authentication": None,
            "authorizer": {"iam": _identity(caller)} if caller is not None else None,
            "domainName": place.domain,
            "domainPrefix": place.url_id,
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": source,
                "userAgent": request.headers.get("user-agent", ""),
            },
            "requestId": request_id,
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies := [part.strip() for part in request.headers.get("cookie", "").split(";") if part.strip()]:
        event["cookies"] = cookies
    if parameters := _parameters(query):
        event["queryStringParameters"] = parameters
    if request.body:
        event["body"], event["isBase64Encoded"] = _body(request)
    return event


def _identity(caller: Caller) -> dict[str, Any]:
    return {
        "accessKey": caller.access_key,
        "accountId": caller.account,
        "callerId": caller.user_id,
        "cognitoIdentity": None,
        "principalOrgId": caller.organization,
        "userArn": caller.arn,
        "userId": caller.user_id,
    }


def _parameters(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _body(request: Request) -> tuple[str, bool]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("text/") or kind in TEXT_TYPES:
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(request.body).decode(), True


# ---- the answer ----------------------------------------------------------------------------------


class Unusable(ValueError):
    """What a function answered is no response."""


def answer_of(payload: Any) -> UrlAnswer:
    """The response that the JSON of a function's answer is."""
    if len(_compact(payload)) > LARGEST_PAYLOAD:
        raise Unusable("Response payload size exceeded maximum allowed payload size (6291556 bytes).")
    if not isinstance(payload, dict) or "statusCode" not in payload:
        return UrlAnswer(200, [("Content-Type", "application/json")], _compact(payload))
    return UrlAnswer(_status(payload["statusCode"]), _headers(payload), _response_body(payload))


def _compact(payload: Any) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _status(given: Any) -> int:
    try:
        status = int(given)
    except (TypeError, ValueError) as error:
        raise Unusable(f"statusCode is {given!r}") from error
    if status not in STATUSES:
        raise Unusable(f"statusCode is {status}")
    return status


def _headers(payload: Mapping[str, Any]) -> list[tuple[str, str]]:
    given, cookies = payload.get("headers") or {}, payload.get("cookies") or []
    if not isinstance(given, dict) or not isinstance(cookies, list):
        raise Unusable("headers is no object, or cookies no list")
    headers = [(name, str(value)) for name, value in given.items() if name.lower() not in HEADERS_OF_THE_CONNECTION]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    headers += [("Set-Cookie", str(cookie)) for cookie in cookies]
    if any("\r" in value or "\n" in value for _, value in headers):
        raise Unusable("a header has a line break")
    return headers


def _response_body(payload: Mapping[str, Any]) -> bytes:
    body = payload.get("body")
    if body is None:
        return b""
    text = body if isinstance(body, str) else _compact(body).decode()
    if not payload.get("isBase64Encoded"):
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Unusable("body is no base64") from error
