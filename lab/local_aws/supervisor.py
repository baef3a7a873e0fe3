"""Keep the server from leaving anything behind, however it ends.

Functions and ECS tasks are processes. If the server alone were killed they would live on, hold their
addresses and ports, and burn CPU. So the process that the caller starts is only a supervisor: it makes
itself the adoptive parent ("child subreaper") of whatever the server leaves behind, and kills all of it
when the server ends, when it is asked to stop, or when its own parent is gone. The server's state lives
in memory only, so an abrupt end loses nothing.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STOPPED_BY_SIGNAL_BASE = 128


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl({option}): {os.strerror(error)}")


def _children() -> Iterator[int]:
    own = str(os.getpid())
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # "pid (name) state ppid ...": the name may hold blanks and brackets, so read after the last one.
        if status.rpartition(")")[2].split()[1] == own:
            yield int(entry.name)


def _kill_descendants() -> None:
    """Kill children until none is left: a killed child's own children become ours in turn."""
    while children := list(_children()):
        for child in children:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue
        while _reap() is not None:
            pass
        time.sleep(0.01)


def _reap() -> tuple[int, int] | None:
    """Collect one ended child; None if there is none at the moment."""
    try:
        child, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (child, status) if child else None


def _end_with(supervisor: int) -> None:
    """In the server: if the supervisor was killed outright, do its work and end."""
    handle = os.pidfd_open(supervisor)
    if os.getppid() == supervisor:
        select.select([handle], [], [])
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _kill_descendants()
    os._exit(STOPPED_BY_SIGNAL_BASE + signal.SIGKILL)


def run(serve: Callable[[], int]) -> int:
    """Run ``serve`` in a child process and return the exit code once everything is gone.

    The parent is watched through a pidfd and not with PR_SET_PDEATHSIG, which fires already when the
    THREAD that started this process ends (test runners start processes from short-lived threads).
    """
    parent = os.getppid()
    parent_handle = os.pidfd_open(parent)
    supervisor = os.getpid()
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake_reader, wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    stopped_by: list[int] = []
    server = os.fork()
    if server == 0:
        threading.Thread(target=_end_with, args=(supervisor,), name="end with the supervisor", daemon=True).start()
        code = 1
        try:
            code = serve()
        finally:
            os._exit(code)

    for number in STOP_SIGNALS:
        signal.signal(number, lambda received, _frame: stopped_by.append(received))
    signal.signal(signal.SIGCHLD, lambda _received, _frame: None)
    signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
    poll = select.poll()
    poll.register(parent_handle, select.POLLIN)
    poll.register(wake_reader, select.POLLIN)
    exit_code: int | None = None
    while exit_code is None and not stopped_by and os.getppid() == parent:
        while (ended := _reap()) is not None:
            if ended[0] == server:
                exit_code = os.waitstatus_to_exitcode(ended[1])
        if exit_code is None:
            for handle, _event in poll.poll():
                if handle == wake_reader:
                    os.read(wake_reader, 4096)
    _kill_descendants()
    if exit_code is None:
        return STOPPED_BY_SIGNAL_BASE + (stopped_by[0] if stopped_by else signal.SIGHUP)
    return exit_code if exit_code >= 0 else STOPPED_BY_SIGNAL_BASE - exit_code
