"""Loopback addresses out of the lab's block: function URLs at its top, load balancers and ECS tasks below."""

from __future__ import annotations

import threading
from ipaddress import IPv4Network

from local_aws.settings import Settings

FIRST_TASK = 1 << 8
FIRST_LOAD_BALANCER = 254 << 8
FIRST_FUNCTION_URL = 255 << 8
END = (256 << 8) - 1


class AddressPool:
    """Hands out addresses round-robin and never one that is still leased.

    An address that was just released comes back only after all others had their turn. Otherwise a
    connection that a client or a health check still holds could reach a different task.
    """

    def __init__(self, block: IPv4Network, first: int, end: int) -> None:
        self._addresses = [str(block[offset]) for offset in range(first, end) if offset & 0xFF]
        self._next = 0
        self._leased: set[str] = set()
        self._lock = threading.Lock()

    def lease(self) -> str:
        """Take an address that nobody holds."""
        with self._lock:
            for _ in self._addresses:
                address = self._addresses[self._next]
                self._next = (self._next + 1) % len(self._addresses)
                if address not in self._leased:
                    self._leased.add(address)
                    return address
        raise RuntimeError("every loopback address of this lab is in use")

    def release(self, address: str) -> None:
        """Give an address back."""
        with self._lock:
            self._leased.discard(address)


def task_addresses(settings: Settings) -> AddressPool:
    """The pool for ECS tasks."""
    return AddressPool(settings.addresses, FIRST_TASK, FIRST_LOAD_BALANCER)


def load_balancer_addresses(settings: Settings) -> AddressPool:
    """The pool for load balancers."""
    return AddressPool(settings.addresses, FIRST_LOAD_BALANCER, FIRST_FUNCTION_URL)


def function_url_addresses(settings: Settings) -> AddressPool:
    """The pool for function URLs."""
    return AddressPool(settings.addresses, FIRST_FUNCTION_URL, END)
