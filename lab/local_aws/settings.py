"""What one running lab is: the single source for every module of this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

SUB_MINUTE_RETENTION = 3 * 3600.0
SERVICE_DEPLOYMENT_RETENTION = 90 * 86_400.0
EXECUTION_NAME_RETENTION = 90 * 86_400.0


@dataclass(frozen=True)
class Settings:
    """Handed to every module's ``install``; nothing else reads arguments or the environment."""

    endpoint: str
    """Base URL of the server, ``http://127.0.0.1:PORT``; what functions get as AWS_ENDPOINT_URL."""

    port: int
    region: str
    account: str

    data_directory: Path
    """All state, logs and temporary files of this lab are below it."""

    journal: Path
    """The file that ``journal`` appends to."""

    images: Mapping[str, Sequence[str]]
    """Container image repository (without registry and tag) to the command that stands for it."""

    alarm_tick: float
    """Seconds between two evaluations of all alarms."""

    addresses: IPv4Network
    """The loopback block 127.N.0.0/16 that belongs to this lab alone: ECS tasks, load balancers and
    function URLs take their addresses from it. 127.N.0.1 is taken: a socket bound there is this lab's claim on the block."""

    behaviours: Path
    """JSON file of how each version of the example application behaves; tasks get it as BEHAVIOURS."""

    routing_delay: float = 0.0
    """Seconds between an answered ModifyRule, ModifyListener or DeleteRule and its effect on traffic."""

    elb_throttling: bool = False
    """Whether the ELBv2 API refuses requests beyond AWS's token buckets (20 and 3 a second for changes,
    40 and 10 a second for reads)."""

    order_seed: int = 1
    """Decides the order of lists whose order AWS does not promise: the target groups of an action, the
    deployments of a service."""

    sub_minute_retention: float = SUB_MINUTE_RETENTION
    """Seconds for which metrics can be read with periods below a minute."""

    service_deployment_retention: float = SERVICE_DEPLOYMENT_RETENTION
    """Seconds for which ListServiceDeployments has a service deployment."""

    execution_name_retention: float = EXECUTION_NAME_RETENTION
    """Seconds after its end for which an execution is known and its name taken."""

    scaling_minute: int = 60
    """Seconds that a minute of Application Auto Scaling lasts: the period of target tracking alarms, and how
    often an alarm that stays in its state invokes a scaling policy."""

    check_all_answers: bool = False
    """Whether answers to the account's root user are held to the service models too (``contracts``)."""
