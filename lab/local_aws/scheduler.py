"""EventBridge Scheduler: targets are invoked with the schedule's role, and get the schedule's Input.

ministack invokes a target as an EventBridge rule would: with nobody's permission (the schedule's role is
not looked at) and with an event of its own. Rates and punctuality are ``eventbridge``'s.
"""

from __future__ import annotations

import datetime
import json
import logging
import threading
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from ministack.core.responses import new_uuid
from ministack.services import eventbridge

from local_aws.replacing import AnyFunction, replace
from local_aws.role_clients import client_as
from local_aws.settings import Settings

LOG = logging.getLogger("local_aws.scheduler")
Document = dict[str, Any]


def _default_event(schedule: Document, account: str, region: str) -> Document:
    """What AWS sends when a schedule's target has no Input."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "version": "0",
        "id": new_uuid(),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": account,
        "time": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "region": region,
        "resources": [schedule["Arn"]],
        "detail": "{}",
    }


def _deliver(schedule: Document, endpoint: str) -> None:
    target = schedule["Target"]
    arn, role = target["Arn"], target["RoleArn"]
    _, _, service, region, account, *resource = arn.split(":")
    payload = target.get("Input") or json.dumps(_default_event(schedule, account, region))
    try:
        if service == "lambda":
            client_as(role, endpoint, region, "lambda").invoke(
                FunctionName=arn, InvocationType="Event", Payload=payload.encode()
            )
        elif service == "states":
            client_as(role, endpoint, region, "stepfunctions").start_execution(stateMachineArn=arn, input=payload)
        elif service == "sqs":
            queue = f"{endpoint}/{account}/{resource[-1]}"
            client_as(role, endpoint, region, "sqs").send_message(QueueUrl=queue, MessageBody=payload)
        else:
            LOG.error("schedules cannot invoke %s here", arn)
    except (ClientError, BotoCoreError) as error:
        LOG.error("schedule %s: %s", schedule["Arn"], error)


def install(settings: Settings) -> None:
    """Take over the delivery of schedules; rules stay what they are."""
    invoke: AnyFunction

    def invoke_target(target: Document, event: Document, rule: Document, view: Any = None) -> None:
        if event.get("Source") == "aws.scheduler":
            threading.Thread(
                target=_deliver, args=(dict(rule), settings.endpoint), name="schedule", daemon=True
            ).start()
        else:
            invoke(target, event, rule, view)

    invoke = replace(eventbridge, "_invoke_target", invoke_target, expects=("target", "event", "rule", "view"))
