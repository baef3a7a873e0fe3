"""EventBridge: delivery of matched events to their targets.

ministack matches patterns well, but delivers to a function once, without its retries and whether or not
its resource policy allows it, and drops what cannot be delivered instead of using the rule's
dead-letter queue.

Known deviations from AWS: what AWS would retry (throttling, an outage of the target) does not happen
here, so a target's RetryPolicy has nothing to do; resource policies of queues and topics are not
checked; a schedule fires within half a second, and ``rate(5 seconds)`` is accepted, so that a lab's
sweeps need not wait for a minute (AWS: minutes at least).
"""

from __future__ import annotations

import contextvars
import json
import logging
import re
import threading
from typing import Any

from botocore.exceptions import ClientError
from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.responses import get_account_id, get_region
from ministack.services import eventbridge, scheduler, sns, sqs

from local_aws.aws_protocol import Document
from local_aws.function_invocation import NotDelivered, invoke_asynchronously
from local_aws.replacing import replace, set_value
from local_aws.role_clients import client_as
from local_aws.settings import Settings

SCHEDULE_TICK = 0.5
RATE = re.compile(r"rate\((\d+)\s+(second|minute|hour|day)s?\)")
RATE_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
DEFAULT_BUS = "default"
PRINCIPAL = "events.amazonaws.com"
logger = logging.getLogger("eventbridge")
_endpoint = ""


def rule_arn(rule: Document) -> str:
    """The ARN of a rule, which is what resource policies name as the source."""
    bus = rule.get("EventBusName", DEFAULT_BUS)
    path = rule["Name"] if bus == DEFAULT_BUS else f"{bus}/{rule['Name']}"
    return f"arn:aws:events:{get_region()}:{get_account_id()}:rule/{path}"


def payload_for(target: Document, rule: Document, view: Any) -> str:
    """What the target gets: the event, or what its Input, InputPath or InputTransformer makes of it."""
    if target.get("InputTransformer"):
        transformed: str = eventbridge._apply_input_transformer(target["InputTransformer"], rule, view)
        return transformed
    if target.get("Input"):
        return str(target["Input"])
    event = view.event_with_detail()
    if target.get("InputPath"):
        part = event
        for name in str(target["InputPath"]).removeprefix("$").strip(".").split("."):
            if not isinstance(part, dict) or name not in part:
                return json.dumps(event)
            part = part[name]
        return json.dumps(part)
    return json.dumps(event)


def invoke_target(target: Document, event: Document, rule: Document, view: Any = None) -> None:
    """Deliver an event, or send it to the dead-letter queue of the target."""
    view = view or eventbridge._pattern_event_view(event)
    payload = payload_for(target, rule, view)
    whole = json.dumps(view.event_with_detail())
    if ":states:" in target["Arn"]:
        # Starting an execution is a call to this very server, which may be waiting for this delivery.
        context = contextvars.copy_context()
        arguments = (_deliver_or_give_up, target, payload, rule, whole)
        threading.Thread(target=context.run, args=arguments, name="rule", daemon=True).start()
    else:
        _deliver_or_give_up(target, payload, rule, whole)


def _deliver_or_give_up(target: Document, payload: str, rule: Document, whole: str) -> None:
    try:
        _deliver(target, payload, rule)
    except NotDelivered as error:
        logger.warning("%s could not deliver to %s: %s", rule["Name"], target["Arn"], error)
        _to_dead_letter_queue(target, rule, whole, error)


def _deliver(target: Document, payload: str, rule: Document) -> None:
    try:
        arn = parse_arn(target["Arn"])
    except ArnParseError as error:
        raise NotDelivered("INVALID_PARAMETER", str(error)) from error
    if arn.service == "lambda":
        invoke_asynchronously(target["Arn"], _decoded(payload), PRINCIPAL, rule_arn(rule))
    elif arn.service == "sqs":
        if not sqs._queue_by_arn(target["Arn"]):
            raise NotDelivered("RESOURCE_NOT_FOUND", f"queue {target['Arn']} does not exist")
        eventbridge._dispatch_to_sqs(arn, payload, target.get("SqsParameters") or {})
    elif arn.service == "sns":
        try:
            published = sns.publish_internal(target["Arn"], payload)
        except sns.SnsPublishError as error:
            raise NotDelivered("INVALID_PARAMETER", str(error)) from error
        if published is None:
            raise NotDelivered("RESOURCE_NOT_FOUND", f"topic {target['Arn']} does not exist")
    elif arn.service == "states":
        _start_execution(target, payload)
    else:
        raise NotDelivered("INVALID_PARAMETER", f"targets of {arn.service} are not supported")


def _start_execution(target: Document, payload: str) -> None:
    role = target.get("RoleArn")
    if not role:
        raise NotDelivered("INVALID_PARAMETER", f"RoleArn is needed to start {target['Arn']}")
    try:
        client = client_as(role, _endpoint, get_region(), "stepfunctions")
        client.start_execution(stateMachineArn=target["Arn"], input=payload)
    except ClientError as error:
        missing = error.response["Error"]["Code"] == "StateMachineDoesNotExist"
        raise NotDelivered("RESOURCE_NOT_FOUND" if missing else "NO_PERMISSIONS", str(error)) from error


def _decoded(payload: str) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload


def _to_dead_letter_queue(target: Document, rule: Document, event: str, error: NotDelivered) -> None:
    queue = (target.get("DeadLetterConfig") or {}).get("Arn")
    if not queue or not sqs._queue_by_arn(queue):
        return
    eventbridge._dispatch_to_sqs(parse_arn(queue), event, {})
    attributes = {
        "RULE_ARN": rule_arn(rule),
        "TARGET_ARN": target["Arn"],
        "ERROR_CODE": error.code,
        "ERROR_MESSAGE": error.message,
    }
    message = sqs._queue_by_arn(queue)["messages"][-1]
    message["message_attributes"] = {
        name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
    }


def rate_seconds(expr: str) -> int | None:
    """The interval of a rate expression; None if it is another kind of schedule."""
    found = RATE.fullmatch(expr)
    return int(found[1]) * RATE_UNITS[found[2]] if found else None


def install(settings: Settings) -> None:
    """Replace the delivery and let schedules fire promptly."""
    global _endpoint
    _endpoint = settings.endpoint
    replace(eventbridge, "_invoke_target", invoke_target, expects=("target", "event", "rule", "view"))
    replace(eventbridge, "_parse_rate_seconds", rate_seconds, expects=("expr",))
    set_value(eventbridge, "_RATE_RE", RATE)
    set_value(eventbridge, "_SCHEDULER_TICK_INTERVAL", SCHEDULE_TICK)
    set_value(scheduler, "_SCHEDULE_TICK_INTERVAL", SCHEDULE_TICK)
