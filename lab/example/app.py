"""The example service: what a container of the lab runs. Standard library only.

It listens on ``BIND_IP``:``PORT`` (8080) and answers ``/health`` and every other path. Its answers say
which version (``IMAGE_TAG``) and slot (``SLOT``) they come from. How a version behaves is read from the
JSON file named by ``BEHAVIOURS``, again whenever the file changes::

    {"v2": {"errorRate": 0.3, "clientErrorRate": 0.0, "latencyMilliseconds": 20,
            "startupFailure": false, "healthy": true, "healthyTasks": 2}}

A version that the file does not name, and every member that is absent, is well-behaved. Errors are
spaced evenly and not drawn at random: a rate of 0.3 is three of ten requests. With ``healthyTasks`` only
so many of the version's tasks are healthy at once: the first ones that take a place, which is theirs until
they end.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sys
from dataclasses import dataclass

REREAD_SECONDS = 0.1
HEAD_LIMIT = 64 * 1024
Answer = tuple[int, str]


@dataclass(frozen=True)
class Behaviour:
    """How one version behaves."""

    error_rate: float = 0.0
    client_error_rate: float = 0.0
    latency_seconds: float = 0.0
    startup_failure: bool = False
    healthy: bool = True
    healthy_tasks: int | None = None


class Place:
    """One of the places for healthy tasks of a version: a lock on a file beside the behaviours."""

    def __init__(self, path: str, version: str) -> None:
        self._path = path
        self._version = version
        self._held: int | None = None

    def taken(self, places: int) -> bool:
        """Whether this task has one of so many places, or could take one just now."""
        for number in range(places if self._held is None else 0):
            file = os.open(f"{self._path}.{self._version}.{number}.place", os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                continue
            # Never closed: the lock goes with the process.
            self._held = file
            break
        return self._held is not None


class Behaviours:
    """The behaviour of this version, kept up to date with the file."""

    def __init__(self, path: str | None, version: str) -> None:
        self._path = path
        self._version = version
        self._stamp: tuple[int, int] | None = None
        self._place = Place(path, version) if path is not None else None
        self.current = Behaviour()
        self.refresh()

    def healthy(self) -> bool:
        """Whether health checks succeed now."""
        places = self.current.healthy_tasks
        if places is None or self._place is None:
            return self.current.healthy
        return self.current.healthy and self._place.taken(places)

    def refresh(self) -> None:
        """Read the file again if it changed. A file being written keeps the last behaviour."""
        if self._path is None:
            return
        try:
            status = os.stat(self._path)
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return
            with open(self._path, encoding="utf-8") as file:
                chosen = json.load(file).get(self._version, {})
        except FileNotFoundError:
            self._stamp, self.current = None, Behaviour()
            return
        except ValueError as error:
            print(f"cannot read {self._path}: {error}", file=sys.stderr, flush=True)
            return
        self._stamp = stamp
        self.current = Behaviour(
            error_rate=float(chosen.get("errorRate", 0)),
            client_error_rate=float(chosen.get("clientErrorRate", 0)),
            latency_seconds=float(chosen.get("latencyMilliseconds", 0)) / 1000,
            startup_failure=bool(chosen.get("startupFailure", False)),
            healthy=bool(chosen.get("healthy", True)),
            healthy_tasks=int(chosen["healthyTasks"]) if "healthyTasks" in chosen else None,
        )


class EvenSpacing:
    """Picks a share of the requests, as evenly spaced as possible."""

    def __init__(self) -> None:
        self._owed = 0.0

    def add(self, share: float) -> None:
        """Count one more request."""
        self._owed = self._owed + share if share > 0 else 0.0

    def take(self) -> bool:
        """Whether one of the picked ones is due; it is then counted as done."""
        # Rates such as 0.1 are not exact in binary; ten of them must still make one.
        if self._owed < 1 - 1e-9:
            return False
        self._owed -= 1
        return True


class Service:
    """Answers requests as the behaviour says."""

    def __init__(self, version: str, slot: str, behaviours: Behaviours) -> None:
        self._version = version
        self._slot = slot
        self._behaviours = behaviours
        self._errors = EvenSpacing()
        self._client_errors = EvenSpacing()

    async def answer(self, path: str) -> Answer:
        """The status and body of one request."""
        behaviour = self._behaviours.current
        if path == "/health":
            return (200, "healthy\n") if self._behaviours.healthy() else (503, "unhealthy\n")
        if behaviour.latency_seconds > 0:
            await asyncio.sleep(behaviour.latency_seconds)
        self._errors.add(behaviour.error_rate)
        self._client_errors.add(behaviour.client_error_rate)
        status = 500 if self._errors.take() else 404 if self._client_errors.take() else 200
        slot = f" slot={self._slot}" if self._slot else ""
        return status, f"version={self._version}{slot}\n"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection with keep-alive."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                method, path, _ = head.split(" ", 2)
                await _skip_body(reader, head)
                status, body = await self.answer(path.partition("?")[0])
                close = "\r\nconnection: close" in head
                content = b"" if method == "head" else body.encode()
                writer.write(
                    f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: text/plain\r\n"
                    f"Content-Length: {len(body)}\r\n{'Connection: close' if close else 'Connection: keep-alive'}"
                    "\r\n\r\n".encode() + content
                )
                await writer.drain()
                if close:
                    return
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            return
        finally:
            writer.close()


REASONS = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}


async def _skip_body(reader: asyncio.StreamReader, head: str) -> None:
    for line in head.split("\r\n"):
        if line.startswith("content-length:"):
            await reader.readexactly(int(line.partition(":")[2]))


async def _keep_fresh(behaviours: Behaviours) -> None:
    while True:
        await asyncio.sleep(REREAD_SECONDS)
        behaviours.refresh()


async def main() -> int:
    """Serve until the process is stopped; 1 if this version is meant to fail at the start."""
    version = os.environ.get("IMAGE_TAG", "latest")
    behaviours = Behaviours(os.environ.get("BEHAVIOURS"), version)
    if behaviours.current.startup_failure:
        print(f"{version} cannot start", file=sys.stderr, flush=True)
        return 1
    service = Service(version, os.environ.get("SLOT", ""), behaviours)
    address, port = os.environ.get("BIND_IP", "127.0.0.1"), int(os.environ.get("PORT", "8080"))
    server = await asyncio.start_server(service.serve, address, port, limit=HEAD_LIMIT, backlog=512)
    print(f"{version} listens on {address}:{port}", flush=True)
    refreshing = asyncio.create_task(_keep_fresh(behaviours))
    async with server:
        await refreshing
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
