"""SNS to Lambda: asynchronous with retries, and only where the function's policy lets the topic in."""

from __future__ import annotations

import json
import logging
from typing import Any

from ministack.services import sns as service

from local_aws.function_invocation import NotDelivered, invoke_asynchronously
from local_aws.replacing import replace
from local_aws.settings import Settings

LOG = logging.getLogger("local_aws.sns")
PRINCIPAL = "sns.amazonaws.com"


def _deliver_to_lambda(
    endpoint: str,
    envelope: str,
    topic_arn: str,
    sub_arn: str,
    msg_id: str,
    raw_message: str,
    message_attributes: dict[str, Any],
) -> None:
    """ministack invokes once, whatever the function's policy says, and drops the event when it fails."""
    record = {
        "EventVersion": "1.0",
        "EventSubscriptionArn": sub_arn,
        "EventSource": "aws:sns",
        "Sns": json.loads(envelope),
    }
    try:
        invoke_asynchronously(endpoint, {"Records": [record]}, PRINCIPAL, topic_arn)
    except NotDelivered as refusal:
        LOG.error("%s to %s: %s", topic_arn, endpoint, refusal.message)


def install(settings: Settings) -> None:
    """Replace the delivery to functions."""
    expects = ("endpoint", "envelope", "topic_arn", "sub_arn", "msg_id", "raw_message", "message_attributes")
    replace(service, "_deliver_to_lambda", _deliver_to_lambda, expects=expects)
