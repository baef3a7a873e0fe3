"""Clients that call the lab's own API as a role: how a service acts for somebody on AWS.

ministack's services call each other within the process with nobody's identity, so that a missing
permission would show on AWS only.
"""

from __future__ import annotations

import hashlib
import threading
import time
from typing import Any

import boto3
from botocore.config import Config
from ministack.services import sts

from local_aws.replacing import replace
from local_aws.settings import Settings

LONGEST_CALL_SECONDS = 960

_lock = threading.Lock()
_clients: dict[tuple[str, str, str], Any] = {}


def _credentials(role: str) -> dict[str, str]:
    """A session of the role, the same every time; it is registered again because a reset forgets it."""
    account, name = role.split(":")[4], role.rsplit("/", 1)[-1]
    digest = hashlib.sha256(f"a service acting as {role}".encode()).hexdigest()
    key, secret, token = f"ASIA{digest[:16].upper()}", digest[16:56], hashlib.sha256(digest.encode()).hexdigest()
    session = {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/service",
        "UserId": f"{name}:service",
        "SecretAccessKey": secret,
        "SessionToken": token,
    }
    sts.register_session(key, session)
    return {"aws_access_key_id": key, "aws_secret_access_key": secret, "aws_session_token": token}


def client_as(role: str, endpoint: str, region: str, service: str) -> Any:
    """A client of the service (botocore's name) with the role's permissions, which are looked up per call."""
    keys = _credentials(role)
    with _lock:
        client = _clients.get((role, region, service))
        if client is None:
            config = Config(
                parameter_validation=False,
                retries={"total_max_attempts": 1},
                read_timeout=LONGEST_CALL_SECONDS,
                max_pool_connections=100,
                inject_host_prefix=False,
            )
            session = boto3.session.Session()
            client = session.client(service, region_name=region, endpoint_url=endpoint, config=config, **keys)
            _clients[role, region, service] = client
    return client


def _evict_expired_sessions() -> None:
    """ministack goes over its sessions while other threads add theirs, which fails now and then."""
    now = time.time()
    for key, session in list(sts._sessions.items()):
        expiration = session.get("Expiration")
        if isinstance(expiration, (int, float)) and now > expiration:
            sts._sessions.pop(key, None)


def install(settings: Settings) -> None:
    """Let many threads take sessions at once."""
    replace(sts, "_evict_expired_sessions", _evict_expired_sessions, expects=())
