"""What the product renders for Slack, held against the models of Slack's own SDK."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import ActionsBlock, Block

EXPECTED = Path(__file__).parents[3] / "shared" / "core" / "src" / "message" / "expected"
NOTICES = json.loads((EXPECTED / "slack.json").read_text())
STATES = json.loads((EXPECTED / "slack-state.json").read_text())

# What the SDK does not look at.
LONGEST_TEXT = 4_000
MOST_BLOCKS = 50


def hold(message: dict[str, Any]) -> list[Block]:
    """Fails where the SDK would not send it."""
    blocks = Block.parse_all(message["blocks"])
    assert len(blocks) == len(message["blocks"]) <= MOST_BLOCKS
    for block, written in zip(blocks, message["blocks"], strict=True):
        # It checks what it writes, and knows everything that stands there.
        assert block.to_dict() == written
    assert 0 < len(message["text"]) <= LONGEST_TEXT
    return blocks


def test_every_notice_is_a_message_of_slack() -> None:
    assert len(NOTICES) > 20
    for message in NOTICES:
        hold(message)


def test_only_a_question_has_buttons() -> None:
    buttons = [sum(isinstance(block, ActionsBlock) for block in hold(message)) for message in STATES]
    assert set(buttons) == {0, 1}
    for message, found in zip(STATES, buttons, strict=True):
        # Until an approved weight may move, only a second thought is taken.
        assert ('"reject"' in json.dumps(message)) == bool(found)


def asking() -> dict[str, Any]:
    """A message with buttons."""
    return copy.deepcopy(next(message for message in STATES if '"confirm"' in json.dumps(message)))


@pytest.mark.parametrize(("field", "longest"), [("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)])
def test_a_dialog_that_is_too_long_would_be_found(field: str, longest: int) -> None:
    message = asking()
    actions = next(block for block in message["blocks"] if block["type"] == "actions")
    actions["elements"][0]["confirm"][field]["text"] = "x" * (longest + 1)
    with pytest.raises(SlackObjectFormationError):
        hold(message)
