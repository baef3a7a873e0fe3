"""The journal: one JSON line for everything that happened in the lab, in order, like CloudTrail.

Every line has ``time`` (epoch seconds), ``kind`` and the fields of its kind. ``calls`` writes the API
calls::

    {"time": 1763706000.123, "kind": "call", "service": "elasticloadbalancing", "action": "ModifyRule",
     "principal": "rollback-role", "invocation": "b1c4...", "request": {...}, "error": null, "millis": 4.1}

``time`` of a call is when it arrived; the line is written when it is answered. ``service`` is the IAM
prefix, ``action`` the API action, ``principal`` the name of the role or user, or ``root``; ``invocation``
is the request id of the invocation that a function called for, null for all others and while a function
initialises; ``error`` is the error code of the answer. Other modules add lines of other kinds with
``write``: Step Functions ``state`` and ``execution``, faults that struck, ECS task starts and stops,
alarm transitions, scaling activities, weights, request counts, and calls and answers that break their service's model
(``contracts``).

Values that are secrets are replaced by ``REDACTED`` before anything is written, whoever wrote them.
"""

from __future__ import annotations

import json
import re
import threading
import time as clock
from collections.abc import Mapping
from typing import IO, Any

from local_aws.settings import Settings

REDACTED = "<redacted>"
SECRET_ENDINGS = ("token", "secret", "password", "secretstring", "secretbinary", "secretaccesskey", "authorization")
HARMLESS_FIELDS = frozenset({"nexttoken", "clienttoken", "clientrequesttoken"})
# Task tokens of this lab are recognisable (``stepfunctions_tokens``), so that none gets through inside a text.
TASK_TOKEN = re.compile(r"AQCLAB[A-Za-z0-9+/=]+")
LONGEST_TEXT = 4096

_lock = threading.Lock()
_file: IO[str] | None = None


def install(settings: Settings) -> None:
    """Open the journal file. It is appended to: a lab that is started again continues it."""
    global _file
    settings.journal.parent.mkdir(parents=True, exist_ok=True)
    _file = settings.journal.open("a", encoding="utf-8")


def _is_secret(field: str) -> bool:
    name = field.lower()
    return name.endswith(SECRET_ENDINGS) and name not in HARMLESS_FIELDS


def redact(value: Any) -> Any:
    """A copy of ``value`` that can be written as JSON, without secrets and with long texts cut."""
    if isinstance(value, Mapping):
        return {str(key): REDACTED if part and _is_secret(str(key)) else redact(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(part) for part in value]
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{value[:LONGEST_TEXT]}... ({len(value)} characters)"
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    return str(value)


def write(*, kind: str, time: float | None = None, **fields: Any) -> None:
    """Append one line and flush it, from any thread. ``time`` defaults to now.

    Field names are the caller's; their values must be JSON-like. Secrets are redacted by field name
    (``SECRET_ENDINGS``, at any depth), task tokens wherever they are.
    """
    line = json.dumps(
        {"time": clock.time() if time is None else time, "kind": kind, **redact(fields)}, ensure_ascii=False
    )
    line = TASK_TOKEN.sub(REDACTED, line)
    with _lock:
        if _file is None:
            raise RuntimeError("journal.write before journal.install")
        _file.write(line + "\n")
        _file.flush()
