"""Which process of a function makes a call, and for which of its invocations.

All processes of a function share one role, so its name does not tell them apart. Every environment
therefore gets credentials of its own (of the same role session): the access key of a call then names the
process, and as a process works on one invocation at a time, the invocation.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import Any

from ministack.core import lambda_runtime
from ministack.core.router import extract_access_key_id
from ministack.services import lambda_svc, sts

from local_aws.replacing import AnyFunction, replace
from local_aws.settings import Settings

_lock = threading.Lock()
_port_of_key: dict[str, int] = {}


@dataclass(frozen=True)
class Caller:
    """A process of a function that makes a call."""

    worker: Any
    """ministack's ProvidedWorker."""

    invocation: str | None
    """Request id of the invocation it works on; None while it initialises or lingers afterwards."""

    def kill(self) -> None:
        """End the process at once, as AWS does when it runs out of memory."""
        process = self.worker._proc
        if process is not None:
            process.kill()


def caller_of(headers: dict[str, str]) -> Caller | None:
    """The process that sent a request with these headers; None if no function did."""
    key = extract_access_key_id(headers, {})
    with _lock:
        port = _port_of_key.get(key or "")
    if port is None:
        return None
    with lambda_runtime._lock:
        workers = [worker for pool in lambda_runtime._workers.values() for worker in pool]
    for worker in workers:
        server = getattr(worker, "_server", None)
        if server is not None and server.server_address[1] == port:
            return Caller(worker, worker._current_request_id)
    return None


def _credentials(config: dict[str, Any], port: int) -> dict[str, str]:
    """A session like that of the function's other processes, under an access key that is this one's."""
    shared: dict[str, str] = lambda_runtime.execution_credentials(config)
    session = sts._sessions.get(shared["AWS_ACCESS_KEY_ID"])
    if session is None:
        return shared
    digest = hashlib.sha256(f"{shared['AWS_ACCESS_KEY_ID']}:{port}".encode()).hexdigest()
    key = f"ASIA{digest[:16].upper()}"
    sts.register_session(key, dict(session))
    with _lock:
        _port_of_key[key] = port
    return {**shared, "AWS_ACCESS_KEY_ID": key}


def install(settings: Settings) -> None:
    """Give every environment its own access key. After ``lambda_functions``, whose replacement it extends."""
    original: AnyFunction

    def worker_environment(config: dict[str, Any], code_dir: str, port: int) -> dict[str, str]:
        complete: dict[str, str] = original(config, code_dir, port)
        return {**complete, **_credentials(config, port)}

    original = replace(lambda_svc, "_provided_worker_env", worker_environment, expects=("config", "code_dir", "port"))
