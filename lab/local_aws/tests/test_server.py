"""The server process: its announcement, its environment, several at once, and that nothing outlives it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from local_aws import server
from local_aws.tests.functions import create_function, invoke
from local_aws.tests.support import PACKAGE_PARENT, PATIENCE_SECONDS, Lab, start_lab, wait_for


def _processes_below(directory: Path) -> list[str]:
    """Process ids that have anything of the directory in their command line or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(directory).encode() in text:
                found.append(entry.name)
    return found


def test_announces_a_loopback_endpoint_and_block(lab: Lab) -> None:
    assert lab.endpoint.startswith("http://127.0.0.1:")
    assert IPv4Network(lab.addresses).subnet_of(IPv4Network("127.0.0.0/8"))


def test_two_labs_run_side_by_side_and_end_promptly(lab: Lab, tmp_path: Path) -> None:
    other = start_lab(tmp_path)
    try:
        assert other.endpoint != lab.endpoint
        assert other.addresses != lab.addresses
        assert _processes_below(tmp_path)
    finally:
        other.process.send_signal(signal.SIGTERM)
        assert other.process.wait(3) == 128 + signal.SIGTERM
    assert _processes_below(tmp_path) == []


@pytest.mark.parametrize("victim", ["supervisor", "server"])
def test_functions_end_with_a_killed_lab(tmp_path: Path, victim: str) -> None:
    """Killed outright, so that nothing of it can run any more."""
    killed = start_lab(tmp_path)
    create_function(killed, "probe")
    function, _ = invoke(killed, "probe", {"do": "process"})
    assert str(function) in _processes_below(tmp_path)
    server = int(Path(f"/proc/{function}/stat").read_text().rpartition(")")[2].split()[1])
    assert server != killed.process.pid
    os.kill(killed.process.pid if victim == "supervisor" else server, signal.SIGKILL)
    killed.process.wait(5)
    wait_for(lambda: not _processes_below(tmp_path), what="the end of everything")


@pytest.mark.parametrize("removing", [True, False])
def test_ends_when_its_parent_is_killed(tmp_path: Path, removing: bool) -> None:
    data = tmp_path / "data"
    data.mkdir()
    starter = (
        "import sys; from pathlib import Path; from local_aws.tests.support import start_lab; "
        "start_lab(Path(sys.argv[1]), *sys.argv[2:]); print('ready', flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", starter, str(data), *(["--remove-orphaned-data"] if removing else [])],
        env={**os.environ, "PYTHONPATH": str(PACKAGE_PARENT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None and parent.stdout.readline() == b"ready\n"
    parent.kill()
    parent.wait()
    wait_for(lambda: not _processes_below(tmp_path), what="the end of the orphaned lab")
    wait_for(lambda: data.exists() is not removing, what="the data's end, if it is to be removed")


def test_a_taken_port_is_a_clear_error(lab: Lab, tmp_path: Path) -> None:
    port = lab.endpoint.rsplit(":", 1)[1]
    failed = subprocess.run(
        [sys.executable, "-m", "local_aws", "--port", port, "--data-dir", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE_PARENT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert failed.stderr == f"local_aws: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_machine_without_a_free_block_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "FIRST_BLOCK", 251)
    monkeypatch.setattr(server, "LAST_BLOCK", 251)
    with socket.socket() as other:
        other.bind((f"127.{server.FIRST_BLOCK}.0.1", server.CLAIM_PORT))
        with pytest.raises(server.StartupError, match=r"is taken \(port 45999 of each\); end the other labs"):
            server._claim_addresses()
