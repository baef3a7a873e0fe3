"""Functions that get other code or settings while they run, as on AWS.

ministack ends every environment of a function at once, so that an invocation under way dies of the update,
and an invocation that began right before it leaves an environment of the old code behind, for all that come
after. On AWS what has begun ends as it began, beside the first invocations of the new code: an older function
and a newer one that write at the same time are what an update of a stack has to survive.
"""

from __future__ import annotations

import threading
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from local_aws.replacing import AnyFunction, replace
from local_aws.settings import Settings

_thread = threading.local()


def _install_update(name: str) -> None:
    original: AnyFunction

    def update(name: str, data: dict[str, Any]) -> Any:
        _thread.updates = True
        try:
            return original(name, data)
        finally:
            _thread.updates = False

    original = replace(lambda_svc, name, update, expects=("name", "data"))


def _install_invalidation() -> None:
    original: AnyFunction

    def invalidate(
        func_name: str, qualifier: str | None = None, account: str | None = None, region: str | None = None
    ) -> None:
        """An update ends nothing: no invocation is given to an environment of what was before."""
        if not getattr(_thread, "updates", False):
            original(func_name, qualifier=qualifier, account=account, region=region)

    expects = ("func_name", "qualifier", "account", "region")
    original = replace(lambda_svc, "invalidate_worker", invalidate, expects=expects)


def _install_lease() -> None:
    original: AnyFunction

    def acquire(
        func_name: str,
        config: dict[str, Any],
        code_zip: bytes,
        qualifier: str = "$LATEST",
        max_concurrency: int | None = None,
    ) -> tuple[Any, str]:
        """An environment of the revision that is invoked; idle ones of another revision end.

        An environment's own ``config`` may be the function's record itself, which an update changes.
        """
        while True:
            worker, how = original(func_name, config, code_zip, qualifier=qualifier, max_concurrency=max_concurrency)
            if how == "spawn":
                worker.revision = config.get("RevisionId")
            if worker is None or worker.revision == config.get("RevisionId"):
                return worker, how
            with lambda_runtime._lock:
                pool = lambda_runtime._workers.get(lambda_runtime._worker_key(func_name, config, qualifier), [])
                if worker in pool:
                    pool.remove(worker)
            lambda_runtime.kill_workers([worker])

    expects = ("func_name", "config", "code_zip", "qualifier", "max_concurrency")
    original = replace(lambda_svc, "acquire_worker", acquire, expects=expects)


def install(settings: Settings) -> None:
    """Replace what ministack does to the environments of a function that is updated."""
    _install_update("_update_code")
    _install_update("_update_config")
    _install_invalidation()
    _install_lease()
