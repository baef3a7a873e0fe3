"""What an ECS task of the tests runs: answers with its image tag; the tag decides how it behaves.

``bad`` fails every fourth request, ``crash`` exits at once, ``late`` exits once it is RUNNING, ``once``
exits at once the first time and leaves the file MARK, ``slow`` needs three seconds to start, and
``slow-crash`` exits after a second of them. It listens on the address it is given. What asks for
``/held`` gets its answer once the file MARK is there; until then the file MARK.asked says that it waits.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TAG = os.environ.get("IMAGE_TAG", "latest")
_requests = itertools.count(1)


class Handler(BaseHTTPRequestHandler):
    """Answers every GET; ``/health`` is always healthy."""

    def do_GET(self) -> None:  # noqa: N802 (the name is the standard library's)
        if self.path == "/held":
            mark = Path(os.environ["MARK"])
            Path(f"{mark}.asked").touch()
            while not mark.exists():
                time.sleep(0.05)
        failing = TAG == "bad" and self.path != "/health" and next(_requests) % 4 == 0
        body = TAG.encode()
        self.send_response(500 if failing else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """No access log."""


if __name__ == "__main__":
    if TAG == "crash":
        sys.exit(1)
    if TAG == "once" and not Path(os.environ["MARK"]).exists():
        Path(os.environ["MARK"]).touch()
        sys.exit(1)
    if TAG.startswith("slow"):
        time.sleep(1)
        if TAG == "slow-crash":
            sys.exit(1)
        time.sleep(2)
    server = ThreadingHTTPServer((os.environ["BIND_IP"], int(os.environ.get("PORT", "8080"))), Handler)
    if TAG == "late":
        time.sleep(1)
        sys.exit(1)
    server.serve_forever()
