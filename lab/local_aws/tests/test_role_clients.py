"""Sessions of roles: many threads take one at the same moment, as executions do that wake together."""

from __future__ import annotations

import sys
import threading

from ministack.services import sts

from local_aws.role_clients import _evict_expired_sessions

THREADS = 8
ROUNDS = 3_000


def test_sessions_are_added_while_others_are_evicted() -> None:
    failures: list[BaseException] = []

    def hammer(thread: int) -> None:
        try:
            for number in range(ROUNDS):
                sts._sessions[f"{thread}-{number}"] = {"Expiration": 0}
                _evict_expired_sessions()
        except RuntimeError as error:
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=hammer, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert failures == []
    assert sts._sessions == {}
