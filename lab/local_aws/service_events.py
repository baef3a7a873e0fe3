"""Events of AWS's own services on the default event bus."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ministack.services import eventbridge

from local_aws.aws_protocol import Document


def emit(source: str, detail_type: str, resources: Sequence[str], detail: Document) -> None:
    """Put an event that only AWS itself may put (``aws.*``) on the default bus."""
    entry = {
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Resources": list(resources),
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
