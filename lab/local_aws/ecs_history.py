"""Service deployments: the history that ECS keeps of a service, apart from the deployments it describes.

AWS keeps it for 90 days and promises no order of ListServiceDeployments.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-deployment.html
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

from local_aws.aws_protocol import Document, ServiceError
from local_aws.settings import SERVICE_DEPLOYMENT_RETENTION, Settings

HISTORY = "_history"
IN_PROGRESS, SUCCESSFUL, STOPPED = "IN_PROGRESS", "SUCCESSFUL", "STOPPED"
ROLLBACK_IN_PROGRESS, ROLLBACK_SUCCESSFUL = "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"
ONGOING = (IN_PROGRESS, ROLLBACK_IN_PROGRESS)
DEFAULT_RESULTS, MOST_RESULTS = 20, 100
_order_seed = 1
_retention = SERVICE_DEPLOYMENT_RETENTION


def configure(settings: Settings) -> None:
    """Note for how long a service deployment is known, and in which order they are listed."""
    global _order_seed, _retention
    _order_seed = settings.order_seed
    _retention = settings.service_deployment_retention


def begun(service: Document, deployment: Document) -> None:
    """A service deployment began; it stops the one that was under way."""
    _end(service, ONGOING, STOPPED, "Stopped by a new service deployment.")
    service.setdefault(HISTORY, []).append({
        "serviceDeploymentArn": _arn(service, "service-deployment", deployment),
        "serviceArn": service["serviceArn"],
        "clusterArn": service["clusterArn"],
        "createdAt": deployment["createdAt"],
        "startedAt": deployment["createdAt"],
        "targetServiceRevisionArn": _arn(service, "service-revision", deployment),
        "status": IN_PROGRESS,
    })


def completed(service: Document) -> None:
    """The service is steady: what was under way succeeded, be it a deployment or its rollback."""
    _end(service, (IN_PROGRESS,), SUCCESSFUL, None)
    _end(service, (ROLLBACK_IN_PROGRESS,), ROLLBACK_SUCCESSFUL, None)


def failed(service: Document, reason: str, rolling_back: bool) -> None:
    """The service deployment under way failed; without a rollback it is over."""
    if rolling_back:
        for record in _kept(service):
            if record["status"] == IN_PROGRESS:
                record |= {"status": ROLLBACK_IN_PROGRESS, "statusReason": reason}
    else:
        _end(service, (IN_PROGRESS,), STOPPED, reason)


def current(service: Document) -> str | None:
    """The ARN of the newest service deployment that is still known.

    Whether AWS goes on naming one that is older than its history is not documented.
    """
    kept = _kept(service)
    return str(kept[-1]["serviceDeploymentArn"]) if kept else None


def revisions(service: Document) -> list[Document]:
    """currentServiceRevisions: one for each deployment that has or gets tasks."""
    return [
        {
            "arn": _arn(service, "service-revision", deployment),
            "requestedTaskCount": deployment["desiredCount"],
            "runningTaskCount": deployment["runningCount"],
            "pendingTaskCount": deployment["pendingCount"],
        }
        for deployment in service["deployments"]
    ]


def page(service: Document, request: Document) -> Document:
    """The answer of ListServiceDeployments."""
    size = int(request.get("maxResults", DEFAULT_RESULTS))
    if not 1 <= size <= MOST_RESULTS:
        raise ServiceError("InvalidParameterException", f"maxResults must be between 1 and {MOST_RESULTS}")
    token = request.get("nextToken", "0")
    if not token.isdigit():
        raise ServiceError("InvalidParameterException", "Invalid token.")
    created = request.get("createdAt", {})
    found = [
        record
        for record in _kept(service)
        if record["status"] in (request.get("status") or [record["status"]])
        and created.get("after", 0.0) <= record["createdAt"] <= created.get("before", time.time())
    ]
    found.sort(key=lambda record: _place(record["serviceDeploymentArn"]))
    start = int(token)
    more = start + size < len(found)
    return {"serviceDeployments": found[start : start + size], "nextToken": str(start + size) if more else None}


def _kept(service: Document) -> list[Document]:
    """The history without what is too old for it."""
    oldest = time.time() - _retention
    service[HISTORY] = [record for record in service.get(HISTORY, []) if record["createdAt"] >= oldest]
    kept: list[Document] = service[HISTORY]
    return kept


def _end(service: Document, statuses: tuple[str, ...], status: str, reason: str | None) -> None:
    for record in _kept(service):
        if record["status"] in statuses:
            record |= {"status": status, "finishedAt": time.time()}
            if reason is not None:
                record["statusReason"] = reason


def _place(arn: str) -> bytes:
    """Where a service deployment comes in a list: somewhere, but always there, else pages would overlap."""
    return hashlib.sha256(f"{_order_seed} {arn}".encode()).digest()


def _arn(service: Document, kind: str, deployment: Any) -> str:
    number = deployment["id"].rpartition("/")[2]
    return f"{service['serviceArn'].replace(':service/', f':{kind}/')}/{number}"
