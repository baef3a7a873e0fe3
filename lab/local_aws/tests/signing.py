"""Requests to function URLs, signed as botocore signs."""

from __future__ import annotations

import datetime
import http.client
import json
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local_aws.tests.support import REGION, Lab

ROOT = Credentials("test", "test")


@dataclass(frozen=True)
class HttpAnswer:
    """What a client sees."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def refusal(self) -> tuple[int, str | None]:
        """The status and the exception that Lambda itself answers with."""
        return self.status, self.header("x-amzn-ErrorType")


def session_of(lab: Lab, role: str, name: str = "alice", **options: Any) -> Credentials:
    """The keys of a session of the role."""
    keys = lab.client("sts").assume_role(RoleArn=role, RoleSessionName=name, **options)["Credentials"]
    return Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


def send(url: str, method: str, body: bytes | None, headers: dict[str, str]) -> HttpAnswer:
    """A request as it is."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=300)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body=body, headers=headers)
        answer = connection.getresponse()
        return HttpAnswer(answer.status, answer.getheaders(), answer.read())
    finally:
        connection.close()


def signed_headers(
    url: str,
    credentials: Credentials,
    method: str = "POST",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    *,
    service: str = "lambda",
    region: str = REGION,
    ahead: float = 0.0,
) -> dict[str, str]:
    """The headers of a request that these credentials have signed, so many seconds ahead of now."""
    request = AWSRequest(method, url, headers={"Content-Type": "application/json", **(headers or {})}, data=body)
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=ahead)
    with patch("botocore.auth.get_current_datetime", lambda: now):
        SigV4Auth(credentials, service, region).add_auth(request)
    return dict(request.headers.items())


def call(
    url: str,
    credentials: Credentials | None,
    content: Any = None,
    method: str = "POST",
    headers: dict[str, str] | None = None,
) -> HttpAnswer:
    """A request with this JSON, signed if there are credentials."""
    body = b"" if content is None else json.dumps(content).encode()
    if credentials is None:
        return send(url, method, body, {"Content-Type": "application/json", **(headers or {})})
    return send(url, method, body, signed_headers(url, credentials, method, body, headers))
