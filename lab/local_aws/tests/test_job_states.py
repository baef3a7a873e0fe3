"""What a local AWS does without, so that it starts sooner."""

from __future__ import annotations

import subprocess
import sys

from botocore.loaders import Loader

from local_aws.job_states import JobStatus
from local_aws.tests.support import PACKAGE_PARENT

IMPORT = """
import sys
from local_aws.job_states import take_the_place_of_moto_batch
take_the_place_of_moto_batch()
import moto.stepfunctions.parser.asl.parse.asl_parser
print("moto.ec2" in sys.modules)
"""


def test_the_interpreter_comes_without_ec2() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", IMPORT], cwd=PACKAGE_PARENT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "False"


def test_the_states_are_those_of_the_service_model() -> None:
    model = Loader().load_service_model("batch", "service-2")
    assert {state.value for state in JobStatus} == set(model["shapes"]["JobStatus"]["enum"])
