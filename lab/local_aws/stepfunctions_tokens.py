"""Task tokens: who waits for which, and each answered at most once.

moto makes one token per state, keeps it over the retries of the state and lets it be answered again and
again, so that a retry would end at once with the previous attempt's answer. On AWS every attempt of a
task has a token of its own, and an answer after the first, or after the attempt ended, is TaskTimedOut.
"""

from __future__ import annotations

import base64
import secrets
import threading
from typing import Any

from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackEndpoint, CallbackOutcome

PREFIX = "AQCLAB"
RANDOM_BYTES = 481

_lock = threading.Lock()
_waiting: dict[str, CallbackEndpoint] = {}
_issued: set[str] = set()


class UnknownTokenError(Exception):
    """No task ever had this token."""


class EndedTokenError(Exception):
    """The attempt that had this token has been answered, has failed, timed out or was stopped."""


def issue(environment: Any) -> str:
    """Make a token for one attempt of a task and put it into the context object.

    As long as AWS's, and with the characters that must be escaped in a URL.
    """
    token = PREFIX + base64.b64encode(secrets.token_bytes(RANDOM_BYTES)).decode()
    environment.states.context_object.context_object_data["Task"] = {"Token": token}
    endpoint = environment.callback_pool_manager.add(token)
    with _lock:
        _issued.add(token)
        _waiting[token] = endpoint
    return token


def withdraw(token: str) -> None:
    """The attempt has ended: nobody waits for the token any longer."""
    with _lock:
        _waiting.pop(token, None)


def _refuse(token: str) -> Exception:
    return EndedTokenError() if token in _issued else UnknownTokenError()


def answer(token: str, outcome: CallbackOutcome) -> None:
    """Hand the outcome to the waiting task; only the first answer counts."""
    with _lock:
        endpoint = _waiting.pop(token, None)
        if endpoint is None:
            raise _refuse(token)
    endpoint.notify(outcome)


def heartbeat(token: str) -> None:
    """Tell the waiting task that its worker is alive."""
    with _lock:
        endpoint = _waiting.get(token)
        if endpoint is None:
            raise _refuse(token)
    endpoint.notify_heartbeat()
