"""A Lambda function on the Runtime API that does what its event says; its zip holds it as ``bootstrap``.

``do`` is one of: echo (answers the event), sleep (``seconds``), hold (writes its process id to the file ``begun`` and goes on once
there is the file ``end``), error (``type``, ``message``), exit
(``code``), environment (answers its variables), call (``service``, ``operation``, ``parameters`` of an
AWS API call; answers ``{"ok": ...}`` or ``{"error": code}``), process (answers its process id), answer (answers
``answer``).

A request by a function URL with such an object for its body is done in the same way.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

RUNTIME = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime"


class ProbeError(Exception):
    """The error the event asked for."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def _asked_by_url(event: Any) -> Any:
    if isinstance(event, dict) and "requestContext" in event and not event.get("isBase64Encoded"):
        try:
            body = json.loads(event.get("body", ""))
        except ValueError:
            return event
        if isinstance(body, dict) and "do" in body:
            return body
    return event


def _call(event: dict[str, Any]) -> dict[str, Any]:
    import boto3
    from botocore.exceptions import ClientError

    client = boto3.client(event["service"], endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    try:
        answer = getattr(client, event["operation"])(**event.get("parameters", {}))
    except ClientError as error:
        return {"error": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
    answer.pop("ResponseMetadata", None)
    return {"ok": json.loads(json.dumps(answer, default=str))}


def handle(event: Any) -> Any:
    """Do what the event says."""
    event = _asked_by_url(event)
    what = event.get("do") if isinstance(event, dict) else None
    if what == "sleep":
        time.sleep(event["seconds"])
    elif what == "hold":
        Path(event["begun"]).write_text(str(os.getpid()))
        while not Path(event["end"]).exists():
            time.sleep(0.02)
    elif what == "error":
        raise ProbeError(event["type"], event.get("message", "as asked"))
    elif what == "exit":
        print("leaving", flush=True)
        sys.exit(event["code"])
    elif what == "environment":
        return dict(os.environ)
    elif what == "process":
        return os.getpid()
    elif what == "call":
        return _call(event)
    elif what == "answer":
        return event["answer"]
    return event


def _post(path: str, content: Any) -> None:
    request = urllib.request.Request(RUNTIME + path, data=json.dumps(content).encode(), method="POST")
    urllib.request.urlopen(request).close()


def main() -> None:
    """Serve invocations for as long as the process lives."""
    while True:
        with urllib.request.urlopen(RUNTIME + "/invocation/next") as invocation:
            request_id = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
            event = json.load(invocation)
        try:
            answer = handle(event)
        except ProbeError as error:
            _post(f"/invocation/{request_id}/error", {"errorType": error.kind, "errorMessage": str(error)})
        else:
            _post(f"/invocation/{request_id}/response", answer)


if __name__ == "__main__":
    main()
