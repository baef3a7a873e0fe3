"""Kinds of ECS services: controllers, strategies, scheduling strategies and Express services.

They are here so that whoever may drive only rolling services meets the others. Known deviations from AWS:
a service with a strategy of ECS's own (BLUE_GREEN, LINEAR, CANARY) replaces its tasks as a rolling one does
and shifts no traffic; CodeDeploy and task sets do not exist; a DAEMON service runs on one container
instance; an Express service gets neither a load balancer nor scaling.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

from ministack.services import ecs

from local_aws import ecs_history
from local_aws.aws_protocol import Document, ServiceError

ECS, CODE_DEPLOY, EXTERNAL = "ECS", "CODE_DEPLOY", "EXTERNAL"
ROLLING, CANARY = "ROLLING", "CANARY"
REPLICA, DAEMON = "REPLICA", "DAEMON"
FARGATE = "FARGATE"
CUSTOMER = "CUSTOMER"
EXPRESS_CONTAINER = "Main"
EXPRESS_PORT = 80
DEFAULTS_OF_REPLICA = {"maximumPercent": 200, "minimumHealthyPercent": 100}
DEFAULTS_OF_DAEMON = {"maximumPercent": 100, "minimumHealthyPercent": 0}
# "For services using the blue/green (CODE_DEPLOY) deployment controller, only the desired count, deployment
# configuration, health check grace period [...] can be updated using this API"; much the same for EXTERNAL.
ONLY_OF_ECS = ("taskDefinition", "networkConfiguration", "platformVersion", "loadBalancers", "forceNewDeployment")


def controller(service: Document) -> str:
    """Who replaces the tasks of a service."""
    return str(service["deploymentController"]["type"])


def is_rolling(service: Document) -> bool:
    """Whether ECS replaces the tasks, one after the other."""
    return controller(service) == ECS and service["deploymentConfiguration"].get("strategy") == ROLLING


def starts_tasks(service: Document) -> bool:
    """Whether there are tasks without anybody making a task set."""
    return controller(service) != EXTERNAL


def kind_fields(request: Document) -> Document:
    """What CreateService makes of the fields that tell the kinds apart."""
    by = request.get("deploymentController", {"type": ECS})
    scheduling = request.get("schedulingStrategy", REPLICA)
    launch_type = request.get("launchType", FARGATE)
    daemon = scheduling == DAEMON
    if daemon and launch_type == FARGATE:
        # The model's text of schedulingStrategy; the words of the refusal are not known.
        raise ServiceError("InvalidParameterException", "Fargate tasks do not support the DAEMON scheduling strategy.")
    if daemon and (by["type"] != ECS or "desiredCount" in request):
        raise ServiceError(
            "InvalidParameterException", "The DAEMON scheduling strategy takes the controller ECS and no desiredCount."
        )
    defaults: Document = dict(DEFAULTS_OF_DAEMON if daemon else DEFAULTS_OF_REPLICA)
    if by["type"] == ECS:
        defaults |= {"deploymentCircuitBreaker": {"enable": False, "rollback": False}, "strategy": ROLLING}
    return {
        "launchType": launch_type,
        "desiredCount": 1 if daemon else int(request.get("desiredCount", 1)),
        "schedulingStrategy": scheduling,
        "deploymentController": by,
        "deploymentConfiguration": {**defaults, **request.get("deploymentConfiguration", {})},
        "resourceManagementType": CUSTOMER,
    }


def check_update(service: Document, request: Document) -> None:
    """Refuse an update that only another service's API can make."""
    by = controller(service)
    wrong = [name for name in ONLY_OF_ECS if request.get(name)]
    if by == ECS or not wrong:
        return
    # The words of AWS for a task definition and CodeDeploy.
    words = "task definition" if wrong[0] == "taskDefinition" else wrong[0]
    way_out = "Use AWS CodeDeploy to trigger a new deployment." if by == CODE_DEPLOY else "Create a new task set."
    raise ServiceError(
        "InvalidParameterException", f"Unable to update {words} on services with a {by} deployment controller. {way_out}"
    )


def shown(service: Document) -> Document:
    """A service as the API answers it.

    ``deployments`` are only of the ECS controller, ``rolloutState`` is "only returned for services that use
    the rolling update (ECS) deployment type" (the model's text).
    """
    deployments = service["deployments"] if controller(service) == ECS else []
    if not is_rolling(service):
        deployments = [
            {name: value for name, value in deployment.items() if not name.startswith("rollout")}
            for deployment in deployments
        ]
    return {
        **service,
        "deployments": deployments,
        "currentServiceDeployment": ecs_history.current(service),
        "currentServiceRevisions": ecs_history.revisions(service),
    }


def create_express_gateway_service(
    request: Document, create_service: Callable[[Document], Document], record_of: Callable[[str], Document]
) -> Document:
    """CreateExpressGatewayService: a service that ECS manages, and deploys with a canary of its own.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/express-service-update-full.html
    """
    name = request.get("serviceName") or f"express-{uuid.uuid4().hex[:12]}"
    definition = request.get("taskDefinitionArn") or _express_definition(name, request)
    created = create_service({
        **{key: request[key] for key in ("cluster", "tags") if key in request},
        "serviceName": name,
        "taskDefinition": definition,
        "desiredCount": request.get("scalingTarget", {}).get("minTaskCount", 1),
        "deploymentConfiguration": {"strategy": CANARY},
        "networkConfiguration": {"awsvpcConfiguration": request.get("networkConfiguration", {"subnets": []})},
    })["service"]
    record_of(created["serviceArn"])["resourceManagementType"] = ECS
    return {
        "service": {
            "cluster": created["clusterArn"].rpartition("/")[2],
            "serviceName": name,
            "serviceArn": created["serviceArn"],
            "infrastructureRoleArn": request["infrastructureRoleArn"],
            "status": {"statusCode": created["status"]},
            "activeConfigurations": [{"taskDefinitionArn": definition, "createdAt": created["createdAt"]}],
            "tags": request.get("tags", []),
            "createdAt": created["createdAt"],
            "updatedAt": created["createdAt"],
        }
    }


def _express_definition(name: str, request: Document) -> str:
    container = request.get("primaryContainer")
    if not container or not request.get("executionRoleArn"):
        raise ServiceError(
            "InvalidParameterException", "primaryContainer and executionRoleArn, or taskDefinitionArn, must be given"
        )
    port = {"containerPort": int(container.get("containerPort", EXPRESS_PORT))}
    kept = {key: container[key] for key in ("image", "command", "environment", "secrets") if key in container}
    status, _headers, body = ecs._register_task_definition({
        "family": name,
        "networkMode": "awsvpc",
        "requiresCompatibilities": [FARGATE],
        "cpu": request.get("cpu", "256"),
        "memory": request.get("memory", "512"),
        "executionRoleArn": request["executionRoleArn"],
        "containerDefinitions": [{"name": EXPRESS_CONTAINER, "essential": True, "portMappings": [port], **kept}],
    })
    answer = json.loads(body)
    if status != 200:
        raise ServiceError("InvalidParameterException", str(answer.get("message", answer)))
    return str(answer["taskDefinition"]["taskDefinitionArn"])
