"""The request throttling of the ELBv2 API: token buckets per account and region."""

from __future__ import annotations

import threading
import time

from local_aws.aws_protocol import ServiceError


class TokenBucket:
    """A bucket of ``burst`` tokens that refills with ``per_second`` tokens each second."""

    def __init__(self, burst: float, per_second: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._tokens = burst
        self._updated = time.monotonic()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Take one token or refuse the request as AWS does."""
        with self._lock:
            now = time.monotonic()
            refilled = self._tokens + (now - self._updated) * self._per_second
            self._tokens = min(self._burst, refilled)
            self._updated = now
            if self._tokens < 1:
                raise ServiceError("ThrottlingException", "Rate exceeded")
            self._tokens -= 1
