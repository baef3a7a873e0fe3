"""One real server for the whole test session, and names that do not clash."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator

import pytest

from local_aws.tests.functions import create_function
from local_aws.tests.machines import Machines
from local_aws.tests.support import TEST_IMAGES, Lab, start_lab

_counter = itertools.count(1)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The server that all tests share; each test uses names of its own (fixture ``unique``)."""
    directory = tmp_path_factory.mktemp("lab")
    images = directory / "images.json"
    images.write_text(json.dumps(TEST_IMAGES))
    running = start_lab(directory / "data", "--images", str(images), "--alarm-tick", "0.2")
    yield running
    running.process.terminate()
    running.process.wait(10)


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses: at most 28 characters, letters, digits and hyphens."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_")).strip("-")
    return f"{name[:20].strip('-')}-{next(_counter)}"


@pytest.fixture(scope="session")
def probe(lab: Lab) -> str:
    """Name of a function that does what its event says (``probe_function``), without any permission."""
    create_function(lab, "probe")
    return "probe"


@pytest.fixture(scope="session")
def machines(lab: Lab, probe: str) -> Machines:
    """State machines that may do everything."""
    return Machines(lab, probe)
