"""What the product renders for Microsoft Teams, held against the models of Microsoft's own SDK."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

try:
    from microsoft_teams import cards
except ModuleNotFoundError:
    # The local AWS runs with Python 3.10 as well.
    left_out = "what Teams is sent is held against nothing: Microsoft's SDK needs Python 3.11 or newer"
    if os.environ.get("GLIDEPATH_TEAMS") == "required":
        pytest.fail(f"{left_out}, and GLIDEPATH_TEAMS asks for it", pytrace=False)
    pytest.skip(left_out, allow_module_level=True)

EXPECTED = Path(__file__).parents[3] / "shared" / "core" / "src" / "message" / "expected"
MESSAGES = json.loads((EXPECTED / "teams.json").read_text())

# Cards of incoming webhooks are rendered by this version of Adaptive Cards.
VERSION = "1.2"


def models() -> Iterator[tuple[str, type[BaseModel]]]:
    """The models of the SDK by what their `type` says. It reads what stands in a card as anything that may stand there."""
    for model in vars(cards).values():
        fields: dict[str, Any] = getattr(model, "model_fields", {})
        kind = fields.get("type")
        if kind is not None and isinstance(kind.default, str):
            yield kind.default, model


MODELS = dict(models())


def hold(written: Any) -> list[str]:
    """The types of all that stands in it; fails where the SDK does not know one, a property of it or a value."""
    if isinstance(written, list):
        return [found for entry in written for found in hold(entry)]
    if not isinstance(written, dict):
        return []
    found = [found for entry in written.values() for found in hold(entry)]
    if "type" not in written:
        return found
    read = MODELS[written["type"]].model_validate(written)
    # The SDK writes `schema`; what is read of cards is `$schema`.
    assert set(read.model_extra or {}) <= {"$schema"}, read.model_extra
    return [written["type"], *found]


def card(message: dict[str, Any]) -> dict[str, Any]:
    assert message["type"] == "message"
    [attachment] = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    content = copy.deepcopy(attachment["content"])
    # As Microsoft's documentation writes it. Its SDK knows only `full`.
    assert content["msteams"].pop("width") == "Full"
    content["msteams"]["width"] = "full"
    return content


def test_every_message_is_a_card_of_teams() -> None:
    assert len(MESSAGES) > 20
    seen = set()
    for message in MESSAGES:
        content = card(message)
        assert content["version"] == VERSION
        seen |= set(hold(content))
    assert seen == {"AdaptiveCard", "RichTextBlock", "TextRun", "Action.OpenUrl"}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda content: content["body"][0].update(inline=[]), AssertionError),
        (lambda content: content["body"][0].update(type="RichText"), KeyError),
        (lambda content: content["body"][0]["inlines"][0].update(weight="Bold"), ValidationError),
        (lambda content: content["actions"][0].update(url=7), ValidationError),
    ],
)
def test_what_teams_does_not_know_would_be_found(change: Any, error: type[Exception]) -> None:
    content = card(next(message for message in MESSAGES if "actions" in card(message)))
    hold(content)
    change(content)
    with pytest.raises(error):
        hold(content)
