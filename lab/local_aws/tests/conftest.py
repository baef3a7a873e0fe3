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
    options = ("--images", str(images), "--alarm-tick", "0.2", "--scaling-minute", "1", "--check-all-answers")
    running = start_lab(directory / "data", *options)
    yield running
    running.process.terminate()
    running.process.wait(10)


@pytest.fixture(autouse=True)
def answers_keep_their_contracts(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test in which the local AWS answered what its service's model does not allow."""
    if "lab" not in request.fixturenames:
        yield
        return
    journal = request.getfixturevalue("lab").journal
    begin = journal.stat().st_size if journal.exists() else 0
    yield
    with journal.open("rb") as file:
        file.seek(begin)
        lines = [json.loads(line) for line in file if b'"kind": "contract"' in line]
    assert [line for line in lines if line["side"] == "answer"] == []


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
