"""What the product renders for PagerDuty, held against what PagerDuty's own client posts when it is told the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from pagerduty import EventsApiV2Client

EXPECTED = Path(__file__).parents[3] / "shared" / "core" / "src" / "message" / "expected"
NOTICES = json.loads((EXPECTED / "pagerduty.json").read_text())
# By path and body, whatever the notice.
POSTED = [entry for notice in NOTICES for posted in notice.values() for one in posted for entry in one.items()]
# The client leaves them out, and PagerDuty takes them.
CLIENT = ("client", "client_url")


def client() -> tuple[EventsApiV2Client, Mock]:
    """A client, and what it posts."""
    client = EventsApiV2Client("R" * 32)
    answer = Mock(status_code=202, is_success=True)
    answer.json.return_value = {"status": "success", "dedup_key": "d"}
    client.post = Mock(return_value=answer)
    return client, client.post


def tell(path: str, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What the client posts, and where, when it is told what stands in this body."""
    told, post = client()
    told_of = {name: part for name, part in body.items() if name not in ("routing_key", "event_action", "dedup_key")}
    payload = dict(told_of.pop("payload", {}))
    if path == "/v2/change/enqueue":
        told.submit(**payload, **told_of)
    elif body["event_action"] == "trigger":
        named = {name: payload.pop(name) for name in ("summary", "source", "severity", "custom_details")}
        for name in CLIENT:
            told_of.pop(name)
        told.trigger(dedup_key=body["dedup_key"], payload=payload, **named, **told_of)
    else:
        assert not told_of and not payload
        {"acknowledge": told.acknowledge, "resolve": told.resolve}[body["event_action"]](body["dedup_key"])
    [(posted_path,)], posted = [post.call_args.args], post.call_args.kwargs["json"]
    return posted_path, posted


def test_every_event_is_what_pagerdutys_own_client_posts() -> None:
    kinds = set()
    for path, body in POSTED:
        kinds.add(body.get("event_action", "change"))
        # The client puts it in when it sends.
        own = {name: part for name, part in body.items() if name not in ("routing_key", *CLIENT)}
        assert body["routing_key"]
        assert tell(path, body) == (path, own)
    assert kinds == {"trigger", "acknowledge", "resolve", "change"}


def test_every_link_is_one_that_pagerduty_shows() -> None:
    links = [link for _, body in POSTED for link in body.get("links", [])]
    assert links and all(set(link) == {"href", "text"} for link in links)
