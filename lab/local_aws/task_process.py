"""Containers as local processes: one per container, all of a task on one loopback address."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ministack.services import lambda_svc

from local_aws.aws_protocol import Document
from local_aws.settings import Settings

SIGNAL_EXIT_BASE = 128
# Connecting to a loopback address is answered at once, unless the listener's queue is full.
CONNECT_SECONDS = 0.05
logger = logging.getLogger("task_process")


class CannotStart(Exception):
    """A container cannot be started; the message is the task's stoppedReason."""


@dataclass(frozen=True)
class Image:
    """A container image reference, taken apart."""

    repository: str
    tag: str


def parse_image(reference: str) -> Image:
    """Split ``registry/repository:tag@digest``; the tag is what names a version."""
    name, _, digest = reference.partition("@")
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        name = rest
    repository, colon, tag = name.rpartition(":")
    if not colon:
        repository, tag = name, digest.removeprefix("sha256:")[:12] or "latest"
    return Image(repository, tag)


def digest_of(reference: str) -> str:
    """The digest of an image: what the reference says, or one that its name and tag stand for. Nobody moves a tag here."""
    _, _, digest = reference.partition("@")
    return digest or f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}"


class ContainerProcess:
    """One running container."""

    def __init__(self, definition: Document, environment: Mapping[str, str], address: str, settings: Settings, log: Path) -> None:
        self.name: str = definition["name"]
        self.essential = bool(definition.get("essential", True))
        self.image = parse_image(definition["image"])
        command = settings.images.get(self.image.repository)
        if command is None:
            raise CannotStart(
                f"CannotPullContainerError: pull image manifest has been retried 1 time(s): "
                f"{definition['image']}: not found"
            )
        variables = _environment(definition, environment, self.image, address, settings)
        self._address = (address, int(variables["PORT"])) if "PORT" in variables else None
        log.parent.mkdir(parents=True, exist_ok=True)
        # No fork may overlap the writing of a function's bootstrap: the child would hold it open for writing,
        # and starting the function fails with "Text file busy". ministack guards its own forks by this lock.
        with lambda_svc._provided_code_lock, log.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    [*command, *definition.get("command", [])],
                    env=variables,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise CannotStart(f"CannotStartContainerError: {error}") from error

    @property
    def listens(self) -> bool | None:
        """Whether it accepts connections on its port; None if it has none."""
        if self._address is None:
            return None
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.settimeout(CONNECT_SECONDS)
            return connection.connect_ex(self._address) == 0

    @property
    def exit_code(self) -> int | None:
        """As ECS reports it (killed by signal n: 128 + n); None while the process runs."""
        code = self._process.poll()
        return code if code is None or code >= 0 else SIGNAL_EXIT_BASE - code

    def terminate(self) -> None:
        """Ask the process group to stop."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process group at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                logger.debug("container %s ended by itself", self.name)


def _environment(
    definition: Document, own: Mapping[str, str], image: Image, address: str, settings: Settings
) -> dict[str, str]:
    ports: Sequence[Document] = definition.get("portMappings") or []
    defaults = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "AWS_REGION": settings.region,
        "BEHAVIOURS": str(settings.behaviours),
    }
    if ports:
        defaults["PORT"] = str(ports[0]["containerPort"])
    fixed = {"IMAGE": definition["image"], "IMAGE_TAG": image.tag, "BIND_IP": address}
    return {**defaults, **own, **fixed}
