"""What tests of several services share: starting a server, clients for it, waiting for conditions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

PACKAGE_PARENT = Path(__file__).resolve().parents[2]
REGION = "eu-west-1"
ACCOUNT = "111122223333"
# Nothing here measures how long something takes: on a busy machine everything takes long.
PATIENCE_SECONDS = 300
Value = TypeVar("Value")


_session = boto3.session.Session()
_session_lock = threading.Lock()

TEST_IMAGES: dict[str, list[str]] = {"demo": [sys.executable, str(Path(__file__).parent / "demo_app.py")]}
"""Image repository to command, for tests that start ECS tasks."""


@dataclass(frozen=True)
class Lab:
    """A running server and how to talk to it."""

    endpoint: str
    addresses: str
    data_directory: Path
    journal: Path
    process: subprocess.Popen[str]

    def client(self, service: str, **credentials: str) -> Any:
        """A boto3 client; as root unless credentials are given. Never retries on its own."""
        keys = credentials or {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        config = Config(
            retries={"total_max_attempts": 1},
            inject_host_prefix=False,
            max_pool_connections=50,
            read_timeout=PATIENCE_SECONDS,
        )
        with _session_lock:  # creating clients from one session at once is not safe, but a session each is slow
            return _session.client(service, region_name=REGION, endpoint_url=self.endpoint, config=config, **keys)

    def journal_lines(self, **wanted: Any) -> list[dict[str, Any]]:
        """All journal lines whose fields have the wanted values."""
        lines = (json.loads(line) for line in self.journal.read_text().splitlines())
        return [line for line in lines if all(line.get(key) == value for key, value in wanted.items())]


def start_lab(data_directory: Path, *arguments: str) -> Lab:
    """Start a server as the lab's runner does, and wait for its announcement."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "local_aws",
            "--data-dir",
            str(data_directory),
            "--region",
            REGION,
            "--account",
            ACCOUNT,
            *arguments,
        ],
        env={**os.environ, "PYTHONPATH": str(PACKAGE_PARENT), "LEAKED_FROM_HOST": "yes"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the server ended with {process.wait()}; see {data_directory}/server.log"
    announced = json.loads(line)
    return Lab(announced["endpoint"], announced["addresses"], data_directory, data_directory / "journal.jsonl", process)


def wait_for(condition: Callable[[], Value | None], *, seconds: float = PATIENCE_SECONDS, what: str = "the condition") -> Value:
    """The first true value of ``condition``, asked every 20 ms; fails the test when it never comes."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s (last: {value!r})")
        time.sleep(0.02)
