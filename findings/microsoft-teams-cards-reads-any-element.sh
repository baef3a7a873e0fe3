#!/usr/bin/env bash
# microsoft-teams-cards 2.1.1 (PyPI, Microsoft's models of Adaptive Cards for Teams) reads a card, and its elements are of
# no class that knows them.
#
# The models have a class for every element, with its properties and values, so one would read a card that somebody else
# has written to hold it against them. `body` and `actions` are lists of a base class without properties of its own: a
# TextBlock comes back as CardElement, an OpenUrl action as Action, and nothing in them was looked at. Whoever wants that
# looks up the class by `type` and reads each element with it. And a width of the whole screen is `full` there, while
# Microsoft's page on the format of cards writes `Full`: a card as in the documentation is refused.
#
# Seen: ['CardElement', 'Action'] for a TextBlock and an OpenUrl; `Input should be 'full'` for the documentation's width.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install --quiet --disable-pip-version-check microsoft-teams-cards==2.1.1 pydantic==2.13.5

environment/bin/python - <<'PYTHON'
from microsoft_teams.cards import AdaptiveCard, TextBlock
from pydantic import ValidationError

text = {"type": "TextBlock", "text": "hello", "weight": "Bolder"}
link = {"type": "Action.OpenUrl", "title": "More", "url": "https://example.com"}
read = AdaptiveCard.model_validate({"type": "AdaptiveCard", "version": "1.5", "body": [text], "actions": [link]})
kinds = [type(entry).__name__ for entry in [*read.body, *read.actions]]
print(kinds)
assert kinds == ["CardElement", "Action"], kinds
assert type(TextBlock.model_validate(text)).__name__ == "TextBlock"

try:
    AdaptiveCard.model_validate({"type": "AdaptiveCard", "version": "1.5", "body": [text], "msteams": {"width": "Full"}})
except ValidationError as error:
    print(error)
    assert "Input should be 'full'" in str(error)
else:
    raise SystemExit("the width of the documentation is taken now")
PYTHON
