"""The states of a job of AWS Batch, in place of ``moto.batch``.

moto's interpreter takes these names from there, and with them come all of EC2's Regions, zones and instance
types: two fifths of the CPU time that a local AWS needs until it answers.
"""

from __future__ import annotations

import sys
from enum import Enum
from types import ModuleType


class JobStatus(str, Enum):
    """As in the API reference of AWS Batch, ``JobDetail.status``."""

    SUBMITTED = "SUBMITTED"
    PENDING = "PENDING"
    RUNNABLE = "RUNNABLE"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


def take_the_place_of_moto_batch() -> None:
    """Before anything imports moto's interpreter."""
    package, states = ModuleType("moto.batch"), ModuleType("moto.batch.utils")
    package.__path__ = []
    vars(states)["JobStatus"] = JobStatus
    sys.modules |= {"moto.batch": package, "moto.batch.utils": states}
