"""Start ministack in this process, with the replacements of this package applied."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import resource
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from local_aws import job_states, versions
from local_aws.replacing import ReplacementError
from local_aws.settings import Settings

# In the order of installation: what is installed later sees the replacements of what came before.
SERVICES = (
    "journal",
    "calls",
    "corrections",
    "buckets",
    "iam",
    "role_clients",
    "lambda_functions",
    "function_environments",
    "function_updates",
    "function_policies",
    "function_urls",
    "faults",
    "contracts",
    "elbv2",
    "load_balancer",
    "ecr",
    "ecs",
    "ecs_task_definitions",
    "cloudwatch",
    "embedded_metrics",
    "alarms",
    "application_autoscaling",
    "eventbridge",
    "sns",
    "scheduler",
    "stepfunctions",
    "cloudformation",
)
# Without one of these everything would wait for ever, and nobody would learn why.
ESSENTIAL_THREADS = ("ecs-scheduler", "load-balancers", "function-urls", "alarms", "application-autoscaling")
CLAIM_PORT = 45999
FIRST_BLOCK, LAST_BLOCK = 16, 250


class StartupError(RuntimeError):
    """The server cannot start; the message is for whoever started it."""


@dataclass(frozen=True)
class Options:
    """What the command line asks for; ``Settings`` is what it became."""

    port: int
    data_directory: Path
    region: str
    account: str
    journal: Path
    images: Mapping[str, Sequence[str]]
    alarm_tick: float
    behaviours: Path
    routing_delay: float
    elb_throttling: bool
    order_seed: int
    sub_minute_retention: float
    service_deployment_retention: float
    execution_name_retention: float
    scaling_minute: int
    check_all_answers: bool


def _claim_addresses() -> tuple[socket.socket, IPv4Network]:
    """Take a loopback block that no other lab on this machine holds.

    The bound socket is the claim: it is exclusive and vanishes with the process. The search starts at
    another block for each process, so that the addresses of a lab that just ended (whose connections
    the kernel still remembers) are not the first to be used again.
    """
    blocks = range(FIRST_BLOCK, LAST_BLOCK + 1)
    offset = os.getpid() % len(blocks)
    for block in (*blocks[offset:], *blocks[:offset]):
        claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            claim.bind((f"127.{block}.0.1", CLAIM_PORT))
        except OSError:
            claim.close()
            continue
        return claim, IPv4Network(f"127.{block}.0.0/16")
    raise StartupError(
        f"every loopback block 127.{FIRST_BLOCK}.0.0/16 to 127.{LAST_BLOCK}.0.0/16 is taken (port {CLAIM_PORT} of each);"
        " end the other labs, or whatever listens there"
    )


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        raise StartupError(f"cannot listen on 127.0.0.1:{port}: {error.strerror}") from error
    listener.listen(1024)
    return listener


def _set_environment(settings: Settings) -> None:
    """Give this process an environment of its own making.

    ministack reads its configuration from the environment when it is imported, and hands its whole
    environment to every function: whatever the host has set would leak into the functions.
    """
    temporary = settings.data_directory / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    search_path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
    os.environ.clear()
    os.environ.update(
        {
            "PATH": search_path,
            "HOME": str(settings.data_directory),
            "TMPDIR": str(temporary),
            "LANG": "C.UTF-8",
            "AUTH": "true",
            "AWS_ENDPOINT_URL": settings.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(settings.port),
            "MINISTACK_HOST": "localhost",
            "MINISTACK_REGION": settings.region,
            "MINISTACK_ACCOUNT_ID": settings.account,
            "LOG_LEVEL": "INFO",
            "PERSIST_STATE": "0",
            "S3_PERSIST": "0",
            "STATE_DIR": str(settings.data_directory / "state"),
            "S3_DATA_DIR": str(settings.data_directory / "s3"),
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            # Nothing here may talk to a Docker daemon that happens to run on the host.
            "DOCKER_HOST": f"unix://{settings.data_directory}/no-docker.sock",
        }
    )


def _redirect_output(log: Path) -> tuple[int, int]:
    """Send everything that is printed to the log; return the original stdout and stderr."""
    originals = os.dup(1), os.dup(2)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    return originals


def _install_all(settings: Settings) -> None:
    job_states.take_the_place_of_moto_batch()
    for name in SERVICES:
        importlib.import_module(f"local_aws.{name}").install(settings)


def _end_with_a_thread(ended: threading.ExceptHookArgs) -> None:
    threading.__excepthook__(ended)
    if ended.thread is not None and ended.thread.name in ESSENTIAL_THREADS:
        sys.stderr.flush()
        os._exit(1)


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _announcing(application: Any, announcement: bytes, output: int) -> Any:
    """Wrap the ASGI application so that the announcement is written once it has started up."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def announcing_send(message: Any) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                os.write(output, announcement)
                os.close(output)

        await application(scope, receive, announcing_send if scope["type"] == "lifespan" else send)

    return wrapped


def serve(options: Options) -> int:
    """Run one lab until the process is killed. Returns an exit code if it cannot start."""
    options.data_directory.mkdir(parents=True, exist_ok=True)
    output, errors = _redirect_output(options.data_directory / "server.log")
    try:
        versions.check()
        listener = _listen(options.port)
        claim, addresses = _claim_addresses()
        port = listener.getsockname()[1]
        settings = Settings(
            endpoint=f"http://127.0.0.1:{port}",
            port=port,
            region=options.region,
            account=options.account,
            data_directory=options.data_directory,
            journal=options.journal,
            images=options.images,
            alarm_tick=options.alarm_tick,
            addresses=addresses,
            behaviours=options.behaviours,
            routing_delay=options.routing_delay,
            elb_throttling=options.elb_throttling,
            order_seed=options.order_seed,
            sub_minute_retention=options.sub_minute_retention,
            service_deployment_retention=options.service_deployment_retention,
            execution_name_retention=options.execution_name_retention,
            scaling_minute=options.scaling_minute,
            check_all_answers=options.check_all_answers,
        )
        _set_environment(settings)
        _raise_file_limit()
        threading.excepthook = _end_with_a_thread
        _install_all(settings)
    except (StartupError, ReplacementError, versions.VersionError) as error:
        os.write(errors, f"local_aws: {error}\n".encode())
        return 2
    os.close(errors)

    from hypercorn.asyncio import serve as serve_http
    from hypercorn.config import Config
    from ministack.app import app

    from local_aws.control import controlled

    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    announcement = json.dumps({"endpoint": settings.endpoint, "addresses": str(settings.addresses)}) + "\n"
    with claim:
        asyncio.run(serve_http(_announcing(controlled(app, settings), announcement.encode(), output), config))
    return 0
