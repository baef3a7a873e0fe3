"""What the product renders for programs, held against the schemas that it publishes, by a validator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

ROOT = Path(__file__).parents[3]
EXPECTED = ROOT / "shared" / "core" / "src" / "message" / "expected"
SCHEMA = json.loads((ROOT / "docs" / "notice.schema.json").read_text())
NOTICES = json.loads((EXPECTED / "notice.json").read_text())
TRIAL_SCHEMA = json.loads((ROOT / "docs" / "trial.schema.json").read_text())
TRIAL = json.loads((EXPECTED / "trial.json").read_text())


def test_every_notice_is_as_the_published_schema_says() -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.check_schema(SCHEMA)
    assert len({notice["event"] for notice in NOTICES}) > 20
    for notice in NOTICES:
        validator.validate(notice)


def test_a_trial_is_as_its_published_schema_says() -> None:
    validator = jsonschema.Draft202012Validator(TRIAL_SCHEMA)
    validator.check_schema(TRIAL_SCHEMA)
    validator.validate(TRIAL)
    # Nobody who expects notices takes it for one.
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(TRIAL)


@pytest.mark.parametrize(
    ("schema", "document", "wrong"),
    [(SCHEMA, NOTICES[0], {"urgency": "loud"}), (TRIAL_SCHEMA, TRIAL, {"version": "0"})],
    ids=["notice", "trial"],
)
def test_a_schema_is_not_satisfied_by_anything(
    schema: dict[str, Any], document: dict[str, Any], wrong: dict[str, Any]
) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    for field in schema["required"]:
        assert not validator.is_valid({name: value for name, value in document.items() if name != field}), field
    assert not validator.is_valid({**document, **wrong})
