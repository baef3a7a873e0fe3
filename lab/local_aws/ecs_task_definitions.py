"""Task definitions: whatever was registered is kept and described, as ECS does it.

ministack validates and numbers a registration, but keeps some members only, invents others, and shows tags to whoever
does not ask for them.

- A member of the request that the pinned botocore does not know is kept as well: ECS has members that a client was
  made without. Only root can send one here, because ``contracts`` refuses it of everybody else.
- Empty lists are written where a container has none, and ``requiresAttributes`` into every answer, as in the answers of
  AWS's documentation.
- Tags whose keys begin with ``aws:`` are AWS's own ("Tagging your Amazon ECS resources").
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

from ministack.core.responses import json_response
from ministack.services import ecs

from local_aws.aws_protocol import JSON, Document, Handler, HttpResponse, ServiceError, render_error, service_model
from local_aws.replacing import AnyFunction, replace, replace_entry
from local_aws.settings import Settings

# What the answers have and the request has not.
ANSWERED = frozenset({
    "compatibilities",
    "deleteRequestedAt",
    "deregisteredAt",
    "registeredAt",
    "registeredBy",
    "requiresAttributes",
    "revision",
    "status",
    "taskDefinitionArn",
})
LISTS_OF_CONTAINERS = ("environment", "mountPoints", "systemControls", "volumesFrom")

_ministacks: dict[str, AnyFunction] = {}


def _of_ministack(name: str, request: Document) -> Document:
    status, _, body = _ministacks[name](request)
    answer: Document = json.loads(body)
    if status >= 300:
        raise ServiceError(answer["__type"], answer["message"])
    return answer


def _as_ecs_writes_it(definition: Document) -> None:
    for name in [name for name, value in definition.items() if value in (None, "")]:
        del definition[name]
    definition["requiresAttributes"] = [{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}]
    for container in definition["containerDefinitions"]:
        container.setdefault("cpu", 0)
        container.setdefault("essential", True)
        for name in LISTS_OF_CONTAINERS:
            container.setdefault(name, [])


def _register(request: Document) -> Document:
    surplus = sorted(ANSWERED & request.keys())
    if surplus:
        raise ServiceError("InvalidParameterException", f"Unknown parameters: {', '.join(surplus)}")
    if any(tag["key"].lower().startswith("aws:") for tag in request.get("tags", [])):
        raise ServiceError("InvalidParameterException", "Tag keys that begin with aws: are reserved for AWS use")
    answer = _of_ministack("RegisterTaskDefinition", copy.deepcopy(request))
    kept: Document = ecs._task_defs[answer["taskDefinition"]["taskDefinitionArn"].rpartition("/")[2]]
    kept.update(copy.deepcopy({name: value for name, value in request.items() if name != "tags"}))
    _as_ecs_writes_it(kept)
    return {"taskDefinition": kept, "tags": request.get("tags", [])}


def _describe(request: Document) -> Document:
    answer = _of_ministack("DescribeTaskDefinition", request)
    # CloudFormation's have not passed ``_register`` here.
    _as_ecs_writes_it(answer["taskDefinition"])
    if "TAGS" not in request.get("include", []):
        answer.pop("tags", None)
    return answer


def _as_operation(handler: Handler) -> Callable[[Document], HttpResponse]:
    """Without ``aws_protocol.call``, which decodes what the model knows and nothing else."""

    def answer(data: Document) -> HttpResponse:
        try:
            return json_response(handler(data))
        except ServiceError as error:
            return render_error(service_model("ecs"), JSON, error)

    return answer


def install(settings: Settings) -> None:
    """Take the place of both operations."""
    for function, name, handler in (
        ("_register_task_definition", "RegisterTaskDefinition", _register),
        ("_describe_task_definition", "DescribeTaskDefinition", _describe),
    ):
        answer = _as_operation(handler)
        _ministacks[name] = replace(ecs, function, answer, expects=("data",))
        replace_entry(ecs._ACTION_MAP, "ecs._ACTION_MAP", name, answer, expects=("data",))
