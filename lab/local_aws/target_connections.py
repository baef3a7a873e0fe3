"""Kept-alive connections from the load balancers to the targets."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from local_aws.http_messages import HEAD_LIMIT, Message, MessageError, read_response
from local_aws.targets import Key

CONNECT_TIMEOUT = 10.0
ANSWER_TIMEOUT = 60.0
MOST_IDLE = 64

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class TargetUnreachable(Exception):
    """No connection could be made; counts as TargetConnectionErrorCount."""


class TargetBroken(Exception):
    """The target took the connection but gave no proper answer."""


class TargetSilent(Exception):
    """The target did not answer in time."""


class TargetConnections:
    """A pool per target. Lives on the data plane's event loop."""

    def __init__(self) -> None:
        self._idle: dict[Key, list[Connection]] = defaultdict(list)

    async def exchange(self, key: Key, request: bytes, method: str) -> Message:
        """Send a request and read the answer.

        A kept connection that the target had closed meanwhile says nothing about the target, so the
        request is then sent once more on a new connection.
        """
        while (kept := self._take(key)) is not None:
            try:
                return await self._send(key, kept, request, method)
            except TargetBroken:
                continue
        try:
            opening = asyncio.open_connection(*key, limit=HEAD_LIMIT)
            connection = await asyncio.wait_for(opening, CONNECT_TIMEOUT)
        except (OSError, TimeoutError) as error:
            raise TargetUnreachable(str(error)) from error
        return await self._send(key, connection, request, method)

    def forget(self, keep: set[Key]) -> None:
        """Close what is kept for targets that are gone."""
        for key in [key for key in self._idle if key not in keep]:
            for _, writer in self._idle.pop(key):
                writer.close()

    def _take(self, key: Key) -> Connection | None:
        kept = self._idle[key]
        while kept:
            reader, writer = kept.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return None

    async def _send(self, key: Key, connection: Connection, request: bytes, method: str) -> Message:
        reader, writer = connection
        reusable = False
        try:
            writer.write(request)
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await writer.drain()
                message, reusable = await read_response(reader, method)
            return message
        except TimeoutError as error:
            raise TargetSilent(str(error)) from error
        except (OSError, MessageError, asyncio.IncompleteReadError) as error:
            raise TargetBroken(str(error)) from error
        finally:
            if reusable and len(self._idle[key]) < MOST_IDLE:
                self._idle[key].append(connection)
            else:
                writer.close()
