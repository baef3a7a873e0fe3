"""Just enough HTTP/1.1 for the data plane: read and write messages on asyncio streams."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

HEAD_LIMIT = 64 * 1024
NO_BODY_STATUSES = frozenset({204, 304})
HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "te", "upgrade"})
REASONS = {
    200: "OK",
    301: "Moved Permanently",
    302: "Found",
    400: "Bad Request",
    404: "Not Found",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}


class MessageError(Exception):
    """The peer did not send a well-formed HTTP/1.1 message."""


@dataclass
class Message:
    """A request or response: first line split in three, headers in order, whole body.

    The body is as received: chunks keep their framing, so that it can be passed on unchanged.
    """

    first: tuple[str, str, str]
    headers: list[tuple[str, str]]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first header of this name (given in lower case)."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None

    @property
    def content(self) -> bytes:
        """The body without the framing of its chunks."""
        if "chunked" not in (self.header("transfer-encoding") or "").lower():
            return self.body
        rest = self.body
        parts: list[bytes] = []
        while True:
            line, _, rest = rest.partition(b"\r\n")
            size = int(line.split(b";")[0], 16)
            if size == 0:
                return b"".join(parts)
            parts.append(rest[:size])
            rest = rest[size + 2 :]

    @property
    def keeps_alive(self) -> bool:
        """Whether the sender keeps the connection open after this message."""
        connection = (self.header("connection") or "").lower()
        version = self.first[0] if self.first[0].startswith("HTTP/") else self.first[2]
        return "close" not in connection if version == "HTTP/1.1" else "keep-alive" in connection


async def read_request(reader: asyncio.StreamReader) -> Message | None:
    """Read one request; None at the end of the connection."""
    message = await _read_head(reader)
    if message is None:
        return None
    message.body = await _read_framed_body(reader, message)
    return message


async def read_response(reader: asyncio.StreamReader, method: str) -> tuple[Message, bool]:
    """Read one response; the flag says whether the connection can be used again."""
    message = await _read_head(reader)
    if message is None:
        raise MessageError("the target closed the connection without an answer")
    status = status_of(message)
    if method == "HEAD" or status in NO_BODY_STATUSES:
        return message, message.keeps_alive
    if message.header("content-length") is None and "chunked" not in (message.header("transfer-encoding") or ""):
        message.body = await reader.read(-1)
        message.headers.append(("Content-Length", str(len(message.body))))
        return message, False
    message.body = await _read_framed_body(reader, message)
    return message, message.keeps_alive


def status_of(response: Message) -> int:
    """The status code of a response."""
    try:
        return int(response.first[1])
    except ValueError as error:
        raise MessageError(f"not a status code: {response.first[1]!r}") from error


def encode(message: Message, extra: list[tuple[str, str]], close: bool) -> bytes:
    """Write a message with further headers and without the hop-by-hop ones."""
    lines = [" ".join(message.first)]
    lines += [f"{name}: {value}" for name, value in message.headers if name.lower() not in HOP_BY_HOP]
    lines += [f"{name}: {value}" for name, value in extra]
    lines.append("Connection: close" if close else "Connection: keep-alive")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + message.body


def response(status: int, headers: list[tuple[str, str]], body: bytes) -> Message:
    """Build a response of the load balancer itself."""
    first = ("HTTP/1.1", str(status), REASONS.get(status, "Status"))
    return Message(first, [("Server", "awselb/2.0"), *headers, ("Content-Length", str(len(body)))], body)


async def _read_head(reader: asyncio.StreamReader) -> Message | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise MessageError("the connection ended within a head") from error
        return None
    except asyncio.LimitOverrunError as error:
        raise MessageError("the head is too large") from error
    lines = head[:-4].decode("latin-1").split("\r\n")
    parts = lines[0].split(" ", 2)
    if len(parts) == 2:
        parts.append("")
    if len(parts) != 3:
        raise MessageError(f"not a first line: {lines[0]!r}")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise MessageError(f"not a header: {line!r}")
        headers.append((name, value.strip()))
    return Message((parts[0], parts[1], parts[2]), headers)


async def _read_framed_body(reader: asyncio.StreamReader, message: Message) -> bytes:
    length = message.header("content-length")
    try:
        if "chunked" in (message.header("transfer-encoding") or "").lower():
            return await _read_chunks(reader)
        return await reader.readexactly(int(length)) if length else b""
    except (ValueError, asyncio.IncompleteReadError) as error:
        raise MessageError("the body is incomplete or badly framed") from error


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    raw = bytearray()
    while True:
        line = await reader.readuntil(b"\r\n")
        raw += line
        size = int(line.split(b";")[0], 16)
        raw += await reader.readexactly(size + 2) if size else b""
        if size == 0:
            while (trailer := await reader.readuntil(b"\r\n")) != b"\r\n":
                raw += trailer
            raw += b"\r\n"
            return bytes(raw)
