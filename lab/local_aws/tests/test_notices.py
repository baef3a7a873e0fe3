"""What the product renders for programs, held against the schema that it publishes, by a validator."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "notice.schema.json").read_text())
NOTICES = json.loads((ROOT / "shared" / "core" / "src" / "message" / "expected" / "notice.json").read_text())


def test_every_notice_is_as_the_published_schema_says() -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.check_schema(SCHEMA)
    assert len({notice["event"] for notice in NOTICES}) > 20
    for notice in NOTICES:
        validator.validate(notice)


def test_the_schema_is_not_satisfied_by_anything() -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for field in SCHEMA["required"]:
        assert not validator.is_valid({name: value for name, value in NOTICES[0].items() if name != field}), field
    assert not validator.is_valid({**NOTICES[0], "urgency": "loud"})
