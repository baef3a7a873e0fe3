"""Application Auto Scaling for ECS services. ministack does not have it, and moto's changes nothing.

Here is only how it is reached; everything else is imported when somebody first asks for it, so that a lab that never
scales starts as fast as before. Who does what:

- ``_targets``, ``_policies``, ``_scheduled_actions``, ``_activities``: the operations.
- ``_engine``: what happens by itself. ``_policy_runs``, ``_capacity``, ``_schedules``: how much and when.
- ``_alarms``: the alarms of target tracking policies. ``_records``: what is known.

A minute of AWS's that decides how fast a lab scales is a setting (``scaling_minute``): the period of target tracking
alarms, and how often an alarm that stays invokes a policy again. So with a minute of one second a target value of
ALBRequestCountPerTarget counts requests per second. Cooldowns and schedules are what they say.

Known deviations from AWS: the tasks have no CPU and memory metrics, so policies on those never act; predictive
policies are kept and do nothing; how many tasks a target tracking policy removes at once is not documented and half
of them here; nothing is eventually consistent; API rates, which AWS does not publish, are unlimited. What is read
into AWS's texts is in ``_engine``.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ministack import app
from ministack.core import iam_actions, router
from ministack.services import ecs

from local_aws import alarm_actions
from local_aws.aws_protocol import JSON, Document, HttpResponse, ServiceError, call, render_error, service_model
from local_aws.replacing import add_entry, replace
from local_aws.settings import Settings

SERVICE = "application-autoscaling"
TARGET_PREFIX = "AnyScaleFrontendService"


Operation = Callable[[Document], Document]
_settings: Settings | None = None


def operation(name: str) -> Operation:
    """An operation by its name."""
    return _operations()[name]


@functools.cache
def _operations() -> Mapping[str, Operation]:
    """All operations; the first who asks starts what happens by itself."""
    from local_aws import application_autoscaling_activities as activities
    from local_aws import application_autoscaling_alarms as alarms_of_policies
    from local_aws import application_autoscaling_engine as engine
    from local_aws import application_autoscaling_policies as policies
    from local_aws import application_autoscaling_scheduled_actions as scheduled_actions
    from local_aws import application_autoscaling_targets as targets

    assert _settings is not None, "application_autoscaling.install was not called"
    alarms_of_policies.configure(_settings.scaling_minute)
    alarm_actions.invoke_scaling_policies_by(engine.start(_settings).alarm_acts)
    return {
        "DeleteScalingPolicy": policies.delete_scaling_policy,
        "DeleteScheduledAction": scheduled_actions.delete_scheduled_action,
        "DeregisterScalableTarget": targets.deregister_scalable_target,
        "DescribeScalableTargets": targets.describe_scalable_targets,
        "DescribeScalingActivities": activities.describe_scaling_activities,
        "DescribeScalingPolicies": policies.describe_scaling_policies,
        "DescribeScheduledActions": scheduled_actions.describe_scheduled_actions,
        "ListTagsForResource": targets.list_tags_for_resource,
        "PutScalingPolicy": policies.put_scaling_policy,
        "PutScheduledAction": scheduled_actions.put_scheduled_action,
        "RegisterScalableTarget": targets.register_scalable_target,
        "TagResource": targets.tag_resource,
        "UntagResource": targets.untag_resource,
    }


def install(settings: Settings) -> None:
    """Make the service known to ministack's router, IAM and dispatch."""
    global _settings
    _settings = settings
    add_entry(router.SERVICE_PATTERNS, "router.SERVICE_PATTERNS", SERVICE, {"target_prefixes": [TARGET_PREFIX]})
    add_entry(iam_actions.SERVICE_TO_IAM_NAMESPACE, "SERVICE_TO_IAM_NAMESPACE", SERVICE, SERVICE)

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query_params: Any) -> HttpResponse:
        name = headers.get("x-amz-target", "").rpartition(".")[2]
        handler = _operations().get(name)
        if handler is None:
            error = ServiceError("UnknownOperationException", f"{name} is not an operation of this lab")
            return render_error(service_model(SERVICE), JSON, error)
        return call(SERVICE, name, handler, JSON, json.loads(body or b"{}"))

    add_entry(app.SERVICE_HANDLERS, "app.SERVICE_HANDLERS", SERVICE, handle)
    original: Callable[[], None] = ecs.reset

    def reset() -> None:
        original()
        records = sys.modules.get("local_aws.application_autoscaling_records")
        if records is not None:
            records.clear()

    replace(ecs, "reset", reset, expects=())
