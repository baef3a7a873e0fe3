"""Scaling activities: how each came to be, what became of it, and DescribeScalingActivities.

One whose desired count somebody else has changed meanwhile is Overridden too. Unfulfilled does not happen: how long
AWS waits is not documented, and here a change stays InProgress for as long as its tasks do not run.
https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-scaling-activities.html
"""

from __future__ import annotations

import time

from local_aws import journal
from local_aws.application_autoscaling_records import (
    DIMENSION,
    FAILED,
    IN_PROGRESS,
    KEPT_SECONDS,
    NAMESPACE,
    OVERRIDDEN,
    PENDING,
    SUCCESSFUL,
    Activity,
    Target,
    activities,
    lock,
    page,
    selected,
)
from local_aws.aws_protocol import Document
from local_aws.service_events import emit

MOST_DESCRIBED = 50


def begin(target: Target, capacity: int, before: int, cause: str, cooldown: float = 0.0) -> Activity:
    """A change of the desired count that is about to be asked for."""
    activity = Activity(
        target.resource,
        f"Setting desired count to {capacity}.",
        cause,
        PENDING,
        capacity=capacity,
        before=before,
        cooldown=cooldown,
        out=capacity > before,
    )
    _keep(activity)
    return activity


def accepted(activity: Activity) -> None:
    """ECS has taken the change: what was under way for the same service is no longer."""
    with lock:
        for other in activities:
            if other.resource == activity.resource and other.status == IN_PROGRESS:
                _end(other, OVERRIDDEN, f"{_set_to(other)} Change was overridden by a newer one.")
        activity.status = IN_PROGRESS
        activity.message = f"{_set_to(activity)} Waiting for change to be fulfilled by ecs."


def refused(activity: Activity, why: str) -> None:
    """ECS did not take the change."""
    with lock:
        _end(activity, FAILED, f"Failed to set desired count to {activity.capacity}. {why}")


def follow(target: Target, service: Document) -> None:
    """See whether what is under way has been fulfilled."""
    with lock:
        for activity in activities:
            if activity.resource != target.resource or activity.status != IN_PROGRESS:
                continue
            if service["desiredCount"] != activity.capacity:
                _end(activity, OVERRIDDEN, f"{_set_to(activity)} Change was overridden by a newer one.")
            elif service["runningCount"] == activity.capacity:
                _end(activity, SUCCESSFUL, f"{_set_to(activity)} Change successfully fulfilled by ecs.")
                if activity.out and activity.capacity == target.maximum:
                    _tell_of_maximum(target, activity)


def bounds_set(target: Target, bounds: str, cause: str, failure: str = "") -> None:
    """A scheduled action set the bounds ("min capacity to 5 and max capacity to 10"), or could not."""
    status = FAILED if failure else SUCCESSFUL
    _keep(Activity(target.resource, f"Setting {bounds}", cause, status, failure or f"Successfully set {bounds}"))


def not_scaled(target: Target, cause: str, reason: Document) -> None:
    """The decision not to scale: "Any subsequent not scaled activities will not generate new entries unless the
    reason for not scaling changes"."""
    if target.not_scaled == reason:
        return
    target.not_scaled = reason
    _keep(Activity(target.resource, "Attempting to scale due to alarm triggered", cause, FAILED, reason=reason))


def describe_scaling_activities(request: Document) -> Document:
    """DescribeScalingActivities: newest first; those of a target that is gone too."""
    with lock:
        oldest = time.time() - KEPT_SECONDS
        kept = [activity for activity in reversed(activities) if activity.started >= oldest]
        if not request.get("IncludeNotScaledActivities"):
            kept = [activity for activity in kept if activity.reason is None]
        found = selected(request, kept, lambda activity: activity.resource, "ResourceId")
        shown, token = page(request, found, MOST_DESCRIBED)
        return {"ScalingActivities": [_shown(activity) for activity in shown], "NextToken": token}


def _shown(activity: Activity) -> Document:
    return {
        "ActivityId": activity.identifier,
        "ServiceNamespace": NAMESPACE,
        "ResourceId": activity.resource,
        "ScalableDimension": DIMENSION,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.started,
        "EndTime": activity.ended,
        "StatusCode": activity.status,
        "StatusMessage": activity.message or None,
        "NotScaledReasons": [activity.reason] if activity.reason else None,
    }


def _set_to(activity: Activity) -> str:
    return f"Successfully set desired count to {activity.capacity}."


def _keep(activity: Activity) -> None:
    with lock:
        activities.append(activity)
    _write(activity)


def _end(activity: Activity, status: str, message: str) -> None:
    activity.status, activity.message, activity.ended = status, message, time.time()
    _write(activity)


def _write(activity: Activity) -> None:
    cluster, _, service = activity.resource.partition("/")[2].partition("/")
    journal.write(
        kind="scaling",
        cluster=cluster,
        service=service,
        activity=activity.identifier,
        status=activity.status,
        cause=activity.cause,
        desired=activity.capacity,
        reason=activity.reason["Code"] if activity.reason else None,
    )


def _tell_of_maximum(target: Target, activity: Activity) -> None:
    """The one event that Application Auto Scaling has of its own (monitoring-eventbridge)."""
    moments = {"startTime": activity.started, "endTime": activity.ended}
    detail = {
        **{name: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)) for name, moment in moments.items()},
        "newDesiredCapacity": activity.capacity,
        "oldDesiredCapacity": activity.before,
        "minCapacity": target.minimum,
        "maxCapacity": target.maximum,
        "resourceId": target.resource,
        "scalableDimension": DIMENSION,
        "serviceNamespace": NAMESPACE,
        "statusCode": activity.status,
        "scaledToMax": True,
        "direction": "scale-out",
    }
    emit("aws.application-autoscaling", "Application Auto Scaling Scaling Activity State Change", [], detail)
